"""Odd names in several roles at once, wherever a table, a model or a posterior goes: as with plain names.

Draws and predictions are the same bits under one seed, since they see no name.
"""

from __future__ import annotations

import functools
import json
import unicodedata

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.model.tokens import alone, dimension
from priorhood.plot.maps.areas import read_areas

ROLES = ("plain", "kind", "zip", "city", "far", "w", "y")
# A name for every role: as many as there are, none twice in a row of them.
ODD = [
    ("area/rooms", "a*b", "a:b", "a|b", "a~b", "a=b", "a,b"),
    ("Area (m²)", "nº", "{x}", "100%", "a.b", "[0]", "Price (€)"),
    ("class", "from", "lambda", "True", "None", "in", "nan"),
    ("2020", "1/31/2010", "٣", "2nd floor", "1e5", "0", "2010-01-31"),
    ("日本", unicodedata.normalize("NFD", "größe"), "größe", "ｆｕｌｌ", "🏠", "ﬁ", "é"),
    ("it's", "quo\"te", "a\\b", "--", "/*c*/", "#", "a;b"),
    (" lead", "trail ", "two  blanks", "tab\there", "a\u00a0b", "\u200b", "line\nbreak"),
    ("Intercept", "I(area)", "type[loft]", "log(area)", "area:rooms", "C(f)", "sqrt"),
    ("value", "column", "label", "rows", "weight", "total", "index"),
    ("~", "|", "(", ")", "**", "/", ":"),
]  # fmt: skip
DRAWN = ("mu", "beta", "beta_*", "tau", "tau_*", "sigma")
QUICK = {"seed": 4, "chains": 1, "draws": 40}
PLAIN = tuple(f"plain_{role}" for role in ROLES)
TEXT = "{y} ~ {plain} * {kind} + log({plain}) + {far} + (1 | {city}/{zip})"


def made():
    rng = np.random.default_rng(3)
    n = 96
    frame = pd.DataFrame(
        {
            "zip": np.repeat(["01067", "10115", "20095", "50667", "80331", "99084"], 16),
            "city": np.repeat(["A", "B"], 48), "kind": np.tile(["u", "v", "w"], 32),
            "plain": rng.uniform(5, 40, n).round(1), "w": 1.0 + np.arange(n) % 3,
        }
    )  # fmt: skip
    frame["y"] = 100 + 3 * frame["plain"] + np.repeat(rng.normal(0, 20, 6), 16) + rng.normal(0, 10, n)
    places = frame[["zip", "city"]].drop_duplicates().assign(far=[1.0, 5.0, 2.5, 7.0, 3.0, 0.5])
    return frame, places


ROWS, PLACES = made()


def named(names):
    """The rows, the places, and formula under these names."""
    to = dict(zip(ROLES, names, strict=True))
    return ROWS.rename(columns=to), PLACES.rename(columns=to), to


def written(text, to):
    return text.format(**{role: f"`{name}`" for role, name in to.items()})


def done(names, folder):
    """What comes of the rows wherever they go: numbers alone."""
    rows, places, to = named(names)
    model = ph.Model(written(TEXT, to), written("tau_{city} ~ HalfNormal(3)", to))
    first = ph.fit(model, rows[::2], places=places, **QUICK)
    whole = ph.fit(model, rows, places=places, **QUICK)
    whole.save(folder / "whole.nc")
    again = ph.load(folder / "whole.nc")
    sites = []
    for at, part in enumerate((rows[::2], rows[1::2])):
        ph.moments(model, part, places=places).save(folder / f"{at}.moments")
        sites.append(ph.load_moments(folder / f"{at}.moments"))
    pooled = ph.fit(model, sites, **QUICK)
    own = alone(dimension(to["city"]))
    home = {to["zip"]: ["99084"], to["city"]: ["B"], to["plain"]: [10], to["kind"]: ["u"]}
    homes = rows.head(7).drop(columns=to["y"])
    found = {
        "drawn": [again[name.replace("*", own)].values.ravel() for name in DRAWN],
        "evidence": [one.log_evidence for one in (whole, again)],
        "updated": ph.update(first, rows[1::2], places=places, **QUICK).log_evidence,
        "merged": ph.merge(first, ph.fit(model, rows[1::2], places=places, **QUICK), **QUICK).log_evidence,
        "pooled": pooled.log_evidence,
        "refitted": ph.refit(again, priors=written("tau_{city} ~ Exponential(2)", to), **QUICK).log_evidence,
        "told": again.predict(homes)["mean"].to_numpy(),
        "of a place": again.predict(home)["q95"].to_numpy(),
        "where": ph.moments(model, ph.read(rows, where=f'"{to["plain"].replace(chr(34), 2 * chr(34))}" > 20'),
                            places=places).rows,
        "summary": again.summary()["mean"].to_numpy(),
    }  # fmt: skip
    for option in ("precision_weights", "frequency_weights", "se"):
        weighted = ph.Model(written("{y} ~ {plain} + (1 | {zip})", to), **{option: to["w"]})
        post = ph.fit(weighted, rows, **QUICK)
        found[option] = [post.log_evidence, *post.predict(rows.head(5))["sd"]]
    return found


def same(one, other, what):
    parts = (x if isinstance(x, list) else [x] for x in (one, other))
    left, right = (np.concatenate([*map(np.atleast_1d, each)]) for each in parts)
    np.testing.assert_array_equal(left, right, err_msg=what)


@functools.cache
def plain_done(folder):
    return done(PLAIN, folder)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return plain_done(tmp_path_factory.mktemp("plain"))


@pytest.mark.once
@pytest.mark.parametrize(
    "names", [*ODD[1:8:3], *(pytest.param(n, marks=pytest.mark.slow) for n in ODD if n not in ODD[1:8:3])], ids=repr
)
def test_wherever_a_table_goes(known, tmp_path, names):
    found = done(names, tmp_path)
    for what in known:
        same(known[what], found[what], what)


@pytest.mark.once
def test_the_control_sees_another_column(known, tmp_path, monkeypatch):
    """Were one name read as another column, nothing above would be equal."""
    monkeypatch.setitem(globals(), "ROWS", ROWS.assign(plain=ROWS["plain"].to_numpy()[::-1]))
    found = done(PLAIN, tmp_path)
    for what in ("drawn", "evidence", "updated", "merged", "pooled", "refitted", "told", "se"):
        with pytest.raises(AssertionError):
            same(known[what], found[what], what)


@pytest.mark.parametrize("names", ODD, ids=repr)
def test_polygons_are_joined_by_any_name(names):
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    rows, _, to = named(names)
    post = ph.fit(written("{y} ~ 1 + (1 | {zip})", to), rows, **QUICK)
    labels = rows[to["zip"]].unique().tolist()
    shapes = [shapely.box(at, 50, at + 1, 51) for at in range(len(labels))]
    areas = read_areas(geopandas.GeoDataFrame({to["zip"]: labels}, geometry=shapes, crs="EPSG:4326"), post)
    assert (areas.column, list(areas.labels)) == (to["zip"], labels)


@pytest.mark.filterwarnings("ignore::UserWarning:pytensor")
@pytest.mark.parametrize("names", [ODD[0], *(pytest.param(n, marks=pytest.mark.slow) for n in ODD[4:6])], ids=repr)
def test_the_model_of_pymc_is_that_of_plain_names(names):
    pytest.importorskip("pymc")
    found = []
    for one in (PLAIN, names):
        rows, places, to = named(one)
        model = ph.Model(written("{y} ~ {plain} * {kind} + {far} + ({plain} | {zip})", to))
        post = ph.fit(model, rows, places=places, **QUICK)
        pasted = rows.merge(places[[to["zip"], to["far"]]], on=to["zip"])
        built = model.to_pymc(pasted)
        logp = built.compile_logp(mode="FAST_COMPILE")
        new = post.rows_for_pymc(pasted.head(5))["new_data"]
        found.append([float(logp(built.initial_point(0))), *(np.ravel(value) for value in new.values())])
    same(*found, "density and rows")


def commands(names, folder, cli_main):
    """Every command that reads a table or a posterior; what it prints as JSON, without names."""
    rows, places, to = named(names)
    text = written("{y} ~ {plain} + {kind} + {far} + ({plain} | {zip})", to)
    rows.to_csv(folder / "rows.csv", index=False)
    rows[::2].to_csv(folder / "a.csv", index=False)
    rows[1::2].to_csv(folder / "b.csv", index=False)
    places.drop(columns=to["city"]).to_csv(folder / "places.csv", index=False)
    quick = ["--seed", "4", "--chains", "1", "--draws", "40"]
    at = [f"{to['plain']}=10", f"{to['kind']}=u"]
    found = []

    def run(*words):
        ran = cli_main(*map(str, words))
        assert ran.code in (0, 1), ran
        found.append(ran.code)
        return ran

    def numbers(path):
        frame = pd.read_csv(folder / path)
        return frame[["mean", "q95"]].to_numpy()

    place = ["--places", folder / "places.csv"]
    run("fit", folder / "rows.csv", text, *place, *quick, "--unit", f"{to['plain']}=m²", "-o", folder / "post.nc")
    run("predict", folder / "post.nc", folder / "rows.csv", "-o", folder / "told.csv")
    found.append(numbers("told.csv"))
    said = json.loads(run("summary", folder / "post.nc", "--json").out)
    found.append(len(said))
    run("check", folder / "post.nc")
    run("report", folder / "post.nc", "-o", folder / "r.html")
    run("assess", folder / "post.nc", folder / "rows.csv")
    run("plot", "price", folder / "post.nc", "--group", "01067", *[w for one in at for w in ("--at", one)],
        "-o", folder / "p.png")  # fmt: skip
    run("plot", "forest", folder / "post.nc", "-o", folder / "f.png")
    for part in "ab":
        run("moments", folder / f"{part}.csv", text, *place, "-o", folder / f"{part}.moments")
        run("fit", folder / f"{part}.csv", text, *place, *quick, "-o", folder / f"{part}.nc")
    run("fit", folder / "a.moments", folder / "b.moments", text, *quick, "-o", folder / "pooled.nc")
    run("merge", folder / "a.nc", folder / "b.nc", *quick, "-o", folder / "merged.nc")
    run("update", folder / "a.nc", folder / "b.csv", *quick, "-o", folder / "updated.nc")
    run(
        "refit",
        folder / "a.nc",
        *quick,
        "--prior",
        written("tau[{plain}] ~ HalfNormal(2)", to),
        "-o",
        folder / "re.nc",
    )
    run("influence", folder / "post.nc", "--group", "01067", *quick)
    run("sensitivity", folder / "post.nc", *quick)
    found += [ph.load(folder / f"{name}.nc").log_evidence for name in ("post", "pooled", "merged", "updated", "re")]
    return found


IN_COMMANDS = [ODD[1], ODD[0], ODD[3], ODD[5]]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    return commands(PLAIN, tmp_path_factory.mktemp("said"), _cli)


def _cli(*argv):
    import contextlib
    import io
    import os
    import sys
    from types import SimpleNamespace
    from unittest import mock

    from priorhood.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["priorhood", *argv]), mock.patch.object(os, "_exit", sys.exit),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop,
    ):  # fmt: skip
        main()
    return SimpleNamespace(code=stop.value.code or 0, out=out.getvalue(), err=err.getvalue())


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(IN_COMMANDS[0], marks=pytest.mark.long),
        *(pytest.param(n, marks=pytest.mark.slow) for n in IN_COMMANDS[1:]),
    ],
    ids=repr,
)
def test_every_command_takes_any_name(said, tmp_path, names):
    pytest.importorskip("matplotlib")
    found = commands(names, tmp_path, _cli)
    for one, other in zip(said, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
