"""Leads a robot's hands towards poses at bounded speed, within a workspace, and says what it changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.safety_motion import MotionLimiter
from robot_stack.sim.control.differential_ik import DifferentialIk, IkConfig
from robot_stack.sim.control.hand_kinematics import HandKinematics, HandPoses
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_vector, rotation_vector
from robot_stack.sim.robots.model import RobotModel

_NOTICEABLE_M, _NOTICEABLE_RAD = 1e-3, 1e-2
_SHARE, _UNLIMITED = 0.98, 1e4


@dataclass(frozen=True)
class FollowConfig:
    """How hands may be led."""

    linear_speed: float = 0.8
    """Largest speed of a hand's aim [m/s]."""

    angular_speed: float = 2.5
    """Largest angular speed of a hand's aim [rad/s]."""

    linear_acceleration: float = 1.5
    """Largest acceleration of a hand's aim [m/s²]."""

    angular_acceleration: float = 6.0
    """Largest angular acceleration of a hand's aim [rad/s²]."""

    workspace_low: tuple[float, ...] = ()
    """Lower corner of the box that aims stay in, in the frame of the actions, 3 numbers [m]; empty: as far as the arms
    could reach. Aims brake in time; a hand that brakes hard may swing half a centimetre past its aim."""

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
        speeds = (self.linear_speed, self.angular_speed, self.linear_acceleration, self.angular_acceleration)
        if not min(*speeds, self.leash_m) > 0 or self.control_hz < 0:
            raise ConfigError("hands need positive speeds, accelerations, leash and rate", got=self)
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
        acceleration = np.array([joint.acceleration or np.inf for joint in spec.joints])
        self._turn = _SHARE * np.minimum(acceleration, _UNLIMITED) * self.period_s**2
        self._motion = MotionLimiter(
            SafetyLimits(
                low=tuple(self._low.tolist()),
                high=tuple(self._high.tolist()),
                max_rate=tuple(_SHARE * joint.velocity for joint in spec.joints),
                max_acceleration=tuple((_SHARE * acceleration).tolist()),
            ),
            self.period_s,
            count,
        )
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
        self._ahead = np.minimum(np.maximum(self._joints + self._sag(), self._low), self._high)
        self._sent = self._ahead.copy()
        self._motion.restart(self._sent)
        self._aims = self._wanted = self._ik.forward(self._joints)
        self._way = np.zeros((len(self.hands), 6))

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
        self._aims, self._wanted = self._led_towards(wanted, why), wanted
        step = self._ik.step(self._joints, self._aims)
        for hand, position, rotation in zip(self.hands, step.position_error_m, step.rotation_error_rad, strict=True):
            if position > _NOTICEABLE_M or rotation > _NOTICEABLE_RAD:
                why.append(Intervention("reach", f"{hand} stays {position:.3f} m, {rotation:.2f} rad from its aim"))
        velocity = (step.joint_position - self._joints) / self.period_s
        self._joints = step.joint_position
        self._send(self._joints + self._lag_s * velocity + self._sag())
        return why

    def _send(self, ahead: np.ndarray) -> None:
        """Next position commands on the way to ``ahead``, within the joints' speeds and accelerations.

        ``ahead`` moves: the commands go along with it, and make up what is left no faster than they can brake again.
        """
        ahead = np.minimum(np.maximum(ahead, self._low), self._high)
        going = ahead - self._ahead
        left = ahead - self._sent - going
        brake = _braking(np.abs(left), self._turn)
        self._ahead = ahead
        self._sent = self._motion.move(self._sent + going + np.minimum(np.maximum(left, -brake), brake), None, None, [])

    def _sag(self) -> np.ndarray:
        """How far the joints sink below their commands under the robot's weight, where they should be now."""
        if not self._carries:
            return np.zeros(len(self._joints))
        self._seen.place(self._joints)
        return self._seen.weight() * self._compliance

    def _led_towards(self, wanted: HandPoses, why: list[Intervention]) -> HandPoses:
        """Aims on the way to what is wanted, within speed and acceleration; position and rotation by the same share."""
        position, rotation = np.empty_like(wanted.p_base_hand), np.empty_like(wanted.R_base_hand)
        for row, hand in enumerate(self.hands):
            way = _between(self._aims, wanted, row)
            going = _between(self._wanted, wanted, row)
            step = self._eased(going, way - going, self._way[row])
            self._way[row] = step
            position[row] = self._aims.p_base_hand[row] + step[:3]
            rotation[row] = matrix_of(quaternion_from_vector(step[3:])) @ self._aims.R_base_hand[row]
            left = way - step
            behind, angle = float(np.linalg.norm(left[:3])), float(np.linalg.norm(left[3:]))
            if behind > _NOTICEABLE_M or angle > _NOTICEABLE_RAD:
                why.append(Intervention("speed", f"{hand} is led {behind:.3f} m, {angle:.2f} rad behind"))
        return HandPoses(position, rotation)

    def _eased(self, going: np.ndarray, left: np.ndarray, before: np.ndarray) -> np.ndarray:
        """A step along with the target that also makes up what is left, as fast as it can brake again; ``(6,)``."""
        config, period_s = self.config, self.period_s
        turn = config.linear_acceleration * period_s**2, config.angular_acceleration * period_s**2
        far = float(np.linalg.norm(left[:3])), float(np.linalg.norm(left[3:]))
        brake = (
            float(_braking(np.array(far[0]), np.array(turn[0]))),
            float(_braking(np.array(far[1]), np.array(turn[1]))),
        )
        step = going + left * _share(left, brake)
        step = step * _share(step, (config.linear_speed * period_s, config.angular_speed * period_s))
        return before + (step - before) * _share(step - before, turn)


def _between(start: HandPoses, end: HandPoses, row: int) -> np.ndarray:
    """From one pose of a hand to another: the way, then the rotation vector, shape ``(6,)``."""
    turn = rotation_vector(end.R_base_hand[row] @ start.R_base_hand[row].T)
    return np.concatenate((end.p_base_hand[row] - start.p_base_hand[row], turn))


def _share(step: np.ndarray, largest: tuple[float, float]) -> float:
    """The share of a step at which neither its way nor its turn is larger than allowed."""
    way, turn = float(np.linalg.norm(step[:3])), float(np.linalg.norm(step[3:]))
    return 1.0 / max(way / largest[0] if way > 0 else 0.0, turn / largest[1] if turn > 0 else 0.0, 1.0)


def _braking(left: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Largest step after which steps that shrink by ``turn`` each time end within ``left``, exactly.

    As in :class:`~robot_stack.core.safety_motion.MotionLimiter`.
    """
    count = np.floor(np.sqrt(2.0 * left / turn + 0.25) - 0.5)
    return left / (count + 1.0) + 0.5 * turn * count
