"""ROS messages by package name: the installed package where there is one, ours, generated and compiled, where not.

``messages("unitree_hg").msg.LowCmd`` is a class of messages as any other. The first call on a machine takes some ten
seconds; later ones find the finished folder in the user's cache (``$XDG_CACHE_HOME/robot_stack/ros_messages``).
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from robot_stack.core.atomic import fsync_folder, fsync_tree, storage_errors
from robot_stack.core.errors import MissingExtraError
from robot_stack.hardware.ros.generate.compiler import MessageBuildError, compile_sources, require_compiler
from robot_stack.hardware.ros.generate.definitions import Definitions, definitions
from robot_stack.hardware.ros.generate.prefixes import ros_prefixes, share_of

BUILDER = 2
"""Counts changes of how packages are built: folders of earlier builders are not used."""

_LOAD = threading.Lock()
_KINDS = (
    "rosidl_generator_c",
    "rosidl_typesupport_introspection_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_c",
    "rosidl_generator_py",
)


def messages(package: str) -> ModuleType:
    """The Python package of a ROS interface package, with its ``msg``, ``srv`` and ``action`` loaded.

    Args:
        package: ``"unitree_hg"``, ``"unitree_api"``, ``"control_msgs"`` or any that is installed.

    Raises:
        UnknownNameError: if it is neither installed nor defined here.
        MissingExtraError: if ROS 2 is not installed.
        MessageBuildError: if it must be compiled and cannot be.
    """
    with _LOAD:
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            _use(built(package), package)
        module = importlib.import_module(package)
        for kind in ("msg", "srv", "action"):
            if importlib.util.find_spec(f"{package}.{kind}") is not None:
                importlib.import_module(f"{package}.{kind}")
        return module


def built(package: str) -> Path:
    """The folder with the Python package and its libraries, made if it is not there; for other processes, too.

    Raises:
        UnknownNameError: if robot_stack has no such package.
        MissingExtraError: if ROS 2 is not installed.
        MessageBuildError: if it cannot be compiled.
        StorageError: if the cache cannot be written.
    """
    wanted = definitions(package)
    share_of("rosidl_generator_py")
    target = cache_folder() / f"{package}-{build_key(wanted)}"
    if target.is_dir():
        return target
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f".{target.name}.lock")):
            if not target.is_dir():
                _build(wanted, target)
    return target


def cache_folder() -> Path:
    """Where finished packages are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "robot_stack" / "ros_messages"


def build_key(wanted: Definitions) -> str:
    """What a compiled package depends on, as 16 hexadecimal digits."""
    import numpy as np

    try:
        ros = importlib.metadata.version("ros-rclpy")
    except importlib.metadata.PackageNotFoundError:
        ros = os.environ.get("ROS_DISTRO", "")
    facts = {
        "builder": BUILDER,
        "texts": wanted.texts,
        "python": sysconfig.get_config_var("EXT_SUFFIX"),
        "numpy": np.__version__.split(".")[0],
        "ros": ros,
        "prefixes": [str(prefix) for prefix in ros_prefixes()],
        "machine": platform.machine(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _build(wanted: Definitions, target: Path) -> None:
    """Make ``target`` whole, or not at all; leftovers of a build that was killed are taken away first."""
    require_compiler()
    for leftover in target.parent.glob(f".{target.name}.build-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.build-", dir=target.parent) as folder:
        out = Path(folder)
        command = [sys.executable, "-m", "robot_stack.hardware.ros.generate.sources", wanted.package, str(out)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise MessageBuildError(
                f"ROS's generators refused the definitions of {wanted.package!r}",
                got=(done.stderr or done.stdout).strip()[-2000:],
                remedy="Kilted's generators are known to work: pip install 'robot_stack[ros]'",
            )
        finished = compile_sources(wanted, out, ros_prefixes())
        fsync_tree(finished)
        finished.rename(target)
        fsync_folder(target.parent)


def _use(folder: Path, package: str) -> None:
    """Make a finished folder importable.

    ROS opens the libraries of a message package by their bare names. The loader answers with one that is already open
    under that name, so they are opened here; LD_LIBRARY_PATH cannot be changed in a process that runs.
    """
    for kind in _KINDS:
        ctypes.CDLL(str(folder / "lib" / f"lib{package}__{kind}.so"))
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process builds the same; the lock goes with its holder, even on kill -9."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


__all__ = ["MessageBuildError", "MissingExtraError", "build_key", "built", "cache_folder", "messages"]
