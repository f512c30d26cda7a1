"""Shared by the unit tests: simulated sales, a quick fit, moments of a formula and a table."""

from __future__ import annotations

import pytest

import priorhood as ph
from priorhood.model.formula import parse
from table_moments import design_and_moments

FORMULA = "price ~ living_space + (living_space | zip)"


@pytest.fixture(scope="session")
def sales():
    frame, _ = ph.simulate(12, 300, seed=5)
    return frame


@pytest.fixture(scope="session")
def formula():
    return FORMULA


@pytest.fixture(scope="session")
def fitted(sales):
    return ph.fit(FORMULA, sales, chains=2, draws=150, seed=3)


@pytest.fixture(scope="session")
def moments_of():
    """Formula and table → (design, moments)."""

    def made(text, table, **options):
        return design_and_moments(ph.read(table), parse(text), **options)

    return made
