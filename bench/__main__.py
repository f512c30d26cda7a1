"""`python -m bench`: measure, print, and write bench/results/latest.json; the engines' table has its own file."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench import (
    calibration,
    engines,
    groupings,
    kernel,
    leaveout,
    machine,
    noise,
    places,
    predictive,
    process,
    report,
    rows,
    weights,
)
from bench.case import CHAINS, DRAWS, MODELS, QUICK, TUNE, Effort, Measurement, Reference, Result, Skipped, sales
from bench.contenders import lme4, nutpie, priorhood, pymc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

RESULTS = Path(__file__).with_name("results")
PARTS = {
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
    "rows": rows.measure,
    "places": places.measure,
}
CONTENDERS: dict[str, Any] = {c.NAME: c for c in (lme4, nutpie, pymc)}
SLOW = (nutpie.NAME, pymc.NAME)
QUICK_LACKS = f"{', '.join(SLOW)} and {engines.NAME}"
NAMES = (priorhood.NAME, *PARTS, *CONTENDERS, engines.NAME)


def main() -> None:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"few repeats, and without {QUICK_LACKS}")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--peers", type=int, metavar="N", help=f"processes of {' and '.join(SLOW)}, minutes each")
    given = parser.parse_args()
    effort = QUICK if given.quick else Effort()
    effort = replace(effort, peers=given.peers or effort.peers)
    wanted = tuple(given.only or NAMES)
    console = Console(width=None if os.isatty(1) else 190, highlight=False)
    before = machine.describe()
    _introduce(console, before)
    # The engines' table stands for itself: it needs no yardstick.
    if set(wanted) != {engines.NAME}:
        _compare(given, wanted, effort, before, console)
    if engines.NAME in wanted and not (given.quick and not given.only):
        engines.measure(before, console, quick=given.quick)


def _compare(
    given: argparse.Namespace, wanted: tuple[str, ...], effort: Effort, before: dict[str, Any], console: Console
) -> None:
    """The yardstick, the parts and the contenders that are wanted."""
    # A part measured alone must not stand for the whole.
    target = RESULTS / ("only.json" if given.only else "latest.json")
    facts = {"machine": before, "quick": given.quick, "only": given.only, "effort": asdict(effort)}

    frame = sales()
    found, results, references = _own(frame, effort, console)
    if priorhood.NAME not in wanted:
        found = []
    for name in (n for n in PARTS if n in wanted):
        console.print(f"measuring {name} …", style="dim")
        found += PARTS[name](effort)
    skipped: list[Skipped] = []
    _write(target, facts, found, results, skipped, complete=False)
    for outcome in _others(wanted, frame, references, effort, console, quick=given.quick and not given.only):
        if isinstance(outcome, Skipped):
            skipped.append(outcome)
        else:
            results.append(outcome)
        # What takes many minutes is kept as soon as it is there.
        _write(target, facts, found, results, skipped, complete=False)
    _print(console, found, results, skipped)
    _write(target, facts, found, results, skipped, complete=True)
    console.print(f"written to {os.path.relpath(target)}")


def _write(
    target: Path,
    facts: dict[str, Any],
    found: list[Measurement],
    results: list[Result],
    skipped: list[Skipped],
    *,
    complete: bool,
) -> None:
    told = {
        **facts,
        "complete": complete,
        "measurements": [m.to_dict() for m in found],
        "contenders": [asdict(r) for r in results],
        "skipped": [asdict(s) for s in skipped],
    }
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _introduce(console: Console, found: dict[str, Any]) -> None:
    console.print(f"{found['cpu']}, {found['cores']} cores, Python {found['python']}, {found['date']}")
    console.print(
        f"{CHAINS} chains × {DRAWS} draws (others: + {TUNE} to tune). Threads: priorhood and the samplers' chains "
        f"may use all {found['cores']} cores; kernel and lme4 use one; the others' linear algebra is held to one."
    )
    if found["load_average"] > 0.5:
        console.print(
            f"[yellow]others are using this machine (load {found['load_average']}): least values tell more[/yellow]"
        )


def _own(
    frame: pd.DataFrame, effort: Effort, console: Console
) -> tuple[list[Measurement], list[Result], dict[str, Reference]]:
    """The yardstick, always measured: it is what the others are compared with."""
    found: list[Measurement] = []
    results: list[Result] = []
    references: dict[str, Reference] = {}
    for model in MODELS:
        console.print(f"measuring {priorhood.NAME}, {model} …", style="dim")
        more, result, references[model] = priorhood.run(model, frame, effort)
        found += more
        results.append(result)
    return found, results, references


def _others(
    wanted: tuple[str, ...],
    frame: pd.DataFrame,
    references: dict[str, Reference],
    effort: Effort,
    console: Console,
    *,
    quick: bool,
) -> Iterator[Result | Skipped]:
    for name in (n for n in CONTENDERS if n in wanted):
        reason = "a quick run leaves it out" if quick and name in SLOW else CONTENDERS[name].unavailable()
        if reason:
            yield Skipped(name, reason)
            continue
        for model in MODELS:
            console.print(f"measuring {name}, {model} …", style="dim")
            yield CONTENDERS[name].run(model, frame, references[model], effort)


def _print(console: Console, found: list[Measurement], results: list[Result], skipped: list[Skipped]) -> None:
    if found:
        console.print(report.targets(found))
        for m in found:
            if m.note:
                console.print(f"{m.what}: {m.note}", soft_wrap=True, style="dim")
    console.print(report.contenders(results))
    for s in skipped:
        console.print(f"[yellow]skipped: {s.contender}: {s.reason}[/yellow]", soft_wrap=True)


if __name__ == "__main__":
    main()
