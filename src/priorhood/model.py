"""Formula + priors + scale choices → Model: names every parameter, prints its equations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from priorhood.design import INTERCEPT, Design
from priorhood.errors import ModelError, PriorError, near
from priorhood.expression import Expression
from priorhood.formula import Formula, parse
from priorhood.priors import LKJ, Normal, Prior, given_priors, parse_distribution, read_priors
from priorhood.priors import Scale as ScalePrior

if TYPE_CHECKING:
    from priorhood.scale import Scale


@dataclass(frozen=True)
class Resolved:
    """The prior of every parameter: mu by population column; tau, omega by level; sigma."""

    mu: tuple[Normal, ...]
    tau: tuple[tuple[ScalePrior, ...], ...]
    omega: tuple[LKJ | None, ...]
    sigma: ScalePrior


class Model:
    """A hierarchical regression, before any data.

    y_i = x_iᵀ β_g(i) + ε_i,  ε_i ~ Normal(0, σ²);  β_g = mu + δ_g,  δ_g ~ Normal(0, diag(τ) Ω diag(τ))

    Parameters
    ----------
    formula : "price ~ living_space + (living_space | zip)", lme4's notation
    priors : texts ("tau[living_space] ~ Exponential(scale=5)") or a mapping of names to distributions,
        over the defaults; on the standardized scale
    outcome_unit : what the outcome is divided by; "auto" takes the power of ten nearest its sd
    standardize : centre numeric predictors and divide them by their sd
    units : names of the columns' units for printing: {"price": "€", "living_space": "m²"}

    Raises
    ------
    FormulaError, PriorError, ModelError
    """

    def __init__(
        self,
        formula: str | Formula,
        priors: object = None,
        *,
        outcome_unit: float | str = "auto",
        standardize: bool = True,
        units: dict[str, str] | None = None,
    ) -> None:
        self.formula = formula if isinstance(formula, Formula) else parse(formula)
        self.priors: dict[str, Prior] = read_priors(priors)
        self.outcome_unit = _unit(outcome_unit)
        self.standardize = bool(standardize)
        self.units = dict(units or {})
        known = {n for text in (self.formula.outcome, *self.formula.factors()) for n in Expression(text).names}
        stray = [name for name in self.units if name not in known]
        if stray:
            raise ModelError(
                f"a unit is given for {stray[0]!r}, which the formula does not have: {near(stray[0], known)}"
            )
        if not self.formula.levels:
            extra = [key for key in given_priors(priors) if key.startswith(("tau", "omega"))]
            if extra:
                raise PriorError(
                    f"prior for {extra[0]}: the formula has no group part, so there is no such parameter"
                )
            self.priors = {k: v for k, v in self.priors.items() if not k.startswith(("tau", "omega"))}

    def __repr__(self) -> str:
        return f"Model({self.formula.text!r})"

    def __str__(self) -> str:
        return self.equations()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.formula)

    def with_priors(self, priors: object) -> Model:
        """The same model with some priors replaced."""
        return Model(
            self.formula,
            read_priors(priors, over=self.priors),
            outcome_unit="auto" if self.outcome_unit is None else self.outcome_unit,
            standardize=self.standardize,
            units=self.units,
        )

    def resolve(self, design: Design) -> Resolved:
        """The prior of every parameter, the most particular key first: tau[area], then tau.

        Raises
        ------
        PriorError : a key names a term that the model does not have
        """
        population = [c.name for c in design.population_columns]
        levels = [[c.name for c in design.level_columns(at)] for at in range(len(self.formula.levels))]
        known = {f"mu[{n}]" for n in population} | {f"tau[{n}]" for names in levels for n in names}
        for key in self.priors:
            if "[" in key and key not in known and key != f"mu[{INTERCEPT}]":
                raise PriorError(f"prior for {key}: the model has no such parameter; {near(key, sorted(known))}")

        def pick(name: str, term: str) -> Any:
            return self.priors.get(f"{name}[{term}]", self.priors[name])

        return Resolved(
            mu=tuple(pick("mu", n) for n in population),
            tau=tuple(tuple(pick("tau", n) for n in names) for names in levels),
            omega=tuple(
                self.priors["omega"] if level.correlated and len(names) > 1 else None  # type: ignore[misc]
                for level, names in zip(self.formula.levels, levels, strict=True)
            ),
            sigma=self.priors["sigma"],  # type: ignore[arg-type]
        )

    # -- printing --------------------------------------------------------------------------------------

    def equations(self, design: Design | None = None, scale: Scale | None = None) -> str:
        """The model as equations; with numbers and the data's units once the scale is known."""
        lines = [f"{self.formula.text}", ""]
        if design is None or scale is None:
            lines += [f"  {key} ~ {prior}" for key, prior in self.priors.items()]
            return "\n".join([*lines, "", "priors on the standardized scale; fit to see them in the data's units"])
        lines += self._likelihood(design, scale)
        resolved = self.resolve(design)
        natural = scale.natural()
        rows = []
        for column, prior in zip(design.population_columns, resolved.mu, strict=True):
            rows.append((f"mu[{column.name}]", prior, natural[design.columns.index(column)], column.name))
        for at, spreads in enumerate(resolved.tau):
            for column, spread in zip(design.level_columns(at), spreads, strict=True):
                factor = natural[design.columns.index(column)]
                rows.append((f"tau[{column.name}]", spread, factor, column.name))  # type: ignore[arg-type]
        rows.append(("sigma", resolved.sigma, scale.unit, INTERCEPT))  # type: ignore[arg-type]
        wide = max(len(name) for name, *_ in rows)
        text = max(len(str(prior)) for _, prior, *_ in rows)
        for name, prior, factor, term in rows:
            shown = prior.scaled(factor)
            lines.append(f"  {name:<{wide}} ~ {prior!s:<{text}}  = {shown} {self.unit_of(term)}")
        lines += [f"  {'omega':<{wide}} ~ {omega}" for omega in resolved.omega if omega]
        return "\n".join(lines)

    def _likelihood(self, design: Design, scale: Scale) -> list[str]:
        by = self.formula.groups[0] if self.formula.groups else None
        varying = design.level_columns(0) if by else ()
        parts = []
        for d, column in enumerate(design.columns):
            name = f"β[{by}, {column.name}]" if column in varying else f"mu[{column.name}]"
            if not column.factors:
                parts.append(name)
                continue
            x = column.name
            if scale.centre[d]:
                x = f"({x} − {scale.centre[d]:,.6g})"
            parts.append(f"{name} · {x}" + (f" / {scale.spread[d]:,.6g}" if scale.spread[d] != 1 else ""))
        outcome = self.formula.outcome + (f" / {scale.unit:,.12g}" if scale.unit != 1 else "")
        lines = [f"  {outcome} = {' + '.join(parts)} + ε,  ε ~ Normal(0, sigma)"]
        if by:
            spread = "diag(tau) omega diag(tau)" if self.formula.levels[0].correlated else "diag(tau²)"
            means = ", ".join(f"mu[{c.name}]" if c in design.population_columns else "0" for c in varying)
            lines.append(f"  β[{by}] ~ Normal(({means}), {spread})")
        return [*lines, ""]

    def unit_of(self, term: str) -> str:
        """The unit of a coefficient in words: '€ per m²'."""
        outcome = self.formula.outcome_name
        unit = self.units.get(outcome, outcome)
        if self.formula.log_outcome:
            unit = f"log {unit}"
        return unit if term == INTERCEPT else f"{unit} per {self.units.get(term, term)}"

    # -- as text -----------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything chosen, as JSON can hold it; from_dict reads it back exactly."""
        return {
            "formula": self.formula.text,
            "priors": {key: str(prior) for key, prior in self.priors.items()},
            "outcome_unit": self.outcome_unit,
            "standardize": self.standardize,
            "units": self.units,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Model:
        """The model that to_dict described."""
        unit = stored["outcome_unit"]
        return cls(
            stored["formula"],
            {key: parse_distribution(text) for key, text in stored["priors"].items()},
            outcome_unit="auto" if unit is None else unit,
            standardize=stored["standardize"],
            units=stored["units"],
        )


def _unit(given: float | str) -> float | None:
    if given == "auto":
        return None
    try:
        unit = float(given)
    except (TypeError, ValueError):
        raise ModelError(f"outcome_unit must be a number above 0 or 'auto', not {given!r}") from None
    if not (math.isfinite(unit) and unit > 0):
        raise ModelError(f"outcome_unit must be a number above 0 or 'auto', not {given!r}")
    return unit
