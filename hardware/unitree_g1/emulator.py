"""An emulated G1 on ROS topics: what it says and hears is byte for byte what a real one does.

Implements the emulators' contract of ``robot_stack.deploy.emulator``. Besides the robot's own topics, the node that
it is given has parameters with which things are made to go wrong: ``faults`` (``name`` or ``name=number``, see
:mod:`~robot_stack.hardware.unitree_g1.emulated_faults`), ``hoist`` (auto, on, off) and ``buttons`` of the remote
control.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robot_stack.core.errors import RobotStackError, require_name
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.ros.generate.messages import messages
from robot_stack.hardware.unitree_g1.emulated_faults import parse_faults
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatedG1, EmulatorConfig
from robot_stack.hardware.unitree_g1.motion import SERVICE
from robot_stack.hardware.unitree_g1.raw_topics import RawReader, RosContext, raw_writer
from robot_stack.hardware.unitree_g1.remote import BUTTONS, Remote
from robot_stack.hardware.unitree_g1.ros_link import (
    BATTERY_TOPIC,
    STATE_TOPIC,
    TORSO_TOPIC,
    request_topic,
    response_topic,
)

EVERY_BATTERY, EVERY_TORSO = 250, 5
"""Periods between messages of the battery and of the torso's inertial sensor."""

HOISTS = ("auto", "on", "off")


class G1Emulator:
    """Speaks for an emulated robot.

    Args:
        robot: the electronics.
        node: of rclpy, spun by somebody else; takes the parameters.
        domain: where the robot's topics are; ``None`` for the environment's.
    """

    def __init__(self, robot: EmulatedG1, node: Any, domain: int | None = None) -> None:
        self.robot = robot
        """The electronics."""
        hg, api = messages("unitree_hg").msg, messages("unitree_api").msg
        context = RosContext("g1_emulator", domain)
        self._context, self._api = context, api
        self._states = raw_writer(context, hg.LowState, STATE_TOPIC)
        self._battery = raw_writer(context, hg.BmsState, BATTERY_TOPIC)
        self._torso = raw_writer(context, hg.IMUState, TORSO_TOPIC)
        self._responses = raw_writer(context, api.Response, response_topic(SERVICE))
        self._commands = RawReader(context, hg.LowCmd, "/lowcmd", 4)
        self._arms = RawReader(context, hg.LowCmd, "/arm_sdk", 4)
        self._requests = RawReader(context, api.Request, request_topic(SERVICE), 10, raw=False, reliable=True)
        self._ticks = 0
        self._node = node
        self._changes: list[Callable[[], None]] = []
        node.declare_parameter("faults", [""])
        node.declare_parameter("hoist", robot.config.hoist)
        node.declare_parameter("buttons", [""])
        node.add_on_set_parameters_callback(self._on_parameters)

    def reset(self, state: BusState) -> None:
        """The body was put at a start; what was heard before does not count."""
        for reader in (self._commands, self._arms):
            reader.take()
        self.robot.reset(state)

    def command(self, state: BusState) -> JointCommand | None:
        """What the motors do now."""
        while self._changes:
            self._changes.pop(0)()
        for request in self._requests.take():
            self._answer(request)
        for data in self._commands.take():
            self.robot.receive(data)
        for data in self._arms.take():
            self.robot.receive(data, arms_only=True)
        return self.robot.command(state)

    def publish(self, state: BusState) -> None:
        """Say what is measured."""
        for data in self.robot.states(state):
            self._states.publish(data)
        if "dead" not in self.robot.faults:
            if self._ticks % EVERY_BATTERY == 0:
                self._battery.publish(self.robot.battery())
            if self._ticks % EVERY_TORSO == 0:
                self._torso.publish(self.robot.torso_imu())
        self._ticks += 1

    def close(self) -> None:
        """Leave the network."""
        if self._context.node is not None:
            self._node.remove_on_set_parameters_callback(self._on_parameters)
        self._context.close()

    def _answer(self, request: Any) -> None:
        if "dead" in self.robot.faults:
            return
        asked = request.header.identity
        response = self._api.Response()
        response.header.identity.id, response.header.identity.api_id = asked.id, asked.api_id
        response.header.status.code, response.data = self.robot.request(asked.api_id, request.parameter)
        self._responses.publish(response)

    def _on_parameters(self, parameters: list[Any]) -> Any:
        """Check parameters, in the thread that spins; they take effect in the one that calls :meth:`command`."""
        from rcl_interfaces.msg import SetParametersResult

        changes: list[Callable[[], None]] = []
        try:
            for parameter in parameters:
                changes += self._change(parameter.name, parameter.value)
        except RobotStackError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._changes += changes
        return SetParametersResult(successful=True)

    def _change(self, name: str, value: Any) -> list[Callable[[], None]]:
        robot = self.robot
        if name == "faults":
            faults = parse_faults(list(value))
            return [lambda: robot.inject(faults)]
        if name == "hoist":
            mode: Any = require_name("hoist", value, HOISTS)
            return [lambda: robot.hoist(mode)]
        if name == "buttons":
            held = frozenset(require_name("button", button, BUTTONS) for button in value if button)
            return [lambda: setattr(robot, "remote", Remote(held))]
        return []


def emulate(
    state: BusState,
    config: EmulatorConfig,
    period_s: float,
    hang: Callable[[bool], None] | None,
    node: Any,
    domain: int | None = None,
) -> G1Emulator:
    """An emulated robot.

    Args:
        state: of the body as it starts.
        config: what the robot is like.
        period_s: between calls of :meth:`G1Emulator.command` [s].
        hang: hangs the body up or lets it down; ``None`` where it cannot hang.
        node: of rclpy, spun by somebody else.
        domain: of the robot's topics; ``None`` for that of ``node``.
    """
    if domain is None:
        domain = node.context.get_domain_id()
    return G1Emulator(EmulatedG1(state, config, period_s, hang), node, domain)
