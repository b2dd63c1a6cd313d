"""One Meta-World environment as a simulator that forgets everything at reset and wastes nothing per step.

Meta-World's own ``reset(seed)`` ignores the seed, and a start depends on what ran before: bodies and sites stay where
the last episode put them, and some goals are read from them. Here every reset begins from the state right after
construction. For equal start vectors and equal actions the trajectory equals, bit for bit, the one of a freshly made
``metaworld`` environment after ``set_task`` (tests/sim/test_metaworld_raw.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError, MissingExtraError, ShapeError
from robot_stack.sim.metaworld_lean import lean_class
from robot_stack.sim.render import import_mujoco

FRAME_SKIP = 5
"""Simulation steps per control step; at 0.0025 s each that is 80 Hz."""


class MetaWorldSim:
    """Seeded starts, physics and truth of one task; the goal is visible in the observation.

    Args:
        task: a name of :data:`robot_stack.sim.metaworld_tasks.TASKS`.

    Raises:
        MissingExtraError: if metaworld is not installed.
    """

    def __init__(self, task: str) -> None:
        self._mujoco = import_mujoco()
        self.env: Any = _raw_env(task)
        """The ``metaworld`` environment behind it."""
        self.model, self.data = self.env.model, self.env.data
        self.start = np.empty(0)
        """What the task draws at random for an episode (Meta-World's "rand vec")."""
        self.state = np.zeros(39)
        """Meta-World's observation: 18 numbers now, the same 18 before the last step, the goal."""
        space = self.env.sawyer_observation_space
        self._low, self._high = space.low, space.high
        self._pristine = dict(self.env.__dict__)
        self._body_pos, self._site_pos = self.model.body_pos.copy(), self.model.site_pos.copy()

    def reset(self, seed: int) -> np.ndarray:
        """Draw a start and go there.

        Args:
            seed: of the start; equal seeds give equal starts in every process.

        Returns:
            The state, shape ``(39,)``.
        """
        self._forget()
        self.env.np_random = np.random.Generator(np.random.PCG64(seed))
        self.env.seeded_rand_vec, self.env._freeze_rand_vec = True, False
        self._place_only()
        return self.reset_at(np.array(self.env._last_rand_vec, dtype=np.float64))

    def reset_at(self, start: np.ndarray) -> np.ndarray:
        """Go to a given start.

        Args:
            start: the rand vec, shape ``(k,)`` where ``k`` depends on the task.

        Returns:
            The state, shape ``(39,)``.

        Raises:
            ShapeError: if the start has another length.
            ConfigError: if the task does not allow it (an object too close to its goal, say).
        """
        space = self.env._random_reset_space
        if start.shape != space.low.shape:
            raise ShapeError("a Meta-World start has the wrong length", got=start.shape, expected=space.low.shape)
        self._forget()
        self.start = start.copy()
        self.env._get_state_rand_vec = _twice(start)
        self._place_only()
        self._mujoco.mj_resetData(self.model, self.data)
        first = self.env.reset_model()
        self.env._prev_obs = first[:18].copy()
        self.state = first.astype(np.float64)
        self.state[18:36] = first[:18]
        return self.state

    def step(self, action: np.ndarray) -> np.ndarray:
        """One control step.

        Args:
            action: hand displacement and gripper effort in [-1, 1], float64 of shape ``(4,)``.

        Returns:
            The state, shape ``(39,)``.
        """
        env, data = self.env, self.data
        target = data.mocap_pos[0] + action[:3] * env.action_scale
        data.mocap_pos[0] = np.minimum(np.maximum(target, env.mocap_low), env.mocap_high)
        data.mocap_quat[0] = (1, 0, 1, 0)
        data.ctrl[:] = (action[3], -action[3])
        self._mujoco.mj_step(self.model, data, nstep=FRAME_SKIP)
        self._mujoco.mj_forward(self.model, data)
        self.state = np.minimum(np.maximum(env._get_obs(), self._low), self._high)
        return self.state

    def evaluate(self, action: np.ndarray) -> tuple[float, dict[str, Any]]:
        """Meta-World's reward (0 to 10) and its ``info`` for the state after ``action``."""
        reward, info = self.env.evaluate_state(self.state, action)
        return float(reward), info

    def _forget(self) -> None:
        """Back to how the environment was right after construction."""
        self.env.__dict__.clear()
        self.env.__dict__.update(self._pristine)
        self.model.body_pos[:] = self._body_pos
        self.model.site_pos[:] = self._site_pos
        self._mujoco.mj_resetData(self.model, self.data)
        self._mujoco.mj_forward(self.model, self.data)

    def _place_only(self) -> None:
        """The task's own reset without moving the hand: draws the start and places bodies."""
        self.env._reset_hand = self._leave_hand
        self.env.reset_model()
        del self.env._reset_hand

    def _leave_hand(self, steps: int = 0) -> None:
        self.env.init_tcp = self.env.tcp_center


def _twice(start: np.ndarray) -> Callable[[], np.ndarray]:
    """What a task draws while it is placed twice; a task that asks more often rejects the start."""
    draws = iter((start.copy(), start.copy()))

    def draw() -> np.ndarray:
        given = next(draws, None)
        if given is None:
            raise ConfigError("the task does not allow this start", got=start.tolist())
        return given

    return draw


def robot_hash() -> str:
    """SHA-256 of the MJCF files that all 50 tasks share: the Sawyer arm, its gripper and the cameras."""
    import metaworld

    folder = Path(metaworld.__file__).parent / "assets" / "objects" / "assets"
    digest = hashlib.sha256()
    for name in ("xyz_base.xml", "xyz_base_dependencies.xml"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _raw_env(task: str) -> Any:
    try:
        from metaworld.env_dict import ENV_CLS_MAP
    except ImportError as error:
        raise MissingExtraError("Meta-World", extra="sim", package=error.name or "metaworld") from error
    base = ENV_CLS_MAP[f"{task}-v3"]
    env: Any = lean_class(base)()
    env._partially_observable = False
    del env.sawyer_observation_space  # a cached property, computed again with the goal visible
    _ = env.sawyer_observation_space
    env._set_task_called = True
    return env
