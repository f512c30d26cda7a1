"""Few groups, few rows, spreads near 0: the engine reaches its quality, and never returns less in silence.

Deterministic: data and draws have fixed seeds. The bounds leave out what refusal is for (Pareto k, stays).
"""

from __future__ import annotations

import importlib
import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest

import priorhood as ph

pytestmark = [pytest.mark.long, pytest.mark.once]

# The package exports the function of this name too.
explore = importlib.import_module("priorhood.engines.exact.sampler")

DESIGNS = list(itertools.product([3, 20, 100], [1, 2, 5], [0.0, 2.0], ["(1 | g)", "(x || g)", "(x | g)"]))


def rows(J, per, tau):
    rng = np.random.default_rng([J, per, int(tau)])
    group = np.repeat(np.arange(J), per)
    x = rng.normal(size=len(group))
    effect = tau * rng.normal(size=(J, 2))[group]
    y = 1 + x + effect[:, 0] + effect[:, 1] * x + rng.normal(size=len(group))
    return {"g": [f"g{i}" for i in group], "x": x, "y": y}


@pytest.mark.parametrize(("J", "per", "tau", "part"), [d for d in DESIGNS if d[0] * d[1] >= 6])
def test_hard_designs_reach_the_quality(J, per, tau, part):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)  # one row a group: said, and fitted
        post = ph.fit(f"y ~ x + {part}", rows(J, per, tau), seed=1)
    summary = post.summary([name for name in post.parameters if name != "beta"])
    assert summary["ess_bulk"].min() > 2000
    assert summary["r_hat"].max() < 1.01
    assert post.attrs["pareto_k"] <= explore.PARETO_LIMIT


def test_a_proposal_that_misses_the_posterior_is_refused(monkeypatch):
    """Negative control: a proposal a tenth as wide as the posterior is refused, not believed."""
    fitted = explore.refine
    widened = explore.widen

    def shrunk(mixture):
        return explore.Mixture(mixture.weights, mixture.means, tuple(0.1 * f for f in mixture.factors))

    def refined(*args):
        found = fitted(*args)
        return replace(found, mixture=shrunk(found.mixture))

    monkeypatch.setattr(explore, "refine", refined)
    monkeypatch.setattr(explore, "nearly_normal", lambda refined: [])  # it would find the posterior again
    monkeypatch.setattr(explore, "widen", lambda *args: shrunk(widened(*args)))
    with pytest.raises(ph.SamplingError, match=r"Pareto k.*tighter priors.*NUTS"):
        ph.fit("y ~ x + (x | g)", rows(20, 5, 2.0), seed=1)
