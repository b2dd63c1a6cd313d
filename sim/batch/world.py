"""A robot and its task many times over, stepped together without a Python loop over simulations.

Only the start of an episode is drawn in Python, one simulation after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.sim.batch.config import USUAL, BatchConfig, BatchStep
from robot_stack.sim.batch.robot import BatchRobot
from robot_stack.sim.mujoco_robot import ControllerMaker
from robot_stack.sim.randomization import Randomization
from robot_stack.sim.robot_tasks.contract import RobotTask
from robot_stack.sim.robots.spec import RobotSpec


class BatchWorld:
    """Episodes of one robot with one task in many simulations at once.

    Args:
        spec: which robot.
        task: furnishes the scene and scores it.
        nsim: how many simulations.
        controller: makes the action mode; the task's usual one when left out. One of joint space is needed.
        config: threads, resets, rates.
        randomization: what differs in the robot from episode to episode; nothing when left out.

    Raises:
        ConfigError: if the action mode cannot be followed by many robots at once, if rates do not divide each other, or
            if a fixed base is to be pushed.
        RobotModelError: if the MJCF is not the robot's.
        UnknownNameError: if there is to be noise on a state field that does not exist.
    """

    def __init__(
        self,
        spec: RobotSpec,
        task: RobotTask,
        nsim: int,
        controller: ControllerMaker | None = None,
        config: BatchConfig = USUAL,
        randomization: Randomization | None = None,
    ) -> None:
        if nsim < 1:
            raise ConfigError("a batch needs at least one simulation", got=nsim)
        self.task, self.nsim, self.config = task, nsim, config
        self.robot = BatchRobot(
            spec, task, nsim, controller or task.controller, config, randomization or Randomization()
        )
        """The simulated robots."""
        self.horizon = config.horizon or task.horizon
        """Longest episode [control steps]."""
        self.seeds = np.zeros(nsim, dtype=np.int64)
        """Of the episodes that run now, shape ``(nsim,)``."""
        self._rngs: list[np.random.Generator | None] = [None] * nsim
        self._steps = np.zeros(nsim, dtype=np.int64)
        self._ended = np.zeros(nsim, dtype=bool)
        self._fresh = np.ones(nsim, dtype=bool)
        self._state = self.robot.observe()

    @property
    def embodiment(self) -> Embodiment:
        """What every one of the robots senses and does."""
        return self.robot.embodiment

    @property
    def hold_action(self) -> np.ndarray:
        """The actions that mean "stay as you are", shape ``(nsim, action_size)``."""
        return self.robot.mode.hold(self.robot.joint_position)

    def reset(
        self, seeds: Sequence[int | None] | np.ndarray | None = None, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Begin episodes.

        A simulation's seed is that of its next episode, and those after it follow from it. Without a seed it goes on
        from the one given last, or from an unpredictable one.

        Args:
            seeds: one per simulation, each may be ``None``; left out, ``None`` for all.
            mask: which simulations, bool of shape ``(nsim,)``; all when left out.

        Returns:
            State vectors of all simulations, shape ``(nsim, state_size)``.

        Raises:
            ShapeError: if there are more or fewer seeds than simulations, or the mask has another shape.
        """
        if seeds is not None and len(seeds) != self.nsim:
            raise ShapeError("a batch needs one seed per simulation", got=len(seeds), expected=self.nsim)
        if mask is not None and (mask.shape != (self.nsim,) or mask.dtype != np.bool_):
            raise ShapeError("a reset mask is bool, one per simulation", got=f"{mask.dtype} {mask.shape}")
        rows = np.arange(self.nsim) if mask is None else np.flatnonzero(mask)
        if rows.size:
            self._begin(rows, None if seeds is None else [seeds[int(row)] for row in rows])
            self._state[rows] = self.robot.observe(rows)
        return self._state.copy()

    def step(self, action: np.ndarray) -> BatchStep:
        """Advance every simulation by one control step.

        Args:
            action: in the mode's fields, shape ``(nsim, action_size)``; rounded to float32 as a single robot's is.

        Raises:
            ShapeError: if the actions have another shape.
            NonFiniteError: if one holds NaN or infinity; nothing was stepped then.
            ConfigError: before the first reset, or if an episode is over and ``autoreset`` is off.
        """
        asked = self._checked(action)
        began = self._ended.copy() if self.config.autoreset == "next_step" else np.zeros(self.nsim, dtype=bool)
        going = ~began
        limited = self.robot.drive(asked) & going
        blow_ups = self.robot.advance(np.flatnonzero(going) if began.any() else None, self.seeds)
        invalid = np.zeros(self.nsim, dtype=bool)
        invalid[[blow_up.sim for blow_up in blow_ups]] = True
        self._steps[going] += 1
        if began.any():
            self._begin(np.flatnonzero(began))
        sound = going & ~invalid
        scores = self.robot.score()
        state = self.robot.observe()
        state[invalid] = self._state[invalid]
        success, failed = scores.success & sound, scores.failed & sound
        terminated = failed | success if self.config.terminate_on_success else failed
        truncated = invalid | (going & (self._steps >= self.horizon))
        self._ended = terminated | truncated
        final = state
        if self.config.autoreset == "same_step" and self._ended.any():
            state, began, rows = final.copy(), self._ended.copy(), np.flatnonzero(self._ended)
            self._begin(rows)
            state[rows] = self.robot.observe(rows)
        self._state = state
        return BatchStep(
            state=state.copy(),
            reward=np.where(sound, scores.reward, 0.0),
            success=success,
            milestones=scores.milestones & sound[:, None],
            terminated=terminated,
            truncated=truncated,
            limited=limited,
            began=began,
            final_state=final if final is not state else state.copy(),
            blow_ups=blow_ups,
        )

    def render(self, sim: int = 0, camera: str = "", height: int = 128, width: int = 128) -> np.ndarray:
        """What a camera sees in one simulation now.

        Args:
            sim: which simulation.
            camera: a camera of the robot or the scene; empty for the task's view.
            height: [pixel].
            width: [pixel].

        Returns:
            RGB, uint8 of shape ``(height, width, 3)``.

        Raises:
            RenderError: if no image can be made here.
            UnknownNameError: if there is no such camera.
        """
        return self.robot.images.render(sim, camera or self.task.view, height, width)

    def close(self) -> None:
        """Free the renderer; idempotent."""
        self.robot.images.close()

    def _checked(self, action: np.ndarray) -> np.ndarray:
        given, names = np.asarray(action, dtype=np.float64), self.embodiment.action_names
        if given.shape != (self.nsim, len(names)):
            expected = f"({self.nsim}, {len(names)}) with columns {', '.join(names)}"
            raise ShapeError("a batch of actions has the wrong shape", got=given.shape, expected=expected)
        finite = np.isfinite(given)
        if not finite.all():
            sim, number = (int(i) for i in np.argwhere(~finite)[0])
            raise NonFiniteError("an action is not finite", got=f"{names[number]} of simulation {sim}")
        over = self._fresh | self._ended if self.config.autoreset == "off" else self._fresh
        if over.any():
            sims = np.flatnonzero(over)[:10].tolist()
            raise ConfigError("an episode is over or was never begun; reset it first", got=f"simulations {sims}")
        return given.astype(np.float32).astype(np.float64)

    def _begin(self, rows: np.ndarray, seeds: Sequence[int | None] | None = None) -> None:
        """Begin episodes with these seeds, or with those that follow."""
        for i, row in enumerate(rows):
            seed = None if seeds is None else seeds[i]
            rng = self._rngs[row]
            if seed is not None or rng is None:
                rng = self._rngs[row] = np.random.Generator(np.random.PCG64(seed))
            self.seeds[row] = int(rng.integers(2**31)) if seed is None else seed
        self.robot.begin(rows, self.seeds[rows])
        self._steps[rows] = 0
        self._ended[rows] = self._fresh[rows] = False
