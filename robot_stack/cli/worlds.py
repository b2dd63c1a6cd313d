"""Names of environments and tasks become makers of worlds and experts."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robot_stack.cli.parsing import Many, Maybe

if TYPE_CHECKING:
    from robot_stack.core.world import WorldMaker
    from robot_stack.runtime.slots import DriverMaker


@dataclass(frozen=True)
class WorldConfig:
    """What to see, and for how long."""

    cameras: Many[str] = ()
    """Cameras to record, e.g. corner2 topview; none: state only."""

    image_size: int = 96
    """Height and width of camera images [pixel]."""

    horizon: Maybe[int] = None
    """Longest episode [control steps]; the task's own when left out."""

    mode: str = ""
    """Robots only: how they are commanded (joint_position, hand_pose …, see robot-stack robots NAME); the task's usual
    way when left out."""

    mjcf: str = ""
    """Robots only: another model of the robot (MJCF) with the same joints, the vendor's with its meshes, say."""


def full_name(task: str) -> str:
    """``family/name`` of a task; a bare name is one of Meta-World.

    Raises:
        UnknownNameError: if there is no such task; the nearest names are listed.
    """
    from robot_stack.sim import catalog

    return "/".join(catalog.split(task if "/" in task else f"metaworld/{task}"))


def task_named(name: str | None, robot: str | None, task: str | None) -> str:
    """The full name of a task given as ``robot/task``, or in parts with ``--robot`` and ``--task``.

    Raises:
        ConfigError: if both ways or none were used.
        UnknownNameError: if there is no such robot or task.
    """
    from robot_stack.core.errors import ConfigError, require_name
    from robot_stack.sim.robot_catalog import robot_name, tasks_of

    if name is not None and robot is None and task is None:
        return full_name(name)
    if name is None and task is not None:
        if robot is None or "/" in task:
            return full_name(task)
        known = robot_name(robot)
        short = [full.partition("/")[2] for full in tasks_of(known)]
        return f"{known}/{require_name('task', task, short, where=f'robot {known!r}')}"
    if name is None and robot is not None:
        known = robot_name(robot)
        listed = ", ".join(full.partition("/")[2] for full in tasks_of(known))
        raise ConfigError(f"which task of {known!r}?", remedy=f"add --task with one of: {listed}")
    raise ConfigError(
        "name one task",
        got=f"{name or ''} --robot {robot or ''} --task {task or ''}",
        expected="metaworld/pick-place, or --robot panda --task pick-place",
    )


def world_maker(task: str, config: WorldConfig = WorldConfig()) -> WorldMaker:
    """What makes the world of a task, in any process.

    Raises:
        UnknownNameError: if there is no such task.
    """
    family, _, name = full_name(task).partition("/")
    benchmarks = {"metaworld": _metaworld, "dmc": _dmc, "gym": _gym}
    if family not in benchmarks:
        return _robot(f"{family}/{name}", config)
    if config.mode or config.mjcf:
        from robot_stack.core.errors import ConfigError

        raise ConfigError(f"{task!r} has one action mode and one model", got=config, expected="no mode and no mjcf")
    return benchmarks[family](name, config)


def usual_noise(task: str) -> float:
    """The noise that demonstrations of a task usually have: standard deviation [action unit, for robots m or m/s].

    Raises:
        UnknownNameError: if there is no such task.
    """
    from robot_stack.sim.robot_catalog import TASKS

    name = full_name(task)
    return TASKS[name].noise if name in TASKS else 0.1


def expert_maker(task: str, noise_std: float = 0.0) -> DriverMaker:
    """What makes the scripted expert of a Meta-World task or the scripted operator of a robot's task, beside its world.

    Args:
        task: what is to be shown.
        noise_std: standard deviation of the noise added to the expert's actions [action unit].

    Raises:
        ConfigError: if the task has no scripted expert.
    """
    from robot_stack.core.errors import ConfigError
    from robot_stack.sim.robot_catalog import TASKS, make_operator

    name = full_name(task)
    if name in TASKS and TASKS[name].operator:
        return functools.partial(make_operator, noise_std=noise_std)
    if not name.startswith("metaworld/"):
        raise ConfigError(
            f"{name!r} has no scripted expert",
            expected="a Meta-World task, or " + ", ".join(n for n, entry in TASKS.items() if entry.operator),
            remedy="record demonstrations with a policy (--policy), or take another task",
        )
    from robot_stack.sim.experts import ExpertConfig, make_expert

    return functools.partial(make_expert, config=ExpertConfig(noise_std=noise_std))


def _metaworld(name: str, config: WorldConfig) -> WorldMaker:
    from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld

    made = MetaWorldConfig(
        task=name,
        cameras=config.cameras,
        image_height=config.image_size,
        image_width=config.image_size,
        horizon=config.horizon or MetaWorldConfig.horizon,
    )
    return functools.partial(make_metaworld, made)


def _dmc(name: str, config: WorldConfig) -> WorldMaker:
    from robot_stack.sim.dmc import DmcConfig, make_dmc

    size = config.image_size
    made = DmcConfig(name, config.cameras, image_height=size, image_width=size, horizon=config.horizon)
    return functools.partial(make_dmc, made)


def _gym(name: str, config: WorldConfig) -> WorldMaker:
    from robot_stack.sim.gym_robot import GymnasiumConfig, make_gymnasium

    made = GymnasiumConfig(name, camera=bool(config.cameras), horizon=config.horizon)
    return functools.partial(make_gymnasium, made)


def _robot(name: str, config: WorldConfig) -> WorldMaker:
    from robot_stack.sim.robot_catalog import RobotWorldConfig, make_robot_world

    made = RobotWorldConfig(
        task=name,
        mode=config.mode,
        mjcf=config.mjcf,
        cameras=config.cameras,
        image_height=config.image_size,
        image_width=config.image_size,
        horizon=config.horizon,
    )
    return functools.partial(make_robot_world, made)
