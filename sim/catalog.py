"""Which simulated worlds there are, by name; cheap to import.

Names are ``family/name``: ``metaworld/pick-place``, ``dmc/cartpole-swingup``, ``gym/CartPole-v1``. Turning a name into
a world belongs to the command line; the makers are :func:`robot_stack.sim.metaworld.make_metaworld`,
:func:`robot_stack.sim.dmc.make_dmc` and :func:`robot_stack.sim.gym_robot.make_gymnasium`.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from robot_stack.core.errors import MissingExtraError, UnknownNameError
from robot_stack.sim.dmc_tasks import INSTRUCTIONS
from robot_stack.sim.metaworld_tasks import TASKS

Family = Literal["metaworld", "dmc", "gym"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""Every family of worlds."""


def names(family: Family | None = None) -> tuple[str, ...]:
    """The full names of all worlds of one family, or of Meta-World and DMControl.

    Listing ``"gym"`` imports Gymnasium and lists what is registered there at that moment.

    Raises:
        UnknownNameError: if there is no such family.
        MissingExtraError: if ``"gym"`` is asked for and Gymnasium is not installed.
    """
    if family is None:
        return names("metaworld") + names("dmc")
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
    if family == "gym" and rest:
        return "gym", rest
    if family == "metaworld":
        rest = rest.removesuffix("-v3")
    if f"{family}/{rest}" not in names():
        raise UnknownNameError("world", name, names())
    return cast(Family, family), rest


def instruction(name: str) -> str:
    """What is to be done in a world of Meta-World or DMControl; empty for Gymnasium, which does not say.

    Raises:
        UnknownNameError: naming the nearest valid names.
    """
    family, rest = split(name)
    if family == "metaworld":
        return TASKS[rest].instruction
    return INSTRUCTIONS[rest] if family == "dmc" else ""


def _registered() -> list[str]:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtraError("listing Gymnasium environments", extra="sim", package="gymnasium") from error
    return sorted(gymnasium.registry)
