"""Examples in docstrings of modules that are not public; tests/docs/test_docstrings.py runs those that are."""

import doctest
from importlib import import_module

import pytest

MODULES = (
    "_arguments", "errors", "model.arithmetic", "model.design", "model.equations", "model.expression",
    "model.formula", "model.hierarchy", "model.priors", "model.scale", "model.terms", "model.tokens",
    "model.weights",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_and_print_what_is_shown(name):
    found = doctest.testmod(import_module(f"priorhood.{name}"))
    assert found.attempted
    assert not found.failed
