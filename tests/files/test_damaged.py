"""Saved files whose parts are broken one by one: refused by name, or the same numbers; never a traceback.

What is broken leaves the checksums as they were, as a bad disk and other programs do, or is sealed again with right
ones, as a stranger could: then nothing but the parts themselves tells that they do not fit.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import warnings

import h5py
import numpy as np
import pytest
import xarray as xr

import priorhood as ph
from priorhood.errors import PriorhoodWarning
from priorhood.suffstats import netcdf
from shared_data import STORED
from sums_tree import sums_tree

pytestmark = pytest.mark.once

OLD = STORED
# `make slow` breaks every part.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
FAST = {"chains": 2, "draws": 20, "seed": 1}
BREAKS = ("removed", "text", "number", "longer", "nan", "bytes", "zero")


@pytest.fixture(scope="module")
def rows():
    frame, _ = ph.simulate(9, 180, seed=4)
    at = np.arange(len(frame))
    return frame.assign(
        district=np.where(frame["zip"].astype(int) % 2, "a", "b"), kind=np.where(at % 3, "flat", "loft"),
        seller=np.where(at % 2, "x", "y"), w=1.0 + at % 4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory, rows):
    """A file of every shape: nested, crossed, with noise, weights, summaries, places; sums with and without."""
    folder = tmp_path_factory.mktemp("damaged")
    places = rows.groupby("zip", as_index=False).agg(far=("living_space", "mean"))
    slope = "price ~ living_space + (living_space | zip)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorhoodWarning)
        made = {
            "plain": ph.fit(slope, rows, **FAST),
            "nested": ph.fit("price ~ living_space + (living_space | district/zip)", rows, **FAST),
            "crossed": ph.fit("price ~ living_space * kind + (1 | zip) + (1 | seller)", rows, **FAST),
            "noise": ph.fit(ph.Model(slope, noise="zip"), rows, **FAST),
            "weights": ph.fit(ph.Model("price ~ living_space + (1 | zip)", precision_weights="w"), rows, **FAST),
            "summaries": ph.fit("price ~ living_space + (1 | district/zip)", rows, store="summaries", **FAST),
            "places": ph.fit("price ~ living_space + far + (1 | zip)", rows, places=places, **FAST),
        }
        made["attached"] = made["plain"].attach(ph.posterior_predictive(made["plain"], rows))
        sums = {
            "plain.moments": ph.moments(slope, rows),
            "nested.moments": ph.moments(
                ph.Model("price ~ kind + (1 | district/zip)", precision_weights="w"), rows
            ),
        }
    for name, one in (made | sums).items():
        one.save(folder / name)
    shutil.copy(OLD / "format2.nc", folder / "student")
    return folder


POSTERIORS = ("plain", "nested", "crossed", "noise", "weights", "summaries", "places", "attached", "student")
SUMS = ("plain.moments", "nested.moments")


def _loaded(path):
    return ph.load_moments(path) if path.name.endswith("moments") else ph.load(path)


def _parts(path):
    """Every variable and attribute: (group or variable, attribute or None)."""
    found = []
    with h5py.File(path) as h5:

        def note(name, one):
            found.extend((name, key) for key in one.attrs if key not in ("DIMENSION_LIST", "REFERENCE_LIST"))
            if isinstance(one, h5py.Dataset):
                found.append((name, None))

        found.extend(("/", key) for key in h5.attrs)
        h5.visititems(note)
    return sorted(found, key=str)


def _broken(path, part, how, chance):
    """Break one part of a file in place."""
    name, attribute = part
    with h5py.File(path, "r+") as h5:
        one = h5[name]
        if attribute is None:
            old, attrs = one[()], dict(one.attrs)
            dims = [dim[0].name if len(dim) else None for dim in one.dims]
            del h5[name]
        else:
            old = one.attrs[attribute]
            del one.attrs[attribute]
        if how == "removed":
            return
        old = np.asarray(old)
        kind = old.dtype.kind
        numbers = old.astype(float) if kind in "biuf" else np.zeros(old.shape)
        new = {
            "text": np.full(old.shape, "x" * 20, dtype=object), "number": numbers + 0.5,
            "longer": np.concatenate([old, old], axis=0) if old.ndim else np.repeat(old, 3),
            "nan": np.full(old.shape, np.nan), "zero": np.zeros(old.shape),
            "bytes": np.frombuffer(chance.randbytes(8 * max(1, old.size)), dtype=float).reshape(old.shape or (1,)),
        }[how]  # fmt: skip
        stored = h5py.string_dtype() if new.dtype.kind in "OU" else new.dtype
        if attribute is not None:
            one.attrs.create(attribute, new, dtype=stored)
            return
        made = h5.create_dataset(name, data=new, dtype=stored)
        for key, value in attrs.items():
            if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
                made.attrs[key] = value
        for at, scale in enumerate(dims):
            if scale and scale in h5 and at < made.ndim and scale.lstrip("/") != name:
                made.dims[at].attach_scale(h5[scale])
        if "NAME" in attrs:
            made.make_scale(attrs["NAME"])


def _sealed(path):
    """Right checksums again, as a stranger could make them; False where the file has no tree any more."""
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
        tree.attrs.pop(netcdf.CHECKSUMS, None)
        with path.open("w+b") as file:
            netcdf.write_tree(file, tree)
    except Exception:  # noqa: BLE001  # whatever xarray makes of it
        return False
    return True


def _used(found, name):
    """What a user does with it: nothing but our own errors, and finite numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name.endswith("moments"):
            str(found)
            ph.fit(found.formula.text, found, **FAST)
            return
        table = found.summary()
        assert np.isfinite(table[["mean", "sd", "median"]].to_numpy()).all()
        str(found.check())
        found.equations()
        rows = found.predict(found.homes(), unseen="population")
        known = rows["status"] != "missing"  # a place's value may be unknown, which is said
        assert np.isfinite(rows.loc[known, "mean"]).all()
        if found.model.family == "normal":
            ph.refit(found, **FAST)


@functools.cache
def _whole(path):
    return netcdf.read_tree(path, {})


def _tried(folder, tmp_path, name, part, how, chance, *, seal):
    """Break, load, use; the sentence of a refusal, "same" or "used"."""
    path = tmp_path / name
    shutil.copy(folder / name, path)
    _broken(path, part, how, chance)
    if seal and not _sealed(path):
        return "no tree"
    try:
        found = _loaded(path)
    except ph.FileError as problem:
        return str(problem)
    if not seal:
        tree = _whole(folder / name)
        mine = found.tree if isinstance(found, ph.Posterior) else netcdf.read_tree(path, {})
        for group in ("posterior", "sample_stats", "moments", "summaries", "places"):
            if group in tree.children:
                assert mine[group].to_dataset().equals(tree[group].to_dataset())
        assert {k: v for k, v in tree.attrs.items() if mine.attrs.get(k) != v} == {}
        return "same"
    try:
        _used(found, name)
    except ph.PriorhoodError as problem:
        return str(problem)
    return "used"


def _cases(folder, names, count, seed):
    chance = random.Random(seed)
    every = [(name, part, how) for name in names for part in _parts(folder / name) for how in BREAKS]
    chance.shuffle(every)
    return every[:count], chance


def _matters(part):
    """Whether a part says something of the posterior, not of how its labels are kept in HDF5."""
    name, attribute = part
    if attribute is None:
        return name.split("/")[0] in ("posterior", "sample_stats", "moments", "summaries", "places")
    return name == "/" and not attribute.startswith("_")


def _check_refused(files, tmp_path, cases, chance):
    for case in cases:
        said = _tried(files, tmp_path, *case, chance, seal=False)
        # Some are zero already: no transition diverged.
        assert said != "same" or not _matters(case[1]) or case[2] == "zero", case
        assert said == "same" or (said.startswith(repr(str(tmp_path / case[0]))) and "\n" not in said), said


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_part_is_refused_unless_it_is_of_no_account(files, tmp_path, seed):
    _check_refused(files, tmp_path, *_cases(files, [*POSTERIORS[:-1], *SUMS], 40, seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_part_that_does_not_fit_is_no_traceback_under_right_checksums(files, tmp_path, seed):
    cases, chance = _cases(files, [*POSTERIORS, *SUMS], 25, 100 + seed)
    said = [_tried(files, tmp_path, *case, chance, seal=True) for case in cases]
    assert sum(one != "used" for one in said) > 0.3 * len(cases)


@pytest.mark.parametrize(("part", "value"), [("mean", 1e101), ("mean", 1e200), ("scatter", 1e250), ("n", 1e308)])
@pytest.mark.parametrize("name", ["plain", "plain.moments"])
def test_sums_of_values_that_no_table_may_have_are_refused(files, tmp_path, name, part, value):
    """They ended in an OverflowError where the outcome's sd was infinite."""
    path = tmp_path / name
    shutil.copy(files / name, path)
    with h5py.File(path, "r+") as h5:
        own = h5[f"moments/{part}"]
        at = (0, -1, -1)[: own.ndim]
        own[at] = value if own.dtype.kind == "f" else np.iinfo(own.dtype).max
    assert _sealed(path)
    with pytest.raises(ph.FileError, match="'moments"):
        _loaded(path)


def test_labels_that_a_dimension_had_not_are_refused(files, tmp_path):
    """Without HDF5's name for a dimension that has no labels, zeros were its labels."""
    path = tmp_path / "places"
    shutil.copy(files / "places", path)
    with h5py.File(path, "r+") as h5:
        del h5["places/place"].attrs["NAME"]
    with pytest.raises(ph.FileError, match="the variable 'places/place' was not saved"):
        _loaded(path)


@pytest.mark.parametrize("gone", ["posterior/term", "posterior/zip", "moments/zip"])
def test_labels_that_are_gone_are_named(files, tmp_path, gone):
    """What the reader stumbled on was told in Python's words: 'NoneType' object has no attribute 'split'."""
    path = tmp_path / "plain"
    shutil.copy(files / "plain", path)
    with h5py.File(path, "r+") as h5:
        del h5[gone]
    with path.open("ab") as file:  # without the checksums at the end, as another program leaves it
        file.write(b"x" * 40)
    with pytest.raises(ph.FileError, match=r"(labels that|the variable) .* missing") as caught:
        _loaded(path)
    assert "NoneType" not in str(caught.value)


def test_draws_without_a_square_are_refused(files, tmp_path):
    """Their sd was infinite."""
    path = tmp_path / "plain"
    shutil.copy(files / "plain", path)
    with h5py.File(path, "r+") as h5:
        h5["posterior/mu"][0, 0, 0] = 1e160
    assert _sealed(path)
    with pytest.raises(ph.FileError, match=r"posterior/mu.* has the impossible value 1e\+160"):
        _loaded(path)


def test_draws_of_errors_without_quartiles_are_refused(files, tmp_path):
    """Their predictions were no numbers."""
    path = tmp_path / "student"
    shutil.copy(files / "student", path)
    with h5py.File(path, "r+") as h5:
        h5["posterior/nu"][...] = 0.0
    with pytest.raises(ph.FileError, match=r"posterior/nu.* has the impossible value 0"):
        _loaded(path)


def _spoilt(content, chance):
    """A file with flipped bits, or cut off, or with something put in."""
    spoilt = bytearray(content)
    kind = chance.random()
    if kind < 0.7:
        for _ in range(chance.choice((1, 1, 1, 3, 30))):
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    elif kind < 0.9:
        del spoilt[chance.randrange(len(spoilt)) :]
    else:
        at = chance.randrange(len(spoilt))
        spoilt[at : at + 8] = chance.randbytes(8 * chance.randrange(4))
    return bytes(spoilt)


def _flip(files, tmp_path, names, count, seed):
    chance = random.Random(seed)
    same = 0
    for at in range(count):
        name = names[at % len(names)]
        path = tmp_path / name
        path.write_bytes(_spoilt((files / name).read_bytes(), chance))
        try:
            found = _loaded(path)
        except ph.FileError:
            continue
        same += 1
        if isinstance(found, ph.Posterior):
            assert found.tree.identical(ph.load(files / name).tree)
        else:
            assert sums_tree(found).identical(sums_tree(ph.load_moments(files / name)))
    return same


def test_no_flipped_bit_is_believed(files, tmp_path):
    # Only where the very end is cut off, with the checksums of the structure, is all else still there.
    assert _flip(files, tmp_path, [*POSTERIORS[:-1], *SUMS], 200, 1) < 20


def test_flipped_bits_of_older_files_are_no_traceback(tmp_path):
    for name in ("format1.nc", "format2.nc", "format3.nc", "format4_summaries.nc", "format1.moments"):
        content, chance = (OLD / name).read_bytes(), random.Random(name)
        for _ in range(20):
            path = tmp_path / name
            path.write_bytes(_spoilt(content, chance))
            try:
                found = _loaded(path)
            except ph.FileError:
                continue
            assert found.moments.rows > 0


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("unit", 0), ("unit", float("nan")), ("unit", -1), ("spread", [1, 0]), ("centre", [0]), ("unit", "1")],
)
def test_a_scale_that_is_none(files, tmp_path, attribute, value):
    tree = ph.load(files / "plain").tree.copy()
    tree.attrs["scale"] = json.dumps(json.loads(tree.attrs["scale"]) | {attribute: value})
    with (tmp_path / "a.nc").open("w+b") as file:
        netcdf.write_tree(file, tree)
    with pytest.raises(ph.FileError, match="the attribute 'scale'"):
        ph.load(tmp_path / "a.nc")


def _every_part(folder, names, how):
    """Every part that any of the files has, in one of them; of those that are HDF5's own one in seven."""
    chance = random.Random(how)
    having: dict[tuple[str, str | None], list[str]] = {}
    for name in names:
        for part in _parts(folder / name):
            having.setdefault(part, []).append(name)
    chosen = [part for part in having if _matters(part) or chance.random() < 1 / len(BREAKS)]
    return [(chance.choice(having[part]), part, how) for part in chosen], chance


@pytest.mark.slow
@pytest.mark.parametrize("how", BREAKS)
def test_every_broken_part(files, tmp_path, how):
    _check_refused(files, tmp_path, *_every_part(files, [*POSTERIORS[:-1], *SUMS], how))


@pytest.mark.slow
@pytest.mark.parametrize("how", BREAKS)
def test_every_part_that_does_not_fit(files, tmp_path, how):
    cases, chance = _every_part(files, [*POSTERIORS, *SUMS], how)
    for case in cases:
        _tried(files, tmp_path, *case, chance, seal=True)


@pytest.mark.slow
def test_many_flipped_bits(files, tmp_path):
    assert _flip(files, tmp_path, [*POSTERIORS[:-1], *SUMS], 4_000, 2) < 400


# -- what a stranger's file may not do -----------------------------------------------------------------------


def _stranger(files, tmp_path, change):
    path = tmp_path / "stranger.nc"
    shutil.copy(files / "plain", path)
    with h5py.File(path, "r+") as h5:
        change(h5)
    return path


def _bomb(h5):
    h5.create_dataset("posterior/more", (1 << 40,), dtype="f8", chunks=(1 << 20,), compression="gzip")


def _text_bomb(h5):
    one = h5.create_dataset("posterior/more", (300,), dtype=h5py.string_dtype())
    one[0] = "x" * (1 << 20)
    start, handle = one.id.get_offset(), h5.id.get_vfd_handle()
    reference = os.pread(handle, 16, start) if start else b""
    h5.flush()
    reference = os.pread(handle, 16, start)
    for at in range(300):
        os.pwrite(handle, reference, start + 16 * at)


STRANGE = {
    "external link": (lambda h5: h5.__setitem__("posterior/x", h5py.ExternalLink("other.nc", "/")), "is a link"),
    "soft link": (lambda h5: h5.__setitem__("posterior/x", h5py.SoftLink("/moments")), "is a link"),
    "a circle": (lambda h5: h5["posterior"].__setitem__("again", h5["/"]), "occurs twice"),
    "external data": (
        lambda h5: h5.create_dataset("posterior/x", (8,), dtype="i1", external=[("/etc/passwd", 0, 8)]),
        "is stored in another file",
    ),
    "virtual data": (
        lambda h5: h5.create_virtual_dataset("posterior/x", _virtual()), "is stored in another file",
    ),
    "absurd shape": (_bomb, "more than a file of"),
    "absurd text": (_text_bomb, "more than a file of"),
    "lists": (lambda h5: h5.create_dataset("posterior/x", (2,), dtype=h5py.vlen_dtype("f8")), "neither numbers"),
    "a type": (lambda h5: h5.__setitem__("posterior/x", np.dtype("f8")), "neither a variable nor a group"),
    "references": (lambda h5: h5["posterior"].attrs.__setitem__("x", h5["posterior"].ref), "neither a number nor"),
}  # fmt: skip


def _virtual():
    layout = h5py.VirtualLayout((4,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.nc", "x", (4,))
    return layout


@pytest.mark.parametrize("name", STRANGE)
def test_a_file_that_reads_others_or_asks_for_absurd_memory(files, tmp_path, name):
    change, said = STRANGE[name]
    with pytest.raises(ph.FileError, match=said):
        ph.load(_stranger(files, tmp_path, change))


def test_a_variable_that_another_program_changed_is_named(files, tmp_path):
    with h5py.File(_stranger(files, tmp_path, lambda h5: None), "r+") as h5:
        h5["posterior/mu"][0, 0, 0] += 1.0
    with pytest.raises(
        ph.FileError, match=r"'posterior/mu' differs from what was saved; .* another program changed it"
    ):
        ph.load(tmp_path / "stranger.nc")


def test_another_program_may_save_it_again_and_add_groups(files, tmp_path):
    post = ph.load(files / "plain")
    with xr.open_datatree(files / "plain", engine="h5netcdf") as opened:
        tree = opened.load()
    tree["constant_data"] = xr.DataTree(xr.Dataset({"far": ("row", [1.0, 2.0])}))
    packed = {"/posterior": {"beta": {"zlib": True, "complevel": 4}}}
    tree.to_netcdf(tmp_path / "again.nc", engine="h5netcdf", encoding=packed)
    again = ph.load(tmp_path / "again.nc")
    assert again["beta"].identical(post["beta"])
    assert again.tree["constant_data/far"].values.tolist() == [1.0, 2.0]
    again.save(tmp_path / "ours.nc")
    assert ph.load(tmp_path / "ours.nc").tree.identical(again.tree)


def test_commands_say_what_is_damaged(files, tmp_path, cli):
    path = tmp_path / "post.nc"
    content = bytearray((files / "plain").read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    for words in (
        ["summary"],
        ["check"],
        ["refit", "-o", tmp_path / "x.nc"],
        ["plot", "trace", "-o", tmp_path / "x.png"],
    ):
        ran = cli(*words[:-2], path, *words[-2:]) if len(words) > 2 else cli(*words, path)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "differs from what was saved" in ran.err or "differ from what was saved" in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["post.nc"]


# Words before the file and after it, of commands that read one; what writes is given a name in the folder.
READING = {
    "summary": ((), ()), "check": ((), ()), "predict": ((), ("rows.csv", "-o", "out.csv")),
    "report": ((), ("-o", "out.html")), "refit": ((), ("-o", "out.nc")),
    "update": ((), ("rows.csv", "-o", "out.nc")),
    "merge": (("plain",), ("-o", "out.nc")), "compare": (("plain",), ("--data", "rows.csv")),
    "assess": ((), ("rows.csv",)), "sensitivity": ((), ()), "influence": ((), ()),
    "plot forest": ((), ("-o", "out.png")), "plot trace": ((), ("-o", "out.png")),
    "plot prior": ((), ("-o", "out.png")),
}  # fmt: skip


def _commands_say_it(files, rows, folder, cli, monkeypatch, names, count, seed):
    """Spoilt files through commands: refused in a sentence, or as if nothing were spoilt; how many are so."""
    monkeypatch.chdir(folder)
    shutil.copy(files / "plain", folder / "plain")
    rows.to_csv(folder / "rows.csv", index=False)
    chance = random.Random(seed)
    kept, same = {p.name for p in folder.iterdir()}, 0
    for at in range(count):
        name, (command, (before, after)) = names[at % len(names)], list(READING.items())[at % len(READING)]
        path = folder / f"spoilt.{'moments' if name.endswith('moments') else 'nc'}"
        content = _spoilt((files / name).read_bytes(), chance)
        path.write_bytes(content)
        ran = cli(*command.split(), *before, path.name, *after)
        path.unlink()
        said = f"{command} {name} {at}: {ran}"
        assert "Traceback" not in ran.err, said
        same += ran.code == 0
        if ran.code:
            assert ran.code == 2, said
            assert ran.err.startswith("priorhood: "), said
            assert ran.err.count("\n") == 1, said
            assert {p.name for p in folder.iterdir()} == kept, said
        for left in {p.name for p in folder.iterdir()} - kept:
            (folder / left).unlink()
    return same


def test_commands_say_what_is_spoilt(files, rows, tmp_path, cli, monkeypatch):
    names = ["plain", "nested", "crossed", "summaries"]
    assert _commands_say_it(files, rows, tmp_path, cli, monkeypatch, names, 4 * len(READING), 5) < 10


def test_every_command_reads_what_is_whole(files, rows, tmp_path, cli, monkeypatch):
    """The control: a refusal above is of the file, not of the words around it."""
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "whole.nc"):
        shutil.copy(files / "plain", tmp_path / name)
    other = rows.assign(price=rows["price"] + 1)
    ph.fit("price ~ living_space + (living_space | zip)", other, **FAST).save(tmp_path / "other.nc")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for command, (before, after) in READING.items():
        ran = cli(*command.split(), *before, "other.nc" if command == "merge" else "whole.nc", *after)
        assert ran.code in (0, 1), (command, ran)


@pytest.mark.slow
def test_commands_say_what_is_spoilt_in_every_shape(files, rows, tmp_path, cli, monkeypatch):
    names = [*POSTERIORS[:-1], *SUMS]
    assert _commands_say_it(files, rows, tmp_path, cli, monkeypatch, names, 1_500, 6) < 150
