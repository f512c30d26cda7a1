"""Columns of text converted to numbers, given the texts that mean a missing value and the separators.

DuckDB's CSV reader takes 1,2,3 for a number with thousands, and a frame's texts have no reader. Both are converted
here by the same rule, and only if every text of a column is a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import BLANKS
from priorhood.data.number_formats import PLAIN, NumberFormat
from priorhood.data.sources.columns import collected, stripped, textual

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.backend import Frame

# First rows, which decide for most columns.
FIRST = 1_000


@dataclass(frozen=True)
class NumberParser:
    """Conversion of columns of text to numbers; which columns are numbers is determined once per table.

    Attributes
    ----------
    number_format : NumberFormat
        Nulls and separators.
    nulls_of_numbers : tuple of str
        Further nulls, which a CSV's reader has found in texts but not in numbers: -999 is -999.0 too.
    """

    number_format: NumberFormat
    nulls_of_numbers: tuple[str, ...] = ()
    _numeric: dict[str, bool] = field(default_factory=dict, compare=False)

    def read(self, frame: Frame, text: frozenset[str]) -> Frame:
        """Return the rows with nulls as missing values, and texts as numbers except in the columns in `text`.

        A column is only converted if the separators or nulls are needed to read it: 01067 stays a text.
        """
        import narwhals.stable.v2 as nw

        given = self.number_format
        of_texts = bool(given.nulls) or given.separators != PLAIN
        if not of_texts and not self._numeric_nulls(whole=False):
            return frame
        schema = frame.collect_schema()
        texts = [c for c in schema.names() if textual(schema[c])] if of_texts else []
        read: list[nw.Expr] = []
        for column in schema.names():
            if column in texts:
                value: Any = nw.col(column)
                if column not in text and schema[column] == nw.String and self._is_numeric(frame, column, texts):
                    present = stripped(frame, column)
                    value = given.separators.to_number(nw.when(~present.is_in(self._blank)).then(present))
                elif given.nulls:
                    value = nw.when(~stripped(frame, column).is_in(self._blank)).then(value)
                else:
                    continue
            elif schema[column].is_numeric() and (nulls := self._numeric_nulls(whole=schema[column].is_integer())):
                value = nw.when(~nw.col(column).is_in(nulls)).then(nw.col(column))
            else:
                continue
            read.append(value.alias(column))
        found: Frame = frame.with_columns(*read) if read else frame
        return found

    @property
    def _blank(self) -> list[str]:
        return ["", *(null.strip(BLANKS) for null in self.number_format.nulls)]

    def _numeric_nulls(self, *, whole: bool) -> list[float]:
        """Return the nulls that are numbers."""
        nulls = [null.strip(BLANKS) for null in (*self.number_format.nulls, *self.nulls_of_numbers)]
        values = [float(null) for null in nulls if PLAIN.match(null) and null.lower() != "nan"]
        return [int(v) for v in values if v.is_integer()] if whole else values

    def _is_numeric(self, frame: Frame, column: str, texts: list[str]) -> bool:
        """Return whether all texts of a column are numbers, but only with the separators or nulls."""
        if not self._numeric:
            blank, separators = set(self._blank), self.number_format.separators

            def all_numbers(values: list[Any]) -> bool:
                return all(not isinstance(v, str) or v in blank or separators.match(v) for v in values)

            first = collected(frame.select(*(stripped(frame, c).alias(c) for c in texts)).head(FIRST))
            found = {c: all_numbers(first[c].tolist()) for c in texts}
            for name in (c for c in texts if found[c]):
                every = collected(frame.select(stripped(frame, name).alias(name)).unique())[name].tolist()
                numbers = [v for v in every if isinstance(v, str) and v not in blank]
                needed = any(v in blank - {""} for v in every) or any(separators.to_plain(v) != v for v in numbers)
                found[name] = all_numbers(every) and bool(numbers) and needed
            self._numeric.update(found)
        return self._numeric[column]
