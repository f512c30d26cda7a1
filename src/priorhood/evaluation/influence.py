"""Case influence: how far the posterior moves when a place or a row is left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import argument, preview, row_count, suggestion
from priorhood.data.rows import prepare_rows
from priorhood.data.sources.table import read
from priorhood.diagnostics.psis import MAX_PARETO_K, smooth_weights
from priorhood.errors import ModelError
from priorhood.evaluation.exact_posterior import log_of_places
from priorhood.evaluation.shift import ParameterDraws, far, redraw, shifts
from priorhood.fitting.engine_choice import FitOptions, exact_refusal, fit_moments, silent
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.moments import keep, subtract

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from priorhood._arrays import Array, Flags
    from priorhood.fitting.engine_choice import Progress
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior
    from priorhood.suffstats.moments import CellMoments

SHOWN = 5


@dataclass(frozen=True, repr=False)
class Influence:
    """Influence of one place or one row on the rest; printed as a sentence and the parameters that move most.

    Parameters
    ----------
    what : str
        The place or row left out, in words.
    rows : int
        Number of rows left out.
    labels : tuple of str
        (P,) the remaining parameters.
    of_place : ndarray of bool
        (P,) whether a parameter belongs to a single place.
    shift : ndarray
        (P,) shifts of the means when it is left out, in sds of the full posterior.
    ratio : ndarray
        (P,) ratios of the sds.
    change : ndarray
        (P,) changes of the means, in the data's units.
    units : tuple of str
        (P,) the units.
    without : Posterior
        The posterior without it.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> ph.influence(post, zip=sales["zip"][0], draws=250)
    Influence(of zip '10115': 31 rows)
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
        """One row per parameter, the one that moves most first.

        Returns
        -------
        pandas.DataFrame
            shift (of the mean, in sds), sd_ratio, change (of the mean), unit, of_place, far (whether the shift or
            the change of the sd is large).
        """
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
        answer = f"{moved:,} of {len(table):,} parameters shift substantially"
        answer = answer if moved else "no parameter shifts substantially"
        columns = ["shift", "sd_ratio", "change", "unit"]
        parts = [part[columns].to_string(float_format=lambda v: f"{v:,.3g}") for part in shown if len(part)]
        return "\n\n".join([f"without {self.what} ({row_count(self.rows)}): {answer}", *parts])

    def __repr__(self) -> str:
        return f"Influence(of {self.what}: {row_count(self.rows)})"


@suggest_argument_names
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
    """Measure how the posterior would differ without one place, one row, or each of the places in turn.

    The sums of the rows are subtracted exactly from those of the posterior (the inverse of merge), and the model is
    fitted to the rest on the same scale, so that priors and parameters keep their meaning.

    Parameters
    ----------
    post : Posterior
        The posterior, from either engine.
    row : mapping, optional
        The columns of one row of the data, {"zip": "10115", "living_space": 80, "price": 310_000}. The sums can
        show only for some rows that they cannot have been in the data.
    chains, draws, seed, threads, progress : optional
        Settings of the refits, see fit().
    **places : str
        A column of the formula's groupings and a label, zip="10115": the place whose rows are left out. Without a
        row or a place, every place is left out in turn.

    Returns
    -------
    Influence or pandas.DataFrame
        An Influence for a place or row. Otherwise a frame of the finest places, the most influential first: rows;
        parameter, the shared parameter that moves most, its shift in sds, and change and unit, the same in the
        data's unit; place_parameter, place_shift, place_change and place_unit for the other places; pareto_k and
        how: "weights", without a refit (equation 21), or "refit", if the Pareto k of the weights is above 0.7.

    Raises
    ------
    ModelError
        There is no such place; the row cannot have been in the data; only NUTS can fit the model.

    Notes
    -----
    If no draws of individual places are stored, only the shared parameters and coarser levels are compared.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> result = ph.influence(post, dict(sales.iloc[0]), draws=250)
    >>> result.rows, result.without.moments.rows
    (1, 199)
    >>> len(ph.influence(post, draws=250))
    8
    """
    # Refits store the same quantities as the posterior, so that they can be compared.
    options = FitOptions.again(post, chains, draws, seed, threads, progress, post.store)
    refusal = exact_refusal(post.data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; influence refits from the sums alone, but NUTS needs the rows: remove that place or row "
            f"from the table and fit again"
        )
    if row is not None and places:
        raise ModelError("influence takes a row or a place, not both")
    if row is None and not places:
        return _every_place(post, options)
    if row is not None:
        what, rest = "this row", _without_row(post, row)
    else:
        if len(places) > 1:
            raise ModelError(f"influence takes one place, not {len(places)}: {', '.join(places)}")
        ((name, label),) = places.items()
        groupings = {grouping.name: grouping for grouping in post.hierarchy.groupings}
        if name not in groupings:
            known = f"choose from {preview(groupings)}" if groupings else "the formula has no group"
            raise ModelError(f"{name!r} is not a grouping of {post.model.formula.text!r}; {known}")
        labels = [str(one) for one in groupings[name].labels]
        if str(label) not in labels:
            raise ModelError(f"the posterior has no {name} {str(label)!r}; {suggestion(str(label), labels)}")
        what, rest = f"{name} {str(label)!r}", _without_place(post, groupings[name], labels.index(str(label)))
    without = fit_moments(post.data.with_moments(rest), options).with_places(post.place_table)
    if rest.weight is not None and rest.log_weights is None and rest.log_weight == post.moments.log_weight:
        # Older files store Σ log w of all rows together, so the evidence of the rest is unknown.
        without.tree.attrs |= {"log_evidence": math.nan, "log_evidence_standardized": math.nan}
    after = _parameters(without)
    before = _parameters(post).only(after.labels)
    shift, ratio = shifts(before, after)
    change = (after.mean - before.mean) * _natural_factors(post, after.labels)
    units = tuple(post.unit_of(label) for label in after.labels)
    rows = post.moments.rows - rest.rows
    return Influence(what, rows, after.labels, after.of_place, shift, ratio, change, units, without)


def _parameters(post: Posterior) -> ParameterDraws:
    """Return the draws of all parameters of a posterior."""
    return ParameterDraws.from_posterior(post.tree["posterior"].to_dataset(), post.model.formula.places)


def _without_place(post: Posterior, grouping: Places, at: int) -> CellMoments:
    """Return the sums without one place's cells."""
    others = grouping.of_cell != at
    if not others.any():
        raise ModelError(f"all rows are in {grouping.name} {str(grouping.labels[at])!r}: no rows would remain")
    return keep(post.moments, others)


def _without_row(post: Posterior, row: Mapping[str, object]) -> CellMoments:
    """Return the sums without one row."""
    if not isinstance(row, dict):
        raise ModelError(f"row must be a mapping of columns to values, not {row!r}")
    table = {
        name: value if isinstance(value, list | tuple | np.ndarray) else [value] for name, value in row.items()
    }
    several = [name for name, value in table.items() if len(value) != 1]
    if several:
        raise ModelError(f"row takes one value per column; {several[0]!r} has {row[several[0]]!r}")
    model = post.model
    source = replace(read(table), name="the row")
    prepared = prepare_rows(source, model.formula, weights=model.weights, fitted=post)
    return subtract(post.moments, collect_moments(prepared))


def _natural_factors(post: Posterior, labels: tuple[str, ...]) -> Array:
    """Return the factors (P,) that turn standardized parameters into the data's units."""
    import xarray as xr

    ones = {name: xr.ones_like(post[name].isel(chain=[0], draw=[0]), dtype=float) for name in post.parameters}
    natural = xr.Dataset(
        {name: (unit * post.natural_factor(name)).transpose(*unit.dims) for name, unit in ones.items()}
    )
    return np.asarray(ParameterDraws.from_posterior(natural, post.model.formula.places).only(labels).values[0])


def _every_place(post: Posterior, options: FitOptions) -> pd.DataFrame:
    """Return how far the rest moves when each place of the finest level is left out.

    By importance weights where these are reliable, by refits elsewhere.
    """
    import pandas as pd

    if not post.hierarchy.levels:
        raise ModelError(
            f"{post.model.formula.text!r} has no group, so there are no places to leave out; pass "
            f"{argument('row', ...)}"
        )
    finest = post.hierarchy.levels[0]
    draws = _parameters(post)
    sd, mean = draws.sd, draws.mean
    # The finest place that a parameter belongs to, or −1; labels and terms may contain commas.
    owners = {f"sigma[{label}]": at for at, label in enumerate(finest.labels)}
    owners |= {f"beta[{label}, {term}]": at for at, label in enumerate(finest.labels) for term in post.design.names}
    of_single = zip(draws.labels, draws.of_place, strict=True)
    owner = np.array([owners.get(label, -1) if single else -1 for label, single in of_single], dtype=np.int64)
    step = sd * _natural_factors(post, draws.labels)
    units = [post.unit_of(label) for label in draws.labels]
    counts = finest.total(post.moments.n).astype(int)
    by_weights = log_of_places(post)
    rows = []
    for at, label in enumerate(finest.labels):
        shift, k = np.full(len(sd), np.nan), np.inf
        if by_weights is not None:
            logs, (k,) = smooth_weights(-by_weights(at)[None])
            np.divide(np.exp(logs[0]) @ draws.values - mean, sd, out=shift, where=sd > 0)
        how = "weights"
        if not k <= MAX_PARETO_K:
            data = post.data.with_moments(_without_place(post, finest, at))
            after, _ = redraw(data, replace(options, progress=silent))
            shift, how = np.full(len(sd), np.nan), "refit"
            shift[draws.positions(after.labels)] = shifts(draws.only(after.labels), after)[0]
        shift[owner == at] = np.nan
        row: dict[str, Any] = {"place": str(label), "rows": counts[at]}
        for prefix, kind in (("", ~draws.of_place), ("place_", draws.of_place)):
            compared = np.flatnonzero(kind & ~np.isnan(shift))
            most = int(compared[np.argmax(np.abs(shift[compared]))]) if len(compared) else None
            row[f"{prefix}parameter"] = "" if most is None else draws.labels[most]
            row[f"{prefix}shift"] = math.nan if most is None else float(shift[most])
            row[f"{prefix}change"] = math.nan if most is None else float(shift[most] * step[most])
            row[f"{prefix}unit"] = "" if most is None else units[most]
        rows.append({**row, "pareto_k": float(k), "how": how})
        options.progress("places", at + 1, finest.size)
    frame = pd.DataFrame(rows).set_index("place")
    return frame.loc[frame["shift"].abs().sort_values(ascending=False, kind="stable").index]
