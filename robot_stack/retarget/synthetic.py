"""Motions with known answers: a stick figure walks, squats, reaches, steps up, carries a box, goes on all fours.

Bones keep their lengths exactly, feet and hands stand exactly still while they touch, and when they touch what is known
to the frame. Use them to test readers, solvers and trackers without any captured data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from robot_stack.retarget.motion import KEYPOINTS, Motion, ObjectMotion
from robot_stack.retarget.scene import GROUND, Scene, SceneObject
from robot_stack.retarget.stick_figure import LEFT_RIGHT, StickFigure, minimum_jerk, smoothed

Feet = tuple["tuple[Stay, ...]", "tuple[Stay, ...]"]
"""Stays of the left and of the right foot."""

PERSON = StickFigure()
"""1.70 m tall."""


GROUND_ONLY = Scene()
"""Nothing but the ground."""


@dataclass(frozen=True)
class KnownContact:
    """A keypoint that does not move relative to a surface it touches, frames ``start`` to ``stop - 1``."""

    keypoint: str
    """One of :data:`~robot_stack.retarget.motion.KEYPOINTS`."""

    start: int
    """First frame."""

    stop: int
    """First frame after the last."""

    surface: str
    """Name of the scene's object, or ``"ground"``."""


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A motion, its scene, and what is known of it."""

    motion: Motion
    """All fifteen keypoints."""

    scene: Scene
    """At the motion's size."""

    contacts: tuple[KnownContact, ...]
    """All there are."""


@dataclass(frozen=True)
class Stay:
    """One place of a foot or hand."""

    start_s: float
    """From when [s]."""

    stop_s: float
    """Until when [s]."""

    place: tuple[float, float, float]
    """Where the sole, or the palm's face, is [m]."""

    surface: str = GROUND
    """What it touches there; empty for nothing."""


def walk(steps: int = 6, step_m: float = 0.4, fps: float = 30.0, person: StickFigure = PERSON) -> Synthetic:
    """Some steps ahead on the ground, from standing to standing; arms swing.

    Args:
        steps: how many, left first.
        step_m: from one footprint to the next [m].
        fps: frames a second [1/s].
        person: who walks.
    """
    feet = _footprints(steps, step_m, person.hip_half_m * person.unit)
    return _on_foot("walk", feet, _end(feet), fps, person)


def squat(depth_m: float = 0.35, fps: float = 30.0, person: StickFigure = PERSON) -> Synthetic:
    """Down and up again with both feet in place, arms ahead.

    Args:
        depth_m: how far down the pelvis goes [m].
        fps: frames a second [1/s].
        person: who squats.
    """
    end = 3.0
    feet = _standing(end, 0.14 * person.unit)
    time = _time(end, fps)
    down = _up_and_down(time, 0.4, 1.4, 1.7, 2.7)
    ahead = np.array([0.34, 0.0, 0.30]) * person.unit
    return _on_foot("squat", feet, end, fps, person, lower=depth_m * down, lean=0.5 * down, hold=(down, ahead))


def reach(height_m: float = 0.95, fps: float = 30.0, person: StickFigure = PERSON) -> Synthetic:
    """The right palm is laid on a table and taken back.

    Args:
        height_m: of the table's top [m].
        fps: frames a second [1/s].
        person: who reaches.
    """
    end, u = 3.0, person.unit
    table = SceneObject.box("table", (0.2 * u, 0.4 * u, height_m / 2), (0.55 * u, 0.0, height_m / 2))
    touch = Stay(1.0, 2.0, (0.44 * u, -0.16 * u, height_m), "table")
    lean = 0.25 * _up_and_down(_time(end, fps), 0.3, 1.0, 2.0, 2.7)
    feet = _standing(end, 0.10 * u)
    return _on_foot("reach", feet, end, fps, person, lean=lean, scene=Scene((table,)), right_hand=touch)


def step_up(height_m: float = 0.2, fps: float = 30.0, person: StickFigure = PERSON) -> Synthetic:
    """Onto a box with one foot after the other, and stand there.

    Args:
        height_m: of the box [m].
        fps: frames a second [1/s].
        person: who climbs.
    """
    u = person.unit
    box = SceneObject.box("box", (0.35 * u, 0.4 * u, height_m / 2), (0.70 * u, 0.0, height_m / 2))
    y, x = person.hip_half_m * u, 0.55 * u
    left = (Stay(0.0, 0.6, (0.0, y, 0.0)), Stay(1.2, 3.2, (x, y, height_m), "box"))
    right = (Stay(0.0, 1.5, (0.0, -y, 0.0)), Stay(2.2, 3.2, (x, -y, height_m), "box"))
    return _on_foot("step_up", (left, right), 3.2, fps, person, scene=Scene((box,)), lift_m=0.10 + 0.3 * height_m)


def carry(steps: int = 4, step_m: float = 0.3, fps: float = 30.0, person: StickFigure = PERSON) -> Synthetic:
    """A box is picked up from the ground between both palms, carried some steps and put down.

    Args:
        steps: how many with the box.
        step_m: from one footprint to the next [m].
        fps: frames a second [1/s].
        person: who carries.
    """
    u, half, tall, wait = person.unit, 0.15 * person.unit, 0.2 * person.unit, 2.8
    feet = _footprints(steps, step_m, 0.12 * u, wait)
    walked = _end(feet)
    end = walked + wait - 0.5
    left, right = ((*foot[:-1], Stay(foot[-1].start_s, end, foot[-1].place)) for foot in feet)
    feet = (left, right)
    time, turn = _time(end, fps), walked - 0.4
    down = _up_and_down(time, 0.2, 1.1, 1.5, 2.6) + _up_and_down(time, turn, turn + 1.0, end - 1.1, end - 0.2)
    grasp, release = 1.2, turn + 1.1
    ankles = np.stack([_path(time, foot, 0.1 * u) for foot in feet], axis=1)
    middle = smoothed(ankles.mean(axis=1), round(0.35 * fps))
    lifted = minimum_jerk((time - 1.4) / 1.1) * (1 - minimum_jerk((time - turn) / 1.1))
    box = np.stack([middle[:, 0] + (0.39 - 0.07 * lifted**2) * u, 0 * time, tall + 0.65 * u * lifted], axis=1)
    first, last = round(grasp * fps), round(release * fps)
    box[:first], box[last:] = box[first], box[last]
    still = np.tile([1.0, 0.0, 0.0, 0.0], (len(time), 1))
    scene = Scene((SceneObject.box("box", (0.10 * u, half, tall), (0.0, 0.0, 0.0), moving=True),))
    side = np.array([-0.02 * u, half + person.palm_m * u, 0.13 * u])
    hands = np.stack([box + side, box + side * (1, -1, 1)], axis=1)
    holds = _up_and_down(time, 0.6, grasp, release, release + 0.6)
    # Hands come to the box, and leave it, in straight lines that begin outside of it.
    hands[..., 1] += (1 - _up_and_down(time, 0.9, grasp, release, release + 0.3))[:, None] * 0.08 * u * (1, -1)
    known = tuple(KnownContact(f"{s}_wrist", first, last + 1, "box") for s, _ in LEFT_RIGHT)
    return _on_foot(
        "carry",
        feet,
        end,
        fps,
        person,
        lower=0.36 * u * down,
        lean=0.9 * down,
        scene=scene,
        objects=(ObjectMotion("box", box, still),),
        wrists=(holds, hands),
        more=known,
    )


def all_fours(strides: int = 3, stride_m: float = 0.16, fps: float = 30.0, person: StickFigure = PERSON) -> Synthetic:
    """Hands and feet on the ground, one of the four moved at a time.

    Args:
        strides: how often each is moved.
        stride_m: how far [m].
        fps: frames a second [1/s].
        person: who crawls.
    """
    u, swing, end = person.unit, 0.4, 0.8 + strides * 2.0
    starts = {"left_foot": 0.0, "left_hand": 0.5, "right_foot": 1.0, "right_hand": 1.5}
    rest = {"left_foot": (-0.12, 0.12), "right_foot": (-0.12, -0.12)}
    rest |= {"left_hand": (0.50, 0.18), "right_hand": (0.50, -0.18)}
    plans: dict[str, tuple[Stay, ...]] = {}
    for name, (x, y) in rest.items():
        moves = [0.4 + 2.0 * k + starts[name] for k in range(strides)]
        begins, ends = [0.0, *(m + swing for m in moves)], [*moves, end]
        plans[name] = tuple(
            Stay(a, b, (x * u + k * stride_m, y * u, 0.0)) for k, (a, b) in enumerate(zip(begins, ends, strict=True))
        )
    time = _time(end, fps)
    ankles, palms = (
        np.stack([_path(time, plans[f"{side}_{what}"], 0.07 * u) for side, _ in LEFT_RIGHT], axis=1)
        for what in ("foot", "hand")
    )
    ankles[..., 2] += person.ankle_height_m * u
    palms[..., 2] += person.palm_m * u
    middle = smoothed(0.5 * (ankles.mean(axis=1) + palms.mean(axis=1)), round(0.4 * fps))
    pelvis = np.stack([middle[:, 0] - 0.19 * u, 0 * time, np.full_like(time, 0.58 * u)], axis=1)
    points = person.keypoints(pelvis, 0 * time, np.full_like(time, 1.62), ankles, palms)
    known = tuple(c for i, (side, _) in enumerate(LEFT_RIGHT) for c in _foot_contacts(side, plans[f"{side}_foot"], fps))
    known += tuple(
        KnownContact(f"{side}_wrist", *_frames(stay, fps), GROUND)
        for side, _ in LEFT_RIGHT
        for stay in plans[f"{side}_hand"]
    )
    return Synthetic(_motion("all_fours", points, fps, person), Scene(), known)


SYNTHETIC: dict[str, Callable[[], Synthetic]] = {
    "walk": walk,
    "squat": squat,
    "reach": reach,
    "step_up": step_up,
    "carry": carry,
    "all_fours": all_fours,
}
"""Every motion by name, with its usual settings."""


def _on_foot(
    name: str,
    feet: Feet,
    end_s: float,
    fps: float,
    person: StickFigure,
    *,
    lower: np.ndarray | float = 0.0,
    lean: np.ndarray | float = 0.0,
    hold: tuple[np.ndarray, np.ndarray] | None = None,
    scene: Scene = GROUND_ONLY,
    objects: tuple[ObjectMotion, ...] = (),
    wrists: tuple[np.ndarray, np.ndarray] | None = None,
    right_hand: Stay | None = None,
    lift_m: float = 0.10,
    more: tuple[KnownContact, ...] = (),
) -> Synthetic:
    """A motion on two feet; hands hang unless they are told where to be, by a share from 0 to 1 of each frame."""
    u, time = person.unit, _time(end_s, fps)
    ankles = np.stack([_path(time, foot, lift_m * u) for foot in feet], axis=1)
    soles = ankles.copy()
    ankles[..., 2] += person.ankle_height_m * u
    reach_ = round(0.25 * fps)
    pelvis = smoothed(ankles.mean(axis=1), reach_)
    highest = smoothed(soles[..., 2].mean(axis=1), reach_) + 0.90 * u
    pitch = np.broadcast_to(lean, time.shape).astype(np.float64)
    # Who leans forward moves the hips back.
    pelvis[:, 0] -= 0.45 * person.trunk_m * u * np.sin(pitch)
    pelvis[:, 2] = person.pelvis_heights(pelvis, ankles, highest, reach_) - lower
    hands = np.stack([_hanging(pelvis, ankles, pitch, i, person) for i in range(2)], axis=1)
    if hold is not None:
        share, place = hold
        wanted = pelvis[:, None] + place + np.array([[0, 0.16, 0], [0, -0.16, 0]]) * u
        hands += share[:, None, None] * (wanted - hands)
    if wrists is not None:
        hands += wrists[0][:, None, None] * (wrists[1] - hands)
    if right_hand is not None:
        share = _up_and_down(
            time, right_hand.start_s - 0.7, right_hand.start_s, right_hand.stop_s, right_hand.stop_s + 0.7
        )
        over = np.array([*right_hand.place[:2], right_hand.place[2] + person.palm_m * u])
        way = over - hands[:, 1]
        # Sideways first, then ahead: the hand comes from above, not through the table's edge.
        hands[:, 1] += share[:, None] * way
        hands[:, 1, 2] += 0.18 * u * np.sin(np.pi * share)
        more += (KnownContact("right_wrist", *_frames(right_hand, fps), right_hand.surface),)
    points = person.keypoints(pelvis, 0 * time, pitch, ankles, hands)
    known = tuple(c for (side, _), foot in zip(LEFT_RIGHT, feet, strict=True) for c in _foot_contacts(side, foot, fps))
    return Synthetic(_motion(name, points, fps, person, objects), scene, known + more)


def _hanging(pelvis: np.ndarray, ankles: np.ndarray, pitch: np.ndarray, side: int, person: StickFigure) -> np.ndarray:
    """Wrists below the shoulders; each arm swings with the other leg."""
    u, sign = person.unit, LEFT_RIGHT[side][1]
    other = ankles[:, 1 - side, 0] - ankles[:, side, 0]
    trunk, arm = person.trunk_m * u, 0.90 * (person.upper_arm_m + person.forearm_m) * u
    swing = np.clip(0.5 * other / arm, -0.5, 0.5) + 0.10
    out = pelvis.copy()
    out[:, 0] += trunk * np.sin(pitch) + arm * np.sin(swing)
    out[:, 1] += sign * (person.shoulder_half_m + 0.06) * u
    out[:, 2] += trunk * np.cos(pitch) - arm * np.cos(swing)
    return out


def _motion(
    name: str, points: np.ndarray, fps: float, person: StickFigure, objects: tuple[ObjectMotion, ...] = ()
) -> Motion:
    names = {keypoint: keypoint for keypoint in KEYPOINTS}
    return Motion(KEYPOINTS, points, fps, names, person.height_m, objects, source=f"synthetic {name}")


def _footprints(steps: int, step_m: float, half_m: float, wait_s: float = 0.5) -> Feet:
    """Stays of the left and of the right foot; the feet end side by side."""
    swing, between = 0.5, 0.1
    places: tuple[list[tuple[float, float]], ...] = ([(0.0, 0.0)], [(0.0, 0.0)])
    start = wait_s
    for k in range(steps + 1):
        ahead = step_m * min(k + 1, steps)
        if ahead > places[k % 2][-1][1]:
            places[k % 2].append((start, ahead))
            start += swing + between
    end = start + 0.5
    out = []
    for foot, (_, sign) in zip(places, LEFT_RIGHT, strict=True):
        begins = [0.0, *(t + swing for t, _ in foot[1:])]
        ends = [*(t for t, _ in foot[1:]), end]
        rows = zip(begins, ends, foot, strict=True)
        out.append(tuple(Stay(a, b, (x, sign * half_m, 0.0)) for a, b, (_, x) in rows))
    return out[0], out[1]


def _standing(end_s: float, half_m: float) -> Feet:
    return (Stay(0.0, end_s, (0.0, half_m, 0.0)),), (Stay(0.0, end_s, (0.0, -half_m, 0.0)),)


def _end(feet: Feet) -> float:
    return max(foot[-1].stop_s for foot in feet)


def _time(end_s: float, fps: float) -> np.ndarray:
    return np.arange(round(end_s * fps) + 1) / fps


def _path(time: np.ndarray, stays: tuple[Stay, ...], lift_m: float) -> np.ndarray:
    """Still during stays; in between by minimum jerk, lifted over the higher of the two places."""
    out = np.empty((len(time), 3))
    out[:] = stays[0].place
    for before, after in pairwise(stays):
        share = minimum_jerk((time - before.stop_s) / (after.start_s - before.stop_s))[:, None]
        a, b = np.array(before.place), np.array(after.place)
        out = np.where(time[:, None] > before.stop_s, a + share * (b - a), out)
        # Up before ahead: a foot that climbs clears the edge.
        rise = abs(b[2] - a[2])
        out[:, 2] += (lift_m + 0.5 * rise) * (16 * (share * (1 - share)) ** 2)[:, 0]
    return out


def _up_and_down(time: np.ndarray, begin: float, full: float, ends: float, gone: float) -> np.ndarray:
    """0, from ``begin`` to ``full`` up to 1, and from ``ends`` to ``gone`` back."""
    return minimum_jerk((time - begin) / (full - begin)) * (1 - minimum_jerk((time - ends) / (gone - ends)))


def _frames(stay: Stay, fps: float) -> tuple[int, int]:
    """First frame, and first frame after the last, of a stay."""
    return int(np.ceil(stay.start_s * fps - 1e-6)), int(np.floor(stay.stop_s * fps + 1e-6)) + 1


def _foot_contacts(side: str, stays: tuple[Stay, ...], fps: float) -> list[KnownContact]:
    return [
        KnownContact(f"{side}_{part}", *_frames(stay, fps), stay.surface) for part in ("toe", "ankle") for stay in stays
    ]
