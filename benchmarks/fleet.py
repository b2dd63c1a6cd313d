"""Episodes with a policy: a fleet with batched inference beside a plain loop, on the same seeds.

    python benchmarks/fleet.py                      # Meta-World pick-place, a small U-Net with 10 Euler steps
    python benchmarks/fleet.py --episodes 32 --horizon 200 --processes 2 --slots 8 --threads 1 --out fleet.json

Rows:

    a decision every step        what a script does that asks its policy at every control step (receding horizon of 1)
    a decision every chunk       one episode after the other, 8 actions a decision
    fleet, this process          episodes side by side in one process: batched inference
    fleet, N processes           simulation in N child processes, batched inference here

The policy's weights are random (success is not the point; its cost is that of a trained one), every episode runs to
the horizon, and every row simulates the same starts. Fleets are warm: processes and worlds were made before (that took
``start_s``). CPU seconds include the children's. Wall figures of a busy machine mean little: compare CPU seconds there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from robot_stack.core.action import ActionChunk
from robot_stack.core.atomic import write_json
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import episode_seed, generator
from robot_stack.evaluation.stopwatch import Stopwatch
from robot_stack.models.sampling.flow import EulerConfig, euler_sampler
from robot_stack.models.sampling.sampler import prepare
from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig
from robot_stack.runtime.fleet import Fleet, FleetConfig
from robot_stack.runtime.loop import EpisodeSpec, run_episode
from robot_stack.runtime.slots import EpisodeJob
from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld

HORIZON, EXECUTED, HISTORY = 16, 8, 2


class UnetDriver:
    """A flow-matching policy with random weights, for many slots or for one."""

    history = HISTORY

    def __init__(self, width: int, executed: int) -> None:
        torch.manual_seed(0)
        config = Unet1dConfig(down_dims=(width, 2 * width, 4 * width))
        network = ConditionalUnet1d(4, HISTORY * 39, config).eval()
        self.sampler = prepare(euler_sampler(EulerConfig(10), 100.0), network)
        self.executed = executed
        self.rngs: dict[int, np.random.Generator] = {}

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """See the driver contract."""
        self.rngs[slot] = generator(seed, 9)

    @torch.inference_mode()
    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """See the driver contract."""
        noise = np.stack([self.rngs[s].standard_normal((HORIZON, 4), dtype=np.float32) for s in slots])
        cond = np.stack([np.concatenate([o.state for o in h]) for h in histories]).astype(np.float32)
        actions = self.sampler(torch.from_numpy(noise), torch.from_numpy(cond)).numpy().astype(np.float64)
        return [ActionChunk(a[: self.executed]) for a in actions]


class OneSlot:
    """The same policy as a driver of one robot."""

    history = HISTORY

    def __init__(self, driver: Stopwatch) -> None:
        self.driver = driver

    def reset(self, instruction: str, seed: int) -> None:
        """See the driver contract."""
        self.driver.reset(0, instruction, seed)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """See the driver contract."""
        return self.driver.act([0], [history])[0]


def plain_loop(world_maker, driver: Stopwatch, seeds: list[int], horizon: int) -> int:
    world = world_maker()
    run = partial(run_episode, world.robot, OneSlot(driver), world.task, horizon=horizon, stop_on_success=False)
    steps = sum(run(seed=seed).steps for seed in seeds)
    world.close()
    return steps


def fleet_run(fleet: Fleet, world_maker, driver: Stopwatch, seeds: list[int], horizon: int) -> int:
    spec = partial(EpisodeSpec, horizon=horizon, stop_on_success=False)
    steps = 0
    for outcome in fleet.run([EpisodeJob(i, spec(seed), world_maker) for i, seed in enumerate(seeds)], driver):
        assert outcome.result is not None, outcome.failure
        steps += outcome.result.steps
    return steps


def cpu_s() -> float:
    """Of this process and its children that live [s]."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(name: str, run: Callable[[Stopwatch], int], driver: UnetDriver, episodes: int) -> dict:
    watch = Stopwatch(driver)
    wall, cpu = time.perf_counter(), cpu_s()
    steps = run(watch)
    wall, cpu = time.perf_counter() - wall, cpu_s() - cpu
    return {
        "name": name,
        "episodes": episodes,
        "env_steps": steps,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "episodes_per_s": round(episodes / wall, 3),
        "env_steps_per_s": round(steps / wall, 1),
        "env_steps_per_cpu_s": round(steps / cpu, 1),
        "calls": len(watch.calls_s),
        "batch_mean": round(watch.decisions / len(watch.calls_s), 2),
        "inference_s": round(sum(watch.calls_s), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="pick-place")
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--horizon", type=int, default=150)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--slots", type=int, default=8, help="episodes side by side")
    parser.add_argument("--groups", type=int, default=1, help="of slots, see FleetConfig")
    parser.add_argument("--width", type=int, default=64, help="of the U-Net's first level")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in this process")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    world = partial(make_metaworld, MetaWorldConfig(task=args.task))
    seeds = [episode_seed("held_out", i) for i in range(args.episodes)]
    every_step, every_chunk = UnetDriver(args.width, 1), UnetDriver(args.width, EXECUTED)
    plain_loop(world, Stopwatch(every_chunk), seeds[:1], 8)  # imports and first calls belong to nobody
    rows: list[tuple[str, UnetDriver, Callable[[Stopwatch], int]]] = [
        ("a decision every step", every_step, lambda w: plain_loop(world, w, seeds, args.horizon)),
        ("a decision every chunk", every_chunk, lambda w: plain_loop(world, w, seeds, args.horizon)),
    ]
    table = [measure(name, run, driver, args.episodes) for name, driver, run in rows]
    for count in (0, *args.processes):
        config = FleetConfig(count, args.slots, args.groups)
        name = f"fleet, {count or 'this'} process{'es' * (count > 1)}, {args.slots} slots"
        with Fleet(config) as fleet:
            warm_up = Stopwatch(every_chunk)
            before = time.perf_counter()
            fleet_run(fleet, world, warm_up, [episode_seed("validation", i) for i in range(args.slots)], 1)
            start_s = time.perf_counter() - before
            run = partial(_fleet_row, fleet, world, seeds, args.horizon)
            table.append({**measure(name, run, every_chunk, args.episodes), "start_s": round(start_s, 2)})
    for row in table:
        print(json.dumps(row))
    print("\n| | env steps/s | episodes/s | env steps/CPU s | batch | times the first |\n|---|---|---|---|---|---|")
    for row in table:
        ratio = row["env_steps_per_s"] / table[0]["env_steps_per_s"]
        print(
            f"| {row['name']} | {row['env_steps_per_s']:.0f} | {row['episodes_per_s']:.2f} "
            f"| {row['env_steps_per_cpu_s']:.0f} | {row['batch_mean']:.1f} | {ratio:.1f} |"
        )
    if args.out:
        write_json(args.out, {"arguments": {k: str(v) for k, v in vars(args).items()}, "rows": table})


def _fleet_row(fleet: Fleet, world, seeds: list[int], horizon: int, watch: Stopwatch) -> int:
    return fleet_run(fleet, world, watch, seeds, horizon)


if __name__ == "__main__":
    main()
