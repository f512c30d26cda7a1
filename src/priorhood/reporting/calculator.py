"""Data for the predictions of the page: fields, columns of the design, and some of the draws."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.data.labels import normal_label
from priorhood.model.design import Indicator
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.posterior.price_batches import judge_moments
from priorhood.prediction.coefficients import TOGETHER, Coefficients
from priorhood.prediction.expected import typical_values
from priorhood.prediction.places import Groups
from priorhood.reporting.words import absent_label, unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

# Most places on a page: with more it has tens of megabytes, which browsers open slowly.
MAX_PLACES = 20_000
# Numbers in all arrays of the page, at two bytes each; limits of the number of draws.
BUDGET = 220_000
MIN_DRAWS, MAX_DRAWS = 80, 1000
# Number of options up to which means are also checked at the ends of every field.
MAX_AT_ENDS = 500


def calculator(post: Posterior, at: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields, columns and draws; the page predicts with mixtures over these draws, as predict() does.

    Returns
    -------
    dict
        fields: the predictors, with the values of the home shown; columns: those of the design, as products of
        factors; options, crossed: places by label; mu, beta, sigma, …: standardized draws, see `pack`
    """
    options = _options(post)
    c = thin_draws(post, len(options))
    formula = post.model.formula
    shared = np.isin(c.mu_cols, c.levels[0].cols if c.levels else [], invert=True)
    data: dict[str, Any] = {
        "fields": _fields(post, at),
        # A column is a product of factors; without any it is the intercept.
        "columns": [
            [
                ["is", Expression(factor.factor).bare, factor.category, factor.factor in post.design.numeric]
                if isinstance(factor, Indicator)
                else factor.nested()
                for factor in column.factors
            ]
            for column in post.design.columns
        ],
        "centre": post.scale.centre.tolist(),
        "spread": post.scale.spread.tolist(),
        "unit": post.scale.unit,
        "log": formula.log_outcome,
        "family": post.model.family,
        "known_errors": post.model.se,
        "precision": post.model.precision_weights,
        "draws": len(c.mu),
        "of": int(np.prod([post._sizes[d] for d in ("chain", "draw")])),
        "mu_columns": c.mu_cols[shared].tolist(),
        "mu": pack(c.mu[:, shared].T),
        "nu": None if c.nu is None else pack(np.log(c.nu)[None]),
        "group": formula.group,
        "options": [option["label"] for option in options],
        "kinds": [option["kind"] for option in options],
        "own": _own_values(post, options),
        "beta_columns": c.levels[0].cols.tolist() if c.levels else [],
        "beta": None,
        "crossed": [],
        "infinite": _infinite(post, options, at),
    }
    by_place = c.sigma.ndim == 2
    sigma = c.sigma[None] if not by_place else np.stack([_groups(c, post, option).sigma(0) for option in options])
    data["sigma"] = None if post.model.se else pack(np.log(np.maximum(sigma, 1e-300)))
    if c.levels:
        # (options, columns, S); known places in batches, since drawing many at once costs little more.
        finest = c.levels[0]
        beta = np.empty((len(options), len(finest.cols), len(c.mu)))
        known = [number for number, option in enumerate(options) if option["kind"] == "place"]
        places = np.array(
            [finest.positions[SEPARATOR.join(options[number]["path"])] for number in known], dtype=np.int64
        )
        for lo in range(0, len(known), TOGETHER):
            beta[known[lo : lo + TOGETHER]] = finest.draws_of(places[lo : lo + TOGETHER]).transpose(1, 2, 0)
        for number in set(range(len(options))) - set(known):
            beta[number] = _groups(c, post, options[number]).beta(0).T
        data["beta"] = pack(beta)
    data["crossed"] = [_crossed(c, post, which, at) for which in range(len(post.hierarchy.crossed))]
    return data


def thin_draws(post: Posterior, options: int) -> Coefficients:
    """Return some draws of every chain, evenly spaced, as many as fit on a page."""
    draws = post.tree["posterior"].to_dataset()
    width = len(post.design.columns) + (1 if post.model.noise else 0)
    wanted = min(max(BUDGET // max(options * width, 1), MIN_DRAWS), MAX_DRAWS)
    each = min(max(wanted // draws.sizes["chain"], 1), draws.sizes["draw"])
    kept = np.unique(np.linspace(0, draws.sizes["draw"] - 1, each).astype(int))
    return post._coefficients(draws.isel(draw=kept))


def pack(values: Array) -> dict[str, Any]:
    """Return draws (…, S) as 16-bit steps between the smallest and largest of every row, in base64.

    The rounding error is at most half a step: a 130,000th of the range of the row.
    """
    rows = values.reshape(-1, values.shape[-1])
    low = rows.min(axis=1, initial=np.inf)
    # Finite before the steps are taken, since the page starts from the same number.
    low = np.where(np.isfinite(low), low, 0.0)
    step = (rows.max(axis=1, initial=-np.inf) - low) / 65535.0
    step = np.where(np.isfinite(step) & (step > 0), step, 1.0)
    steps = np.rint((rows - low[:, None]) / step[:, None]).clip(0, 65535).astype("<u2")
    return {
        "shape": list(values.shape),
        "bounds": _base64(np.stack([low, step], axis=1).astype("<f8")),
        "steps": _base64(steps),
    }


def _base64(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


# -- places ------------------------------------------------------------------------------------------------


def _options(post: Posterior) -> list[dict[str, Any]]:
    """Return the places to choose from: average, new one, all places unless too many, those of coarser levels.

    Each has a label; kind: average, new, place, or the name of the coarser level; path: labels along the path;
    unseen: how to treat a new place.
    """
    levels = post.hierarchy.levels
    if not levels:
        return []
    finest = levels[0]
    new = [absent_label(post)] * len(finest.path)
    options = [
        {"label": f"the average {finest.name}", "kind": "average", "path": new, "unseen": "population"},
        {"label": f"a new {finest.name}", "kind": "new", "path": new, "unseen": "draw"},
    ]
    for depth, level in enumerate(levels):
        for key, label in zip(level.keys.tolist(), level.labels.tolist(), strict=True):
            path = key.split(SEPARATOR)
            path = [*path, *new[len(path) :]]
            if depth:
                options += [
                    {"label": f"the average {finest.name} of {label}", "kind": level.name, "path": path,
                     "unseen": "population", "of": label},
                    {"label": f"a new {finest.name} in {label}", "kind": "new", "path": path, "unseen": "draw",
                     "of": label},
                ]  # fmt: skip
            elif level.size <= MAX_PLACES:
                options.append({"label": label, "kind": "place", "path": path, "unseen": "population"})
    return options


def _groups(c: Coefficients, post: Posterior, option: dict[str, Any]) -> Groups:
    """Return the draws of the place of an option, with every crossed grouping at its average."""
    labels = dict(zip(c.levels[0].places.path, option["path"], strict=True))
    spot = SEPARATOR.join(labels.get(key, "") for key in c.keys)
    return Groups(c, (spot,), option["unseen"], post.seed)


def _infinite(post: Posterior, options: list[dict[str, Any]], at: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return whether prices have infinite means, by option: `here` at the home shown, `ends` far out in any field.

    None if no home has one: without a log; and with Student's t, for which the page finds out by itself.
    """
    import pandas as pd

    tails = post._tails
    if tails is None or post.model.se is not None:
        return None
    fields = _fields(post, at)
    absent = {key: absent_label(post) for key in post.model.formula.keys}
    numbers = {str(Expression(factor).bare) for factor in post.design.numeric}
    home = absent | {
        field["name"]: float(field["value"]) if field["name"] in numbers else field["value"] for field in fields
    }
    own = _own_values(post, options)
    finest = post.hierarchy.levels[0].path if post.hierarchy.levels else ()
    rows = []
    for which, option in enumerate(options or [{"path": (), "unseen": "population"}]):
        known = {name: values[which] for name, values in own.items() if values[which] is not None}
        rows.append(home | known | dict(zip(finest, option["path"], strict=True)))
    unseen = np.array([option["unseen"] for option in options] or ["population"])
    far = [{field["name"]: end} for field in fields if field.get("range") for end in field["range"]]
    here, ends = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for change in [{}, *(far if len(rows) <= MAX_AT_ENDS else [])]:
        frame = pd.DataFrame([row | change for row in rows])
        infinite = np.zeros(len(rows), bool)
        for treatment in ("population", "draw"):
            chosen = np.flatnonzero(unseen == treatment)
            if len(chosen):
                infinite[chosen] = judge_moments(post, tails, frame.iloc[chosen], treatment, noise=True).mean
        here, ends = (infinite, infinite) if not change else (here, ends | infinite)
    return {"here": here.tolist(), "ends": ends.tolist()}


def _crossed(c: Coefficients, post: Posterior, which: int, at: Mapping[str, Any]) -> dict[str, Any]:
    """Return one crossed grouping: its average, a new place, and its places."""
    grouping = c.crossed[which]
    S, K = c.mu.shape[0], len(grouping.varying)
    keys = dict.fromkeys(c.keys, "") | dict.fromkeys(grouping.places.path, absent_label(post))
    for column, label in zip(c.levels[0].places.path, _options(post)[0]["path"], strict=True):
        keys[column] = label
    new = Groups(c, (SEPARATOR.join(keys[key] for key in c.keys),), "draw", post.seed).across(which, 0)
    name = grouping.places.name
    labels = [f"the average {name}", f"a new {name}", *grouping.places.labels.tolist()]
    effects = [
        np.zeros((S, K)),
        new,
        *(grouping.draws_of(np.array([i]))[:, 0] for i in range(grouping.places.size)),
    ]
    chosen = normal_label(str(at.get(name, "")))
    return {
        "name": name,
        "options": labels,
        "chosen": labels.index(chosen, 2) if chosen in labels[2:] else 0,
        "columns": grouping.cols.tolist(),
        "beta": pack(np.stack([effect.T for effect in effects])),
    }


def _own_values(post: Posterior, options: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return predictors of the places by name: a value for every option, None if it is unknown."""
    known = post.place_table
    if known is None or not options:
        return {}
    finest = post.hierarchy.levels[0].path
    predictors: dict[str, list[Any]] = {column: [] for column in known.columns}
    for option in options:
        labels = dict(zip(finest, option["path"], strict=True))
        values = known.find(tuple(labels.get(key, "") for key in known.keys))
        for number, column in enumerate(known.columns):
            value = None if values is None else values[number]
            missing = value is None or value == "" or (isinstance(value, float) and not np.isfinite(value))
            predictors[column].append(None if missing else value)
    return predictors


# -- predictors --------------------------------------------------------------------------------------------


def _fields(post: Posterior, at: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return kind, unit, value and range of every predictor."""
    design = post.design
    typical = {**typical_values(design, post.moments), **at}
    categories = {Expression(factor).bare: factor for factor in design.categories}
    fields = []
    for name in design.variables:
        field: dict[str, Any] = {"name": name, "unit": unit_of(post, name), "value": typical.get(name)}
        if name in categories:
            field["categories"] = list(design.categories[categories[name]])
            text = normal_label(str(typical.get(name)))  # 3.0 is the category 3
            field["value"] = text if text in field["categories"] else field["categories"][0]
        else:
            field["value"] = None if field["value"] is None else float(field["value"])
            field["range"] = _range(post, name)
        fields.append(field)
    return fields


def _range(post: Posterior, name: str) -> list[float] | None:
    """Return the mean ± 2 sd of a numeric predictor, or of its log if the formula takes that."""
    mean, scatter = post.moments.pooled()
    sd = np.sqrt(np.diag(scatter) / post.moments.mass.sum())
    for column, centre, spread in zip(post.moments.columns, mean, sd, strict=True):
        expression = Expression(column) if column in post.design.formula.factors() else None
        if expression is not None and expression.bare == name:
            low = centre - 2 * spread
            # Areas and ages are not negative; predictors centred around zero may be.
            return [max(float(low), 0.0) if centre > spread else float(low), float(centre + 2 * spread)]
        if expression is not None and expression.logged_column == name:
            return [float(np.exp(centre - 2 * spread)), float(np.exp(centre + 2 * spread))]
    return None
