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
