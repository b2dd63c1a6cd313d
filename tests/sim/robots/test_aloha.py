"""ALOHA against Interbotix' published figures, stated here once more, and what the model must do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robot_stack.core.seeding import generator
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots import aloha
from robot_stack.sim.robots.aloha import ALOHA, ARM_JOINTS, SIDES
from robot_stack.sim.robots.model import RobotModel, compile_robot

SCREWS = (  # vx300s of Interbotix' mr_descriptions.py: rotation axis, then velocity of the origin
    (0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, -0.12705, 0.0, 0.0),
    (0.0, 1.0, 0.0, -0.42705, 0.0, 0.05955),
    (1.0, 0.0, 0.0, 0.0, 0.42705, 0.0),
    (0.0, 1.0, 0.0, -0.42705, 0.0, 0.35955),
    (1.0, 0.0, 0.0, 0.0, 0.42705, 0.0),
)
HOME_TIP = (0.536494, 0.0, 0.42705)
LOW_DEGREES = (-180, -106, -101, -180, -107, -180)
HIGH_DEGREES = (180, 72, 92, 180, 128, 180)
LINK_ORIGINS = {  # in the base's frame, arm stretched out: the URDF's offsets added up
    "shoulder_link": (0.0, 0.0, 0.079),
    "upper_arm_link": (0.0, 0.0, 0.12705),
    "upper_forearm_link": (0.05955, 0.0, 0.42705),
    "lower_forearm_link": (0.25955, 0.0, 0.42705),
    "wrist_link": (0.35955, 0.0, 0.42705),
    "gripper_link": (0.429294, 0.0, 0.42705),
}
MASSES = {
    "base_link": 0.969034,
    "shoulder_link": 0.798614,
    "upper_arm_link": 0.792592,
    "upper_forearm_link": 0.322228,
    "lower_forearm_link": 0.414823,
    "wrist_link": 0.115395,
    "gripper_link": 0.251652,
    "gripper_base": 0.42158,
    "left_finger_link": 0.0862937,
    "right_finger_link": 0.0862932,
}
PRINCIPAL = {  # principal moments, largest first
    "base_link": (0.0071633, 0.00602451, 0.00169819),
    "shoulder_link": (0.00120156, 0.00113744, 0.0009388),
    "upper_arm_link": (0.00911338, 0.008925, 0.000759317),
    "upper_forearm_link": (0.00144107, 0.00134228, 0.000152047),
    "lower_forearm_link": (0.0005911, 0.000546493, 0.000155707),
    "wrist_link": (5.45707e-05, 4.63101e-05, 4.32692e-05),
    "gripper_link": (0.000689546, 0.000650316, 0.000468142),
    "gripper_base": (0.00110438, 0.000790537, 0.000469727),
    "left_finger_link": (5.86848e-05, 4.46887e-05, 1.8397e-05),
    "right_finger_link": (5.86828e-05, 4.46887e-05, 1.83949e-05),
}
CENTRES = {
    "upper_arm_link": (0.0206949, 0.0, 0.226459),
    "upper_forearm_link": (0.105723, 0.0, 0.0),
    "lower_forearm_link": (0.0513477, 0.00680462, 0.0),
    "wrist_link": (0.046743, -7.6652e-06, 0.010565),
    "gripper_link": (0.0395662, 0.0, 0.00400649),
}
mujoco = import_mujoco()
ROBOT = compile_robot(ALOHA)


def exponential(screw: tuple[float, ...], angle: float) -> np.ndarray:
    """exp([S] angle) for a rotation about a fixed axis (Lynch and Park, Modern Robotics)."""
    axis, v = np.array(screw[:3]), np.array(screw[3:])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    way = np.eye(3) * angle + (1 - np.cos(angle)) * skew + (angle - np.sin(angle)) * skew @ skew
    pose[:3, 3] = way @ v
    return pose


def tip(q: np.ndarray) -> np.ndarray:
    """Pose of ``ee_gripper_link`` in the arm's base frame by the product of exponentials."""
    pose = np.eye(4)
    for screw, angle in zip(SCREWS, q, strict=True):
        pose = pose @ exponential(screw, angle)
    home = np.eye(4)
    home[:3, 3] = HOME_TIP
    return pose @ home


def test_forward_kinematics_are_the_published_ones() -> None:
    model, data = ROBOT.model, mujoco.MjData(ROBOT.model)
    rng = generator(7, 2)
    for _ in range(1000):
        q = rng.uniform(ROBOT.low[:12], ROBOT.high[:12])
        data.qpos[ROBOT.qpos[:12]] = q
        mujoco.mj_kinematics(model, data)
        for side, angles in zip(SIDES, (q[:6], q[6:]), strict=True):
            base, frame = data.body(f"{side}/base_link"), data.site(f"{side}/ee_gripper_link")
            turn, want = base.xmat.reshape(3, 3), tip(angles)
            np.testing.assert_allclose(turn.T @ (frame.xpos - base.xpos), want[:3, 3], atol=1e-6)
            np.testing.assert_allclose(turn.T @ frame.xmat.reshape(3, 3), want[:3, :3], atol=1e-6)
            hand = data.site(f"{side}_hand")
            np.testing.assert_allclose(
                frame.xmat.reshape(3, 3).T @ (hand.xpos - frame.xpos), (0.0228, 0.0, -0.003), atol=1e-6
            )
            np.testing.assert_allclose(hand.xmat, frame.xmat, atol=1e-9)


def test_links_lie_where_the_urdf_puts_them() -> None:
    data = mujoco.MjData(ROBOT.model)
    mujoco.mj_forward(ROBOT.model, data)
    for side, x, facing in (("left", -0.469, 1.0), ("right", 0.469, -1.0)):
        base = data.body(f"{side}/base_link")
        np.testing.assert_allclose(base.xpos, (x, -0.019, 0.02), atol=1e-9)
        np.testing.assert_allclose(base.xmat.reshape(3, 3), np.diag((facing, facing, 1.0)), atol=1e-9)
        for link, origin in LINK_ORIGINS.items():
            got = base.xmat.reshape(3, 3).T @ (data.body(f"{side}/{link}").xpos - base.xpos)
            np.testing.assert_allclose(got, origin, atol=1e-9)


def test_order_and_limits_are_the_published_ones() -> None:
    assert ALOHA.joint_names[:6] == tuple(f"left/{name}" for name in ARM_JOINTS)
    assert ALOHA.joint_names[6:] == tuple(f"right/{name}" for name in ARM_JOINTS)
    assert [g.name for g in ALOHA.grippers] == ["left_gripper", "right_gripper"]
    offset = np.array([1e-5, 0, 0, 1e-5, 0, 1e-5])
    low, high = np.radians(LOW_DEGREES) + offset, np.radians(HIGH_DEGREES) - offset
    for arm in (slice(0, 6), slice(6, 12)):
        np.testing.assert_allclose(ROBOT.low[arm], low, atol=1e-8)
        np.testing.assert_allclose(ROBOT.high[arm], high, atol=1e-8)
        assert [j.effort for j in ALOHA.joints[arm]] == [10.6, 21.2, 21.2, 10.6, 10.6, 4.1]
        assert {j.velocity for j in ALOHA.joints[arm]} == {np.pi}
    np.testing.assert_allclose(ROBOT.low[12:], 0.0)
    np.testing.assert_allclose(ROBOT.high[12:], 0.041)
    efforts = np.array([j.effort for j in ALOHA.driven])
    np.testing.assert_allclose(ROBOT.model.actuator_forcerange[ROBOT.actuator, 1], efforts)
    joints = [ROBOT.model.joint(n).id for n in ALOHA.driven_names]
    np.testing.assert_allclose(ROBOT.model.jnt_actfrcrange[joints, 1], efforts)


@pytest.mark.parametrize("side", SIDES)
def test_masses_and_inertias_are_the_published_ones(side: str) -> None:
    model = ROBOT.model
    for name, mass in MASSES.items():
        body = model.body(f"{side}/{name}")
        assert body.mass[0] == pytest.approx(mass)
        np.testing.assert_allclose(np.sort(body.inertia)[::-1], PRINCIPAL[name], rtol=2e-4)
        if name in CENTRES:
            np.testing.assert_allclose(body.ipos, CENTRES[name], atol=1e-6)
    assert sum(float(m) for m in model.body_mass) == pytest.approx(2 * sum(MASSES.values()))


def test_derived_constants_are_the_models() -> None:
    for arm in (slice(0, 6), slice(6, 12)):
        np.testing.assert_allclose(ROBOT.model.dof_armature[ROBOT.dof[arm]], aloha.ARMATURE)
        np.testing.assert_allclose(ROBOT.model.dof_frictionloss[ROBOT.dof[arm]], aloha.FRICTION)
    np.testing.assert_allclose(ROBOT.model.dof_armature[ROBOT.dof[12:]], aloha.FINGER_ARMATURE)


def drive(robot: RobotModel, data: Any, target: np.ndarray, steps: int) -> None:
    kp = np.array([j.stiffness for j in ALOHA.driven])
    data.ctrl[robot.actuator] = kp * target
    mujoco.mj_step(robot.model, data, steps)


def test_holds_home_and_sinks_as_its_gains_and_weight_say() -> None:
    data = mujoco.MjData(ROBOT.model)
    data.qpos[:] = ROBOT.home_qpos()
    mujoco.mj_forward(ROBOT.model, data)
    assert data.ncon == 0
    home = data.qpos[ROBOT.qpos].copy()
    drive(ROBOT, data, home, 2000)
    assert np.abs(data.qvel).max() < 1e-3 and data.ncon == 0
    error = (home - data.qpos[ROBOT.qpos])[:12]
    weight = data.qfrc_bias[ROBOT.dof[:12]]
    stiffness, dry = np.array(aloha.STIFFNESS * 2), np.array(aloha.FRICTION * 2)
    assert (np.abs(stiffness * error - weight) <= dry + 0.02).all()
    assert np.abs(weight).max() > 5.0


def test_energy_never_grows_by_itself() -> None:
    model = mujoco.MjModel.from_xml_path(str(ALOHA.path))
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    data = mujoco.MjData(model)
    data.qpos[:] = ROBOT.home_qpos()
    mujoco.mj_forward(model, data)
    start = data.energy.sum()
    for _ in range(300):
        mujoco.mj_step(model, data)
        assert np.isfinite(data.qpos).all()
        assert data.energy.sum() < start + 0.02
    assert data.energy.sum() < start - 0.5


@pytest.mark.parametrize("half", [0.008, 0.015, 0.024])
def test_a_grasped_bar_is_held_firmly(half: float) -> None:
    """Carried about; then it rests in the hand to less than 1 mm/s."""
    start = mujoco.MjData(ROBOT.model)
    start.qpos[:] = ROBOT.home_qpos()
    mujoco.mj_forward(ROBOT.model, start)
    p_hand, R_hand = start.site("left_hand").xpos.copy(), start.site("left_hand").xmat.copy()

    def add_bar(made: Any) -> None:
        made.option.cone, made.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10.0
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, R_hand)
        body = made.worldbody.add_body(name="bar", pos=p_hand, quat=quat)
        body.add_freejoint()
        box = mujoco.mjtGeom.mjGEOM_BOX
        body.add_geom(type=box, size=(0.012, half, 0.08), mass=0.1, friction=(1.0, 0.01, 0.001), condim=4)

    robot = compile_robot(ALOHA, add_bar)
    model, data = robot.model, mujoco.MjData(robot.model)
    data.qpos[:] = robot.home_qpos()
    data.qpos[robot.qpos[12:14]] = half + 0.0077
    target = data.qpos[robot.qpos].copy()
    target[12:14] = aloha.FINGER_CLOSED
    mujoco.mj_forward(model, data)

    def offset() -> np.ndarray:
        return data.site("left_hand").xmat.reshape(3, 3).T @ (data.body("bar").xpos - data.site("left_hand").xpos)

    drive(robot, data, target, 100)
    settled = offset()
    for step in range(100):
        swing = 0.15 * np.sin(2 * np.pi * step / 50)
        drive(robot, data, target + np.array([swing, swing, *[0.0] * 14]), 10)
    drive(robot, data, target, 1000)
    assert np.linalg.norm(offset() - settled) < 1e-3
    free = int(model.body("bar").dofadr[0])
    assert np.linalg.norm(data.qvel[free : free + 3]) < 1e-3
    assert -1e-3 < min(contact.dist for contact in data.contact) < 0.0
