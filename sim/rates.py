"""Rates that divide each other."""

from __future__ import annotations

from robot_stack.core.errors import ConfigError


def divide(fast_hz: float, slow_hz: float, fast: str, slow: str) -> int:
    """How many periods of the fast rate make one of the slow rate.

    Raises:
        ConfigError: if it is not a whole number; the message quotes both rates and the nearest that would do.
    """
    ratio = fast_hz / slow_hz
    count = round(ratio)
    if count < 1 or abs(ratio - count) > 1e-6 * ratio:
        above = fast_hz / max(1, int(ratio))
        below = fast_hz / (int(ratio) + 1)
        raise ConfigError(
            f"the {slow} is no exact divisor of the {fast}",
            got=f"{slow} {slow_hz:g} Hz, {fast} {fast_hz:g} Hz",
            remedy=f"take {above:g} Hz or {below:g} Hz",
        )
    return count
