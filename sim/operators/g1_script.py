"""What the G1's scripted operators share: a script moves the hands' aims in the stance frame, looking on the way.

A script is a generator that is resumed once a control step, after a new observation. It knows the robot by the state
fields only; where the stance frame of ``G1Balance`` lies it works out from the first observation's base and joints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import interpolate, matrix_of, quaternion_of, rotation_vector
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

Side = Literal["left", "right"]

SIDES: tuple[Side, Side] = ("left", "right")
"""Order of the hands in actions."""

Pose = tuple[np.ndarray, np.ndarray]
"""Position ``(3,)`` [m] and orientation wxyz ``(4,)`` in the stance frame."""

Poses = Mapping[Side, Pose]
"""Of the hands that move; the others stay."""

NOISE_MEMORY = 0.95
"""How much of the noise on the hands' aims stays from one control step to the next."""

FINE = 0.1
"""Share of the noise in fine movements."""

TURN_SPEED = 1.2
"""Largest angular speed of a hand in :meth:`G1Script.go` [rad/s]."""

PEAK = 1.875
"""Largest over mean speed of a movement with the least jerk."""


class Stance:
    """Where the stance frame is: the robot's own kinematics, compiled alone.

    Its origin is on the floor midway between the soles, x forward across the line between them, z up.
    """

    def __init__(self) -> None:
        self._mujoco = import_mujoco()
        self._robot = compile_robot(UNITREE_G1)
        self._data = self._mujoco.MjData(self._robot.model)
        self.origin, self.axes = np.zeros(3), np.eye(3)

    def note(self, p_world_base: np.ndarray, q_world_base: np.ndarray, joint_position: np.ndarray) -> None:
        """The robot stands like this at the reset.

        Args:
            p_world_base: shape ``(3,)`` [m].
            q_world_base: wxyz, shape ``(4,)``.
            joint_position: shape ``(29,)`` [rad].
        """
        robot, data = self._robot, self._data
        data.qpos[robot.base_qpos] = np.concatenate([p_world_base, q_world_base])
        data.qpos[robot.qpos[: len(joint_position)]] = joint_position
        self._mujoco.mj_kinematics(robot.model, data)
        left, right = (data.site_xpos[robot.site(f"{side}_foot")] for side in SIDES)
        self.origin = np.array([*(0.5 * (left + right))[:2], 0.0])
        forward = np.array([(left - right)[1], -(left - right)[0], 0.0])
        forward /= np.linalg.norm(forward)
        self.axes = np.column_stack([forward, np.cross((0.0, 0.0, 1.0), forward), (0.0, 0.0, 1.0)])


class G1Script:
    """Drives the G1 by the poses of its hands.

    Args:
        world: the robot and its task; its action mode must be ``G1Balance``.
        noise_std: standard deviation of the hands' wavering in x, y and z [m]; a tenth of it in fine movements.

    Raises:
        ConfigError: if the world's actions are not the poses of both hands.
    """

    history = 1

    def __init__(self, world: World, noise_std: float = 0.0) -> None:
        body = world.robot.embodiment
        fields = [f"{side}_hand_{part}" for side in SIDES for part in ("position", "orientation")]
        if [field.name for field in body.action] != fields:
            raise ConfigError(
                "this operator answers in the poses of the G1's hands",
                got=", ".join(field.name for field in body.action),
                expected=", ".join(fields),
                remedy="make the world with the task's usual action mode",
            )
        self._where = body.state_slices
        self._period_s = 1.0 / body.control_hz
        self._noise_std = noise_std
        self._stance = Stance()
        self.reset("", 0)

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self.rng = generator(seed, 0x0A)
        """For the script's own choices."""
        self.pace = self.rng.uniform(0.85, 1.15)
        """Factor on all speeds of this episode."""
        self._wavering = generator(seed, 0x0B)
        self._noise = np.zeros((2, 3))
        self._calm = 1.0
        self._running: Iterator[None] | None = None
        self._state = np.zeros(0)
        self._aims: dict[Side, Pose] = {}

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The next action, one step of the script on."""
        self._state = history[-1].state
        if self._running is None:
            self._stance.note(self.see("base_position"), self.see("base_quaternion"), self.see("joint_position"))
            self._aims = {side: self.hand(side) for side in SIDES}
            self._running = self.script()
        next(self._running, None)
        fresh = self._wavering.normal(0.0, self._noise_std, (2, 3)) * np.sqrt(1 - NOISE_MEMORY**2)
        self._noise = NOISE_MEMORY * self._noise + self._calm * fresh
        parts = [
            (self._aims[side][0] + noise, self._aims[side][1]) for side, noise in zip(SIDES, self._noise, strict=True)
        ]
        return ActionChunk(np.concatenate([number for pose in parts for number in pose])[None])

    def script(self) -> Iterator[None]:
        """Do the task; a generator that yields once a control step."""
        raise NotImplementedError

    def see(self, field: str) -> np.ndarray:
        """A state field of the newest observation."""
        return self._state[self._where[field]]

    def see_pose(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position ``(3,)`` [m] and axes ``(3, 3)`` of a thing in the stance frame."""
        x, y = self.see(f"{name}_rotation").reshape(2, 3)
        axes = np.column_stack([x, y, np.cross(x, y)])
        return self.from_world(self.see(f"{name}_position")), self._stance.axes.T @ axes

    def from_world(self, point: np.ndarray) -> np.ndarray:
        """A point of the world in the stance frame, shape ``(3,)`` [m]."""
        return self._stance.axes.T @ (point - self._stance.origin)

    def hand(self, side: Side) -> Pose:
        """Where a hand is now."""
        place, axes = self.see_pose(f"{side}_hand")
        return place, quaternion_of(axes)

    def aim(self, side: Side) -> Pose:
        """Where a hand was last asked to."""
        return self._aims[side]

    def go(
        self, poses: Poses, speed: float, *, fine: bool = False, settle_s: float = 0.6, near_m: float = 0.01
    ) -> Iterator[None]:
        """Move hands in straight lines.

        Args:
            poses: where to.
            speed: the fastest hand's largest [m/s].
            fine: waver less.
            settle_s: wait at most so long at the end [s].
            near_m: so near is there [m].
        """
        starts: dict[Side, Pose] = {side: self._aims[side] for side in poses}
        way = max(float(np.linalg.norm(poses[side][0] - starts[side][0])) for side in poses)
        turn = max(_angle(starts[side][1], poses[side][1]) for side in poses)
        seconds = PEAK * max(way / speed, turn / TURN_SPEED)

        def between(share: float) -> Poses:
            return {
                side: (p + share * (poses[side][0] - p), interpolate(q, poses[side][1], share))
                for side, (p, q) in starts.items()
            }

        yield from self.follow(between, seconds, fine=fine, settle_s=settle_s, near_m=near_m)

    def follow(
        self,
        way: Callable[[float], Poses],
        seconds: float,
        *,
        fine: bool = False,
        settle_s: float = 0.6,
        near_m: float = 0.01,
    ) -> Iterator[None]:
        """Move hands along any way, with the least jerk (Flash and Hogan 1985), and wait until they are there.

        Args:
            way: the poses at a share of it, 0 to 1.
            seconds: how long at pace 1 [s].
            fine: as for :meth:`go`.
            settle_s: likewise.
            near_m: likewise.
        """
        count = max(1, round(seconds / self.pace / self._period_s))
        self._calm = FINE if fine else 1.0
        for step in range(1, count + 1):
            t = step / count
            poses = way(t**3 * (10.0 - 15.0 * t + 6.0 * t**2))
            self._aims.update(poses)
            yield
        for _ in range(round(settle_s / self._period_s)):
            if all(np.linalg.norm(self._aims[side][0] - self.hand(side)[0]) < near_m for side in poses):
                break
            yield

    def wait(self, seconds: float) -> Iterator[None]:
        """Stay."""
        for _ in range(round(seconds / self._period_s)):
            yield


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """Between two orientations wxyz [rad]."""
    return float(np.linalg.norm(rotation_vector(matrix_of(second) @ matrix_of(first).T)))
