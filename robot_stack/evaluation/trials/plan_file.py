"""Plans as people write them: a YAML file with short forms, turned into the frozen plan with every hash filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robot_stack.core.config_json import from_plain
from robot_stack.core.errors import MissingExtraError
from robot_stack.core.seeding import episode_seed
from robot_stack.evaluation.trials.errors import PlanError
from robot_stack.evaluation.trials.plan import DEFAULT_EXCLUSIONS, SIMULATOR_CRASH, TrialPlan

PolicyNamed = Callable[[str, str], str]
"""Hash of a policy, from what the plan calls it and the task."""

EXAMPLE = """\
name: forty demonstrations or ten
task: metaworld/pick-place
policies:
  ten: runs/ten/policy
  forty: {policy: runs/forty/policy}
conditions: {seeds: 200}
rubric:
  success: the block rests at the goal
  milestones: [grasped, lifted]
  failure_tags: [missed, dropped]
stopping: {rule: barnard, alpha: 0.05, n_max: 200}
"""
"""A plan file for simulation. On a robot, ``conditions`` is a list: ``[{id: a, description: …, image: a.jpg}, …]``."""


def read_plan(path: str | Path, policy_hash: PolicyNamed) -> tuple[TrialPlan, dict[str, bytes]]:
    """A plan file as a plan, and its target pictures by name.

    Args:
        path: YAML or JSON; pictures are named relative to it.
        policy_hash: tells the hash of a policy.

    Raises:
        PlanError: if the file is not readable or makes no sense.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("a plan in YAML", extra="console", package="yaml") from error
    file = Path(path)
    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PlanError(
            "the plan file cannot be read", where=file, got=error, expected=f"for example\n{EXAMPLE}"
        ) from error
    if not isinstance(plain, dict):
        raise PlanError("a plan file holds a mapping", where=file, expected=f"for example\n{EXAMPLE}")
    return complete_plan(plain, policy_hash, file.parent)


def complete_plan(
    plain: Mapping[str, Any], policy_hash: PolicyNamed, folder: Path = Path()
) -> tuple[TrialPlan, dict[str, bytes]]:
    """A plan from plain data with short forms, and its target pictures by name.

    Args:
        plain: as in :data:`EXAMPLE`.
        policy_hash: tells the hash of a policy.
        folder: relative to which pictures are named.

    Raises:
        PlanError: if it makes no sense.
    """
    out = dict(plain)
    out.setdefault("name", folder.resolve().name)
    task = str(out.get("task", ""))
    images: dict[str, bytes] = {}
    out["policies"] = [
        _policy(name, value, task, policy_hash) for name, value in _named(out.get("policies"), "policies")
    ]
    out["conditions"] = _conditions(out.get("conditions"), folder, images)
    simulated = all(c.get("seed") is not None for c in out["conditions"])
    if "exclusion_reasons" not in out:
        out["exclusion_reasons"] = [*DEFAULT_EXCLUSIONS, *([SIMULATOR_CRASH] if simulated else [])]
    return from_plain(TrialPlan, out, where="plan"), images


def _named(value: Any, what: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(name), inner) for name, inner in value.items()]
    raise PlanError(f"{what} must be a mapping of names", got=type(value).__name__, expected=f"for example\n{EXAMPLE}")


def _policy(name: str, value: Any, task: str, policy_hash: PolicyNamed) -> dict[str, Any]:
    entry = dict(value) if isinstance(value, dict) else {"policy": value}
    if not isinstance(entry.get("policy"), str):
        raise PlanError("a policy needs the folder of a bundle, or 'expert'", where=f"policies.{name}", got=value)
    found = policy_hash(entry["policy"], task)
    if entry.setdefault("sha256", found) != found:
        raise PlanError(
            "a policy is not the one that the plan names", where=f"policies.{name}", got=found, expected=entry["sha256"]
        )
    return {"name": name, **entry}


def _conditions(value: Any, folder: Path, images: dict[str, bytes]) -> list[dict[str, Any]]:
    if isinstance(value, dict) and set(value) <= {"seeds", "stream"} and "seeds" in value:
        seeds = value["seeds"]
        if isinstance(seeds, int):
            seeds = [episode_seed("held_out", i, stream=int(value.get("stream", 0))) for i in range(seeds)]
        return [{"id": f"seed-{seed}", "seed": int(seed)} for seed in seeds]
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise PlanError("conditions must be a list, or {seeds: N}", got=value, expected=f"for example\n{EXAMPLE}")
    return [_condition(dict(entry), folder, images) for entry in value]


def _condition(entry: dict[str, Any], folder: Path, images: dict[str, bytes]) -> dict[str, Any]:
    if not entry.get("image"):
        return entry
    path = folder / str(entry["image"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlanError("a target picture cannot be read", where=path, got=error) from error
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise PlanError("a target picture must be JPEG or PNG", where=path)
    digest = hashlib.sha256(data).hexdigest()
    name = f"{digest[:16]}{path.suffix.lower()}"  # by content: two names never clash
    images[name] = data
    return {**entry, "image": name, "image_sha256": digest}
