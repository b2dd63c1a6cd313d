"""The sealed key: which policy runs in which place, and the commitment that is published before the first trial.

The commitment is SHA-256 over a domain, a secret nonce of 32 bytes and the canonical key. Whoever holds it can check
later that the key was not changed; nobody can compute the key from it, for the nonce cannot be guessed.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from robot_stack.core.config_json import canonical_json
from robot_stack.core.seeding import generator
from robot_stack.evaluation.trials.errors import KeyMismatchError
from robot_stack.evaluation.trials.plan import TrialPlan
from robot_stack.evaluation.trials.randomisation import draw_orders

DOMAIN = b"robot_stack.trials.key/1\0"
"""Keeps a commitment from being taken for the hash of something else."""


@dataclass(frozen=True)
class SealedKey:
    """Which policy runs in which place. Nobody sees it before the trials are over."""

    plan_sha256: str
    """Of the plan it belongs to."""

    nonce: str
    """32 secret random bytes, 64 hexadecimal digits."""

    orders: tuple[tuple[int, ...], ...]
    """For each block the numbers of the policies in the order of its places."""

    format: Literal["robot_stack.trials.key/1"] = "robot_stack.trials.key/1"
    """Of the file."""

    def commitment(self) -> str:
        """What is published: 64 hexadecimal digits."""
        return hashlib.sha256(DOMAIN + bytes.fromhex(self.nonce) + canonical_json(self).encode()).hexdigest()

    def arm(self, block: int, place: int) -> int:
        """Number of the policy that runs in this place."""
        return self.orders[block][place]

    def require(self, commitment: str, plan_sha256: str) -> None:
        """Check that this is the key that was committed to.

        Raises:
            KeyMismatchError: if it is not, or belongs to another plan.
        """
        if self.plan_sha256 != plan_sha256:
            raise KeyMismatchError("the key belongs to another plan", got=self.plan_sha256, expected=plan_sha256)
        if self.commitment() != commitment:
            raise KeyMismatchError(
                "the key does not match the commitment that was published before the first trial",
                got=self.commitment(),
                expected=commitment,
                remedy="the assignment of policies cannot be trusted: find out who changed the key",
            )


def draw_key(plan: TrialPlan, secret: bytes | None = None) -> SealedKey:
    """A new key.

    Args:
        plan: whose policies and blocks.
        secret: at least 16 random bytes; the operating system's when left out. Tests pass their own.
    """
    secret = secret if secret is not None else secrets.token_bytes(32)
    nonce = hashlib.sha256(b"nonce\0" + secret).hexdigest()
    rng = generator(int.from_bytes(hashlib.sha256(b"orders\0" + secret).digest(), "big"))
    return SealedKey(plan.fingerprint(), nonce, draw_orders(plan, rng))
