"""A file saved by an earlier version goes on loading, and means the same.

files/format1.nc was written by version 0.1.0 from 60 simulated sales in 4 places (seed 7), 2 chains of 25
draws. It is never written again: a change of the format adds a file beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import priorhood as ph

FORMAT_1 = Path(__file__).parent / "files" / "format1.nc"


def test_format_1_loads_and_predicts_what_it_did():
    post = ph.load(FORMAT_1)
    assert post.model.formula.text == "log(price) ~ log(living_space) + kind + (log(living_space) | zip)"
    assert post.priors()["tau"] == ph.HalfNormal(2)
    assert post.moments.labels.tolist() == ["10115", "11136", "12157", "13178"]
    assert post.moments.rows == 60
    row = post.predict({"zip": "10115", "living_space": 80, "kind": "loft"}).iloc[0]
    assert row["mean"] == pytest.approx(424234.2102771705, rel=1e-6)
    assert row["q95"] == pytest.approx(520248.40268986527, rel=1e-6)


def test_format_1_can_be_fitted_again():
    again = ph.refit(ph.load(FORMAT_1), priors="tau ~ Exponential(1)", draws=200)
    assert again.priors()["tau"] == ph.Exponential(1)
    assert again["beta"].sizes["zip"] == 4
