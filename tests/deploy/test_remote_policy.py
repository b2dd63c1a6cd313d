"""A policy at a server that goes, comes back, or is another: what the policy node says, and what the robot does."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("websockets")

from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.policy_core import PolicyCore, Reports
from robot_stack.hardware.ros.qos import reliable
from robot_stack.runtime.policy_client import ServerAddress
from tests.deploy.bundles import clumsy_bundle
from tests.deploy.ros_bench import Bench
from tests.deploy.test_robot_process import PANDA, Operator
from tests.runtime.serving import ROBOT, TOKEN, point_policy, served

TASK = "push the point to the goal"


class Node:
    """A policy node without ROS, with a policy at a server."""

    def __init__(self, url: str, token: Path) -> None:
        self.told: list[str] = []
        config = PolicyNodeConfig(policy=url, token_file=str(token), instruction=TASK)
        self.core = PolicyCore(config, Reports(lambda plan, stamp: None, self.told.append, self.told.append))
        self.core.meet(ROBOT)

    def until(self, true: Callable[[str], bool]) -> None:
        tick = threading.Event()
        for _ in range(3000):
            if true(self.core.describe()[1]):
                return
            self.core._retry_s = min(self.core._retry_s, 0.001)  # nobody waits in a test
            self.core.tend()
            tick.wait(0.01)
        raise AssertionError(self.core.describe())


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN + "\n")
    return tmp_path / "token"


@pytest.fixture
def node(token: Path) -> Iterator[Callable[[str], Node]]:
    made: list[Node] = []

    def make(url: str) -> Node:
        made.append(Node(url, token))
        return made[-1]

    yield make
    for each in made:
        each.core.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wrong_token(port: int) -> AbstractContextManager[ServerAddress]:
    return served(point_policy(), port=port, token="another-token")


def another_robot(port: int) -> AbstractContextManager[ServerAddress]:
    return served(replace(point_policy(), embodiment=replace(ROBOT, control_hz=7.0)), port=port)


def another_policy(port: int) -> AbstractContextManager[ServerAddress]:
    return served(replace(point_policy(), name="another point"), port=port)


REFUSALS = [
    (wrong_token, "the policy server does not take this token"),
    (another_robot, "another embodiment; got: 1 difference(s): the control rate is 20 Hz, expected 7 Hz"),
]


@pytest.mark.parametrize(("server", "sentence"), REFUSALS)
def test_who_is_not_let_in_at_the_start_says_why(node: Any, server: Any, sentence: str) -> None:
    with server(0) as address:
        made = node(address.url)
        made.until(lambda text: sentence in text)
        assert made.core.failure is not None, "which ends the process: nothing moves"
        assert "\n" not in made.core.describe()[1]


def test_a_server_that_is_not_there_and_a_token_that_is_not_there(node: Any, token: Path) -> None:
    made = node(f"ws://127.0.0.1:{free_port()}")
    made.until(lambda text: "no policy server can be reached" in text and "robot-stack serve" in text)
    assert made.core.failure is not None
    token.unlink()
    node("ws://127.0.0.1:1").until(lambda text: f"there is no token here; where: {token}" in text)


def test_a_server_goes_and_comes_back_and_is_taken_for_no_other(node: Any, token: Path) -> None:
    port = free_port()
    with served(point_policy(), port=port) as address:
        made = node(address.url)
        made.until(lambda text: text == "waits for ARMED")
    made.until(lambda text: text.startswith("the policy is lost") and "can be reached" in text)
    assert any("the policy is gone" in text for text in made.told), "missed while nobody asked it"
    another = (another_policy, "another policy answers at this address than before")
    for server, sentence in (*REFUSALS, another):
        with server(port):
            made.until(lambda text, sentence=sentence: sentence in text)
            assert made.core.describe()[0] == 2
            assert made.core.failure is None, "it is looked for again"
    token.write_text("another-token")
    with wrong_token(port):  # which is now the right one
        made.until(lambda text: text == "waits for ARMED")
    assert "the policy is back" in made.told


def serve(bench: Bench, bundle: Path, port: int, token: Path, folder: Path) -> subprocess.Popen[str]:
    """The server of ``robot-stack serve``, listening."""
    log = (folder / f"server_{len(bench.processes)}.log").open("w+")
    words = [sys.executable, "-m", "robot_stack.cli.main", "serve", str(bundle), "--device", "cpu"]
    process = subprocess.Popen(
        [*words, "--port", str(port), "--token-file", str(token)], stdout=log, stderr=subprocess.STDOUT, text=True
    )
    process.log = log  # type: ignore[attr-defined]
    bench.processes.append(process)
    return process


def test_a_robot_driven_from_a_server_outlives_it(bench: Bench, tmp_path: Path) -> None:
    """The server is killed under an armed robot: it rests, is disarmed, and moves again when it is armed again only."""
    from diagnostic_msgs.msg import DiagnosticStatus

    folder = tmp_path / "with a space"
    folder.mkdir()
    bundle, token, port = clumsy_bundle(folder / "bundle", "panda/drawer"), folder / "token", free_port()
    server = serve(bench, bundle, port, token, tmp_path)
    bench.start("robot_process", "robot", PANDA, tmp_path)
    operator = Operator(bench)
    bench.listen(DiagnosticStatus, "policy/status", reliable(5))
    operator.up()
    bench.until(lambda: "url" in bench.said(), "the server")
    told = {"policy": f"ws://127.0.0.1:{port}", "token_file": str(token), "clock_speed": PANDA["clock_speed"]}
    bench.start("policy_process", "policy", told, tmp_path)

    def policy() -> tuple[int, str]:
        newest = bench.heard["policy/status"][-1:]
        return next(((message.level[0], message.message) for message in newest), (3, ""))

    def pose() -> np.ndarray:
        return np.array(bench.heard["joint_states"][-1].position[:7])

    def accepted() -> int:
        return int(operator.value("chunks_accepted") or 0)

    bench.until(lambda: policy() == (0, "waits for ARMED"), "the policy")
    first = pose()
    operator.arm()
    bench.until(lambda: accepted() >= 5 and np.abs(pose() - first).max() > 0.02, "motion by chunks from the server")

    server.send_signal(signal.SIGKILL)
    operator.wait_state("HOLD")
    bench.until(lambda: policy()[0] == 2 and "no policy server can be reached" in policy()[1], "the sentence")
    seen = len(bench.heard["joint_states"])
    bench.until(lambda: len(bench.heard["joint_states"]) > seen + 25, "half a second more")
    rest, before, states = pose(), accepted(), len(bench.heard["state"])

    serve(bench, bundle, port, token, tmp_path)
    bench.until(lambda: policy() == (0, "waits for ARMED"), "the policy, back")
    assert "the policy is back" in bench.said()
    seen = len(bench.heard["joint_states"])
    bench.until(lambda: len(bench.heard["joint_states"]) > seen + 25, "half a second more")
    assert len(bench.heard["state"]) == states, "nobody armed it"
    assert accepted() == before
    assert np.abs(pose() - rest).max() < 0.005

    operator.arm()
    bench.until(lambda: accepted() >= before + 5, "chunks of the server that is back")
    assert "Traceback" not in bench.said()
