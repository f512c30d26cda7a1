"""`priorhood`: parse, call, write. The words and options are those of the Python functions."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from priorhood.cli.compare import compare
from priorhood.cli.demo import demo, simulate
from priorhood.cli.evaluate import assess, calibrate
from priorhood.cli.fit import fit, merge, refit, update
from priorhood.cli.interrupts import INTERRUPTED, end_interrupted, ended_by_signals
from priorhood.cli.moments import moments
from priorhood.cli.options import callback
from priorhood.cli.output import printed_warnings, say, shown
from priorhood.cli.plot import PICTURES, map_places, picture, prior
from priorhood.cli.posterior import check, predict, summary
from priorhood.cli.report import report
from priorhood.cli.what_if import influence, sensitivity
from priorhood.errors import PriorhoodError

COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    one.__name__: one
    for one in (
        fit, summary, check, predict, refit, update, merge, moments, assess, compare, calibrate, sensitivity,
        influence, report, simulate, demo,
    )
}  # fmt: skip
PLOTS = {name: picture(name) for name in PICTURES} | {"prior": prior, "map": map_places}
STYLE: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}

# Former spellings, still taken where the command has the option.
FORMER = {"--areas": "--polygons", "--places": "--polygons"}
# Names in other programs → parameters, beside those that Python functions answer.
ELSEWHERE = {
    "output": "out", "na": "nulls", "na_values": "nulls", "filter": "where", "query": "where", "jobs": "threads",
    "groups": "group", "place": "group", "threshold": "below", "geojson": "polygons", "new_places": "unseen",
}  # fmt: skip


class Command(TyperCommand):
    """A command that knows the names that its options have elsewhere."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line."""
        try:
            return super().parse_args(ctx, list(args))
        except Exception as problem:
            if type(problem).__name__ != "NoSuchOption":  # of the click that Typer brings, or of Click
                raise
            wrong: Any = problem
            name, options = wrong.option_name, {one.name: max(one.opts, key=len) for one in self.params}
            if FORMER.get(name) in options.values():
                words = [FORMER[name] + word[len(name) :] if word.split("=")[0] == name else word for word in args]
                return super().parse_args(ctx, words)
            from priorhood._arguments import OTHER_NAMES

            asked = name.lstrip("-").replace("-", "_")
            meant = {asked, ELSEWHERE.get(asked, asked), *OTHER_NAMES.get(asked, ())}
            right = " or ".join(options[one] for one in options if one in meant and options[one].startswith("-"))
            if not right and meant & {"table", "model", "post", "rows", "file", "files"}:
                right = "an argument, without a name"
            if right:
                wrong.possibilities, wrong.message = None, f"No such option: {name}; here it is {right}"
            raise


class Commands(Mapping[str, Any]):
    """Commands by name, each built when it is asked for, since its options are read from Python source."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def __getitem__(self, name: str) -> Any:
        one = self.table[name]
        if not isinstance(one, typer.Typer):
            function, one = one, typer.Typer(**STYLE)
            one.command(name, cls=Command)(callback(function))
        return typer.main.get_command(one)

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
        """Return the names."""
        return list(self.table)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write every command with the first sentence of its help, without building it."""
        with formatter.section("Commands"):
            formatter.write_dl([
                (name, re.split(r"(?<=[.?]) ", str(one.info.help if name == "plot" else one.__doc__))[0])
                for name, one in self.table.items()
            ])  # fmt: skip


class Plots(Group):
    """The pictures."""

    table = PLOTS


class Everything(Group):
    """All commands."""

    table = COMMANDS


plot = typer.Typer(
    cls=Plots, no_args_is_help=True, help="Draw a picture of a saved posterior: PNG, SVG or PDF.", **STYLE
)
COMMANDS["plot"] = plot
plot.callback()(lambda: None)
app = typer.Typer(cls=Everything, no_args_is_help=True, **STYLE)


def _version(value: bool) -> None:  # noqa: FBT001
    if value:
        from importlib.metadata import version

        print(f"priorhood {version('priorhood')}")
        raise typer.Exit


@app.callback()
def _everything(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hierarchical regressions by place: a table of sales in; posterior and prices out."""


def main() -> NoReturn:
    """Entry point: a problem in the input is one message and exit code 2, never a traceback."""
    with shown(), ended_by_signals():
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
            say("priorhood: this machine has no memory for that; nothing was written. Give fewer draws or rows")
            sys.exit(2)
        sys.exit(0)
