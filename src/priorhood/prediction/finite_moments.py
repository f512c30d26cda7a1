"""Whether mean and sd of a price exist under a log outcome (docs/mathematics.md, section 7).

Under a log outcome a mean is E exp(m + ½v) over θ, where v grows with the square of every scale: it diverges under
any prior with a heavier tail than a Normal's, mostly so far out that no number of draws shows it, at times so near
that the mean of the draws is an accident. So means and sds are those of the posterior with every scale below its
1 − 1e-6 quantile, and infinite where it matters whether that is the 1 − 1e-4 quantile. Quantiles and verdict come
from the density, not from the draws, so that they do not depend on the seed (see exact.tails).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import count_noun, join_words
from priorhood.engines.adapt import to_exact
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

# Shares of the mean and of the sd that may lie between the two truncations.
MEAN_MOVES, SD_MOVES = 0.01, 0.05
# By up to so much half the variance of a log outcome may grow towards the scales' ends, and no moment is in doubt:
# exp of it times 1e-4 is far from MEAN_MOVES, exp of four times it from SD_MOVES.
PLAIN = 0.75
# Of the places that an unknown one may be, so many count.
MAX_LEAVES = 256
# Draws and seed of a reference run where every place has its own sigma.
REFERENCE, SEED = 2000, 1
# Cost of one θ, in the engine's units, beyond which its density is not computed 10,000 times more.
MAX_COST = 400_000
# HalfNormal scales in the advice, in logs: under half of those at which mean and sd cease to exist, 1 and ½.
FOR_MEAN, FOR_SD = 0.5, 0.25


@dataclass(frozen=True)
class MomentVerdict:
    """Whether mean and sd of n rows are infinite (n,), and which scales cause it (n, scales).

    judged (n,) : whether it took the density to tell, so that draws beyond the scales' limits do not count
    """

    mean: Flags
    sd: Flags
    causes: Flags
    judged: Flags


@dataclass(frozen=True, repr=False)
class _Spread:
    """An unknown scale: its grouping (−1: sigma) and term, its column, draws (S,) and prior."""

    name: str
    which: int
    term: int
    column: int
    draws: Array
    log_prior: Callable[[Array], Array]

    @cached_property
    def middle(self) -> float:
        """The median."""
        return float(np.median(self.draws))

    @cached_property
    def most(self) -> float:
        """A value beyond the 1 − 1e-6 quantile, unless the tail is thinner between 90 and 99 % than beyond."""
        return _most(self.draws)

    @cached_property
    def tail(self) -> tuple[Array, Array, Flags, float]:
        """Nodes, their masses, whether beyond the 1 − 1e-4 quantile; the 1 − 1e-6 quantile; all from the draws."""
        return _fitted(self.draws, self.log_prior)


@dataclass(frozen=True, repr=False)
class Tails:
    """The tails of a posterior's scales, and their part in the moments of prices.

    c : all draws
    problem : the exact engine's problem, None where it does not take the model
    noisy : the problem where every place has its own sigma, else None
    """

    c: Coefficients
    problem: Problem | None
    noisy: GroupNoiseProblem | None
    threads: int

    def judge(
        self, rows: PredictionRows, groups: Groups, *, noise: bool = True, centre: bool = False
    ) -> MomentVerdict:
        """Whether the moments of rows are infinite; False for rows that cannot be predicted.

        noise : moments of the outcome itself, or else of E(y | θ, β); centre : of exp(xᵀβ), without σ²/2
        """
        n, usable = len(rows.X), np.flatnonzero(rows.usable)
        mean, sd, causes = np.zeros(n, bool), np.zeros(n, bool), np.zeros((n, len(self.names)), bool)
        judged = np.zeros(n, bool)
        doubtful = usable[~self._plain(rows, groups, usable, centre=centre)]
        judged[doubtful] = True
        if not len(doubtful):
            return MomentVerdict(mean, sd, causes, judged)
        judge = self._by_draws if self.reach is None else self._by_density
        for spot in np.unique(rows.group[doubtful]):
            own = doubtful[rows.group[doubtful] == spot]
            for lo in range(0, len(own), 2000):
                part = own[lo : lo + 2000]
                mean[part], sd[part], causes[part] = judge(
                    rows.X[part], rows.error[part], groups, int(spot), noise=noise, centre=centre
                )
        return MomentVerdict(mean, sd, causes, judged)

    def moments(self, c: Coefficients, rows: PredictionRows, groups: Groups, part: Index) -> tuple[Array, Array]:
        """Mean and sd of rows over the draws with every scale below its limit: (len(part),) each.

        A new place's own effects are integrated out, exp(m + ½v), since one draw of them for every θ would add more
        Monte Carlo error than θ does.
        """
        from priorhood.engines.mixture import summarize

        within = np.flatnonzero(self.kept(c))
        m = locations(rows, replace(groups, unseen="population"), part)[:, within]
        sigma, kind = groups.sigmas(rows.group[part])
        variance = (rows.error[part, None] * sigma[kind]) ** 2
        for spot in np.unique(rows.group[part]):
            own = np.flatnonzero(rows.group[part] == spot)
            for which in self._drawn(groups, int(spot)):
                grouping = (c.levels + c.crossed)[which]
                X = rows.X[np.ix_(part[own], grouping.own)]
                variance[own] += (np.einsum("ik,skl->isl", X, grouping.spread) ** 2).sum(axis=2)
        n, none = len(part), np.empty(0)
        mean, sd, nothing = np.empty(n), np.empty(n), np.empty((n, 0))
        summarize(
            np.ascontiguousarray(m), np.ones((n, len(within))), np.ascontiguousarray(variance[:, within]),
            np.arange(n), np.ones(n), none, none, none, self.c.scale.unit, mean, sd, nothing, nothing,
        )  # fmt: skip
        return mean, sd

    def kept(self, c: Coefficients) -> Flags:
        """Which draws have every scale below its limit: (S,); all of them if none has."""
        found = np.ones(len(c.mu), bool)
        for one, limit in zip(self._spreads, self._limits, strict=True):
            own = c.sigma if one.which < 0 else _taus(c, one.which)[:, one.term]
            found &= own <= limit
        return found if found.any() else np.ones(len(found), bool)

    def note(self, verdict: MomentVerdict, rows: PredictionRows, what: str = "row") -> str | None:
        """Which moments are infinite, why, and what to do, in a sentence; None where none is."""
        means, sds, n = int(verdict.mean.sum()), int(verdict.sd.sum()), len(verdict.mean)
        if not sds:
            return None
        finding = f"the sd of {sds:,} of {count_noun(n, what)} is infinite"
        if means:
            finding = f"mean and sd of {means:,} of {count_noun(n, what)} are infinite"
            finding += f", of {sds - means:,} more the sd" if sds > means else ""
        outcome = self.c.data.model.formula.outcome
        priors = self._advice(verdict, rows)
        scales = np.array(self.names)[verdict.causes.any(axis=0)].tolist()
        tail = "tail is" if len(scales) == 1 else "tails are"
        why = f"a moment under {outcome} is of an exponential, and {join_words(scales)}'s {tail} too long for it"
        if not priors:
            return f"{finding}: {why}; take the median (q50) and the quantiles, which hold"
        texts = [join_words(f"'{name} ~ HalfNormal({s[at]:g})'" for name, s in priors.items()) for at in (0, 1)]
        exists = f"{texts[0]} the mean exists, with {texts[1]} the sd too" if means else f"{texts[1]} the sd exists"
        return (
            f"{finding}: {why}. Take the median (q50) and the quantiles, which hold; or a prior of thin tail: with "
            f"{exists}"
        )

    def _advice(self, verdict: MomentVerdict, rows: PredictionRows) -> dict[str, tuple[float, float]]:
        """HalfNormal scales with which the mean and the sd of the rows exist, for every scale that causes trouble.

        Empty where one of them is a place's own sigma, which has no such prior.
        """
        causes: Flags = np.asarray(verdict.causes.any(axis=0))
        if self.c.sigma.ndim > 1 and causes[-1]:
            return {}
        found, several = {}, max(1.0, 0.5 * causes.sum()) ** 0.5
        for at in np.flatnonzero(causes):
            one, own = self._spreads[at], verdict.causes[:, at]
            times = rows.error[own] if one.which < 0 else np.abs(rows.X[own, one.column])
            most = self.c.scale.unit * max(float(times.max()), 1e-6) * several
            found[one.name] = (_rounded_down(FOR_MEAN / most), _rounded_down(FOR_SD / most))
        return found

    # -- the scales ------------------------------------------------------------------------------------------

    @cached_property
    def _spreads(self) -> tuple[_Spread, ...]:
        """The unknown scales, without the places' own sigma where they have one."""
        model, resolved, found = self.c.data.model, self.c.data.resolved, []
        for at in range(len(model.formula.groupings)):
            taus = _taus(self.c, at)
            for k, column in enumerate(self.c.data.design.level_columns(at)):
                prior = resolved.tau[at][k]
                if not isinstance(prior, Fixed):
                    name = f"tau{model.formula.suffix(at)}[{column.name}]"
                    where = int(self.c.data.design.index((column,))[0])
                    found.append(_Spread(name, at, k, where, taus[:, k], prior.logpdf))
        if resolved.sigma is not None and not isinstance(resolved.sigma, Fixed) and self.c.sigma.ndim == 1:
            found.append(_Spread("sigma", -1, 0, -1, self.c.sigma, resolved.sigma.logpdf))
        return tuple(found)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the scales, as priors have them; last the places' own sigma, where they have one."""
        return (*(one.name for one in self._spreads), *(("sigma",) if self.c.sigma.ndim > 1 else ()))

    @cached_property
    def reach(self) -> Reach | None:
        """The tails from the density; None where it cannot be computed, or not fast enough."""
        from priorhood.engines.exact.tails import reach_of

        if self.problem is None or self.problem.J * self.problem.D**2 > MAX_COST:
            return None
        return reach_of(self.problem, self.threads)

    @cached_property
    def _limits(self) -> list[float]:
        if self.reach is not None:
            return [float(limit) for limit in self.reach.limits]
        return [one.tail[3] for one in self._referred._spreads]

    def _plain(self, rows: PredictionRows, groups: Groups, part: Index, *, centre: bool) -> Flags:
        """Whether the scales' ends, taken together, leave no doubt that the moments exist: (len(part),)."""
        X, over = rows.X[part], np.zeros(len(part))
        for one in self._spreads:
            if one.which < 0:
                if not centre:
                    over += rows.error[part] ** 2 * (one.most**2 - one.middle**2)
                continue
            grouping = (self.c.levels + self.c.crossed)[one.which]
            # Correlated effects may add up, and the levels above are no better known than from their places.
            times = len(grouping.own) * (1.0 + 1.0 / grouping.places.size)
            over += times * X[:, one.column] ** 2 * (one.most**2 - one.middle**2)
        if self.c.sigma.ndim > 1 and not centre:
            for spot in np.unique(rows.group[part]):
                sigma = groups.sigma(int(spot))
                at = rows.group[part] == spot
                over[at] += rows.error[part][at] ** 2 * (_most(sigma) ** 2 - np.median(sigma) ** 2)
        return np.asarray(0.5 * self.c.scale.unit**2 * over <= PLAIN)

    # -- by the density -----------------------------------------------------------------------------------------

    @cached_property
    def _given(self) -> ConditionalPosterior:
        from priorhood.engines.exact.conditional import ConditionalPosterior

        if self.problem is None or self.reach is None:
            raise TypeError("the density of this model cannot be asked")
        return ConditionalPosterior(self.problem, self.reach.values, self.reach.values.sigma)

    def _by_density(
        self, X: Array, error: Array, groups: Groups, spot: int, *, noise: bool, centre: bool
    ) -> tuple[Flags, Flags, Flags]:
        """Judge rows of one spot by first and second moments at every node of θ, weighted."""
        reach, u = self.reach, self.c.scale.unit
        if reach is None:
            raise TypeError("the density of this model cannot be asked")
        wide, fresh = self._placed(X, groups, spot)
        sigma = np.ones(len(reach.near)) if self.c.data.model.se is not None else reach.values.sigma
        own = 0.0 if centre else u**2 * (error[:, None] * sigma) ** 2
        first, second = np.zeros((2, len(X), len(reach.near)))
        typical: Array | None = None
        for share, mean, cov in self._states(groups, spot):
            m = u * (wide @ (mean + (0.0 if self.problem is None else self.problem.shift)).T)
            v = u**2 * (np.einsum("ia,nab,ib->in", wide, cov, wide, optimize=True) + fresh)
            one, two = m + 0.5 * (v + own), 2.0 * m + 2.0 * v + (2.0 if noise else 1.0) * own
            # Powers of e relative to a typical one, so that only what cannot matter is beyond numbers.
            typical = np.median(one, axis=1, keepdims=True) if typical is None else typical
            first += share * np.exp(np.minimum(one - typical, 300.0))
            second += share * np.exp(np.minimum(two - 2.0 * typical, 600.0))
        return _weighed(first, second, reach)

    def _placed(self, X: Array, groups: Groups, spot: int) -> tuple[Array, Array]:
        """The rows' columns and those of crossed effects (n, D); the variance of new places' effects (n, N)."""
        problem, reach, c = self.problem, self.reach, self.c
        if problem is None or reach is None:
            raise TypeError("the density of this model cannot be asked")
        wide = np.zeros((len(X), problem.D))
        wide[:, : X.shape[1]] = X
        fresh = np.zeros((len(X), len(reach.near)))
        for which in self._drawn(groups, spot):
            columns = problem.varying[which].cols
            loads = reach.values.tau[which][:, :, None] * reach.values.corr[which]
            fresh += (np.einsum("ik,nkl->inl", X[:, columns], loads) ** 2).sum(axis=2)
        one, first = groups.found[spot], X.shape[1]
        for at, grouping in enumerate(c.crossed):
            path = [one.labels[column] for column in grouping.places.path]
            known = grouping.at.get(SEPARATOR.join(path))
            if known is None and "" in path:
                known = 0  # one of the known ones, which are alike in their tails
            if known is not None:
                to = first + known * len(grouping.own)
                wide[:, to : to + len(grouping.own)] = X[:, problem.crossed[at].cols]
            first += grouping.places.size * len(grouping.own)
        return wide, fresh

    def _drawn(self, groups: Groups, spot: int) -> list[int]:
        """The groupings in which a spot's place is new and its effects are drawn."""
        one, c, found = groups.found[spot], self.c, []
        if groups.unseen == "population":
            return []
        if c.levels and not len(one.cells):
            found += self._new_levels(groups, spot)[0]
        for at, grouping in enumerate(c.crossed):
            path = [one.labels[column] for column in grouping.places.path]
            if "" not in path and SEPARATOR.join(path) not in grouping.at:
                found.append(len(c.levels) + at)
        return found

    def _new_levels(self, groups: Groups, spot: int) -> tuple[list[int], int, int]:
        """The levels of a new place whose effects are drawn, and the known level and node that it lies in."""
        one = groups.found[spot]
        new: list[int] = []
        for at, level in enumerate(self.c.levels):
            path = [one.labels[column] for column in level.places.path]
            known = level.at.get(SEPARATOR.join(path))
            if known is None and "" in path:
                known = next(
                    (
                        i
                        for i, key in enumerate(level.places.keys.tolist())
                        if all(one in ("", own) for own, one in zip(key.split(SEPARATOR), path, strict=True))
                    ),
                    None,
                )
            if known is not None:
                return new, at, known
            new.append(at)
        return new, len(self.c.levels), 0

    def _states(self, groups: Groups, spot: int) -> Iterator[tuple[float, Array, Array]]:
        """Yield a spot's coefficients at every node, less the shift: share, mean (N, D), covariance (N, D, D)."""
        c, given, one = self.c, self._given, groups.found[spot]
        if not c.levels:
            yield 1.0, given.root.mean[0], given.root.cov[0]
            return
        if not len(one.cells):
            _, at, node = self._new_levels(groups, spot)
            above = given.upper[at - 1]
            yield 1.0, above.mean[node], above.cov[node]
            return
        leaf = c.levels[0].places.of_cell[one.cells]
        shares = np.bincount(leaf, weights=c.weights[one.cells])
        leaves = np.flatnonzero(shares)
        leaves = leaves[:: max(1, len(leaves) // MAX_LEAVES)]
        for which in leaves:
            mean, cov = given.cells(np.array([which]), None)
            yield float(shares[which] / shares[leaves].sum()), mean[0], cov[0]

    @cached_property
    def _referred(self) -> Tails:
        """The tails by draws of a reference run, whatever the fit's seed, where every place has its own sigma."""
        from priorhood.engines import exact

        if self.noisy is None:
            return self
        try:
            made = exact.draw(
                self.noisy, 2, REFERENCE // 2, np.random.default_rng(SEED), self.threads, lambda *_: None
            )
        except SamplingError:
            return self

        def flat(values: Array | None) -> Array:
            found = np.zeros((2, REFERENCE // 2)) if values is None else values
            return found.reshape(REFERENCE, *found.shape[2:])

        effects, level = made.effects[0], self.c.levels[0]
        corr = np.eye(len(level.own)) if effects.omega is None else correlation_factor(flat(effects.omega))
        levels = (replace(level, stored=None, spread=flat(effects.tau)[:, :, None] * corr),)
        common = None if self.c.common is None else (flat(made.sigma_median), flat(made.sigma_spread))
        sigma = flat(made.sigma)
        sigma = sigma if sigma.ndim > 1 else self.c.sigma[:1].repeat(REFERENCE, axis=0)
        return replace(
            self, c=replace(self.c, mu=flat(made.mu), levels=levels, sigma=sigma, common=common), noisy=None
        )

    # -- by the draws -------------------------------------------------------------------------------------------

    def _by_draws(
        self, X: Array, error: Array, groups: Groups, spot: int, *, noise: bool, centre: bool
    ) -> tuple[Flags, Flags, Flags]:
        """Judge rows of one spot by the draws: every scale's tail is its prior's times a power fitted to them.

        The part of a spread in a known place's coefficients is left out: the place's rows bound it.
        """
        reference = self._referred
        c, drawn = reference.c, self._drawn(groups, spot)
        parts: list[tuple[Array, float, tuple[Array, Array, Flags, float]]] = []
        for scale in reference._spreads:
            if scale.which < 0:
                squares = np.zeros(len(X)) if centre else error**2
            else:
                squares = X[:, scale.column] ** 2 * (scale.which in drawn)
            parts.append((squares, scale.middle, scale.tail))
        if c.sigma.ndim > 1:
            sigma = (groups if reference is self else replace(groups, c=c, seed=SEED)).sigma(spot)
            squares = np.zeros(len(X)) if centre else error**2
            parts.append((squares, float(np.median(sigma)), _fitted(sigma, reference._own_sigma)))
        moved = np.zeros((2, len(X), len(parts)))
        total = np.ones((2, len(X)))
        for at, (squares, middle, (t, mass, beyond, _)) in enumerate(parts):
            for power, half in enumerate((0.5, 2.0 if noise else 1.0)):
                grown = half * self.c.scale.unit**2 * squares[:, None] * (t**2 - middle**2)
                weighed = mass * np.exp(np.minimum(grown, 300.0))
                moved[power, :, at] = weighed[:, beyond].sum(axis=1)
                total[power] += weighed.sum(axis=1)
        share = moved / total[:, :, None]
        mean = share[0].sum(axis=1) > MEAN_MOVES
        sd = mean | (0.5 * share[1].sum(axis=1) > SD_MOVES)
        return mean, sd, _causes(share[0], 0.5 * share[1], mean, sd)

    def _own_sigma(self, x: Array) -> Array:
        """Log prior density of a place's own sigma."""
        if self.c.noise is not None:
            return np.asarray(self.c.noise.logpdf(x))
        if self.c.common is None:
            return np.zeros_like(x)
        some = slice(None, None, max(1, len(self.c.mu) // 200))
        median, spread = (values[some, None] for values in self.c.common)
        with np.errstate(divide="ignore"):
            p = np.exp(-0.5 * ((np.log(x) - np.log(median)) / spread) ** 2) / (spread * x)
            return np.asarray(np.log(p.mean(axis=0)))


def tails_of(c: Coefficients, threads: int) -> Tails | None:
    """The tails of a posterior; None where they do not matter: no log outcome, or no moments (Student's t)."""
    data = c.data
    if not data.model.formula.log_outcome or data.model.family != "normal":
        return None
    from priorhood.engines import exact

    effects = sum(grouping.places.size * len(grouping.own) for grouping in c.crossed)
    nested_noise = data.model.noise is not None and len(c.levels) + len(c.crossed) > 1
    if nested_noise or (effects and exact.too_wide(effects, c.levels[0].places.size)):
        return Tails(c, None, None, threads)
    problem = to_exact(data)
    if exact.refuses(problem):
        return Tails(c, None, None, threads)
    if isinstance(problem, exact.GroupNoiseProblem):
        return Tails(c, None, problem, threads)
    return Tails(c, problem, None, threads)


def _rounded_down(value: float) -> float:
    """Round down to two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / power + 1e-9) * power:.2g}")


def _taus(c: Coefficients, which: int) -> Array:
    """Draws (S, K) of a grouping's spreads: the lengths of the rows of diag(τ) chol Ω."""
    return np.asarray(np.sqrt(((c.levels + c.crossed)[which].spread ** 2).sum(axis=2)))


def _most(draws: Array) -> float:
    """A value beyond the 1 − 1e-6 quantile: the tail of 90 to 99 % continued in logs, and half as far again."""
    ninety, last = np.quantile(draws, [0.9, 0.99])
    if ninety <= 0:
        return float(last)
    with np.errstate(over="ignore"):
        return float(max(last * (last / ninety) ** 6, draws.max()))


def _weighed(first: Array, second: Array, reach: Reach) -> tuple[Flags, Flags, Flags]:
    """Moments (n, N) at every node → whether mean and sd are infinite, and which scales cause it."""
    near = reach.near / reach.near.sum()
    scales = len(reach.scales)
    far = np.where(reach.of[:, None] == np.arange(scales), reach.far[:, None], 0.0)
    less, more = 1.0, 1.0 + far.sum()
    one, two = first @ near / less, second @ near / less
    added, squares = first @ far, second @ far
    whole, square = (one + added.sum(axis=1)) / more, (two + squares.sum(axis=1)) / more
    mean = np.abs(whole - one) > MEAN_MOVES * whole
    before, after = (np.sqrt(np.maximum(b - a**2, 0.0)) for a, b in ((one, two), (whole, square)))
    sd = mean | (np.abs(after - before) > SD_MOVES * after)
    shares = added / (more * whole[:, None]), squares / (2.0 * more * np.maximum(after, 1e-300)[:, None] ** 2)
    return mean, sd, _causes(*shares, mean, sd)


def _causes(first: Array, second: Array, mean: Flags, sd: Flags) -> Flags:
    """Scales whose share alone is a tenth of what a moment may move by: (n, scales)."""
    causes = mean[:, None] & (first > 0.1 * MEAN_MOVES)
    return np.asarray(causes | (sd[:, None] & (second > 0.1 * SD_MOVES)))


def _fitted(draws: Array, log_prior: Callable[[Array], Array]) -> tuple[Array, Array, Flags, float]:
    """The tail of a scale's draws: its prior's times the power of the scale that fits the draws best.

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
