"""The parameters of the operator node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class OperatorConfig:
    """What ``python -m robot_stack.deploy.operator_process`` takes as ROS parameters."""

    title: str = ""
    """What is being done, for the head of the table."""

    simulated: bool = False
    """Nothing real can move."""

    hands_free: bool = False
    """Nobody is at the keys: the deadman switch counts as held. Simulation only."""

    until: Literal["connected", "idle", "armed"] = "armed"
    """How far it goes by itself when hands-free: connects, makes the robot listen, or arms it and keeps it armed."""

    waits_for: tuple[str, ...] = ()
    """Nodes whose diagnostics must be fine before it arms the robot hands-free: the policy has to be loaded."""

    duration_s: float = 0.0
    """Hands-free, it ends so long after the robot was armed [s of robot time]; 0: never."""

    hold_s: float = 0.7
    """At a terminal without key releases, the deadman key counts as held for so long after each repetition [s]."""

    joy: str = ""
    """Topic of a gamepad (sensor_msgs/Joy) whose button is the deadman switch instead of a key; empty for the key."""

    joy_button: int = 4
    """Which of its buttons: 4 is the left shoulder of most."""

    step_timeout_s: float = 60.0
    """Most that a service may take to answer [real s]."""

    log_folder: str = ""
    """Where the runner keeps the outputs of the other processes; their newest lines are shown. Empty for none."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one."""

    def __post_init__(self) -> None:
        if self.hands_free and not self.simulated:
            raise ConfigError("somebody has to hold the deadman switch of a real robot", got="hands_free")
        if not (self.hold_s > 0 and self.step_timeout_s > 0 and self.clock_speed > 0) or self.duration_s < 0:
            raise ConfigError("times and speeds of an operator node are positive", got=self)
        if self.joy_button < 0:
            raise ConfigError("buttons are counted from 0", got=self.joy_button)
