"""A keypoint table for a new robot, proposed from its MJCF by names and geometry, with reasons for every line."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from robot_stack.retarget.keypoint_table import BodyPoint, ContactGroup, KeypointTable
from robot_stack.retarget.motion import KEYPOINTS
from robot_stack.retarget.robot_limbs import Anatomy, Limb, LimbError
from robot_stack.sim.robots.model import RobotModel

_WORDS = {
    "pelvis": ("pelvis", "trunk", "base", "torso", "hips", "waist"),
    "hip": ("hip", "thigh", "upleg"),
    "knee": ("knee", "calf", "shin", "shank"),
    "ankle": ("ankle", "foot", "calf", "shin", "toe"),
    "toe": ("ankle", "foot", "toe"),
    "shoulder": ("shoulder", "upper_arm", "upperarm", "hip", "thigh"),
    "elbow": ("elbow", "forearm", "lower_arm", "calf", "knee"),
    "wrist": ("wrist", "hand", "palm", "gripper", "lower_arm", "forearm", "calf", "foot"),
}
"""Words in names of bodies and joints that confirm a keypoint; a quadruped's front legs are its arms."""

_LEG_SHARE = 0.53
"""Length of a person's leg over the height (Winter's table)."""

_ARM_AND_TRUNK_SHARE = 0.61
"""Length of a person's arm and trunk over the height, likewise: what a person on all fours stands on."""

_BENT = 0.85
"""A quadruped is taken for so much smaller than its straight legs: they are bent when it stands, and stay able to."""


@dataclass(frozen=True)
class ProposedLine:
    """One keypoint or contact group of a proposal."""

    name: str
    """Of the keypoint or the contact group."""

    points: tuple[BodyPoint, ...]
    """Where."""

    confidence: float
    """From 0 to 1: geometry gives 0.5, a telling name 0.3, a mirrored twin 0.2."""

    reasons: tuple[str, ...]
    """What speaks for it, and against."""


@dataclass(frozen=True)
class Proposal:
    """What is proposed, to be looked at before use."""

    robot: str
    """Name of the robot."""

    table: KeypointTable
    """Ready for use, and for :func:`~robot_stack.retarget.keypoint_file.write_table`."""

    keypoints: tuple[ProposedLine, ...]
    """One a keypoint."""

    contacts: tuple[ProposedLine, ...]
    """One a contact group."""

    notes: tuple[str, ...]
    """What is missing or assumed."""

    def text(self) -> str:
        """As a table in plain text."""
        rows = [("name", "body", "offset [m]", "sure", "why")]
        for line in (*self.keypoints, *self.contacts):
            for i, point in enumerate(line.points):
                offset = " ".join(f"{x:+.3f}" for x in point.offset)
                first = (line.name, f"{line.confidence:.1f}", "; ".join(line.reasons))
                name, sure, why = first if i == 0 else ("", "", "")
                rows.append((name, point.body, offset, sure, why))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = ["  ".join([*(row[k].ljust(widths[k]) for k in range(4)), row[4]]).rstrip() for row in rows]
        lines += [f"height: {self.table.height_m:.2f} m", *(f"note: {note}" for note in self.notes)]
        return "\n".join(lines)


def propose(robot: RobotModel) -> Proposal:
    """Keypoints and contact points of a robot that stands at home, with x ahead and z up in the frame of its base.

    Two feet make a biped, whose arms are looked for above; four make a quadruped, whose front legs are taken as arms.

    Args:
        robot: compiled, alone.

    Raises:
        LimbError: if its feet cannot be told.
    """
    return _Proposer(robot).proposal()


class _Proposer:
    """Collects the lines for one robot."""

    def __init__(self, robot: RobotModel) -> None:
        self._robot = robot
        self._anatomy = Anatomy(robot.model, robot.home_qpos(), robot.root)
        self._limbs = self._anatomy.limbs()
        self._four = sum(limb.foot for limb in self._limbs) == 4
        self._places: dict[str, tuple[int, np.ndarray, list[str]]] = {}
        self._groups: list[tuple[ContactGroup, list[str]]] = []
        self._notes: list[str] = []

    def proposal(self) -> Proposal:
        feet = [limb for limb in self._limbs if limb.foot]
        for limb in self._limbs:
            arm = not limb.foot or (self._four and limb in feet[:2])
            self._add_limb(limb, arm)
        if not self._four and len(self._limbs) == 2:
            self._notes.append("no arms were found: shoulders, elbows and wrists are left out")
        self._pelvis()
        lines = {name: self._line(name) for name in KEYPOINTS if name in self._places}
        keypoints = {name: line.points[0] for name, line in lines.items()}
        contacts = tuple(group for group, _ in self._groups)
        if len(keypoints) < 4:
            raise LimbError("too few keypoints were found", where=self._robot.spec.name, got=", ".join(keypoints))
        table = KeypointTable(keypoints, contacts, self._height(feet))
        proposed = tuple(
            ProposedLine(group.name, group.points, lines[group.keypoint].confidence, tuple(why))
            for group, why in self._groups
        )
        return Proposal(self._robot.spec.name, table, tuple(lines.values()), proposed, tuple(self._notes))

    def _add_limb(self, limb: Limb, arm: bool) -> None:
        anatomy, side = self._anatomy, limb.side
        root, middle, end = ("shoulder", "elbow", "wrist") if arm else ("hip", "knee", "ankle")
        k = limb.middle(anatomy.places)
        if k == 0:
            self._notes.append(f"the {side} {'arm' if arm else 'leg'} has no {middle} that can be told: left out")
            return
        # Of a ball joint made of three, the one in the middle: it is nearest to where all axes meet.
        first, joint, last = limb.bodies[k // 2], limb.bodies[k], limb.bodies[-1]
        places = anatomy.places
        chain = f"joint {k // 2 + 1} of {k} before the {middle}"
        self._places[f"{side}_{root}"] = (first, places[first], [chain])
        if not arm and self._backwards(places[first], places[joint], limb.tip_base):
            self._notes.append(f"the {side} knee bends backwards, a person's forwards: it is left out")
        else:
            self._places[f"{side}_{middle}"] = (joint, places[joint], ["farthest from both ends of the limb"])
        if limb.foot and not limb.jointed_end(places):
            self._places[f"{side}_{end}"] = (last, limb.tip_base, ["lowest geom of a leg without ankle"])
            radius = self._radius(last)
            group = ContactGroup(
                f"{side}_{'hand' if arm else 'foot'}",
                f"{side}_{end}",
                (self._point(last, limb.tip_base),),
                radius_m=radius,
            )
            self._groups.append((group, [f"ball of {radius:.3f} m"]))
        elif limb.foot:
            self._foot(limb, last)
        elif last == joint:
            self._fist(side, last)
        else:
            self._hand(limb, last)

    def _foot(self, limb: Limb, last: int) -> None:
        anatomy, side = self._anatomy, limb.side
        ankle = anatomy.places[last]
        self._places[f"{side}_ankle"] = (last, ankle, ["last joint of the leg"])
        span = anatomy.spans(last)
        if span is None:
            self._notes.append(f"{side} foot: no geoms, so that toe and contacts are left out")
            return
        low, high = span
        toe = np.array([ankle[0] + 0.8 * (high[0] - ankle[0]), 0.5 * (low[1] + high[1]), 0.4 * ankle[2] + 0.6 * low[2]])
        self._places[f"{side}_toe"] = (last, toe, ["four fifths of the way from the ankle to the front of the sole"])
        corners, radius, why = self._sole(last, low, high)
        middle = corners[:, 0].mean()
        for part, keypoint, ahead in (("toe", "toe", True), ("heel", "ankle", False)):
            points = tuple(self._point(last, p) for p in corners if (p[0] > middle) == ahead)
            other = f"{side}_{'heel' if part == 'toe' else 'toe'}"
            group = ContactGroup(f"{side}_{part}", f"{side}_{keypoint}", points, partner=other, radius_m=radius)
            self._groups.append((group, [why]))

    def _sole(self, body: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float, str]:
        """Middles of four balls of the sole in the base's frame, left before right, their radius, and the reason."""
        anatomy = self._anatomy
        spans = [
            anatomy.span(g) for g in anatomy.geoms(body) if self._is_ball(g) and anatomy.span(g)[0][2] < low[2] + 2e-3
        ]
        if len(spans) >= 4:
            middles = np.array([np.mean(span, axis=0) for span in spans])
            radius = round(float(0.5 * (spans[0][1] - spans[0][0])[0]), 4)
            far = [int(np.argmax(middles @ (x, y, 0.0))) for x in (1.0, -1.0) for y in (1.0, -1.0)]
            return middles[far], radius, f"balls of {radius:.3f} m under the sole"
        radius = 0.005
        x, y = (low[0] + radius, high[0] - radius), (high[1] - radius, low[1] + radius)
        # The ends of most soles are round: their corners are not there.
        y = tuple(0.5 * sum(y) + 0.8 * (v - 0.5 * sum(y)) for v in y)
        corners = [(a, b, low[2] + radius) for a in x[::-1] for b in y]
        return np.array(corners), radius, "corners of the box about the foot's geoms, a little inside"

    def _hand(self, limb: Limb, last: int) -> None:
        anatomy, side = self._anatomy, limb.side
        wrist, span = anatomy.places[last], anatomy.spans(last)
        if span is None:
            self._places[f"{side}_wrist"] = (last, wrist, ["last joint of the arm"])
            self._notes.append(f"{side} hand: no geoms, so that its contact is left out")
            return
        palm = 0.5 * (span[0] + span[1])
        half = wrist + 0.5 * (palm - wrist)
        self._places[f"{side}_wrist"] = (last, half, ["half-way from the arm's last joint to the middle of the hand"])
        turned = np.array([anatomy.turns[last].T @ (corner - palm) for corner in span])
        clearance = float(np.clip(np.abs(turned).min(), 0.01, 0.05))
        group = ContactGroup(f"{side}_hand", f"{side}_wrist", (self._point(last, palm),), clearance)
        self._groups.append((group, ["middle of the hand's geoms, held at half their thickness"]))

    def _fist(self, side: str, last: int) -> None:
        """The end of an arm without wrist."""
        found = self._anatomy.far(last)
        if found is None:
            self._notes.append(f"{side} arm: neither wrist nor geoms, so that its end is left out")
            return
        place, half = found
        self._places[f"{side}_wrist"] = (last, place, ["farthest geom of an arm without wrist"])
        clearance = float(np.clip(half, 0.01, 0.08))
        group = ContactGroup(f"{side}_hand", f"{side}_wrist", (self._point(last, place),), round(clearance, 4))
        self._groups.append((group, ["its middle, held at half its thickness"]))

    def _pelvis(self) -> None:
        hips = [self._places[f"{side}_hip"][1] for side in ("left", "right") if f"{side}_hip" in self._places]
        middle = np.mean(hips, axis=0) if hips else np.zeros(3)
        share = 1.0 if self._four else 0.5
        why = "between the hind legs" if self._four else "half-way from the base's frame to the middle of the hips"
        self._places["pelvis"] = (self._robot.root, share * middle, [why])

    @staticmethod
    def _backwards(hip: np.ndarray, knee: np.ndarray, tip: np.ndarray) -> bool:
        """Whether a knee lies behind the line from hip to foot by more than a tenth of their distance."""
        way = tip - hip
        ahead = knee[0] - (hip[0] + way[0] * (knee[2] - hip[2]) / min(way[2], -1e-6))
        return bool(ahead < -0.1 * np.linalg.norm(way))

    def _height(self, feet: list[Limb]) -> float:
        """The height of a person with limbs as long; of a biped with a head, its own."""
        places, legs = self._anatomy.places, []
        for limb in feet:
            joints = [places[limb.bodies[k]] for k in (limb.middle(places) // 2, limb.middle(places), -1)]
            ends = [*joints[:2], joints[2] if limb.jointed_end(places) else limb.tip_base]
            down = ends[-1][2] - self._anatomy.lowest(limb.bodies[-1])
            legs.append(sum(float(np.linalg.norm(b - a)) for a, b in pairwise(ends)) + float(down))
        leg = float(np.mean(legs))
        hips = [place for name, (_, place, _) in self._places.items() if name.endswith("_hip")]
        if self._four:
            shoulders = [place for name, (_, place, _) in self._places.items() if name.endswith("_shoulder")]
            trunk = float(np.linalg.norm(np.mean(shoulders, axis=0) - np.mean(hips, axis=0))) if shoulders else 0.0
            self._notes.append(
                f"height: legs of {leg:.2f} m and a trunk of {trunk:.2f} m, as a person's arms and trunk"
            )
            return round(_BENT * (leg + trunk) / _ARM_AND_TRUNK_SHARE, 3)
        limbs = {b for limb in self._limbs for b in limb.bodies}
        above = self._anatomy.top(limbs) - float(np.mean([hip[2] for hip in hips])) if hips else 0.0
        if 0.7 < above / (leg / _LEG_SHARE - leg) < 1.5:
            self._notes.append(f"height: legs of {leg:.2f} m, and {above:.2f} m from the hips to the top of the head")
            return round(leg + above, 3)
        self._notes.append(f"height: legs of {leg:.2f} m over a person's share of {_LEG_SHARE}")
        return round(leg / _LEG_SHARE, 3)

    def _line(self, name: str) -> ProposedLine:
        body, place, reasons = self._places[name]
        side, _, part = name.rpartition("_")
        sure, why = 0.5, list(reasons)
        names = [self._anatomy.name(body), *self._anatomy.joint_names(body)]
        hit = next((word for word in _WORDS[part] if any(word in n.lower() for n in names)), None)
        if hit:
            sure += 0.3
            why.append(f"named {hit!r}")
        else:
            why.append("the name does not say so")
        if not side:
            return ProposedLine(name, (self._point(body, place),), sure + 0.2 * bool(hit), tuple(why))
        other = self._places.get(f"{'right' if side == 'left' else 'left'}_{part}")
        if other is not None and np.abs(place * (1, -1, 1) - other[1]).max() < 0.01:
            sure += 0.2
        else:
            why.append("no mirrored twin")
        wrong = "right" if side == "left" else "left"
        if any(wrong in n.lower() for n in names):
            sure -= 0.4
            why.append(f"but named {wrong!r}")
        return ProposedLine(name, (self._point(body, place),), round(max(0.0, sure), 2), tuple(why))

    def _point(self, body: int, place: np.ndarray) -> BodyPoint:
        x, y, z = (round(float(v), 4) + 0.0 for v in self._anatomy.local(body, place))
        return BodyPoint(self._anatomy.name(body), (x, y, z))

    def _is_ball(self, geom: int) -> bool:
        low, high = self._anatomy.span(geom)
        return bool(self._robot.model.geom_size[geom][1] == 0) and float(np.ptp(high - low)) < 1e-9

    def _radius(self, body: int) -> float:
        """Of a ball foot; 0 where the lowest geom is no ball."""
        lowest = min(self._anatomy.geoms(body), key=lambda g: self._anatomy.span(g)[0][2], default=None)
        if lowest is None or not self._is_ball(lowest):
            return 0.0
        low, high = self._anatomy.span(lowest)
        return round(float(0.5 * (high - low)[0]), 4)
