"""``robot-stack trials run``: a plan in simulation, by itself."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import default_processes, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.evaluation.trials.plan import TrialPlan
    from robot_stack.runtime.progress import Progress


@dataclass(frozen=True)
class RunArgs:
    """Run the trials of a store in simulation until its stopping rule says stop.

    A run that was killed goes on where it was. Nothing that is printed tells the policies apart.
    """

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""

    sim: bool = False
    """Judge by the simulator's truth; the only way to run without an evaluator, so it must be given."""

    processes: int = field(default_factory=default_processes)
    """Processes that simulate; 0 for this one."""

    slots: int = 8
    """Episodes side by side."""

    blocks: int = 8
    """Blocks between two looks of the stopping rule."""

    device: str = "auto"
    """Where policies run: auto, cpu, cuda."""

    policy_server: bool = False
    """Run every policy in a server process of its own, as trials serve does; scripted experts are slower so."""


def run(arguments: list[str]) -> int:
    """Run, and tell the pooled figures."""
    args = parse(RunArgs, arguments, "robot-stack trials run")
    from robot_stack.core.errors import ConfigError

    if not args.sim:
        raise ConfigError(
            "trials on a robot need an evaluator",
            remedy="robot-stack trials serve opens the evaluators' page; add --sim to run in simulation",
        )
    from rich.console import Console

    from robot_stack.cli.bars import bars
    from robot_stack.cli.eval import device_of
    from robot_stack.cli.trial_policies import policy_hash, world_of
    from robot_stack.cli.trials_status import show_status
    from robot_stack.cli.worlds import world_maker
    from robot_stack.evaluation.trials.simulate import check_simulable, run_simulated
    from robot_stack.evaluation.trials.status import blind_status
    from robot_stack.evaluation.trials.store import TrialStore
    from robot_stack.evaluation.trials.verify import check_policies
    from robot_stack.runtime.fleet import Fleet, FleetConfig

    with TrialStore(args.store) as store:
        plan = store.plan
        check_simulable(plan)
        check_policies(plan, lambda policy: policy_hash(policy.policy, plan.task))
        maker = world_maker(plan.task, world_of(plan))
        with (
            _subjects(plan, device_of(args.device), args.policy_server) as subjects,
            bars() as shown,
            Fleet(FleetConfig(processes=args.processes, slots=args.slots)) as fleet,
        ):
            bar = shown.add_task(plan.name, total=plan.blocks * plan.arms, note="blind")

            def listen(progress: Progress) -> None:
                shown.update(bar, completed=progress.done)

            run_simulated(store, maker, subjects, fleet=fleet, blocks_at_once=args.blocks, progress=listen)
        show_status(blind_status(store.state), Console(highlight=False))
    return 0


def _subjects(
    plan: TrialPlan, device: str, policy_server: bool
) -> contextlib.AbstractContextManager[Sequence[Subject]]:
    if policy_server:
        from robot_stack.cli.policy_servers import served_subjects

        return served_subjects(plan, device)
    from robot_stack.cli.trial_policies import subjects_of

    return contextlib.nullcontext(subjects_of(plan, device))
