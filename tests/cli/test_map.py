"""`priorhood plot map` and `simulate --polygons`: files whole or not at all, messages without tracebacks."""

from __future__ import annotations

import json

import pytest

import priorhood as ph

pytest.importorskip("geopandas")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, fitted):
    made = tmp_path_factory.mktemp("maps")
    fitted.save(made / "post.nc")
    (made / "zips.geojson").write_text(json.dumps(ph.simulate_areas(8)))
    return made


@pytest.mark.parametrize("name", ["map.png", "map.svg", "map.pdf", "map.html"])
def test_maps_are_written(shelf, cli, name):
    ran = cli(
        "plot", "map", shelf / "post.nc", "--polygons", shelf / "zips.geojson", "-o", shelf / name,
        "--at", "living_space=100", "--below", "350000",
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert "written to" in ran.err
    assert (shelf / name).stat().st_size > 2000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--column", "plz"), "choose from 'zip'"),
        (("--level", "district"), "has no group 'district'"),
        (("--show", "below"), "--below 350000"),
        (("--at", "area=3"), "no predictor 'area'"),
        (("--crs", "metres"), "crs 'metres'"),
        (("--crs", "EPSG:4978"), "is not a map projection"),
        (("--crs", "IAU_2015:30100"), "not on the Earth"),
    ],
)
def test_wrong_wishes_leave_nothing_behind(shelf, cli, options, says):
    for name in ("wrong.png", "wrong.html"):
        ran = cli(
            "plot", "map", shelf / "post.nc", "--polygons", shelf / "zips.geojson", "-o", shelf / name, *options
        )
        assert ran.code == 2
        assert says in ran.err
        assert not (shelf / name).exists()


@pytest.mark.parametrize("name", ["map.png", "map.html", "report.html"])
@pytest.mark.parametrize("missing", [0, 2])
def test_places_without_a_polygon_are_a_warning(shelf, cli, fitted, name, missing):
    areas = ph.simulate_areas(8)
    lost = [one["properties"]["zip"] for one in areas["features"][:missing]]
    (shelf / "few.geojson").write_text(json.dumps({**areas, "features": areas["features"][missing:]}))
    command = ["report"] if name.startswith("report") else ["plot", "map"]
    ran = cli(*command, shelf / "post.nc", "--polygons", shelf / "few.geojson", "-o", shelf / name)
    assert ran.code == 0
    warned = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == (missing > 0)
    for line in warned:
        assert line.startswith("warning: 6 of 8 zips have a polygon in ")
        assert all(label in line for label in lost)


def test_wrong_files(shelf, cli):
    zips, post = shelf / "zips.html", shelf / "post.nc"
    zips.write_bytes((shelf / "zips.geojson").read_bytes())
    for given, out, says in (
        (shelf / "none.geojson", "a.png", "no file"),
        (zips, "a.gif", "must end in .png, .svg, .pdf or .html"),
        (zips, "zips.html", "it is read in the same run"),
        (post, "a.png", "cannot be read as a file of polygons"),
    ):
        before = zips.read_bytes()
        ran = cli("plot", "map", post, "--polygons", given, "-o", shelf / out)
        assert ran.code == 2, says
        assert says in ran.err
        assert zips.read_bytes() == before


def test_simulated_sales_come_with_polygons(tmp_path, cli):
    few = ("--places", "8", "--rows", "100", "--seed", "4")
    plain = cli("simulate", "-o", tmp_path / "a.csv", *few)
    ran = cli("simulate", "-o", tmp_path / "b.csv", "--polygons", tmp_path / "zips.geojson", *few)
    assert (plain.code, ran.code) == (0, 0), ran.err
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert json.loads((tmp_path / "zips.geojson").read_text()) == ph.simulate_areas(8, 4)
    for name, says in (("zips.png", "must end in .geojson"), ("none/zips.geojson", "no folder")):
        wrong = cli("simulate", "-o", tmp_path / "c.csv", "--polygons", tmp_path / name, *few)
        assert wrong.code == 2
        assert says in wrong.err
        assert not (tmp_path / "c.csv").exists()
