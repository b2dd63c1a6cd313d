"""One robot's loop: everything that happens at one servo tick, and nothing that waits.

A tick reads the robot's state, judges it, follows the state machine, asks the controller and lets its command through
the safety filter to the robot. It holds no clock and starts no thread, so that a fault can be put in exact to a tick.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.safety import Measured
from robot_stack.hardware.chunk_buffer import ChunkBuffer, ChunkConfig, to_ns
from robot_stack.hardware.driving import Driving
from robot_stack.hardware.joint_guard import JointGuard
from robot_stack.hardware.loop_config import LoopConfig
from robot_stack.hardware.loop_inputs import LoopInputs
from robot_stack.hardware.loop_reports import Changed, LoopStatus, Outbox, Report
from robot_stack.hardware.loop_status import LoopCounts, snapshot
from robot_stack.hardware.operator_switches import Deadman, RemoteButtons
from robot_stack.hardware.perception import Perception, in_one_line
from robot_stack.hardware.robot_parts import RobotParts
from robot_stack.hardware.start_move import StartMove
from robot_stack.hardware.state_machine import STOPPED, Conditions, Event, State, decide
from robot_stack.hardware.state_watch import StateWatch

_NOTHING_TO_STOP = frozenset({State.UNCONFIGURED, State.IDLE})
_BLIND = frozenset({"bus", "no_state", "stale_state", "bad_state"})
"""Faults with which it is not known how the robot stands."""


class RobotLoop:
    """The only writer to a robot's joints; one thread calls it, others speak to its :attr:`inputs`.

    Args:
        parts: the robot.
        out: takes reports; when left out, the last thousand are kept in :attr:`reports`.
    """

    def __init__(self, parts: RobotParts, out: Outbox | None = None) -> None:
        self.parts = parts
        self.inputs = LoopInputs()
        """Where other threads leave what they have to say."""
        self.reports: deque[Report] = deque(maxlen=1000)
        """What was told, where nobody else takes it."""
        self._out: Outbox = out or self.reports.append
        embodiment, config = parts.embodiment, parts.config
        self.period_s = 1.0 / parts.bus.servo_hz
        """Between servo ticks [s]."""
        control_s = 1.0 / embodiment.control_hz
        self.chunks = ChunkBuffer(embodiment.action_names, embodiment.fingerprint(), control_s, parts.chunks)
        """The driver's plan."""
        self.watch = StateWatch(parts.limits, config, self.period_s)
        """Judges the robot's states."""
        self.state = State.UNCONFIGURED
        """Of the state machine."""
        self.faults: dict[str, str] = {}
        """What is wrong at this tick, in sentences by a short name."""
        self.latched = ""
        """What was wrong since the last reset."""
        self.written: JointCommand | None = None
        """The last command that was handed to the robot."""
        self._cannot_hold = False
        self._unwritten = ""
        self._deadman = Deadman(config.deadman_timeout_s)
        self._buttons = RemoteButtons(config.presses, config.deadman_buttons)
        self._remote_deadman = False
        tracked = parts.tracked or self.inputs.take_tracked
        self.perception = Perception(parts.senses, tracked, config.tracked_timeout_s)
        """What controllers and policies see."""
        self._move: StartMove | None = None
        self._may_lag = config.following_error
        self.counts = LoopCounts()
        """Ticks, overruns, latencies."""
        self._guard: JointGuard | None = None
        self.driving: Driving | None = None
        """Leads the controller, once a good state has come."""

    def engage(self, now_s: float) -> None:
        """The robot's own start-up; may take seconds. It ends in ``IDLE``.

        Raises:
            BusError: if the robot refuses or says nothing.
        """
        self.parts.bus.engage()
        self.watch.forget()
        self.latched, self._cannot_hold, self.written = "", False, None
        self.counts = LoopCounts()
        self._change(Event.ENGAGED, now_s)

    def disengage(self, now_s: float) -> None:
        """Leave the robot at rest; afterwards nothing is sent any more."""
        self._change(Event.RELEASED, now_s)
        self.parts.bus.release()
        self._guard = self.driving = self._move = None

    def tick(self, now_s: float, late_s: float = 0.0) -> None:
        """One servo tick.

        Args:
            now_s: the time on the robot's clock [s].
            late_s: how long after its deadline the tick begins [s].
        """
        if self.state is State.UNCONFIGURED:
            self._answer_requests(now_s)
            return
        control = self.counts.ticks % self.parts.ticks_per_control == 0
        now_s = self._read(now_s, late_s)
        self._perceive(now_s, control)
        self._listen(now_s)
        self._follow(now_s)
        self._write(self._command(now_s, control), now_s)
        self.counts.ticks += 1

    def retime(self, config: LoopConfig, chunks: ChunkConfig) -> None:
        """Take other time-outs and speeds; not while the robot moves."""
        self.parts = replace(self.parts, config=config, chunks=chunks)
        self.chunks.config = chunks
        self._deadman.timeout_s = config.deadman_timeout_s
        self.perception.timeout_s = config.tracked_timeout_s

    def last_resort(self, error: Exception) -> None:
        """A tick raised, which is a defect of ours: go on holding where that is safe, else damp; latched.

        Args:
            error: what it raised.
        """
        self.latched = self.latched or f"a defect in the loop: {in_one_line(error)}"
        if self.state not in _NOTHING_TO_STOP:
            self.state = State.ESTOP
        holds = self.parts.bus.obeys == "position" or self.parts.config.stop == "hold"
        self._cannot_hold = self._cannot_hold or not holds
        if self.written is None or self._guard is None:
            return
        position = self.written.position
        try:
            self.parts.bus.write(self._guard.still(position) if holds else self._guard.limp(position))
        except Exception as second:  # nothing is left to try but the next tick
            self.faults = {"bus": in_one_line(second)}

    def status(self, now_s: float) -> LoopStatus:
        """How it stands; may be called from another thread, and then mixes two ticks at worst."""
        return snapshot(self, now_s)

    # What is known

    def _read(self, now_s: float, late_s: float) -> float:
        """Read and judge the robot's state; returns the time, which is no earlier than the state's."""
        self.counts.late(late_s, self.period_s)
        config, watch = self.parts.config, self.watch
        self.faults = {}
        try:
            state = self.parts.bus.read()
        except Exception as error:  # whatever a bus raises, the robot has to be stopped
            self.faults["bus"] = f"the robot could not be read: {in_one_line(error)}"
        else:
            if state is not None and now_s < state.time_s < now_s + 0.1:  # it came in after this tick's begin
                now_s = state.time_s
            self.faults = watch.judge(state, now_s)
        if self._unwritten:
            self.faults["unwritten"] = self._unwritten
        if late_s > config.max_late_s and self.state in (State.READY, State.ARMED):
            self.faults["late"] = f"the loop was {1e3 * late_s:.0f} ms late"
        tilt = watch.tilt_rad()
        if config.max_tilt_rad is not None and tilt is not None and tilt > config.max_tilt_rad:
            self.faults["tilt"] = f"the robot is tilted by {tilt:.2f} rad, limit {config.max_tilt_rad:.2f} rad"
        if self._guard is None and watch.good is not None:
            self._begin_with(watch.good)
        return now_s

    def _begin_with(self, good: BusState) -> None:
        """The first good state has come."""
        limits, timeout_s = self.parts.limits, self.parts.config.state_timeout_s
        start, guards = good.joint_position, self.parts.controller.guards
        self._guard = JointGuard(limits, guards, self.period_s, start, state_timeout_s=timeout_s)
        self.driving = Driving(self.parts, self.chunks, self._guard, self._out)

    def _perceive(self, now_s: float, control: bool) -> None:
        good = None if self._is_blind else self.watch.good
        self.perception.look(good, self.counts.ticks * self.period_s, now_s)
        observed = self.perception.observe(good) if control else None
        if observed is not None:
            self.chunks.note_observation(observed.stamp_ns)
            self._out(observed)

    # What is wanted

    def _listen(self, now_s: float) -> None:
        for held, stamp_ns in self.inputs.take_deadman():
            self._deadman.hear(held, stamp_ns, now_s)
        down = frozenset() if self.watch.good is None or self._is_blind else self.watch.good.buttons
        self._remote_deadman = self._buttons.deadman(down)
        for event in self._buttons.events(down):
            self.inputs.ask(event)
        self._answer_requests(now_s)
        if self.inputs.estop_pressed and self.state is not State.ESTOP:
            self._change(Event.ESTOP, now_s)
        if self.state is State.ARMED and not self.deadman_held(now_s):
            self._change(Event.DEADMAN_LOST, now_s)
        for chunk in self.inputs.take_chunks():
            if self.chunks.offer(chunk, now_s, armed=self.state is State.ARMED) is None:
                self.counts.latencies_s.append(now_s - chunk.stamp_ns * 1e-9)

    def _answer_requests(self, now_s: float) -> None:
        for request in self.inputs.take_requests():
            request.answer(*self._change(request.event, now_s))

    def deadman_held(self, now_s: float) -> bool:
        """Whether somebody holds a deadman switch."""
        return self._remote_deadman or self._deadman.held(now_s)

    def _not_armable(self, now_s: float) -> str:
        """Why no driver must be let on the robot, or an empty string."""
        good, guard, driving = self.watch.good, self._guard, self.driving
        if good is None or guard is None or driving is None:
            return "nothing was heard from the robot"
        if self.perception.state is None:
            return self.perception.missing or "the robot's state is not known"
        off = "" if driving.active else self._off(good, guard, self.parts.config.arm_tolerance)
        return off or self.chunks.drivers.several(now_s)

    def _off(self, good: BusState, guard: JointGuard, tolerance: float) -> str:
        """Which joint is not where it is told to be, or an empty string."""
        off = np.abs(good.joint_position - guard.position)
        worst = int(off.argmax())
        if off[worst] <= tolerance:
            return ""
        return f"joint {self.parts.bus.joint_names[worst]!r} is {off[worst]:.2f} away from where it is told to be"

    # What follows

    def _change(self, event: Event, now_s: float) -> tuple[bool, str]:
        """Let an event lead on; whether it was obeyed, and a sentence."""
        before = self.state
        conditions = Conditions(
            fault="; ".join(self.faults.values()),
            latched=self.latched,
            deadman=self.deadman_held(now_s),
            estop_pressed=self.inputs.estop_pressed,
            can_damp=self.parts.bus.obeys == "full",
            not_armable=self._not_armable(now_s) if event is Event.ARM else "",
        )
        decision = decide(before, event, conditions)
        if decision.accepted:
            wrong = ""
            if event is Event.RESET or (before, event) == (State.IDLE, Event.READY):
                wrong = self._clear(now_s)
            elif decision.state is State.ARMED and before is not State.ARMED:
                wrong = self._start_driving(now_s)
            if wrong:
                return False, f"{event.value} was refused in {before.value}: {wrong}"
        if decision.state is not before:
            self._enter(decision.state, now_s)
            self._out(Changed(decision.state, before, decision.sentence, now_s))
        return decision.accepted, decision.sentence

    def _clear(self, now_s: float) -> str:
        """Clear what is latched, unless it is wrong still; then say what."""
        good, guard = self.watch.good, self._guard
        if good is None or guard is None:
            return "nothing was heard from the robot"
        if not self.latched and not guard.latched and not self._is_limp:
            return ""
        wrong = guard.rearm(_measured(good), now_s, limp=self._is_limp)
        if wrong:
            return "; ".join(f"{each.reason}: {each.detail}" for each in wrong)
        self.latched, self._cannot_hold = "", False
        return ""

    def _start_driving(self, now_s: float) -> str:
        """Give the joints to the controller; why not, or an empty string."""
        driving, good, state = self.driving, self.watch.good, self.perception.state
        assert driving is not None and good is not None and state is not None  # else it is not armable
        try:
            if not driving.active:
                state = self.perception.restart(good, self.counts.ticks * self.period_s)
            driving.start(state, to_ns(good.time_s), now_s)
        except Exception as error:
            return f"the controller does not start: {in_one_line(error)}"
        return ""

    def _enter(self, state: State, now_s: float) -> None:
        """What a change of state brings with it."""
        was_limp, before, self.state = self._is_limp, self.state, state
        driving, guard, good = self.driving, self._guard, self.watch.good
        if guard is None or good is None or driving is None:
            return
        if was_limp and not self._is_limp:
            guard.restart(good.joint_position)  # it followed no position: begin where it is
        if before is State.ARMED:
            self.chunks.clear()
        goes_on = state is State.ARMED or (state is State.HOLD and driving.goes_on)
        if driving.active and not goes_on:
            driving.end(good.joint_position)
        if state is State.READY:
            goal = np.array(self.parts.config.start_pose) if self.parts.config.start_pose else good.joint_position
            self._move = StartMove.within(self.parts.limits, guard.position, goal, self.parts.config, now_s)
            off = float(np.abs(good.joint_position - guard.position).max())
            self._may_lag = max(self.parts.config.following_error, off + self.parts.config.arm_tolerance)
        if state is State.ESTOP:
            self.latched = self.latched or "emergency stop"
            guard.stop(self.latched)

    def _follow(self, now_s: float) -> None:
        """Stop where something is wrong; go on where a way is at its end."""
        driving, config = self.driving, self.parts.config
        wrong = self._wrong()
        if wrong and self.state not in _NOTHING_TO_STOP:
            self._stop(wrong, now_s)
        if self.state in (State.SOFT_STOP, State.ESTOP) and not self._can_hold():
            self._cannot_hold = True
            if self.state is State.SOFT_STOP:
                self._stop("the robot cannot hold", now_s)
        if self.state is State.ARMED and driving is not None and driving.idle_s(now_s) > config.disarm_after_s:
            self._change(Event.DRIVER_LOST, now_s)
        if self.state is State.READY and self._move is not None and self._move.done(now_s):
            self._change(Event.ARRIVED, now_s)

    def _wrong(self) -> str:
        """What has to stop the robot, in words, or an empty string."""
        good, guard, driving = self.watch.good, self._guard, self.driving
        wrong = list(self.faults.values())
        if driving is not None and driving.active:
            wrong += [sentence for sentence in (self.perception.missing, driving.failure) if sentence]
        if self.state is State.READY and good is not None and guard is not None:
            off = self._off(good, guard, self._may_lag)
            wrong += [off] if off else []
        if not wrong and guard is not None and guard.latched:
            wrong = [guard.latched]
        return "; ".join(wrong)

    def _stop(self, wrong: str, now_s: float) -> None:
        """A fault: latch it, and hold or damp."""
        self.latched = self.latched or wrong
        if self._guard is not None:
            self._guard.stop(self.latched)
        holds = self._can_hold()
        if self.state not in STOPPED or (self.state is State.SOFT_STOP and not holds):
            self._change(Event.FAULT_HOLD if holds else Event.FAULT_DAMP, now_s)

    def _can_hold(self) -> bool:
        stop = self.parts.config.stop
        if stop == "hold" or self.parts.bus.obeys == "position":
            return True
        tilt = self.watch.tilt_rad()
        upright = tilt is None or tilt < self.parts.config.upright_tilt_rad
        return stop == "hold_upright" and upright and not self._is_blind

    @property
    def _is_blind(self) -> bool:
        return not _BLIND.isdisjoint(self.faults)

    @property
    def _is_limp(self) -> bool:
        """The joints follow no position in this state."""
        if self.parts.bus.obeys == "position":
            return False
        return self.state in (State.IDLE, State.DAMPING) or (self.state is State.ESTOP and self._cannot_hold)

    # What is sent

    def _command(self, now_s: float, control: bool) -> JointCommand | None:
        good, guard, driving = self.watch.good, self._guard, self.driving
        if good is None or guard is None or driving is None:
            return None
        measured = _measured(good)
        if self._unwritten and self.written is not None:  # begin at what the motors know
            follows = self.written.stiffness > 0.0
            guard.restart(np.where(follows, self.written.position, good.joint_position))
        if self._is_limp:
            return guard.limp(good.joint_position)
        if driving.active:
            if control:
                driving.control(self.perception.state, self.perception.stamp_ns, now_s, armed=self.state is State.ARMED)
            command = driving.servo(self.perception.state, measured, now_s, self.counts.ticks)
            if command is not None:
                return command
        if self.state is State.READY and self._move is not None:
            return guard.move(self._move.at(now_s), measured, now_s)
        return guard.hold(measured, now_s)

    def _write(self, command: JointCommand | None, now_s: float) -> None:
        if command is None:
            return
        try:
            self.parts.bus.write(command)
            self.written, self._unwritten = command, ""
        except Exception as error:  # the next tick tries again; what moves is stopped
            self._unwritten = self.faults["unwritten"] = f"the robot could not be written to: {in_one_line(error)}"
            if self.state not in _NOTHING_TO_STOP:
                self._stop(self._unwritten, now_s)


def _measured(good: BusState) -> Measured:
    return Measured(good.time_s, good.joint_position, good.joint_velocity, sequence=good.sequence)
