"""Findings: one and the same home in every place, and every place's coefficients."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import join_words, suggestion
from priorhood.data.labels import normal_label
from priorhood.errors import ModelError
from priorhood.model.expression import Expression
from priorhood.model.weights import Weights
from priorhood.posterior.price_batches import PriceMoments, expected_batches, price_moments, summarize_expected
from priorhood.prediction.expected import typical_values
from priorhood.prediction.predict import request
from priorhood.prediction.rows import frame_to_predict, read_rows
from priorhood.reporting.words import absent_label, joined, plainly, round_near, unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from priorhood._arrays import Array, Index
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.coefficients import Coefficients

BOUNDS = (0.05, 0.95)
# Of a place's own cross-products: beyond, its rows do not tell the terms apart.
CONDITION = 1e8


def places_of(
    post: Posterior, options: list[str], depth: int, at: Mapping[str, Any], below: float | None
) -> dict[str, Any]:
    """Return the chosen home in every place of a level and in the average one, and each place's coefficients.

    In a place of a coarser level it is the mean over the finest places there, each counting with its rows.

    Returns
    -------
    name, unit, home in words, threshold; average and rows: mean, sd, low, high of the expected outcome, the
    probability below the threshold; a row also its label, rows, option of the calculator, coefficients and
    the least-squares estimate from its own rows alone. Where the mean of any is infinite, centre says that "mean"
    is the median, and where its sd is, sd that "sd" is the 90 % interval's width / 3.29
    """
    homes = _homes(post, at)
    moments = price_moments(post, [homes])
    (mean, sd, low, high), apart = _summed_up(post, homes, depth, moments)
    if not np.isfinite(mean).all():
        raise ModelError(
            f"at {_in_words(post, homes)} {post.model.formula.text!r} has no finite value: a logarithm or root "
            f"does not exist there, or the outcome is beyond all numbers"
        )
    threshold = round_near(float(mean[0])) if below is None else float(below)
    probability = _in_level(_below(post, homes, threshold), post, depth)
    told = [
        {"mean": _rounded(mean[i]), "sd": _rounded(sd[i]), "low": _rounded(low[i]), "high": _rounded(high[i]),
         "below": _rounded(probability[i])}
        for i in range(len(mean))
    ]  # fmt: skip
    found: dict[str, Any] = {
        "name": "", "unit": unit_of(post, post.model.formula.outcome_name), "home": _in_words(post, homes),
        "threshold": threshold, "chosen": below is not None, "average": told[0], "apart": None, "terms": [],
        "rows": [], "centre": moments.name, "sd": moments.sd,
    }  # fmt: skip
    if not post.hierarchy.levels:
        return found
    level = post.hierarchy.levels[depth]
    found["name"] = level.name
    found["apart"] = _rounded(apart) if level.size > 1 else None
    found["terms"], coefficients = _coefficients(post, depth)
    counts = level.total(post.moments.n)
    alone = _alone(post, homes, moments) if depth == 0 else np.full(level.size, np.nan)
    # The reason why a place has no estimate from its own rows alone.
    found["not_alone"] = ""
    if depth == 0:
        found["not_alone"] = (
            "Beside crossed groupings there is no estimate from its own rows alone."
            if post.hierarchy.crossed
            else "Its own rows alone are too few, or too alike, to tell."
        )
    names = level.labels.tolist()
    option = {label: i for i, label in enumerate(options)}
    prefix = "" if depth == 0 else f"the average {post.hierarchy.levels[0].name} of "
    found["rows"] = [
        {"label": label, "rows": int(counts[i]), **told[i + 1], "option": option[prefix + label],
         "coefficients": coefficients[i], "alone": _rounded(alone[i])}
        for i, label in enumerate(names)
    ]  # fmt: skip
    return found


def check_labels(post: Posterior, at: Mapping[str, Any]) -> None:
    """Raise for a label or category that the fit did not have; Posterior.homes checks names and numbers."""
    labels = {one.name: one.labels.tolist() for one in post.hierarchy.crossed}
    labels |= {str(Expression(factor).bare): list(known) for factor, known in post.design.categories.items()}
    for name, value in at.items():
        if name in labels:
            text = normal_label(str(value))
            if text not in labels[name]:
                raise ModelError(f"there is no {name} {text!r}: {suggestion(text, labels[name])}")


def _homes(post: Posterior, at: Mapping[str, Any]) -> pd.DataFrame:
    """One home: first in the average place, then in every finest place, in their order."""
    import pandas as pd

    homes = post.homes(at)
    if not post.hierarchy.levels:
        return homes
    average = homes.iloc[[0]].copy()
    for column in post.hierarchy.levels[0].path:
        average[column] = absent_label(post)
    return _with_place_values(post, pd.concat([average, homes], ignore_index=True))


def _summed_up(post: Posterior, homes: pd.DataFrame, depth: int, moments: PriceMoments) -> tuple[Array, float]:
    """Mean, sd and bounds of the average place and a level's (4, 1 + places); the sd between its places."""
    parts = expected_batches(post, homes) if not depth else [_level_draws(post, homes, depth)]
    told, total, square, average = [], np.zeros(1), np.zeros(1), None
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused by name
        for values in parts:
            average = values[:, :1] if average is None else average
            away = values - average
            total, square = total + away.sum(axis=1), square + (away**2).sum(axis=1)
            bounds = np.quantile(values, BOUNDS, axis=0)
            told.append(np.stack([moments.centre(values), moments.spread(values), *bounds]))
        found = np.concatenate(told, axis=1)
        places = max(found.shape[1] - 1, 1)
        apart = np.sqrt(np.maximum(square / places - (total / places) ** 2, 0.0))
    return found, float(np.mean(apart) if moments.sd else np.median(apart))


def _level_draws(post: Posterior, homes: pd.DataFrame, depth: int) -> Array:
    """Draws of the average place and of a coarser level's, means over its finest places: (S, 1 + places)."""
    parent, share = _lying_in(post, depth)
    size, at = post.hierarchy.levels[depth].size, 0
    average, found = np.zeros((0, 1)), np.zeros((0, size))
    for values in expected_batches(post, homes):
        if not at:
            average, found = values[:, :1], np.zeros((len(values), size))
            values = values[:, 1:]
        here = slice(at, at + values.shape[1])
        weights = np.zeros((values.shape[1], size))
        weights[np.arange(len(weights)), parent[here]] = share[here]
        found += values @ weights
        at = here.stop
    return np.concatenate([average, found], axis=1)


def _lying_in(post: Posterior, depth: int) -> tuple[Index, Array]:
    """The place of a level in which every finest place lies (J,), and its share of the rows there (J,)."""
    finest, level, n = post.hierarchy.levels[0], post.hierarchy.levels[depth], post.moments.n
    parent = np.zeros(finest.size, dtype=np.int64)
    parent[finest.of_cell] = level.of_cell
    return parent, finest.total(n) / level.total(n)[parent]


def _in_level(values: Array, post: Posterior, depth: int) -> Array:
    """Of the average and the finest places (1 + J,) to a level's (1 + places,), by their shares of its rows."""
    if not depth:
        return values
    parent, share = _lying_in(post, depth)
    means = np.bincount(parent, weights=values[1:] * share, minlength=post.hierarchy.levels[depth].size)
    return np.concatenate([values[:1], means])


def _with_place_values(post: Posterior, homes: pd.DataFrame) -> pd.DataFrame:
    """The rows with the places' own predictors; the mean of all rows for the average place."""
    known = post.place_table
    missing = [name for name in post.design.variables if name not in homes.columns]
    if known is None or not missing:
        return homes
    typical = typical_values(post.design, post.moments)
    for name in missing:
        values = []
        for at, row in enumerate(homes.itertuples(index=False)):
            labels = tuple(str(getattr(row, key, "")) for key in known.keys)
            own = known.find(labels) if at else None
            value = None if own is None else own[known.columns.index(name)]
            values.append(typical.get(name) if value is None else value)
        homes[name] = values
    return homes


def _below(post: Posterior, homes: pd.DataFrame, threshold: float) -> Array:
    """The probability of an outcome below the threshold; of the true value where the errors are known."""
    if post.model.se is not None:
        return summarize_expected(post, homes, lambda draws: (draws < threshold).mean(axis=0))
    found = post._predicted(homes, request(below=threshold, unseen="population", seed=post.seed), prefix="_")[1]
    return found.below[threshold]


def _in_words(post: Posterior, homes: pd.DataFrame) -> str:
    """living_space 82.5 m² and type loft."""
    parts = []
    for name in post.design.variables:
        if name not in homes.columns or homes[name].nunique() > 1:
            continue
        value = homes[name].iloc[0]
        unit = unit_of(post, name)
        text = value if isinstance(value, str) else plainly(float(value))
        parts.append(f"{name} {joined(text, unit)}")
    return join_words(parts)


def _coefficients(post: Posterior, depth: int) -> tuple[list[dict[str, str]], list[list[list[float | None]]]]:
    """The terms of a level with their units; for every place [mean, low, high] of each, in the data's units."""
    name = post.model.formula.effect_name(depth)
    if post.summed and not depth:
        found = post.coefficients(BOUNDS)
        parts = [found[f"{name}_{part}"] for part in ("mean", *(f"q{100 * level:g}" for level in BOUNDS))]
        terms = [str(term) for term in parts[0][parts[0].dims[-1]].values]
        stacked = np.stack([part.values for part in parts], axis=-1)
    else:
        draws = post.natural(name)
        terms = [str(term) for term in draws[draws.dims[-1]].values]
        values = draws.values.reshape(-1, *draws.shape[2:])
        low, high = np.quantile(values, BOUNDS, axis=0)
        stacked = np.stack([values.mean(axis=0), low, high], axis=-1)
    told = [[[_rounded(v) for v in term] for term in place] for place in stacked.tolist()]
    return [{"name": term, "unit": post.model.unit_of(term)} for term in terms], told


def _alone(post: Posterior, homes: pd.DataFrame, moments: PriceMoments) -> Array:
    """The home's outcome from each place's own rows alone: least squares of the terms that vary by place (J,).

    min over b of Σ w (y − x_Pᵀ μ − x_Zᵀ b)², from the sums of equation (5); Z the columns that vary, μ the
    posterior mean of the others. In the outcome's units, as Posterior.expected has it. NaN where a place has no
    more rows than terms, or where they do not tell the terms apart; and with crossed groupings, whose cells are
    not places.
    """
    c = post._coefficients()
    size = c.levels[0].places.size
    if c.crossed:
        return np.full(size, np.nan)
    mean, scatter = post.data.standardized
    mass = post.moments.mass
    gram = scatter + mass[:, None, None] * mean[:, :, None] * mean[:, None, :]
    varying = c.levels[0].cols
    fixed = np.isin(c.mu_cols, varying, invert=True)
    mu, others = c.mu[:, fixed].mean(axis=0), c.mu_cols[fixed]
    table = post.placed(homes.iloc[1:].reset_index(drop=True))
    plain = replace(c, row_weights=Weights())
    X = read_rows(plain, frame_to_predict(table, post.design, Weights()), table.name, "population").X
    found = np.full(size, np.nan)
    for j in range(size):
        A = gram[j][np.ix_(varying, varying)]
        if post.moments.n[j] <= len(varying) or np.linalg.cond(A) > CONDITION:
            continue
        b = np.linalg.solve(A, gram[j][varying, -1] - gram[j][np.ix_(varying, others)] @ mu)
        found[j] = X[j, varying] @ b + X[j, others] @ mu
    return _in_units(post, c, found, moments)


def _in_units(post: Posterior, c: Coefficients, found: Array, moments: PriceMoments) -> Array:
    """Standardized locations (J,) in the outcome's units; under a log outcome exp(m + σ²/2), of a middle σ²."""
    if not post.model.formula.log_outcome:
        return np.asarray(post.scale.to_outcome(found))
    noisy = c.nu is None and post.model.se is None
    half = 0.5 * post.scale.unit**2 * moments.centre(c.sigma**2) if noisy else 0.0
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(found * post.scale.unit + half))


def _rounded(value: float) -> float | None:
    """Seven digits, which is more than is known; None where there is no number."""
    return float(f"{value:.7g}") if np.isfinite(value) else None
