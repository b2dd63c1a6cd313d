"""Meta-World steps per second of CPU time: ours beside the raw environment, on the same actions in paired chunks.

    python benchmarks/metaworld_steps.py                       # eight tasks
    python benchmarks/metaworld_steps.py --tasks pick-place --images

Three ways through equal episodes, alternating chunk by chunk so that other work on the machine hits all alike:
raw: ``env.step``; ours: ``robot.command``, ``robot.observe``, ``task.score``; loop: the same through ``run_episode``.
Before anything is timed, the trajectories are checked to be equal. ``--images`` adds images per second of CPU time of
both qualities. Resets are timed separately.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.observation import Observation
from robot_stack.core.world import World
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.experts import make_script
from robot_stack.sim.metaworld import MetaWorldConfig, MetaWorldRobot, make_metaworld
from robot_stack.sim.render import import_mujoco

TASKS = ("reach", "pick-place", "push", "door-open", "button-press", "hammer", "stick-pull", "window-open")
STEPS = 100


class Replay:
    """Plays given actions, one at a time."""

    history = 1

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions
        self.next = 0

    def reset(self, instruction: str, seed: int) -> None:
        """From the first action again."""
        self.next = 0

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """The next action."""
        self.next += 1
        return ActionChunk(self.actions[self.next - 1 : self.next])


def raw_environment(task: str) -> Any:
    """Meta-World's own, with the goal visible, made to run on this MuJoCo."""
    from metaworld.env_dict import ENV_CLS_MAP

    mujoco = import_mujoco()

    def welds(env: Any) -> None:
        for row, kind in zip(env.model.eq_data, env.model.eq_type, strict=True):
            if kind == mujoco.mjtEq.mjEQ_WELD:
                row[:11] = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]

    env: Any = type("Raw", (ENV_CLS_MAP[f"{task}-v3"],), {"reset_mocap_welds": welds})()
    env._partially_observable = False
    del env.sawyer_observation_space
    env._set_task_called = env._freeze_rand_vec = True
    return env


def expert_actions(world: World, task: str, seed: int) -> np.ndarray:
    """What the noisy expert does in one episode, shape ``(STEPS, 4)``."""
    script, rng = make_script(task), np.random.default_rng(seed)
    seen, actions = world.task.reset(world.robot, seed), []
    for _ in range(STEPS):
        wanted = np.asarray(script.get_action(seen.state), np.float64) + 0.1 * rng.normal(size=4)
        actions.append(np.clip(wanted, -1, 1).astype(np.float32).astype(np.float64))
        world.robot.command(actions[-1])
        seen = world.robot.observe()
    return np.array(actions)


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(task: str, chunks: int) -> np.ndarray:
    """CPU seconds per step, shape ``(chunks, 3)``: raw, ours, loop."""
    world, env = make_metaworld(MetaWorldConfig(task=task)), raw_environment(task)
    robot = world.robot
    assert isinstance(robot, MetaWorldRobot)
    rows = []
    for chunk in range(chunks + 1):
        actions = expert_actions(world, task, chunk)
        world.task.reset(robot, chunk)
        env._last_rand_vec = robot.sim.start.copy()
        env.reset()
        states: dict[str, np.ndarray] = {}

        def raw(states: dict[str, np.ndarray] = states, actions: np.ndarray = actions) -> None:
            for action in actions:
                states["raw"] = env.step(action)[0]

        def ours(states: dict[str, np.ndarray] = states, actions: np.ndarray = actions) -> None:
            for action in actions:
                receipt = robot.command(action)
                seen = robot.observe()
                world.task.score(seen, receipt)
                states["ours"] = seen.state

        both = (seconds(raw), seconds(ours)) if chunk % 2 else tuple(reversed((seconds(ours), seconds(raw))))
        assert np.array_equal(states["raw"], states["ours"]), f"{task}: the trajectories differ"
        reset = seconds(lambda chunk=chunk: world.task.reset(robot, chunk))
        replay = Replay(actions)
        loop = seconds(
            lambda replay=replay, chunk=chunk: run_episode(
                robot, replay, world.task, seed=chunk, horizon=STEPS, stop_on_success=False
            )
        )
        rows.append([both[0] / STEPS, both[1] / STEPS, (loop - reset) / STEPS])
    return np.array(rows[1:])


def measure_resets(task: str, count: int = 20) -> tuple[float, float]:
    """CPU seconds per reset: raw, ours."""
    world, env = make_metaworld(MetaWorldConfig(task=task)), raw_environment(task)
    robot = world.robot
    assert isinstance(robot, MetaWorldRobot)
    times = []
    for seed in range(count):
        ours = seconds(lambda seed=seed: world.task.reset(robot, seed))
        env._last_rand_vec = robot.sim.start.copy()
        times.append((seconds(env.reset), ours))
    raw, ours = np.median(times, axis=0)
    return float(raw), float(ours)


def measure_images(task: str, size: int, count: int = 20) -> tuple[float, float]:
    """Images per second of CPU time: full, fast."""
    rates = []
    for quality in ("full", "fast"):
        config = MetaWorldConfig(task=task, image_height=size, image_width=size, quality=quality)
        world = make_metaworld(config)
        robot = world.robot
        assert isinstance(robot, MetaWorldRobot)
        robot.reset(0)
        robot.render("corner2")
        spent = [seconds(lambda robot=robot: robot.render("corner2")) for _ in range(count)]
        rates.append(1.0 / float(np.median(spent)))
        world.close()
    return rates[0], rates[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--images", action="store_true")
    args = parser.parse_args()
    print("| task | raw steps/s | ours steps/s | ours : raw time | loop : raw time | reset raw ms | reset ours ms |")
    print("|---|---|---|---|---|---|---|")
    ratios = []
    for task in args.tasks:
        times = measure(task, args.chunks)
        raw, ours, _ = np.median(times, axis=0)
        pair = np.median(times[:, 1:] / times[:, :1], axis=0)
        ratios.append(pair)
        reset = measure_resets(task)
        print(
            f"| {task} | {1 / raw:.0f} | {1 / ours:.0f} | {pair[0]:.2f} | {pair[1]:.2f} "
            f"| {1e3 * reset[0]:.1f} | {1e3 * reset[1]:.1f} |",
            flush=True,
        )
    middle, worst = np.median(ratios, axis=0), np.max(ratios, axis=0)
    print(f"\nours: median over tasks {middle[0]:.2f} of raw time, worst {worst[0]:.2f}")
    print(f"loop: median over tasks {middle[1]:.2f} of raw time, worst {worst[1]:.2f}")
    if args.images:
        for size in (84, 128, 224):
            full, fast = measure_images(args.tasks[0], size)
            print(f"images of {size} pixels: full {full:.1f}/s, fast {fast:.1f}/s, {fast / full:.1f} times")


if __name__ == "__main__":
    main()
