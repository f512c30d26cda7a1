"""Agreement of rows with the model, overall and in every place (docs/mathematics.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_seed, suggest_argument_names
from priorhood._text import count_noun, join_words, plural, row_count
from priorhood.diagnostics.uniformity import ALARM, p_text
from priorhood.diagnostics.verdict import Verdict, bad, good
from priorhood.errors import ModelError
from priorhood.evaluation.residuals import BINS, DRAWS, INSIDE, Residuals, effect_p, residuals, thinned, two_sided
from priorhood.model.arithmetic import inner_text
from priorhood.model.design import Indicator
from priorhood.model.expression import Expression
from priorhood.model.formula import written_out
from priorhood.prediction.predict import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from priorhood._arrays import Array, Index, Labels
    from priorhood.model.design import Column, Design
    from priorhood.model.formula import Formula
    from priorhood.model.model import Model
    from priorhood.model.terms import Term
    from priorhood.posterior.posterior import Posterior

WORST = 3
LONGER = 2.0  # times as many rows in one tail as in the other


@suggest_argument_names
def assess(
    post: Posterior,
    table: object,
    *,
    unseen: str = "error",
    seed: int | None = None,
    places: object = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Assessment:
    """Check rows against the model: which places and rows does it fit badly, and what would help?

    Tested are whether all PIT values, P(y < y_i), are uniform; for every place whether its rows lie too high or too
    low (level), scatter too much or too little (spread), have another slope, and whether its coefficients are like
    the others' (effect); for every row whether it is an outlier. Under a right model any alarm is raised with
    probability of at most 1 %, all tests together.

    Parameters
    ----------
    post : Posterior
        The posterior, of any engine.
    table : table
        Anything that read() takes; the rows of the fit, or others. Rows are left out as by posterior_predictive,
        and counted. A row that stands for several counts once.
    unseen : {"error", "population", "draw"}
        Treatment of places that the fit did not have, see Posterior.predict.
    seed : int, optional
        The posterior's if None; it matters for new places only.
    places : table, optional
        More places with their predictors, see Posterior.predict.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Assessment

    Raises
    ------
    TableError
        A missing column, the outcome too; a group or category that the fit did not have.
    ModelError
        A seed or unseen that is not valid; no row that can be used.

    Notes
    -----
    The posterior has seen its rows: predictive intervals contain too many of them, most where places have few
    rows. Under a single draw, however, a right model's residuals are independent standard Normals, so every
    p-value is exact under one draw; twice their mean over the draws is again a p-value, a conservative one.

    References
    ----------
    Rüschendorf (1982), Random variables with maximum sums. Meng (1994), Posterior predictive p-values.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, draws=250, seed=1)
    >>> found = ph.assess(post, sales)
    >>> found.good
    True
    >>> print(found.verdicts[0])
    ✓ 200 rows of 200 held against the model in 8 zips, the rows of the fit
    """
    if unseen not in UNSEEN:
        raise ModelError(f"unseen must be one of {', '.join(UNSEEN)}, not {unseen!r}")
    seed = post.seed if seed is None else check_seed(seed)
    found = residuals(post, table, unseen, seed, places, progress)
    effects = effect_p(post, thinned(post, DRAWS)) if found.own else {}
    made = Assessment(post.model, found, effects)
    return replace(made, verdicts=tuple(_verdicts(made)))


# -- in sentences -----------------------------------------------------------------------------------------


def _verdicts(a: Assessment) -> Iterator[Verdict]:
    """Yield all verdicts: the rows used, the distribution of all rows, places, other groupings, single rows."""
    used, group = a.residuals.used, a.model.formula.group
    left = "; ".join(map(str, used.dropped))
    yield good(
        "account",
        "{rows} of {read:,} held against the model{where}, {whose}{left}",
        rows=row_count(len(used.kept)), read=len(used.rows.X),
        where=f" in {count_noun(len(a.residuals.labels), group)}" if group else "",
        whose="the rows of the fit" if a.own else "not the rows of the fit",
        left=f" (left out: {left})" if left else "",
    )  # fmt: skip
    yield _of_all_rows(a)
    if group:
        yield from _of_places(a)
    yield from _of_groupings(a)
    yield _of_single_rows(a)


def _of_all_rows(a: Assessment) -> Verdict:
    """Return the verdict on the distribution of all PIT values."""
    n = a.n
    shares = (a.inside * n[:, None]).sum(axis=0) / n.sum()
    first, second, third = (f"{100 * share:.3g}" for share in shares)
    finding = f"the central 50, 80 and 90 % of what is expected have {first}, {second} and {third} % of the rows"
    values: dict[str, Any] = {"inside": dict(zip((50, 80, 90), shares.tolist(), strict=True)), "finding": finding}
    if not a.own:
        return good("intervals", "{finding}; not tested, since rows of a place go together", **values)
    p = a.residuals.p_uniform
    values |= {"p": p, "p_text": p_text(p)}
    if p > SHARE:
        return good("intervals", "{finding} (PIT values: p {p_text})", **values)
    shape, remedy = _shape_remedy(a, shares)
    sentence = "{finding} (PIT values: p {p_text}): {shape}; {remedy}"
    return bad("intervals", sentence, **values, shape=shape, remedy=remedy)


def _shape_remedy(a: Assessment, shares: Array) -> tuple[str, str]:
    """Return how the errors' shape departs from the model's, by the PIT values, and advice."""
    formula = a.model.formula
    counts = a.residuals.counts.mean(axis=0) / a.residuals.shown
    low, high = float(counts[0]), 1.0 - float(counts[-1])  # the outer 2 % each
    positive = not formula.log_outcome and bool((a.residuals.y > 0).all())
    if high > LONGER * low and high > 1.0 / BINS:
        log = f"{_logged(formula)}, or " if positive else ""
        return "the rows have a longer tail above than the errors", log + _tails_remedy(a)
    if low > LONGER * high and low > 1.0 / BINS:
        return "the rows have a longer tail below than the errors", _tails_remedy(a)
    if shares[0] > INSIDE[0] and (low + high > 2.0 / BINS or len(a.outliers)):
        return "the errors have too short tails", _tails_remedy(a)
    if shares[2] < INSIDE[2]:
        return "the intervals are too narrow", "sigma is held small by its prior, or the known errors are too small"
    if shares[0] > INSIDE[0]:
        return "the intervals are too wide", "sigma is held large by its prior, or the known errors are too large"
    return "the errors have another shape than the rows", "look at plot.predictive"


def _tails_remedy(a: Assessment) -> str:
    """Return advice for errors with long tails."""
    group, model = a.model.formula.group, a.model
    ways = []
    if group and not model.noise and model.se is None and len(a.failed(SPREAD)):
        ways.append(f"noise={group!r} gives every {group} a residual sd of its own")
    if model.family != "student":
        ways.append("family='student' has long tails")
    return ", ".join(ways) or "a predictor is missing that distinguishes such rows from the others"


def _of_places(a: Assessment) -> Iterator[Verdict]:
    """Yield a verdict for every question that places fail, or a good one where none does."""
    group = a.model.formula.group
    failing = {question: found for question in a.questions if len(found := a.failed(question))}
    total = len(a.residuals.labels)
    if not failing:
        least = min(a.questions.values(), key=lambda p: p.min())
        p = min(float(least.min()) * a.tested, 1.0)
        label = a.residuals.labels[int(least.argmin())]
        nothing = "nothing sets apart any of" if total > 1 else "nothing is odd about"
        yield good(
            "places",
            "{nothing} {places}: level, spread, slopes and effect are as expected (the least p, for {questions:,} "
            "questions, is {p_text}, of {first})",
            nothing=nothing, places=count_noun(total, group), questions=a.tested, p=p, p_text=p_text(p),
            first=label,
        )  # fmt: skip
    for question, those in failing.items():
        what, remedy = _place_words(a, question)
        yield bad(
            question.partition(" of ")[0],
            "{count:,} of {places} {what}: {listed}; {remedy}",
            about=question, count=len(those), places=count_noun(total, group), what=_agreeing(what, len(those)),
            failing=[str(a.residuals.labels[at]) for at in those], remedy=remedy,
            listed=join_words(
                [f"{a.residuals.labels[at]} ({_numbers(a, question, at)})" for at in those], limit=WORST
            ),
        )  # fmt: skip


def _agreeing(text: str, count: int) -> str:
    """Return words said of several places so that they agree with the count."""
    singular = {"scatter": "scatters", "lie": "lies", "have": "has", "their": "its", "them": "it"}
    return text if count > 1 else " ".join(singular.get(word, word) for word in text.split(" "))


def _numbers(a: Assessment, question: str, at: int) -> str:
    """Return the numbers that show that a place does not fit."""
    one = a.residuals.found[at]
    rows = row_count(len(one.pit))
    if question == SPREAD:
        return f"{rows}, residuals {one.sd:.2f} times sigma"
    if question == LEVEL:
        return f"{rows}, {one.mean:+.2f} sigma on average"
    if question == EFFECT:
        return f"{rows}, p {p_text(float(a.questions[question][at]))}"
    term = a.residuals.terms.index(question.removeprefix(f"{SLOPE} of "))
    return f"{rows}, {'flatter' if one.slopes[0, term] < one.slopes[1, term] else 'steeper'} than expected"


def _place_words(a: Assessment, question: str) -> tuple[str, str]:
    """Return what does not fit, said of several places, and advice."""
    group, model = a.model.formula.group, a.model
    design = a.residuals.used.design
    if question == SPREAD:
        if model.se is not None:
            return "scatter unlike the known errors", f"look at {model.se} there, or let more terms vary by {group}"
        if model.noise:
            return "scatter unlike their own sigma", "its prior holds it; give sigma another one"
        return "scatter more or less than the others", _noise_remedy(a)
    if question == LEVEL:
        if not any(_levels(design, at) for at in range(len(model.formula.levels))):
            return "lie above or below the line", f"let the level vary by place: {_varying(model.formula, ())}"
        return (
            "lie above or below what is expected of them",
            "tau is held small, or few rows far off weigh too much: give tau a wider prior, or family='student'",
        )
    if question == EFFECT:
        return (
            f"have coefficients unlike the other {plural(group)}'",
            "look at their rows, or add a predictor of the places for what they have in common",
        )
    term = question.removeprefix(f"{SLOPE} of ")
    column = design.columns[design.names.index(term)]
    if any(column in design.level_columns(at) for at in range(len(model.formula.levels))):
        return f"have rows that their own {question} does not follow", _bent(model.formula, column)
    own = tuple(f.factor if isinstance(f, Indicator) else f.text for f in column.factors)
    return f"have another {question} than the others", f"let it vary by place: {_varying(model.formula, own)}"


def _levels(design: Design, at: int) -> bool:
    """Return whether the level varies by a grouping: by an intercept, or by one for every category."""
    terms = design.formula.groupings[at].terms
    return any(all(factor in design.categories for factor in term) for term in terms)


def _varying(formula: Formula, term: Term) -> str:
    """Return the advice to fit the formula with one more term that varies by the finest groups."""
    finest = formula.levels[0]
    terms = (*finest.terms, term) if term else (term, *finest.terms)
    more = replace(finest, terms=terms, correlated=finest.correlated or finest.terms == ((),))
    return f"fit {written_out(replace(formula, levels=(more, *formula.levels[1:])))!r}"


def _bent(formula: Formula, column: Column) -> str:
    """Return the advice to fit the formula with the square of a numeric column."""
    if len(column.factors) != 1 or column.indicators:
        return "look at their rows"
    square = (f"I({inner_text(Expression(column.term).tree)} ** 2)",)
    if square in formula.terms:
        return "the line may bend otherwise than a square: look at their rows"
    return f"the line may bend: fit {written_out(replace(formula, population=(*formula.population, square)))!r}"


def _logged(formula: Formula) -> str:
    """Return the advice to fit the formula with the log of its outcome."""
    logged = f"log({inner_text(Expression(formula.outcome).tree)})"
    return f"fit {written_out(replace(formula, outcome=logged))!r}"


def _noise_remedy(a: Assessment) -> str:
    """Return the advice to give places their own noise, or a log where scatter grows with a positive outcome."""
    group, formula, r = a.model.formula.group, a.model.formula, a.residuals
    way = f"noise={group!r} gives every {group} a residual sd of its own"
    if formula.log_outcome or not (r.y > 0).all() or len(r.labels) < 10:
        return way
    typical = np.bincount(r.place, r.y) / a.n
    if np.corrcoef(np.log(typical), np.log(r.of("sd")))[0, 1] < 0.5:
        return way
    return f"it grows with {formula.outcome_name}: {_logged(formula)}; or {way}"


def _of_groupings(a: Assessment) -> Iterator[Verdict]:
    """Yield verdicts on the effects of groupings above the finest, or across it."""
    others = {name: found for name, found in a.effects.items() if name != a.model.formula.group}
    tested = sum(len(labels) for labels, _ in others.values())
    for name, (labels, p) in others.items():
        order = np.argsort(p, kind="stable")
        those = order[p[order] * tested <= SHARE]
        if len(those):
            yield bad(
                EFFECT,
                "{count:,} of {places} unlike the others: {listed}; look at their rows, or add a predictor for "
                "what they have in common",
                about=f"{EFFECT} of {name}", count=len(those), places=count_noun(len(labels), name),
                failing=[str(labels[at]) for at in those],
                listed=join_words([f"{labels[at]} (p {p_text(float(p[at]))})" for at in those], limit=WORST),
            )  # fmt: skip


def _of_single_rows(a: Assessment) -> Verdict:
    """Return the verdict on rows that are outliers."""
    those, r = a.outliers, a.residuals
    if not len(those):
        worst = float(np.abs(r.z).max())
        return good("rows", "no row lies apart (the farthest by {worst:.1f} sigma)", worst=worst)
    table, name = a.rows(), a.model.formula.outcome_name
    named = []
    for at in those[:WORST]:
        one = table.iloc[at]
        place = f"{one['place']}, " if one["place"] else ""
        value = f"{one[name]:,.0f}" if abs(one[name]) >= 1000 else f"{one[name]:.4g}"
        named.append(f"row {int(table.index[at]):,} ({place}{name} {value}, {float(one['z']):+.1f} sigma)")
    remedy = "look at them; family='student' gives such rows less weight"
    if a.model.family == "student":
        remedy = "look at them: even Student's t with this nu has none so far out"
    return bad(
        "rows",
        "{rows} of {total:,} {verb} apart: {listed}; {remedy}",
        rows=row_count(len(those)), count=len(those), total=len(r.pit), verb="lies" if len(those) == 1 else "lie",
        remedy=remedy, listed=join_words(named + [""] * (len(those) - len(named)), limit=WORST),
    )  # fmt: skip


# Probability of a false alarm of each of: all rows together, places, groupings above or across them, single rows.
SHARE = ALARM / 4
LEVEL, SPREAD, SLOPE, EFFECT = "level", "spread", "slope", "effect"


@dataclass(frozen=True, repr=False)
class Assessment:
    """Result of assess: printed, one sentence a line. Under a right model all are good but for once in a hundred.

    Parameters
    ----------
    model : Model
        The posterior's model.
    residuals : Residuals
        Residuals of every row and place.
    effects : dict
        Grouping → labels and p-values of its places' effects.
    verdicts : tuple of Verdict
        Sentences, with advice.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> {verdict.code: verdict.good for verdict in ph.assess(post, sales)}
    {'account': True, 'intervals': True, 'slope': False, 'rows': True}
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
        """Verdicts that need attention."""
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

        For the fit's own rows the intervals are those under single draws, averaged over the draws: a right model
        has 50, 80 and 90 % of the rows inside, however few a place has. For other rows they are predictive.
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
        """(J,) number of rows of every place."""
        return np.bincount(self.residuals.place, minlength=len(self.residuals.labels))

    @cached_property
    def questions(self) -> dict[str, Array]:
        """Question asked of every place → p-values (J,): level, spread, slopes, effect."""
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
        """Number of questions asked of all places, by which p-values are multiplied (Bonferroni)."""
        return len(self.residuals.labels) * len(self.questions)

    def failed(self, question: str) -> Index:
        """Return the positions of the places that fail a question, the worst first."""
        p = self.questions[question]
        order = np.argsort(p, kind="stable")
        return order[p[order] * self.tested <= SHARE]

    @cached_property
    def outliers(self) -> Index:
        """Positions, among the rows used, of those that lie where the model expects none, the worst first."""
        tail = self.residuals.tail
        order = np.argsort(tail, kind="stable")
        return order[4.0 * tail[order] * len(tail) <= SHARE]

    def summary(self) -> pd.DataFrame:
        """Return one row per place, the worst first.

        Returns
        -------
        pandas.DataFrame
            rows; mean_z and sd_z of the standardized residuals, averaged over the draws; z, mean_z in standard
            errors, beyond ±2 in one place of twenty at most; in50, in80, in90, see inside; p_level, p_spread,
            p_slope (of the worst slope), p_effect; p_value, the least of them times the number of questions asked
            of all places (Bonferroni); wrong, the questions that the place fails.

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
        >>> found = ph.assess(post, sales).summary()
        >>> found.index.name, int(found["rows"].sum())
        ('zip', 200)
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
        """Return one row per row used, by its position in the table.

        Returns
        -------
        pandas.DataFrame
            place; the outcome, in its own units; pit, P(y < y_i) under the predictive distribution of
            Posterior.predict; z, the standardized residual, averaged over the draws.

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
        >>> ph.assess(post, sales).rows().columns.tolist()
        ['place', 'price', 'pit', 'z']
        """
        import pandas as pd

        r = self.residuals
        y = np.exp(r.y) if self.model.formula.log_outcome else r.y
        columns = {"place": r.labels[r.place], self.model.formula.outcome_name: y, "pit": r.pit, "z": r.z}
        return pd.DataFrame(columns, index=pd.Index(r.used.kept, name="row"))
