"""All contenders, from the size of the demo up: ever more rows in 219 groups, and ever more groups.

Every contender climbs until it fails or reaches a limit; what stopped it is recorded, and it is not asked for
larger sizes. Records are written one by one: the same command goes on where an earlier run was broken off.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

from bench import contest, data, environments, machine, tables
from bench.contenders import CONTENDERS, MODELS
from bench.contest import Limits, Record
from bench.data import FILES, RESULTS, Size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from bench.contenders import Contender

    Key = tuple[str, str, int, int]

BASE = Size(7_500, 219)
ROWS = tuple(Size(rows, 219) for rows in (7_500, 75_000, 750_000, 7_500_000, 100_000_000))
GROUPS = (
    BASE, Size(100_000, 2_000), Size(1_000_000, 20_000), Size(4_000_000, 200_000), Size(20_000_000, 1_000_000)
)  # fmt: skip
# The series have the model that all contenders can express.
SERIES_MODEL = MODELS[0]
FACTS = ("cpu", "cores", "memory_gb", "system", "date", "others")


class Records:
    """The records of a file, by contender, model and size.

    Raises
    ------
    ValueError : a field in the file is not one of a record's
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_key: dict[Key, Record] = {}
        known = {field.name for field in fields(Record)}
        for one in json.loads(path.read_text(encoding="utf-8"))["records"] if path.exists() else ():
            if stray := sorted(set(one) - known):
                raise ValueError(f"a record has no field {stray[0]!r}; it has {', '.join(sorted(known))}")
            record = Record(**{**one, "fits": tuple(one["fits"]), "tries": tuple(one["tries"])})
            self.by_key[record.key] = record

    def keep(self, record: Record) -> None:
        """Add it, in place of an older one, and write the file."""
        self.by_key[record.key] = record
        data.dumped({"records": [asdict(one) for one in self.by_key.values()]}, self.path)

    def at(self, size: Size, model: str) -> dict[str, Record]:
        """Records of one size and model by contender, in the order of the contenders."""
        keys = {name: (name, model, size.rows, size.groups) for name in CONTENDERS}
        return {name: self.by_key[key] for name, key in keys.items() if key in self.by_key}

    def settled(self, wanted: Key, limits: Limits) -> bool:
        """Whether there is a record that need not be measured again under these limits."""
        record = self.by_key.get(wanted)
        return record is not None and not (record.may_go_on(limits) or record.outgrown(limits))

    def short(self, wanted: Key, limits: Limits) -> Record | None:
        """A record with draws short of the quality, which these limits leave room to go on from."""
        record = self.by_key.get(wanted)
        return record if record is not None and record.may_go_on(limits) else None

    def obstacle(self, wanted: Key, limits: Limits) -> Record | None:
        """A record of a size that is in no way larger, which says that this one is not worth trying."""
        _, _, rows, groups = wanted
        for one in self.by_key.values():
            smaller = one.rows <= rows and one.groups <= groups and (one.rows, one.groups) != (rows, groups)
            if one.key[:2] == wanted[:2] and smaller and one.status != "fitted" and not one.outgrown(limits):
                return one
        return None


@dataclass(frozen=True)
class Plan:
    """Names of contenders; (model, size) in order; limits."""

    contenders: tuple[str, ...]
    tasks: tuple[tuple[str, Size], ...]
    limits: Limits
    install: bool = True
    again: bool = False


def base() -> tuple[tuple[str, Size], ...]:
    """Both models at the size of the demo."""
    return tuple((model, BASE) for model in MODELS)


def series(most_rows: int) -> tuple[tuple[str, Size], ...]:
    """Both series, small sizes first, up to so many rows."""
    sizes = sorted({size for size in (*ROWS, *GROUPS) if size.rows <= most_rows})
    return tuple((SERIES_MODEL, size) for size in sizes)


def measure(plan: Plan, console: Console, target: Path = RESULTS / "contenders.json") -> Records:
    """Ask every contender for every size that is not settled."""
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
            for record in _measured(CONTENDERS[name], model, size, plan.limits, commands[name], earlier):
                records.keep(record)
            fresh.add(wanted)
            console.print(tables.line(records.by_key[wanted]), soft_wrap=True, markup=False)
    return records


def _measured(
    contender: Contender, model: str, size: Size, limits: Limits, command: list[str], earlier: Record | None
) -> Iterator[Record]:
    """Its record, ever better."""
    path = data.made(size, FILES, csv=contender.script.endswith(".R"))
    about = machine.describe()
    for record in contest.contest(contender, model, path, size, limits, command, earlier):
        # Draws of an earlier run keep the machine that they ran on.
        facts = {name: about[name] for name in FACTS}
        yield record if record.machine else replace(record, machine=facts, data=data.facts(path))
