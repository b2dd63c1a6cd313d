"""What an emulator's process offers besides the wire, for a simulated body within the robot's process."""

from __future__ import annotations

from typing import Any

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from robot_stack.core.clock import Clock
from robot_stack.deploy.plant_bus import PlantBus
from robot_stack.hardware.chunk_buffer import to_ns
from robot_stack.hardware.ros.qos import reliable
from robot_stack.hardware.ros.robot_messages import fill_numbers, numbers_message
from robot_stack.hardware.ros.steady_timer import steady_timer

SCORE = ("reward", "success", "failed")
"""Names of the numbers of the topic ``score``."""


class DirectEmulator:
    """Parameter ``seed``, service ``~/reset`` and topic ``score``, as emulators have them.

    Args:
        node: of rclpy, called ``emulator``, in the robot's namespace; spun by the caller.
        clock: the robot's.
        rate_hz: of the scores, in real time [Hz].
        seed: of the next reset.
    """

    def __init__(self, node: Any, clock: Clock, rate_hz: float, seed: int) -> None:
        self.bus: PlantBus | None = None
        """The body, once the robot is configured."""
        self._node, self._clock = node, clock
        node.declare_parameter("seed", seed, ParameterDescriptor(description="of the start of the next reset"))
        node.create_service(Trigger, "~/reset", self._reset)
        self._message = numbers_message(SCORE)
        self._score = node.create_publisher(JointState, "score", reliable(10))
        steady_timer(node, 1.0 / rate_hz, self._say)

    def _reset(self, request: Any, response: Any) -> Any:
        if self.bus is None:
            response.success, response.message = False, "the robot is not configured"
            return response
        seed = int(self._node.get_parameter("seed").value)
        self.bus.reset(seed)
        response.success, response.message = True, f"at the start of seed {seed}; it hangs still until it is armed"
        return response

    def _say(self) -> None:
        if self.bus is not None:
            numbers = np.array(self.bus.score, dtype=np.float64)
            self._score.publish(fill_numbers(self._message, numbers, to_ns(self._clock.now())))
