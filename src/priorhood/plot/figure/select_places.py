"""Choice of places, and what pictures draw of them: coefficients, new places, the average place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import preview, suggestion
from priorhood.errors import ModelError
from priorhood.model.expression import tidy_label
from priorhood.model.formula import SEPARATOR
from priorhood.plot.figure.page import amount
from priorhood.posterior.lazy_draws import chosen_places
from priorhood.prediction.expected import typical_values
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import AVERAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

# Draws of new places' coefficients, at the least, for a region of stated mass.
NEW_PLACES = 40_000


# -- which places and terms ---------------------------------------------------------------------------------


def finest(post: Posterior, picture: str) -> Places:
    """Return the finest level.

    Raises
    ------
    ModelError : the formula has no group
    """
    if not post.hierarchy.levels:
        raise ModelError(f"{post.model.formula.text!r} has no group, so there are no places for plot.{picture}")
    return post.hierarchy.levels[0]


def asked(post: Posterior, places: Mapping[str, object]) -> Index | None:
    """Positions of the places given as zip=…, in the order given; None without any."""
    return chosen_places(post.model.formula, post.hierarchy, places)


def ends(*values: Array) -> list[int]:
    """Positions of the largest and the smallest of every set of values (places,), each once."""
    return list(dict.fromkeys(int(pick(one)) for one in values for pick in (np.argmax, np.argmin)))


def two_terms(post: Posterior, given: str | Sequence[str] | None, picture: str) -> list[int]:
    """Positions of one or two terms among the coefficients that vary by place; the first two if None.

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
        raise ModelError(f"plot.{picture} shows one or two terms, not {len(terms)}; there are {preview(names, 12)}")
    return [names.index(term) for term in terms]


# -- draws, in the data's units -----------------------------------------------------------------------------


def flat(post: Posterior, name: str) -> Array:
    """Draws of a parameter, all chains together: (S, …)."""
    values = post.natural(name).transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)


def place_means(post: Posterior) -> Array:
    """Posterior means of all coefficients of the finest places: (places, C)."""
    beta = post.model.formula.effect_name(0)
    if post.summed:
        return np.asarray(post.coefficients()[f"{beta}_mean"].values)
    return np.asarray(flat(post, beta).mean(axis=0))


def place_quantiles(post: Posterior, levels: tuple[float, ...]) -> Array:
    """Quantiles of all coefficients of the finest places: (places, C, levels)."""
    found = post.coefficients(levels)
    beta = post.model.formula.effect_name(0)
    return np.stack([found[f"{beta}_q{100 * level:g}"].values for level in levels], axis=-1)


def place_draws(post: Posterior, places: Index) -> Array:
    """Draws of the coefficients of some of the finest places: (S, places, C)."""
    finest = post.hierarchy.levels[0]
    asked_for: dict[str, Any] = {finest.name: finest.labels[places]}
    values = post.draws(**asked_for).values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def new_places(post: Posterior, columns: Index) -> Array:
    """Coefficients of new places: (draws, len(columns)).

    Every draw has its own mu, τ and Ω, so that their uncertainty is included.
    columns : positions among design.coefficient_columns(0)
    """
    c = post._coefficients()
    count = max(-(-NEW_PLACES // len(c.mu)), 1)
    spots = tuple(SEPARATOR.join([f"{AVERAGE} {at}"] * len(c.keys)) for at in range(count))
    groups = Groups(c, spots, "draw", post.seed)
    drawn = np.concatenate([groups.beta(at) for at in range(count)])
    return np.asarray((drawn * post.scale.natural()[c.levels[0].cols])[:, columns])


def average_coefficients(post: Posterior) -> Array:
    """The population's coefficients in the columns of the finest level: (S, C); 0 where it has none."""
    c = post._coefficients()
    found = np.zeros((len(c.mu), len(post.design.columns)))
    found[:, c.mu_cols] = c.mu
    return np.asarray((found * post.scale.natural())[:, c.levels[0].cols])


def expected(post: Posterior, rows: pd.DataFrame) -> Array:
    """E(y | θ) of rows, new places as the average one: (S, rows)."""
    values = post.expected(rows, unseen="population").values
    return np.asarray(values.reshape(-1, values.shape[-1]))


def average_home(post: Posterior, home: pd.DataFrame) -> pd.DataFrame | None:
    """The same home in the average place, its predictors the mean of all rows; None where that is not known."""
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
    """Points (count, 2) where (x − centre)ᵀ covariance⁻¹ (x − centre) = radius²; flat where it is singular."""
    values, vectors = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, count)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    return np.asarray(centre + radius * (vectors * np.sqrt(np.maximum(values, 0.0)) @ circle).T)


def regions(draws: Array, masses: tuple[float, ...]) -> list[Array]:
    """Ellipses around the mean of draws (S, 2) that hold these shares of them, whatever their distribution."""
    centre, covariance = draws.mean(axis=0), np.cov(draws.T)
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    scaled = (draws - centre) / size
    inverse = np.linalg.pinv(covariance / np.outer(size, size), hermitian=True)
    distance = np.sqrt(np.maximum(np.einsum("sa,ab,sb->s", scaled, inverse, scaled), 0.0))
    return [ellipse(centre, covariance, float(np.quantile(distance, mass))) for mass in masses]


# -- in words -----------------------------------------------------------------------------------------------


def unit_of_outcome(post: Posterior) -> str:
    """The outcome's unit, '' if none was given."""
    return post.model.units.get(post.model.formula.outcome_name, "")


def words_of(post: Posterior, column: str) -> str:
    """A column and its unit for an axis: 'living_space, m²'."""
    unit = post.model.units.get(column, "")
    return f"{column}, {unit}" if unit else column


def home_words(post: Posterior, at: Mapping[str, Any]) -> str:
    """A home in words: 'living_space 100 m²', or the typical one."""
    parts = [
        f"{name} {amount(float(value), post.model.units.get(name, ''))}"
        if isinstance(value, int | float | np.number) else f"{name} {value}"
        for name, value in at.items()
    ]  # fmt: skip
    return ", ".join(parts) or "the mean of every predictor"
