"""Rows of a table that a fit would use, with their outcomes and groups, as a posterior sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.data.dropped import Dropped
from priorhood.data.sources.columns import missing
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.errors import ModelError
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.hierarchy import shown
from priorhood.prediction.places import refuse_new, spot_of, tell_doubtful
from priorhood.prediction.rows import LATER, PredictionRows, frame_to_predict, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from priorhood._arrays import Array, Index, Labels
    from priorhood.data.sources.table import Table
    from priorhood.model.design import Design
    from priorhood.prediction.coefficients import Coefficients


@dataclass(frozen=True)
class ObservedRows:
    """Rows of a table, and those of them that can be used.

    rows : all (N)
    kept : (n,) positions of those used
    y : (n,) their outcome, its log where the formula takes the log; None where the table has none
    labels : (n,) of their groups; None without groups
    dropped : reasons why rows are left out, with their number
    times : (n,) number of equal rows that each stands for; None where the model has no frequencies
    """

    design: Design
    rows: PredictionRows
    kept: Index
    y: Array | None
    labels: Labels | None
    dropped: tuple[Dropped, ...]
    times: Array | None = None

    def labelled(self, values: npt.NDArray[Any], draws: xr.Dataset) -> xr.Dataset:
        """Values (S, n) of every draw and row, named after the outcome."""
        import xarray as xr

        shape = (draws.sizes["chain"], draws.sizes["draw"], len(self.kept))
        coords = {"chain": draws["chain"].values, "draw": draws["draw"].values, **self._coords()}
        return xr.Dataset({self._name: (("chain", "draw", "row"), values.reshape(shape))}, coords=coords)

    def observed(self) -> xr.Dataset:
        """The outcome in its own units."""
        import xarray as xr

        y = np.asarray(self.y)
        values = np.exp(y) if self.design.formula.log_outcome else y
        return xr.Dataset({self._name: ("row", values)}, coords=self._coords())

    @property
    def _name(self) -> str:
        # A slash would make a group of the file.
        return re.sub(r"\s*/\s*", " per ", self.design.formula.outcome_name)

    def _coords(self) -> dict[str, Any]:
        name = self.design.formula.group or "row"
        coords: dict[str, Any] = {"row": self.kept}
        return coords if self.labels is None or name == "row" else {**coords, name: ("row", self.labels)}

    def density_into(self, out: npt.NDArray[Any], c: Coefficients) -> Callable[[slice, Array, Array], None]:
        """A function that writes the log densities of a chunk of rows into out (S, n); see simulate."""
        y, unit = np.asarray(self.y), c.scale.unit
        jacobian = np.log(unit) + (y if self.design.formula.log_outcome else np.zeros_like(y))

        def write(to: slice, m: Array, s: Array) -> None:
            standard = _log_density(y[to, None] / unit, m, s, c.nu)
            standard -= jacobian[to, None]
            out[:, to] = standard.T

        return write


def _log_density(y: Array, m: Array, s: Array, nu: Array | None) -> Array:
    """Log p(y | m, s) (rows, S), Normal or Student's t; overwrites m, since it is large."""
    np.subtract(y, m, out=m)
    m /= s
    m *= m
    if nu is None:
        m *= -0.5
        m -= np.log(s) + 0.5 * np.log(2 * np.pi)
        return m
    from scipy.special import gammaln

    m /= nu
    np.log1p(m, out=m)
    m *= -(nu + 1) / 2
    m += gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(s)
    return m


def used_rows(table: Table, c: Coefficients, unseen: str) -> ObservedRows:
    """Read rows, without those that a fit would leave out and those with impossible values.

    Raises
    ------
    TableError
        A group that the fit did not have, with unseen="error".
    ModelError
        No row can be used.
    """
    import narwhals.stable.v2 as nw

    design = c.design
    formula = design.formula
    outcome = Expression(formula.outcome)
    observed = outcome.names if all(name in table.columns for name in outcome.names) else ()
    weights = c.row_weights
    counts = tuple(name for name in (weights.frequency,) if name in table.columns)
    frame = frame_to_predict(table, design, weights, observed + counts)
    # Rows that are left out may be in groups that the fit did not have: only the groups of those used count below.
    rows = read_rows(c, frame, table.name, LATER)
    flags: list[tuple[str, str, Any]] = [("not in where", "", ~nw.col(KEPT))] if KEPT in frame.columns else []
    places = (column for column in formula.keys if column in frame.columns)
    needed = (*observed, *design.variables, *places, *weights.to_predict(table.columns), *counts)
    flags += [("missing", column, missing(frame, column)) for column in dict.fromkeys(needed)]
    flags += [("0 in", column, nw.col(column).cast(nw.Float64) == 0) for column in counts]
    left = np.ones(len(frame), dtype=bool)
    dropped = []
    for reason, column, applies in flags:
        gone = left & frame.select(applies.alias("gone"))["gone"].to_numpy().astype(bool)
        dropped += [Dropped(reason, column, int(gone.sum()))]
        left &= ~gone
    usable, y = rows.usable, None
    if observed:
        y = frame.select(outcome.build().alias("y"))["y"].to_numpy().astype(float)
        usable = usable & np.isfinite(y)
    dropped += [Dropped("impossible value", "", int((left & ~usable).sum()))]
    dropped = [d for d in dropped if d.rows]
    kept = np.flatnonzero(left & usable)
    if not len(kept):
        reasons = "; ".join(map(str, dropped)) or "there are none"
        raise ModelError(f"{table.name}: none of the {len(frame):,} rows can be used ({reasons})")
    there, counted = np.unique(rows.group[kept], return_counts=True)
    spots = [spot_of(c, rows.spots[at]) for at in there]
    if unseen == "error":
        refuse_new(spots, c, table.name)
    else:
        tell_doubtful(spots, counted, c, table.name)
    labels = None
    if formula.levels:
        depth = len(c.levels[0].places.path)
        finest = [SEPARATOR.join(spot.split(SEPARATOR)[:depth]) for spot in rows.spots]
        labels = shown(np.array(finest, dtype=str))[rows.group[kept]]
    times = None if weights.frequency is None else np.ones(len(kept))
    for column in counts:
        times = frame.select(nw.col(column).cast(nw.Float64).alias("times"))["times"].to_numpy()[kept]
    return ObservedRows(design, rows, kept, None if y is None else y[kept], labels, tuple(dropped), times)
