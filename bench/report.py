"""Results as tables on the terminal."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.case import Measurement, Result


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def both(values: Sequence[float]) -> str:
    """Least and median: "0.074 / 0.081"."""
    return f"{number(min(values))} / {number(statistics.median(values))}" if values else "–"


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


def contenders(results: list[Result]) -> Table:
    """All contenders beside each other; the ratio is of medians, to priorhood's fit of the same model."""
    yardstick = {r.model: statistics.median(r.total) for r in results if r.contender == "priorhood"}
    table = Table(
        box=box.SIMPLE_HEAD,
        title="contenders: seconds, least / median; the same data, model and priors",
        title_justify="left",
    )
    for name in ("contender", "model", "gives"):
        table.add_column(name)
    for name in ("compile, first", "compile, again", "sample", "total", "÷ priorhood", "process", "min ESS",
                 "ESS/s", "max R-hat", "Δ mean / sd"):  # fmt: skip
        table.add_column(name, justify="right")
    for r in results:
        median = statistics.median(r.total)
        rate = None if r.least_ess is None else r.least_ess / median
        table.add_row(
            r.contender, r.model, r.gives, both(r.cold), both(r.warm), both(r.sample), both(r.total),
            number(median / yardstick[r.model]), both(r.process), number(r.least_ess), number(rate),
            "–" if r.greatest_rhat is None else f"{r.greatest_rhat:.4f}", number(r.difference),
        )  # fmt: skip
    return table
