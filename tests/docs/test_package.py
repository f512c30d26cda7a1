"""The package itself: its names load their modules when they are asked for, and are what is there."""

from __future__ import annotations

import ast
import inspect
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
    assert set(ph.__all__) <= set(homes)


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
    assert ran.stdout.strip() == "['datasets', 'errors', 'plot', 'priors']"


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


# What is documented as a function or a class of the package beyond what dir() shows.
KEPT = [
    "Assessment", "Calibration", "Check", "Elpd", "Exponential", "FileError", "Fixed", "FormulaError", "Gamma",
    "HalfCauchy", "HalfNormal", "HalfStudentT", "Influence", "InverseGamma", "LKJ", "LogNormal", "ModelError",
    "Normal", "PriorError", "SamplingError", "Sensitivity", "Table", "TableError", "Uniform", "Verdict",
    "equations", "load_moments", "pool", "simulate", "simulate_areas",
]  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_names_that_are_not_shown_are_there(name):
    assert getattr(ph, name).__name__ == name


def test_a_namespace_shows_its_names_alone():
    assert [name for name in dir(ph.priors) if not name.startswith("__")] == sorted(ph.priors.__all__)
    assert ph.priors.Normal is ph.Normal
    assert ph.errors.TableError is ph.TableError
    assert ph.datasets.simulate is ph.simulate


@pytest.fixture(scope="module")
def post():
    return ph.fit("price ~ living_space + (1 | zip)", SALES, chains=1, draws=50, seed=1)


SALES = ph.datasets.simulate(places=6, rows=80, seed=1)[0]


def test_methods_of_a_posterior_are_the_functions(post):
    for name in ("assess", "influence", "loo", "loo_places", "posterior_predictive", "refit", "report",
                 "sensitivity", "update"):  # fmt: skip
        function = getattr(ph, name)
        assert getattr(ph.Posterior, name) is function
        assert getattr(post, name).__func__ is function
        assert next(iter(inspect.signature(function).parameters)) == "post"
    assert str(post.assess(SALES)) == str(ph.assess(post, SALES))


def test_pictures_of_a_posterior_are_those_of_plot(post):
    with_posterior = {
        name
        for name in ph.plot.__all__
        if inspect.isfunction(one := getattr(ph.plot, name))
        and "Posterior" in str(next(iter(inspect.signature(one).parameters.values())).annotation)
    }
    assert set(dir(post.plot)) == with_posterior
    assert post.plot.trace.__func__ is ph.plot.trace
    with pytest.raises(AttributeError, match="no plot 'tracee'; the plots are correlation, "):
        post.plot.tracee  # noqa: B018


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda post: ph.fit("price ~ 1", SALES, random_seed=1),
            "fit has no argument random_seed: it is called seed",
        ),
        (lambda post: ph.fit("price ~ 1", SALES, REML=True), "fit has no argument REML: it is not needed, since"),
        (lambda post: ph.load(post), "path must be the name of a file, not Posterior"),
        (lambda post: ph.load_moments(3), "path must be the name of a file, not 3"),
        (lambda post: post.save(3), "path must be the name of a file, not 3"),
        (lambda post: ph.moments("price ~ 1", SALES).save(3), "path must be the name of a file, not 3"),
        (lambda post: ph.report(post, 3), "out must be the name of a file, not 3"),
        (lambda post: ph.compare(post, post), "not Posterior: put several models in a list or a dict"),
        (lambda post: ph.compare(post, post, table=SALES), "compare: put several models in a list or a dict"),
        (lambda post: ph.fit("price ~ 1", data=SALES), "fit has no argument data: it is called table"),
        (lambda post: ph.Model("price ~ 1", famly="normal"), "Model has no argument famly: did you mean 'family'?"),
        (lambda post: ph.Model("price ~ 1", weights="n"), "it is called precision_weights or frequency_weights"),
        (lambda post: post.predict(SALES, probs=(0.1,)), "Posterior.predict has no argument probs: it is called q"),
        (
            lambda post: ph.fit("price ~ 1", ["a.csv", "b.csv"]),
            "a pattern in quotes, such as 'sales-*.csv' or '[ab].csv'",
        ),
        (lambda post: ph.Model("price ~ 1", SALES.head(3)), "to distributions, not DataFrame"),
        (lambda post: ph.fit(SALES, "price ~ 1"), "the formula comes first, then the table"),
    ],
)
def test_other_names_and_swapped_arguments_are_answered(post, call, says):
    with pytest.raises(ph.PriorhoodError) as told:
        call(post)
    assert says in str(told.value)


def test_moments_load_what_they_saved(tmp_path):
    taken = ph.moments("price ~ living_space + (1 | zip)", SALES)
    taken.save(tmp_path / "site.moments")
    assert (ph.Moments.load(tmp_path / "site.moments").moments.mean == taken.moments.mean).all()


def test_the_package_is_pickled_by_its_name():
    """As joblib does with a function of a notebook that uses it."""
    assert pickle.loads(pickle.dumps(ph)) is ph
