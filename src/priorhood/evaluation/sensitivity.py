"""Prior sensitivity: refits under each prior made narrower and wider, from the sums alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import in_threads
from priorhood._text import join_words, plural, suggestion
from priorhood.errors import ModelError, PriorhoodError
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
        What it was scaled by.
    prior : Prior
        The scaled prior.
    shift : ndarray
        (P,) shifts of the means in posterior sds; NaN for constants.
    ratio : ndarray
        (P,) ratios of the sds; NaN for constants.
    log_evidence_change : float
        log p(y) under the scaled prior less that under the stated one; NaN where not known.
    refused : str
        Why there is no result; empty where there is one.
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
    """Sensitivity of the posterior to its priors; printed, a table and a verdict.

    Parameters
    ----------
    labels : tuple of str
        (P,) the parameters.
    of_place : ndarray of bool
        (P,) whether a parameter belongs to a single place.
    refits : tuple of Refit
        One for every prior and factor.
    formula : str
        The model's formula.
    undrawn : str
        The finest grouping where only its summaries are stored, so that its places are not compared; else empty.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> found = ph.sensitivity(post, parameters="sigma", draws=250)
    >>> found.good, [str(refit.prior) for refit in found.refits]
    (True, ['Exponential(scale=2.5)', 'Exponential(scale=10)'])
    """

    labels: tuple[str, ...]
    of_place: Flags
    refits: tuple[Refit, ...]
    formula: str
    undrawn: str = ""

    @property
    def good(self) -> bool:
        """Whether the data decide: nothing moves far under any of the priors."""
        return not any(one.refused or far(one.shift, one.ratio).any() for one in self.refits)

    @property
    def verdict(self) -> str:
        """One sentence: the data decide, or which prior matters for which parameters."""
        matters = []
        for parameter in dict.fromkeys(one.parameter for one in self.refits):
            most: dict[str, float] = {}  # how far each parameter moves, in units of what is far
            for one in self.refits:
                if one.parameter == parameter and not one.refused:
                    for at in np.flatnonzero(far(one.shift, one.ratio)):
                        # A change of width counts as the shift that is as far.
                        size = max(abs(one.shift[at]) / FAR, abs(math.log(one.ratio[at])) / math.log(WIDER))
                        most[self.labels[at]] = max(most.get(self.labels[at], 0.0), float(size))
            if most:
                order = sorted(most, key=lambda label: -most[label])
                more = f" and {len(order) - MAX_NAMED:,} more" if len(order) > MAX_NAMED else ""
                matters.append(f"the prior of {parameter} matters for {', '.join(order[:MAX_NAMED])}{more}")
        matters += [
            f"{one.parameter} ~ {one.prior} was refused ({one.refused})" for one in self.refits if one.refused
        ]
        if matters:
            return "; ".join(matters)
        factors = join_words([f"{factor:g}" for factor in sorted({one.factor for one in self.refits})], "or")
        return (
            f"the data decide: with every prior scaled by {factors}, one at a time, no mean moves by "
            f"{FAR} of its sd, and no sd by a factor of {WIDER}"
        )

    @property
    def note(self) -> str:
        """A sentence on parameters that were not compared; empty where all were."""
        if not self.undrawn:
            return ""
        return f"single {plural(self.undrawn)} were not compared: no draws of them are stored, only summaries"

    @property
    def table(self) -> pd.DataFrame:
        """One row per prior, factor and shared parameter; of the single places the one that moves most.

        Returns
        -------
        pandas.DataFrame
            prior (its key), factor, scaled (the prior as scaled), parameter, of_place, shift (of the mean, in
            posterior sds), sd_ratio, log_evidence_change, far (whether it moved far), refused.
        """
        import pandas as pd

        rows = []
        for one in self.refits:
            shared = {"prior": one.parameter, "factor": one.factor, "scaled": str(one.prior)}
            if one.refused:
                rows.append({**shared, "parameter": "", "of_place": False, "far": True, "refused": one.refused})
                continue
            beyond = far(one.shift, one.ratio)
            moving = ~np.isnan(one.shift)
            shown = np.flatnonzero(moving & ~self.of_place).tolist()
            places = np.flatnonzero(moving & self.of_place)
            if len(places):
                shown.append(int(places[np.argmax(np.abs(one.shift[places]))]))
            rows += [
                {
                    **shared, "parameter": self.labels[at], "of_place": bool(self.of_place[at]),
                    "shift": one.shift[at], "sd_ratio": one.ratio[at],
                    "log_evidence_change": one.log_evidence_change, "far": bool(beyond[at]), "refused": "",
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
        sentences = "\n".join(one for one in (self.verdict, self.note) if one)
        return f"{table.to_string(index=False, float_format=lambda value: f'{value:.3g}')}\n\n{sentences}"

    def __repr__(self) -> str:
        return f"Sensitivity({self.formula!r}: {len(self.refits)} refits, {self.verdict})"


def scaled_prior(prior: Prior, factor: float) -> Prior:
    """Return the prior made narrower (factor below 1) or wider (above 1), by its family.

    Normal keeps its mean, and its sd is multiplied. For a scale's prior the scale itself is multiplied: that is
    the scale of Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma and InverseGamma, whose shape and degrees
    of freedom stay; the median of LogNormal, whose sd of the log stays; both bounds of Uniform; the value of Fixed.
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
    raise ModelError(f"the prior {prior} has a family that cannot be scaled")


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
    """Measure how far the posterior moves under other priors: refits under each prior scaled, one at a time.

    The refits use the sums in the posterior, under its scale, and are compared with one under the stated priors.
    With 4 × 1000 draws a shift has a Monte Carlo error of about 0.02 sds. A posterior by NUTS is accepted where
    the exact engine takes its model. Where only summaries of the finest places are stored, the shared parameters,
    coarser levels and crossed groupings are compared (Sensitivity.note).

    Parameters
    ----------
    post : Posterior
        The posterior, of any engine.
    factors : sequence of float
        What the priors are scaled by. Normal keeps its mean and its sd is multiplied; for the prior of a scale the
        scale is multiplied: the median of LogNormal, both bounds of Uniform, the value of Fixed; LKJ(eta) becomes
        LKJ(eta/factor).
    parameters : str or sequence of str, optional
        Priors to scale, as priors() names them, or of one parameter, "tau[living_space]"; all that the model uses
        if None.
    chains, draws, seed, threads, progress : optional
        Of every refit, as for fit().

    Returns
    -------
    Sensitivity

    Raises
    ------
    ModelError
        A model that only NUTS takes, whose refits would need the rows; factors that are not above 0.
    PriorError
        A parameter that the model does not have.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> found = ph.sensitivity(post, (0.5, 2), "sigma", draws=250)
    >>> found.table.groupby("factor")["far"].any().to_dict()
    {0.5: False, 2.0: False}
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, post.store)
    wanted = [float(one) for one in factors] if not isinstance(factors, str) else []
    if not wanted or not all(math.isfinite(one) and one > 0 and one != 1 for one in wanted):
        raise ModelError(f"factors must be numbers above 0 other than 1, like (0.5, 2), not {factors!r}")
    if not all(1 / MAX_FACTOR <= one <= MAX_FACTOR for one in wanted):
        raise ModelError(
            f"factors must be between 1/{MAX_FACTOR:,} and {MAX_FACTOR:,}, not {factors!r}: the question is "
            f"whether another plausible prior would change the answer"
        )
    refusal = exact_refusal(post.data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; sensitivity refits from the sums alone, which NUTS cannot: fit again with priors="
        )
    keys = _keys(post, parameters)
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

    found = in_threads(
        refit, [(key, factor) for key in keys for factor in wanted], options.threads,
        lambda done, total: options.progress("refits", done, total),
    )  # fmt: skip
    undrawn = post.hierarchy.levels[0].name if post.summed else ""
    return Sensitivity(before.labels, before.of_place, tuple(found), post.model.formula.text, undrawn)


def stated_prior(model: Model, key: str) -> Prior:
    """Return the prior of a key as the model states it, for that key or for the next more general one it has.

    Raises
    ------
    ModelError
        None is stated.
    """
    key = check_key(key)
    name, term = split_label(key)
    base = name.partition("_")[0] if name not in model.priors and not name.startswith("sigma") else name
    for one in (key, name, f"{base}[{term}]", base):
        if one in model.priors:
            return model.priors[one]
    raise ModelError(f"the model has no prior for {key}; {suggestion(key, model.priors)}")


def _keys(post: Posterior, parameters: str | Sequence[str] | None) -> list[str]:
    """Return the keys of the priors to scale; if none are given, of all that some parameter uses."""
    if parameters is not None:
        given = [parameters] if isinstance(parameters, str) else list(parameters)
        if not given:
            raise ModelError(f"sensitivity was given no parameters; there are {', '.join(post.model.priors)}")
        keys = list(dict.fromkeys(check_key(key) for key in given))
        for key in keys:
            _with(post.model, key, scaled_prior(stated_prior(post.model, key), 2.0)).resolve(post.design)
        return keys
    stated = post.model.resolve(post.design)
    return [
        key
        for key, prior in post.model.priors.items()
        if _with(post.model, key, scaled_prior(prior, 2.0)).resolve(post.design) != stated
    ]


def _with(model: Model, key: str, prior: Prior) -> Model:
    # With all the others, since a general prior given alone would replace particular ones.
    return model.with_priors({**model.priors, key: prior})
