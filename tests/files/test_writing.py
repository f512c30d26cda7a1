"""Writing: a full disk, a killed process, a name that cannot be; the former file stays, nothing is left."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import priorhood as ph
from priorhood import _system
from priorhood.suffstats import netcdf

OLD = b"the former file"

# Every writer of the package, on a folder whose disk is full; the process goes on after each.
WRITING = """
import os, resource, sys
import numpy as np, pandas as pd
import priorhood as ph
from priorhood.data.sources.export import write_frame

folder, saved, sums, limit = sys.argv[1], ph.load(sys.argv[2]), ph.load_moments(sys.argv[3]), int(sys.argv[4])
rows = pd.DataFrame(np.random.default_rng(1).normal(size=(20_000, 3)), columns=["a", "b", "c"])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for name, write in {
    "post.nc": saved.save, "sums.moments": sums.save, "report.html": lambda path: ph.report(saved, path),
    **dict.fromkeys(("t.csv", "t.csv.gz", "t.tsv", "t.parquet", "t.jsonl"), lambda path: write_frame(rows, path)),
}.items():
    path = os.path.join(folder, name)
    try:
        write(path)
        print(name, "written")
    except ph.FileError as problem:
        print(name, problem)
print("went on", len(ph.load(sys.argv[2]).summary()))
"""


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A posterior and sums of more than 200 kB each."""
    folder = tmp_path_factory.mktemp("big")
    sales, _ = ph.simulate(2_000, 6_000, seed=1)
    formula = "price ~ living_space + (1 | zip)"
    ph.fit(formula, sales, chains=2, draws=50, seed=1).save(folder / "post.nc")
    ph.moments(formula, sales).save(folder / "sums.moments")
    return folder


def _written_on(folder, big, limit):
    for name in ("post.nc", "sums.moments", "t.csv"):
        (folder / name).write_bytes(OLD)
    argv = [sys.executable, "-c", WRITING, folder, big / "post.nc", big / "sums.moments", limit]
    ran = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    *said, last = ran.stdout.splitlines()
    assert last.startswith("went on")
    assert len(said) == 8
    for line in said:
        assert "cannot write" in line
        assert "free some space, or write to another disk" in line
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == dict.fromkeys(
        ("post.nc", "sums.moments", "t.csv"), OLD
    )


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(tmp_path, big):
    """Before, HDF5 ended the process, with exit code 139."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    try:
        _written_on(tmp_path, big, 0)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
def test_files_may_not_be_large(tmp_path, big):
    _written_on(tmp_path, big, 60_000)


STOPPED = """
import sys
import priorhood as ph
post = ph.load(sys.argv[1])
print("ready", flush=True)
while True:
    post.save(sys.argv[2])
"""


@pytest.mark.once
@pytest.mark.skipif(os.name != "posix", reason="only POSIX has SIGTERM")
@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 8))])
def test_sigterm_leaves_nothing(tmp_path, big, seed):
    target = tmp_path / "post.nc"
    target.write_bytes((big / "post.nc").read_bytes())
    argv = [sys.executable, "-c", STOPPED, str(big / "post.nc"), str(target)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as saving:
        assert saving.stdout.readline() == "ready\n"
        time.sleep(random.Random(seed).uniform(0.0, 0.1))
        saving.terminate()
        assert saving.wait(60) == -signal.SIGTERM
    assert [*tmp_path.iterdir()] == [target]
    assert len(ph.load(target)["beta"]["zip"]) == len(ph.load(big / "post.nc")["beta"]["zip"])


def test_what_was_left_goes_and_what_is_being_written_stays(tmp_path):
    target = tmp_path / "post.nc"
    left = tmp_path / ".post.nc.0123abcd.part"
    others = [
        tmp_path / ".post.nc.mine.part",
        tmp_path / ".other.nc.0123abcd.part",
        tmp_path / "post.nc.0123abcd.part",
    ]
    for file in (left, *others):
        file.write_bytes(b"part")

    def write(file):
        # Somebody else writes the same file meanwhile, and is done first.
        _system.write_atomically(target, lambda inner: inner.write(b"second"))
        assert Path(file.name).exists()
        file.write(b"first")

    _system.write_atomically(target, write)
    assert target.read_bytes() == b"first"
    assert sorted(tmp_path.iterdir()) == sorted([target, *others])


@pytest.mark.parametrize("length", [200, 240, 250, 251, 255])
@pytest.mark.parametrize("letter", ["a", "ä", "北"])
def test_long_names(tmp_path, length, letter):
    ending = ".csv"
    count, rest = divmod(length - len(ending), len(letter.encode()))
    target = tmp_path / (letter * count + "b" * rest + ending)
    assert len(os.fsencode(target.name)) == length
    for text in ("one", "two"):
        _system.write_text(target, text)
        assert target.read_text() == text
    assert [*tmp_path.iterdir()] == [target]


NAMES = {
    "256 bytes": ("x" * 253 + ".nc", "256 bytes; use a shorter one"),
    "5,000 bytes": ("x" * 4_997 + ".nc", "5,000 bytes; use a shorter one"),
    "through a file": ("sales.csv/post.nc", "sales.csv' is a file"),
    "far through a file": ("sales.csv/there/post.nc", "sales.csv' is a file"),
    "no folder": ("there/post.nc", "there is no folder"),
    "a folder": ("", "it is a folder"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["fit", "moments"])
def test_a_name_that_cannot_be_is_refused_before_the_fit(folder, refused, formula, monkeypatch, command, name):
    path, said = NAMES[name]
    monkeypatch.setattr("priorhood.data.rows.read", lambda *_, **__: pytest.fail("the table was read"))
    refused(command, folder / "sales.csv", formula, "-o", folder / path, says=(said,))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_no_file_is_made_in_proc(folder, refused, formula):
    refused("fit", folder / "sales.csv", formula, "-o", "/proc/x.nc", says=("/proc/x.nc",))


def test_a_long_formula(folder, cli, fit_options):
    formula = f"price ~ living_space{' + living_space' * 20} + (1 | zip)"
    assert len(formula) > 255
    ran = cli("fit", folder / "sales.csv", formula, "-o", folder / "long.nc", *fit_options)
    assert ran.code == 0, ran.err
    assert cli("moments", folder / "sales.csv", formula, "-o", folder / "long.moments").code == 0
    assert ph.load(folder / "long.nc")["mu"].sizes["term"] == 2


@pytest.mark.parametrize("command", ["summary", "fit", "predict", "merge"])
def test_a_long_name_that_is_no_file(folder, refused, formula, command):
    long = "x" * 300
    argv = {
        "summary": ["summary", f"{long}.nc"],
        "fit": ["fit", f"{long}.csv", formula, "-o", folder / "out.nc"],
        "predict": ["predict", folder / "post.nc", f"{long}.csv", "-o", folder / "out.csv"],
        "merge": ["merge", folder / "post.nc", f"{long}.nc", "-o", folder / "out.nc"],
    }[command]
    refused(*argv, says=("no file",))


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such permissions")
def test_a_file_that_is_written_again_keeps_its_permissions(tmp_path):
    target = tmp_path / "post.nc"
    target.write_bytes(OLD)
    for mode in (0o600, 0o666):
        target.chmod(mode)
        _system.write_text(target, "new")
        assert target.stat().st_mode & 0o777 == mode


def test_labels_that_cannot_be_saved_are_refused_before_the_fit(sales, fast, formula):
    first = sales["zip"].iloc[0]
    for odd in ("a\0b", "a\0"):
        with pytest.raises(ph.TableError, match=r"'zip' has the value 'a\\x00"):
            ph.fit(formula, sales.assign(zip=sales["zip"].replace(first, odd)), **fast)
        kinds = ["flat" if at % 2 else odd for at in range(len(sales))]  # NumPy's text loses a last character 0
        with pytest.raises(ph.TableError, match=r"'kind' has the value 'a\\x00"):
            ph.fit("price ~ kind + (1 | zip)", sales.assign(kind=kinds), **fast)


def test_odd_labels_are_saved(tmp_path, sales, fast, formula):
    odd = ["c\rd", "x" * 10_000, "\u202eabc", "a\nb", "\x1b[31m", "\ufeffz", "e\u0301", " "]
    of = dict(zip(sorted(sales["zip"].unique()), odd, strict=True))
    post = ph.fit(formula, sales.assign(zip=sales["zip"].map(of)), **fast)
    post.save(tmp_path / "post.nc")
    back = ph.load(tmp_path / "post.nc")
    assert back.tree.identical(post.tree)
    assert back.moments.labels.tolist() == post.moments.labels.tolist()


def test_what_hdf5_writes_in_pieces_is_what_it_reads(tmp_path):
    """Long and short writes and reads at random places, over each other and the end, against plain memory."""
    chance, plain = random.Random(5), io.BytesIO()
    with (tmp_path / "x").open("w+b") as file:
        held = netcdf._HeldBack(file)
        for _ in range(400):
            at, length = chance.randrange(3 * netcdf.LARGE), chance.choice((1, 100, netcdf.PAGE, netcdf.LARGE + 7))
            if chance.random() < 0.6:
                data = chance.randbytes(length)
                for one in (held, plain):
                    one.seek(at)
                    one.write(data)
            else:
                found, wanted = bytearray(length), bytearray(length)
                held.seek(at)
                plain.seek(at)
                assert held.readinto(found) == plain.readinto(wanted)
                assert found == wanted
        held.write_out()
        assert (tmp_path / "x").read_bytes() == plain.getvalue()
