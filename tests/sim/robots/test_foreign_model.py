"""The vendor's model in the place of ours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world, robot_spec, robot_task
from robot_stack.sim.robots.model import RobotModelError, compile_robot

mujoco = import_mujoco()
VENDOR = Path(__file__).resolve().parents[4] / "shared" / "assets" / "unitree_g1" / "g1_29dof_rev_1_0.xml"


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """Unitree's own MJCF with its floor, lights and motors; meshes, which we do not have, are left out."""
    if not VENDOR.is_file():
        pytest.skip(f"needs the reference description {VENDOR.name}")
    text = re.sub(r"<geom[^>]*mesh=[^>]*/>|<mesh [^>]*/>", "", VENDOR.read_text())
    path = tmp_path / "g1_vendor.xml"
    path.write_text(text)
    return path


def test_the_vendors_g1_gets_our_hands_soles_and_cameras(vendor: Path) -> None:
    ours, theirs = compile_robot(robot_spec("g1")), compile_robot(robot_spec("g1").with_mjcf(vendor))
    assert theirs.sha256 != ours.sha256
    rng = np.random.default_rng(0)
    one, other = mujoco.MjData(ours.model), mujoco.MjData(theirs.model)
    for _ in range(20):
        low, high = np.maximum(ours.low, -2.0), np.minimum(ours.high, 2.0)
        joints = rng.uniform(low, high)
        for robot, data in ((ours, one), (theirs, other)):
            data.qpos[:] = robot.home_qpos()
            data.qpos[robot.qpos] = joints
            mujoco.mj_forward(robot.model, data)
        for site in (*ours.spec.feet, *(hand.site for hand in ours.spec.end_effectors), ours.spec.imu):
            assert other.site(site).xpos == pytest.approx(one.site(site).xpos, abs=1e-5)
            assert other.site(site).xmat == pytest.approx(one.site(site).xmat, abs=1e-5)
        for camera in ours.spec.cameras:
            assert other.cam(camera).xpos == pytest.approx(one.cam(camera).xpos, abs=1e-5)
            assert other.cam(camera).xmat == pytest.approx(one.cam(camera).xmat, abs=1e-5)


def test_it_runs_in_our_scenes_under_whole_body_control(vendor: Path) -> None:
    world = make_robot_world(RobotWorldConfig("g1/stand", mode="whole_body", mjcf=str(vendor), dump_folder=""))
    robot = world.robot
    assert isinstance(robot, MujocoRobot)
    robot.reset(0)
    for _ in range(50):
        robot.command(robot.hold_action)
    assert not robot.task.score(robot.truth).failed
    assert robot.model.ngeom == compile_robot(robot.spec).model.ngeom + 1, "one floor: ours"


def test_our_own_model_is_a_foreign_one_too() -> None:
    spec = robot_spec("panda")
    twin = MujocoRobot(spec.with_mjcf(spec.path), robot_task("panda/drawer"), None, MujocoRobotConfig(dump_folder=""))
    world = make_robot_world(RobotWorldConfig("panda/drawer", dump_folder=""))
    assert np.array_equal(twin.reset(3).state, world.robot.reset(3).state)
    assert make_operator(world) is not None


def test_a_model_whose_bodies_have_other_names_lacks_the_marks(vendor: Path) -> None:
    vendor.write_text(vendor.read_text().replace('"left_ankle_roll_link"', '"left_sole"'))
    with pytest.raises(RobotModelError, match="lacks the foot"):
        compile_robot(robot_spec("g1").with_mjcf(vendor))
