"""`python -m bench`: measure, print, and write bench/results/.

priorhood's own parts go to latest.json; the contenders, the series of sizes and the grid have files of their own,
to which every run adds what they lack, with tables and pictures beside it. `python -m bench.publish` puts these on
the project's pages.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import (
    calibration,
    engines,
    grid,
    groupings,
    kernel,
    leaveout,
    machine,
    noise,
    own,
    places,
    predictive,
    predictors,
    process,
    publish,
    report,
    rows,
    scale,
    scale_table,
    threads,
    weights,
)
from bench.case import CHAINS, DRAWS, QUICK, TUNE, Effort, Measurement
from bench.contenders import CONTENDERS
from bench.contest import Limits
from bench.readme_table import BUSY

RESULTS = Path(__file__).with_name("results")
PARTS = {
    own.NAME: own.measure,
    "kernel": kernel.measure,
    "import": process.measure_import,
    "cli": process.measure_cli,
    "compile": process.measure_compile,
    "predictive": predictive.measure,
    "weights": weights.measure,
    "calibrate": calibration.measure,
    "leaveout": leaveout.measure,
    "noise": noise.measure,
    "groupings": groupings.measure,
    "predictors": predictors.measure,
    "rows": rows.measure,
    "places": places.measure,
    "threads": threads.measure,
}
# They take hours at their full limits, and have results of their own, which grow.
LONG = ("scale", grid.NAME)
NAMES = (*PARTS, "contenders", *LONG, engines.NAME)
# A quick run takes these where they are installed: each of their fits takes seconds.
SWIFT = ("priorhood", "lme4", "statsmodels", "nutpie")
QUICK_SECONDS = 60.0


def main() -> None:
    """Parse, measure, print, write."""
    given = _parser().parse_args()
    # A contender is in a session of its own: it must not outlive a benchmark that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = tuple(given.only or (n for n in NAMES if _usual(n, given)))
    console = Console(width=None if os.isatty(1) else 190, highlight=False)
    before = machine.describe()
    _introduce(console, before)
    if any(name in PARTS for name in wanted):
        _own(given, wanted, before, console)
    _others(given, wanted, console)
    if engines.NAME in wanted:
        engines.measure(before, console, quick=given.quick)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help=f"few repeats; {', '.join(SWIFT)} alone; a few minutes"
    )
    parser.add_argument("--all", action="store_true", help=f"also what takes hours: {', '.join(LONG)}")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="PART", help=", ".join(NAMES))
    parser.add_argument(
        "--contender", action="append", choices=CONTENDERS, metavar="NAME", help=", ".join(CONTENDERS)
    )
    parser.add_argument("--limit", type=float, default=Limits.seconds, metavar="SECONDS", help="of one fit; 600")
    parser.add_argument(
        "--memory", type=float, default=Limits.memory_mb / 1000, metavar="GB", help="of one fit; 16"
    )
    parser.add_argument("--most-rows", type=int, default=scale.ROWS[-1].rows, metavar="N", help="of the series")
    parser.add_argument("--no-install", action="store_true", help="take no contender that is not installed yet")
    parser.add_argument("--again", action="store_true", help="measure also what has a record")
    return parser


def _usual(name: str, given: argparse.Namespace) -> bool:
    """Whether a run without --only has this part."""
    if name in LONG:
        return bool(given.all)
    return name != engines.NAME or not given.quick


def _own(given: argparse.Namespace, wanted: tuple[str, ...], before: dict[str, Any], console: Console) -> None:
    """What is measured of priorhood alone."""
    effort = QUICK if given.quick else Effort()
    # A part measured alone must not stand for the whole.
    target = RESULTS / ("only.json" if given.only else "latest.json")
    facts = {"machine": before, "quick": given.quick, "only": given.only, "effort": asdict(effort)}
    found: list[Measurement] = []
    for name in (n for n in PARTS if n in wanted):
        console.print(f"measuring {name} …", style="dim")
        found += PARTS[name](effort)
        _write(target, facts, found, complete=False)
    _write(target, facts, found, complete=True)
    console.print(report.targets(found))
    for m in found:
        if m.note:
            console.print(f"{m.what}: {m.note}", soft_wrap=True, style="dim")
    console.print(f"written to {os.path.relpath(target)}")


def _others(given: argparse.Namespace, wanted: tuple[str, ...], console: Console) -> None:
    """All contenders at one size, in the series, on the grid."""
    seconds = min(given.limit, QUICK_SECONDS) if given.quick else given.limit
    limits = Limits(seconds=seconds, memory_mb=1000 * given.memory)
    names = tuple(given.contender or (SWIFT if given.quick else CONTENDERS))
    install = not (given.no_install or given.quick)
    tasks = scale.base() if "contenders" in wanted else ()
    tasks += scale.series(given.most_rows) if "scale" in wanted else ()
    if tasks:
        target = RESULTS / ("contenders_trial.json" if given.quick else "contenders.json")
        plan = scale.Plan(names, tasks, limits, install=install, again=given.again)
        records = scale.measure(plan, console, target)
        console.print(f"written to {os.path.relpath(target)}")
        if records.found:
            console.print(scale_table.at_size(records, scale.BASE), soft_wrap=True, markup=False)
            for path in publish.beside(records):
                console.print(f"written to {os.path.relpath(path)}")
    if grid.NAME in wanted:
        grid.measure(console, limits, again=given.again)


def _write(target: Path, facts: dict[str, Any], found: list[Measurement], *, complete: bool) -> None:
    told = {**facts, "complete": complete, "measurements": [m.to_dict() for m in found]}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _introduce(console: Console, found: dict[str, Any]) -> None:
    console.print(f"{found['cpu']}, {found['cores']} cores, Python {found['python']}, {found['date']}")
    console.print(
        f"{CHAINS} × {DRAWS} draws (samplers: + {TUNE} to tune). Threads: priorhood and the samplers' chains "
        f"may use all {found['cores']} cores; kernel and lme4 use one; the others' linear algebra is held to one."
    )
    if machine.busy(found) > BUSY:
        console.print(
            f"[yellow]others use {machine.busy(found):.1f} cores of this machine: least values tell more[/yellow]"
        )


if __name__ == "__main__":
    main()
