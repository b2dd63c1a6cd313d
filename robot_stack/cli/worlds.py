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


def full_name(task: str) -> str:
    """``family/name`` of a task; a bare name is one of Meta-World.

    Raises:
        UnknownNameError: if there is no such task; the nearest names are listed.
    """
    from robot_stack.sim import catalog

    return "/".join(catalog.split(task if "/" in task else f"metaworld/{task}"))


def world_maker(task: str, config: WorldConfig = WorldConfig()) -> WorldMaker:
    """What makes the world of a task, in any process.

    Raises:
        UnknownNameError: if there is no such task.
    """
    family, _, name = full_name(task).partition("/")
    return {"metaworld": _metaworld, "dmc": _dmc, "gym": _gym}[family](name, config)


def expert_maker(task: str, noise_std: float = 0.0) -> DriverMaker:
    """What makes the scripted expert of a Meta-World task, beside its world.

    Args:
        task: a Meta-World task.
        noise_std: standard deviation of the noise added to the expert's actions [action unit].

    Raises:
        ConfigError: if the task has no scripted expert.
    """
    from robot_stack.core.errors import ConfigError

    name = full_name(task)
    if not name.startswith("metaworld/"):
        raise ConfigError(
            f"{name!r} has no scripted expert",
            expected="one of the 50 Meta-World tasks",
            remedy="record demonstrations with a policy (--policy), or take a Meta-World task",
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
