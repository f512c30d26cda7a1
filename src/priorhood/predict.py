"""Predictive distributions of rows, in known, new and unknown groups (math.md, section 7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.errors import ModelError, TableError, some
from priorhood.moments import normal_label
from priorhood.rows import rows_to_predict
from priorhood.table import missing, read, with_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    import narwhals.stable.v2 as nw
    import xarray as xr

    from priorhood.design import Design
    from priorhood.scale import Scale

Array = npt.NDArray[np.float64]

UNSEEN = ("error", "population", "draw")
BLOCK = 256  # rows predicted at a time: rows × draws never stand in memory together

# Streams of random numbers, so that one purpose does not disturb another.
_NEW_GROUP, _UNKNOWN, _NOISE = 1, 2, 3


@dataclass(frozen=True)
class Coefficients:
    """Posterior draws, flattened to (S, …), standardized, with what is known of the groups.

    mu (S, F) and its columns; beta (S, J, K) and its columns; spread (S, K, K) = diag(τ) chol Ω
    labels (J,), weights (J,): the groups and their shares of the rows
    """

    mu: Array
    mu_cols: npt.NDArray[np.int64]
    beta: Array
    beta_cols: npt.NDArray[np.int64]
    spread: Array
    sigma: Array
    labels: npt.NDArray[np.str_]
    weights: Array


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


def check_seed(seed: object) -> int:
    """A seed as a file can hold it: a whole number from 0 to 2⁶³ − 1."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ModelError(f"seed must be a whole number from 0 to 2**63 - 1, not {seed!r}")
    return int(seed)


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


@dataclass(frozen=True)
class Rows:
    """Rows to predict: X (n, D) standardized, NaN where missing; group (n,): index among `coefficients`.

    status (n,): known, new, unknown, missing or invalid
    """

    X: Array
    group: npt.NDArray[np.int64]
    status: npt.NDArray[np.str_]
    new: tuple[str, ...]


def read_rows(
    design: Design, scale: Scale, labels: npt.NDArray[np.str_], frame: nw.DataFrame[Any], name: str, unseen: str
) -> Rows:
    """The design of every row, in order; a row that cannot be predicted is marked, not dropped.

    Raises
    ------
    TableError : a column that is not there; a group or category that the fit did not have
    """
    import narwhals.stable.v2 as nw

    columns = [design.build(c).alias(f"x{d}") for d, c in enumerate(design.columns) if c.factors]
    absent = [missing(frame, v) for v in design.variables]
    flag: Any = nw.lit(value=False)
    for one in absent:
        flag = flag | one
    found = frame.select(flag.alias("absent"), *columns) if columns else frame.select(flag.alias("absent"))
    n = len(frame)
    X = np.ones((n, len(design.columns)))
    for d, column in enumerate(design.columns):
        if column.factors:
            X[:, d] = (found[f"x{d}"].to_numpy().astype(float) - scale.centre[d]) / scale.spread[d]
    # A lone constant is broadcast to one row by some backends.
    gone = np.broadcast_to(np.asarray(found["absent"].to_numpy(), dtype=bool), n)
    X[gone] = np.nan
    group, status, new = _places(frame, design, labels, n)
    status = np.where(np.isfinite(X).all(axis=1), status, np.where(gone, "missing", "invalid"))
    if new and unseen == "error":
        group_name = design.formula.groups[0]
        raise TableError(
            f"{name}: {group_name} {some(new)} {'was' if len(new) == 1 else 'were'} not in the data of the "
            f"fit{_lost_zeros(new[0], labels)}. Say what to do with new ones: unseen=population (the average "
            f"{group_name}) or unseen=draw (a {group_name} like the others)"
        )
    return Rows(X, group, status, new)


def _lost_zeros(label: str, labels: npt.NDArray[np.str_]) -> str:
    """A hint where a label lost its leading zeros on the way: 1067 for 01067."""
    same = [known for known in labels.tolist() if known.lstrip("0") == label.lstrip("0")]
    return f" (but {same[0]!r} was: read the column as text to keep its zeros)" if same else ""


def _places(
    frame: Any, design: Design, labels: npt.NDArray[np.str_], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.str_], tuple[str, ...]]:
    """Index of every row's group: 0…J−1 known, J… new in order of label, −1 unknown."""
    import narwhals.stable.v2 as nw

    if not design.formula.groups:
        return np.zeros(n, np.int64), np.full(n, "known"), ()
    name = design.formula.groups[0]
    none = frame.select(missing(frame, name).alias("none"))["none"].to_numpy().astype(bool)
    raw = frame.select(nw.col(name).cast(nw.String))[name].to_list()
    texts = np.array(["" if gone else normal_label(str(t)) for t, gone in zip(raw, none, strict=True)], dtype=str)
    unique, inverse = np.unique(texts, return_inverse=True)
    at = {label: i for i, label in enumerate(labels.tolist())}
    new = tuple(t for t in unique.tolist() if t and t not in at)
    at |= {label: len(labels) + i for i, label in enumerate(new)}
    at[""] = -1
    group = np.array([at[t] for t in unique.tolist()], dtype=np.int64)[inverse]
    status = np.where(group < 0, "unknown", np.where(group >= len(labels), "new", "known"))
    return group, status, new


def correlation_factor(omega: Array) -> Array:
    """Lower Cholesky factors of correlation matrices (S, K, K), also of those that rounding left singular."""
    K = omega.shape[-1]
    L = np.zeros_like(omega)
    for i in range(K):
        for j in range(i):
            rest = omega[:, i, j] - (L[:, i, :j] * L[:, j, :j]).sum(axis=1)
            pivot = L[:, j, j]
            L[:, i, j] = np.divide(rest, pivot, out=np.zeros_like(rest), where=pivot > 1e-8)
        L[:, i, i] = np.sqrt(np.maximum(1.0 - (L[:, i, :i] ** 2).sum(axis=1), 0.0))
    return L


def _stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, *more])))


def group_coefficients(c: Coefficients, rows: Rows, unseen: str, seed: int) -> Callable[[int], Array]:
    """A function: index of a group → its coefficients (S, K), drawn where it is new or unknown.

    A new group's draw depends on the seed and its label only, so neither the order nor the chunking of
    rows changes it. An unknown group is one of the known ones: every posterior draw takes one, as often
    as its share of the rows.
    """
    J, S, K = len(c.labels), len(c.sigma), len(c.beta_cols)
    base = np.zeros((S, K))
    for k, column in enumerate(c.beta_cols):
        at = np.flatnonzero(c.mu_cols == column)
        if len(at):
            base[:, k] = c.mu[:, at[0]]

    def coefficients(group: int) -> Array:
        if group < 0:
            rng = _stream(seed, _UNKNOWN)
            places = (rng.permutation(S) + rng.random()) / S
            chosen = np.searchsorted(np.cumsum(c.weights), places).clip(0, J - 1)
            return np.asarray(c.beta[np.arange(S), chosen])
        if group < J:
            return np.asarray(c.beta[:, group])
        if unseen == "population":
            return base
        label = rows.new[group - J]
        noise = _stream(seed, _NEW_GROUP, *label.encode()).standard_normal((S, K))
        return np.asarray(base + np.einsum("skl,sl->sk", c.spread, noise))

    return coefficients


def locations(c: Coefficients, rows: Rows, coefficients: Callable[[int], Array], part: Any) -> Array:
    """x_iᵀ β of the rows in `part` under every draw: (len(part), S), standardized."""
    own = np.isin(c.mu_cols, c.beta_cols, invert=True)
    X = rows.X[part]
    m = X[:, c.mu_cols[own]] @ c.mu[:, own].T
    if len(c.beta_cols):
        groups = rows.group[part]
        for group in np.unique(groups):
            at = np.flatnonzero(groups == group)
            m[at] += X[np.ix_(at, c.beta_cols)] @ coefficients(int(group)).T
    return np.asarray(m)


def predict_table(
    c: Coefficients,
    design: Design,
    scale: Scale,
    source: object,
    wanted: Request,
    progress: Callable[[str, int, int], None] | None = None,
) -> Any:
    """Predictive summaries beside the rows given, as the kind of frame that was given."""
    table = read(source)
    # Collected once: a query asked twice might give its rows in another order.
    frame = rows_to_predict(table, design)
    rows = read_rows(design, scale, c.labels, frame, table.name, wanted.unseen)
    columns = predict_rows(c, design, scale, rows, wanted, progress)
    named = {wanted.prefix + name: values for name, values in columns.items()}
    clash = [name for name in named if name in table.columns]
    if clash:
        raise TableError(
            f"{table.name} has a column {clash[0]!r} already; give the predictions' columns a prefix, "
            f"like predicted_"
        )
    return with_columns(table, frame, named)


def predict_rows(
    c: Coefficients,
    design: Design,
    scale: Scale,
    rows: Rows,
    wanted: Request,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Mean, sd, quantiles and probabilities of every row, in blocks."""
    from scipy.special import ndtri

    from priorhood.mixture import summarize

    logged = design.formula.log_outcome
    levels = np.array(wanted.quantiles)
    thresholds = np.array(wanted.below + wanted.above)
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.log(np.maximum(thresholds, 0.0)) / scale.unit if logged else thresholds / scale.unit
    n = len(rows.X)
    mean, sd = np.full(n, np.nan), np.full(n, np.nan)
    quantiles, below = np.full((n, len(levels)), np.nan), np.full((n, len(thresholds)), np.nan)
    usable = np.flatnonzero(np.isfinite(rows.X).all(axis=1))
    # Rows of one group together: its coefficients are then fetched once a block.
    order = usable[np.argsort(rows.group[usable], kind="stable")]
    coefficients = group_coefficients(c, rows, wanted.unseen, wanted.seed)
    blocks = [order[lo : lo + BLOCK] for lo in range(0, len(order), BLOCK)]

    def block(part: Any) -> int:
        m = np.ascontiguousarray(locations(c, rows, coefficients, part))
        out = np.empty(len(part)), np.empty(len(part)), np.empty((len(part), len(levels)))
        probability = np.empty((len(part), len(thresholds)))
        summarize(m, c.sigma, levels, ndtri(levels), cut, scale.unit if logged else 0.0, *out, probability)
        mean[part], sd[part], quantiles[part] = out
        below[part] = probability
        return len(part)

    done = 0
    with ThreadPoolExecutor(max(wanted.threads, 1)) as pool:
        for size in pool.map(block, blocks):
            done += size
            if progress:
                progress("predicting", done, len(order))
    return _named_columns(wanted, scale.unit, mean, sd, quantiles, below, rows.status, logged=logged)


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
    c: Coefficients, design: Design, scale: Scale, source: object, unseen: str, seed: int, shape: tuple[int, int]
) -> xr.DataArray:
    """One predictive draw of every row for every posterior draw: (chain, draw, row), in the outcome's units."""
    import xarray as xr

    table = read(source)
    rows = read_rows(design, scale, c.labels, rows_to_predict(table, design), table.name, unseen)
    coefficients = group_coefficients(c, rows, unseen, seed)
    n = len(rows.X)
    out = np.empty((len(c.sigma), n))
    for number, lo in enumerate(range(0, n, BLOCK)):
        part = np.arange(lo, min(lo + BLOCK, n))
        # A stream for every block of rows: the numbers do not depend on what is computed at a time.
        noise = _stream(seed, _NOISE, number).standard_normal((len(part), len(c.sigma)))
        out[:, part] = (locations(c, rows, coefficients, part) + c.sigma * noise).T * scale.unit
    values = np.exp(out) if design.formula.log_outcome else out
    return xr.DataArray(
        values.reshape(*shape, n), dims=("chain", "draw", "row"), name=design.formula.outcome_name,
        coords={"row": np.arange(n), "status": ("row", rows.status)},
    )  # fmt: skip
