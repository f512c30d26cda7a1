"""The engines' results as a Markdown table; `--write` puts it into docs/engines.md between its markers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.machine import busy
from bench.readme_table import BUSY, rewritten
from bench.report import number

PAGE = Path(__file__).parents[1] / "docs" / "engines.md"
START, END = "<!-- engines:start -->", "<!-- engines:end -->"
HEADER = (
    "model", "engine", "build and compile: first, again", "sample", "divergences", "least bulk ESS",
    "greatest R-hat", "ESS/s: first fit, sampling alone", "Δ mean / sd",
)  # fmt: skip
LABELS = {"exact": "exact", "nutpie": "NUTS, nutpie", "pymc": "NUTS, PyMC", "numpyro": "NUTS, NumPyro"}
NAMES = {"pymc": "PyMC", "numpyro": "NumPyro", "numba": "Numba", "scipy": "SciPy"}
VERDICTS = {"refused": "not taken", "failed": "not measured"}
NONE = "–"


def results(*, quick: bool = False) -> Path:
    """The file of results; a trial must not stand for the measurement."""
    return Path(__file__).parent / "results" / ("engines_trial.json" if quick else "engines.json")


def markdown(told: dict[str, Any]) -> str:
    """The table, what is missing in it and why, and under which circumstances it was measured."""
    lines = [f"| {' | '.join(HEADER)} |", f"|---|---|{'---:|' * (len(HEADER) - 2)}"]
    lines += [f"| {' | '.join(_cells(run))} |" for run in told["runs"]]
    for status, verdict in VERDICTS.items():
        reasons: dict[str, list[str]] = {}
        for run in told["runs"]:
            if run["status"] == status:
                reasons.setdefault(run["reason"], []).append(f"{run['model']} by {LABELS[run['how']]}")
        lines += [f"\n{verdict.capitalize()}: {', '.join(which)} ({why})." for why, which in reasons.items()]
    return "\n".join([*lines, "", _circumstances(told)])


def _cells(run: dict[str, Any]) -> list[str]:
    if run["status"] != "fitted":
        missing = [VERDICTS[run["status"]], *[NONE] * (len(HEADER) - 3)]
        return [run["model"], LABELS[run["how"]], *missing]
    first, again, sample = (max(run[k], 0.0) for k in ("compile_first", "compile_again", "sample"))
    rates = [number(run["least_ess"] / seconds) for seconds in (first + sample, sample)]
    return [
        run["model"],
        LABELS[run["how"]],
        f"{number(first)} s, {number(again)} s",
        f"{number(sample)} s",
        NONE if run["divergences"] is None else f"{run['divergences']:,}",
        number(run["least_ess"]),
        f"{run['greatest_rhat']:.3f}",
        "; ".join(rates),
        NONE if run["difference"] is None else number(run["difference"]),
    ]


def _circumstances(told: dict[str, Any]) -> str:
    machine = told["machine"]
    versions = {name: version for run in told["runs"] for name, version in run["versions"].items()}
    shown = ", ".join(f"{NAMES.get(name, name)} {version}" for name, version in versions.items())
    load = busy(machine)
    others = f"Other work ran on the machine before ({load:.1f} cores): times are long. " if load > BUSY else ""
    short = ("Trial with few draws. " if told["quick"] else "") + ("" if told["complete"] else "Unfinished run. ")
    return (
        f"{short}{others}{told['rows']:,} simulated sales in {told['places']} ZIP codes; {told['chains']} chains × "
        f"{told['draws']:,} draws, NUTS after {told['tune']:,} steps to adapt; seed {told['seed']}. "
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, {shown}, {machine['date'][:10]}."
    )


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.engines_table", description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the block between the markers")
    parser.add_argument("--page", type=Path, default=PAGE, help="the file to rewrite")
    parser.add_argument("--results", type=Path, default=results(), help="the measured results")
    given = parser.parse_args()
    if not given.results.exists():
        parser.error(f"there is no {given.results}; measure first: python -m bench --only engines")
    table = markdown(json.loads(given.results.read_text(encoding="utf-8")))
    if given.write:
        text = given.page.read_text(encoding="utf-8")
        given.page.write_text(rewritten(text, table, START, END), encoding="utf-8")
    else:
        print(table)


if __name__ == "__main__":
    main()
