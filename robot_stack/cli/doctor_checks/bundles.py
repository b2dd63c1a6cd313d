"""Policy bundles: each is loaded and must reproduce the golden actions it carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

_COPY = "copy the bundle again from where it was trained; robot-stack policy tells what is in it"


def check(ground: Ground) -> list[Check]:
    """Load every bundle that was named."""
    return [_check_bundle(path, ground) for path in ground.bundles]


def _check_bundle(path: Path, ground: Ground) -> Check:
    name = f"bundle {path.name}"
    answer = ask("bundles", [str(path)], timeout_s=ground.timeout_s)
    if answer.missing:
        remedy = answer.remedy or "pip install 'robot_stack[train]'"
        return Check(name, "broken", f"loading it needs the package {answer.missing!r}", remedy)
    if not answer.ok:
        return Check(name, "broken", answer.trouble, answer.remedy or _COPY)
    found = f"{answer.value['name']} for {answer.value['embodiment']} loads and reproduces its golden actions"
    return Check(name, "works", found, details=answer.value)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Load a bundle, golden check included."""
    from robot_stack.policies.bundle import bundle_info

    bundle_info(Path(arguments[0]))  # damaged files are found without waiting for torch
    import torch

    from robot_stack.policies.loading import load_bundle

    torch.set_num_threads(1)
    loaded = load_bundle(Path(arguments[0]), golden=True)
    return {"name": loaded.name, "embodiment": loaded.policy.embodiment.name}
