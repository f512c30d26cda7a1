"""`priorhood assess` and the pictures of its kin: exit codes, files, refusals."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import priorhood as ph


def test_verdicts_and_a_table_of_places(folder, cli):
    ran = cli("assess", folder / "post.nc", folder / "sales.csv", "-o", folder / "places.csv")
    found = ph.assess(ph.load(folder / "post.nc"), folder / "sales.csv")
    assert ran.code == (0 if found.good else 1)
    assert ran.out == f"{found}\n"
    written = pd.read_csv(folder / "places.csv", dtype={"zip": str})
    assert written["zip"].tolist() == found.summary().index.tolist()


def test_exit_code_1_where_a_place_does_not_fit(folder, cli, sales):
    label = sales["zip"].value_counts().index[0]
    there = (sales["zip"] == label).cumsum() % 2 - 0.5
    odd = sales.assign(price=sales["price"] + 2e6 * there.where(sales["zip"] == label, 0.0))
    odd.to_csv(folder / "odd.csv", index=False)
    ran = cli("assess", folder / "post.nc", folder / "odd.csv", "--json")
    assert ran.code == 1
    told = json.loads(ran.out)
    assert not told["good"]
    assert not told["own"]
    assert told["places"][0]["zip"] == label
    assert any(label in v["text"] for v in told["verdicts"] if not v["good"])


@pytest.mark.parametrize(
    "argv",
    [
        ("prior", "post.nc", "--bounds", "0", "10000000"),
        ("prior", "FORMULA", "--data", "sales.csv"),
        ("predictive", "post.nc", "--data", "sales.csv", "--kind", "histogram", "--draws", "10"),
        ("predictive", "post.nc", "--data", "sales.csv", "--group", "PLACE"),
        ("pit", "post.nc", "--data", "sales.csv"),
        ("misfit", "post.nc", "--data", "sales.csv"),
    ],
)
def test_pictures(folder, cli, formula, sales, argv):
    pytest.importorskip("matplotlib")
    there = {"FORMULA": formula, "PLACE": sales["zip"].iloc[0]} | {n: folder / n for n in ("post.nc", "sales.csv")}
    ran = cli("plot", *(there.get(a, a) for a in argv), "-o", folder / "p.svg")
    assert (ran.code, ran.out) == (0, ""), ran
    assert ran.err == f"written to {folder / 'p.svg'}\n"
    assert (folder / "p.svg").stat().st_size > 5000


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("assess", "post.nc", "none.csv"), ("none.csv",)),
        (("assess", "post.nc", "sales.csv", "-o", "x.png"), (".csv",)),
        (("assess", "post.nc", "sales.csv", "-o", "sales.csv"), ("read in the same run",)),
        (("assess", "post.nc", "sales.csv", "--unseen", "what"), ("unseen must be one of",)),
        (("assess", "post.nc", "bare.csv"), ("no column 'price'", "the outcome")),
        (("plot", "prior", "FORMULA", "-o", "p.png"), ("needs a table",)),
        (("plot", "prior", "post.nc", "-o", "p.png", "--bounds", "5", "1"), ("bounds must be",)),
        (("plot", "predictive", "post.nc", "--data", "sales.csv", "-o", "p.png", "--kind", "pie"), ("kind must",)),
        (("plot", "pit", "post.nc", "--data", "sales.csv", "-o", "p.jpg"), (".png",)),
        (("plot", "predictive", "post.nc", "--data", "sales.csv", "-o", "p.png", "--group", "x"), ("zip 'x'",)),
    ],
)
def test_bad_input(folder, refused, formula, sales, argv, says):
    pytest.importorskip("matplotlib")
    sales.drop(columns="price").to_csv(folder / "bare.csv", index=False)
    there = {"FORMULA": formula} | {
        n: folder / n for n in ("post.nc", "sales.csv", "none.csv", "x.png", "p.png", "p.jpg", "bare.csv")
    }
    refused(*(there.get(a, a) for a in argv), says=says)
