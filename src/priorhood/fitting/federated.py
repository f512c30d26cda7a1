"""Moments that a site shares instead of its rows, their file, and the pooling of several sites' moments."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import reduce
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_whole, suggest_argument_names
from priorhood._system import check_netcdf, write_atomically
from priorhood._text import argument, count_noun, join_words, preview, row_count
from priorhood.data.labels import loose_form, spelling_advice
from priorhood.data.rows import prepare_rows
from priorhood.errors import FileError, ModelError, warn
from priorhood.fitting.similar_labels import warn_of_similar_labels
from priorhood.model.design import Design, Indicator, union_design
from priorhood.model.formula import SEPARATOR, parse, same_formula
from priorhood.model.hierarchy import shown
from priorhood.model.model import Model, as_model
from priorhood.posterior.io import SUMS_FORMAT, SUMS_LAST, posterior_from_tree, read_saved_tree
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.validation import (
    REQUIRED,
    check_attributes,
    damage_in,
    stored_design,
    stored_weights,
    validated_moments,
    validated_places,
)
from priorhood.suffstats import collect
from priorhood.suffstats.io import dropped_as_text, moments_arrays, with_places
from priorhood.suffstats.min_rows import withhold_small_places
from priorhood.suffstats.moments import CellMoments
from priorhood.suffstats.moments import merge as merged
from priorhood.suffstats.netcdf import ArrayTree, Damage, write_tree
from priorhood.suffstats.recode import recode

if TYPE_CHECKING:
    from pathlib import Path

    from priorhood.data.place_table import PlaceTable
    from priorhood.model.formula import Formula
    from priorhood.model.weights import Weights

ALIKE = 1e-12  # largest relative difference between two sums of the same rows
CHANCE = 2  # largest number of rows in one place that may have the same sums by chance


@dataclass(frozen=True, repr=False)
class Moments:
    """Sums of a table's rows, with everything that a fit needs to know about them, but without the rows.

    Made by moments(), pooled by pool(), fitted by fit().

    Attributes
    ----------
    name : str
        The table or file, for messages.
    design : Design
        The formula, and the categories that the rows have.
    weights : Weights
        The columns of weights.
    moments : CellMoments
        Counts, means and scatter of every place.
    place_table : PlaceTable or None
        The table of places, if there is one.
    minimum : int
        Smallest number of rows of a place whose sums are kept; 1 if none are left out.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> sums = ph.moments("price ~ living_space + (1 | zip)", sales)
    >>> sums
    Moments('price ~ living_space + (1 | zip)', 200 rows)
    """

    name: str
    design: Design
    weights: Weights
    moments: CellMoments
    place_table: PlaceTable | None = None
    minimum: int = 1

    @property
    def formula(self) -> Formula:
        """The formula of the sums."""
        return self.design.formula

    @property
    def rows(self) -> int:
        """Number of rows, each counted as often as its frequency weight says."""
        return self.moments.rows

    def model(self, priors: object = None, **choices: Any) -> Model:
        """Return a model with the formula and weights of the sums.

        Parameters
        ----------
        priors : optional
            Priors in a form that Model accepts; its defaults if None.
        **choices
            Other arguments of Model.

        Returns
        -------
        Model

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> sums = ph.moments("price ~ living_space + (1 | zip)", sales)
        >>> print(sums.model("sigma ~ HalfNormal(1)").priors["sigma"])
        HalfNormal(sd=1)
        """
        known = self.weights
        return Model(
            self.formula, priors, se=known.se, precision_weights=known.precision,
            frequency_weights=known.frequency, **choices,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Moments({self.formula.text!r}, {row_count(self.rows)})"

    def __str__(self) -> str:
        return "\n".join([repr(self), *self.reveals()])

    def reveals(self) -> tuple[str, ...]:
        """Return sentences on what the sums reveal about the rows, such as places with only one or two rows.

        Returns
        -------
        tuple of str

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> (sentence,) = ph.moments("price ~ (1 | zip)", sales).reveals()
        >>> sentence.partition(";")[0]
        'disclosed: for each of 8 zips its label, row count, means, variances and covariances of price'
        """
        sums, weights = self.moments, self.weights
        column = weights.se or weights.precision
        weighted = f", all weighted, and the sums of the weights and of their logarithms ({column})"
        count = len(sums.n)
        each = f"for {'each of ' * (count > 1)}{_count_cells(self.formula, count)} its label, "
        sentences = [
            f"disclosed: {each if sums.keys else 'the '}row count, means, variances and covariances of "
            f"{', '.join(sums.columns)}{weighted if weights.has_precisions else ''}; "
            f"{row_count(self.rows)} in total"
        ]
        # A row that stands for several has no scatter either.
        single = (sums.n == 1) | ~sums.scatter.any(axis=(1, 2))
        pair = ~single & (sums.n == 2)
        if single.any():
            what = "a single row" if (sums.n[single] == 1).all() else "a single distinct row"
            sentences.append(_revealing(self.formula, int(single.sum()), what, "that row"))
        if pair.any():
            sentences.append(_revealing(self.formula, int(pair.sum()), "two rows", "both rows"))
        rare = self._count_rare_categories()
        if rare:
            sentences.append(_revealing(self.formula, rare, "only one or two rows of some category", "those rows"))
        if self.place_table is not None:
            sentences.append(
                f"the table of places: {len(self.place_table.places):,} labels with "
                f"{', '.join(self.place_table.columns)}, including places without rows"
            )
        if len(sentences) > 1 + (self.place_table is not None):
            sentences.append(f"set {argument('minimum')} to leave out places with few rows")
        return tuple(sentences)

    def _count_rare_categories(self) -> int:
        """Return how many places of over two rows have one or two of a category; 0 if weights hide the counts."""
        sums = self.moments
        columns = [column for column in self.design.columns if column.factors]
        single = [at for at, c in enumerate(columns) if len(c.factors) == 1 and isinstance(c.factors[0], Indicator)]
        if sums.weight is not None or not single:
            return 0
        counts = np.round(sums.n[:, None] * sums.mean[:, single])
        rest = sums.n - counts.sum(axis=1) if len(self.design.categories) == 1 else np.zeros(len(sums.n))
        counts = np.column_stack([counts, rest])
        return int(((((counts == 1) | (counts == 2)).any(axis=1)) & (sums.n > 2)).sum())

    @classmethod
    def load(cls, path: str | Path) -> Moments:
        """Read saved moments, or those of a saved posterior.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Moments

        Raises
        ------
        FileError
            The file is missing, damaged, of another program, or of a newer version.

        Examples
        --------
        >>> import tempfile, priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> path = tempfile.mkdtemp() + "/site.moments"
        >>> ph.moments("price ~ living_space + (1 | zip)", sales).save(path)
        >>> ph.Moments.load(path).rows
        200
        """
        return load_moments(path)

    @suggest_argument_names
    def save(self, path: str | Path) -> None:
        """Write one netCDF file, completely or not at all; it contains no path and no name of a table.

        Parameters
        ----------
        path : str or Path
            The file to write.

        Raises
        ------
        FileError
            The file cannot be written, or has the extension of a table, a picture or a page.

        Examples
        --------
        >>> import tempfile, priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(8, 200, seed=1)
        >>> ph.moments("price ~ (1 | zip)", sales).save(tempfile.mkdtemp() + "/site.moments")
        """
        check_netcdf(path, "the sums of rows", ".moments")
        attributes = {
            SUMS_FORMAT: SUMS_LAST,
            "formula": self.formula.text,
            "weights": json.dumps(asdict(self.weights)),
            "categories": json.dumps({k: list(v) for k, v in self.design.categories.items()}),
            "numeric_categories": json.dumps(sorted(self.design.numeric)),
            **({"boolean_columns": json.dumps(sorted(self.design.truths))} if self.design.truths else {}),
            "rows_read": self.moments.read,
            "rows_used": self.moments.rows,
            "rows_dropped": dropped_as_text(self.moments.dropped),
            "minimum": self.minimum,
            "versions": json.dumps({"priorhood": version("priorhood")}),
        }
        tree = with_places(ArrayTree({"moments": moments_arrays(self.moments)}, attributes), self.place_table)
        write_atomically(path, lambda file: write_tree(file, tree))


def _count_cells(formula: Formula, count: int) -> str:
    """Return '219 zips' or '1 zip'; combinations if groupings cross; the table without groups."""
    if not formula.keys:
        return "the table"
    depth = len(formula.levels)
    names = [formula.title(at) for at in (0, *range(depth, len(formula.groupings)))]
    if len(names) > 1:
        return f"{count_noun(count, 'combination')} of {join_words(names)}"
    return count_noun(count, names[0])


def _revealing(formula: Formula, count: int, what: str, rows: str) -> str:
    """Return the sentence that a number of cells have rows that their sums reveal."""
    cells = _count_cells(formula, count)
    if count == 1 or not formula.keys:
        return f"{cells} has {what}, so its sums reveal {rows}"
    return f"{cells} each have {what}, so their sums reveal {rows}"


@suggest_argument_names
def moments(
    model: Model | str,
    table: object,
    *,
    minimum: int = 1,
    places: object = None,
    drop_outliers: float | None = None,
) -> Moments:
    """Return the sums that a fit needs, to be shared instead of the table's rows.

    fit(model, sums) gives the same posterior as fit(model, table), and fit(model, [a, b]) that of all rows
    together. Moments.reveals tells what they reveal about the rows; they do not provide differential privacy.

    Parameters
    ----------
    model : Model or str
        A model, or a formula; only the formula and the columns of weights matter here.
    table : table
        Anything that read() takes.
    minimum : int
        Leave out places with fewer rows than this, overall or in any category (any combination if categories
        interact), since their sums would reveal the rows. They are counted as dropped. The rows are read twice.
    places, drop_outliers : optional
        See fit(). The quartiles are those of this table alone.

    Returns
    -------
    Moments

    Raises
    ------
    PriorhoodError
        The model or the table cannot be used; names the column, rows or values, and a remedy.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> formula = "price ~ living_space + (1 | zip)"
    >>> sites = [ph.moments(formula, part) for part in (sales[:99], sales[99:])]
    >>> ph.fit(formula, sites, draws=250, seed=1).moments.rows
    200
    """
    model = as_model(model, table)
    check_whole("minimum", minimum, 1, 2**53)
    rows = prepare_rows(
        table, model.formula, weights=model.weights, places=places, drop_outliers=drop_outliers, min_categories=1
    )
    if drop_outliers is not None:
        warn(
            "outliers are identified by the quartiles of this table alone: if its sums are pooled with those of "
            "other tables, the result is not that of all rows together, unless drop_outliers is omitted everywhere"
        )
    design, found = rows.design, collect.collect_moments(rows)
    warn_of_similar_labels(rows, found)
    if minimum > 1:
        design, found = withhold_small_places(found, rows, minimum)
    return Moments(rows.name, design, model.weights, found, rows.place_table, minimum)


def sums_of(post: Posterior, name: str = "the posterior") -> Moments:
    """Return the sums from which a posterior was computed."""
    return Moments(name, post.design, post.model.weights, post.moments, post.place_table)


@suggest_argument_names
def load_moments(path: str | Path) -> Moments:
    """Read saved sums, or those of a saved posterior; see Moments.load.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Moments

    Raises
    ------
    FileError
        The file is missing, damaged, of another program, or of a newer version.

    Examples
    --------
    >>> import priorhood as ph
    >>> sums = ph.moments("price ~ area", {"area": [50, 70, 90], "price": [1, 2, 4]})
    >>> sums.save("site.moments")
    >>> ph.load_moments("site.moments").rows
    3
    """
    name, tree = str(path), read_saved_tree(path)
    if SUMS_FORMAT not in tree.attrs:
        post = posterior_from_tree(name, tree)
        sums = sums_of(post, name)
        if post.model != sums.model(units=post.model.units):
            warn(
                f"{name!r} is a posterior: only the sums of its rows are used, not its priors and other choices; "
                f"refit keeps those"
            )
        return sums
    known = tree.attrs[SUMS_FORMAT]
    if not isinstance(known, int | np.integer) or int(known) > SUMS_LAST:
        raise FileError(
            f"{name!r} has sums format {known}, but this version of priorhood reads only up to {SUMS_LAST}; "
            f"upgrade priorhood"
        )
    try:
        check_attributes(tree.attrs, (*REQUIRED, "formula", "weights", "minimum"))
        with damage_in("@formula"):
            formula = parse(tree.attrs["formula"])
        design, weights = stored_design(tree, formula), stored_weights(tree)
        found, places = validated_moments(tree, design, weights), validated_places(tree, formula)
    except Damage as problem:
        raise FileError(f"{name!r} cannot be used: {problem}") from None
    return Moments(name, design, weights, found, places, int(tree.attrs["minimum"]))


# -- several sites -----------------------------------------------------------------------------------------


@suggest_argument_names
def pool(*parts: Moments | Posterior) -> Moments:
    """Return the sums of all rows together, exactly; no rows are needed, so an intermediary can do it.

    A label that occurs in several parts is one place. Categories may differ: a category missing from a part has no
    rows there.

    Parameters
    ----------
    *parts : Moments or Posterior
        The sums of every site, or posteriors, whose sums are used.

    Returns
    -------
    Moments

    Raises
    ------
    ModelError
        The formulas or weights differ; the same rows twice; a column numeric in one part, categorical in another.
    TableError
        A place has different values in two tables of places.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> from priorhood.fitting.federated import pool
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> pool(*(ph.moments("price ~ (1 | zip)", part) for part in (sales[:99], sales[99:])))
    Moments('price ~ (1 | zip)', 200 rows)
    """
    if not parts:
        raise ModelError("there are no sums to pool")
    check_separate("pool", parts, (Moments, Posterior))
    sums = [
        sums_of(part, f"part {at}") if isinstance(part, Posterior) else part for at, part in enumerate(parts, 1)
    ]
    names = [f"part {at}" + (f" ({s.name})" if s.name != f"part {at}" else "") for at, s in enumerate(sums, 1)]
    first, weights = sums[0], asdict(sums[0].weights)
    options = {"se": "se", "precision": "precision_weights", "frequency": "frequency_weights"}
    for other, name in zip(sums[1:], names[1:], strict=True):
        if not same_formula(first.formula, other.formula):
            raise ModelError(
                f"cannot pool: {names[0]} has the formula {first.formula.text!r}, {name} "
                f"{other.formula.text!r}; compute the sums for one formula"
            )
        for field, option in options.items():
            if weights[field] != (theirs := asdict(other.weights)[field]):
                raise ModelError(
                    f"cannot pool: {option} is {weights[field]} in {names[0]}, {theirs} in {name}; compute the "
                    f"sums with the same weights"
                )
    if len(sums) == 1:
        return first
    design = reduce(union_design, (part.design for part in sums))
    found = [recode(part.moments, part.design, design) for part in sums]
    check_copies(found, names)
    _warn_of_spellings(sums)
    place_table = first.place_table
    for other, name in zip(sums[1:], names[1:], strict=True):
        if other.place_table is not None:
            renamed = replace(other.place_table, name=name)
            place_table = renamed if place_table is None else place_table.joined(renamed)
    minimum = min(part.minimum for part in sums)
    return Moments("the pooled sums", design, first.weights, reduce(merged, found), place_table, minimum)


def check_separate(name: str, given: tuple[object, ...], kinds: type | tuple[type, ...]) -> None:
    """Raise ModelError for a list in place of separate arguments, and for arguments of other kinds."""
    for at, part in enumerate(given, 1):
        if isinstance(part, list | tuple):
            raise ModelError(
                f"{name} takes separate arguments, {name}(a, b), not a {type(part).__name__}; unpack it: "
                f"{name}(*parts)"
            )
        if not isinstance(part, kinds):
            what = "a posterior" if kinds is Posterior else "sums or a posterior"
            raise ModelError(f"argument {at} of {name} must be {what}, not {type(part).__name__}")


def check_copies(
    found: list[CellMoments], names: list[str], lead: str = "", advice: str = "pass each once"
) -> None:
    """Refuse parts of the same rows; warn of places with the same sums in two parts.

    lead, advice : start and end of the error's message

    Raises
    ------
    ModelError
        Two parts have the same sums in every place.
    """
    for at in range(1, len(found)):
        for before in range(at):
            places = _alike(found[before], found[at])
            if not len(places):
                continue
            if len(places) == len(found[at].n) == len(found[before].n):
                raise ModelError(
                    f"{lead}{names[at]} has the same rows as {names[before]}: every place has the same sums in "
                    f"both; {advice}"
                )
            copies = copied_places(found[before], found[at])
            if len(copies):
                warn(
                    f"{identical_sums(len(copies))} in {names[before]} and {names[at]}, e.g. "
                    f"{preview(shown(copies).tolist(), 3)}: if these are the same rows, they are counted twice"
                )


def identical_sums(places: int) -> str:
    """Return that many places have identical sums, in words."""
    return f"{count_noun(places, 'place')} {'has' if places == 1 else 'have'} identical sums"


def copied_places(first: CellMoments, other: CellMoments) -> np.ndarray:
    """Return the labels of places whose rows seem to be in both; one or two rows may agree by chance."""
    places = _alike(first, other)
    if len(places) == len(other.n) and other.rows > CHANCE:
        return places
    return np.asarray(places[other.n[np.searchsorted(other.labels, places)] > CHANCE])


def _alike(first: CellMoments, other: CellMoments) -> np.ndarray:
    """Return the labels of places that have the same sums in both, up to rounding."""
    labels, i, j = np.intersect1d(first.labels, other.labels, return_indices=True)
    mean, scatter = first.mean[i], first.scatter[i]
    size = np.sqrt(np.diagonal(scatter, axis1=1, axis2=2) / first.mass[i, None]) + np.abs(mean)
    near = (np.abs(mean - other.mean[j]) <= ALIKE * size).all(axis=1)
    wide = first.mass[i, None, None] * size[:, :, None] * size[:, None, :]
    near &= (np.abs(scatter - other.scatter[j]) <= ALIKE * wide).all(axis=(1, 2))
    near &= (first.n[i] == other.n[j]) & (np.abs(first.mass[i] - other.mass[j]) <= ALIKE * first.mass[i])
    return np.asarray(labels[near])


def _warn_of_spellings(parts: list[Moments]) -> None:
    """Warn of labels that differ only in spelling, such as lost zeros, and never occur in the same table."""
    for at, column in enumerate(parts[0].formula.keys):
        labels_of = [{str(label).split(SEPARATOR)[at] for label in part.moments.labels} for part in parts]
        first: dict[str, str] = {}
        for label in sorted(set().union(*labels_of)):
            other = first.setdefault(loose_form(label), label)
            if other == label or any({label, other} <= labels for labels in labels_of):
                continue
            zeros = label.isdigit() and other.isdigit()
            advice = (
                f"read {column} as text at the site that lost leading zeros" if zeros
                else spelling_advice(label, other, (column,))
            )  # fmt: skip
            warn(
                f"pool() treats {column} {other!r} and {label!r} as different places; if they are the same, "
                f"{advice}"
            )
            break
