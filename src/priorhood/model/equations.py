"""Equations of a model as text, with numbers and the data's units."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from priorhood.model.arithmetic import Binary, Negative
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import Expression
from priorhood.model.tokens import alone, written

if TYPE_CHECKING:
    from priorhood.model.design import Column, Design
    from priorhood.model.model import Model
    from priorhood.model.priors import Prior
    from priorhood.model.scale import Scale


class Equations(NamedTuple):
    """A model's equations; `str` joins them, one per line.

    Attributes
    ----------
    formula : str
        formula of the model
    lines : list of str
        distributions of the outcome and of the groups' coefficients
    priors : list of tuple of str
        name of every parameter, its prior, and the prior in the data's units ("" if the parameter has no unit)
    """

    formula: str
    lines: list[str]
    priors: list[tuple[str, str, str]]

    def __str__(self) -> str:
        scaled = [row for row in self.priors if row[2]]
        wide, text = (max((width(row[at]) for row in scaled), default=0) for at in (0, 1))
        rows = [
            f"  {_padded(name, wide)} ~ " + (f"{_padded(prior, text)}  = {natural}" if natural else prior)
            for name, prior, natural in self.priors
        ]
        return "\n".join([self.formula, "", *(f"  {line}" for line in self.lines), "", *rows])


def equations_of(model: Model, design: Design, scale: Scale) -> Equations:
    """Return the equations of a model: outcome, groupings, and every prior on its scale and in the data's units."""
    resolved, natural = model.resolve(design), scale.natural()
    # Name, prior, factor from the standardized scale to the data's units, and the term that determines the unit.
    rows: list[tuple[str, Prior, float, str]] = []
    for column, prior in zip(design.population_columns, resolved.mu, strict=True):
        rows.append((f"mu[{column.name}]", prior, natural[design.columns.index(column)], column.name))
    for at, spreads in enumerate(resolved.tau):
        for column, spread in zip(design.level_columns(at), spreads, strict=True):
            factor = natural[design.columns.index(column)]
            rows.append((f"tau{model.formula.suffix(at)}[{column.name}]", spread, factor, column.name))
    for name, sigma in ((_sigma(model), resolved.sigma), ("sigma_median", resolved.sigma_median)):
        if sigma is not None:
            rows.append((name, sigma, scale.unit, INTERCEPT))
    free: list[tuple[str, Prior | None]] = [("sigma_spread", resolved.sigma_spread), ("nu", resolved.nu)]
    free += [(f"omega{model.formula.suffix(at)}", omega) for at, omega in enumerate(resolved.omega)]
    priors = [
        (name, str(prior), f"{prior.scaled(factor)} {model.unit_of(term, quoted=True)}")
        for name, prior, factor, term in rows
    ]
    priors += [(name, str(prior), "") for name, prior in free if prior]
    return Equations(model.formula.text, _likelihood(model, design, scale), priors)


def width(text: str) -> int:
    """Return the width of a text in a terminal: 2 columns per full-width character, 0 per combining mark.

    Examples
    --------
    >>> width("m²"), width("東京")
    (2, 4)
    """
    return sum(
        0 if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2 if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )  # fmt: skip


def _padded(text: str, wide: int) -> str:
    """Pad a text with blanks to a width in a terminal."""
    return text + " " * (wide - width(text))


def _sigma(model: Model) -> str:
    """Return the name of the residual sd."""
    return f"sigma[{alone(model.noise)}]" if model.noise else "sigma"


def _likelihood(model: Model, design: Design, scale: Scale) -> list[str]:
    """Return the lines of the outcome and of the groupings' coefficients."""
    formula, parts = model.formula, []
    unit = f" / {scale.unit:,.12g}" if scale.unit != 1 else ""
    for d, column in enumerate(design.columns):
        names = [_mean(model, design, 0, column)]
        for at, grouping in enumerate(formula.crossed, start=len(formula.levels)):
            names += [f"δ[{alone(grouping.group)}, {column.name}]"] if column in design.level_columns(at) else []
        names = [name for name in names if name != "0"]
        name = names[0] if len(names) == 1 else f"({' + '.join(names)})"
        if not column.factors:
            parts += names
            continue
        x = column.name
        if scale.centre[d]:
            x = f"({x} − {scale.centre[d]:,.6g})"
        parts.append(f"{name} · {x}" + (f" / {scale.spread[d]:,.6g}" if scale.spread[d] != 1 else ""))
    weighted = f" / √{written(model.precision_weights)}" if model.precision_weights is not None else ""
    noise = f"Normal(0, {_sigma(model)}{weighted})"
    if model.se is not None:
        noise = f"Normal(0, {written(model.se)}{unit})"
    elif model.family == "student":
        noise = f"Student(nu, 0, {_sigma(model)}{weighted})"
    tree = Expression(formula.outcome).tree
    added = isinstance(tree, Negative) or (isinstance(tree, Binary) and tree.sign in "+-")
    outcome = f"({formula.outcome})" if added and unit else formula.outcome
    lines = [f"{outcome}{unit} = {' + '.join(parts)} + ε,  ε ~ {noise}"]
    if model.frequency_weights is not None:
        lines.append(f"a row stands for {alone(model.frequency_weights)} identical rows")
    for at, grouping in enumerate(formula.groupings):
        tau, omega = f"tau{formula.suffix(at)}", f"omega{formula.suffix(at)}"
        spread = f"diag({tau}) {omega} diag({tau})" if design.correlated(at) else f"diag({tau}²)"
        if at < len(formula.levels):
            means = ", ".join(_mean(model, design, at + 1, column) for column in design.level_columns(at))
            lines.append(f"β[{alone(grouping.group)}] ~ Normal(({means}), {spread})")
        else:
            lines.append(f"δ[{alone(grouping.group)}] ~ Normal(0, {spread})")
    if "sigma_median" in model.priors:
        lines.append(f"log {_sigma(model)} ~ Normal(log sigma_median, sigma_spread)")
    if design.references:
        pairs = ", ".join(f"{alone(column)} {category!r}" for column, category in design.references.items())
        lines.append(f"reference level{'s' * (len(design.references) > 1)}: {pairs}")
    return lines


def _mean(model: Model, design: Design, at: int, column: Column) -> str:
    """Return the symbol of a column's coefficient at a level, or above if it does not vary there, or "0"."""
    for level in range(at, len(model.formula.levels)):
        if column in design.level_columns(level):
            return f"β[{alone(model.formula.levels[level].group)}, {column.name}]"
    return f"mu[{column.name}]" if column in design.population_columns else "0"
