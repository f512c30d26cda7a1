"""Rows and priors → a plain PyMC model, centred or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.errors import ModelError
from priorhood.nuts.settings import quiet
from priorhood.priors import Exponential, Fixed, Gamma, HalfCauchy, HalfNormal

if TYPE_CHECKING:
    import pymc as pm

    from priorhood.nuts.regression import Regression
    from priorhood.priors import Scale


def build(r: Regression, parameterization: str = "centered") -> pm.Model:
    """A plain PyMC model with the exact engine's names, dims, coords and scale.

    centered : β_j ~ Normal(mu, Σ);  noncentered : β_j = mu + Λ z_j, z_j ~ Normal(0, I)   (math.md, 2 and 3)
    Correlated effects have Λ = diag(τ) L from LKJCholeskyCov.

    Raises
    ------
    ModelError : correlated effects with a spread that is fixed
    """
    with quiet():
        return _built(r, centered=parameterization == "centered")


def _built(r: Regression, *, centered: bool) -> pm.Model:
    import pymc as pm

    with pm.Model(coords=_coords(r)) as model:
        X = pm.Data("X", r.rows.X, dims=("row", "column"))
        location: Any = 0.0
        mu = None
        if r.population:
            mu = pm.Normal("mu", np.array([p.mean for p in r.mu]), np.array([p.sd for p in r.mu]), dims="term")
            own = [d for d in r.population if d not in r.varying]
            location = location + sum(_times(r, X, d, mu[r.population.index(d)]) for d in own)
        index = None
        if r.varying:
            index = pm.Data(f"{r.group}_index", r.rows.group, dims="row")
            beta = _effects(r, mu, centered=centered)
            location = location + sum(_times(r, X, d, beta[index, k]) for k, d in enumerate(r.varying))
        _errors(r, location, index, centered=centered)
    return model


def _coords(r: Regression) -> dict[str, Any]:
    """The exact engine's coordinates, and those of rows and columns."""
    terms = [r.columns[d] for d in r.varying]
    coords: dict[str, Any] = {"row": np.arange(len(r.rows.y)), "column": list(r.columns)}
    if r.population:
        coords["term"] = [r.columns[d] for d in r.population]
    if r.varying:
        coords |= {r.group: r.labels, r.term: terms}
    if r.omega is not None:
        coords[f"{r.term}_bis"] = terms
    return coords


def _times(r: Regression, X: Any, d: int, coefficient: Any) -> Any:
    """Coefficient × column; the intercept's column is not multiplied."""
    return coefficient if d == r.constant else coefficient * X[:, d]


def _effects(r: Regression, mu: Any, *, centered: bool) -> Any:
    """Beta (J, K) with its spreads and correlations."""
    import pymc as pm
    import pytensor.tensor as pt

    dims = (r.group, r.term)
    own = [mu[r.population.index(d)] if d in r.population else 0.0 for d in r.varying]
    mean = mu if r.varying == r.population else pt.stack([pt.as_tensor_variable(m) for m in own])
    if r.omega is None:
        tau = _scales("tau", r.tau, r)
        if centered:
            return pm.Normal("beta", mean, tau, dims=dims)
        return pm.Deterministic("beta", mean + tau * pm.Normal("z", dims=dims), dims=dims)
    factor = _correlated(r)
    if centered:
        return pm.CustomDist(
            "beta", mean, factor, logp=partial(_multivariate, len(r.varying)), random=_random_multivariate,
            signature="(k),(k,k)->(k)", dims=dims,
        )  # fmt: skip
    return pm.Deterministic("beta", mean + pt.dot(pm.Normal("z", dims=dims), factor.T), dims=dims)


def _multivariate(K: int, value: Any, mean: Any, factor: Any) -> Any:
    """Log Normal(β_j; mean, ΛΛᵀ) of every group: z = Λ⁻¹(β_j − mean) by forward substitution, written out.

    PyMC's MvNormal solves a triangular system for every group; for two or three terms that takes twice as
    long to compile and several times as long to draw.
    """
    import pytensor.tensor as pt

    z: list[Any] = []
    zero = pt.as_tensor_variable(0.0)
    for k in range(K):
        known = sum((factor[..., k, i] * z[i] for i in range(k)), start=zero)
        z.append((value[..., k] - mean[..., k] - known) / factor[..., k, k])
    squares = sum((one**2 for one in z), start=zero)
    volume = sum((pt.log(factor[..., k, k]) for k in range(K)), start=zero)
    return -0.5 * squares - volume - 0.5 * K * np.log(2 * np.pi)


def _random_multivariate(mean: Any, factor: Any, rng: np.random.Generator | None = None, size: Any = None) -> Any:
    """Draws for PyMC's prior and posterior predictive sampling."""
    generator = rng or np.random.default_rng()
    shape = (*(size or np.broadcast_shapes(mean.shape[:-1], factor.shape[:-2])), mean.shape[-1])
    noise = generator.standard_normal(shape)
    return mean + np.einsum("...kl,...l->...k", factor, noise)


def _correlated(r: Regression) -> Any:
    """Λ = diag(tau) L (K, K), with tau and omega as deterministics."""
    import pymc as pm

    if any(isinstance(p, Fixed) for p in r.tau):
        raise ModelError(
            "NUTS takes no fixed tau together with correlations; the exact engine does (engine='exact'), or write "
            "|| for independent effects"
        )
    families = {type(p) for p in r.tau}
    alike = len(families) == 1
    sd = _family(r.tau) if alike else pm.Exponential.dist(scale=1.0, shape=len(r.tau))
    factor, corr, tau = pm.LKJCholeskyCov(
        "spread", n=len(r.tau), eta=r.omega.eta if r.omega else 1.0, sd_dist=sd, store_in_trace=False
    )
    if not alike:
        # LKJCholeskyCov takes one family for all; where they differ the density is set right here.
        right = sum(pm.logp(_family((p,), scalar=True), tau[k]) + tau[k] for k, p in enumerate(r.tau))
        pm.Potential("tau_priors", right)
    pm.Deterministic("tau", tau, dims=r.term)
    pm.Deterministic("omega", corr, dims=(r.term, f"{r.term}_bis"))
    return factor


def _family(priors: tuple[Scale, ...], *, scalar: bool = False, name: str | None = None, **options: Any) -> Any:
    """Priors of one family as PyMC's distribution, named or not."""
    import pymc as pm

    def each(attribute: str) -> Any:
        values = np.array([getattr(p, attribute) for p in priors])
        # An array even of one number: PyTensor holds plain numbers such as 5.0 in single precision.
        return np.asarray(values[0]) if scalar else values

    makers: dict[type, tuple[Any, dict[str, Any]]] = {
        Exponential: (pm.Exponential, {"scale": "scale"}),
        HalfNormal: (pm.HalfNormal, {"sigma": "sd"}),
        HalfCauchy: (pm.HalfCauchy, {"beta": "scale"}),
        Gamma: (pm.Gamma, {"alpha": "shape", "beta": "scale"}),
    }
    family, names = makers[type(priors[0])]
    given = {theirs: each(ours) for theirs, ours in names.items()}
    if family is pm.Gamma:
        given["beta"] = 1.0 / given["beta"]  # PyMC's is a rate
    if name is not None:
        return family(name, **given, **options)
    return family.dist(**given, **({} if scalar else {"shape": len(priors)}))


def _scales(name: str, priors: tuple[Scale, ...], r: Regression) -> Any:
    """Independent spreads (K,), whatever their families."""
    import pymc as pm
    import pytensor.tensor as pt

    if len({type(p) for p in priors}) == 1 and not isinstance(priors[0], Fixed):
        return _family(priors, name=name, dims=r.term)
    each = [_one(f"{name}[{r.columns[d]}]", prior) for d, prior in zip(r.varying, priors, strict=True)]
    return pm.Deterministic(name, pt.stack([pt.as_tensor_variable(one) for one in each]), dims=r.term)


def _one(name: str, prior: Scale, dims: str | None = None) -> Any:
    """A positive parameter, or its known value."""
    if isinstance(prior, Fixed):
        import pymc as pm
        import pytensor.tensor as pt

        known = pt.as_tensor_variable(np.asarray(prior.value))
        return known if "[" in name else pm.Deterministic(name, known)
    return _family((prior,), scalar=True, name=name, dims=dims)


def _alike(median: Any, spread: Any, r: Regression, *, centered: bool) -> Any:
    """A sigma for every group, log sigma_j ~ Normal(log median, spread²): (J,)."""
    import pymc as pm
    import pytensor.tensor as pt

    if centered:
        return pm.LogNormal("sigma", pt.log(median), spread, dims=r.group)
    return pm.Deterministic("sigma", median * pt.exp(spread * pm.Normal("sigma_z", dims=r.group)), dims=r.group)


def _errors(r: Regression, location: Any, index: Any, *, centered: bool) -> None:
    """The outcome around its location."""
    import pymc as pm

    outcome = pm.Data("outcome", r.rows.y, dims="row")
    if r.sigma_median is not None and r.sigma_spread is not None:
        median, apart = _one("sigma_median", r.sigma_median), _one("sigma_spread", r.sigma_spread)
        spread: Any = _alike(median, apart, r, centered=centered)[index]
    elif r.sigma is None:
        spread = pm.Data("se", r.rows.se, dims="row")
    elif r.noise:
        sigma = r.sigma
        if isinstance(sigma, Fixed):
            spread = pm.Deterministic("sigma", np.full(len(r.labels), sigma.value), dims=r.group)[index]
        else:
            spread = _one("sigma", sigma, dims=r.group)[index]
    else:
        spread = _one("sigma", r.sigma)
    if r.nu is None:
        pm.Normal("y", location, spread, observed=outcome, dims="row")
    else:
        pm.StudentT("y", nu=_one("nu", r.nu), mu=location, sigma=spread, observed=outcome, dims="row")
