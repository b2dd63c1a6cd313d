"""``robot-stack sim``: run a robot in simulation, seen live or filmed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import Maybe, parse
from robot_stack.cli.worlds import WorldConfig

if TYPE_CHECKING:
    from robot_stack.core.driver import Driver
    from robot_stack.core.episode import EpisodeResult, Subscriber
    from robot_stack.core.world import World


@dataclass(frozen=True)
class SimArgs:
    """Run a robot: by its scripted operator, by a policy (--policy, --server), or as it was recorded (--replay).

    With a display it opens MuJoCo's viewer; without one, or with --video, it writes a film.
    """

    robot: Annotated[Maybe[str], tyro.conf.Positional] = None
    """Which robot, e.g. panda; or robot and task, e.g. panda/drawer."""

    task: Maybe[str] = None
    """One of the robot's tasks; robot-stack robots NAME lists them."""

    policy: Maybe[Path] = None
    """A policy bundle that drives."""

    source: str = ""
    """Whose normaliser it uses, if it has one per dataset: the name of the dataset of this robot."""

    server: Maybe[str] = None
    """A policy server that drives, ws://host:port; its cameras are named with --world.cameras."""

    token_file: Maybe[Path] = None
    """The server's token; ~/.config/robot_stack/policy_server.token when left out."""

    replay: Maybe[Path] = None
    """A dataset to replay an episode of, from the start it was recorded from."""

    episode: int = 0
    """Which episode of the dataset."""

    noise: float = 0.0
    """Standard deviation of the noise on the scripted operator's actions [action unit]."""

    seed: Maybe[int] = None
    """Of the first episode; each has another start. 0 when left out, a replayed episode's own with --replay."""

    episodes: int = 1
    """How many to run; in the viewer, 0 goes on until the window is closed."""

    video: Maybe[Path] = None
    """Film into this file (.mp4) instead of opening the viewer."""

    headless: bool = False
    """No viewer and no film, only how it went."""

    camera: str = ""
    """What the film shows; the task's usual view when left out."""

    width: int = 640
    """Of the film [pixel]."""

    height: int = 480
    """Of the film [pixel]."""

    slow_motion: float = 1.0
    """How much slower than life the viewer and the film run."""

    world: WorldConfig = field(default_factory=WorldConfig)
    """Action mode, model, horizon, and cameras for policies that need none of their own."""

    replay_dump: Maybe[Path] = None
    """Play the last moments of a simulation that blew up, from the file the error named."""


def run(arguments: list[str]) -> int:
    """Run episodes and tell how they went; 0 when the last one succeeded or nothing was to succeed."""
    args = parse(SimArgs, arguments, "robot-stack sim")
    if args.replay_dump is not None:
        from robot_stack.cli.sim_dump import play_dump

        return play_dump(args.replay_dump, args.video, args.headless, (args.height, args.width), args.slow_motion)
    from robot_stack.cli.sim_show import showing
    from robot_stack.cli.worlds import world_maker
    from robot_stack.runtime.loop import run_episode

    task = _task(args)
    world = world_maker(task, _world_config(args))()
    try:
        driver, who = _driver(args, task, world)
        first = _first_seed(args)
        show = showing(world, args.video, args.headless, args.camera, (args.height, args.width), args.slow_motion, task)
        count, result = 0, None
        with show:
            while show.goes_on and (count < args.episodes or (show.is_live and args.episodes == 0)):
                subscribers: list[Subscriber] = [show]
                result = run_episode(
                    world.robot,
                    driver,
                    world.task,
                    seed=first + count,
                    clock=show.clock,
                    subscribers=subscribers,
                    steps_after_success=round(world.robot.embodiment.control_hz / 2),
                    driver_name=who,
                )
                _tell(task, who, first + count, result, world)
                count += 1
        show.tell()
    finally:
        world.close()
    return 0 if result is None or result.success or args.replay is not None else 1


def _task(args: SimArgs) -> str:
    from robot_stack.cli.worlds import task_named

    if args.robot is not None and "/" in args.robot:
        return task_named(args.robot, None, args.task)
    return task_named(None, args.robot, args.task)


def _world_config(args: SimArgs) -> WorldConfig:
    from dataclasses import replace

    if args.policy is None:
        return args.world
    from robot_stack.cli.subjects import cameras_of, image_size_of

    bundles = (args.policy,)
    cameras = tuple(dict.fromkeys((*args.world.cameras, *cameras_of(bundles))))
    return replace(args.world, cameras=cameras, image_size=image_size_of(bundles, args.world.image_size))


def _driver(args: SimArgs, task: str, world: World) -> tuple[Driver, str]:
    from robot_stack.core.errors import ConfigError

    if sum(given is not None for given in (args.policy, args.server, args.replay)) > 1:
        raise ConfigError("only one can drive", remedy="give one of --policy, --server and --replay")
    if args.server is not None:
        return _served(args, args.server, world)
    if args.policy is not None:
        from robot_stack.cli.subjects import load_driver
        from robot_stack.core.episode_driver import EpisodeDriver

        bundle, driver = load_driver(args.policy, world.robot.embodiment, source=args.source)
        return EpisodeDriver(driver), f"policy {bundle.name}"
    if args.replay is not None:
        return _recorded(args.replay, args.episode, world), f"episode {args.episode} of {args.replay}"
    from robot_stack.cli.worlds import expert_maker

    return expert_maker(task, args.noise)(world), "scripted operator"


def _served(args: SimArgs, url: str, world: World) -> tuple[Driver, str]:
    from robot_stack.runtime.policy_client import RemoteDriver, ServerAddress, Timeouts
    from robot_stack.runtime.token_file import USUAL, read_token

    address = ServerAddress(url, read_token(args.token_file or USUAL))
    driver = RemoteDriver(address, world.robot.embodiment, Timeouts(act_s=60.0))  # a simulated robot can wait
    return driver, f"policy {driver.remote.welcome.policy} at {url}"


def _recorded(root: Path, episode: int, world: World) -> Driver:
    from robot_stack.datasets.reader import Dataset
    from robot_stack.runtime.replay import ReplayDriver
    from robot_stack.training.dataset_embodiment import embodiment_of

    with Dataset(root) as dataset:
        embodiment_of(dataset).require_match(world.robot.embodiment, what="recording", use_cameras=())
        return ReplayDriver(dataset.episode(episode).column("action"))


def _first_seed(args: SimArgs) -> int:
    if args.seed is not None:
        return args.seed
    if args.replay is None:
        return 0
    from robot_stack.datasets.episode_notes import read_notes
    from robot_stack.datasets.reader import Dataset

    with Dataset(args.replay) as dataset:
        return read_notes(dataset.episodes)[args.episode].seed or 0


def _tell(task: str, who: str, seed: int, result: EpisodeResult, world: World) -> None:
    from rich.console import Console

    seconds = result.steps / world.robot.embodiment.control_hz
    how = "[green]success[/green]" if result.success else f"[yellow]no success[/yellow] ({result.ending})"
    console = Console(highlight=False)
    console.print(f"[bold]{task}[/bold] seed {seed}, {who}: {how} after {result.steps} steps ({seconds:.1f} s)")
    reached = [f"{name} {step}" for name, step in result.milestones.items() if step is not None]
    missed = [name for name, step in result.milestones.items() if step is None]
    if reached:
        console.print(f"  reached at step: {', '.join(reached)}" + (f"; not: {', '.join(missed)}" if missed else ""))
    if result.interventions:
        console.print(f"  at {result.interventions} steps something else was sent than asked for", style="yellow")
    if result.overruns:
        console.print(f"  {result.overruns} deadlines missed", style="yellow")
