"""From arguments to a plan: which processes, with which parameters. Nothing is started, opened or imported for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from robot_stack.core.errors import ConfigError
from robot_stack.deploy.arguments import (
    CollectArguments,
    DeployArguments,
    EvaluateArguments,
    PolicyArguments,
    ReplayArguments,
    RobotArguments,
)
from robot_stack.deploy.camera_config import CameraNodeConfig
from robot_stack.deploy.emulator_config import EmulatorConfig
from robot_stack.deploy.evaluator_config import EvaluatorConfig
from robot_stack.deploy.operator_config import OperatorConfig
from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.process_plan import DeployPlan, ProcessPlan
from robot_stack.deploy.recorder_config import RecorderConfig
from robot_stack.deploy.replay_config import ReplayConfig
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.deploy.setting import Setting, robot_setting
from robot_stack.hardware.ros.environment import Discovery
from robot_stack.hardware.ros.fast_dds import FastDdsProfile
from robot_stack.hardware.ros.interfaces import ipv4_address

NETWORKED = ("g1",)
"""Robots that speak DDS themselves: processes must see beyond this machine, and Cyclone DDS needs its own profile."""

ROBOT_GRACE_S = 10.0
"""A robot is stopped and released within this [s of robot time]."""

_QUIET = (
    ("RCUTILS_CONSOLE_OUTPUT_FORMAT", "[{severity}] {message}"),
    ("RCUTILS_COLORIZED_OUTPUT", "0"),
)
_ONE_THREAD = (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"))


def plan_deploy(arguments: DeployArguments) -> DeployPlan:
    """A policy drives a robot.

    Raises:
        ConfigError: if an argument is missing or does not go with another.
        UnknownNameError: if robot, task, mode or a choice does not exist.
        BundleError: if the policy's folder is no bundle.
    """
    _require_policy(arguments)
    setting = robot_setting(arguments, arguments)
    processes = [*_robot(arguments, setting), _policy(arguments, setting), *_cameras(arguments, setting)]
    if arguments.record:
        processes.append(_recorder(arguments, setting, arguments.record, _driver(arguments)))
    return _plan(
        "deploy", arguments, setting, [*processes, _operator("deploy", arguments, setting, "armed", ("policy",))]
    )


def _require_policy(arguments: PolicyArguments) -> None:
    if not arguments.policy:
        raise ConfigError("no policy", remedy="policy: folder of a bundle, or ws://host:port of a policy server")


def plan_collect(arguments: CollectArguments) -> DeployPlan:
    """Episodes are recorded, driven by a policy or by whoever publishes action chunks.

    Raises:
        ConfigError: if an argument is missing or does not go with another.
        UnknownNameError: if robot, task, mode or a choice does not exist.
        BundleError: if the policy's folder is no bundle.
    """
    if not arguments.dataset:
        raise ConfigError("no dataset", remedy="dataset: the folder to record into")
    setting = robot_setting(arguments, arguments)
    processes = [*_robot(arguments, setting), *_cameras(arguments, setting)]
    if arguments.policy:
        processes.append(_policy(arguments, setting))
    driver = _driver(arguments) if arguments.policy else "teleoperation"
    waits = ("policy",) if arguments.policy else ()
    processes.append(_recorder(arguments, setting, arguments.dataset, driver, storage=arguments.storage))
    return _plan("collect", arguments, setting, [*processes, _operator("collect", arguments, setting, "armed", waits)])


def plan_replay(arguments: ReplayArguments) -> DeployPlan:
    """A recorded episode is played.

    Raises:
        ConfigError: if an argument is missing or does not go with another.
        UnknownNameError: if robot, task, mode or a choice does not exist.
    """
    if not arguments.dataset:
        raise ConfigError("no dataset", remedy="dataset: the folder whose episode is to be played")
    setting = robot_setting(arguments, None)
    config = ReplayConfig(
        dataset=_absolute(arguments.dataset),
        episode=arguments.episode,
        column=arguments.column,
        speed=arguments.speed,
        clock_speed=arguments.clock_speed,
    )
    processes = [*_robot(arguments, setting), _process("replay", setting, config), *_cameras(arguments, setting)]
    if arguments.record:
        driver = f"replay of {arguments.dataset} episode {arguments.episode}"
        processes.append(_recorder(arguments, setting, arguments.record, driver))
    return _plan("replay", arguments, setting, [*processes, _operator("replay", arguments, setting, "armed")])


def plan_evaluate(arguments: EvaluateArguments) -> DeployPlan:
    """A policy's successes are counted.

    Raises:
        ConfigError: if an argument is missing or does not go with another.
        UnknownNameError: if robot, task, mode or a choice does not exist.
        BundleError: if the policy's folder is no bundle.
    """
    _require_policy(arguments)
    if not arguments.out:
        raise ConfigError("no folder for the results", remedy="out: a folder, new or of the same evaluation")
    verdict = arguments.verdict
    if verdict == "auto":
        verdict = "score" if arguments.sim else "person"
    if verdict == "score" and not arguments.sim:
        raise ConfigError("only a simulated task scores by itself", got="verdict score", expected="person")
    if verdict == "person" and arguments.hands_free:
        raise ConfigError("a person's verdict needs a person", got="hands_free with verdict person")
    setting = robot_setting(arguments, arguments)
    config = EvaluatorConfig(
        out=_absolute(arguments.out),
        task=setting.task,
        instruction=setting.instruction,
        name=Path(arguments.policy).name,
        subject=setting.policy_sha256 or arguments.policy,
        episodes=arguments.episodes,
        stream=arguments.stream,
        horizon_s=arguments.horizon_s or setting.horizon_s,
        verdict=verdict,
        reset_simulation=arguments.sim,
        clock_speed=arguments.clock_speed,
    )
    processes = [*_robot(arguments, setting), _policy(arguments, setting), *_cameras(arguments, setting)]
    if arguments.record:
        processes.append(_recorder(arguments, setting, arguments.record, _driver(arguments)))
    evaluator = _process("evaluator", setting, config, on_exit="stop_all", grace_s=10.0)
    ends = [evaluator, _operator("evaluate", arguments, setting, "idle")]
    if verdict == "person":
        ends[0] = dataclasses.replace(evaluator, terminal=True)
    return _plan("evaluate", arguments, setting, [*processes, *ends])


PLANS: dict[str, Callable[[Any], DeployPlan]] = {
    "deploy": plan_deploy,
    "collect": plan_collect,
    "replay": plan_replay,
    "evaluate": plan_evaluate,
}
"""From arguments to a plan, for every form of :data:`robot_stack.deploy.arguments.KINDS`."""


def _process(executable: str, setting: Setting, config: Any, *, node: str = "", **more: Any) -> ProcessPlan:
    """A process whose parameters are the fields of a frozen dataclass."""
    values = tuple((f.name, getattr(config, f.name)) for f in dataclasses.fields(config))
    return ProcessPlan(executable, node or executable, setting.namespace, values, **more)


def _robot(arguments: RobotArguments, setting: Setting) -> list[ProcessPlan]:
    robot = RobotNodeConfig(
        robot=setting.robot,
        task=setting.task,
        mode=arguments.mode,
        bus="direct" if arguments.direct else "robot",
        simulated=arguments.sim,
        start="here" if arguments.sim else "pose",  # a simulated body hangs at its seed's start until it is armed
        robot_parameters=setting.robot_parameters,
        base=arguments.base,
        cameras=setting.cameras,
        image_height=setting.image_height,
        image_width=setting.image_width,
        speed=arguments.speed_share,
        dry_run=arguments.dry_run,
        clock_speed=arguments.clock_speed,
        seed=arguments.seed,
    )
    grace_s = ROBOT_GRACE_S / min(1.0, arguments.clock_speed)
    process = _process(
        "robot", setting, robot, on_exit="stop_all", stop_rank=1, grace_s=grace_s, environment=_ONE_THREAD
    )
    if not arguments.sim or arguments.direct:
        return [process]
    emulator = EmulatorConfig(
        robot=setting.robot,
        task=setting.task,
        robot_parameters=setting.robot_parameters,
        seed=arguments.seed,
        cameras=setting.cameras,
        image_height=setting.image_height,
        image_width=setting.image_width,
        encoding="jpeg" if arguments.images == "jpeg" else "rgb8",
        clock_speed=arguments.clock_speed,
    )
    body = _process(
        "emulator",
        setting,
        emulator,
        on_exit="stop_all",
        stop_rank=2,
        grace_s=grace_s + 2.0,  # a launch asks it with the robot, and it stays until that has stopped
        environment=_ONE_THREAD,
    )
    return [body, process]


def _policy(arguments: RobotArguments, setting: Setting) -> ProcessPlan:
    assert isinstance(arguments, PolicyArguments)
    remote = arguments.policy.startswith(("ws://", "wss://"))
    config = PolicyNodeConfig(
        policy=arguments.policy if remote else _absolute(arguments.policy),
        token_file=_absolute(arguments.token_file) if arguments.token_file else "",
        device=arguments.device,
        source=arguments.source,
        another_model=arguments.another_model,
        instruction=setting.instruction,
        seed=arguments.seed,
        strategy=arguments.strategy,
        execute_steps=arguments.execute_steps,
        max_guidance_weight=arguments.max_guidance_weight,
        image_transport=_transport(arguments),
        clock_speed=arguments.clock_speed,
    )
    # Without its policy a robot holds still; a person then decides. With nobody there, all ends.
    return _process("policy", setting, config, on_exit="stop_all" if arguments.hands_free else "go_on")


def _cameras(arguments: RobotArguments, setting: Setting) -> list[ProcessPlan]:
    """Processes of real cameras; those of a simulated robot are rendered by its emulator."""
    return [
        _process(
            "camera",
            setting,
            CameraNodeConfig(
                camera=name,
                device=device,
                width=setting.image_width,
                height=setting.image_height,
                encoding="jpeg" if arguments.images == "jpeg" else "rgb8",
            ),
            node=f"camera_{name}",
        )
        for name, device in setting.devices
    ]


def _recorder(
    arguments: RobotArguments, setting: Setting, dataset: str, driver: str, storage: Any = "video"
) -> ProcessPlan:
    config = RecorderConfig(
        dataset=_absolute(dataset),
        instruction=setting.instruction,
        task=setting.task,
        driver=driver,
        cameras=setting.cameras,
        storage=storage,
        image_transport=_transport(arguments),
        clock_speed=arguments.clock_speed,
    )
    return _process("recorder", setting, config, stop_rank=2, grace_s=30.0)  # it sees the robot end


def _operator(
    form: str, arguments: RobotArguments, setting: Setting, until: Any, waits_for: tuple[str, ...] = ()
) -> ProcessPlan:
    config = OperatorConfig(
        title=_title(form, arguments, setting),
        simulated=arguments.sim,
        hands_free=arguments.hands_free,
        until=until,
        waits_for=waits_for,
        duration_s=arguments.duration_s,
        joy=arguments.joy,
        joy_button=arguments.joy_button,
        clock_speed=arguments.clock_speed,
    )
    return _process("operator", setting, config, on_exit="stop_all", terminal=not arguments.hands_free)


def _plan(form: str, arguments: RobotArguments, setting: Setting, processes: Iterable[ProcessPlan]) -> DeployPlan:
    networked = setting.robot in NETWORKED and not arguments.sim
    profile = None
    if networked:
        if not arguments.network_interface:
            raise ConfigError(
                f"{setting.robot} is reached over a network",
                remedy="network_interface: the one that its cable is plugged into, as enp3s0; ip address lists them",
            )
        address = ipv4_address(arguments.network_interface)
        profile = FastDdsProfile(tuple(dict.fromkeys(("127.0.0.1", address))), type_propagation=False)
    discovery: Discovery | None = None
    if arguments.discovery != "auto":
        discovery = arguments.discovery
    elif "ROS_AUTOMATIC_DISCOVERY_RANGE" not in os.environ:
        discovery = "subnet" if networked else "localhost"
    return DeployPlan(
        title=_title(form, arguments, setting),
        processes=tuple(processes),
        domain=None if arguments.domain == -1 else arguments.domain,
        discovery=discovery,
        profile=profile,
        environment=_QUIET,
        moves_hardware=not arguments.sim,
    )


def _title(form: str, arguments: RobotArguments, setting: Setting) -> str:
    body = "simulated" if arguments.sim else "REAL ROBOT"
    return f"{form} {setting.robot} ({body}): {setting.instruction or setting.task}"


def _transport(arguments: RobotArguments) -> Any:
    return "compressed" if arguments.images == "jpeg" else "raw"


def _driver(arguments: PolicyArguments) -> str:
    return f"policy {arguments.policy}"


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())
