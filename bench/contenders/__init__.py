"""Who takes part: a contender is a line here, a script in bench/scripts, and its pins in NAME.txt beside this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = HERE.parent / "scripts"
UNCORRELATED = "effects of a place have no correlation there"
SPREADS = "the prior of a spread is a multiple of sigma there"
MODELS = ("independent", "correlated")


@dataclass(frozen=True)
class Contender:
    """One implementation of the model.

    script : in bench/scripts; one in R runs under Rscript
    python : versions that its pins are for, "3.11" exactly, "3.12+" and later; "" for R, "own" for this interpreter
    packages : of R, which must be installed
    draws : whether it gives draws; else a point estimate
    models : what it can express
    differs : how its model is not the same
    """

    name: str
    label: str
    script: str
    python: str = "3.12+"
    packages: tuple[str, ...] = ()
    draws: bool = True
    models: tuple[str, ...] = MODELS
    differs: str = ""

    @property
    def pins(self) -> Path:
        """Its requirements, every version pinned."""
        return HERE / f"{self.name}.txt"


OF_R = ("data.table", "jsonlite")
CONTENDERS = {
    one.name: one
    for one in (
        Contender("priorhood", "priorhood", "run_priorhood.py", python="own"),
        Contender("lme4", "lme4", "run_lme4.R", python="", packages=("lme4", *OF_R), draws=False),
        Contender("statsmodels", "statsmodels MixedLM", "run_statsmodels.py", draws=False),
        Contender("nutpie", "nutpie", "run_pymc.py"),
        Contender("pymc6", "PyMC 6", "run_pymc.py"),
        Contender("pymc5", "PyMC 5", "run_pymc.py", python="3.11"),
        Contender("numpyro", "NumPyro", "run_numpyro.py"),
        Contender("bambi", "bambi", "run_bambi.py", models=("independent",), differs=UNCORRELATED),
        Contender(
            "rstanarm", "rstanarm", "run_rstanarm.R", python="", packages=("rstanarm", *OF_R), differs=SPREADS
        ),
    )
}
# The first is what the others are held against.
YARDSTICK = next(iter(CONTENDERS))
