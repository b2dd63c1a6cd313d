"""Recording a LeRobotDataset v3.0: each episode is durable when ``commit`` returns.

The frames of the episode being recorded go to a journal (:mod:`robot_stack.datasets.journal`); committing makes it part
of the dataset all or nothing (:mod:`robot_stack.datasets.store`); closing joins small files
(:mod:`robot_stack.datasets.compaction`). After ``kill -9``, a power cut or a full disk the next opening, or
``robot-stack data repair``, clears up and brings the frames in the journal back as an episode of unknown outcome.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from robot_stack.core.atomic import fsync_folder, storage_errors, write_json
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, DatasetError, EmbodimentMismatchError, StorageError
from robot_stack.core.lock import FolderLock
from robot_stack.datasets import layout
from robot_stack.datasets.compaction import compact
from robot_stack.datasets.episode_buffer import EpisodeBuffer, check_columns
from robot_stack.datasets.episodes import read_episodes
from robot_stack.datasets.metadata import DatasetInfo, read_info, read_json
from robot_stack.datasets.pending import from_arrays
from robot_stack.datasets.recording import Recording
from robot_stack.datasets.repair import RepairReport, repair_locked
from robot_stack.datasets.schema import Storage, dataset_features, feature_differences, new_info, require_writable
from robot_stack.datasets.store import EpisodeStore, PendingEpisode
from robot_stack.datasets.video_writer import VideoCodec, require_encoder

_FILES_BEFORE_COMPACTION = 256


class DatasetWriter:
    """The one writer of a dataset: made new, or continued after a check that the robot is the same.

    Use: ``with DatasetWriter(root, embodiment) as writer: writer.begin("open the drawer"); writer.add({...}); …;
    writer.commit(success=True)``. An episode that is neither committed nor aborted when the writer closes stays in the
    journal and is brought back, marked as recovered, on the next opening.

    Args:
        root: folder of the dataset.
        embodiment: of the robot that is recorded.
        fps: nominal rate of the frames; the embodiment's control rate when not given [Hz].
        storage: cameras as ``"video"`` files or as PNG ``"image"`` in the rows; what the dataset has when not given,
            video for a new one.
        codec: how videos are encoded.
        journal_images: ``"raw"`` costs no time and, for a 640x480 camera at 30 Hz, 28 MB/s of disk until the episode is
            committed; ``"png"`` halves that for 14 ms of processor time a frame. Image storage always keeps PNG.
        sync_interval_s: how often the journal is made safe against a power cut; 0 for never [s].

    Raises:
        LockedError: if another process writes this dataset.
        EmbodimentMismatchError: if the dataset is of another embodiment, with every difference.
        DatasetError: if the folder holds something else, or a dataset that is damaged beyond repair.
        VideoError: if the encoder is not installed.
        StorageError: if the file system refuses.
    """

    def __init__(
        self,
        root: str | Path,
        embodiment: Embodiment,
        *,
        fps: float | None = None,
        storage: Storage | None = None,
        codec: VideoCodec | None = None,
        journal_images: str = "raw",
        sync_interval_s: float = 1.0,
    ) -> None:
        self.root = Path(root)
        self.embodiment = embodiment
        self.fingerprint = embodiment.fingerprint()
        self._codec = codec or VideoCodec()
        self._journal_png = journal_images == "png"
        self._sync_interval_s = sync_interval_s
        self._recording: Recording | None = None
        self._changed = False
        self._stale = False
        self._lock: FolderLock | None = FolderLock(self.root, what="dataset")
        try:
            if layout.info_path(self.root).exists():
                self._check_existing(embodiment, fps, storage)
            else:
                self._create(embodiment, fps or embodiment.control_hz, storage or "video")
            if any(f.dtype == "video" for f in read_info(self.root).features.values()):
                require_encoder(self._codec)
            self.repaired: RepairReport = repair_locked(self.root, codec=self._codec)
            self._store = EpisodeStore(self.root)
        except BaseException:
            self._lock.release()
            raise
        self._changed = self.repaired.changed
        self._compacted_files = self._store.data_files if self._store.data_files < _FILES_BEFORE_COMPACTION else 0

    @property
    def fps(self) -> float:
        """Nominal rate [Hz]."""
        return float(self._store.fps)

    @property
    def num_episodes(self) -> int:
        """Committed episodes."""
        return self._store.total_episodes

    @property
    def num_frames(self) -> int:
        """Committed frames."""
        return self._store.total_frames

    @property
    def recording(self) -> bool:
        """An episode has begun and is neither committed nor aborted."""
        return self._recording is not None

    @property
    def recorded_frames(self) -> int:
        """Frames of the episode being recorded."""
        return len(self._recording) if self._recording else 0

    def provenance(self) -> list[dict[str, Any]]:
        """What was noted about each committed episode, in order."""
        info = read_info(self.root)
        table = read_episodes(self.root, info)
        texts = table.column("provenance") if len(table) else []
        return [json.loads(text) if text else {} for text in texts]

    def begin(self, instruction: str, provenance: Mapping[str, Any] | None = None) -> int:
        """Begin an episode.

        Args:
            instruction: what is to be done, in words.
            provenance: plain data: driver, seed, task, code revision …

        Returns:
            The number that it will have.

        Raises:
            DatasetError: if one has begun already.
            StorageError: if the file system refuses.
        """
        self._require_open()
        if self._recording is not None:
            raise DatasetError("an episode is being recorded", where=self.root, remedy="commit() or abort() it first")
        facts = {**(provenance or {}), "embodiment": self.fingerprint}
        self._recording = Recording(
            self._store, instruction, facts, self._codec, png=self._journal_png, sync_interval_s=self._sync_interval_s
        )
        return self._store.total_episodes

    def add(self, frame: Mapping[str, Any]) -> None:
        """Add a frame to the episode; it survives the death of this process when this returns.

        Args:
            frame: by feature: ``observation.state``, ``action`` and every camera; and, if known,
                ``action.requested``, ``observation.time``, ``next.reward``, ``next.success``, ``next.done``.

        Raises:
            NonFiniteError: on NaN or infinity, with frame and feature; the frame is not added.
            ShapeError: on a missing feature or another shape; the frame is not added.
            UnknownNameError: on a feature the dataset does not have; the frame is not added.
            StorageError: if the disk is full; the frame is not added, and can be when there is room again.
        """
        self._current().add(frame)

    def commit(self, *, success: bool | None = None, provenance: Mapping[str, Any] | None = None) -> int:
        """Make the episode part of the dataset. It is durable when this returns.

        Args:
            success: the outcome; what ``next.success`` says when not given.
            provenance: more facts, plain data.

        Returns:
            Its number.

        Raises:
            DatasetError: if it has no frames, or the outcome contradicts ``next.success``.
            StorageError: if the disk is full; committing can be tried again when there is room.
            VideoError: if a camera cannot be encoded.
        """
        recording = self._current()
        self._stale = True
        number = self._store.total_episodes
        pending = recording.finish(success, provenance or {})
        try:
            self._store.commit([pending])
        finally:
            recording.release()
            if self._store.total_episodes > number:
                self._recording, self._changed = None, True
                recording.discard()
        self._stale = False
        self._compact_when_due()
        return number

    def abort(self) -> None:
        """Drop the episode being recorded; nothing happens when there is none."""
        if self._recording is not None:
            recording, self._recording = self._recording, None
            recording.discard()

    def write_episode(self, buffer: EpisodeBuffer) -> int:
        """Commit a whole episode from memory; durable when this returns.

        Returns:
            Its number.

        Raises:
            As :meth:`write_episodes`.
        """
        return self.write_episodes([buffer])[0]

    def write_episodes(self, buffers: Sequence[EpisodeBuffer]) -> range:
        """Commit several whole episodes together, all or none: faster than one by one.

        Returns:
            Their numbers.

        Raises:
            EmbodimentMismatchError: if one was recorded with another embodiment.
            NonFiniteError, ShapeError, UnknownNameError: if one does not fit; nothing is written.
            StorageError, VideoError: if writing fails; nothing is committed.
        """
        self._require_open()
        if self._recording is not None:
            raise DatasetError("an episode is being recorded", where=self.root, remedy="commit() or abort() it first")
        pending: list[PendingEpisode] = []
        try:
            for buffer in buffers:
                pending.append(self._pending(buffer))
            self._stale = True
            numbers = self._store.commit(pending) if pending else range(self.num_episodes, self.num_episodes)
        finally:
            for episode in pending:
                for path in episode.videos.values():
                    path.unlink(missing_ok=True)
        self._stale = False
        self._changed = self._changed or bool(pending)
        self._compact_when_due()
        return numbers

    def compact(self) -> None:
        """Join small files now; see :mod:`robot_stack.datasets.compaction`."""
        self._require_open()
        compact(self.root)
        self._store.reload()
        self._compacted_files = self._store.data_files

    def close(self, *, join_files: bool = True) -> None:
        """Join small files, bring the statistics up to date, and let go of the dataset; idempotent.

        Raises:
            StorageError: if the file system refuses; every committed episode is safe.
        """
        if self._lock is None:
            return
        try:
            if self._recording is not None:
                self._recording.leave()
                self._recording = None
            if self._changed and join_files:
                self._store.reload()
                compact(self.root)
                self._store.settle()
        finally:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(join_files=error is None)

    def _current(self) -> Recording:
        self._require_open()
        if self._recording is None:
            raise DatasetError("no episode has begun", where=self.root, remedy="call begin() first")
        return self._recording

    def _require_open(self) -> None:
        if self._lock is None:
            raise DatasetError("the writer is closed", where=self.root, remedy="make a new DatasetWriter")
        if self._stale:  # an exception or Ctrl-C came in the middle of a commit: the disk knows what was done
            number = self._store.total_episodes
            self._store.reload()
            if self._recording is not None and self._store.total_episodes > number:
                self.abort()
            self._stale = False

    def _pending(self, buffer: EpisodeBuffer) -> PendingEpisode:
        if buffer.embodiment_fingerprint != self.fingerprint:
            raise EmbodimentMismatchError(
                "the episode is of another embodiment than the dataset",
                self.embodiment.diff(buffer.embodiment),
                where=self.root,
            )
        columns = check_columns(self._store.features, buffer.columns, buffer.images, self.fps)
        facts = {**buffer.provenance, "embodiment": self.fingerprint}
        facts.setdefault("success", bool(columns["next.success"].any()))
        staging = layout.journal_folder(self.root)
        return from_arrays(
            columns,
            buffer.images,
            self._store.features,
            buffer.instruction,
            facts,
            staging,
            self._store.fps,
            self._codec,
        )

    def _compact_when_due(self) -> None:
        if self._store.data_files - self._compacted_files < _FILES_BEFORE_COMPACTION:
            return
        with contextlib.suppress(StorageError):  # the episodes are committed; it is tried again later
            compact(self.root, quick=True)
        self._store.reload()
        self._compacted_files = self._store.data_files

    def _create(self, embodiment: Embodiment, fps: float, storage: Storage) -> None:
        ours = {".lock", "meta/embodiment.json"}  # made before info.json, by an earlier attempt that was interrupted
        inside = [p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file() and p.suffix != ".tmp"]
        foreign = sorted(str(p) for p in inside if str(p) not in ours and p.parts[0] != ".cache")
        if foreign:
            raise DatasetError(
                "the folder is not empty and holds no dataset that can be continued",
                where=self.root,
                got=", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more files" if len(foreign) > 5 else ""),
                remedy="choose a new folder, or restore meta/info.json",
            )
        with storage_errors(self.root):
            for name in ("data", "meta/episodes", ".journal"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self.root / "meta"):
                fsync_folder(folder)
        write_json(layout.embodiment_path(self.root), to_plain(embodiment))
        write_json(
            layout.info_path(self.root), new_info(dataset_features(embodiment, storage=storage), fps, embodiment.name)
        )

    def _check_existing(self, embodiment: Embodiment, fps: float | None, storage: Storage | None) -> None:
        info = read_info(self.root)
        require_writable(info.raw, self.root)
        path = layout.embodiment_path(self.root)
        if not path.exists():
            raise DatasetError(
                "the dataset has no embodiment, so nobody can tell whether this robot is the one it was recorded with",
                where=path,
                remedy="record into a new dataset and merge them with `robot-stack data merge`",
            )
        theirs = from_plain(Embodiment, read_json(path), where=str(path))
        differences = theirs.diff(embodiment)
        if differences or theirs.fingerprint() != self.fingerprint:
            raise EmbodimentMismatchError("the dataset is of another embodiment", differences, where=self.root)
        stored = _stored_kind(info)
        if storage is not None and stored not in (None, storage):
            raise ConfigError("the dataset keeps its cameras in another way", got=storage, expected=stored)
        if fps is not None and fps != info.fps:
            raise ConfigError("the dataset has another frame rate", got=fps, expected=info.fps)
        features = dataset_features(embodiment, storage="image" if stored == "image" else "video")
        wrong = feature_differences(features, info.features)
        if wrong:
            raise DatasetError("the dataset has other features than this writer records", where=path, got=wrong)


def _stored_kind(info: DatasetInfo) -> str | None:
    return next((f.dtype for f in info.features.values() if f.is_camera), None)
