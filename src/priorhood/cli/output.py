"""What a person sees in the terminal: progress, the summary's table, the account of rows."""

from __future__ import annotations

import json
import math
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from priorhood._text import plural, rows_of, visible
from priorhood.errors import PriorhoodWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from priorhood.evaluation.sbc import Calibration
    from priorhood.posterior.posterior import Posterior


class Visible:
    """A stream of text that shows control characters, as a file's labels may have, instead of sending them."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write what can be shown of a text."""
        self.stream.write(visible(text))
        return len(text)


@contextmanager
def shown() -> Iterator[None]:
    """Let nothing that is printed inside steer the terminal, nor fail for a character that it does not have."""
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
    """A sentence on standard error, beside what is asked for."""
    print(message, file=sys.stderr)


@contextmanager
def heard(*, quiet: bool) -> Iterator[None]:
    """Print our warnings as sentences, also where an error follows."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PriorhoodWarning)
            yield
    finally:
        for warning in caught:
            if issubclass(warning.category, PriorhoodWarning) and not quiet:
                say(f"warning: {warning.message}")


def console() -> Console:
    """Standard output; a pipe has no width, so tables get room there."""
    from rich.console import Console

    class Screen(Console):
        """A console that shows control characters in what it is given."""

        def render_str(self, text: str, **options: Any) -> Any:
            """As rich does, of what can be shown."""
            return super().render_str(visible(text), **options)

    width = None if sys.stdout.isatty() else 150
    # What is printed has names in it, of which [b] and :house: are to be themselves.
    return Screen(file=_bare(sys.stdout), width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for what takes longer than a second; nothing in a pipe."""
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

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
        bar.update(tasks[stage], completed=done, total=total)

    try:
        yield tell
    finally:
        clock.cancel()
        if bar.live.is_started:
            bar.stop()


def announce_compile(*, quiet: bool, by_group: bool = False) -> None:
    """Say that the first fit on a machine takes longer."""
    from priorhood.engines.exact import compiled

    if not quiet and not compiled(by_group=by_group):
        print("compiling the engine, once on this machine (about 15 seconds) …", file=sys.stderr)


def print_summary(
    post: Posterior, *, as_json: bool, everything: bool, standardized: bool, facts: dict[str, Any]
) -> None:
    """Equations, table and account; or one JSON document with every parameter."""
    if as_json:
        frame = post.summary(standardized=standardized)
        # JSON has no infinities: Pareto k is −∞ where all weights are alike.
        known = {k: post.attrs[k] for k in _FACTS if k in post.attrs}
        account = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in known.items()}
        rows = json.loads(frame.reset_index().to_json(orient="records"))
        print(
            json.dumps(
                {
                    **facts,
                    **account,
                    "notes": list(post.notes),
                    "references": post.design.references,
                    "summary": rows,
                }
            )
        )
        return
    places = set(post.model.formula.places)
    drawn = [name for name in post.parameters if not places & set(post._dims(name))]
    labels, columns = post._summary_columns(None if everything else drawn, standardized=standardized)
    screen = console()
    screen.print(post.equations(), soft_wrap=True)
    screen.print()
    screen.print(_table_of(labels[:MOST_LINES], columns, screen.width, standardized=standardized))
    if len(labels) > MOST_LINES:
        screen.print(f"… and {len(labels) - MOST_LINES:,} more parameters: all of them with --json", soft_wrap=True)
    for line in _account(post):
        screen.print(line, soft_wrap=True)


MOST_LINES = 2_000  # of a table on the screen

_FACTS = (
    "engine", "engine_reason", "seed", "rows_read", "rows_used", "acceptance", "pareto_k", "keep_every",
    "log_evidence", "log_evidence_error", "sampler", "parameterization", "tune", "target_accept", "divergences",
    "sampling_time", "store", "store_reason",
)  # fmt: skip


def _table_of(labels: list[str], columns: dict[str, Any], width: int, *, standardized: bool) -> Any:
    from rich import box
    from rich.table import Table

    interval = next(c for c in columns if c.endswith("_lb")).removesuffix("_lb").removeprefix("eti")
    scale = "standardized" if standardized else "in the data's units"
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"posterior, {scale}; {interval} % equal-tailed intervals",
        title_justify="left",
    )
    # The longest name is shown whole where there is room; units give way first, then names fold.
    longest = max(map(len, labels))
    units = not standardized and width >= longest + 75
    table.add_column("parameter", overflow="fold", min_width=min(longest, max(width - 62, 18)))
    for name in ("mean", "sd", f"{interval} % from", "to"):
        table.add_column(name, justify="right", no_wrap=True)
    if units:
        table.add_column("unit", overflow="fold")
    for name in ("ESS bulk", "R-hat"):
        table.add_column(name, justify="right", no_wrap=True)
    for at, label in enumerate(labels):
        row = {name: values[at] for name, values in columns.items()}
        bounds = [row[f"eti{interval}_lb"], row[f"eti{interval}_ub"]]
        numbers, judged = _numbers(row["mean"], row["sd"], bounds), ["", ""]
        if row["sd"] > 0 and row["ess_bulk"] == row["ess_bulk"]:  # places without draws have none
            judged = [f"{row['ess_bulk']:,.0f}", f"{row['r_hat']:.3f}"]
        unit = [row["unit"]] if units else []
        table.add_row(label, *numbers, *unit, *judged)
    return table


def _numbers(mean: float, sd: float, bounds: list[float]) -> list[str]:
    """Mean, sd and bounds with the decimals that the sd warrants; what is fixed has a value only."""
    if sd == 0:
        return [f"{mean:,.6g}", "fixed", "", ""]
    digits = _digits(sd)
    return [f"{value:,.{digits}f}" for value in (mean, sd, *bounds)]


def _digits(sd: float) -> int:
    """Decimals that show the sd with two to three digits."""
    return max(0, 1 - math.floor(math.log10(sd)))


def _quality(a: dict[str, Any]) -> str:
    """How the draws were made, and how good the engine says they are."""
    if a["engine"] == "exact":
        return (
            f"acceptance {a['acceptance']:.0%}, Pareto k {a['pareto_k']:.2f}, "
            f"log evidence {a['log_evidence']:,.2f} ± {a['log_evidence_error']:.2g}"
        )
    return f"{a['parameterization']}, {a['sampler']}, tune {a['tune']:,}, {a['divergences']:,} divergences"


def _account(post: Posterior) -> list[str]:
    a = post.attrs
    groups = ", ".join(f"{one.size:,} {plural(one.title)}" for one in post.hierarchy.groupings)
    size = post._sizes
    listed = post.moments.listed
    stand = f", standing for {a['rows_used']:,}" if post.model.frequency_weights else ""
    lines = [f"{listed:,} of {a['rows_read']:,} rows used{stand}{' in ' if groups else ''}{groups}"]
    lines += [f"  dropped {d}" for d in post.moments.dropped]
    lines.append(
        f"engine {a['engine']}: {size['chain']} chains × {size['draw']:,} draws, {_quality(a)}, seed {a['seed']}"
    )
    if a["engine"] != "exact":
        lines += [f"  {verdict}" for verdict in post.check()]
    if post.summed:
        lines.append(
            f"of every {post.model.formula.group} mean, sd and quantiles are kept, not draws ({a['store_reason']})"
        )
    lines += [f"note: {note}" for note in post.notes]
    return lines


def print_calibration(found: Calibration, *, as_json: bool, facts: dict[str, Any]) -> None:
    """Table and verdicts; or one JSON document with every rank."""
    frame = found.summary()
    if as_json:
        rows = json.loads(frame.reset_index().to_json(orient="records"))
        told = [v.to_dict() for v in found.verdicts]
        ranks = {name: found.ranks[:, at].tolist() for at, name in enumerate(found.quantities)}
        print(
            json.dumps({
                **facts, "passed": found.passed, "refits": found.refits, "draws": found.draws, "seed": found.seed,
                "refused": dict(found.refused), "places": found.places, "seconds": found.seconds,
                "verdicts": told, "summary": rows, "ranks": ranks,
            })
        )  # fmt: skip
        return
    screen = console()
    screen.print(_calibration_table(frame, found))
    if found.places:
        sizes = ", ".join(f"{label} ({rows_of(rows)})" for label, rows in found.places.items())
        screen.print(f"places with the most, the median and the fewest rows: {sizes}", soft_wrap=True)
    for verdict in found.verdicts:
        screen.print(str(verdict), soft_wrap=True)


def _calibration_table(frame: Any, found: Calibration) -> Any:
    from rich import box
    from rich.table import Table

    from priorhood.diagnostics.uniformity import p_text

    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{len(found.ranks):,} refits, truths among {found.draws} draws each, seed {found.seed}",
        title_justify="left",
    )
    table.add_column("share of the truths", overflow="fold")
    for name in ("in 50 %", "in 90 %", "below median", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for label, row in frame.iterrows():
        shares = [f"{row[name]:.1%}" for name in ("in50", "in90", "below")]
        table.add_row(str(label), *shares, p_text(row["p_value"]), "✓" if row["good"] else "✗")
    return table
