"""``robot-stack trials verify``: is everything as it was written?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_stack.cli.parsing import parse


@dataclass(frozen=True)
class VerifyArgs:
    """Check log, plan, key, pictures and films of a store; exit code 1 when something is wrong. Breaks no blinding."""

    store: Annotated[Path, tyro.conf.Positional]
    """Folder of the store."""

    commitment: str = ""
    """The commitment that was published; the store's own when left out."""

    policies: bool = False
    """Check the policies against their hashes as well."""

    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> int:
    """Check, and tell."""
    args = parse(VerifyArgs, arguments, "robot-stack trials verify")
    from robot_stack.cli.trial_policies import policy_hash
    from robot_stack.evaluation.trials.store import read_store
    from robot_stack.evaluation.trials.verify import Check, verify_store

    plain = list(verify_store(args.store))
    if args.policies and all(check.ok for check in plain):
        plan = read_store(args.store).plan
        plain = list(verify_store(args.store, lambda policy: policy_hash(policy.policy, plan.task)))
    if args.commitment and plain[0].ok:
        mine = read_store(args.store).state.commitment
        plain.append(Check("published commitment", mine == args.commitment, f"the store has {mine}"))
    if args.json:
        print(json.dumps([asdict(check) for check in plain], indent=2, ensure_ascii=False))
    else:
        for check in plain:
            print(f"{'ok   ' if check.ok else 'WRONG'}  {check.name}: {check.detail}")
    return 0 if all(check.ok for check in plain) else 1
