"""`priorhood check`: can the draws be trusted?"""

from __future__ import annotations

from typing import Any

import typer

from priorhood._text import escape_control
from priorhood.cli.options import Json, MayPicture, Saved
from priorhood.cli.output import NEEDS_ATTENTION, console, finite, print_json, say
from priorhood.cli.plot import check_picture, write_picture

# Measure → whether its smallest or its largest value is the worst.
WORST = {"r_hat": "max", "ess_bulk": "min", "ess_tail": "min", "mcse_over_sd": "max"}


def check(file: Saved, out: MayPicture = None, as_json: Json = False) -> None:
    """Check whether the draws can be trusted, one sentence per check. Exit code 1 if one needs attention."""
    from priorhood.posterior.io import load

    if out is not None:
        check_picture(out, file)
    post = load(file)
    verdicts = post.check()
    if out is not None:
        from priorhood.plot import diagnostics

        write_picture(diagnostics(post), out)
    if as_json:
        worst: dict[str, Any] = {}
        for name, side in WORST.items():
            measure = verdicts.measures[name].dropna()
            at = None if measure.empty else int(measure.argmax() if side == "max" else measure.argmin())
            worst[name] = at if at is None else {
                "parameter": str(measure.index[at]), "value": finite(float(measure.iloc[at])),
            }  # fmt: skip
        print_json(
            good=verdicts.good, parameters=len(verdicts.measures), verdicts=[v.to_dict() for v in verdicts],
            worst=worst, out=out,
        )  # fmt: skip
    else:
        from rich.text import Text

        screen = console()
        for verdict in verdicts:
            line = Text("✓ " if verdict.good else "✗ ", style="green" if verdict.good else "bold red")
            line.append(f"{escape_control(verdict.about)}: ", style="bold")
            line.append(escape_control(verdict.text), style="not bold")
            screen.print(line, soft_wrap=True)
        if verdicts.bad:
            needs = "needs" if len(verdicts.bad) == 1 else "need"
            screen.print(f"{len(verdicts.bad)} of {len(verdicts)} checks {needs} attention")
        if out is not None:
            say(f"plot written to {out}")
    if not verdicts.good:
        raise typer.Exit(NEEDS_ATTENTION)
