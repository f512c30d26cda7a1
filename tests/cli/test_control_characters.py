"""What comes from a file's labels neither steers a terminal nor breaks a picture or a page."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest

import priorhood as ph
from priorhood._text import escape_control
from priorhood.cli.output import EscapedStream, escaped_output

pytest.importorskip("matplotlib")
gpd = pytest.importorskip("geopandas")

# ESC, CSI as one character of C1, an override of the direction, BEL and BS, DEL, and what XML knows by name.
LABELS = ["\x1b[31mred", "\x9b2Jclear", "right\u202egnp", "bell\x07\x08", "del\x7f", "<b>&\"'", "line\u2028end"]
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Sales in places with such labels, a fit with such a type, and polygons of them."""
    folder = tmp_path_factory.mktemp("odd")
    frame, _ = ph.simulate(len(LABELS), 140, seed=3)
    codes = dict(zip(sorted(frame["zip"].unique()), LABELS, strict=True))
    frame["zip"] = frame["zip"].map(codes)
    frame["kind"] = [("\x1b[1mflat", "house")[at % 2] for at in range(len(frame))]
    frame.to_csv(folder / "sales.csv", index=False)
    areas = ph.simulate_areas(len(LABELS), 1)
    for feature, label in zip(areas["features"], LABELS, strict=True):
        feature["properties"]["zip"] = label
    (folder / "zips.geojson").write_text(json.dumps(areas))
    post = ph.fit("price ~ living_space + kind + (living_space | zip)", frame, chains=2, draws=120, seed=1)
    post.save(folder / "post.nc")
    return folder


def test_visible_shows_what_it_was_and_leaves_the_rest():
    assert escape_control("\x1b[31m \x9b \u202e \x7f \r \ud800") == "\\x1b[31m \\x9b \\u202e \\x7f \\r \\ud800"
    for text in ("Köln, 80 m²\n\t€", "שלום", "🏠", "a\\x1b", ""):
        assert escape_control(text) == text
    for label in LABELS:
        assert not UNSEEN.search(escape_control(label))


COMMANDS = {
    "fit": ["fit", "sales.csv", "price ~ living_space + kind + (1 | zip)", "-o", "out.nc", "--draws", "50"],
    "summary": ["summary", "post.nc", "--all"],
    "check": ["check", "post.nc"],
    "moments": ["moments", "sales.csv", "price ~ living_space + kind + (1 | zip)", "-o", "out.moments"],
    "assess": ["assess", "post.nc", "sales.csv"],
    "influence": ["influence", "post.nc"],
    "compare": ["compare", "post.nc", "--by", "place"],
    "sensitivity": ["sensitivity", "post.nc", "--chains", "2", "--draws", "50"],
    "no group": ["plot", "lines", "post.nc", "-o", "out.png", "--group", "\x1b[31mrad"],
    "no file": ["check", "\x1b[31mnone\udcff.nc"],
    "no option": ["check", "--\x1b[31mnone", "post.nc"],
    "no command": ["\x1b[31mnone"],
    "no column": ["fit", "sales.csv", "price ~ `\x1b[31mnone`", "-o", "out.nc"],
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_nothing_raw_on_the_terminal(cli, odd, monkeypatch, case):
    monkeypatch.chdir(odd)
    ran = cli(*COMMANDS[case])
    assert ran.code in (0, 1, 2)
    assert not UNSEEN.search(ran.out + ran.err)
    said = ran.out + ran.err
    if case in ("summary", "no file", "no group", "no column"):
        assert "\\x1b[" in said
    for name in ("out.nc", "out.moments"):
        (odd / name).unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["[/b]", "[red]", ":house:", "a\\\\[b]"])
def test_names_are_no_markup(cli, odd, tmp_path, name):
    """Of a file, a column and a label."""
    frame = pd.read_csv(odd / "sales.csv").rename(columns={"kind": name})
    frame["zip"] = frame["zip"].replace(LABELS[0], name)
    frame.to_csv(tmp_path / f"{name.replace('/', '')}.csv", index=False)
    out = tmp_path / f"{name.replace('/', '')}.nc"
    table = tmp_path / f"{name.replace('/', '')}.csv"
    ran = cli("fit", table, f"price ~ living_space + `{name}` + (1 | zip)", "-o", out, "--draws", "50")
    assert ran.code == 0, ran.err
    assert f"written to {out}" in ran.out
    assert ran.out.count(name) >= 2
    said = "".join(cli("summary", out, "--all").out.split())
    assert f"zip={name}" in said or f",{name}]" in said or f"[{name}" in said


def test_without_the_screen_they_would_arrive(odd):
    """The control: the same summary printed as it is."""
    assert UNSEEN.search("\n".join(ph.load(odd / "post.nc").summary().index))


def test_a_terminal_that_has_fewer_characters_gets_what_it_can_show(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    with escaped_output():
        assert isinstance(sys.stdout, EscapedStream)
        print("Köln \x1b \udcff ✓")
    narrow.flush()
    assert narrow.buffer.getvalue() == b"K\\xf6ln \\x1b \\udcff \\u2713\n"


def test_json_says_them_in_its_own_way(cli, odd):
    ran = cli("compare", odd / "post.nc", "--by", "place", "--json")
    assert not UNSEEN.search(ran.out)
    assert ran.out.isascii()
    labels = {row["place"] for row in json.loads(ran.out)["pointwise"] if "place" in row}
    assert not labels or labels == set(LABELS)


DRAWN = ("trace", "diagnostics", "ranks", "lines", "shrinkage", "forest", "priors", "correlation", "price")


@pytest.mark.parametrize("kind", DRAWN)
def test_a_picture_is_xml(odd, cli, tmp_path, kind):
    chosen = ["--group", LABELS[0], "--at", "living_space=80", "--at", "kind=house"] if kind == "price" else []
    ran = cli("plot", kind, odd / "post.nc", "-o", tmp_path / "out.svg", *chosen)
    assert (ran.code, ran.err) == (0, f"written to {tmp_path / 'out.svg'}\n")
    text = (tmp_path / "out.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert not UNSEEN.search(text)


@pytest.mark.parametrize("kind", ["pit", "misfit", "predictive"])
def test_a_picture_of_rows_is_xml(odd, cli, tmp_path, kind):
    ran = cli("plot", kind, odd / "post.nc", "--data", odd / "sales.csv", "-o", tmp_path / "out.svg")
    assert ran.code == 0
    assert ElementTree.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8")).tag.endswith("svg")


class _Strict(HTMLParser):
    """Elements that are opened and closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.scripts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def test_maps_and_reports_hold_no_control_characters(odd, cli, tmp_path):
    home = ["--at", "living_space=80", "--at", "kind=house"]
    for name in ("map.html", "map.svg"):
        ran = cli("plot", "map", odd / "post.nc", "--polygons", odd / "zips.geojson", "-o", tmp_path / name, *home)
        assert ran.code == 0, ran.err
    ran = cli("report", odd / "post.nc", "-o", tmp_path / "report.html", "--polygons", odd / "zips.geojson", *home)
    assert ran.code == 0, ran.err
    assert ElementTree.fromstring((tmp_path / "map.svg").read_text(encoding="utf-8")).tag.endswith("svg")
    for name in ("map.html", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert not UNSEEN.search(text), name
        assert "x1b[31mred" in text
        page = _Strict()
        page.feed(text)
        assert page.scripts


def test_labels_go_through_files_as_they_are(odd):
    """Only what is shown is changed: what is saved and predicted has the labels of the table."""
    post = ph.load(odd / "post.nc")
    assert sorted(post.hierarchy.groupings[0].labels) == sorted(LABELS)
    frame = pd.read_csv(odd / "sales.csv")
    assert list(post.predict(frame)["zip"]) == list(frame["zip"])


def test_warnings_are_shown_too(monkeypatch):
    """Whatever is printed by whatever library: the streams are what is kept."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), escaped_output():
        print("warning: \x1b]0;title\x07", file=sys.stderr)
    assert err.getvalue() == "warning: \\x1b]0;title\\x07\n"
