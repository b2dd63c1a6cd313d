"""Attacks the blinding of the evaluators' page by its timing: can a clock at the browser tell two policies apart?

    python benchmarks/trials_blinding.py [--trials 40] [--think 0.01 0.15]

Two policies act alike, but one thinks fifteen times as long. Trials are run over HTTP on a small simulated robot, and
for each of them this notes how long the answers took (next, confirm, start), when the first picture moved, and how
far pictures were apart. Told for each: AUC, the chance that a trial of the slow policy has the larger number; 0.5 is
blind. ``--naive`` runs the same with no time budget, to show that the attack works where nothing is equalised.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from robot_stack.console.trials.app import make_app
from robot_stack.console.trials.room import TrialRoom
from robot_stack.console.trials.world_stage import Budget, WorldStage
from robot_stack.core.action import ActionChunk
from robot_stack.core.driver import Driver
from robot_stack.core.observation import Observation
from robot_stack.core.world import World
from robot_stack.evaluation.trials.plan import InitialCondition, PlannedPolicy, Stopping, TrialPlan
from robot_stack.evaluation.trials.store import TrialStore, create_store
from tests.console.browser import served
from tests.worlds import PointConfig, PointExpert, make_point_world


class Thinker(PointExpert):
    """The expert in chunks of four actions, after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(0.0)
        self.seconds = seconds

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        time.sleep(self.seconds)
        chunk = super().act(history)
        return ActionChunk(np.repeat(chunk.actions, 4, axis=0))


class NoBudget(Budget):
    """Lets every policy take its own time."""

    def allow(self, seconds: float) -> None:
        return


def make_drivers(world: World, think: tuple[float, float]) -> list[Driver]:
    return [Thinker(seconds) for seconds in think]


def trial(client: httpx.Client, number: int) -> dict[str, float]:
    taken: dict[str, float] = {}

    def post(action: str, **body: object) -> dict:
        before = time.perf_counter()
        answer = client.post(f"/api/{action}", json={"station": "bench", "key": f"{action}-{number:06d}", **body})
        taken[f"answer to {action}"] = time.perf_counter() - before
        return answer.raise_for_status().json()

    name = post("next")["trial"]["id"]
    time.sleep(0.15)
    post("confirm", trial=name)
    still = client.get("/api/frame?station=bench").content
    began = time.perf_counter()
    post("start", trial=name)
    changes, last = [], still
    while len(changes) < 10:
        frame = client.get("/api/frame?station=bench").content
        if frame != last:
            changes.append(time.perf_counter() - began)
            last = frame
        time.sleep(0.004)
    post("stop", trial=name)
    post("label", trial=name, success=True)
    taken["first picture that moved"] = changes[0]
    taken["time between pictures"] = float(np.diff(changes).mean())
    taken["longest between pictures"] = float(np.diff(changes).max())
    return taken


def auc(slow: list[float], fast: list[float]) -> float:
    one, other = np.array(slow)[:, None], np.array(fast)[None, :]
    return float((one > other).mean() + 0.5 * (one == other).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40, help="of each policy")
    parser.add_argument("--think", type=float, nargs=2, default=(0.01, 0.15), help="seconds a decision takes")
    parser.add_argument("--naive", action="store_true", help="with no time budget")
    options = parser.parse_args()
    policies = tuple(PlannedPolicy(name, name, "0" * 64) for name in ("fast", "slow"))
    conditions = tuple(InitialCondition(f"c{i}", seed=i) for i in range(options.trials))
    plan = TrialPlan("timing", "point", policies, conditions, stopping=Stopping("fixed", 0.05, options.trials))
    world = functools.partial(make_point_world, PointConfig(camera=96, horizon=2000, near=0.0))
    drivers = functools.partial(make_drivers, think=tuple(options.think))
    seen: dict[str, tuple[list[float], list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        create_store(Path(folder) / "store", plan)
        stage = WorldStage(world, drivers, budget=NoBudget() if options.naive else Budget())
        stage.wait_until_ready()
        with TrialStore(Path(folder) / "store") as store:
            room, key = TrialRoom(store, {"bench": stage}), store.key()
            with served(make_app(room, "token")) as address:
                client = httpx.Client(base_url=address, headers={"authorization": "Bearer token"}, timeout=30)
                client.post("/api/join", json={"station": "bench", "evaluator": "clock", "key": "join-0001"})
                for number in range(2 * options.trials):
                    taken = trial(client, number)
                    current = store.state.current("bench")
                    assert current is not None
                    for what, seconds in taken.items():
                        seen.setdefault(what, ([], []))[key.arm(current.block, current.place)].append(seconds)
            room.close()
    print(f"{options.trials} trials of each policy, {options.think[0]:g} s and {options.think[1]:g} s a decision")
    for what, (fast, slow) in seen.items():
        spread = (1 / len(fast) / 6) ** 0.5  # standard deviation of the AUC when nothing can be told
        print(
            f"  {what:<26} fast {np.median(fast) * 1e3:7.1f} ms  slow {np.median(slow) * 1e3:7.1f} ms  "
            f"AUC {auc(slow, fast):.2f} (0.50 ± {2 * spread:.2f} is blind)"
        )


if __name__ == "__main__":
    main()
