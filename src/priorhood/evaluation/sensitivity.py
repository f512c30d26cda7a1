"""What if the priors were others: refits under each prior made narrower and wider, from the sums alone."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import answers_other_names
from priorhood._text import listed, near, plural
from priorhood.errors import ModelError, PriorhoodError
from priorhood.evaluation.shift import FAR, WIDER, far, flat_draws, shifts
from priorhood.fitting.run import FitOptions, draw_exact, exact_refusal
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
from priorhood.posterior.tree import labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from priorhood._arrays import Array, Flags
    from priorhood.evaluation.shift import FlatDraws
    from priorhood.fitting.run import Progress
    from priorhood.model.model import Model
    from priorhood.model.priors import Prior
    from priorhood.posterior.posterior import Posterior
    from priorhood.suffstats.fit_data import FitData

MOST_NAMED = 3
# Priors this many times as narrow or wide are others altogether.
MOST_FACTOR = 1_000


@dataclass(frozen=True)
class Refit:
    """One prior scaled: what was refitted, and how far every parameter moved.

    parameter : the prior's key; factor : what it was scaled by; prior : the scaled one
    shift : (P,) in posterior sds; ratio : (P,) of the sds; NaN for constants
    log_evidence_change : log p(y) under the scaled prior less that under the stated one; NaN where not known
    refused : why there is no result; empty where there is
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
    """How far the posterior moves under other priors; printed, a table and a verdict.

    labels : (P,) the parameters; of_place : (P,) whether of a single place; refits : one a prior and factor
    undrawn : the finest group, where only summaries of it are kept and so nothing was compared; else empty
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
        """One sentence: the data decide, or which prior matters for what."""
        matters = []
        for parameter in dict.fromkeys(one.parameter for one in self.refits):
            named = self._moved(parameter)
            if named:
                matters.append(f"the prior of {parameter} matters for {named}")
        matters += [
            f"{one.parameter} ~ {one.prior} was refused ({one.refused})" for one in self.refits if one.refused
        ]
        if matters:
            return "; ".join(matters)
        factors = listed([f"{factor:g}" for factor in sorted({one.factor for one in self.refits})], "or")
        return (
            f"the data decide: with every prior scaled by {factors}, one at a time, no mean moves by "
            f"{FAR} of its sd, and no sd by a factor of {WIDER}"
        )

    @property
    def note(self) -> str:
        """What was not compared; empty where all was."""
        if not self.undrawn:
            return ""
        return f"single {plural(self.undrawn)} were not compared: no draws of them are stored, only summaries"

    def _moved(self, parameter: str) -> str:
        """What moves far under one prior, the farthest first, in words; empty where nothing does."""
        most: dict[str, float] = {}
        for one in self.refits:
            if one.parameter == parameter and not one.refused:
                for at in np.flatnonzero(far(one.shift, one.ratio)):
                    label = self.labels[at]
                    # A change of width counts as the shift that is as far.
                    size = max(abs(one.shift[at]) / FAR, abs(math.log(one.ratio[at])) / math.log(WIDER))
                    most[label] = max(most.get(label, 0.0), float(size))
        order = sorted(most, key=lambda label: -most[label])
        more = f" and {len(order) - MOST_NAMED:,} more" if len(order) > MOST_NAMED else ""
        return ", ".join(order[:MOST_NAMED]) + more

    @property
    def table(self) -> pd.DataFrame:
        """One row a prior, factor and parameter of all places together; of single places the one that moves most.

        Returns
        -------
        frame: prior (its key), factor, scaled (the prior as scaled), parameter, of_place, shift (of the mean, in
        posterior sds), sd_ratio, log_evidence_change, far (whether it has moved far), refused
        """
        import pandas as pd

        rows = []
        for one in self.refits:
            told = {"prior": one.parameter, "factor": one.factor, "scaled": str(one.prior)}
            if one.refused:
                rows.append({**told, "parameter": "", "of_place": False, "far": True, "refused": one.refused})
                continue
            beyond = far(one.shift, one.ratio)
            told |= {"log_evidence_change": one.log_evidence_change, "refused": ""}
            rows += [
                {
                    **told, "parameter": self.labels[at], "of_place": bool(self.of_place[at]),
                    "shift": one.shift[at], "sd_ratio": one.ratio[at], "far": bool(beyond[at]),
                }
                for at in self._shown(one)
            ]  # fmt: skip
        columns = (
            "prior", "factor", "scaled", "parameter", "of_place", "shift", "sd_ratio", "log_evidence_change", "far",
            "refused",
        )  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def _shown(self, one: Refit) -> list[int]:
        moving = ~np.isnan(one.shift)
        shown = np.flatnonzero(moving & ~self.of_place).tolist()
        places = np.flatnonzero(moving & self.of_place)
        if len(places):
            shown.append(int(places[np.argmax(np.abs(one.shift[places]))]))
        return shown

    def __str__(self) -> str:
        table = self.table.drop(columns=["of_place", "scaled", "refused"])
        told = "\n".join(one for one in (self.verdict, self.note) if one)
        return f"{table.to_string(index=False, float_format=lambda value: f'{value:.3g}')}\n\n{told}"

    def __repr__(self) -> str:
        return f"Sensitivity({self.formula!r}: {len(self.refits)} refits, {self.verdict})"


def scaled_prior(prior: Prior, factor: float) -> Prior:
    """The prior made narrower (factor under 1) or wider (above 1), by its family.

    Normal keeps its mean, and its sd is multiplied. A scale's prior becomes that of factor times the scale: the
    scale of Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma and InverseGamma is multiplied, their shape
    and degrees of freedom stay; of LogNormal the median is, and the sd of the log stays; of Uniform both bounds
    are; of Fixed the value is. LKJ(eta) becomes LKJ(eta/factor): a lower eta has stronger correlations.
    """
    if isinstance(prior, Normal):
        return replace(prior, sd=prior.sd * factor)
    if isinstance(prior, HalfNormal):
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


@answers_other_names
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
    """How far the posterior moves under other priors: refits under each prior scaled, one at a time.

    The refits are made from the sums in the posterior, under its scale, and compared with one under the priors as
    they are. Of 4 × 1000 draws a shift has a Monte Carlo error of about 0.02 sds. A posterior by NUTS is taken
    where the exact engine takes its model. Of a posterior with summaries of the finest places only what was drawn
    is compared: what all places have in common, coarser levels and crossed groups (Sensitivity.note).

    Parameters
    ----------
    factors : what the priors are scaled by. Normal keeps its mean and its sd is multiplied; the prior of a scale
        becomes that of factor times it, of LogNormal the median and of Uniform both bounds multiplied, Fixed the
        value; LKJ(eta) becomes LKJ(eta/factor)
    parameters : the priors to scale, as priors() names them, or of one parameter, "tau[living_space]"; if None,
        all that the model uses
    chains, draws, seed, threads, progress : of every refit, as of fit()

    Raises
    ------
    ModelError : a model that only NUTS takes, whose refits would need the rows; factors that are not above 0
    PriorError : a parameter that the model does not have
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, post.store)
    wanted = [float(one) for one in factors] if not isinstance(factors, str) else []
    if not wanted or not all(math.isfinite(one) and one > 0 and one != 1 for one in wanted):
        raise ModelError(f"factors must be numbers above 0 other than 1, like (0.5, 2), not {factors!r}")
    if not all(1 / MOST_FACTOR <= one <= MOST_FACTOR for one in wanted):
        raise ModelError(
            f"factors must be between 1/{MOST_FACTOR:,} and {MOST_FACTOR:,}, not {factors!r}: the question is "
            f"whether another prior that might be meant would say something else"
        )
    refusal = exact_refusal(post.data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; sensitivity refits from the sums alone, which NUTS cannot: fit again with priors="
        )
    keys = _keys(post, parameters)
    if not keys:
        raise ModelError("the model has no prior that could be scaled")
    jobs = [(key, factor, scaled_prior(stated_prior(post.model, key), factor)) for key in keys for factor in wanted]
    before, evidence = _refit(post.data, options)
    found = [one for one in _all(post, jobs, before, evidence, options) if one is not None]
    undrawn = post.hierarchy.levels[0].name if post.summed else ""
    return Sensitivity(before.labels, before.of_place, tuple(found), post.model.formula.text, undrawn)


def stated_prior(model: Model, key: str) -> Prior:
    """The prior of a key as the model states it, there or in the next more general key that it has.

    Raises
    ------
    ModelError : none is stated
    """
    key = check_key(key)
    name, term = split_label(key)
    base = name.partition("_")[0] if name not in model.priors and not name.startswith("sigma") else name
    for one in (key, name, f"{base}[{term}]", base):
        if one in model.priors:
            return model.priors[one]
    raise ModelError(f"the model has no prior for {key}; {near(key, model.priors)}")


def _keys(post: Posterior, parameters: str | Sequence[str] | None) -> list[str]:
    """The priors to scale; of all, those that some parameter has."""
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
    # All of them, since a general prior given alone may replace a particular one.
    return model.with_priors({**model.priors, key: prior})


def _refit(data: FitData, options: FitOptions) -> tuple[FlatDraws, float]:
    """Draws of all parameters under a model's priors, and log p(y) on the standardized scale."""
    drawn = draw_exact(data, options)
    found = flat_draws(labelled(data.design, data.hierarchy, drawn), data.model.formula.places)
    return found, float(drawn.facts["log_evidence_standardized"])


def _all(
    post: Posterior, jobs: list[tuple[str, float, Prior]], before: FlatDraws, evidence: float, options: FitOptions
) -> list[Refit]:
    """Every refit; several at a time, since the kernels release the lock."""

    def one(key: str, factor: float, prior: Prior) -> Refit:
        try:
            after, other = _refit(post.data.with_model(_with(post.model, key, prior)), options.alone())
        except PriorhoodError as problem:
            none = np.full(len(before.labels), np.nan)
            return Refit(key, factor, prior, none, none, math.nan, str(problem))
        return Refit(key, factor, prior, *shifts(before, after), other - evidence)

    pool = ThreadPoolExecutor(options.threads, thread_name_prefix="priorhood-sensitivity")
    try:
        futures = [pool.submit(one, *job) for job in jobs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()  # a bug is raised at once, not after all others
            options.progress("refits", done, len(jobs))
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)
