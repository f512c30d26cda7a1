"""The tree of a file of sums: what Moments.save writes, in memory."""

import tempfile
from pathlib import Path

from priorhood.posterior.io import read_saved_tree


def sums_tree(moments):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sums.moments"
        moments.save(path)
        return read_saved_tree(path)
