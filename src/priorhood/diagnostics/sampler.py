"""What the sampler did: the exact engine's proposals; divergences and tree depth of NUTS."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import listed, plural, rows_of
from priorhood.diagnostics.summary import varies
from priorhood.diagnostics.verdict import WORST, Judged, Verdict, bad, good
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    from priorhood._arrays import Array, Flags

# The exact engine refuses beyond these.
PARETO_LIMIT = 0.7
ACCEPT_LIMIT = 0.05
DEEP_SHARE = 0.01
TAIL = 0.05
# Divergent draws differ from the others in a parameter if their mean does by both: in sds, in standard errors.
SHIFT, SHIFT_ERRORS = 0.2, 4.0
BOTTOM, BY_CHANCE = 0.01, 1e-6
POSITIVE = ("tau", "sigma", "sigma_median", "sigma_spread", "nu")


def exploration(judged: Judged) -> Verdict | None:
    """Whether the exact engine's proposals cover the posterior; None where the file does not say."""
    if "acceptance" not in judged.attrs or "pareto_k" not in judged.attrs:
        return None
    acceptance, k = float(judged.attrs["acceptance"]), float(judged.attrs["pareto_k"])
    found = f"{acceptance:.0%} of the proposals were accepted and their Pareto k is {k:.2f}"
    if acceptance >= ACCEPT_LIMIT and k <= PARETO_LIMIT:
        return good("exploration", f"{found}: they cover the posterior")
    return bad(
        "exploration",
        f"{found}; needed are at least {ACCEPT_LIMIT:.0%} and at most {PARETO_LIMIT}: the proposals miss parts of "
        f"the posterior; give tau and sigma tighter priors, or let fewer terms vary",
    )


def divergences(judged: Judged) -> Verdict | None:
    """Whether transitions diverged, and where; None where the sampler does not say."""
    stat = judged.stat("diverging")
    if stat is None:
        return None
    diverging = stat.astype(bool)
    count = int(diverging.sum())
    if not count:
        return good("divergences", f"none of {diverging.size:,} transitions diverged")
    chains = zip(judged.posterior["chain"].values, diverging.sum(axis=1), strict=True)
    by_chain = ", ".join(f"chain {name}: {n:,}" for name, n in chains if n)
    noise, where = _where(judged, diverging)
    return bad(
        "divergences",
        f"{count:,} of {diverging.size:,} transitions diverged ({by_chain}), {where}: the draws may miss that part "
        f"of the posterior; {_noise_remedy(judged) if noise else _step_remedy(judged)}",
    )


def _noise_remedy(judged: Judged) -> str:
    return (
        f"where sigma of a {judged.group} goes to 0 the density grows steeply, and for one with one or two rows "
        f"without bound: with Normal errors and one level of places the exact engine takes it (engine='exact'); "
        f"else let all {plural(judged.group)} share one sigma (leave noise out), or give sigma a tighter prior "
        f"that keeps off 0"
    )


def _step_remedy(judged: Judged) -> str:
    target = judged.attrs.get("target_accept")
    higher = "a higher target_accept" if target is None else f"a target_accept above {float(target):g}"
    other = judged.other_parameterization()
    return f"try {other} or {higher}" if other else f"try {higher}"


def _where(judged: Judged, diverging: Flags) -> tuple[bool, str]:
    """Where the divergent draws lie, in words, and whether it is the groups' noise that makes them."""
    everywhere = "all over the posterior: no parameter differs there"
    if diverging.all():
        return judged.noise_by_group, "all of them"
    for names in (POSITIVE, ("mu", "omega", "beta", "delta")):
        found = [one for kind in judged.elements(*names) for one in _shifted(*kind, diverging)]
        if found:
            found.sort(key=lambda one: -abs(one[2]))
            first = found[0]
            # Those in the same direction and of the same kind make one clause.
            alike = [one for one in found if one[0] == first[0] and one[2] * first[2] > 0]
            small = first[2] < 0
            if judged.noise_by_group and first[0] == "sigma" and small:
                # The density has no bound in groups of few rows: they lead, however many draws follow them.
                alike.sort(key=lambda one: judged.rows.get(_inside(one[1]), 0))
                first = alike[0]
            share, side = _share(first[3], diverging, small=small)
            verb, size = "is" if len(alike) == 1 else "are", "small" if small else "large"
            named = listed([_with_rows(judged, one[0], one[1]) for one in alike], most=WORST)
            of = f"of {first[1]}, " if len(alike) > 1 else ""
            clause = f"where {named} {verb} {size} ({of}{share:.0%} lie {side} quantile of the other draws)"
            return judged.noise_by_group and first[0] == "sigma" and small, clause
    return judged.noise_by_group, everywhere


def _shifted(name: str, labels: list[str], values: Array, diverging: Flags) -> list[tuple[str, str, float, Array]]:
    """The elements in which divergent draws differ from the others: name, label, by how many sds, values."""
    from scipy.stats import binom

    used = np.log(np.maximum(values, np.finfo(float).tiny)) if base_of(name) in POSITIVE else values
    there, others = used[diverging], used[~diverging]
    with np.errstate(divide="ignore", invalid="ignore"):  # constants
        shift = (there.mean(axis=0) - others.mean(axis=0)) / others.std(axis=0)
    far = (np.abs(shift) >= SHIFT) & (np.abs(shift) * math.sqrt(len(there)) >= SHIFT_ERRORS)
    if name == "sigma":
        # Each of many places may hold a few of the divergences: too few to move a mean, but at its very bottom.
        bottom = (there < np.quantile(others, BOTTOM, axis=0)).sum(axis=0)
        far |= (shift < 0) & (binom.sf(bottom - 1, len(there), BOTTOM) < BY_CHANCE)
    return [(name, labels[at], float(shift[at]), values[:, :, at]) for at in np.flatnonzero(varies(values) & far)]


def _share(values: Array, diverging: Flags, *, small: bool) -> tuple[float, str]:
    """The share of the divergent draws beyond a tail's quantile of the others, and the name of that."""
    quantile = float(np.quantile(values[~diverging], TAIL if small else 1 - TAIL))
    beyond = values[diverging] < quantile if small else values[diverging] > quantile
    return float(beyond.mean()), f"below the {TAIL:.0%}" if small else f"above the {1 - TAIL:.0%}"


def _inside(label: str) -> str:
    """`10115` of `sigma[10115]`."""
    return label.partition("[")[2][:-1]


def _with_rows(judged: Judged, name: str, label: str) -> str:
    count = judged.rows.get(_inside(label)) if name == "sigma" else None
    return label if count is None else f"{label} ({rows_of(count)})"


def depth(judged: Judged) -> Verdict | None:
    """Whether trees stopped at their largest depth; None where the sampler does not say."""
    reached = judged.stat("tree_depth")
    if reached is None:
        return None
    limit = int(judged.attrs.get("max_treedepth", 10))
    count = int((reached >= limit).sum())
    if count <= DEEP_SHARE * reached.size:
        return good("tree depth", f"{count or 'none'} of {reached.size:,} transitions reached tree depth {limit}")
    other = judged.other_parameterization()
    return bad(
        "tree depth",
        f"{count:,} of {reached.size:,} transitions stopped at the largest tree depth, {limit}: it takes many "
        f"small steps and still does not get far; "
        f"{f'try {other} or tighter priors' if other else 'give tighter priors'}",
    )
