"""LocoMan's addresses, calibration and limits, as plain data in one JSON file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from robot_stack.core.config_json import from_plain
from robot_stack.core.errors import ConfigError
from robot_stack.hardware.dynamixel.serial_port import SPEEDS
from robot_stack.hardware.locoman.joint_map import SERVOS
from robot_stack.hardware.unitree_go1.link import Go1Address

Library = Literal["ours", "unitree"]
"""Who makes the Go1's packets: we, or Unitree's Python binding."""


@dataclass(frozen=True)
class LegsConfig:
    """Of the Go1."""

    address: Go1Address = field(default_factory=Go1Address)
    """Where it is."""

    library: Library = "ours"
    """Who makes its packets."""

    power_level: int = 10
    """The legs may give off a tenth of :data:`robot_stack.hardware.locoman.power.FULL_POWER_W` for each, 1 to 10."""

    foot_zero: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """What the feet's sensors show in the air [counts]; calibrate."""

    foot_newton_per_count: float = 1.0
    """Force for each count above that [N]; calibrate."""

    hottest_motor_celsius: float = 80.0
    """A motor that is hotter is a fault [°C]."""

    emptiest_battery_percent: float = 10.0
    """A battery that is emptier is a fault [%]."""

    def __post_init__(self) -> None:
        if self.power_level not in range(1, 11):
            raise ConfigError("the power level is a number from 1 to 10", got=self.power_level)


@dataclass(frozen=True)
class ServosConfig:
    """Of the manipulators."""

    port: str = "/dev/ttyUSB0"
    """The serial port; better a name in /dev/serial/by-id."""

    speed: int = 1000000
    """[bit/s]."""

    rate_hz: float = 200.0
    """How often they are told and asked [Hz]."""

    fast: bool = False
    """Whether a manipulator's servos answer in one packet; needs recent firmware."""

    zero_ticks: tuple[int, ...] = (2048,) * len(SERVOS)
    """Position of each servo where its joint is at 0 [4096th of a turn]; calibrate."""

    direction: tuple[int, ...] = (1,) * len(SERVOS)
    """1 where a servo turns as its joint does, -1 where it turns against it; calibrate."""

    p_gain: tuple[int, ...] = (1024, 768, 768, 768) * 2
    """Of the position loops; Human2LocoMan's."""

    d_gain: tuple[int, ...] = (1040, 640, 640, 640) * 2
    """Likewise."""

    current_ma: int = 900
    """The most that a servo may use [mA]; Human2LocoMan's."""

    slack_current_ma: int = 150
    """Likewise while it is told no stiffness: it does not go limp, as its arm would fall [mA]."""

    speed_limit: float = 6.8
    """A goal moves no faster [rad/s]."""

    lost_after: int = 10
    """A manipulator of which so many questions in a row go unanswered is lost."""

    def __post_init__(self) -> None:
        for name in ("zero_ticks", "direction", "p_gain", "d_gain"):
            if len(getattr(self, name)) != len(SERVOS):
                raise ConfigError(f"{name!r} needs a number for each servo", got=getattr(self, name), expected=8)
        if any(sign not in (-1, 1) for sign in self.direction):
            raise ConfigError("a servo's direction is 1 or -1", got=self.direction)
        if self.speed not in SPEEDS:
            raise ConfigError("no such serial speed", got=self.speed, expected=sorted(SPEEDS))
        if not (self.rate_hz > 0 and self.speed_limit > 0 and self.lost_after > 0):
            raise ConfigError("rate, speed limit and patience of the servos must be positive", got=self)
        if not 0 < self.slack_current_ma <= self.current_ma <= 910:
            raise ConfigError("0 < slack current <= current <= 910 mA", got=(self.slack_current_ma, self.current_ma))


@dataclass(frozen=True)
class LocoManConfig:
    """Of the whole robot."""

    legs: LegsConfig = field(default_factory=LegsConfig)
    """Of the Go1."""

    servos: ServosConfig = field(default_factory=ServosConfig)
    """Of the manipulators."""

    servo_hz: float = 500.0
    """How often the legs are told and asked [Hz]; a Go1 moves smoothly from 200 Hz on."""

    def __post_init__(self) -> None:
        if not 200.0 <= self.servo_hz <= 1000.0 or not math.isfinite(self.servo_hz):
            raise ConfigError("a Go1 wants 200 to 1000 commands a second", got=self.servo_hz)


def read_config(path: str | Path) -> LocoManConfig:
    """A configuration from its JSON file; an empty path gives the usual one.

    Raises:
        ConfigError: if it cannot be read, or is no such configuration.
        UnknownNameError: if it has keys that are not known.
    """
    if not str(path):
        return LocoManConfig()
    try:
        plain = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ConfigError("LocoMan's configuration cannot be read", where=path, got=error) from None
    return from_plain(LocoManConfig, plain, where=str(path))
