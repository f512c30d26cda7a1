"""The sums of rows that DuckDB reads, in one scan that does little more than the bare group-by.

Labels are grouped as they are and normalized once per group; a row that is left out is grouped under its
reason, so that no value is masked. If the sums show a value that is not finite or too large, or an
expression without a value, nothing is returned: `collect` then takes a slower pass that counts and names such rows.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.data.labels import BLANKS
from priorhood.data.misread_thousands import may_be_thousands, thousands_marks
from priorhood.data.sources.backend import backend_of
from priorhood.data.sources.columns import label_text, run
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.scale import LARGEST
from priorhood.suffstats.memory_scan import BatchSums

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood._arrays import Array, Index
    from priorhood.data.rows import PreparedRows
    from priorhood.model.design import Design

Pairs = list[tuple[int, int]]

# If labels are whole numbers, the smallest ones of 64 bits represent reasons …
FIRST_REASON = -(2**63)
# … and if they are texts, a random text with which no label begins.
LEFT_OUT = SEPARATOR + secrets.token_hex(8)
WATCHED = "watched"


def scanned(rows: PreparedRows, shift: Array, pairs: Pairs) -> tuple[BatchSums, tuple[str, ...]] | None:
    """Sum the rows around the shift in one scan; None if weights, the backend or a value need the slower pass.

    Parameters
    ----------
    rows : PreparedRows
        The rows.
    shift : (C,) array
        Values near the means.
    pairs : list of (int, int)
        Columns (a, b), a ≥ b, whose products are summed; the others are 0.

    Returns
    -------
    BatchSums
        The sums.
    tuple of str
        Columns that may have thousands read as decimals, see thousands.may_be_thousands.
    """
    import narwhals.stable.v2 as nw

    frame, design, looked = rows.rows, rows.design, rows.unchecked
    if rows.weights.columns or backend_of(frame) != "duckdb":
        return None
    C, keys = len(shift), design.formula.keys
    watched = _watched(design)
    marks = thousands_marks(looked)
    built = [design.build(c) for c in design.columns if c.factors] + [Expression(design.formula.outcome).build()]
    values = [
        (value.cast(nw.Float64) - float(s)).alias(f"v{i}")
        for i, (value, s) in enumerate(zip(built, shift, strict=True))
    ]
    columns: Any = frame.select(*_labels(rows), *values, *watched, *marks)
    products = [(nw.col(f"v{a}") * nw.col(f"v{b}")).alias(f"p{a}_{b}") for a, b in pairs]
    asked = [nw.len().alias("n"), *(nw.col(f"v{i}").sum() for i in range(C))]
    asked += [nw.col(f"p{a}_{b}").sum() for a, b in pairs]
    if watched:
        asked += [nw.col(WATCHED).count().alias("present"), nw.col(WATCHED).sum().alias("zero")]
    asked += [nw.col(f"m{i}").max() for i in range(len(marks))]
    by = [f"l{i}" for i in range(max(len(keys), 1))]
    found = run(columns.with_columns(*products).group_by(*by).agg(*asked), rows.name)
    labels, reason = _read_labels(found, rows)
    n = np.asarray(found["n"], dtype=np.float64)
    first = np.stack([np.asarray(found[f"v{i}"], dtype=np.float64) for i in range(C)], axis=1)
    second = np.zeros((len(first), C, C))
    for a, b in pairs:
        second[:, a, b] = second[:, b, a] = np.asarray(found[f"p{a}_{b}"], dtype=np.float64)
    # A NaN in a row that is left out for another reason may count as missing here.
    finite = max(np.abs(first).max(initial=0), np.abs(shift).max()) <= LARGEST
    finite = bool(finite and np.abs(second).max(initial=0) <= LARGEST**2)  # neither is NaN or infinite
    if watched and finite:
        present, zero = (np.asarray(found[c], dtype=np.float64) for c in ("present", "zero"))
        finite = np.array_equal(present[reason == 0], n[reason == 0]) and bool(np.isfinite(zero).all())
    if not finite:
        return None
    counts = np.zeros((len(n), 1 + len(rows.flags)))
    counts[np.arange(len(n)), reason] = n
    late = may_be_thousands(looked, [found[f"m{i}"].max(initial=0) for i in range(len(marks))])
    return BatchSums(labels, np.broadcast_to(shift, first.shape), first, second, counts, n=counts[:, 0]), late


def _labels(rows: PreparedRows) -> list[nw.Expr]:
    """Return the key columns l0, l1, …; if a row is left out, l0 is the number of the reason instead."""
    import narwhals.stable.v2 as nw

    frame, design = rows.rows, rows.design
    schema = frame.collect_schema()
    texts: list[Any] = [nw.lit("")]
    if design.formula.keys:
        texts = [
            nw.col(key).cast(nw.Int64) if _is_whole(schema[key]) else label_text(frame, key)
            for key in design.formula.keys
        ]
        # A column of whole numbers with gaps would become floating-point; rows with gaps are left out.
        texts[1:] = [
            text.fill_null(0) if _is_whole(schema[key]) else text
            for key, text in zip(design.formula.keys[1:], texts[1:], strict=True)
        ]
    numbered = bool(design.formula.keys) and _is_whole(schema[design.formula.keys[0]])
    # Columns whose values all enter a sum: those of the outcome and of numeric factors.
    factors = [f for f in design.formula.factors() if f not in design.categories]
    lightly = {name for text in (design.formula.outcome, *factors) for name in Expression(text).names}
    lightly -= {Expression(f).bare for f in design.categories}
    lightly |= {key for key in design.formula.keys if schema[key] == nw.String}
    outliers = any(flag.reason not in ("missing", "where condition not met") for flag in rows.flags)
    first = texts[0]
    for at in range(len(rows.flags), 0, -1):
        flag = rows.flags[at - 1]
        # NaN shows in the sums, and a blank label once per group: unless a later flag takes such rows first.
        light = flag.reason == "missing" and flag.column in lightly and not outliers
        applies = nw.col(flag.column).is_null() if light else flag.applies
        first = nw.when(applies).then(nw.lit(FIRST_REASON + at if numbered else f"{LEFT_OUT}{at}")).otherwise(first)
    return [text.alias(f"l{i}") for i, text in enumerate([first, *texts[1:]])]


def _is_whole(dtype: Any) -> bool:
    """Return whether labels are whole numbers of at most 64 bits with a sign."""
    import narwhals.stable.v2 as nw

    return bool(dtype.is_integer()) and dtype not in (nw.UInt64, nw.Int128, nw.UInt128)


def _watched(design: Design) -> list[nw.Expr]:
    """Return a column that is 0 if every expression and its columns are finite; none without expressions."""
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


def _read_labels(found: dict[str, Any], rows: PreparedRows) -> tuple[list[str], Index]:
    """Return joined labels, '' for rows left out, and the number of the reason, 0 for used rows."""
    keys = rows.design.formula.keys
    columns = [found[f"l{i}"].tolist() for i in range(max(len(keys), 1))]
    reason = np.zeros(len(columns[0]), np.int64)
    for at, label in enumerate(columns[0]):
        if isinstance(label, str):
            reason[at] = int(label.removeprefix(LEFT_OUT)) if label.startswith(LEFT_OUT) else 0
        elif label - FIRST_REASON <= len(rows.flags):
            reason[at] = label - FIRST_REASON
    about = {flag.column: at for at, flag in enumerate(rows.flags, start=1) if flag.reason == "missing"}
    for key, labels in zip(keys, columns, strict=False):
        empty = np.array([not str(label).strip(BLANKS) for label in labels], dtype=bool)
        reason[empty & (reason == 0)] = about[key]
    joined = [SEPARATOR.join(map(str, labels)) for labels in zip(*columns, strict=True)]
    return ["" if left_out else label for label, left_out in zip(joined, reason, strict=True)], reason
