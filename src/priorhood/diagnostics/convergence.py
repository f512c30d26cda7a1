"""Whether there are enough draws: R-hat, effective sample sizes and Monte Carlo errors of all parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import listed
from priorhood.diagnostics.summary import measures
from priorhood.diagnostics.verdict import WORST, Judged, Verdict, bad, good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from priorhood._arrays import Array


# Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), section 4.
R_HAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
LEAST_DRAWS = 100


@dataclass(frozen=True)
class ConvergenceStats:
    """The measures of every parameter that varies, in the posterior's order: (P,) each.

    r_hat : NaN for a single chain, ∞ for chains that each stay where they are
    ess_bulk, ess_tail : effective sample sizes; mcse_over_sd : Monte Carlo error of the mean, in sds
    """

    labels: tuple[str, ...]
    r_hat: Array
    ess_bulk: Array
    ess_tail: Array
    mcse_over_sd: Array


def draws_verdict(judged: Judged) -> Verdict:
    """Whether there are draws to judge: enough of them, and all of them numbers."""
    if judged.draws < LEAST_DRAWS:
        return bad(
            "draws",
            f"{judged.draws:,} draws per chain are too few to judge convergence: draw at least {LEAST_DRAWS} per "
            f"chain ({4 * LEAST_DRAWS} in all, with four chains)",
        )
    broken = _broken(judged)
    if broken:
        return bad(
            "draws",
            f"draws of {listed(broken, most=WORST)} are not finite numbers: the sampler left their range; give "
            f"tighter priors",
        )
    chains = "1 chain" if judged.chains == 1 else f"{judged.chains} chains"
    return good("draws", f"{chains} of {judged.draws:,} draws each")


def _broken(judged: Judged) -> list[str]:
    """The parameters with draws that are not finite."""
    return [
        labels[at]
        for _, labels, values in judged.elements(*map(str, judged.posterior.data_vars))
        for at in np.flatnonzero(~np.isfinite(values).all(axis=(0, 1)))
    ]


def measured(judged: Judged) -> ConvergenceStats | None:
    """The measures of every parameter that varies; None where the draws are too few."""
    if judged.draws < LEAST_DRAWS:
        return None
    labels: list[str] = []
    values = []
    for _, names, draws in judged.elements(*map(str, judged.posterior.data_vars)):
        found = measures(draws)
        moving = ~np.isnan(found[1])
        labels += [name for name, keep in zip(names, moving, strict=True) if keep]
        values.append(np.stack([*found[:3], 1 / np.sqrt(found[3])])[:, moving])
    return ConvergenceStats(tuple(labels), *np.concatenate(values, axis=1)) if values else None


def convergence_verdicts(judged: Judged, found: ConvergenceStats) -> list[Verdict]:
    """R-hat, bulk and tail ESS, MCSE against the sd: whether all parameters keep the limits."""
    if not found.labels:
        return []
    return [
        _r_hat(judged, found.labels, found.r_hat),
        _ess(judged, "bulk ESS", "means", found.labels, found.ess_bulk),
        _ess(judged, "tail ESS", "5% and 95% quantiles", found.labels, found.ess_tail),
        _mcse(judged, found.labels, found.mcse_over_sd),
    ]


def _r_hat(judged: Judged, labels: Sequence[str], values: Array) -> Verdict:
    if judged.chains == 1:
        return bad("R-hat", "there is 1 chain and nothing to compare it with: run at least 2, better 4 (chains=4)")
    values = np.where(np.isnan(values), np.inf, values)
    order = np.argsort(-values, kind="stable")
    over = int((values > R_HAT_LIMIT).sum())
    if not over:
        largest = f"{labels[order[0]]} has the largest, {values[order[0]]:.3f}"
        return good(
            "R-hat",
            f"R-hat is at most {R_HAT_LIMIT} for all {len(labels):,} parameters: the chains agree ({largest})",
        )
    named = [f"{labels[at]} ({values[at]:.{2 if values[at] > 1.1 else 4}f})" for at in order[: min(over, WORST)]]
    tune = "" if judged.exact else f", tune={2 * int(judged.attrs.get('tune', 1000))}"
    return bad(
        "R-hat",
        f"R-hat is above {R_HAT_LIMIT} for {over:,} of {len(labels):,} parameters, the worst {listed(named)}: the "
        f"chains do not agree on them; {_remedy(judged, f'draws={2 * judged.draws}{tune}')}",
    )


def _ess(judged: Judged, about: str, what: str, labels: Sequence[str], values: Array) -> Verdict:
    limit = ESS_PER_CHAIN * judged.chains
    values = np.where(np.isnan(values), 0.0, values)
    order = np.argsort(values, kind="stable")
    low = int((values < limit).sum())
    if not low:
        return good(
            about,
            f"{about} is at least {limit:,} for all {len(labels):,} parameters ({labels[order[0]]} has the least, "
            f"{values[order[0]]:,.0f})",
        )
    worst = listed([f"{labels[at]} ({values[at]:,.0f})" for at in order[: min(low, WORST)]])
    times = limit / max(float(values[order[0]]), 1.0)
    remedy = _remedy(judged, f"draws={_round_up(judged.draws * times)}", slow=times > 10)
    return bad(
        about,
        f"{about} is below {limit:,} ({ESS_PER_CHAIN} per chain) for {low:,} of {len(labels):,} parameters, the "
        f"least {worst}: so few independent draws would tell their {what} as well; {remedy}",
    )


def mcse_limit(chains: int) -> float:
    """The largest MCSE of a mean that will do, as a share of the sd: that of 100 independent draws per chain.

    With four chains 5 %, which is also the WinBUGS manual's rule (Spiegelhalter, Thomas, Best and Lunn 2003).
    """
    return 1 / math.sqrt(ESS_PER_CHAIN * chains)


def _mcse(judged: Judged, labels: Sequence[str], values: Array) -> Verdict:
    limit = mcse_limit(judged.chains)
    values = np.where(np.isnan(values), np.inf, values)
    order = np.argsort(-values, kind="stable")
    over = int((values > limit).sum())
    if not over:
        return good(
            "MCSE",
            f"the Monte Carlo error (MCSE) of all {len(labels):,} means is at most {limit:.0%} of the sd "
            f"({labels[order[0]]} has the largest, {values[order[0]]:.1%})",
        )
    worst = listed([f"{labels[at]} ({values[at]:.1%})" for at in order[: min(over, WORST)]])
    times = min((float(values[order[0]]) / limit) ** 2, ESS_PER_CHAIN)
    more = f"draws={_round_up(judged.draws * times)}"
    return bad(
        "MCSE",
        f"the Monte Carlo error (MCSE) of the mean is above {limit:.0%} of the sd for {over:,} of {len(labels):,} "
        f"parameters, the worst {worst}: another run would show other means; "
        f"{_remedy(judged, more, slow=times > 10)}",
    )


def _remedy(judged: Judged, more: str, *, slow: bool = False) -> str:
    """What to do for chains that are too slow; where they diverge, more of them would not help."""
    diverging = judged.stat("diverging")
    if diverging is not None and diverging.any():
        return "see to the divergences first"
    other = "" if judged.exact else judged.other_parameterization()
    if slow and other:
        return f"try {other}"
    return f"draw more ({more})" + (f", or try {other}" if other else "")


def _round_up(value: float) -> int:
    """To two digits: 4,321 → 4,400."""
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0)
    return int(math.ceil(value / unit) * unit)
