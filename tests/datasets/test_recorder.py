"""The recorder in the control loop: what a step becomes in the dataset, and what is kept."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.action import ActionChunk, Intervention, Receipt
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import EmbodimentMismatchError
from robot_stack.core.observation import Observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Score
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.recorder import DatasetRecorder, EpisodeCollector, keep_successes
from robot_stack.datasets.sink import DatasetSink
from robot_stack.datasets.validate import validate
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.runtime.loop import run_episode
from tests.datasets.recorded import CAMERA, FAST, KEY, arm


@dataclass
class Cart:
    """Moves by half of what it is told (so that sent differs from requested); its camera shows the step."""

    embodiment: Embodiment
    breaks_at: int = -1
    position: np.ndarray = field(default_factory=lambda: np.zeros(4))
    steps: int = 0
    seen: list[Observation] = field(default_factory=list)

    def reset(self, seed: int | None = None) -> Observation:
        self.position, self.steps, self.seen = np.full(4, float(seed or 0)), 0, []
        return self.observe()

    def observe(self) -> Observation:
        image = np.full(CAMERA.shape, 10 * self.steps, dtype=np.uint8)
        images = {CAMERA.name: image} if self.embodiment.cameras else {}
        self.seen.append(Observation(self.position.copy(), images, 5.0 + 0.11 * self.steps, self.steps))
        return self.seen[-1]

    def command(self, action: np.ndarray) -> Receipt:
        if self.steps == self.breaks_at:
            raise RuntimeError("a wheel fell off")
        self.steps += 1
        self.position[:2] += action / 2
        return Receipt(action / 2, (Intervention("speed"),))

    def stop(self, reason: str) -> None:
        pass

    def close(self) -> None:
        pass


class Push:
    name, instruction, horizon, milestones = "push", "push the cart", 6, ("moved",)

    def reset(self, robot: Robot, seed: int) -> Observation:
        self.goal = 3.0 if seed % 2 else 100.0
        return robot.reset(seed)

    def score(self, observation: Observation, receipt: Receipt) -> Score:
        travelled = float(observation.state[0] - observation.state[2])
        return Score(travelled, travelled >= self.goal, (travelled > 0,))


class Steady:
    history = 1

    def reset(self, instruction: str, seed: int) -> None:
        self.k = seed

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        self.k += 1
        return ActionChunk(np.array([[2.0, self.k]]))


@pytest.mark.parametrize("storage", ["none", "image", "video"])
def test_a_step_becomes_a_frame(tmp_path: Path, storage: str):
    embodiment = arm(cameras=(CAMERA,) if storage != "none" else ())
    robot, stored = Cart(embodiment), None if storage == "none" else storage
    with DatasetWriter(tmp_path, embodiment, storage=stored, codec=FAST) as writer:  # pyright: ignore[reportArgumentType]
        recorder = DatasetRecorder(writer)
        result = run_episode(robot, Steady(), Push(), seed=3, subscribers=[recorder], driver_name="steady")
        assert recorder.committed == [0] and result.success and result.steps == 3
    assert validate(tmp_path).ok
    with Dataset(tmp_path) as dataset:
        view = dataset.episode(0)
        requested = np.array([[2.0, 4], [2.0, 5], [2.0, 6]])
        assert np.array_equal(view.column("action"), requested / 2)
        assert np.array_equal(view.column("action.requested"), requested)
        assert np.array_equal(view.column("observation.state"), np.stack([o.state for o in robot.seen[:3]]))
        np.testing.assert_allclose(view.column("observation.time").ravel(), [0, 0.11, 0.22], atol=1e-12)
        assert view.column("next.reward").ravel().tolist() == [1.0, 2.0, 3.0]
        assert view.column("next.success").ravel().tolist() == [False, False, True]
        assert view.column("next.done").ravel().tolist() == [False, False, True]
        assert view.tasks == ("push the cart",)
        facts = json.loads(view.facts["provenance"])
        assert facts["driver"] == "steady" and facts["seed"] == 3 and facts["task"] == "push"
        assert facts["success"] is True and facts["success_step"] == 2 and facts["ending"] == "success"
        assert facts["milestone_steps"] == {"moved": 0} and facts["interventions"] == 3
        assert facts["embodiment"] == embodiment.fingerprint()
        if stored:
            expected = np.array([0, 10, 20])[:, None, None, None]
            assert np.abs(view.frames(KEY).astype(int) - expected).max() <= (0 if storage == "image" else 6)


def test_what_breaks_off_or_fails_is_not_kept(tmp_path: Path):
    with DatasetWriter(tmp_path, arm()) as writer:
        recorder = DatasetRecorder(writer, keep=keep_successes)
        for seed in (1, 2, 3):
            run_episode(Cart(arm()), Steady(), Push(), seed=seed, subscribers=[recorder])
        with pytest.raises(RuntimeError, match="wheel"):
            run_episode(Cart(arm(), breaks_at=2), Steady(), Push(), seed=5, subscribers=[recorder])
        run_episode(Cart(arm()), Steady(), Push(), seed=7, subscribers=[recorder])
        with pytest.raises(EmbodimentMismatchError):
            run_episode(Cart(arm(name="other")), Steady(), Push(), seed=1, subscribers=[recorder])
    assert [p["seed"] for p in writer.provenance()] == [1, 3, 7]
    assert validate(tmp_path).ok


def test_collected_in_memory_and_recorded_live_give_the_same_dataset(tmp_path: Path):
    embodiment = arm(cameras=(CAMERA,))
    with DatasetWriter(tmp_path / "live", embodiment, codec=FAST) as writer:
        recorder = DatasetRecorder(writer)
        for seed in (1, 2, 3):
            run_episode(Cart(embodiment), Steady(), Push(), seed=seed, subscribers=[recorder])
    with DatasetWriter(tmp_path / "collected", embodiment, codec=FAST) as writer:
        sink = DatasetSink(writer)
        for seed in (1, 2, 3):
            collector = pickle.loads(pickle.dumps(sink.make_recorder))(None, None)
            run_episode(Cart(embodiment), Steady(), Push(), seed=seed, subscribers=[collector])
            sink.write(pickle.loads(pickle.dumps(collector.take())), {"split": "collect"})
            assert collector.take() == []
        assert [p["seed"] for p in sink.written()] == [1, 2, 3]
        assert [p["split"] for p in sink.written()] == ["collect"] * 3
    assert validate(tmp_path / "collected").ok
    with Dataset(tmp_path / "live") as live, Dataset(tmp_path / "collected") as collected:
        for name in live.column_names:
            assert np.array_equal(live.column(name).array, collected.column(name).array), name
        rows = np.arange(live.num_frames)
        assert np.array_equal(live.frames(KEY, rows), collected.frames(KEY, rows))


def test_collecting_can_leave_out_images_and_failures(tmp_path: Path):
    collector = EpisodeCollector(keep=keep_successes, images=False)
    for seed in (1, 2, 3):
        run_episode(Cart(arm(cameras=(CAMERA,))), Steady(), Push(), seed=seed, subscribers=[collector])
    with DatasetWriter(tmp_path, arm()) as writer:
        writer.write_episodes(collector.take())
    assert [p["seed"] for p in writer.provenance()] == [1, 3]
    assert validate(tmp_path).ok
