"""`--places` on the command line is places= in Python."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

FORMULA = "price ~ living_space + distance + (1 | zip)"
NEW = "99999"


@pytest.fixture
def zips(folder, sales):
    """zips.csv, with a place without sales."""
    labels = [*sorted(sales["zip"].unique()), NEW]
    frame = pd.DataFrame({"zip": labels, "distance": np.random.default_rng(2).gamma(2, 3, len(labels))})
    frame.to_csv(folder / "zips.csv", index=False)
    return frame


def test_fit_predict_and_update_are_pythons(folder, cli, zips, sales, fit_options, fast):
    places = ("--places", folder / "zips.csv")
    ran = cli("fit", folder / "sales.csv", FORMULA, "-o", folder / "away.nc", *places, *fit_options)
    assert ran.code == 0, ran.err
    post = ph.fit(FORMULA, folder / "sales.csv", places=folder / "zips.csv", **fast)
    np.testing.assert_array_equal(ph.load(folder / "away.nc")["beta"].values, post["beta"].values)
    homes = pd.DataFrame({"zip": [NEW, "88888"], "living_space": [80, 80]})
    homes.to_csv(folder / "homes.csv", index=False)
    options = ("-o", folder / "out.csv", "--unseen", "draw")
    assert cli("predict", folder / "away.nc", folder / "homes.csv", *options).code == 0
    assert pd.read_csv(folder / "out.csv")["status"].tolist() == ["new", "missing"]
    pd.DataFrame({"zip": ["88888"], "distance": [5.0]}).to_csv(folder / "more.csv", index=False)
    more = ("--places", folder / "more.csv")
    assert cli("predict", folder / "away.nc", folder / "homes.csv", *options, *more).code == 0
    found = pd.read_csv(folder / "out.csv", dtype={"zip": str})
    assert list(found.columns) == ["zip", "living_space", "mean", "sd", "q5", "q50", "q95", "status"]
    want = post.predict(homes, unseen="draw", places=folder / "more.csv")
    np.testing.assert_allclose(found["mean"], want["mean"])
    sales.head(5).assign(zip="88888").to_csv(folder / "late.csv", index=False)
    ran = cli("update", folder / "away.nc", folder / "late.csv", "-o", folder / "both.nc", *more, *fit_options)
    assert ran.code == 0, ran.err
    assert ("88888",) in ph.load(folder / "both.nc").place_table.places


def test_calibrate_takes_places(folder, cli, zips):
    ran = cli(
        "calibrate", FORMULA, folder / "sales.csv", "--places", folder / "zips.csv", "--refits", "20",
        "--seed", "1", "--json",
    )  # fmt: skip
    assert ran.code in (0, 1), ran.err
    assert "mu[distance]" in json.dumps(json.loads(ran.out))


def test_unknown_places_are_a_warning(folder, cli, zips, sales, fit_options):
    zips.iloc[1:].to_csv(folder / "zips.csv", index=False)
    out = folder / "away.nc"
    ran = cli("fit", folder / "sales.csv", FORMULA, "-o", out, "--places", folder / "zips.csv", *fit_options)
    assert ran.code == 0
    assert f"zip '{zips['zip'].iloc[0]}'; their rows are left out" in ran.err
    gone = int((sales["zip"] == zips["zip"].iloc[0]).sum())
    assert json.loads(ph.load(out).attrs["rows_dropped"]) == [["missing", "distance", gone]]


def test_bad_places_are_one_message(folder, refused, zips):
    fit = ("fit", folder / "sales.csv", FORMULA, "-o", folder / "x.nc", "--places")
    refused(*fit, folder / "nowhere.csv", says=("no file", "nowhere.csv"))
    pd.concat([zips, zips.assign(distance=1.5)]).to_csv(folder / "twice.csv", index=False)
    refused(*fit, folder / "twice.csv", says=("occurs twice", "and 1.5"))
    zips.assign(distance="n/a").to_csv(folder / "text.csv", index=False)
    refused(*fit, folder / "text.csv", says=("sales.csv with", "'distance'", "'n/a'"))
    refused("fit", folder / "sales.csv", "price ~ distance + (distance | zip)", "-o", folder / "x.nc",
            "--places", folder / "zips.csv", says=("constant within every zip",))  # fmt: skip
    refused(*fit[:3], "-o", folder / "zips.csv", "--places", folder / "zips.csv", says=("zips.csv",))
