"""Results as tables on the terminal."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from bench.case import Measurement


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def targets(found: list[Measurement]) -> Table:
    """What was aimed at and what came out."""
    table = Table(box=box.SIMPLE_HEAD, title="priorhood", title_justify="left")
    table.add_column("what", overflow="fold")
    for name in ("least", "median", "most", "n", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("met", no_wrap=True)
    for m in found:
        sign = "≤" if m.at_most else "≥"
        aim = "–" if m.target is None else f"{sign} {number(m.target)}"
        told = [
            number(v) if m.unit else f"{v:,.5g}"
            for v in (min(m.values), statistics.median(m.values), max(m.values))
        ]
        verdict = {None: "–", True: "[green]yes[/green]", False: "[red]NO[/red]"}[m.met]
        table.add_row(m.what, *told, str(len(m.values)), aim, m.unit, verdict)
    return table
