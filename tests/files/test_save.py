"""The file: whole or as it was, exact, without rows, and open to ArviZ."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from priorhood import _system
from priorhood.posterior import posterior
from priorhood.posterior import tree as stored

SAVING = """
import sys
import priorhood as ph
versions = [ph.load(name) for name in sys.argv[1:3]]
print("ready", flush=True)
while True:
    for post in versions:
        post.save(sys.argv[3])
        print("saved", flush=True)
"""


@pytest.mark.long
def test_a_killed_process_leaves_a_whole_file(tmp_path, fitted):
    """SIGKILL at seeded moments while saving over a file: one of the two versions is there, never a part."""
    other = ph.refit(fitted, priors="tau ~ Exponential(1)", chains=2, draws=400, seed=9)
    names = [tmp_path / "one.nc", tmp_path / "two.nc"]
    for name, post in zip(names, (fitted, other), strict=True):
        post.save(name)
    target = tmp_path / "target" / "post.nc"
    target.parent.mkdir()
    shutil.copy(names[0], target)
    chance = random.Random(2412)
    interrupted = 0
    argv = [sys.executable, "-c", SAVING, *map(str, names), str(target)]
    for _ in range(4):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as saving:
            assert saving.stdout.readline() == "ready\n"
            assert saving.stdout.readline() == "saved\n"
            time.sleep(chance.uniform(0.0, 0.15))
            saving.send_signal(signal.SIGKILL)
            saving.wait()
        assert saving.returncode == -signal.SIGKILL
        found = ph.load(target)
        assert any(found.tree.identical(post.tree) for post in (fitted, other))
        left = [f for f in target.parent.iterdir() if f != target]
        interrupted += bool(left)
        # What a killed process cannot clear away is hidden, named after its target, and gone with the next save.
        assert all(file.name.startswith(".post.nc.") for file in left)
        fitted.save(target)
        assert [*target.parent.iterdir()] == [target]
    assert interrupted, "no kill fell into a save: choose another seed"


@pytest.mark.parametrize(
    ("formula", "options", "given"),
    [
        ("price ~ living_space + (living_space | zip)", {}, {}),
        ("price ~ living_space", {}, {}),
        ("price ~ living_space + C(kind) + (1 | town/zip) + (1 | kind)", {}, {}),
        ("price ~ living_space + (1 | zip)", {"noise": "zip"}, {}),
        ("price ~ living_space + (1 | zip)", {"precision_weights": "living_space"}, {"store": "summaries"}),
        ("price ~ living_space + size + (1 | zip)", {}, {"places": True}),
    ],
    ids=["place", "pooled", "nested and crossed", "noise", "weights, summaries", "places"],
)
def test_a_fit_is_saved_as_xarray_would_save_its_tree(tmp_path, formula, options, given):
    sales = ph.simulate(places=12, rows=300, seed=1)[0]
    sales["town"] = [f"town {int(label) % 3}" for label in sales["zip"]]
    sales["kind"] = [("flat", "house", "loft")[at % 3] for at in range(len(sales))]
    if "places" in given:
        labels = sorted(set(sales["zip"]))
        given = {"places": {"zip": labels, "size": [float(at**2) for at in range(len(labels))]}}
    post = ph.fit(ph.Model(formula, **options), sales, chains=2, draws=20, seed=1, **given)
    copied = pickle.loads(pickle.dumps(post))
    post.save(tmp_path / "arrays.nc")
    assert set(copied.tree.children) >= {"posterior", "sample_stats", "moments"}
    copied.save(tmp_path / "tree.nc")
    assert (tmp_path / "arrays.nc").read_bytes() == (tmp_path / "tree.nc").read_bytes()
    assert ph.load(tmp_path / "arrays.nc").tree.identical(copied.tree)


@pytest.mark.parametrize(
    "problem", [OSError(28, "No space left on device"), RuntimeError("bug"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("existing", [True, False])
def test_an_exception_while_writing_leaves_the_former_file(tmp_path, fitted, monkeypatch, problem, existing):
    target = tmp_path / "post.nc"
    if existing:
        fitted.save(target)
    before = target.read_bytes() if existing else None

    def write(file, tree):
        file.write(b"half")
        raise problem

    monkeypatch.setattr(posterior, "write_tree", write)
    expected = ph.FileError if isinstance(problem, OSError) else type(problem)
    with pytest.raises(expected) as caught:
        fitted.save(target)
    if isinstance(problem, OSError):
        assert "post.nc" in str(caught.value)
        assert "No space left" in str(caught.value)
    assert [f.name for f in tmp_path.iterdir()] == (["post.nc"] if existing else [])
    if existing:
        assert target.read_bytes() == before


def test_predictions_are_written_whole_or_not_at_all(folder, cli, monkeypatch):
    import pandas as pd

    (folder / "out.csv").write_text("former\n")
    before = sorted(folder.iterdir())

    def write(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", write)
    ran = cli("predict", folder / "post.nc", folder / "sales.csv", "-o", folder / "out.csv")
    assert ran.code == 2
    assert "No space left" in ran.err
    assert (folder / "out.csv").read_text() == "former\n"
    assert sorted(folder.iterdir()) == before


@pytest.fixture(params=["pipe", "link"])
def special(request, tmp_path):
    """No file; a rename would put one in its place. Not a device: a failure would take it away."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    return tmp_path / request.param


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_device_or_a_pipe_is_refused_and_stays(folder, refused, formula, special):
    before = special.stat()
    says = (str(special), "a device or a pipe", "use the name of a file")
    refused("fit", folder / "sales.csv", formula, "-o", special, says=says)
    with pytest.raises(ph.FileError, match="a device or a pipe"):
        _system.write_atomically(special, pytest.fail)
    assert (special.stat().st_ino, special.stat().st_mode) == (before.st_ino, before.st_mode)


def test_a_link_leads_to_the_file(tmp_path, fitted):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.nc").symlink_to(tmp_path / "elsewhere" / "post.nc")
    for _ in range(2):  # there is no file at first
        fitted.save(tmp_path / "link.nc")
        assert (tmp_path / "link.nc").is_symlink()
        assert np.array_equal(ph.load(tmp_path / "elsewhere" / "post.nc")["mu"].values, fitted["mu"].values)
    with pytest.raises(ph.FileError, match="read in the same run"):
        _system.check_writable(tmp_path / "link.nc", tmp_path / "elsewhere" / "post.nc")


def test_a_saved_file_has_the_usual_permissions(tmp_path, fitted):
    fitted.save(tmp_path / "post.nc")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "post.nc").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_temporary_file_is_beside_the_target(tmp_path):
    """Only a rename within one file system is atomic."""
    seen = []
    _system.write_atomically(tmp_path / "x.nc", lambda file: seen.append(Path(file.name).parent))
    assert seen == [tmp_path]


# -- round trip -----------------------------------------------------------------------------------------


MODELS = {
    "slopes": (lambda: ph.Model("price ~ living_space + (living_space | zip)")),
    "independent": (lambda: ph.Model("price ~ living_space + (living_space || zip)")),
    "pooled": (lambda: ph.Model("price ~ living_space")),
    "only varying": (lambda: ph.Model("price ~ 0 + living_space + (1 | zip)")),
    "log and categories": (lambda: ph.Model("log(worth) ~ kind * living_space + C(rooms) + (1 | zip)")),
    "priors and units": (
        lambda: ph.Model(
            "price ~ living_space + (living_space | zip)",
            {"tau[living_space]": ph.HalfCauchy(0.1 + 0.2), "mu": ph.Normal(1 / 3, 70), "sigma": ph.HalfNormal(2)},
            outcome_unit=12_345.678,
            units={"price": "€", "living_space": "m²"},
        )
    ),
    "unstandardized": (
        lambda: ph.Model(
            "price ~ living_space + (1 | zip)", "mu ~ Normal(0, 1e6)", standardize=False, outcome_unit=1
        )
    ),
    "backticks": (lambda: ph.Model("price ~ `living space` + (1 | `Postleitzahl (5)`)")),
}  # fmt: skip


@pytest.fixture(scope="session")
def rich(sales):
    at = np.arange(len(sales))
    return sales.assign(
        kind=np.where(at % 3 == 0, "Wohnung", "Haus"), rooms=1 + at % 4, worth=sales["price"].abs() + 1,
        **{"living space": sales["living_space"], "Postleitzahl (5)": sales["zip"]},
    )  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(tmp_path, rich, fast, name):
    post = ph.fit(MODELS[name](), rich, **fast)
    post.save(tmp_path / "post.nc")
    back = ph.load(tmp_path / "post.nc")
    assert back.tree.identical(post.tree)
    assert back.model == post.model
    assert back.priors() == post.priors()
    assert ph.Model(back.model.formula, back.priors()).priors == post.model.priors
    assert back.equations() == post.equations()
    assert back.design == post.design
    assert back.design.names == post.design.names
    assert (back.seed, back.log_evidence, back.notes) == (post.seed, post.log_evidence, post.notes)
    assert (back.moments.read, back.moments.dropped) == (post.moments.read, post.moments.dropped)
    for part in ("labels", "n", "mean", "scatter"):
        np.testing.assert_array_equal(getattr(back.moments, part), getattr(post.moments, part))
    assert back.moments.columns == post.moments.columns
    assert back.summary().equals(post.summary())
    assert back.predict(rich).equals(post.predict(rich))
    # Twice through the file changes nothing either.
    back.save(tmp_path / "again.nc")
    assert ph.load(tmp_path / "again.nc").tree.identical(post.tree)


def test_what_is_done_after_loading_is_what_would_have_been_done_before(tmp_path, fitted, elsewhere, sales, fast):
    fitted.save(tmp_path / "post.nc")
    back = ph.load(tmp_path / "post.nc")
    new = sales.head(40)
    for act in (
        lambda post: ph.refit(post, priors="tau ~ HalfNormal(1)", **fast),
        lambda post: ph.update(post, new, **fast),
        lambda post: ph.merge(post, elsewhere, **fast),
    ):
        one, other = act(fitted), act(back)
        for variable in ("mu", "beta", "tau", "omega", "sigma"):
            np.testing.assert_array_equal(one[variable].values, other[variable].values)


def test_leading_zeros_survive(tmp_path, sales, fast, formula):
    labelled = sales.assign(zip=[f"{int(z) - 10_000:05d}" for z in sales["zip"]])
    post = ph.fit(formula, labelled, **fast)
    post.save(tmp_path / "post.nc")
    back = ph.load(tmp_path / "post.nc")
    assert back.moments.labels.tolist() == sorted(labelled["zip"].unique())
    assert back["beta"]["zip"].values.tolist() == back.moments.labels.tolist()
    assert all(label.startswith("0") for label in back["beta"]["zip"].values.tolist())
    assert (back.predict(labelled)["status"] == "known").all()


def test_labels_in_any_script(tmp_path, sales, fast, formula):
    names = ["Köln", "Łódź", "北京", "a, b", "x[y]", "it's", 'say "so"', "10% / ½"]
    of = dict(zip(sorted(sales["zip"].unique()), names, strict=True))
    ph.fit(formula, sales.assign(zip=sales["zip"].map(of)), **fast).save(tmp_path / "post.nc")
    back = ph.load(tmp_path / "post.nc")
    assert sorted(back.moments.labels.tolist()) == sorted(names)
    assert (back.predict(sales.assign(zip=sales["zip"].map(of)))["status"] == "known").all()


def test_no_rows_in_the_file(tmp_path, fast, formula):
    """Ten times the rows of the same places: the same size; and no row's price is anywhere in it."""
    sizes = {}
    for rows in (2_000, 20_000):
        sales, _ = ph.simulate(15, rows, seed=3)
        post = ph.fit(formula, sales, **fast)
        path = tmp_path / f"{rows}.nc"
        post.save(path)
        sizes[rows] = path.stat().st_size
    assert abs(sizes[20_000] - sizes[2_000]) < 2_000
    stored = ph.load(tmp_path / "20000.nc")
    numbers = np.concatenate([
        values.values.ravel() for node in stored.tree.subtree for values in node.to_dataset().data_vars.values()
        if values.dtype.kind == "f"
    ])  # fmt: skip
    many = stored.moments.labels[stored.moments.n > 1]
    prices = sales["price"][sales["zip"].isin(many) & (sales["price"].abs() > 1000)].unique()
    assert len(prices) > 1000
    raw = path.read_bytes()
    assert not np.isin(prices, numbers).any()
    for price in prices[:300]:
        assert np.float64(price).tobytes() not in raw
        assert str(price).encode() not in raw


def test_attributes(tmp_path, fitted):
    fitted.save(tmp_path / "post.nc")
    with xr.open_datatree(tmp_path / "post.nc", engine="h5netcdf") as tree:
        assert tree.attrs["priorhood_format"] == stored.FORMAT
        assert json.loads(tree.attrs["model"])["formula"] == fitted.model.formula.text
        assert tree.attrs["engine"] == "exact"
        assert tree.attrs["engine_reason"]
        assert tree.attrs["seed"] == 1
        assert json.loads(tree.attrs["versions"])["priorhood"] == ph.__version__
        assert {"posterior", "sample_stats", "moments"} <= set(tree.children)


# -- ArviZ ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(tmp_path_factory, fitted):
    path = tmp_path_factory.mktemp("arviz") / "post.nc"
    fitted.save(path)
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_arviz_opens_the_file(tmp_path, fitted):
    az = pytest.importorskip("arviz")
    fitted.save(tmp_path / "post.nc")
    found = az.from_netcdf(tmp_path / "post.nc")
    np.testing.assert_array_equal(found.posterior["beta"].values, fitted["beta"].values)
    assert found.posterior["beta"].dims == ("chain", "draw", "zip", "term")
    assert found.posterior["beta"]["zip"].values.tolist() == fitted.moments.labels.tolist()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the diagonal of omega is constant
def test_arviz_summary_has_our_labels_and_numbers(opened, fitted):
    stats = pytest.importorskip("arviz_stats")
    theirs = stats.summary(opened, round_to="none")
    ours = fitted.summary(standardized=True)
    assert {"mu[Intercept]", "mu[living_space]", "tau[living_space]", "sigma"} <= set(theirs.index)
    shared = [label for label in ours.index if label in theirs.index]
    assert {f"beta[{z}, living_space]" for z in fitted.moments.labels} <= set(shared)
    # Versions of ArviZ differ in the divisor of the sd: n, or n − 1.
    tolerance = {"sd": 1.0 / fitted["sigma"].size}
    for column in ("mean", "sd", "ess_bulk", "r_hat"):
        np.testing.assert_allclose(
            theirs.loc[shared, column].astype(float),
            ours.loc[shared, column].astype(float),
            rtol=tolerance.get(column, 1e-6),
            err_msg=column,
        )


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_arviz_diagnostics(opened, fitted):
    stats = pytest.importorskip("arviz_stats")
    for found, column in ((stats.ess(opened), "ess_bulk"), (stats.rhat(opened), "r_hat")):
        values = found["posterior"] if "posterior" in getattr(found, "children", {}) else found
        values = values.to_dataset() if hasattr(values, "to_dataset") else values
        ours = fitted.summary(standardized=True)[column]
        assert float(values["sigma"]) == pytest.approx(ours["sigma"], rel=1e-6)
        zip_code = fitted.moments.labels[2]
        got = float(values["beta"].sel(zip=zip_code, term="living_space"))
        assert got == pytest.approx(ours[f"beta[{zip_code}, living_space]"], rel=1e-6)


def test_sample_stats_have_arviz_names(opened):
    assert {"lp", "energy", "diverging", "acceptance_rate", "n_steps"} <= set(opened["sample_stats"].data_vars)
    assert not opened["sample_stats"]["diverging"].any()
