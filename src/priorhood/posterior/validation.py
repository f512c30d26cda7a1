"""Checks of a file's parts against the model in it: types, shapes, labels, numbers."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import preview
from priorhood.engines.draws import QUANTILES, Draws, Effects, Summaries
from priorhood.errors import PriorhoodError
from priorhood.model.design import Design
from priorhood.model.model import Model
from priorhood.model.priors import base_of
from priorhood.model.scale import LARGEST, Scale
from priorhood.model.weights import Weights
from priorhood.posterior.tree import SUMMARIES, labelled, summarized
from priorhood.suffstats.io import PLACES, stored_moments, stored_places
from priorhood.suffstats.netcdf import Damage, shown_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import xarray as xr

    from priorhood.data.place_table import PlaceTable
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments

SQUARABLE = 1e150  # the square of a draw, and a sum of many, stay finite
CLOSE = 1e-8  # how far the halves of a symmetric matrix may differ
MIN_NU = 1e-3  # with fewer degrees of freedom the quartiles of an error are not finite
LEAD = ("chain", "draw")
# Entries of a stored model with the types that each may have; older files do not have them all.
ENTRIES: dict[str, tuple[type, ...]] = {
    "formula": (str,), "priors": (dict,), "outcome_unit": (int, float, type(None)), "standardize": (bool,),
    "units": (dict,), "family": (str,), "noise": (str, type(None)), "se": (str, type(None)),
    "precision_weights": (str, type(None)), "frequency_weights": (str, type(None)),
}  # fmt: skip


@contextmanager
def reading(part: str) -> Iterator[None]:
    """Name the part of the file that is read in the block, where it cannot be understood."""
    try:
        yield
    except Damage:
        raise
    except PriorhoodError as problem:
        raise Damage(f"{shown_part(part)} says what no version of priorhood has written: {problem}") from None
    except Exception as problem:  # noqa: BLE001  # whatever follows from parts that do not fit together
        # Texts of other errors are about our code, not about the file.
        text = str(problem).partition("\n")[0][:200] if isinstance(problem, ValueError) else ""
        raise Damage(f"{shown_part(part)} cannot be understood{f' ({text})' * bool(text)}") from None


# -- attributes ----------------------------------------------------------------------------------------------


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_json(kind: type) -> Callable[[Any], bool]:
    def right(value: Any) -> bool:
        try:
            return isinstance(value, str) and isinstance(json.loads(value), kind)
        except (ValueError, RecursionError):
            return False

    return right


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


# The test of every attribute, and its kind in words.
ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("engine_reason", "store_reason", "sampler", "created_at", "formula"),
        (lambda value: isinstance(value, str), "text"),
    ),
    "engine": (_one_of("exact", "nuts"), "exact or nuts"),
    "parameterization": (_one_of("centered", "noncentered"), "centered or noncentered"),
    "store": (_one_of("draws", "summaries"), "draws or summaries"),
    "store_asked": (_one_of("auto", "draws", "summaries"), "auto, draws or summaries"),
    **dict.fromkeys(
        ("rows_read", "rows_used", "seed", "keep_every", "evaluations", "tune", "max_treedepth", "divergences",
         "minimum"),
        (_is_whole, "a whole number"),
    ),
    **dict.fromkeys(
        ("acceptance", "proposal_ess_share", "log_evidence", "log_evidence_error", "log_evidence_standardized",
         "target_accept", "compile_time", "draw_time", "sampling_time"),
        (_is_finite, "a finite number"),
    ),
    "pareto_k": (_is_number, "a number"),
    **dict.fromkeys(("model", "categories", "scale", "weights", "versions"), (_is_json(dict), "a JSON mapping")),
    **dict.fromkeys(("numeric_categories", "rows_dropped", "notes"), (_is_json(list), "a JSON list")),
}  # fmt: skip
ALWAYS = ("categories", "numeric_categories", "rows_read", "rows_used", "rows_dropped")
OF_POSTERIOR = ("model", "scale", "engine", "engine_reason", "seed", "notes")
OF_ENGINE = {"exact": ("acceptance", "pareto_k", "log_evidence", "log_evidence_error"), "nuts": ()}


def check_attributes(attrs: Mapping[Any, Any], needed: tuple[str, ...]) -> None:
    """Raise where an attribute is missing, or not of its kind."""
    for name in needed:
        if name not in attrs:
            raise Damage(f"the attribute {name!r} is missing")
    for name, (right, kind) in ATTRIBUTES.items():
        if name in attrs and not right(attrs[name]):
            raise Damage(f"the attribute {name!r} is {_short(attrs[name])}, not {kind}")


def _short(value: Any) -> str:
    """A value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def stored_design(tree: xr.DataTree, formula: Any) -> Design:
    """The design in the attributes."""
    with reading("@categories"):
        categories = json.loads(tree.attrs["categories"])
        for factor, values in categories.items():
            if not values or not _texts(values) or len(set(values)) < len(values):
                raise ValueError(f"{factor!r} has {_short(values)}")
    with reading("@numeric_categories"):
        numeric = json.loads(tree.attrs["numeric_categories"])
        if not _texts(numeric) or not set(numeric) <= set(categories):
            raise ValueError(_short(numeric))
        for factor in numeric:
            tuple(map(float, categories[factor]))
    with reading("@categories"):
        design = Design(formula, {k: tuple(v) for k, v in categories.items()}, frozenset(numeric))
        strange = set(categories) - set(formula.factors())
        if strange:
            raise ValueError(f"the formula has no {preview(sorted(strange))}")
        _ = design.names
    return design


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def stored_model(tree: xr.DataTree) -> Model:
    """The model in the attribute."""
    with reading("@model"):
        stored = json.loads(tree.attrs["model"])
        for entry, kinds in ENTRIES.items():
            if entry not in stored and entry in ("formula", "priors", "outcome_unit", "standardize", "units"):
                raise ValueError(f"{entry!r} is missing")
            if entry in stored and not isinstance(stored[entry], kinds):
                raise ValueError(f"{entry} is {_short(stored[entry])}")
        for entry in ("priors", "units"):
            if not _texts([*stored[entry].values()]):
                raise ValueError(f"{entry} are {_short(stored[entry])}")
        return Model.from_dict(stored)


def stored_scale(tree: xr.DataTree, design: Design) -> Scale:
    """The scale of the design's columns in the attribute."""
    with reading("@scale"):
        stored = json.loads(tree.attrs["scale"])
        if not _is_finite(stored["unit"]) or stored["unit"] <= 0:
            raise ValueError(f"unit is {stored['unit']!r}")
        scale = Scale.from_dict(stored)
        for name, values in (("centre", scale.centre), ("spread", scale.spread)):
            if values.shape != (len(design.names),) or not np.isfinite(values).all():
                raise ValueError(f"{name} is {_short(values.tolist())} for {len(design.names)} columns")
        if not (scale.spread > 0).all():
            raise ValueError(f"spread is {_short(scale.spread.tolist())}")
    return scale


def stored_weights(tree: xr.DataTree) -> Weights:
    """The columns of weights in the attribute of sums."""
    with reading("@weights"):
        stored = json.loads(tree.attrs["weights"])
        if not all(value is None or isinstance(value, str) for value in stored.values()):
            raise ValueError(_short(stored))
        return Weights(**stored)


# -- variables -----------------------------------------------------------------------------------------------


def _check_numbers(path: str, values: Any, least: float = -math.inf, most: float = math.inf) -> None:
    """Raise unless all are finite numbers between the limits."""
    if values.dtype.kind not in "fiub":
        raise Damage(f"{shown_part(path)} holds {values.dtype}, not numbers")
    if not values.size:
        raise Damage(f"{shown_part(path)} is empty")
    low, high = values.min(), values.max()  # both are NaN where one value is
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Damage(f"{shown_part(path)} has values that are no finite numbers")
    if low < least or high > most:
        raise Damage(f"{shown_part(path)} has the value {low if low < least else high:g}, which it cannot have")


def _group(tree: xr.DataTree, name: str) -> xr.Dataset:
    if name not in tree.children:
        raise Damage(f"the group {name!r} is missing")
    return tree[name].to_dataset()


def sound_moments(tree: xr.DataTree, design: Design, weights: Weights) -> CellMoments:
    """The sums in a tree.

    Raises
    ------
    Damage
        A part that is missing, of another shape than the design's, or impossible.
    """
    stored = _group(tree, "moments")
    several = ("key", "key_column") if len(design.formula.keys) > 1 else ()
    for name in ("n", "mean", "scatter", "column", *several):
        if name not in stored.variables:
            raise Damage(f"{shown_part(f'moments/{name}')} is missing")
    if weights.has_precisions != ("weight" in stored):
        fault = "missing" if weights.has_precisions else "not of this model"
        raise Damage(f"{shown_part('moments/weight')} is {fault}")
    if weights.has_precisions and not _is_finite(stored.attrs.get("log_weight")):
        raise Damage(f"{shown_part('moments@log_weight')} is no finite number")
    with reading("moments/n"):
        found = stored_moments(tree, design)
    columns = (*(column.name for column in design.columns if column.factors), design.formula.outcome)
    if found.columns != columns:
        raise Damage(f"{shown_part('moments/column')} has {preview(found.columns)}, the model {preview(columns)}")
    if len(found.keys) > 1 and tuple(map(str, stored["key_column"].values)) != found.keys:
        raise Damage(f"{shown_part('moments/key_column')} is not {preview(found.keys)}")
    if not len(found.labels) or not (found.labels[1:] > found.labels[:-1]).all():
        raise Damage("the labels of 'moments' are not there, not in order, or there twice")
    count, width = len(found.labels), len(columns)
    shapes = {"n": (count,), "mean": (count, width), "scatter": (count, width, width), "weight": (count,)}
    for name, least in (("n", 0.0), ("mean", -math.inf), ("scatter", -math.inf), ("weight", 0.0)):
        values = getattr(found, name)
        if values is None:
            continue
        if values.shape != shapes[name]:
            raise Damage(f"{shown_part(f'moments/{name}')} has the shape {values.shape}, not {shapes[name]}")
        _check_numbers(f"moments/{name}", values, least)
        if least == 0.0 and not (values > 0).all():
            raise Damage(f"{shown_part(f'moments/{name}')} has the value 0, which it cannot have")
    _check_scatter(found.scatter)
    with np.errstate(over="ignore", invalid="ignore"):
        _, scatter = found.pooled()
        possible = np.abs(scatter) <= 4.0 * LARGEST**2 * found.mass.sum()
    if (np.abs(found.mean) > LARGEST).any() or not possible.all():
        raise Damage(f"{shown_part('moments')} has sums of values beyond {LARGEST:g}, which no table may have")
    if found.rows != int(tree.attrs["rows_used"]):
        raise Damage(f"{shown_part('moments/n')} adds up to {found.rows:,} rows, not {tree.attrs['rows_used']:,}")
    return found


def _check_scatter(scatter: Any) -> None:
    """Raise unless these can be sums of products: symmetric, not below 0, within the bound of their squares."""
    own = np.diagonal(scatter, axis1=1, axis2=2)
    largest = np.sqrt(np.abs(own))
    bound = largest[:, :, None] * largest[:, None, :]
    limit = CLOSE * (bound + bound.max(initial=0.0))
    apart = np.abs(scatter - scatter.transpose(0, 2, 1)) > limit
    if (own < -limit.max(initial=0.0)).any() or apart.any() or (np.abs(scatter) > bound + limit).any():
        raise Damage(f"{shown_part('moments/scatter')} is no sum of squares and products")


def sound_places(tree: xr.DataTree, formula: Any) -> PlaceTable | None:
    """The places' own predictors in a tree; raises as sound_moments does."""
    if PLACES not in tree.children:
        return None
    stored = tree[PLACES].to_dataset()
    for name in ("key", "key_column"):
        if name not in stored.variables:
            raise Damage(f"{shown_part(f'{PLACES}/{name}')} is missing")
    if "number" in stored and stored["number"].dtype.kind != "f":
        raise Damage(f"{shown_part(f'{PLACES}/number')} holds {stored['number'].dtype}, not numbers")
    if "number" in stored and np.isinf(stored["number"].values).any():
        raise Damage(f"{shown_part(f'{PLACES}/number')} has values that are no finite numbers")
    if "text" in stored and stored["text"].dtype.kind not in "OUT":
        raise Damage(f"{shown_part(f'{PLACES}/text')} holds {stored['text'].dtype}, not text")
    with reading(f"{PLACES}/key"):
        found = stored_places(tree)
        if found is None or len(found.places) != stored.sizes["place"] or not set(found.keys) <= set(formula.keys):
            raise ValueError("a place twice, or of another group")
        found.check(formula)
    return found


def check_draws_of(tree: xr.DataTree, data: FitData) -> None:
    """Raise unless the draws are those of the model's parameters and of its places, and possible numbers.

    Raises
    ------
    Damage
    """
    stored, stats, summed = _group(tree, "posterior"), _group(tree, "sample_stats"), SUMMARIES in tree.children
    if any(not stored.sizes.get(dim) for dim in LEAD):
        raise Damage("the group 'posterior' has no chains or no draws")
    with reading("posterior/mu"):
        wanted = labelled(data.design, data.hierarchy, _empty(data, summed=summed))
    for name, expected in wanted.data_vars.items():
        _check_variable("posterior", str(name), stored, expected)
        limits = {
            "omega": (-1 - CLOSE, 1 + CLOSE), "nu": (MIN_NU, SQUARABLE), "tau": (0.0, SQUARABLE),
            "sigma": (0.0, SQUARABLE),
        }.get(base_of(str(name)), (-SQUARABLE, SQUARABLE))  # fmt: skip
        _check_numbers(f"posterior/{name}", stored[name].values, *limits)
    strange = [str(name) for name in stored.data_vars if name not in wanted]
    if strange:
        raise Damage(f"{shown_part(f'posterior/{strange[0]}')} is no parameter of the model")
    for name in LEAD:
        if name not in stored.variables or stored[name].dtype.kind not in "iu":
            raise Damage(f"{shown_part(f'posterior/{name}')} is missing, or does not number them")
    for name in ("lp", "diverging"):
        if name not in stats:
            raise Damage(f"{shown_part(f'sample_stats/{name}')} is missing")
    for stat, values in stats.data_vars.items():
        path = f"sample_stats/{stat}"
        if set(values.dims) != set(LEAD) or any(values.sizes[dim] != stored.sizes[dim] for dim in LEAD):
            raise Damage(f"{shown_part(path)} has not one value for every draw")
        _check_numbers(path, values.values)
    if not summed:
        return
    stored, shape = (
        tree[SUMMARIES].to_dataset(),
        (data.hierarchy.levels[0].size, len(data.design.coefficient_columns(0))),
    )
    none = Summaries(np.empty(shape), np.empty(shape), np.empty((*shape, len(QUANTILES))))
    for name, expected in summarized(data.design, data.hierarchy, none, QUANTILES).data_vars.items():
        _check_variable(SUMMARIES, str(name), stored, expected)
        least = 0.0 if str(name).endswith("_sd") else -SQUARABLE
        _check_numbers(f"{SUMMARIES}/{name}", stored[name].values, least, SQUARABLE)


def _check_variable(group: str, name: str, stored: xr.Dataset, expected: xr.DataArray) -> None:
    """Raise unless a variable is there, with the expected dimensions and labels."""
    path = f"{group}/{name}"
    if name not in stored.data_vars:
        raise Damage(f"{shown_part(path)} is missing")
    if stored[name].dims != expected.dims:
        raise Damage(
            f"{shown_part(path)} has the dimensions {preview(map(str, stored[name].dims))}, not "
            f"{preview(map(str, expected.dims))}"
        )
    for dim in map(str, expected.dims):
        if dim in LEAD:
            continue
        labels = stored[dim].values.astype(str).tolist() if dim in stored.variables else None
        if labels != expected[dim].values.astype(str).tolist():
            raise Damage(f"{shown_part(f'{group}/{dim}')} does not have the labels that the model's {dim} has")


def _empty(data: FitData, *, summed: bool) -> Draws:
    """Draws of the model with no chains and no draws, for the shapes of its parameters."""

    def none(*shape: int) -> Any:
        return np.empty((0, 0, *shape))

    model, design, resolved, hierarchy = data.model, data.design, data.resolved, data.hierarchy
    effects = [
        Effects(
            None if summed and at == 0 else none(places.size, len(design.coefficient_columns(at))),
            none(len(design.level_columns(at))),
            None if resolved.omega[at] is None else none(*2 * [len(design.level_columns(at))]),
        )
        for at, places in enumerate(hierarchy.groupings)
    ]
    each = model.noise is not None
    known = model.se is not None
    return Draws(
        mu=none(len(design.population_columns)),
        effects=tuple(effects),
        sigma=None if known else none(hierarchy.levels[0].size) if each else none(),
        stats={}, facts={}, nu=none() if model.family == "student" else None,
        sigma_median=None if resolved.sigma_median is None else none(),
        sigma_spread=None if resolved.sigma_spread is None else none(),
    )  # fmt: skip
