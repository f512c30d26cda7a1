"""Does the walk-through run, and is the notebook that is read what the script says?"""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).parents[2] / "docs"
# A fit by NUTS compiles for seconds; a machine with nothing else to do takes half a minute in all.
SECONDS = 600


def _builder():
    spec = importlib.util.spec_from_file_location("priorhood_docs_notebook", DOCS / "notebook.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


builder = _builder()


def _read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _shows(source):
    """Whether a cell has something to show: a call of show, say or print, a picture, or a value at its end."""
    # What stands in functions shows nothing before they are called.
    body = [part for part in ast.parse(source).body if not isinstance(part, ast.FunctionDef)]
    calls = {ast.unparse(node.func) for part in body for node in ast.walk(part) if isinstance(node, ast.Call)}
    return bool(calls & {"show", "say", "print", "plt.show"}) or (bool(body) and isinstance(body[-1], ast.Expr))


def _texts(output):
    if output.output_type == "stream":
        yield output.text
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield content


def _check_outputs(notebook):
    """Every cell ran, in order; those that show something did, and none complained."""
    code = _code(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert bool(cell.outputs) == _shows(cell.source), f"{cell.id}:\n{cell.source}"
        for output in cell.outputs:
            assert output.output_type != "error", f"{cell.id}: {output.get('evalue')}"
            assert output.get("name") != "stderr", f"{cell.id}: {output.text}"
            if output.output_type != "stream":
                assert set(output.data) & {"text/markdown", "text/html", "image/png"}, cell.id


@pytest.fixture(scope="module")
def committed():
    return _read(builder.NOTEBOOK)


@pytest.fixture(scope="module")
def fresh():
    """What the script makes, before it is run."""
    return builder.unrun(builder.SCRIPT.read_text(encoding="utf-8"))


@pytest.mark.slow  # the guide's examples, which run everywhere, call the same
def test_short_form_runs(tmp_path, fresh):
    (tmp_path / "here").mkdir()
    environment = {**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, builder.__file__, "--short", "--out", tmp_path / "short.ipynb"],
        cwd=tmp_path / "here", env=environment, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "here").iterdir()), "it left files behind"
    short = _read(tmp_path / "short.ipynb")
    assert [cell.source for cell in short.cells] == [cell.source for cell in fresh.cells]
    _check_outputs(short)
    print(f"the short form took {time.perf_counter() - started:.0f} s")


def test_short_form_does_not_replace_the_notebook(tmp_path):
    before = builder.NOTEBOOK.read_bytes()
    done = subprocess.run(
        [sys.executable, builder.__file__, "--short"],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--out" in done.stderr
    assert builder.NOTEBOOK.read_bytes() == before


def test_notebook_is_what_the_script_says(committed, fresh):
    stale = "run: python docs/notebook.py"
    assert [(c.id, c.cell_type, c.source) for c in committed.cells] == [
        (c.id, c.cell_type, c.source) for c in fresh.cells
    ], stale
    assert committed.metadata == builder.METADATA, stale
    assert all(cell.metadata == {} for cell in committed.cells), stale


def test_notebook_has_all_outputs_and_no_complaints(committed):
    _check_outputs(committed)


def test_notebook_was_run_in_the_long_form_and_with_the_rents(committed):
    said = "\n".join(text for cell in _code(committed) for output in cell.outputs for text in _texts(output))
    assert "7,500 sales in 219 ZIP codes" in said
    assert "short form" not in said
    assert "is not here" not in said


def test_notebook_says_nothing_of_the_machine_it_was_run_on(committed):
    for cell in _code(committed):
        for output in cell.outputs:
            for text in _texts(output):
                found = re.search(r"(?<![\w.])/(?:tmp|home|root|work|usr|Users|var)/|[A-Z]:\\|0x[0-9a-f]{6,}", text)
                assert not found, f"{cell.id}: {text}"


def test_notebook_shows_no_row_of_the_rents(committed):
    """Its last sections show sentences, summaries and lines; a table of rows would have these columns."""
    start = next(at for at, cell in enumerate(committed.cells) if cell.source.startswith("NAME = "))
    for cell in _code(committed)[-2:]:
        assert cell in committed.cells[start:]
        for output in cell.outputs:
            for text in _texts(output):
                assert not re.search("sqm_rent|offer_year|const_year|flattype|interior_qual", text)


def test_notebook_is_small(committed):
    assert builder.NOTEBOOK.stat().st_size < 1.5e6


def test_cells_are_read_as_written():
    script = "# above\n\n# %% [markdown]\n# # Title\n#\n# - `code`\n\n# %%\nx = 1\n\n\n# a remark\nx\n"
    assert builder.cells(script) == [
        ("markdown", "# Title\n\n- `code`"),
        ("code", "x = 1\n\n\n# a remark\nx"),
    ]
    with pytest.raises(ValueError, match="line 1: a cell starts with"):
        builder.cells("# %% a title\n")
    with pytest.raises(ValueError, match="line 3: prose without a #"):
        builder.cells("# %% [markdown]\n# prose\nx = 1\n")


@pytest.mark.parametrize(
    ("source", "shows"),
    [
        ("x = 1", False),
        ("import os\nsay('x')", True),
        ("def f():\n    print(1)", False),
        ("x", True),
        ("for a in b:\n    show(a)", True),
        ("fit()\nx = 1", False),
    ],
)
def test_what_shows_something(source, shows):
    assert _shows(source) is shows


def test_links_of_the_prose_lead_somewhere(fresh):
    prose = "\n".join(cell.source for cell in fresh.cells if cell.cell_type == "markdown")
    headings = [line.lstrip("# ").replace(" ", "-") for line in prose.splitlines() if line.startswith("#")]
    links = re.findall(r"\]\(([^)\s]+)\)", prose)
    assert links
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        if not target:
            assert anchor in headings, link
            continue
        assert (DOCS / target).is_file(), link
        if anchor:
            lines = (DOCS / target).read_text(encoding="utf-8").splitlines()
            there = [line.lstrip("# ").casefold().replace(" ", "-") for line in lines if line.startswith("#")]
            assert anchor in there, link
