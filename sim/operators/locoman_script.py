"""What LocoMan's scripted operators share: a script asks for modes and moves hands in their stance frame.

A script is a generator that is resumed once a control step, after a new observation. It knows the robot by the state
fields only; where a mode's stance frame lies it takes from the trunk's place when the mode is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.core.world import World
from robot_stack.sim.control.locoman.controller import FIELDS, encode
from robot_stack.sim.control.locoman.mode import HandTarget, Target
from robot_stack.sim.control.whole_body.rotations import matrix_of, yaw_of

Side = Literal["right", "left"]

NOISE_MEMORY = 0.95
"""How much of the noise on the hands' targets stays from one control step to the next."""

FINE = 0.1
"""Share of the noise in fine movements."""

BIAS_GAIN, BIAS_M = 0.05, 0.03
"""Share of a hand's error that is added to its target a control step; neither error nor sum may be larger [m]."""


class LocoManScript:
    """Drives LocoMan by its modes.

    Args:
        world: the robot and its task; its action mode must be ``LocoManController``.
        noise_std: standard deviation of the hands' wavering in x, y and z [m]; a tenth of it in fine movements.

    Raises:
        ConfigError: if the world's actions are not those of LocoMan's modes.
    """

    history = 1

    def __init__(self, world: World, noise_std: float = 0.0) -> None:
        body = world.robot.embodiment
        if body.action != FIELDS:
            raise ConfigError(
                "this operator answers in LocoMan's modes",
                got=", ".join(field.name for field in body.action),
                remedy="make the world with the task's usual action mode",
            )
        self._where = body.state_slices
        self._period_s = 1.0 / body.control_hz
        self._noise_std = noise_std
        self.reset("", 0)

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self.rng = generator(seed, 0x0A)
        """For the script's own choices."""
        self.pace = self.rng.uniform(0.85, 1.15)
        """Factor on all speeds of this episode."""
        self._wavering = generator(seed, 0x0B)
        self._noise = np.zeros(3)
        self._calm = 1.0
        self._running: Iterator[None] | None = None
        self._state = np.zeros(0)
        self.mode = "stance"
        """The mode that is asked for."""
        self.velocity = np.zeros(3)
        """Asked of modes that walk: forward, left [m/s], yaw [rad/s]."""
        self.grippers = np.zeros(2)
        """Openings of the right and the left gripper."""
        self._hands: dict[Side, tuple[np.ndarray, np.ndarray]] = {}
        self._bias: dict[Side, np.ndarray] = {"right": np.zeros(3), "left": np.zeros(3)}
        self._correcting = False
        self._p_world_stance, self._R_world_stance = np.zeros(3), np.eye(3)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The next action, one step of the script on."""
        self._state = history[-1].state
        if self._running is None:
            self.note_stance()
            self._running = self.script()
        next(self._running, None)
        return ActionChunk(encode(self.mode, self._target())[None])

    def script(self) -> Iterator[None]:
        """Do the task; a generator that yields once a control step."""
        raise NotImplementedError

    def see(self, field: str) -> np.ndarray:
        """A state field of the newest observation."""
        return self._state[self._where[field]]

    @property
    def yaw(self) -> float:
        """The trunk's heading [rad]."""
        return yaw_of(matrix_of(self.see("base_quaternion")))

    def note_stance(self) -> None:
        """The robot stands on four feet here: this is the stance frame of the next mode."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        self._R_world_stance = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        self._p_world_stance = np.array([*self.see("base_position")[:2], 0.0])

    def from_world(self, point: np.ndarray) -> np.ndarray:
        """A point of the world in the stance frame, shape ``(3,)`` [m]."""
        return self._R_world_stance.T @ (point - self._p_world_stance)

    def hand(self, side: Side) -> np.ndarray:
        """Where a hand is, in the stance frame [m]."""
        return self.from_world(self.see(f"{side}_hand_position"))

    def switch(self, mode: str, seconds: float) -> Iterator[None]:
        """Ask for a mode from standing, and give it time to begin to serve [s]."""
        self._hands.clear()
        self._bias = {"right": np.zeros(3), "left": np.zeros(3)}
        self.mode, self._correcting = mode, False
        yield from self.wait(seconds)

    def aim(self, side: Side, place: np.ndarray, turn: np.ndarray) -> None:
        """Send a hand somewhere at once: position ``(3,)`` [m] and wxyz ``(4,)`` in the stance frame."""
        self._hands[side] = (np.array(place, dtype=np.float64), np.array(turn, dtype=np.float64))

    def go(
        self,
        places: dict[Side, np.ndarray],
        turns: dict[Side, np.ndarray],
        speed: float = 0.15,
        *,
        fine: bool = False,
        settle_s: float = 1.0,
        near_m: float = 0.006,
        correct: bool = True,
    ) -> Iterator[None]:
        """Move hands in straight lines, smoothly, and wait until they are there, correcting what is amiss.

        Args:
            places: per side where to, in the stance frame [m].
            turns: per side how turned at the end, wxyz; the modes turn hands smoothly by themselves.
            speed: the fastest hand's largest [m/s].
            fine: waver less.
            settle_s: wait at most so long at the end [s].
            near_m: so near is there [m].
            correct: add a share of what is amiss to the targets; not where hands press against something.
        """
        starts = {side: self._hands[side][0] if side in self._hands else self.hand(side) for side in places}
        way = max(float(np.linalg.norm(places[side] - starts[side])) for side in places)
        count = max(1, round(1.875 * way / (speed * self.pace) / self._period_s))
        self._calm, self._correcting = (FINE if fine else 1.0), False
        for step in range(1, count + 1):
            t = step / count
            share = t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
            for side, place in places.items():
                self.aim(side, starts[side] + share * (place - starts[side]), turns[side])
            yield
        self._correcting = correct
        for _ in range(round(settle_s / self._period_s)):
            if all(np.linalg.norm(self._error(side)) < near_m for side in places):
                break
            yield

    def wait(self, seconds: float) -> Iterator[None]:
        """Stay."""
        for _ in range(round(seconds / self._period_s)):
            yield

    def grip(self, side: Side, opening: float, seconds: float = 0.6) -> Iterator[None]:
        """Open or close a gripper, then wait."""
        self.grippers[0 if side == "right" else 1] = opening
        yield from self.wait(seconds)

    def _error(self, side: Side) -> np.ndarray:
        return self._hands[side][0] - self.hand(side)

    def _target(self) -> Target:
        fresh = self._wavering.normal(0.0, self._noise_std, 3) * np.sqrt(1 - NOISE_MEMORY**2)
        self._noise = NOISE_MEMORY * self._noise + self._calm * fresh
        hands: dict[Side, HandTarget | None] = {"right": None, "left": None}
        for side, (place, turn) in self._hands.items():
            error = self._error(side)
            if self._correcting and np.abs(error).max() < BIAS_M:
                self._bias[side] = np.clip(self._bias[side] + BIAS_GAIN * error, -BIAS_M, BIAS_M)
            hands[side] = HandTarget(place + self._bias[side] + self._noise, turn)
        return Target(
            np.zeros(3), np.zeros(3), hands["right"], hands["left"], self.grippers.copy(), self.velocity.copy()
        )
