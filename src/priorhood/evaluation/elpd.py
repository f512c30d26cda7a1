"""What leave-one-out found: expected log predictive density, by row or by place, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import counted, plural
from priorhood.diagnostics.check import Check
from priorhood.diagnostics.psis import good_k, smoothed
from priorhood.diagnostics.verdict import Verdict, bad, good

if TYPE_CHECKING:
    import pandas as pd

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.model.weights import Weights
    from priorhood.suffstats.moments import CellMoments

# Standard errors of which the Monte Carlo error may be this share.
NOTABLE_ERROR = 0.25
# Sums of the same outcomes differ by rounding alone.
SAME = 1e-6


@dataclass(frozen=True)
class Outcomes:
    """What a posterior's sums say of its rows' outcomes: whether two models may be of the same rows.

    name : the outcome as the formula takes it: price, log(price); weights : of the rows
    mass, mean, scatter : (K,) of every place, or of all rows as one
    """

    name: str
    weights: Weights
    mass: Array
    mean: Array
    scatter: Array

    def unlike(self, other: Outcomes, at: Index) -> Index:
        """Where the other's sums are of other outcomes; nowhere where they cannot tell.

        They cannot where only one is of logarithms, or the rows weigh otherwise.

        Parameters
        ----------
        at : where each of these is in the other
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
    """The outcomes' sums of every place; of all rows as one without places."""
    mass, mean, scatter = moments.mass, moments.mean[:, -1], moments.scatter[:, -1, -1]
    cell = np.zeros(len(mass), np.int64) if places is None else places.of_cell

    def total(values: Array) -> Array:
        return np.bincount(cell, weights=values).astype(np.float64)

    own = total(mass)
    first = mean[np.unique(cell, return_index=True)[1]]
    centre = first + total(mass * (mean - first[cell])) / own
    return Outcomes(name, weights, own, centre, total(scatter + mass * (mean - centre[cell]) ** 2))


@dataclass(frozen=True, repr=False)
class Elpd:
    """Expected log predictive density of rows, or of places, that the model has not seen.

    by : "row" or "place"; unit : what is left out, "row" or the places' column
    formula : of the model; outcome : its name; logged : whether the formula takes its log
    way : how it was computed, in words
    pointwise : frame, one row a row of the table used (indexed by its position) or a place (by its label): rows
        (how many it stands for), elpd (of one of them, of all rows of a place), p, pareto_k, mcse (Monte Carlo
        error of elpd); of rows also label (their place) and pit, P(y < y_i | the other rows); of places also
        elpd_per_row and approximate (of files without what single places' values need)
    draws : of θ, that were taken; mcse : Monte Carlo error of elpd
    outcomes : their sums, by place or of all rows together
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
        """(n,) how often each is left out: rows that stand for several, once for each."""
        counts = self.pointwise["rows"].to_numpy(float)
        return counts if self.by == "row" else np.ones(len(counts))

    @property
    def elpd(self) -> float:
        """The sum over all that was left out, in the outcome's own units."""
        return float(self.times @ self.pointwise["elpd"].to_numpy())

    @property
    def se(self) -> float:
        """Its standard error, that of a sum of independent terms."""
        return standard_error(self.pointwise["elpd"].to_numpy(), self.times)

    @property
    def p(self) -> float:
        """The effective number of parameters: how much better the model knows what it has seen."""
        return float(self.times @ self.pointwise["p"].to_numpy())

    @property
    def good_k(self) -> float:
        """The Pareto k up to which the draws serve."""
        return good_k(self.draws)

    @cached_property
    def check(self) -> Check:
        """Verdicts: whether the weights hold, and whether there are enough draws."""
        return Check((self._weights(), self._error(), *self._shared()))

    @property
    def bad(self) -> pd.DataFrame:
        """What has a Pareto k over good_k, the largest first."""
        frame = self.pointwise[self.pointwise["pareto_k"] > self.good_k]
        return frame.sort_values("pareto_k", ascending=False)

    def _weights(self) -> Verdict:
        k, over = self.pointwise["pareto_k"], self.bad
        values: dict[str, Any] = {
            "total": len(k),
            "what": plural(self.unit),
            "good_k": self.good_k,
            "largest": float(k.max()),
        }
        if not len(over):
            return good(
                "weights",
                "all {total:,} {what} have a Pareto k of at most {good_k:.2f} (greatest {largest:.2f}): the "
                "estimates hold",
                **values,
            )  # fmt: skip
        worst = {str(label): float(value) for label, value in over["pareto_k"].head(3).items()}
        more = f" and {len(over) - 3:,} more" if len(over) > 3 else ""
        return bad(
            "weights",
            "{count:,} of {total:,} {what} have a Pareto k over {good_k:.2f}: {listed}. Without them the posterior "
            "is another one, and what is said of them is uncertain: look at them, and at what the model says when "
            "it is fitted without them",
            **values, count=len(over), worst=worst,
            listed=", ".join(f"{label} ({value:.2f})" for label, value in worst.items()) + more,
        )  # fmt: skip

    def _error(self) -> Verdict:
        fine = self.mcse <= NOTABLE_ERROR * self.se or self.mcse < 0.1
        sentence = (
            "{draws:,} draws give elpd with a Monte Carlo error of {mcse:.2g}; its standard error is {se:.3g}"
        )
        sentence += "" if fine else ": take more draws (draws=, --draws)"
        return (good if fine else bad)("draws", sentence, draws=self.draws, mcse=self.mcse, se=self.se)

    def _shared(self) -> tuple[Verdict, ...]:
        """Of an older file: which places' own values are approximate."""
        count = int(self.pointwise["approximate"].sum()) if "approximate" in self.pointwise else 0
        if not count:
            return ()
        sentence = (
            "{count:,} of {total:,} {what} have an approximate elpd: the file has the sum of the logarithms of all "
            "rows' weights alone; their sum is exact. Fit again from the table"
        )
        numbers = {"count": count, "total": len(self.pointwise), "what": plural(self.unit)}
        return (bad("row_weights", sentence, about="weights of rows", **numbers),)

    def __str__(self) -> str:
        what = counted(len(self.pointwise), self.unit)
        lines = [
            f"{self.formula}",
            f"leave one {self.unit} out: {what}, {self.way}",
            f"elpd {self.elpd:,.1f} ± {self.se:,.1f} (standard error)"
            + ("" if math.isnan(self.p) else f", p {self.p:,.1f}"),
        ]
        return "\n".join([*lines, str(self.check)])

    __repr__ = __str__


def standard_error(values: Array, times: Array) -> float:
    """Of the sum of values, each counted so often: √(Σ t (v − mean)²)."""
    mean = times @ values / times.sum()
    return math.sqrt(float(times @ (values - mean) ** 2))


@dataclass
class DensitySums:
    """What blocks of rows or places leave behind, one after the other.

    influence : (S,) Σ over all so far of what each draw adds to log Σ w p / Σ w, to first order
    """

    influence: Array

    def take(
        self, out: Array, within: Array, times: Array, cdf: Array | None = None, weights: Array | None = None
    ) -> dict[str, Array]:
        """Of n things and S draws: elpd, p, Pareto k and Monte Carlo error (n,) of each; pit where cdf is given.

        out : (n, S) log density given θ of what is left out; within : of the same when it is not
        cdf : (n, S) its distribution function, for P(y < y_i)
        weights : (S,) log of what the draws weigh in the posterior; all alike if None

        elpd_i = log Σ_s w_is p_is, w_is ∝ 1/p_is with its tail smoothed (math.md, equation 25).
        """
        own = np.zeros(out.shape[1]) if weights is None else weights - np.logaddexp.reduce(weights)
        logs, k = smoothed(own - out)
        terms = logs + out
        top = terms.max(axis=1, keepdims=True)
        elpd = top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))
        highest = within.max(axis=1, keepdims=True)
        shares = np.exp(own - np.logaddexp.reduce(own))
        lppd = highest[:, 0] + np.log((np.exp(within - highest) * shares).sum(axis=1))
        chances = np.exp(logs)
        apart = np.exp(terms - elpd[:, None]) - chances
        self.influence += times @ apart
        found = {"elpd": elpd, "p": lppd - elpd, "pareto_k": k, "mcse": np.sqrt((apart**2).sum(axis=1))}
        return found if cdf is None else found | {"pit": (chances * cdf).sum(axis=1)}

    @property
    def error(self) -> float:
        """Monte Carlo error of the sum, for independent draws."""
        return math.sqrt(float((self.influence**2).sum()))
