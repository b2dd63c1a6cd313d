"""The episode being recorded: its journal, its rows, and its cameras, which are encoded while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.errors import DatasetError, RobotStackError
from robot_stack.datasets import layout
from robot_stack.datasets.episode_buffer import GrowingRows, RowChecker
from robot_stack.datasets.journal import (
    SUFFIX,
    JournalCamera,
    JournalHeader,
    JournalReader,
    JournalWriter,
    encode_png,
)
from robot_stack.datasets.pending import from_journal
from robot_stack.datasets.store import EpisodeStore, PendingEpisode
from robot_stack.datasets.video_writer import BackgroundVideoWriter, VideoCodec, VideoWriter


class Recording:
    """One episode from its beginning until it is committed, aborted, or left in its journal.

    Args:
        store: of the dataset.
        instruction: what is to be done.
        facts: provenance.
        codec: how videos are encoded.
        png: keep images of video cameras as PNG in the journal.
        sync_interval_s: see :class:`robot_stack.datasets.journal.JournalWriter`.

    Raises:
        StorageError: if the file system refuses.
    """

    def __init__(
        self,
        store: EpisodeStore,
        instruction: str,
        facts: Mapping[str, Any],
        codec: VideoCodec,
        *,
        png: bool,
        sync_interval_s: float,
    ) -> None:
        self._store, self._codec = store, codec
        self._checker = RowChecker(store.features, float(store.fps))
        self._rows = GrowingRows(self._checker.dtype)
        number = store.total_episodes
        path = layout.journal_folder(store.root) / f"episode-{number:06d}{SUFFIX}"
        cameras = tuple(
            JournalCamera(c.name, c.image_shape, png=png or c.dtype == "image") for c in self._checker.cameras
        )
        header = JournalHeader(number, instruction, facts, self._checker.dtype, cameras)
        self._journal = JournalWriter(path, header, sync_interval_s=sync_interval_s)
        self._encoders: dict[str, BackgroundVideoWriter] = {}
        self._finished: dict[str, tuple[Path, dict[str, np.ndarray]]] = {}
        self._reader: JournalReader | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, frame: Mapping[str, Any]) -> None:
        """See :meth:`robot_stack.datasets.writer.DatasetWriter.add`."""
        self._catch_up()
        row = self._rows.next()
        number = len(self._rows)
        self._checker.fill(row, frame, number)
        images = self._checker.images(frame, number)
        kept = [encode_png(i) if c.png else i for i, c in zip(images, self._journal.header.cameras, strict=True)]
        self._journal.append(row.tobytes(), kept)
        self._rows.keep()
        for camera, image in zip(self._checker.cameras, images, strict=True):
            if camera.dtype == "video":
                self._encode(camera.name, image, number)

    def finish(self, success: bool | None, facts: Mapping[str, Any]) -> PendingEpisode:
        """The episode, ready to be committed. Can be called again when committing failed.

        Raises:
            DatasetError: if there are no frames, or the outcome contradicts ``next.success``.
            VideoError, StorageError: if a camera cannot be encoded.
        """
        self._catch_up()
        if not len(self._rows):
            raise DatasetError("an episode needs at least one frame", remedy="add() frames, or abort()")
        rows = self._rows.array()
        reached = bool(rows["next.success"].any())
        if success is False and reached:
            raise DatasetError(
                "the outcome contradicts the frames",
                got="success=False",
                expected="next.success is true in some frame",
                remedy='note a verdict that differs in the provenance, e.g. provenance={"operator_success": False}',
            )
        for name in list(self._encoders):
            self._finish_encoder(name)
        self._reader = JournalReader(self._journal.path)
        provenance = {**self._journal.header.provenance, **facts, "success": reached if success is None else success}
        pending = from_journal(
            self._reader,
            len(rows),
            self._store.features,
            provenance,
            self._store.fps,
            self._codec,
            done=self._encoded,
        )
        if success and not reached:
            pending.columns["next.success"][-1] = True
        return pending

    def release(self) -> None:
        """Close what :meth:`finish` opened."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def discard(self) -> None:
        """Remove every trace of the episode."""
        self._drop_encoders()
        for path, _ in self._finished.values():
            path.unlink(missing_ok=True)
        self.release()
        self._journal.discard()

    def leave(self) -> None:
        """Close everything, leaving the journal to be salvaged."""
        self._drop_encoders()
        self.release()
        self._journal.close()

    def _catch_up(self) -> None:
        """An interruption may have come between the journal and the rest: the journal counts."""
        if self._journal.frames > len(self._rows):
            self._rows.keep()
            self._drop_encoders()

    def _encode(self, name: str, image: np.ndarray, number: int) -> None:
        if number == 0:
            feature = self._store.features[name]
            index = len(self._encoders)
            path = self._journal.path.with_suffix(f".live{index}.mp4")
            try:
                writer = VideoWriter(path, feature.image_shape, self._store.fps, self._codec)
            except RobotStackError:
                return  # committing encodes from the journal, and tells what is wrong
            self._encoders[name] = BackgroundVideoWriter(writer)
        if name in self._encoders:
            self._encoders[name].add(image.copy())

    def _finish_encoder(self, name: str) -> None:
        encoder = self._encoders.pop(name)
        try:
            stats = encoder.finish()
        except RobotStackError:
            return  # encoded again from the journal
        if encoder.frames == len(self._rows):
            self._finished[name] = encoder.path, stats
        else:
            encoder.path.unlink(missing_ok=True)

    def _encoded(self, name: str) -> tuple[Path, dict[str, np.ndarray]] | None:
        finished = self._finished.get(name)
        return finished if finished is not None and finished[0].exists() else None

    def _drop_encoders(self) -> None:
        while self._encoders:
            self._encoders.popitem()[1].abort()
