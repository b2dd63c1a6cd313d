"""A world as a Gymnasium environment, for algorithms that are written for those."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_stack.core.observation import Observation
from robot_stack.core.world import World
from robot_stack.sim.blow_up import PhysicsError


class WorldEnv(gymnasium.Env):
    """Steps a world: state (and images) out, actions in physical units in.

    The observation is the state vector, float64 of shape ``(state_size,)``; with cameras it is a Dict of ``"state"``
    and one uint8 image per camera. ``info`` holds ``is_success``, which ``milestones`` hold, the ``interventions``,
    whether there were any (``limited``), and whether the simulation blew up (``invalid``). A blow-up truncates the
    episode with reward 0: the last sound observation stands for the final one, and ``blow_up`` says what happened.

    Args:
        world: closed when the environment is closed.
        terminate_on_success: end the episode when the goal is reached (Meta-World itself never ends).
        render_camera: which of the robot's cameras :meth:`render` shows; empty for none. The robot needs a method
            ``render(camera)``.
    """

    def __init__(self, world: World, *, terminate_on_success: bool = True, render_camera: str = "") -> None:
        self.world = world
        self._terminate = terminate_on_success
        self._camera = render_camera
        self._steps = 0
        self._seen: Observation
        body = world.robot.embodiment
        self.metadata = {"render_modes": ["rgb_array"] if render_camera else [], "render_fps": round(body.control_hz)}
        self.render_mode = "rgb_array" if render_camera else None
        low, high = body.action_limits
        self.action_space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        state = spaces.Box(-np.inf, np.inf, (body.state_size,), np.float64)
        self.observation_space: spaces.Space = state
        if body.cameras:
            images = {c.name: spaces.Box(0, 255, c.shape, np.uint8) for c in body.cameras}
            self.observation_space = spaces.Dict({"state": state, **images})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; without a seed the next one follows from the seed that was given last."""
        super().reset(seed=seed)
        episode = int(self.np_random.integers(2**31)) if seed is None else seed
        self._steps = 0
        seen = self._seen = self.world.task.reset(self.world.robot, episode)
        return self._observation(seen), {"seed": episode}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One control step."""
        robot, task = self.world.robot, self.world.task
        try:
            receipt = robot.command(np.asarray(action, dtype=np.float64))
        except PhysicsError as error:
            return self._observation(self._seen), 0.0, False, True, self._blown(error)
        seen = self._seen = robot.observe()
        score = task.score(seen, receipt)
        self._steps += 1
        info = {
            "is_success": score.success,
            "milestones": dict(zip(task.milestones, score.milestones, strict=True)),
            "interventions": tuple(f"{i.reason}: {i.detail}" for i in receipt.interventions),
            "limited": bool(receipt.interventions),
            "invalid": False,
        }
        terminated = score.terminated or (self._terminate and score.success)
        return self._observation(seen), float(score.reward), terminated, self._steps >= task.horizon, info

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """An image of the camera named at construction, uint8 of shape ``(height, width, 3)``."""
        robot: Any = self.world.robot
        return robot.render(self._camera) if self._camera else None

    def close(self) -> None:
        """Close the world; idempotent."""
        self.world.close()

    def _blown(self, error: PhysicsError) -> dict[str, Any]:
        milestones = dict.fromkeys(self.world.task.milestones, False)
        told = {"is_success": False, "milestones": milestones, "interventions": (), "limited": False, "invalid": True}
        return {**told, "blow_up": str(error)}

    def _observation(self, seen: Observation) -> Any:
        state = seen.state.astype(np.float64)
        if not isinstance(self.observation_space, spaces.Dict):
            return state
        return {"state": state, **{name: np.array(image) for name, image in seen.images.items()}}
