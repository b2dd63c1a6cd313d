"""Where an operator's hands should be, turned into joint positions.

Differential inverse kinematics follows the hands; on top of it come what a position loop needs to be where it should:
it lags behind by its damping over its stiffness, and a robot that does not compensate gravity sinks under its weight.
Both are known, and commands lead by as much.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_stack.sim.control.differential_ik import DifferentialIk, IkConfig
from robot_stack.sim.control.hand_kinematics import HandPoses
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.workbench import MOUNT_M
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec

SPEED_SHARE = 0.95
"""Commands move at most at this share of the joints' largest velocities, and change speed likewise."""

SMOOTHING = 0.5
"""Share of a new velocity that counts at once: what a position loop lags behind is led smoothly."""

MARGIN_RAD = 0.01
"""Kept from the joint limits by commands."""

UNLIMITED = 1e4
"""Acceleration of a joint without a limit of its own [rad/s²]."""

RADIAN_M = 0.1
"""An error of one radian counts as one of so many metres in :meth:`ArmKinematics.behind`."""


class ArmKinematics:
    """Joint positions for hand poses of a robot that stands on its bench.

    Args:
        spec: which robot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._mujoco = import_mujoco()
        self._robot = compile_robot(spec)
        self._model = self._robot.model
        self._data = self._mujoco.MjData(self._model)
        self._mount = np.array(MOUNT_M[spec.name])
        count = len(spec.joints)
        self._qpos, self._dof = self._robot.qpos[:count], self._robot.dof[:count]
        self._low, self._high = self._robot.low[:count] + MARGIN_RAD, self._robot.high[:count] - MARGIN_RAD
        self._stiffness = np.array([joint.stiffness for joint in spec.joints])
        damping = np.array([joint.damping for joint in spec.joints]) + self._model.dof_damping[self._dof]
        self._lag_s = damping / self._stiffness
        self._period_s = 1.0 / spec.control_hz
        self._largest = SPEED_SHARE * np.array([joint.velocity for joint in spec.joints]) * self._period_s
        acceleration = np.array([joint.acceleration or UNLIMITED for joint in spec.joints])
        self._largest_turn = SPEED_SHARE * acceleration * self._period_s**2
        self._sinks = not self._model.body_gravcomp.any()
        self._hands = tuple(hand.name for hand in spec.end_effectors)
        self._ik = DifferentialIk(spec, self._period_s, config=IkConfig(velocity_share=SPEED_SHARE, angular_speed=6.0))
        self.restart(spec.home)

    def restart(self, q: np.ndarray) -> None:
        """Start from these joint positions, shape ``(joints,)`` [rad]."""
        self._q = np.clip(q, self._low, self._high)
        self._sent, self._wanted = self._q.copy(), self._q.copy()
        self._velocity, self._step = np.zeros_like(self._q), np.zeros_like(self._q)
        self._poses = self._ik.forward(self._q)
        self.behind = 0.0
        """How far the last answer is from its hand poses: the worst hand's error [m]."""

    def pose(self, hand: str) -> tuple[np.ndarray, np.ndarray]:
        """Where a hand is after :meth:`restart` or :meth:`bend`: position ``(3,)`` [m], rotation matrix ``(3, 3)``."""
        i = self._hands.index(hand)
        return self._poses.p_base_hand[i] + self._mount, self._poses.R_base_hand[i].copy()

    def solve(self, targets: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Position commands that lead the hands to poses in the world, one control step on.

        Args:
            targets: for every hand position ``(3,)`` [m] and rotation matrix ``(3, 3)``.

        Returns:
            Shape ``(joints,)`` [rad], within the limits of position and speed.
        """
        poses = [targets[hand] for hand in self._hands]
        target = HandPoses(np.array([p - self._mount for p, _ in poses]), np.array([R for _, R in poses]))
        taken = self._ik.step(self._q, target)
        self.behind = float(np.maximum(taken.position_error_m, RADIAN_M * taken.rotation_error_rad).max())
        return self._commands(taken.joint_position)

    def bend(self, q: np.ndarray) -> np.ndarray:
        """Position commands that lead the joints to ``q``, one control step on, both of shape ``(joints,)`` [rad]."""
        self.behind = 0.0
        there = self._q + np.clip(np.clip(q, self._low, self._high) - self._q, -self._largest, self._largest)
        self._poses = self._ik.forward(there)
        return self._commands(there)

    @property
    def joints(self) -> np.ndarray:
        """Where the joints are led, shape ``(joints,)`` [rad]."""
        return self._q.copy()

    def _commands(self, q: np.ndarray) -> np.ndarray:
        self._velocity += SMOOTHING * ((q - self._q) / self._period_s - self._velocity)
        self._q = q
        wanted = self._q + self._lag_s * self._velocity
        if self._sinks:
            wanted += self._weight() / self._stiffness
        return self._within_limits(np.clip(wanted, self._low, self._high))

    def _within_limits(self, wanted: np.ndarray) -> np.ndarray:
        """The next command on the way to ``wanted``, which itself moves: speed and acceleration as allowed.

        What is left of the way is made up no faster than can be braked again.
        """
        going, turn = wanted - self._wanted, self._largest_turn
        left = wanted - self._sent - going
        made_up = np.clip(left, -self._brake(np.abs(left)), self._brake(np.abs(left)))
        step = np.clip(going + made_up, -self._largest, self._largest)
        step = np.clip(step, self._step - turn, self._step + turn)
        self._step = np.clip(step, -self._brake(self._sent - self._low), self._brake(self._high - self._sent))
        self._sent, self._wanted = self._sent + self._step, wanted
        return self._sent.copy()

    def _brake(self, way: np.ndarray) -> np.ndarray:
        """The largest step now after which the joints can still stop within ``way``."""
        turn = self._largest_turn
        return 0.5 * (np.sqrt(turn * (turn + 8.0 * np.maximum(way, 0.0))) - turn)

    def _weight(self) -> np.ndarray:
        """Torques that hold the arms still where they should be, shape ``(joints,)`` [N·m]."""
        self._data.qpos[self._qpos] = self._q
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_comPos(self._model, self._data)
        torque = np.zeros(self._model.nv)
        self._mujoco.mj_rne(self._model, self._data, 0, torque)
        return torque[self._dof]
