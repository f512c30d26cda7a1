"""Fit one model by one engine and time it: a JSON object on the command line in, one on stdout out.

Runs in a process of its own, in any interpreter that has priorhood; nothing else of this package is imported.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import warnings
from importlib import metadata
from typing import Any

import numpy as np

import priorhood as ph

# What each engine imports: done before any clock starts, but for priorhood.engines.exact, whose kernels are timed.
LIBRARIES = {
    "exact": ("numba", "scipy"),
    "nutpie": ("pymc", "nutpie"),
    "pymc": ("pymc",),
}


def fit(asked: dict[str, Any], model: ph.Model, frame: Any) -> ph.Posterior:
    """One fit as asked."""
    if asked["how"] == "exact":
        options: dict[str, Any] = {"engine": "exact"}
    else:
        options = {"engine": "nuts", "sampler": asked["how"], "tune": asked["tune"]}
        options["parameterization"] = asked["parameterization"]
    return ph.fit(model, frame, seed=asked["seed"], chains=asked["chains"], draws=asked["draws"], **options)


def times(asked: dict[str, Any], model: ph.Model, frame: Any) -> tuple[ph.Posterior, dict[str, float]]:
    """A posterior, seconds to build and compile and seconds to sample.

    The exact engine compiles or loads its kernels within its first fit: what that takes longer than later ones.
    """
    post = fit(asked, model, frame)
    if asked["how"] != "exact":
        return post, {"compile_s": post.attrs["compile_time"], "sample_s": post.attrs["draw_time"]}
    first = post.attrs["sampling_time"]
    later = statistics.median(fit(asked, model, frame).attrs["sampling_time"] for _ in range(asked["repeats"]))
    return post, {"compile_s": first - later, "sample_s": later}


def quality(post: ph.Posterior) -> dict[str, Any]:
    """Convergence of all parameters, which constants do not have; moments of all but those of single places."""
    table = post.summary(standardized=True)
    few = table[~table.index.str.startswith("beta[")]
    return {
        "parameters": len(table),
        "least_ess": float(table["ess_bulk"].min()),
        "greatest_rhat": float(table["r_hat"].max()),
        "divergences": int(post.attrs["divergences"]) if "divergences" in post.attrs else None,
        "means": few["mean"].to_dict(),
        "sds": few["sd"].to_dict(),
    }


def main() -> None:
    """Import, simulate, fit, tell."""
    asked = json.loads(sys.argv[1])
    for name in LIBRARIES[asked["how"]]:
        importlib.import_module(name)
    frame = ph.simulate(asked["places"], asked["rows"], asked["data_seed"])[0]
    model = ph.Model(asked["formula"], asked["priors"], noise=asked["noise"])
    versions = {name: metadata.version(name) for name in ("priorhood", *LIBRARIES[asked["how"]])}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            post, seconds = times(asked, model, frame)
        except ph.ModelError as refusal:
            print(json.dumps({"refused": str(refusal), "versions": versions}))
            return
        reached = quality(post)
    print(json.dumps({**seconds, **reached, "versions": versions}))


if __name__ == "__main__":
    main()
