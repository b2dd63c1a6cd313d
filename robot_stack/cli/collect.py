"""``robot-stack collect``: record demonstrations of a task into a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import Maybe, default_processes, parse
from robot_stack.cli.worlds import WorldConfig, expert_maker, task_named, usual_noise, world_maker

if TYPE_CHECKING:
    from robot_stack.core.embodiment import Embodiment
    from robot_stack.runtime.collect import Collected, Demonstrator
    from robot_stack.runtime.progress import ProgressListener


@dataclass(frozen=True)
class CollectArgs:
    """Record demonstrations: by the scripted expert of a Meta-World task or of a robot's, or by a policy.

    Run again with the same arguments, it goes on where it ended. Episode i always has the same start, whatever the
    number of processes.
    """

    name: Annotated[Maybe[str], tyro.conf.Positional] = None
    """For example metaworld/pick-place or panda/drawer; robot-stack tasks lists them."""

    robot: Maybe[str] = None
    """Or the robot by itself, with --task; robot-stack robots lists them."""

    task: Maybe[str] = None
    """The robot's task."""

    out: Path = Path("data")
    """The dataset: a new folder, or one of the same robot to go on with."""

    episodes: int = 50
    """How many to have in the end."""

    policy: Maybe[Path] = None
    """A policy bundle that demonstrates instead of the expert."""

    source: str = ""
    """Whose normaliser it uses, if it has one per dataset: the name of the dataset of this robot."""

    noise: Maybe[float] = None
    """Standard deviation of the noise on the expert's actions, so that the data show how to recover [action unit]; left
    out, what suits the task: 0.1 for Meta-World, 3 mm for hands of robots, 0.08 m/s for walking."""

    keep_failures: bool = False
    """Keep episodes that did not reach the goal as well."""

    world: WorldConfig = field(default_factory=WorldConfig)
    """What to record."""

    storage: str = "video"
    """Cameras as video files (video) or as pictures in the rows (image)."""

    processes: int = field(default_factory=default_processes)
    """Processes that simulate; 0 for this one."""

    stream: int = 0
    """Another stream gives other starts."""


def run(arguments: list[str]) -> int:
    """Collect, show progress, and tell what was written."""
    args = parse(CollectArgs, arguments, "robot-stack collect")
    from rich.console import Console

    from robot_stack.cli.bars import bars, collection_bar

    name = task_named(args.name, args.robot, args.task)
    with bars() as shown:
        done = collect_into(args, collection_bar(shown, f"collect {name}", args.episodes))
    console = Console(highlight=False)
    console.print(
        f"{done.episodes} episodes in [bold]{args.out}[/bold], {done.written} of them new; {done.attempts} seeds tried"
    )
    for failure in done.failures:
        console.print(f"  broke off: {failure}", style="yellow")
    return 0


def collect_into(args: CollectArgs, progress: ProgressListener) -> Collected:
    """Collect into ``args.out``.

    Args:
        args: what and where to.
        progress: told after every attempt.
    """
    from robot_stack.core.errors import require_name
    from robot_stack.datasets.sink import DatasetSink
    from robot_stack.datasets.writer import DatasetWriter
    from robot_stack.runtime.collect import CollectConfig, collect
    from robot_stack.runtime.fleet import Fleet, FleetConfig

    require_name("storage", args.storage, ("video", "image"))
    task = task_named(args.name, args.robot, args.task)
    maker = world_maker(task, args.world)
    world = maker()
    embodiment = world.robot.embodiment
    world.close()
    demonstrator = _demonstrator(args, task, embodiment)
    config = CollectConfig(
        episodes=args.episodes,
        only_successes=not args.keep_failures,
        stream=args.stream,
        steps_after_success=5,
    )
    storage = "image" if args.storage == "image" else "video"
    with (
        DatasetWriter(args.out, embodiment, storage=storage if embodiment.cameras else None) as writer,
        Fleet(FleetConfig(processes=args.processes)) as fleet,
    ):
        return collect(maker, demonstrator, DatasetSink(writer), config, fleet=fleet, progress=progress)


def _demonstrator(args: CollectArgs, task: str, embodiment: Embodiment) -> Demonstrator:
    from robot_stack.runtime.collect import Demonstrator

    if args.policy is None:
        noise = usual_noise(task) if args.noise is None else args.noise
        return Demonstrator("expert", driver_maker=expert_maker(task, noise))
    from robot_stack.cli.subjects import load_driver

    bundle, driver = load_driver(args.policy, embodiment, source=args.source)
    return Demonstrator(bundle.name, driver=driver)
