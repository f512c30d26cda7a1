"""Prior against posterior density of every parameter that no place has of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import suggestion
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.priors import Fixed, Normal, Prior, Uniform, split_label
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import smoothed
from priorhood.plot.figure.select_parameters import PURE
from priorhood.plot.figure.select_places import flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MAX_PARAMETERS = 40
POINTS = 400
# Draws of a prior that give the width of its middle 90 %.
WIDTHS = 20_000
# A prior up to so many times as wide as the posterior is shown whole.
WHOLE = 8.0
# Inches.
WIDTH, FOOT = 11.0, 0.4
GRID = page.Grid(left=page.EDGE, right=page.EDGE, gap=0.3, foot=FOOT + 0.5, pitch=1.95, high=1.03)


@dataclass(frozen=True)
class Compared:
    """One parameter: its draws (S,) and the density of its prior, both in the data's units.

    bounds : ends of the support; middle : quantiles 5 and 95 % of the prior; family : the prior as text; known :
    whether it is Fixed
    """

    name: str
    unit: str
    draws: Array
    prior: Callable[[Array], Array]
    bounds: tuple[float, float]
    middle: Array
    family: str
    known: bool

    @property
    def wider(self) -> float:
        """Width of the prior's middle 90 % over that of the posterior."""
        own = float(np.subtract(*np.quantile(self.draws, [0.95, 0.05])))
        return float(self.middle[1] - self.middle[0]) / own if own > 0 else np.inf


def priors(post: Posterior, var_names: str | Sequence[str] | None = None) -> Figure:
    """Draw the prior and the posterior density of mu, tau, omega, sigma and nu, in the data's units.

    Parameters
    ----------
    post : Posterior
    var_names : str or list of str, optional
        Parameters, such as "tau", or single ones, "tau[living_space]"; all by default.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("priors.png")` writes it. Axes show the posterior; where the prior is far
        wider, only its part there, and how many times as wide it is.

    Raises
    ------
    ModelError
        Unknown parameters, over 40, no matplotlib.

    Notes
    -----
    The density of the prior is exact; for a correlation in LKJ(eta) of K terms, (ρ + 1)/2 is Beta(b, b),
    b = eta − 1 + K/2. That of the posterior is a kernel density within the parameter's bounds.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.priors(post, ["tau", "sigma"]).axes)
    3
    """
    every = list(compared(post))
    names = [var_names] if isinstance(var_names, str) else var_names
    if names is not None:
        known = list(dict.fromkeys(text for one in every for text in (one.name, split_label(one.name)[0])))
        for name in names:
            if name not in known:
                raise ModelError(
                    f"{name!r} is no parameter with a prior to compare; {suggestion(str(name), known)}"
                )
        every = [one for one in every if {one.name, split_label(one.name)[0]} & set(names)]
    if not 0 < len(every) <= MAX_PARAMETERS:
        raise ModelError(
            f"{len(every)} parameters do not fit into one picture, 1 to {MAX_PARAMETERS} do: choose var_names"
        )

    learned = [one for one in every if not one.known]
    finding = "All of these are known: there is nothing to learn"
    if learned:
        least = min(learned, key=lambda one: one.wider)
        times = f"{page.amount(float(f'{least.wider:.2g}'))} ×"
        finding = f"All priors are at least {times} as wide as the posteriors (the least: {least.name})"
        if float(f"{least.wider:.2g}") < 1.5:
            finding = f"The data say little about {least.name}: its prior is {times} as wide as its posterior"
    reading = f"{post.model.formula.text}. Numbers of a prior are in the data's units."
    if post.model.noise is not None and post.model.resolve(post.design).sigma is not None:
        reading += f" Every {post.model.noise}'s own sigma: plot.forest(post, 'sigma')."

    columns = min(4, len(every))
    width = WIDTH if columns > 2 else WIDTH * 0.6
    heading = page.Heading(finding, reading, width)
    figure = page.sheet(heading, heading.height + -(-len(every) // columns) * GRID.pitch + FOOT)
    wide = GRID.wide(width, columns)
    for axes, one in zip(GRID.panels(figure, len(every), columns), every, strict=True):
        _panel(axes, one)
        ratio = "known" if one.known else f"{page.amount(float(f'{one.wider:.2g}'))} × as wide"
        page.title(axes, one.name, f"{one.family}: {ratio}", wide)
        style.words(axes.set_xlabel(style.shortened(one.unit, int(wide * page.PLAIN)), labelpad=2))
    page.key(figure, [
        ("posterior", {"facecolor": style.COLOURS[0], "alpha": 0.4}),
        ("prior", {"color": style.PRIOR, "linestyle": "--", "linewidth": 1.3}),
    ])  # fmt: skip
    return figure


def compared(post: Posterior) -> Iterator[Compared]:
    """Every parameter that no place has of its own, in reading order."""
    from scipy.special import betaincinv

    resolved, formula, unit = post.model.resolve(post.design), post.model.formula, post.model.unit_of
    levels = [
        (f"tau{formula.suffix(at)}", post.design.level_columns(at), spreads)
        for at, spreads in enumerate(resolved.tau)
    ]
    for name, columns, priors_of in (("mu", post.design.population_columns, resolved.mu), *levels):
        draws, terms = flat(post, name), post[name][str(post[name].dims[-1])].values.astype(str).tolist()
        for column, one in zip(columns, priors_of, strict=True):
            term = column.name
            factor = float(post.scale.natural()[post.design.names.index(term)])
            yield _compared(f"{name}[{term}]", unit(term), draws[:, terms.index(term)], one, factor)
    for at, lkj in enumerate(resolved.omega):
        if lkj is None:
            continue
        name, names = f"omega{formula.suffix(at)}", [column.name for column in post.design.level_columns(at)]
        draws, beta = flat(post, name), lkj.eta - 1 + len(names) / 2
        middle = np.asarray(2 * betaincinv(beta, beta, np.array([0.05, 0.95])) - 1)
        for i in range(len(names)):
            for j in range(i):
                yield Compared(
                    f"{name}[{names[i]}, {names[j]}]", "correlation", draws[:, i, j], marginal_of_lkj(beta),
                    (-1.0, 1.0), middle, str(lkj), known=False,
                )  # fmt: skip
    for name, prior in (
        ("sigma", resolved.sigma if post.model.noise is None else None), ("sigma_median", resolved.sigma_median),
        ("sigma_spread", resolved.sigma_spread), ("nu", resolved.nu),
    ):  # fmt: skip
        if prior is not None:
            factor = 1.0 if name in PURE else post.scale.unit
            yield _compared(name, PURE.get(name, unit(INTERCEPT)), flat(post, name), prior, factor)


def _compared(name: str, unit: str, draws: Array, prior: Prior, factor: float) -> Compared:
    """A parameter that is `factor` times that of its prior."""
    low = -np.inf if isinstance(prior, Normal) else 0.0
    bounds = (prior.lower * factor, prior.upper * factor) if isinstance(prior, Uniform) else (low, np.inf)
    drawn = prior.sample(np.random.default_rng(0), WIDTHS)  # type: ignore[arg-type]
    middle = np.quantile(drawn, [0.05, 0.95]) * factor

    def density(x: Array) -> Array:
        inside = np.maximum(x / factor, 1e-150) if low == 0 else x / factor
        return np.asarray(np.exp(prior.logpdf(inside)) / factor)  # type: ignore[union-attr]

    text = f"{prior.scaled(factor)}"  # type: ignore[union-attr]
    return Compared(name, unit, draws, density, bounds, middle, text, isinstance(prior, Fixed))


def marginal_of_lkj(b: float) -> Callable[[Array], Array]:
    """The density of one correlation, (ρ + 1)/2 ~ Beta(b, b)."""
    norm = math.lgamma(2 * b) - 2 * math.lgamma(b) + (1 - 2 * b) * math.log(2)
    return lambda x: np.exp(norm + (b - 1) * np.log(np.maximum(1 - x * x, 1e-300)))


def _panel(axes: Axes, one: Compared) -> None:
    """Both densities of a parameter."""
    style.no_height(axes)
    style.numbers(axes.xaxis, 4)
    if one.known:
        axes.axvline(one.draws[0], color=style.COLOURS[0], linewidth=2)
        return
    x, y = smoothed(one.draws, *one.bounds)
    low, high = x[0], x[-1]
    if one.wider <= WHOLE:
        low, high = min(low, one.middle[0]), max(high, one.middle[1])
    if np.isfinite(one.bounds).all() and one.wider <= WHOLE:
        low, high = one.bounds
    elif one.bounds[0] > -np.inf and low - one.bounds[0] < 0.5 * (high - low):
        low = one.bounds[0]
    grid = np.linspace(low, high, POINTS)
    # The density may have a pole at the end itself.
    grid[0] += 1e-6 * (high - low)
    prior = one.prior(grid)
    axes.fill_between(x, y, color=style.COLOURS[0], alpha=0.4, linewidth=0)
    axes.plot(x, y, color=style.COLOURS[0], linewidth=1.2, marker="")
    axes.plot(grid, prior, color=style.PRIOR, linewidth=1.3, linestyle="--", marker="")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.06 * max(y.max(), min(prior.max(), 3 * y.max())))
