"""The environment variables under which processes that use ROS 2 run, with PyPI's wheels or a distribution's ROS 2."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from robot_stack.core.errors import ConfigError, MissingExtraError, require_name
from robot_stack.hardware.ros.fast_dds import FastDdsProfile

GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
"""Set by the wheels when a Python has been started again with its library path; inherited by children."""

PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS looks for a profile; a user's own is left alone."""

DISCOVERY = {"localhost": "LOCALHOST", "subnet": "SUBNET"}
"""How far processes look for each other: on this machine alone, or in its network."""

Discovery = Literal["localhost", "subnet"]
"""A key of :data:`DISCOVERY`."""

DOMAINS = 233
"""Domains that DDS has; on Linux those above 101 can meet ports that other programs use."""


def require_ros(feature: str) -> None:
    """Raise unless rclpy can be imported.

    Args:
        feature: what it is wanted for.

    Raises:
        MissingExtraError: if it cannot.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise MissingExtraError(
            f"{feature} (on machines without x86-64 Linux: a sourced ROS 2)", extra="ros", package="rclpy"
        )


def ros_environment(
    base: Mapping[str, str] | None = None,
    *,
    domain: int | None = None,
    discovery: Discovery | None = None,
    profile: FastDdsProfile | None = None,
) -> dict[str, str]:
    """The environment for a child process that uses ROS 2.

    Args:
        base: what it builds on; this process's own when left out.
        domain: ROS domain, 0 to 232; left out, what ``base`` says, or 0.
        discovery: how far to look for other processes; left out, what ``base`` says, or ROS's own default.
        profile: for Fast DDS; left out, the shipped one, unless ``base`` names a file.

    Raises:
        ConfigError: if the domain does not exist.
        UnknownNameError: if there is no such range of discovery.
    """
    made = dict(os.environ if base is None else base)
    _complete_wheels(made)
    if domain is not None:
        if not 0 <= domain < DOMAINS:
            raise ConfigError("there is no such ROS domain", got=domain, expected=f"0 to {DOMAINS - 1}")
        made["ROS_DOMAIN_ID"] = str(domain)
    if discovery is not None:
        made["ROS_AUTOMATIC_DISCOVERY_RANGE"] = DISCOVERY[require_name("discovery range", discovery, DISCOVERY)]
        made.pop("ROS_LOCALHOST_ONLY", None)  # the older switch would win
    if profile is not None or not any(made.get(name) for name in PROFILES):
        made[PROFILES[0]] = str((profile or FastDdsProfile()).file())
        made.pop(PROFILES[1], None)
    made["PYTHONUNBUFFERED"] = "1"
    return made


def _complete_wheels(made: dict[str, str]) -> None:
    """What the wheels leave undone: tools look for packages in AMENT_PREFIX_PATH; the guard may be another's."""
    prefix = Path(sys.prefix)
    if not (prefix / "share" / "ament_index").is_dir():
        return
    known = [p for p in made.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    if str(prefix) not in known:
        made["AMENT_PREFIX_PATH"] = os.pathsep.join([*known, str(prefix)])
    searched = set(made.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    wanted = [prefix / "lib", *Path(sysconfig.get_paths()["purelib"]).glob("ros_*.libs")]
    if not all({str(folder), str(folder.resolve())} & searched for folder in wanted):
        made.pop(GUARD, None)  # it speaks of another environment: this one's Python has to start itself again
