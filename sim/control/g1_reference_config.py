"""What leads the G1's whole body to its hands' targets: weights, speeds, distances."""

from __future__ import annotations

from dataclasses import dataclass

SIDES = ("left", "right")
"""Order of hands and feet."""

_LIMBS = ("forearm_collision", "wrist_collision")
_TRUNK = ("torso_collision", "chest_collision", "pelvis_collision")
APART: tuple[tuple[str, str], ...] = (
    *((f"{side}_{limb}", trunk) for side in SIDES for limb in _LIMBS for trunk in _TRUNK),
    *((f"{side}_wrist_collision", f"{side}_thigh_collision") for side in SIDES),
    *((f"left_{a}", f"right_{b}") for a in _LIMBS for b in _LIMBS),
)
"""Arms against trunk, wrists against thighs, arms against each other. Palms may meet: two hands hold one box."""


@dataclass(frozen=True)
class ReferenceConfig:
    """How the whole body is led. Weights are of squared velocities [1/(m/s)² or 1/(rad/s)²], rates in [1/s]."""

    hand_rate: float = 12.0
    """How fast errors of the hands shrink."""

    hand_weight: float = 4.0
    """Of the hands' positions."""

    hand_turn_weight: float = 0.015
    """Of their orientations: where both cannot be had, 0.1 rad counts as 6 mm."""

    com_rate: float = 4.0
    """How fast the centre of mass goes back to the middle of the feet."""

    com_weight: float = 1.5
    """Of the centre of mass over the middle of the feet."""

    com_reach: tuple[float, float] = (0.04, 0.05)
    """How far from there it may go, forward and sideways [m]; the loads in the hands counted."""

    com_acceleration: float = 0.5
    """Its largest acceleration [m/s²]: 0.5 moves the centre of pressure by 3.5 cm."""

    body_rate: float = 3.0
    """How fast pelvis and posture go back."""

    height_weight: float = 0.02
    """Of the pelvis' height at home, when none is asked for."""

    asked_height_weight: float = 1.0
    """Of the pelvis' height that is asked for."""

    upright_weight: float = 0.02
    """Of an upright pelvis that looks where the feet look."""

    posture_weight: float = 5e-4
    """Of the home posture of arms and legs."""

    waist_weight: float = 4e-3
    """Of the home posture of the waist."""

    joint_speed: float = 3.0
    """Largest speed of a joint [rad/s]."""

    arm_acceleration: float = 12.0
    """Largest acceleration of an arm's joint [rad/s²]; swung faster, both arms together tip the robot."""

    body_acceleration: float = 10.0
    """Largest acceleration of a joint of legs and waist, which move most of the mass [rad/s²]."""

    pelvis_speed: tuple[float, float] = (0.4, 1.0)
    """Largest speed of the pelvis along any axis [m/s], and about any axis [rad/s]."""

    pelvis_acceleration: tuple[float, float] = (1.5, 4.0)
    """Largest acceleration likewise [m/s², rad/s²]."""

    pelvis_tilt: float = 0.5
    """Largest turn of the pelvis about any axis [rad]."""

    joint_margin: float = 0.03
    """Kept from every position limit [rad]."""

    least_knee: float = 0.15
    """Knees stay bent by this [rad]: a straight leg cannot push the pelvis up or down."""

    apart: tuple[tuple[str, str], ...] = APART
    """Pairs of geoms that are kept from each other."""
