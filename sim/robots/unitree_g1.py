"""Unitree G1 with 29 joints, with its rubber hands or with parallel grippers.

Which description is followed: Unitree's ``g1_29dof_rev_1_0``, MJCF and URDF, as published in unitree_rl_gym
(BSD-3-Clause). The two agree on joints, limits, efforts, masses and frames; only the URDF has speed limits, and it
keeps head and hands as links of their own, which the MJCF merges into torso and wrists. We follow the MJCF, and the
URDF for speeds, for the head camera's mounting and for the wrist without its hand. An older description of the robot
(``g1_29dof`` in unitree_mujoco, and tables made from it) gives 88 N·m for hip roll where revision 1.0 gives 139:
revision 1.0 has the knee's motor there, and is followed. A controller that must also suit the older robot keeps hip
roll below :data:`OLDER_HIP_ROLL_EFFORT`.

Hand sites: x along the fingers, z to the thumb (up, with the forearm level). Site ``left_hand`` lies on the palm's
face, which looks along -y (the right one's along +y); a gripper's lies between the pads, which open along y.
Feet: geoms and sites ``left_foot_0`` to ``_3`` are the contact points (0 outer front, 1 inner front, 2 outer back,
3 inner back); site ``left_foot`` is the middle of the sole. The geom ``left_foot_collision`` hangs 5 mm above
the sole, so that a flat foot stands on its four points alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi

from robot_stack.sim.robots.spec import EndEffectorSpec, GripperSpec, JointSpec, RobotSpec

OLDER_HIP_ROLL_EFFORT = 88.0
"""What the older description allows hip roll [N·m]."""

JOINT_DAMPING = 0.05
"""Viscous friction of every joint [N·m·s/rad], as in unitree_mujoco's model."""

JOINT_FRICTION = 0.2
"""Dry friction of every joint but the last two of the wrists [N·m], as in unitree_mujoco's model."""

WRIST_FRICTION = 0.1
"""Dry friction of wrist pitch and yaw [N·m], likewise."""


@dataclass(frozen=True)
class Motor:
    """A motor with two planetary stages. Rotor inertias and ratios are Unitree's, as collected by mjlab."""

    inertia: tuple[float, float, float]
    """Of the rotor, of the first and of the second carrier, each at its own shaft [kg·m²]."""

    gears: tuple[float, float]
    """Ratio of the first and of the second stage."""

    effort: float
    """Largest torque at the joint [N·m]."""

    velocity: float
    """Largest speed of the joint [rad/s], from the URDF."""

    count: int = 1
    """How many motors share the joint: two turn ankles, waist roll and waist pitch through parallel rods."""

    @property
    def armature(self) -> float:
        """Inertia that the joint feels [kg·m²]; of parallel rods, what it is in the middle of their range."""
        rotor, first, second = self.inertia
        one, two = self.gears
        return self.count * (rotor * (one * two) ** 2 + first * two**2 + second)


M5020 = Motor((0.139e-4, 0.017e-4, 0.169e-4), (1 + 46 / 18, 1 + 56 / 16), 25.0, 37.0)
"""Shoulders, elbows, wrist roll."""

M5020_PAIR = replace(M5020, effort=50.0, count=2)
"""Ankles, waist roll and pitch."""

M7520_14 = Motor((0.489e-4, 0.098e-4, 0.533e-4), (4.5, 1 + 48 / 22), 88.0, 32.0)
"""Hip pitch and yaw, waist yaw."""

M7520_22 = Motor((0.489e-4, 0.109e-4, 0.738e-4), (4.5, 5.0), 139.0, 20.0)
"""Hip roll and knee."""

M4010 = Motor((0.068e-4, 0.0, 0.0), (5.0, 5.0), 5.0, 22.0)
"""Wrist pitch and yaw."""

LEG: tuple[tuple[str, Motor, float, float, float], ...] = (
    ("hip_pitch", M7520_14, 100.0, 2.0, -0.306),
    ("hip_roll", M7520_22, 100.0, 2.0, 0.0),
    ("hip_yaw", M7520_14, 100.0, 2.0, 0.0),
    ("knee", M7520_22, 150.0, 4.0, 0.669),
    ("ankle_pitch", M5020_PAIR, 40.0, 2.0, -0.363),
    ("ankle_roll", M5020_PAIR, 40.0, 2.0, 0.0),
)
"""Joint, motor, kp, kd, home of a left leg.

Gains are those with which unitree_rl_gym's deployment runs this robot. At home the knees are bent as in holosoma's
default pose; hip and ankle then keep the soles flat and the centre of mass over the middle of the feet.
"""

WAIST: tuple[tuple[str, Motor, float, float, float], ...] = (
    ("waist_yaw", M7520_14, 300.0, 3.0, 0.0),
    ("waist_roll", M5020_PAIR, 300.0, 3.0, 0.0),
    ("waist_pitch", M5020_PAIR, 300.0, 3.0, 0.0),
)
"""Likewise."""

ARM: tuple[tuple[str, Motor, float, float, float], ...] = (
    ("shoulder_pitch", M5020, 100.0, 2.0, 0.2),
    ("shoulder_roll", M5020, 100.0, 2.0, 0.2),
    ("shoulder_yaw", M5020, 50.0, 2.0, 0.0),
    ("elbow", M5020, 50.0, 2.0, 0.6),
    ("wrist_roll", M5020, 20.0, 1.0, 0.0),
    ("wrist_pitch", M4010, 20.0, 1.0, 0.0),
    ("wrist_yaw", M4010, 20.0, 1.0, 0.0),
)
"""Likewise of a left arm; the right arm's home is the mirror image."""

FINGER_TRAVEL_M = 0.04
"""Way of each finger of a gripper, from closed [m]."""

_MIRRORED = ("roll", "yaw")


def _chain(rows: tuple[tuple[str, Motor, float, float, float], ...], side: str = "") -> tuple[JointSpec, ...]:
    prefix = f"{side}_" if side else ""
    joints = []
    for name, motor, stiffness, damping, home in rows:
        sign = -1.0 if side == "right" and name.endswith(_MIRRORED) else 1.0
        joints.append(
            JointSpec(f"{prefix}{name}_joint", motor.effort, motor.velocity, stiffness, damping, sign * home or 0.0)
        )
    return tuple(joints)


def _names(rows: tuple[tuple[str, Motor, float, float, float], ...], side: str) -> tuple[str, ...]:
    return tuple(joint.name for joint in _chain(rows, side))


def _hand(side: str, gripper: str = "") -> EndEffectorSpec:
    reach = tuple(joint.name for joint in _chain(WAIST)) + _names(ARM, side)
    return EndEffectorSpec(name=f"{side}_hand", site=f"{side}_hand", joints=reach, gripper=gripper)


def _gripper(side: str) -> GripperSpec:
    fingers = tuple(
        JointSpec(f"{side}_gripper_{finger}_joint", 40.0, 0.4, 1500.0, 60.0, FINGER_TRAVEL_M)
        for finger in ("left", "right")
    )
    return GripperSpec(f"{side}_gripper", fingers, (0.0, 0.0), (FINGER_TRAVEL_M,) * 2)


UNITREE_G1 = RobotSpec(
    name="unitree_g1",
    title="Unitree G1, 29 joints, rubber hands",
    mjcf="unitree_g1/unitree_g1.xml",
    base="floating",
    root="pelvis",
    joints=_chain(LEG, "left") + _chain(LEG, "right") + _chain(WAIST) + _chain(ARM, "left") + _chain(ARM, "right"),
    end_effectors=(_hand("left"), _hand("right")),
    feet=("left_foot", "right_foot"),
    imu="imu_in_pelvis",
    cameras=("head", "left_wrist", "right_wrist"),
    home_height_m=0.7566784,
    doubts=(
        "The shapes of covers, hands and collision geoms are drawn by eye.",
        "Friction in the joints is a guess of the order of unitree_mujoco's.",
        "Ankles, waist roll and waist pitch turn by two motors on parallel rods; here they are serial joints with the "
        "rods' mean effort and armature.",
    ),
)
"""The robot with its rubber hands, joints in the order of the SDK: left leg, right leg, waist, left arm, right arm."""

UNITREE_G1_GRIPPERS = replace(
    UNITREE_G1,
    name="unitree_g1_grippers",
    title="Unitree G1, 29 joints, parallel grippers",
    mjcf="unitree_g1_grippers/unitree_g1_grippers.xml",
    grippers=(_gripper("left"), _gripper("right")),
    end_effectors=(_hand("left", "left_gripper"), _hand("right", "right_gripper")),
    doubts=(*UNITREE_G1.doubts, "The grippers are no product of Unitree's: 0.29 kg, 80 mm, 40 N a finger."),
)
"""The same robot with a two-finger gripper for each hand."""


def with_natural_gains(spec: RobotSpec, frequency_hz: float = 10.0, damping_ratio: float = 2.0) -> RobotSpec:
    """The G1 with gains derived from its rotors: ``kp = I ω²``, ``kd = 2 ζ I ω``, ``I`` the armature of each joint.

    This is mjlab's rule (and BeyondMimic's), made for policies that learn to act through soft joints. It is an option,
    not the default: it gives the knee a kp of 99 and waist pitch one of 29 N·m/rad, too soft to hold a posture without
    a policy or a feed-forward torque.

    Args:
        spec: :data:`UNITREE_G1` or :data:`UNITREE_G1_GRIPPERS`.
        frequency_hz: natural frequency of rotor and spring alone [Hz].
        damping_ratio: likewise; 1 is critical.
    """
    omega = 2.0 * pi * frequency_hz
    motors = {row[0]: row[1] for row in (*LEG, *WAIST, *ARM)}

    def derived(joint: JointSpec) -> JointSpec:
        armature = motors[joint.name.removesuffix("_joint").removeprefix("left_").removeprefix("right_")].armature
        return replace(joint, stiffness=armature * omega**2, damping=2.0 * damping_ratio * armature * omega)

    return replace(spec, joints=tuple(derived(joint) for joint in spec.joints))
