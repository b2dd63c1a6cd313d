"""How an arm's controllers are called and what they take, as plain data in one file an arm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robot_stack.core.config_json import from_plain
from robot_stack.core.errors import ConfigError, require_name

CONFIGS = Path(__file__).resolve().parent / "assets"
"""Where the files that ship lie."""

ArmKind = Literal["forward_position", "joint_trajectory", "follow_joint_trajectory"]
"""``forward_command_controller`` (Float64MultiArray on ``~/commands``), or ``joint_trajectory_controller``: by its
topic (``~/joint_trajectory``) or by its action (``~/follow_joint_trajectory``, slower, but it says no)."""

GripperKind = Literal["gripper_command", "forward_position", "joint_trajectory"]
"""The GripperCommand action, or one of the above with one joint."""


@dataclass(frozen=True)
class ControllerConfig:
    """One controller of arm joints."""

    name: str
    """For example ``"/panda_arm_controller"``: topics and actions are below it."""

    kind: ArmKind
    """What it takes."""

    joints: tuple[str, ...]
    """Our names of its joints, in the order of the controller's own ``joints`` parameter."""

    ros_joints: tuple[str, ...] = ()
    """What ROS calls them; empty where the names are the same."""

    @property
    def names(self) -> tuple[str, ...]:
        """What ROS calls its joints."""
        return self.ros_joints or self.joints


@dataclass(frozen=True)
class GripperConfig:
    """One gripper: all its joints of ours move together, along one number of the controller's."""

    name: str
    """For example ``"/panda_hand_controller"``."""

    kind: GripperKind
    """What it takes."""

    joints: tuple[str, ...]
    """Our names of the joints it moves."""

    joints_closed: tuple[float, ...]
    """Where our joints are when it is closed [rad or m]."""

    joints_open: tuple[float, ...]
    """Where they are when it is open [rad or m]."""

    ros_joint: str
    """The joint that ``joint_states`` gives for it, in the controller's unit."""

    closed: float
    """The controller's number when it is closed."""

    open: float
    """The controller's number when it is open."""

    action: str = "gripper_cmd"
    """Name of the action below :attr:`name`."""

    max_effort: float = 0.0
    """Sent with the action [N or N·m]; 0: the controller's own."""

    deadband: float = 0.0
    """A goal is sent when the command has moved by more than this, in the controller's unit."""

    min_interval_s: float = 0.1
    """Goals of the action follow each other at most this often [s]."""


@dataclass(frozen=True)
class ArmConfig:
    """One robot behind ros2_control."""

    robot: str
    """Which robot, for messages and checks."""

    controllers: tuple[ControllerConfig, ...]
    """All that move arm joints."""

    grippers: tuple[GripperConfig, ...] = ()
    """All grippers."""

    joint_states: str = "/joint_states"
    """Where joint states are published."""

    command_hz: float = 100.0
    """How often commands are sent [Hz]."""

    state_timeout_s: float = 0.1
    """Joint states older than this stop the arm [s]."""

    horizon_s: float = 0.02
    """When the one point of a trajectory is to be reached [s]: two to four command periods make it smooth; the arm lags
    behind by about as much."""

    notes: tuple[str, ...] = ()
    """What has to be known of this robot, in sentences."""

    def __post_init__(self) -> None:
        moved = [j for c in self.controllers for j in c.joints] + [j for g in self.grippers for j in g.joints]
        if len(set(moved)) != len(moved):
            raise ConfigError(f"the configuration of {self.robot!r} moves a joint twice", got=moved)
        for controller in self.controllers:
            if len(controller.names) != len(controller.joints) or not controller.joints:
                raise ConfigError(
                    f"controller {controller.name!r} needs a ROS name for each joint", got=controller.names
                )
        for gripper in self.grippers:
            if not len(gripper.joints) == len(gripper.joints_closed) == len(gripper.joints_open) or not gripper.joints:
                raise ConfigError(f"gripper {gripper.name!r} needs a closed and an open position for each joint")
            ways = [(gripper.closed, gripper.open), *zip(gripper.joints_closed, gripper.joints_open, strict=True)]
            if any(a == b for a, b in ways):
                raise ConfigError(f"gripper {gripper.name!r} has no way between closed and open", got=ways)
        if not (self.command_hz > 0 and self.horizon_s > 0 and self.state_timeout_s > 0):
            raise ConfigError(f"the configuration of {self.robot!r} needs positive rates and times")

    def require_joints(self, joint_names: Sequence[str]) -> None:
        """Check that exactly these joints are moved.

        Args:
            joint_names: every driven joint of the robot.

        Raises:
            UnknownNameError: if a joint is none of the robot's.
            ConfigError: if a joint is left out.
        """
        moved = [j for c in self.controllers for j in c.joints] + [j for g in self.grippers for j in g.joints]
        for joint in moved:
            require_name("joint", joint, joint_names, where=f"configuration of {self.robot!r}")
        left = [name for name in joint_names if name not in moved]
        if left:
            raise ConfigError(f"the configuration of {self.robot!r} moves too few joints", got=f"not {', '.join(left)}")


def load_arm_config(path: str | Path) -> ArmConfig:
    """Read a configuration.

    Args:
        path: a JSON file, or the name of one that ships (``panda``, ``aloha``, ``ur5e``).

    Raises:
        ConfigError: if it cannot be read or something in it is wrong.
    """
    file = Path(path)
    if not file.suffix:
        known = sorted(p.stem for p in CONFIGS.glob("*.json"))
        file = CONFIGS / f"{require_name('arm configuration', str(path), known)}.json"
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("an arm's configuration cannot be read", where=file, got=error) from error
    return from_plain(ArmConfig, plain, where=str(file))
