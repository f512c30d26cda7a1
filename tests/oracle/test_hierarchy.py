"""Places found by whole arrays against the obvious way, label by label."""

import numpy as np
import pytest

from priorhood.errors import ModelError
from priorhood.model import hierarchy
from priorhood.model.formula import SEPARATOR, parse

NESTED = parse("y ~ x + (x | land/city/zip) + (1 | kind)")
LABELS = (["Köln", "A", "ß", ""], ["n", "süd", "北"], ["1", "01", "0001", "x y"], ["flat", "house"])


def cells_of(rng, count):
    every = {SEPARATOR.join(rng.choice(one) for one in LABELS) for _ in range(count)}
    return np.array(sorted(every))


@pytest.fixture(params=[3, 40, 400])
def cells(request):
    return cells_of(np.random.default_rng(request.param), request.param)


def test_places_are_those_of_a_loop(cells):
    found = hierarchy.hierarchy_of(NESTED, cells)
    apart = [cell.split(SEPARATOR) for cell in cells.tolist()]
    for depth, places in zip((3, 2, 1), found.levels, strict=True):
        mine = [tuple(labels[:depth]) for labels in apart]
        keys = [tuple(key.split(SEPARATOR)) for key in places.keys.tolist()]
        assert [keys[at] for at in places.of_cell] == mine
        assert sorted(keys) == sorted(set(mine))
        assert keys == sorted(keys, key=lambda key: (key[:-1], key))  # those of a parent side by side
        assert places.labels.tolist() == ["/".join(key) for key in keys]
        if depth > 1:
            parents = [tuple(key.split(SEPARATOR)) for key in found.levels[4 - depth].keys.tolist()]
            assert [parents[at] for at in places.parent] == [key[:-1] for key in keys]
    kinds = found.crossed[0]
    assert [kinds.keys[at] for at in kinds.of_cell] == [labels[3] for labels in apart]


def test_a_label_with_the_separator_in_it_is_refused():
    with pytest.raises(ModelError, match="remove it"):
        hierarchy.hierarchy_of(NESTED, np.array([SEPARATOR.join("abcd"), SEPARATOR.join("abcde")]))


def test_labels_that_a_slash_of_their_own_makes_alike_are_refused():
    cells = np.array([SEPARATOR.join(labels) for labels in (("a", "b/c", "d", "k"), ("a/b", "c", "d", "k"))])
    with pytest.raises(ModelError, match="would both be shown as 'a/b/c'"):
        hierarchy.hierarchy_of(NESTED, cells)
