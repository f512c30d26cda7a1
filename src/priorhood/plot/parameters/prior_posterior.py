"""Prior against posterior: what the data have said about every parameter that no place has of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import near
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.priors import LKJ, Fixed, Normal, Prior, Uniform, split_label
from priorhood.plot.figure import page
from priorhood.plot.figure.kde import smoothed
from priorhood.plot.figure.select_places import flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MOST = 40
GRID = 400
# Draws of a prior from which its width is taken, no density.
WIDTHS = 20_000
# A prior up to so many times as wide as the posterior is shown whole.
WHOLE = 8.0
# Inches.
WIDTH, PANEL, GAP, TITLE, AXIS, FOOT = 11.0, 1.95, 0.3, 0.42, 0.5, 0.4


@dataclass(frozen=True)
class Compared:
    """One parameter: its draws (S,) and its prior's density, both in the data's units.

    bounds : outside of which both are 0; width : of the prior's middle 90 %; family : as text
    """

    name: str
    unit: str
    draws: Array
    prior: Callable[[Array], Array]
    bounds: tuple[float, float]
    middle: Array
    family: str
    known: bool


def priors(post: Posterior, var_names: str | Sequence[str] | None = None) -> Figure:
    """The prior and the posterior density of mu, tau, omega, sigma and nu, in the data's units.

    The prior's is its family's, exactly; of a correlation in LKJ(eta) of K terms, (ρ + 1)/2 is
    Beta(b, b), b = eta − 1 + K/2. The posterior's is a kernel's, kept within the parameter's bounds.

    Parameters
    ----------
    post : a posterior
    var_names : parameters, such as "tau", or single ones, "tau[living_space]"; all if None

    Returns
    -------
    matplotlib Figure; `savefig("priors.png")` writes it. Axes show the posterior; where the prior is far wider,
    only its part there, and by how much it is

    Raises
    ------
    ModelError : unknown parameters, over 40, no matplotlib
    """
    every = list(compared(post))
    names = [var_names] if isinstance(var_names, str) else var_names
    if names is not None:
        known = list(dict.fromkeys(text for one in every for text in (one.name, split_label(one.name)[0])))
        for name in names:
            if name not in known:
                raise ModelError(f"{name!r} is no parameter with a prior to compare; {near(str(name), known)}")
        every = [one for one in every if {one.name, split_label(one.name)[0]} & set(names)]
    if not 0 < len(every) <= MOST:
        raise ModelError(f"{len(every)} parameters do not fit into one picture, 1 to {MOST} do: choose var_names")
    return _drawn(post, every)


# -- what is compared ---------------------------------------------------------------------------------------


def compared(post: Posterior) -> Iterator[Compared]:
    """Every parameter that no place has of its own, in reading order."""
    resolved = post.model.resolve(post.design)
    formula = post.model.formula
    for column, normal in zip(post.design.population_columns, resolved.mu, strict=True):
        yield _element(post, "mu", column.name, normal)
    for at, spreads in enumerate(resolved.tau):
        for column, spread in zip(post.design.level_columns(at), spreads, strict=True):
            yield _element(post, f"tau{formula.suffix(at)}", column.name, spread)
    for at, lkj in enumerate(resolved.omega):
        if lkj is not None:
            yield from _correlations(post, at, lkj)
    for name, prior in (
        ("sigma", resolved.sigma if post.model.noise is None else None), ("sigma_median", resolved.sigma_median),
        ("sigma_spread", resolved.sigma_spread), ("nu", resolved.nu),
    ):  # fmt: skip
        if prior is not None:
            yield _scale(post, name, prior)


def _element(post: Posterior, name: str, term: str, prior: Prior) -> Compared:
    """One coefficient of mu or tau."""
    draws = flat(post, name)
    terms = post[name][str(post[name].dims[-1])].values.astype(str).tolist()
    factor = float(post.scale.natural()[post.design.names.index(term)])
    return _compared(f"{name}[{term}]", post.model.unit_of(term), draws[:, terms.index(term)], prior, factor)


def _scale(post: Posterior, name: str, prior: Prior) -> Compared:
    pure = {"nu": "degrees of freedom", "sigma_spread": "sd of log sigma"}
    unit = pure.get(name, post.model.unit_of(INTERCEPT))
    return _compared(name, unit, flat(post, name), prior, 1.0 if name in pure else post.scale.unit)


def _compared(name: str, unit: str, draws: Array, prior: Prior, factor: float) -> Compared:
    """A parameter that is `factor` times what its prior is of."""
    low = -np.inf if isinstance(prior, Normal) else 0.0
    bounds = (prior.lower * factor, prior.upper * factor) if isinstance(prior, Uniform) else (low, np.inf)
    drawn = prior.sample(np.random.default_rng(0), WIDTHS)  # type: ignore[arg-type]
    middle = np.quantile(drawn, [0.05, 0.95]) * factor

    def density(x: Array) -> Array:
        inside = np.maximum(x / factor, 1e-150) if low == 0 else x / factor
        return np.asarray(np.exp(prior.logpdf(inside)) / factor)  # type: ignore[union-attr]

    text = f"{prior.scaled(factor)}"  # type: ignore[union-attr]
    return Compared(name, unit, draws, density, bounds, middle, text, isinstance(prior, Fixed))


def _correlations(post: Posterior, at: int, lkj: LKJ) -> Iterator[Compared]:
    """The pairs below the diagonal."""
    name = f"omega{post.model.formula.suffix(at)}"
    draws = flat(post, name)
    names = [column.name for column in post.design.level_columns(at)]
    K = len(names)
    beta = lkj.eta - 1 + K / 2
    for i in range(K):
        for j in range(i):
            yield Compared(
                f"{name}[{names[i]}, {names[j]}]", "correlation", draws[:, i, j], marginal_of_lkj(beta),
                (-1.0, 1.0), _beta_middle(beta), str(lkj), known=False,
            )  # fmt: skip


def marginal_of_lkj(b: float) -> Callable[[Array], Array]:
    """The density of one correlation, (ρ + 1)/2 ~ Beta(b, b)."""
    norm = math.lgamma(2 * b) - 2 * math.lgamma(b) + (1 - 2 * b) * math.log(2)
    return lambda x: np.exp(norm + (b - 1) * np.log(np.maximum(1 - x * x, 1e-300)))


def _beta_middle(b: float) -> Array:
    from scipy.special import betaincinv

    return np.asarray(2 * betaincinv(b, b, np.array([0.05, 0.95])) - 1)


# -- the picture --------------------------------------------------------------------------------------------


def _drawn(post: Posterior, every: list[Compared]) -> Figure:
    from priorhood.plot.figure import style

    columns = min(4, len(every))
    rows = -(-len(every) // columns)
    width = WIDTH if columns > 2 else WIDTH * 0.6
    told = f"{post.model.formula.text}. Numbers of a prior are in the data's units."
    if post.model.noise is not None and post.model.resolve(post.design).sigma is not None:
        told += f" Every {post.model.noise}'s own sigma: plot.forest(post, 'sigma')."
    heading = page.Heading(_finding(every), told, width)
    figure = style.picture(width, heading.height + rows * PANEL + FOOT)
    heading.put(figure)
    wide = (width - 2 * page.EDGE - GAP * (columns - 1)) / columns
    for at, one in enumerate(every):
        row, column = divmod(at, columns)
        bottom = FOOT + (rows - 1 - row) * PANEL + AXIS
        axes = page.panel(figure, page.EDGE + column * (wide + GAP), bottom, wide, PANEL - TITLE - AXIS)
        _panel(axes, one)
        page.title(axes, one.name, _ratio(one), wide)
        style.words(axes.set_xlabel(style.shortened(one.unit, int(wide * page.PLAIN)), labelpad=2))
    page.key(figure, [
        ("posterior", {"facecolor": style.COLOURS[0], "alpha": 0.4}),
        ("prior", {"color": style.PRIOR, "linestyle": "--", "linewidth": 1.3}),
    ])  # fmt: skip
    return figure


def _panel(axes: Axes, one: Compared) -> None:
    from priorhood.plot.figure import style

    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    style.numbers(axes.xaxis, 4)
    if one.known:
        axes.axvline(one.draws[0], color=style.COLOURS[0], linewidth=2)
        return
    x, y = smoothed(one.draws, *one.bounds)
    low, high = x[0], x[-1]
    if _wider(one) <= WHOLE:
        low, high = min(low, one.middle[0]), max(high, one.middle[1])
    if np.isfinite(one.bounds).all() and _wider(one) <= WHOLE:
        low, high = one.bounds
    elif one.bounds[0] > -np.inf and low - one.bounds[0] < 0.5 * (high - low):
        low = one.bounds[0]
    grid = np.linspace(low, high, GRID)
    # The end itself may be a pole of the density.
    grid[0] += 1e-6 * (high - low)
    prior = one.prior(grid)
    axes.fill_between(x, y, color=style.COLOURS[0], alpha=0.4, linewidth=0)
    axes.plot(x, y, color=style.COLOURS[0], linewidth=1.2, marker="")
    axes.plot(grid, prior, color=style.PRIOR, linewidth=1.3, linestyle="--", marker="")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.06 * max(y.max(), min(prior.max(), 3 * y.max())))


def _wider(one: Compared) -> float:
    """How many times as wide the prior's middle 90 % is as the posterior's."""
    own = float(np.subtract(*np.quantile(one.draws, [0.95, 0.05])))
    return float(one.middle[1] - one.middle[0]) / own if own > 0 else np.inf


def _ratio(one: Compared) -> str:
    if one.known:
        return f"{one.family}: known"
    return f"{one.family}: {page.amount(_times(_wider(one)))} × as wide"


def _times(value: float) -> float:
    """Two digits."""
    return float(f"{value:.2g}")


def _finding(every: list[Compared]) -> str:
    """For which parameter the prior matters most."""
    learned = [one for one in every if not one.known]
    if not learned:
        return "All of these are known: there is nothing to learn"
    least = min(learned, key=_wider)
    times = _times(_wider(least))
    if times < 1.5:
        return (
            f"The data say little about {least.name}: its prior is {page.amount(times)} × as wide as its posterior"
        )
    return f"All priors are at least {page.amount(times)} × as wide as the posteriors (the least: {least.name})"
