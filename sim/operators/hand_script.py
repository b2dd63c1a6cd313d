"""What the arms' scripted operators share: a script moves hands by straight lines, step by step, looking on the way.

A script is a generator that is resumed once a control step, after a new observation; it moves the hands' aims, which
become joint positions. So it reads from top to bottom as one does the task, and may look again whenever it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_vector, rotation_vector
from robot_stack.sim.mujoco_robot import MujocoRobot
from robot_stack.sim.operators.arm_kinematics import ArmKinematics
from robot_stack.sim.operators.wavering import Wavering

Pose = tuple[np.ndarray, np.ndarray]
"""Position ``(3,)`` [m] and rotation matrix ``(3, 3)`` in the world."""

FINE = 0.05
"""Share of the noise in fine movements."""

EASE = 0.8
"""Largest acceleration of a hand [m/s²]; turning, three times the number [rad/s²]."""

BEHIND_M, PATIENCE_S = 0.003, 2.0
"""A movement waits while the joints, at their largest speeds, are so far behind the aims [m]; so long at most [s]."""

OPENING_STEP = 0.08
"""Largest change of a gripper's commanded opening in a control step: fingers have a largest speed."""

ENOUGH_M = 0.0005
"""A resting hand's aim is not corrected for less [m]: dry friction would make it hunt."""

BIAS_GAIN, BIAS_M = 0.08, 0.02
"""Share of a resting hand's error that is added to its aim a control step; neither error nor sum may be larger [m]."""


class HandScript:
    """Drives arms by the poses of their hands; answers with joint positions or with hand poses, as the robot wants.

    Every episode has its own pace and, with ``noise_std``, hands that waver; both are drawn from the episode's seed.

    Args:
        world: the robot and its task; its action mode must be joint positions or absolute hand poses in the world.
        noise_std: standard deviation of the hands' wavering in x, y and z [m]; a twentieth of it in fine movements.

    Raises:
        ConfigError: if the world's action mode is another one.
    """

    history = 1

    def __init__(self, world: World, noise_std: float = 0.0) -> None:
        robot = world.robot
        if not isinstance(robot, MujocoRobot):
            raise ConfigError("this operator drives simulated robots", got=type(robot).__name__)
        self.hands = tuple(hand.name for hand in robot.spec.end_effectors)
        """Names of the hands, in order."""
        fields = [field.name for field in robot.embodiment.action]
        grippers = [gripper.name for gripper in robot.spec.grippers]
        poses = [f"{hand}_{part}" for hand in self.hands for part in ("position", "rotation")]
        if fields not in (["joint_position", *grippers], [*poses, *grippers]):
            raise ConfigError(
                "this operator answers with joint positions or hand poses",
                got=", ".join(fields),
                remedy="make the world with the task's usual action mode",
            )
        self._in_joints = fields[0] == "joint_position"
        self._where = robot.embodiment.state_slices
        self._low, self._high = robot.embodiment.action_limits
        self._grippers = grippers
        self._period_s = 1.0 / robot.embodiment.control_hz
        self._noise_std = noise_std
        self._arms = ArmKinematics(robot.spec)
        self.reset("", 0)

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self.rng = generator(seed, 0x0A)
        """For the script's own choices."""
        self.pace = self.rng.uniform(0.85, 1.15)
        """Factor on all speeds of this episode."""
        self._wavering = Wavering(self._noise_std, (len(self.hands), 3), seed)
        self._bias = {hand: np.zeros(3) for hand in self.hands}
        self._calm = 1.0
        self._resting = True
        self._running: Iterator[None] | None = None
        self._aim: dict[str, Pose] = {}
        self._posture: np.ndarray | None = None
        self._opening: dict[str, float] = {}
        self._sent: dict[str, float] = {}
        self._state = np.zeros(0)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The next joint positions, one step of the script on."""
        self._state = history[-1].state
        if self._running is None:
            self._arms.restart(self.see("joint_position"))
            self._aim = {hand: self._arms.pose(hand) for hand in self.hands}
            self._opening = {name: float(self.see(f"{name}_opening")[0]) for name in self._grippers}
            self._sent = dict(self._opening)
            self._running = self.script()
        if next(self._running, self) is self:
            self._resting = False  # done: hold still
        return ActionChunk(self._action()[None])

    def script(self) -> Iterator[None]:
        """Do the task; a generator that yields once a control step."""
        raise NotImplementedError

    def see(self, field: str) -> np.ndarray:
        """A state field of the newest observation."""
        return self._state[self._where[field]]

    def see_pose(self, thing: str) -> Pose:
        """Where a thing is: from its fields ``<thing>_position`` and ``<thing>_rotation``."""
        x, y = np.split(self.see(f"{thing}_rotation"), 2)
        return self.see(f"{thing}_position").copy(), np.stack([x, y, np.cross(x, y)], axis=1)

    def aim(self, hand: str) -> Pose:
        """Where a hand is told to be."""
        return self._aim[hand]

    def set_aim(self, hand: str, pose: Pose) -> None:
        """Tell a hand to be somewhere at once; for small corrections."""
        self._aim[hand] = pose

    def go(
        self, targets: Mapping[str, Pose], speed: float = 0.35, *, fine: bool = False, settle_s: float = 0.5
    ) -> Iterator[None]:
        """Move hands in straight lines, all arriving together, smoothly (least jerk), and wait until they are there.

        Args:
            targets: per hand its pose.
            speed: the fastest hand's largest [m/s]; turning, at most three times the number [rad/s].
            fine: waver less, and wait until within 2 mm instead of 10 mm.
            settle_s: wait at most so long at the end [s].
        """
        starts = {hand: self._aim[hand] for hand in targets}
        turns = {hand: rotation_vector(targets[hand][1] @ starts[hand][1].T) for hand in targets}
        way = max(float(np.linalg.norm(targets[hand][0] - starts[hand][0])) for hand in targets)
        turn = max(float(np.linalg.norm(vector)) for vector in turns.values())
        far = max(way, turn / 3.0)
        seconds = max(1.875 * far / speed, np.sqrt(5.77 * far / EASE)) / self.pace
        count = max(1, round(seconds / self._period_s))
        self._calm, self._resting = (FINE if fine else 1.0), False
        patience = round(PATIENCE_S / self._period_s)
        for step in range(1, count + 1):
            while patience and self._arms.behind > BEHIND_M:
                patience -= 1
                yield
            share = _smooth(step / count)
            for hand, (position, _) in targets.items():
                p_start, R_start = starts[hand]
                turned = matrix_of(quaternion_from_vector(share * turns[hand])) @ R_start
                self._aim[hand] = (p_start + share * (position - p_start), turned)
            yield
        self._resting = True
        near = 0.002 if fine else 0.01
        for _ in range(round(settle_s / self._period_s)):
            if all(np.linalg.norm(self._error(hand)) < near for hand in targets):
                return
            yield

    def bend(self, joints: np.ndarray, speed: float = 1.0) -> Iterator[None]:
        """Move the joints, not the hands in lines: to a posture from which the hands can work.

        Args:
            joints: where to, shape ``(joints,)`` [rad].
            speed: the fastest joint's largest [rad/s].
        """
        start = self._arms.joints
        count = max(1, round(1.875 * np.abs(joints - start).max() / (speed * self.pace) / self._period_s))
        self._resting = False
        for step in range(1, count + 1):
            self._posture = start + _smooth(step / count) * (joints - start)
            yield
        self._posture = None
        self._aim = {hand: self._arms.pose(hand) for hand in self.hands}

    def grip(self, openings: Mapping[str, float], seconds: float = 0.5) -> Iterator[None]:
        """Open or close grippers, then wait.

        Args:
            openings: per gripper, 0 closed, 1 open.
            seconds: how long [s].
        """
        self.set_openings(openings)
        yield from self.wait(seconds)

    def set_openings(self, openings: Mapping[str, float]) -> None:
        """Open or close grippers on the way; see :meth:`grip`."""
        self._opening |= openings

    def wait(self, seconds: float) -> Iterator[None]:
        """Stay."""
        for _ in range(round(seconds / self._period_s)):
            yield

    def _error(self, hand: str) -> np.ndarray:
        noise = self._wavering.value[self.hands.index(hand)]
        return self._aim[hand][0] + noise - self.see(f"{hand}_position")

    def _action(self) -> np.ndarray:
        targets = {}
        if self._posture is None:  # else it would have grown unseen, and the hands would jump when they are led again
            self._wavering.step(self._calm)
        noise = dict(zip(self.hands, self._wavering.value, strict=True))
        for hand, (position, rotation) in self._aim.items():
            error = self._error(hand)
            if self._resting and ENOUGH_M < np.abs(error).max() < BIAS_M:
                self._bias[hand] = np.clip(self._bias[hand] + BIAS_GAIN * error, -BIAS_M, BIAS_M)
            targets[hand] = (position + self._bias[hand] + noise[hand], rotation)
        body = self._arms.solve(targets) if self._posture is None else self._arms.bend(self._posture)
        if not self._in_joints:
            poses = targets if self._posture is None else {hand: self._arms.pose(hand) for hand in self.hands}
            body = np.concatenate([np.concatenate([p, *R[:, :2].T]) for p, R in (poses[hand] for hand in self.hands)])
        for name, wanted in self._opening.items():
            self._sent[name] += float(np.clip(wanted - self._sent[name], -OPENING_STEP, OPENING_STEP))
        openings = [self._sent[name] for name in self._grippers]
        return np.clip(np.concatenate([body, openings]), self._low, self._high)


def _smooth(t: float) -> float:
    """Share of a way done at share ``t`` of its time, with the least jerk (Flash and Hogan 1985)."""
    return t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
