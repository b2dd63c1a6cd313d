"""The parameters of the emulator node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class EmulatorConfig:
    """What ``python -m robot_stack.deploy.emulator_process`` takes as ROS parameters."""

    robot: str = "panda"
    """Name of the robot: panda, aloha, locoman, g1."""

    task: str = ""
    """Full name of the task, which furnishes the scene and scores; empty for the robot's first."""

    robot_parameters: str = "{}"
    """The robot's own parameters, a JSON object, as the robot process has them."""

    servo_hz: float = 500.0
    """How often the electronics act [Hz]; divides the physics rate."""

    control_hz: float = 0.0
    """How often ``tracked`` and ``score`` are published [Hz]; 0 takes the robot's control rate."""

    seed: int = 0
    """Of the start; set anew before each call of the service ``~/reset``."""

    cameras: tuple[str, ...] = ()
    """Cameras to render and publish."""

    image_height: int = 128
    """Rows of every camera's image [pixel]."""

    image_width: int = 128
    """Columns of every camera's image [pixel]."""

    image_hz: float = 30.0
    """Images of each camera a second of robot time [Hz]."""

    encoding: Literal["rgb8", "jpeg"] = "rgb8"
    """``jpeg`` publishes CompressedImage."""

    quality: Literal["fast", "full"] = "fast"
    """Of the rendering."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one."""

    def __post_init__(self) -> None:
        rates = (self.servo_hz, self.image_hz, self.clock_speed)
        if min(rates) <= 0 or self.control_hz < 0 or min(self.image_height, self.image_width) < 1:
            raise ConfigError("rates, sizes and speeds of an emulator are positive", got=self)
        if self.seed < 0:
            raise ConfigError("a seed is not negative", got=self.seed)
