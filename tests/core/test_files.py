"""Atomic files and folder locks."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robot_stack.core.atomic import atomic_path, write_bytes, write_json
from robot_stack.core.errors import LockedError, StorageError
from robot_stack.core.lock import FolderLock


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"v": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert json.loads(target.read_text()) == {"v": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_holds_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"v": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    target = tmp_path / "big.bin"
    write_bytes(target, b"old")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(StorageError, match="free disk space"), atomic_path(target), full.open("wb") as out:
        out.write(b"x" * 100_000)
        out.flush()
    assert target.read_bytes() == b"old"


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "big.bin"
    write_bytes(target, b"old")
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from robot_stack.core.atomic import write_bytes\n"
        "write_bytes(sys.argv[1], b'x' * 5000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "StorageError: cannot write: File too large" in done.stderr
    assert target.read_bytes() == b"old"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_two_holders_are_refused_and_named(tmp_path: Path) -> None:
    with FolderLock(tmp_path, what="dataset"):
        with pytest.raises(LockedError, match=f'"pid": {os.getpid()}') as caught:
            FolderLock(tmp_path, what="dataset")
        assert "dataset" in caught.value.message
    FolderLock(tmp_path).release()


def test_kill_releases_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom robot_stack.core.lock import FolderLock\n"
        "lock = FolderLock(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=f'"pid": {child.pid}'):
        FolderLock(tmp_path)
    child.send_signal(signal.SIGKILL)
    child.wait()
    FolderLock(tmp_path).release()
