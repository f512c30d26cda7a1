"""Validation of a file against the model in it: types, shapes, labels and numbers of its parts."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import replace
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
from priorhood.posterior.tree import SUMMARIES, label_draws, label_summaries
from priorhood.suffstats.io import PLACES, stored_moments, stored_places
from priorhood.suffstats.netcdf import Damage, shown_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import xarray as xr

    from priorhood.data.place_table import PlaceTable
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments

MAX_DRAW = 1e150  # squares of draws, and sums of many squares, stay finite
SYMMETRY_TOLERANCE = 1e-8  # by how much the halves of a symmetric matrix may differ, relative to its diagonal
MIN_NU = 1e-3  # with fewer degrees of freedom the quartiles of an error are not finite
DRAW_DIMS = ("chain", "draw")
# Entries of a stored model and their possible types; older files do not have all of them.
ENTRIES: dict[str, tuple[type, ...]] = {
    "formula": (str,), "priors": (dict,), "outcome_unit": (int, float, type(None)), "standardize": (bool,),
    "units": (dict,), "family": (str,), "noise": (str, type(None)), "se": (str, type(None)),
    "precision_weights": (str, type(None)), "frequency_weights": (str, type(None)),
}  # fmt: skip


@contextmanager
def damage_in(part: str) -> Iterator[None]:
    """Turn any error in the block into Damage that names the part of the file."""
    try:
        yield
    except Damage:
        raise
    except PriorhoodError as problem:
        what = f"{shown_part(part)} does not have the form that any version of priorhood writes"
        raise Damage(f"{what}: {problem}") from None
    except Exception as problem:  # noqa: BLE001  # inconsistent parts may raise anything
        # Messages of other errors are about our code, not about the file.
        text = str(problem).partition("\n")[0][:200] if isinstance(problem, ValueError) else ""
        raise Damage(f"{shown_part(part)} cannot be read{f' ({text})' * bool(text)}") from None


# -- attributes ----------------------------------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_json(kind: type) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        try:
            return isinstance(value, str) and isinstance(json.loads(value), kind)
        except (ValueError, RecursionError):
            return False

    return check


def _is_one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


# The check of every attribute, and a description of valid values.
ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("engine_reason", "store_reason", "sampler", "created_at", "formula"),
        (lambda value: isinstance(value, str), "text"),
    ),
    "engine": (_is_one_of("exact", "nuts"), "exact or nuts"),
    "parameterization": (_is_one_of("centered", "noncentered"), "centered or noncentered"),
    "store": (_is_one_of("draws", "summaries"), "draws or summaries"),
    "store_asked": (_is_one_of("auto", "draws", "summaries"), "auto, draws or summaries"),
    **dict.fromkeys(
        ("rows_read", "rows_used", "seed", "keep_every", "evaluations", "tune", "max_treedepth", "divergences",
         "minimum"),
        (
            lambda value: isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0),
            "a whole number",
        ),
    ),
    **dict.fromkeys(
        ("acceptance", "proposal_ess_share", "log_evidence", "log_evidence_error", "log_evidence_standardized",
         "target_accept", "compile_time", "draw_time", "sampling_time"),
        (_is_finite, "a finite number"),
    ),
    "pareto_k": (_is_number, "a number"),
    **dict.fromkeys(("model", "categories", "scale", "weights", "versions"), (_is_json(dict), "a JSON mapping")),
    **dict.fromkeys(
        ("numeric_categories", "boolean_columns", "rows_dropped", "notes"), (_is_json(list), "a JSON list")
    ),
}  # fmt: skip
REQUIRED = ("categories", "numeric_categories", "rows_read", "rows_used", "rows_dropped")
REQUIRED_OF_POSTERIOR = ("model", "scale", "engine", "engine_reason", "seed", "notes")
REQUIRED_OF_ENGINE = {"exact": ("acceptance", "pareto_k", "log_evidence", "log_evidence_error"), "nuts": ()}


def check_attributes(attrs: Mapping[Any, Any], required: tuple[str, ...]) -> None:
    """Raise if an attribute is missing or has an invalid value."""
    for name in required:
        if name not in attrs:
            raise Damage(f"the attribute {name!r} is missing")
    for name, (check, kind) in ATTRIBUTES.items():
        if name in attrs and not check(attrs[name]):
            raise Damage(f"the attribute {name!r} is {_short(attrs[name])}, not {kind}")


def _short(value: Any) -> str:
    """Return a value's repr, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def stored_design(tree: xr.DataTree, formula: Any) -> Design:
    """Return the design in the attributes."""
    with damage_in("@categories"):
        categories = json.loads(tree.attrs["categories"])
        for factor, values in categories.items():
            if not values or not _is_list_of_str(values) or len(set(values)) < len(values):
                raise ValueError(f"{factor!r} has {_short(values)}")
    with damage_in("@numeric_categories"):
        numeric = json.loads(tree.attrs["numeric_categories"])
        if not _is_list_of_str(numeric) or not set(numeric) <= set(categories):
            raise ValueError(_short(numeric))
        for factor in numeric:
            tuple(map(float, categories[factor]))
    with damage_in("@categories"):
        design = Design(formula, {k: tuple(v) for k, v in categories.items()}, frozenset(numeric))
        unknown = set(categories) - set(formula.factors())
        if unknown:
            raise ValueError(f"the formula has no {preview(sorted(unknown))}")
        _ = design.names
    with damage_in("@boolean_columns"):
        truths = json.loads(tree.attrs.get("boolean_columns", "[]"))  # absent if there are none, and in old files
        if not _is_list_of_str(truths) or not set(truths) <= set(design.variables):
            raise ValueError(_short(truths))
    return replace(design, truths=frozenset(truths))


def _is_list_of_str(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def stored_model(tree: xr.DataTree) -> Model:
    """Return the model in the attribute."""
    with damage_in("@model"):
        stored = json.loads(tree.attrs["model"])
        for entry, kinds in ENTRIES.items():
            if entry not in stored and entry in ("formula", "priors", "outcome_unit", "standardize", "units"):
                raise ValueError(f"{entry!r} is missing")
            if entry in stored and not isinstance(stored[entry], kinds):
                raise ValueError(f"{entry} is {_short(stored[entry])}")
        for entry in ("priors", "units"):
            if not _is_list_of_str([*stored[entry].values()]):
                raise ValueError(f"{entry} are {_short(stored[entry])}")
        return Model.from_dict(stored)


def stored_scale(tree: xr.DataTree, design: Design) -> Scale:
    """Return the scale of the design's columns in the attribute."""
    with damage_in("@scale"):
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
    """Return the columns of weights in the attribute of a file of sums."""
    with damage_in("@weights"):
        stored = json.loads(tree.attrs["weights"])
        if not all(value is None or isinstance(value, str) for value in stored.values()):
            raise ValueError(_short(stored))
        return Weights(**stored)


# -- variables -----------------------------------------------------------------------------------------------


def _check_numbers(path: str, values: Any, minimum: float = -math.inf, maximum: float = math.inf) -> None:
    """Raise unless all values are finite numbers between the limits."""
    if values.dtype.kind not in "fiub":
        raise Damage(f"{shown_part(path)} holds {values.dtype}, not numbers")
    if not values.size:
        raise Damage(f"{shown_part(path)} is empty")
    low, high = values.min(), values.max()  # both are NaN if any value is
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Damage(f"{shown_part(path)} has values that are not finite")
    if low < minimum or high > maximum:
        raise Damage(f"{shown_part(path)} has the impossible value {low if low < minimum else high:g}")


def _group(tree: xr.DataTree, name: str) -> xr.Dataset:
    if name not in tree.children:
        raise Damage(f"the group {name!r} is missing")
    return tree[name].to_dataset()


def validated_moments(tree: xr.DataTree, design: Design, weights: Weights) -> CellMoments:
    """Return the sums in a tree.

    Raises
    ------
    Damage
        A part is missing, its shape is not the design's, or its values are impossible.
    """
    stored = _group(tree, "moments")
    keys = ("key", "key_column") if len(design.formula.keys) > 1 else ()
    for name in ("n", "mean", "scatter", "column", *keys):
        if name not in stored.variables:
            raise Damage(f"{shown_part(f'moments/{name}')} is missing")
    if weights.has_precisions != ("weight" in stored):
        fault = "missing" if weights.has_precisions else "not part of this model"
        raise Damage(f"{shown_part('moments/weight')} is {fault}")
    if weights.has_precisions and not _is_finite(stored.attrs.get("log_weight")):
        raise Damage(f"{shown_part('moments@log_weight')} is not a finite number")
    with damage_in("moments/n"):
        moments = stored_moments(tree, design)
    columns = (*(column.name for column in design.columns if column.factors), design.formula.outcome)
    if moments.columns != columns:
        raise Damage(
            f"{shown_part('moments/column')} has {preview(moments.columns)}, but the model has {preview(columns)}"
        )
    if len(moments.keys) > 1 and tuple(map(str, stored["key_column"].values)) != moments.keys:
        raise Damage(f"{shown_part('moments/key_column')} is not {preview(moments.keys)}")
    if not len(moments.labels) or not (moments.labels[1:] > moments.labels[:-1]).all():
        raise Damage("the labels of 'moments' are missing, out of order or duplicated")
    count, width = len(moments.labels), len(columns)
    shapes = {"n": (count,), "mean": (count, width), "scatter": (count, width, width), "weight": (count,)}
    for name, minimum in (("n", 0.0), ("mean", -math.inf), ("scatter", -math.inf), ("weight", 0.0)):
        values = getattr(moments, name)
        if values is None:
            continue
        if values.shape != shapes[name]:
            raise Damage(f"{shown_part(f'moments/{name}')} has the shape {values.shape}, not {shapes[name]}")
        _check_numbers(f"moments/{name}", values, minimum)
        if minimum == 0.0 and not (values > 0).all():
            raise Damage(f"{shown_part(f'moments/{name}')} has the impossible value 0")
    # Sums of products are symmetric, at least 0 on the diagonal, and bounded by it (Cauchy & Schwarz).
    diagonal = np.diagonal(moments.scatter, axis1=1, axis2=2)
    roots = np.sqrt(np.abs(diagonal))
    bound = roots[:, :, None] * roots[:, None, :]
    tolerance = SYMMETRY_TOLERANCE * (bound + bound.max(initial=0.0))
    asymmetric = np.abs(moments.scatter - moments.scatter.transpose(0, 2, 1)) > tolerance
    negative, too_large = diagonal < -tolerance.max(initial=0.0), np.abs(moments.scatter) > bound + tolerance
    if negative.any() or asymmetric.any() or too_large.any():
        raise Damage(f"{shown_part('moments/scatter')} cannot be sums of squares and products")
    with np.errstate(over="ignore", invalid="ignore"):
        _, scatter = moments.pooled()
        possible = np.abs(scatter) <= 4.0 * LARGEST**2 * moments.mass.sum()
    if (np.abs(moments.mean) > LARGEST).any() or not possible.all():
        raise Damage(f"{shown_part('moments')} has sums of values beyond {LARGEST:g}, the limit for tables")
    if moments.rows != int(tree.attrs["rows_used"]):
        raise Damage(f"{shown_part('moments/n')} adds up to {moments.rows:,} rows, not {tree.attrs['rows_used']:,}")
    return moments


def validated_places(tree: xr.DataTree, formula: Any) -> PlaceTable | None:
    """Return the places' own predictors in a tree; raises like validated_moments."""
    if PLACES not in tree.children:
        return None
    stored = tree[PLACES].to_dataset()
    for name in ("key", "key_column"):
        if name not in stored.variables:
            raise Damage(f"{shown_part(f'{PLACES}/{name}')} is missing")
    if "number" in stored and stored["number"].dtype.kind != "f":
        raise Damage(f"{shown_part(f'{PLACES}/number')} holds {stored['number'].dtype}, not numbers")
    if "number" in stored and np.isinf(stored["number"].values).any():
        raise Damage(f"{shown_part(f'{PLACES}/number')} has values that are not finite")
    if "text" in stored and stored["text"].dtype.kind not in "OUT":
        raise Damage(f"{shown_part(f'{PLACES}/text')} holds {stored['text'].dtype}, not text")
    with damage_in(f"{PLACES}/key"):
        table = stored_places(tree)
        if table is None or len(table.places) != stored.sizes["place"] or not set(table.keys) <= set(formula.keys):
            raise ValueError("a place occurs twice, or belongs to another group")
        table.check(formula)
    return table


def validate_draws(tree: xr.DataTree, data: FitData) -> None:
    """Raise unless the draws are of the model's parameters and places and have possible values.

    Raises
    ------
    Damage
        They are not.
    """
    stored, stats, summed = _group(tree, "posterior"), _group(tree, "sample_stats"), SUMMARIES in tree.children
    if any(not stored.sizes.get(dim) for dim in DRAW_DIMS):
        raise Damage("the group 'posterior' has no chains or no draws")
    with damage_in("posterior/mu"):
        parameters = label_draws(data.design, data.hierarchy, _empty_draws(data, summed=summed)).dataset()
    for name, expected in parameters.data_vars.items():
        _check_variable("posterior", str(name), stored, expected)
        limits = {
            "omega": (-1 - SYMMETRY_TOLERANCE, 1 + SYMMETRY_TOLERANCE), "nu": (MIN_NU, MAX_DRAW),
            "tau": (0.0, MAX_DRAW), "sigma": (0.0, MAX_DRAW),
        }.get(base_of(str(name)), (-MAX_DRAW, MAX_DRAW))  # fmt: skip
        _check_numbers(f"posterior/{name}", stored[name].values, *limits)
    unknown = [str(name) for name in stored.data_vars if name not in parameters]
    if unknown:
        raise Damage(f"{shown_part(f'posterior/{unknown[0]}')} is not a parameter of the model")
    for name in DRAW_DIMS:
        if name not in stored.variables or stored[name].dtype.kind not in "iu":
            raise Damage(f"{shown_part(f'posterior/{name}')} is missing or not numbered by integers")
    for name in ("lp", "diverging"):
        if name not in stats:
            raise Damage(f"{shown_part(f'sample_stats/{name}')} is missing")
    for stat, values in stats.data_vars.items():
        path = f"sample_stats/{stat}"
        if set(values.dims) != set(DRAW_DIMS) or any(values.sizes[dim] != stored.sizes[dim] for dim in DRAW_DIMS):
            raise Damage(f"{shown_part(path)} does not have one value per draw")
        _check_numbers(path, values.values)
    if not summed:
        return
    stored = tree[SUMMARIES].to_dataset()
    shape = (data.hierarchy.levels[0].size, len(data.design.coefficient_columns(0)))
    empty = Summaries(np.empty(shape), np.empty(shape), np.empty((*shape, len(QUANTILES))))
    summaries = label_summaries(data.design, data.hierarchy, empty, QUANTILES).dataset()
    for name, expected in summaries.data_vars.items():
        _check_variable(SUMMARIES, str(name), stored, expected)
        minimum = 0.0 if str(name).endswith("_sd") else -MAX_DRAW
        _check_numbers(f"{SUMMARIES}/{name}", stored[name].values, minimum, MAX_DRAW)


def _check_variable(group: str, name: str, stored: xr.Dataset, expected: xr.DataArray) -> None:
    """Raise unless a variable exists, with the expected dimensions and labels."""
    path = f"{group}/{name}"
    if name not in stored.data_vars:
        raise Damage(f"{shown_part(path)} is missing")
    if stored[name].dims != expected.dims:
        raise Damage(
            f"{shown_part(path)} has the dimensions {preview(map(str, stored[name].dims))}, not "
            f"{preview(map(str, expected.dims))}"
        )
    for dim in map(str, expected.dims):
        if dim in DRAW_DIMS:
            continue
        labels = stored[dim].values.astype(str).tolist() if dim in stored.variables else None
        if labels != expected[dim].values.astype(str).tolist():
            raise Damage(f"{shown_part(f'{group}/{dim}')} does not have the labels of the model's {dim}")


def _empty_draws(data: FitData, *, summed: bool) -> Draws:
    """Return zero draws of the model, for the shapes of its parameters."""

    def empty(*shape: int) -> Any:
        return np.empty((0, 0, *shape))

    model, design, resolved, hierarchy = data.model, data.design, data.resolved, data.hierarchy
    effects = [
        Effects(
            None if summed and i == 0 else empty(places.size, len(design.coefficient_columns(i))),
            empty(len(design.level_columns(i))),
            None if resolved.omega[i] is None else empty(*2 * [len(design.level_columns(i))]),
        )
        for i, places in enumerate(hierarchy.groupings)
    ]
    sigma_per_place = (hierarchy.levels[0].size,) if model.noise is not None else ()
    return Draws(
        mu=empty(len(design.population_columns)),
        effects=tuple(effects),
        sigma=None if model.se is not None else empty(*sigma_per_place),
        stats={}, facts={}, nu=empty() if model.family == "student" else None,
        sigma_median=None if resolved.sigma_median is None else empty(),
        sigma_spread=None if resolved.sigma_spread is None else empty(),
    )  # fmt: skip
