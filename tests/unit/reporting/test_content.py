"""Reports: their numbers are predict()'s, their texts cannot become markup, bad wishes are refused in words."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.model.expression import Expression
from priorhood.reporting import assemble
from priorhood.reporting.calculator import pack, thin_draws
from priorhood.reporting.content import content
from priorhood.reporting.words import number, round_near

UNITS = {"price": "€", "living_space": "m²"}


@pytest.fixture(scope="module")
def post(sales):
    model = ph.Model("price ~ living_space + (living_space | zip)", units=UNITS)
    return ph.fit(model, sales, chains=2, draws=150, seed=3)


def told(post, **options):
    """What the page is given."""
    return content(post, None, **{"at": {}, "below": None, "title": None, "level": None, **options})


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_table_is_expected_and_predict(post):
    found = told(post, at={"living_space": 72}, below=300_000)["places"]
    homes = post.homes({"living_space": 72})
    expected = post.expected(homes).values.reshape(-1, len(homes))
    predicted = post.predict(homes, below=300_000)
    assert [row["label"] for row in found["rows"]] == post.moments.labels.tolist()
    assert [row["rows"] for row in found["rows"]] == post.moments.n.astype(int).tolist()
    np.testing.assert_allclose([row["mean"] for row in found["rows"]], expected.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        [row["low"] for row in found["rows"]], np.quantile(expected, 0.05, axis=0), rtol=1e-6
    )
    np.testing.assert_allclose([row["below"] for row in found["rows"]], predicted["below_300000"], rtol=1e-6)
    average = post.expected({"zip": ["nowhere"], "living_space": [72]}, unseen="population").values.mean()
    assert found["average"]["mean"] == pytest.approx(average, rel=1e-6)


def test_own_rows_alone_are_least_squares(post, sales):
    found = told(post, at={"living_space": 72})["places"]["rows"]
    for row in found:
        own = sales[sales["zip"].astype(str) == row["label"]]
        if len(own) < 3:
            assert row["alone"] is None
            continue
        slope, intercept = np.polyfit(own["living_space"], own["price"], 1)
        assert row["alone"] == pytest.approx(intercept + 72 * slope, rel=1e-6)


def test_own_rows_alone_keep_the_other_terms(sales):
    frame = sales.assign(age=np.random.default_rng(1).uniform(0, 50, len(sales)))
    post = ph.fit("price ~ living_space + age + (1 | zip)", frame, chains=2, draws=100, seed=1)
    slopes = post.natural("mu").mean(("chain", "draw")).sel(term=["living_space", "age"]).values
    row = told(post, at={"living_space": 72, "age": 10})["places"]["rows"][0]
    own = frame[frame["zip"].astype(str) == row["label"]]
    rest = own["price"] - own[["living_space", "age"]].to_numpy() @ slopes
    assert row["alone"] == pytest.approx(rest.mean() + slopes @ [72, 10], rel=1e-6)


def test_packed_draws_are_off_by_half_a_step():
    values = np.random.default_rng(1).normal(size=(3, 2, 50)) * [[[1e-3]], [[1.0]], [[1e6]]]
    values[0, 0] = 4.0
    held = pack(values)
    low, step = np.frombuffer(base64.b64decode(held["bounds"]), "<f8").reshape(6, 2).T[:, :, None]
    steps = np.frombuffer(base64.b64decode(held["steps"]), "<u2").reshape(6, 50)
    off = np.abs(low + step * steps - values.reshape(6, 50))
    assert (off <= step / 2 + 1e-9 * np.abs(values.reshape(6, 50))).all()
    ranges = np.ptp(values.reshape(6, 50), axis=1)[1:]
    assert (off.max(axis=1)[1:] <= ranges / 130_000).all()


def test_more_places_have_fewer_draws(post):
    assert [len(thin_draws(post, places).mu) for places in (12, 10_000)] == [300, 80]


@pytest.mark.parametrize(
    ("text", "nested"),
    [
        ("area", ["column", "area"]),
        ("log(area)", ["log", ["column", "area"]]),
        ("I(area ** 2)", ["**", ["column", "area"], ["number", 2.0]]),
        ("I(-a / 3)", ["/", ["-", ["number", 0.0], ["column", "a"]], ["number", 3.0]]),
        ("sqrt(`living space`)", ["sqrt", ["column", "living space"]]),
    ],
)
def test_expressions_as_lists(text, nested):
    assert Expression(text).nested() == nested


def test_texts_stay_texts(sales, tmp_path):
    label = "</script><script>alert(1)</script><!--data--> & 'x'"
    frame = sales.assign(zip=[label if i % 2 else f"b{i % 3}" for i in range(len(sales))])
    post = ph.fit("price ~ 1 + (1 | zip)", frame, chains=2, draws=100, seed=1)
    out = tmp_path / "r.html"
    ph.report(post, out, title="<img src=x onerror=alert(1)>")
    text = out.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert label in [row["label"] for row in data_of(out)["places"]["rows"]]


def test_nothing_of_the_page_lies_elsewhere(post, tmp_path):
    ph.report(post, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    # A namespace is a name, not an address that is fetched.
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link|@import|url\(|<img|<iframe", text)
    assert "default-src 'none'" in text


def test_no_group_and_known_errors(sales):
    pooled = told(ph.fit("price ~ living_space", sales, chains=2, draws=100, seed=1))
    assert pooled["places"]["rows"] == []
    assert pooled["home"]["options"] == []
    assert " in " not in pooled["summary"][0]
    table = pd.DataFrame({"effect": [1.0, 2, 4, 3], "se": [1.0, 1, 2, 1], "study": list("abcd")})
    post = ph.fit(ph.Model("effect ~ 1 + (1 | study)", se="se"), table, chains=2, draws=100, seed=1)
    found = told(post, below=2)
    assert found["home"]["sigma"] is None
    expected = post.expected(post.homes()).values.reshape(-1, 4)
    np.testing.assert_allclose([r["below"] for r in found["places"]["rows"]], (expected < 2).mean(axis=0))


def test_predictors_of_the_places_are_their_own(sales):
    labels = sorted(sales["zip"].astype(str).unique())
    known = pd.DataFrame({"zip": [*labels, "99999"], "distance": np.linspace(1, 20, len(labels) + 1)})
    post = ph.fit("price ~ living_space + distance + (1 | zip)", sales, places=known, chains=2, draws=100, seed=1)
    found = told(post, at={"living_space": 72})
    expected = post.expected({"zip": labels, "living_space": [72] * len(labels)}).values
    means = expected.reshape(-1, len(labels)).mean(axis=0)
    np.testing.assert_allclose([row["mean"] for row in found["places"]["rows"]], means, rtol=1e-6)
    own = dict(zip(found["home"]["options"], found["home"]["own"]["distance"], strict=True))
    assert own[labels[3]] == pytest.approx(known["distance"][3])
    assert own["a new zip"] is None
    assert "distance" not in found["places"]["home"]


def test_weights_are_told(sales):
    frame = sales.assign(n=np.resize([1, 2, 3], len(sales)), w=np.resize([0.5, 1.0, 4.0], len(sales)))
    counted = ph.fit(
        ph.Model("price ~ living_space + (1 | zip)", frequency_weights="n"), frame, chains=2, draws=100, seed=1
    )
    found = told(counted)
    total = int(frame["n"].sum())
    assert found["fitted"]["rows"] == [["read", len(frame)], ["used", len(frame)], ["represented (by n)", total]]
    assert found["summary"][0].startswith(f"{total:,} rows")
    precise = ph.fit(
        ph.Model("price ~ living_space + (1 | zip)", precision_weights="w"), frame, chains=2, draws=100, seed=1
    )
    found = told(precise, below=400_000)
    assert found["home"]["precision"] == "w"
    homes = precise.homes()
    predicted = precise.predict(homes.assign(w=1.0), below=400_000)["below_400000"]
    np.testing.assert_allclose([row["below"] for row in found["places"]["rows"]], predicted, rtol=1e-6)


def test_the_summary_says_what_was_found(post):
    found = told(post, at={"living_space": 72})
    rows, text = found["places"]["rows"], " ".join(found["summary"])
    least, most = (end(rows, key=lambda row: row["mean"])["label"] for end in (min, max))
    assert re.search(rf"ranges from [\d,]+\xa0€ in {least} to [\d,]+\xa0€ in {most}; the sd across zips is", text)
    assert f"{len(rows)} zips" in text
    assert "At living_space 72\xa0m², the expected price in the average zip is" in text
    assert found["title"] == "Price by zip"
    assert found["summary_checks"][1] is all(v.good for v in post.check())


def test_coarser_places(sales):
    frame = sales.assign(city=np.where(sales["zip"].astype(str) < "11800", "A", "B"))
    post = ph.fit("price ~ living_space + (1 | city/zip)", frame, chains=2, draws=100, seed=1)
    found = told(post, level="city", at={"living_space": 72})
    assert [row["label"] for row in found["places"]["rows"]] == ["A", "B"]
    own = frame[frame["city"] == "A"].assign(living_space=72)
    assert found["places"]["rows"][0]["mean"] == pytest.approx(float(post.expected(own).mean()), rel=1e-6)
    assert found["home"]["options"][found["places"]["rows"][0]["option"]] == "the average zip of A"
    with pytest.raises(ph.ModelError, match="no level 'citty': did you mean 'city'"):
        told(post, level="citty")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"below": float("nan")}, "below must be a finite number"),
        ({"at": {"rooms": 3}}, "no predictor 'rooms'"),
        (
            {"at": {"living_space": None}},
            "'living_space' of the home must be a finite number, such as",
        ),
        ({"at": {"living_space": float("inf")}}, "must be a finite number"),
        ({"column": "plz"}, "add polygons="),
    ],
)
def test_wrong_wishes(post, tmp_path, options, says):
    with pytest.raises(ph.PriorhoodError, match=says):
        ph.report(post, tmp_path / "r.html", **options)
    assert not list(tmp_path.iterdir())


def test_wrong_homes(sales, tmp_path):
    frame = sales.assign(
        kind=np.resize(["flat", "loft"], len(sales)), year=np.resize([2019.0, 2020.0, 2021.0], len(sales))
    )
    post = ph.fit(
        "log(price) ~ log(living_space) + kind + (1 | zip) + (1 | year)", frame, chains=2, draws=100, seed=1
    )
    for at, says in (
        ({"kind": "lofd"}, "there is no kind 'lofd': did you mean 'loft'"),
        ({"year": 2022}, "there is no year '2022'"),
        ({"living_space": -3}, "'living_space' of the home must be above 0"),
        ({"zip": "10115"}, "'zip' is a home's location"),
    ):
        with pytest.raises(ph.ModelError, match=says):
            ph.report(post, tmp_path / "r.html", at=at)
    assert not list(tmp_path.iterdir())
    # A year that came as a number is the same year.
    for year in (2020, 2020.0, "2020"):
        home = told(post, at={"year": year, "living_space": 72})["home"]
        assert home["crossed"][0]["options"][home["crossed"][0]["chosen"]] == "2020"


def test_places_without_groups_are_refused(sales, tmp_path):
    pooled = ph.fit("price ~ living_space", sales, chains=2, draws=100, seed=1)
    with pytest.raises(ph.ModelError, match=r"has no group.*\(1 \| zip\)"):
        ph.report(pooled, tmp_path / "r.html", "areas.geojson")
    with pytest.raises(ph.FileError, match=r"must end in \.html"):
        ph.report(pooled, tmp_path / "r.pdf")


def test_numbers_have_the_digits_that_are_known():
    assert number(394_812.3, 6_400) == "394,800"
    assert number(-0.01234, 0.002) == "−0.0123"
    assert round_near(394_812.3) == 390_000


def test_data_cannot_end_their_element():
    assert "</script><b>" not in assemble({"title": "x", "label": "</script><b>"})


def test_import_does_not_load_it():
    script = "import sys, priorhood; assert 'priorhood.reporting.content' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
