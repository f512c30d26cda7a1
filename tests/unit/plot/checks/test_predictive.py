"""Pictures of prior and posterior predictive checks: what they draw and say; empty and crowded cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

matplotlib = pytest.importorskip("matplotlib")


def texts(figure):
    return [text.get_text() for text in figure.texts]


@pytest.fixture(scope="module")
def checked(fitted, sales):
    return ph.assess(fitted, sales)


@pytest.fixture(scope="module")
def pooled(sales):
    return ph.fit("price ~ living_space", sales, chains=2, draws=100, seed=3)


@pytest.mark.parametrize("kind", ["density", "histogram", "scatter"])
def test_observed_and_replicated(fitted, sales, kind):
    figure = ph.plot.predictive(fitted, sales, kind, draws=20)
    assert "300 rows" in texts(figure)[1]
    assert figure._repr_png_().startswith(b"\x89PNG")
    again = ph.plot.predictive(fitted, sales, kind, draws=20)
    assert texts(figure) == texts(again)


def test_density_has_a_line_for_every_draw(fitted, sales):
    figure = ph.plot.predictive(fitted, sales, draws=20)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert len(lines) == 21
    assert lines[-1].get_linewidth() > lines[0].get_linewidth()


def test_scatter_says_the_share_that_predict_gives(fitted, sales):
    told = fitted.predict(sales)
    share = 100 * ((told["price"] >= told["q5"]) & (told["price"] <= told["q95"])).mean()
    figure = ph.plot.predictive(fitted, sales, "scatter")
    assert abs(float(texts(figure)[0].split(" %")[0]) - share) < 0.5


def test_histogram_finds_what_the_model_does_not_make(fitted, sales, pooled):
    def inside(post, rows):
        return int(texts(ph.plot.predictive(post, rows, "histogram"))[0].removeprefix("In ").split(" of ")[0])

    odd = sales.assign(price=np.where(np.arange(len(sales)) % 2, sales["price"].mean(), sales["price"]))
    assert inside(fitted, sales) >= 24
    assert inside(fitted, odd) < inside(fitted, sales)


def test_one_place_and_unknown_ones(fitted, sales):
    label = sales["zip"].iloc[0]
    figure = ph.plot.predictive(fitted, sales, zip=label)
    assert f", zip {label}" in texts(figure)[1]
    assert f"{(sales['zip'] == label).sum()} rows" in texts(figure)[1]
    with pytest.raises(ph.TableError, match="no usable row has zip 'nowhere'"):
        ph.plot.predictive(fitted, sales, zip="nowhere")
    with pytest.raises(ph.ModelError, match="it is 'zip'"):
        ph.plot.predictive(fitted, sales, county="x")


def test_what_cannot_be_drawn_is_refused(fitted, sales):
    with pytest.raises(ph.ModelError, match="kind must be one of density, histogram, scatter"):
        ph.plot.predictive(fitted, sales, "violin")
    with pytest.raises(ph.TableError, match="no column 'price' \\(the outcome\\)"):
        ph.plot.predictive(fitted, sales.drop(columns="price"))
    with pytest.raises(ph.ModelError, match="draws must be"):
        ph.plot.predictive(fitted, sales, draws=0)


def test_a_single_row(fitted, sales):
    for kind in ("density", "histogram", "scatter"):
        assert ph.plot.predictive(fitted, sales.head(1), kind).axes


# -- prior lines --------------------------------------------------------------------------------------------


def test_prior_lines_need_no_rows_of_a_posterior(fitted, sales):
    figure = ph.plot.prior_lines(fitted, bounds=(0, 10_000_000), seed=1)
    same = ph.plot.prior_lines(fitted.model, sales, bounds=(0, 10_000_000), seed=1)
    assert texts(figure) == texts(same)
    assert "are impossible: they leave 0 to 10,000,000" in texts(figure)[0]
    assert len(figure.axes) == 2


def test_the_share_outside_is_that_of_the_prior(fitted):
    """The average place's line at x is mu[0] + mu[1] (x − centre)/spread: outside somewhere iff at an end."""
    figure = ph.plot.prior_lines(fitted, bounds=(0, 1_000_000), seed=1, draws=4000)
    told = float(figure.axes[0].texts[0].get_text().split(": ")[1].split(" %")[0]) / 100
    rng = np.random.default_rng(1)
    unit = fitted.scale.unit
    a, b = rng.normal(0, 20, 200_000) * unit, rng.normal(0, 5, 200_000) * unit
    x = figure.axes[0].lines[0].get_xdata()
    ends = (x[[0, -1]] - fitted.scale.centre[1]) / fitted.scale.spread[1]
    line = a[:, None] + b[:, None] * ends
    expected = ((line < 0) | (line > 1_000_000)).any(axis=1).mean()
    assert abs(told - expected) < 0.03  # three standard errors and the rounding


def test_narrow_priors_leave_less(fitted):
    wide = texts(ph.plot.prior_lines(fitted, bounds=(0, 10_000_000)))[0]
    model = fitted.model.with_priors(
        ["mu[Intercept] ~ Normal(4, 0.1)", "mu[living_space] ~ Normal(1, 0.1)", "tau ~ HalfNormal(0.1)"]
    )
    from dataclasses import replace

    other = replace(fitted, data=replace(fitted.data, model=model))
    narrow = texts(ph.plot.prior_lines(other, bounds=(0, 10_000_000)))[0]
    assert int(wide.split(" %")[0]) > 50 > int(narrow.split(" %")[0])


def test_prior_lines_of_logs_and_without_groups(sales, pooled):
    figure = ph.plot.prior_lines("log(price) ~ log(living_space) + (1 | zip)", sales[sales["price"] > 0])
    assert figure.axes[0].get_yscale() == "log"
    assert len(ph.plot.prior_lines(pooled).axes) == 1


def test_prior_lines_say_what_is_missing(fitted, sales):
    with pytest.raises(ph.ModelError, match="needs a table"):
        ph.plot.prior_lines("price ~ living_space")
    with pytest.raises(ph.ModelError, match="bounds must be"):
        ph.plot.prior_lines(fitted, bounds=(5, 1))
    with pytest.raises(ph.ModelError, match="no numeric predictor 'livingspace'; did you mean 'living_space'"):
        ph.plot.prior_lines(fitted, x="livingspace")
    with pytest.raises(ph.ModelError, match="no numeric predictor to plot"):
        ph.plot.prior_lines("price ~ 1 + (1 | zip)", sales)


# -- what assess() found ------------------------------------------------------------------------------------


def test_pit_has_lines_histogram_and_funnel(checked):
    figure = ph.plot.pit(checked)
    assert len(figure.axes) == 3
    assert texts(figure)[0].startswith("The rows are distributed as the model predicts")
    bars = [bar.get_height() for bar in figure.axes[1].patches]
    assert abs(sum(bars) - 100) < 1e-6


def test_misfit_names_what_is_wrong(fitted, sales):
    label = sales["zip"].value_counts().index[0]
    odd = sales.assign(
        price=sales["price"] + np.where(sales["zip"] == label, 1e6, 0) * np.sin(np.arange(len(sales)))
    )
    figure = ph.plot.misfit(ph.assess(fitted, odd))
    assert "not fit" in texts(figure)[0]
    assert label in figure.axes[1].get_yticklabels()[0].get_text()


def test_misfit_of_right_rows_of_one_place_and_of_none(checked, sales, pooled):
    assert texts(ph.plot.misfit(checked))[0] == "The model fits all 12 zips"
    one = sales[sales["zip"] == sales["zip"].value_counts().index[0]]
    for model, rows in (("price ~ living_space", one),):
        post = ph.fit(model, rows, chains=2, draws=100, seed=1)
        found = ph.assess(post, rows)
        assert ph.plot.misfit(found).axes
        assert len(ph.plot.pit(found).axes) == 2


def test_hundreds_of_places(sales):
    rng = np.random.default_rng(1)
    g = rng.integers(0, 400, 1500)
    frame = pd.DataFrame({"y": rng.normal(size=1500) + rng.normal(size=400)[g], "g": [f"place {k}" for k in g]})
    post = ph.fit("y ~ 1 + (1 | g)", frame, chains=2, draws=100, seed=1)
    figure = ph.plot.misfit(ph.assess(post, frame))
    assert len(figure.axes[1].get_yticks()) == 10
    assert "the 10 worst" in texts(figure)[1]
