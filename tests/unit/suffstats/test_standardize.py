"""Standardizing: what is centred, natural units, the printed equations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.model.weights import Weights
from priorhood.suffstats.standardize import learn_scale, standardized


@pytest.fixture(scope="module")
def homes():
    rng = np.random.default_rng(2)
    n = 200
    area = rng.uniform(30, 150, n)
    return pd.DataFrame(
        {
            "zip": [f"{i % 10:05d}" for i in range(n)],
            "area": area,
            "rooms": np.round(area / 30) + rng.integers(0, 2, n),
            "kind": np.where(rng.random(n) < 0.3, "loft", "flat"),
            "price": 4000 * area + 90_000 + rng.normal(0, 60_000, n),
        }
    )


def scale_of(moments_of, text, table, *, standardize=True, unit=None):
    design, found = moments_of(text, table)
    return design, found, learn_scale(found, design, standardize=standardize, unit=unit)


@pytest.mark.parametrize(
    ("text", "centred"),
    [
        ("price ~ area + (area | zip)", {"area"}),
        ("price ~ area + (1 | zip)", {"area"}),
        ("price ~ area", {"area"}),
        ("price ~ area + (area || zip)", {"area"}),
        # A slope that varies where no intercept does would pull an intercept along if centred.
        ("price ~ area + (0 + area | zip)", set()),
        ("price ~ area + rooms + (0 + area | zip)", {"rooms"}),
        ("price ~ 0 + area + (1 | zip)", set()),
        ("price ~ 0 + area", set()),
        # Varying only by group: the population's intercept takes the centre of the groups' mean, 0 slope.
        ("price ~ 1 + (area | zip)", {"area"}),
        ("price ~ area + rooms + (rooms | zip)", {"area", "rooms"}),
        ("price ~ kind + (kind | zip)", {"kind[loft]"}),
        # Only the groups have lines: their own intercepts absorb it, whose mean stays 0.
        ("price ~ 0 + (area | zip)", {"area"}),
        ("price ~ 0 + (area || zip)", {"area"}),
        ("price ~ 0 + (0 + area | zip)", set()),
        ("price ~ 0 + area + (area | zip)", set()),
        ("price ~ 0 + rooms + (area | zip)", {"area"}),
        ("price ~ 1 + (0 + area | zip)", set()),
    ],
)
def test_only_what_an_intercept_absorbs_is_centred(moments_of, homes, text, centred):
    design, _, scale = scale_of(moments_of, text, homes)
    values = homes.assign(**{"kind[loft]": (homes["kind"] == "loft") * 1.0})
    for d, name in enumerate(design.names):
        if name == "Intercept":
            assert (scale.centre[d], scale.spread[d]) == (0.0, 1.0)
            continue
        assert scale.centre[d] == pytest.approx(values[name].mean() if name in centred else 0.0, rel=1e-12)
        assert scale.spread[d] == pytest.approx(1.0 if "[" in name else values[name].std(ddof=0), rel=1e-10)


def test_centring_does_not_change_the_model(homes):
    """With priors so wide that they say nothing, lines in the data's units do not depend on standardizing."""
    wide = {"mu": ph.Normal(0, 1e8), "tau": ph.HalfNormal(1e7), "sigma": ph.HalfNormal(1e7)}
    text = "price ~ area + (0 + area | zip)"
    at = {"zip": ["00003"] * 2, "area": [50.0, 120.0]}
    how = {"chains": 4, "draws": 1000, "seed": 4}
    one = ph.fit(ph.Model(text, wide), homes, **how)
    other = ph.fit(ph.Model(text, wide, standardize=False, outcome_unit=1), homes, **how)
    first, second = (p.predict(at) for p in (one, other))
    # Means of 4,000 nearly independent draws of a line whose sd is well below the row's sd.
    tolerance = 5 * first["sd"].max() / np.sqrt(4000)
    np.testing.assert_allclose(first["mean"], second["mean"], atol=tolerance)


def test_centring_groups_lines_without_a_population_does_not_change_them(homes):
    """The same with spreads so wide that they say nothing: every group's own least-squares line."""
    text, at = "price ~ 0 + (area || zip)", {"zip": ["00003"] * 2, "area": [50.0, 120.0]}
    own = homes[homes["zip"] == "00003"]
    line = np.polyval(np.polyfit(own["area"], own["price"], 1), at["area"])
    for options, unit in (({}, 1e5), ({"standardize": False, "outcome_unit": 1}, 1.0)):
        known = {"tau": ph.Fixed(1e9 / unit), "sigma": ph.Fixed(6e4 / unit)}
        found = ph.fit(ph.Model(text, known, **options), homes, seed=4).predict(at)
        # Means of 4,000 independent draws; the line's own sd is below the row's.
        np.testing.assert_allclose(found["mean"], line, atol=5 * found["sd"].max() / np.sqrt(4000))


def test_unpooled_regressions_are_those_of_every_group_alone(homes):
    """price ~ 0 + (area || zip) with known spreads: draws of a group are the ridge regression of its rows."""
    known = {"tau[Intercept]": ph.Fixed(20), "tau[area]": ph.Fixed(5), "sigma": ph.Fixed(0.6)}
    post = ph.fit(ph.Model("price ~ 0 + (area || zip)", known), homes, seed=5)
    assert post.parameters == ["beta", "tau", "sigma"]
    assert post.attrs["acceptance"] == 1.0
    x = (homes["area"] - homes["area"].mean()) / homes["area"].std(ddof=0)
    for label in ("00000", "00007"):
        own = (homes["zip"] == label).to_numpy()
        X = np.column_stack([np.ones(own.sum()), x[own]])
        precision = X.T @ X / 0.6**2 + np.diag([1 / 20**2, 1 / 5**2])
        mean = np.linalg.solve(precision, X.T @ homes["price"][own] / 1e5 / 0.6**2)
        sd = np.sqrt(np.diag(np.linalg.inv(precision)))
        draws = post["beta"].sel(zip=label).values.reshape(-1, 2)
        n = len(draws)
        assert (np.abs(draws.mean(axis=0) - mean) < 5 * sd / np.sqrt(n)).all()
        assert (np.abs(draws.std(axis=0) / sd - 1) < 5 / np.sqrt(2 * n)).all()
    np.testing.assert_array_equal(post["tau"].sel(zip_term="area"), 5.0)


def test_known_errors_weigh_the_scale(moments_of, homes):
    frame = homes.assign(se=np.where(homes["area"] > 90, 5e3, 8e4))
    design, found = moments_of("price ~ area + (area | zip)", frame, weights=Weights(se="se"))
    scale = learn_scale(found, design, standardize=True, unit=None)
    w = 1 / frame["se"] ** 2
    mean = np.average(frame["area"], weights=w)
    assert scale.centre[1] == pytest.approx(mean, rel=1e-12)
    assert scale.spread[1] == pytest.approx(np.sqrt(np.average((frame["area"] - mean) ** 2, weights=w)), rel=1e-10)


def test_standardized_moments_are_those_of_standardized_rows(moments_of, homes):
    design, found, scale = scale_of(moments_of, "price ~ area + rooms + (area | zip)", homes)
    mean, scatter = standardized(found, design, scale)
    X = np.column_stack([
        np.ones(len(homes)),
        *((homes[c] - homes[c].mean()) / homes[c].std(ddof=0) for c in ("area", "rooms")),
        homes["price"] / scale.unit,
    ])  # fmt: skip
    for j, label in enumerate(found.labels):
        own = X[(homes["zip"] == label).to_numpy()]
        np.testing.assert_allclose(mean[j], own.mean(axis=0), rtol=1e-9, atol=1e-11)
        away = own - own.mean(axis=0)
        np.testing.assert_allclose(scatter[j], away.T @ away, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("factor", "unit"), [(1.0, 1e5), (1e-2, 1e3), (1e3, 1e8), (1e-6, 0.1)], ids=["€", "100 €", "milli-€", "M€"]
)
def test_the_unit_is_the_power_of_ten_nearest_the_sd(moments_of, homes, factor, unit):
    assert 10**-0.5 < homes["price"].std() / 1e5 < 10**0.5
    _, _, scale = scale_of(moments_of, "price ~ area", homes.assign(price=homes["price"] * factor))
    assert scale.unit == pytest.approx(unit, rel=1e-12)


def test_a_log_has_no_unit(moments_of, homes):
    _, _, scale = scale_of(moments_of, "log(price) ~ area", homes)
    assert scale.unit == 1.0


def test_nothing_is_standardized_where_it_is_not_wanted(moments_of, homes):
    design, found, scale = scale_of(moments_of, "price ~ area + (area | zip)", homes, standardize=False, unit=1.0)
    np.testing.assert_array_equal(scale.centre, 0.0)
    np.testing.assert_array_equal(scale.spread, 1.0)
    np.testing.assert_array_equal(scale.natural(), 1.0)
    mean, scatter = standardized(found, design, scale)
    np.testing.assert_array_equal(mean[:, 1:], found.mean)
    np.testing.assert_array_equal(scatter[:, 1:, 1:], found.scatter)


def test_unstandardized_fit_is_in_the_datas_units(homes):
    post = ph.fit(
        ph.Model("price ~ area + (area | zip)", "mu ~ Normal(0, 1e6)", standardize=False, outcome_unit=1),
        homes,
        chains=1,
        draws=20,
    )
    pd.testing.assert_frame_equal(
        post.summary("beta").drop(columns="unit"), post.summary("beta", standardized=True).drop(columns="unit")
    )


@pytest.mark.parametrize(
    "text", ["price ~ area + rooms + kind + (area | zip)", "log(price) ~ area + (kind || zip)"]
)
def test_summary_in_natural_units_is_the_standardized_one_times_a_factor(homes, text):
    model = ph.Model(text, units={"price": "€", "area": "m²"})
    post = ph.fit(model, homes, chains=2, draws=60, seed=2)
    natural, plain = post.summary(), post.summary(standardized=True)
    assert natural.index.tolist() == plain.index.tolist()
    unit = 1.0 if text.startswith("log") else 1e5
    spread = {"area": homes["area"].std(ddof=0), "rooms": homes["rooms"].std(ddof=0)}
    outcome = "log €" if text.startswith("log") else "€"
    units = {"area": "m²", "rooms": "rooms", "kind[loft]": "kind[loft]"}
    for label in natural.index:
        inside = label.partition("[")[2][:-1].split(", ")[-1] if not label.startswith(("sigma", "omega")) else ""
        factor = 1.0 if label.startswith("omega") else unit / spread.get(inside, 1.0)
        for column in ("mean", "sd", "median", "eti90_lb", "eti90_ub", "mcse_mean"):
            assert natural.loc[label, column] == pytest.approx(plain.loc[label, column] * factor, rel=1e-9), label
        # These go by ranks, and the two draws next to the median tie but for rounding.
        for column in ("ess_bulk", "ess_tail", "r_hat"):
            assert natural.loc[label, column] == pytest.approx(plain.loc[label, column], rel=0.02), label
        assert plain.loc[label, "unit"] == ""
        if label.startswith("omega"):
            assert natural.loc[label, "unit"] == ""
        elif inside in ("", "Intercept"):
            assert natural.loc[label, "unit"] == outcome
        else:
            assert natural.loc[label, "unit"] == f"{outcome} per {units[inside]}"


def test_summary_numbers_are_those_of_the_draws(homes):
    post = ph.fit("price ~ area + (area | zip)", homes, chains=2, draws=80, seed=2)
    found = post.summary("tau", interval=0.5)
    draws = post["tau"].sel(term="area").values.ravel() * 1e5 / homes["area"].std(ddof=0)
    row = found.loc["tau[area]"]
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["sd"] == pytest.approx(draws.std(ddof=1))
    np.testing.assert_allclose(
        row[["eti50_lb", "median", "eti50_ub"]].astype(float), np.quantile(draws, [0.25, 0.5, 0.75])
    )


def test_equations_divide_the_whole_outcome(homes):
    for outcome, whole in {
        "price - 100": "(price - 100)",
        "price / area": "price / area",
        "-price": "(-price)",
    }.items():
        model = ph.Model(f"{outcome} ~ rooms + (1 | zip)", outcome_unit=50)
        assert f"  {whole} / 50 = " in ph.equations(model, homes)
    assert "  price - 100 = " in ph.equations(ph.Model("price - 100 ~ rooms", outcome_unit=1), homes)


def test_equations_have_numbers_and_units(homes):
    model = ph.Model(
        "price ~ area + rooms + (area | zip)",
        {"tau[area]": ph.HalfNormal(2), "mu[rooms]": ph.Normal(1, 3)},
        units={"price": "€", "area": "m²"},
    )
    text = ph.equations(model, homes)
    mean, sd = homes["area"].mean(), homes["area"].std(ddof=0)
    lines = {line.split("~")[0].strip(): line for line in text.splitlines() if " ~ " in line}
    assert "price / 100,000 = " in text
    assert f"β[zip, area] · (area − {mean:,.6g}) / {sd:,.6g}" in text
    assert "mu[rooms] · (rooms − " in text
    assert "ε ~ Normal(0, sigma)" in text
    assert "HalfNormal(sd=2)" in lines["tau[area]"]
    assert lines["tau[area]"].rstrip().endswith(f"= HalfNormal({2e5 / sd:,.0f}) € per m²")
    rooms = 1e5 / homes["rooms"].std(ddof=0)
    assert lines["mu[rooms]"].rstrip().endswith(f"= Normal({rooms:,.0f}, {3 * rooms:,.0f}) € per rooms")
    assert lines["mu[Intercept]"].rstrip().endswith("= Normal(0, 2,000,000) €")
    assert lines["sigma"].rstrip().endswith("= Exponential(500,000) €")
    assert "omega" in lines
    assert ph.fit(model, homes, chains=1, draws=10).equations() == text


def test_equations_before_data_say_the_scale_of_the_priors():
    text = str(ph.Model("price ~ area + (area | zip)", "tau ~ HalfNormal(3)"))
    assert "tau ~ HalfNormal(sd=3)" in text
    assert "standardized" in text


def test_equations_without_correlation_have_no_omega(homes):
    assert "omega" not in ph.equations("price ~ area + (area || zip)", homes)


@pytest.mark.parametrize("unit", [1.0, 1e3, 2.5e5])
def test_outcome_unit(homes, unit):
    post = ph.fit(
        ph.Model("price ~ area + (1 | zip)", "mu ~ Normal(0, 1e6)", outcome_unit=unit),
        homes,
        chains=1,
        draws=20,
        seed=1,
    )
    assert post.scale.unit == unit
    np.testing.assert_allclose(post.natural("sigma"), post["sigma"] * unit)
    assert "mu[Intercept]" in post.summary().index


@pytest.mark.parametrize("size", [1e-120, 1e-195, 1e-290])
@pytest.mark.parametrize("column", ["area", "price"])
def test_tiny_values_are_not_said_to_be_equal(homes, column, size):
    """They were said to be all the same, or lost their digits in silence."""
    tiny = homes.assign(**{column: homes[column] * size})
    with pytest.raises(ph.ModelError, match="so close to 0 that the squares of its values underflow: ") as caught:
        ph.fit("price ~ area + (1 | zip)", tiny, draws=50, seed=1)
    said = str(caught.value)
    assert "in all" not in said
    if column == "area":
        advised = said.split("write ")[1].split(" instead")[0]
        formula, rows = f"price ~ {advised} + (1 | zip)", tiny
    else:
        factor = float(said.split("multiply it by ")[1].split()[0])
        formula, rows = "price ~ area + (1 | zip)", tiny.assign(price=tiny["price"] * factor)
    found = ph.fit(formula, rows, draws=50, seed=1)
    plain = ph.fit("price ~ area + (1 | zip)", homes, draws=50, seed=1)
    ratio = found["mu"].values / plain["mu"].values
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0, 0], ratio.shape), rtol=1e-6)


def test_a_column_of_equal_tiny_values_is_not_said_to_differ(homes):
    with pytest.raises(ph.ModelError, match="predictor 'area' is 0 in all 200 rows used"):
        ph.fit("price ~ area + (1 | zip)", homes.assign(area=0.0), draws=50, seed=1)


def test_a_huge_constant_is_advised_as_a_formula_takes_it(homes):
    huge = homes.assign(area=homes["area"].round() + 1e15)
    with pytest.raises(ph.ModelError, match=r"write I\(area - 1\d+\.0\) instead") as caught:
        ph.fit("price ~ area + (1 | zip)", huge, draws=50, seed=1)
    advised = str(caught.value).split("write ")[1].split(" instead")[0]
    found = ph.fit(f"price ~ {advised} + (1 | zip)", huge, draws=50, seed=1)
    plain = ph.fit("price ~ area + (1 | zip)", homes.assign(area=homes["area"].round()), draws=50, seed=1)
    np.testing.assert_allclose(found["mu"][..., 1], plain["mu"][..., 1], rtol=1e-6)
