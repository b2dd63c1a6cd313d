"""Stand-ins for ``launch`` 3.7 and ``launch_ros`` 0.28: they write down what they get, and refuse what those refuse."""

from __future__ import annotations

from types import ModuleType
from typing import Any

LOCAL = {
    "shell", "sigterm_timeout", "sigkill_timeout", "emulate_tty", "output", "output_format", "cached_output", "log_cmd",
    "on_exit", "respawn", "respawn_delay", "respawn_max_retries", "condition",
}  # fmt: skip
"""Keyword arguments of ``launch.actions.ExecuteLocal``."""

PROCESS = LOCAL | {"prefix", "cwd", "env", "additional_env"}
"""Of ``launch.actions.ExecuteProcess``, without ``cmd`` and ``name``, which ``Node`` has its own way with."""

NODE = PROCESS | {
    "executable", "package", "name", "namespace", "exec_name", "parameters", "remappings", "ros_arguments", "arguments",
}  # fmt: skip
"""Of ``launch_ros.actions.Node``."""


class Recorded:
    """Anything of launch: its arguments as they came."""

    takes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    positional = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        unknown = set(named) - self.takes
        assert not unknown, f"{type(self).__name__} does not take {sorted(unknown)}"
        assert len(given) <= self.positional, f"{type(self).__name__} takes {self.positional} positional arguments"
        assert self.needs <= set(named), f"{type(self).__name__} needs {sorted(self.needs)}"
        self.given, self.named = given, named


def _kind(name: str, takes: set[str], *, positional: int = 0, needs: set[str] | None = None) -> type[Recorded]:
    made = {"takes": frozenset(takes), "positional": positional, "needs": frozenset(needs or ())}
    return type(name, (Recorded,), made)


LaunchDescription = _kind("LaunchDescription", {"initial_entities", "deprecated_reason"}, positional=1)
DeclareLaunchArgument = _kind(
    "DeclareLaunchArgument", {"default_value", "description", "choices", "condition"}, positional=1
)
OpaqueFunction = _kind("OpaqueFunction", {"function", "args", "kwargs", "condition"}, needs={"function"})
LogInfo = _kind("LogInfo", {"msg", "condition"}, needs={"msg"})
Shutdown = _kind("Shutdown", {"reason", "condition"})
Node = _kind("Node", NODE, needs={"executable"})


class Context:
    """What an ``OpaqueFunction`` is called with."""

    def __init__(self, argv: list[str], configurations: dict[str, str]) -> None:
        self.argv = argv
        self.launch_configurations = configurations


def modules() -> dict[str, ModuleType]:
    """By the names under which they are imported."""
    made = {name: ModuleType(name) for name in ("launch", "launch.actions", "launch_ros", "launch_ros.actions")}
    vars(made["launch"])["LaunchDescription"] = LaunchDescription
    for kind in (DeclareLaunchArgument, OpaqueFunction, LogInfo, Shutdown):
        vars(made["launch.actions"])[kind.__name__] = kind
    vars(made["launch_ros.actions"])["Node"] = Node
    return made
