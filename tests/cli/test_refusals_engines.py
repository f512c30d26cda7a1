"""Firm about engines, errors of rows and known errors: what is wrong, where, what to do; nothing half done."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest

import priorhood as ph
from command_line import run_cli

FIT = ("--engine", "nuts", "--tune", "200", "--draws", "100", "--chains", "2", "--seed", "1")


@pytest.fixture
def studies(folder):
    """Eight schools, as a CSV."""
    text = ["school,effect,se"]
    rows = zip("abcdefgh", (28, 8, -3, 7, -1, 1, 18, 12), (15, 10, 16, 11, 9, 11, 10, 18), strict=True)
    text += [f"{school},{effect},{se}" for school, effect, se in rows]
    (folder / "studies.csv").write_text("\n".join(text) + "\n")
    return folder / "studies.csv"


# -- refused ------------------------------------------------------------------------------------------------

OPTIONS = [
    (("--engine", "gibbs"), ("'gibbs'", "auto, exact, nuts")),
    (("--engine", "nuts", "--sampler", "stan"), ("'stan'", "nutpie, pymc, numpyro")),
    (("--engine", "nuts", "--parameterization", "centred"), ("'centred'", "'centered' or 'noncentered'")),
    (("--engine", "nuts", "--tune", "0"), ("tune", "at least 1")),
    (("--engine", "nuts", "--target-accept", "2"), ("target_accept", "between 0 and 1")),
    (("--tune", "500"), ("tune", "the exact engine fits this model", "--engine nuts")),
    (("--engine", "exact", "--family", "student"), ("Student-t", "--engine nuts")),
    (
        ("--noise", "zip", "--prior", "sigma ~ Exponential(1)", "--prior", "sigma_spread ~ HalfNormal(1)"),
        ("sigma", "zip", "sigma_spread", "choose one"),
    ),
    (("--prior", "sigma_median ~ Exponential(1)"), ("sigma_median", "one sigma", "--noise")),
    (("--noise", "zip", "--prior", "sigma_spread ~ Normal(0, 1)"), ("sigma_spread", "Normal", "HalfNormal")),
    (
        ("--noise", "zip", "--prior", "sigma_spread[x] ~ HalfNormal(1)"),
        ("sigma_spread[x]", "did you mean 'sigma_spread'? The parameters are"),
    ),
    (("--family", "cauchy"), ("'cauchy'", "'normal' or 'student'")),
    (("--noise", "district"), ("'district'", "'zip'")),
    (("--se", "zip"), ("se", "'zip'", "column of standard errors")),
    (("--se", "price"), ("se", "'price'")),
    (("--se", "error"), ("no column 'error'", "standard errors")),
    (("--se", "living_space", "--family", "student"), ("--se living_space", "--family student", "choose one")),
    (("--se", "living_space", "--prior", "sigma ~ Exponential(1)"), ("sigma", "known", "living_space")),
    (("--precision-weights", "zip"), ("precision_weights", "'zip'", "a separate column")),
    (("--frequency-weights", "price"), ("frequency_weights", "'price'", "a separate column")),
    (("--precision-weights", "w"), ("no column 'w'", "precision weights")),
    (("--frequency-weights", "living_space"), ("'living_space'", "not a whole number", "--precision-weights")),
    (
        ("--se", "living_space", "--precision-weights", "w"),
        ("--se living", "--precision-weights w", "choose one"),
    ),
    (
        ("--frequency-weights", "living_space", "--precision-weights", "living_space"),
        ("'living_space'", "frequency_weights", "precision_weights", "mean of n rows"),
    ),
    (("--engine", "exact", "--prior", "sigma ~ Fixed(0)"), ("Fixed", "greater than 0")),
]


@pytest.mark.parametrize(("options", "says"), OPTIONS, ids=[" ".join(o) for o, _ in OPTIONS])
def test_options(folder, refused, formula, options, says):
    refused("fit", folder / "sales.csv", formula, "-o", folder / "out.nc", *options, says=says)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("0", ("'se'", "0", "1 row")),
        ("-3", ("'se'", "-3")),
        ("inf", ("'se'", "'inf'", "1 row")),
        ("x", ("'se'", "'x'")),
    ],
)
def test_an_error_that_is_none(folder, studies, refused, value, says):
    studies.write_text(studies.read_text().replace("a,28,15", f"a,28,{value}"))
    refused("fit", studies, "effect ~ 1 + (1 | school)", "-o", folder / "out.nc", "--se", "se", says=says)


def test_rows_to_predict_need_their_errors(folder, studies, cli, refused):
    made = cli("fit", studies, "effect ~ 1 + (1 | school)", "-o", folder / "se.nc", "--se", "se", "--seed", "1")
    assert made.code == 0
    (folder / "new.csv").write_text("school\na\n")
    refused("predict", folder / "se.nc", folder / "new.csv", "-o", folder / "out.csv", says=("new.csv", "'se'"))
    refused("update", folder / "se.nc", folder / "new.csv", "-o", folder / "out.nc", says=("new.csv", "'effect'"))


@pytest.fixture(scope="module")
def student(stock, tmp_path_factory, formula):
    """Student-t errors and a scale a place, by NUTS from the command line, once: what it said, its file."""
    file = tmp_path_factory.mktemp("student") / "student.nc"
    options = ("--tune", "300", "--draws", "200", "--chains", "2", "--seed", "1", "--json")
    return run_cli(
        "fit", stock / "sales.csv", formula, "-o", file, "--family", "student", "--noise", "zip", *options
    ), file


@pytest.fixture(scope="module")
def heavy(student):
    return ph.load(student[1])


def test_what_needs_rows_says_so(folder, heavy, student, refused):
    with pytest.raises(ph.ModelError, match="does not compute the evidence"):
        _ = heavy.log_evidence
    saved = shutil.copy(student[1], folder)
    says = ("Student-t", "compare --by row instead")
    refused("compare", saved, folder / "post.nc", "--by", "evidence", says=says)
    says = ("Student-t", "needs the rows", "fit it again from a table")
    # --json, since others say first that the engine is to be compiled, on a machine where it has not been.
    refused("refit", saved, "--json", "-o", folder / "out.nc", "--prior", "tau ~ Exponential(1)", says=says)
    refused("update", saved, folder / "sales.csv", "--json", "-o", folder / "out.nc", says=says)
    refused(
        "merge", saved, folder / "post.nc", "--json", "-o", folder / "out.nc", says=("family", "student", "normal")
    )


# -- done ---------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_nuts_from_the_command_line_as_from_python(folder, cli, formula):
    ran = cli("fit", folder / "sales.csv", formula, "-o", folder / "out.nc", *FIT)
    assert ran.code == 0
    assert "compiling the model for NUTS" in ran.err
    assert "engine nuts: 2 chains × 100 draws, centered, nutpie" in ran.out
    assert "transitions diverged" in ran.out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        # The same rows in the same file: sums that differ in the last bit lead NUTS elsewhere.
        post = ph.fit(formula, folder / "sales.csv", engine="nuts", tune=200, draws=100, chains=2, seed=1)
    loaded = ph.load(folder / "out.nc")
    assert np.array_equal(loaded["beta"].values, post["beta"].values)
    assert loaded.tree["sample_stats"].to_dataset().equals(post.tree["sample_stats"].to_dataset())
    shown = cli("summary", folder / "out.nc", "--json")
    told = json.loads(shown.out)
    assert told["engine"] == "nuts"
    assert told["engine_reason"].startswith("requested")
    assert told["parameterization"] == "centered"
    assert "pareto_k" not in told
    predicted = cli("predict", folder / "out.nc", folder / "sales.csv", "-o", folder / "p.csv")
    assert predicted.code == 0
    again = cli("refit", folder / "out.nc", "-o", folder / "exact.nc", "--prior", "tau ~ Exponential(1)")
    assert again.code == 0
    assert "engine exact" in again.out


def test_auto_takes_nuts_where_the_exact_engine_does_not(cli, student, heavy):
    ran, file = student
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["engine"] == "nuts"
    assert "Student-t" in told["engine_reason"]
    labels = [row["parameter"] for row in told["summary"]]
    assert "nu" in labels
    assert sum(label.startswith("sigma[") for label in labels) == 8
    assert heavy["sigma"].dims == ("chain", "draw", "zip")
    # The screen shows what is not by place; --all shows every sigma.
    assert "sigma[" not in cli("summary", file).out.partition("R-hat")[2].partition("engine")[0]
    assert "sigma[" in cli("summary", file, "--all").out


def test_everything_fixed_is_a_conjugate_regression_and_valid_json(folder, studies, cli):
    ran = cli("fit", studies, "effect ~ 1 + (1 | school)", "-o", folder / "out.nc", "--se", "se", "--seed", "1",
              "--prior", "tau ~ Fixed(1)", "--json")  # fmt: skip
    assert ran.code == 0
    told = json.loads(ran.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert told["engine"] == "exact"
    assert told["acceptance"] == 1.0


@pytest.mark.filterwarnings(
    r"ignore:\s*ArviZ is undergoing:FutureWarning", "ignore::priorhood.PriorhoodWarning", "ignore:Estimated shape"
)
def test_a_nuts_posterior_goes_through_all_the_steps(folder, sales, heavy):
    """Fit, prior and posterior predictive, one file, ArviZ, the notebook's names."""
    az = pytest.importorskip("arviz")
    predictive = ph.posterior_predictive(heavy, sales, seed=1)
    whole = heavy.attach(ph.prior_predictive(heavy.model, sales, draws=50, seed=1), predictive)
    whole.save(folder / "whole.nc")
    again = ph.load(folder / "whole.nc")
    assert set(again.tree.children) == set(whole.tree.children)
    for name, group in whole.tree.children.items():
        assert again.tree[name].to_dataset().equals(group.to_dataset())
    opened = az.from_netcdf(str(folder / "whole.nc"))
    assert opened["posterior"]["nu"].dims == ("chain", "draw")
    loo = az.loo(opened)
    elpd = float(getattr(loo, "elpd", getattr(loo, "elpd_loo", np.nan)))
    assert elpd == pytest.approx(float(predictive["log_likelihood/price"].mean(("chain", "draw")).sum()), rel=0.02)
    names = again.notebook_names()
    assert names["posterior"]["alpha"].sel(zip_code="10115").shape == (2, 200)
    assert names["posterior"]["C_triu"].shape == (2, 200, 1)


@pytest.mark.parametrize(
    ("argv", "good"),
    [
        (("refit", "post.nc", "--prior", "nobody ~ Normal(0, 1)"), False),
        (("merge", "post.nc", "post.nc"), False),
        (("refit", "post.nc"), True),
    ],
)
def test_a_command_announces_that_it_compiles_only_after_it_could_refuse(
    folder, cli, fit_options, monkeypatch, argv, good
):
    monkeypatch.setattr("priorhood.engines.exact.compiled", lambda *_, **__: False)
    given = [folder / one if one.endswith(".nc") else one for one in argv]
    ran = cli(*given, "-o", folder / "new.nc", *fit_options)
    assert (ran.code == 0) == good
    assert ("compiling the engine" in ran.err) == good
