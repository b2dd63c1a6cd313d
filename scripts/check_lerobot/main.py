"""Checks that LeRobot 0.4.4 and robot_stack read each other's datasets, down to every value and decoded frame.

usage: python scripts/check_lerobot/main.py [--lerobot-env .venv-lerobot]
(scripts/make_lerobot_env.sh makes the environment; `make check-lerobot` does both)

One dataset is recorded by LeRobot, three by robot_stack (cameras as video, as PNG images, and with the small files that
a crash leaves). Each is loaded by both, and all that they give is compared with each other and with what was recorded.
Exit code 0 means that nothing differs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from compare import Line, compare_readers, compare_stats, compare_truth
from known_episodes import KnownEpisodes
from our_recording import episodes, record

from robot_stack.datasets.schema import Storage

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run every comparison and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lerobot-env", type=Path, default=Path(".venv-lerobot"))
    args = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder prints only errors
    python = args.lerobot_env / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is missing: run scripts/make_lerobot_env.sh {args.lerobot_env}")
    with tempfile.TemporaryDirectory() as folder:
        lines = check(python, Path(folder))
    print_table(lines)
    sys.exit(1 if any(line.different for line in lines) else 0)


def check(python: Path, folder: Path) -> list[Line]:
    """Both directions, robot_stack's with both ways to keep cameras, and as a crash leaves the files.

    Args:
        python: of LeRobot's environment.
        folder: for the datasets.
    """
    known = KnownEpisodes()
    theirs = folder / "by_lerobot"
    run_lerobot(python, "write", theirs)
    truth = [list(known.frames(i)) for i in range(known.num_episodes)]
    lines = compare_both(python, "LeRobot wrote", theirs, truth)
    ways: list[tuple[str, Storage, bool]] = [
        ("video", "video", True),
        ("image", "image", True),
        ("one file an episode", "video", False),
    ]
    for name, storage, join_files in ways:
        ours = folder / f"by_robot_stack_{name.replace(' ', '_')}"
        record(ours, known, storage, join_files=join_files)
        lines += compare_both(python, f"robot_stack wrote ({name})", ours, episodes(known))
    return lines


def compare_both(python: Path, direction: str, root: Path, truth: list[list[dict[str, Any]]]) -> list[Line]:
    """Load a dataset with both readers and compare them with each other and with what was recorded."""
    dumped = root.with_suffix(".npz")
    run_lerobot(python, "dump", root, dumped)
    return [
        *compare_readers(direction, root, dumped),
        *compare_stats(direction, root, dumped),
        *compare_truth(direction, root, truth),
    ]


def run_lerobot(python: Path, *arguments: object) -> None:
    """Run one command of LeRobot's side."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "SVT_LOG": "1", "HF_HUB_OFFLINE": "1"}
    command = [str(python), str(HERE / "lerobot_side.py"), *map(str, arguments)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"LeRobot failed at {' '.join(map(str, arguments))}:\n{done.stderr[-3000:]}")


def print_table(lines: list[Line]) -> None:
    """One row a comparison, and the sum."""
    print(f"{'dataset':42} {'what':44} {'compared':>10} {'different':>10}  note")
    for line in lines:
        print(f"{line.direction:42} {line.what:44} {line.compared:>10} {line.different:>10}  {line.note}")
    wrong = sum(line.different for line in lines)
    print(f"\n{sum(line.compared for line in lines)} compared, {wrong} different: {'FAILED' if wrong else 'all equal'}")


if __name__ == "__main__":
    main()
