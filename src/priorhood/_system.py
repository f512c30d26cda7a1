"""The operating system: files written whole or not at all, cores, memory."""

from __future__ import annotations

import contextlib
import errno
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

Result = TypeVar("Result")

PART = ".part"  # ending of the name of a file that is not whole yet
NAME_MAX = 255  # bytes of a file's name, where the file system does not tell
CHANCE = 8  # letters that tell two writers of one file apart
# Endings of the names of files that are not netCDF.
_OTHERS = {
    "a table": (".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".jsonl", ".ndjson", ".duckdb", ".ddb", ".xlsx",
                ".xls", ".feather", ".arrow"),
    "polygons": (".geojson", ".json", ".shp", ".gpkg"),
    "a picture": (".png", ".svg", ".pdf", ".jpg", ".jpeg"),
    "a page": (".html", ".htm", ".md"),
}  # fmt: skip
_PACKED = (".gz", ".zst", ".zip", ".bz2")


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file by way of a temporary one beside it, which is then renamed.

    Where the path is a link, the file that it leads to is written. Temporary files of the same target that a killed
    process left are removed. The content is on the disk, not only in its cache, before it takes the target's place.

    Parameters
    ----------
    path : str or Path
        the target
    write : callable
        takes an open binary file, which has a `name` for writers that need one

    Raises
    ------
    FileError : no such folder, a folder or device of that name, no permission, no space
    """
    check_writable(path)
    target = _target(path)
    try:
        _clear_left(target)
        with _part(target) as (file, name):
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # where an open file has no other name
                file.close()
            Path(name).replace(target)
        # Put the new name on the disk too, where folders can be synchronized.
        with contextlib.suppress(OSError):
            handle = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as problem:
        raise FileError(f"cannot write {str(path)!r}: {_reason(problem)}") from None


def check_netcdf(path: str | Path, what: str, ending: str) -> None:
    """Raise where a netCDF file would get the name of another kind of file.

    Parameters
    ----------
    path : str or Path
        the target
    what : str
        the file's content, in words
    ending : str
        the usual ending of such a file's name

    Raises
    ------
    FileError
    """
    name = Path(path).name
    plain = next((name[: -len(packed)] for packed in _PACKED if name.lower().endswith(packed)), name)
    for kind, endings in _OTHERS.items():
        if plain.lower().endswith(endings):
            own = Path(path).with_name(f"{plain.rpartition('.')[0] or plain}{ending}")
            raise FileError(
                f"cannot write {what} to {str(path)!r}: it is a netCDF file, and by the name it would be {kind}; "
                f"end the name in {ending}, like {str(own)!r}"
            )


def is_file(path: str | Path) -> bool:
    """Return whether a file of the name exists; False for names too long to be any."""
    return os.path.isfile(path)  # noqa: PTH113  # Path.is_file raises for such names


def is_folder(path: str | Path) -> bool:
    """Return the same for a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: str | Path) -> bool:
    """Return the same for anything that has a name."""
    return os.path.exists(path)  # noqa: PTH110


def free_name(path: Path, ending: str) -> Path:
    """Return an unused name beside a file, with an ending to its stem: "sales plain.csv" beside "sales.csv"."""
    name = path.with_name(f"{path.stem}{ending}{path.suffix}")
    count = 2
    while is_there(name):
        name = path.with_name(f"{path.stem}{ending} {count}{path.suffix}")
        count += 1
    return name


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8 as write_atomically does."""
    write_atomically(path, lambda file: file.write(text.encode()))


def _target(path: str | Path) -> Path:
    """The file itself, where the path is a link to it."""
    given = Path(path)
    return Path(os.path.realpath(given)) if given.is_symlink() else given


def _reason(problem: OSError) -> str:
    """The system's message, with advice where there is some."""
    why = problem.strerror or str(problem) or type(problem).__name__
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{why}; make room, or give a name on another disk"
    return why


def check_writable(path: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a file cannot be written there, or is an input of the same run.

    A file is made beside the target and removed again: nothing else tells which names a file system takes.

    Parameters
    ----------
    path : str or Path
        the target
    *inputs : str or Path
        files that are read in the same run

    Raises
    ------
    FileError
    """
    shown = str(path)
    if "\0" in shown:
        raise FileError(f"cannot write {shown!r}: a name of a file has no character 0")
    try:
        target = _target(path)
        for given in inputs:
            same = False
            with contextlib.suppress(OSError, ValueError):  # an input of no possible name is no file
                same = target.exists() and Path(given).exists() and target.samefile(given)
            if same:
                raise FileError(f"cannot write {shown!r}: it is read in the same run; give another name")
        if target.is_dir():
            raise FileError(f"cannot write {shown!r}: it is a folder; give the name of a file in it")
        # A rename would put a file in the place of the device, for every program on the machine.
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {shown!r}: it is a device or a pipe; give the name of a file")
        if not target.parent.is_dir():
            there = next((folder for folder in target.parents if folder.exists()), target.parent)
            why = f"{str(there)!r} is a file" if there.is_file() else f"there is no folder {str(target.parent)!r}"
            raise FileError(f"cannot write {shown!r}: {why}")
        if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise FileError(f"cannot write {shown!r}: no permission")
        if len(os.fsencode(target.name)) > _longest(target.parent):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with _part(target):
            pass
    except OSError as problem:
        why = _reason(problem)
        if problem.errno == errno.ENAMETOOLONG:
            why = f"the name is too long, {len(os.fsencode(Path(path).name)):,} bytes; give a shorter one"
        elif problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = f"no permission ({problem.strerror})"
        elif problem.errno == errno.ENOENT:
            why = f"no file can be made in {str(Path(path).parent)!r}; give another folder"
        raise FileError(f"cannot write {shown!r}: {why}") from None


# -- the temporary file --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _part(target: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A new file beside the target, open and locked, and its name; removed in the end unless it was renamed.

    SIGTERM removes it too, and then has its usual effect.
    """
    names: list[str] = []

    def clear() -> None:
        for name in names:
            with contextlib.suppress(OSError):
                Path(name).unlink()

    with _before_the_end(clear):
        try:
            with _made(target, names) as file:
                yield file, names[0]
        finally:
            clear()


def _made(target: Path, names: list[str]) -> BinaryIO:
    """The file itself; its name is noted before the file exists."""
    # As the target may be opened: with its own permissions where it exists, else the usual ones.
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None

    def opened(name: str, flags: int) -> int:
        handle = os.open(name, flags, 0o666 if mode is None else mode)
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, mode)  # the umask may have taken some
        return handle

    while True:
        names[:] = [str(target.with_name(_stem(target) + secrets.token_hex(CHANCE // 2) + PART))]
        try:
            file = cast("BinaryIO", open(names[0], "x+b", opener=opened))  # noqa: SIM115
        except FileExistsError:
            names.clear()
            continue
        # Another process may have taken the file for one left behind before it was locked, and removed it.
        with contextlib.suppress(FileNotFoundError):
            if _locked(file) and os.path.samestat(os.fstat(file.fileno()), os.stat(names[0])):  # noqa: PTH116
                return file
        file.close()


def _stem(target: Path) -> str:
    """Beginning of the names of a target's temporary files: hidden, after the target, within the longest name."""
    room = _longest(target.parent) - CHANCE - len(PART)
    whole = f".{target.name}."
    if len(os.fsencode(whole)) <= room:
        return whole
    ending = f"~{zlib.crc32(os.fsencode(target.name)):08x}."
    kept = whole[:-1]
    while len(os.fsencode(kept + ending)) > room:
        kept = kept[:-1]
    return kept + ending


def _longest(folder: Path) -> int:
    """Most bytes of a name in a folder."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return NAME_MAX


def _locked(file: BinaryIO) -> bool:
    """Lock an open file and return whether it is ours; True where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _clear_left(target: Path) -> None:
    """Remove the temporary files that ended processes left: a running one holds its file locked."""
    try:
        import fcntl
    except ImportError:
        return
    stem = _stem(target)
    for entry in os.listdir(target.parent):  # noqa: PTH208  # only names are wanted, of what may be a large folder
        if entry.startswith(stem) and entry.endswith(PART) and len(entry) == len(stem) + CHANCE + len(PART):
            left = target.with_name(entry)
            with contextlib.suppress(OSError), left.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()


@contextlib.contextmanager
def _before_the_end(clear: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM call `clear` before it has its usual effect, also that of another handler.

    Only in the main thread, where signals can be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.getsignal(signal.SIGTERM)
    if before is None or before is signal.SIG_IGN:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        clear()
        signal.signal(signal.SIGTERM, before)
        if callable(before):
            before(number, frame)
        else:
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# Multiplications of a product of matrices; beyond, linear algebra libraries start threads of their own, which go on
# spinning for a tenth of a second on the cores that our threads need.
ONE_THREAD = 200_000


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """Return the bytes of memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def in_threads(
    work: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    threads: int,
    progress: Callable[[int, int], object] | None = None,
) -> list[Result]:
    """Return work(*job) of every job, several at a time: for work that releases the lock, as compiled kernels do.

    An error is raised at once, not after the other jobs; jobs that have begun then end, which takes a moment, and
    the others do not begin. So it is after Ctrl-C.

    progress : called with (done, total) after every job
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    pool = ThreadPoolExecutor(threads, thread_name_prefix="priorhood")
    try:
        futures = [pool.submit(work, *job) for job in jobs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress:
                progress(done, len(jobs))
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)
