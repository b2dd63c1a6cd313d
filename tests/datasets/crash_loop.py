"""Kills processes that record, join files or repair, and checks what is left; run by test_crash.py.

This process only forks: it starts no thread and touches no dataset itself.
Usage: crash_loop.py FOLDER random KILLS SEED, or crash_loop.py FOLDER steps|steps-camera STRIDE
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_stack.datasets import writer as writer_module
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.repair import repair
from robot_stack.datasets.validate import validate
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.recorded import CAMERA, FAST, KEY, arm, frames, images, numbers


def record_forever(root: Path, camera: bool, first: int, told: int, episodes: int = 10**6) -> None:
    """Record episodes, telling each number and seed through a pipe after commit returned; close every few episodes."""
    writer_module._FILES_BEFORE_COMPACTION = 4
    seed, last = first, first + episodes
    while seed < last:
        with DatasetWriter(root, arm(cameras=(CAMERA,) if camera else ()), codec=FAST) as writer:
            for _ in range(3 if camera else 7):
                if seed == last:
                    break
                writer.begin(f"task {seed % 3}", {"seed": seed})
                for frame in frames(seed, camera=camera):
                    writer.add(frame)
                number = writer.commit()
                os.write(told, f"{number} {seed}\n".encode())
                seed += 1


def verify(root: Path, camera: bool, told: dict[int, int]) -> None:
    """Every episode that was reported committed is there, bit by bit; recovered ones are beginnings of theirs."""
    found = validate(root)
    errors = [str(f) for f in found.findings]
    assert not errors, errors
    with Dataset(root) as dataset:
        texts = dataset.episodes.column("provenance") if dataset.num_episodes else []
        facts = [json.loads(text) for text in texts]
        for number, seed in told.items():
            assert number < dataset.num_episodes, f"episode {number} was committed and is gone"
            assert facts[number]["seed"] == seed and "recovered" not in facts[number], (number, seed, facts[number])
        seeds = [fact["seed"] for fact in facts]
        assert len(set(seeds)) == len(seeds), seeds
        for number, fact in enumerate(facts):
            view = dataset.episode(number)
            expected = numbers(fact["seed"])
            whole = len(expected["action"])
            assert view.length == whole or (fact.get("recovered") and 0 < view.length < whole), (number, fact)
            for name, values in expected.items():
                got = view.column(name).reshape(view.length, *values.shape[1:])
                assert got.dtype == values.dtype and np.array_equal(got, values[: view.length]), (number, name)
            assert view.tasks == (f"task {fact['seed'] % 3}",)
            if camera:
                pictures, true = view.frames(KEY).astype(int), images(fact["seed"])[: view.length]
                assert np.abs(pictures - true).mean() < 20, (number, np.abs(pictures - true).mean())


def forked(work: Callable[[], None]) -> int:
    """Run in a child that cannot outlive its work."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def wait(child: int) -> int:
    """The exit code, negative after a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_after(child: int, delay_s: float) -> bool:
    """Kill a child after some time; false when it had ended by itself."""
    deadline = time.monotonic() + delay_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, "a child failed by itself"
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def read_told(pipe: int, told: dict[int, int]) -> None:
    data = b""
    while chunk := os.read(pipe, 65536):
        data += chunk
    told.update(parse(data))


def parse(data: bytes) -> dict[int, int]:
    """Seeds by number of the episode."""
    pairs = [line.split() for line in data.decode().splitlines()]
    return {int(number): int(seed) for number, seed in pairs}


def random_kills(folder: Path, kills: int, rng: random.Random) -> None:
    """Kill at random times; every fifth kill a new dataset, every fourth of them with a camera."""
    killed = repairs_killed = committed = 0
    told: dict[int, int] = {}
    root, camera = folder, False
    while killed < kills:
        if killed % 5 == 0:
            root, camera, told = folder / f"set-{killed}", killed % 20 == 15, {}
        pipe, end = os.pipe()
        first = killed * 1000
        child = forked(lambda root=root, camera=camera, first=first, end=end: record_forever(root, camera, first, end))
        os.close(end)
        before = len(told)
        if rng.random() < 0.7:  # in the midst of recording; else at any time from its start
            told.update(parse(os.read(pipe, 65536)))
        assert kill_after(child, rng.uniform(0.0, 0.08)), "the recorder ended"
        killed += 1
        read_told(pipe, told)
        os.close(pipe)
        committed += len(told) - before
        if not (root / "meta" / "info.json").exists():
            assert not told
            continue
        while rng.random() < 0.4:
            repairs_killed += kill_after(forked(lambda root=root: _repair(root)), rng.uniform(0.001, 0.06))
        assert wait(forked(lambda root=root: _repair(root))) == 0, "repairing failed"
        check = forked(lambda root=root, camera=camera, told=told: verify(root, camera, told))
        assert wait(check) == 0, f"kill {killed}: the dataset is not right"
    print(json.dumps({"kills": killed, "repairs_killed": repairs_killed, "committed": committed}))


def every_step(folder: Path, camera: bool, stride: int) -> None:
    """Kill before each (or each k-th) change of the file system that recording, joining files and repairing make."""
    step, killed_recorders, killed_repairs = 0, 0, 0
    while True:
        root, told = folder / f"step-{step}-{int(camera)}", {}
        pipe, end = os.pipe()
        child = forked(lambda step=step, root=root, end=end: _record_until(step, root, camera, end))
        os.close(end)
        code = wait(child)
        read_told(pipe, told)
        os.close(pipe)
        assert code in (0, -signal.SIGKILL), code
        if (root / "meta" / "info.json").exists():
            inner = wait(forked(lambda step=step, root=root: _repair_until(step % 11, root)))
            killed_repairs += inner == -signal.SIGKILL
            assert wait(forked(lambda root=root: _repair(root))) == 0, f"step {step}: repairing failed"
            assert wait(forked(lambda root=root, told=told: verify(root, camera, told))) == 0, f"step {step}: not right"
        if code == 0:
            break
        killed_recorders += 1
        step += stride
        shutil.rmtree(root)
    print(json.dumps({"kills": killed_recorders, "repairs_killed": killed_repairs, "steps": step}))


def _record_until(step: int, root: Path, camera: bool, told: int) -> None:
    _kill_before(step)
    record_forever(root, camera, 100, told, episodes=6 if camera else 8)


def _repair_until(step: int, root: Path) -> None:
    _kill_before(step)
    repair(root, codec=FAST)


def _repair(root: Path) -> None:
    repair(root, codec=FAST)


def _kill_before(step: int) -> None:
    """Die before the ``step``-th change of the file system made from Python."""
    left = [step]

    def dying(change: Callable) -> Callable:
        def wrapped(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return change(*args, **kwargs)

        return wrapped

    for name in ("replace", "unlink", "fsync", "writev"):
        setattr(os, name, dying(getattr(os, name)))
    Path.unlink = dying(Path.unlink)  # type: ignore[method-assign]


if __name__ == "__main__":
    mode, place = sys.argv[2], Path(sys.argv[1])
    if mode == "random":
        random_kills(place, int(sys.argv[3]), random.Random(int(sys.argv[4])))
    else:
        every_step(place, mode == "steps-camera", int(sys.argv[3]))
