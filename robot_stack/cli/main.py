"""``robot-stack VERB``: finds the verb, runs it, and turns errors into one readable message.

Nothing heavy is imported here: each verb is a module of its own that imports what it needs when it runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("robot_stack.cli.demo", "demonstrations, dataset, policy, evaluation and report in one go"),
    "doctor": ("robot_stack.cli.doctor", "what works on this machine, what does not, and the way out"),
    "tasks": ("robot_stack.cli.tasks", "list environments and tasks"),
    "robots": ("robot_stack.cli.robots", "list robots; show joints, limits, cameras and tasks of one"),
    "sim": ("robot_stack.cli.sim", "run a robot in simulation: a script, a policy or a recording, seen live or filmed"),
    "collect": ("robot_stack.cli.collect", "record demonstrations of a task into a dataset"),
    "data": ("robot_stack.cli.data", "info, validate, view, merge, split, import, repair datasets"),
    "retarget": (
        "robot_stack.cli.retarget",
        "motions of people become motions of a robot, with their objects and terrain",
    ),
    "train": ("robot_stack.cli.train", "train a policy on datasets"),
    "policy": ("robot_stack.cli.policy", "show what is in a policy bundle"),
    "serve": ("robot_stack.cli.serve", "serve a policy to robots in other processes or on other machines"),
    "eval": ("robot_stack.cli.eval", "evaluate policies on held-out seeds"),
    "deploy": (
        "robot_stack.cli.deploy",
        "run a policy on a robot through ROS 2, real or simulated; record, replay, evaluate",
    ),
    "trials": ("robot_stack.cli.trials", "plan, run and report blind comparisons of policies"),
}
"""Each verb with its module, which has ``run(arguments) -> exit code``, and what it does in a few words."""

USAGE_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code.

    Args:
        arguments: what follows ``robot-stack``; the process's own when left out.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else USAGE_ERROR
    if words[0] in ("-V", "--version", "version"):
        from robot_stack import __version__

        print(f"robot-stack {__version__}")
        return 0
    if words[0] not in VERBS:
        from robot_stack.core.errors import UnknownNameError

        return _complain(UnknownNameError("verb", words[0], VERBS))
    return _run(VERBS[words[0]][0], words[1:])


def _run(module: str, arguments: list[str]) -> int:
    from robot_stack.core.errors import RobotStackError

    try:
        return int(importlib.import_module(module).run(arguments) or 0)
    except RobotStackError as error:
        return _complain(error)
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept, and the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _complain(error: Exception) -> int:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    first, _, rest = str(error).partition("\n")
    console.print(Text.assemble(("error: ", "bold red"), (first, "bold"), f"\n{rest}" if rest else ""))
    return USAGE_ERROR


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {what}" for verb, (_, what) in VERBS.items()]
    return "\n".join(
        [
            "usage: robot-stack VERB [options]",
            "",
            "A robot learning stack: demonstrations, datasets, policies, evaluation and deployment.",
            "",
            *lines,
            "",
            "robot-stack VERB --help tells the options of a verb; start with: robot-stack doctor, robot-stack demo",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
