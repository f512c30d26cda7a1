"""Trace pictures: which rows, in which units, what is said of them; matplotlib's state stays as it was."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from priorhood import plot
from priorhood.plot import figure

matplotlib = pytest.importorskip("matplotlib")

UNITS = {"price": "€", "living_space": "m²"}


@pytest.fixture(scope="module")
def post(sales):
    return ph.fit(ph.Model("price ~ living_space + (living_space | zip)", units=UNITS), sales, draws=200, seed=3)


def with_draws(post, stats=None, **draws):
    """The posterior with other draws of some parameters, or other statistics."""
    groups = {name: node.to_dataset() for name, node in post.tree.children.items()}
    groups["posterior"] = groups["posterior"].assign(draws)
    groups["sample_stats"] = groups["sample_stats"].assign(stats or {})
    tree = xr.DataTree.from_dict({f"/{name}": held for name, held in groups.items()})
    tree.attrs = post.tree.attrs
    return dataclasses.replace(post, tree=tree)


def titles(figure):
    """The label and the verdict of every row."""
    texts = [text.get_text() for text in figure.texts[2:]]  # without the heading
    return dict(zip(texts[::2], texts[1::2], strict=True))


def png(figure):
    figure.canvas.draw()
    return figure._repr_png_()


# -- rows -----------------------------------------------------------------------------------------------


def test_the_whole_model(post):
    figure = plot.trace(post)
    assert list(titles(figure)) == [
        "mu[Intercept]", "mu[living_space]", "tau[Intercept]", "tau[living_space]",
        "omega[living_space, Intercept]", "sigma",
    ]  # fmt: skip
    assert len(figure.axes) == 12
    assert png(figure).startswith(b"\x89PNG")


def test_chosen_parameters(post):
    assert list(titles(plot.trace(post, ["sigma", "mu"]))) == ["sigma", "mu[Intercept]", "mu[living_space]"]
    assert list(titles(plot.trace(post, "tau"))) == ["tau[Intercept]", "tau[living_space]"]
    assert list(titles(plot.trace(post, ["tau[living_space]"]))) == ["tau[living_space]"]
    label = f"beta[{post.moments.labels[3]}, living_space]"
    assert list(titles(plot.trace(post, ["sigma", label, label]))) == ["sigma", label]


def test_places(post):
    first, second = post.moments.labels[:2].tolist()
    rows = [f"beta[{first}, Intercept]", f"beta[{first}, living_space]"]
    assert list(titles(plot.trace(post, zip=first))) == rows
    assert list(titles(plot.trace(post, zip=int(first)))) == rows
    assert len(titles(plot.trace(post, zip=np.array([first, second])))) == 4
    assert len(titles(plot.trace(post, zip=[second, first, second]))) == 4
    assert list(titles(plot.trace(post, ["beta", "sigma"], zip=[first]))) == [*rows, "sigma"]


def test_noise_by_place_belongs_to_the_place(post):
    own = post["sigma"] * xr.DataArray(np.arange(1.0, 13.0), dims="zip")
    noisy = with_draws(post, sigma=own.transpose("chain", "draw", "zip"))
    label = str(post.moments.labels[4])
    assert list(titles(plot.trace(noisy, zip=label)))[-1] == f"sigma[{label}]"
    assert "sigma" not in " ".join(titles(plot.trace(noisy)))


def test_degrees_of_freedom(post):
    figure = plot.trace(with_draws(post, nu=post["sigma"] * 10))
    assert list(titles(figure))[-1] == "nu"
    assert figure.axes[-2].get_xlabel() == "degrees of freedom"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"var_names": "taus"}, ("'taus'", "did you mean 'tau'")),
        ({"var_names": ["tau[living]"]}, ("'tau[living]'", "did you mean 'tau[living_space]'")),
        ({"var_names": []}, ("no parameters", "mu, beta, tau")),
        ({"var_names": "beta"}, ("24 parameters", "20", "zip='", "var_names=['beta[")),
        ({"zip": "99999"}, ("no zip '99999'",)),
        ({"zip": []}, ("at least one label",)),
        ({"district": "10115"}, ("'district'", "the group is 'zip'")),
    ],
)
def test_wrong_wishes(post, call, says):
    with pytest.raises(ph.ModelError) as caught:
        plot.trace(post, **call)
    for part in says:
        assert part in str(caught.value)


def test_a_near_place_is_suggested(post):
    label = str(post.moments.labels[0])
    with pytest.raises(ph.ModelError, match=f"did you mean .*'{label}'"):
        plot.trace(post, zip=label[:-1])


def test_no_group_has_no_places(sales):
    pooled = ph.fit("price ~ living_space", sales, chains=2, draws=100, seed=1)
    assert list(titles(plot.trace(pooled)))[-1] == "sigma"
    with pytest.raises(ph.ModelError, match="it has no group"):
        plot.trace(pooled, zip="10115")


def test_a_group_that_is_no_keyword(sales):
    named = ph.fit("price ~ 1 + (1 | `the zip`)", sales.rename(columns={"zip": "the zip"}), draws=100, seed=1)
    label = str(named.moments.labels[0])
    assert list(titles(plot.trace(named, **{"the zip": label}))) == [f"beta[{label}, Intercept]"]


# -- what is shown ----------------------------------------------------------------------------------------


def test_units_and_thousands(post):
    label = str(post.moments.labels[0])
    figure = plot.trace(post, zip=label)
    figure.canvas.draw()
    density, course, slope, _ = figure.axes
    assert density.get_xlabel() == course.get_ylabel() == "€"
    assert slope.get_xlabel() == "€ per m²"
    drawn = course.lines[0].get_ydata()
    np.testing.assert_allclose(drawn, post.natural("beta").sel(zip=label, term="Intercept").values[0])
    ticks = [text.get_text() for text in course.get_yticklabels()]
    assert any("," in text and text.replace(",", "").isdigit() for text in ticks), ticks


def test_densities_integrate_to_one_and_keep_within_bounds(post):
    figure = plot.trace(
        with_draws(post, tau=post["tau"] * 0 + np.abs(np.random.default_rng(1).normal(size=(4, 200, 2))))
    )
    for row, lowest in ((0, -np.inf), (2, 0.0), (4, -1.0)):
        for line in figure.axes[2 * row].lines:
            x, y = line.get_data()
            assert x.min() >= lowest
            assert np.trapezoid(y, x) == pytest.approx(1, abs=0.01)


def test_good_and_bad_chains_in_words(post):
    good = titles(plot.trace(post, "sigma"))["sigma"]
    assert "chains agree (R-hat 1.0" in good
    assert "; bulk ESS " in good
    shifted = post["sigma"].copy()
    shifted[1] += 1.0
    bad = titles(plot.trace(with_draws(post, sigma=shifted), "sigma"))["sigma"]
    assert "chains disagree (R-hat " in bad
    assert "above 1.01" in bad
    assert "below 400" in bad
    single = ph.fit(
        "price ~ living_space", {"price": [1.0, 2, 4, 3], "living_space": [1, 2, 3, 5]}, chains=1, seed=1
    )
    assert "one chain" in titles(plot.trace(single, "sigma"))["sigma"]


def test_a_constant_is_drawn(post):
    figure = plot.trace(with_draws(post, sigma=post["sigma"] * 0 + 0.4), "sigma")
    assert titles(figure) == {"sigma": "a constant"}
    assert png(figure)


def test_divergences_are_ticks_of_their_chain(post):
    diverging = np.zeros((4, 200), bool)
    diverging[2, [5, 90]] = True
    stats = {"diverging": (("chain", "draw"), diverging)}
    figure = plot.trace(with_draws(post, stats), "sigma")
    ticks = [line for line in figure.axes[1].lines if line.get_marker() == "|"]
    assert [line.get_xdata().tolist() for line in ticks] == [[5, 90]]
    assert ticks[0].get_color() == figure.axes[1].lines[2].get_color()
    assert figure.texts[1].get_text().endswith("Ticks below: 2 of 800 transitions diverged.")
    assert not [line for line in plot.trace(post, "sigma").axes[1].lines if line.get_marker() == "|"]


def test_names_are_shown_as_they_are(sales):
    frame = sales.assign(place="$\\alpha$_{" + sales["zip"] + "} " + "long " * 30)
    odd = ph.fit(ph.Model("price ~ 1 + (1 | place)", units={"price": "US$ or A$"}), frame, draws=100, seed=1)
    figure = plot.trace(odd, place=odd.moments.labels[0])
    assert png(figure)
    assert all(len(text.get_text()) < 110 for text in figure.texts)
    assert not figure.texts[0].get_parse_math()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234500.0, "1,234,500"), (0.25, "0.25"), (-3000.0, "−3,000"), (0.0, "0"), (-0.0, "0"), (3e-7, "3e-07")],
)
def test_numbers(value, text):
    from priorhood.plot.figure.style import number

    assert number(value) == text


# -- manners ------------------------------------------------------------------------------------------------


def test_nothing_is_left_behind(post):
    script = (
        "import sys, priorhood, priorhood.plot\n"
        "assert not any(name.startswith('matplotlib') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.facecolor": "black", "figure.autolayout": True, "lines.marker": "o"}):
        figure = plot.trace(post, "sigma")
        assert figure.axes[0].get_facecolor() == (1, 1, 1, 1)
        assert figure.axes[0].lines[0].get_marker() in ("", "None")
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_a_figure_can_be_saved_and_pickled(post, tmp_path):
    figure = plot.trace(post, "sigma")
    for suffix in ("png", "svg", "pdf"):
        figure.savefig(tmp_path / f"trace.{suffix}")
        assert (tmp_path / f"trace.{suffix}").stat().st_size > 1000
    assert png(pickle.loads(pickle.dumps(figure)))


def test_without_matplotlib_the_extra_is_named(post, monkeypatch):
    monkeypatch.delitem(sys.modules, "priorhood.plot.figure.style", raising=False)
    monkeypatch.delattr(figure, "style", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ph.PriorhoodError, match=r"pip install matplotlib \(priorhood's extra \[plot\]\)"):
        plot.trace(post, "sigma")
