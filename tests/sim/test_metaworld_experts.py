"""Our own scripts, where metaworld's fail."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.seeding import episode_seed
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.experts import OWN_SCRIPTS, ExpertConfig, MetaWorldExpert, make_script
from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld

HARD = {"peg-insert-side": (11, 18), "shelf-place": (9, 14)}
"""Held-out episodes that metaworld's own policies do not solve."""


def solved(task: str, index: int, *, own: bool, noise: float = 0.0) -> bool:
    world = make_metaworld(MetaWorldConfig(task=task, horizon=250))
    expert = MetaWorldExpert(task, ExpertConfig(noise_std=noise), own_scripts=own)
    return run_episode(world.robot, expert, world.task, seed=episode_seed("held_out", index)).success


def test_every_own_script_has_hard_episodes_here() -> None:
    assert set(HARD) == set(OWN_SCRIPTS)


@pytest.mark.parametrize("task", HARD)
def test_our_scripts_solve_what_metaworlds_do_not(task: str) -> None:
    for index in HARD[task]:
        assert not solved(task, index, own=False)
        assert solved(task, index, own=True)
    assert solved(task, 0, own=True, noise=0.1)


def test_a_lost_peg_is_picked_up_again() -> None:
    world = make_metaworld(MetaWorldConfig(task="peg-insert-side"))
    script = make_script("peg-insert-side")
    seen = world.task.reset(world.robot, 1)
    dropped = False
    for step in range(400):
        action = np.clip(script.get_action(seen.state), -1, 1)
        if 55 <= step < 75:
            action = np.array([0.0, 0.0, 1.0, -1.0])
        receipt = world.robot.command(action)
        seen = world.robot.observe()
        score = world.task.score(seen, receipt)
        dropped = dropped or (step == 74 and not score.milestones[1])
        if score.success:
            break
    assert dropped
    assert score.success


@pytest.mark.slow
@pytest.mark.parametrize("task", ["pick-place", "door-open", "push", "hammer", "lever-pull", "basketball"])
def test_noisy_experts_stay_experts(task: str) -> None:
    assert sum(solved(task, index, own=True, noise=0.1) for index in range(20)) >= 17
