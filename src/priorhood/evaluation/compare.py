"""Comparison of models of the same rows: by their predictions, or by the evidence (mathematics.md, section 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import preview, row_count
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
FEW, SMALL = 100, 4.0
PRIORS_MATTER = (
    "the evidence is the density of the data under the priors: with wider or narrower priors of tau, mu and sigma "
    "it is another one, however little the posterior changes"
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
        ("large", b)]; or in a list, where the formulas become their names.
    table : table, optional
        The rows of the fits, needed for by="row".
    by : {"row", "place", "evidence"}
        "row" for predictions of more rows of the same places, "place" for new places, "evidence" for Bayes factors.
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
        log_bayes_factor and bayes_factor (against the best), probability (if all models are equally probable
        beforehand), warning.

    Raises
    ------
    ModelError
        Models of different rows or outcomes; no evidence (NUTS). Models of price and of log(price) are compared on
        the scale of price.

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
    if by not in WAYS:
        raise ModelError(f"by must be one of {', '.join(WAYS)}, not {by!r}")
    named = _by_name(models)
    if not named:
        raise ModelError("compare needs at least one model: {'name': posterior, …}")
    _check_level(level, by)
    if by == "evidence":
        return _by_evidence(named)
    found = {}
    for name, one in named.items():
        try:
            found[name] = leave_out(
                one, table, by, level=level, draws=draws, places=places, drop_outliers=drop_outliers
            )
        except PriorhoodError as problem:
            raise type(problem)(f"{name}: {problem}") from None
    return tabulate(found)


def _by_name(models: object) -> dict[str, Any]:
    """Return the models by name; those of a plain list by their formulas, or numbered where some are the same."""
    if isinstance(models, Mapping):
        pairs = list(models.items())
    elif not isinstance(models, list | tuple):
        raise ModelError(
            f"compare takes several models, {{'name': posterior, …}}, [('name', posterior), …] or [posterior, …], "
            f"and then the table; not {type(models).__name__}"
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
        raise ModelError(f"two models are called {twice!r}: give each its own name")
    return named


def _check_level(level: str | None, by: str) -> None:
    """Refuse a level where it would have no effect."""
    if level is not None and by != "place":
        raise ModelError(f"level={level!r} (--level) says which places to leave out: give by='place' (--by place)")


def leave_out(
    one: Posterior | Elpd,
    table: object,
    by: str,
    *,
    level: str | None = None,
    draws: int = DRAWS,
    places: object = None,
    drop_outliers: float | None = None,
) -> Elpd:
    """Return one model's leave-one-out, by row or by place; arguments as of compare."""
    if by not in WAYS[:2]:
        raise ModelError(f"by must be one of {', '.join(WAYS)}, not {by!r}")
    _check_level(level, by)
    if isinstance(one, Elpd):
        if one.by != by:
            raise ModelError(f"this is leave-one-{one.by}-out; give by={one.by!r}")
        return one
    if not isinstance(one, Posterior):
        raise ModelError(f"a posterior is needed, not {type(one).__name__}")
    if by == "place":
        return loo_places(one, level, draws=draws)
    if table is None:
        raise ModelError(
            "leave-one-row-out needs the rows, which are not in a posterior: give the fit's table (--data); by="
            "'place' and by='evidence' (--by) need none"
        )
    return loo(one, table, draws=draws, places=places, drop_outliers=drop_outliers)


# -- by row and by place ----------------------------------------------------------------------------------


def tabulate(found: Mapping[str, Elpd]) -> pd.DataFrame:
    """Return the table of compare() from each model's leave-one-out.

    Raises
    ------
    ModelError
        Models of different rows or outcomes.
    """
    import pandas as pd
    from scipy.special import ndtr

    names = sorted(found, key=lambda name: -found[name].elpd)
    first = found[names[0]]
    values = {name: _aligned(names[0], first, name, found[name]) for name in names}
    times, best = first.times, values[names[0]]
    weights = stacking(np.stack([values[name] for name in names], axis=1), times)
    rows = []
    for rank, name in enumerate(names):
        one, off = found[name], values[name] - best
        diff = float(times @ off)
        dse = standard_error(off, times) if rank else 0.0
        few = times.sum() < FEW
        doubt = f"N < {FEW}" if few else f"|elpd_diff| < {SMALL:g}" if abs(diff) < SMALL else ""
        worse = float(ndtr(-diff / dse)) if dse > 0 else math.nan
        bad = len(one.bad)
        rows.append({
            "rank": rank, "elpd_diff": diff, "dse": dse, "p_worse": worse, "diag_diff": doubt if rank else "",
            "diag_elpd": f"{bad} k̂ > {one.good_k:.2f}" if bad else "", "p": one.p, "elpd": one.elpd, "se": one.se,
            "weight": float(weights[rank]),
        })  # fmt: skip
    frame = pd.DataFrame(rows, index=pd.Index(names, name="model"))
    frame.attrs = {"by": first.by, "unit": first.unit, "count": int(times.sum()), "outcome": first.outcome}
    return frame


def _aligned(best: str, first: Elpd, name: str, other: Elpd) -> Array:
    """Return the pointwise elpd of another model, in the first one's order.

    Raises
    ------
    ModelError
        Another outcome, or other rows.
    """
    if first.outcome != other.outcome:
        raise ModelError(
            f"{best} is a model of {first.outcome!r}, {name} of {other.outcome!r}: densities of different outcomes "
            f"cannot be compared (those of price and log(price) can)"
        )
    if first.unit != other.unit:
        raise ModelError(f"{best} leaves out a {first.unit}, {name} a {other.unit}: leave out the same (level=)")
    mine, theirs = _keys(first), _keys(other)
    if set(mine) != set(theirs):
        odd = [key for key in theirs if key not in set(mine)] + [key for key in mine if key not in set(theirs)]
        counts = f"{best} has {len(mine):,}, {name} {len(theirs):,}"
        what = "rows" if first.by == "row" else f"places by {first.unit!r}"
        raise ModelError(
            f"{best} and {name} were fitted to different {what} ({counts}; not in both: {preview(odd, 3)}): "
            f"compare models of the same rows; missing values of a predictor that one of them has leave rows out"
        )
    order = {key: at for at, key in enumerate(theirs)}
    at = np.array([order[key] for key in mine])
    counts = other.pointwise["rows"].to_numpy()[at]
    unlike = np.flatnonzero(counts != first.pointwise["rows"].to_numpy())
    if len(unlike):
        one = unlike[0]
        raise ModelError(
            f"{best} and {name} were fitted to different rows: in {mine[one]!r} "
            f"{first.pointwise['rows'].iloc[one]:,} and {counts[one]:,}"
        )
    placed = at if first.by == "place" else np.zeros(1, np.int64)
    unlike = first.outcomes.unlike(other.outcomes, placed)
    if len(unlike):
        one = unlike[0]
        where = f" in {mine[one]!r}" if first.by == "place" else ""
        raise _other_outcomes(f"{best} and {name}", first.outcomes, other.outcomes, one, placed[one], where)
    return np.asarray(other.pointwise["elpd"].to_numpy()[at])


def _keys(one: Elpd) -> list[Any]:
    """Return what identifies rows or places; for nested places the last label where that is unique."""
    keys = one.pointwise.index.tolist()
    if one.by == "row":
        return keys
    short = [key.rpartition("/")[2] for key in keys]
    return short if len(set(short)) == len(keys) else keys


def stacking(values: Array, times: Array) -> Array:
    """Return the weights (M,) of the models' mixture with the highest elpd (Yao et al. 2018).

    values : (n, M) pointwise elpd; times : (n,) how often each counts

    max_w Σ_i t_i log Σ_m w_m exp(elpd_im), w_m ≥ 0, Σ w = 1
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

    found = minimize(
        loss, np.full(M, 1.0 / M), jac=slope, method="SLSQP", bounds=Bounds(np.zeros(M), np.ones(M)),
        constraints=LinearConstraint(np.ones(M), 1.0, 1.0), options={"ftol": 1e-10, "maxiter": 500},
    )  # fmt: skip
    weights = np.clip(found.x, 0.0, None)
    return np.asarray(weights / weights.sum())


# -- by evidence ------------------------------------------------------------------------------------------


def _by_evidence(models: Mapping[str, Posterior | Elpd]) -> pd.DataFrame:
    """Return log evidences in the outcome's own units, Bayes factors against the best, probabilities."""
    import pandas as pd

    heights, errors = {}, {}
    posts: dict[str, Posterior] = {}
    for name, one in models.items():
        if not isinstance(one, Posterior):
            raise ModelError(f"{name}: the evidence needs a posterior, not {type(one).__name__}")
        posts[name] = one
    first_name, first = next(iter(posts.items()))
    mixed = len({post.design.formula.log_outcome for post in posts.values()}) > 1
    for name, post in posts.items():
        _check_same_outcomes(first_name, first, name, post)
        try:
            heights[name] = post.log_evidence
        except ModelError as problem:
            raise ModelError(f"{name}: {problem}") from None
        if mixed and post.design.formula.log_outcome:  # Σ log y makes it a density of y itself
            if post.moments.weight is not None:
                raise ModelError(
                    f"{name}: for weighted rows a posterior has no Σ log y, without which a model of the log and "
                    f"one of the outcome itself cannot be compared by evidence; compare by row"
                )
            heights[name] -= float(post.moments.n @ post.moments.mean[:, -1])
        errors[name] = float(post.attrs["log_evidence_error"])
    names = sorted(heights, key=lambda name: -heights[name])
    off = np.array([heights[name] - heights[names[0]] for name in names])
    probability = np.exp(off) / np.exp(off).sum()
    frame = pd.DataFrame(
        {
            "rank": range(len(names)),
            "log_evidence": [heights[name] for name in names],
            "error": [errors[name] for name in names],
            "log_bayes_factor": off,
            "bayes_factor": np.exp(off),
            "probability": probability,
            # A difference of the size of its Monte Carlo error decides nothing.
            "warning": [
                "within its error" if d < 0 and abs(d) < 2 * math.hypot(errors[name], errors[names[0]]) else ""
                for name, d in zip(names, off, strict=True)
            ],
        },
        index=pd.Index(names, name="model"),
    )
    frame.attrs = {"by": "evidence", "unit": "", "count": first.moments.rows, "note": PRIORS_MATTER,
                   "outcome": first.design.formula.outcome_name}  # fmt: skip
    return frame


def _check_same_outcomes(first_name: str, first: Posterior, name: str, other: Posterior) -> None:
    """Raise unless both models are of the same outcomes, as far as the sums show."""
    both, mine, theirs = f"{first_name} and {name}", first.design.formula, other.design.formula
    if mine.outcome_name != theirs.outcome_name:
        raise ModelError(
            f"{first_name} is a model of {mine.outcome_name!r}, {name} of {theirs.outcome_name!r}: evidences of "
            f"different outcomes cannot be compared (those of price and log(price) can)"
        )
    if first.moments.rows != other.moments.rows:
        raise ModelError(
            f"{both} were fitted to different rows, {row_count(first.moments.rows)} and {other.moments.rows:,}: "
            f"compare models of the same rows"
        )
    one, two = (
        outcomes_of(post.moments, post.model.formula.outcome, post.model.weights) for post in (first, other)
    )
    if len(one.unlike(two, np.zeros(1, np.int64))):
        raise _other_outcomes(both, one, two, 0, 0)


def _other_outcomes(both: str, first: Outcomes, other: Outcomes, at: int, to: int, where: str = "") -> ModelError:
    """Return the error for two models whose outcomes' sums differ, at `at` of the first and `to` of the other."""
    m1, m2 = first.mean[at], other.mean[to]
    what, v1, v2 = "mean", m1, m2
    if f"{m1:,.6g}" == f"{m2:,.6g}":
        what, v1, v2 = "scatter", first.scatter[at], other.scatter[to]
    return ModelError(
        f"{both} were fitted to different outcomes: the {what} of {first.name!r}{where} is {v1:,.6g} and "
        f"{v2:,.6g}; compare models of the same rows; missing values of a "
        f"predictor that one of them has leave rows out"
    )
