"""Formula + priors + scale choices → Model: names every parameter, prints its equations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from priorhood import gather, nuts
from priorhood.design import INTERCEPT, Design
from priorhood.errors import ModelError, PriorError, near
from priorhood.expression import Expression
from priorhood.formula import Formula, parse
from priorhood.observations import observe
from priorhood.priors import COMMON, LKJ, Normal, Prior, given_priors, parse_distribution, read_priors
from priorhood.priors import Scale as ScalePrior
from priorhood.scale import learn_scale
from priorhood.table import read

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pymc as pm

    from priorhood.observations import Observations
    from priorhood.scale import Scale


@dataclass(frozen=True)
class Resolved:
    """The prior of every parameter: mu by population column; tau, omega by level; sigma and the rest.

    sigma is None where the errors are known, nu where they are Normal. sigma_median and sigma_spread are those of
    log sigma_g ~ Normal(log sigma_median, sigma_spread²), in place of sigma; None where the model has it not.
    """

    mu: tuple[Normal, ...]
    tau: tuple[tuple[ScalePrior, ...], ...]
    omega: tuple[LKJ | None, ...]
    sigma: ScalePrior | None
    nu: ScalePrior | None
    sigma_median: ScalePrior | None = None
    sigma_spread: ScalePrior | None = None


FAMILIES = ("normal", "student")


class Model:
    """A hierarchical regression, before any data.

    y_i = x_iᵀ β_g(i) + ε_i,  ε_i ~ Normal(0, σ²);  β_g = mu + δ_g,  δ_g ~ Normal(0, diag(τ) Ω diag(τ))

    The errors may also be Student's, have a σ for every group, or be known: family, noise, se.

    Parameters
    ----------
    formula : "price ~ living_space + (living_space | zip)", lme4's notation
    priors : texts ("tau[living_space] ~ Exponential(scale=5)") or a mapping of names to distributions,
        over the defaults; on the standardized scale
    outcome_unit : what the outcome is divided by; "auto" takes the power of ten nearest its sd
    standardize : centre numeric predictors and divide them by their sd
    units : names of the columns' units for printing: {"price": "€", "living_space": "m²"}
    family : of the errors: "normal", or "student" for Student's t with scale sigma and nu degrees of freedom
    noise : the formula's group, for a residual sd of its own in every group,
        log sigma_g ~ Normal(log sigma_median, sigma_spread²); where a prior for sigma is given, each has that one,
        independent of the others
    se : a column of known standard errors of the outcome, for outcomes that are estimates (meta-analysis);
        ε_i ~ Normal(0, se_i²), and there is no sigma

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
        family: str = "normal",
        noise: str | None = None,
        se: str | None = None,
    ) -> None:
        self.formula = formula if isinstance(formula, Formula) else parse(formula)
        self.priors: dict[str, Prior] = read_priors(priors)
        self.outcome_unit = _unit(outcome_unit)
        self.standardize = bool(standardize)
        self.units = dict(units or {})
        self.family, self.noise, self.se = _errors(self.formula, family, noise, se)
        known = {n for text in (self.formula.outcome, *self.formula.factors()) for n in Expression(text).names}
        stray = [name for name in self.units if name not in known]
        if stray:
            raise ModelError(
                f"a unit is given for {stray[0]!r}, which the formula does not have: {near(stray[0], known)}"
            )
        given = given_priors(priors)
        if self.noise is not None and "sigma" in given and any(key in given for key in COMMON):
            raise PriorError(
                f"priors are given for sigma, each {self.noise}'s own, and for sigma_median or sigma_spread, which "
                f"all have in common: choose one"
            )
        absent = self._absent(independent="sigma" in given)
        for key in given:
            if key.partition("[")[0] in absent:
                raise PriorError(f"prior for {key}: {absent[key.partition('[')[0]]}, so there is no such parameter")
        self.priors = {k: v for k, v in self.priors.items() if k.partition("[")[0] not in absent}

    def _absent(self, *, independent: bool) -> dict[str, str]:
        """Parameters that the model does not have, and why; independent : sigma has a prior for each group."""
        found: dict[str, str] = {}
        if not self.formula.levels:
            found |= dict.fromkeys(("tau", "omega"), "the formula has no group part")
        if self.se is not None:
            found["sigma"] = f"the errors are known ({self.se})"
        if self.noise is None:
            found |= dict.fromkeys(COMMON, "all rows have one sigma (noise= gives every group its own)")
        elif independent:
            found |= dict.fromkeys(COMMON, "every sigma has its own prior")
        else:
            found["sigma"] = "the sigma are alike"
        if self.family != "student":
            found["nu"] = "the errors are Normal (family='student' has nu)"
        return found

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
            family=self.family,
            noise=self.noise,
            se=self.se,
        )

    def to_pymc(
        self, data: object, parameterization: str = "centered", *, drop_outliers: float | None = None
    ) -> pm.Model:
        """A plain PyMC model of the rows of a table, to look at, extend and sample as any other.

        Its variables mu, beta, tau, omega, sigma, nu have the names, dims, coords and standardized scale of
        fit(); the outcome is `y`. Data containers: `X` (row, column), `outcome` and the groups' index.

        Parameters
        ----------
        data : whatever read() takes
        parameterization : "centered", β_j ~ Normal(mu, Σ), for groups with many rows; "noncentered",
            β_j = mu + Λ z_j with z_j ~ Normal(0, I), for groups with few
        drop_outliers : see fit

        Raises
        ------
        ModelError : PyMC is not installed; a model that NUTS does not take
        TableError : a column that is not there or cannot be used
        """
        reason = nuts.unavailable()
        if reason:
            raise ModelError(reason)
        nuts.check(nuts.Settings("pymc", parameterization))
        table = read(data)
        design, found = gather.take(table, self.formula, drop_outliers, se=self.se)
        scale = learn_scale(found, design, standardize=self.standardize, unit=self.outcome_unit)
        rows = observe(table, design, scale, found.labels, drop_outliers=drop_outliers, se=self.se)
        return nuts.build(self.regression(design, found.labels, rows), parameterization)

    def regression(self, design: Design, labels: npt.NDArray[np.str_], rows: Observations) -> nuts.Regression:
        """The model and standardized rows as NUTS takes them."""
        resolved = self.resolve(design)
        levels = self.formula.levels
        return nuts.Regression(
            rows=rows,
            columns=design.names,
            constant=design.constant,
            population=tuple(design.index(design.population_columns)),
            varying=tuple(design.index(design.level_columns(0))) if levels else (),
            group=levels[0].group if levels else "",
            labels=labels,
            mu=resolved.mu,
            tau=resolved.tau[0] if levels else (),
            omega=resolved.omega[0] if levels else None,
            sigma=resolved.sigma,
            nu=resolved.nu,
            noise=self.noise is not None,
            sigma_median=resolved.sigma_median,
            sigma_spread=resolved.sigma_spread,
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
            sigma=self.priors.get("sigma"),  # type: ignore[arg-type]
            nu=self.priors.get("nu"),  # type: ignore[arg-type]
            sigma_median=self.priors.get("sigma_median"),  # type: ignore[arg-type]
            sigma_spread=self.priors.get("sigma_spread"),  # type: ignore[arg-type]
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
        if resolved.sigma is not None:
            name = f"sigma[{self.noise}]" if self.noise else "sigma"
            rows.append((name, resolved.sigma, scale.unit, INTERCEPT))  # type: ignore[arg-type]
        if resolved.sigma_median is not None:
            rows.append(("sigma_median", resolved.sigma_median, scale.unit, INTERCEPT))  # type: ignore[arg-type]
        wide = max(len(name) for name, *_ in rows)
        text = max(len(str(prior)) for _, prior, *_ in rows)
        for name, prior, factor, term in rows:
            shown = prior.scaled(factor)
            lines.append(f"  {name:<{wide}} ~ {prior!s:<{text}}  = {shown} {self.unit_of(term)}")
        if resolved.sigma_spread is not None:
            lines.append(f"  {'sigma_spread':<{wide}} ~ {resolved.sigma_spread}")
        lines += [f"  {'nu':<{wide}} ~ {resolved.nu}"] if resolved.nu is not None else []
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
        lines = [f"  {outcome} = {' + '.join(parts)} + ε,  ε ~ {self._noise(scale)}"]
        if by:
            spread = "diag(tau) omega diag(tau)" if self.formula.levels[0].correlated else "diag(tau²)"
            means = ", ".join(f"mu[{c.name}]" if c in design.population_columns else "0" for c in varying)
            lines.append(f"  β[{by}] ~ Normal(({means}), {spread})")
        if "sigma_median" in self.priors:
            lines.append(f"  log sigma[{self.noise}] ~ Normal(log sigma_median, sigma_spread²)")
        return [*lines, ""]

    def _noise(self, scale: Scale) -> str:
        """The errors' distribution, as the equations print it."""
        if self.se is not None:
            return f"Normal(0, {self.se}{f' / {scale.unit:,.12g}' if scale.unit != 1 else ''})"
        sigma = f"sigma[{self.noise}]" if self.noise else "sigma"
        return f"Student(nu, 0, {sigma})" if self.family == "student" else f"Normal(0, {sigma})"

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
            "family": self.family,
            "noise": self.noise,
            "se": self.se,
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
            # Files of format 1 do not have these.
            family=stored.get("family", "normal"),
            noise=stored.get("noise"),
            se=stored.get("se"),
        )


def _errors(formula: Formula, family: str, noise: str | None, se: str | None) -> tuple[str, str | None, str | None]:
    """Check what is said of the errors."""
    if family not in FAMILIES:
        raise ModelError(f"family {family!r} is not known; there are {' and '.join(FAMILIES)}")
    if noise is not None and noise not in formula.groups:
        groups = f"is {formula.groups[0]!r}" if formula.groups else "is not there; add a part like (1 | zip)"
        raise ModelError(f"noise must be the formula's group, not {noise!r}; its group {groups}")
    if se is None:
        return family, noise, None
    if noise is not None or family != "normal":
        other = f"noise={noise!r}" if noise is not None else f"family={family!r}"
        raise ModelError(f"se={se!r} says the errors are Normal and known, {other} that they are not: choose one")
    if not isinstance(se, str) or se in formula.groups or se in Expression(formula.outcome).names:
        raise ModelError(f"se must name a column of standard errors of its own, not {se!r}")
    return family, noise, se


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
