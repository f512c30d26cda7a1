"""`priorhood compare`: one file, several, by all ways; what is refused."""

from __future__ import annotations

import json

import pytest

import priorhood as ph
from command_line import FAST, run_cli


@pytest.fixture(scope="module")
def levels(sales, tmp_path_factory):
    path = tmp_path_factory.mktemp("levels") / "levels.nc"
    ph.fit("price ~ living_space + (1 | zip)", sales, **FAST).save(path)
    return path


def test_one_file_prints_its_own_elpd(folder, fitted, sales):
    ran = run_cli("compare", folder / "post.nc", "--data", folder / "sales.csv")
    assert ran.code == 0, ran.err
    found = ph.loo(fitted, sales)
    assert f"elpd {found.elpd:,.1f}" in ran.out
    assert "✓" in ran.out


@pytest.mark.parametrize("by", ["row", "place", "evidence"])
def test_several_files_are_a_table(folder, levels, fitted, sales, by):
    ran = run_cli("compare", folder / "post.nc", levels, "--by", by, "--data", folder / "sales.csv", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    want = ph.compare({"post": fitted, "levels": ph.load(levels)}, sales, by=by)
    assert [one["model"] for one in told["models"]] == want.index.tolist()
    value = "log_evidence" if by == "evidence" else "elpd"
    assert told["models"][1][value] == pytest.approx(want[value].iloc[1])
    shown = run_cli("compare", folder / "post.nc", levels, "--by", by, "--data", folder / "sales.csv")
    assert "levels" in shown.out
    assert ("priors" in shown.out) == (by == "evidence")


def test_pictures_are_written(folder, levels):
    pytest.importorskip("matplotlib")
    for files in ((folder / "post.nc",), (folder / "post.nc", levels)):
        ran = run_cli("compare", *files, "--by", "place", "-o", folder / "picture.svg")
        assert ran.code == 0, ran.err
        assert (folder / "picture.svg").read_text().startswith("<?xml")


def test_what_is_refused(folder, levels, refused):
    refused("compare", folder / "post.nc", says=("--data",))
    refused("compare", folder / "post.nc", folder / "post.nc", says=("given twice",))
    refused("compare", folder / "post.nc", folder / "elsewhere.nc", "--by", "evidence", says=("different",))
    refused("compare", folder / "post.nc", "--by", "zip", says=("row, place, evidence",))
    refused("compare", folder / "post.nc", levels, "--by", "zip", says=("row, place, evidence",))
    refused("compare", folder / "post.nc", "--by", "place", "-o", folder / "x.txt", says=(".png",))
