"""All pictures of all kinds of posterior: one heading, words that have room, long labels and old files too."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from pictures import check_room
from priorhood import plot
from priorhood.plot.figure import page, style
from shared_data import STORED

pytest.importorskip("matplotlib")

FILES = STORED
OF_POSTERIORS = {
    "lines": plot.lines, "shrinkage": plot.shrinkage, "forest": plot.forest, "priors": plot.priors,
    "correlation": plot.correlation, "trace": plot.trace, "ranks": plot.ranks, "prior_lines": plot.prior_lines,
}  # fmt: skip
OF_ROWS = {"pit": plot.pit, "misfit": plot.misfit}
LONG = "Ortsteil mit einem $sehr$ langen Namen / hinter der Brücke, links"


def check_heading(figure):
    """The finding stands first, bold, at the page's edge, all lines within the page; the rest is below it."""
    first = figure.texts[0]
    assert first.get_fontweight() == "bold"
    assert first.get_fontsize() == style.NORMAL
    wide, high = figure.get_size_inches()
    assert first.get_position()[0] * wide == pytest.approx(page.EDGE)
    assert (1 - first.get_position()[1]) * high == pytest.approx(page.ABOVE)
    check_room(figure)


def diverged(post):
    """The posterior, some of its transitions diverged."""
    shape = post["sigma"].shape[:2] if "sigma" in post.parameters else post[post.parameters[0]].shape[:2]
    bad = np.random.default_rng(1).random(shape) < 0.2
    groups = {name: node.to_dataset() for name, node in post.tree.children.items()}
    groups["sample_stats"] = groups["sample_stats"].assign(diverging=(("chain", "draw"), bad))
    tree = xr.DataTree.from_dict({f"/{name}": held for name, held in groups.items()})
    tree.attrs = post.tree.attrs
    return dataclasses.replace(post, tree=tree)


@pytest.fixture(scope="module")
def sales():
    frame, _ = ph.simulate(12, 300, seed=7)
    at = frame.zip.rank(method="dense").astype(int)
    return frame.assign(
        zip=[f"{LONG} {k}" for k in at], city=[f"city {k % 3}" for k in at], near=np.log(at + 1.0),
        kind=np.random.default_rng(1).choice(["flat", "a house with a garden", "loft"], len(frame)),
    )  # fmt: skip


@pytest.fixture(scope="module", params=["nested", "crossed"])
def fitted(sales, request):
    inner = "(living_space | city/zip)" if request.param == "nested" else "(living_space | zip) + (1 | kind)"
    units = {"price": "€", "living_space": "m²"}
    model = ph.Model(f"log(price) ~ living_space + {inner}", units=units)
    return ph.fit(model, sales, chains=2, draws=100, seed=1)


@pytest.mark.parametrize("kind", OF_POSTERIORS)
def test_long_labels_of_nested_and_crossed_models(fitted, kind):
    check_heading(OF_POSTERIORS[kind](fitted))


def test_rows_with_long_labels(fitted, sales):
    found = ph.assess(fitted, sales)
    for draw in OF_ROWS.values():
        check_heading(draw(found))
    for kind in ("density", "histogram", "scatter"):
        check_heading(plot.predictive(fitted, sales, kind))
    check_heading(plot.loo(ph.loo(fitted, sales, draws=50)))
    label = str(fitted.hierarchy.levels[0].labels[0])
    home = {"kind": "loft"} if fitted.model.formula.crossed else None
    check_heading(plot.price(fitted, below=300_000, at=home, **{fitted.model.formula.group: label}))


def test_a_price_says_which_crossed_place_is_missing():
    post = ph.load(FILES / "format3.nc")
    (kinds,) = post.hierarchy.crossed
    label = str(post.hierarchy.levels[0].labels[0])
    group = {post.model.formula.group: label}
    with pytest.raises(ph.ModelError, match=f"{kinds.name} is required.*{kinds.labels[0]}.*unseen='population'"):
        plot.price(post, **group)
    check_heading(plot.price(post, at={kinds.name: str(kinds.labels[0])}, **group))
    check_heading(plot.price(post, unseen="population", **group))


@pytest.mark.parametrize("kind", ["lines", "forest", "priors", "trace", "ranks"])
@pytest.mark.parametrize("name", ["format1", "format2", "format3", "format3_noise"])
def test_old_files_student_errors_and_noise_by_place(name, kind):
    check_heading(OF_POSTERIORS[kind](ph.load(FILES / f"{name}.nc")))


def test_divergences_of_student_errors_are_said():
    post = diverged(ph.load(FILES / "format2.nc"))
    assert post.model.family == "student"
    figure = plot.trace(post)
    check_heading(figure)
    assert "transitions diverged" in figure.texts[1].get_text()
    assert figure.texts[0].get_color() == style.WARNING


def test_what_is_known_of_places_is_held_at_its_own_value(sales):
    """Along a predictor of places, the line of the average place has its slope alone."""
    places = sales[["zip", "near"]].drop_duplicates()
    rows = sales.drop(columns="near")
    post = ph.fit("price ~ living_space + near + (1 | zip)", rows, chains=2, draws=100, seed=1, places=places)
    figure = plot.lines(post)
    check_heading(figure)
    mu = post.natural("mu").values.reshape(-1, 3)
    line = figure.axes[0].lines[-1]
    slope = np.polyfit(line.get_xdata(), line.get_ydata(), 1)[0]
    assert slope == pytest.approx(np.median(mu[:, 1]), rel=0.01)
    check_heading(plot.lines(post, "near"))


def test_a_heading_that_is_bad_is_red_and_never_grows_without_end():
    figure = page.new_figure("word " * 200, "other " * 400, 9.0, 3.0, good=False)
    assert [text.get_fontweight() for text in figure.texts] == ["bold"] * 2 + ["normal"] * 3
    assert figure.texts[0].get_color() == style.WARNING
    assert figure.texts[-1].get_text().endswith("…")
    check_room(figure)


def test_the_average_place_has_one_colour_and_priors_another(sales):
    post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=50, seed=1)
    average = [plot.lines(post).axes[0].lines[-1], plot.forest(post).axes[0].lines[0]]
    assert {line.get_color() for line in average} == {style.POPULATION}
    prior = plot.priors(post).axes[0].lines[-1]
    assert prior.get_color() == style.PRIOR != style.POPULATION
