"""Rows of a table that a fit would use, with their outcomes and groups."""

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
from priorhood.prediction.places import check_known_places, place_key, warn_of_suspicious_places
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
    """Rows of a table, and which of them can be used.

    Attributes
    ----------
    design : Design
        columns of the model
    rows : PredictionRows
        all N rows
    kept : array (n,)
        positions of the rows used
    y : array (n,) or None
        their outcomes, or logs if the formula takes the log; None if the table has no outcome
    labels : array (n,) or None
        labels of their groups; None without groups
    dropped : tuple of Dropped
        reasons why rows are left out, with counts
    times : array (n,) or None
        number of identical rows that each row stands for; None if the model has no frequencies
    """

    design: Design
    rows: PredictionRows
    kept: Index
    y: Array | None
    labels: Labels | None
    dropped: tuple[Dropped, ...]
    times: Array | None = None

    def labelled(self, values: npt.NDArray[Any], draws: xr.Dataset) -> xr.Dataset:
        """Return values (S, n) of every draw and row as a dataset, named after the outcome."""
        import xarray as xr

        shape = (draws.sizes["chain"], draws.sizes["draw"], len(self.kept))
        coords = {"chain": draws["chain"].values, "draw": draws["draw"].values, **self._coords()}
        return xr.Dataset({self._name: (("chain", "draw", "row"), values.reshape(shape))}, coords=coords)

    def observed(self) -> xr.Dataset:
        """Return the outcome in its own units as a dataset."""
        import xarray as xr

        y = np.asarray(self.y)
        values = np.exp(y) if self.design.formula.log_outcome else y
        return xr.Dataset({self._name: ("row", values)}, coords=self._coords())

    @property
    def _name(self) -> str:
        # A slash would create a group in the file.
        return re.sub(r"\s*/\s*", " per ", self.design.formula.outcome_name)

    def _coords(self) -> dict[str, Any]:
        name = self.design.formula.group or "row"
        coords: dict[str, Any] = {"row": self.kept}
        return coords if self.labels is None or name == "row" else {**coords, name: ("row", self.labels)}

    def density_into(self, out: npt.NDArray[Any], c: Coefficients) -> Callable[[slice, Array, Array], None]:
        """Return a function that writes the log densities of a chunk of rows into out (S, n); see simulate."""
        y, unit, nu = np.asarray(self.y), c.scale.unit, c.nu
        jacobian = np.log(unit) + (y if self.design.formula.log_outcome else np.zeros_like(y))

        def write(to: slice, m: Array, s: Array) -> None:
            # Log p(y | m, s), Normal or Student's t; it overwrites m, which is large.
            np.subtract(y[to, None] / unit, m, out=m)
            m /= s
            m *= m
            if nu is None:
                m *= -0.5
                m -= np.log(s) + 0.5 * np.log(2 * np.pi)
            else:
                from scipy.special import gammaln

                m /= nu
                np.log1p(m, out=m)
                m *= -(nu + 1) / 2
                m += gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(s)
            m -= jacobian[to, None]
            out[:, to] = m.T

        return write


def used_rows(table: Table, c: Coefficients, unseen: str) -> ObservedRows:
    """Read rows, except those that a fit would leave out and those with impossible values.

    Raises
    ------
    TableError
        if a group was not in the data of the fit, with unseen="error"
    ModelError
        if no row can be used
    """
    import narwhals.stable.v2 as nw

    design = c.design
    formula = design.formula
    outcome = Expression(formula.outcome)
    observed = outcome.names if all(name in table.columns for name in outcome.names) else ()
    weights = c.row_weights
    counts = tuple(name for name in (weights.frequency,) if name in table.columns)
    frame = frame_to_predict(table, design, weights, observed + counts)
    # Rows that are left out may be in new groups: only the groups of the rows used are checked below.
    rows = read_rows(c, frame, table.name, LATER)
    flags: list[tuple[str, str, Any]] = (
        [("where condition not met", "", ~nw.col(KEPT))] if KEPT in frame.columns else []
    )
    places = (column for column in formula.keys if column in frame.columns)
    needed = (*observed, *design.variables, *places, *weights.to_predict(table.columns), *counts)
    flags += [("missing", column, missing(frame, column)) for column in dict.fromkeys(needed)]
    flags += [("frequency weight of 0 in", column, nw.col(column).cast(nw.Float64) == 0) for column in counts]
    remaining = np.ones(len(frame), dtype=bool)
    dropped = []
    for reason, column, applies in flags:
        gone = remaining & frame.select(applies.alias("gone"))["gone"].to_numpy().astype(bool)
        dropped += [Dropped(reason, column, int(gone.sum()))]
        remaining &= ~gone
    usable, y = rows.usable, None
    if observed:
        y = frame.select(outcome.build().alias("y"))["y"].to_numpy().astype(float)
        usable = usable & np.isfinite(y)
    dropped += [Dropped("impossible value", "", int((remaining & ~usable).sum()))]
    dropped = [d for d in dropped if d.rows]
    kept = np.flatnonzero(remaining & usable)
    if not len(kept):
        reasons = "; ".join(map(str, dropped)) or "the table is empty"
        raise ModelError(f"{table.name}: none of the {len(frame):,} rows can be used ({reasons})")
    used, counts_by_place = np.unique(rows.group[kept], return_counts=True)
    places_used = [place_key(c, rows.spots[at]) for at in used]
    if unseen == "error":
        check_known_places(places_used, c, table.name)
    else:
        warn_of_suspicious_places(places_used, counts_by_place, c, table.name)
    labels = None
    if formula.levels:
        depth = len(c.levels[0].places.path)
        finest = [SEPARATOR.join(spot.split(SEPARATOR)[:depth]) for spot in rows.spots]
        labels = shown(np.array(finest, dtype=str))[rows.group[kept]]
    times = None if weights.frequency is None else np.ones(len(kept))
    for column in counts:
        times = frame.select(nw.col(column).cast(nw.Float64).alias("times"))["times"].to_numpy()[kept]
    return ObservedRows(design, rows, kept, None if y is None else y[kept], labels, tuple(dropped), times)
