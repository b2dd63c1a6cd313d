"""Any Gymnasium vector environment as a batch of ours: flat vectors in physical units, one row an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.sim.batch.config import BatchStep
from robot_stack.sim.gym_spaces import Leaf, assemble, leaves_of


class GymnasiumBatch:
    """Observation and action spaces become fields as for single environments, see :mod:`robot_stack.sim.gym_spaces`.

    Actions beyond a Box are clipped. Success is ``info["is_success"]`` or ``info["success"]``, false where neither is
    said. How episodes follow each other is the environment's own ``autoreset_mode``.

    Args:
        env: closed when the batch is closed.
        control_hz: control rate [Hz]; ``None`` takes ``metadata["render_fps"]``.

    Raises:
        ConfigError: if a space has no fixed size or an observation holds images, if the environment does not say how it
            resets, or if it does not say how fast it runs and ``control_hz`` does not either.
    """

    def __init__(self, env: VectorEnv, control_hz: float | None = None) -> None:
        self.env, self.nsim = env, env.num_envs
        name = env.spec.id if env.spec else type(env).__name__
        hz = control_hz or env.metadata.get("render_fps")
        if not hz:
            raise ConfigError("the environment does not say how fast it runs", where=name, remedy="pass control_hz")
        self._mode = env.metadata.get("autoreset_mode")
        if not isinstance(self._mode, AutoresetMode):
            raise ConfigError("the vector environment has no autoreset_mode in its metadata", where=name)
        self._seen, self._actions = leaves_of(env.single_observation_space), leaves_of(env.single_action_space)
        if any(leaf.is_image for leaf in self._seen):
            raise ConfigError("a batch holds no images", where=name, remedy="use single environments with cameras")
        self._cuts = np.cumsum([leaf.size for leaf in self._actions])[:-1]
        action = tuple(leaf.field("action") for leaf in self._actions)
        low, high = tuple(v for f in action for v in f.low), tuple(v for f in action for v in f.high)
        self._embodiment = Embodiment(
            name=f"gym/{name}",
            state=tuple(leaf.field("observation") for leaf in self._seen),
            action=action,
            cameras=(),
            control_hz=float(hz),
            limits=SafetyLimits(low=low, high=high),
        )
        self._low, self._high = self._embodiment.action_limits
        self._ended = np.zeros(self.nsim, dtype=bool)

    @property
    def embodiment(self) -> Embodiment:
        """What every environment senses and does."""
        return self._embodiment

    def reset(
        self, seeds: Sequence[int | None] | np.ndarray | None = None, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Begin episodes.

        Args:
            seeds: one per environment, each may be ``None``.
            mask: which environments, bool of shape ``(nsim,)``; all when left out.

        Returns:
            State vectors, shape ``(nsim, state_size)``.
        """
        given = None if seeds is None else [None if seed is None else int(seed) for seed in seeds]
        options = None if mask is None else {"reset_mask": mask}
        seen, _ = self.env.reset(seed=given, options=options)  # type: ignore[arg-type]
        self._ended[slice(None) if mask is None else mask] = False
        return self._encode(seen)

    def step(self, action: np.ndarray) -> BatchStep:
        """One step of every environment.

        Args:
            action: the fields of :attr:`embodiment` in a row, shape ``(nsim, action_size)``.

        Raises:
            ShapeError: if the actions have another shape.
            NonFiniteError: if one holds NaN or infinity.
        """
        asked = np.asarray(action, dtype=np.float64)
        if asked.shape != (self.nsim, self._low.size):
            raise ShapeError(
                "a batch of actions has the wrong shape", got=asked.shape, expected=(self.nsim, self._low.size)
            )
        if not np.isfinite(asked).all():
            raise NonFiniteError(
                "an action is not finite", got=f"environments {np.argwhere(~np.isfinite(asked))[:5, 0]}"
            )
        taken = np.minimum(np.maximum(asked, self._low), self._high)
        seen, reward, terminated, truncated, info = self.env.step(self._decode(taken))
        state, ended = self._encode(seen), np.asarray(terminated) | np.asarray(truncated)
        same = self._mode == AutoresetMode.SAME_STEP
        began = self._ended if self._mode == AutoresetMode.NEXT_STEP else ended & same
        success = _success(info, self.nsim)
        final = state.copy()
        if same and ended.any():
            for row in np.flatnonzero(ended):
                final[row] = self._encode_one(info["final_obs"][row])
            success = np.where(ended, _success(info.get("final_info", {}), self.nsim), success)
        self._ended = ended & (self._mode == AutoresetMode.NEXT_STEP)
        return BatchStep(
            state=state,
            reward=np.array(reward, dtype=np.float64),
            success=success,
            milestones=np.zeros((self.nsim, 0), dtype=bool),
            terminated=np.array(terminated, dtype=bool),
            truncated=np.array(truncated, dtype=bool),
            limited=(taken != asked).any(axis=1),
            began=began,
            final_state=final,
            blow_ups=(),
        )

    def close(self) -> None:
        """Close the environments; idempotent."""
        if not self.env.closed:
            self.env.close()

    def _encode(self, seen: Any) -> np.ndarray:
        return np.concatenate([_rows(leaf, leaf.get(seen), self.nsim) for leaf in self._seen], axis=1)

    def _encode_one(self, seen: Any) -> np.ndarray:
        return np.concatenate([leaf.encode(leaf.get(seen)) for leaf in self._seen])

    def _decode(self, numbers: np.ndarray) -> Any:
        parts = zip(self._actions, np.split(numbers, self._cuts, axis=1), strict=True)
        values = {leaf.path: np.stack([leaf.decode(row) for row in rows]) for leaf, rows in parts}
        return assemble(self.env.single_action_space, values)


def _rows(leaf: Leaf, values: Any, nsim: int) -> np.ndarray:
    """A leaf's numbers for all environments, shape ``(nsim, size)``."""
    if isinstance(leaf.space, spaces.Box):
        return np.asarray(values, dtype=np.float64).reshape(nsim, -1)
    return np.stack([leaf.encode(value) for value in values])


def _success(info: dict[str, Any], nsim: int) -> np.ndarray:
    for key in ("is_success", "success"):
        if key in info:
            return np.asarray(info[key]).astype(bool) & np.asarray(info.get(f"_{key}", True))
    return np.zeros(nsim, dtype=bool)
