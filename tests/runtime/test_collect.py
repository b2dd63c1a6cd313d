"""Collections: the same episodes in the same order whatever the width, resumable, with a cap on attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import episode_seed
from robot_stack.core.world import World
from robot_stack.runtime.collect import (
    CollectConfig,
    Collected,
    Demonstrator,
    TooFewEpisodesError,
    collect,
)
from robot_stack.runtime.fleet import Fleet, FleetConfig
from robot_stack.runtime.progress import Progress, ignore_progress
from robot_stack.runtime.slots import EpisodeJob
from tests.worlds import PointBatchDriver, PointConfig, make_point_expert, make_point_world

WORLD = partial(make_point_world, PointConfig(horizon=40))
NOISY = Demonstrator("noisy expert", partial(make_point_expert, noise=1.5))


class States:
    """Records the states of an episode."""

    def __init__(self) -> None:
        self.states: list[np.ndarray] = []

    def on_start(self, context, first) -> None:
        self.states = [first.state]

    def on_step(self, step) -> None:
        self.states.append(step.next_observation.state)

    def on_end(self, result) -> None:
        pass

    def take(self) -> np.ndarray:
        return np.stack(self.states)


class MemorySink:
    """Keeps episodes in memory."""

    def __init__(self) -> None:
        self.episodes: list[tuple[np.ndarray, dict[str, Any]]] = []

    def written(self) -> Sequence[Mapping[str, Any]]:
        return [p for _, p in self.episodes]

    @staticmethod
    def make_recorder(world: World, job: EpisodeJob) -> States:
        return States()

    def write(self, recording: Any, provenance: dict[str, Any]) -> None:
        self.episodes.append((recording, provenance))

    @property
    def content(self) -> list[tuple[bytes, dict[str, Any]]]:
        """Everything but the code's revision, which may change while tests run in a checkout somebody edits."""
        return [
            (states.tobytes(), {k: v for k, v in provenance.items() if k != "code"})
            for states, provenance in self.episodes
        ]


def run(
    sink: MemorySink, config: CollectConfig, fleet: FleetConfig | None = None, who=NOISY, where=WORLD, tell=None
) -> Collected:
    with Fleet(fleet or FleetConfig(0, 2)) as opened:
        return collect(where, who, sink, config, fleet=opened, progress=tell or ignore_progress)


def test_only_successes_are_kept_in_the_order_of_their_seeds() -> None:
    sink = MemorySink()
    seen: list[Progress] = []
    done = run(sink, CollectConfig(episodes=8, max_attempts=200), tell=seen.append)
    seeds = [p["seed"] for p in sink.written()]
    assert seeds == sorted(seeds) and len(seeds) == 8 == done.episodes == done.written
    assert all(p["success"] and p["ending"] == "success" for p in sink.written())
    assert done.attempts == seeds[-1] - episode_seed("collect", 0) + 1
    assert done.discarded == done.attempts - 8 > 0, "the noise makes some episodes fail"
    assert [p.attempts for p in seen] == list(range(1, done.attempts + 1)) and seen[-1].done == 8
    provenance = sink.episodes[0][1]
    assert provenance["task"] == "point-reach" and provenance["driver"] == "noisy expert"
    assert provenance["collection"]["world"]["arguments"][0]["horizon"] == 40


@pytest.mark.parametrize("fleet", [FleetConfig(0, 5), FleetConfig(2, 4)], ids=["local", "processes"])
def test_the_content_is_the_same_however_wide(fleet: FleetConfig) -> None:
    narrow, wide = MemorySink(), MemorySink()
    config = CollectConfig(episodes=8)
    run(narrow, config, FleetConfig(0, 1))
    run(wide, config, fleet)
    assert narrow.content == wide.content


class Interrupted(Exception):
    pass


def test_it_goes_on_at_the_right_seed() -> None:
    whole, sink = MemorySink(), MemorySink()
    run(whole, CollectConfig(episodes=8))

    def stop(progress: Progress) -> None:
        if progress.done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(sink, CollectConfig(episodes=8), tell=stop)
    assert len(sink.episodes) == 3
    other = Demonstrator("somebody else", make_point_expert)
    run(sink, CollectConfig(episodes=2), who=other)
    done = run(sink, CollectConfig(episodes=8))
    assert [c for c in sink.content if c[1]["driver"] == "noisy expert"] == whole.content
    assert done.written == 5 and done.episodes == 8
    assert run(sink, CollectConfig(episodes=8)).written == 0
    more = run(sink, CollectConfig(episodes=10))
    assert more.written == 2
    run(whole, CollectConfig(episodes=10))
    assert [c for c in sink.content if c[1]["driver"] == "noisy expert"] == whole.content


def test_episodes_that_were_shuffled_cannot_be_resumed() -> None:
    sink = MemorySink()
    run(sink, CollectConfig(episodes=3))
    sink.episodes.reverse()
    with pytest.raises(ConfigError, match="not in the order of their seeds"):
        run(sink, CollectConfig(episodes=4))


def test_a_driver_that_never_succeeds_is_given_up() -> None:
    sink = MemorySink()
    hopeless = partial(make_point_world, PointConfig(horizon=3, near=1e-9))
    with pytest.raises(TooFewEpisodesError, match="0 of 2 after 7 attempts; 7 did not succeed"):
        run(sink, CollectConfig(episodes=2, max_attempts=7), where=hopeless)
    done = run(sink, CollectConfig(episodes=4, only_successes=False), where=hopeless)
    assert done.attempts == 4 and not any(p["success"] for p in sink.written())


def test_episodes_that_break_off_are_left_out_and_told() -> None:
    broken = partial(make_point_world, PointConfig(bad_seeds=(1, 2)))
    sink = MemorySink()
    seen: list[Progress] = []
    done = run(sink, CollectConfig(episodes=4), who=Demonstrator("policy", driver=PointBatchDriver()), where=broken,
               tell=seen.append)  # fmt: skip
    assert not {1, 2} & {p["seed"] for p in sink.written()}
    assert done.failures == (
        "seed 1: ValueError: the point fell off the table",
        "seed 2: ValueError: the point fell off the table",
    )
    assert "fell off" in seen[1].message and seen[-1].failures == 2


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError):
        CollectConfig(episodes=0)
    with pytest.raises(ConfigError, match="either a driver maker or a batch driver"):
        Demonstrator("nobody")
