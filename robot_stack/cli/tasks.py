"""``robot-stack tasks``: environments and tasks, and what one of them looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import Maybe, parse
from robot_stack.cli.worlds import WorldConfig, full_name, world_maker

if TYPE_CHECKING:
    from robot_stack.core.world import World
    from robot_stack.sim.catalog import Family


@dataclass(frozen=True)
class TasksArgs:
    """List environments and tasks; with the name of a task, show its robot, instruction, milestones and cameras."""

    task: Annotated[Maybe[str], tyro.conf.Positional] = None
    """A task to show, e.g. metaworld/pick-place; all are listed when left out."""

    family: Maybe[str] = None
    """List this family only: metaworld, dmc, gym."""


def run(arguments: list[str]) -> int:
    """List tasks, or show one."""
    args = parse(TasksArgs, arguments, "robot-stack tasks")
    if args.task is not None:
        world = world_maker(args.task, WorldConfig())()
        try:
            _show(full_name(args.task), world)
        finally:
            world.close()
        return 0
    from robot_stack.core.errors import require_name
    from robot_stack.sim import catalog

    if args.family is not None:
        require_name("environment family", args.family, catalog.FAMILIES)
    for family in catalog.FAMILIES:
        if args.family in (None, family):
            _list(family)
    return 0


def _list(family: Family) -> None:
    from rich.columns import Columns
    from rich.console import Console

    from robot_stack.sim import catalog

    console = Console(highlight=False)
    names = catalog.names(family)
    console.print(f"[bold]{family}[/bold], {len(names)} tasks")
    console.print(Columns(list(names), padding=(0, 2), equal=True))
    console.print()


def _show(name: str, world: World) -> None:
    from rich.console import Console
    from rich.table import Table

    robot, task = world.robot.embodiment, world.task
    console = Console(highlight=False)
    console.print(f"[bold]{name}[/bold]: {task.instruction}")
    console.print(f"robot {robot.name}, {robot.control_hz:g} Hz, episodes of at most {task.horizon} steps")
    if task.milestones:
        console.print(f"milestones: {', '.join(task.milestones)}")
    for title, fields in (("state", robot.state), ("action", robot.action)):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2))
        for column in ("field", "size", "unit", "limits"):
            table.add_column(column)
        for field in fields:
            limits = f"{min(field.low):g} … {max(field.high):g}" if field.low and field.high else ""
            table.add_row(field.name, str(field.size), field.unit, limits)
        console.print(table)
    cameras = getattr(world.robot, "available_cameras", ())
    if cameras:
        console.print(f"cameras: {', '.join(cameras)}")
