"""The view by a notebook's names: the same numbers, and the notebook's ArviZ calls run as they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from priorhood.posterior.notebook_names import NotebookTree, notebook_names

INDEPENDENT = "price ~ living_space + (living_space || zip)"
# ArviZ before 1.0 announces its successor.
quiet = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
pytestmark = quiet


@pytest.fixture(scope="module")
def independent(sales):
    return ph.fit(INDEPENDENT, sales, chains=2, draws=150, seed=3)


def view(post, **more):
    groups = {name: node.to_dataset() for name, node in post.tree.children.items()} | more
    return notebook_names(groups, post.design, post.attrs)


def same(found, post, name, **at):
    expected = post[name].sel(at)
    np.testing.assert_array_equal(found.values, expected.values)


def test_independent_effects(independent):
    data = view(independent)
    held = data.posterior
    for prefix, name in (("", "beta"), ("mu_", "mu"), ("sigma_", "tau")):
        same(held[f"{prefix}alpha"], independent, name, term="Intercept")
        same(held[f"{prefix}beta"], independent, name, term="living_space")
    same(held["sigma"], independent, "sigma")
    assert held["alpha"].dims == ("chain", "draw", "zip_code")
    assert held["zip_code"].values.tolist() == independent.moments.labels.tolist()
    assert held["zip_code"].dtype.kind == "U"
    assert set(held.data_vars) == {"alpha", "beta", "mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "sigma"}
    assert set(data.children) == {"posterior", "sample_stats"}
    xr.testing.assert_equal(data["sample_stats"].to_dataset(), independent.tree["sample_stats"].to_dataset())


def test_correlated_effects(fitted):
    held = view(fitted).posterior
    np.testing.assert_array_equal(held["ab"].values, fitted["beta"].values)
    np.testing.assert_array_equal(held["mu"].values, fitted["mu"].values)
    np.testing.assert_array_equal(held["sigma"].values, fitted["tau"].values)
    same(held["C_triu"].isel(C_triu_dim_0=0), fitted, "omega", term="Intercept", term_bis="living_space")
    same(held["sd_price"], fitted, "sigma")
    same(held["mu_beta"], fitted, "mu", term="living_space")
    assert held["ab"].dims == ("chain", "draw", "zip_code", "param")
    assert held["mu"].dims == ("chain", "draw", "param")
    assert held["sigma"].dims == ("chain", "draw", "sigma_dim_0")
    assert held["C_triu"].dims == ("chain", "draw", "C_triu_dim_0")
    assert held["param"].values.tolist() == held["sigma_dim_0"].values.tolist() == ["alpha", "beta"]


def test_no_copies(fitted, independent):
    for post, names in (
        (fitted, ("ab", "alpha", "mu_beta", "C_triu", "sd_price")),
        (independent, ("beta", "sigma")),
    ):
        held = view(post).posterior
        for name in names:
            assert any(np.shares_memory(held[name].values, post[own].values) for own in post.parameters), name


def test_noise_by_place(fitted, independent):
    for post, name in ((fitted, "sd_price"), (independent, "sigma")):
        draws = post.tree["posterior"].to_dataset()
        own = np.arange(draws["sigma"].size * 12, dtype=float).reshape(*draws["sigma"].shape, 12)
        held = view(post, posterior=draws.assign(sigma=(("chain", "draw", "zip"), own))).posterior
        assert held[name].dims == ("chain", "draw", "zip_code")
        np.testing.assert_array_equal(held[name].values, own)


def test_known_errors(independent):
    draws = independent.tree["posterior"].to_dataset().drop_vars("sigma")
    assert "sigma" not in view(independent, posterior=draws).posterior


def test_other_groups(independent):
    draws = independent.tree["posterior"].to_dataset()
    seen = xr.Dataset({"price": ("row", [1.0, 2.0])})
    data = view(independent, prior=draws[["mu", "tau"]], observed_data=seen)
    assert set(data["prior"].data_vars) == {"mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta"}
    xr.testing.assert_equal(data["observed_data"].to_dataset(), seen)
    assert "moments" not in data


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("price ~ living_space", ("no grouping terms",)),
        ("price ~ living_space + (1 | zip)", ("by zip", "are Intercept")),
        ("price ~ 1 + (living_space | zip)", ("of the population", "are Intercept")),
        ("price ~ living_space + rooms + (living_space + rooms | zip)", ("Intercept, living_space, rooms",)),
        ("price ~ 0 + living_space + (0 + living_space | zip)", ("are living_space",)),
        ("price ~ living_space + (rooms | zip)", ("differ",)),
        ("price ~ kind + (kind | zip)", ("'kind[loft]' is a category",)),
    ],
)
def test_other_models_are_refused(sales, formula, says):
    rng = np.random.default_rng(0)
    frame = sales.assign(
        rooms=rng.integers(1, 6, len(sales)), kind=np.where(rng.random(len(sales)) < 0.5, "flat", "loft")
    )
    post = ph.fit(formula, frame, chains=1, draws=10, seed=1)
    with pytest.raises(ph.ModelError) as caught:
        post.notebook_names()
    for part in ("one numeric slope", *says):
        assert part in str(caught.value)


# -- the notebook's calls -----------------------------------------------------------------------------------


@pytest.fixture
def az(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    pytest.importorskip("matplotlib")
    return pytest.importorskip("arviz")


def test_summary(az, fitted, independent):
    for post, extra in ((independent, ["sigma"]), (fitted, ["sd_price", "C_triu[0]", "sigma[beta]", "mu[alpha]"])):
        frame = az.summary(post.notebook_names(), kind="stats", round_to="none")
        ours = post.summary(standardized=True)["mean"]
        assert {"mu_alpha", "sigma_beta", *extra} <= set(frame.index)
        for label in post.moments.labels:
            assert frame["mean"][f"beta[{label}]"] == pytest.approx(ours[f"beta[{label}, living_space]"], rel=1e-9)
            if post is fitted:
                assert frame["mean"][f"ab[{label}, alpha]"] == pytest.approx(ours[f"beta[{label}, Intercept]"])


def test_one_place_and_traces(az, independent):
    from matplotlib import pyplot

    data = independent.notebook_names()
    label = str(independent.moments.labels[2])
    one = data.posterior.where(data.posterior.zip_code.isin([label]), drop=True)
    assert one["alpha"].sizes["zip_code"] == 1
    same(one["alpha"].isel(zip_code=0), independent, "beta", zip=label, term="Intercept")
    az.plot_trace(one, var_names=["alpha"])
    az.plot_trace(data, var_names=["mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "sigma"])
    pyplot.close("all")


def test_file(az, fitted, tmp_path):
    fitted.notebook_names().to_netcdf(str(tmp_path / "mvn_hier.nc"))
    again = az.from_netcdf(str(tmp_path / "mvn_hier.nc"))
    np.testing.assert_array_equal(again.posterior["ab"].values, fitted["beta"].values)


def test_a_condition_keeps_the_rest_as_missing(independent):
    data = view(independent)
    assert isinstance(data, NotebookTree)
    assert isinstance(data.posterior, NotebookTree)
    chosen = data.posterior.where(data.posterior.zip_code == independent.moments.labels[0])
    assert np.isnan(chosen["alpha"].values[:, :, 1:]).all()
    assert np.isfinite(chosen["alpha"].values[:, :, 0]).all()


def test_without_arviz_it_is_the_tree(independent, monkeypatch):
    from priorhood.posterior import notebook_names as notebook

    def missing(name):
        raise notebook.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(notebook.metadata, "version", missing)
    assert isinstance(dataclasses.replace(independent).notebook_names(), NotebookTree)
