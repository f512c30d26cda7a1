from __future__ import annotations

import pytest

from backends import servers


@pytest.fixture(scope="session")
def spark():
    with servers.spark() as session:
        yield session


@pytest.fixture(scope="session")
def postgres():
    with servers.postgres() as (folder, _):
        yield folder


@pytest.fixture(scope="session")
def dask_client():
    from contextlib import ExitStack

    with ExitStack() as stack:
        cluster = stack.enter_context(servers.dask_cluster())
        from distributed import Client

        yield stack.enter_context(Client(cluster, set_as_default=False))


# What the engines' own libraries say of each other's versions, by default to no one.
THEIRS = (
    r"ignore:fetch_arrow_table\(\) is deprecated:DeprecationWarning",
    r"ignore:fetch_record_batch\(\) is deprecated:DeprecationWarning",
    r"ignore:The inplace keyword in DataFrame.reset_index is deprecated:DeprecationWarning",
    r"ignore:The 'future.infer_string' option is deprecated:DeprecationWarning",
    # JAX's, of any fork; Spark's driver is started by one, and another file of this process may have loaded JAX.
    r"ignore:os\.fork\(\) was called:RuntimeWarning",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "backends" in item.path.parts:
            for each in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(each))


class Put:
    """Takes pandas frames to an engine, each once."""

    def __init__(self, name: str, put) -> None:
        self.name, self.put, self.there = name, put, {}

    def __call__(self, frame):
        if id(frame) not in self.there:
            self.there[id(frame)] = (frame, self.put(frame))
        return self.there[id(frame)][1]


def _to_spark(session, folder):
    def put(frame):
        path = folder / f"{id(frame)}.parquet"
        half = len(frame) // 2
        path.mkdir()
        for at, part in enumerate((frame.iloc[:half], frame.iloc[half:])):
            part.to_parquet(path / f"part{at}.parquet", index=False)
        return session.read.parquet(str(path))

    return put


def _to_dask(frame):
    import dask.dataframe as dd

    return dd.from_pandas(frame, npartitions=3)


def _to_ibis_duckdb(folder):
    def put(frame):
        import ibis

        path = folder / f"{id(frame)}.parquet"
        frame.to_parquet(path, index=False)
        return ibis.duckdb.connect().read_parquet(path)

    return put


_SQL = {"O": "text", "s": "text", "f": "double precision", "i": "bigint", "b": "boolean"}


def _to_postgres(connection):
    def put(frame):
        kinds = [_SQL[frame[c].dtype.kind if frame[c].dtype != "str" else "s"] for c in frame.columns]
        columns = ", ".join(f'"{c}" {kind}' for c, kind in zip(frame.columns, kinds, strict=True))
        name = f"t{id(frame)}"
        rows = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
        with connection.con.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {name} ({columns})")
            with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        connection.con.commit()
        return connection.table(name)

    return put


@pytest.fixture(scope="session")
def dask_put():
    pytest.importorskip("dask.dataframe", reason="Dask is not installed")
    return Put("dask", _to_dask)


@pytest.fixture(scope="session")
def dask_processes_put(dask_put, dask_client):
    """As dask_put; computed by two processes, whose client is the default while a test runs."""
    return Put("dask in processes", _to_dask)


@pytest.fixture(scope="session")
def ibis_put(tmp_path_factory):
    pytest.importorskip("ibis", reason="Ibis is not installed")
    return Put("ibis", _to_ibis_duckdb(tmp_path_factory.mktemp("ibis")))


@pytest.fixture(scope="session")
def postgres_put(postgres):
    ibis = pytest.importorskip("ibis", reason="Ibis is not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed", exc_type=ImportError)
    connection = ibis.postgres.connect(host=str(postgres), user="priorhood", database="postgres")
    yield Put("ibis", _to_postgres(connection))
    connection.disconnect()


@pytest.fixture(scope="session")
def spark_put(spark, tmp_path_factory):
    return Put("spark", _to_spark(spark, tmp_path_factory.mktemp("spark")))


# Spark and processes show what they alone have in a test of their own; all else there takes minutes.
ENGINES = (
    "ibis",
    *(pytest.param(e, marks=pytest.mark.long) for e in ("dask", "postgres")),
    *(pytest.param(e, marks=pytest.mark.slow) for e in ("dask_processes", "spark")),
)


@pytest.fixture(params=ENGINES)
def put(request):
    """Every engine in turn: a function that takes a pandas frame there."""
    found = request.getfixturevalue(f"{request.param}_put")
    if request.param != "dask_processes":
        yield found
        return
    client = request.getfixturevalue("dask_client")
    with client.as_current():
        yield found
