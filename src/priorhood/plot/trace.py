"""The density and the course of every chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.check import ESS_PER_CHAIN, R_HAT_LIMIT
from priorhood.design import INTERCEPT
from priorhood.errors import ModelError, near, some
from priorhood.plot.kernel import BOUNDS, smoothed
from priorhood.priors import base_of
from priorhood.summary import below_diagonal, convergence, labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.posterior import Posterior

Array = npt.NDArray[np.float64]

MOST_ROWS = 20
# Inches.
WIDTH, ROW, LEFT, GAP, RIGHT, ABOVE, TOP, BELOW = 11.0, 2.05, 0.45, 1.2, 0.25, 0.48, 0.45, 0.48
# Points of a trace beyond which a line hides what it shows.
LONGEST = 4000


@dataclass(frozen=True)
class _Row:
    label: str
    unit: str
    values: Array  # (chain, draw)
    verdict: str
    good: bool


def trace(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """The density of each chain, left, and its course, right; one row a parameter, in the data's units.

    Parameters
    ----------
    post : a posterior
    var_names : parameters, such as "tau", or single ones as the summary has them, "tau[living_space]"; if None
        those that are not of a place, such as mu, tau, omega; with places, all that the places have
    places : the formula's group = a label or several, zip="12047", for the coefficients of these places

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("trace.png")` writes it. Ticks below a trace are
    divergent transitions.

    Raises
    ------
    ModelError : unknown parameters or places, more than 20 rows, no matplotlib
    """
    rows = _rows(post, _chosen(post, var_names, places))
    stats = post.tree["sample_stats"]
    diverging = None
    if "diverging" in stats:
        diverging = stats["diverging"].transpose("chain", "draw").values.astype(bool)
    return _drawn(rows, diverging, post["mu" if "mu" in post.parameters else post.parameters[0]]["chain"].values)


# -- which rows -------------------------------------------------------------------------------------------


def _chosen(
    post: Posterior, var_names: str | Sequence[str] | None, places: dict[str, object]
) -> list[tuple[str, xr.DataArray]]:
    """Names and standardized draws, of the places asked for."""
    names = [var_names] if isinstance(var_names, str) else var_names
    group = _group(post)
    labels = _labels(post, places)
    if names is None:
        kinds = {group} if labels else set(post.model.formula.places)
        names = [name for name in post.parameters if bool(kinds & set(post[name].dims)) == bool(labels)]
    if not names:
        raise ModelError(f"trace was given no parameters; there are {', '.join(post.parameters)}")
    found = []
    for name in dict.fromkeys(names):
        base = str(name).partition("[")[0]
        if base not in post.parameters:
            raise ModelError(f"the posterior has no parameter {name!r}; {near(str(name), post.parameters)}")
        draws = post[base]
        if labels and group in draws.dims:
            draws = draws.sel({group: labels})
        found.append((name, draws))
    _check_number(post, found)
    return found


def _group(post: Posterior) -> str:
    return post.model.formula.group


def _known(post: Posterior) -> list[str]:
    """The labels of the finest groups."""
    return [str(label) for label in post.hierarchy.levels[0].labels] if post.hierarchy.levels else []


def _labels(post: Posterior, places: dict[str, object]) -> list[str]:
    """The places asked for, as the posterior writes them."""
    group = _group(post)
    for name in places:
        if name != group:
            raise ModelError(
                f"{name!r} is not the group of {post.model.formula.text!r}; "
                + (f"it is {group!r}: {group}=…" if group else "it has none")
            )
    if not places:
        return []
    given = places[group]
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    wanted = [str(one) for one in several]
    if not wanted:
        raise ModelError(f"{group} was given no label; there are {some(_known(post))}")
    known = set(_known(post))
    for label in wanted:
        if label not in known:
            raise ModelError(f"the posterior has no {group} {label!r}; {near(label, _known(post))}")
    return list(dict.fromkeys(wanted))


def _rows(post: Posterior, chosen: list[tuple[str, xr.DataArray]]) -> list[_Row]:
    found: dict[str, Array] = {}
    for name, draws in chosen:
        base, single, _ = name.partition("[")
        values = (draws * post.natural_factor(base)).transpose(*draws.dims).values
        values = values.reshape(*draws.shape[:2], -1)
        shown = {label: values[:, :, at] for at, label in _shown(base, draws)}
        if single and name not in shown:
            raise ModelError(f"the posterior has no parameter {name!r}; {near(name, shown)}")
        found |= {name: shown[name]} if single else shown
    r_hat, bulk, _ = convergence(np.stack(list(found.values()), axis=-1))
    return [
        _Row(label, _axis_words(post, label), values, *_verdict(r_hat[at], bulk[at], len(values)))
        for at, (label, values) in enumerate(found.items())
    ]


def _shown(base: str, draws: xr.DataArray) -> list[tuple[int, str]]:
    """Positions and labels of a parameter's elements; of omega those below the diagonal."""
    labels = list(enumerate(labels_of(base, draws)))
    if base_of(base) != "omega":
        return labels
    return [one for one, below in zip(labels, below_diagonal(draws), strict=True) if below]


def _check_number(post: Posterior, chosen: list[tuple[str, xr.DataArray]]) -> None:
    counts = {name: 1 if "[" in name else len(_shown(name, draws)) for name, draws in chosen}
    total = sum(counts.values())
    if total <= MOST_ROWS:
        return
    group = _group(post)
    name, draws = max(chosen, key=lambda one: counts[one[0]])
    advice = f"single ones, var_names=[{_shown(name.partition('[')[0], draws)[0][1]!r}, …]"
    if any(group in draws.dims for _, draws in chosen):
        label = _known(post)[0]
        keyword = f"{group}={label!r}" if group.isidentifier() else f"**{{{group!r}: {label!r}}}"
        advice = f"fewer places, {keyword}, or {advice}"
    raise ModelError(f"{total:,} parameters do not fit into one picture, {MOST_ROWS} do: choose {advice}")


def _axis_words(post: Posterior, label: str) -> str:
    """What the axis of a parameter counts."""
    name, _, inside = label.partition("[")
    if base_of(name) == "omega":
        return "correlation"
    if name == "nu":
        return "degrees of freedom"
    if name == "sigma_spread":
        return "sd of log sigma"
    if name in ("sigma", "sigma_median"):
        return post.model.unit_of(INTERCEPT)
    term = inside[:-1]
    if base_of(name) in ("beta", "delta"):
        # Labels of groups may have commas; terms are those of the model.
        term = next(t for t in sorted(post.design.names, key=len, reverse=True) if term.endswith(f", {t}"))
    return post.model.unit_of(term)


def _verdict(r_hat: float, bulk: float, chains: int) -> tuple[str, bool]:
    """Convergence in words, and whether it will do."""
    if np.isnan(bulk):
        return "a constant", True
    enough = bulk >= ESS_PER_CHAIN * chains
    worth = (
        f"worth {bulk:,.0f} independent draws (bulk ESS{'' if enough else f', under {ESS_PER_CHAIN * chains:,}'})"
    )
    if chains == 1:
        return f"one chain, none to compare it with; {worth}", False
    agree = r_hat <= R_HAT_LIMIT
    text = (
        f"chains agree (R-hat {r_hat:.3f})" if agree else f"chains disagree (R-hat {r_hat:.3f}, over {R_HAT_LIMIT})"
    )
    return f"{text}, {worth}", bool(agree and enough)


# -- the picture ------------------------------------------------------------------------------------------


def _drawn(rows: list[_Row], diverging: npt.NDArray[np.bool_] | None, chains: npt.NDArray[Any]) -> Figure:
    from priorhood.plot import style

    height = TOP + ROW * len(rows)
    figure = style.picture(WIDTH, height)
    wide = (WIDTH - LEFT - GAP - RIGHT) / 2
    inner = ROW - ABOVE - BELOW
    for at, row in enumerate(rows):
        bottom = (height - TOP - ROW * (at + 1) + BELOW) / height
        left = figure.add_axes((LEFT / WIDTH, bottom, wide / WIDTH, inner / height))
        right = figure.add_axes(((LEFT + wide + GAP) / WIDTH, bottom, wide / WIDTH, inner / height))
        _density(left, row)
        _course(right, row, diverging)
        top = bottom + inner / height
        for lift, text, look in (
            (0.22, style.shortened(row.label, 100), {"size": style.NORMAL, "colour": style.INK, "bold": True}),
            (0.06, row.verdict, {"colour": style.SOFT if row.good else style.WARNING}),
        ):
            style.words(figure.text(LEFT / WIDTH, top + lift / height, text), **look)
    _legend(figure, chains, diverging, height)
    return figure


def _density(axes: Axes, row: _Row) -> None:
    from priorhood.plot import style

    style.plain(axes)
    for at, draws in enumerate(row.values):
        grid, density = smoothed(draws, *BOUNDS.get(row.label.partition("[")[0], (-np.inf, np.inf)))
        axes.plot(grid, density, linewidth=1.2, marker="", **style.chain_look(at))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(bottom=0)
    style.numbers(axes.xaxis, 6)
    style.words(axes.set_xlabel(style.shortened(row.unit, 80), labelpad=2))


def _course(axes: Axes, row: _Row, diverging: npt.NDArray[np.bool_] | None) -> None:
    from priorhood.plot import style

    style.plain(axes)
    draws = row.values.shape[1]
    step = max(1, -(-draws // LONGEST))
    positions = np.arange(0, draws, step)
    for at, values in enumerate(row.values):
        look = style.chain_look(at)
        axes.plot(positions, values[::step], linewidth=0.5, alpha=0.75, marker="", **look)
        if diverging is not None and diverging[at].any():
            when = np.flatnonzero(diverging[at])
            axes.plot(
                when, np.full(len(when), 0.03), "|", transform=axes.get_xaxis_transform(), markersize=7,
                markeredgewidth=0.8, color=look["color"], clip_on=False, zorder=3,
            )  # fmt: skip
    if diverging is not None and diverging.any():
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.08 * (high - low), high)
    axes.set_xlim(0, max(draws - 1, 1))
    style.numbers(axes.xaxis, 6)
    style.numbers(axes.yaxis, 4)
    style.words(axes.set_xlabel("draw", labelpad=2))
    style.words(axes.set_ylabel(style.shortened(row.unit, 20, middle=False), labelpad=4))


def _legend(
    figure: Figure, chains: npt.NDArray[Any], diverging: npt.NDArray[np.bool_] | None, height: float
) -> None:
    from matplotlib.lines import Line2D

    from priorhood.plot import style

    handles: list[Line2D] = [
        Line2D([], [], linewidth=1.5, label=f"chain {name}", **style.chain_look(at))  # type: ignore[arg-type]
        for at, name in enumerate(chains[:8])
    ]
    if len(chains) > 8:
        handles.append(Line2D([], [], linestyle="", label=f"and {len(chains) - 8} more"))
    if diverging is not None and diverging.any():
        count = f"{int(diverging.sum()):,} of {diverging.size:,} transitions diverged"
        handles.append(Line2D([], [], linestyle="", marker="|", color=style.SOFT, markersize=7, label=count))
    figure.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(1 - RIGHT / WIDTH, 1 - 0.08 / height),
        ncols=len(handles), fontsize=style.SMALL, frameon=False, borderaxespad=0, labelcolor=style.INK,
    )  # fmt: skip
