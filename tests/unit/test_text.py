"""Words for messages: each function by its results."""

import pytest

from priorhood._text import count_noun, escape_control, join_words, plural, preview, sql_name, sql_text, suggestion


@pytest.mark.parametrize(
    ("texts", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (iter("abc"), "a, b and c")]
)
def test_lists_end_with_and(texts, said):
    assert join_words(texts) == said


def test_lists_end_with_or_or_with_how_many_more():
    assert join_words("abc", "or") == "a, b or c"
    assert join_words("abcde", limit=3) == "a, b, c and 2 more"
    assert join_words("abc", limit=3) == "a, b and c"
    assert preview("abcdefg") == "'a', 'b', 'c', 'd', 'e' and 2 more"
    assert preview([1, "a"]) == "1, 'a'"


def test_counts_have_the_plural_of_their_name():
    assert [count_noun(n, "county") for n in (0, 1, 2500)] == ["0 counties", "1 county", "2,500 counties"]
    assert [plural(name) for name in ("zip", "branch", "bus", "class", "day", "zip:type")] == [
        "zips", "branches", "buses", "classes", "days", "zip:type",
    ]  # fmt: skip
    assert [count_noun(5, name) for name in ("rooms", "ROOMS")] == ["5 rooms", "5 ROOMS"]


def test_names_in_sql_double_their_own_quotes():
    assert sql_name('a"b') == '"a""b"'
    assert sql_name("a`b", "`") == "`a``b`"
    assert sql_text("o'clock") == "'o''clock'"


def test_near_names_are_offered_whatever_their_case():
    assert suggestion("Zip", ["zip", "price"]) == "did you mean 'zip'?"
    assert suggestion("xyz", ["zip", "price"]) == "choose from 'zip', 'price'"
    assert suggestion("2", ["10", "12"]) == "choose from '10', '12'"  # a part of '12' is not close to it
    assert suggestion("B", ["a", "b"]) == "did you mean 'b'?"
    assert suggestion("xyz", []) == "there is none"


def test_control_characters_are_shown_as_python_writes_them():
    assert escape_control("a\x1b[31m\u202e\n") == "a\\x1b[31m\\u202e\n"
