"""Where an operator's hands should be, turned into joint positions.

Damped least squares (Wampler 1986; Nakamura and Hanafusa 1986) with home as the posture in the null space, a few steps
from the last answer, so that a slowly moving target is followed without jumps between branches. A position loop lags
behind by its damping over its stiffness, and a robot that does not compensate gravity sinks under its weight; both are
known, and commands lead by as much.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_stack.sim.control.whole_body.rotations import rotation_vector
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.workbench import mount
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec

DAMPING, POSTURE, STEPS, LARGEST_STEP = 0.02, 0.02, 4, 0.15
"""Of the least squares [rad-like units]; share of the way home in the null space a step; steps a call; [rad]."""

MARGIN_RAD = 0.01
"""Kept from the joint limits."""

SPEED_SHARE = 0.95
"""Commands move at most at this share of the joints' largest velocities."""


class ArmKinematics:
    """Joint positions for hand poses of a robot that stands on its bench.

    Args:
        spec: which robot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._mujoco = import_mujoco()
        self._robot = compile_robot(spec, lambda made: mount(made, spec))
        self._model = self._robot.model
        self._data = self._mujoco.MjData(self._model)
        self._count = len(spec.joints)
        self._dof = self._robot.dof[: self._count]
        self._home = spec.home
        self._low = self._robot.low[: self._count] + MARGIN_RAD
        self._high = self._robot.high[: self._count] - MARGIN_RAD
        self._stiffness = np.array([joint.stiffness for joint in spec.joints])
        damping = np.array([joint.damping for joint in spec.joints]) + self._model.dof_damping[self._dof]
        self._lag_s = damping / self._stiffness
        self._largest = SPEED_SHARE * np.array([joint.velocity for joint in spec.joints]) / spec.control_hz
        self._sinks = not self._model.body_gravcomp.any()
        names = spec.joint_names
        self._hands = {
            hand.name: (self._robot.site(hand.site), np.array([names.index(joint) for joint in hand.joints]))
            for hand in spec.end_effectors
        }
        self._q, self._sent = self._home.copy(), self._home.copy()
        self.restart(self._home)

    def restart(self, q: np.ndarray) -> None:
        """Start from these joint positions, shape ``(joints,)`` [rad]."""
        self._q = np.clip(q, self._low, self._high)
        self._sent = self._q.copy()
        self._move()

    def pose(self, hand: str) -> tuple[np.ndarray, np.ndarray]:
        """Position ``(3,)`` [m] and rotation matrix ``(3, 3)`` of a hand in the world, for the last answer."""
        site = self._hands[hand][0]
        return self._data.site_xpos[site].copy(), self._data.site_xmat[site].reshape(3, 3).copy()

    def solve(self, targets: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Joint positions for hand poses in the world, one control step later; the nearest to be had out of reach.

        Args:
            targets: per hand position ``(3,)`` [m] and rotation matrix ``(3, 3)``.

        Returns:
            Shape ``(joints,)`` [rad], within the limits of position and speed; see :meth:`behind`.
        """
        before = self._q.copy()
        for _ in range(STEPS):
            for hand, (position, rotation) in targets.items():
                self._step(hand, position, rotation)
            self._q = before + np.clip(self._q - before, -self._largest, self._largest)
            self._move()
        return self._q.copy()

    def behind(self, targets: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
        """How far the last answer is from hand poses: the worst hand's error [m], a radian counting as 0.1 m."""
        worst = 0.0
        for hand, (position, rotation) in targets.items():
            here, turn = self.pose(hand)
            angle = float(np.linalg.norm(rotation_vector(rotation @ turn.T)))
            worst = max(worst, float(np.linalg.norm(position - here)), 0.1 * angle)
        return worst

    def commands(self, q: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Position commands with which the joints are at ``q`` and move on.

        Args:
            q: the last answer of :meth:`solve`, shape ``(joints,)`` [rad].
            velocity: how fast they move, shape ``(joints,)`` [rad/s].
        """
        wanted = q + self._lag_s * velocity
        if self._sinks:
            torque = np.zeros(self._model.nv)
            self._mujoco.mj_rne(self._model, self._data, 0, torque)
            wanted += torque[self._dof] / self._stiffness
        step = np.clip(np.clip(wanted, self._low, self._high) - self._sent, -self._largest, self._largest)
        self._sent = self._sent + step
        return self._sent.copy()

    def _step(self, hand: str, position: np.ndarray, rotation: np.ndarray) -> None:
        site, joints = self._hands[hand]
        here, turn = self._data.site_xpos[site], self._data.site_xmat[site].reshape(3, 3)
        error = np.concatenate([position - here, rotation_vector(rotation @ turn.T)])
        jacobian = np.empty((6, self._model.nv))
        self._mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], site)
        part = jacobian[:, self._robot.dof[joints]]
        size = np.abs(error).max()
        square = part @ part.T + np.eye(6) * (DAMPING**2 * min(1.0, size / 0.1) + 1e-8)
        step = part.T @ np.linalg.solve(square, error)
        pull = POSTURE * (self._home[joints] - self._q[joints])
        step += pull - part.T @ np.linalg.solve(square, part @ pull)
        step *= min(1.0, LARGEST_STEP / max(1e-9, np.abs(step).max()))
        self._q[joints] = np.clip(self._q[joints] + step, self._low[joints], self._high[joints])

    def _move(self) -> None:
        self._data.qpos[self._robot.qpos[: self._count]] = self._q
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_comPos(self._model, self._data)
