"""Prior families, as in `ph.Model(formula, {"tau": ph.priors.HalfNormal(0.5)})`."""

from priorhood.model.distributions import (
    LKJ,
    Exponential,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
    Uniform,
)

__all__ = [
    "LKJ",
    "Exponential",
    "Fixed",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "LogNormal",
    "Normal",
    "Uniform",
]


def __dir__() -> list[str]:
    return __all__
