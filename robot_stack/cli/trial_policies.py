"""The policies of a plan: what its words for them mean, their hashes, and who acts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_stack.cli.worlds import WorldConfig
    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.evaluation.trials.plan import TrialPlan


def expert_noise(policy: str) -> float | None:
    """Noise of the scripted expert that ``expert`` or ``expert:NOISE`` names; ``None`` when it names a bundle.

    Raises:
        PlanError: if the noise is no number.
    """
    kind, _, noise = policy.partition(":")
    if kind != "expert":
        return None
    try:
        return float(noise or 0.0)
    except ValueError as error:
        from robot_stack.evaluation.trials.errors import PlanError

        raise PlanError("the expert's noise is no number", got=policy, expected="expert:0.3, say") from error


def policy_hash(policy: str, task: str) -> str:
    """Hash of what decides how a policy acts; needs no torch.

    Raises:
        BundleError: if a bundle is missing or damaged.
    """
    from robot_stack import __version__
    from robot_stack.core.config_json import fingerprint_of
    from robot_stack.policies.bundle import bundle_info

    noise = expert_noise(policy)
    if noise is None:
        return str(bundle_info(policy)["policy_sha256"])
    return fingerprint_of({"expert": task, "noise": noise, "robot_stack": __version__})


def world_of(plan: TrialPlan) -> WorldConfig:
    """How the plan's simulated task is seen: the plan's cameras, and those the policies look through."""
    from robot_stack.cli.subjects import cameras_of, image_size_of
    from robot_stack.cli.worlds import WorldConfig

    bundles = tuple(Path(p.policy) for p in plan.policies if expert_noise(p.policy) is None)
    cameras = tuple(dict.fromkeys((*plan.cameras, *cameras_of(bundles))))
    return WorldConfig(cameras, image_size_of(bundles, plan.image_size), plan.horizon)


def subjects_of(plan: TrialPlan, device: str) -> list[Subject]:
    """Who acts, in the plan's order, each checked against the robot; names are numbers, so that no message tells.

    Raises:
        BundleError: if a bundle is damaged.
        EmbodimentMismatchError: if a policy was trained for another robot.
    """
    from dataclasses import replace

    from robot_stack.cli.subjects import expert_subject, policy_subject

    world = world_of(plan)
    out = []
    for number, policy in enumerate(plan.policies):
        noise = expert_noise(policy.policy)
        if noise is not None:
            subject = expert_subject(plan.task, noise)
        else:
            subject = policy_subject(
                Path(policy.policy), plan.task, world, name="policy", device=device, source=policy.source
            )
        out.append(replace(subject, name=f"policy {number}"))
    return out
