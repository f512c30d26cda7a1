"""One group's likelihood with its own σ integrated out (math.md, equation 11), and draws of that σ.

With G = R Z Λ and G Gᵀ = U diag(d) Uᵀ, e = Uᵀ(z − R β₀), the pseudo-rows (R, z) of a group have, given σ,

    p(z | σ) = ∏_k Normal(e_k; 0, d_k + σ²),     times σ^−ν exp(−rss / 2σ²) of the rows without predictors.

In t = log σ that, times the prior, is integrated by the trapezoid rule, which for a smooth integrand that
decays converges faster than any power of the step h: its error is 2 exp(−2π²w²/h²) for a Gaussian of sd w, and
about exp(−π²/2h) for the tails of a gamma. If sums over every second or every fourth node differ, h is halved: even
and odd nodes may agree by chance, by their position around the integrand's peak; every fourth nodes then do not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from priorhood.engines.exact.kernels.upward import FAST

STEP = 0.85  # in sds of the integrand
WIDEST = 0.2  # step of a wide integrand
DROP = 20.0  # in logs, from the outermost point at which the integrand may rise down to the first node
TAIL = 1e-10  # share of the sum at which the nodes end
AGREE = 0.003  # relative difference of even and odd nodes: the error of the whole is at most its square
QUARTER = 0.2  # the same for every fourth node, |Σ iᵏ f_k|, at any position: a Gaussian's is 0.18 at STEP
HALVINGS = 8
APART = 2.0  # in logs, by which a prior is far below the rows' σ …
CLOSE = 1e-3  # … and the accuracy to which the point where the two meet is found
LOWEST, HIGHEST = -300.0, 340.0  # log σ whose square a double holds


class LogPrior(NamedTuple):
    """Log density of a group's x = log σ − m, without a constant.

    −precision·x²/2 + power·x − linear·σ − square·σ²/2 − cauchy·log(1 + heavy·σ²)
    """

    m: float
    precision: float
    power: float
    linear: float
    square: float
    cauchy: float
    heavy: float


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def rotate(R, z, rank, lam, cols, beta, G, d, e):
    """Fill G (r, K) with the orthogonal rows Uᵀ R Z Λ, d with their squares, and e = Uᵀ(z − Rβ).

    One-sided Jacobi: pairs of rows of R Z Λ are turned until all are orthogonal, so that a small d is as
    exact as a large one; two rows take a single turn.
    """
    K = cols.shape[0]
    for i in range(rank):
        left = z[i]
        for c in range(R.shape[1]):
            left -= R[i, c] * beta[c]
        e[i] = left
        for k in range(K):
            total = 0.0
            for l in range(k, K):
                total += R[i, cols[l]] * lam[l, k]
            G[i, k] = total
    for _ in range(30):
        turned = False
        for p in range(rank - 1):
            for q in range(p + 1, rank):
                turned = _turn(G, e, p, q, K) or turned
        if not turned or rank == 2:
            break
    for i in range(rank):
        total = 0.0
        for k in range(K):
            total += G[i, k] * G[i, k]
        d[i] = total


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _turn(G, e, p, q, K):
    """Turn rows p and q of G until orthogonal, and e with them; return whether they were not orthogonal."""
    alpha = beta = gamma = 0.0
    for k in range(K):
        alpha += G[p, k] * G[p, k]
        beta += G[q, k] * G[q, k]
        gamma += G[p, k] * G[q, k]
    if gamma * gamma <= 1e-31 * alpha * beta or gamma == 0.0:
        return False
    zeta = (beta - alpha) / (2.0 * gamma)
    tangent = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1.0 + zeta * zeta))
    cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
    sine = cosine * tangent
    for k in range(K):
        x = G[p, k]
        G[p, k] = cosine * x - sine * G[q, k]
        G[q, k] = sine * x + cosine * G[q, k]
    x = e[p]
    e[p] = cosine * x - sine * e[q]
    e[q] = sine * x + cosine * e[q]
    return True


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _rises(prior, rss, n):
    """Return x = log σ − m up to which the integrand of a group with surplus rows rises, and rss/σ² there.

    Its slope is at least −κx − n + rss/σ², which falls with x. Newton's steps approach the root of that from the
    left, so that any number of them is valid.
    """
    a = 0.5 * math.log(rss / n) - prior.m
    if prior.precision == 0.0:
        low = _prior_rises(prior)
        a = _between(prior, rss, n, low, a) if a - low > APART else min(a, low)
        return a, rss * math.exp(-2.0 * (a + prior.m))
    # At the root rss/σ² = n + κx, and x is at most the a of the rows alone.
    a = max(0.0, a - 0.5 * math.log(1.0 + prior.precision * a / n)) if a > 0.0 else a
    q = rss * math.exp(-2.0 * (a + prior.m))
    for _ in range(3):
        step = (q - n - prior.precision * a) / (prior.precision + 2.0 * q)
        a += step
        q = rss * math.exp(-2.0 * (a + prior.m))
        if step * step * (prior.precision + 2.0 * q) < 0.1:
            break
    return a, q


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _between(prior, rss, n, low, high):
    """Return the x up to which the integrand rises under a prior far below the rows' σ, between low and high.

    Its slope is at least rss/σ² + power − n less the prior's pull, which falls with x. Bisection finds where that
    is 0, from below, so that the integrand rises up to there.
    """
    while high - low > CLOSE:
        x = 0.5 * (low + high)
        square = math.exp(2.0 * (x + prior.m))
        pull = prior.linear * math.sqrt(square) + prior.square * square
        pull += 2.0 * prior.cauchy * prior.heavy * square / (1.0 + prior.heavy * square)
        if rss / square + prior.power - n > pull:
            low = x
        else:
            high = x
    return low


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _first_node(prior, nu, rss, rank, d, e):
    """Return the x at which the nodes begin, DROP below the integrand's peak, and its curvature's bound; see _bend.

    Without surplus rows the likelihood is flat as σ goes to 0: where σ² ≪ d_k or σ² < e_k² − d_k, the k-th term
    hardly falls, or rises, and the prior's slope prevails.
    """
    n = nu + rank
    if rss > 0.0:
        a, q = _rises(prior, rss, n)
        gap = DROP / (0.5 * prior.precision + q)
        reach = min(math.sqrt(gap), 0.5 * math.log(1.0 + 2.0 * DROP / q + 2.0 * math.sqrt(gap)))
        return a - reach, _bend(prior, q, rss, n, rank, d, e, rss / q)
    flat = math.inf
    share = 0.5 * (prior.power if prior.precision == 0.0 else min(prior.precision, 1.0)) / rank
    for k in range(rank):
        flat = min(flat, max(d[k] * share, e[k] * e[k] - d[k]))
    flat = 0.5 * math.log(max(flat, 1e-290)) - prior.m
    bend = _bend(prior, n, rss, n, rank, d, e, 0.0)
    if prior.precision > 0.0:
        a = max(-n / prior.precision, min(flat, -rank * share / prior.precision))
        return a - math.sqrt(2.0 * DROP / prior.precision), bend
    return min(flat, _prior_rises(prior)) - (DROP + 1.0) / prior.power, bend


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _bend(prior, q, rss, n, rank, d, e, least):
    """Return a bound of Q = rss/σ² + Σ e²σ²/(d + σ²)² at the integrand's peak, whose curvature is at most κ + 2Q.

    q : of the rows without predictors; least : σ² below which the integrand only rises. At the peak, Q is
    also n plus the prior's pull, which is large for a group far from the others.
    """
    total = rss
    for k in range(rank):
        total += e[k] * e[k]
        q += e[k] * e[k] / max(4.0 * d[k], least, 1e-290)
    if q <= 2.0 * n:
        return max(q, n)
    pull = prior.linear * math.sqrt(total / n) + prior.square * total / n + 2.0 * prior.cauchy
    return max(n, min(q, n + pull + prior.precision * max(0.5 * math.log(total / n) - prior.m, 0.0)))


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _prior_rises(prior):
    """Return the x up to which a prior without a Gaussian in log σ rises at least half as steeply as at 0."""
    sigma = (
        0.25
        * prior.power
        / (
            prior.linear
            + math.sqrt(prior.square * prior.power)
            + math.sqrt(prior.cauchy * prior.heavy * prior.power)
            + 1e-300
        )
    )
    return math.log(sigma) - prior.m


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def march(prior, nu, rss, rank, d, e, norm, x, h, ref, target):
    """Sum the integrand f over the nodes x, x + h, …, in units of exp(ref).

    Ends where the integrand only falls and is TAIL of its sum, or where the sum passes `target`. norm (rank,)
    holds divisors of the d_k + σ², which the caller must account for; norm and ref are renewed where the
    integrand outgrows them, unless a target is given, which is in their units. Returns Σ f_k, |Σ (−1)ᵏ f_k|,
    |Σ iᵏ f_k|, ref, and the last x.
    """
    searching = target < math.inf
    square = math.exp(2.0 * (x + prior.m))
    ratio = math.exp(2.0 * h)
    inv, back = 1.0 / square, 1.0 / ratio
    s0 = s1 = s2 = s3 = 0.0  # of every fourth node; s3 has the last one
    first = not searching
    while True:
        log = (prior.power - nu - 0.5 * prior.precision * x) * x - 0.5 * (rss * inv + prior.square * square)
        if prior.linear > 0.0:
            log -= prior.linear * math.sqrt(square)
        if prior.cauchy > 0.0:
            log -= prior.cauchy * math.log1p(prior.heavy * square)
        shrunk = 1.0
        for k in range(rank):
            own = 1.0 / (d[k] + square)
            log -= 0.5 * e[k] * e[k] * own
            shrunk *= norm[k] * own
        if not searching and (first or log - ref > 50.0 or shrunk < 1e-150 or shrunk > 1e150):
            scale = 0.0 if first else math.exp(ref - log)
            for k in range(rank):
                scale *= math.sqrt((d[k] + square) / norm[k])
                norm[k] = d[k] + square
            s0, s1, s2, s3 = s0 * scale, s1 * scale, s2 * scale, s3 * scale
            ref = log
            shrunk = 1.0
            first = False
        height = math.exp(log - ref) * math.sqrt(shrunk)
        s0, s1, s2, s3 = s1, s2, s3, s0 + height
        total = s0 + s1 + s2 + s3
        done = total > target or x + prior.m > HIGHEST or not math.isfinite(total)
        if done or (height < TAIL * total and _falls(prior, nu, rss, rank, d, e, x, square)):
            return total, abs(s0 - s1 + s2 - s3), math.hypot(s0 - s2, s1 - s3), ref, x
        x += h
        square *= ratio
        inv *= back


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _falls(prior, nu, rss, rank, d, e, x, s2):
    """Return whether the integrand falls from x on: a decreasing bound of its slope is negative.

    The k-th term's is e²σ²/(d + σ²)², at most e²/σ² and at most e²/4d.
    """
    slope = prior.power - nu - prior.precision * x + rss / s2 - prior.square * s2 - prior.linear * math.sqrt(s2)
    slope -= 2.0 * prior.cauchy * prior.heavy * s2 / (1.0 + prior.heavy * s2)
    for k in range(rank):
        slope += e[k] * e[k] / max(s2, 4.0 * d[k])
    return slope < 0.0


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def log_integral(prior, nu, rss, rank, d, e, norm):
    """Return log ∫ exp(…) dx by the trapezoid rule, the first node and the step."""
    start, q = _first_node(prior, nu, rss, rank, d, e)
    start = max(start, LOWEST - prior.m)
    h = 1.0 / math.sqrt((prior.precision + 2.0 * q) / STEP**2 + 1.0 / WIDEST**2)
    total = ref = x = 0.0
    for _ in range(HALVINGS):
        for k in range(rank):
            norm[k] = 1.0
        x = start - 0.5 * h
        total, twos, fours, ref, _end = march(prior, nu, rss, rank, d, e, norm, x, h, 0.0, math.inf)
        if twos <= AGREE * total and fours <= QUARTER * total:
            break
        h *= 0.5
    height = ref + math.log(total * h)
    for k in range(rank):
        height -= 0.5 * math.log(norm[k])
    return height, x, h


@nb.njit(cache=True, nogil=True)
def space(rows, K):
    """Return scratch of one thread: G, d, e, norm."""
    return np.empty((rows, K)), np.empty(rows), np.empty(rows), np.empty(rows)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _log_integrals(R, z, rank, nu, rss, cols, lam, beta, priors, out):
    """Sum equation (11) over the groups, for a batch of θ: lam (S, K, K), beta (S, D), priors (S, 7)."""
    G, d, e, norm = space(R.shape[1], cols.shape[0])
    for s in range(len(out)):
        p = priors[s]
        prior = LogPrior(p[0], p[1], p[2], p[3], p[4], p[5], p[6])
        total = 0.0
        for j in range(R.shape[0]):
            rotate(R[j], z[j], rank[j], lam[s], cols, beta[s], G, d, e)
            height, _x, _h = log_integral(prior, nu[j], rss[j], rank[j], d, e, norm)
            total += height
        out[s] = total


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _draw_noise(R, z, rank, nu, rss, cols, lam, beta, priors, uniform, normal, sigma, effects):
    """Draw σ_j and β_j of every group for a batch of θ: sigma (S, J), effects (S, K, J).

    The nodes are shifted by a uniform part of a step and one of them is drawn by its height: σ then has its
    posterior, as exactly as the sum is the integral, and no grid. The step does not depend on the shift: if it were
    halved where the shifted nodes disagree, places where they agree by chance would have too many draws.

    Given σ, with ε₀, η ~ Normal(0, I), ε = ε₀ + Gᵀ(G Gᵀ + σ²I)⁻¹(z − Rβ₀ − Gε₀ − ση) has that of equation (10), and
    β_j = Zᵀβ₀ + Λε.
    """
    K = cols.shape[0]
    G, d, e, norm = space(R.shape[1], K)
    for s in range(sigma.shape[0]):
        p = priors[s]
        prior = LogPrior(p[0], p[1], p[2], p[3], p[4], p[5], p[6])
        for j in range(R.shape[0]):
            r = rank[j]
            rotate(R[j], z[j], r, lam[s], cols, beta[s], G, d, e)
            _height, x, h = log_integral(prior, nu[j], rss[j], r, d, e, norm)
            x += (uniform[s, 0, j] - 0.5) * h
            for k in range(r):
                norm[k] = 1.0
            total, _twos, _fours, ref, _end = march(prior, nu[j], rss[j], r, d, e, norm, x, h, 0.0, math.inf)
            target = uniform[s, 1, j] * total
            _total, _twos, _fours, _ref, x = march(prior, nu[j], rss[j], r, d, e, norm, x, h, ref, target)
            sd = math.exp(x + p[0])
            sigma[s, j] = sd
            noise = normal[s, :, j]
            # In the turned rows: G has orthogonal rows there, so that its Gram matrix is diagonal.
            for i in range(r):
                left = e[i] - sd * noise[K + i]
                for k in range(K):
                    left -= G[i, k] * noise[k]
                norm[i] = left / (d[i] + sd * sd)
            for k in range(K):
                own = noise[k]
                for i in range(r):
                    own += G[i, k] * norm[i]
                for l in range(k, K):
                    effects[s, l, j] += lam[s, l, k] * own
