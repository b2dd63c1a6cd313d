"""Whether a robot is the one a policy was trained for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.safety_limits import SafetyLimits

_LOWER_IS_STRICTER = ("high", "max_rate", "max_acceleration", "max_step", "max_effort", "workspace_high")
_HIGHER_IS_STRICTER = ("low", "workspace_low")
_SHORTER_IS_STRICTER = ("max_tilt_rad", "command_timeout_s", "observation_timeout_s")
_MUST_AGREE = ("stiffness", "damping")


def require_deployable(
    trained: Embodiment, robot: Embodiment, *, cameras: tuple[str, ...], another_model: bool = False
) -> None:
    """Refuse a robot that is not the one a policy was trained for.

    Name, control rate, every state and action field with order, unit, names and limits, and the cameras the policy
    looks through must agree. Two things may differ: cameras it does not look through, and safety limits that are
    tighter than those of training, since the filter then only stops more.

    Args:
        trained: the policy's embodiment.
        robot: the one that was met.
        cameras: names of the cameras the policy looks through.
        another_model: accept another model hash, for a policy trained in simulation on a robot described otherwise.

    Raises:
        EmbodimentMismatchError: with every difference, as a sentence.
    """
    limits = trained.limits if at_least_as_strict(robot.limits, trained.limits) else robot.limits
    model = trained.model_sha256 if another_model else robot.model_sha256
    trained.require_match(replace(robot, limits=limits, model_sha256=model), use_cameras=cameras)


def at_least_as_strict(limits: SafetyLimits, than: SafetyLimits) -> bool:
    """Whether ``limits`` let nothing through that ``than`` stops.

    Gains of the position loop are no limits: they must agree wherever both name them.
    """
    if than.needs_deadman and not limits.needs_deadman:
        return False
    for name in _MUST_AGREE:
        if getattr(than, name) and getattr(limits, name) != getattr(than, name):
            return False
    for name in _SHORTER_IS_STRICTER:
        mine, other = getattr(limits, name), getattr(than, name)
        if (math.inf if mine is None else mine) > (math.inf if other is None else other):
            return False
    return all(_within(getattr(limits, name), getattr(than, name), 1.0) for name in _LOWER_IS_STRICTER) and all(
        _within(getattr(limits, name), getattr(than, name), -1.0) for name in _HIGHER_IS_STRICTER
    )


def _within(mine: tuple[float, ...], other: tuple[float, ...], sign: float) -> bool:
    """Whether upper (sign 1) or lower (sign -1) bounds are at least as tight; an empty tuple bounds nothing."""
    if not other:
        return True
    return len(mine) == len(other) and bool((sign * np.array(mine) <= sign * np.array(other)).all())
