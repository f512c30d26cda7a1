"""Simulated sums against rows that are drawn and summed: the same distribution; and their log-likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph
from priorhood.data.sources.table import read
from priorhood.engines.draws import Draws, Effects
from priorhood.evaluation import sbc
from priorhood.suffstats.fit_data import FitData
from table_moments import design_and_moments

SIMULATIONS = 2500
ALARM = 1e-4  # of a Kolmogorov–Smirnov test, dozens of which are made


def rows():
    """Groups of 1, 2, 3 and 6 rows; in c, a is constant, in d, b is twice a."""
    rng = np.random.default_rng(1)
    group = np.repeat(list("abcd"), [1, 2, 3, 6])
    a, b = rng.normal(2, 1, (2, 12))
    a[group == "c"] = 1.5
    b[group == "d"] = 2 * a[group == "d"]
    return pd.DataFrame({"g": group, "a": a, "b": b, "y": rng.normal(0, 30, 12), "e": rng.uniform(5, 40, 12)})


def setting(formula, se):
    """What is learned of the rows, the model's columns of every row, and one draw of everything."""
    frame = rows()
    model = ph.Model(formula, se=se)
    design, found = design_and_moments(read(frame), model.formula, weights=model.weights)
    data = FitData.learn(model, design, found)
    scale = data.scale
    columns = [np.ones(12) if n == "Intercept" else frame[n].to_numpy() for n in design.names]
    X = (np.column_stack(columns) - scale.centre) / scale.spread
    rng = np.random.default_rng(2)
    K = len(design.level_columns(0))
    truth = Draws(
        rng.normal(size=(1, 1, len(design.population_columns))),
        (Effects(rng.normal(size=(1, 1, 4, K)), np.ones((1, 1, K)), None),),
        None if se else np.array([[0.7]]), {}, {},
    )  # fmt: skip
    return frame, data, X, truth


def of_rows(frame, X, truth, design, scale, se):
    """Mean (row) of the outcome, in its own units, and every row's sd and weight."""
    group = frame["g"].map(list("abcd").index).to_numpy()
    b = np.zeros((12, X.shape[1]))
    b[:, design.index(design.population_columns)] = truth.mu[0, 0]
    b[:, design.index(design.level_columns(0))] = truth.beta[0, 0][group]
    sd = frame["e"].to_numpy() if se else np.full(12, scale.unit * truth.sigma[0, 0])
    return scale.unit * (X * b).sum(axis=1), sd, 1 / sd**2 if se else np.ones(12), group


def summed(frame, design, y, w, group):
    """Every group's mean, products with the columns and squares of outcomes y (S, 12), by plain sums: (S, 4, …)."""
    found = []
    for g in range(4):
        at = group == g
        centred = [frame[n][at] - np.average(frame[n][at], weights=w[at]) for n in design.names if n != "Intercept"]
        mean = np.average(y[:, at], axis=1, weights=w[at])
        r = y[:, at] - mean[:, None]
        found.append(np.column_stack([mean, *(r @ (w[at] * c) for c in centred), r**2 @ w[at]]))
    return np.stack(found, axis=1)


def both(formula, se):
    """Statistics (simulation, group, 1 + columns + 1) from rows and from simulated sums."""
    frame, data, X, truth = setting(formula, se)
    design, scale = data.design, data.scale
    mean, sd, w, group = of_rows(frame, X, truth, design, scale, se)
    rng = np.random.default_rng(3)
    plain = summed(frame, design, mean + sd * rng.normal(size=(SIMULATIONS, 12)), w, group)
    made = []
    for _ in range(SIMULATIONS):
        m = sbc.simulate_sums(data, truth, rng)
        made.append(np.column_stack([m.mean[:, -1], m.scatter[:, :, -1]]))
    return plain, np.array(made)


def least_p(plain, made):
    """The least p-value over groups of each statistic, and of sums and products of pairs of them."""
    J, C = plain.shape[1:]
    found = []
    for g in range(J):
        size = plain[:, g].std(axis=0)
        middle = plain[:, g].mean(axis=0)
        moving = [c for c in range(C) if size[c] > 1e-9 * (1 + abs(middle[c]))]
        # What does not move in rows must not move in sums: one row has no scatter.
        for c in set(range(C)) - set(moving):
            assert np.allclose(made[:, g, c], middle[c], atol=1e-6 * size.max())
        u, v = ((one[:, g][:, moving] - middle[moving]) / size[moving] for one in (plain, made))
        for a in range(len(moving)):
            found.append(stats.ks_2samp(u[:, a], v[:, a]).pvalue)
            for b in range(a):
                found.append(stats.ks_2samp(u[:, a] * u[:, b], v[:, a] * v[:, b]).pvalue)
                found.append(stats.ks_2samp(u[:, a] + u[:, b], v[:, a] + v[:, b]).pvalue)
    assert len(found) > 20
    return min(found)


@pytest.mark.parametrize(
    ("formula", "se"),
    [("y ~ a + b + (a + b | g)", None), ("y ~ a + b + (1 | g)", None), ("y ~ a + b + (a | g)", "e")],
)
def test_sums_are_distributed_as_those_of_rows(formula, se):
    assert least_p(*both(formula, se)) > ALARM


@pytest.mark.parametrize("wrong", ["noise of products", "degrees of freedom"])
def test_wrong_sums_are_seen(monkeypatch, wrong):
    """Negative controls: products without their noise; ranks that count for nothing in what is left."""
    right = sbc._root

    def changed(S, n):
        R, rank = right(S, n)
        return (0.8 * R, rank) if wrong == "noise of products" else (R, np.maximum(rank - 1, 0))

    monkeypatch.setattr(sbc, "_root", changed)
    assert least_p(*both("y ~ a + b + (a + b | g)", None)) < ALARM


@pytest.mark.parametrize("se", [None, "e"])
def test_log_likelihood_is_that_of_the_rows(se):
    frame, data, X, _ = setting("y ~ a + b + (a | g)", se)
    design, scale = data.design, data.scale
    rng = np.random.default_rng(4)
    S = 5
    draws = Draws(
        rng.normal(size=(1, S, 3)), (Effects(rng.normal(size=(1, S, 4, 2)), np.ones((1, S, 2)), None),),
        None if se else rng.uniform(0.3, 2, (1, S)), {}, {},
    )  # fmt: skip
    expected = []
    for s in range(S):
        effects = (replace(draws.effects[0], beta=draws.beta[:, s : s + 1]),)
        one = replace(draws, mu=draws.mu[:, s : s + 1], effects=effects,
                      sigma=None if se else draws.sigma[:, s : s + 1])  # fmt: skip
        mean, sd, _, _ = of_rows(frame, X, one, design, scale, se)
        expected.append(stats.norm.logpdf(frame["y"], mean, sd).sum())
    fast = sbc.log_likelihood(data, draws)
    np.testing.assert_allclose(fast - fast[0], np.array(expected) - expected[0], rtol=1e-10, atol=1e-9)
