"""Verdicts on draws: sentences that name parameters, places and remedies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from priorhood.diagnostics.convergence_verdicts import convergence_stats, convergence_verdicts, draws_verdict
from priorhood.diagnostics.sampler_verdicts import divergences, exploration, tree_depth
from priorhood.diagnostics.verdict import SamplerRun, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    import xarray as xr

    from priorhood.diagnostics.convergence_verdicts import ConvergenceStats


@dataclass(frozen=True, repr=False)
class Check:
    """All verdicts on a posterior's draws; printed one sentence per line.

    Parameters
    ----------
    verdicts : tuple of Verdict
        The verdicts.
    stats : ConvergenceStats, optional
        Measures of every parameter that varies; None if there are too few draws.

    Examples
    --------
    >>> import priorhood as ph
    >>> check = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1).check()
    >>> check.good
    True
    >>> [verdict.code for verdict in check]
    ['exploration', 'draws', 'r_hat', 'ess_bulk', 'ess_tail', 'mcse']
    """

    verdicts: tuple[Verdict, ...]
    stats: ConvergenceStats | None = None

    @property
    def good(self) -> bool:
        """True if every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def bad(self) -> tuple[Verdict, ...]:
        """Verdicts that need attention."""
        return tuple(verdict for verdict in self.verdicts if not verdict.good)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """The measures behind the verdicts, one row per parameter that varies; constants have none.

        Returns
        -------
        pandas.DataFrame
            r_hat, ess_bulk, ess_tail, and mcse_over_sd, the Monte Carlo error of the mean in posterior sds. Empty
            if there are too few draws to judge.
        """
        import pandas as pd

        labels = () if self.stats is None else self.stats.labels
        names = ("r_hat", "ess_bulk", "ess_tail", "mcse_over_sd")
        values = {name: [] if self.stats is None else getattr(self.stats, name) for name in names}
        return pd.DataFrame(values, index=pd.Index(labels, name="parameter", dtype=object), dtype=float)

    def __getitem__(self, code: str) -> Verdict:
        """Return the verdict with a code: check["r_hat"]."""
        return next(verdict for verdict in self.verdicts if verdict.code == code)

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
    """Judge the draws: whether the chains explored the whole posterior, and whether there are enough draws.

    Parameters
    ----------
    posterior : xarray.Dataset
        Parameters (chain, draw, …) by name, as in a posterior's tree.
    stats : xarray.Dataset
        The tree's sample_stats.
    attrs : mapping
        The tree's attributes: engine, parameterization, acceptance, …
    rows : mapping, optional
        Number of rows of every group by its label, to be shown with the group.

    Returns
    -------
    Check
        Verdicts "exploration" (exact engine), or "divergences" and "tree_depth"; "draws", and if there are enough
        of these, "r_hat", "ess_bulk", "ess_tail" and "mcse". Constants are left out.
    """
    run = SamplerRun(posterior, stats, attrs, rows or {})
    verdicts = [exploration(run)] if run.exact else [divergences(run), tree_depth(run)]
    verdicts.append(draws_verdict(run))
    measured = convergence_stats(run)
    if measured is not None:
        verdicts += convergence_verdicts(run, measured)
    return Check(tuple(verdict for verdict in verdicts if verdict is not None), measured)
