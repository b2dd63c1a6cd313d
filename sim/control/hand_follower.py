"""Leads a robot's hands towards poses at bounded speed, within a workspace, and says what it changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError
from robot_stack.sim.control.differential_ik import DifferentialIk, IkConfig
from robot_stack.sim.control.hand_kinematics import HandKinematics, HandPoses
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_vector, rotation_vector
from robot_stack.sim.robots.model import RobotModel

_NOTICEABLE_M, _NOTICEABLE_RAD = 1e-3, 1e-2


@dataclass(frozen=True)
class FollowConfig:
    """How hands may be led."""

    linear_speed: float = 0.8
    """Largest speed of a hand's aim [m/s]."""

    angular_speed: float = 2.5
    """Largest angular speed of a hand's aim [rad/s]."""

    workspace_low: tuple[float, ...] = ()
    """Lower corner of the box that aims stay in, in the frame of the actions, 3 numbers [m]; empty: as far as the arms
    could reach. A hand that comes at full speed swings past its aim by a centimetre or so."""

    workspace_high: tuple[float, ...] = ()
    """Upper corner, likewise."""

    leash_m: float = 0.08
    """Aims that are moved step by step stay so near to the measured hand [m]: a blocked hand's aim does not run off."""

    lead: bool = True
    """Position commands lead by what the position loop lags behind at the commanded speed (damping / stiffness)."""

    carry: bool = True
    """Position commands of a robot with a fixed base that does not compensate gravity are higher by as much as it sags
    (weight / stiffness)."""

    ik: IkConfig = field(default_factory=lambda: IkConfig(velocity_share=0.9))
    """Of the inverse kinematics."""

    control_hz: float = 0.0
    """Rate of actions [Hz]; 0: the robot's own."""

    def __post_init__(self) -> None:
        if not min(self.linear_speed, self.angular_speed, self.leash_m) > 0 or self.control_hz < 0:
            raise ConfigError("hands need positive speeds, leash and rate", got=self)
        for corner in (self.workspace_low, self.workspace_high):
            if len(corner) not in (0, 3):
                raise ConfigError("a corner of the workspace needs 3 numbers", got=corner)


class HandFollower:
    """Aims of the hands in the base frame, and the joints that go with them.

    The joints are those commanded, not those measured: a loop that lags or sags does not feed back.

    Args:
        robot: the compiled scene; the inverse kinematics compiles its own model of the robot alone.
        config: how hands may be led.
    """

    def __init__(self, robot: RobotModel, config: FollowConfig | None = None) -> None:
        self.config = FollowConfig() if config is None else config
        spec = robot.spec
        self.period_s = 1.0 / (self.config.control_hz or spec.control_hz)
        self.hands = tuple(hand.name for hand in spec.end_effectors)
        self._ik = DifferentialIk(spec, self.period_s, config=self.config.ik)
        self._seen = HandKinematics(spec, watch_m=0.0)
        count = len(spec.joints)
        self._low, self._high = robot.low[:count], robot.high[:count]
        self._step = np.array([joint.velocity for joint in spec.joints]) * self.period_s
        drag = np.array([joint.damping for joint in spec.joints]) + robot.model.dof_damping[robot.dof[:count]]
        stiffness = np.array([joint.stiffness for joint in spec.joints])
        self._compliance = 1.0 / np.maximum(stiffness, 1e-9)
        self._lag_s = drag * self._compliance if self.config.lead else np.zeros(count)
        self._carries = self.config.carry and spec.base == "fixed"
        self.restart(spec.home)

    @property
    def joint_position(self) -> np.ndarray:
        """Where the joints should be now, shape ``(joints,)`` [rad or m]."""
        return self._joints.copy()

    @property
    def command(self) -> np.ndarray:
        """The position command that brings them there, shape ``(joints,)`` [rad or m]; within limits."""
        return self._sent.copy()

    @property
    def aims(self) -> HandPoses:
        """Where the hands are led to, in the base frame."""
        return self._aims

    def restart(self, joint_position: np.ndarray) -> None:
        """Begin at rest at measured joints, shape ``(joints,)`` [rad or m]."""
        self._joints = np.minimum(np.maximum(joint_position, self._low), self._high)
        self._sent = np.minimum(np.maximum(self._joints + self._sag(), self._low), self._high)
        self._aims = self._ik.forward(self._joints)

    def measured(self, joint_position: np.ndarray) -> HandPoses:
        """Where the hands are for measured joints, in the base frame."""
        self._seen.place(joint_position)
        return self._seen.poses()

    def follow(self, wanted: HandPoses) -> list[Intervention]:
        """One control step towards poses in the base frame.

        Args:
            wanted: poses of the hands; rotation matrices must be accurate.

        Returns:
            What the hands do instead, and why: ``speed``, ``reach``.
        """
        why: list[Intervention] = []
        self._aims = HandPoses(*self._within_speed(wanted, why))
        step = self._ik.step(self._joints, self._aims)
        for hand, position, rotation in zip(self.hands, step.position_error_m, step.rotation_error_rad, strict=True):
            if position > _NOTICEABLE_M or rotation > _NOTICEABLE_RAD:
                why.append(Intervention("reach", f"{hand} stays {position:.3f} m, {rotation:.2f} rad from its aim"))
        velocity = (step.joint_position - self._joints) / self.period_s
        self._joints = step.joint_position
        ahead = self._joints + self._lag_s * velocity + self._sag()
        ahead = np.minimum(np.maximum(ahead, self._low), self._high)
        self._sent = self._sent + np.minimum(np.maximum(ahead - self._sent, -self._step), self._step)
        return why

    def _sag(self) -> np.ndarray:
        """How far the joints sink below their commands under the robot's weight, where they should be now."""
        if not self._carries:
            return np.zeros(len(self._joints))
        self._seen.place(self._joints)
        return self._seen.weight() * self._compliance

    def _within_speed(self, wanted: HandPoses, why: list[Intervention]) -> tuple[np.ndarray, np.ndarray]:
        """Aims on the straight way to what is wanted, position and rotation by the same share."""
        position, rotation = wanted.p_base_hand.copy(), wanted.R_base_hand.copy()
        for row, hand in enumerate(self.hands):
            way = position[row] - self._aims.p_base_hand[row]
            turn = rotation_vector(rotation[row] @ self._aims.R_base_hand[row].T)
            linear = float(np.sqrt(way @ way)) / (self.config.linear_speed * self.period_s)
            angular = float(np.sqrt(turn @ turn)) / (self.config.angular_speed * self.period_s)
            excess = max(linear, angular)
            if excess > 1.0 + 1e-9:
                position[row] = self._aims.p_base_hand[row] + way / excess
                rotation[row] = matrix_of(quaternion_from_vector(turn / excess)) @ self._aims.R_base_hand[row]
                why.append(Intervention("speed", f"{hand} {excess:.2f} times too fast"))
        return position, rotation
