"""Results of leave-one-out: expected log predictive density, by row or by place, and its reliability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, count_noun, join_words, plural
from priorhood.diagnostics.check import Check
from priorhood.diagnostics.psis import good_k, smooth_weights
from priorhood.diagnostics.verdict import bad, good

if TYPE_CHECKING:
    import pandas as pd

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.model.weights import Weights
    from priorhood.suffstats.moments import CellMoments

NOTABLE_ERROR = 0.25  # largest Monte Carlo error of elpd, in its standard errors
SAME = 1e-6  # sums of the same outcomes differ by rounding alone


@dataclass(frozen=True)
class Outcomes:
    """Sums of a posterior's outcomes, which show whether two models may have been fitted to the same rows.

    Attributes
    ----------
    name : str
        The outcome as in the formula: price, log(price).
    weights : Weights
        Weights of the rows.
    mass, mean, scatter : ndarray
        (K,) sums of every place, or of all rows together.
    """

    name: str
    weights: Weights
    mass: Array
    mean: Array
    scatter: Array

    def unlike(self, other: Outcomes, at: Index) -> Index:
        """Return the positions at which the sums show that the other's outcomes differ.

        There are none if the sums cannot show it: if only one is of logarithms, or the rows have other weights.

        Parameters
        ----------
        other : Outcomes
            The sums to compare.
        at : ndarray of int
            (K,) position of each place in the other.
        """
        if self.name != other.name or self.weights != other.weights:
            return np.zeros(0, np.int64)
        mean, scatter = other.mean[at], other.scatter[at]
        total = self.mass.sum()
        off = self.mean - self.mass @ self.mean / total
        sd = math.sqrt((self.scatter.sum() + self.mass @ off**2) / total)
        apart = np.abs(self.mean - mean) > SAME * (sd + np.abs(self.mean))
        # A place may have a single row, and no scatter but rounding.
        apart |= np.abs(self.scatter - scatter) > SAME * (self.scatter + self.mass * sd**2) / 2
        return np.flatnonzero(apart)


def outcomes_of(moments: CellMoments, name: str, weights: Weights, places: Places | None = None) -> Outcomes:
    """Return the sums of the outcomes of every place, or of all rows together if there are no places."""
    mass, mean, scatter = moments.mass, moments.mean[:, -1], moments.scatter[:, -1, -1]
    cell = np.zeros(len(mass), np.int64) if places is None else places.of_cell

    def total(values: Array) -> Array:
        return np.bincount(cell, weights=values).astype(np.float64)

    total_mass = total(mass)
    first = mean[np.unique(cell, return_index=True)[1]]
    centre = first + total(mass * (mean - first[cell])) / total_mass
    return Outcomes(name, weights, total_mass, centre, total(scatter + mass * (mean - centre[cell]) ** 2))


@dataclass(frozen=True, repr=False)
class Elpd:
    """Expected log predictive density of rows or places that the model has not seen; printed with verdicts.

    Parameters
    ----------
    by : {"row", "place"}
        Whether rows or places are left out.
    unit : str
        "row", or the places' column.
    formula : str
        The model's formula.
    outcome : str
        The outcome's name.
    logged : bool
        Whether the formula takes the outcome's log.
    way : str
        How it was computed, in words.
    pointwise : pandas.DataFrame
        One row per row of the table that was used (by its position) or per place (by its label): rows (how many it
        stands for), elpd (of one of them, or of all rows of a place), p, pareto_k, mcse (Monte Carlo error of
        elpd). For rows also label (their place) and pit, P(y < y_i | the other rows); for places also elpd_per_row
        and approximate (older files do not store what exact values for individual places need).
    draws : int
        Number of draws of θ that were used.
    mcse : float
        Monte Carlo error of elpd.
    outcomes : Outcomes
        Sums of the outcomes, by place or of all rows together.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> result = ph.loo_places(post)
    >>> result.by, result.unit, result.elpd < 0 < result.se
    ('place', 'zip', True)
    >>> [verdict.code for verdict in result.check]
    ['weights', 'draws']
    """

    by: str
    unit: str
    formula: str
    outcome: str
    logged: bool
    way: str
    pointwise: pd.DataFrame
    draws: int
    mcse: float
    outcomes: Outcomes

    @property
    def times(self) -> Array:
        """Number of times (n,) that each is left out: a row that stands for several, once for each of them."""
        counts = self.pointwise["rows"].to_numpy(float)
        return counts if self.by == "row" else np.ones(len(counts))

    @property
    def elpd(self) -> float:
        """Sum over all rows or places left out; log densities in the outcome's own units."""
        return float(self.times @ self.pointwise["elpd"].to_numpy())

    @property
    def se(self) -> float:
        """Standard error of elpd, a sum of independent terms."""
        return standard_error(self.pointwise["elpd"].to_numpy(), self.times)

    @property
    def p(self) -> float:
        """Effective number of parameters: how much better the model predicts the rows it has seen."""
        return float(self.times @ self.pointwise["p"].to_numpy())

    @property
    def good_k(self) -> float:
        """Largest Pareto k at which estimates from this number of draws are reliable."""
        return good_k(self.draws)

    @property
    def bad(self) -> pd.DataFrame:
        """Rows or places with a Pareto k above good_k, the largest first."""
        frame = self.pointwise[self.pointwise["pareto_k"] > self.good_k]
        return frame.sort_values("pareto_k", ascending=False)

    @cached_property
    def check(self) -> Check:
        """Verdicts on whether the importance weights are reliable, and on whether there are enough draws."""
        total, what, over = len(self.pointwise), plural(self.unit), self.bad
        values: dict[str, Any] = {
            "total": total, "what": what, "good_k": self.good_k, "largest": float(self.pointwise["pareto_k"].max()),
        }  # fmt: skip
        if len(over):
            worst = {str(label): float(value) for label, value in over["pareto_k"].head(3).items()}
            named = [f"{label} ({value:.2f})" for label, value in worst.items()]
            weights = bad(
                "weights",
                "{count:,} of {total:,} {what} have a Pareto k above {good_k:.2f}: {listed}. Leaving any of them "
                "out changes the posterior substantially, so their estimates are unreliable: inspect them, and "
                "refit without them",
                **values, count=len(over), worst=worst,
                listed=join_words(named + [""] * (len(over) - len(worst)), limit=3),
            )  # fmt: skip
        else:
            weights = good(
                "weights",
                "all {total:,} {what} have a Pareto k of at most {good_k:.2f} (largest {largest:.2f}): the "
                "estimates are reliable",
                **values,
            )
        fine = self.mcse <= NOTABLE_ERROR * self.se or self.mcse < 0.1
        sentence = "with {draws:,} draws elpd has a Monte Carlo error of {mcse:.2g}; its standard error is {se:.3g}"
        sentence += "" if fine else ": use more draws ({advice})"
        verdicts = [
            weights,
            (good if fine else bad)(
                "draws", sentence, draws=self.draws, mcse=self.mcse, se=self.se, advice=argument("draws")
            ),
        ]
        count = int(self.pointwise["approximate"].sum()) if "approximate" in self.pointwise else 0
        if count:
            sentence = (
                "{count:,} of {total:,} {what} have an approximate elpd, because the file stores the sum of the "
                "logarithms of the weights only for all rows together; the total elpd is exact. Refit the table "
                "for exact values"
            )
            verdicts.append(
                bad("row_weights", sentence, about="weights of rows", count=count, total=total, what=what)
            )
        return Check(tuple(verdicts))

    def __str__(self) -> str:
        what = count_noun(len(self.pointwise), self.unit)
        lines = [
            f"{self.formula}",
            f"leave one {self.unit} out: {what}, {self.way}",
            f"elpd {self.elpd:,.1f} ± {self.se:,.1f} (standard error)"
            + ("" if math.isnan(self.p) else f", effective number of parameters {self.p:,.1f}"),
        ]
        return "\n".join([*lines, str(self.check)])

    __repr__ = __str__


def standard_error(values: Array, times: Array) -> float:
    """Return the standard error of the sum of values, each counted t times: √(Σ t (v − mean)²)."""
    mean = times @ values / times.sum()
    return math.sqrt(float(times @ (values - mean) ** 2))


@dataclass
class DensitySums:
    """Estimates from log densities, block by block, and their common Monte Carlo error.

    Attributes
    ----------
    influence : ndarray
        (S,) contribution of each draw to Σ log(Σ w p / Σ w) over all blocks so far, to first order.
    """

    influence: Array

    def add(
        self, out: Array, within: Array, times: Array, cdf: Array | None = None, weights: Array | None = None
    ) -> dict[str, Array]:
        """Add a block, and return its elpd, p, Pareto k and Monte Carlo error (n,), and pit if cdf is given.

        elpd_i = log Σ_s w_is p_is, w_is ∝ 1/p_is with its tail smoothed (math.md, equation 25).

        Parameters
        ----------
        out : ndarray
            (n, S) log density given θ of each row or place when it is left out.
        within : ndarray
            (n, S) the same when it is not left out.
        times : ndarray
            (n,) number of times that each counts.
        cdf : ndarray, optional
            (n, S) distribution function, for P(y < y_i).
        weights : ndarray, optional
            (S,) log weights of the draws in the posterior; equal if None.
        """
        log_weights = np.zeros(out.shape[1]) if weights is None else weights - np.logaddexp.reduce(weights)
        logs, k = smooth_weights(log_weights - out)
        terms = logs + out
        top = terms.max(axis=1, keepdims=True)
        elpd = top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))
        highest = within.max(axis=1, keepdims=True)
        shares = np.exp(log_weights - np.logaddexp.reduce(log_weights))
        lppd = highest[:, 0] + np.log((np.exp(within - highest) * shares).sum(axis=1))
        chances = np.exp(logs)
        deviations = np.exp(terms - elpd[:, None]) - chances
        self.influence += times @ deviations
        estimates = {"elpd": elpd, "p": lppd - elpd, "pareto_k": k, "mcse": np.sqrt((deviations**2).sum(axis=1))}
        return estimates if cdf is None else estimates | {"pit": (chances * cdf).sum(axis=1)}

    @property
    def error(self) -> float:
        """Monte Carlo error of the sum of elpd, for independent draws."""
        return math.sqrt(float((self.influence**2).sum()))
