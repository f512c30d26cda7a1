"""Formulas too long, too deep or of too many terms: one short sentence at once, wherever they come from."""

from __future__ import annotations

import json
import time

import pytest

import fuzz
import priorhood as ph
from priorhood.suffstats import netcdf
from sums_tree import sums_tree

SECONDS = 2.0  # of the processor for one refusal; it takes tenths
LETTERS = 1000  # of one sentence


def _sum(many, sign=" + "):
    return sign.join(f"x{i}" for i in range(many))


HOSTILE = {
    "brackets": "price ~ " + "(" * 10_000 + "living_space" + ")" * 10_000,
    "open brackets": "price ~ " + "(" * 10_000 + "living_space",
    "closed brackets": "price ~ living_space" + ")" * 10_000,
    "square brackets": "price ~ " + "[" * 10_000,
    "logs": "price ~ " + "log(" * 5_000 + "living_space" + ")" * 5_000,
    "some logs": "price ~ " + "log(" * 60 + "living_space" + ")" * 60,
    "groups in groups": "price ~ " + "(1 | " * 5_000 + "zip" + ")" * 5_000,
    "brackets of the outcome": "(" * 5_000 + "price" + ")" * 5_000 + " ~ living_space",
    "lists in lists": "price ~ C(zip, levels=" + "[" * 5_000 + "]" * 5_000 + ")",
    "minus": "price ~ I(" + "-" * 10_000 + "living_space)",
    "division": "price ~ I(living_space" + " / living_space" * 300 + ")",
    "a tower": "price ~ I(living_space * 9**9**9**9)",
    "a product of towers": "price ~ I(living_space * 9**9**9 * 9**9**9)",
    "a power": "price ~ I(living_space ** 9999999)",
    "a power of ten": "price ~ I(living_space ** 1e308)",
    "an exponent": "price ~ I(living_space + 1e999999999)",
    "digits": "price ~ I(living_space + " + "9" * 5_000 + ")",
    "more digits": "price ~ I(living_space + " + "9" * 100_000 + ")",
    "terms": "price ~ " + _sum(20_000),
    "terms of few letters": "price ~ " + _sum(1_100),
    "products": "price ~ " + _sum(30, " * "),
    "products of sums": "price ~ " + "*".join(f"({_sum(10)})" for _ in range(8)),
    "orders of interactions": f"price ~ ({_sum(17)})**16",
    "half an order": "price ~ (living_space + zip)**2.5",
    "nested terms": "price ~ " + _sum(2_000, "/"),
    "groupings": "price ~ 1 + " + " + ".join(f"(1 | g{i})" for i in range(5_000)),
    "few more groupings": "price ~ 1 + " + " + ".join(f"(1 | g{i})" for i in range(60)),
    "levels": f"price ~ 1 + (1 | {_sum(5_000, '/')})",
    "categories": "price ~ C(zip, levels=[" + ", ".join(map(str, range(50_000))) + "])",
    "a name": "price ~ `" + "x" * 100_000 + "`",
    "a shorter name": "price ~ `" + "x" * 20_000 + "`",
    "letters": "price ~ " + "é" * 20_000,
    "accents": "price ~ living_space" + "\u0308" * 30_000,
    "houses": "price ~ " + "🏠" * 20_000,
    "tildes": "~" * 10_000,
    "backticks": "price ~ " + "`" * 30_001,
    "backslashes": "price ~ " + "\\" * 30_000,
    "NUL": "price ~ living_space\0",
}
# What is hard to read and means something all the same: 1**9999999 is 1.
MEANT = {
    "price ~ I(living_space * 1**9999999)": "price ~ I(living_space * 1)",
    "price ~ I(living_space + 0 * 2**99)": "price ~ I(living_space + 0)",
    "price ~ (living_space + rooms)**99999999": "price ~ living_space * rooms",
    "price ~ ((((living_space + rooms)**2)**2)**2)**2": "price ~ living_space * rooms",
    "price ~ living_space" + ":living_space" * 1_000: "price ~ living_space",
    "price ~ " + "0 + " * 3_000 + "living_space": "price ~ 0 + living_space",
    "price ~ " + "(" * 30 + "living_space" + ")" * 30: "price ~ living_space",
}


def _refused(run):
    """The sentence of a refusal, at once and short."""
    started = time.process_time()
    with pytest.raises(ph.PriorhoodError) as said:
        run()
    assert time.process_time() - started < SECONDS
    assert len(str(said.value)) < LETTERS
    return str(said.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_from_python(sales, fitted, name):
    text = HOSTILE[name]
    _refused(lambda: ph.fit(text, sales, chains=1, draws=20, seed=1))
    _refused(lambda: ph.moments(text, sales))
    _refused(lambda: ph.equations(text, sales))


@pytest.mark.parametrize("name", HOSTILE)
def test_from_the_command_line(folder, refused, name):
    started = time.process_time()
    said = [
        refused("fit", folder / "sales.csv", HOSTILE[name], "-o", folder / "out.nc"),
        refused("moments", folder / "sales.csv", HOSTILE[name], "-o", folder / "out.moments"),
    ]
    assert time.process_time() - started < 2 * SECONDS
    assert max(map(len, said)) < LETTERS + len(str(folder))


@pytest.mark.parametrize("kind", ["posterior", "sums"])
@pytest.mark.parametrize("name", HOSTILE)
def test_out_of_a_file(tmp_path, sales, fitted, formula, name, kind):
    """Right checksums and all: the file's maker knows them."""
    tree = (fitted.tree if kind == "posterior" else sums_tree(ph.moments(formula, sales))).copy()
    key = "model" if "model" in tree.attrs else "formula"
    stored = json.loads(tree.attrs["model"]) if key == "model" else None
    where = next((k for k, v in stored.items() if isinstance(v, str) and "~" in v), None) if stored else None
    tree.attrs[key] = json.dumps(stored | {where: HOSTILE[name]}) if stored else HOSTILE[name]
    path = tmp_path / "theirs"
    with path.open("w+b") as file:
        try:
            netcdf.write_tree(file, tree)
        except ValueError:  # HDF5 holds no NUL in a text, and little more than 64 kB in an attribute
            assert "\0" in HOSTILE[name] or len(HOSTILE[name]) > 60_000
            return
    said = _refused(lambda: ph.load(path) if kind == "posterior" else ph.load_moments(path))
    assert str(path) in said


def test_a_level_of_many_letters(sales):
    """Another site may have it; a fit of these rows alone may not."""
    text = "price ~ C(zip, Treatment('" + "x" * 20_000 + "'))"
    _refused(lambda: ph.fit(text, sales))
    assert ph.moments(text, sales).rows == len(sales)


@pytest.mark.parametrize("text", MEANT)
def test_what_has_a_meaning_is_fitted(sales, text):
    rows = sales.assign(rooms=range(len(sales)))
    found, plain = ph.moments(text, rows).moments, ph.moments(MEANT[text], rows).moments
    assert found.mean.tolist() == plain.mean.tolist()


@pytest.mark.parametrize("prior", ["mu[" * 5_000, "tau ~ " + "(" * 10_000, "tau ~ Exponential(" + "9" * 5_000 + ")",
                                   "tau ~ Exponential(9**9**9**9)", "mu[" + "x" * 100_000 + "] ~ Normal(0, 1)",
                                   "x" * 100_000, "tau ~ Normal(" + "0, " * 20_000 + "1)"])  # fmt: skip
def test_priors(folder, refused, sales, formula, prior):
    _refused(lambda: ph.fit(ph.Model(formula, prior), sales))
    refused("fit", folder / "sales.csv", formula, "--prior", prior, "-o", folder / "out.nc")


def test_the_fuzzers_formulas_are_among_them():
    """Whose own are of the same kinds, shorter."""
    assert {"9**9**9**9", "price ~ " + "(" * 500 + "living_space"} <= set(fuzz.TEXTS)
