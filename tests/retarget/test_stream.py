"""A stream gives what the whole motion gives, in pieces, with memory that does not grow."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES
from robot_stack.retarget.motion import MotionError
from robot_stack.retarget.result import Retargeted
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.stream import StreamingRetargeter, StreamRule, joined, stream
from robot_stack.retarget.synthetic import Synthetic, all_fours, carry, walk
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE

G1 = Retargeter(UNITREE_G1, TABLE)
LOW = Retargeter(LOCOMAN, KEYPOINT_TABLES["locoman"])


@pytest.fixture(scope="module")
def walked() -> tuple[Synthetic, Retargeted, list[Retargeted]]:
    source = walk(steps=2)
    return source, G1(source.motion, source.scene), list(stream(G1, source.motion, source.scene))


def test_pieces_together_are_close_to_the_whole(walked: tuple[Synthetic, Retargeted, list[Retargeted]]) -> None:
    source, whole, pieces = walked
    together = joined(pieces)
    assert len(pieces) > 3 and len(together) == len(source.motion)
    apart = np.linalg.norm(together.p_world_keypoint - whole.p_world_keypoint, axis=2)
    assert apart.mean() < 1e-3 and apart.max() < 1e-2
    assert together.accepted().all()
    assert together.metrics["contact_share"] == 1.0
    assert together.metrics["joint_jerk_rms"] < 1.1 * whole.metrics["joint_jerk_rms"]


def test_stays_go_on_over_the_seams(walked: tuple[Synthetic, Retargeted, list[Retargeted]]) -> None:
    _, whole, pieces = walked
    together = joined(pieces)
    expected = {(s.group, s.surface): 0 for s in whole.contacts}
    for stay in whole.contacts:
        expected[stay.group, stay.surface] += 1
    for key, count in expected.items():
        assert sum((s.group, s.surface) == key for s in together.contacts) == count
    body = replace(together, metrics={})
    # The last velocity of a piece looks one frame ahead, to where that was expected.
    central = 0.5 * (body.qpos[2:, 7:] - body.qpos[:-2, 7:]) * body.fps
    assert np.abs(central - body.qvel[1:-1, 6:]).max() < 0.05
    assert np.median(np.abs(central - body.qvel[1:-1, 6:]).max(axis=1)) < 1e-9


def test_a_frame_comes_back_after_the_latency_that_is_stated() -> None:
    source = walk(steps=1)
    rule = StreamRule(ahead_s=0.4, hop_s=0.2)
    live = StreamingRetargeter(G1, source.motion, source.scene, rule)
    assert live.latency_s == pytest.approx(0.6)
    for t, points in enumerate(source.motion.positions[:40], start=1):
        piece = live.push(points)
        assert (t - live.finished) <= round(live.latency_s * source.motion.fps)
        assert piece is None or len(piece) == 6
    rest = live.finish()
    assert rest is not None and live.finished == 40 and live.finish() is None


def test_what_is_carried_moves_with_the_hands_in_a_stream_too() -> None:
    source = carry(steps=1)
    together = joined(stream(G1, source.motion, source.scene, StreamRule(hop_s=1.0)))
    assert together.accepted().all()
    assert len(together.objects) == 1 and len(together.objects[0].p_world_object) == len(together)


def test_memory_is_flat() -> None:
    source = all_fours(strides=1)
    live = StreamingRetargeter(LOW, source.motion, source.scene, StreamRule(ahead_s=0.2, hop_s=0.3, context_s=0.3))
    there_and_back = np.concatenate([source.motion.positions, source.motion.positions[::-1]])
    there_and_back = there_and_back[:: max(1, len(there_and_back) // 30)]
    sizes = []
    tracemalloc.start()
    for _ in range(4):
        for points in there_and_back:
            live.push(points)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert live.finished > 3 * len(there_and_back)
    assert sizes[3] - sizes[1] < 100_000  # bytes; the finished frames alone would take more
    assert len(live._points) <= round((0.2 + 0.3 + 0.3) * source.motion.fps) + 1


def test_points_that_are_not_seen_stay_for_a_moment() -> None:
    source = walk(steps=1)
    live = StreamingRetargeter(G1, source.motion, source.scene)
    frames = source.motion.positions[:30].copy()
    frames[10:16, 4] = np.nan
    for points in frames:
        live.push(points)
    with pytest.raises(MotionError, match="left_toe"):
        for _ in range(9):
            live.push(np.where(np.arange(15)[:, None] == 4, np.nan, frames[0]))


def test_bad_frames_and_windows_are_refused() -> None:
    source = walk(steps=1)
    live = StreamingRetargeter(G1, source.motion, source.scene)
    with pytest.raises(ShapeError, match="wrong shape"):
        live.push(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="poses of objects"):
        live.push(source.motion.positions[0], np.zeros((1, 7)))
    with pytest.raises(MotionError, match="none in the first frame"):
        StreamingRetargeter(G1, source.motion, source.scene).push(np.full((15, 3), np.nan))
    with pytest.raises(ConfigError, match="positive"):
        StreamRule(hop_s=0.0)
    with pytest.raises(MotionError, match="no pieces"):
        joined([])
