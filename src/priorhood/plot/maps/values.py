"""What a map shows of every place: numbers, units and words; no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import listed, near, plural
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of, split_label
from priorhood.plot.maps.areas import Areas, level_of, read_areas
from priorhood.posterior.price_batches import PriceMoments, moments_of, over_draws
from priorhood.prediction.expected import typical_values
from priorhood.prediction.predict import request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

SHOWS = ("price", "below", "sd", "rows")
INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Mapped:
    """One number for every place, in the order of areas.labels, and what is said of it.

    values : (n,) NaN where a predictor of the place is not known
    title : the finding asked for; note : what else holds of it; unit : of the values, "" for a share
    kind : amount, share (0 to 1), count; slope, whose sign matters; difference, from the average at 0
    details : further numbers of every place, for those who ask: price, low, high, below, rows; centre : whether
        that price is the mean or the median
    """

    areas: Areas
    values: Array
    title: str
    note: str
    unit: str
    kind: str
    details: dict[str, Array]
    outcome_unit: str = ""
    centre: str = "mean"

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Between which values the colours differ: all, or, where few lie far out, the middle 96 % of them."""
        there = self.values[np.isfinite(self.values)]
        if not len(there):
            return 0.0, 1.0
        low, high = float(there.min()), float(there.max())
        if self.kind == "share":
            return (0.0, 1.0) if high - low > 0.3 else _widened(low, high)
        inner = np.quantile(there, [0.02, 0.98])
        if len(there) >= 20 and high - low > 1.5 * (inner[1] - inner[0]) > 0:
            low, high = (float(edge) for edge in inner)
        if self.kind == "difference" or (self.kind == "slope" and low < 0 < high):
            far = max(-low, high) or 0.5
            return -far, far
        return _widened(low, high)

    @property
    def diverging(self) -> bool:
        """Whether colours have a middle, 0."""
        return self.kind in ("difference", "slope") and self.limits[0] == -self.limits[1]

    def text(self, value: float) -> str:
        """A value with its unit: 350,000 €, 12 %."""
        if not np.isfinite(value):
            return "not known"
        if self.kind == "share":
            return percent(value)
        if self.kind == "count":
            return with_exact(round(value))
        return with_unit(value, self.unit)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Colours need a range: alike values get a tenth of themselves about them."""
    if high > low:
        return low, high
    half = 0.05 * abs(low) or 0.5
    return low - half, high + half


def percent(share: float) -> str:
    """12 %; never 0 % or 100 % of what is only nearly so."""
    if 0 < share < 0.005:
        return "< 1 %"
    if 0.995 < share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def with_unit(value: float, unit: str) -> str:
    """Three digits, or whole thousands: 351,000 €."""
    from priorhood.plot.figure import style

    if value and np.isfinite(value):
        digits = 2 - int(np.floor(np.log10(abs(value))))
        value = round(value, digits)
    return f"{style.number(value)} {unit}".strip()


# -- from a posterior -------------------------------------------------------------------------------------


def mapped(
    post: Posterior,
    places: object,
    show: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    below: float | None = None,
    column: str | None = None,
    level: str | None = None,
    crs: object = None,
    details: bool = False,
) -> Mapped:
    """The numbers of a map; arguments as of plot.map, and details, for more numbers of every place.

    Raises
    ------
    ModelError, TableError, FileError
    """
    grouping = level_of(post, level)
    show = ("price" if below is None else "below") if show is None else show
    _check(post, grouping, show, below, details=details)
    for name, value in (at or {}).items():
        if not isinstance(value, str | int | float | np.integer | np.floating):
            raise ModelError(f"at: {name} must be one number or one category, not {value!r}")
    areas = places if isinstance(places, Areas) else read_areas(places, post, column=column, level=level, crs=crs)
    index = {label: one for one, label in enumerate(grouping.labels.tolist())}
    chosen = np.array([index[label] for label in areas.labels], dtype=np.int64)
    home = Home(post, grouping, dict(at or {}))
    known = {name: values[chosen] for name, values in _details(home, below).items()} if details else {}
    values = _values(home, show, below)[chosen]
    title, note, unit, kind = _words(home, show, below)
    centre = home.moments.name if details else "mean"
    return Mapped(areas, values, title, note, unit, kind, known, _outcome_unit(post), centre)


def _check(post: Posterior, grouping: Places, show: str, below: float | None, *, details: bool) -> None:
    """Raise for what cannot be shown."""
    if show == "below" and below is None:
        raise ModelError("show='below' needs the threshold: below=350_000 (--below 350000)")
    if below is not None and show != "below" and not details:
        raise ModelError(f"show={show!r} has no threshold: leave below out, or show out to see the probability")
    if below is not None and not np.isfinite(below):
        raise ModelError(f"below must be a finite number in the outcome's units, not {below!r}")
    if show not in SHOWS:
        _coefficient(post, grouping, show)


@dataclass(frozen=True)
class Home:
    """One and the same home in every place of a grouping.

    What it is expected to cost in a place of a coarser level, or of a crossed grouping, is the mean over the finest
    places there, each counting with its rows: E_p = Σ_j n_jp E_jp / Σ_j n_jp.
    """

    post: Posterior
    grouping: Places
    at: dict[str, Any]

    @cached_property
    def parts(self) -> list[tuple[Any, Index, Array]]:
        """Rows to predict, the place of the grouping that each stands for, and its share there."""
        post, finest = self.post, self.post.hierarchy.levels[0]
        if self.grouping.name in self.at:
            raise ModelError(
                f"the map is of all {plural(self.grouping.name)}: leave {self.grouping.name!r} out of at"
            )
        if self.grouping is finest:
            return [(post.homes(self.at), np.arange(finest.size), np.ones(finest.size))]
        n = np.zeros((finest.size, self.grouping.size))
        np.add.at(n, (finest.of_cell, self.grouping.of_cell), post.moments.n)
        share = n / n.sum(axis=0)
        crossed = self.grouping.name in {one.name for one in post.hierarchy.crossed}
        if not crossed:
            return [(post.homes(self.at), share.argmax(axis=1), share.max(axis=1))]
        found = []
        for which, label in enumerate(self.grouping.labels.tolist()):
            own = np.flatnonzero(share[:, which])
            rows = post.homes(self.at | {self.grouping.name: label}).iloc[own].reset_index(drop=True)
            found.append((rows, np.full(len(own), which), share[own, which]))
        return found

    @property
    def unseen(self) -> str:
        """Crossed groupings that `at` does not name are at their average, which is no place that the fit had."""
        return "population" if self.post.hierarchy.crossed else "error"

    @cached_property
    def draws(self) -> Array:
        """(S, places) E(y | θ) of the home, in the outcome's units."""
        found: Array | None = None
        for rows, place, share in self.parts:
            values = self.post.expected(rows, unseen=self.unseen).values.reshape(-1, len(place))
            found = np.zeros((len(values), self.grouping.size)) if found is None else found
            np.add.at(found.T, place, share[:, None] * values.T)
        return np.zeros((1, 0)) if found is None else found

    @cached_property
    def moments(self) -> PriceMoments:
        """How its draws are summed up: by mean and sd, where these exist."""
        return moments_of(self.post, (rows for rows, _, _ in self.parts), self.unseen)

    def over(self, what: Callable[[Array], Array]) -> Array:
        """What a function makes of the draws of every place, (S, n) → (…, n): (…, places)."""
        if self.grouping is not self.post.hierarchy.levels[0]:
            return what(self.draws)
        return over_draws(self.post, self.parts[0][0], what, self.unseen)

    def below(self, threshold: float) -> Array:
        """(places,) the probability that such a home costs less.

        Known errors are those of measurements: there the probability is that of the true value.
        """
        if self.post.model.se is not None:
            return self.over(
                lambda draws: np.where(np.isfinite(draws).all(axis=0), (draws < threshold).mean(axis=0), np.nan)
            )
        found = np.zeros(self.grouping.size)
        for rows, place, share in self.parts:
            wanted = request(below=threshold, unseen=self.unseen, seed=self.post.seed)
            predicted = self.post._predicted(rows, wanted, prefix="predicted ")[1]
            np.add.at(found, place, share * predicted.below[threshold])
        return found

    @property
    def rows(self) -> Array:
        """(places,) of the data."""
        return self.grouping.total(self.post.moments.n)


def _values(home: Home, show: str, below: float | None) -> Array:
    """(places,) what is shown."""
    if show == "rows":
        return home.rows
    if show == "price":
        return home.over(home.moments.centre)
    if show == "sd":
        return home.over(lambda draws: home.moments.spread(draws, ddof=1))
    if show == "below":
        return home.below(float(below))  # type: ignore[arg-type]
    name, term = _coefficient(home.post, home.grouping, show)
    if home.post.summed and name == home.post.model.formula.effect_name(0):
        means = home.post.coefficients()[f"{name}_mean"]
        return np.asarray(means.sel({str(means.dims[-1]): term}).values)
    draws = home.post.natural(name)
    if term:
        draws = draws.isel({draws.dims[-1]: draws[draws.dims[-1]].values.tolist().index(term)})
    return np.asarray(draws.mean(("chain", "draw")).values)


def _details(home: Home, below: float | None) -> dict[str, Array]:
    """What the interactive map tells of a place besides."""
    price, low, high = home.over(
        lambda draws: np.concatenate([home.moments.centre(draws)[None], np.quantile(draws, INTERVAL, axis=0)])
    )
    found = {"price": price, "low": low, "high": high, "rows": home.rows}
    return found if below is None else found | {"below": home.below(below)}


def _coefficient(post: Posterior, grouping: Places, show: str) -> tuple[str, str]:
    """`beta[living_space]` → the parameter of this grouping's places and the term; '' where it has none.

    Raises
    ------
    ModelError : no such parameter by place, or no such term
    """
    at = [one.name for one in post.hierarchy.groupings].index(grouping.name)
    own = post.model.formula.effect_name(at)
    there = own in post.parameters or (post.summed and at == 0)
    terms = [column.name for column in post.design.coefficient_columns(at)] if there else []
    options = [f"{own}[{term}]" for term in terms]
    if "sigma" in post.parameters and grouping.name in post["sigma"].dims:
        options.append("sigma")
    name, inside = split_label(show)
    term = tidy_label(inside)
    if show == "sigma" and show in options:
        return "sigma", ""
    if name in (own, base_of(own)) and term in terms:
        return own, term
    raise ModelError(
        f"show={show!r}: a map of {plural(grouping.name)} shows one of {', '.join(SHOWS)}, or of its "
        f"coefficients; {near(show, options)}"
    )


# -- in words ---------------------------------------------------------------------------------------------


def _outcome_unit(post: Posterior) -> str:
    return str(post.model.units.get(post.model.formula.outcome_name, ""))


def _words(home: Home, show: str, below: float | None) -> tuple[str, str, str, str]:
    """Title, note, unit and kind of what is shown."""
    post, names = home.post, plural(home.grouping.name)
    outcome, unit = post.model.formula.outcome_name, _outcome_unit(post)
    named, note = _described(home)
    if show == "rows":
        return f"Rows of the data in each {home.grouping.name}", "", "", "count"
    if show == "price":
        middle = "Average" if home.moments.mean else "Median"
        told = "" if home.moments.mean else "Posterior median, for the mean is infinite."
        return f"{middle} {outcome} of {named}", f"{told} {note}".strip(), unit, "amount"
    if show == "sd":
        told = "Posterior sd." if home.moments.sd else "90 % interval / 3.29, for the posterior sd is infinite."
        return f"How uncertain the average {outcome} of {named} is", f"{told} {note}".strip(), unit, "amount"
    if show == "below":
        limit = f"{with_exact(float(below))} {unit}".strip()  # type: ignore[arg-type]
        costs = "costs less than" if outcome in ("price", "rent") else f"has a {outcome} below"
        return f"Probability that {named} {costs} {limit}", note, "", "share"
    name, term = _coefficient(post, home.grouping, show)
    if name == "sigma":
        return (
            f"Residual sd of each {home.grouping.name}",
            "Posterior mean",
            post.model.unit_of(INTERCEPT),
            "amount",
        )
    about = "Intercept, at the centre of the predictors," if term == INTERCEPT else f"Coefficient of {term}"
    kind = "difference" if base_of(name) == "delta" else "amount" if term == INTERCEPT else "slope"
    return f"{about} by {home.grouping.name}", f"Posterior mean for all {names}", post.model.unit_of(term), kind


def with_exact(value: float) -> str:
    """A threshold as it was given, thousands separated."""
    from priorhood.plot.figure import style

    return style.number(value)


def _described(home: Home) -> tuple[str, str]:
    """The home in words: what was said of it, and what the others of its predictors are."""
    post, units = home.post, home.post.model.units
    said = []
    for name, value in home.at.items():
        if isinstance(value, str):
            said.append(f"{name} {value}")
        else:
            unit = units.get(name)
            said.append(f"{with_exact(float(value))} {unit}" if unit else f"{name} {with_exact(float(value))}")
    known = set(() if post.place_table is None else post.place_table.columns)
    typical = typical_values(post.design, post.moments)
    rest = []
    for name, value in typical.items():
        if name not in home.at and name not in known and name in post.design.variables:
            shown = value if isinstance(value, str) else with_unit(float(value), units.get(name, ""))
            rest.append(f"{name} {shown}")
    # "a home of 100 m²", but "a home with grade 7".
    of = bool(home.at) and not isinstance(next(iter(home.at.values())), str) and next(iter(home.at)) in units
    named = f"a home {'of' if of else 'with'} {listed(said)}" if said else "a typical home"
    mean = f"{'The others are as usual' if said else 'A typical home'}: {', '.join(rest)}." if rest else ""
    crossed = [
        one.name for one in post.hierarchy.crossed if one.name != home.grouping.name and one.name not in home.at
    ]
    across = f" The average {listed(crossed)}." if crossed else ""
    finest = post.hierarchy.levels[0].name if post.hierarchy.levels else home.grouping.name
    pooled = "" if finest == home.grouping.name else f" Mean over its {plural(finest)}, by their rows."
    return named, f"{mean}{across}{pooled}".strip()
