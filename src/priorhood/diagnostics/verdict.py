"""Verdicts, each the answer to one question in numbers and a sentence; and the sampler run that they judge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

from priorhood._text import argument
from priorhood.diagnostics.summary import below_diagonal, labels_of
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import xarray as xr

    from priorhood._arrays import Array

WORST = 3  # at most so many offenders are named
# Names of questions for readers, if they differ from their codes.
TITLES = {"tree_depth": "tree depth", "r_hat": "R-hat", "ess_bulk": "bulk ESS", "ess_tail": "tail ESS",
          "mcse": "MCSE"}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """The answer to one question about a posterior; printed as a sentence with a mark, ✓ or ✗.

    Parameters
    ----------
    code : str
        The question, for programs: "r_hat", "ess_bulk", "divergences", …
    good : bool
        Whether nothing needs to be done.
    about : str
        The question, for readers: "R-hat", "bulk ESS".
    sentence : str
        The answer and, if it is bad, the advice: a template in which {names} stand for the values.
    values : mapping
        The numbers and names in the sentence, and others for programs.

    Examples
    --------
    >>> from priorhood.diagnostics.verdict import bad
    >>> verdict = bad("ess_bulk", "bulk ESS is below {limit:,}", limit=400)
    >>> print(verdict)
    ✗ bulk ESS is below 400
    >>> verdict.about, verdict.values["limit"]
    ('bulk ESS', 400)
    """

    code: str
    good: bool
    about: str
    sentence: str
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The sentence with its values."""
        return self.sentence.format_map(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict in the form of the commands' JSON: good, about, text."""
        return {"good": self.good, "about": self.about, "text": self.text}

    def __str__(self) -> str:
        return f"{'✓' if self.good else '✗'} {self.text}"


def good(code: str, sentence: str, *, about: str = "", **values: Any) -> Verdict:
    """Return a good verdict; `about` names the question for readers if TITLES does not."""
    return Verdict(code, good=True, about=about or TITLES.get(code, code), sentence=sentence, values=values)


def bad(code: str, sentence: str, *, about: str = "", **values: Any) -> Verdict:
    """Return a bad verdict, whose sentence gives advice; for `about` see good."""
    return Verdict(code, good=False, about=about or TITLES.get(code, code), sentence=sentence, values=values)


@dataclass(frozen=True)
class SamplerRun:
    """The draws to judge and how they were made.

    Attributes
    ----------
    posterior : xarray.Dataset
        Parameters (chain, draw, …) by name.
    stats : xarray.Dataset
        The sampler's statistics.
    attrs : mapping
        The posterior's attributes.
    rows : mapping
        Number of rows of every group by its label.
    """

    posterior: xr.Dataset
    stats: xr.Dataset
    attrs: Mapping[str, Any]
    rows: Mapping[str, int]

    @property
    def exact(self) -> bool:
        """True if the draws are the exact engine's."""
        return self.attrs.get("engine") == "exact"

    @property
    def chains(self) -> int:
        """Number of chains."""
        return int(self.posterior.sizes["chain"])

    @property
    def draws(self) -> int:
        """Number of draws per chain."""
        return int(self.posterior.sizes["draw"])

    @property
    def group(self) -> str:
        """The dimension of the groups; empty without groups."""
        return str(self.posterior["beta"].dims[2]) if "beta" in self.posterior else ""

    @property
    def noise_by_group(self) -> bool:
        """True if every group has a sigma of its own."""
        return "sigma" in self.posterior and self.posterior["sigma"].ndim == 3

    def stat(self, name: str) -> npt.NDArray[Any] | None:
        """Return a statistic of the sampler (chain, draw); None if there is none of that name."""
        return self.stats[name].transpose("chain", "draw").values if name in self.stats else None

    def elements(self, *names: str) -> Iterator[tuple[str, list[str], Array]]:
        """Yield name, labels and values (chain, draw, element) of the named parameters, or of all.

        Of omega only the elements below the diagonal are included.
        """
        for name in map(str, self.posterior.data_vars):
            if names and name not in names and base_of(name) not in names:
                continue
            draws = self.posterior[name].transpose("chain", "draw", ...)
            labels, values = labels_of(name, draws), draws.values.reshape(self.chains, self.draws, -1)
            if base_of(name) == "omega":
                below = below_diagonal(draws)
                labels, values = list(compress(labels, below)), values[..., below]
            yield name, labels, values

    def other_parameterization(self) -> str:
        """Return the advice to use the other parameterization of the groups' coefficients; empty without groups."""
        if not self.group:
            return ""
        return {
            "centered": f"{argument('parameterization', 'noncentered')} (it suits places with few rows)",
            "noncentered": f"{argument('parameterization', 'centered')} (it suits places with many rows)",
        }.get(str(self.attrs.get("parameterization")), "another parameterization")
