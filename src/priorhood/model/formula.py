"""Formulas in lme4's notation, `price ~ living_space + (living_space | zip)`: outcome, terms, grouping levels."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from priorhood._text import argument
from priorhood.errors import FormulaError
from priorhood.model.arithmetic import Binary, Call, Number, inner_text, text_of
from priorhood.model.expression import Expression, expression_of
from priorhood.model.terms import Term, encloses, signed_chunks, terms_of
from priorhood.model.tokens import Word, alone, brief, dimension, tidied, words_of, written

# Separates the labels along a place's path; labels in tables do not contain it.
SEPARATOR = "\x1f"

RESERVED = frozenset({"chain", "draw", "term", "term_bis", "column", "column_bis", "sample"})
MAX_GROUPINGS = 50


@dataclass(frozen=True)
class Grouping:
    """A grouping `(terms | group)` of the formula.

    Attributes
    ----------
    path : tuple of str
        columns that identify the places, coarsest first: ("city", "district") for districts of cities
    terms : tuple of Term
        terms whose coefficients vary by group
    correlated : bool
        whether it is written with `|` and has more than an intercept. The number of coefficients is only known with
        the categories: see Design.correlated
    joined : bool
        whether it is named after all columns of its path, because another grouping ends in the same column
    """

    path: tuple[str, ...]
    terms: tuple[Term, ...]
    correlated: bool
    joined: bool = False

    @property
    def column(self) -> str:
        """Last column of the path."""
        return self.path[-1]

    @property
    def group(self) -> str:
        """Name of the dimension, also used in the parameters' names: the last column, or `zip_year` if joined."""
        return dimension("_".join(self.path) if self.joined else self.column)

    def is_called(self, name: object) -> bool:
        """Return True if a user's name means this grouping: its name, or its column's."""
        return name == self.group or (name == self.column and not self.joined)


@dataclass(frozen=True)
class Formula:
    """The parts of a formula.

    Attributes
    ----------
    text : str
        formula as given, with single blanks
    outcome : str
        expression on the left side; log(y) is modelled as Normal on the log scale
    population : tuple of Term
        terms with a population coefficient (mu)
    levels : tuple of Grouping
        nested grouping levels, finest first; empty for a pooled regression
    crossed : tuple of Grouping
        other groupings, which are not nested in the levels
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
        """True if the left side is log(…)."""
        return Expression(self.outcome).logged is not None

    @property
    def outcome_name(self) -> str:
        """Name of the predicted quantity: the outcome without its log."""
        return self.unlogged.bare or self.unlogged.text

    @property
    def unlogged(self) -> Expression:
        """Expression of the outcome without its log."""
        return Expression(Expression(self.outcome).logged or self.outcome)

    @property
    def terms(self) -> tuple[Term, ...]:
        """All distinct terms: those of the population, then those that only vary by group."""
        return tuple(dict.fromkeys(self.population + tuple(t for x in self.groupings for t in x.terms)))

    @property
    def group(self) -> str:
        """Name of the finest level, '' without levels."""
        return self.levels[0].group if self.levels else ""

    @property
    def places(self) -> tuple[str, ...]:
        """Names of all groupings."""
        return tuple(grouping.group for grouping in self.groupings)

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns of a row's place: the finest level's path, then further columns of the crossed groupings."""
        return tuple(dict.fromkeys(column for x in self.groupings for column in x.path))

    def suffix(self, at: int) -> str:
        """Return the suffix of a grouping's parameters: '' for the finest level, else _group."""
        return f"_{alone(self.groupings[at].group)}" if at else ""

    def title(self, at: int) -> str:
        """Return the word for a place of a grouping, for counts of places: zip, or zip:type without a level zip."""
        grouping, above = self.groupings[at], self.levels[at + 1 : at + 2]
        if len(grouping.path) == 1 or (above and not grouping.joined):
            return ":".join(grouping.path[len(above[0].path) if above else 0 :])
        return ":".join(grouping.path)

    def effect_name(self, at: int) -> str:
        """Return the name of a grouping's coefficients: beta, beta_district, or delta_type of a crossed one."""
        return f"{'beta' if at < len(self.levels) else 'delta'}{self.suffix(at)}"

    def factors(self) -> tuple[str, ...]:
        """Return the distinct factors of all terms, in order."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term))


def parse(text: str) -> Formula:
    """Parse a formula into its parts.

    Raises
    ------
    FormulaError
        if the formula cannot be read; the error shows which part, and what to write instead

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
    _check_wrapper(words, text)
    tildes = [at for at, word in enumerate(words) if word.is_sign("~")]
    if len(tildes) != 1:
        raise FormulaError(f"formula {brief(text)} needs exactly one '~': outcome ~ predictors")
    left, right = words[: tildes[0]], words[tildes[0] + 1 :]
    if not left:
        raise FormulaError(f"formula {brief(text)} has no outcome before '~'")
    if not right:
        start = text[: left[-1].end]
        raise FormulaError(f"formula {brief(text)} has nothing after '~'; write '{start} ~ 1' for only a mean")
    _check_addition_terms(left, text)
    outcome = expression_of(left, text)
    if outcome.categorical:
        raise FormulaError(f"the outcome {outcome.text!r} must be a number: write the column without C()")
    if not outcome.names:
        raise FormulaError(f"the outcome {outcome.text!r} does not name a column")
    outcome.check()
    unlogged = Expression(outcome.logged or outcome.text)
    if any(function != "I" for function in unlogged.functions):
        raise FormulaError(
            f"outcome {outcome.text!r}: write a column, arithmetic of columns, or log(…) around the whole outcome"
        )
    plain, bars = _split_bars(right, text)
    groupings = [grouping for bar in bars for grouping in _groupings(bar, text)]
    if len(groupings) > MAX_GROUPINGS:
        raise FormulaError(
            f"formula {brief(text)} has {len(groupings):,} groupings; at most {MAX_GROUPINGS} are allowed"
        )
    levels, crossed = _split_crossed(groupings, text)
    formula = Formula(text, outcome.text, terms_of(plain, text), levels, crossed)
    _check_names(formula)
    if not formula.terms:
        raise FormulaError(f"formula {brief(text)} has neither an intercept nor a predictor")
    for factor in map(Expression, formula.factors()):
        factor.check()
        # An outcome computed from a predictor, price ~ log(price), leaves nothing to learn.
        shared = set(outcome.names) & set(factor.names)
        if shared and (len(outcome.names) == 1 or factor.nested() in (outcome.nested(), unlogged.nested())):
            raise FormulaError(f"formula {brief(text)}: {min(shared)!r} is on both sides of '~'")
    return formula


def _check_wrapper(words: tuple[Word, ...], text: str) -> None:
    """Raise for a formula of brms within bf(…)."""
    if len(words) < 4 or words[0].text not in ("bf", "brmsformula") or not words[1].is_sign("("):
        return
    inside = _first_argument(words[1:])
    if inside and any(word.is_sign("~") for word in inside):
        raise FormulaError(
            f"formula {brief(text)}: write it without {words[0].text}(): "
            f"{brief(text[inside[0].start : inside[-1].end])}"
        )


def _check_addition_terms(left: tuple[Word, ...], text: str) -> None:
    """Raise for what brms writes after the outcome, as in price | se(error) + weights(n) ~ …"""
    bar = next((at for at, word in enumerate(left) if word.is_sign("|")), 0)
    if not bar:
        return
    ways = []
    for _, chunk in signed_chunks(left[bar + 1 :], text):
        inside = _first_argument(chunk[1:]) if len(chunk) > 3 and chunk[1].is_sign("(") else ()
        if len(inside) != 1 or inside[0].kind != "name":
            continue
        function, column = chunk[0].text, inside[0].text
        if function == "se":
            ways.append(f"give the standard errors as an argument, {argument('se', column)}")
        elif function == "weights":
            ways.append(
                f"give the weights as an argument, {argument('frequency_weights', column)} if a row stands for "
                f"several equal rows, {argument('precision_weights', column)} if it is the mean of several rows"
            )
    outcome = text[left[0].start : left[bar - 1].end]
    raise FormulaError(
        f"formula {brief(text)}: write only the outcome before '~', {brief(outcome + text[left[-1].end :])}"
        f"{''.join(f', and {way}' for way in ways)}"
    )


def _first_argument(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Return the words of the first argument in the brackets with which the words begin."""
    depth = 0
    for at, word in enumerate(words):
        depth += word.is_sign("(") - word.is_sign(")")
        if depth == 0 or (depth == 1 and word.is_sign(",")):
            return words[1:at]
    return ()


def _check_names(formula: Formula) -> None:
    """Raise for a group named like a parameter or a dimension of the result, which files could not hold."""
    taken = {"mu"} if formula.population else set()
    taken |= {"n", "mean", "scatter", "weight", "log_weight"} if len(formula.keys) == 1 else set()
    for at, grouping in enumerate(formula.groupings):
        taken |= {formula.effect_name(at), f"tau{formula.suffix(at)}"}
        taken |= {f"omega{formula.suffix(at)}"} if grouping.correlated else set()
        taken |= {f"{grouping.group}_{kind}{bis}" for kind in ("term", "varying") for bis in ("", "_bis")}
    for name in dict.fromkeys((*formula.keys, *formula.places)):
        if name in RESERVED or (name in taken and name in formula.places):
            raise FormulaError(
                f"the group column cannot be called {name!r}, since results use that name; rename it"
            )


def written_out(formula: Formula) -> str:
    """Return the text of a formula from its parts, for formulas suggested in messages.

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
    """Return the formula as text, with a constant near the mean subtracted from the outcome to save digits.

    For a log outcome it is subtracted from the outcome without the log: for such a small relative range, the log
    would make no difference.

    Examples
    --------
    >>> shifted(parse("year ~ area"), 2000.3, 1.2)
    'year - 2000 ~ area'
    """
    if formula.log_outcome:
        mean, sd = math.exp(mean), math.exp(mean) * sd
    outcome = less(Expression(formula.outcome).logged or formula.outcome, mean, sd)
    return f"{outcome} ~ {written_out(replace(formula, outcome='y')).removeprefix('y ~ ')}"


def recentred(formula: Formula, mean: float, sd: float) -> tuple[str, float]:
    """Return the formula as text with an outcome nearer to 0, and the constant subtracted, 0 if none.

    For a log outcome the constant is the log of the number by which the outcome is divided.
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
    """Return the text of an expression minus its mean, which is rounded to the digits above its sd."""
    digits = -math.ceil(math.log10(sd))
    constant = near_mean(mean, sd)
    number = f"{abs(constant):.{max(digits, 0)}f}" if abs(constant) < 1e15 else repr(float(abs(constant)))
    return f"{inner_text(Expression(expression).tree)} {'-' if constant >= 0 else '+'} {number}"


def _sum(terms: tuple[Term, ...]) -> str:
    """Return the text of a sum of terms; the intercept is implied, 0 removes it."""
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
        changed = parse(formula.text[: bar.start] + "||" + formula.text[bar.end :])
        uncorrelated = {grouping.path for grouping in changed.groupings if not grouping.correlated}
        if any(grouping.correlated and grouping.path in uncorrelated & paths for grouping in formula.groupings):
            formula = changed
    return formula


def _split_bars(right: tuple[Word, ...], text: str) -> tuple[tuple[Word, ...], list[tuple[Word, ...]]]:
    """Return the right side without its `( … | … )` parts, and those parts without their brackets."""
    plain: list[Word] = []
    bars: list[tuple[Word, ...]] = []
    for sign, chunk in signed_chunks(right, text):
        if not any(word.is_sign("|", "||") for word in chunk):
            plain += [Word("sign", sign, chunk[0].start, chunk[0].start), *chunk]
        elif not encloses(chunk):
            raise FormulaError(
                f"formula {brief(text)}: write grouping terms in brackets, such as '+ (1 + area | zip)'"
            )
        elif sign == "-":
            raise FormulaError(f"formula {brief(text)}: a grouping term cannot be removed with '-'")
        else:
            bars.append(chunk[1:-1])
    return tuple(plain), bars


def _groupings(bar: tuple[Word, ...], text: str) -> list[Grouping]:
    """Return the groupings of `terms | a/b`, coarsest first: by a, and by a and b (of `terms | a:b` only these)."""
    marks = [at for at, word in enumerate(bar) if word.is_sign("|", "||")]
    left, right = bar[: marks[0]], bar[marks[0] + 1 :]
    if len(marks) > 1 or not left or not right:
        shown = text[bar[0].start : bar[-1].end]
        raise FormulaError(f"formula {brief(text)}: cannot read '({shown})'; write it like '(1 + area | zip)'")
    group = text[right[0].start : right[-1].end]
    if right[0].kind == "number" and all(word.kind == "name" or word.is_sign("/", ":") for word in left):
        terms_first = f"({group} {bar[marks[0]].text} {text[left[0].start : left[-1].end]})"
        raise FormulaError(f"formula {brief(text)}: the group comes after the bar: write {terms_first!r}")
    if len(right) > 2 * MAX_GROUPINGS:
        raise FormulaError(f"formula {brief(text)}: the group {brief(group)} has more than {MAX_GROUPINGS} columns")
    # `city/district:zip` → (city,), (city, district, zip): lme4's notation of nested groups.
    steps = [_split_at(step, ":") for step in _split_at(right, "/")]
    for column in chain(*steps):
        if not column:
            fault = f"a column is missing in the group {group!r}; write a/b for b within a"
        elif any(word.is_sign("+") for word in column):
            fault = (
                f"the group {group!r} combines columns with '+'; write nested groups as a/b (b within a), crossed "
                f"groups as separate parts: (1 | a) + (1 | b)"
            )
        elif column[0].text == "gr" and (inside := _first_argument(column[1:])):
            shown = text[bar[0].start : column[0].start] + text[inside[0].start : inside[-1].end]
            shown += text[column[-1].end : bar[-1].end]
            fault = f"write the group without gr(): '({shown})'"
        elif len(column) > 1 or column[0].kind != "name":
            shown = text[column[0].start : column[-1].end]
            fault = f"the group {shown!r} is not a column name; put it in backticks: {written(shown)}"
        else:
            continue
        raise FormulaError(f"formula {brief(text)}: {fault}")
    paths = [tuple(column[0].text for step in steps[: at + 1] for column in step) for at in range(len(steps))]
    if len(set(paths[-1])) < len(paths[-1]):
        raise FormulaError(f"formula {brief(text)}: the group {group!r} contains a column twice")
    terms = terms_of(left, text)
    if not terms:
        shown = text[bar[0].start : bar[-1].end]
        raise FormulaError(f"formula {brief(text)}: nothing varies by {group!r} in '({shown})'")
    correlated = bar[marks[0]].text == "|" and terms != ((),)
    return [Grouping(path, terms, correlated=correlated) for path in paths]


def _split_at(words: tuple[Word, ...], sign: str) -> list[tuple[Word, ...]]:
    """Return the parts between the signs."""
    cuts = [-1, *(at for at, word in enumerate(words) if word.is_sign(sign)), len(words)]
    return [words[before + 1 : at] for before, at in pairwise(cuts)]


def _split_crossed(groupings: list[Grouping], text: str) -> tuple[tuple[Grouping, ...], tuple[Grouping, ...]]:
    """Return the nested levels, finest first, and the crossed groupings.

    The levels are the first grouping and all that contain it or are nested in it: one path is the beginning of the
    next. All others are crossed.
    """
    for at, grouping in enumerate(groupings):
        # The order of a path does not matter: b within a has the same places as a within b.
        if any(set(grouping.path) == set(earlier.path) for earlier in groupings[:at]):
            name = ":".join(grouping.path)
            raise FormulaError(
                f"formula {brief(text)}: write the terms that vary by {name!r} in one part: (1 + area | "
                f"{name}) with correlation, (1 + area || {name}) without"
            )
    columns = [grouping.column for grouping in groupings]
    groupings = [
        replace(grouping, joined=len(grouping.path) > 1 and columns.count(grouping.column) > 1)
        for grouping in groupings
    ]
    names = [grouping.group for grouping in groupings]
    duplicate = next((at for at, name in enumerate(names) if name in names[:at]), None)
    if duplicate is not None:
        first, second = (":".join(groupings[at].path) for at in (names.index(names[duplicate]), duplicate))
        raise FormulaError(
            f"formula {brief(text)}: the parameters of the groupings {first!r} and {second!r} would both be named "
            f"after {names[duplicate]!r}; rename a column"
        )
    # If two end in the same column, (1 | year) + (1 | zip) + (1 | zip:year), their order has no meaning: the
    # longest chain of nested groupings becomes the levels.
    starts = groupings if any(grouping.joined for grouping in groupings) else groupings[:1]
    chains: list[list[Grouping]] = []
    for start in starts:
        chains.append([start])
        for grouping in groupings:
            shared = [(level.path, min(len(level.path), len(grouping.path))) for level in chains[-1]]
            if grouping is not start and all(path[:length] == grouping.path[:length] for path, length in shared):
                chains[-1].append(grouping)
    levels = max(chains, key=len, default=[])
    levels.sort(key=lambda level: -len(level.path))
    return tuple(levels), tuple(grouping for grouping in groupings if grouping not in levels)


def same_formula(first: Formula, other: Formula) -> bool:
    """Return whether two formulas mean the same model, however they are written."""
    return replace(first, text="") == replace(other, text="")
