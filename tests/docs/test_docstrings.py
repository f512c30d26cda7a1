"""Examples in the docstrings of public functions, methods and classes: they run, and print what is shown."""

import doctest
import inspect

import pytest

import priorhood as ph

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Whose methods are public, too.
CLASSES = ("Posterior", "Moments", "Model", "Table")
# Methods for other packages' sake; the reference leaves them out, too.
INTERNAL = {
    *("Table.require", "Table.eager", "Table.frame", "Table.exclusive", "Table.check_unambiguous"),
    *("Model.resolve", "Model.regression"),
}
# They need PyMC, which takes seconds to import: docs/pymc.md has their examples.
WITHOUT = {"Posterior.for_pymc", "Posterior.to_pymc"}


def _public():
    """Every public function, class and method by its dotted name; modules, errors and properties aside."""
    modules = {"datasets": ("simulate", "simulate_areas"), "priors": ph.priors.__all__, "plot": ph.plot.__all__}
    names = [n for n in ph._HOME if n not in (*modules, "errors") and n not in ph.priors.__all__]
    found = {n: getattr(ph, n) for n in names if n not in modules["datasets"]}
    found |= {f"{home}.{n}": getattr(getattr(ph, home), n) for home, every in modules.items() for n in every}
    for name in CLASSES:
        for member, value in inspect.getmembers(getattr(ph, name), callable):
            if not member.startswith("_") and not inspect.isclass(value):
                found[f"{name}.{member}"] = value
    return {
        name: thing
        for name, thing in found.items()
        if not (inspect.isclass(thing) and issubclass(thing, Exception)) and name not in INTERNAL
    }


def _example(name, thing):
    return doctest.DocTestParser().get_doctest(inspect.getdoc(thing) or "", {}, name, name, 0)


PUBLIC = _public()
EXAMPLES = {name: test for name, thing in PUBLIC.items() if (test := _example(name, thing)).examples}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run_and_print_what_is_shown(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    told = []
    doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(EXAMPLES[name], out=told.append)
    assert not told, "".join(told)


def test_the_list_of_those_without_an_example_becomes_shorter():
    assert set(PUBLIC) - set(EXAMPLES) == WITHOUT
