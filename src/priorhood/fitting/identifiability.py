"""Identifiability: models that rows of this form cannot inform are refused, weak information is noted."""

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


MAX_CELLS = 10_000  # cells whose scatter shows the size of the noise
FEW_ROWS = 10  # with fewer rows, one may be the sum of the others by chance


def identifiability_notes(data: FitData) -> tuple[str, ...]:
    """Return notes on parameters that the rows hardly inform.

    Raises
    ------
    ModelError
        Rows of this form cannot inform the model.
    """
    design, moments = data.design, data.moments
    notes = check_informed(data) + empty_cells(design, moments) + truths(design, moments)
    return notes + sum_of_the_others(design, moments) + far_prior(data) + far_sigma(data)


def check_informed(data: FitData) -> tuple[str, ...]:
    """Refuse models that rows of this form cannot inform; return notes on parameters that they hardly inform.

    Raises
    ------
    ModelError
        A grouping with one place, more columns than rows, or a level whose places each hold one of the finer level.
    """
    model, moments, hierarchy = data.model, data.moments, data.hierarchy
    D = len(data.design.columns)
    if moments.rows < D:
        raise ModelError(
            f"the model has {D} coefficients, but only {moments.rows} rows can be used; drop predictors"
        )
    if not moments.keys:
        return ()
    formula = model.formula
    for at, places in enumerate(hierarchy.groupings):
        if places.size == 1:
            raise ModelError(
                f"all {moments.rows:,} rows have the same {places.name} {str(places.labels[0])!r}: they contain no "
                f"information about how {plural(places.name)} differ: fit {_without(formula, at)}"
            )
    for at, (finer_level, level) in enumerate(pairwise(hierarchy.levels)):
        if level.size == finer_level.size:
            raise ModelError(
                f"each of the {level.size:,} {plural(level.name)} has one {finer_level.name}: the effect of a "
                f"{level.name} cannot be separated from the effect of its only {finer_level.name}; drop one of the "
                f"two: fit {_without(formula, at + 1)} or {_without(formula, at)}"
            )
    finest = hierarchy.levels[0]
    # Rows of different weights distinguish the two: sigma²/w and tau² add to different sums.
    alike = moments.weight is None or bool(np.ptp(moments.weight) == 0)
    if finest.total(moments.n).max() == 1 and model.se is None and alike:
        return (
            f"every {finest.name} has one row: the data cannot separate the spread between {plural(finest.name)} "
            f"(tau) from the noise within them (sigma), only their priors can",
        )
    return ()


def _without(formula: Formula, at: int) -> str:
    """Return a formula without one of its groupings, in quotes."""
    rest = tuple(grouping for other, grouping in enumerate(formula.groupings) if other != at)
    return repr(written_out(replace(formula, levels=rest, crossed=())))


def empty_cells(design: Design, moments: CellMoments) -> tuple[str, ...]:
    """Return a note on combinations of categories without rows, whose coefficients only the priors determine."""
    names = [column.name for column in design.columns if column.factors]
    empty = [names[at] for at in without_rows(moments, design)]
    if not empty:
        return ()
    subject, their, them = (
        ("these coefficients are", "their priors", "them")
        if len(empty) > 1
        else ("its coefficient is", "its prior", "it")
    )
    return (
        f"no row has {preview(empty, 3)}: {subject} determined only by {their}, and predictions for {them} are as "
        f"uncertain as the prior",
    )


def truths(design: Design, moments: CellMoments) -> tuple[str, ...]:
    """Return a note if the outcome is 0 or 1 in every row, judged by its sums: Σ y² = Σ y in every cell."""
    y, scatter = moments.mean[:, -1], moments.scatter[:, -1, -1]
    if moments.weight is not None or design.formula.log_outcome or not ((y >= 0) & (y <= 1)).all():
        return ()
    if (np.abs(scatter + moments.n * y * (y - 1.0)) > 1e-9 * moments.n).any():
        return ()
    return (
        f"the outcome {design.formula.outcome!r} is 0 or 1 in every row: it is treated as continuous, with Normal "
        f"errors, so predictions are proportions that may fall below 0 or above 1",
    )


def sum_of_the_others(design: Design, moments: CellMoments) -> tuple[str, ...]:
    """Return a note if the outcome of a place with one row is the sum of all others: a total, not a place."""
    y, n = moments.mean[:, -1], moments.n
    if (
        len(moments.keys) != 1
        or moments.weight is not None
        or design.formula.log_outcome
        or moments.rows < FEW_ROWS
    ):
        return ()
    at = int(np.argmax(y))
    rest = float(n @ y) - y[at]
    if n[at] != 1 or y.min() < 0 or abs(y[at] - rest) > 1e-9 * rest:
        return ()
    key, label = moments.keys[0], str(moments.labels[at])
    plain = key.isidentifier() and "'" not in label and '"' not in label
    condition = f", with the condition {key} <> '{label}'" if plain else ""
    return (
        f"the {design.formula.outcome!r} of the only row of {key} {label!r} is the sum of all other rows, "
        f"{y[at]:,.6g}: it looks like a row of totals, not a place; leave it out{condition} (where)",
    )


def far_prior(data: FitData, *, min_distance: float = 3.0) -> tuple[str, ...]:
    """Return a note if the intercept's prior is so far from the outcome's mean that it would pull the estimates.

    min_distance : distance in sds of the prior
    """
    design, scale, moments = data.design, data.scale, data.moments
    names = [column.name for column in design.population_columns]
    if INTERCEPT not in names:
        return ()
    prior = data.resolved.mu[names.index(INTERCEPT)]
    mean, _ = data.standardized
    level = float(moments.n @ mean[:, -1] / moments.n.sum())
    away = abs(level - prior.mean) / prior.sd
    if away < min_distance or (scale.centre.any() == 0 and len(design.columns) > 1 and away < 10):
        return ()
    centre, scatter = moments.pooled()
    sd = math.sqrt(scatter[-1, -1] / moments.mass.sum())
    text, off = recentred(data.model.formula, float(centre[-1]), sd)
    rest = level - off / scale.unit
    advice = []
    if abs(level) < 1e9:  # beyond, numbers have too few digits for differences from the mean
        advice.append(f"use a wider prior, such as {_reaching(level, sd / scale.unit)}")
    if not 0.1 < sd / scale.unit < 10:
        advice.append("choose an outcome_unit near the outcome's sd")
    elif off and abs(rest - prior.mean) < min_distance * prior.sd:
        advice.append(f"subtract the mean from the outcome, {text!r}")
    elif not advice:
        prior_text = _reaching(rest, sd / scale.unit)
        advice = [f"subtract the mean from the outcome, {text!r}, and use the prior {prior_text}"]
    sds = f"{away:.0f}" if away < 1e6 else "over a million"
    return (
        f"the mean of the prior mu[Intercept] ~ {prior} lies {sds} prior sds from the outcome's mean ({level:.4g} "
        f"on the model's scale) and will pull the estimates away from the data; {join_words(advice, 'or')}",
    )


FAR = 1.0  # smallest shift of sigma by its prior that is noted, in posterior sds, sigma/√(2 rows)
MIN_ROWS = 5


def far_sigma(data: FitData) -> tuple[str, ...]:
    """Return a note if precision weights give sigma a size that its prior excludes, so that it pulls the estimates.

    In logs, the prior moves the mode of sigma by d log p(σ) / d log σ over twice the rows.
    """
    prior, moments = data.resolved.sigma, data.moments
    rows = moments.rows - len(moments.n) - len(data.design.columns) + 1
    if moments.weight is None or prior is None or isinstance(prior, Fixed) or rows < MIN_ROWS:
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
    mean = float(moments.weight.sum() / moments.n.sum())
    return (
        f"the residual sd of a row of weight 1 is about {sigma:.4g} on the model's scale, and the prior "
        f"sigma ~ {prior} will pull its estimate away from the data; divide the weights by their mean, {mean:.4g}, "
        f"or use a prior that covers it, such as sigma ~ HalfNormal({10.0 ** math.ceil(math.log10(sigma)):.15g})",
    )


FAR_NOISE = 20.0  # times that known noise is smaller or larger than the rows' scatter, beyond which it is noted
MIN_DEGREES = 10  # of freedom of the scatter
ROUNDING = 1e-12  # of the outcome's scatter, below which the scatter around a line is rounding error


def far_noise(data: FitData) -> tuple[str, ...]:
    """Return a note if a known residual sd, or known errors, are far from the rows' scatter: in another unit.

    The scatter is that around a line for every place, so it contains nothing that the model may explain by places.
    """
    model, moments, prior = data.model, data.moments, data.resolved.sigma
    if model.se is None and not isinstance(prior, Fixed):
        return ()
    scatter = data.standardized[1][:MAX_CELLS]
    degrees = moments.n[:MAX_CELLS] - 1 - (np.diagonal(scatter[:, :-1, :-1], axis1=1, axis2=2) > 0).sum(axis=1)
    scatter, degrees = scatter[degrees > 0], degrees[degrees > 0]
    if degrees.sum() < MIN_DEGREES:
        return ()
    inverse = np.linalg.pinv(scatter[:, :-1, :-1], hermitian=True)
    rest = scatter[:, -1, -1] - np.einsum("ji,jik,jk->j", scatter[:, :-1, -1], inverse, scatter[:, :-1, -1])
    if rest.sum() <= ROUNDING * scatter[:, -1, -1].sum():  # rows on a line
        return ()
    sd = math.sqrt(rest.sum() / degrees.sum())
    # Known errors are weights, 1/se² in the outcome's units: sd is the scatter in multiples of them.
    times = sd * data.scale.unit if model.se is not None else sd / prior.value if isinstance(prior, Fixed) else 1.0
    if 1 / FAR_NOISE <= times <= FAR_NOISE:
        return ()
    what = f"the known errors {model.se!r} are" if model.se is not None else f"sigma ~ {prior} is"
    far = f"{max(times, 1 / times):,.0f} times {'smaller' if times > 1 else 'larger'}"
    where = f"within {plural(moments.keys[-1])}" if moments.keys else "around the line"
    advice = "are they in another unit?"
    if model.se is None:
        unit = f"{data.scale.unit:,.12g} {model.unit_of(INTERCEPT)}".strip()
        advice = f"priors are on the model's scale, on which the scatter is {sd:.2g}, and 1 is {unit}"
    return (f"{what} {far} than the scatter of the rows {where}; {advice}",)


def _reaching(level: float, sd: float) -> str:
    """Return a prior of the intercept that is wide enough for the outcome's level and sd."""
    return f"mu[Intercept] ~ Normal(0, {10.0 ** math.ceil(math.log10(max(abs(level), sd))):.15g})"
