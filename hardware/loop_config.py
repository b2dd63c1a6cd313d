"""What a robot's loop has to know of its robot, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.hardware.state_machine import Event

StopBehaviour = Literal["hold", "hold_upright", "damp"]
"""What a stop does: hold (arms, position-controlled robots); hold while the state is fresh and the robot upright, else
damp (legged robots); damp."""


@dataclass(frozen=True)
class JointLimits:
    """Of every driven joint, in the order of ``JointBus.joint_names``; each has one number a joint."""

    low: tuple[float, ...]
    """Smallest position [rad or m]."""

    high: tuple[float, ...]
    """Largest position [rad or m]."""

    velocity: tuple[float, ...]
    """Largest speed [rad/s or m/s]."""

    acceleration: tuple[float, ...]
    """Largest acceleration of a commanded position [rad/s² or m/s²]; infinity for none."""

    effort: tuple[float, ...]
    """Largest torque or force [N·m or N]."""

    stiffness: tuple[float, ...]
    """kp of holding still and of the way to the start pose [N·m/rad or N/m]."""

    damping: tuple[float, ...]
    """kd of those [N·m·s/rad or N·s/m]."""

    limp_damping: tuple[float, ...]
    """kd without stiffness, in ``DAMPING`` and, where the robot obeys gains, ``IDLE`` [N·m·s/rad or N·s/m]."""

    max_stiffness: tuple[float, ...]
    """Largest kp that a controller may ask for [N·m/rad or N/m]."""

    max_damping: tuple[float, ...]
    """Largest kd that a controller may ask for [N·m·s/rad or N·s/m]."""

    def __post_init__(self) -> None:
        size = len(self.low)
        for field in fields(self):
            values = np.array(getattr(self, field.name), dtype=np.float64)
            if values.shape != (size,) or np.isnan(values).any():
                raise ConfigError(f"the joint limit {field.name!r} does not fit", got=values.tolist(), expected=size)
            if field.name not in ("low", "high") and (values < 0).any():
                raise ConfigError(f"the joint limit {field.name!r} is negative", got=values.tolist())
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ConfigError("a joint's lower limit is above its upper limit", got=(self.low, self.high))

    def slowed(self, share: float) -> JointLimits:
        """The same with speeds and accelerations cut down to a share, for first motions.

        Raises:
            ConfigError: if the share is not within 0 … 1.
        """
        if not 0.0 < share <= 1.0:
            raise ConfigError("a share of the largest speeds lies within 0 and 1", got=share)
        velocity, acceleration = (tuple(share * v for v in each) for each in (self.velocity, self.acceleration))
        return replace(self, velocity=velocity, acceleration=acceleration)


@dataclass(frozen=True)
class ButtonPress:
    """Buttons of the robot's own remote control that mean something when they go down together."""

    buttons: tuple[str, ...]
    """Names as in ``BusState.buttons``."""

    event: Event
    """What an operator asks for with them."""


@dataclass(frozen=True)
class LoopConfig:
    """How a robot is led. Times are on the robot's clock; angles also stand for metres of sliding joints."""

    control_hz: float
    """Rate of observations and actions [Hz]; divides the bus' servo rate."""

    start_pose: tuple[float, ...] = ()
    """Where ``READY`` leads, of every driven joint [rad or m]; empty: the pose it is in."""

    stop: StopBehaviour = "hold"
    """What a stop does."""

    ready_speed: float = 0.2
    """Of the way to the start pose: share of the joints' largest speeds."""

    ready_min_s: float = 1.0
    """Least time for that way [s]."""

    following_error: float = 0.5
    """On that way a joint may be so far from where it is told to be [rad]; further is a fault."""

    arm_tolerance: float = 0.3
    """A joint further than this from where it is told to be forbids arming [rad]."""

    range_margin: float = 0.2
    """A joint measured further than this out of its limits is a fault: its encoder needs calibration [rad]."""

    encoder_jump: float = 0.2
    """From one state to the next a joint moves by no more than this beyond twice its largest speed [rad]."""

    upright_tilt_rad: float = 0.6
    """Tilted less than this a robot with a floating base can hold [rad]."""

    max_tilt_rad: float | None = None
    """Tilted more than this the robot stops [rad]; ``None``: not looked at."""

    state_timeout_s: float = 0.1
    """A state older than this is stale [s]."""

    tracked_timeout_s: float = 0.25
    """What was tracked longer ago than this is stale [s]."""

    deadman_timeout_s: float = 0.25
    """The deadman switch counts as released when nothing was heard of it for so long [s]."""

    disarm_after_s: float = 2.0
    """Armed and without an action for so long, the robot goes back to ``HOLD`` [s]."""

    max_late_s: float = 0.5
    """A tick that is later than this stops the robot: the machine cannot be relied on [s]."""

    presses: tuple[ButtonPress, ...] = ()
    """What buttons of the robot's own remote control ask for."""

    deadman_buttons: tuple[str, ...] = ()
    """Held down together on the robot's own remote control they are a deadman switch as well; empty for none."""

    def __post_init__(self) -> None:
        positive = ("control_hz", "ready_speed", "following_error", "arm_tolerance", "encoder_jump", "max_late_s")
        times = tuple(f.name for f in fields(self) if f.name.endswith("_s") and f.name != "ready_min_s")
        for name in (*positive, *times):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name!r} of a robot's loop must be positive", got=getattr(self, name))
        if self.ready_speed > 1.0:
            raise ConfigError("the way to the start pose is a share of the largest speeds", got=self.ready_speed)
