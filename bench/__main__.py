"""`python -m bench`: measure, print, and write bench/results/.

priorhood's own parts go to latest.json; the contenders, the series of sizes and the grid have files of their own,
to which every run adds what they lack, with tables and pictures beside it. `python -m bench.publish` puts these on
the project's pages.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console

from bench import engines, grid, kernel, large, machine, parts, publish, scale, tables
from bench.case import CHAINS, DRAWS, QUICK, TUNE, Effort, Measurement
from bench.contenders import CONTENDERS
from bench.contest import Limits
from bench.data import RESULTS, dumped

PARTS = {
    "priorhood": parts.own,
    "kernel": kernel.measure,
    "import": parts.imports,
    "cli": parts.command_line,
    "compile": parts.compiling,
    "predictive": parts.predictive,
    "weights": parts.weights,
    "calibrate": parts.calibrate,
    "leaveout": parts.leave_out,
    "noise": parts.noise,
    "groupings": parts.groupings,
    "predictors": parts.predictors,
    "rows": large.rows,
    "places": large.places,
    "threads": large.threads,
}
# They take hours at their full limits, and have results of their own, which grow.
LONG = ("scale", "grid")
NAMES = (*PARTS, "contenders", *LONG, "engines")
# A quick run takes these where they are installed: each of their fits takes seconds.
SWIFT = ("priorhood", "lme4", "statsmodels", "nutpie")
QUICK_SECONDS = 60.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add, names = parser.add_argument, ", ".join
    add("--quick", action="store_true", help=f"few repeats; {names(SWIFT)} alone; a few minutes")
    add("--all", action="store_true", help=f"also what takes hours: {names(LONG)}")
    add("--only", action="append", choices=NAMES, metavar="PART", help=names(NAMES))
    add("--contender", action="append", choices=CONTENDERS, metavar="NAME", help=names(CONTENDERS))
    add("--limit", type=float, default=Limits.seconds, metavar="SECONDS", help="of one fit; 600")
    add("--memory", type=float, default=Limits.memory_mb / 1000, metavar="GB", help="of one fit; 16")
    add("--most-rows", type=int, default=scale.ROWS[-1].rows, metavar="N", help="of the series")
    add("--no-install", action="store_true", help="take no contender that is not installed yet")
    add("--again", action="store_true", help="measure also what has a record")
    return parser


def _usual(name: str, given: argparse.Namespace) -> bool:
    """Whether a run without --only has this part."""
    return bool(given.all) if name in LONG else name != "engines" or not given.quick


def main() -> None:
    """Parse, measure, print, write."""
    given = _parser().parse_args()
    # A contender is in a session of its own: it must not outlive a benchmark that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = tuple(given.only or (n for n in NAMES if _usual(n, given)))
    console = Console(width=None if os.isatty(1) else 190, highlight=False)
    before = machine.describe()
    console.print(f"{before['cpu']}, {before['cores']} cores, Python {before['python']}, {before['date']}")
    console.print(
        f"{CHAINS} × {DRAWS} draws (samplers: + {TUNE} to tune). Threads: priorhood and the samplers' chains "
        f"may use all {before['cores']} cores; kernel and lme4 use one; the others' linear algebra is held to one."
    )
    if remark := machine.remark(before, "minima are more reliable"):
        console.print(remark, style="yellow")
    if any(name in PARTS for name in wanted):
        _own(given, wanted, before, console)
    _others(given, wanted, console)
    if "engines" in wanted:
        engines.measure(before, console, quick=given.quick)


def _own(given: argparse.Namespace, wanted: tuple[str, ...], before: dict[str, Any], console: Console) -> None:
    """The parts of priorhood alone."""
    effort = QUICK if given.quick else Effort()
    # A part measured alone must not stand for the whole.
    target = RESULTS / ("only.json" if given.only else "latest.json")
    results = {
        "machine": before,
        "quick": given.quick,
        "only": given.only,
        "effort": asdict(effort),
        "complete": False,
    }
    measured: list[Measurement] = []
    for name in (n for n in PARTS if n in wanted):
        console.print(f"measuring {name} …", style="dim")
        measured += [replace(one, command=f"python -m bench --only {name}") for one in PARTS[name](effort)]
        results["measurements"] = [m.to_dict() for m in measured]
        dumped(results, target)
    results["complete"] = True
    dumped(results, target)
    console.print(tables.own(results), soft_wrap=True, markup=False)
    for m in measured:
        if m.note:
            console.print(f"{m.what}: {m.note}", soft_wrap=True, style="dim")
    console.print(f"written to {os.path.relpath(target)}")


def _others(given: argparse.Namespace, wanted: tuple[str, ...], console: Console) -> None:
    """All contenders at one size, in the series, on the grid."""
    seconds = min(given.limit, QUICK_SECONDS) if given.quick else given.limit
    limits = Limits(seconds=seconds, memory_mb=1000 * given.memory)
    tasks = scale.base() if "contenders" in wanted else ()
    tasks += scale.series(given.most_rows) if "scale" in wanted else ()
    if tasks:
        names = tuple(given.contender or (SWIFT if given.quick else CONTENDERS))
        install = not (given.no_install or given.quick)
        plan = scale.Plan(names, tasks, limits, install=install, again=given.again)
        target = RESULTS / ("contenders_trial.json" if given.quick else "contenders.json")
        records = scale.measure(plan, console, target)
        console.print(f"written to {os.path.relpath(target)}")
        if records.by_key:
            console.print(tables.at_size(records, scale.BASE), soft_wrap=True, markup=False)
            for path in publish.beside(records):
                console.print(f"written to {os.path.relpath(path)}")
    if "grid" in wanted:
        # A quick run leaves the sizes out at which Stan takes minutes.
        grid.measure(console, limits, again=given.again, sizes=grid.SIZES[: 1 if given.quick else None])


if __name__ == "__main__":
    main()
