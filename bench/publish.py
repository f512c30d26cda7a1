"""`python -m bench.publish`: keep the results of the contenders, and make the pages' tables and pictures from them.

bench/results is copied to bench/measured, which is committed; the tables of README.md and docs/bench.md and the
pictures come from there alone, so that every number of theirs can be looked up and none is typed. Two tables come
straight from bench/results, if they are asked for: `readme`, what was measured of priorhood alone, and `engines`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from bench import pictures, scale, tables
from bench.process import ROOT
from bench.scale import Records

RESULTS, MEASURED = ROOT / "bench" / "results", ROOT / "bench" / "measured"
README, DOCS = ROOT / "README.md", ROOT / "docs"
SERIES = ((scale.ROWS, "rows"), (scale.GROUPS, "groups"))
# Name, page, markers, file of results, table.
STRAIGHT = {
    "readme": (README, "bench", "latest.json", tables.own),
    "engines": (DOCS / "engines.md", "engines", "engines.json", tables.engines),
}


def blocks(measured: Path = MEASURED) -> dict[Path, dict[str, str]]:
    """The text of every block of every page, by the block's name."""
    records = Records(measured / "contenders.json")
    results = json.loads((measured / "grid.json").read_text(encoding="utf-8"))
    # The README shows the model that all contenders can express.
    shown = scale.BASE, scale.SERIES_MODEL
    short = tables.at_size(records, scale.BASE, (scale.SERIES_MODEL,), short=True)
    parts = (short, tables.ratios(records, *shown), tables.circumstances(records))
    return {
        README: {"contenders": "\n\n".join(parts)},
        DOCS / "bench.md": {**of_contenders(records), "grid": tables.grid(results)},
    }


def of_contenders(records: Records) -> dict[str, str]:
    """All contenders at the size of the demo, along both series, and what stopped whom."""
    series = (tables.along(records, sizes, scale.SERIES_MODEL, by=by) for sizes, by in SERIES)
    return {
        "base": f"{tables.at_size(records, scale.BASE)}\n\n{tables.circumstances(records)}",
        "series": "\n\n".join(series),
        "reasons": tables.reasons(records),
    }


def filled(page: Path, texts: dict[str, str]) -> str:
    """A page with its blocks as they should be."""
    text = page.read_text(encoding="utf-8")
    for name, block in texts.items():
        text = tables.rewritten(text, block, name)
    return text


def drawn(records: Records, images: Path) -> list[Path]:
    """Pictures of time against rows and against groups."""
    for sizes, by in SERIES:
        pictures.draw(records, sizes, scale.SERIES_MODEL, by=by, path=images / f"scale_{by}.png")
    return [images / f"scale_{by}.png" for _, by in SERIES]


def beside(records: Records) -> list[Path]:
    """The tables as Markdown, and the pictures, in a folder named like the records' file beside it."""
    folder = records.path.with_suffix("")
    folder.mkdir(exist_ok=True)
    page = folder / "tables.md"
    text = "\n\n".join(text for text in of_contenders(records).values() if text)
    page.write_text(text + "\n", encoding="utf-8")
    return [page, *drawn(records, folder)]


def main() -> None:
    """Copy, write, draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("table", nargs="?", choices=STRAIGHT, help="write this table alone")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of results to keep")
    given = parser.parse_args()
    if given.table:
        page, block, file, table = STRAIGHT[given.table]
        if not (given.results / file).exists():
            parser.error(f"there is no {given.results / file}; measure first: python -m bench")
        results = json.loads((given.results / file).read_text(encoding="utf-8"))
        page.write_text(filled(page, {block: table(results)}), encoding="utf-8")
        print(f"written: {page.name}")
        return
    for name in ("contenders.json", "grid.json"):
        if (given.results / name).exists():
            shutil.copyfile(given.results / name, MEASURED / name)
            print(f"kept {name}")
    for page, texts in blocks().items():
        page.write_text(filled(page, texts), encoding="utf-8")
        print(f"written: {page.name}")
    for path in drawn(Records(MEASURED / "contenders.json"), DOCS / "images"):
        print(f"drawn: {path.name}")


if __name__ == "__main__":
    main()
