"""Pictures of a result show the person, the mesh and the robot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import RenderError
from robot_stack.retarget.drawing import person_points, stick_bones
from robot_stack.retarget.motion import KEYPOINTS
from robot_stack.retarget.saved import Saved
from robot_stack.retarget.view import SideBySide
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.test_saved import result, source

SIZE = 96


@pytest.fixture(scope="module")
def view():
    try:
        made = SideBySide(Saved(result(), source()), UNITREE_G1, height=SIZE, width=SIZE)
    except RenderError as error:
        pytest.skip(str(error))
    with made:
        yield made


def test_each_panel_shows_its_thing(view: SideBySide) -> None:
    first, second = view.frame(0), view.frame(8)
    assert first.shape == view.shape and first.dtype == np.uint8
    panels = [first[:SIZE, i * (SIZE + 3) : i * (SIZE + 3) + SIZE].astype(int) for i in range(3)]
    orange = [int(((p[..., 0] > p[..., 2] + 60) & (p[..., 0] > 120)).sum()) for p in panels]
    assert orange[1] > 5 and orange[0] == orange[2] == 0  # the robot's keypoints are in the mesh only
    for i in range(3):
        for j in range(i):
            assert np.abs(panels[i] - panels[j]).max(axis=2).astype(bool).mean() > 0.02
    assert (first[SIZE:] != second[SIZE:]).any()  # the line of text
    assert (first[:SIZE] != second[:SIZE]).any()
    assert len(list(view.frames(every=5))) == 3


def test_bones_need_their_ends() -> None:
    points = {name: np.full(3, float(i)) for i, name in enumerate(KEYPOINTS)}
    assert len(list(stick_bones(points))) == 13
    del points["left_knee"], points["pelvis"]
    assert len(list(stick_bones(points))) == 10


def test_a_person_has_all_limbs_beside_a_robot_that_lacks_some_and_no_ends_of_bones() -> None:
    whole = result()
    keep = [i for i, name in enumerate(whole.keypoint_names) if "knee" not in name]
    lacking = replace(
        whole,
        keypoint_names=tuple(whole.keypoint_names[i] for i in keep),
        p_world_target=whole.p_world_target[:, keep],
    )
    seen = source()
    more = np.repeat(seen.positions[:, :1], 4, axis=1)
    more[0, 3] = np.nan
    names = ("LeftHand_End", "ToeNub", "Head", "Neck")
    seen = replace(seen, names=(*seen.names, *names), positions=np.concatenate([seen.positions, more], axis=1))
    points, others = person_points(Saved(lacking, seen), 0)
    assert set(points) == set(seen.keypoint_names)
    assert (points["left_knee"] == seen.point(seen.keypoint_names["left_knee"])[0]).all()
    assert set(others) - set(source().names) == {"Head"}  # Neck was not seen
    assert set(person_points(Saved(lacking, None), 0)[0]) == set(lacking.keypoint_names)
