"""Importing robomimic files, written here with h5py in the layout that robomimic documents."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import (
    ConfigError,
    DatasetError,
    MissingExtraError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from robot_stack.datasets.episode_notes import read_notes
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.robomimic_import import RobomimicImportConfig, import_robomimic
from robot_stack.datasets.validate import validate

h5py = pytest.importorskip("h5py")

LENGTHS = {"demo_0": 7, "demo_1": 5, "demo_2": 9, "demo_10": 4}
SIZE = 64


def make_file(path: Path, *, images: bool = False, env: dict[str, Any] | None = None) -> Path:
    """A file as robomimic's dataset_states_to_obs.py and split_train_val.py leave it."""
    rng = np.random.default_rng(3)
    env_args = {
        "env_name": "NutAssemblySquare",
        "env_type": 1,
        "env_version": "1.5.1",
        "env_kwargs": {"control_freq": 20, "robots": ["Panda"]},
    }
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(LENGTHS.values())
        data.attrs["env_args"] = json.dumps(env_args if env is None else env, indent=4)
        for name, n in LENGTHS.items():
            demo = data.create_group(name)
            demo.attrs["num_samples"] = n
            demo.attrs["model_file"] = "<mujoco/>"
            demo.create_dataset("states", data=rng.normal(size=(n, 45)))
            demo.create_dataset("actions", data=rng.uniform(-1, 1, size=(n, 7)))
            demo.create_dataset("rewards", data=np.array([0.0] * (n - 1) + [float(name != "demo_1")]))
            demo.create_dataset("dones", data=np.array([0] * (n - 1) + [1]))
            for group in ("obs", "next_obs"):
                values: dict[str, np.ndarray] = {
                    "robot0_eef_pos": rng.normal(size=(n, 3)),
                    "robot0_eef_quat": rng.normal(size=(n, 4)),
                    "robot0_gripper_qpos": rng.normal(size=(n, 2)),
                    "object": rng.normal(size=(n, 14)),
                }
                if images:
                    values["agentview_image"] = rng.integers(0, 256, size=(n, SIZE, SIZE, 3), dtype=np.uint8)
                    values["agentview_depth"] = rng.random(size=(n, SIZE, SIZE, 1)).astype(np.float32)
                for key, value in values.items():
                    demo.create_dataset(f"{group}/{key}", data=value, compression="gzip")
        mask = file.create_group("mask")
        mask["train"] = np.array(["demo_0", "demo_2", "demo_10"], dtype="S8")
        mask["valid"] = np.array(["demo_1"], dtype="S8")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_file(tmp_path / "low_dim_v15.hdf5")


def edit(path: Path, change: Any) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replace(file: Any, key: str, value: np.ndarray) -> None:
    del file[key]
    file[key] = value


def test_every_number_arrives(source: Path, tmp_path: Path) -> None:
    assert import_robomimic(source, tmp_path / "out") == 4
    assert validate(tmp_path / "out").findings == ()
    keys = ["object", "robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos"]
    with Dataset(tmp_path / "out") as dataset, h5py.File(source) as file:
        assert dataset.fps == 20
        assert [dataset.episode(i).length for i in range(4)] == list(LENGTHS.values())
        for i, name in enumerate(LENGTHS):
            demo, view = file["data"][name], dataset.episode(i)
            expected = {key: demo["obs"][key][()] for key in keys}
            expected["robot0_eef_quat"] = np.roll(expected["robot0_eef_quat"], 1, axis=1)
            state = np.concatenate([expected[key] for key in keys], axis=1).astype(np.float32)
            np.testing.assert_array_equal(view.column("observation.state"), state)
            np.testing.assert_array_equal(view.column("action"), demo["actions"][()].astype(np.float32))
            np.testing.assert_array_equal(view.column("next.reward").reshape(-1), demo["rewards"][()])
            np.testing.assert_array_equal(view.column("next.done").reshape(-1), demo["dones"][()] > 0)
            assert view.tasks == ("nut assembly square",)


def test_embodiment_and_provenance(source: Path, tmp_path: Path) -> None:
    import_robomimic(source, tmp_path / "out", RobomimicImportConfig(instruction="put the nut on the peg"))
    plain = json.loads((tmp_path / "out/meta/embodiment.json").read_text())
    assert plain["name"] == "robomimic/NutAssemblySquare"
    assert plain["control_hz"] == 20
    quaternion = next(field for field in plain["state"] if field["name"] == "robot0_eef_quat")
    assert quaternion["names"] == [f"robot0_eef_quat_{axis}" for axis in "wxyz"]
    assert plain["action"][0]["low"] == [-1.0] * 7
    with Dataset(tmp_path / "out") as dataset:
        notes = read_notes(dataset.episodes)
    assert [note.success for note in notes] == [True, False, True, True]
    assert [note.provenance["filter_keys"] for note in notes] == [["train"], ["valid"], ["train"], ["train"]]
    assert [note.provenance["imported_from"]["demonstration"] for note in notes] == list(LENGTHS)
    assert notes[0].instruction == "put the nut on the peg"


def test_quaternions_of_other_environments_stay(tmp_path: Path) -> None:
    env = {"env_name": "kitchen", "env_type": 2, "env_kwargs": {}}
    source = make_file(tmp_path / "gym.hdf5", env=env)
    with pytest.raises(ConfigError, match="control-hz"):
        import_robomimic(source, tmp_path / "out")
    import_robomimic(source, tmp_path / "out", RobomimicImportConfig(control_hz=12.5, state=("robot0_eef_quat",)))
    with Dataset(tmp_path / "out") as dataset, h5py.File(source) as file:
        expected = file["data/demo_0/obs/robot0_eef_quat"][()].astype(np.float32)
        np.testing.assert_array_equal(dataset.episode(0).column("observation.state"), expected)
        assert dataset.fps == 12.5


def test_images_keep_every_bit_as_pictures(tmp_path: Path) -> None:
    source = make_file(tmp_path / "image.hdf5", images=True)
    config = RobomimicImportConfig(storage="image", state=("robot0_eef_pos",), filter_key="valid")
    assert import_robomimic(source, tmp_path / "out", config) == 1
    with Dataset(tmp_path / "out") as dataset, h5py.File(source) as file:
        assert dataset.camera_names == ("observation.images.agentview",)
        expected = file["data/demo_1/obs/agentview_image"][()]
        np.testing.assert_array_equal(dataset.episode(0).frames("observation.images.agentview"), expected)
    assert validate(tmp_path / "out").ok


def test_images_as_video(tmp_path: Path) -> None:
    source = make_file(tmp_path / "image.hdf5", images=True)
    smooth = np.broadcast_to(np.linspace(0, 255, SIZE, dtype=np.uint8)[None, :, None], (SIZE, SIZE, 3))
    for name, n in LENGTHS.items():
        edit(source, lambda f, k=f"data/{name}/obs/agentview_image", m=n: replace(f, k, np.stack([smooth] * m)))
    import_robomimic(source, tmp_path / "out")
    assert validate(tmp_path / "out").ok
    with Dataset(tmp_path / "out") as dataset:
        frames = dataset.episode(3).frames("observation.images.agentview").astype(int)
    assert np.abs(frames - smooth).mean() < 4


def test_an_interrupted_import_goes_on(source: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 4
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_robomimic(source, tmp_path / "out", progress=stop)
    assert import_robomimic(source, tmp_path / "out") == 2
    assert import_robomimic(source, tmp_path / "out") == 0
    assert validate(tmp_path / "out").ok
    with Dataset(tmp_path / "out") as dataset:
        names = [note.provenance["imported_from"]["demonstration"] for note in read_notes(dataset.episodes)]
    assert names == list(LENGTHS)


def test_another_file_is_not_added(source: Path, tmp_path: Path) -> None:
    import_robomimic(source, tmp_path / "out")
    other = make_file(tmp_path / "other.hdf5")
    with pytest.raises(DatasetError, match="not imported from this file"):
        import_robomimic(other, tmp_path / "out")


def test_the_episodes_own_instruction(source: Path, tmp_path: Path) -> None:
    edit(source, lambda f: f["data/demo_2"].attrs.update(ep_meta=json.dumps({"lang": "pick up the nut"})))
    import_robomimic(source, tmp_path / "out")
    with Dataset(tmp_path / "out") as dataset:
        assert dataset.episode(2).tasks == ("pick up the nut",)


@pytest.mark.parametrize("key", ["obs/robot0_eef_pos", "actions", "rewards"])
def test_numbers_that_are_not_finite_are_named(source: Path, tmp_path: Path, key: str) -> None:
    def spoil(file: Any) -> None:
        values = file[f"data/demo_2/{key}"][()]
        values[6] = np.nan
        replace(file, f"data/demo_2/{key}", values)

    edit(source, spoil)
    with pytest.raises(NonFiniteError, match=rf"/data/demo_2/{key}, row 6"):
        import_robomimic(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda f: f.__delitem__("data"), DatasetError, "no group 'data'"),
        (lambda f: [f["data"].__delitem__(n) for n in LENGTHS] + [f.__delitem__("mask")], DatasetError, "no demonstr"),
        (lambda f: f["data/demo_0"].__delitem__("obs"), DatasetError, "dataset_states_to_obs"),
        (lambda f: f["data/demo_2"].__delitem__("actions"), UnknownNameError, "actions"),
        (lambda f: f["data/demo_2/obs"].__delitem__("object"), UnknownNameError, "object"),
        (lambda f: replace(f, "data/demo_2/rewards", np.zeros(3)), ShapeError, "demo_2/rewards"),
        (lambda f: replace(f, "data/demo_2/obs/object", np.zeros((9, 3))), DatasetError, "size of 'object'"),
        (lambda f: replace(f, "data/demo_2/actions", np.zeros((9, 3))), DatasetError, "size of 'actions'"),
        (lambda f: replace(f, "data/demo_2/actions", np.zeros((0, 7))), ShapeError, "demo_2/actions"),
        (lambda f: f["data"].attrs.update(env_args="{"), DatasetError, "not JSON"),
        (lambda f: replace(f, "mask/valid", np.array(["demo_9"], dtype="S8")), UnknownNameError, "demo_9"),
    ],
)
def test_files_with_other_contents_are_refused(
    source: Path, tmp_path: Path, change: Any, error: type[Exception], match: str
) -> None:
    edit(source, change)
    with pytest.raises(error, match=match):
        import_robomimic(source, tmp_path / "out")


def test_cut_and_foreign_files_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        import_robomimic(tmp_path / "nowhere.hdf5", tmp_path / "out")
    os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(DatasetError, match="cut short or damaged"):
        import_robomimic(source, tmp_path / "out")
    source.write_text("hello")
    with pytest.raises(DatasetError, match="not an HDF5 file"):
        import_robomimic(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (RobomimicImportConfig(state=("robot0_eef_poss",)), "robot0_eef_pos"),
        (RobomimicImportConfig(filter_key="trian"), "train"),
        (RobomimicImportConfig(action_key="action"), "actions"),
        (RobomimicImportConfig(cameras=("agentview_image",)), r"\(none\)"),
    ],
)
def test_unknown_names_list_the_nearest(source: Path, tmp_path: Path, config: RobomimicImportConfig, name: str) -> None:
    with pytest.raises(UnknownNameError, match=name):
        import_robomimic(source, tmp_path / "out", config)


def test_without_h5py_the_extra_is_named(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"robot_stack\[import\]"):
        import_robomimic(source, tmp_path / "out")
