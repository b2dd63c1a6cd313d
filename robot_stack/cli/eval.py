"""``robot-stack eval``: policies on seeds they never saw, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import Many, Maybe, default_processes, parse
from robot_stack.cli.worlds import WorldConfig

if TYPE_CHECKING:
    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.evaluation.results import EvaluationResult


@dataclass(frozen=True)
class EvalArgs:
    """Evaluate policies on held-out seeds: every one meets the same starts.

    Run again with the same arguments, it goes on where it ended.
    """

    bundles: Annotated[Many[Path], tyro.conf.Positional] = ()
    """Policy bundles; several are compared in pairs on equal seeds."""

    task: str = "metaworld/pick-place"
    """What to do; with --robot, one of its tasks."""

    robot: Maybe[str] = None
    """Which robot, if the task is named without it."""

    episodes: int = 50
    """How many, for each policy."""

    expert: bool = False
    """Evaluate the scripted expert as well."""

    out: Maybe[Path] = None
    """Where results and videos go; evaluations/<task> when left out."""

    videos: int = 4
    """Film so many episodes of each."""

    camera: str = ""
    """Camera of the films; the task's usual one when left out."""

    world: WorldConfig = field(default_factory=WorldConfig)
    """Cameras and horizon; cameras that a policy looks through are added by themselves."""

    stream: int = 0
    """Another stream gives other starts, still never seen in collection."""

    processes: int = field(default_factory=default_processes)
    """Processes that simulate; 0 for this one."""

    device: str = "auto"
    """Where policies run: auto, cpu, cuda."""

    source: str = ""
    """Whose normaliser to use, for policies with one per dataset: the name of the dataset of this robot."""

    another_model: bool = False
    """Accept a robot whose model hash is not that of training; all else must still agree."""

    json: bool = False
    """Print the results as JSON."""


def run(arguments: list[str]) -> int:
    """Evaluate, compare, and tell."""
    args = parse(EvalArgs, arguments, "robot-stack eval")
    from robot_stack.core.errors import ConfigError

    if not args.bundles and not args.expert:
        raise ConfigError("there is nobody to evaluate", remedy="name a policy bundle, or add --expert")
    results = evaluate_all(args)
    _tell(args, results)
    return 0


def evaluate_all(args: EvalArgs) -> list[EvaluationResult]:
    """Evaluate every bundle, and the expert if wanted."""
    from robot_stack.cli.bars import bars, evaluation_bar
    from robot_stack.cli.subjects import cameras_of, expert_subject, image_size_of, policy_subject
    from robot_stack.cli.worlds import task_named, world_maker
    from robot_stack.evaluation.config import EvaluationConfig, VideoConfig
    from robot_stack.evaluation.evaluate import evaluate
    from robot_stack.runtime.fleet import Fleet, FleetConfig

    task = task_named(None, args.robot, args.task)
    cameras = tuple(dict.fromkeys((*args.world.cameras, *cameras_of(args.bundles))))
    world = replace(args.world, cameras=cameras, image_size=image_size_of(args.bundles, args.world.image_size))
    device = device_of(args.device)
    subjects: list[Subject] = [
        policy_subject(bundle, task, world, device=device, source=args.source, another_model=args.another_model)
        for bundle in args.bundles
    ]
    if args.expert:
        subjects.append(expert_subject(task))
    videos = VideoConfig(count=args.videos, camera=args.camera or usual_camera(task), every=2)
    config = EvaluationConfig(
        episodes=args.episodes, stream=args.stream, steps_after_success=10 if args.videos else 0, videos=videos
    )
    out = args.out or Path("evaluations") / task.replace("/", "_")
    results = []
    with bars() as shown, Fleet(FleetConfig(processes=args.processes, slots=8)) as fleet:
        for subject in subjects:
            listen = evaluation_bar(shown, subject.name, args.episodes)
            folder = out / subject.name.replace(" ", "_")
            results.append(
                evaluate(world_maker(task, world), subject, config, fleet=fleet, folder=folder, progress=listen)
            )
    return results


def usual_camera(task: str) -> str:
    """The camera that shows most of a task; empty for the first there is."""
    return "corner" if task.startswith("metaworld/") else ""


def device_of(name: str) -> str:
    """``auto`` becomes cuda where there is one, cpu otherwise."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _tell(args: EvalArgs, results: list[EvaluationResult]) -> None:
    import json

    from rich.console import Console
    from rich.markdown import Markdown

    from robot_stack.core.config_json import to_plain
    from robot_stack.evaluation.compare import compare, markdown

    if args.json:
        print(json.dumps([to_plain(result) for result in results], indent=2))
        return
    console = Console(highlight=False)
    for result in results:
        console.print(f"[bold]{result.name}[/bold] on {result.task}: {result.success}")
        if result.videos_missing:
            console.print(f"  no videos: {result.videos_missing}", style="yellow")
    if len(results) > 1:
        console.print(Markdown(markdown(compare(results))))
