"""Places and categories of one table with similar labels: 01067 and 1067, Bonn and bonn."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import argument, join_words, plural, sql_name, sql_text
from priorhood.data.date_advice import command_for
from priorhood.data.labels import is_total, loose_form, normal_label, similar_groups, warn_of_missing
from priorhood.data.sources.backend import is_elsewhere
from priorhood.data.sources.columns import explain_table_errors, in_memory, label_text
from priorhood.data.sources.where_syntax import orderings
from priorhood.errors import ModelError, warn
from priorhood.fitting.identifiability import sum_of_the_others
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.hierarchy import hierarchy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from priorhood._arrays import Array
    from priorhood.data.rows import PreparedRows
    from priorhood.data.sources.table import Table
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments

    # A change of a label, and the code for it on a column of pandas and of Polars.
    Rule = tuple[Callable[[str], str], str, str]

CHECKED = "spelling of labels"
SHOWN = 3
MAX_REPLACED = 5  # labels that the advice replaces one by one; with more it gives a rule
_PLUS_FOUR = re.compile(r"(\d{5})-\d{4}")
_RULES: tuple[Rule, ...] = (
    (
        lambda label: _PLUS_FOUR.sub(r"\1", label),
        rf".str.replace(r'{_PLUS_FOUR.pattern}', r'\1', regex=True)",
        rf".str.replace(r'{_PLUS_FOUR.pattern}', '${{1}}')",
    ),
    (str.lower, ".str.lower()", ".str.to_lowercase()"),
    (
        lambda label: re.sub(r"\s+", "", label),
        r".str.replace(r'\s+', '', regex=True)",
        r".str.replace_all(r'\s+', '')",
    ),
)


def warn_of_similar_labels(rows: PreparedRows, found: CellMoments, data: FitData | None = None) -> None:
    """Warn, once per table, of places and categories that may be the same, but are spelled differently.

    Parameters
    ----------
    rows : PreparedRows
        The table's rows.
    found : CellMoments
        Their sums.
    data : FitData, optional
        The fit's data with these sums, if known.
    """
    table, design = rows.table, rows.design
    if CHECKED in table.checked:
        return
    table.checked.add(CHECKED)
    warned: list[str] = []
    totals: list[tuple[str, str]] = []  # the coarsest first
    # A fit refuses different labels that look the same.
    with suppress(ModelError):
        hierarchy = (data.hierarchy if data else hierarchy_of(design.formula, found.labels)) if found.keys else None
        # If coarser places differ in a column, finer ones need not repeat it.
        for places in (*reversed(hierarchy.levels), *hierarchy.crossed) if hierarchy else ():
            counts, labels, what = places.total(found.n), places.keys.tolist(), plural(places.title)
            warned += _warn_of_alike(table, places.path, labels, counts, what, warned)
            ends = [label.split(SEPARATOR)[-1] for label in labels]
            warn_of_missing(table.name, ends, counts, what)
            lone = [(places.path[-1], ends[at]) for at in np.flatnonzero(counts == 1)]
            totals += [(column, label) for column, label in lone if is_total(label)]
    # A fit notes the sum of all others by itself.
    if totals and not (data and sum_of_the_others(design, found)):
        _warn_of_total(rows, *totals[0])
    for factor, categories in design.categories.items():
        column = Expression(factor).bare
        if column is not None and factor not in design.numeric:
            counts, what = np.zeros(len(categories)), f"categories of {column}"
            warn_of_missing(table.name, [text for text in categories if text != "None"], None, what)
            warned += _warn_of_alike(table, (column,), list(categories), counts, what, warned)


def _warn_of_total(rows: PreparedRows, column: str, label: str) -> None:
    """Warn if the last of the rows used has this label, which has a single row."""
    table = rows.table
    if is_elsewhere(rows.rows):  # where rows have no order
        return
    with explain_table_errors(table.name):
        last = str(in_memory(rows.used.select(label_text(rows.rows, column).alias(column)))[column].to_list()[-1])
    if normal_label(last) != label:
        return
    plain = orderings(f"{column} < 'x'") == [(column, "x")]  # no word of SQL like group
    condition = f"{column if plain else sql_name(column)} <> {sql_text(last)}"
    condition = condition if table.where is None else f"({table.where}) and {condition}"
    warn(
        f"{table.name}: the last row is the only one of {column} {last!r}: it looks like a row of totals, not a "
        f"place; leave it out, with {argument('where', condition)}"
    )


def _warn_of_alike(
    table: Table, path: tuple[str, ...], labels: list[str], counts: Array, what: str, warned: list[str]
) -> list[str]:
    """Warn of labels of one kind that are spelled alike; return the column that the warning is about.

    counts : number of rows of every label; warned : columns of earlier warnings
    """
    same = [at for at, column in enumerate(path) if column in warned]
    groups = []
    for group in similar_groups(labels, SEPARATOR):
        by_same: dict[tuple[str, ...], list[str]] = {}
        for label in group:
            parts = label.split(SEPARATOR)
            by_same.setdefault(tuple(parts[at] for at in same), []).append(label)
        groups += [alike for alike in by_same.values() if len(alike) > 1]
    if not groups:
        return []
    at = min(next(i for i in range(len(path)) if _differ(group, i)) for group in groups)
    rows = dict(zip(labels, counts, strict=True))
    spellings: dict[str, dict[str, float]] = {}
    for label in (label for group in groups if _differ(group, at) for label in group):
        spelling = label.split(SEPARATOR)[at]
        known = spellings.setdefault(loose_form(spelling), {})
        known[spelling] = known.get(spelling, 0.0) + rows[label]
    meant: dict[str, str] = {}
    for known in spellings.values():
        # Zeros at the start get lost but not added; then the spelling of most rows.
        best = min(
            sorted(known, key=lambda label: -known[label]),
            key=lambda label: (bool(_PLUS_FOUR.fullmatch(label)), len(label.lstrip("0")) - len(label)),
        )
        meant |= {label: best for label in known if label != best}
    pairs = [join_words(repr(label.replace(SEPARATOR, "/")) for label in group) for group in groups[:SHOWN]]
    more = f", and {len(groups) - SHOWN:,} more" if len(groups) > SHOWN else ""
    warn(
        f"{table.name}: {', '.join(pairs)}{more} are different {what} here, though they differ only in leading "
        f"zeros, case, spaces or ZIP+4; if they are the same, spell them alike: "
        f"{_advice(table, path[at], meant, {label.split(SEPARATOR)[at] for label in labels})}"
    )
    return [path[at]]


def _differ(group: list[str], at: int) -> bool:
    return len({label.split(SEPARATOR)[at] for label in group}) > 1


def _advice(table: Table, column: str, meant: Mapping[str, str], labels: set[str]) -> str:
    """Return code that respells labels of a column as intended, for the user's kind of table."""
    import narwhals.stable.v2 as nw

    polars = table.kind in ("polars", "polars-lazy")
    rule = f".replace({meant!r})" if len(meant) <= MAX_REPLACED else _rule(meant, labels, polars=polars)
    plain = table.csv is not None
    plain = plain or table.frame(()).collect_schema()[column] == nw.String
    if polars:
        return f"d = d.with_columns(pl.col({column!r}){'' if plain else '.cast(pl.String)'}{rule})"
    # A column of texts may contain Python's numbers.
    text = "" if plain else ".astype(object).map(str, na_action='ignore')"
    line = f"d[{column!r}] = d[{column!r}]{text}{rule}"
    # Columns that places= added are not in the file of the rows.
    if column not in table.joined and (command := command_for(table, line, "alike")):
        return command
    return (
        line
        if table.kind == "pandas"
        else f"{line} for a pandas frame d, or its equivalent in the system that holds the rows"
    )


def _rule(meant: Mapping[str, str], every: Iterable[str], *, polars: bool) -> str:
    """Return calls on a column of texts, of pandas or Polars, that respell all labels as intended.

    every : all labels of the column
    """
    shortened = [_RULES[0][0](label) for label in every]
    zeros: Rule = (
        lambda label: re.sub(r"^0+(.)", r"\1", label),
        r".str.replace(r'^0+(.)', r'\1', regex=True)",
        r".str.replace(r'^0+(.)', '${1}')",
    )
    if all(label.isdecimal() for label in shortened):
        width = max(map(len, shortened))
        zeros = (lambda label: label.zfill(width), f".str.zfill({width})", f".str.zfill({width})")
    rules = [*_RULES, zeros]
    for rule in tuple(rules):
        rest = [other for other in rules if other is not rule]
        if all(_changed(label, rest) == _changed(best, rest) for label, best in meant.items()):
            rules = rest
    return "".join(in_polars if polars else in_pandas for _, in_pandas, in_polars in rules)


def _changed(label: str, rules: Iterable[Rule]) -> str:
    for change, *_ in rules:
        label = change(label)
    return label
