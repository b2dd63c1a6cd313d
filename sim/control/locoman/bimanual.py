"""Sitting up on the hind legs and manipulating with both grippers: LocoMan's mode 7.

LocoMan's software replays a recorded "salute" of Unitree's; here the way up is planned, and statically stable at every
moment. The trunk moves back and down until the hind calves lie on the floor; feet and knees then span a rectangle of
0.21 m by 0.25 m. It leans back further until the centre of mass is over that rectangle, the front feet are unloaded and
lifted, and the trunk pitches up while the centre of mass stays where it is. The way down is the same, backwards.

Hands are served as in the modes with one gripper, position before orientation; priorities after the contacts: balance
and the trunk's rotation, positions of both hands, their orientations, posture. Offsets of the body are not served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.locoman.body import ARM_JOINTS, FRICTION, MAX_FOOT_FORCE_N, LocoManBody, StanceFrame
from robot_stack.sim.control.locoman.hand import HandLimits, HandReference
from robot_stack.sim.control.locoman.mode import HandTarget, Target
from robot_stack.sim.control.locoman.reference import SmoothRotation, SmoothVector, eased
from robot_stack.sim.control.whole_body.contacts import Contact
from robot_stack.sim.control.whole_body.rotations import conjugate, product, quaternion_from_rpy, quaternion_of
from robot_stack.sim.control.whole_body.tasks import ComTask, OrientationTask, PositionTask, PostureTask, Task
from robot_stack.sim.robots.locoman import FOOT_RADIUS_M, HOME_HEIGHT_M, HOME_LEG, LOCOMAN, THIGH_M

KNEE_RADIUS_M = 0.0105
"""Of the calf's rounded upper end, on which it lies [m]."""

HIP_M = 0.1881
"""From the trunk's origin back to the axis of the hind hips [m]; URDF."""

KNEES_DOWN = (0.35, 0.09)
"""The hind thighs' lean (forwards of the knees' vertical) and the trunk's pitch up when the knees come down [rad]."""

LEANT_BACK = (-0.12, 0.10)
"""Likewise when the front feet begin to be unloaded [rad]."""

SITTING_PITCH = 1.1
"""How far the trunk is pitched up when both hands work [rad]."""

UNLOADED_BEHIND_FEET_M = 0.075
"""Where the centre of mass is, behind the hind feet, when the front feet leave the floor: the front legs are then
nearly as long as they get [m]."""

COM_BEHIND_FEET_M = 0.10
"""Where the centre of mass is held, behind the hind feet: near the middle between feet and knees [m]."""

WORKING_LEG = (0.0, 1.45, -1.95)
"""Hip, thigh, calf of the front limbs that begin to manipulate [rad]."""

WORKING_ARM = (0.03, 0.0, 0.5 * math.pi)
"""Their manipulators then [rad]: the hands point forwards, level."""

LIFT_ARM = 0.4
"""How far the folded manipulators are lifted from the calves, so that the wrist cameras clear the floor [rad]."""

SWING_OUT = 0.9
"""How far the second joint of a manipulator turns outwards while it unfolds, to pass beside the thigh [rad]."""


class Phase(Enum):
    """Where the mode is, in order."""

    BACK = 0
    """On four feet the trunk goes back and down until the hind knees are on the floor."""
    LEAN = 1
    """On feet and knees it leans back, until the front feet bear nothing."""
    UNLOAD = 2
    """The front feet's forces go to zero."""
    RISE = 3
    """The trunk pitches up, the front limbs go to their working posture."""
    WORK = 4
    """Targets are served."""
    RETURN = 5
    """The limbs go back to their working posture."""
    SINK = 6
    """The trunk pitches down, the front feet return to where they stood."""
    LOAD = 7
    """They take weight."""
    FORWARD = 8
    """On feet and knees the trunk goes forwards."""
    UP = 9
    """On four feet it goes up to standing."""


DURATION_S = {
    Phase.BACK: 1.6,
    Phase.LEAN: 1.4,
    Phase.UNLOAD: 1.0,
    Phase.RISE: 2.2,
    Phase.RETURN: 1.2,
    Phase.SINK: 2.4,
    Phase.LOAD: 0.6,
    Phase.FORWARD: 1.4,
    Phase.UP: 1.6,
}
"""How long the timed phases take [s]."""

_FRONT_DOWN = (Phase.BACK, Phase.LEAN, Phase.UNLOAD, Phase.LOAD, Phase.FORWARD, Phase.UP)
_KNEES_UP = (Phase.BACK, Phase.UP)
_BY_TRUNK = (Phase.BACK, Phase.LEAN, Phase.FORWARD, Phase.UP)


@dataclass(frozen=True, eq=False)
class Seat:
    """A posture of trunk and hind legs with the calves flat on the floor."""

    trunk: np.ndarray
    """The trunk's origin in the stance frame, shape ``(3,)`` [m]."""

    pitch: float
    """How far the trunk is pitched up [rad]."""

    leg: tuple[float, float, float]
    """Hip, thigh, calf of both hind legs [rad]."""

    @staticmethod
    def of(hind_x: float, lean: float, pitch: float) -> Seat:
        """The seat with the hind feet at ``hind_x``, the thighs leaning forwards by ``lean`` [rad].

        Args:
            hind_x: of the hind feet's centres in the stance frame [m].
            lean: of the hips before the knees' vertical [rad].
            pitch: of the trunk, up [rad].
        """
        drop = FOOT_RADIUS_M - KNEE_RADIUS_M
        x = _knee_x(hind_x) + THIGH_M * math.sin(lean) + HIP_M * math.cos(pitch)
        z = KNEE_RADIUS_M + THIGH_M * math.cos(lean) + HIP_M * math.sin(pitch)
        flat = -0.5 * math.pi - math.asin(drop / THIGH_M)
        return Seat(np.array((x, 0.0, z)), pitch, (0.0, lean + pitch, flat - lean))


def _knee_x(hind_x: float) -> float:
    return hind_x - math.sqrt(THIGH_M**2 - (FOOT_RADIUS_M - KNEE_RADIUS_M) ** 2)


def lean_at(hind_x: float, trunk_x: float, pitch: float) -> float:
    """Lean of the seat whose trunk is at ``trunk_x``; see :meth:`Seat.of` [rad]."""
    forwards = (trunk_x - HIP_M * math.cos(pitch) - _knee_x(hind_x)) / THIGH_M
    return math.asin(min(max(forwards, -1.0), 1.0))


class BimanualMode:
    """Mode 7.

    Args:
        body: shared by the robot's modes.
        limits: of the hands' targets.
    """

    name = "bimanual"

    def __init__(self, body: LocoManBody, limits: HandLimits | None = None) -> None:
        self.phase = Phase.BACK
        """Where the mode is."""
        self._body = body
        dynamics, home = body.dynamics, LOCOMAN.home
        limits = HandLimits() if limits is None else limits
        self._limits = limits
        self._front = [list(limb) for limb in body.limbs]
        self._joints = self._front[0] + self._front[1]
        working = home.copy()
        working[self._joints] = np.tile((*WORKING_LEG, *WORKING_ARM), 2)
        self._working = working
        self._place, self._turn = PositionTask(dynamics.base, 120.0, 22.0), OrientationTask(dynamics.base, 120.0, 22.0)
        self._com = ComTask(120.0, 22.0)
        self._posture = PostureTask(dynamics, home, kp=60.0, kd=14.0)
        names = [LOCOMAN.joint_names[joint] for joint in self._joints]
        self._limb_task = PostureTask(dynamics, home[self._joints], names, kp=200.0, kd=28.0)
        self._knees = [dynamics.body(name) for name in ("3_RR_calf", "4_RL_calf")]
        self._hands = [HandReference(body, limb, body.hands[limb], limits) for limb in range(2)]
        self._leaving = False
        self._since_s = self._time_s = self._pitch = 0.0

    @property
    def ready(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return self.phase is Phase.WORK

    @property
    def left(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return self._leaving and self.phase is Phase.UP and self._share() >= 1.2

    def enter(self, state: RobotState) -> None:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        body = self._body
        body.update(state)
        self._stance = stance = body.stance()
        dynamics = body.dynamics
        self._hind_x = float(np.mean([stance.from_world(dynamics.position(foot))[0] for foot in body.feet[2:]]))
        self._trunk = SmoothVector(stance.from_world(dynamics.position(dynamics.base)), 0.5)
        self._attitude = SmoothRotation(body.base_orientation, 1.5)
        self._balance = SmoothVector(stance.from_world(dynamics.com)[:2], 0.5)
        self._neutral = self._hands_at_rest(state)
        self._leaving, self._pitch = False, 0.0
        self._grippers = np.zeros(2)
        self._time_s = state.time_s
        self._begin(Phase.BACK)

    def rest(self) -> Target:
        """Both hands where they are raised to."""
        return Target(right_hand=self._neutral[0], left_hand=self._neutral[1])

    def leave(self) -> None:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        if self._leaving:
            return
        self._leaving = True
        backwards = {
            Phase.BACK: Phase.UP,
            Phase.LEAN: Phase.FORWARD,
            Phase.UNLOAD: Phase.LOAD,
            Phase.WORK: Phase.RETURN,
        }
        if self.phase in backwards:
            self._begin(backwards[self.phase])

    def update(self, state: RobotState, target: Target) -> JointCommand:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        period_s, self._time_s = state.time_s - self._time_s, state.time_s
        body = self._body
        body.update(state)
        self._advance()
        levels = [self._trunk_tasks(period_s), *self._limb_levels(target, period_s)]
        opening = np.zeros(2) if self._leaving else target.grippers
        way = self._limits.jaw_speed * period_s
        self._grippers = np.clip(opening, self._grippers - way, self._grippers + way)
        return body.command(body.control.solve(self._contacts(), levels), self._grippers)

    def _begin(self, phase: Phase) -> None:
        self.phase, self._since_s = phase, self._time_s
        dynamics = self._body.dynamics
        self._all_from = dynamics.joint_position.copy()
        self._from = self._all_from[self._joints]
        self._trunk_from = self._trunk.value.copy()
        self._pitch_from = self._pitch
        if phase is Phase.UNLOAD:
            self._balance = SmoothVector(self._stance.from_world(dynamics.com)[:2], 0.5)
        self._balance_from = self._balance.value.copy()
        if phase is Phase.RISE:
            self._footing = self._from.copy()
        if phase is Phase.WORK:
            for hand in self._hands:
                hand.begin(self._stance)
        if phase in (Phase.LEAN, Phase.FORWARD):
            self._trunk = SmoothVector(self._stance.from_world(dynamics.position(dynamics.base)), 0.5)
            self._lean_from = lean_at(self._hind_x, float(self._trunk.value[0]), self._pitch)

    def _advance(self) -> None:
        if self.phase in DURATION_S and self.phase is not Phase.UP and self._share() >= 1.0:
            after = Phase(self.phase.value + 1)
            # asked to leave on the way up: down again from the working posture
            self._begin(Phase.RETURN if after is Phase.WORK and self._leaving else after)

    def _share(self) -> float:
        return (self._time_s - self._since_s) / DURATION_S[self.phase]

    def _contacts(self) -> list[Contact]:
        body = self._body
        contacts = body.foot_contacts((2, 3))
        if self.phase in _FRONT_DOWN:
            share = 1.0
            if self.phase is Phase.UNLOAD:
                share = 1.0 - eased(2.0 * self._share() - 1.0)
            elif self.phase is Phase.LOAD:
                share = eased(self._share())
            contacts += [body.foot_contact(foot, max(share, 0.01)) for foot in (0, 1)]
        if self.phase not in _KNEES_UP:
            share = eased(self._share() * 3.0) if self.phase is Phase.LEAN else 1.0
            if self.phase is Phase.FORWARD:
                share = 1.0 - eased(3.0 * self._share() - 2.0)
            force = max(share, 0.01) * MAX_FOOT_FORCE_N
            contacts += [Contact(knee, KNEE_RADIUS_M, FRICTION, max_force=force) for knee in self._knees]
        return contacts

    def _trunk_tasks(self, period_s: float) -> list[Task]:
        """Balance and the trunk's rotation."""
        stance, share = self._stance, eased(self._share()) if self.phase is not Phase.WORK else 1.0
        self._pitch = self._pitch_from + share * (self._pitch_goal() - self._pitch_from)
        turn = quaternion_from_rpy(np.array((0.0, -self._pitch, 0.0)))
        self._attitude.follow(product(stance.quaternion, turn), period_s)
        self._turn.orientation, self._turn.velocity = self._attitude.value, self._attitude.rate
        self._turn.acceleration = self._attitude.acceleration
        if self.phase in _BY_TRUNK:
            self._trunk.follow(self._trunk_way(share), period_s)
            self._place.position = stance.to_world(self._trunk.value)
            self._place.velocity = stance.rotation @ self._trunk.rate
            self._place.acceleration = stance.rotation @ self._trunk.acceleration
            self._turn.directions = None
            return [self._place, self._turn]
        ahead = UNLOADED_BEHIND_FEET_M if self.phase in (Phase.UNLOAD, Phase.SINK, Phase.LOAD) else COM_BEHIND_FEET_M
        quick = eased(2.0 * self._share()) if self.phase is Phase.UNLOAD else share
        goal = np.array((self._hind_x - ahead, 0.0))
        self._balance.follow(self._balance_from + quick * (goal - self._balance_from), period_s)
        self._com.position = stance.to_world(np.append(self._balance.value, 0.0))
        self._com.velocity = stance.rotation @ np.append(self._balance.rate, 0.0)
        self._com.acceleration = stance.rotation @ np.append(self._balance.acceleration, 0.0)
        # the calves on the floor leave the trunk three freedoms: along x, pitch, and roll, which is also its sway; what
        # they hold must not be asked of the arms instead
        self._com.directions, self._turn.directions = stance.rotation[:, :1].T, stance.rotation[:, :2].T
        return [self._com, self._turn]

    def _pitch_goal(self) -> float:
        if self.phase in (Phase.RISE, Phase.WORK, Phase.RETURN):
            return SITTING_PITCH
        if self.phase is Phase.UP:
            return 0.0
        return KNEES_DOWN[1] if self.phase in (Phase.BACK, Phase.FORWARD) else LEANT_BACK[1]

    def _trunk_way(self, share: float) -> np.ndarray:
        """Where the trunk's origin shall be now, stance frame."""
        if self.phase is Phase.BACK:
            return self._trunk_from + share * (Seat.of(self._hind_x, *KNEES_DOWN).trunk - self._trunk_from)
        if self.phase is Phase.UP:
            return self._trunk_from + share * (np.array((0.0, 0.0, HOME_HEIGHT_M)) - self._trunk_from)
        goal = LEANT_BACK[0] if self.phase is Phase.LEAN else KNEES_DOWN[0]
        lean = self._lean_from + share * (goal - self._lean_from)
        return Seat.of(self._hind_x, lean, self._pitch).trunk

    def _limb_levels(self, target: Target, period_s: float) -> list[list[Task]]:
        if self.phase in _FRONT_DOWN:
            self._posture.position = self._low_posture() if self.phase in _BY_TRUNK else self._all_from
            return [[self._posture]]
        self._posture.position = self._working
        if self.phase is Phase.WORK:
            for hand, wanted, rest in zip(
                self._hands, (target.right_hand, target.left_hand), self._neutral, strict=True
            ):
                hand.follow(wanted or rest, period_s)
            places: list[Task] = [hand.place for hand in self._hands]
            turns: list[Task] = [hand.turn for hand in self._hands]
            return [places, turns, [self._posture]]
        self._limb_task.position = self._on_its_way()
        return [[self._limb_task], [self._posture]]

    def _low_posture(self) -> np.ndarray:
        """Home, with the manipulators lifted from the calves while those are near the floor, shape ``(18,)`` [rad]."""
        share = {Phase.BACK: eased(2.0 * self._share()), Phase.UP: 1.0 - eased(2.0 * self._share() - 1.0)}
        posture = LOCOMAN.home
        posture[[limb[ARM_JOINTS] for limb in self._front]] += LIFT_ARM * share.get(self.phase, 1.0)
        return posture

    def _on_its_way(self) -> np.ndarray:
        """Joints of both front limbs between standing and working, shape ``(12,)`` [rad]."""
        share, working = self._share(), self._working[self._joints]
        if self.phase is Phase.RETURN:
            return self._from + eased(share) * (working - self._from)
        if self.phase is Phase.RISE:
            leg, arm, end = share / 0.9, (share - 0.3) / 0.7, working
        else:
            leg, arm, end = (share - 0.1) / 0.9, share / 0.6, self._footing
        shares = np.tile(np.repeat((eased(leg), eased(arm)), ARM_JOINTS), 2)
        joints = self._from + shares * (end - self._from)
        outwards = SWING_OUT * math.sin(math.pi * eased(arm)) ** 2
        joints[ARM_JOINTS + 1] -= outwards
        joints[-2] += outwards
        return joints

    def _hands_at_rest(self, state: RobotState) -> tuple[HandTarget, HandTarget]:
        """Where the working posture puts the hands once the robot sits."""
        body, dynamics, stance = self._body, self._body.dynamics, self._stance
        low, high = -0.6, 0.8
        for _ in range(12):  # the thighs' lean that brings the centre of mass to its place
            lean = 0.5 * (low + high)
            body.update(self._seated(state, stance, Seat.of(self._hind_x, lean, SITTING_PITCH)))
            ahead = stance.from_world(dynamics.com)[0] > self._hind_x - COM_BEHIND_FEET_M
            low, high = (low, lean) if ahead else (lean, high)
        self._working = dynamics.joint_position.copy()
        rests = []
        for hand in body.hands:
            turn = product(conjugate(stance.quaternion), quaternion_of(dynamics.rotation(hand)))
            rests.append(HandTarget(stance.from_world(dynamics.position(hand)), turn))
        body.update(state)
        return rests[0], rests[1]

    def _seated(self, state: RobotState, stance: StanceFrame, seat: Seat) -> RobotState:
        joints = np.array([joint.home for joint in LOCOMAN.driven])
        joints[: len(self._working)] = self._working
        hind = len(HOME_LEG) * 2
        joints[len(self._working) - hind : len(self._working)] = seat.leg * 2
        turn = quaternion_from_rpy(np.array((0.0, -seat.pitch, 0.0)))
        return replace(
            state,
            joint_position=joints,
            joint_velocity=np.zeros(len(joints)),
            p_world_base=stance.to_world(seat.trunk),
            q_world_base=product(stance.quaternion, turn),
        )
