"""One sentence on a posterior's draws, and what all of them are said of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from priorhood.diagnostics.summary import below_diagonal, labels_of
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import xarray as xr

    from priorhood._arrays import Array

WORST = 3  # so many offenders are named


@dataclass(frozen=True)
class Verdict:
    """One sentence about one question: good or not, what it is about, and the text with the remedy."""

    good: bool
    about: str
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.good else '✗'} {self.text}"


def good(about: str, text: str) -> Verdict:
    """Nothing is wrong with this."""
    return Verdict(good=True, about=about, text=text)


def bad(about: str, text: str) -> Verdict:
    """Something is wrong with this; the text says what to do."""
    return Verdict(good=False, about=about, text=text)


@dataclass(frozen=True)
class Judged:
    """What is judged: parameters (chain, draw, …), sample_stats, attributes, the rows of every group."""

    posterior: xr.Dataset
    stats: xr.Dataset
    attrs: Mapping[str, Any]
    rows: Mapping[str, int]

    @property
    def exact(self) -> bool:
        """Whether the exact engine drew them."""
        return self.attrs.get("engine") == "exact"

    @property
    def chains(self) -> int:
        """Number of chains."""
        return int(self.posterior.sizes["chain"])

    @property
    def draws(self) -> int:
        """Draws of a chain."""
        return int(self.posterior.sizes["draw"])

    @property
    def group(self) -> str:
        """The dimension of the groups, or none."""
        return str(self.posterior["beta"].dims[2]) if "beta" in self.posterior else ""

    @property
    def noise_by_group(self) -> bool:
        """Whether every group has a sigma of its own."""
        return "sigma" in self.posterior and self.posterior["sigma"].ndim == 3

    def stat(self, name: str) -> npt.NDArray[Any] | None:
        """A sampler's statistic (chain, draw), where it tells it."""
        return self.stats[name].transpose("chain", "draw").values if name in self.stats else None

    def elements(self, *names: str) -> Iterator[tuple[str, list[str], Array]]:
        """Name, labels and values (chain, draw, element) of parameters; of omega what is below its diagonal."""
        for name in map(str, self.posterior.data_vars):
            if name not in names and base_of(name) not in names:
                continue
            draws = self.posterior[name].transpose("chain", "draw", ...)
            labels, values = labels_of(name, draws), draws.values.reshape(self.chains, self.draws, -1)
            if base_of(name) == "omega":
                below = below_diagonal(draws)
                labels = [label for label, keep in zip(labels, below, strict=True) if keep]
                values = values[..., below]
            yield name, labels, values

    def other_parameterization(self) -> str:
        """The advice to write the groups' coefficients the other way, where there is one."""
        now = self.attrs.get("parameterization")
        if not self.group:
            return ""
        if now == "centered":
            return "parameterization='noncentered' (it suits places with few rows)"
        if now == "noncentered":
            return "parameterization='centered' (it suits places with many rows)"
        return "another parameterization"
