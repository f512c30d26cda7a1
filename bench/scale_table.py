"""Records of contenders as tables: what the README and docs/bench.md show, from the file and nothing else."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench.contenders import CONTENDERS, MODELS, YARDSTICK
from bench.machine import busy
from bench.readme_table import BUSY
from bench.report import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.contest import Record
    from bench.data import Size
    from bench.records import Records

NONE = "–"
SHORT = {"time": "> {seconds:,.0f} s", "memory": "> {memory:,.0f} GB", "failed": "failed", "refused": "not taken"}


def fit_seconds(record: Record) -> float | None:
    """Seconds of a further fit: the median; of one that was too slow to fit again, its first result's."""
    return statistics.median(record.fits) if record.fits else record.first


def rate(record: Record) -> float | None:
    """Least bulk ESS per second of a further fit."""
    seconds = fit_seconds(record)
    return None if record.least_ess is None or not seconds else record.least_ess / seconds


def distance(record: Record, yardstick: Record | None) -> float | None:
    """Largest |mean − priorhood's mean| / priorhood's posterior sd, over mu, tau, omega and sigma."""
    if yardstick is None or record is yardstick or not (record.mean and yardstick.sd):
        return None
    return max(abs(record.mean[name] - yardstick.mean[name]) / sd for name, sd in yardstick.sd.items())


def verdict(record: Record) -> str:
    """Why there is no time, in a word."""
    limits = record.limits
    return SHORT[record.status].format(seconds=limits.get("seconds", 0), memory=limits.get("memory_mb", 0) / 1000)


def gives(record: Record) -> str:
    """Draws, and how many were needed; or a point estimate."""
    if record.least_ess is None:
        return "point estimate"
    told = f"4 × {record.draws:,} draws"
    return told if record.reached else f"{told}, R-hat {record.greatest_rhat:.4f}, quality not reached"


def line(record: Record) -> str:
    """What came out, in a line for the terminal."""
    if record.status != "fitted":
        return f"  {record.contender}: {verdict(record)}: {record.reason}"
    ess = "" if record.least_ess is None else f", least ESS {number(record.least_ess)}"
    return (
        f"  {record.contender}: first result {number(record.first)} s, further fit "
        f"{number(fit_seconds(record))} s, {number(record.peak_mb)} MB, {gives(record)}{ess}"
    )


def at_size(records: Records, size: Size, models: Iterable[str] = MODELS, *, short: bool = False) -> str:
    """All contenders at one size, as Markdown; short : without what the README need not say."""
    head = (
        "contender", "model", "gives", "first result: nothing compiled", "first result: compiled before",
        "further fit", "÷ priorhood", "least bulk ESS", "ESS/s", "peak memory", "Δ mean / sd",
    )  # fmt: skip
    left_out = ("model", "least bulk ESS", "Δ mean / sd") if short else ()
    columns = [at for at, name in enumerate(head) if name not in left_out]
    aligned = ("---" if at < 3 else "---:" for at in columns)
    lines = [f"| {' | '.join(head[at] for at in columns)} |", f"|{'|'.join(aligned)}|"]
    for model in models:
        found = [records.found.get((name, model, size.rows, size.groups)) for name in CONTENDERS]
        here = [one for one in found if one is not None]
        yardstick = next((one for one in here if one.contender == YARDSTICK and one.status == "fitted"), None)
        rows = (_cells(one, yardstick) for one in here)
        lines += [f"| {' | '.join(row[at] for at in columns)} |" for row in rows]
    return "\n".join(lines)


def ratios(records: Records, size: Size, model: str) -> str:
    """How many times priorhood's seconds the others take, in a sentence; none where the machine was not free."""
    found = {
        name: records.found[key]
        for name in CONTENDERS
        if (key := (name, model, size.rows, size.groups)) in records.found and records.found[key].status == "fitted"
    }
    if YARDSTICK not in found:
        return ""
    here = list(found.values())
    own = fit_seconds(found.pop(YARDSTICK)) or 1.0
    samplers = sorted((fit_seconds(one) or 0.0) / own for one in found.values() if one.least_ess is not None)
    if any(busy(one.machine) > BUSY for one in here):
        return "No ratios: other work ran on the machine, more beside some contenders than beside others."
    told = [f"{CONTENDERS[name].label} {number((fit_seconds(one) or 0.0) / own)}" for name, one in found.items()]
    span = f" The samplers take {number(samplers[0])} to {number(samplers[-1])} times as long." if samplers else ""
    return f"A further fit, in multiples of priorhood's: {', '.join(told)}.{span}"


def _cells(record: Record, yardstick: Record | None) -> list[str]:
    versions = [f"{name} {version}" for name, version in record.versions.items() if name not in ("Python", "R")]
    named = ", ".join(versions) or CONTENDERS[record.contender].label
    if record.status != "fitted":
        return [named, record.model, verdict(record), *[NONE] * 8]
    seconds = fit_seconds(record)
    base = None if yardstick is None else fit_seconds(yardstick)
    ratio = None if not (seconds and base) else seconds / base
    return [
        named, record.model, gives(record), _with(record.first, "s"), _with(record.ready, "s"),
        _with(seconds, "s"), number(ratio), number(record.least_ess), number(rate(record)),
        _with(record.peak_mb, "MB"), number(distance(record, yardstick)),
    ]  # fmt: skip


def _with(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{number(value)} {unit}"


def along(records: Records, sizes: tuple[Size, ...], model: str, *, by: str) -> str:
    """Seconds of a further fit at every size of a series, as Markdown; by : "rows" or "groups"."""
    sizes = tuple(
        size for size in sizes if any((n, model, size.rows, size.groups) in records.found for n in CONTENDERS)
    )
    heads = [f"{getattr(size, by):,}" + ("" if by == "rows" else f" ({size.rows:,} rows)") for size in sizes]
    lines = [f"| seconds of a further fit, {by}: | {' | '.join(heads)} |", f"|---|{'---:|' * len(sizes)}"]
    for name, contender in CONTENDERS.items():
        found = [records.found.get((name, model, size.rows, size.groups)) for size in sizes]
        if any(found):
            lines.append(f"| {contender.label} | {' | '.join(map(_cell, found))} |")
    return "\n".join(lines)


def _cell(record: Record | None) -> str:
    if record is None:
        return NONE
    if record.status != "fitted":
        return verdict(record)
    return number(fit_seconds(record)) + ("" if record.reached else " (quality not reached)")


def reasons(records: Records) -> str:
    """What stopped whom, in the words of the record."""
    stopped = [one for one in records.found.values() if one.status in ("failed", "refused")]
    return "\n".join(
        f"- {CONTENDERS[one.contender].label}, {one.model}, {one.rows:,} rows, {one.groups:,} groups: {one.reason}"
        for one in stopped
    )


def circumstances(records: Records) -> str:
    """The machine, the days, and whether others were at work."""
    every = list(records.found.values())
    machines = _different(f"{one.machine['cpu']}, {one.machine['cores']} cores" for one in every)
    days = sorted({one.machine["date"][:10] for one in every})
    loads = [busy(one.machine) for one in every]
    found = sum(load > BUSY for load in loads)
    told = f"{'; '.join(machines)}. {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") + "."
    if found:
        told += (
            f" Before {found} of {len(every)} measurements other work ran on the machine (up to "
            f"{max(loads):.1f} cores): their times are long, and ratios mean little."
        )
    return told


def _different(texts: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(texts))
