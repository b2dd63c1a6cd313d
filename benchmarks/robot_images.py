"""Images of our robots' scenes: time beside the fastest that MuJoCo can do, setting by setting.

    python benchmarks/robot_images.py                          # one task of every robot, 128 x 128
    python benchmarks/robot_images.py --tasks g1/stand --size 256

All variants render the same moment, round after round in turn; the medians of the rounds' CPU time (software backends
render on several threads, all counted) are printed as a table. "fastest" has no shadows, reflections, multisampling,
sky, haze, fog and textures; "full" has all of them. Round shapes have 28 sides as compiled, or 16, as ours.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from robot_stack.sim import robot_catalog
from robot_stack.sim.model_images import SMALL
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.render import OffscreenRenderer, choose_backend, import_mujoco

TASKS = ("g1/stand", "locoman/stand", "panda/pick-place", "aloha/hand-over")


def variants(model: Any, size: int) -> dict[str, OffscreenRenderer]:
    """Renderers by name."""
    mujoco = import_mujoco()
    coarse = size <= SMALL
    scene = (mujoco.mjtRndFlag.mjRND_SKYBOX, mujoco.mjtRndFlag.mjRND_HAZE, mujoco.mjtRndFlag.mjRND_FOG)
    made = {
        "ours": OffscreenRenderer(model, size, size, coarse=coarse),
        "without sky": OffscreenRenderer(model, size, size, coarse=coarse),
        "without textures": OffscreenRenderer(model, size, size, coarse=coarse),
        "fastest": OffscreenRenderer(model, size, size, coarse=coarse),
        "ours, 28 sides": OffscreenRenderer(model, size, size),
        "fastest, 28 sides": OffscreenRenderer(model, size, size),
        "full": OffscreenRenderer(model, size, size, "full"),
    }
    for name, flags in (("without sky", scene[:1]), ("fastest", scene), ("fastest, 28 sides", scene)):
        for flag in flags:
            made[name]._scene.flags[flag] = 0
    for name in ("without textures", "fastest", "fastest, 28 sides"):
        made[name]._option.flags[mujoco.mjtVisFlag.mjVIS_TEXTURE] = 0
    return made


def measure(task: str, size: int, rounds: int, images: int) -> dict[str, float]:
    """Median CPU time of an image by variant [ms]."""
    spec = robot_catalog.robot_spec(task.partition("/")[0])
    mode = robot_catalog.controller_maker("joint_position")
    robot = MujocoRobot(spec, robot_catalog.robot_task(task), mode, MujocoRobotConfig(dump_folder=""))
    robot.reset(0)
    camera = robot.model.camera(robot.task.view).id
    made = variants(robot.model, size)
    times: dict[str, list[float]] = {name: [] for name in made}
    for renderer in made.values():
        renderer.render(robot.data, camera, size, size)
    for _ in range(rounds):
        for name, renderer in made.items():
            start = time.process_time()
            for _ in range(images):
                renderer.render(robot.data, camera, size, size)
            times[name].append((time.process_time() - start) / images * 1e3)
    for renderer in made.values():
        renderer.close()
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--size", type=int, default=128, help="rows and columns [pixel]")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--images", type=int, default=10, help="images a round")
    options = parser.parse_args()
    print(f"CPU time of one image of {options.size} x {options.size} [ms], backend {choose_backend()}\n")
    head = ("ours", "without sky", "without textures", "fastest", "ours, 28 sides", "fastest, 28 sides", "full")
    print(f"| task | {' | '.join(head)} | ours over fastest | ours over fastest with 28 sides |")
    print("|---|" + "---|" * (len(head) + 2))
    for task in options.tasks:
        found = measure(task, options.size, options.rounds, options.images)
        row = " | ".join(f"{found[name]:.2f}" for name in head)
        ratios = [found["ours"] / found[name] for name in ("fastest", "fastest, 28 sides")]
        print(f"| {task} | {row} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
