"""Columns in the forms that tables come in: through every backend the same words, and advice that works."""

from __future__ import annotations

import datetime
import re

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import priorhood as ph
from priorhood.data.date_formats import dates_of, numbered_dates
from priorhood.model.formula import parse
from shell import run_python
from table_moments import design_and_moments

N = 80
TEXT = "price ~ x + (1 | zip)"


def homes(x):
    """Homes with a column x."""
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {"zip": np.array(["01067", "01069", "10115"])[np.arange(N) % 3], "x": x, "price": rng.normal(3e5, 5e4, N)}
    )


def _csv(frame, folder):
    frame.to_csv(folder / "homes sold.csv", index=False)
    return folder / "homes sold.csv"


def _jsonl(frame, folder):
    frame.to_json(folder / "homes.jsonl", orient="records", lines=True, date_format="iso")
    return folder / "homes.jsonl"


def _parquet(frame, folder):
    pl.from_pandas(frame).write_parquet(folder / "homes.parquet")
    return folder / "homes.parquet"


BACKENDS = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "pandas": lambda frame, _: frame,
    "pandas of Arrow": lambda frame, _: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda frame, _: pl.from_pandas(frame),
    "pyarrow": lambda frame, _: pa.Table.from_pandas(frame, preserve_index=False),
    "duckdb": lambda frame, _: duckdb.from_df(frame),
}
through = pytest.mark.parametrize("backend", BACKENDS)


def refused(table, text=TEXT):
    with pytest.raises(ph.TableError) as caught:
        design_and_moments(ph.read(table), parse(text))
    return str(caught.value)


def sums(table, text=TEXT):
    return design_and_moments(ph.read(table), parse(text))


def ran(command):
    """Where the table is that a command of a message has written."""
    return re.search(r"d\.to_\w+\('(.*?)'", run_python(command))[1]


def with_days(said, table, frame, backend):
    """The table after the line of the message was run, letter by letter."""
    line = said.partition("days instead: ")[2]
    if backend in ("csv", "jsonl", "parquet"):
        return ran(line)
    if backend == "polars":
        return eval(line, {"pl": pl, "d": table})
    d = (table if backend.startswith("pandas") else frame).copy()
    exec(
        line.removesuffix(" for a pandas frame d, or its equivalent in the system that holds the rows"),
        {"pd": pd, "d": d},
    )
    return d


# -- dates ------------------------------------------------------------------------------------------------

DAYS = pd.Timestamp("2021-07-09") + pd.to_timedelta(np.arange(N) * 7 % 291, unit="D")
MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de short": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "no": "januar februar mars april mai juni juli august september oktober november desember",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "en": "January February March April May June July August September October November December",
    "en short": "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec",
}
WEEKDAYS = {
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
}


def month(language, day):
    return MONTHS[language].split()[day.month - 1]


def weekday(language, day):
    return WEEKDAYS[language].split()[day.weekday()]


def ordinal(day):
    ends = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
    return f"{day.day}{ends.get(day.day, 'th')}"


WRITTEN = {
    "%A, %d %B %Y": None, "%A, %B %d, %Y": None, "%d%b%Y": None, "%d-%b-%Y": None, "%d-%b-%y": None,
    "%d.%m.%y": None, "%m/%d/%y": None, "%d-%m-%y": None, "%y-%m-%d": None,
    "%Y-%m-%d %H:%M:%S+02:00": None, "%Y-%m-%dT%H:%M:%S+02:00": None, "%Y-%m-%d %H:%M:%S.123+0200": None,
    "%Y-%m-%dT00:30Z": None, "%Y-%m-%d 00:30:00 UTC": None, "%Y-%m-%d 23:30:00-05": None,
    "9. Juli 2021": lambda d: f"{d.day}. {month('de', d)} {d.year}",
    "9. JULI 2021": lambda d: f"{d.day}. {month('de', d)} {d.year}".upper(),
    "09. Juli 2021": lambda d: f"{d.day:02d}. {month('de', d)} {d.year}",
    "Freitag, 9. Juli 2021": lambda d: f"{weekday('de', d)}, {d.day}. {month('de', d)} {d.year}",
    "9-Okt-21": lambda d: f"{d.day}-{month('de', d)[:3]}-{d.year % 100}",
    "9. Okt. 2021": lambda d: f"{d.day}. {month('de short', d)} {d.year}",
    "9 juillet 2021": lambda d: f"{d.day} {month('fr', d)} {d.year}",
    "mardi 9 juillet 2021": lambda d: f"{weekday('fr', d)} {d.day} {month('fr', d)} {d.year}",
    "9 de julio de 2021": lambda d: f"{d.day} de {month('es', d)} de {d.year}",
    "martes, 9 de julio de 2021": lambda d: f"{weekday('es', d)}, {d.day} de {month('es', d)} de {d.year}",
    "9 luglio 2021": lambda d: f"{d.day} {month('it', d)} {d.year}",
    "9 juli 2021": lambda d: f"{d.day} {month('nl', d)} {d.year}",
    "9 de julho de 2021": lambda d: f"{d.day} de {month('pt', d)} de {d.year}",
    "9 maj 2021": lambda d: f"{d.day} {month('sv', d)} {d.year}",
    "9. mai 2021": lambda d: f"{d.day}. {month('no', d)} {d.year}",
    "9 lipca 2021": lambda d: f"{d.day} {month('pl', d)} {d.year}",
    "July 9th, 2021": lambda d: f"{month('en', d)} {ordinal(d)}, {d.year}",
    "9th of July 2021": lambda d: f"{ordinal(d)} of {month('en', d)} {d.year}",
    "9 Sept 2021": lambda d: f"{d.day} {month('en short', d)} {d.year}",
}  # fmt: skip
OF_MONTHS = {
    "%b-%y": None, "%b-%Y": None,
    "Juli 2021": lambda d: f"{month('de', d)} {d.year}",
    "Okt-21": lambda d: f"{month('de', d)[:3]}-{d.year % 100}",
    "juillet 2021": lambda d: f"{month('fr', d)} {d.year}",
}  # fmt: skip


def written(form):
    write = (WRITTEN | OF_MONTHS)[form]
    return list(DAYS.strftime(form)) if write is None else list(map(write, DAYS))


# The ways to have advice; of most languages these will do.
WAYS = ("csv", "pandas", "polars")
OF_ALL = [form for form in WRITTEN if "%" in form or form in ("9. Juli 2021", "9-Okt-21", "July 9th, 2021")]


@pytest.mark.parametrize(
    ("form", "backend"), [(form, by) for form in WRITTEN for by in (BACKENDS if form in OF_ALL else WAYS)]
)
def test_dates_are_called_dates_and_become_days(tmp_path, form, backend):
    frame = homes(written(form))
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    assert "column 'x' (predictor) holds dates" in said
    made = with_days(said, table, frame, backend)
    expected = (DAYS - DAYS.min()).days.to_numpy()
    assert sums(made, "price ~ days + (1 | zip)")[1].pooled()[0][0] == pytest.approx(expected.mean())
    assert sums(made, "price ~ days + (1 | zip)")[1].labels.tolist() == ["01067", "01069", "10115"]


@through
@pytest.mark.parametrize("form", OF_MONTHS)
def test_months_are_dates_or_categories(tmp_path, form, backend):
    frame = homes(written(form))
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    term = re.search(
        r"holds dates, such as '.*?', not numbers; write (C\(x\)) to use it as categories, or convert", said
    )
    assert len(sums(table, TEXT.replace("x", term[1]))[0].categories["C(x)"]) == 10
    made = with_days(said, table, frame, backend)
    months = DAYS.to_period("M").to_timestamp()
    expected = (months - months.min()).days.to_numpy()
    assert sums(made, "price ~ days + (1 | zip)")[1].pooled()[0][0] == pytest.approx(expected.mean())


@through
@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "America/New_York"])
def test_columns_of_dates_with_zones_become_days(tmp_path, backend, zone):
    """The line took no column with a zone."""
    if backend == "csv" and zone:
        pytest.skip("texts, as above")
    frame = homes((DAYS + pd.Timedelta(hours=23, minutes=30)).tz_localize(zone))
    table = BACKENDS[backend](frame, tmp_path)
    made = with_days(refused(table), table, frame, backend)
    days = sums(made, "price ~ days + (1 | zip)")[1].pooled()[0][0]
    expected = (DAYS - DAYS.min()).days.to_numpy().mean()
    # JSON and Parquet's readers may have such a moment in another zone: a day more or less, for all alike.
    assert days == pytest.approx(expected, abs=1.001)


@through
def test_dates_with_gaps_blanks_and_words_become_days(tmp_path, backend):
    texts = np.array(written("9. Juli 2021"), dtype=object)
    texts[3], texts[4] = " " + texts[3], "unbekannt"
    texts[5] = None
    frame = homes(texts)
    table = BACKENDS[backend](frame, tmp_path)
    found = sums(with_days(refused(table), table, frame, backend), "price ~ days + (1 | zip)")[1]
    expected = np.delete((DAYS - DAYS.min()).days.to_numpy(), [4, 5])
    assert found.pooled()[0][0] == pytest.approx(expected.mean())
    assert found.rows == N - 2


@pytest.mark.parametrize(("form", "other"), [("%m/%d/%y", "%d/%m/%y"), ("%d-%m-%Y", "%m-%d-%Y")])
def test_days_that_may_be_months_or_years_are_said(form, other):
    """Where days go beyond 12, or years would lie decades apart, they are not."""
    days = [datetime.date(2021, 1 + i % 12, 1 + i % 11) for i in range(N)]
    said = refused(homes([day.strftime(form) for day in days]))
    assert re.search(r"read as \w+, \w+, \w+, in this order; if that is wrong, use '\S+' instead of", said)
    assert repr(form) in said
    assert repr(other) in said
    assert "in this order" not in refused(homes(written(form) if form in WRITTEN else list(DAYS.strftime(form))))


@through
def test_months_in_words_that_are_not_known_look_like_dates(tmp_path, backend):
    names = "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık"
    frame = homes([f"{day.day} {names.split()[day.month - 1]} {day.year}" for day in DAYS])
    said = refused(BACKENDS[backend](frame, tmp_path))
    assert "column 'x' (predictor) holds what looks like dates, such as '1 Ekim 2021', not numbers" in said
    assert "write them like 2014-10-13" in said
    assert len(sums(frame[:40], TEXT.replace("x", re.search(r"C\(.\)", said)[0]))[0].categories["C(x)"]) == 40


@pytest.mark.parametrize(
    "texts",
    [
        ["3 Zimmer 1998", "4 Zimmer 2001", "2 Zimmer 1975"], ["Phase 2020", "Stage 2021"], ["March Street 10"],
        ["Mai", "Juni"], ["1.2.10", "1.2.9-beta"], ["Haus 12", "Haus 13"], ["10115 Berlin", "10117 Berlin"],
        ["marina 2020", "decor 2020"], ["31 Februar 2021"], ["May-A", "May-B"],
    ],
)  # fmt: skip
def test_what_is_no_date(texts):
    assert dates_of(texts, short=True) is None


# -- dates as whole numbers ---------------------------------------------------------------------------------

NUMBERS = {
    "int": lambda: DAYS.strftime("%Y%m%d").astype(int),
    "float": lambda: DAYS.strftime("%Y%m%d").astype(float),
    "text": lambda: list(DAYS.strftime("%Y%m%d")),
    "with gaps": lambda: np.where(np.arange(N) % 9 == 4, np.nan, DAYS.strftime("%Y%m%d").astype(float)),
    "with zeros": lambda: np.where(np.arange(N) % 9 == 4, 0, DAYS.strftime("%Y%m%d").astype(int)),
    "quarters": lambda: np.array([20210331, 20210630, 20210930, 20211231])[np.arange(N) % 4],
    "with a clock": lambda: DAYS.strftime("%Y%m%d123000").astype(int),
    "months": lambda: DAYS.strftime("%Y%m").astype(int),
}


@through
@pytest.mark.parametrize("form", NUMBERS)
def test_whole_numbers_that_are_dates_are_refused_and_become_days(tmp_path, form, backend):
    """Between 20210131 and 20210201 lie 70 numbers and one day."""
    frame = homes(NUMBERS[form]())
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    assert "column 'x' (predictor) holds dates, such as '202" in said
    found = sums(with_days(said, table, frame, backend), "price ~ days + (1 | zip)")[1]
    numbers = pd.Series(NUMBERS[form]()).astype(float)
    shown = numbers[numbers > 0].astype("int64").astype(str).str[: 6 if form == "months" else 8]
    dates = pd.to_datetime(shown, format="%Y%m" if form == "months" else "%Y%m%d")
    assert found.pooled()[0][0] == pytest.approx((dates - dates.min()).dt.days.mean())
    assert found.rows == len(dates)


@through
@pytest.mark.parametrize("form", ["int", "with gaps"])
def test_whoever_wants_a_number_of_a_date_has_it(tmp_path, form, backend):
    """As the message says; and as categories, a place, a part of arithmetic."""
    table = ph.read(BACKENDS[backend](homes(NUMBERS[form]()), tmp_path))
    term = re.search(r"write (I\(x\)) to use it as a plain number", refused(table))[1]
    found = design_and_moments(table, parse(TEXT.replace("x", term)))[1]
    assert found.pooled()[0][0] == pytest.approx(np.nanmean(NUMBERS[form]().astype(float)))
    assert design_and_moments(table, parse("price ~ log(x) + (1 | zip)"))[1].rows == found.rows
    assert len(design_and_moments(table, parse("price ~ 1 + (1 | x)"))[1].labels) > 40
    refused(table)  # what was looked at for another formula is refused as before


@through
@pytest.mark.parametrize(
    "values",
    [
        np.arange(N) * 1000 + 20_210_000,  # prices
        np.arange(N) + 20_210_101,  # running numbers: 20210132 is no day
        np.where(np.arange(N) % 2, 20_210_101, 20_210_102),  # two dates are as good as any two numbers
        np.arange(N) + 10115,
        np.where(np.arange(N) < 79, 20_210_101 + np.arange(N) % 20, 123),
        np.arange(N) % 12 + 202101,  # a year of months is in line
        np.arange(N) % 60 + 1960,  # years
    ],
    ids=["thousands", "ids", "two", "zips", "all but one", "one year", "years"],
)
def test_other_whole_numbers_are_numbers(tmp_path, values, backend):
    found = sums(BACKENDS[backend](homes(values), tmp_path))[1]
    assert found.pooled()[0][0] == pytest.approx(values.mean())


def test_dates_of_places_as_whole_numbers_are_refused(tmp_path):
    places = pd.DataFrame({"zip": ["01067", "01069", "10115"], "built": [19450508, 19890109, 19901003]})
    frame = homes(np.arange(float(N)))
    for source in (places, _csv(places, tmp_path)):
        with pytest.raises(
            ph.TableError, match=r"'built' \(a predictor of places\) holds dates, such as '19450508'"
        ):
            ph.moments("price ~ built + (1 | zip)", frame, places=source)
    assert ph.moments("price ~ I(built) + (1 | zip)", frame, places=places).moments.rows == N


def test_rows_to_predict_are_read_as_those_of_the_fit(tmp_path):
    """A posterior of numbers that are dates, from before they were refused, still predicts."""
    frame = homes(NUMBERS["int"]())
    post = ph.fit("price ~ I(x) + (1 | zip)", frame, seed=1, draws=50)
    for rows in (frame, _csv(frame, tmp_path)):
        assert len(post.predict(rows)) == N


def test_whole_numbers_of_dates():
    assert numbered_dates(["20210709", "20210710", "0", "20211231"]).form == "%Y%m%d"
    assert numbered_dates(["0", "0"]) is None
    assert numbered_dates([]) is None
    assert numbered_dates(["20210709", "20210710", "20211332"]) is None
    assert numbered_dates(["18210709", "18210710", "18210711"]) is None


# -- numbers with units, multiples, bounds ---------------------------------------------------------------------


def followed(said, table, frame, backend):
    """The table after the column was changed as the message says: by its command, or in pandas or Polars."""
    if backend == "csv":
        return ran(said[said.index("python -c ") :])
    assert "python -c" not in said
    if backend == "polars":
        calls = re.search(r" in pandas, (\..*?) in Polars", said)[1]
        return table.with_columns(eval(f"pl.col('x'){calls}", {"pl": pl}))
    rows = table if backend.startswith("pandas") else frame
    return rows.assign(x=eval(re.search(r"(frame\['x'\].*?) in pandas", said)[1], {"frame": rows}))


V = np.random.default_rng(2).integers(40, 160, N)
ODD = V % 2 == 1
BIG = V * 5 + 100


def either(odd, even):
    return [odd.format(v) if v % 2 else even.format(v) for v in V]


# How it is written; what the message says; what the numbers are then.
SCALED = {
    "m² and sqft": (
        [f"{v} m²" if v % 2 else f"{round(v / 0.09290304, 6)} sqft" for v in V],
        "has numbers in two units, such as", V,
    ),
    "sqm, m² and acres": (
        [f"{v} sqm" if v % 3 else f"{v / 4046.8564224:.12f} ac" for v in V],
        "has numbers in two units, such as", V,
    ),
    "thousands in two units": (
        [f"{v + 1000:,} m²" if v % 2 else f"{(v + 1000) / 0.09290304:,.4f} sqft" for v in V],
        "has numbers in two units, such as", V + 1000,
    ),
    "m and ft": ([f"{v} m" if v % 3 else f"{v / 0.3048:.9f} ft" for v in V], "in two units", V),
    "km and mi": ([f"{v} km" if v % 2 else f"{v / 1.609344:.9f} mi" for v in V], "in two units", V),
    "k": ([f"{v}k" for v in BIG], "numbers with 'k' after them", BIG * 1e3),
    "$ k": ([f"${v}k" for v in BIG], "numbers with '$' before and 'k' after them", BIG * 1e3),
    "Mio. €": ([f"{v / 100:.2f} Mio. €".replace(".", ",", 1) for v in BIG], "'Mio. €' after", BIG * 1e4),
    "T€": ([f"{v} T€" for v in BIG], "'T€' after", BIG * 1e3),
    "k and whole": ([f"{v}k" if v % 2 else f"{v * 1000}" for v in BIG], "different multipliers", BIG * 1e3),
    "k and m": ([f"{v}k" if v % 2 else f"{v / 1000}m" for v in BIG], "different multipliers", BIG * 1e3),
    "$ k, $ m, $": (
        [(f"${v}k", f"${v / 1000}M", f"${v * 1000:,}")[v % 3] for v in BIG.tolist()],
        "different multipliers", BIG * 1e3,
    ),
}  # fmt: skip
UNCLEAR = {
    "€ and $": (either("{} €", "${}"), "has numbers in two units, such as '"),
    "m² and km": (either("{} m²", "{} km"), "has numbers in two units, such as '"),
    "three": ([("{} m²", "{} sqft", "{}")[v % 3].format(v) for v in V], "has numbers in two units, such as '"),
    "m and none": (either("{}m", "{}"), "has numbers with different multipliers, such as '"),
}


@through
@pytest.mark.parametrize("form", SCALED)
def test_numbers_of_two_units_or_sizes_are_converted_as_the_message_says(tmp_path, form, backend):
    texts, says, expected = SCALED[form]
    frame = homes(texts)
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    assert says in said
    assert "take" not in said
    assert len(sums(ph.read(table), TEXT.replace("x", "C(x)"))[0].categories["C(x)"]) > 20
    found = sums(followed(said, table, frame, backend))[1].pooled()[0][0]
    factor = found / expected.mean()
    # Areas are in the unit that most homes have.
    assert min(abs(factor - one) for one in (1, 1 / 0.09290304, 1 / 1.609344, 1 / 4046.8564224)) < 1e-6 * factor


@through
@pytest.mark.parametrize("form", UNCLEAR)
def test_units_that_no_factor_makes_one_are_said_without_a_line(tmp_path, form, backend):
    texts, says = UNCLEAR[form]
    said = refused(BACKENDS[backend](homes(texts), tmp_path))
    assert says in said
    assert "frame[" not in said
    assert said.endswith("first; or write C(x) to use it as categories")


TRUTHS = {
    "Y N 1 0": [("Y", "N", "1", "0")[v % 4] for v in V],
    "yes no 1 0": [("yes", "no", "1", "0")[v % 4] for v in V],
    "Yes, no, y, n": [("Yes", "no", "y", "n ")[v % 4] for v in V],
    "true false 1.0 0.0": [("true", "FALSE", "1.0", "0.0")[v % 4] for v in V],
    "ja nein 1 0": [("ja", "nein", "1", "0")[v % 4] for v in V],
    "Y 0": [("Y", "0")[v % 2] for v in V],
    "with gaps": [("Y", "N", "1", None)[v % 4] for v in V],
}


@through
@pytest.mark.parametrize("form", TRUTHS)
def test_truths_in_two_ways_are_said_and_become_truths(tmp_path, form, backend):
    """They were advised to be read as missing, or became four categories."""
    frame = homes(pd.array(TRUTHS[form], dtype="str"))
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    assert "column 'x' (predictor) has true/false values in more than one form, '" in said
    assert "null" not in said
    found = sums(followed(said, table, frame, backend))[1]
    known = [text for text in TRUTHS[form] if text is not None]
    true = sum(text.strip().lower() in ("y", "yes", "1", "true", "1.0", "ja") for text in known)
    assert found.pooled()[0][0] == pytest.approx(true / len(known))
    assert found.columns[0] == "x"


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        ("Y N", ("N", "Y")), ("S N O", ("N", "O", "S")), ("N S W E", ("E", "N", "S", "W")),
        ("t f s", ("f", "s", "t")), ("yes no maybe", ("maybe", "no", "yes")), ("on off", ("off", "on")),
    ],
)  # fmt: skip
def test_other_words_are_categories(values, categories):
    words = values.split()
    frame = homes([words[i % len(words)] for i in range(N)])
    assert sums(frame)[0].categories["x"] == categories


BOUNDED = {
    "5+": ([("1", "2", "3", "4", "5+")[v % 5] for v in V], [1, 2, 3, 4, 5], "use the lower bound of '5+'"),
    "<1": ([("<1", "1", "2", "3")[v % 4] for v in V], [1, 1, 2, 3], "use the upper bound of '<1'"),
    "30-35": (
        [("28", "30-35", "41", "46")[v % 4] for v in V], [28, 32.5, 41, 46],
        "use the middle of ranges such as '30-35'",
    ),
    "1.5, 2 - 3, 6 or more": (
        [("1.5", "2 – 3", "4", "5", "6 or more")[v % 5] for v in V], [1.5, 2.5, 4, 5, 6],
        "use the middle of ranges such as '2 – 3', use the lower bound of '6 or more'",
    ),
    "1,000-1,200": (
        [("850", "900", "1,000-1,200")[v % 3] for v in V], [850, 900, 1100],
        "use the middle of ranges such as '1,000-1,200'",
    ),
}  # fmt: skip


@through
@pytest.mark.parametrize("form", BOUNDED)
def test_ranges_and_bounds_are_said_with_what_makes_numbers_of_them(tmp_path, form, backend):
    texts, numbers, says = BOUNDED[form]
    frame = homes(texts)
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    assert says in said
    assert "fix these rows or filter them out (where=); or use" in said
    expected = np.mean([numbers[v % len(numbers)] for v in V])
    assert sums(followed(said, table, frame, backend))[1].pooled()[0][0] == pytest.approx(expected)
    term = re.search(r"; or write (C\(x\)) to use it as categories", said)[1]
    assert len(sums(table, TEXT.replace("x", term))[0].categories[term]) == len(numbers)


@through
def test_ranges_alone_are_categories_until_they_are_too_many(tmp_path, backend):
    table = BACKENDS[backend](homes([("30-35", "36-40", "41+")[v % 3] for v in V]), tmp_path)
    assert sums(table)[0].categories["x"] == ("30-35", "36-40", "41+")
    frame = pd.concat([homes([f"{v}-{v + 5}" for v in range(at, at + N)]) for at in (1, 81)], ignore_index=True)
    table = BACKENDS[backend](frame, tmp_path)
    said = refused(table)
    assert "has 160 ranges and numbers, such as '1-6'" in said
    assert sums(followed(said, table, frame, backend))[1].pooled()[0][0] == pytest.approx(83)
