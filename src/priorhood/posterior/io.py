"""Loading a posterior from a file, with errors that say what is wrong with the file."""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import is_file, is_folder, path_exists
from priorhood._text import code_or_command, suggestion
from priorhood.errors import FileError, warn
from priorhood.model.formula import independent
from priorhood.model.model import Model
from priorhood.posterior.older_formats import with_current_labels
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.tree import FORMAT
from priorhood.posterior.validation import (
    REQUIRED,
    REQUIRED_OF_ENGINE,
    REQUIRED_OF_POSTERIOR,
    check_attributes,
    damage_in,
    stored_design,
    stored_model,
    stored_scale,
    validate_draws,
    validated_moments,
    validated_places,
)
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.netcdf import Damage, read_tree

if TYPE_CHECKING:
    import xarray as xr

    from priorhood.model.design import Design

SUMS_FORMAT = "priorhood_moments_format"  # the attribute that marks a file of sums
SUMS_LAST = 2  # its latest format: 2 added checksums
FIRST_CHECKED = 5  # the format of a posterior that added checksums
FORMATS = {"priorhood_format": (FIRST_CHECKED, FORMAT), SUMS_FORMAT: (2, SUMS_LAST)}


@suggest_argument_names
def load(path: str | Path) -> Posterior:
    """Read a saved posterior; the rows are not needed.

    Parameters
    ----------
    path : str or pathlib.Path
        File written by Posterior.save or `priorhood fit`.

    Returns
    -------
    Posterior
        The posterior, as it was when it was saved.

    Raises
    ------
    FileError
        There is no such file, it is damaged, it is not a priorhood posterior, or it is from a newer version.

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
    return posterior_from_tree(str(path), read_saved_tree(path))


def read_saved_tree(path: str | Path) -> xr.DataTree:
    """Read a file of priorhood, a posterior or sums, into memory.

    Raises
    ------
    FileError
        There is no such file, or it is damaged.
    """
    target = Path(path)
    if is_folder(target):
        raise FileError(f"{str(path)!r} is a folder; pass the name of a file in it")
    if not path_exists(target):
        hint = ""
        if not is_folder(target.parent):
            hint = f": there is no folder {str(target.parent)!r}"
        else:
            with contextlib.suppress(OSError):
                names = [f.name for f in target.parent.iterdir() if f.suffix in (".nc", target.suffix)]
                similar = suggestion(target.name, names)
                hint = f": {similar}" if similar.startswith("did you") else ""
        raise FileError(f"no file {str(path)!r}{hint}")
    if not is_file(target):
        raise FileError(f"{str(path)!r} is a device or a pipe; write its content to a file first")
    if not target.stat().st_size:
        raise FileError(f"{str(path)!r} is empty: it is truncated or not a netCDF file")
    tree = with_current_labels(read_tree(target, FORMATS))
    tree.encoding["source"] = str(path)  # like xarray, for the report
    return tree


def posterior_from_tree(path: str, tree: xr.DataTree) -> Posterior:
    """Build the posterior from the tree of a file.

    Raises
    ------
    FileError
        It is not a priorhood posterior, or is from a newer version.
    """
    version = tree.attrs.get("priorhood_format")
    if version is None and SUMS_FORMAT in tree.attrs:
        command = f"priorhood fit {shlex.quote(str(path))} -o post.nc computes"
        fit = code_or_command("read it with load_moments(), and fit() computes", command)
        raise FileError(f"{path!r} holds sums of rows, not a posterior: {fit} a posterior from it")
    if version is None:
        raise FileError(f"{path!r} is a netCDF file, but not a priorhood posterior")
    if not isinstance(version, int | np.integer):
        raise FileError(f"{path!r} claims file format {version!r}, which no version of priorhood has written")
    if int(version) > FORMAT:
        raise FileError(
            f"{path!r} has file format {version}, but this version of priorhood reads only up to {FORMAT}; "
            f"upgrade priorhood"
        )
    try:
        check_attributes(tree.attrs, REQUIRED + REQUIRED_OF_POSTERIOR)
        check_attributes(tree.attrs, REQUIRED_OF_ENGINE[tree.attrs["engine"]])
        model = stored_model(tree)
        design = stored_design(tree, model.formula)
        if int(version) < FIRST_CHECKED and "posterior" in tree.children:
            model, design = _as_fitted(path, model, design, tree)
        with damage_in("@model"):
            model.resolve(design)
        scale = stored_scale(tree, design)
        data = FitData.learn(model, design, validated_moments(tree, design, model.weights), scale)
        validate_draws(tree, data)
        validated_places(tree, model.formula)
    except Damage as problem:
        raise FileError(f"{path!r} cannot be used: {problem}") from None
    return Posterior(data, tree)


def _as_fitted(path: str, model: Model, design: Design, tree: xr.DataTree) -> tuple[Model, Design]:
    """Rewrite a formula so that it means what it meant to the version that fitted it.

    Up to 0.1 a `|` around a single categorical term, (0 + type | zip), was fitted without correlations.
    """
    stored_parameters = tree["posterior"].data_vars
    uncorrelated = {
        grouping.path
        for i, grouping in enumerate(model.formula.groupings)
        if design.correlated(i)
        and f"omega{model.formula.suffix(i)}" not in stored_parameters
        and len(grouping.terms) == 1
    }
    if not uncorrelated:
        return model, design
    stored = model.to_dict()
    formula = independent(model.formula, uncorrelated)
    note = (
        f"{model.formula.text!r} was fitted by an earlier version of priorhood, in which '|' around a single "
        f"categorical term did not add correlations: it is read as the model that was actually fitted, "
        f"{formula.text!r}; to include correlations, fit the rows again"
    )
    warn(f"{path!r}: {note}")
    model = Model.from_dict({**stored, "formula": formula.text})
    tree.attrs["model"] = json.dumps(model.to_dict())
    tree.attrs["notes"] = json.dumps([*json.loads(tree.attrs["notes"]), note])
    return model, replace(design, formula=formula)
