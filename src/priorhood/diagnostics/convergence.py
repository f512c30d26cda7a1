"""Whether there are enough draws: R-hat, effective sample sizes and Monte Carlo errors of all parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import join_words
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
    r_hat : array
        NaN for a single chain, ∞ for chains that each stay where they are.
    ess_bulk, ess_tail : array
        Effective sample sizes.
    mcse_over_sd : array
        Monte Carlo error of the mean, in sds.
    """

    labels: tuple[str, ...]
    r_hat: Array
    ess_bulk: Array
    ess_tail: Array
    mcse_over_sd: Array


def draws_verdict(run: SamplerRun) -> Verdict:
    """Whether there are draws to judge: enough of them, and all of them numbers."""
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
            "draws of {listed} are not finite numbers: the sampler left their range; give tighter priors",
            **sizes, listed=join_words(broken, limit=WORST), broken=broken,
        )  # fmt: skip
    return good("draws", "{chains} chain{s} of {draws:,} draws each", **sizes, s="s" * (run.chains != 1))


def convergence_stats(run: SamplerRun) -> ConvergenceStats | None:
    """Measures of every parameter that varies; None where the draws are too few."""
    if run.draws < MIN_DRAWS:
        return None
    labels: list[str] = []
    values = []
    for _, names, draws in run.elements():
        found = measures(draws)
        moving = ~np.isnan(found[1])
        labels += [name for name, keep in zip(names, moving, strict=True) if keep]
        values.append(np.stack([*found[:3], 1 / np.sqrt(found[3])])[:, moving])
    return ConvergenceStats(tuple(labels), *np.concatenate(values, axis=1)) if values else None


def mcse_limit(chains: int) -> float:
    """Largest MCSE of a mean that will do, as a share of the sd: that of 100 independent draws per chain.

    With four chains 5 %, which is also the WinBUGS manual's rule (Spiegelhalter, Thomas, Best and Lunn 2003).
    """
    return 1 / math.sqrt(ESS_PER_CHAIN * chains)


def convergence_verdicts(run: SamplerRun, found: ConvergenceStats) -> list[Verdict]:
    """R-hat, bulk and tail ESS, MCSE against the sd: whether all parameters keep the limits."""
    if not found.labels:
        return []
    return [
        _r_hat(run, found),
        _ess(run, "ess_bulk", "means", found.labels, found.ess_bulk),
        _ess(run, "ess_tail", "5% and 95% quantiles", found.labels, found.ess_tail),
        _mcse(run, found),
    ]


def _r_hat(run: SamplerRun, found: ConvergenceStats) -> Verdict:
    """Whether the chains agree."""
    if run.chains == 1:
        alone = "there is {chains} chain and nothing to compare it with: run at least 2, better 4 (chains=4)"
        return bad("r_hat", alone, chains=1)
    worst, values = _against(found.labels, found.r_hat, R_HAT_LIMIT)
    if not values["failing"]:
        return good(
            "r_hat",
            "R-hat is at most {limit} for all {parameters:,} parameters: the chains agree ({first} has the "
            "largest, {extreme:.3f})",
            **values,
        )  # fmt: skip
    named = join_words([f"{label} ({value:.{2 if value > 1.1 else 4}f})" for label, value in worst.items()])
    tune = "" if run.exact else f", tune={2 * int(run.attrs.get('tune', 1000))}"
    return bad(
        "r_hat",
        "R-hat is above {limit} for {failing:,} of {parameters:,} parameters, the worst {named}: the chains do not "
        "agree on them; {remedy}",
        **values, named=named, remedy=_remedy(run, f"draws={2 * run.draws}{tune}"),
    )  # fmt: skip


def _ess(run: SamplerRun, code: str, estimates: str, labels: tuple[str, ...], sizes: Array) -> Verdict:
    """Whether effective sample sizes are large enough for some estimates."""
    limit = ESS_PER_CHAIN * run.chains
    worst, values = _against(labels, sizes, limit, least=True)
    if not values["failing"]:
        return good(
            code,
            TITLES[code] + " is at least {limit:,} for all {parameters:,} parameters ({first} has the least, "
            "{extreme:,.0f})",
            **values,
        )  # fmt: skip
    times = limit / max(values["extreme"], 1.0)
    return bad(
        code,
        TITLES[code] + " is below {limit:,} ({per_chain} per chain) for {failing:,} of {parameters:,} parameters, "
        "the least {named}: so few independent draws would tell their {estimates} as well; {remedy}",
        **values, per_chain=ESS_PER_CHAIN, estimates=estimates,
        named=join_words([f"{label} ({value:,.0f})" for label, value in worst.items()]),
        remedy=_remedy(run, f"draws={_round_up(run.draws * times)}", slow=times > 10),
    )  # fmt: skip


def _mcse(run: SamplerRun, found: ConvergenceStats) -> Verdict:
    """Whether another run would show the same means."""
    worst, values = _against(found.labels, found.mcse_over_sd, limit := mcse_limit(run.chains))
    if not values["failing"]:
        return good(
            "mcse",
            "the Monte Carlo error (MCSE) of all {parameters:,} means is at most {limit:.0%} of the sd ({first} "
            "has the largest, {extreme:.1%})",
            **values,
        )  # fmt: skip
    times = min((values["extreme"] / limit) ** 2, ESS_PER_CHAIN)
    return bad(
        "mcse",
        "the Monte Carlo error (MCSE) of the mean is above {limit:.0%} of the sd for {failing:,} of "
        "{parameters:,} parameters, the worst {named}: another run would show other means; {remedy}",
        **values, named=join_words([f"{label} ({value:.1%})" for label, value in worst.items()]),
        remedy=_remedy(run, f"draws={_round_up(run.draws * times)}", slow=times > 10),
    )  # fmt: skip


def _against(
    labels: tuple[str, ...], measure: Array, limit: float, *, least: bool = False
) -> tuple[dict[str, float], dict[str, Any]]:
    """The worst parameters with their values, and the verdict's numbers; least : the limit is one from below."""
    measure = np.where(np.isnan(measure), 0.0 if least else np.inf, measure)
    order = np.argsort(measure if least else -measure, kind="stable")
    failing = int((measure < limit if least else measure > limit).sum())
    worst = {labels[at]: float(measure[at]) for at in order[: min(failing, WORST)]}
    first, extreme = labels[order[0]], float(measure[order[0]])
    return worst, {"limit": limit, "failing": failing, "parameters": len(labels), "first": first,
                   "extreme": extreme, "worst": worst}  # fmt: skip


def _remedy(run: SamplerRun, more: str, *, slow: bool = False) -> str:
    """Advice for chains that are too slow; where transitions diverge, more draws would not help."""
    diverging = run.stat("diverging")
    if diverging is not None and diverging.any():
        return "see to the divergences first"
    other = "" if run.exact else run.other_parameterization()
    if slow and other:
        return f"try {other}"
    return f"draw more ({more})" + (f", or try {other}" if other else "")


def _round_up(value: float) -> int:
    """Round up to two digits: 4,321 → 4,400."""
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0)
    return int(math.ceil(value / unit) * unit)
