"""What if a place, or one row, had not been there: the posterior without it, and how far the rest moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import near, rows_of, some
from priorhood.data.join_places import placed
from priorhood.data.sources.table import read
from priorhood.diagnostics.psis import smoothed
from priorhood.errors import ModelError
from priorhood.evaluation.exact_posterior import log_of_places
from priorhood.evaluation.shift import FlatDraws, far, flat_draws, shifts
from priorhood.fitting.run import FitOptions, draw_exact, exact_refusal, fit_moments, silent
from priorhood.posterior.tree import labelled
from priorhood.suffstats import collect
from priorhood.suffstats.moments import keep, subtract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from priorhood._arrays import Array, Flags, Index
    from priorhood.fitting.run import Progress
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior
    from priorhood.suffstats.moments import CellMoments

PARETO_LIMIT = 0.7
SHOWN = 5


@dataclass(frozen=True, repr=False)
class Influence:
    """What one place, or one row, does to the rest; printed, a sentence and what moves most.

    what : what was left out, in words; rows : how many rows that were
    labels : (P,) the parameters of the rest; of_place : (P,) whether of a single place
    shift : (P,) of the means by leaving it out, in sds of the posterior with it; ratio : (P,) of the sds
    change : (P,) of the means, in the data's units; units : (P,) their units
    without : the posterior without it
    """

    what: str
    rows: int
    labels: tuple[str, ...]
    of_place: Flags
    shift: Array
    ratio: Array
    change: Array
    units: tuple[str, ...]
    without: Posterior

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter, what moves most first: shift (sds), sd_ratio, change, unit, of_place, far."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                "shift": self.shift, "sd_ratio": self.ratio, "change": self.change, "unit": self.units,
                "of_place": self.of_place, "far": far(self.shift, self.ratio),
            },
            index=pd.Index(self.labels, name="parameter"),
        )  # fmt: skip
        frame = frame[frame["shift"].notna()]
        return frame.loc[frame["shift"].abs().sort_values(ascending=False, kind="stable").index]

    def __str__(self) -> str:
        table = self.table
        shown = table[~table["of_place"]].head(SHOWN), table[table["of_place"]].head(SHOWN)
        moved = int(table["far"].sum())
        told = f"{moved:,} of {len(table):,} parameters move far" if moved else "nothing moves far"
        columns = ["shift", "sd_ratio", "change", "unit"]
        parts = [part[columns].to_string(float_format=lambda v: f"{v:,.3g}") for part in shown if len(part)]
        return "\n\n".join([f"without {self.what} ({rows_of(self.rows)}): {told}", *parts])

    def __repr__(self) -> str:
        return f"Influence(of {self.what}: {rows_of(self.rows)})"


def influence(
    post: Posterior,
    row: Mapping[str, object] | None = None,
    *,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **places: object,
) -> Any:
    """What the rest would be without one place, zip="10115", or one row; without either, of every place.

    The rows' sums are taken out of the posterior's exactly (the inverse of merge), and the model is fitted to the
    rest under the scale that it has, so that priors and parameters mean the same.

    Parameters
    ----------
    row : the columns of one row that was in the data, {"zip": "10115", "living_space": 80, "price": 310_000}; the
        sums tell rows that cannot have been in the data, not all that were not
    places : a column of the formula's groupings = a label: the place whose rows are left out
    chains, draws, seed, threads, progress : of the refits, as of fit()

    Returns
    -------
    Influence for a place or row. Else a frame of the finest places, the most influential first: rows; parameter,
    the one of all places together that moves most, its shift in sds, and change, the same in its unit;
    place_parameter, place_shift, place_change and place_unit, of the other places; pareto_k and how: "weights",
    without a refit (equation 21), or "refit", where the weights' Pareto k is above 0.7

    Raises
    ------
    ModelError : no such place; a row that cannot have been in the data; a model that only NUTS takes

    Notes
    -----
    Of a posterior without stored draws of places, what all places have in common is compared, and coarser levels.
    """
    # Refits keep what the posterior keeps, so that there is something to compare.
    options = FitOptions.again(post, chains, draws, seed, threads, progress, post.store)
    refusal = exact_refusal(post.data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; influence refits from the sums alone, and NUTS needs the rows: fit without them"
        )
    if row is not None and places:
        raise ModelError("influence takes a row or a place, not both")
    if row is not None:
        return _without(post, _less_row(post, row), "this row", options)
    if not places:
        return _of_every_place(post, options)
    grouping, at = _place(post, places)
    what = f"{grouping.name} {str(grouping.labels[at])!r}"
    return _without(post, _less_place(post, grouping, at), what, options)


# -- taking out -------------------------------------------------------------------------------------------


def _place(post: Posterior, places: Mapping[str, object]) -> tuple[Places, int]:
    """The grouping and the index of the place that is asked for."""
    if len(places) > 1:
        raise ModelError(f"influence takes one place, not {len(places)}: {', '.join(places)}")
    ((name, label),) = places.items()
    known = {one.name: one for one in post.hierarchy.groupings}
    if name not in known:
        there = f"there are {some(known)}" if known else "the formula has no group"
        raise ModelError(f"{name!r} is no grouping of {post.model.formula.text!r}; {there}")
    labels = [str(one) for one in known[name].labels]
    if str(label) not in labels:
        raise ModelError(f"the posterior has no {name} {str(label)!r}; {near(str(label), labels)}")
    return known[name], labels.index(str(label))


def _less_place(post: Posterior, grouping: Places, at: int) -> CellMoments:
    """The sums without one place's cells."""
    rest = grouping.of_cell != at
    if not rest.any():
        raise ModelError(f"all rows are in {grouping.name} {str(grouping.labels[at])!r}: nothing would be left")
    return keep(post.moments, rest)


def _less_row(post: Posterior, row: Mapping[str, object]) -> CellMoments:
    """The sums without one row."""
    if not isinstance(row, dict):
        raise ModelError(f"row must be a mapping of columns to values, not {row!r}")
    model = post.model
    several = [
        name for name, value in row.items() if isinstance(value, list | tuple | np.ndarray) and len(value) != 1
    ]
    if several:
        raise ModelError(f"row takes one value a column; {several[0]!r} has {row[several[0]]!r}")
    table = {
        name: value if isinstance(value, list | tuple | np.ndarray) else [value] for name, value in row.items()
    }
    source, _ = placed(replace(read(table), name="the row"), None, model.formula, post.place_table, post.cells)
    _, own = collect.collect_moments(source, model.formula, None, post.design, weights=model.weights)
    return subtract(post.moments, own)


# -- one ---------------------------------------------------------------------------------------------------


def _without(post: Posterior, rest: CellMoments, what: str, options: FitOptions) -> Influence:
    after = fit_moments(post.data.with_moments(rest), options).with_places(post.place_table)
    if rest.weight is not None and rest.log_weights is None and rest.log_weight == post.moments.log_weight:
        # In an older file Σ log w is that of all rows together, and the evidence of the rest is not known.
        after.tree.attrs |= {"log_evidence": math.nan, "log_evidence_standardized": math.nan}
    before, names = _flat(post), post.model.formula.places
    left = flat_draws(after.tree["posterior"].to_dataset(), names)
    before = _of_labels(before, left.labels)
    shift, ratio = shifts(before, left)
    factor = _natural_factors(post, left.labels)
    units = tuple(post.unit_of(label) for label in left.labels)
    change = (left.mean - before.mean) * factor
    rows = post.moments.rows - rest.rows
    return Influence(what, rows, left.labels, left.of_place, shift, ratio, change, units, after)


def _flat(post: Posterior) -> FlatDraws:
    return flat_draws(post.tree["posterior"].to_dataset(), post.model.formula.places)


def _of_labels(draws: FlatDraws, labels: tuple[str, ...]) -> FlatDraws:
    where = {label: at for at, label in enumerate(draws.labels)}
    at = np.array([where[label] for label in labels])
    return FlatDraws(labels, draws.values[:, at], draws.of_place[at])


def _natural_factors(post: Posterior, labels: tuple[str, ...]) -> Array:
    """(P,) what standardized parameters are multiplied by to be in the data's units."""
    import xarray as xr

    one = {name: xr.ones_like(post[name].isel(chain=[0], draw=[0]), dtype=float) for name in post.parameters}
    natural = xr.Dataset(
        {name: (ones * post.natural_factor(name)).transpose(*ones.dims) for name, ones in one.items()}
    )
    return np.asarray(_of_labels(flat_draws(natural, post.model.formula.places), labels).values[0])


# -- every place ------------------------------------------------------------------------------------------


def _of_every_place(post: Posterior, options: FitOptions) -> pd.DataFrame:
    """How far the rest moves without each of the finest places, by weights where these will do."""
    import pandas as pd

    if not post.hierarchy.levels:
        raise ModelError(
            f"{post.model.formula.text!r} has no group, so there are no places to leave out; give a row (--row)"
        )
    finest = post.hierarchy.levels[0]
    draws = _flat(post)
    sd = draws.sd
    mean = draws.mean
    own = _own(draws, [str(label) for label in finest.labels], post.design.names)
    step = sd * _natural_factors(post, draws.labels)
    units = [post.unit_of(label) for label in draws.labels]
    counts = finest.total(post.moments.n).astype(int)
    by_weights = log_of_places(post)
    rows = []
    for at, label in enumerate(finest.labels):
        shift, k = np.full(len(sd), np.nan), np.inf
        if by_weights is not None:
            logs, (k,) = smoothed(-by_weights(at)[None])
            np.divide(np.exp(logs[0]) @ draws.values - mean, sd, out=shift, where=sd > 0)
        how = "weights"
        if not k <= PARETO_LIMIT:
            shift, how = _refitted(post, draws, _less_place(post, finest, at), options), "refit"
        shift[own == at] = np.nan
        rows.append(
            {
                "place": str(label),
                "rows": counts[at],
                **_most(draws, shift, step, units),
                "pareto_k": float(k),
                "how": how,
            }
        )
        options.progress("places", at + 1, finest.size)
    frame = pd.DataFrame(rows).set_index("place")
    return frame.loc[frame["shift"].abs().sort_values(ascending=False, kind="stable").index]


def _own(draws: FlatDraws, labels: list[str], terms: Sequence[str]) -> Index:
    """(P,) which of the finest places a parameter belongs to; −1 where to none."""
    where = {f"sigma[{label}]": at for at, label in enumerate(labels)}
    # Labels and terms may have commas themselves.
    where |= {f"beta[{label}, {term}]": at for at, label in enumerate(labels) for term in terms}
    each = zip(draws.labels, draws.of_place, strict=True)
    return np.array([where.get(label, -1) if single else -1 for label, single in each], dtype=np.int64)


def _most(draws: FlatDraws, shift: Array, step: Array, units: Sequence[str]) -> dict[str, Any]:
    """What moves most: of the parameters of all places together, and of those of single places.

    step, units : (P,) of every parameter, its sd in the data's units, and their name
    """
    found: dict[str, Any] = {}
    for prefix, kind in (("", ~draws.of_place), ("place_", draws.of_place)):
        there = np.flatnonzero(kind & ~np.isnan(shift))
        at = int(there[np.argmax(np.abs(shift[there]))]) if len(there) else None
        found[f"{prefix}parameter"] = "" if at is None else draws.labels[at]
        found[f"{prefix}shift"] = math.nan if at is None else float(shift[at])
        found[f"{prefix}change"] = math.nan if at is None else float(shift[at] * step[at])
        found[f"{prefix}unit"] = "" if at is None else units[at]
    return found


def _refitted(post: Posterior, before: FlatDraws, rest: CellMoments, options: FitOptions) -> Array:
    """(P,) shifts by a refit; NaN for what the rest does not have."""
    data = post.data.with_moments(rest)
    drawn = draw_exact(data, replace(options, progress=silent))
    after = flat_draws(labelled(data.design, data.hierarchy, drawn), data.model.formula.places)
    where = {label: at for at, label in enumerate(before.labels)}
    at = np.array([where[label] for label in after.labels])
    shift = np.full(len(before.labels), np.nan)
    shift[at] = shifts(_of_labels(before, after.labels), after)[0]
    return shift
