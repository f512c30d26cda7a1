"""Pictures of the draws' quality: what they say, their error rate, and empty states."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from priorhood import plot

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def post(sales):
    units = {"price": "€", "living_space": "m²"}
    return ph.fit(ph.Model("price ~ living_space + (living_space | zip)", units=units), sales, seed=3)


def with_draws(post, attrs=None, stats=None, **draws):
    groups = {name: node.to_dataset() for name, node in post.tree.children.items()}
    groups["posterior"] = groups["posterior"].assign(draws)
    groups["sample_stats"] = groups["sample_stats"].assign(stats or {})
    tree = xr.DataTree.from_dict({f"/{name}": held for name, held in groups.items()})
    tree.attrs = {**post.tree.attrs, **(attrs or {})}
    return dataclasses.replace(post, tree=tree)


def elsewhere(post):
    draws = post["mu"].copy()
    draws[1] += 2 * float(draws.std())
    return with_draws(post, mu=draws)


def words(figure):
    panels = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " | ".join([*(text.get_text() for text in figure.texts), *panels])


def test_good_draws(post):
    figure = plot.diagnostics(post)
    figure.canvas.draw()
    text = words(figure)
    assert "all checks passed" in text
    assert "all 30 parameters" in text
    assert "24 parameters of individual places" in text
    assert all(axes.get_xlabel() for axes in figure.axes)
    # Every bar is counted: the four histograms have the places' parameters.
    for axes in figure.axes[:4]:
        assert sum(bar.get_height() for bar in axes.patches) == 24


def test_what_is_wrong_is_named(post):
    text = words(plot.diagnostics(elsewhere(post)))
    assert "There are problems with the draws" in text
    assert "R-hat" in text
    assert "2 above 1.01" in text
    assert "mu[" in text


def test_nuts_has_trees_and_energies(post):
    size = (4, 1000)
    stats = {
        "tree_depth": (("chain", "draw"), np.full(size, 4)),
        "diverging": (("chain", "draw"), np.arange(4000).reshape(size) < 3),
    }
    text = words(plot.diagnostics(with_draws(post, {"engine": "nuts"}, stats)))
    assert "3 of 4,000 transitions diverged" in text
    assert "none of 4,000 trees stopped at depth 10" in text
    assert "E-BFMI" in text


def test_other_shapes(sales):
    pooled = ph.fit("price ~ living_space", sales, draws=120, chains=1, seed=1)
    text = words(plot.diagnostics(pooled))
    assert "one chain, with none to compare it to" in text
    with pytest.raises(ph.ModelError, match="one chain"):
        plot.ranks(pooled)
    few = ph.fit("price ~ living_space", sales, draws=20, seed=1)
    with pytest.raises(ph.ModelError, match="too few"):
        plot.diagnostics(few)


def test_ranks_say_which_chain(post):
    assert "The chains agree" in words(plot.ranks(post))
    text = words(plot.ranks(elsewhere(post), ["mu", "sigma"]))
    assert "The chains disagree: the ranks of 2 of 3 parameters leave the band" in text
    place = str(post.moments.labels[0])
    assert f"beta[{place}, Intercept]" in words(plot.ranks(post, zip=place))
    with pytest.raises(ph.ModelError, match="'taus'"):
        plot.ranks(post, "taus")


def test_rank_curves_are_counts():
    values = np.random.default_rng(1).normal(size=(3, 70))
    curves = plot.ranks.__wrapped__.__globals__["rank_curves"](values, 10)
    pooled = np.sort(values.ravel())
    for chain, curve in zip(values, curves, strict=True):
        wanted = [np.mean(chain <= pooled[int(210 * k / 10) - 1]) - k / 10 for k in range(1, 10)]
        np.testing.assert_allclose(curve, wanted)


def test_agreeing_chains_leave_the_band_as_often_as_said():
    """At 20 % of 400 sets of chains: 4 sds of that share are 8 points. With one of them 0.6 sds off, most do."""
    names = plot.ranks.__wrapped__.__globals__
    rng = np.random.default_rng(2)
    edge = names["band"](4, 400.0, 0.2)
    left = {0.0: 0, 0.6: 0}
    for shift in left:
        for _ in range(400):
            values = rng.normal(size=(4, 100))
            values[0] += shift
            left[shift] += bool((np.abs(names["rank_curves"](values)) > edge).any())
    assert 0.12 < left[0.0] / 400 < 0.28
    assert left[0.6] / 400 > 0.9


def test_sensitivity_is_drawn(post):
    found = ph.sensitivity(post, (0.5,), ["mu", "tau"], chains=2, draws=100)
    figure = plot.sensitivity(found)
    figure.canvas.draw()
    assert figure.axes[0].get_xlabel() == "shift of the mean, in posterior sds"
    assert [label.get_text().partition(" ~")[0] for label in figure.axes[0].get_yticklabels()] == ["mu", "tau"]
