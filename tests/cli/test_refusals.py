"""A wrong input: one message that names what is wrong and what to do, exit code 2, nothing written."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import priorhood as ph


@pytest.fixture
def refuses_fit(folder, refused, formula, fit_options):
    """Fit a frame (or the text of a CSV) on the command line; it must be refused."""

    def check(table, says, *options, model=formula):
        path = folder / "in.csv"
        if isinstance(table, pd.DataFrame):
            table.to_csv(path, index=False)
        else:
            path.write_text(table, encoding="utf-8")
        return refused("fit", path, model, "-o", folder / "out.nc", *fit_options, *options, says=says)

    return check


# -- the table ------------------------------------------------------------------------------------------


def test_missing_file_names_a_near_one(folder, refused, formula):
    refused(
        "fit", folder / "sale.csv", formula, "-o", folder / "out.nc", says=("sale.csv", "did you mean", "sales.csv")
    )


def test_missing_posterior_names_a_near_one(folder, refused):
    refused("summary", folder / "pots.nc", says=("pots.nc", "did you mean 'post.nc'"))


def test_missing_folder(folder, refused, formula):
    refused("fit", folder / "no" / "sales.csv", formula, "-o", folder / "out.nc", says=("no file", "sales.csv"))


def test_glob_without_files(folder, refused, formula):
    refused("fit", folder / "part*.csv", formula, "-o", folder / "out.nc", says=("no file", "part*.csv"))


def test_several_files_are_one_pattern(folder, refused, cli, formula, sales, fit_options):
    for name, part in (("part-a.csv", sales[::2]), ("part-b.csv", sales[1::2])):
        part.to_csv(folder / name, index=False)
    files, out = (folder / "part-a.csv", folder / "part-b.csv"), ("-o", folder / "out.nc")
    refused("fit", *files, formula, *out, says=("one table and a formula", "'sales-*.csv' or '[ab].csv'"))
    ran = cli("fit", folder / "part-[ab].csv", formula, *out, *fit_options)
    assert f"{len(sales):,} of {len(sales):,} rows used" in ran.out


def test_empty_file(refuses_fit):
    refuses_fit("", ("in.csv", "is empty"))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_header_only(folder, refused, formula, sales, suffix):
    path = folder / f"in{suffix}"
    if suffix == ".parquet":
        sales.head(0).to_parquet(path)
    else:
        path.write_text(",".join(sales).replace(",", "\t" if suffix == ".tsv" else ",") + "\n")
    refused("fit", path, formula, "-o", folder / "out.nc", says=(path.name, "no rows"))


def test_header_only_frame(sales, formula):
    with pytest.raises(ph.TableError, match="no rows"):
        ph.fit(formula, sales.head(0))


def test_a_folder_without_parts_is_no_table(folder, refused, formula):
    (folder / "parts").mkdir()
    (folder / "parts" / "_SUCCESS").touch()
    refused(
        "fit",
        folder / "parts",
        formula,
        "-o",
        folder / "out.nc",
        says=("folder", "parts", "contains no data files"),
    )


def test_a_folder_of_other_files_is_no_table(folder, refused, formula):
    (folder / "parts").mkdir()
    (folder / "parts" / "notes.docx").write_text("x")
    refused("fit", folder / "parts", formula, "-o", folder / "out.nc", says=("notes.docx", "format", ".parquet"))


def test_unknown_format(folder, refused, formula):
    (folder / "sales.xlsx").write_text("x")
    refused("fit", folder / "sales.xlsx", formula, "-o", folder / "out.nc", says=("sales.xlsx", ".csv", ".parquet"))


# -- the formula ----------------------------------------------------------------------------------------

COLUMNS = [
    ("price ~ living_spce + (living_space | zip)", ("living_spce", "did you mean 'living_space'", "predictor")),
    ("pric ~ living_space + (living_space | zip)", ("'pric'", "did you mean 'price'", "outcome")),
    ("price ~ living_space + (living_space | zpi)", ("'zpi'", "did you mean 'zip'", "group")),
    ("price ~ rooms + (1 | zip)", ("'rooms'", "'living_space'")),
    ("Price ~ living_space + (1 | zip)", ("'Price'", "did you mean 'price'")),
]

TYPOS = [
    ("", ("empty", "price ~ ")),
    ("price living_space", ("'~'",)),
    ("price = living_space + (1 | zip)", ("'~'",)),
    ("price ~~ living_space", ("'~'",)),
    ("~ living_space", ("no outcome",)),
    ("price ~ living_space + (living_space | zip", ("bracket", "not closed")),
    ("price ~ living_space) + (1 | zip)", ("')'",)),
    ("price ~ living_space + 1 | zip", ("brackets", "(1 + area | zip)")),
    ("price ~ living_space + (living_space | )", ("(1 + area | zip)",)),
    ("price ~ living_space + ( | zip)", ("(1 + area | zip)",)),
    ("price ~ living_space +", ("missing", "'+'")),
    ("price ~ living_space + + (1 | zip)", ("missing", "'+'")),
    ("price ~ lg(living_space) + (1 | zip)", ("'lg'", "did you mean 'log'")),
    ("price ~ poly(living_space, 2) + (1 | zip)", ("'poly'", "I(area ** 2)")),
    ("price ~ log() + (1 | zip)", ("log()", "one argument")),
    ("price ~ living_space * (1 | zip)", ("brackets",)),
    ("price ~ living_space - (1 | zip)", ("'-'",)),
    ("price ~ . + (1 | zip)", ("name the columns",)),
    ("price ~ living_space + (1 | district + zip)", ("'district + zip'", "a/b", "(1 | a) + (1 | b)")),
    ("price ~ living_space + (1 | city_zip) + (1 | zip) + (1 | city:zip)", ("'city_zip'", "rename a column")),
    ("price ~ living_space + (1 | city//zip)", ("'city//zip'", "a column is missing")),
    ("price ~ living_space + (1 | tau/zip)", ("'tau'", "rename")),
    ("price ~ living_space + (1 | zip) + (living_space | zip)", ("one part", "(1 + area || zip)")),
    ("price ~ log(price) + (1 | zip)", ("'price'", "both sides")),
    ("price ~ living space + (1 | zip)", ("living space",)),
    ("price ~ 2 * living_space + (1 | zip)", ("2",)),
    ("price ~ 0", ("neither",)),
    ("price ~ living_space + (0 | zip)", ("nothing varies by 'zip'",)),
    ("sqrt(price) ~ living_space", ("sqrt(price)", "log(")),
    ("price ~ C(living_space, zip) + (1 | zip)", ("C()", "one column")),
    ("price ~ `living_space + (1 | zip)", ("backtick",)),
    ("price ~ living_space + (1 | chain)", ("'chain'", "rename")),
    ("price ~ [living_space] + (1 | zip)", ("[living_space]",)),
]


@pytest.mark.parametrize(("text", "says"), COLUMNS + TYPOS)
def test_formula(folder, refused, text, says):
    refused("fit", folder / "sales.csv", text, "-o", folder / "out.nc", says=says)


def test_formula_with_nothing_after_the_tilde_is_not_told_about_a_plus_sign(folder, refused):
    message = refused("fit", folder / "sales.csv", "price ~", "-o", folder / "out.nc", says=("'price ~'",))
    assert "'+'" not in message


@pytest.mark.parametrize("power", ["living_space ** 2", "living_space ^ 2"])
def test_a_power_outside_the_identity_is_not_taken_for_the_column_itself(folder, refused, power):
    formula = f"price ~ living_space + {power} + (1 | zip)"
    refused("fit", folder / "sales.csv", formula, "-o", folder / "out.nc", says=("I(living_space ** 2)",))


# -- values ---------------------------------------------------------------------------------------------

LATE = 60_000  # beyond what the CSV reader samples


def spoilt(sales, column, text, at, rows):
    repeated = pd.concat([sales] * (rows // len(sales) + 1), ignore_index=True).head(rows).astype({column: object})
    repeated.loc[at, column] = text
    return repeated


@pytest.mark.parametrize("column", ["living_space", "price"])
@pytest.mark.parametrize("text", ["1.200,50", "n/a"])
@pytest.mark.parametrize(("at", "rows"), [(3, 160), (LATE, LATE + 500)], ids=["early", "late"])
def test_stray_text_among_numbers(refuses_fit, sales, column, text, at, rows):
    refuses_fit(spoilt(sales, column, text, at, rows), (repr(column), f"'{text}'"))


@pytest.mark.parametrize(("at", "rows"), [(3, 160), (LATE, LATE + 500)], ids=["early", "late"])
def test_stray_text_can_be_named_as_missing(folder, cli, sales, formula, fit_options, at, rows):
    spoilt(sales, "living_space", "n/a", at, rows).to_csv(folder / "in.csv", index=False)
    ran = cli("fit", folder / "in.csv", formula, "-o", folder / "out.nc", *fit_options, "--null", "n/a")
    assert ran.code == 0
    assert ph.load(folder / "out.nc").moments.rows == rows - 1


def test_numbers_with_a_decimal_comma_are_not_taken_for_categories(sales, formula):
    # A pass over the rows only, and few different sizes: as categories, they would be fitted for long.
    comma = sales.assign(living_space=[f"{50 + i % 12},5" for i in range(len(sales))])
    with pytest.raises(ph.TableError, match=r"living_space.*(decimal|comma)"):
        ph.equations(formula, comma)


@pytest.mark.parametrize("column", ["living_space", "price"])
@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_infinite(refuses_fit, sales, column, value):
    changed = sales.astype({column: object})
    changed.loc[[4, 7], column] = value
    refuses_fit(changed, (repr(column), "infinite", "2 rows", value, f"zip '{sales['zip'][4]}'"))


@pytest.mark.parametrize("kind", ["pandas", "polars", "csv", "parquet"])
@pytest.mark.parametrize("column", ["price", "living_space"])
@pytest.mark.parametrize("value", [1e120, -1e160, 1e308])
def test_too_large_to_square(folder, sales, formula, kind, column, value):
    """A typo by a hundred digits is a number all the same, and its square may be none."""
    rows = sales.copy()
    rows.loc[4, column] = value
    if kind == "polars":
        rows = pytest.importorskip("polars").from_pandas(rows)
    elif kind != "pandas":
        path = folder / f"large.{kind}"
        rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
        rows = path
    with pytest.raises(ph.TableError, match=f"'{column}' is too large to square in 1 row, ") as caught:
        ph.fit(formula, rows, draws=20)
    assert f": {value:g} (zip '{sales['zip'][4]}'); fix" in str(caught.value)


@pytest.mark.parametrize("value", [1e80, 1e93])
def test_large_numbers_are_numbers(sales, formula, value):
    post = ph.fit(formula, sales.assign(price=sales["price"] * value), draws=50, seed=1)
    plain = ph.fit(formula, sales, draws=50, seed=1)
    assert post.summary("mu")["mean"].to_numpy() / value == pytest.approx(plain.summary("mu")["mean"].to_numpy())


def test_infinite_in_a_frame(sales, formula):
    with pytest.raises(ph.TableError, match="'price' is infinite in 1 row,"):
        ph.fit(formula, sales.assign(price=sales["price"].where(sales.index != 5, np.inf)))


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("price > 1e12", ("none of the 160 rows", "where")),
        ("prize > 3", ("prize", "price")),
        ("price >", ("price >",)),
        ("price", ("where",)),
        ("price > 3; drop table x", ("price > 3; drop table x", "living_space > 0 and price > 0")),
        ("", ("where", "living_space > 0 and price > 0")),
    ],
)
def test_where(refuses_fit, sales, condition, says):
    refuses_fit(sales, says, "--where", condition)


def test_constant_predictor(refuses_fit, sales):
    refuses_fit(sales.assign(living_space=82.5), ("'living_space'", "82.5", "160 rows", "leave it out"))


def test_constant_outcome(refuses_fit, sales):
    refuses_fit(sales.assign(price=5), ("'price'", "5 in all 160 rows"))


@pytest.mark.parametrize(
    ("model", "column"),
    [("log(price) ~ living_space + (1 | zip)", "price"), ("price ~ log(living_space) + (1 | zip)", "living_space")],
)
def test_logarithm_of_what_is_not_positive(refuses_fit, sales, model, column):
    changed = sales.assign(price=sales["price"].abs() + 1)
    changed.loc[[2, 9], column] = [0.0, -7.0]
    refuses_fit(changed, (column, "<= 0", "2 rows", "-7", f"zip '{sales['zip'][9]}'"), model=model)


def test_single_group(refuses_fit, sales):
    refuses_fit(sales.assign(zip="10115"), ("zip", "'10115'", "fit 'price ~ living_space'"))


def test_more_columns_than_rows(refuses_fit, sales):
    few = sales.head(3).assign(a=[1, 2, 4], b=[3, 5, 4], c=[1, 9, 2])
    refuses_fit(few, ("5 coefficients", "3 rows"), model="price ~ living_space + a + b + c + (1 | zip)")


def test_one_row_per_group_is_fitted_with_a_warning(folder, cli, formula, fit_options, sales):
    alone = sales.assign(zip=[f"{i:05d}" for i in range(len(sales))])
    with pytest.warns(ph.PriorhoodWarning, match=r"every zip has one row.*cannot separate") as caught:
        post = ph.fit(formula, alone, chains=2, draws=50, seed=1)
    assert len(caught) == 1
    assert len(post.notes) == 1
    assert np.isfinite(post.log_evidence)
    alone.to_csv(folder / "in.csv", index=False)
    ran = cli("fit", folder / "in.csv", formula, "-o", folder / "out.nc", *fit_options)
    assert ran.code == 0
    assert ran.err.strip() == f"warning: {post.notes[0]}"
    assert post.notes[0] not in " ".join(ran.out.split())
    assert post.notes[0] in " ".join(cli("summary", folder / "out.nc").out.split())
    assert ph.load(folder / "out.nc").notes == post.notes


def test_one_group_of_two_rows_is_no_reason_to_warn(sales, formula):
    almost = sales.assign(zip=[f"{max(i, 1):05d}" for i in range(len(sales))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ph.fit(formula, almost, chains=1, draws=10).notes == ()


# -- priors ---------------------------------------------------------------------------------------------

PRIORS = [
    ("tau ~ Exponential(scale=-1)", ("scale", "greater than 0", "-1")),
    ("mu ~ Normal(0, 0)", ("sd", "greater than 0")),
    ("omega ~ LKJ(-1)", ("eta", "greater than 0")),
    ("tau ~ Exponential(1e999)", ("finite",)),
    ("tau ~ Normal(0, 1)", ("tau", "Normal(mean=0, sd=1)", "HalfNormal")),
    ("mu ~ Exponential(1)", ("mu", "use Normal")),
    ("sigma ~ LKJ(1)", ("sigma", "HalfNormal")),
    ("tau ~ Exponental(5)", ("'Exponental'", "did you mean 'Exponential'")),
    ("tau[living_spce] ~ Exponential(5)", ("tau[living_spce]", "did you mean 'tau[living_space]'")),
    ("mu[rooms] ~ Normal(0, 1)", ("mu[rooms]", "mu[living_space]")),
    ("kappa ~ Exponential(5)", ("'kappa'", "mu", "tau", "sigma", "nu", "omega")),
    ("area ~ Normal(0, 1)", ("did you mean mu[area], a coefficient?",)),
    ("sd ~ Exponential(5)", ("write tau (between places) or sigma (of the residuals)",)),
    ("tax ~ Normal(0, 1)", ("did you mean 'tau', or mu[tax], a coefficient?",)),
    ("nu ~ Exponential(5)", ("nu", "Normal", "--family student")),
    ("sigma[zip] ~ Exponential(5)", ("sigma[zip]",)),
    ("tau Exponential(5)", ("'~'", "tau[area] ~ Exponential(scale=5)")),
    ("tau ~ Exponential(", ("cannot be read", "Exponential(scale=5)")),
    ("tau ~ Exponential", ("Exponential(scale=5)",)),
    ("tau ~ 5", ("Exponential(scale=5)",)),
    ("tau ~ Exponential('a')", ("scale", "number", "'a'")),
    ("tau ~ Exponential(1, 2)", ("takes numbers for: scale",)),
    ("tau ~ Exponential(rate=3)", ("takes numbers for: scale",)),
]


@pytest.mark.parametrize(("text", "says"), PRIORS)
@pytest.mark.parametrize("command", ["fit", "refit"])
def test_prior(folder, refused, formula, command, text, says):
    what = [folder / "sales.csv", formula] if command == "fit" else [folder / "post.nc"]
    refused(command, *what, "-o", folder / "out.nc", "--prior", text, says=says)


def test_prior_given_twice(folder, refused, formula):
    refused(
        "fit", folder / "sales.csv", formula, "-o", folder / "out.nc",
        "--prior", "tau ~ Exponential(1)", "--prior", "tau ~ Exponential(2)",
        says=("tau", "twice"),
    )  # fmt: skip


# -- the output -----------------------------------------------------------------------------------------


def commands(folder, formula, file="post.nc"):
    """Every command that writes, without its output."""
    return {
        "fit": ["fit", folder / "sales.csv", formula],
        "predict": ["predict", folder / file, folder / "sales.csv"],
        "refit": ["refit", folder / file],
        "update": ["update", folder / file, folder / "sales.csv"],
        "merge": ["merge", folder / file, folder / "elsewhere.nc"],
        "simulate": ["simulate"],
    }


@pytest.mark.parametrize("command", ["fit", "predict", "refit", "update", "merge", "simulate"])
def test_output_into_no_folder(folder, refused, formula, command):
    out = folder / "no" / ("out.csv" if command in ("predict", "simulate") else "out.nc")
    refused(*commands(folder, formula)[command], "-o", out, says=("no folder", str(out.parent)))


@pytest.mark.parametrize("command", ["fit", "predict", "refit", "update", "merge", "simulate"])
def test_output_is_a_folder(folder, refused, formula, command):
    refused(*commands(folder, formula)[command], "-o", folder, says=(repr(str(folder)),))


@pytest.mark.parametrize("command", ["predict", "simulate"])
def test_output_of_unknown_format(folder, refused, formula, command):
    refused(*commands(folder, formula)[command], "-o", folder / "out.xyz", says=("out.xyz", ".csv", ".parquet"))


# -- saved files ----------------------------------------------------------------------------------------


def _cut(folder):
    whole = (folder / "post.nc").read_bytes()
    (folder / "bad.nc").write_bytes(whole[: len(whole) // 2])
    return ("bad.nc", "truncated or not a netCDF file")


def _text(folder):
    (folder / "bad.nc").write_text("hello\n")
    return ("bad.nc", "truncated or not a netCDF file")


def _nothing(folder):
    (folder / "bad.nc").write_bytes(b"")
    return ("bad.nc", "truncated or not a netCDF file")


def _foreign(folder):
    xr.Dataset({"rain": ("day", [1.0, 2.0])}).to_netcdf(folder / "bad.nc", engine="h5netcdf")
    return ("bad.nc", "not a priorhood posterior")


def _changed(folder, **attrs):
    post = ph.load(folder / "post.nc")
    tree = post.tree.copy()
    for name, value in attrs.items():
        if value is None:
            del tree.attrs[name]
        else:
            tree.attrs[name] = value
    replace(post, tree=tree).save(folder / "bad.nc")


def _newer(folder):
    _changed(folder, priorhood_format=99)
    return ("bad.nc", "99", "upgrade")


def _odd_version(folder):
    _changed(folder, priorhood_format="two")
    return ("bad.nc",)


def _part_missing(folder):
    _changed(folder, scale=None)
    return ("bad.nc", "the attribute 'scale' is missing")


def _no_model(folder):
    _changed(folder, model="{")
    return ("bad.nc", "the attribute 'model' is '{', not a JSON mapping")


@pytest.mark.parametrize(
    "make", [_cut, _text, _nothing, _foreign, _newer, _odd_version, _part_missing, _no_model],
    ids=lambda make: make.__name__.strip("_"),
)  # fmt: skip
@pytest.mark.parametrize("command", ["summary", "predict", "refit", "update", "merge"])
def test_saved_file_that_is_none(folder, refused, formula, command, make):
    says = make(folder)
    if command == "summary":
        refused("summary", folder / "bad.nc", says=says)
        return
    out = folder / ("out.csv" if command == "predict" else "out.nc")
    refused(*commands(folder, formula, "bad.nc")[command], "-o", out, says=says)


def test_merge_of_the_same_rows_twice(folder, refused):
    refused("merge", folder / "post.nc", folder / "post.nc", "-o", folder / "out.nc", says=("same rows", "once"))


def test_merge_of_one(folder, refused):
    refused("merge", folder / "post.nc", "-o", folder / "out.nc", says=("at least two",))


@pytest.mark.parametrize(
    ("formula_2", "priors", "standardize", "says"),
    [
        ("price ~ living_space + (1 | zip)", None, True, ("formula", "(1 | zip)", "(living_space | zip)")),
        (None, "tau ~ Exponential(1)", True, ("priors", "tau", "Exponential(scale=1)")),
        (None, None, False, ("standardize",)),
    ],
)
def test_merge_of_different_models(folder, refused, sales, formula, fast, formula_2, priors, standardize, says):
    other = ph.Model(formula_2 or formula, priors, standardize=standardize)
    ph.fit(other, sales, **fast).save(folder / "other.nc")
    refused("merge", folder / "post.nc", folder / "other.nc", "-o", folder / "out.nc", says=("cannot merge", *says))


def test_a_category_to_predict_that_the_fit_had_not(folder, refused, sales, fast):
    for name, second in (("one", "house"), ("two", "loft")):
        kinds = sales.assign(kind=np.where(sales.index % 3 == 0, "flat", second))
        kinds.to_csv(folder / f"{name}.csv", index=False)
        ph.fit("price ~ kind + (1 | zip)", kinds, **fast).save(folder / f"{name}.nc")
    # What merge and update reconcile, rows to predict cannot.
    refused(
        "predict",
        folder / "one.nc",
        folder / "two.csv",
        "-o",
        folder / "out.csv",
        says=("'kind'", "'loft'", "house"),
    )


# -- options --------------------------------------------------------------------------------------------


def test_unseen_group(folder, refused, sales):
    sales.head(3).assign(zip=["99999", "99998", sales["zip"][0]]).to_csv(folder / "new.csv", index=False)
    says = ("zip", "'99998'", "'99999'", "population", "draw")
    refused("predict", folder / "post.nc", folder / "new.csv", "-o", folder / "out.csv", says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--quantiles", "0.05,x"], ("0.05,x", "0.05,0.5,0.95")),
        (["--quantiles", "0.5;0.9"], ("0.5;0.9", "0.05,0.5,0.95")),
        (["--quantiles", "0,0.5"], ("between 0 and 1",)),
        (["--quantiles", "50"], ("between 0 and 1", "50")),
        (["--quantiles", "nan"], ("nan",)),
        (["--unseen", "guess"], ("'guess'", "error, population, draw")),
        (["--below", "nan"], ("below", "nan")),
        (["--below", "x"], ("'x' is not a number", "--below")),
        (["--below", "300000", "--above", "350.000"], ("--above 350.000 is 350", "write 350000 or 350")),
        (["--seed", "-1"], ("seed", "-1")),
    ],
)
def test_options_of_predict(folder, refused, options, says):
    refused("predict", folder / "post.nc", folder / "sales.csv", "-o", folder / "out.csv", *options, says=says)


@pytest.mark.parametrize("command", ["predict", "report", "plot price"])
def test_a_threshold_that_may_be_in_thousands(folder, refused, cli, sales, command):
    inputs = [folder / "sales.csv"] if command == "predict" else []
    home = ["--at", "living_space=100", "--group", sales.zip[0]] if command == "plot price" else []
    out = folder / {"predict": "out.csv", "report": "out.html", "plot price": "out.png"}[command]
    argv = (*command.split(), folder / "post.nc", *inputs, *home, "-o", out, "--below")
    refused(*argv, "350.000", says=("--below 350.000 is 350", "the mean of price", "write 350000 or 350"))
    for meant in ("350", "350000", "350000.125", "0.350"):
        assert cli(*argv, meant).code == 0


def test_no_rows_are_predicted_without_brackets(folder, cli, sales):
    sales.head(0).to_csv(folder / "none.csv", index=False)
    ran = cli("predict", folder / "post.nc", folder / "none.csv", "-o", folder / "out.csv")
    assert ran.out == f"0 rows predicted, written to {folder / 'out.csv'}\n"


def test_columns_of_the_predictions_clash(folder, refused, cli, sales):
    sales.assign(mean=1.0).to_csv(folder / "in.csv", index=False)
    argv = ("predict", folder / "post.nc", folder / "in.csv", "-o", folder / "out.csv")
    refused(*argv, says=("'mean'", "prefix"))
    assert cli(*argv, "--prefix", "p_").code == 0
    assert {"mean", "p_mean", "p_status"} <= set(pd.read_csv(folder / "out.csv"))


def test_predictor_is_not_in_the_table(folder, refused, sales):
    sales.rename(columns={"living_space": "living_spaces"}).to_csv(folder / "in.csv", index=False)
    says = ("'living_space'", "did you mean 'living_spaces'")
    refused("predict", folder / "post.nc", folder / "in.csv", "-o", folder / "out.csv", says=says)
    refused("update", folder / "post.nc", folder / "in.csv", "-o", folder / "out.nc", says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--engine", "nutz"], ("'nutz'", "auto", "exact")),
        (["--chains", "0"], ("chains", "at least 1", "0")),
        (["--draws", "0"], ("draws", "at least", "0")),
        (["--draws", "-5"], ("draws", "-5")),
        (["--threads", "0"], ("threads", "at least 1")),
        (["--seed", "-1"], ("seed", "-1")),
        (["--seed", str(2**64)], ("seed",)),
        (["--outcome-unit", "0"], ("outcome_unit", "above 0")),
        (["--outcome-unit", "many"], ("outcome_unit", "'many'")),
        (["--unit", "price"], ("'price'", "price=€")),
        (["--drop-outliers", "-1"], ("drop_outliers", "-1")),
        (["--drop-outliers", "nan"], ("drop_outliers", "nan")),
        (["--decimal", "xx"], ("decimal",)),
    ],
)
def test_options_of_fit(folder, refused, formula, options, says):
    refused("fit", folder / "sales.csv", formula, "-o", folder / "out.nc", *options, says=says)


@pytest.mark.parametrize(("places", "rows"), [(0, 10), (9, 3)])
def test_options_of_simulate(folder, refused, places, rows):
    refused("simulate", "--places", places, "--rows", rows, "-o", folder / "out.csv", says=(str(places), "place"))


@pytest.mark.parametrize(
    "argv", [["fit"], ["ft"], ["fit", "sales.csv", "price ~ 1", "-o", "x.nc", "--drawz", "3"]], ids=str
)
def test_wrong_usage(folder, cli, argv):
    ran = cli(*argv)
    assert ran.code == 2
    assert ran.out == ""
    assert "Error:" in ran.err
    assert "Traceback" not in ran.err


# -- from Python ----------------------------------------------------------------------------------------


AREA = "price ~ living_space + (1 | zip)"

PYTHON = {
    "missing file": (ph.TableError, lambda sales, fitted, stock: ph.read(stock / "sale.csv")),
    "no table": (ph.TableError, lambda sales, fitted, stock: ph.read(object())),
    "ragged mapping": (ph.TableError, lambda sales, fitted, stock: ph.read({"a": [1], "b": [1, 2]})),
    "unknown column": (ph.TableError, lambda sales, fitted, stock: ph.fit("prize ~ 1 + (1 | zip)", sales)),
    "typo": (ph.FormulaError, lambda sales, fitted, stock: ph.Model("price ~ (1 | zip")),
    "formula of another type": (ph.FormulaError, lambda sales, fitted, stock: ph.Model(3)),
    "stray text": (
        ph.TableError,
        lambda sales, fitted, stock: ph.fit(AREA, spoilt(sales, "living_space", "n/a", 3, 160)),
    ),
    "infinite": (ph.TableError, lambda sales, fitted, stock: ph.fit(AREA, sales.assign(living_space=np.inf))),
    "nothing left": (
        ph.TableError,
        lambda sales, fitted, stock: ph.fit(AREA, ph.read(sales, where="price > 1e12")),
    ),
    "bad where": (ph.TableError, lambda sales, fitted, stock: ph.read(sales, where="prize > 3")),
    "bad where in file": (
        ph.TableError,
        lambda sales, fitted, stock: ph.read(stock / "sales.csv", where="prize > 3"),
    ),
    "constant predictor": (
        ph.ModelError,
        lambda sales, fitted, stock: ph.fit(AREA, sales.assign(living_space=1.0)),
    ),
    "constant outcome": (ph.ModelError, lambda sales, fitted, stock: ph.fit(AREA, sales.assign(price=1.0))),
    "log": (
        ph.TableError,
        lambda sales, fitted, stock: ph.fit("log(price) ~ 1 + (1 | zip)", sales.assign(price=-sales.price)),
    ),
    "one group": (ph.ModelError, lambda sales, fitted, stock: ph.fit(AREA, sales.assign(zip="1"))),
    "few rows": (
        ph.ModelError,
        lambda sales, fitted, stock: ph.fit("price ~ living_space + I(living_space**2)", sales.head(2)),
    ),
    "prior": (ph.PriorError, lambda sales, fitted, stock: ph.Exponential(-1)),
    "prior family": (ph.PriorError, lambda sales, fitted, stock: ph.Model(AREA, {"tau": ph.Normal(0, 1)})),
    "prior of no term": (
        ph.PriorError,
        lambda sales, fitted, stock: ph.fit(ph.Model(AREA, {"tau[x]": ph.HalfNormal(1)}), sales),
    ),
    "prior of another type": (ph.PriorError, lambda sales, fitted, stock: ph.Model(AREA, {"tau": 3})),
    "output": (ph.FileError, lambda sales, fitted, stock: fitted.save(stock / "no" / "x.nc")),
    "load": (ph.FileError, lambda sales, fitted, stock: ph.load(stock / "sales.csv")),
    "merge": (
        ph.ModelError,
        lambda sales, fitted, stock: ph.merge(fitted, ph.fit(AREA, sales, chains=1, draws=10, seed=1)),
    ),
    "merge of one": (ph.ModelError, lambda sales, fitted, stock: ph.merge(fitted)),
    "unseen": (ph.TableError, lambda sales, fitted, stock: fitted.predict({"zip": ["1"], "living_space": [50]})),
    "quantiles": (ph.ModelError, lambda sales, fitted, stock: fitted.predict(sales, quantiles=[2])),
    "clash": (ph.TableError, lambda sales, fitted, stock: fitted.predict(sales.assign(sd=1))),
    "engine": (ph.ModelError, lambda sales, fitted, stock: ph.fit(AREA, sales, engine="nutz")),
    "chains": (ph.ModelError, lambda sales, fitted, stock: ph.fit(AREA, sales, chains=0)),
    "draws": (ph.ModelError, lambda sales, fitted, stock: ph.fit(AREA, sales, draws=2.5)),
    "seed": (ph.ModelError, lambda sales, fitted, stock: ph.fit(AREA, sales, seed=-1)),
    "interval": (ph.ModelError, lambda sales, fitted, stock: fitted.summary(interval=90)),
    "parameter": (ph.ModelError, lambda sales, fitted, stock: fitted["alpha"]),
    "categories": (
        ph.FormulaError,
        lambda sales, fitted, stock: ph.fit(
            "price ~ C(kind):C(zip) + (1 | zip)", sales.assign(kind=np.where(sales.index % 2, "a", "b"))
        ),
    ),
    "simulate": (ph.ModelError, lambda sales, fitted, stock: ph.simulate(0, 3)),
}


@pytest.mark.parametrize("name", PYTHON)
def test_python_raises_the_same(sales, fitted, stock, name):
    kind, act = PYTHON[name]
    with pytest.raises(ph.PriorhoodError) as caught:
        act(sales, fitted, stock)
    assert isinstance(caught.value, kind)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value).splitlines()) == 1
    # The backend's own error is no news to a user.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_half_a_garden(folder, refused, cli, sales, fit_options):
    """What was true or false in the fit is no number later, in rows or at a home."""
    rows = sales.assign(garden=sales.index % 3 == 0)
    rows.to_csv(folder / "gardens.csv", index=False)
    cli("fit", folder / "gardens.csv", "price ~ garden + (1 | zip)", "-o", folder / "gardens.nc", *fit_options)
    rows.head(4).assign(garden=[1, 0, 0.5, 1]).to_csv(folder / "odd.csv", index=False)
    says = ("odd.csv", "'garden'", "row 3: 0.5", "true and false, or 1 and 0")
    refused("predict", folder / "gardens.nc", folder / "odd.csv", "-o", folder / "out.csv", says=says)
    draw = ("plot", "forest", folder / "gardens.nc", "-o", folder / "forest.png", "--at")
    refused(*draw, "garden=2", says=("'garden'", "--at garden=true", "not 2"))
    assert cli(*draw, "garden=true").code == 0
