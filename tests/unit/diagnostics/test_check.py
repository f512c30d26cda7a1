"""Verdicts on draws: silent on good ones; each fault is caught, its parameters and places named, with a remedy."""

from __future__ import annotations

import time

import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from priorhood._text import plural
from priorhood.diagnostics import psis, sampler_verdicts
from priorhood.diagnostics.check import check_draws
from priorhood.diagnostics.summary import measures
from priorhood.engines.exact import sampler

PLACES = ["10115", "12047", "13583"]
TERMS = ["Intercept", "living_space"]
EXACT = {"engine": "exact", "acceptance": 0.8, "pareto_k": 0.1}
NUTS = {"engine": "nuts", "parameterization": "centered", "target_accept": 0.9, "max_treedepth": 10, "tune": 1000}
LEAD = ("chain", "draw")


def made(chains=4, draws=1000, places=PLACES, noise=None, seed=0):
    """Independent draws of every parameter, as an engine would label them."""
    rng = np.random.default_rng(seed)
    size = (chains, draws)
    omega = np.broadcast_to(np.eye(2), (*size, 2, 2)).copy()
    omega[..., 0, 1] = omega[..., 1, 0] = np.tanh(rng.normal(size=size))
    variables = {
        "beta": ((*LEAD, "zip", "term"), rng.normal(size=(*size, len(places), 2))),
        "mu": ((*LEAD, "term"), rng.normal(size=(*size, 2))),
        "tau": ((*LEAD, "term"), np.exp(rng.normal(size=(*size, 2)))),
        "omega": ((*LEAD, "term", "term_bis"), omega),
        "sigma": (LEAD, np.exp(rng.normal(size=size))),
    }
    if noise:
        variables["sigma"] = ((*LEAD, "zip"), np.exp(rng.normal(size=(*size, len(places)))))
    coords = {"chain": range(chains), "draw": range(draws), "zip": places, "term": TERMS, "term_bis": TERMS}
    return xr.Dataset(variables, coords=coords)


def stats_of(posterior, diverging=None, depth=5):
    size = (posterior.sizes["chain"], posterior.sizes["draw"])
    return xr.Dataset(
        {
            "diverging": (LEAD, np.zeros(size, bool) if diverging is None else diverging),
            "tree_depth": (LEAD, np.broadcast_to(depth, size)),
        }
    )


def judged(posterior, attrs=NUTS, rows=None, **stats):
    return check_draws(posterior, stats_of(posterior, **stats), attrs, rows)


def only(check, about):
    """The text of the one bad verdict, which is about this."""
    assert [verdict.about for verdict in check.bad] == [about]
    assert not check.good
    return check.bad[0].text


def says(text, *parts):
    for part in parts:
        assert part in text


# -- good draws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attrs", [EXACT, NUTS], ids=["exact", "nuts"])
@pytest.mark.parametrize("noise", [None, "zip"])
def test_good_draws_have_no_bad_verdict(attrs, noise):
    check = judged(made(noise=noise), attrs)
    assert check.good
    assert check.bad == ()
    lines = str(check).splitlines()
    assert len(lines) == len(check) == len(list(check))
    assert all(line.startswith("✓ ") for line in lines)
    first = {"exact": ["exploration"], "nuts": ["divergences", "tree depth"]}[attrs["engine"]]
    assert [verdict.about for verdict in check] == [*first, "draws", "R-hat", "bulk ESS", "tail ESS", "MCSE"]


def test_a_fit(sales):
    post = ph.fit("price ~ living_space + (living_space | zip)", sales, seed=3)
    check = post.check()
    assert check.good, str(check)
    # 12 places × 2, mu, tau, one correlation and sigma: the matrix's diagonal and upper half do not count.
    assert "all 30 parameters" in str(check)
    assert repr(check) == str(check)


@pytest.mark.parametrize("formula", ["price ~ living_space", "price ~ 1 + (0 + living_space | zip)"])
def test_fits_of_other_shapes(sales, formula):
    assert ph.fit(formula, sales, seed=3).check().good


def test_known_errors_have_no_sigma():
    assert judged(made().drop_vars("sigma")).good


def test_constants_are_left_out():
    draws = made()
    draws["sigma"][:] = 0.5
    check = judged(draws)
    assert check.good
    assert "all 11 parameters" in str(check)


def test_everything_fixed():
    draws = made()[["sigma"]]
    draws["sigma"][:] = 0.5
    assert judged(draws).good


# -- R-hat ----------------------------------------------------------------------------------------------


def test_a_chain_elsewhere_is_named():
    draws = made()
    draws["beta"][2, :, 1, 1] += 2.0
    check = judged(draws)
    bad = {verdict.about: verdict.text for verdict in check.bad}
    assert {"R-hat", "bulk ESS"} <= set(bad) <= {"R-hat", "bulk ESS", "tail ESS", "MCSE"}
    says(
        bad["R-hat"], "above 1.01 for 1 of 12 parameters", "beta[12047, living_space] (1.", "draws=2000, tune=2000"
    )
    says(bad["R-hat"], "parameterization='noncentered'")
    says(bad["bulk ESS"], "beta[12047, living_space]")


def test_the_worst_three_of_many_in_order():
    draws = made()
    for place, by in enumerate((1.5, 3.0, 0.75)):
        draws["beta"][0, :, place, 0] += by
    draws["mu"][0, :, 0] += 6.0
    text = {verdict.about: verdict.text for verdict in judged(draws).bad}["R-hat"]
    at = [text.index(name) for name in ("mu[Intercept]", "beta[12047, Intercept]", "beta[10115, Intercept]")]
    assert at == sorted(at)
    assert "13583" not in text
    assert "4 of 12" in text


def test_chains_that_do_not_move_are_infinitely_wrong():
    draws = made()
    draws["sigma"][:] = np.array([[0.5], [0.6], [0.7], [0.8]])
    text = {verdict.about: verdict.text for verdict in judged(draws).bad}["R-hat"]
    says(text, "sigma (inf)")


def test_exact_draws_have_no_other_parameterization():
    draws = made()
    draws["mu"][1, :, 0] += 1.0
    text = {verdict.about: verdict.text for verdict in judged(draws, EXACT).bad}["R-hat"]
    assert "parameterization" not in text
    assert "tune" not in text
    assert "draws=2000" in text


def test_one_chain_cannot_be_compared():
    says(only(judged(made(chains=1)), "R-hat"), "1 chain", "at least 2", "chains=4")


# -- effective sample size --------------------------------------------------------------------------------


def walk(shape, rho, rng):
    """A stationary AR(1) chain."""
    values = np.empty(shape)
    values[:, 0] = rng.normal(size=shape[0])
    for at in range(1, shape[1]):
        values[:, at] = rho * values[:, at - 1] + np.sqrt(1 - rho**2) * rng.normal(size=shape[0])
    return values


def test_a_slow_chain_is_named():
    draws = made()
    draws["tau"][:, :, 1] = np.exp(walk((4, 1000), 0.95, np.random.default_rng(2)))
    bad = {verdict.about: verdict.text for verdict in judged(draws).bad}
    assert {"bulk ESS", "tail ESS"} <= set(bad)
    for about in ("bulk ESS", "tail ESS"):
        says(bad[about], "below 400 (100 per chain)", "1 of 12", "tau[living_space] (", "draw more (draws=")


def test_a_very_slow_chain_asks_for_more_than_draws():
    draws = made()
    draws["tau"][:, :, 1] = np.exp(walk((4, 1000), 0.999, np.random.default_rng(2)))
    says({v.about: v.text for v in judged(draws).bad}["bulk ESS"], "try parameterization='noncentered'")


def test_the_limit_grows_with_the_chains():
    draws = made(chains=2, draws=150)
    draws["mu"][:, :, 0] = walk((2, 150), 0.6, np.random.default_rng(0))
    says({v.about: v.text for v in judged(draws).bad}["bulk ESS"], "below 200", "mu[Intercept]")


def test_a_mean_that_another_run_would_not_repeat_is_named():
    draws = made()
    draws["mu"][:, :, 1] = walk((4, 1000), 0.95, np.random.default_rng(2))
    bad = {verdict.about: verdict.text for verdict in judged(draws).bad}
    says(bad["MCSE"], "above 5% of the sd for 1 of 12", "mu[living_space] (", "draw more (draws=")
    assert "MCSE" not in {verdict.about for verdict in judged(made()).bad}


def test_measures_are_a_table():
    draws = made()
    draws["beta"][2, :, 1, 1] += 2.0
    draws["sigma"][:] = 0.5
    table = judged(draws).measures
    assert list(table.columns) == ["r_hat", "ess_bulk", "ess_tail", "mcse_over_sd"]
    assert len(table) == 11
    assert "sigma" not in table.index
    assert table["r_hat"].idxmax() == table["mcse_over_sd"].idxmax() == "beta[12047, living_space]"
    assert judged(made(draws=50)).measures.empty


# -- draws ----------------------------------------------------------------------------------------------


def test_few_draws_cannot_be_judged():
    check = judged(made(draws=50))
    says(only(check, "draws"), "50 draws per chain", "at least 100 per chain", "400 in all")
    assert "R-hat" not in [verdict.about for verdict in check]


def test_draws_that_are_no_numbers_are_named():
    draws = made()
    draws["beta"][0, 3, 2, 0] = np.nan
    says(only(judged(draws), "draws"), "beta[13583, Intercept]", "not finite")


# -- divergences ----------------------------------------------------------------------------------------


def lowest(values, share, chains=(1, 3)):
    """The draws of some chains where a parameter is lowest."""
    found = values < np.quantile(values, share)
    return found & np.isin(np.arange(len(values)), chains)[:, None]


def test_divergences_in_a_funnel():
    draws = made()
    diverging = lowest(draws["tau"].values[..., 1], 0.04)
    text = only(judged(draws, diverging=diverging), "divergences")
    count = int(diverging.sum())
    says(text, f"{count} of 4,000 transitions diverged", "chain 1: ", "chain 3: ", "tau[living_space] is small")
    says(text, "below the 5% quantile", "parameterization='noncentered'", "target_accept above 0.9")
    assert "chain 0" not in text
    assert "mu" not in text.partition("draws may")[0]


def test_divergences_of_the_other_parameterization():
    draws = made()
    diverging = ~lowest(draws["tau"].values[..., 0], 0.96, chains=range(4))
    text = only(judged(draws, NUTS | {"parameterization": "noncentered"}, diverging=diverging), "divergences")
    says(text, "tau[Intercept] is large", "above the 95% quantile", "parameterization='centered'")


def test_divergences_elsewhere():
    draws = made()
    diverging = lowest(draws["beta"].values[:, :, 1, 0], 0.03)
    says(only(judged(draws, diverging=diverging), "divergences"), "where beta[12047, Intercept] is small")


def test_divergences_all_over():
    rng = np.random.default_rng(0)
    text = only(judged(made(), diverging=rng.random((4, 1000)) < 0.05), "divergences")
    says(text, "no parameter takes unusual values")


def test_one_divergence_is_not_explained():
    diverging = np.zeros((4, 1000), bool)
    diverging[2, 17] = True
    says(
        only(judged(made(), diverging=diverging), "divergences"),
        "1 of 4,000",
        "(chain 2: 1)",
        "no parameter takes unusual values",
    )


def test_all_diverged():
    says(only(judged(made(), diverging=np.ones((4, 1000), bool)), "divergences"), "4,000 of 4,000")


def test_where_chains_diverge_more_draws_are_no_remedy():
    draws = made()
    diverging = lowest(draws["tau"].values[..., 1], 0.04)
    draws["mu"][0, :, 0] += 3.0
    bad = {verdict.about: verdict.text for verdict in judged(draws, diverging=diverging).bad}
    assert {"divergences", "R-hat", "bulk ESS"} <= set(bad)
    for about in ("R-hat", "bulk ESS"):
        says(bad[about], "mu[Intercept]", "divergences first")
        assert "draw more" not in bad[about]


def test_noise_by_place_names_the_worst_places():
    draws = made(noise="zip")
    sigma = draws["sigma"].values
    diverging = lowest(sigma[..., 0], 0.05) | lowest(sigma[..., 2], 0.03)
    rows = {"10115": 1, "12047": 80, "13583": 2}
    text = only(judged(draws, rows=rows, diverging=diverging), "divergences")
    says(text, "sigma[10115] (1 row)", "sigma[13583] (2 rows)", "are small", "unbounded", "one or two rows")
    says(text, "omit noise", "tighter prior")
    assert "12047" not in text
    assert text.index("10115") < text.index("13583")
    # Those with few rows lead, though fewer draws diverge there.
    other = only(judged(draws, rows={"10115": 9, "12047": 80, "13583": 1}, diverging=diverging), "divergences")
    assert other.index("sigma[13583] (1 row)") < other.index("sigma[10115] (9 rows)")


def test_noise_by_many_places_is_seen_though_each_makes_few_of_the_divergences():
    places = [f"{10000 + at}" for at in range(40)]
    draws = made(places=places, noise="zip")
    sigma = draws["sigma"].values
    diverging = np.zeros(sigma.shape[:2], bool)
    for at in range(20):
        diverging |= sigma[..., at] < np.quantile(sigma[..., at], 0.004)
    text = only(judged(draws, diverging=diverging), "divergences")
    says(text, "sigma[100", " more are small", "unbounded")
    assert not any(f"sigma[{place}]" in text for place in places[20:])


def test_no_group_has_no_parameterization():
    draws = made()[["mu", "sigma"]]
    diverging = lowest(draws["sigma"].values, 0.05)
    text = only(judged(draws, {"engine": "nuts"}, diverging=diverging), "divergences")
    says(text, "where sigma is small", "try a higher target_accept")
    assert "parameterization" not in text


# -- tree depth and exploration ---------------------------------------------------------------------------


def test_tree_depth():
    rng = np.random.default_rng(0)
    depth = np.where(rng.random((4, 1000)) < 0.1, 10, 6)
    text = only(judged(made(), depth=depth), "tree depth")
    says(text, f"{int((depth == 10).sum())} of 4,000", "maximum tree depth, 10", "tighter priors")
    assert judged(made(), NUTS | {"max_treedepth": 12}, depth=depth).good


@pytest.mark.parametrize("attrs", [{"acceptance": 0.01}, {"pareto_k": 0.9}])
def test_exploration(attrs):
    limits = "acceptance must be at least 5% and Pareto k at most 0.7"
    says(only(judged(made(), EXACT | attrs), "exploration"), limits, "priors")


# -- numbers and time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 400), (4, 301), (1, 200), (2, 13)])
def test_measures_are_those_of_arviz(shape):
    array_stats = pytest.importorskip("arviz_stats.base").array_stats
    rng = np.random.default_rng(4)
    values = rng.normal(size=(*shape, 40))
    values[..., 1] = np.round(values[..., 1])  # ties
    for at in range(2, 20):
        values[..., at] = walk(shape, at / 20, rng)
    values[0, :, 20] += 3
    values[:, 1::2, 21] = -values[:, : shape[1] // 2 * 2 : 2, 21]  # better than independent
    values[:, 1:4, 22] = values[:, :1, 22]
    values[..., 23] = 1e-9 * values[..., 23] + 1e-3
    axes = {"chain_axis": 0, "draw_axis": 1}
    r_hat, bulk, tail, mean = measures(values)
    theirs = array_stats.rhat(values, **axes) if shape[0] > 1 else np.full(40, np.nan)
    np.testing.assert_allclose(r_hat, theirs, rtol=1e-10)
    np.testing.assert_allclose(bulk, array_stats.ess(values, method="bulk", **axes), rtol=1e-10)
    np.testing.assert_allclose(tail, array_stats.ess(values, method="tail", prob=(0.05, 0.95), **axes), rtol=1e-10)
    np.testing.assert_allclose(mean, array_stats.ess(values, method="mean", **axes), rtol=1e-10)


def test_chains_that_stay_where_they_are_do_not_agree():
    values = np.repeat(np.arange(3.0)[:, None, None], 100, axis=1) * np.array([0.0, 1.0])
    r_hat, bulk, *_ = measures(values)
    assert np.isnan(r_hat[0])
    assert np.isnan(bulk[0])
    assert r_hat[1] == np.inf
    assert bulk[1] < 5


def test_nine_hundred_parameters_take_less_than_half_a_second():
    draws = made(places=[f"{at:05d}" for at in range(447)])
    judged(made())  # loads what it needs
    started = time.process_time()
    assert judged(draws).good
    # Three times what it takes; of the processors, which others may keep busy too.
    assert time.process_time() - started < 1.5


def test_plurals_of_columns():
    names = {"zip": "zips", "county": "counties", "way": "ways", "branch": "branches", "bus": "buses", "y": "ys"}
    assert {name: plural(name) for name in names} == names


def test_check_has_the_limits_of_the_exact_engine():
    limits = sampler.PARETO_LIMIT, sampler.ACCEPT_LIMIT
    assert limits == (sampler_verdicts.PARETO_LIMIT, sampler_verdicts.ACCEPT_LIMIT)
    assert psis.MAX_PARETO_K == sampler.PARETO_LIMIT
