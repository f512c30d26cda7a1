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

# Between the labels of a place and of those that it lies in. No label of a table has it.
SEPARATOR = "\x1f"

RESERVED = frozenset({"chain", "draw", "term", "term_bis", "column", "column_bis", "sample"})


@dataclass(frozen=True)
class Grouping:
    """`(terms | group)`: which coefficients vary by group, and whether they are correlated (`|`, not `||`).

    path : the columns that tell its places apart, coarsest first: ("city", "district") for districts of cities
    """

    path: tuple[str, ...]
    terms: tuple[Term, ...]
    correlated: bool

    @property
    def group(self) -> str:
        """Its own column, the last of the path: what its parameters are named after."""
        return self.path[-1]


@dataclass(frozen=True)
class Formula:
    """A formula taken apart.

    text : as given, blanks tidied
    outcome : expression of the left side; log(y) is modelled as Normal on the log scale
    population : terms with a coefficient of their own (mu)
    levels : nested grouping levels, finest first; none is a pooled regression
    crossed : groupings beside them, whose places cut across those of the levels
    """

    text: str
    outcome: str
    population: tuple[Term, ...]
    levels: tuple[Grouping, ...]
    crossed: tuple[Grouping, ...] = ()

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """All of them: the levels, finest first, then the crossed ones."""
        return self.levels + self.crossed

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
        """The columns that say where a row is: the finest level's path, then what the crossed groupings add."""
        return tuple(dict.fromkeys(column for x in self.groupings for column in x.path))

    def suffix(self, at: int) -> str:
        """What the names of a grouping's parameters end in: nothing for the finest level's, else _group."""
        return f"_{self.groupings[at].group}" if at else ""

    def effect_name(self, at: int) -> str:
        """The name of a grouping's coefficients: beta, beta_district, or delta_type of a crossed one."""
        return f"{'beta' if at < len(self.levels) else 'delta'}{self.suffix(at)}"

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
    levels, crossed = _arranged([x for bar in bars for x in _groupings(bar, text)], text)
    population = _terms(plain, text)
    formula = Formula(text, outcome, population, levels, crossed)
    _check_places(formula)
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


def _groupings(bar: str, text: str) -> list[Grouping]:
    """`terms | a/b` → a grouping by a and one by a and b, coarsest first; `terms | a:b` → only the latter."""
    match = re.fullmatch(r"([^|]*)(\|\|?)([^|]*)", bar)
    if match is None or not match[1].strip() or not match[3].strip():
        raise FormulaError(f"formula {text!r}: cannot read '({bar})'; write it like '(1 + area | zip)'")
    paths = _paths(match[3].strip(), text)
    terms = _terms(match[1], text)
    if not terms:
        raise FormulaError(f"formula {text!r}: nothing varies by {match[3].strip()!r} in '({bar})'")
    return [Grouping(path, terms, correlated=match[2] == "|" and len(terms) > 1) for path in paths]


def _paths(group: str, text: str) -> list[tuple[str, ...]]:
    """`city/district:zip` → (city,), (city, district, zip): lme4's notation of nested groups."""
    steps = [
        [_column(name.strip(), group, text) for name in _outside_quotes(step, ":")]
        for step in _outside_quotes(group, "/")
    ]
    paths = [tuple(name for step in steps[: at + 1] for name in step) for at in range(len(steps))]
    if len(set(paths[-1])) < len(paths[-1]):
        raise FormulaError(f"formula {text!r}: the group {group!r} names a column twice")
    return paths


def _outside_quotes(text: str, mark: str) -> list[str]:
    """Split at a mark outside backticks."""
    return re.split(rf"{mark}(?=(?:[^`]*`[^`]*`)*[^`]*$)", text)


def _column(name: str, group: str, text: str) -> str:
    if name.startswith("`") and name.endswith("`") and len(name) > 2:
        name = name[1:-1]
    elif "+" in name:
        raise FormulaError(
            f"formula {text!r}: the group {group!r} combines columns with '+'; write nested groups a/b (b within "
            f"a), crossed ones as parts of their own: (1 | a) + (1 | b)"
        )
    elif not name:
        raise FormulaError(
            f"formula {text!r}: a column is missing in the group {group!r}; write a/b for b within a"
        )
    elif not name.isidentifier():
        raise FormulaError(f"formula {text!r}: the group {name!r} is no column name; put it in backticks")
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
                f"formula {text!r}: write the terms that vary by {name!r} in one part: (1 + area | "
                f"{name}) with correlation, (1 + area || {name}) without"
            )
    names = [grouping.group for grouping in found]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice:
        raise FormulaError(
            f"formula {text!r}: two groupings end in {twice!r}, and their parameters would have one name; use a "
            f"copy of the column with another name for one of them"
        )
    levels: list[Grouping] = []
    for grouping in found:
        if all(_nested(grouping.path, level.path) for level in levels):
            levels.append(grouping)
    levels.sort(key=lambda level: -len(level.path))
    return tuple(levels), tuple(grouping for grouping in found if grouping not in levels)


def _check_places(formula: Formula) -> None:
    """Refuse a group called like a parameter or a dimension of the result, which the file could not hold."""
    taken = {"mu"} if formula.population else set()
    taken |= {"n", "mean", "scatter", "weight"} if len(formula.keys) == 1 else set()
    for at, grouping in enumerate(formula.groupings):
        taken |= {formula.effect_name(at), f"tau{formula.suffix(at)}"}
        taken |= {f"omega{formula.suffix(at)}"} if grouping.correlated else set()
        taken |= {f"{grouping.group}_{kind}{bis}" for kind in ("term", "varying") for bis in ("", "_bis")}
    for name in formula.places:
        if name in taken:
            raise FormulaError(f"the group column cannot be called {name!r}, a name of the result; rename it")


def _nested(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one path is the beginning of the other."""
    least = min(len(one), len(other))
    return one[:least] == other[:least]


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
