"""NumPyro's NUTS, in double precision, one device a chain."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpyro
import protocol
from numpyro import distributions as dist

numpyro.set_host_device_count(int(os.environ["BENCH_CHAINS"]))
numpyro.enable_x64()


def model(codes: Any, x: Any, y: Any, groups: int, *, correlated: bool) -> None:
    """The same model, centred, with the same priors."""
    import jax.numpy as jnp

    mu = numpyro.sample("mu", dist.Normal(0.0, jnp.array([20.0, 5.0])).to_event(1))
    tau = numpyro.sample("tau", dist.Exponential(0.2).expand([2]).to_event(1))
    if correlated:
        factor = numpyro.sample("factor", dist.LKJCholesky(2, 2.0))
        # The Cholesky factor of a 2 × 2 correlation matrix has the correlation itself in its second row.
        numpyro.deterministic("omega", factor[1, 0])
        places = dist.MultivariateNormal(mu, scale_tril=tau[:, None] * factor)
    else:
        places = dist.Normal(mu, tau).to_event(1)
    with numpyro.plate("groups", groups):
        beta = numpyro.sample("beta", places)
    sigma = numpyro.sample("sigma", dist.Exponential(0.2))
    numpyro.sample("y", dist.Normal(beta[codes, 0] + beta[codes, 1] * x, sigma), obs=y)


def fit(rows: protocol.Rows, asked: protocol.Asked, seed: int) -> Any:
    """Compile and sample."""
    import jax
    from numpyro.infer import MCMC, NUTS

    sampler = MCMC(
        NUTS(model), num_warmup=asked["tune"], num_samples=asked["draws"], num_chains=asked["chains"],
        progress_bar=False,
    )  # fmt: skip
    correlated = asked["model"] == "correlated"
    sampler.run(
        jax.random.PRNGKey(seed), rows.codes, rows.x, rows.y, groups=len(rows.labels), correlated=correlated
    )
    draws = sampler.get_samples(group_by_chain=True)
    # JAX returns before it has computed.
    return jax.block_until_ready(draws)


def collect(draws: Any, rows: protocol.Rows, asked: protocol.Asked) -> protocol.Parameters:
    """The draws of the population and of the places asked for."""
    names = ("mu", "tau", "sigma", *(["omega"] if asked["model"] == "correlated" else []))
    kept = {name: np.asarray(draws[name]) for name in names}
    return kept | {"beta": np.asarray(draws["beta"])[:, :, rows.places]}


if __name__ == "__main__":
    import jax

    protocol.run(fit, collect, {"NumPyro": numpyro.__version__, "JAX": jax.__version__})
