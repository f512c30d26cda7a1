"""What every contender's process does: read the data, fit, fit again, and answer.

Runs in the contender's own interpreter: NumPy and pandas are imported, nothing of this package. protocol.R is the
same for R. The one argument is a JSON file of what is asked; the answer goes to two files beside it:

    answer.json  first_s, seconds from the start of the process to the first result; fits_s, of each further fit
                 from the data in memory; versions; point, the estimates of one that draws nothing; names, draws
    draws.f64    the first fit's draws as doubles, (draw, chain, parameter) with the first axis fastest
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

# A further fit is tried where the first took up to so many times what further fits may take together.
PATIENCE = 4
Asked = dict[str, Any]
# mu (…, 2), tau (…, 2), sigma (…), beta (…, places, 2) of the places asked for, omega (…) where it is a parameter;
# … is (chain, draw) of a sampler, nothing of a point estimate.
Parameters = dict[str, Any]


class Rows:
    """The data in memory: x, y (n,), the group of every row as a code, and the groups' labels, sorted."""

    def __init__(self, asked: Asked) -> None:
        import pandas as pd

        self.frame = pd.read_parquet(asked["data"])
        self.x, self.y = (self.frame[name].to_numpy(float) for name in ("x", "y"))
        self.labels, self.codes = np.unique(self.frame["g"].to_numpy(), return_inverse=True)
        self.places = np.searchsorted(self.labels, np.array(asked["places"]))


def asked() -> Asked:
    """What the benchmark asks for."""
    return dict(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def run(
    fit: Callable[[Any, Asked, int], Any],
    collect: Callable[[Any, Any, Asked], Parameters],
    versions: dict[str, str],
    *,
    read: Callable[[Asked], Any] = Rows,
) -> None:
    """Fit as asked: `fit` takes the time that counts, `collect` puts its result into the form of `Parameters`."""
    folder, given = Path(sys.argv[1]).parent, asked()
    # What libraries remark on their own draws is judged by the benchmark, for all alike.
    warnings.simplefilter("ignore")
    data = read(given)
    result, once = _timed(fit, data, given, 0)
    answer: dict[str, Any] = {"first_s": time.time() - given["began"], "first_fit_s": once, "fits_s": []}
    answer["versions"] = versions | {"Python": sys.version.split()[0]}
    answer |= _kept(collect(result, data, given), folder)
    del result
    _write(folder, answer)
    spent = seconds = 0.0
    for at in range(given["fits"]):
        # The first of them may take far less than the very first fit, which compiles; the others are alike.
        if once > PATIENCE * given["spend"] or spent + seconds > given["spend"]:
            break
        seconds = _timed(fit, data, given, 1 + at)[1]
        spent += seconds
        answer["fits_s"].append(seconds)
    _write(folder, answer)


def _timed(fit: Callable[[Any, Asked, int], Any], data: Any, asked: Asked, at: int) -> tuple[Any, float]:
    started = time.perf_counter()
    result = fit(data, asked, asked["seed"] + at)
    return result, time.perf_counter() - started


def _kept(parameters: Parameters, folder: Path) -> dict[str, Any]:
    """The draws in their file and what they are, or the point estimates themselves."""
    sampled = np.ndim(parameters["sigma"]) == 2
    names, columns = [], []
    for name, values in parameters.items():
        array = np.asarray(values, dtype=float)
        flat = array.reshape(*array.shape[: 2 * sampled], -1)
        names += [f"{name}[{at}]" for at in range(flat.shape[-1])]
        columns.append(flat)
    together = np.concatenate(columns, axis=-1)
    if not sampled:
        return {"point": dict(zip(names, together.tolist(), strict=True))}
    together.transpose(1, 0, 2).ravel(order="F").tofile(folder / "draws.f64")
    return {"names": names, "draws": together.shape[1], "chains": together.shape[0]}


def _write(folder: Path, answer: dict[str, Any]) -> None:
    # Whole or not at all: the benchmark may look at any time.
    part = folder / "answer.part"
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(folder / "answer.json")
