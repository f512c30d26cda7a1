"""Calibration counts refused refits by the reasons that their errors carry."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import priorhood as ph
from priorhood.datasets import simulate
from priorhood.engines import exact
from priorhood.errors import SamplingError


def test_every_refusal_of_the_exact_engine_has_a_reason():
    """Messages have numbers that differ from one simulated outcome to the next."""
    calls = [
        call
        for path in Path(exact.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "SamplingError"
    ]
    assert len(calls) > 5
    assert all("reason" in {word.arg for word in call.keywords} for call in calls)


def test_a_reason_is_the_message_without_numbers_and_advice():
    sales, _ = simulate(8, 100, seed=1)
    post = ph.fit("price ~ living_space", sales, chains=1, draws=50, seed=1)
    with pytest.raises(SamplingError) as refused:
        post.refit(priors="sigma ~ HalfNormal(1e-12)")
    assert refused.value.reason in str(refused.value)
    assert "Give" not in refused.value.reason
    assert SamplingError("all of it").reason == "all of it"


@pytest.mark.once
def test_refused_refits_are_counted_by_their_reason():
    sales, _ = simulate(8, 100, seed=1)
    found = ph.calibrate(
        ph.Model("price ~ living_space + (1 | zip)", ["sigma ~ LogNormal(0, 12)"]),
        sales,
        refits=20,
        draws=19,
        seed=1,
    )
    refused = dict(found.refused)
    assert sum(refused.values()) == found.refits - len(found.ranks) > 1
    assert len(refused) < sum(refused.values())
