"""Another rate: known frequencies pass or vanish, lines stay lines, turns stay turns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from robot_stack.retarget.resample import continuous, new_times, resampled, resampled_quaternions


@pytest.mark.parametrize(
    ("frequency", "gain"), [(1.0, 1.0), (5.0, 1.0), (9.0, 1.0), (20.0, 0.0), (35.0, 0.0), (55.0, 0.0)]
)
def test_frequencies_pass_or_vanish_instead_of_folding(frequency: float, gain: float) -> None:
    time = np.arange(1201) / 120.0
    out = resampled(np.sin(2 * np.pi * frequency * time)[:, None], 120.0, 30.0)[:, 0]
    expected = gain * np.sin(2 * np.pi * frequency * new_times(1201, 120.0, 30.0))
    assert np.abs(out - expected)[15:-15].max() < 4e-3
    assert len(out) == 301


@pytest.mark.parametrize(("fps", "rate"), [(120.0, 30.0), (100.0, 30.0), (30.0, 50.0), (60.0, 59.0), (30.0, 30.0)])
def test_lines_stay_lines_to_the_ends(fps: float, rate: float) -> None:
    time = np.arange(50) / fps
    line = np.stack([3.0 * time - 1.0, 0 * time + 2.0], axis=1)[:, None]
    out = resampled(line, fps, rate)
    times = np.arange(len(out)) / rate
    assert times[-1] <= time[-1] + 1e-9 < times[-1] + 1 / rate + 1e-8
    assert np.abs(out[:, 0] - np.stack([3.0 * times - 1.0, 0 * times + 2.0], axis=1)).max() < 1e-12


def test_few_frames_are_resampled_too() -> None:
    assert resampled(np.arange(5.0)[:, None], 120.0, 60.0)[:, 0] == pytest.approx([0, 2, 4])


@pytest.mark.parametrize("rate", [50.0, 12.0])
def test_turns_stay_turns(rate: float) -> None:
    time = np.arange(91) / 30.0
    turns = Rotation.from_rotvec(np.outer(2.0 * time, (0.6, 0.0, 0.8)))
    quaternions = np.roll(turns.as_quat(), 1, axis=1)
    quaternions[::3] *= -1.0
    out = resampled_quaternions(quaternions, 30.0, rate)
    times = np.arange(len(out)) / rate
    expected = Slerp(time, turns)(times)
    off = (Rotation.from_quat(np.roll(out, -1, axis=1)) * expected.inv()).magnitude()
    assert off[5:-5].max() < 2e-3
    assert np.linalg.norm(out, axis=1) == pytest.approx(1.0)
    assert np.sum(continuous(quaternions)[1:] * continuous(quaternions)[:-1], axis=1).min() > 0.9
