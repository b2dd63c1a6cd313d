"""The frames of an image feature (PNG or JPEG pictures inside the parquet files) by row of the dataset.

Parquet gives a picture only together with thousands of others, so the encoded pictures are copied once into one flat
file with a table of offsets; reading a row is then one slice and one decode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.cache_store import ArrayFile, Inherited, describe_source, open_generation
from robot_stack.datasets.columns import Column, DataPart
from robot_stack.datasets.metadata import FeatureInfo, open_parquet, read_batches

_BATCH_ROWS = 128
_REMEDY = "run `robot-stack data validate` for a full list; restore the file from a copy or delete the episode"


class ImageCamera:
    """Decodes pictures where they are asked for.

    Args:
        root: folder of the dataset.
        home: folder for caches.
        feature: the image feature.
        parts: the parquet files with their rows.
    """

    def __init__(self, root: Path, home: Path, feature: FeatureInfo, parts: tuple[DataPart, ...]) -> None:
        self.feature = feature
        self.shape = feature.image_shape
        self._parts = parts
        sources = [describe_source(root, part.path, part.rows, str(part.first_row)) for part in parts]

        def build(folder: Path, inherited: Inherited | None) -> None:
            _copy_pictures(root, folder, feature, parts, inherited)

        safe_name = hashlib.blake2b(feature.name.encode(), digest_size=8).hexdigest()
        folder = open_generation(home / "pictures" / safe_name, f"1 {feature.name}", root, sources, build)
        self._bytes = Column(folder / "bytes.npy")
        self._offsets = Column(folder / "offsets.npy")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Decode the pictures of some rows; each distinct one is decoded once.

        Args:
            rows: rows of the dataset, shape ``(n,)``.

        Returns:
            uint8 RGB of shape ``(n, height, width, channels)``.

        Raises:
            DatasetError: naming the file and row of a picture that is damaged or has another size.
        """
        unique, inverse = np.unique(rows, return_inverse=True)
        frames = np.empty((len(unique), *self.shape), dtype=np.uint8)
        begin, end = self._offsets.take(unique), self._offsets.take(unique + 1)
        for i, row in enumerate(unique):
            frames[i] = self._decode(self._bytes.array[int(begin[i]) : int(end[i])], int(row))
        return frames if len(unique) == len(rows) and (inverse[1:] > inverse[:-1]).all() else frames[inverse]

    def encoded(self, row: int) -> bytes:
        """The picture of a row as it is stored."""
        begin, end = self._offsets.array[row : row + 2]
        return self._bytes.array[int(begin) : int(end)].tobytes()

    def close(self) -> None:
        """Nothing to close; the memory maps go with the object."""

    def _decode(self, data: np.ndarray, row: int) -> np.ndarray:
        gray = self.shape[2] == 1
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR) if len(data) else None
        if image is None:
            raise self._error(row, "a picture is damaged", f"{len(data)} bytes that are no image", self.shape)
        image = image[:, :, None] if gray else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        if image.shape != self.shape:
            raise self._error(row, "a picture has another size than info.json says", image.shape, self.shape)
        return image

    def _error(self, row: int, message: str, got: object, expected: object) -> DatasetError:
        part = next(part for part in self._parts if part.first_row <= row < part.first_row + part.rows)
        where = f"{part.path}, row {row - part.first_row}, column {self.feature.name!r}"
        return DatasetError(message, where=where, got=got, expected=expected, remedy=_REMEDY)


def _copy_pictures(
    root: Path, folder: Path, feature: FeatureInfo, parts: tuple[DataPart, ...], inherited: Inherited | None
) -> None:
    """Fill a generation: ``offsets.npy`` of shape ``(rows + 1,)`` and ``bytes.npy``, all pictures in a row."""
    offsets = ArrayFile(folder / "offsets.npy", np.dtype(np.int64), ())
    pictures = ArrayFile(folder / "bytes.npy", np.dtype(np.uint8), ())
    try:
        if inherited is not None:
            old = np.load(inherited.folder / "offsets.npy", mmap_mode="r")
            offsets.copy_rows(inherited.folder / "offsets.npy", inherited.rows)
            pictures.copy_rows(inherited.folder / "bytes.npy", int(old[inherited.rows]))
        for part in parts[inherited.files if inherited else 0 :]:
            for data in _pictures(root, part, feature):
                offsets.append(np.array([pictures.rows]))
                pictures.append(np.frombuffer(data, dtype=np.uint8))
        offsets.append(np.array([pictures.rows]))
    finally:
        offsets.close()
        pictures.close()


def _pictures(root: Path, part: DataPart, feature: FeatureInfo) -> Iterator[bytes]:
    """The encoded pictures of one file's committed rows."""
    done = 0
    with open_parquet(part.path) as parquet:
        if feature.name not in parquet.schema_arrow.names:
            raise DatasetError("a data file lacks a camera", where=part.path, expected=feature.name, remedy=_REMEDY)
        for batch in read_batches(parquet, part.path, [feature.name], _BATCH_ROWS):
            for value in batch.column(0).slice(0, part.rows - done).to_pylist():
                yield _picture(root, part.path, done, feature, value)
                done += 1
            if done >= part.rows:
                return
    raise DatasetError(
        "a data file holds fewer pictures than the episode table says",
        where=part.path,
        got=f"{done} rows",
        expected=f"{part.rows} rows",
        remedy=_REMEDY,
    )


def _picture(root: Path, path: Path, row: int, feature: FeatureInfo, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict) and value.get("bytes"):
        return value["bytes"]
    beside = root / str(value.get("path")) if isinstance(value, dict) and value.get("path") else None
    if beside is not None and beside.is_file() and beside.resolve().is_relative_to(root.resolve()):
        return beside.read_bytes()
    raise DatasetError(
        "a row has no picture", where=f"{path}, row {row}, column {feature.name!r}", got=str(value)[:80], remedy=_REMEDY
    )
