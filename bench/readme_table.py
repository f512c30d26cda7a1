"""What was measured of priorhood alone as Markdown; `--write` puts it into the README between its markers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.machine import busy
from bench.report import number

LATEST = Path(__file__).parent / "results" / "latest.json"
README = Path(__file__).parents[1] / "README.md"
# Cores that others keep busy before a measurement, beyond which its times are not those of a free machine.
BUSY = 0.25
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def markdown(found: dict[str, Any]) -> str:
    """The table, with the machine and the date under it."""
    machine = found["machine"]
    lines = ["| what | measured: least, median | target | command |", "|---|---:|---:|---|"]
    lines += [_measured(m) for m in found["measurements"]]
    lines.append("")
    load = busy(machine)
    others = f"Other work ran on the machine ({load:.1f} cores): least times tell more. " if load > BUSY else ""
    quick = ("Quick run. " if found["quick"] else "") + ("" if found["complete"] else "Unfinished run. ")
    lines.append(
        f"{quick}{others}ESS, R-hat: worst of several seeds. {machine['cpu']}, "
        f"{machine['cores']} cores, Python {machine['python']}, {machine['date'][:10]}. `make bench` repeats it."
    )
    return "\n".join(lines)


def _measured(m: dict[str, Any]) -> str:
    sign = "≤" if m["at_most"] else "≥"
    unit = f" {m['unit']}" if m["unit"] else ""
    aim = "" if m["target"] is None else f"{sign} {m['target']:,.5g}{unit}"
    shown = f"{number(m['min'])}, {number(m['median'])}" if m["unit"] else f"worst {m['judged']:,.5g}"
    missed = " (missed)" if m["met"] is False else ""
    return f"| {m['what'].replace('|', chr(92) + '|')} | {shown}{unit}{missed} | {aim} | `{m['command']}` |"


def rewritten(text: str, table: str, start: str = START, end: str = END) -> str:
    """A text with what stands between the markers replaced.

    Raises
    ------
    ValueError : not exactly one pair of markers, in order
    """
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"needed: one line {start} and, after it, one line {end}")
    return f"{text.partition(start)[0]}{start}\n{table}\n{end}{text.partition(end)[2]}"


def main() -> None:
    """Print the table, or write it into the README."""
    parser = argparse.ArgumentParser(prog="python -m bench.readme_table", description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the block between the markers")
    parser.add_argument("--readme", type=Path, default=README, help="the file to rewrite")
    given = parser.parse_args()
    table = markdown(json.loads(LATEST.read_text()))
    if given.write:
        given.readme.write_text(rewritten(given.readme.read_text(), table))
    else:
        print(table)


if __name__ == "__main__":
    main()
