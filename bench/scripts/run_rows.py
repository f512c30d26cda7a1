"""One job on a file of rows in a process of its own: WHAT SOURCE THREADS OUT; its seconds are written to OUT.

bare: the group-by a person would write; sums: what a fit takes from the rows; fit: the whole of it, saved
beside OUT; update: new rows added to that posterior. Libraries are loaded before the clock starts.
"""

import sys
import time
from pathlib import Path

what, source, threads, out = sys.argv[1:]
TEXT = "price ~ living_space + (living_space | zip)"
BARE = (
    "SELECT zip, count(*), sum(living_space), sum(price), sum(living_space * living_space), "
    "sum(living_space * price), sum(price * price) FROM {} GROUP BY zip"
)


def bare() -> None:
    """The yardstick: numerically naive, no missing values minded."""
    file, _, table = source.partition("::")
    if table:
        con.execute(f"ATTACH '{file}' AS given (READ_ONLY)")
    con.execute(BARE.format(f"given.{table}" if table else f"'{file}'")).fetchall()


def sums() -> None:
    """The same sums by priorhood, with every row's values minded."""
    with using(int(threads)):
        collect.collect_moments(ph.read(source), parse(TEXT))


def fit() -> None:
    """File → 4 × 1000 draws."""
    done.append(ph.fit(TEXT, source, seed=1, threads=int(threads)))


def update() -> None:
    """New rows beside all that the saved posterior was fitted to."""
    done.append(ph.update(post, source, seed=1, threads=int(threads)))


if what == "bare":
    import duckdb

    con = duckdb.connect(config={"threads": int(threads)})
    con.execute("SELECT 1").fetchall()
else:
    import priorhood as ph
    from priorhood.data.sources.duckdb_io import connection, using
    from priorhood.model.formula import parse
    from priorhood.suffstats import collect

    done: list[ph.Posterior] = []
    few = Path(out).with_name("few.csv")
    collect.collect_moments(ph.read(few), parse(TEXT))
    if what != "sums":
        post = ph.load(Path(out).with_name("all.nc")) if what == "update" else None
        ph.fit(TEXT, few, seed=1, draws=10)
    connection()

started = time.perf_counter()
{"bare": bare, "sums": sums, "fit": fit, "update": update}[what]()
seconds = time.perf_counter() - started
if what == "fit":
    done[0].save(Path(out).with_name("all.nc"))
Path(out).write_text(str(seconds))
