"""Leave-one-row-out and leave-one-place-out cross-validation, without refits (docs/mathematics.md, section 10)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import answers_other_names
from priorhood._system import cores
from priorhood._text import near, rows_of
from priorhood.data.join_places import placed
from priorhood.data.sources.table import read
from priorhood.engines.adapt import to_exact
from priorhood.engines.observations import read_observations
from priorhood.errors import ModelError, TableError
from priorhood.evaluation.elpd import DensitySums, Elpd, outcomes_of
from priorhood.evaluation.exact_posterior import chosen_draws, collapse_refusal, flat_draws, posed_of
from priorhood.model.formula import SEPARATOR
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.moments import keep as kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact import GroupNoiseProblem, Problem
    from priorhood.engines.observations import Observations
    from priorhood.evaluation.exact_posterior import Posed
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior
    from priorhood.suffstats.moments import CellMoments

# Draws of θ that are taken of a posterior's: see DRAWS in docs/mathematics.md.
DRAWS = 1000
# Rows × draws in memory at a time.
BLOCK = 2**20
# A place that leaves less than this of what is known of its parent is left out by hand.
LEFT = 1e-6
# Wider draws of θ beside the posterior's: of a t with so many degrees of freedom, and so many times its covariance.
DEGREES, WIDER, SEED = 5.0, 2.0, 1
# Means and sds of the table's columns may differ from the posterior's by rounding alone.
SAME = 1e-6


@answers_other_names
def loo(
    post: Posterior,
    table: object,
    *,
    draws: int = DRAWS,
    places: object = None,
    drop_outliers: float | None = None,
) -> Elpd:
    """Leave-one-row-out cross-validation without a refit: how well each row is predicted from all others.

    log p(y_i | y₋ᵢ) = log Σ_s w_is p(y_i | y₋ᵢ, θ_s),   w_is ∝ 1/p(y_i | y₋ᵢ, θ_s)

    Given θ, the spreads and σ, that is a Normal density in closed form: all coefficients are integrated out. The
    weights, smoothed (PSIS), correct for the few θ alone, so that they hold for places with one row too. Models
    that do not collapse (Student-t errors, wide crossed groupings) take the draws of the coefficients instead,
    p(y_i | β_s, σ_s), as ArviZ's loo does; `way` says which.

    Parameters
    ----------
    post : of any engine
    table : the rows of the fit, as it read them (where= too): they are not in a posterior
    draws : of θ, spread over the chains; all if there are fewer
    places, drop_outliers : as given to the fit

    Returns
    -------
    elpd, se, p, pointwise values, Pareto k, PIT values; log densities of the outcome in its own units (of the
    price where the formula takes its log), so that models of price and log(price) compare. A row that stands for
    n equal ones counts n times, each left out alone

    Raises
    ------
    TableError : the table's rows are not those of the fit

    Notes
    -----
    Rows are taken in blocks: rows × draws never stand in memory. Oracle: tests/oracle/test_leaveout.py.
    """
    rows = _rows_of(post, table, places, drop_outliers)
    at = chosen_draws(post, draws)
    refusal = collapse_refusal(post)
    if refusal is None:
        blocks, way = _collapsed_rows(post, rows, at), "closed form given θ, weighted for its shift"
        if post.model.noise is not None:
            way = f"closed form given θ and every {post.model.noise}'s sigma, weighted for their shift"
    else:
        blocks, way = _drawn_rows(post, rows, at), f"PSIS of the coefficients' draws ({refusal})"
    return _summed(post, rows, blocks, way, len(at))


# -- the rows ---------------------------------------------------------------------------------------------


def _rows_of(post: Posterior, table: object, places: object, drop_outliers: float | None) -> Observations:
    """The rows used, once it is known that they are those of the fit.

    Raises
    ------
    TableError : they are not
    """
    model = post.model
    source, _ = placed(read(table), places, model.formula, post.place_table, post.cells)
    _, found = collect_moments(source, model.formula, drop_outliers, post.design, weights=model.weights)
    _same_rows(post.moments, found, source.name)
    return read_observations(
        source, post.design, post.scale, post.moments.labels, drop_outliers=drop_outliers, weights=model.weights
    )


def _same_rows(mine: CellMoments, found: CellMoments, name: str) -> None:
    advice = "leave-one-out takes the rows of the fit: give its table, with its where=, drop_outliers= and places="
    if found.rows != mine.rows:
        raise TableError(f"{name} has {rows_of(found.rows)} that can be used, the fit had {mine.rows:,}; {advice}")
    if not np.array_equal(mine.labels, found.labels) or not np.array_equal(mine.n, found.n):
        own = set(mine.labels.tolist())
        other = next((x for x in found.labels.tolist() if x not in own), None)
        what = f"a place {other!r}" if other is not None else "other numbers of rows by place"
        raise TableError(f"{name} has {what}, unlike the fit; {advice}")
    sd = np.sqrt(np.maximum(np.diag(mine.pooled()[1]), 0.0) / mine.mass.sum())
    off = np.abs(found.mean - mine.mean) > SAME * (sd + np.abs(mine.mean))
    own_sd, their_sd = (np.sqrt(np.maximum(np.einsum("jcc->jc", m.scatter), 0.0)) for m in (mine, found))
    off |= np.abs(own_sd - their_sd) > 1e-4 * (sd * np.sqrt(mine.mass)[:, None] + own_sd)
    if off.any():
        j, c = np.argwhere(off)[0]
        place = str(mine.labels[j]).replace(SEPARATOR, "/")
        where = f" in {place!r}" if mine.keys else ""
        raise TableError(f"{name}: the values of {mine.columns[c]!r}{where} are not those of the fit; {advice}")


def _summed(
    post: Posterior, rows: Observations, blocks: Iterator[tuple[Index, Array, Array, Array]], way: str, count: int
) -> Elpd:
    """Blocks of rows (positions, log densities without and with the row, its distribution function) → Elpd."""
    import pandas as pd

    N, log = len(rows.y), post.design.formula.log_outcome
    times = np.ones(N) if rows.times is None else rows.times
    columns = {name: np.empty(N) for name in ("elpd", "p", "pareto_k", "mcse", "pit")}
    sums = DensitySums(np.zeros(count))
    jacobian = np.log(post.scale.unit) + (rows.y * post.scale.unit if log else np.zeros(N))
    for at, out, within, cdf in blocks:
        found = sums.take(out, within, times[at], cdf)
        for name, values in found.items():
            columns[name][at] = values
    columns["elpd"] -= jacobian
    levels = post.hierarchy.levels
    labels = levels[0].labels[levels[0].of_cell[rows.cell]] if levels else np.full(N, "")
    frame = pd.DataFrame(
        {"label": labels, "rows": times.astype(int), **columns}, index=pd.Index(np.asarray(rows.row), name="row")
    )
    return _elpd(post, None, way, frame, count, sums.error)


def _elpd(post: Posterior, grouping: Places | None, way: str, frame: Any, count: int, error: float) -> Elpd:
    """By place where there is a grouping, else by row."""
    formula = post.model.formula
    by, unit = ("row", "row") if grouping is None else ("place", grouping.name)
    sums = outcomes_of(post.moments, formula.outcome, post.model.weights, grouping)
    return Elpd(by, unit, formula.text, formula.outcome_name, formula.log_outcome, way, frame, count, error, sums)


def _collapsed_rows(post: Posterior, rows: Observations, at: Index) -> Iterator[tuple[Index, Array, Array, Array]]:
    """Blocks of rows, by the closed form given θ."""
    from scipy.special import ndtr

    from priorhood.engines.exact.conditional import picks, without_row

    posed = posed_of(post, at)
    given, problem = posed.given, posed.base
    C = problem.D - problem.crossed_columns
    y = rows.y - rows.X @ problem.shift[:C]
    # σ² w⁻¹ of a row; σ is 1 in the outcome's own unit where errors are known.
    w = np.ones(len(y)) if rows.precision is None else rows.precision
    w = w if rows.se is None else (rows.se * post.scale.unit) ** -2.0
    levels = post.hierarchy.levels
    leaf = levels[0].of_cell if levels else np.zeros(len(post.moments.n), np.int64)
    for cells, of, which in _by_cells(rows.cell, len(leaf), len(at) * problem.D * problem.D, len(at)):
        if of[0] == 0:
            mean, cov = given.cells(leaf[cells], picks(problem, cells))
        own = rows.cell[which] - cells[0]
        mu, variance = _of_rows(rows.X[which], mean, cov, own)
        sigma = given.sigma[None] if given.sigma.ndim == 1 else given.sigma[:, leaf[rows.cell[which]]].T
        out, within, z = without_row(mu, variance, y[which, None], sigma**2 / w[which, None])
        yield which, out, within, ndtr(z)


def _by_cells(cell: Index, count: int, cost: int, draws: int) -> Iterator[tuple[Index, tuple[int, int], Index]]:
    """Runs of cells with their rows, in parts: cells, (first, last) of the run's rows in this part, the rows."""
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(count + 1))
    size, most = max(1, BLOCK // cost), max(1, BLOCK // draws)
    for lo in range(0, count, size):
        hi = min(count, lo + size)
        own = order[ends[lo] : ends[hi]]
        for first in range(0, len(own), most):
            yield np.arange(lo, hi), (first, first + most), own[first : first + most]


def _of_rows(X: Array, mean: Array, cov: Array, own: Index) -> tuple[Array, Array]:
    """Mean and variance of xᵀβ for rows (n, D) in cells `own` of mean (cells, S, D), cov: (n, S) each."""
    mu = np.einsum("na,nsa->ns", X, mean[own])
    variance = np.zeros_like(mu)
    for a in range(X.shape[1]):
        for b in range(a + 1):
            both = X[:, a] * X[:, b] * (1.0 if a == b else 2.0)
            variance += both[:, None] * cov[own, :, a, b]
    return mu, variance


def _drawn_rows(post: Posterior, rows: Observations, at: Index) -> Iterator[tuple[Index, Array, Array, Array]]:
    """Blocks of rows, by the draws of the coefficients."""
    from scipy.special import gammaln, ndtr, stdtr

    c = post._coefficients()
    nu = None if c.nu is None else c.nu[at]
    error = np.ones(len(rows.y)) if rows.precision is None else rows.precision**-0.5
    error = error if rows.se is None else rows.se
    norm = -0.5 * np.log(2 * np.pi) if nu is None else (
        gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    )  # fmt: skip
    for cells, _, which in _by_cells(rows.cell, len(post.moments.n), BLOCK, len(at)):
        beta = np.zeros((len(at), len(post.design.columns)))
        beta[:, c.mu_cols] = c.mu[at]
        for one in c.levels[:1]:
            beta[:, one.cols] = one.drawn(one.places.of_cell[cells[:1]])[at, 0]
        for one in c.crossed:
            beta[:, one.cols] += one.drawn(one.places.of_cell[cells[:1]])[at, 0]
        sigma = c.sigma[at] if c.sigma.ndim == 1 else c.sigma[at, c.levels[0].places.of_cell[cells[0]]]
        s = sigma[None] * error[which, None]
        z = (rows.y[which, None] - rows.X[which] @ beta.T) / s
        if nu is None:
            log, cdf = norm - 0.5 * z**2 - np.log(s), ndtr(z)
        else:
            log, cdf = norm - 0.5 * (nu + 1) * np.log1p(z**2 / nu) - np.log(s), stdtr(nu, z)
        yield which, log, log, cdf


# -- places -----------------------------------------------------------------------------------------------


@answers_other_names
def loo_places(post: Posterior, level: str | None = None, *, draws: int = DRAWS) -> Elpd:
    """Leave-one-place-out cross-validation from the sums alone: how well a place is foretold by all others.

    log p(y_v | y₋ᵥ) = log Σ_s w_vs p(y_v | y₋ᵥ, θ_s),   w_vs ∝ 1/p(y_v | y₋ᵥ, θ_s)

    All rows of a place are left out together, with those of the places in it; given θ their density is a closed
    form of its message to its parent. So this judges how well the model speaks of places that it has not seen.

    Parameters
    ----------
    level : the places' column, such as "district"; the finest if None. A crossed grouping's is taken too
    draws : of θ, spread over the chains; all if there are fewer

    Returns
    -------
    as of loo, one row a place. p is that of a new place's prediction; NaN for crossed groupings

    Raises
    ------
    ModelError : no such grouping; a model that does not collapse, such as with Student-t errors

    Notes
    -----
    No rows are needed. A file of weighted rows that was written by an earlier version has Σ log w of all together
    alone: of places with several rows it is shared out by rows, and they are marked as approximate; their sum and
    differences of models are not.
    """
    import pandas as pd

    refusal = collapse_refusal(post)
    if refusal is not None:
        raise ModelError(
            f"leave-one-place-out needs coefficients that integrate out, and {refusal}; leave-one-row-out works "
            f"for every model: ph.loo (priorhood compare --by row)"
        )
    grouping, which = _grouping(post, level)
    at = chosen_draws(post, draws)
    posed, weights = _beside(post, posed_of(post, at))
    out, within = _left_out(post, posed, which, grouping)
    moments = post.moments
    n = grouping.total(moments.n)
    sums = DensitySums(np.zeros(out.shape[1]))
    found = sums.take(out, within, np.ones(grouping.size), weights=weights)
    jacobian = n * np.log(post.scale.unit)
    if post.design.formula.log_outcome:
        jacobian += _log_jacobian(moments, grouping)
    found["elpd"] = found["elpd"] - jacobian
    approximate = (n > 1) & (moments.weight is not None and moments.log_weights is None)
    frame = pd.DataFrame(
        {"rows": n.astype(int), **found, "elpd_per_row": found["elpd"] / n, "approximate": approximate},
        index=pd.Index(grouping.labels, name=grouping.name),
    )
    way = "closed form given θ, weighted for its shift"
    return _elpd(post, grouping, way, frame, len(at), sums.error)


def _beside(post: Posterior, posed: Posed) -> tuple[Posed, Array | None]:
    """The draws of θ with half as many wider ones beside them, and the log of what each weighs in the posterior.

    Without a place θ may lie where no draw of the posterior does, and 1/p(y_v | y₋ᵥ, θ) is then unbounded over its
    draws. θ of a t twice as wide reach there; all are weighed against the mixture of both (math.md, equation 25).
    """
    from scipy import stats

    from priorhood.engines import exact
    from priorhood.engines.exact.conditional import Given
    from priorhood.engines.exact.marginal import collapse
    from priorhood.engines.exact.mode import Density
    from priorhood.engines.exact.theta import constrain, unconstrain

    problem = posed.problem
    if isinstance(problem, exact.GroupNoiseProblem):
        return posed, None
    density, theta = Density(collapse(problem), cores()), unconstrain(problem, posed.values)
    S, dim = theta.shape
    if not dim:
        return posed, None
    rng, more = np.random.default_rng(SEED), S // 2
    mean, spread = theta.mean(axis=0), np.atleast_2d(np.cov(theta.T)) * WIDER
    factor = np.linalg.cholesky(spread + 1e-9 * np.trace(spread) / dim * np.eye(dim))
    stretch = np.sqrt(rng.chisquare(DEGREES, more) / DEGREES)
    wide = mean + (rng.standard_normal((more, dim)) @ factor.T) / stretch[:, None]
    every = np.concatenate([theta, wide])
    heights = density(every)
    there = np.isfinite(heights)
    every, heights = every[there], heights[there]
    log_t = stats.multivariate_t(mean, factor @ factor.T, DEGREES).logpdf(every)
    evidence = post.tree.attrs.get("log_evidence_standardized")
    if evidence is None:  # of draws by NUTS
        evidence = float(np.logaddexp.reduce((heights - log_t)[there[:S].sum() :]) - np.log(more))
    mixture = np.logaddexp(np.log(S / (S + more)) + heights - float(evidence), np.log(more / (S + more)) + log_t)
    values = constrain(problem, every)
    return replace(posed, values=values, given=Given(problem, values, values.sigma)), heights - mixture


def _log_jacobian(moments: CellMoments, grouping: Places) -> Array:
    """Σ log y of every place, under a log outcome: (size,)."""
    if moments.weight is None:
        total = moments.n * moments.mean[:, -1]
        return grouping.total(total)
    raise ModelError(
        "of weighted rows under a log outcome a posterior has no Σ log y, without which there is no density in the "
        "outcome's own units: use leave-one-row-out, ph.loo (priorhood compare --by row)"
    )


def _grouping(post: Posterior, level: str | None) -> tuple[Places, int]:
    """The places that are left out, and their number among the groupings."""
    groupings = post.hierarchy.groupings
    if not groupings:
        raise ModelError(f"{post.model.formula.text!r} has no group, so there is no place to leave out; see ph.loo")
    if level is None:
        return groupings[0], 0
    for i, one in enumerate(groupings):
        if one.name == level:
            return one, i
    names = [one.name for one in groupings]
    raise ModelError(f"the model has no places by {level!r}; {near(level, names)}")


def _left_out(post: Posterior, posed: Posed, which: int, grouping: Places) -> tuple[Array, Array]:
    """Log p(y_v | the others, θ) and log p(y_v | all, θ) of every place and draw: (size, S) each."""
    from priorhood.engines import exact
    from priorhood.engines.exact.conditional import log_places

    shares = _log_weights(post.moments, grouping)
    if isinstance(posed.problem, exact.GroupNoiseProblem):
        own = _noisy_places(post, posed, posed.problem) + 0.5 * shares[:, None]
        return own, own
    if which >= len(post.hierarchy.levels):
        out = _by_hand(post, posed, grouping, range(grouping.size), shares)
        return out, np.full_like(out, np.nan)
    n, c = _squares(post, posed.base, grouping)
    out, within, left = log_places(posed.given, which, n, c, shares)
    hard = np.flatnonzero((left < LEFT).any(axis=1))
    if len(hard):
        out[hard] = _by_hand(post, posed, grouping, hard.tolist(), shares)
    return out, within


def _squares(post: Posterior, base: Problem, grouping: Places) -> tuple[Array, Array]:
    """Rows and Σ w(y − xᵀshift)² of every place, standardized."""
    mean, scatter = post.data.standardized
    contrast = np.append(-base.shift[: mean.shape[1] - 1], 1.0)
    c = np.einsum("jab,a,b->j", scatter, contrast, contrast) + post.moments.mass * (mean @ contrast) ** 2
    return grouping.total(post.moments.n), grouping.total(c)


def _log_weights(moments: CellMoments, grouping: Places) -> Array:
    """Σ log w of every place (size,); of an older file known where it has one row, else shared out by rows."""
    n = moments.n
    if moments.weight is None:
        return np.zeros(grouping.size)
    if moments.log_weights is not None:
        return grouping.total(moments.log_weights)
    log = n * np.log(moments.weight / n)
    several = n > 1
    if several.any():
        log += several * n / n[several].sum() * (moments.log_weight - log.sum())
    return grouping.total(log)


def _by_hand(post: Posterior, posed: Posed, grouping: Places, places: Any, shares: Array) -> Array:
    """Log p(y | θ) less that of all other places' rows, from their sums: (places, S)."""
    from priorhood.engines.exact.marginal import collapse, log_marginal

    moments = post.moments
    whole = log_marginal(collapse(posed.base), posed.values, cores())
    out = []
    for v in places:
        keep = grouping.of_cell != v
        if not keep.any():
            out.append(whole)
            continue
        rest = replace(kept(moments, keep), log_weight=moments.log_weight - float(shares[v]))
        problem: Any = to_exact(post.data.with_moments(rest))
        out.append(whole - log_marginal(collapse(problem), posed.values, cores()))
    return np.stack(out)


def _noisy_places(post: Posterior, posed: Posed, problem: GroupNoiseProblem) -> Array:
    """Log p(y_j | θ) of every place, its σ integrated out too, up to its weights: (J, S)."""
    from priorhood.engines.exact.group_noise import NoisyTheta, log_by_group

    S = len(posed.at)
    median, spread = (
        flat_draws(post, name)[posed.at] if name in post.parameters else np.full(S, np.nan)
        for name in ("sigma_median", "sigma_spread")
    )
    values = NoisyTheta(posed.given.root.mean[0], posed.values, median, spread)
    return log_by_group(problem, values, cores())
