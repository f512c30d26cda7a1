"""Terms of a sum `a + b*c - d`, as products of factors: Wilkinson and Rogers' notation, like in R."""

from __future__ import annotations

from typing import TYPE_CHECKING

from priorhood.errors import FormulaError
from priorhood.model.expression import expression_of
from priorhood.model.tokens import END, Word, brief

if TYPE_CHECKING:
    from collections.abc import Iterable

# A term is the product of its factors, each an expression as text; () is the intercept.
Term = tuple[str, ...]

# Limits of the terms on one side and of the columns of one interaction.
MAX_TERMS = 1_000
MAX_FACTORS = 20

# Precedence of the operators.
_STRENGTH = {"*": 1, "/": 1, "%in%": 1, ":": 2, "**": 3, "^": 3}


def terms_of(words: tuple[Word, ...], text: str) -> tuple[Term, ...]:
    """Return the terms on one side of a bar or of '~', sorted by their number of factors.

    They include the intercept unless it is removed.

    Raises
    ------
    FormulaError
        if the terms cannot be read or there are too many

    Examples
    --------
    >>> from priorhood.model.tokens import words_of
    >>> terms_of(words_of("area*type - 1"), "area*type - 1")
    (('area',), ('type',), ('area', 'type'))
    """
    terms = _Terms(text)
    terms.add([()])
    _add_up(terms, words, text)
    return tuple(sorted(terms.all(), key=len))


def signed_chunks(words: tuple[Word, ...], text: str) -> list[tuple[str, tuple[Word, ...]]]:
    """Return the parts between the plus and minus signs outside all brackets, with their signs.

    Raises
    ------
    FormulaError
        if brackets do not match or a sign has no term
    """
    chunks: list[tuple[str, tuple[Word, ...]]] = []
    sign, start, depth = "+", 0, 0
    for at, word in enumerate((*words, END)):
        depth += word.is_sign("(") - word.is_sign(")")
        if depth < 0:
            raise FormulaError(f"formula {brief(text)}: a ')' has no matching '('")
        if depth == 0 and (not word or word.is_sign("+", "-")):
            if at > start:
                chunks.append((sign, words[start:at]))
            elif words and (at == len(words) or start > 0):
                missing = word.text if start == 0 else sign
                raise FormulaError(f"formula {brief(text)}: a term is missing next to {missing!r}")
            sign, start = word.text, at + 1
    if depth > 0:
        raise FormulaError(f"formula {brief(text)}: a bracket is not closed")
    return chunks


def encloses(words: tuple[Word, ...]) -> bool:
    """Return True if one pair of brackets encloses all the words."""
    depth = 0
    for at, word in enumerate(words):
        depth += word.is_sign("(") - word.is_sign(")")
        if depth == 0:
            return at == len(words) - 1 and at > 0
    return False


class _Terms:
    """Distinct terms in the order in which they were added; the order of factors does not matter."""

    def __init__(self, text: str, terms: Iterable[Term] = ()) -> None:
        self.text = text
        self.found: dict[frozenset[str], Term] = {}
        self.add(terms)

    def add(self, terms: Iterable[Term]) -> None:
        for term in terms:
            if len(term) > MAX_FACTORS:
                raise FormulaError(
                    f"formula {brief(self.text)} has an interaction of more than {MAX_FACTORS} columns"
                )
            self.found.setdefault(frozenset(term), term)
            if len(self.found) > MAX_TERMS:
                raise FormulaError(
                    f"formula {brief(self.text)} has more than {MAX_TERMS:,} terms; list only the ones needed"
                )

    def all(self) -> list[Term]:
        return list(self.found.values())


def _add_up(into: _Terms, words: tuple[Word, ...], text: str) -> None:
    """Add the terms of a sum, and remove those with a minus sign."""
    for sign, chunk in signed_chunks(words, text):
        number = chunk[0].text if len(chunk) == 1 and chunk[0].kind == "number" else None
        # Adding 0 removes the intercept.
        adds = (sign == "+") == (number != "0")
        terms: list[Term] = [()]
        if number not in ("0", "1"):
            product = _Product(chunk, text)
            terms = product.products(0)
            if product.at < len(chunk):
                raise product.syntax_error()
        if adds:
            into.add(terms)
            continue
        for term in terms:
            into.found.pop(frozenset(term), None)


class _Product:
    """A recursive-descent parser of a part that has no plus or minus outside brackets."""

    def __init__(self, words: tuple[Word, ...], text: str) -> None:
        self.words = words
        self.text = text
        self.at = 0

    def peek(self) -> Word:
        return self.words[self.at] if self.at < len(self.words) else END

    def written(self, start: int, end: int) -> str:
        return self.text[self.words[start].start : self.words[end - 1].end]

    def syntax_error(self) -> FormulaError:
        part = brief(self.written(0, len(self.words)))
        at = min(self.at, len(self.words) - 1)
        word = self.words[at]
        if word.kind == "text" or word.is_sign("[", "]", "="):
            fault = f"unexpected {word.text[0]!r}; put unusual column names in backticks"
        elif at > 0 and word.kind in ("name", "number") and self.words[at - 1].kind in ("name", "number"):
            both = self.written(at - 1, at + 1)
            fault = f"cannot read {part}: an operator is missing in {both!r}; put names with spaces in backticks"
        else:
            fault = f"cannot read {part} at {word.text!r}"
        return FormulaError(f"formula {brief(self.text)}: {fault}")

    def products(self, least: int) -> list[Term]:
        start = self.at
        left = self.atom()
        while (sign := self.peek()).kind == "sign" and _STRENGTH.get(sign.text, 0) > least:
            end = self.at
            self.at += 1
            if sign.text in ("**", "^"):
                left = self.power(left, start, end)
                continue
            right = self.products(_STRENGTH[sign.text])
            if sign.text == ":":
                left = self.times(left, right)
            elif sign.text == "*":
                left = _Terms(self.text, [*left, *right, *self.times(left, right)]).all()
            else:
                outer, inner = (right, left) if sign.text == "%in%" else (left, right)
                every = tuple(dict.fromkeys(factor for term in outer for factor in term))
                left = _Terms(self.text, [*outer, *self.times([every], inner)]).all()
        return left

    def times(self, left: list[Term], right: list[Term]) -> list[Term]:
        if () in left or () in right:
            raise FormulaError(f"formula {brief(self.text)}: a term cannot be multiplied by the number 1")
        return _Terms(self.text, (tuple(dict.fromkeys(a + b)) for a in left for b in right)).all()

    def power(self, base: list[Term], start: int, end: int) -> list[Term]:
        exponent = self.peek()
        self.at += 1
        if len(base) == 1:
            raise FormulaError(
                f"formula {brief(self.text)}: write a power of a column as I({self.written(start, end)} ** "
                f"{exponent.text or 2}); outside I() '**' and '^' mean interactions, such as (a + b)^2"
            )
        if exponent.kind != "number" or not exponent.text.isdigit() or int(exponent.text[:4]) < 1:
            raise FormulaError(
                f"formula {brief(self.text)}: write all interactions up to a given order as (a + b)^2, with a "
                f"whole number as the exponent"
            )
        terms = base
        for _ in range(int(exponent.text[:4]) - 1):
            more = _Terms(self.text, [*terms, *self.times(terms, base)]).all()
            if len(more) == len(terms):
                break
            terms = more
        return terms

    def atom(self) -> list[Term]:
        start, word = self.at, self.peek()
        if word.is_sign("("):
            end = self.closing(start)
            self.at = end + 1
            inside = _Terms(self.text)
            if end == start + 1:
                raise FormulaError(f"formula {brief(self.text)}: the brackets '()' are empty")
            _add_up(inside, self.words[start + 1 : end], self.text)
            return inside.all()
        if word.kind == "number":
            raise FormulaError(
                f"formula {brief(self.text)}: a number, {word.text}, cannot be a term or a factor of one; put a "
                f"column of that name in backticks"
            )
        if word.kind != "name":
            raise self.syntax_error()
        self.at += 1
        if self.peek().is_sign("(") and self.text[word.start] != "`":
            self.at = self.closing(self.at) + 1
        return [(expression_of(self.words[start : self.at], self.text).text,)]

    def closing(self, start: int) -> int:
        """Return the position of the bracket that closes the one at start."""
        depth = 0
        for at in range(start, len(self.words)):
            depth += self.words[at].is_sign("(") - self.words[at].is_sign(")")
            if depth == 0:
                return at
        raise FormulaError(f"formula {brief(self.text)}: a bracket is not closed")
