"""`priorhood influence`: the posterior without a place or a row."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from priorhood._text import row_count
from priorhood.cli.options import Json, Saved, row_of, takes
from priorhood.cli.output import announce_compile, console, print_frame, print_json, progress, records
from priorhood.cli.plot import places_of

MAX_LINES = 20  # lines of the table in the terminal


@takes(options="influence")
def influence(
    file: Saved,
    group: Annotated[
        str | None, typer.Option("--group", metavar="LABEL", help="Label of the place to leave out.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row", metavar="NAME=VALUE", help="A column of the row to leave out: price=310000; repeatable."
        ),
    ] = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Show how estimates change when a place (--group) or row (--row) is left out.

    By default, every place is left out in turn, and the largest changes are listed first.
    """
    from priorhood.evaluation.influence import Influence
    from priorhood.evaluation.influence import influence as run
    from priorhood.posterior.io import load

    post = load(file)
    places = {name: labels[0] for name, labels in places_of(post, [group] if group else None).items()}
    announce_compile(quiet=as_json, by_group=post.model.noise is not None)
    with progress(quiet=as_json) as report:
        result = run(post, row_of(row, post.model.formula.keys), progress=report, **options, **places)
    single = isinstance(result, Influence)
    frame = result.table.reset_index() if single else result.reset_index()
    if as_json:
        print_json(what=result.what if single else "every place", table=records(frame))
        return
    size = "" if not single or result.rows == 1 else f" ({row_count(result.rows)})"
    without = f"without {result.what}{size}" if single else "without each place in turn"
    shown = frame if single else frame.drop(columns=["place_change", "place_unit"])
    print_frame(shown.head(MAX_LINES), f"{without}: shifts of the means, in posterior sds")
    if len(frame) > MAX_LINES:
        console().print(
            f"the first {MAX_LINES} of {len(frame):,} {'parameters' if single else 'places'}; --json lists all"
        )
