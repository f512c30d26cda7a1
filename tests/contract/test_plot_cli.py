"""`priorhood plot KIND`: the pictures of ph.plot in files; wrong wishes leave nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def label(sales):
    return str(sales.zip.iloc[0])


@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        (["lines", "--data", "sales.csv", "--x", "living_space"], ".png"),
        (["lines", "--group", "LABEL"], ".svg"),
        (["shrinkage", "--terms", "Intercept"], ".pdf"),
        (["shrinkage", "--terms", "living_space", "--terms", "Intercept", "--group", "LABEL"], ".png"),
        (["forest", "--at", "living_space=100", "--select", "widest"], ".png"),
        (["forest", "--var", "beta", "--term", "living_space", "--group", "LABEL"], ".svg"),
        (["priors", "--var", "tau"], ".png"),
        (["correlation", "--group", "LABEL"], ".png"),
        (["price", "--group", "LABEL", "--at", "living_space=82", "--below", "350000"], ".pdf"),
    ],
)
def test_a_picture_is_written(cli, folder, monkeypatch, label, words, suffix):
    monkeypatch.chdir(folder)
    out = folder / f"picture{suffix}"
    ran = cli("plot", words[0], "post.nc", "-o", out, *[label if word == "LABEL" else word for word in words[1:]])
    assert ran.code == 0, ran.err
    assert f"written to {out}" in ran.out + ran.err
    assert out.read_bytes().startswith(STARTS[suffix])


def test_homes_of_a_table(cli, folder, label):
    homes = folder / "homes.csv"
    homes.write_text(f"zip,living_space\n{label},70\n{label},120\n", encoding="utf-8")
    ran = cli("plot", "price", folder / "post.nc", "-o", folder / "homes.png", "--home", homes, "--below", "350000")
    assert ran.code == 0, ran.err
    assert (folder / "homes.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lines", "--group", "99999"], ("no zip '99999'",)),
        (["lines", "--x", "living"], ("no predictor 'living'",)),
        (["lines", "--data", "sale.csv"], ("sale.csv", "did you mean")),
        (["forest", "--select", "best"], ("select", "widest")),
        (["forest", "--at", "rooms=3"], ("no predictor 'rooms'",)),
        (["priors", "--var", "taus"], ("did you mean 'tau'",)),
        (["correlation", "--terms", "Intercept"], ("needs two",)),
        (["price"], ("which home",)),
    ],
)
def test_wrong_wishes(refused, folder, monkeypatch, words, says):
    monkeypatch.chdir(folder)
    refused("plot", words[0], "post.nc", "-o", "picture.png", *words[1:], says=says)
