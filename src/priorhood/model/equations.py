"""A model and what was learned of the columns → its equations as text, with numbers and the data's units."""

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
    """The model line by line: outcome, groupings, and every prior on its scale and in the data's units."""
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
    """The columns that a text takes on a terminal: two for a sign as wide as high, none for a mark on another."""
    return sum(
        0 if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2 if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )  # fmt: skip


def _padded(text: str, wide: int) -> str:
    return text + " " * (wide - width(text))


def _sigma(model: Model) -> str:
    return f"sigma[{alone(model.noise)}]" if model.noise else "sigma"


def _likelihood(model: Model, design: Design, scale: Scale) -> list[str]:
    parts = []
    for d, column in enumerate(design.columns):
        names = _coefficients(model, design, column)
        name = names[0] if len(names) == 1 else f"({' + '.join(names)})"
        if not column.factors:
            parts += names
            continue
        x = column.name
        if scale.centre[d]:
            x = f"({x} − {scale.centre[d]:,.6g})"
        parts.append(f"{name} · {x}" + (f" / {scale.spread[d]:,.6g}" if scale.spread[d] != 1 else ""))
    outcome = model.formula.outcome + (f" / {scale.unit:,.12g}" if scale.unit != 1 else "")
    lines = [f"  {outcome} = {' + '.join(parts)} + ε,  ε ~ {_noise(model, scale)}"]
    if model.frequency_weights is not None:
        lines.append(f"  a row stands for {alone(model.frequency_weights)} equal rows")
    lines += [_effects(model, design, at) for at in range(len(model.formula.groupings))]
    if "sigma_median" in model.priors:
        lines.append(f"  log {_sigma(model)} ~ Normal(log sigma_median, sigma_spread²)")
    if design.references:
        told = ", ".join(f"{alone(column)} {category!r}" for column, category in design.references.items())
        lines.append(f"  reference level{'s' * (len(design.references) > 1)}: {told}")
    return [*lines, ""]


def _coefficients(model: Model, design: Design, column: Column) -> list[str]:
    """The symbols that are added up to a column's coefficient."""
    levels = len(model.formula.levels)
    names = [_mean(model, design, 0, column)]
    for at, grouping in enumerate(model.formula.crossed, start=levels):
        names += [f"δ[{alone(grouping.group)}, {column.name}]"] if column in design.level_columns(at) else []
    return [name for name in names if name != "0"]


def _mean(model: Model, design: Design, at: int, column: Column) -> str:
    """The symbol of a column's coefficient at a level, or above it where it does not differ there; "0"."""
    for level in range(at, len(model.formula.levels)):
        if column in design.level_columns(level):
            return f"β[{alone(model.formula.levels[level].group)}, {column.name}]"
    return f"mu[{column.name}]" if column in design.population_columns else "0"


def _effects(model: Model, design: Design, at: int) -> str:
    """The distribution of one grouping's coefficients."""
    grouping, suffix = model.formula.groupings[at], model.formula.suffix(at)
    tau, omega = f"tau{suffix}", f"omega{suffix}"
    spread = f"diag({tau}) {omega} diag({tau})" if design.correlated(at) else f"diag({tau}²)"
    columns = design.level_columns(at)
    if at >= len(model.formula.levels):
        return f"  δ[{alone(grouping.group)}] ~ Normal(0, {spread})"
    means = ", ".join(_mean(model, design, at + 1, column) for column in columns)
    return f"  β[{alone(grouping.group)}] ~ Normal(({means}), {spread})"


def _noise(model: Model, scale: Scale) -> str:
    """The errors' distribution, as the equations print it."""
    if model.se is not None:
        return f"Normal(0, {written(model.se)}{f' / {scale.unit:,.12g}' if scale.unit != 1 else ''})"
    sigma = _sigma(model)
    if model.precision_weights is not None:
        sigma += f" / √{written(model.precision_weights)}"
    return f"Student(nu, 0, {sigma})" if model.family == "student" else f"Normal(0, {sigma})"
