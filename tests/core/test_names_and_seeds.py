from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest

import robot_stack.core
from robot_stack.core.clock import MonotonicClock, SimulatedClock
from robot_stack.core.errors import ConfigError, RobotStackError, UnknownNameError, nearest_names, require_name
from robot_stack.core.provenance import collect
from robot_stack.core.seeding import Split, episode_seed, generator


def test_nearest_names() -> None:
    valid = ["pick-place", "push", "door-open", "pick-place-wall"]
    assert nearest_names("pickplace", valid)[0] == "pick-place"
    assert nearest_names("Door-Opn", valid) == ["door-open"]
    assert nearest_names("zzzz", valid) == []
    with pytest.raises(UnknownNameError, match="did you mean 'push'"):
        require_name("task", "pusch", valid)


def test_an_error_says_what_where_got_expected_and_the_way_out() -> None:
    text = str(RobotStackError("it broke", where="file.py", got=1, expected=2, remedy="mend it"))
    assert text == "it broke\n  where: file.py\n  got: 1\n  expected: 2\n  what to do: mend it"


def test_seeds_of_different_splits_never_meet() -> None:
    splits: tuple[Split, ...] = ("collect", "train", "validation", "held_out")
    seeds = [episode_seed(s, i, stream=k) for s in splits for k in (0, 1, 99) for i in (0, 1, 999_999)]
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**31
    with pytest.raises(ConfigError):
        episode_seed("collect", 1_000_000)


def test_generators_repeat_and_differ() -> None:
    assert generator(3, 1).random() == generator(3, 1).random()
    assert generator(3, 1).random() != generator(3, 2).random()


def test_clocks_never_go_back() -> None:
    simulated = SimulatedClock()
    simulated.sleep_until(1.0)
    simulated.sleep_until(0.5)
    assert simulated.now() == 1.0
    real = MonotonicClock()
    before = real.now()
    real.sleep_until(before + 0.01)
    assert real.now() >= before + 0.01


def test_provenance_is_plain() -> None:
    record = collect()
    assert record["libraries"]["numpy"] == np.__version__  # type: ignore[index]


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(robot_stack.core.__path__)])
def test_core_modules_import(module: str) -> None:
    importlib.import_module(f"robot_stack.core.{module}")
