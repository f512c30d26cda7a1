"""The names of ph.plot: its functions, whatever has been imported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from priorhood import plot


def test_the_namespace_shows_its_functions_alone():
    assert dir(plot) == sorted(plot.__all__)
    assert all(callable(getattr(plot, name)) for name in dir(plot))


def test_no_module_stands_in_the_place_of_a_function():
    for module in pkgutil.walk_packages(plot.__path__, "priorhood.plot."):
        importlib.import_module(module.name)
    for name in plot.__all__:
        assert inspect.isfunction(getattr(plot, name)) or name == "InteractiveMap"
