"""How far draws have moved: the same parameters, drawn twice, in sds of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.summary import below_diagonal, labels_of, varies
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    import xarray as xr

    from priorhood._arrays import Array, Flags

# A mean that has moved by less than a third of an sd, or an sd by less than a third, changes no conclusion. This
# is a choice; Kallioinen, Paananen, Bürkner and Vehtari (2024) measure sensitivity otherwise, by how fast the
# posterior changes with a power of the prior.
FAR, WIDER = 0.3, 1.3


@dataclass(frozen=True)
class FlatDraws:
    """Draws of parameters by their labels, on the standardized scale.

    labels : (P,), those of all places together first; values : (S, P)
    of_place : (P,) whether the parameter is of a single place
    """

    labels: tuple[str, ...]
    values: Array
    of_place: Flags

    @property
    def mean(self) -> Array:
        """(P,)."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def sd(self) -> Array:
        """(P,); 0 for constants."""
        return np.where(varies(self.values[None]), self.values.std(axis=0, ddof=1), 0.0)


def flat_draws(posterior: xr.Dataset, places: tuple[str, ...]) -> FlatDraws:
    """Every parameter's draws, chains one after the other; of omega what is below its diagonal.

    places : the columns of the groupings, which are dimensions of what single places have
    """
    labels: list[str] = []
    values: list[Array] = []
    own: list[Flags] = []
    names = sorted(map(str, posterior.data_vars), key=lambda name: bool(set(places) & set(posterior[name].dims)))
    for name in names:
        draws = posterior[name].transpose("chain", "draw", ...)
        named = labels_of(name, draws)
        flat = draws.values.reshape(draws.shape[0] * draws.shape[1], -1)
        keep = below_diagonal(draws) if base_of(name) == "omega" else np.ones(flat.shape[1], dtype=bool)
        labels += [label for label, kept in zip(named, keep, strict=True) if kept]
        values.append(flat[:, keep])
        own.append(np.full(int(keep.sum()), bool(set(places) & set(map(str, draws.dims)))))
    return FlatDraws(tuple(labels), np.concatenate(values, axis=1), np.concatenate(own))


def shifts(before: FlatDraws, after: FlatDraws) -> tuple[Array, Array]:
    """By how many sds of before every mean has moved, and the ratio of the sds: (P,) each, NaN for constants.

    after : of the same parameters in the same order
    """
    sd = before.sd
    moving = sd > 0
    shift, ratio = np.full(len(sd), np.nan), np.full(len(sd), np.nan)
    shift[moving] = (after.mean - before.mean)[moving] / sd[moving]
    ratio[moving] = after.sd[moving] / sd[moving]
    return shift, ratio


def far(shift: Array, ratio: Array) -> Flags:
    """Which have moved by more than FAR sds, or have another width by more than the factor WIDER; elementwise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((np.abs(shift) >= FAR) | (np.abs(np.log(ratio)) >= np.log(WIDER)))
