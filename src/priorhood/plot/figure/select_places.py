"""Which places a picture shows, and what is drawn of all of them: rows, new places, the average one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import near, some
from priorhood.errors import ModelError
from priorhood.model.expression import tidy_label
from priorhood.model.formula import SEPARATOR
from priorhood.posterior.lazy_draws import asked as positions_asked
from priorhood.prediction.expected import typical_values
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import AVERAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.coefficients import Coefficients

# Draws of new places' coefficients, at the least, that a region of stated mass is made from.
NEW_PLACES = 40_000


def finest(post: Posterior, picture: str) -> Places:
    """The finest level.

    Raises
    ------
    ModelError : the formula has no group
    """
    if not post.hierarchy.levels:
        raise ModelError(f"{post.model.formula.text!r} has no group, so there are no places for plot.{picture}")
    return post.hierarchy.levels[0]


def asked(post: Posterior, places: Mapping[str, object]) -> Index | None:
    """Positions of the places asked for by zip=…, in the order given; None where nothing was asked."""
    return positions_asked(post.model.formula, post.hierarchy, places)


def rows_in(post: Posterior, level: Places) -> Array:
    """How many rows every place of a level has: (size,)."""
    return level.total(post.moments.n)


def flat(post: Posterior, name: str) -> Array:
    """Draws of a parameter in the data's units: (S, …)."""
    values = post.natural(name).transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)


def place_means(post: Posterior) -> Array:
    """Posterior means of all coefficients of the finest places, in the data's units: (places, C)."""
    beta = post.model.formula.effect_name(0)
    if post.summed:
        return np.asarray(post.coefficients()[f"{beta}_mean"].values)
    return np.asarray(flat(post, beta).mean(axis=0))


def place_quantiles(post: Posterior, levels: tuple[float, ...]) -> Array:
    """Quantiles of all coefficients of the finest places, in the data's units: (places, C, levels)."""
    found = post.coefficients(levels)
    beta = post.model.formula.effect_name(0)
    return np.stack([found[f"{beta}_q{100 * level:g}"].values for level in levels], axis=-1)


def place_draws(post: Posterior, places: Index) -> Array:
    """Draws of some of the finest places' coefficients, in the data's units: (S, places, C)."""
    finest = post.hierarchy.levels[0]
    asked_for: dict[str, Any] = {finest.name: finest.labels[places]}
    values = post.draws(**asked_for).values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def expected(post: Posterior, rows: pd.DataFrame) -> Array:
    """E(y | θ) of rows in the outcome's units, of new places the average one: (S, rows)."""
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


def coefficients(post: Posterior) -> Coefficients:
    """The draws as predictions take them."""
    return post._coefficients()


def new_places(post: Posterior, columns: Index) -> Array:
    """Coefficients of new places like those there are, in the data's units: (draws, len(columns)).

    Every draw has its own mu, τ and Ω, so that what is not known of these is in them.
    columns : positions among design.coefficient_columns(0)
    """
    c = coefficients(post)
    depth = len(c.keys)
    count = max(-(-NEW_PLACES // len(c.mu)), 1)
    spots = tuple(SEPARATOR.join([f"{AVERAGE} {at}"] * depth) for at in range(count))
    groups = Groups(c, spots, "draw", post.seed)
    drawn = np.concatenate([groups.beta(at) for at in range(count)])
    return np.asarray((drawn * post.scale.natural()[c.levels[0].cols])[:, columns])


def average_coefficients(post: Posterior) -> Array:
    """The population's coefficients in the columns of the finest level, in the data's units: (S, C); 0 without."""
    c = coefficients(post)
    cols = c.levels[0].cols
    found = np.zeros((len(c.mu), len(post.design.columns)))
    found[:, c.mu_cols] = c.mu
    return np.asarray((found * post.scale.natural())[:, cols])


def two_terms(post: Posterior, given: object, picture: str) -> list[int]:
    """Positions, among the coefficients that differ between places, of one or two terms.

    Raises
    ------
    ModelError : terms that do not vary by place, or more than two
    """
    names = [column.name for column in post.design.coefficient_columns(0)]
    if given is None:
        return list(range(min(2, len(names))))
    terms = [given] if isinstance(given, str) else list(given)  # type: ignore[call-overload]
    terms = [tidy_label(str(term)) for term in terms]
    for term in terms:
        if term not in names:
            raise ModelError(f"{term!r} does not vary by {post.model.formula.group}; {near(str(term), names)}")
    terms = list(dict.fromkeys(terms))
    if not 1 <= len(terms) <= 2:
        raise ModelError(f"plot.{picture} shows one or two terms, not {len(terms)}; there are {some(names, 12)}")
    return [names.index(term) for term in terms]


def ellipse(centre: Array, covariance: Array, radius: float, count: int = 181) -> Array:
    """Points (count, 2) where (x − centre)ᵀ covariance⁻¹ (x − centre) = radius²; flat where it is singular."""
    values, vectors = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, count)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    return np.asarray(centre + radius * (vectors * np.sqrt(np.maximum(values, 0.0)) @ circle).T)


def regions(draws: Array, masses: tuple[float, ...]) -> list[Array]:
    """Ellipses around the mean of draws (S, 2) that hold these shares of them, whatever their shape."""
    centre, covariance = draws.mean(axis=0), np.cov(draws.T)
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    scaled = (draws - centre) / size
    inverse = np.linalg.pinv(covariance / np.outer(size, size), hermitian=True)
    distance = np.sqrt(np.maximum(np.einsum("sa,ab,sb->s", scaled, inverse, scaled), 0.0))
    return [ellipse(centre, covariance, float(np.quantile(distance, mass))) for mass in masses]


def unit_of_outcome(post: Posterior) -> str:
    """The outcome's unit, '' where none was given."""
    return post.model.units.get(post.model.formula.outcome_name, "")


def words_of(post: Posterior, column: str) -> str:
    """A column and its unit for an axis: 'living_space, m²'."""
    unit = post.model.units.get(column, "")
    return f"{column}, {unit}" if unit else column


def home_words(post: Posterior, at: Mapping[str, Any] | None) -> str:
    """A home in words: 'living_space 100 m²', or the typical one."""
    from priorhood.plot.figure.page import amount

    parts = [
        f"{name} {amount(float(value), post.model.units.get(name, ''))}"
        if isinstance(value, int | float | np.number) else f"{name} {value}"
        for name, value in (at or {}).items()
    ]  # fmt: skip
    return ", ".join(parts) or "the mean of every predictor"
