"""The command line says the same words as Python, and the same numbers."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

import priorhood as ph
from priorhood.cli import app

COMMANDS = typer.main.get_command(app).commands

# Options of a command with another name in Python, or with a home elsewhere than in the function itself:
# file and table are its arguments; where, nulls and decimal are read()'s; standardize, priors, units and
# outcome_unit are Model's; out is Posterior.save's. --json and --out are the command line's own.
RENAMED = {"file": "post", "inputs": "table"}
ELSEWHERE = {
    "fit": {
        "where": ph.read, "nulls": ph.read, "decimal": ph.read, "thousands": ph.read,
        "priors": ph.Model, "units": ph.Model,
        "standardize": ph.Model, "outcome_unit": ph.Model,
        "family": ph.Model, "noise": ph.Model, "se": ph.Model,
        "precision_weights": ph.Model, "frequency_weights": ph.Model,
    },
    "moments": {
        "where": ph.read, "nulls": ph.read, "decimal": ph.read, "thousands": ph.read,
        "se": ph.Model, "precision_weights": ph.Model,
        "frequency_weights": ph.Model,
    },
    "update": {"where": ph.read, "nulls": ph.read, "decimal": ph.read, "thousands": ph.read},
    "predict": {"where": ph.read, "nulls": ph.read, "decimal": ph.read, "thousands": ph.read},
    "calibrate": {
        "where": ph.read, "nulls": ph.read, "decimal": ph.read, "thousands": ph.read,
        "priors": ph.Model, "standardize": ph.Model,
        "outcome_unit": ph.Model, "family": ph.Model, "noise": ph.Model, "se": ph.Model,
        "precision_weights": ph.Model, "frequency_weights": ph.Model,
    },
}  # fmt: skip
# --group LABEL is a place, which Python names by its column: zip="10115".
OWN = {"polygons", "out", "as_json", "group"}
FUNCTIONS = {
    "fit": ph.fit, "refit": ph.refit, "update": ph.update, "merge": ph.merge, "simulate": ph.simulate,
    "predict": ph.Posterior.predict, "calibrate": ph.calibrate, "report": ph.report,
    "sensitivity": ph.sensitivity, "influence": ph.influence, "moments": ph.moments,
}  # fmt: skip
# What only Python has: progress is drawn by the command line itself; the formula comes with the Model.
PYTHON_ONLY = {"progress", "model", "self"}
ARGUMENTS = {"file", "files", "table", "formula", "model", "inputs"}


def home(command, option):
    return ELSEWHERE.get(command, {}).get(option, FUNCTIONS[command])


def test_every_command_is_in_the_module_of_its_name():
    functions = dict(importlib.import_module("priorhood.cli").COMMANDS)
    assert importlib.import_module("priorhood.cli.plot").PICTURES
    del functions["plot"]
    assert {name: f"priorhood.cli.{name}" for name in functions} == {n: f.__module__ for n, f in functions.items()}


@pytest.mark.parametrize("command", FUNCTIONS)
def test_every_option_is_a_parameter_of_the_function(command):
    for parameter in COMMANDS[command].params:
        name = parameter.name
        if name in OWN:
            continue
        known = inspect.signature(home(command, name)).parameters
        aliases = {
            RENAMED.get(name, name),
            name,
            "posts" if name == "files" else name,
            "self" if name == "file" else name,
        }
        assert aliases & set(known), f"{command} has {name!r}, {home(command, name).__name__}() does not"


@pytest.mark.parametrize("command", FUNCTIONS)
def test_every_parameter_of_the_function_is_an_option(command):
    options = {RENAMED.get(p.name, p.name) for p in COMMANDS[command].params} | {"posts", "post", "table"}
    homes = [FUNCTIONS[command], *set(ELSEWHERE.get(command, {}).values())]
    wanted = {name for function in homes for name in inspect.signature(function).parameters}
    left = {"source", *PYTHON_ONLY}
    # MODEL is the formula itself; units are for printing equations, which calibrate does not.
    left |= {"formula", "units"} if command == "calibrate" else set()
    left |= {"places"} if command == "influence" else set()
    # The formula is an argument beside the table; of a model, sums need no more than it and the weights.
    left |= {"formula"} if command in ("fit", "moments") else set()
    chosen = {"priors", "outcome_unit", "standardize", "units", "family", "noise"}
    left |= chosen if command == "moments" else set()
    assert wanted - left <= options


@pytest.mark.parametrize("command", FUNCTIONS)
def test_options_have_the_same_defaults(command):
    for parameter in COMMANDS[command].params:
        name = parameter.name
        if name in OWN | ARGUMENTS | {"nulls"}:
            continue
        known = inspect.signature(home(command, name)).parameters[RENAMED.get(name, name)].default
        given = [float(v) for v in parameter.default.split(",")] if name == "quantiles" else parameter.default
        given = not given if name == "standardize" else given
        assert (list(known) if name in ("quantiles", "factors") else known) == given, name


# One value at a time is given, so the singular; what is a switch says what it switches off.
SPELT = {"as_json": "json", "everything": "all", "priors": "prior", "nulls": "null", "units": "unit",
         "standardize": "no-standardize"}  # fmt: skip


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_options_are_spelt_like_parameters(command):
    for parameter in COMMANDS[command].params:
        long = [text for text in parameter.opts if text.startswith("--")]
        shown = SPELT.get(parameter.name, parameter.name).replace("_", "-")
        if parameter.param_type_name == "option":
            assert f"--{shown}" in long
            assert parameter.help


def reading_tables():
    """Commands that take a table of rows, pictures too, by their words."""
    pictures = {f"plot {name}": command for name, command in COMMANDS["plot"].commands.items()}
    every = {name: command for name, command in {**COMMANDS, **pictures}.items() if name != "plot"}
    return {n: c for n, c in every.items() if any("TABLE" in (p.metavar or "") for p in c.params)}


def test_every_command_reads_tables_with_the_same_options():
    found = reading_tables()
    assert {"fit", "predict", "assess", "plot lines", "plot prior", "plot price", "plot pit"} <= set(found)
    shared = {}
    for name, command in found.items():
        options = {p.name: (tuple(p.opts), p.help, p.metavar, p.multiple) for p in command.params}
        for option in ("where", "nulls", "decimal", "thousands"):
            assert option in options, f"priorhood {name} reads a table without --{option}"
            assert shared.setdefault(option, options[option]) == options[option], (name, option)


def test_every_command_is_documented(cli):
    assert {"fit", "summary", "predict", "refit", "update", "merge", "simulate", "demo"} <= set(COMMANDS)
    for name, command in COMMANDS.items():
        assert command.help, name
        ran = cli(name, "--help")
        assert ran.code == 0
        assert command.help.splitlines()[0] in " ".join(ran.out.split())


# -- what is printed ------------------------------------------------------------------------------------


def argv_of(command, folder, formula, options):
    post, sales = folder / "post.nc", folder / "sales.csv"
    out = folder / ("out.csv" if command in ("predict", "simulate") else "out.nc")
    return {
        "fit": ["fit", sales, formula, "-o", out, *options],
        "summary": ["summary", post],
        "predict": ["predict", post, sales, "-o", out, "--below", "350000", "--seed", "3"],
        "refit": ["refit", post, "-o", out, *options, "--prior", "tau ~ Exponential(1)"],
        "update": ["update", post, folder / "elsewhere.csv", "-o", out, *options],
        "merge": ["merge", post, folder / "elsewhere.nc", "-o", out, *options],
        "simulate": ["simulate", "-o", out, "--places", "5", "--rows", "40"],
    }[command]


ALL = ["fit", "summary", "predict", "refit", "update", "merge", "simulate"]


@pytest.mark.parametrize("command", ALL)
def test_json_is_one_document_and_nothing_else(folder, cli, formula, fit_options, command):
    ran = cli(*argv_of(command, folder, formula, fit_options), "--json")
    assert ran.code == 0
    assert ran.err == ""
    document = json.loads(ran.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert isinstance(document, dict)
    assert ran.out.count("\n") == 1
    if command != "summary":
        assert document["out"].startswith(str(folder / "out."))
        assert (folder / Path(document["out"]).name).exists()
    if command in ("predict", "simulate"):
        assert document["rows"] == len(pd.read_csv(folder / "out.csv"))
    else:
        labels = [row["parameter"] for row in document["summary"]]
        assert "sigma" in labels
        assert document["rows_used"] == (320 if command in ("update", "merge") else 160)
        assert document["seed"] == 1


@pytest.mark.parametrize("command", ALL)
def test_no_colour_and_no_bar_in_a_pipe(folder, cli, formula, fit_options, command):
    ran = cli(*argv_of(command, folder, formula, fit_options))
    assert ran.code == 0
    assert ran.err == ""
    assert "\x1b" not in ran.out
    assert "\r" not in ran.out
    assert ran.out.strip()


def test_a_real_pipe(folder, formula, fit_options):
    """Once as the shell runs it: codes, streams and files of a process."""
    argv = [sys.executable, "-c", "from priorhood.cli import main; main()"]
    told = {"capture_output": True, "text": True, "cwd": folder, "encoding": "utf-8"}
    told["env"] = {**os.environ, "PYTHONPATH": str(Path(ph.__file__).parents[1])}
    good = subprocess.run([*argv, "fit", "sales.csv", formula, "-o", "out.nc", *fit_options], check=False, **told)
    assert (good.returncode, good.stderr) == (0, "")
    assert "\x1b" not in good.stdout
    assert "160 of 160 rows used in 8 zips" in good.stdout
    assert (folder / "out.nc").exists()
    bad = subprocess.run([*argv, "fit", "sale.csv", formula, "-o", "bad.nc"], check=False, **told)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "priorhood: no file 'sale.csv': did you mean 'sales.csv'?\n"
    assert not (folder / "bad.nc").exists()


def test_output_for_people_names_what_matters(folder, cli, formula, fit_options, sales):
    gaps = sales.astype({"living_space": object})
    gaps.loc[[0, 5], "living_space"] = np.nan
    gaps.to_csv(folder / "in.csv", index=False)
    units = ("--unit", "price=€", "--unit", "living_space=m²")
    ran = cli(
        "fit", folder / "in.csv", formula, "-o", folder / "out.nc", *fit_options, *units, "--where", "price < 8e5"
    )
    assert ran.code == 0
    few = int((gaps["price"] >= 8e5).sum())
    assert few > 0
    used = 160 - int(((gaps["price"] >= 8e5) | gaps["living_space"].isna()).sum())
    assert f"{used} of 160 rows used in 8 zips" in ran.out
    assert f"dropped {few} rows: where condition not met" in ran.out
    assert "rows: missing 'living_space'" in ran.out
    assert "€ per m²" in ran.out
    assert "seed 1" in ran.out
    assert "R-hat" in ran.out
    assert f"written to {folder / 'out.nc'}" in ran.out


# -- the same numbers -----------------------------------------------------------------------------------


def same_draws(one, other):
    for name in one.tree["posterior"].data_vars:
        # A CSV's sums and a frame's are taken in another order.
        np.testing.assert_allclose(one[name].values, other[name].values, rtol=1e-8, atol=1e-8)


def test_fit_is_pythons(folder, cli, formula):
    options = [
        "--where", "price > 100000", "--drop-outliers", "1.5", "--prior", "tau ~ HalfNormal(2)",
        "--prior", "mu ~ Normal(0, 90000)", "--outcome-unit", "50000", "--no-standardize", "--unit", "price=€",
        "--engine", "exact", "--chains", "2", "--draws", "30", "--seed", "8", "--threads", "1",
    ]  # fmt: skip
    assert cli("fit", folder / "sales.csv", formula, "-o", folder / "out.nc", *options).code == 0
    model = ph.Model(
        formula, ["tau ~ HalfNormal(2)", "mu ~ Normal(0, 90000)"], outcome_unit=50_000, standardize=False,
        units={"price": "€"},
    )  # fmt: skip
    rows = ph.read(folder / "sales.csv", where="price > 100000")
    post = ph.fit(model, rows, drop_outliers=1.5, engine="exact", chains=2, draws=30, seed=8)
    back = ph.load(folder / "out.nc")
    assert back.model == post.model
    assert back.moments.dropped == post.moments.dropped
    same_draws(back, post)


def test_decimal_and_null_are_pythons(folder, cli, sales, fit_options, formula, fast):
    text = sales.to_csv(index=False, sep=";", decimal=",").replace("zip;", "zip;", 1).splitlines()
    text[3] = ";".join([text[3].split(";")[0], "k. A.", text[3].split(";")[2]])
    (folder / "de.csv").write_text("\n".join(text) + "\n")
    argv = (
        "fit",
        folder / "de.csv",
        formula,
        "-o",
        folder / "out.nc",
        *fit_options,
        "--decimal",
        ",",
        "--null",
        "k. A.",
    )
    assert cli(*argv).code == 0
    same_draws(ph.load(folder / "out.nc"), ph.fit(formula, sales.drop(index=2), **fast))


def test_refit_update_merge_are_pythons(folder, cli, fitted, elsewhere, sales, fit_options, fast):
    out = folder / "out.nc"
    sales.head(50).to_csv(folder / "new.csv", index=False)
    assert cli("refit", folder / "post.nc", "-o", out, *fit_options, "--prior", "tau ~ Exponential(1)").code == 0
    same_draws(ph.load(out), ph.refit(fitted, priors="tau ~ Exponential(1)", **fast))
    argv = ("update", folder / "post.nc", folder / "new.csv", "-o", out, *fit_options, "--where", "price > 200000")
    assert cli(*argv).code == 0
    same_draws(ph.load(out), ph.update(fitted, ph.read(sales.head(50), where="price > 200000"), **fast))
    assert cli("merge", folder / "post.nc", folder / "elsewhere.nc", "-o", out, *fit_options).code == 0
    same_draws(ph.load(out), ph.merge(fitted, elsewhere, **fast))


def test_rows_that_are_in_the_posterior_already_are_noticed(folder, cli, fitted, fit_options, sales, fast):
    out = folder / "out.nc"
    ran = cli("update", folder / "post.nc", folder / "sales.csv", "-o", out, *fit_options)
    assert ran.code == 0
    assert "seem to be in the posterior already" in ran.err
    with pytest.warns(ph.PriorhoodWarning, match="seem to be in the posterior already"):
        same_draws(ph.load(out), ph.update(fitted, sales, **fast))


@pytest.mark.parametrize("outcome", ["price - 100000", "price / 1000", "log(price / 1000)"])
def test_predict_says_of_what(folder, cli, fit_options, outcome):
    """Only a log is undone: thresholds for the price itself would be compared with something else."""
    cli("fit", folder / "sales.csv", f"{outcome} ~ 1 + (1 | zip)", "-o", folder / "own.nc", *fit_options)
    run = ("predict", folder / "own.nc", folder / "sales.csv", "-o", folder / "out.csv")
    name = outcome.removeprefix("log(").removesuffix(")")
    assert f"predictions refer to {name}, the outcome in the formula" in cli(*run).out
    assert f"predictions and thresholds refer to {name}, the" in cli(*run, "--below", "1").out
    run = ("predict", folder / "post.nc", *run[2:])
    assert "predictions" not in cli(*run, "--below", "1").out


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_predict_is_pythons(folder, cli, fitted, sales, suffix):
    new = pd.concat([sales.head(20), sales.head(2).assign(zip="09999")], ignore_index=True)
    new.loc[3, "living_space"] = np.nan
    new.to_csv(folder / "new.csv", index=False)
    out = folder / f"out{suffix}"
    ran = cli(
        "predict", folder / "post.nc", folder / "new.csv", "-o", out, "--below", "350000", "--below", "1e6",
        "--above", "200000", "--quantiles", "0.1,0.9", "--unseen", "draw", "--prefix", "p_", "--seed", "5",
    )  # fmt: skip
    assert ran.code == 0
    expected = fitted.predict(
        new, below=[350_000, 1e6], above=200_000, quantiles=[0.1, 0.9], unseen="draw", prefix="p_", seed=5
    )
    reader = {".csv": pd.read_csv, ".parquet": pd.read_parquet}.get(suffix)
    if reader is None and suffix == ".tsv":
        found = pd.read_csv(out, sep="\t", dtype={"zip": str})
    elif reader is None:
        found = pd.read_json(out, lines=True, dtype={"zip": str})
    else:
        found = reader(out, dtype={"zip": str}) if suffix == ".csv" else reader(out)
    assert list(found) == list(expected)
    assert found["zip"].tolist() == new["zip"].tolist()
    assert found["p_status"].tolist() == expected["p_status"].tolist()
    numbers = [c for c in expected if c.startswith("p_") and c != "p_status"]
    np.testing.assert_allclose(found[numbers].astype(float), expected[numbers], rtol=1e-9)


def test_summary_is_pythons(folder, cli, fitted):
    for options, standardized in (((), False), (("--standardized",), True)):
        ran = cli("summary", folder / "post.nc", "--json", *options)
        found = pd.DataFrame(json.loads(ran.out)["summary"]).set_index("parameter")
        expected = fitted.summary(standardized=standardized)
        assert found.index.tolist() == expected.index.tolist()
        for column in ("mean", "sd", "median", "ess_bulk", "r_hat"):
            np.testing.assert_allclose(found[column].astype(float), expected[column], rtol=1e-6)


def test_summary_shows_groups_where_asked(folder, cli, fitted):
    label = f"beta[{fitted.moments.labels[0]}, living_space]"
    assert label not in cli("summary", folder / "post.nc").out
    assert label in cli("summary", folder / "post.nc", "--all").out


def test_simulate_is_pythons(folder, cli):
    assert cli("simulate", "-o", folder / "out.csv", "--places", "6", "--rows", "50", "--seed", "4").code == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "out.csv", dtype={"zip": str}), ph.simulate(6, 50, seed=4)[0]
    )


def test_demo(folder, cli):
    ran = cli("demo", "--out", folder / "demo")
    assert ran.code == 0
    made = {"sales.csv", "zips.geojson", "posterior.nc", "predictions.csv", "report.html"}
    made |= {f"{name}.png" for name in ("lines", "shrinkage", "price", "map")}
    assert {f.name for f in (folder / "demo").iterdir()} == made
    assert "$ priorhood fit" in ran.out
    assert str((folder / "demo" / "report.html").resolve()) in ran.out


def test_demo_without_extras_ends_with_the_report_too(folder, cli, monkeypatch):
    demo = importlib.import_module("priorhood.cli.demo")
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert cli("demo", "--out", folder / "plain").code == 0
    made = {"sales.csv", "zips.geojson", "posterior.nc", "predictions.csv", "report.html"}
    assert {f.name for f in (folder / "plain").iterdir()} == made


# -- what an import costs -------------------------------------------------------------------------------


def test_import_is_light():
    code = "import sys, priorhood; print(*sorted(m for m in sys.modules if '.' not in m))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "pymc", "arviz", "arviz_base", "arviz_stats", "matplotlib", "numba", "pandas", "duckdb", "xarray",
        "formulaic", "scipy", "polars", "pyarrow", "h5py",
    }  # fmt: skip
    assert heavy & set(ran.stdout.split()) == set()


def test_help_is_light():
    code = """import sys
sys.argv = ["priorhood", "--help"]
from priorhood.cli import main
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert loaded & {"pandas", "duckdb", "numba", "xarray", "arviz", "scipy"} == set()
