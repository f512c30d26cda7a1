"""What a site sends instead of its rows: labelled sums, pooled with those of other sites, and their file."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, replace
from functools import reduce
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import answers_other_names, whole
from priorhood._system import check_netcdf, write_atomically
from priorhood._text import counted, listed, rows_of, some
from priorhood.data.join_places import placed
from priorhood.data.labels import loosely, unlike
from priorhood.data.sources.table import read
from priorhood.errors import FileError, ModelError, PriorhoodWarning
from priorhood.model.design import Design, Indicator
from priorhood.model.formula import SEPARATOR, parse
from priorhood.model.hierarchy import shown
from priorhood.model.model import Model, as_model
from priorhood.posterior.io import SUMS_FORMAT, SUMS_LAST, stored_tree, understood
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.validation import (
    ALWAYS,
    check_attributes,
    reading,
    sound_moments,
    sound_places,
    stored_design,
    stored_weights,
)
from priorhood.suffstats import collect
from priorhood.suffstats.io import dropped_as_text, moments_arrays, with_places
from priorhood.suffstats.min_rows import withheld
from priorhood.suffstats.moments import CellMoments
from priorhood.suffstats.moments import merge as merged
from priorhood.suffstats.netcdf import ArrayTree, Damage, write_tree
from priorhood.suffstats.recode import recoded, same_formula, united
from priorhood.suffstats.similar_labels import warn_of_lookalikes

if TYPE_CHECKING:
    from pathlib import Path

    from priorhood.data.place_table import PlaceTable
    from priorhood.model.formula import Formula
    from priorhood.model.weights import Weights

# Of places with several rows: sums that agree to so many digits are of the same rows.
ALIKE = 1e-12
# This many rows in one place, or fewer, are no evidence of a copy.
CHANCE = 2


@dataclass(frozen=True, repr=False)
class Moments:
    """What a table's rows leave behind, with all that a fit needs to know of them; no row.

    Made by moments, pooled by pool, fitted by fit.

    name : for messages: the table or file
    design : the formula, and the categories that the rows have
    weights : the columns that said what a row counts
    moments : counts, means and scatter of every place
    place_table : what the table of places says; None without one
    minimum : places with fewer rows are left out; 1 for none
    """

    name: str
    design: Design
    weights: Weights
    moments: CellMoments
    place_table: PlaceTable | None = None
    minimum: int = 1

    @property
    def formula(self) -> Formula:
        """The formula that they were taken for."""
        return self.design.formula

    @property
    def rows(self) -> int:
        """Rows that they are of, one that stands for several as often."""
        return self.moments.rows

    def model(self, priors: object = None, **choices: Any) -> Model:
        """A model to fit to them, with their formula and weights; the rest is chosen as Model takes it."""
        known = self.weights
        return Model(
            self.formula, priors, se=known.se, precision_weights=known.precision,
            frequency_weights=known.frequency, **choices,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Moments({self.formula.text!r}, {rows_of(self.rows)})"

    def __str__(self) -> str:
        return "\n".join([repr(self), *self.reveals()])

    def reveals(self) -> tuple[str, ...]:
        """What they tell of the rows, in sentences: which places have one row or two, and what else leaves."""
        found = self.moments
        told = [
            f"what leaves: of {_places(self.formula, len(found.n))} the labels, numbers of rows, and means, "
            f"variances and covariances of {', '.join(found.columns)}{_of_weights(self.weights)}; "
            f"{rows_of(self.rows)} in all"
        ]
        # A row that stands for several leaves no scatter either.
        single = (found.n == 1) | ~found.scatter.any(axis=(1, 2))
        lone, pairs = int(single.sum()), int((~single & (found.n == 2)).sum())
        if lone:
            told.append(f"one row: {_places(self.formula, lone)}; their sums are that row")
        if pairs:
            told.append(f"two rows: {_places(self.formula, pairs)}; their sums determine both rows")
        cells = self._reveals_categories()
        told += cells
        if self.place_table is not None:
            told.append(
                f"the table of places: {len(self.place_table.places):,} labels with "
                f"{', '.join(self.place_table.columns)}, of places without rows too"
            )
        if lone or pairs or cells:
            told.append("minimum (--minimum) leaves out places with few rows")
        return tuple(told)

    def _reveals_categories(self) -> list[str]:
        """Sentences on categories with one or two rows in a place of more; none where weights hide the counts."""
        found = self.moments
        if found.weight is not None:
            return []
        own = [column for column in self.design.columns if column.factors]
        alone = [at for at, c in enumerate(own) if len(c.factors) == 1 and isinstance(c.factors[0], Indicator)]
        if not alone:
            return []
        counts = np.round(found.n[:, None] * found.mean[:, alone])
        rest = found.n - counts.sum(axis=1) if len(self.design.categories) == 1 else np.zeros(len(found.n))
        counts = np.column_stack([counts, rest])
        few = (((counts == 1) | (counts == 2)).any(axis=1)) & (found.n > 2)
        if not few.any():
            return []
        return [f"one or two rows of a category: {_places(self.formula, int(few.sum()))}; so are these rows"]

    @classmethod
    def load(cls, path: str | Path) -> Moments:
        """Read saved moments; of a saved posterior, those that it was made of: see load_moments."""
        return load_moments(path)

    def save(self, path: str | Path) -> None:
        """Write one netCDF file, whole or not at all; it holds no path and no name of a table.

        Raises
        ------
        FileError : the place cannot be written; a name like that of a table, a picture or a page
        """
        check_netcdf(path, "the sums of rows", ".moments")
        write_atomically(path, lambda file: write_tree(file, self._stored()))

    def _stored(self) -> ArrayTree:
        about = {
            SUMS_FORMAT: SUMS_LAST,
            "formula": self.formula.text,
            "weights": json.dumps(asdict(self.weights)),
            "categories": json.dumps({k: list(v) for k, v in self.design.categories.items()}),
            "numeric_categories": json.dumps(sorted(self.design.numeric)),
            "rows_read": self.moments.read,
            "rows_used": self.moments.rows,
            "rows_dropped": dropped_as_text(self.moments.dropped),
            "minimum": self.minimum,
            "versions": json.dumps({"priorhood": version("priorhood")}),
        }
        return with_places(ArrayTree({"moments": moments_arrays(self.moments)}, about), self.place_table)


def _places(formula: Formula, count: int) -> str:
    """'219 zips', '1 zip'; where groupings cross, their meetings; without groups the table."""
    if not formula.keys:
        return "the table"
    depth = len(formula.levels)
    names = [formula.title(at) for at in (0, *range(depth, len(formula.groupings)))]
    if len(names) > 1:
        return f"{counted(count, 'combination')} of {listed(names)}"
    return counted(count, names[0])


def _of_weights(weights: Weights) -> str:
    if not weights.graded:
        return ""
    return f", all weighted, and the sums of their weights and their logarithms ({weights.se or weights.precision})"


@answers_other_names
def moments(
    model: Model | str,
    table: object,
    *,
    minimum: int = 1,
    places: object = None,
    drop_outliers: float | None = None,
) -> Moments:
    """Take the sums of a table that a fit needs: what a site sends instead of its rows.

    fit(model, sums) gives the posterior that fit(model, table) would, and fit(model, [a, b]) that of all rows
    together. Moments.reveals says what they tell of the rows; they are no protection in the sense of differential
    privacy.

    Parameters
    ----------
    model : a Model, of which the formula and the columns of weights count here; or a formula
    table : whatever read() takes
    minimum : leave out places with fewer rows than this, in all or of one category (of one combination where
        categories interact), since their sums would show the rows. They are counted as dropped. Rows are then
        read twice
    places, drop_outliers : see fit. The quartiles are those of this table alone

    Raises
    ------
    PriorhoodError : names the column, rows or values and what to do
    """
    model = as_model(model, table)
    whole("minimum", minimum, 1, 2**53)
    source, place_table = placed(read(table), places, model.formula)
    if drop_outliers is not None:
        warnings.warn(
            "outliers are judged by the quartiles of this table alone: sums of several tables differ from those of "
            "all rows together, unless drop_outliers is left out everywhere",
            PriorhoodWarning,
            stacklevel=2,
        )
    design, found = collect.collect_moments(source, model.formula, drop_outliers, weights=model.weights, least=1)
    warn_of_lookalikes(source, design, found)
    if minimum > 1:
        design, found = withheld(found, design, source, model.weights, drop_outliers, minimum)
    return Moments(source.name, design, model.weights, found, place_table, minimum)


def sums_of(post: Posterior, name: str = "the posterior") -> Moments:
    """The sums that a posterior was made of."""
    return Moments(name, post.design, post.model.weights, post.moments, post.place_table)


@answers_other_names
def load_moments(path: str | Path) -> Moments:
    """Read saved sums; of a saved posterior, the sums that it was made of.

    Raises
    ------
    FileError : no such file, not whole, not of priorhood, or of a newer version
    """
    name, tree = str(path), stored_tree(path)
    if SUMS_FORMAT not in tree.attrs:
        post = understood(name, tree)
        sums = sums_of(post, name)
        if post.model != sums.model(units=post.model.units):
            warnings.warn(
                f"{name!r} is a posterior: the sums of its rows are taken, not its priors and other choices; refit "
                f"keeps those",
                PriorhoodWarning,
                stacklevel=2,
            )
        return sums
    known = tree.attrs[SUMS_FORMAT]
    if not isinstance(known, int | np.integer) or int(known) > SUMS_LAST:
        raise FileError(
            f"{name!r} has format {known} of sums, this version of priorhood reads up to {SUMS_LAST}; "
            f"upgrade priorhood"
        )
    try:
        check_attributes(tree.attrs, (*ALWAYS, "formula", "weights", "minimum"))
        with reading("@formula"):
            formula = parse(tree.attrs["formula"])
        design, weights = stored_design(tree, formula), stored_weights(tree)
        found, places = sound_moments(tree, design, weights), sound_places(tree, formula)
    except Damage as problem:
        raise FileError(f"{name!r} cannot be used: {problem}") from None
    return Moments(name, design, weights, found, places, int(tree.attrs["minimum"]))


# -- several sites -----------------------------------------------------------------------------------------


@answers_other_names
def pool(*parts: Moments | Posterior) -> Moments:
    """The sums of all rows together, exactly; nothing but sums is needed, so a site between can do it.

    A label that several parts have is one place. Categories may differ: a category that a part has never seen has
    no rows there.

    Raises
    ------
    ModelError : other formulas or weights; the same rows twice; a column that is numbers here, categories there
    TableError : a place with two values in two tables of places
    """
    if not parts:
        raise ModelError("there are no sums to pool")
    one_by_one("pool", parts, (Moments, Posterior))
    each = [
        sums_of(part, f"part {at}") if isinstance(part, Posterior) else part for at, part in enumerate(parts, 1)
    ]
    first = each[0]
    for at, other in enumerate(each[1:], 2):
        _check_same(first, other, at)
    if len(each) == 1:
        return first
    design = reduce(united, (part.design for part in each))
    found = [recoded(part.moments, part.design, design) for part in each]
    check_copies(found, [_named(part, at) for at, part in enumerate(each, 1)])
    _tell_spellings(each)
    place_table = first.place_table
    for at, other in enumerate(each[1:], 2):
        if other.place_table is not None:
            theirs = replace(other.place_table, name=_named(other, at))
            place_table = theirs if place_table is None else place_table.joined(theirs)
    least = min(part.minimum for part in each)
    return Moments("the pooled sums", design, first.weights, reduce(merged, found), place_table, least)


def one_by_one(name: str, given: tuple[object, ...], kinds: type | tuple[type, ...]) -> None:
    """Refuse a list in place of its entries, and what is none of the kinds.

    Raises
    ------
    ModelError : with how the function is called
    """
    for at, part in enumerate(given, 1):
        if isinstance(part, list | tuple):
            raise ModelError(
                f"{name} takes them one by one, {name}(a, b), and was given a {type(part).__name__}: write "
                f"{name}(*them) with a star"
            )
        if not isinstance(part, kinds):
            what = "a posterior" if kinds is Posterior else "sums or a posterior"
            raise ModelError(f"{name} takes {what} as argument {at}, not {type(part).__name__}")


def _named(part: Moments, at: int) -> str:
    return f"part {at} ({part.name})" if part.name != f"part {at}" else part.name


def _check_same(first: Moments, other: Moments, at: int) -> None:
    """Raise unless two parts are sums of the same columns."""
    if not same_formula(first.formula, other.formula):
        raise ModelError(
            f"cannot pool: {_named(first, 1)} has the formula {first.formula.text!r}, {_named(other, at)} "
            f"{other.formula.text!r}; take the sums for one formula"
        )
    mine, theirs = asdict(first.weights), asdict(other.weights)
    names = {"se": "se", "precision": "precision_weights", "frequency": "frequency_weights"}
    for field, word in names.items():
        if mine[field] != theirs[field]:
            raise ModelError(
                f"cannot pool: {word} is {mine[field]} in {_named(first, 1)}, {theirs[field]} in "
                f"{_named(other, at)}; take the sums with the same weights"
            )


def check_copies(
    found: list[CellMoments], names: list[str], lead: str = "", advice: str = "give each once"
) -> None:
    """Refuse parts of the same rows; warn of places whose sums are alike in two parts.

    lead, advice : what a refusal begins and ends with

    Raises
    ------
    ModelError : every place of a part is there in another, with the same sums
    """
    for at in range(1, len(found)):
        for before in range(at):
            places = _alike(found[before], found[at])
            if not len(places):
                continue
            if len(places) == len(found[at].n) == len(found[before].n):
                raise ModelError(
                    f"{lead}{names[at]} holds the same rows as {names[before]}: every place has the same sums in "
                    f"both; {advice}"
                )
            told = copied_places(found[before], found[at])
            if len(told):
                warnings.warn(
                    f"{len(told):,} places have the very same sums in {names[before]} and {names[at]}, such as "
                    f"{some(shown(told).tolist(), 3)}: are the same rows in both? They count twice",
                    PriorhoodWarning,
                    stacklevel=4,
                )


def copied_places(first: CellMoments, other: CellMoments) -> np.ndarray:
    """The labels of places whose rows seem to be in both; of few rows that is chance, if other places differ."""
    places = _alike(first, other)
    if len(places) == len(other.n) and other.rows > CHANCE:
        return places
    return np.asarray(places[other.n[np.searchsorted(other.labels, places)] > CHANCE])


def _alike(first: CellMoments, other: CellMoments) -> np.ndarray:
    """The labels of places that have the same sums in both, but for rounding."""
    labels, i, j = np.intersect1d(first.labels, other.labels, return_indices=True)
    mean, scatter = first.mean[i], first.scatter[i]
    size = np.sqrt(np.diagonal(scatter, axis1=1, axis2=2) / first.mass[i, None]) + np.abs(mean)
    near = (np.abs(mean - other.mean[j]) <= ALIKE * size).all(axis=1)
    wide = first.mass[i, None, None] * size[:, :, None] * size[:, None, :]
    near &= (np.abs(scatter - other.scatter[j]) <= ALIKE * wide).all(axis=(1, 2))
    near &= (first.n[i] == other.n[j]) & (np.abs(first.mass[i] - other.mass[j]) <= ALIKE * first.mass[i])
    return np.asarray(labels[near])


def _tell_spellings(parts: list[Moments]) -> None:
    """Warn of labels that no table has both of and that differ by their spelling alone, as zeros that were lost."""
    for at, column in enumerate(parts[0].formula.keys):
        own = [{str(label).split(SEPARATOR)[at] for label in part.moments.labels} for part in parts]
        first: dict[str, str] = {}
        for label in sorted(set().union(*own)):
            other = first.setdefault(loosely(label), label)
            if other == label or any({label, other} <= labels for labels in own):
                continue
            zeros = label.isdigit() and other.isdigit()
            advice = (
                f"read {column} as text at the site that lost zeros" if zeros else unlike(label, other, (column,))
            )
            warnings.warn(
                f"{column} {other!r} and {label!r} are two places to pool; where they are one, {advice}",
                PriorhoodWarning,
                stacklevel=4,
            )
            break
