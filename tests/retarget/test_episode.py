"""Retargeted motions train: the dataset is the simulated robot's, windows open, a policy learns, the robot takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import EmbodimentMismatchError
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.windows import Windows, chunk_windows
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.retarget.episode import episode
from robot_stack.retarget.readers.raw import ReadOptions
from robot_stack.retarget.readers.read import read_motion
from robot_stack.retarget.reference import TrackingReference, tracking_reference
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.scene import Scene
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_robot_world
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE, robot_motion


@pytest.fixture(scope="module")
def reference() -> TrackingReference:
    qpos, motion, _ = robot_motion(40)
    return tracking_reference(Retargeter(UNITREE_G1, TABLE).judge(motion, Scene(ground=False), qpos), UNITREE_G1)


@pytest.fixture(scope="module")
def root(reference: TrackingReference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "walks"
    buffer = episode(reference, UNITREE_G1, "move", {"source": "test"}, success=True)
    with DatasetWriter(folder, buffer.embodiment) as writer:
        assert writer.write_episode(buffer) == 0
        writer.write_episode(episode(reference, UNITREE_G1, "move", {}, success=False))
    return folder


def test_the_robot_in_simulation_has_the_same_embodiment(root: Path) -> None:
    from robot_stack.core.config_json import from_plain
    from robot_stack.core.embodiment import Embodiment
    from robot_stack.datasets import layout
    from robot_stack.datasets.metadata import read_json

    recorded = from_plain(Embodiment, read_json(layout.embodiment_path(root)))
    world = make_robot_world(RobotWorldConfig("g1/stand", "joint_position"))
    try:
        recorded.require_match(world.robot.embodiment)
    finally:
        world.close()


def test_states_and_actions_are_the_references(root: Path, reference: TrackingReference) -> None:
    with Dataset(root) as dataset:
        assert (dataset.num_episodes, float(dataset.fps)) == (2, 50.0)
        first = dataset.episode(0)
        state, action = first.column("observation.state"), first.column("action")
        assert np.abs(state[:, :29] - reference.joint_pos).max() < 1e-6
        assert np.abs(state[:, 29:58] - reference.joint_vel).max() < 1e-5
        assert np.abs(state[:, 58:61] - reference.qpos[:, :3]).max() < 1e-6
        assert np.abs(action[:-1] - reference.joint_pos[1:]).max() < 1e-6
        assert first.column("next.success").ravel().tolist() == [False] * (len(reference) - 1) + [True]
        assert json.loads(first.facts["provenance"])["success"] is True
        assert json.loads(dataset.episode(1).facts["provenance"])["success"] is False
        assert first.tasks == ("move",)


def test_windows_open_and_a_policy_learns_from_them(root: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    with Dataset(root) as dataset:
        windows = Windows(dataset, chunk_windows(("observation.state",), horizon=4))
        batch = windows.batch(np.arange(len(windows)))
    states = torch.from_numpy(batch["observation.state"][:, 0])
    actions = torch.from_numpy(batch["action"].reshape(len(states), -1))
    network = torch.nn.Linear(states.shape[1], actions.shape[1])
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.mse_loss(network(states), actions)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_an_episode_is_a_motion_for_the_next_robot(root: Path, reference: TrackingReference) -> None:
    motion = read_motion(root, ReadOptions(episode=1))
    _, own, _ = robot_motion(40)
    assert (motion.fps, motion.height_m, len(motion)) == (50.0, 1.32, len(reference))
    assert np.abs(motion.keypoints()[::5] - own.keypoints()[:40:3]).max() < 1e-5
    with pytest.raises(Exception, match="no such episode"):
        read_motion(root, ReadOptions(episode=2))


def test_objects_make_another_embodiment(root: Path, reference: TrackingReference) -> None:
    place = np.zeros((len(reference), 1, 3))
    turn = np.tile([np.sqrt(0.5), 0, 0, np.sqrt(0.5)], (len(reference), 1, 1))
    with_box = replace(reference, object_names=("box",), object_pos_w=place, object_quat_w=turn)
    buffer = episode(with_box, UNITREE_G1, "carry", {}, success=True)
    assert buffer.columns["observation.state"][0, -6:] == pytest.approx([0, 1, 0, -1, 0, 0])
    own = episode(reference, UNITREE_G1, "x", {}, success=True).embodiment
    with DatasetWriter(root, own) as writer, pytest.raises(EmbodimentMismatchError, match="box_position"):
        writer.write_episode(buffer)
