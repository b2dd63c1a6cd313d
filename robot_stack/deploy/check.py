"""Whether policy, dataset and what is installed suit a robot, before anything of a deployment starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, DatasetError, MissingExtraError
from robot_stack.deploy.arguments import CollectArguments, PolicyArguments, ReplayArguments, RobotArguments
from robot_stack.deploy.process_plan import DeployPlan
from robot_stack.deploy.replay_config import ReplayConfig
from robot_stack.deploy.setting import Setting, robot_setting
from robot_stack.policies.deployment import require_deployable
from robot_stack.sim.measured_senses import MeasuredSenses
from robot_stack.sim.robot_catalog import controller_maker, robot_spec, robot_task
from robot_stack.sim.robot_embodiment import describe_robot
from robot_stack.sim.robots.model import compile_robot

_POLICY_NEEDS = (("msgpack", "serve"), ("websockets", "serve"))
_BUNDLE_NEEDS = (("torch", "train"), ("diffusers", "train"))


def require_ready(plan: DeployPlan, arguments: RobotArguments) -> None:
    """Refuse what could only fail once processes run: the policy, the datasets, what is installed.

    Args:
        plan: made from the arguments.
        arguments: of any form of deployment.

    Raises:
        MissingExtraError: if a package is not installed.
        EmbodimentMismatchError: if the policy or a dataset is of another robot.
        PolicyServerError: if no policy server is there, or it does not take the token.
        DatasetError: if there is no dataset or episode to play, or a folder to record into holds something else.
    """
    policy = arguments if isinstance(arguments, PolicyArguments) and arguments.policy else None
    setting = robot_setting(arguments, policy)
    if policy is not None:
        require_packages(bundle=setting.trained is not None)
        require_policy_for(setting, arguments, policy)
    robot = embodiment_of(setting, arguments.mode)
    if isinstance(arguments, ReplayArguments):
        require_episode_for(robot, plan)
    into = arguments.dataset if isinstance(arguments, CollectArguments) else getattr(arguments, "record", "")
    if into:
        require_recordable(robot, Path(into).expanduser())


def require_packages(*, bundle: bool) -> None:
    """Refuse to start a policy node without what it imports.

    Args:
        bundle: the policy is loaded here, not asked for at a server.

    Raises:
        MissingExtraError: naming the extra that brings it.
    """
    for package, extra in (*_POLICY_NEEDS, *(_BUNDLE_NEEDS if bundle else ())):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("a policy on a robot", extra=extra, package=package)


def require_episode_for(robot: Embodiment, plan: DeployPlan) -> None:
    """Refuse a recorded episode that is not there, or is of another robot.

    Raises:
        DatasetError: if there is no such dataset or episode.
        EmbodimentMismatchError: if it was recorded with another robot.
    """
    from robot_stack.deploy.replay_core import Replay

    told: dict[str, Any] = dict(plan.process("replay").parameters)
    Replay(ReplayConfig(**told), robot)


def require_recordable(robot: Embodiment, folder: Path) -> None:
    """Refuse to record into a folder that holds something else, or episodes of another robot.

    Raises:
        DatasetError: if the folder holds no dataset, and is not empty either.
        ConfigError: if there is a file of that name.
        EmbodimentMismatchError: if the dataset is of another robot.
    """
    from robot_stack.datasets.layout import embodiment_path
    from robot_stack.datasets.metadata import read_json

    if folder.exists() and not folder.is_dir():
        raise ConfigError("the folder to record into is a file", got=folder)
    path = embodiment_path(folder)
    if path.exists():
        from_plain(Embodiment, read_json(path), where=str(path)).require_match(robot)
    elif folder.is_dir() and (
        foreign := sorted(p.name for p in folder.iterdir() if p.name[0] != "." and p.name != "meta")
    ):
        raise DatasetError(
            "the folder to record into is not empty and holds no dataset",
            where=folder,
            got=", ".join(foreign[:5]),
            remedy="name a new folder, or one of an earlier recording",
        )


def embodiment_of(setting: Setting, mode: str = "") -> Embodiment:
    """What the robot node will say that its robot is.

    Args:
        setting: which robot with which task.
        mode: action mode; empty for the task's usual one.
    """
    spec, task = robot_spec(setting.robot), robot_task(setting.task)
    model = compile_robot(spec, lambda made: task.furnish(made, spec))
    controller = (controller_maker(mode, setting.robot) or task.controller)(model)
    return describe_robot(
        model,
        state=MeasuredSenses(model, task.state_fields()).fields,
        action=controller.fields,
        control_hz=spec.control_hz,
        cameras=setting.cameras,
        image_height=setting.image_height,
        image_width=setting.image_width,
    )


def require_policy_for(setting: Setting, arguments: RobotArguments, policy: PolicyArguments) -> None:
    """Refuse a policy of another robot. A server is asked whether it lets this robot in; the policy node asks again.

    Raises:
        EmbodimentMismatchError: with every difference, as a sentence.
        PolicyServerError: if no server is there, or it does not take the token.
        ConfigError: if the server's address is none, or there is no token.
        MissingExtraError: if websockets or msgpack is not installed.
    """
    robot = embodiment_of(setting, arguments.mode)
    if setting.trained is None:
        require_server_for(robot, policy)
        return
    require_deployable(setting.trained, robot, cameras=setting.looks, another_model=policy.another_model)


def require_server_for(robot: Embodiment, policy: PolicyArguments) -> None:
    """Refuse a policy server that is not there, does not take the token, or serves a policy of another robot.

    Raises:
        RobotStackError: see :func:`require_policy_for`.
    """
    from robot_stack.deploy.policy_place import server_address
    from robot_stack.runtime.policy_client import RemoteBatchDriver

    RemoteBatchDriver(server_address(policy.policy, policy.token_file), robot).close()
