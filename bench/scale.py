"""All contenders, from the size of the demo up: ever more rows in 219 groups, and ever more groups.

Every contender climbs until it fails or passes a limit; what stopped it is kept with the rest, and it is not asked
for larger sizes. Records are written one by one: the same command goes on where an earlier run was broken off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import contest, data, environments, machine, scale_table
from bench.contenders import CONTENDERS, MODELS, Contender
from bench.data import Size
from bench.records import Key, Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

RESULTS = Path(__file__).with_name("results") / "contenders.json"
FILES = Path(__file__).parents[1] / ".bench" / "data"
BASE = Size(7_500, 219)
ROWS = tuple(Size(rows, 219) for rows in (7_500, 75_000, 750_000, 7_500_000, 100_000_000))
GROUPS = (
    BASE, Size(100_000, 2_000), Size(1_000_000, 20_000), Size(4_000_000, 200_000), Size(20_000_000, 1_000_000)
)  # fmt: skip
# The series have the model that all contenders can express.
SERIES_MODEL = MODELS[0]
FACTS = ("cpu", "cores", "memory_gb", "system", "date", "others")


@dataclass(frozen=True)
class Plan:
    """What is asked of whom: names of contenders, (model, size) in order, limits."""

    contenders: tuple[str, ...]
    tasks: tuple[tuple[str, Size], ...]
    limits: contest.Limits
    install: bool = True
    again: bool = False


def base() -> tuple[tuple[str, Size], ...]:
    """Both models at the size of the demo."""
    return tuple((model, BASE) for model in MODELS)


def series(most_rows: int) -> tuple[tuple[str, Size], ...]:
    """Both series, small sizes first, up to so many rows."""
    sizes = sorted({size for size in (*ROWS, *GROUPS) if size.rows <= most_rows})
    return tuple((SERIES_MODEL, size) for size in sizes)


def measure(plan: Plan, console: Console, target: Path = RESULTS) -> Records:
    """Ask every contender for every size that is not settled; print what is known in the end."""
    records = Records(target)
    commands = {}
    for name in plan.contenders:
        console.print(f"looking for {CONTENDERS[name].label} …", style="dim")
        commands[name], reason = environments.command_of(CONTENDERS[name], install=plan.install)
        if reason:
            console.print(f"[yellow]skipped: {name}: {reason}[/yellow]", soft_wrap=True)
    # A record made in this run is not made twice, whatever `again` says.
    fresh: set[Key] = set()
    for model, size in plan.tasks:
        for name in (n for n in plan.contenders if commands[n]):
            wanted = (name, model, size.rows, size.groups)
            if wanted in fresh or (records.settled(wanted, plan.limits) and not plan.again):
                continue
            if records.obstacle(wanted, plan.limits):
                continue
            console.print(f"measuring {name}, {model}, {size} …", style="dim")
            earlier = None if plan.again else records.short(wanted, plan.limits)
            for record in _found(CONTENDERS[name], model, size, plan.limits, commands[name], earlier):
                records.keep(record)
            fresh.add(wanted)
            console.print(scale_table.line(records.found[wanted]), soft_wrap=True, markup=False)
    return records


def _found(
    contender: Contender,
    model: str,
    size: Size,
    limits: contest.Limits,
    command: list[str],
    earlier: contest.Record | None,
) -> Iterator[contest.Record]:
    """Its record, ever better."""
    path = data.made(size, FILES, csv=contender.script.endswith(".R"))
    before = machine.describe()
    about: dict[str, Any] = {name: before[name] for name in FACTS}
    for found in contest.contest(contender, model, path, size, limits, command, earlier):
        # What an earlier run finished keeps the machine that it ran on.
        yield found if found.machine else replace(found, machine=about, data=data.facts(path))
