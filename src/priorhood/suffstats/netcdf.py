"""Writing and reading of a labelled tree as a netCDF4 file; a full disk and damage are errors."""

from __future__ import annotations

import io
import json
import math
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from priorhood._text import preview
from priorhood.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import h5py
    import xarray as xr

CHECKSUMS = "checksums"  # attribute of the root with the checksums
FOOT = b"priorhood %12d\n"  # end of a file: the length of the preceding list
FOOT_LENGTH = len(FOOT % 0)
LARGE = 1 << 20  # smallest number of bytes written at once instead of being held back
PAGE = 1 << 16
BLOCK = 1 << 22

# Allowed in files from strangers: filters of HDF5 itself, and this many times the file's size in memory.
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
SWELLING = 30
SMALL = 1 << 26
OBJECTS = 10_000


class Damage(Exception):  # noqa: N818  # describes what is wrong with a file; its reader knows the file's name
    """A part of a file differs from what was saved, or is not part of a posterior."""


# -- arrays with names ---------------------------------------------------------------------------------------

# Dimensions and values.
Named = tuple[tuple[str, ...], npt.NDArray[Any]]


@dataclass(frozen=True)
class Arrays:
    """A group of a tree, without xarray, whose import takes as long as the rest of a fit."""

    variables: dict[str, Named]
    coords: dict[str, Named]
    attrs: dict[str, Any] = field(default_factory=dict)

    def dataset(self) -> xr.Dataset:
        """Return the group as a Dataset of xarray."""
        import xarray as xr

        return xr.Dataset(self.variables, coords=self.coords, attrs=self.attrs)


@dataclass(frozen=True)
class ArrayTree:
    """A tree of groups by name, with the attributes of its root."""

    groups: dict[str, Arrays]
    attrs: dict[str, Any]

    def tree(self) -> xr.DataTree:
        """Return the tree as a DataTree of xarray."""
        import xarray as xr

        tree = xr.DataTree.from_dict({f"/{name}": group.dataset() for name, group in self.groups.items()})
        tree.attrs = dict(self.attrs)
        return tree


# -- writing -------------------------------------------------------------------------------------------------


def write_tree(file: BinaryIO, tree: ArrayTree | xr.DataTree) -> None:
    """Fill an open, empty file: netCDF4, then the checksums of all bytes outside arrays of numbers.

    Raises
    ------
    OSError
        No space. The error is kept from HDF5, which ends the process if it cannot write.
    """
    import h5netcdf
    import h5py

    held = _HeldBack(file)
    checksums = json.dumps(checksums_of(tree))
    with h5py.File(held, "w") as h5:
        with h5netcdf.File(h5, "w") as root:
            if isinstance(tree, ArrayTree):
                _write_arrays(root, tree, checksums)
            else:
                from xarray.backends import H5NetCDFStore

                for node in tree.subtree:
                    top = node is tree
                    stored = node.to_dataset(inherit=top).drop_encoding()
                    if top:
                        stored = stored.assign_attrs({CHECKSUMS: checksums})
                    stored.dump_to_store(H5NetCDFStore(root, group=None if top else node.path, mode="a"))
        h5.flush()
        # Start and stop of the arrays of numbers in the file; checksums_of has checksums of their values.
        numbers = []
        for _, found in _objects(h5):
            if hasattr(found, "shape") and found.dtype.kind in "fiu" and found.id.get_offset() is not None:
                start = found.id.get_offset()
                numbers.append((start, start + found.id.get_storage_size()))
    held.write_out()
    # After HDF5's bytes, checksums of everything between the arrays of numbers, which HDF5 has to understand.
    size = file.seek(0, os.SEEK_END)
    gaps, at = [], 0
    for start, stop in [*sorted(numbers), (size, size)]:
        if start > at:
            gaps.append([at, start, _checksum_between(file, at, start)])
        at = stop
    file.seek(0, os.SEEK_END)
    foot = b"\n" + json.dumps({"size": size, "checksums": gaps}).encode()
    file.write(foot + FOOT % len(foot))


def _write_arrays(root: Any, tree: ArrayTree, checksums: str) -> None:
    """Write the same bytes as xarray does for the same tree, which a test compares."""
    import h5py

    for key, value in {**tree.attrs, CHECKSUMS: checksums}.items():
        root.attrs[key] = value
    for name, group in tree.groups.items():
        into = root.create_group(f"/{name}")
        for key, value in group.attrs.items():
            into.attrs[key] = value
        every = {**group.variables, **group.coords}
        sizes = {dim: size for dims, values in every.values() for dim, size in zip(dims, values.shape, strict=True)}
        for dim, size in sizes.items():
            into.dimensions[dim] = size
        for own, (dims, values) in every.items():
            kind = values.dtype.kind
            dtype: Any = h5py.special_dtype(vlen=str) if kind in "UO" else np.int8 if kind == "b" else values.dtype
            gap = values.dtype.type(np.nan) if kind == "f" and own not in dims else None
            made = into.create_variable(own, dtype=dtype, dimensions=dims, fillvalue=gap)
            if kind == "b":
                made.attrs["dtype"] = "bool"
            made[...] = values.astype(object if kind == "U" else np.int8) if kind in "Ub" else values


class _HeldBack(io.RawIOBase):
    """An open file for HDF5 to write: long arrays go out at once, the rest is held until the end.

    HDF5 continues after a failed write and crashes later: an error is kept for write_out. HDF5 only reads again
    what it wrote in small pieces.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._handle = file.fileno()
        self._at = self._size = 0
        self._pages: dict[int, bytearray] = {}
        self._failed: OSError | None = None

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        return self._size

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")
        length = min(len(wanted), max(0, self._size - self._at))
        for page, start, stop, at in _pieces(self._at, length):
            held = self._pages.get(page) or self._written(page)
            wanted[at : at + stop - start] = held[start:stop]
        self._at += length
        return length

    def write(self, data: Any) -> int:
        given = memoryview(data).cast("B")
        if len(given) >= LARGE:
            self._write_now(self._at, given)
        for page, start, stop, at in _pieces(self._at, len(given)):
            if len(given) < LARGE and page not in self._pages:
                self._pages[page] = bytearray(self._written(page))
            if page in self._pages:
                self._pages[page][start:stop] = given[at : at + stop - start]
        self._at += len(given)
        self._size = max(self._size, self._at)
        return len(given)

    def write_out(self) -> None:
        """Write what was held back, or raise the error of an earlier write."""
        for page, held in sorted(self._pages.items()):
            self._write_now(page * PAGE, memoryview(held)[: max(0, self._size - page * PAGE)])
        self._pages.clear()
        if self._failed:
            raise self._failed
        os.truncate(self._handle, self._size)

    def _written(self, page: int) -> bytes:
        """Return a page of the file as it is on the disk, with zeros beyond its end."""
        return os.pread(self._handle, PAGE, page * PAGE).ljust(PAGE, b"\0")

    def _write_now(self, at: int, data: memoryview) -> None:
        try:
            while data and not self._failed:
                done = os.pwrite(self._handle, data, at)
                at, data = at + done, data[done:]
        except OSError as problem:
            self._failed = problem


def _pieces(at: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the pages of a range of bytes: page, start and stop within it, and the start's offset in the range."""
    end = at + length
    for page in range(at // PAGE, -(-end // PAGE)):
        first = page * PAGE
        start, stop = max(at, first), min(end, first + PAGE)
        yield page, start - first, stop - first, start - at


def _checksum_between(file: BinaryIO, start: int, stop: int) -> int:
    file.seek(start)
    checksum = 0
    while start < stop:
        block = file.read(min(BLOCK, stop - start))
        if not block:
            raise Damage("it is truncated")
        checksum, start = zlib.crc32(block, checksum), start + len(block)
    return checksum


def checksums_of(tree: ArrayTree | xr.DataTree) -> dict[str, str]:
    """Return a checksum of every variable, with its dimensions and shape, and of every attribute, by path."""
    groups: list[tuple[str, dict[Any, Any], dict[Any, Any]]] = []  # path, attributes and variables
    if isinstance(tree, ArrayTree):
        groups = [("", tree.attrs, {})]
        groups += [(name, group.attrs, {**group.variables, **group.coords}) for name, group in tree.groups.items()]
    else:
        for node in tree.subtree:
            stored = node.to_dataset(inherit=False)
            variables = {name: (values.dims, values.values) for name, values in stored.variables.items()}
            groups.append((node.path.strip("/"), stored.attrs, variables))
    named: list[tuple[str, Any, tuple[Any, ...] | None]] = []
    for path, attrs, variables in groups:
        named += [(f"{path}@{name}", value, None) for name, value in attrs.items() if name != CHECKSUMS]
        named += [(f"{path}/{name}".lstrip("/"), values, dims) for name, (dims, values) in variables.items()]
    names, values, dims_of = zip(*named, strict=True)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(_checksum, values, dims_of), strict=True))


def _checksum(value: Any, dims: tuple[Any, ...] | None) -> str:
    """Return the CRC-32 of an attribute, or of a variable's dimensions and values."""
    array = np.asarray(value)
    kind, lead = str(array.dtype.kind), "" if dims is None else f"{' '.join(map(str, dims))} {array.shape} "
    if kind in "biuf":
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        data: Any = plain.reshape(-1).view(np.uint8)
    else:
        kind, data = "text", "\0".join(map(str, array.ravel().tolist())).encode("utf-8", "surrogatepass")
    return f"{lead}{kind} {zlib.crc32(data):08x}"


# -- reading -------------------------------------------------------------------------------------------------


def read_tree(path: str | Path, formats: Mapping[str, tuple[int, int]]) -> xr.DataTree:
    """Read a file into memory, and check it if it has checksums.

    Parameters
    ----------
    path : str or Path
        The file.
    formats : dict of str to (int, int)
        Attribute of a file's format → the first version with checksums, and the last known version.

    Raises
    ------
    FileError
        The file is truncated, damaged, not netCDF, or refers to other files.
    """
    import xarray as xr

    try:
        with Path(path).open("rb") as file:
            _check_foot(file)
        groups = _read_groups(path)
        tree = xr.DataTree.from_dict(groups)
        tree.attrs = groups["/"].attrs
        _check_saved(tree, formats)
        return tree
    except Damage as problem:
        raise FileError(f"{str(path)!r} cannot be used: {problem}") from None
    except Exception as problem:  # noqa: BLE001  # whatever the readers raise on foreign bytes
        raise FileError(
            f"{str(path)!r} cannot be read as a saved posterior; it is truncated or not a netCDF file "
            f"({_first_line(problem)})"
        ) from None


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:200] if lines else type(problem).__name__


def _read_groups(path: str | Path) -> dict[str, xr.Dataset]:
    """Read the groups of a netCDF file into memory, by their paths.

    Raises
    ------
    Damage
        The file refers to other files, needs too much memory, or has a group that cannot be read.
    """
    import h5netcdf
    import h5py
    import xarray as xr
    from xarray.backends import H5NetCDFStore

    groups: dict[str, xr.Dataset] = {}
    with h5py.File(path, "r") as h5:
        size, names = Path(path).stat().st_size, [""]
        memory = _memory_of_attributes(h5["/"], "", size)
        for name, found in _objects(h5):
            memory += _memory_of_attributes(found, name, size)
            if isinstance(found, h5py.Group):
                names.append(name)
            elif isinstance(found, h5py.Dataset):
                memory += _memory_of(found, name, size)
            else:
                raise Damage(f"{name!r} is neither a variable nor a group")
            if memory > max(SMALL, SWELLING * size):
                raise Damage(
                    f"with {name!r} its variables need {memory:,} bytes, more than a file of {size:,} bytes can "
                    f"contain"
                )
        with h5netcdf.File(h5, "r", decode_vlen_strings=True) as root:
            for name in names:
                store = H5NetCDFStore(root, group=name or None)
                try:
                    groups[f"/{name}"] = xr.open_dataset(store, cache=False).load()
                except Exception as problem:  # noqa: BLE001  # whatever the readers raise on foreign bytes
                    without = _without_labels(h5[name or "/"])
                    why = (
                        f"labels that {without} had are missing" if without
                        else _first_line(problem) if isinstance(problem, OSError | ValueError)
                        else "its parts are inconsistent"
                    )  # fmt: skip
                    raise Damage(f"the group {name or '/'!r} cannot be read: {why}") from None
    return groups


def _without_labels(group: h5py.Group) -> str:
    """Return the first variable of a group with a dimension whose labels are missing; '' if none."""
    import h5py

    for name, found in group.items():
        if isinstance(found, h5py.Dataset) and "DIMENSION_LIST" in found.attrs:
            try:
                whole = all(len(dim) and dim[0].name for dim in found.dims)
            except Exception:  # noqa: BLE001  # a dangling reference
                whole = False
            if not whole:
                return shown_part(f"{group.name}/{name}".lstrip("/"))
    return ""


def _check_foot(file: BinaryIO) -> None:
    """Raise Damage if bytes outside arrays of numbers have changed; older files have no checksums."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - FOOT_LENGTH))
    foot = file.read()
    name, _, length = foot.rstrip(b"\n").partition(b" ")
    if name != FOOT.partition(b" ")[0] or not length.strip().isdigit():
        return
    start = size - FOOT_LENGTH - int(length)
    try:
        file.seek(start)
        listed = json.loads(file.read(int(length)))
        gaps = [(int(first), int(last), int(checksum)) for first, last, checksum in listed["checksums"]]
        whole = int(listed["size"]) == start and all(0 <= first < last <= start for first, last, _ in gaps)
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise Damage("the list of checksums at its end is damaged; save it again, or restore an intact copy")
    for first, last, checksum in gaps:
        if _checksum_between(file, first, last) != checksum:
            raise Damage(
                f"its structure, attributes or labels differ from what was saved (bytes {first:,} to {last:,}); "
                f"save it again, or restore an intact copy"
            )


def _check_saved(tree: xr.DataTree, formats: Mapping[str, tuple[int, int]]) -> None:
    """Remove a tree's checksums; raise Damage if a part has changed since it was saved."""
    checksums = tree.attrs.pop(CHECKSUMS, None)
    given = [(tree.attrs.get(name), *limits) for name, limits in formats.items()]
    known = [(int(own), *limits) for own, *limits in given if isinstance(own, int | np.integer)]
    if any(own > last for own, _, last in known):
        return  # the reader refuses its format
    if checksums is None:
        if any(own >= first for own, first, _ in known):
            raise Damage(f"the attribute {CHECKSUMS!r} is missing")
        return
    try:
        saved = json.loads(checksums)
        if not isinstance(saved, dict):
            raise TypeError
    except (TypeError, ValueError):
        raise Damage(f"its attribute {CHECKSUMS!r} is damaged") from None
    now = checksums_of(tree)
    changed = [name for name in saved if now.get(name) != saved[name]]
    if changed:
        gone = [name for name in changed if name not in now]
        which = ", ".join(map(shown_part, changed[:3])) + (f" and {len(changed) - 3:,} more" if changed[3:] else "")
        one = len(changed) == 1
        what = (
            ("is" if one else "are") + " missing"
            if gone == changed
            else f"differ{'s' if one else ''} from what was saved"
        )
        raise Damage(f"{which} {what}; the file is damaged, or another program changed it")
    for node in tree.subtree:
        at = f"{node.path}/".lstrip("/")
        stored = node.to_dataset(inherit=False)
        ours = {dim for name, one in stored.variables.items() if f"{at}{name}" in saved for dim in one.dims}
        # Additions do not matter, except labels of a dimension that had none, which would be looked up.
        new = [f"{at}{dim}" for dim in stored.indexes if dim in ours and f"{at}{dim}" not in saved]
        if new:
            raise Damage(f"{shown_part(new[0])} was not saved; the file is damaged, or another program changed it")


def shown_part(name: str) -> str:
    """Name a part of the tree: "the variable 'posterior/mu'", "the attribute 'seed'"."""
    path, sign, attribute = name.rpartition("@")
    if not sign:
        return f"the variable {name!r}"
    return f"the attribute {attribute!r}" + (f" of {path!r}" if path else "")


# -- files from strangers ------------------------------------------------------------------------------------


def _objects(h5: h5py.File) -> Iterator[tuple[str, Any]]:
    """Yield all groups and datasets below the root, by their paths.

    Raises
    ------
    Damage
        A link to another place or file, an object with two names, or too many objects.
    """
    import h5py

    seen, waiting = {h5py.h5o.get_info(h5.id).addr}, [("", h5["/"])]
    while waiting:
        path, group = waiting.pop()
        for name in group:
            inside = f"{path}/{name}".lstrip("/")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Damage(f"{inside!r} is a link to another place or file, which is not followed")
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen or len(seen) > OBJECTS:
                raise Damage(f"{inside!r} occurs twice, or contains more than a posterior does")
            seen.add(address)
            yield inside, found
            if isinstance(found, h5py.Group):
                waiting.append((inside, found))


def _memory_of(found: h5py.Dataset, path: str, size: int) -> int:
    """Return the maximum memory of a variable in bytes; raise Damage if it reads other files or runs code."""
    import h5py

    made = found.id.get_create_plist()
    if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
        raise Damage(f"the variable {path!r} is stored in another file, which is not read")
    foreign = [made.get_filter(at)[0] for at in range(made.get_nfilters())]
    if not set(foreign) <= set(FILTERS):
        raise Damage(f"the variable {path!r} is compressed with a filter other than {preview(FILTERS.values())}")
    count = math.prod(found.shape or ())
    if found.dtype.kind in "biufSU":
        return int(count * found.dtype.itemsize)
    if h5py.check_string_dtype(found.dtype) is None:
        raise Damage(f"the variable {path!r} is neither numbers nor text")
    start = found.id.get_offset()
    if start is None:  # in pieces, or not written
        return int(count * (size if found.id.get_storage_size() else 1))
    # Texts lie elsewhere in the file: here each has a length, an address and a number, 16 bytes.
    with Path(found.file.filename).open("rb") as file:
        file.seek(start)
        pointers = file.read(16 * count)
    lengths = np.frombuffer(pointers[: len(pointers) // 16 * 16], dtype="<u4")[::4]
    return int(lengths.sum(dtype=np.int64)) + 64 * count


def _memory_of_attributes(found: Any, path: str, size: int) -> int:
    """Return the maximum memory of an object's attributes in bytes; raise Damage if one is not a value."""
    import h5py

    memory = 0
    for name in found.attrs:
        if name in ("DIMENSION_LIST", "REFERENCE_LIST"):  # HDF5's own: which variables share a dimension
            continue
        attribute = found.attrs.get_id(name)
        count = math.prod(attribute.shape or ())
        if attribute.dtype.kind in "biufSU":
            memory += count * attribute.dtype.itemsize
        elif h5py.check_string_dtype(attribute.dtype) is None:
            raise Damage(f"{shown_part(f'{path}@{name}')} is neither a number nor text")
        else:
            memory += count * (size if count > 1 else 1)
    return memory
