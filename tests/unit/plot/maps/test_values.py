"""Maps: which number a place has, in which words; what is grey; the same as a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import priorhood as ph
from priorhood import plot
from priorhood.plot.maps import values
from priorhood.plot.maps.areas import read_areas
from priorhood.plot.maps.colours import place_colours
from priorhood.plot.maps.values import percent

matplotlib = pytest.importorskip("matplotlib")
geopandas = pytest.importorskip("geopandas")

UNITS = {"price": "€", "living_space": "m²"}


@pytest.fixture(scope="module")
def post(sales):
    return ph.fit(ph.Model("price ~ living_space + (living_space | zip)", units=UNITS), sales, draws=100, seed=3)


@pytest.fixture(scope="module")
def zips():
    return ph.simulate_areas(12)


@pytest.fixture(scope="module")
def nested(sales):
    """Districts of zips, the homes' kinds across them."""
    kinds = np.array(["flat", "loft", "house"])[np.arange(len(sales)) % 3]
    frame = sales.assign(district="d" + sales["zip"].str[2], kind=kinds)
    formula = "log(price) ~ living_space + (living_space | district/zip) + (1 | kind)"
    # Of three kinds the default prior leaves a tail for which no mean of a price exists.
    model = ph.Model(formula, "tau ~ HalfNormal(0.2)")
    return ph.fit(model, frame, chains=2, draws=50, seed=1)


@pytest.fixture(scope="module")
def districts(nested, zips):
    """The zips' polygons with their district."""
    features = [
        {**feature, "properties": {**feature["properties"], "district": "d" + feature["properties"]["zip"][2]}}
        for feature in zips["features"]
    ]
    return {**zips, "features": features}


def mapped(post, places, show=None, level=None, **options):
    return values.map_values(post, read_areas(places, post, level=level), show, **options)


def texts(figure):
    return [text.get_text() for text in figure.texts]


# -- the numbers ----------------------------------------------------------------------------------------------


def test_price_and_its_uncertainty(post, zips):
    at = {"living_space": 100}
    draws = post.expected(post.homes(at)).values.reshape(-1, 12)
    np.testing.assert_allclose(mapped(post, zips, at=at).values, draws.mean(axis=0))
    np.testing.assert_allclose(mapped(post, zips, "sd", at=at).values, draws.std(axis=0, ddof=1))


def test_probability_is_predicts(post, zips):
    at = {"living_space": 100}
    told = post.predict(post.homes(at), below=400_000)["below_400000"]
    found = mapped(post, zips, at=at, below=400_000)
    np.testing.assert_array_equal(found.values, told)
    assert found.kind == "share"


def test_rows_are_counted(post, zips, sales):
    counts = sales["zip"].value_counts()
    found = mapped(post, zips, "rows")
    assert found.values.tolist() == [counts[label] for label in found.areas.labels]


def test_coefficients(post, zips):
    found = mapped(post, zips, "beta[living_space]")
    expected = (
        post.natural("beta").sel(term="living_space").mean(("chain", "draw")).sel(zip=list(found.areas.labels))
    )
    np.testing.assert_allclose(found.values, expected)
    assert found.unit == "€ per m²"


def test_values_follow_the_polygons_that_there_are(post, zips):
    few = {**zips, "features": zips["features"][::-2]}
    whole, part = mapped(post, zips), mapped(post, few)
    at = [whole.areas.labels.index(label) for label in part.areas.labels]
    np.testing.assert_array_equal(part.values, whole.values[at])


def test_a_coarser_level_is_the_mean_of_its_places_by_rows(nested, districts):
    """The obvious way: one district, one zip at a time."""
    at, finest = {"living_space": 90}, nested.hierarchy.levels[0]
    homes = nested.homes(at)
    draws = nested.expected(homes, unseen="population").values.reshape(-1, finest.size)
    chance = nested.predict(homes, below=450_000, unseen="population")["below_450000"].to_numpy()
    n = np.bincount(finest.of_cell, weights=nested.moments.n)
    price = mapped(nested, districts, at=at, level="district")
    sd = mapped(nested, districts, "sd", at=at, level="district")
    below = mapped(nested, districts, at=at, level="district", below=450_000)
    for one, label in enumerate(price.areas.labels):
        inside = [i for i, shown in enumerate(finest.labels) if shown.startswith(f"{label}/")]
        share = n[inside] / n[inside].sum()
        assert price.values[one] == pytest.approx((draws[:, inside] @ share).mean())
        assert sd.values[one] == pytest.approx((draws[:, inside] @ share).std(ddof=1))
        assert below.values[one] == pytest.approx(chance[inside] @ share)
    assert "Mean over its zips, weighted by rows." in price.note
    assert mapped(nested, districts, "rows", level="district").values.sum() == 300


def test_a_crossed_grouping(nested):
    """The obvious way: one kind, one zip at a time."""
    shapes = geopandas.points_from_xy([0, 1, 2], [0, 0, 0]).buffer(0.4)
    kinds = geopandas.GeoDataFrame({"kind": ["flat", "house", "loft"]}, geometry=shapes, crs="EPSG:4326")
    found = mapped(nested, kinds, level="kind")
    finest, kind = nested.hierarchy.levels[0], nested.hierarchy.crossed[0]
    for one, label in enumerate(found.areas.labels):
        homes = nested.homes({"kind": label})
        values = nested.expected(homes).values.reshape(-1, finest.size)
        which = kind.of_cell == kind.labels.tolist().index(label)
        n = np.bincount(finest.of_cell[which], weights=nested.moments.n[which], minlength=finest.size)
        assert found.values[one] == pytest.approx((values @ (n / n.sum())).mean())
    effects = mapped(nested, kinds, "delta[Intercept]", level="kind")
    assert effects.diverging


def test_known_errors_are_those_of_measurements(sales, zips):
    model = ph.Model("price ~ 1 + (1 | zip)", se="se")
    post = ph.fit(model, sales.assign(se=40_000.0), chains=2, draws=100, seed=1)
    draws = post.expected(post.homes()).values.reshape(-1, 12)
    np.testing.assert_allclose(mapped(post, zips, below=400_000).values, (draws < 400_000).mean(axis=0))


# -- the words ------------------------------------------------------------------------------------------------


def test_titles_say_what_is_shown(post, zips):
    at = {"living_space": 100}
    assert mapped(post, zips, at=at).title == "Average price of a home of 100 m²"
    below = mapped(post, zips, at=at, below=350_000)
    assert below.title == "Probability that a home of 100 m² costs less than 350,000 €"
    plain = mapped(post, zips)
    assert plain.title == "Average price of a typical home"
    assert re.fullmatch(r"A typical home: living_space \d\d\.\d m²\.", plain.note)
    assert mapped(post, zips, "rows").title == "Rows of data in each zip"


def test_a_picture_has_its_words_and_all_polygons(post, zips):
    more = {"type": "Feature", "properties": {"zip": "00000"}, "geometry": zips["features"][3]["geometry"]}
    less = {**zips, "features": [*zips["features"][1:], more]}
    figure = plot.map(post, less, at={"living_space": 100})
    said = texts(figure)
    assert re.fullmatch(r"Average price of a home of 100 m²: [\d,]+ € in \d{5}, [\d,]+ € in \d{5}", said[0])
    assert said[-1].startswith(
        "11 of 12 zips have a polygon in the GeoJSON (zip); none: 10115; 1 polygon matches no zip"
    )
    patches = figure.axes[0].collections[0]
    assert len(patches.get_paths()) == 12
    assert matplotlib.colors.to_hex(patches.get_facecolor()[-1]) == "#dddddd"
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in figure.axes[1].get_yticklabels()]
    assert any(re.fullmatch(r"\d\d\d,000", tick) for tick in ticks), ticks
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "no data"
    assert plot.map(post, zips).axes[1].get_legend() is None


def test_colours_go_with_the_values(post, zips):
    found = mapped(post, zips)
    rgb = np.array([matplotlib.colors.to_rgb(one) for one in place_colours(found)])
    light = rgb @ [0.299, 0.587, 0.114]
    assert (np.diff(light[np.argsort(found.values)]) > 0).all()


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.001, "< 1 %"), (0.124, "12 %"), (0.999, "> 99 %"), (1.0, "100 %")]
)
def test_shares(share, text):
    assert percent(share) == text


def test_one_place(sales, zips):
    few = {**zips, "features": zips["features"][:1]}
    post = ph.fit("price ~ 1 + (1 | zip)", sales, chains=2, draws=50, seed=1)
    figure = plot.map(post, few)
    assert len(figure.axes[0].collections[0].get_paths()) == 1
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"show": "below"}, "needs a threshold"),
        ({"show": "price", "below": 350_000}, "show='price' has no threshold"),
        ({"show": "prices"}, "price, below, sd, rows, or one of its coefficients"),
        ({"show": "beta[living]"}, r"did you mean 'beta\[living_space\]'"),
        ({"at": {"area": 3}}, "no predictor 'area'"),
        ({"at": {"zip": "10115"}}, "leave 'zip' out of at="),
        ({"below": float("nan")}, "finite"),
        ({"level": "district"}, "no group 'district'"),
    ],
)
def test_wrong_wishes(post, zips, call, says):
    with pytest.raises(ph.ModelError, match=says):
        plot.map(post, zips, **call)


# -- the page -------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags of a page, and what its scripts hold."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.script, self.inside = [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data):
        if self.inside == "script":
            self.script += data


def told(page):
    return dict(json.loads(re.search(r"const data = (\[.*\]);", page.script)[1]))


def test_every_place_tells_its_numbers(post, zips):
    page = Page(plot.interactive_map(post, zips, at={"living_space": 100}, below=400_000).html)
    paths = [attrs for tag, attrs in page.tags if tag == "path"]
    assert len(paths) == 12
    assert [attrs["tabindex"] for attrs in paths] == ["0"] + ["-1"] * 11
    first = dict(told(page)["10115"])
    assert list(first) == ["Average", "90 % interval", "Below 400,000 €", "Rows of data"]
    assert re.fullmatch(r"\d\d\d,000 €", first["Average"])
    assert "10115: Average" in paths[0]["aria-label"]


def test_a_page_fetches_nothing_and_writes_labels_as_they_are(sales):
    odd = sales.assign(zip="</script><b>&" + sales["zip"])
    post = ph.fit("price ~ 1 + (1 | zip)", odd, chains=2, draws=50, seed=1)
    labels = post.hierarchy.levels[0].labels.tolist()
    shapes = geopandas.points_from_xy(range(12), [0] * 12).buffer(0.4)
    html = plot.interactive_map(
        post, geopandas.GeoDataFrame({"zip": labels}, geometry=shapes, crs="EPSG:4326")
    ).html
    assert html.count("</script>") == 1
    assert "<b>" not in html
    page = Page(html)
    assert set(told(page)) == set(labels)
    assert not re.search(r"(?:src|href)=|url\(|https?:|import ", html)
    assert "default-src 'none'" in html


def test_the_page_is_written_whole(post, zips, tmp_path):
    made = plot.interactive_map(post, zips)
    made.save(tmp_path / "map.html")
    assert (tmp_path / "map.html").read_text(encoding="utf-8") == made.html
    assert made._repr_html_().startswith("<iframe srcdoc=")
    with pytest.raises(ph.FileError, match=r"must end in \.html"):
        made.save(tmp_path / "map.png")


def test_geopandas_is_loaded_by_maps_alone():
    script = "import sys, priorhood\nassert not {'geopandas', 'shapely', 'matplotlib'} & set(sys.modules)\n"
    subprocess.run([sys.executable, "-c", script], check=True)
