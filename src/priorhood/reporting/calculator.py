"""Data from which a page predicts a home: fields, columns of the design, and some of the draws."""

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
    from priorhood.model.design import Column, Design
    from priorhood.posterior.posterior import Posterior

# Places that a page holds: with more it is tens of megabytes, which browsers open slowly.
MAX_PLACES = 20_000
# Numbers of the page's arrays together, at two bytes each; never fewer or more draws of a place than these.
BUDGET = 220_000
MIN_DRAWS, MAX_DRAWS = 80, 1000
# Options up to which means are judged at the ends of every field too.
MAX_AT_ENDS = 500


def calculator(post: Posterior, at: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields, columns and draws; the page's predictions are mixtures over these draws, as predict()'s are.

    Returns
    -------
    fields : the predictors, with the values of the home shown; columns : the design's, as factors of these;
    options, crossed : places by label; mu, beta, sigma, …: draws, standardized, as `packed` describes them
    """
    options = _options(post)
    c = thinned(post, len(options))
    formula, hierarchy = post.model.formula, post.hierarchy
    own = np.isin(c.mu_cols, c.levels[0].cols if c.levels else [], invert=True)
    found: dict[str, Any] = {
        "fields": _fields(post, at),
        "columns": [_column(column, post.design) for column in post.design.columns],
        "centre": post.scale.centre.tolist(),
        "spread": post.scale.spread.tolist(),
        "unit": post.scale.unit,
        "log": formula.log_outcome,
        "family": post.model.family,
        "known_errors": post.model.se,
        "precision": post.model.precision_weights,
        "draws": len(c.mu),
        "of": int(np.prod([post._sizes[d] for d in ("chain", "draw")])),
        "mu_columns": c.mu_cols[own].tolist(),
        "mu": packed(c.mu[:, own].T),
        "nu": None if c.nu is None else packed(np.log(c.nu)[None]),
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
    sigma = c.sigma[None] if not by_place else np.stack([_groups(c, post, one).sigma(0) for one in options])
    found["sigma"] = None if post.model.se else packed(np.log(np.maximum(sigma, 1e-300)))
    if c.levels:
        # (options, columns, S): a column's draws side by side.
        found["beta"] = packed(_betas(c, post, options))
    for which in range(len(hierarchy.crossed)):
        found["crossed"].append(_crossed(c, post, which, at))
    return found


def thinned(post: Posterior, options: int) -> Coefficients:
    """Return some draws of every chain, evenly spaced, as many as a page can carry."""
    draws = post.tree["posterior"].to_dataset()
    width = len(post.design.columns) + (1 if post.model.noise else 0)
    wanted = min(max(BUDGET // max(options * width, 1), MIN_DRAWS), MAX_DRAWS)
    each = min(max(wanted // draws.sizes["chain"], 1), draws.sizes["draw"])
    kept = np.unique(np.linspace(0, draws.sizes["draw"] - 1, each).astype(int))
    return post._coefficients(draws.isel(draw=kept))


def packed(values: Array) -> dict[str, Any]:
    """Return draws (…, S) as 16-bit steps between the least and the largest of every row, in base64.

    A value is off by at most half a step: a 130,000th of its row's range.
    """
    rows = values.reshape(-1, values.shape[-1])
    low = rows.min(axis=1, initial=np.inf)
    # Rounded first: the page has to count from the same number.
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
    """Places to choose from: the average one, a new one, all places unless too many, those of coarser levels.

    key : labels along the path; kind : average, new, place, or the coarser level's name
    """
    levels = post.hierarchy.levels
    if not levels:
        return []
    finest = levels[0]
    depth = len(finest.path)
    unseen = [absent_label(post)] * depth
    found = [
        {"label": f"the average {finest.name}", "kind": "average", "path": unseen, "unseen": "population"},
        {"label": f"a new {finest.name}", "kind": "new", "path": unseen, "unseen": "draw"},
    ]
    for at, level in enumerate(levels):
        for key, label in zip(level.keys.tolist(), level.labels.tolist(), strict=True):
            path = key.split(SEPARATOR)
            path = [*path, *unseen[len(path) :]]
            if not at and level.size <= MAX_PLACES:
                found.append({"label": label, "kind": "place", "path": path, "unseen": "population"})
            if not at:
                continue
            words = {
                "population": f"the average {finest.name} of {label}",
                "draw": f"a new {finest.name} in {label}",
            }
            found += [
                {"label": words[unseen_], "kind": level.name if unseen_ == "population" else "new", "path": path,
                 "unseen": unseen_, "of": label}
                for unseen_ in words
            ]  # fmt: skip
    return found


def _groups(c: Coefficients, post: Posterior, option: dict[str, Any]) -> Groups:
    """The draws of one option's place, with every crossed grouping at its average."""
    labels = dict(zip(c.levels[0].places.path, option["path"], strict=True))
    spot = SEPARATOR.join(labels.get(key, "") for key in c.keys)
    return Groups(c, (spot,), option["unseen"], post.seed)


def _infinite(post: Posterior, options: list[dict[str, Any]], at: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether a price has an infinite mean, by option: `here` for the home shown, `ends` far out in any one field.

    None where no home has one: without a log; and with Student's t, where the page finds out itself.
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
        told = np.zeros(len(rows), bool)
        for way in ("population", "draw"):
            at_once = np.flatnonzero(unseen == way)
            if len(at_once):
                told[at_once] = judge_moments(post, tails, frame.iloc[at_once], way, noise=True).mean
        here, ends = (told, told) if not change else (here, ends | told)
    return {"here": here.tolist(), "ends": ends.tolist()}


def _betas(c: Coefficients, post: Posterior, options: list[dict[str, Any]]) -> Array:
    """Coefficients of every option (options, C, S); known places together, since drawing many costs little more."""
    finest = c.levels[0]
    found = np.empty((len(options), len(finest.cols), len(c.mu)))
    known = [at for at, option in enumerate(options) if option["kind"] == "place"]
    places = np.array([finest.positions[SEPARATOR.join(options[at]["path"])] for at in known], dtype=np.int64)
    for lo in range(0, len(known), TOGETHER):
        found[known[lo : lo + TOGETHER]] = finest.draws_of(places[lo : lo + TOGETHER]).transpose(1, 2, 0)
    for at in set(range(len(options))) - set(known):
        found[at] = _groups(c, post, options[at]).beta(0).T
    return found


def _crossed(c: Coefficients, post: Posterior, which: int, at: Mapping[str, Any]) -> dict[str, Any]:
    """One crossed grouping: its average, a new place, and its places."""
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
        "beta": packed(np.stack([one.T for one in effects])),
    }


def _own_values(post: Posterior, options: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Predictors of the places: name → value for every option, None where it is not known."""
    known = post.place_table
    if known is None or not options:
        return {}
    finest = post.hierarchy.levels[0].path
    found: dict[str, list[Any]] = {column: [] for column in known.columns}
    for option in options:
        labels = dict(zip(finest, option["path"], strict=True))
        values = known.find(tuple(labels.get(key, "") for key in known.keys))
        for at, column in enumerate(known.columns):
            value = None if values is None else values[at]
            gone = value is None or value == "" or (isinstance(value, float) and not np.isfinite(value))
            found[column].append(None if gone else value)
    return found


# -- predictors --------------------------------------------------------------------------------------------


def _fields(post: Posterior, at: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every predictor: its kind, unit, value, and where most of the rows lie."""
    design = post.design
    typical = {**typical_values(design, post.moments), **at}
    categories = {Expression(factor).bare: factor for factor in design.categories}
    found = []
    for name in design.variables:
        field: dict[str, Any] = {"name": name, "unit": unit_of(post, name), "value": typical.get(name)}
        if name in categories:
            field["categories"] = list(design.categories[categories[name]])
            text = normal_label(str(typical.get(name)))  # 3.0 is the category 3
            field["value"] = text if text in field["categories"] else field["categories"][0]
        else:
            field["value"] = None if field["value"] is None else float(field["value"])
            field["range"] = _range(post, name)
        found.append(field)
    return found


def _range(post: Posterior, name: str) -> list[float] | None:
    """Two sds around the mean of a numeric predictor, of its log where the formula takes that."""
    mean, scatter = post.moments.pooled()
    sd = np.sqrt(np.diag(scatter) / post.moments.mass.sum())
    for column, centre, spread in zip(post.moments.columns, mean, sd, strict=True):
        expression = Expression(column) if column in post.design.formula.factors() else None
        if expression is not None and expression.bare == name:
            low = centre - 2 * spread
            # Areas and ages are not negative; what lies around zero may be.
            return [max(float(low), 0.0) if centre > spread else float(low), float(centre + 2 * spread)]
        if expression is not None and expression.logged_column == name:
            return [float(np.exp(centre - 2 * spread)), float(np.exp(centre + 2 * spread))]
    return None


def _column(column: Column, design: Design) -> list[Any]:
    """A column of the design as the factors of a product; none is the intercept."""
    return [
        ["is", Expression(one.factor).bare, one.category, one.factor in design.numeric]
        if isinstance(one, Indicator)
        else one.nested()
        for one in column.factors
    ]
