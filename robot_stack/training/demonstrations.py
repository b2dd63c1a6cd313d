"""Demonstrations as training takes them: opened, checked for finite numbers, split by episode, hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_stack.core.errors import ConfigError, DatasetError, NonFiniteError
from robot_stack.core.seeding import generator
from robot_stack.datasets.reader import Dataset
from robot_stack.training.row_blocks import BLOCK_ROWS


@dataclass(frozen=True)
class Split:
    """Episodes to learn from and episodes held out, each sorted."""

    train: np.ndarray
    """Numbers of episodes, shape ``(train,)``."""

    validation: np.ndarray
    """Numbers of episodes, shape ``(validation,)``; may be empty."""


def split_episodes(count: int, fraction: float, *, seed: int, at_most: int | None = None) -> Split:
    """Hold out whole episodes at random: neighbouring windows of one episode are no fair test of each other.

    Args:
        count: episodes in all.
        fraction: share to hold out; at least one episode if positive and there are two or more.
        seed: of the choice.
        at_most: learn from so many at most, chosen at random; ``None`` for all.

    Raises:
        ConfigError: if the share is not in 0..1 or nothing would be left.
    """
    if not 0.0 <= fraction < 1.0 or (at_most is not None and at_most < 1):
        raise ConfigError(
            "the validation share or the number of episodes is out of range",
            got=(fraction, at_most),
            expected="0 <= share < 1, at least one episode",
        )
    order = generator(seed, count).permutation(count)
    held_out = min(count - 1, max(1, round(fraction * count))) if fraction > 0 and count > 1 else 0
    train = order[held_out:][:at_most]
    return Split(np.sort(train), np.sort(order[:held_out]))


def open_demonstrations(
    roots: Sequence[Path], fields: Sequence[str], *, optional: Sequence[str] = (), cache_dir: Path | None = None
) -> list[Dataset]:
    """Open datasets for training.

    Args:
        roots: their folders.
        fields: numeric features that must be finite.
        optional: those of them that a dataset may lack.
        cache_dir: see :class:`robot_stack.datasets.reader.Dataset`.

    Raises:
        DatasetError: if one is missing, damaged or empty.
        UnknownNameError: if one lacks a field.
        NonFiniteError: if a number is NaN or infinite; it names file, episode, frame and field.
    """
    if not roots:
        raise ConfigError("training needs at least one dataset")
    datasets = []
    for root in roots:
        dataset = Dataset(root, cache_dir=cache_dir)
        dataset.require_episodes()
        for name in fields:
            if name not in optional or name in dataset.features:
                require_finite(dataset, name)
        datasets.append(dataset)
    return datasets


def require_finite(dataset: Dataset, name: str) -> None:
    """Refuse NaN and infinity in a numeric feature.

    Raises:
        NonFiniteError: naming the first one's file, episode, frame and field.
    """
    column = dataset.column(name)
    for start in range(0, column.shape[0], BLOCK_ROWS):
        chunk = column.slice(start, start + BLOCK_ROWS)
        good = np.isfinite(chunk).reshape(len(chunk), -1)
        if good.all():
            continue
        row, element = (int(i) for i in np.argwhere(~good)[0])
        raise _not_finite(dataset, name, start + row, element)


def _not_finite(dataset: Dataset, name: str, row: int, element: int) -> NonFiniteError:
    table = dataset.episodes
    episode = int(np.searchsorted(table.stop, row, side="right"))
    path = dataset.info.data_path.format(
        chunk_index=int(table.data_chunk[episode]), file_index=int(table.data_file[episode])
    )
    first_in_file = np.flatnonzero(
        (table.data_chunk == table.data_chunk[episode]) & (table.data_file == table.data_file[episode])
    )[0]
    names = dataset.features[name].names
    label = f" ({names[element]})" if isinstance(names, list) and element < len(names) else ""
    value = dataset.column(name).slice(row, row + 1).reshape(-1)[element]
    return NonFiniteError(
        "the demonstrations hold a number that is not finite",
        where=f"{dataset.root / path}, row {row - int(table.start[first_in_file])}",
        got=f"{value} in {name}[{element}]{label}, episode {episode}, frame {row - int(table.start[episode])}",
        expected="finite numbers in everything a policy learns from",
        remedy=f"record episode {episode} again or leave it out: `robot-stack data validate {dataset.root}` lists all",
    )


def content_hash(root: Path) -> str:
    """SHA-256 of a dataset: contents of ``meta/`` and ``data/``, names and sizes under ``videos/``.

    Raises:
        DatasetError: if there is no dataset.
    """
    if not (root / "meta" / "info.json").is_file():
        raise DatasetError("this folder is no dataset", where=root, expected="meta/info.json in it")
    digest = hashlib.sha256()
    for path in _files(root):
        relative = path.relative_to(root).as_posix()
        digest.update(f"{relative}\0{path.stat().st_size}\0".encode())
        if not relative.startswith("videos/"):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for folder in ("data", "meta", "videos"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path
