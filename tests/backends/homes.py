"""Rows with all that is awkward in a table, and the fits that read them; small."""

from __future__ import annotations

import numpy as np
import pandas as pd

PLACES = pd.DataFrame({"zip": [f"{1060 + i:05d}" for i in range(9)], "metro": np.linspace(0.2, 4.0, 9)})


def homes(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    place = np.arange(n) % 9
    frame = pd.DataFrame(
        {
            "zip": [f"{1060 + p:05d}" for p in place],
            "county": [f"0{p // 3}" for p in place],
            "branch": np.array(["b", "ä", "O'Neil"])[rng.integers(3, size=n)],
            "number": 12345670.0 + place,
            "id": [f"h{i}" for i in range(n)],
            "area": rng.uniform(20, 180, n).round(1),
            "kind": np.array(["flat", "loft", "house"])[rng.integers(3, size=n)],
            "rooms": rng.integers(1, 4, n),
            "balcony": rng.random(n) < 0.4,
            "far": (place * 1e6 + rng.normal(0, 0.1, n)).round(4),
            "error": rng.uniform(1e4, 5e4, n).round(0),
            "precision": rng.uniform(0.2, 4, n).round(3),
            "times": rng.integers(0, 4, n),
            "price": rng.normal(3e5, 9e4, n).round(-2),
        }
    )
    frame["price"] += 2000 * frame["area"]
    frame.loc[[3, 50], "area"] = np.nan
    frame.loc[[7], "price"] = np.nan
    frame.loc[[11, 12], "zip"] = None
    frame.loc[[13], "zip"] = "  "
    frame.loc[[14], "zip"] = " 01062 "
    frame.loc[[15], "zip"] = "01063.0"
    frame.loc[[20], "kind"] = None
    frame.loc[[21], "number"] = np.nan
    frame.loc[[30, 31], "price"] *= 30
    frame.loc[[33], "price"] = 0.0
    return frame


HOMES = homes()

# name → formula, options of the model, options of the reading
FITS: dict[str, tuple[str, dict, dict]] = {
    "categories, missing, spellings, where": (
        "price ~ area * kind + log(area) + balcony + (area | zip)", {}, {"where": "price > 250000 and area < 170"},
    ),
    "outliers, nested, C()": ("price ~ area + C(rooms) + (area | county/zip)", {}, {"drop_outliers": 1.5}),
    "crossed, frequencies, outliers": (
        "price ~ area + (1 | zip) + (1 | branch)", {"frequency_weights": "times"}, {"drop_outliers": 2.0},
    ),
    "labels that are decimal numbers, precisions": (
        "price ~ sqrt(area) + (1 | number)", {"precision_weights": "precision"}, {},
    ),
    "far apart: a second pass": ("price ~ far + (far | zip)", {}, {}),
    "far apart, known errors": ("price ~ far + (1 | zip)", {"se": "error"}, {}),
    "no places": ("price ~ area", {}, {}),
    "a row a place": ("price ~ area + (1 | id)", {}, {}),
    "what is known of places": ("price ~ area + metro + (area | zip)", {}, {"places": PLACES}),
}  # fmt: skip
