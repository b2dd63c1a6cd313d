"""LeRobot's side of the dataset benchmarks; runs inside LeRobot's own environment, robot_stack is not importable here.

commands:
    write ROOT KIND OUT      record episodes with LeRobot's recorder (KIND: lowdim, image or video), times to OUT (JSON)
    windows ROOT SECONDS OUT sample Diffusion Policy windows through LeRobot's DataLoader, rate and some windows to OUT
    frames ROOT SECONDS OUT  read single frames in random order, rate to OUT
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dataset_episodes import BATCH, CAMERA, EPISODES, FPS, HORIZON, N_OBS, STEPS, TASK, episode, features
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def write(root: Path, kind: str, out: Path) -> None:
    """Record the benchmark's episodes and say how long it took."""
    dataset = LeRobotDataset.create(
        repo_id="bench/any", fps=FPS, features=features(kind), root=root, use_videos=True, video_backend="pyav"
    )
    episodes = [list(episode(i, kind)) for i in range(EPISODES)]  # made before the clock starts
    cpu, wall = time.process_time(), time.perf_counter()
    for frames in episodes:
        for frame in frames:
            dataset.add_frame({**frame, "task": TASK})
        dataset.save_episode(parallel_encoding=False)
    dataset.finalize()
    result: dict[str, float] = {"frames": EPISODES * STEPS}
    result |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    out.write_text(json.dumps(result))


def windows(root: Path, seconds: float, out: Path) -> None:
    """Sample shuffled windows in batches for some CPU-seconds, then save a few windows for comparison."""
    info = json.loads((root / "meta/info.json").read_text())
    observations = [name for name in ("observation.state", CAMERA) if name in info["features"]]
    delta = {name: [i / FPS for i in range(1 - N_OBS, 1)] for name in observations}
    delta["action"] = [i / FPS for i in range(1 - N_OBS, 1 - N_OBS + HORIZON)]
    dataset = LeRobotDataset("bench/any", root=root, delta_timestamps=delta, video_backend="pyav")
    dataset[0]
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=0, generator=generator)
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.process_time() - cpu < seconds:
        for batch in loader:
            count += len(batch["action"])
            if time.process_time() - cpu >= seconds:
                break
    result = {"windows": count, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    out.write_text(json.dumps(result))
    rows = np.linspace(0, len(dataset) - 1, 24).astype(int)
    items = [dataset[int(row)] for row in rows]
    names = [*observations, "action", *(f"{name}_is_pad" for name in (*observations, "action")), "task_index"]
    arrays = {name: torch.stack([item[name] for item in items]).numpy() for name in names}
    np.savez(out.with_suffix(".npz"), allow_pickle=False, rows=rows, **arrays)


def frames(root: Path, seconds: float, out: Path) -> None:
    """Read single frames, everything in them, in random order."""
    dataset = LeRobotDataset("bench/any", root=root, video_backend="pyav")
    dataset[0]
    rng = np.random.default_rng(0)
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.process_time() - cpu < seconds:
        dataset[int(rng.integers(len(dataset)))]
        count += 1
    result = {"frames": count, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    command, root = sys.argv[1], Path(sys.argv[2])
    if command == "write":
        write(root, sys.argv[3], Path(sys.argv[4]))
    elif command == "windows":
        windows(root, float(sys.argv[3]), Path(sys.argv[4]))
    else:
        frames(root, float(sys.argv[3]), Path(sys.argv[4]))
