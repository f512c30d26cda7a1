"""Formulas in lme4's notation, `price ~ living_space + (living_space | zip)`: outcome, terms, grouping levels."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

from priorhood.errors import FormulaError
from priorhood.model.arithmetic import Binary, Call, Number, inner_text, text_of
from priorhood.model.expression import Expression, expression_of
from priorhood.model.terms import Term, encloses, signed_chunks, terms_of
from priorhood.model.tokens import Word, alone, brief, dimension, tidied, words_of, written

# Between the labels of a place and of the places that it lies in; no label of a table has it.
SEPARATOR = "\x1f"

RESERVED = frozenset({"chain", "draw", "term", "term_bis", "column", "column_bis", "sample"})
MAX_GROUPINGS = 50


@dataclass(frozen=True)
class Grouping:
    """`(terms | group)`: the coefficients that vary by group, and whether they are correlated (`|`, not `||`).

    path : the columns that identify its places, coarsest first: ("city", "district") for districts of cities
    correlated : written with `|`, around more than an intercept. Whether there is more than one coefficient to
        correlate is known once the categories are: Design.correlated
    joined : named after all columns of its path, since another grouping ends in the same column
    """

    path: tuple[str, ...]
    terms: tuple[Term, ...]
    correlated: bool
    joined: bool = False

    @property
    def column(self) -> str:
        """Its own column, the last of the path."""
        return self.path[-1]

    @property
    def group(self) -> str:
        """The name of its dimension and in those of its parameters: its own column, or `zip_year`."""
        return dimension("_".join(self.path) if self.joined else self.column)

    def is_called(self, name: object) -> bool:
        """Return whether a user's name means it: its own, or its column's."""
        return name == self.group or (name == self.column and not self.joined)


@dataclass(frozen=True)
class Formula:
    """The parts of a formula.

    text : as given, blanks tidied
    outcome : expression of the left side; log(y) is modelled as Normal on the log scale
    population : terms with a population coefficient (mu)
    levels : nested grouping levels, finest first; none is a pooled regression
    crossed : the other groupings, whose places cut across those of the levels
    """

    text: str
    outcome: str
    population: tuple[Term, ...]
    levels: tuple[Grouping, ...]
    crossed: tuple[Grouping, ...] = ()

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """All groupings: the levels, finest first, then the crossed ones."""
        return self.levels + self.crossed

    @property
    def log_outcome(self) -> bool:
        """Whether the left side is log(…)."""
        return Expression(self.outcome).logged is not None

    @property
    def outcome_name(self) -> str:
        """The quantity that is predicted: the outcome without its log, a column by its name."""
        return self.unlogged.bare or self.unlogged.text

    @property
    def unlogged(self) -> Expression:
        """The outcome without its log, as an expression."""
        return Expression(Expression(self.outcome).logged or self.outcome)

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms, each once: the population's, then those that only vary by group."""
        return tuple(dict.fromkeys(self.population + tuple(t for x in self.groupings for t in x.terms)))

    @property
    def group(self) -> str:
        """The finest level's own column, '' without levels."""
        return self.levels[0].group if self.levels else ""

    @property
    def places(self) -> tuple[str, ...]:
        """The names of all groupings."""
        return tuple(grouping.group for grouping in self.groupings)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of a row's place: the finest level's path, then those that the crossed groupings add."""
        return tuple(dict.fromkeys(column for x in self.groupings for column in x.path))

    def suffix(self, at: int) -> str:
        """Return the ending of a grouping's parameters: '' for the finest level, else _group."""
        return f"_{alone(self.groupings[at].group)}" if at else ""

    def title(self, at: int) -> str:
        """Return the word for a place of a grouping where places are counted: zip; zip:type without a level zip."""
        grouping, above = self.groupings[at], self.levels[at + 1 : at + 2]
        if len(grouping.path) == 1 or (above and not grouping.joined):
            return ":".join(grouping.path[len(above[0].path) if above else 0 :])
        return ":".join(grouping.path)

    def effect_name(self, at: int) -> str:
        """Return the name of a grouping's coefficients: beta, beta_district, or delta_type of a crossed one."""
        return f"{'beta' if at < len(self.levels) else 'delta'}{self.suffix(at)}"

    def factors(self) -> tuple[str, ...]:
        """Return the factors of all terms, each once, in order."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term))


def parse(text: str) -> Formula:
    """Return the parts of a formula.

    Raises
    ------
    FormulaError : names what cannot be read, and what to write instead

    Examples
    --------
    >>> formula = parse("price ~ area + (area | district/zip)")
    >>> formula.terms, formula.places
    (((), ('area',)), ('zip', 'district'))
    """
    if not isinstance(text, str) or not text.strip():
        raise FormulaError("the formula is empty; write it like 'price ~ living_space + (living_space | zip)'")
    text = tidied(text)
    words = words_of(text)
    tildes = [at for at, word in enumerate(words) if word.is_sign("~")]
    if len(tildes) != 1:
        raise FormulaError(f"formula {brief(text)} needs exactly one '~': outcome ~ predictors")
    left, right = words[: tildes[0]], words[tildes[0] + 1 :]
    if not left:
        raise FormulaError(f"formula {brief(text)} has no outcome before '~'")
    if not right:
        start = text[: left[-1].end]
        raise FormulaError(f"formula {brief(text)} has nothing after '~'; write '{start} ~ 1' for a mean alone")
    outcome = expression_of(left, text)
    if outcome.categorical:
        raise FormulaError(f"the outcome {outcome.text!r} must be a number: write the column without C()")
    if not outcome.names:
        raise FormulaError(f"the outcome {outcome.text!r} names no column")
    outcome.check()
    unlogged = Expression(outcome.logged or outcome.text)
    if any(function != "I" for function in unlogged.functions):
        raise FormulaError(f"outcome {outcome.text!r}: write a column, its arithmetic, or log(…) around the whole")
    plain, bars = _split_bars(right, text)
    found = [grouping for bar in bars for grouping in _groupings(bar, text)]
    if len(found) > MAX_GROUPINGS:
        raise FormulaError(f"formula {brief(text)} has {len(found):,} groupings; the most are {MAX_GROUPINGS}")
    levels, crossed = _arranged(found, text)
    formula = Formula(text, outcome.text, terms_of(plain, text), levels, crossed)
    # The file could not hold a group called like a parameter or a dimension of the result.
    taken = {"mu"} if formula.population else set()
    taken |= {"n", "mean", "scatter", "weight", "log_weight"} if len(formula.keys) == 1 else set()
    for at, grouping in enumerate(formula.groupings):
        taken |= {formula.effect_name(at), f"tau{formula.suffix(at)}"}
        taken |= {f"omega{formula.suffix(at)}"} if grouping.correlated else set()
        taken |= {f"{grouping.group}_{kind}{bis}" for kind in ("term", "varying") for bis in ("", "_bis")}
    for name in formula.places:
        if name in taken:
            raise FormulaError(f"the group column cannot be called {name!r}, a name of the result; rename it")
    if not formula.terms:
        raise FormulaError(f"formula {brief(text)} has neither an intercept nor a predictor")
    for factor in map(Expression, formula.factors()):
        factor.check()
        # An outcome computed from a predictor, price ~ log(price), leaves nothing to learn.
        both = set(outcome.names) & set(factor.names)
        one = len(outcome.names) == 1
        if both and (one or factor.nested() in (outcome.nested(), unlogged.nested())):
            raise FormulaError(f"formula {brief(text)}: {min(both)!r} is on both sides of '~'")
    return formula


def written_out(formula: Formula) -> str:
    """Return the text of a formula from its parts, for formulas that a message proposes.

    Examples
    --------
    >>> written_out(parse("price ~ 1 + area + (1 + area || zip)"))
    'price ~ area + (area || zip)'
    """
    parts = [_sum(formula.population)]
    for grouping in formula.groupings:
        mark = "|" if grouping.correlated or grouping.terms == ((),) else "||"
        parts.append(f"({_sum(grouping.terms)} {mark} {':'.join(map(written, grouping.path))})")
    return f"{inner_text(Expression(formula.outcome).tree)} ~ {' + '.join(parts)}"


def shifted(formula: Formula, mean: float, sd: float) -> str:
    """Return the formula as text, less a constant near the outcome's mean, so that few digits are left.

    From a log outcome it is taken off the outcome itself: logs so near each other add nothing to differences.

    Examples
    --------
    >>> shifted(parse("year ~ area"), 2000.3, 1.2)
    'year - 2000 ~ area'
    """
    if formula.log_outcome:
        mean, sd = math.exp(mean), math.exp(mean) * sd
    left = less(Expression(formula.outcome).logged or formula.outcome, mean, sd)
    return f"{left} ~ {written_out(replace(formula, outcome='y')).removeprefix('y ~ ')}"


def recentred(formula: Formula, mean: float, sd: float) -> tuple[str, float]:
    """Return a formula as text whose outcome is nearer to 0, and the constant taken off; 0 if none was.

    For a log outcome the constant is the log of what the outcome is divided by.
    """
    if not formula.log_outcome:
        sd = sd if abs(mean - near_mean(mean, sd)) < sd else sd / 10.0
        return shifted(formula, mean, sd), near_mean(mean, sd)
    with suppress(OverflowError):
        constant = float(f"{math.exp(mean):.2g}")
        divided = Binary(
            "/",
            Expression(formula.unlogged.text).tree,
            Number(int(constant) if constant.is_integer() else constant),
        )
        if constant:
            return written_out(replace(formula, outcome=text_of(Call("log", divided)))), math.log(constant)
    return formula.text, 0.0


def near_mean(mean: float, sd: float) -> float:
    """Return a mean rounded to the digits above the sd."""
    return round(mean, -math.ceil(math.log10(sd)))


def less(expression: str, mean: float, sd: float) -> str:
    """Return an expression less its mean, rounded to the digits above its sd."""
    digits = -math.ceil(math.log10(sd))
    constant = near_mean(mean, sd)
    number = f"{abs(constant):.{max(digits, 0)}f}" if abs(constant) < 1e15 else repr(float(abs(constant)))
    return f"{inner_text(Expression(expression).tree)} {'-' if constant >= 0 else '+'} {number}"


def _sum(terms: tuple[Term, ...]) -> str:
    """Terms as a sum; the intercept is there unless taken away."""
    parts = [":".join(inner_text(Expression(factor).tree) for factor in term) for term in terms if term]
    if () not in terms:
        parts.insert(0, "0")
    return " + ".join(parts) or "1"


def independent(formula: Formula, paths: set[tuple[str, ...]]) -> Formula:
    """Return the formula with `||` in place of `|` in the groupings of some paths.

    Examples
    --------
    >>> independent(parse("price ~ area + (area | zip)"), {("zip",)}).text
    'price ~ area + (area || zip)'
    """
    for bar in [word for word in reversed(words_of(formula.text)) if word.is_sign("|")]:
        found = parse(formula.text[: bar.start] + "||" + formula.text[bar.end :])
        now = {grouping.path for grouping in found.groupings if not grouping.correlated}
        if any(grouping.correlated and grouping.path in now & paths for grouping in formula.groupings):
            formula = found
    return formula


def _split_bars(right: tuple[Word, ...], text: str) -> tuple[tuple[Word, ...], list[tuple[Word, ...]]]:
    """The right side without its `( … | … )` parts, and those parts without their brackets."""
    plain: list[Word] = []
    bars: list[tuple[Word, ...]] = []
    for sign, chunk in signed_chunks(right, text):
        if not any(word.is_sign("|", "||") for word in chunk):
            plain += [Word("sign", sign, chunk[0].start, chunk[0].start), *chunk]
        elif not encloses(chunk):
            raise FormulaError(
                f"formula {brief(text)}: write group parts in brackets and added, like '+ (1 + area | zip)'"
            )
        elif sign == "-":
            raise FormulaError(f"formula {brief(text)}: a group part cannot be taken away with '-'")
        else:
            bars.append(chunk[1:-1])
    return tuple(plain), bars


def _groupings(bar: tuple[Word, ...], text: str) -> list[Grouping]:
    """`terms | a/b` → a grouping by a and one by a and b, coarsest first; `terms | a:b` → only the latter."""
    marks = [at for at, word in enumerate(bar) if word.is_sign("|", "||")]
    left, right = bar[: marks[0]], bar[marks[0] + 1 :]
    if len(marks) > 1 or not left or not right:
        shown = text[bar[0].start : bar[-1].end]
        raise FormulaError(f"formula {brief(text)}: cannot read '({shown})'; write it like '(1 + area | zip)'")
    group = text[right[0].start : right[-1].end]
    if len(right) > 2 * MAX_GROUPINGS:
        raise FormulaError(f"formula {brief(text)}: the group {brief(group)} has more columns than {MAX_GROUPINGS}")
    # `city/district:zip` → (city,), (city, district, zip): lme4's notation of nested groups.
    steps = [[_column(name, group, text) for name in _split_at(step, ":")] for step in _split_at(right, "/")]
    paths = [tuple(name for step in steps[: at + 1] for name in step) for at in range(len(steps))]
    if len(set(paths[-1])) < len(paths[-1]):
        raise FormulaError(f"formula {brief(text)}: the group {group!r} names a column twice")
    terms = terms_of(left, text)
    if not terms:
        shown = text[bar[0].start : bar[-1].end]
        raise FormulaError(f"formula {brief(text)}: nothing varies by {group!r} in '({shown})'")
    correlated = bar[marks[0]].text == "|" and terms != ((),)
    return [Grouping(path, terms, correlated=correlated) for path in paths]


def _split_at(words: tuple[Word, ...], sign: str) -> list[tuple[Word, ...]]:
    """The parts between the signs."""
    cuts = [-1, *(at for at, word in enumerate(words) if word.is_sign(sign)), len(words)]
    return [words[before + 1 : at] for before, at in pairwise(cuts)]


def _column(words: tuple[Word, ...], group: str, text: str) -> str:
    """The name of a column that a group is made of."""
    if not words:
        raise FormulaError(
            f"formula {brief(text)}: a column is missing in the group {group!r}; write a/b for b within a"
        )
    if any(word.is_sign("+") for word in words):
        raise FormulaError(
            f"formula {brief(text)}: the group {group!r} combines columns with '+'; write nested groups a/b (b "
            f"within a), crossed ones as parts of their own: (1 | a) + (1 | b)"
        )
    if len(words) > 1 or words[0].kind != "name":
        shown = text[words[0].start : words[-1].end]
        raise FormulaError(
            f"formula {brief(text)}: the group {shown!r} is no column name; put it in backticks, {written(shown)}"
        )
    name = words[0].text
    if name in RESERVED:
        raise FormulaError(f"the group column cannot be called {name!r}, a name of the result; rename it")
    return name


def _arranged(found: list[Grouping], text: str) -> tuple[tuple[Grouping, ...], tuple[Grouping, ...]]:
    """Nested levels, finest first, and crossed groupings.

    The levels are the first grouping and all that lie above or below it, one path being the beginning of
    the next; the others cut across them.
    """
    for at, grouping in enumerate(found):
        # In whatever order: b within a has the places of a within b.
        if any(set(grouping.path) == set(earlier.path) for earlier in found[:at]):
            name = ":".join(grouping.path)
            raise FormulaError(
                f"formula {brief(text)}: write the terms that vary by {name!r} in one part: (1 + area | "
                f"{name}) with correlation, (1 + area || {name}) without"
            )
    columns = [grouping.column for grouping in found]
    found = [
        replace(grouping, joined=len(grouping.path) > 1 and columns.count(grouping.column) > 1)
        for grouping in found
    ]
    names = [grouping.group for grouping in found]
    twice = next((at for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        one, other = (":".join(found[at].path) for at in (names.index(names[twice]), twice))
        raise FormulaError(
            f"formula {brief(text)}: the parameters of the groupings {one!r} and {other!r} would both be named "
            f"after {names[twice]!r}; rename a column"
        )
    # Where two end in one column, (1 | year) + (1 | zip) + (1 | zip:year), the order in which they are written says
    # nothing: the most that lie in each other are the levels.
    starts = found if any(grouping.joined for grouping in found) else found[:1]
    chains: list[list[Grouping]] = []
    for start in starts:
        chains.append([start])
        for grouping in found:
            ends = [(level.path, min(len(level.path), len(grouping.path))) for level in chains[-1]]
            if grouping is not start and all(path[:least] == grouping.path[:least] for path, least in ends):
                chains[-1].append(grouping)
    levels = max(chains, key=len, default=[])
    levels.sort(key=lambda level: -len(level.path))
    return tuple(levels), tuple(grouping for grouping in found if grouping not in levels)
