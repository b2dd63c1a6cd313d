from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robot_stack.core.config_json import canonical_json, from_plain
from robot_stack.core.errors import NonFiniteError, RobotStackError, ShapeError
from robot_stack.core.normalizer import Normalizer, NormalizerKind, fit, min_max, quantile

tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.floats(-1e6, 1e6))


@given(tables, st.sampled_from(["identity", "min_max", "mean_std"]))
def test_round_trip(data: np.ndarray, kind: NormalizerKind) -> None:
    normalizer = fit(kind, data)
    back = normalizer.denormalize(normalizer.normalize(data))
    np.testing.assert_allclose(back, data, atol=1e-9 * max(1.0, np.abs(data).max()))
    assert from_plain(Normalizer, json.loads(canonical_json(normalizer))) == normalizer


@given(tables)
def test_min_max_lands_in_the_unit_box(data: np.ndarray) -> None:
    out = fit("min_max", data).normalize(data)
    assert (np.abs(out) <= 1 + 1e-9).all()
    moving = np.ptp(data, axis=0) > 1e-3
    np.testing.assert_allclose(out[:, moving].max(axis=0, initial=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(out[:, ~moving & (np.ptp(data, axis=0) == 0)], 0.0, atol=1e-9)


def test_quantiles_clip_and_equal_numpy() -> None:
    data = np.random.default_rng(0).normal(size=(10_000, 2)) * [1.0, 50.0]
    normalizer = fit("quantile", data)
    low, high = np.quantile(data, (0.02, 0.98), axis=0)
    np.testing.assert_allclose(normalizer.normalize(np.stack([low, high])), [[-1, -1], [1, 1]], atol=1e-12)
    assert normalizer.normalize(np.full((1, 2), 1e9)).tolist() == [[1.5, 1.5]]


def test_mean_std_equals_numpy() -> None:
    data = np.random.default_rng(0).normal(size=(100, 3))
    np.testing.assert_allclose(fit("mean_std", data).normalize(data).std(axis=0), 1.0)


def test_select_picks_numbers() -> None:
    normalizer = min_max(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 6.0]))
    picked = normalizer.select(np.array([2, 0]))
    assert picked.normalize(np.array([6.0, 0.0])).tolist() == [1.0, -1.0]


def test_bad_data_are_refused() -> None:
    data = np.zeros((4, 2))
    data[2, 1] = np.nan
    with pytest.raises(NonFiniteError, match="row 2, column 1"):
        fit("min_max", data)
    with pytest.raises(ShapeError):
        fit("min_max", np.zeros((0, 2)))
    with pytest.raises(ShapeError, match=r"\(\.\.\., 2\)"):
        fit("min_max", np.zeros((3, 2))).normalize(np.zeros(3))
    with pytest.raises(RobotStackError):
        quantile(np.array([1.0]), np.array([0.0]))
    with pytest.raises(NonFiniteError):
        Normalizer("min_max", (0.0,), (0.0,))
