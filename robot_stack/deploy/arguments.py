"""What a deployment can be told: the options of ``robot-stack deploy`` and the arguments of the launch files, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from robot_stack.core.errors import ConfigError, require_name


@dataclass(frozen=True)
class RobotArguments:
    """Of every deployment: which robot, real or simulated, and how careful."""

    robot: str = ""
    """Which robot: panda, bimanual (aloha), locoman, g1."""

    sim: bool = False
    """Put the simulated robot, behind an emulator of its electronics, in the place of the real one."""

    task: str = ""
    """Task, as g1/button: says what is seen of the scene besides the robot. Left out, it is found by the policy."""

    mode: str = ""
    """How actions are meant (action mode); left out, as is usual for the task."""

    robot_parameters: str = ""
    """The robot's own settings: a JSON file or JSON text, as {"network_interface": "enp3s0"}; see the robot's page."""

    network_interface: str = ""
    """Network interface to the robot, as enp3s0, for robots that are reached through one (G1, LocoMan)."""

    speed_share: float = 1.0
    """Share of the largest joint speeds, 0 to 1; below 1 for first motions."""

    base: Literal["tracked", "estimated"] = "tracked"
    """Where position and velocity of a walking robot's base come from: the topic tracked, or its own sensors."""

    direct: bool = False
    """Simulate inside the robot's process: no emulator of its electronics, no images. Simulation only."""

    dry_run: bool = False
    """Read the robot and decide, but neither engage it nor write to it."""

    clock_speed: float = 1.0
    """Speed of simulated time against real time; below 1 on slow machines. Simulation only."""

    seed: int = 0
    """Of the simulated start and of the policy's noise."""

    cameras: str = ""
    """Cameras: front=/dev/video2,wrist=4 on a real robot; names alone in simulation. Left out, the policy's."""

    images: Literal["raw", "jpeg"] = "raw"
    """How images travel: raw, or JPEG for other machines over a network."""

    image_size: str = ""
    """Rows and columns of every camera's image, as 96x128; left out, the bundle's, or 480x640."""

    hands_free: bool = False
    """Nobody is asked and nobody holds a deadman switch. Simulation only."""

    joy: str = ""
    """Topic of a gamepad whose button is the deadman switch, as /joy; left out, the space bar."""

    joy_button: int = 4
    """Which of its buttons; 4 is the left shoulder of most."""

    duration_s: float = 0.0
    """End by itself after so long [s of robot time]; 0: when told. Needs hands_free."""

    namespace: str = ""
    """ROS namespace; left out, the robot's name, as /g1."""

    domain: int = -1
    """ROS domain, 0 to 232; -1: what ROS_DOMAIN_ID says, or 0."""

    discovery: Literal["auto", "localhost", "subnet"] = "auto"
    """Whom processes can see: this machine's, or its network's. auto: the network's where the robot is reached so."""


@dataclass(frozen=True)
class PolicyArguments:
    """Of every deployment in which a policy may drive."""

    policy: str = ""
    """Folder of a policy bundle, or ws://host:port of a policy server (robot-stack serve)."""

    token_file: str = ""
    """File with the server's token; left out, the usual place."""

    device: str = "auto"
    """Where the policy runs: auto, cpu, cuda."""

    source: str = ""
    """Whose normaliser to use, for a policy with one per dataset: the name of the dataset of this robot."""

    another_model: bool = False
    """Accept a robot whose model hash is not that of training; all else must still agree."""

    instruction: str = ""
    """What to do, in words, for a policy that knows several tasks; left out, the task's."""

    strategy: Literal["real_time", "trimmed", "synchronous"] = "real_time"
    """How action chunks follow each other: real-time chunking, late actions trimmed, or one after the other."""

    execute_steps: int = 0
    """Control steps executed of a chunk before the next is asked for; 0: what suits the policy."""

    max_guidance_weight: float = 5.0
    """Most that real-time chunking pulls in one sampler step."""


@dataclass(frozen=True)
class DeployArguments(PolicyArguments, RobotArguments):
    """Run a policy on a robot."""

    record: str = ""
    """Record every episode into this dataset folder; left out, nothing is recorded."""


@dataclass(frozen=True)
class CollectArguments(PolicyArguments, RobotArguments):
    """Record episodes of a robot that a policy, or a teleoperator on the topic action_chunk, drives."""

    dataset: str = ""
    """Folder of the dataset; made, or continued if it is of the same robot."""

    storage: Literal["video", "image"] = "video"
    """How cameras are kept in a new dataset."""


@dataclass(frozen=True)
class ReplayArguments(RobotArguments):
    """Play a recorded episode on a robot."""

    dataset: str = ""
    """Folder of the dataset."""

    episode: int = 0
    """Which of its episodes."""

    speed: float = 1.0
    """1 keeps the recorded times, 0.5 takes twice as long; at most 1."""

    column: Literal["action", "action.requested"] = "action"
    """What was sent, or what was asked for."""

    record: str = ""
    """Record it into this dataset folder; left out, nothing is recorded."""


@dataclass(frozen=True)
class EvaluateArguments(PolicyArguments, RobotArguments):
    """Count how often a policy succeeds on a robot."""

    out: str = ""
    """Folder of the results; an evaluation that was interrupted goes on."""

    episodes: int = 50
    """How many."""

    stream: int = 0
    """Of held-out seeds, 0 to 99; equal streams give equal starts, with ROS and without."""

    horizon_s: float = 0.0
    """Longest episode [s of robot time]; 0: the task's."""

    verdict: Literal["auto", "score", "person"] = "auto"
    """Who says what succeeded: the simulated task's score, or a person. auto: the score in simulation."""

    record: str = ""
    """Record every episode into this dataset folder, in the order played; left out, nothing is recorded."""


KINDS: dict[str, type[RobotArguments]] = {
    "deploy": DeployArguments,
    "collect": CollectArguments,
    "replay": ReplayArguments,
    "evaluate": EvaluateArguments,
}
"""Every form of deployment with what it takes; the launch files carry the same names."""

Arguments = TypeVar("Arguments", bound=RobotArguments)

_WORDS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}


def explained(kind: type) -> dict[str, str]:
    """What each argument means, by name, in the order of the fields."""
    from robot_stack.deploy.parameters import descriptions

    said: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            said |= descriptions(base)
    return {f.name: said[f.name] for f in dataclasses.fields(kind)}


def choices(kind: type, name: str) -> tuple[str, ...]:
    """Values that an argument can take; empty where it is free."""
    hint = get_type_hints(kind)[name]
    if hint is bool:
        return ("true", "false")
    return tuple(map(str, get_args(hint))) if get_origin(hint) is Literal else ()


def as_text(value: Any) -> str:
    """A value as launch files write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def from_texts(kind: type[Arguments], texts: Mapping[str, str]) -> Arguments:
    """Arguments from text, as launch files have them.

    Args:
        kind: which arguments.
        texts: by name; those left out keep their defaults.

    Raises:
        UnknownNameError: for a name or a choice that does not exist.
        ConfigError: for a value of the wrong type.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, text in texts.items():
        hint = hints[require_name("argument", name, hints)]
        if options := choices(kind, name):
            word = text.lower() if hint is bool else text
            word = word if hint is not bool or word not in _WORDS else as_text(_WORDS[word])
            require_name(f"value of {name}", word, options)
            values[name] = _WORDS[word] if hint is bool else word
            continue
        try:
            values[name] = hint(text)
        except ValueError as error:
            raise ConfigError(f"the argument {name!r} is no number", got=text, expected=hint.__name__) from error
    return kind(**values)
