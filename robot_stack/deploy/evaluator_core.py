"""Conducts the episodes of an evaluation, over whatever stage they are played on; needs no ROS.

Writes what :func:`robot_stack.evaluation.evaluate.evaluate` writes: ``episodes.jsonl``, one fsynced line an episode,
and ``evaluation.json`` with the interval, so that success over ROS and without is compared by the same tools on equal
seeds.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from robot_stack.core import provenance
from robot_stack.core.config_json import to_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.core.lock import FolderLock
from robot_stack.core.seeding import episode_seed
from robot_stack.deploy.evaluator_config import EvaluatorConfig
from robot_stack.evaluation.config import EvaluationConfig
from robot_stack.evaluation.journal import EpisodeJournal
from robot_stack.evaluation.results import (
    EpisodeRecord,
    EvaluationResult,
    Timing,
    save_result,
    success_rate,
    summary_of,
)

STOPS = ("SOFT_STOP", "DAMPING", "ESTOP")
"""States that only a reset leads out of."""

MOST_ERRORS = 3
"""So many episodes in a row that break off end the evaluation."""


MOST_RESETS = 5
"""A robot that stops more often than this on its way to ARMED does not get there."""


class StageEnded(RobotStackError):
    """The evaluation is told to end; the episode under way does not count."""


class StageError(RobotStackError):
    """The robot, the emulator or the policy did not do in time what an episode needs."""


@dataclass(frozen=True)
class Seen:
    """What the task said at one moment."""

    time_s: float
    """On the robot's clock [s]."""

    reward: float
    """Then."""

    success: bool
    """The goal is reached."""

    failed: bool
    """The episode cannot go on."""


class Stage(Protocol):
    """Where episodes are played. Used by one thread; its methods wait."""

    @property
    def robot(self) -> Embodiment:
        """Who plays."""
        ...

    @property
    def state(self) -> str:
        """Of the robot node, now."""
        ...

    @property
    def reason(self) -> str:
        """What the robot node says is wrong with the robot, or was since its last reset; empty for nothing."""
        ...

    def now_s(self) -> float:
        """The robot's clock [s]."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Until something was heard, at most so long [s of robot time]."""
        ...

    def request(self, service: str) -> tuple[bool, str]:
        """Ask the robot node: ``hold``, ``reset``, ``ready`` or ``arm``; whether it obeyed, and its sentence.

        Raises:
            StageError: if nobody answers.
        """
        ...

    def put_back(self, seed: int) -> None:
        """Bring the scene to the start of a seed: by resetting the simulation, or by asking a person to.

        Raises:
            StageError: if it is not done.
        """
        ...

    def seed_policy(self, seed: int) -> None:
        """Give the policy the seed of its noise, and wait until it is ready.

        Raises:
            StageError: if there is no policy.
        """
        ...

    def scores(self) -> list[Seen]:
        """What the task said since the last call, in order."""
        ...

    def verdict(self, *, over: bool) -> bool | None:
        """A person's verdict; ``None`` when there is none yet. Waits for it if the episode is ``over``."""
        ...


class Evaluation:
    """One evaluation, from its first episode or from where it was interrupted.

    Args:
        config: which episodes.
        stage: where they are played.
        say: told what a person may want to know.

    Raises:
        ConfigError: if no folder is named.
    """

    def __init__(self, config: EvaluatorConfig, stage: Stage, say: Callable[[str], None] = lambda text: None) -> None:
        if not config.out:
            raise ConfigError("no folder for the results is named", remedy="set the parameter 'out'")
        self.config, self.stage, self._say = config, stage, say
        self.records: dict[int, EpisodeRecord] = {}
        """By index."""

    def run(self) -> EvaluationResult:
        """Play the episodes that are missing.

        Raises:
            EvaluationMismatchError: if the folder holds an evaluation of something else.
            LockedError: if another process writes to the folder.
            StageError: if several episodes in a row break off.
            StageEnded: if it was told to end; it can be resumed.
        """
        config, folder = self.config, Path(self.config.out)
        with (
            FolderLock(folder, what="evaluation"),
            contextlib.closing(EpisodeJournal(folder / "episodes.jsonl", self._header())) as journal,
        ):
            self.records = dict(journal.records)
            errors = 0
            for index in range(config.episodes):
                if index in self.records and not self.records[index].error:
                    continue
                record = self._played(index)
                self.records[index] = record
                journal.append(record)
                self._tell(record)
                errors = errors + 1 if record.error else 0
                if errors == MOST_ERRORS:
                    raise StageError(
                        f"{errors} episodes in a row broke off", got=record.error, remedy="see what the nodes log"
                    )
            result = self._result()
            save_result(folder / "evaluation.json", result)
        return result

    def _header(self) -> dict[str, object]:
        config = self.config
        return {
            "subject": {"name": config.name, "id": config.subject},
            "world": {"over": "ROS", "task": config.task, "robot": self.stage.robot.fingerprint()},
            "episode": {"split": "held_out", "stream": config.stream, "horizon_s": config.horizon_s},
        }

    def _played(self, index: int) -> EpisodeRecord:
        seed, began = episode_seed("held_out", index, stream=self.config.stream), time.monotonic()
        try:
            self._set_up(seed)
            record = self._watch(index, seed)
        except StageError as error:
            text = str(error).replace("\n", " ")
            return EpisodeRecord(index, seed, False, "error", wall_s=time.monotonic() - began, error=text)
        finally:
            with contextlib.suppress(RobotStackError):
                if self.stage.state == "ARMED":
                    self.stage.request("hold")
        return replace(record, wall_s=time.monotonic() - began)

    # --- from wherever the robot is to ARMED

    def _set_up(self, seed: int) -> None:
        stage = self.stage
        deadline_s = stage.now_s() + self.config.step_timeout_s
        while stage.state in ("ARMED", "READY"):
            if stage.state == "ARMED":
                stage.request("hold")
            self._wait(deadline_s, "the robot does not hold")
        stage.put_back(seed)
        stage.seed_policy(seed)
        deadline_s, readied = stage.now_s() + self.config.step_timeout_s, False
        self._pause(0.3)  # a robot whose body was put elsewhere stops: that has to be seen before it is reset
        stage.scores()
        sentence, resets = "", 0
        while stage.state != "ARMED":
            state = stage.state
            if state in STOPS:
                if resets == MOST_RESETS:
                    raise StageError("the robot stops again and again before it is ARMED", got=sentence)
                reset, sentence = stage.request("reset")
                readied, resets = False, resets + reset  # one that is refused waits for the fault to be gone
                self._pause(0.3)
            elif state == "IDLE" or (state == "HOLD" and not readied):
                readied, sentence = stage.request("ready")
            elif state == "HOLD":
                armed, sentence = stage.request("arm")
                readied = readied and armed
            self._wait(deadline_s, f"the robot does not become ARMED: {sentence}")

    def _pause(self, duration_s: float) -> None:
        """Let so much of the robot's time pass [s]."""
        until_s = self.stage.now_s() + duration_s
        while self.stage.now_s() < until_s:
            self.stage.wait(0.1)

    def _wait(self, deadline_s: float, what: str) -> None:
        if self.stage.now_s() > deadline_s:
            raise StageError(what, got=self.stage.state)
        self.stage.wait(0.1)

    # --- an episode

    def _watch(self, index: int, seed: int) -> EpisodeRecord:
        stage, config = self.stage, self.config
        hz, began_s = stage.robot.control_hz, stage.now_s()
        tally = _Tally(began_s, hz)
        ending: Literal["success", "horizon", "terminated", "stopped"] = "horizon"
        stage.scores()  # of before
        while stage.now_s() - began_s < config.horizon_s:
            stage.wait(min(0.1, config.horizon_s))
            tally.add(stage.scores())
            said = stage.verdict(over=False) if config.verdict == "person" else None
            if tally.success_step is not None or said is True:
                ending = "success"
                break
            if tally.failed or said is False:
                ending = "terminated"
                break
            if stage.state != "ARMED":
                ending = "stopped"
                break
        steps = round((stage.now_s() - began_s) * hz)
        if ending == "stopped":
            self._pause(0.3)  # its reason comes a moment after its state
            because = f": {stage.reason}" if stage.reason else ""
            self._say(f"episode {index}: the robot left ARMED by itself for {stage.state}{because}")
        if stage.state == "ARMED":
            stage.request("hold")
        success = ending == "success"
        if config.verdict == "person" and ending in ("horizon", "stopped"):
            success = bool(stage.verdict(over=True))
            ending = "success" if success else ending
        first = tally.success_step if config.verdict == "score" else (steps - 1 if success else None)
        return EpisodeRecord(index, seed, success, ending, steps, first, tally.reward)

    def _tell(self, record: EpisodeRecord) -> None:
        done = [r for r in self.records.values() if r.index < self.config.episodes]
        rate = success_rate(done, self.config.confidence)
        self._say(f"episode {record.index} (seed {record.seed}): {record.error or record.ending}; so far {rate}")

    def _result(self) -> EvaluationResult:
        config, stage = self.config, self.stage
        episodes = tuple(self.records[index] for index in range(config.episodes))
        robot = stage.robot
        steps = sum(e.steps for e in episodes)
        wall_s = sum(e.wall_s for e in episodes)
        return EvaluationResult(
            name=config.name or "over ROS",
            driver_id=config.subject,
            task=config.task,
            instruction=config.instruction,
            embodiment=robot.name,
            embodiment_fingerprint=robot.fingerprint(),
            robot_fingerprint=robot.with_cameras(()).fingerprint(),
            horizon=round(config.horizon_s * robot.control_hz),
            config=EvaluationConfig(episodes=config.episodes, stream=config.stream, confidence=config.confidence),
            world={"over": "ROS", "evaluator": to_plain(config)},
            success=success_rate(episodes, config.confidence),
            milestones=(),
            steps_to_success=summary_of([e.success_step + 1 for e in episodes if e.success_step is not None]),
            total_reward=summary_of([e.total_reward for e in episodes if not e.error]),
            errors=sum(bool(e.error) for e in episodes),
            timing=Timing(len(episodes), wall_s, steps, steps / wall_s if wall_s else 0.0),
            videos_missing="",
            montage="",
            episodes=episodes,
            provenance=provenance.collect(),
        )


class _Tally:
    """Adds up what the task says, once a control period, as the control loop does."""

    def __init__(self, began_s: float, hz: float) -> None:
        self._began_s, self._hz, self._step = began_s, hz, -1
        self.reward, self.failed = 0.0, False
        self.success_step: int | None = None

    def add(self, seen: Sequence[Seen]) -> None:
        for moment in seen:
            step = int((moment.time_s - self._began_s) * self._hz)
            if step > self._step:
                self.reward += moment.reward
                self._step = step
            if moment.success and self.success_step is None:
                self.success_step = max(0, step)
            self.failed = self.failed or moment.failed
