"""Simulated worlds: one of each family is built from its model files and moved one step."""

from __future__ import annotations

from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

FAMILIES = {"metaworld": "reach", "dmc": "cartpole-swingup"}


def check(ground: Ground) -> list[Check]:
    """Build and step one world of each family."""
    return [_check_family(family, task, ground) for family, task in FAMILIES.items()]


def _check_family(family: str, task: str, ground: Ground) -> Check:
    name = f"simulation {family}"
    answer = ask("simulation", [family, task], timeout_s=ground.timeout_s)
    if answer.missing:
        remedy = answer.remedy or "pip install 'robot_stack[sim]'"
        return Check(name, "warning", f"the package {answer.missing!r} is not installed", remedy)
    if not answer.ok:
        remedy = answer.remedy or "pip install --force-reinstall 'robot_stack[sim]': its model files are incomplete"
        return Check(name, "broken", answer.trouble, remedy)
    sizes = f"{answer.value['state']} numbers in, {answer.value['action']} out, {answer.value['hz']:g} Hz"
    return Check(name, "works", f"{task} was built and moved ({sizes})", details=answer.value)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Build a world, reset it, and step it once."""
    import numpy as np

    family, task = arguments
    world = _make(family, task)
    robot = world.robot
    first = robot.reset(0)
    low, high = robot.embodiment.action_limits
    robot.command(np.clip(np.full(robot.embodiment.action_size, 0.1), low, high))
    after = robot.observe()
    if not np.isfinite(after.state).all() or np.array_equal(after.state, first.state):
        return {"error": "the simulation did not move, or gave numbers that are not finite"}
    embodiment = robot.embodiment
    return {"state": embodiment.state_size, "action": embodiment.action_size, "hz": embodiment.control_hz}


def _make(family: str, task: str) -> Any:
    if family == "metaworld":
        from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld

        return make_metaworld(MetaWorldConfig(task=task))
    from robot_stack.sim.dmc import DmcConfig, make_dmc

    return make_dmc(DmcConfig(task=task))
