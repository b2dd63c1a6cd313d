"""``robot-stack robots``: which robots there are, and what one of them is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import Maybe, parse

if TYPE_CHECKING:
    from robot_stack.sim.robots.model import RobotModel


@dataclass(frozen=True)
class RobotsArgs:
    """List robots; with the name of one, show its joints, limits, gains, cameras and tasks."""

    robot: Annotated[Maybe[str], tyro.conf.Positional] = None
    """A robot to show, e.g. panda; all are listed when left out."""

    mjcf: str = ""
    """Show another model of it: an MJCF with the same joints."""


def run(arguments: list[str]) -> int:
    """List robots, or show one."""
    args = parse(RobotsArgs, arguments, "robot-stack robots")
    if args.robot is None:
        _list()
    else:
        from robot_stack.sim.robot_catalog import robot_name, robot_spec
        from robot_stack.sim.robots.model import compile_robot

        spec = robot_spec(args.robot)
        _show(robot_name(args.robot), compile_robot(spec.with_mjcf(args.mjcf) if args.mjcf else spec))
    return 0


def _list() -> None:
    from rich.console import Console

    from robot_stack.sim.robot_catalog import ROBOTS, robot_spec, tasks_of

    console = Console(highlight=False)
    for name in ROBOTS:
        spec = robot_spec(name)
        grippers = f" and {len(spec.grippers)} gripper{'s' * (len(spec.grippers) > 1)}" if spec.grippers else ""
        console.print(f"[bold]{name}[/bold]  {spec.title}: {len(spec.joints)} joints{grippers}, {spec.control_hz:g} Hz")
        console.print(f"  cameras  {', '.join(spec.cameras)}")
        console.print(f"  tasks    {', '.join(task.partition('/')[2] for task in tasks_of(name)) or '(none)'}")
    console.print("\nrobot-stack robots NAME shows joints and limits; robot-stack sim NAME --task TASK runs it.")


def _show(name: str, robot: RobotModel) -> None:
    from rich.console import Console
    from rich.table import Table

    from robot_stack.sim.robot_catalog import modes_of, robot_task, tasks_of

    spec, console = robot.spec, Console(highlight=False)
    mass = float(robot.model.body_subtreemass[robot.root])
    console.print(f"[bold]{name}[/bold]: {spec.title}, {mass:.2f} kg, {spec.base} base")
    console.print(f"{spec.control_hz:g} Hz control, {1 / spec.physics_timestep_s:g} Hz physics")
    console.print(f"model {spec.path}", style="dim", soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for column in ("joint", "lower", "upper", "effort", "speed", "kp", "kd", "home"):
        table.add_column(column, justify="left" if column == "joint" else "right", no_wrap=True)
    for joint, low, high in zip(spec.driven, robot.low, robot.high, strict=True):
        numbers = (low, high, joint.effort, joint.velocity, joint.stiffness, joint.damping, joint.home)
        table.add_row(joint.name, *(f"{number:.5g}" for number in numbers))
    console.print(table)
    console.print("rad, N·m, rad/s for joints that turn; m, N, m/s for those that slide", style="dim")
    for title, values in (
        ("grippers", [gripper.name for gripper in spec.grippers]),
        ("end effectors", [hand.name for hand in spec.end_effectors]),
        ("feet", list(spec.feet)),
        ("cameras", list(spec.cameras)),
        ("action modes", list(modes_of(name))),
    ):
        if values:
            console.print(f"{title}: {', '.join(values)}")
    for task in tasks_of(name):
        console.print(f"task {task.partition('/')[2]}: {robot_task(task).instruction}")
    for doubt in spec.doubts:
        console.print(f"doubtful: {doubt}", style="yellow")
