"""The journal of the episode being recorded: what makes a recording survive its process.

One append-only file of records, each ``length (4 bytes), CRC-32 (4 bytes), payload``. The first record is the header
(JSON: task, provenance, row layout, cameras), each further one a frame: the packed numbers of its row, then one image
after another, each ``kind (1 byte: raw or PNG), length (4 bytes), data``. Every frame is handed to the operating system
before :meth:`JournalWriter.append` returns, so that it survives ``kill -9``; it is made durable about once a second, in
a thread, so that it survives a power cut but for the last second. Reading stops at the first record that is cut short
or damaged: what comes before it is complete.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from robot_stack.core.atomic import storage_errors
from robot_stack.core.errors import DatasetError, StorageError

VERSION = 1
SUFFIX = ".journal"
_HEAD = struct.Struct("<II")
_IMAGE = struct.Struct("<BI")
_RAW, _PNG = 0, 1
_MAGIC = b"robot_stack journal\n"
_LARGEST = 1 << 30
_PNG_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


@dataclass(frozen=True)
class JournalCamera:
    """One camera of a journal."""

    name: str
    """The feature."""

    shape: tuple[int, int, int]
    """Of an image."""

    png: bool
    """Images are kept as PNG; otherwise raw, which costs no time and much more disk."""


@dataclass(frozen=True)
class JournalHeader:
    """What is known when a recording begins."""

    episode: int
    """The number that the episode will have."""

    instruction: str
    """What is to be done."""

    provenance: Mapping[str, Any]
    """Plain data."""

    row: np.dtype
    """One frame's numbers, packed."""

    cameras: tuple[JournalCamera, ...] = ()
    """Their images follow the numbers, in this order."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        cameras = [[c.name, list(c.shape), c.png] for c in self.cameras]
        row = [[name, self.row[name].base.str, list(self.row[name].shape)] for name in self.row.names or ()]
        return {
            "version": VERSION,
            "episode": self.episode,
            "instruction": self.instruction,
            "provenance": dict(self.provenance),
            "row": row,
            "cameras": cameras,
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> JournalHeader:
        """From plain data."""
        row = np.dtype([(name, kind, tuple(shape)) if shape else (name, kind) for name, kind, shape in plain["row"]])
        cameras = tuple(JournalCamera(n, (s[0], s[1], s[2]), bool(png)) for n, s, png in plain["cameras"])
        return cls(int(plain["episode"]), plain["instruction"], plain["provenance"], row, cameras)


class JournalWriter:
    """Appends the frames of one episode.

    Args:
        path: a new file; its folder is made.
        header: what is known of the episode.
        sync_interval_s: how often the file is made durable; 0 switches that off [s].

    Raises:
        StorageError: if the file system refuses.
    """

    def __init__(self, path: Path, header: JournalHeader, *, sync_interval_s: float = 1.0) -> None:
        self.path, self.header, self.frames = path, header, 0
        self._interval_s, self._synced_s = sync_interval_s, time.monotonic()
        self._syncing: threading.Thread | None = None
        self._size = 0
        self._descriptor = -1
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self._write([_MAGIC])
            self._write_record([json.dumps(header.to_json(), allow_nan=False).encode()])
        except BaseException:
            self.discard()
            raise

    def append(self, row: bytes, images: Sequence[np.ndarray | bytes] = ()) -> None:
        """Add a frame.

        Args:
            row: the packed numbers.
            images: one for each camera: an array, or PNG bytes where the camera is kept as PNG.

        Raises:
            StorageError: if the file system refuses; the frame is not in the journal then, and can be added again.
        """
        parts: list[Any] = [row]
        for image in images:
            if isinstance(image, bytes):
                parts += [_IMAGE.pack(_PNG, len(image)), image]
            else:
                parts += [_IMAGE.pack(_RAW, image.nbytes), np.ascontiguousarray(image).data.cast("B")]
        self._write_record(parts)
        self.frames += 1
        self._sync_now_and_then()

    def close(self) -> None:
        """Leave the file for a later salvage; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Remove the file; idempotent."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write_record(self, parts: list[Any]) -> None:
        crc, length = 0, 0
        for part in parts:
            crc, length = zlib.crc32(part, crc), length + len(part)
        self._write([_HEAD.pack(length, crc), *parts])

    def _write(self, parts: list[Any]) -> None:
        """All of it or nothing."""
        if self._descriptor < 0:
            raise StorageError("the journal is closed", where=self.path)
        total = sum(len(part) for part in parts)
        try:
            with storage_errors(self.path):
                written = os.writev(self._descriptor, parts)
                if written < total:
                    rest = memoryview(b"".join(bytes(part) for part in parts))[written:]
                    while len(rest):
                        rest = rest[os.write(self._descriptor, rest) :]
        except BaseException:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += total

    def _sync_now_and_then(self) -> None:
        now = time.monotonic()
        if not self._interval_s or now - self._synced_s < self._interval_s:
            return
        if self._syncing is not None and self._syncing.is_alive():
            return
        self._synced_s = now
        self._syncing = threading.Thread(target=_sync, args=(os.dup(self._descriptor),), daemon=True)
        self._syncing.start()


class JournalReader:
    """The complete frames of a journal.

    Args:
        path: the file; it may be cut short anywhere.

    Raises:
        DatasetError: if not even the header is complete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._size = os.fstat(self._descriptor).st_size
            if os.pread(self._descriptor, len(_MAGIC), 0) != _MAGIC:
                raise DatasetError("a journal has no beginning", where=path)
            header, place = self._record(len(_MAGIC))
            if header is None:
                raise DatasetError("the header of a journal is cut short or damaged", where=path)
            self.header = _parse_header(header, path)
            self._frames = self._scan(place)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._frames)

    def rows(self) -> np.ndarray:
        """The numbers of all frames, a record array of shape ``(frames,)``."""
        size = self.header.row.itemsize
        data = b"".join(os.pread(self._descriptor, size, place) for place in self._frames)
        return np.frombuffer(data, dtype=self.header.row).copy()

    def image(self, frame: int, camera: int) -> np.ndarray:
        """An image, uint8 of the camera's shape."""
        kind, data = self._image(frame, camera)
        shape = self.header.cameras[camera].shape
        if kind == _RAW:
            return np.frombuffer(data, dtype=np.uint8).reshape(shape)
        return decode_png(data, shape)

    def picture(self, frame: int, camera: int) -> bytes:
        """An image as PNG."""
        kind, data = self._image(frame, camera)
        if kind == _PNG:
            return data
        return encode_png(np.frombuffer(data, dtype=np.uint8).reshape(self.header.cameras[camera].shape))

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scan(self, place: int) -> list[int]:
        frames = []
        while True:
            payload, after = self._record(place)
            if payload is None or len(payload) < self.header.row.itemsize:
                return frames
            frames.append(place + _HEAD.size)
            place = after

    def _record(self, place: int) -> tuple[bytes | None, int]:
        head = os.pread(self._descriptor, _HEAD.size, place)
        if len(head) < _HEAD.size:
            return None, place
        length, crc = _HEAD.unpack(head)
        if length > _LARGEST or place + _HEAD.size + length > self._size:
            return None, place
        payload = os.pread(self._descriptor, length, place + _HEAD.size)
        if len(payload) < length or zlib.crc32(payload) != crc:
            return None, place
        return payload, place + _HEAD.size + length

    def _image(self, frame: int, camera: int) -> tuple[int, bytes]:
        place = self._frames[frame] + self.header.row.itemsize
        for i in range(camera + 1):
            kind, length = _IMAGE.unpack(os.pread(self._descriptor, _IMAGE.size, place))
            place += _IMAGE.size
            if i == camera:
                return kind, os.pread(self._descriptor, length, place)
            place += length
        raise AssertionError("unreachable")


class JournalPictures(Sequence[bytes]):
    """The images of one camera of a journal as PNG, read when they are needed."""

    def __init__(self, journal: JournalReader, camera: int, frames: int) -> None:
        self._journal, self._camera, self._frames = journal, camera, frames

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._journal.picture(i, self._camera) for i in range(*index.indices(self._frames))]
        return self._journal.picture(index, self._camera)


def encode_png(image: np.ndarray) -> bytes:
    """A losslessly compressed picture, fast: uint8 of shape ``(height, width, 3 or 1)``."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    done, data = cv2.imencode(".png", pixels, _PNG_FAST)
    if not done:
        raise DatasetError("an image could not be compressed", got=f"{image.dtype}{image.shape}")
    return data.tobytes()


def decode_png(data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The image in a PNG, uint8 of the given shape."""
    flag = cv2.IMREAD_COLOR if shape[2] == 3 else cv2.IMREAD_GRAYSCALE
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag)
    if image is None:
        raise DatasetError("a picture is damaged", got=f"{len(data)} bytes")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if shape[2] == 3 else image.reshape(shape)


def journals(folder: Path) -> list[Path]:
    """Journals that were left behind, oldest episode first."""
    return sorted(folder.glob("*" + SUFFIX))


def _parse_header(data: bytes, path: Path) -> JournalHeader:
    try:
        plain = json.loads(data)
        if plain["version"] != VERSION:
            raise DatasetError(
                "a journal was written by another version", where=path, got=plain["version"], expected=VERSION
            )
        return JournalHeader.from_json(plain)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DatasetError("the header of a journal is damaged", where=path, got=error) from error


def _sync(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    except OSError:
        pass  # a full or failing disk shows itself to the next write
    finally:
        os.close(descriptor)
