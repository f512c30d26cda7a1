"""Values of a map: one number for every place, with unit and title; no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_finite
from priorhood._text import argument, join_words, plural, suggestion
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of, split_label
from priorhood.plot.figure.page import amount
from priorhood.plot.figure.select_places import unit_of_outcome
from priorhood.plot.figure.style import number
from priorhood.plot.maps.areas import level_of
from priorhood.posterior.price_batches import PriceMoments, price_moments, summarize_expected
from priorhood.prediction.expected import typical_values
from priorhood.prediction.predict import request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.plot.maps.areas import Areas
    from priorhood.posterior.posterior import Posterior

SHOWS = ("price", "below", "sd", "rows")
INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class MapValues:
    """One number for every place, in the order of areas.labels.

    Attributes
    ----------
    areas : Areas
    values : array
        (n,) NaN if a predictor of the place is unknown.
    title, note : str
        What is shown, and under which conditions.
    unit : str
        Unit of the values, "" for a share.
    kind : str
        amount; share (0 to 1); count; slope, whose sign matters; difference, from the average at 0.
    details : dict of str to array
        Further numbers of every place, if requested: price, low, high, below, rows.
    outcome_unit : str
    centre : str
        Whether the price among the details is the mean or the median.
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
        """Return the limits of the colours: those of all values or, if some are extreme, of the central 96 %."""
        known = self.values[np.isfinite(self.values)]
        if not len(known):
            return 0.0, 1.0
        low, high = float(known.min()), float(known.max())
        if self.kind == "share" and high - low > 0.3:
            return 0.0, 1.0
        if self.kind != "share":
            inner = np.quantile(known, [0.02, 0.98])
            if len(known) >= 20 and high - low > 1.5 * (inner[1] - inner[0]) > 0:
                low, high = (float(edge) for edge in inner)
            if self.kind == "difference" or (self.kind == "slope" and low < 0 < high):
                far = max(-low, high) or 0.5
                return -far, far
        # A colour scale needs a range: if all values are equal, pad by ±5 %.
        margin = 0.0 if high > low else 0.05 * abs(low) or 0.5
        return low - margin, high + margin

    @property
    def diverging(self) -> bool:
        """Return whether the colour scale is centred at 0."""
        return self.kind in ("difference", "slope") and self.limits[0] == -self.limits[1]

    def text(self, value: float) -> str:
        """Return a value with its unit: 350,000 €, 12 %."""
        if not np.isfinite(value):
            return "unknown"
        if self.kind == "share":
            return percent(value)
        return number(round(value)) if self.kind == "count" else amount(value, self.unit)

    def numbers(self, place: int, below: float | None) -> list[tuple[str, str]]:
        """Return the details of a place as names and texts, and the value shown if it is not one of them."""
        details = {name: float(values[place]) for name, values in self.details.items()}

        def text(name: str, unit: str = self.outcome_unit) -> str:
            return amount(details[name], unit) if np.isfinite(details[name]) else "unknown"

        numbers = []
        if self.values[place] not in details.values():
            numbers.append(("Shown here", self.text(self.values[place])))
        interval = f"{text('low', '')} to {text('high')}" if np.isfinite(details["low"]) else "unknown"
        numbers += [("Average" if self.centre == "mean" else "Median", text("price")), ("90 % interval", interval)]
        if below is not None:
            share = details["below"]
            threshold = f"Below {number(below)} {self.outcome_unit}".strip()
            numbers.append((threshold, percent(share) if np.isfinite(share) else "unknown"))
        return [*numbers, ("Rows of data", f"{details['rows']:,.0f}")]


def percent(share: float) -> str:
    """Return a share as 12 %; 0 % and 100 % only if that is exact."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def map_values(
    post: Posterior,
    areas: Areas,
    show: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    below: float | None = None,
    details: bool = False,
) -> MapValues:
    """Return the values of a map; show, at, below as in plot.map; with further numbers of every place if `details`.

    Raises
    ------
    ModelError : a number that cannot be shown; an invalid predictor or threshold
    """
    grouping = level_of(post, areas.level)
    show = ("price" if below is None else "below") if show is None else show
    if show == "below" and below is None:
        raise ModelError(f"{argument('show', 'below')} needs a threshold, such as {argument('below', 350000)}")
    if below is not None and show != "below" and not details:
        raise ModelError(
            f"{argument('show', show)} has no threshold: drop {argument('below')}, or drop {argument('show')} "
            f"to see the probability"
        )
    if below is not None:
        below = check_finite("below", below)
    coefficient = None if show in SHOWS else _coefficient(post, grouping, show)
    for name, value in (at or {}).items():
        if not isinstance(value, str | int | float | np.integer | np.floating):
            raise ModelError(f"at: {name} must be a single number or category, not {value!r}")
    index = {label: place for place, label in enumerate(grouping.labels.tolist())}
    chosen = np.array([index[label] for label in areas.labels], dtype=np.int64)
    home = Home(post, grouping, dict(at or {}))
    extra: dict[str, Array] = {}
    if details:
        price, low, high = home.over(
            lambda draws: np.concatenate([home.moments.centre(draws)[None], np.quantile(draws, INTERVAL, axis=0)])
        )
        extra = {"price": price, "low": low, "high": high, "rows": home.rows}
        extra |= {} if below is None else {"below": home.below(below)}
        extra = {name: values[chosen] for name, values in extra.items()}

    outcome, unit = post.model.formula.outcome_name, unit_of_outcome(post)
    named, note = home.in_words()
    kind = "amount"
    if coefficient is not None:
        values, title, note, unit, kind = coefficient
    elif show == "rows":
        values = home.rows
        title, note, unit, kind = f"Rows of data in each {grouping.name}", "", "", "count"
    elif show == "price":
        values = home.over(home.moments.centre)
        title = f"{'Average' if home.moments.mean else 'Median'} {outcome} of {named}"
        note = note if home.moments.mean else f"Posterior median, because the mean is infinite. {note}".strip()
    elif show == "sd":
        values = home.over(lambda draws: home.moments.spread(draws, ddof=1))
        title = f"Uncertainty of the average {outcome} of {named}"
        spread = (
            "Posterior sd." if home.moments.sd else "90 % interval / 3.29, because the posterior sd is infinite."
        )
        note = f"{spread} {note}".strip()
    else:
        threshold = float(below or 0.0)
        values = home.below(threshold)
        costs = "costs less than" if outcome in ("price", "rent") else f"has a {outcome} below"
        title = f"Probability that {named} {costs} {f'{number(threshold)} {unit}'.strip()}"
        unit, kind = "", "share"
    centre = home.moments.name if details else "mean"
    return MapValues(areas, values[chosen], title, note, unit, kind, extra, unit_of_outcome(post), centre)


@dataclass(frozen=True)
class Home:
    """A given home in every place of a grouping.

    Its expected outcome in a place of a coarser level, or of a crossed grouping, is the mean over the finest places
    in it, weighted by their rows: E_p = Σ_j n_jp E_jp / Σ_j n_jp.
    """

    post: Posterior
    grouping: Places
    at: dict[str, Any]

    @cached_property
    def parts(self) -> list[tuple[Any, Index, Array]]:
        """Return rows to predict, the place of the grouping that each belongs to, and its share of that place."""
        post, finest = self.post, self.post.hierarchy.levels[0]
        if self.grouping.name in self.at:
            raise ModelError(
                f"the map shows all {plural(self.grouping.name)}: leave {self.grouping.name!r} out of "
                f"{argument('at')}"
            )
        if self.grouping is finest:
            return [(post.homes(self.at), np.arange(finest.size), np.ones(finest.size))]
        n = np.zeros((finest.size, self.grouping.size))
        np.add.at(n, (finest.of_cell, self.grouping.of_cell), post.moments.n)
        share = n / n.sum(axis=0)
        crossed = self.grouping.name in {one.name for one in post.hierarchy.crossed}
        if not crossed:
            return [(post.homes(self.at), share.argmax(axis=1), share.max(axis=1))]
        parts = []
        for place, label in enumerate(self.grouping.labels.tolist()):
            inside = np.flatnonzero(share[:, place])
            rows = post.homes(self.at | {self.grouping.name: label}).iloc[inside].reset_index(drop=True)
            parts.append((rows, np.full(len(inside), place), share[inside, place]))
        return parts

    @property
    def unseen(self) -> str:
        """Return how to treat new places: crossed groupings that `at` does not name are at their average."""
        return "population" if self.post.hierarchy.crossed else "error"

    @cached_property
    def draws(self) -> Array:
        """Return E(y | θ) of the home in the outcome's units: (S, places)."""
        total: Array | None = None
        for rows, place, share in self.parts:
            values = self.post.expected(rows, unseen=self.unseen).values.reshape(-1, len(place))
            total = np.zeros((len(values), self.grouping.size)) if total is None else total
            np.add.at(total.T, place, share[:, None] * values.T)
        return np.zeros((1, 0)) if total is None else total

    @cached_property
    def moments(self) -> PriceMoments:
        """Return how its draws are summarized: by mean and sd, if these exist."""
        return price_moments(self.post, (rows for rows, _, _ in self.parts), self.unseen)

    def over(self, function: Callable[[Array], Array]) -> Array:
        """Return a function of the draws of every place, (S, n) → (…, n), for all places: (…, places)."""
        if self.grouping is not self.post.hierarchy.levels[0]:
            return function(self.draws)
        return summarize_expected(self.post, self.parts[0][0], function, self.unseen)

    def below(self, threshold: float) -> Array:
        """Return the probability that the home costs less than the threshold: (places,).

        Known errors are measurement errors: with them, the probability is that of the true value.
        """
        if self.post.model.se is not None:
            return self.over(
                lambda draws: np.where(np.isfinite(draws).all(axis=0), (draws < threshold).mean(axis=0), np.nan)
            )
        total = np.zeros(self.grouping.size)
        for rows, place, share in self.parts:
            wanted = request(below=threshold, unseen=self.unseen, seed=self.post.seed)
            predicted = self.post._predicted(rows, wanted, prefix="predicted ")[1]
            np.add.at(total, place, share * predicted.below[threshold])
        return total

    @property
    def rows(self) -> Array:
        """Return the number of rows of data: (places,)."""
        return self.grouping.total(self.post.moments.n)

    def in_words(self) -> tuple[str, str]:
        """Return the home in words: the values passed, and those of its other predictors."""
        post, units = self.post, self.post.model.units
        given = []
        for name, value in self.at.items():
            if isinstance(value, str):
                given.append(f"{name} {value}")
            else:
                unit = units.get(name)
                given.append(f"{number(float(value))} {unit}" if unit else f"{name} {number(float(value))}")
        of_places = set(() if post.place_table is None else post.place_table.columns)
        rest = []
        for name, value in typical_values(post.design, post.moments).items():
            if name not in self.at and name not in of_places and name in post.design.variables:
                rest.append(
                    f"{name} {value if isinstance(value, str) else amount(float(value), units.get(name, ''))}"
                )
        # "a home of 100 m²", but "a home with grade 7".
        of = bool(self.at) and not isinstance(next(iter(self.at.values())), str) and next(iter(self.at)) in units
        named = f"a home {'of' if of else 'with'} {join_words(given)}" if given else "a typical home"
        typical = f"{'Other predictors' if given else 'A typical home'}: {', '.join(rest)}." if rest else ""
        crossed = [
            one.name for one in post.hierarchy.crossed if one.name != self.grouping.name and one.name not in self.at
        ]
        across = f" For the average {join_words(crossed)}." if crossed else ""
        finest = post.hierarchy.levels[0].name if post.hierarchy.levels else self.grouping.name
        pooled = "" if finest == self.grouping.name else f" Mean over its {plural(finest)}, weighted by rows."
        return named, f"{typical}{across}{pooled}".strip()


def _coefficient(post: Posterior, grouping: Places, show: str) -> tuple[Array, str, str, str, str]:
    """Return posterior means of `beta[living_space]` or sigma for all places; title, note, unit and kind of them.

    Raises
    ------
    ModelError : not a parameter of these places, or an unknown term
    """
    level = [one.name for one in post.hierarchy.groupings].index(grouping.name)
    effect = post.model.formula.effect_name(level)
    summed = post.summed and level == 0
    columns = post.design.coefficient_columns(level) if effect in post.parameters or summed else []
    terms = [column.name for column in columns]
    options = [f"{effect}[{term}]" for term in terms]
    if "sigma" in post.parameters and grouping.name in post["sigma"].dims:
        options.append("sigma")
    if show == "sigma" and show in options:
        values = np.asarray(post.natural("sigma").mean(("chain", "draw")).values)
        unit = post.model.unit_of(INTERCEPT)
        return values, f"Residual sd of each {grouping.name}", "Posterior mean", unit, "amount"
    name, inside = split_label(show)
    term = tidy_label(inside)
    if name not in (effect, base_of(effect)) or term not in terms:
        raise ModelError(
            f"{argument('show', show)}: a map of {plural(grouping.name)} shows one of {', '.join(SHOWS)}, or one "
            f"of its coefficients; {suggestion(show, options)}"
        )
    if summed:
        means = post.coefficients()[f"{effect}_mean"]
        values = np.asarray(means.sel({str(means.dims[-1]): term}).values)
    else:
        draws = post.natural(effect)
        draws = draws.isel({draws.dims[-1]: draws[draws.dims[-1]].values.tolist().index(term)})
        values = np.asarray(draws.mean(("chain", "draw")).values)
    title = f"Coefficient of {term} by {grouping.name}"
    if term == INTERCEPT:
        title = f"Intercept by {grouping.name}, at the centre of the predictors"
    kind = "difference" if base_of(effect) == "delta" else "amount" if term == INTERCEPT else "slope"
    return values, title, f"Posterior mean for all {plural(grouping.name)}", post.model.unit_of(term), kind
