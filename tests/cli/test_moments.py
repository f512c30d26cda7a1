"""`priorhood moments`, and `fit` of what it writes: the same as in Python, said plainly, or refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import priorhood as ph


@pytest.fixture
def sites(folder, sales, cli, formula):
    """a.csv and b.csv, the two halves of sales.csv, and the sums of either."""
    for name, part in (("a", sales.iloc[:90]), ("b", sales.iloc[90:])):
        part.to_csv(folder / f"{name}.csv", index=False)
        assert cli("moments", folder / f"{name}.csv", formula, "-o", folder / f"{name}.moments").code == 0
    return folder


def test_fit_of_two_sites_is_the_fit_of_all_rows(sites, cli, fit_options, fitted, sales, formula, fast):
    ran = cli("fit", sites / "a.moments", sites / "b.moments", "-o", sites / "out.nc", *fit_options)
    assert (ran.code, ran.err) == (0, "")
    assert "160 of 160 rows used in 8 zips" in ran.out
    found = ph.load(sites / "out.nc")
    parts = [ph.moments(formula, sales.iloc[:90]), ph.moments(formula, sales.iloc[90:])]
    by_python = ph.fit(formula, parts, **fast)
    for name in fitted.parameters:
        np.testing.assert_allclose(found[name].values, by_python[name].values, rtol=1e-7)
        np.testing.assert_allclose(found[name].values, fitted[name].values, rtol=1e-6)


def test_a_site_between_pools(sites, cli, fit_options):
    # Whatever the name: the content decides.
    assert cli("moments", sites / "a.moments", sites / "b.moments", "-o", sites / "pooled.xyz").code == 0
    assert cli("fit", sites / "pooled.xyz", "-o", sites / "one.nc", *fit_options).code == 0
    assert cli("fit", sites / "a.moments", sites / "b.moments", "-o", sites / "two.nc", *fit_options).code == 0
    one, two = ph.load(sites / "one.nc"), ph.load(sites / "two.nc")
    np.testing.assert_array_equal(one["beta"].values, two["beta"].values)


def test_priors_are_chosen_at_the_fit_and_rows_at_the_sites(sites, cli, fit_options, formula):
    table, out = sites / "a.csv", sites / "out.moments"
    ran = cli("moments", table, formula, "-o", out, "--where", "price > 200000", "--minimum", "5")
    assert ran.code == 0
    frame = pd.read_csv(table, dtype={"zip": str}).query("price > 200000")
    found = ph.load_moments(out)
    wanted = ph.moments(formula, ph.read(table, where="price > 200000"), minimum=5)
    np.testing.assert_array_equal(found.moments.scatter, wanted.moments.scatter)
    assert f"{found.rows} of 90 rows used" in ran.out
    assert found.rows == frame.groupby("zip").size().loc[lambda n: n >= 5].sum()
    argv = ["fit", out, formula, "-o", sites / "out.nc", *fit_options, "--prior", "tau ~ HalfNormal(2)"]
    assert cli(*argv, "--noise", "zip").code == 0
    post = ph.load(sites / "out.nc")
    assert (post.priors()["tau"], post.model.noise) == (ph.HalfNormal(2), "zip")


def test_weights_are_known_of_the_sums(folder, cli, fit_options, sales, formula):
    sales.assign(w=2.0).to_csv(folder / "w.csv", index=False)
    assert cli("moments", folder / "w.csv", formula, "-o", folder / "w", "--precision-weights", "w").code == 0
    assert cli("fit", folder / "w", "-o", folder / "out.nc", *fit_options).code == 0
    assert ph.load(folder / "out.nc").model.precision_weights == "w"


def test_what_leaves_is_said(sites, cli, formula):
    few = pd.read_csv(sites / "a.csv", dtype={"zip": str})
    extra = few.head(3).assign(zip=["90001", "90002", "90002"])
    pd.concat([few, extra]).to_csv(sites / "c.csv", index=False)
    ran = cli("moments", sites / "c.csv", formula, "-o", sites / "c.moments")
    assert "for each of 10 zips its label, row count, means, variances and covariances" in ran.out
    assert "1 zip has a single row, so its sums reveal that row" in ran.out
    assert "1 zip has two rows, so its sums reveal both rows" in ran.out
    told = json.loads(
        cli("moments", sites / "c.csv", formula, "-o", sites / "c.moments", "--json", "--minimum", 3).out
    )
    assert told["dropped"] == [["fewer than 3 rows", "", 3, 2]]
    assert (told["places"], told["places_of_one_row"], told["rows_used"], told["rows_read"]) == (8, 0, 90, 93)


def test_a_posterior_in_place_of_sums(sites, cli, fit_options, fitted):
    assert cli("fit", sites / "post.nc", "-o", sites / "out.nc", *fit_options).err == ""
    np.testing.assert_array_equal(ph.load(sites / "out.nc")["beta"].values, fitted["beta"].values)
    ph.refit(fitted, priors="tau ~ HalfNormal(1)").save(sites / "prior.nc")
    ran = cli("fit", sites / "prior.nc", "-o", sites / "out.nc", *fit_options)
    assert ran.code == 0
    assert "not its priors and other choices; refit keeps those" in ran.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["a.moments", "a.csv"], ("a.csv", "a.moments' holds sums", "priorhood moments TABLE FORMULA")),
        (["a.moments", "a.moments"], ("the same rows", "pass each once")),
        (["a.moments", "c.moments"], ("no file", "c.moments", "did you mean")),
        (["a.csv"], ("a table and a formula, or files of sums",)),
        (["a.csv", "price ~ 1", "b.csv"], ("a table and a formula, or files of sums",)),
        (["a.moments", "price ~ living_space"], ("holds the sums for", "(living_space | zip)")),
        (["a.moments", "price ~ 1", "price ~ 2"], ("several formulas",)),
        (["a.moments", "--where", "price > 0"], ("--where needs the rows", "priorhood moments")),
        (["a.moments", "--drop-outliers", "1.5"], ("--drop-outliers needs the rows",)),
        (["a.moments", "--places", "a.csv"], ("--places needs the rows",)),
        (["a.moments", "--decimal", ","], ("--decimal needs the rows",)),
        (["a.moments", "--se", "w"], ("--se w", "computed with none")),
        (["a.moments", "--family", "student"], ("Student-t", "needs the rows")),
        (["a.moments", "--engine", "nuts"], ("NUTS needs the rows",)),
        (["cut.moments"], ("cut.moments", "truncated")),
        (["empty.moments"], ("empty.moments", "not a netCDF file")),
    ],
)
def test_refused(sites, refused, argv, says):
    (sites / "cut.moments").write_bytes((sites / "a.moments").read_bytes()[:2000])
    (sites / "empty.moments").write_bytes(b"")
    given = [sites / text if text.endswith((".csv", ".moments")) else text for text in argv]
    refused("fit", *given, "-o", sites / "out.nc", says=says)


def test_moments_refused(sites, refused, formula):
    refused("moments", sites / "a.csv", formula, "-o", sites / "x", "--minimum", "0", says=("minimum", "not 0"))
    refused(
        "moments",
        sites / "a.csv",
        formula,
        "-o",
        sites / "x",
        "--minimum",
        "99",
        says=("no zip has at least 99 rows",),
    )
    refused("moments", sites / "a.moments", "-o", sites / "x", "--minimum", "2", says=("--minimum needs the rows",))
    refused("moments", sites / "a.moments", "-o", sites / "a.moments", says=("read in the same run",))
    refused("moments", sites / "a.csv", formula, "-o", sites / "no" / "x", says=("no folder",))
    refused("summary", sites / "a.moments", says=("holds sums of rows, not a posterior", "priorhood fit"))
