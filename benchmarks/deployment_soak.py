"""A deployment that runs for long: what each process grows by, and whether every episode was played and recorded.

    python benchmarks/deployment_soak.py --policy BUNDLE --robot panda [--minutes 60] [--clock-speed 0.5] [--keep DIR]

Runs ``robot-stack deploy evaluate --sim --hands-free --record`` and samples its processes every 10 s: resident memory,
threads, open files. A listener of its own counts how often the robot became ARMED and notes its latencies.

- Growth of a process is the median of the last quarter over that of the second quarter: caches fill in the first.
- An episode is lost when the robot was ARMED and the dataset does not have it, when its number is missing from
  ``episodes.jsonl``, when it could not be played (``error``), or when the safety chain ended it (``stopped``). Stops
  within 15 s of the emulator's word that the machine stood still are counted apart: a robot whose body falls silent has
  to be stopped. The episode under way at the end counts as recorded only.

Exits with 1 when memory grew by more than 5 % and 10 MB in any process, or an episode was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.hardware.ros.environment import ros_environment

MARKS = {
    "the operator is there": r"operator +\|",
    "the robot node is found": r"operator .*UNCONFIGURED the robot node is (unconfigured|inactive)",
    "the robot listens (IDLE)": r"robot .*UNCONFIGURED → IDLE",
    "the policy is ready": r"policy .*policy ready",
    "the policy drives (ARMED)": r"robot .*HOLD → ARMED",
}
SAMPLE_S = 10.0
MOST_GROWTH_MB = 10.0
WELL = ("success", "horizon", "terminated")
STALL = r"too slow or too busy"
NEAR_S = 15.0


@dataclass
class Heard:
    """What the topics of the robot say; filled by callbacks."""

    armed: int = 0
    """Times the robot became ARMED."""

    latency_ms: list[tuple[float, float]] = field(default_factory=list)
    """Median and 99 % of observation to chunk, one pair a sample [ms of robot time]."""

    decision_s: list[tuple[float, float]] = field(default_factory=list)
    """Likewise of asking the policy [s of robot time]."""

    last: dict[str, str] = field(default_factory=dict)
    """The newest values of the robot's status."""

    newest: dict[str, tuple[float, float]] = field(default_factory=dict)


@contextlib.contextmanager
def listening(domain: int, namespace: str, heard: Heard) -> Iterator[None]:
    """A node that hears the robot, in a thread."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticStatus
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions
    from std_msgs.msg import String

    from robot_stack.deploy.ros_node import latched, reliable

    rclpy.init(domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    node, executor = rclpy.create_node("soak", namespace=namespace), SingleThreadedExecutor()

    def state(message: Any) -> None:
        heard.armed += message.data == "ARMED"

    def status(message: Any, keys: tuple[str, str]) -> None:
        values = {pair.key: pair.value for pair in message.values}
        if keys[0] in values and float(values[keys[0]]) > 0.0:
            heard.newest[keys[0]] = (float(values[keys[0]]), float(values[keys[1]]))
        if "overruns" in values:
            heard.last = values

    node.create_subscription(String, "state", state, latched(20))
    node.create_subscription(
        DiagnosticStatus, "status", lambda m: status(m, ("latency_ms", "latency_p99_ms")), reliable(5)
    )
    node.create_subscription(
        DiagnosticStatus, "policy/status", lambda m: status(m, ("decision median s", "decision p99 s")), reliable(5)
    )
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        rclpy.try_shutdown()
        thread.join(10.0)


def processes_of(marker: str, runner: int) -> dict[str, tuple[float, int, int]]:
    """Of each process whose environment has the marker, and of the runner: resident memory [MB], threads, files."""
    found: dict[str, tuple[float, int, int]] = {}
    for entry in Path("/proc").iterdir():
        try:
            ours = entry.name.isdigit() and marker.encode() in (entry / "environ").read_bytes()
            if not ours and entry.name != str(runner):
                continue
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            said = (entry / "status").read_text()
            files = len(list((entry / "fd").iterdir()))
        except OSError:
            continue
        resident, threads = re.search(r"VmRSS:\s+(\d+)", said), re.search(r"Threads:\s+(\d+)", said)
        if resident is None or threads is None:
            continue
        modules = [w.rpartition(".")[2] for w in words if w.startswith("robot_stack.deploy.") and "child" not in w]
        name = modules[0].removesuffix("_process") if modules else "policy's child"
        name = "runner" if entry.name == str(runner) else name
        if not modules and "spawn_main" not in " ".join(words) and name != "runner":
            name = "helpers of Python"
        memory, count, open_files = found.get(name, (0.0, 0, 0))
        found[name] = (memory + int(resident[1]) / 1000, count + int(threads[1]), open_files + files)
    return found


@dataclass
class Sample:
    """The processes at one moment."""

    time_s: float
    """Since the command [s]."""

    processes: dict[str, tuple[float, int, int]]
    """Resident memory [MB], threads, files of each."""


def listen(process: subprocess.Popen[str], began: float, reached: dict[str, float], kept: Path) -> None:
    """Note when the marks are reached, and keep every line."""
    assert process.stdout is not None
    with kept.open("w") as out:
        for line in process.stdout:
            out.write(f"{time.monotonic() - began:8.1f} {line}")
            out.flush()
            for mark, pattern in MARKS.items():
                if mark not in reached and re.search(pattern, line):
                    reached[mark] = time.monotonic() - began


def report_memory(samples: list[Sample], armed_s: float) -> bool:
    """Print what each process holds; whether one of them grew."""
    whole = [s for s in samples if s.time_s >= armed_s]
    names = sorted({name for sample in whole for name in sample.processes})
    print(f"resident memory [MB], threads and files; {len(whole)} samples from ARMED on:")
    print(f"  {'':20}{'start':>8}{'10 min':>8}{'end':>8}{'slope/h':>9}{'growth':>8}  threads  files")
    grew = False
    for name in names:
        series = [(s.time_s, *s.processes[name]) for s in whole if name in s.processes]
        times, memory = np.array([s[0] for s in series]), np.array([s[1] for s in series])
        later = memory[times >= armed_s + 600.0]
        quarter = max(1, len(memory) // 4)
        before, after = statistics.median(memory[quarter : 2 * quarter]), statistics.median(memory[-quarter:])
        slope = float(np.polyfit(times[quarter:] / 3600, memory[quarter:], 1)[0]) if len(memory) > 8 else float("nan")
        grew |= after - before > MOST_GROWTH_MB and after > 1.05 * before
        ten = f"{later[0]:8.1f}" if len(later) else f"{'–':>8}"
        print(
            f"  {name:20}{memory[0]:8.1f}{ten}{memory[-1]:8.1f}{slope:+9.1f}{100 * (after / before - 1):+7.1f}%"
            f"  {series[0][2]:3d} → {series[-1][2]:<3d} {series[0][3]:3d} → {series[-1][3]}"
        )
    return grew


def report_episodes(folder: Path, heard: Heard) -> bool:
    """Print what became of the episodes; whether one was lost."""
    written = folder / "out" / "episodes.jsonl"
    lines = [json.loads(line) for line in written.read_text().splitlines()] if written.is_file() else []
    episodes = [line for line in lines if "index" in line]
    endings = Counter(str(e["ending"]) for e in episodes)
    numbers = {int(e["index"]) for e in episodes}
    missing = sorted(set(range(max(numbers, default=-1) + 1)) - numbers)
    recorded, frames, left_out = recording_of(folder / "episodes")
    stalled, stops = stops_of(folder / "said.txt")
    lost = len(missing) + sum(count for ending, count in endings.items() if ending not in WELL) - stalled
    unrecorded = heard.armed - recorded
    print(f"episodes played {len(episodes)}, endings {dict(endings)}, numbers missing {missing}, lost {lost}")
    print(f"stopped because the machine stood still: {stalled}")
    for line in stops:
        print(f"  {line}")
    for episode in episodes:
        if episode["error"]:
            print(f"  episode {episode['index']}: {episode['error']}")
    ticks = f"{frames} frames, {left_out} control ticks left out"
    print(f"robot ARMED {heard.armed} times, recorded {recorded}, not recorded {unrecorded}; {ticks}")
    return lost > 0 or unrecorded > 0 or not episodes


def stops_of(said: Path) -> tuple[int, list[str]]:
    """How many episodes were stopped near a time at which the machine stood still, and all lines about stops."""
    lines = [(float(line[:8]), line[8:].strip()) for line in said.read_text().splitlines()]
    stalls = [time_s for time_s, text in lines if re.search(STALL, text)]
    stops = [time_s for time_s, text in lines if re.search(r"evaluator .*\): stopped;", text)]
    told = [f"at {time_s:.0f} s: {text}" for time_s, text in lines if "left ARMED by itself" in text]
    return sum(any(abs(stop - stall) < NEAR_S for stall in stalls) for stop in stops), told


def recording_of(root: Path) -> tuple[int, int, int]:
    """Of a dataset: episodes, frames, control ticks whose observation or picture never came."""
    from robot_stack.datasets.reader import Dataset

    if not (root / "meta" / "info.json").is_file():
        return 0, 0, 0
    with Dataset(root) as data:
        notes = [json.loads(data.episode(k).facts["provenance"]) for k in range(data.num_episodes)]
        ticks = [note.get("ticks", {}) for note in notes]
        return data.num_episodes, data.num_frames, sum(t.get("unobserved", 0) + t.get("pictureless", 0) for t in ticks)


def report_times(heard: Heard, reached: dict[str, float]) -> None:
    """Print start-up and latencies."""
    print("start-up, from the command:")
    for mark in MARKS:
        print(f"  {mark:32}{reached.get(mark, float('nan')):8.1f} s")
    for what, pairs, scale in (
        ("observation to chunk", heard.latency_ms, 1.0),
        ("decision", heard.decision_s, 1000.0),
    ):
        if pairs:
            median, worst = np.median([p[0] for p in pairs]) * scale, np.array([p[1] for p in pairs]) * scale
            print(
                f"{what} [ms of robot time], medians of {len(pairs)} windows: median {median:.0f}, "
                f"99 % {np.median(worst):.0f}, worst window's 99 % {worst.max():.0f}"
            )
    last = heard.last
    keys = ("ticks", "overruns", "worst_late_ms", "late_p99_ms", "chunks_accepted", "chunks_refused", "actions_trimmed")
    print("robot's loop at the end:", ", ".join(f"{key} {last[key]}" for key in keys if key in last))


def main() -> int:
    """Run it and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--policy", required=True)
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clock-speed", type=float, default=1.0)
    parser.add_argument("--domain", type=int, default=160)
    parser.add_argument("--keep", default="", help="folder for logs and results; left out, they are removed")
    args = parser.parse_args()
    # before rclpy is loaded: the wheels' own start-up reads them
    os.environ |= ros_environment(domain=args.domain, discovery="localhost")
    with contextlib.ExitStack() as stack:
        if args.keep:
            folder = Path(args.keep).absolute()
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robot_stack_soak_")))
        return soak(args, folder)


def soak(args: argparse.Namespace, folder: Path) -> int:
    """One run into a folder."""
    words = [sys.executable, "-m", "robot_stack.cli.main", "deploy", "evaluate", "--sim", "--hands-free"]
    words += ["--robot", args.robot, "--policy", args.policy, "--episodes", "100000", "--domain", str(args.domain)]
    words += ["--clock-speed", str(args.clock_speed), "--out", str(folder / "out")]
    words += ["--record", str(folder / "episodes"), "--log-folder", str(folder / "logs")]
    heard, samples, reached, loads = Heard(), [], {}, []
    began = time.monotonic()
    with listening(args.domain, f"/{args.robot}", heard):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = threading.Thread(target=listen, args=(process, began, reached, folder / "said.txt"), daemon=True)
        lines.start()
        while time.monotonic() - began < 60.0 * args.minutes and process.poll() is None:
            time.sleep(SAMPLE_S)
            samples.append(Sample(time.monotonic() - began, processes_of(str(folder / "logs"), process.pid)))
            loads.append(os.getloadavg()[0])
            for key, kept in (("latency_ms", heard.latency_ms), ("decision median s", heard.decision_s)):
                if key in heard.newest:
                    kept.append(heard.newest.pop(key))
        ended_early, before_end = process.poll() is not None, dict(heard.last)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=300)
        lines.join(10.0)
    heard.last = before_end
    ran_s = time.monotonic() - began
    print(
        f"{ran_s / 60:.1f} minutes at clock speed {args.clock_speed:g}; load of the machine's {os.cpu_count()} cores:"
    )
    print(f"  median {statistics.median(loads):.1f}, largest {max(loads):.1f}")
    report_times(heard, reached)
    grew = report_memory(samples, reached.get("the policy drives (ARMED)", 0.0))
    lost = report_episodes(folder, heard)
    if ended_early:
        print(f"it ended by itself after {ran_s:.0f} s")
        print((folder / "logs" / "runner.log").read_text()[-2000:])
    print(f"{'memory GREW' if grew else 'no growth'}, {'episodes LOST' if lost else 'no episode lost'}")
    return int(grew or lost or ended_early)


if __name__ == "__main__":
    sys.exit(main())
