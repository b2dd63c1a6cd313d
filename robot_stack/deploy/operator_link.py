"""The operator's side of a robot's topics and services."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from robot_stack.deploy.introduction import ASK_AGAIN_S
from robot_stack.deploy.operator_config import OperatorConfig
from robot_stack.deploy.operator_view import Known
from robot_stack.deploy.ros_node import latched, newest, reliable, set_stamp, stamp_ns
from robot_stack.hardware.ros.steady_timer import steady_timer

DEADMAN_HZ = 25.0
"""Of the topic ``deadman``, in real time [Hz]; the robot waits 0.25 s."""

REQUESTS = ("ready", "hold", "arm", "soft_stop", "damp", "estop", "reset")
"""Services of the robot node."""

STOPS = ("hold", "soft_stop", "damp", "estop")
"""Those that are sent even to a node that has not answered anything yet."""

SPEECHLESS = ("not found", "silent")
"""Instead of a lifecycle's state: there is no robot node, or it does not answer."""

ANSWER_S = 15.0
"""A request that was not answered within this time counts as lost [s]."""

TRANSITIONS = {
    "configure": (1, "inactive"),
    "cleanup": (2, "unconfigured"),
    "activate": (3, "active"),
    "deactivate": (4, "inactive"),
}
"""Of a lifecycle node: the number in ``lifecycle_msgs/Transition``, and the state that it leads to."""

SILENT_S = 5.0
"""A node whose diagnostics are older is taken for lost; they come every second or more often [s]."""

_LINES = 6
_WINDOW_S = 2.0
_OTHERS = {"rcl", "rmw", "rclpy"}


class Rate:
    """How often something came within the last two seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=2000)

    def count(self) -> None:
        """It came."""
        self._times.append(time.monotonic())

    def hz(self) -> float:
        """Times a second of real time [Hz]."""
        now = time.monotonic()
        while self._times and now - self._times[0] > _WINDOW_S:
            self._times.popleft()
        return len(self._times) / _WINDOW_S


class OperatorLink:
    """Hears the robot, asks it, and holds its deadman switch.

    Callbacks run in whatever thread spins the node; :attr:`known` is read by another.

    Args:
        node: of rclpy, in the robot's namespace.
        config: of the operator.
        held: whether the deadman switch is held now; asked before every message.
    """

    def __init__(self, node: Any, config: OperatorConfig, held: Callable[[], bool]) -> None:
        self.node, self._config, self._held = node, config, held
        self.known = Known(title=config.title)
        """What was heard."""
        self.acted = False
        """The robot has followed an action of its driver."""
        self._status_s = -float("inf")
        self._observations, self._chunks = Rate(), Rate()
        self._subscribe(node)
        self._offer(node)

    def _subscribe(self, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
        from rcl_interfaces.msg import Log
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from trajectory_msgs.msg import JointTrajectory

        node.create_subscription(String, "state", self._hear_state, latched())
        node.create_subscription(DiagnosticStatus, "status", self._hear_status, reliable(5))
        node.create_subscription(JointState, "observation", lambda _: self._observations.count(), newest(), raw=True)
        node.create_subscription(JointTrajectory, "action_chunk", lambda _: self._chunks.count(), newest(), raw=True)
        node.create_subscription(JointState, "asked", self._hear_asked, newest(), raw=True)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._hear_diagnostics, reliable(20))
        if self._config.simulated:
            node.create_subscription(JointState, "score", self._hear_score, newest())
        node.create_subscription(Log, "/rosout", self._hear_log, reliable(50))

    def _offer(self, node: Any) -> None:
        from lifecycle_msgs.srv import ChangeState, GetState
        from sensor_msgs.msg import Joy
        from std_msgs.msg import Bool
        from std_srvs.srv import Trigger

        self._joy, self._bool = Joy, Bool
        self._change, self._get = ChangeState, GetState
        self._trigger = Trigger
        self._services = {name: node.create_client(Trigger, name) for name in REQUESTS}
        self._changing = node.create_client(ChangeState, "robot/change_state")
        # The youngest client, asked all the time: whoever answers it knows the others (see Introduction).
        self._getting = node.create_client(GetState, "robot/get_state")
        self._deadman = node.create_publisher(Joy, "deadman", newest(1))
        self._estop = node.create_publisher(Bool, "emergency_stop", latched())
        self._asked: list[Any] = []
        self._asked_s, self._last_s = -float("inf"), -float("inf")
        self._last: Any = None
        self._nodes_s: dict[str, float] = {}
        steady_timer(node, 1.0 / DEADMAN_HZ, self._publish_deadman)
        steady_timer(node, 0.2, self._look)

    # What is heard

    def _hear_state(self, message: Any) -> None:
        self.known.state = message.data

    def _hear_status(self, message: Any) -> None:
        self._status_s = time.monotonic()
        self.known.level = level_of(message)
        self.known.message = message.message
        self.known.values = {pair.key: pair.value for pair in message.values}

    def _hear_asked(self, _: Any) -> None:
        self.acted = True

    def _hear_diagnostics(self, message: Any) -> None:
        for status in message.status:
            name, told, _ = status.name.partition(":")
            own, _, short = name.rpartition("/")
            if not told and own == self.node.get_namespace():
                self._nodes_s[short] = time.monotonic()
                self.known.nodes = {**self.known.nodes, short: (level_of(status), status.message)}

    def _hear_score(self, message: Any) -> None:
        values = dict(zip(message.name, message.position, strict=False))
        ends = "success" if values.get("success") else "failed" if values.get("failed") else "not yet"
        self.known.score = f"{ends}; reward {values.get('reward', 0.0):.3f}"

    def _hear_log(self, message: Any) -> None:
        own = self.node.get_namespace().strip("/").replace("/", ".")
        name = message.name.removeprefix(f"{own}.")
        if message.name == name or name == self.node.get_name() or name.split(".")[0] in _OTHERS:
            return
        level = {30: "warning: ", 40: "error: ", 50: "fatal: "}.get(int(message.level), "")
        line = f"{name} | {level}{message.msg.splitlines()[0] if message.msg else ''}"
        self.known.lines = (*self.known.lines, line)[-_LINES:]

    def note(self, line: str) -> None:
        """Show a line among those that the nodes log."""
        self.known.lines = (*self.known.lines, line)[-_LINES:]

    def _look(self) -> None:
        """What passes with time: ages, rates, the lifecycle."""
        self.known.status_age_s = time.monotonic() - self._status_s
        pace = self._config.clock_speed
        self.known.observation_hz, self.known.chunk_hz = self._observations.hz() / pace, self._chunks.hz() / pace
        self._look_for_silence()
        self._look_at_lifecycle()
        if self.waiting and time.monotonic() - self._last_s > ANSWER_S:
            self._last, self.known.answer = None, f"no answer within {ANSWER_S:g} s; ask again"

    def _look_for_silence(self) -> None:
        """The last words of a process that died are not how it stands."""
        for name, heard_s in self._nodes_s.items():
            silence_s = time.monotonic() - heard_s
            if silence_s > SILENT_S:
                self.known.nodes = {**self.known.nodes, name: (2, f"silent for {silence_s:.0f} s")}

    def _look_at_lifecycle(self) -> None:
        """Asked again where no answer comes: one to a client that the node does not know yet is dropped."""
        answered = [future for future in self._asked if future.done()]
        if answered:
            self.known.lifecycle = answered[-1].result().current_state.label
            self._forget_asked()
        elif self._asked and time.monotonic() - self._asked_s < ASK_AGAIN_S:
            return
        if not self._getting.service_is_ready():
            self.known.lifecycle = "not found"
            self._forget_asked()
            return
        if len(self._asked) * ASK_AGAIN_S > ANSWER_S:
            self.known.lifecycle = "silent"
            self._forget_asked()
        self._asked.append(self._getting.call_async(self._get.Request()))
        self._asked_s = time.monotonic()

    def _forget_asked(self) -> None:
        for future in self._asked:
            self._getting.remove_pending_request(future)
        self._asked.clear()

    # What is done

    def _publish_deadman(self) -> None:
        self.known.held = held = self._held()
        message = self._joy(axes=[], buttons=[int(held)])
        set_stamp(message.header, time.monotonic_ns())
        self._deadman.publish(message)

    @property
    def _answers(self) -> bool:
        return self.known.lifecycle not in SPEECHLESS

    @property
    def waiting(self) -> bool:
        """The last request was not answered yet, and it is not so long ago that its answer must be lost."""
        return self._last is not None and not self._last.done()

    def press_estop(self, pressed: bool) -> None:
        """Press or free the emergency stop button, which late joiners see as well."""
        self._estop.publish(self._bool(data=pressed))

    def ask(self, request: str) -> Any:
        """Call a service of the robot node; returns a future of its answer, or ``None`` if nobody offers it."""
        client = self._services[request]
        if not client.service_is_ready() or not (self._answers or request in STOPS):
            self.known.answer = f"{request}: the robot node does not answer"
            return None
        return self._call(client, self._trigger.Request(), request)

    def change(self, transition: str) -> Any:
        """Ask the robot node for a transition; returns a future of its answer, or ``None`` if there is no such node."""
        if not self._changing.service_is_ready() or not self._answers:
            self.known.answer = f"{transition}: there is no robot node in {self.node.get_namespace()}"
            return None
        request = self._change.Request()
        request.transition.id, leads_to = TRANSITIONS[transition]
        future = self._call(self._changing, request, transition)

        def changed(done: Any) -> None:
            if done.result().success:
                self.known.lifecycle = leads_to
                self._forget_asked()  # an answer that is on its way still tells the state before

        future.add_done_callback(changed)
        return future

    def _call(self, client: Any, request: Any, name: str) -> Any:
        self.known.answer = f"{name} …"
        future = self._last = client.call_async(request)
        self._last_s = time.monotonic()

        def answered(done: Any) -> None:
            answer = done.result()
            sentence = getattr(answer, "message", "") or ("done" if answer.success else "failed; its log says why")
            self.known.answer = sentence if sentence.startswith(name) else f"{name}: {sentence}"

        future.add_done_callback(answered)
        return future


def level_of(status: Any) -> int:
    """Of a ``DiagnosticStatus``: 0 fine, 1 warning, 2 error."""
    return status.level[0] if isinstance(status.level, bytes) else int(status.level)


def joy_stamp(message: Any) -> int:
    """When a gamepad's message was sent [ns]."""
    return stamp_ns(message.header)
