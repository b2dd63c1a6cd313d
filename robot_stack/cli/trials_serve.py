"""``robot-stack trials serve``: the evaluators' page."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_stack.cli.parsing import Many, Maybe, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from robot_stack.console.trials.world_stage import WorldStage
    from robot_stack.core.driver import Driver
    from robot_stack.core.world import World, WorldMaker
    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.evaluation.trials.plan import TrialPlan

    StationDrivers: TypeAlias = Callable[[int, World], list[Driver]]


@dataclass(frozen=True)
class ServeArgs:
    """Open the evaluators' page of a store: people run trials and judge them, none knows which policy runs.

    Every policy is loaded and measured before the page opens. Stop with Ctrl-C; served again, it goes on.
    """

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""

    stations: Many[str] = ("bench",)
    """Names of the stations; each has a robot of its own."""

    robot: str = ""
    """MODULE:FUNCTION that makes a World, for a robot of your own; the plan's simulated task when left out."""

    camera: str = ""
    """What evaluators see; the task's usual view when left out."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets phones in the same network in, who still need the token."""

    port: int = 8300
    """Port to listen at; 0 for any that is free."""

    token: Maybe[str] = None
    """For those who may judge; a new one when left out."""

    films: bool = False
    """Film trials, for a second judge."""

    device: str = "auto"
    """Where policies run: auto, cpu, cuda."""

    policy_server: bool = True
    """Run every policy in a server process of its own (--no-policy-server: all of them in this process)."""


def run(arguments: list[str]) -> int:
    """Serve until interrupted."""
    args = parse(ServeArgs, arguments, "robot-stack trials serve")
    _require_console()
    from robot_stack.cli.eval import device_of, usual_camera
    from robot_stack.cli.trial_policies import policy_hash
    from robot_stack.console.access import new_token
    from robot_stack.console.serving import open_socket, serve
    from robot_stack.console.trials.app import make_app
    from robot_stack.console.trials.room import TrialRoom
    from robot_stack.evaluation.trials.store import TrialStore
    from robot_stack.evaluation.trials.verify import check_policies

    token = args.token or new_token()
    with TrialStore(args.store) as store:
        plan = store.plan
        check_policies(plan, lambda policy: policy_hash(policy.policy, plan.task))
        listener = open_socket(args.host, args.port)
        device, camera = device_of(args.device), args.camera or usual_camera(plan.task)
        with _drivers(args, plan, device) as drivers:
            room = TrialRoom(store, dict(_stages(args, plan, drivers, camera)), films=args.films)
            address, port = listener.getsockname()[:2]
            try:
                serve(make_app(room, token), listener, started=lambda: _announce(address, port, token))
            finally:
                room.close()
    return 0


def _require_console() -> None:
    import importlib.util

    from robot_stack.core.errors import MissingExtraError

    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("the evaluators' page", extra="console", package=package)


def _world_maker(args: ServeArgs, plan: TrialPlan) -> WorldMaker:
    from robot_stack.cli.trial_policies import world_of
    from robot_stack.cli.worlds import world_maker

    if not args.robot:
        return world_maker(plan.task, world_of(plan))
    return _named_maker(args.robot)


def _named_maker(name: str) -> WorldMaker:
    import importlib

    from robot_stack.core.errors import ConfigError

    module, _, function = name.partition(":")
    try:
        maker: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            "this names no maker of a world", got=name, expected="MODULE:FUNCTION, e.g. my_lab.robots:make_left_arm"
        ) from error
    return maker


@contextlib.contextmanager
def _drivers(args: ServeArgs, plan: TrialPlan, device: str) -> Iterator[StationDrivers]:
    """What makes the drivers of a station, given its number and world; policies are loaded when this returns."""
    if args.policy_server:
        from robot_stack.cli.policy_servers import drivers_of, policy_processes

        with policy_processes(plan, device) as processes:
            yield lambda number, world: drivers_of(processes, world)
    else:
        from robot_stack.cli.trial_policies import subjects_of

        subjects = subjects_of(plan, device)
        yield lambda number, world: _drivers_here(subjects, number, world)


def _stages(args: ServeArgs, plan: TrialPlan, drivers: StationDrivers, camera: str) -> dict[str, WorldStage]:
    from robot_stack.console.trials.world_stage import Budget, PacedClock, WorldStage
    from robot_stack.core.clock import MonotonicClock
    from robot_stack.core.errors import ConfigError

    stations, world = args.stations, _world_maker(args, plan)
    clock = MonotonicClock if args.robot else PacedClock
    if len(set(stations)) != len(stations) or not stations:
        raise ConfigError("each station needs a name of its own", got=" ".join(stations))
    budget = Budget()
    made: dict[str, WorldStage] = {}
    for number, station in enumerate(stations):
        make = functools.partial(drivers, number)
        made[station] = WorldStage(world, make, camera=camera, budget=budget, horizon=plan.horizon, clock=clock)
    for stage in made.values():
        stage.wait_until_ready()
    return made


def _drivers_here(subjects: Sequence[Subject], slot: int, world: World) -> list[Driver]:
    from robot_stack.core.episode_driver import EpisodeDriver

    drivers: list[Driver] = []
    for subject in subjects:
        if subject.driver_maker is not None:
            drivers.append(subject.driver_maker(world))
        elif subject.driver is not None:
            drivers.append(EpisodeDriver(subject.driver, slot))
    return drivers


def _announce(address: str, port: int, token: str) -> None:
    from rich.console import Console

    from robot_stack.console.serving import LOOPBACK, own_address

    console = Console(highlight=False, soft_wrap=True)
    shown = address if address not in ("0.0.0.0", "::") else own_address()
    console.print(f"open  http://{shown}:{port}/?token={token}")
    if address in LOOPBACK:
        console.print("only this machine reaches it; phones need --host 0.0.0.0 and a network you trust")
    else:
        console.print("the network is not encrypted: use one you trust")
