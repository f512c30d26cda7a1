"""Expected outcomes of rows, and typical homes (math.md, section 7)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, suggestion
from priorhood.data.labels import normal_label
from priorhood.data.number_formats import parse_bool
from priorhood.errors import ModelError
from priorhood.model.design import Indicator, number_label
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.tokens import place_argument
from priorhood.model.weights import Weights
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import BLOCK, check_memory
from priorhood.prediction.rows import AVERAGE, locations, table_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from priorhood._arrays import Array, Labels
    from priorhood.data.sources.table import Table
    from priorhood.model.design import Design
    from priorhood.model.formula import Formula
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.suffstats.moments import CellMoments


def expected_rows(c: Coefficients, table: Table, unseen: str, seed: int) -> tuple[Array, Labels]:
    """Return E(y_i | θ) of every row under every draw (S, n), in the outcome's units, and the rows' status (n,).

    It is xᵀβ, or exp(xᵀβ + σ²/2) if the formula takes the log. In that case it is the centre, exp(xᵀβ), with
    Student-t errors, whose exp has no mean, and with known errors, which are measurement errors. NaN for missing
    predictors. All rows × draws are in memory.

    Raises
    ------
    ModelError
        if rows × draws do not fit into this machine's memory
    """
    centre = c.nu is not None or c.row_weights.se is not None
    c = replace(c, row_weights=Weights())  # rows need no standard errors or weights
    rows = table_rows(c, table, unseen)
    groups = Groups(c, rows.spots, unseen, seed)
    check_memory(len(c.mu), len(rows.X), "expected outcomes")
    out = np.full((len(c.mu), len(rows.X)), np.nan)
    usable = np.flatnonzero(rows.usable)
    # Rows of one group side by side, so that its coefficients are fetched once per block.
    order = usable[np.argsort(rows.group[usable], kind="stable")]
    for lo in range(0, len(order), BLOCK):
        part = order[lo : lo + BLOCK]
        m = locations(rows, groups, part)
        m *= c.scale.unit
        if c.design.formula.log_outcome:
            if not centre:
                sigma, kind = groups.sigmas(rows.group[part])
                m += 0.5 * (c.scale.unit * sigma[kind]) ** 2
            np.exp(m, out=m)
        out[:, part] = m.T
    return out, rows.status


def typical_homes(
    design: Design,
    moments: CellMoments,
    hierarchy: Hierarchy,
    known: frozenset[str],
    at: Mapping[str, Any],
) -> pd.DataFrame:
    """Return one row per finest place, in the hierarchy's order: its labels, and the predictors of the same home.

    Parameters
    ----------
    design, moments, hierarchy : Design, CellMoments, Hierarchy
        columns, sums and places of the posterior
    known : frozenset of str
        predictors that belong to the places, which the rows do not repeat
    at : mapping
        values of predictors, or labels of crossed groupings. Other predictors get the mean of all rows (that of the
        log for log(x)), categorical ones the most frequent category, crossed groupings their average

    Raises
    ------
    ModelError
        if `at` has a name that is not in the formula, or a predictor has no typical value
    """
    import pandas as pd

    formula = design.formula
    columns: dict[str, Any] = {}
    places = hierarchy.levels[0] if hierarchy.levels else None
    size = 1 if places is None else places.size
    keys = [] if places is None else places.keys.tolist()
    for depth, column in enumerate(() if places is None else places.path):
        columns[column] = [str(key).split(SEPARATOR)[depth] for key in keys]
    across = _across(formula)
    at = checked_home(design, at)
    for key in across:
        columns[key] = [at.get(key, AVERAGE)] * size
    typical = typical_values(design, moments)
    for name in design.variables:
        if name in columns or (name in known and name not in at):
            continue
        if name not in at and name not in typical:
            raise ModelError(
                f"the formula has {name!r} only inside another expression, so its mean is not known: set "
                f"{argument('at', {name: ...})}"
            )
        columns[name] = [at[name] if name in at else typical[name]] * size
    return pd.DataFrame(columns)


def checked_home(design: Design, at: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a home, checked: predictors of the model, with numbers for numeric ones.

    Without the check, a value that is not a number or has no log would be a missing predictor and the plot empty.

    Raises
    ------
    ModelError
        if a name is not a predictor, or its value is not a number or category
    """
    allowed = [*design.variables, *_across(design.formula)]
    factors = {Expression(factor).bare: factor for factor in design.categories}
    checked = dict(at)
    logged = {factor.logged_column for column in design.columns for factor in column.numbers}
    for name, value in at.items():
        label = f"{value:.15g}" if isinstance(value, float) else str(value)
        if name not in allowed and name in design.formula.keys:
            if name == design.formula.group:
                place = place_argument(name, label)
            else:
                place = f"{place_argument(design.formula.group, '…')}, which determines its {name}"
            raise ModelError(f"{name!r} is a home's location, not a predictor: choose the place with {place}")
        if name not in allowed:
            raise ModelError(f"the model has no predictor {name!r} ({argument('at')}); {suggestion(name, allowed)}")
        if name in factors:
            known = design.categories[factors[name]]
            try:
                text = number_label(float(value))
            except (TypeError, ValueError):
                text = ""
            if not {normal_label(str(value)), text} & set(known):
                raise ModelError(
                    f"there is no {name} {label!r}: {suggestion(label, known)} (for example "
                    f"{argument('at', {name: known[0]})})"
                )
        if name not in design.variables or name in factors:
            continue
        truth = parse_bool(str(value)) if name in design.truths else None
        try:
            number = float(value if truth is None else truth)
        except (TypeError, ValueError):
            number = math.nan
        if name in design.truths and number not in (0.0, 1.0):
            raise ModelError(
                f"{name!r} of the home must be true or false, as in the fit, such as "
                f"{argument('at', {name: True})}, not {value!r}"
            )
        if not math.isfinite(number):
            raise ModelError(
                f"{name!r} of the home must be a finite number, such as {argument('at', {name: 100.5})}, not "
                f"{value!r}"
            )
        checked[name] = number
        if name in logged and number <= 0:
            raise ModelError(
                f"{name!r} of the home must be above 0, since the formula takes its log, not {value!r}"
            )
    return checked


def _across(formula: Formula) -> list[str]:
    """Return the columns of crossed groupings; a home may have labels for them."""
    nested = formula.levels[0].path if formula.levels else ()
    return [key for key in formula.keys if key not in nested]


def typical_values(design: Design, moments: CellMoments) -> dict[str, float | str]:
    """Return the mean of every numeric predictor over all rows, and the most frequent categories, by column."""
    mean = dict(zip(moments.columns, moments.pooled()[0], strict=True))
    typical: dict[str, float | str] = {}
    for factor in design.formula.factors():
        if factor in design.categories:
            # The means of indicators are shares; the reference category has the rest.
            shares = dict.fromkeys(design.categories[factor], 0.0)
            for column in design.columns:
                only = column.factors[0] if len(column.factors) == 1 else None
                if isinstance(only, Indicator) and only.factor == factor:
                    shares[only.category] = float(mean[column.name])
            first = design.categories[factor][0]
            shares[first] = shares[first] or 1.0 - sum(shares.values())
            category = max(shares, key=lambda category: shares[category])
            typical[str(Expression(factor).bare)] = float(category) if factor in design.numeric else category
    for column in design.columns:
        only = column.factors[0] if len(column.factors) == 1 else None
        if not isinstance(only, Expression):
            continue
        if only.bare is not None:
            typical[only.bare] = float(mean[column.name])
        elif only.logged_column is not None:
            typical.setdefault(only.logged_column, float(np.exp(mean[column.name])))
    return typical
