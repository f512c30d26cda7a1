"""Formulas that messages and assess propose are whole: fit takes them, and gets further."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import priorhood as ph
from priorhood.model.formula import parse, same_formula, written_out

HOW = {"seed": 1, "draws": 50, "chains": 2}


def proposed(text):
    """The formulas of a message."""
    found = re.findall(r"(?:fit|or) '([^']+ ~ [^']+)'", text)
    assert found, text
    return found


def taken(formulas, frame, **how):
    for formula in formulas:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ph.PriorhoodWarning)
            ph.fit(formula, frame, **HOW, **how)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    n = 600
    g = rng.integers(0, 15, n)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "g": [f"g{one:02d}" for one in g], "again": [f"a{one:02d}" for one in g], "one": "same",
            "kind": rng.choice(["flat", "house"], n), "x": x, "my size": np.exp(x),
            "y": 50 + 3 * x + rng.normal(size=15)[g] + rng.normal(size=n),
        }
    )  # fmt: skip


def bad(frame, formula, about, **options):
    found = ph.assess(ph.fit(ph.Model(formula, **options), frame, seed=1, draws=200), frame)
    return next(v.text for v in found.bad if v.about == about)


def test_a_slope_that_is_to_vary(rows):
    frame = rows.assign(y=rows.y - np.where(rows.g == "g05", 6 * rows.x, 0))
    formulas = proposed(bad(frame, "y ~ x + kind + (1 | g)", "slope of x"))
    assert formulas == ["y ~ x + kind + (x | g)"]
    taken(formulas, frame)


def test_a_category_that_is_to_vary(rows):
    frame = rows.assign(y=rows.y - np.where((rows.g == "g05") & (rows.kind == "house"), 8, 0))
    formulas = proposed(bad(frame, "y ~ x + kind + (1 | g)", "slope of kind[house]"))
    assert formulas == ["y ~ x + kind + (kind | g)"]
    taken(formulas, frame)


def test_a_level_that_is_to_vary(rows):
    frame = rows.assign(y=rows.y + np.where(rows.g == "g07", 6, 0))
    formulas = proposed(bad(frame, "y ~ x + (0 + x | g)", "level"))
    assert formulas == ["y ~ x + (x | g)"]
    taken(formulas, frame)


@pytest.mark.parametrize("part", ["(1 | g)", "(x | g)", "(0 + kind | g)"])
def test_what_is_there_is_not_proposed_again(rows, part):
    """The level varies already: the prior or a few rows are what holds it."""
    from priorhood.evaluation.assess import LEVEL, _place_words, assess

    post = ph.fit(f"y ~ x + {part}", rows, **HOW)
    assert "give tau a wider prior" in _place_words(assess(post, rows), LEVEL)[1]


def test_a_line_that_bends(rows):
    from priorhood.evaluation.assess import _place_words, assess

    found = assess(ph.fit("y ~ `my size` + kind + (`my size` + kind | g)", rows, **HOW), rows)
    formulas = proposed(_place_words(found, "slope of my size")[1])
    assert formulas == ["y ~ `my size` + kind + I(`my size` ** 2) + (`my size` + kind | g)"]
    taken(formulas, rows)
    assert _place_words(found, "slope of kind[house]")[1] == "inspect these rows"


def test_a_long_tail(rows):
    frame = rows.assign(y=np.exp(rows.y / 4))
    for formula in proposed(bad(frame, "y ~ x + (1 | g)", "intervals")):
        assert formula == "log(y) ~ x + (1 | g)"
        taken([formula], frame)


@pytest.mark.parametrize(
    "part", ["(1 | again/g)", "(x | one/g)", "(1 | g) + (1 | one)", "(1 | one)", "(x || one) + (1 | g)"]
)
def test_groupings_that_tell_nothing(rows, part):
    with pytest.raises(ph.ModelError) as problem:
        ph.fit(f"y ~ x + {part}", rows)
    taken(proposed(str(problem.value)), rows)


def test_a_slope_that_is_constant_within_places(rows):
    places = pd.DataFrame({"g": sorted(set(rows.g)), "far": np.arange(15.0)})
    for part in ("(far | g)", "(0 + far | g)", "(x + far | g)"):
        with pytest.raises(ph.FormulaError, match="constant within every g") as problem:
            ph.fit(f"y ~ x + {part}", rows, places=places)
        formulas = proposed(str(problem.value))
        assert "+ far +" in formulas[0]
        taken(formulas, rows, places=places)


def test_too_many_categories(rows):
    rng = np.random.default_rng(3)
    frame = rows.assign(street=[f"s{one}" for one in rng.integers(0, 150, len(rows))])
    for formula, wanted in (
        ("y ~ x + street", "y ~ x + (1 | street)"),
        ("y ~ x*street", "y ~ x + (1 | street)"),
        ("y ~ x + street + (1 | street)", "y ~ x + (1 | street)"),
    ):
        with pytest.raises(ph.TableError, match=r"has 1\d\d categories") as problem:
            ph.fit(formula, frame)
        assert proposed(str(problem.value)) == [wanted]
        taken([wanted], frame)


TERMS = [
    "a",
    "b",
    "a:b",
    "`my size`",
    "log(a)",
    "I(a ** 2)",
    "C(k)",
    'C(f, Treatment("x y"))',
    "a:`my size`",
    "1",
    "0",
]
PATHS = ["g", "g:h", "`post code`", "h", "g/h"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    population=st.lists(st.sampled_from(TERMS), min_size=1, max_size=5, unique=True),
    parts=st.lists(
        st.tuples(
            st.lists(st.sampled_from(TERMS), min_size=1, max_size=3, unique=True), st.sampled_from(["|", "||"]),
            st.sampled_from(PATHS),
        ), max_size=3, unique_by=lambda part: part[2].replace("g/h", "g:h"),
    ),
    outcome=st.sampled_from(["y", "log(y)", "log(y / z)", "`the price`"]),
)  # fmt: skip
def test_a_formula_written_out_is_that_formula(population, parts, outcome):
    text = f"{outcome} ~ {' + '.join(population)}"
    text += "".join(f" + ({' + '.join(terms)} {bar} {path})" for terms, bar, path in parts)
    try:
        formula = parse(text)
    except ph.FormulaError:
        return  # what no formula can be is tested elsewhere
    again = parse(written_out(formula))
    assert same_formula(again, formula)
    assert written_out(again) == written_out(formula)


@pytest.mark.parametrize(("factor", "good"), [(1.0, True), (0.001, False), (2.0, False)])
def test_other_rows_far_from_their_predictions_are_not_good(rows, factor, good):
    post = ph.fit("y ~ x + (1 | g)", rows[::2], **HOW)
    others = rows[1::2]
    verdict = next(v for v in ph.assess(post, others.assign(y=factor * others.y)) if v.code == "intervals")
    assert verdict.good is good
    assert ("the same units" in verdict.text) is not good


def test_distance_of_other_rows_is_tested_whatever_their_dependence(rows):
    """Copies of a row, which depend on each other as much as rows can, do not make it rarer."""
    post = ph.fit("y ~ x + (1 | g)", rows, **HOW)
    off = rows.head(1).assign(y=rows.y.iloc[0] + 3.5)
    one, many = (ph.assess(post, pd.concat([off] * count)).residuals for count in (1, 500))
    assert one.p_far == pytest.approx(many.p_far)
    assert one.p_far < 1
