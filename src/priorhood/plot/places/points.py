"""Rows of a place along a predictor: from a table, or their means and spread from the sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from priorhood._text import argument
from priorhood.data.labels import normal_label
from priorhood.data.sources.columns import label_text
from priorhood.errors import ModelError, TableError
from priorhood.model.design import Indicator
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.weights import Weights
from priorhood.plot.figure.select_places import ellipse
from priorhood.prediction.rows import frame_to_predict, kept_rows

if TYPE_CHECKING:
    from priorhood._arrays import Array, Index
    from priorhood.posterior.posterior import Posterior

# Without rows, lines cover the mean of all rows ± this many sds.
REACH = 2.0


@dataclass(frozen=True)
class Points:
    """Rows of a table.

    Attributes
    ----------
    x, y : array
        Predictor (for a category, its position), and outcome in its units.
    place : array
        Position of the place of each row.
    left_out : int
        Number of rows that are not drawn.
    """

    MAX_ROWS: ClassVar[int] = 2000

    x: Array
    y: Array
    place: Index
    left_out: int = 0

    def in_place(self, place: int) -> Points:
        """Return the rows of one place; of very many, a random selection that is always the same."""
        rows = np.flatnonzero(self.place == place)
        kept = rows
        if len(rows) > self.MAX_ROWS:
            kept = np.sort(np.random.default_rng(0).choice(rows, self.MAX_ROWS, replace=False))
        return Points(self.x[kept], self.y[kept], self.place[kept], len(rows) - len(kept))


@dataclass(frozen=True)
class Cloud:
    """Rows of a place as described by their sums: an ellipse (n, 2), or crosses at means."""

    outline: Array
    crosses: bool

    @property
    def x(self) -> Array:
        """Return the horizontal coordinates of the outline."""
        return self.outline[:, 0]

    @property
    def y(self) -> Array:
        """Return the vertical coordinates of the outline."""
        return self.outline[:, 1]


# -- rows of a table ----------------------------------------------------------------------------------------


def points_of(post: Posterior, name: str, rows: object) -> Points:
    """Return the rows of a table that have the predictor, the outcome and a place of the fit.

    Raises
    ------
    TableError : a missing column, or no such row
    """
    import narwhals.stable.v2 as nw

    design, formula = post.design, post.model.formula
    outcome = formula.unlogged
    table = post.placed(rows)
    for column in outcome.names:
        table.require(column, "the outcome")
    frame = kept_rows(frame_to_predict(table, design, Weights(), outcome.names))
    y = frame.select(outcome.build().alias("y"))["y"].to_numpy().astype(float)
    categories = next((c for f, c in design.categories.items() if Expression(f).bare == name), None)
    if categories is None:
        x = frame.select(nw.col(name).cast(nw.Float64))[name].to_numpy().astype(float)
    else:
        texts = [str(value).strip().removesuffix(".0") for value in frame[name].to_list()]
        x = np.array([categories.index(t) if t in categories else np.nan for t in texts], dtype=float)
    place = np.zeros(len(y), np.int64)
    if post.hierarchy.levels:
        # By the labels along the path, or by the last one alone; −1 for a place that the fit did not have.
        level = post.hierarchy.levels[0]
        known = [key for key in level.path if key in frame.columns]
        labels = [frame.select(label_text(frame, key).alias(key))[key].to_list() for key in known]
        keys = level.keys.tolist()
        if len(known) < len(level.path):
            keys = [key.split(SEPARATOR)[-1] for key in keys]
            labels = labels[-1:]
        position = {key: number for number, key in enumerate(keys)}
        joined = [SEPARATOR.join(normal_label(str(part)) for part in parts) for parts in zip(*labels, strict=True)]
        place = np.array([position.get(key, -1) for key in joined], dtype=np.int64)
    used = np.isfinite(x) & np.isfinite(y) & (place >= 0)
    if not used.any():
        raise TableError(
            f"{table.name}: no row has {name!r}, {formula.outcome_name!r} and a place of the fit, so there is "
            f"nothing to plot"
        )
    return Points(x[used], y[used], place[used])


# -- the sums -----------------------------------------------------------------------------------------------


def extent(post: Posterior, name: str, points: Points | None) -> tuple[float, float]:
    """Return the range of a numeric predictor: that of the rows or, without them, the mean of all ± 2 sd.

    The sd is that of the log if the formula takes the log. A range that would cross 0 ends there if 0 is more than
    one sd from the mean: areas and the like are never negative.

    Raises
    ------
    ModelError : without rows, a predictor that only occurs inside another expression
    """
    if points is not None:
        low, high = float(points.x.min()), float(points.x.max())
    else:
        column = _column(post, name)
        if column is None:
            raise ModelError(
                f"the formula has {name!r} only inside another expression, so its range is unknown: pass the rows, "
                f"{argument('table', ...)}"
            )
        position, logged = column
        mean, scatter = post.moments.pooled()
        centre = float(mean[position])
        sd = float(np.sqrt(scatter[position, position] / post.moments.mass.sum()))
        low, high = centre - REACH * sd, centre + REACH * sd
        if logged:
            low, high = float(np.exp(low)), float(np.exp(high))
        elif abs(centre) > sd:
            low, high = (max(low, 0.0), high) if centre > 0 else (low, min(high, 0.0))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _column(post: Posterior, name: str) -> tuple[int, bool] | None:
    """Return the position of the predictor or its log among the sums, and whether it is the log."""
    positions: dict[bool, int] = {}
    for position, column in enumerate(c for c in post.design.columns if c.factors):
        only = column.factors[0] if len(column.factors) == 1 else None
        if isinstance(only, Expression):
            if only.bare == name:
                positions[False] = position
            if only.logged is not None and Expression(only.logged).bare == name:
                positions[True] = position
    return None if not positions else (positions[min(positions)], min(positions))


def cloud_of(post: Posterior, name: str, place: int) -> Cloud | None:
    """Return the mean ± 1 sd of a place's rows as an ellipse, or a cross for few rows; for a category, its means.

    If the formula takes logs, the ellipse is that of the logs. None if the sums do not contain the predictor by
    itself.
    """
    moments, levels, log_outcome = post.moments, post.hierarchy.levels, post.model.formula.log_outcome
    cells = np.flatnonzero(levels[0].of_cell == place) if levels else np.arange(len(moments.n))
    own = replace(
        moments, labels=moments.labels[cells], n=moments.n[cells], mean=moments.mean[cells],
        scatter=moments.scatter[cells], weight=None if moments.weight is None else moments.weight[cells],
    )  # fmt: skip
    mean, scatter = own.pooled()
    covariance = scatter / own.mass.sum()
    factor = next((f for f in post.design.categories if Expression(f).bare == name), None)
    if factor is None:
        column = _column(post, name)
        if column is None:
            return None
        position, logged = column
        both = [position, len(mean) - 1]
        outline = ellipse(mean[both], covariance[np.ix_(both, both)], 1.0)
        crosses = bool(np.ptp(outline, axis=0).max() == 0)
        outline = outline[:1] if crosses else outline
        x = np.exp(outline[:, 0]) if logged else outline[:, 0]
        y = np.exp(outline[:, 1]) if log_outcome else outline[:, 1]
        return Cloud(np.column_stack([x, y]), crosses)

    # The mean outcome of a category, E(y | c) = E(1_c y) / E(1_c); of the reference, from the rest.
    categories = post.design.categories[factor]
    shares, sums = dict.fromkeys(categories, np.nan), dict.fromkeys(categories, np.nan)
    for position, term in enumerate(c for c in post.design.columns if c.factors):
        only = term.factors[0]
        if len(term.factors) == 1 and isinstance(only, Indicator) and only.factor == factor:
            shares[only.category] = mean[position]
            sums[only.category] = covariance[position, -1] + mean[position] * mean[-1]
    missing = [c for c in categories if not np.isfinite(shares[c])]
    if len(missing) > 1:
        return None
    for category in missing:
        shares[category] = 1.0 - sum(v for c, v in shares.items() if c != category)
        sums[category] = mean[-1] - sum(v for c, v in sums.items() if c != category)
    present = [number for number, c in enumerate(categories) if shares[c] > 1e-9]
    y = np.array([sums[categories[number]] / shares[categories[number]] for number in present])
    y = np.exp(y) if log_outcome else y
    return Cloud(np.column_stack([np.array(present, dtype=float), y]), crosses=True)
