"""Pictures of places: what is drawn, against independent computations; words, units and room on the page."""

from __future__ import annotations

import numpy as np
import pytest

import priorhood as ph
from pictures import check_room, words
from priorhood import plot

matplotlib = pytest.importorskip("matplotlib")

UNITS = {"price": "€", "living_space": "m²"}
LINES = "price ~ living_space + (living_space | zip)"
PICTURES = {
    "lines": plot.lines, "shrinkage": plot.shrinkage, "forest": plot.forest, "priors": plot.priors,
    "correlation": plot.correlation,
}  # fmt: skip


def fitted(places, rows, formula=LINES, draws=100, **options):
    frame, _ = ph.simulate(places, rows, seed=5)
    return ph.fit(ph.Model(formula, units=UNITS, **options), frame, chains=2, draws=draws, seed=3), frame


@pytest.fixture(scope="module")
def small():
    return fitted(3, 60)


@pytest.fixture(scope="module")
def many():
    return fitted(219, 2000)


@pytest.fixture(scope="module")
def post(small):
    return small[0]


def shown(figure):
    return [text.get_text() for text in words(figure)]


# -- room -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("size", ["small", "many"])
def test_words_have_room(kind, size, request):
    post, _ = request.getfixturevalue(size)
    check_room(PICTURES[kind](post))


@pytest.mark.parametrize("size", ["small", "many"])
def test_one_place_and_one_home_have_room(size, request):
    post, frame = request.getfixturevalue(size)
    label = frame.zip.iloc[0]
    for figure in (
        plot.lines(post, zip=label), plot.lines(post, table=frame, zip=label), plot.forest(post, zip=label),
        plot.price(post, below=350_000, at={"living_space": 100}, zip=label), plot.correlation(post, zip=label),
        plot.shrinkage(post, "Intercept", zip=label), plot.priors(post, "sigma"),
    ):  # fmt: skip
        check_room(figure)


def test_a_text_on_another_is_noticed(post):
    figure = plot.priors(post)
    figure.text(*figure.texts[0].get_position(), "on it", va="top")
    with pytest.raises(AssertionError, match="on it"):
        check_room(figure)
    figure = plot.priors(post)
    figure.text(1.2, 0.5, "outside")
    with pytest.raises(AssertionError, match="outside"):
        check_room(figure)


# -- lines ------------------------------------------------------------------------------------------------


def test_bands_are_quantiles_of_the_line(post):
    figure = plot.lines(post)
    axes = figure.axes[0]
    label = str(post.hierarchy.levels[0].labels[0])
    x = axes.lines[-2].get_xdata()
    beta = post["beta"].sel(zip=label).values.reshape(-1, 2)
    line = (beta[:, 0] + beta[:, 1] * (x[:, None] - post.scale.centre[1]) / post.scale.spread[1]) * post.scale.unit
    low, middle, high = np.quantile(line, [0.05, 0.5, 0.95], axis=1)
    np.testing.assert_allclose(axes.lines[-2].get_ydata(), middle)
    outline = axes.collections[0].get_paths()[0].vertices
    for at in (0, 30, 59):
        ends = outline[np.isclose(outline[:, 0], x[at]), 1]
        np.testing.assert_allclose([ends.min(), ends.max()], [low[at], high[at]])


def test_the_average_line_is_that_of_mu(post):
    line = plot.lines(post).axes[0].lines[-1]
    mu = post["mu"].values.reshape(-1, 2)
    x = (line.get_xdata() - post.scale.centre[1]) / post.scale.spread[1]
    np.testing.assert_allclose(line.get_ydata(), np.median(mu[:, [0]] + mu[:, [1]] * x, axis=0) * post.scale.unit)


def test_rows_are_those_of_the_place(small):
    post, frame = small
    label = str(post.hierarchy.levels[0].labels[1])
    dots = plot.lines(post, table=frame, zip=label).axes[0].lines[0]
    own = frame[frame.zip == label]
    assert sorted(zip(*dots.get_data(), strict=True)) == sorted(zip(own.living_space, own.price, strict=True))


def test_without_rows_their_spread(small):
    post, frame = small
    outline = plot.lines(post).axes[0].lines[0]
    own = frame[frame.zip == str(post.hierarchy.levels[0].labels[0])]
    for values, drawn in ((own.living_space, outline.get_xdata()), (own.price, outline.get_ydata())):
        assert drawn.max() == pytest.approx(values.mean() + values.std(ddof=0), rel=1e-3)
        assert drawn.min() == pytest.approx(values.mean() - values.std(ddof=0), rel=1e-3)


def test_places_that_tell_something(many):
    post, frame = many
    told = " ".join(shown(plot.lines(post)))
    counts = frame.zip.value_counts()
    assert f"{counts.max()} rows, most rows" in told
    assert "fewest rows" in told
    assert "highest" in told
    assert "8 of 219 zips" in told
    assert "living_space, m²" in told
    assert "expected price, €" in told


def test_a_category_is_drawn_as_intervals():
    rng = np.random.default_rng(1)
    frame, _ = ph.simulate(4, 80, seed=5)
    frame["kind"] = rng.choice(["flat", "loft", "house"], len(frame))
    post = ph.fit("price ~ kind + (1 | zip)", frame, chains=2, draws=50, seed=1)
    axes = plot.lines(post).axes[0]
    label = str(post.hierarchy.levels[0].labels[0])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["flat", "house", "loft"]
    means = frame[frame.zip == label].groupby("kind").price.mean()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), means.to_numpy(), rtol=1e-8)
    drawn = plot.lines(post, table=frame, zip=label).axes[0].lines[0]
    assert len(drawn.get_xdata()) == (frame.zip == label).sum()


def test_a_log_outcome_is_curved_and_nested_places_have_lines():
    frame, _ = ph.simulate(6, 90, seed=5)
    frame["city"] = frame.zip.rank(method="dense").map(lambda at: "A" if at <= 3 else "B")
    post = ph.fit("log(price) ~ log(living_space) + (1 | city/zip)", frame, chains=2, draws=50, seed=1)
    figure = plot.lines(post, table=frame)
    line = figure.axes[0].lines[-2]
    home = post.homes().iloc[[0] * 60].assign(living_space=line.get_xdata())
    np.testing.assert_allclose(line.get_ydata(), np.median(post.expected(home), axis=(0, 1)))
    check_room(figure)
    check_room(plot.forest(post, "beta_city"))
    check_room(plot.shrinkage(post))


# -- shrinkage --------------------------------------------------------------------------------------------


def test_arrows_go_from_least_squares_to_the_posterior_mean(small):
    post, frame = small
    axes = plot.shrinkage(post).axes[0]
    (segments,) = (c.get_segments() for c in axes.collections if hasattr(c, "get_segments"))
    for (start, end), label in zip(segments, post.hierarchy.levels[0].labels, strict=True):
        own = frame[frame.zip == label]
        X = np.column_stack([np.ones(len(own)), own.living_space - post.scale.centre[1]])
        np.testing.assert_allclose(start, np.linalg.lstsq(X, own.price, rcond=None)[0], rtol=1e-8)
        np.testing.assert_allclose(end, post.natural("beta").sel(zip=label).mean(("chain", "draw")))


def test_places_without_an_estimate_of_their_own_are_said(many):
    post, frame = many
    counts = frame.zip.value_counts()
    assert (counts == 1).any()
    told = " ".join(shown(plot.shrinkage(post)))
    assert f"Rings: {(counts == 1).sum()} with too few rows for an estimate of their own" in told


def test_one_term_is_one_axis(many):
    post, _ = many
    axes = plot.shrinkage(post, "living_space").axes[0]
    assert axes.get_xlabel() == "beta[living_space], € per m²"
    (segments,) = (c.get_segments() for c in axes.collections if hasattr(c, "get_segments"))
    assert all(start[1] == end[1] for start, end in segments)


@pytest.mark.parametrize("mass", [0.5, 0.9])
def test_ellipses_hold_their_share_of_new_places(post, mass):
    """Of 40,000 new draws, the share inside differs by 0.01 from the stated one once in 10⁴ runs at most."""
    from matplotlib.path import Path

    from priorhood.plot.figure.select_places import new_places, regions
    from priorhood.prediction.places import Groups

    polygon = regions(new_places(post, np.array([0, 1])), (mass,))[0]
    c = post._coefficients()
    spots = tuple(f"another {at}" for at in range(200))
    fresh = Groups(c, spots, "draw", 99)
    drawn = np.concatenate([fresh.beta(at) for at in range(200)]) * post.scale.natural()
    inside = Path(polygon).contains_points(drawn)
    assert inside.mean() == pytest.approx(mass, abs=0.012)
    # The same ellipse, a fifth too wide, must be noticed.
    wide = polygon.mean(axis=0) + 1.2 * (polygon - polygon.mean(axis=0))
    assert abs(Path(wide).contains_points(drawn).mean() - mass) > 0.012


# -- forest -----------------------------------------------------------------------------------------------


def test_intervals_are_quantiles(post):
    axes = plot.forest(post, term="living_space").axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    wide = [line for line in axes.lines if line.get_linewidth() == 1.0 and len(line.get_xdata()) == 2]
    for name, line in zip(names, wide, strict=True):
        draws = post.natural("beta").sel(zip=name, term="living_space")
        np.testing.assert_allclose(line.get_xdata(), draws.quantile([0.05, 0.95]))
    assert axes.get_xlabel() == "beta[living_space], € per m²"


def test_the_price_of_a_home(post):
    axes = plot.forest(post, at={"living_space": 100}).axes[0]
    dots = {float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"}
    expected = np.median(post.expected(post.homes({"living_space": 100})), axis=(0, 1))
    np.testing.assert_allclose(sorted(dots), sorted(expected))
    assert "living_space 100 m²" in axes.get_xlabel()


def test_hundreds_of_places(many):
    post, frame = many
    told = shown(plot.forest(post))
    assert "… 199 more" in told
    assert {"highest 10", "lowest 10", "widest 10"} <= set(told)
    middle = post.natural("beta").sel(term="Intercept").median(("chain", "draw"))
    highest = str(middle.zip[int(np.argmax(middle.values))].values)
    assert highest in told
    assert f"{(frame.zip == highest).sum()}" in told
    assert "highest 30 of 219" in shown(plot.forest(post, select="top"))
    labels = post.hierarchy.levels[0].labels[[5, 3]].tolist()
    names = [text.get_text() for text in plot.forest(post, select=labels).axes[0].get_yticklabels()]
    assert sorted(names) == sorted(labels)


# -- priors -----------------------------------------------------------------------------------------------


def test_priors_are_those_of_the_model_in_the_datas_units(post):
    from priorhood.plot.parameters.prior_posterior import prior_posterior_pairs

    for one in prior_posterior_pairs(post):
        low, high = one.bounds
        x = np.linspace(max(low, -4e7), min(high, 4e7), 2_000_001)
        assert np.trapezoid(one.prior(x), x) == pytest.approx(1, abs=2e-3), one.name
    names = {one.name: one for one in prior_posterior_pairs(post)}
    tau = names["tau[Intercept]"]
    scale = 5 * post.scale.unit
    assert tau.prior(np.array([1e5]))[0] == pytest.approx(np.exp(-1e5 / scale) / scale)
    assert names["omega[living_space, Intercept]"].prior(np.array([0.5]))[0] == pytest.approx(0.75 * 0.75)


def test_posterior_densities_keep_within_bounds(post):
    figure = plot.priors(post)
    assert len(figure.axes) == 6
    for axes, low in zip(figure.axes[2:], [0, 0, -1, 0], strict=True):
        assert axes.lines[0].get_xdata().min() >= low
        x, y = axes.lines[0].get_data()
        assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02)


def test_a_prior_the_data_say_nothing_of_is_named(small):
    _, frame = small
    post = ph.fit(
        ph.Model(LINES, ["mu[living_space] ~ Normal(1.5, 0.001)", "sigma ~ Fixed(0.4)"]), frame, draws=100, seed=3
    )
    told = shown(plot.priors(post))
    assert any("say little about mu[living_space]" in text for text in told)
    assert any(text.startswith("Fixed(") and text.endswith("known") for text in told)


# -- correlation ------------------------------------------------------------------------------------------


def test_points_are_posterior_means(post):
    figure = plot.correlation(post)
    means = post.natural("beta").mean(("chain", "draw")).values
    drawn = [np.column_stack(line.get_data()) for line in figure.axes[0].lines]
    assert any(points.shape == means.shape and np.allclose(points, means) for points in drawn)
    posterior, prior, _ = figure.axes[1].lines
    assert np.trapezoid(posterior.get_ydata(), posterior.get_xdata()) == pytest.approx(1, abs=0.02)
    assert np.trapezoid(prior.get_ydata(), prior.get_xdata()) == pytest.approx(1, abs=1e-3)


def test_independent_effects_have_no_correlation():
    post, _ = fitted(4, 60, "price ~ living_space + (living_space || zip)")
    figure = plot.correlation(post)
    assert len(figure.axes) == 1
    assert "assumed independent by the formula" in shown(figure)[0] + "".join(shown(figure))


# -- price ------------------------------------------------------------------------------------------------


def test_the_share_below_is_predicts_and_is_what_is_shaded(post):
    label = str(post.hierarchy.levels[0].labels[0])
    home = {"zip": [label], "living_space": [70.0]}
    told = post.predict(home, below=350_000.0)
    figure = plot.price(post, home, 350_000)
    share = told["below_350000"].iloc[0]
    assert f"{100 * share:.0f} % below 350,000 €" in " ".join(shown(figure))
    line = figure.axes[0].lines[1]
    x, y = line.get_data()
    assert np.trapezoid(y, x) == pytest.approx(0.996, abs=2e-3)
    part = x <= 350_000
    assert np.trapezoid(y[part], x[part]) == pytest.approx(share, abs=3e-3)


def test_a_price_less_a_sum_is_not_called_the_price(small):
    how, rows = {"chains": 2, "draws": 50, "seed": 1}, small[1]
    label = rows["zip"].iloc[0]
    for text, name in {"price - 100000": "price - 100000", "log(price / 1000)": "price / 1000"}.items():
        post = ph.fit(f"{text} ~ living_space + (1 | zip)", rows, **how)
        assert f"Probability of {name} below 90: " in " ".join(shown(post.plot.price(zip=label, below=90)))
        assert f"Median {name}: " in " ".join(shown(post.plot.price(zip=label)))
    post = ph.fit("log(price) ~ living_space + (1 | zip)", rows, **how)
    assert "Probability of less than 90: " in " ".join(shown(post.plot.price(zip=label, below=90)))


def test_homes_are_named_by_what_tells_them_apart(post):
    first, second = (str(label) for label in post.hierarchy.levels[0].labels[:2])
    figure = plot.price(post, {"zip": [first, second], "living_space": [70.0, 70.0]}, 350_000)
    assert {first, second} <= set(shown(figure))
    assert any("living_space 70 m²" in text for text in shown(figure))
    check_room(figure)
    new = plot.price(post, {"zip": "elsewhere", "living_space": 70.0}, unseen="draw")
    assert any("elsewhere" in text for text in shown(new))


# -- wrong wishes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "call", "says"),
    [
        ("lines", {"x": "living_spac"}, "did you mean 'living_space'"),
        ("lines", {"zip": "99999"}, "no zip '99999'"),
        ("lines", {"at": {"living_space": 3}}, "leave it out of at="),
        ("lines", {"district": "x"}, "'district' is not the group"),
        ("lines", {"data": "sales.csv"}, "there is no argument data: it is called table"),
        ("shrinkage", {"terms": "rooms"}, "'rooms' does not vary by zip"),
        ("forest", {"var": "bet"}, "did you mean 'beta'"),
        ("forest", {"term": "rooms"}, "no term 'rooms'"),
        ("forest", {"select": "best"}, "select must be one of auto"),
        ("forest", {"select": ["99999"]}, "no zip '99999'"),
        ("forest", {"at": {"rooms": 3}}, "no predictor 'rooms'"),
        ("priors", {"var_names": "taus"}, "did you mean 'tau'"),
        ("correlation", {"terms": ["Intercept"]}, "needs two coefficients"),
        ("price", {}, "which home"),
        ("price", {"home": {"zip": "99999", "living_space": 70}}, "unseen"),
        ("price", {"home": {"zip": "99999"}, "at": {"living_space": 1}}, "already contains the place"),
    ],
)
def test_wrong_wishes(post, kind, call, says):
    with pytest.raises(ph.PriorhoodError) as caught:
        getattr(plot, kind)(post, **call)
    assert says in str(caught.value)


def test_without_groups():
    frame, _ = ph.simulate(3, 60, seed=5)
    pooled = ph.fit(ph.Model("price ~ living_space", units=UNITS), frame, chains=2, draws=50, seed=1)
    for figure in (plot.lines(pooled), plot.lines(pooled, table=frame), plot.priors(pooled), plot.price(pooled)):
        check_room(figure)
    for picture in (plot.shrinkage, plot.forest, plot.correlation):
        with pytest.raises(ph.ModelError, match="has no group"):
            picture(pooled)


def test_noise_by_place_and_crossed_groups():
    rng = np.random.default_rng(1)
    frame, _ = ph.simulate(4, 80, seed=5)
    frame["kind"] = rng.choice(["flat", "loft"], len(frame))
    noisy = ph.fit("price ~ living_space + (1 | zip)", frame, chains=2, draws=50, seed=1)
    own = ph.fit(ph.Model("price ~ living_space + (1 | zip)", noise="zip"), frame, chains=2, draws=50, seed=1)
    crossed = ph.fit("price ~ living_space + (1 | zip) + (1 | kind)", frame, chains=2, draws=50, seed=1)
    for post in (noisy, own, crossed):
        for picture in (plot.lines, plot.shrinkage, plot.forest, plot.priors):
            check_room(picture(post))
        check_room(plot.price(post, at={"living_space": 80}, zip=frame.zip.iloc[0]) if post is not crossed else
                   plot.price(post, at={"living_space": 80, "kind": "loft"}, zip=frame.zip.iloc[0]))  # fmt: skip
    check_room(plot.forest(own, "sigma"))
    check_room(plot.forest(crossed, "delta_kind"))
    with pytest.raises(ph.ModelError, match="has only one"):
        plot.correlation(own)
