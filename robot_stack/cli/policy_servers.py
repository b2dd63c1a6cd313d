"""The policies of a plan, each in a server process of its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_stack.core.driver import Driver
    from robot_stack.core.embodiment import Embodiment
    from robot_stack.core.world import World
    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.evaluation.trials.plan import TrialPlan
    from robot_stack.runtime.policy_process import PolicyProcess
    from robot_stack.runtime.served_policy import ServedPolicy


@contextlib.contextmanager
def policy_processes(plan: TrialPlan, device: str) -> Iterator[list[PolicyProcess]]:
    """A process for each policy, in the plan's order, of one kind, all of them ready before this returns.

    Args:
        plan: names the policies.
        device: where they run.

    Yields:
        The processes; they end with the block.

    Raises:
        BundleError: if a bundle is damaged.
        PolicyServerError: if a process died while it loaded.
    """
    from robot_stack.runtime.policy_process import PolicyProcess

    with contextlib.ExitStack() as stack:
        processes: list[PolicyProcess] = []
        for number in range(plan.arms):
            processes.append(PolicyProcess(functools.partial(make_served, plan, number, device)))
            stack.callback(processes[-1].close)
        for process in processes:
            process.address()
        yield processes


@contextlib.contextmanager
def served_subjects(plan: TrialPlan, device: str) -> Iterator[list[Subject]]:
    """Who acts in simulation, in the plan's order, each in a process of its own; names are numbers.

    Args:
        plan: names the policies and the simulated robot.
        device: where they run.

    Yields:
        Subjects that decide in batches.

    Raises:
        RobotStackError: see :func:`policy_processes`.
        EmbodimentMismatchError: if a policy was trained for another robot.
    """
    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.runtime.policy_process import ProcessDriver

    robot = _simulated_robot(plan)
    with policy_processes(plan, device) as processes, contextlib.ExitStack() as stack:
        subjects = []
        for number, process in enumerate(processes):
            driver = ProcessDriver(process, robot)
            stack.callback(driver.close)
            subjects.append(Subject(f"policy {number}", driver=driver, id=f"policy {number}"))
        yield subjects


def drivers_of(processes: Sequence[PolicyProcess], world: World) -> list[Driver]:
    """Drivers of one station's robot, in the plan's order, each with a connection of its own.

    Raises:
        EmbodimentMismatchError: if a policy was made for another robot.
    """
    from robot_stack.core.episode_driver import EpisodeDriver
    from robot_stack.runtime.policy_process import ProcessDriver

    return [EpisodeDriver(ProcessDriver(process, world.robot.embodiment)) for process in processes]


def make_served(plan: TrialPlan, number: int, device: str) -> ServedPolicy:
    """One policy of a plan, in its process; an expert acts on what the robot's client sends, as a bundle does."""
    from robot_stack.cli.serve import served_bundle
    from robot_stack.cli.trial_policies import expert_noise

    policy, name = plan.policies[number], f"policy {number}"
    noise = expert_noise(policy.policy)
    if noise is None:
        from robot_stack.cli.subjects import spare_the_simulators

        spare_the_simulators()
        return served_bundle(Path(policy.policy), device=device, source=policy.source, name=name)
    from robot_stack.cli.worlds import WorldConfig, expert_maker, world_maker
    from robot_stack.runtime.served_policy import ServedPolicy
    from robot_stack.runtime.slot_drivers import SlotDrivers

    world = world_maker(plan.task, WorldConfig(horizon=plan.horizon))()
    driver = SlotDrivers(functools.partial(expert_maker(plan.task, noise), world))
    return ServedPolicy(name, driver, world.robot.embodiment)


def _simulated_robot(plan: TrialPlan) -> Embodiment:
    from robot_stack.cli.trial_policies import world_of
    from robot_stack.cli.worlds import world_maker

    world = world_maker(plan.task, world_of(plan))()
    try:
        return world.robot.embodiment
    finally:
        world.close()
