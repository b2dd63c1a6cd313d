"""``robot-stack trials plan``: freeze a plan before the first trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_stack.cli.parsing import Many, Maybe, parse

if TYPE_CHECKING:
    from robot_stack.evaluation.trials.plan import TrialPlan


@dataclass(frozen=True)
class PlanArgs:
    """Freeze a plan of blind trials into a store: hash it, draw the order of policies, and commit to the sealed key.

    Give a YAML file, or a task and policies. Publish the commitment before the first trial.
    """

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the new store."""

    file: Maybe[Path] = None
    """Plan in YAML; the options below are for plans without one."""

    policies: Many[str] = ()
    """NAME=BUNDLE for each policy; NAME=expert or NAME=expert:NOISE for the scripted expert."""

    task: str = ""
    """What they do, e.g. metaworld/pick-place."""

    n_max: int = 50
    """Trials of each policy, at most."""

    alpha: float = 0.05
    """Chance of any false difference, over all comparisons."""

    rule: str = "barnard"
    """When to stop: barnard, pairs, e-process, fixed."""

    stream: int = 0
    """Another stream gives other starts."""

    show: bool = False
    """Show the plan and its power, and freeze nothing."""


def run(arguments: list[str]) -> int:
    """Freeze, and tell what was frozen."""
    args = parse(PlanArgs, arguments, "robot-stack trials plan")
    from rich.console import Console

    from robot_stack.cli.trial_policies import policy_hash
    from robot_stack.cli.trials_power import show_power
    from robot_stack.evaluation.trials.plan_file import complete_plan, read_plan
    from robot_stack.evaluation.trials.store import create_store

    if args.file is not None:
        plan, images = read_plan(args.file, policy_hash)
    else:
        plan, images = complete_plan(_plain(args), policy_hash)
    console = Console(highlight=False, soft_wrap=True)
    _show(plan, console)
    show_power(plan, console)
    if args.show:
        return 0
    commitment = create_store(args.store, plan, images=images)
    console.print(f"\nfrozen into {args.store}")
    console.print(f"plan        {plan.fingerprint()}")
    console.print(f"commitment  [bold]{commitment}[/bold]")
    console.print("publish the commitment before the first trial: the key that is opened later must match it")
    return 0


def _plain(args: PlanArgs) -> dict[str, Any]:
    from robot_stack.cli.worlds import full_name, world_maker
    from robot_stack.evaluation.trials.errors import PlanError

    policies = {}
    for word in args.policies:
        name, equals, value = word.partition("=")
        if not equals or not name or not value or name in policies:
            raise PlanError("a policy is given as NAME=BUNDLE, each name once", got=word)
        policies[name] = value
    if not args.task:
        raise PlanError("there is no task", remedy="give --task, or a plan file with --file")
    task = full_name(args.task)
    world = world_maker(task)()
    try:
        instruction = world.task.instruction
        milestones = [name for name in world.task.milestones if name != "success"]  # judged by itself
    finally:
        world.close()
    return {
        "name": args.store.name,
        "task": task,
        "instruction": instruction,
        "policies": policies,
        "conditions": {"seeds": args.n_max, "stream": args.stream},
        "rubric": {"milestones": milestones},
        "stopping": {"rule": args.rule, "alpha": args.alpha, "n_max": args.n_max},
    }


def _show(plan: TrialPlan, console: Any) -> None:
    console.print(f"[bold]{plan.name}[/bold]: {plan.task}")
    for policy in plan.policies:
        console.print(f"  {policy.name}  {policy.policy}  {policy.sha256[:12]}")
    rule = plan.stopping
    console.print(
        f"{len(plan.conditions)} initial conditions, up to {plan.blocks} blocks of {plan.arms} trials, "
        f"rule {rule.rule}, alpha {rule.alpha:g} over {len(plan.comparisons)} comparison(s)"
    )
