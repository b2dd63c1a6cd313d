"""How a G1 is spoken to, and when it is told to stop."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class Protection:
    """Where the robot must stop. The figures are those of ``terminations.hpp`` in Unitree's SDK, where it has one."""

    tilt_rad: float = 1.0
    """Pelvis from upright [rad]."""

    joint_speed: float = 10.0
    """Of any joint [rad/s]."""

    gyro_speed: float = 6.0
    """About any axis of the pelvis [rad/s]."""

    winding_celsius: float = 120.0
    """Of any motor [°C]."""

    casing_celsius: float = 85.0
    """Of any motor [°C]."""

    battery_percent: float = 20.0
    """State of charge; said once the battery is heard of."""

    lost_state_s: float = 1.0
    """Without a state [s]. The robot loop stops long before, for stale measurements."""

    beyond_range_rad: float = 0.2
    """A joint further out of its range has an encoder that lies [rad]. Our own figure."""

    joint_jump_rad: float = 0.35
    """A joint cannot jump by more than this and :attr:`fastest_joint` times the time between two states. Our own."""

    fastest_joint: float = 40.0
    """What no motor of the robot exceeds [rad/s]; the fastest turns at 37."""

    turn_jump_rad: float = 0.2
    """The same of the pelvis' orientation [rad], and ``fastest_turn``. Our own figure."""

    fastest_turn: float = 20.0
    """What no falling robot exceeds [rad/s]. Our own figure."""

    angles_rad: float = 0.2
    """The robot says its orientation twice, as quaternion and as angles; further apart, one is wrong. Our own."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            if not getattr(self, entry.name) > 0.0:
                raise ConfigError(f"{entry.name} must be positive", got=getattr(self, entry.name))


@dataclass(frozen=True)
class G1Config:
    """One robot. Times are in the clock's own seconds."""

    domain: int = 0
    """ROS domain of the robot; 0 on every G1."""

    machines: tuple[int, ...] = (5,)
    """Builds that are driven, by ``mode_machine``. Our model is of 5; unitree_mujoco reports 0."""

    parallel: bool = False
    """Command the motors A and B of ankles and waist (AB) instead of pitch and roll (PR); joints change their names."""

    servo_hz: float = 500.0
    """Commands a second."""

    wait_s: float = 10.0
    """How long the robot may take to be heard and to answer [s]."""

    release_motion: bool = True
    """Switch the robot's own motion control off on engaging, without which it does not listen."""

    sole_writer: bool = True
    """Refuse to drive beside another publisher of commands, as far as discovery shows one."""

    limp_s: float = 0.2
    """Commands without gains on engaging, during which the robot must go on to report [s]."""

    damping: float = 8.0
    """kd of the damping at the end [N·m·s/rad], as unitree_rl_gym's deployment."""

    damping_s: float = 2.0
    """How long damping is streamed at the end [s]; the robot may keep the last command after that."""

    protection: Protection = field(default_factory=Protection)
    """When the robot must stop."""

    def __post_init__(self) -> None:
        if not 0 <= self.domain <= 232:
            raise ConfigError("a ROS domain is out of range", got=self.domain, expected="0 to 232")
        if not (self.servo_hz > 0 and self.wait_s > 0 and self.damping >= 0 and min(self.limp_s, self.damping_s) >= 0):
            raise ConfigError("rates and times of a G1 must not be negative", got=self)
        if not self.machines:
            raise ConfigError("no build of the robot may be driven", got=self.machines, expected="mode_machine numbers")
