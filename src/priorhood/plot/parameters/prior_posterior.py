"""Prior and posterior density of every parameter shared by the places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import suggestion
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.priors import Fixed, Normal, Prior, Uniform, split_label
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import kernel_density
from priorhood.plot.figure.select_parameters import PURE
from priorhood.plot.figure.select_places import pooled_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MAX_PARAMETERS = 40
POINTS = 400
# Draws of a prior for the width of its central 90 %.
PRIOR_DRAWS = 20_000
# A prior up to this many times as wide as the posterior is shown in full.
MAX_SHOWN = 8.0
# Inches.
WIDTH, FOOT = 11.0, 0.4
GRID = page.Grid(left=page.EDGE, right=page.EDGE, gap=0.3, foot=FOOT + 0.5, pitch=1.95, height=1.03)


@dataclass(frozen=True)
class PriorPosterior:
    """One parameter with its prior, in units of the data.

    Attributes
    ----------
    name, unit : str
    draws : array
        (S,)
    prior : callable
        Density of the prior.
    bounds : (float, float)
        Ends of the support.
    middle : array
        Quantiles 5 and 95 % of the prior.
    family : str
        The prior as text.
    known : bool
        Whether the parameter is Fixed.
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
    def relative_width(self) -> float:
        """Return the width of the central 90 % of the prior relative to the posterior."""
        posterior = float(np.subtract(*np.quantile(self.draws, [0.95, 0.05])))
        return float(self.middle[1] - self.middle[0]) / posterior if posterior > 0 else np.inf


@suggest_argument_names
def priors(post: Posterior, var_names: str | Sequence[str] | None = None) -> Figure:
    """Draw the prior and posterior density of mu, tau, omega, sigma and nu, in units of the data.

    Parameters
    ----------
    post : Posterior
    var_names : str or list of str, optional
        Parameters, such as "tau", or single elements, "tau[living_space]"; all by default.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("priors.png")` writes it. The axes show the posterior; of a far wider prior,
        only the part there is visible, with its relative width.

    Raises
    ------
    ModelError
        Unknown parameters; more than 40; no matplotlib.

    Notes
    -----
    The density of the prior is exact; for a correlation under LKJ(eta) with K terms, (ρ + 1)/2 is Beta(b, b),
    b = eta − 1 + K/2. The density of the posterior is a kernel density within the bounds of the parameter.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.priors(post, ["tau", "sigma"]).axes)
    3
    """
    pairs = list(prior_posterior_pairs(post))
    names = [var_names] if isinstance(var_names, str) else var_names
    if names is not None:
        known = list(dict.fromkeys(text for pair in pairs for text in (pair.name, split_label(pair.name)[0])))
        for name in names:
            if name not in known:
                raise ModelError(
                    f"there is no parameter {name!r} with a prior to compare; {suggestion(str(name), known)}"
                )
        pairs = [pair for pair in pairs if {pair.name, split_label(pair.name)[0]} & set(names)]
    page.check_count(len(pairs), MAX_PARAMETERS, "parameters", "choose some with var_names")

    learned = [pair for pair in pairs if not pair.known]
    title = "All of these parameters are fixed: there is nothing to estimate"
    if learned:
        narrowest = min(learned, key=lambda pair: pair.relative_width)
        times = f"{page.amount(float(f'{narrowest.relative_width:.2g}'))} times"
        title = f"All priors are at least {times} as wide as the posteriors (narrowest: {narrowest.name})"
        if float(f"{narrowest.relative_width:.2g}") < 1.5:
            title = (
                f"The data say little about {narrowest.name}: its prior is only {times} as wide as its posterior"
            )
    subtitle = f"{post.model.formula.text}. Numbers in priors are in units of the data."
    if post.model.noise is not None and post.model.resolve(post.design).sigma is not None:
        subtitle += f" Sigma of each {post.model.noise}: see plot.forest(post, 'sigma')."

    columns = min(4, len(pairs))
    width = WIDTH if columns > 2 else WIDTH * 0.6
    figure = page.new_figure(title, subtitle, width, -(-len(pairs) // columns) * GRID.pitch + FOOT)
    room = GRID.panel_width(width, columns)
    for axes, pair in zip(GRID.panels(figure, len(pairs), columns), pairs, strict=True):
        _draw(axes, pair)
        ratio = "known" if pair.known else f"{page.amount(float(f'{pair.relative_width:.2g}'))} × as wide"
        page.panel_title(axes, pair.name, f"{pair.family}: {ratio}", room)
        style.format_text(axes.set_xlabel(style.shorten(pair.unit, int(room * page.PLAIN)), labelpad=2))
    page.add_key(figure, [
        ("posterior", {"facecolor": style.COLOURS[0], "alpha": 0.4}),
        ("prior", {"color": style.PRIOR, "linestyle": "--", "linewidth": 1.3}),
    ])  # fmt: skip
    return figure


def prior_posterior_pairs(post: Posterior) -> Iterator[PriorPosterior]:
    """Yield the parameters shared by the places, in reading order."""
    from scipy.special import betaincinv

    resolved, formula, unit = post.model.resolve(post.design), post.model.formula, post.model.unit_of
    levels = [
        (f"tau{formula.suffix(level)}", post.design.level_columns(level), spreads)
        for level, spreads in enumerate(resolved.tau)
    ]
    for name, columns, priors_of in (("mu", post.design.population_columns, resolved.mu), *levels):
        draws, terms = pooled_draws(post, name), post[name][str(post[name].dims[-1])].values.astype(str).tolist()
        for column, prior in zip(columns, priors_of, strict=True):
            term = column.name
            factor = float(post.scale.natural()[post.design.names.index(term)])
            yield _pair(f"{name}[{term}]", unit(term), draws[:, terms.index(term)], prior, factor)
    for level, lkj in enumerate(resolved.omega):
        if lkj is None:
            continue
        name, names = f"omega{formula.suffix(level)}", [column.name for column in post.design.level_columns(level)]
        draws, beta = pooled_draws(post, name), lkj.eta - 1 + len(names) / 2
        middle = np.asarray(2 * betaincinv(beta, beta, np.array([0.05, 0.95])) - 1)
        for i in range(len(names)):
            for j in range(i):
                yield PriorPosterior(
                    f"{name}[{names[i]}, {names[j]}]", "correlation", draws[:, i, j], marginal_of_lkj(beta),
                    (-1.0, 1.0), middle, str(lkj), known=False,
                )  # fmt: skip
    for name, noise_prior in (
        ("sigma", resolved.sigma if post.model.noise is None else None), ("sigma_median", resolved.sigma_median),
        ("sigma_spread", resolved.sigma_spread), ("nu", resolved.nu),
    ):  # fmt: skip
        if noise_prior is not None:
            factor = 1.0 if name in PURE else post.scale.unit
            yield _pair(name, PURE.get(name, unit(INTERCEPT)), pooled_draws(post, name), noise_prior, factor)


def _pair(name: str, unit: str, draws: Array, prior: Prior, factor: float) -> PriorPosterior:
    """Return a parameter whose scale is `factor` times that of its prior."""
    low = -np.inf if isinstance(prior, Normal) else 0.0
    bounds = (prior.lower * factor, prior.upper * factor) if isinstance(prior, Uniform) else (low, np.inf)
    drawn = prior.sample(np.random.default_rng(0), PRIOR_DRAWS)  # type: ignore[arg-type]
    middle = np.quantile(drawn, [0.05, 0.95]) * factor

    def density(x: Array) -> Array:
        inside = np.maximum(x / factor, 1e-150) if low == 0 else x / factor
        return np.asarray(np.exp(prior.logpdf(inside)) / factor)  # type: ignore[union-attr]

    text = f"{prior.scaled(factor)}"  # type: ignore[union-attr]
    return PriorPosterior(name, unit, draws, density, bounds, middle, text, isinstance(prior, Fixed))


def marginal_of_lkj(b: float) -> Callable[[Array], Array]:
    """Return the density of one correlation, (ρ + 1)/2 ~ Beta(b, b)."""
    norm = math.lgamma(2 * b) - 2 * math.lgamma(b) + (1 - 2 * b) * math.log(2)
    return lambda x: np.exp(norm + (b - 1) * np.log(np.maximum(1 - x * x, 1e-300)))


def _draw(axes: Axes, pair: PriorPosterior) -> None:
    """Draw both densities of a parameter."""
    style.hide_y_axis(axes)
    style.number_ticks(axes.xaxis, 4)
    if pair.known:
        axes.axvline(pair.draws[0], color=style.COLOURS[0], linewidth=2)
        return
    x, y = kernel_density(pair.draws, *pair.bounds)
    low, high = x[0], x[-1]
    if pair.relative_width <= MAX_SHOWN:
        low, high = min(low, pair.middle[0]), max(high, pair.middle[1])
    if np.isfinite(pair.bounds).all() and pair.relative_width <= MAX_SHOWN:
        low, high = pair.bounds
    elif pair.bounds[0] > -np.inf and low - pair.bounds[0] < 0.5 * (high - low):
        low = pair.bounds[0]
    grid = np.linspace(low, high, POINTS)
    # The density may have a pole at the end.
    grid[0] += 1e-6 * (high - low)
    prior = pair.prior(grid)
    axes.fill_between(x, y, color=style.COLOURS[0], alpha=0.4, linewidth=0)
    axes.plot(x, y, color=style.COLOURS[0], linewidth=1.2, marker="")
    axes.plot(grid, prior, color=style.PRIOR, linewidth=1.3, linestyle="--", marker="")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.06 * max(y.max(), min(prior.max(), 3 * y.max())))
