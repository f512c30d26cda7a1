"""C(column, Treatment("level")) chooses the reference, C(column, levels=[…]) the order; cells without rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

HOW = {"seed": 1, "draws": 50, "chains": 2}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    n = 240
    frame = pd.DataFrame(
        {
            "zip": rng.choice(list("abcdef"), n), "type": rng.choice(["flat", "house", "loft"], n),
            "rooms": rng.integers(2, 5, n), "quarter": rng.integers(1, 4, n), "new": rng.integers(0, 2, n) > 0,
            "x": rng.uniform(50, 150, n),
        }
    )  # fmt: skip
    return frame.assign(y=1 + frame.x / 50 + 2 * (frame.type == "loft") + rng.normal(size=n))


SPELLINGS = [
    'C(type, Treatment("house"))', "C(type, Treatment('house'))", 'C(type, Treatment(reference="house"))',
    'C(type, contr.treatment("house"))', 'C(type, contr.treatment(base="house"))',
    'C(type, levels=["house", "flat", "loft"])', 'C( type , Treatment( "house" ) )',
]  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_chooses_the_reference(rows, text):
    """The same fit as of a Categorical whose first category it is."""
    declared = rows.assign(type=pd.Categorical(rows.type, categories=["house", "flat", "loft"]))
    wanted = ph.fit("y ~ x + type + (1 | zip)", declared, **HOW)
    post = ph.fit(f"y ~ x + {text} + (1 | zip)", rows, **HOW)
    assert post.design.names == ("Intercept", "x", "type[flat]", "type[loft]")
    assert post.design.references == {"type": "house"}
    np.testing.assert_array_equal(post["mu"].values, wanted["mu"].values)


@pytest.mark.parametrize(
    ("factor", "names", "reference"),
    [
        ("C(rooms, Treatment(4))", ["rooms[2]", "rooms[3]"], "4"),
        ("C(rooms, Treatment(4.0))", ["rooms[2]", "rooms[3]"], "4"),
        ('C(rooms, Treatment("3"))', ["rooms[2]", "rooms[4]"], "3"),
        ("C(rooms, levels=[4, 3, 2])", ["rooms[3]", "rooms[2]"], "4"),
    ],
)
def test_numbers_as_levels(rows, factor, names, reference):
    post = ph.fit(f"y ~ {factor}", rows, **HOW)
    assert list(post.design.names[1:]) == names
    assert post.design.references == {"rooms": reference}


def test_a_wrong_level_is_refused_with_those_there_are(rows):
    for text in ('C(type, Treatment("barn"))', 'C(type, contr.treatment(base="barn"))'):
        with pytest.raises(
            ph.TableError, match="no row has the level 'barn' of 'type'; choose from 'flat', 'house'"
        ):
            ph.fit(f"y ~ {text}", rows)
    with pytest.raises(ph.TableError, match="has the category 'flat', which C"):
        ph.fit('y ~ C(type, levels=["house", "loft"])', rows)


def test_the_same_column_is_taken_in_one_way(rows):
    with pytest.raises(ph.FormulaError, match="write type everywhere"):
        ph.fit('y ~ type + (0 + C(type, Treatment("house")) | zip)', rows)
    assert "omega" in ph.fit("y ~ type + (0 + type | zip)", rows, **HOW).parameters
    ph.fit("y ~ rooms + C(rooms)", rows, **HOW)  # a line, and steps off it


def test_files_predictions_updates_and_sites_keep_the_reference(rows, tmp_path):
    text = 'y ~ x + C(type, Treatment("house")) + (1 | zip)'
    whole = ph.fit(text, rows, **HOW)
    whole.save(tmp_path / "post.nc")
    again = ph.load(tmp_path / "post.nc")
    assert again.design == whole.design
    assert again.model == whole.model
    home = {"zip": ["a"], "type": ["house"], "x": [100.0]}
    assert again.predict(home)["mean"].tolist() == whole.predict(home)["mean"].tolist()
    no_house, rest = rows[:120], rows[120:]
    no_house = no_house[no_house.type != "house"]
    both = ph.fit(text, pd.concat([no_house, rest]), **HOW)
    sums = [ph.moments(text, no_house), ph.moments(text, rest)]
    # A site that has no house takes its sums all the same; all together they must have one.
    for pooled in (sums, sums[::-1]):
        post = ph.fit(text, pooled, **HOW)
        assert post.design == both.design
        assert post.log_evidence == pytest.approx(both.log_evidence, abs=1e-6)
    with pytest.raises(ph.TableError, match="no row has the level 'house'"):
        ph.fit(text, sums[0])
    updated = ph.update(ph.fit(text, rest, **HOW), no_house, **HOW)
    assert updated.design == both.design
    assert updated.log_evidence == pytest.approx(both.log_evidence, abs=1e-6)


# -- cells that no row has -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def holed(rows):
    """No loft was sold in quarter 3."""
    return rows[~((rows.type == "loft") & (rows.quarter == 3))]


def test_an_empty_cell_keeps_its_prior_and_is_said(holed):
    """Its coefficient's draws are the prior's; the other coefficients and the evidence are those without it."""
    model = ph.Model("y ~ x + type*C(quarter) + (1 | zip)", {"mu[type:quarter]": "Normal(1, 3)"}, outcome_unit=1)
    with pytest.warns(
        ph.PriorhoodWarning, match=r"no row has 'type\[loft\]:quarter\[3\]': its coefficient is determined"
    ):
        post = ph.fit(model, holed, seed=1, draws=1000)
    assert len(post.notes) == 1
    own = post["mu"].sel(term="type[loft]:quarter[3]").values
    assert own.mean() == pytest.approx(1, abs=0.25)  # five Monte Carlo errors, 3/√4000 each
    assert own.std() == pytest.approx(3, rel=0.06)
    home = {"zip": ["a"] * 2, "x": [100.0] * 2, "type": ["loft"] * 2, "quarter": [3, 2]}
    found = post.predict(home)
    assert found["status"].tolist() == ["known", "known"]
    assert found["sd"][0] > 3 > 1.3 > found["sd"][1]
    # Whatever its prior is, nothing else moves.
    other = model.with_priors({"mu[type[loft]:quarter[3]]": "Normal(-50, 0.1)"})
    with pytest.warns(ph.PriorhoodWarning, match="no row has"):
        moved = ph.fit(other, holed, seed=1, draws=1000)
    assert moved.log_evidence == pytest.approx(post.log_evidence, abs=1e-9)
    terms = [name for name in post.design.names if name != "type[loft]:quarter[3]"]
    np.testing.assert_allclose(
        moved["mu"].sel(term=terms).mean(("chain", "draw")),
        post["mu"].sel(term=terms).mean(("chain", "draw")),
        atol=0.1,
    )


def test_columns_of_an_empty_cell_are_scaled_like_their_neighbours(holed):
    with pytest.warns(ph.PriorhoodWarning, match="these coefficients are determined only by their priors"):
        post = ph.fit("y ~ x*type*C(quarter) + (1 | zip)", holed, **HOW)
    spread = dict(zip(post.design.names, post.scale.spread, strict=True))
    others = [s for name, s in spread.items() if name.startswith("x:") and name != "x:type[loft]:quarter[3]"]
    assert min(others) < spread["x:type[loft]:quarter[3]"] < max([*others, spread["x"]])


def test_rows_of_the_cell_that_come_later_are_as_if_they_had_been_there(rows, holed):
    text = "y ~ x + type*C(quarter) + (1 | zip)"
    whole = ph.fit(text, rows, **HOW)
    late = rows.drop(holed.index)
    with pytest.warns(ph.PriorhoodWarning, match="no row has"):
        first = ph.fit(text, holed, **HOW)
    parts = {
        "update": ph.update(first, late, **HOW),
        "pool": ph.fit(text, [ph.moments(text, holed), ph.moments(text, late)], **HOW),
    }
    for how, post in parts.items():
        assert post.log_evidence == pytest.approx(whole.log_evidence, abs=1e-6), how
        assert post.notes == (), how


def test_an_empty_cell_of_pooled_sites_is_found(holed):
    """Sites with other categories: a sum of 0 there is a difference of sums."""
    text = "y ~ type*C(quarter) + (1 | zip)"
    parts = [holed[holed.type != "loft"], holed[holed.quarter == 2]]
    with pytest.warns(ph.PriorhoodWarning, match=r"no row has .*'type\[loft\]:quarter\[3\]'"):
        ph.fit(text, [ph.moments(text, part) for part in parts], **HOW)


@pytest.mark.parametrize("advice", ["type*C(quarter)", "0 + type:C(quarter)"])
def test_what_the_refusal_of_an_interaction_advises_is_taken(holed, advice):
    with pytest.raises(ph.FormulaError) as problem:
        ph.fit("y ~ type:C(quarter) + (1 | zip)", holed)
    assert f"'{advice}'" in str(problem.value)
    with pytest.warns(ph.PriorhoodWarning, match="no row has"):
        post = ph.fit(f"y ~ {advice} + (1 | zip)", holed, **HOW)
    assert len(post.design.population_columns) == 9


def test_all_cells_have_columns_where_none_of_their_parts_is_there(rows):
    """0 + f:g is every combination once, as in R; so are the cells of numbers."""
    design = ph.fit("y ~ 0 + type:C(quarter)", rows, **HOW).design
    assert len(design.names) == 9
    assert design.names[0] == "type[flat]:quarter[1]"
    assert design.references == {}
    built = rows.assign(new=rows.new.map({True: "new", False: "old"}))
    assert len(ph.fit("y ~ 1 + (0 + x:new:type || zip)", built, **HOW).design.names) == 7


def test_a_category_of_rows_that_do_not_count_is_no_column(rows):
    """Lofts whose x is missing are not there for any coefficient."""
    frame = rows.assign(x=rows.x.where(rows.type != "loft"))
    assert ph.fit("y ~ x + type + (1 | zip)", frame, **HOW).design.categories == {"type": ("flat", "house")}
