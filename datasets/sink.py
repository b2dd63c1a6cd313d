"""Where a collection of episodes goes: workers record in memory, this process writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.datasets.recorder import EpisodeCollector
from robot_stack.datasets.writer import DatasetWriter


class DatasetSink:
    """Writes collected episodes to a dataset, each durable before the next (the ``EpisodeSink`` of a collection).

    Args:
        writer: of the dataset; stays open and is closed by whoever made it.
    """

    def __init__(self, writer: DatasetWriter) -> None:
        self._writer = writer

    def written(self) -> Sequence[Mapping[str, Any]]:
        """The provenance of every episode that is there, in order."""
        return self._writer.provenance()

    @staticmethod
    def make_recorder(world: object, job: object) -> EpisodeCollector:
        """What records one episode in the process where it runs."""
        return EpisodeCollector()

    def write(self, recording: Sequence[EpisodeBuffer], provenance: Mapping[str, Any]) -> None:
        """Append one episode; durable when this returns.

        Args:
            recording: what the recorder took: one episode.
            provenance: more facts about it.

        Raises:
            DatasetError: if the recording is not one episode.
            EmbodimentMismatchError: if it is of another robot than the dataset.
        """
        if len(recording) != 1:
            raise DatasetError("a recording is not one episode", got=f"{len(recording)} episodes")
        buffer = recording[0]
        buffer.provenance.update(provenance)
        self._writer.write_episode(buffer)
