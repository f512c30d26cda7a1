"""The posterior of up to four scales and correlations by brute force: dense Normals on a lattice that closes in.

Nothing here is the engine's: the covariance of all rows is written out, V(θ) = V₀ + Σ c_i(θ) G_i, and factored
for every θ, and priors are SciPy's. A lattice over all that numbers can be (e^−690 to e^300 for a scale) is
halved around every point that is not hopelessly low, until evidence and quantiles stand still. No mode is searched
for, so that none can be missed unless it is far narrower than the coarsest step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numba as nb
import numpy as np
from scipy import special, stats
from scipy.interpolate import CubicSpline

STRETCH = 6.0  # from where on the lattice's steps grow: t = STRETCH sinh(v / STRETCH)
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


@nb.njit(cache=True, nogil=True)
def _log_normals(y, V0, G, c, out):
    """log Normal(y | 0, V₀ + Σ c_i G_i) by a textbook Cholesky; −∞ where it is singular but for rounding."""
    n = len(y)
    L = np.empty((n, n))
    w = np.empty(n)
    for s in range(len(c)):
        log_det, square = 0.0, 0.0
        for i in range(n):
            left = y[i]
            for j in range(i + 1):
                v = V0[i, j]
                for k in range(c.shape[1]):
                    v += c[s, k] * G[k, i, j]
                whole = v
                for k in range(j):
                    v -= L[i, k] * L[j, k]
                if j < i:
                    L[i, j] = v / L[j, j]
                    left -= L[i, j] * w[j]
                else:
                    # What is left of the variance would be rounding.
                    L[i, i] = math.sqrt(v) if v > 1e-13 * whole else np.nan
            w[i] = left / L[i, i]
            log_det += math.log(L[i, i])
            square += w[i] * w[i]
        found = -log_det - 0.5 * square - 0.5 * n * math.log(2 * math.pi)
        out[s] = found if found == found else -np.inf


@dataclass(frozen=True)
class Scale:
    """A scale's prior, of SciPy; its axis is the log, or the logit between bounds."""

    law: Any
    bounds: tuple[float, float] | None = None

    def value(self, t):
        if self.bounds is None:
            return np.exp(t)
        low, high = self.bounds
        return low + (high - low) * special.expit(t)

    def log_density(self, t):
        """Of the axis."""
        if self.bounds is None:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                found = self.law.logpdf(np.exp(t)) + t
            return np.where(np.isnan(found), -np.inf, found)
        return special.log_expit(t) + special.log_expit(-t)

    def axis_of(self, value):
        if self.bounds is None:
            return np.log(value)
        low, high = self.bounds
        return np.log(value - low) - np.log(high - value)


@dataclass(frozen=True)
class Correlation:
    """The only one of two effects under LKJ(eta); its axis is its inverse hyperbolic tangent."""

    eta: float

    def value(self, t):
        return np.tanh(t)

    def log_density(self, t):
        log_sech = -np.abs(t) - np.log1p(np.exp(-2 * np.abs(t))) + math.log(2)
        return 2 * self.eta * log_sech - (2 * self.eta - 1) * math.log(2) - special.betaln(self.eta, self.eta)

    def axis_of(self, value):
        return np.arctanh(value)


def scale_of(prior):
    """A prior of priorhood as SciPy has it."""
    p = prior
    name = type(p).__name__
    if name == "Uniform":
        return Scale(stats.uniform(p.lower, p.upper - p.lower), (p.lower, p.upper))
    laws = {
        "Exponential": lambda: stats.expon(scale=p.scale),
        "HalfNormal": lambda: stats.halfnorm(scale=p.sd),
        "HalfCauchy": lambda: stats.halfcauchy(scale=p.scale),
        "HalfStudentT": lambda: _Half(stats.t(p.nu, scale=p.scale)),
        "Gamma": lambda: stats.gamma(p.shape, scale=p.scale),
        "InverseGamma": lambda: stats.invgamma(p.shape, scale=p.scale),
        "LogNormal": lambda: stats.lognorm(p.sd, scale=math.exp(p.mean)),
    }
    return Scale(laws[name]())


@dataclass(frozen=True)
class _Half:
    whole: Any

    def logpdf(self, x):
        return math.log(2) + self.whole.logpdf(x)


@dataclass(frozen=True)
class Dense:
    """A model as one big Normal.

    y (N,); mean (N,); V0 (N, N), the population's part and what is known of the noise; G (m, N, N); axes, θ's
    coordinates; parts : values of all axes (list of (S,)) → coefficients (S, m)
    """

    y: np.ndarray
    mean: np.ndarray
    V0: np.ndarray
    G: np.ndarray
    axes: tuple
    parts: Any

    def log_posterior(self, t):
        """t (S, d) → (S,), with the priors' densities of the axes, normalized."""
        values = [axis.value(t[:, k]) for k, axis in enumerate(self.axes)]
        total = sum(axis.log_density(t[:, k]) for k, axis in enumerate(self.axes))
        out = np.full(len(t), -np.inf)
        use = np.flatnonzero(np.isfinite(total))
        found = np.empty(len(use))
        coefficients = np.stack([np.broadcast_to(c, len(t))[use] for c in self.parts(values)], axis=1)
        coefficients = np.minimum(coefficients, 1e200)
        _log_normals(self.y - self.mean, self.V0, self.G, np.ascontiguousarray(coefficients, dtype=float), found)
        out[use] = total[use] + found
        return out


@dataclass(frozen=True)
class Found:
    """log p(y), and for every axis the distribution function of its value; points : that were computed."""

    log_evidence: float
    step: float
    points: int
    axes: tuple
    grids: list = field(repr=False)

    def quantile(self, axis, p):
        """Of the value on an axis."""
        return float(self.axes[axis].value(self.place(axis, p)))

    def place(self, axis, p):
        """The quantile's place on the axis."""
        t, cdf = self.grids[axis]
        return float(np.interp(p, cdf, t))

    def share(self, axis, place):
        """The probability left of a place on the axis."""
        t, cdf = self.grids[axis]
        return float(np.interp(place, t, cdf))

    def below(self, axis, value):
        """P(value on the axis < value)."""
        return self.share(axis, self.axes[axis].axis_of(value))

    def mean(self, axis):
        t, cdf = self.grids[axis]
        return float((self.axes[axis].value(0.5 * (t[1:] + t[:-1])) * np.diff(cdf)).sum())


def integrate(dense, tolerance=1e-2, step=None, most=8_000_000, low=-690.0, high=300.0, least=0):
    """The lattice, halved until log p(y) and all quantiles move by less than the tolerance.

    step : the coarsest one; a finer one where a prior is so narrow that the first loses its peak
    least : points that are gone on with, of the first levels, however low: a narrow ridge is then not lost
    """
    d = len(dense.axes)
    if d == 0:
        return Found(float(dense.log_posterior(np.empty((1, 0)))[0]), 0.0, 1, (), [])
    ends = [_to_lattice(np.array([low, high] if isinstance(a, Scale) else [low, -low])) for a in dense.axes]
    step = step or (1.0 if d > 2 else 0.5)
    ticks = [np.arange(math.ceil(a / step), math.floor(b / step) + 1) for a, b in ends]
    at = np.stack([g.ravel() for g in np.meshgrid(*ticks, indexing="ij")], axis=1)
    before = None
    total = 0
    known_at, known_f = np.empty((0, d), int), np.empty(0)
    for level in range(9):
        f = np.empty(len(at))
        fresh = np.ones(len(at), bool)
        if len(known_at):
            place = _lookup(known_at, at)
            fresh = place < 0
            f[~fresh] = known_f[place[~fresh]]
        f[fresh] = _heights(dense, at[fresh] * step)
        total += int(fresh.sum())
        now = _summed(dense, at, f, step)
        if before is not None and level >= 2 and _moved(before, now) < tolerance:
            return now_with(now, total)
        if total > most:
            moved = math.inf if before is None else _moved(before, now)
            if moved < tolerance:
                return now_with(now, total)
            raise RuntimeError(f"quadrature: {total} points and still moving by {moved}")
        before = now
        keep = f > f.max() - max(70.0 - 30.0 * level, 15.0)
        if level < 5 and keep.sum() < least < len(f):
            keep = f >= np.partition(f, -least)[-least]
        at, f = at[keep], f[keep]
        known_at, known_f = 2 * at, f
        at = _children(2 * at)
        step /= 2
    raise RuntimeError("quadrature: does not converge")


def now_with(now, total):
    return Found(now.log_evidence, now.step, total, now.axes, now.grids)


def _heights(dense, v):
    found = np.empty(len(v))
    for lo in range(0, len(v), 50_000):
        part = v[lo : lo + 50_000]
        t = STRETCH * np.sinh(part / STRETCH)
        found[lo : lo + 50_000] = dense.log_posterior(t) + np.log(np.cosh(part / STRETCH)).sum(axis=1)
    return found


def _to_lattice(t):
    return STRETCH * np.arcsinh(t / STRETCH)


OFFSET = 1 << 14


def _code(at):
    code = np.zeros(len(at), np.int64)
    for k in range(at.shape[1]):
        code = (code << 15) | (at[:, k] + OFFSET)
    return code


def _lookup(known, at):
    codes = _code(known)
    order = np.argsort(codes)
    wanted = _code(at)
    place = np.searchsorted(codes[order], wanted)
    place = np.minimum(place, len(codes) - 1)
    hit = codes[order][place] == wanted
    return np.where(hit, order[place], -1)


def _children(at):
    """The points and all neighbours at one step."""
    d = at.shape[1]
    shifts = np.stack([g.ravel() for g in np.meshgrid(*[[-1, 0, 1]] * d, indexing="ij")], axis=1)
    codes = np.sort(np.concatenate([_code(at + shift) for shift in shifts]))
    codes = codes[np.append(True, codes[1:] > codes[:-1])]  # np.unique's hashes of such numbers collide
    out = np.empty((len(codes), d), np.int64)
    for k in range(d - 1, -1, -1):
        out[:, k] = (codes & ((1 << 15) - 1)) - OFFSET
        codes = codes >> 15
    return out


def _summed(dense, at, f, step):
    top = f.max()
    weights = np.exp(f - top)
    log_evidence = float(top + np.log(weights.sum()) + at.shape[1] * math.log(step))
    grids = []
    for k in range(at.shape[1]):
        low = at[:, k].min() - 1
        mass = np.bincount(at[:, k] - low, weights=weights, minlength=at[:, k].max() - low + 2)
        v = (low + np.arange(len(mass))) * step
        curve = CubicSpline(v, mass / (mass.sum() * step)).antiderivative()
        fine = np.linspace(v[0], v[-1], 20 * len(v) + 1)
        cdf = np.maximum.accumulate(np.clip(curve(fine) - curve(fine[0]), 0, 1))
        grids.append((STRETCH * np.sinh(fine / STRETCH), cdf / cdf[-1]))
    return Found(log_evidence, step, 0, dense.axes, grids)


def _moved(before, now):
    moved = abs(before.log_evidence - now.log_evidence)
    for k in range(len(now.grids)):
        for p in PROBABILITIES:
            moved = max(moved, abs(before.share(k, now.place(k, p)) - p))
    return moved


# -- models -----------------------------------------------------------------------------------------------


def same(labels):
    """(N, N): 1 where two rows have the same label."""
    labels = np.asarray(labels)
    return (labels[:, None] == labels[None, :]).astype(float)


def regression(y, columns, mu, groupings, sigma, known=None, weights=None, noise=None):
    """A model of standardized numbers → Dense, or Alike.

    columns : population columns, each (N,); mu : their priors' (mean, sd)
    groupings : (labels, columns that vary, priors of their spreads, eta or None); a spread may be a number
    sigma : prior, or a number; known : (N,) known sds in place of it; weights : (N,) variance σ²/w
    noise : (N,) labels 0, 1 … of the residual sds that sigma is the priors of, one by one; where sigma is a pair,
        their median's and their spread's, of two that are alike
    """
    y = np.asarray(y, float)
    n = len(y)
    mean = sum((m * x for x, (m, _) in zip(columns, mu, strict=True)), np.zeros(n))
    V0 = sum((s**2 * np.outer(x, x) for x, (_, s) in zip(columns, mu, strict=True)), np.zeros((n, n)))
    axes, G, recipe = [], [], []

    def axis(prior):
        if isinstance(prior, int | float):
            return float(prior)
        axes.append(prior)
        return len(axes) - 1

    for labels, cols, taus, eta in groupings:
        at = [axis(tau) for tau in taus]
        for x, a in zip(cols, at, strict=True):
            G.append(same(labels) * np.outer(x, x))
            recipe.append((a, a, None))
        if eta is not None and len(cols) == 2:
            axes.append(Correlation(eta))
            cross = np.outer(cols[0], cols[1])
            G.append(same(labels) * (cross + cross.T))
            recipe.append((at[0], at[1], len(axes) - 1))
    w = np.ones(n) if weights is None else np.asarray(weights, float)
    if known is not None:
        V0 = V0 + np.diag(np.asarray(known, float) ** 2)
    elif noise is not None:
        own = [np.diag((noise == j) / w) for j in range(noise.max() + 1)]
        for each in own if isinstance(sigma, Scale) else []:
            G.append(each)
            recipe.append((axis(sigma),) * 2 + (None,))
    else:
        a = axis(sigma)
        G.append(np.diag(1 / w))
        recipe.append((a, a, None))

    def parts(values):
        def of(a):
            return a if isinstance(a, float) else values[a]

        out = []
        for a, b, c in recipe:
            with np.errstate(over="ignore"):
                out.append(of(a) * of(b) * (1.0 if c is None else values[c]))
        return out

    if noise is None or isinstance(sigma, Scale):
        return Dense(y, mean, np.asarray(V0), np.array(G), tuple(axes), parts)
    size = len(axes)
    median, spread = map(axis, sigma)
    return Alike(Dense(y, mean, np.asarray(V0), np.array([*G, *own]), tuple(axes), parts), size, median, spread)


# -- residual sds that are alike --------------------------------------------------------------------------

TICK = 0.2  # of log σ, on a lattice like that of θ
NARROW = 1.0  # ticks: a spread of log σ under this is integrated by Gauss–Hermite
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(10)


@dataclass(frozen=True)
class Alike:
    """Two residual sds, log σ_j ~ Normal(log median, spread²): integrated out for every θ, on a lattice of both.

    dense : the model with them, the last two of G; size : axes of spreads and correlations, which come first
    median, spread : their axes, or what they are known to be
    """

    dense: Dense
    size: int
    median: int | float
    spread: int | float
    tables: dict = field(default_factory=dict, repr=False)

    @property
    def axes(self):
        return self.dense.axes

    @property
    def y(self):
        return self.dense.y

    def log_posterior(self, t):
        """t (S, d) → (S,), with the priors' densities of the axes, normalized."""
        values = [axis.value(t[:, k]) for k, axis in enumerate(self.axes)]
        total = np.zeros(len(t)) + sum(axis.log_density(t[:, k]) for k, axis in enumerate(self.axes))
        out = np.full(len(t), -np.inf)
        use = np.flatnonzero(np.isfinite(total))
        with np.errstate(divide="ignore"):
            m, s = (
                np.broadcast_to(values[a] if isinstance(a, int) else a, len(t))[use]
                for a in (self.median, self.spread)
            )
            m, s = np.maximum(np.log(m), -700.0), np.maximum(s, 1e-300)
        coarse = np.maximum(STRETCH * np.sinh(_to_lattice(m - self._centre) / STRETCH), -700.0)
        narrow = s < NARROW * TICK * np.cosh(_to_lattice(coarse) / STRETCH)
        found = np.empty(len(use))
        known = np.stack([np.broadcast_to(c, len(t))[use] for c in self.dense.parts(values)] or [m], axis=1)
        known = np.minimum(known[:, : len(self.dense.G) - 2], 1e200)
        found[narrow] = self._near(known[narrow], m[narrow], s[narrow])
        lone, of = (
            np.unique(known, axis=0, return_inverse=True) if known.shape[1] else (known[:1], np.zeros(len(m), int))
        )
        of = of.ravel()
        for i, given in enumerate(lone):
            some = np.flatnonzero((of == i) & ~narrow)
            if len(some):
                found[some] = self._wide(given, m[some], s[some])
        out[use] = total[use] + found
        return out

    @property
    def _centre(self):
        """Around which log σ has its lattice: that of the outcome's sd."""
        return math.log(max(np.std(self.dense.y), 1e-12))

    def _heights(self, known, logs):
        """log p(y | everything): known (S, …), logs (S, 2) of the σ."""
        c = np.concatenate([known, np.exp(2 * np.minimum(logs, 230.0))], axis=1)
        out = np.empty(len(c))
        d = self.dense
        _log_normals(d.y - d.mean, d.V0, d.G, np.ascontiguousarray(c, dtype=float), out)
        return out

    def _wide(self, known, m, s):
        """Sums over the lattice of both log σ."""
        low, high = _to_lattice(np.array([-660.0, 280.0]))
        v = np.arange(math.ceil(low / TICK), math.floor(high / TICK) + 1) * TICK
        logs = self._centre + STRETCH * np.sinh(v / STRETCH)
        key = known.tobytes()
        if key not in self.tables:
            both = np.stack([g.ravel() for g in np.meshgrid(logs, logs, indexing="ij")], axis=1)
            found = self._heights(np.broadcast_to(known, (len(both), len(known))), both)
            self.tables[key] = found.reshape(len(v), len(v))
        out = np.empty(len(m))
        _sum_over_both(self.tables[key], logs, np.log(np.cosh(v / STRETCH) * TICK), m, s, out)
        return out

    def _near(self, known, m, s):
        """Gauss–Hermite around the highest point of both z, log σ = log median + spread z."""
        S = len(m)
        if not S:
            return np.empty(0)

        def height(z, of):
            """z (S, P, 2) → (S, P), without the Normals' constant."""
            P = z.shape[1]
            logs = m[of, None, None] + s[of, None, None] * z
            flat = self._heights(np.repeat(known[of], P, axis=0), logs.reshape(-1, 2)).reshape(-1, P)
            return flat - 0.5 * (z**2).sum(axis=2)

        every = np.arange(S)
        rise, bend = _bends(height, np.zeros((S, 2)), every)
        easy = ((np.abs(rise) < 2.0) & (bend > 0.5)).all(axis=1)
        z = np.where(easy[:, None], rise / np.maximum(bend, 0.5), 0.0)
        hard = every[~easy]
        if len(hard):
            climbed = [_climbed(height, start, hard) for start in ((0, 0), (15, 0), (0, 15), (15, 15))]
            best = np.argmax([height(one[:, None, :], hard)[:, 0] for one in climbed], axis=0)
            z[hard] = np.array(climbed)[best, np.arange(len(hard))]
        _, bend = _bends(height, z, every)
        width = np.clip(bend, 0.3, 1e4) ** -0.5
        nodes = np.stack([g.ravel() for g in np.meshgrid(NODES, NODES, indexing="ij")], axis=1)
        weights = np.log(np.outer(NODE_WEIGHTS, NODE_WEIGHTS).ravel()) + 0.5 * (nodes**2).sum(axis=1)
        found = height(z[:, None, :] + width[:, None, :] * nodes, every) + weights
        top = found.max(axis=1)
        with np.errstate(divide="ignore"):
            total = np.log(np.exp(found - np.maximum(top, -1e300)[:, None]).sum(axis=1))
        return top + total + np.log(width).sum(axis=1) - math.log(2 * math.pi)


def _climbed(height, start, of):
    """The highest z on ever finer lines through a start, by turns along either z: (S, 2)."""
    z = np.tile(np.asarray(start, float), (len(of), 1))
    for reach, step in ((39.0, 3.0), (3.0, 1.0), (1.0, 0.25), (0.25, 0.0625)):
        grid = np.arange(-reach, reach + step, step)
        for k in (0, 1, 0, 1):
            tried = np.repeat(z[:, None, :], len(grid), axis=1)
            tried[:, :, k] += grid
            z[:, k] += grid[np.argmax(height(tried, of), axis=1)]
    return z


def _bends(height, z, of):
    """Slopes and (less) second derivatives by either z: (S, 2) each; a bend of 1 where a height is none."""
    rise, bend = np.empty((len(z), 2)), np.empty((len(z), 2))
    for k in (0, 1):
        step = 0.1 * (np.arange(2) == k)
        low, here, high = np.maximum(height(np.stack([z - step, z, z + step], axis=1), of), -1e300).T
        rise[:, k], bend[:, k] = (high - low) / 0.2, (2 * here - low - high) / 0.01
    return rise, np.where(np.abs(bend) < 1e290, bend, 1.0)


@nb.njit(cache=True, nogil=True)
def _sum_over_both(table, logs, log_steps, m, s, out):
    """log Σ_ij exp(table_ij) w_i w_j, w_i the Normal's share of the lattice's i-th step."""
    n = len(logs)
    w = np.empty(n)
    for k in range(len(m)):
        for i in range(n):
            z = (logs[i] - m[k]) / s[k]
            w[i] = log_steps[i] - 0.5 * z * z - math.log(s[k]) - 0.5 * math.log(2 * math.pi)
        # The sds that cannot be told from 0: all of the Normal below the lattice.
        below = 0.5 * math.erfc((m[k] - logs[0]) / s[k] / math.sqrt(2.0))
        if below > 0.0:
            w[0] = max(w[0], math.log(below))
        first, last = 0, n - 1
        highest = w.max()
        while w[first] < highest - 760.0:
            first += 1
        while w[last] < highest - 760.0:
            last -= 1
        top = -np.inf
        for i in range(first, last + 1):
            for j in range(first, last + 1):
                top = max(top, table[i, j] + w[i] + w[j])
        if top == -np.inf:
            out[k] = top
            continue
        total = 0.0
        for i in range(first, last + 1):
            for j in range(first, last + 1):
                one = table[i, j] + w[i] + w[j] - top
                if one > -36.0:
                    total += math.exp(one)
        out[k] = top + math.log(total)
