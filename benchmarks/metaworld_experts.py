"""How often the scripted experts solve each Meta-World task: a table for the documentation.

    python benchmarks/metaworld_experts.py --seeds 20 --processes 2 --out experts.md
    python benchmarks/metaworld_experts.py --tasks pick-place push --noise-std 0.1
    python benchmarks/metaworld_experts.py --scripts metaworld          # metaworld's own policies everywhere

Seeds are held-out ones (``episode_seed("held_out", i)``), horizon 500, success: Meta-World's own at any step.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from robot_stack.core.seeding import episode_seed
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.experts import ExpertConfig, MetaWorldExpert
from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld
from robot_stack.sim.metaworld_tasks import TASKS

HEADER = """# Scripted experts of Meta-World

Measured with `python benchmarks/metaworld_experts.py {}`: held-out seeds, success at any step.
"milestones met" counts episodes; "failed" lists the indices of the seeds.

"""


@dataclass(frozen=True)
class Row:
    """What was measured for one task."""

    task: str
    successes: int
    episodes: int
    mean_steps: float
    longest: int
    failed: tuple[int, ...]
    milestones: str


def measure(task: str, seeds: int, first: int, horizon: int, config: ExpertConfig, own: bool) -> Row:
    world = make_metaworld(MetaWorldConfig(task=task, horizon=horizon))
    expert = MetaWorldExpert(task, config, own_scripts=own)
    steps: list[int] = []
    failed: list[int] = []
    met: dict[str, int] = dict.fromkeys(world.task.milestones, 0)
    for i in range(first, first + seeds):
        result = run_episode(world.robot, expert, world.task, seed=episode_seed("held_out", i))
        for name, step in result.milestones.items():
            met[name] += step is not None
        if result.success_step is None:
            failed.append(i)
        else:
            steps.append(result.success_step + 1)
    world.close()
    summary = " ".join(f"{name} {count}" for name, count in met.items())
    mean = float(np.mean(steps)) if steps else float("nan")
    return Row(task, len(steps), seeds, mean, max(steps, default=0), tuple(failed), summary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--horizon", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--noise-std", type=float, default=0.0)
    parser.add_argument("--uniform-share", type=float, default=0.0)
    parser.add_argument("--scripts", choices=("best", "metaworld"), default="best")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    config = ExpertConfig(noise_std=args.noise_std, uniform_share=args.uniform_share)
    job = partial(
        measure,
        seeds=args.seeds,
        first=args.first,
        horizon=args.horizon,
        config=config,
        own=args.scripts == "best",
    )
    lines = ["| task | success | mean steps | longest | milestones met | failed |", "|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    rows: list[Row] = []
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for row in pool.imap(job, args.tasks):
            rows.append(row)
            lines.append(
                f"| {row.task} | {row.successes}/{row.episodes} | {row.mean_steps:.0f} | {row.longest} "
                f"| {row.milestones} | {' '.join(map(str, row.failed))} |"
            )
            print(lines[-1], flush=True)
    total, episodes = sum(r.successes for r in rows), sum(r.episodes for r in rows)
    weak = [r.task for r in rows if r.successes < 0.8 * r.episodes]
    lines.append(f"\n{total}/{episodes} in all ({100 * total / episodes:.1f}%); below 80%: {', '.join(weak) or 'none'}")
    print(lines[-1])
    if args.out:
        args.out.write_text(HEADER.format(" ".join(sys.argv[1:])) + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
