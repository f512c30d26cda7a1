"""A labelled tree ↔ a netCDF4 file: written so that a full disk is an error, read so that damage is one."""

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

from priorhood._text import some
from priorhood.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import h5py
    import xarray as xr

CHECKSUMS = "checksums"  # the attribute of the root that holds them
FOOT = b"priorhood %12d\n"  # the end of a file: how long the list before it is
FOOT_LENGTH = len(FOOT % 0)
LARGE = 1 << 20  # bytes that are written at once, rather than held
PAGE = 1 << 16
BLOCK = 1 << 22

# What a file of strangers may ask for: filters that HDF5 itself has, and so many times its own size in memory.
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
SWELLING = 30
SMALL = 1 << 26
OBJECTS = 10_000


class Damage(Exception):  # noqa: N818  # says what is wrong with a file; its reader knows the file's name
    """A part of a file is not what was saved, or nothing that a posterior holds."""


# -- arrays with names ---------------------------------------------------------------------------------------

# Dimensions and values.
Named = tuple[tuple[str, ...], npt.NDArray[Any]]


@dataclass(frozen=True)
class Arrays:
    """A group of a tree without xarray, which takes as long to import as the rest of a fit takes together."""

    variables: dict[str, Named]
    coords: dict[str, Named]
    attrs: dict[str, Any] = field(default_factory=dict)

    def dataset(self) -> xr.Dataset:
        """The same for xarray."""
        import xarray as xr

        return xr.Dataset(self.variables, coords=self.coords, attrs=self.attrs)


@dataclass(frozen=True)
class ArrayTree:
    """A tree of such groups by name, with the attributes of its root."""

    groups: dict[str, Arrays]
    attrs: dict[str, Any]

    def tree(self) -> xr.DataTree:
        """The same for xarray."""
        import xarray as xr

        tree = xr.DataTree.from_dict({f"/{name}": group.dataset() for name, group in self.groups.items()})
        tree.attrs = dict(self.attrs)
        return tree


# -- writing -------------------------------------------------------------------------------------------------


def write_tree(file: BinaryIO, tree: ArrayTree | xr.DataTree) -> None:
    """Fill an open, empty file: netCDF4, then the checksums of all that is no array of numbers.

    Raises
    ------
    OSError : no space. HDF5 itself never hears of it: it ends the process where it cannot write
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
                _write_datasets(root, tree, checksums)
        h5.flush()
        numbers = sorted(_places_of_numbers(h5))
    held.write_out()
    _write_foot(file, numbers)


def _write_datasets(root: Any, tree: xr.DataTree, checksums: str) -> None:
    from xarray.backends import H5NetCDFStore

    for node in tree.subtree:
        top = node is tree
        stored = node.to_dataset(inherit=top).drop_encoding()
        if top:
            stored = stored.assign_attrs({CHECKSUMS: checksums})
        stored.dump_to_store(H5NetCDFStore(root, group=None if top else node.path, mode="a"))


def _write_arrays(root: Any, tree: ArrayTree, checksums: str) -> None:
    """To the byte what xarray writes of the same tree: tests/contract/test_save.py compares them."""
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
    """An open file as HDF5 writes it: long arrays go out at once, the rest is held until the end.

    HDF5 goes on with its own writing whatever a write says, and does not survive its failing: an error is kept
    for write_out. Only what it wrote in small pieces does it read again.
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
        """Write what was held; raise what a write before failed of."""
        for page, held in sorted(self._pages.items()):
            self._write_now(page * PAGE, memoryview(held)[: max(0, self._size - page * PAGE)])
        self._pages.clear()
        if self._failed:
            raise self._failed
        os.truncate(self._handle, self._size)

    def _written(self, page: int) -> bytes:
        """A page of the file as it is on the disk, zeros where it is not."""
        return os.pread(self._handle, PAGE, page * PAGE).ljust(PAGE, b"\0")

    def _write_now(self, at: int, data: memoryview) -> None:
        try:
            while data and not self._failed:
                done = os.pwrite(self._handle, data, at)
                at, data = at + done, data[done:]
        except OSError as problem:
            self._failed = problem


def _pieces(at: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """The pages that a stretch lies in: page, start and stop within it, and where that is in the stretch."""
    end = at + length
    for page in range(at // PAGE, -(-end // PAGE)):
        first = page * PAGE
        start, stop = max(at, first), min(end, first + PAGE)
        yield page, start - first, stop - first, start - at


def _places_of_numbers(h5: h5py.File) -> Iterator[tuple[int, int]]:
    """Where the arrays of numbers lie in the file: start and stop of each; checksums_of has their own."""
    for _, found in _objects(h5):
        if hasattr(found, "shape") and found.dtype.kind in "fiu" and found.id.get_offset() is not None:
            start = found.id.get_offset()
            yield start, start + found.id.get_storage_size()


def _write_foot(file: BinaryIO, numbers: Iterable[tuple[int, int]]) -> None:
    """The checksums of all between the arrays of numbers, which HDF5 has to understand, after what HDF5 wrote."""
    size = file.seek(0, os.SEEK_END)
    gaps, at = [], 0
    for start, stop in [*numbers, (size, size)]:
        if start > at:
            gaps.append([at, start, _checksum_between(file, at, start)])
        at = stop
    file.seek(0, os.SEEK_END)
    told = b"\n" + json.dumps({"size": size, "checksums": gaps}).encode()
    file.write(told + FOOT % len(told))


def _checksum_between(file: BinaryIO, start: int, stop: int) -> int:
    file.seek(start)
    found = 0
    while start < stop:
        block = file.read(min(BLOCK, stop - start))
        if not block:
            raise Damage("it is cut off")
        found, start = zlib.crc32(block, found), start + len(block)
    return found


def checksums_of(tree: ArrayTree | xr.DataTree) -> dict[str, str]:
    """A checksum of every variable and attribute, by its place in the tree; of dimensions and shapes too."""
    named: list[tuple[str, Any, tuple[Any, ...] | None]] = []
    for path, attrs, variables in _parts(tree):
        named += [(f"{path}@{name}", value, None) for name, value in attrs.items() if name != CHECKSUMS]
        named += [(f"{path}/{name}".lstrip("/"), values, dims) for name, (dims, values) in variables.items()]
    names, values, dims_of = zip(*named, strict=True)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(_checksum, values, dims_of), strict=True))


def _parts(tree: ArrayTree | xr.DataTree) -> Iterator[tuple[str, dict[Any, Any], dict[Any, Any]]]:
    """Path, attributes and variables of every group, the root first."""
    if isinstance(tree, ArrayTree):
        yield "", tree.attrs, {}
        for name, group in tree.groups.items():
            yield name, group.attrs, {**group.variables, **group.coords}
        return
    for node in tree.subtree:
        stored = node.to_dataset(inherit=False)
        variables = {name: (one.dims, one.values) for name, one in stored.variables.items()}
        yield node.path.strip("/"), stored.attrs, variables


def _checksum(value: Any, dims: tuple[Any, ...] | None) -> str:
    """CRC-32 of an attribute, or of a variable's dimensions and values."""
    found = np.asarray(value)
    kind, lead = str(found.dtype.kind), "" if dims is None else f"{' '.join(map(str, dims))} {found.shape} "
    if kind in "biuf":
        plain = np.ascontiguousarray(found, dtype=found.dtype.newbyteorder("<"))
        data: Any = plain.reshape(-1).view(np.uint8)
    else:
        kind, data = "text", "\0".join(map(str, found.ravel().tolist())).encode("utf-8", "surrogatepass")
    return f"{lead}{kind} {zlib.crc32(data):08x}"


# -- reading -------------------------------------------------------------------------------------------------


def read_tree(path: str | Path, formats: Mapping[str, tuple[int, int]]) -> xr.DataTree:
    """What is in a file, in memory; of a file with checksums, what was saved.

    formats : attributes that tell a file's format → the first that has checksums, and the last that is known

    Raises
    ------
    FileError : not whole, not what was saved, no netCDF file, or one that reads others
    """
    import xarray as xr

    try:
        with Path(path).open("rb") as file:
            _check_foot(file)
        groups, attrs = _groups(path)
        tree = xr.DataTree.from_dict(groups)
        tree.attrs = attrs
        return _checked(tree, formats)
    except Damage as problem:
        raise FileError(f"{str(path)!r} cannot be used: {problem}") from None
    except Exception as problem:  # noqa: BLE001  # whatever the readers raise on foreign bytes
        raise FileError(
            f"{str(path)!r} cannot be read as a saved posterior; it is cut off or no netCDF file "
            f"({_first_line(problem)})"
        ) from None


def _first_line(problem: Exception) -> str:
    said = str(problem).strip().splitlines()
    return said[0][:200] if said else type(problem).__name__


def _groups(path: str | Path) -> tuple[dict[str, xr.Dataset], dict[str, Any]]:
    """The groups of a netCDF file by their paths, in memory, and the attributes of its root."""
    import h5netcdf
    import h5py
    import xarray as xr
    from xarray.backends import H5NetCDFStore

    groups: dict[str, xr.Dataset] = {}
    with h5py.File(path, "r") as h5:
        inside = _checked_structure(h5, Path(path).stat().st_size)
        with h5netcdf.File(h5, "r", decode_vlen_strings=True) as root:
            for name in inside:
                store = H5NetCDFStore(root, group=name or None)
                try:
                    groups[f"/{name}"] = xr.open_dataset(store, cache=False).load()
                except Exception as problem:  # noqa: BLE001  # whatever the readers raise on foreign bytes
                    without = _without_labels(h5[name or "/"])
                    why = (
                        f"labels that {without} had are missing" if without
                        else _first_line(problem) if isinstance(problem, OSError | ValueError)
                        else "its parts do not fit together"
                    )  # fmt: skip
                    raise Damage(f"the group {name or '/'!r} cannot be read: {why}") from None
    attrs = groups["/"].attrs
    return groups, attrs


def _without_labels(group: h5py.Group) -> str:
    """The first variable of a group of which a dimension has lost the variable that labels it; '' without one."""
    import h5py

    for name, found in group.items():
        if isinstance(found, h5py.Dataset) and "DIMENSION_LIST" in found.attrs:
            try:
                whole = all(len(dim) and dim[0].name for dim in found.dims)
            except Exception:  # noqa: BLE001  # of a reference to nothing
                whole = False
            if not whole:
                return shown_part(f"{group.name}/{name}".lstrip("/"))
    return ""


def _check_foot(file: BinaryIO) -> None:
    """Raise where what HDF5 has to understand is not what was written; older files say nothing of it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - FOOT_LENGTH))
    foot = file.read()
    name, _, length = foot.rstrip(b"\n").partition(b" ")
    if name != FOOT.partition(b" ")[0] or not length.strip().isdigit():
        return
    start = size - FOOT_LENGTH - int(length)
    try:
        file.seek(start)
        told = json.loads(file.read(int(length)))
        gaps = [(int(first), int(last), int(checksum)) for first, last, checksum in told["checksums"]]
        whole = int(told["size"]) == start and all(0 <= first < last <= start for first, last, _ in gaps)
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise Damage("the list of checksums at its end is damaged; save it again, or take a copy that is whole")
    for first, last, checksum in gaps:
        if _checksum_between(file, first, last) != checksum:
            raise Damage(
                f"its structure, attributes or labels are not what was saved (bytes {first:,} to {last:,}); "
                f"save it again, or take a copy that is whole"
            )


def _checked(tree: xr.DataTree, formats: Mapping[str, tuple[int, int]]) -> xr.DataTree:
    """The tree without its checksums; raise where a part is not what was saved."""
    told = tree.attrs.pop(CHECKSUMS, None)
    given = [(tree.attrs.get(name), *limits) for name, limits in formats.items()]
    known = [(int(own), *limits) for own, *limits in given if isinstance(own, int | np.integer)]
    if any(own > last for own, _, last in known):
        return tree  # which is refused for its format
    if told is None:
        if any(own >= first for own, first, _ in known):
            raise Damage(f"the attribute {CHECKSUMS!r} is missing")
        return tree
    try:
        saved = json.loads(told)
        if not isinstance(saved, dict):
            raise TypeError
    except (TypeError, ValueError):
        raise Damage(f"its attribute {CHECKSUMS!r} is damaged") from None
    now = checksums_of(tree)
    changed = [name for name in saved if now.get(name) != saved[name]]
    if changed:
        gone = [name for name in changed if name not in now]
        which = ", ".join(map(shown_part, changed[:3])) + (f" and {len(changed) - 3:,} more" if changed[3:] else "")
        said = (
            "is missing"
            if gone == changed
            else "is not what was saved"
            if len(changed) == 1
            else "are not as saved"
        )
        raise Damage(f"{which} {said}; the file is damaged, or another program changed it")
    for node in tree.subtree:
        at = f"{node.path}/".lstrip("/")
        stored = node.to_dataset(inherit=False)
        ours = {dim for name, one in stored.variables.items() if f"{at}{name}" in saved for dim in one.dims}
        # What is added is of no account, but labels of a dimension that had none would be looked up.
        new = [f"{at}{dim}" for dim in stored.indexes if dim in ours and f"{at}{dim}" not in saved]
        if new:
            raise Damage(f"{shown_part(new[0])} was not saved; the file is damaged, or another program changed it")
    return tree


def shown_part(name: str) -> str:
    """A part of the tree in words: "the variable 'posterior/mu'", "the attribute 'seed'"."""
    path, sign, attribute = name.rpartition("@")
    if not sign:
        return f"the variable {name!r}"
    return f"the attribute {attribute!r}" + (f" of {path!r}" if path else "")


# -- what a file of strangers may hold -----------------------------------------------------------------------


def _objects(h5: h5py.File) -> Iterator[tuple[str, Any]]:
    """All groups and datasets below the root, by their paths.

    Raises
    ------
    Damage : a link to another place or file, one object under two names, too many
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
                raise Damage(f"{inside!r} is there twice, or there is more in it than a posterior holds")
            seen.add(address)
            yield inside, found
            if isinstance(found, h5py.Group):
                waiting.append((inside, found))


def _checked_structure(h5: h5py.File, size: int) -> list[str]:
    """The paths of all groups, the root's first; raise where reading would read elsewhere or take absurd memory."""
    import h5py

    groups, memory = [""], _memory_of_attributes(h5["/"], "", size)
    for path, found in _objects(h5):
        memory += _memory_of_attributes(found, path, size)
        if isinstance(found, h5py.Group):
            groups.append(path)
        elif isinstance(found, h5py.Dataset):
            memory += _memory_of(found, path, size)
        else:
            raise Damage(f"{path!r} is no variable and no group")
        if memory > max(SMALL, SWELLING * size):
            raise Damage(
                f"with {path!r} its variables take {memory:,} bytes, more than a file of {size:,} bytes can hold"
            )
    return groups


def _memory_of(found: h5py.Dataset, path: str, size: int) -> int:
    """Bytes that a variable takes in memory, at most; raise where it reads other files or runs other code."""
    import h5py

    made = found.id.get_create_plist()
    if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
        raise Damage(f"the variable {path!r} lies in another file, which is not read")
    foreign = [made.get_filter(at)[0] for at in range(made.get_nfilters())]
    if not set(foreign) <= set(FILTERS):
        raise Damage(f"the variable {path!r} is compressed by other means than {some(FILTERS.values())}")
    count = math.prod(found.shape or ())
    if found.dtype.kind in "biufSU":
        return int(count * found.dtype.itemsize)
    if h5py.check_string_dtype(found.dtype) is None:
        raise Damage(f"the variable {path!r} is neither numbers nor text")
    start = found.id.get_offset()
    if start is None:  # in pieces, or not written
        return int(count * (size if found.id.get_storage_size() else 1))
    return _memory_of_text(h5_name=found.file.filename, start=start, count=count)


def _memory_of_text(h5_name: str, start: int, count: int) -> int:
    """Bytes of texts that lie elsewhere in the file: every one is a length, an address and a number, 16 bytes."""
    with Path(h5_name).open("rb") as file:
        file.seek(start)
        told = file.read(16 * count)
    lengths = np.frombuffer(told[: len(told) // 16 * 16], dtype="<u4")[::4]
    return int(lengths.sum(dtype=np.int64)) + 64 * count


def _memory_of_attributes(found: Any, path: str, size: int) -> int:
    """Bytes that the attributes of a group or variable take, at most; raise where one is no value."""
    import h5py

    memory = 0
    for name in found.attrs:
        if name in ("DIMENSION_LIST", "REFERENCE_LIST"):  # of HDF5 itself: which variables share a dimension
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
