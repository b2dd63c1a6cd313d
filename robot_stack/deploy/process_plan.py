"""What a deployment consists of, as plain data: the one source of the runner and of the launch files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from robot_stack.core.atomic import write_text
from robot_stack.core.errors import ConfigError
from robot_stack.hardware.ros.environment import Discovery
from robot_stack.hardware.ros.fast_dds import FastDdsProfile

PACKAGE = "robot_stack"
"""The ROS package that the executables belong to."""

OnExit = Literal["stop_all", "go_on"]
"""What the end of a process means: the whole deployment ends, or the others go on and the operator is told."""

ParameterValue: TypeAlias = "bool | int | float | str | tuple[str, ...]"
"""What a ROS parameter can be here."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAMESPACE = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+\Z")


@dataclass(frozen=True)
class ProcessPlan:
    """One process with one ROS node."""

    executable: str
    """``robot`` is ``lib/robot_stack/robot`` of the ROS package and ``python -m robot_stack.deploy.robot_process``."""

    node: str
    """Name of the node."""

    namespace: str
    """Of the node, absolute."""

    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    """Name and value of each ROS parameter."""

    remaps: tuple[tuple[str, str], ...] = ()
    """Names that are replaced, each with its replacement."""

    environment: tuple[tuple[str, str], ...] = ()
    """Variables of this process alone."""

    on_exit: OnExit = "go_on"
    """What its end means."""

    stop_rank: int = 0
    """Processes of lower rank are ended first; the robot ends before its emulator, and after all that drive it."""

    grace_s: float = 5.0
    """Between one way of ending it and the next, rougher one [s]."""

    terminal: bool = False
    """It talks with a person and has the terminal for itself."""

    def __post_init__(self) -> None:
        for what, name in (("executable", self.executable), ("node", self.node)):
            if not _NAME.match(name):
                raise ConfigError(
                    f"no name for a {what}", got=name, expected="letters, digits and _, not a digit first"
                )
        if not _NAMESPACE.match(self.namespace):
            raise ConfigError("no name for a namespace", got=self.namespace, expected="an absolute one, as /g1")

    @property
    def module(self) -> str:
        """What ``python -m`` runs."""
        return f"{PACKAGE}.deploy.{self.executable}_process"

    @property
    def full_name(self) -> str:
        """Namespace and node."""
        return f"{self.namespace}/{self.node}"

    def ros_arguments(self, parameter_file: str | Path | None) -> list[str]:
        """What follows the executable, in the order and form of launch_ros.

        Args:
            parameter_file: as :meth:`write_parameters` made it; ``None`` where there are no parameters.
        """
        words = ["--ros-args", "-r", f"__node:={self.node}", "-r", f"__ns:={self.namespace}"]
        if parameter_file is not None:
            words += ["--params-file", str(parameter_file)]
        for name, replacement in self.remaps:
            words += ["-r", f"{name}:={replacement}"]
        return words

    def write_parameters(self, folder: str | Path) -> Path | None:
        """Write the file for ``--params-file``; returns it, or ``None`` where there are no parameters.

        An empty list cannot be told in such a file; it is left out, and the node takes its default.
        """
        values = {name: value for name, value in self.parameters if value != ()}
        if not values:
            return None
        path = Path(folder) / f"{self.node}.yaml"
        # JSON is YAML, and its strings are quoted: "0" stays a string.
        write_text(path, json.dumps({self.full_name: {"ros__parameters": values}}, indent=2, allow_nan=False) + "\n")
        return path


@dataclass(frozen=True)
class DeployPlan:
    """All processes of one deployment."""

    title: str
    """What it is, for people, as ``"deploy g1 (simulated)"``."""

    processes: tuple[ProcessPlan, ...]
    """In the order in which they are started."""

    domain: int | None = None
    """ROS domain; ``None`` leaves what the environment says."""

    discovery: Discovery | None = None
    """How far processes look for each other; ``None`` leaves what the environment says."""

    profile: FastDdsProfile | None = None
    """For Fast DDS; ``None`` is the shipped one, unless the environment names another."""

    environment: tuple[tuple[str, str], ...] = field(default=())
    """Variables of all processes."""

    moves_hardware: bool = False
    """Whether something real can move."""

    def __post_init__(self) -> None:
        names = [p.full_name for p in self.processes]
        if len(set(names)) != len(names):
            raise ConfigError("two nodes of a deployment have one name", got=names)

    def process(self, node: str) -> ProcessPlan:
        """The process of one node.

        Raises:
            KeyError: if there is none.
        """
        found = {p.node: p for p in self.processes}
        return found[node]

    def without(self, nodes: Sequence[str]) -> tuple[ProcessPlan, ...]:
        """All processes but those of some nodes."""
        return tuple(p for p in self.processes if p.node not in nodes)
