"""Posterior predictive checks: observed and replicated outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MAX_DRAWS, check_choice, check_seed, check_whole, suggest_argument_names
from priorhood._text import preview, row_count, suggestion
from priorhood.errors import ModelError, TableError
from priorhood.evaluation.residuals import outcome_required, thinned
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import bandwidth, binned_density
from priorhood.plot.figure.select_places import axis_name
from priorhood.prediction.observed import used_rows
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import UNSEEN, predict_rows, request, simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags
    from priorhood.posterior.posterior import Posterior

KINDS = ("density", "histogram", "scatter")
MAX_ROWS = 20_000  # rows in a picture; of more, evenly spaced ones are used
MAX_POINTS = 5_000
DRAWS = {"density": 50, "histogram": 200, "scatter": 1000}
SPAN = (0.001, 0.999)  # quantiles of the observed outcomes that the axis covers, with a margin
WIDE = 20.0  # the axis is logarithmic if the 99 % quantile is this many times the 1 % quantile
BARS, DECILES = 30, 10
# Inches.
WIDTH, LEFT, RIGHT, BELOW, HIGH, TOP = 9.0, 0.95, 0.3, 0.6, 3.1, 0.15
ROOM = WIDTH - LEFT - RIGHT
SCATTER = 0.6 * ROOM


@dataclass(frozen=True)
class _Outcomes:
    """Observed (n,) and replicated (S, n) outcomes.

    Attributes
    ----------
    y, replicated : array
    label : str
        Label of the axis.
    log_outcome : bool
        Whether the formula takes the log of the outcome.
    """

    y: Array
    replicated: Array
    label: str
    log_outcome: bool

    @property
    def logged(self) -> bool:
        """Return whether the axis is logarithmic."""
        low, high = np.quantile(self.y, [0.01, 0.99])
        return bool(self.y.min() > 0 and (self.log_outcome or high > WIDE * low))

    @property
    def ends(self) -> tuple[float, float]:
        """Return the ends of the axis, on its scale."""
        low, high = (float(v) for v in np.quantile(np.log(self.y) if self.logged else self.y, SPAN))
        room = 0.12 * (high - low) or max(abs(high), 1.0)
        return low - room, high + room

    def to_axis(self, values: Array) -> Array:
        """Return the values on the scale of the axis, without those beyond it."""
        kept = values[np.isfinite(values) & ((values > 0) | (not self.logged))]
        scaled = np.log(kept) if self.logged else kept
        low, high = self.ends
        return np.asarray(scaled[(scaled >= low) & (scaled <= high)])

    def from_axis(self, values: Array) -> Array:
        """Return values on the scale of the axis in the outcome's units."""
        return np.exp(values) if self.logged else values


@suggest_argument_names
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
    """Draw observed and replicated outcomes, y_rep ~ p(y | x_iᵀβ_g(i), sigma, nu), one draw per row.

    Parameters
    ----------
    post : Posterior
    table
        Anything that `read` accepts, with the outcome: the rows of the fit, or others.
    kind : str
        "density": density of the observed outcomes, in bold, and of single posterior draws; "histogram": number of
        rows in bins, and central 90 % of the replicated numbers; "scatter": outcomes against predicted means, and
        the share of rows inside their 90 % intervals, by decile of the prediction.
    draws : int, optional
        Number of posterior draws, evenly spaced; by default 50, 200 or 1,000.
    unseen : str
        How to treat a place that the fit did not have, see `Posterior.predict`.
    seed : int, optional
        Random seed; the posterior's by default.
    **group : str or list of str
        One or several labels of the formula's group, zip="12047", to use only the rows of these places.

    Returns
    -------
    matplotlib.figure.Figure
        Of more than 20,000 rows, evenly spaced ones are shown, as the subtitle says.

    Raises
    ------
    TableError, ModelError
        As for `posterior_predictive`; a missing outcome; an invalid kind, label or number of draws.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> ph.plot.predictive(post, sales, "histogram").axes[0].get_ylabel()
    'rows'
    """
    check_choice("kind", kind, KINDS)
    if draws is not None:
        check_whole("draws", draws, 1, MAX_DRAWS)
    check_choice("unseen", unseen, UNSEEN)
    seed = post.seed if seed is None else check_seed(seed)
    formula = post.model.formula
    c = thinned(post, draws or DRAWS[kind])
    used = used_rows(outcome_required(post, post.placed(table)), c, unseen)
    labels, where, keep = np.asarray(used.labels), "", np.ones(len(used.kept), dtype=bool)
    for name, given in group.items():
        own = formula.group
        if not (own and formula.levels[0].is_called(name)):
            hint = f"it is {own!r}: {own}=…" if own else "it has none"
            raise ModelError(f"{name!r} is not the group of {formula.text!r}; {hint}")
        several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
        asked, known = [str(label) for label in several], sorted(set(labels.tolist()))
        if not asked:
            raise ModelError(f"{own}= needs at least one label; choose from {preview(known)}")
        for label in asked:
            if label not in known:
                raise TableError(f"no usable row has {own} {label!r}; {suggestion(label, known)}")
        keep, where = np.isin(labels, asked), f", {own} {', '.join(asked)}"
    chosen = np.flatnonzero(keep)
    few = chosen[:: -(-len(chosen) // MAX_ROWS)]
    size = row_count(len(chosen))
    if len(few) < len(chosen):
        size = f"{len(few):,} of {size}, evenly spaced"
    subtitle = f"{formula.text}: {size}{where}"
    y, positions = np.asarray(used.y)[few], used.kept[few]
    y = np.exp(y) if formula.log_outcome else y
    outcome = axis_name(post, formula.outcome_name)
    if kind == "scatter":
        parts = {part: getattr(used.rows, part)[positions] for part in ("X", "error", "group", "status")}
        wanted = request((0.05, 0.5, 0.95), unseen=unseen, seed=seed)
        prediction = predict_rows(c, replace(used.rows, **parts), wanted, post._tails)
        # Student's t has no mean for small nu, its exp none at all, nor a Normal's if a scale has a long tail.
        centre = "mean" if np.isfinite(prediction.mean).all() else "median"
        low, median, high = prediction.quantiles.values()
        middle = prediction.mean if centre == "mean" else median
        names = (f"predicted {centre}: {outcome}", f"observed: {outcome}")
        return _scatter(y, middle, (y >= low) & (y <= high), names, subtitle)
    replicated = np.empty((len(c.mu), len(positions)))
    simulate(used.rows, Groups(c, used.rows.spots, unseen, seed), positions, replicated)
    outcomes = _Outcomes(y, replicated, outcome, formula.log_outcome)
    beyond = 1.0 - sum(len(outcomes.to_axis(draw)) for draw in replicated) / replicated.size
    note = "" if beyond < 0.0005 else f" {100 * beyond:.2g} % of the replicated outcomes lie beyond the axis."
    return (_density if kind == "density" else _histogram)(outcomes, subtitle, note)


def _outcome_axis(axes: Axes, outcomes: _Outcomes) -> None:
    """Set label, ticks and limits of the axis of the outcome."""
    low, high = outcomes.from_axis(np.array(outcomes.ends)).tolist()
    style.number_ticks(axes.xaxis, 7, outcomes.label + (" (log axis)" if outcomes.logged else ""))
    if outcomes.logged:
        axes.set_xscale("log")
        style.log_ticks(axes.xaxis, (1,) if high / low > 1e4 else (1, 2, 5))
    axes.set_xlim(low, high)


def _density(outcomes: _Outcomes, subtitle: str, note: str) -> Figure:
    """Draw densities, all with the bandwidth of the observed outcomes."""
    # The largest difference between the observed and the mean replicated distribution function.
    grid = np.unique(np.quantile(outcomes.y, np.linspace(0.01, 0.99, 99)))
    observed, replicated = (
        np.searchsorted(np.sort(values, axis=None), grid, side="right") / values.size
        for values in (outcomes.y, outcomes.replicated)
    )
    apart = np.abs(observed - replicated)
    farthest = int(np.argmax(apart))
    cut = float(grid[farthest])
    digits = 2 - int(np.floor(np.log10(abs(cut)))) if cut else 0
    points = f"{100 * apart[farthest]:.2g}"
    title = (
        f"Observed and replicated shares differ by at most {points} percentage point{'' if points == '1' else 's'} "
        f"(below {style.number(round(cut, digits))})"
    )
    figure = page.new_figure(title, f"{subtitle}.{note}", WIDTH, TOP + HIGH + BELOW)
    axes = page.add_panel(figure, LEFT, BELOW, ROOM, HIGH)
    low, high = outcomes.ends
    edges, width = np.linspace(low, high, 513), bandwidth(outcomes.to_axis(outcomes.y))
    width = width if np.isfinite(width) else (high - low) / 50

    def draw(values: Array, **look: object) -> None:
        x, density = binned_density(edges, outcomes.to_axis(values), width, "constant", len(values))
        axes.plot(outcomes.from_axis(x), density, **look)  # type: ignore[arg-type]

    for values in outcomes.replicated:
        draw(values, color=style.COLOURS[4], linewidth=0.6, alpha=0.5)
    axes.plot([], [], color=style.COLOURS[4], linewidth=1.2, label=f"{len(outcomes.replicated):,} posterior draws")
    draw(outcomes.y, color=style.INK, linewidth=2.0, label="observed")
    style.hide_y_axis(axes)
    axes.set_ylim(bottom=0)
    _outcome_axis(axes, outcomes)
    style.format_text(axes.set_ylabel("density", labelpad=4))
    style.corner_legend(axes)
    return figure


def _histogram(outcomes: _Outcomes, subtitle: str, note: str) -> Figure:
    """Draw observed numbers of rows in bins, and the central 90 % of replicated ones."""
    edges = np.linspace(*outcomes.ends, BARS + 1)
    observed = np.histogram(outcomes.to_axis(outcomes.y), edges)[0]
    replicated = np.stack([np.histogram(outcomes.to_axis(draw), edges)[0] for draw in outcomes.replicated])
    low, middle, high = np.quantile(replicated, [0.05, 0.5, 0.95], axis=0)
    outside, filled = (observed < low) | (observed > high), (observed > 0) | (high > 0)
    title = (
        f"In {int((~outside & filled).sum())} of {int(filled.sum())} bins the observed count lies inside the 90 % "
        f"interval of the replicated counts"
    )
    subtitle = f"{subtitle}. Expected: 9 in 10. {len(outcomes.replicated):,} draws.{note}"
    figure = page.new_figure(title, subtitle, WIDTH, TOP + HIGH + BELOW)
    axes = page.add_panel(figure, LEFT, BELOW, ROOM, HIGH)
    left, centre = outcomes.from_axis(edges), outcomes.from_axis((edges[1:] + edges[:-1]) / 2)
    axes.bar(left[:-1], observed, width=np.diff(left), align="edge", color=style.BAND, edgecolor="white",
             linewidth=0.6, label="observed")  # fmt: skip
    for chosen, colour, marker, label in (
        (~outside, style.COLOURS[0], "o", "replicated: median and central 90 %"),
        (outside, style.WARNING, "X", "replicated, observed count outside"),
    ):
        if chosen.any():
            reach = np.stack([(middle - low)[chosen], (high - middle)[chosen]])
            axes.errorbar(centre[chosen], middle[chosen], reach, fmt=marker, color=colour, markersize=3.5,
                          linewidth=1.3, label=label)  # fmt: skip
    _outcome_axis(axes, outcomes)
    axes.set_ylim(bottom=0)
    style.number_ticks(axes.yaxis, 5, "rows", pad=4)
    style.corner_legend(axes)
    return figure


def _scatter(y: Array, mean: Array, inside: Flags, names: tuple[str, str], subtitle: str) -> Figure:
    """Draw outcomes against predictions and, to the right, the share of rows inside their intervals."""
    finite = np.isfinite(mean)
    both = np.concatenate([mean[finite], y])
    ends = np.quantile(both, [0.0005, 0.9995])
    logged = both.min() > 0 and np.quantile(y, 0.99) > WIDE * np.quantile(y, 0.01)
    ends = ends * np.array([0.9, 1.1]) if logged else ends + 0.05 * np.ptp(ends) * np.array([-1, 1])
    cut = int(((y < ends[0]) | (y > ends[1]) | (mean < ends[0]) | (mean > ends[1])).sum())
    step = -(-len(y) // MAX_POINTS)
    subtitle = f"{subtitle}.{f' One point in {step} is shown.' if step > 1 else ''}"
    subtitle += f" {row_count(cut)} beyond the axes." if cut else ""
    title = f"{100 * inside.mean():.3g} % of the rows lie inside their 90 % predictive intervals"
    figure = page.new_figure(title, subtitle, WIDTH, TOP + HIGH + BELOW)
    axes = page.add_panel(figure, LEFT, BELOW, SCATTER, HIGH)
    for chosen, colour, marker, label in (
        (inside, style.COLOURS[0], "o", "inside its 90 % interval"),
        (~inside, style.COLOURS[1], "x", "outside"),
    ):
        part = np.flatnonzero(chosen)[::step]
        axes.plot(mean[part], y[part], marker, color=colour, markersize=2.5, alpha=0.5, markeredgewidth=0.7,
                  label=label)  # fmt: skip
    style.number_ticks(axes.xaxis, 5, names[0])
    style.number_ticks(axes.yaxis, 6, names[1], pad=4)
    if logged:
        axes.set_xscale("log")
        axes.set_yscale("log")
        style.log_ticks(axes.xaxis, most=9)
        style.log_ticks(axes.yaxis, most=9)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.plot(ends, ends, color=style.INK, linewidth=0.9, linestyle="--")
    style.corner_legend(axes, "left", markerscale=2)

    # By deciles of the prediction.
    left = LEFT + SCATTER + 0.75
    axes = page.add_panel(figure, left, BELOW, WIDTH - RIGHT - left, HIGH)
    parts = [part for part in np.array_split(np.argsort(mean, kind="stable"), DECILES) if len(part)]
    shares, sizes = (np.array([measure(inside[part]) for part in parts]) for measure in (np.mean, np.size))
    shares, number = 100 * shares, np.arange(1, len(parts) + 1)
    x = np.r_[0.5, number, len(parts) + 0.5]
    low, high = (edge[1:-1] for edge in page.draw_coverage_band(axes, x, np.pad(sizes, 1, "edge")))
    style.plot_points(axes, number, shares, (shares < low) | (shares > high), markersize=6)
    axes.set_xlim(0.5, len(parts) + 0.5)
    axes.set_ylim(min(70.0, shares.min() - 4), 102)
    axes.set_xticks(number)
    style.format_text(axes.set_xlabel("decile of the prediction", labelpad=2))
    style.number_ticks(axes.yaxis, 5, "% of rows inside; grey: 99 % band for a correct model", pad=4)
    return figure
