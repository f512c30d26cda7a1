"""Moments against rational arithmetic; merging; order of rows."""

from __future__ import annotations

from fractions import Fraction

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import priorhood as ph
from priorhood.data.labels import normal_label
from priorhood.data.outliers import repeated_quartiles
from priorhood.data.rows import prepare_rows, value_name
from priorhood.model.formula import parse
from priorhood.model.weights import Weights
from priorhood.suffstats.moments import merge

TEXT = "y ~ x + (x | g)"


def exact(frame, columns=("x", "y")):
    """label → n, mean and scatter by fractions: no rounding at all until the end."""
    found = {}
    for label, rows in frame.groupby("g"):
        values = [[Fraction(v) for v in rows[c]] for c in columns]
        n = len(rows)
        means = [sum(v) / n for v in values]
        away = [[x - m for x in v] for v, m in zip(values, means, strict=True)]
        scatter = [[float(sum(p * q for p, q in zip(a, b, strict=True))) for b in away] for a in away]
        found[label] = n, np.array([float(m) for m in means]), np.array(scatter)
    return found


EPS = np.finfo(float).eps


def agree(moments, known, relative):
    """Means to a share of the spread, scatter to a share of √(s_aa s_bb)."""
    assert moments.labels.tolist() == sorted(known)
    for j, label in enumerate(moments.labels):
        n, mean, scatter = known[label]
        assert moments.n[j] == n
        size = np.sqrt(np.diag(scatter))
        np.testing.assert_array_less(
            np.abs(moments.mean[j] - mean), relative * (size / np.sqrt(n) + 1e-3 * abs(mean)) + 1e-300
        )
        np.testing.assert_array_less(
            np.abs(moments.scatter[j] - scatter), relative * (np.outer(size, size) + 1e-300)
        )


def weighted_exact(frame):
    """The same with weights 1/se², rounded only at the end; and Σ w."""
    found = {}
    for label, own in frame.groupby("g"):
        w = [1 / Fraction(v) ** 2 for v in own["se"]]
        values = [[Fraction(v) for v in own[c]] for c in ("x", "y")]
        means = [sum(a * b for a, b in zip(w, v, strict=True)) / sum(w) for v in values]
        away = [[x - m for x in v] for v, m in zip(values, means, strict=True)]
        scatter = [[float(sum(a * p * q for a, p, q in zip(w, s, t, strict=True))) for t in away] for s in away]
        found[label] = len(own), np.array([float(m) for m in means]), np.array(scatter), float(sum(w))
    return found


def rows(seed=0, n=240, groups=6, x_at=0.0, y_at=0.0, y_gap=0.0):
    rng = np.random.default_rng(seed)
    g = rng.integers(groups, size=n)
    x = x_at + rng.normal(size=n)
    y = y_at + y_gap * g + 0.4 * (x - x_at) + rng.normal(size=n)
    return pd.DataFrame({"g": [f"g{k}" for k in g], "x": x, "y": y})


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"y_at": 1e7},  # prices around 1e7, spread 1
        {"x_at": 1e7, "y_at": -1e7},
        {"x_at": 1e9, "y_at": 1e9},
        {"y_gap": 30.0, "y_at": 1e6},
    ],
    ids=str,
)
def test_against_fractions(moments_of, where):
    frame = rows(**where)
    agree(moments_of(TEXT, frame)[1], exact(frame), 1e-9)


@pytest.mark.parametrize("gap", [1e4, 1e6])
def test_groups_far_apart(moments_of, gap):
    """Sums are taken around one value for all groups: they round with the groups' distance from it."""
    frame = rows(y_gap=gap)
    known = exact(frame)
    _, found = moments_of(TEXT, frame)
    distance = np.array([1.0, 6 * gap])
    for j, label in enumerate(found.labels):
        n, mean, scatter = known[label]
        np.testing.assert_array_less(np.abs(found.mean[j] - mean), 4 * EPS * distance)
        np.testing.assert_array_less(np.abs(found.scatter[j] - scatter), 4 * EPS * n * np.outer(distance, distance))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_offset_in_a_file_whose_first_rows_are_near_zero(moments_of, tmp_path, suffix):
    """The values near which sums are taken come from the first rows; these here mislead."""
    frame = pd.concat([rows(n=10_000), rows(seed=1, n=12_000, y_at=1e7)], ignore_index=True)
    path = tmp_path / f"rows.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    reference = frame.groupby("g")["y"].agg(["mean", "var", "size"])
    _, found = moments_of(TEXT, path)
    np.testing.assert_allclose(found.mean[:, 1], reference["mean"], rtol=1e-12)
    np.testing.assert_allclose(found.scatter[:, 1, 1], reference["var"] * (reference["size"] - 1), rtol=1e-9)


def test_a_group_of_one_row_has_no_scatter(moments_of):
    frame = pd.concat([rows(y_at=1e7), pd.DataFrame({"g": ["z"], "x": [0.3], "y": [1e7 + 0.1]})])
    _, found = moments_of(TEXT, frame)
    assert found.labels[-1] == "z"
    assert found.n[-1] == 1
    np.testing.assert_array_equal(found.scatter[-1], 0.0)
    np.testing.assert_allclose(found.mean[-1], [0.3, 1e7 + 0.1], rtol=1e-15)


def test_scatter_is_symmetric_and_not_negative(moments_of):
    frame = rows(y_at=1e9)
    frame["y"] = np.where(frame["g"] == "g1", 1e9, frame["y"])
    _, found = moments_of(TEXT, frame)
    np.testing.assert_array_equal(found.scatter, found.scatter.swapaxes(1, 2))
    assert (np.diagonal(found.scatter, axis1=1, axis2=2) >= 0).all()
    np.testing.assert_allclose(found.scatter[1, 1, 1], 0.0, atol=1e-6)


def test_pooled(moments_of):
    frame = rows(y_gap=3.0)
    mean, scatter = moments_of(TEXT, frame)[1].pooled()
    np.testing.assert_allclose(mean, frame[["x", "y"]].mean(), rtol=1e-12)
    np.testing.assert_allclose(scatter, np.cov(frame[["x", "y"]].T) * (len(frame) - 1), rtol=1e-11)


def same(one, other, relative=1e-12):
    assert one.labels.tolist() == other.labels.tolist()
    np.testing.assert_array_equal(one.n, other.n)
    spread = np.sqrt(np.diag(other.pooled()[1]) / other.n.sum())
    np.testing.assert_array_less(np.abs(one.mean - other.mean) / (np.abs(other.mean) + spread), relative)
    size = np.sqrt(np.diagonal(other.scatter, axis1=1, axis2=2)) + spread
    np.testing.assert_array_less(
        np.abs(one.scatter - other.scatter) / (size[:, :, None] * size[:, None, :]), relative
    )
    assert (one.read, one.rows) == (other.read, other.rows)


OVERLAPS = {
    "disjoint": lambda g: g.isin(["g0", "g1", "g5"]),
    "overlapping": lambda g: np.arange(len(g)) % 3 == 0,
    "partly": lambda g: (g < "g2") | (np.arange(len(g)) % 2 == 0) & (g < "g4"),
}


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_merge_is_exact(moments_of, overlap):
    frame = rows(y_gap=20.0)
    first = OVERLAPS[overlap](frame["g"])
    merged = merge(moments_of(TEXT, frame[first])[1], moments_of(TEXT, frame[~first])[1])
    same(merged, moments_of(TEXT, frame)[1])
    known = exact(frame)
    agree(merged, known, 1e-11)


def test_merge_is_associative_and_commutative(moments_of):
    parts = [moments_of(TEXT, rows(seed=s, n=90, groups=3 + s, y_at=s))[1] for s in range(3)]
    a, b, c = parts
    same(merge(merge(a, b), c), merge(a, merge(b, c)))
    same(merge(a, b), merge(b, a))


def test_merge_adds_up_what_was_dropped(moments_of):
    one, two = rows(n=40), rows(seed=2, n=50)
    one.loc[:3, "x"] = np.nan
    two.loc[:1, "x"] = np.nan
    two.loc[5:9, "y"] = np.nan
    merged = merge(moments_of(TEXT, one)[1], moments_of(TEXT, two)[1])
    assert {(d.reason, d.column): d.rows for d in merged.dropped} == {("missing", "x"): 6, ("missing", "y"): 5}
    assert merged.read == 90
    assert merged.rows == 90 - 11


def test_merge_refuses_other_columns(moments_of):
    frame = rows()
    with pytest.raises(ph.ModelError, match="different columns"):
        merge(moments_of(TEXT, frame)[1], moments_of("y ~ 1 + (1 | g)", frame)[1])


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_update_and_merge_give_the_fit_to_all_rows(overlap):
    frame = rows(n=180, y_gap=2.0)
    first = OVERLAPS[overlap](frame["g"])
    how = {"chains": 2, "draws": 60, "seed": 11}
    whole = ph.fit(TEXT, frame, **how)
    begun = ph.fit(TEXT, frame[first], **how)
    for other in (
        ph.update(begun, frame[~first], **how),
        ph.merge(begun, ph.fit(TEXT, frame[~first], **how), **how),
    ):
        for name in ("mu", "beta", "tau", "omega", "sigma"):
            assert other[name].dims == whole[name].dims
            np.testing.assert_allclose(other[name].values, whole[name].values, rtol=1e-6, atol=1e-6)
        assert other.log_evidence == pytest.approx(whole.log_evidence, abs=1e-6)


@pytest.mark.parametrize("y_at", [0.0, 1e7])
def test_order_of_rows(moments_of, y_at):
    frame = rows(n=2000, y_at=y_at)
    shuffled = frame.sample(frac=1.0, random_state=3)
    same(moments_of(TEXT, shuffled)[1], moments_of(TEXT, frame)[1], 1e-9)


# -- weights ----------------------------------------------------------------------------------------------


def with_errors(frame, decades=2.0, seed=9):
    rng = np.random.default_rng(seed)
    return frame.assign(se=10.0 ** rng.uniform(-decades / 2, decades / 2, len(frame)))


def agree_weighted(moments, known, relative):
    """As agree, a mean's rows being Σ w."""
    assert moments.labels.tolist() == sorted(known)
    for j, label in enumerate(moments.labels):
        n, mean, scatter, weight = known[label]
        assert moments.n[j] == n
        assert moments.weight[j] == pytest.approx(weight, rel=1e-13)
        size = np.sqrt(np.diag(scatter))
        np.testing.assert_array_less(
            np.abs(moments.mean[j] - mean), relative * (size / np.sqrt(weight) + 1e-3 * abs(mean)) + 1e-300
        )
        np.testing.assert_array_less(np.abs(moments.scatter[j] - scatter), relative * np.outer(size, size) + 1e-300)


@pytest.mark.parametrize(
    ("where", "decades"),
    [({}, 2), ({}, 8), ({"y_at": 1e7}, 2), ({"x_at": 1e9, "y_at": 1e9}, 1), ({"y_gap": 30.0, "y_at": 1e6}, 2)],
    ids=str,
)
def test_weighted_against_fractions(moments_of, where, decades):
    frame = with_errors(rows(**where), decades)
    _, found = moments_of(TEXT, frame, weights=Weights(se="se"))
    agree_weighted(found, weighted_exact(frame), 1e-9)
    assert found.log_weight == pytest.approx(-2 * np.log(frame["se"]).sum(), rel=1e-12)
    assert found.columns == ("x", "y")


KINDS = {
    "pandas": lambda f: f,
    "polars": pl.from_pandas,
    "polars-lazy": lambda f: pl.from_pandas(f).lazy(),
    "pyarrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
    "duckdb": duckdb.from_df,
}


@pytest.mark.parametrize("gap", [3.0, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_weighted_on_every_backend(moments_of, kind, gap):
    """Also where the groups lie so far apart that each is summed around its own mean."""
    frame = with_errors(rows(y_gap=gap, y_at=50.0), 1.0)
    dropped = frame.assign(se=frame["se"].where(frame.index > 2))
    table = KINDS[kind](dropped)
    _, found = moments_of(TEXT, table, weights=Weights(se="se"))
    agree_weighted(found, weighted_exact(frame[3:]), 1e-9)
    assert [(d.reason, d.column, d.rows) for d in found.dropped] == [("missing", "se", 3)]
    # Negative control: the plain sums are others.
    plain = moments_of(TEXT, table)[1]
    assert plain.weight is None
    assert np.abs(plain.mean - found.mean).max() > 1e-3


def with_counts(frame, seed=10):
    rng = np.random.default_rng(seed)
    return frame.assign(w=10.0 ** rng.uniform(-1, 1, len(frame)), n=rng.integers(0, 5, len(frame)))


@pytest.mark.parametrize("gap", [3.0, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_repeated_and_weighed_on_every_backend(moments_of, kind, gap):
    """Sums and dropped outliers are those of the rows repeated; missing counts are said, none is 0."""
    frame = with_counts(rows(y_gap=gap, y_at=50.0)).assign(x=lambda f: f["x"].abs() + 0.1)
    frame["y"] = frame["y"].abs() + 1
    gone = frame.assign(n=frame["n"].where(frame.index > 2))
    weights = Weights(precision="w", frequency="n")
    _, found = moments_of(TEXT, KINDS[kind](gone), drop_outliers=0.6, weights=weights)
    again = frame[3:].loc[lambda f: f.index.repeat(f["n"])]
    _, known = moments_of(TEXT, again, drop_outliers=0.6, weights=Weights(precision="w"))
    np.testing.assert_array_equal(found.n, known.n)
    np.testing.assert_allclose(found.weight, known.weight, rtol=1e-13)
    np.testing.assert_allclose(found.mean, known.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scatter, known.scatter, rtol=1e-9, atol=1e-12 * known.scatter.max())
    assert found.log_weight == pytest.approx(known.log_weight, rel=1e-11)
    dropped = {(d.reason, d.column): d.rows for d in found.dropped}
    assert dropped.pop(("missing", "n")) == 3
    assert dropped.pop(("frequency weight of 0 in", "n")) == (frame["n"][3:] == 0).sum()
    assert 0 < sum(dropped.values()) < sum(d.rows for d in known.dropped)
    assert found.listed == 240 - sum(d.rows for d in found.dropped)


def test_quartiles_of_repeated_rows():
    """Those of NumPy for the rows repeated, whatever the counts."""
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 4, 5, 30):
        for _ in range(8):
            score, times = rng.normal(size=size).round(1), rng.integers(0, 4, size)
            times[0] += times.sum() == 0
            frame = nw.from_native(pd.DataFrame({"score": score, "times": times.astype(float)}).sample(frac=1))
            known = np.quantile(np.repeat(score, times), [0.25, 0.75])
            np.testing.assert_allclose(repeated_quartiles(frame), known, rtol=1e-13, atol=1e-15)


WRONG = [
    (
        {"precision": "w"},
        [0.0, -2.5],
        r"'w' is not above 0 in 2 rows, so the precision weights 'w' cannot be used: 0 \(g",
    ),
    (
        {"precision": "w"},
        [np.inf, 1.0],
        r"'w' is infinite in 1 row, so the precision weights 'w' cannot be used: inf",
    ),
    ({"precision": "w"}, [1e-200, 1e200], r"'w' is too small or large in 2 rows"),
    ({"frequency": "w"}, [-1.0, 2.0], r"'w' is below 0 in 1 row, so the frequency weights 'w' cannot be used: -1"),
    ({"frequency": "w"}, [np.inf, 2.0], r"'w' is infinite in 1 row"),
    ({"frequency": "w"}, [1e17, 2.0], r"'w' is too large for a count in 1 row"),
    ({"frequency": "w"}, [1.5, 2.0], r"'w' is not a whole number in 1 row.*: 1\.5 \(g 'g\d'\).*precision_weights"),
]


@pytest.mark.parametrize("kind", ["pandas", "polars-lazy", "duckdb"])
@pytest.mark.parametrize(("columns", "values", "says"), WRONG)
def test_weights_that_are_none(moments_of, columns, values, says, kind):
    frame = rows(n=30).assign(w=1.0)
    frame.loc[[4, 5], "w"] = values
    with pytest.raises(ph.TableError, match=says):
        moments_of(TEXT, KINDS[kind](frame), weights=Weights(**columns))


@pytest.mark.parametrize("role", ["precision", "frequency"])
def test_weights_that_are_not_there(moments_of, role):
    frame = rows(n=30)
    with pytest.raises(ph.TableError, match=rf"no column 'w' \(the {role} weights\)"):
        moments_of(TEXT, frame, weights=Weights(**{role: "w"}))
    with pytest.raises(ph.TableError, match=rf"'w' \(the {role} weights\) holds text, .* 'much'; name a column"):
        moments_of(TEXT, frame.assign(w="much"), weights=Weights(**{role: "w"}))
    with pytest.raises(ph.TableError, match=r"none of the 30 rows can be used \(30 rows: missing 'w'\)"):
        moments_of(TEXT, frame.assign(w=np.nan), weights=Weights(**{role: "w"}))


def test_counts_that_are_all_0(moments_of):
    with pytest.raises(
        ph.TableError, match=r"none of the 30 rows can be used \(30 rows: frequency weight of 0 in 'w'\)"
    ):
        moments_of(TEXT, rows(n=30).assign(w=0), weights=Weights(frequency="w"))
    with pytest.raises(ph.TableError, match=r"none of the 30 rows"):
        moments_of(TEXT, rows(n=30).assign(w=0), drop_outliers=1.5, weights=Weights(frequency="w"))


def test_a_weight_may_be_a_predictor_too(moments_of):
    frame = with_counts(rows(n=60))
    found = moments_of("y ~ w + n", frame, weights=Weights(precision="w", frequency="n"))[1]
    assert found.columns == ("w", "n", "y")
    expected = np.average(frame["n"], weights=frame["n"] * frame["w"])
    assert found.pooled()[0][1] == pytest.approx(expected, rel=1e-12)


def test_a_junk_row_beside_precise_ones(moments_of):
    """A row a million errors away, with an error as large, leaves the digits of the others."""
    frame = with_errors(rows(n=60), 0.5)
    frame.loc[::10, ["y", "se"]] = [1e6, 1e6]
    agree_weighted(moments_of(TEXT, frame, weights=Weights(se="se"))[1], weighted_exact(frame), 1e-7)


def test_weighted_indicators(moments_of):
    frame = with_errors(rows()).assign(f=lambda f: np.where(f["x"] > 0.3, "b", np.where(f["x"] < -0.5, "c", "a")))
    _, found = moments_of("y ~ f + (1 | g)", frame, weights=Weights(se="se"))
    w = (1 / frame["se"] ** 2).to_numpy()
    W = np.column_stack([frame["f"] == "b", frame["f"] == "c", frame["y"]]).astype(float)
    mean = np.average(W, axis=0, weights=w)
    np.testing.assert_allclose(found.pooled()[0], mean, rtol=1e-12)
    np.testing.assert_allclose(found.pooled()[1], (w[:, None] * (W - mean)).T @ (W - mean), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_weighted_merge_is_exact(moments_of, overlap):
    frame = with_errors(rows(y_gap=20.0))
    first = OVERLAPS[overlap](frame["g"])
    parts = [moments_of(TEXT, part, weights=Weights(se="se"))[1] for part in (frame[first], frame[~first])]
    merged, whole = merge(*parts), moments_of(TEXT, frame, weights=Weights(se="se"))[1]
    agree_weighted(merged, weighted_exact(frame), 1e-11)
    assert merged.log_weight == pytest.approx(whole.log_weight, rel=1e-12)
    assert (merged.rows, merged.read) == (240, 240)


def test_weighted_and_unweighted_rows_do_not_merge(moments_of):
    frame = with_errors(rows())
    plain, weighted = moments_of(TEXT, frame)[1], moments_of(TEXT, frame, weights=Weights(se="se"))[1]
    for pair in ((plain, weighted), (weighted, plain)):
        with pytest.raises(ph.ModelError, match="only one of these has known standard errors"):
            merge(*pair)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            [0.0, -2.5],
            r"'se' is not above 0 in 2 rows, so the standard errors 'se' cannot be used: 0 \(g 'g\d'\), -2.5",
        ),
        ([np.inf, 1.0], r"'se' is infinite in 1 row, so the standard errors 'se' cannot be used: inf"),
        ([1e-200, 1e200], r"'se' is too small or large to square in 2 rows.*1e-200.*1e\+200"),
    ],
    ids=["not above 0", "infinite", "square"],
)
def test_impossible_errors(moments_of, kind, values, says):
    frame = with_errors(rows(n=30))
    frame.loc[[4, 5], "se"] = values
    with pytest.raises(ph.TableError, match=says):
        moments_of(TEXT, KINDS[kind](frame), weights=Weights(se="se"))


def test_a_column_of_errors_that_is_none(moments_of):
    frame = with_errors(rows(n=30))
    with pytest.raises(ph.TableError, match=r"no column 'sd' \(the standard errors\)"):
        moments_of(TEXT, frame, weights=Weights(se="sd"))
    with pytest.raises(ph.TableError, match=r"'se' \(the standard errors\) holds text, .* 'much'; name"):
        moments_of(TEXT, frame.assign(se="much"), weights=Weights(se="se"))


def test_errors_may_be_a_predictor_too(moments_of):
    """Egger's regression of the outcome on its standard error."""
    frame = with_errors(rows(n=30))
    found = moments_of("y ~ se", frame, weights=Weights(se="se"))[1]
    assert found.columns == ("se", "y")
    assert found.pooled()[0][0] == pytest.approx(np.average(frame["se"], weights=frame["se"] ** -2.0), rel=1e-12)


def test_prepared_rows_end_with_the_errors():
    frame = with_errors(rows(n=30))
    frame.loc[3, "se"] = np.nan
    formula = parse(TEXT)
    prepared = prepare_rows(frame, formula, weights=Weights(se="se"))
    assert len(prepared.values) == 3
    found = prepared.frame.to_native()
    used = found["__priorhood_reason"] == 0
    assert used.tolist() == [i != 3 for i in range(30)]
    for at, column in enumerate(["x", "y", "se"]):
        np.testing.assert_array_equal(found[value_name(at)][used], frame[column][used])


@pytest.mark.parametrize(
    ("text", "label"),
    [("01067", "01067"), (" 01067 ", "01067"), ("1067.0", "1067"), ("1067.00", "1067"), ("-1.0", "-1"),
     ("1067.5", "1067.5"), ("a.0", "a.0"), ("1e5", "1e5"), ("Mitte", "Mitte"), ("1.0.0", "1.0.0"), ("", "")],
)  # fmt: skip
def test_label(text, label):
    assert normal_label(text) == label


def test_columns_that_are_products(moments_of):
    frame = rows().assign(
        z=lambda f: f["x"] ** 2 + np.arange(len(f)) / 50, f=lambda f: np.where(f["y"] > 0, "b", "a")
    )
    design, found = moments_of("y ~ x * z + f:x + (f | g)", frame)
    b = (frame["f"] == "b") * 1.0
    both = b * frame["x"]
    known = frame.assign(**{"x:z": frame["x"] * frame["z"], "f[b]": b, "x:f[b]": both, "f[b]:x": both})
    columns = list(found.columns)
    assert set(columns) == {c.name for c in design.columns if c.factors} | {"y"}
    agree(found, exact(known, columns), 1e-10)


def test_update_with_rows_of_one_category_is_the_fit_of_all():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "g": rng.choice(["a", "b", "c"], 60),
            "x": rng.normal(size=60),
            "kind": ["flat", "house", "loft"] * 20,
        }
    )
    frame["y"] = frame["x"] + (frame["kind"] == "loft") + rng.normal(size=60)
    formula = "y ~ x + kind + (1 | g)"
    last = frame["kind"].eq("loft") & (frame.index > 30)
    post = ph.update(ph.fit(formula, frame[~last], seed=1, draws=50), frame[last], draws=50)
    whole = ph.fit(formula, frame, seed=1, draws=50)
    np.testing.assert_allclose(post["mu"].values, whole["mu"].values, rtol=1e-6, atol=1e-9)


def test_influence_of_a_row_of_another_category_is_refused(fitted, sales):
    kinds = sales.assign(kind=np.where(sales.index % 2 == 0, "flat", "house"))
    post = ph.fit("price ~ kind + (1 | zip)", kinds, chains=2, draws=50, seed=1)
    row = {"zip": kinds["zip"][0], "kind": "castle", "price": 1.0}
    with pytest.raises(ph.TableError, match="'kind' has the category 'castle'"):
        ph.influence(post, row=row)


def test_twenty_predictors_in_a_pandas_frame_give_no_warning_and_the_right_products():
    rng = np.random.default_rng(20)
    names = [f"x{k}" for k in range(20)]
    rows = pd.DataFrame(rng.normal(size=(60, 21)), columns=[*names, "y"]).assign(g=np.arange(60) % 3)
    post = ph.fit(f"y ~ {' + '.join(names)} + (1 | g)", rows, chains=1, draws=10, seed=1)
    own = rows[rows["g"] == 1][[*names, "y"]].to_numpy()
    away = own - own.mean(axis=0)
    np.testing.assert_allclose(post.moments.scatter[1], away.T @ away, rtol=1e-10, atol=1e-10)
