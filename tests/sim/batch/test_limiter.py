"""The batch's limits on motion are the safety filter's, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.safety import Command, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.sim.batch.limiter import BatchMotionLimiter

PERIOD_S = 0.02
LIMITS = {
    "position": SafetyLimits(low=(-1.0, -2.0, -np.inf), high=(1.0, 0.5, np.inf)),
    "rate": SafetyLimits(low=(-1.0,) * 3, high=(1.0,) * 3, max_rate=(1.0, 3.0, 0.2)),
    "acceleration": SafetyLimits(
        low=(-1.0,) * 3, high=(1.0,) * 3, max_rate=(1.0, 3.0, 5.0), max_acceleration=(4.0, 30.0, 90.0)
    ),
    "step": SafetyLimits(max_step=(0.01, 0.1, 0.02)),
}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_rows_move_as_behind_a_filter_of_their_own(limits: SafetyLimits) -> None:
    rng, nsim, size = np.random.default_rng(0), 6, 3
    start = rng.uniform(-0.9, 0.4, (nsim, size))
    batch = BatchMotionLimiter(limits, PERIOD_S, nsim, size)
    batch.restart(np.arange(nsim), start)
    alone = [SafetyFilter(limits, PERIOD_S, row) for row in start]
    changed = 0
    for tick in range(300):
        if tick % 40 == 39:
            rows, again = np.array([1, 4]), rng.uniform(-0.9, 0.4, (2, size))
            batch.restart(rows, again)
            for row, posture in zip(rows, again, strict=True):
                alone[row].reset(posture)
        target = rng.normal(size=(nsim, size)) * 10.0 ** rng.uniform(-2, 1, (nsim, 1))
        sent = batch.move(target)
        for guard, row, asked in zip(alone, sent, target, strict=True):
            measured = Measured(tick * PERIOD_S, position=row, rate=np.zeros(size))
            out = guard.tick(Command(asked, tick * PERIOD_S, tick), now_s=tick * PERIOD_S, measured=measured)
            np.testing.assert_array_equal(row, out.action)
            changed += bool(out.interventions)
    assert changed > 300
