"""What rows say of a model: p-values of every question and place, as tables (docs/mathematics.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.uniformity import ALARM
from priorhood.evaluation.residuals import INSIDE, Residuals, two_sided

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from priorhood._arrays import Array, Index, Labels
    from priorhood.diagnostics.verdict import Verdict
    from priorhood.model.model import Model

# All rows together, places, groupings above or across them, single rows: each may raise a false alarm so often.
SHARE = ALARM / 4
LEVEL, SPREAD, SLOPE, EFFECT = "level", "spread", "slope", "effect"


@dataclass(frozen=True, repr=False)
class Assessment:
    """What rows say of a model: printed, one sentence a line. True of a right model but for once in a hundred.

    model : of the posterior
    residuals : of every row and place; effects : grouping → labels and p-values of its places' effects
    verdicts : sentences, with remedies
    """

    model: Model
    residuals: Residuals
    effects: dict[str, tuple[Labels, Array]]
    verdicts: tuple[Verdict, ...] = ()

    @property
    def good(self) -> bool:
        """Whether every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def bad(self) -> tuple[Verdict, ...]:
        """The verdicts that ask for something to be done."""
        return tuple(verdict for verdict in self.verdicts if not verdict.good)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __str__(self) -> str:
        return "\n".join(map(str, self.verdicts))

    __repr__ = __str__

    @property
    def own(self) -> bool:
        """Whether the rows are those of the fit."""
        return self.residuals.own

    @cached_property
    def inside(self) -> Array:
        """(J, 3) share of every place's rows inside the central 50, 80 and 90 %.

        Of the fit's own rows inside those of a draw, averaged over the draws: of a right model's rows 50, 80 and
        90 % are, however few a place has. Of other rows inside the predictive interval.
        """
        r = self.residuals
        if r.own:
            return np.asarray(r.of("inside").T)
        J = len(r.labels)
        off = np.abs(r.pit - 0.5)
        counts = [np.bincount(r.place, weights=off <= share / 2, minlength=J) for share in INSIDE]
        return np.stack(counts, axis=1) / self.n[:, None]

    @property
    def n(self) -> Index:
        """(J,) rows of every place."""
        return np.bincount(self.residuals.place, minlength=len(self.residuals.labels))

    @cached_property
    def questions(self) -> dict[str, Array]:
        """What is asked of every place → p-values (J,): level, spread, slopes, effect."""
        r = self.residuals
        found = {LEVEL: two_sided(r.of("level")), SPREAD: two_sided(r.of("spread"))}
        for name, tails in zip(r.terms, r.of("slopes").swapaxes(0, 1), strict=True):
            found[f"{SLOPE} of {name}"] = two_sided(tails)
        group = self.model.formula.group
        if group in self.effects:
            at = dict(zip(*self.effects[group], strict=True))
            found[EFFECT] = np.array([at.get(label, 1.0) for label in r.labels])
        return found

    @property
    def tested(self) -> int:
        """Questions asked of all places together, by which p-values are multiplied (Bonferroni)."""
        return len(self.residuals.labels) * len(self.questions)

    def failed(self, question: str) -> Index:
        """The places that a question shows not to fit, the worst first."""
        p = self.questions[question]
        order = np.argsort(p, kind="stable")
        return order[p[order] * self.tested <= SHARE]

    @cached_property
    def outliers(self) -> Index:
        """The rows used that lie where the model puts none, the worst first."""
        tail = self.residuals.tail
        order = np.argsort(tail, kind="stable")
        return order[4.0 * tail[order] * len(tail) <= SHARE]

    def summary(self) -> pd.DataFrame:
        """One row for every place, the worst first.

        Returns
        -------
        frame: rows; mean_z and sd_z of the standardized residuals, averaged over the draws; z, mean_z in standard
        errors, beyond ±2 in one place of twenty at most; in50, in80, in90, see inside; p_level, p_spread, p_slope
        (of the worst slope), p_effect; p_value, the least of them times the questions asked of all places
        (Bonferroni); wrong: what does not fit
        """
        import pandas as pd

        r, p = self.residuals, np.stack(list(self.questions.values()))
        slopes = [values for name, values in self.questions.items() if name.startswith(SLOPE)]
        wrong: list[list[str]] = [[] for _ in r.labels]
        for question in self.questions:
            for at in self.failed(question):
                wrong[at].append(question)
        columns = {
            "rows": self.n, "mean_z": r.of("mean"), "z": r.of("mean") * np.sqrt(self.n), "sd_z": r.of("sd"),
            **{f"in{100 * share:.0f}": self.inside[:, at] for at, share in enumerate(INSIDE)},
            "p_level": self.questions[LEVEL], "p_spread": self.questions[SPREAD],
            "p_slope": np.min(slopes, axis=0) if slopes else np.nan, "p_effect": self.questions.get(EFFECT, np.nan),
            "p_value": np.minimum(p.min(axis=0) * self.tested, 1.0), "wrong": [", ".join(one) for one in wrong],
        }  # fmt: skip
        frame = pd.DataFrame(columns, index=pd.Index(r.labels, name=self.model.formula.group or "place"))
        return frame.iloc[np.argsort(p.min(axis=0), kind="stable")]

    def rows(self) -> pd.DataFrame:
        """One row for every row used, by its position in the table: its place, outcome, pit, and z.

        pit is P(y < y_i) of the predictive distribution that Posterior.predict gives; z the standardized residual,
        averaged over the draws. The outcome is in its own units.
        """
        import pandas as pd

        r = self.residuals
        y = np.exp(r.y) if self.model.formula.log_outcome else r.y
        columns = {"place": r.labels[r.place], self.model.formula.outcome_name: y, "pit": r.pit, "z": r.z}
        return pd.DataFrame(columns, index=pd.Index(r.used.kept, name="row"))
