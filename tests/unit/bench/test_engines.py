"""The table of engines: every combination is in it, the missing ones with their reason; the page has its place."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "engines.md"


@pytest.fixture
def bench(monkeypatch):
    """Import a module of the benchmark, which is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"bench.{name}")


@pytest.fixture
def fitted():
    return {
        "model": "centred", "how": "exact", "status": "fitted", "reason": "", "compile_first": 20.0,
        "compile_again": 0.5, "sample": 0.04, "parameters": 443, "divergences": None, "least_ess": 3000.0,
        "greatest_rhat": 1.0024, "difference": None, "versions": {"priorhood": "9.9"},
    }  # fmt: skip


@pytest.fixture
def told(fitted):
    """A made-up result: one of each kind."""
    by_nuts = fitted | {
        "how": "pymc", "sample": 40.0, "divergences": 1321, "difference": 0.034, "versions": {"pymc": "8.8"}
    }  # fmt: skip
    lacking = dict.fromkeys(("compile_first", "compile_again", "sample", "divergences", "least_ess",
                             "greatest_rhat", "difference"))  # fmt: skip
    refused = fitted | lacking | {"model": "naive", "status": "refused", "reason": "too hard", "versions": {}}
    failed = fitted | lacking | {"how": "nutpie", "status": "failed", "reason": "out of memory", "versions": {}}
    return {
        "machine": {"cpu": "Abacus", "cores": 2, "python": "3.99", "date": "2026-11-21", "others": 1.6},
        "quick": False, "places": 219, "rows": 7500, "data_seed": 2412, "seed": 2412, "chains": 4, "draws": 1000,
        "tune": 1000, "repeats": 30, "complete": True, "runs": [refused, fitted, failed, by_nuts],
    }  # fmt: skip


def test_every_run_is_a_row(bench, told):
    text = bench("tables").engines(told)
    header, _, refused, exact, failed, nuts = text.splitlines()[:6]
    cells = [cell.strip() for cell in exact.strip("|").split("|")]
    assert cells == ["centred", "exact", "20 s, 0.5 s", "0.04 s", "–", "3,000", "1.002", "150; 75,000", "–"]
    assert "| 1,321 | 3,000 | 1.002 | 50; 75 | 0.034 |" in nuts
    assert refused.startswith("| naive | exact | not taken | – |")
    assert failed.startswith("| centred | NUTS, nutpie | not measured | – |")
    assert {line.count("|") for line in (header, refused, exact, failed, nuts)} == {10}


def test_reasons_and_circumstances_are_told(bench, told):
    text = bench("tables").engines(told)
    assert "Not taken: naive by exact (too hard)." in text
    assert "Not measured: centred by NUTS, nutpie (out of memory)." in text
    for part in ("1.6 cores", "Abacus", "Python 3.99", "priorhood 9.9", "PyMC 8.8", "2026-11-21", "seed 2412"):
        assert part in text
    assert "Trial" not in text
    assert "Unfinished" not in text


def test_trial_and_unfinished_run_are_told(bench, told):
    text = bench("tables").engines(told | {"quick": True, "complete": False})
    assert "Trial with few draws. Unfinished run." in text


def test_table_goes_between_the_markers_of_the_page(bench, told):
    tables, (start, end) = bench("tables"), (f"<!-- engines:{which} -->" for which in ("start", "end"))
    text = PAGE.read_text(encoding="utf-8")
    filled = tables.rewritten(text, tables.engines(told), "engines")
    assert "| naive | exact | not taken |" in filled
    assert filled.partition(start)[0] == text.partition(start)[0]
    assert filled.partition(end)[2] == text.partition(end)[2]
    with pytest.raises(ValueError, match="engines:start"):
        tables.rewritten("no markers", "", "engines")


def test_lines_of_the_page_are_the_models_measured(bench):
    text = PAGE.read_text(encoding="utf-8")
    for case in bench("engines").CASES:
        assert case.name in text
        assert f'ph.Model("{case.formula}"' in text
        assert all(f'"{prior}"' in text for prior in case.priors)


def test_defaults_on_the_page_are_those_of_the_code():
    from priorhood.engines.nuts import Settings

    text = PAGE.read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    usual = Settings("nutpie")
    for option in ("tune", "target_accept"):
        assert rows[option].endswith(f"| {getattr(usual, option)} |")
    assert rows["parameterization"].endswith(f'| `"{usual.parameterization}"` |')


def test_what_goes_wrong_is_a_row(bench, monkeypatch):
    engines = bench("engines")
    case = engines.CASES[1]

    def ends(*_):
        raise RuntimeError("python x failed:\nTraceback\nValueError: no room")

    monkeypatch.setattr(engines, "_process", ends)
    row, found = engines._measured(case, "exact", engines.TRIAL, None)
    assert (row.status, row.reason, found) == ("failed", "ValueError: no room", None)
    monkeypatch.setattr(engines, "_process", lambda *_: {"refused": "not of this kind", "versions": {}})
    row, found = engines._measured(case, "exact", engines.TRIAL, None)
    assert (row.status, row.reason, found) == ("refused", "not of this kind", None)
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "pymc" else object())
    row, _ = engines._measured(case, "nutpie", engines.TRIAL, None)
    assert (row.status, row.reason) == ("failed", "pymc cannot be imported")


def test_every_combination_is_kept_as_soon_as_it_is_there(bench, monkeypatch, tmp_path, fitted):
    engines = bench("engines")
    console = importlib.import_module("rich.console").Console(quiet=True)
    monkeypatch.setattr(engines, "RESULTS", tmp_path)
    counts = []
    write = engines.dumped

    def count(told, target):
        counts.append(len(told["runs"]))
        write(told, target)

    def measured(case, how, amount, reference):
        assert (reference is None) == (how == "exact")
        return engines.Row(**fitted | {"model": case.name, "how": how}), {"means": {}}

    monkeypatch.setattr(engines, "dumped", count)
    monkeypatch.setattr(engines, "_measured", measured)
    machine = {"cpu": "", "cores": 1, "python": "", "date": "", "others": 0.0}
    target = engines.measure(machine, console, quick=True)
    assert target != engines.measure(machine, console, quick=False)  # a trial must not stand for the measurement
    assert counts == [*range(1, 13), 12] * 2
    assert '"complete": true' in target.read_text(encoding="utf-8")


def test_engines_are_a_part_of_the_benchmark(bench):
    main = bench("__main__")
    assert "engines" in main.NAMES
    usual, quick = (main._parser().parse_args(given) for given in ([], ["--quick"]))
    assert main._usual("engines", usual)
    assert not main._usual("engines", quick)
