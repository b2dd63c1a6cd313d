"""Training windows per CPU-second, robot_stack beside LeRobot 0.4.4: same dataset, same machine, same run.

LeRobot records both datasets (low-dimensional, and with a 96x96 video). Then each side samples shuffled Diffusion
Policy windows (2 observations, 16 actions) in batches of 64 and hands over torch tensors: values, masks, task index,
task text, images as float32 in [0, 1] with channels first. A few windows are compared number by number.

usage: python benchmarks/dataset_windows.py [--lerobot-env .venv-lerobot] [--seconds 20] [--out FOLDER]
(scripts/make_lerobot_env.sh makes the environment)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from dataset_episodes import BATCH, CAMERA, HORIZON, N_ACTION_STEPS, N_OBS

from robot_stack.datasets.mixture import Mixture
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.stream import BatchStream
from robot_stack.datasets.windows import Batch, Windows, diffusion_windows

HERE = Path(__file__).resolve().parent
BARS = {"lowdim": 100.0, "video": 5.0}


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lerobot-env", type=Path, default=Path(".venv-lerobot"))
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU-seconds for each measurement")
    parser.add_argument("--out", type=Path, default=Path("benchmark_results"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("lowdim", "video"):
            results += compare(kind, Path(folder), args.lerobot_env, args.seconds)
    report(results, args.out)


def compare(kind: str, folder: Path, env: Path, seconds: float) -> list[dict[str, object]]:
    """LeRobot and every way robot_stack has to read this kind of data."""
    root, out = folder / kind, folder / f"{kind}.json"
    run_lerobot(env, "write", root, kind, folder / "write.json")
    run_lerobot(env, "windows", root, str(seconds), out)
    theirs = json.loads(out.read_text())
    rows = [row(kind, "LeRobot 0.4.4", theirs, theirs)]
    observations = ["observation.state", *([CAMERA] if kind == "video" else [])]
    spec = diffusion_windows(observations, n_obs=N_OBS, horizon=HORIZON, n_action_steps=N_ACTION_STEPS)
    ways = {"lowdim": {"columns": 0}, "video": {"decoding": 0, "raw frame cache": 1 << 30}}[kind]
    for name, budget in ways.items():
        begin = time.process_time()
        windows = Windows(Dataset(root), spec, frame_cache_bytes=budget)
        preparation = time.process_time() - begin
        ours = measure(BatchStream(windows, BATCH, seed=0), seconds)
        equal = compare_values(windows, observations, out.with_suffix(".npz"))
        rows.append(row(kind, f"robot_stack, {name}", ours, theirs, preparation, equal))
    return rows


def measure(stream: BatchStream, seconds: float) -> dict[str, float]:
    """Windows through the public stream into torch tensors, for some CPU-seconds."""
    to_torch = like_lerobot(stream.data)
    to_torch(next(stream))
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.process_time() - cpu < seconds:
        to_torch(next(stream))
        count += stream.batch_size
    return {"windows": count, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def like_lerobot(data: Mixture) -> Callable[[Batch], dict[str, object]]:
    """What LeRobot's DataLoader hands over: tensors, images as floats with channels first, task texts."""

    def convert(batch: Batch) -> dict[str, object]:
        out: dict[str, object] = {}
        for name, values in batch.items():
            tensor = torch.from_numpy(values)
            out[name] = tensor.permute(0, 1, 4, 2, 3).to(torch.float32).div_(255) if values.ndim == 5 else tensor
        out["task"] = [data.tasks[i] for i in batch["task_index"]]
        return out

    return convert  # pyright: ignore[reportReturnType]


def compare_values(windows: Windows, observations: list[str], saved: Path) -> str:
    """Compare LeRobot's windows with ours, number by number."""
    theirs = np.load(saved, allow_pickle=False)
    anchors = windows.anchors(np.arange(len(windows)))
    shared = np.flatnonzero(np.isin(theirs["rows"], anchors))  # LeRobot also anchors steps that we drop
    ours = windows.batch(np.searchsorted(anchors, theirs["rows"][shared]))
    checked = 0
    for name in (*observations, "action", *(f"{n}_is_pad" for n in (*observations, "action")), "task_index"):
        mine, other = ours[name], theirs[name][shared]
        if name == CAMERA:
            mine = mine.transpose(0, 1, 4, 2, 3).astype(np.float32) / np.float32(255)
        if not np.array_equal(mine, other.reshape(mine.shape)):
            return f"{name} DIFFERS"
        checked += mine.size
    return f"{len(shared)} windows, {checked} numbers equal"


def run_lerobot(env: Path, *arguments: object) -> None:
    """Run LeRobot's side in its environment."""
    python = env / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is missing: run scripts/make_lerobot_env.sh {env}")
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "SVT_LOG": "1", "HF_HUB_OFFLINE": "1"}
    command = [str(python), str(HERE / "in_lerobot.py"), *map(str, arguments)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"LeRobot failed:\n{done.stderr[-2000:]}")


def row(
    kind: str,
    reader: str,
    result: dict[str, float],
    baseline: dict[str, float],
    preparation: float = 0.0,
    equal: str = "",
) -> dict[str, object]:
    """One line of the table."""
    rate = result["windows"] / result["cpu_s"]
    ratio = rate / (baseline["windows"] / baseline["cpu_s"])
    line = {"data": kind, "reader": reader, "windows_per_cpu_s": rate, "times_lerobot": ratio, **result}
    line |= {"preparation_cpu_s": preparation, "comparison": equal}
    if result is not baseline:
        line |= {"bar": BARS[kind], "bar_met": ratio >= BARS[kind]}
    return line


def report(results: list[dict[str, object]], out: Path) -> None:
    """Print the table and write it with the machine's description."""
    machine = (
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    out.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "date": time.strftime("%F"), "results": results}
    (out / "dataset_windows.json").write_text(json.dumps(document, indent=2) + "\n")
    print(
        f"{machine}, {time.strftime('%F')}; windows of {N_OBS} observations and {HORIZON} actions, batches of {BATCH}\n"
    )
    print("| data | reader | windows per CPU-s | times LeRobot | bar | preparation CPU-s | comparison |")
    print("|---|---|---|---|---|---|---|")
    for line in results:
        bar = f"{line['bar']:.0f}: {'met' if line['bar_met'] else 'MISSED'}" if "bar" in line else ""
        print(
            f"| {line['data']} | {line['reader']} | {line['windows_per_cpu_s']:,.0f} | {line['times_lerobot']:,.1f} "
            f"| {bar} | {line['preparation_cpu_s']:.2f} | {line['comparison']} |"
        )
    if not all(line.get("bar_met", True) and "DIFFERS" not in str(line["comparison"]) for line in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
