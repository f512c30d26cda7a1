"""Run the walk-through and write it as a notebook.

`python docs/notebook.py` runs docs/walkthrough.py and writes docs/walkthrough.ipynb with what it shows; it takes
a few minutes. `python docs/notebook.py --short --out FILE` runs it with less data and few draws, to see that it
runs; its numbers mean nothing. tests/docs/test_walkthrough.py does the latter and checks the former.

The notebook is run in an empty folder, and the same script and outputs give the same file: no times of day, no
names of folders.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "walkthrough.py"
NOTEBOOK = HERE / "walkthrough.ipynb"
CODE, PROSE = "# %%", "# %% [markdown]"
FORM = "PRIORHOOD_WALKTHROUGH"
DATA = "PRIORHOOD_DATA"
SECONDS = 1200  # for one cell
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def cells(script: str) -> list[tuple[str, str]]:
    """The cells of a script in the percent format: ("code" or "markdown", text). What is above them is left out."""
    found: list[tuple[str, list[str]]] = []
    for number, line in enumerate(script.splitlines(), start=1):
        if line.startswith(CODE):
            if line not in (CODE, PROSE):
                raise ValueError(f"line {number}: a cell starts with {CODE!r} or {PROSE!r}, not {line!r}")
            found.append(("markdown" if line == PROSE else "code", []))
        elif found:
            kind, lines = found[-1]
            if kind == "markdown" and line and not line.startswith("#"):
                raise ValueError(f"line {number}: prose without a #, {line!r}")
            lines.append(line[1:].removeprefix(" ") if kind == "markdown" else line)
    return [(kind, "\n".join(lines).strip("\n")) for kind, lines in found]


def unrun(script: str) -> NotebookNode:
    """The notebook of a script, without outputs; cells are named by their position."""
    made = []
    for at, (kind, text) in enumerate(cells(script)):
        new = nbformat.v4.new_markdown_cell if kind == "markdown" else nbformat.v4.new_code_cell
        made.append(new(text, id=f"cell-{at:02}"))
    return nbformat.v4.new_notebook(cells=made, metadata=METADATA)


def run(notebook: NotebookNode, *, short: bool) -> NotebookNode:
    """Run a notebook in an empty folder; the first error ends it.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
    """
    environment = {key: value for key, value in os.environ.items() if key not in (FORM, "MPLBACKEND")}
    if short:
        environment[FORM] = "short"
    if DATA in environment:
        environment[DATA] = str(Path(environment[DATA]).resolve())
    else:
        folders = (HERE.parent / "shared" / "data", HERE.parents[1] / "shared" / "data")
        there = [str(folder) for folder in folders if folder.is_dir()]
        environment |= {DATA: there[0]} if there else {}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", record_timing=False,
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute(env=environment)
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs with a stream's pieces, which come as the machine happens to flush them, put together."""
    found: list[NotebookNode] = []
    for output in outputs:
        last = found[-1] if found else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            found.append(output)
    return found


def main() -> None:
    """Run and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true", help="less data and few draws; needs --out")
    options.add_argument(
        "--out", type=Path, help=f"the file to write; {NOTEBOOK.name} beside the script if not given"
    )
    given = options.parse_args()
    if given.short and given.out is None:
        sys.exit("docs/notebook.py: --short needs --out, so as not to replace the notebook that is read")
    done = run(unrun(SCRIPT.read_text(encoding="utf-8")), short=given.short)
    target = given.out or NOTEBOOK
    target.write_text(nbformat.writes(done) + "\n", encoding="utf-8")
    print(f"{target.name}: {len(done.cells)} cells, {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
