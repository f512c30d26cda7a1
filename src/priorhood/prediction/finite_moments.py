"""Existence of a price's mean and sd under a log outcome (docs/mathematics.md, section 7).

Under a log outcome a mean is E exp(m + ½v) over θ, where v grows with the square of every scale: it diverges under
any prior with a heavier tail than a Normal's, usually so far out that no number of draws shows it, sometimes so
near that the mean of the draws is accidental. So means and sds are those of the posterior with every scale below
its 1 − 1e-6 quantile, and infinite if truncation at the 1 − 1e-4 quantile would change them. Quantiles and verdict
come from the density, not from the draws, so that they do not depend on the seed (see exact.tails).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import count_noun, join_words
from priorhood.engines.adapt import to_exact
from priorhood.engines.draws import flatten_chains
from priorhood.errors import SamplingError
from priorhood.model.formula import SEPARATOR
from priorhood.model.priors import Fixed
from priorhood.prediction.coefficients import correlation_factor
from priorhood.prediction.rows import locations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from priorhood._arrays import Array, Flags, Index
    from priorhood.engines.exact import GroupNoiseProblem, Problem
    from priorhood.engines.exact.conditional import ConditionalPosterior
    from priorhood.engines.exact.tails import Reach
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.places import Groups
    from priorhood.prediction.rows import PredictionRows

# Largest shares of the mean and of the sd that may lie between the two truncations.
MEAN_MOVES, SD_MOVES = 0.01, 0.05
# If half the variance of a log outcome grows by at most this towards the scales' ends, no moment is in doubt: its
# exponential times 1e-4 is far below MEAN_MOVES, that of four times it far below SD_MOVES.
PLAIN = 0.75
# Largest number of places that represent the ones that an unknown place may be.
MAX_LEAVES = 256
# Draws and seed of the reference run for a sigma per place.
REFERENCE, SEED = 2000, 1
# Largest cost of one θ, in the engine's units, at which its density is computed 10,000 more times.
MAX_COST = 400_000
# HalfNormal scales in the advice, in logs: less than half of those at which mean and sd cease to exist, 1 and ½.
FOR_MEAN, FOR_SD = 0.5, 0.25


@dataclass(frozen=True)
class MomentVerdict:
    """Verdict on the moments of n rows.

    Attributes
    ----------
    mean, sd : array (n,)
        True if the moment is infinite
    causes : array (n, scales)
        True for the scales that cause it
    judged : array (n,)
        True if the tails had to be examined, so that draws beyond the scales' limits are not used
    """

    mean: Flags
    sd: Flags
    causes: Flags
    judged: Flags


@dataclass(frozen=True, repr=False)
class _Spread:
    """An unknown scale: its grouping (−1 for sigma), term and column, draws (S,) and log prior."""

    name: str
    grouping: int
    term: int
    column: int
    draws: Array
    log_prior: Callable[[Array], Array]

    @cached_property
    def middle(self) -> float:
        """Median of the scale."""
        return float(np.median(self.draws))

    @cached_property
    def bound(self) -> float:
        """Value beyond the 1 − 1e-6 quantile, unless the tail is thinner between 90 and 99 % than beyond."""
        return _upper_bound(self.draws)

    @cached_property
    def tail(self) -> tuple[Array, Array, Flags, float]:
        """Nodes, their masses, True beyond the 1 − 1e-4 quantile, and the 1 − 1e-6 quantile, from the draws."""
        return _fit_tail(self.draws, self.log_prior)


@dataclass(frozen=True, repr=False)
class Tails:
    """The tails of a posterior's scales, and their effect on the moments of prices.

    Attributes
    ----------
    c : Coefficients
        all draws
    problem : Problem or None
        the exact engine's problem; None if the engine does not support the model
    noisy : GroupNoiseProblem or None
        the problem if every place has its own sigma
    threads : int
        number of threads
    """

    c: Coefficients
    problem: Problem | None
    noisy: GroupNoiseProblem | None
    threads: int

    def judge(
        self, rows: PredictionRows, groups: Groups, *, noise: bool = True, centre: bool = False
    ) -> MomentVerdict:
        """Return which moments of rows are infinite; False for rows that cannot be predicted.

        noise : moments of the outcome if True, of E(y | θ, β) if False; centre : of exp(xᵀβ), without σ²/2
        """
        n, usable = len(rows.X), np.flatnonzero(rows.usable)
        mean, sd, causes = np.zeros(n, bool), np.zeros(n, bool), np.zeros((n, len(self.names)), bool)
        judged = np.zeros(n, bool)
        doubtful = usable[~self._surely_finite(rows, groups, usable, centre=centre)]
        judged[doubtful] = True
        if not len(doubtful):
            return MomentVerdict(mean, sd, causes, judged)
        judge = self._by_draws if self.reach is None else self._by_density
        for spot in np.unique(rows.group[doubtful]):
            rows_there = doubtful[rows.group[doubtful] == spot]
            for lo in range(0, len(rows_there), 2000):
                part = rows_there[lo : lo + 2000]
                mean[part], sd[part], causes[part] = judge(
                    rows.X[part], rows.error[part], groups, int(spot), noise=noise, centre=centre
                )
        return MomentVerdict(mean, sd, causes, judged)

    def moments(self, c: Coefficients, rows: PredictionRows, groups: Groups, part: Index) -> tuple[Array, Array]:
        """Return mean and sd of rows over the draws with every scale below its limit: (len(part),) each.

        A new place's effects are integrated out, exp(m + ½v), since one draw of them for every θ would add more
        Monte Carlo error than θ does.
        """
        from priorhood.engines.mixture import summarize

        within = np.flatnonzero(self.kept(c))
        m = locations(rows, replace(groups, unseen="population"), part)[:, within]
        sigma, kind = groups.sigmas(rows.group[part])
        variance = (rows.error[part, None] * sigma[kind]) ** 2
        for spot in np.unique(rows.group[part]):
            at = np.flatnonzero(rows.group[part] == spot)
            for which in self._new_groupings(groups, int(spot)):
                grouping = (c.levels + c.crossed)[which]
                X = rows.X[np.ix_(part[at], grouping.varying)]
                variance[at] += (np.einsum("ik,skl->isl", X, grouping.spread) ** 2).sum(axis=2)
        n, no_levels = len(part), np.empty(0)
        mean, sd, unused = np.empty(n), np.empty(n), np.empty((n, 0))
        summarize(
            np.ascontiguousarray(m), np.ones((n, len(within))), np.ascontiguousarray(variance[:, within]),
            np.arange(n), np.ones(n), no_levels, no_levels, no_levels, self.c.scale.unit, mean, sd, unused, unused,
        )  # fmt: skip
        return mean, sd

    def kept(self, c: Coefficients) -> Flags:
        """Return True for the draws with every scale below its limit (S,); for all draws if there are none."""
        reach = self.reach
        limits = [s.tail[3] for s in self._reference._spreads] if reach is None else reach.limits.tolist()
        below = np.ones(len(c.mu), bool)
        for scale, limit in zip(self._spreads, limits, strict=True):
            draws = c.sigma if scale.grouping < 0 else _taus(c, scale.grouping)[:, scale.term]
            below &= draws <= limit
        return below if below.any() else np.ones(len(below), bool)

    def note(self, verdict: MomentVerdict, rows: PredictionRows, what: str = "row") -> str | None:
        """Return a sentence on which moments are infinite, why, and what to do; None if none is."""
        means, sds, n = int(verdict.mean.sum()), int(verdict.sd.sum()), len(verdict.mean)
        if not sds:
            return None
        finding = f"the sd of {sds:,} of {count_noun(n, what)} is infinite"
        if means:
            finding = f"mean and sd of {means:,} of {count_noun(n, what)} are infinite"
            finding += f", and the sd of {sds - means:,} more" if sds > means else ""
        outcome = self.c.data.model.formula.outcome
        priors = self._thin_tailed_priors(verdict, rows)
        scales = np.array(self.names)[verdict.causes.any(axis=0)].tolist()
        tails = f"the tail of {scales[0]} is" if len(scales) == 1 else f"the tails of {join_words(scales)} are"
        why = (
            f"with outcome {outcome} the moments are those of exp(·), and some are infinite because {tails} too "
            f"heavy"
        )
        if not priors:
            return f"{finding}: {why}; use the median (q50) and the quantiles, which remain valid"
        texts = [join_words(f"'{name} ~ HalfNormal({s[at]:g})'" for name, s in priors.items()) for at in (0, 1)]
        exists = f"{texts[1]} the sd exists"
        if means:
            exists = f"{texts[0]} the mean exists; with {exists} as well"
        return (
            f"{finding}: {why}. Use the median (q50) and the quantiles, which remain valid, or a thin-tailed "
            f"prior: with {exists}"
        )

    def _thin_tailed_priors(self, verdict: MomentVerdict, rows: PredictionRows) -> dict[str, tuple[float, float]]:
        """Return HalfNormal scales under which the rows' mean and sd exist, for every scale that causes trouble.

        Empty if one of them is a place's own sigma, which has no such prior.
        """
        causes: Flags = np.asarray(verdict.causes.any(axis=0))
        if self.c.sigma.ndim > 1 and causes[-1]:
            return {}
        priors, several = {}, max(1.0, 0.5 * causes.sum()) ** 0.5
        for at in np.flatnonzero(causes):
            scale, affected = self._spreads[at], verdict.causes[:, at]
            factors = rows.error[affected] if scale.grouping < 0 else np.abs(rows.X[affected, scale.column])
            largest = self.c.scale.unit * max(float(factors.max()), 1e-6) * several
            priors[scale.name] = (_rounded_down(FOR_MEAN / largest), _rounded_down(FOR_SD / largest))
        return priors

    # -- the scales ------------------------------------------------------------------------------------------

    @cached_property
    def _spreads(self) -> tuple[_Spread, ...]:
        """The unknown scales, except the places' own sigmas."""
        model, resolved, spreads = self.c.data.model, self.c.data.resolved, []
        for at in range(len(model.formula.groupings)):
            taus = _taus(self.c, at)
            for k, column in enumerate(self.c.data.design.level_columns(at)):
                prior = resolved.tau[at][k]
                if not isinstance(prior, Fixed):
                    name = f"tau{model.formula.suffix(at)}[{column.name}]"
                    position = int(self.c.data.design.index((column,))[0])
                    spreads.append(_Spread(name, at, k, position, taus[:, k], prior.logpdf))
        if resolved.sigma is not None and not isinstance(resolved.sigma, Fixed) and self.c.sigma.ndim == 1:
            spreads.append(_Spread("sigma", -1, 0, -1, self.c.sigma, resolved.sigma.logpdf))
        return tuple(spreads)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the scales as in priors; the last one is sigma if every place has its own."""
        return (*(scale.name for scale in self._spreads), *(("sigma",) if self.c.sigma.ndim > 1 else ()))

    @cached_property
    def reach(self) -> Reach | None:
        """Tails from the density; None if it cannot be computed, or not fast enough."""
        from priorhood.engines.exact.tails import reach_of

        if self.problem is None or self.problem.J * self.problem.D**2 > MAX_COST:
            return None
        return reach_of(self.problem, self.threads)

    def _surely_finite(self, rows: PredictionRows, groups: Groups, part: Index, *, centre: bool) -> Flags:
        """Return True if the moments exist beyond doubt, with all scales at their bounds together: (len(part),)."""
        X, over = rows.X[part], np.zeros(len(part))
        for scale in self._spreads:
            if scale.grouping < 0:
                if not centre:
                    over += rows.error[part] ** 2 * (scale.bound**2 - scale.middle**2)
                continue
            grouping = (self.c.levels + self.c.crossed)[scale.grouping]
            # Correlated effects may add up, and the levels above are only known through their places.
            times = len(grouping.varying) * (1.0 + 1.0 / grouping.places.size)
            over += times * X[:, scale.column] ** 2 * (scale.bound**2 - scale.middle**2)
        if self.c.sigma.ndim > 1 and not centre:
            for spot in np.unique(rows.group[part]):
                sigma = groups.sigma(int(spot))
                at = rows.group[part] == spot
                over[at] += rows.error[part][at] ** 2 * (_upper_bound(sigma) ** 2 - np.median(sigma) ** 2)
        return np.asarray(0.5 * self.c.scale.unit**2 * over <= PLAIN)

    # -- by the density -----------------------------------------------------------------------------------------

    @cached_property
    def _density(self) -> tuple[Problem, Reach, ConditionalPosterior]:
        """The problem, its tails, and the coefficients' posterior given every node of θ."""
        from priorhood.engines.exact.conditional import ConditionalPosterior

        if self.problem is None or self.reach is None:
            raise TypeError("the density of this model cannot be evaluated")
        return (
            self.problem,
            self.reach,
            ConditionalPosterior(self.problem, self.reach.values, self.reach.values.sigma),
        )

    def _by_density(
        self, X: Array, error: Array, groups: Groups, spot: int, *, noise: bool, centre: bool
    ) -> tuple[Flags, Flags, Flags]:
        """Judge rows of one spot by first and second moments at every node of θ, weighted."""
        (problem, reach, _), u = self._density, self.c.scale.unit
        wide, new_variance = self._wide_rows(X, groups, spot)
        sigma = np.ones(len(reach.near)) if self.c.data.model.se is not None else reach.values.sigma
        error_variance = 0.0 if centre else u**2 * (error[:, None] * sigma) ** 2
        first, second = np.zeros((2, len(X), len(reach.near)))
        typical: Array | None = None
        for share, mean, cov in self._states(groups, spot):
            m = u * (wide @ (mean + problem.shift).T)
            v = u**2 * (np.einsum("ia,nab,ib->in", wide, cov, wide, optimize=True) + new_variance)
            log_first = m + 0.5 * (v + error_variance)
            log_second = 2.0 * m + 2.0 * v + (2.0 if noise else 1.0) * error_variance
            # Powers of e relative to a typical one, so that only irrelevant ones overflow.
            typical = np.median(log_first, axis=1, keepdims=True) if typical is None else typical
            first += share * np.exp(np.minimum(log_first - typical, 300.0))
            second += share * np.exp(np.minimum(log_second - 2.0 * typical, 600.0))
        near = reach.near / reach.near.sum()
        far = np.where(reach.tail_scale[:, None] == np.arange(len(reach.scales)), reach.far[:, None], 0.0)
        # Moments truncated at the 1 − 1e-4 and at the 1 − 1e-6 quantiles, and the scales' parts of the difference.
        mass = 1.0 + far.sum()
        one, two = first @ near, second @ near
        added, squares = first @ far, second @ far
        whole, square = (one + added.sum(axis=1)) / mass, (two + squares.sum(axis=1)) / mass
        mean_moves = np.abs(whole - one) > MEAN_MOVES * whole
        before, after = (np.sqrt(np.maximum(b - a**2, 0.0)) for a, b in ((one, two), (whole, square)))
        sd_moves = mean_moves | (np.abs(after - before) > SD_MOVES * after)
        shares = added / (mass * whole[:, None]), squares / (2.0 * mass * np.maximum(after, 1e-300)[:, None] ** 2)
        return mean_moves, sd_moves, _causes(*shares, mean_moves, sd_moves)

    def _wide_rows(self, X: Array, groups: Groups, spot: int) -> tuple[Array, Array]:
        """Return rows with columns of crossed effects (n, D), and the variance of new places' effects (n, N)."""
        (problem, reach, _), c = self._density, self.c
        wide = np.zeros((len(X), problem.D))
        wide[:, : X.shape[1]] = X
        new_variance = np.zeros((len(X), len(reach.near)))
        for which in self._new_groupings(groups, spot):
            columns = problem.varying[which].cols
            loads = reach.values.tau[which][:, :, None] * reach.values.corr[which]
            new_variance += (np.einsum("ik,nkl->inl", X[:, columns], loads) ** 2).sum(axis=2)
        place, first = groups.keys[spot], X.shape[1]
        for at, grouping in enumerate(c.crossed):
            path = [place.labels[column] for column in grouping.places.path]
            known = grouping.positions.get(SEPARATOR.join(path))
            if known is None and "" in path:
                known = 0  # any known place: their tails are similar
            if known is not None:
                to = first + known * len(grouping.varying)
                wide[:, to : to + len(grouping.varying)] = X[:, problem.crossed[at].cols]
            first += grouping.places.size * len(grouping.varying)
        return wide, new_variance

    def _new_groupings(self, groups: Groups, spot: int) -> list[int]:
        """Return the groupings in which a spot's place is new and its effects are drawn."""
        place, c = groups.keys[spot], self.c
        if groups.unseen == "population":
            return []
        new = self._new_levels(groups, spot)[0] if c.levels and not len(place.cells) else []
        for at, grouping in enumerate(c.crossed):
            path = [place.labels[column] for column in grouping.places.path]
            if "" not in path and SEPARATOR.join(path) not in grouping.positions:
                new.append(len(c.levels) + at)
        return new

    def _new_levels(self, groups: Groups, spot: int) -> tuple[list[int], int, int]:
        """Return the levels at which a new place's effects are drawn, and the known level and node above them."""
        place = groups.keys[spot]
        new: list[int] = []
        for at, level in enumerate(self.c.levels):
            path = [place.labels[column] for column in level.places.path]
            known = level.positions.get(SEPARATOR.join(path))
            if known is None and "" in path:
                known = next(
                    (
                        i
                        for i, key in enumerate(level.places.keys.tolist())
                        if all(
                            given in ("", label) for label, given in zip(key.split(SEPARATOR), path, strict=True)
                        )
                    ),
                    None,
                )
            if known is not None:
                return new, at, known
            new.append(at)
        return new, len(self.c.levels), 0

    def _states(self, groups: Groups, spot: int) -> Iterator[tuple[float, Array, Array]]:
        """Yield a spot's coefficients at every node, minus the shift: share, mean (N, D), covariance (N, D, D)."""
        c, (_, _, given), place = self.c, self._density, groups.keys[spot]
        if not c.levels:
            yield 1.0, given.root.mean[0], given.root.cov[0]
            return
        if not len(place.cells):
            _, at, node = self._new_levels(groups, spot)
            above = given.upper[at - 1]
            yield 1.0, above.mean[node], above.cov[node]
            return
        leaf = c.levels[0].places.of_cell[place.cells]
        shares = np.bincount(leaf, weights=c.weights[place.cells])
        leaves = np.flatnonzero(shares)
        leaves = leaves[:: max(1, len(leaves) // MAX_LEAVES)]
        for which in leaves:
            mean, cov = given.cells(np.array([which]), None)
            yield float(shares[which] / shares[leaves].sum()), mean[0], cov[0]

    @cached_property
    def _reference(self) -> Tails:
        """Tails by draws of a reference run, independent of the fit's seed, if every place has its own sigma."""
        from priorhood.engines import exact

        if self.noisy is None:
            return self
        try:
            draws = exact.draw(
                self.noisy, 2, REFERENCE // 2, np.random.default_rng(SEED), self.threads, lambda *_: None
            )
        except SamplingError:
            return self

        def flat(values: Array | None) -> Array:
            return np.zeros(REFERENCE) if values is None else flatten_chains(values)

        effects, level = draws.effects[0], self.c.levels[0]
        corr = np.eye(len(level.varying)) if effects.omega is None else correlation_factor(flat(effects.omega))
        levels = (replace(level, stored=None, spread=flat(effects.tau)[:, :, None] * corr),)
        common = None if self.c.common is None else (flat(draws.sigma_median), flat(draws.sigma_spread))
        sigma = flat(draws.sigma)
        sigma = sigma if sigma.ndim > 1 else self.c.sigma[:1].repeat(REFERENCE, axis=0)
        return replace(
            self, c=replace(self.c, mu=flat(draws.mu), levels=levels, sigma=sigma, common=common), noisy=None
        )

    # -- by the draws -------------------------------------------------------------------------------------------

    def _by_draws(
        self, X: Array, error: Array, groups: Groups, spot: int, *, noise: bool, centre: bool
    ) -> tuple[Flags, Flags, Flags]:
        """Judge rows of one spot by the draws: every scale's tail is its prior's times a power fitted to the draws.

        The effect of a spread on a known place's coefficients is left out: the place's rows bound it.
        """
        reference = self._reference
        c, new = reference.c, self._new_groupings(groups, spot)
        parts: list[tuple[Array, float, tuple[Array, Array, Flags, float]]] = []
        for scale in reference._spreads:
            if scale.grouping < 0:
                squares = np.zeros(len(X)) if centre else error**2
            else:
                squares = X[:, scale.column] ** 2 * (scale.grouping in new)
            parts.append((squares, scale.middle, scale.tail))
        if c.sigma.ndim > 1:

            def log_prior(x: Array) -> Array:
                if c.noise is not None:
                    return np.asarray(c.noise.logpdf(x))
                if c.common is None:
                    return np.zeros_like(x)
                thinned = slice(None, None, max(1, len(c.mu) // 200))
                median, spread = (values[thinned, None] for values in c.common)
                with np.errstate(divide="ignore"):
                    p = np.exp(-0.5 * ((np.log(x) - np.log(median)) / spread) ** 2) / (spread * x)
                    return np.asarray(np.log(p.mean(axis=0)))

            sigma = (groups if reference is self else replace(groups, c=c, seed=SEED)).sigma(spot)
            squares = np.zeros(len(X)) if centre else error**2
            parts.append((squares, float(np.median(sigma)), _fit_tail(sigma, log_prior)))
        moved = np.zeros((2, len(X), len(parts)))
        total = np.ones((2, len(X)))
        for at, (squares, middle, (t, mass, beyond, _)) in enumerate(parts):
            for power, half in enumerate((0.5, 2.0 if noise else 1.0)):
                grown = half * self.c.scale.unit**2 * squares[:, None] * (t**2 - middle**2)
                weighted = mass * np.exp(np.minimum(grown, 300.0))
                moved[power, :, at] = weighted[:, beyond].sum(axis=1)
                total[power] += weighted.sum(axis=1)
        share = moved / total[:, :, None]
        mean = share[0].sum(axis=1) > MEAN_MOVES
        sd = mean | (0.5 * share[1].sum(axis=1) > SD_MOVES)
        return mean, sd, _causes(share[0], 0.5 * share[1], mean, sd)


def tails_of(c: Coefficients, threads: int) -> Tails | None:
    """Return the tails of a posterior; None if they are irrelevant: no log outcome, or no moments (Student's t)."""
    data = c.data
    if not data.model.formula.log_outcome or data.model.family != "normal":
        return None
    from priorhood.engines import exact

    effects = sum(grouping.places.size * len(grouping.varying) for grouping in c.crossed)
    nested_noise = data.model.noise is not None and len(c.levels) + len(c.crossed) > 1
    if nested_noise or (effects and exact.too_many_effects(effects, c.levels[0].places.size)):
        return Tails(c, None, None, threads)
    problem = to_exact(data)
    if exact.unsupported_reason(problem):
        return Tails(c, None, None, threads)
    if isinstance(problem, exact.GroupNoiseProblem):
        return Tails(c, None, problem, threads)
    return Tails(c, problem, None, threads)


def _rounded_down(value: float) -> float:
    """Round down to two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / power + 1e-9) * power:.2g}")


def _taus(c: Coefficients, which: int) -> Array:
    """Return draws (S, K) of a grouping's spreads: the lengths of the rows of diag(τ) chol Ω."""
    return np.asarray(np.sqrt(((c.levels + c.crossed)[which].spread ** 2).sum(axis=2)))


def _upper_bound(draws: Array) -> float:
    """Return a value beyond the 1 − 1e-6 quantile: the tail from 90 to 99 % extrapolated in logs, plus a half."""
    ninety, last = np.quantile(draws, [0.9, 0.99])
    if ninety <= 0:
        return float(last)
    with np.errstate(over="ignore"):
        return float(max(last * (last / ninety) ** 6, draws.max()))


def _causes(first: Array, second: Array, mean: Flags, sd: Flags) -> Flags:
    """Return the scales that alone move a moment by a tenth of the limit: (n, scales)."""
    causes = mean[:, None] & (first > 0.1 * MEAN_MOVES)
    return np.asarray(causes | (sd[:, None] & (second > 0.1 * SD_MOVES)))


def _fit_tail(draws: Array, log_prior: Callable[[Array], Array]) -> tuple[Array, Array, Flags, float]:
    """Return the tail of a scale's draws: its prior's times the power of the scale that fits the draws best.

    A likelihood is flat in the scale, or falls with it by a power for every place (math.md, section 4).
    """
    from priorhood.engines.exact.tails import BEGIN, BODY, upper_tail

    u = np.log(np.maximum(draws, 1e-300))
    begin, body = (float(v) for v in np.quantile(u, [1.0 - BEGIN, 1.0 - BODY]))
    beyond = u[u > begin]
    if body <= begin or len(beyond) < 5:
        last = float(draws.max())
        return np.array([last]), np.zeros(1), np.zeros(1, bool), last
    points = begin + np.linspace(0.0, 12.0, 1201)
    with np.errstate(over="ignore", divide="ignore"):
        base = np.maximum(log_prior(np.exp(points)) + points, -1e6)
    powers = np.concatenate([[0.0], np.geomspace(0.1, 400.0, 60)])
    heights = base - powers[:, None] * (points - begin)
    mass = np.log(np.exp(heights - heights.max(axis=1, keepdims=True)).sum(axis=1)) + heights.max(axis=1)
    likely = np.interp(beyond, points, base).sum() - powers * (beyond - begin).sum() - len(beyond) * mass
    chosen = heights[np.argmax(likely)]
    inside = chosen > chosen.max() - 60.0
    nodes, weights, far, limit, _ = upper_tail(
        points[inside], chosen[inside], np.zeros((int(inside.sum()), 0)), body
    )
    return np.asarray(np.exp(nodes)), weights, np.asarray(far), math.exp(limit)
