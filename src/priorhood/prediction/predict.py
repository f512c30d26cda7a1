"""Predictive distributions of rows, in known, new and unknown groups (math.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._arguments import check_choice, check_seed
from priorhood._system import cores, memory, run_in_threads
from priorhood._text import preview
from priorhood.data.sources.table import with_columns
from priorhood.errors import ModelError, TableError
from priorhood.prediction.coefficients import HEAVY, NOISE, TAILS, stream
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import (
    PredictionRows,
    frame_to_predict,
    kept_rows,
    locations,
    read_rows,
    table_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index, Labels
    from priorhood.data.sources.table import Table
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.finite_moments import Tails

UNSEEN = ("error", "population", "draw")
BLOCK = 256  # rows predicted at a time, so that rows × draws are never in memory together
CHUNK = 2**19  # values simulated at a time


@dataclass(frozen=True)
class Request:
    """Checked options of a prediction; see Posterior.predict.

    Attributes
    ----------
    quantiles : tuple of float
        probabilities
    below, above : tuple of float
        thresholds in the outcome's units
    unseen : str
        "error", "population" or "draw"
    seed : int
        seed of the random numbers
    """

    quantiles: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    unseen: str
    seed: int


def request(
    quantiles: object = (), below: object = None, above: object = None, unseen: str = "error", *, seed: int
) -> Request:
    """Return the options of a prediction, checked.

    Raises
    ------
    ModelError
        if an option is not valid
    """

    def numbers(name: str, given: object) -> tuple[float, ...]:
        if given is None:
            return ()
        values: Any = [given] if isinstance(given, int | float | np.number) else given
        try:
            # A text would be read as its digits.
            if isinstance(values, str) or any(isinstance(v, str | bool | np.bool_) for v in values):
                raise TypeError
            checked = tuple(float(v) for v in values)
        except (TypeError, ValueError):
            raise ModelError(f"{name} must be a number or a list of numbers, not {given!r}") from None
        if not all(np.isfinite(checked)):
            raise ModelError(f"{name} must be finite, not {given!r}")
        return checked

    probabilities = numbers("quantiles", quantiles)
    if any(not 0 < q < 1 for q in probabilities):
        raise ModelError(f"quantiles must lie between 0 and 1, such as 0.05,0.5,0.95, not {preview(probabilities)}")
    check_choice("unseen", unseen, UNSEEN)
    return Request(probabilities, numbers("below", below), numbers("above", above), unseen, check_seed(seed))


@dataclass(frozen=True)
class Predictions:
    """Predictive distributions of n rows in the outcome's units; NaN for rows that cannot be predicted.

    Attributes
    ----------
    mean, sd : array (n,)
        moments of every row
    quantiles, below, above : dict of float to array (n,)
        quantiles by probability, and probabilities by threshold
    status : array (n,)
        known, new, unknown, missing or invalid
    note : str or None
        sentence on which moments are infinite, with advice; None if none is
    """

    mean: Array
    sd: Array
    quantiles: dict[float, Array]
    below: dict[float, Array]
    above: dict[float, Array]
    status: Labels
    note: str | None

    def columns(self, prefix: str = "") -> dict[str, Any]:
        """Return the arrays as the columns that users see: mean, sd, q5, below_350000, above_350000, status."""
        arrays: dict[str, Any] = {"mean": self.mean, "sd": self.sd}
        arrays |= {f"q{100 * level:g}": values for level, values in self.quantiles.items()}
        arrays |= {f"below_{threshold:.15g}": values for threshold, values in self.below.items()}
        arrays |= {f"above_{threshold:.15g}": values for threshold, values in self.above.items()}
        return {prefix + name: values for name, values in {**arrays, "status": self.status}.items()}


def predict_table(
    c: Coefficients,
    table: Table,
    wanted: Request,
    tails: Tails | None,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    prefix: str = "",
) -> tuple[Any, Predictions]:
    """Predict the rows of a table; return a frame of its kind with the predictions' columns, and the predictions.

    Raises
    ------
    TableError
        if the table already has a column with the name of a prediction's
    """
    # Collected once: a query that runs twice might return its rows in another order.
    averages = c.data.moments
    frame = kept_rows(frame_to_predict(table, c.design, c.row_weights, unseen=wanted.unseen, averages=averages))
    predictions = predict_rows(c, read_rows(c, frame, table.name, wanted.unseen), wanted, tails, progress)
    columns = predictions.columns(prefix)
    clash = [name for name in columns if name in table.columns]
    if clash:
        raise TableError(
            f"{table.name} already has a column {clash[0]!r}; set a prefix, such as predicted_, for the "
            f"predictions' columns"
        )
    return with_columns(table, frame.drop(*table.joined), columns), predictions


def predict_rows(
    c: Coefficients,
    rows: PredictionRows,
    wanted: Request,
    tails: Tails | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Predictions:
    """Predict rows, in blocks.

    tails : tails of the posterior, for a log outcome; if None, moments are those of the draws
    """
    from scipy.special import ndtri

    from priorhood.engines.mixture import summarize

    unit, logged = c.scale.unit, c.design.formula.log_outcome
    levels = np.array(wanted.quantiles)
    cut = c.scale.from_outcome(np.array(wanted.below + wanted.above), log=logged)
    n = len(rows.X)
    mean, sd = np.full(n, np.nan), np.full(n, np.nan)
    quantiles, below = np.full((n, len(levels)), np.nan), np.full((n, len(cut)), np.nan)
    usable = np.flatnonzero(rows.usable)
    # Rows of one group side by side, so that its coefficients are fetched once per block.
    order = usable[np.argsort(rows.group[usable], kind="stable")]
    groups = Groups(c, rows.spots, wanted.unseen, wanted.seed)
    normals, factor = _error_mixture(c, wanted.seed)
    verdict = None if tails is None else tails.judge(rows, groups)

    def block(part: Any) -> None:
        m = np.ascontiguousarray(locations(rows, groups, part))
        sigma, kind = groups.sigmas(rows.group[part])
        inverse = 1.0 / sigma if normals is None else (normals / sigma[:, None]).reshape(len(sigma), -1)
        out = np.empty(len(part)), np.empty(len(part)), np.empty((len(part), len(levels)))
        probability = np.empty((len(part), len(cut)))
        summarize(
            m, inverse, sigma**2 * factor, kind, rows.error[part], levels, ndtri(levels), cut,
            unit if logged else 0.0, *out, probability,
        )  # fmt: skip
        mean[part], sd[part], quantiles[part] = out
        below[part] = probability
        if tails is not None and verdict is not None and verdict.judged[part].any():
            at = part[verdict.judged[part]]
            mean[at], sd[at] = tails.moments(c, rows, groups, at)

    def report(done: int, _: int) -> None:
        if progress:
            progress("predicting", min(done * BLOCK, len(order)), len(order))

    jobs = [(order[lo : lo + BLOCK],) for lo in range(0, len(order), BLOCK)]
    run_in_threads(block, jobs, max(cores(), 1), report)
    below[np.ix_(usable, cut == -np.inf)] = 0.0  # exactly: with a log, no outcome is 0 or below
    if c.nu is not None and not logged and c.nu.min() <= 1:
        mean[:] = np.nan
    note = None
    if tails is not None and verdict is not None:
        mean[verdict.mean], sd[verdict.sd] = np.inf, np.inf
        note = tails.note(verdict, rows)
    # Means and sds of exp(xᵀβ + e) are in the outcome's units already.
    return Predictions(
        mean=mean if logged else mean * unit,
        sd=sd if logged else sd * unit,
        quantiles={q: c.scale.to_outcome(quantiles[:, i], log=logged) for i, q in enumerate(wanted.quantiles)},
        below={t: below[:, i] for i, t in enumerate(wanted.below)},
        above={t: 1.0 - below[:, len(wanted.below) + i] for i, t in enumerate(wanted.above)},
        status=rows.status,
        note=note,
    )


def _error_mixture(c: Coefficients, seed: int) -> tuple[Array | None, Any]:
    """Return √g of the Normals that represent Student-t errors (None for Normal ones), and the variance/σ²."""
    if c.nu is None:
        return None, 1.0
    from priorhood.engines.mixture import precisions

    # nu/(nu − 2), infinite for nu ≤ 2 and for the exponential of Student's t.
    finite = (c.nu > 2) & (not c.design.formula.log_outcome)
    factor = np.where(finite, c.nu / np.where(finite, c.nu - 2.0, 1.0), np.inf)
    return precisions(c.nu, stream(seed, TAILS)), factor


def predict_draws(c: Coefficients, table: Table, unseen: str, seed: int) -> tuple[Array, Labels]:
    """Return one predictive draw per row and posterior draw (S, n), in the outcome's units, and the rows' status.

    Raises
    ------
    ModelError
        if rows × draws do not fit into this machine's memory
    """
    rows = table_rows(c, table, unseen)
    check_memory(len(c.mu), len(rows.X), "outcomes")
    out = np.empty((len(c.mu), len(rows.X)))
    simulate(rows, Groups(c, rows.spots, unseen, seed), np.arange(len(rows.X)), out)
    return out, rows.status


def check_memory(draws: int, rows: int, what: str) -> None:
    """Raise if rows × draws would not fit into this machine's memory.

    Raises
    ------
    ModelError
        if they would not
    """
    needed, available = 2 * 8 * draws * rows, memory()  # twice, for computations with them
    if available is not None and needed > 0.7 * available:
        raise ModelError(
            f"{rows:,} rows × {draws:,} draws of {what} need about {needed / 1e9:.0f} GB, and this machine has "
            f"{available / 1e9:.0f} GB: pass fewer rows at a time, or use predict(), which does not keep draws per "
            f"row"
        )


def simulate(
    rows: PredictionRows,
    groups: Groups,
    kept: Index,
    out: npt.NDArray[Any],
    also: Callable[[slice, Array, Array], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Fill out (S, len(kept)) with predictive draws y = xᵀβ + σ e of the rows kept, in the outcome's units.

    `also` is called for every chunk with the columns of out, xᵀβ (rows, S) and σ, standardized; it may overwrite
    xᵀβ. Every block of rows has a separate stream, so that a row's draws only depend on the seed and the row's
    position, not on threads, chunks or other rows.
    """
    c = groups.c

    def block(number: int) -> None:
        noise, heavy = (stream(groups.seed, purpose, number) for purpose in (NOISE, HEAVY))
        last = int(np.searchsorted(kept, (number + 1) * BLOCK))
        end = int(kept[last - 1]) + 1
        step = max(CHUNK // len(c.mu), 1)
        for lo in range(number * BLOCK, end, step):
            hi = min(lo + step, end)
            to = slice(*np.searchsorted(kept[:last], [lo, hi]).tolist())
            part = kept[to]
            e = noise.standard_normal((hi - lo, len(c.mu)))
            if c.nu is not None:
                with np.errstate(divide="ignore"):
                    e /= np.sqrt(heavy.standard_gamma(c.nu / 2, e.shape) / (c.nu / 2))
            e = e[part - lo]
            m = locations(rows, groups, part)
            sigma, kind = groups.sigmas(rows.group[part])
            s = (sigma if len(sigma) == 1 else sigma[kind]) * rows.error[part, None]
            e *= s
            e += m
            e *= c.scale.unit
            with np.errstate(over="ignore"):
                out[:, to] = (np.exp(e, out=e) if c.design.formula.log_outcome else e).T
            if also:
                also(to, m, s)

    report = None if progress is None else lambda done, total: progress("simulating", done, total)
    run_in_threads(block, [(number,) for number in np.unique(kept // BLOCK).tolist()], max(cores(), 1), report)
