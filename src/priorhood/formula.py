"""`price ~ living_space + (living_space | zip)`: lme4's formulas → outcome, terms, grouping levels.

formulaic reads everything but the `|` parts; each side of a bar is again a formula for formulaic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from priorhood.errors import FormulaError
from priorhood.expression import Expression

# A term is the product of its factors, each an expression as text; () is the intercept.
Term = tuple[str, ...]

RESERVED = frozenset({"chain", "draw", "term", "term_bis", "column", "column_bis", "sample"})


@dataclass(frozen=True)
class Grouping:
    """`(terms | group)`: which coefficients vary by group, and whether they are correlated (`|`, not `||`)."""

    group: str
    terms: tuple[Term, ...]
    correlated: bool


@dataclass(frozen=True)
class Formula:
    """A formula taken apart.

    text : as given, blanks tidied
    outcome : expression of the left side; log(y) is modelled as Normal on the log scale
    population : terms with a coefficient of their own (mu)
    levels : grouping levels, finest first; none is a pooled regression
    """

    text: str
    outcome: str
    population: tuple[Term, ...]
    levels: tuple[Grouping, ...]

    @property
    def log_outcome(self) -> bool:
        """Whether the left side is log(…)."""
        return Expression(self.outcome).logged is not None

    @property
    def outcome_name(self) -> str:
        """What a prediction is a prediction of: the outcome without its log."""
        return Expression(self.outcome).logged or self.outcome

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms once: the population's, then those that only vary by group."""
        return tuple(dict.fromkeys(self.population + tuple(t for x in self.levels for t in x.terms)))

    @property
    def groups(self) -> tuple[str, ...]:
        """The grouping columns, finest first."""
        return tuple(level.group for level in self.levels)

    def factors(self) -> tuple[str, ...]:
        """Every factor of every term once, in order."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term))


def parse(text: str) -> Formula:
    """Read a formula.

    Raises
    ------
    FormulaError : says what cannot be read, and what to write
    """
    if not isinstance(text, str) or not text.strip():
        raise FormulaError("the formula is empty; write it like 'price ~ living_space + (living_space | zip)'")
    text = " ".join(text.split())
    left, tilde, right = text.partition("~")
    if not tilde or "~" in right:
        raise FormulaError(f"formula {text!r} needs exactly one '~': outcome ~ predictors")
    outcome = left.strip()
    if not outcome:
        raise FormulaError(f"formula {text!r} has no outcome before '~'")
    if not right.strip():
        raise FormulaError(f"formula {text!r} has nothing after '~'; write '{outcome} ~ 1' for a mean alone")
    stray = re.search(r"[][{}@$;!?\"'\\]", re.sub(r"`[^`]*`", "", text))
    if stray:
        raise FormulaError(f"formula {text!r}: {stray[0]!r} has no meaning here; put odd column names in backticks")
    _check_outcome(outcome)
    plain, bars = _split_bars(right, text)
    levels = _one_level([_grouping(bar, text) for bar in bars], text)
    population = _terms(plain, text)
    formula = Formula(text, outcome, population, levels)
    if not formula.terms:
        raise FormulaError(f"formula {text!r} has neither an intercept nor a predictor")
    for factor in formula.factors():
        if not Expression(factor).categorical:
            Expression(factor).check()
    own = set(Expression(outcome).names) & {n for f in formula.factors() for n in Expression(f).names}
    if own:
        raise FormulaError(f"formula {text!r}: {min(own)!r} is on both sides of '~'")
    return formula


def _check_outcome(outcome: str) -> None:
    expression = Expression(outcome).check()
    if not expression.names:
        raise FormulaError(f"the outcome {outcome!r} names no column")
    inner = expression.logged or outcome
    if re.search(r"\b(log|log2|log10|log1p|sqrt|exp)\s*\(", inner):
        raise FormulaError(f"outcome {outcome!r}: write a column, its arithmetic, or log(…) around the whole")


def _split_bars(right: str, text: str) -> tuple[str, list[str]]:
    """The right side without its `( … | … )` parts, and those parts without their brackets."""
    chunks = _signed_chunks(right, text)
    plain, bars = [], []
    for sign, chunk in chunks:
        if chunk.startswith("(") and chunk.endswith(")") and "|" in chunk and _encloses(chunk):
            if sign == "-":
                raise FormulaError(f"formula {text!r}: a group part cannot be taken away with '-'")
            bars.append(chunk[1:-1])
        elif "|" in chunk:
            raise FormulaError(
                f"formula {text!r}: write group parts in brackets and added, like '+ (1 + area | zip)'"
            )
        else:
            plain.append(f"{sign} {chunk}")
    joined = " ".join(plain).removeprefix("+ ")
    return joined or "1", bars


def _encloses(chunk: str) -> bool:
    """Whether the first bracket closes only at the end."""
    depth = 0
    for at, char in enumerate(chunk):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at == len(chunk) - 1
    return False


def _signed_chunks(right: str, text: str) -> list[tuple[str, str]]:
    """Split at the plus and minus signs outside all brackets and backticks."""
    chunks: list[tuple[str, str]] = []
    sign, start, depth, quoted = "+", 0, 0, False
    for at, char in enumerate(right + "+"):
        if char == "`":
            quoted = not quoted
        if quoted:
            continue
        depth += (char == "(") - (char == ")")
        if depth < 0:
            raise FormulaError(f"formula {text!r}: a ')' without its '('")
        if depth == 0 and char in "+-":
            chunk = right[start:at].strip()
            if chunk:
                chunks.append((sign, chunk))
            elif at == len(right) or start > 0:
                raise FormulaError(f"formula {text!r}: a term is missing next to '{char if start == 0 else sign}'")
            sign, start = char, at + 1
    if depth > 0 or quoted:
        raise FormulaError(f"formula {text!r}: {'a backtick' if quoted else 'a bracket'} is not closed")
    return chunks


def _grouping(bar: str, text: str) -> Grouping:
    match = re.fullmatch(r"([^|]*)(\|\|?)([^|]*)", bar)
    if match is None or not match[1].strip() or not match[3].strip():
        raise FormulaError(f"formula {text!r}: cannot read '({bar})'; write it like '(1 + area | zip)'")
    group = match[3].strip()
    if group.startswith("`") and group.endswith("`"):
        group = group[1:-1]
    elif "/" in group or ":" in group or "+" in group:
        raise FormulaError(
            f"formula {text!r}: the group {group!r} combines columns; nested and crossed groups are not in "
            f"this version: join them into one column of labels"
        )
    elif not group.isidentifier():
        raise FormulaError(f"formula {text!r}: the group {group!r} is no column name; put it in backticks")
    if group in RESERVED:
        raise FormulaError(f"the group column cannot be called {group!r}, a name of the result; rename it")
    terms = _terms(match[1], text)
    if not terms:
        raise FormulaError(f"formula {text!r}: nothing varies by {group!r} in '({bar})'")
    return Grouping(group, terms, correlated=match[2] == "|" and len(terms) > 1)


def _one_level(levels: list[Grouping], text: str) -> tuple[Grouping, ...]:
    groups = [level.group for level in levels]
    if len(set(groups)) > 1:
        raise FormulaError(
            f"formula {text!r}: more than one grouping column ({', '.join(groups)}) is not in this version"
        )
    if len(groups) > 1:
        raise FormulaError(
            f"formula {text!r}: write the terms that vary by {groups[0]!r} in one part: (1 + area | "
            f"{groups[0]}) with correlation, (1 + area || {groups[0]}) without"
        )
    return tuple(levels)


def _without_calls(part: str) -> str:
    """The text with every function call, log(a) or I(a ** 2), made one word."""
    before = None
    while before != part:
        before, part = part, re.sub(r"\b[A-Za-z_]\w*\([^()]*\)", "call", part)
    return part


def _terms(part: str, text: str) -> tuple[Term, ...]:
    """Formulaic's reading of one side, as factors' texts."""
    from formulaic import Formula as Reader
    from formulaic.errors import FormulaicError

    power = re.search(r"([\w`]+)\s*(?:\*\*|\^)\s*(\w+)", _without_calls(part))
    if power:
        raise FormulaError(
            f"formula {text!r}: a power of a column is written I({power[1]} ** {power[2]}); outside I() '**' and "
            f"'^' mean interactions, like (a + b)^2"
        )

    try:
        read = Reader(f"~ {part.strip()}")
    except (FormulaicError, SyntaxError) as problem:
        reason = re.sub(r"⧛\[[0-9;]*m|⧚", "", str(problem)).splitlines()[0].rstrip(".")
        if "`.` operator" in reason:
            reason = "'.' is not read; name the columns"
        raise FormulaError(f"formula {text!r}: cannot read {part.strip()!r}: {reason}") from None
    if not hasattr(read, "rhs") and not hasattr(read, "__iter__"):
        raise FormulaError(f"formula {text!r}: cannot read {part.strip()!r}")
    terms: list[Term] = []
    for term in getattr(read, "rhs", read):
        factors = [str(f.expr) for f in term.factors]
        numbers = [f for f in factors if re.fullmatch(r"[0-9.]+", f)]
        if numbers and factors != ["1"]:
            raise FormulaError(f"formula {text!r}: a term cannot be multiplied by the number {numbers[0]}")
        terms.append(() if factors == ["1"] else tuple(factors))
    return tuple(terms)
