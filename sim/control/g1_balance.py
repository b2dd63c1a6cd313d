"""The G1 standing on both feet while its hands go where they are asked to: whole-body control at 500 Hz.

An action is the pose of both hands in the stance frame (origin on the floor midway between the soles as they stand at
the reset, x forward, z up), left before right, the opening of grippers if there are any, and, if wanted, the height
of the pelvis. Three parts turn it into joint commands, each in a file of its own:

- targets become smooth ways (``pose_filter``), and a posture is led along them (``g1_reference``) within the limits of
  joints, balance and the body's own shape;
- weights in the hands are felt (``hand_loads``), carried by torques fed forward, and leaned against;
- the measured robot is held to that posture and kept in balance by inverse dynamics with friction cones
  (``whole_body.weighted``): the centre of mass first, trunk and arms as far as the feet can bear it.

Every joint gets position, velocity and torque, for the real robot's own gains. The state must hold the base's position
and velocity in the world, so on hardware an estimator stands before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Accepted, Guarded, JointCommand, RobotState
from robot_stack.sim.control.g1_reference import StandingReference
from robot_stack.sim.control.g1_reference_config import SIDES, ReferenceConfig
from robot_stack.sim.control.hand_loads import HandLoads, LoadConfig
from robot_stack.sim.control.joint_modes import GripperMap
from robot_stack.sim.control.pose_filter import PoseFilter, PoseFilterConfig
from robot_stack.sim.control.whole_body.contacts import Contact, contact_jacobian
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.qp import Solution
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_of, rotation_vector
from robot_stack.sim.control.whole_body.tasks import Demand
from robot_stack.sim.control.whole_body.weighted import WeightedInverseDynamics
from robot_stack.sim.robots.model import RobotModel, compile_robot

LEFT, RIGHT = slice(0, 7), slice(7, 14)
"""Where the poses of the hands lie in an action: position, then quaternion wxyz."""

REACH_LOW = (0.15, 0.05, 0.6)
"""Lower corner of the box that the left hand reaches, fingers forward, wherever in its own box the right hand is.

In the stance frame [m]; the right hand's box is the mirror image. Within it hands are within 1 cm of where they are
asked to after 3 s (2 mm in the median); asked for opposite corners at once, they may be turned by up to 0.25 rad.
"""

REACH_HIGH = (0.42, 0.38, 1.15)
"""Its upper corner [m]."""

PUSH_NS = 7.0
"""A push of a tenth of a second against the torso that is survived from every side, on a level floor [N·s]."""

_ARM = ("shoulder", "elbow", "wrist")
_POSES = 14


@dataclass(frozen=True)
class BalanceConfig:
    """How the robot balances. Gains are of accelerations: kp [1/s²], kd [1/s]."""

    servo_hz: float = 500.0
    """Rate of :meth:`G1Balance.update` [Hz]."""

    com_kp: float = 40.0
    """Of the centre of mass."""

    com_kd: float = 14.0
    """Of the centre of mass."""

    com_weight: float = 10.0
    """Of its acceleration, against the other tasks."""

    upright_kp: float = 100.0
    """Of the pelvis' orientation."""

    upright_kd: float = 20.0
    """Of the pelvis' orientation."""

    upright_weight: float = 1.0
    """Of its angular acceleration."""

    posture_kp: float = 100.0
    """Of waist and arms."""

    posture_kd: float = 20.0
    """Of waist and arms."""

    posture_weight: float = 0.05
    """Of each of their accelerations: low, so that they swing for balance when the feet alone cannot keep it."""

    sole_kp: float = 100.0
    """Of the soles, which shall stay where they stood."""

    sole_kd: float = 20.0
    """Of the soles."""

    friction: float = 0.6
    """That the floor is trusted to have."""

    least_force: float = 5.0
    """On each corner of a sole [N]: feet stay flat."""

    effort_share: float = 0.95
    """Share of each joint's largest effort that is used."""

    most_shift_m: float = 0.08
    """How far the body leans against forces at the hands, at most [m]."""

    fallen_tilt_rad: float = 0.9
    """Tilted further than this the robot counts as fallen: it only brakes its joints from then on."""

    hand_low: tuple[float, float, float] = (-0.2, -0.75, 0.2)
    """Lower corner of where hands may be asked to, in the stance frame [m]."""

    hand_high: tuple[float, float, float] = (0.75, 0.75, 1.6)
    """Upper corner [m]."""

    height_range: tuple[float, float] = (0.45, 0.77)
    """Where the pelvis may be asked to [m above the floor]."""

    way: PoseFilterConfig = field(default_factory=PoseFilterConfig)
    """How fast hands may be asked to move."""

    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    """How the whole body is led."""

    loads: LoadConfig = field(default_factory=LoadConfig)
    """How forces at the hands are felt."""


class G1Balance:
    """Standing balance with both hands free: a :class:`~robot_stack.core.joint_control.Controller`.

    Args:
        robot: a scene with a G1, with hands or grippers; the robot alone is compiled from its description.
        config: how it balances.
        with_height: the action ends with the height of the pelvis above the floor; otherwise the body finds it.
    """

    guards: Guarded = "position"

    def __init__(self, robot: RobotModel, config: BalanceConfig | None = None, *, with_height: bool = False) -> None:
        self.config = BalanceConfig() if config is None else config
        self._spec = robot.spec
        alone = compile_robot(robot.spec.own)
        self._count = len(alone.spec.joints)
        self._grippers = GripperMap(alone)
        self._dynamics = Dynamics(alone)
        self._base = self._dynamics.base
        self._effort = self.config.effort_share * np.array([joint.effort for joint in alone.spec.joints])
        self._inverse = WeightedInverseDynamics(self._dynamics, self._effort)
        self._reference = StandingReference(alone, self.config.reference)
        self._hands = tuple(self._dynamics.site(hand.site) for hand in alone.spec.end_effectors)
        self._loads = HandLoads(self._dynamics, self._hands, self._arms(), self.config.loads)
        self._ways = [PoseFilter(self.config.way) for _ in SIDES]
        self._contacts = [self._corner(f"{side}_foot_{corner}") for side in SIDES for corner in range(4)]
        self._upper = self._joints(("waist", *_ARM))
        self._select = np.zeros((len(self._upper), self._dynamics.size))
        self._select[np.arange(len(self._upper)), BASE + self._upper] = 1.0
        self._kp = np.array([joint.stiffness for joint in alone.spec.driven])
        self._kd = np.array([joint.damping for joint in alone.spec.driven])
        self._with_height = with_height
        self.fields = self._fields()
        """The action's fields in order."""
        self._low = np.concatenate([f.low_array for f in self.fields])
        self._high = np.concatenate([f.high_array for f in self.fields])
        self._names = tuple(n for f in self.fields for n in f.element_names)
        self._last: JointCommand | None = None
        self.solution: Solution | None = None
        """Contact forces, accelerations and status of the last tick."""
        self.fallen = False
        """The robot fell since the last reset."""

    @property
    def servo_hz(self) -> float:
        """How often :meth:`update` wants to be called [Hz]."""
        return self.config.servo_hz

    @property
    def hand_force(self) -> np.ndarray:
        """Felt at the left and the right hand, in world axes, shape ``(2, 3)`` [N]."""
        return self._loads.force.copy()

    def reset(self, state: RobotState) -> np.ndarray:
        """Stand as the robot stands now: it must be on both feet."""
        self._reference.reset(state)
        self._dynamics.update(state)
        self._soles = self._reference.corners
        self._loads.reset()
        self._inverse.reset()
        self._last, self.solution, self.fallen = None, None, False
        self._axes = self._reference.upright
        parts = []
        for side, way in enumerate(self._ways):
            p_world, axes = self._reference.hand(side)
            way.reset(self._axes.T @ (p_world - self._reference.middle), self._axes.T @ axes)
            parts += [way.position, quaternion_of(way.axes)]
        openings = self._grippers.openings(state.joint_position[self._count :])
        parts.append(np.minimum(np.maximum(openings, 0.0), 1.0))
        if self._with_height:
            parts.append(state.p_world_base[2:] - self._reference.middle[2:])
        action = np.concatenate(parts)
        self.begin(action, state)
        return action

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        """The action within its fields' limits is in force; quaternions are brought to length 1."""
        taken = np.minimum(np.maximum(action, self._low), self._high)
        changed = np.flatnonzero(taken != action)
        for hand in (LEFT, RIGHT):
            quaternion = taken[hand.start + 3 : hand.stop]
            length = float(np.linalg.norm(quaternion))
            quaternion[:] = quaternion / length if length > 1e-3 else (1.0, 0.0, 0.0, 0.0)
        self._targets = [(taken[h.start : h.start + 3], matrix_of(taken[h.start + 3 : h.stop])) for h in (LEFT, RIGHT)]
        self._fingers = self._grippers.joints(taken[_POSES : _POSES + self._grippers.size])
        self._height = float(taken[-1]) if self._with_height else None
        return Accepted(
            taken, tuple(Intervention("limit", f"{self._names[i]} {action[i]:.4g} → {taken[i]:.4g}") for i in changed)
        )

    def update(self, state: RobotState) -> JointCommand:
        """One tick of balance.

        Raises:
            NonFiniteError: if the state holds NaN or infinity.
        """
        self._dynamics.update(state)
        up = self._dynamics.rotation(self._base)[2, 2]
        self.fallen = self.fallen or bool(up < np.cos(self.config.fallen_tilt_rad))
        if self.fallen:
            return self._brake(state)
        if self._last is not None:
            self._loads.update(self._torque(self._last, state), 1.0 / self.config.servo_hz)
        self._lead(1.0 / self.config.servo_hz)
        self.solution = self._inverse.solve(self._contacts, self._tasks(), self._pushed(), self._settle())
        still = np.zeros(len(self._fingers))
        command = JointCommand(
            np.concatenate((self._reference.joint_position, self._fingers)),
            np.concatenate((self._reference.velocity[BASE:], still)),
            np.concatenate((self.solution.torque, still)),
            self._kp,
            self._kd,
        )
        excess = self._torque(command, state, limited=False)
        excess -= np.minimum(np.maximum(excess, -self._effort), self._effort)
        command.effort[: self._count] -= excess  # loops and feed-forward together stay within the motors' efforts
        self._last = command
        return command

    def _fields(self) -> tuple[Field, ...]:
        fields = []
        for name in (hand.name for hand in self._spec.end_effectors):
            axes, turn = tuple(f"{name}_{axis}" for axis in "xyz"), tuple(f"{name}_q{axis}" for axis in "wxyz")
            fields += [
                Field(f"{name}_position", 3, "m", axes, self.config.hand_low, self.config.hand_high),
                Field(f"{name}_orientation", 4, "1", turn, (-1.0,) * 4, (1.0,) * 4),
            ]
        fields += self._grippers.fields
        if self._with_height:
            low, high = self.config.height_range
            fields.append(Field("pelvis_height", 1, "m", (), (low,), (high,)))
        return tuple(fields)

    def _joints(self, parts: tuple[str, ...], side: str = "") -> np.ndarray:
        names = self._spec.joint_names
        return np.array([i for i, n in enumerate(names) if n.startswith(side) and any(p in n for p in parts)])

    def _arms(self) -> tuple[np.ndarray, ...]:
        return tuple(self._joints(_ARM, side) for side in SIDES)

    def _corner(self, site: str) -> Contact:
        config = self.config
        return Contact(self._dynamics.site(site), friction=config.friction, min_force=config.least_force)

    def _torque(self, command: JointCommand, state: RobotState, limited: bool = True) -> np.ndarray:
        """What a command makes the robot's joints do now, shape ``(joints,)`` [N·m]."""
        off, lag = command.position - state.joint_position, command.velocity - state.joint_velocity
        torque = (command.effort + self._kp * off + self._kd * lag)[: self._count]
        return np.minimum(np.maximum(torque, -self._effort), self._effort) if limited else torque

    def _brake(self, state: RobotState) -> JointCommand:
        """Damping alone, as the real robot's own emergency mode."""
        zeros = np.zeros_like(self._kp)
        return JointCommand(state.joint_position.copy(), zeros, zeros.copy(), zeros.copy(), self._kd)

    def _lead(self, period_s: float) -> None:
        reference, axes = self._reference, self._axes
        hands, moving = [], np.zeros((len(self._ways), 6))
        for side, (way, target) in enumerate(zip(self._ways, self._targets, strict=True)):
            way.step(*target, period_s)
            hands.append((reference.middle + axes @ way.position, axes @ way.axes))
            moving[side, :3], moving[side, 3:] = axes @ way.velocity[:3], axes @ way.velocity[3:]
        reference.step(period_s, hands, moving, self._height, self._shift())

    def _shift(self) -> np.ndarray:
        """Where the centre of mass must be, off the middle, so that forces at the hands do not tip the robot, ``(2,)``.

        Moments about the middle of the feet of the robot's weight ``m g`` at ``c`` and forces ``f`` at ``p`` vanish for
        ``c_xy m g = sum(p_xy f_z - p_z f_xy)``.
        """
        weight = -self._dynamics.mass * self._dynamics.gravity[2]
        shift = np.zeros(2)
        for hand, force in zip(self._hands, self._loads.force, strict=True):
            arm = self._dynamics.position(hand) - self._reference.middle
            shift += (arm[:2] * force[2] - arm[2] * force[:2]) / weight
        most = self.config.most_shift_m
        return np.minimum(np.maximum(shift, -most), most)

    def _pushed(self) -> np.ndarray:
        """Generalised forces of the hands' loads, shape ``(size,)``.

        The base is told of all of them; the arms of weights only. An arm that made up for every force would press
        ever harder against whatever stops it.
        """
        loads = self._loads
        pushed = loads.generalised(loads.force)
        hanging = loads.force * ((0.0, 0.0, 1.0),)
        pushed[BASE:] = loads.generalised(np.minimum(hanging, 0.0))[BASE:]
        return pushed

    def _settle(self) -> np.ndarray:
        """Accelerations that bring the corners of the soles back to where they stood, shape ``(corners, 3)`` [m/s²]."""
        dynamics, config = self._dynamics, self.config
        position = np.array([dynamics.position(contact.frame) for contact in self._contacts])
        velocity = contact_jacobian(dynamics, self._contacts) @ dynamics.velocity
        return config.sole_kp * (self._soles - position) - config.sole_kd * velocity.reshape(-1, 3)

    def _tasks(self) -> list[tuple[Demand, float]]:
        config, dynamics, reference = self.config, self._dynamics, self._reference
        joints, moving = BASE + self._upper, dynamics.velocity
        jacobian = dynamics.com_jacobian
        com = reference.com_acceleration - dynamics.com_jacobian_rate
        com += config.com_kp * (reference.com - dynamics.com)
        com += config.com_kd * (reference.com_velocity - jacobian @ moving)
        turning = dynamics.jacobian(self._base)[3:]
        turn = -dynamics.jacobian_rate(self._base)[3:]
        turn += config.upright_kp * rotation_vector(reference.pelvis @ dynamics.rotation(self._base).T)
        turn += config.upright_kd * (reference.pelvis_turning - turning @ moving)
        posture = reference.acceleration[joints]
        posture += config.posture_kp * (reference.joint_position - dynamics.joint_position)[self._upper]
        posture += config.posture_kd * (reference.velocity - moving)[joints]
        return [
            (_accelerate(jacobian, com), config.com_weight),
            (_accelerate(turning, turn), config.upright_weight),
            (_accelerate(self._select, posture), config.posture_weight),
        ]


def _accelerate(jacobian: np.ndarray, acceleration: np.ndarray) -> Demand:
    return Demand(jacobian, np.zeros_like(acceleration), np.zeros_like(acceleration), acceleration)
