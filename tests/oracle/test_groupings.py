"""Nested and crossed groupings, from a table to draws, against one dense Normal made from the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph
from priorhood.data.rows import prepare_rows
from priorhood.engines.adapt import to_exact
from priorhood.engines.exact.effects import draw_effects
from priorhood.engines.exact.marginal import collapse, log_marginal
from priorhood.engines.exact.theta import Theta, constrain, from_prior
from priorhood.engines.observations import read_observations
from priorhood.model.hierarchy import hierarchy_of
from priorhood.model.model import Model
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments

FORMULAS = {
    "two levels": "y ~ x + (x | district/zip)",
    "three levels": "y ~ x + (x | city/district/zip)",
    "terms of their own": "y ~ x + (1 | city) + (x | city:district) + (1 | city:district:zip)",
    "a level skipped": "y ~ x + (1 | city) + (x || city:district:zip)",
    "slopes of the upper level alone": "y ~ x + (0 + x | district) + (1 | district:zip)",
    "upper terms that the population has not": "y ~ 1 + (x | district) + (1 | district:zip)",
    "crossed": "y ~ x + (x | zip) + (1 | kind)",
    "crossed slopes": "y ~ x + (1 | zip) + (x | kind)",
    "crossed twice": "y ~ x + (1 | zip) + (1 | kind) + (0 + x | year)",
    "nested and crossed": "y ~ x + (x | district/zip) + (x || kind)",
    "levels not written as nested": "y ~ x + (1 | zip) + (1 | district)",
    "crossed within the tree": "y ~ x + (1 | city/district) + (1 | city:kind)",
    "every kind a level of its own": "y ~ x + (0 + kind | zip)",
    "every kind a slope of its own, nested": "y ~ kind + (0 + x:kind | district/zip)",
    "every year a level of its own, crossed": "y ~ x + (1 | zip) + (0 + C(year) | kind)",
    "place, time and both": "y ~ x + (1 | year) + (1 | zip) + (x | zip:year)",
}


def rows(seed=0, n=90):
    """Places of all depths, labels that several parents have, kinds and years across."""
    rng = np.random.default_rng(seed)
    zips = rng.integers(0, 11, n)
    return pd.DataFrame(
        {
            "city": np.array(["B", "A"])[zips % 2],
            "district": np.array(["north", "south", "west"])[zips % 3],
            "zip": [f"{z % 7:02d}" for z in zips],
            "kind": rng.choice(["flat", "house", "loft"], n),
            "year": rng.integers(2019, 2023, n),
            "x": rng.normal(size=n),
            "y": 3 + 2 * rng.normal(size=n),
        }
    )


class Dense:
    """Every coefficient, place and row of a model as one Normal: u, the population and all effects, y = R u + ε."""

    def __init__(self, model, table):
        design, found = design_and_moments(ph.read(table), model.formula)
        self.scale = learn_scale(found, design, standardize=model.standardize, unit=1.0)
        self.design, self.model = design, model
        self.problem = to_exact(FitData(model, design, found, self.scale))
        seen = read_observations(prepare_rows(table, model.formula), self.scale, found.labels)
        self.X, self.y, self.table = seen.X, seen.y, table
        self.hierarchy = hierarchy_of(model.formula, found.labels)
        F = len(design.population_columns)
        self.sizes = [F]
        blocks = [self.X[:, design.index(design.population_columns)]]
        self.places = []
        for at, grouping in enumerate(model.formula.groupings):
            # From the table's own columns, not from what the package made of them.
            own = ["/".join(map(str, path)) for path in zip(*(table[c] for c in grouping.path), strict=True)]
            labels = self.hierarchy.groupings[at].labels.tolist()
            assert sorted(set(own)) == sorted(labels)
            index = np.array([labels.index(one) for one in own])
            cols = design.index(design.level_columns(at))
            block = np.zeros((len(self.y), len(labels), len(cols)))
            block[np.arange(len(self.y)), index] = self.X[:, cols]
            blocks.append(block.reshape(len(self.y), -1))
            self.places.append((labels, index, cols))
            self.sizes.append(block[0].size)
        self.R = np.concatenate(blocks, axis=1)
        self.starts = np.cumsum([0, *self.sizes])

    def prior(self, values, at):
        """Covariance of u."""
        cov = np.zeros((self.R.shape[1],) * 2)
        cov[: self.sizes[0], : self.sizes[0]] = np.diag(self.problem.root_sd**2)
        for g, (labels, _, cols) in enumerate(self.places):
            factor = values.tau[g][at][:, None] * values.corr[g][at]
            block = np.kron(np.eye(len(labels)), factor @ factor.T)
            lo = self.starts[g + 1]
            cov[lo : lo + len(labels) * len(cols), lo : lo + len(labels) * len(cols)] = block
        return cov

    def log_density(self, values, at):
        V = self.R @ self.prior(values, at) @ self.R.T + values.sigma[at] ** 2 * np.eye(len(self.y))
        mean = self.R[:, : self.sizes[0]] @ self.problem.root_mean
        return stats.multivariate_normal(mean, V).logpdf(self.y)

    def loadings(self):
        """Every reported coefficient as a combination of u: mu, then by grouping, place and column."""
        out = [np.eye(self.R.shape[1])[: self.sizes[0]]]
        population = self.design.index(self.design.population_columns)
        depth = len(self.model.formula.levels)
        for g, (labels, index, _) in enumerate(self.places):
            for place in range(len(labels)):
                row = int(np.flatnonzero(index == place)[0])
                for d in self.design.index(self.design.coefficient_columns(g)):
                    load = np.zeros(self.R.shape[1])
                    if g < depth and d in population:
                        load[population.index(d)] = 1.0
                    for other in range(g, depth) if g < depth else [g]:
                        _, where, cols = self.places[other]
                        if d in cols:
                            load[self.starts[other + 1] + where[row] * len(cols) + cols.index(d)] = 1.0
                    out.append(load[None])
        return np.concatenate(out)

    def conditional(self, values, at):
        """Mean and covariance of every reported coefficient."""
        cov, L = self.prior(values, at), self.loadings()
        V = self.R @ cov @ self.R.T + values.sigma[at] ** 2 * np.eye(len(self.y))
        gain = L @ cov @ self.R.T
        mean = np.zeros(len(cov))
        mean[: self.sizes[0]] = self.problem.root_mean
        m = L @ mean + gain @ np.linalg.solve(V, self.y - self.R @ mean)
        return m, L @ cov @ L.T - gain @ np.linalg.solve(V, gain.T)


@pytest.fixture(scope="module", params=FORMULAS)
def dense(request):
    return Dense(Model(FORMULAS[request.param]), rows())


CORRELATED = {
    "(0 + kind | zip)": 3, "(0 + C(year) | district/zip)": 4, "(0 + x:kind | zip)": 3, "(kind | zip)": 3,
    "(1 | zip) + (0 + kind | year)": 3, "(0 + x | zip)": 0, "(0 + kind || zip)": 0, "(1 | zip)": 0,
}  # fmt: skip


@pytest.mark.parametrize("part", CORRELATED)
def test_a_bar_correlates_coefficients_not_terms(part):
    """One factor is several coefficients: as in lme4, their number says whether `|` has what to correlate."""
    built = Dense(Model(f"y ~ x + {part}"), rows())
    widths = [one.K for one in built.problem.varying if one.omega is not None]
    assert set(widths) == ({CORRELATED[part]} if CORRELATED[part] else set())
    assert ("LKJ" in built.model.equations(built.design, built.scale)) == bool(widths)
    assert [built.design.correlated(at) for at in range(len(built.problem.varying))] == [
        one.omega is not None for one in built.problem.varying
    ]  # fmt: skip


def thetas(problem, count=6):
    theta = from_prior(problem, count, np.random.default_rng(3))
    theta[0, 0] = -30.0  # a spread of next to nothing
    return constrain(problem, np.minimum(theta, 4.0))


def test_the_density_is_the_dense_normal(dense):
    values = thetas(dense.problem)
    got = log_marginal(collapse(dense.problem), values)
    # The dense matrix is in doubles: with a spread of thousands of σ it is the one that rounds.
    np.testing.assert_allclose(got, [dense.log_density(values, at) for at in range(len(got))], rtol=1e-8)


def test_a_place_in_the_wrong_parent_is_seen():
    """Negative control: one row of another district."""
    table = rows()
    right = Dense(Model(FORMULAS["two levels"]), table)
    table.loc[0, "district"] = "south" if table.loc[0, "district"] == "north" else "north"
    wrong = Dense(Model(FORMULAS["two levels"]), table)
    values = thetas(right.problem)
    got = log_marginal(collapse(wrong.problem), values)
    assert np.abs(got / [right.log_density(values, at) for at in range(len(got))] - 1).max() > 1e-4


def drawn(dense, values, S, seed):
    """Draws (S, coefficients) in the order of Dense.loadings."""
    again = Theta(*(tuple(np.repeat(v[1:2], S, axis=0) for v in part) for part in (values.tau, values.corr)),
                  np.repeat(values.sigma[1:2], S))  # fmt: skip
    found = draw_effects(collapse(dense.problem), again, np.random.default_rng(seed), threads=2)
    parts = [one.swapaxes(1, 2).reshape(S, -1) for one in found.levels + found.crossed]
    return np.concatenate([found.mu, *parts], axis=1)


def whitened(dense, values, draws):
    mean, covariance = dense.conditional(values, 1)
    scale = np.sqrt(np.diag(covariance))
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    keep = eigenvalues > 1e-8  # coefficients of many levels are sums of the same effects
    return ((draws - mean) / scale) @ vectors[:, keep] / np.sqrt(eigenvalues[keep])


def test_draws_are_those_of_the_dense_conditional(dense):
    """Squared lengths of the whitened draws and of their mean are chi-square; two tests at 1e-4 a formula."""
    S = 4000
    values = thetas(dense.problem)
    white = whitened(dense, values, drawn(dense, values, S, 5))
    dim = white.shape[1]
    assert stats.chi2.sf(S * (white.mean(0) ** 2).sum(), dim) > 1e-4
    assert 5e-5 < stats.chi2.cdf((white**2).sum(), S * dim) < 1 - 5e-5
    # Negative control: draws a twentieth too wide.
    assert not 5e-5 < stats.chi2.cdf((1.05 * white**2).sum(), S * dim) < 1 - 5e-5
