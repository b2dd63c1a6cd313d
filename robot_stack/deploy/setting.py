"""What arguments leave open and a policy bundle tells: task, cameras, instruction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, require_name
from robot_stack.core.fields import CameraSpec
from robot_stack.deploy.arguments import PolicyArguments, RobotArguments
from robot_stack.policies.bundle import bundle_info
from robot_stack.sim.robot_catalog import modes_of, robot_name, robot_spec, robot_task, tasks_of

USUAL_IMAGE = (480, 640)
"""Rows and columns of a camera that no policy at hand asks for [pixel]."""


@dataclass(frozen=True)
class Setting:
    """One robot with one task, seen through cameras."""

    robot: str
    """Its name in the catalogue."""

    task: str
    """Full name of the task."""

    instruction: str
    """What to do, in words."""

    horizon_s: float
    """Longest episode of the task [s]."""

    namespace: str
    """ROS namespace of all nodes."""

    robot_parameters: str
    """The robot's own settings, a JSON object."""

    cameras: tuple[str, ...]
    """Cameras of the embodiment, in order."""

    devices: tuple[tuple[str, str], ...]
    """Name and device of each real camera that this deployment opens."""

    image_height: int
    """Rows of every camera's image [pixel]."""

    image_width: int
    """Columns of every camera's image [pixel]."""

    trained: Embodiment | None = None
    """What the policy was trained for; ``None`` without a bundle at hand."""

    looks: tuple[str, ...] = ()
    """Cameras that the policy looks through."""

    policy_sha256: str = ""
    """Hash of the policy bundle; empty without one at hand."""


def robot_setting(arguments: RobotArguments, policy: PolicyArguments | None) -> Setting:
    """Complete what arguments say.

    Args:
        arguments: which robot, how.
        policy: who drives; ``None`` for no policy.

    Raises:
        ConfigError: if an argument is missing or does not go with another.
        UnknownNameError: if robot, task or mode does not exist.
        BundleError: if the policy's folder is no bundle.
    """
    _check(arguments)
    robot = robot_name(arguments.robot)
    if arguments.mode:
        require_name("action mode", arguments.mode, modes_of(robot), where=robot)
    info = _bundle(policy)
    trained = from_plain(Embodiment, info["embodiment"]) if info else None
    looks = tuple(info["config"]["inputs"]["cameras"]) if info else ()
    task = _task(arguments, robot, info, policy.policy if policy else "")
    cameras, devices = _cameras(arguments, looks)
    height, width = _image_size(arguments, trained, cameras)
    description = robot_task(task)
    return Setting(
        robot=robot,
        task=task,
        instruction=(policy.instruction if policy else "") or description.instruction,
        horizon_s=description.horizon / robot_spec(robot).control_hz,
        namespace=arguments.namespace or f"/{robot}",
        robot_parameters=_robot_parameters(arguments),
        cameras=cameras,
        devices=devices,
        image_height=height,
        image_width=width,
        trained=trained,
        looks=looks,
        policy_sha256=str(info["policy_sha256"]) if info else "",
    )


def _check(arguments: RobotArguments) -> None:
    if not arguments.robot:
        raise ConfigError("no robot", remedy="robot: panda, bimanual, locoman or g1; robot-stack robots lists them")
    if not arguments.sim:
        for name, wrong in (
            ("clock_speed", arguments.clock_speed != 1.0),
            ("hands_free", arguments.hands_free),
            ("direct", arguments.direct),
        ):
            if wrong:
                raise ConfigError(f"{name} is for simulation only", got=getattr(arguments, name), remedy="sim: true")
    if not 0.0 < arguments.speed_share <= 1.0:
        raise ConfigError("speed_share lies within 0 and 1", got=arguments.speed_share)
    if arguments.duration_s and not arguments.hands_free:
        raise ConfigError("a person at the keys decides when it ends", got="duration_s without hands_free")
    if arguments.duration_s < 0 or not arguments.clock_speed > 0 or arguments.seed < 0:
        raise ConfigError("duration_s, clock_speed and seed are not negative", got=arguments)


def _bundle(policy: PolicyArguments | None) -> dict[str, Any] | None:
    if policy is None or not policy.policy or policy.policy.startswith(("ws://", "wss://")):
        return None
    if "://" in policy.policy:
        raise ConfigError(
            "this is neither a folder nor the address of a policy server",
            got=policy.policy,
            expected="ws://host:port, as robot-stack serve prints it",
        )
    return bundle_info(Path(policy.policy).expanduser())


def _task(arguments: RobotArguments, robot: str, info: dict[str, Any] | None, policy: str) -> str:
    """The task that was named, or the one whose words the policy learnt."""
    tasks = tasks_of(robot)
    if arguments.task:
        full = arguments.task if "/" in arguments.task else f"{robot}/{arguments.task}"
        return require_name(f"task of {robot}", full, tasks)
    if info and info["embodiment"]["name"] != robot_spec(robot).name:
        raise EmbodimentMismatchError(
            "the policy was trained for another robot",
            [f"it is of {info['embodiment']['name']}, this is {robot_spec(robot).name}"],
            where=policy,
        )
    learnt = tuple(info["tasks"]) if info else ()
    found = [name for name in tasks if robot_task(name).instruction in learnt]
    if len(found) == 1:
        return found[0]
    raise ConfigError(
        "which task is it?",
        got=f"the policy knows: {'; '.join(learnt)}" if learnt else "no policy bundle that says so",
        expected=", ".join(found or tasks),
        remedy=f"task: one of them, as {tasks[0]}",
    )


def _cameras(arguments: RobotArguments, looks: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    words = [word.strip() for word in arguments.cameras.split(",") if word.strip()]
    pairs = [(name, device) for name, _, device in (word.partition("=") for word in words)]
    names = tuple(name for name, _ in pairs) or looks
    if len(set(names)) != len(names):
        raise ConfigError("a camera is named twice", got=arguments.cameras)
    devices = tuple((name, device) for name, device in pairs if device)
    if arguments.sim and devices:
        raise ConfigError("a simulated robot has simulated cameras", got=arguments.cameras, expected="names alone")
    if missing := [name for name in looks if name not in names]:
        raise ConfigError("the policy looks through cameras that are not there", got=names, expected=missing)
    return names, devices


def _image_size(arguments: RobotArguments, trained: Embodiment | None, cameras: tuple[str, ...]) -> tuple[int, int]:
    if arguments.image_size:
        rows, _, columns = arguments.image_size.lower().partition("x")
        if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
            raise ConfigError("this is no size of an image", got=arguments.image_size, expected="as 96x128")
        return int(rows), int(columns)
    known: list[CameraSpec] = [c for c in trained.cameras if c.name in cameras] if trained else []
    sizes = {(camera.height, camera.width) for camera in known}
    if len(sizes) > 1:
        raise ConfigError("cameras of different sizes cannot be deployed together yet", got=sorted(sizes))
    return sizes.pop() if sizes else USUAL_IMAGE


def _robot_parameters(arguments: RobotArguments) -> str:
    text = arguments.robot_parameters.strip()
    where = "robot_parameters"
    if text and not text.startswith("{"):
        path = Path(text).expanduser()
        where = str(path)
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("the robot's settings cannot be read", where=where, got=str(error)) from error
    try:
        values = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ConfigError("the robot's settings are no JSON", where=where, got=str(error)) from error
    if not isinstance(values, dict):
        raise ConfigError("the robot's settings are no JSON object", where=where, got=text[:100])
    if arguments.network_interface:
        values["network_interface"] = arguments.network_interface
    return json.dumps(values, sort_keys=True)
