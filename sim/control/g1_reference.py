"""Where the G1's whole body should be for its hands to be where they are asked for, standing on both feet.

A posture of its own, apart from the measured one, is led towards the hands' targets by differential inverse kinematics:
one small quadratic programme a tick, in the joint and base velocities under which no foot moves. Hands, the pelvis'
height, an upright pelvis and the home posture are weighed against each other; joint positions, speeds and
accelerations, the place of the centre of mass over the feet, and distances between parts of the body are limits. Out of
reach, hands come as near as the limits allow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robot_stack.core.errors import MissingExtraError
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.control.g1_reference_config import SIDES, ReferenceConfig
from robot_stack.sim.control.self_distance import SelfDistance
from robot_stack.sim.control.whole_body.dynamics import BASE
from robot_stack.sim.control.whole_body.rotations import rotation_vector, yaw_of
from robot_stack.sim.control.whole_body.weighted import constrained_motions
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel

_FREE = 1e30
_SOFT = 8


class StandingReference:
    """The posture that is led, and its motion.

    Args:
        robot: the robot alone, compiled with no scene.
        config: how.

    Raises:
        MissingExtraError: if DAQP is not installed.
    """

    def __init__(self, robot: RobotModel, config: ReferenceConfig | None = None) -> None:
        try:
            import daqp
        except ImportError as error:
            raise MissingExtraError("whole-body control", extra="sim", package="daqp") from error
        self._solve = daqp.solve
        self.robot = robot
        self.config = ReferenceConfig() if config is None else config
        self._mujoco: Any = import_mujoco()
        self._model = robot.model
        self._data = self._mujoco.MjData(robot.model)
        joints = len(robot.spec.joints)
        self._columns = np.concatenate((np.arange(BASE) + robot.base_dof.start, robot.dof[:joints]))
        self._qpos = robot.qpos[:joints]
        margin = self.config.joint_margin
        self._low, self._high = robot.low[:joints] + margin, robot.high[:joints] - margin
        knees = [i for i, name in enumerate(robot.spec.joint_names) if "knee" in name]
        self._low[knees] = self.config.least_knee
        self._home = robot.spec.home
        self._apart = SelfDistance(robot, self.config.apart, self._columns)
        self._hands = [robot.site(hand.site) for hand in robot.spec.end_effectors]
        self._feet = [robot.site(f"{side}_foot") for side in SIDES]
        self._corners = [[robot.site(f"{side}_foot_{corner}") for corner in range(4)] for side in SIDES]
        weight = np.full(joints, self.config.posture_weight)
        weight[[i for i, name in enumerate(robot.spec.joint_names) if name.startswith("waist")]] = (
            self.config.waist_weight
        )
        self._posture_weight = weight
        arm = np.array(
            [not any(part in n for part in ("hip", "knee", "ankle", "waist")) for n in robot.spec.joint_names]
        )
        self._acceleration = np.where(arm, self.config.arm_acceleration, self.config.body_acceleration)
        self._multipliers: np.ndarray | None = None
        self.velocity = np.zeros(BASE + joints)
        """Of base and joints as in :class:`~robot_stack.sim.control.whole_body.dynamics.Dynamics`."""
        self.acceleration = np.zeros(BASE + joints)
        """Its change over the last step, per second."""

    @property
    def joint_position(self) -> np.ndarray:
        """Of the robot's joints without the grippers', shape ``(joints,)`` [rad]."""
        return self._data.qpos[self._qpos]

    @property
    def com(self) -> np.ndarray:
        """Centre of mass of the robot in the world, shape ``(3,)`` [m]."""
        return self._data.subtree_com[self.robot.root].copy()

    @property
    def pelvis(self) -> np.ndarray:
        """Orientation of the pelvis in the world, shape ``(3, 3)``."""
        return self._data.xmat[self.robot.root].reshape(3, 3).copy()

    def hand(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Position ``(3,)`` [m] and axes ``(3, 3)`` of a hand's site in the world; 0 is left, 1 is right."""
        site = self._hands[side]
        return self._data.site_xpos[site].copy(), self._data.site_xmat[site].reshape(3, 3).copy()

    @property
    def com_velocity(self) -> np.ndarray:
        """Velocity of the centre of mass in world axes, shape ``(3,)`` [m/s]."""
        return self._com_jacobian @ self.velocity

    @property
    def com_acceleration(self) -> np.ndarray:
        """Its acceleration, but for terms of the velocity squared, shape ``(3,)`` [m/s²]."""
        return self._com_jacobian @ self.acceleration

    @property
    def pelvis_turning(self) -> np.ndarray:
        """Angular velocity of the pelvis in world axes, shape ``(3,)`` [rad/s]."""
        return self.pelvis @ self.velocity[3:BASE]

    def reset(self, state: RobotState) -> None:
        """Begin at the robot's own posture; its soles, laid flat on the floor, stay where they are."""
        robot, data = self.robot, self._data
        data.qpos[robot.base_qpos.start : robot.base_qpos.start + 3] = state.p_world_base
        data.qpos[robot.base_qpos.start + 3 : robot.base_qpos.stop] = state.q_world_base
        data.qpos[robot.qpos] = state.joint_position
        self.velocity[:], self.acceleration[:] = 0.0, 0.0
        self._multipliers = None
        self._place()
        floor = min(float(data.site_xpos[corner, 2]) for foot in self._corners for corner in foot)
        self._soles = [self._flat(foot, floor) for foot in self._feet]
        left, right = (p for p, _ in self._soles)
        self.middle = 0.5 * (left + right)
        """Between the feet, on the floor, in the world, shape ``(3,)`` [m]."""
        across = left - right
        self.heading = float(np.arctan2(-across[0], across[1]))
        """Of the stance: across the line between the feet [rad about the world's z]."""

    def _flat(self, foot: int, floor: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and axes of a sole that lies flat where it is now."""
        position, axes = self._data.site_xpos[foot].copy(), self._data.site_xmat[foot].reshape(3, 3)
        position[2] = floor
        return position, _turned_about_z(yaw_of(axes))

    @property
    def corners(self) -> np.ndarray:
        """Where the corners of the flat soles are, left foot first, in the world, shape ``(8, 3)`` [m]."""
        offsets = self._model.site_pos
        return np.array(
            [
                position + axes @ (offsets[corner] - offsets[foot])
                for foot, corners, (position, axes) in zip(self._feet, self._corners, self._soles, strict=True)
                for corner in corners
            ]
        )

    def step(
        self,
        period_s: float,
        hands: list[tuple[np.ndarray, np.ndarray]],
        hand_velocity: np.ndarray,
        height: float | None,
        com_shift: np.ndarray,
    ) -> None:
        """Move on by one tick.

        Args:
            period_s: of the tick [s].
            hands: position ``(3,)`` and axes ``(3, 3)`` wanted of each hand, in the world.
            hand_velocity: how each target moves: linear and angular in world axes, shape ``(2, 6)``.
            height: wanted of the pelvis above the floor [m]; ``None`` leaves it to the body.
            com_shift: how far from the middle the centre of mass of the robot has to be so that robot and loads
                together balance, shape ``(2,)`` in world axes [m].
        """
        jacobian, wanted, weight = self._tasks(hands, hand_velocity, height, com_shift)
        feet, back = self._stand()
        given, free = constrained_motions(feet, back)
        root = np.sqrt(weight)
        reduced = root[:, None] * (jacobian @ free)
        linear = reduced.T @ (root * (jacobian @ given - wanted))
        limits, lows, highs = self._limits(period_s, jacobian[:2], com_shift)
        offset = limits @ given
        found = self._run(reduced.T @ reduced, linear, limits @ free, lows - offset, highs - offset)
        before = self.velocity
        self.velocity = np.zeros_like(before) if found is None else given + free @ found
        self.acceleration = (self.velocity - before) / period_s
        self._advance(period_s)

    def _tasks(
        self,
        hands: list[tuple[np.ndarray, np.ndarray]],
        hand_velocity: np.ndarray,
        height: float | None,
        shift: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Jacobian, wanted velocity and weight of every row; the centre of mass comes first."""
        config, joints = self.config, len(self._home)
        com = self._com_jacobian
        jacobian = np.zeros((2 + 12 + 4 + joints, BASE + joints))
        wanted, weight = np.zeros(len(jacobian)), np.empty(len(jacobian))
        jacobian[:2] = com[:2]
        wanted[:2] = config.com_rate * (self.middle[:2] + shift - self.com[:2])
        weight[:2] = config.com_weight
        for side, (position, axes) in enumerate(hands):
            rows = slice(2 + 6 * side, 8 + 6 * side)
            at, turned = self.hand(side)
            jacobian[rows] = self._site_jacobian(self._hands[side])
            wanted[rows] = hand_velocity[side]
            wanted[rows.start : rows.start + 3] += config.hand_rate * _shortened(position - at, 0.05)
            wanted[rows.start + 3 : rows.stop] += config.hand_rate * _shortened(rotation_vector(axes @ turned.T), 0.2)
            weight[rows.start : rows.start + 3] = config.hand_weight
            weight[rows.start + 3 : rows.stop] = config.hand_turn_weight
        jacobian[14, 2] = 1.0
        above = self.middle[2] + (self.robot.spec.home_height_m if height is None else height)
        wanted[14] = config.body_rate * (above - self._data.xpos[self.robot.root, 2])
        weight[14] = config.height_weight if height is None else config.asked_height_weight
        pelvis = self.pelvis
        jacobian[15:18, 3:6] = pelvis
        wanted[15:18] = config.body_rate * rotation_vector(self.upright @ pelvis.T)
        weight[15:18] = config.upright_weight
        jacobian[18:, BASE:] = np.eye(joints)
        wanted[18:] = config.body_rate * (self._home - self.joint_position)
        weight[18:] = self._posture_weight
        return jacobian, wanted, weight

    @property
    def upright(self) -> np.ndarray:
        """Axes of the stance frame in the world, shape ``(3, 3)``."""
        return _turned_about_z(self.heading)

    @property
    def _along(self) -> np.ndarray:
        """From world axes to the stance's forward and left."""
        return self.upright[:2, :2].T

    def _stand(self) -> tuple[np.ndarray, np.ndarray]:
        """Jacobian of both feet, and the velocity that takes back what they have drifted."""
        back = []
        for foot, (position, axes) in zip(self._feet, self._soles, strict=True):
            turned = self._data.site_xmat[foot].reshape(3, 3)
            back += [position - self._data.site_xpos[foot], rotation_vector(axes @ turned.T)]
        return np.concatenate([self._site_jacobian(foot) for foot in self._feet]), 10.0 * np.concatenate(back)

    def _speeds(self, period_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the joints' speeds: speed, acceleration, and such that every joint can stop before its limit."""
        config, position, now = self.config, self.joint_position, self.velocity[BASE:]
        brake = 0.5 * self._acceleration
        up, down = np.maximum(self._high - position, 0.0), np.maximum(position - self._low, 0.0)
        stop_up = np.minimum(np.sqrt(2.0 * brake * up), up / period_s)
        stop_down = np.minimum(np.sqrt(2.0 * brake * down), down / period_s)
        change = self._acceleration * period_s
        high = np.minimum(np.minimum(config.joint_speed, stop_up), np.maximum(now + change, -config.joint_speed))
        low = np.maximum(np.maximum(-config.joint_speed, -stop_down), np.minimum(now - change, config.joint_speed))
        middle = np.minimum(np.maximum(now, -stop_down), stop_up)
        return np.where(low > high, middle, low), np.where(low > high, middle, high)

    def _reach(self, period_s: float, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the centre of mass' velocity, forward and left: it stays within reach, and is moved gently."""
        config = self.config
        off = self._along @ (self.com[:2] - self.middle[:2] - shift)
        now = self._along @ self.com_velocity[:2]
        reach, change = np.array(config.com_reach), config.com_acceleration * period_s
        high, low = (
            _braked(config.com_rate, 0.5 * config.com_acceleration, room) for room in (reach - off, reach + off)
        )
        return (
            np.minimum(np.maximum(-low, now - change), now + change),
            np.minimum(np.maximum(high, now - change), now + change),
        )

    def _limits(self, period_s: float, com: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows with lower and upper bounds: joints, centre of mass, parts of the body that near each other."""
        parting, least = self._apart.rows(self._data)
        joints, bodies = len(self._home), BASE + 2
        rows = np.zeros((joints + bodies + len(least), com.shape[1]))
        rows[:joints, BASE:] = np.eye(joints)
        rows[joints : joints + 3, :3] = np.eye(3)
        rows[joints + 3 : joints + BASE, 3:BASE] = self.pelvis
        rows[joints + BASE : joints + bodies] = self._along @ com
        rows[joints + bodies :] = parting
        bounds = self._speeds(period_s), self._pelvis_speeds(period_s), self._reach(period_s, shift)
        lows = np.concatenate([low for low, _ in bounds] + [np.maximum(least, -_FREE)])
        return rows, lows, np.concatenate([high for _, high in bounds] + [np.full(len(least), _FREE)])

    def _pelvis_speeds(self, period_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the pelvis' linear and angular velocity in world axes: speed, acceleration and tilt."""
        config = self.config
        now = np.concatenate((self.velocity[:3], self.pelvis_turning))
        fastest, change = np.repeat(config.pelvis_speed, 3), period_s * np.repeat(config.pelvis_acceleration, 3)
        high, low = fastest.copy(), -fastest
        turned, brake = rotation_vector(self.pelvis @ self.upright.T), 0.5 * config.pelvis_acceleration[1]
        high[3:] = np.minimum(high[3:], _braked(config.body_rate, brake, config.pelvis_tilt - turned))
        low[3:] = np.maximum(low[3:], -_braked(config.body_rate, brake, config.pelvis_tilt + turned))
        return np.clip(low, now - change, now + change), np.clip(high, now - change, now + change)

    def _run(
        self, quadratic: np.ndarray, linear: np.ndarray, rows: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> np.ndarray | None:
        size = len(linear)
        quadratic.reshape(-1)[:: size + 1] += 1e-7
        bounds = np.concatenate((np.full(size, _FREE), high)), np.concatenate((np.full(size, -_FREE), low))
        sense = np.zeros(size + len(high), dtype=np.int32)
        sense[size:] = _SOFT
        warm = {} if self._multipliers is None else {"dual_start": self._multipliers}
        for extra in (warm, {}) if warm else ({},):
            found, _, flag, info = self._solve(quadratic, linear, rows, *bounds, sense, iter_limit=200, **extra)
            if flag >= 1 and np.isfinite(found).all():
                self._multipliers = np.array(info["lam"])
                return np.array(found)
        self._multipliers = None
        return None

    def _advance(self, period_s: float) -> None:
        robot, data = self.robot, self._data
        joints = len(self._home)
        full = np.zeros(self._model.nv)
        full[self._columns] = self.velocity
        self._mujoco.mj_integratePos(self._model, data.qpos, full, period_s)
        inside = np.minimum(np.maximum(data.qpos[self._qpos], robot.low[:joints]), robot.high[:joints])
        data.qpos[self._qpos] = inside
        self._place()

    def _place(self) -> None:
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_comPos(self._model, self._data)
        self._com_jacobian = self._subtree_jacobian()

    def _site_jacobian(self, site: int) -> np.ndarray:
        full = np.zeros((6, self._model.nv))
        self._mujoco.mj_jacSite(self._model, self._data, full[:3], full[3:], site)
        return full[:, self._columns]

    def _subtree_jacobian(self) -> np.ndarray:
        full = np.zeros((3, self._model.nv))
        self._mujoco.mj_jacSubtreeCom(self._model, self._data, full, self.robot.root)
        return full[:, self._columns]


def _shortened(vector: np.ndarray, longest: float) -> np.ndarray:
    length = math.sqrt(float(vector @ vector))
    return vector if length <= longest else vector * (longest / length)


def _braked(rate: float, brake: float, room: np.ndarray) -> np.ndarray:
    """Speeds at which one may go towards ends that are ``room`` away; backwards where an end is passed."""
    return np.where(room > 0.0, np.minimum(rate * room, np.sqrt(2.0 * brake * np.maximum(room, 0.0))), rate * room)


def _turned_about_z(angle: float) -> np.ndarray:
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return np.array(((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0)))
