"""`python -m bench.publish`: keep the results of the contenders, and make the pages' tables and pictures from them.

What bench/results has is copied to bench/measured, which is committed; the tables of README.md and docs/bench.md
and the pictures come from there alone, so that every number of theirs can be looked up and none is typed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from bench import grid_table, scale, scale_pictures, scale_table
from bench.readme_table import README, rewritten
from bench.records import Records

HERE = Path(__file__).parent
MEASURED = HERE / "measured"
PAGE = HERE.parent / "docs" / "bench.md"
IMAGES = HERE.parent / "docs" / "images"
FILES = ("contenders.json", "grid.json")
# The README shows the model that all contenders can express.
SHOWN = scale.SERIES_MODEL
SERIES = ((scale.ROWS, "rows"), (scale.GROUPS, "groups"))


def blocks(measured: Path = MEASURED) -> dict[Path, dict[str, str]]:
    """The text of every block of every page, by the block's name."""
    records = Records(measured / FILES[0])
    told = json.loads((measured / FILES[1]).read_text(encoding="utf-8"))
    about = scale_table.circumstances(records)
    shown = scale_table.at_size(records, scale.BASE, (SHOWN,), short=True)
    return {
        README: {"contenders": f"{shown}\n\n{scale_table.ratios(records, scale.BASE, SHOWN)}\n\n{about}"},
        PAGE: {**tables(records), "grid": f"{grid_table.markdown(told)}\n\n{grid_table.circumstances(told)}"},
    }


def tables(records: Records) -> dict[str, str]:
    """What the records of the contenders say: at the size of the demo, along both series, what stopped whom."""
    about = scale_table.circumstances(records)
    series = (scale_table.along(records, sizes, scale.SERIES_MODEL, by=by) for sizes, by in SERIES)
    return {
        "base": f"{scale_table.at_size(records, scale.BASE)}\n\n{about}",
        "series": "\n\n".join(series),
        "reasons": scale_table.reasons(records),
    }


def filled(page: Path, texts: dict[str, str]) -> str:
    """A page with its blocks as they should be."""
    text = page.read_text(encoding="utf-8")
    for name, block in texts.items():
        text = rewritten(text, block, f"<!-- {name}:start -->", f"<!-- {name}:end -->")
    return text


def pictures(records: Records, images: Path) -> list[Path]:
    """Time against rows and against groups."""
    made = []
    for sizes, by in SERIES:
        made.append(images / f"scale_{by}.png")
        scale_pictures.draw(records, sizes, scale.SERIES_MODEL, by=by, path=made[-1])
    return made


def beside(records: Records) -> list[Path]:
    """The tables as Markdown, and the pictures, in a folder named like the records' file beside it."""
    folder = records.path.with_suffix("")
    folder.mkdir(exist_ok=True)
    page = folder / "tables.md"
    page.write_text("\n\n".join(text for text in tables(records).values() if text) + "\n", encoding="utf-8")
    return [page, *pictures(records, folder)]


def main() -> None:
    """Copy, write, draw; say what."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", help="the folder of results to keep")
    given = parser.parse_args()
    MEASURED.mkdir(exist_ok=True)
    for name in FILES:
        if (given.results / name).exists():
            shutil.copyfile(given.results / name, MEASURED / name)
            print(f"kept {name}")
    for page, texts in blocks().items():
        page.write_text(filled(page, texts), encoding="utf-8")
        print(f"written: {page.name}")
    for path in pictures(Records(MEASURED / FILES[0]), IMAGES):
        print(f"drawn: {path.name}")


if __name__ == "__main__":
    main()
