"""Predictive distributions of rows, in known, new and unknown groups (math.md, section 7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._arguments import check_seed
from priorhood._system import memory
from priorhood._text import some
from priorhood.data.sources.table import read, with_columns
from priorhood.errors import ModelError, TableError
from priorhood.prediction.coefficients import HEAVY, NOISE, TAILS, stream
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import PredictionRows, frame_to_predict, kept_rows, locations, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from priorhood._arrays import Array, Index
    from priorhood.model.design import Design
    from priorhood.model.scale import Scale
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.finite_moments import Tails

UNSEEN = ("error", "population", "draw")
BLOCK = 256  # rows predicted at a time: rows × draws never stand in memory together
CHUNK = 2**19  # values simulated at a time


@dataclass(frozen=True)
class Request:
    """What is wanted of every row, checked.

    quantiles : probabilities; below, above : thresholds in the outcome's units; unseen : see predict
    """

    quantiles: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    unseen: str
    prefix: str
    seed: int
    threads: int


def request(
    quantiles: object, below: object, above: object, unseen: str, prefix: str, seed: int, threads: int
) -> Request:
    """Check the options of a prediction."""
    chosen = _numbers("quantiles", quantiles)
    if any(not 0 < q < 1 for q in chosen):
        raise ModelError(f"quantiles must lie between 0 and 1, like 0.05,0.5,0.95, not {some(chosen)}")
    if unseen not in UNSEEN:
        raise ModelError(f"unseen must be one of {', '.join(UNSEEN)}, not {unseen!r}")
    check_seed(seed)
    return Request(chosen, _numbers("below", below), _numbers("above", above), unseen, prefix, seed, threads)


def check_memory(draws: int, rows: int, what: str) -> None:
    """Raise before rows × draws are made that this machine has no room for.

    Raises
    ------
    ModelError
    """
    needed, there = 2 * 8 * draws * rows, memory()  # once more for what is done with them
    if there is not None and needed > 0.7 * there:
        raise ModelError(
            f"{rows:,} rows × {draws:,} draws of {what} need about {needed / 1e9:.0f} GB, and this machine has "
            f"{there / 1e9:.0f} GB: give fewer rows at a time, or take predict(), which holds no draws of rows"
        )


def _numbers(name: str, given: object) -> tuple[float, ...]:
    if given is None:
        return ()
    values = [given] if isinstance(given, int | float) else given
    try:
        numbers = tuple(float(v) for v in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ModelError(f"{name} must be a number or a list of numbers, not {given!r}") from None
    if not all(np.isfinite(numbers)):
        raise ModelError(f"{name} must be finite, not {given!r}")
    return numbers


def predict_table(
    c: Coefficients,
    design: Design,
    scale: Scale,
    source: object,
    wanted: Request,
    progress: Callable[[str, int, int], None] | None = None,
    tails: Tails | None = None,
) -> tuple[Any, str | None]:
    """Predictive summaries beside the rows given, as the kind of frame that was given; see predict_rows."""
    table = read(source)
    # Collected once: a query asked twice might give its rows in another order.
    frame = kept_rows(frame_to_predict(table, design, c.row_weights, unseen=wanted.unseen))
    rows = read_rows(design, scale, c, frame, table.name, wanted.unseen)
    columns, note = predict_rows(c, design, scale, rows, wanted, progress, tails)
    named = {wanted.prefix + name: values for name, values in columns.items()}
    clash = [name for name in named if name in table.columns]
    if clash:
        raise TableError(
            f"{table.name} has a column {clash[0]!r} already; give the predictions' columns a prefix, "
            f"like predicted_"
        )
    return with_columns(table, frame.drop(*table.joined), named), note


def predict_rows(
    c: Coefficients,
    design: Design,
    scale: Scale,
    rows: PredictionRows,
    wanted: Request,
    progress: Callable[[str, int, int], None] | None = None,
    tails: Tails | None = None,
) -> tuple[dict[str, Any], str | None]:
    """Mean, sd, quantiles and probabilities of every row, in blocks; a note where moments are infinite.

    tails : of the posterior, under a log outcome; without them moments are those of the draws
    """
    from scipy.special import ndtri

    from priorhood.engines.mixture import precisions, summarize

    logged = design.formula.log_outcome
    levels = np.array(wanted.quantiles)
    thresholds = np.array(wanted.below + wanted.above)
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.log(np.maximum(thresholds, 0.0)) / scale.unit if logged else thresholds / scale.unit
    n = len(rows.X)
    mean, sd = np.full(n, np.nan), np.full(n, np.nan)
    quantiles, below = np.full((n, len(levels)), np.nan), np.full((n, len(thresholds)), np.nan)
    usable = np.flatnonzero(rows.usable)
    # Rows of one group together: its coefficients are then fetched once a block.
    order = usable[np.argsort(rows.group[usable], kind="stable")]
    groups = Groups(c, rows.spots, wanted.unseen, wanted.seed)
    normals = None if c.nu is None else precisions(c.nu, stream(wanted.seed, TAILS))
    blocks = [order[lo : lo + BLOCK] for lo in range(0, len(order), BLOCK)]
    verdict = None if tails is None else tails.judge(rows, groups)

    def block(part: Any) -> int:
        m = np.ascontiguousarray(locations(rows, groups, part))
        sigma, kind = groups.sigmas(rows.group[part])
        inverse = 1.0 / sigma if normals is None else (normals / sigma[:, None]).reshape(len(sigma), -1)
        out = np.empty(len(part)), np.empty(len(part)), np.empty((len(part), len(levels)))
        probability = np.empty((len(part), len(thresholds)))
        summarize(
            m, inverse, _variance(c, sigma, logged=logged), kind, rows.error[part], levels, ndtri(levels), cut,
            scale.unit if logged else 0.0, *out, probability,
        )  # fmt: skip
        mean[part], sd[part], quantiles[part] = out
        below[part] = probability
        if tails is not None and verdict is not None and verdict.judged[part].any():
            at = part[verdict.judged[part]]
            mean[at], sd[at] = tails.moments(c, rows, groups, at)
        return len(part)

    done = 0
    with ThreadPoolExecutor(max(wanted.threads, 1)) as pool:
        for size in pool.map(block, blocks):
            done += size
            if progress:
                progress("predicting", done, len(order))
    if c.nu is not None and not logged and c.nu.min() <= 1:
        mean[:] = np.nan
    note = None
    if tails is not None and verdict is not None:
        mean[verdict.mean], sd[verdict.sd] = np.inf, np.inf
        note = tails.note(verdict, rows)
    return _named_columns(wanted, scale.unit, mean, sd, quantiles, below, rows.status, logged=logged), note


def _variance(c: Coefficients, sigma: Array, *, logged: bool) -> Array:
    """Of the errors, (G, S): σ², or σ² nu/(nu − 2); infinite for nu ≤ 2, and where exp(t) has no moments."""
    if c.nu is None:
        return sigma**2
    finite = (c.nu > 2) & (not logged)
    return sigma**2 * np.where(finite, c.nu / np.where(finite, c.nu - 2.0, 1.0), np.inf)


def _named_columns(
    wanted: Request,
    unit: float,
    mean: Array,
    sd: Array,
    quantiles: Array,
    below: Array,
    status: Any,
    *,
    logged: bool,
) -> dict[str, Any]:
    """Summaries on the modelled scale → columns in the outcome's units, by the names users see."""
    factor = 1.0 if logged else unit
    columns: dict[str, Any] = {"mean": mean * factor, "sd": sd * factor}
    for i, level in enumerate(wanted.quantiles):
        value = quantiles[:, i] * unit
        columns[f"q{100 * level:g}"] = np.exp(value) if logged else value
    for i, threshold in enumerate(wanted.below):
        columns[f"below_{threshold:.15g}"] = below[:, i]
    for i, threshold in enumerate(wanted.above, start=len(wanted.below)):
        columns[f"above_{threshold:.15g}"] = 1.0 - below[:, i]
    columns["status"] = status
    return columns


def predict_draws(
    c: Coefficients,
    design: Design,
    scale: Scale,
    source: object,
    unseen: str,
    seed: int,
    shape: tuple[int, int],
    threads: int,
) -> xr.DataArray:
    """One predictive draw of every row for every posterior draw: (chain, draw, row), in the outcome's units."""
    import xarray as xr

    table = read(source)
    rows = read_rows(
        design,
        scale,
        c,
        kept_rows(frame_to_predict(table, design, c.row_weights, unseen=unseen)),
        table.name,
        unseen,
    )
    n = len(rows.X)
    check_memory(len(c.mu), n, "their outcomes")
    out = np.empty((len(c.mu), n))
    simulate(rows, Groups(c, rows.spots, unseen, seed), np.arange(n), design, scale, out, threads)
    return xr.DataArray(
        out.reshape(*shape, n), dims=("chain", "draw", "row"), name=design.formula.outcome_name,
        coords={"row": np.arange(n), "status": ("row", rows.status)},
    )  # fmt: skip


def simulate(
    rows: PredictionRows,
    groups: Groups,
    kept: Index,
    design: Design,
    scale: Scale,
    out: npt.NDArray[Any],
    threads: int,
    also: Callable[[slice, Array, Array], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Fill out (S, len(kept)) with predictive draws in the outcome's units, y = xᵀβ + σ e, of the rows kept.

    `also` is given the columns of out, xᵀβ (rows, S) and σ, standardized, of every chunk; it may write over
    xᵀβ. Every block of rows has a stream of its own, so that a row's numbers depend on the seed and its
    position alone: neither threads, nor chunks, nor other rows change them.
    """

    def block(number: int) -> None:
        noise, heavy = (stream(groups.seed, purpose, number) for purpose in (NOISE, HEAVY))
        last = int(np.searchsorted(kept, (number + 1) * BLOCK))
        end = int(kept[last - 1]) + 1
        step = max(CHUNK // len(groups.c.mu), 1)
        for lo in range(number * BLOCK, end, step):
            hi = min(lo + step, end)
            to = slice(*np.searchsorted(kept[:last], [lo, hi]).tolist())
            part = kept[to]
            e = _errors(groups.c, noise, heavy, hi - lo)[part - lo]
            m = locations(rows, groups, part)
            sigma, kind = groups.sigmas(rows.group[part])
            s = (sigma if len(sigma) == 1 else sigma[kind]) * rows.error[part, None]
            e *= s
            e += m
            e *= scale.unit
            with np.errstate(over="ignore"):
                out[:, to] = (np.exp(e, out=e) if design.formula.log_outcome else e).T
            if also:
                also(to, m, s)

    numbers = np.unique(kept // BLOCK).tolist()
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for done, _ in enumerate(pool.map(block, numbers), start=1):
            if progress:
                progress("simulating", done, len(numbers))


def _errors(c: Coefficients, noise: np.random.Generator, heavy: np.random.Generator, n: int) -> Array:
    """Draws (n, S) of Normal or Student-t errors with scale 1."""
    e = noise.standard_normal((n, len(c.mu)))
    if c.nu is not None:
        with np.errstate(divide="ignore"):
            e /= np.sqrt(heavy.standard_gamma(c.nu / 2, e.shape) / (c.nu / 2))
    return e
