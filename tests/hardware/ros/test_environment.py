"""Child processes find ROS 2, one another, and a transport that carries images."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.hardware.ros.environment import GUARD, ros_environment
from robot_stack.hardware.ros.fast_dds import SHIPPED, FastDdsProfile

NAMESPACE = "{http://www.eprosima.com}"


def test_the_shipped_profile_is_the_default_one() -> None:
    assert SHIPPED.read_text() == FastDdsProfile().xml()
    assert FastDdsProfile().file() == SHIPPED
    tree = ElementTree.parse(SHIPPED)
    assert tree.find(f".//{NAMESPACE}segment_size").text == str(16 * 2**20)  # type: ignore[union-attr]
    assert tree.find(f".//{NAMESPACE}interfaceWhiteList") is None


def test_a_profile_for_robots_with_cyclone_dds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    profile = FastDdsProfile(interfaces=("127.0.0.1", "192.168.123.162"), type_propagation=False)
    tree = ElementTree.parse(profile.file())
    assert [a.text for a in tree.iter(f"{NAMESPACE}address")] == ["127.0.0.1", "192.168.123.162"]
    (property_,) = tree.iter(f"{NAMESPACE}property")
    assert [child.text for child in property_] == ["fastdds.type_propagation", "disabled"]
    assert profile.file() == profile.file()
    with pytest.raises(ConfigError, match="segment"):
        FastDdsProfile(segment_bytes=1000)


def test_domain_discovery_and_profile_are_set() -> None:
    made = ros_environment({"ROS_LOCALHOST_ONLY": "1"}, domain=42, discovery="localhost")
    assert made["ROS_DOMAIN_ID"] == "42"
    assert made["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_LOCALHOST_ONLY" not in made
    assert made["FASTDDS_DEFAULT_PROFILES_FILE"] == str(SHIPPED)


def test_a_users_own_profile_and_range_are_left_alone() -> None:
    own = {"FASTRTPS_DEFAULT_PROFILES_FILE": "/own.xml", "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "ROS_DOMAIN_ID": "7"}
    made = ros_environment(own)
    assert {name: made[name] for name in own} == own
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in made


@pytest.mark.parametrize("domain", [-1, 233])
def test_a_domain_that_does_not_exist(domain: int) -> None:
    with pytest.raises(ConfigError, match="0 to 232"):
        ros_environment(domain=domain)


def test_a_range_that_does_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="subnet"):
        ros_environment(discovery="subnett")  # type: ignore[arg-type]


def test_a_guard_of_another_environment_is_dropped_and_rclpy_imports() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    foreign = {**os.environ, GUARD: "1", "LD_LIBRARY_PATH": "/another/venv/lib"}
    if "share/ament_index" not in str(list(Path(sys.prefix).glob("share/ament_index"))):
        pytest.skip("ROS 2 comes from a distribution: it has no guard")
    made = ros_environment(foreign)
    assert GUARD not in made
    assert str(sys.prefix) in made["AMENT_PREFIX_PATH"].split(os.pathsep)
    code = "from rclpy.impl.implementation_singleton import rclpy_implementation"
    assert subprocess.run([sys.executable, "-c", code], env=made, capture_output=True).returncode == 0
    again = ros_environment(os.environ)
    assert again.get(GUARD) == os.environ.get(GUARD)
