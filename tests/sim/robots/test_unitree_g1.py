"""Our G1 against Unitree's description of it, and what the model promises beyond it."""

from __future__ import annotations

import math
import shutil
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import RobotStackError
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import (
    ARM,
    FINGER_TRAVEL_M,
    JOINT_DAMPING,
    JOINT_FRICTION,
    LEG,
    M4010,
    M5020,
    M7520_14,
    M7520_22,
    UNITREE_G1,
    UNITREE_G1_GRIPPERS,
    WAIST,
    WRIST_FRICTION,
    with_natural_gains,
)

mujoco = import_mujoco()
REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "assets" / "unitree_g1"
SPECS = pytest.mark.parametrize("spec", [UNITREE_G1, UNITREE_G1_GRIPPERS], ids=lambda s: s.name)
LEG_ORDER = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
ARM_ORDER = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
SDK_ORDER = (
    *(f"{side}_{joint}" for side in ("left", "right") for joint in LEG_ORDER),
    *("waist_yaw", "waist_roll", "waist_pitch"),
    *(f"{side}_{joint}" for side in ("left", "right") for joint in ARM_ORDER),
)


def with_floor(made: Any) -> None:
    made.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1])


@cache
def ours(spec: RobotSpec, floor: bool = False) -> RobotModel:
    return compile_robot(spec, with_floor if floor else None)


@cache
def reference() -> Any:
    file = REFERENCE / "g1_29dof_rev_1_0.xml"
    if not file.is_file():
        pytest.skip(f"no reference description at {file}")
    tree = ET.parse(file).getroot()
    for parent in tree.iter():
        for child in list(parent):
            if child.tag == "mesh" or child.get("type") == "mesh":
                parent.remove(child)
    return mujoco.MjModel.from_xml_string(ET.tostring(tree, encoding="unicode"))


@cache
def urdf() -> ET.Element:
    file = REFERENCE / "g1_29dof_rev_1_0.urdf"
    if not file.is_file():
        pytest.skip(f"no reference description at {file}")
    return ET.parse(file).getroot()


def inertia(model: Any, body: str) -> np.ndarray:
    number = model.body(body).id
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.body_iquat[number])
    axes = rotation.reshape(3, 3)
    return axes @ np.diag(model.body_inertia[number]) @ axes.T


def at_home(robot: RobotModel) -> Any:
    data = mujoco.MjData(robot.model)
    data.qpos[:] = robot.home_qpos()
    data.ctrl[robot.actuator] = [joint.stiffness * joint.home for joint in robot.spec.driven]
    mujoco.mj_forward(robot.model, data)
    return data


@SPECS
def test_joints_come_in_the_order_of_the_sdk(spec: RobotSpec) -> None:
    assert spec.joint_names == tuple(f"{name}_joint" for name in SDK_ORDER)
    assert [ours(spec).model.joint(n).id for n in spec.joint_names] == sorted(ours(spec).dof[:29] - 5)


@SPECS
def test_joints_are_the_references(spec: RobotSpec) -> None:
    mine, theirs = ours(spec).model, reference()
    names = [theirs.joint(i).name for i in range(theirs.njnt)]
    assert sorted(names[1:]) == sorted(spec.joint_names)
    for joint in spec.joints:
        a, b = mine.joint(joint.name), theirs.joint(joint.name)
        assert mine.body(int(a.bodyid[0])).name == theirs.body(int(b.bodyid[0])).name
        np.testing.assert_array_equal(a.axis, b.axis)
        np.testing.assert_array_equal(a.pos, b.pos)
        np.testing.assert_allclose(a.range, b.range, atol=1e-9)
        np.testing.assert_array_equal(mine.jnt_actfrcrange[a.id], theirs.jnt_actfrcrange[b.id])
        assert joint.effort == theirs.jnt_actfrcrange[b.id][1]


def test_speeds_and_efforts_are_the_urdfs() -> None:
    found = {j.get("name"): j.find("limit") for j in urdf().findall("joint") if j.get("type") == "revolute"}
    assert set(found) == set(UNITREE_G1.joint_names)
    for joint in UNITREE_G1.joints:
        limit = found[joint.name]
        assert limit is not None
        assert (joint.velocity, joint.effort) == (float(limit.get("velocity", "")), float(limit.get("effort", "")))


def test_masses_centres_and_inertias_are_the_references() -> None:
    mine, theirs = ours(UNITREE_G1).model, reference()
    assert mine.nbody == theirs.nbody
    for number in range(1, theirs.nbody):
        name = theirs.body(number).name
        a, b = mine.body(name), theirs.body(number)
        assert a.mass[0] == b.mass[0], name
        np.testing.assert_allclose(a.ipos, b.ipos, atol=1e-9, err_msg=name)
        tensor = inertia(theirs, name)
        np.testing.assert_allclose(inertia(mine, name), tensor, atol=1e-9 * np.abs(tensor).max(), err_msg=name)
    assert mine.body_subtreemass[1] == pytest.approx(33.341142, abs=1e-6)


def test_the_grippers_change_nothing_but_the_hands() -> None:
    hands, grippers = ours(UNITREE_G1).model, ours(UNITREE_G1_GRIPPERS).model
    for number in range(1, hands.nbody):
        name = hands.body(number).name
        if not name.endswith("wrist_yaw_link"):
            np.testing.assert_allclose(inertia(grippers, name), inertia(hands, name), rtol=1e-12, err_msg=name)
    for link in urdf().findall("link"):
        if str(link.get("name")).endswith("wrist_yaw_link"):
            mass = link.find("inertial/mass")
            assert mass is not None
            assert grippers.body(str(link.get("name"))).mass[0] == float(mass.get("value", ""))
    assert grippers.body_subtreemass[1] == pytest.approx(hands.body_subtreemass[1], abs=0.5)


@SPECS
def test_forward_kinematics_agrees_at_1000_poses(spec: RobotSpec) -> None:
    mine, theirs = ours(spec).model, reference()
    rng = np.random.default_rng(3)
    a, b = mujoco.MjData(mine), mujoco.MjData(theirs)
    bodies = [theirs.body(i).name for i in range(1, theirs.nbody)]
    rows = np.array([mine.body(name).id for name in bodies])
    theirs_at = np.array([theirs.joint(name).qposadr[0] for name in spec.joint_names])
    low, high = theirs.jnt_range[1:].T[:, np.argsort(theirs_at)]
    for _ in range(1000):
        base = np.concatenate([rng.uniform(-2, 2, 3), rng.normal(size=4)])
        base[3:] /= np.linalg.norm(base[3:])
        joints = rng.uniform(low, high)
        a.qpos[:7] = b.qpos[:7] = base
        a.qpos[ours(spec).qpos[:29]] = b.qpos[theirs_at] = joints
        mujoco.mj_kinematics(mine, a)
        mujoco.mj_kinematics(theirs, b)
        np.testing.assert_allclose(a.xpos[rows], b.xpos[1:], atol=1e-6, rtol=0)
        np.testing.assert_allclose(a.xmat[rows], b.xmat[1:], atol=1e-6, rtol=0)


@SPECS
def test_derived_constants_are_in_the_compiled_model(spec: RobotSpec) -> None:
    robot = ours(spec)
    rows = {name: motor for name, motor, *_ in (*LEG, *WAIST, *ARM)}
    for joint, dof in zip(spec.joints, robot.dof, strict=False):
        name = joint.name.removesuffix("_joint").removeprefix("left_").removeprefix("right_")
        assert robot.model.dof_armature[dof] == pytest.approx(rows[name].armature, rel=1e-6), joint.name
        assert robot.model.dof_damping[dof] == JOINT_DAMPING
        dry = WRIST_FRICTION if name in ("wrist_pitch", "wrist_yaw") else JOINT_FRICTION
        assert robot.model.dof_frictionloss[dof] == dry
    np.testing.assert_array_equal(
        robot.model.actuator_forcerange[robot.actuator, 1], [joint.effort for joint in spec.driven]
    )


def test_armatures_are_rotor_inertia_times_gear_ratio_squared() -> None:
    # (1 + 46/18) (1 + 56/16) = 16, so the rotor of a 5020 counts 256 times
    assert M5020.armature == pytest.approx(0.139e-4 * 256 + 0.017e-4 * 4.5**2 + 0.169e-4, rel=1e-12)
    assert M7520_14.armature == pytest.approx(0.010177520, rel=1e-6)
    assert M7520_22.armature == pytest.approx(0.025101925, rel=1e-6)
    assert M4010.armature == pytest.approx(0.068e-4 * 625, rel=1e-12)


def test_natural_gains_have_the_frequency_and_damping_asked_for() -> None:
    spec = with_natural_gains(UNITREE_G1, frequency_hz=8.0, damping_ratio=0.7)
    for joint, dof in zip(spec.joints, ours(UNITREE_G1).dof, strict=True):
        armature = ours(UNITREE_G1).model.dof_armature[dof]
        assert math.sqrt(joint.stiffness / armature) / (2 * math.pi) == pytest.approx(8.0, rel=1e-5)
        assert joint.damping / (2 * math.sqrt(joint.stiffness * armature)) == pytest.approx(0.7, rel=1e-5)


@SPECS
def test_stands_on_its_soles_at_home(spec: RobotSpec) -> None:
    robot = ours(spec)
    data = at_home(robot)
    soles = np.array([data.site(f"{side}_foot_{i}").xpos for side in ("left", "right") for i in range(4)])
    np.testing.assert_allclose(soles[:, 2], 0.0, atol=1e-4)
    assert not data.ncon, "the robot touches itself at home"
    middle = 0.5 * (data.site("left_foot").xpos + data.site("right_foot").xpos)
    assert np.linalg.norm(data.subtree_com[robot.root][:2] - middle[:2]) < 2e-3
    assert all(low < home < high for low, home, high in zip(robot.low, spec.home, robot.high, strict=False))


@SPECS
def test_feet_carry_the_weight_without_sinking(spec: RobotSpec) -> None:
    robot = ours(spec, floor=True)
    data = at_home(robot)
    for _ in range(100):
        mujoco.mj_step(robot.model, data)
    floor = robot.geom("floor")
    assert data.ncon == 8
    assert all(floor in (c.geom1, c.geom2) and c.dist > -1e-3 for c in data.contact)
    weight = 9.81 * robot.model.body_subtreemass[robot.root]
    assert np.abs(data.sensordata[robot.foot_sensors]).sum() == pytest.approx(weight, rel=0.05)
    touch = [data.sensor(f"{side}_foot_{i}").data[0] for side in ("left", "right") for i in range(4)]
    assert sum(touch) == pytest.approx(weight, rel=0.05)
    assert min(touch) > 5.0
    assert data.sensor("imu_accelerometer").data[2] == pytest.approx(9.81, abs=0.5)
    assert abs(data.sensor("imu_quat").data[0]) > 0.999


def test_in_free_flight_momentum_stays_and_energy_only_falls() -> None:
    robot = ours(UNITREE_G1)
    model, data = robot.model, mujoco.MjData(robot.model)
    flags = model.opt.disableflags
    model.opt.disableflags = flags | mujoco.mjtDisableBit.mjDSBL_ACTUATION | mujoco.mjtDisableBit.mjDSBL_CONTACT
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    model.opt.gravity[:] = 0.0
    try:
        data.qpos[:] = robot.home_qpos()
        data.qvel[:] = np.random.default_rng(5).normal(size=model.nv) * 0.3
        mujoco.mj_forward(model, data)
        energy = [data.energy[1]]
        mujoco.mj_subtreeVel(model, data)
        before = data.subtree_linvel[robot.root].copy()
        for _ in range(500):
            mujoco.mj_step(model, data)
            energy.append(data.energy[1])
        mujoco.mj_subtreeVel(model, data)
        np.testing.assert_allclose(data.subtree_linvel[robot.root], before, atol=2e-3)
        assert np.all(np.diff(energy) < 1e-4 * energy[0])
        assert 0.0 < energy[-1] < energy[0]
    finally:
        model.opt.disableflags = flags
        model.opt.gravity[:] = (0.0, 0.0, -9.81)


@SPECS
def test_random_poses_and_torques_stay_finite(spec: RobotSpec) -> None:
    robot = ours(spec, floor=True)
    rng = np.random.default_rng(11)
    data = at_home(robot)
    effort = np.array([joint.effort for joint in spec.driven])
    for _ in range(200):
        data.ctrl[robot.actuator] = rng.uniform(-1, 1, effort.size) * effort
        mujoco.mj_step(robot.model, data, 5)
        assert np.isfinite(data.qpos).all()
        assert np.abs(data.qvel).max() < 200.0
    assert data.warning.number.sum() == 0


@SPECS
def test_no_neighbours_collide_anywhere_in_the_range_of_the_arms(spec: RobotSpec) -> None:
    """What may touch are hands, arms, body and legs; never two links that share a joint or two links further."""
    robot = ours(spec)
    model, data = robot.model, at_home(robot)
    rng = np.random.default_rng(2)
    arms = [i for i, name in enumerate(spec.joint_names) if "shoulder" not in name and i >= 15]
    for _ in range(300):
        index = robot.qpos[arms]
        data.qpos[index] = rng.uniform(robot.low[arms], robot.high[arms])
        mujoco.mj_forward(model, data)
        for contact in data.contact:
            pair = {model.body(int(model.geom_bodyid[g])).name for g in (contact.geom1, contact.geom2)}
            near = {n.split("_", 1)[1] for n in pair if n.startswith(("left_", "right_"))}
            assert not near <= {"elbow_link", "wrist_roll_link", "wrist_pitch_link", "wrist_yaw_link"} or (
                len({n.split("_")[0] for n in pair}) == 2
            ), pair


@SPECS
def test_hands_look_the_same_way_as_the_site_says(spec: RobotSpec) -> None:
    data = at_home(ours(spec))
    left, right = data.site("left_hand"), data.site("right_hand")
    np.testing.assert_allclose(left.xpos * (1, -1, 1), right.xpos, atol=1e-4)
    for hand in spec.end_effectors:
        wrist = data.body(hand.name.replace("hand", "wrist_yaw_link"))
        np.testing.assert_allclose(data.site(hand.site).xmat, wrist.xmat, atol=1e-12)
        along = (data.site(hand.site).xpos - wrist.xpos) @ wrist.xmat.reshape(3, 3)
        assert 0.05 < along[0] < 0.2


def test_cameras_see_what_they_are_for() -> None:
    """Points before the head camera and at the fingertips lie inside the images."""
    robot = ours(UNITREE_G1)
    data = at_home(robot)
    for camera, point in (
        ("head", np.array([0.45, 0.0, 0.75])),
        ("left_wrist", data.site("left_hand").xpos + 0.07 * data.site("left_hand").xmat.reshape(3, 3)[:, 0]),
        ("right_wrist", data.site("right_hand").xpos + 0.07 * data.site("right_hand").xmat.reshape(3, 3)[:, 0]),
    ):
        seen = data.camera(camera).xmat.reshape(3, 3).T @ (point - data.camera(camera).xpos)
        half = math.tan(math.radians(robot.model.camera(camera).fovy[0]) / 2)
        assert seen[2] < 0, camera
        assert np.abs(seen[:2] / -seen[2]).max() < half, camera


def test_the_hash_covers_the_included_hands(tmp_path: Path) -> None:
    shutil.copytree(UNITREE_G1.path.parent, tmp_path / "g1")
    copy = UNITREE_G1.with_mjcf(tmp_path / "g1" / "unitree_g1.xml")
    assert compile_robot(copy).sha256 == ours(UNITREE_G1).sha256 != ours(UNITREE_G1_GRIPPERS).sha256
    hand = tmp_path / "g1" / "left_hand.xml"
    hand.write_text(hand.read_text().replace('mass="0.254576"', 'mass="0.3"'))
    assert compile_robot(copy).sha256 != ours(UNITREE_G1).sha256


def test_grippers_open_and_close() -> None:
    robot = ours(UNITREE_G1_GRIPPERS)
    data = at_home(robot)
    fingers = robot.qpos[29:]
    np.testing.assert_allclose(data.qpos[fingers], FINGER_TRAVEL_M)
    robot.model.opt.gravity[:] = 0.0
    try:
        for target in (0.0, FINGER_TRAVEL_M):
            for i, joint in zip(robot.actuator[29:], robot.spec.driven[29:], strict=True):
                data.ctrl[i] = joint.stiffness * target
            for _ in range(300):
                mujoco.mj_step(robot.model, data)
            np.testing.assert_allclose(data.qpos[fingers], target, atol=1.5e-3)
    finally:
        robot.model.opt.gravity[:] = (0.0, 0.0, -9.81)


def test_another_robots_model_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.xml"
    other.write_text("<mujoco><worldbody><body name='pelvis'><freejoint/><geom size='1'/></body></worldbody></mujoco>")
    with pytest.raises(RobotStackError, match="left_hip_pitch_joint"):
        compile_robot(UNITREE_G1.with_mjcf(other))
