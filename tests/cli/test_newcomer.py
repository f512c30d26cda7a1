"""What a stranger types wrongly: one sentence that says what to do, exit code 2, nothing left behind."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys

import pytest

import priorhood as ph

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def odd(stock, tmp_path_factory):
    """A folder with what is not what it should be."""
    place = tmp_path_factory.mktemp("odd")
    (place / "post.nc").write_bytes((stock / "post.nc").read_bytes())
    (place / "sales.csv").write_bytes((stock / "sales.csv").read_bytes())
    areas = ph.simulate_areas(8, 1)
    (place / "zips.geojson").write_text(json.dumps(areas))
    return place


FORMULA = "price ~ living_space + (1 | zip)"
WRONG = {
    "text": (["plot", "forest", "--at", "living_space=abc"], "must be a finite number"),
    "nan": (["plot", "forest", "--at", "living_space=nan"], "must be a finite number"),
    "place": (["plot", "forest", "--at", "zip=10115"], "--group"),
    "report text": (["report", "--at", "living_space=abc"], "must be a finite number"),
    "report nan": (["report", "--at", "living_space=nan"], "must be a finite number"),
    "which home": (["plot", "price"], "--group"),
    "lines where": (
        ["plot", "lines", "--data", "sales.csv", "--where", "living_spce > 0"],
        "no column 'living_spce'",
    ),
    "pit where": (["plot", "pit", "--data", "sales.csv", "--where", "living_spce > 0"], "no column 'living_spce'"),
    "level by row": (["compare", "--data", "sales.csv", "--level", "zip"], "--by place"),
}


def _left(folder):
    return sorted(one.name for one in folder.iterdir())


@pytest.mark.parametrize("case", WRONG)
def test_one_sentence_and_exit_code_2(cli, odd, monkeypatch, case):
    monkeypatch.chdir(odd)
    words, said = WRONG[case]
    before = _left(odd)
    ran = cli(*words, "post.nc", "-o", "out.html" if words[0] == "report" else "out.png")
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert _left(odd) == before


def test_polygons_are_no_table_and_a_table_no_polygons(cli, odd, monkeypatch):
    monkeypatch.chdir(odd)
    ran = cli("fit", "sales.csv", FORMULA, "-o", "x.nc", "--places", "zips.geojson")
    assert (ran.code, "--polygons" in ran.err) == (2, True)
    pytest.importorskip("geopandas")
    ran = cli("plot", "map", "post.nc", "--polygons", "sales.csv", "-o", "x.png")
    assert (ran.code, "a table without polygons" in ran.err) == (2, True)
    ran = cli("plot", "map", "post.nc", "--polygons", "zip.geojson", "-o", "x.png")
    assert (ran.code, "did you mean 'zips.geojson'" in ran.err) == (2, True)


def test_a_folder_is_no_posterior(cli, odd):
    ran = cli("check", odd)
    assert (ran.code, "is a folder" in ran.err) == (2, True)


def test_a_log_needs_a_value_above_0(sales):
    post = ph.fit("log(price) ~ log(living_space) + (1 | zip)", sales, chains=2, draws=50, seed=1)
    assert len(post.homes({"living_space": 80})) == 8
    for wrong in (0, -5, float("inf"), None):
        with pytest.raises(ph.ModelError, match="'living_space' of the home must be"):
            post.homes({"living_space": wrong})


def test_where_leaves_rows_out(cli, odd, monkeypatch):
    monkeypatch.chdir(odd)
    ran = cli("assess", "post.nc", "sales.csv", "--where", "living_space > 80", "--json")
    assert 0 < json.loads(ran.out)["rows"] < json.loads(cli("assess", "post.nc", "sales.csv", "--json").out)["rows"]


def test_sensitivity_shows_a_line_for_each_prior(cli, odd):
    ran = cli(
        "sensitivity", odd / "post.nc", "--parameters", "mu", "--factors", "0.5", "--chains", "2", "--draws", "50"
    )
    assert ran.code == 0
    assert "-0.00" not in ran.out
    assert 1 <= sum(line.split()[:1] == ["mu"] for line in ran.out.splitlines()) <= 3


OPTIONS = ("--at", "--below", "--group", "--data", "--places", "--level", "--column", "--crs", "--where", "--var")


def test_an_option_of_several_commands_takes_the_same_kind_of_value():
    from typer.main import get_command

    from priorhood.cli import app

    top = get_command(app)
    every = {**top.commands, **{f"plot {name}": one for name, one in top.commands["plot"].commands.items()}}
    kinds = {}
    for name, command in every.items():
        for one in command.params:
            for option in set(one.opts) & set(OPTIONS):
                kinds.setdefault(option, {}).setdefault(one.metavar or "", []).append(name)
    # A table of predictors everywhere, but in simulate, where it is their number.
    assert set(kinds.pop("--places")) == {"TABLE", ""}
    assert set(kinds) == set(OPTIONS) - {"--places"}
    assert {option: found for option, found in kinds.items() if len(found) > 1} == {}


def test_the_module_is_the_command(odd):
    ran = subprocess.run(
        [sys.executable, "-m", "priorhood", "check", str(odd / "none.nc")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("priorhood: no file")


def test_an_interrupt_that_a_library_swallows_ends_the_fit_all_the_same(odd, cli, monkeypatch):
    def swallowing(*args, **options):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return run(*args, **options)

    module = importlib.import_module("priorhood.fitting.fit")
    run = module.fit
    monkeypatch.setattr(module, "fit", swallowing)
    before = signal.getsignal(signal.SIGINT)
    ran = cli("fit", odd / "sales.csv", "price ~ living_space", "-o", odd / "swallowed.nc")
    assert ran.code == 130
    assert not (odd / "swallowed.nc").exists()
    assert signal.getsignal(signal.SIGINT) is before
