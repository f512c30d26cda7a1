"""`priorhood calibrate`: formula and table or a saved posterior, exit codes, picture, JSON, Ctrl-C."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import pytest

import priorhood as ph

FEW = ("--refits", "20", "--draws", "19", "--seed", "1")
module = importlib.import_module("priorhood.evaluation.sbc")


def test_formula_and_table_or_the_posterior_alone(folder, cli, formula):
    one = cli("calibrate", formula, folder / "sales.csv", *FEW, "--json")
    two = cli("calibrate", folder / "post.nc", *FEW, "--json")
    assert (one.code, one.err, two.code, two.err) == (0, "", 0, "")
    first, second = json.loads(one.out), json.loads(two.out)
    assert first["passed"]
    assert first["ranks"] == second["ranks"]
    found = ph.calibrate(formula, folder / "sales.csv", refits=20, draws=19, seed=1)
    assert first["ranks"] == {n: found.ranks[:, at].tolist() for at, n in enumerate(found.quantities)}
    other = json.loads(cli("calibrate", folder / "post.nc", *FEW, "--json", "--prior", "tau ~ HalfNormal(1)").out)
    assert other["ranks"] != first["ranks"]


@pytest.mark.parametrize("name", ["c.png", "c.svg", "c.pdf"])
def test_picture_and_table(folder, cli, name):
    pytest.importorskip("matplotlib")
    ran = cli("calibrate", folder / "post.nc", *FEW, "-o", folder / name)
    assert (ran.code, ran.err) == (0, "")
    assert (folder / name).stat().st_size > 5000
    assert "omega[living_space, Intercept]" in ran.out
    assert "all 20 simulated data sets could be fitted" in ran.out
    assert "the engine is calibrated for this model" in ran.out
    assert f"written to {folder / name}" in ran.out
    assert "\x1b" not in ran.out


def test_exit_code_1_where_it_is_not_calibrated(folder, cli, monkeypatch):
    right = module.draw_exact
    monkeypatch.setattr(module, "draw_exact", lambda *args: replace(d := right(*args), sigma=0.5 * d.sigma))
    ran = cli("calibrate", folder / "post.nc", "--refits", "60", "--seed", "1")
    assert ran.code == 1
    assert "✗ sigma" in ran.out
    assert "the draws are too low" in ran.out
    assert "Do not rely on these draws" in ran.out


def test_interrupted(folder, cli, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    before = sorted(folder.iterdir())
    monkeypatch.setattr(module, "draw_exact", stop)
    ran = cli("calibrate", folder / "post.nc", *FEW, "-o", folder / "c.svg")
    assert ran.code == 130
    assert ran.out == ""
    assert ran.err == "priorhood: interrupted; nothing was written\n"
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("FORMULA",), ("calibrate needs a table",)),
        (("post.nc", "--where", "price > 0"), ("--where requires a table",)),
        (("post.nc", "--thousands", "."), ("--thousands requires a table",)),
        (("post.nc", "--noise", "zip"), ("--noise requires a formula",)),
        (("post.nc", "--no-standardize"), ("--no-standardize requires a formula",)),
        (("nothing.nc",), ("nothing.nc",)),
        (("FORMULA", "sales.csv", "--refits", "3"), ("refits must be a whole number of at least 20, not 3",)),
        (("FORMULA", "sales.csv", "--family", "student"), ("Student-t", "hours with NUTS")),
        (("FORMULA", "sales.csv", "-o", "c.jpg"), ("c.jpg", ".png")),
        (("FORMULA", "sales.csv", "-o", "sales.csv"), ("read in the same run",)),
        (("price ~ living_spac + (1 | zip)", "sales.csv"), ("living_spac",)),
    ],
)
def test_bad_input(folder, refused, formula, argv, says):
    there = {"FORMULA": formula, **{n: folder / n for n in ("post.nc", "sales.csv", "c.jpg", "nothing.nc")}}
    refused("calibrate", *(there.get(a, a) for a in argv), says=says)
