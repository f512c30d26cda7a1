"""Values of a map: one number for every place, its unit and words; no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import join_words, plural, suggestion
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
class Mapped:
    """One number for every place, in the order of areas.labels, and its words.

    values : (n,) NaN where a predictor of the place is not known
    title : what is shown; note : conditions of it; unit : of the values, "" for a share
    kind : amount, share (0 to 1), count; slope, whose sign matters; difference, from the average at 0
    details : further numbers of every place, if wanted: price, low, high, below, rows; centre : whether that price
    is the mean or the median
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
        """Limits of the colours: of all values or, where few lie far out, of the middle 96 % of them."""
        there = self.values[np.isfinite(self.values)]
        if not len(there):
            return 0.0, 1.0
        low, high = float(there.min()), float(there.max())
        if self.kind == "share" and high - low > 0.3:
            return 0.0, 1.0
        if self.kind != "share":
            inner = np.quantile(there, [0.02, 0.98])
            if len(there) >= 20 and high - low > 1.5 * (inner[1] - inner[0]) > 0:
                low, high = (float(edge) for edge in inner)
            if self.kind == "difference" or (self.kind == "slope" and low < 0 < high):
                far = max(-low, high) or 0.5
                return -far, far
        # Colours need a range: equal values get a tenth of themselves about them.
        half = 0.0 if high > low else 0.05 * abs(low) or 0.5
        return low - half, high + half

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
        return number(round(value)) if self.kind == "count" else amount(value, self.unit)


def percent(share: float) -> str:
    """12 %; 0 % and 100 % only where that is exact."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def mapped(
    post: Posterior,
    areas: Areas,
    show: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    below: float | None = None,
    details: bool = False,
) -> Mapped:
    """Return the values of a map; show, at, below as for plot.map; details : with further numbers of every place.

    Raises
    ------
    ModelError : a number that cannot be shown, a wrong predictor or threshold
    """
    grouping = level_of(post, areas.level)
    show = ("price" if below is None else "below") if show is None else show
    if show == "below" and below is None:
        raise ModelError("show='below' needs the threshold: below=350_000 (--below 350000)")
    if below is not None and show != "below" and not details:
        raise ModelError(f"show={show!r} has no threshold: leave below out, or show out to see the probability")
    if below is not None and not np.isfinite(below):
        raise ModelError(f"below must be a finite number in the outcome's units, not {below!r}")
    coefficient = ("", "") if show in SHOWS else _coefficient(post, grouping, show)
    for name, value in (at or {}).items():
        if not isinstance(value, str | int | float | np.integer | np.floating):
            raise ModelError(f"at: {name} must be one number or one category, not {value!r}")
    index = {label: one for one, label in enumerate(grouping.labels.tolist())}
    chosen = np.array([index[label] for label in areas.labels], dtype=np.int64)
    home = Home(post, grouping, dict(at or {}))
    known: dict[str, Array] = {}
    if details:
        price, low, high = home.over(
            lambda draws: np.concatenate([home.moments.centre(draws)[None], np.quantile(draws, INTERVAL, axis=0)])
        )
        known = {"price": price, "low": low, "high": high, "rows": home.rows}
        known |= {} if below is None else {"below": home.below(below)}
        known = {name: values[chosen] for name, values in known.items()}

    names, outcome, unit = plural(grouping.name), post.model.formula.outcome_name, unit_of_outcome(post)
    named, note = _described(home)
    kind = "amount"
    if show == "rows":
        values = home.rows
        title, note, unit, kind = f"Rows of the data in each {grouping.name}", "", "", "count"
    elif show == "price":
        values = home.over(home.moments.centre)
        title = f"{'Average' if home.moments.mean else 'Median'} {outcome} of {named}"
        note = note if home.moments.mean else f"Posterior median, for the mean is infinite. {note}".strip()
    elif show == "sd":
        values = home.over(lambda draws: home.moments.spread(draws, ddof=1))
        title = f"How uncertain the average {outcome} of {named} is"
        told = "Posterior sd." if home.moments.sd else "90 % interval / 3.29, for the posterior sd is infinite."
        note = f"{told} {note}".strip()
    elif below is not None and show == "below":
        values = home.below(float(below))
        limit = f"{number(float(below))} {unit}".strip()
        costs = "costs less than" if outcome in ("price", "rent") else f"has a {outcome} below"
        title, unit, kind = f"Probability that {named} {costs} {limit}", "", "share"
    else:
        name, term = coefficient
        values = _means(post, name, term)
        unit = post.model.unit_of(INTERCEPT if name == "sigma" else term)
        if name == "sigma":
            title, note = f"Residual sd of each {grouping.name}", "Posterior mean"
        else:
            about = f"Coefficient of {term}"
            if term == INTERCEPT:
                about = "Intercept, at the centre of the predictors,"
            title, note = f"{about} by {grouping.name}", f"Posterior mean for all {names}"
            kind = "difference" if base_of(name) == "delta" else "amount" if term == INTERCEPT else "slope"
    centre = home.moments.name if details else "mean"
    return Mapped(areas, values[chosen], title, note, unit, kind, known, unit_of_outcome(post), centre)


@dataclass(frozen=True)
class Home:
    """One and the same home in every place of a grouping.

    Its expected outcome in a place of a coarser level, or of a crossed grouping, is the mean over the finest places
    there, weighted by their rows: E_p = Σ_j n_jp E_jp / Σ_j n_jp.
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
        """Crossed groupings that `at` does not name are at their average, which is no place of the fit."""
        return "population" if self.post.hierarchy.crossed else "error"

    @cached_property
    def draws(self) -> Array:
        """E(y | θ) of the home in the outcome's units: (S, places)."""
        found: Array | None = None
        for rows, place, share in self.parts:
            values = self.post.expected(rows, unseen=self.unseen).values.reshape(-1, len(place))
            found = np.zeros((len(values), self.grouping.size)) if found is None else found
            np.add.at(found.T, place, share[:, None] * values.T)
        return np.zeros((1, 0)) if found is None else found

    @cached_property
    def moments(self) -> PriceMoments:
        """Summary of its draws: mean and sd, where these exist."""
        return price_moments(self.post, (rows for rows, _, _ in self.parts), self.unseen)

    def over(self, what: Callable[[Array], Array]) -> Array:
        """A function of the draws of every place, (S, n) → (…, n), for all places: (…, places)."""
        if self.grouping is not self.post.hierarchy.levels[0]:
            return what(self.draws)
        return summarize_expected(self.post, self.parts[0][0], what, self.unseen)

    def below(self, threshold: float) -> Array:
        """Probability that such a home costs less: (places,).

        Known errors are those of measurements: with them the probability is that of the true value.
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
        """Rows of the data: (places,)."""
        return self.grouping.total(self.post.moments.n)


def _means(post: Posterior, name: str, term: str) -> Array:
    """Posterior means of a parameter of the places, or of one of its terms: (places,)."""
    if post.summed and name == post.model.formula.effect_name(0):
        means = post.coefficients()[f"{name}_mean"]
        return np.asarray(means.sel({str(means.dims[-1]): term}).values)
    draws = post.natural(name)
    if term:
        draws = draws.isel({draws.dims[-1]: draws[draws.dims[-1]].values.tolist().index(term)})
    return np.asarray(draws.mean(("chain", "draw")).values)


def _coefficient(post: Posterior, grouping: Places, show: str) -> tuple[str, str]:
    """Parameter of this grouping's places and term of `beta[living_space]`; no term of sigma.

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
        f"coefficients; {suggestion(show, options)}"
    )


def _described(home: Home) -> tuple[str, str]:
    """The home in words: the values given, and those of its other predictors."""
    post, units = home.post, home.post.model.units
    said = []
    for name, value in home.at.items():
        if isinstance(value, str):
            said.append(f"{name} {value}")
        else:
            unit = units.get(name)
            said.append(f"{number(float(value))} {unit}" if unit else f"{name} {number(float(value))}")
    known = set(() if post.place_table is None else post.place_table.columns)
    rest = []
    for name, value in typical_values(post.design, post.moments).items():
        if name not in home.at and name not in known and name in post.design.variables:
            rest.append(f"{name} {value if isinstance(value, str) else amount(float(value), units.get(name, ''))}")
    # "a home of 100 m²", but "a home with grade 7".
    of = bool(home.at) and not isinstance(next(iter(home.at.values())), str) and next(iter(home.at)) in units
    named = f"a home {'of' if of else 'with'} {join_words(said)}" if said else "a typical home"
    mean = f"{'The others are as usual' if said else 'A typical home'}: {', '.join(rest)}." if rest else ""
    crossed = [
        one.name for one in post.hierarchy.crossed if one.name != home.grouping.name and one.name not in home.at
    ]
    across = f" The average {join_words(crossed)}." if crossed else ""
    finest = post.hierarchy.levels[0].name if post.hierarchy.levels else home.grouping.name
    pooled = "" if finest == home.grouping.name else f" Mean over its {plural(finest)}, by their rows."
    return named, f"{mean}{across}{pooled}".strip()
