"""Run folders: everything about one training run in one place.

``runs/<date>_<name>_<hash6>/`` holds ``config.json``, ``command.txt``, ``environment.json`` (revision, versions),
``git.diff`` (uncommitted changes), ``events.jsonl``, ``log.txt``, ``checkpoints/``, ``tensorboard/`` and ``STATUS``.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from robot_stack.core import atomic, provenance
from robot_stack.core.config_json import fingerprint_of, to_plain
from robot_stack.core.errors import CheckpointError, ConfigError, LockedError
from robot_stack.core.lock import FolderLock
from robot_stack.training.checkpoint import CheckpointFolder
from robot_stack.training.event_log import EventLog


class Run:
    """A run folder held open by one process; use it as a context manager.

    Leaving the block because of an error writes ``crashed`` and the error into ``STATUS``.

    Args:
        folder: an existing run folder (see :func:`create_run` and :func:`open_run`).
        keep_checkpoints: how many to keep.

    Raises:
        LockedError: if another process holds the folder.
    """

    def __init__(self, folder: Path, *, keep_checkpoints: int = 3) -> None:
        self.folder = folder
        self._lock = FolderLock(folder, what="run folder")
        self.checkpoints = CheckpointFolder(folder / "checkpoints", keep_checkpoints)
        self.events = EventLog(folder / "events.jsonl")
        self._log = (folder / "log.txt").open("a", encoding="utf-8")

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        return f"robot-stack train --resume {shlex.quote(str(self.folder))}"

    def config(self) -> dict[str, Any]:
        """What the run was started with, as plain data."""
        return read_config(self.folder)

    def log(self, text: str) -> None:
        """Append a line to ``log.txt``."""
        with atomic.storage_errors(self.folder / "log.txt"):
            self._log.write(f"{time.strftime('%F %T')}  {text}\n")
            self._log.flush()

    def set_status(self, state: str, reason: str = "") -> None:
        """Write ``STATUS``: ``running``, ``finished``, ``interrupted`` or ``crashed``, and why."""
        atomic.write_text(self.folder / "STATUS", f"{state}\n{reason}\n" if reason else f"{state}\n")

    def close(self) -> None:
        """Let others in; idempotent."""
        self.events.close()
        self._log.close()
        self._lock.release()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                # What ended the run may be a full disk: the record of it must not hide it.
                with contextlib.suppress(Exception):
                    self.set_status("crashed", f"{type(error).__name__}: {error}")
                    self.log(f"crashed: {type(error).__name__}: {error}")
        finally:
            self.close()


def create_run(
    root: Path, name: str, config: Any, *, command: list[str] | None = None, keep_checkpoints: int = 3
) -> Run:
    """Make and open a new run folder.

    Args:
        root: folder of all runs.
        name: what the run is about, in a word or two.
        config: frozen dataclass or plain data; kept in ``config.json``.
        command: arguments the process was started with; ``sys.argv`` by default.
        keep_checkpoints: how many to keep.

    Raises:
        ConfigError: if ``name`` is no file name.
        StorageError: if the file system refuses.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise ConfigError("a run needs a name of letters, digits, '.', '_', '+', '-'", got=repr(name))
    stem = f"{time.strftime('%Y-%m-%d')}_{name}_{fingerprint_of(config)[:6]}"
    folder = _new_folder(root, stem)
    return fill_run(folder, config, command=command, keep_checkpoints=keep_checkpoints)


def fill_run(folder: Path, config: Any, *, command: list[str] | None = None, keep_checkpoints: int = 3) -> Run:
    """Make ``folder`` a run folder and open it.

    Args:
        folder: empty, or not there yet.
        config: see :func:`create_run`.
        command: see :func:`create_run`.
        keep_checkpoints: how many to keep.

    Raises:
        ConfigError: if there is a run in it already.
    """
    run = Run(folder, keep_checkpoints=keep_checkpoints)
    try:
        if (folder / "config.json").exists():
            raise ConfigError(
                "there is a run in this folder already",
                where=folder,
                remedy=f"go on with it by `{run.resume_command}`, or choose another folder",
            )
        atomic.write_text(folder / "command.txt", shlex.join(sys.argv if command is None else command) + "\n")
        atomic.write_json(folder / "environment.json", {**provenance.collect(), "packages": installed_packages()})
        atomic.write_text(folder / "git.diff", _uncommitted())
        atomic.write_json(folder / "config.json", to_plain(config))
        run.set_status("running")
    except BaseException:
        run.close()
        raise
    return run


def open_run(folder: Path, *, keep_checkpoints: int = 3) -> Run:
    """Open an existing run folder to go on with it.

    Raises:
        CheckpointError: if there is no run in it.
        LockedError: if another process holds it.
    """
    read_config(folder)
    return Run(folder, keep_checkpoints=keep_checkpoints)


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a run folder as plain data.

    Raises:
        CheckpointError: if it is missing or damaged.
    """
    path = folder / "config.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            "this is no run folder, or its config.json is damaged",
            where=path,
            got=str(error),
            remedy="give a folder that a training run has made (runs/<date>_<name>_<hash>)",
        ) from error


def read_status(folder: Path) -> tuple[str, str]:
    """State and reason of a run; a run that says ``running`` while no process holds it has ``crashed``."""
    path = folder / "STATUS"
    state, _, reason = path.read_text().strip().partition("\n") if path.is_file() else ("crashed", "", "")
    if state != "running":
        return state, reason
    try:
        FolderLock(folder, what="run folder").release()
    except LockedError:
        return "running", ""
    return "crashed", "the process ended without a word (killed, or out of memory)"


def installed_packages() -> list[str]:
    """``name==version`` of every installed distribution, sorted."""
    found = {f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return sorted(found, key=str.lower)


def _new_folder(root: Path, stem: str) -> Path:
    with atomic.storage_errors(root):
        for number in range(1, 10_000):
            folder = root / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                continue
    raise ConfigError("there are too many runs of this name today", where=root, got=stem)


def _uncommitted() -> str:
    """Changes of the checkout the package runs from against its last commit; empty outside a checkout."""
    source = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "diff", "HEAD"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
