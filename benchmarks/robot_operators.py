"""How often the scripted operators do their tasks: success with Wilson intervals, and how long they take.

    python benchmarks/robot_operators.py --seeds 100
    python benchmarks/robot_operators.py --tasks panda/peg aloha/hand-over --noise-std 0.003

Seeds are those of collection (``episode_seed("collect", i)``). Success: at any step within the task's horizon.
"milestones met" counts episodes; "failed" lists the indices of the seeds; "corrected" is the share of steps at which
the robot sent something else than the operator asked for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from robot_stack.core.seeding import episode_seed
from robot_stack.evaluation.intervals import wilson
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.robot_catalog import TASKS, RobotWorldConfig, make_operator, make_robot_world

COLUMNS = ("task", "success (95% Wilson)", "mean time", "longest", "corrected", "milestones met", "failed")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def measure(task: str, seeds: int, first: int, noise_std: float, mode: str = "") -> str:
    """One line of the table."""
    world = make_robot_world(RobotWorldConfig(task=task, mode=mode))
    operator = make_operator(world, noise_std)
    hz = world.robot.embodiment.control_hz
    times: list[float] = []
    failed: list[int] = []
    steps = corrected = 0
    met: dict[str, int] = dict.fromkeys(world.task.milestones, 0)
    for i in range(first, first + seeds):
        result = run_episode(world.robot, operator, world.task, seed=episode_seed("collect", i))
        steps, corrected = steps + result.steps, corrected + result.interventions
        for name, step in result.milestones.items():
            met[name] += step is not None
        if result.success_step is None:
            failed.append(i)
        else:
            times.append((result.success_step + 1) / hz)
    world.close()
    done = ", ".join(f"{name} {count}" for name, count in met.items())
    mean = float(np.mean(times)) if times else float("nan")
    cells = (
        task,
        str(wilson(len(times), seeds)),
        f"{mean:.1f} s",
        f"{max(times, default=float('nan')):.1f} s",
        f"{corrected / max(1, steps):.1%}",
        done,
        " ".join(map(str, failed)) or "none",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=[name for name, entry in TASKS.items() if entry.operator])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--noise-std", type=float, default=0.0, help="what it means stands with each operator")
    parser.add_argument("--mode", default="", help="another action mode than the task's usual one, e.g. hand_pose")
    parser.add_argument("--out", type=Path, help="also write the table here, in Markdown")
    args = parser.parse_args()
    lines = [HEAD]
    print(HEAD, flush=True)
    for task in args.tasks:
        lines.append(measure(task, args.seeds, args.first, args.noise_std, args.mode))
        print(lines[-1], flush=True)
    if args.out is not None:
        command = " ".join(a for a in sys.argv[1:] if a not in ("--out", str(args.out)))
        title = f"# Scripted operators\n\nMeasured with `python benchmarks/robot_operators.py {command}`.\n\n"
        args.out.write_text(title + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
