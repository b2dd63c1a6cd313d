"""The half of the LeRobot check that runs inside LeRobot's own environment; robot_stack is not importable here.

commands:
    write ROOT [--size PIXELS] [--episodes N]   LeRobot writes a dataset of the episodes in known_episodes.py
    dump ROOT OUT                               LeRobot loads a dataset and saves every value and frame to OUT (.npz)
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from known_episodes import FPS, LENGTHS, KnownEpisodes
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def write(root: Path, size: int, episodes: int) -> None:
    """Write the known episodes with LeRobot's own recorder.

    Args:
        root: folder to create.
        size: image side [pixel].
        episodes: how many.
    """
    known = KnownEpisodes(size=size, num_episodes=episodes)
    dataset = LeRobotDataset.create(
        repo_id="check/known",
        fps=FPS,
        features=known.features(),
        root=root,
        robot_type="known",
        use_videos=True,
        video_backend="pyav",
    )
    for episode in range(known.num_episodes):
        for frame in known.frames(episode):
            dataset.add_frame(frame)
        dataset.save_episode(parallel_encoding=False)
    dataset.finalize()


def dump(root: Path, out: Path) -> None:
    """Load a dataset through LeRobotDataset, frame by frame, and save everything it gives.

    Args:
        root: the dataset.
        out: the ``.npz`` to write; camera frames as uint8 ``(N, H, W, 3)``.
    """
    dataset = LeRobotDataset("check/any", root=root, video_backend="pyav")
    columns: dict[str, list[np.ndarray]] = {}
    texts: dict[str, list[str]] = {"task": []}
    for row in range(len(dataset)):
        item = dataset[row]
        for name, value in item.items():
            if isinstance(value, torch.Tensor):
                array = value.numpy()
                if name in dataset.meta.camera_keys:
                    array = np.round(array.transpose(1, 2, 0) * 255).astype(np.uint8)
                columns.setdefault(name, []).append(array)
            elif isinstance(value, str):
                texts.setdefault(name, []).append(value)
    arrays = {name: np.stack(values) for name, values in columns.items()}
    facts = {
        "fps": dataset.fps,
        "num_episodes": dataset.num_episodes,
        "num_frames": dataset.num_frames,
        "cameras": sorted(dataset.meta.camera_keys),
        "tasks": {str(text): int(i) for text, i in dataset.meta.tasks["task_index"].items()},
        "episode_tasks": [sorted(episode["tasks"]) for episode in dataset.meta.episodes],
        "episode_lengths": [int(episode["length"]) for episode in dataset.meta.episodes],
        "stats": {
            feature: {name: np.asarray(value).tolist() for name, value in entries.items()}
            for feature, entries in dataset.meta.stats.items()
        },
        "texts": texts,
    }
    arrays["__facts__"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    np.savez_compressed(out, allow_pickle=False, **arrays)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("root", type=Path)
    writing.add_argument("--size", type=int, default=64)
    writing.add_argument("--episodes", type=int, default=len(LENGTHS))
    dumping = commands.add_parser("dump")
    dumping.add_argument("root", type=Path)
    dumping.add_argument("out", type=Path)
    args = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    if args.command == "write":
        write(args.root, args.size, args.episodes)
    else:
        dump(args.root, args.out)


if __name__ == "__main__":
    main()
