"""A stranger's file, or condition, reads no file but the one that is named."""

from __future__ import annotations

import zipfile

import duckdb
import pandas as pd
import pytest

import priorhood as ph
from priorhood.plot.maps.polygons import read_polygons

FORMULA = "price ~ 1 + (1 | zip)"
FAST = {"chains": 2, "draws": 50, "seed": 1}
ROWS = pd.DataFrame({"zip": ["a", "b", "c", "d"] * 5, "price": [float(3 * i % 17) for i in range(20)]})

SECRET = "zip,price\nalice,1\nbob,2\ncarol,3\nalice,4\nbob,6\ncarol,5\n"


@pytest.fixture
def secret(tmp_path):
    """A file that nobody asked for."""
    path = tmp_path / "secret.csv"
    path.write_text(SECRET)
    return path


VIEWS = {
    "a reader": "FROM read_csv('{}')",
    "a name": "FROM '{}'",
    "text": "SELECT string_split(content, chr(10))[1] AS zip, 1.0 AS price FROM read_text('{}')",
    "a glob": "SELECT file AS zip, 1.0 AS price FROM glob('{}')",
    "within": "SELECT zip, (SELECT max(price) FROM read_csv('{}')) AS price FROM homes",
    "a macro": "FROM looked('{}')",
    "a query as text": "FROM query('FROM read_csv(''{}'')')",
}


@pytest.fixture(params=["here", "in a fork"])
def reader(request, monkeypatch):
    """In a fork a database is attached: nothing of what it may not do is lost by that."""
    if request.param == "in a fork":
        monkeypatch.setattr("priorhood.data.sources.duckdb_io._LOADED_IN", -1)
    return request.param


@pytest.mark.parametrize("how", VIEWS)
@pytest.mark.usefixtures("reader")
def test_a_view_reads_no_other_file(tmp_path, secret, how):
    database = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(database)) as con:
        con.execute("CREATE TABLE homes AS FROM ROWS")
        con.execute("CREATE MACRO looked(path) AS TABLE FROM read_csv(path)")
        con.execute(f"CREATE VIEW sales AS {VIEWS[how].format(secret)}")
    for read in (lambda s: ph.fit(FORMULA, s, **FAST), lambda s: ph.moments(FORMULA, s), ph.read):
        with pytest.raises(ph.TableError, match=r"reads another file|does not exist") as refused:
            read(f"{database}::sales")
        assert "alice" not in str(refused.value)
    assert ph.fit(FORMULA, f"{database}::homes", **FAST).moments.n.sum() == 20


@pytest.mark.usefixtures("reader")
def test_views_of_the_databases_own_tables_are_tables(tmp_path):
    database = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(database)) as con:
        con.execute("CREATE TABLE homes AS FROM ROWS")
        con.execute("CREATE MACRO larger(a) AS a > 2")
        con.execute("CREATE VIEW sales AS SELECT zip, price FROM homes WHERE larger(price)")
    post = ph.fit(FORMULA, f"{database}::sales", **FAST)
    assert post.moments.n.sum() == (ROWS["price"] > 2).sum()
    # What the file has in it, a condition may ask.
    where = "price > (SELECT avg(price) FROM homes)"
    assert (
        ph.moments(FORMULA, ph.read(f"{database}::homes", where=where)).moments.n.sum()
        == (ROWS["price"] > ROWS["price"].mean()).sum()
    )


@pytest.mark.usefixtures("reader")
def test_the_database_is_free_again(tmp_path):
    """After a fit its owner may write."""
    database = tmp_path / "ours.duckdb"
    with duckdb.connect(str(database)) as con:
        con.execute("CREATE TABLE homes AS FROM ROWS")
    ph.moments(FORMULA, str(database))
    with duckdb.connect(str(database)) as con:
        con.execute("INSERT INTO homes VALUES ('a', 1.0)")
    assert ph.moments(FORMULA, str(database)).moments.n.sum() == 21


def test_no_extension_is_loaded_or_fetched():
    from priorhood.data.sources import duckdb_io

    names = "'autoload_known_extensions', 'autoinstall_known_extensions'"
    asked = f"SELECT value FROM duckdb_settings() WHERE name IN ({names})"
    assert duckdb_io.connection().execute(asked).fetchall() == [("false",), ("false",)]


VRT = """<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{}</SrcDataSource>
<GeometryType>wkbPolygon</GeometryType><LayerSRS>WGS84</LayerSRS><GeometryField encoding="WKT" field="WKT"/>
</OGRVRTLayer></OGRVRTDataSource>"""


@pytest.mark.parametrize("name", ["zips.geojson", "zips.vrt", "zips.zip", "folder"])
def test_polygons_point_to_no_other_file(tmp_path, name):
    geopandas = pytest.importorskip("geopandas")
    secret = tmp_path / "secret.csv"
    secret.write_text('zip,WKT\nalice,"POLYGON((0 0,1 0,1 1,0 0))"\n')
    text, path = VRT.format(secret), tmp_path / name
    if name == "zips.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("zips.vrt", text)
    else:
        path = path if path.suffix else path / "zips.vrt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        assert list(geopandas.read_file(path)["zip"]) == ["alice"]  # the control: GDAL follows it
    with pytest.raises(ph.FileError, match="contains no polygons, only a reference to another source"):
        read_polygons(tmp_path / name, None)


def test_a_folder_of_polygons_is_what_lies_right_in_it(tmp_path):
    """Whatever lay below was read: the whole disk, for '/'."""
    geopandas = pytest.importorskip("geopandas")
    below = tmp_path / "all" / "below"
    below.mkdir(parents=True)
    (below / "zips.vrt").write_text(VRT.format(tmp_path / "secret.csv"))
    (below.parent / "notes.txt").write_text("no polygons")
    with pytest.raises(Exception, match=r"notes|not recognized|no layer|unsupported"):
        geopandas.read_file(below.parent)  # so does GDAL, and no pointer below is followed
    with pytest.raises(ph.FileError, match="cannot be read as a file of polygons"):
        read_polygons(below.parent, None)
    for i in range(1_001):
        (below / f"{i}.txt").touch()
    with pytest.raises(ph.FileError, match="has over 1,000 files; pass the one with the polygons"):
        read_polygons(below, None)


# -- conditions ----------------------------------------------------------------------------------------

ASKING = {
    "a reader": "price > (SELECT max(price) FROM read_csv('{}'))",
    "among": "zip IN (SELECT zip FROM read_csv('{}'))",
    "among a list": "zip IN (FROM read_csv('{}'))",
    "a name": "EXISTS (FROM '{}')",
    "a table": "EXISTS (TABLE '{}')",
    "a comment": "EXISTS (/**/ SELECT 1 FROM '{}')",
    "text": "(SELECT content FROM read_text('{}')) LIKE 'zip%'",
    "bytes": "(SELECT length(content) FROM read_blob('{}')) > 3",
    "a glob": "EXISTS (SELECT file FROM glob('{}'))",
    "a query as text": "EXISTS (FROM query('FROM ''{}'''))",
    "in a list": "list_contains([(SELECT max(price) FROM read_csv('{}'))], price)",
    "a common table": "(WITH t AS (FROM '{}') SELECT count(*) FROM t) > 0",
    "in a case": "CASE WHEN price > 2 THEN EXISTS (FROM '{}') ELSE false END",
    "beyond the bracket": "true) , (EXISTS (FROM '{}')",
    "another source": "true) AS x, * FROM read_csv('{}') WHERE (true",
}
OTHERS = {
    "environment": "getenv('HOME') <> ''",
    "copy": "COPY (SELECT 1) TO '{}'",
    "attach": "ATTACH '{}'",
    "install": "INSTALL httpfs",
    "pragma": "PRAGMA database_list",
    "several": "true; SELECT 1",
    "several, of which one reads": "price > 1; FROM '{}'",
    "nothing": "",
    "a semicolon": "price > 1;",
    "an open quote": "zip = 'a",
    "an open name": 'price > 1 AND "zip = 1',
    "an open bracket": "(price > 1",
    "a closed bracket": "price > 1) OR (",
    "an open comment": "price > 1 /* AND",
    "a comment to the end": "EXISTS (FROM '{}') -- price > 1",
    "a comment over a bracket": "true) AS x FROM '{}' --",
    "dollar quotes": "EXISTS (FROM query($$FROM '{}'$$))",
    "escaped quotes": "EXISTS (FROM query(E'FROM '{}''))",
    "two columns": "price > 1, zip = 'a'",
    "an alias": "price > 1 AS x",
    "an order": "price > 1 ORDER BY price",
    "a union": "true UNION SELECT true FROM '{}'",
    "a set": "SET enable_external_access = true",
    "a sniffer": "EXISTS (FROM sniff_csv('{}'))",
    "metadata": "EXISTS (FROM parquet_metadata('{}'))",
    "a parameter": "price > $1",
    "a question": "price > ?",
    "NUL": "price > 1\0",
    "a variable of Python's": "EXISTS (FROM frame)",
}
OF_IBIS = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # with the newest DuckDB and pandas
SOURCES = (
    "csv", "parquet", "jsonl", "duckdb", "pandas", "relation", "polars", "pyarrow", "dask",
    pytest.param("ibis", marks=OF_IBIS),
)  # fmt: skip


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    relation = duckdb.connect().from_df(ROWS)
    relation.write_csv(str(folder / "rows.csv"))
    relation.write_parquet(str(folder / "rows.parquet"))
    ROWS.to_json(folder / "rows.jsonl", orient="records", lines=True)
    with duckdb.connect(str(folder / "rows.duckdb")) as con:
        con.execute("CREATE TABLE homes AS FROM ROWS")
    made = {kind: str(folder / f"rows.{kind}") for kind in ("csv", "parquet", "jsonl", "duckdb")}
    made |= {"pandas": ROWS, "relation": duckdb.connect().from_df(ROWS)}
    return made


def _form(forms, kind):
    if kind in forms:
        return forms[kind]
    if kind == "polars":
        return pytest.importorskip("polars").from_pandas(ROWS)
    if kind == "ibis":
        return pytest.importorskip("ibis").duckdb.connect().read_parquet(forms["parquet"])
    if kind == "dask":
        return pytest.importorskip("dask.dataframe").from_pandas(ROWS, npartitions=2)
    return pytest.importorskip("pyarrow").table(ROWS)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_condition_asks_for_nothing_but_the_row(forms, secret, kind):
    frame = pd.DataFrame({"a": [1]})  # found by its name, if the condition could
    source, before = _form(forms, kind), secret.read_bytes()
    for words in (ASKING | OTHERS).values():
        with pytest.raises(ph.TableError) as refused:
            ph.moments(FORMULA, ph.read(source, where=words.format(secret)))
        assert "alice" not in str(refused.value).replace(words.format(secret), "")
    assert secret.read_bytes() == before
    assert len(frame) == 1


HELD = {
    "price > 3 AND zip <> 'a'": 12,
    "zip IN ('a', 'b') OR price BETWEEN 2 AND 5": 14,
    "upper(zip) = 'A' AND abs(price - 1) < 100": 5,
    "CASE WHEN zip = 'a' THEN price > 3 ELSE price > 5 END": 13,
    "length(zip || '(select') = 8": 20,
    "substring(zip FROM 1 FOR 1) = 'a'": 5,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("where", HELD)
def test_conditions_with_functions_of_the_row_hold(forms, kind, where):
    if kind == "polars" and " FOR " in where:
        pytest.skip("Polars' SQL has no FOR here")
    expected = duckdb.sql(f"SELECT count(*) FROM ROWS WHERE {where}").fetchall()[0][0]
    found = ph.moments(FORMULA, ph.read(_form(forms, kind), where=where))
    assert found.moments.n.sum() == expected
