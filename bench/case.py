"""What is measured on what: the data, the two models, the amount of work, and what a measurement is."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import priorhood as ph

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Array = npt.NDArray[np.float64]

PLACES, ROWS, DATA_SEED = 219, 7500, 2412
CHAINS, DRAWS, TUNE = 4, 1000, 1000
INDEPENDENT = "price ~ living_space + (living_space || zip)"
CORRELATED = "price ~ living_space + (living_space | zip)"
MODELS = {"independent": INDEPENDENT, "correlated": CORRELATED}


@dataclass(frozen=True)
class Effort:
    """How often each thing is done; a quick run does less of everything."""

    fits: int = 30
    seeds: int = 5
    kernels: int = 30
    imports: int = 9
    processes: int = 7
    compiles: int = 3
    peers: int = 2
    rows: int = 100_000_000


QUICK = Effort(fits=7, seeds=2, kernels=7, imports=3, processes=3, compiles=2, peers=1, rows=1_000_000)


@dataclass(frozen=True)
class Measurement:
    """Repeated values of one quantity, and what was aimed at.

    target : None where nothing was promised
    at_most : whether small is good
    worst : judge the worst value rather than the median: for quality, where luck should not count
    """

    key: str
    what: str
    unit: str
    values: tuple[float, ...]
    command: str
    target: float | None = None
    at_most: bool = True
    worst: bool = False
    note: str = ""

    @property
    def judged(self) -> float:
        """The value that is held against the target."""
        if self.worst:
            return max(self.values) if self.at_most else min(self.values)
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        return self.judged <= self.target if self.at_most else self.judged >= self.target

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            **asdict(self),
            "min": min(self.values),
            "median": statistics.median(self.values),
            "max": max(self.values),
            "judged": self.judged,
            "met": self.met,
        }


@dataclass(frozen=True)
class Result:
    """A contender's times and quality on one model; every tuple holds one value a repeat.

    gives : what is in memory at the end
    cold, warm : seconds to build and compile, with empty and with filled compile caches
    sample : seconds to draw; total : seconds from data in memory to result, warm; process : whole processes
    least_ess, greatest_rhat : the worst of all parameters and all repeats; None for a point estimate
    difference : largest |mean − priorhood's mean| / priorhood's posterior sd over mu, tau, omega and sigma
    """

    contender: str
    model: str
    gives: str
    total: tuple[float, ...]
    cold: tuple[float, ...] = ()
    warm: tuple[float, ...] = ()
    sample: tuple[float, ...] = ()
    process: tuple[float, ...] = ()
    least_ess: float | None = None
    greatest_rhat: float | None = None
    difference: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    threads: str = ""


@dataclass(frozen=True)
class Skipped:
    """A contender that could not be asked, and why."""

    contender: str
    reason: str


@dataclass(frozen=True)
class Reference:
    """What the others are held against: priorhood's posterior of the few parameters, on the standardized scale.

    mean, sd : by name, mu and tau (2,), omega (1,), sigma (1,)
    centre, spread, unit : the scale of living_space and price
    """

    mean: dict[str, Array]
    sd: dict[str, Array]
    centre: float
    spread: float
    unit: float

    def difference(self, means: dict[str, Array]) -> float:
        """Largest distance of these means from the reference's, in posterior sds."""
        return max(float(abs((means[k] - self.mean[k]) / self.sd[k]).max()) for k in self.mean)


def sales() -> pd.DataFrame:
    """The rows that every contender gets."""
    return ph.simulate(PLACES, ROWS, DATA_SEED)[0]
