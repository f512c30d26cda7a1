"""A file saved by an earlier version, or by this one, goes on loading, and means the same.

files/format1.nc was written by version 0.1.0 from 60 simulated sales in 4 places (seed 7), 2 chains of 25
draws. files/format2.nc came from the same version, before its release: Student-t errors with a noise by place,
by NUTS, with predictive draws attached; format2_se.nc is eight schools, whose errors are known.
format3.nc and format3_noise.nc are of simulated sales (seed 8): nested and crossed groupings, precision weights
and a table of places; a residual sd for every place, alike. format4_summaries.nc has summaries of its nested
places, no draws. format4_factor_bar.nc, of 60 simulated sales (seed 9), is of a version that fitted `|` around a
single categorical term as `||`. format5.nc and format2.moments, of 72 simulated sales (seed 10), are the first with
checksums: odd names, categories in a declared order, a reference chosen, weights and a table of places.
All are never written again: a change of the format adds a file beside them.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import priorhood as ph
from priorhood.posterior.io import SUMS_LAST
from priorhood.posterior.tree import FORMAT
from shared_data import STORED

FORMAT_1 = STORED / "format1.nc"


def test_format_1_loads_and_predicts_what_it_did():
    post = ph.load(FORMAT_1)
    assert post.model.formula.text == "log(price) ~ log(living_space) + kind + (log(living_space) | zip)"
    assert post.priors()["tau"] == ph.HalfNormal(2)
    assert post.moments.labels.tolist() == ["10115", "11136", "12157", "13178"]
    assert post.moments.rows == 60
    row = post.predict({"zip": "10115", "living_space": 80, "kind": "loft"}).iloc[0]
    assert row["mean"] == pytest.approx(424234.2102771705, rel=1e-6)
    assert row["q95"] == pytest.approx(520248.40268986527, rel=1e-6)


def test_format_1_can_be_fitted_again():
    again = ph.refit(ph.load(FORMAT_1), priors="tau ~ Exponential(1)", draws=200)
    assert again.priors()["tau"] == ph.Exponential(1)
    assert again["beta"].sizes["zip"] == 4


def test_a_prior_of_any_size_goes_on_loading(tmp_path):
    """A new model may not have one beyond 1e30; the first versions took it."""
    path = tmp_path / "post.nc"
    path.write_bytes(FORMAT_1.read_bytes())
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model"])
        model["priors"]["mu"] = "Normal(mean=0, sd=1e+35)"
        file.attrs["model"] = json.dumps(model)
    post = ph.load(path)
    assert post.priors()["mu"] == ph.Normal(0, 1e35)
    again = ph.refit(post, priors="tau ~ Exponential(1)", draws=200, seed=1)
    assert again.priors()["mu"] == ph.Normal(0, 1e35)
    usual = ph.refit(post, priors=["tau ~ Exponential(1)", "mu ~ Normal(0, 1e10)"], draws=200, seed=1)
    np.testing.assert_allclose(again["mu"].mean(), usual["mu"].mean(), rtol=1e-2)
    with pytest.raises(ph.PriorError, match=r"must be at most 1e\+30"):
        post.model.with_priors("mu ~ Normal(0, 1e35)")


def test_format_2_loads_and_predicts_what_it_did():
    post = ph.load(FORMAT_1.with_name("format2.nc"))
    assert (post.model.family, post.model.noise, post.model.se) == ("student", "zip", None)
    assert post.attrs["engine"] == "nuts"
    assert post["sigma"].dims == ("chain", "draw", "zip")
    groups = {"posterior", "sample_stats", "moments", "prior", "prior_predictive", "observed_data",
              "posterior_predictive", "log_likelihood"}  # fmt: skip
    assert set(post.tree.children) == groups
    assert post.tree["prior_predictive/price"].dtype == "float32"
    rows = post.predict({"zip": ["10115", "99999"], "living_space": [80, 80]}, unseen="draw")
    assert rows["mean"].tolist() == pytest.approx([388401.172749, 363050.746184], rel=1e-6)
    assert rows["q95"].tolist() == pytest.approx([445206.938126, 1252569.173469], rel=1e-5)
    assert "transitions diverged" in str(post.check())


def test_format_2_of_known_errors_loads_and_can_be_fitted_again():
    post = ph.load(FORMAT_1.with_name("format2_se.nc"))
    assert post.model.se == "se"
    assert "sigma" not in post.parameters
    assert post.moments.weight[0] == pytest.approx(15.0**-2)
    row = post.predict({"school": ["a"], "se": [10.0]}).iloc[0]
    assert row["mean"] == pytest.approx(6.861198, rel=1e-6)
    assert row["sd"] == pytest.approx(11.912379, rel=1e-6)
    again = ph.refit(post, draws=1000)
    assert again["mu"].mean() == pytest.approx(4.4, abs=0.4)


def test_format_3_of_groupings_weights_and_places_loads_and_predicts_what_it_did():
    post = ph.load(FORMAT_1.with_name("format3.nc"))
    assert post.parameters == ["mu", "beta", "beta_district", "delta_kind", "tau", "tau_district", "tau_kind",
                               "omega", "sigma"]  # fmt: skip
    assert post["beta"]["zip"].values.tolist()[:2] == ["north/00", "north/01"]
    assert post.model.precision_weights == "w"
    assert post.priors()["tau_kind"] == ph.LogNormal(-1, 1)
    # Distances are those of the places in the file; 04 is a place without rows, villa a kind without any.
    homes = {"district": ["north"] * 2, "zip": ["03", "04"], "kind": ["loft", "villa"], "living_space": [80, 80]}
    rows = post.predict(homes, unseen="draw")
    assert rows["status"].tolist() == ["known", "new"]
    assert rows["mean"].tolist() == pytest.approx([127487.43095321, 94308.68399653], rel=1e-6)
    assert rows["q95"].tolist() == pytest.approx([163576.08548020, 160418.47986364], rel=1e-5)
    again = ph.refit(post, draws=200)
    assert again["delta_kind"].sizes["kind"] == 3


def test_format_3_of_noise_by_place_loads_and_predicts_what_it_did():
    post = ph.load(FORMAT_1.with_name("format3_noise.nc"))
    assert post.parameters == ["mu", "beta", "tau", "sigma", "sigma_median", "sigma_spread"]
    assert post.priors()["sigma_spread"] == ph.Uniform(0.01, 2)
    rows = post.predict({"zip": ["n00", "x9"], "living_space": [80, 80]}, unseen="draw")
    assert rows["mean"].tolist() == pytest.approx([146878.38112244, 127263.66803458], rel=1e-6)
    assert rows["q95"].tolist() == pytest.approx([188235.60578699, 182049.58742555], rel=1e-5)


def test_format_4_of_summaries_loads_and_says_what_it_did():
    post = ph.load(FORMAT_1.with_name("format4_summaries.nc"))
    assert post.parameters == ["mu", "beta_district", "tau", "tau_district", "omega", "omega_district", "sigma"]
    assert post.attrs["store"] == "summaries"
    row = post.predict({"district": ["north"], "zip": ["12838"], "living_space": [80]}).iloc[0]
    assert row["mean"] == pytest.approx(398336.2558589036, rel=1e-6)
    assert row["q95"] == pytest.approx(467252.70386826654, rel=1e-6)
    assert post.draws(zip="north/12838").values[1, 3, 0, 0] == pytest.approx(436565.4878773297, rel=1e-6)
    assert post.coefficients()["beta_q95"].values[1, 1] == pytest.approx(4365.870820147226, rel=1e-6)


def test_a_bar_around_one_factor_goes_on_meaning_what_was_fitted(tmp_path):
    """(0 + kind | district/zip) had no correlations then: it loads, says so; no refit makes it another model."""
    told = r"read as the model that was actually fitted, '.*\(0 \+ kind \|\| district/zip\)'"
    with pytest.warns(ph.PriorhoodWarning, match=told):
        post = ph.load(FORMAT_1.with_name("format4_factor_bar.nc"))
    assert post.model.formula.text == "price ~ living_space + (0 + kind || district/zip)"
    assert post.notes[-1].startswith("'price ~ living_space + (0 + kind | district/zip)' was fitted by an earlier")
    assert "omega" not in post.equations()
    assert "omega" not in post.priors()
    row = post.predict({"district": ["north"], "zip": ["00"], "kind": ["house"], "living_space": [80]}).iloc[0]
    assert row["q50"] == pytest.approx(297568.204067, rel=1e-6)
    assert row["q95"] == pytest.approx(333082.7091, rel=1e-6)
    again = ph.refit(post, draws=1000, chains=4)
    assert again.parameters == ["mu", "beta", "beta_district", "tau", "tau_district", "sigma"]
    assert again.log_evidence == pytest.approx(-720.1715369754269, abs=0.1)
    new = {"district": ["north", "south"], "zip": ["00", "01"], "kind": ["house", "flat"],
           "living_space": [80, 70], "price": [300_000, 210_000]}  # fmt: skip
    assert "omega" not in ph.update(post, new, draws=50).parameters
    post.save(tmp_path / "again.nc")
    assert ph.load(tmp_path / "again.nc").notes == post.notes  # and without a warning


def test_sums_of_format_1_load_and_can_be_fitted_and_pooled():
    sums = ph.load_moments(FORMAT_1.with_name("format1.moments"))
    text = "log(price) ~ log(living_space) * kind + far + (log(living_space) | zip)"
    assert repr(sums) == f"Moments({text!r}, 89 rows)"
    assert (sums.weights.precision, sums.minimum) == ("w", 2)
    assert sums.design.categories == {"kind": ("flat", "loft")}
    assert [str(d) for d in sums.moments.dropped] == [
        "1 row: missing 'kind'", "3 rows in 3 places: fewer than 2 rows of a category",
    ]  # fmt: skip
    assert dict(zip(sums.moments.labels.tolist(), sums.moments.n.tolist(), strict=True)) == {
        "10115": 8, "11476": 46, "12157": 24, "12838": 11,
    }  # fmt: skip
    assert sums.moments.mean[0, -1] == pytest.approx(13.0395080, rel=1e-8)
    assert sums.moments.log_weight == pytest.approx(14.269868630408109, rel=1e-12)
    assert sums.place_table.places["10999",] == (3.0,)
    post = ph.fit(text, sums, seed=1, chains=2, draws=100)
    assert post.log_evidence == pytest.approx(5.618640473903443, abs=0.1)
    assert ph.pool(sums).rows == 89


CURRENT = "log(price) ~ log(`area (m²)`) + type + C(`nº`, Treatment(2)) + far + (0 + type | zip)"


def test_format_5_loads_and_predicts_what_it_did(tmp_path):
    post = ph.load(FORMAT_1.with_name("format5.nc"))
    assert post.attrs["priorhood_format"] == 5
    assert post.model.formula.text == CURRENT
    assert post.parameters == ["mu", "beta", "tau", "omega", "sigma"]
    assert post.design.categories == {"type": ("house", "flat", "loft"), "C(nº, Treatment(2))": ("2", "1", "3")}
    assert post.design.references == {"type": "house", "nº": "2"}
    assert post.priors()["tau"] == ph.HalfNormal(0.25)
    assert post.model.precision_weights == "w"
    # 99084 is in the table of places alone, which the file has.
    homes = {"zip": ["01067", "99084"], "area (m²)": [80, 60], "type": ["loft", "house"], "nº": [1, 3], "w": [1, 2]}
    rows = post.predict(homes, unseen="draw")
    assert rows["status"].tolist() == ["known", "new"]
    assert rows["mean"].tolist() == pytest.approx([291154.504270957, 141347.974929448], rel=1e-6)
    assert rows["q95"].tolist() == pytest.approx([451493.696040644, 200654.965440035], rel=1e-6)
    assert post.log_evidence == pytest.approx(-22.066937051416947, rel=1e-12)
    post.save(tmp_path / "again.nc")
    assert ph.load(tmp_path / "again.nc").predict(homes, unseen="draw").equals(rows)
    assert ph.refit(post, draws=1000).log_evidence == pytest.approx(post.log_evidence, abs=0.1)


def test_sums_of_format_2_load_and_can_be_fitted():
    sums = ph.load_moments(FORMAT_1.with_name("format2.moments"))
    assert repr(sums) == f"Moments({CURRENT!r}, 54 rows)"
    assert sums.design.categories == {"type": ("house", "flat", "loft"), "C(nº, Treatment(2))": ("2", "1", "3")}
    assert dict(zip(sums.moments.labels.tolist(), sums.moments.n.tolist(), strict=True)) == {
        "01067": 14, "01069": 13, "01097": 14, "10115": 13,
    }  # fmt: skip
    assert sums.moments.mean[0, -1] == pytest.approx(12.42999112, rel=1e-8)
    assert sums.moments.log_weight == pytest.approx(32.251670446104995, rel=1e-12)
    assert sums.place_table.places["99084",] == (7.0,)
    model = ph.Model(CURRENT, "tau ~ HalfNormal(0.25)", precision_weights="w")
    assert ph.fit(model, sums, seed=1, draws=500).log_evidence == pytest.approx(-24.93, abs=0.1)


def test_there_is_a_file_of_every_format():
    """Whoever raises a format adds a file of it, by a script like those before, and a test above."""
    names = {path.name for path in FORMAT_1.parent.iterdir()}
    posteriors = {name.partition(".nc")[0].partition("_")[0] for name in names}
    assert {f"format{at}" for at in range(1, FORMAT + 1)} <= posteriors
    assert {f"format{at}.moments" for at in range(1, SUMS_LAST + 1)} <= names
