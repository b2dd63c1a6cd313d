"""The folder of a study: frozen plan, sealed key, event log, and who may write.

::

    plan.json         the frozen plan, canonical JSON
    commitment.json   what was published before the first trial
    events.jsonl      the log: the truth
    index.sqlite      a copy of the log for processes that look while another writes
    images/           target pictures of the initial conditions
    videos/           films of trials, named by trial
    sealed/key.json   which policy runs where; readable by its owner only
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_stack.core.atomic import fsync_folder, storage_errors, write_json, write_text
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import RobotStackError
from robot_stack.core.lock import FolderLock
from robot_stack.core.seeding import generator
from robot_stack.evaluation.trials.errors import KeyMismatchError, LogDamagedError, PlanChangedError, StoreError
from robot_stack.evaluation.trials.event_log import Event, EventLog, make_event, parse_log
from robot_stack.evaluation.trials.index import TrialIndex, read_index
from robot_stack.evaluation.trials.plan import TrialPlan
from robot_stack.evaluation.trials.randomisation import draw_conditions
from robot_stack.evaluation.trials.sealed_key import DOMAIN, SealedKey, draw_key
from robot_stack.evaluation.trials.state import TrialState, fold

PLAN, COMMITMENT, EVENTS, INDEX = "plan.json", "commitment.json", "events.jsonl", "index.sqlite"
IMAGES, VIDEOS, KEY = "images", "videos", "sealed/key.json"


@dataclass(frozen=True)
class Snapshot:
    """A study as it stood at one moment, for those who only look."""

    folder: Path
    """Of the store."""

    events: tuple[Event, ...]
    """Of the log."""

    state: TrialState
    """Their fold."""

    @property
    def plan(self) -> TrialPlan:
        """The frozen plan."""
        return self.state.required_plan


def create_store(
    folder: str | Path,
    plan: TrialPlan,
    *,
    images: Mapping[str, bytes] | None = None,
    secret: bytes | None = None,
) -> str:
    """Freeze a plan into a new store, draw the randomisation and commit to it.

    Args:
        folder: where; must not be there, or be empty.
        plan: what is frozen.
        images: target pictures by name.
        secret: of the randomisation; the operating system's random bytes when left out.

    Returns:
        The commitment, 64 hexadecimal digits: publish it before the first trial.

    Raises:
        StoreError: if there is something at this place.
        PlanChangedError: if an image is not the one that the plan names.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()):
        raise StoreError("there is something at this place already", where=target, remedy="choose another folder")
    pictures = dict(images or {})
    _check_images(plan, pictures)
    key = draw_key(plan, secret)
    public = hashlib.sha256(b"conditions\0" + bytes.fromhex(plan.fingerprint())).digest()
    conditions = draw_conditions(plan, generator(int.from_bytes(public, "big")))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            _fill(temporary, plan, key, conditions, pictures)
            if target.exists():
                target.rmdir()
            temporary.rename(target)
            fsync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return key.commitment()


def _fill(
    folder: Path, plan: TrialPlan, key: SealedKey, conditions: tuple[str, ...], pictures: dict[str, bytes]
) -> None:
    for name in ("", IMAGES, VIDEOS):
        (folder / name).mkdir(parents=True)
    sealed = folder / Path(KEY).parent
    sealed.mkdir(mode=0o700)
    write_text(folder / PLAN, plan.canonical() + "\n")
    write_json(folder / KEY, to_plain(key))
    (folder / KEY).chmod(0o600)
    for name, data in pictures.items():
        (folder / IMAGES / name).write_bytes(data)
    commitment = key.commitment()
    published = {
        "study": plan.name,
        "commitment": commitment,
        "plan_sha256": plan.fingerprint(),
        "how": f"SHA-256 of {DOMAIN!r}, the nonce (32 bytes) and the canonical JSON of sealed/key.json",
    }
    write_json(folder / COMMITMENT, published)
    log = EventLog(folder / EVENTS)
    data = {"plan": to_plain(plan), "plan_sha256": plan.fingerprint(), "commitment": commitment}
    log.append("created", {**data, "conditions": conditions})
    log.close()


def read_store(folder: str | Path) -> Snapshot:
    """A study as it stands, read without a lock; safe while another process writes.

    Raises:
        StoreError: if there is no store.
        LogDamagedError: if the log is not as it was written.
        PlanChangedError: if the plan was edited after freezing.
    """
    root = _require_store(folder)
    events = _newest_events(root)
    state = fold(events)
    check_plan_file(root, state)
    return Snapshot(root, tuple(events), state)


def _newest_events(root: Path) -> list[Event]:
    """From the log or its copy, whichever knows more: a killed server may not have copied its last event."""
    copied: list[Event] = []
    if (root / INDEX).exists():
        with contextlib.suppress(sqlite3.Error):  # on a disk that cannot be written to, SQLite may refuse to read
            copied = read_index(root / INDEX)
    try:
        logged = parse_log((root / EVENTS).read_bytes(), root / EVENTS)[0]
    except LogDamagedError:
        if not copied:
            raise
        return copied  # what can be looked at; opening and verifying name the damage
    return logged if len(logged) > len(copied) else copied


def check_plan_file(root: Path, state: TrialState) -> None:
    """Check that ``plan.json`` is the plan that was frozen.

    Raises:
        PlanChangedError: listing every difference.
    """
    frozen = to_plain(state.required_plan)
    try:
        found = json.loads((root / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanChangedError("the frozen plan is missing or not readable", where=root / PLAN, got=error) from error
    if found != frozen:
        raise PlanChangedError(
            "the plan was edited after it was frozen",
            where=root / PLAN,
            got="".join(f"\n    - {line}" for line in _differences(frozen, found)),
            expected=f"the plan with hash {state.plan_sha256}",
            remedy="put the frozen plan back, or freeze the new one into a store of its own",
        )


class TrialStore:
    """A store, open for writing by this process alone.

    Args:
        folder: of the store.
        wall: the wall clock.

    Raises:
        StoreError: if there is no store.
        LockedError: if another process has it open.
        LogDamagedError: if the log was edited or cut short.
        PlanChangedError: if the plan was edited after freezing.
    """

    def __init__(self, folder: str | Path, wall: Callable[[], float] = time.time) -> None:
        self.folder = _require_store(folder)
        self._mutex = threading.RLock()
        self._lock = FolderLock(self.folder, what="trial store")
        self._index: TrialIndex | None = None
        self._log: EventLog | None = None
        try:
            self._log = EventLog(self.folder / EVENTS, wall)
            self._index = TrialIndex(self.folder / INDEX)
            self._index.follow(self._log.events)
            self.state = fold(self._log.events)
            check_plan_file(self.folder, self.state)
            if self._log.torn:
                self.append("recovered", {"bytes": self._log.torn})
        except BaseException:
            self.close()
            raise

    @property
    def plan(self) -> TrialPlan:
        """The frozen plan."""
        return self.state.required_plan

    @property
    def mutex(self) -> threading.RLock:
        """Held by whoever reads and then appends."""
        return self._mutex

    @property
    def head(self) -> str:
        """Hash of the last event."""
        assert self._log is not None
        return self._log.head

    def append(self, kind: str, data: dict[str, Any]) -> Event:
        """Add an event; when this returns it is durable and part of the state.

        Raises:
            TrialConflictError: if the state does not allow it; nothing is written then.
            StorageError: if the file system refuses.
        """
        with self._mutex:
            assert self._log is not None and self._index is not None
            self._rehearse(kind, data)
            event = self._log.append(kind, data)
            self.state.apply(event)
            with contextlib.suppress(sqlite3.Error):  # the log has it; the copy catches up with the next event
                self._index.catch_up(self._log.events)
            return event

    def key(self) -> SealedKey:
        """The sealed key, checked against the commitment; for whoever starts the robots.

        Raises:
            KeyMismatchError: if it is missing, unreadable or not the one that was committed to.
        """
        return read_key(self.folder, self.state)

    def close(self) -> None:
        """Let others in; idempotent."""
        if self._log is not None:
            self._log.close()
        if self._index is not None:
            self._index.close()
        self._lock.release()

    def __enter__(self) -> TrialStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rehearse(self, kind: str, data: dict[str, Any]) -> None:
        """Raise what applying the event would raise, without touching the state."""
        self.state.check(make_event(self.state.events, kind, data, "", self.state.last_time_s, 0.0))


def read_key(folder: str | Path, state: TrialState) -> SealedKey:
    """The sealed key of a store, checked against its commitment.

    Raises:
        KeyMismatchError: if it is missing, unreadable or not the one that was committed to.
    """
    path = Path(folder) / KEY
    try:
        key = from_plain(SealedKey, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RobotStackError) as error:
        raise KeyMismatchError("the sealed key is missing or not readable", where=path, got=error) from error
    key.require(state.commitment, state.plan_sha256)
    return key


def _require_store(folder: str | Path) -> Path:
    root = Path(folder)
    if not (root / EVENTS).is_file():
        raise StoreError(
            "there is no trial store here", where=root, expected=EVENTS, remedy="make one: robot-stack trials plan"
        )
    return root


def _check_images(plan: TrialPlan, images: Mapping[str, bytes]) -> None:
    for condition in plan.conditions:
        if not condition.image:
            continue
        data = images.get(condition.image)
        found = None if data is None else hashlib.sha256(data).hexdigest()
        if found != condition.image_sha256 or Path(condition.image).name != condition.image:
            raise PlanChangedError(
                "a target picture is missing or not the one that the plan names",
                where=condition.image,
                got=found,
                expected=condition.image_sha256,
            )


def _differences(frozen: Any, found: Any, prefix: str = "") -> list[str]:
    if isinstance(frozen, dict) and isinstance(found, dict):
        keys = sorted({*frozen, *found})
        return [d for key in keys for d in _differences(frozen.get(key), found.get(key), f"{prefix}{key}.")]
    if isinstance(frozen, list) and isinstance(found, list) and len(frozen) == len(found):
        pairs = enumerate(zip(frozen, found, strict=True))
        return [d for i, (one, other) in pairs for d in _differences(one, other, f"{prefix}{i}.")]
    return [] if frozen == found else [f"{prefix.rstrip('.')}: frozen {frozen!r}, now {found!r}"]
