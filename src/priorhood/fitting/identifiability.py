"""Identifiability: models that no data of this form can inform are refused, and weak information is noted."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import join_words, plural, preview
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.distributions import Fixed
from priorhood.model.formula import recentred, written_out
from priorhood.suffstats.standardize import without_rows

if TYPE_CHECKING:
    from priorhood.model.design import Design
    from priorhood.model.formula import Formula
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments


FEW_ROWS = 10  # among fewer, one may be the sum of the others by chance


def identifiability_notes(data: FitData) -> tuple[str, ...]:
    """Return notes on parameters that the rows hardly inform.

    Raises
    ------
    ModelError
        No rows of this form can inform the model.
    """
    design, found = data.design, data.moments
    notes = check_informed(data) + empty_cells(design, found) + truths(design, found)
    return notes + sum_of_the_others(design, found) + far_prior(data) + far_sigma(data)


def check_informed(data: FitData) -> tuple[str, ...]:
    """Refuse models that no data of this form can inform; return notes on parameters that they hardly inform.

    Raises
    ------
    ModelError
        One place in a grouping, more columns than rows, or a level whose places each hold one of the finer level.
    """
    model, found, hierarchy = data.model, data.moments, data.hierarchy
    D = len(data.design.columns)
    if found.rows < D:
        raise ModelError(
            f"the model has {D} coefficients but only {found.rows} rows can be used; leave predictors out"
        )
    if not found.keys:
        return ()
    formula = model.formula
    for at, places in enumerate(hierarchy.groupings):
        if places.size == 1:
            raise ModelError(
                f"all {found.rows:,} rows have the one {places.name} {str(places.labels[0])!r}: nothing can be "
                f"learned about how {plural(places.name)} differ: fit {_without(formula, at)}"
            )
    for at, (finer_level, level) in enumerate(pairwise(hierarchy.levels)):
        if level.size == finer_level.size:
            raise ModelError(
                f"every one of the {level.size:,} {plural(level.name)} has one {finer_level.name}: what is common "
                f"to a {level.name} cannot be told from what is particular to its {finer_level.name}; leave one of "
                f"both out: fit {_without(formula, at + 1)} or {_without(formula, at)}"
            )
    finest = hierarchy.levels[0]
    # Rows of different weights distinguish the two: sigma²/w and tau² add to different sums.
    alike = found.weight is None or bool(np.ptp(found.weight) == 0)
    if finest.total(found.n).max() == 1 and model.se is None and alike:
        return (
            f"every {finest.name} has one row: the spread between {plural(finest.name)} (tau) and the noise within "
            f"(sigma) cannot be told apart by the data, only by their priors",
        )
    return ()


def _without(formula: Formula, at: int) -> str:
    """Return a formula without one of its groupings, in quotes."""
    rest = tuple(grouping for other, grouping in enumerate(formula.groupings) if other != at)
    return repr(written_out(replace(formula, levels=rest, crossed=())))


def empty_cells(design: Design, found: CellMoments) -> tuple[str, ...]:
    """Return a note on combinations of categories without rows, whose coefficients only the priors determine."""
    names = [column.name for column in design.columns if column.factors]
    empty = [names[at] for at in without_rows(found, design)]
    if not empty:
        return ()
    several = len(empty) > 1
    return (
        f"no row has {preview(empty, 3)}: {'these coefficients are' if several else 'its coefficient is'} known by "
        f"{'their' if several else 'its'} prior alone, and predictions there are as wide as that",
    )


def truths(design: Design, found: CellMoments) -> tuple[str, ...]:
    """Return a note where the outcome is 0 or 1 in every row, by its sums: Σ y² = Σ y in every cell."""
    y, scatter = found.mean[:, -1], found.scatter[:, -1, -1]
    if found.weight is not None or design.formula.log_outcome or not ((y >= 0) & (y <= 1)).all():
        return ()
    if (np.abs(scatter + found.n * y * (y - 1.0)) > 1e-9 * found.n).any():
        return ()
    return (
        f"the outcome {design.formula.outcome!r} is 0 or 1 in every row: it is fitted as any number, with Normal "
        f"errors, so that predictions are shares and may lie below 0 or above 1",
    )


def sum_of_the_others(design: Design, found: CellMoments) -> tuple[str, ...]:
    """Return a note where a place of one row has the sum of all other outcomes: a total, not a place."""
    y, n = found.mean[:, -1], found.n
    if len(found.keys) != 1 or found.weight is not None or design.formula.log_outcome or found.rows < FEW_ROWS:
        return ()
    at = int(np.argmax(y))
    rest = float(n @ y) - y[at]
    if n[at] != 1 or y.min() < 0 or abs(y[at] - rest) > 1e-9 * rest:
        return ()
    key, label = found.keys[0], str(found.labels[at])
    plain = key.isidentifier() and "'" not in label and '"' not in label
    where = f"where=\"{key} <> '{label}'\"" if plain else "where="
    return (
        f"the only row of {key} {label!r} has as {design.formula.outcome!r} the sum of all other rows, "
        f"{y[at]:,.6g}: it looks like a line of totals, not a place; leave it out ({where})",
    )


def far_prior(data: FitData, *, least: float = 3.0) -> tuple[str, ...]:
    """Return a note where the intercept's prior is so far from the outcome's mean that it would pull the fit.

    least : distance in sds of the prior
    """
    design, scale, found = data.design, data.scale, data.moments
    names = [column.name for column in design.population_columns]
    if INTERCEPT not in names:
        return ()
    prior = data.resolved.mu[names.index(INTERCEPT)]
    mean, _ = data.standardized
    level = float(found.n @ mean[:, -1] / found.n.sum())
    away = abs(level - prior.mean) / prior.sd
    if away < least or (scale.centre.any() == 0 and len(design.columns) > 1 and away < 10):
        return ()
    centre, scatter = found.pooled()
    sd = math.sqrt(scatter[-1, -1] / found.mass.sum())
    text, off = recentred(data.model.formula, float(centre[-1]), sd)
    left = level - off / scale.unit
    advice = []
    if abs(level) < 1e9:  # beyond, numbers have no digits left for what the mean is not
        advice.append(f"give a wider prior, like {_reaching(level, sd / scale.unit)}")
    if not 0.1 < sd / scale.unit < 10:
        advice.append("choose an outcome_unit near the outcome's sd")
    elif off and abs(left - prior.mean) < least * prior.sd:
        advice.append(f"take the mean off the outcome, {text!r}")
    elif not advice:
        advice = [f"take the mean off the outcome, {text!r}, and give the prior {_reaching(left, sd / scale.unit)}"]
    sds = f"{away:.0f}" if away < 1e6 else "over a million"
    return (
        f"the prior mu[Intercept] ~ {prior} is {sds} of its sds from the outcome's mean ({level:.4g} on the "
        f"model's scale) and will pull the fit; {join_words(advice, 'or')}",
    )


FAR = 1.0  # shift of sigma by its prior, in posterior sds of 1/√(2 rows) of it, that is noted
FEWEST = 5


def far_sigma(data: FitData) -> tuple[str, ...]:
    """Return a note where precision weights give sigma a size that its prior excludes, so that it pulls the fit.

    In logs, the prior moves the mode of sigma by d log p(σ) / d log σ over twice the rows.
    """
    prior, found = data.resolved.sigma, data.moments
    rows = found.rows - len(found.n) - len(data.design.columns) + 1
    if found.weight is None or prior is None or isinstance(prior, Fixed) or rows < FEWEST:
        return ()
    scatter = data.standardized[1].sum(axis=0)
    slopes = np.linalg.lstsq(scatter[:-1, :-1], scatter[:-1, -1], rcond=None)[0]
    sigma = math.sqrt(max(scatter[-1, -1] - slopes @ scatter[:-1, -1], 0.0) / rows)
    if not sigma:
        return ()
    below, above = (float(prior.logpdf(np.array(sigma * (1 + step)))) for step in (-1e-4, 1e-4))
    away = abs(above - below) / 2e-4 / math.sqrt(2 * rows)
    if not away > FAR:
        return ()
    mean = float(found.weight.sum() / found.n.sum())
    return (
        f"the residual sd of a row of weight 1 is about {sigma:.4g} on the model's scale, and the prior "
        f"sigma ~ {prior} will pull it; divide the weights by their mean, {mean:.4g}, or give a prior that reaches "
        f"it, like sigma ~ HalfNormal({10.0 ** math.ceil(math.log10(sigma)):.15g})",
    )


def _reaching(level: float, sd: float) -> str:
    """Return a prior of the intercept that is wide enough for the outcome's level and sd."""
    return f"mu[Intercept] ~ Normal(0, {10.0 ** math.ceil(math.log10(max(abs(level), sd))):.15g})"
