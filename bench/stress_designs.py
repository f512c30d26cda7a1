"""The hard designs: few groups, few rows, many dimensions, spreads from 0 to 100 times the noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SPREADS = (0.0, 1e-3, 1.0, 100.0)
ENDS = (0.0, 100.0)
OWN = (None,)


@dataclass(frozen=True)
class Design:
    """A structure: formula, priors and the columns of a table.

    groups : places per level, coarsest first, each within the one before; of two crossed groupings, theirs
    rows : in every finest place; 0 for a ragged 1 to 12
    spreads : true sds of all effects that it is fitted under, in residual sds; None for outcomes of its own
    special : what is particular about the columns
    """

    name: str
    formula: str
    groups: tuple[int, ...]
    rows: int
    priors: tuple[str, ...] = ()
    spreads: tuple[float | None, ...] = SPREADS
    special: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def frame(self) -> dict[str, Any]:
        """The table; its outcome is standard Normal noise, unless the design has its own."""
        rng = np.random.default_rng([*self.name.encode()])
        places = int(np.prod(self.groups))
        per = rng.permutation(np.arange(places) % 12 + 1) if self.rows == 0 else np.full(places, self.rows)
        place = np.repeat(np.arange(places), per)
        frame: dict[str, Any] = {}
        for at, column in enumerate("abc"[: len(self.groups)]):
            below = int(np.prod(self.groups[at + 1 :]))
            index = place // below
            own = index % self.groups[at] if self.special == "crossed" else index
            frame[column] = [f"{column}{i}" for i in own]
        columns = rng.normal(size=(len(place), 20))
        if self.special == "collinear":
            columns[:, 1] = columns[:, 0] + 1e-3 * columns[:, 1]
        frame |= {f"x{k + 1}": columns[:, k] for k in range(20)}
        frame["e"] = 10.0 ** rng.uniform(-0.5, 0.5, len(place))
        frame["w"] = rng.integers(1, 6, len(place))
        frame["y"] = self._outcome(rng, place)
        return frame

    def _outcome(self, rng: np.random.Generator, place: Any) -> Any:
        noise = rng.normal(size=len(place))
        if self.special == "log":
            return np.exp(noise)
        if self.special == "heavy tails":
            return rng.normal(size=place.max() + 1)[place] + rng.standard_t(1.5, len(place))
        if self.special == "outliers":
            return noise + 1000.0 * (rng.random(len(place)) < 0.02)
        return noise


def _terms(count: int, bar: str, group: str) -> str:
    """`y ~ x1 + x2 + (x1 + x2 | group)` of so many terms, the intercept one of them."""
    names = [f"x{k}" for k in range(1, count)]
    return f"y ~ {' + '.join(names) or '1'} + ({' + '.join(names) or '1'} {bar} {group})"


def _simple(groups: int, rows: int, count: int, bar: str = "|", **more: Any) -> Design:
    kind = "" if count == 1 else (" correlated" if bar == "|" else " independent")
    terms = f"{count} term{'s' * (count > 1)}{kind}"
    per = "1 to 12 rows" if rows == 0 else f"{rows} row{'s' * (rows > 1)}"
    extra = more.pop("extra", "")
    name = f"{groups} groups, {per}, {terms}{extra and ', '}{extra}"
    return Design(name, more.pop("formula", _terms(count, bar, "a")), (groups,), rows, **more)


CAUCHY = ("tau ~ HalfCauchy(1)", "sigma ~ HalfCauchy(1)")
TIGHT = ("tau ~ HalfNormal(0.1)", "sigma ~ HalfNormal(1)")
KNOWN = {"se": "e"}

DESIGNS = (
    _simple(2, 1, 1),
    _simple(2, 5, 1),
    _simple(2, 50, 2),
    _simple(3, 2, 1),
    _simple(3, 5, 2, "||"),
    _simple(5, 1, 1),
    _simple(5, 5, 2),
    _simple(5, 50, 2),
    _simple(5, 5, 4),
    _simple(20, 1, 2),
    _simple(20, 2, 2),
    _simple(20, 0, 2),
    _simple(20, 5, 3),
    _simple(20, 5, 4),
    _simple(20, 5, 6, "||"),
    _simple(20, 0, 5, spreads=ENDS),
    _simple(20, 0, 6, spreads=ENDS),
    _simple(200, 1, 2),
    _simple(200, 0, 2),
    _simple(200, 50, 2),
    _simple(3, 5, 2, priors=CAUCHY, extra="HalfCauchy(1)"),
    _simple(20, 2, 2, priors=CAUCHY, extra="HalfCauchy(1)"),
    _simple(3, 5, 2, priors=TIGHT, extra="HalfNormal(0.1)"),
    _simple(20, 2, 2, priors=TIGHT, extra="HalfNormal(0.1)"),
    Design("3 districts of 5 places, 1 term", _terms(1, "|", "a/b"), (3, 5), 4),
    Design("3 districts of 5 places, 2 terms", _terms(2, "|", "a/b"), (3, 5), 0),
    Design("3 districts of 5 places, 3 terms", _terms(3, "|", "a/b"), (3, 5), 0),
    Design("8 districts of 10 places, 3 terms", _terms(3, "|", "a/b"), (8, 10), 0),
    Design("3 × 3 × 3 places, 1 term", _terms(1, "|", "a/b/c"), (3, 3, 3), 3),
    Design("4 × 4 × 5 places, 3 terms", _terms(3, "|", "a/b/c"), (4, 4, 5), 0, spreads=ENDS),
    Design("6 × 9 crossed, 1 term each", "y ~ (1 | b) + (1 | a)", (6, 9), 2, special="crossed"),
    Design("20 × 5 crossed, 2 terms and 1", "y ~ x1 + (x1 | a) + (1 | b)", (20, 5), 2, special="crossed"),
    _simple(8, 1, 1, options=KNOWN, extra="known errors"),
    _simple(20, 2, 2, options=KNOWN, extra="known errors"),
    _simple(20, 2, 2, options={"precision_weights": "w"}, extra="precision weights"),
    _simple(20, 2, 2, options={"frequency_weights": "w"}, extra="frequency weights"),
    _simple(20, 2, 2, formula="log(y) ~ x1 + (x1 | a)", special="log", extra="log outcome"),
    _simple(20, 5, 2, special="heavy tails", spreads=OWN, extra="errors t(1.5)"),
    _simple(20, 5, 2, special="outliers", spreads=OWN, extra="2 % of rows 1,000 off"),
    _simple(20, 5, 3, special="collinear", extra="two predictors alike to 0.001"),
    _simple(20, 5, 1, formula=f"y ~ {' + '.join(f'x{k}' for k in range(1, 21))} + (1 | a)", extra="20 predictors"),
    _simple(2, 2, 1),
    _simple(3, 1, 1),
    _simple(3, 50, 2),
    _simple(5, 0, 3),
    _simple(10, 1, 1),
    _simple(10, 2, 3, "||"),
    _simple(10, 5, 2),
    _simple(50, 1, 2, "||"),
    _simple(50, 2, 4, spreads=ENDS),
    _simple(50, 5, 3),
    _simple(1000, 0, 2, spreads=ENDS),
    _simple(5, 2, 2, priors=("tau ~ Uniform(0, 3)", "sigma ~ Uniform(0, 10)"), extra="Uniform(0, 3)"),
    _simple(
        10, 2, 2, priors=("tau ~ InverseGamma(2, 1)", "sigma ~ InverseGamma(2, 1)"), extra="InverseGamma(2, 1)"
    ),
    _simple(10, 2, 2, priors=("tau ~ LogNormal(0, 2)",), extra="LogNormal(0, 2)"),
    _simple(10, 2, 2, priors=("tau ~ Gamma(2, 1)", "omega ~ LKJ(1)"), extra="Gamma(2, 1), LKJ(1)"),
    _simple(
        10, 2, 2, priors=("tau ~ HalfStudentT(3, 0.1)", "omega ~ LKJ(20)"), extra="HalfStudentT(3, 0.1), LKJ(20)"
    ),
    _simple(20, 0, 1, options={"noise": "a"}, extra="noise by place"),
    _simple(10, 5, 2, options={"noise": "a"}, extra="noise by place"),
    Design("2 districts of 3 places, 1 term", _terms(1, "|", "a/b"), (2, 3), 3),
    Design("3 districts of 5 places, 3 terms independent", _terms(3, "||", "a/b"), (3, 5), 0),
    Design("3 × 4 × 5 crossed, 1 term each", "y ~ (1 | c) + (1 | b) + (1 | a)", (3, 4, 5), 1, special="crossed"),
    Design("40 × 12 crossed, 1 term and 2", "y ~ x1 + (1 | a) + (x1 | b)", (40, 12), 1, special="crossed"),
    Design("3 × 4 nested, crossed with 5", "y ~ (1 | a/b) + (1 | c)", (3, 4, 5), 2, special="crossed"),
)
