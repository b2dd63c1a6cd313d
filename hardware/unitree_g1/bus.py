"""The G1's joints: commands to all of them, its own motion control switched off."""

from __future__ import annotations

from robot_stack.core.clock import Clock
from robot_stack.core.errors import RobotStackError
from robot_stack.core.joint_bus import BusError, BusState, Obeys
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.unitree_g1.command import CommandWriter, damp
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.joints import JOINT_NAMES, MACHINES, PARALLEL_NAMES, machine_title
from robot_stack.hardware.unitree_g1.link import Link
from robot_stack.hardware.unitree_g1.motion import release_motion
from robot_stack.hardware.unitree_g1.reader import StateReader

LOOK_AROUND_S = 0.5
"""How often other writers are looked for while running [s]."""

STATES_TO_TRUST = 5
"""So many states must come, each newer than the one before, until the robot counts as heard."""


class G1Bus:
    """Implements :class:`robot_stack.core.joint_bus.JointBus`.

    Nothing is sent before :meth:`engage`, which switches the robot's own motion control off: a robot that stands on its
    own then goes limp, so it must hang or lie. ``mode_machine`` of every command is that of the newest state.

    Args:
        link: carries messages.
        clock: the process's own.
        config: the robot and its limits.
    """

    def __init__(self, link: Link, clock: Clock, config: G1Config | None = None) -> None:
        self.config = config = config or G1Config()
        self._link, self._clock = link, clock
        self.reader = StateReader(config)
        """Reads and judges states; counts what was dropped."""
        self._writer = CommandWriter(config.parallel)
        self._state: BusState | None = None
        self._engaged = False
        self._looked_s = -LOOK_AROUND_S
        self._others = 0

    @property
    def joint_names(self) -> tuple[str, ...]:
        """All 29, in the order of the SDK."""
        return PARALLEL_NAMES if self.config.parallel else JOINT_NAMES

    @property
    def servo_hz(self) -> float:
        """Commands a second."""
        return self.config.servo_hz

    @property
    def obeys(self) -> Obeys:
        """Everything of a command."""
        return "full"

    def open(self) -> None:
        """Connect; nothing is sent."""
        self._link.open()

    def engage(self) -> None:
        """Check that this is the robot we know, make it listen, and leave it limp.

        Raises:
            BusError: if nothing is heard, it is another build, somebody else commands it, or it does not let go.
        """
        self._engaged = False
        self.reader.restart()
        self._state = None
        self._wait_for_states()
        self._check_machine()
        self._take_over()
        self._check_alone()
        self._engaged = True
        try:
            self._settle()
        except BaseException:
            self._engaged = False
            raise

    def read(self) -> BusState | None:
        """The newest state; see :class:`~robot_stack.hardware.unitree_g1.reader.StateReader` for what is dropped."""
        now_s = self._clock.now()
        self._hear(now_s)
        state = self._state
        if state is None:
            return None
        if now_s - state.time_s > self.config.protection.lost_state_s:
            state = self.reader.lost(state, now_s)
        return self._with_others(state, now_s)

    def write(self, command: JointCommand) -> None:
        """Send a command.

        Raises:
            BusError: if the robot was not engaged, or the command is not 29 finite numbers each.
        """
        if not self._engaged:
            raise BusError("a command before the robot was engaged", remedy="engage it first")
        self._send(command)

    def release(self) -> None:
        """Stream damping for ``damping_s``, never a single packet; then fall silent."""
        if not self._engaged:
            return
        self._stream(damp(self.config.damping), self.config.damping_s)
        self._engaged = False

    def close(self) -> None:
        """Disconnect."""
        self._engaged = False
        self._link.close()

    # How the variant for arms differs

    def _take_over(self) -> None:
        """Make the robot listen."""
        if self.config.release_motion:
            release_motion(self._link, self._clock, self.config.wait_s)

    def _settle(self) -> None:
        """First commands: limp, while the robot must go on to report."""
        heard = self._state
        self._stream(damp(0.0), self.config.limp_s, may_fail=True)
        if self.config.limp_s > 0.0 and self._state is heard:
            raise BusError("the robot fell silent as soon as it was commanded")

    def _send(self, command: JointCommand) -> None:
        machine = self.reader.machine
        assert machine is not None  # known since engage
        self._link.send(self._writer.write(command, machine))

    # Start

    def _wait_for_states(self) -> None:
        link, clock, config = self._link, self._clock, self.config
        end_s, fresh, came = clock.now() + config.wait_s, 0, 0
        while fresh < STATES_TO_TRUST:
            now_s, before = clock.now(), _sequence_of(self._state)
            if now_s >= end_s:
                raise self._unheard(fresh, came)
            came += self._hear(now_s)
            fresh += _sequence_of(self._state) != before
            clock.sleep_until(now_s + 1.0 / config.servo_hz)
        data = link.battery()
        if data is not None:
            self.reader.battery(data)

    def _unheard(self, fresh: int, came: int) -> BusError:
        seconds = f"{self.config.wait_s:g} s"
        if not came:
            return BusError(
                f"nothing was heard from the robot for {seconds}",
                where=f"topic /lowstate, domain {self.config.domain}",
                remedy="is it on, the cable plugged in, our address 192.168.123.x, and the network interface the one "
                "that this process was given?",
            )
        dropped = ", ".join(f"{count} {reason}" for reason, count in self.reader.dropped.items() if count)
        return BusError(f"only {fresh} of {came} states in {seconds} could be used", got=dropped)

    def _check_machine(self) -> None:
        machine = self.reader.machine or 0
        if machine in self.config.machines:
            return
        missing = MACHINES[machine].missing if machine in MACHINES else ()
        lacks = f"; it lacks {', '.join(JOINT_NAMES[i] for i in missing)}" if missing else ""
        raise BusError(
            "this is another build of the robot",
            got=f"mode_machine {machine_title(machine)}{lacks}",
            expected=" or ".join(machine_title(known) for known in self.config.machines),
            remedy="if our model suits it, name it among the parameter machines",
        )

    def _check_alone(self) -> None:
        if self.config.sole_writer and self._link.other_writers():
            raise BusError(
                "somebody else publishes commands for this robot",
                got=f"{self._link.other_writers()} other publisher(s)",
                remedy="stop them; one that was killed is forgotten after 20 s",
            )

    # Running

    def _hear(self, now_s: float) -> int:
        """Read what came; how many states that was."""
        states = self._link.states()
        for data in states:
            self._state = self.reader.take(data, now_s) or self._state
        return len(states)

    def _with_others(self, state: BusState, now_s: float) -> BusState:
        if now_s - self._looked_s >= LOOK_AROUND_S:
            self._looked_s = now_s
            self._others = self._link.other_writers() if self.config.sole_writer and self._engaged else 0
            data = self._link.battery()
            if data is not None:
                self.reader.battery(data)
        if not self._others:
            return state
        return self.reader.blame(state, f"{self._others} other publisher(s) command this robot")

    def _stream(self, command: JointCommand, seconds: float, *, may_fail: bool = False) -> None:
        """The same command at the servo rate, states read in between; errors do not end it unless they may."""
        clock, period_s = self._clock, 1.0 / self.config.servo_hz
        start_s = clock.now()
        for tick in range(round(seconds * self.config.servo_hz)):
            try:
                self._hear(clock.now())
                self._send(self._shaped(command, tick))
            except (RobotStackError, RuntimeError, OSError):
                if may_fail:
                    raise
            clock.sleep_until(start_s + (tick + 1) * period_s)

    def _shaped(self, command: JointCommand, tick: int) -> JointCommand:
        """A streamed command at its ``tick``."""
        return command


def _sequence_of(state: BusState | None) -> int:
    return -1 if state is None else state.sequence
