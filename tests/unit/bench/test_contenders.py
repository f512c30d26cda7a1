"""The benchmark of contenders: what is asked and told, what is kept and not asked again, what the pages show."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bench(monkeypatch):
    """Import a module of the benchmark, which is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"bench.{name}")


@pytest.fixture
def record(bench):
    """A made-up record of priorhood at the smallest size."""
    return bench("contest").Record(
        "priorhood", "independent", 7500, 219, "fitted", first=20.0, ready=2.0, fits=(0.1, 0.2, 0.3), peak_mb=400.0,
        draws=1000, least_ess=3000.0, greatest_rhat=1.002, mean={"mu[0]": 4.0, "sigma[0]": 0.8},
        sd={"mu[0]": 0.04, "sigma[0]": 0.01}, versions={"priorhood": "9.9", "Python": "3.99"},
        limits={"seconds": 60.0, "memory_mb": 4000.0},
        machine={"cpu": "Abacus", "cores": 2, "date": "2026-11-21T10:00", "others": 0.1},
    )  # fmt: skip


@pytest.fixture
def records(bench, record, tmp_path):
    """Three contenders at one size, one of them stopped at the next."""
    found = bench("scale").Records(tmp_path / "contenders.json")
    lacking = {"draws": None, "least_ess": None, "greatest_rhat": None, "ready": None, "sd": {}}
    found.keep(record)
    found.keep(
        replace(record, contender="lme4", fits=(0.05,), mean={"mu[0]": 4.02, "sigma[0]": 0.8},
                versions={"lme4": "1.1"}, **lacking)
    )  # fmt: skip
    found.keep(replace(record, contender="pymc6", fits=(), first=30.0, greatest_rhat=1.02, versions={"PyMC": "6"}))
    found.keep(
        replace(record, contender="pymc6", rows=75_000, status="time", reason="no result after 60 s", fits=(),
                first=None, **lacking)
    )  # fmt: skip
    found.keep(
        replace(record, contender="bambi", status="failed", reason="RuntimeError: no room", versions={},
                fits=(), first=None,
                **lacking)
    )  # fmt: skip
    return found


# -- one contender ------------------------------------------------------------------------------------------


SAMPLER = """
import sys
sys.path.insert(0, {scripts!r})
import numpy as np
import protocol

def fit(asked, _, seed):
    return np.random.default_rng(seed)

def collect(rng, rows, asked):
    shape = (asked["chains"], asked["draws"])
    beta = rng.normal(size=(*shape, len(asked["places"]), 2)) + np.array([0.0, 10.0])
    mu = rng.normal(size=(*shape, 2))
    return {{"mu": mu, "sigma": 2.0 + rng.normal(size=shape), "beta": beta}}

protocol.run(fit, collect, {{"Sampler": "1"}}, read=lambda asked: asked)
"""


def test_draws_and_times_go_from_process_to_process(bench, tmp_path):
    contest, contenders = bench("contest"), bench("contenders")
    script = tmp_path / "script.py"
    script.write_text(SAMPLER.format(scripts=str(contenders.SCRIPTS)), encoding="utf-8")
    asked = {"data": "", "model": "correlated", "places": [3, 5, 8], "chains": 4, "draws": 300, "tune": 0}
    found = contest.answered(
        contenders.Contender("x", "X", str(script)), asked, contest.Limits(seconds=60.0, fits=3), [sys.executable],
        tmp_path,
    )  # fmt: skip
    told = contest.read_answer(tmp_path)
    draws = contest.read_draws(told, tmp_path)
    rng = np.random.default_rng(contest.SEED)
    assert told["names"] == ["mu[0]", "mu[1]", "sigma[0]", *(f"beta[{at}]" for at in range(6))]
    beta = rng.normal(size=(4, 300, 3, 2)) + np.array([0.0, 10.0])
    assert np.array_equal(draws[..., 3:], beta.reshape(4, 300, 6))
    assert np.array_equal(draws[..., :2], rng.normal(size=(4, 300, 2)))
    assert len(found["fits"]) == 3
    assert found["first"] > 0
    assert found["ready"] > 0
    assert found["versions"]["Sampler"] == "1"
    assert abs(found["mean"]["sigma[0]"] - 2.0) < 0.2


@pytest.mark.slow
def test_priorhood_by_the_protocol_has_the_truth_and_the_quality(bench, tmp_path):
    contest, data = bench("contest"), bench("data")
    contender = bench("contenders").CONTENDERS["priorhood"]
    size = data.Size(2_000, 30)
    path = data.made(size, tmp_path)
    asked = {"data": str(path), "model": "correlated", "places": data.places(size)}
    asked |= {"chains": 4, "draws": 500, "tune": 0}
    limits = contest.Limits(seconds=300, memory_mb=4000, fits=1)
    told = contest.answered(contender, asked, limits, [sys.executable], tmp_path, twice=False)
    assert told["status"] == "fitted", told
    assert len(told["fits"]) == 1
    assert told["first"] > told["fits"][0] > 0
    assert contest.good(told["least_ess"], told["greatest_rhat"])
    truth = {"mu[0]": data.MU[0], "mu[1]": data.MU[1], "tau[0]": data.TAU[0], "tau[1]": data.TAU[1],
             "omega[0]": data.RHO, "sigma[0]": data.SIGMA}  # fmt: skip
    assert set(told["mean"]) == set(truth)
    # Each lies beyond 5 sds in less than one of a million data sets.
    assert all(abs(told["mean"][k] - truth[k]) < 5 * told["sd"][k] for k in truth)
    names = contest.read_answer(tmp_path)["names"]
    assert sum(name.startswith("beta") for name in names) == 60


SCRIPT = """
import json, sys, time
from pathlib import Path
how = {how!r}
if how == "slow": time.sleep(60)
if how == "large":
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(60)
if how == "broken": raise ValueError("no such column")
"""


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("slow", "time", "no result after 1 s"),
        ("large", "memory", "more than 150 MB"),
        ("broken", "failed", "ValueError: no such column"),
        ("silent", "failed", "it ended with status 0 and no word"),
    ],
)
def test_what_stops_a_contender_is_told(bench, tmp_path, how, status, reason):
    contest = bench("contest")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(how=how), encoding="utf-8")
    contender = bench("contenders").Contender("x", "X", str(script), python="own")
    limits = contest.Limits(seconds=1.0 if how == "slow" else 30.0, memory_mb=150.0)
    path, size = tmp_path / "none.parquet", bench("data").Size(10, 2)
    *_, found = contest.contest(contender, "correlated", path, size, limits, [sys.executable])
    assert (found.status, found.reason) == (status, reason)
    assert found.fits == ()


def test_a_model_that_cannot_be_expressed_is_not_tried(bench, tmp_path):
    contest = bench("contest")
    bambi = bench("contenders").CONTENDERS["bambi"]
    *_, found = contest.contest(
        bambi, "correlated", tmp_path, bench("data").Size(10, 2), contest.Limits(), ["false"]
    )
    assert (found.status, found.reason) == ("refused", bambi.differs)


def test_draws_are_doubled_until_they_have_the_quality(bench, monkeypatch, tmp_path):
    contest = bench("contest")
    asked = []

    def answered(contender, what, limits, command, folder):
        asked.append((what["draws"], what["tune"]))
        return {"status": "fitted", "first": 9.0, "fits": (1.0,), "draws": what["draws"],
                "least_ess": 0.15 * what["draws"], "greatest_rhat": 1.001}  # fmt: skip

    monkeypatch.setattr(contest, "answered", answered)
    someone = bench("contenders").CONTENDERS["nutpie"]
    size = bench("data").Size(10, 2)
    *_, found = contest.contest(someone, "correlated", tmp_path, size, contest.Limits(seconds=100), ["x"])
    assert asked == [(1000, 1000), (2000, 2000), (4000, 4000)]
    assert found.reached
    assert [one["draws"] for one in found.tries] == [1000, 2000, 4000]
    # Twice as many would take longer than the limit: not tried, and not said to have the quality.
    *_, found = contest.contest(someone, "correlated", tmp_path, size, contest.Limits(seconds=10), ["x"])
    assert not found.reached
    assert len(found.tries) == 1
    # A later run under a greater limit goes on from there.
    asked.clear()
    limits = contest.Limits(seconds=100)
    *_, again = contest.contest(someone, "correlated", tmp_path, size, limits, ["x"], found)
    assert again.reached
    assert asked == [(2000, 2000), (4000, 4000)]
    assert [one["draws"] for one in again.tries] == [1000, 2000, 4000]


def test_draws_that_fell_short_go_on_where_the_limit_has_room_for_twice_as_many(bench, record, tmp_path):
    records, limits = bench("scale").Records(tmp_path / "records.json"), bench("contest").Limits(seconds=900.0)
    tries = ({"draws": 2000, "status": "fitted", "first": 550.0},)
    told = {"first": 550.0, "draws": 2000, "least_ess": 700.0, "greatest_rhat": 1.0104, "tries": tries}
    records.keep(replace(record, contender="rstanarm", **told))
    wanted = ("rstanarm", "independent", 7_500, 219)
    assert records.settled(wanted, limits)
    assert records.settled(wanted, replace(limits, seconds=1000.0))
    assert not records.settled(wanted, replace(limits, seconds=1800.0))
    assert records.short(wanted, limits) is None
    assert records.short(wanted, replace(limits, seconds=1800.0)).tries == tries
    records.keep(replace(record, contender="rstanarm", **told | {"greatest_rhat": 1.009}))
    assert records.settled(wanted, replace(limits, seconds=1800.0))
    assert records.short(wanted, replace(limits, seconds=1800.0)) is None


@pytest.mark.parametrize(("how", "bound"), [("time", "seconds"), ("memory", "memory_mb"), ("failed", None)])
def test_draws_that_were_finished_stay_where_twice_as_many_are_stopped(bench, monkeypatch, tmp_path, how, bound):
    scale, contest = bench("scale"), bench("contest")
    asked = []

    def answered(contender, what, limits, command, folder):
        asked.append(what["draws"])
        if what["draws"] == 4000 and limits == little:
            return {"status": how, "reason": "no room", "peak_mb": 900.0, "draws": 4000}
        return {"status": "fitted", "first": 9.0, "fits": (1.0,), "draws": what["draws"],
                "least_ess": 0.12 * what["draws"], "greatest_rhat": 1.001}  # fmt: skip

    monkeypatch.setattr(contest, "answered", answered)
    monkeypatch.setattr(scale, "FILES", tmp_path)
    monkeypatch.setattr(scale.environments, "command_of", lambda contender, install: (["x"], ""))
    little = contest.Limits(seconds=100.0, memory_mb=1000.0)
    plan = scale.Plan(("nutpie",), (("correlated", bench("data").Size(100, 10)),), little)

    def known(plan):
        scale.measure(plan, Console(quiet=True), tmp_path / "c.json")
        return bench("scale").Records(tmp_path / "c.json").by_key["nutpie", "correlated", 100, 10]

    kept = known(plan)
    assert (kept.status, kept.draws, kept.first, kept.reached) == ("fitted", 2000, 9.0, False)
    assert [one["draws"] for one in kept.tries] == [1000, 2000, 4000]
    assert [one["status"] for one in kept.tries] == ["fitted", "fitted", how]
    # The same limits do not ask for it once more; greater ones do, for the number of draws that was stopped.
    assert known(plan) == kept
    assert asked == [1000, 2000, 4000]
    if bound is None:
        assert known(replace(plan, limits=replace(little, seconds=900.0, memory_mb=9000.0))) == kept
        return
    kept = known(replace(plan, limits=replace(little, **{bound: 900.0 if bound == "seconds" else 9000.0})))
    assert asked == [1000, 2000, 4000, 4000]
    assert (kept.draws, kept.reached) == (4000, True)


def test_draws_of_an_earlier_run_keep_the_machine_that_they_ran_on(bench, monkeypatch, record, tmp_path):
    scale, contest = bench("scale"), bench("contest")
    records, wanted = bench("scale").Records(tmp_path / "c.json"), ("nutpie", "independent", 100, 10)
    told = {"rows": 100, "groups": 10, "least_ess": 100.0}
    records.keep(replace(record, contender="nutpie", **told))
    monkeypatch.setattr(contest, "answered", lambda *given: {"status": "time", "reason": "no", "draws": 2000})
    monkeypatch.setattr(scale, "FILES", tmp_path)
    monkeypatch.setattr(scale.environments, "command_of", lambda contender, install: (["x"], ""))
    plan = scale.Plan(("nutpie",), (("independent", bench("data").Size(100, 10)),), contest.Limits(seconds=100.0))
    kept = scale.measure(plan, Console(quiet=True), tmp_path / "c.json").by_key[wanted]
    assert (kept.machine["cpu"], kept.draws, kept.status) == ("Abacus", 1000, "fitted")


def test_quality_sees_a_chain_that_is_elsewhere(bench):
    draws = np.random.default_rng(1).normal(size=(4, 500, 3))
    names = ["mu[0]", "sigma[0]", "beta[0]"]
    quality = bench("contest").quality
    fine = quality(draws, names)
    assert bench("contest").good(fine["least_ess"], fine["greatest_rhat"])
    assert set(fine["mean"]) == {"mu[0]", "sigma[0]"}
    draws[0, :, 2] += 3.0
    wrong = quality(draws, names)
    assert not bench("contest").good(wrong["least_ess"], wrong["greatest_rhat"])


# -- data ---------------------------------------------------------------------------------------------------


def test_data_are_uneven_and_every_group_has_a_row(bench, tmp_path):
    import pandas as pd

    data = bench("data")
    size = data.Size(20_000, 500)
    frame = pd.read_parquet(data.made(size, tmp_path))
    counts = frame.groupby("g").size()
    assert (len(frame), len(counts), counts.index.min(), counts.index.max()) == (20_000, 500, 0, 499)
    assert counts.max() > 10 * counts.median() > 0
    # Five standard errors of the mean of 20,000 and of their variance.
    assert abs(frame["x"].mean()) < 5 / np.sqrt(20_000)
    assert abs(frame["x"].var() - 1) < 5 * np.sqrt(2 / 20_000)
    csv = pd.read_csv(data.made(size, tmp_path, csv=True))
    assert np.isclose(csv["y"].sum(), frame["y"].sum())
    assert data.facts(tmp_path / "20000x500.parquet")["groups"] == 500


# -- records ------------------------------------------------------------------------------------------------


def test_records_are_read_back_as_they_were(bench, records):
    again = bench("scale").Records(records.path)
    assert again.by_key == records.by_key


def test_a_stray_field_is_named(bench, records):
    told = json.loads(records.path.read_text(encoding="utf-8"))
    told["records"][0]["colour"] = "red"
    records.path.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ValueError, match="no field 'colour'"):
        bench("scale").Records(records.path)


def test_what_stopped_a_contender_is_asked_again_only_with_more(bench, records):
    limits = bench("contest").Limits(seconds=60.0, memory_mb=4000.0)
    stopped = ("pymc6", "independent", 75_000, 219)
    assert records.settled(stopped, limits)
    assert not records.settled(stopped, replace(limits, seconds=90.0))
    larger = ("pymc6", "independent", 750_000, 219)
    assert records.obstacle(larger, limits).reason == "no result after 60 s"
    assert records.obstacle(larger, replace(limits, seconds=90.0)) is None
    # Neither fewer groups nor another contender nor another model is an obstacle.
    assert records.obstacle(("pymc6", "independent", 750_000, 100), limits) is None
    assert records.obstacle(("lme4", "independent", 750_000, 219), limits) is None
    assert records.obstacle(("pymc6", "correlated", 750_000, 219), limits) is None


def test_a_run_goes_on_where_it_was_broken_off(bench, monkeypatch, record, tmp_path):
    scale = bench("scale")
    made = []

    def one(contender, model, size, limits, command, earlier):
        made.append((contender.name, size.rows))
        if len(made) == 3:
            raise KeyboardInterrupt
        status = "time" if (contender.name, size.rows) == ("lme4", 7500) else "fitted"
        yield replace(record, contender=contender.name, model=model, rows=size.rows, groups=size.groups,
                      status=status)  # fmt: skip

    monkeypatch.setattr(scale, "_measured", one)
    monkeypatch.setattr(scale.environments, "command_of", lambda contender, install: (["x"], ""))
    limits = bench("contest").Limits(seconds=60.0, memory_mb=4000.0)
    plan = scale.Plan(("priorhood", "lme4"), scale.series(100_000), limits)
    console = Console(quiet=True)
    with pytest.raises(KeyboardInterrupt):
        scale.measure(plan, console, tmp_path / "c.json")
    scale.measure(plan, console, tmp_path / "c.json")
    # lme4 was stopped at the first size and is not asked for the others; nothing is made twice.
    assert made == [("priorhood", 7500), ("lme4", 7500), ("priorhood", 75_000), ("priorhood", 75_000),
                    ("priorhood", 100_000)]  # fmt: skip
    scale.measure(plan, console, tmp_path / "c.json")
    assert len(made) == 5
    scale.measure(replace(plan, again=True), console, tmp_path / "c.json")
    assert len(made) == 9


def test_draws_are_kept_where_the_next_number_of_them_is_broken_off(bench, monkeypatch, tmp_path):
    scale, contest = bench("scale"), bench("contest")
    asked = []

    def answered(contender, what, limits, command, folder):
        asked.append(what["draws"])
        if asked == [1000, 2000]:
            raise KeyboardInterrupt
        return {"status": "fitted", "first": 9.0, "fits": (1.0,), "draws": what["draws"],
                "least_ess": 0.25 * what["draws"], "greatest_rhat": 1.001}  # fmt: skip

    monkeypatch.setattr(contest, "answered", answered)
    monkeypatch.setattr(scale, "FILES", tmp_path)
    monkeypatch.setattr(scale.environments, "command_of", lambda contender, install: (["x"], ""))
    task = ("correlated", bench("data").Size(100, 10))
    plan = scale.Plan(("nutpie",), (task,), contest.Limits(seconds=100))
    with pytest.raises(KeyboardInterrupt):
        scale.measure(plan, Console(quiet=True), tmp_path / "c.json")
    kept = bench("scale").Records(tmp_path / "c.json").by_key["nutpie", "correlated", 100, 10]
    assert (kept.draws, kept.reached) == (1000, False)
    scale.measure(plan, Console(quiet=True), tmp_path / "c.json")
    assert asked == [1000, 2000, 2000]
    kept = bench("scale").Records(tmp_path / "c.json").by_key["nutpie", "correlated", 100, 10]
    assert (kept.draws, kept.reached) == (2000, True)


# -- tables and pictures ------------------------------------------------------------------------------------


def test_table_has_times_ratios_and_reasons(bench, records):
    scale, table = bench("scale"), bench("tables")
    text = table.at_size(records, scale.BASE)
    head, _, own, lme4, pymc, bambi = text.splitlines()
    assert {line.count("|") for line in text.splitlines()} == {head.count("|")}
    told = [cell.strip() for cell in own.strip("|").split("|")]
    assert told == ["priorhood 9.9", "independent", "4 × 1,000 draws", "20 s", "2 s", "0.2 s", "1", "3,000",
                    "15,000", "400 MB", "–"]  # fmt: skip
    assert "| point estimate | 20 s | – | 0.05 s | 0.25 | – | – | 400 MB | 0.5 |" in lme4
    # Too slow for a further fit: its first stands for it.
    assert "quality not reached | 30 s | 2 s | 30 s | 150 |" in pymc
    assert bambi.startswith("| bambi | independent | failed | – |")
    assert "RuntimeError: no room" in table.reasons(records)
    along = table.along(records, scale.ROWS, "independent", by="rows")
    assert "| PyMC 6 | 30 (quality not reached) | > 60 s |" in along
    assert "| priorhood | 0.2 | – |" in along
    told = table.ratios(records, scale.BASE, "independent")
    assert told.startswith("Time of each further fit relative to priorhood's: lme4 0.25, PyMC 6 150.")
    assert told.endswith("The samplers take 150 to 150 times as long.")


def test_a_busy_machine_is_said(bench, records, record):
    table = bench("tables")
    assert "other work" not in table.circumstances(records)
    records.keep(replace(record, rows=75_000, machine={**record.machine, "others": 1.2}))
    assert "Before 1 of 6 measurements other work ran" in table.circumstances(records)
    # Ratios of times from a busy machine are nobody's.
    size = bench("scale").BASE
    assert "PyMC 6 150" in table.ratios(records, size, "independent")
    records.keep(replace(record, machine={**record.machine, "others": 1.2}))
    assert table.ratios(records, size, "independent").startswith("No ratios: other work ran")


def test_labels_keep_their_distance_and_their_order(bench):
    spread = bench("pictures").spread
    moved = spread([0.1, 0.11, 0.12, 0.8], 0.05)
    assert np.allclose(moved, [0.06, 0.11, 0.16, 0.8])
    assert spread([0.1, 0.9], 0.05) == [0.1, 0.9]
    assert np.allclose(spread([0.1, 0.99, 1.0], 0.05, most=1.0), [0.1, 0.95, 1.0])


def test_a_run_leaves_tables_and_pictures_beside_its_records(bench, records, tmp_path):
    page, *pictures = bench("publish").beside(records)
    assert page == tmp_path / "contenders" / "tables.md"
    text = page.read_text(encoding="utf-8")
    assert bench("tables").at_size(records, bench("scale").BASE) in text
    assert "seconds of a further fit, groups:" in text
    assert "RuntimeError: no room" in text
    assert [path.name for path in pictures] == ["scale_rows.png", "scale_groups.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_pages_show_what_was_measured(bench):
    publish = bench("publish")
    for page, texts in publish.blocks().items():
        shown = publish.filled(page, texts) == page.read_text(encoding="utf-8")
        assert shown, f"{page.name} is not what bench/measured says: python -m bench.publish"


# -- agreement ----------------------------------------------------------------------------------------------


def test_reweighted_draws_have_the_other_priors_moments(bench):
    agreement = bench("grid")
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(1, 40_000, 2))
    # Normal(0, 1) times exp(x / 2) in the first parameter is Normal(1/2, 1).
    found = agreement.weighted(draws, 0.5 * draws[..., 0])
    assert np.all(np.abs(found.mean - [0.5, 0.0]) < 5 * found.mean_error)
    assert np.all(np.abs(found.sd - 1) < 5 * found.sd_error)
    assert np.all(found.mean_error > agreement.moments(draws).mean_error)
    apart, limit = agreement.furthest(found, agreement.moments(rng.normal([0.5, 0.0], 1.0, (1, 5000, 2))))
    assert apart < limit


@pytest.mark.parametrize(("shift", "stretch"), [(0.1, 1.0), (0.0, 1.1)])
def test_another_mean_or_spread_is_noticed(bench, shift, stretch):
    agreement = bench("grid")
    rng = np.random.default_rng(3)
    one = agreement.moments(rng.normal(size=(1, 5000, 3)))
    other = rng.normal(size=(1, 5000, 3))
    apart, limit = agreement.furthest(one, agreement.moments(other))
    assert apart < limit
    other[..., 1] = shift + stretch * other[..., 1]
    apart, limit = agreement.furthest(one, agreement.moments(other))
    assert apart > limit


def test_rstanarms_prior_over_the_papers_is_a_ratio_of_densities(bench):
    from scipy import integrate, stats

    grid = bench("grid")
    names = ["mu[0]", "tau[0]", "sigma[0]"]

    def theirs(tau, sigma):
        ours = grid.PAPER.logpdf(np.array(tau)) + grid.PAPER.logpdf(np.array(sigma))
        return np.exp(grid.to_rstanarm(np.array([[[0.0, tau, sigma]]]), names)[0, 0] + ours)

    # Given sigma, the spread is Exponential of that scale: the integral over it is sigma's own density.
    for sigma in (0.3, 2.0):
        over = integrate.quad(theirs, 0.0, np.inf, args=(sigma,))[0]
        assert np.isclose(over, 2 * stats.t(3, scale=3.7).pdf(sigma), rtol=1e-6)


# -- environments -------------------------------------------------------------------------------------------


def test_every_contender_has_its_script_and_its_pins(bench):
    contenders = bench("contenders")
    for one in (*contenders.CONTENDERS.values(), *bench("grid").WHO):
        assert (contenders.SCRIPTS / one.script).is_file()
        if one.python not in ("", "own"):
            lines = one.pins.read_text(encoding="utf-8").splitlines()
            assert lines
            assert all("==" in line for line in lines), one.name


def test_what_cannot_be_had_is_said(bench, monkeypatch, tmp_path):
    environments, contenders = bench("environments"), bench("contenders")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    command, reason = environments.command_of(contenders.CONTENDERS["lme4"])
    assert (command, reason) == ([], "there is no Rscript on the path")
    command, reason = environments.command_of(contenders.CONTENDERS["nutpie"], install=False)
    assert command == []
    assert "no environment of the pinned versions" in reason
    later = replace(contenders.CONTENDERS["nutpie"], python="9.9")
    assert environments.command_of(later) == ([], "there is no Python 9.9 on the path")


def test_an_environment_of_other_pins_is_not_taken(bench, monkeypatch, tmp_path):
    environments, contenders = bench("environments"), bench("contenders")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    nutpie = contenders.CONTENDERS["nutpie"]
    mark = tmp_path / "environments" / "nutpie" / "pins.sha256"
    mark.parent.mkdir(parents=True)
    mark.write_text("of yesterday")
    assert environments.command_of(nutpie, install=False)[0] == []
    mark.write_text(environments.hashlib.sha256(nutpie.pins.read_bytes()).hexdigest())
    assert environments.command_of(nutpie, install=False)[0] == [str(mark.parent / "bin" / "python")]


def test_processes_keep_bytecode_although_this_one_does_not(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "helper.py").write_text("x = 1\n", encoding="utf-8")
    bench("process").run([sys.executable, "-c", "import helper"], tmp_path)
    assert list((tmp_path / "__pycache__").glob("helper.*.pyc"))


def test_a_process_tells_its_end(bench, tmp_path):
    process = bench("process")
    code = "import sys; x = bytearray(200_000_000); print('out'); print('err', file=sys.stderr); sys.exit(3)"
    ended = process.run([sys.executable, "-c", code], tmp_path)
    assert (ended.status, ended.stopped, ended.output, ended.errors) == (3, "", "out\n", "err\n")
    assert ended.seconds > ended.cpu / 2 > 0
    with pytest.raises(RuntimeError, match="err"):
        process.done([sys.executable, "-c", code], tmp_path)
    # The greatest memory that the process had, not what it has when one looks.
    held = "x = bytearray(200_000_000); x[::4096] = b'x' * len(x[::4096]); del x; import time; time.sleep(0.5)"
    assert 200 < process.run([sys.executable, "-c", held], tmp_path).peak_mb < 300


def test_memory_of_children_counts(bench):
    watch = bench("process")
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the memory of a process tree is read from /proc")
    held = "held = bytearray(200_000_000); held[::4096] = b'x' * len(held[::4096]); "
    inner = f"{held}print('there', flush=True); input()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"there\n"
        assert len(watch.family(process.pid)) == 2
        assert 200 < watch.resident_mb(process.pid) < 300
        process.stdin.close()
