"""Processor, memory and clocks: whether a control loop can keep its times here."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from robot_stack.cli.doctor_checks.check import Check, Ground

_SLEEPS = 100
_SLEEP_S = 0.001
_LATE_S = 0.005
_LITTLE_MEMORY = 4 * 2**30
_COARSE_CLOCK_S = 1e-4
_OLDEST_DATE = 1_735_689_600  # 2025-01-01


def check(ground: Ground) -> list[Check]:
    """Count cores and memory, and wake up a hundred times."""
    return [_processor(), _memory(), _clock()]


def _processor() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    details = {"cores": cores, "load_1min": load, "machine": platform.machine()}
    found = f"{cores} cores ({platform.machine()}), load {load:.1f}"
    if load > 2 * cores:
        return Check("processor", "warning", found, "other programs fill the processor: timings will suffer", details)
    return Check("processor", "works", found, details=details)


def _memory() -> Check:
    total, free = _meminfo()
    if total == 0:
        return Check("memory", "works", "this system does not tell")
    found = f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} GiB available"
    details = {"total_bytes": total, "available_bytes": free}
    if free < _LITTLE_MEMORY:
        return Check("memory", "warning", found, "close other programs: training wants 4 GiB and more", details)
    return Check("memory", "works", found, details=details)


def _meminfo() -> tuple[int, int]:
    """Total and available bytes, zeros where the system does not tell."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return 0, 0
    entries = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return tuple(int(entries[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))  # type: ignore[return-value]


def _clock() -> Check:
    resolution = time.get_clock_info("monotonic").resolution
    late = sorted(_lateness() for _ in range(_SLEEPS))
    median, worst = late[len(late) // 2], late[-1]
    details = {"resolution_s": resolution, "median_late_s": median, "worst_late_s": worst}
    found = f"wakes up {median * 1e3:.2f} ms late in the middle, {worst * 1e3:.1f} ms at worst"
    if time.time() < _OLDEST_DATE:
        remedy = "set the date: recordings carry it (timedatectl set-ntp true)"
        return Check("clock", "broken", f"the date is {time.strftime('%F')}", remedy, details)
    if resolution > _COARSE_CLOCK_S or median > _LATE_S:
        remedy = "control loops above 50 Hz will miss deadlines: use a quieter machine or a real-time kernel"
        return Check("clock", "warning", found, remedy, details)
    return Check("clock", "works", found, details=details)


def _lateness() -> float:
    due = time.monotonic() + _SLEEP_S
    time.sleep(_SLEEP_S)
    return max(0.0, time.monotonic() - due)
