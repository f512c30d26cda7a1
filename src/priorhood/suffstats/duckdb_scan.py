"""The sums of rows that DuckDB reads, in one scan that does little more than the bare group-by.

Labels are grouped as they stand and repaired once a group; a row that does not count is grouped under its
reason, so that no value is masked. Where the sums show a value that is not finite or too large, or that an
expression has none, nothing is returned: `gather` then goes the way that counts such rows and names them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.data.labels import BLANKS
from priorhood.data.sources.columns import label_text, may_be_thousands, run, thousands_marks
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.scale import LARGEST

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood._arrays import Array, Index
    from priorhood.data.rows import Prepared
    from priorhood.data.sources.table import Frame
    from priorhood.model.design import Design

Pairs = list[tuple[int, int]]

# The least whole numbers of 64 bits stand for reasons where labels are whole numbers.
LEAST = -(2**63)
# And what no label begins with where they are texts.
LEFT_OUT = SEPARATOR + secrets.token_hex(8)
WATCHED = "watched"


@dataclass(frozen=True)
class Scanned:
    """What one scan found, by labels as the table has them, rows that were left out by their reason.

    keys : labels, joined; counts : (k, 1 + flags) rows used, and rows left out by reason
    first : (k, C); second : (k, C, C) sums of the values less the shift, and of their products
    late : columns that may have thousands read as decimals, see columns.may_be_thousands
    """

    keys: list[str]
    counts: Array
    first: Array
    second: Array
    late: tuple[str, ...]


def scanned(
    frame: Frame,
    design: Design,
    prepared: Prepared,
    shift: Array,
    pairs: Pairs,
    name: str,
    looked: tuple[str, ...] = (),
) -> Scanned | None:
    """The sums around the shift; None where weights, another backend or a value need the longer way.

    Parameters
    ----------
    pairs : (a, b), a ≥ b, whose products are to be summed
    looked : columns of numbers that are looked at for thousands read as decimals
    """
    if prepared.weights.columns or not str(frame.implementation).lower().endswith("duckdb"):
        return None
    keys = design.formula.keys
    watched = _watched(design)
    marks = [mark.alias(f"m{i}") for i, mark in enumerate(thousands_marks(looked))]
    rows = frame.select(*_labels(frame, design, prepared), *_values(design, shift), *watched, *marks)
    grouped = _grouped(rows, max(len(keys), 1), len(shift), pairs, watched=bool(watched), marks=len(marks))
    found = run(grouped, name)
    labels, reason = _read_labels(found, prepared, keys)
    n = np.asarray(found["n"], dtype=np.float64)
    first, second = _matrices(found, len(shift), pairs)
    # NaN in a row that another reason leaves out counts as missing too, and may come first.
    whole = max(np.abs(first).max(initial=0), np.abs(shift).max()) <= LARGEST
    whole = bool(whole and np.abs(second).max(initial=0) <= LARGEST**2)  # neither is NaN or infinite
    if watched and whole:
        there, zero = (np.asarray(found[c], dtype=np.float64) for c in ("there", "zero"))
        whole = np.array_equal(there[reason == 0], n[reason == 0]) and bool(np.isfinite(zero).all())
    if not whole:
        return None
    counts = np.zeros((len(n), 1 + len(prepared.flags)))
    counts[np.arange(len(n)), reason] = n
    late = may_be_thousands(looked, [found[f"m{i}"].max(initial=0) for i in range(len(marks))])
    return Scanned(labels, counts, first, second, late)


def _labels(frame: Frame, design: Design, prepared: Prepared) -> list[nw.Expr]:
    """The key columns l0, l1, …; where a row does not count, l0 is the number of the reason in its stead."""
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema()
    texts: list[Any] = [nw.lit("")]
    if design.formula.keys:
        texts = [
            nw.col(key).cast(nw.Int64) if _whole(schema[key]) else label_text(frame, key)
            for key in design.formula.keys
        ]
        # A column of whole numbers with gaps would come as floating-point numbers; rows with gaps do not count.
        texts[1:] = [
            text.fill_null(0) if _whole(schema[key]) else text
            for key, text in zip(design.formula.keys[1:], texts[1:], strict=True)
        ]
    numbered = bool(design.formula.keys) and _whole(schema[design.formula.keys[0]])
    lightly = _numbers(design) | {key for key in design.formula.keys if schema[key] == nw.String}
    outliers = any(flag.reason not in ("missing", "not in where") for flag in prepared.flags)
    first = texts[0]
    for at in range(len(prepared.flags), 0, -1):
        flag = prepared.flags[at - 1]
        # NaN shows in the sums, and a blank label once a group: unless a later flag takes such rows first.
        light = flag.reason == "missing" and flag.column in lightly and not outliers
        applies = nw.col(flag.column).is_null() if light else flag.applies
        first = nw.when(applies).then(nw.lit(LEAST + at if numbered else f"{LEFT_OUT}{at}")).otherwise(first)
    return [text.alias(f"l{i}") for i, text in enumerate([first, *texts[1:]])]


def _whole(dtype: Any) -> bool:
    """Whether labels are whole numbers that 64 bits hold."""
    import narwhals.stable.v2 as nw

    return bool(dtype.is_integer()) and dtype not in (nw.UInt64, nw.Int128, nw.UInt128)


def _numbers(design: Design) -> set[str]:
    """The columns whose every value enters a sum: those of the outcome and of numeric factors."""
    factors = [f for f in design.formula.factors() if f not in design.categories]
    names = {name for text in (design.formula.outcome, *factors) for name in Expression(text).names}
    return names - {Expression(f).bare for f in design.categories}


def _values(design: Design, shift: Array) -> list[nw.Expr]:
    """v0, v1, …: the design's columns without the intercept, and the outcome, less the shift."""
    import narwhals.stable.v2 as nw

    built = [design.build(c) for c in design.columns if c.factors] + [Expression(design.formula.outcome).build()]
    return [
        (value.cast(nw.Float64) - float(s)).alias(f"v{i}")
        for i, (value, s) in enumerate(zip(built, shift, strict=True))
    ]


def _watched(design: Design) -> list[nw.Expr]:
    """A column that is 0 where every expression has a finite value of finite columns; none without expressions."""
    import narwhals.stable.v2 as nw

    texts = [design.formula.outcome, *(f for f in design.formula.factors() if f not in design.categories)]
    parts: list[Any] = []
    for expression in map(Expression, texts):
        if expression.bare is None:
            parts += [expression.build() * 0.0, *(nw.col(c).cast(nw.Float64) * 0.0 for c in expression.names)]
    total = parts[0] if parts else None
    for part in parts[1:]:
        total = total + part
    return [] if total is None else [total.alias(WATCHED)]


def _grouped(rows: Frame, keys: int, values: int, pairs: Pairs, *, watched: bool, marks: int) -> Frame:
    """Rows and sums by the key columns."""
    import narwhals.stable.v2 as nw

    labels = [f"l{i}" for i in range(keys)]
    products = [(nw.col(f"v{a}") * nw.col(f"v{b}")).alias(f"p{a}_{b}") for a, b in pairs]
    sums = [*(f"v{i}" for i in range(values)), *(f"p{a}_{b}" for a, b in pairs)]
    asked = [nw.len().alias("n"), *(nw.col(s).sum() for s in sums)]
    if watched:
        asked += [nw.col(WATCHED).count().alias("there"), nw.col(WATCHED).sum().alias("zero")]
    asked += [nw.col(f"m{i}").max() for i in range(marks)]
    frame: Any = rows.with_columns(*products)
    grouped: Frame = frame.group_by(*labels).agg(*asked)
    return grouped


def _read_labels(found: dict[str, Any], prepared: Prepared, keys: tuple[str, ...]) -> tuple[list[str], Index]:
    """Joined labels, '' of rows left out; and the number of the reason, 0 for rows that count."""
    columns = [found[f"l{i}"].tolist() for i in range(max(len(keys), 1))]
    reason = np.array([_reason(label, len(prepared.flags)) for label in columns[0]], dtype=np.int64)
    about = {flag.column: at for at, flag in enumerate(prepared.flags, start=1) if flag.reason == "missing"}
    for key, labels in zip(keys, columns, strict=False):
        empty = np.array([not str(label).strip(BLANKS) for label in labels], dtype=bool)
        reason[empty & (reason == 0)] = about[key]
    joined = [SEPARATOR.join(map(str, labels)) for labels in zip(*columns, strict=True)]
    return ["" if left_out else label for label, left_out in zip(joined, reason, strict=True)], reason


def _reason(label: object, flags: int) -> int:
    """The number of the reason that stands in a label's stead, or 0."""
    if isinstance(label, str):
        return int(label.removeprefix(LEFT_OUT)) if label.startswith(LEFT_OUT) else 0
    number = int(label) - LEAST  # type: ignore[call-overload]
    return int(number) if 0 < number <= flags else 0


def _matrices(found: dict[str, Any], values: int, pairs: Pairs) -> tuple[Array, Array]:
    """First sums (k, C) and products (k, C, C); products that were not asked for are 0."""
    first = np.stack([np.asarray(found[f"v{i}"], dtype=np.float64) for i in range(values)], axis=1)
    second = np.zeros((len(first), values, values))
    for a, b in pairs:
        second[:, a, b] = second[:, b, a] = np.asarray(found[f"p{a}_{b}"], dtype=np.float64)
    return first, second
