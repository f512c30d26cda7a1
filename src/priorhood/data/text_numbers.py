"""Texts that are numbers, given which of them mean a missing value and how numbers are written.

A CSV's reader takes 1,2,3 for a number with thousands, and a frame's texts have no reader. Both are read here by
one rule, and only where every text of a column is a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import BLANKS
from priorhood.data.number_formats import PLAIN, Spelling
from priorhood.data.sources.columns import collected, stripped, textual

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.backend import Frame

# First rows, which decide for most columns.
FIRST = 1_000


@dataclass(frozen=True)
class Numbers:
    """A reader of columns of text as numbers; which columns those are is found once per table.

    of_numbers : further nulls, which a CSV's reader has found in texts but not in numbers: -999 is -999.0 too
    """

    spelling: Spelling
    of_numbers: tuple[str, ...] = ()
    _found: dict[str, bool] = field(default_factory=dict, compare=False)

    def read(self, frame: Frame, text: frozenset[str]) -> Frame:
        """Return the rows with nulls as missing values, and texts as numbers but for the columns in `text`.

        A text is a number only where the signs or the nulls make it one: 01067 stays a text.
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
                    present = stripped(frame, column)
                    value = self.spelling.signs.number(nw.when(~present.is_in(self._blank)).then(present))
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
        """Return the nulls that are numbers."""
        nulls = [null.strip(BLANKS) for null in (*self.spelling.nulls, *self.of_numbers)]
        values = [float(null) for null in nulls if PLAIN.read(null) and null.lower() != "nan"]
        return [int(v) for v in values if v.is_integer()] if whole else values

    def _is_number(self, frame: Frame, column: str, texts: list[str]) -> bool:
        """Whether all texts of a column are numbers because of the signs or nulls."""
        if not self._found:
            blank, signs = set(self._blank), self.spelling.signs

            def all_numbers(values: list[Any]) -> bool:
                return all(not isinstance(v, str) or v in blank or signs.read(v) for v in values)

            first = collected(frame.select(*(stripped(frame, c).alias(c) for c in texts)).head(FIRST))
            found = {c: all_numbers(first[c].tolist()) for c in texts}
            for one in (c for c in texts if found[c]):
                every = collected(frame.select(stripped(frame, one).alias(one)).unique())[one].tolist()
                numbers = [v for v in every if isinstance(v, str) and v not in blank]
                null = any(v in blank - {""} for v in every)
                found[one] = (
                    all_numbers(every) and bool(numbers) and (null or any(signs.plain(v) != v for v in numbers))
                )
            self._found.update(found)
        return self._found[column]
