"""A robot behind a robot node as a Robot, so that episodes, trials, teleoperation and collection run on it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from robot_stack.core.action import Intervention, Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, EpisodeAborted, ShapeError
from robot_stack.core.observation import Observation
from robot_stack.hardware.ros.qos import newest, set_stamp, stamp_ns
from robot_stack.hardware.ros.robot_link import LinkError, RobotLink


@dataclass(frozen=True)
class RosRobotConfig:
    """How a robot on ROS is used as a Robot."""

    namespace: str = "/panda"
    """Of the robot node."""

    domain: int | None = None
    """ROS domain; ``None`` takes the environment's."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one, as the robot node's."""

    hands_free: bool = False
    """In simulation only: reset the emulator by seed, get ready, arm and hold the deadman switch without an operator.
    Otherwise a reset waits until an operator has armed the robot."""

    wait_s: float = 60.0
    """Real time that the robot, or its operator, may take for a reset [s]."""

    image_age_s: float = 0.2
    """A camera's newest frame may be older than the observation by this much [s of robot time]."""


class RosRobot:
    """Implements :class:`robot_stack.core.robot.Robot` over the topics and services of a robot node.

    An action is sent as a chunk of one, stamped with the observation that was returned last; it applies from its
    arrival on. What a receipt calls sent is the action within its limits, with the interventions that came in since
    the command before: the robot tells what it did when the control period is over. The recorder node pairs them.

    Args:
        config: where the robot is, and who arms it.

    Raises:
        LinkError: if no robot answers.
    """

    def __init__(self, config: RosRobotConfig) -> None:
        self.config = config
        self.link = RobotLink(config.namespace, config.domain, config.wait_s)
        """The connection."""
        try:
            self._embodiment = self.link.embodiment()
        except LinkError:
            self.link.close()
            raise
        self._fingerprint = self._embodiment.fingerprint()
        self._low, self._high = self._embodiment.action_limits
        self._period_s = 1.0 / self._embodiment.control_hz
        self.link.offer_actions()
        for camera in self._embodiment.camera_names:
            self.link.listen(Image, _topic(camera), newest(2))
        self._first_ns: int | None = None
        self._seen_ns = 0
        self._told: Any = None

    @property
    def embodiment(self) -> Embodiment:
        """As the robot node says."""
        return self._embodiment

    def reset(self, seed: int | None = None) -> Observation:
        """Bring the robot to the start of an episode, armed.

        Raises:
            LinkError: if it does not get there, or nobody arms it in time.
        """
        if self.config.hands_free:
            self._get_ready(0 if seed is None else seed)
        self.link.wait_state("ARMED")
        self._first_ns = None
        before_ns = self._seen_ns
        fresh = self.link.wait(lambda: self._newer(before_ns))
        if fresh is None:
            raise LinkError("the robot gives no observations", got=self.link.why)
        return self.observe()

    def observe(self) -> Observation:
        """The newest observation; waits for one that was not returned before, for a control period at most.

        Raises:
            LinkError: if there is none, or a camera's frame is missing or too old.
        """
        self.link.wait(lambda: self._newer(self._seen_ns), self._period_s / self.config.clock_speed)
        message = self.link.newest("observation")
        if message is None:
            raise LinkError("the robot gives no observations", got=self.link.why)
        self._seen_ns = stamp_ns(message.header)
        if self._first_ns is None:
            self._first_ns = self._seen_ns
        time_s = (self._seen_ns - self._first_ns) * 1e-9
        state = np.array(message.position, dtype=np.float64)
        if state.shape != (self._embodiment.state_size,):
            raise ShapeError(
                "an observation is of another robot", got=state.shape, expected=self._embodiment.state_size
            )
        return Observation(state, self._images(), time_s, round(time_s / self._period_s))

    def command(self, action: np.ndarray) -> Receipt:
        """Send one action.

        Raises:
            ShapeError: if it has another shape.
            NonFiniteError: if it holds NaN or infinity.
            EpisodeAborted: if the robot is not armed any more.
        """
        return self.command_chunk(action[None] if np.ndim(action) == 1 else action)

    def command_chunk(self, actions: np.ndarray) -> Receipt:
        """Send actions for the next control periods, the first for now.

        Args:
            actions: shape ``(steps, action_size)``.

        Raises:
            ShapeError: if they have another shape.
            NonFiniteError: if they hold NaN or infinity.
            EpisodeAborted: if the robot is not armed any more.
        """
        rows = np.stack([self._embodiment.check_action(action) for action in actions])
        if self.link.state != "ARMED":
            raise EpisodeAborted("the robot is not armed any more", got=self.link.why or self.link.state)
        age_s = self.link.age_s("observation") * self.config.clock_speed
        message = JointTrajectory(joint_names=list(self._embodiment.action_names))
        set_stamp(message.header, self._seen_ns)
        message.header.frame_id = self._fingerprint
        points = []
        for step, row in enumerate(rows):
            seconds, nanoseconds = divmod(round((age_s + step * self._period_s) * 1e9), 1_000_000_000)
            due = Duration(sec=seconds, nanosec=nanoseconds)
            points.append(JointTrajectoryPoint(positions=row.tolist(), time_from_start=due))
        message.points = points
        self.link.send(message)
        sent = np.clip(rows[0], self._low, self._high)
        time_s = (self._seen_ns - (self._first_ns or self._seen_ns)) * 1e-9 + age_s
        return Receipt(sent, self._interventions(), time_s)

    def stop(self, reason: str) -> None:
        """Ask for a soft stop, without waiting for it; never raises."""
        self.link.holds_deadman = False
        threading.Thread(target=self._ask_to_stop, name="stop", daemon=True).start()

    def close(self) -> None:
        """Let the deadman switch go and leave; the robot holds. Idempotent."""
        self.link.close()

    def _ask_to_stop(self) -> None:
        try:
            self.link.ask("soft_stop")
        except Exception:  # the robot notices by itself that nobody holds the switch
            return

    def _newer(self, than_ns: int) -> bool | None:
        message = self.link.newest("observation")
        return True if message is not None and stamp_ns(message.header) > than_ns else None

    def _get_ready(self, seed: int) -> None:
        """As an operator of a simulated robot does it."""
        link = self.link
        if link.state in ("", "UNCONFIGURED"):
            raise LinkError("the robot is not engaged", remedy="configure and activate the robot node")
        link.holds_deadman = False
        if link.state not in ("IDLE", "ESTOP"):
            link.must("damp")  # where the robot can, it begins anew from where the emulator will put it
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
        request = SetParameters.Request(parameters=[Parameter(name="seed", value=value)])
        answer = link.ask("emulator/set_parameters", SetParameters, request)
        if not answer.results[0].successful:
            raise LinkError("the emulator does not take the seed", got=answer.results[0].reason)
        link.must("emulator/reset")
        self._leave_stop()
        link.wait_state("HOLD")
        link.holds_deadman = True
        if link.wait(lambda: _value(link.newest("status"), "deadman") == "True" or None) is None:
            raise LinkError("the robot does not hear the deadman switch")
        link.must("arm")

    def _leave_stop(self) -> None:
        """A body that was put elsewhere makes its encoders jump, which stops the robot within the next ticks."""
        refused = ""
        for _ in range(20):
            stamp = self.link.newest("observation")
            self.link.wait(lambda: self.link.newest("observation") is not stamp or None, 1.0)  # noqa: B023
            self.link.ask("reset")
            answer = self.link.ask("ready")
            if answer.success and self.link.state not in ("SOFT_STOP", "DAMPING", "ESTOP"):
                return
            refused = answer.message
        raise LinkError("the robot does not get ready", got=refused)

    def _images(self) -> dict[str, np.ndarray]:
        images: dict[str, np.ndarray] = {}
        for camera in self._embodiment.cameras:
            frame = self.link.newest(_topic(camera.name))
            if frame is None or self._seen_ns - stamp_ns(frame.header) > self.config.image_age_s * 1e9:
                raise LinkError(f"camera {camera.name!r} gives no fresh frames", expected=_topic(camera.name))
            if frame.encoding != "rgb8":
                raise ConfigError(f"camera {camera.name!r} is not rgb8", got=frame.encoding)
            images[camera.name] = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
        return images

    def _interventions(self) -> tuple[Intervention, ...]:
        """What was told since the last call."""
        message = self.link.newest("interventions")
        if message is None or message is self._told:
            return ()
        self._told = message
        return tuple(Intervention(each.key, each.value) for each in message.values if each.key != "stamp_ns")


def _topic(camera: str) -> str:
    return f"camera/{camera}/image_raw"


def _value(status: Any, key: str) -> str:
    return "" if status is None else next((each.value for each in status.values if each.key == key), "")
