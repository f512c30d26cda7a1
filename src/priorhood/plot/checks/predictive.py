"""Observed outcomes beside those that the posterior says the rows could have had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MOST_DRAWS, check_seed, whole
from priorhood._text import near, rows_of, some
from priorhood.errors import ModelError, TableError
from priorhood.evaluation.residuals import outcome_required, thinned
from priorhood.plot.figure import page
from priorhood.prediction.observed import used_rows
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import UNSEEN, predict_rows, request, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags, Index, Labels
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.rows import PredictionRows

KINDS = ("density", "histogram", "scatter")
MOST_ROWS = 20_000  # rows that a picture shows; of more, evenly spaced ones
MOST_POINTS = 5_000
DRAWS = {"density": 50, "histogram": 200, "scatter": 1000}
SPAN = (0.001, 0.999)  # quantiles of the observed outcomes that the axis reaches to, and a little beyond
WIDE = 20.0  # times as much as the lowest: outcomes that want a log axis
BARS, TENTHS = 30, 10
# Inches.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 9.0, 4.7, 0.95, 0.3, 1.0, 0.6


@dataclass(frozen=True)
class _Shown:
    """Observed (n,) and replicated (S, n) outcomes in their own units, and what the axis says of them."""

    y: Array
    replicated: Array
    unit: str
    title: str
    of_log: bool

    @property
    def logged(self) -> bool:
        """Whether they want a log axis."""
        low, high = np.quantile(self.y, [0.01, 0.99])
        return bool(self.y.min() > 0 and (self.of_log or high > WIDE * low))

    @property
    def ends(self) -> tuple[float, float]:
        """Of the axis."""
        low, high = (float(v) for v in np.quantile(self._on_axis(self.y), SPAN))
        room = 0.12 * (high - low) or max(abs(high), 1.0)
        return low - room, high + room

    def _on_axis(self, values: Array) -> Array:
        return np.log(values) if self.logged else values

    def along(self, values: Array) -> Array:
        """Values as the axis has them, those beyond it left out."""
        kept = values[np.isfinite(values) & ((values > 0) | (not self.logged))]
        placed = self._on_axis(kept)
        low, high = self.ends
        return np.asarray(placed[(placed >= low) & (placed <= high)])

    @property
    def beyond(self) -> float:
        """Share of the replicated outcomes that lie beyond the axis."""
        return 1.0 - sum(len(self.along(one)) for one in self.replicated) / self.replicated.size

    def back(self, values: Array) -> Array:
        """From the axis to the outcome's units."""
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
    """Observed outcomes against replicated ones: y_rep ~ p(y | x_iᵀβ_g(i), sigma, nu), a draw of every row.

    density: the observed outcomes' density, thick, over that of single posterior draws. histogram: rows in bins,
    and the central 90 % of what the draws have there. scatter: outcomes against their predicted means, and the
    share of rows inside their 90 % intervals, by tenths of the prediction.

    Parameters
    ----------
    table : whatever read() takes, with the outcome: the rows of the fit, or others
    kind : "density", "histogram" or "scatter"
    draws : of the posterior, evenly spaced; 50, 200 or 1,000 if None
    unseen : for a place that the fit did not have, see Posterior.predict
    seed : the posterior's if None
    group : the formula's group = a label or several, zip="12047", for the rows there alone

    Returns
    -------
    matplotlib Figure. Of more than 20,000 rows evenly spaced ones are shown, and the picture says so.

    Raises
    ------
    TableError, ModelError : as posterior_predictive; no outcome; a kind, label or number of draws that cannot be
    """
    _check(kind, draws, unseen)
    seed = post.seed if seed is None else check_seed(seed)
    c = thinned(post, draws or DRAWS[kind])
    used = used_rows(outcome_required(post, post.placed(table)), c, unseen)
    chosen, told = _chosen(post, used.labels, len(used.kept), group)
    y, rows = np.asarray(used.y)[chosen], used.kept[chosen]
    y = np.exp(y) if post.model.formula.log_outcome else y
    title = f"{post.model.formula.text}: {told}"
    if kind == "scatter":
        wanted = request((0.05, 0.5, 0.95), unseen=unseen, seed=seed)
        found = predict_rows(c, _part(used.rows, rows), wanted, post._tails)
        # Student's t has no mean for small nu, its exp none at all, nor a Normal's where a scale's tail is long.
        centre = "mean" if np.isfinite(found.mean).all() else "median"
        low, median, high = found.quantiles.values()
        predicted = found.mean if centre == "mean" else median
        return _scatter(y, predicted, low, high, (_outcome(post), centre), title)
    out = np.empty((len(c.mu), len(rows)))
    simulate(used.rows, Groups(c, used.rows.spots, unseen, seed), rows, out)
    shown = _Shown(y, out, _outcome(post), title, post.model.formula.log_outcome)
    return _density(shown) if kind == "density" else _histogram(shown)


def _check(kind: object, draws: object, unseen: object) -> None:
    if kind not in KINDS:
        raise ModelError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if draws is not None:
        whole("draws", draws, 1, MOST_DRAWS)
    if unseen not in UNSEEN:
        raise ModelError(f"unseen must be one of {', '.join(UNSEEN)}, not {unseen!r}")


def _part(rows: PredictionRows, at: Index) -> PredictionRows:
    """Some of the rows."""
    return replace(rows, X=rows.X[at], error=rows.error[at], group=rows.group[at], status=rows.status[at])


def _chosen(post: Posterior, labels: Labels | None, used: int, group: dict[str, object]) -> tuple[Index, str]:
    """Which of the rows used are shown, and that in words."""
    keep, told = _of_places(post, labels, group)
    chosen = np.arange(used) if keep is None else np.flatnonzero(keep)
    shown = chosen[:: -(-len(chosen) // MOST_ROWS)]
    all_rows = rows_of(len(chosen))
    count = all_rows if len(shown) == len(chosen) else f"{len(shown):,} of {all_rows}, evenly spaced"
    return shown, count + told


def _outcome(post: Posterior) -> str:
    """The outcome with its unit, as an axis has it."""
    name = post.model.formula.outcome_name
    unit = (post.model.units or {}).get(name)
    return f"{name}, {unit}" if unit else name


def _of_places(post: Posterior, labels: Labels | None, group: dict[str, object]) -> tuple[Flags | None, str]:
    """Which of the rows used lie in the places asked for, and that in words."""
    if not group:
        return None, ""
    own = post.model.formula.group
    for name in group:
        if not (own and post.model.formula.levels[0].is_called(name)):
            hint = f"it is {own!r}: {own}=…" if own else "it has none"
            raise ModelError(f"{name!r} is not the group of {post.model.formula.text!r}; {hint}")
    given = next(iter(group.values()))
    wanted = [
        str(one) for one in (given if isinstance(given, Iterable) and not isinstance(given, str) else [given])
    ]
    there = set(np.asarray(labels).tolist())
    if not wanted:
        raise ModelError(f"{own} was given no label; there are {some(sorted(there))}")
    for label in wanted:
        if label not in there:
            raise TableError(f"no row that can be used is in {own} {label!r}; {near(label, sorted(there))}")
    return np.isin(np.asarray(labels), wanted), f", {own} {', '.join(wanted)}"


# -- the pictures -----------------------------------------------------------------------------------------


def _page(wide: float = 1.0) -> tuple[Figure, Axes]:
    """A figure with one pair of axes on the left `wide` of it."""
    from priorhood.plot.figure import style

    figure = style.picture(WIDTH, HEIGHT)
    room = (WIDTH - LEFT - RIGHT) * wide
    axes = figure.add_axes((LEFT / WIDTH, BELOW / HEIGHT, room / WIDTH, (HEIGHT - TOP - BELOW) / HEIGHT))
    style.plain(axes)
    return figure, axes


def _said(figure: Figure, finding: str, below: str) -> None:
    page.Heading(finding, below, WIDTH).put(figure)


def _outcome_axis(axes: Axes, shown: _Shown) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from priorhood.plot.figure import style

    low, high = shown.back(np.array(shown.ends)).tolist()
    if shown.logged:
        axes.set_xscale("log")
        several = high / low > 1e4
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if several else (1, 2, 5), numticks=12))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(style.number))
    else:
        style.numbers(axes.xaxis, 7)
    axes.set_xlim(low, high)
    style.words(axes.set_xlabel(shown.unit + (" (log axis)" if shown.logged else ""), labelpad=2))


def _beyond(shown: _Shown) -> str:
    if shown.beyond < 0.0005:
        return ""
    return f" {100 * shown.beyond:.2g} % of the replicated outcomes lie beyond the axis."


def _density(shown: _Shown) -> Figure:
    from priorhood.plot.figure import style

    figure, axes = _page()
    smoothed = _smoother(shown)
    for one in shown.replicated:
        axes.plot(*smoothed(one), color=style.COLOURS[4], linewidth=0.6, alpha=0.5)
    axes.plot([], [], color=style.COLOURS[4], linewidth=1.2, label=f"{len(shown.replicated):,} posterior draws")
    axes.plot(*smoothed(shown.y), color=style.INK, linewidth=2.0, label="observed")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(bottom=0)
    _outcome_axis(axes, shown)
    style.words(axes.set_ylabel("density", labelpad=4))
    axes.legend(loc="upper right", fontsize=style.SMALL, frameon=False, labelcolor=style.INK)
    share, where = _apart(shown)
    finding = (
        f"Shares of observed and replicated outcomes below {style.number(where)} differ by {100 * share:.2g} %"
    )
    _said(figure, f"{finding}, elsewhere by less", f"{shown.title}.{_beyond(shown)}")
    return figure


def _apart(shown: _Shown) -> tuple[float, float]:
    """The largest distance of the observed and the mean replicated distribution function, and where it is."""
    grid = np.unique(np.quantile(shown.y, np.linspace(0.01, 0.99, 99)))
    observed = np.searchsorted(np.sort(shown.y), grid, side="right") / len(shown.y)
    every = np.sort(shown.replicated, axis=None)
    replicated = np.searchsorted(every, grid, side="right") / len(every)
    at = int(np.argmax(np.abs(observed - replicated)))
    digits = 2 - int(np.floor(np.log10(abs(grid[at])))) if grid[at] else 0
    return float(np.abs(observed - replicated)[at]), round(float(grid[at]), digits)


def _smoother(shown: _Shown) -> Callable[[Array], tuple[Array, Array]]:
    """Outcomes → density along the axis, all with the width of the observed ones' kernel."""
    from scipy.ndimage import gaussian_filter1d

    low, high = shown.ends
    placed = shown.along(shown.y)
    quarters = float(np.subtract(*np.quantile(placed, [0.75, 0.25]))) / 1.349
    width = 0.9 * min(float(placed.std()) or np.inf, quarters or np.inf) * len(placed) ** -0.2
    width = width if np.isfinite(width) else (high - low) / 50
    edges = np.linspace(low, high, 513)

    def smoothed(values: Array) -> tuple[Array, Array]:
        counts, _ = np.histogram(shown.along(values), edges)
        density = gaussian_filter1d(counts / len(values), width / (edges[1] - edges[0]), mode="constant")
        return shown.back((edges[1:] + edges[:-1]) / 2), density

    return smoothed


def _histogram(shown: _Shown) -> Figure:
    from priorhood.plot.figure import style

    figure, axes = _page()
    edges = np.linspace(*shown.ends, BARS + 1)
    observed = np.histogram(shown.along(shown.y), edges)[0]
    replicated = np.stack([np.histogram(shown.along(one), edges)[0] for one in shown.replicated])
    low, middle, high = np.quantile(replicated, [0.05, 0.5, 0.95], axis=0)
    at, centre = shown.back(edges), shown.back((edges[1:] + edges[:-1]) / 2)
    axes.bar(at[:-1], observed, width=np.diff(at), align="edge", color=style.BAND, edgecolor="white",
             linewidth=0.6, label="observed")  # fmt: skip
    outside = (observed < low) | (observed > high)
    for those, colour, words in (
        (~outside, style.COLOURS[0], "replicated: median and central 90 %"),
        (outside, style.WARNING, "the same, where it has not the observed number"),
    ):
        if those.any():
            reach = np.stack([(middle - low)[those], (high - middle)[those]])
            axes.errorbar(centre[those], middle[those], reach, fmt="o" if colour != style.WARNING else "X",
                          color=colour, markersize=3.5, linewidth=1.3, label=words)  # fmt: skip
    _outcome_axis(axes, shown)
    axes.set_ylim(bottom=0)
    style.numbers(axes.yaxis, 5)
    style.words(axes.set_ylabel("rows", labelpad=4))
    axes.legend(loc="upper right", fontsize=style.SMALL, frameon=False, labelcolor=style.INK)
    filled = (observed > 0) | (high > 0)
    finding = f"{int((~outside & filled).sum())} of {int(filled.sum())} bins hold as many rows as replicated"
    _said(figure, finding, f"{shown.title}. 9 in 10 are due, {len(shown.replicated):,} draws.{_beyond(shown)}")
    return figure


def _scatter(y: Array, mean: Array, low: Array, high: Array, names: tuple[str, str], title: str) -> Figure:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from priorhood.plot.figure import style

    figure, axes = _page(0.6)
    inside = (y >= low) & (y <= high)
    step = -(-len(y) // MOST_POINTS)
    for those, colour, marker, words in (
        (inside, style.COLOURS[0], "o", "inside its 90 % interval"),
        (~inside, style.COLOURS[1], "x", "outside"),
    ):
        part = np.flatnonzero(those)[::step]
        axes.plot(mean[part], y[part], marker, color=colour, markersize=2.5, alpha=0.5, markeredgewidth=0.7,
                  label=words)  # fmt: skip
    finite = np.isfinite(mean)
    both = np.concatenate([mean[finite], y])
    ends = np.quantile(both, [0.0005, 0.9995])
    if both.min() > 0 and np.quantile(y, 0.99) > WIDE * np.quantile(y, 0.01):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(style.number))
        ends = ends * np.array([0.9, 1.1])
    else:
        style.numbers(axes.xaxis, 5)
        style.numbers(axes.yaxis, 6)
        ends = ends + 0.05 * np.ptp(ends) * np.array([-1, 1])
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.plot(ends, ends, color=style.INK, linewidth=0.9, linestyle="--")
    style.words(axes.set_xlabel(f"predicted {names[1]}: {names[0]}", labelpad=2))
    style.words(axes.set_ylabel(f"observed: {names[0]}", labelpad=4))
    axes.legend(loc="upper left", fontsize=style.SMALL, frameon=False, labelcolor=style.INK, markerscale=2)
    _tenths(figure, mean, inside)
    cut = int(((y < ends[0]) | (y > ends[1]) | (mean < ends[0]) | (mean > ends[1])).sum())
    beyond = f" {rows_of(cut)} beyond the axes." if cut else ""
    few = f" One point of {step} is drawn." if step > 1 else ""
    _said(figure, f"{100 * inside.mean():.3g} % of the rows lie inside their 90 % predictive intervals",
          f"{title}.{few}{beyond}")  # fmt: skip
    return figure


def _tenths(figure: Figure, mean: Array, inside: Flags) -> None:
    """The share of rows inside their intervals, by tenths of the predicted mean, with binomial limits."""
    from scipy.stats import binom

    from priorhood.plot.figure import style

    left = LEFT + 0.6 * (WIDTH - LEFT - RIGHT) + 0.75
    room = ((WIDTH - RIGHT - left) / WIDTH, (HEIGHT - TOP - BELOW) / HEIGHT)
    axes = figure.add_axes((left / WIDTH, BELOW / HEIGHT, *room))
    style.plain(axes)
    parts = [part for part in np.array_split(np.argsort(mean, kind="stable"), TENTHS) if len(part)]
    shares = np.array([100 * inside[part].mean() for part in parts])
    sizes = np.array([len(part) for part in parts])
    at = np.arange(1, len(parts) + 1)
    low, high = (100 * binom.ppf(q, sizes, 0.9) / sizes for q in (0.005, 0.995))
    axes.fill_between(np.r_[0.5, at, len(parts) + 0.5], np.r_[low[0], low, low[-1]], np.r_[high[0], high, high[-1]],
                      color=style.BAND, linewidth=0)  # fmt: skip
    axes.axhline(90, color=style.INK, linewidth=0.8, linestyle="--")
    out = (shares < low) | (shares > high)
    for those, colour, marker in ((~out, style.COLOURS[0], "o"), (out, style.WARNING, "X")):
        axes.plot(at[those], shares[those], marker, color=colour, markersize=6)
    axes.set_xlim(0.5, len(parts) + 0.5)
    axes.set_ylim(min(70.0, shares.min() - 4), 102)
    axes.set_xticks(at)
    style.numbers(axes.yaxis, 5)
    style.words(axes.set_xlabel("tenth of the rows, by prediction", labelpad=2))
    style.words(axes.set_ylabel("% of rows inside; grey: 99 % of right ones", labelpad=4))
