"""Cost of the safety filter per tick, beside a plain ``np.clip`` in the same run.

29 joints as on a Unitree G1, every check on: position, step, rate, acceleration and effort limits, measured positions
and rates with sequence numbers, tilt, workspace of 4 points, timeouts and deadman. Rows are measured one after the
other within each round, so that a busy machine slows all alike; shown are the median and the 99th percentile of single
ticks and the median of blocks, in microseconds of CPU time, which other processes disturb little::

    python benchmarks/safety_filter.py
    python benchmarks/safety_filter.py --joints 7 --json result.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_stack.core.safety import Command, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.seeding import generator

PERIOD_S = 0.002


def full_limits(joints: int) -> SafetyLimits:
    """Every limit there is."""
    return SafetyLimits(
        low=(-2.0,) * joints,
        high=(2.0,) * joints,
        max_rate=(10.0,) * joints,
        max_acceleration=(200.0,) * joints,
        max_step=(0.05,) * joints,
        stiffness=(60.0,) * joints,
        damping=(2.0,) * joints,
        max_effort=(80.0,) * joints,
        workspace_low=(-2.0, -2.0, -0.1),
        workspace_high=(2.0, 2.0, 2.0),
        max_tilt_rad=1.0,
        command_timeout_s=0.1,
        observation_timeout_s=0.05,
        needs_deadman=True,
    )


Tick = Callable[[int], object]


def good_commands(joints: int) -> Tick:
    """Ticks in which nothing has to be changed."""
    guard = SafetyFilter(full_limits(joints), PERIOD_S, np.zeros(joints))
    phase = 2 * np.pi * (np.arange(4096)[:, None] / 4096 + np.arange(joints) / joints)
    actions = 0.5 * np.sin(phase)
    guard.reset(actions[0])
    zeros, points = np.zeros(joints), np.zeros((4, 3))

    def tick(k: int) -> object:
        now_s, action = k * PERIOD_S, actions[k % len(actions)]
        out = guard.tick(
            Command(action, now_s, k),
            now_s=now_s,
            measured=Measured(now_s, action, zeros, points, 0.1, k),
            deadman=True,
        )
        assert not out.interventions
        return out

    return tick


def wild_commands(joints: int) -> Tick:
    """Ticks in which position, effort, acceleration and step limits all have to change something."""
    rng = generator(0)
    guard = SafetyFilter(full_limits(joints), PERIOD_S, np.zeros(joints))
    actions = 4.0 * rng.normal(size=(4096, joints))
    rates, points = 4.0 * rng.normal(size=(4096, joints)), np.zeros((4, 3))

    def tick(k: int) -> object:
        now_s, row = k * PERIOD_S, k % len(actions)
        return guard.tick(
            Command(actions[row], now_s, k),
            now_s=now_s,
            measured=Measured(now_s, 0.3 * rates[row], rates[row], points, 0.1, k),
            deadman=True,
        )

    return tick


def broken_commands(joints: int) -> Tick:
    """Ticks that are refused: NaN in one joint, a stopped robot."""
    guard = SafetyFilter(full_limits(joints), PERIOD_S, np.zeros(joints))
    action, zeros, points = np.zeros(joints), np.zeros(joints), np.zeros((4, 3))
    action[joints // 2] = np.nan

    def tick(k: int) -> object:
        now_s = k * PERIOD_S
        return guard.tick(
            Command(action, now_s, k), now_s=now_s, measured=Measured(now_s, zeros, zeros, points, 0.1, k), deadman=True
        )

    return tick


def plain_clip(joints: int) -> Tick:
    """The baseline: two clips, position and step, and nothing else."""
    rng = generator(0)
    actions = 4.0 * rng.normal(size=(4096, joints))
    low, high, step = np.full(joints, -2.0), np.full(joints, 2.0), np.full(joints, 0.05)
    previous = np.zeros(joints)

    def tick(k: int) -> object:
        nonlocal previous
        previous = np.clip(np.clip(actions[k % 4096], low, high), previous - step, previous + step)
        return previous

    return tick


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joints", type=int, default=29)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ticks", type=int, default=2000, help="in each round and row")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    args = parser.parse_args()
    makers = {
        "np.clip, position and step only": plain_clip,
        "filter, good commands": good_commands,
        "filter, every limit changes something": wild_commands,
        "filter, NaN refused": broken_commands,
    }
    rows = {name: make(args.joints) for name, make in makers.items()}
    singles: dict[str, list[float]] = {name: [] for name in rows}
    blocks: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(args.rounds + 1):
        for name, tick in rows.items():
            begin = time.thread_time()
            for k in range(round_ * args.ticks, (round_ + 1) * args.ticks):
                before = time.thread_time()
                tick(k)
                singles[name].append(time.thread_time() - before)
            blocks[name].append((time.thread_time() - begin) / args.ticks)
            if round_ == 0:  # warming up
                singles[name].clear()
                blocks[name].clear()
    result = {
        name: {
            "median_us": 1e6 * float(np.median(singles[name])),
            "p99_us": 1e6 * float(np.percentile(singles[name], 99)),
            "block_median_us": 1e6 * float(np.median(blocks[name])),
        }
        for name in rows
    }
    for name, figures in result.items():
        shown = "  ".join(f"{key} {value:7.2f}" for key, value in figures.items())
        print(f"{name:40} {shown}")
    if args.json:
        args.json.write_text(json.dumps({"joints": args.joints, "rows": result}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
