"""ALOHA: two ViperX-300 6DOF arms facing each other, with the grippers of ALOHA 2.

Sources. Link offsets, axes, limits of position and velocity: ``aloha_vx300s.urdf.xacro`` of Interbotix'
``interbotix_ros_manipulators``. Masses, inertias, identified gains, armature and friction, gripper: Menagerie's
``aloha``. Torques: Robotis' e-manual.

Order as in ALOHA's own software: the left arm's joints from the base outwards, then the right arm's. The left arm
stands at -x and looks along x, the right one at +x and looks along -x.

The sites ``left_hand`` and ``right_hand`` lie between the finger pads: x points out of the hand along the fingers, y is
the way of the fingers (``left/left_finger`` opens towards -y), z is up when the arm is stretched out, on the side of
the wrist camera. ``left/ee_gripper_link`` is the frame of that name in Interbotix' URDF, 22.8 mm behind it.
"""

from __future__ import annotations

from math import pi

from robot_stack.sim.robots.spec import EndEffectorSpec, GripperSpec, JointSpec, RobotSpec

SIDES = ("left", "right")
"""The arms, in order."""

ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
"""One arm's joints from the base outwards; their full names are ``left/waist`` and so on."""

XM540_STALL = 10.6
"""Stall torque of a Dynamixel XM540-W270 at 12 V [N·m]: Robotis' e-manual."""

XM430_STALL = 4.1
"""Stall torque of a Dynamixel XM430-W350 at 12 V [N·m]: Robotis' e-manual."""

EFFORT = (XM540_STALL, 2 * XM540_STALL, 2 * XM540_STALL, XM540_STALL, XM540_STALL, XM430_STALL)
"""Largest torques [N·m]; shoulder and elbow have two servos each. The URDF declares 10, 20, 15, 2, 5, 1."""

XM540_ARMATURE = 0.14
"""Reflected rotor inertia of one XM540-W270 [kg·m²]: identified on the forearm's roll (Menagerie)."""

ARMATURE = (
    XM540_ARMATURE,
    0.395,
    0.383,
    XM540_ARMATURE,
    XM540_ARMATURE,
    round(XM540_ARMATURE * XM430_STALL / XM540_STALL, 3),
)
"""[kg·m²]: shoulder and elbow as identified (Menagerie), other XM540 as the forearm's roll, XM430 by stall torque."""

FRICTION = (0.0, 2.0, 1.15, 0.0, 0.0, 0.0)
"""Dry friction [N·m]: as identified (Menagerie)."""

VELOCITY = pi
"""Largest velocity of every joint [rad/s]: URDF."""

STIFFNESS = (43.0, 265.0, 227.0, 78.0, 37.0, 10.4)
"""kp of the servos' position loops [N·m/rad]: as identified (Menagerie)."""

DAMPING = (5.76, 20.0, 18.49, 6.78, 6.28, 1.2)
"""kd of those loops, back-EMF included [N·m·s/rad]: as identified (Menagerie)."""

HOME = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
"""ALOHA's start pose [rad]: ``START_ARM_POSE`` of its software."""

FINGER_ARMATURE, FINGER_EFFORT, FINGER_STIFFNESS, FINGER_DAMPING = 0.243, 35.0, 2000.0, 124.0
"""Of each finger [kg, N, N/m, N·s/m]: Menagerie."""

FINGER_CLOSED, FINGER_OPEN = 0.002, 0.037
"""Ends of the fingers' way in use [m]: measured on a real ALOHA (Menagerie). The pads touch at 0.0077."""

FINGER_VELOCITY = 1.0
"""[m/s]: URDF."""


def _arm(side: str) -> tuple[JointSpec, ...]:
    return tuple(
        JointSpec(f"{side}/{name}", EFFORT[i], VELOCITY, STIFFNESS[i], DAMPING[i], HOME[i])
        for i, name in enumerate(ARM_JOINTS)
    )


def _gripper(side: str) -> GripperSpec:
    fingers = tuple(
        JointSpec(
            f"{side}/{which}_finger", FINGER_EFFORT, FINGER_VELOCITY, FINGER_STIFFNESS, FINGER_DAMPING, FINGER_OPEN
        )
        for which in SIDES
    )
    return GripperSpec(f"{side}_gripper", fingers, (FINGER_CLOSED,) * 2, (FINGER_OPEN,) * 2)


ALOHA = RobotSpec(
    name="aloha",
    title="ALOHA, two ViperX-300 arms",
    mjcf="aloha/aloha.xml",
    base="fixed",
    root="aloha",
    joints=_arm("left") + _arm("right"),
    grippers=(_gripper("left"), _gripper("right")),
    end_effectors=tuple(
        EndEffectorSpec(f"{side}_hand", f"{side}_hand", tuple(f"{side}/{j}" for j in ARM_JOINTS), f"{side}_gripper")
        for side in SIDES
    ),
    cameras=("left_wrist", "right_wrist"),
    doubts=(
        "The servos do not compensate gravity: hands sink by a centimetre or two, as on the real arms.",
        "Stall torques hold for a moment only; the servos' electronics cut in earlier under load.",
        "Armature of waist, wrist angle and wrist rotation is inferred from the same servos elsewhere.",
    ),
)
"""ALOHA; 12 joints, left arm first, then two fingers a hand."""
