"""Shifts of parameters in a refit: means in posterior sds, and ratios of sds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.summary import below_diagonal, labels_of, varies
from priorhood.fitting.engine_choice import draw_exact
from priorhood.model.priors import base_of
from priorhood.posterior.tree import label_draws

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from priorhood._arrays import Array, Flags
    from priorhood.fitting.engine_choice import FitOptions
    from priorhood.suffstats.fit_data import FitData

# A mean that moves by less than a third of an sd, or an sd by less than a third, changes no conclusion. This is a
# choice; Kallioinen, Paananen, Bürkner and Vehtari (2024) measure sensitivity by how fast the posterior
# changes with a power of the prior.
FAR, WIDER = 0.3, 1.3


@dataclass(frozen=True)
class ParameterDraws:
    """Draws of all parameters by their labels, on the standardized scale.

    Attributes
    ----------
    labels : tuple of str
        (P,) labels of the parameters, the shared ones first.
    values : ndarray
        (S, P) draws.
    of_place : ndarray of bool
        (P,) whether the parameter belongs to a single place.
    """

    labels: tuple[str, ...]
    values: Array
    of_place: Flags

    @classmethod
    def from_posterior(cls, posterior: xr.Dataset, places: tuple[str, ...]) -> ParameterDraws:
        """Flatten a dataset, chains one after the other; of omega only the elements below the diagonal are kept.

        Parameters
        ----------
        posterior : xarray.Dataset
            The parameters.
        places : tuple of str
            The columns of the groupings, which are dimensions of the parameters of single places.
        """
        labels: list[str] = []
        values: list[Array] = []
        of_place: list[Flags] = []
        for name in sorted(map(str, posterior), key=lambda name: bool(set(places) & set(posterior[name].dims))):
            draws = posterior[name].transpose("chain", "draw", ...)
            flat = draws.values.reshape(draws.shape[0] * draws.shape[1], -1)
            keep = below_diagonal(draws) if base_of(name) == "omega" else np.ones(flat.shape[1], dtype=bool)
            labels += compress(labels_of(name, draws), keep)
            values.append(flat[:, keep])
            of_place.append(np.full(int(keep.sum()), bool(set(places) & set(map(str, draws.dims)))))
        return cls(tuple(labels), np.concatenate(values, axis=1), np.concatenate(of_place))

    @property
    def mean(self) -> Array:
        """Means (P,)."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def sd(self) -> Array:
        """Sds (P,); 0 for constants."""
        return np.where(varies(self.values[None]), self.values.std(axis=0, ddof=1), 0.0)

    def positions(self, labels: Iterable[str]) -> list[int]:
        """Return the positions of the parameters with these labels."""
        by_label = {label: at for at, label in enumerate(self.labels)}
        return [by_label[label] for label in labels]

    def only(self, labels: tuple[str, ...]) -> ParameterDraws:
        """Return the draws of these parameters alone, in this order."""
        positions = self.positions(labels)
        return ParameterDraws(labels, self.values[:, positions], self.of_place[positions])


def redraw(data: FitData, options: FitOptions) -> tuple[ParameterDraws, float]:
    """Draw all parameters from the sums; return them with log p(y) on the standardized scale."""
    draws = draw_exact(data, options)
    posterior = label_draws(data.design, data.hierarchy, draws).dataset()
    parameters = ParameterDraws.from_posterior(posterior, data.model.formula.places)
    return parameters, float(draws.facts["log_evidence_standardized"])


def shifts(before: ParameterDraws, after: ParameterDraws) -> tuple[Array, Array]:
    """Return each mean's shift in sds of `before`, and the ratio of the sds: (P,) each, NaN for constants.

    Parameters
    ----------
    before, after : ParameterDraws
        The same parameters in the same order.
    """
    sd = before.sd
    moving = sd > 0
    shift, ratio = np.full(len(sd), np.nan), np.full(len(sd), np.nan)
    shift[moving] = (after.mean - before.mean)[moving] / sd[moving]
    ratio[moving] = after.sd[moving] / sd[moving]
    return shift, ratio


def far(shift: Array, ratio: Array) -> Flags:
    """Check, elementwise, whether a mean moved by FAR sds or more, or an sd changed by the factor WIDER or more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((np.abs(shift) >= FAR) | (np.abs(np.log(ratio)) >= np.log(WIDER)))
