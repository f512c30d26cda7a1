"""Build a plain PyMC model of rows and priors, centred or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument
from priorhood.engines.nuts.settings import quiet
from priorhood.errors import ModelError
from priorhood.model.priors import (
    LKJ,
    Exponential,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Uniform,
)

if TYPE_CHECKING:
    import pymc as pm

    from priorhood.engines.nuts.regression import Regression, RegressionGrouping
    from priorhood.model.priors import ScalePrior


def build(r: Regression, parameterization: str = "centered") -> pm.Model:
    """Build a plain PyMC model with the exact engine's names, dims, coords and scale.

    Only the outcome `y` has its own units, so that predictive draws and log-likelihoods have them too.

    centered : β_j ~ Normal(mu, Σ);  noncentered : β_j = mu + Λ z_j, z_j ~ Normal(0, I)   (math.md, 2 and 3)
    Correlated effects have Λ = diag(τ) L from LKJCholeskyCov, or from partial correlations if a τ has bounds.

    Raises
    ------
    ModelError
        if correlated effects have a fixed spread, or a group is named like a variable or dimension of the model,
        which PyMC would confuse
    """
    import pymc as pm

    centered = parameterization == "centered"
    taken = {"row", "response", "y", "column_centre", "column_spread", "outcome_unit", *r.data, *r.parameters}
    taken |= {f"{name}{g.suffix}" for g in r.groupings for name in ("z", "spread", "partial", "tau_priors")}
    for grouping in r.groupings:
        if grouping.name in taken:
            raise ModelError(f"a group cannot be called {grouping.name!r}, a name in the PyMC model; rename it")
    with quiet(), pm.Model(coords=_coords(r)) as model:
        X = pm.Data("X", r.data["X"], dims=("row", "column"))
        pm.Data("column_centre", r.scale.centre, dims="column")
        pm.Data("column_spread", r.scale.spread, dims="column")
        location: Any = 0.0
        mu = None
        if r.population:
            mu = pm.Normal("mu", np.array([p.mean for p in r.mu]), np.array([p.sd for p in r.mu]), dims="term")
            varying = {d for grouping in r.groupings[: r.levels] for d in grouping.varying}
            fixed = [d for d in r.population if d not in varying]
            location = location + sum(_times(r, X, d, mu[r.population.index(d)]) for d in fixed)
        above: Any = None
        finest = None
        for at in reversed(range(r.levels)):
            above = _effects(r, at, mu, above, centered=centered)
        for at in r.located:
            grouping, name = r.groupings[at], f"{r.groupings[at].name}_index"
            index = pm.Data(name, r.data[name], dims="row")
            finest = index if at == 0 else finest
            effects = above if at == 0 else _effects(r, at, None, None, centered=centered)
            location = location + sum(
                _times(r, X, d, effects[index, k]) for k, d in enumerate(grouping.coefficients)
            )
        _errors(r, location, finest, centered=centered)
    return model


def _coords(r: Regression) -> dict[str, Any]:
    """Return the exact engine's coordinates, and those of rows and columns."""
    coords: dict[str, Any] = {"row": np.arange(len(r.rows.y)), "column": list(r.columns)}
    coords["response"] = [r.outcome]
    if r.population:
        coords["term"] = [r.columns[d] for d in r.population]
    for grouping in r.groupings:
        coords[grouping.name] = grouping.labels
        terms = [r.columns[d] for d in grouping.varying]
        coords[grouping.term] = [r.columns[d] for d in grouping.coefficients]
        coords[grouping.spread_term] = terms
        if grouping.omega is not None:
            coords[f"{grouping.spread_term}_bis"] = terms
    return coords


def _times(r: Regression, X: Any, d: int, coefficient: Any) -> Any:
    """Return coefficient × column, or the coefficient itself for the intercept."""
    return coefficient if d == r.constant else coefficient * X[:, d]


def _effects(r: Regression, at: int, mu: Any, above: Any, *, centered: bool) -> Any:
    """Return coefficients (places, C) of one grouping, around their parents' `above`, around mu, or around 0."""
    import pymc as pm
    import pytensor.tensor as pt

    g = r.groupings[at]
    passed = [d for d in g.coefficients if d not in g.varying]
    name = r.effect(at)
    dims = (g.name, g.term)
    mean = _mean(r, at, mu, above, g.varying)
    inner = f"{name}_own" if passed else name
    own_dims = (g.name, g.spread_term) if passed else dims
    if g.omega is None:
        tau = _scales(r, g)
        if centered:
            own = pm.Normal(inner, mean, tau, dims=own_dims)
        else:
            own = mean + tau * pm.Normal(f"z{g.suffix}", dims=own_dims)
    else:
        factor = _spread_factor(r, g)
        if centered:
            own = pm.CustomDist(
                inner, mean, factor, logp=partial(_multivariate, len(g.varying)), random=_random_multivariate,
                signature="(k),(k,k)->(k)", dims=own_dims,
            )  # fmt: skip
        else:
            own = mean + pt.dot(pm.Normal(f"z{g.suffix}", dims=own_dims), factor.T)
    if passed:
        own = pt.concatenate([own, _mean(r, at, mu, above, tuple(passed))], axis=1)
    return own if centered and not passed else pm.Deterministic(name, own, dims=dims)


def _mean(r: Regression, at: int, mu: Any, above: Any, columns: tuple[int, ...]) -> Any:
    """Return the parents' coefficients of columns: (K,) if the population is the parent, else (places, K)."""
    import pytensor.tensor as pt

    g = r.groupings[at]
    if above is None and mu is not None and columns == r.population:
        return mu
    coarser = r.groupings[at + 1].coefficients if g.parent is not None else ()
    parts = []
    for d in columns:
        if d in coarser:
            parts.append(above[g.parent, coarser.index(d)])
        else:
            fixed = mu[r.population.index(d)] if mu is not None and d in r.population else 0.0
            parts.append(pt.as_tensor_variable(fixed))
    if g.parent is None:
        return pt.stack(parts)
    return pt.stack([pt.broadcast_to(part, (len(g.labels),)) for part in parts], axis=1)


def _multivariate(K: int, value: Any, mean: Any, factor: Any) -> Any:
    """Return log Normal(β_j; mean, ΛΛᵀ) of every group: z = Λ⁻¹(β_j − mean) by forward substitution, written out.

    PyMC's MvNormal solves a triangular system for every group; with two or three terms that takes twice as long to
    compile and several times as long to draw.
    """
    import pytensor.tensor as pt

    z: list[Any] = []
    zero = pt.as_tensor_variable(0.0)
    for k in range(K):
        known = sum((factor[..., k, i] * z[i] for i in range(k)), start=zero)
        z.append((value[..., k] - mean[..., k] - known) / factor[..., k, k])
    squares = sum((standard**2 for standard in z), start=zero)
    volume = sum((pt.log(factor[..., k, k]) for k in range(K)), start=zero)
    return -0.5 * squares - volume - 0.5 * K * np.log(2 * np.pi)


def _random_multivariate(mean: Any, factor: Any, rng: np.random.Generator | None = None, size: Any = None) -> Any:
    """Draw from Normal(mean, ΛΛᵀ), for PyMC's prior and posterior predictive sampling."""
    generator = rng or np.random.default_rng()
    shape = (*(size or np.broadcast_shapes(mean.shape[:-1], factor.shape[:-2])), mean.shape[-1])
    noise = generator.standard_normal(shape)
    return mean + np.einsum("...kl,...l->...k", factor, noise)


def _spread_factor(r: Regression, g: RegressionGrouping) -> Any:
    """Return Λ = diag(tau) L (K, K) of correlated effects, with tau and omega as deterministics."""
    import pymc as pm

    if any(isinstance(p, Fixed) for p in g.tau):
        raise ModelError(
            f"NUTS does not support a fixed tau together with correlations; use the exact engine "
            f"({argument('engine', 'exact')}), or write || for independent effects"
        )
    if any(isinstance(p, Uniform) for p in g.tau):
        return _bounded_spread_factor(r, g)
    alike = len({type(p) for p in g.tau}) == 1
    sd = _family(g.tau) if alike else pm.Exponential.dist(scale=1.0, shape=len(g.tau))
    factor, corr, tau = pm.LKJCholeskyCov(
        f"spread{g.suffix}", n=len(g.tau), eta=g.omega.eta if g.omega else 1.0, sd_dist=sd, store_in_trace=False
    )
    if not alike:
        # LKJCholeskyCov has one family for all spreads; with several, the density is corrected.
        right = sum(pm.logp(_family((p,), scalar=True), tau[k]) + tau[k] for k, p in enumerate(g.tau))
        pm.Potential(f"tau_priors{g.suffix}", right)
    pm.Deterministic(f"tau{g.suffix}", tau, dims=g.spread_term)
    pm.Deterministic(f"omega{g.suffix}", corr, dims=(g.spread_term, f"{g.spread_term}_bis"))
    return factor


def _bounded_spread_factor(r: Regression, g: RegressionGrouping) -> Any:
    """Return Λ = diag(tau) L (K, K) if a spread has bounds, which LKJCholeskyCov's coordinates do not respect.

    tau then has separate coordinates, and L comes from the canonical partial correlations z (math.md, 4).
    """
    import pymc as pm
    import pytensor.tensor as pt

    K, tau = len(g.tau), _scales(r, g)
    b = (g.omega or LKJ(1)).shapes(K)
    share = pm.Beta(f"partial{g.suffix}", b, b, shape=len(b))  # (z + 1)/2
    rows, pair = [[pt.as_tensor_variable(1.0)] + [pt.as_tensor_variable(0.0)] * (K - 1)], 0
    for i in range(1, K):
        length, row = pt.as_tensor_variable(1.0), []
        for _ in range(i):
            row.append((2.0 * share[pair] - 1.0) * length)
            length = length * 2.0 * pt.sqrt(share[pair] * (1.0 - share[pair]))
            pair += 1
        rows.append([*row, length, *[pt.as_tensor_variable(0.0)] * (K - 1 - i)])
    factor = pt.stack([pt.stack(row) for row in rows])
    pm.Deterministic(f"omega{g.suffix}", pt.dot(factor, factor.T), dims=(g.spread_term, f"{g.spread_term}_bis"))
    return tau[:, None] * factor


def _family(
    priors: tuple[ScalePrior, ...], *, scalar: bool = False, name: str | None = None, **options: Any
) -> Any:
    """Return priors of one family as a PyMC variable of that name, or as a distribution without one."""
    import pymc as pm

    def each(attribute: str) -> Any:
        values = np.array([getattr(p, attribute) for p in priors])
        # An array even for a single number: PyTensor stores plain numbers such as 5.0 in single precision.
        return np.asarray(values[0]) if scalar else values

    makers: dict[type, tuple[Any, dict[str, Any]]] = {
        Exponential: (pm.Exponential, {"scale": "scale"}),
        HalfNormal: (pm.HalfNormal, {"sigma": "sd"}),
        HalfStudentT: (pm.HalfStudentT, {"nu": "nu", "sigma": "scale"}),
        HalfCauchy: (pm.HalfCauchy, {"beta": "scale"}),
        Gamma: (pm.Gamma, {"alpha": "shape", "beta": "scale"}),
        InverseGamma: (pm.InverseGamma, {"alpha": "shape", "beta": "scale"}),
        LogNormal: (pm.LogNormal, {"mu": "mean", "sigma": "sd"}),
        Uniform: (pm.Uniform, {"lower": "lower", "upper": "upper"}),
    }
    family, names = makers[type(priors[0])]
    given = {theirs: each(ours) for theirs, ours in names.items()}
    if family is pm.Gamma:
        given["beta"] = 1.0 / given["beta"]  # a rate in PyMC
    if name is not None:
        return family(name, **given, **options)
    return family.dist(**given, **({} if scalar else {"shape": len(priors)}))


def _scales(r: Regression, g: RegressionGrouping) -> Any:
    """Return the independent spreads tau (K,) of a grouping, of one family or several."""
    import pymc as pm
    import pytensor.tensor as pt

    name = f"tau{g.suffix}"
    if len({type(p) for p in g.tau}) == 1 and not isinstance(g.tau[0], Fixed):
        return _family(g.tau, name=name, dims=g.spread_term)
    each = [_scale(f"{name}[{r.columns[d]}]", prior) for d, prior in zip(g.varying, g.tau, strict=True)]
    return pm.Deterministic(name, pt.stack([pt.as_tensor_variable(tau) for tau in each]), dims=g.spread_term)


def _scale(name: str, prior: ScalePrior, dims: str | None = None) -> Any:
    """Return a positive parameter, or its known value."""
    if isinstance(prior, Fixed):
        import pymc as pm
        import pytensor.tensor as pt

        known = pt.as_tensor_variable(np.asarray(prior.value))
        return known if "[" in name else pm.Deterministic(name, known)
    return _family((prior,), scalar=True, name=name, dims=dims)


def _errors(r: Regression, location: Any, index: Any, *, centered: bool) -> None:
    """Add the outcome around its location (N,); index (N,) : the finest group of every row."""
    import pymc as pm
    import pytensor.tensor as pt

    # A NaN is the unknown outcome of a row to predict; PyMC would draw it as a parameter.
    unknown = np.isnan(r.data["outcome"])
    outcome = pm.Data("outcome", np.where(unknown, 1.0, r.data["outcome"]), dims="row")
    unit = pm.Data("outcome_unit", np.array([r.scale.unit]), dims="response")[0]
    if r.sigma_median is not None and r.sigma_spread is not None:
        median, apart = _scale("sigma_median", r.sigma_median), _scale("sigma_spread", r.sigma_spread)
        group = r.groupings[0].name
        # log sigma_j ~ Normal(log median, apart²)
        if centered:
            own = pm.LogNormal("sigma", pt.log(median), apart, dims=group)
        else:
            own = pm.Deterministic("sigma", median * pt.exp(apart * pm.Normal("sigma_z", dims=group)), dims=group)
        spread: Any = own[index]
    elif r.sigma is None:
        spread = pm.Data("se", r.data["se"], dims="row")
    elif r.noise:
        sigma = r.sigma
        if isinstance(sigma, Fixed):
            known = np.full(len(r.groupings[0].labels), sigma.value)
            spread = pm.Deterministic("sigma", known, dims=r.groupings[0].name)[index]
        else:
            spread = _scale("sigma", sigma, dims=r.groupings[0].name)[index]
    else:
        spread = _scale("sigma", r.sigma)
    if r.rows.precision is not None:
        spread = spread / pt.sqrt(pm.Data("precision_weights", r.data["precision_weights"], dims="row"))
    observed: dict[str, Any] = {"observed": outcome, "dims": "row"}
    location, spread = unit * location, unit * spread
    if r.nu is None:
        y = (pm.LogNormal if r.logged else pm.Normal)("y", location, spread, **observed)
    elif r.logged:
        y = pm.CustomDist("y", _scale("nu", r.nu), location, spread, dist=_log_student, **observed)
    else:
        y = pm.StudentT("y", nu=_scale("nu", r.nu), mu=location, sigma=spread, **observed)
    if unknown.any():
        outcome.set_value(r.data["outcome"])
    if r.rows.times is not None:
        times = pm.Data("frequency_weights", r.data["frequency_weights"], dims="row")
        pm.Potential("repeated", ((times - 1) * pm.logp(y, outcome)).sum())


def _log_student(nu: Any, location: Any, spread: Any, size: Any) -> Any:
    """Return the distribution of a number whose log has Student's t distribution."""
    import pymc as pm

    return pm.math.exp(pm.StudentT.dist(nu=nu, mu=location, sigma=spread, size=size))
