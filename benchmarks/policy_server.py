"""What a policy server costs: time of one decision in the robot's process and through a server on loopback.

    python benchmarks/policy_server.py [--decisions 400] [--json result.json]

A small diffusion policy (MLP denoiser, 7 numbers of state, 4 of action) decides alternately here and through a server
in a process of its own, so that a busy machine slows both alike. Then the same with images of 240x320 from two cameras
and two observations a decision, with a driver that does nothing, so that only the way is measured; and with several
robots asking at once.
Told: median and 99th percentile of the round trip, and of what is left of it without the policy's own time.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from robot_stack.cli.serve import served_bundle
from robot_stack.core.action import ActionChunk
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.fields import CameraSpec
from robot_stack.core.observation import Observation
from robot_stack.policies.driver import PolicyDriver
from robot_stack.policies.loading import load_bundle
from robot_stack.policies.saving import save_bundle
from robot_stack.runtime.policy_client import RemoteDriver
from robot_stack.runtime.policy_process import PolicyProcess
from robot_stack.runtime.served_policy import ServedPolicy
from tests.policies.robots import ARM, history, policy

TASK = "push the cube"
CAMERAS = (CameraSpec("front", 240, 320), CameraSpec("wrist", 240, 320))
SEEING = replace(ARM, cameras=CAMERAS)
WARM_UP = 20


class Nothing:
    """Answers at once."""

    history = 2

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        return

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        return [ActionChunk(np.zeros((8, ARM.action_size))) for _ in slots]


def nothing_with_images() -> ServedPolicy:
    return ServedPolicy("nothing", Nothing(), SEEING, ("front", "wrist"))


def nothing() -> ServedPolicy:
    return ServedPolicy("nothing", Nothing(), ARM)


def summary(seconds: Sequence[float]) -> dict[str, float]:
    median, p99 = np.quantile(seconds, (0.5, 0.99)) * 1e3
    return {"median_ms": round(float(median), 3), "p99_ms": round(float(p99), 3)}


def timed(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def small_policy(folder: Path, decisions: int) -> dict[str, dict[str, float]]:
    path = folder / "policy"
    save_bundle(policy(), path, provenance={}, metrics={})
    here = EpisodeDriver(PolicyDriver(load_bundle(path).policy))
    process = PolicyProcess(functools.partial(served_bundle, path))
    there = RemoteDriver(process.address(), ARM)
    rows: dict[str, list[float]] = {"in this process": [], "through the server": [], "of which travel": []}
    here.reset(TASK, 1)
    there.reset(TASK, 1)
    seen = [replace(o, images={}) for o in history(1)]
    for number in range(decisions + WARM_UP):
        mine, other = timed(lambda: here.act(seen)), timed(lambda: there.act(seen))
        if number >= WARM_UP and there.timing is not None:
            rows["in this process"].append(mine)
            rows["through the server"].append(other)
            rows["of which travel"].append(there.timing.travel_s + there.timing.queue_s)
    there.close()
    process.close()
    return {name: summary(values) for name, values in rows.items()}


def the_way(make: Callable[[], ServedPolicy], decisions: int, robots: int = 1) -> dict[str, float]:
    process = PolicyProcess(make)
    cameras = make().cameras
    embodiment = SEEING if cameras else ARM
    images = {camera.name: np.zeros(camera.shape, np.uint8) for camera in CAMERAS} if cameras else {}
    seen = [Observation(np.zeros(ARM.state_size), images)] * 2
    drivers = [RemoteDriver(process.address(), embodiment) for _ in range(robots)]
    taken: list[list[float]] = [[] for _ in drivers]

    def ask(driver: RemoteDriver, into: list[float]) -> None:
        driver.reset(TASK, 1)
        into += [timed(lambda: driver.act(seen)) for _ in range(decisions + WARM_UP)][WARM_UP:]

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(drivers, taken, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for driver in drivers:
        driver.close()
    process.close()
    return summary([value for values in taken for value in values])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=400)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = small_policy(Path(folder), args.decisions)
    rows["the way alone"] = the_way(nothing, args.decisions)
    rows["the way alone, 8 robots at once"] = the_way(nothing, args.decisions // 4, robots=8)
    rows["the way alone, 4 images of 240x320 (0.9 MB)"] = the_way(nothing_with_images, args.decisions)
    width = max(map(len, rows))
    for name, row in rows.items():
        print(f"{name:<{width}}  median {row['median_ms']:8.3f} ms   p99 {row['p99_ms']:8.3f} ms")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
