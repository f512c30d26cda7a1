"""The data, the two models and the amount of work; what a measurement is."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import priorhood as ph

if TYPE_CHECKING:
    import pandas as pd

PLACES, ROWS, DATA_SEED = 219, 7500, 2412
CHAINS, DRAWS, TUNE = 4, 1000, 1000
INDEPENDENT = "price ~ living_space + (living_space || zip)"
CORRELATED = "price ~ living_space + (living_space | zip)"
FORMULAS = {"independent": INDEPENDENT, "correlated": CORRELATED}


@dataclass(frozen=True)
class Effort:
    """How often each thing is done; a quick run does less of everything."""

    fits: int = 30
    seeds: int = 5
    imports: int = 9
    processes: int = 7
    compiles: int = 3
    rows: int = 100_000_000


QUICK = Effort(fits=7, seeds=2, imports=3, processes=3, compiles=2, rows=1_000_000)


@dataclass(frozen=True)
class Measurement:
    """Repeated values of one quantity, and its target.

    target : None where nothing was promised
    at_most : whether small is good
    worst : hold the worst value against the target rather than the median, for quality
    command : what repeats it
    """

    key: str
    what: str
    unit: str
    values: tuple[float, ...]
    target: float | None = None
    at_most: bool = True
    worst: bool = False
    note: str = ""
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, judged against the target; met : None without one."""
        judged = statistics.median(self.values)
        if self.worst:
            judged = max(self.values) if self.at_most else min(self.values)
        met = None
        if self.target is not None:
            met = judged <= self.target if self.at_most else judged >= self.target
        least, median, most = min(self.values), statistics.median(self.values), max(self.values)
        return {**asdict(self), "min": least, "median": median, "max": most, "judged": judged, "met": met}


def sales() -> pd.DataFrame:
    """Simulate the sales that priorhood's own parts are fitted to."""
    return ph.simulate(PLACES, ROWS, DATA_SEED)[0]
