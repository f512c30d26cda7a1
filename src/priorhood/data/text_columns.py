"""Columns of text where numbers are required: what their texts are, and advice on reading them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from priorhood._text import argument, join_words, preview, row_count, sql_name, sql_text
from priorhood.data.labels import BLANKS
from priorhood.data.misread_thousands import in_two_ways
from priorhood.data.mixed_decimals import column_with, command_of, respelling
from priorhood.data.number_formats import PLAIN, find_affix, foreign_booleans, guess_separators
from priorhood.data.sources.columns import kept_rows, label_text, run, textual
from priorhood.data.unusual_numbers import (
    Rewriting,
    affix_advice,
    calls_to_map,
    conversion_advice,
    null_advice,
    range_rewriting,
    rewriting,
)
from priorhood.errors import TableError
from priorhood.model.tokens import cut, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood.data.roles import Role
    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table

FEW = 20
# More categories than this should be a group part.
MAX_CATEGORIES = 100


@dataclass(frozen=True)
class TextColumn:
    """A column of text whose role requires numbers.

    Attributes
    ----------
    name : str
        Name of the column.
    role : Role
        Role of the column.
    table : Table
        Table that has the column.
    counts : dict of str to int
        Number of rows of every distinct text.
    """

    name: str
    role: Role
    table: Table
    counts: dict[str, int]

    @cached_property
    def values(self) -> list[str]:
        """Distinct texts without surrounding blanks."""
        return sorted({text.strip(BLANKS) for text in self.counts} - {""})

    @property
    def title(self) -> str:
        """Beginning of messages."""
        return f"{self.table.name}: column {self.name!r} ({self.role.purpose})"

    @property
    def or_categories(self) -> str:
        """Advice to use a predictor as categories; '' if it has to be a number."""
        return "" if self.role.number else f"; or write C({written(self.name)}) to use it as categories"

    @property
    def command(self) -> Callable[[str], str] | None:
        """Function from a line of Python for the rows d to a command for the table's file; None for frames."""
        return command_of(self.table)

    def conversion(self, found: Rewriting, instead: str = "") -> str:
        """Return code that converts the column, including a command if the table is a text file."""
        return conversion_advice(self.name, found.pandas, found.polars, self.command, instead)

    def check_separators(self, odd: list[str], frame: Frame, roles: dict[str, Role]) -> None:
        """Raise if the texts are numbers with other decimal or thousands separators.

        Parameters
        ----------
        odd : list of str
            Texts that are not numbers with the separators of the table.
        frame, roles : Frame, dict of str to Role
            Other columns of the table.
        """
        given = self.table.number_format
        if not given.thousands and (ways := in_two_ways(self.values)):
            both = join_words(map(repr, ways))
            raise TableError(
                f"{self.title} has thousands written in two ways, {both}: write them the same way"
                f"{self.or_categories}"
            )
        found = guess_separators(self.values, given)
        if found is None or not (set(odd) <= set(found[1]) or len(found[1]) > len(self.values) / 2):
            return
        separators, unread = found
        if separators.thousands:
            description = f"has numbers that look like thousands: {preview(unread, 3)}"
        else:
            signs = "commas" if separators.decimal == "," else "points"
            description = f"has decimal {signs}: {preview(unread, 3)}"
            # In a table with 84,5 and 356.448,00 one message is enough for both.
            for other, other_role in roles.items():
                if other_role.category or not textual(frame.collect_schema()[other]):
                    continue
                texts = {text.strip(BLANKS) for text in text_counts(frame, other, self.table.name)} - {""}
                more = guess_separators(texts)
                if more is not None and more[0].thousands and more[0].decimal == separators.decimal:
                    separators = more[0]
                    description += f", and column {other!r} has thousands with {separators.thousands!r}"
                    break
        decimal = given.separators.decimal
        if separators.decimal == given.separators.thousands:
            raise TableError(
                f"{self.title} {description}, but {given.separators} was given for the whole table: write this "
                f"column like the others: {respelling(self.name, separators, decimal, self.table)}"
            )
        contrary = separators.thousands + decimal * (decimal != separators.decimal)
        if other := column_with(contrary, self.other_texts(frame, roles)):
            raise TableError(
                f"{self.title} {description}, which no choice of separators reads together with the decimals of "
                f"column {other!r}{self.or_categories if separators.thousands else ''}; write the numbers of this "
                f"column with {decimal!r}: {respelling(self.name, separators, decimal, self.table)}"
            )
        replaced = given.decimal not in (None, found[0].decimal)
        instead = f" instead of {argument('decimal', decimal)}" if replaced else ""
        raise TableError(
            f"{self.title} {description}; read the table with {separators}{instead}, or convert the column"
            f"{self.or_categories if separators.thousands else ''}"
        )

    def other_texts(self, frame: Frame, roles: dict[str, Role]) -> dict[str, list[str]]:
        """Return the texts of the other columns of numbers; a frame's columns of another type have none."""
        others = [c for c, role in roles.items() if not role.category and c not in (self.name, *self.table.joined)]
        if self.table.csv is not None:
            return self.table.csv.sample_texts(others)
        schema = frame.collect_schema()
        found = {c: text_counts(frame, c, self.table.name) for c in others if textual(schema[c])}
        return {column: [text.strip(BLANKS) for text in counts] for column, counts in found.items()}

    def check_units(self, odd: list[str], frame: Frame, roles: dict[str, Role], *, categorical: bool) -> None:
        """Raise if the texts are numbers with units, written unusually, or mixed with many ranges.

        Parameters
        ----------
        odd : list of str
            Texts that are not numbers.
        frame, roles : Frame, dict of str to Role
            Other columns of the table.
        categorical : bool
            Whether the column may be categorical, since most of its texts are not numbers.
        """
        values, given = self.values, self.table.number_format
        sign = find_affix(values, given)
        if sign is not None and (sign.usual or not categorical):
            # 100.5 m² is measured; 60 m² and 90 m² may be two kinds.
            decimals = re.compile(rf"\d{re.escape(sign.separators.decimal)}\d")
            measured = sign.usual and (len(values) > FEW or any(map(decimals.search, values)))
            instead = "" if measured else self.or_categories
            decimal = given.separators.decimal
            contrary = sign.separators.thousands + decimal * (decimal != sign.separators.decimal)
            other = column_with(contrary, self.other_texts(frame, roles)) if contrary else ""
            mixed = (other, decimal) if other else None
            raise TableError(f"{self.title} has {affix_advice(sign, self.name, self.command, instead, mixed)}")
        unusual = rewriting(values, given) if sign is None else None
        if unusual is not None:
            advice = self.or_categories
            if unusual.pandas:
                advice = f": {self.conversion(unusual, advice)}"
            raise TableError(f"{self.title} {unusual.description}{advice}")
        if categorical and len(values) > MAX_CATEGORIES:
            bounded = range_rewriting(odd, set(values) - set(odd), given)
            if bounded is not None:
                advice = self.conversion(bounded, "; or use wider ranges, as categories")
                raise TableError(
                    f"{self.title} has {len(values):,} ranges and numbers, such as {preview(odd, 3)}; "
                    f"{bounded.description}: {advice}"
                )

    def _describe_names(self, name: str) -> str:
        """Describe a line of names among the rows, with the condition that leaves it out."""
        rows = sum(count for text, count in self.counts.items() if text.strip(BLANKS) == name)
        condition = f"{self.name if self.name.isidentifier() else sql_name(self.name)} <> {sql_text(name)}"
        return (
            f"holds its own name, {name!r}, in {row_count(rows)}: the line of column names is repeated among the "
            f"rows; leave it out with {argument('where', condition)}"
        )

    def describe_odd(self, odd: list[str]) -> str:
        """Describe the non-numeric values of a numeric column, with advice."""
        if self.role.instead:
            words = foreign_booleans(self.values)
            how = self.conversion(Rewriting("", *calls_to_map(words))) if words else ""
            return f"holds {preview(map(cut, odd), 3)}; {self.role.instead}{f': {how}' if how else ''}"
        if {value.casefold() for value in odd} == {self.name.strip(BLANKS).casefold()}:
            return self._describe_names(odd[0])
        if len(odd) == len(self.values) and not any(any(map(str.isdigit, value)) for value in odd):
            categories = f"write {written(self.name)} by itself to use it as categories"
            instead = categories if self.role.predictor else "name a column of numbers"
            return f"holds text, not numbers, such as {preview(odd, 3)}; {instead}"
        if all(any(map(str.isdigit, value)) and PLAIN.match(value) for value in odd):
            longest = max(odd, key=len)
            shown = f"{longest[:15]}{'…' * (len(longest) > 15)} ({len(longest)} characters)"
            what = f"a number that is too large: {shown}"
        else:
            what = f"text where a number should be: {preview(map(cut, odd))}"
        rows = sum(count for text, count in self.counts.items() if text.strip(BLANKS) in set(odd))
        null = null_advice(odd)
        advice = (
            f"holds {what} ({row_count(rows)}); fix these rows{',' if null else ' or'} filter them out "
            f"({argument('where')})"
        )
        bounded = range_rewriting(odd, set(self.values) - set(odd), self.table.number_format)
        if bounded is None:
            return f"{advice}{null}"
        return f"{advice}; or {bounded.description}: {self.conversion(bounded, self.or_categories)}"


def text_counts(frame: Frame, column: str, name: str) -> dict[str, int]:
    """Return the distinct texts of the rows that meet the condition, with the number of rows of each."""
    import narwhals.stable.v2 as nw

    rows: Any = kept_rows(frame)
    texts = rows.filter(~nw.col(column).is_null()).select(label_text(frame, column).alias("text"))
    found = run(texts.group_by("text").agg(nw.len().alias("rows")), name)
    pairs = zip(found["text"].tolist(), found["rows"].tolist(), strict=True)
    return {str(text): int(count) for text, count in pairs if text is not None}
