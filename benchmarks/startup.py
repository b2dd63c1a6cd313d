"""CPU seconds of ``robot-stack --help`` and of every verb's help, beside the bare interpreter.

    python benchmarks/startup.py [--runs 5]

Prints the median of user + system time of each command as a whole process. The bar is 0.3 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from robot_stack.cli.main import VERBS

BAR_S = 0.3


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run of ``command``."""
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    program = str(Path(sys.executable).with_name("robot-stack"))
    commands = [[sys.executable, "-c", "pass"], [program, "--help"], *([program, verb, "--help"] for verb in VERBS)]
    worst = 0.0
    for command in commands:
        cpu_seconds(command)
        median = statistics.median(cpu_seconds(command) for _ in range(runs))
        worst = max(worst, median)
        print(f"{median:6.3f} s  {' '.join([Path(command[0]).name, *command[1:]])}")
    print(f"slowest {worst:.3f} s, bar {BAR_S} s: {'met' if worst < BAR_S else 'MISSED'}")
    return 0 if worst < BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
