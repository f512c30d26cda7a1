"""What a formula says is what is fitted: formulas that say the same have the same density of the data.

Both sides are log p(y | θ) with all coefficients integrated out: one by the engine from the sums, the other by the
engine again or as one dense Normal of the rows. Where two formulas span the same space by other columns, x = M x',
their coefficients' covariances are Σ' = M Σ Mᵀ, and the densities agree to rounding, 1e-9.
"""

from __future__ import annotations

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy import stats

import priorhood as ph
from priorhood.engines.adapt import to_exact
from priorhood.engines.exact.marginal import collapse, log_marginal
from priorhood.engines.exact.theta import Theta
from priorhood.model.hierarchy import hierarchy_of
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments

PRIORS = {"mu": "Normal(0.5, 3)"}
SIGMA = 0.8
seeds = st.integers(0, 10_000)
# A failing case is small as it is.
quick = settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])


def table(seed, n=26):
    """Few rows: many combinations are empty, but no category is."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "g": [f"g{k}" for k in np.r_[:3, rng.integers(0, 3, n - 3)]],
            "h": [f"h{k}" for k in np.r_[:2, rng.integers(0, 2, n - 2)]],
            "f": np.r_[["u", "v", "w"], rng.choice(["u", "v", "w"], n - 3)],
            "k": np.r_[1, 2, rng.integers(1, 3, n - 2)], "x": rng.normal(size=n), "z": rng.uniform(1, 2, n),
        }
    )  # fmt: skip
    return frame.assign(y=rng.normal(1, 2, n))


def covariance(seed, K):
    A = np.random.default_rng(seed).normal(size=(K, K + 1))
    return A @ A.T / K


class Fitted:
    """A formula on a table, in the columns' own units."""

    def __init__(self, right, frame):
        self.model = ph.Model(f"y ~ {right}", PRIORS, standardize=False, outcome_unit=1)
        self.design, self.sums = design_and_moments(ph.read(frame), self.model.formula)
        scale = learn_scale(self.sums, self.design, standardize=False, unit=1.0)
        self.problem = to_exact(FitData(self.model, self.design, self.sums, scale))
        self.frame = frame

    def widths(self):
        return [len(self.design.level_columns(at)) for at in range(len(self.model.formula.groupings))]

    def engine(self, covariances):
        """Log p(y | θ) by the engine; covariances by grouping."""
        sd = [np.sqrt(np.diag(each)) for each in covariances]
        corr = [np.linalg.cholesky(c / np.outer(s, s)) for c, s in zip(covariances, sd, strict=True)]
        theta = Theta(tuple(s[None] for s in sd), tuple(c[None] for c in corr), np.array([SIGMA]))
        return float(log_marginal(collapse(self.problem), theta)[0])

    def matrix(self, columns, frame=None):
        opened = nw.from_native(self.frame if frame is None else frame)
        found = np.ones((len(opened), len(columns)))
        for at, column in enumerate(columns):
            if column.factors:
                found[:, at] = opened.select(self.design.build(column).alias("x"))["x"].to_numpy()
        return found

    def dense(self, covariances, mean, root):
        """The same as one Normal of the rows; mean and root: of the population's coefficients."""
        X = self.matrix(self.design.population_columns)
        V = X @ root @ X.T + SIGMA**2 * np.eye(len(X))
        for at, grouping in enumerate(self.model.formula.groupings):
            Z = self.matrix(self.design.level_columns(at))
            own = self.frame[list(grouping.path)].astype(str).agg("/".join, axis=1).to_numpy()
            V += (own[:, None] == own) * (Z @ covariances[at] @ Z.T)
        return float(stats.multivariate_normal(X @ mean, V).logpdf(self.frame["y"]))

    def prior(self):
        return self.problem.root_mean, np.diag(self.problem.root_sd**2)


def change(one, other, columns_of):
    """M with x = M x' for rows of every combination: of the same coefficients, b' = Mᵀ b."""
    rng = np.random.default_rng(0)
    grid = pd.MultiIndex.from_product([["u", "v", "w"], [1, 2], range(3)], names=["f", "k", "r"]).to_frame(
        index=False
    )
    grid = grid.assign(x=rng.normal(size=len(grid)), z=rng.uniform(1, 2, len(grid)))
    A, B = (each.matrix(columns_of(each.design), grid) for each in (one, other))
    M = np.linalg.lstsq(B, A, rcond=None)[0]
    np.testing.assert_allclose(B @ M, A, atol=1e-12)  # they span the same space
    assert M.shape[0] == M.shape[1]
    return M


def agree(one, other):
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


PARTS = ["(x*f | g)", "(f*C(k) | g)", "(x:f || g)", "(0 + f | g/h)", "(x | g) + (1 | h)", "(1 | h) + (f | g:h)"]


@quick
@given(seeds, st.sampled_from(PARTS))
def test_the_engine_is_the_dense_normal(seed, part):
    """Also of cells that no row has, and where a factor is several coefficients."""
    one = Fitted(f"x + f + {part}", table(seed))
    bars = [grouping.correlated for grouping in one.model.formula.groupings]
    sigmas = [covariance(seed + at, K) for at, K in enumerate(one.widths())]
    sigmas = [s if bar else np.diag(np.diag(s)) for s, bar in zip(sigmas, bars, strict=True)]
    agree(one.engine(sigmas), one.dense(sigmas, *one.prior()))


@quick
@given(seeds, st.sampled_from([
    ("x*f", "1 + x + f + x:f"), ("x*f*C(k)", "(x + f + C(k))**3"), ("f*C(k)", "C(k) + f + f:C(k)"),
    ("x + x", "x"), ("(x + z)**2", "x + z + x:z"), ("x*f - x:f", "f + x"),
]))  # fmt: skip
def test_a_star_is_its_expansion(seed, both):
    """In the population and in groups; columns may come in another order."""
    frame = table(seed)
    one, other = (Fitted(f"{text} + ({text} | g)", frame) for text in both)
    order = [[c.name for c in one.design.level_columns(0)].index(c.name) for c in other.design.level_columns(0)]
    sigma = covariance(seed, one.widths()[0])
    agree(one.engine([sigma]), other.engine([sigma[np.ix_(order, order)]]))


@quick
@given(seeds, st.permutations(["x", "f", "C(k)", "x:f"]), st.permutations(["(x | g)", "(1 | h)"]))
def test_the_order_of_terms_says_nothing(seed, terms, parts):
    frame = table(seed)
    usual = Fitted("x + f + C(k) + x:f + (x | g) + (1 | h)", frame)
    other = Fitted(" + ".join([*terms, *parts]), frame)
    sigmas = {"g": covariance(seed, 2), "h": covariance(seed, 1)}
    agree(*(each.engine([sigmas[name] for name in each.model.formula.places]) for each in (usual, other)))


@quick
@given(seeds, st.sampled_from(["x", "f", "x + f"]))
def test_two_bars_are_effects_apart(seed, terms):
    """(x || g) is (1 | g) and (0 + x | g): every coefficient on its own, those of a factor's categories too."""
    frame = table(seed)
    apart, together = (Fitted(f"x + f + ({terms} {bar} g)", frame) for bar in ("||", "|"))
    assert apart.problem.levels[0].omega is None
    assert together.problem.levels[0].omega is not None
    sigma = covariance(seed, apart.widths()[0])
    alone = np.diag(np.diag(sigma))
    agree(apart.engine([alone]), together.engine([alone]))
    assert abs(together.engine([sigma]) - together.engine([alone])) > 1e-6  # a correlation is no detail


SPANS = [
    ("f", "0 + f"), ("f*C(k)", "0 + f:C(k)"), ("x*f", "0 + f + x:f"), ("f", 'C(f, Treatment("w"))'),
    ("x*f", 'x*C(f, Treatment("v"))'), ("f*C(k)", 'C(f, levels=["w", "u", "v"])*C(k, Treatment(2))'),
    ("0 + x:f", "0 + x + x:f"),
]  # fmt: skip


@quick
@given(seeds, st.sampled_from(SPANS))
def test_the_same_space_by_other_columns_in_groups(seed, both):
    """(f | g) and (0 + f | g), a reference and another: Σ' = M Σ Mᵀ, and the same density."""
    frame = table(seed)
    one, other = (Fitted(f"1 + z + ({text} | g)", frame) for text in both)
    M = change(one, other, lambda design: design.level_columns(0))
    sigma = covariance(seed, one.widths()[0])
    agree(one.engine([sigma]), other.engine([M @ sigma @ M.T]))


@quick
@given(seeds, st.sampled_from(SPANS))
def test_the_same_space_by_other_columns_in_the_population(seed, both):
    """Another reference is other coefficients of one model, where the priors are turned too."""
    frame = table(seed)
    one, other = (Fitted(f"{text} + (1 | g)", frame) for text in both)
    M = change(one, other, lambda design: design.population_columns)
    sigma = [covariance(seed, 1)]
    mean, root = one.prior()
    agree(one.engine(sigma), other.dense(sigma, M @ mean, M @ root @ M.T))


@quick
@given(seeds, st.permutations(["u", "v", "w", "never"]))
def test_the_order_of_levels_and_of_rows_says_nothing_of_the_data(seed, levels):
    frame = table(seed)
    there = [level for level in levels if level != "never"]
    declared = frame.assign(f=pd.Categorical(frame.f, categories=levels)).sample(frac=1, random_state=seed)
    one = Fitted("f + (1 | g)", frame)
    other = Fitted("f + (1 | g)", declared.reset_index(drop=True))
    assert other.design.categories == {"f": tuple(there)}
    M = change(one, other, lambda design: design.population_columns)
    sigma = [covariance(seed, 1)]
    mean, root = one.prior()
    agree(one.engine(sigma), other.dense(sigma, M @ mean, M @ root @ M.T))
    agree(other.engine(sigma), other.dense(sigma, *other.prior()))


@quick
@given(seeds)
def test_a_slash_is_its_levels(seed):
    """(1 | g/h) is (1 | g) + (1 | g:h); with (1 | h) beside them, the three of a place, a time and both."""
    frame = table(seed)
    a, b, c = (covariance(seed + at, 1) for at in range(3))
    one, other = Fitted("x + (1 | g/h)", frame), Fitted("x + (1 | g) + (1 | g:h)", frame)
    agree(one.engine([a, b]), other.engine([a, b]))
    for part in ("(1 | g) + (1 | h) + (1 | g:h)", "(1 | h) + (1 | g:h) + (1 | g)", "(1 | g/h) + (1 | h)"):
        whole = Fitted(f"x + {part}", frame)
        assert whole.model.formula.places == ("g_h", "g", "h")
        assert [one.title for one in hierarchy_of(whole.model.formula, whole.sums.labels).groupings] == [
            "g:h", "g", "h",
        ]  # fmt: skip
        agree(whole.engine([a, b, c]), whole.dense([a, b, c], *whole.prior()))
