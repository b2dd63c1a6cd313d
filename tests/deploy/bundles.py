"""Policy bundles that tests of deployment make for themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world


def clumsy_bundle(folder: Path, task: str) -> Path:
    """A policy of the task's robot with random weights, whose actions are in the range of the scripted operator's."""
    import torch

    from robot_stack.policies.loading import make_policy
    from robot_stack.policies.normalizers import SourceRows, fit_normalizers
    from robot_stack.policies.saving import save_bundle
    from robot_stack.runtime.loop import run_episode
    from tests.policies.robots import CLONING

    torch.set_num_threads(1)

    world = make_robot_world(RobotWorldConfig(task=task))
    seen: list[np.ndarray] = []
    done: list[np.ndarray] = []

    class Notes:
        def on_start(self, context: Any, first: Any) -> None:
            """Nothing to note."""

        def on_end(self, result: Any) -> None:
            """Nothing to note."""

        def on_step(self, step: Any) -> None:
            seen.append(step.observation.state)
            done.append(step.receipt.sent)

    run_episode(world.robot, make_operator(world), world.task, seed=5, subscribers=(Notes(),))
    robot = world.robot.embodiment
    rows = SourceRows("demos", np.array(seen), np.array(done))
    made = make_policy(CLONING, robot, fit_normalizers(CLONING.normalization, (rows,)), (), None, seed=1)
    save_bundle(made, folder, provenance={})
    return folder
