"""--prior for a parameter that the model does not have: exit 2, one sentence, no file."""

from __future__ import annotations

import pytest

import priorhood as ph


@pytest.mark.parametrize(
    ("formula", "prior", "says"),
    [
        ("price ~ living_space + (1 | zip)", "omega ~ LKJ(50)", "no effects are correlated"),
        ("price ~ living_space + (0 + living_space | zip)", "omega ~ LKJ(2)", "no grouping has two correlated"),
        ("price ~ living_space + (1 | zip)", "sigma_median ~ Exponential(1)", "all rows have one sigma"),
    ],
)
def test_refused(folder, refused, sales, fast, formula, prior, says):
    given = ["fit", folder / "sales.csv", formula, "--prior", prior, "-o", folder / "new.nc"]
    assert says in refused(*given, says=("no such parameter",))
    ph.fit(formula, sales, **fast).save(folder / "own.nc")
    refused("refit", folder / "own.nc", "--prior", prior, "-o", folder / "new.nc", says=("no such parameter",))
