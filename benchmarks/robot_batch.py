"""Batched simulation of a robot: ours with observations and rewards beside MuJoCo's bare batch and AsyncVectorEnv.

    python benchmarks/robot_batch.py                                     # G1, standing
    python benchmarks/robot_batch.py --task panda/pick-place --envs 256 --scaling 1 16 256 4096
    python benchmarks/robot_batch.py --task locoman/stand --only rates   # or: async, scaling, memory

Tables:

    rates     ours: actions, limits on motion, physics, observations, scores, episodes. raw, same: ``Batch.step`` from
              the same starts with the same controls, so exactly the same physics (checked to the bit before anything is
              timed), nothing read. raw, random: ``Batch.step`` with random controls within the joints' efforts.
    async     Gymnasium's AsyncVectorEnv over the same task as single environments, on the same cores.
    scaling   ours and raw, same, for growing numbers of environments.
    memory    what a process grows by, divided by the number of environments; each number in a process of its own.

Ways are timed in turn, round by round, and the medians of the rounds are printed. An environment step is one control
step. "not physics" is 1 - (CPU time of raw, same) / (CPU time of this way), all threads and child processes counted:
other work on the machine disturbs it less than wall time. "outside" is the share of our wall time that is not spent in
``Batch.step``: array operations and Python, on one core while the others wait.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.world import World
from robot_stack.sim import robot_catalog
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.gym_env import WorldEnv
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.robot_world import SimulatedTask

NOISE = 0.02
"""Standard deviation of the actions about standing still [rad, m, rad/s or N·m]."""


def make_world(task: str, mode: str, envs: int, threads: int) -> BatchWorld:
    """The batch that is measured."""
    spec = robot_catalog.robot_spec(task.partition("/")[0])
    config = BatchConfig(threads=threads, dump_folder="")
    return BatchWorld(spec, robot_catalog.robot_task(task), envs, robot_catalog.controller_maker(mode), config)


def make_env(task: str, mode: str) -> WorldEnv:
    """The same as one Gymnasium environment."""
    spec = robot_catalog.robot_spec(task.partition("/")[0])
    config = MujocoRobotConfig(dump_folder="")
    robot = MujocoRobot(spec, robot_catalog.robot_task(task), robot_catalog.controller_maker(mode), config)
    return WorldEnv(World(robot, SimulatedTask(robot)))


def draw_actions(world: BatchWorld, steps: int) -> np.ndarray:
    """Around standing still, shape ``(steps, envs, action_size)``."""
    world.reset(range(world.nsim))
    hold = world.hold_action
    return hold + NOISE * np.random.default_rng(0).normal(size=(steps, *hold.shape))


class Bare:
    """MuJoCo's batch from the starts of a world, with the controls that the world sends or with random ones."""

    def __init__(self, world: BatchWorld, actions: np.ndarray, threads: int) -> None:
        from mujoco.batch import Batch

        self.substeps = world.robot.substeps
        models = [world.robot.batch.get_model(sim) for sim in range(world.nsim)] if world.robot._models._base else None
        self.batch: Any = Batch(world.robot.model.model, world.nsim, threads)
        if models is not None:
            self.batch.set_models(models)
        self.ctrl, nu = self.batch.bind("ctrl"), world.robot.model.model.nu
        self.start = np.array(world.robot.batch.state)
        self.controls = np.empty((len(actions), world.nsim, nu))
        for row, action in zip(self.controls, actions, strict=True):
            world.step(action)
            row[:] = world.robot.batch.ctrl
        self.end = np.array(world.robot.batch.qpos)
        reach = np.array([joint.effort for joint in world.robot.model.spec.driven])
        self.random = reach * np.random.default_rng(1).uniform(-1, 1, (len(actions), world.nsim, nu))

    def run(self, controls: np.ndarray) -> None:
        """Step through the controls."""
        for row in controls:
            self.ctrl[:] = row
            self.batch.step(nstep=self.substeps)

    def rewind(self) -> None:
        """Back to the starts."""
        self.batch.reset()
        self.batch.state[:] = self.start

    def check(self) -> None:
        """The physics is that of the world, to the bit."""
        self.rewind()
        self.run(self.controls)
        np.testing.assert_array_equal(self.batch.bind("qpos"), self.end)


def clocked(run: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds, all threads counted."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def rates(
    task: str, mode: str, envs: int, threads: int, steps: int, rounds: int, random: bool = True
) -> dict[str, tuple[float, float, float]]:
    """Wall and CPU seconds of an environment step, and the share outside physics (of ours), by way."""
    world = make_world(task, mode, envs, threads)
    actions = draw_actions(world, steps)
    bare = Bare(world, actions, threads)
    bare.check()

    inside, step = [0.0], world.robot.batch.step

    def clocked_step(**arguments: Any) -> None:
        start = time.perf_counter()
        step(**arguments)
        inside[0] += time.perf_counter() - start

    world.robot.batch.step = clocked_step

    def ours() -> None:
        inside[0] = 0.0
        start = time.perf_counter()
        for action in actions:
            world.step(action)
        outside.append(1.0 - inside[0] / (time.perf_counter() - start))

    outside: list[float] = []

    ways: dict[str, tuple[Callable[[], Any], Callable[[], None]]] = {
        "ours": (lambda: world.reset(range(envs)), ours),
        "raw, same": (bare.rewind, partial(bare.run, bare.controls)),
    }
    if random:
        ways["raw, random"] = bare.rewind, partial(bare.run, bare.random)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (prepare, run) in ways.items():
            prepare()
            times[name].append(clocked(run))
    medians = {name: np.median(np.array(values), axis=0) / (steps * envs) for name, values in times.items()}
    found = {name: (float(wall), float(cpu), 0.0) for name, (wall, cpu) in medians.items()}
    found["ours"] = (*found["ours"][:2], float(np.median(outside)))
    return found


def asynchronous(task: str, mode: str, envs: int, steps: int, rounds: int) -> tuple[float, float, float]:
    """Wall and CPU seconds of an environment step of Gymnasium's AsyncVectorEnv, and memory [byte per environment]."""
    from gymnasium.vector import AsyncVectorEnv

    env = AsyncVectorEnv([partial(make_env, task, mode)] * envs, context="spawn")  # a batch holds threads: no fork
    pids = [process.pid for process in env.processes]
    world = make_world(task, mode, envs, 1)
    actions = draw_actions(world, steps).astype(np.float32)
    times = []

    def run() -> None:
        for action in actions:
            env.step(action)

    for _ in range(rounds + 1):
        env.reset(seed=0)
        before = cpu_of(pids)
        wall, cpu = clocked(run)
        times.append((wall, cpu + cpu_of(pids) - before))
    held = sum(own_bytes(pid) for pid in pids) / envs
    env.close()
    wall, cpu = np.median(np.array(times[1:]), axis=0) / (steps * envs)
    return float(wall), float(cpu), held


def cpu_of(pids: list[int | None]) -> float:
    """CPU seconds of other processes so far (Linux)."""
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


def own_bytes(pid: int | None) -> int:
    """Memory that another process holds and shares with none (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def resident_bytes() -> int:
    """Memory that this process holds now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(task: str, mode: str, envs: int, threads: int) -> float:
    """What a process of its own grows by when a batch is made and stepped [byte per environment]."""
    code = (
        "import sys, json; from benchmarks.robot_batch import *\n"
        "task, mode, envs, threads = json.loads(sys.argv[1])\n"
        "small = make_world(task, mode, 1, threads); small.reset(); small.step(small.hold_action)\n"
        "before = resident_bytes()\n"
        "world = make_world(task, mode, envs, threads); world.reset(range(envs))\n"
        "[world.step(world.hold_action) for _ in range(3)]\n"
        "print(resident_bytes() - before)"
    )
    root = Path(__file__).resolve().parents[1]
    arguments = json.dumps([task, mode, envs, threads])
    done = subprocess.run([sys.executable, "-c", code, arguments], cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / envs


def print_rates(found: dict[str, tuple[float, float, float]], substeps: int) -> None:
    """One row a way."""
    print("| way | environment steps/s | physics steps/s | of raw, same (wall) | CPU µs/step | not physics | outside |")
    print("|---|---|---|---|---|---|---|")
    wall_raw, cpu_raw, _ = found["raw, same"]
    for name, (wall, cpu, out) in found.items():
        same = name != "raw, random"
        share = f"{wall_raw / wall:.1%}" if same else "other physics"
        rest = f"{1 - cpu_raw / cpu:.1%}" if same else ""
        rate = f"{1 / wall:,.0f} | {substeps / wall:,.0f}"
        told = f"{out:.1%}" if name == "ours" else ""
        print(f"| {name} | {rate} | {share} | {cpu * 1e6:.0f} | {rest} | {told} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="g1/stand", help="robot/task, as robot-stack robots lists them")
    parser.add_argument("--mode", default="joint_position", choices=tuple(robot_catalog.MODES))
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--async-envs", type=int, nargs="+", default=[2 * (os.cpu_count() or 1), 16])
    parser.add_argument("--scaling", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024, 4096])
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--steps", type=int, default=20, help="control steps a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", default=["rates", "async", "scaling", "memory"])
    options = parser.parse_args()
    task, mode, threads = options.task, options.mode, options.threads
    substeps = make_world(task, mode, 1, 1).robot.substeps
    print(f"{task}, {mode}, {substeps} physics steps a control step, {threads or os.cpu_count()} threads\n")
    if "rates" in options.only:
        print(f"{options.envs} environments\n")
        print_rates(rates(task, mode, options.envs, threads, options.steps, options.rounds), substeps)
    if "async" in options.only:
        for envs in options.async_envs:
            print(f"\n{envs} environments\n")
            found = rates(task, mode, envs, threads, options.steps, options.rounds)
            wall, cpu, held = asynchronous(task, mode, envs, options.steps, options.rounds)
            found["AsyncVectorEnv"] = wall, cpu, 0.0
            print_rates(found, substeps)
            print(f"\nAsyncVectorEnv holds {held / 1e6:.0f} MB for each environment, shared pages not counted")
    if "scaling" in options.only:
        print("\n| environments | ours, steps/s | raw, same, steps/s | of raw (wall) | not physics | outside |")
        print("|---|---|---|---|---|---|")
        for envs in options.scaling:
            steps = max(2, min(options.steps, 4096 // envs))
            found = rates(task, mode, envs, threads, steps, max(3, options.rounds // 2), random=False)
            (wall, cpu, out), (wall_raw, cpu_raw, _) = found["ours"], found["raw, same"]
            share, rest = wall_raw / wall, 1 - cpu_raw / cpu
            speeds = f"{1 / wall:,.0f} | {1 / wall_raw:,.0f}"
            print(f"| {envs} | {speeds} | {share:.1%} | {rest:.1%} | {out:.1%} |", flush=True)
    if "memory" in options.only:
        print("\n| environments | kB each |\n|---|---|")
        for envs in options.scaling:
            if envs > 1:
                print(f"| {envs} | {memory(task, mode, envs, threads) / 1e3:,.1f} |", flush=True)


if __name__ == "__main__":
    main()
