"""Proposed tables against those made by hand, on our robots and on others' models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.body import Body
from robot_stack.retarget.keypoint_image import COLOURS, table_image
from robot_stack.retarget.keypoint_proposal import Proposal, propose
from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES, KeypointTable
from robot_stack.retarget.mjcf_robot import SPEED, spec_from_mjcf
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.robot_limbs import LimbError
from robot_stack.retarget.scene import Scene
from robot_stack.retarget.synthetic import all_fours
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

mujoco = import_mujoco()
REFERENCES = Path(__file__).resolve().parents[2].parent / "shared" / "assets"


def places(spec: RobotSpec, table: KeypointTable) -> dict[str, np.ndarray]:
    """Keypoints at home, relative to the base."""
    body = Body(spec, Scene())
    found = body.places(body.sweep(body.home()[None]), *body.points(tuple(table.keypoints[n] for n in table.names)))[0]
    return dict(zip(table.names, found - (0.0, 0.0, spec.home_height_m), strict=True))


def reference(tmp_path: Path, folder: str, file: str) -> RobotSpec:
    """A robot whose meshes are not there."""
    path = REFERENCES / folder / file
    if not path.is_file():
        pytest.skip("the reference descriptions are not here")
    made = mujoco.MjSpec.from_file(str(path))
    for geom in list(made.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
            made.delete(geom)
    for mesh in list(made.meshes):
        made.delete(mesh)
    made.compile()
    (tmp_path / file).write_text(made.to_xml())
    return spec_from_mjcf(tmp_path / file)


@pytest.mark.parametrize("spec", [UNITREE_G1, LOCOMAN], ids=lambda spec: spec.name)
def test_our_robots_get_the_tables_that_hands_made(spec: RobotSpec) -> None:
    proposal, by_hand = propose(compile_robot(spec)), KEYPOINT_TABLES[spec.name]
    ours, theirs = places(spec, proposal.table), places(spec, by_hand)
    assert ours.keys() == theirs.keys()
    for name, place in theirs.items():
        assert np.linalg.norm(ours[name] - place) < 0.03, name
    assert {line.name: line.confidence for line in proposal.keypoints} == dict.fromkeys(proposal.table.names, 1.0)
    # The same points touch, and at the same height.
    points = sorted((p.body, p.offset, g.radius_m) for g in proposal.table.contacts for p in g.points if g.radius_m)
    assert points == sorted((p.body, p.offset, g.radius_m) for g in by_hand.contacts for p in g.points if g.radius_m)
    assert proposal.table.height_m == pytest.approx(by_hand.height_m, rel=0.02)


def test_a_reference_g1_gets_the_same_bodies(tmp_path: Path) -> None:
    spec = reference(tmp_path, "unitree_g1", "g1_29dof_rev_1_0.xml")
    table, by_hand = propose(compile_robot(spec)).table, KEYPOINT_TABLES["unitree_g1"]
    assert {n: p.body for n, p in table.keypoints.items()} == {n: p.body for n, p in by_hand.keypoints.items()}
    feet = {g.name: g.points for g in by_hand.contacts if "hand" not in g.name}
    assert {g.name: g.points for g in table.contacts} == feet
    assert next(j for j in spec.joints if j.name == "left_knee_joint").effort == 139.0
    assert spec.joints[0].velocity == SPEED and any("guessed" in doubt for doubt in spec.doubts)


def test_a_reference_go1_is_a_quadruped(tmp_path: Path) -> None:
    spec = reference(tmp_path, "unitree_go1", "go1.xml")
    proposal = propose(compile_robot(spec))
    assert len(proposal.table.keypoints) == 11  # no rear knees: they bend backwards
    assert proposal.table.keypoints["left_wrist"].body == "FL_calf"
    assert proposal.table.keypoints["right_ankle"].offset == pytest.approx((0.0, 0.0, -0.213))
    assert [g.radius_m for g in proposal.table.contacts] == [0.023] * 4
    assert spec.home_height_m == pytest.approx(0.288, abs=2e-3)  # its keyframe stands 18 mm lower, feet in the floor
    made = all_fours(strides=1)
    result = Retargeter(spec, proposal.table)(made.motion, made.scene)
    assert result.accepted().all() and result.metrics["contact_share"] >= 0.95


def test_an_arm_without_wrist_ends_in_its_farthest_geom(tmp_path: Path) -> None:
    arm = """<body name="{s}u" pos="0 {y} .3"><joint name="{s}1" axis="1 0 0"/>
      <joint name="{s}2" axis="0 1 0"/><geom size=".04" mass="1"/>
      <body name="{s}l" pos="0 0 -.3"><joint name="{s}3" axis="0 1 0"/>
        <geom type="capsule" size=".03" fromto="0 0 0 .2 0 0"/>
        <geom size=".05" pos=".28 0 0"/></body></body>"""
    arms = arm.format(s="v", y=0.3) + arm.format(s="w", y=-0.3)
    proposal = propose(compile_robot(biped(tmp_path, extra=arms)))
    keypoints = proposal.table.keypoints
    assert [keypoints[f"left_{n}"].body for n in ("shoulder", "elbow", "wrist")] == ["vu", "vl", "vl"]
    assert keypoints["right_wrist"].offset == pytest.approx((0.28, 0.0, 0.0))
    assert next(g for g in proposal.table.contacts if g.name == "right_hand").clearance_m == pytest.approx(0.05)


LEG = """<body name="{s}a" pos="0 {y} -.05"><joint name="{s}a1" axis="0 1 0"/><geom size=".04" mass="1"/>
 <body name="{s}b"><joint name="{s}b1" axis="1 0 0"/><geom size=".04" mass="1"/>
 <body name="{s}c" pos="0 0 -.3"><joint name="{s}c1" axis="0 1 0"/>
  <geom type="capsule" size=".03" fromto="0 0 0 0 0 -.25"/>
 <body name="{s}d" pos="0 0 -.3"><joint name="{s}d1" axis="0 1 0"/>
  <geom type="box" size=".1 .04 .02" pos=".04 0 -.04"/></body></body></body></body>"""


def biped(tmp_path: Path, left: str = "p", right: str = "q", extra: str = "") -> RobotSpec:
    file = tmp_path / "biped.xml"
    legs = LEG.format(s=left, y=0.1) + LEG.format(s=right, y=-0.1)
    file.write_text(
        f"<mujoco><worldbody><geom name='floor' type='plane' size='1 1 1'/><body name='box' pos='0 0 2'><freejoint/>"
        f"<geom type='box' size='.1 .1 .05'/>{legs}{extra}</body></worldbody></mujoco>"
    )
    return spec_from_mjcf(file)


def by_name(proposal: Proposal) -> dict[str, float]:
    return {line.name: line.confidence for line in proposal.keypoints}


def test_names_change_confidence_not_places(tmp_path: Path) -> None:
    plain = propose(compile_robot(biped(tmp_path)))
    named = propose(compile_robot(biped(tmp_path, "left_", "right_")))
    crossed = propose(compile_robot(biped(tmp_path, "right_", "left_")))
    for proposal in (plain, named, crossed):
        assert any("no arms" in note for note in proposal.notes)
        assert set(proposal.table.names) == {
            "pelvis",
            *(f"{s}_{part}" for s in ("left", "right") for part in ("hip", "knee", "ankle", "toe")),
        }
    assert plain.table.keypoints["left_knee"].body == "pc" and plain.table.keypoints["right_toe"].body == "qd"
    assert by_name(plain)["left_knee"] == pytest.approx(0.7)  # no name, but a twin
    assert by_name(crossed)["left_knee"] == pytest.approx(0.3)
    assert "but named 'right'" in crossed.text()
    # Corners of the sole, a little inside, and low enough to stand on.
    toe = next(g for g in named.table.contacts if g.name == "left_toe")
    assert sorted(p.offset for p in toe.points) == [
        pytest.approx((0.135, -0.028, -0.055)),
        pytest.approx((0.135, 0.028, -0.055)),
    ]


def test_what_is_no_such_robot_is_refused(tmp_path: Path) -> None:
    lump = tmp_path / "lump.xml"
    lump.write_text("<mujoco><worldbody><body name='b'><freejoint/><geom size='.1'/></body></worldbody></mujoco>")
    with pytest.raises(ConfigError, match="no joints but the base's"):
        spec_from_mjcf(lump)
    third = LEG.format(s="m", y=0.02)
    with pytest.raises(LimbError, match="feet cannot be told"):
        propose(compile_robot(biped(tmp_path, extra=third)))
    lump.write_text("<mujoco><worldbody><body><joint/><geom size='.1'/></body></worldbody></mujoco>")
    with pytest.raises(ConfigError, match="free base"):
        spec_from_mjcf(lump)
    lump.write_text(
        "<mujoco><worldbody><body name='b'><freejoint/><geom size='.1'/><body name='c'><joint/><geom size='.1'/></body>"
        "</body></worldbody></mujoco>"
    )
    with pytest.raises(ConfigError, match="joints of c"):
        spec_from_mjcf(lump)
    lump.write_text("<mujoco><asset><mesh file='no.stl'/></asset></mujoco>")
    with pytest.raises(ConfigError, match="cannot be compiled"):
        spec_from_mjcf(lump)


def test_the_image_shows_every_side() -> None:
    image = table_image(UNITREE_G1, KEYPOINT_TABLES["unitree_g1"], 120, 120).astype(float)
    assert image.shape == (120, 360, 3)
    red, green, blue = np.moveaxis(image, 2, 0)
    front = np.s_[:, :120]
    left, right = (blue - red)[front] > 60, (red - blue)[front] > 60
    yellow = (np.minimum(red, green) - blue)[front] > 60
    assert min(left.sum(), right.sum(), yellow.sum()) > 8
    # Seen from the front, the robot's left is on the right.
    assert np.nonzero(left)[1].mean() > np.nonzero(right & ~yellow)[1].mean() + 10
    assert COLOURS["left"][2] == 1.0
