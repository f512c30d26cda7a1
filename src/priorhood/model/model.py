"""A model: formula, priors and choices of scale, before any data; its equations as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from priorhood._arguments import brief_value, suggest_argument_names
from priorhood._text import argument, join_words, suggestion
from priorhood.errors import FormulaError, ModelError, PriorError
from priorhood.model.design import INTERCEPT, Design
from priorhood.model.equations import equations_of
from priorhood.model.expression import Expression, column_of
from priorhood.model.formula import Formula, parse
from priorhood.model.priors import (
    COMMON,
    LKJ,
    Normal,
    Prior,
    ScalePrior,
    StoredPriors,
    base_of,
    given_priors,
    parse_distribution,
    read_priors,
    split_label,
)
from priorhood.model.scale import LARGEST
from priorhood.model.tokens import alone, cut, unquoted
from priorhood.model.weights import Weights

if TYPE_CHECKING:
    import pymc as pm

    from priorhood.model.design import Column
    from priorhood.model.scale import Scale

FAMILIES = ("normal", "student")
# Names used by other tools, in lower case without underscores and hyphens.
FAMILY_SYNONYMS = {
    "normal": "normal", "gaussian": "normal", "student": "student", "studentt": "student", "t": "student",
}  # fmt: skip


@dataclass(frozen=True)
class ResolvedPriors:
    """The prior of every parameter of a model.

    Attributes
    ----------
    mu : tuple of Normal
        one per column of the population
    tau : tuple of tuple of prior
        one per varying coefficient, by grouping
    omega : tuple of LKJ or None
        one per grouping; None if its effects are independent
    sigma : prior or None
        None if the errors are known or the groups' sigmas are pooled
    nu : prior or None
        None if the errors are Normal
    sigma_median, sigma_spread : prior or None
        those of pooled sigmas, log sigma_g ~ Normal(log sigma_median, sigma_spread); None in other models
    """

    mu: tuple[Normal, ...]
    tau: tuple[tuple[ScalePrior, ...], ...]
    omega: tuple[LKJ | None, ...]
    sigma: ScalePrior | None
    nu: ScalePrior | None
    sigma_median: ScalePrior | None = None
    sigma_spread: ScalePrior | None = None


class Model:
    """A hierarchical regression, before any data.

    y_i = x_iᵀ β_g(i) + ε_i,  ε_i ~ Normal(0, σ²);  β_g = mu + δ_g,  δ_g ~ Normal(0, diag(τ) Ω diag(τ))

    The errors may also be Student's, have a σ for every group, or be known: family, noise, se. Rows may be
    weighted: precision_weights, frequency_weights.

    Parameters
    ----------
    formula : str
        "price ~ living_space + (living_space | zip)", lme4's notation
    priors : str, list of str, or dict
        strings ("tau[living_space] ~ Exponential(scale=5)") or a mapping of names to distributions, on the
        standardized scale; they replace the defaults
    outcome_unit : float or "auto"
        number by which the outcome is divided; "auto" uses the power of ten nearest its sd
    standardize : bool
        whether numeric predictors are centred and divided by their sd
    units : dict of str to str
        units of the columns, for printing: {"price": "€", "living_space": "m²"}
    family : str
        error distribution: "normal", or "student" for Student's t with scale sigma and nu degrees of freedom
    noise : str
        name of the formula's group, to give every group its own residual sd,
        log sigma_g ~ Normal(log sigma_median, sigma_spread). With a prior for sigma, every sigma_g has that prior
        instead, independent of the others
    se : str
        column of known standard errors of the outcome, for outcomes that are estimates (meta-analysis);
        ε_i ~ Normal(0, se_i²), and there is no sigma
    precision_weights : str
        column of weights w above 0, for example the number of sales of which a row is the mean;
        ε_i ~ Normal(0, σ²/w_i), so that sigma is the residual sd of a row of weight 1. The scale is learned from
        weighted means and sds, as with se. Cannot be combined with se, which already determines every error
    frequency_weights : str
        column of counts n: a row stands for n identical rows. The posterior is that of the table with every row
        repeated n times; rows with a count of 0 are left out

    Raises
    ------
    FormulaError, PriorError, ModelError

    Examples
    --------
    >>> import priorhood as ph
    >>> model = ph.Model("price ~ area + (area | zip)", "tau[area] ~ HalfNormal(2)", units={"price": "€"})
    >>> model.priors["tau[area]"]
    HalfNormal(sd=2)
    """

    @suggest_argument_names
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
        precision_weights: str | None = None,
        frequency_weights: str | None = None,
    ) -> None:
        if not isinstance(formula, str | Formula):
            raise FormulaError(_no_formula(formula))
        self.formula = formula if isinstance(formula, Formula) else parse(formula)
        self.priors: dict[str, Prior] = read_priors(priors)
        try:
            self.outcome_unit = None if outcome_unit == "auto" else float(outcome_unit)
        except (TypeError, ValueError):
            self.outcome_unit = math.nan
        if self.outcome_unit is not None and not 1 / LARGEST <= self.outcome_unit <= LARGEST:
            raise ModelError(
                f"outcome_unit must be 'auto' or a number above 0, from {1 / LARGEST:g} to {LARGEST:g}, not "
                f"{outcome_unit!r}"
            )
        if standardize not in (True, False):
            raise ModelError(f"standardize must be True or False, not {standardize!r}")
        self.standardize = bool(standardize)
        if not isinstance(units, Mapping | None):
            raise ModelError(f"units must be a dictionary such as {{'price': '€'}}, not {units!r}")
        self.units = {unquoted(name): unit for name, unit in (units or {}).items()}
        self.family = family
        self.noise, self.se, self.precision_weights, self.frequency_weights = (
            unquoted(column) if isinstance(column, str) else column
            for column in (noise, se, precision_weights, frequency_weights)
        )
        self._check_errors()
        known = {n for text in (self.formula.outcome, *self.formula.factors()) for n in Expression(text).names}
        stray = [name for name in self.units if name not in known]
        if stray:
            raise ModelError(
                f"a unit is given for {stray[0]!r}, which is not in the formula: {suggestion(stray[0], known)}"
            )
        given = given_priors(priors)
        if self.noise is not None and "sigma" in given and any(key in given for key in COMMON):
            raise PriorError(
                f"priors are given both for sigma (independent per {self.noise}) and for sigma_median or "
                f"sigma_spread (shared by all); choose one"
            )
        absent = self._absent(independent="sigma" in given)
        for name in self.formula.places:
            if name in ("sigma", "nu") and name not in absent:
                raise ModelError(f"the group column cannot be called {name!r}, a parameter's name; rename it")
        self._given = frozenset(() if isinstance(priors, StoredPriors) else given)
        self._check_given(absent)
        self.priors = {key: prior for key, prior in self.priors.items() if _absence(key, absent) is None}

    def _check_errors(self) -> None:
        """Raise for family, noise, se or weights that contradict each other or do not name a separate column."""
        formula, family, se = self.formula, self.family, self.se
        precision, frequency = self.precision_weights, self.frequency_weights
        if not isinstance(family, str) or family not in FAMILIES:
            known = FAMILY_SYNONYMS.get(str(family).casefold().replace("_", "").replace("-", ""))
            advice = f"write {known!r}" if known else f"choose {join_words(map(repr, FAMILIES), 'or')}"
            raise ModelError(f"unknown family {brief_value(family)}; {advice}")
        if self.noise is not None:
            if not formula.levels or not formula.levels[0].is_called(self.noise):
                groups = f"its group is {formula.group!r}" if formula.levels else "it has none; add (1 | zip), say"
                raise ModelError(f"noise must be the formula's group, not {self.noise!r}; {groups}")
            self.noise = formula.group
        if se is not None and (self.noise is not None or family != "normal"):
            other = argument("noise", self.noise) if self.noise is not None else argument("family", family)
            raise ModelError(
                f"{argument('se', se)} makes the errors Normal with known sds, which contradicts {other}: "
                f"choose one"
            )
        taken = (*formula.keys, *Expression(formula.outcome).names)
        for name, what, column in (
            ("se", "standard errors", se),
            ("precision_weights", "weights", precision),
            ("frequency_weights", "weights", frequency),
        ):
            if column is not None and (not isinstance(column, str) or column in taken):
                raise ModelError(f"{name} must name a separate column of {what}, not {column!r}")
        if se is not None and precision is not None:
            raise ModelError(
                f"{argument('se', se)} already determines every row's error, so "
                f"{argument('precision_weights', precision)} would have no effect: choose one"
            )
        if frequency is not None and frequency in (se, precision):
            raise ModelError(
                f"{frequency!r} cannot be the column of both frequency_weights and "
                f"{'precision_weights' if precision else 'se'}: use frequency_weights if a row stands for n "
                f"identical rows, precision_weights if it is the mean of n rows"
            )

    def _absent(self, *, independent: bool) -> dict[str, str]:
        """Return the parameters that the model does not have, with the reason.

        independent : whether every group's sigma has its own prior
        """
        reasons: dict[str, str] = {}
        if not self.formula.levels:
            reasons |= dict.fromkeys(("tau", "omega"), "the formula has no grouping term such as (1 | zip)")
        elif not any(grouping.correlated for grouping in self.formula.groupings):
            reasons["omega"] = (
                "no effects are correlated (effects are correlated if their terms have a single bar, as in (x | g))"
            )
        if not self.formula.population:
            reasons["mu"] = "the formula has no population-level terms"
        elif () not in self.formula.population:
            reasons[f"mu[{INTERCEPT}]"] = "the formula has no intercept"
        if self.se is not None:
            reasons["sigma"] = f"the errors are known ({self.se})"
        if self.noise is None:
            reasons |= dict.fromkeys(
                COMMON, f"all rows have one sigma ({argument('noise')} gives every group its own)"
            )
        elif independent:
            reasons |= dict.fromkeys(COMMON, "the groups' sigmas have independent priors")
        else:
            reasons["sigma"] = "the groups' sigmas are pooled"
        if self.family != "student":
            reasons["nu"] = f"the errors are Normal ({argument('family', 'student')} has nu)"
        return reasons

    def _check_given(self, absent: dict[str, str]) -> None:
        """Raise for a prior given for a parameter that the model does not have."""
        for key in sorted(self._given):
            reason = _absence(key, absent)
            if reason is not None:
                raise PriorError(f"prior for {cut(key)}: {reason}, so there is no such parameter")

    @property
    def weights(self) -> Weights:
        """The columns of known errors, precisions and frequencies."""
        return Weights(self.se, self.precision_weights, self.frequency_weights)

    def __repr__(self) -> str:
        return f"Model({self.formula.text!r})"

    def __str__(self) -> str:
        return self.equations()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.formula)

    def with_priors(self, priors: object) -> Model:
        """Return the same model with some priors replaced.

        Parameters
        ----------
        priors : str, list of str, or dict
            see Model

        Raises
        ------
        PriorError
            if a prior is given for a parameter that the model does not have

        Examples
        --------
        >>> import priorhood as ph
        >>> ph.Model("price ~ area + (area | zip)").with_priors("omega ~ LKJ(4)").priors["omega"]
        LKJ(eta=4)
        """
        replaced = {key: str(prior) for key, prior in read_priors(priors, over=self.priors).items()}
        model = Model.from_dict({**self.to_dict(), "priors": replaced})
        given = given_priors(priors)
        model._given = frozenset(given)
        model._check_given(model._absent(independent="sigma" in given))
        return model

    def with_design(self, design: Design) -> Model:
        """Return the model for known columns: without the prior of correlations if there are none.

        Parameters
        ----------
        design : Design
            columns of the model

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.model.design import Design
        >>> model = ph.Model("price ~ area + (type | zip)")
        >>> one_type = Design(model.formula, {"type": ("flat",)}, frozenset())
        >>> "omega" in model.priors, "omega" in model.with_design(one_type).priors
        (True, False)
        """
        if any(design.correlated(at) for at in range(len(self.formula.groupings))):
            return self
        model = copy(self)
        model.priors = {key: prior for key, prior in self.priors.items() if base_of(key) != "omega"}
        return model

    @suggest_argument_names
    def to_pymc(
        self,
        table: object,
        parameterization: str = "centered",
        *,
        places: object = None,
        drop_outliers: float | None = None,
    ) -> pm.Model:
        """Return a plain PyMC model of the rows of a table, to inspect, extend and sample like any other.

        Its variables mu, beta, tau, omega, sigma, nu have the same names, dims, coords and standardized scale as in
        fit(). The outcome is `y`, in its own units, and so are PyMC's predictive draws and log-likelihoods, like
        those of posterior_predictive. Posterior.for_pymc returns a fit's draws of all its variables.

        Data containers by row: `X` (row, column), standardized as (x − `column_centre`)/`column_spread`, `outcome`
        and the groups' index; `se`, `precision_weights` and `frequency_weights` if the model has them;
        Posterior.rows_for_pymc returns them for other rows. `outcome_unit` is the factor from the standardized
        scale to the outcome's units. A row that stands for n identical rows is one row of `y`; the other n − 1 are
        in the potential `repeated`, which PyMC's predictive draws ignore.

        Parameters
        ----------
        table : path, frame or Table
            see read
        parameterization : str
            "centered", β_j ~ Normal(mu, Σ), for groups with many rows; "noncentered",
            β_j = mu + Λ z_j with z_j ~ Normal(0, I), for groups with few
        places, drop_outliers : object, float
            same as in fit

        Raises
        ------
        ModelError
            if PyMC is not installed or NUTS does not support the model
        TableError
            if a column is missing or cannot be used

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, truth = ph.datasets.simulate(places=3, rows=30)
        >>> model = ph.Model("price ~ living_space + (1 | zip)").to_pymc(sales)
        >>> sorted(variable.name for variable in model.free_RVs)
        ['beta', 'mu', 'sigma', 'tau']
        """
        from priorhood.engines.nuts.to_pymc import to_pymc

        return to_pymc(self, table, parameterization, places=places, drop_outliers=drop_outliers)

    def resolve(self, design: Design) -> ResolvedPriors:
        """Return the prior of every parameter.

        The most specific key applies: tau_zip[area], then tau_zip, tau[area], tau.

        Parameters
        ----------
        design : Design
            columns of the model

        Raises
        ------
        PriorError
            if a key names a parameter or a term that the model does not have

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.model.design import Design
        >>> model = ph.Model("price ~ area + (area | zip)", "tau[area] ~ HalfNormal(2)")
        >>> model.resolve(Design(model.formula, {}, frozenset())).tau
        ((Exponential(scale=5), HalfNormal(sd=2)),)
        """
        terms = [design.level_columns(at) for at in range(len(self.formula.groupings))]
        suffixes = [self.formula.suffix(at) for at in range(len(terms))]
        correlated = [design.correlated(at) for at in range(len(terms))]
        known = {key for key in self.priors if base_of(key) in ("sigma", "nu")}
        known |= {"mu", *(f"mu{inside}" for column in design.population_columns for inside in _insides(column))}
        for suffix, columns, several in zip(suffixes, terms, correlated, strict=True):
            known |= {"tau", f"tau{suffix}"} | ({"omega", f"omega{suffix}"} if several else set())
            known |= {f"{tau}{at}" for c in columns for at in _insides(c) for tau in ("tau", f"tau{suffix}")}
        finest = alone(self.formula.group)
        for key in self.priors:
            if key in known or (key == "omega" and key not in self._given):
                continue
            name, inside = split_label(key)
            unsuffixed = f"{base_of(key)}[{inside}]" if inside else base_of(key)
            advice = suggestion(key, sorted(known))
            if self.formula.group and name in (f"tau_{finest}", f"omega_{finest}") and unsuffixed in known:
                advice = f"write {unsuffixed!r} for {self.formula.group}, the finest grouping"
            elif base_of(key) == "omega" and not any(base_of(other) == "omega" for other in known):
                advice = "no grouping has two correlated effects"
            raise PriorError(f"prior for {cut(key)}: the model has no such parameter; {advice}")

        def pick(name: str, suffix: str, column: Column) -> Any:
            keys = [f"{name}{end}{at}" for end in (suffix, "") for at in (*_insides(column), "")]
            return next(self.priors[key] for key in keys if key in self.priors)

        return ResolvedPriors(
            mu=tuple(pick("mu", "", column) for column in design.population_columns),
            tau=tuple(
                tuple(pick("tau", suffix, column) for column in columns)
                for suffix, columns in zip(suffixes, terms, strict=True)
            ),
            omega=tuple(
                self.priors.get(f"omega{suffix}", self.priors["omega"]) if several else None  # type: ignore[misc]
                for suffix, several in zip(suffixes, correlated, strict=True)
            ),
            sigma=self.priors.get("sigma"),  # type: ignore[arg-type]
            nu=self.priors.get("nu"),  # type: ignore[arg-type]
            sigma_median=self.priors.get("sigma_median"),  # type: ignore[arg-type]
            sigma_spread=self.priors.get("sigma_spread"),  # type: ignore[arg-type]
        )

    # -- printing --------------------------------------------------------------------------------------

    def equations(self, design: Design | None = None, scale: Scale | None = None) -> str:
        """Return the model as equations; with numbers and the data's units once the scale is known.

        Parameters
        ----------
        design, scale : Design, Scale
            columns and their scale, from a fit (post.design, post.scale)

        Examples
        --------
        >>> import priorhood as ph
        >>> print(ph.Model("price ~ area").equations())
        price ~ area
        <BLANKLINE>
          mu[Intercept] ~ Normal(mean=0, sd=20)
          mu ~ Normal(mean=0, sd=5)
          sigma ~ Exponential(scale=5)
        <BLANKLINE>
        priors on the standardized scale; fit to see them in the data's units
        """
        if design is None or scale is None:
            lines = [f"  {key} ~ {prior}" for key, prior in self.priors.items()]
            last = "priors on the standardized scale; fit to see them in the data's units"
            return "\n".join([self.formula.text, "", *lines, "", last])
        return str(equations_of(self, design, scale))

    def unit_of(self, term: str, *, quoted: bool = False) -> str:
        """Return the unit of a coefficient in words.

        Parameters
        ----------
        term : str
            name of a column of the design
        quoted : bool
            whether a column without a unit keeps the backticks of its term

        Examples
        --------
        >>> import priorhood as ph
        >>> ph.Model("price ~ area", units={"price": "€", "area": "m²"}).unit_of("area")
        '€ per m²'
        """
        outcome = self.formula.outcome_name
        unit = self.units.get(outcome, outcome)
        if self.formula.log_outcome:
            unit = f"log {unit}"
        if term == INTERCEPT:
            return unit
        column = column_of(term)
        name = term if quoted or column is None else column
        return f"{unit} per {self.units.get(column or term, name)}"

    # -- as text -----------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return all choices as a dictionary for JSON; from_dict reads it back exactly.

        Examples
        --------
        >>> import priorhood as ph
        >>> ph.Model("price ~ area", family="student").to_dict()["priors"]["nu"]
        'Gamma(shape=2, scale=10)'
        """
        return {
            "formula": self.formula.text,
            "priors": {key: str(prior) for key, prior in self.priors.items()},
            "outcome_unit": self.outcome_unit,
            "standardize": self.standardize,
            "units": self.units,
            "family": self.family,
            "noise": self.noise,
            "se": self.se,
            "precision_weights": self.precision_weights,
            "frequency_weights": self.frequency_weights,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Model:
        """Return the model from the result of to_dict.

        Parameters
        ----------
        stored : dict
            result of to_dict, of this or an earlier version

        Examples
        --------
        >>> import priorhood as ph
        >>> model = ph.Model("price ~ area + (1 | zip)", "sigma ~ HalfNormal(2)")
        >>> ph.Model.from_dict(model.to_dict()) == model
        True
        """
        unit = stored["outcome_unit"]
        # Files of format 1 do not have the family, noise and se, nor those of format 2 the weights.
        later = ("family", "noise", "se", "precision_weights", "frequency_weights")
        return cls(
            stored["formula"],
            # Earlier versions kept priors of parameters that a model does not have, and of any size.
            StoredPriors({key: parse_distribution(text) for key, text in stored["priors"].items()}),
            outcome_unit="auto" if unit is None else unit,
            standardize=stored["standardize"],
            units=stored["units"],
            **{name: stored[name] for name in later if name in stored},
        )


def as_model(given: object, table: object = None) -> Model:
    """Return a model unchanged, or the model of a formula with default priors.

    Parameters
    ----------
    given : Model, Formula or str
        model or formula
    table : object
        argument for the table, to recognize swapped arguments

    Raises
    ------
    ModelError
        if the arguments are swapped
    FormulaError
        if `given` is neither a model nor a formula

    Examples
    --------
    >>> as_model("price ~ area + (1 | zip)")
    Model('price ~ area + (1 | zip)')
    """
    if isinstance(given, Model):
        return given
    swapped = isinstance(table, Model | Formula) or (isinstance(table, str) and "~" in table)
    if swapped and not (isinstance(given, str) and "~" in given):
        first = repr(given) if isinstance(given, str) else type(given).__name__
        raise ModelError(
            f"the formula comes first, then the table: swap the first argument, {first}, and the second, {table!r}"
        )
    if isinstance(given, str | Formula):
        return Model(given)
    raise FormulaError(_no_formula(given))


def _no_formula(given: object) -> str:
    """Return the error message for an argument that is not a formula."""
    if hasattr(given, "model") and isinstance(given.model, Model):
        return "expected a model, got a Posterior; use post.model"
    if type(given).__name__ == "Moments":  # by name: this module is below the class
        return "expected a model, got Moments; the model of sums is sums.model()"
    return (
        f"expected a formula such as 'price ~ living_space + (living_space | zip)', or a Model, not "
        f"{type(given).__name__}"
    )


def _absence(key: str, absent: dict[str, str]) -> str | None:
    """Return why the model does not have a prior's parameter; None if it may have it."""
    # The key without brackets and grouping, except for sigma's hyperparameters, whose names have an underscore.
    name = key.partition("[")[0]
    return absent.get(key, absent.get(name if name in COMMON else base_of(key)))


def _insides(column: Column) -> tuple[str, ...]:
    """Return bracketed names for a coefficient's prior: that of its column, and that of its whole factor."""
    return tuple(dict.fromkeys((f"[{column.name}]", f"[{column.term}]")))
