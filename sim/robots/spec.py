"""What the simulator has to know of a robot besides its MJCF."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from robot_stack.core.errors import ConfigError, StorageError, require_name

ASSETS = Path(__file__).resolve().parent / "assets"
"""Where the MJCF files lie, one folder a robot."""


@dataclass(frozen=True)
class JointSpec:
    """One actuated joint. Names, axes, position limits, masses and armature are the MJCF's."""

    name: str
    """As in the MJCF and in the robot's own software."""

    effort: float
    """Largest torque or force [N·m or N]."""

    velocity: float
    """Largest speed [rad/s or m/s]."""

    stiffness: float
    """Gain of the real robot's position loop, kp [N·m/rad or N/m]."""

    damping: float
    """Damping of that loop, kd [N·m·s/rad or N·s/m]."""

    home: float = 0.0
    """Where an episode starts [rad or m]."""

    acceleration: float = 0.0
    """Largest acceleration that may be commanded [rad/s² or m/s²]; 0: no limit of its own."""


@dataclass(frozen=True)
class GripperSpec:
    """One gripper, commanded by its opening: 0 is closed, 1 is open."""

    name: str
    """For example ``"gripper"`` or ``"left_gripper"``."""

    joints: tuple[JointSpec, ...]
    """Its driven joints; all get the same share of their way."""

    closed: tuple[float, ...]
    """Joint positions at opening 0 [rad or m]."""

    open: tuple[float, ...]
    """Joint positions at opening 1 [rad or m]."""


@dataclass(frozen=True)
class EndEffectorSpec:
    """A frame that is commanded by its pose."""

    name: str
    """For example ``"hand"`` or ``"left_hand"``."""

    site: str
    """The MJCF site that is this frame: x forward out of the hand is not assumed; its axes are documented there."""

    joints: tuple[str, ...]
    """The joints that move it, from the base outwards."""

    gripper: str = ""
    """The gripper it carries; empty for none."""


@dataclass(frozen=True)
class RobotSpec:
    """One robot: its MJCF, joints in the order of its own software, grippers, hands, feet and rates."""

    name: str
    """Identifier, for example ``"panda"``, ``"unitree_g1"``, ``"locoman"``, ``"aloha"``."""

    title: str
    """For people, for example ``"Unitree G1, 29 joints"``."""

    mjcf: str
    """The MJCF, relative to :data:`ASSETS`, or an absolute path."""

    base: Literal["fixed", "floating"]
    """Whether the base moves freely."""

    root: str
    """The base's body."""

    joints: tuple[JointSpec, ...]
    """Actuated joints in the robot's own order, without the grippers'."""

    grippers: tuple[GripperSpec, ...] = ()
    """In order."""

    end_effectors: tuple[EndEffectorSpec, ...] = ()
    """In order; right before left where the robot's own software does so."""

    feet: tuple[str, ...] = ()
    """Sites at the feet's contact points, in order."""

    imu: str = ""
    """Site of the inertial sensor; empty for none."""

    cameras: tuple[str, ...] = ()
    """Cameras mounted on the robot, as named in the MJCF."""

    home_height_m: float = 0.0
    """Height of the base's frame above the floor at home [m], for a floating base."""

    physics_timestep_s: float = 0.002
    """Of the simulation [s]."""

    control_hz: float = 50.0
    """Rate of observations and actions [Hz]; an exact divisor of the physics rate."""

    marks: str = ""
    """Another MJCF of the robot whose sites, cameras and sensors are carried over where :attr:`mjcf` lacks them."""

    overlaps: tuple[tuple[str, str], ...] = ()
    """Pairs of bodies whose geoms overlap in the MJCF wherever the joints are: nothing keeps them apart."""

    doubts: tuple[str, ...] = ()
    """What is not known for sure about the model, in sentences; randomise it."""

    def __post_init__(self) -> None:
        names = self.driven_names
        if len(set(names)) != len(names):
            raise ConfigError(f"robot {self.name!r} drives a joint twice", got=names)
        for gripper in self.grippers:
            if not len(gripper.joints) == len(gripper.closed) == len(gripper.open):
                raise ConfigError(f"gripper {gripper.name!r} needs a closed and an open position for each joint")
        for hand in self.end_effectors:
            if hand.gripper:
                require_name("gripper", hand.gripper, [g.name for g in self.grippers], where=f"robot {self.name!r}")
            for joint in hand.joints:
                require_name("joint", joint, self.joint_names, where=f"end effector {hand.name!r} of {self.name!r}")

    @property
    def path(self) -> Path:
        """Where the MJCF lies."""
        return ASSETS / self.mjcf

    @property
    def own(self) -> RobotSpec:
        """The same robot with our model of it, which whole-body controllers know by its names."""
        return replace(self, mjcf=self.marks, marks="") if self.marks else self

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Actuated joints in order, without the grippers'."""
        return tuple(joint.name for joint in self.joints)

    @property
    def driven(self) -> tuple[JointSpec, ...]:
        """Every driven joint: the robot's in order, then the grippers'."""
        return self.joints + tuple(joint for gripper in self.grippers for joint in gripper.joints)

    @property
    def driven_names(self) -> tuple[str, ...]:
        """Names of every driven joint, in the order of the actuators."""
        return tuple(joint.name for joint in self.driven)

    @property
    def home(self) -> np.ndarray:
        """Home position of :attr:`joints`, shape ``(len(joints),)`` [rad or m]."""
        return np.array([joint.home for joint in self.joints])

    def end_effector(self, name: str) -> EndEffectorSpec:
        """The end effector called ``name``.

        Raises:
            UnknownNameError: if there is none.
        """
        require_name("end effector", name, [e.name for e in self.end_effectors], where=f"robot {self.name!r}")
        return next(e for e in self.end_effectors if e.name == name)

    def with_mjcf(self, path: str | Path) -> RobotSpec:
        """The same robot with another model of it, the vendor's with its meshes, say.

        Joints and bodies must have the same names and frames. A floor, lights, keyframes and actuators of its own are
        left out; sites (hands, soles), cameras and sensors that it lacks are taken from ours.

        Raises:
            StorageError: if there is no such file.
        """
        file = Path(path).expanduser().resolve()
        if not file.is_file():
            raise StorageError("there is no such MJCF file", where=file)
        return replace(self, mjcf=str(file), marks=self.marks or self.mjcf)
