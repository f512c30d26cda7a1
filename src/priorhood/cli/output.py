"""What a person sees in the terminal: progress, warnings, tables; and JSON for machines."""

from __future__ import annotations

import json
import math
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from priorhood._text import escape_control, plural, row_count
from priorhood.errors import PriorhoodWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from priorhood.evaluation.sbc import Calibration
    from priorhood.posterior.posterior import Posterior

MAX_LINES = 2_000  # of a table on the screen

_FACTS = (
    "engine", "engine_reason", "seed", "rows_read", "rows_used", "acceptance", "pareto_k", "keep_every",
    "log_evidence", "log_evidence_error", "sampler", "parameterization", "tune", "target_accept", "divergences",
    "sampling_time", "store", "store_reason",
)  # fmt: skip


class Visible:
    """A stream of text that shows control characters, as a file's labels may have, instead of sending them."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write the visible form of a text."""
        self.stream.write(escape_control(text))
        return len(text)


@contextmanager
def shown() -> Iterator[None]:
    """Keep printed text from steering the terminal, and from failing for a character that it does not have."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(Visible, before)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _bare(stream: Any) -> Any:
    """The stream itself, for rich, whose own colours are to arrive."""
    return stream.stream if isinstance(stream, Visible) else stream


def say(message: str) -> None:
    """Print a sentence on standard error, apart from the command's result."""
    print(message, file=sys.stderr)


@contextmanager
def printed_warnings(*, quiet: bool) -> Iterator[None]:
    """Print priorhood's warnings as sentences, also where an error follows."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PriorhoodWarning)
            yield
    finally:
        for warning in caught:
            if issubclass(warning.category, PriorhoodWarning) and not quiet:
                say(f"warning: {warning.message}")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on standard error for what takes longer than a second; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
        console=Console(file=_bare(sys.stderr)), transient=True,
    )  # fmt: skip
    tasks: dict[str, Any] = {}
    # By the clock, not by a report: the reading of a large table reports only its end.
    clock = threading.Timer(1.0, bar.start)
    clock.daemon = True
    clock.start()

    def report(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
        bar.update(tasks[stage], completed=done, total=total)

    try:
        yield report
    finally:
        clock.cancel()
        if bar.live.is_started:
            bar.stop()


def announce_compile(*, quiet: bool, by_group: bool = False) -> None:
    """Say that the first fit on a machine takes longer."""
    from priorhood.engines.exact import compiled

    if not quiet and not compiled(by_group=by_group):
        say("compiling the engine, once on this machine (about 15 seconds) …")


# -- JSON --------------------------------------------------------------------------------------------------


def print_json(**document: Any) -> None:
    """Print one JSON document on one line; an `out` of None, where no file was written, is left out."""
    print(
        json.dumps(
            {name: str(v) if name == "out" else v for name, v in document.items() if (name, v) != ("out", None)}
        )
    )


def records(frame: pd.DataFrame, digits: int = 10) -> list[dict[str, Any]]:
    """Return rows as JSON can hold them: no NaN, no infinities."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=digits))
    return rows


def finite(value: Any) -> Any:
    """Return the value, or None for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- tables ------------------------------------------------------------------------------------------------


def console() -> Console:
    """Return a console on standard output; a pipe has no width, so tables get room there."""
    from rich.console import Console

    class Screen(Console):
        """A console that shows control characters in what it is given."""

        def render_str(self, text: str, **options: Any) -> Any:
            """Render the visible form of a text."""
            return super().render_str(escape_control(text), **options)

    width = None if sys.stdout.isatty() else 150
    # Names may contain [b] or :house:, which are printed as they are.
    return Screen(file=_bare(sys.stdout), width=width, highlight=False, markup=False, emoji=False)


def new_table(title: str, first: str = "", numbers: Sequence[str] = (), **options: Any) -> Table:
    """Return a table with a title, its first column, which folds, and columns of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    if first:
        table.add_column(first, overflow="fold", **options)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def print_summary(
    post: Posterior, *, as_json: bool, everything: bool = False, standardized: bool = False, out: object = None
) -> None:
    """Print equations, table and account; or one JSON document with every parameter."""
    if as_json:
        frame = post.summary(standardized=standardized).reset_index()
        # Pareto k is −∞ where all weights are alike.
        print_json(
            out=out, **{k: finite(post.attrs[k]) for k in _FACTS if k in post.attrs}, notes=list(post.notes),
            references=post.design.references, summary=records(frame),
        )  # fmt: skip
        return
    places = set(post.model.formula.places)
    drawn = [name for name in post.parameters if not places & set(post._stored.variables[name][0])]
    labels, columns = post._summary_columns(None if everything else drawn, standardized=standardized)
    screen = console()
    screen.print(post.equations(), soft_wrap=True)
    screen.print()
    screen.print(_summary_table(labels[:MAX_LINES], columns, screen.width, standardized=standardized))
    if len(labels) > MAX_LINES:
        screen.print(f"… and {len(labels) - MAX_LINES:,} more parameters: all of them with --json", soft_wrap=True)
    for line in _account(post):
        screen.print(line, soft_wrap=True)


def _summary_table(labels: list[str], columns: dict[str, Any], width: int, *, standardized: bool) -> Table:
    interval = next(c for c in columns if c.endswith("_lb")).removesuffix("_lb").removeprefix("eti")
    scale = "standardized" if standardized else "in the data's units"
    # The longest name is shown whole where there is room; units give way first, then names fold.
    longest = max(map(len, labels))
    units = not standardized and width >= longest + 75
    table = new_table(
        f"posterior, {scale}; {interval} % equal-tailed intervals", "parameter",
        ("mean", "sd", f"{interval} % from", "to"), min_width=min(longest, max(width - 62, 18)),
    )  # fmt: skip
    if units:
        table.add_column("unit", overflow="fold")
    for name in ("ESS bulk", "R-hat"):
        table.add_column(name, justify="right", no_wrap=True)
    for at, label in enumerate(labels):
        row = {name: values[at] for name, values in columns.items()}
        sd, numbers, judged = row["sd"], [f"{row['mean']:,.6g}", "fixed", "", ""], ["", ""]
        if sd != 0:
            digits = max(0, 1 - math.floor(math.log10(sd)))  # two to three digits of the sd
            bounds = (row[f"eti{interval}_lb"], row[f"eti{interval}_ub"])
            numbers = [f"{value:,.{digits}f}" for value in (row["mean"], sd, *bounds)]
        if sd > 0 and row["ess_bulk"] == row["ess_bulk"]:  # places without draws have none
            judged = [f"{row['ess_bulk']:,.0f}", f"{row['r_hat']:.3f}"]
        table.add_row(label, *numbers, *([row["unit"]] if units else []), *judged)
    return table


def _account(post: Posterior) -> list[str]:
    """Rows, places, engine and notes, a line each."""
    a, size = post.attrs, post._sizes
    groups = ", ".join(f"{one.size:,} {plural(one.title)}" for one in post.hierarchy.groupings)
    stand = f", standing for {a['rows_used']:,}" if post.model.frequency_weights else ""
    lines = [
        f"{post.moments.listed:,} of {a['rows_read']:,} rows used{stand}{' in ' if groups else ''}{groups}",
        *(f"  dropped {d}" for d in post.moments.dropped),
    ]
    if a["engine"] == "exact":
        quality = (
            f"acceptance {a['acceptance']:.0%}, Pareto k {a['pareto_k']:.2f}, "
            f"log evidence {a['log_evidence']:,.2f} ± {a['log_evidence_error']:.2g}"
        )
    else:
        quality = f"{a['parameterization']}, {a['sampler']}, tune {a['tune']:,}, {a['divergences']:,} divergences"
    chains = f"{size['chain']} chains × {size['draw']:,} draws"
    lines.append(f"engine {a['engine']}: {chains}, {quality}, seed {a['seed']}")
    if a["engine"] != "exact":
        lines += [f"  {verdict}" for verdict in post.check()]
    if post.summed:
        lines.append(
            f"of every {post.model.formula.group} mean, sd and quantiles are kept, not draws ({a['store_reason']})"
        )
    return lines + [f"note: {note}" for note in post.notes]


def print_calibration(found: Calibration, *, as_json: bool, out: object) -> None:
    """Print table and verdicts; or one JSON document with every rank."""
    from priorhood.diagnostics.uniformity import p_text

    frame = found.summary()
    if as_json:
        print_json(
            out=out, passed=found.passed, refits=found.refits, draws=found.draws, seed=found.seed,
            refused=dict(found.refused), places=found.places, seconds=found.seconds,
            verdicts=[v.to_dict() for v in found.verdicts], summary=records(frame.reset_index()),
            ranks={name: found.ranks[:, at].tolist() for at, name in enumerate(found.quantities)},
        )  # fmt: skip
        return
    table = new_table(
        f"{len(found.ranks):,} refits, truths among {found.draws} draws each, seed {found.seed}",
        "share of the truths", ("in 50 %", "in 90 %", "below median", "p"),
    )  # fmt: skip
    table.add_column("", no_wrap=True)
    for label, row in frame.iterrows():
        shares = [f"{row[name]:.1%}" for name in ("in50", "in90", "below")]
        table.add_row(str(label), *shares, p_text(row["p_value"]), "✓" if row["good"] else "✗")
    screen = console()
    screen.print(table)
    if found.places:
        sizes = ", ".join(f"{label} ({row_count(rows)})" for label, rows in found.places.items())
        screen.print(f"places with the most, the median and the fewest rows: {sizes}", soft_wrap=True)
    for verdict in found.verdicts:
        screen.print(str(verdict), soft_wrap=True)
