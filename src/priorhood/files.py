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

    Raises
    ------
    FileError : no such folder, a folder of that name, no permission, no space
    """
    target = Path(path)
    check_writable(target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part" + target.suffix, dir=target.parent)
    os.close(handle)
    try:
        write(name)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except OSError as problem:
        raise FileError(f"cannot write {str(target)!r}: {problem.strerror or problem}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def check_writable(path: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a file cannot be written there, or is an input."""
    target = Path(path)
    for given in inputs:
        if target.exists() and Path(given).exists() and target.samefile(given):
            raise FileError(f"cannot write {str(target)!r}: it is read in the same run; give another name")
    if target.is_dir():
        raise FileError(f"cannot write {str(target)!r}: it is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise FileError(f"cannot write {str(target)!r}: there is no folder {str(target.parent)!r}")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise FileError(f"cannot write {str(target)!r}: no permission")
