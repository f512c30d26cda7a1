"""Options: their words come from Python, other names are answered with the right one, help loads little."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import typer

import priorhood as ph
from priorhood.cli import PICTURES, app
from priorhood.cli.signatures import descriptions, parameters_of

TOP = typer.main.get_command(app).commands
PLOTS = TOP["plot"].commands
EVERY = {**TOP, **{f"plot {name}": one for name, one in PLOTS.items()}}
NAMES = [
    "fit", "refit", "update", "merge", "moments", "read", "Model", "assess", "calibrate", "compare", "sensitivity",
    "influence", "report", "simulate", "Posterior.predict", "plot.prior_lines", "plot.map",
    *(f"plot.{name}" for name in PICTURES),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_signatures_read_from_source_are_pythons(name):
    function = ph
    for part in name.split("."):
        function = getattr(function, part)
    real = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    ours = {one.name: one for one in parameters_of(name)}
    kinds = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: None}
    named = [(kinds.get(one.kind, ""), one) for one in real]
    assert list(ours) == [start + one.name for start, one in named if start is not None]
    for start, one in named:
        if start == "":
            assert ours[one.name].required == (one.default is one.empty)
            assert one.default is one.empty or ours[one.name].default == one.default


def test_descriptions_of_both_forms():
    doc = """Title.

    Parameters
    ----------
    x : float, optional
        The first. Not this sentence.
    y, z : what they have in common; 0.5 if None

        and more
    w : str
        A letter; a clause of so many words that it makes the whole description longer than a line of help may
        be, so that it is left out

    Returns
    -------
    n : int
        No parameter
    """
    assert descriptions(inspect.cleandoc(doc)) == {
        "x": "The first", "y": "What they have in common; 0.5 if not given and more",
        "z": "What they have in common; 0.5 if not given and more", "w": "A letter",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in EVERY if name != "plot"])
def test_every_option_has_words(name):
    for one in EVERY[name].params:
        if not getattr(one, "hidden", False):
            assert len(one.help or "") > 5, one.name
            assert "None" not in one.help, one.name


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_have_the_options_of_their_functions(name):
    source = PICTURES[name][0] or f"plot.{name}"
    known = {one.name for one in parameters_of(source)}
    group = {"group"} if any(one.startswith("**") for one in known) else set()
    reading = {"where", "nulls", "decimal", "thousands"} if known & {"data", "table", "home"} else set()
    wanted = {one for one in known if not one.startswith("**")} - {"post", "progress"}
    assert {one.name for one in PLOTS[name].params} == wanted | group | reading | {"file", "out"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fit", "--random-seed", "3"), "No such option: --random-seed; use --seed with this command"),
        (
            ("fit", "--data", "sales.csv"),
            "No such option: --data; use an argument without a name with this command",
        ),
        (("predict", "--n-draws=5"), "No such option: --n-draws"),
        (("refit", "--n-chains", "2"), "use --chains with this command"),
        (("fit", "--weights", "w"), "use --precision-weights or --frequency-weights with this command"),
        (("plot", "trace", "--var-names", "tau"), "use --var with this command"),
        (("fit", "--chain", "2"), "--chains"),
    ],
)
def test_other_names_are_answered_with_the_right_one(cli, words, says):
    ran = cli(*words)
    assert ran.code == 2
    assert says in " ".join(ran.err.split())
    assert ("with this command" in ran.err) == (words[0] != "predict" and "--chain" not in words)


def test_an_option_without_a_counterpart_is_explained(cli):
    said = "No such option: --REML; it is not needed, since the posterior integrates the coefficients out"
    assert said in cli("fit", "--REML").err


def test_polygons_are_taken_under_their_former_names(cli, folder):
    pytest.importorskip("geopandas")
    for name, words in (("new", "--polygons"), ("old", "--areas")):
        ran = cli("simulate", "-o", folder / "s.csv", f"{words}={folder / name}.geojson", "--places", "8")
        assert ran.code == 0, ran.err
    assert (folder / "new.geojson").read_text() == (folder / "old.geojson").read_text()
    for words in (("--polygons", folder / "new.geojson"), ("--places", folder / "new.geojson")):
        assert cli("report", folder / "post.nc", "-o", folder / f"{words[0]}.html", *words).code == 0
        assert cli("plot", "map", folder / "post.nc", "-o", folder / f"{words[0]}.svg", *words).code == 0
    assert (folder / "--polygons.html").read_text() == (folder / "--places.html").read_text()
    assert cli("plot", "map", folder / "post.nc", folder / "new.geojson", "-o", folder / "third.svg").code == 0
    ran = cli("plot", "map", folder / "post.nc", "-o", folder / "fourth.svg")
    assert (ran.code, "--polygons zips.geojson" in ran.err) == (2, True)


@pytest.mark.parametrize("words", ["fit", "calibrate", "plot", "plot lines", "report"])
def test_the_help_of_a_command_is_light(words):
    code = f"""import sys
sys.argv = ["priorhood", *{words.split()!r}, "--help"]
from priorhood.cli import main
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert loaded & {"numpy", "pandas", "duckdb", "numba", "xarray", "scipy", "matplotlib", "rich"} == set()


@pytest.mark.parametrize("name", [name for name in EVERY if name != "plot"])
def test_help_shows_no_types_of_python(cli, name):
    ran = cli(*name.split(), "--help")
    assert ran.code == 0
    assert "list[" not in ran.out
    assert "Path>" not in ran.out


def test_help_names_the_formats_of_tables_that_are_written(cli):
    for command in ("predict", "assess", "simulate"):
        words = " ".join(cli(command, "--help").out.split())
        for ending in (".csv", ".csv.gz", ".tsv", ".parquet", ".jsonl"):
            assert ending in words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("predict", "sales.csv", "post.nc", "-o", "x.csv"), "then the table: write post.nc sales.csv"),
        (("predict", "sales.csv", "post", "-o", "x.csv"), "then the table: write post sales.csv"),
        (("assess", "my sales.csv", "post.nc"), "then the table: write post.nc 'my sales.csv'"),
        (("update", "sales.csv", "post.nc", "-o", "x.nc"), "then the table: write post.nc sales.csv"),
        (("calibrate", "sales.csv", "post.nc"), "then the table: write post.nc sales.csv"),
        (("calibrate", "sales.csv", "price ~ 1"), "then the table: write 'price ~ 1' sales.csv"),
        (("plot", "map", "zips.geojson", "post.nc", "-o", "x.png"), "then the polygons: write post.nc zips.geo"),
    ],
)  # fmt: skip
def test_swapped_arguments_are_shown_in_their_order(refused, folder, monkeypatch, words, says):
    monkeypatch.chdir(folder)
    (folder / "post").write_bytes((folder / "post.nc").read_bytes())
    (folder / "my sales.csv").write_bytes((folder / "sales.csv").read_bytes())
    (folder / "zips.geojson").write_text("{}")
    refused(*words, says=(says,))
