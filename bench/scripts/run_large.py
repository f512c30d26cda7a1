"""One job on a large file in a process of its own: JOB SOURCE THREADS; its seconds are printed as JSON.

bare: the group-by a person would write; sums: what a fit takes from the rows; fit: the whole of it, saved beside
the source; update: new rows added to that posterior; places: fit, summarize and draw very many places; threads: a
fit with nothing left to compile or import. Libraries are loaded before the clock starts.
"""

import json
import sys
import time
from pathlib import Path

job, source, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
TEXT = "price ~ living_space + (living_space | zip)"
FEW, ALL = Path("few.csv"), Path("all.nc")
# Numerically naive, no missing values minded.
BARE = (
    "SELECT zip, count(*), sum(living_space), sum(price), sum(living_space * living_space), "
    "sum(living_space * price), sum(price * price) FROM {} GROUP BY zip"
)
if job == "bare":
    import duckdb

    con = duckdb.connect(config={"threads": threads})
    con.execute("SELECT 1").fetchall()
else:
    import priorhood as ph
    from priorhood.data.rows import prepare_rows
    from priorhood.data.sources.duckdb_io import connection, using
    from priorhood.model.formula import parse
    from priorhood.suffstats.collect import collect_moments

    if job in ("sums", "fit", "update"):
        collect_moments(prepare_rows(FEW, parse(TEXT)))
        post = ph.load(ALL) if job == "update" else None
        if job != "sums":
            ph.fit(TEXT, FEW, seed=1, draws=10)
    elif job == "places":
        warm = ph.simulate(places=300, rows=3_000, seed=1)[0]
        ph.fit(TEXT, warm, seed=1, store="summaries").summary()
    else:
        ph.fit(TEXT, source, seed=1, threads=threads)
    connection()

stages: dict[str, float] = {}
began: dict[str, float] = {}


def progress(stage: str, done: int, total: int) -> None:
    """Note the seconds of a stage of a fit."""
    began.setdefault(stage, time.perf_counter())
    if done >= total:
        stages[stage] = time.perf_counter() - began[stage]


started, busy = time.perf_counter(), time.process_time()
if job == "bare":
    file, _, table = source.partition("::")
    if table:
        con.execute(f"ATTACH '{file}' AS given (READ_ONLY)")
    con.execute(BARE.format(f"given.{table}" if table else f"'{file}'")).fetchall()
elif job == "sums":
    with using(threads):
        collect_moments(prepare_rows(source, parse(TEXT)))
elif job == "update":
    ph.update(post, source, seed=1, threads=threads)
elif job == "places":
    post = ph.fit(TEXT, source, seed=1, progress=progress)
    stages["fit"], at = time.perf_counter() - started, time.perf_counter()
    post.summary()
    stages["summary()"], at = time.perf_counter() - at, time.perf_counter()
    post.draws(zip=post.hierarchy.levels[0].labels[[0, 5, 9]])
    stages["draws of three places"] = time.perf_counter() - at
else:
    post = ph.fit(TEXT, source, seed=1, threads=threads)
seconds, busy = time.perf_counter() - started, time.process_time() - busy
if job == "fit":
    post.save(ALL)
print(json.dumps(stages or {"seconds": seconds, "busy": busy}))
