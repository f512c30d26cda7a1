"""Do the pages tell the truth? Their examples run and print what is shown, links lead somewhere."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

import priorhood as ph
from priorhood.data.rows import prepare_rows
from priorhood.model.formula import parse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])

# Shown in `sh` blocks and not run here: they install, call make, or need a table from elsewhere.
NOT_RUN = {
    "make demo",
    "make test",
    "python3 -m venv env",
    "env/bin/pip install .",
    "source env/bin/activate",
    'priorhood fit kc_house_data.csv "log(price) ~ log(sqft_living) + (log(sqft_living) | zipcode)" '
    "-o king.nc --seed 1",
}


def _maker():
    spec = importlib.util.spec_from_file_location("priorhood_docs_make", DOCS / "make.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make = _maker()


@pytest.mark.filterwarnings(r"ignore:\s*ArviZ is undergoing:FutureWarning")
@pytest.mark.parametrize(
    "page",
    # The guide fits by NUTS, calibrates and draws every picture.
    [pytest.param(p, marks=[pytest.mark.long] if p.name == "guide.md" else [], id=p.name) for p in make.PAGES],
)
def test_examples_run_and_print_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    lines = page.read_text(encoding="utf-8").splitlines()
    wrong, count = [], 0
    for example in make.run(page, tmp_path):
        count += 1
        shown = lines[example.start : example.stop]
        if example.printed is not None and not make.same(shown, example.printed):
            wrong.append("\n".join([f"{example.what} shows", *shown, "but prints", *example.printed]))
    assert count > 3
    assert not wrong, "\n\n".join([*wrong, "python docs/make.py writes what is printed"])


def test_outputs_that_differ_are_told_apart():
    shown = ["mu  355,373  6,419   4,002  1.001", "fitted in 0.83 s"]
    assert make.same(shown, ["mu   355,400  6,500  3,911  1.002", "", "fitted in 1.24 s"])
    assert not make.same(shown, ["mu  455,373  6,419   4,002  1.001", "fitted in 0.83 s"])
    assert not make.same(shown, ["tau  355,373  6,419   4,002  1.001", "fitted in 0.83 s"])
    assert not make.same(shown, shown[:1])


def test_commands_not_run_are_these():
    found = {
        line
        for page in make.PAGES
        for block in make.blocks(page.read_text(encoding="utf-8"))
        if block.info == "sh"
        for line in block.lines
    }
    assert found == NOT_RUN


def test_every_block_says_what_it_is():
    kinds = {"python", "console", "csv", "sh", "text"}
    for page in make.PAGES:
        for block in make.blocks(page.read_text(encoding="utf-8")):
            assert block.info.partition(" ")[0] in kinds, f"{page.name}:{block.at}"
            if block.info == "console":
                starts = [line for line in block.lines if line.startswith("$ ")]
                assert starts, f"{page.name}:{block.at}"
                assert all(line.startswith("$ priorhood ") for line in starts), f"{page.name}:{block.at}"


def test_reference_lists_every_public_name():
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   ([\w.]+)$", text, flags=re.MULTILINE)
    shown = {name.rpartition(".")[2] for name in listed if not name.startswith("plot.")}
    modules = {"datasets", "errors", "plot", "priors"}
    assert shown == set(ph._HOME) - modules
    assert {f"plot.{name}" for name in ph.plot.__all__} == {n for n in listed if n.startswith("plot.")}
    assert len(listed) == len(set(listed))


def test_constants_are_those_of_the_code():
    text = make.MATHEMATICS.read_text(encoding="utf-8")
    assert "`sampler.PARETO_LIMIT`" in text
    assert text == make.with_numbers(text), "run: python docs/make.py"


def test_costs_are_those_reckoned():
    text = make.CLUSTER.read_text(encoding="utf-8")
    assert make.cost() in text, "run: python docs/make.py"
    assert text.count("| | |") == 1


def test_the_numbers_a_place_that_costs_are_reckoned_from():
    """Those that a query of the sums brings for the formula that the page names."""
    table = {"price": [2.0, 3.0], "area": [1.0, 2.0], "zip": ["a", "b"]}
    formula = parse("price ~ area + (area | zip)")
    prepared = prepare_rows(table, formula)
    columns = len(prepared.design.columns)
    numbers = columns * (columns + 1) // 2 + columns + 1 + len(prepared.flags) + len(prepared.checks)
    assert numbers == make.TABLE["numbers"]


def test_picture_is_there():
    assert make.SCREEN.read_text(encoding="utf-8").startswith("<svg")


def _anchor(heading):
    text = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading.strip().casefold())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _prose(page):
    """A page's text without its fenced blocks and its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), f"{page.name}: {link}"
        if anchor:
            text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
            headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
            assert anchor in map(_anchor, headings), f"{page.name}: {link}"


def test_design_names_every_module():
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = [name for layer in contracts[0]["layers"] for name in re.findall(r"priorhood\.(\w+)", layer)]
    text = (DOCS / "design.md").read_text(encoding="utf-8").partition("## Packages")[2].partition("\n## ")[0]
    package, ground = ROOT / "src/priorhood", "The foundation"
    listed = {
        title.strip("`"): re.findall(r"^\| `([\w/]+)` \|", rows, flags=re.MULTILINE)
        for title, rows in re.findall(
            r"^### (`\w+`|The foundation)(.*?)(?=^###|\Z)", text, flags=re.MULTILINE | re.DOTALL
        )
    }
    files = {
        name: sorted(
            path.relative_to(package / name).with_suffix("").as_posix()
            for path in (package / name).rglob("*.py")
            if not path.name.startswith("__")
        )
        for name in layers
        if (package / name).is_dir()
    }
    alone = sorted(path.stem for path in package.glob("*.py") if not path.name.startswith("__"))
    assert list(listed) == [*files, ground]  # in the contract's order
    assert {name: sorted(rows) for name, rows in listed.items()} == {**files, ground: alone}


def test_every_dependency_is_imported():
    with (ROOT / "pyproject.toml").open("rb") as file:
        required = tomllib.load(file)["project"]["dependencies"]
    needed = {re.split(r"[\[<>=;~!]", name)[0].strip().replace("-", "_") for name in required}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "priorhood").rglob("*.py"))
    assert needed <= set(re.findall(r"^\s*(?:import|from) (\w+)", code, flags=re.MULTILINE))
