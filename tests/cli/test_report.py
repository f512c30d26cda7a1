"""`priorhood report`: one page or none, of any saved posterior; messages without tracebacks."""

from __future__ import annotations

import importlib.util
import json
import re
import warnings

import pytest

import priorhood as ph
from shared_data import STORED

FILES = STORED
needs_geopandas = pytest.mark.skipif(
    importlib.util.find_spec("geopandas") is None, reason="geopandas is not installed"
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, fitted, sales):
    made = tmp_path_factory.mktemp("reports")
    fitted.save(made / "post.nc")
    ph.fit("price ~ living_space", sales, chains=2, draws=50, seed=1).save(made / "pooled.nc")
    (made / "zips.geojson").write_text(json.dumps(ph.simulate_areas(8)))
    (made / "elsewhere.geojson").write_text(
        json.dumps(ph.simulate_areas(8)).replace('"zip": "', '"zip": "elsewhere ')
    )
    return made


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


@needs_geopandas
def test_a_report_is_written(shelf, cli, tmp_path):
    out = tmp_path / "r.html"
    ran = cli(
        "report", shelf / "post.nc", "--polygons", shelf / "zips.geojson", "-o", out,
        "--at", "living_space=100", "--below", "350000", "--title", "Sales",
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert f"written to {out}" in ran.err
    assert " kB)" in ran.err
    told = data_of(out)
    assert told["title"] == "Sales"
    assert told["places"]["threshold"] == 350_000
    assert "living_space 100" in told["summary"][1]
    assert len(told["map"]["paths"]) == 8
    # The file's name, not where it lies.
    assert told["made"][0] == ["posterior", "post.nc"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_report_replaces_an_older_one(shelf, cli, tmp_path):
    out = tmp_path / "r.html"
    out.write_text("old")
    assert cli("report", shelf / "post.nc", "-o", out).code == 0
    assert data_of(out)["map"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--at", "living_spce=3"), "did you mean 'living_space'"),
        (
            ("--at", "living_space=large"),
            "'living_space' of the home must be a finite number, such as",
        ),
        (("--at", "living_space=nan"), "must be a finite number"),
        (("--below", "nan"), "below must be a finite number"),
        (("--level", "district"), "no level 'district'"),
        (("--column", "zip"), "add --polygons"),
        (("--polygons", "none.geojson"), "no file"),
    ],
)
def test_wrong_wishes_leave_nothing_behind(shelf, cli, tmp_path, options, says):
    ran = cli("report", shelf / "post.nc", "-o", tmp_path / "r.html", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@needs_geopandas
@pytest.mark.parametrize(
    ("file", "polygons", "says"),
    [
        ("post.nc", "elsewhere.geojson", "elsewhere"),
        ("post.nc", "post.nc", "cannot be read as a file of polygons"),
        ("pooled.nc", "zips.geojson", "priorhood fit"),
        ("zips.geojson", "zips.geojson", "cannot be read as a saved posterior"),
    ],
)
def test_wrong_files_leave_nothing_behind(shelf, cli, tmp_path, file, polygons, says):
    ran = cli("report", shelf / file, "--polygons", shelf / polygons, "-o", tmp_path / "r.html")
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert not list(tmp_path.iterdir())


def test_inputs_are_not_written_over(shelf, cli, tmp_path):
    page = tmp_path / "page.html"
    page.write_bytes((shelf / "post.nc").read_bytes())
    for file, polygons, out, says in (
        (page, None, page, "read in the same run"),
        (shelf / "post.nc", page, page, "read in the same run"),
        (shelf / "post.nc", None, tmp_path / "r.pdf", "must end in .html"),
        (shelf / "post.nc", None, tmp_path / "none" / "r.html", "no folder"),
        (shelf / "none.nc", None, tmp_path / "r.html", "no file"),
    ):
        before = page.read_bytes()
        ran = cli("report", file, "-o", out, *(["--polygons", polygons] if polygons else []))
        assert ran.code == 2
        assert says in ran.err
        assert page.read_bytes() == before
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize("name", [file.stem for file in sorted(FILES.glob("*.nc"))])
def test_old_files_have_reports(cli, tmp_path, name):
    ran = cli("report", FILES / f"{name}.nc", "-o", tmp_path / "r.html")
    assert ran.code == 0, ran.err
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)  # of what a formula meant then
        told, post = data_of(tmp_path / "r.html"), ph.load(FILES / f"{name}.nc")
    homes = post.homes()
    expected = post.expected(homes, unseen="population").values.reshape(-1, len(homes)).mean(axis=0)
    assert [row["mean"] for row in told["places"]["rows"]] == pytest.approx(expected, rel=1e-6)
    # 25 draws a chain are too few to judge by: the page's first screen says so.
    assert told["summary_checks"][1] is False
    assert "needs attention" in told["summary_checks"][0]
    assert dict(told["made"])["file format"] == name[len("format")]
