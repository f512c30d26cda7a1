"""Records of contenders in one JSON file: written one by one, so that a run that was broken off goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from bench.contest import Limits, Record, may_go_on, outgrown
from bench.data import Size, dumped

if TYPE_CHECKING:
    from pathlib import Path

# What stopped a contender at a size stops it at a larger one, too; "refused" is said once a model.
STOPPED = ("time", "memory", "failed", "refused")
Key = tuple[str, str, int, int]


def key(record: Record) -> Key:
    """What a record is of."""
    return record.contender, record.model, record.rows, record.groups


class Records:
    """The records of a file, by contender, model and size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[Key, Record] = {}
        if path.exists():
            told = json.loads(path.read_text(encoding="utf-8"))
            self.found = {key(one): one for one in map(read, told["records"])}

    def keep(self, record: Record) -> None:
        """Add it, in place of an older one, and write the file."""
        self.found[key(record)] = record
        dumped({"records": [asdict(one) for one in self.found.values()]}, self.path)

    def settled(self, wanted: Key, limits: Limits) -> bool:
        """Whether there is a record that need not be measured again under these limits."""
        record = self.found.get(wanted)
        return record is not None and not _outgrown(record, limits)

    def short(self, wanted: Key, limits: Limits) -> Record | None:
        """A record with draws short of the quality, which these limits leave room to go on from."""
        record = self.found.get(wanted)
        return record if record is not None and may_go_on(record, limits) else None

    def obstacle(self, wanted: Key, limits: Limits) -> Record | None:
        """A record of a size that is in no way larger, which says that this one is not worth trying."""
        contender, model, rows, groups = wanted
        smaller = (
            one
            for one in self.found.values()
            if (one.contender, one.model) == (contender, model)
            and one.rows <= rows
            and one.groups <= groups
            and (one.rows, one.groups) != (rows, groups)
        )
        return next((one for one in smaller if one.status in STOPPED and not _outgrown(one, limits)), None)


def _outgrown(record: Record, limits: Limits) -> bool:
    """Whether it was stopped by a limit below that of now, which has room for more."""
    return may_go_on(record, limits) or outgrown(record.status, record.limits, limits)


def read(told: dict[str, Any]) -> Record:
    """A record as the file has it.

    Raises
    ------
    ValueError : a field is not one of a record's
    """
    known = {field.name for field in fields(Record)}
    if stray := sorted(set(told) - known):
        raise ValueError(f"a record has no field {stray[0]!r}; it has {', '.join(sorted(known))}")
    return Record(**{**told, "fits": tuple(told["fits"]), "tries": tuple(told["tries"])})


def size_of(record: Record) -> Size:
    """The size that a record is of."""
    return Size(record.rows, record.groups)
