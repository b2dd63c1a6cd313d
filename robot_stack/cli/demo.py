"""``robot-stack demo``: demonstrations, dataset, policies, evaluation and report in one go."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from robot_stack.cli.parsing import Many, default_processes, parse

if TYPE_CHECKING:
    from rich.console import Console

    from robot_stack.evaluation.results import EvaluationResult

DIFFUSION, BASELINE, EXPERT = "diffusion policy", "behaviour cloning MLP", "expert"

INPUTS = (
    "hand_position",
    "gripper_opening",
    "object_1_position",
    "object_1_quaternion",
    "object_2_position",
    "object_2_quaternion",
    "goal_position",
)
"""What the policies see: all of Meta-World's present numbers, none of the previous step's."""


@dataclass(frozen=True)
class DemoArgs:
    """Demonstrate, record, train, evaluate, report: the whole stack on Meta-World, on a CPU in minutes.

    Everything is kept in --out; an interrupted demo goes on where it ended.
    """

    out: Path = Path("demo_output")
    """Where everything goes."""

    tasks: Many[str] = ("pick-place", "drawer-open")
    """Meta-World tasks."""

    demonstrations: int = 50
    """Episodes to learn from, for each task."""

    noise: float = 0.05
    """Standard deviation of the noise on the expert's actions [action unit]."""

    steps: int = 2000
    """Updates of the diffusion policy."""

    baseline_steps: int = 1500
    """Updates of the behaviour-cloning MLP."""

    episodes: int = 50
    """Held-out episodes for each policy and the expert."""

    films: int = 4
    """Episodes to film of each; 0 for none."""

    processes: int = field(default_factory=default_processes)
    """Processes that simulate and train."""

    device: str = "auto"
    """Where policies are trained: auto, cpu, cuda."""

    seed: int = 0
    """Of training; another seed trains other networks on other starts."""


def run(arguments: list[str]) -> int:
    """Run the demo and print the path of its report."""
    args = parse(DemoArgs, arguments, "robot-stack demo")
    from rich.console import Console

    from robot_stack.cli.worlds import full_name
    from robot_stack.core.lock import FolderLock

    tasks = [full_name(task) for task in args.tasks]
    console = Console(highlight=False, soft_wrap=True)
    with FolderLock(args.out, what="demo"):
        since = time.monotonic()
        times: dict[str, float] = {}
        for title, stage in (("demonstrations", _collect), ("training", _train), ("evaluation", _evaluate)):
            began = time.monotonic()
            console.print(f"[bold]{title}[/bold]")
            stage(args, tasks)
            times[title] = time.monotonic() - began
        return _report(args, tasks, times, since, console)


def short(task: str) -> str:
    """The name of a task without its family."""
    return task.split("/")[-1]


def dataset_of(args: DemoArgs, task: str) -> Path:
    """Where the demonstrations of a task are."""
    return args.out / "datasets" / short(task)


def run_of(args: DemoArgs, task: str, who: str) -> Path:
    """Run folder of a policy on a task."""
    return args.out / "runs" / f"{short(task)}_{'diffusion' if who == DIFFUSION else 'mlp'}"


def evaluation_of(args: DemoArgs, task: str, who: str) -> Path:
    """Folder of an evaluation."""
    return args.out / "evaluations" / short(task) / who.replace(" ", "_")


def _collect(args: DemoArgs, tasks: list[str]) -> None:
    from robot_stack.cli.bars import bars, collection_bar
    from robot_stack.cli.collect import CollectArgs, collect_into
    from robot_stack.runtime.progress import Progress

    with bars() as shown:
        for task in tasks:
            job = CollectArgs(
                task,
                out=dataset_of(args, task),
                episodes=args.demonstrations,
                noise=args.noise,
                processes=args.processes,
                stream=args.seed % 100,
            )
            listen = collection_bar(shown, short(task), args.demonstrations)
            done = collect_into(job, listen)
            listen(Progress(done.episodes, args.demonstrations, attempts=done.attempts))


def _train(args: DemoArgs, tasks: list[str]) -> None:
    from robot_stack.cli.train import TrainArgs, make_job
    from robot_stack.cli.train_many import Training, train_many

    trainings = []
    for task in tasks:
        for who, preset, steps in ((DIFFUSION, "flow-small", args.steps), (BASELINE, "bc-mlp", args.baseline_steps)):
            job = make_job(TrainArgs(preset, data=(dataset_of(args, task),), steps=steps, state=INPUTS, seed=args.seed))
            trainings.append(Training(f"{short(task)}, {who}", job, run_of(args, task, who)))
    train_many(trainings, processes=args.processes, device=args.device)


def _evaluate(args: DemoArgs, tasks: list[str]) -> None:
    from robot_stack.cli.bars import bars, evaluation_bar
    from robot_stack.cli.eval import usual_camera
    from robot_stack.cli.subjects import expert_subject, policy_subject
    from robot_stack.cli.worlds import WorldConfig, world_maker
    from robot_stack.evaluation.config import EvaluationConfig, VideoConfig
    from robot_stack.evaluation.evaluate import evaluate
    from robot_stack.runtime.fleet import Fleet, FleetConfig
    from robot_stack.runtime.progress import Progress

    with bars() as shown, Fleet(FleetConfig(processes=args.processes, slots=8)) as fleet:
        for task in tasks:
            films = VideoConfig(
                count=args.films,
                camera=usual_camera(task),
                height=320,
                width=320,
                every=2,
                speed=0.5,
                montage_columns=2,
            )
            config = EvaluationConfig(
                episodes=args.episodes, stream=args.seed % 100, horizon=HORIZON, steps_after_success=10, videos=films
            )
            for who in (DIFFUSION, BASELINE, EXPERT):
                if who == EXPERT:
                    subject = expert_subject(task)
                else:
                    subject = policy_subject(run_of(args, task, who) / "policy", task, WorldConfig(), name=who)
                listen = evaluation_bar(shown, f"{short(task)}, {who}", args.episodes)
                folder = evaluation_of(args, task, who)
                result = evaluate(world_maker(task), subject, config, fleet=fleet, folder=folder, progress=listen)
                listen(Progress(args.episodes, args.episodes, result.success.successes, result.errors))


HORIZON = 300
"""Longest episode of the evaluation [control steps]: several times what the expert takes."""


def _report(args: DemoArgs, tasks: list[str], times: dict[str, float], since: float, console: Console) -> int:
    from robot_stack.cli.demo_report import write_demo_report
    from robot_stack.evaluation.results import load_result

    results: dict[str, list[EvaluationResult]] = {}
    for task in tasks:
        folders = [evaluation_of(args, task, who) for who in (DIFFUSION, BASELINE, EXPERT)]
        results[task] = [load_result(folder / "evaluation.json") for folder in folders]
    path = write_demo_report(args, results, times)
    console.print()
    for task in tasks:
        console.print(f"[bold]{short(task)}[/bold]")
        for result in results[task]:
            console.print(f"  {result.name:<24}{result.success}")
            if result.videos_missing:
                console.print(f"    no videos: {result.videos_missing}", style="yellow")
    console.print(f"\n{time.monotonic() - since:.0f} s in all. The report: [bold]{path.resolve()}[/bold]")
    return 0
