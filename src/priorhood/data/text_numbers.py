"""Texts that are numbers once it is known which of them mean nothing, and how numbers are written.

A CSV's own reader takes no thousands but it also takes 1,2,3 for them; a frame's texts have no reader at all. So
both are read here, by one rule, and only where every text of a column is a number so written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import BLANKS
from priorhood.data.number_formats import PLAIN, Spelling
from priorhood.data.sources.columns import collected, stripped, textual

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.columns import Frame

# A column whose first rows are no numbers is not looked at further.
FIRST = 1_000


@dataclass(frozen=True)
class Numbers:
    """Reads columns of text as numbers; which ones is found once a table.

    of_numbers : further nulls, which a reader has taken from texts and not from numbers: -999 is -999.0 too
    """

    spelling: Spelling
    of_numbers: tuple[str, ...] = ()
    _found: dict[str, bool] = field(default_factory=dict, compare=False)

    def read(self, frame: Frame, text: frozenset[str]) -> Frame:
        """The rows with nulls as missing values, and texts that are numbers as such, but in the columns in text.

        A text is a number only where the signs or the nulls make it one: 01067 stays what it is.
        """
        import narwhals.stable.v2 as nw

        of_texts = bool(self.spelling.nulls) or self.spelling.signs != PLAIN
        if not of_texts and not self._numbers(whole=False):
            return frame
        schema = frame.collect_schema()
        texts = [c for c in schema.names() if textual(schema[c])] if of_texts else []
        read: list[nw.Expr] = []
        for column in schema.names():
            if column in texts:
                value: Any = nw.col(column)
                if column not in text and schema[column] == nw.String and self._is_number(frame, column, texts):
                    value = self.spelling.signs.number(self._present(frame, column))
                elif self.spelling.nulls:
                    value = nw.when(~stripped(frame, column).is_in(self._blank)).then(value)
                else:
                    continue
            elif schema[column].is_numeric() and (values := self._numbers(whole=schema[column].is_integer())):
                value = nw.when(~nw.col(column).is_in(values)).then(nw.col(column))
            else:
                continue
            read.append(value.alias(column))
        found: Frame = frame.with_columns(*read) if read else frame
        return found

    @property
    def _blank(self) -> list[str]:
        return ["", *(null.strip(BLANKS) for null in self.spelling.nulls)]

    def _numbers(self, *, whole: bool) -> list[float]:
        """The nulls that are numbers."""
        nulls = [null.strip(BLANKS) for null in (*self.spelling.nulls, *self.of_numbers)]
        values = [float(null) for null in nulls if PLAIN.read(null) and null.lower() != "nan"]
        return [int(v) for v in values if v.is_integer()] if whole else values

    def _present(self, frame: Frame, column: str) -> nw.Expr:
        """Texts without surrounding blanks, null where they mean a missing value."""
        import narwhals.stable.v2 as nw

        text = stripped(frame, column)
        return nw.when(~text.is_in(self._blank)).then(text)

    def _is_number(self, frame: Frame, column: str, texts: list[str]) -> bool:
        if not self._found:
            first = collected(frame.select(*(stripped(frame, c).alias(c) for c in texts)).head(FIRST))
            found = {c: self._all(first[c].tolist()) for c in texts}
            for one in (c for c in texts if found[c]):
                every = collected(frame.select(stripped(frame, one).alias(one)).unique())[one].tolist()
                found[one] = self._all(every) and self._made(every)
            self._found.update(found)
        return self._found[column]

    def _all(self, values: list[Any]) -> bool:
        """Whether all values are numbers or mean none."""
        blank = set(self._blank)
        return all(not isinstance(v, str) or v in blank or self.spelling.signs.read(v) for v in values)

    def _made(self, values: list[Any]) -> bool:
        """Whether there are numbers, and signs or nulls that kept them from being some, or these ones: 151.604."""
        blank = set(self._blank)
        numbers = [v for v in values if isinstance(v, str) and v not in blank]
        given = blank - {""}
        signs = self.spelling.signs
        return bool(numbers) and (any(v in given for v in values) or any(signs.plain(v) != v for v in numbers))
