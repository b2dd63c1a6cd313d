"""``robot-stack trials …``: plan, run, watch and report blind comparisons of policies."""

from __future__ import annotations

import sys

from robot_stack.cli.commands import run_command

ACTIONS: dict[str, tuple[str, str]] = {
    "plan": ("robot_stack.cli.trials_plan", "freeze a plan, draw the order, commit to the sealed key"),
    "power": ("robot_stack.cli.trials_power", "how many trials are needed for which difference"),
    "run": ("robot_stack.cli.trials_run", "run a plan in simulation by itself"),
    "serve": ("robot_stack.cli.trials_serve", "open the evaluators' page"),
    "status": ("robot_stack.cli.trials_status", "how far it is, without breaking the blinding"),
    "unblind": ("robot_stack.cli.trials_unblind", "open the key when the trials are over"),
    "report": ("robot_stack.cli.trials_report", "write the report, as a page and as JSON"),
    "verify": ("robot_stack.cli.trials_verify", "check log, plan, key and policies against what was published"),
}
"""Each command with its module, which has ``run(arguments) -> exit code``, and what it does in a few words."""


def run(arguments: list[str]) -> int:
    """Run one command on trials; returns the exit code.

    Raises:
        UnknownNameError: if there is no such command.
    """
    return run_command("trials", ACTIONS, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
