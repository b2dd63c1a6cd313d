"""What the policy node does, without ROS."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, NonFiniteError
from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.policy_core import PolicyCore, Reports, chunking_of
from robot_stack.runtime.chunking import LatencyTrimmed, RealTimeChunking, Synchronous, linear_fade
from robot_stack.runtime.policy_connection import PolicyServerError
from robot_stack.runtime.timed_plan import TimedPlan
from tests.deploy.policies import ROBOT, SEEING, Counting, Place

PERIOD_NS = 50_000_000


class Bench:
    """A core with a policy that tests look into; its plans come out of a queue."""

    def __init__(self, driver: Counting, config: PolicyNodeConfig, robot=ROBOT, cameras: tuple[str, ...] = ()) -> None:
        self.place = Place(driver, cameras)
        self.plans: queue.Queue[tuple[TimedPlan, int]] = queue.Queue()
        self.said: queue.Queue[str] = queue.Queue()
        reports = Reports(lambda plan, stamp: self.plans.put((plan, stamp)), self.said.put, self.said.put)
        self.core = PolicyCore(config, reports, lambda config, robot: self.place)
        self.now_ns = 1_000_000_000_000_000_123
        self.tick = 0
        self.core.meet(robot)
        assert "ready" in self.said.get(timeout=30)

    def arm(self) -> None:
        begun = len(self.place.driver.begun)
        self.core.state("ARMED")
        self.until(lambda: len(self.place.driver.begun) > begun and self.core._begun)

    def step(self) -> None:
        self.now_ns += PERIOD_NS
        self.tick += 1
        self.core.observe(self.now_ns, np.array([self.tick, 0.0, 0.0]))

    def look_again(self) -> None:
        """The time to wait before that is over."""
        self.until(lambda: not self.core._busy)
        self.core._retry_s = 0.001
        self.core.tend()

    def until(self, true: Callable[[], bool]) -> None:
        """Work in another thread comes to be true."""
        tick = threading.Event()
        for _ in range(3000):
            if true():
                return
            tick.wait(0.01)
        raise AssertionError("it never came to be true")


@pytest.fixture
def bench():
    made: list[Bench] = []

    def make(config: PolicyNodeConfig | None = None, driver: Counting | None = None, **options) -> Bench:
        made.append(Bench(driver or Counting(), config or PolicyNodeConfig(policy="p", execute_steps=4), **options))
        return made[-1]

    yield make
    for each in made:
        each.core.close()
        assert each.place.closed


def test_it_plans_when_armed_only_and_names_the_observation_to_the_nanosecond(bench) -> None:
    b = bench()
    b.step()
    assert b.core.asynchronous.counts.asked == 0
    b.arm()
    b.step()
    plan, stamp = b.plans.get(timeout=30)
    assert stamp == b.now_ns
    np.testing.assert_array_equal(plan.actions[:, 0], b.tick + np.arange(16.0))
    b.core.state("HOLD")
    for _ in range(8):
        b.step()
    assert b.plans.empty()


def test_an_episode_begins_with_each_arming_and_its_own_seed(bench) -> None:
    b = bench(PolicyNodeConfig(policy="p", instruction="go on", seed=7))
    for _ in range(3):
        b.arm()
        b.core.state("ARMED")  # said twice: one episode
        b.core.state("SOFT_STOP")
    b.core.seed = 100
    b.arm()
    assert b.place.driver.begun == [("go on", 0), ("go on", 7), ("go on", 8), ("go on", 9), ("go on", 100)]


def test_plans_from_before_an_arming_reach_nobody(bench) -> None:
    driver = Counting()
    b = bench(driver=driver)
    b.arm()
    driver.gate = threading.Semaphore(0)
    b.step()
    b.core.state("HOLD")
    b.core.state("ARMED")
    driver.gate.release(10)
    b.until(lambda: len(driver.begun) == 3)
    b.until(lambda: b.core._begun)
    b.step()
    assert b.plans.get(timeout=30)[1] == b.now_ns
    assert b.core.asynchronous.counts.dropped == 1
    assert b.plans.empty()


def test_history_and_what_is_carried_out_reach_the_policy(bench) -> None:
    b = bench()
    b.arm()
    for _ in range(6):
        b.step()
        if not b.core.asynchronous.waiting:
            continue
        b.plans.get(timeout=30)
        b.until(lambda: b.core.asynchronous.waiting is None)
    seen = b.place.driver.histories[-1]
    assert [o.state[0] for o in seen] == [4.0, 5.0]
    running = b.place.driver.running[-1]
    np.testing.assert_array_equal(running.actions[:, 0], np.arange(5.0, 17.0))
    assert running.weights[0] == 1.0 > running.weights[-1] > 0.0


def test_a_policy_that_is_lost_is_looked_for_and_begins_anew(bench) -> None:
    driver = Counting()
    b = bench(driver=driver)
    b.arm()
    driver.failure = PolicyServerError("the policy server did not answer in time")
    b.step()
    b.until(lambda: not b.core._begun)
    assert "in time" in b.said.get(timeout=30)
    level, text, _ = b.core.describe()
    assert level == 2 and "lost" in text and "in time" in text
    b.core.tend()
    assert b.place.revived == 0, "not at once"
    b.look_again()
    b.until(lambda: b.place.revived == 1 and not b.core._busy)
    driver.failure = None
    b.look_again()
    b.until(lambda: b.core._begun)
    b.step()
    assert b.plans.get(timeout=30)[1] == b.now_ns
    assert b.core.describe()[0] == 0


def test_a_policy_that_goes_while_the_robot_holds_is_missed_and_is_back_before_it_is_armed(bench) -> None:
    b = bench()
    b.place.alive = False
    b.core.tend()
    assert "gone" in b.said.get(timeout=30)
    level, text, _ = b.core.describe()
    assert level == 2 and "lost" in text, "nobody arms a robot for a policy that is not there"
    b.place.driver.failure = PolicyServerError("no policy server can be reached")
    b.look_again()
    assert "reached" in b.said.get(timeout=30)
    assert "reached" in b.core.describe()[1]
    b.place.driver.failure, b.place.alive = None, True
    b.look_again()
    assert "back" in b.said.get(timeout=30)
    assert b.core.describe()[:2] == (0, "waits for ARMED")
    begun = len(b.place.driver.begun)
    b.step()
    assert b.plans.empty()
    b.arm()
    assert b.place.driver.begun[begun:] == [("", 0)]


def test_what_comes_back_must_be_the_policy_of_before(bench) -> None:
    b = bench()
    b.place.alive = False
    b.core.tend()
    b.place.driver.steps = 8
    b.look_again()
    b.until(lambda: "another one" in b.core.describe()[1])
    assert b.core.describe()[0] == 2


def test_an_episode_that_cannot_begin_says_why_and_the_policy_is_let_be(bench) -> None:
    b = bench(PolicyNodeConfig(policy="p", instruction="dance"))
    b.place.driver.failure = ConfigError("the policy does not know this instruction", got="dance")
    b.core.state("ARMED")
    b.until(lambda: b.core.describe()[0] == 2)
    assert b.core.describe()[1] == "no episode can begin: the policy does not know this instruction; got: dance"
    b.place.driver.failure = None
    b.look_again()
    b.until(lambda: b.core._begun)
    assert b.place.revived == 0


def test_a_refused_question_is_asked_again_with_the_next_observation(bench) -> None:
    driver = Counting()
    b = bench(driver=driver)
    b.arm()
    driver.failure = NonFiniteError("not finite")
    b.step()
    b.until(lambda: b.core.asynchronous.counts.failed == 1)
    driver.failure = None
    b.step()
    assert b.plans.get(timeout=30)[1] == b.now_ns
    assert b.place.revived == 0


def test_pictures_are_those_of_each_moment(bench) -> None:
    b = bench(robot=SEEING, cameras=("front",))
    b.arm()
    b.step()
    assert b.core.pictureless == 1
    for back, shade in ((PERIOD_NS, 50), (0, 100)):
        image = np.full((6, 8, 3), shade, np.uint8)
        b.core.frames.add("front", (b.now_ns + PERIOD_NS - back) * 1e-9 - 0.01, lambda image=image: image)
    b.step()
    b.plans.get(timeout=30)
    seen = b.place.driver.histories[-1]
    assert [o.images["front"][0, 0, 0] for o in seen] == [50, 100]


def test_a_robot_that_comes_back_may_not_be_another(bench) -> None:
    b = bench()
    b.core.meet(ROBOT)
    with pytest.raises(EmbodimentMismatchError, match="another robot"):
        b.core.meet(replace(ROBOT, control_hz=50.0))


def test_a_policy_of_another_robot_is_the_end() -> None:
    def refuse(config, robot):
        raise EmbodimentMismatchError("the policy is for another embodiment", ["the arm is longer"])

    core = PolicyCore(PolicyNodeConfig(policy="p"), Reports(lambda plan, stamp: None), refuse)
    core.meet(ROBOT)
    tick = threading.Event()
    while core.failure is None:
        tick.wait(0.01)
    assert "the arm is longer" in str(core.failure)
    assert core.describe()[0] == 2
    core.state("ARMED")
    core.tend()
    core.close()


def test_ways_of_chunking_by_name() -> None:
    def way(**options):
        return chunking_of(PolicyNodeConfig(policy="p", **options), 8, 15, 0.02)

    assert way(strategy="synchronous") == Synchronous(8, 0.01)
    assert way(strategy="trimmed", blend_steps=2) == LatencyTrimmed(7, 2, 0.01)
    assert way(strategy="real_time", execute_steps=99, schedule="linear") == RealTimeChunking(
        15, 5.0, linear_fade, 4, 0.01
    )
    with pytest.raises(ConfigError):
        PolicyNodeConfig(answer_timeout_s=0.0)
