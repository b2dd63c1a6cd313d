"""The machine between LocoMan's modes: one mode at a time, from each to each, by way of standing.

Every mode begins and ends standing on four feet with the manipulators folded (:mod:`.mode`), so a change is always the
same: tell the mode to leave, serve it until it has left, make sure that the robot stands, enter the next. A request may
come at any moment, also during a change; the last one counts. The numbers of the modes are LocoMan's.

What the joints are told never jumps at a change: the last command of the old mode fades into the new one's. A robot
that has tipped over is only damped, until the machine is reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.locoman.estimate import StateEstimate, TrueState
from robot_stack.sim.control.locoman.mode import Mode, Target
from robot_stack.sim.control.whole_body.rotations import matrix_of

Phase = Literal["entering", "serving", "leaving", "settling", "fallen"]
"""Where the machine is; targets reach the mode while serving only."""


@dataclass(frozen=True)
class MachineConfig:
    """When a change goes on, and when all is lost."""

    blend_s: float = 0.1
    """The old mode's last command fades out in this time [s]."""

    settle_s: float = 0.2
    """The robot must have stood for so long before a mode is entered [s]."""

    stand_tilt_rad: float = 0.2
    """A trunk tilted less stands [rad]."""

    stand_speed: float = 0.12
    """A trunk that moves slower stands [m/s]."""

    stand_turn: float = 0.4
    """A trunk that turns slower stands [rad/s]."""

    patience_s: float = 15.0
    """A mode that has not left after so long is taken to have left as soon as the robot stands [s]."""

    stand_load_n: float = 3.0
    """Each foot of a robot that stands bears more, where that is measured [N]."""

    roll_rad: float = 1.0
    """A trunk whose sideways axis points this far up or down has tipped over [rad]."""

    pitch_rad: float = 1.0
    """Likewise a trunk whose up axis is this far from up [rad]."""

    sitting_pitch_rad: float = 2.0
    """The same where a mode sits on the hind legs [rad]."""

    sitting: tuple[str, ...] = ("bimanual",)
    """Modes that do so."""

    fallen_damping: float = 3.0
    """kd of the legs' joints once it has tipped over [N·m·s/rad]."""

    def __post_init__(self) -> None:
        if min(self.blend_s, self.settle_s, self.patience_s, self.roll_rad, self.pitch_rad) <= 0:
            raise ConfigError("the mode machine needs positive times and angles", got=self)


class ModeMachine:
    """Runs LocoMan's modes.

    Args:
        modes: by name; ``"stance"`` must be among them.
        config: when a change goes on.
        estimate: what completes the measured state; the simulator's truth when left out.

    Raises:
        ConfigError: if there is no stance.
    """

    def __init__(
        self, modes: Mapping[str, Mode], config: MachineConfig | None = None, estimate: StateEstimate | None = None
    ) -> None:
        if "stance" not in modes:
            raise ConfigError("the mode machine needs the mode 'stance'", got=", ".join(modes) or "no modes")
        self.modes = dict(modes)
        """By name."""
        self.config = MachineConfig() if config is None else config
        self._estimate = TrueState() if estimate is None else estimate
        self._current = "stance"
        self._wanted = "stance"
        self.fallen = False
        """The robot has tipped over; latched until :meth:`reset`."""

    @property
    def mode(self) -> str:
        """The mode that runs now; during a change the one that is being left, or entered."""
        return self._current

    @property
    def wanted(self) -> str:
        """The mode asked for last."""
        return self._wanted

    @property
    def phase(self) -> Phase:
        """Where the machine is."""
        if self.fallen:
            return "fallen"
        if self._settling:
            return "settling"
        if self._leaving:
            return "leaving"
        return "serving" if self.modes[self._current].ready else "entering"

    def reset(self, state: RobotState) -> None:
        """Begin in stance, from a robot that stands more or less; stance is entered anew once all feet bear load."""
        self._estimate.reset(state)
        state = self._estimate.update(state)
        self.fallen = False
        self._wanted = "stance"
        self._last: JointCommand | None = None
        self._enter("stance", state, settle=True)
        self._fade_from = None

    def request(self, name: str) -> None:
        """Ask for a mode; at any time.

        Raises:
            UnknownNameError: if there is no such mode.
        """
        require_name("mode", name, tuple(self.modes), where="LocoMan's mode machine")
        self._wanted = name

    def rest(self) -> Target:
        """The target that means "stay as you are" in the mode that runs now."""
        return self.modes[self._current].rest()

    def update(self, state: RobotState, target: Target) -> JointCommand:
        """One servo tick.

        Args:
            state: the robot now, as measured.
            target: for the mode that runs; until it serves targets only the grippers' openings reach it.

        Returns:
            What the joints are told; finite, always.
        """
        state = self._estimate.update(state)
        if self.fallen or self._has_fallen(state):
            self.fallen = True
            return self._limp(state)
        self._step(state)
        mode = self.modes[self._current]
        if self.phase != "serving" or not _is_finite(target):
            grippers = target.grippers if np.isfinite(target.grippers).all() else np.zeros(2)
            target = replace(mode.rest(), grippers=grippers)
        command = self._faded(mode.update(state, target), state.time_s)
        self._last = command
        return command

    def _step(self, state: RobotState) -> None:
        """Let a change go on."""
        mode, now_s = self.modes[self._current], state.time_s
        self._stood_s = self._stood_s if self._stands(state) else now_s
        stands = now_s - self._stood_s >= self.config.settle_s
        if self._settling:
            if stands:
                self._enter(self._wanted, state)
        elif self._leaving:
            overdue = now_s - self._since_s > self.config.patience_s
            if mode.left or (overdue and stands):
                self._enter(self._wanted if stands else "stance", state, settle=not stands)
        elif self._wanted != self._current:
            mode.leave()
            self._leaving, self._since_s = True, now_s

    def _enter(self, name: str, state: RobotState, *, settle: bool = False) -> None:
        self._current, self._settling, self._leaving = name, settle, False
        self._since_s = self._stood_s = state.time_s
        self._fade_from, self._fade_s = self._last, state.time_s
        self.modes[name].enter(state)

    def _stands(self, state: RobotState) -> bool:
        config = self.config
        up = matrix_of(state.q_world_base)[2, 2]
        return bool(
            up > np.cos(config.stand_tilt_rad)
            and np.linalg.norm(state.v_world_base) < config.stand_speed
            and np.linalg.norm(state.w_base) < config.stand_turn
            and (state.foot_force > config.stand_load_n).all()
        )

    def _has_fallen(self, state: RobotState) -> bool:
        config, axes = self.config, matrix_of(state.q_world_base)
        pitch = config.sitting_pitch_rad if self._current in config.sitting else config.pitch_rad
        return bool(abs(axes[2, 1]) > np.sin(config.roll_rad) or axes[2, 2] < np.cos(pitch))

    def _limp(self, state: RobotState) -> JointCommand:
        """No position loops and no torque, only damping."""
        zero = np.zeros(len(state.joint_position))
        damping = np.full(len(zero), self.config.fallen_damping)
        if self._last is not None:
            damping = np.minimum(damping, np.maximum(self._last.damping, 1.0))
        return JointCommand(state.joint_position.copy(), zero, zero.copy(), zero.copy(), damping)

    def _faded(self, command: JointCommand, now_s: float) -> JointCommand:
        old = self._fade_from
        share = (now_s - self._fade_s) / self.config.blend_s
        if old is None or share >= 1.0:
            self._fade_from = None
            return command
        mix = [(1.0 - share) * a + share * b for a, b in zip(_parts(old), _parts(command), strict=True)]
        return JointCommand(*mix)


def _parts(command: JointCommand) -> tuple[np.ndarray, ...]:
    return command.position, command.velocity, command.effort, command.stiffness, command.damping


def _is_finite(target: Target) -> bool:
    hands = [hand for hand in (target.right_hand, target.left_hand) if hand is not None]
    parts = [target.body_position, target.body_rpy, target.grippers, target.base_velocity]
    parts += [part for hand in hands for part in (hand.position, hand.orientation)]
    return bool(np.isfinite(np.concatenate(parts)).all())
