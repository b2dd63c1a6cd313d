"""One front limb manipulates, three feet stand: LocoMan's modes 1 to 4.

With its gripper (modes 3 and 4) the limb serves a pose of the hand, position before orientation: leg and manipulator
have six joints together. With its foot (modes 1 and 2) it serves the foot's position, the manipulator stays folded.
Priorities after the contacts: balance and the trunk's pose; the hand's position; its orientation; the posture.

On entering, the centre of mass first moves over the three feet that will stay, then the fourth foot is unloaded and the
limb raised; on leaving, the manipulator folds, the foot goes back to where it stood, is loaded, and the centre of mass
returns to the middle.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum

import numpy as np

from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.locoman.body import ARM_JOINTS, LocoManBody
from robot_stack.sim.control.locoman.hand import HandLimits, HandReference
from robot_stack.sim.control.locoman.mode import HandTarget, Target
from robot_stack.sim.control.locoman.reference import eased
from robot_stack.sim.control.locoman.stance import TrunkLimits, TrunkReference
from robot_stack.sim.control.whole_body.contacts import Contact
from robot_stack.sim.control.whole_body.rotations import conjugate, product, quaternion_of
from robot_stack.sim.control.whole_body.tasks import PositionTask, PostureTask, Task
from robot_stack.sim.robots.locoman import HOME_HEIGHT_M, LOCOMAN

RAISED_LEG = (0.0, 0.9, -2.2)
"""Hip, thigh, calf of a limb that begins to manipulate with its gripper [rad]: the foot is 7 cm off the floor."""

FORWARD_LEG = (0.0, 0.55, -2.1)
"""Likewise with its foot [rad]: further ahead, in the middle of the leg's reach."""

ASIDE_ARM = 0.5
"""How far the folded manipulator leans outwards while its foot works, so that the knee can flex beside it [rad]."""

UNFOLDED_ARM = (-0.3, 0.0, 0.5 * math.pi)
"""Its manipulator then [rad]: with :data:`RAISED_LEG` the hand's axes are the trunk's, jaws forward."""


class Phase(Enum):
    """Where a manipulation mode is, in order."""

    SHIFT = 0
    """The centre of mass moves over the three feet."""
    UNLOAD = 1
    """The fourth foot's force goes to zero."""
    RAISE = 2
    """The limb goes to its working posture."""
    WORK = 3
    """Targets are served."""
    RETURN = 4
    """The limb goes back to its working posture."""
    FOLD = 5
    """The manipulator folds."""
    LOWER = 6
    """The foot goes down to where it stood."""
    LOAD = 7
    """It takes its share of the weight."""
    CENTRE = 8
    """The centre of mass returns to the middle."""


DURATION_S = {
    Phase.UNLOAD: 0.3,
    Phase.RAISE: 1.9,
    Phase.RETURN: 1.0,
    Phase.FOLD: 1.4,
    Phase.LOWER: 0.8,
    Phase.LOAD: 0.4,
}
"""How long the timed phases take [s]."""

SWING_OUT = 0.9
"""How far the manipulator's second joint turns outwards while it unfolds, to pass beside the thigh [rad]."""

ON_FOUR_FEET = (Phase.SHIFT, Phase.UNLOAD, Phase.LOAD, Phase.CENTRE)
"""Phases in which the fourth foot is on the floor."""


class ManipulationMode:
    """Modes 1 to 4. Made by :func:`right_gripper` and its neighbours.

    Args:
        body: shared by the robot's modes.
        limb: 0 for the right front limb, 1 for the left.
        with_gripper: the hand is served; otherwise the foot.
        limits: of the hand's targets.
        trunk: of the body's offsets.
    """

    def __init__(
        self,
        body: LocoManBody,
        limb: int,
        *,
        with_gripper: bool,
        limits: HandLimits | None = None,
        trunk: TrunkLimits | None = None,
    ) -> None:
        self.name = f"{'right' if limb == 0 else 'left'}_{'gripper' if with_gripper else 'foot'}"
        """One of the names of modes."""
        self.phase = Phase.SHIFT
        """Where the mode is."""
        self.limits = HandLimits() if limits is None else limits
        self._body, self._limb, self._with_gripper = body, limb, with_gripper
        self._standing = [foot for foot in range(4) if foot != limb]
        dynamics, home = body.dynamics, LOCOMAN.home
        self._trunk = TrunkReference(body, TrunkLimits((0.04, 0.03, 0.06), (0.2, 0.2, 0.2)) if trunk is None else trunk)
        self._joints = list(body.limbs[limb])
        self._home = home[self._joints]
        folded = self._home[-ARM_JOINTS:]
        outwards = 1.0 if limb else -1.0
        aside = (-math.pi, outwards * ASIDE_ARM, 0.0)
        self._raised = np.concatenate((RAISED_LEG, UNFOLDED_ARM) if with_gripper else (FORWARD_LEG, aside))
        self._folded = np.concatenate((self._raised[:-ARM_JOINTS], folded))
        names = LOCOMAN.end_effectors[limb].joints
        others = [name for name in LOCOMAN.joint_names if name not in names]
        self._limb_task = PostureTask(dynamics, self._home, names, kp=250.0, kd=32.0)
        self._rest_task = PostureTask(dynamics, home[[LOCOMAN.joint_names.index(n) for n in others]], others, kd=15.0)
        self._whole_task = PostureTask(dynamics, home, kp=60.0, kd=12.0)
        working = home.copy()
        working[self._joints] = self._raised
        self._working_task = PostureTask(dynamics, working, kp=60.0, kd=12.0)
        self._tool = body.hands[limb] if with_gripper else body.feet[limb]
        self._hand = HandReference(body, limb, self._tool, self.limits)
        self._foot_task = PositionTask(body.feet[limb], kp=200.0, kd=28.0)
        self._since_s = self._time_s = 0.0
        self._leaving = False

    @property
    def ready(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return self.phase is Phase.WORK

    @property
    def left(self) -> bool:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        return self._leaving and self.phase is Phase.CENTRE and self._is_centred()

    def enter(self, state: RobotState) -> None:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        body = self._body
        body.update(state)
        self._stance = body.stance()
        self._trunk.enter(self._stance)
        feet = np.stack([self._stance.from_world(body.dynamics.position(foot)) for foot in body.feet])
        self._foothold = feet[self._limb].copy()
        # short of the triangle's centroid: as far from its edge as needed, as near to the middle as possible
        over = 0.85 * feet[self._standing].mean(axis=0)
        self._hold = np.array((over[0], over[1], HOME_HEIGHT_M))
        self._middle = np.array((0.0, 0.0, HOME_HEIGHT_M))
        self._neutral = self._hand_at_rest(state)
        self._leaving = False
        self._grippers = np.zeros(2)
        self._time_s = state.time_s
        self._begin(Phase.SHIFT)

    def rest(self) -> Target:
        """The hand where it is raised to."""
        return replace(Target(), **{("right_hand", "left_hand")[self._limb]: self._neutral})

    def leave(self) -> None:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        if self._leaving:
            return
        self._leaving = True
        if self.phase in (Phase.SHIFT, Phase.UNLOAD):
            self._begin(Phase.LOAD)
        elif self.phase in (Phase.RAISE, Phase.WORK):
            self._begin(Phase.RETURN)

    def update(self, state: RobotState, target: Target) -> JointCommand:
        """See :class:`~robot_stack.sim.control.locoman.mode.Mode`."""
        period_s, self._time_s = state.time_s - self._time_s, state.time_s
        body = self._body
        body.update(state)
        self._advance()
        hold = self._middle if self.phase is Phase.CENTRE else self._hold
        self._trunk.follow(hold, 0.0, Target() if self._leaving else target, period_s)
        levels: list[list[Task]] = [self._trunk.tasks, *self._limb_levels(target, period_s)]
        opening = np.zeros(2) if self._leaving else target.grippers
        self._grippers = np.clip(opening, *self._jaws_around(period_s))
        return body.command(body.control.solve(self._contacts(), levels), self._grippers)

    def _jaws_around(self, period_s: float) -> tuple[np.ndarray, np.ndarray]:
        way = self.limits.jaw_speed * period_s
        return self._grippers - way, self._grippers + way

    def _begin(self, phase: Phase) -> None:
        self.phase, self._since_s = phase, self._time_s
        body = self._body
        self._from = body.dynamics.joint_position[self._joints].copy()
        if phase is Phase.WORK:
            self._hand.begin(self._stance)
        if phase is Phase.LOWER:
            self._foot_from = self._stance.from_world(body.dynamics.position(body.feet[self._limb]))

    def _advance(self) -> None:
        """Go to the next phase where the present one is over."""
        if self.phase in DURATION_S:
            if self._share() >= 1.0:
                self._begin(Phase(self.phase.value + 1))
        elif self.phase is Phase.SHIFT and self._is_over(self._hold):
            self._begin(Phase.UNLOAD)

    def _share(self) -> float:
        return (self._time_s - self._since_s) / DURATION_S[self.phase]

    def _is_over(self, hold: np.ndarray) -> bool:
        off = self._stance.from_world(self._body.dynamics.com)[:2] - hold[:2]
        return self._trunk.settled and float(np.hypot(*off)) < 0.015 and self._time_s > self._since_s + 0.2

    def _is_centred(self) -> bool:
        return self._is_over(self._middle)

    def _contacts(self) -> list[Contact]:
        contacts = self._body.foot_contacts(self._standing)
        if self.phase in ON_FOUR_FEET:
            share = 1.0
            if self.phase is Phase.UNLOAD:
                share = 1.0 - eased(self._share())
            elif self.phase is Phase.LOAD:
                share = eased(self._share())
            contacts.append(self._body.foot_contact(self._limb, max(share, 0.01)))
        return contacts

    def _limb_levels(self, target: Target, period_s: float) -> list[list[Task]]:
        """Tasks of the limb that is in the air, and of what is left."""
        if self.phase in ON_FOUR_FEET:
            return [[self._whole_task]]
        if self.phase is Phase.WORK:
            return self._work(target, period_s)
        if self.phase is Phase.LOWER:
            share = eased(self._share())
            down = self._foothold - (0.0, 0.0, 0.002)  # a little into the floor, so that the foot surely stands
            ahead = np.array((min(1.4 * share, 1.0), min(1.4 * share, 1.0), share))
            self._foot_task.position = self._stance.to_world(self._foot_from + ahead * (down - self._foot_from))
            return [[self._foot_task], [self._whole_task]]
        self._limb_task.position = self._on_its_way()
        return [[self._limb_task], [self._rest_task]]

    def _on_its_way(self) -> np.ndarray:
        """Joints of the limb between standing and working, shape ``(6,)`` [rad]."""
        elapsed = self._time_s - self._since_s
        if self.phase is Phase.RETURN:
            return self._from + eased(self._share()) * (self._raised - self._from)
        if self.phase is Phase.FOLD:
            leg, arm, end = 1.0, self._share(), self._folded
        else:  # the foot leaves the floor before the manipulator unfolds
            leg, arm, end = elapsed / 1.0, (elapsed - 0.5) / (DURATION_S[self.phase] - 0.5), self._raised
        shares = np.repeat((eased(leg), eased(arm)), ARM_JOINTS)
        joints = self._from + shares * (end - self._from)
        if self._with_gripper:
            outwards = 1.0 if self._limb else -1.0
            joints[-2] += outwards * SWING_OUT * math.sin(math.pi * eased(arm)) ** 2
        return joints

    def _work(self, target: Target, period_s: float) -> list[list[Task]]:
        wanted = (target.right_hand, target.left_hand)[self._limb]
        self._hand.follow(wanted or self._neutral, period_s)
        if not self._with_gripper:
            return [[self._hand.place], [self._working_task]]
        return [[self._hand.place], [self._hand.turn], [self._working_task]]

    def _hand_at_rest(self, state: RobotState) -> HandTarget:
        """Where the working posture puts the hand once the trunk is where the mode holds it."""
        body, dynamics, stance = self._body, self._body.dynamics, self._stance
        joints = np.array([joint.home for joint in LOCOMAN.driven])
        joints[self._joints] = self._raised
        base = np.array((0.0, 0.0, HOME_HEIGHT_M))
        for _ in range(2):  # the trunk's place follows from that of the centre of mass
            still = replace(
                state,
                joint_position=joints,
                joint_velocity=np.zeros(len(joints)),
                p_world_base=stance.to_world(base),
                q_world_base=stance.quaternion,
            )
            body.update(still)
            base[:2] += self._hold[:2] - stance.from_world(dynamics.com)[:2]
        turn = product(conjugate(stance.quaternion), quaternion_of(dynamics.rotation(self._tool)))
        rest = HandTarget(stance.from_world(dynamics.position(self._tool)), turn)
        body.update(state)
        return rest


def right_foot(body: LocoManBody) -> ManipulationMode:
    """Mode 1: the right front foot."""
    return ManipulationMode(body, 0, with_gripper=False)


def left_foot(body: LocoManBody) -> ManipulationMode:
    """Mode 2: the left front foot."""
    return ManipulationMode(body, 1, with_gripper=False)


def right_gripper(body: LocoManBody) -> ManipulationMode:
    """Mode 3: the right gripper."""
    return ManipulationMode(body, 0, with_gripper=True)


def left_gripper(body: LocoManBody) -> ManipulationMode:
    """Mode 4: the left gripper."""
    return ManipulationMode(body, 1, with_gripper=True)
