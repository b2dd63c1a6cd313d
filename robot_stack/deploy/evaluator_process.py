"""``python -m robot_stack.deploy.evaluator_process``: conducts the episodes of an evaluation; see docs/policy_node.md.

Ends when the last episode is done, which ends the deployment.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from robot_stack.core.clock import ScaledClock
from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.evaluator_config import EvaluatorConfig
from robot_stack.deploy.evaluator_core import Evaluation, Seen, StageEnded, StageError
from robot_stack.deploy.introduction import Introduction
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.person import Person
from robot_stack.deploy.ros_node import Finished, latched, reliable, run, stamp_ns
from robot_stack.hardware.ros.steady_timer import steady_timer

REQUESTS = ("hold", "reset", "ready", "arm")
"""Services of the robot node that an evaluation uses."""

PATIENCE_S = 300.0
"""For the robot node and the policy to be there at all [real s]."""

_LOOK_S = 0.02


class RosStage:
    """A :class:`robot_stack.deploy.evaluator_core.Stage` over ROS.

    Its methods are called from a thread of the evaluation's own; callbacks come from the node's executor.

    Args:
        node: of rclpy, in the robot's namespace.
        config: of the evaluator.
        person: at the terminal, where there is one.
    """

    def __init__(self, node: Any, config: EvaluatorConfig, person: Person) -> None:
        from diagnostic_msgs.msg import DiagnosticStatus
        from rcl_interfaces.srv import SetParameters
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from std_srvs.srv import Trigger

        self._node, self._config, self._person = node, config, person
        self._clock = ScaledClock(config.clock_speed)
        self._changed = threading.Condition()
        self._robot: Embodiment | None = None
        self._state, self._reason, self._policy = "", "", ""
        self._scores: list[Seen] = []
        self._ended = False
        node.create_subscription(String, "embodiment", self._on_embodiment, latched())
        node.create_subscription(String, "state", self._on_state, latched(20))
        node.create_subscription(DiagnosticStatus, "status", self._on_status, reliable(1))
        node.create_subscription(JointState, "score", self._on_score, reliable(500))
        node.create_subscription(DiagnosticStatus, "policy/status", self._on_policy, reliable(1))
        self._trigger, self._set = Trigger, SetParameters
        self._requests = {name: node.create_client(Trigger, name) for name in REQUESTS}
        self._emulator = node.create_client(Trigger, "emulator/reset")
        self._seeding = {
            name: node.create_client(SetParameters, f"{name}/set_parameters") for name in ("emulator", "policy")
        }
        self._known = {name: Introduction(node, name) for name in ("robot", "emulator", "policy")}

    @property
    def robot(self) -> Embodiment:
        """Who plays; waits until it is known.

        Raises:
            StageError: if no robot node says so.
        """
        self._until(lambda: self._robot is not None, PATIENCE_S, "there is no robot node")
        assert self._robot is not None
        return self._robot

    @property
    def state(self) -> str:
        """Of the robot node, now."""
        return self._state

    @property
    def reason(self) -> str:
        """What the robot node says is wrong."""
        return self._reason

    def now_s(self) -> float:
        """The robot's clock [s]."""
        return self._clock.now()

    def wait(self, timeout_s: float) -> None:
        """Until something was heard.

        Raises:
            StageEnded: if the process is being ended.
        """
        with self._changed:
            self._changed.wait(timeout_s / self._clock.speed)
        self._check()

    def request(self, service: str) -> tuple[bool, str]:
        """Ask the robot node."""
        answer = self._call("robot", self._requests[service], self._trigger.Request(), service)
        return bool(answer.success), str(answer.message)

    def put_back(self, seed: int) -> None:
        """Reset the emulator by seed, or ask the person."""
        if not self._config.reset_simulation:
            self._person.ask_to_put_back(seed)
            while not self._person.put_back():
                self.wait(0.2)
            return
        self._give_seed("emulator", seed)
        answer = self._call("emulator", self._emulator, self._trigger.Request(), "emulator/reset")
        if not answer.success:
            raise StageError("the emulator was not reset", got=answer.message)

    def seed_policy(self, seed: int) -> None:
        """Set the policy node's seed and wait until it waits for ARMED."""
        self._until(lambda: self._policy == "waits for ARMED", PATIENCE_S, "the policy is not ready")
        self._give_seed("policy", seed)

    def scores(self) -> list[Seen]:
        """What the task said since the last call."""
        with self._changed:
            scores, self._scores = self._scores, []
        return scores

    def verdict(self, *, over: bool) -> bool | None:
        """What the person typed."""
        said = self._person.verdict()
        while said is None and over:
            self._person.ask_for_verdict()
            self.wait(0.2)
            said = self._person.verdict()
        return said

    def end(self) -> None:
        """Wake up whoever waits, for the last time."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _give_seed(self, node: str, seed: int) -> None:
        from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue

        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
        request = self._set.Request(parameters=[Parameter(name="seed", value=value)])
        answer = self._call(node, self._seeding[node], request, f"{node}/set_parameters")
        if not answer.results[0].successful:
            raise StageError(f"the {node} does not take the seed {seed}", got=answer.results[0].reason)

    def _call(self, node: str, client: Any, request: Any, name: str) -> Any:
        timeout_s = self._config.step_timeout_s / min(1.0, self._clock.speed)
        if not client.wait_for_service(timeout_s):
            raise StageError("a service is not there", got=name)
        if not self._known[node].made(timeout_s, self._waits):
            raise StageError(f"the {node} node does not answer", got=f"nothing within {timeout_s:g} s")
        future = client.call_async(request)
        future.add_done_callback(lambda _: self._notify())
        self._until(future.done, timeout_s, f"{name} is not answered")
        return future.result()

    def _until(self, true: Callable[[], bool], timeout_s: float, what: str) -> None:
        if not self._waits(true, timeout_s):
            raise StageError(what, got=f"nothing within {timeout_s:g} s")

    def _waits(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it comes true; looked at again with everything that is heard, and now and then."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not (self._ended or true()) and time.monotonic() < end:
                self._changed.wait(min(_LOOK_S, max(0.0, end - time.monotonic())))
        self._check()
        return true()

    def _check(self) -> None:
        if self._ended:
            raise StageEnded("the evaluation is being ended")

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _on_embodiment(self, message: Any) -> None:
        with self._changed:
            self._robot = from_plain(Embodiment, json.loads(message.data), where="topic 'embodiment'")
            self._changed.notify_all()

    def _on_state(self, message: Any) -> None:
        with self._changed:
            self._state = message.data
            self._changed.notify_all()

    def _on_status(self, message: Any) -> None:
        with self._changed:
            self._reason = message.message.partition(": ")[2]

    def _on_policy(self, message: Any) -> None:
        with self._changed:
            self._policy = message.message
            self._changed.notify_all()

    def _on_score(self, message: Any) -> None:
        said = dict(zip(message.name, message.position, strict=False))
        seen = Seen(
            stamp_ns(message.header) * 1e-9,
            said.get("reward", 0.0),
            said.get("success", 0.0) > 0.5,
            said.get("failed", 0.0) > 0.5,
        )
        with self._changed:
            self._scores.append(seen)
            self._changed.notify_all()


class EvaluatorNode:
    """Runs an evaluation in a thread and ends the process when it is done.

    Args:
        node: of rclpy.

    Raises:
        ConfigError: if a parameter is out of range.
    """

    def __init__(self, node: Any) -> None:
        self.node = node
        config = declare(node, EvaluatorConfig)
        log = node.get_logger()
        self._stage = RosStage(node, config, Person(log.info, listen=config.verdict == "person"))
        self._evaluation = Evaluation(config, self._stage, log.info)
        self._failure: Exception | None = None
        self._done = False
        self._thread = threading.Thread(target=self._run, name="evaluation", daemon=True)
        self._thread.start()
        steady_timer(node, 0.2, self._look)

    def close(self) -> None:
        """Stop after what is under way; what is finished is kept."""
        self._stage.end()
        self._thread.join(5.0)

    def _run(self) -> None:
        try:
            result = self._evaluation.run()
            self.node.get_logger().info(f"done: {result.success}")
        except StageEnded:
            pass  # what is finished is in the journal
        except Exception as error:  # whatever it is must end the process: nobody else waits for this thread
            if self.node.context.ok():  # else a signal has ended ROS under a question that was on its way
                self._failure = error
        self._done = True

    def _look(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._done:
            raise Finished


def main() -> int:
    """Run until the last episode is done."""
    return run("evaluator", EvaluatorNode)


if __name__ == "__main__":
    sys.exit(main())
