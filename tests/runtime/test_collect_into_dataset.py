"""Collections into real datasets: equal byte for byte however wide, resumable after an interruption."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import EmbodimentMismatchError
from robot_stack.core.seeding import episode_seed
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.sink import DatasetSink
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.runtime import collect as collect_module
from robot_stack.runtime.collect import CollectConfig, Collected, Demonstrator, collect
from robot_stack.runtime.fleet import Fleet, FleetConfig
from robot_stack.runtime.progress import Progress, ignore_progress
from tests.worlds import PointConfig, PointExpert, make_point_expert, make_point_world

NOISY = Demonstrator("noisy expert", partial(make_point_expert, noise=1.5))


@pytest.fixture(autouse=True)
def steady_revision(monkeypatch) -> None:
    """The checkout may be edited while tests run; the files must differ by nothing else."""
    monkeypatch.setattr(collect_module, "code_revision", lambda: {"commit": "0" * 40})


def run(root: Path, episodes: int, fleet: FleetConfig, camera: int = 0, tell=ignore_progress) -> Collected:
    world = partial(make_point_world, PointConfig(camera=camera, horizon=40))
    embodiment = world().robot.embodiment
    storage = "image" if camera else None
    with DatasetWriter(root, embodiment, storage=storage) as writer, Fleet(fleet) as opened:
        return collect(world, NOISY, DatasetSink(writer), CollectConfig(episodes), fleet=opened, progress=tell)


def content(root: Path) -> dict[str, str]:
    files = [p for p in sorted(root.rglob("*")) if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_files_are_equal_byte_for_byte_however_wide(tmp_path: Path) -> None:
    run(tmp_path / "narrow", 6, FleetConfig(0, 1), camera=16)
    run(tmp_path / "wide", 6, FleetConfig(2, 5), camera=16)
    assert content(tmp_path / "narrow") == content(tmp_path / "wide")
    assert len(content(tmp_path / "narrow")) > 3


class Interrupted(Exception):
    pass


def test_an_interrupted_collection_goes_on_to_the_same_content(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 4:
            raise Interrupted

    run(tmp_path / "whole", 7, FleetConfig(0, 3))
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", 7, FleetConfig(0, 3), tell=stop)
    done = run(tmp_path / "parts", 7, FleetConfig(0, 2))
    assert done.written == 3 and done.episodes == 7
    with Dataset(tmp_path / "whole") as whole, Dataset(tmp_path / "parts") as parts:
        for episode in range(7):
            ours, theirs = parts.episode(episode), whole.episode(episode)
            assert ours.facts["provenance"] == theirs.facts["provenance"]
            for name in ("observation.state", "action", "next.reward", "observation.time"):
                np.testing.assert_array_equal(ours.column(name), theirs.column(name))
    assert run(tmp_path / "parts", 7, FleetConfig(0, 2)).written == 0


def test_the_columns_are_those_of_the_episode(tmp_path: Path) -> None:
    run(tmp_path, 2, FleetConfig(1, 2), camera=8)
    with Dataset(tmp_path) as dataset:
        episode = dataset.episode(0)
        names = ("observation.state", "action", "action.requested")
        columns, facts = {n: episode.column(n) for n in names}, json.loads(episode.facts["provenance"])
        images = episode.frames("observation.images.top")
    world = make_point_world(PointConfig(camera=8, horizon=40))
    expert = PointExpert(1.5)
    observation = world.task.reset(world.robot, facts["seed"])
    expert.reset("", facts["seed"])
    for frame in range(5):
        action = expert.act([observation]).actions[0]
        np.testing.assert_array_equal(columns["observation.state"][frame], observation.state.astype(np.float32))
        np.testing.assert_array_equal(images[frame], observation.images["top"])
        np.testing.assert_array_equal(columns["action.requested"][frame], action.astype(np.float32))
        receipt = world.robot.command(action)
        np.testing.assert_array_equal(columns["action"][frame], receipt.sent.astype(np.float32))
        observation = world.robot.observe()
    assert facts["success"] and facts["driver"] == "noisy expert" and facts["task"] == "point-reach"
    assert facts["seed"] >= episode_seed("collect", 0)


def test_a_dataset_of_another_robot_is_refused(tmp_path: Path) -> None:
    run(tmp_path, 1, FleetConfig(0, 1))
    with pytest.raises(EmbodimentMismatchError):
        run(tmp_path, 2, FleetConfig(0, 1), camera=16)
