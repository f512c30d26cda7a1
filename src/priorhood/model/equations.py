"""Equations of a model as text, with numbers and the data's units."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from priorhood.model.design import INTERCEPT
from priorhood.model.tokens import alone, written

if TYPE_CHECKING:
    from priorhood.model.design import Column, Design
    from priorhood.model.model import Model
    from priorhood.model.scale import Scale


def equations_of(model: Model, design: Design, scale: Scale) -> str:
    """Return the model line by line: outcome, groupings, and every prior on its scale and in the data's units."""
    lines = [model.formula.text, ""]
    lines += _likelihood(model, design, scale)
    resolved = model.resolve(design)
    natural = scale.natural()
    rows = []
    for column, prior in zip(design.population_columns, resolved.mu, strict=True):
        rows.append((f"mu[{column.name}]", prior, natural[design.columns.index(column)], column.name))
    for at, spreads in enumerate(resolved.tau):
        for column, spread in zip(design.level_columns(at), spreads, strict=True):
            factor = natural[design.columns.index(column)]
            name = f"tau{model.formula.suffix(at)}[{column.name}]"
            rows.append((name, spread, factor, column.name))  # type: ignore[arg-type]
    if resolved.sigma is not None:
        rows.append((_sigma(model), resolved.sigma, scale.unit, INTERCEPT))  # type: ignore[arg-type]
    if resolved.sigma_median is not None:
        rows.append(("sigma_median", resolved.sigma_median, scale.unit, INTERCEPT))  # type: ignore[arg-type]
    wide = max(width(name) for name, *_ in rows)
    text = max(width(str(prior)) for _, prior, *_ in rows)
    for name, prior, factor, term in rows:
        shown = prior.scaled(factor)
        lines.append(
            f"  {_padded(name, wide)} ~ {_padded(str(prior), text)}  = {shown} {model.unit_of(term, quoted=True)}"
        )
    if resolved.sigma_spread is not None:
        lines.append(f"  {_padded('sigma_spread', wide)} ~ {resolved.sigma_spread}")
    lines += [f"  {_padded('nu', wide)} ~ {resolved.nu}"] if resolved.nu is not None else []
    for at, omega in enumerate(resolved.omega):
        lines += [f"  {_padded('omega' + model.formula.suffix(at), wide)} ~ {omega}"] if omega else []
    return "\n".join(lines)


def width(text: str) -> int:
    """Return the columns that a text takes on a terminal: two for a full-width letter, none for a combining mark.

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
    """The text with blanks up to a width on a terminal."""
    return text + " " * (wide - width(text))


def _sigma(model: Model) -> str:
    """The name of the residual sd."""
    return f"sigma[{alone(model.noise)}]" if model.noise else "sigma"


def _likelihood(model: Model, design: Design, scale: Scale) -> list[str]:
    """The lines of the outcome and of the groupings' coefficients."""
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
    lines = [f"  {formula.outcome}{unit} = {' + '.join(parts)} + ε,  ε ~ {noise}"]
    if model.frequency_weights is not None:
        lines.append(f"  a row stands for {alone(model.frequency_weights)} equal rows")
    for at, grouping in enumerate(formula.groupings):
        tau, omega = f"tau{formula.suffix(at)}", f"omega{formula.suffix(at)}"
        spread = f"diag({tau}) {omega} diag({tau})" if design.correlated(at) else f"diag({tau}²)"
        if at < len(formula.levels):
            means = ", ".join(_mean(model, design, at + 1, column) for column in design.level_columns(at))
            lines.append(f"  β[{alone(grouping.group)}] ~ Normal(({means}), {spread})")
        else:
            lines.append(f"  δ[{alone(grouping.group)}] ~ Normal(0, {spread})")
    if "sigma_median" in model.priors:
        lines.append(f"  log {_sigma(model)} ~ Normal(log sigma_median, sigma_spread²)")
    if design.references:
        pairs = ", ".join(f"{alone(column)} {category!r}" for column, category in design.references.items())
        lines.append(f"  reference level{'s' * (len(design.references) > 1)}: {pairs}")
    return [*lines, ""]


def _mean(model: Model, design: Design, at: int, column: Column) -> str:
    """The symbol of a column's coefficient at a level, or above it where it does not vary there; "0"."""
    for level in range(at, len(model.formula.levels)):
        if column in design.level_columns(level):
            return f"β[{alone(model.formula.levels[level].group)}, {column.name}]"
    return f"mu[{column.name}]" if column in design.population_columns else "0"
