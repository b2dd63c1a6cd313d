"""Action modes by the poses of the hands: absolute, or relative from step to step; grippers by their opening.

Rotations of absolute poses are the first two columns of the rotation matrix, one after the other (Zhou et al., CVPR
2019), as Diffusion Policy (Chi et al., RSS 2023) and TRI's Large Behavior Models use them: continuous, so that a
network can learn them, and made orthonormal here by Gram and Schmidt. Relative rotations are rotation vectors.

Hands are led by differential inverse kinematics (:mod:`robot_stack.sim.control.differential_ik`) and the joints follow
with the real robot's PD gains; a robot that does not compensate gravity sags as it does in joint positions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Accepted, Guarded, JointCommand, RobotState
from robot_stack.sim.control.hand_follower import FollowConfig, HandFollower
from robot_stack.sim.control.hand_kinematics import HandPoses
from robot_stack.sim.control.joint_modes import GripperMap
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_vector, rotation_vector
from robot_stack.sim.robot_senses import ROT6D, XYZ
from robot_stack.sim.robots.model import RobotModel

PoseFrame = Literal["world", "base"]
"""Frame of absolute poses: the world's, as the state's hand poses are, or that of the robot's base."""

StepFrame = Literal["hand", "world", "base"]
"""Axes of relative steps: the hand's own as it is aimed now, the world's, or the base's."""


class _HandMode:
    """What both modes share: hands first, then grippers by opening."""

    guards: Guarded = "position"
    servo_hz = 0.0

    def __init__(self, robot: RobotModel, config: FollowConfig | None) -> None:
        self._robot = robot
        self._grippers = GripperMap(robot)
        self._follower = HandFollower(robot, config)
        self._count = len(robot.spec.joints)
        self._stiffness = np.array([joint.stiffness for joint in robot.spec.driven], dtype=np.float64)
        self._damping = np.array([joint.damping for joint in robot.spec.driven], dtype=np.float64)
        self._fingers = np.zeros(len(robot.spec.driven) - self._count)
        self._zeros = np.zeros_like(self._stiffness)
        self._last_s: float | None = None
        self.fields: tuple[Field, ...] = (*self._hand_fields(), *self._grippers.fields)
        """The action's fields in order."""
        self._hand_size = sum(field.size for field in self.fields) - self._grippers.size

    def _hand_fields(self) -> tuple[Field, ...]:
        raise NotImplementedError

    def _stay(self, state: RobotState) -> np.ndarray:
        raise NotImplementedError

    def _aim(self, hands: np.ndarray, state: RobotState, why: list[Intervention]) -> HandPoses:
        """Poses that an action asks for, in the base frame, and within what is allowed."""
        raise NotImplementedError

    def _taken(self, hands: np.ndarray, before: HandPoses, state: RobotState) -> np.ndarray:
        """The action that asks for what is done."""
        raise NotImplementedError

    @property
    def joint_command(self) -> np.ndarray:
        """The position command in force of the robot's joints, shape ``(joints,)`` [rad or m]."""
        return self._follower.command

    def reset(self, state: RobotState) -> np.ndarray:
        """Stay where the hands are."""
        self._follower.restart(state.joint_position[: self._count])
        opening = np.clip(self._grippers.openings(state.joint_position[self._count :]), 0.0, 1.0)
        self._fingers = self._grippers.joints(opening)
        self._last_s = None
        return np.concatenate([self._stay(state), opening])

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        """Lead the hands one control step on.

        Raises:
            ConfigError: if actions come at another rate than the mode was made for.
        """
        self._check_rate(state.time_s)
        why: list[Intervention] = []
        hands, asked = action[: self._hand_size], action[self._hand_size :]
        opening = np.minimum(np.maximum(asked, 0.0), 1.0)
        for name, wanted, given in zip((f.name for f in self._grippers.fields), asked, opening, strict=True):
            if wanted != given:
                why.append(Intervention("limit", f"{name} {wanted:.4g} → {given:.4g}"))
        self._fingers = self._grippers.joints(opening)
        before = self._follower.aims
        wanted_poses = self._aim(hands, state, why)
        why += self._follower.follow(wanted_poses)
        if not why:
            return Accepted(action.copy())
        return Accepted(np.concatenate([self._taken(hands, before, state), opening]), tuple(why))

    def update(self, state: RobotState) -> JointCommand:
        """The joints' positions that go with the hands' aims."""
        position = np.concatenate([self._follower.command, self._fingers])
        return JointCommand(position, self._zeros, self._zeros, self._stiffness, self._damping)

    def _check_rate(self, time_s: float) -> None:
        last, self._last_s = self._last_s, time_s
        passed = None if last is None else time_s - last
        if passed is not None and passed > 0 and abs(passed - self._follower.period_s) > 0.01 * self._follower.period_s:
            raise ConfigError(
                "actions come at another rate than the action mode was made for",
                got=f"{1 / passed:.6g} Hz",
                expected=f"{1 / self._follower.period_s:.6g} Hz",
                remedy="give the mode FollowConfig(control_hz=...) with the robot's control rate",
            )


class HandPoseMode(_HandMode):
    """Absolute poses of all hands, then the grippers' openings.

    For each hand the fields ``<hand>_position`` (x, y, z) and ``<hand>_rotation`` (6 numbers), as in the state. Aims
    stay in the workspace (``workspace``), move no faster than allowed (``speed``), and come as near as the arm's limits
    let them (``reach``); a rotation that is none keeps the last one (``rotation``).

    Args:
        robot: whose hands.
        config: speeds and workspace.
        frame: of positions and rotations.
    """

    def __init__(self, robot: RobotModel, config: FollowConfig | None = None, frame: PoseFrame = "world") -> None:
        self._frame: PoseFrame = frame
        super().__init__(robot, config)

    def _hand_fields(self) -> tuple[Field, ...]:
        self._low, self._high = self._workspace()
        fields = []
        for hand in self._follower.hands:
            axes = tuple(f"{hand}_position_{axis}" for axis in XYZ)
            fields.append(
                Field(f"{hand}_position", 3, "m", axes, tuple(self._low.tolist()), tuple(self._high.tolist()))
            )
            columns = tuple(f"{hand}_rotation_{axis}" for axis in ROT6D)
            fields.append(Field(f"{hand}_rotation", 6, "1", columns, (-1.0,) * 6, (1.0,) * 6))
        return tuple(fields)

    def _workspace(self) -> tuple[np.ndarray, np.ndarray]:
        config, robot = self._follower.config, self._robot
        reach = max(_reach(robot, hand.site) for hand in robot.spec.end_effectors)
        origin = robot.model.body_pos[robot.root] if self._frame == "world" else np.zeros(3)
        low = np.array(config.workspace_low) if config.workspace_low else origin - reach
        high = np.array(config.workspace_high) if config.workspace_high else origin + reach
        return low, high

    def _stay(self, state: RobotState) -> np.ndarray:
        return self._encode(self._follower.aims, state)

    def _encode(self, poses: HandPoses, state: RobotState) -> np.ndarray:
        p_frame_base, R_frame_base = _frame_base(self._frame, state)
        parts = []
        for position, rotation in zip(poses.p_base_hand, poses.R_base_hand, strict=True):
            parts += [p_frame_base + R_frame_base @ position, (R_frame_base @ rotation)[:, :2].T.reshape(-1)]
        return np.concatenate(parts)

    def _aim(self, hands: np.ndarray, state: RobotState, why: list[Intervention]) -> HandPoses:
        p_frame_base, R_frame_base = _frame_base(self._frame, state)
        aims, rows = self._follower.aims, hands.reshape(-1, 9)
        position, rotation = np.empty((len(rows), 3)), np.empty((len(rows), 3, 3))
        for i, (hand, row) in enumerate(zip(self._follower.hands, rows, strict=True)):
            inside = np.minimum(np.maximum(row[:3], self._low), self._high)
            if (inside != row[:3]).any():
                why.append(Intervention("workspace", f"{hand} {np.abs(inside - row[:3]).max():.3f} m outside"))
            position[i] = R_frame_base.T @ (inside - p_frame_base)
            turned = rotation_from_columns(row[3:])
            if turned is None:
                why.append(Intervention("rotation", f"{hand}'s two columns span no rotation"))
            rotation[i] = aims.R_base_hand[i] if turned is None else R_frame_base.T @ turned
        return HandPoses(position, rotation)

    def _taken(self, hands: np.ndarray, before: HandPoses, state: RobotState) -> np.ndarray:
        return self._encode(self._follower.aims, state)


class HandStepMode(_HandMode):
    """Steps of all hands from where they were aimed at last, then the grippers' openings.

    For each hand the fields ``<hand>_translation`` (x, y, z) [m] and ``<hand>_turn`` (a rotation vector) [rad], per
    control step. Limits as for :class:`HandPoseMode`; besides, an aim stays near its measured hand (``leash``).

    Args:
        robot: whose hands.
        config: speeds, and the workspace, in the world's or the base's frame; in the base's for ``"hand"``.
        frame: of translations and turns.
    """

    def __init__(self, robot: RobotModel, config: FollowConfig | None = None, frame: StepFrame = "hand") -> None:
        self._in_hand = frame == "hand"
        self._frame: PoseFrame = "base" if frame == "hand" else frame
        super().__init__(robot, config)

    def _hand_fields(self) -> tuple[Field, ...]:
        config, period_s = self._follower.config, self._follower.period_s
        way, turn = config.linear_speed * period_s, config.angular_speed * period_s
        fields = []
        for hand in self._follower.hands:
            axes = tuple(f"{hand}_translation_{axis}" for axis in XYZ)
            fields.append(Field(f"{hand}_translation", 3, "m", axes, (-way,) * 3, (way,) * 3))
            axes = tuple(f"{hand}_turn_{axis}" for axis in XYZ)
            fields.append(Field(f"{hand}_turn", 3, "rad", axes, (-turn,) * 3, (turn,) * 3))
        return tuple(fields)

    def _stay(self, state: RobotState) -> np.ndarray:
        return np.zeros(6 * len(self._follower.hands))

    def _axes(self, aim: np.ndarray, state: RobotState) -> np.ndarray:
        """The step's axes in the base frame."""
        if self._in_hand:
            return aim
        return _frame_base(self._frame, state)[1].T

    def _aim(self, hands: np.ndarray, state: RobotState, why: list[Intervention]) -> HandPoses:
        aims, rows = self._follower.aims, hands.reshape(-1, 6)
        measured = self._follower.measured(state.joint_position[: self._count]).p_base_hand
        position, rotation = np.empty((len(rows), 3)), np.empty((len(rows), 3, 3))
        for i, (hand, row) in enumerate(zip(self._follower.hands, rows, strict=True)):
            axes = self._axes(aims.R_base_hand[i], state)
            asked = aims.p_base_hand[i] + axes @ row[:3]
            position[i] = self._leashed(hand, self._inside(hand, asked, state, why), measured[i], why)
            rotation[i] = matrix_of(quaternion_from_vector(axes @ row[3:])) @ aims.R_base_hand[i]
        return HandPoses(position, rotation)

    def _inside(self, hand: str, p_base: np.ndarray, state: RobotState, why: list[Intervention]) -> np.ndarray:
        config = self._follower.config
        if not config.workspace_low and not config.workspace_high:
            return p_base
        p_frame_base, R_frame_base = _frame_base(self._frame, state)
        asked = p_frame_base + R_frame_base @ p_base
        inside = np.maximum(asked, config.workspace_low) if config.workspace_low else asked
        inside = np.minimum(inside, config.workspace_high) if config.workspace_high else inside
        if np.abs(inside - asked).max() < 1e-9:
            return p_base
        why.append(Intervention("workspace", f"{hand} {np.abs(inside - asked).max():.3f} m outside"))
        return R_frame_base.T @ (inside - p_frame_base)

    def _leashed(self, hand: str, p_base: np.ndarray, seen: np.ndarray, why: list[Intervention]) -> np.ndarray:
        away, leash = p_base - seen, self._follower.config.leash_m
        length = float(np.sqrt(away @ away))
        if length <= leash:
            return p_base
        why.append(Intervention("leash", f"{hand} {length:.3f} m from where it is measured"))
        return seen + away * (leash / length)

    def _taken(self, hands: np.ndarray, before: HandPoses, state: RobotState) -> np.ndarray:
        from_, to, parts = before, self._follower.aims, []
        for i in range(len(self._follower.hands)):
            axes = self._axes(from_.R_base_hand[i], state)
            turn = rotation_vector(to.R_base_hand[i] @ from_.R_base_hand[i].T)
            parts += [axes.T @ (to.p_base_hand[i] - from_.p_base_hand[i]), axes.T @ turn]
        return np.concatenate(parts)


def rotation_from_columns(columns: np.ndarray) -> np.ndarray | None:
    """The rotation whose first two columns are nearest in the sense of Gram and Schmidt.

    Args:
        columns: shape ``(6,)``, see :data:`robot_stack.sim.robot_senses.ROT6D`.

    Returns:
        Shape ``(3, 3)``, or ``None`` where the two are nearly parallel or vanish.
    """
    first, second = columns[:3], columns[3:]
    length = float(np.sqrt(first @ first))
    if not 1e-3 < length < 1e3:
        return None
    x = first / length
    beside = second - (x @ second) * x
    length = float(np.sqrt(beside @ beside))
    if not 1e-3 < length < 1e3:
        return None
    y = beside / length
    z = (x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0])
    return np.array((x, y, z)).T


def _frame_base(frame: PoseFrame, state: RobotState) -> tuple[np.ndarray, np.ndarray]:
    """Position and rotation of the base in the frame of the actions."""
    if frame == "base":
        return np.zeros(3), np.eye(3)
    return state.p_world_base, matrix_of(state.q_world_base)


def _reach(robot: RobotModel, site: str) -> float:
    """No farther from the base's origin can a site ever be: the lengths of all links between them [m]."""
    model, number = robot.model, robot.site(site)
    reach, body = float(np.linalg.norm(model.site_pos[number])), int(model.site_bodyid[number])
    while body not in (0, robot.root):
        reach += float(np.linalg.norm(model.body_pos[body]))
        body = int(model.body_parentid[body])
    return reach
