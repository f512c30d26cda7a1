"""The operating system: atomic writes, cores, memory, threads."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import signal
import stat
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from priorhood.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

try:
    import fcntl
except ImportError:  # Windows: files are not locked
    fcntl = None  # type: ignore[assignment]

Result = TypeVar("Result")

PART = ".part"  # extension of an unfinished file
NAME_MAX = 255  # bytes in a file's name, if the file system does not report it
TOKEN = 8  # random characters, so that two processes can write the same file
# Extensions of files that are not netCDF.
_OTHER_KINDS = {
    "a table": (".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".jsonl", ".ndjson", ".duckdb", ".ddb", ".xlsx",
                ".xls", ".feather", ".arrow"),
    "polygons": (".geojson", ".json", ".shp", ".gpkg"),
    "a picture": (".png", ".svg", ".pdf", ".jpg", ".jpeg"),
    "a page": (".html", ".htm", ".md"),
}  # fmt: skip
_COMPRESSED = (".gz", ".zst", ".zip", ".bz2")


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file to a temporary file in the same folder, then rename it.

    If the path is a symbolic link, its target is written. Temporary files of the same target that a killed process
    left behind are removed. The content is flushed to disk before it replaces the target.

    Parameters
    ----------
    path : str or Path
        The target.
    write : callable
        Called with an open binary file, which has a `name` for writers that need one.

    Raises
    ------
    FileError
        No such folder, a folder or device of that name, no permission, no space.
    """
    check_writable(path)
    target = _resolve_link(path)
    try:
        stem = _part_stem(target)
        for entry in os.listdir(target.parent) if fcntl else ():  # noqa: PTH208  # a large folder: names suffice
            if entry.startswith(stem) and entry.endswith(PART) and len(entry) == len(stem) + TOKEN + len(PART):
                # A running process keeps its file locked.
                stale = target.with_name(entry)
                with contextlib.suppress(OSError), stale.open("r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    stale.unlink()
        with _part(target) as (file, name):
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # Windows cannot rename an open file
                file.close()
            Path(name).replace(target)
        # Flush the new name to disk too, on systems that can.
        with contextlib.suppress(OSError):
            handle = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as problem:
        raise FileError(f"cannot write {str(path)!r}: {_reason(problem)}") from None


def check_netcdf(path: str | Path, what: str, ending: str) -> None:
    """Raise if a netCDF file would be given the extension of another kind of file.

    Parameters
    ----------
    path : str or Path
        The target.
    what : str
        The content of the file, for the message.
    ending : str
        The usual extension of such a file.

    Raises
    ------
    FileError
        The extension is that of a table, polygons, a picture or a page.
    """
    name = Path(path).name
    plain = next((name[: -len(packed)] for packed in _COMPRESSED if name.lower().endswith(packed)), name)
    for kind, endings in _OTHER_KINDS.items():
        if plain.lower().endswith(endings):
            better = Path(path).with_name(f"{plain.rpartition('.')[0] or plain}{ending}")
            raise FileError(
                f"cannot write {what} to {str(path)!r}: it is a netCDF file, but this is the name of {kind}; "
                f"use the extension {ending}, e.g. {str(better)!r}"
            )


def is_file(path: str | Path) -> bool:
    """Return whether a file of that name exists; False for names that are too long."""
    return os.path.isfile(path)  # noqa: PTH113  # Path.is_file raises for such names


def is_folder(path: str | Path) -> bool:
    """Return whether a folder of that name exists."""
    return os.path.isdir(path)  # noqa: PTH112


def path_exists(path: str | Path) -> bool:
    """Return whether anything of that name exists."""
    return os.path.exists(path)  # noqa: PTH110


def unused_name(path: Path, ending: str) -> Path:
    """Return an unused name in a file's folder, its stem extended: "sales plain.csv" for "sales.csv"."""
    name = path.with_name(f"{path.stem}{ending}{path.suffix}")
    count = 2
    while path_exists(name):
        name = path.with_name(f"{path.stem}{ending} {count}{path.suffix}")
        count += 1
    return name


def write_text(path: str | Path, text: str) -> None:
    """Write a string in UTF-8, atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def _resolve_link(path: str | Path) -> Path:
    """Return the target of a symbolic link, or the path itself."""
    target = Path(path)
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def _reason(problem: OSError) -> str:
    """Return the system's message, with advice if the disk is full."""
    why = problem.strerror or str(problem) or type(problem).__name__
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{why}; free some space, or write to another disk"
    return why


def check_writable(path: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a file cannot be written there, or is an input of the same run.

    A temporary file is created next to the target and removed again: only that shows which names a file system
    accepts.

    Parameters
    ----------
    path : str or Path
        The target.
    *inputs : str or Path
        Files that are read in the same run; also folders, patterns (parts/*.csv) and tables of a database
        (sales.duckdb::homes), for their files.

    Raises
    ------
    FileError
        The file cannot be written, or is an input.
    """
    shown = str(path)
    if "\0" in shown:
        raise FileError(f"cannot write {shown!r}: a file name cannot contain a null character")
    try:
        target = _resolve_link(path)
        for source in inputs:
            same = False
            with contextlib.suppress(OSError, ValueError):  # an input with an impossible name is not a file
                same = target.exists() and any(target.samefile(file) for file in _files_read(source))
            if same:
                raise FileError(f"cannot write {shown!r}: it is read in the same run; choose another name")
        if target.is_dir():
            raise FileError(f"cannot write {shown!r}: it is a folder; add the name of a file")
        # A rename would replace the device by a file, for every program on the machine.
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {shown!r}: it is a device or a pipe; use the name of a file")
        if not target.parent.is_dir():
            parent = next((folder for folder in target.parents if folder.exists()), target.parent)
            why = f"{str(parent)!r} is a file" if parent.is_file() else f"there is no folder {str(target.parent)!r}"
            raise FileError(f"cannot write {shown!r}: {why}")
        if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise FileError(f"cannot write {shown!r}: no permission")
        if len(os.fsencode(target.name)) > _name_max(target.parent):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with _part(target):
            pass
    except OSError as problem:
        why = _reason(problem)
        if problem.errno == errno.ENAMETOOLONG:
            why = f"the name is too long, {len(os.fsencode(Path(path).name)):,} bytes; use a shorter one"
        elif problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = f"no permission ({problem.strerror})"
        elif problem.errno == errno.ENOENT:
            why = f"no file can be created in {str(Path(path).parent)!r}; use another folder"
        raise FileError(f"cannot write {shown!r}: {why}") from None


def _files_read(source: str | Path) -> Iterator[Path]:
    """Yield the files behind an input: itself, the files of a folder or of a pattern, the file of a database."""
    name = str(source)
    if not path_exists(name) and not glob.has_magic(name):
        name = name.partition("::")[0]
    for found in [name] if path_exists(name) else glob.iglob(name, recursive=True):  # noqa: PTH207
        if is_folder(found):
            yield from (file for file in Path(found).rglob("*") if file.is_file())
        elif path_exists(found):
            yield Path(found)


# -- the temporary file --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _part(target: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open and lock a new file next to the target; yield it and its name, and remove it unless it was renamed.

    SIGTERM removes it too, before its usual effect.
    """
    names: list[str] = []

    def remove() -> None:
        for name in names:
            with contextlib.suppress(OSError):
                Path(name).unlink()

    with _call_on_sigterm(remove):
        try:
            with _create_part(target, names) as file:
                yield file, names[0]
        finally:
            remove()


def _create_part(target: Path, names: list[str]) -> BinaryIO:
    """Create and lock the temporary file; its name is put into `names` before the file exists."""
    # With the permissions of the target if it exists, else the usual ones.
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None

    def opener(name: str, flags: int) -> int:
        handle = os.open(name, flags, 0o666 if mode is None else mode)
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, mode)  # the umask may have removed some
        return handle

    while True:
        names[:] = [str(target.with_name(_part_stem(target) + secrets.token_hex(TOKEN // 2) + PART))]
        try:
            file = cast("BinaryIO", open(names[0], "x+b", opener=opener))  # noqa: SIM115
        except FileExistsError:
            names.clear()
            continue
        # Before the lock, another process may have taken the file for one left behind and removed it.
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            try:
                if fcntl:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError:  # a file system without locks
                pass
            if os.path.samestat(os.fstat(file.fileno()), os.stat(names[0])):  # noqa: PTH116
                return file
        file.close()


def _part_stem(target: Path) -> str:
    """Return how the names of a target's temporary files begin: hidden, like the target, and not too long."""
    room = _name_max(target.parent) - TOKEN - len(PART)
    stem = f".{target.name}."
    if len(os.fsencode(stem)) <= room:
        return stem
    ending = f"~{zlib.crc32(os.fsencode(target.name)):08x}."
    stem = stem[:-1]
    while len(os.fsencode(stem + ending)) > room:
        stem = stem[:-1]
    return stem + ending


def _name_max(folder: Path) -> int:
    """Return how many bytes a name in a folder may have."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return NAME_MAX


@contextlib.contextmanager
def _call_on_sigterm(function: Callable[[], None]) -> Iterator[None]:
    """Call a function on SIGTERM before the default action or a previously installed handler runs.

    Only in the main thread, where signals can be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous: Any = signal.getsignal(signal.SIGTERM)
    if previous is None or previous is signal.SIG_IGN:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        function()
        signal.signal(signal.SIGTERM, previous)
        if callable(previous):
            previous(number, frame)
        else:
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


# Multiplications in a matrix product above which linear algebra libraries start their own threads, which then spin
# for a tenth of a second on the cores that our threads need.
ONE_THREAD = 200_000


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """Return this machine's memory in bytes, or None if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def run_in_threads(
    work: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    threads: int,
    progress: Callable[[int, int], object] | None = None,
) -> list[Result]:
    """Return work(*job) for every job, run in threads: for work that releases the GIL, as compiled kernels do.

    After an error or Ctrl-C, jobs that are running finish, which takes a moment, and no others start; the error
    is raised then.

    Parameters
    ----------
    work : callable
        The function to run.
    jobs : sequence of tuple
        Its arguments for every job.
    threads : int
        Jobs that run at the same time.
    progress : callable, optional
        Called with (done, total) after every job.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed
    from contextvars import copy_context

    pool = ThreadPoolExecutor(threads, thread_name_prefix="priorhood")
    try:
        futures = [pool.submit(copy_context().run, work, *job) for job in jobs]  # messages as in this thread
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress:
                progress(done, len(jobs))
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)
