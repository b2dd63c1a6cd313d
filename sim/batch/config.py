"""How a batch is run, and what a step of it brings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from robot_stack.core.errors import ConfigError

Autoreset = Literal["next_step", "same_step", "off"]
"""When an episode that ended gives way to the next: in the following step, whose action is not used (Gymnasium's
default, and the one that all of its wrappers know); in the same step, so that every step counts; or never by itself."""


@dataclass(frozen=True)
class BatchConfig:
    """How a batch of simulations is run."""

    threads: int = 0
    """Threads that step simulations; 0: as many as there are CPUs. Results are the same for any number."""

    autoreset: Autoreset = "next_step"
    """See :data:`Autoreset`."""

    terminate_on_success: bool = True
    """Whether reaching the goal ends an episode."""

    horizon: int | None = None
    """Longest episode [control steps]; ``None`` takes the task's."""

    control_hz: float | None = None
    """Rate of observations and actions [Hz]; ``None`` takes the robot's own. An exact divisor of the physics rate."""

    persistent: bool = False
    """One ``MjData`` per simulation instead of one per thread: a little faster, far more memory."""

    dump_folder: str = "physics_dumps"
    """Where the last moments of simulations that blew up are written; empty for nowhere."""

    max_dumps: int = 8
    """How many of them are written at most."""

    def __post_init__(self) -> None:
        if self.threads < 0 or self.max_dumps < 0 or (self.horizon is not None and self.horizon < 1):
            raise ConfigError("a batch's threads, dumps or horizon are out of range", got=self)


USUAL = BatchConfig()
"""All cores, Gymnasium's own resets."""


@dataclass(frozen=True)
class BlowUp:
    """One simulation that blew up; its episode does not count."""

    sim: int
    """Which simulation."""

    seed: int
    """Of its episode."""

    what: str
    """What is wrong, in words."""

    dump: Path | None
    """Its last moments; ``robot-stack sim --replay-dump`` plays them. ``None``: not written."""


@dataclass(frozen=True, eq=False)
class BatchStep:
    """What one control step brought, one row a simulation; the arrays are the caller's."""

    state: np.ndarray
    """State vectors, float64 of shape ``(nsim, state_size)``; of the new episode where ``began``."""

    reward: np.ndarray
    """Shape ``(nsim,)``; 0 in a step that only began an episode."""

    success: np.ndarray
    """Whether the goal is reached, bool of shape ``(nsim,)``."""

    milestones: np.ndarray
    """Which milestones hold, bool of shape ``(nsim, milestones)``."""

    terminated: np.ndarray
    """The episode ended by what happened in it, bool of shape ``(nsim,)``."""

    truncated: np.ndarray
    """The episode ended at its horizon, or because the simulation blew up, bool of shape ``(nsim,)``."""

    limited: np.ndarray
    """The action was changed, by its fields' limits or by the limits on motion, bool of shape ``(nsim,)``."""

    began: np.ndarray
    """An episode began in this step, bool of shape ``(nsim,)``."""

    final_state: np.ndarray
    """What the step itself led to, before any reset in it, shape ``(nsim, state_size)``."""

    blow_ups: tuple[BlowUp, ...]
    """Simulations that blew up: truncated, reward 0, and the last sound state stands for the final one."""

    @property
    def ended(self) -> np.ndarray:
        """The episode ended in this step, bool of shape ``(nsim,)``."""
        return self.terminated | self.truncated

    @property
    def invalid(self) -> np.ndarray:
        """The simulation blew up, bool of shape ``(nsim,)``."""
        out = np.zeros(len(self.reward), dtype=bool)
        out[[blow_up.sim for blow_up in self.blow_ups]] = True
        return out
