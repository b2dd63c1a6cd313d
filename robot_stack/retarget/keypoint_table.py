"""Where a robot has the points of :data:`~robot_stack.retarget.motion.KEYPOINTS`, and where it touches things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.retarget.motion import KEYPOINTS

Offset = tuple[float, float, float]


@dataclass(frozen=True)
class BodyPoint:
    """A point fixed to a body of the robot."""

    body: str
    """Name of the MJCF body."""

    offset: Offset = (0.0, 0.0, 0.0)
    """Position in the body's frame [m]."""


@dataclass(frozen=True)
class ContactGroup:
    """Points of the robot that touch a surface together, and the source keypoint that says when they do."""

    name: str
    """For example ``"left_toe"``."""

    keypoint: str
    """The source's keypoint that is watched."""

    points: tuple[BodyPoint, ...]
    """On the robot's skin."""

    clearance_m: float = 0.0
    """Distance of the points from a touched surface; above 0 for what touches with any side, such as a hand, whose
    points are then held where they are instead of on the surface [m]."""

    partner: str = ""
    """The other group of the same foot: when both touch, the foot is flat."""

    radius_m: float = 0.0
    """Above 0 when the points are middles of balls of the sole: they then stay this far above the surface, so that
    the foot may roll over them; on a point of the skin it would dig in as it pitches [m]."""


@dataclass(frozen=True)
class KeypointTable:
    """What retargeting has to know of a robot beyond its MJCF."""

    keypoints: dict[str, BodyPoint]
    """Keypoint to point of the robot; those that it lacks are left out."""

    contacts: tuple[ContactGroup, ...]
    """In the order of the result's contact arrays."""

    height_m: float
    """Length that stands for the person's height when sizes are compared [m]."""

    def __post_init__(self) -> None:
        for keypoint in self.keypoints:
            require_name("keypoint", keypoint, KEYPOINTS)
        if len(self.keypoints) < 4:
            raise ConfigError("a keypoint table needs at least four points, or there is no mesh", got=self.keypoints)
        names = {group.name for group in self.contacts}
        for group in self.contacts:
            require_name("keypoint", group.keypoint, KEYPOINTS)
            if group.partner:
                require_name("contact group", group.partner, names)

    @property
    def names(self) -> tuple[str, ...]:
        """The keypoints there are, in the order of ``KEYPOINTS``."""
        return tuple(name for name in KEYPOINTS if name in self.keypoints)

    def unshared(self, source: Iterable[str]) -> tuple[str, ...]:
        """Sentences about keypoints that only the source or only the robot has; they take no part.

        Args:
            source: keypoints of the source.
        """
        source = set(source)
        only = {
            "the robot has no": [name for name in KEYPOINTS if name in source and name not in self.keypoints],
            "the source has no": [name for name in self.names if name not in source],
        }
        watched = [g.name for g in self.contacts if g.keypoint not in source]
        notes = [f"{who} {', '.join(names)}: left out of the mesh" for who, names in only.items() if names]
        if watched:
            notes.append(f"contacts of {', '.join(watched)} cannot be found, for the source lacks their keypoints")
        return tuple(notes)


def _g1() -> KeypointTable:
    """Ankle and toe are the points of the shoe that a person's markers have: over the heel, over the ball."""
    keypoints = {"pelvis": BodyPoint("pelvis", (0.0, 0.0, -0.05))}
    contacts: list[ContactGroup] = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        foot, hand = f"{side}_ankle_roll_link", f"{side}_wrist_yaw_link"
        keypoints |= {
            f"{side}_hip": BodyPoint(f"{side}_hip_roll_link"),
            f"{side}_knee": BodyPoint(f"{side}_knee_link"),
            f"{side}_ankle": BodyPoint(foot),
            f"{side}_toe": BodyPoint(foot, (0.10, 0.0, -0.02)),
            f"{side}_shoulder": BodyPoint(f"{side}_shoulder_roll_link"),
            f"{side}_elbow": BodyPoint(f"{side}_elbow_link"),
            f"{side}_wrist": BodyPoint(hand, (0.04, 0.0, 0.0)),
        }
        toe = tuple(BodyPoint(foot, (0.12, y, -0.03)) for y in (0.03, -0.03))
        heel = tuple(BodyPoint(foot, (-0.05, y, -0.03)) for y in (0.025, -0.025))
        contacts += [
            ContactGroup(f"{side}_toe", f"{side}_toe", toe, partner=f"{side}_heel", radius_m=0.005),
            ContactGroup(f"{side}_heel", f"{side}_ankle", heel, partner=f"{side}_toe", radius_m=0.005),
            ContactGroup(f"{side}_hand", f"{side}_wrist", (BodyPoint(hand, (0.08, -sign * 0.012, 0.0)),), 0.03),
        ]
    return KeypointTable(keypoints, tuple(contacts), height_m=1.32)


def _locoman() -> KeypointTable:
    """A person's legs are its rear legs and a person's arms its front legs: hands and feet are the four feet.

    Shoulders and hips lie at the hip joints, elbows at the front calves' joints. A person's knees bend forwards and its
    rear ones backwards, so that these are no keypoints: with them the trunk tilts. Its legs and trunk are about two
    thirds of a person's arms and trunk. Motions on all fours suit it; upright ones come out with slack, and say so.
    """
    keypoints: dict[str, BodyPoint] = {"pelvis": BodyPoint("trunk", (-0.16, 0.0, 0.0))}
    contacts: list[ContactGroup] = []
    for prefix, root, middle, tip in (
        ("2_FL", "left_shoulder", "left_elbow", "left_wrist"),
        ("1_FR", "right_shoulder", "right_elbow", "right_wrist"),
        ("4_RL", "left_hip", "left_knee", "left_ankle"),
        ("3_RR", "right_hip", "right_knee", "right_ankle"),
    ):
        foot = BodyPoint(f"{prefix}_calf", (0.0, 0.0, -0.213))
        keypoints |= {root: BodyPoint(f"{prefix}_thigh"), tip: foot}
        if middle.endswith("elbow"):
            keypoints[middle] = BodyPoint(f"{prefix}_calf")
        contacts.append(ContactGroup(prefix, tip, (foot,), radius_m=0.02))
    return KeypointTable(keypoints, tuple(contacts), height_m=1.15)


KEYPOINT_TABLES: dict[str, KeypointTable] = {"unitree_g1": _g1(), "locoman": _locoman()}
"""Tables by name of the robot."""
