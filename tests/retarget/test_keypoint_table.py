"""The tables fit the robots."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.retarget.body import Body
from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES, BodyPoint, ContactGroup, KeypointTable
from robot_stack.retarget.motion import KEYPOINTS
from robot_stack.retarget.scene import Scene
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1


@pytest.mark.parametrize("spec", [UNITREE_G1, LOCOMAN], ids=lambda spec: spec.name)
def test_contact_points_of_feet_are_on_the_ground_at_home_and_sides_mirror(spec: RobotSpec) -> None:
    body, table = Body(spec, Scene()), KEYPOINT_TABLES[spec.name]
    sweep = body.sweep(body.home()[None])
    feet = [(point, g.radius_m) for g in table.contacts if "hand" not in g.name for point in g.points]
    places = body.places(sweep, *body.points(tuple(point for point, _ in feet)))[0]
    assert len(places) in (4, 8)
    assert np.abs(places[:, 2] - [clearance for _, clearance in feet]).max() < 2e-3
    points = body.places(sweep, *body.points(tuple(table.keypoints[n] for n in table.names)))[0]
    for i, name in enumerate(table.names):
        if name.startswith("left_"):
            twin = points[table.names.index(name.replace("left_", "right_"))]
            assert points[i] * (1, -1, 1) == pytest.approx(twin, abs=2e-3)
            assert points[i, 1] > 0


def test_wrong_tables_are_refused() -> None:
    good = {name: BodyPoint("pelvis") for name in ("pelvis", "left_hip", "right_hip", "left_knee")}
    with pytest.raises(UnknownNameError, match="left_hipp"):
        KeypointTable({**good, "left_hipp": BodyPoint("pelvis")}, (), 1.0)
    with pytest.raises(ConfigError, match="at least four"):
        KeypointTable({"pelvis": BodyPoint("pelvis")}, (), 1.0)
    lonely = ContactGroup("toe", "left_toe", (BodyPoint("pelvis"),), partner="heel")
    with pytest.raises(UnknownNameError, match="heel"):
        KeypointTable(good, (lonely,), 1.0)
    with pytest.raises(UnknownNameError, match="no_such_body"):
        Body(UNITREE_G1, Scene()).points((BodyPoint("no_such_body"),))


def test_what_is_not_shared_is_said() -> None:
    g1, locoman = KEYPOINT_TABLES["unitree_g1"], KEYPOINT_TABLES["locoman"]
    assert g1.unshared(KEYPOINTS) == ()
    (note,) = locoman.unshared(KEYPOINTS)
    assert note == "the robot has no left_knee, left_toe, right_knee, right_toe: left out of the mesh"
    notes = g1.unshared(name for name in KEYPOINTS if name not in ("left_toe", "right_wrist"))
    assert notes[0] == "the source has no left_toe, right_wrist: left out of the mesh"
    assert notes[1].startswith("contacts of left_toe, right_hand cannot be found")
