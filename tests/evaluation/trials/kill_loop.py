"""Kills a server of trials again and again at random moments, and checks that no acknowledged label is lost.

Usage: ``python kill_loop.py STORE KILLS SEED``. Children are forked, so that a hundred kills take seconds.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time

from robot_stack.core.seeding import generator
from robot_stack.evaluation.trials.desk import TrialDesk
from robot_stack.evaluation.trials.store import TrialStore
from robot_stack.evaluation.trials.trial import Judgement


def serve(folder: str, pipe: int, round_number: int) -> None:
    """Two stations label for ever; each label is told to the parent once it is acknowledged."""
    with TrialStore(folder) as store:
        desk = TrialDesk(store, lambda: None)
        for number in range(10_000):
            station = ("left", "right")[number % 2]
            key = f"{round_number}-{number}"
            desk.join(station, "Ada", f"{key}-join")
            trial = desk.take_next(station, f"{key}-next")
            if trial is None:
                return
            if trial.phase == "assigned":
                desk.confirm(station, trial.id, f"{key}-confirm")
            if trial.phase == "confirmed":
                desk.start(station, trial.id, f"{key}-start")
            desk.stopped(station, trial.id, "evaluator", 1.0, f"{key}-stop")
            success = hash_of(trial.id) % 3 == 0
            desk.label(station, trial.id, Judgement(success, (True, success)), f"{key}-label")
            os.write(pipe, f"{trial.id} {int(success)}\n".encode())


def until(pipe: io.FileIO, labels: int) -> bytes:
    """What the child says until so many labels are acknowledged, or it ends."""
    said = b""
    while said.count(b"\n") < labels and (more := pipe.read(64)):
        said += more
    return said


def hash_of(name: str) -> int:
    return sum(ord(letter) * 31**i for i, letter in enumerate(name))


def main(folder: str, kills: int, seed: int) -> int:
    rng = generator(seed, 7)
    acknowledged: dict[str, bool] = {}
    killed = 0
    while killed < kills:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            serve(folder, writing, killed)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            said = b"" if killed % 5 == 0 else until(pipe, int(rng.integers(1, 8)))
            time.sleep(float(rng.uniform(0.0, 0.02)))  # every fifth time it may not even have opened the store
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            said += pipe.readall()
        whole = said[: said.rfind(b"\n") + 1].decode()
        for line in whole.splitlines():
            name, success = line.split()
            acknowledged[name] = success == "1"
        if os.WIFSIGNALED(status):
            killed += 1
        elif not os.WIFEXITED(status) or os.WEXITSTATUS(status):
            print(f"a child failed with status {status}")
            return 1
        else:
            break
        with TrialStore(folder) as store:  # opening checks the chain, the copy and every transition
            for name, success in acknowledged.items():
                judgement = store.state.trial(name).judgement
                if judgement is None or judgement.success != success:
                    print(f"label of {name} was acknowledged and is {judgement}")
                    return 1
    print(f"{killed} kills, {len(acknowledged)} labels")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
