"""Everything a robot's loop is made of, put together for one robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_control import Controller
from robot_stack.core.senses import Senses, Tracked
from robot_stack.hardware.chunk_buffer import ChunkConfig
from robot_stack.hardware.loop_config import JointLimits, LoopConfig


@dataclass(frozen=True, eq=False)
class RobotParts:
    """One robot's electronics, action mode and senses, which know nothing of each other."""

    bus: JointBus
    """The electronics."""

    controller: Controller
    """The action mode."""

    senses: Senses
    """Make observations of measurements."""

    embodiment: Embodiment
    """As policies know the robot."""

    limits: JointLimits
    """Of its joints."""

    config: LoopConfig
    """How it is led."""

    chunks: ChunkConfig = field(default_factory=ChunkConfig)
    """How long actions count."""

    rest_action: Callable[[np.ndarray], np.ndarray] | None = None
    """The action that rests, from the last one that was followed, both of shape ``(action_size,)``: for controllers
    that have to go on while nobody drives, since they keep a balance. ``None``: the joints hold by themselves."""

    tracked: Callable[[], Tracked | None] | None = None
    """Says what is tracked now, where that needs no message; ``None``: it is told by messages."""

    def __post_init__(self) -> None:
        bus, controller, hz = self.bus, self.controller, self.embodiment.control_hz
        _divides(bus.servo_hz, hz, "control rate", "servo rate of the bus")
        if controller.servo_hz:
            _divides(bus.servo_hz, controller.servo_hz, "servo rate of the controller", "servo rate of the bus")
        if bus.obeys == "position" and controller.guards != "position":
            raise ConfigError(
                "the robot obeys positions alone, its action mode answers with more",
                got=controller.guards,
                expected="position",
                remedy="choose another action mode (mode:=joint_position)",
            )
        joints = len(bus.joint_names)
        if len(self.limits.low) != joints or len(self.config.start_pose) not in (0, joints):
            raise ConfigError(
                "limits or start pose are of another robot",
                got=(len(self.limits.low), len(self.config.start_pose)),
                expected=joints,
            )
        if [f.name for f in self.senses.fields] != [f.name for f in self.embodiment.state]:
            raise ConfigError("the senses are not those of the embodiment", got=[f.name for f in self.senses.fields])
        if self.config.control_hz != hz:
            raise ConfigError("two control rates for one robot", got=self.config.control_hz, expected=hz)

    @property
    def ticks_per_control(self) -> int:
        """Servo ticks in a control period."""
        return round(self.bus.servo_hz / self.embodiment.control_hz)

    @property
    def ticks_per_update(self) -> int:
        """Servo ticks between calls of the controller."""
        return round(self.bus.servo_hz / (self.controller.servo_hz or self.embodiment.control_hz))


def _divides(fast: float, slow: float, slow_name: str, fast_name: str) -> None:
    ratio = fast / slow
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
        raise ConfigError(f"the {slow_name} does not divide the {fast_name}", got=f"{slow:g} Hz of {fast:g} Hz")
