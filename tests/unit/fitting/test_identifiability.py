"""Notes on what the rows hardly inform, and on known noise in another unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

FORMULA = "price ~ area + (area | zip)"


@pytest.fixture(scope="module")
def homes():
    """600 homes in 20 places with sigma 40,000 and slopes that differ."""
    rng = np.random.default_rng(3)
    area, place = rng.uniform(30, 150, 600), np.arange(600) % 20
    price = 2e5 + rng.normal(0, 4e4, 20)[place] + (3e3 + rng.normal(0, 500, 20)[place]) * area
    return pd.DataFrame(
        {"zip": [f"1{p:04d}" for p in place], "area": area, "price": price + rng.normal(0, 4e4, 600), "se": 4e4}
    )


def notes(model, rows):
    """The notes of a fit, which are its warnings."""
    with pytest.warns(ph.PriorhoodWarning) as warned:
        post = ph.fit(model, rows, chains=2, draws=20, seed=1)
    assert [str(one.message) for one in warned] == list(post.notes)
    return " ".join(post.notes)


def quiet(model, rows):
    assert ph.fit(model, rows, chains=2, draws=20, seed=1).notes == ()


@pytest.mark.parametrize("text", [FORMULA, "price ~ area + (1 | zip)", "price ~ area"])
@pytest.mark.parametrize(("value", "side"), [(40_000, "larger"), (30, "larger"), (0.004, "smaller")])
def test_a_known_sigma_in_another_unit_is_told(homes, text, value, side):
    said = notes(ph.Model(text, f"sigma ~ Fixed({value})"), homes)
    assert f"sigma ~ Fixed(value={value}) is" in said
    assert (
        f"times {side} than the scatter of the rows {'within zips' if '|' in text else 'around the line'}" in said
    )
    assert "1 is 100,000 price" in said


def test_the_value_that_the_note_states_is_no_surprise(homes):
    said = notes(ph.Model(FORMULA, "sigma ~ Fixed(40000)"), homes)
    scatter = float(said.partition("the scatter is ")[2].partition(",")[0])
    assert scatter == pytest.approx(0.4, rel=0.1)
    quiet(ph.Model(FORMULA, f"sigma ~ Fixed({scatter})"), homes)


@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_known_noise_of_the_right_size_is_not_told(homes, factor):
    quiet(ph.Model(FORMULA, f"sigma ~ Fixed({0.4 * factor})"), homes)
    quiet(ph.Model(FORMULA, se="se"), homes.assign(se=4e4 * factor))


@pytest.mark.parametrize(
    ("factor", "side"), [(1e-3, "smaller"), (1 / 60, "smaller"), (60, "larger"), (1e3, "larger")]
)
def test_known_errors_in_another_unit_are_told(homes, factor, side):
    said = notes(ph.Model(FORMULA, se="se"), homes.assign(se=4e4 * factor))
    times = max(factor, 1 / factor)
    told = float(said.partition("'se' are ")[2].partition(" times")[0].replace(",", ""))
    assert told == pytest.approx(times, rel=0.1)
    assert f"times {side} than the scatter of the rows within zips; are they in another unit?" in said


def test_logs_and_weights(homes):
    """Known errors of a log outcome are those of the log; a row that stands for several counts as often."""
    logs = ph.Model("log(price) ~ area + (1 | zip)", se="se", frequency_weights="n")
    quiet(logs, homes.assign(se=0.1, n=2))
    assert "times larger" in notes(logs, homes.assign(n=2))


def test_one_row_a_place_says_nothing_about_known_errors():
    """What the studies of a meta-analysis differ by may be any multiple of their errors."""
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"study": [f"s{i}" for i in range(30)], "effect": rng.normal(0, 5, 30), "se": 0.01})
    quiet(ph.Model("effect ~ 1 + (1 | study)", se="se"), rows)
