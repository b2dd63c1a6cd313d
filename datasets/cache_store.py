"""Derived files beside a dataset (decoded columns, raw frames), keyed by the content of what they were made from.

A *generation* is a folder of arrays with a manifest of its source files. It is built in a temporary folder, made
durable, and renamed into place: it is either there whole or not at all. When a dataset has grown, the new generation
copies the rows of the unchanged source files from the old one and decodes only the rest. Deleting a cache is always
safe.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from robot_stack.core.atomic import fsync_folder, storage_errors
from robot_stack.core.errors import DatasetError, StorageError

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class SourceFile:
    """One file that a generation was made from."""

    path: str
    """Relative to the dataset."""

    rows: int
    """Rows taken from it."""

    detail: str
    """Anything else that the result depends on, e.g. where the episodes begin in it."""

    size: int
    """Bytes."""

    mtime_ns: int
    """Modification time [ns]; when it alone differs, the digest decides."""

    digest: str = ""
    """BLAKE2b of the content; computed when a generation is built."""

    @property
    def stamp(self) -> tuple[str, int, str, int, int]:
        """All but the digest."""
        return (self.path, self.rows, self.detail, self.size, self.mtime_ns)


@dataclass(frozen=True)
class Inherited:
    """What a new generation may copy from the one before."""

    folder: Path
    """The old generation."""

    files: int
    """How many leading source files are unchanged."""

    rows: int
    """How many leading rows are unchanged."""


class FilesChanged(DatasetError):
    """A source file was replaced while a generation was built from it."""


Build = Callable[[Path, "Inherited | None"], None]


def cache_home(root: Path, override: Path | None = None) -> Path:
    """The folder for the caches of a dataset: beside it when it can be written, else in the user's cache folder.

    Args:
        root: folder of the dataset.
        override: take this one instead.
    """
    if override is not None:
        return override
    beside = root / ".cache"
    try:
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=beside):
            return beside
    except OSError:
        name = hashlib.blake2b(str(root.resolve()).encode(), digest_size=8).hexdigest()
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "robot_stack" / "datasets" / f"{root.resolve().name}-{name}"


def describe_source(root: Path, path: Path, rows: int, detail: str = "") -> SourceFile:
    """A source file as it is now, digest left out.

    Args:
        root: folder of the dataset.
        path: the file.
        rows: rows taken from it.
        detail: see :class:`SourceFile`.

    Raises:
        DatasetError: if it is missing.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        remedy = "restore the file from a copy, or delete the episodes in it"
        raise DatasetError("a file of the dataset is missing", where=path, remedy=remedy) from error
    relative = path.relative_to(root).as_posix()
    return SourceFile(relative, rows, detail, status.st_size, status.st_mtime_ns)


def open_generation(home: Path, layout: str, root: Path, sources: Sequence[SourceFile], build: Build) -> Path:
    """The generation made from exactly these sources, built if it is not there yet.

    Args:
        home: folder that holds the generations of one kind.
        layout: text that changes whenever the arrays' names, types, shapes or format change.
        root: folder of the dataset.
        sources: the source files as they are now, in row order.
        build: fills an empty folder, given what can be copied from the generation before.

    Raises:
        FilesChanged: if a source was replaced meanwhile.
        StorageError: if the cache cannot be written.
    """
    sources = tuple(sources)
    found, _ = _search(home, layout, root, sources)
    if found is not None:
        return found
    try:
        with storage_errors(home):
            home.mkdir(parents=True, exist_ok=True)
            with _one_builder(home):
                found, inherited = _search(home, layout, root, sources)  # another process may have built it meanwhile
                return found or _build(home, layout, root, sources, build, inherited)
    except StorageError as error:
        remedy = "free disk space, or pass cache_dir= to Dataset to keep decoded data elsewhere"
        raise StorageError(error.message, where=error.where, remedy=remedy) from error


@contextlib.contextmanager
def _one_builder(home: Path) -> Iterator[None]:
    """Wait until no other process builds here; then what unfinished builders left behind can go."""
    descriptor = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: building twice is a waste, not an error
            yield
            return
        for folder in home.glob("tmp-*"):
            shutil.rmtree(folder, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def _search(
    home: Path, layout: str, root: Path, sources: tuple[SourceFile, ...]
) -> tuple[Path | None, Inherited | None]:
    best: Inherited | None = None
    for folder in sorted(home.glob("g-*")):
        manifest = _read_manifest(folder)
        if manifest is None or manifest[0] != layout:
            continue
        same = _unchanged(root, manifest[1], sources)
        if same == len(sources) == len(manifest[1]):
            return folder, None
        if same and (best is None or same > best.files):
            best = Inherited(folder, same, sum(s.rows for s in sources[:same]))
    return None, best


def _unchanged(root: Path, old: tuple[SourceFile, ...], new: tuple[SourceFile, ...]) -> int:
    """How many leading sources are the same files with the same content."""
    for count, (a, b) in enumerate(zip(old, new, strict=False)):
        if a.stamp == b.stamp:
            continue
        if a.stamp[:-1] != b.stamp[:-1] or a.digest != _digest(root / b.path):
            return count
    return min(len(old), len(new))


def _build(
    home: Path,
    layout: str,
    root: Path,
    sources: tuple[SourceFile, ...],
    build: Build,
    inherited: Inherited | None,
) -> Path:
    work = Path(tempfile.mkdtemp(prefix="tmp-", dir=home))
    try:
        build(work, inherited)
        return _install(work, home, layout, root, sources)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _install(work: Path, home: Path, layout: str, root: Path, sources: tuple[SourceFile, ...]) -> Path:
    """Write the manifest, make everything durable, put the generation in place and drop the older ones.

    Raises:
        FilesChanged: if a source is not what it was before building.
    """
    try:
        digested = tuple(SourceFile(*source.stamp, digest=_digest(root / source.path)) for source in sources)
        changed = [s.path for s in sources if describe_source(root, root / s.path, s.rows, s.detail) != s]
    except OSError as error:
        raise FilesChanged("a file of the dataset vanished while it was read", where=error.filename) from error
    if changed:
        remedy = "try again when its writer has ended"
        raise FilesChanged("a file of the dataset changed while it was read", where=root / changed[0], remedy=remedy)
    text = json.dumps({"layout": layout, "sources": [asdict(source) for source in digested]})
    (work / _MANIFEST).write_text(text, encoding="utf-8")
    for path in work.iterdir():
        _fsync(path)
    fsync_folder(work)
    target = home / f"g-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
    try:
        work.rename(target)
    except OSError:
        if not (target / _MANIFEST).is_file():
            raise
    fsync_folder(home)
    for old in home.glob("g-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return target


def _read_manifest(folder: Path) -> tuple[str, tuple[SourceFile, ...]] | None:
    try:
        raw = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return raw["layout"], tuple(SourceFile(**entry) for entry in raw["sources"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ArrayFile:
    """Writes a ``.npy`` file some rows at a time, so that memory does not grow with the array.

    Args:
        path: the file to make.
        dtype: type of the numbers.
        row_shape: shape of one row.
    """

    def __init__(self, path: Path, dtype: np.dtype, row_shape: tuple[int, ...]) -> None:
        self.dtype = np.dtype(dtype)
        self.row_shape = row_shape
        self.rows = 0
        """Rows written so far."""
        self._row_bytes = self.dtype.itemsize * int(np.prod(row_shape, dtype=np.int64))
        self._file = path.open("wb")
        self._header_bytes = self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Write some rows, shape ``(n, *row_shape)``."""
        self._file.write(np.ascontiguousarray(rows, dtype=self.dtype).data)
        self.rows += len(rows)

    def copy_rows(self, old: Path, rows: int) -> None:
        """Copy the first ``rows`` rows of another ``.npy`` file with the same type and row shape."""
        with old.open("rb") as source:
            np.lib.format.read_magic(source)
            np.lib.format.read_array_header_2_0(source)
            left = rows * self._row_bytes
            while left > 0:
                block = source.read(min(left, 1 << 20))
                if not block:
                    raise EOFError(f"{old} ends early")
                self._file.write(block)
                left -= len(block)
        self.rows += rows

    def close(self) -> None:
        """Write the final number of rows into the header and close the file."""
        if not self._file.closed:
            self._file.seek(0)
            written = self._write_header()
            self._file.close()
            if written != self._header_bytes:
                raise RuntimeError("the header of a .npy file changed its size")

    def _write_header(self) -> int:
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, *self.row_shape)}
        np.lib.format.write_array_header_2_0(self._file, header)  # pads for a larger first axis
        return self._file.tell()
