"""A simulation that blows up is found, dumped and put back; the others never notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.blow_up import read_dump
from robot_stack.sim.randomization import Randomization
from robot_stack.sim.render import import_mujoco
from tests.sim.toy_arm import ToyReach, toy_spec

HEAVY = Randomization(mass_scale=(0.5, 2.0), stiffness_scale=(0.8, 1.2))


def world(folder: Path, **changes: Any) -> BatchWorld:
    config = BatchConfig(threads=2, dump_folder=str(folder / "dumps"), terminate_on_success=False)
    made = BatchWorld(toy_spec(folder), ToyReach(), 6, None, replace(config, **changes), HEAVY)
    made.reset(range(20, 26))
    return made


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e12, 1e7])
@pytest.mark.parametrize("autoreset", ["next_step", "same_step"])
def test_the_others_are_unharmed_to_the_bit(tmp_path: Path, poison: float, autoreset: Any) -> None:
    sick, well = world(tmp_path, autoreset=autoreset), world(tmp_path, autoreset=autoreset)
    hold, seen = well.hold_action, []
    for tick in range(8):
        if tick == 3:
            before = sick.robot.observe()[2]
            sick.robot.batch.qvel[2, 0] = poison
        ours, theirs = sick.step(hold), well.step(hold)
        others = np.arange(6) != 2
        for field in ("state", "reward", "success", "milestones", "terminated", "truncated", "final_state"):
            np.testing.assert_array_equal(getattr(ours, field)[others], getattr(theirs, field)[others])
        np.testing.assert_array_equal(sick.robot.batch.state[others], well.robot.batch.state[others])
        assert np.isfinite(ours.state).all() and np.isfinite(ours.reward).all()
        assert ours.invalid.tolist() == [tick == 3 and sim == 2 for sim in range(6)]
        if tick == 3:
            assert ours.truncated[2] and not ours.terminated[2] and ours.reward[2] == 0
            np.testing.assert_array_equal(ours.final_state[2], before)
        seen.append(ours)
    assert seen[3 if autoreset == "same_step" else 4].began[2]
    assert not any(step.ended[2] for step in seen[4:])


def test_the_dump_holds_the_last_moments_and_the_changed_model(tmp_path: Path) -> None:
    batch = world(tmp_path)
    for _ in range(4):
        batch.step(batch.hold_action)
    quiet = np.array(batch.robot.batch.state[1])
    batch.robot.batch.qvel[1, 1] = 1e12
    [blow_up] = batch.step(batch.hold_action).blow_ups
    assert (blow_up.sim, blow_up.seed) == (1, 21) and "huge" in blow_up.what
    assert blow_up.dump is not None and blow_up.dump.parent == tmp_path / "dumps"
    dump = read_dump(blow_up.dump)
    assert dump.about["seed"] == 21 and len(dump.states) == 5
    assert dump.states[4][0] == quiet[0] and np.abs(dump.states[4]).max() >= 1e12 > np.abs(dump.states[3]).max()
    model = batch.robot.model.model
    assert not np.array_equal(dump.model.body_mass, model.body_mass)
    mujoco = import_mujoco()
    data: Any = mujoco.MjData(dump.model)
    dump.set(data, 1)
    mujoco.mj_step(dump.model, data, nstep=batch.robot.substeps)
    np.testing.assert_allclose(data.qpos, dump.states[2][1 : 1 + model.nq], atol=1e-9)


def test_dumps_are_few_and_may_be_none(tmp_path: Path) -> None:
    few, none = world(tmp_path, max_dumps=2), world(tmp_path, dump_folder="")
    for batch in (few, none):
        batch.robot.batch.qpos[:, 0] = np.nan
    zeros = np.zeros((6, 3))
    told = few.step(zeros).blow_ups
    assert len(told) == 6 and sum(b.dump is not None for b in told) == 2
    assert len(list((tmp_path / "dumps").iterdir())) == 2
    told = none.step(zeros).blow_ups
    assert len(told) == 6 and all(b.dump is None for b in told)


def test_an_error_of_the_engine_ends_one_episode_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mujoco.batch import SimulationError

    batch = world(tmp_path)
    step = batch.robot.batch.step

    def fails(**kwargs: Any) -> None:
        step(**kwargs)
        raise SimulationError(np.array([4]), "out of memory")

    monkeypatch.setattr(batch.robot.batch, "step", fails)
    monkeypatch.setattr(batch.robot.batch, "error", lambda sim: "out of memory")
    told = batch.step(batch.hold_action)
    assert [b.sim for b in told.blow_ups] == [4] and told.blow_ups[0].what == "out of memory"
    assert told.ended.tolist() == [sim == 4 for sim in range(6)]
