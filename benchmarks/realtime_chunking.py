"""How chunks join, and what becomes of a task, when a policy needs time to think.

Every way of chunking meets the same starts under the same injected delays, in simulated time, so no number here depends
on how fast this machine is, but for the last table (time of one decision, plain and guided, in the same process)::

    robot-stack collect panda/drawer --episodes 100 --out data
    robot-stack train flow-mlp --data data --steps 4000
    python benchmarks/realtime_chunking.py runs/<run>/policy --task panda/drawer --json result.json

Columns:
  succeeded       with Wilson's 95 % interval
  steps           median of control steps to success
  waiting         share of control steps without an action of their own time: the robot repeats its last
  step            first action of a new plan minus what the old plan had in mind for that moment, in standard
                  deviations of the actions (root mean square over action numbers); 0 where the robot waited
  jerk at borders third difference of the actions asked for, over the steps around a change of plan, same unit
  jerk elsewhere  the same over all other steps
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan, nothing_running
from robot_stack.core.seeding import episode_seed
from robot_stack.core.world import World
from robot_stack.evaluation.intervals import wilson
from robot_stack.policies.driver import PolicyDriver
from robot_stack.policies.loading import load_bundle
from robot_stack.runtime.chunking import Chunking, LatencyTrimmed, RealTimeChunking, Synchronous, prefix_weights
from robot_stack.runtime.delayed_driver import ConstantDelay, DelayedDriver
from robot_stack.runtime.loop import run_episode
from robot_stack.runtime.timed_plan import TimedPlan
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_robot_world


@dataclass
class Listener:
    """Remembers actions and changes of plan; a subscriber of the control loop."""

    driver: DelayedDriver
    """Whose plans are watched."""

    asked: list[np.ndarray] = field(default_factory=list)
    """Actions asked for, in order."""

    borders: list[int] = field(default_factory=list)
    """Steps with which a new plan took over."""

    jumps: list[np.ndarray] = field(default_factory=list)
    """New plan minus old plan at those steps."""

    waiting: int = 0
    """Steps without an action of their own."""

    _plan: TimedPlan | None = None

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """Nothing yet."""

    def on_step(self, step: Step) -> None:
        """One control step."""
        plan, time_s = self.driver.plan_of(0), step.observation.time_s
        if plan is None or plan.action(time_s) is None:
            self.waiting += 1
        elif self._plan is not None and plan is not self._plan:
            self.borders.append(len(self.asked))
            meant = self._plan.action(time_s)
            self.jumps.append(np.zeros_like(step.requested) if meant is None else step.requested - meant)
        self._plan = plan
        self.asked.append(step.requested)

    def on_end(self, result: EpisodeResult | None) -> None:
        """Nothing more."""


def jerks(listener: Listener, scale: np.ndarray) -> tuple[list[float], list[float]]:
    """Third differences around borders and elsewhere, root mean square over numbers."""
    actions = np.array(listener.asked) / scale
    third = np.sqrt(np.mean(np.diff(actions, 3, axis=0) ** 2, axis=1))  # of steps t … t+3
    near = np.zeros(len(third), bool)
    for border in listener.borders:
        near[max(0, border - 3) : border + 1] = True
    return third[near].tolist(), third[~near].tolist()


def measure(
    world: World, policy: PolicyDriver, chunking: Chunking, delay_s: float, episodes: int, scale: np.ndarray
) -> dict[str, object]:
    """One row of the table."""
    driver = DelayedDriver(policy, chunking, ConstantDelay(delay_s), world.robot.embodiment)
    successes, steps, at_borders, elsewhere, jumps, waiting, total = 0, [], [], [], [], 0, 0
    for index in range(episodes):
        listener = Listener(driver)
        result = run_episode(
            world.robot,
            EpisodeDriver(driver),
            world.task,
            seed=episode_seed("held_out", index),
            subscribers=[listener],
        )
        successes += result.success
        if result.success_step is not None:
            steps.append(result.success_step + 1)
        near, far = jerks(listener, scale)
        at_borders += near
        elsewhere += far
        jumps += [float(np.sqrt(np.mean((jump / scale) ** 2))) for jump in listener.jumps]
        waiting, total = waiting + listener.waiting, total + len(listener.asked)
    rate = wilson(successes, episodes)
    return {
        "successes": successes,
        "episodes": episodes,
        "low": rate.low,
        "high": rate.high,
        "steps": statistics.median(steps) if steps else None,
        "waiting": waiting / total,
        "step": float(np.mean(jumps)) if jumps else None,
        "jerk_at_borders": float(np.mean(at_borders)) if at_borders else None,
        "jerk_elsewhere": float(np.mean(elsewhere)) if elsewhere else None,
        "late": driver.counts.late,
    }


def scale_of(world: World, policy: PolicyDriver, steps: int) -> np.ndarray:
    """Standard deviation of each action number over a few undelayed episodes."""
    driver = DelayedDriver(policy, Synchronous(steps), ConstantDelay(0.0), world.robot.embodiment)
    asked: list[np.ndarray] = []
    for index in range(3):
        listener = Listener(driver)
        seed = episode_seed("validation", index)
        run_episode(world.robot, EpisodeDriver(driver), world.task, seed=seed, subscribers=[listener])
        asked += listener.asked
    return np.maximum(np.std(asked, axis=0), 1e-6)


def decision_times(world: World, policy: PolicyDriver, rounds: int = 30) -> dict[str, float]:
    """Median time of one decision, plain and guided, taken in turns [ms]."""
    policy.reset(0, world.task.instruction, 0)
    history = [world.task.reset(world.robot, episode_seed("validation", 0))] * policy.history
    plan = policy.plan([0], [history], [nothing_running(world.robot.embodiment.action_size)])[0].actions
    rest = plan[len(plan) // 2 :]
    asks = {
        "plain": nothing_running(plan.shape[1]),
        "guided": RunningPlan(rest, prefix_weights(len(rest), 2)),
    }
    times: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(rounds):
        for name, running in asks.items():
            began = time.perf_counter()
            policy.plan([0], [history], [running])
            times[name].append(time.perf_counter() - began)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def ways(executed: int, ahead: int) -> dict[str, Chunking]:
    """What is compared."""
    half = max(1, ahead // 2)
    return {
        "synchronous": Synchronous(executed),
        "trimmed": LatencyTrimmed(half, blend_steps=0),
        "trimmed, blended": LatencyTrimmed(half, blend_steps=4),
        "real-time": RealTimeChunking(half),
    }


def told(delay_ms: float, name: str, row: dict[str, object]) -> str:
    """One line of the table."""

    def number(key: str, form: str) -> str:
        value = row[key]
        return "–" if value is None else format(value, form)

    rate = f"{row['successes']}/{row['episodes']} [{number('low', '.0%')}, {number('high', '.0%')}]"
    cells = [f"{delay_ms:g} ms", name, rate, number("steps", ".0f"), number("waiting", ".0%")]
    cells += [number("step", ".3f"), number("jerk_at_borders", ".3f"), number("jerk_elsewhere", ".3f")]
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="of a policy that samples")
    parser.add_argument("--task", default="panda/drawer")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.0, 60.0, 120.0], help="of a decision [ms]")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    world = make_robot_world(RobotWorldConfig(task=args.task))
    policy = PolicyDriver(load_bundle(args.bundle, robot_embodiment=world.robot.embodiment).policy)
    executed, ahead = policy.policy.n_action_steps, policy.policy.horizon - policy.policy.n_obs_steps + 1
    scale = scale_of(world, policy, executed)
    print(
        f"{args.task}: plans {ahead} steps at {world.robot.embodiment.control_hz:g} Hz, {args.episodes} episodes each\n"
    )
    print("| delay | way | succeeded | steps | waiting | step | jerk at borders | jerk elsewhere |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for delay_ms in args.delays:
        for name, chunking in ways(executed, ahead).items():
            row = measure(world, policy, chunking, delay_ms / 1e3, args.episodes, scale)
            rows.append({"delay_ms": delay_ms, "way": name, **row})
            print(told(delay_ms, name, row), flush=True)
    times = decision_times(world, policy)
    print(f"\none decision on this machine: {times['plain']:.1f} ms plain, {times['guided']:.1f} ms guided (medians)")
    if args.json:
        args.json.write_text(json.dumps({"task": args.task, "rows": rows, "decision_ms": times}, indent=2) + "\n")


if __name__ == "__main__":
    main()
