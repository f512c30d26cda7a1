"""The compiled kernel: nanoseconds a (θ, group) on one core, and how near that is to what the core can do.

What one (θ, group) costs with two columns, both varying (D = K = 2), counted along exact.pairs._add_block, which
takes `||` and `|` alike:

    step                                 flops   divisions   doubles loaded and stored
    M₁₁, |M|, their inverses, its product 13         1        2
    P', 3 sums                            12
    h', 2 sums                            12
    uᵀM⁻¹u                                10
    together                              47         1        2, and the 8 numbers of a group

A block of groups stays in the first cache for all θ of a batch. Three limits follow: reading the numbers from
whichever cache holds all groups (which a batch does once, not for each θ), doing the arithmetic from registers, and
loading a block from the first cache as the loop is written now.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

import priorhood as ph
from bench.case import DATA_SEED, MODELS, PLACES, ROWS, Measurement
from bench.clock import repeat
from priorhood.engines.adapt import to_exact
from priorhood.engines.exact.marginal import Collapsed, collapse, log_marginal
from priorhood.engines.exact.theta import Theta

if TYPE_CHECKING:
    from bench.case import Effort
    from priorhood.engines.exact.problem import Problem

# places, rows, posterior draws of θ taken as the batch
SIZES = ((PLACES, ROWS, 4000), (20_000, 200_000, 200))
TARGET_NS = 25.0
FLOPS = 47
DIVISIONS = 1
NUMBERS = 8
LOADED = NUMBERS + 2
FAST = {"reassoc", "contract", "nsz", "arcp"}
# Doubles of an array: three of them fit the first cache of any processor of today.
SMALL = 1024


# No sums reordered here: the compiler would add the four chains up first and do a quarter of the work.
@nb.njit(fastmath={"contract"}, nogil=True)
def _polynomials(x, out):  # type: ignore[no-untyped-def]
    """64 fused multiply-adds an element in four chains: as many flops as registers allow."""
    for i in range(len(x)):
        a, b, c, d = 1.0, 0.9, 0.8, 0.7
        for _ in range(16):
            a = a * x[i] + 0.5
            b = b * x[i] + 0.4
            c = c * x[i] + 0.3
            d = d * x[i] + 0.2
        out[i] = a + b + c + d


@nb.njit(fastmath=FAST, nogil=True)
def _reciprocals(x, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = 1.0 / x[i]


@nb.njit(fastmath=FAST, nogil=True)
def _triad(x, y, out):  # type: ignore[no-untyped-def]
    """Two loads, one store and two flops an element."""
    for i in range(len(x)):
        out[i] = x[i] + 0.5 * y[i]


@nb.njit(fastmath=FAST, nogil=True)
def _many(times, x, y, out, which):  # type: ignore[no-untyped-def]
    for _ in range(times):
        if which == 0:
            _polynomials(x, out)
        elif which == 1:
            _reciprocals(x, out)
        else:
            _triad(x, y, out)


@nb.njit(fastmath=FAST, nogil=True)
def _read(times, x):  # type: ignore[no-untyped-def]
    total = 0.0
    for t in range(times):
        # The factor depends on t, so that the sum is not computed once for all times.
        for i in range(len(x)):
            total += x[i] * t
    return total


@dataclass(frozen=True)
class Core:
    """What one core does, in nanoseconds: a flop, a division, a double of the triad's loads and stores."""

    flop: float
    division: float
    double: float


def rates(times: int = 400, repeats: int = 9) -> Core:
    """Measure the core in this process, each the best of several."""
    x = np.linspace(0.1, 0.9, SMALL)
    y, out = x.copy(), np.empty_like(x)

    def best(which: int) -> float:
        return min(repeat(lambda _: _many(times, x, y, out, which), repeats)) / (times * SMALL) * 1e9

    return Core(flop=best(0) / 131, division=best(1), double=best(2) / 3)


def reading(groups: int, repeats: int = 9) -> float:
    """Nanoseconds to read the numbers of one group once, when so many groups take turns in the cache."""
    x = np.ones(groups * NUMBERS)
    times = max(4, 4_000_000 // len(x))
    return min(repeat(lambda _: _read(times, x), repeats)) / (times * groups) * 1e9


def posed(places: int, rows: int, thetas: int, formula: str) -> tuple[Problem, Theta]:
    """The problem that fit() hands to its engine, and a batch of θ from its posterior."""
    frame, _ = ph.simulate(places, rows, DATA_SEED)
    post = ph.fit(formula, frame, seed=1, chains=4, draws=thetas // 4)
    tau = post["tau"].values.reshape(thetas, -1)
    K = tau.shape[1]
    correlated = "omega" in post.tree["posterior"].data_vars
    omega = post["omega"].values.reshape(thetas, K, K) if correlated else np.tile(np.eye(K), (thetas, 1, 1))
    values = Theta((tau,), (np.linalg.cholesky(omega),), post["sigma"].values.ravel())
    return to_exact(post.data), values


def _once(collapsed: Collapsed, values: Theta, _: int) -> None:
    log_marginal(collapsed, values, threads=1)


def measure(effort: Effort) -> list[Measurement]:
    """The kernel at two sizes and for both models, with its limits in the notes."""
    core = rates()
    found = []
    for places, rows, thetas in SIZES:
        memory = reading(places)
        for label, formula in MODELS.items():
            problem, values = posed(places, rows, thetas, formula)
            collapsed = collapse(problem)
            seconds = repeat(partial(_once, collapsed, values), effort.kernels)
            ns = tuple(s / (thetas * places) * 1e9 for s in seconds)
            arithmetic = FLOPS * core.flop + DIVISIONS * core.division
            loading = LOADED * core.double
            found.append(
                Measurement(
                    f"kernel_{label}_{places}", f"kernel, one core, {places:,} groups, {label}",
                    "ns per (θ, group)", ns, "python -m bench --only kernel", target=TARGET_NS,
                    note=_limits(min(ns), memory, arithmetic, loading, core),
                )
            )  # fmt: skip
    return found


def _limits(ns: float, memory: float, arithmetic: float, loading: float, core: Core) -> str:
    floor = max(arithmetic, loading)
    return (
        f"floor {floor:.2f} ns, {ns / floor:.1f} times off: {FLOPS} flops at {1 / core.flop:.1f} Gflop/s "
        f"and {DIVISIONS} division at {core.division:.2f} ns are {arithmetic:.2f} ns, {LOADED * 8} bytes from the "
        f"first cache at {8 / core.double:.0f} GB/s (triad) {loading:.2f} ns; {NUMBERS * 8} bytes read for every θ "
        f"from where all groups are would be {memory:.2f} ns"
    )
