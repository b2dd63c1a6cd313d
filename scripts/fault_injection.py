"""Injects faults between a policy and the motors, and writes what came of them into docs/safety.md.

    python scripts/fault_injection.py                                  simulated time, all robots (some minutes)
    python scripts/fault_injection.py --parts random --sequences 10000 random sequences
    python scripts/fault_injection.py --parts real                     real processes (a quiet machine is needed)
    python scripts/fault_injection.py --parts simulated random real --write docs/safety.md

Only what was run is written; the other tables of the file stay as they are. The exit code is 1 if anything was not as
expected.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from pathlib import Path

from robot_stack.core.atomic import atomic_path
from robot_stack.deploy.faults.bench import BENCH_ROBOTS
from robot_stack.deploy.faults.random_faults import RandomFaults
from robot_stack.deploy.faults.real_cases import real_table, run_real
from robot_stack.deploy.faults.table import run_all, to_markdown

MODES = ("joint_position", "joint_velocity", "joint_torque")


def random_text(count: int) -> tuple[str, bool]:
    """Sequences spread over the Panda's joint modes; what came of them."""
    lines, good = ["| robot, mode | sequences | commands looked at | out of limits |", "|---|---|---|---|"], True
    for mode in MODES:
        sequences, share = RandomFaults("panda", "panda/drawer", mode), -(-count // len(MODES))
        commands, bad = 0, []
        for seed in range(share):
            result = sequences.run(seed)
            commands += result.commands
            if result.violations:
                bad.append((seed, result.violations[0]))
        lines.append(f"| panda, {mode} | {share} | {commands} | {len(bad) or 'none'} |")
        for seed, violation in bad[:5]:
            print(f"{mode}, seed {seed}: {violation}")
        good &= not bad
    return "\n".join(lines) + "\n", good


def write(path: Path, name: str, text: str) -> None:
    """Put a table between its marks.

    Raises:
        SystemExit: if the file has no such marks.
    """
    begin, end = f"<!-- {name}: written by scripts/fault_injection.py -->", f"<!-- end of {name} -->"
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(old):
        raise SystemExit(f"{path} has no marks for {name}: {begin} ... {end}")
    with atomic_path(path) as temporary:
        temporary.write_text(pattern.sub(lambda _: f"{begin}\n\n{text}\n{end}", old), encoding="utf-8")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", nargs="*", default=list(BENCH_ROBOTS), choices=list(BENCH_ROBOTS))
    parser.add_argument("--parts", nargs="+", default=["simulated"], choices=["simulated", "random", "real"])
    parser.add_argument("--sequences", type=int, default=10_000, help="random sequences in all")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this file")
    chosen = parser.parse_args()
    machine = f"{platform.machine()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    tables: dict[str, str] = {}
    good = True
    if "simulated" in chosen.parts:
        done = run_all(chosen.robots, progress=lambda what: print(what, file=sys.stderr))
        good &= not any(result.problems for _, results in done for result in results)
        tables["simulated"] = f"Robots: {', '.join(chosen.robots)}. {machine}.\n\n{to_markdown(done)}"
    if "random" in chosen.parts:
        text, fine = random_text(chosen.sequences)
        good &= fine
        tables["random"] = text
    if "real" in chosen.parts:
        results = run_real(progress=lambda what: print(what, file=sys.stderr))
        good &= not any(result.problems for result in results)
        tables["real"] = f"{machine}.\n\n{real_table(results)}"
    for name, text in tables.items():
        print(f"\n{text}")
        if chosen.write:
            write(chosen.write, name, text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
