"""A deployment that runs for long: start-up times, memory of every process, episodes that were lost.

    python benchmarks/deployment_soak.py --policy BUNDLE --robot panda [--minutes 60] [--clock-speed 0.5]

Runs ``robot-stack deploy evaluate --sim --hands-free`` and samples the resident memory of each of its processes every
10 s. Growth is the median of the last quarter over that of the second quarter: caches fill in the first. An episode is
lost when its number is missing from ``episodes.jsonl``, or when it ended neither in success nor at the horizon.
Exits with 1 when memory grew by more than 5 % and 10 MB in any process, or an episode was lost.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MARKS = {
    "the operator is there": r"operator +\|",
    "the robot node is found": r"operator .*UNCONFIGURED the robot node is (unconfigured|inactive)",
    "the robot listens (IDLE)": r"robot .*UNCONFIGURED → IDLE",
    "the policy is ready": r"policy .*policy ready",
    "the policy drives (ARMED)": r"robot .*HOLD → ARMED",
}
SAMPLE_S = 10.0
WELL = ("success", "horizon", "timeout")


def memory_of(marker: str) -> dict[str, float]:
    """Resident memory of each process whose environment has the marker [MB]."""
    found: dict[str, float] = {}
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or marker.encode() not in (entry / "environ").read_bytes():
                continue
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            resident = re.search(r"VmRSS:\s+(\d+)", (entry / "status").read_text())
        except OSError:
            continue
        name = next(
            (w.rpartition(".")[2] for w in words if w.startswith("robot_stack.deploy.") and "child" not in w), ""
        )
        name = name or ("policy's child" if "multiprocessing" in " ".join(words) else words[0])
        if resident:
            found[name] = found.get(name, 0.0) + int(resident[1]) / 1000
    return found


def listen(process: subprocess.Popen[str], began: float, reached: dict[str, float]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        for mark, pattern in MARKS.items():
            if mark not in reached and re.search(pattern, line):
                reached[mark] = time.monotonic() - began


def report(samples: list[dict[str, float]], episodes: list[dict[str, object]], reached: dict[str, float]) -> bool:
    print("start-up, from the command:")
    for mark in MARKS:
        print(f"  {mark:32}{reached.get(mark, float('nan')):8.1f} s")
    names = sorted({name for sample in samples for name in sample})
    grew = False
    print(f"memory [MB], {len(samples)} samples:    second quarter   last quarter   growth")
    for name in names:
        values = [sample[name] for sample in samples if name in sample]
        quarter = max(1, len(values) // 4)
        before, after = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
        grew |= after - before > 10.0 and after > 1.05 * before
        print(f"  {name:28}{before:16.1f}{after:15.1f}{100 * (after / before - 1):+8.1f} %")
    numbers = [int(str(e["index"])) for e in episodes]
    missing = sorted(set(range(max(numbers, default=-1) + 1)) - set(numbers))
    endings = {str(e["ending"]): sum(o["ending"] == e["ending"] for o in episodes) for e in episodes}
    lost = len(missing) + sum(count for ending, count in endings.items() if ending not in WELL)
    print(f"episodes: {len(episodes)}, endings {endings}, missing {missing}, lost {lost}")
    return not grew and lost == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--policy", required=True)
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clock-speed", type=float, default=1.0)
    parser.add_argument("--domain", type=int, default=160)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="robot_stack_soak_") as name:
        folder, began = Path(name), time.monotonic()
        words = [sys.executable, "-m", "robot_stack.cli.main", "deploy", "evaluate", "--sim", "--hands-free"]
        words += ["--robot", args.robot, "--policy", args.policy, "--episodes", "100000", "--domain", str(args.domain)]
        words += ["--clock-speed", str(args.clock_speed), "--out", str(folder / "out")]
        words += ["--log-folder", str(folder / "logs")]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        reached: dict[str, float] = {}
        threading.Thread(target=listen, args=(process, began, reached), daemon=True).start()
        samples: list[dict[str, float]] = []
        while time.monotonic() - began < 60.0 * args.minutes and process.poll() is None:
            time.sleep(SAMPLE_S)
            samples.append(memory_of(str(folder / "logs")))
        ended_early = process.poll() is not None
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
        written = folder / "out" / "episodes.jsonl"
        lines = written.read_text().splitlines() if written.is_file() else []
        episodes = [entry for line in lines if "index" in (entry := json.loads(line))]
        good = report(samples, episodes, reached) and not ended_early
        if ended_early:
            print(f"it ended by itself after {time.monotonic() - began:.0f} s")
            print((folder / "logs" / "runner.log").read_text()[-2000:])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
