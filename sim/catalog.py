"""Which simulated worlds there are, by name; cheap to import.

Names are ``family/name``: ``metaworld/pick-place``, ``dmc/cartpole-swingup``, ``gym/CartPole-v1``, and, for the robots
we ship, ``robot/task``: ``panda/pick-place``. Turning a name into a world belongs to the command line; the makers are
:func:`robot_stack.sim.metaworld.make_metaworld`, :func:`robot_stack.sim.dmc.make_dmc`,
:func:`robot_stack.sim.gym_robot.make_gymnasium` and :func:`robot_stack.sim.robot_catalog.make_robot_world`.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from robot_stack.core.errors import MissingExtraError, UnknownNameError
from robot_stack.sim.dmc_tasks import INSTRUCTIONS
from robot_stack.sim.metaworld_tasks import TASKS
from robot_stack.sim.robot_catalog import ALIASES, ROBOTS, robot_task
from robot_stack.sim.robot_catalog import TASKS as ROBOT_TASKS

Family = Literal["metaworld", "dmc", "gym", "panda", "aloha", "locoman", "g1"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""Every family of worlds."""


def names(family: Family | None = None) -> tuple[str, ...]:
    """The full names of all worlds of one family, or of all families but Gymnasium.

    Listing ``"gym"`` imports Gymnasium and lists what is registered there at that moment.

    Raises:
        UnknownNameError: if there is no such family.
        MissingExtraError: if ``"gym"`` is asked for and Gymnasium is not installed.
    """
    if family is None:
        return names("metaworld") + names("dmc") + tuple(ROBOT_TASKS)
    if family in ROBOTS:
        return tuple(name for name in ROBOT_TASKS if name.startswith(f"{family}/"))
    if family == "metaworld":
        return tuple(f"metaworld/{name}" for name in TASKS)
    if family == "dmc":
        return tuple(f"dmc/{name}" for name in INSTRUCTIONS)
    if family == "gym":
        return tuple(f"gym/{name}" for name in _registered())
    raise UnknownNameError("family of worlds", family, FAMILIES)


def split(name: str) -> tuple[Family, str]:
    """Family and the name within it; Meta-World's may carry its version.

    Gymnasium names are checked when the world is made, since a name may bring its own module.

    Raises:
        UnknownNameError: naming the nearest valid names.
    """
    family, _, rest = name.partition("/")
    family = ALIASES.get(family, family)
    if family == "gym" and rest:
        return "gym", rest
    if family == "metaworld":
        rest = rest.removesuffix("-v3")
    if f"{family}/{rest}" not in names():
        raise UnknownNameError("world", name, names())
    return cast(Family, family), rest


def instruction(name: str) -> str:
    """What is to be done in a world; empty for Gymnasium, which does not say.

    Raises:
        UnknownNameError: naming the nearest valid names.
    """
    family, rest = split(name)
    if family in ROBOTS:
        return robot_task(f"{family}/{rest}").instruction
    if family == "metaworld":
        return TASKS[rest].instruction
    return INSTRUCTIONS[rest] if family == "dmc" else ""


def _registered() -> list[str]:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtraError("listing Gymnasium environments", extra="sim", package="gymnasium") from error
    return sorted(gymnasium.registry)
