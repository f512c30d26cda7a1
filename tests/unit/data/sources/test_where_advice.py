"""Conditions of Python become SQL; valid ones stay as they are."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

import priorhood as ph
from priorhood.data.sources.where_advice import in_sql

TEXTUAL = {"price": False, "living_space": False, "type": True, "my type": True}


@pytest.mark.parametrize(
    ("where", "right"),
    [
        ("type = flat", "type = 'flat'"),
        ('type = "it\'s"', "type = 'it''s'"),
        ('"my type" = flat', "\"my type\" = 'flat'"),
        ("`my type` == flat and price > 1", "`my type` == 'flat' and price > 1"),
        ("(price>1)|(type==flat)", "(price>1) OR (type=='flat')"),
        ("not(~(price > 1))", "not(NOT (price > 1))"),
        ("price between 1 and 2 and type = flat", "price between 1 and 2 and type = 'flat'"),
        ("type between a and c", "type between 'a' and 'c'"),
        ("(price > 1) || (price < 0)", "(price > 1) OR (price < 0)"),
    ],
)
def test_python_becomes_sql(where, right):
    assert in_sql(where, TEXTUAL)[0] == right
    assert bool(in_sql(where, TEXTUAL)[1]) == (right != where)


@pytest.mark.parametrize(
    "where",
    [
        "type = 'flat' and price > 1",
        "type || 'x' = 'flatx'",
        "lower(type) = lower('FLAT')",
        "type = lower('FLAT')",
        "price > living_space",
        "type is not null or price <= 1e5",
        "case when type = 'a & b' then true else price > 2 end",
    ],
)
def test_sql_stays(where):
    assert in_sql(where, TEXTUAL) == (where, "")


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pl.LazyFrame])
def test_frames_of_every_kind_are_answered_in_sql(kind):
    rows = {"type": ["a", "b"] * 4, "price": [1.0, 2, 3, 4, 5, 6, 7, 9]}
    for where, says in (("(type == a) & (price > 1)", "(type == 'a') AND (price > 1)"), ("type = 3", "type = 'a'")):
        with pytest.raises(ph.TableError, match="single quotes") as told:
            ph.moments("price ~ 1", ph.read(kind(rows), where=where))
        assert says in str(told.value)
        assert "LINE" not in str(told.value)
