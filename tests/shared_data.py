"""Real data and published posteriors: beside the checkout, never in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STORED = ROOT / "tests" / "files" / "stored"  # by the versions that their names say
FOLDER = Path(os.environ.get("PRIORHOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))


def data_file(name: str) -> Path:
    """The path of a data file; the test is skipped where it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"real data {name!r} is not beside the checkout (set PRIORHOOD_DATA to its folder)")
    return path


def data_json(name: str) -> dict:
    return json.loads(data_file(name).read_text())
