"""Draws against published means, sds and quantiles, within Monte Carlo error.

Each comparison is a z-score; with a few hundred of them a bound of Z = 4.7 (2.6e-6 two-sided) raises a
false alarm in under 0.3 % of the seeds. With 20,000 draws a scale is known to 0.5 %, so that an sd
wrong by 3 % is 6 standard errors away: the bound catches it (test_a_scale_off_by_3_percent_is_caught).
"""

from __future__ import annotations

import numpy as np
from arviz_stats.base import array_stats

Z = 4.7
LEVELS = {"q5": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


def z_scores(draws: np.ndarray, reference: dict[str, float]) -> dict[str, float]:
    """z-scores of mean, sd and the shares below the reference quantiles for draws (chains, draws).

    Monte Carlo errors of both sides count: `mcse_*` of the reference where it is made of draws.
    """
    ess = min(float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method=m)) for m in ("bulk", "mean"))
    sd = draws.std(ddof=1)
    found = {}
    error = np.hypot(sd / np.sqrt(ess), reference.get("mcse_mean", 0.0))
    found["mean"] = (draws.mean() - reference["mean"]) / error
    centred = draws - draws.mean()
    kurtosis = (centred**4).mean() / sd**4
    error = np.hypot(sd * np.sqrt((kurtosis - 1) / 4 / ess), reference.get("mcse_sd", 0.0))
    found["sd"] = (sd - reference["sd"]) / error
    for name, level in LEVELS.items():
        share = (draws < reference[name]).mean()
        # The reference quantile's own error, as a share: its mcse times the density there.
        width = np.quantile(draws, min(level + 0.02, 0.999)) - np.quantile(draws, level - 0.02)
        own = reference.get(f"mcse_{name}", 0.0) * 0.04 / width
        found[name] = (share - level) / np.hypot(np.sqrt(level * (1 - level) / ess), own)
    return found


def disagreements(pairs: dict[str, tuple[np.ndarray, dict[str, float]]]) -> list[str]:
    """All comparisons beyond Z, in words."""
    found = []
    for parameter, (draws, reference) in pairs.items():
        for what, z in z_scores(draws, reference).items():
            if not abs(z) < Z:
                found.append(f"{parameter}: {what} z = {z:.1f} (reference {reference.get(what)})")
    return found
