"""Draws → verdicts: sentences that name parameters and places, and say what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.errors import plural, rows_of
from priorhood.priors import base_of
from priorhood.summary import below_diagonal, convergence, labels_of, varies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import xarray as xr

Array = npt.NDArray[np.float64]

# Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), section 4.
R_HAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
LEAST_DRAWS = 100
# The exact engine refuses beyond these.
PARETO_LIMIT = 0.7
ACCEPT_LIMIT = 0.05
DEEP_SHARE = 0.01
WORST = 3
TAIL = 0.05
# Divergent draws differ from the others in a parameter if their mean does by both: in sds, in standard errors.
SHIFT, SHIFT_ERRORS = 0.2, 4.0
BOTTOM, BY_CHANCE = 0.01, 1e-6
POSITIVE = ("tau", "sigma", "sigma_median", "sigma_spread", "nu")


@dataclass(frozen=True)
class Verdict:
    """One sentence about one question: good or not, what it is about, and the text with the remedy."""

    good: bool
    about: str
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.good else '✗'} {self.text}"


@dataclass(frozen=True, repr=False)
class Check:
    """All verdicts on a posterior's draws; printed one sentence a line."""

    verdicts: tuple[Verdict, ...]

    @property
    def good(self) -> bool:
        """Whether every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def bad(self) -> tuple[Verdict, ...]:
        """The verdicts that ask for something to be done."""
        return tuple(verdict for verdict in self.verdicts if not verdict.good)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __str__(self) -> str:
        return "\n".join(map(str, self.verdicts))

    __repr__ = __str__


def check_draws(
    posterior: xr.Dataset,
    stats: xr.Dataset,
    attrs: Mapping[str, Any],
    rows: Mapping[str, int] | None = None,
) -> Check:
    """Judge the draws: did the chains find the whole posterior, and are there enough of them.

    Parameters
    ----------
    posterior : parameters (chain, draw, …) by name, as in a posterior's tree
    stats : the tree's sample_stats
    attrs : the tree's attributes: engine, parameterization, acceptance, …
    rows : the rows of every group by its label, to be named beside it

    Returns
    -------
    verdicts about "exploration" (exact engine), or "divergences" and "tree depth"; about "draws", and where
    these are enough to judge, "R-hat", "bulk ESS" and "tail ESS". Constants are left out.
    """
    run = _Run(posterior, stats, attrs, rows or {})
    found = [_exploration(run)] if run.exact else [_divergences(run), _depth(run)]
    found.append(_draws(run))
    if run.draws >= LEAST_DRAWS:
        found += _convergence(run)
    return Check(tuple(verdict for verdict in found if verdict is not None))


def _good(about: str, text: str) -> Verdict:
    return Verdict(good=True, about=about, text=text)


def _bad(about: str, text: str) -> Verdict:
    return Verdict(good=False, about=about, text=text)


@dataclass(frozen=True)
class _Run:
    posterior: xr.Dataset
    stats: xr.Dataset
    attrs: Mapping[str, Any]
    rows: Mapping[str, int]

    @property
    def exact(self) -> bool:
        return self.attrs.get("engine") == "exact"

    @property
    def chains(self) -> int:
        return int(self.posterior.sizes["chain"])

    @property
    def draws(self) -> int:
        return int(self.posterior.sizes["draw"])

    @property
    def group(self) -> str:
        """The dimension of the groups, or none."""
        return str(self.posterior["beta"].dims[2]) if "beta" in self.posterior else ""

    @property
    def noise_by_group(self) -> bool:
        return "sigma" in self.posterior and self.posterior["sigma"].ndim == 3

    def stat(self, name: str) -> npt.NDArray[Any] | None:
        """A sampler's statistic (chain, draw), where it tells it."""
        return self.stats[name].transpose("chain", "draw").values if name in self.stats else None

    def elements(self, *names: str) -> Iterator[tuple[str, list[str], Array]]:
        """Name, labels and values (chain, draw, element) of parameters; of omega what is below its diagonal."""
        for name in map(str, self.posterior.data_vars):
            if name not in names and base_of(name) not in names:
                continue
            draws = self.posterior[name].transpose("chain", "draw", ...)
            labels, values = labels_of(name, draws), draws.values.reshape(self.chains, self.draws, -1)
            if base_of(name) == "omega":
                below = below_diagonal(draws)
                labels = [label for label, keep in zip(labels, below, strict=True) if keep]
                values = values[..., below]
            yield name, labels, values

    def other_parameterization(self) -> str:
        """The advice to write the groups' coefficients the other way, where there is one."""
        now = self.attrs.get("parameterization")
        if not self.group:
            return ""
        if now == "centered":
            return "parameterization='noncentered' (it suits places with few rows)"
        if now == "noncentered":
            return "parameterization='centered' (it suits places with many rows)"
        return "another parameterization"


# -- how the sampler fared --------------------------------------------------------------------------------


def _exploration(run: _Run) -> Verdict | None:
    if "acceptance" not in run.attrs or "pareto_k" not in run.attrs:
        return None
    acceptance, k = float(run.attrs["acceptance"]), float(run.attrs["pareto_k"])
    found = f"{acceptance:.0%} of the proposals were accepted and their Pareto k is {k:.2f}"
    if acceptance >= ACCEPT_LIMIT and k <= PARETO_LIMIT:
        return _good("exploration", f"{found}: they cover the posterior")
    return _bad(
        "exploration",
        f"{found}; needed are at least {ACCEPT_LIMIT:.0%} and at most {PARETO_LIMIT}: the proposals miss parts of "
        f"the posterior; give tau and sigma tighter priors, or let fewer terms vary",
    )


def _divergences(run: _Run) -> Verdict | None:
    stat = run.stat("diverging")
    if stat is None:
        return None
    diverging = stat.astype(bool)
    count = int(diverging.sum())
    if not count:
        return _good("divergences", f"none of {diverging.size:,} transitions diverged")
    chains = zip(run.posterior["chain"].values, diverging.sum(axis=1), strict=True)
    by_chain = ", ".join(f"chain {name}: {n:,}" for name, n in chains if n)
    noise, where = _where(run, diverging)
    return _bad(
        "divergences",
        f"{count:,} of {diverging.size:,} transitions diverged ({by_chain}), {where}: the draws may miss that part "
        f"of the posterior; {_noise_remedy(run) if noise else _step_remedy(run)}",
    )


def _noise_remedy(run: _Run) -> str:
    return (
        f"where sigma of a {run.group} goes to 0 the density grows steeply, and for one with one or two rows "
        f"without bound: with Normal errors and one level of places the exact engine takes it (engine='exact'); "
        f"else let all {plural(run.group)} share one sigma (leave noise out), or give sigma a tighter prior "
        f"that keeps off 0"
    )


def _step_remedy(run: _Run) -> str:
    target = run.attrs.get("target_accept")
    higher = "a higher target_accept" if target is None else f"a target_accept above {float(target):g}"
    other = run.other_parameterization()
    return f"try {other} or {higher}" if other else f"try {higher}"


def _where(run: _Run, diverging: npt.NDArray[np.bool_]) -> tuple[bool, str]:
    """Where the divergent draws lie, in words, and whether it is the groups' noise that makes them."""
    everywhere = "all over the posterior: no parameter differs there"
    if diverging.all():
        return run.noise_by_group, "all of them"
    for names in (POSITIVE, ("mu", "omega", "beta", "delta")):
        found = [one for kind in run.elements(*names) for one in _shifted(*kind, diverging)]
        if found:
            found.sort(key=lambda one: -abs(one[2]))
            first = found[0]
            # Those in the same direction and of the same kind make one clause.
            alike = [one for one in found if one[0] == first[0] and one[2] * first[2] > 0]
            small = first[2] < 0
            if run.noise_by_group and first[0] == "sigma" and small:
                # The density has no bound in groups of few rows: they lead, however many draws follow them.
                alike.sort(key=lambda one: run.rows.get(_inside(one[1]), 0))
                first = alike[0]
            share, side = _share(first[3], diverging, small=small)
            verb, size = "is" if len(alike) == 1 else "are", "small" if small else "large"
            listed = _listed([_with_rows(run, one[0], one[1]) for one in alike])
            of = f"of {first[1]}, " if len(alike) > 1 else ""
            clause = f"where {listed} {verb} {size} ({of}{share:.0%} lie {side} quantile of the other draws)"
            return run.noise_by_group and first[0] == "sigma" and small, clause
    return run.noise_by_group, everywhere


def _shifted(
    name: str, labels: list[str], values: Array, diverging: npt.NDArray[np.bool_]
) -> list[tuple[str, str, float, Array]]:
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


def _share(values: Array, diverging: npt.NDArray[np.bool_], *, small: bool) -> tuple[float, str]:
    """The share of the divergent draws beyond a tail's quantile of the others, and the name of that."""
    quantile = float(np.quantile(values[~diverging], TAIL if small else 1 - TAIL))
    beyond = values[diverging] < quantile if small else values[diverging] > quantile
    return float(beyond.mean()), f"below the {TAIL:.0%}" if small else f"above the {1 - TAIL:.0%}"


def _inside(label: str) -> str:
    """`10115` of `sigma[10115]`."""
    return label.partition("[")[2][:-1]


def _with_rows(run: _Run, name: str, label: str) -> str:
    count = run.rows.get(_inside(label)) if name == "sigma" else None
    return label if count is None else f"{label} ({rows_of(count)})"


def _depth(run: _Run) -> Verdict | None:
    depth = run.stat("tree_depth")
    if depth is None:
        return None
    limit = int(run.attrs.get("max_treedepth", 10))
    count = int((depth >= limit).sum())
    if count <= DEEP_SHARE * depth.size:
        return _good("tree depth", f"{count or 'none'} of {depth.size:,} transitions reached tree depth {limit}")
    other = run.other_parameterization()
    return _bad(
        "tree depth",
        f"{count:,} of {depth.size:,} transitions stopped at the largest tree depth, {limit}: it takes many "
        f"small steps and still does not get far; "
        f"{f'try {other} or tighter priors' if other else 'give tighter priors'}",
    )


# -- whether there are enough draws -----------------------------------------------------------------------


def _draws(run: _Run) -> Verdict:
    if run.draws < LEAST_DRAWS:
        return _bad(
            "draws",
            f"{run.draws:,} draws per chain are too few to judge convergence: draw at least {LEAST_DRAWS} per "
            f"chain ({4 * LEAST_DRAWS} in all, with four chains)",
        )
    broken = [
        label
        for _, labels, values in run.elements(*map(str, run.posterior.data_vars))
        for label, fine in zip(labels, np.atleast_1d(np.isfinite(values).all(axis=(0, 1))), strict=True)
        if not fine
    ]
    if broken:
        return _bad(
            "draws",
            f"draws of {_listed(broken)} are not finite numbers: the sampler left their range; give tighter priors",
        )
    chains = "1 chain" if run.chains == 1 else f"{run.chains} chains"
    return _good("draws", f"{chains} of {run.draws:,} draws each")


def _convergence(run: _Run) -> list[Verdict]:
    labels: list[str] = []
    measures = []
    for _, names, values in run.elements(*map(str, run.posterior.data_vars)):
        measured = np.stack(convergence(values))
        moving = varies(values)
        labels += [name for name, keep in zip(names, moving, strict=True) if keep]
        measures.append(measured[:, moving])
    if not labels:
        return []
    r_hat, bulk, tail = np.concatenate(measures, axis=1)
    return [
        _r_hat(run, labels, r_hat),
        _ess(run, "bulk ESS", "means", labels, bulk),
        _ess(run, "tail ESS", "5% and 95% quantiles", labels, tail),
    ]


def _r_hat(run: _Run, labels: Sequence[str], values: Array) -> Verdict:
    if run.chains == 1:
        return _bad("R-hat", "there is 1 chain and nothing to compare it with: run at least 2, better 4 (chains=4)")
    values = np.where(np.isnan(values), np.inf, values)
    order = np.argsort(-values, kind="stable")
    over = int((values > R_HAT_LIMIT).sum())
    if not over:
        largest = f"{labels[order[0]]} has the largest, {values[order[0]]:.3f}"
        return _good(
            "R-hat",
            f"R-hat is at most {R_HAT_LIMIT} for all {len(labels):,} parameters: the chains agree ({largest})",
        )
    named = [f"{labels[at]} ({values[at]:.{2 if values[at] > 1.1 else 4}f})" for at in order[: min(over, WORST)]]
    tune = "" if run.exact else f", tune={2 * int(run.attrs.get('tune', 1000))}"
    return _bad(
        "R-hat",
        f"R-hat is above {R_HAT_LIMIT} for {over:,} of {len(labels):,} parameters, the worst {_listed(named)}: the "
        f"chains do not agree on them; {_remedy(run, f'draws={2 * run.draws}{tune}')}",
    )


def _ess(run: _Run, about: str, what: str, labels: Sequence[str], values: Array) -> Verdict:
    limit = ESS_PER_CHAIN * run.chains
    values = np.where(np.isnan(values), 0.0, values)
    order = np.argsort(values, kind="stable")
    low = int((values < limit).sum())
    if not low:
        return _good(
            about,
            f"{about} is at least {limit:,} for all {len(labels):,} parameters ({labels[order[0]]} has the least, "
            f"{values[order[0]]:,.0f})",
        )
    worst = _listed([f"{labels[at]} ({values[at]:,.0f})" for at in order[: min(low, WORST)]])
    times = limit / max(float(values[order[0]]), 1.0)
    remedy = _remedy(run, f"draws={_round_up(run.draws * times)}", slow=times > 10)
    return _bad(
        about,
        f"{about} is below {limit:,} ({ESS_PER_CHAIN} per chain) for {low:,} of {len(labels):,} parameters, the "
        f"least {worst}: so few independent draws would tell their {what} as well; {remedy}",
    )


def _remedy(run: _Run, more: str, *, slow: bool = False) -> str:
    """What to do for chains that are too slow; where they diverge, more of them would not help."""
    diverging = run.stat("diverging")
    if diverging is not None and diverging.any():
        return "see to the divergences first"
    other = "" if run.exact else run.other_parameterization()
    if slow and other:
        return f"try {other}"
    return f"draw more ({more})" + (f", or try {other}" if other else "")


def _round_up(value: float) -> int:
    """To two digits: 4,321 → 4,400."""
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0)
    return int(math.ceil(value / unit) * unit)


def _listed(texts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b, c and 4 more'."""
    shown = [*texts[:WORST], f"{len(texts) - WORST:,} more"] if len(texts) > WORST else list(texts)
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
