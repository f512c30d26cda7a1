"""Verdicts on the sampler: the exact engine's proposals; divergences and tree depth of NUTS."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, join_words, plural, row_count
from priorhood.diagnostics.summary import varies
from priorhood.diagnostics.verdict import WORST, SamplerRun, Verdict, bad, good
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    from priorhood._arrays import Array, Flags

# Those of the exact engine, which raises an error beyond them; its module would compile kernels for `check`.
PARETO_LIMIT = 0.7
ACCEPT_LIMIT = 0.05
DEEP_SHARE = 0.01
TAIL = 0.05
# Divergent draws differ from the others in a parameter if their means differ by both: sds and standard errors.
SHIFT, SHIFT_ERRORS = 0.2, 4.0
BOTTOM, BY_CHANCE = 0.01, 1e-6
POSITIVE = ("tau", "sigma", "sigma_median", "sigma_spread", "nu")


def exploration(run: SamplerRun) -> Verdict | None:
    """Return the verdict on whether the exact engine's proposals cover the posterior; None if not recorded."""
    if "acceptance" not in run.attrs or "pareto_k" not in run.attrs:
        return None
    acceptance, k = float(run.attrs["acceptance"]), float(run.attrs["pareto_k"])
    fine = acceptance >= ACCEPT_LIMIT and k <= PARETO_LIMIT
    sentence = "{acceptance:.0%} of the proposals were accepted and their Pareto k is {pareto_k:.2f}"
    sentence += ": they cover the posterior" if fine else (
        "; acceptance must be at least {min_acceptance:.0%} and Pareto k at most {max_k}: the proposals miss parts "
        "of the posterior; give tau and sigma tighter priors, or let fewer terms vary"
    )  # fmt: skip
    limits: dict[str, Any] = {"min_acceptance": ACCEPT_LIMIT, "max_k": PARETO_LIMIT}
    return (good if fine else bad)("exploration", sentence, acceptance=acceptance, pareto_k=k, **limits)


def divergences(run: SamplerRun) -> Verdict | None:
    """Return the verdict on divergent transitions; None if the sampler does not record them."""
    stat = run.stat("diverging")
    if stat is None:
        return None
    diverging = stat.astype(bool)
    count, total = int(diverging.sum()), diverging.size
    if not count:
        return good("divergences", "none of {total:,} transitions diverged", count=0, total=total)
    by_chain = {
        str(name): int(n) for name, n in zip(run.posterior["chain"].values, diverging.sum(axis=1), strict=True)
    }
    noise, where = _where(run, diverging)
    if noise:
        remedy = (
            f"the density rises steeply as the sigma of a {run.group} approaches 0, and is unbounded for a "
            f"{run.group} with one or two rows: with Normal errors and one level of places use the exact engine "
            f"({argument('engine', 'exact')}); otherwise let all {plural(run.group)} share one sigma (omit "
            f"{argument('noise')}), or give sigma a tighter prior bounded away from 0"
        )
    else:
        target, other = run.attrs.get("target_accept"), run.other_parameterization()
        higher = "a higher target_accept" if target is None else f"a target_accept above {float(target):g}"
        remedy = f"try {other} or {higher}" if other else f"try {higher}"
    return bad(
        "divergences",
        "{count:,} of {total:,} transitions diverged ({chains}), {where}: the draws may miss parts of the "
        "posterior; {remedy}",
        count=count, total=total, by_chain=by_chain, where=where, remedy=remedy,
        chains=", ".join(f"chain {name}: {n:,}" for name, n in by_chain.items() if n),
    )  # fmt: skip


def _where(run: SamplerRun, diverging: Flags) -> tuple[bool, str]:
    """Check whether the groups' own noise makes transitions diverge, and describe where divergent draws lie."""
    if diverging.all():
        return run.noise_by_group, "all of them"
    for names in (POSITIVE, ("mu", "omega", "beta", "delta")):
        shifted = [element for kind in run.elements(*names) for element in _shifted(*kind, diverging)]
        if not shifted:
            continue
        shifted.sort(key=lambda element: -abs(element[2]))
        name, _, shift, _ = shifted[0]
        # Parameters of the same kind that are shifted in the same direction make one clause.
        alike = [element for element in shifted if element[0] == name and element[2] * shift > 0]
        small = shift < 0
        noise = run.noise_by_group and name == "sigma" and small
        rows = [run.rows.get(label.partition("[")[2][:-1]) if name == "sigma" else None for _, label, _, _ in alike]
        if noise:
            # The density is unbounded in groups with few rows: they come first, whatever the others' shifts.
            order = sorted(range(len(alike)), key=lambda at: rows[at] or 0)
            alike, rows = [alike[at] for at in order], [rows[at] for at in order]
        _, first, _, values = alike[0]
        quantile = float(np.quantile(values[~diverging], TAIL if small else 1 - TAIL))
        share = float((values[diverging] < quantile if small else values[diverging] > quantile).mean())
        side = f"below the {TAIL:.0%}" if small else f"above the {1 - TAIL:.0%}"
        labels = [
            label if n is None else f"{label} ({row_count(n)})"
            for (_, label, _, _), n in zip(alike, rows, strict=True)
        ]
        named = join_words(labels, limit=WORST)
        size = f"{'is' if len(alike) == 1 else 'are'} {'small' if small else 'large'}"
        of = f" of {first}" if len(alike) > 1 else ""
        return (
            noise,
            f"more often where {named} {size} ({share:.0%} of the divergent draws{of} lie {side} quantile of the "
            f"other draws)",
        )
    return run.noise_by_group, "throughout the posterior (no parameter takes unusual values in the divergent draws)"


def _shifted(name: str, labels: list[str], values: Array, diverging: Flags) -> list[tuple[str, str, float, Array]]:
    """Return the elements in which divergent draws differ from the others: name, label, shift in sds, values."""
    from scipy.stats import binom

    used = np.log(np.maximum(values, np.finfo(float).tiny)) if base_of(name) in POSITIVE else values
    divergent, others = used[diverging], used[~diverging]
    with np.errstate(divide="ignore", invalid="ignore"):  # constants
        shift = (divergent.mean(axis=0) - others.mean(axis=0)) / others.std(axis=0)
    far = (np.abs(shift) >= SHIFT) & (np.abs(shift) * math.sqrt(len(divergent)) >= SHIFT_ERRORS)
    if name == "sigma":
        # Each of many places may have a few of the divergences: too few to shift a mean, but at its very bottom.
        bottom = (divergent < np.quantile(others, BOTTOM, axis=0)).sum(axis=0)
        far |= (shift < 0) & (binom.sf(bottom - 1, len(divergent), BOTTOM) < BY_CHANCE)
    return [(name, labels[at], float(shift[at]), values[:, :, at]) for at in np.flatnonzero(varies(values) & far)]


def tree_depth(run: SamplerRun) -> Verdict | None:
    """Return the verdict on trees that reached the largest depth; None if the sampler does not record it."""
    reached = run.stat("tree_depth")
    if reached is None:
        return None
    limit = int(run.attrs.get("max_treedepth", 10))
    count = int((reached >= limit).sum())
    numbers: dict[str, Any] = {"count": count, "total": reached.size, "limit": limit}
    if count <= DEEP_SHARE * reached.size:
        few = "{count}" if count else "none"
        return good("tree_depth", few + " of {total:,} transitions reached tree depth {limit}", **numbers)
    other = run.other_parameterization()
    return bad(
        "tree_depth",
        "{count:,} of {total:,} transitions reached the maximum tree depth, {limit}: the sampler takes many "
        "small steps without getting far; {remedy}",
        **numbers, remedy=f"try {other} or tighter priors" if other else "use tighter priors",
    )  # fmt: skip
