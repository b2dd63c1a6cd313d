"""The parameters of the recorder node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class RecorderConfig:
    """What ``python -m robot_stack.deploy.recorder_process`` takes as ROS parameters."""

    dataset: str = ""
    """Folder of the dataset; made, or continued if it is of the same robot."""

    instruction: str = ""
    """What is being done, in words; kept with each episode."""

    task: str = ""
    """The task's name, for the record, for example ``panda/drawer``."""

    driver: str = ""
    """Who decides, for the record: ``policy <hash>``, ``teleoperation`` …"""

    begin: Literal["armed", "service"] = "armed"
    """Episodes last from ARMED to not ARMED, or from the service ``begin_episode`` to ``end_episode``."""

    cameras: tuple[str, ...] = ()
    """Cameras to record; each must be one of the robot's embodiment. Those of the embodiment that are not listed are
    left out of the dataset."""

    storage: Literal["video", "image"] = "video"
    """How cameras are kept in a new dataset."""

    image_transport: Literal["raw", "compressed"] = "raw"
    """Which image topics to listen to."""

    image_tolerance_s: float = 0.1
    """A frame further than this from an observation's stamp is no picture of it [s]."""

    shortest_s: float = 0.2
    """Shorter episodes are dropped [s of robot time]."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one."""

    def __post_init__(self) -> None:
        if not (self.image_tolerance_s > 0 and self.clock_speed > 0 and self.shortest_s >= 0):
            raise ConfigError("times and speeds of a recorder are positive", got=self)
