"""Which safety limits are at least as strict as others: each limit alone, tighter, looser, added and dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.policies.deployment import at_least_as_strict

BASE = SafetyLimits(
    low=(-1.0, -1.0),
    high=(1.0, 1.0),
    max_rate=(2.0, 2.0),
    max_acceleration=(5.0, 5.0),
    max_step=(0.1, 0.1),
    stiffness=(80.0, 80.0),
    damping=(4.0, 4.0),
    max_effort=(30.0, 30.0),
    workspace_low=(0.0, 0.0, 0.0),
    workspace_high=(1.0, 1.0, 1.0),
    max_tilt_rad=0.5,
    command_timeout_s=0.2,
    observation_timeout_s=0.2,
)
UPPER = ("high", "max_rate", "max_acceleration", "max_step", "max_effort", "workspace_high")
LOWER = ("low", "workspace_low")
SINGLE = ("max_tilt_rad", "command_timeout_s", "observation_timeout_s")


@pytest.mark.parametrize("name", [*UPPER, *LOWER])
def test_vectors(name: str) -> None:
    tighter = 0.1 if name in LOWER else -0.05
    values = getattr(BASE, name)
    last_changed = (*values[:-1], values[-1] + tighter)
    assert at_least_as_strict(replace(BASE, **{name: last_changed}), BASE)
    assert not at_least_as_strict(BASE, replace(BASE, **{name: last_changed}))
    assert at_least_as_strict(BASE, replace(BASE, **{name: ()}))
    assert not at_least_as_strict(replace(BASE, **{name: ()}), BASE)


@pytest.mark.parametrize("name", SINGLE)
def test_single_numbers(name: str) -> None:
    assert at_least_as_strict(replace(BASE, **{name: 0.1}), BASE)
    assert not at_least_as_strict(replace(BASE, **{name: 0.9}), BASE)
    assert at_least_as_strict(BASE, replace(BASE, **{name: None}))
    assert not at_least_as_strict(replace(BASE, **{name: None}), BASE)


@pytest.mark.parametrize("name", ["stiffness", "damping"])
def test_gains_must_agree(name: str) -> None:
    other = replace(BASE, **{name: (1.0, 1.0)})
    assert not at_least_as_strict(other, BASE) and not at_least_as_strict(BASE, other)


def test_every_limit_is_looked_at() -> None:
    assert at_least_as_strict(BASE, BASE) and at_least_as_strict(BASE, SafetyLimits())
    assert not at_least_as_strict(BASE, replace(BASE, needs_deadman=True))
    assert at_least_as_strict(replace(BASE, needs_deadman=True), BASE)
    looked_at = {*UPPER, *LOWER, *SINGLE, "stiffness", "damping", "needs_deadman"}
    assert looked_at == set(SafetyLimits.__dataclass_fields__)
