"""The disk that data will go to: free space, and how fast it really keeps what is written (fsync)."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from robot_stack.cli.doctor_checks.check import Check, Ground

_BLOCK = 4 << 20
_BLOCKS = 8
_SMALL_WRITES = 16
_LITTLE_SPACE = 5 * 10**9
_NO_SPACE = 2 * 10**8
_SLOW_SYNC_S = 0.05
_SLOW_BYTES_S = 20e6


def check(ground: Ground) -> list[Check]:
    """Write 32 MB and some small records into the folder, durably."""
    try:
        ground.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=ground.folder) as scratch:
            rate, latency = _measure(Path(scratch))
    except OSError as error:
        remedy = "choose a folder you may write to with --folder, or free disk space"
        return [Check("disk", "broken", f"cannot write to {ground.folder}: {error.strerror or error}", remedy)]
    free = shutil.disk_usage(ground.folder).free
    details = {"free_bytes": free, "write_bytes_s": round(rate), "fsync_s": latency, "folder": str(ground.folder)}
    found = f"{free / 1e9:.1f} GB free, {rate / 1e6:.0f} MB/s durably, a small record in {latency * 1e3:.1f} ms"
    if free < _NO_SPACE:
        return [Check("disk", "broken", found, "free disk space: a recording would stop at once", details)]
    if free < _LITTLE_SPACE:
        return [Check("disk", "warning", found, "free disk space before recording video", details)]
    if latency > _SLOW_SYNC_S or rate < _SLOW_BYTES_S:
        return [
            Check("disk", "warning", found, "record to a local SSD rather than a network or SD-card folder", details)
        ]
    return [Check("disk", "works", found, details=details)]


def _measure(folder: Path) -> tuple[float, float]:
    """Bytes per second of durable large writes, and the median time of a small one [s]."""
    block = os.urandom(_BLOCK)
    began = time.perf_counter()
    with (folder / "large").open("wb") as stream:
        for _ in range(_BLOCKS):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    rate = _BLOCK * _BLOCKS / (time.perf_counter() - began)
    times = []
    with (folder / "small").open("wb", buffering=0) as stream:
        for _ in range(_SMALL_WRITES):
            began = time.perf_counter()
            stream.write(block[:4096])
            os.fsync(stream.fileno())
            times.append(time.perf_counter() - began)
    return rate, statistics.median(times)
