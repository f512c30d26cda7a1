"""Write what the pages show: the engine's constants, the table of costs, the picture, the outputs of all examples.

tests/docs/test_docs.py runs the examples, and compares outputs and numbers. The reference is built by Sphinx:
`make docs`.

In README.md, guide.md and pymc.md a block says by its first line what it is:

    python         run, all of a page in one namespace; a text block right after it is what it prints
    python unrun   compiled, not run: for what takes a minute
    console        every `$ priorhood …` line is run; the lines after it are what it prints
    console quiet  the same, and what it prints is not shown
    csv NAME       written to the file NAME
    sh             not run
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "guide.md", HERE / "pymc.md")
MATHEMATICS = HERE / "mathematics.md"
CLUSTER = HERE / "cluster.md"
SCREEN = HERE / "images" / "summary.svg"
SEED = "2412"


# -- the screen -----------------------------------------------------------------------------------------


def screen() -> str:
    """What `priorhood summary` prints after the demo's fit, as SVG."""
    from rich.console import Console
    from rich.text import Text

    command = ["summary", "demo/posterior.nc"]
    with tempfile.TemporaryDirectory() as folder:
        _priorhood(folder, "demo", "--out", "demo", "--seed", SEED)
        printed = _priorhood(folder, *command)
    shown = Text.from_ansi("\n".join([f"$ priorhood {' '.join(command)}", "", printed.rstrip()]))
    lines = shown.split("\n")
    for line in lines:
        line.rstrip()
    wide = max(line.cell_len for line in lines) + 2
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=wide, file=nowhere, force_terminal=True, highlight=False)
        for line in lines:
            console.print(line, no_wrap=True, overflow="ignore", crop=False)
        svg = console.export_svg(title="priorhood", unique_id="screen", code_format=_format_without_downloads())
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _format_without_downloads() -> str:
    """Rich's SVG form, with fonts that a reader has rather than fonts fetched from elsewhere."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    local = re.sub(r"@font-face \{\{.*?\n    \}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return local.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")


def _priorhood(folder: str, *arguments: str) -> str:
    environment = {**os.environ, "FORCE_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(  # noqa: S603  # our own command line
        [sys.executable, "-c", "from priorhood.cli import main; main()", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"priorhood {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


# -- the examples -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its first line's words, its lines, and the number of the first of them."""

    info: str
    lines: list[str]
    at: int


@dataclass(frozen=True)
class Shown:
    """An example that was run: the page's lines start … stop show what it printed; None: nothing is shown."""

    what: str
    start: int
    stop: int
    printed: list[str] | None


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    found: list[Block] = []
    lines = text.splitlines()
    opened: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if opened is None:
            opened = number
        else:
            found.append(Block(lines[opened][3:].strip(), lines[opened + 1 : number], opened + 1))
            opened = None
    return found


def run(page: Path, folder: Path) -> Iterator[Shown]:
    """Run a page's examples in order in a folder; yield what each printed, and where the page shows it."""
    space: dict[str, Any] = {"__name__": "__main__"}
    listed = blocks(page.read_text(encoding="utf-8"))
    with contextlib.chdir(folder):
        for here, after in zip(listed, [*listed[1:], None], strict=True):
            kind, _, rest = here.info.partition(" ")
            where = f"{page.name}:{here.at + 1}"
            if kind == "csv" and rest:
                Path(rest).write_text("\n".join(here.lines) + "\n", encoding="utf-8")
            elif kind == "python" and rest == "unrun":
                compile("\n".join(here.lines), where, "exec")
            elif kind == "python":
                printed = _run_python("\n".join(here.lines), where, space)
                # A text block two lines further down, after a blank one, is what it prints.
                follows = after is not None and after.info == "text" and after.at == here.at + len(here.lines) + 3
                if follows and after is not None:
                    yield Shown(where, after.at, after.at + len(after.lines), printed)
            elif kind == "console":
                yield from _run_console(here, page.name, quiet=rest == "quiet")


def _run_python(code: str, where: str, space: dict[str, Any]) -> list[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, where, "exec"), space)  # noqa: S102  # our own pages
    return out.getvalue().splitlines()


def _run_console(block: Block, page: str, *, quiet: bool) -> Iterator[Shown]:
    starts = [i for i, line in enumerate(block.lines) if line.startswith("$ ")]
    for i, stop in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        first, command = i, block.lines[i][2:]
        while command.endswith("\\"):
            first += 1
            command = command[:-1] + block.lines[first].strip()
        if not command.startswith("priorhood "):
            continue
        where = f"{page}:{block.at + i + 1}"
        shown = block.lines[first + 1 : stop]
        wanted = 2 if shown and shown[0].startswith("priorhood: ") else 0
        code, printed = _run_command(shlex.split(command)[1:])
        if code != wanted:
            raise AssertionError(f"{where}: exit code {code}, not {wanted}:\n" + "\n".join(printed))
        yield Shown(where, block.at + first + 1, block.at + stop, None if quiet else printed)


def _run_command(arguments: list[str]) -> tuple[int, list[str]]:
    from priorhood.cli import main as command_line

    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["priorhood", *arguments]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command_line()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    told = [line for line in err.getvalue().splitlines() if not line.startswith("compiling the ")]
    return int(code or 0), [line.rstrip() for line in out.getvalue().splitlines()] + told


# Times differ from run to run; effective sizes and the shape of the weights' tail are noisy numbers.
_NOISY = re.compile(r"(?:fitted|calibrated) in [\d.]+ s|Pareto k -?[\d.]+|[\d,]+ +\d\.\d{3}$")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e-?\d+)?")


def same(shown: list[str], printed: list[str], tolerance: float = 0.1) -> bool:
    """Whether two outputs are alike: words equal, numbers within a tenth.

    Draws of one seed may differ in the last bits between processors, and a few of them by more; the
    tolerance is some standard errors of what 4,000 draws tell.
    """
    left, right = _plain(shown), _plain(printed)
    if [_NUMBER.sub("#", line) for line in left] != [_NUMBER.sub("#", line) for line in right]:
        return False
    numbers = [
        [float(n.replace(",", "")) for line in part for n in _NUMBER.findall(line)] for part in (left, right)
    ]
    return all(math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12) for a, b in zip(*numbers, strict=True))


def _plain(lines: list[str]) -> list[str]:
    tidied = [" ".join(re.sub("─+", "─", _NOISY.sub("~", line)).split()) for line in lines]
    return [line for line in tidied if line]


def rewrite(page: Path) -> None:
    """Run a page's examples and put in what they print where the page shows another word or digit, times aside."""
    lines = page.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        results = list(run(page, Path(folder)))
    for shown in reversed(results):
        if shown.printed is not None and not same(lines[shown.start : shown.stop], shown.printed, 0):
            lines[shown.start : shown.stop] = [line.rstrip() for line in shown.printed]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


# -- the numbers --------------------------------------------------------------------------------------------


def with_numbers(text: str) -> str:
    """Replace the values of the engine's constants in mathematics.md."""

    def row(match: re.Match[str]) -> str:
        value = getattr(importlib.import_module(f"priorhood.engines.exact.{match[1]}"), match[2])
        return f"| `{match[1]}.{match[2]}` | {value:g} |"

    return re.sub(r"^\| `([\w.]+)\.([A-Z_]+)` \| [^|]* \|", row, text, flags=re.MULTILINE)


# Assumptions of the calculation in cluster.md: rows, bytes per row as Parquet, numbers per place, cores, and bytes
# that a core reads per second.
TABLE = {
    "rows": 10_000_000_000,
    "bytes": 19,
    "numbers": 11,
    "cores": 64,
    "read": 100_000_000,
    "partition": 128_000_000,  # as Spark cuts files by default
}


def cost() -> str:
    """Return the table in cluster.md: the cost of summing that many rows."""
    rows, cores = TABLE["rows"], TABLE["cores"]
    size, speed = rows * TABLE["bytes"], cores * TABLE["read"]
    slow, fast = (rows / (cores * rate) / 60 for rate in (100_000, 1_000_000))
    place = TABLE["numbers"] * 8
    parts = -(-size // TABLE["partition"])
    few, many = 20_000, 1_000_000
    lines = [
        f"| number of rows | {rows:,} |",
        f"| size as Parquet, at {TABLE['bytes']} bytes per row (measured below) | "
        f"{rows:,} × {TABLE['bytes']} B = {size / 1e9:,.0f} GB |",
        f"| time to read it at {TABLE['read'] / 1e6:,.0f} MB/s per core, on {cores} cores | {size / 1e9:,.0f} GB / "
        f"{speed / 1e9:.1f} GB/s = {size / speed:.0f} s |",
        f"| time to group it at r rows per second and core | {rows:,} / ({cores} r): "
        f"{slow:.0f} minutes at r = 100,000, {fast:.1f} at 1,000,000 |",
        *(
            f"| size of the sums of {places:,} places | {places:,} × {TABLE['numbers']} × 8 B = "
            f"{places * place / 1e6:,.1f} MB, and the labels |"
            for places in (few, many)
        ),
        *(
            f"| traffic between workers, if each of {parts:,} partitions of {TABLE['partition'] / 1e6:.0f} MB has "
            f"{places:,} places | {parts:,} × {places * place / 1e6:,.1f} MB = "
            f"{parts * places * place / 1e9:,.1f} GB |"
            for places in (few, many)
        ),
    ]
    return "\n".join(["| | |", "|---|---|", *lines])


def with_cost(text: str) -> str:
    """Replace the table in cluster.md."""
    return re.sub(r"^\| \| \|\n(?:\|.*\n)+", lambda _: cost() + "\n", text, count=1, flags=re.MULTILINE)


def main() -> None:
    """Write all of it."""
    MATHEMATICS.write_text(with_numbers(MATHEMATICS.read_text(encoding="utf-8")), encoding="utf-8")
    CLUSTER.write_text(with_cost(CLUSTER.read_text(encoding="utf-8")), encoding="utf-8")
    SCREEN.write_text(screen(), encoding="utf-8")
    warnings.simplefilter("ignore", FutureWarning)
    for page in PAGES:
        rewrite(page)


if __name__ == "__main__":
    main()
