"""`priorhood plot KIND`: the pictures of ph.plot in files; wrong wishes leave nothing."""

from __future__ import annotations

import re
import shlex

import pytest

import priorhood as ph

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


@pytest.fixture(scope="module")
def german(sales):
    """The sales as a German office writes them, with n/a among the numbers."""
    swapped = str.maketrans(",.", ".,")
    local = sales.assign(
        price=[f"{v:,.6f}".translate(swapped) for v in sales["price"]],
        living_space=[f"{v:,.6f}".translate(swapped) for v in sales["living_space"]],
    )
    return local.to_csv(index=False, sep=";") + f"{sales.zip.iloc[0]};n/a;1.000,5\n"


@pytest.mark.parametrize(
    "words",
    [
        ("lines", "post.nc", "--data"),
        ("prior", "price ~ living_space + (1 | zip)", "--seed", "1", "--data"),
        ("predictive", "post.nc", "--seed", "1", "--data"),
        ("pit", "post.nc", "--seed", "1", "--data"),
        ("misfit", "post.nc", "--seed", "1", "--data"),
        ("price", "post.nc", "--home"),
    ],
    ids=lambda words: words[0],
)
def test_pictures_read_tables_as_fits_do(cli, folder, monkeypatch, sales, german, words):
    monkeypatch.chdir(folder)
    plain = sales.round(6)
    few = 3 if words[0] == "price" else len(plain)
    plain.head(few).to_csv("plain.csv", index=False)
    lines = german.splitlines(keepends=True)
    (folder / "german.csv").write_text("".join([*lines[: few + 1], lines[-1]]), encoding="utf-8")
    spelled = ("--thousands", ".", "--decimal", ",", "--null", "n/a", "--where", "living_space > 0")
    for table, options in (("plain.csv", ()), ("german.csv", spelled)):
        ran = cli("plot", *words, table, "-o", f"{table}.svg", *options)
        assert ran.code == 0, ran.err
    one, other = ((folder / f"{table}.csv.svg").read_text() for table in ("plain", "german"))
    # The same marks and letters; their ids and the time of drawing are chance.
    assert marks(one) == marks(other)


def marks(text):
    return re.findall(r' d="([^"]+)"|<!-- (.*?) -->', text)


@pytest.mark.parametrize(
    "option", [("--null", "n/a"), ("--decimal", ","), ("--thousands", "."), ("--where", "price > 0")]
)
@pytest.mark.parametrize("picture", ["lines", "price", "prior"])
def test_how_a_table_is_read_goes_with_a_table(refused, folder, monkeypatch, picture, option):
    monkeypatch.chdir(folder)
    named = "--home" if picture == "price" else "--data"
    refused("plot", picture, "post.nc", "-o", "picture.png", *option, says=(option[0], f"give one with {named}"))


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
        (["lines", "--x", "living"], ("no predictor 'living' (--x)",)),
        (["lines", "--data", "sale.csv"], ("sale.csv", "did you mean")),
        (["forest", "--select", "best"], ("select", "widest")),
        (["forest", "--at", "rooms=3"], ("no predictor 'rooms'",)),
        (["priors", "--var", "taus"], ("did you mean 'tau'",)),
        (["correlation", "--terms", "Intercept"], ("needs two",)),
        (["price"], ("which home",)),
        (["price", "--at", "zip=99999"], ("'zip' is a home's location", "the place with --group 99999")),
        (["price", "--at", "rooms=3"], ("no predictor 'rooms' (--at)",)),
        (
            ["price", "--at", "living_space=big"],
            ("'living_space' of the home", "'big'", "such as --at living_space=100.5"),
        ),
        (["price", "--at", "living_space"], ("write it like --at living_space=100",)),
        (["prior", "--at", "living_space=big"], ("must be a finite number", "'big'")),
    ],
)
def test_wrong_wishes(refused, folder, monkeypatch, words, says):
    monkeypatch.chdir(folder)
    refused("plot", words[0], "post.nc", "-o", "picture.png", *words[1:], says=says)


@pytest.fixture(scope="module")
def odd(sales, tmp_path_factory):
    """A posterior of columns with names that formulas, shells and Python read otherwise."""
    zips = sorted(set(sales["zip"]))
    at = sales["zip"].map({z: i for i, z in enumerate(zips)})
    frame = sales.rename(columns={"living_space": "a/b", "price": "Preis"}).assign(
        **{"nº": [f"{i:05}" for i in at], "Objekt-Typ": [("01", "EFH", "Whg")[i % 3] for i in range(len(sales))]}
    )
    path = tmp_path_factory.mktemp("odd") / "odd.nc"
    post = ph.fit("Preis ~ `a/b` + `Objekt-Typ` + (1 | `nº`)", frame, chains=2, draws=50, seed=1)
    post.save(path)
    return path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--at", "nº=00001"], "'nº' is a home's location"),
        (["--at", "nº=99999", "--group", "00001"], "'nº' is a home's location"),
        ([], "which home?"),
        (["--group", "00001", "--at", "ab=3"], "no predictor 'ab' (--at); did you mean 'a/b'?"),
        (["--group", "00001", "--at", "a/b=x"], "'a/b' of the home must be a finite number"),
        (["--group", "00001", "--at", "a/b"], "write it like --at a/b=100"),
        (
            ["--group", "00001", "--at", "Objekt-Typ=Villa"],
            "there is no Objekt-Typ 'Villa': choose from '01', 'EFH', 'Whg'",
        ),
    ],
)
def test_a_home_is_said_as_the_message_says(refused, cli, folder, monkeypatch, odd, words, says):
    monkeypatch.chdir(folder)
    said = refused("plot", "price", odd, "-o", "picture.png", *words, says=(says,))
    advice = dict.fromkeys(re.findall(r"(--(?:at|group)) ('[^']*'|[^ ,)]+)", said.partition(says)[2] or said))
    values = [(option, shlex.split(value)[0]) for option, value in advice]
    followed = [part for pair in values if pair[0] == "--group" or "=" in pair[1] for part in pair]
    if "99999" in said:
        followed = ["--group", "00001"]
    if "did you mean" in said:
        followed = ["--at", "a/b=3"]
    if "--at" in words and "--at" not in followed:
        followed += ["--at", "a/b=100"]
    if "--group" not in followed:
        followed += ["--group", "00001"]
    ran = cli("plot", "price", odd, "-o", "picture.png", *followed)
    assert ran.code == 0, (followed, ran.err)


def test_categories_and_labels_keep_their_zeros_on_the_command_line(cli, folder, monkeypatch, odd):
    """01 is a category here; where a number is asked for, 0100 is 100."""
    monkeypatch.chdir(folder)
    ran = cli(
        "plot", "price", odd, "-o", "one.svg", "--group", "00001", "--at", "Objekt-Typ=01", "--at", "a/b=0100"
    )
    assert ran.code == 0, ran.err
    ran = cli("plot", "price", odd, "-o", "two.svg", "--group", "00001", "--at", "a/b=100", "--at", "Objekt-Typ=01")
    assert marks((folder / "one.svg").read_text()) == marks((folder / "two.svg").read_text())
