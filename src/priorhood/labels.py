"""What a group's labels may be, before a fit: an id of rows is no place, and no text cannot be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from priorhood.columns import run
from priorhood.elsewhere import counted_labels, is_elsewhere
from priorhood.errors import TableError, some
from priorhood.formula import SEPARATOR
from priorhood.sources import sql_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from priorhood.table import Frame

# First looks: so many rows, of which so large a share of different labels asks for a second look.
LOOKS = ((10_000, 0.5), (1_000_000, 0.9))
# Of places with fewer rows than this on average, nothing is left to be learned of them.
FEWEST_ROWS = 1.5
MOST_PLACES = 5_000_000


def refuse_ids(frame: Frame, keys: tuple[str, ...], name: str) -> None:
    """Raise where a group's column is an id of rows, or has more labels than there can be places.

    Only where the first rows look so is the whole column counted, approximately.
    """
    for key in keys:
        if not _looks_so(frame, key, name):
            continue
        rows, labels = _counted(frame, key, name)
        others = [c for c in frame.collect_schema().names() if c != key and not c.startswith("__")]
        said = f"{name}: the group {key!r} has about {labels:,} different values in {rows:,} rows"
        if rows < FEWEST_ROWS * labels:
            raise TableError(
                f"{said}: it looks like an id of rows, not a place; name the column that says where a row is "
                f"(there are {some(others, 12)})"
            )
        if labels > MOST_PLACES:
            raise TableError(
                f"{said}, and at most {MOST_PLACES:,} places can be fitted; group by something coarser, or choose "
                f"rows (where)"
            )


def _looks_so(frame: Frame, key: str, name: str) -> bool:
    """Whether nearly every one of the first rows has another label; a short table never does."""
    import narwhals.stable.v2 as nw

    for rows, share in LOOKS:
        if isinstance(frame, nw.DataFrame):
            first = frame.get_column(key).head(rows)
            seen, labels = len(first), first.n_unique()
        else:
            seen, labels = _counted(frame.select(key).head(rows), key, name, roughly=False)
        if seen < rows or labels <= share * rows:
            return False
    return True


def _counted(frame: Frame, key: str, name: str, *, roughly: bool = True) -> tuple[int, int]:
    """Rows, and different labels: within a few per cent by engines elsewhere and, if roughly, by DuckDB."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return counted_labels(frame, key)
    if roughly and str(frame.implementation).lower().endswith("duckdb"):
        native: Any = frame.to_native()
        asked = nw.from_native(
            native.aggregate(f"count(*) AS rows, approx_count_distinct({sql_name(key)}) AS labels")
        )
    else:
        asked = frame.select(nw.len().alias("rows"), nw.col(key).n_unique().alias("labels"))
    found = run(asked, name)
    rows = int(found["rows"][0])
    return rows, int(found["labels"][0]) if rows else 0  # of no rows the second is missing


def refuse_unwritable(texts: Iterable[str], column: str, name: str, keys: int = 1) -> None:
    """Raise before a fit where a label or category could not be saved: no text in UTF-8, or with a character 0.

    Parameters
    ----------
    texts : of several keys their labels, joined, in which none may have what joins them
    """
    listed = list(texts)
    whole = "\n".join(listed)
    joined = next((text for text in listed if text.count(SEPARATOR) >= keys), None) if SEPARATOR in whole else None
    if joined is not None:
        raise TableError(
            f"{name}: {column} has the value {joined!r} with the character {SEPARATOR!r}, which no label may have; "
            f"replace it in the table"
        )
    try:
        whole.encode()
        odd = next(text for text in listed if "\0" in text) if "\0" in whole else None
    except UnicodeEncodeError:
        odd = next(text for text in listed if text != text.encode(errors="replace").decode())
    if odd is not None:
        odd = odd.replace(SEPARATOR, "/")
        raise TableError(
            f"{name}: {column} has the value {odd!r}, which cannot be saved as text; replace such characters in "
            f"the table"
        )
