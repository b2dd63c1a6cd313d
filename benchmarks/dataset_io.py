"""Writing and reading datasets, robot_stack beside LeRobot 0.4.4: same frames, same machine, same run.

Writing: ten episodes of 100 frames, recorded frame by frame and committed episode by episode, to the last file closed.
robot_stack also writes every frame to its journal and makes every episode durable, which LeRobot does not, and it
writes five more columns (requested action, measured time, reward, success, done). Videos are AV1, key frame every
second frame, in both. Reading: single frames with everything in them in random order, from the dataset LeRobot wrote.

usage: python benchmarks/dataset_io.py [--lerobot-env .venv-lerobot] [--seconds 10] [--out FOLDER]
(scripts/make_lerobot_env.sh makes the environment)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from dataset_episodes import ACTION, CAMERA, EPISODES, FPS, SIZE, STATE, STEPS, TASK, episode
from dataset_windows import run_lerobot

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.schema import IMAGE_PREFIX
from robot_stack.datasets.writer import DatasetWriter

KINDS = ("lowdim", "image", "video")


def main() -> None:
    """Measure, print two tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lerobot-env", type=Path, default=Path(".venv-lerobot"))
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU-seconds for each measurement of reading")
    parser.add_argument("--out", type=Path, default=Path("benchmark_results"))
    args = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder prints only errors
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            results.append(compare(kind, Path(folder), args.lerobot_env, args.seconds))
    report(results, args.out)


def compare(kind: str, folder: Path, env: Path, seconds: float) -> dict[str, object]:
    """Both writers and both readers for one kind of data."""
    theirs, ours, out = folder / f"{kind}_lerobot", folder / f"{kind}_robot_stack", folder / f"{kind}.json"
    run_lerobot(env, "write", theirs, kind, out)
    written = {"LeRobot 0.4.4": {**json.loads(out.read_text()), "bytes": size_of(theirs)}}
    written["robot_stack"] = {**write(ours, kind), "bytes": size_of(ours)}
    run_lerobot(env, "frames", theirs, str(seconds), out)
    read = {"LeRobot 0.4.4": json.loads(out.read_text()), "robot_stack": read_frames(theirs, seconds)}
    return {"data": kind, "write": written, "read": read}


def write(root: Path, kind: str) -> dict[str, float]:
    """Record the benchmark's episodes."""
    camera = CAMERA.removeprefix(IMAGE_PREFIX)
    embodiment = Embodiment(
        name="bench",
        state=(Field("state", STATE, "1"),),
        action=(Field("action", ACTION, "1"),),
        cameras=() if kind == "lowdim" else (CameraSpec(camera, SIZE, SIZE),),
        control_hz=float(FPS),
    )
    episodes = [list(episode(i, kind)) for i in range(EPISODES)]  # made before the clock starts
    cpu, wall = time.process_time(), time.perf_counter()
    with DatasetWriter(root, embodiment, storage="image" if kind == "image" else "video") as writer:
        for frames in episodes:
            writer.begin(TASK)
            for frame in frames:
                writer.add(frame)
            writer.commit(success=True)
    result: dict[str, float] = {"frames": EPISODES * STEPS}
    return result | {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def read_frames(root: Path, seconds: float) -> dict[str, float]:
    """Single frames, every column, image and the task's text, in random order."""
    dataset = Dataset(root)
    columns = [dataset.column(name) for name in dataset.column_names]
    cameras = [dataset.camera(name) for name in dataset.camera_names]
    rng = np.random.default_rng(0)
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.process_time() - cpu < seconds:
        row = rng.integers(dataset.num_frames, size=1)
        item: list[object] = [column.take(row) for column in columns]
        item += [camera.read(row) for camera in cameras]
        item += dataset.task_texts(row)
        count += 1
    result: dict[str, float] = {"frames": count}
    return result | {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def size_of(root: Path) -> int:
    """Bytes of all files, caches left out."""
    return sum(p.stat().st_size for p in root.rglob("*") if p.is_file() and ".cache" not in p.parts)


def report(results: list[dict[str, object]], out: Path) -> None:
    """Print the tables and write them with the machine's description."""
    machine = f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}"
    out.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "date": time.strftime("%F"), "results": results}
    (out / "dataset_io.json").write_text(json.dumps(document, indent=2) + "\n")
    print(f"{machine}, {time.strftime('%F')}; {EPISODES} episodes of {STEPS} frames, camera {SIZE}x{SIZE}\n")
    for action in ("write", "read"):
        print(f"| {action} | system | frames per CPU-s | frames per s | times LeRobot (CPU) | bytes |")
        print("|---|---|---|---|---|---|")
        for result in results:
            lines: dict[str, dict[str, float]] = result[action]  # pyright: ignore[reportAssignmentType]
            base = lines["LeRobot 0.4.4"]["frames"] / lines["LeRobot 0.4.4"]["cpu_s"]
            for system, line in lines.items():
                rate = line["frames"] / line["cpu_s"]
                size = f"{line['bytes'] / 1000:,.0f} kB" if "bytes" in line else ""
                wall = line["frames"] / line["wall_s"]
                print(f"| {result['data']} | {system} | {rate:,.0f} | {wall:,.0f} | {rate / base:.1f} | {size} |")
        print()


if __name__ == "__main__":
    main()
