"""Leave-one-row-out and leave-one-place-out cross-validation, without refits (docs/mathematics.md, section 10)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import cores
from priorhood._text import argument, code_or_command, join_words, row_count, suggestion
from priorhood.data.rows import prepare_rows
from priorhood.engines.adapt import to_exact
from priorhood.engines.observations import read_observations
from priorhood.errors import ModelError, TableError
from priorhood.evaluation.elpd import DensitySums, Elpd, outcomes_of
from priorhood.evaluation.exact_posterior import ExactPosterior, cell_coefficients, chosen_draws, collapse_refusal
from priorhood.model.formula import SEPARATOR
from priorhood.posterior.lazy_draws import flat_draws
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.moments import keep as keep_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from priorhood._arrays import Array, Index
    from priorhood.engines.observations import Observations
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior
    from priorhood.suffstats.moments import CellMoments

DRAWS = 1000  # draws of θ that are used: see DRAWS in docs/mathematics.md
BLOCK = 2**20  # rows × draws in memory at a time
LEFT = (
    1e-6  # if less than this share of the information about its parent remains, a place is subtracted from the sums
)
# The wider draws of θ that leave-one-place-out adds come from a t with so many degrees of freedom and so many
# times the covariance of the posterior.
DEGREES, WIDER, SEED = 5.0, 2.0, 1
CLOSED_FORM = "closed form given {}, with importance weights for the change in {} posterior when the {} is left out"
SAME = 1e-6  # means and sds of the table's columns may differ from the posterior's by rounding alone


@suggest_argument_names
def loo(
    post: Posterior,
    table: object,
    *,
    draws: int = DRAWS,
    places: object = None,
    drop_outliers: float | None = None,
) -> Elpd:
    """Leave-one-row-out cross-validation without refits: how well each row is predicted from all others.

    log p(y_i | y₋ᵢ) = log Σ_s w_is p(y_i | y₋ᵢ, θ_s),   w_is ∝ 1/p(y_i | y₋ᵢ, θ_s)

    Given θ, the spreads and σ, the density is a Normal in closed form: all coefficients are integrated out. The
    Pareto-smoothed weights (PSIS) only correct for the shift of the few θ, so they are reliable for places with one
    row, too. Models that do not collapse (Student-t errors, wide crossed groupings) use the draws of the
    coefficients instead, p(y_i | β_s, σ_s), like ArviZ's loo; `way` tells which method was used.

    Parameters
    ----------
    post : Posterior
        The posterior, from either engine.
    table : table
        The rows of the fit, read in the same way (including where=), since a posterior does not store them.
    draws : int
        Number of draws of θ, spread over the chains; all if there are fewer.
    places, drop_outliers : optional
        The same as in the fit.

    Returns
    -------
    Elpd
        elpd, se, p, pointwise values, Pareto k, PIT values. Log densities are those of the outcome in its own units
        (of the price if the formula takes its log), so models of price and log(price) can be compared. A row that
        stands for n equal ones counts n times, each left out alone.

    Raises
    ------
    TableError
        The table's rows are not those of the fit.

    Notes
    -----
    Rows are processed in blocks: rows × draws are never in memory at once. Oracle: tests/oracle/test_leaveout.py.

    References
    ----------
    Vehtari, Gelman & Gabry (2017), Practical Bayesian model evaluation using leave-one-out cross-validation.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> result = ph.loo(post, sales)
    >>> len(result.pointwise), result.way
    (200, "closed form given θ, with importance weights for the change in θ's posterior when the row is left out")
    """
    import pandas as pd

    model = post.model
    prepared = prepare_rows(
        table, model.formula, weights=model.weights, places=places, drop_outliers=drop_outliers, fitted=post
    )
    _check_same_rows(post.moments, collect_moments(prepared), prepared.name)
    rows = read_observations(prepared, post.scale, post.moments.labels)
    chosen = chosen_draws(post, draws)
    refusal = collapse_refusal(post)
    if refusal is not None:
        blocks, way = _drawn_rows(post, rows, chosen), f"PSIS of the coefficients' draws ({refusal})"
    else:
        blocks, way = _collapsed_rows(post, rows, chosen), CLOSED_FORM.format("θ", "θ's", "row")
        if model.noise is not None:
            way = CLOSED_FORM.format(f"θ and every {model.noise}'s sigma", "their", "row")
    N = len(rows.y)
    times = np.ones(N) if rows.times is None else rows.times
    columns = {name: np.empty(N) for name in ("elpd", "p", "pareto_k", "mcse", "pit")}
    sums = DensitySums(np.zeros(len(chosen)))
    for which, out, within, cdf in blocks:
        for name, values in sums.add(out, within, times[which], cdf).items():
            columns[name][which] = values
    # Log densities of the outcome itself: the Jacobians of its unit and of its log.
    log_outcome = post.scale.to_outcome(rows.y) if post.design.formula.log_outcome else np.zeros(N)
    columns["elpd"] -= np.log(post.scale.unit) + log_outcome
    levels = post.hierarchy.levels
    labels = levels[0].labels[levels[0].of_cell[rows.cell]] if levels else np.full(N, "")
    frame = pd.DataFrame(
        {"label": labels, "rows": times.astype(int), **columns}, index=pd.Index(np.asarray(rows.row), name="row")
    )
    return _elpd(post, None, way, frame, len(chosen), sums.error)


def _by_row() -> str:
    """Return what leaves out one row at a time."""
    return code_or_command("ph.loo", "priorhood compare --by row")


def _check_same_rows(fitted: CellMoments, moments: CellMoments, name: str) -> None:
    """Raise TableError unless a table has the rows that a posterior was fitted to, by the sums of both."""
    options = join_words(map(argument, ("where", "drop_outliers", "places")))
    advice = f"leave-one-out needs the rows of the fit: pass its table, with its {options}"
    if moments.rows != fitted.rows:
        raise TableError(
            f"{name} has {row_count(moments.rows)} that can be used, the fit had {fitted.rows:,}; {advice}"
        )
    if not np.array_equal(fitted.labels, moments.labels) or not np.array_equal(fitted.n, moments.n):
        known = set(fitted.labels.tolist())
        other = next((label for label in moments.labels.tolist() if label not in known), None)
        what = f"a place {other!r}" if other is not None else "different numbers of rows per place"
        raise TableError(f"{name} has {what}, unlike the fit; {advice}")
    sd = np.sqrt(np.maximum(np.diag(fitted.pooled()[1]), 0.0) / fitted.mass.sum())
    off = np.abs(moments.mean - fitted.mean) > SAME * (sd + np.abs(fitted.mean))
    own_sd, their_sd = (np.sqrt(np.maximum(np.einsum("jcc->jc", m.scatter), 0.0)) for m in (fitted, moments))
    off |= np.abs(own_sd - their_sd) > 1e-4 * (sd * np.sqrt(fitted.mass)[:, None] + own_sd)
    if off.any():
        j, c = np.argwhere(off)[0]
        place = str(fitted.labels[j]).replace(SEPARATOR, "/")
        where = f" in {place!r}" if fitted.keys else ""
        raise TableError(f"{name}: the values of {fitted.columns[c]!r}{where} are not those of the fit; {advice}")


def _elpd(post: Posterior, grouping: Places | None, way: str, frame: Any, count: int, error: float) -> Elpd:
    """Return the result by place if there is a grouping, otherwise by row."""
    formula = post.model.formula
    by, unit = ("row", "row") if grouping is None else ("place", grouping.name)
    sums = outcomes_of(post.moments, formula.outcome, post.model.weights, grouping)
    return Elpd(by, unit, formula.text, formula.outcome_name, formula.log_outcome, way, frame, count, error, sums)


def _collapsed_rows(
    post: Posterior, rows: Observations, chosen: Index
) -> Iterator[tuple[Index, Array, Array, Array]]:
    """Yield blocks of rows from the closed form given θ: positions, log density without and with the row, PIT."""
    from scipy.special import ndtr

    from priorhood.engines.exact.conditional import picks, without_row

    exact = ExactPosterior.from_posterior(post, chosen)
    given, problem = exact.given, exact.base
    y = rows.y - rows.X @ problem.shift[: problem.D - problem.crossed_columns]
    # A row has variance σ²/w; if errors are known, σ is 1 in the outcome's own unit.
    w = np.ones(len(y)) if rows.precision is None else rows.precision
    w = w if rows.se is None else (rows.se * post.scale.unit) ** -2.0
    levels = post.hierarchy.levels
    leaf = levels[0].of_cell if levels else np.zeros(len(post.moments.n), np.int64)
    S = len(chosen)
    for cells, first, which in _by_cells(rows.cell, len(leaf), S * problem.D * problem.D, S):
        if first:
            mean, cov = given.cells(leaf[cells], picks(problem, cells))
        # Mean and variance of xᵀβ: (n, S) each.
        X, cell = rows.X[which], rows.cell[which] - cells[0]
        mu = np.einsum("na,nsa->ns", X, mean[cell])
        variance = np.zeros_like(mu)
        for a in range(X.shape[1]):
            for b in range(a + 1):
                both = X[:, a] * X[:, b] * (1.0 if a == b else 2.0)
                variance += both[:, None] * cov[cell, :, a, b]
        sigma = given.sigma[None] if given.sigma.ndim == 1 else given.sigma[:, leaf[rows.cell[which]]].T
        out, within, z = without_row(mu, variance, y[which, None], sigma**2 / w[which, None])
        yield which, out, within, ndtr(z)


def _by_cells(cell: Index, count: int, cost: int, draws: int) -> Iterator[tuple[Index, bool, Index]]:
    """Yield runs of cells with their rows, in parts: the cells, whether this is their first part, its rows."""
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(count + 1))
    size, most = max(1, BLOCK // cost), max(1, BLOCK // draws)
    for lo in range(0, count, size):
        hi = min(count, lo + size)
        rows = order[ends[lo] : ends[hi]]
        for first in range(0, len(rows), most):
            yield np.arange(lo, hi), first == 0, rows[first : first + most]


def _drawn_rows(post: Posterior, rows: Observations, chosen: Index) -> Iterator[tuple[Index, Array, Array, Array]]:
    """Yield blocks of rows like _collapsed_rows, from the draws of the coefficients."""
    from scipy.special import gammaln, ndtr, stdtr

    c = post._coefficients()
    nu = None if c.nu is None else c.nu[chosen]
    error = np.ones(len(rows.y)) if rows.precision is None else rows.precision**-0.5
    error = error if rows.se is None else rows.se
    norm = -0.5 * np.log(2 * np.pi) if nu is None else (
        gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    )  # fmt: skip
    for cells, _, which in _by_cells(rows.cell, len(post.moments.n), BLOCK, len(chosen)):
        beta = cell_coefficients(c, int(cells[0]), c.levels[:1])[chosen]
        sigma = c.sigma[chosen] if c.sigma.ndim == 1 else c.sigma[chosen, c.levels[0].places.of_cell[cells[0]]]
        s = sigma[None] * error[which, None]
        z = (rows.y[which, None] - rows.X[which] @ beta.T) / s
        if nu is None:
            log, cdf = norm - 0.5 * z**2 - np.log(s), ndtr(z)
        else:
            log, cdf = norm - 0.5 * (nu + 1) * np.log1p(z**2 / nu) - np.log(s), stdtr(nu, z)
        yield which, log, log, cdf


# -- places -----------------------------------------------------------------------------------------------


@suggest_argument_names
def loo_places(post: Posterior, level: str | None = None, *, draws: int = DRAWS) -> Elpd:
    """Leave-one-place-out cross-validation from the sums alone: how well a place is predicted from all others.

    log p(y_v | y₋ᵥ) = log Σ_s w_vs p(y_v | y₋ᵥ, θ_s),   w_vs ∝ 1/p(y_v | y₋ᵥ, θ_s)

    All rows of a place are left out together, with those of the places within it; given θ their density is a
    closed form of the place's message to its parent. The result therefore judges predictions for places without
    any rows.

    Parameters
    ----------
    post : Posterior
        The posterior.
    level : str, optional
        The places' column, such as "district", also of a crossed grouping; the finest if None.
    draws : int
        Number of draws of θ, spread over the chains; all if there are fewer.

    Returns
    -------
    Elpd
        See loo; one row per place. p is that of a new place's prediction; NaN for crossed groupings.

    Raises
    ------
    ModelError
        There is no such grouping; the model does not collapse, for example because of Student-t errors.

    Notes
    -----
    No rows are needed. A file of weighted rows written by an earlier version stores Σ log w only for all rows
    together: for places with several rows it is divided in proportion to their numbers of rows, and these places
    are marked as approximate; their sum and differences between models are exact.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> result = ph.loo_places(post)
    >>> result.unit, len(result.pointwise)
    ('zip', 8)
    """
    import pandas as pd

    refusal = collapse_refusal(post)
    if refusal is not None:
        raise ModelError(
            f"leave-one-place-out needs coefficients that can be integrated out, but {refusal}; leave-one-row-out "
            f"works for every model: {_by_row()}"
        )
    groupings, moments = post.hierarchy.groupings, post.moments
    if not groupings:
        raise ModelError(
            f"{post.model.formula.text!r} has no group, so there is no place to leave out; see {_by_row()}"
        )
    names = [grouping.name for grouping in groupings]
    if level is not None and level not in names:
        raise ModelError(f"{level!r} is not a grouping of the model; {suggestion(level, names)}")
    which = 0 if level is None else names.index(level)
    grouping = groupings[which]
    chosen = chosen_draws(post, draws)
    exact, weights = _with_wider_draws(post, ExactPosterior.from_posterior(post, chosen))
    out, within = _place_densities(post, exact, which)
    n = grouping.total(moments.n)
    sums = DensitySums(np.zeros(out.shape[1]))
    estimates = sums.add(out, within, np.ones(grouping.size), weights=weights)
    jacobian = n * np.log(post.scale.unit)
    if post.design.formula.log_outcome:
        if moments.weight is not None:
            raise ModelError(
                "a posterior of weighted rows with a log outcome does not store Σ log y, so it has no density in "
                f"the outcome's own units: use leave-one-row-out, {_by_row()}"
            )
        jacobian += grouping.total(moments.n * moments.mean[:, -1])  # Σ log y
    estimates["elpd"] = estimates["elpd"] - jacobian
    approximate = (n > 1) & (moments.weight is not None and moments.log_weights is None)
    frame = pd.DataFrame(
        {"rows": n.astype(int), **estimates, "elpd_per_row": estimates["elpd"] / n, "approximate": approximate},
        index=pd.Index(grouping.labels, name=grouping.name),
    )
    return _elpd(post, grouping, CLOSED_FORM.format("θ", "θ's", grouping.name), frame, len(chosen), sums.error)


def _with_wider_draws(post: Posterior, exact: ExactPosterior) -> tuple[ExactPosterior, Array | None]:
    """Add half as many wider draws of θ, and return them with the log of every draw's weight in the posterior.

    Without a place, θ may lie where the posterior has no draws, and 1/p(y_v | y₋ᵥ, θ) is then unbounded over its
    draws. Draws from a t twice as wide reach there; all are weighted against the mixture of both (math.md,
    equation 25).
    """
    from scipy import stats

    from priorhood.engines.exact import GroupNoiseProblem
    from priorhood.engines.exact.conditional import ConditionalPosterior
    from priorhood.engines.exact.marginal import collapse
    from priorhood.engines.exact.mode import Density
    from priorhood.engines.exact.theta import constrain, unconstrain

    problem = exact.problem
    if isinstance(problem, GroupNoiseProblem):
        return exact, None
    density, theta = Density(collapse(problem), cores()), unconstrain(problem, exact.values)
    S, dim = theta.shape
    if not dim:
        return exact, None
    rng, more = np.random.default_rng(SEED), S // 2
    mean, spread = theta.mean(axis=0), np.atleast_2d(np.cov(theta.T)) * WIDER
    factor = np.linalg.cholesky(spread + 1e-9 * np.trace(spread) / dim * np.eye(dim))
    stretch = np.sqrt(rng.chisquare(DEGREES, more) / DEGREES)
    wide = mean + (rng.standard_normal((more, dim)) @ factor.T) / stretch[:, None]
    points = np.concatenate([theta, wide])
    heights = density(points)
    finite = np.isfinite(heights)
    points, heights = points[finite], heights[finite]
    log_t = stats.multivariate_t(mean, factor @ factor.T, DEGREES).logpdf(points)
    evidence = post.tree.attrs.get("log_evidence_standardized")
    if evidence is None:  # draws from NUTS
        evidence = float(np.logaddexp.reduce((heights - log_t)[finite[:S].sum() :]) - np.log(more))
    mixture = np.logaddexp(np.log(S / (S + more)) + heights - float(evidence), np.log(more / (S + more)) + log_t)
    values = constrain(problem, points)
    return replace(
        exact, values=values, given=ConditionalPosterior(problem, values, values.sigma)
    ), heights - mixture


def _place_densities(post: Posterior, exact: ExactPosterior, which: int) -> tuple[Array, Array]:
    """Return log p(y_v | the others, θ) and log p(y_v | all, θ) for every place and draw: (size, S) each.

    Parameters
    ----------
    which : int
        Position of the places' grouping.
    """
    from priorhood.engines.exact import GroupNoiseProblem
    from priorhood.engines.exact.conditional import log_places
    from priorhood.engines.exact.group_noise import NoisyTheta, log_by_group

    grouping, moments, base = post.hierarchy.groupings[which], post.moments, exact.base
    n = grouping.total(moments.n)
    log_weights = np.zeros(grouping.size)  # Σ log w of every place
    if moments.log_weights is not None:
        log_weights = grouping.total(moments.log_weights)
    elif moments.weight is not None:
        # Older files store it for all rows together: then it is known for cells of one row, and the rest is divided
        # among the others in proportion to their numbers of rows.
        log = moments.n * np.log(moments.weight / moments.n)
        several = moments.n > 1
        if several.any():
            log += several * moments.n / moments.n[several].sum() * (moments.log_weight - log.sum())
        log_weights = grouping.total(log)
    if isinstance(exact.problem, GroupNoiseProblem):
        posterior = post.tree["posterior"].to_dataset()
        median, spread = (
            flat_draws(posterior, name)[exact.at] if name in posterior else np.full(len(exact.at), np.nan)
            for name in ("sigma_median", "sigma_spread")
        )
        # log p(y_j | θ) with σ_j integrated out too.
        values = NoisyTheta(exact.given.root.mean[0], exact.values, median, spread)
        density = log_by_group(exact.problem, values, cores()) + 0.5 * log_weights[:, None]
        return density, density
    if which >= len(post.hierarchy.levels):
        out = _by_difference(post, exact, grouping, range(grouping.size), log_weights)
        return out, np.full_like(out, np.nan)
    # Rows and Σ w(y − xᵀshift)² of every place, standardized.
    mean, scatter = post.data.standardized
    contrast = np.append(-base.shift[: mean.shape[1] - 1], 1.0)
    squares = np.einsum("jab,a,b->j", scatter, contrast, contrast) + moments.mass * (mean @ contrast) ** 2
    out, within, remaining = log_places(exact.given, which, n, grouping.total(squares), log_weights)
    hard = np.flatnonzero((remaining < LEFT).any(axis=1))
    if len(hard):
        out[hard] = _by_difference(post, exact, grouping, hard.tolist(), log_weights)
    return out, within


def _by_difference(
    post: Posterior, exact: ExactPosterior, grouping: Places, places: Iterable[int], log_weights: Array
) -> Array:
    """Return log p(y | θ) minus that of all other places' rows, from their sums: (places, S)."""
    from priorhood.engines.exact.marginal import collapse, log_marginal

    moments = post.moments
    whole = log_marginal(collapse(exact.base), exact.values, cores())
    out = []
    for v in places:
        others = grouping.of_cell != v
        if not others.any():
            out.append(whole)
            continue
        rest = replace(keep_cells(moments, others), log_weight=moments.log_weight - float(log_weights[v]))
        problem: Any = to_exact(post.data.with_moments(rest))
        out.append(whole - log_marginal(collapse(problem), exact.values, cores()))
    return np.stack(out)
