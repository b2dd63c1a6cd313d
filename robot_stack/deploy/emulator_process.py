"""``python -m robot_stack.deploy.emulator_process``: a simulated robot behind its own electronics' wire format.

Node ``emulator``. It publishes what only simulation knows: ``tracked`` (what a tracking system would see), ``score``
(reward, success, failed) and images; the service ``~/reset`` puts the body to the start of the parameter ``seed``. The
body stands still there until the robot node says that it is ``ARMED``.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from robot_stack.core.clock import ScaledClock
from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.core.fields import Field
from robot_stack.deploy.deployment import deployment, robot_parameters
from robot_stack.deploy.emulated_body import EmulatedBody, Seen
from robot_stack.deploy.emulated_cameras import EmulatedCameras
from robot_stack.deploy.emulator_config import EmulatorConfig
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.ros_node import latched, newest, reliable, run, set_stamp
from robot_stack.hardware.ros.steady_timer import steady_timer
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_name, robot_spec, robot_task, tasks_of

RESET_PATIENCE_S = 30.0
"""Longest that a reset may take [s]."""

HEARD_S = 2.0
"""A robot node whose observation was heard within this is there [s]."""

SLOW_AGAIN_S = 10.0
"""A machine that is too slow is spoken of no more often than this [s]."""


class EmulatorNode:
    """One robot's emulator.

    Args:
        node: of rclpy; somebody else spins it.

    Raises:
        ConfigError: if parameters do not go together.
        UnknownNameError: if robot, task or a camera does not exist.
    """

    def __init__(self, node: Any) -> None:
        self.node = node
        self.config = config = declare(node, EmulatorConfig, changeable=("seed",))
        name = robot_name(config.robot)
        task_name = config.task or tasks_of(name)[0]
        make_emulator = deployment(name).make_emulator
        if make_emulator is None:
            raise ConfigError(f"nothing emulates the electronics of {name!r}", remedy="direct: true simulates without")
        spec = robot_spec(name)
        self._plant = MujocoPlant(spec, robot_task(task_name), config.servo_hz, config.quality)
        self._fields = _tracked_fields(self._plant)
        self._emulator = make_emulator(self._plant, node, robot_parameters(config.robot_parameters))
        self._clock = ScaledClock(config.clock_speed)
        control_hz = config.control_hz or spec.control_hz
        self._publish_on(node)
        self._body = EmulatedBody(self._plant, self._emulator, self._clock, 1.0 / control_hz, self._see)
        self._cameras = EmulatedCameras(node, self._plant, config)
        self._wish: tuple[int, threading.Event] | None = None
        self._failure: RobotStackError | None = None
        self._ending = threading.Event()
        self._state, self._heard_s = "", -float("inf")
        self._slowness = Slowness(config.clock_speed)
        self._body.reset(config.seed)
        self._thread = threading.Thread(target=self._simulate, name="simulation", daemon=True)
        self._thread.start()
        node.get_logger().info(f"simulates {name} at {task_name}, {config.clock_speed:g} times real time")

    @property
    def needed(self) -> bool:
        """Whether the robot node is still engaged: Ctrl-C under a launch reaches both, and its stop needs a body."""
        heard = time.monotonic() - self._heard_s < HEARD_S
        return heard and self._state not in ("", "UNCONFIGURED") and self._failure is None

    def close(self) -> None:
        """Stop time and free lines; idempotent."""
        self._ending.set()
        self._thread.join(timeout=5.0)
        self._emulator.close()
        self._plant.close()

    def _publish_on(self, node: Any) -> None:
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from std_srvs.srv import Trigger

        self._message = JointState
        self._tracked = node.create_publisher(JointState, "tracked", reliable(2))
        self._score = node.create_publisher(JointState, "score", reliable(50))
        node.create_subscription(String, "state", self._heed_state, latched())
        node.create_subscription(JointState, "observation", self._hear_robot, newest(), raw=True)
        node.create_service(Trigger, "~/reset", self._serve_reset)
        steady_timer(node, 0.1, self._tend)

    def _simulate(self) -> None:
        try:
            while not self._ending.is_set():
                self._clock.sleep_until(self._body.due_s)
                if self._wish is not None:
                    (seed, done), self._wish = self._wish, None
                    self._body.reset(seed)
                    done.set()
                self._body.step()
                self._cameras.look(self._clock.now())
        except RobotStackError as error:
            self._failure = error
        except Exception as error:
            self._failure = RobotStackError(f"the simulation failed: {type(error).__name__}: {error}")

    def _see(self, seen: Seen) -> None:
        names = [f"{field.name}/{name}" for field in self._fields for name in field.element_names]
        values = [float(v) for field in self._fields for v in seen.tracked[field.name]]
        message = self._message(name=names, position=values)
        set_stamp(message.header, round(seen.stamp_s * 1e9))
        if names:
            self._tracked.publish(message)
        score = self._message(name=["reward", "success", "failed"], position=[float(v) for v in seen.score])
        score.header.stamp = message.header.stamp
        self._score.publish(score)

    def _hear_robot(self, _: Any) -> None:
        self._heard_s = time.monotonic()

    def _heed_state(self, message: Any) -> None:
        self._state = message.data
        if message.data == "ARMED":
            self._body.let_go()

    def _serve_reset(self, request: Any, response: Any) -> Any:
        seed, done = int(self.node.get_parameter("seed").value), threading.Event()
        self._wish = (seed, done)
        response.success = done.wait(RESET_PATIENCE_S)
        response.message = f"at the start of seed {seed}" if response.success else "the simulation does not answer"
        return response

    def _tend(self) -> None:
        if self._failure is not None:
            raise self._failure
        sentence = self._slowness.said(self._body.lost_s, time.monotonic())
        if sentence:
            self.node.get_logger().warning(sentence)


class Slowness:
    """Puts into words that the machine does not keep up, once in a while.

    Args:
        clock_speed: that it should keep up with.
    """

    def __init__(self, clock_speed: float) -> None:
        self._clock_speed, self._told_lost_s, self._told_s = clock_speed, 0.0, -float("inf")

    def said(self, lost_s: float, now_s: float) -> str:
        """What to say now; empty for nothing.

        Args:
            lost_s: time lost to the simulated body so far [s of robot time].
            now_s: real time [s].
        """
        lost = lost_s - self._told_lost_s
        if lost <= 0.0 or now_s - self._told_s < SLOW_AGAIN_S:
            return ""
        self._told_lost_s, self._told_s = lost_s, now_s
        return (
            f"this machine is too slow or too busy for clock_speed {self._clock_speed:g}: the simulated robot stood "
            f"still for {lost:.2f} s, which its driver sees as a silent or jumping robot; run at a lower clock_speed"
        )


def _tracked_fields(plant: MujocoPlant) -> list[Field]:
    """The state fields that a tracking system sees, in the order of the embodiment."""
    from robot_stack.sim.measured_senses import MeasuredSenses

    return list(MeasuredSenses(plant.robot, plant.task.state_fields()).tracked_fields)


def main() -> int:
    """Run until told to end."""
    return run("emulator", EmulatorNode, lingers=lambda emulator: emulator.needed)


if __name__ == "__main__":
    sys.exit(main())
