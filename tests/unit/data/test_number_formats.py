"""One reading of a table: how its values are written, and who holds it, makes no difference without a word."""

from __future__ import annotations

import datetime
import decimal
import gzip
import re
import shlex
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import duckdb
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

import priorhood as ph
from priorhood._text import naming_of
from priorhood.cli.wording import options as cli_options
from priorhood.data.date_formats import dates_of
from priorhood.data.labels import BLANKS, match_spelling, normal_label, spelling_advice
from priorhood.data.misread_thousands import all_in_thousands, in_thousands
from priorhood.data.mixed_decimals import decimal_sign
from priorhood.data.number_formats import Separators, find_affix, guess_separators
from priorhood.data.unusual_numbers import affix_advice, rewriting
from priorhood.model.formula import parse
from shell import run_python
from table_moments import design_and_moments

TEXT = "price ~ area + (1 | zip)"


def sums(table, text=TEXT, **options):
    return design_and_moments(ph.read(table, **options), parse(text))


def refused(table, text=TEXT, **options):
    with pytest.raises(ph.TableError) as caught:
        sums(table, text, **options)
    return str(caught.value)


def written(folder, text, name="rows.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def homes(rows=60, seed=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "zip": [("01067", "01069", "10115")[i % 3] for i in range(rows)],
            "area": rng.integers(40, 110, rows),
            "price": rng.integers(150, 450, rows) * 1000.0 + rng.integers(0, 1000, rows),
        }
    )


# -- every backend, every value ---------------------------------------------------------------------------

FORMS = {
    "pandas": lambda t, _: t.to_pandas(),
    "pandas of Arrow": lambda t, _: t.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas nullable": lambda t, _: t.to_pandas().convert_dtypes(),
    "pandas objects": lambda t, _: pd.DataFrame(
        {c: pd.Series(t[c].to_pylist(), dtype=object) for c in t.column_names}
    ),
    "polars": lambda t, _: pl.from_arrow(t),
    "polars lazy": lambda t, _: pl.from_arrow(t).lazy(),
    "pyarrow": lambda t, _: t,
    "duckdb": lambda t, _: duckdb.from_arrow(t),
    "parquet": lambda t, folder: _parquet(t, folder / "rows.parquet"),
    "csv": lambda t, folder: _csv(t, folder / "rows.csv", ","),
    "csv.gz": lambda t, folder: _csv(t, folder / "rows.csv.gz", ","),
    "tsv": lambda t, folder: _csv(t, folder / "rows.tsv", "\t"),
    "jsonl": lambda t, folder: _json(t, folder / "rows.jsonl"),
}


def _parquet(table, path):
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, path)
    return path


def _plain(value):
    return "" if value is None or value != value else f'"{value}"' if isinstance(value, str) else repr(value)


def _csv(table, path, separator):
    lines = [separator.join(table.column_names)]
    lines += [separator.join(map(_plain, row.values())) for row in table.to_pylist()]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _json(table, path):
    import json

    rows = [{c: None if v != v else v for c, v in row.items()} for row in table.to_pylist()]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


LABELS = {
    "zeros": (pa.string(), ["01067", "1067", "00501", "01067\u00a0", "Köln", "Ko\u0308ln", None, " "]),
    "whole numbers as floats": (pa.float64(), [360470001001000.0, 1.0, 12345678901.0, 7.0, None, float("nan")]),
    "large whole numbers": (pa.int64(), [9007199254740993, 9007199254740992, -1]),
    "truths": (pa.bool_(), [True, False, None]),
}
KINDS = {
    "texts": (
        pa.string(),
        ["house", "house\u00a0", "\u200bflat", "flat", "Ha\u0308user", "Häuser", None, " \u3000"],
    ),
    "yes and no": (pa.string(), ["yes", "no", "No ", None]),
    "truths": (pa.bool_(), [True, False, None]),
    "numbers": (pa.float64(), [1.0, 2.0, 3.5, float("nan"), None]),
    "whole numbers": (pa.int64(), [1, 2, 3, None]),
}


@st.composite
def tables(draw):
    """Few rows: a label, what may be categories, a number with gaps, an outcome; whether C() is asked; where."""
    label, kind = draw(st.sampled_from(sorted(LABELS))), draw(st.sampled_from(sorted(KINDS)))
    n = draw(st.integers(6, 14))
    several = lambda values: st.lists(st.sampled_from(values), min_size=n, max_size=n)  # noqa: E731
    columns = {
        "place": pa.array(draw(several(LABELS[label][1])), LABELS[label][0]),
        "kind": pa.array(draw(several(KINDS[kind][1])), KINDS[kind][0]),
        "area": pa.array(draw(several([20.5, 31.25, 48.0, 77.125, 90.0, None])), pa.float64()),
        "price": pa.array(np.random.default_rng(n).normal(3e5, 7e4, n).round(2)),
    }
    return pa.table(columns), draw(st.booleans()), draw(st.sampled_from([None, "area > 25"]))


@settings(deadline=None, derandomize=True, max_examples=12, suppress_health_check=list(HealthCheck))
@given(drawn=tables())
def test_every_backend_finds_the_same_labels_categories_and_sums(tmp_path_factory, drawn):
    table, asked, where = drawn
    text = f"price ~ area + {'C(kind)' if asked else 'kind'} + (1 | place)"
    folder = tmp_path_factory.mktemp("forms")
    found = {}
    for name, made in FORMS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found[name] = sums(made(table, folder), text, where=where)
            except ph.PriorhoodError as problem:
                found[name] = re.sub(r"^.*?: ", "", str(problem), count=1)
    design, expected = found["pandas"] if not isinstance(found["pandas"], str) else (None, found["pandas"])
    for name, one in found.items():
        if design is None:
            # Without a category or a row left, all say so in the same words.
            assert one == expected, name
            continue
        assert not isinstance(one, str), (name, one)
        assert one[0].categories == design.categories, name
        assert one[1].labels.tolist() == expected.labels.tolist(), name
        assert one[1].columns == expected.columns, name
        assert (one[1].read, one[1].dropped) == (expected.read, expected.dropped), name
        np.testing.assert_array_equal(one[1].n, expected.n, err_msg=name)
        np.testing.assert_allclose(one[1].mean, expected.mean, rtol=1e-12, err_msg=name)
        size = np.sqrt(np.maximum(np.diag(expected.pooled()[1]), 1e-300))
        unit = np.outer(size, size)
        np.testing.assert_allclose(one[1].scatter / unit, expected.scatter / unit, atol=1e-12, err_msg=name)


def test_the_control_of_backends_sees_a_difference(tmp_path):
    """One value another, and the sums differ by more than is allowed above."""
    table = pa.table({"place": ["a", "b"] * 5, "price": np.arange(10.0)})
    other = table.set_column(1, "price", pa.array([*np.arange(9.0), 9.0 + 1e-9]))
    one, two = sums(table, "price ~ 1 + (1 | place)")[1], sums(other, "price ~ 1 + (1 | place)")[1]
    assert abs(one.mean - two.mean).max() / abs(one.mean).max() > 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_labels_of_floats_are_all_digits(tmp_path, form):
    """A float of a merge, 360470001001000.0, is 3.6e+14 to PyArrow alone."""
    codes = [360470001001000.0, 12345678901.0, 5.0] * 6
    table = pa.table({"place": codes, "price": np.arange(18.0)})
    assert sums(FORMS[form](table, tmp_path), "price ~ 1 + (1 | place)")[1].labels.tolist() == [
        "12345678901", "360470001001000", "5",
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_labels_and_texts_of_blanks_alone_are_missing(tmp_path, form):
    """Whichever blanks: CSV and the other files made a place without a name of those that have no width."""
    labels = ["a", "b", "\u200ba\ufeff", *BLANKS, "".join(BLANKS)]
    table = pa.table({"place": labels * 3, "kind": ["x", *labels[1:]] * 3, "price": np.arange(3.0 * len(labels))})
    table = FORMS[form](table, tmp_path)
    found = sums(table, "price ~ 1 + (1 | place)")[1]
    assert dict(zip(found.labels.tolist(), found.n.tolist(), strict=True)) == {"a": 6, "b": 3}
    assert [(d.reason, d.rows) for d in found.dropped] == [("missing", 3 * (len(BLANKS) + 1))]
    assert sums(table, "price ~ 1", where="kind is not null")[1].n.sum() == 9
    assert sums(table, "price ~ 1", where="kind <> 'x'")[1].n.sum() == 6


@cache
def of_two_places(column):
    rows = pd.DataFrame({column: ["a", "b"] * 12, "price": np.arange(24.0) % 5})
    return ph.fit(f"price ~ 1 + (1 | {column})", rows, seed=1, draws=50)


NESTED = {
    "lists": [[1, 2], [3]],
    "several values each": [{"a": 1}, {"a": 2}],
    "bytes": [b"a", b"b"],
    "durations": [datetime.timedelta(hours=1), datetime.timedelta(days=2)],
}


@pytest.mark.parametrize("what", NESTED)
@pytest.mark.parametrize(
    "form", ["pandas", "pandas of Arrow", "polars", "polars lazy", "pyarrow", "duckdb", "parquet"]
)
def test_values_that_are_no_labels_are_refused(tmp_path, form, what):
    """Some engines ended in a traceback, others made categories like '[3]' of them."""
    if (form, what) == ("parquet", "durations"):
        pytest.skip("a Parquet file has these as whole numbers, and only Arrow's own note says what they are")
    table = pa.table({"zip": ["a", "b"] * 12, "x": NESTED[what] * 12, "price": np.arange(24.0)})
    table = FORMS[form](table, tmp_path)
    for text in ("price ~ C(x) + (1 | zip)", "price ~ 1 + (1 | x)", "price ~ 1 + (1 | zip/x)"):
        said = refused(table, text)
        assert re.search(f"column 'x' \\((predictor|the group)\\) holds ({what}|values of type)", said), said
    with pytest.raises(ph.TableError, match=r"column 'x' \(the group\) holds"):
        of_two_places("x").predict(table, unseen="draw")


@pytest.mark.parametrize("text", ["price ~ C(x) + (1 | zip)", "price ~ 1 + (1 | x)"])
def test_types_that_have_no_text_are_refused(text):
    months = pa.array([pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([2, 2, 3])] * 12)
    table = pa.table({"zip": ["a", "b"] * 12, "x": months, "price": np.arange(24.0)})
    periods = pa.Table.from_pandas(
        pd.DataFrame({"x": pd.period_range("2020-01", periods=2, freq="M").repeat(12)}), preserve_index=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # older Polars takes such types for what they are stored as, and says so
        extended = pl.from_arrow(table.set_column(1, "x", periods["x"]))
    assert "holds values of another type, not labels" in refused(table, text)
    for frame in (extended, extended.lazy()):
        if extended.schema["x"] == pl.Int64:
            assert len(sums(frame, text)[1].labels) == 2
        else:
            assert "holds values of another type, not labels" in refused(frame, text)


@pytest.mark.parametrize("kind", [pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.null()], ids=str)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "csv.gz"])
def test_a_column_without_any_value_is_named(tmp_path, form, kind):
    """pandas' own types of it ended in a traceback."""
    table = pa.table({"zip": ["a", "b"] * 12, "x": pa.array([None] * 24, kind), "price": np.arange(24.0)})
    table = FORMS[form](table, tmp_path)
    for text in ("price ~ x + (1 | zip)", "price ~ 1 + (1 | x)", "x ~ 1 + (1 | zip)", "price ~ log(x) + (1 | zip)"):
        assert re.search("'x'|log.x.", refused(table, text))


@pytest.mark.parametrize("odd", ["a\0", "\0", "\x1f1", "\x1fa", "a\x1f", "a\x1fb"])
@pytest.mark.parametrize("form", FORMS)
def test_characters_that_no_label_may_have(tmp_path, form, odd):
    """They were lost at the end, so that two places were one, or taken for a row that is left out."""
    table = pa.table({"kind": ["x", "y"] * 12, "place": ["a", "b", "c", odd] * 6, "price": np.arange(24.0)})
    table = FORMS[form](table, tmp_path)
    for text in ("price ~ 1 + (1 | place)", "price ~ 1 + (1 | kind/place)"):
        with pytest.raises(ph.TableError, match=r"cannot be saved as text|labels must not contain"):
            sums(table, text)
    with pytest.raises(ph.TableError, match=r"cannot be saved as text|labels must not contain"):
        of_two_places("place").predict(table, unseen="draw")


@pytest.mark.parametrize("form", ["pandas", "pandas of Arrow", "polars", "pyarrow", "duckdb", "parquet"])
def test_times_of_midnight_are_dates_as_labels(tmp_path, form):
    days = [datetime.datetime(2014, 5, 2), datetime.datetime(2014, 5, 3, 13, 30)] * 6
    table = pa.table({"day": days, "price": np.arange(12.0)})
    found = sums(FORMS[form](table, tmp_path), "price ~ 1 + (1 | day)")[1]
    assert found.labels.tolist() == ["2014-05-02", "2014-05-03 13:30:00"]


def test_normal_labels():
    texts = (" 01067\u00a0", "\ufeff10115", "7.0", "1.10", "TRUE", "False", "true story")
    assert [normal_label(text) for text in texts] == [
        "01067", "10115", "7", "1.10", "true", "false", "true story",
    ]  # fmt: skip
    assert normal_label("Ko\u0308ln") == normal_label("Köln") == "Köln"
    # Letters of scripts that join, and what only looks like a float, stay.
    assert normal_label("\u0d28\u0d4d\u200d") == "\u0d28\u0d4d\u200d"
    assert normal_label("1e5") == "1e5"
    assert all(c.isspace() or c in "\u200b\u200e\u200f\u2060\ufeff" for c in BLANKS)
    assert {chr(c) for c in range(0x110000) if chr(c).isspace()} <= set(BLANKS)


def test_python_objects_in_a_frame_are_what_they_are():
    frame = homes().assign(new=np.random.default_rng(1).random(60) < 0.5)
    expected = sums(frame, "price ~ area + new + (1 | zip)")[1]
    objects = frame.astype({"area": object, "new": object})
    objects["price"] = [decimal.Decimal(str(v)) for v in frame["price"]]
    found = sums(objects, "price ~ area + new + (1 | zip)")[1]
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)


# -- yes and no -------------------------------------------------------------------------------------------


def furnished():
    return homes().assign(furnished=np.where(np.random.default_rng(2).random(60) < 0.5, "yes", "no"))


def test_a_fit_of_yes_and_no_takes_frames_and_files_of_the_same_rows(tmp_path):
    frame, text = furnished(), "price ~ area + furnished + (1 | zip)"
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    post = ph.fit(text, path, chains=2, draws=100, seed=1)
    assert "furnished" in post.design.names
    for rows in (frame, pl.from_pandas(frame), path, frame.assign(furnished=frame["furnished"] == "yes")):
        predicted = ph.fit(text, rows, chains=2, draws=100, seed=1).predict(rows, quantiles=[])
        other = post.predict(rows, quantiles=[])
        one, two = (nw_column(found, "mean") for found in (predicted, other))
        np.testing.assert_allclose(one, two, rtol=1e-9)
    # The columns that were given come back as they were.
    assert post.predict(frame, quantiles=[])["furnished"].tolist() == frame["furnished"].tolist()


def nw_column(frame, name):
    import narwhals.stable.v2 as nw

    return nw.from_native(frame, eager_only=True)[next(c for c in frame.columns if c.endswith(name))].to_numpy()


def test_categories_are_asked_for_by_c(tmp_path):
    frame, text = furnished(), "price ~ area + C(furnished) + (1 | zip)"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for rows in (frame, tmp_path / "rows.csv", pa.Table.from_pandas(frame)):
        assert sums(rows, text)[0].categories == {"C(furnished)": ("no", "yes")}


# -- NaN and texts in conditions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["pandas", "polars", "polars lazy", "pyarrow", "duckdb", "parquet", "pandas of Arrow"]
)
def test_nan_meets_no_condition(tmp_path, form):
    dist = [float("nan"), 3.0, 20.0, None, 11.0] * 12
    table = pa.Table.from_pandas(homes(), preserve_index=False).append_column("dist", pa.array(dist))
    assert sums(FORMS[form](table, tmp_path), where="dist > 10")[1].n.sum() == 24
    assert sums(FORMS[form](table, tmp_path), where="not dist > 10")[1].n.sum() == 12


def test_nan_that_a_parquet_file_says_nothing_of(tmp_path):
    """PyArrow's statistics leave NaN out, and DuckDB takes a column so for one without NaN."""
    frame = homes()
    spoilt = frame.assign(area=frame["area"].where(frame.index > 5, np.nan).astype(float))
    table = pa.Table.from_pandas(spoilt, preserve_index=False)
    table = table.set_column(1, "area", pa.array(spoilt["area"].to_numpy(), from_pandas=False))
    path = _parquet(table, tmp_path / "rows.parquet")
    assert duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE isnan(area)").fetchall() == [(0,)]  # the fault itself
    for rows in (path, duckdb.read_parquet(str(path))):
        for options, kept in (({}, 54), ({"where": "area > 0"}, 54), ({"where": "price > 0"}, 54)):
            found = sums(rows, **options)[1]
            assert found.n.sum() == kept
            np.testing.assert_allclose(found.mean, sums(frame[6:])[1].mean, rtol=1e-12)


def test_nan_in_a_csv_meets_no_condition(tmp_path):
    path = tmp_path / "rows.csv"
    homes().assign(dist=[np.nan, 3.0, 20.0] * 20).to_csv(path, index=False, na_rep="NaN")
    assert sums(path, where="dist > 10")[1].n.sum() == 20


def with_na():
    return homes().assign(dist=["NA", "8.3", "13.4", "20.0"] * 15)


@pytest.mark.parametrize("form", ["csv", "pandas", "polars", "polars lazy", "pyarrow", "duckdb", "parquet"])
def test_a_condition_on_numbers_with_na_among_them(tmp_path, form):
    """The advice is followed: nulls work for frames as for files."""
    table = FORMS[form](pa.Table.from_pandas(with_na(), preserve_index=False), tmp_path)
    said = refused(table, where="dist > 10")
    assert "column 'dist' holds 'NA' among numbers" in said
    assert "(nulls=['NA'])" in said
    assert sums(table, where="dist > 10", nulls=["NA"])[1].n.sum() == 30


@pytest.mark.parametrize("form", ["csv", "pandas", "polars", "pyarrow", "duckdb", "jsonl"])
def test_texts_among_numbers_are_counted_after_where(tmp_path, form):
    frame = homes()
    asked = frame.astype({"price": object})
    asked["price"] = [f"{v:.0f}" for v in frame["price"]]
    asked.loc[[3, 17, 40], "price"] = "Price on request"
    table = FORMS[form](pa.Table.from_pandas(asked, preserve_index=False), tmp_path)
    said = refused(table)
    assert "'Price on request' (3 rows)" in said
    _, expected = sums(frame.drop([3, 17, 40]))
    for options in ({"where": "price <> 'Price on request'"}, {"nulls": ["Price on request"]}):
        found = sums(table, **options)[1]
        assert found.n.sum() == 57
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    assert "(nulls=['Price on request'])" in said


def test_a_second_line_of_names(tmp_path):
    frame = homes()
    lines = frame.to_csv(index=False).splitlines()
    lines.insert(1, "district,floor area,total price")
    path = written(tmp_path, "\n".join(lines) + "\n")
    found = sums(path, where="zip <> 'district'")[1]
    np.testing.assert_allclose(found.mean, sums(frame)[1].mean, rtol=1e-12)


def test_names_in_the_middle_are_told_and_left_out(tmp_path):
    frame = homes().rename(columns={"area": "living area"})
    lines = frame.to_csv(index=False).splitlines()
    lines.insert(30, lines[0])
    path = written(tmp_path, "\n".join(lines) + "\n")
    text = "price ~ `living area` + (1 | zip)"
    said = refused(path, text)
    assert "holds its own name, 'living area', in 1 row: the line of column names is repeated" in said
    condition = "\"living area\" <> 'living area'"
    assert said.endswith(f"leave it out with where={condition!r}")
    for options in ({"where": condition}, {"where": "zip <> 'zip'"}, {"nulls": ["price", "living area"]}):
        found = sums(path, text, **options)[1]
        np.testing.assert_allclose(found.mean, sums(frame, text)[1].mean, rtol=1e-12)
    assert ph.read(path, nulls=["price", "living area"]).columns == ("zip", "living area", "price")


def test_nulls_that_are_numbers(tmp_path):
    frame = homes()
    frame.loc[[1, 2], "price"] = -999.0
    frame["price"] = frame["price"].astype(int)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for table in (frame, pl.from_pandas(frame), tmp_path / "rows.csv"):
        found = sums(table, nulls=["-999"])[1]
        assert (found.n.sum(), [(d.reason, d.column, d.rows) for d in found.dropped]) == (
            58,
            [("missing", "price", 2)],
        )


# -- thousands --------------------------------------------------------------------------------------------


def grouped(values, sign, point="."):
    return [f"{v:,.2f}".removesuffix(".00").translate(str.maketrans({",": sign, ".": point})) for v in values]


def rents():
    """From some hundred to some thousand."""
    rng = np.random.default_rng(5)
    return homes().assign(price=rng.integers(600, 1990, 60).astype(float))


@pytest.mark.parametrize("sign", [",", ".", " ", "'", "_", "\u202f"])
@pytest.mark.parametrize("form", ["csv", "pandas", "polars", "pyarrow", "duckdb", "parquet", "jsonl"])
def test_thousands(tmp_path, sign, form):
    frame = rents().assign(price=lambda f: f["price"] * 1003)
    texts = frame.assign(price=grouped(frame["price"], sign))
    table = FORMS[form](pa.Table.from_pandas(texts, preserve_index=False), tmp_path)
    given = " " if sign == "\u202f" else sign
    np.testing.assert_allclose(sums(table, thousands=given)[1].mean, sums(frame)[1].mean, rtol=1e-12)
    assert sums(table, where="price > 1000000", thousands=given)[1].n.sum() == (frame["price"] > 1e6).sum()


def test_thousands_beside_plain_numbers_are_said_and_the_advice_works(tmp_path):
    frame = rents()
    path = tmp_path / "rows.csv"
    frame.assign(price=grouped(frame["price"], ",")).to_csv(path, index=False)
    said = refused(path)
    assert "look like thousands" in said
    assert "read the table with thousands=',', or" in said
    assert "decimal" not in said
    np.testing.assert_allclose(sums(path, thousands=",")[1].mean, sums(frame)[1].mean, rtol=1e-12)
    # Who says that they are decimals is told what they look like, and what to give in its place.
    with pytest.warns(ph.PriorhoodWarning, match=r"three digits after ','.* use thousands=',' instead"):
        sums(path, decimal=",")


def test_thousands_and_cents_never_advise_what_is_given(tmp_path):
    frame = rents().assign(price=lambda f: f["price"] * 1003 + 0.25)
    path = tmp_path / "rows.csv"
    frame.assign(price=[f"{v:,.2f}" for v in frame["price"]]).to_csv(path, index=False)
    assert "thousands=',', or" in refused(path)
    said = refused(path, decimal=",")
    assert "thousands=',' instead of decimal=','" in said
    assert said.count("decimal=") == 1
    with naming_of(cli_options):
        assert "--thousands ',' instead of --decimal ','" in refused(path, decimal=",")
    np.testing.assert_allclose(sums(path, thousands=",")[1].mean, sums(frame)[1].mean, rtol=1e-12)


def test_zeros_before_the_numbers_of_a_predictor_are_told(tmp_path):
    """A frame, which has them as texts, refuses them; a CSV took a ZIP code for a number without a word."""
    frame = homes().assign(area=lambda d: d.area.map("{:04d}".format))
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.warns(ph.PriorhoodWarning, match=r"column 'area' has leading zeros, such as '00\d\d'.* C\(area\)"):
        found = sums(tmp_path / "rows.csv")[1]
    np.testing.assert_allclose(found.mean, sums(homes())[1].mean, rtol=1e-12)
    sums(tmp_path / "rows.csv", "price ~ C(area) + (1 | zip)")
    sums(tmp_path / "rows.csv", "price ~ I(area) + (1 | zip)")
    assert "C(area)" in refused(frame)


def sorted_rents(rows=24_000):
    """Sorted by rent: the first of 1,000 or more is beyond the rows that are looked at first."""
    rng = np.random.default_rng(4)
    area, place = rng.integers(20, 150, rows), rng.integers(0, 40, rows)
    rent = 200 + 9 * area + 100 * rng.normal(size=40)[place] + 60 * rng.normal(size=rows)
    frame = pd.DataFrame({"zip": 10115 + place, "area": area, "price": rent.round().astype(int).clip(50)})
    frame = frame.sort_values("price", ignore_index=True)
    assert (frame.price >= 1000).to_numpy().argmax() > 10_000
    return frame


@pytest.mark.parametrize("weights", [{}, {"precision_weights": "area"}])
def test_thousands_that_begin_late_in_a_file(tmp_path, weights):
    """They were decimals, without a word."""
    frame = sorted_rents()
    frame.assign(price=[f"{v:,}".replace(",", ".") for v in frame.price]).to_csv(
        tmp_path / "rents.csv", index=False
    )
    model = ph.Model(TEXT, **weights)
    with pytest.raises(ph.TableError, match=r"column 'price' has values with exactly three digits after '\.'"):
        ph.moments(model, tmp_path / "rents.csv")
    right = ph.moments(model, frame).moments
    found = ph.moments(model, ph.read(tmp_path / "rents.csv", thousands=".")).moments
    np.testing.assert_allclose(found.mean, right.mean, rtol=1e-12)
    with pytest.warns(ph.PriorhoodWarning, match="are read as decimals because of decimal='.'"):
        assert ph.moments(model, ph.read(tmp_path / "rents.csv", decimal=".")).moments.mean[:, 1].max() < 1000
    frame.to_csv(tmp_path / "plain.csv", index=False)
    np.testing.assert_allclose(ph.moments(model, tmp_path / "plain.csv").moments.mean, right.mean, rtol=1e-12)


def test_thousands_that_begin_late_in_rows_to_predict(tmp_path):
    frame = sorted_rents()
    post = ph.fit("price ~ area + (1 | zip)", frame, seed=1)
    new = frame.assign(area=[f"{v:,}".replace(",", ".") for v in frame.price])
    new.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(ph.TableError, match=r"column 'area' has values with exactly three digits after '\.'"):
        post.predict(tmp_path / "new.csv")


def test_thousands_that_begin_late_in_a_frame():
    frame = sorted_rents()
    frame["price"] = [float(f"{v:,}".replace(",", ".")) for v in frame.price]
    with pytest.warns(ph.PriorhoodWarning, match="too small by a factor of 1,000"):
        sums(frame)


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_decimals_that_begin_late_are_decimals(tmp_path, decimals):
    """The control: sizes below 1,000 with decimals, looked at again only where there are three."""
    frame = sorted_rents()
    size = [str(v) if v < 990 else f"{v / 1.7:.{decimals}f}" for v in frame.price]
    frame.assign(area=size).to_csv(tmp_path / "rents.csv", index=False)
    found = sums(tmp_path / "rents.csv")[1]
    expected = sums(frame.assign(area=list(map(float, size))))[1]
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)


@pytest.mark.parametrize("order", [("zip", "area", "price"), ("price", "area", "zip")])
def test_decimal_commas_and_thousands_are_told_together(tmp_path, order):
    frame = homes().assign(area=lambda d: d.area + 0.5)
    texts = frame.assign(
        area=[f"{v:.1f}".replace(".", ",") for v in frame.area],
        price=[f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in frame.price],
    )
    texts[list(order)].to_csv(tmp_path / "rows.csv", sep=";", index=False)
    for table in (tmp_path / "rows.csv", texts):
        said = refused(table)
        assert "decimal commas" in said
        assert "column 'price' has thousands with '.'" in said
        assert "read the table with thousands='.', or" in said
        found = sums(table, thousands=".")[1]
        np.testing.assert_allclose(found.mean, sums(frame)[1].mean, rtol=1e-12)


def test_thousands_in_blanks_and_quotes(tmp_path):
    frame = rents().assign(price=lambda f: f["price"] * 431)
    path = tmp_path / "rows.csv"
    frame.assign(price=[f" {v:,.0f} " for v in frame["price"]]).to_csv(path, index=False)
    assert "thousands=','" in refused(path)
    with pytest.warns(ph.PriorhoodWarning, match="thousands=','"):
        sums(path, decimal=",")
    np.testing.assert_allclose(sums(path, thousands=",")[1].mean, sums(frame)[1].mean, rtol=1e-12)


def test_points_between_thousands_beside_whole_numbers(tmp_path):
    frame = rents()
    path = tmp_path / "rows.csv"
    frame.assign(price=grouped(frame["price"], ".")).to_csv(path, index=False, sep=";")
    said = refused(path)
    assert "exactly three digits after '.'" in said
    assert "read the file with thousands='.', or, if they are decimals, with decimal='.'" in said
    assert "thousands='.'" in refused(path, decimal=",")
    with naming_of(cli_options):
        assert "with --thousands '.', or, if they are decimals, with --decimal '.'" in refused(path)
    for options in ({"thousands": "."}, {"thousands": ".", "decimal": ","}):
        np.testing.assert_allclose(sums(path, **options)[1].mean, sums(frame)[1].mean, rtol=1e-12)
    with pytest.warns(ph.PriorhoodWarning, match="read as decimals because of decimal='.'"):
        found = sums(path, decimal=".")[1]
    assert found.mean[:, -1].max() < 800
    # A frame has only the numbers left.
    with pytest.warns(ph.PriorhoodWarning, match="too small by a factor of 1,000"):
        sums(pd.read_csv(path, sep=";", dtype={"zip": str}))


def test_points_and_commas(tmp_path):
    frame = rents().assign(price=lambda f: f["price"] * 1003 + 0.5)
    path = tmp_path / "rows.csv"
    frame.assign(price=grouped(frame["price"], ".", ",")).to_csv(path, index=False, sep=";")
    assert "read the table with thousands='.', or" in refused(path)
    np.testing.assert_allclose(sums(path, decimal=",", thousands=".")[1].mean, sums(frame)[1].mean, rtol=1e-12)


def test_decimal_commas_are_advised_where_they_can_be_nothing_else(tmp_path):
    frame = homes().assign(area=lambda f: f["area"] + 0.5)
    path = tmp_path / "rows.csv"
    texts = frame.astype({"price": int})
    texts.assign(area=[f"{v:.1f}".replace(".", ",") for v in frame["area"]]).to_csv(path, index=False, sep=";")
    assert "has decimal commas: " in (said := refused(path))
    assert "C(" not in said  # measured, and no category
    assert "read the table with decimal=',', or" in refused(path)
    np.testing.assert_allclose(sums(path, decimal=",")[1].mean, sums(frame)[1].mean, rtol=1e-12)
    # And points where commas were said to be.
    frame.to_csv(path, index=False)
    assert "decimal points" in refused(path, decimal=",")
    assert "read the table with decimal='.' instead of decimal=','" in refused(path, decimal=",")


@pytest.mark.parametrize("thousands", ["1,2,3", "12,50", "1,2500", "1234,567"])
def test_what_is_no_thousand_is_refused(tmp_path, thousands):
    path = written(tmp_path, "zip,price\n" + "".join(f'a,"{v}"\n' for v in ["1,250", "2,100", thousands] * 5))
    assert repr(thousands) in refused(path, "price ~ 1 + (1 | zip)", thousands=",")


def test_signs_that_contradict_each_other(tmp_path):
    with pytest.raises(ph.TableError, match="both ','"):
        ph.read(homes(), decimal=",", thousands=",")
    with pytest.raises(ph.TableError, match="thousands must be one of"):
        ph.read(homes(), thousands="x")
    with pytest.raises(ph.TableError, match="decimal must be"):
        ph.read(homes(), decimal=";")


@pytest.mark.parametrize(
    "texts",
    [
        ["1.250", "2.375", "52.520", "13.405"],  # coordinates
        ["0.125", "0.250", "950", "1"],
        ["1.5", "1.250", "900", "850"],
        ["1.250", "3", "7", "2.125"],  # rooms, ratings
        ["120.000", "85.500", "99"],
        ["1.185", "950", "12000"],  # what is above a thousand would have a point too
        ["1.234", "2.345", "3.456"],
        ["100", "200", "300"],
    ],
)
def test_ordinary_decimals_are_no_thousands(texts):
    assert in_thousands(texts * 10, ".") == []


def test_thousands_are_found_among_texts():
    assert in_thousands(["950", "1.200", "1.000", "820"], ".") == ["1.200", "1.000"]
    assert guess_separators(["1,250", "820"])[0] == Separators(".", ",")
    assert guess_separators(["1,250", "12,5"])[0] == Separators(",", "")
    assert guess_separators(["1.234,5"])[0] == Separators(",", ".")
    assert guess_separators(["1'250.50"])[0] == Separators(".", "'")
    assert guess_separators(["820", "nan"]) is None


def test_separators_are_written_as_arguments_or_options():
    assert str(Separators(",", " ")) == "decimal=',', thousands=' '"
    with naming_of(cli_options):
        assert str(Separators(",", " ")) == "--decimal ',' --thousands ' '"
        assert str(Separators(".", "'")) == '--thousands "\'"'


def in_points(values):
    return [f"{value:,.0f}".replace(",", ".") for value in values]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.csv.gz"])
def test_a_column_of_nothing_but_points_and_three_digits_is_said_once(tmp_path, name):
    """124.508 may be 124508: it is read as it stands, and the message has what reads it otherwise."""
    frame = homes().assign(price=in_points(homes()["price"]))
    path = tmp_path / name
    frame.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
    rows = ph.read(path)
    with pytest.warns(ph.PriorhoodWarning, match="three digits") as caught:
        _, decimals = design_and_moments(rows, parse(TEXT))
    first = frame["price"][0]
    assert len(caught) == 1
    said = str(caught[0].message)
    assert f"column 'price' has a period and three digits, such as {first!r}" in said
    assert f"{first!r} is read as a decimal, {float(first):g}; if it means {first.replace('.', '')}" in said
    design_and_moments(rows, parse(TEXT))  # once is enough: a second warning would be an error here
    thousands = sums(path, thousands=re.search(r"thousands='(.)'", said)[1])[1]
    np.testing.assert_allclose(thousands.mean[:, 1], 1000 * decimals.mean[:, 1])
    assert thousands.pooled()[0][1] == pytest.approx(homes()["price"].mean())
    confirmed = sums(path, decimal=re.search(r"decimal='(.)'", said)[1])[1]
    np.testing.assert_array_equal(confirmed.mean, decimals.mean)


def test_rows_to_predict_and_places_in_points_are_said_too(tmp_path):
    post = ph.fit("price ~ area + (1 | zip)", homes(), seed=1, chains=1, draws=50)
    areas = in_points(np.linspace(45_000, 140_500, 8))
    pd.DataFrame({"zip": ["01067"] * 8, "area": areas}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.warns(ph.PriorhoodWarning, match="column 'area' has a period and three digits"):
        post.predict(tmp_path / "rows.csv")
    pd.DataFrame({"zip": [f"0106{i}" for i in range(8)], "income": areas}).to_csv(tmp_path / "p.csv", index=False)
    with pytest.warns(ph.PriorhoodWarning, match="column 'income' has a period and three digits"):
        ph.fit(
            "price ~ income + (1 | zip)", homes().assign(zip=[f"0106{i % 8}" for i in range(60)]),
            places=tmp_path / "p.csv", seed=1, chains=1, draws=50,
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_texts_in_points_of_a_frame_are_refused_with_the_sign(kind):
    frame = homes().assign(price=in_points(homes()["price"]))
    rows = frame if kind == "pandas" else pl.from_pandas(frame)
    said = refused(rows)
    sign = re.search(rf"if {frame['price'].min()!r} is \d+, read the table with thousands='(.)'", said)[1]
    assert sums(rows, thousands=sign)[1].pooled()[0][1] == pytest.approx(homes()["price"].mean())


@pytest.mark.parametrize(
    "texts",
    [
        ["52.517", "52.520", "52.431", "52.600", "52.489"],  # latitudes
        ["0.532", "1.250", "12.300", "4.125", "8.500"],  # kilometres
        ["1.25", "2.375", "52.520", "13.405", "8.125"],
        ["124.508", "95.500", "88.250"],  # too few to tell
        ["124.508", "95.500", "88.250", "1204.500", "300.125"],
    ],
)
def test_ordinary_three_decimals_are_not_said(texts):
    assert all_in_thousands(texts) == []


# -- texts where numbers should be ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["price ~ log(kind) + (1 | zip)", "kind ~ area + (1 | zip)"])
def test_a_column_of_words_is_no_number_and_not_missing(tmp_path, text):
    """nulls for all its words would leave no row."""
    frame = homes().assign(kind=[("flat", "house", "loft")[i % 3] for i in range(60)])
    for rows in (frame, pl.from_pandas(frame), written(tmp_path, frame.to_csv(index=False))):
        said = refused(rows, text)
        assert "column 'kind'" in said
        assert "holds text, not numbers, such as 'flat', 'house', 'loft'" in said
        assert "null" not in said
    if "log" in text:
        assert "write kind by itself to use it as categories" in refused(frame, text)
        assert sums(frame, text.replace("log(kind)", "kind"))[1].rows == 60


def test_texts_among_numbers_are_fixed_or_filtered_out():
    frame = homes().astype({"area": str})
    frame.loc[3, "area"] = "12-15"
    assert "'12-15' (1 row); fix these rows or filter them out (where=)" in refused(frame)
    frame.loc[3, "area"] = "n/a"
    said = refused(frame)
    assert "'n/a' (1 row); fix these rows, filter them out (where=), or name the strings" in said
    assert sums(frame, nulls=re.search(r"nulls=\['(.*?)'\]", said)[1])[1].rows == 59


@pytest.mark.parametrize("digits", [40, 400])
def test_a_number_of_hundreds_of_digits_is_said_with_its_rows(tmp_path, digits):
    frame = homes().astype({"area": str})
    frame.loc[3, "area"] = "9" * digits
    for rows in (written(tmp_path, frame.to_csv(index=False)), frame):
        if digits == 40 and rows is not frame:
            assert sums(rows)[1].rows == 60
        elif digits == 400:
            said = refused(rows)
            assert (
                "column 'area' (predictor) holds a number that is too large: 999999999999999… (400 characters) "
                "(1 row)" in said
            )


def test_values_that_are_no_numbers_are_called_in_plain_words(tmp_path):
    frame = pl.from_pandas(homes()).with_columns(
        pl.lit(datetime.time(10, 30)).alias("at"),
        pl.duration(days=pl.col("area")).alias("listed"),
        pl.concat_list("area", "price").alias("both"),
        pl.struct("area", "price").alias("parts"),
    )
    frame.to_pandas().to_parquet(tmp_path / "rows.parquet")
    kinds = {"at": "times of day, such as '10:30:00'", "both": "lists", "parts": "several values each"}
    for column, kind in kinds.items():
        for rows in (frame, tmp_path / "rows.parquet"):
            assert f"holds {kind}, not numbers; convert them to numbers first" in refused(rows, f"price ~ {column}")
    assert "holds durations, not numbers; convert them to numbers first, for example days" in refused(
        frame, "price ~ listed"
    )


# -- currencies and units ------------------------------------------------------------------------------------

# How it is written: sign before, sign behind, thousands, decimals.
WRITTEN = {
    "$294,100": ("$", "", ",", 0),
    "US$ 294,100.50": ("US$ ", "", ",", 2),
    "294.100 €": ("", " €", ".", 0),
    "294.100,50\u00a0€": ("", "\u00a0€", ".", 2),
    "294100 EUR": ("", " EUR", "", 0),
    "CHF 294'100.–": ("CHF ", ".–", "'", 0),
    "* 294100 /": ("* ", " /", "", 0),
}


def signed(values, form):
    before, behind, thousands, decimals = WRITTEN[form]
    swapped = str.maketrans(",.", (thousands or "_") + ("," if thousands == "." else "."))
    texts = [f"{round(v, decimals):,.{decimals}f}".translate(swapped).replace("_", "") for v in values]
    return [before + text + behind for text in texts]


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("way", ["pandas", "polars", "command"])
def test_signs_of_currencies_are_taken_away_as_the_message_says(tmp_path, form, way):
    frame = homes()
    path = written(
        tmp_path, frame.assign(price=signed(frame["price"], form)).to_csv(index=False, sep=";"), "a b.csv"
    )
    said = refused(path)
    assert "numbers with" in said
    assert "nulls=" not in said
    options = re.search(r"thousands=('.'|\"'\")", said)
    options = {"thousands": options[1][1]} if options else {}
    text = pd.read_csv(path, sep=";", dtype=str)
    if way == "pandas":
        taken = re.search(r"remove[^:]*: (.*?) in pandas", said)[1]
        table = text.assign(price=eval(taken, {"frame": text}))
    elif way == "polars":
        taken = re.search(r"in pandas, (.*?) in Polars", said)[1]
        table = pl.from_pandas(text).with_columns(eval(f"pl.col('price'){taken}", {"pl": pl}))
    else:
        command = re.search(r"python -c .*$", said)[0]
        run_python(command)
        table = tmp_path / "a b plain.csv"
    if way != "command":
        column = (pl.col("area").cast(pl.Int64),) if way == "polars" else ()
        table = table.with_columns(*column) if way == "polars" else table.assign(area=table["area"].astype(int))
        if not options:
            table = table.with_columns(pl.col("price").str.strip_chars().cast(pl.Float64)) if way == "polars" else (
                table.assign(price=table["price"].astype(float))
            )  # fmt: skip
    assert np.allclose(sums(table, **options)[1].mean, sums(frame)[1].mean, rtol=1e-5)


def test_a_condition_on_prices_with_a_sign(tmp_path):
    frame = homes()
    table = frame.assign(asked=signed(frame["price"], "$294,100"))
    for source in (table, written(tmp_path, table.to_csv(index=False))):
        said = refused(source, where="asked > 200000")
        assert "numbers with '$' before them" in said
        away = table.assign(asked=eval(re.search(r"remove[^:]*: (.*?) in pandas", said)[1], {"frame": table}))
        expected = (frame["price"] > 200000).sum()
        assert sums(away, where="asked > 200000", thousands=",")[1].n.sum() == expected


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["$1", "$2"], ("$", "")),
        (["1 €", "2"], ("", "€")),
        (["1 €", "on request"], ("", "€")),
        (["1 €", "$2"], None),  # not one sign
        (["(1,200)", "(300)"], None),  # a loss
        (["<5", "<7"], None),
        (["1 k", "2000"], None),  # a letter that may mean thousands
        (["1 k", "2 k"], ("", "k")),
        (["\u2212105", "\u221290"], None),  # minus signs, which are no sign to take away
        (["105-", "90-"], None),
        (["-€105", "-€90"], None),
        (["1200.-", "900.-"], ("", ".-")),
        (["A1", "B2"], None),
        (["3-4 rooms", "5 rooms"], None),
        (["10/13/2014"], None),
        (["1", "2"], None),
        (["n/a"], None),
    ],
)
def test_a_sign_at_all_numbers(texts, found):
    one = find_affix(texts)
    assert (one and (one.before, one.after)) == found


# How whole numbers are written unusually, and what they are after the advice was followed.
UNUSUAL = {
    "full width": (lambda v: "".join(chr(0xFF10 + int(d)) for d in str(v)), 1),
    "Arabic": (lambda v: "".join(chr(0x660 + int(d)) for d in str(v)), 1),
    "Devanagari": (lambda v: "".join(chr(0x966 + int(d)) for d in str(v)), 1),
    "minus sign": (lambda v: f"\u2212{v}", -1),
    "dash": (lambda v: f"\u2013{v}", -1),
    "accounts": (lambda v: f"({v})", -1),
    "two units": (lambda v: f"{v} m2" if v % 2 else f"{v} sqm", 1),
    "one unit, two ways": (lambda v: f"{v} m\u00b2" if v % 2 else f"{v}m2", 1),
    "before and behind": (lambda v: f"EUR {v}" if v % 2 else f"{v} \u20ac", 1),
    "some without": (lambda v: f"{v} m2" if v % 2 else str(v), 1),
    "circa": (lambda v: f"ca. {v}" if v % 2 else str(v), 1),
    "about": (lambda v: f"~{v}", 1),
    "crowns": (lambda v: f"kr. {v}", 1),
    "francs": (lambda v: f"Fr. {v}.-", 1),
    "no cents": (lambda v: f"{v},-", 1),
    "text mark": (lambda v: f"'{v}", 1),
    "lakhs": (lambda v: f"1,{v:02d},368" if v < 100 else f"{v - 100:02d},368", None),
    "rupees in lakhs": (lambda v: f"\u20b91,{v % 100:02d},368", None),
}


@pytest.mark.parametrize("form", UNUSUAL)
@pytest.mark.parametrize("way", ["pandas", "polars", "command"])
def test_unusual_numbers_are_no_categories_and_become_numbers_as_the_message_says(tmp_path, form, way):
    write, times = UNUSUAL[form]
    frame = homes()
    areas = frame["area"]
    frame["area"] = areas.map(write)
    wanted = areas * times if times else frame["area"].str.replace("[^0-9]", "", regex=True).astype(float)
    rows = frame if way != "polars" else pl.from_pandas(frame)
    if way == "command":
        rows = written(tmp_path, frame.to_csv(index=False), "a b.csv")
    for _ in range(2 if form == "rupees in lakhs" else 1):  # the sign, then the commas
        said = refused(rows)
        # No category of so many has a currency or a unit.
        signed = re.search(r"has numbers with ['\"]", said)
        assert ("; or write C(area) to use it as categories" in said) == (signed is None)
        if way == "command":
            code = run_python(re.search(r"[,;] or (python -c .*)$", said)[1])
            rows = re.search(r"to_csv\('(.*?)'", code)[1]
        elif way == "pandas":
            column = eval(re.search(r"(frame\['area'\].*?) in pandas", said)[1], {"frame": rows})
            rows = rows.assign(area=column)
        else:
            calls = re.search(r"in pandas, (\..*?) in Polars", said)[1]
            rows = rows.with_columns(eval(f"pl.col('area'){calls}", {"pl": pl}))
    if way == "pandas":
        plain = rows.assign(area=rows["area"].str.strip().astype(float))
    elif way == "polars":
        plain = rows.with_columns(pl.col("area").str.strip_chars().cast(float))
    else:
        plain = rows
    assert sums(plain)[1].pooled()[0][0] == pytest.approx(wanted.mean())


@pytest.mark.parametrize(
    ("texts", "known"),
    [(["5 sqft", "6"], False), (["5 sqft", "6 sqft"], True), (["~5", "6"], True), (["5 %", "0.5"], False)],
)
def test_a_unit_of_some_numbers_may_not_be_that_of_all(texts, known):
    found = find_affix(texts)
    assert ("; remove it" in affix_advice(found, "area")) == known
    assert ("; if all others are in the same unit, remove it" in affix_advice(found, "area")) != known


@pytest.mark.parametrize(
    ("texts", "sign"),
    [
        (["147.6", "110"], "."), (["1.250,5 m2", "84"], ","), (["20,0 %"], ","), (["5.2500"], "."),
        (["1.250", "950"], ""), (["1.250", "0.5"], "."), (["0,125 Mio. €"], ","), (["10.125"], ""),
        (["2024.04.15"], ""), (["1,5", "2.5"], ""),
        (["1,02,368"], ""), ([], ""),
    ],
)  # fmt: skip
def test_the_decimal_sign_of_texts(texts, sign):
    assert decimal_sign(texts) == sign


@pytest.mark.parametrize(
    ("price", "area", "given"),
    [
        ("{:,.2f}", "{:.1f}", "."),  # 301,234.56 and 84.5
        ("{:,.2f}", "{:.1f}", ","),  # 301,234.56 and 84,5
    ],
)
@pytest.mark.parametrize("form", ["csv", "frame"])
def test_columns_with_different_decimals_are_converted_one_by_one(tmp_path, price, area, given, form):
    frame = homes().assign(price=homes()["price"] + 0.25, area=homes()["area"] + 0.5)
    texts = frame.assign(
        price=[price.format(v) for v in frame["price"]],
        area=[area.format(v).replace(".", given) for v in frame["area"]],
    )
    rows = texts if form == "frame" else tmp_path / "rows.csv"
    texts.to_csv(tmp_path / "rows.csv", index=False)
    options = {}
    for _ in range(4):
        try:
            found = sums(rows, **options)[1]
            break
        except ph.TableError as problem:
            said = str(problem)
        if code := re.search(r"python -c .*$", said):
            rows = re.search(r"to_csv\('(.*?)'", run_python(code[0]))[1]
        elif call := re.search(r"(frame\['(\w+)'\]\S*.*?) in pandas", said):
            rows = rows.assign(**{call[2]: eval(call[1], {"frame": rows})})
        elif sign := re.search(r"(decimal|thousands)='(.)'", said):
            options |= {sign[1]: sign[2]}
        else:  # a frame's numbers as text
            rows = rows.assign(**{(name := re.search(r"column '(\w+)'", said)[1]): rows[name].astype(float)})
    np.testing.assert_allclose(found.mean, sums(frame)[1].mean, rtol=1e-12)


@pytest.mark.parametrize(
    "texts",
    [
        ["\u00b9", "\u00b2"],  # superscripts: m\u00b2 is no m2 by them
        ["9\u00bd", "10"],
        ["96\u2013101", "101\u2013106"],
        ["3 Zimmer", "4 Zimmer"],
        ["50+", "100+"],
        ["(a) 1", "(b) 2"],
        ["type 1", "type 2"],
    ],
)
def test_what_is_no_number_in_another_guise(texts):
    assert rewriting(texts) is None
    assert find_affix(texts) is None or not find_affix(texts).usual


def test_numbers_of_different_sizes_are_not_made_one(tmp_path):
    """0.3m and 250k: no sign may be taken away."""
    frame = homes()
    frame["area"] = [f"{v}k" if v % 2 else f"{v / 1000:.3f}m" for v in frame["area"]]
    said = refused(frame)
    assert "has numbers with different multipliers, such as" in said
    assert ".str.replace(" not in said
    assert ".str.replace_all(" not in said
    made = frame.assign(area=eval(re.search(r"(frame\['area'\].*?) in pandas", said)[1], {"frame": frame}))
    assert made["area"].tolist() == pytest.approx((1000 * homes()["area"]).tolist())
    assert sums(frame, "price ~ C(area) + (1 | zip)")[1].rows == 60


def test_a_sign_is_taken_out_of_one_column_alone(tmp_path):
    """The command for a file leaves the other columns and the line of names as they are."""
    frame = homes().assign(k=lambda f: f["zip"].map({"01067": "Park", "01069": "Par", "10115": "-1k"}))
    frame["price"] = frame["price"].round().astype(int).astype(str) + "k"
    path = written(tmp_path, frame.to_csv(index=False), "asked prices.csv")
    command = re.search(r"in Polars, or (python -c .*)", refused(path, "price ~ area + (1 | k)"))[1]
    subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True)
    plain = tmp_path / "asked prices plain.csv"
    assert sums(plain, "price ~ area + (1 | k)")[1].labels.tolist() == ["-1k", "Par", "Park"]
    back = pd.read_csv(plain, dtype=str)
    pd.testing.assert_frame_equal(back.drop(columns="price"), pd.read_csv(path, dtype=str).drop(columns="price"))


def test_thousands_are_told_wherever_rows_are_read(tmp_path):
    """Not of a fit alone: 1.200 beside 950 in rows to predict, in more rows, in rows to judge, of places."""
    frame = homes()
    texts = np.where(np.arange(60) % 2, "1.200", "950")
    path = written(tmp_path, frame.assign(area=texts).to_csv(index=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        post = ph.fit(TEXT, frame, seed=1, draws=50)
    table = ph.read(path)
    for use in (post.predict, lambda rows: ph.update(post, rows), lambda rows: ph.assess(post, rows)):
        for source in (path, table):  # a table that was refused is refused again
            with pytest.raises(
                ph.TableError, match=r"column 'area' has values with exactly three digits after '\.'"
            ):
                use(source)
    places = pd.DataFrame({"zip": ["01067", "01069", "10115"], "dist": ["1.200", "950", "1.100"]})
    file = written(tmp_path, places.to_csv(index=False), "places.csv")
    with pytest.raises(ph.TableError, match=r"column 'dist' has values with exactly three digits"):
        ph.fit("price ~ area + dist + (1 | zip)", frame, places=file)
    found = ph.fit("price ~ area + dist + (1 | zip)", frame, places=ph.read(file, thousands="."), draws=50)
    assert found.moments.columns == ("area", "dist", "price")


def test_columns_with_names_of_several_parts():
    frame = homes()
    many = frame.set_axis(pd.MultiIndex.from_product([["of"], frame.columns]), axis=1)
    line = re.search(r"join them, (.*)", refused(many))[1]
    exec(line, {"frame": many})
    assert sums(many, "of_price ~ of_area + (1 | of_zip)")[1].n.sum() == 60


def test_kinds_with_numbers_in_their_names_stay_categories():
    frame = homes().assign(kind=["type 1", "type 2", "type 3", "type 1"] * 15)
    assert design_and_moments(ph.read(frame), parse("price ~ kind + (1 | zip)"))[0].categories["kind"] == (
        "type 1",
        "type 2",
        "type 3",
    )
    said = refused(frame.assign(kind=["60 m²", "90 m²"] * 30), "price ~ kind + (1 | zip)")
    assert "numbers with 'm²' after them" in said
    assert re.search(r"or write (.*) to use it", said)[1] == "C(kind)"
    said = refused(frame.assign(kind=["60.5 m²", "90 m²"] * 30), "price ~ kind + (1 | zip)")
    assert "numbers with 'm²' after them" in said
    assert "C(kind)" not in said
    made = design_and_moments(
        ph.read(frame.assign(kind=["60 m²", "90 m²"] * 30)), parse("price ~ C(kind) + (1 | zip)")
    )
    assert made[0].categories["C(kind)"] == ("60 m²", "90 m²")


def test_nulls_are_advised_for_few_texts_that_may_mean_one(tmp_path):
    """All of them at once, so that one turn is enough; never for numbers that are written badly."""
    frame = homes()
    price = frame["price"].astype(int).astype(str)
    words = ["n/a", "-", "unknown", "price on request"]
    path = written(tmp_path, frame.assign(price=[*words, *price[4:]]).to_csv(index=False))
    said = refused(path)
    nulls = eval(re.search(r"nulls=(\[.*?\])", said)[1])
    assert sorted(nulls) == sorted(words)
    with naming_of(cli_options):
        assert shlex.split(re.search(r"(--null .*)\)", refused(path))[1])[1::2] == nulls
    assert sums(path, nulls=nulls)[1].n.sum() == 56
    broken = written(tmp_path, frame.assign(price=["12?4", "3x", *price[2:]]).to_csv(index=False), "broken.csv")
    assert "nulls=" not in refused(broken)
    assert "nulls=" not in refused(frame.assign(price=["12?4", "3x", *price[2:]]), where="price > 5")
    many = written(tmp_path, frame.assign(price=[*"abcdefghij", *price[10:]]).to_csv(index=False), "many.csv")
    assert "nulls=" not in refused(many)


def test_a_column_against_the_signs_of_the_others(tmp_path):
    """No advice that contradicts what was said: points in one column, thousands of points in another."""
    frame = homes().assign(area=lambda f: f["area"] + 0.25, price=lambda f: grouped(f["price"].round(), "."))
    path = written(tmp_path, frame.to_csv(index=False, sep=";"))
    said = refused(path, thousands=".")
    assert "decimal='.'" not in said
    code = run_python(re.search(r"write this column like the others: (python -c .*)$", said)[1])
    converted = sums(re.search(r"to_csv\('(.*?)'", code)[1], thousands=".")[1]
    text = pd.read_csv(path, sep=";", dtype=str)
    in_frame = re.search(r"others: (.*?) in pandas", refused(text, thousands="."))[1]
    text["area"] = eval(in_frame, {"frame": text})
    for found in (converted, sums(text, thousands=".")[1]):
        assert found.pooled()[0][0] == pytest.approx(homes()["area"].mean() + 0.25)


# -- dates ------------------------------------------------------------------------------------------------

DATES = [
    *("%Y%m%dT000000", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S"),
    *("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%d-%b-%y", "%a, %d %b %Y", "%d.%m.%Y %H:%M"),
    *(
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%Y %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S.000Z",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S.250",
    ),
]
MONTHS = ["%b %Y", "%B %Y", "%Y-%m", "%m/%Y"]


def dated(form, rows=60):
    frame = homes(rows)
    days = pd.Timestamp("2014-05-02") + pd.to_timedelta(np.arange(rows) % 40, unit="D")
    return frame.assign(date=days.strftime(form) if form else days)


def days_of(frame):
    return np.arange(len(frame)) % 40


@pytest.mark.parametrize("form", [*DATES, None], ids=str)
def test_dates_are_no_categories_and_the_advice_works_in_pandas(form):
    frame = dated(form)
    said = refused(frame, "price ~ area + date + (1 | zip)")
    assert "holds dates" in said
    line = said.partition("days instead: ")[2]
    d = frame.copy()
    exec(line, {"pd": pd, "d": d})  # the line as the message has it
    assert d["days"].tolist() == days_of(frame).tolist()
    sums(d, "price ~ area + days + (1 | zip)")


@pytest.mark.parametrize("form", [*DATES, None], ids=str)
def test_the_advice_works_in_polars(form):
    frame = pl.from_pandas(dated(form))
    line = refused(frame, "price ~ area + date + (1 | zip)").partition("days instead: ")[2]
    d = eval(line, {"pl": pl, "d": frame})  # the line as the message has it
    assert d["days"].to_list() == days_of(frame).tolist()


@pytest.mark.parametrize("form", ["%Y%m%dT000000", "%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_the_advice_works_on_the_command_line(tmp_path, form, separator):
    path = tmp_path / "homes sold.csv"
    frame = dated(form)
    frame.to_csv(path, index=False, sep=separator)
    run_python(refused(path, "price ~ area + date + (1 | zip)").partition("days instead: ")[2])
    _, found = sums(tmp_path / "homes sold days.csv", "price ~ area + days + (1 | zip)")
    assert found.labels.tolist() == ["01067", "01069", "10115"]
    assert found.pooled()[0][1] == pytest.approx(days_of(frame).mean(), rel=1e-12)


@pytest.mark.parametrize("form", MONTHS)
@pytest.mark.parametrize("way", ["pandas", "polars", "command"])
def test_months_are_dates_or_categories_if_asked_for(tmp_path, form, way):
    frame = homes()
    months = pd.date_range("2019-11-01", periods=5, freq="MS").take(np.arange(60) % 5)
    frame["sold"] = months.strftime(form)
    rows = {"pandas": frame, "polars": pl.from_pandas(frame), "command": tmp_path / "homes.csv"}[way]
    frame.to_csv(tmp_path / "homes.csv", index=False)
    said = refused(rows, "price ~ sold + (1 | zip)")
    line = said.partition("days instead: ")[2]
    if way == "pandas":
        d = frame.copy()
        exec(line, {"pd": pd, "d": d})
    elif way == "polars":
        d = eval(line, {"pl": pl, "d": rows})
    else:
        run_python(line)
        d = tmp_path / "homes days.csv"
    found = sums(d, "price ~ days + (1 | zip)")[1]
    assert found.pooled()[0][0] == pytest.approx((months - months[0]).days.to_numpy().mean())
    term = re.search(r"not numbers; write (C\(sold\)) to use it as categories, or convert it to days", said)[1]
    assert len(sums(rows, f"price ~ {term} + (1 | zip)")[0].categories[term]) == 5


@pytest.mark.parametrize("form", ["%d.%m.%y", "%m/%d/%y"])
def test_years_of_two_digits(tmp_path, form):
    """A CSV's reader finds the dates; no line may leave it to pandas which is the month."""
    path = tmp_path / "homes.csv"
    dated(form).to_csv(path, index=False)
    said = refused(path, "price ~ area + date + (1 | zip)")
    command = said.partition("days instead: ")[2]
    assert form in command
    run_python(command)
    _, found = sums(tmp_path / "homes days.csv", "price ~ area + days + (1 | zip)")
    assert found.pooled()[0][1] == pytest.approx(days_of(dated(form)).mean(), rel=1e-12)


def test_days_that_may_be_months_are_said():
    frame = homes().assign(date=[f"{1 + i % 12}/{1 + i % 11}/2014" for i in range(60)])
    assert "if that is wrong, use '%d/%m/%Y' instead of '%m/%d/%Y'" in refused(
        frame, "price ~ area + date + (1 | zip)"
    )


def test_a_date_may_be_a_place_or_asked_for_as_categories():
    frame = dated("%Y-%m-%d").assign(date=lambda f: f["date"].str[:8] + "01")
    assert sums(frame, "price ~ area + (1 | date)")[1].labels.tolist() == ["2014-05-01", "2014-06-01"]
    assert sums(frame, "price ~ C(date) + (1 | zip)")[0].categories == {"C(date)": ("2014-05-01", "2014-06-01")}


def form_of(texts):
    found = dates_of(texts)
    return found and found.form


def test_what_is_a_date():
    assert form_of(["10/13/2014", "10/2/2014"]) == "%m/%d/%Y"
    assert form_of(["13/10/2014", "2/10/2014"]) == "%d/%m/%Y"
    assert form_of(["2014-02-30"]) is None
    assert form_of(["10115", "10117"]) is None
    assert form_of(["Phase 2020", "May 2020"]) is None
    assert form_of(["1234-01", "1234-02"]) is None
    assert form_of(["May 2020", "June 2020"]) == "%B %Y"
    assert form_of([]) is None


# -- labels that are nearly known ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known():
    frame = homes().assign(zip=lambda f: f["zip"].replace({"10115": "98103", "01069": "Mitte"}))
    return frame, ph.fit(TEXT, frame, chains=2, draws=100, seed=1)


NEARLY = {"1067": "has lost its leading zeros", "98103-1234": "ZIP+4", "MITTE": "case-sensitive"}


@pytest.mark.parametrize("label", NEARLY)
def test_labels_that_are_nearly_known_are_named(known, label):
    frame, post = known
    row = pd.DataFrame({"zip": [label], "area": [70]})
    with pytest.raises(ph.TableError, match=rf"{label}.*but '.*' was.*{re.escape(NEARLY[label])}"):
        post.predict(row)
    for unseen in ("draw", "population"):
        with pytest.warns(ph.PriorhoodWarning, match=rf"{label}.* is new, but .*{re.escape(NEARLY[label])}"):
            post.predict(row, unseen=unseen)
        with pytest.warns(ph.PriorhoodWarning, match=label):
            ph.assess(post, frame.assign(zip=frame["zip"].where(frame.index > 5, label)), unseen=unseen)
    with pytest.warns(ph.PriorhoodWarning, match=rf"{label}.*is new to the posterior.*{re.escape(NEARLY[label])}"):
        ph.update(post, frame.head(9).assign(zip=label), chains=2, draws=100)


def test_labels_that_are_really_new_are_not_warned_of(known):
    post = known[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ph.PriorhoodWarning)
        post.predict({"zip": ["20095", "Hamburg"], "area": [70, 80]}, unseen="draw")


def test_places_that_are_nearly_known_are_named():
    frame = homes()
    places = pd.DataFrame({"zip": [1067, 1069, 10115], "distance": [1.0, 2.0, 3.0]})
    with pytest.warns(
        ph.PriorhoodWarning, match=r"'01067' is spelled '1067' there: pandas frame has lost the leading zeros"
    ):
        take_placed(frame, places)
    with pytest.raises(ph.TableError, match=r"labels are compared as text; '01067' is spelled '1067' there"):
        take_placed(frame[frame["zip"] != "10115"], places)


@pytest.mark.parametrize("kind", ["csv", "pandas"])
@pytest.mark.parametrize("ways", [("{:,}", "."), ("{:,}", " "), ("{:,}", "'"), ("{:_}", ",")])
def test_thousands_in_two_ways_are_refused_whatever_is_said(tmp_path, ways, kind):
    """The advice was an option under which one of the two ways was decimals."""
    frame = homes()
    first, sign = ways
    prices = [first.format(400_001 + 7 * i) for i in range(len(frame))]
    prices[3::7] = [p.replace(",", sign).replace("_", sign) for p in prices[3::7]]
    table = frame.assign(price=prices)
    source = written(tmp_path, table.to_csv(index=False)) if kind == "csv" else table
    with pytest.raises(
        ph.TableError, match=r"written in two ways, .400.0\d\d. and .400.0\d\d.: write them the same way"
    ):
        ph.fit(TEXT, source, chains=2, draws=50)


def test_categories_of_which_a_few_look_like_thousands_are_categories():
    frame = homes()
    kinds = ["loft", "flat", "studio", "house", "villa", "1,000", "1 000"]
    made = ph.fit(
        "price ~ kind + (1 | zip)", frame.assign(kind=[kinds[i % 7] for i in range(len(frame))]),
        chains=2, draws=50, seed=1,
    )  # fmt: skip
    assert set(made.design.categories["kind"]) == set(kinds)


def test_thousands_beside_whole_numbers_without_a_sign_are_refused(tmp_path):
    """195.719 beside 623210 was read as 195.719."""
    frame = homes()
    prices = [str(400_001 + 7 * i) for i in range(len(frame))]
    prices[3::20] = [f"{p[:3]}.{p[3:]}" for p in prices[3::20]]
    path = written(tmp_path, frame.assign(price=prices).to_csv(index=False))
    with pytest.raises(
        ph.TableError, match=r"such as '400\.022'.* look like thousands; read the file with thousands='\.'"
    ):
        ph.moments(TEXT, path)
    assert design_and_moments(ph.read(path, thousands="."), parse(TEXT))[1].pooled()[0][-1] > 400_000


@pytest.mark.parametrize("kind", ["csv", "frame"])
def test_a_zero_before_the_comma_is_no_thousands(tmp_path, kind):
    """Millions such as 0,430: read with thousands they would be 1,000 times as large."""
    frame = homes()
    prices = [f"0,{400 + at % 97}" for at in range(len(frame))]
    table = frame.assign(price=prices)
    source = written(tmp_path, table.to_csv(index=False, sep=";")) if kind == "csv" else table
    with pytest.raises(ph.TableError) as problem:
        ph.moments(TEXT, source)
    assert "decimal=','" in str(problem.value)
    assert "thousands" not in str(problem.value)
    assert design_and_moments(ph.read(source, decimal=","), parse(TEXT))[1].pooled()[0][-1] < 1
    with pytest.raises(ph.TableError):
        ph.moments(TEXT, ph.read(source, thousands=","))


@pytest.mark.parametrize("reader", ["pandas", "polars", "csv", "zfill", "zfill of floats"])
def test_zeros_that_new_rows_lost(tmp_path, reader):
    """The advice, followed: in either library, by the file's name, and where the file itself has none."""
    frame = homes()
    post = ph.fit(TEXT, frame, chains=2, draws=100, seed=1)
    path = written(tmp_path, frame.to_csv(index=False))
    with pytest.raises(ph.TableError, match="'1067' has lost its leading zeros: read 'zip' as text") as caught:
        post.predict(pd.read_csv(path))
    said = str(caught.value)
    if reader.startswith("zfill"):
        lost = frame.assign(zip=frame["zip"].str.lstrip("0"))
        if reader == "zfill of floats":  # as a blank among whole numbers makes them
            lost = pd.concat([lost.assign(zip=lost["zip"].astype(float)), lost.head(1).assign(zip=np.nan)])
        line = re.search(r"frame\['zip'\]\.astype.*?notna\(\)\)", said)[0]
        table = lost.assign(zip=eval(line, {"frame": lost})).dropna(subset="zip")
    elif reader == "pandas":
        table = pd.read_csv(path, dtype=eval(re.search(r"dtype=(\{.*?\})", said)[1]))
    else:
        overrides = eval(re.search(r"schema_overrides=(\{.*?\})", said)[1], {"pl": pl})
        table = path if reader == "csv" else pl.read_csv(path, schema_overrides=overrides)
    found = post.predict(table)
    found = found.to_pandas() if reader == "polars" else found
    assert set(found["status"]) == {"known"}


@pytest.mark.parametrize("form", ["frame", "csv"])
def test_zeros_that_the_fit_lost(tmp_path, form):
    frame = homes()
    path = written(tmp_path, frame.to_csv(index=False))
    options = {"chains": 2, "draws": 100, "seed": 1}
    post = ph.fit(TEXT, pd.read_csv(path), **options)
    rows = frame if form == "frame" else path
    with pytest.raises(ph.TableError, match="the table of the fit has lost the leading zeros of '1067'") as caught:
        post.predict(rows)
    said = str(caught.value)
    assert "'01067' has lost" not in said
    again = ph.fit(TEXT, pd.read_csv(path, dtype=eval(re.search(r"dtype=(\{.*?\})", said)[1])), **options)
    here = frame.assign(zip=eval(re.search(r"frame\['zip'\]\.str\.lstrip\(.*?\)", said)[0], {"frame": frame}))
    for fitted, table in ((again, rows), (post, here), (ph.fit(TEXT, path, **options), rows)):
        assert set(fitted.predict(table)["status"]) == {"known"}


def test_zeros_of_one_of_two_labels():
    assert "dtype={'block': str}" in spelling_advice("north/1", "north/01", ("district", "block"))
    assert "places.csv has lost the leading zeros of '1'" in spelling_advice(
        "north/01", "north/1", ("district", "block"), "places.csv"
    )
    assert "fit again" not in spelling_advice("north/01", "north/1", ("district", "block"), "places.csv")
    assert "dtype={'a': str}" in spelling_advice("1/x/2", "01/x/2", ("a",))


def take_placed(frame, places):
    from priorhood.data.join_places import join_places

    return join_places(ph.read(frame), places, parse("price ~ area + distance + (1 | zip)"))


def test_places_by_whole_numbers(tmp_path):
    """A table of places from pandas has whole numbers for labels, as the rows have."""
    frame = homes().assign(zip=lambda f: f["zip"].astype(int))
    places = pd.DataFrame({"zip": [1067, 1069, 10115], "distance": [1.0, 2.0, 4.0]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    places.to_parquet(tmp_path / "places.parquet")
    for rows in (frame, tmp_path / "rows.csv"):
        for table in (places, tmp_path / "places.parquet", places.astype({"zip": float})):
            made, place_table = take_placed(rows, table)
            assert sorted(place_table.places) == [("10115",), ("1067",), ("1069",)]
            assert design_and_moments(made, parse("price ~ area + distance + (1 | zip)"))[1].n.sum() == 60


def test_alike():
    assert match_spelling(["1067", "98103-1234", "sw1a1aa", "20095"], ["01067", "98103", "SW1A 1AA"]) == {
        "1067": "01067", "98103-1234": "98103", "sw1a1aa": "SW1A 1AA",
    }  # fmt: skip


# -- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_a_path_that_exists_is_that_file(tmp_path, suffix):
    one, other = homes(30, 1), homes(60, 2)
    for name, frame in (("a[1]", one), ("a1", other), ("x?", one), ("xy", other), ("s*", one), ("st", other)):
        FORMS[suffix](pa.Table.from_pandas(frame, preserve_index=False), tmp_path)
        (tmp_path / f"rows.{suffix}").rename(tmp_path / f"{name}.{suffix}")
    for name in ("a[1]", "x?", "s*"):
        assert sums(tmp_path / f"{name}.{suffix}")[1].n.sum() == 30
    (tmp_path / f"a[1].{suffix}").unlink()
    # Otherwise it is a pattern.
    assert sums(tmp_path / f"a[1].{suffix}")[1].n.sum() == 60


def test_a_line_break_in_a_name(tmp_path):
    frame = homes().rename(columns={"area": "living\narea"})
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    assert ph.read(path).columns == ("zip", "living\narea", "price")
    assert sums(path, "price ~ 1 + (1 | zip)")[1].n.sum() == 60
    # A line that is not like it is named all the same.
    path.write_text(path.read_text() + "10115,3\n")
    assert "has 2" in refused(path)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "latin-1"])
def test_other_encodings_say_what_makes_them_utf_8(tmp_path, encoding):
    text = homes().assign(zip=lambda f: f["zip"].replace("10115", "Köln")).to_csv(index=False)
    path = written(tmp_path, text, "old file.csv", encoding)
    said = refused(path)
    command = re.search(r"iconv .*", said)[0]
    subprocess.run(command, shell=True, check=True)
    assert "Köln" in sums(tmp_path / "old file-utf8.csv")[1].labels.tolist()


def test_small_differences_between_large_numbers_are_not_called_the_same():
    frame = homes().assign(price=1e14 + np.random.default_rng(1).normal(0, 3, 60))
    with pytest.raises(
        ph.ModelError,
        match=r"± [23]\.?\d* in the 60 rows used: such small differences.*subtract the mean from the outcome",
    ) as caught:
        ph.fit(TEXT, frame)
    check_taken_off(caught.value, frame)


def check_taken_off(said, frame):
    """The formula that a message has gives the posterior of differences, whatever they are counted from."""
    formula = re.search(r"'([^';]* ~ [^';]*)'", str(said))[1]
    options = {"chains": 2, "draws": 100, "seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ph.PriorhoodWarning)
        post = ph.fit(formula, frame, **options)
    price = frame["price"] - frame["price"].mean()
    own = ph.fit(TEXT, frame.assign(price=price), **options)
    assert post.summary().loc["sigma", "mean"] == pytest.approx(own.summary().loc["sigma", "mean"], rel=0.05)
    assert post.summary().loc["mu[area]", "mean"] == pytest.approx(
        own.summary().loc["mu[area]", "mean"], abs=0.3 * own.summary().loc["mu[area]", "sd"]
    )


@pytest.mark.parametrize(("constant", "noise"), [(1e8, 1.0), (1e8, 0.001), (-1e8, 1.0), (1e10, 0.01), (1e4, 1.0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_large_constant_is_taken_off_by_the_formula_that_is_said(constant, noise, seed):
    frame = homes(60, seed)
    price = constant + 0.01 * noise * frame["area"] + np.random.default_rng(seed).normal(0, noise, 60)
    frame = frame.assign(price=price)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ph.PriorhoodWarning)
        try:
            ph.fit(TEXT, frame, chains=2, draws=100, seed=seed)
        except ph.SamplingError as problem:
            check_taken_off(problem, frame)
    (told,) = (str(one.message) for one in caught)
    check_taken_off(told, frame)
    if abs(constant / noise) < 1e9:
        # The other way out.
        prior = re.search(r"such as (mu\[Intercept\] ~ Normal\(0, [\de+]+\))", told)[1]
        with warnings.catch_warnings():
            warnings.simplefilter("error", ph.PriorhoodWarning)
            post = ph.fit(ph.Model(TEXT, [prior]), frame, chains=2, draws=100, seed=seed)
        assert post.summary().loc["sigma", "mean"] == pytest.approx(noise, rel=0.4)
    else:
        assert "wider" not in told


def test_logs_of_a_large_constant_are_differences():
    frame = homes().assign(price=1e14 + np.random.default_rng(1).normal(0, 3, 60))
    with pytest.raises(ph.ModelError, match="subtract the mean from the outcome") as caught:
        ph.fit("log(price) ~ area + (1 | zip)", frame)
    check_taken_off(caught.value, frame)


def test_a_predictor_of_a_large_constant():
    frame = homes().assign(area=1e14 + homes()["area"] // 40)
    with pytest.raises(ph.ModelError, match="such small differences") as caught:
        ph.fit(TEXT, frame)
    formula = TEXT.replace("area", re.search(r"write (I\(.*?\)) instead", str(caught.value))[1])
    ph.fit(formula, frame, chains=2, draws=100, seed=1)


def test_the_command_line_takes_thousands(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from priorhood.cli import app

    monkeypatch.chdir(tmp_path)
    frame = rents()
    frame.assign(price=grouped(frame["price"], ",")).to_csv("rows.csv", index=False)
    run = CliRunner().invoke
    told = run(app, ["fit", "rows.csv", TEXT, "-o", "out.nc"])
    assert told.exit_code != 0
    few = ["--chains", "2", "--draws", "100", "--seed", "1"]
    assert run(app, ["fit", "rows.csv", TEXT, "-o", "out.nc", *few, "--thousands", ","]).exit_code == 0
    assert run(app, ["predict", "out.nc", "rows.csv", "-o", "out.csv", "--thousands", ","]).exit_code == 0
    assert run(app, ["moments", "rows.csv", TEXT, "-o", "out.moments", "--thousands", ","]).exit_code == 0
    post = ph.load(Path("out.nc"))
    assert post.moments.mean[:, -1].min() > 900


# -- a table that is handed back ----------------------------------------------------------------------------


def german(frame):
    """As a German office writes it: 1.234,50, and nothing else changed."""
    return frame.assign(
        **{
            c: [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in frame[c]]
            for c in ("area", "price", "extra")
        }
    )


def listed(rows=60):
    """Homes with a column that the model does not read, labels with points, and an id of zeros."""
    frame = homes(rows)
    return frame.assign(
        zip=frame["zip"].replace("10115", "1.015"),
        extra=frame["price"] / 8,
        id=[f"{i:04}" for i in range(rows)],
        note=["n/a" if i % 7 else "12" for i in range(rows)],
        offer=["", "1.5"] * (rows // 2),
    )


GERMAN = {"thousands": ".", "decimal": ","}


@pytest.fixture(scope="module")
def of_listed():
    return ph.fit(TEXT, listed(), chains=2, draws=100, seed=1)


@pytest.mark.parametrize("form", ["csv", "frame", "parquet", "polars", "jsonl"])
def test_a_predicted_table_has_its_numbers_in_one_form(tmp_path, of_listed, form):
    plain, local = listed(), german(listed())
    table = {
        "csv": lambda: local.to_csv(tmp_path / "rows.csv", index=False, sep=";"),
        "frame": lambda: local,
        "parquet": lambda: local.to_parquet(tmp_path / "rows.parquet"),
        "polars": lambda: pl.from_pandas(local),
        "jsonl": lambda: local.to_json(tmp_path / "rows.jsonl", orient="records", lines=True),
    }[form]()
    table = tmp_path / f"rows.{form}" if table is None or isinstance(table, str) else table
    found = of_listed.predict(ph.read(table, **GERMAN))
    found = found.to_pandas() if form == "polars" else found
    for column in ("area", "price", "extra"):
        assert np.allclose(found[column].to_numpy(dtype=float), plain[column].round(2), atol=0.006)
    # What is no number so written, and what is a place, is as it was.
    assert found["zip"].tolist() == plain["zip"].tolist()
    assert found["id"].astype(str).tolist() == plain["id"].tolist()
    assert found["note"].tolist() == plain["note"].tolist()
    assert [str(v or "") for v in found["offer"].where(found["offer"].notna(), "")] == plain["offer"].tolist()
    # Written plainly, it is read plainly.
    found.to_csv(tmp_path / "out.csv", index=False)
    again = of_listed.predict(tmp_path / "out.csv", prefix="again_")
    assert np.allclose(again["again_mean"], found["mean"], rtol=1e-4)
    assert sums(tmp_path / "out.csv", "extra ~ area + (1 | zip)")[1].n.sum() == 60


def test_numbers_of_json_are_not_read_as_texts(tmp_path, of_listed):
    """1.234 without quotes is no thousand."""
    frame = german(listed())[["zip", "area"]].assign(ratio=1.234)
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    found = of_listed.predict(ph.read(tmp_path / "rows.jsonl", **GERMAN))
    assert set(found["ratio"].astype(float)) == {1.234}


def test_without_signs_said_a_table_comes_back_as_it_was(tmp_path, of_listed):
    text = listed().assign(price="200000.00", extra="007").to_csv(index=False)
    found = of_listed.predict(written(tmp_path, text))
    assert set(found["price"]) == {"200000.00"}
    assert set(found["extra"]) == {"007"}


@pytest.mark.parametrize(
    "where", ["extra > 40000", "price > 300000 and id <> '0003'", "zip = '1.015' and extra < 50000"]
)
@pytest.mark.parametrize("spelled", [{}, GERMAN], ids=["plain", "german"])
def test_a_condition_means_the_same_in_predictions_as_in_a_fit(tmp_path, of_listed, where, spelled):
    """Of columns that the model does not read, too: they are numbers in a fit."""
    frame = german(listed()) if spelled else listed()
    path = written(tmp_path, frame.to_csv(index=False, sep=";"))
    kept = design_and_moments(ph.read(path, where=where.replace("id <> '0003'", "true"), **spelled), parse(TEXT))[
        1
    ].n.sum()
    found = of_listed.predict(ph.read(path, where=where, **spelled))
    if "id" not in where:
        assert 0 < kept == len(found)
        expected = listed().query(where.replace(" = ", " == ").replace("<>", "!="))
        assert found["id"].tolist() == expected["id"].tolist()
