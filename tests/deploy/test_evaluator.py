"""Evaluations conducted on a stage: in simulated time, and over ROS with stand-ins."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import episode_seed
from robot_stack.deploy.evaluator_config import EvaluatorConfig
from robot_stack.deploy.evaluator_core import MOST_RESETS, Evaluation, Seen, StageEnded, StageError
from robot_stack.deploy.person import Person
from robot_stack.deploy.ros_node import reliable, set_stamp
from robot_stack.evaluation.compare import compare
from robot_stack.evaluation.journal import EvaluationMismatchError
from robot_stack.evaluation.results import load_result
from tests.deploy.policies import ROBOT
from tests.deploy.ros_bench import Bench, StandIn


class Theatre:
    """A stage in simulated time. A play says when a seed succeeds, fails or makes the robot stop [s]."""

    def __init__(self, play: Callable[[int], tuple[str, float]]) -> None:
        self.play, self.robot = play, ROBOT
        self.state, self.time_s, self.seed, self.began_s = "IDLE", 100.0, -1, 0.0
        self.asked: list[str] = []
        self.reason = "the robot's state is 0.3 s old"
        self.refuse: dict[str, int] = {}
        self.said: bool | None = None

    def now_s(self) -> float:
        return self.time_s

    def wait(self, timeout_s: float) -> None:
        self.time_s += min(timeout_s, 0.05)
        if self.state == "READY":
            self.state = "HOLD"
        kind, at_s = self.play(self.seed)
        if self.state == "ARMED" and kind == "stop" and self.time_s - self.began_s > at_s:
            self.state = "SOFT_STOP"

    def request(self, service: str) -> tuple[bool, str]:
        self.asked.append(service)
        if self.refuse.get(service, 0):
            self.refuse[service] -= 1
            return False, f"{service} was refused"
        ways = {"hold": "HOLD", "ready": "READY", "arm": "ARMED", "reset": "HOLD"}
        self.state, self.began_s = ways[service], self.time_s
        return True, "done"

    def put_back(self, seed: int) -> None:
        self.seed = seed
        if self.state == "HOLD":
            self.state = "SOFT_STOP"  # its encoders jumped
        if self.play(seed)[0] == "broken":
            raise StageError("the emulator was not reset")

    def seed_policy(self, seed: int) -> None:
        assert seed == self.seed

    def scores(self) -> list[Seen]:
        kind, at_s = self.play(self.seed)
        reached = self.state == "ARMED" and self.time_s - self.began_s >= at_s
        return [Seen(self.time_s, 1.0, kind == "succeed" and reached, kind == "fail" and reached)]

    def verdict(self, *, over: bool) -> bool | None:
        return self.said


def config(tmp_path: Path, **options: Any) -> EvaluatorConfig:
    return EvaluatorConfig(out=str(tmp_path / "out"), task="line", name="me", horizon_s=3.0, **options)


PLAYS = [("succeed", 1.0), ("fail", 0.5), ("nothing", 0.0), ("stop", 1.5)]


def by_index(seed: int) -> tuple[str, float]:
    return PLAYS[seed % 4] if seed >= 0 else PLAYS[2]


def test_episodes_end_by_success_failure_stop_or_time(tmp_path: Path) -> None:
    said: list[str] = []
    result = Evaluation(config(tmp_path, episodes=4), Theatre(by_index), said.append).run()
    assert [e.ending for e in result.episodes] == ["success", "terminated", "horizon", "stopped"]
    assert [e.seed for e in result.episodes] == [episode_seed("held_out", i) for i in range(4)]
    assert (result.success.successes, result.success.trials) == (1, 4)
    assert result.success.low < 0.25 < result.success.high
    first = result.episodes[0]
    assert first.success_step == pytest.approx(20, abs=1)
    assert first.steps == pytest.approx(20, abs=2)
    assert result.episodes[2].steps == pytest.approx(60, abs=2)
    assert result.episodes[2].total_reward == pytest.approx(60, abs=3), "once a control period"
    assert "1/4" in said[-1]
    assert said[-2] == "episode 3: the robot left ARMED by itself for SOFT_STOP: the robot's state is 0.3 s old"
    assert load_result(tmp_path / "out" / "evaluation.json") == result


def test_the_robot_is_led_from_any_state_to_armed_and_held_afterwards(tmp_path: Path) -> None:
    for state in ("IDLE", "HOLD", "ARMED", "SOFT_STOP", "ESTOP", "READY"):
        stage = Theatre(lambda seed: ("succeed", 0.2))
        stage.state, stage.refuse = state, {"arm": 1, "ready": 1}
        result = Evaluation(config(tmp_path / state, episodes=2), stage).run()
        assert result.success.rate == 1.0
        assert stage.state == "HOLD"


def test_a_reset_that_is_refused_waits_and_a_robot_that_stops_again_and_again_does_not(tmp_path: Path) -> None:
    """On a busy machine a simulated robot can be silent for a while: no reason to give the episode up."""
    stage = Theatre(lambda seed: ("succeed", 0.2))
    stage.state, stage.refuse = "SOFT_STOP", {"reset": 12}
    assert Evaluation(config(tmp_path, episodes=1), stage).run().success.rate == 1.0

    class Falling(Theatre):
        def wait(self, timeout_s: float) -> None:
            super().wait(timeout_s)
            self.state = "SOFT_STOP"

    falling = Falling(lambda seed: ("succeed", 0.2))
    with pytest.raises(StageError) as raised:
        Evaluation(config(tmp_path / "falling", episodes=1 + 2), falling).run()
    assert "again and again" in str(raised.value)
    assert falling.asked.count("reset") == 3 * MOST_RESETS, "each of three episodes"


def test_an_interrupted_evaluation_goes_on(tmp_path: Path) -> None:
    stage = Theatre(by_index)

    class Interrupted(Exception):
        pass

    def interrupt(text: str) -> None:
        if text.startswith("episode 1"):
            raise Interrupted

    with pytest.raises(Interrupted):
        Evaluation(config(tmp_path, episodes=4), stage, interrupt).run()
    again = Theatre(by_index)
    result = Evaluation(config(tmp_path, episodes=6), again).run()
    assert again.asked.count("arm") == 4
    assert len(result.episodes) == 6
    lines = (tmp_path / "out" / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == 7
    with pytest.raises(EvaluationMismatchError, match="stream"):
        Evaluation(config(tmp_path, episodes=6, stream=1), again).run()


def test_what_breaks_off_is_tried_again_and_three_in_a_row_are_the_end(tmp_path: Path) -> None:
    broken = {1}
    stage = Theatre(lambda seed: ("broken", 0) if seed % 100 in broken else ("succeed", 0.2))
    result = Evaluation(config(tmp_path, episodes=3), stage).run()
    assert result.errors == 1
    assert "not reset" in result.episodes[1].error
    broken.clear()
    assert Evaluation(config(tmp_path, episodes=3), stage).run().success.rate == 1.0
    stage = Theatre(lambda seed: ("succeed", 0.2))
    stage.refuse = {"arm": 10**9}
    with pytest.raises(StageError, match="3 episodes"):
        Evaluation(config(tmp_path / "x", episodes=9, step_timeout_s=2.0), stage).run()
    with pytest.raises(ConfigError, match="folder"):
        Evaluation(EvaluatorConfig(), stage)


def test_an_episode_that_is_under_way_when_it_is_told_to_end_does_not_count(tmp_path: Path) -> None:
    class Ending(Theatre):
        def wait(self, timeout_s: float) -> None:
            super().wait(timeout_s)
            if self.asked.count("arm") == 2:
                raise StageEnded("the evaluation is being ended")

    with pytest.raises(StageEnded):
        Evaluation(config(tmp_path, episodes=4), Ending(lambda seed: ("succeed", 0.2))).run()
    assert len((tmp_path / "out" / "episodes.jsonl").read_text().splitlines()) == 2


def test_a_persons_verdict_ends_an_episode_or_is_waited_for(tmp_path: Path) -> None:
    for said, success in ((True, True), (False, False)):
        stage = Theatre(lambda seed: ("nothing", 0.0))
        stage.said = said
        result = Evaluation(config(tmp_path / str(said), episodes=1, verdict="person"), stage).run()
        assert result.episodes[0].success is success
        assert result.episodes[0].ending == ("success" if success else "terminated")


def test_results_over_ros_and_without_are_compared_on_equal_starts(tmp_path: Path) -> None:
    over = Evaluation(config(tmp_path, episodes=8), Theatre(by_index)).run()
    without = replace(over, name="without ROS")
    both = compare([over, without])
    assert both.starts == 8
    assert both.pairs[0].difference.value == 0.0


def test_what_a_person_types() -> None:
    told: list[str] = []
    person = Person(told.append, listen=True, terminal=io.StringIO("\nperhaps\nY\n"))
    tick = threading.Event()
    while person._lines.qsize() < 3:
        tick.wait(0.01)
    assert person.verdict() is True
    assert "neither" in told[-1]
    assert person.verdict() is None
    person.ask_for_verdict()
    person.ask_for_verdict()
    assert len(told) == 2
    assert not person.put_back()


def test_over_ros_with_stand_ins(bench: Bench, tmp_path: Path) -> None:
    from diagnostic_msgs.msg import DiagnosticStatus
    from sensor_msgs.msg import JointState
    from std_srvs.srv import Trigger

    from robot_stack.core.clock import ScaledClock
    from robot_stack.deploy.evaluator_process import EvaluatorNode

    clock, robot, did = ScaledClock(2.0), StandIn(bench, ROBOT), []
    asked, emulator, policy = (bench.make_node(name) for name in ("robot", "emulator", "policy"))
    emulator.declare_parameter("seed", 0)
    policy.declare_parameter("seed", 0)
    score = bench.node.create_publisher(JointState, "score", reliable(50))
    ready = policy.create_publisher(DiagnosticStatus, "policy/status", reliable(1))
    state = {"now": "IDLE", "armed_s": 0.0}

    def become(name: str) -> None:
        state.update(now=name, armed_s=clock.now())
        robot.say(name)

    def serve(name: str, target: str) -> None:
        def answer(request: Any, response: Any) -> Any:
            did.append(name)
            become(target)
            response.success = True
            return response

        asked.create_service(Trigger, name, answer)

    for name, target in (("hold", "HOLD"), ("ready", "HOLD"), ("arm", "ARMED"), ("reset", "HOLD")):
        serve(name, target)

    def put_back(request: Any, response: Any) -> Any:
        did.append(f"seed {emulator.get_parameter('seed').value}")
        response.success = True
        return response

    emulator.create_service(Trigger, "~/reset", put_back)

    def tick() -> None:
        ready.publish(DiagnosticStatus(message="waits for ARMED"))
        seed = emulator.get_parameter("seed").value
        reached = state["now"] == "ARMED" and clock.now() - state["armed_s"] > 0.3 and seed % 2 == 0
        message = JointState(name=["reward", "success", "failed"], position=[0.5, float(reached), 0.0])
        set_stamp(message.header, round(clock.now() * 1e9))
        score.publish(message)

    bench.node.create_timer(0.02, tick)
    given = {"out": str(tmp_path / "out"), "task": "line", "episodes": 2, "horizon_s": 2.0, "clock_speed": 2.0}
    evaluator = EvaluatorNode(bench.make_node("evaluator", given))
    bench.until(lambda: evaluator._done, "the end", poll_s=0.05)
    evaluator.close()
    assert evaluator._failure is None
    first, second = (episode_seed("held_out", i) for i in (0, 1))
    assert did == [f"seed {first}", "ready", "arm", "hold", f"seed {second}", "ready", "arm", "hold"]
    assert policy.get_parameter("seed").value == second
    lines = [json.loads(line) for line in (tmp_path / "out" / "episodes.jsonl").read_text().splitlines()[1:]]
    assert [line["ending"] for line in lines] == ["success", "horizon"]
