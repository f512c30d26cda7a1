"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from priorhood.errors import FileError


def write_atomically(path: str | Path, write: Any) -> None:
    """Let `write` fill a temporary file beside the target, then rename it over the target.

    Where the path is a link, what it leads to is the target.

    Raises
    ------
    FileError : no such folder, a folder or device of that name, no permission, no space
    """
    check_writable(path)
    target = _target(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part" + target.suffix, dir=target.parent)
    os.close(handle)
    try:
        write(name)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except OSError as problem:
        raise FileError(f"cannot write {str(path)!r}: {problem.strerror or problem}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def _target(path: str | Path) -> Path:
    """The file itself, where the path is a link to it."""
    given = Path(path)
    return Path(os.path.realpath(given)) if given.is_symlink() else given


def check_writable(path: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a file cannot be written there, or is an input."""
    target, shown = _target(path), str(path)
    for given in inputs:
        if target.exists() and Path(given).exists() and target.samefile(given):
            raise FileError(f"cannot write {shown!r}: it is read in the same run; give another name")
    if target.is_dir():
        raise FileError(f"cannot write {shown!r}: it is a folder; give the name of a file in it")
    # A rename would put a file in the place of the device, for every program on the machine.
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {shown!r}: it is a device or a pipe; give the name of a file")
    if not target.parent.is_dir():
        raise FileError(f"cannot write {shown!r}: there is no folder {str(target.parent)!r}")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise FileError(f"cannot write {shown!r}: no permission")
