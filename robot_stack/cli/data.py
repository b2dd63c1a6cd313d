"""``robot-stack data …``: look at datasets, check them, cut them to size, bring them in and back in order."""

from __future__ import annotations

import sys

from robot_stack.cli.commands import run_command

ACTIONS: dict[str, tuple[str, str]] = {
    "info": ("robot_stack.cli.data_info", "how much, of what, by whom, and how well"),
    "validate": ("robot_stack.cli.data_validate", "check every file and row; exit code 1 when something is wrong"),
    "view": ("robot_stack.cli.data_view", "write a page to look at a dataset with"),
    "merge": ("robot_stack.cli.data_merge", "make one dataset out of several"),
    "split": ("robot_stack.cli.data_split", "copy some episodes, or deal them into shares"),
    "import": ("robot_stack.cli.data_import", "convert robomimic HDF5 files"),
    "repair": ("robot_stack.cli.data_repair", "bring back what an interrupted recording left"),
    "compact": ("robot_stack.cli.data_compact", "join small files into larger ones"),
}
"""Each command with its module, which has ``run(arguments) -> exit code``, and what it does in a few words."""


def run(arguments: list[str]) -> int:
    """Run one command on datasets; returns the exit code.

    Raises:
        UnknownNameError: if there is no such command.
    """
    return run_command("data", ACTIONS, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
