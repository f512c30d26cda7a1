"""Selection of places, and their draws for pictures: coefficients, new places, the average place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import OTHER_NAMES
from priorhood._text import join_words, preview, suggestion
from priorhood.errors import ModelError
from priorhood.model.expression import tidy_label
from priorhood.model.formula import SEPARATOR
from priorhood.plot.figure.page import amount
from priorhood.posterior import lazy_draws
from priorhood.prediction.expected import typical_values
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import AVERAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

# Minimum number of draws of coefficients of new places, for regions with a stated mass.
NEW_PLACES = 40_000


# -- which places and terms ---------------------------------------------------------------------------------


def finest_level(post: Posterior, picture: str) -> Places:
    """Return the finest level.

    Raises
    ------
    ModelError : the formula has no group
    """
    if not post.hierarchy.levels:
        raise ModelError(f"{post.model.formula.text!r} has no group, so there are no places for plot.{picture}")
    return post.hierarchy.levels[0]


def chosen_places(post: Posterior, places: Mapping[str, object], arguments: tuple[str, ...] = ()) -> Index | None:
    """Return the positions of the places passed as zip=…, in this order; None if none is passed.

    Raises
    ------
    ModelError : not the formula's group, or unknown labels; another library's name of one of the `arguments`
    """
    levels = post.model.formula.levels
    for name in places:
        meant = [argument for argument in OTHER_NAMES.get(name, ()) if argument in arguments]
        if meant and not (levels and levels[0].is_called(name)):
            raise ModelError(f"there is no argument {name}: it is called {join_words(meant, 'or')}")
    return lazy_draws.chosen_places(post.model.formula, post.hierarchy, places)


def extreme_places(*statistics: Array) -> list[int]:
    """Return the positions of the largest and smallest value of each statistic (places,), without repetition."""
    return list(dict.fromkeys(int(pick(values)) for values in statistics for pick in (np.argmax, np.argmin)))


def term_positions(post: Posterior, given: str | Sequence[str] | None, picture: str) -> list[int]:
    """Return the positions of one or two terms among the coefficients that vary by place; the first two if None.

    Raises
    ------
    ModelError : terms that do not vary by place, or more than two
    """
    names = [column.name for column in post.design.coefficient_columns(0)]
    if given is None:
        return list(range(min(2, len(names))))
    terms = [tidy_label(str(term)) for term in ([given] if isinstance(given, str) else given)]
    for term in terms:
        if term not in names:
            raise ModelError(f"{term!r} does not vary by {post.model.formula.group}; {suggestion(term, names)}")
    terms = list(dict.fromkeys(terms))
    if not 1 <= len(terms) <= 2:
        raise ModelError(
            f"plot.{picture} shows one or two terms, not {len(terms)}; choose from {preview(names, 12)}"
        )
    return [names.index(term) for term in terms]


# -- draws, in the data's units -----------------------------------------------------------------------------


def pooled_draws(post: Posterior, name: str) -> Array:
    """Return the draws of a parameter, all chains together: (S, …)."""
    values = post.natural(name).transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)


def place_means(post: Posterior) -> Array:
    """Return posterior means of all coefficients of the finest places: (places, C)."""
    beta = post.model.formula.effect_name(0)
    if post.summed:
        return np.asarray(post.coefficients()[f"{beta}_mean"].values)
    return np.asarray(pooled_draws(post, beta).mean(axis=0))


def place_quantiles(post: Posterior, levels: tuple[float, ...]) -> Array:
    """Return quantiles of all coefficients of the finest places: (places, C, levels)."""
    summary = post.coefficients(levels)
    beta = post.model.formula.effect_name(0)
    return np.stack([summary[f"{beta}_q{100 * level:g}"].values for level in levels], axis=-1)


def place_draws(post: Posterior, places: Index) -> Array:
    """Return draws of the coefficients of some of the finest places: (S, places, C)."""
    finest = post.hierarchy.levels[0]
    chosen: dict[str, Any] = {finest.name: finest.labels[places]}
    values = post.draws(**chosen).values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def new_places(post: Posterior, columns: Index) -> Array:
    """Return draws of the coefficients of new places: (draws, len(columns)).

    Every draw has its own mu, τ and Ω, so their uncertainty is included.

    Parameters
    ----------
    columns : array
        Positions among design.coefficient_columns(0).
    """
    c = post._coefficients()
    count = max(-(-NEW_PLACES // len(c.mu)), 1)
    labels = tuple(SEPARATOR.join([f"{AVERAGE} {place}"] * len(c.keys)) for place in range(count))
    groups = Groups(c, labels, "draw", post.seed)
    drawn = np.concatenate([groups.beta(place) for place in range(count)])
    return np.asarray((drawn * post.scale.natural()[c.levels[0].cols])[:, columns])


def average_coefficients(post: Posterior) -> Array:
    """Return the population's coefficients in the columns of the finest level: (S, C); 0 if it has none."""
    c = post._coefficients()
    coefficients = np.zeros((len(c.mu), len(post.design.columns)))
    coefficients[:, c.mu_cols] = c.mu
    return np.asarray((coefficients * post.scale.natural())[:, c.levels[0].cols])


def expected_draws(post: Posterior, rows: object) -> Array:
    """Return E(y | θ) of rows, with the average place for new ones: (S, rows)."""
    values = post.expected(rows, unseen="population").values
    return np.asarray(values.reshape(-1, values.shape[-1]))


def average_home(post: Posterior, home: pd.DataFrame) -> pd.DataFrame | None:
    """Return the home in the average place, with predictors at the mean of all rows; None if a mean is unknown."""
    row = home.iloc[[0]].reset_index(drop=True)
    if post.hierarchy.levels:
        row[list(post.hierarchy.levels[0].path)] = AVERAGE
    typical = typical_values(post.design, post.moments)
    for name in post.design.variables:
        if name not in row.columns and name not in typical:
            return None
        if name not in row.columns:
            row[name] = typical[name]
    return row


# -- regions ------------------------------------------------------------------------------------------------


def ellipse(centre: Array, covariance: Array, radius: float, count: int = 181) -> Array:
    """Return points (count, 2) with (x − centre)ᵀ covariance⁻¹ (x − centre) = radius²; flat if it is singular."""
    values, vectors = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, count)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    return np.asarray(centre + radius * (vectors * np.sqrt(np.maximum(values, 0.0)) @ circle).T)


def regions(draws: Array, masses: tuple[float, ...]) -> list[Array]:
    """Return ellipses around the mean of draws (S, 2) that contain these shares of them, for any distribution."""
    centre, covariance = draws.mean(axis=0), np.cov(draws.T)
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    scaled = (draws - centre) / size
    inverse = np.linalg.pinv(covariance / np.outer(size, size), hermitian=True)
    distance = np.sqrt(np.maximum(np.einsum("sa,ab,sb->s", scaled, inverse, scaled), 0.0))
    return [ellipse(centre, covariance, float(np.quantile(distance, mass))) for mass in masses]


# -- in words -----------------------------------------------------------------------------------------------


def unit_of_outcome(post: Posterior) -> str:
    """Return the unit of the outcome; '' if none was set."""
    return post.model.units.get(post.model.formula.outcome_name, "")


def axis_name(post: Posterior, column: str) -> str:
    """Return a column with its unit, for an axis: 'living_space, m²'."""
    unit = post.model.units.get(column, "")
    return f"{column}, {unit}" if unit else column


def describe_home(post: Posterior, at: Mapping[str, Any]) -> str:
    """Return a home in words: 'living_space 100 m²', or that it is the typical one."""
    parts = [
        f"{name} {amount(float(value), post.model.units.get(name, ''))}"
        if isinstance(value, int | float | np.number) else f"{name} {value}"
        for name, value in at.items()
    ]  # fmt: skip
    return ", ".join(parts) or "all predictors at their mean"
