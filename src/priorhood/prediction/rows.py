"""Rows to predict: read and standardized like the fit's rows, with their places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import row_count, suggestion
from priorhood.data.labels import normal_label
from priorhood.data.roles import TRUE_OR_FALSE, Role, convert_to_roles
from priorhood.data.schema import refuse_unwritable, rows_to_predict
from priorhood.data.sources.columns import label_text, missing
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.errors import TableError
from priorhood.model.formula import SEPARATOR
from priorhood.model.weights import ERRORS, MAX_WEIGHT, MIN_WEIGHT
from priorhood.prediction.places import check_known_places, place_key, warn_of_suspicious_places

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood._arrays import Array, Flags, Index, Labels
    from priorhood.data.sources.table import Table
    from priorhood.model.design import Design
    from priorhood.model.weights import Weights
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.places import Groups
    from priorhood.suffstats.moments import CellMoments

AVERAGE = "(average)"
ANY_NUMBER = "truth values may be any number"  # in Table.checked, of lines along a predictor
LATER = "later"  # unseen= of callers that check new places once they know which rows are used


@dataclass(frozen=True)
class PredictionRows:
    """Rows to predict.

    Attributes
    ----------
    X : array (n, D)
        standardized columns, NaN if missing
    error : array (n,)
        factor of sigma: the known standard error, 1/√w or 1; NaN if missing or invalid
    group : array (n,)
        the rows' places, as positions in spots
    status : array (n,)
        known, new, unknown, missing or invalid
    spots : tuple of str
        labels of every distinct place of the rows, joined
    """

    X: Array
    error: Array
    group: Index
    status: Labels
    spots: tuple[str, ...]

    @property
    def usable(self) -> Flags:
        """True for rows that can be predicted: (n,)."""
        return np.isfinite(self.X).all(axis=1) & np.isfinite(self.error)


def frame_to_predict(
    table: Table,
    design: Design,
    weights: Weights,
    numbers: tuple[str, ...] = (),
    *,
    unseen: str = "error",
    averages: CellMoments | None = None,
) -> Any:
    """Return rows to predict, in memory; standard errors, weights and the columns in `numbers` become numbers.

    averages : sums of the fit, if columns of true and false may also have their mean in it, as in Posterior.homes

    Raises
    ------
    TableError
        if a column is missing or has text instead of numbers, or other numbers instead of truth values
    """
    se = weights.se
    if se is not None and se not in table.columns:
        raise TableError(
            f"{table.name} has no column {se!r} ({ERRORS}): {suggestion(se, table.columns)}. The model's errors "
            f"are known, so every row to predict needs the standard error of its outcome, in the outcome's units"
        )
    wanted = frozenset((*numbers, *weights.to_predict(table.columns)))
    frame = rows_to_predict(replace(table, open=lambda text: table.open(text - wanted)), design, unseen)
    _check_truths(frame, table, design, averages)
    names = weights.roles()
    roles = {column: Role(names.get(column, "the outcome"), number=True) for column in sorted(wanted)}
    return convert_to_roles(frame, roles, table, keep=True)


def _check_truths(frame: nw.DataFrame[Any], table: Table, design: Design, averages: CellMoments | None) -> None:
    """Raise if a column that was true or false in the fit has other numbers than 1 and 0."""
    import narwhals.stable.v2 as nw

    numbers = [name for name in design.variables if name in design.truths and frame.schema[name] != nw.Boolean]
    for column in () if ANY_NUMBER in table.checked else numbers:
        values = frame[column].cast(nw.Float64).to_numpy().astype(float)
        odd = ~np.isin(values, (0.0, 1.0)) & ~np.isnan(values)
        if KEPT in frame.columns:
            odd &= frame[KEPT].to_numpy().astype(bool)
        if odd.any() and averages is not None and column in averages.columns:
            odd &= values != averages.pooled()[0][averages.columns.index(column)]
        if odd.any():
            first, count = int(np.flatnonzero(odd)[0]), int(odd.sum())
            where = f"row {first + 1:,}"
            where = where if count == 1 else f"{row_count(count)}, the first of them {where}"
            raise TableError(
                f"{table.name}: predictor {column!r} is neither true nor false in {where}: {values[first]:g}; "
                f"{TRUE_OR_FALSE}"
            )


def table_rows(c: Coefficients, table: Table, unseen: str) -> PredictionRows:
    """Return a table's rows to predict, without those that where= excludes; see frame_to_predict and read_rows."""
    frame = kept_rows(frame_to_predict(table, c.design, c.row_weights, unseen=unseen, averages=c.data.moments))
    return read_rows(c, frame, table.name, unseen)


def read_rows(c: Coefficients, frame: nw.DataFrame[Any], name: str, unseen: str) -> PredictionRows:
    """Standardize rows, in order; rows that cannot be predicted are marked, not dropped.

    Parameters
    ----------
    c : Coefficients
        draws of the model's parameters
    frame : narwhals.DataFrame
        result of frame_to_predict
    name : str
        name of the table, for messages
    unseen : str
        "error", "population" or "draw", see Posterior.predict; or LATER

    Raises
    ------
    TableError
        if a column is missing, or a group or category was not in the data of the fit
    """
    import narwhals.stable.v2 as nw

    design, scale = c.design, c.scale
    columns = [design.build(column).alias(f"x{d}") for d, column in enumerate(design.columns) if column.factors]
    flag: Any = nw.lit(value=False)
    for variable in (*design.variables, *c.row_weights.to_predict(frame.columns)):
        flag = flag | missing(frame, variable)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the rows affected are marked below
        values = frame.select(flag.alias("absent"), *columns)
    n = len(frame)
    X = np.ones((n, len(design.columns)))
    for d, column in enumerate(design.columns):
        if column.factors:
            X[:, d] = (values[f"x{d}"].to_numpy().astype(float) - scale.centre[d]) / scale.spread[d]
    # Some backends return one row if only a constant is selected.
    absent = np.broadcast_to(np.asarray(values["absent"].to_numpy(), dtype=bool), n)
    X[absent] = np.nan
    error = np.ones(n)
    for given in c.row_weights.to_predict(frame.columns):
        raw = frame[given].cast(nw.Float64).to_numpy().astype(float)
        raw = np.where((raw >= MIN_WEIGHT) & (raw <= MAX_WEIGHT), raw, np.nan)
        error = scale.from_outcome(raw) if given == c.row_weights.se else 1.0 / np.sqrt(raw)
    group, spots = _keys(frame, c, n, unseen, name)
    places = tuple(place_key(c, spot) for spot in spots)
    if unseen == "error":
        check_known_places(places, c, name)
    elif unseen != LATER:
        warn_of_suspicious_places(places, np.bincount(group, minlength=len(places)), c, name)
    status: Labels = np.array([place.status for place in places] or [""], dtype=str)[group]
    rows = PredictionRows(X, error, group, status, spots)
    return replace(rows, status=np.where(rows.usable, status, np.where(absent, "missing", "invalid")))


def _keys(frame: Any, c: Coefficients, n: int, unseen: str, table: str) -> tuple[Index, tuple[str, ...]]:
    """Return every row's position among the distinct places, and the places' joined labels ('' if one is missing).

    If a grouping's last column is missing and unseen is "population", every row is in its average place.
    """
    paths = [g.places.path for g in (*c.levels[:1], *c.crossed) if g.places.path[-1] not in frame.columns]
    average = {name for path in paths for name in path} if unseen == "population" else set()
    joined: list[str] = [""] * n
    for at, name in enumerate(c.keys):
        if name in frame.columns:
            nulls = frame.select(missing(frame, name).alias("null"))["null"].to_numpy().astype(bool)
            raw = frame.select(label_text(frame, name).alias(name))[name].to_list()
            texts = ["" if null else str(t) for t, null in zip(raw, nulls, strict=True)]
            refuse_unwritable(dict.fromkeys(texts), repr(name), table)
            texts = list(map(normal_label, texts))
        else:
            texts = [AVERAGE if name in average else ""] * n
        joined = [SEPARATOR.join(pair) for pair in zip(joined, texts, strict=True)] if at else texts
    unique, inverse = np.unique(np.array(joined, dtype=str), return_inverse=True)
    return inverse.astype(np.int64), tuple(unique.tolist())


def locations(rows: PredictionRows, groups: Groups, part: Any) -> Array:
    """Return the locations xᵀβ of the rows in `part` under every draw, standardized: (len(part), S)."""
    c = groups.c
    fixed = np.isin(c.mu_cols, c.levels[0].cols if c.levels else [], invert=True)
    X = rows.X[part]
    m = X[:, c.mu_cols[fixed]] @ c.mu[:, fixed].T
    group = rows.group[part] if c.levels else np.zeros(0, np.int64)
    spots = np.unique(group)
    beta = groups.together(spots) if c.levels else {}
    for spot in spots:
        at = np.flatnonzero(group == spot)
        m[at] += X[np.ix_(at, c.levels[0].cols)] @ beta[int(spot)].T
        for which, grouping in enumerate(c.crossed):
            m[at] += X[np.ix_(at, grouping.cols)] @ groups.across(which, int(spot)).T
    return np.asarray(m)


def kept_rows(frame: Any) -> Any:
    """Return the rows that satisfy the table's condition (where)."""
    import narwhals.stable.v2 as nw

    return frame.filter(nw.col(KEPT)).drop(KEPT) if KEPT in frame.columns else frame
