"""The Panda against Franka's published figures, stated here once more, and what the model must do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.sim.control.joint_limits import joint_limits
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots import panda
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.panda import PANDA

A = (0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088)
D = (0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0)
ALPHA = (0.0, -np.pi / 2, np.pi / 2, np.pi / 2, -np.pi / 2, np.pi / 2, np.pi / 2)
FLANGE, TCP, HAND_TURN = 0.107, 0.1034, -np.pi / 4
LOW = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973)
HIGH = (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973)
MASSES = {
    "link0": 0.629769,
    "link1": 4.970684,
    "link2": 0.646926,
    "link3": 3.228604,
    "link4": 3.587895,
    "link5": 1.225946,
    "link6": 1.666555,
    "link7": 0.735522,
    "hand": 0.73,
    "left_finger": 0.015,
    "right_finger": 0.015,
}
CENTRES = {
    "link1": (0.003875, 0.002081, -0.04762),
    "link2": (-0.003141, -0.02872, 0.003495),
    "link3": (0.027518, 0.039252, -0.066502),
    "link4": (-0.05317, 0.104419, 0.027454),
    "link5": (-0.011953, 0.041065, -0.038437),
    "link6": (0.060149, -0.014117, -0.010517),
    "link7": (0.010517, -0.004252, 0.061597),
    "hand": (-0.01, 0.0, 0.03),
}
INERTIAS = {  # xx, yy, zz, xy, xz, yz about the centre of mass, in the link's axes
    "link1": (0.70337, 0.70661, 0.0091170, -0.00013900, 0.0067720, 0.019169),
    "link2": (0.0079620, 0.028110, 0.025995, -0.003925, 0.010254, 0.000704),
    "link3": (0.037242, 0.036155, 0.010830, -0.004761, -0.011396, -0.012805),
    "link4": (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641),
    "link5": (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229),
    "link6": (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341),
    "link7": (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741),
    "hand": (0.001, 0.0025, 0.0017, 0.0, 0.0, 0.0),
}
mujoco = import_mujoco()
ROBOT = compile_robot(PANDA)


def craig(a: float, d: float, alpha: float, theta: float) -> np.ndarray:
    """One transform of the modified Denavit-Hartenberg convention (Craig)."""
    ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
    return np.array([[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]])


def chain(q: np.ndarray) -> list[np.ndarray]:
    """Poses of links 1 to 7, flange, and hand tool centre point."""
    poses = [np.eye(4)]
    for a, d, alpha, theta in zip(A, D, ALPHA, q, strict=True):
        poses.append(poses[-1] @ craig(a, d, alpha, theta))
    poses.append(poses[-1] @ craig(0.0, FLANGE, 0.0, 0.0))
    poses.append(poses[-1] @ craig(0.0, TCP, 0.0, HAND_TURN))
    return poses[1:]


def test_forward_kinematics_are_the_published_ones() -> None:
    model, data = ROBOT.model, mujoco.MjData(ROBOT.model)
    rng = generator(7, 1)
    bodies = [model.body(f"link{i}").id for i in range(1, 9)]
    for _ in range(1000):
        q = rng.uniform(LOW, HIGH)
        data.qpos[ROBOT.qpos[:7]] = q
        mujoco.mj_kinematics(model, data)
        want = chain(q)
        for body, pose in zip(bodies, want[:8], strict=True):
            np.testing.assert_allclose(data.xpos[body], pose[:3, 3], atol=1e-6)
            np.testing.assert_allclose(data.xmat[body].reshape(3, 3), pose[:3, :3], atol=1e-6)
        np.testing.assert_allclose(data.site("hand").xpos, want[8][:3, 3], atol=1e-6)
        np.testing.assert_allclose(data.site("hand").xmat.reshape(3, 3), want[8][:3, :3], atol=1e-6)


def test_limits_are_the_published_ones() -> None:
    assert PANDA.joint_names == tuple(f"joint{i}" for i in range(1, 8))
    np.testing.assert_allclose(ROBOT.low, (*LOW, 0.0, 0.0))
    np.testing.assert_allclose(ROBOT.high, (*HIGH, 0.04, 0.04))
    assert [j.effort for j in PANDA.joints] == [87.0] * 4 + [12.0] * 3
    assert [j.velocity for j in PANDA.joints] == [2.175] * 4 + [2.61] * 3
    assert [j.acceleration for j in PANDA.joints] == [15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0]
    guarded = joint_limits(ROBOT, JointPositionMode(ROBOT))
    assert guarded.max_acceleration[:7] == (15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0)
    model = ROBOT.model
    efforts = np.array([j.effort for j in PANDA.driven])
    joints = [model.joint(n).id for n in PANDA.driven_names]
    np.testing.assert_allclose(model.jnt_actfrcrange[joints], np.stack([-efforts, efforts], axis=1))
    np.testing.assert_allclose(model.actuator_forcerange[ROBOT.actuator], np.stack([-efforts, efforts], axis=1))


def test_masses_and_inertias_are_the_published_ones() -> None:
    model = ROBOT.model
    named = {model.body(i).name: float(model.body_mass[i]) for i in range(1, model.nbody) if model.body_mass[i] > 0}
    assert named == pytest.approx(MASSES)
    for name, (xx, yy, zz, xy, xz, yz) in INERTIAS.items():
        body = model.body(name)
        np.testing.assert_allclose(body.ipos, CENTRES[name], atol=1e-9)
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, body.iquat)
        axes = turn.reshape(3, 3)
        got = axes @ np.diag(body.inertia) @ axes.T
        np.testing.assert_allclose(got, [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=1e-7)


def test_derived_constants_are_the_models() -> None:
    model = ROBOT.model
    np.testing.assert_allclose(model.dof_armature[ROBOT.dof[:7]], panda.ARMATURE)
    np.testing.assert_allclose(model.dof_armature[ROBOT.dof[7:]], panda.FINGER_ARMATURE)
    np.testing.assert_allclose(-model.actuator_biasprm[ROBOT.actuator[:7], 1], (600, 600, 600, 600, 250, 150, 50))
    hand = PANDA.end_effector("hand")
    assert hand.joints == PANDA.joint_names and hand.gripper == "gripper"


def hold(data: Any, q: np.ndarray, seconds: float) -> None:
    kp = np.array([j.stiffness for j in PANDA.driven])
    data.ctrl[ROBOT.actuator] = kp * q
    mujoco.mj_step(ROBOT.model, data, round(seconds / ROBOT.model.opt.timestep))


def test_holds_home_without_touching_itself() -> None:
    data = mujoco.MjData(ROBOT.model)
    data.qpos[:] = ROBOT.home_qpos()
    mujoco.mj_forward(ROBOT.model, data)
    assert data.ncon == 0
    start = data.site("hand").xpos.copy()
    np.testing.assert_allclose(data.site("hand").xmat.reshape(3, 3), np.diag((1.0, -1.0, -1.0)), atol=1e-6)
    hold(data, data.qpos[ROBOT.qpos].copy(), 2.0)
    np.testing.assert_allclose(data.site("hand").xpos, start, atol=1e-5)
    assert np.abs(data.qvel).max() < 1e-5


def test_gravity_is_compensated_within_the_torque_limits() -> None:
    """Links weigh what they weigh, and the controller's share shows in the joint torques."""
    model, data = ROBOT.model, mujoco.MjData(ROBOT.model)
    data.qpos[ROBOT.qpos[:7]] = (0.0, 1.2, 0.0, -0.6, 0.0, 1.8, 0.0)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.qfrc_gravcomp[ROBOT.dof], data.qfrc_bias[ROBOT.dof], atol=1e-6)
    assert 20.0 < np.abs(data.qfrc_gravcomp).max() < 87.0


def test_energy_never_grows_by_itself() -> None:
    model = mujoco.MjModel.from_xml_path(str(PANDA.path))
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    model.body_gravcomp[:] = 0.0
    data = mujoco.MjData(model)
    data.qpos[:7] = (0.3, 0.4, -0.2, -1.4, 0.5, 1.6, 0.2)
    mujoco.mj_forward(model, data)
    start = data.energy.sum()
    for _ in range(1000):
        mujoco.mj_step(model, data)
        assert np.isfinite(data.qpos).all()
        assert data.energy.sum() < start + 0.05  # the falling arm turns 30 J into heat
    assert data.energy.sum() < start - 10.0


@pytest.mark.parametrize("half", [0.012, 0.02, 0.03])
def test_a_grasped_cube_is_held_firmly(half: float) -> None:
    """Lifted off the floor and shaken; then it rests in the hand to less than 1 mm/s."""

    def add_cube(made: Any) -> None:
        made.option.cone, made.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10.0
        body = made.worldbody.add_body(name="cube", pos=(0.3068906, 0.0, 0.486882))
        body.add_freejoint()
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=(half,) * 3, mass=0.15, friction=(1.0, 0.01, 0.001), condim=4
        )

    robot = compile_robot(PANDA, add_cube)
    model, data = robot.model, mujoco.MjData(robot.model)
    data.qpos[:] = robot.home_qpos()
    data.qpos[robot.qpos[7:]] = half
    kp = np.array([j.stiffness for j in PANDA.driven])
    target = np.array([*PANDA.home, 0.0, 0.0])
    mujoco.mj_forward(model, data)

    def offset() -> np.ndarray:
        turn = data.site("hand").xmat.reshape(3, 3)
        return turn.T @ (data.body("cube").xpos - data.site("hand").xpos)

    settled = offset()
    for step in range(1500):
        swing = 0.1 * np.sin(2 * np.pi * step / 500) if step < 1000 else 0.0
        data.ctrl[robot.actuator] = kp * (target + np.array([swing, swing, 0, 0, 0, 0, 0, 0, 0]))
        mujoco.mj_step(model, data)
        if step == 100:
            settled = offset()
    assert np.linalg.norm(offset() - settled) < 0.5e-3
    body = model.body("cube").id
    assert np.linalg.norm(data.cvel[body]) < 1e-3
    depth = min(contact.dist for contact in data.contact)
    assert -1e-3 < depth < 0.0
