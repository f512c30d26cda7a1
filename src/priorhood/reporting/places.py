"""Results: a given home in every place, and the coefficients of every place."""

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

BOUNDS = (0.05, 0.95)
# Condition number of a place's cross-products above which its rows cannot separate the terms.
CONDITION = 1e8


def places_of(
    post: Posterior, options: list[str], depth: int, at: Mapping[str, Any], below: float | None
) -> dict[str, Any]:
    """Return the chosen home in every place of a level and in the average one, and each place's coefficients.

    In a place of a coarser level it is the mean over the finest places in it, weighted by rows.

    Returns
    -------
    dict
        name, unit, home (in words), threshold; average and rows: mean, sd, low, high of the expected outcome and
        probability below the threshold; for a row also label, rows, option of the calculator, coefficients, and the
        least-squares estimate from its own rows alone. If a mean is infinite, centre says that "mean" is the
        median; if an sd is, sd says that "sd" is the width of the 90 % interval / 3.29.
    """
    homes = _homes(post, at)
    moments = price_moments(post, [homes])
    (mean, sd, low, high), apart = _summarize(post, homes, depth, moments)
    if not np.isfinite(mean).all():
        raise ModelError(
            f"at {_in_words(post, homes)} {post.model.formula.text!r} has no finite value: a logarithm or root is "
            f"undefined there, or the outcome overflows"
        )
    threshold = round_near(float(mean[0])) if below is None else float(below)
    if post.model.se is not None:  # of the true value, as the errors are known
        probability = summarize_expected(post, homes, lambda draws: (draws < threshold).mean(axis=0))
    else:
        wanted = request(below=threshold, unseen="population", seed=post.seed)
        probability = post._predicted(homes, wanted, prefix="_")[1].below[threshold]
    if depth:
        parent, share = _parents(post, depth)
        level_size = post.hierarchy.levels[depth].size
        means = np.bincount(parent, weights=probability[1:] * share, minlength=level_size)
        probability = np.concatenate([probability[:1], means])
    summaries = [
        {"mean": _rounded(mean[i]), "sd": _rounded(sd[i]), "low": _rounded(low[i]), "high": _rounded(high[i]),
         "below": _rounded(probability[i])}
        for i in range(len(mean))
    ]  # fmt: skip
    places: dict[str, Any] = {
        "name": "", "unit": unit_of(post, post.model.formula.outcome_name), "home": _in_words(post, homes),
        "threshold": threshold, "chosen": below is not None, "average": summaries[0], "apart": None, "terms": [],
        "rows": [], "centre": moments.name, "sd": moments.sd,
    }  # fmt: skip
    if not post.hierarchy.levels:
        return places
    level = post.hierarchy.levels[depth]
    places["name"] = level.name
    places["apart"] = _rounded(apart) if level.size > 1 else None
    places["terms"], coefficients = _coefficients(post, depth)
    counts = level.total(post.moments.n)
    alone = _alone(post, homes, moments) if depth == 0 else np.full(level.size, np.nan)
    # Why a place has no estimate from its own rows alone.
    places["not_alone"] = ""
    if depth == 0:
        places["not_alone"] = (
            "With crossed groupings, no separate estimate from this place's own rows is available."
            if post.hierarchy.crossed
            else "This place has too few rows, or too little variation, for an estimate of its own."
        )
    option = {label: i for i, label in enumerate(options)}
    prefix = "" if depth == 0 else f"the average {post.hierarchy.levels[0].name} of "
    places["rows"] = [
        {"label": label, "rows": int(counts[i]), **summaries[i + 1], "option": option[prefix + label],
         "coefficients": coefficients[i], "alone": _rounded(alone[i])}
        for i, label in enumerate(level.labels.tolist())
    ]  # fmt: skip
    return places


def check_labels(post: Posterior, at: Mapping[str, Any]) -> None:
    """Check that the fit had all labels and categories; Posterior.homes checks names and numbers."""
    labels = {one.name: one.labels.tolist() for one in post.hierarchy.crossed}
    labels |= {str(Expression(factor).bare): list(known) for factor, known in post.design.categories.items()}
    for name, value in at.items():
        if name in labels:
            text = normal_label(str(value))
            if text not in labels[name]:
                raise ModelError(f"there is no {name} {text!r}: {suggestion(text, labels[name])}")


def _homes(post: Posterior, at: Mapping[str, Any]) -> pd.DataFrame:
    """Return one home in the average place, then in every finest place, with the predictors of the places."""
    import pandas as pd

    homes = post.homes(at)
    if not post.hierarchy.levels:
        return homes
    average = homes.iloc[[0]].copy()
    for column in post.hierarchy.levels[0].path:
        average[column] = absent_label(post)
    homes = pd.concat([average, homes], ignore_index=True)
    known = post.place_table
    missing = [name for name in post.design.variables if name not in homes.columns]
    if known is None or not missing:
        return homes
    typical = typical_values(post.design, post.moments)
    for name in missing:
        values = []
        for number, row in enumerate(homes.itertuples(index=False)):
            labels = tuple(str(getattr(row, key, "")) for key in known.keys)
            own = known.find(labels) if number else None
            value = None if own is None else own[known.columns.index(name)]
            values.append(typical.get(name) if value is None else value)
        homes[name] = values
    return homes


def _summarize(post: Posterior, homes: pd.DataFrame, depth: int, moments: PriceMoments) -> tuple[Array, float]:
    """Return mean, sd and bounds of the average place and a level's (4, 1 + places), and the sd between places."""
    if depth:
        # A place of a coarser level is the mean over its finest places.
        parent, share = _parents(post, depth)
        size, position = post.hierarchy.levels[depth].size, 0
        average, inside = np.zeros((0, 1)), np.zeros((0, size))
        for values in expected_batches(post, homes):
            if not position:
                average, inside = values[:, :1], np.zeros((len(values), size))
                values = values[:, 1:]
            part = slice(position, position + values.shape[1])
            weights = np.zeros((values.shape[1], size))
            weights[np.arange(len(weights)), parent[part]] = share[part]
            inside += values @ weights
            position = part.stop
        parts = iter([np.concatenate([average, inside], axis=1)])
    else:
        parts = expected_batches(post, homes)
    summaries, total, square, centre = [], np.zeros(1), np.zeros(1), None
    with np.errstate(invalid="ignore", over="ignore"):  # values that are not finite are refused by name
        for values in parts:
            centre = values[:, :1] if centre is None else centre
            off = values - centre
            total, square = total + off.sum(axis=1), square + (off**2).sum(axis=1)
            bounds = np.quantile(values, BOUNDS, axis=0)
            summaries.append(np.stack([moments.centre(values), moments.spread(values), *bounds]))
        summary = np.concatenate(summaries, axis=1)
        places = max(summary.shape[1] - 1, 1)
        apart = np.sqrt(np.maximum(square / places - (total / places) ** 2, 0.0))
    return summary, float(np.mean(apart) if moments.sd else np.median(apart))


def _parents(post: Posterior, depth: int) -> tuple[Index, Array]:
    """Return the coarser place that each finest place is in (J,), and its share of the rows there (J,)."""
    finest, level, n = post.hierarchy.levels[0], post.hierarchy.levels[depth], post.moments.n
    parent = np.zeros(finest.size, dtype=np.int64)
    parent[finest.of_cell] = level.of_cell
    return parent, finest.total(n) / level.total(n)[parent]


def _in_words(post: Posterior, homes: pd.DataFrame) -> str:
    """Return the home in words: living_space 82.5 m² and type loft."""
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
    """Return the terms of a level with units, and [mean, low, high] of each for every place, in data units."""
    name = post.model.formula.effect_name(depth)
    if post.summed and not depth:
        summary = post.coefficients(BOUNDS)
        parts = [summary[f"{name}_{part}"] for part in ("mean", *(f"q{100 * level:g}" for level in BOUNDS))]
        terms = [str(term) for term in parts[0][parts[0].dims[-1]].values]
        stacked = np.stack([part.values for part in parts], axis=-1)
    else:
        draws = post.natural(name)
        terms = [str(term) for term in draws[draws.dims[-1]].values]
        values = draws.values.reshape(-1, *draws.shape[2:])
        low, high = np.quantile(values, BOUNDS, axis=0)
        stacked = np.stack([values.mean(axis=0), low, high], axis=-1)
    rounded = [[[_rounded(v) for v in term] for term in place] for place in stacked.tolist()]
    return [{"name": term, "unit": post.model.unit_of(term)} for term in terms], rounded


def _alone(post: Posterior, homes: pd.DataFrame, moments: PriceMoments) -> Array:
    """Return the outcome of the home from each place's own rows alone: least squares of the varying terms (J,).

    min over b of Σ w (y − x_Pᵀ μ − x_Zᵀ b)², from the sums of equation (5); Z the columns that vary, μ the
    posterior mean of the others. In the outcome's units, as in Posterior.expected: exp(m + σ²/2) with a central σ²
    if the formula takes the log. NaN if a place has no more rows than terms, or they cannot separate the terms; and
    with crossed groupings, whose cells are not places.
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
    frame = frame_to_predict(table, post.design, Weights(), averages=post.moments)
    X = read_rows(plain, frame, table.name, "population").X
    m = np.full(size, np.nan)
    for j in range(size):
        A = gram[j][np.ix_(varying, varying)]
        if post.moments.n[j] <= len(varying) or np.linalg.cond(A) > CONDITION:
            continue
        b = np.linalg.solve(A, gram[j][varying, -1] - gram[j][np.ix_(varying, others)] @ mu)
        m[j] = X[j, varying] @ b + X[j, others] @ mu
    if not post.model.formula.log_outcome:
        return np.asarray(post.scale.to_outcome(m))
    noisy = c.nu is None and post.model.se is None
    half = 0.5 * post.scale.unit**2 * moments.centre(c.sigma**2) if noisy else 0.0
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(m * post.scale.unit + half))


def _rounded(value: float) -> float | None:
    """Return seven digits, more than are known; None if the value is not finite."""
    return float(f"{value:.7g}") if np.isfinite(value) else None
