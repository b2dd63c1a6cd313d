"""What a Go1 says of its own health, in words."""

from __future__ import annotations

import numpy as np

from robot_stack.hardware.locoman.config import LegsConfig
from robot_stack.hardware.unitree_go1.packets import OVERHEAT, SERVO, LegState

WARM_CELSIUS, LOW_BATTERY_PERCENT = 15.0, 10.0
"""A warning comes so much before the fault [°C], [%]."""

_NAMES = tuple(f"{leg} {part}" for leg in ("FR", "FL", "RR", "RL") for part in ("hip", "thigh", "calf"))


class LegReport:
    """Faults, warnings and readings of a Go1.

    Args:
        config: limits.
    """

    def __init__(self, config: LegsConfig) -> None:
        self._config = config

    def faults(self, state: LegState) -> tuple[str, ...]:
        """What it must stop for."""
        config, found = self._config, []
        hot = np.flatnonzero((state.temperature > config.hottest_motor_celsius) | (state.mode == OVERHEAT))
        if len(hot):
            found.append(f"overheated motors: {self._named(hot, state)}")
        other = np.flatnonzero((state.mode != SERVO) & (state.mode != OVERHEAT))
        if len(other):
            found.append(f"motors do not obey (mode {int(state.mode[other[0]])}): {self._named(other, state)}")
        if state.battery_percent < config.emptiest_battery_percent:
            found.append(f"battery at {state.battery_percent} %")
        return tuple(found)

    def warnings(self, state: LegState) -> tuple[str, ...]:
        """What should be looked after."""
        config, found = self._config, []
        if int(state.temperature.max()) > config.hottest_motor_celsius - WARM_CELSIUS:
            found.append(f"warm motors: {self._named(np.array([int(state.temperature.argmax())]), state)}")
        if state.battery_percent < config.emptiest_battery_percent + LOW_BATTERY_PERCENT:
            found.append(f"battery at {state.battery_percent} %")
        return tuple(found)

    def readings(self, state: LegState) -> dict[str, float]:
        """What is worth showing."""
        return {
            "battery_percent": float(state.battery_percent),
            "battery_volt": float(state.cells.sum()),
            "hottest_motor_celsius": float(state.temperature.max()),
        }

    @staticmethod
    def _named(motors: np.ndarray, state: LegState) -> str:
        return ", ".join(f"{_NAMES[i]} {int(state.temperature[i])} °C" for i in motors)
