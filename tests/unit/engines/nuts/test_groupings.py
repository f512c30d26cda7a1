"""PyMC's models of nested and crossed groupings against the density written out from the table, place by place."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph

MODELS = {
    name: ph.Model(text, ["sigma ~ Exponential(5)"], outcome_unit=100, noise="zip" if "noise" in name else None)
    for name, text in {
        "two levels, correlated": "y ~ x + (x | district/zip)",
        "three levels": "y ~ x + (x || city/district/zip)",
        "terms of their own": "y ~ x + (1 | city) + (x | city:district) + (1 | city:district:zip)",
        "slopes above alone": "y ~ 1 + (0 + x | district) + (1 | district:zip)",
        "crossed": "y ~ x + (x | zip) + (1 | kind) + (0 + x | year)",
        "noise, nested and crossed": "y ~ x + (1 | district/zip) + (x | kind)",
    }.items()
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(8)
    z = np.concatenate([np.arange(8), rng.integers(0, 8, 22)])
    return pd.DataFrame(
        {
            "city": np.array(["B", "A"])[z % 2],
            "district": np.array(["north", "south"])[z // 2 % 2],
            "zip": [f"{k // 4}" for k in z],
            "kind": rng.choice(["flat", "house", "loft"], 30),
            "year": rng.integers(2020, 2023, 30).astype(str),
            "x": rng.normal(5, 2, 30),
            "y": 300 + 40 * rng.normal(size=30),
        }
    )


class Point:
    """Values of all variables of a PyMC model at a random point, by name."""

    def __init__(self, built, seed):
        rng = np.random.default_rng(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTensor's own, on a missing BLAS
            start = built.initial_point()
        self.given = {name: 0.5 * rng.standard_normal(np.shape(value)) for name, value in start.items()}
        self.built = built
        there = built.free_RVs + built.deterministics
        values = self.evaluated(lambda: built.replace_rvs_by_values(there))
        self.values = dict(zip([v.name for v in there], values, strict=True))

    def evaluated(self, outputs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compute = self.built.compile_fn(outputs(), mode="FAST_COMPILE", on_unused_input="ignore")
            return compute(self.given)

    def log_density(self, *without):
        """Of the parameters and rows, without Jacobians and without the priors of some variables."""
        left = [v for v in self.built.basic_RVs if not v.name.startswith(without)]
        return float(self.evaluated(lambda: [self.built.logp(vars=left, jacobian=False)])[0])

    def coefficient(self, name, place, term):
        """One coefficient of a grouping by the labels of its place and term."""
        dims = self.built.named_vars_to_dims[name]
        at = list(self.built.coords[dims[0]]).index(place)
        return self.values[name][at, list(self.built.coords[dims[1]]).index(term)]


def written_out(model, table, point, *, centred):
    """Σ of all log densities but those of the correlated spreads, by loops over places and rows."""
    # A column stays where it is if a part of the formula has it without an intercept.
    centre = 0.0 if "0 + x" in model.formula.text else table.x.mean()
    design_terms = {"Intercept": np.ones(len(table)), "x": (table.x - centre) / table.x.std(ddof=0)}
    values, formula, built = point.values, model.formula, point.built
    mu = dict(zip(built.coords["term"], values["mu"], strict=True))
    total = sum(stats.norm(0, 20 if t == "Intercept" else 5).logpdf(v) for t, v in mu.items())
    location = np.zeros(len(table))
    depth = len(formula.levels)
    seen = set()  # terms that the finest level's coefficients have
    for at, grouping in enumerate(formula.groupings):
        suffix, name = formula.suffix(at), formula.effect_name(at)
        terms = ["Intercept" if t == () else t[0] for t in grouping.terms]
        tau = values[f"tau{suffix}"]
        factor = np.diag(tau)
        if f"omega{suffix}" in values:  # written with | around several
            factor = tau[:, None] * np.linalg.cholesky(values[f"omega{suffix}"])
        else:
            total += stats.expon(scale=5).logpdf(tau).sum()
        labels = table[list(grouping.path)].agg("/".join, axis=1)
        coarser = [t for t in built.coords[built.named_vars_to_dims[name][1]] if t not in terms]
        for place in sorted(set(labels)):
            first = table[labels == place].iloc[0]
            if at < depth:
                mean = np.array([above(model, point, first, at, t, mu) for t in terms])
                for t in coarser:  # passed down as they are
                    assert point.coefficient(name, place, t) == above(model, point, first, at, t, mu)
            else:
                mean = np.zeros(len(terms))
            own = np.array([point.coefficient(name, place, t) for t in terms])
            if centred:
                total += stats.multivariate_normal(mean, factor @ factor.T).logpdf(own)
            else:
                z = values[f"z{suffix}"][list(built.coords[grouping.group]).index(place)]
                np.testing.assert_allclose(own, mean + factor @ z, rtol=1e-9)
                total += stats.norm.logpdf(z).sum()
        if at == 0 or at >= depth:
            here = terms + coarser
            seen |= set(here) if at == 0 else set()
            location += [
                sum(point.coefficient(name, label, t) * design_terms[t][row] for t in here)
                for row, label in enumerate(labels)
            ]
    location += sum(mu[t] * design_terms[t] for t in mu if t not in seen)
    sigma = np.broadcast_to(values["sigma"], () if model.noise is None else (len(built.coords["zip"]),))
    total += stats.expon(scale=5).logpdf(sigma).sum()
    finest = table[list(formula.levels[0].path)].agg("/".join, axis=1)
    spread = sigma if model.noise is None else [sigma[list(built.coords["zip"]).index(z)] for z in finest]
    return total + stats.norm(100 * location, 100 * np.asarray(spread)).logpdf(table.y).sum()


def above(model, point, row, at, term, mu):
    """A term's coefficient in the next coarser level's place of a row; mu where it does not differ there."""
    formula = model.formula
    if at + 1 < len(formula.levels):
        name = formula.effect_name(at + 1)
        if term in point.built.coords[point.built.named_vars_to_dims[name][1]]:
            return point.coefficient(name, "/".join(row[list(formula.levels[at + 1].path)]), term)
    return mu.get(term, 0.0)


@pytest.mark.parametrize("parameterization", ["centered", "noncentered"])
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_the_written_out_density(name, parameterization, rows):
    model, centred = MODELS[name], parameterization == "centered"
    point = Point(model.to_pymc(rows, parameterization), 1)
    # LKJCholeskyCov's own prior of correlated spreads is compared elsewhere (test_nuts).
    found = point.log_density("spread")
    assert found == pytest.approx(written_out(model, rows, point, centred=centred), rel=1e-9)
    # Negative control: two rows in each other's places.
    keys = list(model.formula.keys)
    swapped = rows.copy()
    swapped.loc[[20, 25], keys] = rows.loc[[25, 20], keys].to_numpy()
    assert (swapped[keys] != rows[keys]).any(axis=None)
    assert found != pytest.approx(written_out(model, swapped, point, centred=centred), rel=1e-6)


@pytest.mark.parametrize("name", ["two levels, correlated", "terms of their own", "slopes above alone", "crossed"])
def test_names_dims_and_coords_are_those_of_the_exact_engine(name, rows):
    model = MODELS[name]
    post = ph.fit(model, rows, draws=10, seed=1)
    built = model.to_pymc(rows)
    for parameter in post.parameters:
        assert tuple(built.named_vars_to_dims.get(parameter, ())) == post[parameter].dims[2:]
        for dim in post[parameter].dims[2:]:
            assert list(built.coords[dim]) == list(post[parameter][dim].values)
