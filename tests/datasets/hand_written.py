"""A LeRobotDataset v3.0 made by hand from pyarrow and PyAV, for tests of reading that need no writer of ours."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FPS = 10
CAMERA = "observation.images.top"


def values(name: str, rows: np.ndarray, size: int) -> np.ndarray:
    """Numbers that tell feature, row and place: float32 of shape ``(n, size)``."""
    code = sum(name.encode()) % 97
    return (rows[:, None] * 10 + np.arange(size) + code / 100).astype(np.float32)


def write_dataset(
    root: Path,
    lengths: list[int],
    *,
    state: int = 3,
    action: int = 2,
    episodes_per_file: int = 2,
    tasks: tuple[str, ...] = ("push", "pull"),
    video_size: int = 0,
    gop: int = 4,
    codec: str = "libx264",
    row_group: int = 5,
    first_episode: int = 0,
) -> Path:
    """Write (or, with ``first_episode``, extend) a dataset whose values come from :func:`values`.

    With ``video_size`` there is one camera whose frames come from :func:`image`.
    """
    features = {
        "observation.state": {"dtype": "float32", "shape": [state], "names": None},
        "action": {"dtype": "float32", "shape": [action], "names": None},
        "next.reward": {"dtype": "float32", "shape": [1], "names": None},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **{k: {"dtype": "int64", "shape": [1], "names": None} for k in ("frame_index", "episode_index", "index")},
        "task_index": {"dtype": "int64", "shape": [1], "names": None},
    }
    if video_size:
        features[CAMERA] = {
            "dtype": "video",
            "shape": [video_size, video_size, 3],
            "names": ["height", "width", "channels"],
        }
    start = np.concatenate([[0], np.cumsum(lengths)])
    table: list[dict[str, object]] = []
    for episode, length in enumerate(lengths):
        file = episode // episodes_per_file
        first_in_file = file * episodes_per_file
        row: dict[str, object] = {"episode_index": episode, "tasks": [tasks[episode % len(tasks)]], "length": length}
        row |= {"data/chunk_index": file // 2, "data/file_index": file % 2}
        row |= {"dataset_from_index": int(start[episode]), "dataset_to_index": int(start[episode + 1])}
        if video_size:
            begin = float(start[episode] - start[first_in_file]) / FPS
            row |= {f"videos/{CAMERA}/chunk_index": file // 2, f"videos/{CAMERA}/file_index": file % 2}
            row |= {f"videos/{CAMERA}/from_timestamp": begin, f"videos/{CAMERA}/to_timestamp": begin + length / FPS}
        table.append(row)
    for file in range(first_episode // episodes_per_file, -(-len(lengths) // episodes_per_file)):
        inside = range(file * episodes_per_file, min((file + 1) * episodes_per_file, len(lengths)))
        where = f"chunk-{file // 2:03d}/file-{file % 2:03d}"
        _write_rows(root / "data" / f"{where}.parquet", inside, lengths, start, (state, action), len(tasks), row_group)
        if video_size:
            rows = [(e, t) for e in inside for t in range(lengths[e])]
            write_video(root / "videos" / CAMERA / f"{where}.mp4", rows, video_size, gop=gop, codec=codec)
    episodes = root / "meta/episodes/chunk-000/file-000.parquet"
    episodes.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(table), episodes)
    pq.write_table(pa.table({"task_index": list(range(len(tasks))), "task": list(tasks)}), root / "meta/tasks.parquet")
    info = {"codebase_version": "v3.0", "robot_type": "hand", "fps": FPS, "features": features}
    info |= {"total_episodes": len(lengths), "total_frames": int(start[-1]), "total_tasks": len(tasks)}
    info |= {"data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"}
    info |= {"video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"}
    (root / "meta/info.json").write_text(json.dumps(info))
    return root


def image(episode: int, t: int, size: int) -> np.ndarray:
    """A picture that tells episode and step: four flat quarters, uint8 of shape ``(size, size, 3)``."""
    half = size // 2
    out = np.zeros((size, size, 3), dtype=np.uint8)
    out[:half, :half] = 20 + 12 * (t % 16)
    out[:half, half:] = 20 + 12 * (t // 16)
    out[half:, :half] = 30 + 25 * (episode % 8)
    out[half:, half:] = (200, 90, 40)
    return out


def tell(frame: np.ndarray) -> tuple[int, int]:
    """Episode and step that a decoded :func:`image` shows."""
    size = len(frame)
    a, b = size // 4, 3 * size // 4
    low, high, episode = (round(float(frame[y, x].mean())) for y, x in ((a, a), (a, b), (b, a)))
    return round((episode - 30) / 25), round((high - 20) / 12) * 16 + round((low - 20) / 12)


def write_video(
    path: Path,
    rows: list[tuple[int, int]],
    size: int,
    *,
    gop: int,
    codec: str,
    more: dict[str, str] | None = None,
) -> None:
    """Encode the images of ``(episode, step)`` pairs at :data:`FPS`, with ``more`` options for the encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"g": str(gop), "crf": "10"} | ({"preset": "12", "svtav1-params": "lp=1"} if "av1" in codec else {})
        stream = container.add_stream(codec, rate=FPS, options=options | (more or {}))
        stream.width = stream.height = size  # pyright: ignore[reportAttributeAccessIssue]
        stream.pix_fmt = "yuv420p"  # pyright: ignore[reportAttributeAccessIssue]
        for episode, t in rows:
            frame = av.VideoFrame.from_ndarray(image(episode, t, size), format="rgb24")
            container.mux(stream.encode(frame))  # pyright: ignore[reportAttributeAccessIssue]
        container.mux(stream.encode(None))  # pyright: ignore[reportAttributeAccessIssue]


def _write_rows(
    path: Path,
    episodes: range,
    lengths: list[int],
    start: np.ndarray,
    sizes: tuple[int, int],
    num_tasks: int,
    row_group: int,
) -> None:
    episode = np.concatenate([np.full(lengths[e], e) for e in episodes])
    step = np.concatenate([np.arange(lengths[e]) for e in episodes])
    rows = start[episode] + step
    columns = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(values(name, rows, size).ravel()), size)
        for name, size in (("observation.state", sizes[0]), ("action", sizes[1]))
    }
    columns |= {
        "next.reward": pa.array(values("next.reward", rows, 1)[:, 0]),
        "timestamp": pa.array((step / FPS).astype(np.float32)),
        "frame_index": pa.array(step),
        "episode_index": pa.array(episode),
        "index": pa.array(rows),
        "task_index": pa.array(episode % num_tasks),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=row_group)
