"""calibrate on nested and crossed groupings: the engine passes; truths from another tree do not.

False-alarm rate of one call: 1 % for a fresh seed; the seeds are fixed.
"""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.model.hierarchy import Hierarchy

pytestmark = [pytest.mark.long, pytest.mark.once]

PRIORS = ["tau ~ HalfNormal(1)", "sigma ~ HalfNormal(1)", "mu ~ Normal(0, 2)"]
NESTED = "y ~ x + (1 | district/zip)"
CROSSED = "y ~ x + (1 | zip) + (0 + x | kind)"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    z = np.concatenate([np.arange(12), rng.integers(0, 12, 48)])
    frame = pd.DataFrame({"zip": z, "district": z // 3, "kind": rng.integers(0, 3, 60)}).astype(str)
    return frame.assign(x=rng.normal(size=60), y=rng.normal(size=60))


def calibrated(formula, rows, refits, seed):
    return ph.calibrate(ph.Model(formula, PRIORS, outcome_unit=1), rows, refits=refits, seed=seed)


@pytest.mark.parametrize("formula", [NESTED, CROSSED])
def test_the_engine_is_calibrated(formula, rows):
    found = calibrated(formula, rows, 60, 1)
    assert found.passed, str(found)
    names = {name.partition("[")[0] for name in found.quantities}
    assert {"beta_district", "tau_district"} <= names or {"delta_kind", "tau_kind"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("formula", ["y ~ x + (x | district/zip)", "y ~ x + (x | zip) + (x || kind)"])
def test_the_engine_is_calibrated_in_many_refits(formula, rows):
    found = calibrated(formula, rows, 1000, 2)
    assert found.passed, str(found)


def test_a_wrong_parent_is_seen(rows, monkeypatch):
    """Negative control: truths whose ZIPs are drawn around other districts than they lie in."""

    module = importlib.import_module("priorhood.evaluation.sbc")  # the package exports the function of this name
    right = module.draw_prior

    def wrong(data, *rest):
        finest, *above = data.hierarchy.levels
        elsewhere = replace(finest, parent=np.arange(finest.size) % 4)
        moved = replace(data)
        vars(moved)["hierarchy"] = Hierarchy((elsewhere, *above), data.hierarchy.crossed)
        return right(moved, *rest)

    monkeypatch.setattr(module, "draw_prior", wrong)
    assert not calibrated(NESTED, rows, 60, 1).passed


def test_crossed_effects_too_wide_are_seen(rows, monkeypatch):
    """Negative control: truths whose crossed effects are twice what their spread says."""
    module = importlib.import_module("priorhood.evaluation.sbc")  # the package exports the function of this name
    right = module.draw_prior

    def wrong(*args):
        truth = right(*args)
        across = replace(truth.effects[1], beta=2 * truth.effects[1].beta)
        return replace(truth, effects=(truth.effects[0], across))

    monkeypatch.setattr(module, "draw_prior", wrong)
    assert not calibrated(CROSSED, rows, 60, 1).passed
