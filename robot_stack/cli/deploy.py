"""``robot-stack deploy``: a policy on a robot, real or simulated, through ROS 2; also collects, replays, evaluates."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from robot_stack.deploy.process_plan import DeployPlan

FORMS = {
    "collect": "record episodes that a policy or a teleoperator drives",
    "replay": "play a recorded episode",
    "evaluate": "count how often a policy succeeds",
}
"""Forms besides the usual one, which runs a policy."""


def run(arguments: list[str]) -> int:
    """Check everything, ask, and run until it ends."""
    from robot_stack.cli.parsing import parse
    from robot_stack.deploy.arguments import KINDS

    form = arguments[0] if arguments and arguments[0] in FORMS else "deploy"
    words = arguments[1:] if arguments and arguments[0] in (*FORMS, "deploy") else arguments
    kind = KINDS[form]
    command = "robot-stack deploy" + ("" if form == "deploy" else f" {form}")
    parsed: Any = parse(_with_options(kind, form), words, command)
    from robot_stack.deploy.check import require_ready
    from robot_stack.deploy.plan import PLANS

    told: Any = kind(**{f.name: getattr(parsed, f.name) for f in dataclasses.fields(kind)})
    plan = PLANS[form](told)
    if parsed.show_plan:
        print(_shown(plan))
        return 0
    require_ready(plan, told)
    return _run(plan, parsed.log_folder, asks=plan.moves_hardware and not told.dry_run)


def _with_options(kind: type[Any], form: str) -> type[Any]:
    """The arguments of a form, and what only the command line has."""
    import tyro

    extra: list[tuple[str, Any, Any]] = [
        ("show_plan", Annotated[bool, tyro.conf.arg(help="Print processes and parameters, and start nothing.")], False),
        (
            "log_folder",
            Annotated[str, tyro.conf.arg(help="For the output of every process; a new one if left out.")],
            "",
        ),
    ]
    fields = [(name, hint, dataclasses.field(default=default)) for name, hint, default in extra]
    made = dataclasses.make_dataclass(kind.__name__, fields, bases=(kind,), frozen=True)
    made.__doc__ = (kind.__doc__ or "") + (_FORMS_HELP if form == "deploy" else "")
    made.__module__ = kind.__module__
    return made


_FORMS_HELP = (
    "\n\nOther forms: " + "; ".join(f"robot-stack deploy {name}: {what}" for name, what in FORMS.items()) + "."
)


def _shown(plan: DeployPlan) -> str:
    """The plan for people: processes in order, each with what is not usual."""
    lines = [plan.title]
    for process in plan.processes:
        ends = "ends everything" if process.on_exit == "stop_all" else "the others go on"
        lines.append(f"\n{process.full_name}  (python -m {process.module}; when it ends: {ends})")
        width = max((len(name) for name, _ in process.parameters), default=0)
        lines += [f"  {name:<{width}}  {value!r}" for name, value in process.parameters]
    return "\n".join(lines)


def _run(plan: DeployPlan, log_folder: str, *, asks: bool) -> int:
    import time

    from rich.console import Console

    from robot_stack.deploy.runner import Runner

    console = Console(highlight=False, soft_wrap=True)
    folder = Path(log_folder or Path("deploy_logs") / time.strftime("%Y-%m-%d_%H-%M-%S")).resolve()
    console.print(plan.title, style="bold", markup=False)
    console.print(f"processes  {', '.join(p.node for p in plan.processes)}", markup=False)
    console.print(f"logs       {folder}", markup=False)
    if asks and not _agreed(console):
        console.print("nothing was started")
        return 1
    return Runner(plan, folder, lambda line: console.print(line, markup=False)).run()


def _agreed(console: Any) -> bool:
    """Whether a person at the terminal says yes."""
    if not sys.stdin.isatty():
        from robot_stack.core.errors import ConfigError

        raise ConfigError(
            "a real robot is deployed by a person at a terminal",
            got="standard input is no terminal",
            remedy="run it in a terminal, or ros2 launch, with ros2 run robot_stack operator in a terminal",
        )
    console.print(
        "A REAL ROBOT will be connected. Have its emergency stop in your hand, and nobody within its reach.",
        style="bold",
    )
    return console.input("go on? [y/N] ").strip().lower() in ("y", "yes")
