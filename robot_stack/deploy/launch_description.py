"""Plans as ROS's launch system takes them: arguments are declared, processes become nodes, and nothing is added.

``launch`` and ``launch_ros`` are imported when they are needed: they come with a distribution's ROS 2, not with wheels.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.deploy.arguments import KINDS, RobotArguments, as_text, choices, explained, from_texts
from robot_stack.deploy.check import require_ready
from robot_stack.deploy.plan import PLANS
from robot_stack.deploy.process_plan import PACKAGE, DeployPlan, ProcessPlan
from robot_stack.hardware.ros.environment import PROFILES, ros_environment

_OF_LAUNCH = ("launch-prefix", "launch-prefix-filter")
"""Arguments that ``ros2 launch`` makes of its own options."""

_HEARING = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", PROFILES[0])
"""Variables that decide which processes find each other."""


def launch_description(form: str) -> Any:
    """The launch description of one form of deployment.

    Args:
        form: a key of :data:`robot_stack.deploy.arguments.KINDS`.

    Raises:
        UnknownNameError: if there is no such form.
    """
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    from launch import LaunchDescription  # pyright: ignore[reportAttributeAccessIssue]

    kind = KINDS[require_name("form of deployment", form, KINDS)]
    defaults = {field.name: as_text(field.default) for field in dataclasses.fields(kind)}
    declared = [
        DeclareLaunchArgument(name, default_value=defaults[name], description=_described(kind, name, said))
        for name, said in explained(kind).items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_actions, args=[form])])


def plan_from_texts(form: str, texts: Mapping[str, str]) -> DeployPlan:
    """The plan of a form, checked against the policy.

    Raises:
        RobotStackError: of every kind that plans and checks raise.
    """
    kind = KINDS[form]
    told = from_texts(kind, texts)
    plan = PLANS[form](told)
    require_ready(plan, told)
    return plan


def _described(kind: type[RobotArguments], name: str, said: str) -> str:
    options = choices(kind, name)
    return f"{said} One of: {', '.join(options)}." if options else said


def _actions(context: Any, form: str) -> list[Any]:
    """Called by the launch system when it knows the arguments; what is wrong with them stops the launch here."""
    kind = KINDS[form]
    known = [field.name for field in dataclasses.fields(kind)]
    if _was_named(form, sys.argv):
        for word in context.argv:
            name, given, _ = str(word).partition(":=")
            if given and name not in _OF_LAUNCH:
                require_name("launch argument", name, known, where=f"{form}.launch.py")
    configurations = context.launch_configurations
    plan = plan_from_texts(form, {name: configurations[name] for name in known if name in configurations})
    return launch_actions(plan)


def _was_named(form: str, command: Sequence[str]) -> bool:
    """Whether ``ros2 launch`` was given this file; one that another launch file includes meets that one's arguments."""
    return any(PurePath(word).name == f"{form}.launch.py" for word in command)


def launch_actions(plan: DeployPlan) -> list[Any]:
    """Nodes of a plan, in order; those that need a terminal are not started but told how to be.

    Raises:
        ConfigError: if a node needs a terminal and is not the operator.
    """
    from launch.actions import LogInfo
    from launch.actions import Shutdown as ShutdownAction
    from launch_ros.actions import Node

    folder = tempfile.mkdtemp(prefix="robot_stack_launch_")
    shared = _variables(plan)
    made: list[Any] = [LogInfo(msg=plan.title)]
    by_hand: list[Any] = []
    for process in plan.processes:
        file = process.write_parameters(folder)
        if process.terminal:
            words = _by_hand(process, str(file), {**os.environ, **shared, **dict(process.environment)})
            by_hand.append(LogInfo(msg=f"{process.node}: run it in a terminal of its own:\n\n  {words}\n"))
            continue
        made.append(
            Node(
                package=PACKAGE,
                executable=process.executable,
                name=process.node,
                namespace=process.namespace,
                parameters=[] if file is None else [str(file)],
                remappings=list(process.remaps),
                additional_env={**shared, **dict(process.environment)},
                output="screen",
                sigterm_timeout=str(process.grace_s),
                sigkill_timeout=str(process.grace_s),
                on_exit=ShutdownAction(reason=f"{process.node} ended") if process.on_exit == "stop_all" else None,
                respawn=False,
            )
        )
    return made + by_hand


def _by_hand(process: ProcessPlan, file: str, environment: Mapping[str, str]) -> str:
    """What a person types into a terminal that knows nothing of this launch: who does not hear it commands nothing."""
    if process.executable not in ("operator", "evaluator"):
        raise ConfigError(f"the process {process.executable!r} wants a terminal, which a launch has none of")
    heard = [f"{name}={environment[name]}" for name in _HEARING if name in environment]
    words = ["env", *heard, "ros2", "run", PACKAGE, process.executable, *process.ros_arguments(file)]
    return shlex.join(words)


def _variables(plan: DeployPlan) -> dict[str, str]:
    """What a deployment adds to the environment that the launch has."""
    made = ros_environment(domain=plan.domain, discovery=plan.discovery, profile=plan.profile)
    added = {name: value for name, value in made.items() if os.environ.get(name) != value}
    return added | dict(plan.environment)


__all__: Sequence[str] = ["launch_actions", "launch_description", "plan_from_texts"]
