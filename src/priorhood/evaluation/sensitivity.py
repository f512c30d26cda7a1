"""Prior sensitivity: refits under each prior made narrower and wider, from the sums alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import run_in_threads
from priorhood._text import argument, join_words, plural, suggestion
from priorhood.errors import ModelError, PriorError, PriorhoodError
from priorhood.evaluation.shift import FAR, WIDER, far, redraw, shifts
from priorhood.fitting.engine_choice import FitOptions, exact_refusal
from priorhood.model.priors import (
    LKJ,
    Exponential,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
    Uniform,
    check_key,
    split_label,
)
from priorhood.model.tokens import brief

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from priorhood._arrays import Array, Flags
    from priorhood.fitting.engine_choice import Progress
    from priorhood.model.model import Model
    from priorhood.model.priors import Prior
    from priorhood.posterior.posterior import Posterior

MAX_NAMED = 3
MAX_FACTOR = 1_000  # priors scaled by more would mean something else


@dataclass(frozen=True)
class Refit:
    """One refit under a scaled prior.

    Parameters
    ----------
    parameter : str
        The prior's key.
    factor : float
        The factor by which it was scaled.
    prior : Prior
        The scaled prior.
    shift : ndarray
        (P,) shifts of the means in posterior sds; NaN for constants.
    ratio : ndarray
        (P,) ratios of the sds; NaN for constants.
    log_evidence_change : float
        log p(y) under the scaled prior minus that under the stated one; NaN if unknown.
    refused : str
        The reason why there is no result; empty if there is one.
    """

    parameter: str
    factor: float
    prior: Prior
    shift: Array
    ratio: Array
    log_evidence_change: float
    refused: str = ""


@dataclass(frozen=True, repr=False)
class Sensitivity:
    """Sensitivity of the posterior to its priors; printed as a table and a verdict.

    Parameters
    ----------
    labels : tuple of str
        (P,) the parameters.
    of_place : ndarray of bool
        (P,) whether a parameter belongs to a single place.
    refits : tuple of Refit
        One refit for every prior and factor.
    formula : str
        The model's formula.
    undrawn : str
        The finest grouping, if only its summaries are stored and its places are therefore not compared; otherwise
        empty.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> result = ph.sensitivity(post, parameters="sigma", draws=250)
    >>> result.good, [str(refit.prior) for refit in result.refits]
    (True, ['Exponential(scale=2.5)', 'Exponential(scale=10)'])
    """

    labels: tuple[str, ...]
    of_place: Flags
    refits: tuple[Refit, ...]
    formula: str
    undrawn: str = ""

    @property
    def good(self) -> bool:
        """True if the data dominate, so that no parameter shifts substantially under any of the priors."""
        return not any(refit.refused or far(refit.shift, refit.ratio).any() for refit in self.refits)

    @property
    def verdict(self) -> str:
        """One sentence: the data dominate, or which prior matters for which parameters."""
        matters = []
        for parameter in dict.fromkeys(refit.parameter for refit in self.refits):
            sizes: dict[str, float] = {}  # how far each parameter moves, in units of what is far
            for refit in self.refits:
                if refit.parameter == parameter and not refit.refused:
                    for at in np.flatnonzero(far(refit.shift, refit.ratio)):
                        # A change of the sd counts like the shift that is as far.
                        shift, ratio = abs(refit.shift[at]) / FAR, abs(math.log(refit.ratio[at])) / math.log(WIDER)
                        label = self.labels[at]
                        sizes[label] = max(sizes.get(label, 0.0), float(max(shift, ratio)))
            if sizes:
                order = sorted(sizes, key=lambda label: -sizes[label])
                matters.append(f"the prior for {parameter} matters for {join_words(order, limit=MAX_NAMED)}")
        matters += [
            f"{refit.parameter} ~ {refit.prior} could not be fitted ({refit.refused})"
            for refit in self.refits
            if refit.refused
        ]
        if matters:
            return "; ".join(matters)
        factors = join_words([f"{factor:g}" for factor in sorted({refit.factor for refit in self.refits})], "or")
        return (
            f"the data dominate: when each prior in turn is scaled by {factors}, no mean shifts by as much as "
            f"{FAR} of its sd, and no sd changes by as much as a factor of {WIDER}"
        )

    @property
    def note(self) -> str:
        """A sentence on parameters that were not compared; empty if all were."""
        if not self.undrawn:
            return ""
        what = f"individual {plural(self.undrawn)}"
        return f"{what} were not compared: only their summaries are stored, not their draws"

    @property
    def table(self) -> pd.DataFrame:
        """One row per prior, factor and shared parameter, and one for the single place that moves most.

        Returns
        -------
        pandas.DataFrame
            prior (its key), factor, scaled (the scaled prior), parameter, of_place, shift (of the mean, in
            posterior sds), sd_ratio, log_evidence_change, far (whether the shift or the change of the sd is large),
            refused.
        """
        import pandas as pd

        rows = []
        for refit in self.refits:
            shared = {"prior": refit.parameter, "factor": refit.factor, "scaled": str(refit.prior)}
            if refit.refused:
                rows.append({**shared, "parameter": "", "of_place": False, "far": True, "refused": refit.refused})
                continue
            beyond = far(refit.shift, refit.ratio)
            moving = ~np.isnan(refit.shift)
            shown = np.flatnonzero(moving & ~self.of_place).tolist()
            places = np.flatnonzero(moving & self.of_place)
            if len(places):
                shown.append(int(places[np.argmax(np.abs(refit.shift[places]))]))
            rows += [
                {
                    **shared, "parameter": self.labels[at], "of_place": bool(self.of_place[at]),
                    "shift": refit.shift[at], "sd_ratio": refit.ratio[at],
                    "log_evidence_change": refit.log_evidence_change, "far": bool(beyond[at]), "refused": "",
                }
                for at in shown
            ]  # fmt: skip
        columns = (
            "prior", "factor", "scaled", "parameter", "of_place", "shift", "sd_ratio", "log_evidence_change", "far",
            "refused",
        )  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        table = self.table.drop(columns=["of_place", "scaled", "refused"])
        sentences = "\n".join(filter(None, (self.verdict, self.note)))
        return f"{table.to_string(index=False, float_format=lambda value: f'{value:.3g}')}\n\n{sentences}"

    def __repr__(self) -> str:
        return f"Sensitivity({self.formula!r}: {len(self.refits)} refits, {self.verdict})"


def scaled_prior(prior: Prior, factor: float) -> Prior:
    """Return the prior made narrower (factor below 1) or wider (above 1), by its family.

    Normal keeps its mean, and its sd is multiplied. For a scale's prior the scale itself is multiplied: the scale
    of Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma and InverseGamma, which keep their shape and degrees
    of freedom; the median of LogNormal, which keeps its sd of the log; both bounds of Uniform; the value of Fixed.
    LKJ(eta) becomes LKJ(eta/factor): a lower eta allows stronger correlations.
    """
    if isinstance(prior, Normal | HalfNormal):
        return replace(prior, sd=prior.sd * factor)
    if isinstance(prior, Exponential | HalfStudentT | HalfCauchy | Gamma | InverseGamma):
        return replace(prior, scale=prior.scale * factor)
    if isinstance(prior, LogNormal):
        return replace(prior, mean=prior.mean + math.log(factor))
    if isinstance(prior, Uniform):
        return Uniform(prior.lower * factor, prior.upper * factor)
    if isinstance(prior, Fixed):
        return Fixed(prior.value * factor)
    if isinstance(prior, LKJ):
        return LKJ(prior.eta / factor)
    raise ModelError(f"the prior {prior} cannot be scaled")


@suggest_argument_names
def sensitivity(
    post: Posterior,
    factors: Sequence[float] = (0.5, 2.0),
    parameters: str | Sequence[str] | None = None,
    *,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Measure how far the posterior moves under other priors: refits with each prior scaled in turn.

    The refits use the sums in the posterior, on its scale, and are compared with one under the stated priors. With
    4 × 1000 draws a shift has a Monte Carlo error of about 0.02 sds. A posterior from NUTS is accepted if the exact
    engine can fit its model. If only summaries of the finest places are stored, the shared parameters, coarser
    levels and crossed groupings are compared (Sensitivity.note).

    Parameters
    ----------
    post : Posterior
        The posterior, from either engine.
    factors : sequence of float
        Factors by which the priors are scaled. Normal keeps its mean and its sd is multiplied; for the prior of a
        scale the scale is multiplied: the median of LogNormal, both bounds of Uniform, the value of Fixed; LKJ(eta)
        becomes LKJ(eta/factor).
    parameters : str or sequence of str, optional
        Priors to scale, named as in priors(), or the prior of one parameter, "tau[living_space]"; all that the
        model uses if None.
    chains, draws, seed, threads, progress : optional
        Settings of every refit, see fit().

    Returns
    -------
    Sensitivity

    Raises
    ------
    ModelError
        Only NUTS can fit the model, and its refits would need the rows; a factor is not above 0.
    PriorError
        The model does not have one of the parameters.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> result = ph.sensitivity(post, (0.5, 2), "sigma", draws=250)
    >>> result.table.groupby("factor")["far"].any().to_dict()
    {0.5: False, 2.0: False}
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, post.store)
    numbers = list(factors) if isinstance(factors, Iterable) and not isinstance(factors, str) else []
    real = all(isinstance(factor, int | float | np.number) for factor in numbers)
    if not numbers or not real or not all(math.isfinite(f) and f > 0 and f != 1 for f in numbers):
        raise ModelError(f"factors must be numbers above 0 other than 1, such as (0.5, 2), not {factors!r}")
    if not all(1 / MAX_FACTOR <= factor <= MAX_FACTOR for factor in numbers):
        raise ModelError(
            f"factors must be between 1/{MAX_FACTOR:,} and {MAX_FACTOR:,}, not {factors!r}: the question is "
            f"whether another plausible prior would change the answer"
        )
    refusal = exact_refusal(post.data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; sensitivity refits from the sums alone, which NUTS cannot do: fit again with different "
            f"priors ({argument('priors')})"
        )
    if isinstance(parameters, str):
        parameters = [parameters]
    if parameters is not None and not len(parameters):
        raise ModelError(f"parameters is empty; choose from {', '.join(post.model.priors)}")
    given = post.model.priors if parameters is None else parameters
    keys = list(dict.fromkeys(_parameter(post.model, key) for key in given))
    # A general prior may be used by no parameter, since each has a particular one.
    stated = post.model.resolve(post.design)
    scaled = {key: _with(post.model, key, scaled_prior(stated_prior(post.model, key), 2.0)) for key in keys}
    used = [key for key, model in scaled.items() if model.resolve(post.design) != stated]
    keys = used if parameters is None else keys
    if not keys:
        raise ModelError("the model has no prior that could be scaled")
    before, evidence = redraw(post.data, options)

    def refit(key: str, factor: float) -> Refit:
        prior = scaled_prior(stated_prior(post.model, key), factor)
        try:
            after, other = redraw(post.data.with_model(_with(post.model, key, prior)), options.alone())
        except PriorhoodError as problem:
            none = np.full(len(before.labels), np.nan)
            return Refit(key, factor, prior, none, none, math.nan, str(problem))
        return Refit(key, factor, prior, *shifts(before, after), other - evidence)

    refits = run_in_threads(
        refit, [(key, factor) for key in keys for factor in numbers], options.threads,
        lambda done, total: options.progress("refits", done, total),
    )  # fmt: skip
    undrawn = post.hierarchy.levels[0].name if post.summed else ""
    return Sensitivity(before.labels, before.of_place, tuple(refits), post.model.formula.text, undrawn)


def stated_prior(model: Model, key: str) -> Prior:
    """Return the prior that the model states for a key, or for the next more general key that it has.

    Raises
    ------
    ModelError
        The model states no prior for it.
    """
    key = check_key(key)
    name, term = split_label(key)
    base = name.partition("_")[0] if name not in model.priors and not name.startswith("sigma") else name
    for one in (key, name, f"{base}[{term}]", base):
        if one in model.priors:
            return model.priors[one]
    raise ModelError(f"the model has no prior for {key}; {suggestion(key, model.priors)}")


def _parameter(model: Model, given: object) -> str:
    """Return a parameter's name in its normal form; raise with what may be meant if no parameter is named so."""
    try:
        return check_key(str(given))
    except PriorError:
        raise PriorError(
            f"there is no parameter {brief(str(given))}: {suggestion(str(given), model.priors)}"
        ) from None


def _with(model: Model, key: str, prior: Prior) -> Model:
    """Return the model with another prior."""
    # All priors are passed, since a general prior given alone would replace particular ones.
    return model.with_priors({**model.priors, key: prior})
