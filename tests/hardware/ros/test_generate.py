"""Messages that no wheel carries are generated and compiled to be what their robots and controllers speak."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from robot_stack.core.errors import UnknownNameError
from robot_stack.hardware.ros.generate.compiler import MessageBuildError
from robot_stack.hardware.ros.generate.definitions import definitions, packages
from robot_stack.hardware.ros.generate.messages import built, cache_folder, messages

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install 'robot_stack[ros]'")

UPSTREAM = {
    "unitree_hg/msg/LowCmd": "RIHS01_b0eec4778db3ad67ffade328b063bea700bd1558f3f359ea5e4c86e3c3f25bc5",
    "unitree_hg/msg/LowState": "RIHS01_aee6c5bd4b4d2eeca854bf47e32e4e3d34c47c2cafa05c08b6b0fa4bc51c6b3a",
    "unitree_hg/msg/HandState": "RIHS01_f8f161522deb4e58d5c1d679826c2a405b63b409db7e4ea9d17628f3029c4d2f",
    "unitree_hg/msg/BmsState": "RIHS01_59d9c2459ddf390072902896850ce13ea5de394157907c7dc514d2187ff3e51f",
    "unitree_api/msg/Request": "RIHS01_60dda80d19538b06c8f79b77222b1b7642dd753b8439a6bd535ff0cba08c5378",
    "unitree_api/msg/Response": "RIHS01_5300d019bb652073e7248995c878765c68ab519bcbdbad2e2a17c81abd8888b9",
    "control_msgs/action/FollowJointTrajectory": (
        "RIHS01_ff29901b2693f5deb847e96084a1c2cdb26e70b7c847be21859b70a55fb29cf0"
    ),
    "control_msgs/action/GripperCommand": "RIHS01_e17c0e644eccf14bea84a0a93e0977182872c2eb7873ca6694900059b46dbc84",
    "control_msgs/action/ParallelGripperCommand": (
        "RIHS01_adfd3c1ebe8abc38ebcc0e454b6423d291d4010dd5697d14eca5b9be4726ae18"
    ),
    "control_msgs/msg/JointTrajectoryControllerState": (
        "RIHS01_51d8dd89cc624cbe9daaeeb4d80d6de9b86168ffdc3be41fefc0953e3c26e480"
    ),
}
"""Type hashes (REP 2016) of unitree_ros2 (eea2719) and control_msgs 6.8.0, computed once from their own definitions."""


def test_every_package_names_what_it_needs() -> None:
    assert packages() == ("control_msgs", "unitree_api", "unitree_hg")
    assert definitions("unitree_hg").needs == ()
    assert {"trajectory_msgs", "std_msgs", "sensor_msgs", "action_msgs"} <= set(definitions("control_msgs").needs)


def test_the_types_are_those_of_the_robots_and_controllers() -> None:
    found = {}
    for package in packages():
        for file in (built(package) / "share" / package).rglob("*.json"):
            for entry in json.loads(file.read_text())["type_hashes"]:
                found[entry["type_name"]] = entry["hash_string"]
    assert {name: found[name] for name in UPSTREAM} == UPSTREAM


def test_a_command_of_the_g1_goes_over_the_wire_as_its_layout_says() -> None:
    from rclpy.serialization import deserialize_message, serialize_message

    low_cmd = messages("unitree_hg").msg.LowCmd()
    low_cmd.mode_pr, low_cmd.mode_machine, low_cmd.crc = 0, 5, 0x52AE0BC5
    for k, motor in enumerate(low_cmd.motor_cmd):
        motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd = 1, 0.25 * k, -0.5, 2.0, 60.0, 1.5
    motors = [v for k in range(35) for v in (1, 0.25 * k, -0.5, 2.0, 60.0, 1.5, 0)]
    layout = struct.Struct("<4s2B" + "Bx5fI" + "B3x5fI" * 34 + "5I")
    packed = layout.pack(b"\x00\x01\x00\x00", 0, 5, *motors, 0, 0, 0, 0, 0x52AE0BC5)
    # Fast DDS leaves whatever was in memory between the fields, so the bytes are compared field by field.
    assert layout.unpack(serialize_message(low_cmd)) == layout.unpack(packed)
    assert deserialize_message(packed, type(low_cmd)) == low_cmd


@pytest.mark.parametrize("package", packages())
def test_every_type_can_be_made_sent_and_read(package: str) -> None:
    from rclpy.serialization import deserialize_message, serialize_message
    from rclpy.type_support import check_for_type_support

    module = messages(package)
    for path, _ in definitions(package).texts:
        kind, name = Path(path).parent.name, Path(path).stem
        made = getattr(getattr(module, kind), name)
        check_for_type_support(made)
        message = made.Goal() if kind == "action" else made()
        assert deserialize_message(serialize_message(message), type(message)) == message


def test_an_unknown_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unitree_hg"):
        messages("unitree_hgg")


def test_no_compiler_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MessageBuildError, match=r"gcc, g\+\+[\s\S]*apt-get install"):
        built("unitree_api")
    assert not [p for p in cache_folder().iterdir() if p.is_dir()]


BUILD = "from robot_stack.hardware.ros.generate.messages import built; print(built('unitree_api'))"


@pytest.mark.slow
def test_two_processes_build_once_and_a_killed_build_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    root = tmp_path / "robot_stack" / "ros_messages"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", BUILD], env=environment, stdout=subprocess.PIPE, text=True)

    victim = start()
    while not list(root.glob(".*.build-*/objects/*/*.o")):
        assert victim.poll() is None, "it ended before anything was compiled"
    victim.kill()
    victim.wait()
    assert list(root.glob(".*.build-*"))
    pair = [start(), start()]
    told = [process.communicate(timeout=250)[0].strip() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    (folder,) = {Path(line) for line in told}
    assert [p for p in root.iterdir() if p.is_dir()] == [folder]
