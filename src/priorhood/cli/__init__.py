"""`priorhood`: parse, call, write. Every command is in the module of its name, with the options of its function."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from priorhood._import_interrupt import INTERRUPTED
from priorhood._text import naming_of
from priorhood.cli.assess import assess
from priorhood.cli.calibrate import calibrate
from priorhood.cli.check import check
from priorhood.cli.compare import compare
from priorhood.cli.demo import demo
from priorhood.cli.fit import fit
from priorhood.cli.influence import influence
from priorhood.cli.merge import merge
from priorhood.cli.moments import moments
from priorhood.cli.options import callback
from priorhood.cli.output import escaped_output, printed_warnings, say
from priorhood.cli.plot import PICTURES, map_places, picture, prior
from priorhood.cli.predict import predict
from priorhood.cli.refit import refit
from priorhood.cli.report import report
from priorhood.cli.sensitivity import sensitivity
from priorhood.cli.signals import end_interrupted, end_on_signals
from priorhood.cli.simulate import simulate
from priorhood.cli.summary import summary
from priorhood.cli.update import update
from priorhood.cli.wording import options
from priorhood.errors import PriorhoodError

COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    command.__name__: command
    for command in (
        fit, summary, check, predict, refit, update, merge, moments, assess, compare, calibrate, sensitivity,
        influence, report, simulate, demo,
    )
}  # fmt: skip
PLOTS = {name: picture(name) for name in PICTURES} | {"prior": prior, "map": map_places}
STYLE: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}

# Former spellings, still accepted by commands that have the option.
FORMER = {"--areas": "--polygons", "--places": "--polygons"}
# Names in other programs → parameters, in addition to those that Python functions recognize.
OTHER_OPTIONS = {
    "output": "out", "na": "nulls", "na_values": "nulls", "filter": "where", "query": "where", "jobs": "threads",
    "groups": "group", "place": "group", "threshold": "below", "geojson": "polygons", "new_places": "unseen",
}  # fmt: skip


class Command(TyperCommand):
    """A command that suggests the right option for a name from another program."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of a command line."""
        try:
            return super().parse_args(ctx, list(args))
        except Exception as problem:
            if type(problem).__name__ != "NoSuchOption":  # of the click that Typer brings, or of Click
                raise
            wrong: Any = problem
            name, options = wrong.option_name, {option.name: max(option.opts, key=len) for option in self.params}
            if FORMER.get(name) in options.values():
                words = [FORMER[name] + word[len(name) :] if word.split("=")[0] == name else word for word in args]
                return super().parse_args(ctx, words)
            from priorhood._arguments import NOT_NEEDED, OTHER_NAMES

            asked = name.lstrip("-").replace("-", "_")
            meant = {asked, OTHER_OPTIONS.get(asked, asked), *OTHER_NAMES.get(asked, ())}
            right = " or ".join(
                flag for parameter, flag in options.items() if parameter in meant and flag.startswith("-")
            )
            if not right and meant & {"table", "model", "post", "rows", "file", "files"}:
                right = "an argument without a name"
            advice = f"use {right} with this command" if right else NOT_NEEDED.get(asked.lower())
            if advice:
                wrong.possibilities, wrong.message = None, f"No such option: {name}; {advice}"
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options; one that is repeatable has the type of one value."""
        write = formatter.write_dl

        def write_types(rows: list[tuple[str, str]], *args: Any, **options: Any) -> None:
            write([(_LISTED.sub(lambda found: f"<{found[1].lower()}>", one), words) for one, words in rows], *args,
                  **options)  # fmt: skip

        formatter.write_dl = write_types
        super().format_options(ctx, formatter)


_LISTED = re.compile(r"<list\[(\w+)\]>")


class Commands(Mapping[str, Any]):
    """Commands by name, each built on first use, since its options are read from Python source."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def __getitem__(self, name: str) -> Any:
        command = self.table[name]
        if not isinstance(command, typer.Typer):
            function, command = command, typer.Typer(**STYLE)
            command.command(name, cls=Command)(callback(function))
        return typer.main.get_command(command)

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)


class Group(TyperGroup):
    """The commands of a table, in its order."""

    table: ClassVar[Mapping[str, Any]]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"commands": Commands(self.table)})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # Click's signature
        """Return the names of the commands."""
        return list(self.table)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write every command with the first sentence of its help, without building it."""
        helps = {name: one.info.help if name == "plot" else one.__doc__ for name, one in self.table.items()}
        with formatter.section("Commands"):
            formatter.write_dl([(name, re.split(r"(?<=[.?])\s", str(words))[0]) for name, words in helps.items()])


class Plots(Group):
    """The commands of `priorhood plot`."""

    table = PLOTS


class AllCommands(Group):
    """All commands."""

    table = COMMANDS


plot = typer.Typer(
    cls=Plots, no_args_is_help=True, help="Plot a saved posterior to a PNG, SVG or PDF file.", **STYLE
)
COMMANDS["plot"] = plot
plot.callback()(lambda: None)
app = typer.Typer(cls=AllCommands, no_args_is_help=True, **STYLE)


def _print_version(value: bool) -> None:  # noqa: FBT001
    """Print the version and exit."""
    if value:
        from importlib.metadata import version

        print(f"priorhood {version('priorhood')}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fit hierarchical regressions by place to a table of sales; predict, check, compare and map the results."""


def main() -> NoReturn:
    """Run the command: a problem in the input gives one message and exit code 2, never a traceback."""
    with escaped_output(), end_on_signals(), naming_of(options):
        try:
            with printed_warnings(quiet=False):
                app(standalone_mode=True)
        except PriorhoodError as problem:
            say(f"priorhood: {problem}")
            sys.exit(2)
        except SystemExit as ended:
            if ended.code == INTERRUPTED:
                end_interrupted()
            raise
        except BrokenPipeError:
            sys.exit(1)
        except OSError as problem:
            named = f": {str(problem.filename)!r}" if problem.filename else ""
            say(f"priorhood: {problem.strerror or problem}{named}")
            sys.exit(2)
        except MemoryError:
            say("priorhood: out of memory; nothing was written. Use fewer draws or rows")
            sys.exit(2)
        sys.exit(0)
