"""Names of joints lead to keypoints, in every spelling."""

from __future__ import annotations

import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.retarget.motion import KEYPOINTS
from robot_stack.retarget.skeletons import SKELETONS, Skeleton, keypoints_by_name, skeleton_of

PARTS = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")
SPELLINGS = {
    "mixamo": ("mixamorig:Hips", "mixamorig:Left{}", "mixamorig:Right{}", "UpLeg Leg Foot ToeBase Arm ForeArm Hand"),
    "biped": ("Bip01 Pelvis", "Bip01 L {}", "Bip01 R {}", "Thigh Calf Foot Toe0 UpperArm Forearm Hand"),
    "unreal": ("pelvis", "{}_l", "{}_r", "thigh calf foot ball upperarm lowerarm hand"),
    "blender": ("hips", "{}.L", "{}.R", "thigh shin foot toe upper_arm forearm hand"),
    "vicon": ("Hips", "Left{}", "Right{}", "Hip Knee Ankle Toe Shoulder Elbow Wrist"),
    "biovision": ("Hips", "Left{}", "Right{}", "UpLeg LowLeg Foot Toe UpArm LowArm Hand"),
    "poser": ("hip", "l{}", "r{}", "Thigh Shin Foot Toe Shldr ForeArm Hand"),
    "optitrack": ("Hips", "Left{}", "Right{}", "UpLeg Leg Foot ForeFoot Arm ForeArm Hand"),
    "smpl": ("pelvis", "left_{}", "right_{}", "hip knee ankle foot shoulder elbow wrist"),
}
EXTRA = ("Spine", "Neck", "Head", "LeftShoulderPad", "LeftHandThumb1", "RightToe_End", "lowerback", "root2")


@pytest.mark.parametrize("kind", SPELLINGS)
def test_keypoints_are_found_by_name(kind: str) -> None:
    pelvis, left, right, parts = SPELLINGS[kind]
    wanted = {"pelvis": pelvis}
    for side, pattern in (("left", left), ("right", right)):
        wanted |= {f"{side}_{p}": pattern.format(w) for p, w in zip(PARTS, parts.split(), strict=True)}
    assert keypoints_by_name([*EXTRA, *wanted.values()]) == wanted


def test_a_clavicle_is_no_shoulder_where_there_is_an_arm() -> None:
    found = keypoints_by_name(("Hips", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"))
    assert found["left_shoulder"] == "LeftArm"
    assert keypoints_by_name(("tail_1", "wing")) == {}


@pytest.mark.parametrize("name", [s for s in SKELETONS if s != "cmu"])
def test_names_alone_give_the_same_map_as_the_named_skeleton(name: str) -> None:
    skeleton = SKELETONS[name]
    assert keypoints_by_name(skeleton.joints) == {k: skeleton.keypoints[k] for k in KEYPOINTS}
    assert skeleton_of(skeleton.joints) is skeleton


def test_a_bone_of_cmu_is_its_far_end() -> None:
    assert SKELETONS["cmu"].keypoints["left_knee"] == "lfemur"


def test_wrong_skeletons_are_refused() -> None:
    with pytest.raises(ConfigError, match="two joints"):
        Skeleton("x", "x", ("a", "a"), {})
    with pytest.raises(UnknownNameError, match="left_hipp"):
        Skeleton("x", "x", ("a",), {"left_hipp": "a"})
    with pytest.raises(UnknownNameError, match="unknown joint 'b'"):
        Skeleton("x", "x", ("a",), {"left_hip": "b"})
