"""What a safety filter may let through, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from robot_stack.core.errors import ConfigError

_NOT_NEGATIVE = ("max_rate", "max_acceleration", "max_step", "stiffness", "damping", "max_effort")


@dataclass(frozen=True)
class SafetyLimits:
    """Limits on the concatenated action vector. An empty tuple or ``None`` leaves that check out.

    Vectors have one entry for each number of the action; units are the action's own (``rad``, ``m`` …).
    """

    low: tuple[float, ...] = ()
    """Smallest allowed command."""

    high: tuple[float, ...] = ()
    """Largest allowed command."""

    max_rate: tuple[float, ...] = ()
    """Largest change of the command over time [unit/s]."""

    max_acceleration: tuple[float, ...] = ()
    """Largest change of the command's rate over time [unit/s²]."""

    max_step: tuple[float, ...] = ()
    """Largest change from one tick to the next [unit]."""

    stiffness: tuple[float, ...] = ()
    """Gain of the position loop behind the command [N·m/rad or N/m], for the torque check."""

    damping: tuple[float, ...] = ()
    """Damping of the position loop behind the command [N·m·s/rad or N·s/m]."""

    max_effort: tuple[float, ...] = ()
    """Largest torque or force that the position loop may be asked for [N·m or N]."""

    workspace_low: tuple[float, ...] = ()
    """Lower corner of the box that tracked points must stay in, in the world frame [m]; 3 numbers."""

    workspace_high: tuple[float, ...] = ()
    """Upper corner of that box [m]; 3 numbers."""

    max_tilt_rad: float | None = None
    """Largest angle between the body's up axis and the world's [rad]."""

    command_timeout_s: float | None = None
    """A command older than this is stale [s]."""

    observation_timeout_s: float | None = None
    """An observation older than this is stale [s]."""

    needs_deadman: bool = False
    """Motion only while somebody holds the deadman switch."""

    def check_size(self, action_size: int) -> None:
        """Check every limit by itself, against the size of the action and against each other.

        Raises:
            ConfigError: naming the limit that is wrong.
        """
        for name in (*_NOT_NEGATIVE, "low", "high"):
            vector = getattr(self, name)
            if vector and len(vector) != action_size:
                raise ConfigError(
                    f"the safety limit {name!r} does not match the action",
                    got=f"{len(vector)} entries",
                    expected=f"{action_size} or none",
                )
            if any(math.isnan(value) for value in vector):
                raise ConfigError(f"the safety limit {name!r} holds NaN", got=vector)
        for name in _NOT_NEGATIVE:
            if any(value < 0 for value in getattr(self, name)):
                raise ConfigError(f"the safety limit {name!r} is negative", got=getattr(self, name))
        for name in ("stiffness", "damping"):
            if any(math.isinf(value) for value in getattr(self, name)):
                raise ConfigError(f"the gain {name!r} is infinite", got=getattr(self, name))
        for name in ("workspace_low", "workspace_high"):
            corner = getattr(self, name)
            if corner and (len(corner) != 3 or any(math.isnan(value) for value in corner)):
                raise ConfigError(f"the safety limit {name!r} needs 3 numbers", got=corner)
        for name in ("max_tilt_rad", "command_timeout_s", "observation_timeout_s"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(f"the safety limit {name!r} is negative or NaN", got=value)
        for low, high in ((self.low, self.high), (self.workspace_low, self.workspace_high)):
            if low and high and any(a > b for a, b in zip(low, high, strict=True)):
                raise ConfigError("a lower limit is above its upper limit", got=(low, high))
        if self.max_effort and not self.stiffness:
            raise ConfigError("max_effort needs the stiffness of the position loop behind the command")

    def diff(self, other: SafetyLimits) -> list[str]:
        """Which limits differ, as ``name: other instead of mine``."""
        return [
            f"{f.name}: {getattr(other, f.name)} instead of {getattr(self, f.name)}"
            for f in fields(self)
            if getattr(self, f.name) != getattr(other, f.name)
        ]
