"""The report in a real browser: it needs no network, answers as predict() does, and can be used by all."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import priorhood as ph
import priorhood.reporting.calculator

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open the report with"),
]

FAST = {"chains": 2, "draws": 150, "seed": 1}
UNITS = {"price": "€", "living_space": "m²"}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], chromium_sandbox=False)
        yield started
        started.close()


@pytest.fixture(scope="module")
def post():
    return ph.fit(
        ph.Model("price ~ living_space + (living_space | zip)", units=UNITS),
        ph.simulate(30, 400, seed=1)[0],
        **FAST,
    )


@pytest.fixture(scope="module")
def file(post, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "r.html"
    ph.report(post, out, at={"living_space": 72}, below=400_000)
    return out


@pytest.fixture
def opened(browser):
    """Open a file in a fresh window; any request for more, or message of the browser, fails the test."""
    windows = []

    def opening(path, **options):
        window = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        page, trouble = window.new_page(), []
        page.on(
            "request",
            lambda request: trouble.append(request.url) if not request.url.startswith("file://") else None,
        )
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        windows.append((window, trouble))
        page.goto(path.as_uri())
        page.wait_for_selector("#answer > *")
        return page

    yield opening
    for window, trouble in windows:
        window.close()
        assert trouble == []


def answer(page, values, place=None, threshold=None):
    """What the calculator says of a home."""
    for name, value in values.items():
        field = page.locator(f"[id='field-{name}']")
        if field.evaluate("made => made.tagName") == "SELECT":
            field.select_option(str(value))
        else:
            field.fill(str(value))
    if place is not None:
        page.fill("#place", place)
    if threshold is not None:
        page.fill("#threshold", str(threshold))
    found = page.eval_on_selector("#answer", "made => ({...made.dataset})")
    return {name: float(value) for name, value in found.items()}


def same(found, row, threshold):
    """As predict() says, but for the draws' 16 bits and, with heavy tails, predict()'s own 4e-4."""
    spread = row["q95"] - row["q5"]
    for name, wanted in {"q5": "q5", "q25": "q25", "median": "q50", "q75": "q75", "q95": "q95"}.items():
        assert found[name] == pytest.approx(row[wanted], abs=2e-3 * spread), name
    assert found["below"] == pytest.approx(row[f"below_{threshold:.15g}"], abs=1e-3)
    if np.isfinite(row["mean"]):
        assert found["mean"] == pytest.approx(row["mean"], abs=2e-3 * spread)


def predicted(post, row, threshold, unseen="error"):
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    return post.predict({k: [v] for k, v in row.items()}, quantiles=quantiles, below=threshold, unseen=unseen).iloc[
        0
    ]


def written(post, tmp_path, **options):
    out = tmp_path / "r.html"
    ph.report(post, out, **options)
    return out


# -- what a home costs --------------------------------------------------------------------------------------


def test_the_calculator_is_predict(post, file, opened):
    page = opened(file)
    label = str(post.moments.labels[4])
    for space, threshold in ((50, 300_000), (120.5, 512_345)):
        found = answer(page, {"living_space": space}, label, threshold)
        same(found, predicted(post, {"zip": label, "living_space": space}, threshold), threshold)
    for place, unseen in (("a new zip", "draw"), ("the average zip", "population")):
        found = answer(page, {"living_space": 72}, place, 400_000)
        same(found, predicted(post, {"zip": "(new)", "living_space": 72}, 400_000, unseen), 400_000)


@pytest.mark.slow
def test_the_error_of_a_probability_is_that_of_its_draws(post, file, opened):
    page = opened(file)
    label = str(post.moments.labels[4])
    answer(page, {"living_space": 90}, label, 420_000)
    m = post.expected({"zip": [label], "living_space": [90]}).values.ravel()
    sigma = post.natural("sigma").values.ravel()
    shares = np.vectorize(math.erf)((420_000 - m) / sigma / math.sqrt(2)) / 2
    wanted = shares.std() / math.sqrt(len(shares))
    found = page.evaluate(
        f"CALCULATOR.predictive({{ living_space: 90 }}, DATA.home.options.indexOf('{label}')).belowError(420000)"
    )
    assert found == pytest.approx(wanted, rel=1e-3)
    assert f"± {100 * wanted:.1g} percentage points (Monte Carlo error, 300 draws)" in page.inner_text("#answer")


@pytest.mark.slow
def test_thinned_draws_are_within_their_error(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["priorhood.reporting.calculator"], "BUDGET", 1)
    post = ph.fit("price ~ living_space + (1 | zip)", ph.simulate(12, 300, seed=2)[0], draws=1000, seed=1)
    page = opened(written(post, tmp_path))
    label = str(post.moments.labels[0])
    assert "80 of the 4,000 posterior draws" in page.inner_text("#cost")
    found = answer(page, {"living_space": 90}, label, 400_000)
    row = predicted(post, {"zip": label, "living_space": 90}, 400_000)
    # Four standard errors of 80 nearly independent draws: a false alarm in 16,000.
    sd = float(post.expected({"zip": [label], "living_space": [90]}).std())
    assert abs(found["mean"] - row["mean"]) < 4 * sd / np.sqrt(80)
    assert found["mean"] != pytest.approx(row["mean"], rel=1e-9)


def test_expressions_categories_and_logs(opened, tmp_path):
    rng = np.random.default_rng(1)
    n = 240
    frame = pd.DataFrame({
        "area": rng.uniform(30, 150, n), "age": rng.uniform(1, 80, n),
        "kind": rng.choice(["flat", "loft", "<b>hut"], n),
        "rooms": rng.choice([1, 2, 3], n), "place": rng.choice(list("abcdef"), n),
    })  # fmt: skip
    frame["price"] = np.exp(
        3 + 0.8 * np.log(frame["area"]) + 0.1 * (frame["kind"] == "loft") + rng.normal(0, 0.2, n)
    )
    formula = "log(price) ~ log(area) + I(age ** 2) + age + kind + log(area):kind + C(rooms) + (log(area) | place)"
    post = ph.fit(formula, frame, **FAST)
    page = opened(written(post, tmp_path))
    for home in (
        {"area": 64, "age": 12, "kind": "loft", "rooms": 2}, {"area": 110, "age": 70, "kind": "<b>hut", "rooms": 3}
    ):  # fmt: skip
        same(answer(page, home, "c", 700), predicted(post, {**home, "place": "c"}, 700.0), 700)
    page.fill("#field-area", "-3")
    assert "undefined for these values" in page.inner_text("#answer")


def test_nested_and_crossed_places_and_noise(opened, tmp_path):
    frame, _ = ph.simulate(12, 400, seed=3)
    frame["city"] = np.where(frame["zip"].astype(str) < "12000", "A", "B")
    frame["type"] = np.resize(["house", "flat", "loft"], len(frame))
    nested = ph.fit("price ~ living_space + (1 | city/zip) + (1 | type)", frame, **FAST)
    page = opened(written(nested, tmp_path))
    city, label = str(frame["city"][0]), str(frame["zip"][0])
    page.select_option("#crossed-0", "loft")
    found = answer(page, {"living_space": 80}, f"{city}/{label}", 400_000)
    home = {"city": city, "zip": label, "type": "loft", "living_space": 80}
    same(found, predicted(nested, home, 400_000), 400_000)
    found = answer(page, {}, f"a new zip in {city}", 400_000)
    same(found, predicted(nested, {**home, "zip": "(new)"}, 400_000, "draw"), 400_000)
    noisy = ph.fit(ph.Model("price ~ living_space + (1 | zip)", noise="zip"), frame, **FAST)
    page = opened(written(noisy, tmp_path))
    found = answer(page, {"living_space": 80}, label, 400_000)
    same(found, predicted(noisy, {"zip": label, "living_space": 80}, 400_000), 400_000)


@pytest.mark.slow
def test_students_t(post, opened, tmp_path):
    groups = {name: node.to_dataset() for name, node in post.tree.children.items()}
    groups["posterior"] = groups["posterior"].assign(nu=post["sigma"] * 0 + 3.5)
    tree = xr.DataTree.from_dict({f"/{name}": held for name, held in groups.items()})
    tree.attrs = post.tree.attrs
    heavy = dataclasses.replace(post, tree=tree)
    page = opened(written(heavy, tmp_path))
    label = str(post.moments.labels[4])
    found = answer(page, {"living_space": 80}, label, 300_000)
    same(found, predicted(heavy, {"zip": label, "living_space": 80}, 300_000), 300_000)


def test_known_errors_and_no_group(opened, tmp_path):
    table = pd.DataFrame({"effect": [1.0, 2, 4, 3], "se": [1.0, 1, 2, 1], "study": list("abcd")})
    post = ph.fit(ph.Model("effect ~ 1 + (1 | study)", se="se"), table, **FAST)
    page = opened(written(post, tmp_path))
    found = answer(page, {}, "b", 2)
    draws = post.expected({"study": ["b"]}).values.ravel()
    assert found["below"] == pytest.approx((draws < 2).mean(), abs=0.01)
    assert found["median"] == pytest.approx(np.median(draws), abs=1e-3)
    assert "known (se)" in page.inner_text("#cost")
    pooled = ph.fit("price ~ living_space", ph.simulate(5, 100, seed=1)[0], **FAST)
    page = opened(written(pooled, tmp_path))
    same(
        answer(page, {"living_space": 70}, None, 300_000), predicted(pooled, {"living_space": 70}, 300_000), 300_000
    )
    assert "no groups" in page.inner_text("#found")


# -- the table, the profile, the map ------------------------------------------------------------------------


def labels_shown(page):
    return page.locator("#places tbody button").all_inner_texts()


def test_sort_search_and_profile(post, file, opened):
    page = opened(file)
    labels = post.moments.labels.tolist()
    assert labels_shown(page) == labels
    page.click("#places th[data-key=rows] button")
    rows = [int(text) for text in page.locator("#places tbody td:nth-child(2)").all_inner_texts()]
    assert rows == sorted(rows, reverse=True)
    assert page.get_attribute("#places th[data-key=rows]", "aria-sort") == "descending"
    page.fill("#search", labels[7])
    assert labels_shown(page) == [labels[7]]
    page.click("#places tbody button")
    assert labels[7] in page.inner_text("#profile h3")
    assert page.input_value("#place") == labels[7]
    profile = page.inner_text("#profile")
    assert "living_space" in profile
    assert "€ per m²" in profile


def test_a_wrong_home_is_told(file, opened):
    page = opened(file)
    page.fill("#place", "nowhere")
    assert 'no zip "nowhere"' in page.inner_text("#answer")
    page.fill("#field-living_space", "")
    assert "living_space needs a number" in page.inner_text("#answer")
    assert page.get_attribute("#field-living_space", "aria-invalid") == "true"


def test_by_keyboard_alone(post, file, opened):
    page = opened(file)
    focused = "document.activeElement.{}"
    page.keyboard.press("Tab")
    assert page.evaluate(focused.format("className")) == "skip"
    page.focus("#search")
    for key in ("label", "rows", "mean"):
        page.keyboard.press("Tab")
        assert page.evaluate(focused.format("parentNode.dataset.key")) == key
    page.keyboard.press("Enter")
    assert page.get_attribute("#places th[data-key=mean]", "aria-sort") == "descending"
    labels = labels_shown(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    # The table's rows are one stop, at the place whose profile is shown: the dearest.
    page.keyboard.press("Tab")
    assert page.evaluate(focused.format("textContent")) == labels[0]
    for key, at in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", -1), ("Home", 0), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert page.evaluate(focused.format("textContent")) == labels[at]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.inner_text("#profile h3") == labels[1]
    # The focus stays where it was, and what happened is said.
    assert page.evaluate(focused.format("textContent")) == labels[1]
    page.wait_for_selector("#said:not(:empty)", state="attached")
    assert f"The profile of {labels[1]}" in page.inner_text("#said")
    page.keyboard.press("Tab")
    assert page.evaluate(focused.format("id")) == "field-living_space"
    page.keyboard.press("Tab")
    assert page.evaluate(focused.format("value")) == labels[1]


CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((total, v, at) => total + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (made) => {
    for (let at = made; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const made = node.parentElement, style = getComputedStyle(made);
    if (!node.textContent.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "OPTION"].includes(made.tagName)) continue;
    if (style.display === "none" || !made.getClientRects().length) continue;
    const ink = made.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(channels(ink)), light(behind(made))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), node.textContent.trim().slice(0, 30)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(file, opened, scheme):
    page = opened(file, color_scheme=scheme)
    page.hover("#places tbody tr:nth-child(2)")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 200
    assert [one for one in found if one[0] < 4.5] == []
    # A ground as dark as the ink would be seen.
    page.add_style_tag(content=".soft { color: var(--line) !important; }")
    assert min(one[0] for one in page.evaluate(CONTRASTS)) < 4.5


def test_phone_dark_and_paper(file, opened):
    page = opened(file, viewport={"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    background = "getComputedStyle(document.body).backgroundColor"
    page = opened(file, color_scheme="dark")
    dark = page.evaluate(background)
    assert dark == "rgb(20, 23, 28)"
    page.click("#theme")
    assert page.evaluate(background) == "rgb(252, 252, 250)"
    page = opened(file)
    page.click("#theme")
    assert page.evaluate(background) == dark
    page.emulate_media(media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert not page.is_visible(".bar")
    assert not page.is_visible("#search")
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowY") == "visible"
    assert len(page.pdf()) > 10_000


def test_paper_has_all_rows(post, file, opened):
    page = opened(file)
    labels = post.moments.labels.tolist()
    page.fill("#search", labels[7])
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert labels_shown(page) == labels
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert labels_shown(page) == [labels[7]]


@pytest.mark.slow
def test_who_wants_no_motion_gets_none(file, opened):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert opened(file).evaluate(behaviour) == "smooth"
    assert opened(file, reduced_motion="reduce").evaluate(behaviour) == "auto"


def test_a_map_by_mouse_and_keyboard(opened, tmp_path):
    pytest.importorskip("geopandas")
    frame, _ = ph.simulate(seed=1)
    post = ph.fit("price ~ living_space + (1 | zip)", frame, **FAST)
    out = written(post, tmp_path, polygons=ph.simulate_areas())
    assert out.stat().st_size < 1_000_000
    page = opened(out)
    shapes = page.locator("svg.map path.place")
    assert shapes.count() == 219
    shapes.nth(5).hover()
    assert "expected" not in page.inner_text("#tip strong")
    assert "rows" in page.inner_text("#tip")
    shapes.nth(5).click()
    chosen = page.inner_text("#profile h3")
    assert page.input_value("#place") == chosen
    page.focus("svg.map")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#tip strong") != chosen
    page.keyboard.press("Enter")
    assert page.inner_text("#profile h3") != chosen
    before = shapes.nth(3).evaluate("made => made.style.fill")
    page.select_option("#measure", "rows")
    fills = {shapes.nth(at).evaluate("made => made.style.fill") for at in range(0, 219, 9)}
    assert len(fills) > 3
    assert before
