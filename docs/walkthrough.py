# The walk-through, as a script in the percent format: each `# %%` starts a cell.
# `python docs/notebook.py` runs it and writes docs/walkthrough.ipynb, which is what to read.
# ruff: noqa: D100, E402

# %% [markdown]
# # A hierarchical model, from the bad version to the good one
#
# What does a home cost per square metre, ZIP code by ZIP code, when some ZIP codes have a hundred sales and
# others one? Notebook 04 of
# [Bayesian-Workflow-with-PyMC](https://github.com/corriebar/Bayesian-Workflow-with-PyMC) asked this of house
# prices in Berlin. Its first model failed, and three better ones follow there. This page goes the same way with
# priorhood, which grew out of that notebook, and looks at each step: why the first model fails, what *centred*
# and *non-centred* mean, what a correlation adds, and what happens to a ZIP code with three sales.
#
# You should know what a regression is. What you need to know about sampling is explained along the way.
#
# The prices of the notebook were never published, so these are simulated, and their true parameters are known.
# [Real rents](#8.-Real-rents) come last. Every result below was computed by the cell above it, except those
# attributed to the notebook.

# %%
import os
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import Markdown
from IPython.display import display as show
from matplotlib.ticker import FuncFormatter, StrMethodFormatter

import priorhood as ph

# Remarks of other libraries on progress bars and on their own plans, which say nothing about this page.
warnings.filterwarnings("ignore", "IProgress not found")
warnings.filterwarnings("ignore", r"\s*ArviZ is undergoing")

# The tests run this page in a short form, to see that it runs: less data, few draws, and fewer fits by NUTS, one
# in section 4 in place of two and one in section 5 in place of four. Its numbers mean nothing. You are reading the
# long form unless this is set:
SHORT = os.environ.get("PRIORHOOD_WALKTHROUGH") == "short"
PLACES, ROWS, FEW = (60, 900, 120) if SHORT else (219, 7500, 440)
DRAWS = {"chains": 2, "draws": 100} if SHORT else {"chains": 4, "draws": 1000}
TUNE = 100 if SHORT else 1000
FORMS = {"centred": "centered", "non-centred": "noncentered"}
if SHORT:
    del FORMS["centred"]
SEED = 2412

BLUE, ORANGE, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#000000", "#8C8C8C"
plt.rcParams |= {
    "figure.dpi": 90,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "legend.frameon": False,
}
THOUSANDS = FuncFormatter(lambda euros, _: f"{euros / 1000:,.0f}")


def say(text):
    """Show a sentence with what was found."""
    show(Markdown(text.replace(" -", " −")))


def compared(posts, parameters):
    """Means and sds of some parameters side by side, to two digits of the sd."""
    found = {name: post.summary(parameters) for name, post in posts.items()}
    units = next(iter(found.values()))["unit"]
    table = pd.concat({name: summary[["mean", "sd"]] for name, summary in found.items()}, axis=1)
    digits = (1 - np.floor(np.log10(table.iloc[:, 1]))).clip(lower=0).astype(int)
    shown = [
        [f"{value:,.{digits[label]}f}" for value in row]
        for label, row in zip(table.index, table.values, strict=True)
    ]
    names = [f"{label}, {unit}" if unit else label for label, unit in units.items()]
    return pd.DataFrame(shown, index=names, columns=table.columns)


# %% [markdown]
# ## 1. The sales
#
# `ph.simulate` generates sales like those in Berlin: some ZIP codes with a hundred and more, most with few. In
# every ZIP code the price rises linearly with the living space; intercepts and slopes differ between ZIP codes
# and are correlated.

# %%
sales, truth = ph.simulate(PLACES, ROWS)
rows = sales.groupby("zip").size()
show(sales.head())
say(
    f"{len(sales):,} sales in {len(rows)} ZIP codes. Half of the ZIP codes have {rows.median():.0f} sales or "
    f"fewer, {(rows <= 10).sum()} have at most ten, {(rows <= 3).sum()} at most three."
)

# %%
figure, axes = plt.subplots(figsize=(7, 2.6))
axes.hist(rows, bins=np.arange(0.5, rows.max() + 5, 5), color=BLUE, edgecolor="white")
axes.set(xlabel="sales in a ZIP code", ylabel="ZIP codes", title="Few sales in most ZIP codes")
plt.show()

# %% [markdown]
# ## 2. One line, a line for each, or something in between
#
# Three regressions of the price on the living space:
#
# - **pooled**: one line for all sales. It ignores the ZIP code.
# - **unpooled**: a line for every ZIP code, from its own sales alone.
# - **hierarchical**: a line for every ZIP code, and the lines are similar: their intercepts and slopes vary around
#   those of an average ZIP code. How much they vary, `tau`, is learned from the data.
#
# The third has the first two as its limits: with `tau` at 0 all lines are one, with a huge `tau` no ZIP code says
# anything about another. So the unpooled one is written here as a hierarchical one whose `tau` is fixed at a huge
# value.
#
# In formulas, `(living_space || zip)` says that intercept and slope vary by ZIP code; two bars mean independently
# of each other. Section 6 drops a bar.

# %%
UNITS = {"price": "€", "living_space": "m²"}
one_line = ph.Model("price ~ living_space", units=UNITS)
own_lines = ph.Model("price ~ 0 + (living_space || zip)", "tau ~ Fixed(20)", units=UNITS)
alike = ph.Model("price ~ living_space + (living_space || zip)", units=UNITS)

ph.fit(alike, sales, seed=SEED, **DRAWS)  # the first fit of a session loads compiled code; it is not timed
started = time.perf_counter()
pooled = ph.fit(one_line, sales, seed=SEED, **DRAWS)
unpooled = ph.fit(own_lines, sales, seed=SEED, **DRAWS)
hierarchical = ph.fit(alike, sales, seed=SEED, **DRAWS)
seconds = time.perf_counter() - started

say(f"All three fits took {seconds:.2f} seconds together.")
print(hierarchical.equations())
print()
print(hierarchical.check())

# %% [markdown]
# This is fast because only a few dimensions are explored. For Gaussian errors the lines of all ZIP codes
# integrate out of the posterior exactly, and what is left to explore is the two `tau`s and `sigma`. The lines are
# then drawn from their exact conditional distributions; [the mathematics](mathematics.md) has the equations.
# `check` says whether the draws are good.
#
# Now look at two ZIP codes with three sales, those where the models differ most, and at the one with the most
# sales.


# %%
centre = sales["living_space"].mean()  # the size at which intercepts are stated, as in the equation above


def line(post, zip_code, sizes):
    """Draws (chain, draw, size) of the expected price of homes of these sizes."""
    drawn = post.natural("beta").sel(zip=zip_code) if "beta" in post.parameters else post.natural("mu")
    return drawn[..., 0] + drawn[..., 1] * (sizes - centre)  # intercept, slope


def draw_line(axes, post, zip_code, sizes, look, name):
    """The expected price, and where it lies with 90 % probability."""
    drawn = line(post, zip_code, sizes)
    low, high = drawn.quantile([0.05, 0.95], ("chain", "draw"))
    axes.fill_between(sizes, low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(sizes, drawn.mean(("chain", "draw")), label=name, **look)


def slope(post):
    """Posterior mean of every ZIP code's € per m²."""
    return post.natural("beta")[..., 1].mean(("chain", "draw")).to_series()


LOOKS = {
    "pooled": {"color": BLACK, "linestyle": ":"},
    "unpooled": {"color": ORANGE, "linestyle": "--"},
    "hierarchical": {"color": BLUE, "linewidth": 2},
}
models = {"pooled": pooled, "unpooled": unpooled, "hierarchical": hierarchical}
three = rows.index[rows == 3]
apart = (slope(unpooled) - slope(hierarchical)).abs().loc[three].sort_values(ascending=False)
shown = [*apart.index[:2], rows.idxmax()]
sizes = xr.DataArray(np.linspace(30, 150, 25), dims="size")

figure, every = plt.subplots(1, 3, figsize=(10, 3.8), sharex=True, sharey=True, layout="constrained")
for axes, zip_code in zip(every, shown, strict=True):
    for name, post in models.items():
        draw_line(axes, post, zip_code, sizes, LOOKS[name], name)
    here = sales[sales["zip"] == zip_code]
    axes.plot(
        here["living_space"],
        here["price"],
        "o",
        color=GREY,
        markersize=5,
        label="sales",
        zorder=3 if len(here) == 3 else 1,
    )
    axes.set(title=f"{zip_code}: {len(here)} sales", xlabel="living space, m²", xlim=(25, 155), ylim=(0, 8.5e5))
every[0].set_ylabel("price, € thousand")
every[0].yaxis.set_major_formatter(THOUSANDS)
every[0].legend(loc="upper left")
plt.show()
say("Shaded: where each line lies with 90 % probability.")


# %%
def estimates(zip_code):
    """Price of a home of average size and slope in one ZIP code under each model, and the truth."""
    level, rise = truth.beta[list(truth.zip).index(zip_code)]
    found = {}
    for name, post in models.items():
        drawn = post.natural("mu") if post is pooled else post.natural("beta").sel(zip=zip_code)
        mean, sd = drawn.mean(("chain", "draw")).values, drawn.std(("chain", "draw")).values
        found[name] = [f"{mean[0] / 1000:,.0f} ± {sd[0] / 1000:,.0f}", f"{mean[1]:,.0f} ± {sd[1]:,.0f}"]
    found["truth"] = [f"{(level + rise * (centre - truth.mean_size)) / 1000:,.0f}", f"{rise:,.0f}"]
    columns = pd.MultiIndex.from_product(
        [[f"{zip_code}: {rows[zip_code]} sales"], [f"price of {centre:.0f} m², € thousand", "€ per m²"]]
    )
    return pd.DataFrame.from_dict(found, orient="index").set_axis(columns, axis=1)


say("Posterior means ± sds:")
show(pd.concat([estimates(zip_code) for zip_code in shown], axis=1))

# %% [markdown]
# With three sales the unpooled slope is mostly noise: its sd is large, and a line with such a slope is no guide
# to the price of a home of another size. The pooled line is stable but describes no ZIP code in particular. The
# hierarchical line lies in between, closer to the sales the more there are, and closer to the average ZIP code
# the fewer there are. In the ZIP code with the most sales it coincides with the unpooled one. This is *partial
# pooling*, or *shrinkage*, and its amount is not chosen: it follows from `tau`, `sigma` and the rows.
#
# The same for all ZIP codes at once. Each is an arrow, from its unpooled slope to its hierarchical one.

# %%
alone, together = slope(unpooled), slope(hierarchical)
average = float(hierarchical.natural("mu").sel(term="living_space").mean())
low, high = average - 3000, average + 3000
outside = ((alone < low) | (alone > high)).sum()
across = rows * np.exp(np.random.default_rng(1).uniform(-0.06, 0.06, len(rows)))  # so that arrows do not overlap

figure, axes = plt.subplots(figsize=(9, 3.8))
axes.axhline(average, color=BLACK, linestyle=":", label="the average ZIP code")
axes.vlines(across, alone, together, color=GREY, linewidth=0.7)
axes.plot(across, alone, "o", color=ORANGE, markersize=4, fillstyle="none", label="unpooled")
axes.plot(across, together, "o", color=BLUE, markersize=4, label="hierarchical")
axes.set(xscale="log", ylim=(low, high), xlabel="sales in the ZIP code", ylabel="€ per m²")
axes.set_title("The fewer the sales, the further a slope moves towards the average")
axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
axes.legend(loc="upper right", ncols=3)
plt.show()
say(
    f"{outside} unpooled slopes lie outside of the picture; the furthest are {alone.min():,.0f} and "
    f"{alone.max():,.0f} € per m². All hierarchical ones lie within {together.min():,.0f} … {together.max():,.0f}."
)

# %% [markdown]
# Is it better? Here the truth is known. Take a home of 60 m² in every ZIP code, and compare each model's expected
# price with the true one:

# %%
size = 60.0
homes = {"zip": truth.zip, "living_space": [size] * len(truth.zip)}
true_price = truth.beta @ [1.0, size - truth.mean_size]
errors = pd.DataFrame(
    {name: post.predict(homes)["mean"].to_numpy() - true_price for name, post in models.items()},
    index=truth.zip,
)
classes = pd.cut(rows.loc[truth.zip], [0, 3, 10, 30, np.inf], labels=["1–3", "4–10", "11–30", "over 30"])
table = (errors**2).groupby(classes, observed=True).mean() ** 0.5 / 1000
table.insert(0, "ZIP codes", classes.value_counts().loc[table.index])
table.index.name = "sales in the ZIP code"
say("Typical error (root mean square) of the expected price, in € thousand:")
show(table.round(1))

# %% [markdown]
# The pooled line is wrong by about as much everywhere, since it ignores what is known about the place. The
# unpooled lines are good where there are many sales and useless where there are few. The hierarchical ones are
# good everywhere; with many sales, the two are the same.
#
# ## 3. Before the fit, and after: predictions in euros
#
# The priors above are wide. Are they sensible? Numbers such as `Exponential(5)` do not say; prices do. A *prior
# predictive* draw samples parameters from the priors and generates prices from them, for the homes in the table.
# Compare the default priors with narrower ones that use what everybody knows: homes in Berlin cost some hundred
# thousand euros, and larger ones cost more.

# %%
narrow = alike.with_priors(
    [
        "mu[Intercept] ~ Normal(3, 2)",
        "mu[living_space] ~ Normal(1.5, 0.75)",
        "tau ~ HalfNormal(0.5)",
        "sigma ~ HalfNormal(1)",
    ]
)
print(ph.equations(narrow, sales).partition("\n\n")[2])

# %%
figure, every = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for axes, (name, model) in zip(every, {"default": alike, "narrower": narrow}.items(), strict=True):
    prior = ph.prior_predictive(model, sales, draws=100 if SHORT else 500, seed=SEED, dtype="float32")
    prices = prior["prior_predictive"]["price"].to_numpy().ravel()
    edge = float(np.quantile(np.abs(prices), 0.999))
    counts, bins = np.histogram(prices, np.linspace(-edge, edge, 121))
    axes.axvspan(*sales["price"].quantile([0.01, 0.99]), color=ORANGE, alpha=0.35, lw=0, label="98 % of the sales")
    axes.stairs(counts, bins, color=BLUE, linewidth=1.5, label="prior predictive")
    axes.set(title=f"{name} priors", xlabel="price, € million", yticks=[])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda euros, _: f"{euros / 1e6:g}"))
    say(
        f"{name} priors: {100 * (prices < 0).mean():.0f} % of the prices are negative, "
        f"{100 * (np.abs(prices) > 2e6).mean():.0f} % are beyond ± 2 million €."
    )
every[0].legend(loc="upper left")
plt.show()

# %% [markdown]
# The defaults know nothing about homes. That is their purpose, and it does no harm here: thousands of rows
# overwhelm them.

# %%
narrowly = ph.refit(hierarchical, priors=narrow.priors, **DRAWS)  # from the sums in the posterior; no row is read
population = ["mu", "tau", "sigma"]
show(compared({"default priors": hierarchical, "narrower priors": narrowly}, population))

# %% [markdown]
# After the fit, `predict` gives the price of any home with its uncertainty: of the ZIP code with three sales, of
# the one with the most, and of one that had no sales at all, which is drawn from the population of ZIP codes.

# %%
asked = pd.DataFrame({"zip": [shown[0], shown[2], "10999"], "living_space": 80})
priced = hierarchical.predict(asked, below=350_000, unseen="draw")
show(priced.round({"mean": -2, "sd": -2, "q5": -2, "q50": -2, "q95": -2, "below_350000": 2}))

# %% [markdown]
# And a check on the whole: draw a price for every row from the posterior, and compare the table that the model
# would have generated with the actual one.

# %%
replicated = ph.posterior_predictive(hierarchical, sales, dtype="float32", log_likelihood=False)
made = replicated["posterior_predictive"]["price"].stack(sample=("chain", "draw")).transpose("sample", "row")
bins = np.linspace(0, 1.2e6, 61)

figure, axes = plt.subplots(figsize=(8, 3))
for at in np.linspace(0, len(made) - 1, 40).astype(int):
    label = "40 tables drawn from the model" if at == 0 else None
    axes.stairs(np.histogram(made[at], bins)[0], bins, color=BLUE, alpha=0.35, linewidth=0.8, label=label)
axes.stairs(np.histogram(sales["price"], bins)[0], bins, color=BLACK, linewidth=1.6, label="the sales")
axes.set(xlabel="price, € thousand", ylabel="sales", title="Sales as they are, and as the model makes them")
axes.xaxis.set_major_formatter(THOUSANDS)
axes.legend()
plt.show()

bounds = np.quantile(made, [0.05, 0.95], axis=0)
covered = (sales["price"] >= bounds[0]) & (sales["price"] <= bounds[1])
say(f"{100 * covered.mean():.1f} % of the sales lie in their 90 % predictive intervals.")
del replicated, made

# %% [markdown]
# ## 4. The bad model
#
# In the notebook's first model the noise varied, too: each ZIP code has its own `sigma`. Its author meant to
# share one, noticed, and kept the model as an example of how bad sampling looks. In priorhood it is
# `noise="zip"`.
#
# About the priors: the notebook's formulas say Normal(0, 100) for the means and Exponential(100) for all the
# spreads; its code says Normal(0, 20), Normal(0, 5) and, in this model, `Exponential(lam=1/2.5)`, in the others
# 1/5. We follow the code. PyMC's argument is a rate, priorhood's a mean: `Exponential(2.5)`.
#
# priorhood's exact engine supports this model too, see the end of this section. Here we first use **NUTS**, the
# general-purpose sampler of PyMC and Stan. NUTS moves through the space of all parameters, here three for each
# ZIP code, in small steps along the slopes of the log density. Four *chains* do so from different starts; after
# 1,000 steps to warm up each keeps 1,000 draws. If all is well the four have found the same distribution.


# %%
def fit_by_nuts(model, table, **options):
    """fit() warns of all that check() finds wrong; here check() is asked below."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        return ph.fit(model, table, engine="nuts", seed=SEED, tune=TUNE, **DRAWS, **options)


notebook_priors = [
    "mu[Intercept] ~ Normal(0, 20)",
    "mu[living_space] ~ Normal(0, 5)",
    "tau ~ Exponential(2.5)",
    "sigma ~ Exponential(2.5)",
]
each_its_noise = ph.Model(alike.formula, notebook_priors, units=UNITS, noise="zip")
bad = fit_by_nuts(each_its_noise, sales)
print(bad.equations().partition("\n\n")[2])

# %%
print(bad.check())
diverging = bad.tree["sample_stats"]["diverging"]
by_chain = diverging.sum("draw").values.tolist()
say(
    f"Divergent transitions by chain: {', '.join(map(str, by_chain))} of {diverging.sizes['draw']:,} each. The "
    f"notebook's had 321, 324, 389 and 421 of 1,000."
)

# %% [markdown]
# It fails here as it did there. How to read the verdicts:
#
# - A **divergence** is a step after which the sampler finds that the path it follows has left the true one: the
#   surface is too steep there for its step. It gives up the move, and so stays away from that region. The draws
#   then do not represent the posterior.
# - **R-hat** compares the chains with each other. Above 1.01 they have not found the same distribution.
# - **ESS**, the effective sample size, is the equivalent number of independent draws. Below 100 per chain, means
#   and quantiles cannot be trusted. *Bulk* is about means, *tail* about the 5 and 95 % quantiles.
#
# The traces: on the left the density of each chain, on the right its trace. Good chains lie on top of each other
# and look like noise. Here are `tau` and the two `sigma`s with the worst convergence, the first of them of a ZIP
# code with two sales. The ticks at the bottom mark divergences. They come in clusters: a chain gets stuck
# somewhere, and step after step fails.

# %%
noises = bad.summary("sigma").sort_values("ess_bulk").index.tolist()
of_two = [name for name in noises if rows[name[len("sigma[") : -1]] == 2]
worst = of_two[0][len("sigma[") : -1]
ph.plot.trace(bad, ["tau[living_space]", of_two[0], next(name for name in noises if name != of_two[0])])

# %% [markdown]
# **Why.** Take a ZIP code with two sales. Some line goes exactly through both. On this line both residuals are 0,
# and each sale adds a factor 1/`sigma` to the density: the smaller this ZIP code's `sigma`, the better, without
# bound. Nothing in two rows speaks against a `sigma` of 10 €. As `sigma` shrinks, so does the set of lines that
# are close enough: the density runs into an ever narrower and higher ridge. It has little mass, so it is still a
# proper probability distribution, but a sampler with one step size for everything cannot follow it down. With one
# sale it is the same, with more lines that pass through it. Three sales are rarely on one line.
#
# The picture shows it for the ZIP code with two sales that converges worst: across, how far the line passes from
# the first sale; upwards, `sigma`, on a log scale. The divergences lie where the funnel gets narrow.

# %%
home = sales[sales["zip"] == worst].iloc[0]
miss = (line(bad, worst, home["living_space"]) - home["price"]).values
noise = bad.natural("sigma").sel(zip=worst).values
stuck = diverging.values.astype(bool)

figure, axes = plt.subplots(figsize=(7.5, 4.2))
axes.plot(miss[~stuck], noise[~stuck], ".", color=BLUE, markersize=3, alpha=0.5, label="draws")
axes.plot(miss[stuck], noise[stuck], "x", color=ORANGE, markersize=5, label="divergent")
axes.set(yscale="log", xlim=(-1.5e5, 1.5e5), ylabel=f"sigma[{worst}], €")
axes.set(
    xlabel="expected price of the first home, less its price, € thousand", title=f"ZIP code {worst}: two sales"
)
axes.xaxis.set_major_formatter(THOUSANDS)
axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
axes.legend(loc="lower left")
plt.show()

# %% [markdown]
# The exact engine has no funnel to walk into. Every line and every `sigma` is integrated out, the latter by
# quadrature, and drawn only afterwards, given the few numbers that all ZIP codes share. The same model, the same
# priors:

# %%
exactly = ph.fit(each_its_noise, sales, seed=SEED, **DRAWS)
print(exactly.check())
least = {name: post.summary()["ess_bulk"].min() for name, post in {"NUTS": bad, "exact": exactly}.items()}
say(
    f"It took {exactly.attrs['sampling_time']:.1f} s; NUTS, with compiling, {bad.attrs['sampling_time']:.0f} s. "
    f"The least bulk ESS of all parameters is {least['exact']:,.0f} in place of {least['NUTS']:,.0f}."
)
compared({"NUTS": bad, "exact": exactly}, ["mu", "tau", "sigma"]).loc[
    lambda told: told.index.str.contains("mu|tau")
]

# %%
true_miss = (line(exactly, worst, home["living_space"]) - home["price"]).values
figure, axes = plt.subplots(figsize=(7.5, 4.2))
axes.plot(
    true_miss.ravel(),
    exactly.natural("sigma").sel(zip=worst).values.ravel(),
    ".",
    color=GREEN,
    markersize=3,
    alpha=0.5,
    label="exact",
)
axes.plot(miss.ravel(), noise.ravel(), ".", color=BLUE, markersize=3, alpha=0.3, label="NUTS")
axes.set(yscale="log", xlim=(-1.5e5, 1.5e5), ylabel=f"sigma[{worst}], €")
axes.set(
    xlabel="expected price of the first home, less its price, € thousand", title="The same funnel, drawn exactly"
)
axes.xaxis.set_major_formatter(THOUSANDS)
axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
axes.legend(loc="lower left")
plt.show()

# %% [markdown]
# The exact draws below the blue ones show what NUTS could not reach. The posterior is correct, but the model
# still says that a ZIP code may have no noise at all, which is not what anyone believes. What helps: one `sigma`
# for all ZIP codes, as intended; this is the model of section 2. Or partially pooled noise, `noise="zip"` without
# a prior for `sigma`, which is priorhood's default. Or, with NUTS, a prior that excludes a `sigma` near zero.
# `Gamma(10, 0.05)` has its mean at 0.5, that is 50,000 €, and almost no mass below 10,000 €:

# %%
if SHORT:
    say("(Not fitted in the short form.)")
else:
    repaired = fit_by_nuts(each_its_noise.with_priors("sigma ~ Gamma(10, 0.05)"), sales)
    print(repaired.check())

# %% [markdown]
# ## 5. Centred or non-centred
#
# The same hierarchical model can be written in two ways. Both say that a ZIP code's slope is Normal(`mu`, `tau`).
#
# - **centred**: the sampler moves the slope itself, `beta ~ Normal(mu, tau)`.
# - **non-centred**: it moves a standard Normal `z`, and the slope is `beta = mu + tau · z`.
#
# The posterior is the same; the surface that the sampler walks on is not. Where a ZIP code has many rows, the
# data fix its slope. Centred that is easy: the slope is a coordinate. Non-centred `mu + tau · z` is fixed, so
# that `mu`, `tau` and all the `z` can only move together. Where a ZIP code has few rows, its slope is whatever
# `mu` and `tau` let it be. Then the centred slopes crowd together when `tau` is small, a funnel like that of
# section 4, while the `z` do not care. So: centred for many rows per place, non-centred for few.
#
# Here both, on two tables: the sales above, and as many ZIP codes with about two sales each.

# %%
few, _ = ph.simulate(PLACES, FEW)
tables = {"two sales per ZIP code": few} if SHORT else {"the sales": sales, "two sales per ZIP code": few}
fits = {}
for name, data in tables.items():
    fits[name] = {said: fit_by_nuts(alike, data, parameterization=form) for said, form in FORMS.items()}
    fits[name]["exact"] = ph.fit(alike, data, seed=SEED, **DRAWS)

found = []
for name, engines in fits.items():
    for engine, post in engines.items():
        summary, facts = post.summary(), post.attrs
        drawing = facts.get("draw_time", facts["sampling_time"])
        least = summary["ess_bulk"].idxmin()
        found.append(
            {
                "table": f"{name} ({len(tables[name]):,} rows)",
                "engine": engine,
                "compile, s": facts.get("compile_time", 0.0),
                "draw, s": drawing,
                "divergences": facts.get("divergences", 0),
                "least ESS": round(summary["ess_bulk"].min()),
                "of": least,
                "least ESS per s of drawing": round(summary["ess_bulk"].min() / drawing),
                "largest R-hat": summary["r_hat"].max(),
            }
        )
show(pd.DataFrame(found).set_index(["table", "engine"]).round({"compile, s": 1, "draw, s": 2, "largest R-hat": 3}))

# %%
looks = {"centred": ("o", ORANGE), "non-centred": ("s", GREEN), "exact": ("D", BLUE)}
kinds = ["beta", "sigma", "tau", "mu"]
figure, every = plt.subplots(
    1, len(fits), figsize=(4.4 * len(fits) + 1.2, 3), sharex=True, sharey=True, layout="constrained", squeeze=False
)
for axes, (name, engines) in zip(every[0], fits.items(), strict=True):
    for engine, post in engines.items():
        marker, colour = looks[engine]
        least = [post.summary(kind)["ess_bulk"].min() for kind in kinds]
        axes.plot(least, kinds, marker, color=colour, markersize=8, alpha=0.85, label=engine)
    axes.axvline(100 * DRAWS["chains"], color=BLACK, linestyle=":")
    axes.set(xscale="log", xlabel="least ESS among the parameters of this kind", title=name)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.margins(y=0.15)
figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
plt.show()
say(f"The dotted line is at {100 * DRAWS['chains']:,}, which `check` asks for.")

# %% [markdown]
# With many sales the centred form is good and the non-centred one is slow: its `mu` drags all the ZIP codes
# along. With two per ZIP code it is the other way round. The notebook has both forms and says that the second
# often works better, and sometimes does not: this is when. Most tables have some places with many rows and others
# with one, and neither form suits all of them at once.
#
# The exact engine has no such choice to make, since `mu` and all of `beta` are integrated out before anything is
# explored. Do the engines agree? For every parameter, how far apart the means are, in posterior sds, and how the
# sds compare:

# %%
agreement = {}
for name, engines in fits.items():
    one = engines["exact"].summary(standardized=True)
    for engine in FORMS:
        other = engines[engine].summary(standardized=True)
        apart = (other["mean"] - one["mean"]).abs() / one["sd"]
        ratio = other["sd"] / one["sd"]
        agreement[name, engine] = {
            "parameters": len(one),
            "means apart, median": apart.median(),
            "means apart, most": apart.max(),
            "ratio of sds, least": ratio.min(),
            "ratio of sds, most": ratio.max(),
        }
show(pd.DataFrame.from_dict(agreement, orient="index").rename_axis(["table", "NUTS"]).round(2))

name = next(iter(fits))
say(f"Side by side, for {name}:")
show(compared(fits[name], population))

# %% [markdown]
# They agree up to Monte Carlo error, which is larger where the ESS is small. The agreement also speaks for the
# exact engine: NUTS works with the rows and shares none of its code.
#
# To take one of these models further, `model.to_pymc(table)` returns it as a plain PyMC model:

# %%
print(alike.to_pymc(few, "noncentered").str_repr())

# %% [markdown]
# ## 6. The correlation
#
# So far intercepts and slopes were independent. In the simulation they are not: where homes are expensive, an
# additional square metre is expensive too. The notebook's fourth model draws both from a bivariate Normal. In the
# formula that is one bar in place of two. The correlation matrix, `omega`, has an LKJ(2) prior, as in the
# notebook, which for a single correlation is mild and symmetric; and its prior for both means is Normal(0, 5).

# %%
joint = ph.Model("price ~ living_space + (living_space | zip)", "mu ~ Normal(0, 5)", units=UNITS)
correlated = ph.fit(joint, sales, seed=SEED, **DRAWS)
by_nuts = fit_by_nuts(joint, sales)

everything = ["mu", "tau", "omega", "sigma"]
show(compared({"exact": correlated, "NUTS": by_nuts}, everything))
say(
    f"The exact engine took {correlated.attrs['sampling_time']:.2f} s, NUTS "
    f"{by_nuts.attrs['compile_time']:.1f} s to compile and {by_nuts.attrs['draw_time']:.1f} s to draw."
)

# %%
correlation = {"term": "living_space", "term_bis": "Intercept"}
draws = {"exact": correlated["omega"].sel(correlation), "NUTS": by_nuts["omega"].sel(correlation)}
grid = np.linspace(-1, 1, 201)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
bins = np.linspace(0.3, 0.95, 53)
for (name, values), (colour, width) in zip(draws.items(), ((BLUE, 2.2), (ORANGE, 1.2)), strict=True):
    counts = np.histogram(values, bins)[0] / values.size / np.diff(bins)
    left.stairs(counts, bins, color=colour, linewidth=width, label=f"posterior, {name}")
left.plot(grid, 0.75 * (1 - grid**2), ":", color=BLACK, label="prior, LKJ(2)")
left.axvline(truth.rho, color=GREEN, linestyle="--", label="truth")
left.set(xlabel="correlation of intercept and slope", xticks=[-1, -0.5, 0, 0.5, 1], yticks=[])
left.set_title("What the data say about omega")
left.legend(loc="upper left")

mean = correlated.natural("beta").mean(("chain", "draw"))
level, rise = mean.sel(term="Intercept"), mean.sel(term="living_space")
right.scatter(level, rise, s=6 + 1.2 * rows.loc[mean["zip"].values], color=BLUE, alpha=0.5, linewidths=0)
right.set(xlabel="intercept: price of an average home, € thousand", ylabel="€ per m²")
right.set_title("ZIP codes; the larger the dot, the more sales")
right.xaxis.set_major_formatter(THOUSANDS)
right.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
plt.show()

# %% [markdown]
# What it is good for: a single sale in a ZIP code says little about its slope, but something about its level, and
# with the correlation the level says something about the slope. The errors of the slopes, compared with the
# truth:

# %%
true_slope = pd.Series(truth.beta[:, 1], index=truth.zip)
errors = pd.DataFrame({"independent": slope(hierarchical), "correlated": slope(correlated)}).sub(true_slope, axis=0)
table = (errors**2).groupby(classes, observed=True).mean() ** 0.5
table.insert(0, "ZIP codes", classes.value_counts().loc[table.index])
table.index.name = "sales in the ZIP code"
say("Typical error (root mean square) of the slope, in € per m²:")
show(table.round(0))
same_mu = ph.refit(hierarchical, priors="mu ~ Normal(0, 5)", **DRAWS)  # so that the priors differ in nothing else
gain = correlated.log_evidence - same_mu.log_evidence
say(f"The log evidence, log p(y), of the correlated model is higher by {gain:.1f}: the data speak for it clearly.")

# %% [markdown]
# ## 7. Under the notebook's names, and in one file
#
# Draws are labelled: a ZIP code is looked up by its label, not by a position.

# %%
ph.plot.trace(correlated, zip=shown[0])

# %% [markdown]
# `notebook_names` gives the same draws as `alpha`, `beta`, `mu_alpha`, …, with `zip_code` for the ZIP codes, so
# that the notebook's ArviZ calls work unchanged. Values are on the standardized scale, as they are there: prices
# divided by 100,000, sizes centred and divided by their sd.

# %%
import arviz as az

data = correlated.notebook_names()
names = ["mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "C_triu", "sd_price"]
show(az.summary(data, var_names=names, kind="stats"))
az.plot_trace(data.posterior.where(data.posterior.zip_code.isin([shown[0]]), drop=True), var_names=["alpha"])
plt.show()

# %% [markdown]
# The notebook kept each model's prior, posterior and predictive draws together, and so does `attach`. `save`
# writes one netCDF file, which priorhood loads and ArviZ opens. Draws for every row make it large; a quarter of
# the draws will do here. With the log-likelihood of every row in it, ArviZ can compare models by leave-one-out
# cross-validation: how well each predicts a sale that it has not seen.

# %%
opened = {}
with tempfile.TemporaryDirectory() as folder:
    for name, post in (("independent", hierarchical), ("correlated", correlated)):
        fewer = ph.refit(post, chains=DRAWS["chains"], draws=max(DRAWS["draws"] // 4, 100))
        file = Path(folder) / f"{name}.nc"
        fewer.save(file)
        plain = file.stat().st_size
        before = ph.prior_predictive(post.model, sales, draws=100, seed=SEED, dtype="float32")
        after = ph.posterior_predictive(fewer, sales, dtype="float32")
        fewer.attach(before, after).save(file)
        say(f"`{file.name}`: {plain / 1e6:.1f} MB, with the draws for every row {file.stat().st_size / 1e6:.1f} MB")
        again = ph.load(file)
        opened[name] = az.from_netcdf(file).load()
print(again)
print(", ".join(again.tree.children))

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # of rows for which the estimate is doubtful; see below
    loo = {name: az.loo(held, pointwise=True) for name, held in opened.items()}
    show(az.compare(loo))
doubtful = loo["correlated"].pareto_k > 0.7
crowd = rows[sales["zip"].iloc[np.flatnonzero(doubtful)]]
say(
    f"For {int(doubtful.sum())} of {len(sales):,} sales the estimate is doubtful (Pareto k over 0.7): the "
    f"posterior without such a sale would be too different from the one with it. Half of them are in ZIP codes "
    f"with at most {crowd.median():.0f} sales."
)

# %% [markdown]
# The correlated model predicts slightly better: most ZIP codes have enough sales to do without it.
#
# ## 8. Real rents
#
# The notebook's repository has rents too: flats offered on ImmobilienScout24 in 2018 and 2019. No licence for
# them was found, so they are not part of this project. If they are available next to a checkout, this section
# shows the results of the models, but no rows.

# %%
NAME = "berlin_rents_clean.csv"
folders = [Path(p) for p in (os.environ.get("PRIORHOOD_DATA"), "../shared/data", "../../shared/data") if p]
file = next((folder / NAME for folder in folders if (folder / NAME).is_file()), None)
if file is None:
    say(
        f"**`{NAME}` is not here**, so the rest of this section has nothing to show. The project may not hand it "
        f"on. Put it into `shared/data`, in the checkout or beside it, or name its folder in the environment "
        f"variable `PRIORHOOD_DATA`, and run the page again."
    )
else:
    flats = ph.Model(
        "rent ~ living_space + (living_space | zip)", units={"rent": "€ a month", "living_space": "m²"}
    )
    all_rents = ph.fit(flats, file, seed=SEED, **DRAWS)
    rents = ph.fit(flats, file, seed=SEED, drop_outliers=1.5, **DRAWS)
    flats_in = rents.tree["moments"]["n"].to_series().astype(int)
    used, kept = all_rents.attrs["rows_used"], rents.attrs["rows_used"]
    say(
        f"{used:,} flats in {len(flats_in)} ZIP codes, {(flats_in <= 3).sum()} of them with at most three. "
        f"`drop_outliers=1.5` leaves out {used - kept} flats with an unlikely rent per m²."
    )
    show(compared({"all flats": all_rents, "without outliers": rents}, everything))
    print(rents.check())

# %% [markdown]
# Gaussian errors take an outlier at its word: a few flats move `sigma` and the spread of the slopes. Leaving rows
# out because of their outcome changes what is learned. We do it here since some of them look like typing errors,
# and show both.
#
# What the models say of a ZIP code with three flats, without showing them:

# %%
if file is None:
    say("(No rents, no lines.)")
else:
    one = ph.fit("rent ~ living_space", file, seed=SEED, drop_outliers=1.5, **DRAWS)
    own = ph.Model("rent ~ 0 + (living_space || zip)", "tau ~ Fixed(20)")
    own = ph.fit(own, file, seed=SEED, drop_outliers=1.5, **DRAWS)
    apart = (slope(own) - slope(rents)).abs()[flats_in.index[flats_in == 3]]
    zip_code, sizes = apart.idxmax(), np.linspace(30, 150, 25)
    homes = {"zip": [zip_code] * len(sizes), "living_space": sizes}
    predicted = rents.predict(homes)

    figure, axes = plt.subplots(figsize=(6.5, 3.6))
    low, high = predicted["q5"], predicted["q95"]
    axes.fill_between(sizes, low, high, color=BLUE, alpha=0.15, linewidth=0, label="90 % of flats, hierarchical")
    for name, post in (("pooled", one), ("unpooled", own), ("hierarchical", rents)):
        axes.plot(sizes, post.predict(homes)["mean"], label=name, **LOOKS[name])
    axes.set(xlabel="living space, m²", ylabel="rent, € a month", title=f"{zip_code}: three flats")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.legend(loc="upper left", fontsize=9)
    plt.show()
    say(
        f"For {zip_code} the unpooled slope is {slope(own)[zip_code]:.1f} € per m², the hierarchical one "
        f"{slope(rents)[zip_code]:.1f}. The interval for a flat of 30 m² starts at {low.iloc[0]:,.0f} €."
    )

# %% [markdown]
# The band is about as wide for a small flat as for a large one. Real rents are not like that: their spread grows
# with the rent. `log(rent) ~ log(living_space) + (log(living_space) | zip)` lets it; see [log
# outcomes](guide.md#log-outcomes) in the guide.
