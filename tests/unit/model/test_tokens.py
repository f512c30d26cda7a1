"""A quoted name is that column, letter by letter: the same as in the table with a plain name, in every role."""

from __future__ import annotations

import functools
import json
import re
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import priorhood as ph
from priorhood.model.equations import width
from priorhood.model.expression import Expression, tidy_label
from priorhood.model.formula import RESERVED, parse
from priorhood.model.tokens import alone, is_loose
from sums_tree import sums_tree

NFD = unicodedata.normalize("NFD", "größe")

NAMES = [
    "area/rooms", "rooms-area", "beds+baths", "a*b", "a**2", "a^b", "a:b", "a|b", "a||b", "a~b", "a,b", "a=b",
    "a.b", "Price (€)", "Area (m²)", "living space (m2)", "HOA/MONTH", "[0]", "{x}", "(", ")", "()", "/", "|",
    "~", ":", "**", "%in%", "100%", "#", "$x", "@", "a\\b", "quo\"te", "it's", "a;b", "/*c*/", "--", "\\",
    "class", "in", "from", "True", "None", "lambda", "Intercept", "I(area)", "log(area)", "C(f)", "sqrt",
    "log", "C", "type[loft]", "f[v]", "area:rooms", "chain", "draw", "term", "sample", "column", "mu", "beta",
    "tau", "n", "value", "1/31/2010", "2010-01-31", "2020", "0", "1", "1e5", "-1", ".5", "nan", "NULL",
    "2nd floor", "٣", "nº", "m²", "ｆｕｌｌ", "größe", NFD, "日本", "é", "🏠", "µ", "ﬁ", " lead", "trail ",
    "two  blanks", " ", "tab\there", "line\nbreak", "line\r\nbreak", "a\u00a0b", "\u2028", "\u200b", "x" * 300,
    "l0", "v0", "w0", "c0", "p0_0", "r0", "label0", "total", "score", "times", "there", "zero", "watched",
]  # fmt: skip


def made():
    rng = np.random.default_rng(8)
    n = 48
    frame = pd.DataFrame(
        {
            "zip": np.repeat(["01067", "10115", "20095", "50667", "80331", "99084"], 8),
            "city": np.repeat(["A", "B"], 24),
            "area": rng.uniform(30, 120, n).round(1),
            "rooms": rng.integers(1, 5, n),
            "f": np.tile(["u", "v", "w"], 16),
            "plain": rng.uniform(5, 40, n).round(1),
        }
    )
    level = np.repeat(rng.normal(0, 20, 6), 8)
    frame["y"] = 100 + 2 * frame["area"] + 3 * frame["plain"] + level + rng.normal(0, 10, n)
    return frame


ROWS = made()


@pytest.fixture
def rows():
    return ROWS


# What stands for the column with the odd name, and the formula, where {} is that name in backticks.
ROLES = {
    "predictor": ("plain", "y ~ {} + area + (1 | zip)"),
    "outcome": ("plain", "{} ~ area + (1 | zip)"),
    "log outcome": ("plain", "log({}) ~ area + (1 | zip)"),
    "on both sides": ("plain", "log(y / {}) ~ area + log({}) + (1 | zip)"),
    "within log": ("plain", "y ~ log({}) + (log({}) | zip)"),
    "within I": ("plain", "y ~ I({} ** 2 - area / {}) + (1 | zip)"),
    "interaction": ("plain", "y ~ area * {} + ({} | zip)"),
    "numbers as categories": ("rooms", "y ~ area + C({}) + (1 | zip)"),
    "text": ("f", "y ~ area * {} + (1 | zip)"),
    "group": ("zip", "y ~ area + (area | {})"),
    "level above": ("city", "y ~ area + (1 | {}/zip)"),
    "level below": ("zip", "y ~ area + (1 | city/{})"),
    "in a path": ("city", "y ~ area + (1 | {}:zip)"),
    "crossed": ("f", "y ~ area + (1 | zip) + (1 | {})"),
}
GROUPS = ("group", "level above", "level below", "in a path", "crossed")
PLAIN = "a_plain_name"
TAKEN = {*RESERVED, "mu", "beta", "tau", "n"}  # names of the result, which a group cannot have


def renamed(rows, role, name):
    column, text = ROLES[role]
    return rows.rename(columns={column: name}), text.replace("{}", f"`{name}`")


@functools.lru_cache
def plain_sums(role):
    frame, text = renamed(ROWS, role, PLAIN)
    return ph.moments(text, frame).moments


def same_sums(role, name):
    """The sums of the table in which the column is called otherwise, bit by bit: more, a fit does not see."""
    known = plain_sums(role)
    frame, text = renamed(ROWS, role, name)
    found = ph.moments(text, frame)
    assert known.labels.tolist() == found.moments.labels.tolist()
    assert len(set(found.design.names)) == len(found.design.names)
    np.testing.assert_array_equal(known.n, found.moments.n)
    np.testing.assert_array_equal(known.mean, found.moments.mean)
    np.testing.assert_array_equal(known.scatter, found.moments.scatter)
    return found


@pytest.mark.parametrize(
    ("name", "role"), [(name, sorted(ROLES)[at % len(ROLES)]) for at, name in enumerate(NAMES)]
)
def test_a_quoted_name_is_that_column(name, role):
    same_sums("predictor", name)
    if role in GROUPS and name in TAKEN:
        frame, text = renamed(ROWS, role, name)
        with pytest.raises(ph.PriorhoodError, match="rename") as said:
            ph.moments(text, frame)
        assert repr(name) in str(said.value)
        return
    same_sums(role, name)


@pytest.mark.parametrize("text", ["y ~ {}", "y ~ {}:b", "y ~ log({})", "y ~ I(a / {})", "y ~ C({})", "{} ~ a"])
def test_what_is_written_is_read_back(text):
    for name in NAMES:
        check_written(name, text)


def check_written(name, text):
    formula = parse(text.replace("{}", f"`{name}`"))
    for factor in (formula.outcome, *formula.factors()):
        assert Expression(factor).text == factor
        assert tidy_label(factor) == factor or Expression(factor).categorical
        assert set(Expression(factor).names) <= {name, "a", "b", "y"}
        written = f"`{factor}`" if is_loose(factor) else factor
        assert parse(f"zz ~ {written}").factors() == (factor,)


TRICKY = st.text(
    st.sampled_from("ab1²º+-*/^%():|~[]{}.,;=<>!?@#$&'\"\\ \t\n\r_é\u0308ｆ日\u00a0\u200bIlogC0"),
    min_size=1,
    max_size=8,
)


@pytest.mark.once
@settings(deadline=None, derandomize=True, max_examples=60)
@given(name=TRICKY | st.text(min_size=1, max_size=5), role=st.sampled_from(sorted(ROLES)))
def test_any_name_is_that_column(name, role):
    frame, text = renamed(ROWS, role, name)
    if "`" in name or any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in name):
        with pytest.raises(ph.FormulaError):
            parse(text)
    elif list(frame.columns).count(name) == 1 and not (role in GROUPS and name in TAKEN):
        same_sums(role, name)


FITTED = [
    "area/rooms", "Area (m²)", "line\nbreak", "type[loft]", "area:rooms", "a~b", "a=b", "a, b", "Intercept", "2020",
    "nº", NFD, "class",
]  # fmt: skip


QUICK = {"seed": 4, "chains": 1, "draws": 40}
FULL = ["predictor", "interaction", "text", "group", "level above", "crossed"]


@functools.lru_cache
def plain_fit(role):
    frame, text = renamed(ROWS, role, PLAIN)
    return ph.fit(text, frame, **QUICK)


@pytest.mark.parametrize(("name", "role"), [(name, FULL[at % len(FULL)]) for at, name in enumerate(FITTED)])
def test_fitted_saved_and_predicted(tmp_path, rows, role, name):
    """The posterior of the renamed table, bit by bit, as fitted, as read back, and in what it predicts."""
    plain, (frame, text) = renamed(rows, role, PLAIN)[0], renamed(rows, role, name)
    known, post = plain_fit(role), ph.fit(text, frame, **QUICK)
    path = tmp_path / "post.nc"
    post.save(path)
    again = ph.load(path)
    for one in (post, again):
        for old, new in zip(known.parameters, one.parameters, strict=True):
            np.testing.assert_array_equal(known[old].values, one[new].values)
        assert one.summary()["mean"].tolist() == known.summary()["mean"].tolist()
        assert (
            one.summary()["unit"].tolist()
            == [unit.replace(PLAIN, name) if role == "predictor" else unit for unit in known.summary()["unit"]]
            or role != "predictor"
        )
    told, wanted = again.predict(frame.head(9)), known.predict(plain.head(9))
    assert told["mean"].tolist() == wanted["mean"].tolist()
    assert list(told.columns)[: len(frame.columns)] == list(frame.columns)
    # The equations' priors are priors that a model takes, and so are those of the dictionary.
    lines = again.equations().replace(" \n", "\n").split("\n\n", 1)[1]
    stated = [line.partition("  = ")[0] for line in lines.split("\n  ")[1:] if "  = " in line]
    stated = stated if "\n" not in name else []
    before = dict(again.priors())
    assert ph.Model(text, before).priors == before
    refitted = ph.fit(ph.Model(text, stated), frame, **QUICK)
    np.testing.assert_array_equal(refitted["mu"].values, known["mu"].values)


def test_every_prior_that_equations_print_is_read_back(rows):
    text = "y ~ `area/rooms` * f + log(`b (m²)`) + (`area/rooms` | `a[b]`/`z~p`) + (1 | f)"
    frame = rows.rename(columns={"plain": "area/rooms", "area": "b (m²)", "city": "a[b]", "zip": "z~p"})
    post = ph.fit(text, frame, seed=1, chains=1, draws=20)
    printed = [line for line in post.equations().splitlines() if " ~ " in line and line.startswith("  ")]
    keys = [line.partition("  = ")[0].strip() for line in printed if "= " in line or "LKJ" in line]
    names = [key.rpartition(" ~ ")[0].strip() for key in keys]
    assert "tau_`a[b]`[`area/rooms`]" in names
    assert "mu[`area/rooms`:f[v]]" in names
    assert "mu[log(`b (m²)`)]" in names
    changed = ph.refit(post, priors=[f"{name} ~ Exponential(0.5)" for name in names if name.startswith("tau")])
    for name in names:
        if name.startswith("tau"):
            assert changed.priors()[name] == ph.Exponential(0.5)
    assert set(post.summary("tau_`a[b]`").index) == {n for n in names if n.startswith("tau_`a[b]`")}


@pytest.mark.once
def test_a_group_with_a_slash(tmp_path, rows):
    """Its dimension has the sign of division; whoever names it may write either."""
    frame = rows.rename(columns={"city": "State/County"})
    text = "y ~ area + (1 | `State/County`/zip)"
    post = ph.fit(ph.Model(text, "tau_`State/County` ~ HalfNormal(3)"), frame, **QUICK)
    name = "tau_`State\u2215County`"
    assert post.priors()[name] == ph.HalfNormal(3)
    assert ph.Model(text, post.priors()).priors == post.priors()
    post.save(tmp_path / "post.nc")
    assert ph.load(tmp_path / "post.nc").summary(name).index.tolist() == [f"{name}[Intercept]"]
    alone = ph.fit(ph.Model("y ~ area + (1 | `State/County`)", noise="State/County"), frame, **QUICK)
    assert alone.draws(**{"State/County": "A"}).shape[2] == 1
    assert alone["sigma"].dims[-1] == "State\u2215County"


def test_blanks_in_a_priors_key_do_not_matter():
    model = ph.Model(
        "y ~ log(`a b`) + `a b` + `c/d`", ["mu[ log( `a b` ) ] ~ Normal(0, 1)", "mu[`a b`] ~ Normal(0, 2)"]
    )
    assert model.priors["mu[log(`a b`)]"] == ph.Normal(0, 1)
    assert model.priors["mu[a b]"] == ph.Normal(0, 2)
    with pytest.raises(ph.PriorError, match="twice"):
        ph.Model("y ~ `a b`", ["mu[a b] ~ Normal(0, 1)", "mu[`a b`] ~ Normal(0, 1)"])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("area", "area"), ("living space", "living space"), ("2nd floor", "2nd floor"), ("class", "class"),
        ("m²", "m²"), ("100%", "100%"), ("a.b", "a.b"), (NFD, NFD), ("area/rooms", "`area/rooms`"),
        ("a:b", "`a:b`"), ("2020", "`2020`"), ("Intercept", "`Intercept`"), ("log(a)", "`log(a)`"),
        ("type[loft]", "`type[loft]`"), (" a", "` a`"), ("a\nb", "`a\nb`"),
    ],
)  # fmt: skip
def test_backticks_where_a_name_would_be_read_otherwise(name, label):
    assert alone(name) == label
    assert Expression(label).bare == name


def test_a_predictor_called_intercept(rows):
    """Its own row beside the intercept's, in units of its own."""
    post = ph.fit("y ~ Intercept + (1 | zip)", rows.rename(columns={"plain": "Intercept"}), seed=1, draws=50)
    known = ph.fit("y ~ plain + (1 | zip)", rows, seed=1, draws=50)
    told, wanted = post.summary(), known.summary()
    assert told.index[:2].tolist() == ["mu[Intercept]", "mu[`Intercept`]"]
    assert told["mean"].tolist() == wanted["mean"].tolist()
    assert told["unit"].iloc[1] == "y per Intercept"


def test_names_that_differ_by_normalization_are_two_columns(rows):
    frame = rows.rename(columns={"plain": "nº", "rooms": "no"})
    one, other = (ph.moments(f"y ~ `{name}` + (1 | zip)", frame).moments.pooled()[0][0] for name in ("nº", "no"))
    assert one == pytest.approx(frame["nº"].mean())
    assert other == pytest.approx(frame["no"].mean())
    with pytest.raises(ph.TableError, match=r"no column 'nº'.*there is 'no'.*a different name"):
        ph.moments("y ~ `nº`", rows.rename(columns={"plain": "no"}))
    with pytest.raises(ph.TableError, match=r"there is .*U\+0308"):
        ph.moments("y ~ `größe`", rows.rename(columns={"plain": NFD}))


@pytest.mark.parametrize("kind", ["csv", "parquet", "polars", "polars-lazy", "arrow", "duckdb"])
@pytest.mark.parametrize(
    "name", ["area/rooms", "nº", NFD, "line\nbreak", "a\"b'c", "1/31/2010", "True", "a.b", "`"[1:] + "$"]
)
def test_on_every_backend(tmp_path, rows, kind, name):
    frame, text = renamed(rows, "interaction", name)
    known = ph.moments(text, frame).moments
    found = ph.moments(text, as_kind(frame, kind, tmp_path)).moments
    np.testing.assert_allclose(found.mean, known.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scatter, known.scatter, rtol=1e-9, atol=1e-9)


def as_kind(frame, kind, folder):
    if kind == "csv":
        frame.to_csv(folder / "in.csv", index=False)
        return folder / "in.csv"
    if kind == "parquet":
        frame.to_parquet(folder / "in.parquet")
        return folder / "in.parquet"
    if kind == "arrow":
        return pytest.importorskip("pyarrow").Table.from_pandas(frame)
    if kind == "duckdb":
        return pytest.importorskip("duckdb").from_df(frame)
    table = pytest.importorskip("polars").from_pandas(frame)
    return table.lazy() if kind == "polars-lazy" else table


def test_columns_named_by_numbers(rows):
    frame = rows.rename(columns={"plain": 3, "zip": 2020})
    known = ph.moments("y ~ plain + (1 | zip)", rows).moments
    found = ph.moments("y ~ `3` + (1 | `2020`)", frame).moments
    np.testing.assert_array_equal(found.mean, known.mean)
    with pytest.raises(ph.TableError, match="more than once, as text and as a number"):
        ph.read(frame.assign(**{"3": 1.0}))


def test_a_column_called_like_our_own_is_refused_by_name(rows):
    for name in ("__priorhood_kept", "__PRIORHOOD_0"):
        with pytest.raises(ph.TableError, match=f"{name}.*rename"):
            ph.moments("y ~ area + (1 | zip)", rows.rename(columns={"plain": name}))


def test_a_name_with_a_backtick_cannot_be_written(rows):
    with pytest.raises(ph.FormulaError, match="rename that column"):
        parse("y ~ `a`b`")
    frame = rows.rename(columns={"plain": "foot`age"})
    with pytest.raises(ph.TableError, match=r"rename the column 'foot`age'"):
        ph.moments("y ~ footage", frame)


def test_a_name_that_lacks_its_backticks(rows):
    frame = rows.rename(columns={"plain": "HOA/MONTH"})
    with pytest.raises(ph.TableError, match=r"no column 'HOA'.*in a formula `HOA/MONTH`"):
        ph.moments("y ~ HOA/MONTH + (1 | zip)", frame)
    assert ph.moments("y ~ `HOA/MONTH` + (1 | zip)", frame).rows == len(rows)


ODD = {
    "Objekt-Typ": "Objekt-Typ",
    "Bad / WC": "Bad / WC",
    "a[b]": "a[b]",
    "x:y": "x:y",
    "log(z)": "log(z)",
    "a**b": "a**b",
}


@pytest.mark.parametrize("name", ODD)
def test_a_prior_that_lacks_its_backticks_is_named_as_it_is_written(rows, name):
    """The name in the message is the one given, and the one proposed works where it is pasted."""
    frame = rows.rename(columns={"plain": name})
    text = f"y ~ `{name}` + (1 | zip)"
    model = ph.Model(text, [f"mu[{name}] ~ Normal(0, 9)"])
    with pytest.raises(ph.PriorError) as caught:
        ph.fit(model, frame, **QUICK)
    said = str(caught.value)
    assert f"prior for mu[{name}]: the model has no such parameter" in said
    proposed = re.search(r"did you mean '(.*?)'", said)[1]
    assert proposed == f"mu[`{name}`]"
    ph.fit(ph.Model(text, [f"{proposed} ~ Normal(0, 9)"]), frame, **QUICK)


@pytest.mark.parametrize("name", ["Objekt-Typ", "Bad / WC", "2-room flats"])
def test_a_name_of_several_words_is_proposed_with_what_it_is_written_in(rows, name):
    frame = rows.rename(columns={"plain": name})
    for written_so in (name, name.replace(" ", "")):
        if written_so[0].isdigit():
            continue
        with pytest.raises(ph.TableError) as caught:
            ph.moments(f"y ~ {written_so} + (1 | zip)", frame)
        said = str(caught.value)
        assert f"did you mean {name!r}?" in said
        proposed = re.search(r"in a formula (`.*?`)", said)[1]
        assert ph.moments(f"y ~ {proposed} + (1 | zip)", frame).rows == len(rows)
    with pytest.raises(ph.PriorhoodError, match="`") as caught:
        ph.moments(f"y ~ 1 + (1 | {name})", frame)


def test_several_odd_names_are_all_proposed(rows):
    frame = rows.rename(columns={"plain": "Bad / WC", "area": "Bad 2"})
    with pytest.raises(
        ph.TableError, match=r"did you mean 'Bad . WC' or 'Bad 2'\?|'Bad 2' or 'Bad . WC'\?"
    ) as caught:
        ph.moments("y ~ Bad + (1 | zip)", frame)
    assert "`Bad / WC`" in str(caught.value)
    assert "`Bad 2`" in str(caught.value)


@pytest.mark.parametrize("options", [{"noise": "n/o"}, {"se": "s/e"}, {"precision_weights": "w (m²)"}, {}], ids=str)
def test_equations_write_every_odd_name_in_backticks(rows, options):
    """Of one name there is one spelling, also of groups, weights, errors, units and reference levels."""
    frame = rows.rename(columns={"plain": "a/b", "zip": "n/o", "city": "k:l", "f": "Objekt-Typ"})
    frame = frame.assign(**{"s/e": 1.0, "w (m²)": 1.0, "log(x)": frame["area"]})
    text = "y ~ `a/b` + `Objekt-Typ` + `log(x)` + (1 + `a/b` | `n/o`)" + (
        "" if options.get("noise") else " + (1 | `k:l`)"
    )
    told = ph.equations(ph.Model(text, **options), frame)
    for name in ("a/b", "n\u2215o", "k:l", "Objekt-Typ", "log(x)", "s/e", "w (m²)"):
        assert name not in re.sub("`[^`]*`", "", told), name
    assert "per `a/b`" in told
    assert "reference level: `Objekt-Typ`" in told
    # A name of its own kind stays as it is.
    assert "`area`" not in ph.equations("y ~ area + (1 | zip)", rows)


def test_equations_are_aligned_by_the_columns_of_a_terminal(rows):
    from rich.cells import cell_len

    frame = rows.rename(columns={"plain": "価格", "area": NFD, "zip": "nº"})
    told = ph.equations(f"y ~ 価格 + `{NFD}` + (1 + 価格 | `nº`)", frame)
    block = [line for line in told.partition("\n\n")[2].partition("\n\n")[2].splitlines() if " ~ " in line]
    assert len(block) > 5
    assert any("価格" in line for line in block)
    assert any(NFD in line for line in block)
    assert len({cell_len(line.partition(" ~ ")[0]) for line in block}) == 1
    assert len({cell_len(line.partition("  = ")[0]) for line in block if "  = " in line}) == 1
    assert all(width(line) == cell_len(line) for line in block)


# -- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["posterior", "sums"])
def test_a_file_whose_labels_lack_their_backticks(tmp_path, rows, kind):
    """As files of version 0.1 do: they load, and say the same."""
    frame = rows.rename(columns={"plain": "a:b", "f": "k, l", "rooms": "x=y"})
    text = "y ~ area:`a:b` + `a:b` + `k, l` + C(`x=y`) + (1 | zip)"
    model = ph.Model(text, ["mu[`a:b`] ~ Normal(0, 3)", "mu[area:`a:b`] ~ Normal(0, 2)"])
    path = tmp_path / "old.nc"
    post = ph.fit(model, frame, **QUICK) if kind == "posterior" else ph.moments(model, frame)
    tree = post.tree if kind == "posterior" else sums_tree(post)
    groups = {}
    for name, node in tree.children.items():
        group = node.to_dataset()
        for dim in {"term", "term_bis", "column", "column_bis"} & set(map(str, group.coords)):
            group = group.assign_coords({dim: [str(v).replace("`", "") for v in group[dim].values]})
        groups[name] = group
    old = type(tree).from_dict(groups)
    old.attrs = {
        k: v.replace("`", "") if k in ("categories", "numeric_categories") else v for k, v in tree.attrs.items()
    }
    old.attrs["numeric_categories"] = tree.attrs["numeric_categories"]
    old.attrs["categories"] = old.attrs["categories"].replace("C(x=y)", "C(`x=y`)")
    if kind == "posterior":
        stored = json.loads(tree.attrs["model"])
        stored["priors"] = {key.replace("`", ""): prior for key, prior in stored["priors"].items()}
        old.attrs["model"] = json.dumps(stored)
    # Of formats that have no checksums yet.
    old.attrs["priorhood_format" if kind == "posterior" else "priorhood_moments_format"] = (
        4 if kind == "posterior" else 1
    )
    old.to_netcdf(path, engine="h5netcdf")
    if kind == "sums":
        assert ph.load_moments(path).moments.columns == post.moments.columns
        assert ph.load_moments(path).design == post.design
        return
    again = ph.load(path)
    assert again.design == post.design
    assert again.priors() == post.priors()
    assert again.summary().equals(post.summary())
    assert again.predict(frame).equals(post.predict(frame))


# -- both sides -------------------------------------------------------------------------------------------


def test_a_column_on_both_sides(rows):
    """The elasticity: log(y / area) on log(area) is log(y) on log(area), the slope less 1."""
    quick = {"seed": 2, "chains": 2, "draws": 400}
    wide = {"priors": "mu ~ Normal(0, 1000)", "standardize": False, "outcome_unit": 1}
    ratio = ph.fit(ph.Model("log(y / area) ~ log(area) + (1 | zip)", **wide), rows, **quick)
    whole = ph.fit(ph.Model("log(y) ~ log(area) + (1 | zip)", **wide), rows, **quick)
    apart = whole["mu"].sel(term="log(area)").mean() - ratio["mu"].sel(term="log(area)").mean()
    assert float(apart) == pytest.approx(1.0, abs=0.01)
    told, of_all = ratio.predict(rows, below=5.0), whole.predict(rows)
    assert ratio.model.formula.outcome_name == "y / area"
    np.testing.assert_allclose(told["mean"] * rows["area"], of_all["mean"], rtol=0.02)
    # A row to predict needs the predictors, not the outcome's other column.
    home = ratio.predict({"zip": ["01067"], "area": [60.0]})
    assert home["mean"].iloc[0] == pytest.approx(float(rows["y"].mean() / 60), rel=0.5)
    drawn = ph.posterior_predictive(ratio, rows)
    assert list(drawn["posterior_predictive"].data_vars) == ["y per area"]


@pytest.mark.parametrize("text", ["y ~ y", "y ~ log(y)", "log(y) ~ y + area", "log(y / area) ~ I(y / area)"])
def test_an_outcome_is_not_its_own_predictor(text):
    with pytest.raises(ph.FormulaError, match="both sides"):
        parse(text)


# -- C() -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reference", "levels"),
    [
        ("C(f)", None, None),
        ('C(f, Treatment("house"))', "house", None),
        ("C(f, Treatment('house'))", "house", None),
        ('C(f, Treatment(reference="a, b)"))', "a, b)", None),
        ('C(f, contr.treatment("it\'s"))', "it's", None),
        ("C(f, contr.treatment(base='h'))", "h", None),
        ("C(f, Treatment(3))", 3, None),
        ("C(f, Treatment(-1.5))", -1.5, None),
        ('C(f, levels=["house", "flat"])', None, ("house", "flat")),
        ("C(f, levels=[3, 1, 2])", None, (3, 1, 2)),
        ('C(`a/b`, Treatment("x"), levels=["y", "x"])', "x", ("y", "x")),
    ],
)
def test_c_says_reference_and_levels(text, reference, levels):
    (_, (factor,)) = parse(f"y ~ {text}").population
    found = Expression(factor)
    assert (found.categorical, found.reference, found.levels) == (True, reference, levels)
    assert found.bare in ("f", "a/b")
    again = Expression(parse(f"y ~ {factor}").population[1][0])
    assert (again.text, again.reference, again.levels) == (factor, reference, levels)


@pytest.mark.parametrize(
    "text", ["C()", "C(f, g)", "C(f, Treatment())", "C(f, levels=3)", "C(f, levels=[f])", "C(log(f))"]
)
def test_c_takes_one_column(text):
    with pytest.raises(ph.FormulaError, match=r"C\(\) takes one column"):
        parse(f"y ~ {text}")


@pytest.mark.parametrize("way", ["``tick``", "```tick```", r"\`tick\`", r"`\`tick\``", "```tick`", "`ti``ck`"])
def test_a_backtick_of_a_name_has_no_second_way(way):
    """They were said to have no name, or to lack a sign."""
    n = 40
    rng = np.random.default_rng(1)
    name = "ti`ck" if way == "`ti``ck`" else "`tick`"
    rows = pd.DataFrame({"zip": np.arange(n) % 5, name: rng.normal(size=n), "price": rng.normal(size=n)})
    with pytest.raises(ph.FormulaError, match=r"a name that contains a backtick cannot be written .* rename that"):
        ph.fit(f"price ~ {way} + (1 | zip)", rows)
    post = ph.fit("price ~ tick + (1 | zip)", rows.rename(columns={name: "tick"}), draws=50, seed=1)
    assert "tick" in post["mu"]["term"].values
    with pytest.raises(ph.FormulaError, match="a column without a name cannot be used"):
        ph.fit("price ~ `` + (1 | zip)", rows)


@pytest.mark.once
@pytest.mark.parametrize("bar", ["|", "||"])
def test_both_forms_that_an_interaction_alone_is_pointed_to_are_fitted(bar):
    n = 240
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "zip": np.arange(n) % 6, "type": rng.choice(["a", "b"], n), "quarter": rng.integers(1, 4, n),
            "price": rng.normal(size=n),
        }
    )  # fmt: skip
    with pytest.raises(ph.FormulaError) as caught:
        ph.fit(f"price ~ 1 + (type:C(quarter) {bar} zip)", rows)
    advised = str(caught.value).split(": write ")[1].removesuffix(" without an intercept").split(", or ")
    assert [one.strip("'") for one in advised] == ["type*C(quarter)", "0 + type:C(quarter)"]
    for one in advised:
        post = ph.fit(f"price ~ 1 + ({one.strip(chr(39))} {bar} zip)", rows, draws=50, seed=1)
        assert post["tau"].shape[-1] == 6
