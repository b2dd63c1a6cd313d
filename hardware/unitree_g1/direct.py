"""An emulated G1 in this very process, in simulated time: real messages, only the network is missing."""

from __future__ import annotations

from collections import deque

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.joint_plant import JointPlant
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatedG1
from robot_stack.hardware.unitree_g1.link import CommandTopic
from robot_stack.hardware.unitree_g1.motion import SERVICE, Answer


class DirectLink(SimulatedClock):
    """Implements :class:`robot_stack.hardware.unitree_g1.link.Link`, and is the clock that moves the robot.

    Whoever sleeps on it lets the emulated robot live on, period by period: faults can be put in exact to one.

    Args:
        robot: the electronics.
        plant: the body.
        topic: where commands are sent.
    """

    def __init__(self, robot: EmulatedG1, plant: JointPlant, topic: CommandTopic = "lowcmd") -> None:
        super().__init__()
        self.robot, self.plant = robot, plant
        self.others = 0
        """How many other writers there are said to be."""
        self.sent: deque[bytes] = deque(maxlen=5_000)
        """Commands as they were sent."""
        self._arms_only = topic == "arm_sdk"
        self._came: deque[bytes] = deque(maxlen=8)
        self._ticks = 0

    def open(self) -> None:
        """Nothing to open."""

    def sleep_until(self, time_s: float) -> None:
        """The robot lives on until ``time_s``."""
        while (self._ticks + 1) * self.plant.period_s <= time_s + 1e-9:
            self._ticks += 1
            self.plant.advance(self.robot.command(self.plant.read()))
            self._came.extend(self.robot.states(self.plant.read()))
        super().sleep_until(time_s)

    def states(self) -> list[bytes]:
        """What came since the last call."""
        came = list(self._came)
        self._came.clear()
        return came

    def battery(self) -> bytes | None:
        """Of the robot."""
        return None if "dead" in self.robot.faults else self.robot.battery()

    def send(self, data: bytes) -> None:
        """Arrives at once."""
        self.sent.append(data)
        self.robot.receive(data, self._arms_only)

    def other_writers(self) -> int:
        """As said."""
        return self.others

    def ask(self, service: str, api: int, parameter: str, wait_s: float) -> Answer | None:
        """Answered at once, by the motion switcher alone."""
        if service != SERVICE or "dead" in self.robot.faults:
            self.sleep_until(self.now() + wait_s)
            return None
        return Answer(*self.robot.request(api, parameter))

    def close(self) -> None:
        """Nothing to close."""
