"""Agreement of rows with the model, overall and in every place (docs/mathematics.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_choice, check_seed, suggest_argument_names
from priorhood._text import argument, count_noun, join_words, row_count
from priorhood.diagnostics.uniformity import ALARM, p_text
from priorhood.diagnostics.verdict import Verdict, bad, good
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
    from priorhood.model.formula import Formula
    from priorhood.model.model import Model
    from priorhood.model.terms import Term
    from priorhood.posterior.posterior import Posterior

# Probability of a false alarm for each of: all rows together, places, groupings above or across them, single rows.
SHARE = ALARM / 4
LEVEL, SPREAD, SLOPE, EFFECT = "level", "spread", "slope", "effect"
MAX_NAMED = 3
LONGER = 2.0  # times as many rows in one tail as in the other
MIN_PLACES_FOR_TREND = 10  # fewer places do not show whether the scatter grows with the outcome
INSPECT = "inspect these rows, or add a predictor that explains the difference"


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

    The tests are: whether all PIT values, P(y < y_i), are uniform; for every place, whether its rows lie too high
    or too low (level), scatter too much or too little (spread), or have another slope, and whether its coefficients
    are outliers among those of all places (effect); for every row, whether it is an outlier. Under a correct model
    all tests together raise a false alarm with a probability of at most 1 %.

    Parameters
    ----------
    post : Posterior
        The posterior, from either engine.
    table : table
        Anything that read() accepts; the rows of the fit, or others. Rows are dropped as in posterior_predictive,
        and counted. A row that stands for several counts once.
    unseen : {"error", "population", "draw"}
        How to treat places that the fit did not have, see Posterior.predict.
    seed : int, optional
        Random seed, which matters for new places only; the posterior's if None.
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
        A column is missing, for example the outcome; a group or category was not in the fit.
    ModelError
        The seed or unseen is not valid; no row can be used.

    Notes
    -----
    The posterior has seen its rows: predictive intervals contain too many of them, most of all in places with few
    rows. Under a single draw, however, a correct model's residuals are independent standard Normals, so every
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
    >>> assessment = ph.assess(post, sales)
    >>> assessment.good
    True
    >>> print(assessment.verdicts[0])
    ✓ 200 of 200 rows compared with the model in 8 zips; these are the rows of the fit
    """
    check_choice("unseen", unseen, UNSEEN)
    seed = post.seed if seed is None else check_seed(seed)
    r = residuals(post, table, unseen, seed, places, progress)
    effects = effect_p(post, thinned(post, DRAWS)) if r.in_sample else {}
    assessment = Assessment(post.model, r, effects)
    group, dropped = post.model.formula.group, "; ".join(map(str, r.used.dropped))
    account = good(
        "account",
        "{used:,} of {read} compared with the model{where}; {whose}{dropped}",
        used=len(r.used.kept), read=row_count(len(r.used.rows.X)),
        where=f" in {count_noun(len(r.labels), group)}" if group else "",
        whose=f"these are {'' if r.in_sample else 'not '}the rows of the fit",
        dropped=f" (dropped: {dropped})" if dropped else "",
    )  # fmt: skip
    verdicts = [account, _distribution_verdict(assessment), *_place_verdicts(assessment), _row_verdict(assessment)]
    return replace(assessment, verdicts=tuple(verdicts))


# -- in sentences -----------------------------------------------------------------------------------------


def _distribution_verdict(a: Assessment) -> Verdict:
    """Return the verdict on the distribution of all PIT values."""
    shares = (a.inside * a.n[:, None]).sum(axis=0) / a.n.sum()
    first, second, third = (f"{100 * share:.3g}" for share in shares)
    finding = (
        f"the central 50, 80 and 90 % predictive intervals contain {first}, {second} and {third} % of the rows"
    )
    values: dict[str, Any] = {"inside": dict(zip((50, 80, 90), shares.tolist(), strict=True)), "finding": finding}
    if not a.in_sample:
        p = a.residuals.p_far
        if p <= SHARE:
            sentence = (
                "{finding} (p {p_text}, however rows from the same place depend on each other): {shape}; {remedy}"
            )
            shape = "the rows are much further from their predictions than the model allows"
            remedy = "check that they are of the same kind and in the same units as the rows of the fit"
            return bad("intervals", sentence, **values, p=p, p_text=p_text(p), shape=shape, remedy=remedy)
        sentence = "{finding}; tested only roughly, since rows from the same place are not independent"
        return good("intervals", sentence, **values)
    p = a.residuals.p_uniform
    values |= {"p": p, "p_text": p_text(p)}
    if p > SHARE:
        return good("intervals", "{finding} (test of uniform PIT values: p {p_text})", **values)
    model, formula = a.model, a.model.formula
    tails = []
    if formula.group and not model.noise and model.se is None and len(a.failed(SPREAD)):
        tails.append(_own_sigma(formula.group))
    if model.family != "student":
        tails.append(f"use errors with heavier tails ({argument('family', 'student')})")
    remedy = ", or ".join(tails) or "a predictor that distinguishes such rows from the others may be missing"
    counts = a.residuals.counts.mean(axis=0) / a.residuals.shown
    low, high = float(counts[0]), 1.0 - float(counts[-1])  # the outer 2 % each
    if high > LONGER * low and high > 1.0 / BINS:
        shape = "the residuals have a longer upper tail than the error model allows"
        if not formula.log_outcome and (a.residuals.y > 0).all():
            remedy = f"{_logged(formula)}, or {remedy}"
    elif low > LONGER * high and low > 1.0 / BINS:
        shape = "the residuals have a longer lower tail than the error model allows"
    elif shares[0] > INSIDE[0] and (low + high > 2.0 / BINS or len(a.outliers)):
        shape = "the residuals have heavier tails than the error model allows"
    elif shares[2] < INSIDE[2]:
        shape = "the intervals are too narrow"
        remedy = "the prior for sigma is too tight (it keeps sigma too small), or the known errors are too small"
    elif shares[0] > INSIDE[0]:
        shape = "the intervals are too wide"
        remedy = "the prior for sigma keeps it too large, or the known errors are too large"
    else:
        shape, remedy = "the residuals are not distributed as the error model assumes", "see plot.predictive"
    sentence = "{finding} (test of uniform PIT values: p {p_text}): {shape}; {remedy}"
    return bad("intervals", sentence, **values, shape=shape, remedy=remedy)


def _place_verdicts(a: Assessment) -> Iterator[Verdict]:
    """Yield a verdict for every test that places fail, or a good one if none does; then one for other groupings."""
    group, r = a.model.formula.group, a.residuals
    failing = {question: failed for question in a.questions if len(failed := a.failed(question))} if group else {}
    places = count_noun(len(r.labels), group) if group else ""
    if group and not failing:
        smallest = min(a.questions.values(), key=lambda p: p.min())
        p = min(float(smallest.min()) * a.tested, 1.0)
        several = len(r.labels) > 1
        yield good(
            "places",
            "{subject}: level, spread, slopes and effect are as expected (the smallest p-value, corrected for "
            "{questions:,} tests, is {p_text}, of {first})",
            subject=f"none of the {places} stands out" if several else f"the only {group} does not stand out",
            questions=a.tested, p=p, p_text=p_text(p), first=r.labels[int(smallest.argmin())],
        )  # fmt: skip
    for question, failed in failing.items():
        finding, remedy = _place_words(a, question)
        named = []
        for at in failed:
            place = r.places[at]
            if question == SPREAD:
                evidence = f"residual sd {place.sd:.2f} × sigma"
            elif question == LEVEL:
                evidence = f"mean residual {place.mean:+.2f} sigma"
            elif question == EFFECT:
                evidence = f"p {p_text(float(a.questions[question][at]))}"
            else:
                below, above = place.slopes[:, r.terms.index(question.removeprefix(f"{SLOPE} of "))]
                evidence = f"{'flatter' if below < above else 'steeper'} than expected"
            named.append(f"{r.labels[at]} ({row_count(len(place.pit))}, {evidence})")
        yield bad(
            question.partition(" of ")[0],
            "in {count:,} of {places} {finding}: {listed}; {remedy}",
            about=question, count=len(failed), places=places, finding=finding,
            failing=[str(r.labels[at]) for at in failed], remedy=remedy, listed=join_words(named, limit=MAX_NAMED),
        )  # fmt: skip
    others = {name: effects for name, effects in a.effects.items() if name != group}
    tested = sum(len(labels) for labels, _ in others.values())
    for name, (labels, p_values) in others.items():
        order = np.argsort(p_values, kind="stable")
        failed = order[p_values[order] * tested <= SHARE]
        if len(failed):
            yield bad(
                EFFECT,
                "in {count:,} of {places} the effect differs from the others by more than tau allows: {listed}; "
                "{remedy}",
                about=f"{EFFECT} of {name}", count=len(failed), places=count_noun(len(labels), name),
                failing=[str(labels[at]) for at in failed], remedy=INSPECT,
                listed=join_words(
                    [f"{labels[at]} (p {p_text(float(p_values[at]))})" for at in failed], limit=MAX_NAMED
                ),
            )  # fmt: skip


def _place_words(a: Assessment, question: str) -> tuple[str, str]:
    """Return what is wrong in the places that fail a test, and advice."""
    model, formula, r, design = a.model, a.model.formula, a.residuals, a.residuals.used.design
    group = formula.group
    if question == SPREAD and model.se is not None:
        return (
            "the residual sd differs from what the known errors imply",
            f"check {model.se} there, or let more terms vary by {group}",
        )
    if question == SPREAD and model.noise:
        return (
            f"the residual sd differs from what the {group}'s own sigma implies",
            "the prior dominates sigma; use a weaker prior",
        )
    if question == SPREAD:
        remedy = _own_sigma(group)
        if not formula.log_outcome and (r.y > 0).all() and len(r.labels) >= MIN_PLACES_FOR_TREND:
            typical = np.bincount(r.place, r.y) / a.n
            if not np.corrcoef(np.log(typical), np.log(r.column("sd")))[0, 1] < 0.5:
                remedy = f"the scatter grows with {formula.outcome_name}: {_logged(formula)}, or {remedy}"
        return "the residual sd differs from that of the others", remedy
    if question == LEVEL:
        # The level varies by an intercept, or by one for every category.
        terms = [term for grouping in design.formula.levels for term in grouping.terms]
        if not any(all(factor in design.categories for factor in term) for term in terms):
            return "the rows lie above or below the line", f"let the level vary by place: {_varying(formula, ())}"
        return (
            "the rows lie above or below their expected level",
            "the prior for tau is too tight, or a few outliers carry too much weight: give tau a wider prior, or "
            f"use {argument('family', 'student')}",
        )
    if question == EFFECT:
        return "the coefficients differ from those of the others by more than tau allows", INSPECT
    column = design.columns[design.names.index(question.removeprefix(f"{SLOPE} of "))]
    if not any(column in design.level_columns(at) for at in range(len(formula.levels))):
        term = tuple(f.factor if isinstance(f, Indicator) else f.text for f in column.factors)
        return f"the {question} differs from the others", f"let it vary by place: {_varying(formula, term)}"
    remedy = "inspect these rows"
    if len(column.factors) == 1 and not column.indicators:
        square = (f"I({inner_text(Expression(column.term).tree)} ** 2)",)
        if square in formula.terms:
            remedy = f"the relationship may be curved in a way that a square does not capture: {remedy}"
        else:
            curved = written_out(replace(formula, population=(*formula.population, square)))
            remedy = f"the relationship may be curved: fit {curved!r}"
    return f"the rows do not follow the {group}'s own {question}", remedy


def _own_sigma(group: str) -> str:
    """Return the advice to let the residual sd differ by group."""
    return f"give each {group} its own residual sd ({argument('noise', group)})"


def _varying(formula: Formula, term: Term) -> str:
    """Return the advice to fit the formula with one more term that varies by the finest groups."""
    finest = formula.levels[0]
    terms = (*finest.terms, term) if term else (term, *finest.terms)
    more = replace(finest, terms=terms, correlated=finest.correlated or finest.terms == ((),))
    return f"fit {written_out(replace(formula, levels=(more, *formula.levels[1:])))!r}"


def _logged(formula: Formula) -> str:
    """Return the advice to fit the formula with the log of its outcome."""
    logged = f"log({inner_text(Expression(formula.outcome).tree)})"
    return f"fit {written_out(replace(formula, outcome=logged))!r}"


def _row_verdict(a: Assessment) -> Verdict:
    """Return the verdict on rows that are outliers."""
    outliers, r = a.outliers, a.residuals
    if not len(outliers):
        largest = float(np.abs(r.z).max())
        return good("rows", "there are no outliers (the largest residual is {worst:.1f} sigma)", worst=largest)
    table, name = a.rows(), a.model.formula.outcome_name
    named = []
    for at in outliers[:MAX_NAMED]:
        row = table.iloc[at]
        place = f"{row['place']}, " if row["place"] else ""
        value = f"{row[name]:,.0f}" if abs(row[name]) >= 1000 else f"{row[name]:.4g}"
        named.append(f"row {int(table.index[at]):,} ({place}{name} {value}, {float(row['z']):+.1f} sigma)")
    remedy = f"inspect them; {argument('family', 'student')} gives such rows less weight"
    if a.model.family == "student":
        remedy = "inspect them: even Student-t errors with this nu do not produce such residuals"
    return bad(
        "rows",
        "{count:,} of {total} {outliers}: {listed}; {remedy}",
        count=len(outliers), total=row_count(len(r.pit)), remedy=remedy,
        outliers="is an outlier" if len(outliers) == 1 else "are outliers",
        listed=join_words(named + [""] * (len(outliers) - len(named)), limit=MAX_NAMED),
    )  # fmt: skip


@dataclass(frozen=True, repr=False)
class Assessment:
    """Result of assess; printed one sentence per line. All verdicts on a correct model are good 99 times in 100.

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
        """True if every verdict is good."""
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
    def in_sample(self) -> bool:
        """True if the rows are those of the fit."""
        return self.residuals.in_sample

    @cached_property
    def inside(self) -> Array:
        """Share of every place's rows inside the central 50, 80 and 90 % intervals: (J, 3).

        For the fit's own rows the intervals are those under individual draws, averaged over the draws: a correct
        model has 50, 80 and 90 % of the rows inside, however few a place has. For other rows they are predictive.
        """
        r = self.residuals
        if r.in_sample:
            return np.asarray(r.column("inside").T)
        J = len(r.labels)
        off = np.abs(r.pit - 0.5)
        counts = [np.bincount(r.place, weights=off <= share / 2, minlength=J) for share in INSIDE]
        return np.stack(counts, axis=1) / self.n[:, None]

    @property
    def n(self) -> Index:
        """Number of rows in every place: (J,)."""
        return np.bincount(self.residuals.place, minlength=len(self.residuals.labels))

    @cached_property
    def questions(self) -> dict[str, Array]:
        """Tests of every place (level, spread, slopes, effect) → p-values (J,)."""
        r = self.residuals
        p_values = {LEVEL: two_sided(r.column("level")), SPREAD: two_sided(r.column("spread"))}
        for name, tails in zip(r.terms, r.column("slopes").swapaxes(0, 1), strict=True):
            p_values[f"{SLOPE} of {name}"] = two_sided(tails)
        group = self.model.formula.group
        if group in self.effects:
            by_label = dict(zip(*self.effects[group], strict=True))
            p_values[EFFECT] = np.array([by_label.get(label, 1.0) for label in r.labels])
        return p_values

    @property
    def tested(self) -> int:
        """Number of tests of all places, by which p-values are multiplied (Bonferroni)."""
        return len(self.residuals.labels) * len(self.questions)

    def failed(self, question: str) -> Index:
        """Return the positions of the places that fail a test, the worst first."""
        p = self.questions[question]
        order = np.argsort(p, kind="stable")
        return order[p[order] * self.tested <= SHARE]

    @cached_property
    def outliers(self) -> Index:
        """Positions of the outliers among the rows used, the worst first."""
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
            p_slope (of the worst slope), p_effect; p_value, the smallest of them times the number of tests of all
            places (Bonferroni); wrong, the tests that the place fails.

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
        >>> summary = ph.assess(post, sales).summary()
        >>> summary.index.name, int(summary["rows"].sum())
        ('zip', 200)
        """
        import pandas as pd

        r, p = self.residuals, np.stack(list(self.questions.values()))
        slopes = [values for name, values in self.questions.items() if name.startswith(SLOPE)]
        wrong: list[list[str]] = [[] for _ in r.labels]
        for question in self.questions:
            for at in self.failed(question):
                wrong[at].append(question)
        mean = r.column("mean")
        columns = {
            "rows": self.n, "mean_z": mean, "z": mean * np.sqrt(self.n), "sd_z": r.column("sd"),
            **{f"in{100 * share:.0f}": self.inside[:, at] for at, share in enumerate(INSIDE)},
            "p_level": self.questions[LEVEL], "p_spread": self.questions[SPREAD],
            "p_slope": np.min(slopes, axis=0) if slopes else np.nan, "p_effect": self.questions.get(EFFECT, np.nan),
            "p_value": np.minimum(p.min(axis=0) * self.tested, 1.0), "wrong": [", ".join(tests) for tests in wrong],
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
