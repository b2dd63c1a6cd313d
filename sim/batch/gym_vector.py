"""A batch as a Gymnasium vector environment, for algorithms and wrappers that are written for those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from robot_stack.core.errors import ConfigError
from robot_stack.sim.batch.images import tiled
from robot_stack.sim.batch.world import BatchWorld

_MODES = {
    "next_step": AutoresetMode.NEXT_STEP,
    "same_step": AutoresetMode.SAME_STEP,
    "off": AutoresetMode.DISABLED,
}


class VectorRobotEnv(gymnasium.vector.VectorEnv):
    """Steps a batch: state vectors out, actions in physical units in.

    It answers as Gymnasium's ``SyncVectorEnv`` over :class:`~robot_stack.sim.gym_env.WorldEnv` with the same seeds
    does, number for number, but for the words of interventions. ``info`` holds ``is_success``, the ``milestones`` that
    hold, ``limited`` (the action was changed) and ``invalid`` (the simulation blew up: the episode is truncated, and
    ``blow_up`` says in words what happened); ``seed`` where an episode began; and, with resets in the same step,
    ``final_obs`` and ``final_info`` where one ended.

    Args:
        world: closed when the environment is closed.
        render_camera: which camera :meth:`render` shows; empty for none.
        image_height: of rendered images [pixel].
        image_width: of rendered images [pixel].
    """

    def __init__(
        self, world: BatchWorld, *, render_camera: str = "", image_height: int = 128, image_width: int = 128
    ) -> None:
        self.world = world
        self.num_envs = world.nsim
        self._camera, self._size = render_camera, (image_height, image_width)
        body = world.embodiment
        self.render_mode = "rgb_array" if render_camera else None
        self.metadata = {
            "autoreset_mode": _MODES[world.config.autoreset],
            "render_modes": ["rgb_array"] if render_camera else [],
            "render_fps": round(body.control_hz),
        }
        low, high = body.action_limits
        self.single_action_space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (body.state_size,), np.float64)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes.

        Args:
            seed: one per environment; a single one counts up from environment to environment; without seeds, episodes
                follow from those given last.
            options: ``{"reset_mask": mask}``, bool of shape ``(num_envs,)``, begins only those.
        """
        seeds = None if seed is None else [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        mask = (options or {}).get("reset_mask")
        if mask is not None and not np.any(mask):
            raise ConfigError("a reset mask needs at least one environment", got=mask)
        state = self.world.reset(seeds, mask)
        began = np.ones(self.num_envs, dtype=bool) if mask is None else mask.copy()
        return state, self._begun(began)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of every environment."""
        step = self.world.step(actions)
        ended, same = step.ended, self.world.config.autoreset == "same_step"
        told = {
            "is_success": step.success,
            "milestones": {name: step.milestones[:, i] for i, name in enumerate(self.world.task.milestones)},
            "limited": step.limited,
            "invalid": step.invalid,
        }
        info: dict[str, Any] = {}
        if same and ended.any():
            info["final_obs"], info["_final_obs"] = np.full(self.num_envs, None, dtype=object), ended
            for row in np.flatnonzero(ended):
                info["final_obs"][row] = step.final_state[row]
            info["final_info"], info["_final_info"] = self._masked(told, ended), ended
            info |= self._begun(step.began)
        elif step.began.any():
            info |= self._begun(step.began)
        info |= self._masked(told, ~step.began)
        if step.blow_ups:
            words = np.full(self.num_envs, None, dtype=object)
            for blow_up in step.blow_ups:
                words[blow_up.sim] = blow_up.what if blow_up.dump is None else f"{blow_up.what}; see {blow_up.dump}"
            info["blow_up"], info["_blow_up"] = words, step.invalid
        return step.state, step.reward, step.terminated, step.truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One image per environment, each uint8 of shape ``(height, width, 3)``; ``None`` without a camera."""
        return tuple(self._frame(sim) for sim in range(self.num_envs)) if self._camera else None

    def render_tiled(self, environments: int = 16) -> np.ndarray:
        """The first environments in one image, side by side in a grid.

        Args:
            environments: how many, at most.

        Raises:
            ConfigError: if no camera was chosen.
        """
        if not self._camera:
            raise ConfigError("nothing is rendered", remedy="pass render_camera, for example world.task.view")
        return tiled([self._frame(sim) for sim in range(min(environments, self.num_envs))])

    def close_extras(self, **kwargs: Any) -> None:
        """Close the world."""
        self.world.close()

    def _frame(self, sim: int) -> np.ndarray:
        return self.world.render(sim, self._camera, *self._size)

    def _begun(self, began: np.ndarray) -> dict[str, Any]:
        return {"seed": np.where(began, self.world.seeds, 0), "_seed": began.copy()}

    def _masked(self, told: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
        """Gymnasium's form: every array beside a mask of where it means something, zero elsewhere."""
        out: dict[str, Any] = {}
        if not mask.any():
            return out
        for name, value in told.items():
            out[name] = self._masked(value, mask) if isinstance(value, dict) else np.where(mask, value, False)
            out[f"_{name}"] = mask.copy()
        return out
