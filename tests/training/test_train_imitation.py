"""From a dataset to a policy bundle: real policies on small recorded problems."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from robot_stack.algorithms.adamw import AdamWConfig
from robot_stack.algorithms.imitation import ImitationConfig
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import (
    ConfigError,
    DatasetError,
    EmbodimentMismatchError,
    LockedError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.policies.bundle import bundle_hash
from robot_stack.policies.config import (
    BehaviorCloningConfig,
    DiffusionPolicyConfig,
    InputConfig,
    NormalizationConfig,
    PolicyConfig,
    TaskEmbeddingConfig,
)
from robot_stack.policies.loading import load_bundle
from robot_stack.policies.network_config import ChunkMlpConfig, MlpDenoiserConfig
from robot_stack.policies.normalizers import SourceRows, fit_normalizers
from robot_stack.policies.process_config import FlowProcessConfig
from robot_stack.policies.vision_config import VisionConfig
from robot_stack.training.checkpoint import read_checkpoint
from robot_stack.training.demonstrations import content_hash
from robot_stack.training.event_log import read_events
from robot_stack.training.job import DataConfig, DatasetConfig, ImitationJob
from robot_stack.training.loop import TrainConfig
from robot_stack.training.normalizer_fit import fit_policy_normalizers
from robot_stack.training.policy_batches import Demonstrations, policy_batch
from robot_stack.training.reporter import TrainEvent
from robot_stack.training.run import read_status
from robot_stack.training.train_imitation import resume_imitation, train_imitation

ROBOT = Embodiment(
    name="test/point",
    state=(Field("position", 2, "m"), Field("goal", 2, "m")),
    action=(Field("velocity", 2, "m/s"),),
    cameras=(),
    control_hz=10.0,
)


def record(root: Path, *, episodes: int = 12, seed: int = 0, speed: float = 1.0, robot: Embodiment = ROBOT) -> Path:
    """Points that walk to their goals: the action is a saturated error."""
    generator = np.random.default_rng(seed)
    with DatasetWriter(root, robot, storage="image") as writer:
        for episode in range(episodes):
            position, goal = generator.uniform(-1, 1, 2), generator.uniform(-1, 1, 2)
            writer.begin("walk" if episode % 2 else "stroll")
            for _ in range(20):
                action = speed * np.clip(3 * (goal - position), -1, 1)
                frame: dict[str, np.ndarray] = {
                    "observation.state": np.concatenate([position, goal]).astype(np.float32)
                }
                frame["action"] = action.astype(np.float32)
                for camera in robot.cameras:
                    frame[f"observation.images.{camera.name}"] = np.full(camera.shape, 128 + 60 * action[0], np.uint8)
                writer.add(frame)
                position = position + 0.1 * action
            writer.commit(success=True)
    return root


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("data") / "walk", episodes=40)


FLOW = DiffusionPolicyConfig(
    horizon=8,
    n_action_steps=4,
    network=MlpDenoiserConfig(width=48, depth=1, time_embed_dim=16),
    process=FlowProcessConfig(steps=5),
)
CLONING = BehaviorCloningConfig(network=ChunkMlpConfig(hidden_dims=(48,)))


def job(*roots: Path, policy: PolicyConfig = FLOW, steps: int = 20, **changes) -> ImitationJob:
    return ImitationJob(
        datasets=tuple(DatasetConfig(root) for root in roots),
        policy=policy,
        train=TrainConfig(
            steps=steps,
            log_every=10,
            checkpoint_every=max(10, steps // 10),
            validate_every=max(10, steps // 4),
            tensorboard=False,
        ),
        learning=ImitationConfig(optimizer=AdamWConfig(lr=3e-3)),
        data=DataConfig(batch_size=32, validation_fraction=0.2),
        **changes,
    )


@pytest.mark.parametrize("policy", [FLOW, CLONING], ids=["flow", "cloning"])
def test_a_policy_is_learned_and_bundled(dataset: Path, tmp_path: Path, policy: PolicyConfig) -> None:
    events: list[TrainEvent] = []
    trained = train_imitation(
        job(dataset, policy=policy, steps=400, seed=3),
        name="walk",
        runs=tmp_path,
        device="cpu",
        listeners=[events.append],
    )
    assert trained.folder is not None and trained.bundle is not None
    assert trained.bundle == trained.folder / "policy"
    assert trained.result.ending == "finished" and read_status(trained.folder)[0] == "finished"

    curve = read_events(trained.folder / "events.jsonl", "validation")
    losses = [e["loss"] for e in read_events(trained.folder / "events.jsonl", "train")]
    assert curve[-1]["action_error"] < 0.55 and losses[-1] < 0.3 * losses[0]
    assert [e.step for e in events if e.kind == "validation"] == [e["step"] for e in curve]
    assert any(e.kind == "train" and math.isfinite(e.values["loss"]) for e in events)

    loaded = load_bundle(trained.bundle, robot_embodiment=ROBOT)  # checks the golden actions
    state = torch.tensor([[-0.5, 0.2, 0.5, 0.2]]).repeat(1, policy.inputs.n_obs_steps, 1)
    actions = loaded.policy.sample({"observation.state": state}, generator=torch.Generator().manual_seed(0))
    assert actions[0, policy.inputs.n_obs_steps - 1, 0] > 0.6  # the goal lies to the right
    info = loaded.info
    told = info["provenance"]["datasets"][0]
    assert told["content_sha256"] == content_hash(dataset)
    assert sorted(told["episodes_learned"] + told["episodes_held_out"]) == list(range(40))
    assert info["provenance"]["seed"] == 3
    assert info["metrics"]["validation"]["action_error"] == curve[-1]["action_error"]
    assert from_plain(ImitationJob, info["provenance"]["job"]) == job(dataset, policy=policy, steps=400, seed=3)


def test_equal_seeds_give_equal_policies_and_others_do_not(dataset: Path, tmp_path: Path) -> None:
    trained = [
        train_imitation(job(dataset, seed=s), folder=tmp_path / f"{i}", device="cpu") for i, s in enumerate((0, 0, 1))
    ]
    hashes = [bundle_hash(t.bundle) for t in trained if t.bundle is not None]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_killed_run_is_resumed_to_the_same_bits(dataset: Path, tmp_path: Path) -> None:
    straight = train_imitation(job(dataset, steps=200), folder=tmp_path / "straight", device="cpu")
    plain = json.dumps(to_plain(job(dataset, steps=200)))
    code = (
        "import json, sys; from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "from robot_stack.core.config_json import from_plain\n"
        "from robot_stack.training.job import ImitationJob\n"
        "from robot_stack.training.train_imitation import train_imitation\n"
        "train_imitation(from_plain(ImitationJob, json.loads(sys.argv[1])), folder=Path(sys.argv[2]), device='cpu')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, plain, str(tmp_path / "killed")])
    end = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoints" / "latest").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read_status(tmp_path / "killed")[0] == "crashed"
    resumed = resume_imitation(tmp_path / "killed", device="cpu")
    assert resumed.result.resumed_from in range(20, 200)
    name = "checkpoints/step-00000200"
    one, two = (read_checkpoint(tmp_path / run / name).algorithm.tensors for run in ("straight", "killed"))
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    assert straight.bundle and resumed.bundle and bundle_hash(straight.bundle) == bundle_hash(resumed.bundle)


def test_mixtures_have_their_own_normalisers_and_tasks(dataset: Path, tmp_path: Path) -> None:
    fast = record(tmp_path / "fast", seed=1, speed=4.0)
    policy = replace(FLOW, normalization=NormalizationConfig(per_source=True), language=TaskEmbeddingConfig(size=4))
    trained = train_imitation(job(dataset, fast, policy=policy), folder=tmp_path / "run", device="cpu")
    assert trained.bundle is not None
    loaded = load_bundle(trained.bundle).policy
    assert loaded.normalizers.names == ("walk", "fast")
    slow_scale, fast_scale = (np.max(s.action.scale) for s in loaded.normalizers.sources)
    assert fast_scale == pytest.approx(4 * slow_scale, rel=0.05)
    assert loaded.tasks == ("stroll", "walk")

    demonstrations = Demonstrations(job(dataset, fast, policy=policy))
    mixed = next(demonstrations.stream(0, 1))
    assert set(mixed["source"].tolist()) == {0, 1} and "source_index" not in mixed
    untold = policy_batch(demonstrations.train.sources[1].windows.batch(np.arange(4)))
    assert "source" not in untold
    with pytest.raises(ShapeError, match="does not say which dataset its rows come from"):
        loaded.loss({name: torch.from_numpy(values) for name, values in untold.items()}, None)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("per_source", [False, True])
@pytest.mark.parametrize("kind", ["min_max", "quantile", "mean_std"])
def test_normalisers_are_those_of_the_learned_rows(
    dataset: Path, tmp_path: Path, kind, per_source: bool, per_step: bool
) -> None:
    config = NormalizationConfig(kind, kind, per_source=per_source, action_per_step=per_step)
    other = record(tmp_path / "other", episodes=5, seed=2, speed=2.0)
    demonstrations = Demonstrations(job(dataset, other))
    sources = [(n, s.windows) for n, s in zip(demonstrations.train.names, demonstrations.train.sources, strict=True)]
    rows = []
    for name, windows in sources:
        data = windows.dataset
        chosen = np.flatnonzero(np.isin(data.column("episode_index").array, windows.episodes))
        action = data.column("action").array[chosen]
        if per_step:
            action = windows.batch(np.arange(len(windows)))["action"]
        rows.append(
            SourceRows(
                name, data.column("observation.state").array[chosen].astype(np.float64), action.astype(np.float64)
            )
        )
    expected = fit_normalizers(config, rows)
    found = fit_policy_normalizers(config, sources, demonstrations.action_offsets)
    assert found.names == expected.names
    for one, two in zip(found.sources, expected.sources, strict=True):
        for ours, theirs in ((one.state, two.state), (one.action, two.action)):
            assert (ours.kind, ours.clip) == (theirs.kind, theirs.clip)
            np.testing.assert_allclose([ours.offset, ours.scale], [theirs.offset, theirs.scale], rtol=1e-12)


def test_images_are_learned_from(tmp_path: Path) -> None:
    robot = replace(ROBOT, cameras=(CameraSpec("top", 24, 24),))
    root = record(tmp_path / "seen", episodes=4, robot=robot)
    policy = replace(
        CLONING,
        inputs=InputConfig(state=(), cameras=("top",), n_obs_steps=1),
        vision=VisionConfig(crop=(20, 20), channels=(16, 16, 16, 16), keypoints=4, feature_dim=8),
    )
    trained = train_imitation(job(root, policy=policy, steps=10), folder=tmp_path / "run", device="cpu")
    assert trained.bundle is not None
    assert load_bundle(trained.bundle, robot_embodiment=robot).policy.config.inputs.cameras == ("top",)


def test_bad_demonstrations_are_refused_before_there_is_a_run(dataset: Path, tmp_path: Path, hand_written) -> None:
    runs = tmp_path / "runs"
    empty = tmp_path / "empty"
    DatasetWriter(empty, ROBOT).close()
    with pytest.raises(DatasetError, match="no episodes"):
        train_imitation(job(empty), runs=runs)
    with pytest.raises(DatasetError):
        train_imitation(job(tmp_path / "nowhere"), runs=runs)
    with pytest.raises(UnknownNameError, match="camera"):
        train_imitation(job(dataset, policy=replace(FLOW, inputs=InputConfig(cameras=("top",)))), runs=runs)
    with pytest.raises(UnknownNameError, match="position"):
        train_imitation(job(dataset, policy=replace(FLOW, inputs=InputConfig(state=("positio",)))), runs=runs)
    other = record(tmp_path / "other", episodes=2, robot=replace(ROBOT, control_hz=20.0))
    with pytest.raises(EmbodimentMismatchError, match="20 Hz"):
        train_imitation(job(dataset, other), runs=runs)
    with pytest.raises(ConfigError, match="one name"):
        job(dataset, dataset)
    root = hand_written.write_dataset(tmp_path / "nan", [30, 30])
    values = np.asarray(Demonstrations(job(root)).datasets[0].column("action").array).copy()
    assert np.isfinite(values).all()
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    values[41, 0] = np.nan
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2)
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), path)
    with pytest.raises(NonFiniteError, match="episode 1, frame 11"):
        train_imitation(job(root), runs=runs)
    assert not runs.exists()


def test_a_dataset_that_names_no_robot_is_learned_from(tmp_path: Path, hand_written) -> None:
    root = hand_written.write_dataset(tmp_path / "foreign", [30, 30, 30])
    trained = train_imitation(job(root, policy=CLONING), folder=tmp_path / "run", device="cpu")
    assert trained.bundle is not None
    embodiment = load_bundle(trained.bundle).policy.embodiment
    assert embodiment.name == "lerobot/hand"
    assert (embodiment.state_size, embodiment.action_size, embodiment.control_hz) == (3, 2, 10.0)


def test_a_run_that_is_being_trained_is_not_resumed_by_another(dataset: Path, tmp_path: Path) -> None:
    refused: list[LockedError] = []

    def intrude(event: TrainEvent) -> None:
        if event.kind == "train" and not refused:
            with pytest.raises(LockedError) as caught:
                resume_imitation(tmp_path / "run", device="cpu")
            refused.append(caught.value)

    train_imitation(job(dataset), folder=tmp_path / "run", device="cpu", listeners=[intrude])
    assert len(refused) == 1
