"""Loading a posterior: the file is understood, or an error says what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import is_file, is_folder, is_there
from priorhood._text import suggestion
from priorhood.errors import FileError, warn
from priorhood.model.formula import independent
from priorhood.model.model import Model
from priorhood.posterior.older_formats import with_current_labels
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.tree import FORMAT
from priorhood.posterior.validation import (
    ALWAYS,
    OF_ENGINE,
    OF_POSTERIOR,
    check_attributes,
    check_draws_of,
    reading,
    sound_moments,
    sound_places,
    stored_design,
    stored_model,
    stored_scale,
)
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.netcdf import Damage, read_tree

if TYPE_CHECKING:
    import xarray as xr

    from priorhood.model.design import Design

SUMS_FORMAT = "priorhood_moments_format"  # the attribute that a file of sums has
SUMS_LAST = 2  # its format: 2 came with checksums
FIRST_CHECKED = 5  # that of a posterior which came with them
FORMATS = {"priorhood_format": (FIRST_CHECKED, FORMAT), SUMS_FORMAT: (2, SUMS_LAST)}


@suggest_argument_names
def load(path: str | Path) -> Posterior:
    """Read a saved posterior; the rows are not needed.

    Parameters
    ----------
    path : str or pathlib.Path
        File that Posterior.save or `priorhood fit` wrote.

    Returns
    -------
    Posterior

    Raises
    ------
    FileError
        No such file, not whole, not a posterior of priorhood, or of a newer version.

    Examples
    --------
    >>> import tempfile
    >>> import priorhood as ph
    >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     post.save(f"{folder}/post.nc")
    ...     ph.load(f"{folder}/post.nc")
    Posterior('price ~ area': 4 rows, no groups, 4 chains × 1000 draws)
    """
    return understood(str(path), stored_tree(path))


def stored_tree(path: str | Path) -> xr.DataTree:
    """The tree in a file of priorhood, read into memory.

    Raises
    ------
    FileError
        No such file, not whole.
    """
    target = Path(path)
    if is_folder(target):
        raise FileError(f"{str(path)!r} is a folder; name the posterior's file in it")
    if not is_there(target):
        raise FileError(f"no file {str(path)!r}" + _nearby(target))
    if not is_file(target):
        raise FileError(f"{str(path)!r} is a device or a pipe; write what comes from it to a file first")
    if not target.stat().st_size:
        raise FileError(f"{str(path)!r} is empty: it is cut off or no netCDF file")
    tree = with_current_labels(read_tree(target, FORMATS))
    tree.encoding["source"] = str(path)  # as xarray has it, for the report
    return tree


def _nearby(target: Path) -> str:
    if not is_folder(target.parent):
        return f": there is no folder {str(target.parent)!r}"
    try:
        names = [f.name for f in target.parent.iterdir() if f.suffix in (".nc", target.suffix)]
    except OSError:
        return ""
    hint = suggestion(target.name, names)
    return f": {hint}" if hint.startswith("did you") else ""


def understood(path: str, tree: xr.DataTree) -> Posterior:
    """The posterior in a tree.

    Raises
    ------
    FileError
        No posterior of priorhood, or of a newer version.
    """
    version = tree.attrs.get("priorhood_format")
    if version is None and SUMS_FORMAT in tree.attrs:
        raise FileError(
            f"{path!r} holds sums of rows, not a posterior: load_moments reads it, and fit makes a posterior of it "
            f"(priorhood fit {path} -o post.nc)"
        )
    if version is None:
        raise FileError(f"{path!r} is a netCDF file but no posterior of priorhood")
    if not isinstance(version, int | np.integer):
        raise FileError(f"{path!r} has the file format {version!r}, which no version of priorhood has written")
    if int(version) > FORMAT:
        raise FileError(
            f"{path!r} has file format {version}, this version of priorhood reads up to {FORMAT}; upgrade priorhood"
        )
    try:
        check_attributes(tree.attrs, ALWAYS + OF_POSTERIOR)
        check_attributes(tree.attrs, OF_ENGINE[tree.attrs["engine"]])
        model = stored_model(tree)
        design = stored_design(tree, model.formula)
        if int(version) < FIRST_CHECKED and "posterior" in tree.children:
            model, design = _as_fitted(path, model, design, tree)
        with reading("@model"):
            model.resolve(design)
        scale = stored_scale(tree, design)
        data = FitData.learn(model, design, sound_moments(tree, design, model.weights), scale)
        check_draws_of(tree, data)
        sound_places(tree, model.formula)
    except Damage as problem:
        raise FileError(f"{path!r} cannot be used: {problem}") from None
    return Posterior(data, tree)


def _as_fitted(path: str, model: Model, design: Design, tree: xr.DataTree) -> tuple[Model, Design]:
    """Rewrite a formula so that it means now what it meant to the version that fitted it.

    Up to 0.1 a `|` around a single categorical term, (0 + type | zip), was fitted without correlations.
    """
    groupings, there = model.formula.groupings, tree["posterior"].data_vars
    without = {
        grouping.path
        for at, grouping in enumerate(groupings)
        if design.correlated(at) and f"omega{model.formula.suffix(at)}" not in there and len(grouping.terms) == 1
    }
    if not without:
        return model, design
    stored = model.to_dict()
    formula = independent(model.formula, without)
    note = (
        f"{model.formula.text!r} was fitted by an earlier version of priorhood, which took no correlations from "
        f"'|' around a single categorical term: it is read as what was fitted, {formula.text!r}; for correlations "
        f"fit it again from the rows"
    )
    warn(f"{path!r}: {note}")
    model = Model.from_dict({**stored, "formula": formula.text})
    tree.attrs["model"] = json.dumps(model.to_dict())
    tree.attrs["notes"] = json.dumps([*json.loads(tree.attrs["notes"]), note])
    return model, replace(design, formula=formula)
