"""The parameters of the policy node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError

PolicyPlace = Literal["process", "in_process", "remote"]
Strategy = Literal["synchronous", "trimmed", "real_time"]


@dataclass(frozen=True)
class PolicyNodeConfig:
    """What ``python -m robot_stack.deploy.policy_process`` takes as ROS parameters."""

    policy: str = ""
    """Folder of a policy bundle, or ``ws://host:port`` of a policy server (``robot-stack serve``)."""

    place: PolicyPlace = "process"
    """Where a bundle runs: in a child process, in the node's own process (for debugging: a policy that hangs takes the
    node along); ``remote`` is understood by itself from ``ws://``."""

    token_file: str = ""
    """File with the server's token; empty for the usual place. Only for ``ws://``."""

    device: str = "auto"
    """Where the policy runs: auto, cpu, cuda."""

    source: str = ""
    """Whose normaliser to use, for a policy with one per dataset."""

    another_model: bool = False
    """Accept a robot whose model hash is not that of training; all else must still agree."""

    instruction: str = ""
    """What to do, in words; empty for a policy that knows one task or none."""

    seed: int = 0
    """Of the policy's noise in the first episode; each episode after it takes the next. May be set while it runs."""

    strategy: Strategy = "real_time"
    """How chunks follow each other, see :mod:`robot_stack.runtime.chunking`."""

    execute_steps: int = 0
    """Control steps of a chunk that are executed before the next is asked for; 0 takes what the policy was made for
    (``synchronous``) or half of what it plans (others)."""

    blend_steps: int = 4
    """Steps over which a new chunk takes over from the last where the policy itself does not continue it."""

    max_guidance_weight: float = 5.0
    """Most that real-time chunking pulls in one sampler step; the paper's 5."""

    schedule: Literal["exponential", "linear"] = "exponential"
    """How the pull fades over the overlap with the running chunk."""

    answer_timeout_s: float = 5.0
    """A decision that takes longer has failed; the policy is then started or connected anew [s of robot time]."""

    image_transport: Literal["raw", "compressed"] = "raw"
    """Which image topics to listen to: ``camera/<name>/image_raw`` or ``camera/<name>/image_raw/compressed``."""

    image_tolerance_s: float = 0.1
    """A frame further than this from an observation's stamp is no picture of it [s]."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one; not 1 in simulation only."""

    def __post_init__(self) -> None:
        if not (self.answer_timeout_s > 0 and self.image_tolerance_s > 0 and self.clock_speed > 0):
            raise ConfigError("times and speeds of a policy node are positive", got=self)
        if self.execute_steps < 0 or self.blend_steps < 0 or not self.max_guidance_weight > 0:
            raise ConfigError("steps and weights of a policy node are not negative", got=self)

    @property
    def remote(self) -> bool:
        """Whether the policy is at a server's address."""
        return self.policy.startswith(("ws://", "wss://"))
