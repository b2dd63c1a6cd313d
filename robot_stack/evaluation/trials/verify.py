"""An audit of a store: is everything as it was written, and does the key match what was published?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robot_stack.core.errors import RobotStackError
from robot_stack.evaluation.trials.errors import KeyMismatchError, LogDamagedError, PlanChangedError
from robot_stack.evaluation.trials.event_log import Event, parse_log
from robot_stack.evaluation.trials.index import read_index
from robot_stack.evaluation.trials.plan import PlannedPolicy, TrialPlan
from robot_stack.evaluation.trials.state import TrialState, fold
from robot_stack.evaluation.trials.store import EVENTS, IMAGES, INDEX, VIDEOS, check_plan_file, read_key

PolicyHash = Callable[[PlannedPolicy], str]
"""The hash that a policy has now."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What."""

    ok: bool
    """Whether it is as it should be."""

    detail: str
    """What was found."""


def check_policies(plan: TrialPlan, policy_hash: PolicyHash) -> None:
    """Check that every policy still is what it was when the plan was frozen.

    Raises:
        PlanChangedError: naming the first that changed.
        BundleError: if one is gone or damaged.
    """
    for policy in plan.policies:
        found = policy_hash(policy)
        if found != policy.sha256:
            raise PlanChangedError(
                "a policy changed since the plan was frozen",
                where=policy.policy,
                got=found,
                expected=policy.sha256,
                remedy="put the frozen policy back, or freeze a new plan into a store of its own",
            )


def verify_store(folder: str | Path, policy_hash: PolicyHash | None = None) -> tuple[Check, ...]:
    """Look at everything; nothing is changed and nothing told that would break the blinding.

    Args:
        folder: of the store.
        policy_hash: for checking the policies as well.
    """
    root = Path(folder)
    checks: list[Check] = []
    found: dict[str, tuple[list[Event], TrialState]] = {}

    def chain() -> str:
        events, whole = parse_log((root / EVENTS).read_bytes(), root / EVENTS)
        torn = (root / EVENTS).stat().st_size - whole
        found["log"] = events, fold(events)
        return f"{len(events)} events, each follows from the one before" + (f"; {torn} torn bytes" if torn else "")

    def run(name: str, check: Callable[[], str]) -> None:
        try:
            checks.append(Check(name, True, check()))
        except (RobotStackError, OSError) as error:
            checks.append(Check(name, False, str(error)))

    run("event log", chain)
    if "log" not in found:
        return tuple(checks)
    events, state = found["log"]
    run("second copy of the log", lambda: _compare_index(root, events))
    run("frozen plan", lambda: check_plan_file(root, state) or f"SHA-256 {state.plan_sha256}")
    run("key and commitment", lambda: _compare_key(root, state))
    run("target pictures", lambda: _compare_images(root, state))
    run("films", lambda: _compare_films(root, state))
    if policy_hash is not None:
        plan = state.required_plan
        run("policies", lambda: check_policies(plan, policy_hash) or f"{plan.arms} are as they were frozen")
    return tuple(checks)


def _compare_index(root: Path, events: list[Event]) -> str:
    if not (root / INDEX).exists():
        return "none yet: the store was never opened for trials"
    copied = read_index(root / INDEX)
    if len(copied) > len(events):
        raise LogDamagedError("the event log was cut short", got=f"{len(events)} events", expected=len(copied))
    for mine, theirs in zip(events, copied, strict=False):
        if mine.hash != theirs.hash:
            raise LogDamagedError("the event log was written anew", where=f"event {mine.seq}")
    return f"{len(copied)} events, the same"


def _compare_key(root: Path, state: TrialState) -> str:
    key = read_key(root, state)
    opened = (state.unblinded or {}).get("nonce", key.nonce)
    if opened != key.nonce:
        raise KeyMismatchError("the key is not the one that was opened", got=key.nonce, expected=opened)
    return f"the key gives the commitment {state.commitment}"


def _compare_images(root: Path, state: TrialState) -> str:
    conditions = [c for c in state.required_plan.conditions if c.image]
    for condition in conditions:
        _compare_file(root / IMAGES / condition.image, condition.image_sha256)
    return f"{len(conditions)} are as they were frozen"


def _compare_films(root: Path, state: TrialState) -> str:
    films = [trial for trial in state.trials.values() if trial.video]
    for trial in films:
        _compare_file(root / VIDEOS / trial.video, trial.video_sha256)
    return f"{len(films)} are as they were filmed"


def _compare_file(path: Path, expected: str) -> None:
    data = path.read_bytes() if path.is_file() else None
    found = "no such file" if data is None else hashlib.sha256(data).hexdigest()
    if found != expected:
        raise PlanChangedError("a file is not what the log says", where=path, got=found, expected=expected)
