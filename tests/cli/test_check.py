"""check, sensitivity and influence on the command line: words, exit codes, JSON."""

from __future__ import annotations

import json

import pytest

import priorhood as ph


@pytest.fixture(scope="module")
def good(sales, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.nc"
    ph.fit("price ~ living_space + (living_space | zip)", sales, seed=1).save(path)
    return path


def test_good_draws(cli, good):
    ran = cli("check", good)
    assert ran.code == 0
    assert ran.out.count("✓") == 6
    assert "R-hat" in ran.out


def test_something_wrong_is_exit_code_1(cli, folder):
    ran = cli("check", folder / "post.nc")
    assert ran.code == 1
    assert "✗" in ran.out
    assert "too few to judge" in ran.out


def test_json(cli, good, folder):
    document = json.loads(cli("check", good, "--json").out)
    assert document["good"]
    assert document["worst"]["r_hat"]["value"] < 1.01
    assert "[" in document["worst"]["ess_bulk"]["parameter"] or document["worst"]["ess_bulk"]["parameter"]
    assert len(document["verdicts"]) == 6
    document = json.loads(cli("check", folder / "post.nc", "--json").out)
    assert not document["good"]
    assert document["worst"]["r_hat"] is None


def test_pictures(cli, good, tmp_path):
    pytest.importorskip("matplotlib")
    for words in (["check"], ["plot", "diagnostics"], ["plot", "ranks"]):
        out = tmp_path / f"{words[-1]}.png"
        assert cli(*words, good, "-o", out).code == 0
        assert out.read_bytes().startswith(b"\x89PNG")


def test_what_if(cli, good):
    ran = cli(
        "sensitivity", good, "--parameters", "tau", "--factors", "2", "--chains", "2", "--draws", "100", "--json"
    )
    assert ran.code == 0
    assert {row["prior"] for row in json.loads(ran.out)["table"]} == {"tau"}
    label = str(ph.load(good).moments.labels[0])
    ran = cli("influence", good, "--group", label, "--chains", "2", "--draws", "100")
    assert ran.code == 0
    assert label in ran.out
    ran = cli("influence", good, "--json")
    assert len(json.loads(ran.out)["table"]) == 8


def test_mistakes(refused, folder):
    refused("influence", folder / "post.nc", "--group", "99999", says=("99999",))
    refused("influence", folder / "post.nc", "--row", "zip", says=("--row 'zip'",))
    refused("sensitivity", folder / "post.nc", "--factors", "0", says=("factors",))
    refused("sensitivity", folder / "post.nc", "--parameters", "mu[rooms]", says=("mu[rooms]",))
    refused("check", folder / "post.nc", "-o", folder / "check.doc", says=(".png",))
