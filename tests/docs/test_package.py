"""The package itself: its names load their modules when they are asked for, and are what is there."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import priorhood as ph


def test_every_public_name_is_where_type_checkers_find_it():
    tree = ast.parse(Path(ph.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    homes = {name.name: node.module for node in imports for name in node.names}
    assert homes == ph._HOME
    assert sorted(homes) == sorted(ph.__all__)


def test_the_package_shows_its_public_names_alone():
    shown = [name for name in dir(ph) if not name.startswith("__")]
    assert shown == sorted(ph.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'fti'"):
        ph.fti  # noqa: B018


def test_no_module_takes_the_place_of_a_function():
    code = """
import importlib, pkgutil, types
import priorhood as ph
names = [m.name for m in pkgutil.iter_modules(ph.__path__) if not m.name.startswith("__")]
for name in names:
    importlib.import_module(f"priorhood.{name}")
print([name for name in ph.__all__ if isinstance(getattr(ph, name), types.ModuleType)])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['plot']"


def test_names_come_by_every_kind_of_import():
    from priorhood import fit, plot
    from priorhood.plot import forest

    assert fit is ph.fit
    assert isinstance(plot, ModuleType)
    assert plot.forest is forest
    assert pickle.loads(pickle.dumps(ph.fit)) is ph.fit
    assert type(pickle.loads(pickle.dumps(ph.Normal(0, 1)))) is ph.Normal


def test_import_loads_nothing():
    code = "import sys, priorhood; print(*sorted(m for m in sys.modules if '.' not in m))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"numpy", "dataclasses", "json"} & set(ran.stdout.split()) == set()


def test_a_fit_of_a_file_needs_neither_xarray_nor_pandas(tmp_path):
    ph.simulate(places=8, rows=200, seed=1)[0].to_csv(tmp_path / "sales.csv", index=False)
    code = """
import sys
from priorhood.cli import main
try:
    main()
except SystemExit as ended:
    print(ended.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
    words = ["fit", "sales.csv", "price ~ living_space + (1 | zip)", "-o", "post.nc", "--draws", "50"]
    argv = [sys.executable, "-c", code, *words]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path)
    code, *loaded = ran.stdout.splitlines()[-1].split()
    assert code == "0"
    assert {"numba", "duckdb", "h5netcdf"} <= set(loaded)
    assert {"xarray", "pandas", "dask", "pyarrow"} & set(loaded) == set()
