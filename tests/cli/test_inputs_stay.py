"""No command writes over a file that it reads, under whatever name either is given."""

from __future__ import annotations

import duckdb
import pytest

FOLDER = "price ~ living_space + (living_space | zip)"


@pytest.fixture
def town(folder, monkeypatch):
    """The folder as the working directory, with files under other names."""
    monkeypatch.chdir(folder)
    (folder / "parts").mkdir()
    for name in ("a", "b"):
        (folder / "parts" / f"{name}.csv").write_bytes((folder / "sales.csv").read_bytes())
    (folder / "link.nc").symlink_to("post.nc")
    (folder / "link.csv").symlink_to("sales.csv")
    with duckdb.connect(str(folder / "homes.nc.duckdb")) as database:
        database.execute("CREATE TABLE homes AS FROM 'sales.csv'")
    (folder / "homes.duckdb").symlink_to("homes.nc.duckdb")
    return folder


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("update", "post.nc", "sales.csv", "-o", "post.nc"), "post.nc"),
        (("update", "post.nc", "sales.csv", "-o", "link.nc"), "link.nc"),
        (("update", "link.nc", "sales.csv", "-o", "parts/../post.nc"), "parts/../post.nc"),
        (("update", "post.nc", "link.csv", "-o", "sales.csv"), "sales.csv"),
        (("update", "post.nc", "sales.csv", "--places", "elsewhere.csv", "-o", "elsewhere.csv"), "elsewhere.csv"),
        (("refit", "post.nc", "-o", "post.nc"), "post.nc"),
        (("refit", "link.nc", "-o", "post.nc"), "post.nc"),
        (("merge", "post.nc", "elsewhere.nc", "-o", "elsewhere.nc"), "elsewhere.nc"),
        (("fit", "parts/*.csv", FOLDER, "-o", "parts/b.csv"), "parts/b.csv"),
        (("fit", "homes.duckdb::homes", FOLDER, "-o", "homes.nc.duckdb"), "homes.nc.duckdb"),
        (("predict", "post.nc", "parts", "-o", "parts/a.csv"), "parts/a.csv"),
        (("predict", "post.nc", "parts/[ab].csv", "-o", "parts/a.csv"), "parts/a.csv"),
        (("assess", "post.nc", "parts", "-o", "parts/a.csv"), "parts/a.csv"),
        (("moments", "parts", FOLDER, "-o", "parts/a.csv"), "parts/a.csv"),
        (("predict", "post.nc", "sales.csv", "-o", "post.nc"), "post.nc"),
    ],
)
def test_a_file_that_is_read_is_not_written(town, refused, command, named):
    refused(*command, says=(f"cannot write {named!r}: it is read in the same run; choose another name",))


def test_a_new_file_in_a_folder_that_is_read_is_written(town, cli):
    assert cli("predict", "post.nc", "parts", "-o", "parts/new.csv").code == 0
    assert (town / "parts" / "new.csv").is_file()
