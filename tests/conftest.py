"""What tests share: sales, fits, a folder with both, the command line."""

from __future__ import annotations

import shutil

import pytest

import priorhood as ph
from command_line import FAST, FAST_OPTIONS, FORMULA, contents, run_cli


@pytest.fixture(scope="session")
def sales():
    frame, _ = ph.simulate(8, 160, seed=1)
    return frame


@pytest.fixture(scope="session")
def fitted(sales):
    return ph.fit(FORMULA, sales, **FAST)


@pytest.fixture(scope="session")
def elsewhere():
    """The same model on other rows, some in the same places."""
    return ph.fit(FORMULA, ph.simulate(16, 160, seed=2)[0], **FAST)


@pytest.fixture(scope="session")
def stock(tmp_path_factory, sales, fitted, elsewhere):
    """sales.csv and elsewhere.csv, and the fits of one model to them, post.nc and elsewhere.nc; made once."""
    folder = tmp_path_factory.mktemp("stock")
    sales.to_csv(folder / "sales.csv", index=False)
    ph.simulate(16, 160, seed=2)[0].to_csv(folder / "elsewhere.csv", index=False)
    fitted.save(folder / "post.nc")
    elsewhere.save(folder / "elsewhere.nc")
    return folder


@pytest.fixture
def folder(tmp_path, stock):
    """A folder of one's own with sales.csv, post.nc and elsewhere.nc."""
    for file in stock.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def cli():
    return run_cli


@pytest.fixture
def fit_options():
    return FAST_OPTIONS


@pytest.fixture
def fast():
    return dict(FAST)


@pytest.fixture(scope="session")
def formula():
    return FORMULA


@pytest.fixture
def refused(folder):
    """Run a command that must fail: one message that has every given text, code 2, nothing written."""

    def check(*argv: object, says: tuple[str, ...] = ()) -> str:
        before = contents(folder)
        ran = run_cli(*argv)
        assert ran.code == 2, ran
        assert ran.out == ""
        lines = ran.err.strip().splitlines()
        assert len(lines) == 1, ran.err
        assert lines[0].startswith("priorhood: ")
        assert "Traceback" not in ran.err
        # A message with an empty place in it names nothing.
        assert "''" not in lines[0].replace("=''", "").replace("where ''", "")
        assert "like ;" not in lines[0]
        # The folder is called after the test, whose name would do for many a text.
        shown = lines[0].replace(str(folder), "<folder>")
        for text in says:
            assert text.replace(str(folder), "<folder>") in shown, f"{text!r} is not in {shown!r}"
        assert contents(folder) == before
        return lines[0]

    return check
