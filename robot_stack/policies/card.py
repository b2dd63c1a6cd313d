"""The model card of a policy bundle: what a person should know before running it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from robot_stack.core.embodiment import Embodiment
from robot_stack.policies.config import DiffusionPolicyConfig, PolicyConfig

_KINDS = {"diffusion": "diffusion policy", "behavior_cloning": "behaviour cloning policy"}


def model_card(
    config: PolicyConfig,
    embodiment: Embodiment,
    *,
    tasks: tuple[str, ...],
    parameters: int,
    provenance: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> str:
    """Markdown with what the policy sees, does, was trained on, and how well it did.

    Args:
        config: of the policy.
        embodiment: its robot.
        tasks: instructions it was trained on.
        parameters: how many numbers the weights hold.
        provenance: where it came from, plain data.
        metrics: how well it did, plain data.
    """
    rate = embodiment.control_hz
    first = config.inputs.n_obs_steps
    fields = config.inputs.state if config.inputs.state is not None else tuple(f.name for f in embodiment.state)
    lines = [
        f"# A {_KINDS[config.kind]} for {embodiment.name}",
        "",
        f"- **Robot**: {embodiment.name}, {rate:g} Hz; fingerprint `{embodiment.fingerprint()[:12]}`",
        f"- **Sees**: the last {first} observation(s); state {_listed(fields)}; "
        f"cameras {_listed(config.inputs.cameras)}",
        f"- **Does**: plans {config.horizon} steps, executes {config.n_action_steps} "
        f"({config.n_action_steps / rate:.2g} s): "
        + ", ".join(f"{f.name}[{f.size}] in {f.unit}" for f in embodiment.action),
        f"- **Network**: {_network(config)}, {parameters / 1e6:.3g} million numbers",
        f"- **Told its task**: {'no' if config.language is None else config.language.kind.replace('_', ' ')}",
        "",
        "## Tasks",
        "",
        *([f"- {task}" for task in tasks] or ["Not recorded."]),
        "",
        "## How well it did",
        "",
        *_table(metrics, "No metrics were given when it was exported."),
        "",
        "## Where it came from",
        "",
        *_table(provenance, "Nothing was recorded."),
        "",
        "## Before you run it",
        "",
        "It learned to imitate its data on this robot and says nothing about others: loading it for another embodiment "
        "is refused with the list of differences. It does not know when it is out of its depth; run it behind the "
        "safety filter, with somebody at the stop button. Weights, numbers and this card are checked against "
        "`manifest.json`, and the policy against `golden.safetensors`, whenever it is loaded.",
        "",
    ]
    return "\n".join(lines)


def _network(config: PolicyConfig) -> str:
    if not isinstance(config, DiffusionPolicyConfig):
        return "MLP"
    process = config.process
    steps = process.steps if process.kind == "flow" else process.sampler.steps
    name = process.kind if process.kind == "flow" else process.sampler.kind
    return f"{config.network.kind}, {name} with {steps} steps"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "none"


def _table(values: Mapping[str, Any], empty: str) -> list[str]:
    if not values:
        return [empty]
    return ["| | |", "|---|---|", *(f"| {key} | {_shown(value)} |" for key, value in values.items())]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("|", "\\|").replace("\n", " ")
