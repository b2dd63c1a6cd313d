"""Chunks are applied at their own times, trimmed when late, and never replayed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.hardware.chunk_buffer import REFUSALS, ChunkBuffer, ChunkConfig, StampedChunk, to_ns

NAMES = ("a", "b")
PERIOD = 0.02


def make(config: ChunkConfig | None = None) -> ChunkBuffer:
    buffer = ChunkBuffer(NAMES, "f" * 64, PERIOD, config or ChunkConfig())
    for tick in range(100):
        buffer.note_observation(to_ns(10.0 + tick * PERIOD))
    return buffer


def chunk(stamp_s: float, steps: int = 4, value: float = 0.0, period: float = PERIOD) -> StampedChunk:
    actions = value + np.arange(steps, dtype=np.float64)[:, None] * np.ones(2)
    return StampedChunk(to_ns(stamp_s), NAMES, actions, np.arange(steps) * period, "f" * 64)


def due(buffer: ChunkBuffer, now_s: float) -> float | None:
    found = buffer.due(now_s)
    return None if found is None else float(found.action[0])


def test_each_action_applies_at_its_own_time() -> None:
    buffer = make()
    assert buffer.offer(chunk(10.0), 10.0) is None
    assert [due(buffer, 10.0 + k * PERIOD) for k in range(4)] == [0, 1, 2, 3]


def test_times_off_the_grid_go_to_the_nearest_tick() -> None:
    buffer = make()
    buffer.note_observation(to_ns(10.0031))
    buffer.offer(chunk(10.0031), 10.01)
    assert [due(buffer, 10.0 + k * PERIOD) for k in range(5)] == [0, 1, 2, 3, 3]
    buffer.note_observation(to_ns(12.0 - 0.0031))
    buffer.offer(chunk(12.0 - 0.0031), 12.0)
    assert [due(buffer, 12.0 + k * PERIOD) for k in range(4)] == [0, 1, 2, 3]


def test_late_chunks_are_trimmed() -> None:
    buffer = make()
    assert buffer.offer(chunk(10.0), 10.045) is None
    assert buffer.trimmed == 2
    assert due(buffer, 10.045) == 2


def test_the_last_action_lives_for_its_time_to_live_and_no_longer() -> None:
    buffer = make(ChunkConfig(time_to_live_s=0.1))
    buffer.offer(chunk(10.0), 10.0)
    assert due(buffer, 10.06 + 0.1) == 3
    assert due(buffer, 10.06 + 0.1001) is None
    slow = make(ChunkConfig(time_to_live_s=0.1))
    slow.offer(chunk(10.0, period=0.3), 10.0)
    assert due(slow, 10.9 + 0.3) == 3
    assert due(slow, 10.9 + 0.301) is None


def test_a_chunk_for_later_leaves_the_plan_before_it_in_force() -> None:
    buffer = make()
    buffer.offer(chunk(10.0, steps=10), 10.0)
    late = chunk(10.04, steps=3, value=100.0)
    buffer.offer(replace(late, offsets_s=late.offsets_s + 0.06), 10.05)
    assert [due(buffer, 10.0 + k * PERIOD) for k in range(3, 8)] == [3, 4, 100, 101, 102]


def test_a_newer_chunk_takes_over_where_it_applies() -> None:
    buffer = make()
    buffer.offer(chunk(10.0, steps=10), 10.0)
    buffer.offer(chunk(10.04, steps=4, value=50.0), 10.08)
    assert [due(buffer, 10.0 + k * PERIOD) for k in range(4, 6)] == [52, 53]
    assert due(buffer, 10.0 + 6 * PERIOD) == 53  # nothing of the older plan comes back behind the newer one


def test_the_same_chunk_twice_changes_nothing() -> None:
    buffer = make()
    buffer.offer(chunk(10.0, steps=6), 10.0)
    assert due(buffer, 10.04) == 2
    assert buffer.offer(chunk(10.0, steps=6), 10.05) is None
    assert due(buffer, 10.06) == 3


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("wrong_robot", replace(chunk(10.0), fingerprint="e" * 64)),
        ("wrong_names", replace(chunk(10.0), names=("b", "a"))),
        ("wrong_names", replace(chunk(10.0), names=("a",))),
        ("wrong_size", replace(chunk(10.0), actions=np.zeros((4, 3)))),
        ("wrong_size", replace(chunk(10.0), actions=np.zeros((0, 2)), offsets_s=np.zeros(0))),
        ("wrong_size", replace(chunk(10.0), actions=np.zeros(2))),
        ("wrong_size", chunk(10.0, steps=1001)),
        ("non_finite", replace(chunk(10.0), actions=np.full((4, 2), np.nan))),
        ("non_finite", replace(chunk(10.0), actions=np.full((4, 2), np.inf))),
        ("non_finite", replace(chunk(10.0), actions=np.full((4, 2), 1e200))),
        ("bad_times", replace(chunk(10.0), offsets_s=np.zeros(4))),
        ("bad_times", replace(chunk(10.0), offsets_s=np.array([0.0, 0.1, 0.05, 0.2]))),
        ("bad_times", replace(chunk(10.0), offsets_s=np.array([-0.1, 0.1, 0.15, 0.2]))),
        ("bad_times", replace(chunk(10.0), offsets_s=np.array([0.0, 0.1, np.nan, 0.2]))),
        ("bad_times", replace(chunk(10.0), offsets_s=np.array([0.0, 0.1, 0.2, 100.0]))),
        ("bad_times", replace(chunk(10.0), offsets_s=np.zeros(3))),
        ("unknown_observation", chunk(10.001)),
    ],
)
def test_a_bad_chunk_is_refused_and_leaves_the_plan_alone(reason: str, bad: StampedChunk) -> None:
    buffer = make()
    buffer.offer(chunk(10.0, steps=20, value=7.0), 10.0)
    refusal = buffer.offer(bad, 10.01)
    assert refusal is not None and refusal.reason == reason and refusal.detail
    assert buffer.refused == {reason: 1} and buffer.last_refusal == refusal
    assert due(buffer, 10.02) == 8


def test_old_chunks_are_refused() -> None:
    buffer = make(ChunkConfig(max_age_s=0.5))
    assert refusal(buffer, chunk(10.0, steps=50), 10.501) == "too_old"
    assert refusal(buffer, chunk(10.0, steps=3), 10.2) == "all_past"
    assert refusal(buffer, chunk(10.2), 10.2) == ""
    assert refusal(buffer, chunk(10.1), 10.2) == "overtaken"
    assert refusal(buffer, chunk(10.3), 10.3, armed=False) == "not_armed"


def refusal(buffer: ChunkBuffer, offered: StampedChunk, now_s: float, *, armed: bool = True) -> str:
    why = buffer.offer(offered, now_s, armed=armed)
    return "" if why is None else why.reason


def test_a_cleared_plan_is_gone_and_older_observations_with_it() -> None:
    buffer = make()
    buffer.offer(chunk(10.0, steps=20), 10.0)
    buffer.clear(to_ns(10.1))
    assert due(buffer, 10.02) is None and buffer.left_s(10.02) == 0.0
    assert refusal(buffer, chunk(10.08, steps=20), 10.12) == "before_arming"
    assert refusal(buffer, chunk(10.12), 10.12) == ""


def test_only_the_last_stamps_are_known() -> None:
    buffer = ChunkBuffer(NAMES, "", PERIOD, ChunkConfig(remembered=3))
    for stamp in (1, 2, 2, 3, 4):
        buffer.note_observation(stamp)
    assert refusal(buffer, replace(chunk(0.0), stamp_ns=1), 0.0) == "unknown_observation"
    assert refusal(buffer, replace(chunk(0.0), stamp_ns=2), 0.0) == ""


@given(
    st.lists(
        st.tuples(
            st.integers(0, 80),  # of the observation
            st.floats(0.0, 0.6),  # how much later it comes
            st.integers(1, 30),
            st.sampled_from([PERIOD, 0.05, 0.013]),
        ),
        max_size=12,
    )
)
def test_no_action_is_ever_applied_at_another_time_than_its_own(offers: list[tuple[int, float, int, float]]) -> None:
    """Actions that are the times they are meant for: whatever comes when, what applies is meant for now."""
    buffer = make(ChunkConfig(max_age_s=0.4))
    events = sorted((10.0 + tick * PERIOD + late, tick, steps, period) for tick, late, steps, period in offers)
    now = 10.0
    for arrival, tick, steps, period in events:
        while now < arrival:
            check(buffer.due(now), now)
            now += PERIOD
        stamp = 10.0 + tick * PERIOD
        values = stamp + np.arange(steps) * period  # an action is the time it is meant for
        offered = StampedChunk(to_ns(stamp), NAMES, np.stack([values, values], 1), np.arange(steps) * period, "f" * 64)
        why = buffer.offer(offered, arrival)
        assert why is None or why.reason in REFUSALS
    for _ in range(50):
        check(buffer.due(now), now)
        now += PERIOD
    assert buffer.due(now + 2.0) is None


def check(found: object, now: float) -> None:
    if found is not None:
        late = now - found.action[0]  # type: ignore[attr-defined]
        assert -0.5 * PERIOD - 1e-9 <= late <= 0.1 + 1e-9


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError):
        ChunkConfig(max_age_s=0.0)
    with pytest.raises(ConfigError):
        ChunkConfig(remembered=0)
    with pytest.raises(ConfigError):
        ChunkBuffer(NAMES, "", 0.0)


def test_the_first_driver_is_obeyed_until_the_plan_is_cleared() -> None:
    buffer = make()
    first, second = replace(chunk(10.0), driver="first"), replace(chunk(10.02, value=50.0), driver="second")
    assert buffer.offer(first, 10.0) is None and buffer.driver == "first"
    why = buffer.offer(second, 10.02)
    assert why is not None and why.reason == "another_driver" and "'second'" in why.detail and "'first'" in why.detail
    assert due(buffer, 10.02) == 1 and buffer.refused == {"another_driver": 1}
    assert buffer.offer(replace(second, driver="first"), 10.02) is None
    buffer.clear()
    assert buffer.offer(replace(second, stamp_ns=to_ns(10.04)), 10.04) is None and buffer.driver == "second"


def test_a_chunk_that_is_refused_makes_no_driver() -> None:
    buffer = make()
    assert buffer.offer(replace(chunk(10.0), driver="other", fingerprint="0"), 10.0) is not None
    assert buffer.driver is None
    assert buffer.offer(replace(chunk(10.0), driver="first"), 10.0) is None


def test_whoever_sent_lately_or_is_known_counts_as_a_driver() -> None:
    buffer = make()
    watch = buffer.drivers
    assert watch.several(10.0) == ""
    for name in ("first", "second"):
        buffer.offer(replace(chunk(10.0), driver=name), 10.0, armed=False)
    assert "2 drivers" in watch.several(10.9) and watch.several(11.1) == ""
    assert watch.others("first", 10.5) == ("second",)
    watch.known = ("silent", "first")
    assert "'silent', 'first'" in watch.several(11.1)
    for number in range(1000):
        watch.hear(f"{number}", 12.0, 1.0)
    assert len(watch.heard(12.5)) <= 16


def test_what_cannot_be_read_says_why() -> None:
    buffer = make()
    why = buffer.offer(replace(chunk(10.0), trouble="it is damaged"), 10.0)
    assert why is not None and (why.reason, why.detail) == ("unreadable", "it is damaged")
