"""LocoMan's model against Human2LocoMan's URDF, Menagerie's Go1, and its own promises."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots import locoman
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import compile_robot

mujoco = import_mujoco()

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "assets"
URDF = SHARED / "locoman" / "locoman.urdf"
GO1 = SHARED / "unitree_go1" / "go1.xml"
needs_urdf = pytest.mark.skipif(not URDF.is_file(), reason=f"needs the reference description {URDF}")
needs_go1 = pytest.mark.skipif(not GO1.is_file(), reason=f"needs the reference description {GO1}")

SIDES = {"right": "1_FR", "left": "2_FL"}
"""Prefix of the names of each side's front leg."""


def floor(scene):
    scene.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 0.1])


def urdf_model(fuse: bool):
    """The URDF without its meshes, floating; ``fuse`` lets MuJoCo merge what fixed joints hold."""
    text = re.sub(r"<(visual|collision)\b.*?</\1>", "", URDF.read_text().replace("`", ""), flags=re.S)
    head = f'<robot name="go1"><mujoco><compiler fusestatic="{str(fuse).lower()}"/></mujoco>'
    made = mujoco.MjSpec.from_string(text.replace('<robot name="go1">', head, 1))
    next(body for body in made.bodies if body.name == "base").add_freejoint()
    return made.compile()


@pytest.fixture(scope="module")
def robot():
    return compile_robot(LOCOMAN, floor)


def at_home(robot):
    data = mujoco.MjData(robot.model)
    data.qpos[:] = robot.home_qpos()
    mujoco.mj_forward(robot.model, data)
    return data


def inertia_in_body_frame(model, body):
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.body_iquat[body])
    rotation = rotation.reshape(3, 3)
    return rotation @ np.diag(model.body_inertia[body]) @ rotation.T


def combined(model, data, bodies, frame):
    """Mass, centre of mass and inertia about it of several bodies together, in the frame of the body ``frame``."""
    turn, origin = data.xmat[frame].reshape(3, 3), data.xpos[frame]
    mass = model.body_mass[bodies].sum()
    centre = model.body_mass[bodies] @ data.xipos[bodies] / mass
    total = np.zeros((3, 3))
    for body in bodies:
        axes, arm = data.ximat[body].reshape(3, 3), data.xipos[body] - centre
        total += axes @ np.diag(model.body_inertia[body]) @ axes.T
        total += model.body_mass[body] * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return mass, turn.T @ (centre - origin), turn.T @ total @ turn


@needs_urdf
def test_joints_have_the_references_order_axes_and_limits(robot):
    theirs, ours = urdf_model(fuse=True), robot.model
    names = [theirs.joint(i).name for i in range(1, theirs.njnt)]
    assert list(LOCOMAN.joint_names) == names
    legs = [0, 1, 2, 6, 7, 8, 12, 13, 14, 15, 16, 17]
    assert [n.split("_")[2] for n in np.array(names)[legs]] == ["hip", "thigh", "calf"] * 4
    for name in names:
        a, b = ours.joint(name), theirs.joint(name)
        assert a.type == b.type and a.limited and b.limited
        np.testing.assert_allclose(a.axis, b.axis, atol=1e-12)
        np.testing.assert_allclose(a.range, b.range, atol=1e-9)
        np.testing.assert_allclose(ours.body_pos[a.bodyid[0]], theirs.body_pos[b.bodyid[0]], atol=1e-9)


@needs_urdf
def test_effort_and_speed_limits(robot):
    text = URDF.read_text()
    for joint in LOCOMAN.joints:
        block = text[text.index(f'name="{joint.name}"') :]
        limit = block[block.index("<limit") :].split("/>")[0]
        number = {k: float(v) for k, v in re.findall(r'(effort|velocity)="([^"]+)"', limit)}
        assert joint.effort == number["effort"]
        assert joint.velocity == (locoman.SERVO_SPEED if "_joint_" in joint.name else number["velocity"])
        actuator = robot.model.actuator(joint.name)
        np.testing.assert_allclose(actuator.forcerange, [-joint.effort, joint.effort])


@needs_urdf
def test_masses_centres_and_inertias(robot):
    theirs, ours, data = urdf_model(fuse=True), robot.model, at_home(robot)
    for jaws in SIDES.values():
        for i in (1, 2):
            data.joint(f"{jaws}_jaw_{i}").qpos[0] = 0.0
    mujoco.mj_forward(ours, data)
    assert abs(mujoco.mj_getTotalmass(ours) - mujoco.mj_getTotalmass(theirs)) < 1e-9
    for number in range(1, theirs.nbody):
        name = theirs.body(number).name
        body = ours.body("trunk" if name == "base" else name).id
        whole = [body, *(ours.body(f"{name[:4]}_jaw_{i}").id for i in (1, 2) if name.endswith("_eef"))]
        mass, centre, inertia = combined(ours, data, whole, body)
        assert abs(mass - theirs.body_mass[number]) < 1e-9, name
        np.testing.assert_allclose(centre, theirs.body_ipos[number], atol=1e-8, err_msg=name)
        np.testing.assert_allclose(inertia, inertia_in_body_frame(theirs, number), atol=1e-10, err_msg=name)


@needs_go1
def test_the_legs_weigh_as_much_as_menageries_go1(robot):
    text = re.sub(r"<mesh[^>]*/>|<geom[^>]*mesh=[^>]*/>", "", GO1.read_text())
    theirs, ours = mujoco.MjModel.from_xml_string(text), robot.model
    for prefix in locoman.LEGS:
        for part in ("hip", "thigh", "calf"):
            if part == "calf" and prefix in SIDES.values():
                continue  # it carries the manipulator's first link
            a, b = ours.body(f"{prefix}_{part}").id, theirs.body(f"{prefix[2:]}_{part}").id
            np.testing.assert_allclose(ours.body_mass[a], theirs.body_mass[b], rtol=1e-5)
            np.testing.assert_allclose(ours.body_ipos[a], theirs.body_ipos[b], atol=1e-6)
            np.testing.assert_allclose(
                inertia_in_body_frame(ours, a), inertia_in_body_frame(theirs, b), rtol=1e-4, atol=1e-8
            )


@needs_urdf
def test_forward_kinematics_at_random_poses(robot):
    theirs, ours = urdf_model(fuse=False), robot.model
    a, b = mujoco.MjData(ours), mujoco.MjData(theirs)
    names = LOCOMAN.joint_names
    to_ours = [ours.joint(n).qposadr[0] for n in names]
    to_theirs = [theirs.joint(n).qposadr[0] for n in names]
    bodies = [theirs.body(i).name for i in range(theirs.nbody)]
    shared = [n for n in bodies if any(n == ours.body(i).name for i in range(ours.nbody))]
    assert len(shared) == 1 + 1 + 4 * 3 + 2 * 3  # the world, the trunk, legs, manipulators
    i, j = [ours.body(n).id for n in shared], [theirs.body(n).id for n in shared]
    feet = [(ours.site(f[2:]).id, theirs.body(f"{f}_foot").id) for f in locoman.LEGS]
    hands = [(ours.site(f"{s}_hand").id, theirs.body(f"{p}_eef").id) for s, p in SIDES.items()]
    axes = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]])  # Human2LocoMan: x = -z, y = x, z = -y
    random = generator(0)
    low, high = ours.jnt_range[[ours.joint(n).id for n in names]].T
    for _ in range(1000):
        base = random.normal(size=7)
        base[3:] /= np.linalg.norm(base[3:])
        q = random.uniform(low, high)
        for model, data, where in ((ours, a, to_ours), (theirs, b, to_theirs)):
            data.qpos[:7], data.qpos[where] = base, q
            mujoco.mj_kinematics(model, data)
        assert abs(a.xpos[i] - b.xpos[j]).max() < 1e-6
        assert abs(a.xmat[i] - b.xmat[j]).max() < 1e-6
        for site, body in feet:
            assert abs(a.site_xpos[site] - b.xpos[body]).max() < 1e-6
        for site, body in hands:
            turn = b.xmat[body].reshape(3, 3)
            assert abs(a.site_xmat[site].reshape(3, 3) - turn @ axes).max() < 1e-6
            assert abs(a.site_xpos[site] - (b.xpos[body] - 0.01 * turn[:, 2])).max() < 1e-6


def test_constants_are_the_compiled_models(robot):
    model = robot.model
    for prefix in locoman.LEGS:
        for part, armature in (
            ("hip", locoman.LEG_ARMATURE),
            ("thigh", locoman.LEG_ARMATURE),
            ("calf", locoman.KNEE_ARMATURE),
        ):
            dof = model.joint(f"{prefix}_{part}_joint").dofadr[0]
            assert abs(model.dof_armature[dof] - armature) < 1e-6 * armature
        assert abs(model.geom(f"{prefix[2:]}_foot").size[0] - locoman.FOOT_RADIUS_M) < 1e-12
    for prefix in SIDES.values():
        for i in (1, 2, 3):
            assert model.dof_armature[model.joint(f"{prefix}_joint_{i}").dofadr[0]] == locoman.SERVO_ARMATURE
        for i in (1, 2):
            assert model.dof_armature[model.joint(f"{prefix}_jaw_{i}").dofadr[0]] == locoman.SERVO_ARMATURE / 2
            assert model.joint(f"{prefix}_jaw_{i}").range[1] == locoman.JAW_OPEN
    np.testing.assert_allclose(model.opt.timestep, LOCOMAN.physics_timestep_s)


def test_home_touches_the_floor_and_nothing_else(robot):
    data = at_home(robot)
    assert data.ncon == 0 or min(contact.dist for contact in data.contact) > -1e-4
    data.qpos[2] -= 5e-5
    mujoco.mj_forward(robot.model, data)
    touching = {robot.model.geom(g).name for contact in data.contact for g in (contact.geom1, contact.geom2)}
    assert touching - {""} == {f"{foot}_foot" for foot in LOCOMAN.feet}
    for foot in LOCOMAN.feet:
        height = data.site(foot).xpos[2] - locoman.FOOT_RADIUS_M
        assert abs(height) < 1e-4
    inside = (data.qpos[robot.qpos] >= robot.low) & (data.qpos[robot.qpos] <= robot.high)
    assert inside.all()


def test_stands_at_home_on_its_position_loops(robot):
    model, data = robot.model, at_home(robot)
    stiffness = np.array([joint.stiffness for joint in LOCOMAN.driven])
    data.ctrl[robot.actuator] = stiffness * data.qpos[robot.qpos]
    mujoco.mj_step(model, data, 1500)
    assert np.isfinite(data.qpos).all()
    assert 0.25 < data.qpos[2] < 0.29 and data.body("trunk").xmat[8] > 0.999
    assert abs(data.qvel).max() < 0.02
    weight = mujoco.mj_getTotalmass(model) * 9.81
    assert abs(np.abs(data.sensordata[robot.foot_sensors]).sum() - weight) < 0.01 * weight
    assert abs(data.sensor("imu_accelerometer").data - [0, 0, 9.81]).max() < 0.3
    assert abs(data.actuator_force).max() < 12


def test_a_fall_makes_no_energy(robot):
    model, data = robot.model, at_home(robot)
    stiff, damp = model.actuator_biasprm[:, 1].copy(), model.actuator_biasprm[:, 2].copy()
    flags = model.opt.enableflags
    try:
        model.actuator_biasprm[:, 1:3] = 0.0
        model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
        data.qpos[2] += 0.2
        mujoco.mj_forward(model, data)
        energy = data.energy.sum()
        for _ in range(1000):
            mujoco.mj_step(model, data)
            assert data.energy.sum() < energy + 0.3  # a contact's spring gives back a little; the fall is worth 26 J
            energy = min(energy, data.energy.sum())
        assert np.isfinite(data.qpos).all() and data.qpos[2] < 0.2
        assert abs(data.qvel).max() < 1.0
    finally:
        model.actuator_biasprm[:, 1], model.actuator_biasprm[:, 2] = stiff, damp
        model.opt.enableflags = flags


@pytest.mark.parametrize("shape", ["box", "sphere", "cylinder"])
@pytest.mark.parametrize("size_m", [0.03, 0.045, 0.06])
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_gripper_holds_a_toy_while_it_is_shaken(side, size_m, shape):
    prefix = SIDES[side]
    pose = {f"{prefix}_joint_1": -1.2, f"{prefix}_joint_2": 0.0, f"{prefix}_joint_3": 0.0}
    alone = compile_robot(LOCOMAN)
    data = mujoco.MjData(alone.model)
    home = alone.home_qpos()
    home[2] = 1.0
    home[[alone.model.joint(n).qposadr[0] for n in pose]] = list(pose.values())
    data.qpos[:] = home
    mujoco.mj_forward(alone.model, data)
    hand = data.site(f"{side}_hand")
    half = size_m / 2

    def furnish(scene):
        toy = scene.worldbody.add_body(name="toy", pos=hand.xpos)
        mujoco.mju_mat2Quat(toy.quat, hand.xmat)
        toy.add_freejoint()
        toy.add_geom(
            type=getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}"),
            size=[half, half, half],
            mass=0.05,
            friction=[0.8, 0.005, 1e-4],
        )
        hold = scene.add_equality(name="hang", type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY)
        hold.name1, hold.name2 = "trunk", "world"
        hold.data[:11] = [0, 0, 0, 0, 0, -1.0, 1, 0, 0, 0, 1]

    robot = compile_robot(LOCOMAN, furnish)
    data = mujoco.MjData(robot.model)
    data.qpos[: home.size] = home
    jaws = [robot.model.joint(f"{prefix}_jaw_{i}").qposadr[0] for i in (1, 2)]
    data.qpos[jaws] = locoman.JAW_OPEN
    stiffness = np.array([joint.stiffness for joint in LOCOMAN.driven])
    wanted = home[robot.qpos].copy()
    model, elbow = robot.model, LOCOMAN.driven_names.index(f"{prefix}_joint_1")
    calf = LOCOMAN.driven_names.index(f"{prefix}_calf_joint")
    model.opt.gravity[2] = 0.0  # until it is held
    offset = None
    for step in range(1500):
        if step == 400:
            model.opt.gravity[2] = -9.81
        swing = np.sin(2 * np.pi * max(step - 400, 0) * 0.002)
        target = wanted.copy()
        target[elbow] += 0.3 * swing
        target[calf] += 0.1 * swing
        data.ctrl[robot.actuator] = stiffness * target
        mujoco.mj_step(model, data)
        if step >= 700:  # a round toy settles between the pads first
            turn = data.site(f"{side}_hand").xmat.reshape(3, 3)
            local = turn.T @ (data.body("toy").xpos - data.site(f"{side}_hand").xpos)
            offset = local if offset is None else offset
            assert np.linalg.norm(local - offset) < 0.006
    assert abs(data.qpos[jaws[0]] - data.qpos[jaws[1]]) < 0.03


def test_cameras_see_the_hands(robot):
    model, data = robot.model, at_home(robot)
    data.joint("1_FR_thigh_joint").qpos[0], data.joint("1_FR_calf_joint").qpos[0] = 0.1, -1.7
    data.joint("2_FL_thigh_joint").qpos[0], data.joint("2_FL_calf_joint").qpos[0] = 0.1, -1.7
    for prefix in SIDES.values():
        data.joint(f"{prefix}_joint_1").qpos[0], data.joint(f"{prefix}_joint_2").qpos[0] = -0.2, 0.0
    mujoco.mj_forward(model, data)

    def tangents(camera, point):
        """Right and up of a point in a camera's image, as tangents of the angles from its axis."""
        x, y, z = data.cam(camera).xmat.reshape(3, 3).T @ (point - data.cam(camera).xpos)
        assert z < 0, "behind the camera"
        return x / -z, y / -z

    eyes = data.cam("head_left").xpos - data.cam("head_right").xpos
    np.testing.assert_allclose(eyes, [0, 0.06, 0], atol=1e-9)
    for side in SIDES:
        hand = data.site(f"{side}_hand").xpos
        for camera in ("head_left", "head_right", f"{side}_wrist"):
            right, up = tangents(camera, hand)
            height = np.tan(np.deg2rad(model.cam(camera).fovy[0]) / 2)
            assert abs(up) < height and abs(right) < height * 4 / 3
    assert (
        tangents("head_left", data.site("right_hand").xpos)[0]
        > 0
        > tangents("head_left", data.site("left_hand").xpos)[0]
    )
