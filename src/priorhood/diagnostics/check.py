"""Draws → verdicts: sentences that name parameters and places, and say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from priorhood.diagnostics.convergence import convergence_verdicts, draws_verdict, measured
from priorhood.diagnostics.sampler import depth, divergences, exploration
from priorhood.diagnostics.verdict import Judged, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    import xarray as xr

    from priorhood.diagnostics.convergence import ConvergenceStats


@dataclass(frozen=True, repr=False)
class Check:
    """All verdicts on a posterior's draws; printed one sentence a line.

    found : the measures of every parameter that varies; None where there are too few draws
    """

    verdicts: tuple[Verdict, ...]
    found: ConvergenceStats | None = None

    @property
    def good(self) -> bool:
        """Whether every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def bad(self) -> tuple[Verdict, ...]:
        """The verdicts that ask for something to be done."""
        return tuple(verdict for verdict in self.verdicts if not verdict.good)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """One row for every parameter that varies, which constants do not: what the verdicts are about.

        Returns
        -------
        frame: r_hat, ess_bulk, ess_tail, and mcse_over_sd, the Monte Carlo error of the mean in posterior sds.
        Empty where there are too few draws to judge
        """
        import pandas as pd

        labels = () if self.found is None else self.found.labels
        names = ("r_hat", "ess_bulk", "ess_tail", "mcse_over_sd")
        values = {name: [] if self.found is None else getattr(self.found, name) for name in names}
        return pd.DataFrame(values, index=pd.Index(labels, name="parameter", dtype=object), dtype=float)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __str__(self) -> str:
        return "\n".join(map(str, self.verdicts))

    __repr__ = __str__


def check_draws(
    posterior: xr.Dataset,
    stats: xr.Dataset,
    attrs: Mapping[str, Any],
    rows: Mapping[str, int] | None = None,
) -> Check:
    """Judge the draws: did the chains find the whole posterior, and are there enough of them.

    Parameters
    ----------
    posterior : parameters (chain, draw, …) by name, as in a posterior's tree
    stats : the tree's sample_stats
    attrs : the tree's attributes: engine, parameterization, acceptance, …
    rows : the rows of every group by its label, to be named beside it

    Returns
    -------
    verdicts about "exploration" (exact engine), or "divergences" and "tree depth"; about "draws", and where
    these are enough to judge, "R-hat", "bulk ESS", "tail ESS" and "MCSE". Constants are left out.
    """
    judged = Judged(posterior, stats, attrs, rows or {})
    verdicts = [exploration(judged)] if judged.exact else [divergences(judged), depth(judged)]
    verdicts.append(draws_verdict(judged))
    found = measured(judged)
    if found is not None:
        verdicts += convergence_verdicts(judged, found)
    return Check(tuple(verdict for verdict in verdicts if verdict is not None), found)
