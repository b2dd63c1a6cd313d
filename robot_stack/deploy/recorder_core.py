"""What the recorder node does, without ROS: episodes begin and end, frames go to the journal as they settle."""

from __future__ import annotations

import contextlib
import datetime
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from robot_stack.core.clock import ScaledClock
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, RobotStackError, StorageError
from robot_stack.core.provenance import code_revision
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.deploy.episode_assembler import EpisodeAssembler
from robot_stack.deploy.frame_matcher import FrameMatcher
from robot_stack.deploy.recorder_config import RecorderConfig

ARMED = "ARMED"
"""The state in which a robot is driven."""


class RecorderCore:
    """Writes one dataset of one robot; used by one thread.

    Args:
        config: which dataset, and when episodes begin.
        say: told what a person may want to know.

    Raises:
        ConfigError: if no dataset is named.
    """

    def __init__(self, config: RecorderConfig, say: Callable[[str], None] = lambda text: None) -> None:
        if not config.dataset:
            raise ConfigError("no dataset is named", remedy="set the parameter 'dataset' to a folder")
        self.config, self._say = config, say
        self.clock = ScaledClock(config.clock_speed)
        self.robot: Embodiment | None = None
        """Who is recorded, with the cameras that are; ``None`` until the robot node has said so."""
        self.assembler: EpisodeAssembler | None = None
        """``None`` until the robot is known."""
        self.recording = False
        """An episode is under way."""
        self.episodes = 0
        """Committed so far, those of earlier runs included."""
        self.problem = ""
        """Why frames are not written; empty when they are."""
        self._writer: DatasetWriter | None = None
        self._state = ""
        self._ending_s: float | None = None
        self._ending = ""
        self._success: bool | None = None
        self._interventions: Counter[str] = Counter()
        self._whole: Embodiment | None = None

    def meet(self, robot: Embodiment) -> None:
        """The robot node said which robot it is; the first time, the dataset is opened.

        Raises:
            EmbodimentMismatchError: if the dataset, or the robot of before, is another one.
            UnknownNameError: if a camera is to be recorded that the robot does not have.
            LockedError: if another process writes the dataset.
            DatasetError: if the folder holds something else.
        """
        if self._whole is not None:
            if robot.fingerprint() != self._whole.fingerprint():
                raise EmbodimentMismatchError("the robot node came back as another robot", self._whole.diff(robot))
            return
        cameras = tuple(robot.camera(name) for name in self.config.cameras)
        self._whole, self.robot = robot, robot.with_cameras(cameras)
        self._open()
        settled_s = max(0.3, 2.0 * self.config.image_tolerance_s)
        frames = FrameMatcher(cameras, self.config.image_tolerance_s, kept=256)
        self.assembler = EpisodeAssembler(frames, round(settled_s * 1e9))
        self._say(f"records into {self.config.dataset}, which holds {self.episodes} episodes")
        if self.config.begin == "armed" and self._state == ARMED:
            self._say("the robot was ARMED before the recorder was ready: this episode lacks its beginning")
            self._begin(0, begun_late=True)

    def state(self, name: str) -> None:
        """The robot node's state changed."""
        before, self._state = self._state, name
        if self.config.begin != "armed" or name == before:
            return
        if name == ARMED:
            self._finish_now()
            if self.assembler is not None:
                self._begin(0)
        elif before == ARMED:
            self._end_soon(name)

    def intervened(self, reasons: Iterable[str]) -> None:
        """Something else was sent than asked for."""
        if self.recording:
            self._interventions.update(reasons)

    def begin(self) -> str:
        """An episode begins now, by request.

        Raises:
            ConfigError: if one is under way, or the robot is not known yet.
        """
        if self._ending_s is not None:
            self._finish_now()
        if self.assembler is None or self.recording:
            raise ConfigError(
                "no episode can begin", got="one is under way" if self.recording else "the robot is not known yet"
            )
        self._begin(self.assembler.newest_ns)
        return f"records episode {self.episodes}"

    def end(self) -> str:
        """The episode ends now, by request.

        Raises:
            ConfigError: if none is under way.
        """
        self._require_recording()
        self._end_soon("asked to")
        return "the episode is committed in a moment"

    def discard(self) -> str:
        """The episode is dropped.

        Raises:
            ConfigError: if none is under way.
        """
        self._require_recording()
        self._finish(keep=False)
        return "the episode was dropped"

    def judge(self, success: bool) -> str:
        """A person's verdict on the episode under way.

        Raises:
            ConfigError: if none is.
        """
        self._require_recording()
        self._success = success
        return "noted"

    def tend(self) -> None:
        """Write what has settled; to be called often."""
        if not self.recording or self.assembler is None:
            return
        self._write(self.assembler.settled())
        if self._ending_s is not None and self.clock.now() >= self._ending_s:
            self._finish()

    def close(self) -> None:
        """Commit what was recorded and let go of the dataset; idempotent."""
        if self.recording:
            self._ending = self._ending or "the recorder was ended"
            self._finish()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _open(self) -> None:
        assert self.robot is not None
        root = Path(self.config.dataset)
        new = not (root / "meta" / "info.json").exists()
        storage = self.config.storage if new else None
        self._writer = DatasetWriter(root, self.robot, storage=storage)
        self.episodes = self._writer.num_episodes
        if self._writer.repaired.changed:
            self._say(f"the dataset was repaired: it now holds {self.episodes} episodes")

    def _begin(self, from_ns: int, *, begun_late: bool = False) -> None:
        assert self.assembler is not None and self.robot is not None
        if self._writer is None:
            self._open()
        assert self._writer is not None
        self.assembler.begin(from_ns)
        self._interventions, self._success, self._ending, self._ending_s = Counter(), None, "", None
        config = self.config
        facts = {"task": config.task, "driver": config.driver, "robot": self.robot.name, "code": code_revision()}
        begun = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        late = {"begun_late": True} if begun_late else {}
        self._writer.begin(config.instruction, {**facts, "recorded": "over ROS", "begun": begun, **late})
        self.recording, self.problem = True, ""

    def _end_soon(self, why: str) -> None:
        """What belongs to the last ticks is still on its way."""
        if self.recording and self._ending_s is None:
            self._ending = why
            self._ending_s = self.clock.now() + 0.3

    def _finish_now(self) -> None:
        if self.recording:
            self._finish()

    def _finish(self, keep: bool = True) -> None:
        assert self.assembler is not None and self._writer is not None
        self.recording, self._ending_s = False, None
        self._write(self.assembler.rest())
        counts = self.assembler.counts
        duration_s = counts.frames / self._writer.fps
        if not keep or not counts.frames or duration_s < self.config.shortest_s:
            self._writer.abort()
            self._say(f"an episode of {counts.frames} frames was dropped")
            return
        facts: dict[str, Any] = {
            "ending": self._ending,
            "duration_s": duration_s,
            "interventions": dict(self._interventions),
            "ticks": vars(counts).copy(),
            "cameras": {name: vars(c).copy() for name, c in self.assembler.frames.counts.items()},
        }
        if self._success is not None:
            facts["operator_success"] = self._success
        try:
            self.episodes = self._commit(facts) + 1
        except RobotStackError as error:
            self._set_aside(error)
            return
        self._say(f"episode {self.episodes - 1}: {counts.frames} frames, {self._ending}")

    def _commit(self, facts: dict[str, Any]) -> int:
        assert self._writer is not None
        try:
            return self._writer.commit(success=self._success, provenance=facts)
        except StorageError:
            raise
        except RobotStackError:  # the task says that it succeeded, a person that it did not: both are kept
            return self._writer.commit(provenance=facts)

    def _set_aside(self, error: Exception) -> None:
        """Leave the episode in the journal: the next opening brings it back."""
        self.problem = str(error).replace("\n", " ")
        self._say(f"an episode could not be committed and stays in the journal: {self.problem}")
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(RobotStackError):
                writer.close(join_files=False)

    def _write(self, frames: list[dict[str, Any]]) -> None:
        assert self._writer is not None
        for frame in frames:
            try:
                self._writer.add(frame)
                self.problem = ""
            except RobotStackError as error:
                if not self.problem:
                    self._say(str(error))
                self.problem = str(error).replace("\n", " ")

    def _require_recording(self) -> None:
        if not self.recording:
            raise ConfigError("no episode is under way")
