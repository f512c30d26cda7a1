"""Are the cases of a test that CI leaves to `make slow` those that others stand for?"""

from itertools import combinations, product

import pytest

from grids import half_of_grid


@pytest.mark.parametrize("sizes", [(2, 6), (5, 3), (8, 34), (3, 3, 3, 2), (2, 2, 4)])
def test_half_of_a_grid_has_every_value_and_of_three_parameters_every_pair(sizes):
    cases = list(product(*(map(str, range(n)) for n in sizes)))
    kept = [case for case, keep in zip(cases, half_of_grid(cases), strict=True) if keep]
    assert abs(2 * len(kept) - len(cases)) <= 1
    for column, n in zip(zip(*kept, strict=True), sizes, strict=True):
        assert len(set(column)) == n
        assert max(map(column.count, column)) - min(map(column.count, column)) <= 1
    if len(sizes) > 2:
        for (one, m), (other, n) in combinations(zip(zip(*kept, strict=True), sizes, strict=True), 2):
            assert len(set(zip(one, other, strict=True))) == m * n


def test_what_is_no_grid_is_kept():
    assert all(half_of_grid([(i, i % 3, str(i)) for i in range(20)]))  # one parameter says all
    assert all(half_of_grid([("a", n) for n in range(20)]))
    assert all(half_of_grid([(n // 2, n * n % 19) for n in range(20)]))  # few of all combinations


def test_a_value_that_has_one_case_keeps_it():
    cases = [case for case in product("abcd", range(6)) if case[0] != "d" or case[1] == 2]
    assert dict(zip(cases, half_of_grid(cases), strict=True))["d", 2]


def test_a_parameter_that_follows_from_another_counts_once():
    cases = [(form, value, f"message of {value}") for form, value in product("abc", range(6))]
    assert half_of_grid(cases) == half_of_grid([case[:2] for case in cases])
