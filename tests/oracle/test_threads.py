"""The same bits for any number of threads, any parts of θ, whether progress is told or not; any order of rows."""

import importlib
import time
from itertools import pairwise

import numpy as np
import pytest

import priorhood as ph
from priorhood.engines.exact import marginal

explore = importlib.import_module("priorhood.engines.exact.sampler")

MODELS = {
    "one level": {"formula": "y ~ x + (x | place)"},
    "nested": {"formula": "y ~ x + (x | land/place)"},
    "crossed": {"formula": "y ~ x + (x || place) + (1 | kind)"},
    "noise by place": {"formula": "y ~ x + (1 | place)", "noise": "place"},
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(41)
    place = np.repeat(np.arange(30), 6)
    x, kind = rng.normal(size=len(place)), rng.integers(0, 4, len(place))
    effects = rng.normal(size=(30, 2))[place]
    return {
        "place": [f"p{p:02d}" for p in place], "land": [f"l{p % 5}" for p in place],
        "kind": [f"k{k}" for k in kind],
        "x": x, "y": 2 + effects[:, 0] + (1 + effects[:, 1]) * x + 0.3 * kind + rng.normal(size=len(place)),
    }  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_threads_do_not_change_a_bit(name, rows, monkeypatch):
    """Every batch goes to the threads, however small; the pieces differ with their number."""
    monkeypatch.setattr(marginal, "WORTH_THREADS", 0)
    pieces = []
    pool = marginal._pool

    def counted(threads, process):
        pieces.append(threads)
        return pool(threads, process)

    monkeypatch.setattr(marginal, "_pool", counted)
    model = ph.Model(**MODELS[name])
    one, *others = (ph.fit(model, rows, chains=2, draws=60, seed=5, threads=k) for k in (1, 2, 5))
    assert set(pieces) == {2, 5}
    for other in others:
        assert other.log_evidence == one.log_evidence
        for parameter in one.parameters:
            assert np.array_equal(one[parameter].values, other[parameter].values)


def _busy_elsewhere(work):
    """Processor seconds of all other threads while work runs here; the least of three."""
    found = []
    for _ in range(3):
        time.sleep(0.3)  # libraries' threads spin for a while after what they did before
        before = time.process_time() - time.thread_time()
        work()
        found.append(time.process_time() - time.thread_time() - before)
    return min(found)


@pytest.mark.parametrize("name", ["one level", "nested", "crossed"])
def test_one_thread_is_one_thread(name, rows):
    """No library puts threads of its own to work, which would spin on the cores that the engine has been given."""
    tall = np.random.default_rng(1).normal(size=(20_000, 40))

    def multiply():
        # For a time, not a number of times: threads that wait for each other on a busy machine took minutes.
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            _ = tall.T @ tall

    if _busy_elsewhere(multiply) < 0.02:
        pytest.skip("this NumPy multiplies matrices with one thread: there are none to see")
    post = ph.fit(ph.Model(**MODELS[name]), rows, seed=5)
    assert _busy_elsewhere(lambda: ph.refit(post, seed=6, threads=1)) < 0.02


def test_the_parts_between_progress_reports_do_not_change_a_bit(rows, monkeypatch):
    """Progress every 16 θ or never: the same draws. The number done only grows, up to the total."""
    whole = ph.fit("y ~ x + (x | place)", rows, chains=2, draws=60, seed=5)

    class Small(explore._WithProgress):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            self.size = 16

    monkeypatch.setattr(explore, "_WithProgress", Small)
    told = []
    parts = ph.fit("y ~ x + (x | place)", rows, chains=2, draws=60, seed=5, progress=lambda *now: told.append(now))
    assert np.array_equal(whole["beta"].values, parts["beta"].values)
    done = [(d, t) for stage, d, t in told if stage == "exploring"]
    assert all(later[0] - earlier[0] <= 16 for earlier, later in pairwise(done))
    assert all(d <= t for d, t in done)
    assert done[-1] == (parts.attrs["evaluations"],) * 2


@pytest.mark.parametrize("name", MODELS)
def test_the_order_of_rows_moves_no_draw(name, rows):
    """Sums that differ by rounding give the same proposals, so that draws differ by rounding alone."""
    model = ph.Model(**MODELS[name])
    first = ph.fit(model, rows, chains=2, draws=200, seed=5)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(rows["y"]))
        shuffled = {column: np.asarray(values)[order] for column, values in rows.items()}
        other = ph.fit(model, shuffled, chains=2, draws=200, seed=5)
        assert not np.array_equal(first.moments.scatter, other.moments.scatter)
        assert other.log_evidence == pytest.approx(first.log_evidence, rel=1e-9)
        for parameter in first.parameters:
            np.testing.assert_allclose(other[parameter].values, first[parameter].values, rtol=1e-12, atol=1e-12)


def test_without_the_grid_the_order_of_rows_would_move_draws(rows, monkeypatch):
    """The control: what the grid is for."""
    proposal = importlib.import_module("priorhood.engines.exact.proposal")
    monkeypatch.setattr(proposal, "on_grid", lambda mean, factor: (mean, factor))
    order = np.random.default_rng(0).permutation(len(rows["y"]))
    shuffled = {column: np.asarray(values)[order] for column, values in rows.items()}
    posts = [ph.fit("y ~ x + (x | land/place)", r, chains=2, draws=200, seed=5) for r in (rows, shuffled)]
    assert np.abs(posts[0]["tau_land"].values - posts[1]["tau_land"].values).max() > 1e-11
