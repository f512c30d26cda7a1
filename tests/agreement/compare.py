"""Two sets of draws of one posterior: do they agree within Monte Carlo error?

Every scalar parameter gives four z-scores: mean, sd, and the shares below the pooled 5 % and 95 % quantiles,
each with the Monte Carlo errors of both sides from the effective sample size of that very quantity. Of some
2,000 of them (450 parameters) a bound of Z = 5 raises a false alarm in 0.1 % of the seeds; the effective sample
sizes are estimates themselves, with an error of some 10 %, which the bound leaves room for.

One sd is known to 1/√(2 ESS), 1 % at best, so that a single z-score misses an sd that is 3 % off. Over all places
together it does not: the mean of log(sd₁/sd₂) over the elements of a parameter is compared with its own Monte
Carlo error, from BATCHES pieces of each side's chains (Student's t with about 2 (BATCHES − 1) degrees of
freedom: beyond 5.5 in 1e-5 of the cases). Its error is asserted to be small enough to catch 3 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from arviz_stats.base import array_stats

if TYPE_CHECKING:
    import priorhood as ph

Z = 5.0
Z_POOLED = 5.5
BATCHES = 16
CAUGHT = 0.03  # an error of a scale that must not pass


def flat(post: ph.Posterior, name: str) -> np.ndarray:
    """(chain, draw, element), without elements that are constant."""
    values = post[name].values
    values = values.reshape(*values.shape[:2], -1)
    return values[:, :, values.std(axis=(0, 1)) > 1e-12]


def _ess(draws: np.ndarray, **which: object) -> np.ndarray:
    return np.asarray(array_stats.ess(draws, chain_axis=0, draw_axis=1, **which))


def z_scores(one: np.ndarray, two: np.ndarray) -> dict[str, np.ndarray]:
    """For draws (chain, draw, element): z-scores (element,) of mean, sd, q5 and q95."""
    sides = (one, two)
    mean = [d.mean(axis=(0, 1)) for d in sides]
    sd = [d.std(axis=(0, 1), ddof=1) for d in sides]
    error = [s / np.sqrt(_ess(d, method="mean")) for s, d in zip(sd, sides, strict=True)]
    found = {"mean": (mean[0] - mean[1]) / np.hypot(*error)}
    kurtosis = [((d - m) ** 4).mean(axis=(0, 1)) / s**4 for d, m, s in zip(sides, mean, sd, strict=True)]
    error = [
        s * np.sqrt((k - 1) / 4 / _ess((d - m) ** 2, method="mean"))
        for s, k, d, m in zip(sd, kurtosis, sides, mean, strict=True)
    ]
    found["sd"] = (sd[0] - sd[1]) / np.hypot(*error)
    pooled = np.concatenate([d.reshape(-1, d.shape[2]) for d in sides])
    for name, level in (("q5", 0.05), ("q95", 0.95)):
        at = np.quantile(pooled, level, axis=0)
        below = [(d < at).astype(float) for d in sides]
        share = [b.mean(axis=(0, 1)) for b in below]
        error = [np.sqrt(level * (1 - level) / _ess(b, method="mean")) for b in below]
        found[name] = (share[0] - share[1]) / np.hypot(*error)
    return found


def _batches(draws: np.ndarray) -> np.ndarray:
    """Mean over elements of log sd, in BATCHES pieces of the chains; each around the mean of all draws."""
    away = (draws - draws.mean(axis=(0, 1))) ** 2
    pieces = np.concatenate(np.array_split(away, BATCHES // len(draws), axis=1))
    overall = away.mean(axis=(0, 1))
    # Linear in the pieces' variances, so that short pieces are not biased.
    return 0.5 * (pieces.mean(axis=1) / overall - 1).mean(axis=1) + 0.5 * np.log(overall).mean()


def pooled_scale(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    """Mean over elements of log(sd₁/sd₂), and its Monte Carlo error."""
    sides = [_batches(d) for d in (one, two)]
    error = np.hypot(*(s.std(ddof=1) / np.sqrt(len(s)) for s in sides))
    return float(sides[0].mean() - sides[1].mean()), float(error)


def disagreements(one: ph.Posterior, two: ph.Posterior) -> list[str]:
    """Everything that differs beyond Monte Carlo error, in words; empty where the posteriors agree."""
    assert one.parameters == two.parameters
    assert one.tree["posterior"].to_dataset()["mu"].dims == two.tree["posterior"].to_dataset()["mu"].dims
    found = []
    for name in one.parameters:
        mine, theirs = flat(one, name), flat(two, name)
        assert mine.shape[2] == theirs.shape[2]
        for what, z in z_scores(mine, theirs).items():
            worst = int(np.nanargmax(np.abs(z)))
            if not abs(z[worst]) < Z:
                found.append(f"{name}, element {worst}: {what} z = {z[worst]:.1f}")
        if mine.shape[2] > 20:
            ratio, error = pooled_scale(mine, theirs)
            assert Z_POOLED * error < CAUGHT, f"{name}: too few draws to see {CAUGHT:.0%} (error {error:.4f})"
            if abs(ratio) > Z_POOLED * error:
                found.append(f"{name}: sds differ by {ratio:.1%} ± {error:.1%}")
    return found
