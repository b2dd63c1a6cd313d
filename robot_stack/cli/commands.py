"""Verbs with commands of their own, ``robot-stack VERB COMMAND``: finds the command and runs it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

USAGE_ERROR = 2

Commands = Mapping[str, tuple[str, str]]
"""Each command with its module, which has ``run(arguments) -> exit code``, and what it does in a few words."""


def run_command(verb: str, commands: Commands, arguments: list[str]) -> int:
    """Run one command of a verb; returns the exit code.

    Args:
        verb: whose commands.
        commands: all of them.
        arguments: what follows the verb.

    Raises:
        UnknownNameError: if there is no such command.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview(verb, commands))
        return 0 if arguments else USAGE_ERROR
    from robot_stack.core.errors import require_name

    name = require_name(f"{verb} command", arguments[0], commands)
    return int(importlib.import_module(commands[name][0]).run(arguments[1:]) or 0)


def _overview(verb: str, commands: Commands) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in commands.items()]
    closing = f"robot-stack {verb} COMMAND --help tells the options of a command."
    return "\n".join([f"usage: robot-stack {verb} COMMAND [options]", "", *lines, "", closing])
