"""Convergence and number of draws: R-hat, effective sample sizes and Monte Carlo errors of all parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, code_or_command, join_words
from priorhood.diagnostics.summary import measures
from priorhood.diagnostics.verdict import TITLES, WORST, SamplerRun, Verdict, bad, good

if TYPE_CHECKING:
    from priorhood._arrays import Array

# Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), section 4.
R_HAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
MIN_DRAWS = 100


@dataclass(frozen=True)
class ConvergenceStats:
    """Measures of every parameter that varies, in the posterior's order: (P,) each.

    Parameters
    ----------
    labels : tuple of str
        Labels of the parameters.
    r_hat : ndarray
        R-hat; NaN for a single chain, ∞ for chains that do not move.
    ess_bulk, ess_tail : ndarray
        Effective sample sizes.
    mcse_over_sd : ndarray
        Monte Carlo error of the mean, in sds.
    """

    labels: tuple[str, ...]
    r_hat: Array
    ess_bulk: Array
    ess_tail: Array
    mcse_over_sd: Array


def draws_verdict(run: SamplerRun) -> Verdict:
    """Return the verdict on the draws themselves: enough of them, and all of them finite."""
    sizes: dict[str, Any] = {"chains": run.chains, "draws": run.draws}
    if run.draws < MIN_DRAWS:
        return bad(
            "draws",
            "{draws:,} draws per chain are too few to judge convergence: draw at least {needed} per chain "
            "({in_all} in all, with four chains)",
            **sizes, needed=MIN_DRAWS, in_all=4 * MIN_DRAWS,
        )  # fmt: skip
    broken = [
        labels[at]
        for _, labels, values in run.elements()
        for at in np.flatnonzero(~np.isfinite(values).all(axis=(0, 1)))
    ]
    if broken:
        return bad(
            "draws",
            "draws of {listed} are not finite: the sampler overflowed; use tighter "
            "priors",
            **sizes, listed=join_words(broken, limit=WORST), broken=broken,
        )  # fmt: skip
    return good("draws", "{chains} chain{s} of {draws:,} draws each", **sizes, s="s" * (run.chains != 1))


def convergence_stats(run: SamplerRun) -> ConvergenceStats | None:
    """Return the measures of every parameter that varies; None if there are too few draws."""
    if run.draws < MIN_DRAWS:
        return None
    labels: list[str] = []
    values = []
    for _, names, draws in run.elements():
        r_hat, bulk, tail, mean = measures(draws)
        moving = ~np.isnan(bulk)
        labels += compress(names, moving)
        values.append(np.stack([r_hat, bulk, tail, 1 / np.sqrt(mean)])[:, moving])
    return ConvergenceStats(tuple(labels), *np.concatenate(values, axis=1)) if values else None


def mcse_limit(chains: int) -> float:
    """Return the largest acceptable MCSE of a mean, in sds: that of 100 independent draws per chain.

    With four chains it is 5 %, the WinBUGS manual's rule (Spiegelhalter, Thomas, Best and Lunn 2003).
    """
    return 1 / math.sqrt(ESS_PER_CHAIN * chains)


def convergence_verdicts(run: SamplerRun, stats: ConvergenceStats) -> list[Verdict]:
    """Return the verdicts on R-hat, bulk and tail ESS, and MCSE relative to the sd."""
    if not stats.labels:
        return []
    worst, values = _compare(stats.labels, stats.r_hat, R_HAT_LIMIT)
    if run.chains == 1:
        sentence = (
            "there is only {chains} chain, and nothing to compare it with: run at least 2, preferably 4 ({advice})"
        )
        r_hat = bad("r_hat", sentence, chains=1, advice=argument("chains", 4))
    elif not values["failing"]:
        r_hat = good(
            "r_hat",
            "R-hat is at most {limit} for all {parameters:,} parameters: the chains agree (largest for {first}, "
            "{extreme:.3f})",
            **values,
        )  # fmt: skip
    else:
        named = join_words([f"{label} ({value:.{2 if value > 1.1 else 4}f})" for label, value in worst.items()])
        more = [argument("draws", 2 * run.draws)]
        more += [] if run.exact else [argument("tune", 2 * int(run.attrs.get("tune", 1000)))]
        r_hat = bad(
            "r_hat",
            "R-hat is above {limit} for {failing:,} of {parameters:,} parameters, highest for {named}: the chains "
            "do not agree on them; {remedy}",
            **values, named=named, remedy=_remedy(run, code_or_command(", ", " ").join(more)),
        )  # fmt: skip
    worst, values = _compare(stats.labels, stats.mcse_over_sd, limit := mcse_limit(run.chains))
    if not values["failing"]:
        mcse = good(
            "mcse",
            "the Monte Carlo error (MCSE) of all {parameters:,} means is at most {limit:.0%} of the sd (largest "
            "for {first}, {extreme:.1%})",
            **values,
        )  # fmt: skip
    else:
        times = min((values["extreme"] / limit) ** 2, ESS_PER_CHAIN)
        mcse = bad(
            "mcse",
            "the Monte Carlo error (MCSE) of the mean is above {limit:.0%} of the sd for {failing:,} of "
            "{parameters:,} parameters, highest for {named}: another run would give different means; {remedy}",
            **values, named=join_words([f"{label} ({value:.1%})" for label, value in worst.items()]),
            remedy=_remedy(run, argument("draws", _round_up(run.draws * times)), slow=times > 10),
        )  # fmt: skip
    return [
        r_hat,
        _ess_verdict(run, "ess_bulk", "means", stats.labels, stats.ess_bulk),
        _ess_verdict(run, "ess_tail", "5% and 95% quantiles", stats.labels, stats.ess_tail),
        mcse,
    ]


def _ess_verdict(run: SamplerRun, code: str, estimates: str, labels: tuple[str, ...], sizes: Array) -> Verdict:
    """Return the verdict on whether effective sample sizes are large enough for reliable estimates."""
    limit = ESS_PER_CHAIN * run.chains
    worst, values = _compare(labels, sizes, limit, lower=True)
    if not values["failing"]:
        return good(
            code,
            TITLES[code] + " is at least {limit:,} for all {parameters:,} parameters (smallest for {first}, "
            "{extreme:,.0f})",
            **values,
        )  # fmt: skip
    times = limit / max(values["extreme"], 1.0)
    return bad(
        code,
        TITLES[code] + " is below {limit:,} ({per_chain} per chain) for {failing:,} of {parameters:,} parameters, "
        "lowest for {named}: that is too few for reliable {estimates}; {remedy}",
        **values, per_chain=ESS_PER_CHAIN, estimates=estimates,
        named=join_words([f"{label} ({value:,.0f})" for label, value in worst.items()]),
        remedy=_remedy(run, argument("draws", _round_up(run.draws * times)), slow=times > 10),
    )  # fmt: skip


def _compare(
    labels: tuple[str, ...], measure: Array, limit: float, *, lower: bool = False
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the worst parameters with their values, and the verdict's numbers, for an upper or a lower limit."""
    measure = np.where(np.isnan(measure), 0.0 if lower else np.inf, measure)
    order = np.argsort(measure if lower else -measure, kind="stable")
    failing = int((measure < limit if lower else measure > limit).sum())
    worst = {labels[at]: float(measure[at]) for at in order[: min(failing, WORST)]}
    first, extreme = labels[order[0]], float(measure[order[0]])
    return worst, {"limit": limit, "failing": failing, "parameters": len(labels), "first": first,
                   "extreme": extreme, "worst": worst}  # fmt: skip


def _remedy(run: SamplerRun, more: str, *, slow: bool = False) -> str:
    """Return advice for chains that mix slowly; if transitions diverge, more draws would not help."""
    diverging = run.stat("diverging")
    if diverging is not None and diverging.any():
        return "resolve the divergences first"
    other = "" if run.exact else run.other_parameterization()
    if slow and other:
        return f"try {other}"
    return f"draw more ({more})" + (f", or try {other}" if other else "")


def _round_up(value: float) -> int:
    """Round up to two digits: 4,321 → 4,400."""
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0)
    return int(math.ceil(value / unit) * unit)
