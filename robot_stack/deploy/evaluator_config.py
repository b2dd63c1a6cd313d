"""The parameters of the evaluator node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class EvaluatorConfig:
    """What ``python -m robot_stack.deploy.evaluator_process`` takes as ROS parameters."""

    out: str = ""
    """Folder of the results: ``episodes.jsonl`` and ``evaluation.json``; resumed if it is the same evaluation."""

    task: str = ""
    """The task's name, for the record."""

    instruction: str = ""
    """The task in words, for the record."""

    name: str = ""
    """Who is evaluated, for people."""

    subject: str = ""
    """Who is evaluated, exactly: a bundle's hash. An evaluation is only resumed for the same one."""

    episodes: int = 50
    """How many."""

    stream: int = 0
    """Of held-out seeds, below 100; equal streams give equal starts, over ROS and without."""

    horizon_s: float = 20.0
    """Longest episode, from ARMED [s of robot time]."""

    verdict: Literal["score", "person"] = "score"
    """Whether the topic ``score`` says what succeeded, or a person at a terminal."""

    reset_simulation: bool = True
    """Reset the emulator by seed before each episode; off on a real robot, where a person puts the scene back."""

    confidence: float = 0.95
    """Of the interval."""

    step_timeout_s: float = 60.0
    """Most that a service or a change of state may take before the episode has failed [s]."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or not (self.horizon_s > 0 and self.step_timeout_s > 0 and self.clock_speed > 0):
            raise ConfigError("an evaluation needs episodes and times above zero", got=self)
