"""LocoMan's modes as action modes of a robot: the whole machine, or the trot alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Accepted, Guarded, JointCommand, RobotState
from robot_stack.sim.control.locoman.estimate import StateEstimate
from robot_stack.sim.control.locoman.machine import MachineConfig, ModeMachine
from robot_stack.sim.control.locoman.mode import MODES, HandTarget, Target
from robot_stack.sim.control.locoman.modes import locoman_modes
from robot_stack.sim.control.locoman.trot import Trot, TrotConfig
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_of
from robot_stack.sim.robots.model import RobotModel, compile_robot

SERVO_HZ = 500.0
"""Rate of whole-body control [Hz]; LocoMan's own runs at 400."""

_XYZ = ("x", "y", "z")
_ROT6D = ("xx", "xy", "xz", "yx", "yy", "yz")
_SIDES = ("right", "left")


def _hand_fields(side: str) -> tuple[Field, Field]:
    position, rotation = f"{side}_hand_position", f"{side}_hand_rotation"
    names = tuple(f"{rotation}_{axis}" for axis in _ROT6D)
    return (
        Field(position, 3, "m", tuple(f"{position}_{a}" for a in _XYZ), (-1.0, -1.0, -0.2), (1.0, 1.0, 1.0)),
        Field(rotation, 6, "1", names, (-1.0,) * 6, (1.0,) * 6),
    )


_VELOCITY = (
    Field("base_velocity", 2, "m/s", ("base_forward", "base_left"), (-0.6, -0.4), (0.6, 0.4)),
    Field("base_yaw_rate", 1, "rad/s", ("base_yaw_rate",), (-1.0,), (1.0,)),
)
_GRIPPERS = tuple(Field(f"{side}_gripper", 1, "1", (f"{side}_gripper",), (0.0,), (1.0,)) for side in _SIDES)

FIELDS: tuple[Field, ...] = (
    Field("mode", 1, "1", ("mode",), (0.0,), (float(len(MODES) - 1),)),
    Field("body_position", 3, "m", tuple(f"body_{a}" for a in _XYZ), (-0.06, -0.05, -0.08), (0.06, 0.05, 0.08)),
    Field("body_rpy", 3, "rad", ("body_roll", "body_pitch", "body_yaw"), (-0.4, -0.25, -0.4), (0.4, 0.25, 0.4)),
    *(field for side in _SIDES for field in _hand_fields(side)),
    *_GRIPPERS,
    *_VELOCITY,
)
"""The action of :class:`LocoManController`: the mode's number, then Human2LocoMan's 20 numbers with rotations of hands
as the first two columns of their matrices, and the trunk's velocity. A hand whose position and rotation are all zero is
held by the mode itself."""


class LocoManController:
    """Every mode of LocoMan behind one action.

    The mode's number asks for a mode; the rest is for the mode with that number, once it serves targets, and until then
    only the grippers follow. :meth:`rest_action` is the action that means "stay as you are".

    Args:
        robot: LocoMan in its scene.
        machine: when changes go on.
        modes: numbers of the modes that may be asked for; every mode when left out.
        estimate: makes what completes the measured state from the robot alone; the simulator's truth when left out.

    Raises:
        ConfigError: if a number is none of a mode.
    """

    servo_hz = SERVO_HZ
    guards: Guarded = "effort"
    fields = FIELDS

    def __init__(
        self,
        robot: RobotModel,
        machine: MachineConfig | None = None,
        modes: Sequence[int] | None = None,
        estimate: Callable[[RobotModel], StateEstimate] | None = None,
    ) -> None:
        alone = compile_robot(robot.spec.own)
        every = locoman_modes(alone)
        numbers = range(len(MODES)) if modes is None else modes
        wrong = [n for n in numbers if not 0 <= n < len(MODES)]
        if wrong:
            raise ConfigError("LocoMan has no such mode", got=wrong, expected=f"0 … {len(MODES) - 1}")
        chosen = {"stance": every["stance"], **{MODES[n]: every[MODES[n]] for n in numbers if MODES[n] in every}}
        self.machine = ModeMachine(chosen, machine, None if estimate is None else estimate(alone))
        """The modes."""
        self._low = np.concatenate([f.low_array for f in self.fields])
        self._high = np.concatenate([f.high_array for f in self.fields])
        self._names = tuple(n for f in self.fields for n in f.element_names)
        self._target = Target()

    def reset(self, state: RobotState) -> np.ndarray:
        """Stand; the action asks for stance."""
        self.machine.reset(state)
        self._target = self.machine.rest()
        return encode("stance", self._target)

    def rest_action(self) -> np.ndarray:
        """The action that means "stay as you are" in the mode that runs now, shape ``(30,)``."""
        return encode(self.machine.mode, self.machine.rest())

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        """Ask for the action's mode, and take its target."""
        taken = np.minimum(np.maximum(action, self._low), self._high)
        taken[0] = np.round(taken[0])
        wanted = MODES[int(taken[0])]
        notes = [
            Intervention("limit", f"{self._names[i]} {action[i]:.4g} → {taken[i]:.4g}")
            for i in np.flatnonzero(taken[1:] != action[1:]) + 1
        ]
        if wanted not in self.machine.modes:
            notes.append(Intervention("limit", f"mode {wanted} is not to be had here"))
            wanted = self.machine.wanted
            taken[0] = MODES.index(wanted)
        self.machine.request(wanted)
        self._target = decode(taken)
        return Accepted(taken, tuple(notes))

    def update(self, state: RobotState) -> JointCommand:
        """One tick of the machine."""
        target, machine = self._target, self.machine
        if machine.mode != machine.wanted:  # the target speaks of another mode's stance frame
            rest = machine.rest()
            target = Target(rest.body_position, rest.body_rpy, rest.right_hand, rest.left_hand, target.grippers)
        return machine.update(state, target)


class VelocityController:
    """The trot alone, commanded by the trunk's velocity: an action of 5 numbers.

    Args:
        robot: LocoMan in its scene.
        config: how it trots.
    """

    servo_hz = SERVO_HZ
    guards: Guarded = "effort"
    fields = (*_VELOCITY, *_GRIPPERS)

    def __init__(self, robot: RobotModel, config: TrotConfig | None = None) -> None:
        self._trot = Trot(compile_robot(robot.spec.own), config)
        self._low = np.concatenate([f.low_array for f in self.fields])
        self._high = np.concatenate([f.high_array for f in self.fields])
        self._names = tuple(n for f in self.fields for n in f.element_names)
        self._target = Target()

    def reset(self, state: RobotState) -> np.ndarray:
        """Stand, grippers closed."""
        self._trot.enter(state)
        self._target = Target()
        return np.zeros(5)

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        """A new velocity is in force."""
        taken = np.minimum(np.maximum(action, self._low), self._high)
        self._target = Target(base_velocity=taken[:3], grippers=taken[3:])
        changed = np.flatnonzero(taken != action)
        notes = (Intervention("limit", f"{self._names[i]} {action[i]:.4g} → {taken[i]:.4g}") for i in changed)
        return Accepted(taken, tuple(notes))

    def update(self, state: RobotState) -> JointCommand:
        """One tick of the trot."""
        return self._trot.update(state, self._target)


def encode(mode: str, target: Target) -> np.ndarray:
    """The action of a mode and its target, shape ``(30,)``; see :data:`FIELDS`."""
    parts = [np.array([float(MODES.index(mode))]), target.body_position, target.body_rpy]
    for hand in (target.right_hand, target.left_hand):
        parts += [np.zeros(9)] if hand is None else [hand.position, matrix_of(hand.orientation)[:, :2].T.reshape(6)]
    return np.concatenate([*parts, target.grippers, target.base_velocity])


def decode(action: np.ndarray) -> Target:
    """The target of an action, shape ``(30,)``; see :data:`FIELDS`."""
    hands = [_hand(action[start : start + 9]) for start in (7, 16)]
    return Target(action[1:4], action[4:7], hands[0], hands[1], action[25:27], action[27:30])


def _hand(numbers: np.ndarray) -> HandTarget | None:
    """Gram-Schmidt, as for every rotation given by two columns (Zhou et al., CVPR 2019); ``None`` for zeros."""
    first, second = numbers[3:6], numbers[6:9]
    length = np.linalg.norm(first)
    if length < 1e-3:
        return None
    x = first / length
    y = second - (x @ second) * x
    length = np.linalg.norm(y)
    if length < 1e-3:
        return None
    y = y / length
    return HandTarget(numbers[:3].copy(), quaternion_of(np.stack((x, y, np.cross(x, y)), axis=1)))
