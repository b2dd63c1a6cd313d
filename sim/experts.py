"""Scripted experts for the Meta-World tasks, as drivers with adjustable noise.

The scripts are metaworld's own policies (``metaworld.policies.ENV_POLICY_MAP``), and ours where those succeed too
rarely (:mod:`robot_stack.sim.metaworld_experts`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import Driver
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.core.world import World
from robot_stack.sim.metaworld_experts.peg_insert_side import PegInsertSide
from robot_stack.sim.metaworld_experts.shelf_place import ShelfPlace
from robot_stack.sim.metaworld_tasks import task_info


@dataclass(frozen=True)
class ExpertConfig:
    """How an expert is disturbed."""

    noise_std: float = 0.0
    """Standard deviation of the Gaussian noise added to every number of every action [action unit]."""

    uniform_share: float = 0.0
    """Probability, per step, that the action is replaced by one drawn uniformly from [-1, 1]."""

    noisy_episodes: float = 1.0
    """Fraction of episodes that are disturbed at all."""

    def __post_init__(self) -> None:
        if self.noise_std < 0 or not 0 <= self.uniform_share <= 1 or not 0 <= self.noisy_episodes <= 1:
            raise ConfigError(
                "an expert's noise is out of range", got=self, expected="noise_std >= 0, shares in [0, 1]"
            )


class Script(Protocol):
    """A deterministic policy for one episode: Meta-World's 39 numbers to 4."""

    def get_action(self, obs: np.ndarray) -> np.ndarray:
        """The action, shape ``(4,)``, not yet clipped."""
        ...


OWN_SCRIPTS: dict[str, Callable[[], Script]] = {
    "peg-insert-side": PegInsertSide,
    "shelf-place": ShelfPlace,
}
"""Tasks with a script of ours."""


class MetaWorldExpert:
    """A scripted policy behind the driver contract: one action per decision, clipped to [-1, 1] after the noise.

    Args:
        task: which task, with or without the version.
        config: the noise; it is drawn from the episode's seed, so equal seeds give equal demonstrations.
        own_scripts: prefer our own script where there is one; otherwise metaworld's policy.
    """

    history = 1

    def __init__(self, task: str, config: ExpertConfig = ExpertConfig(), *, own_scripts: bool = True) -> None:
        self.task, self.config, self._own = task_info(task).name, config, own_scripts
        self._script = make_script(self.task, own=own_scripts)
        self._rng = generator(0)
        self._noisy = False

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self._script = make_script(self.task, own=self._own)
        self._rng = generator(seed, 0x0E)
        self._noisy = bool(self._rng.random() < self.config.noisy_episodes)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The script's action for the newest observation, shape ``(1, 4)``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action = np.asarray(self._script.get_action(history[-1].state), dtype=np.float64)
        action = np.clip(action, -1.0, 1.0)
        if self._noisy:
            action = self._disturb(action)
        return ActionChunk(action[None])

    def _disturb(self, action: np.ndarray) -> np.ndarray:
        noise, replacement = self._rng.normal(size=4), self._rng.uniform(-1.0, 1.0, 4)
        if self._rng.random() < self.config.uniform_share:
            return replacement
        return np.clip(action + self.config.noise_std * noise, -1.0, 1.0)


def make_script(task: str, *, own: bool = True) -> Script:
    """A fresh script for the task called ``task`` (without the version); ours where there is one and ``own`` is set."""
    if own and task in OWN_SCRIPTS:
        return OWN_SCRIPTS[task]()
    from metaworld.policies import ENV_POLICY_MAP

    policy: Any = ENV_POLICY_MAP[f"{task}-v3"]()
    return policy


def make_expert(world: World, config: ExpertConfig = ExpertConfig()) -> Driver:
    """The expert for a world made by :func:`robot_stack.sim.metaworld.make_metaworld`."""
    return MetaWorldExpert(world.task.name.removeprefix("metaworld/"), config)
