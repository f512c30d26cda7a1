"""The grid's results as a Markdown table."""

from __future__ import annotations

import statistics
from typing import Any

from bench.machine import busy
from bench.readme_table import BUSY
from bench.report import number

HEAD = (
    "n", "J", "contender", "first result: nothing compiled", "5,000 draws, compiled", "÷ priorhood",
    "least bulk ESS", "ESS/s", "means and sds: furthest from priorhood's (limit)",
)  # fmt: skip
LABELS = {"priorhood": "priorhood", "stan": "Stan, the same priors", "rstanarm": "rstanarm, its own"}
NONE = "–"


def markdown(told: dict[str, Any]) -> str:
    """A row for every size and contender."""
    lines = [f"| {' | '.join(HEAD)} |", f"|---:|---:|---|{'---:|' * (len(HEAD) - 3)}"]
    for size in told["sizes"]:
        base = size["fits"]["priorhood"]
        yardstick = _seconds(base) if base["status"] == "fitted" else None
        for name, fit in size["fits"].items():
            cells = [f"{size['rows']:,}", str(size["groups"]), *_cells(name, fit, yardstick, size["agreement"])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(fit: dict[str, Any]) -> float:
    """Of a further fit, the median; of one too slow to fit again, its first."""
    return statistics.median(fit["fits"]) if fit["fits"] else float(fit["first"])


def _cells(name: str, fit: dict[str, Any], yardstick: float | None, agreement: dict[str, Any]) -> list[str]:
    if fit["status"] != "fitted":
        return [LABELS[name], f"{fit['status']}: {fit['reason']}", *[NONE] * 5]
    seconds = _seconds(fit)
    ratio = None if yardstick is None else seconds / yardstick
    held = agreement.get(name)
    apart = NONE if held is None else f"{held['apart']:.1f} ({held['limit']:.1f})"
    wrong = " **differs**" if held and held["apart"] > held["limit"] else ""
    return [
        LABELS[name], f"{number(fit['first'])} s", f"{number(seconds)} s", number(ratio), number(fit["least_ess"]),
        number(fit["least_ess"] / seconds), apart + wrong,
    ]  # fmt: skip


def circumstances(told: dict[str, Any]) -> str:
    """The machine, the days, and whether others were at work."""
    every = [size["machine"] for size in told["sizes"]]
    if not every:
        return "Not measured."
    load = max(map(busy, every))
    others = f" Other work ran on the machine (up to {load:.1f} cores): times are long." if load > BUSY else ""
    named = {f"{name} {v}" for size in told["sizes"] for fit in size["fits"].values()
             for name, v in fit.get("versions", {}).items()}  # fmt: skip
    where = f"{every[0]['cpu']}, {every[0]['cores']} cores, {every[-1]['date'][:10]}"
    return f"{where}. {', '.join(sorted(named))}.{others}"
