"""Formulas → terms and levels → design columns, beside formulaic's own model matrix."""

from __future__ import annotations

import formulaic
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.data.schema import learn_design
from priorhood.model.design import Design
from priorhood.model.expression import Expression
from priorhood.model.formula import parse

ONE = ()  # the intercept
Z = "zip"

TABLE = [
    # formula, outcome, population terms, (group, varying terms, correlated) or None
    ("y ~ a", "y", [ONE, ("a",)], None),
    ("y ~ 1", "y", [ONE], None),
    ("y ~ 0 + a", "y", [("a",)], None),
    ("y ~ a - 1", "y", [("a",)], None),
    ("y ~ a + b", "y", [ONE, ("a",), ("b",)], None),
    ("y ~ a:b", "y", [ONE, ("a", "b")], None),
    ("y ~ a*b", "y", [ONE, ("a",), ("b",), ("a", "b")], None),
    ("y ~ a*b - a", "y", [ONE, ("b",), ("a", "b")], None),
    ("y ~ (a + b + c)**2", "y", [ONE, ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")], None),
    ("y ~ a + a", "y", [ONE, ("a",)], None),
    ("  y~a+( 1|zip )", "y", [ONE, ("a",)], (Z, [ONE], False)),
    ("y ~ (1 | zip)", "y", [ONE], (Z, [ONE], False)),
    ("y ~ 1 + (1 | zip)", "y", [ONE], (Z, [ONE], False)),
    ("y ~ (1 | zip) + a", "y", [ONE, ("a",)], (Z, [ONE], False)),
    ("y ~ a + (a | zip)", "y", [ONE, ("a",)], (Z, [ONE, ("a",)], True)),
    ("y ~ a + (1 + a | zip)", "y", [ONE, ("a",)], (Z, [ONE, ("a",)], True)),
    ("y ~ a + (a || zip)", "y", [ONE, ("a",)], (Z, [ONE, ("a",)], False)),
    ("y ~ a + (0 + a | zip)", "y", [ONE, ("a",)], (Z, [("a",)], True)),
    ("y ~ a + (a - 1 | zip)", "y", [ONE, ("a",)], (Z, [("a",)], True)),
    ("y ~ a*b + (a*b | zip)", "y", [ONE, ("a",), ("b",), ("a", "b")], (Z, [ONE, ("a",), ("b",), ("a", "b")], True)),
    ("y ~ 0 + (1 | zip)", "y", [], (Z, [ONE], False)),
    ("log(y) ~ log(a) + (1 | zip)", "log(y)", [ONE, ("log(a)",)], (Z, [ONE], False)),
    ("y / a ~ b", "y / a", [ONE, ("b",)], None),
    ("y ~ I(a**2) + sqrt(b)", "y", [ONE, ("I(a ** 2)",), ("sqrt(b)",)], None),
    ("y ~ C(a) + (1 | zip)", "y", [ONE, ("C(a)",)], (Z, [ONE], False)),
    ("y ~ a + (1 | `post code`)", "y", [ONE, ("a",)], ("post code", [ONE], False)),
    ("y ~ a + (1 | `a/b`)", "y", [ONE, ("a",)], ("a∕b", [ONE], False)),
]


@pytest.mark.parametrize(
    ("text", "outcome", "population", "level"), TABLE, ids=lambda v: v if isinstance(v, str) else ""
)
def test_taken_apart(text, outcome, population, level):
    formula = parse(text)
    assert formula.outcome == outcome
    assert sorted(formula.population) == sorted(population)
    assert formula.population[0] == ONE if ONE in population else ONE not in formula.population
    if level is None:
        assert formula.levels == ()
        assert formula.keys == ()
    else:
        group, terms, correlated = level
        (found,) = formula.levels
        assert (found.group, sorted(found.terms), found.correlated) == (group, sorted(terms), correlated)
        # A dimension of a file has no '/': its group is written with a division slash, its column is not.
        assert formula.keys == (group.replace("∕", "/"),)
    assert set(formula.terms) == set(population) | set(level[1] if level else ())


@pytest.mark.parametrize(
    ("text", "logged", "name"),
    [
        ("log(y) ~ a", True, "y"),
        ("y ~ a", False, "y"),
        ("log(y / b) ~ a", True, "y / b"),
        ("`p €` ~ a", False, "p €"),
        ("log(`p/€`) ~ a", True, "p/€"),
    ],
)
def test_outcome(text, logged, name):
    formula = parse(text)
    assert formula.log_outcome is logged
    assert formula.outcome_name == name


def test_blanks_do_not_matter():
    assert parse("y~a+(a|zip)").levels == parse(" y  ~ a +\n ( a | zip ) ").levels
    assert ph.Model("y  ~ a ").formula == ph.Model("y ~ a").formula


# -- the columns ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n = 36
    return pd.DataFrame(
        {
            "y": rng.uniform(1, 9, n),
            "a": rng.uniform(0.5, 4, n).round(2),
            "b": rng.uniform(1, 2, n).round(2),
            "f": np.array(["u", "v", "w"])[np.arange(n) % 3],
            "g": np.array(["p", "q"])[np.arange(n) // 3 % 2],
            "k": 1 + np.arange(n) % 4,
            "my size": rng.uniform(1, 2, n).round(2),
            "zip": [str(i % 5) for i in range(n)],
        }
    )


def matrix(text, frame):
    """The design's columns as numbers: all, of the population, of the level."""
    opened = nw.from_native(frame)
    design = learn_design(opened, parse(text), "frame")
    built = {
        c: opened.select(design.build(c).alias("x"))["x"].to_numpy() if c.factors else np.ones(len(frame))
        for c in design.columns
    }
    part = [design.population_columns, *(design.level_columns(at) for at in range(len(design.formula.levels)))]
    return design, *(np.column_stack([built[c] for c in columns]) for columns in part)


SAME = [
    "a", "a + b", "a*b", "a:b", "0 + a", "f", "0 + f", "a + f", "a*f", "f + a:f", "a + a:f", "f*g", "a*f*g",
    "C(k)", "0 + C(k)", "a*C(k)", "log(a)", "log10(a)", "sqrt(a)", "I(a**2)", "I(a*b)", "I(a + 2*b)", "exp(b)",
    "`my size`", "a*`my size`", "log(a) + f", "f:g + f + g", "0 + f + g", "I(a - b) + C(k)", "I(-a)",
]  # fmt: skip


@pytest.mark.parametrize("right", SAME)
def test_columns_are_formulaics(frame, right):
    """The same columns, in whatever order."""
    design, found = matrix(f"y ~ {right}", frame)
    known = formulaic.model_matrix(right, frame, context={"sqrt": np.sqrt}).to_numpy(dtype=float)
    assert found.shape == known.shape, design.names
    np.testing.assert_allclose(sorted(found.T.tolist()), sorted(known.T.tolist()), rtol=1e-12)


@pytest.mark.parametrize("right", SAME)
def test_the_same_columns_vary_by_group(frame, right):
    _, population, varying = matrix(f"y ~ {right} + ({right} | zip)", frame)
    np.testing.assert_array_equal(population, varying)


@pytest.mark.parametrize("right", ["0 + f + g", "f*g", "a*f*g", "0 + a:f", "a + a:f", "f + a:f", "a*C(k)"])
def test_columns_are_not_redundant(frame, right):
    _, found = matrix(f"y ~ {right}", frame)
    assert np.linalg.matrix_rank(found) == found.shape[1]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("y ~ f", ["Intercept", "f[v]", "f[w]"]),
        ("y ~ 0 + f", ["f[u]", "f[v]", "f[w]"]),
        ("y ~ a*f", ["Intercept", "a", "f[v]", "f[w]", "a:f[v]", "a:f[w]"]),
        ("y ~ C(k)", ["Intercept", "k[2]", "k[3]", "k[4]"]),
        ("y ~ log(a) + I(a**2)", ["Intercept", "log(a)", "I(a ** 2)"]),
        ("y ~ `my size`", ["Intercept", "my size"]),
        ("y ~ a:f", ["Intercept", "a:f[u]", "a:f[v]", "a:f[w]"]),
        ("y ~ f*g", ["Intercept", "f[v]", "f[w]", "g[q]", "f[v]:g[q]", "f[w]:g[q]"]),
        ("y ~ 1 + (0 + f | zip)", ["Intercept", "f[u]", "f[v]", "f[w]"]),
    ],
)
def test_names_of_columns(frame, text, names):
    assert sorted(matrix(text, frame)[0].names) == sorted(names)


def test_interaction_of_categories_without_their_parts_is_refused(frame):
    with pytest.raises(ph.FormulaError, match=r"f\*g"):
        matrix("y ~ f:g", frame)


def test_categories_are_sorted_and_those_of_used_rows(frame):
    changed = frame.assign(f=np.where(frame["f"] == "w", "a", frame["f"]))
    changed.loc[0, ["f", "y"]] = ["only here", np.nan]
    design, _ = matrix("y ~ f", changed)
    assert design.categories == {"f": ("a", "u", "v")}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", lambda f: f["a"]),
        ("`my size`", lambda f: f["my size"]),
        ("log(`my size`)", lambda f: np.log(f["my size"])),
        ("log2(a)", lambda f: np.log2(f["a"])),
        ("log10(a)", lambda f: np.log10(f["a"])),
        ("log1p(a)", lambda f: np.log1p(f["a"])),
        ("sqrt(a + b)", lambda f: np.sqrt(f["a"] + f["b"])),
        ("exp(a / 2)", lambda f: np.exp(f["a"] / 2)),
        ("I(a**2 - 3*b)", lambda f: f["a"] ** 2 - 3 * f["b"]),
        ("I(-a / k)", lambda f: -f["a"] / f["k"]),
        ("I((a - b)**3)", lambda f: (f["a"] - f["b"]) ** 3),
        ("I(k**2)", lambda f: f["k"] ** 2),
        ("log(a) * 2", lambda f: np.log(f["a"]) * 2),
    ],
)
@pytest.mark.parametrize("kind", ["pandas", "polars", "duckdb"])
def test_expressions_on_every_backend(frame, text, value, kind):
    import duckdb
    import polars as pl

    native = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "duckdb": lambda: duckdb.from_df(frame),
    }
    opened = nw.from_native(native[kind]()).select(Expression(text).build().alias("x"))
    found = opened.to_native().df()["x"] if kind == "duckdb" else opened["x"]
    np.testing.assert_allclose(np.asarray(found.to_numpy(), dtype=float), value(frame).to_numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "names"),
    [("a", ("a",)), ("log(a / `b c`)", ("a", "b c")), ("I(a + a*b)", ("a", "b")), ("C(`b c`)", ("b c",))],
)
def test_columns_that_an_expression_reads(text, names):
    assert Expression(text).names == names


def test_a_design_is_what_its_formula_and_categories_say(frame):
    design, _ = matrix("y ~ a*f + C(k)", frame)
    again = Design(parse("y ~ a*f + C(k)"), dict(design.categories), design.numeric)
    assert again == design
    assert again.columns == design.columns
    assert set(design.variables) == {"a", "f", "k"}


def test_large_numbers_as_categories_keep_all_their_digits():
    rng = np.random.default_rng(1)
    code = np.repeat([0.0, 1234567, 1234568, 0.1 + 0.2], 10)
    frame = pd.DataFrame({"code": code, "y": rng.normal(size=40) + (code == 1234568)})
    post = ph.fit("y ~ C(code)", frame, seed=1, draws=50)
    assert post.design.names == ("Intercept", "code[0.30000000000000004]", "code[1234567]", "code[1234568]")
    assert post.predict(frame)["status"].eq("known").all()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("price ∼ area − 1 + (1 ∣ zip)", "price ~ area - 1 + (1 | zip)"),
        ("price ~ area ＋ rooms", "price ~ area + rooms"),
        ("price ~ area × rooms + （1 ‖ zip）", "price ~ area * rooms + (1 || zip)"),
        ("log(price ÷ area) ~ rooms – 1", "log(price / area) ~ rooms - 1"),
        ("price ~ C(type, Treatment(“a–b”))", 'price ~ C(type, Treatment("a-b"))'),
        ("price ~ area − `a − b`", "price ~ area - `a − b`"),
        ('price ~ C(type, Treatment("a–b")) − 1', 'price ~ C(type, Treatment("a–b")) - 1'),
        ("price ~ ´area´ ", "price ~ `area`"),
        ("price ~ area\u200b + rooms", "price ~ area + rooms"),
        ("\ufeffprice ~ area", "price ~ area"),
    ],
)
def test_signs_of_another_keyboard(text, right):
    """They are named, with the formula that has the usual ones; names and labels keep theirs."""
    with pytest.raises(ph.FormulaError) as problem:
        parse(text)
    assert f"; write {right!r}; put column names that contain it in backticks" in str(problem.value)
    parse(right)


def test_a_power():
    with pytest.raises(ph.FormulaError, match=r"write a power with '\*\*', as in x \*\* 2"):
        parse("price ~ I(area^2)")
    parse("price ~ I(area ** 2)")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("price ~ area + (zip || 1 + area)", "the group comes after the bar: write '(1 + area || zip)'"),
        ("price ~ (1 | gr(city)/zip)", "write the group without gr(): '(1 | city/zip)'"),
        ("bf(price ~ area)", "write it without bf(): 'price ~ area'"),
        ("price | trunc(lb = 0) ~ area", "write only the outcome before '~', 'price ~ area'"),
        ("price | se(my_se) ~ 1", "'price ~ 1', and give the standard errors as an argument, se='my_se'"),
        ("price | weights(n) ~ 1", "precision_weights='n' if it is the mean of several rows"),
        ("price ~ s(area)", "write powers of a column as I(area ** 2), or compute the columns first"),
    ],
)
def test_notation_of_other_tools(text, advice):
    with pytest.raises(ph.FormulaError) as problem:
        parse(text)
    assert str(problem.value).endswith(advice)


@pytest.mark.parametrize("text", ["price ~ 1 + (gr | bf)", "bf ~ gr + (1 | gr)", "price ~ (zip | `1`)"])
def test_columns_named_like_notation_of_other_tools(text):
    parse(text)
