"""Comparison of models of the same rows: by their predictions, or by the evidence (mathematics.md, section 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import MODELS_APART, check_choice, suggest_argument_names
from priorhood._text import argument, preview, row_count
from priorhood.errors import ModelError, PriorhoodError
from priorhood.evaluation.elpd import Elpd, outcomes_of, standard_error
from priorhood.evaluation.loo import DRAWS, loo, loo_places
from priorhood.posterior.posterior import Posterior

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from priorhood._arrays import Array
    from priorhood.evaluation.elpd import Outcomes

    Compared = Posterior | Elpd

WAYS = ("row", "place", "evidence")
# Below these the Normal approximation of a difference cannot be trusted (Sivula et al. 2025).
MIN_COUNT, MIN_DIFFERENCE = 100, 4.0
PRIORS_MATTER = (
    "the evidence is the density of the data under the priors: it changes with the width of the priors for tau, mu "
    "and sigma, even if the posterior barely does"
)
SAME_ROWS = (
    "compare models of the same rows; a predictor that only one of them has drops the rows in which it is missing"
)


@suggest_argument_names
def compare(
    models: Mapping[str, Compared] | Sequence[Compared] | Sequence[tuple[str, Compared]],
    table: object = None,
    by: str = "row",
    *,
    level: str | None = None,
    draws: int = DRAWS,
    places: object = None,
    drop_outliers: float | None = None,
) -> pd.DataFrame:
    """Compare models of the same outcomes: by leave-one-row-out, leave-one-place-out, or the evidence.

    Parameters
    ----------
    models : mapping or sequence
        Posteriors, or results of loo() or loo_places(): by name, {"small": a, "large": b}; as pairs, [("small", a),
        ("large", b)]; or in a list, in which case they are named by their formulas.
    table : table, optional
        The rows of the fits, needed for by="row".
    by : {"row", "place", "evidence"}
        "row" for predictions of more rows in the same places, "place" for new places, "evidence" for Bayes factors.
    level : str, optional
        The places' column, with by="place"; see loo_places.
    draws, places, drop_outliers : optional
        See loo.

    Returns
    -------
    pandas.DataFrame
        One row per model, the best first. By row and by place in the form of ArviZ's compare: rank, elpd_diff (to
        the best), dse (its standard error), p_worse (the probability of being worse), diag_diff and diag_elpd
        (reasons not to trust these), p, elpd, se, weight (stacking). By evidence: rank, log_evidence, error,
        log_bayes_factor and bayes_factor (against the best), probability (if all models are equally probable a
        priori), warning.

    Raises
    ------
    ModelError
        The models have different rows or outcomes; a posterior has no evidence (NUTS). Models of price and of
        log(price) are compared on the scale of price.

    References
    ----------
    Yao, Vehtari, Simpson & Gelman (2018), Using stacking to average Bayesian predictive distributions.
    Sivula, Magnusson, Matamoros & Vehtari (2025), Uncertainty in Bayesian leave-one-out cross-validation based
    model comparison.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> small = ph.fit("price ~ 1 + (1 | zip)", sales, draws=250, seed=1)
    >>> large = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> ph.compare({"small": small, "large": large}, sales)["rank"].to_dict()
    {'large': 0, 'small': 1}
    >>> ph.compare([("small", small), ("large", large)], by="evidence").index.tolist()
    ['large', 'small']
    >>> ph.compare([small, large], by="place").index.tolist()
    ['price ~ living_space + (1 | zip)', 'price ~ 1 + (1 | zip)']
    """
    named = _by_name(models)
    check_choice("by", by, WAYS)
    if not named:
        raise ModelError("compare needs at least one model: {'name': posterior, …}")
    _check_level(level, by)
    if by == "evidence":
        return _by_evidence(named)
    results = {}
    for name, model in named.items():
        try:
            results[name] = leave_out(
                model, table, by, level=level, draws=draws, places=places, drop_outliers=drop_outliers
            )
        except PriorhoodError as problem:
            raise type(problem)(f"{name}: {problem}") from None
    return tabulate(results)


def _by_name(models: object) -> dict[str, Any]:
    """Return the models by name; a plain list's by formula, or numbered if formulas are missing or the same."""
    if isinstance(models, Mapping):
        pairs = list(models.items())
    elif not isinstance(models, list | tuple):
        raise ModelError(
            f"compare takes several models, {{'name': posterior, …}}, [('name', posterior), …] or [posterior, …], "
            f"followed by the table; not {type(models).__name__}: {MODELS_APART}"
        )
    elif models and all(isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str) for one in models):
        pairs = list(models)
    else:
        texts = [
            one.model.formula.text if isinstance(one, Posterior) else one.formula if isinstance(one, Elpd) else ""
            for one in models
        ]
        if not all(texts) or len(set(texts)) < len(texts):
            texts = [f"model {at}" for at in range(1, len(texts) + 1)]
        pairs = list(zip(texts, models, strict=True))
    named = dict(pairs)
    if len(named) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"two models are called {twice!r}; names must be unique")
    return named


def _check_level(level: str | None, by: str) -> None:
    """Raise if a level is given but would have no effect."""
    if level is not None and by != "place":
        raise ModelError(
            f"{argument('level', level)} selects the places to leave out: use it with {argument('by', 'place')}"
        )


def leave_out(
    model: Posterior | Elpd,
    table: object,
    by: str,
    *,
    level: str | None = None,
    draws: int = DRAWS,
    places: object = None,
    drop_outliers: float | None = None,
) -> Elpd:
    """Return one model's leave-one-out result, by row or by place; for the arguments see compare."""
    if by not in WAYS[:2]:
        raise ModelError(f"by must be one of {', '.join(WAYS)}, not {by!r}")
    _check_level(level, by)
    if isinstance(model, Elpd):
        if model.by != by:
            raise ModelError(
                f"the Elpd given is a result of leaving one {model.by} out at a time; use it with "
                f"{argument('by', model.by)}"
            )
        return model
    if not isinstance(model, Posterior):
        raise ModelError(f"expected a Posterior, got {type(model).__name__}")
    if by == "place":
        return loo_places(model, level, draws=draws)
    if table is None:
        raise ModelError(
            f"leave-one-row-out needs the rows, which a posterior does not contain: pass the fit's table, "
            f"{argument('table', ...)}; {argument('by', 'place')} and {argument('by', 'evidence')} do not need it"
        )
    return loo(model, table, draws=draws, places=places, drop_outliers=drop_outliers)


# -- by row and by place ----------------------------------------------------------------------------------


def tabulate(results: Mapping[str, Elpd]) -> pd.DataFrame:
    """Return the table of compare() from each model's leave-one-out result.

    Raises
    ------
    ModelError
        The models have different rows or outcomes.
    """
    import pandas as pd
    from scipy.special import ndtr

    names = sorted(results, key=lambda name: -results[name].elpd)
    first = results[names[0]]
    values = {name: _aligned(names[0], first, name, results[name]) for name in names}
    times, best = first.times, values[names[0]]
    weights = stacking(np.stack([values[name] for name in names], axis=1), times)
    rows = []
    for rank, name in enumerate(names):
        model, off = results[name], values[name] - best
        diff = float(times @ off)
        dse = standard_error(off, times) if rank else 0.0
        doubt = f"|elpd_diff| < {MIN_DIFFERENCE:g}" if abs(diff) < MIN_DIFFERENCE else ""
        doubt = f"N < {MIN_COUNT}" if times.sum() < MIN_COUNT else doubt
        bad = len(model.bad)
        rows.append({
            "rank": rank, "elpd_diff": diff, "dse": dse,
            "p_worse": float(ndtr(-diff / dse)) if dse > 0 else math.nan, "diag_diff": doubt if rank else "",
            "diag_elpd": f"{bad} k̂ > {model.good_k:.2f}" if bad else "", "p": model.p, "elpd": model.elpd,
            "se": model.se, "weight": float(weights[rank]),
        })  # fmt: skip
    frame = pd.DataFrame(rows, index=pd.Index(names, name="model"))
    frame.attrs = {"by": first.by, "unit": first.unit, "count": int(times.sum()), "outcome": first.outcome}
    return frame


def _check_same_outcome(first_name: str, first: str, name: str, other: str, compared: str) -> None:
    """Raise if two models have different outcomes."""
    if first != other:
        raise ModelError(
            f"{first_name} is a model of {first!r}, {name} of {other!r}: {compared} of different outcomes cannot "
            f"be compared (those of price and log(price) can)"
        )


def _aligned(best: str, first: Elpd, name: str, other: Elpd) -> Array:
    """Return the pointwise elpd of another model, in the first one's order.

    Raises
    ------
    ModelError
        The models have different outcomes or different rows.
    """
    both = f"{best} and {name}"
    _check_same_outcome(best, first.outcome, name, other.outcome, "densities")
    if first.unit != other.unit:
        raise ModelError(
            f"{best} leaves out one {first.unit} at a time, {name} one {other.unit}: use the same "
            f"{argument('level')} for both"
        )
    mine, theirs = _keys(first), _keys(other)
    if set(mine) != set(theirs):
        odd = [key for key in theirs if key not in set(mine)] + [key for key in mine if key not in set(theirs)]
        counts = f"{best} has {len(mine):,}, {name} {len(theirs):,}"
        what = "rows" if first.by == "row" else f"places of {first.unit!r}"
        raise ModelError(
            f"{both} were fitted to different {what} ({counts}; not in both: {preview(odd, 3)}): {SAME_ROWS}"
        )
    position = {key: at for at, key in enumerate(theirs)}
    order = np.array([position[key] for key in mine])
    counts = other.pointwise["rows"].to_numpy()[order]
    unlike = np.flatnonzero(counts != first.pointwise["rows"].to_numpy())
    if len(unlike):
        at = unlike[0]
        rows = row_count(first.pointwise["rows"].iloc[at])
        raise ModelError(
            f"{both} were fitted to different rows: {mine[at]!r} has {rows} in the first and {counts[at]:,} in the "
            f"second"
        )
    places = order if first.by == "place" else np.zeros(1, np.int64)
    unlike = first.outcomes.unlike(other.outcomes, places)
    if len(unlike):
        at = unlike[0]
        where = f" in {mine[at]!r}" if first.by == "place" else ""
        raise _other_outcomes(both, first.outcomes, other.outcomes, at, places[at], where)
    return np.asarray(other.pointwise["elpd"].to_numpy()[order])


def _keys(result: Elpd) -> list[Any]:
    """Return the identifiers of rows or places: for nested places the last label, if that is unique."""
    keys = result.pointwise.index.tolist()
    if result.by == "row":
        return keys
    short = [key.rpartition("/")[2] for key in keys]
    return short if len(set(short)) == len(keys) else keys


def stacking(values: Array, times: Array) -> Array:
    """Return the weights (M,) of the models' mixture with the highest elpd (Yao et al. 2018).

    max_w Σ_i t_i log Σ_m w_m exp(elpd_im), w_m ≥ 0, Σ w = 1

    Parameters
    ----------
    values : ndarray
        (n, M) pointwise elpd.
    times : ndarray
        (n,) number of times that each counts.
    """
    from scipy.optimize import Bounds, LinearConstraint, minimize

    M = values.shape[1]
    if M == 1:
        return np.ones(1)
    density = np.exp(values - values.max(axis=1, keepdims=True))
    share = times / times.sum()

    def loss(w: Array) -> float:
        return -float(share @ np.log(np.maximum(density @ w, 1e-300)))

    def slope(w: Array) -> Array:
        return np.asarray(-(share / np.maximum(density @ w, 1e-300)) @ density)

    optimum = minimize(
        loss, np.full(M, 1.0 / M), jac=slope, method="SLSQP", bounds=Bounds(np.zeros(M), np.ones(M)),
        constraints=LinearConstraint(np.ones(M), 1.0, 1.0), options={"ftol": 1e-10, "maxiter": 500},
    )  # fmt: skip
    weights = np.clip(optimum.x, 0.0, None)
    return np.asarray(weights / weights.sum())


# -- by evidence ------------------------------------------------------------------------------------------


def _by_evidence(models: Mapping[str, Posterior | Elpd]) -> pd.DataFrame:
    """Return log evidences in the outcome's own units, Bayes factors against the best, probabilities."""
    import pandas as pd

    heights: dict[str, float] = {}
    posts: dict[str, Posterior] = {}
    for name, model in models.items():
        if not isinstance(model, Posterior):
            raise ModelError(f"{name}: the evidence needs a posterior, not {type(model).__name__}")
        posts[name] = model
    first_name, first = next(iter(posts.items()))
    outcome, rows = first.design.formula.outcome_name, first.moments.rows
    sums = {name: outcomes_of(p.moments, p.model.formula.outcome, p.model.weights) for name, p in posts.items()}
    mixed = len({post.design.formula.log_outcome for post in posts.values()}) > 1
    for name, post in posts.items():
        both = f"{first_name} and {name}"
        _check_same_outcome(first_name, outcome, name, post.design.formula.outcome_name, "evidences")
        if post.moments.rows != rows:
            raise ModelError(
                f"{both} were fitted to different rows, {row_count(rows)} and {post.moments.rows:,}: {SAME_ROWS}"
            )
        if len(sums[first_name].unlike(sums[name], np.zeros(1, np.int64))):
            raise _other_outcomes(both, sums[first_name], sums[name], 0, 0)
        try:
            heights[name] = post.log_evidence
        except ModelError as problem:
            raise ModelError(f"{name}: {problem}") from None
        if mixed and post.design.formula.log_outcome:  # Σ log y makes it a density of y itself
            if post.moments.weight is not None:
                raise ModelError(
                    f"{name}: a posterior of weighted rows does not store Σ log y, which is needed to compare a "
                    f"model of the log with one of the outcome itself by evidence; compare them by row"
                )
            heights[name] -= float(post.moments.n @ post.moments.mean[:, -1])
    errors = {name: float(post.attrs["log_evidence_error"]) for name, post in posts.items()}
    names = sorted(heights, key=lambda name: -heights[name])
    off = np.array([heights[name] - heights[names[0]] for name in names])
    frame = pd.DataFrame(
        {
            "rank": range(len(names)),
            "log_evidence": [heights[name] for name in names],
            "error": [errors[name] for name in names],
            "log_bayes_factor": off,
            "bayes_factor": np.exp(off),
            "probability": np.exp(off) / np.exp(off).sum(),
            # A difference of the size of its Monte Carlo error decides nothing.
            "warning": [
                "within its error" if d < 0 and abs(d) < 2 * math.hypot(errors[name], errors[names[0]]) else ""
                for name, d in zip(names, off, strict=True)
            ],
        },
        index=pd.Index(names, name="model"),
    )
    frame.attrs = {"by": "evidence", "unit": "", "count": rows, "note": PRIORS_MATTER, "outcome": outcome}
    return frame


def _other_outcomes(both: str, first: Outcomes, other: Outcomes, at: int, to: int, where: str = "") -> ModelError:
    """Return the error for two models whose outcomes' sums differ, at `at` of the first and `to` of the other."""
    what, one, two = "mean", first.mean[at], other.mean[to]
    if f"{one:,.6g}" == f"{two:,.6g}":
        what, one, two = "scatter", first.scatter[at], other.scatter[to]
    return ModelError(
        f"{both} were fitted to different outcomes: the {what} of {first.name!r}{where} is {one:,.6g} in the first "
        f"and {two:,.6g} in the second; {SAME_ROWS}"
    )
