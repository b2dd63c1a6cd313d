"""How processes of the deployment end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from robot_stack.hardware.ros.environment import ros_environment
from tests.deploy.ros_bench import DOMAIN, LONG_S

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_what_a_callback_has_begun_it_finishes(tmp_path: Path, number: signal.Signals) -> None:
    words = ["-m", "tests.deploy.busy_node", "--ros-args", "-p", f"folder:={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, *words],
        env=ros_environment(domain=DOMAIN, discovery="localhost"),
        cwd=Path(__file__).resolve().parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        tick = threading.Event()
        for _ in range(int(LONG_S / 0.05)):
            if (tmp_path / "begun").exists() or process.poll() is not None:
                break
            tick.wait(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=LONG_S)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert {file.name for file in tmp_path.iterdir()} == {"begun", "finished", "closed"}
    assert "Traceback" not in said


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    tick = threading.Event()
    for _ in range(int(LONG_S / 0.05)):
        if path.exists() or process.poll() is not None:
            break
        tick.wait(0.05)
    assert process.poll() is None, "it ended"
    assert path.exists(), path.name


@pytest.mark.parametrize("then", ["over", pytest.param("again", marks=pytest.mark.slow), "ordered"])
def test_a_node_that_is_needed_outlives_the_first_ctrl_c(tmp_path: Path, then: str) -> None:
    """A launch sends it to all processes at once: a robot that stops needs its simulated body a little longer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.deploy.lingering_node", "--ros-args", "-p", f"folder:={tmp_path}"],
        env=ros_environment(domain=DOMAIN, discovery="localhost"),
        cwd=Path(__file__).resolve().parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        (tmp_path / "needed").touch()
        wait_for(tmp_path / "alive", process)
        process.send_signal(signal.SIGINT)
        wait_for(tmp_path / "asked", process)
        (tmp_path / "alive").unlink()
        wait_for(tmp_path / "alive", process)  # its callbacks go on
        if then == "over":
            (tmp_path / "needed").unlink()
        else:
            process.send_signal(signal.SIGINT if then == "again" else signal.SIGTERM)
        _, said = process.communicate(timeout=LONG_S)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert (tmp_path / "closed").exists() and "Traceback" not in said
