"""Places and categories of one table that are spelled alike are said once, with what makes them one."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import priorhood as ph
from priorhood._text import naming_of
from priorhood.cli.wording import options
from priorhood.data.labels import similar_groups
from priorhood.fitting.similar_labels import SHOWN

TEXT = "price ~ area + (1 | zip)"
# Spellings of two places and more, and what becomes of them.
SPELLED = {
    "zeros": (["01067", "1067", "01069", "10115"], ["01067", "01069", "10115"]),
    "case": (["Bonn", "Bonn", "bonn", "BONN", "Köln"], ["Bonn", "Köln"]),
    "blanks": (["New York", "NewYork", "Boston"], ["Boston", "New York"]),
    "ZIP+4": (["10115", "10115-1234", "10115-9999", "10117"], ["10115", "10117"]),
    "lost zeros of many": ([f"{z}106{i}" for i in range(9) for z in ("0", "")], [f"0106{i}" for i in range(9)]),
    "zeros of odd labels": ([f"{z}{c}1" for c in "ABCDEFG" for z in ("00", "")], [f"{c}1" for c in "ABCDEFG"]),
    "case of many": ([c * 3 for c in "ABCDEFG"] + [c * 3 for c in "abcdefg"], [c * 3 for c in "abcdefg"]),
    "ZIP+4 of many": (
        [f"1011{i}" for i in range(9)] + [f"1011{i}-0001" for i in range(9)], [f"1011{i}" for i in range(9)]
    ),
    "all at once of many": (
        ["01067", "1067", *(f"Ab {c}" for c in "uvwxyz"), *(f"ab{c}" for c in "uvwxyz"), "10115-1234", "10115"],
        ["1067", "10115", *(f"ab{c}" for c in "uvwxyz")],
    ),
}  # fmt: skip


def homes(labels, rows=120):
    rng = np.random.default_rng(9)
    zips = [labels[i % len(labels)] for i in range(rows)]
    return pd.DataFrame(
        {"zip": zips, "area": rng.integers(40, 110, rows), "price": rng.normal(3e5, 5e4, rows).round(1)}
    )


def said(rows, text=TEXT):
    """The places, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = ph.moments(text, rows)
    return found.moments.labels.tolist(), [str(one.message) for one in caught]


def merged(rows, message):
    """The rows after what a message says to do with them."""
    advice = message.partition("spell them alike: ")[2]
    if advice.startswith("python -c"):
        command = shlex.split(advice)
        subprocess.run([sys.executable, *command[1:]], check=True)
        return re.search(r"d\.to_\w+\('(.*?)'", command[2])[1]
    names = {"d": rows.copy() if isinstance(rows, pd.DataFrame) else rows, "pd": pd, "pl": pl}
    exec(advice.removesuffix(" for a pandas frame d, or its equivalent in the system that holds the rows"), names)
    return names["d"]


def of_file(suffix):
    def made(frame, folder):
        path = folder / f"rows{suffix}"
        if suffix.startswith(".csv"):
            frame.to_csv(path, index=False)
        elif suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_json(path, orient="records", lines=True)
        return str(path)

    return made


SOURCES = {
    **{suffix: of_file(suffix) for suffix in (".csv", ".csv.gz", ".parquet", ".jsonl")},
    "pandas": lambda frame, _: frame,
    "categorical": lambda frame, _: frame.astype({"zip": "category"}),
    "polars": lambda frame, _: pl.from_pandas(frame),
    "enum": lambda frame, _: pl.from_pandas(frame).with_columns(
        pl.col("zip").cast(pl.Enum(frame["zip"].unique().tolist()))
    ),
    "lazy": lambda frame, _: pl.from_pandas(frame).lazy(),
}


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("source", ["pandas", "polars", ".csv"])
def test_labels_become_one_as_the_message_says(tmp_path, source, spelled):
    labels, one = SPELLED[spelled]
    rows = SOURCES[source](homes(labels), tmp_path)
    places, (message,) = said(rows)
    assert sorted(places) == sorted(set(labels))
    assert "are different zips here, though they differ only in leading" in message
    found, more = said(merged(rows, message))
    assert (sorted(found), more) == (sorted(one), [])


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_says_so_with_what_works_there(tmp_path, source):
    rows = SOURCES[source](homes(["01067", "1067", "Bonn", "bonn", "10115"]), tmp_path)
    _, (message,) = said(rows)
    assert "'01067' and '1067', 'Bonn' and 'bonn' are different zips" in message
    assert said(merged(rows, message)) == (["01067", "10115", "Bonn"], [])


@pytest.mark.parametrize("source", [".csv", ".parquet", "pandas", "polars"])
def test_places_that_have_a_table_of_their_own_are_said(tmp_path, source):
    """A file that was joined with what is known of its places has the name of no file: the fit was refused."""
    rows = homes(["01067", "1067", "10115", "10117"])
    places = pd.DataFrame({"zip": rows["zip"].unique(), "side": ["n", "s", "n", "N"]})
    made = SOURCES[source](rows, tmp_path)
    with pytest.warns(ph.PriorhoodWarning) as told:
        post = ph.fit("price ~ side + (1 | zip)", made, places=places, chains=2, draws=50, seed=1)
    assert len(post.moments.labels) == 4
    message = next(str(one.message) for one in told if "different zips" in str(one.message))
    assert said(merged(made, message))[0] == ["01067", "10115", "10117"]
    # What the table of places brought is in no file of the rows.
    of_sides = [str(one.message) for one in told if "'N'" in str(one.message)]
    assert len(of_sides) == 1
    assert "python -c" not in of_sides[0]


@pytest.mark.parametrize("kind", ["pyarrow", "duckdb"])
def test_rows_that_are_held_elsewhere_are_changed_as_a_frame(kind):
    frame = homes(["01067", "1067", "10115"])
    rows = pa.Table.from_pandas(frame) if kind == "pyarrow" else duckdb.from_df(frame)
    _, (message,) = said(rows)
    assert said(merged(frame, message)) == (["01067", "10115"], [])


def test_numbers_among_texts_are_changed_too():
    frame = homes(["01067", 1067, "10115"])
    frame.loc[0, "zip"] = None
    _, (message,) = said(frame)
    changed = merged(frame, message)
    assert said(changed) == (["01067", "10115"], [])
    assert changed["zip"].isna().sum() == 1


def test_categories_are_said_as_places_are(tmp_path):
    frame = homes(["01067", "10115"]).assign(kind=[("flat", "Flat", "house")[i % 3] for i in range(120)])
    for text in ("price ~ kind + (1 | zip)", "price ~ C(kind) + (1 | zip)"):
        _, (message,) = said(frame, text)
        assert "'Flat' and 'flat' are different categories of kind here" in message
    assert said(merged(frame, message), text)[1] == []


def test_a_fit_and_an_update_say_it_once_a_table():
    table = ph.read(homes(["01067", "1067", "10115"]))
    with pytest.warns(ph.PriorhoodWarning, match="are different zips") as caught:
        post = ph.fit(TEXT, table, seed=1, chains=1, draws=50)
    assert len(caught) == 1
    ph.fit(TEXT, table, seed=2, chains=1, draws=50)  # a second warning would be an error here
    with pytest.warns(ph.PriorhoodWarning, match="'Bonn' and 'bonn' are different zips"):
        ph.update(post, homes(["Bonn", "bonn"]))


def test_nested_places_are_said_where_they_lie():
    frame = homes(["1", "01", "2", "3"]).assign(city=[("Bonn", "Köln", "Köln")[i % 3] for i in range(120)])
    _, (message,) = said(frame, "price ~ area + (1 | city/zip)")
    assert "'Bonn/01' and 'Bonn/1', 'Köln/01' and 'Köln/1' are different zips" in message
    assert said(merged(frame, message), "price ~ area + (1 | city/zip)")[1] == []
    both = frame.assign(city=frame["city"].where(frame.index < 60, "bonn"))
    _, messages = said(both, "price ~ area + (1 | city/zip)")
    assert "'Bonn' and 'bonn' are different cities" in messages[0]
    assert "d['zip'].replace({'1': '01'})" in messages[1]


def test_the_same_number_in_two_cities_is_no_lookalike():
    """Block 01 of Bonn and block 1 of Köln are different places."""
    frame = homes(["x"]).assign(city=[("Bonn", "Köln")[i % 2] for i in range(120)])
    frame["zip"] = [("01", "1", "02", "2")[i % 4] for i in range(120)]
    assert said(frame, "price ~ area + (1 | city/zip)")[1] == []


@pytest.mark.parametrize(
    "labels",
    [
        ["01067", "01069", "10115"],
        ["10115-1234", "10115-9999", "10117-0001"],  # of ZIP+4, all are places
        ["Bonn", "Köln", "köln-nord"],
        ["0", "10", "100", "5"],
        ["A1", "A01b", "A10"],
        ["New York", "New Castle"],
    ],
)
def test_ordinary_labels_are_not_said(labels):
    assert similar_groups(labels, "\x1f") == []
    assert said(homes(labels))[1] == []


def test_many_are_counted():
    labels = [f"{zeros}{i}" for i in range(100, 120) for zeros in ("", "0")]
    _, (message,) = said(homes(labels))
    assert f", and {20 - SHOWN} more are different zips" in message


@pytest.mark.parametrize("text", ["nan", "None", "<NA>", "NaT"])
def test_missing_values_made_text_are_told_and_the_advice_leaves_them_out(text):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {"zip": rng.choice(["a", "b", "c"], 60), "x": rng.normal(size=60), "y": rng.normal(size=60)}
    )
    frame.loc[::6, "zip"] = text
    with pytest.warns(
        ph.PriorhoodWarning, match=rf"'{text}' is among the zips \(10 rows\); missing values turn into"
    ) as told:
        found = ph.fit("y ~ x + (1 | zip)", frame, seed=1, draws=50)
    assert len(told) == 1
    assert found.moments.rows == 60
    nulls = str(told[0].message).partition("nulls=")[2]
    assert ph.fit("y ~ x + (1 | zip)", ph.read(frame, nulls=eval(nulls)), seed=1, draws=50).moments.rows == 50


@pytest.mark.parametrize("text", ["nan", "None", "<NA>"])
@pytest.mark.parametrize("places", ["zip", "town/zip"])
def test_missing_values_made_text_are_told_of_rows_to_predict(text, places):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"zip": rng.choice(["a", "b", "c", "d"], 60), "y": rng.normal(size=60)})
    frame["town"] = frame["zip"].map({"a": "t", "b": "t", "c": "u", "d": "u"})
    post = ph.fit(f"y ~ 1 + (1 | {places})", frame, chains=1, seed=1, draws=50)
    rows = frame.head(9).assign(town="t", zip=["a", text, "b", text, "new", "a", "a", "a", "a"])
    says = rf"'{text}' is among the new labels of zip \(2 rows\); missing values turn into"
    for unseen in ("draw", "population"):
        with pytest.warns(ph.PriorhoodWarning, match=says) as told:
            post.predict(rows, unseen=unseen)
        assert len(told) == 1
    with pytest.warns(ph.PriorhoodWarning, match=says):
        ph.assess(post, rows, unseen="draw")
    nulls = str(told[0].message).partition("nulls=")[2]
    found = post.predict(ph.read(rows, nulls=eval(nulls)), unseen="draw")
    assert found["status"].value_counts().to_dict() == {"known": 6, "unknown": 2, "new": 1}
    with pytest.raises(ph.TableError, match=rf"a missing value, read the table with nulls=\['{text}'\]"):
        post.predict(rows)


def test_a_category_called_none_is_one():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"cellar": rng.choice(["None", "full"], 60), "y": rng.normal(size=60)})
    frame["zip"] = rng.choice(["a", "b", "c"], 60)
    ph.fit("y ~ cellar + (1 | zip)", frame, seed=1, draws=50)
    with pytest.warns(
        ph.PriorhoodWarning, match="'nan' is among the categories of cellar; missing values turn into"
    ):
        ph.fit("y ~ cellar + (1 | zip)", frame.replace("None", "nan"), seed=1, draws=50)


# -- rows of totals ------------------------------------------------------------------------------------------


def with_total(label="Total", **columns):
    rows = homes(["10115", "10117", "Bonn"])
    end = pd.DataFrame({"zip": [label], "area": [70], "price": [3.1e5]})
    return pd.concat([rows, end], ignore_index=True).assign(**columns)


def without_total(rows, text=TEXT, **read):
    """The places, what was warned of, and what is warned of if the message's advice is followed."""
    labels, messages = said(ph.read(rows, **read), text)
    (message,) = [one for one in messages if "totals" in one]
    condition = ast.literal_eval(re.search(r"leave it out, with where=(.*)$", message)[1])
    with naming_of(options):
        (shown,) = [one for one in said(ph.read(rows, **read), text)[1] if "totals" in one]
    assert shlex.split(re.search(r"leave it out, with --where (.*)$", shown)[1]) == [condition]
    after, rest = said(ph.read(rows, where=condition), text)
    assert rest == []
    return labels, message, after


@pytest.mark.parametrize(
    "label",
    ["Total", "TOTAL:", " Gesamt ", "Summe", "All", "Insgesamt", "Grand Total", "Totale", "Итого", "合計", "Σ"],
)
def test_a_row_of_totals_at_the_end_is_no_place(label):
    labels, message, after = without_total(with_total(label))
    assert label.strip() in labels
    assert f"the last row is the only one of zip {label!r}" in message
    assert after == ["10115", "10117", "Bonn"]


@pytest.mark.parametrize("source", SOURCES)
def test_totals_are_told_of_every_source(tmp_path, source):
    assert without_total(SOURCES[source](with_total(), tmp_path))[2] == ["10115", "10117", "Bonn"]


@pytest.mark.parametrize("column", ["group", "my zip", "select", "Zip", 'a"b', "date"])
def test_the_condition_against_totals_names_any_column(column):
    rows = with_total().rename(columns={"zip": column})
    assert without_total(rows, f"price ~ area + (1 | `{column}`)")[2] == ["10115", "10117", "Bonn"]


def test_totals_with_a_condition_of_ones_own_and_below_other_places():
    _, message, after = without_total(with_total(), where="area > 0 or price > 0")
    assert "where=\"(area > 0 or price > 0) and zip <> 'Total'\"" in message
    assert after == ["10115", "10117", "Bonn"]
    rows = with_total(city=[*["a", "b"] * 60, "Total"])
    for text in ("price ~ area + (1 | city/zip)", "price ~ area + (1 | city) + (1 | zip)"):
        _, message, after = without_total(rows, text)
        assert "only one of city 'Total'" in message
        assert len(after) == 6


def test_what_is_no_row_of_totals():
    rows = with_total()
    twice = pd.concat([rows, rows.tail(1)], ignore_index=True)
    for other in (rows.iloc[::-1], twice, with_total("Totnes"), with_total("Allen"), rows.head(120)):
        assert not [one for one in said(other)[1] if "totals" in one]
    assert [one for one in said(pd.concat([rows, pd.DataFrame({"zip": ["Source: a"]})]))[1] if "totals" in one]


def test_a_fit_tells_of_a_total_once(recwarn):
    rows = with_total()
    post = ph.fit(TEXT, rows, chains=2, draws=50, seed=1)
    assert len([one for one in recwarn if "totals" in str(one.message)]) == 1
    recwarn.clear()
    ph.update(post, with_total("Summe").tail(60), chains=2, draws=50, seed=1)
    assert len([one for one in recwarn if "the only one of zip 'Summe'" in str(one.message)]) == 1
    recwarn.clear()
    rows.loc[120, "price"] = rows["price"].head(120).sum()
    ph.fit(TEXT, rows, chains=2, draws=50, seed=1)
    (only,) = [str(one.message) for one in recwarn if "totals" in str(one.message)]
    assert "is the sum of all other rows" in only
