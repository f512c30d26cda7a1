"""Pictures of calibration: a panel a quantity, what is said above, those that fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import priorhood as ph
from priorhood.diagnostics.uniformity import UniformityTest, counts_below, judge

matplotlib = pytest.importorskip("matplotlib")


def made(sizes, refused=0):
    """A result of so many right quantities, and so many whose ranks are bent."""
    right, bent = sizes
    rng = np.random.default_rng(1)
    ranks = rng.integers(0, 40, (100, right + bent))
    ranks[:, right:] = np.minimum(ranks[:, right:], rng.integers(0, 40, (100, bent)))
    names = tuple(f"q{at}[a $term$]" for at in range(right + bent))
    uniform = UniformityTest(100, 39)
    p = np.array([uniform.p_value(counts_below(one, 39)) for one in ranks.T])
    told = (("no way", refused),) if refused else ()
    return ph.Calibration(
        ph.Model("y ~ x"), names, ranks, 39, 100 + refused, told, p, judge(names, ranks, 39, p, told), {}, 1, 1.0
    )


def texts(figure):
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("count", [1, 4, 30])
def test_a_panel_for_every_quantity(count):
    figure = ph.plot.calibration(made((count, 0)))
    assert len(figure.axes) == count
    assert texts(figure)[0] == f"Calibrated: the ranks of all {count} quantities are uniform"
    assert [axes.texts[0].get_text() for axes in figure.axes] == [f"q{at}[a $term$]" for at in range(count)]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_line_is_the_distribution_less_the_uniform_one():
    found = made((1, 1), refused=3)
    figure = ph.plot.calibration(found)
    assert texts(figure)[0].startswith("Not calibrated: the ranks of 1 of 2 quantities are not uniform; 3 of 103")
    line = figure.axes[1].lines[-1].get_ydata()
    expected = [(found.ranks[:, 1] < i).mean() - i / 40 for i in range(1, 40)]
    np.testing.assert_allclose(line[1:-1], expected, atol=1e-12)
    assert [axes.texts[1].get_text()[0] for axes in figure.axes] == ["p", "✗"]
    low, high = found.band
    counts = counts_below(found.ranks[:, 1], 39)
    assert ((counts < low) | (counts > high)).any()


def test_of_many_quantities_the_worst_are_shown():
    found = made((50, 2))
    figure = ph.plot.calibration(found)
    assert len(figure.axes) == 40
    assert texts(figure)[0].endswith("(showing the 40 with the smallest p-values)")
    assert {"q50[a $term$]", "q51[a $term$]"} <= {axes.texts[0].get_text() for axes in figure.axes}


def test_nothing_global_changes():
    before = dict(matplotlib.rcParams)
    ph.plot.calibration(made((2, 0)))
    assert dict(matplotlib.rcParams) == before


def test_text_has_a_table_and_verdicts():
    found = made((2, 1))
    assert not found.passed
    assert found.good.tolist() == [True, True, False]
    assert "q2[a $term$]: the draws are too high" in str(found)
    assert "in50" in str(found)
    assert "not passed" in repr(found)
    assert "passed" in repr(replace(found, verdicts=found.verdicts[:1]))
