"""Terminal output: progress, warnings, tables, and JSON for programs."""

from __future__ import annotations

import json
import math
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from priorhood._text import escape_control, plural
from priorhood.errors import PriorhoodWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from priorhood.posterior.posterior import Posterior

NEEDS_ATTENTION = 1  # exit code of a command that worked and found something wrong
MAX_LINES = 2_000  # of a table on the screen

# Decimals above the Monte Carlo error of 0.02 sds.
DECIMALS = {"shift": 2, "place_shift": 2, "sd_ratio": 2, "log_evidence_change": 1, "pareto_k": 2}
FACTS = (
    "engine", "engine_reason", "seed", "rows_read", "rows_used", "acceptance", "pareto_k", "keep_every",
    "log_evidence", "log_evidence_error", "sampler", "parameterization", "tune", "target_accept", "divergences",
    "sampling_time", "store", "store_reason",
)  # fmt: skip


class EscapedStream:
    """A text stream that escapes control characters, which labels in a file may contain."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text with its control characters escaped."""
        self.stream.write(escape_control(text))
        return len(text)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Escape control characters in output, and characters that the terminal cannot encode."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(EscapedStream, before)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _bare(stream: Any) -> Any:
    """Return the underlying stream, so that rich's colour codes are not escaped."""
    return stream.stream if isinstance(stream, EscapedStream) else stream


def say(message: str) -> None:
    """Print a message to standard error, separate from the command's result."""
    print(message, file=sys.stderr)


@contextmanager
def printed_warnings(*, quiet: bool) -> Iterator[list[str]]:
    """Print priorhood's warnings as sentences, even if an error follows; the list then holds them."""
    printed: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PriorhoodWarning)
            yield printed
    finally:
        for warning in caught:
            if issubclass(warning.category, PriorhoodWarning) and not quiet:
                printed.append(str(warning.message))
                say(f"warning: {printed[-1]}")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on standard error for steps that take longer than a second; nothing in a pipe."""
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
    # A timer starts it, not a report, since reading a large table reports only the end.
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


# Stages of a fit that need an explanation when they begin.
COMPILING = {
    "compiling the engine": "compiling the engine, once per installation and kind of model (about 15 seconds) …",
    "compiling the model": "compiling the model for NUTS (10 seconds to a minute), then sampling …",
}


def announce_compile(*, quiet: bool, by_group: bool = False) -> None:
    """Announce that the first fit of a kind of model takes longer."""
    from priorhood.engines.exact import compiled

    if not quiet and not compiled(by_group=by_group):
        say(COMPILING["compiling the engine"])


# -- JSON --------------------------------------------------------------------------------------------------


def print_json(**document: Any) -> None:
    """Print one JSON document on one line, without `out` if no file was written."""
    print(
        json.dumps(
            {name: str(v) if name == "out" else v for name, v in document.items() if (name, v) != ("out", None)}
        )
    )


def records(frame: pd.DataFrame, digits: int = 10) -> list[dict[str, Any]]:
    """Return the rows for JSON, which has no NaN or infinities."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=digits))
    return rows


def finite(value: Any) -> Any:
    """Return the value, or None for a number that JSON cannot represent."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- tables ------------------------------------------------------------------------------------------------


def console() -> Console:
    """Return a console on standard output; a pipe has no width, so tables get a fixed one."""
    from rich.console import Console

    class Screen(Console):
        """A console that escapes control characters."""

        def render_str(self, text: str, **options: Any) -> Any:
            """Render a text with its control characters escaped."""
            return super().render_str(escape_control(text), **options)

    width = None if sys.stdout.isatty() else 150
    # Names may contain [b] or :house:, which are printed as they are.
    return Screen(file=_bare(sys.stdout), width=width, highlight=False, markup=False, emoji=False)


def new_table(title: str, first: str = "", numbers: Sequence[str] = (), **options: Any) -> Table:
    """Return a table with a title, a first column that folds, and columns of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    if first:
        table.add_column(first, overflow="fold", **options)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def print_summary(
    post: Posterior,
    *,
    as_json: bool,
    everything: bool = False,
    standardized: bool = False,
    out: object = None,
    warned: Sequence[str] = (),
) -> None:
    """Print the equations, a table and the facts of a fit; or one JSON document with every parameter.

    warned : notes that have been printed as warnings
    """
    if as_json:
        frame = post.summary(standardized=standardized).reset_index()
        # Pareto k is −∞ if all weights are equal.
        print_json(
            out=out, **{k: finite(post.attrs[k]) for k in FACTS if k in post.attrs}, notes=list(post.notes),
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
        screen.print(f"… and {len(labels) - MAX_LINES:,} more parameters; --json lists all", soft_wrap=True)
    a, size = post.attrs, post._sizes
    groups = ", ".join(f"{group.size:,} {plural(group.title)}" for group in post.hierarchy.groupings)
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
            f"mean, sd and quantiles of every {post.model.formula.group} are kept, not draws ({a['store_reason']})"
        )
    for line in [*lines, *(f"note: {note}" for note in post.notes if note not in warned)]:
        screen.print(line, soft_wrap=True)


def _summary_table(labels: list[str], columns: dict[str, Any], width: int, *, standardized: bool) -> Table:
    """Return the table of parameters for a terminal of the given width."""
    interval = next(c for c in columns if c.endswith("_lb")).removesuffix("_lb").removeprefix("eti")
    scale = "standardized" if standardized else "in the data's units"
    # The longest name is shown in full if there is room; units are dropped first, then names fold.
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


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a frame as a table."""
    table = new_table(title)
    for name in frame.columns:
        justify: Any = "right" if frame[name].dtype.kind == "f" else "left"
        table.add_column(str(name).replace("_", " "), overflow="fold", justify=justify)
    for row in frame.itertuples(index=False):
        cells = []
        for name, value in zip(frame.columns, row, strict=True):
            if isinstance(value, float) and name in DECIMALS and math.isfinite(value):
                cells.append(f"{round(value, DECIMALS[name]) + 0.0:.{DECIMALS[name]}f}")  # no -0.00
            elif isinstance(value, float):
                number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
                cells.append("" if math.isnan(value) else number)
            elif isinstance(value, bool):
                cells.append("yes" if value else "")
            else:
                cells.append(str(value))
        table.add_row(*cells)
    console().print(table)
