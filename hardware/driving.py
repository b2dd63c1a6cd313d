"""A driver's actions, from the plan through the controller and the safety filter, while the robot is armed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.core.safety import Measured
from robot_stack.hardware.chunk_buffer import ChunkBuffer
from robot_stack.hardware.joint_guard import JointGuard
from robot_stack.hardware.loop_reports import Acted, Outbox
from robot_stack.hardware.perception import in_one_line
from robot_stack.hardware.robot_parts import RobotParts

_NO_ACTION = Intervention("stale_command", "the driver has no action for now")


@dataclass(eq=False)
class _Step:
    """What is done in one control period, told at its end."""

    stamp_ns: int | None
    asked: np.ndarray | None
    sent: np.ndarray
    interventions: dict[str, Intervention] = field(default_factory=dict)

    def note(self, interventions: tuple[Intervention, ...] | list[Intervention]) -> None:
        for each in interventions:
            self.interventions.setdefault(each.reason, each)


class Driving:
    """Leads the controller by the plan.

    With no action in force it rests: by the controller's own rest action where it has one, else by braking the joints;
    then the next action begins from a controller that was reset.

    Args:
        parts: the robot.
        chunks: the plan.
        guard: in front of the joints.
        out: takes reports.
    """

    def __init__(self, parts: RobotParts, chunks: ChunkBuffer, guard: JointGuard, out: Outbox) -> None:
        self._controller, self._chunks, self._guard, self._out = parts.controller, chunks, guard, out
        self._rest_action = parts.rest_action
        self._every, self._update_every = parts.ticks_per_control, parts.ticks_per_update
        self._interpolates = parts.controller.guards == "position" and not parts.controller.servo_hz
        self.active = False
        """The controller leads the joints."""
        self.failure = ""
        """What the controller died of, in words."""
        self.intervened = 0
        """Control periods in which something was changed."""
        self.last_intervention = ""
        """The last of them, in words."""
        self._resting = True
        self._resting_since_s: float | None = None
        self._last = np.zeros(0)
        self._command: JointCommand | None = None
        self._follows_position = np.zeros(len(guard.position), dtype=bool)
        self._from = guard.position
        self._step: _Step | None = None

    @property
    def goes_on(self) -> bool:
        """The controller has to go on while nobody drives."""
        return self._rest_action is not None

    def idle_s(self, now_s: float) -> float:
        """How long there was no action [s]; 0 while there is one."""
        return 0.0 if self._resting_since_s is None else now_s - self._resting_since_s

    def start(self, state: RobotState, stamp_ns: int, now_s: float) -> None:
        """The robot is armed; only actions from observations from ``stamp_ns`` [ns] on will be followed.

        Raises:
            Exception: whatever the controller raises.
        """
        self._chunks.clear(stamp_ns)
        self.failure = ""
        self._resting, self._resting_since_s = True, now_s
        if not self.active:
            self._restart(state)
            self.active = True

    def end(self, position: np.ndarray | None) -> None:
        """The controller leads no more; the joints hold from where they are told to be, or from ``position``.

        Args:
            position: measured, for joints that were led by something else than positions.
        """
        self._tell()
        self.active = False
        self._resting, self._resting_since_s = True, None
        if position is not None and self._controller.guards != "position":
            self._guard.restart(np.where(self._follows_position, self._guard.position, position))

    def control(self, state: RobotState | None, stamp_ns: int | None, now_s: float, *, armed: bool) -> None:
        """A control tick: the action for now is in force."""
        self._tell()
        if state is None:
            return
        due = self._chunks.due(now_s) if armed else None
        try:
            if due is not None:
                if self._resting and self._rest_action is None:
                    self._restart(state)
                self._resting, self._resting_since_s = False, None
                self._begin(due.action, due.action, state, stamp_ns)
            else:
                self._rest(now_s)
                if self._rest_action is not None:
                    self._begin(self._rest_action(self._last), None, state, stamp_ns)
                elif armed:
                    self._step = _Step(stamp_ns, None, self._last)
            if self._step is not None and due is None and armed:
                self._step.note((_NO_ACTION,))
            if not armed:
                self._step = None
        except Exception as error:  # whatever a controller raises, the robot has to be stopped
            self._fail(error)

    def servo(self, state: RobotState | None, measured: Measured, now_s: float, tick: int) -> JointCommand | None:
        """A servo tick: what the joints are told; ``None``: they are to hold."""
        if not self._resting and not self.goes_on and not self._chunks.left_s(now_s) > 0.0:
            self._rest(now_s)
        if state is None or self.failure or (self._resting and not self.goes_on):
            self._command = None
            self._follows_position[:] = True  # the joints hold
            return None
        try:
            if self._command is None or tick % self._update_every == 0:
                self._from = self._guard.position if self._command is None else self._command.position
                self._command = self._controller.update(state)
            command = self._command
            if self._interpolates and self._every > 1:
                share = (tick % self._every + 1) / self._every
                command = replace(command, position=self._from + share * (command.position - self._from))
            allowed, why = self._guard.obey(command, measured, now_s)
            self._follows_position = (allowed.stiffness > 0.0) & (allowed.effort == 0.0) & (allowed.velocity == 0.0)
        except Exception as error:
            self._fail(error)
            return None
        if why and self._step is not None:
            self._step.note(why)
        return allowed

    def _restart(self, state: RobotState) -> None:
        """Reset the controller, without a step: where it leads positions, from where the joints are told to be."""
        if self._controller.guards == "position" and self._rest_action is None:
            state = replace(state, joint_position=self._guard.position)
        self._last = self._controller.reset(state)
        self._command = None

    def _begin(self, action: np.ndarray, asked: np.ndarray | None, state: RobotState, stamp_ns: int | None) -> None:
        accepted = self._controller.begin(action, state)
        self._last = accepted.action
        self._step = _Step(stamp_ns, asked, accepted.action)
        self._step.note(accepted.interventions)

    def _rest(self, now_s: float) -> None:
        self._resting = True
        if self._resting_since_s is None:
            self._resting_since_s = now_s

    def _fail(self, error: Exception) -> None:
        self.failure = f"the controller failed: {in_one_line(error)}"

    def _tell(self) -> None:
        """The control period before is over."""
        step, self._step = self._step, None
        if step is None:
            return
        if step.interventions:
            self.intervened += 1
            self.last_intervention = "; ".join(f"{i.reason}: {i.detail}" for i in step.interventions.values())
        if step.stamp_ns is not None:
            self._out(Acted(step.stamp_ns, step.asked, step.sent, tuple(step.interventions.values())))
