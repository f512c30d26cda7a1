"""Polygons of places: read, joined by label, told apart; what did not match is said."""

from __future__ import annotations

import functools
import json

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood._text import naming_of
from priorhood.cli.wording import options
from priorhood.plot.maps.areas import read_areas

geopandas = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")

SQUARE = shapely.box(0, 0, 1, 1)


def squares(labels, column="zip", crs="EPSG:4326", **more):
    """A row of squares, one a label."""
    shapes = [shapely.box(at, 50, at + 1, 51) for at in range(len(labels))]
    return geopandas.GeoDataFrame({column: labels, **more}, geometry=shapes, crs=crs)


@pytest.fixture(scope="module")
def labels(fitted):
    return fitted.hierarchy.levels[0].labels.tolist()


@pytest.fixture(scope="module")
def nested():
    """Two counties in each of three states, one name in two of them."""
    rng = np.random.default_rng(1)
    states, counties = np.repeat(["A", "B", "C"], 40), np.tile(np.repeat(["North", "South"], 20), 3)
    counties[:20] = "West"
    rows = {"state": states, "county": counties, "y": rng.normal(size=120)}
    return ph.fit("y ~ 1 + (1 | state/county)", rows, chains=2, draws=50, seed=1)


# -- joining ------------------------------------------------------------------------------------------------


def test_places_in_their_order_and_what_did_not_match(fitted, labels):
    frame = squares([*labels[::-1][1:], "99999", None])
    areas = read_areas(frame, fitted)
    assert areas.column == "zip"
    assert list(areas.labels) == labels[:-1] == areas.frame.index.tolist()
    assert areas.unmatched_places == (labels[-1],)
    assert areas.unmatched_areas == ("99999", "(no label)")
    for label, shape in zip(frame["zip"][:-2], frame.geometry, strict=False):
        assert areas.frame.geometry[label].equals(shape)
    assert areas.account() == (
        f"11 of 12 zips have a polygon in the GeoDataFrame (zip); none: {labels[-1]}; "
        "2 polygons match no zip in the data"
    )


@pytest.mark.parametrize("make", [int, float, lambda label: f" {label}.0"])
def test_labels_in_other_spellings(fitted, labels, make):
    areas = read_areas(squares([make(label) for label in labels]), fitted)
    assert list(areas.labels) == labels
    assert areas.account() == "All 12 zips have a polygon in the GeoDataFrame (zip)"


def test_leading_zeros_that_were_lost(sales):
    zeros = sales.assign(zip="0" + sales["zip"].str[1:])
    post = ph.fit("price ~ 1 + (1 | zip)", zeros, chains=2, draws=50, seed=1)
    labels = post.hierarchy.levels[0].labels.tolist()
    areas = read_areas(squares([int(label) for label in labels]), post)
    assert list(areas.labels) == labels
    assert "12 labels match only without leading zeros, case, spaces or ZIP+4: '0" in areas.account()
    # The label itself goes before one that lacks zeros.
    both = read_areas(squares([labels[0], int(labels[0])]), post)
    assert both.unmatched_areas == (str(int(labels[0])),)


SPELLINGS = {
    "zeros": ("01067", "1067"),
    "more zeros": ("1067", "0001067"),
    "case": ("Mitte", "MITTE"),
    "blanks": ("SW1A 1AA", "sw1a1aa"),
    "ZIP+4 of the polygon": ("10001", "10001-1234"),
    "ZIP+4 of the place": ("10001-1234", "10001"),
    "both": ("1067", "01067-1234"),
}


@pytest.fixture(scope="module")
def spelled():
    """A fit to a place for the label of every spelling above, and two plain ones."""

    @functools.cache
    def fit(*places):
        rows = pd.DataFrame({"zip": [*places, "20095", "Altona"] * 6})
        rows["price"] = np.random.default_rng(5).normal(300, 20, len(rows)).round(1)
        return ph.fit("price ~ 1 + (1 | zip)", rows, chains=2, draws=50, seed=1)

    return fit


@pytest.mark.parametrize("name", SPELLINGS)
def test_one_rule_for_labels_of_polygons_and_of_predictions(spelled, name):
    """What a prediction calls nearly known, polygons are joined to, and say so."""
    place, label = SPELLINGS[name]
    post = spelled(place)
    with pytest.raises(ph.TableError, match=rf"'{label}' was not in .*but '{place}' was"):
        post.predict({"zip": [label]})
    areas = read_areas(squares([label, "20095", "Altona"]), post)
    assert dict(areas.loose) == {label: place}
    assert set(areas.labels) == {place, "20095", "Altona"}
    said = f"1 label matches only without leading zeros, case, spaces or ZIP+4: '{place}' as '{label}'"
    assert said in areas.account()


def test_a_label_that_may_be_several_places_is_none_of_them(spelled):
    """Nor are several labels one place; the label itself goes before what is nearly it."""
    several = spelled("10001-1234", "10001-5678")
    areas = read_areas(squares(["10001", "20095"]), several)
    assert areas.unmatched_areas == ("10001",)
    assert areas.loose == {}
    with pytest.raises(ph.TableError, match=r"'10001' may be '10001-1234', but not only that: one .* ZIP\+4"):
        read_areas(squares(["10001"]), several)
    one = spelled("10001")
    assert read_areas(squares(["10001-1", "10001-1234", "10001-5678", "20095"]), one).labels == ("20095",)
    exact = read_areas(squares(["10001", "10001-1234"]), one)
    assert (exact.labels, exact.unmatched_areas) == (("10001",), ("10001-1234",))


def test_the_property_with_most_labels_is_found(fitted, labels):
    frame = squares(labels, "plz", name=[f"place {at}" for at in range(12)], old=[*labels[:5], *"abcdefg"])
    assert read_areas(frame, fitted).column == "plz"
    assert read_areas(frame, fitted, column="old").column == "old"
    # The same labels twice are no choice; different ones are.
    assert read_areas(frame.assign(id=labels), fitted).column == "plz"
    with pytest.raises(ph.TableError, match=r"several properties.*'plz', 'other'.*column='plz'$"):
        read_areas(frame.assign(other=labels[::-1]), fitted)
    # One that is named like the group goes before others.
    assert read_areas(frame.assign(ZIP=["x"] * 11 + [labels[0]]), fitted).column == "ZIP"


def test_polygons_of_one_label_become_one(fitted, labels):
    areas = read_areas(squares([*labels, labels[0], labels[0]]), fitted)
    assert areas.merged == 2
    assert areas.frame.geometry[labels[0]].area == pytest.approx(3)
    assert "2 polygons were merged with others of the same label" in areas.account()


def test_outlines_that_cross_themselves_are_mended(fitted, labels):
    frame = squares(labels)
    bow = shapely.Polygon([(0, 50), (1, 51), (1, 50), (0, 51)])
    frame.geometry = [bow, *frame.geometry[1:]]
    areas = read_areas(frame, fitted)
    assert areas.repaired == 1
    assert areas.frame.geometry[labels[0]].area == pytest.approx(0.5)
    assert "1 outline that crosses itself was repaired" in areas.account()


def test_nested_places(nested):
    shown = nested.hierarchy.levels[0].labels.tolist()
    assert shown == ["A/South", "A/West", "B/North", "B/South", "C/North", "C/South"]
    two = squares([label.partition("/")[2] for label in shown], "county", state=[s[0] for s in shown])
    areas = read_areas(two, nested)
    assert (areas.column, list(areas.labels)) == ("state/county", shown)
    assert list(read_areas(squares(shown, "id"), nested).labels) == shown
    assert list(read_areas(squares(["A", "B", "C"], "name"), nested, level="state").labels) == ["A", "B", "C"]
    # A name that one county alone has tells where it is; one of several does not.
    alone = read_areas(squares(["West", "South"], "name"), nested)
    assert list(alone.labels) == ["A/West"]
    assert alone.unmatched_areas == ("South",)
    with pytest.raises(ph.TableError, match="'South' is the name of several, so use state/county"):
        read_areas(squares(["South", "East"], "name"), nested)


# -- what cannot be joined ------------------------------------------------------------------------------------


def test_wrong_wishes(fitted, labels, nested):
    with pytest.raises(ph.TableError, match=r"no property 'plz'.*choose from 'zip', 'name'"):
        read_areas(squares(labels, name=labels), fitted, column="plz")
    with pytest.raises(ph.TableError, match="it has no properties"):
        read_areas(squares(labels)[["geometry"]], fitted, column="plz")
    with pytest.raises(ph.TableError) as caught:
        read_areas(squares(["a", "b", "c", "d"], "name"), fitted)
    assert "has 'a', 'b'" not in str(caught.value)
    for part in (*labels[:3], "'a', 'b', 'c' and 1 more", "'name'"):
        assert part in str(caught.value)
    added = r"has no group 'stat'; did you mean 'state'.*ph\.fit\('.* \+ \(1 \| stat\)', table\)$"
    with pytest.raises(ph.ModelError, match=added):
        read_areas(squares(["A"]), nested, level="stat")
    with pytest.raises(ph.TableError, match="not int"):
        read_areas(3, fitted)


def test_no_group_says_which_fit_adds_it(sales):
    pooled = ph.fit("price ~ living_space", sales, chains=2, draws=50, seed=1)
    with pytest.raises(ph.ModelError, match=r"one: ph\.fit\('price ~ living_space \+ \(1 \| zip\)', table\)$"):
        read_areas(squares(["1"]), pooled)
    command = r"one: priorhood fit TABLE 'price ~ living_space \+ \(1 \| zip\)' -o FILE$"
    with naming_of(options), pytest.raises(ph.ModelError, match=command):
        read_areas(squares(["1"]), pooled)


def test_coordinates_must_be_known(fitted, labels):
    bare = squares(labels, crs=None)
    with pytest.raises(ph.TableError, match=r"no CRS.*set crs='EPSG:4326' for longitude and latitude$"):
        read_areas(bare, fitted)
    assert read_areas(bare, fitted, crs="EPSG:4326").frame.crs == "EPSG:4326"
    for nowhere in ("EPSG:4978", "EPSG:5703", "+proj=cart +type=crs"):  # geocentric, heights alone
        with pytest.raises(ph.TableError, match="is not a map projection; set crs="):
            read_areas(bare, fitted, crs=nowhere)
    for moon in ("IAU_2015:30100", "+proj=longlat +a=1737400 +b=1737400 +type=crs"):
        with pytest.raises(ph.TableError, match="which are not on the Earth; set crs="):
            read_areas(bare, fitted, crs=moon)
    far = bare.set_geometry(bare.geometry.translate(3e7, 3e7))
    with pytest.raises(ph.TableError, match="which are not on the Earth"):
        read_areas(far, fitted, crs="+proj=ortho +lat_0=-90 +type=crs")
    with pytest.raises(ph.TableError, match="crs 'metres' is not a coordinate reference system"):
        read_areas(bare, fitted, crs="metres")
    far = squares(labels)
    far.geometry = far.geometry.scale(1000, 1000, origin=(0, 0))
    with pytest.raises(ph.TableError, match="not degrees of longitude and latitude"):
        read_areas(far, fitted)


def test_other_geometries(fitted, labels):
    points = squares(labels).set_geometry(squares(labels).geometry.representative_point())
    with pytest.raises(ph.TableError, match="has no polygons, only Point"):
        read_areas(points, fitted)
    with pytest.raises(ph.TableError, match="has no polygons"):
        read_areas(squares([]), fitted)
    mixed = squares(labels)
    mixed.geometry = [None, *mixed.geometry[1:]]
    assert read_areas(mixed, fitted).unmatched_places == (labels[0],)


def test_files(fitted, labels, tmp_path):
    whole = tmp_path / "a.geojson"
    whole.write_text(json.dumps(ph.simulate_areas(12)))
    assert list(read_areas(whole, fitted).labels) == labels
    assert list(read_areas(str(whole), fitted).labels) == labels
    assert list(read_areas(ph.simulate_areas(12), fitted).labels) == labels
    with pytest.raises(ph.FileError, match="no file"):
        read_areas(tmp_path / "b.geojson", fitted)
    whole.write_text('{"type": "Feat')
    with pytest.raises(ph.FileError, match="cannot be read as a file of polygons"):
        read_areas(whole, fitted)
    table = tmp_path / "table.csv"
    table.write_text("zip,price\n10115,3\n")
    with pytest.raises(ph.PriorhoodError):
        read_areas(table, fitted)
    for wrong in ({}, {"type": "FeatureCollection", "features": [3]}):
        with pytest.raises(ph.TableError, match="GeoJSON"):
            read_areas(wrong, fitted)


def test_without_geopandas_the_extra_is_named(fitted, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(ph.ModelError, match=r"pip install geopandas \(priorhood's extra \[map\]\)"):
        read_areas("a.geojson", fitted)


# -- outlines -----------------------------------------------------------------------------------------------


def area(rings):
    """Of a polygon with holes, by the rings' orientation."""
    total = 0.0
    for ring in rings:
        x, y = np.array(ring).T
        total += (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2
    return abs(total)


def test_rings_are_in_the_unit_box_and_keep_areas(fitted):
    areas = read_areas(ph.simulate_areas(12), fitted)
    rings = areas.rings(0)
    assert list(rings) == list(areas.labels)
    points = np.concatenate([point for outline in rings.values() for point in outline])
    assert points.min() == pytest.approx(0, abs=1e-4)
    assert points.max() == pytest.approx(1, abs=1e-4)
    west, south, east, north = areas.box
    size = max(east - west, north - south)
    geodesic = areas.frame.crs.get_geod()
    for label, outline in rings.items():
        true = abs(geodesic.geometry_area_perimeter(areas.frame.geometry[label])[0])
        assert area(outline) * size**2 == pytest.approx(true, rel=2e-3)


def test_north_is_up_in_rings(fitted, labels):
    frame = squares(labels)
    frame.geometry = [shapely.box(0, at, 1, at + 1) for at in range(12)]
    middle = [np.mean([y for _, y in outline[0]]) for outline in read_areas(frame, fitted).rings().values()]
    assert middle == sorted(middle, reverse=True)


def test_holes_and_islands_stay(fitted, labels):
    hole = shapely.box(0, 50, 6, 56).difference(shapely.box(2, 52, 4, 54))
    islands = shapely.MultiPolygon([shapely.box(7, 50, 8, 51), shapely.box(9, 50, 10, 51)])
    frame = geopandas.GeoDataFrame({"zip": labels[:2]}, geometry=[hole, islands], crs="EPSG:4326")
    areas = read_areas(frame, fitted)
    assert [len(outline) for outline in areas.rings().values()] == [2, 2]


def test_shared_borders_are_simplified_alike():
    """Simplified one by one, the same polygons leave gaps: the control."""
    from priorhood.plot.maps.areas import simplify

    rng = np.random.default_rng(3)
    x = np.linspace(0, 100, 400)
    wavy = np.stack([x, 50 + rng.normal(size=400).cumsum() * 0.3], axis=1)
    lower = shapely.Polygon([(0, 0), *wavy.tolist(), (100, 0)])
    upper = shapely.Polygon([(0, 100), *wavy.tolist(), (100, 100)])
    shapes = np.array([lower, upper])
    found = simplify(shapes, 3.0)
    assert sum(map(shapely.get_num_coordinates, found)) < 400
    assert shapely.coverage_is_valid(found)
    assert found[0].union(found[1]).area == pytest.approx(lower.union(upper).area)
    alone = np.array([simplify(shapes[[at]], 3.0)[0] for at in (0, 1)])
    assert not shapely.coverage_is_valid(np.array([alone[0], alone[1].simplify(5)]))


def test_the_180th_meridian(fitted, labels):
    frame = squares(labels)
    frame.geometry = [shapely.box(x, 50, x + 1, 51) for x in (*range(174, 180), *range(-180, -174))]
    west, _, east, _ = read_areas(frame, fitted).box
    assert east - west < 1_000_000
