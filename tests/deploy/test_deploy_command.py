"""``robot-stack deploy`` with real processes over real ROS 2: simulated robots, nobody at the keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install 'robot_stack[ros]'")

DOMAIN = 180
PATIENCE_S = 240.0


def start(tmp_path: Path, *words: str, domain: int = DOMAIN) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "robot_stack.cli.main", "deploy", *words]
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
    }
    more = ["--log-folder", str(tmp_path / "logs"), "--domain", str(domain)]
    return subprocess.Popen([*command, *more], env=environment, text=True, start_new_session=True)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"it ended before {what}"
        assert time.monotonic() < until, what
        time.sleep(0.05)


def text_of(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def processes_with(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "emulated"])
def test_a_robot_is_brought_up_armed_and_taken_down(tmp_path: Path, direct: bool) -> None:
    words = ["collect", "--robot", "panda", "--task", "drawer", "--sim", "--hands-free", "--clock-speed", "0.3"]
    words += ["--dataset", str(tmp_path / "data"), *(["--direct"] if direct else [])]
    process = start(tmp_path, *words, domain=DOMAIN + direct)
    operator, robot = tmp_path / "logs" / "operator.log", tmp_path / "logs" / "robot.log"
    try:
        wait_until(lambda: "ARMED" in text_of(operator), process, "the robot was armed")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
    assert "engaged: UNCONFIGURED" in text_of(robot)
    assert "released" in text_of(robot), "it was released when it ended"
    assert "Traceback" not in text_of(operator) + text_of(robot)
    assert not processes_with(str(tmp_path / "logs"))


@pytest.mark.slow
def test_nobody_is_left_when_the_command_is_killed(tmp_path: Path) -> None:
    words = ["collect", "--robot", "panda", "--task", "drawer", "--sim", "--direct", "--hands-free"]
    process = start(tmp_path, *words, "--dataset", str(tmp_path / "data"), domain=DOMAIN + 2)
    marker = str(tmp_path / "logs")  # ROS_LOG_DIR of every process
    wait_until(lambda: "IDLE" in text_of(tmp_path / "logs" / "operator.log"), process, "the robot listened")
    assert len(processes_with(marker)) >= 3
    process.kill()
    process.wait()
    until = time.monotonic() + 60.0
    while processes_with(marker):
        assert time.monotonic() < until, "orphans"
        time.sleep(0.1)


def test_a_policy_that_is_not_there_starts_nothing(tmp_path: Path) -> None:
    words = ["--robot", "panda", "--task", "drawer", "--sim", "--policy", str(tmp_path / "no bundle")]
    done = subprocess.run(
        [sys.executable, "-m", "robot_stack.cli.main", "deploy", *words], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 2
    assert "no bundle" in done.stderr
    assert not (tmp_path / "deploy_logs").exists()


def test_a_real_robot_without_a_person_starts_nothing(tmp_path: Path) -> None:
    words = ["collect", "--robot", "panda", "--task", "drawer", "--dataset", str(tmp_path / "data")]
    command = [sys.executable, "-m", "robot_stack.cli.main", "deploy", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL, cwd=tmp_path)
    assert done.returncode == 2
    assert "by a person at a terminal" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_plan_is_shown_and_nothing_is_started(tmp_path: Path) -> None:
    words = ["replay", "--robot", "g1", "--task", "button", "--sim", "--dataset", str(tmp_path), "--show-plan"]
    command = [sys.executable, "-m", "robot_stack.cli.main", "deploy", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0
    for word in ("/g1/robot", "/g1/replay", "robot_stack.deploy.emulator_process", "ends everything"):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []
