"""Statistics against numpy: exact for an episode, merged, and of a whole dataset."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robot_stack.datasets.dataset_stats import rebuild_stats
from robot_stack.datasets.episode_rows import stacked_stats
from robot_stack.datasets.metadata import read_info, read_parquet
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.stats import NAMES, QUANTILES, PictureStats, column_stats, merge_stats, quantiles
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.recorded import CAMERA, KEY, arm, images, numbers, record, write_some


def expect_exact(entry: dict, values: np.ndarray) -> None:
    """``values``: shape (rows, *shape)."""
    values = values.astype(np.float64)
    expected = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    expected |= {name: np.quantile(values, q, axis=0) for name, q in QUANTILES.items()}
    assert set(entry) == set(NAMES)
    assert np.asarray(entry["count"]).tolist() == [len(values)]
    for name, value in expected.items():
        np.testing.assert_allclose(np.asarray(entry[name]).ravel(), value.ravel(), rtol=1e-12, atol=1e-12, err_msg=name)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=st.floats(-1e6, 1e6)))
def test_quantiles_are_those_of_numpy(matrix: np.ndarray):
    expected = np.quantile(matrix, list(QUANTILES.values()), axis=0)
    np.testing.assert_allclose(quantiles(matrix), expected, rtol=1e-12, atol=1e-9)


def test_of_an_episode_with_all_kinds_of_columns():
    rng = np.random.default_rng(0)
    columns = {
        "a": rng.normal(size=(37, 5)).astype(np.float32),
        "b": rng.normal(size=37),
        "c": rng.integers(-9, 9, size=(37, 2, 3)),
        "d": rng.random(37) > 0.5,
        "e": np.arange(37),
    }
    stats = column_stats(columns)
    for name, values in columns.items():
        expect_exact(stats[name], values)
        assert stats[name]["mean"].shape == (values.shape[1:] or (1,))


def test_merging_is_exact_but_for_quantiles():
    rng = np.random.default_rng(1)
    parts = [rng.normal(loc=i, size=(n, 2)) for i, n in enumerate((1, 5, 40, 3))]
    merged = merge_stats([column_stats({"x": part}) for part in parts])["x"]
    together = column_stats({"x": np.concatenate(parts)})["x"]
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(merged[name], together[name], rtol=1e-12)
    weights = np.array([len(p) for p in parts]) / 49
    expected = sum(w * np.quantile(p, 0.9, axis=0) for w, p in zip(weights, parts, strict=True))
    np.testing.assert_allclose(merged["q90"], expected, rtol=1e-12)


def test_of_pictures():
    frames = images(3)
    stats = PictureStats()
    for frame in frames:
        stats.add(frame)
    result = stats.result()
    assert result["count"].tolist() == [len(frames)]
    pixels = frames.reshape(-1, 3) / 255.0
    for name, value in {
        "min": pixels.min(0),
        "max": pixels.max(0),
        "mean": pixels.mean(0),
        "std": pixels.std(0),
        **{k: np.quantile(pixels, q, axis=0) for k, q in QUANTILES.items()},
    }.items():
        assert result[name].shape == (3, 1, 1)
        np.testing.assert_allclose(result[name].ravel(), value, atol=1e-9, err_msg=name)


def test_large_pictures_are_thinned_like_lerobots():
    image = np.random.default_rng(0).integers(0, 256, (400, 640, 3), dtype=np.uint8)
    stats = PictureStats()
    stats.add(image)
    thinned = image[::4, ::4].reshape(-1, 3) / 255.0  # LeRobot: 640 // 150 = 4
    np.testing.assert_allclose(stats.result()["mean"].ravel(), thinned.mean(0), atol=1e-12)


def test_of_a_dataset_are_those_of_its_rows(tmp_path: Path):
    write_some(tmp_path, range(4))
    write_some(tmp_path, range(4, 13))
    stored = json.loads((tmp_path / "meta/stats.json").read_text())
    for name in numbers(0):
        expect_exact(stored[name], np.concatenate([numbers(seed)[name] for seed in range(13)]))
    with Dataset(tmp_path) as dataset:
        for name in ("index", "timestamp", "task_index", "episode_index", "frame_index"):
            expect_exact(stored[name], dataset.column(name).array.reshape(-1, 1))


def test_of_each_episode_lie_in_the_table(tmp_path: Path):
    embodiment = arm(cameras=(CAMERA,))
    with DatasetWriter(tmp_path, embodiment, storage="image") as writer:
        for seed in range(5):
            record(writer, seed, camera=True)
    (path,) = (tmp_path / "meta/episodes").rglob("*.parquet")
    stats = stacked_stats(read_parquet(path))
    for seed in range(5):
        for name, values in numbers(seed).items():
            expect_exact({k: v[seed] for k, v in stats[name].items()}, values)
        pixels = images(seed).reshape(-1, 3) / 255.0
        np.testing.assert_allclose(stats[KEY]["q90"][seed].ravel(), np.quantile(pixels, 0.9, axis=0), atol=1e-9)
        assert stats[KEY]["q90"][seed].shape == (3, 1, 1)


def test_are_exact_after_every_commit_but_for_quantiles(tmp_path: Path):
    writer = DatasetWriter(tmp_path, arm())
    for seed in range(6):
        record(writer, seed)
        stored = json.loads((tmp_path / "meta/stats.json").read_text())
        values = np.concatenate([numbers(s)["action"] for s in range(seed + 1)]).astype(np.float64)
        np.testing.assert_allclose(stored["action"]["mean"], values.mean(0), rtol=1e-12)
        np.testing.assert_allclose(stored["action"]["std"], values.std(0), rtol=1e-12)
        assert stored["action"]["count"] == [len(values)]
    writer.close()


def test_can_be_rebuilt_from_the_table(tmp_path: Path):
    write_some(tmp_path, range(7))
    stored = json.loads((tmp_path / "meta/stats.json").read_text())
    rebuilt = rebuild_stats(tmp_path, read_info(tmp_path))
    for name, entry in rebuilt.items():
        for key in ("min", "max", "mean", "std", "count"):
            assert np.asarray(stored[name][key]) == pytest.approx(entry[key], rel=1e-9, abs=1e-12)
