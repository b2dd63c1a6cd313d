"""Faults put into a robot's loop in simulated time, exact to a tick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.joint_control import JointCommand
from robot_stack.deploy.faults.case import FaultCase, run_case
from robot_stack.deploy.faults.random_faults import RandomFaults
from robot_stack.deploy.faults.stream_monitor import StreamMonitor
from robot_stack.deploy.faults.table import CASES, run_all, to_markdown
from robot_stack.hardware.loop_config import JointLimits

SOME = ("every state is lost", "emergency stop")


@pytest.mark.parametrize("case", [c for c in CASES if "panda" in c.robots], ids=lambda case: case.name)
def test_an_arm_bears_every_fault(case: FaultCase) -> None:
    assert run_case(case, "panda").problems == ()


@pytest.mark.parametrize("case", [c for c in CASES if c.name in SOME], ids=lambda case: case.name)
@pytest.mark.parametrize("robot", ["g1", "locoman"])
def test_legged_robots_bear_some(case: FaultCase, robot: str) -> None:
    assert run_case(case, robot).problems == ()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("robot", ["g1", "locoman"])
def test_legged_robots_bear_every_fault(robot: str) -> None:
    bad = [(case.name, result.problems) for case, (result,) in run_all([robot]) if result.problems]
    assert bad == []


def test_the_table_shows_what_is_not_as_expected() -> None:
    case = next(c for c in CASES if c.name == "emergency stop")
    done = [(case, [run_case(replace(case, shows="no such words"), "panda")])]
    assert "no such words" in to_markdown(done)
    assert "**Operator**" in to_markdown(done)


@pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_torque"])
def test_no_random_sequence_lets_a_command_out_of_limits(mode: str) -> None:
    sequences = RandomFaults("panda", "panda/drawer", mode)
    for seed in range(40):
        result = sequences.run(seed)
        assert result.violations == (), (seed, result.events)
        assert result.commands > 100


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_torque"])
def test_ten_thousand_random_sequences(mode: str) -> None:
    sequences = RandomFaults("panda", "panda/drawer", mode)
    bad = {seed: result.violations for seed in range(3400) if (result := sequences.run(seed)).violations}
    assert bad == {}


def monitor() -> StreamMonitor:
    ones = (1.0, 1.0)
    limits = JointLimits((-1.0,) * 2, ones, ones, (np.inf,) * 2, ones, ones, ones, ones, ones, ones)
    return StreamMonitor(limits, 0.1)


def command(position: float, stiffness: float = 1.0, effort: float = 0.0) -> JointCommand:
    full = np.full(2, position)
    return JointCommand(full, 0 * full, np.full(2, effort), np.full(2, stiffness), 0 * full)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ([command(0.0), command(0.09)], ""),
        ([command(0.0), command(0.11)], "step"),
        ([command(0.0), command(np.nan)], "not finite"),
        ([command(1.1)], "beyond its range"),
        ([command(0.0, effort=1.2)], "effort"),
        ([command(0.0, stiffness=2.0)], "stiffness"),
        ([command(0.5, stiffness=0.0), command(0.5)], "distance from the measured"),
        ([command(0.5), command(0.0)], ""),  # lets go, towards where the joints are
    ],
)
def test_the_monitor_sees_what_is_out_of_limits(stream: list[JointCommand], words: str) -> None:
    looks = monitor()
    looks.measured(np.zeros(2))
    for i, each in enumerate(stream):
        looks.see(0.1 * i, each)
    assert bool(looks.violations) is bool(words)
    assert words in " ".join(looks.violations)
