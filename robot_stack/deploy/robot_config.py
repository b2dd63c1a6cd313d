"""The parameters of the robot node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError

CHANGEABLE = (
    "max_chunk_age_s",
    "action_time_to_live_s",
    "deadman_timeout_s",
    "tracked_timeout_s",
    "disarm_after_s",
    "ready_speed",
)
"""Parameters that may be set while the node runs, in any state but ``READY`` and ``ARMED``."""


@dataclass(frozen=True)
class RobotNodeConfig:
    """What ``python -m robot_stack.deploy.robot_process`` takes as ROS parameters. Times are on the robot's clock."""

    robot: str = "panda"
    """Name of the robot: panda, aloha, locoman, g1."""

    task: str = ""
    """Full name of the task: what has to be tracked, and the usual action mode; empty for the robot's first."""

    mode: str = ""
    """Action mode; empty for the task's usual one."""

    bus: Literal["robot", "direct"] = "robot"
    """``robot``: its electronics, or an emulator of them; ``direct``: a simulated body in this very process."""

    simulated: bool = False
    """An emulator is on the other side; ``direct`` is simulated always."""

    robot_parameters: str = "{}"
    """The robot's own parameters, a JSON object: network interface, serial ports, configuration file."""

    base: Literal["tracked", "estimated"] = "tracked"
    """Where position and velocity of a floating base come from: the topic ``tracked``, or the robot's own sensors."""

    start: Literal["pose", "here"] = "pose"
    """Where ``ready`` leads: to the robot's start pose, or nowhere."""

    cameras: tuple[str, ...] = ()
    """Cameras of the embodiment, as policies know them; the images come from other nodes."""

    image_height: int = 128
    """Rows of every camera's image [pixel]."""

    image_width: int = 128
    """Columns of every camera's image [pixel]."""

    dry_run: bool = False
    """Read the robot and decide, but neither engage it nor write to it."""

    speed: float = 1.0
    """Share of the joints' largest speeds and accelerations that is let through; small for first motions."""

    max_chunk_age_s: float = 1.0
    """An action chunk from an older observation is refused [s]."""

    action_time_to_live_s: float = 0.1
    """The last action stays in force for so long after its time [s]."""

    state_timeout_s: float = 0.1
    """A state of the robot older than this stops it [s]."""

    tracked_timeout_s: float = 0.25
    """What was tracked longer ago is stale [s]."""

    deadman_timeout_s: float = 0.25
    """The deadman switch counts as released when nothing was heard of it for so long [s]."""

    disarm_after_s: float = 2.0
    """Armed without an action for so long, the robot goes back to HOLD [s]."""

    max_late_s: float = 0.5
    """A servo tick later than this stops the robot [s]."""

    ready_speed: float = 0.2
    """Of the way to the start pose: share of the joints' largest speeds."""

    release_s: float = 1.0
    """When the process ends, the robot is stopped for so long before it is released [s]."""

    priority: int = 0
    """SCHED_FIFO priority of the loop, 1 … 99, where the system allows it; 0 for none."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one; not 1 in simulation only."""

    seed: int = 0
    """Of the start of a ``direct`` simulation."""

    direct_servo_hz: float = 0.0
    """Servo rate of a ``direct`` simulation [Hz]; 0 takes the action mode's own."""

    def __post_init__(self) -> None:
        if self.clock_speed != 1.0 and not self.is_simulated:
            raise ConfigError(
                "time does not pass at another speed for a real robot",
                got=f"clock_speed {self.clock_speed:g}",
                expected="1.0, or simulated:=true",
            )
        if not (0.0 < self.speed <= 1.0 and self.clock_speed > 0.0 and self.release_s >= 0.0):
            raise ConfigError("speeds are positive and at most 1, times not negative", got=self)
        if not 0 <= self.priority <= 99:
            raise ConfigError("a SCHED_FIFO priority lies within 1 and 99", got=self.priority)

    @property
    def is_simulated(self) -> bool:
        """No real robot can be on the other side."""
        return self.simulated or self.bus == "direct"
