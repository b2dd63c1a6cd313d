"""LocoMan: a Unitree Go1 with a 3-joint manipulator and a jaw gripper on each front calf.

Lin et al., LocoMan, IROS 2024, https://arxiv.org/abs/2403.18197; Niu et al., Human2LocoMan, RSS 2025,
https://arxiv.org/abs/2506.16475. Kinematics, masses and inertias are those of Human2LocoMan's URDF (MIT licence),
with what fixed joints hold merged into the parents. Joint order is LocoMan's: right before left, a front leg's
manipulator right after its leg.
"""

from __future__ import annotations

import math

from robot_stack.sim.robots.spec import EndEffectorSpec, GripperSpec, JointSpec, RobotSpec

LEGS = ("1_FR", "2_FL", "3_RR", "4_RL")
"""Prefix of the names of a leg's joints and bodies, in order."""

FEET = ("FR", "FL", "RR", "RL")
"""Sites at the centres of the ball feet; a foot touches the floor :data:`FOOT_RADIUS_M` below its centre."""

FOOT_RADIUS_M = 0.02
"""Of the foot's contact sphere [m]; URDF."""

THIGH_M = 0.213
"""From the thigh joint to the knee, and from the knee to the foot's centre [m]; URDF."""

HOME_LEG = (0.0, 0.9, -1.8)
"""Hip, thigh, calf at home [rad]; LocoMan's stance."""

HOME_ARM = {"1_FR": (-math.pi, -0.05, 0.0), "2_FL": (-math.pi, 0.05, 0.0)}
"""The manipulators' joints, folded up along the calves [rad]; LocoMan's ``reset_pos_sim``."""

HOME_HEIGHT_M = 2 * THIGH_M * math.cos(0.9) + FOOT_RADIUS_M
"""The trunk's height at home, with the feet touching the floor [m]."""

ROTOR_INERTIA = 1.11842e-4
"""Of a Go1 motor's rotor about its axis [kg·m²]; URDF, the ``*_rotor`` links."""

LEG_GEAR = 6.33
"""Reduction of hip and thigh; Unitree's figure for the Go1's actuator."""

KNEE_GEAR = 9.495
"""Reduction of the calf: 1.5 times the others', as the URDF's limits of torque (35.55/23.7) and speed say."""

LEG_ARMATURE = ROTOR_INERTIA * LEG_GEAR**2
"""Rotor inertia seen at the hip and thigh joints [kg·m²]."""

KNEE_ARMATURE = ROTOR_INERTIA * KNEE_GEAR**2
"""Rotor inertia seen at the calf joint [kg·m²]; Menagerie's Go1 has 0.01."""

SERVO_ARMATURE = 0.002
"""Of a DYNAMIXEL XC330-T288-T [kg·m²]: 2.4e-8 kg·m² at a reduction of 288.35; an estimate, see the doubts."""

SERVO_SPEED = 6.8
"""No-load speed of a DYNAMIXEL XC330-T288-T at 11.1 V [rad/s]: 65 rev/min, maker's figure. The URDF says 1 rad/s, an
export tool's placeholder: LocoMan's own software allows 20 rad/s and unfolds a manipulator at 1.4 rad/s."""

SERVO_STIFFNESS = (5.5, 4.1, 4.1)
"""kp of the servos' position loops [N·m/rad]. Human2LocoMan sets P = 8, 6, 6 x 128, of which 128 is one PWM count per
tick of error: 4096 ticks a turn, 885 counts full voltage, 0.93 N·m stall torque."""

SERVO_DAMPING = 0.2
"""kd of the servos [N·m·s/rad]: back-EMF 0.93 N·m / 6.8 rad/s = 0.14, the rest for the D gain."""

JAW_CLOSED, JAW_OPEN = 0.005, 0.9
"""Each jaw's angle [rad]: LocoMan's gripper command, 0.01 to 1.8 rad, is the angle between the two."""

LOCOMOTION_GAINS = (30.0, 1.0)
"""kp, kd of the legs' joints while trotting [N·m/rad, N·m·s/rad]; Human2LocoMan."""

MANIPULATION_GAINS = (60.0, 2.0)
"""kp, kd of the legs' joints in stance and manipulation; Human2LocoMan."""


def _leg(prefix: str) -> tuple[JointSpec, ...]:
    kp, kd = MANIPULATION_GAINS
    limits = (("hip", 23.7, 30.1), ("thigh", 23.7, 30.1), ("calf", 35.55, 20.06))
    return tuple(
        JointSpec(f"{prefix}_{part}_joint", effort, speed, kp, kd, home)
        for (part, effort, speed), home in zip(limits, HOME_LEG, strict=True)
    )


def _arm(prefix: str) -> tuple[JointSpec, ...]:
    return tuple(
        JointSpec(f"{prefix}_joint_{i}", 1.0, SERVO_SPEED, kp, SERVO_DAMPING, home)
        for i, kp, home in zip((1, 2, 3), SERVO_STIFFNESS, HOME_ARM[prefix], strict=True)
    )


def _gripper(side: str, prefix: str) -> GripperSpec:
    # One servo turns both jaws through a pair of gears: an equality constraint of the MJCF. Each jaw's actuator gives
    # half of the servo's torque (0.92 N·m at 11.1 V) and half of its stiffness.
    jaws = tuple(JointSpec(f"{prefix}_jaw_{i}", 0.46, SERVO_SPEED, 2.0, 0.1, JAW_CLOSED) for i in (1, 2))
    return GripperSpec(f"{side}_gripper", jaws, (JAW_CLOSED,) * 2, (JAW_OPEN,) * 2)


def _hand(side: str, prefix: str) -> EndEffectorSpec:
    joints = tuple(joint.name for joint in _leg(prefix) + _arm(prefix))
    return EndEffectorSpec(f"{side}_hand", f"{side}_hand", joints, f"{side}_gripper")


LOCOMAN = RobotSpec(
    name="locoman",
    title="LocoMan: Unitree Go1 with two manipulators",
    mjcf="locoman/locoman.xml",
    base="floating",
    root="trunk",
    joints=(
        *_leg("1_FR"),
        *_arm("1_FR"),
        *_leg("2_FL"),
        *_arm("2_FL"),
        *_leg("3_RR"),
        *_leg("4_RL"),
    ),
    grippers=(_gripper("right", "1_FR"), _gripper("left", "2_FL")),
    end_effectors=(_hand("right", "1_FR"), _hand("left", "2_FL")),
    feet=FEET,
    imu="imu",
    cameras=("head_left", "head_right", "right_wrist", "left_wrist"),
    home_height_m=HOME_HEIGHT_M,
    physics_timestep_s=0.002,
    control_hz=50.0,
    doubts=(
        "The URDF gives each manipulator 89 g, but its four servos alone weigh about 92 g: randomise the masses of the "
        "manipulators' links and jaws by factors from 1 to 2.5.",
        "The URDF has no jaw joints. The jaws' lengths, pivots and pads follow the shape of its end effector's mesh "
        "with closed jaws; each jaw has 2 g of its 28 g, as much as its inertia allows.",
        "The servos' rotor inertia is not published: randomise the manipulators' armature from 0.001 to 0.004 kg·m².",
        "The URDF limits the manipulators to 1 rad/s and 1 N·m, an export tool's placeholders; the servo's maker says "
        "6.8 rad/s without load and 0.92 N·m stalled at 11.1 V.",
        "Joint friction (0.2 N·m in the legs, as in MuJoCo Menagerie's Go1) and the friction of feet (0.8) and pads "
        "(1.5) are typical figures: randomise the legs' from 0 to 0.4 N·m and the feet's from 0.5 to 1.",
    ),
)
"""LocoMan, 18 joints in its own software's order and two grippers.

The hands' frames lie between the jaws' pads, x out of the gripper. They are the URDF's end effector links turned as in
Human2LocoMan (x = -z, y = x, z = -y), so that x is forward, y left and z up in its neutral posture, in which the third
joint stands at about 1.57 rad and the jaws open upwards and downwards.
"""
