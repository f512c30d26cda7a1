"""Predictions in nested and crossed places, known, new and not told, against loops over the labelled draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph
from priorhood.data.sources.table import read
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import frame_to_predict, read_rows

NESTED = "y ~ x + (x | city/district/zip) + (1 | kind)"
S = 4000


@pytest.fixture(scope="module")
def rows():
    """Districts of the same name in both cities, unlike each other; ZIPs of very different sizes."""
    rng = np.random.default_rng(4)
    zips = rng.choice(16, 400, p=(w := 1.0 / np.arange(1, 17)) / w.sum())
    frame = pd.DataFrame(
        {
            "city": np.array(["A", "B"])[zips % 2],
            "district": np.array(["north", "south"])[zips // 2 % 2],
            "zip": [f"{z // 4:02d}" if z != 13 else "77" for z in zips],
            "kind": np.array(["flat", "house", "loft"])[rng.choice(3, 400, p=[0.7, 0.2, 0.1])],
            "x": rng.normal(5, 2, 400),
        }
    )
    effect = {key: 20 * k for k, key in enumerate(sorted(set(zip(frame.city, frame.district, strict=True))))}
    far = np.array([effect[key] for key in zip(frame.city, frame.district, strict=True)])
    own = pd.factorize(frame.zip)[0]
    kind = frame.kind.map({"flat": 0.0, "house": 8.0, "loft": -8.0})
    return frame.assign(y=far + 4 * own + kind + 2 * frame.x + rng.normal(0, 1.5, 400))


@pytest.fixture(scope="module")
def post(rows):
    return ph.fit(NESTED, rows, seed=2)


def flat(post, name, **labels):
    """Draws (S, …) of a parameter at some labels."""
    return post[name].sel(**labels).values.reshape(S, -1)


def location(post, x, coefficients, kind=None):
    """Draws of xᵀβ in the outcome's units; coefficients (S, 2) of Intercept and x."""
    at = (x - post.scale.centre[1]) / post.scale.spread[1]
    m = coefficients[:, 0] + coefficients[:, 1] * at
    if kind is not None:
        m = m + flat(post, "delta_kind", kind=kind)[:, 0]
    return m * post.scale.unit


def told(post, m):
    """Mean and sd of the prediction whose location has the draws m."""
    sigma = flat(post, "sigma")[:, 0] * post.scale.unit
    return m.mean(), np.sqrt(m.var() + (sigma**2).mean())


def one(post, **labels):
    given = {"zip": None, "kind": None, **labels}  # a parent's column may be left out, these may not
    frame = pd.DataFrame({"x": [6.0], **{name: [label] for name, label in given.items()}})
    found = post.predict(frame, unseen="population").iloc[0]
    return found["mean"], found["sd"], found["status"]


def agrees(found, post, m):
    return np.allclose(found[:2], told(post, m), rtol=1e-9)


def test_known_places(post):
    m = location(post, 6.0, flat(post, "beta", zip="B/south/01"), "loft")
    found = one(post, city="B", district="south", zip="01", kind="loft")
    assert agrees(found, post, m)
    assert found[2] == "known"
    # Negative control: the place of the same names in the other city.
    assert not agrees(found, post, location(post, 6.0, flat(post, "beta", zip="A/south/01"), "loft"))


def test_a_new_zip_has_the_coefficients_of_what_is_known_above_it(post):
    district = flat(post, "beta_district", district="A/north")
    found = one(post, city="A", district="north", zip="new", kind="flat")
    assert agrees(found, post, location(post, 6.0, district, "flat"))
    assert found[2] == "new"
    city = one(post, city="A", district="new", zip="new", kind="flat")
    assert agrees(city, post, location(post, 6.0, flat(post, "beta_city", city="A"), "flat"))
    everywhere = one(post, city="new", district="north", zip="00", kind="flat")
    assert agrees(everywhere, post, location(post, 6.0, flat(post, "mu"), "flat"))


def test_a_zip_is_found_by_its_own_label_where_only_one_has_it(post):
    m = location(post, 6.0, flat(post, "beta", zip="B/north/77"), "flat")
    for given in ({"zip": "77"}, {"zip": "77", "city": "B"}, {"zip": "77", "district": "north", "city": None}):
        found = one(post, kind="flat", **given)
        assert agrees(found, post, m)
        assert found[2] == "known"
    # A district that it does not lie in is another, new place.
    assert one(post, city="B", district="south", zip="77", kind="flat")[2] == "new"


def mixture(post, rows, kind=None, **labels):
    """Mean and sd of a row that is in any of the ZIPs with these labels, as often as their rows."""
    means, seconds, weights = [], [], []
    here = rows[np.logical_and.reduce([rows[name] == label for name, label in labels.items()])]
    for (city, district, code), own in here.groupby(["city", "district", "zip"]):
        mean, sd = told(post, location(post, 6.0, flat(post, "beta", zip=f"{city}/{district}/{code}"), kind))
        means.append(mean)
        seconds.append(sd**2 + mean**2)
        weights.append(len(own))
    mean = np.average(means, weights=weights)
    return mean, np.sqrt(np.average(seconds, weights=weights) - mean**2)


def test_an_unknown_zip_is_averaged_over_those_it_may_be(post, rows):
    for labels in ({"city": "A", "district": "north"}, {"city": "B"}, {"zip": "01"}, {"district": "south"}):
        found = one(post, kind="house", **labels)
        mean, sd = mixture(post, rows, "house", **labels)
        # Every draw takes one ZIP, as often as its rows: the means of the parts differ by Monte Carlo alone.
        assert found[0] == pytest.approx(mean, abs=5 * sd / np.sqrt(S))
        assert found[1] == pytest.approx(sd, rel=0.03)
        assert found[2] == "unknown"
    assert abs(mixture(post, rows, "house", city="A")[0] - mixture(post, rows, "house", city="B")[0]) > 5 * sd / 60


def test_crossed_places(post, rows):
    zip_ = {"city": "A", "district": "south", "zip": "00"}
    beta = flat(post, "beta", zip="A/south/00")
    found = one(post, kind="castle", **zip_)
    assert agrees(found, post, location(post, 6.0, beta))  # the average kind
    assert found[2] == "new"
    missing = one(post, **zip_)
    parts = [told(post, location(post, 6.0, beta, kind)) for kind in ("flat", "house", "loft")]
    shares = rows.kind.value_counts(normalize=True)[["flat", "house", "loft"]].to_numpy()
    mean = shares @ [m for m, _ in parts]
    sd = np.sqrt(shares @ [s**2 + m**2 for m, s in parts] - mean**2)
    assert missing[0] == pytest.approx(mean, abs=5 * sd / np.sqrt(S))
    assert missing[1] == pytest.approx(sd, rel=0.03)
    assert missing[2] == "unknown"


# -- draws of new places ------------------------------------------------------------------------------------


def coefficients(post, frame, seed=9):
    """The coefficients (S, 2) that every row of new places takes, and the crossed effects (S, 1)."""
    c = post._coefficients()
    table = read(frame)
    found = read_rows(c, frame_to_predict(table, post.design, c.row_weights), "t", "draw")
    groups = Groups(c, found.spots, "draw", seed)
    return [groups.beta(int(at)) for at in found.group], [groups.across(0, int(at)) for at in found.group]


def covariance(post, level):
    tau, omega = flat(post, f"tau{level}"), flat(post, f"omega{level}").reshape(S, 2, 2)
    return tau[:, :, None] * omega * tau[:, None, :]


def squared_length(differences, covariances):
    """Σ of dᵀ C⁻¹ d over all draws: chi-square with S × dim degrees of freedom where C is right."""
    return np.einsum("si,si->", differences, np.linalg.solve(covariances, differences[..., None])[..., 0])


def fits(total, dim):
    """False in 1 of 10,000 seeds where the covariance is right."""
    return 5e-5 < stats.chi2.cdf(total, S * dim) < 1 - 5e-5


def new(**columns):
    return pd.DataFrame({"x": 6.0, **columns})


def test_a_new_zip_is_drawn_around_its_district(post):
    (beta,), _ = coefficients(post, new(city=["A"], district=["north"], zip=["new"], kind=["flat"]))
    away = beta - flat(post, "beta_district", district="A/north")
    assert fits(squared_length(away, covariance(post, "")), 2)
    assert not fits(squared_length(1.05 * away, covariance(post, "")), 2)
    wrong = beta - flat(post, "beta_city", city="A")
    assert not fits(squared_length(wrong, covariance(post, "")), 2)


def test_zips_of_a_new_district_share_its_draw(post):
    """Two ZIPs of one new district, around their city: both variances, and what they have in common."""
    (one_, two), _ = coefficients(post, new(city="B", district="new", zip=["1", "2"], kind="flat"))
    total = one_ + two - 2 * flat(post, "beta_city", city="B")
    shared, own = covariance(post, "_district"), covariance(post, "")
    assert fits(squared_length(one_ - two, 2 * own), 2)
    assert fits(squared_length(total, 4 * shared + 2 * own), 2)
    # Negative control: what it would be with a district drawn anew for every ZIP.
    assert not fits(squared_length(total, 2 * shared + 2 * own), 2)


def test_new_kinds_are_drawn_and_shared(post):
    frame = new(city="A", district="north", zip=["00", "01", "00"], kind=["castle", "castle", "hut"])
    _, (castle, again, hut) = coefficients(post, frame)
    assert np.array_equal(castle, again)
    tau = flat(post, "tau_kind")
    assert fits(squared_length(castle, tau[:, :, None] ** 2), 1)
    both = np.concatenate([castle, hut], axis=1)
    assert fits(squared_length(both, tau[:, :, None] ** 2 * np.eye(2)), 2)
    assert not np.array_equal(castle, hut)


def test_draws_do_not_depend_on_other_rows(post):
    frame = new(city=["A", "B", "A", None], district=["new", "new", "north", "north"], zip=["1", "1", "9", None],
                kind=["flat", "hut", None, "loft"])  # fmt: skip
    whole = post.predict_draws(frame, unseen="draw").values
    alone = post.predict(frame.iloc[[2]], unseen="draw", seed=post.seed)
    together = post.predict(frame, unseen="draw", seed=post.seed)
    assert alone["mean"].iloc[0] == pytest.approx(together["mean"].iloc[2], rel=1e-12)
    np.testing.assert_allclose(
        whole.mean(axis=(0, 1)), together["mean"], atol=5 * together["sd"].max() / np.sqrt(S)
    )
    turned = post.predict(frame.iloc[::-1], unseen="draw", seed=post.seed)
    np.testing.assert_allclose(turned["mean"].to_numpy()[::-1], together["mean"], rtol=1e-12)
