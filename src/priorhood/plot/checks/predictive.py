"""Posterior predictive checks: observed outcomes beside replicated ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MAX_DRAWS, check_seed, check_whole
from priorhood._text import preview, row_count, suggestion
from priorhood.errors import ModelError, TableError
from priorhood.evaluation.residuals import outcome_required, thinned
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import bandwidth, density_on
from priorhood.plot.figure.select_places import words_of
from priorhood.prediction.observed import used_rows
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import UNSEEN, predict_rows, request, simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags, Labels
    from priorhood.posterior.posterior import Posterior

KINDS = ("density", "histogram", "scatter")
MAX_ROWS = 20_000  # rows of a picture; of more, evenly spaced ones
MAX_POINTS = 5_000
DRAWS = {"density": 50, "histogram": 200, "scatter": 1000}
SPAN = (0.001, 0.999)  # quantiles of the observed outcomes that the axis covers, and a little beyond
WIDE = 20.0  # outcomes that reach so many times their lowest get a log axis
BARS, TENTHS = 30, 10
# Inches.
WIDTH, HEIGHT, LEFT, RIGHT, BELOW, HIGH = 9.0, 4.7, 0.95, 0.3, 0.6, 3.1
ROOM = WIDTH - LEFT - RIGHT
SCATTER = 0.6 * ROOM


@dataclass(frozen=True)
class _Outcomes:
    """Observed (n,) and replicated (S, n) outcomes, label of the axis, whether the model is of the log."""

    y: Array
    replicated: Array
    label: str
    of_log: bool

    @property
    def logged(self) -> bool:
        """Whether the axis is a log one."""
        low, high = np.quantile(self.y, [0.01, 0.99])
        return bool(self.y.min() > 0 and (self.of_log or high > WIDE * low))

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the axis, on its scale."""
        low, high = (float(v) for v in np.quantile(np.log(self.y) if self.logged else self.y, SPAN))
        room = 0.12 * (high - low) or max(abs(high), 1.0)
        return low - room, high + room

    def along(self, values: Array) -> Array:
        """Values on the scale of the axis, without those beyond it."""
        kept = values[np.isfinite(values) & ((values > 0) | (not self.logged))]
        placed = np.log(kept) if self.logged else kept
        low, high = self.ends
        return np.asarray(placed[(placed >= low) & (placed <= high)])

    def back(self, values: Array) -> Array:
        """From the scale of the axis to the outcome's units."""
        return np.exp(values) if self.logged else values


def predictive(
    post: Posterior,
    table: object,
    kind: str = "density",
    *,
    draws: int | None = None,
    unseen: str = "error",
    seed: int | None = None,
    **group: object,
) -> Figure:
    """Draw observed outcomes against replicated ones, y_rep ~ p(y | x_iᵀβ_g(i), sigma, nu), a draw of every row.

    Parameters
    ----------
    post : Posterior
    table
        Whatever `read` takes, with the outcome: the rows of the fit, or others.
    kind : str
        "density": density of the observed outcomes, thick, over that of single posterior draws; "histogram": rows
        in bins, and the central 90 % of replicated numbers; "scatter": outcomes against their predicted means,
        and the share of rows inside their 90 % intervals, by tenths of the prediction.
    draws : int, optional
        Draws of the posterior, evenly spaced; by default 50, 200 or 1,000.
    unseen : str
        For a place that the fit did not have, see `Posterior.predict`.
    seed : int, optional
        The posterior's by default.
    **group : str or list of str
        The formula's group = one or several labels, zip="12047", for the rows there alone.

    Returns
    -------
    matplotlib.figure.Figure
        Of more than 20,000 rows evenly spaced ones are shown, and the picture says so.

    Raises
    ------
    TableError, ModelError
        As for `posterior_predictive`; no outcome; a kind, label or number of draws that is not possible.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> ph.plot.predictive(post, sales, "histogram").axes[0].get_ylabel()
    'rows'
    """
    if kind not in KINDS:
        raise ModelError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if draws is not None:
        check_whole("draws", draws, 1, MAX_DRAWS)
    if unseen not in UNSEEN:
        raise ModelError(f"unseen must be one of {', '.join(UNSEEN)}, not {unseen!r}")
    seed = post.seed if seed is None else check_seed(seed)
    formula = post.model.formula
    c = thinned(post, draws or DRAWS[kind])
    used = used_rows(outcome_required(post, post.placed(table)), c, unseen)
    keep, places = _in_places(post, used.labels, group)
    chosen = np.arange(len(used.kept)) if keep is None else np.flatnonzero(keep)
    few = chosen[:: -(-len(chosen) // MAX_ROWS)]
    told = (
        row_count(len(chosen))
        if len(few) == len(chosen)
        else f"{len(few):,} of {row_count(len(chosen))}, evenly spaced"
    )
    title = f"{formula.text}: {told}{places}"
    y, at = np.asarray(used.y)[few], used.kept[few]
    y = np.exp(y) if formula.log_outcome else y
    outcome = words_of(post, formula.outcome_name)
    if kind == "scatter":
        rows = used.rows
        rows = replace(rows, X=rows.X[at], error=rows.error[at], group=rows.group[at], status=rows.status[at])
        found = predict_rows(c, rows, request((0.05, 0.5, 0.95), unseen=unseen, seed=seed), post._tails)
        # Student's t has no mean for small nu, its exp none at all, nor a Normal's where a scale's tail is long.
        centre = "mean" if np.isfinite(found.mean).all() else "median"
        low, median, high = found.quantiles.values()
        middle = found.mean if centre == "mean" else median
        names = (f"predicted {centre}: {outcome}", f"observed: {outcome}")
        return _scatter(y, middle, (y >= low) & (y <= high), names, title)
    out = np.empty((len(c.mu), len(at)))
    simulate(used.rows, Groups(c, used.rows.spots, unseen, seed), at, out)
    shown = _Outcomes(y, out, outcome, formula.log_outcome)
    beyond = 1.0 - sum(len(shown.along(one)) for one in out) / out.size
    reading = "" if beyond < 0.0005 else f" {100 * beyond:.2g} % of the replicated outcomes lie beyond the axis."
    return (_density if kind == "density" else _histogram)(shown, title, reading)


def _in_places(post: Posterior, labels: Labels | None, group: dict[str, object]) -> tuple[Flags | None, str]:
    """Which of the rows used lie in the places asked for, None for all, and that in words."""
    if not group:
        return None, ""
    own = post.model.formula.group
    for name in group:
        if not (own and post.model.formula.levels[0].is_called(name)):
            hint = f"it is {own!r}: {own}=…" if own else "it has none"
            raise ModelError(f"{name!r} is not the group of {post.model.formula.text!r}; {hint}")
    given = next(iter(group.values()))
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    wanted, there = [str(one) for one in several], set(np.asarray(labels).tolist())
    if not wanted:
        raise ModelError(f"{own} was given no label; there are {preview(sorted(there))}")
    for label in wanted:
        if label not in there:
            raise TableError(f"no row that can be used is in {own} {label!r}; {suggestion(label, sorted(there))}")
    return np.isin(np.asarray(labels), wanted), f", {own} {', '.join(wanted)}"


def _outcome_axis(axes: Axes, shown: _Outcomes) -> None:
    """Dress the outcome's axis."""
    low, high = shown.back(np.array(shown.ends)).tolist()
    style.numbers(axes.xaxis, 7, shown.label + (" (log axis)" if shown.logged else ""))
    if shown.logged:
        axes.set_xscale("log")
        style.log_numbers(axes.xaxis, (1,) if high / low > 1e4 else (1, 2, 5))
    axes.set_xlim(low, high)


def _density(shown: _Outcomes, title: str, reading: str) -> Figure:
    """Densities along the axis, all with the bandwidth of the observed outcomes."""
    # The largest distance of the observed and the mean replicated distribution function, and its place.
    grid = np.unique(np.quantile(shown.y, np.linspace(0.01, 0.99, 99)))
    observed, replicated = (
        np.searchsorted(np.sort(values, axis=None), grid, side="right") / values.size
        for values in (shown.y, shown.replicated)
    )
    apart = np.abs(observed - replicated)
    at = int(np.argmax(apart))
    digits = 2 - int(np.floor(np.log10(abs(grid[at])))) if grid[at] else 0
    finding = (
        f"Shares of observed and replicated outcomes below {style.number(round(float(grid[at]), digits))} differ "
        f"by {100 * apart[at]:.2g} %, elsewhere by less"
    )
    figure = page.sheet(page.Heading(finding, f"{title}.{reading}", WIDTH), HEIGHT)
    axes = page.panel(figure, LEFT, BELOW, ROOM, HIGH)
    low, high = shown.ends
    edges, width = np.linspace(low, high, 513), bandwidth(shown.along(shown.y))
    width = width if np.isfinite(width) else (high - low) / 50

    def draw(values: Array, **look: object) -> None:
        x, density = density_on(edges, shown.along(values), width, "constant", len(values))
        axes.plot(shown.back(x), density, **look)  # type: ignore[arg-type]

    for one in shown.replicated:
        draw(one, color=style.COLOURS[4], linewidth=0.6, alpha=0.5)
    axes.plot([], [], color=style.COLOURS[4], linewidth=1.2, label=f"{len(shown.replicated):,} posterior draws")
    draw(shown.y, color=style.INK, linewidth=2.0, label="observed")
    style.no_height(axes)
    axes.set_ylim(bottom=0)
    _outcome_axis(axes, shown)
    style.words(axes.set_ylabel("density", labelpad=4))
    style.legend(axes)
    return figure


def _histogram(shown: _Outcomes, title: str, reading: str) -> Figure:
    """Observed rows in bins, and the central 90 % of replicated numbers."""
    edges = np.linspace(*shown.ends, BARS + 1)
    observed = np.histogram(shown.along(shown.y), edges)[0]
    replicated = np.stack([np.histogram(shown.along(one), edges)[0] for one in shown.replicated])
    low, middle, high = np.quantile(replicated, [0.05, 0.5, 0.95], axis=0)
    outside, filled = (observed < low) | (observed > high), (observed > 0) | (high > 0)
    finding = f"{int((~outside & filled).sum())} of {int(filled.sum())} bins hold as many rows as replicated"
    told = f"{title}. 9 in 10 are expected, {len(shown.replicated):,} draws.{reading}"
    figure = page.sheet(page.Heading(finding, told, WIDTH), HEIGHT)
    axes = page.panel(figure, LEFT, BELOW, ROOM, HIGH)
    at, centre = shown.back(edges), shown.back((edges[1:] + edges[:-1]) / 2)
    axes.bar(at[:-1], observed, width=np.diff(at), align="edge", color=style.BAND, edgecolor="white",
             linewidth=0.6, label="observed")  # fmt: skip
    for those, colour, mark, words in (
        (~outside, style.COLOURS[0], "o", "replicated: median and central 90 %"),
        (outside, style.WARNING, "X", "the same, where it misses the observed number"),
    ):
        if those.any():
            reach = np.stack([(middle - low)[those], (high - middle)[those]])
            axes.errorbar(centre[those], middle[those], reach, fmt=mark, color=colour, markersize=3.5,
                          linewidth=1.3, label=words)  # fmt: skip
    _outcome_axis(axes, shown)
    axes.set_ylim(bottom=0)
    style.numbers(axes.yaxis, 5, "rows", pad=4)
    style.legend(axes)
    return figure


def _scatter(y: Array, mean: Array, inside: Flags, names: tuple[str, str], title: str) -> Figure:
    """Outcomes against their predictions; right, the share inside their intervals."""
    finite = np.isfinite(mean)
    both = np.concatenate([mean[finite], y])
    ends = np.quantile(both, [0.0005, 0.9995])
    logged = both.min() > 0 and np.quantile(y, 0.99) > WIDE * np.quantile(y, 0.01)
    ends = ends * np.array([0.9, 1.1]) if logged else ends + 0.05 * np.ptp(ends) * np.array([-1, 1])
    cut = int(((y < ends[0]) | (y > ends[1]) | (mean < ends[0]) | (mean > ends[1])).sum())
    step = -(-len(y) // MAX_POINTS)
    reading = f"{title}.{f' One point of {step} is drawn.' if step > 1 else ''}"
    reading += f" {row_count(cut)} beyond the axes." if cut else ""
    finding = f"{100 * inside.mean():.3g} % of the rows lie inside their 90 % predictive intervals"
    figure = page.sheet(page.Heading(finding, reading, WIDTH), HEIGHT)
    axes = page.panel(figure, LEFT, BELOW, SCATTER, HIGH)
    for those, colour, marker, words in (
        (inside, style.COLOURS[0], "o", "inside its 90 % interval"),
        (~inside, style.COLOURS[1], "x", "outside"),
    ):
        part = np.flatnonzero(those)[::step]
        axes.plot(mean[part], y[part], marker, color=colour, markersize=2.5, alpha=0.5, markeredgewidth=0.7,
                  label=words)  # fmt: skip
    style.numbers(axes.xaxis, 5, names[0])
    style.numbers(axes.yaxis, 6, names[1], pad=4)
    if logged:
        axes.set_xscale("log")
        axes.set_yscale("log")
        style.log_numbers(axes.xaxis, most=9)
        style.log_numbers(axes.yaxis, most=9)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.plot(ends, ends, color=style.INK, linewidth=0.9, linestyle="--")
    style.legend(axes, "left", markerscale=2)
    left = LEFT + SCATTER + 0.75
    _tenths(page.panel(figure, left, BELOW, WIDTH - RIGHT - left, HIGH), mean, inside)
    return figure


def _tenths(axes: Axes, mean: Array, inside: Flags) -> None:
    """Share of rows inside their intervals, by tenths of the predicted mean, with binomial limits."""
    from scipy.stats import binom

    parts = [part for part in np.array_split(np.argsort(mean, kind="stable"), TENTHS) if len(part)]
    shares = np.array([100 * inside[part].mean() for part in parts])
    sizes = np.array([len(part) for part in parts])
    at = np.arange(1, len(parts) + 1)
    low, high = (100 * binom.ppf(q, sizes, 0.9) / sizes for q in (0.005, 0.995))
    x = np.r_[0.5, at, len(parts) + 0.5]
    axes.fill_between(x, np.pad(low, 1, "edge"), np.pad(high, 1, "edge"), color=style.BAND, linewidth=0)
    axes.axhline(90, color=style.INK, linewidth=0.8, linestyle="--")
    style.dots(axes, at, shares, (shares < low) | (shares > high), markersize=6)
    axes.set_xlim(0.5, len(parts) + 0.5)
    axes.set_ylim(min(70.0, shares.min() - 4), 102)
    axes.set_xticks(at)
    style.words(axes.set_xlabel("tenth of the rows, by prediction", labelpad=2))
    style.numbers(axes.yaxis, 5, "% of rows inside; grey: 99 % of right ones", pad=4)
