"""Sums of parts, pooled, against the sums of the rows together: any split, any order, categories that differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.model.design import union_design
from priorhood.suffstats.recode import recode

ROWS = 400
FORMULAS = (
    "y ~ x + (x | g)",
    "log(p) ~ log(q) + kind + (1 | g)",
    "y ~ x * kind + (1 + kind || g)",
    "y ~ 0 + kind + view + (1 | g)",
    "y ~ x + kind * view + (1 | g)",
    "y ~ x:kind + (x:kind | g)",
    "y ~ 0 + x:kind + x:view + (1 | g)",
    "y ~ kind + (0 + kind | g)",
    "y ~ kind + C(rooms) + (x | h/g)",
    "y ~ C(rooms):x + kind + (1 | g) + (1 | view)",
    "y ~ x + kind",
)
WEIGHTS = ({}, {"precision_weights": "w"}, {"se": "w"}, {"frequency_weights": "times"})


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(61)
    frame = pd.DataFrame(
        {
            "g": rng.choice([f"{k:03}" for k in range(9)], ROWS),
            "h": rng.choice(["north", "south"], ROWS),
            "x": rng.normal(3, 1, ROWS),
            "q": rng.lognormal(4, 0.4, ROWS),
            "kind": rng.choice(["flat", "house", "loft", "villa"], ROWS, p=[0.5, 0.3, 0.15, 0.05]),
            "view": rng.choice(["lake", "none", "yard"], ROWS),
            "rooms": rng.choice([1, 2, 10], ROWS),
            "w": rng.uniform(0.5, 2, ROWS),
            "times": rng.choice([1, 2, 5], ROWS),
        }
    )
    frame["y"] = frame["x"] + (frame["kind"] == "loft") + rng.normal(size=ROWS)
    frame["p"] = frame["q"] * rng.lognormal(8, 0.2, ROWS)
    return frame


def split(frame, rng):
    """Three parts of a table at random; the second has seen no flat and no 1, the third one kind alone."""
    part = rng.integers(0, 3, len(frame))
    part[(part == 1) & ((frame["kind"] == "flat") | (frame["rooms"] == 1))] = 0
    part[(part == 2) & (frame["kind"] != "house")] = 0
    return [frame[part == at].sample(frac=1, random_state=int(rng.integers(1000))) for at in rng.permutation(3)]


def agree(found, wanted, relative=1e-9):
    assert found.columns == wanted.columns
    assert found.labels.tolist() == wanted.labels.tolist()
    np.testing.assert_array_equal(found.n, wanted.n)
    size = np.sqrt(np.diagonal(wanted.scatter, axis1=1, axis2=2) / wanted.mass[:, None]) + np.abs(wanted.mean) + 1
    assert (np.abs(found.mean - wanted.mean) <= relative * size).all()
    wide = wanted.mass[:, None, None] * size[:, :, None] * size[:, None, :]
    assert (np.abs(found.scatter - wanted.scatter) <= relative * wide).all()
    np.testing.assert_allclose(found.mass, wanted.mass, rtol=relative)
    assert found.log_weight == pytest.approx(wanted.log_weight, rel=relative)
    assert (found.read, found.dropped) == (wanted.read, wanted.dropped)


CASES = [(formula, WEIGHTS[at % len(WEIGHTS)]) for at, formula in enumerate(FORMULAS)]


@pytest.mark.parametrize(("formula", "weights"), [*CASES, (FORMULAS[2], {}), (FORMULAS[4], {"se": "w"})])
def test_pooled_sums_of_any_split_are_those_of_all_rows(rows, formula, weights):
    model = ph.Model(formula, **weights)
    whole = ph.moments(model, rows)
    rng = np.random.default_rng(len(formula))
    for _ in range(2):
        parts = [ph.moments(model, part) for part in split(rows, rng)]
        found = ph.pool(*parts)
        assert found.design == whole.design
        agree(found.moments, whole.moments)
        # Through a site between, that pools two of them.
        agree(ph.pool(parts[2], ph.pool(parts[0], parts[1])).moments, whole.moments)


def test_a_part_taken_for_another_reference_category_must_be_recoded(rows):
    """The negative control: without the affine map the sums of the same rows are other ones."""
    part = rows[rows["kind"] != "flat"]
    own, whole = ph.moments("y ~ x * kind + (1 | g)", part), ph.moments("y ~ x * kind + (1 | g)", rows)
    assert own.design.categories["kind"][0] == "house"
    target = union_design(own.design, whole.design)
    right = recode(own.moments, own.design, target)
    indicator = (part["kind"] == "house").groupby(part["g"]).mean()
    at = right.columns.index("kind[house]")
    np.testing.assert_allclose(right.mean[:, at], indicator[right.labels], rtol=1e-12, atol=1e-12)
    assert "kind[house]" not in own.moments.columns
    assert not np.allclose(own.moments.mean[:, own.moments.columns.index("kind[loft]")], indicator[right.labels])


def test_constants_and_lone_rows_keep_their_bits(rows):
    part = rows[rows["kind"].isin(["house", "loft"])].head(12)
    own = ph.moments("y ~ x + kind + (1 | g)", part)
    joint = union_design(own.design, ph.moments("y ~ x + kind + (1 | g)", rows).design)
    found = recode(own.moments, own.design, joint)
    for column in ("x", "y"):
        np.testing.assert_array_equal(
            found.mean[:, found.columns.index(column)], own.moments.mean[:, own.moments.columns.index(column)]
        )
    assert (own.moments.n == 1).any()
    assert (found.scatter[own.moments.n == 1] == 0).all()


def draws_agree(found, wanted):
    assert found.attrs["seed"] == wanted.attrs["seed"]
    for name in wanted.parameters:
        mine, theirs = found[name], wanted[name]
        assert mine.dims == theirs.dims
        # The search for the mode makes 1e-8 of the sums' last bits.
        np.testing.assert_allclose(mine.values, theirs.values, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(mine.mean().item(), theirs.mean().item(), rtol=1e-8)
    assert found.attrs["log_evidence"] == pytest.approx(wanted.attrs["log_evidence"], rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "choices"),
    [
        ("log(p) ~ log(q) + kind + (log(q) | g)", {}),
        ("y ~ x + kind + (x | h/g)", {"precision_weights": "w", "priors": "tau ~ HalfNormal(2)"}),
        ("y ~ x + kind + (1 | g) + (1 | view)", {"frequency_weights": "times"}),
        ("y ~ x + (1 | g)", {"se": "w"}),
        ("y ~ x + (x | g)", {"noise": "g"}),
        ("y ~ x + kind", {"standardize": False}),
    ],
)
def test_the_fit_of_sums_is_the_fit_of_the_rows(rows, formula, choices):
    model = ph.Model(formula, **choices)
    fast = {"chains": 2, "draws": 50, "seed": 4}
    parts = [ph.moments(model, part) for part in split(rows, np.random.default_rng(5))]
    draws_agree(ph.fit(model, parts, **fast), ph.fit(model, rows, **fast))


def test_update_and_merge_follow_a_fit_of_sums(rows):
    formula, fast = "y ~ x + kind + (x | g)", {"chains": 2, "draws": 50, "seed": 4}
    parts = split(rows, np.random.default_rng(6))
    third, first, second = sorted(parts, key=lambda part: not part["kind"].eq("flat").any())
    wanted = ph.fit(formula, rows, **fast)
    post = ph.fit(formula, [ph.moments(formula, first), ph.moments(formula, second)], **fast)
    assert "flat" not in post.design.categories["kind"]
    with pytest.warns(ph.PriorhoodWarning, match="new to the posterior: 'flat'"):
        updated = ph.update(post, third, **fast)
    draws_agree(updated, wanted)


def test_merge_of_posteriors_with_other_categories_is_the_fit_of_all_rows(rows):
    formula, fast = "y ~ x * kind + (x | g)", {"chains": 2, "draws": 50, "seed": 4}
    left = rows[rows["kind"].isin(["flat", "loft"])]
    right = rows[rows["kind"].isin(["house", "villa"])]
    merged = ph.merge(ph.fit(formula, left, **fast), ph.fit(formula, right, **fast), **fast)
    draws_agree(merged, ph.fit(formula, rows, **fast))


def test_a_table_of_places_travels_with_the_sums(rows):
    model, fast = "y ~ x + far + (x | g)", {"chains": 2, "draws": 50, "seed": 4}
    places = pd.DataFrame({"g": [f"{k:03}" for k in range(12)], "far": np.arange(12.0)})
    wanted = ph.fit(model, rows, places=places, **fast)
    north, south = rows[rows["h"] == "north"], rows[rows["h"] == "south"]
    # Either site has part of the table of places.
    parts = [ph.moments(model, north, places=places.head(10)), ph.moments(model, south, places=places.tail(12))]
    found = ph.fit(model, parts, **fast)
    draws_agree(found, wanted)
    new = {"g": ["011"], "x": [3.0]}
    assert found.predict(new, unseen="draw")["mean"].tolist() == pytest.approx(
        wanted.predict(new, unseen="draw")["mean"].tolist(), rel=1e-6
    )
