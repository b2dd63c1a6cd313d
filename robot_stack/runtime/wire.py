"""What a policy server and its clients say to each other: maps of plain data in msgpack, one a websocket message.

The client says :class:`Hello` once and is answered with :class:`Welcome`; then it asks, one question at a time, with
:class:`Reset` (answer :class:`Ready`) and :class:`Act` (answer :class:`Decided`). What cannot be answered is answered
with :class:`Refusal`. Every message has an entry ``type``; a question's ``id`` comes back in its answer, so an answer
is never taken for that of another question. The token travels in the header of the websocket's first request, so that
nobody without it sends a single message.

Split in two as openpi does (Physical Intelligence, github.com/Physical-Intelligence/openpi): a robot's computer needs
NumPy, msgpack and websockets only. Unlike there, messages have a schema, a version and a size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from robot_stack.core.action import ActionChunk
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import MissingExtraError, RobotStackError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.runtime.wire_values import Entries, WireError, plain_array, plain_running, read_running

try:
    import msgpack
except ImportError as error:
    raise MissingExtraError("a policy in another process", extra="serve", package="msgpack") from error

VERSION = 2
"""Of the protocol. Version 2 adds what a robot carries out while it asks (:attr:`Act.running`)."""

VERSIONS = (1, 2)
"""Versions that a server answers; a client that finds an older server speaks its version."""

MAX_BYTES = 64 * 2**20
"""Longest message unless the server says otherwise [byte]: eight robots with two cameras of 640x480, twice."""

PLANNING = ("chunks", "plans", "continued plans")
"""What a policy answers: chunks to be used up; all that it plans; all that it plans, held to what is carried out."""

MAX_SLOTS = 256
"""Most episodes in one question."""

MAX_HISTORY = 64
"""Most observations of one episode in one question."""

MAX_CAMERAS = 32
"""Most images of one observation."""

_MOST_ITEMS = 4096
"""Longest list or map anywhere in a message."""


@dataclass(frozen=True)
class Hello:
    """Client: who is to be driven."""

    robot: Embodiment
    """The robot; the server refuses one that the policy was not trained for."""

    version: int = VERSION
    """Of the protocol, one of :data:`VERSIONS`."""


@dataclass(frozen=True)
class Welcome:
    """Server: the robot fits; what the policy is."""

    policy: str
    """What the server calls it."""

    history: int
    """How many of the last observations it needs."""

    cameras: tuple[str, ...]
    """The images it looks at; others need not be sent."""

    max_bytes: int
    """Longest message that the server takes [byte]."""

    max_slots: int
    """Most episodes at once, of all clients together."""

    planning: str | None = None
    """One of :data:`PLANNING`; ``None`` in version 1."""


@dataclass(frozen=True)
class Reset:
    """Client: a new episode begins in a slot."""

    id: int
    """Number of the question."""

    slot: int
    """The client's own number for the episode; another client's slots are others."""

    instruction: str
    """What to do, in words."""

    seed: int
    """Of the policy's noise."""


@dataclass(frozen=True, eq=False)
class Act:
    """Client: what to do next?"""

    id: int
    """Number of the question."""

    slots: tuple[int, ...]
    """Which episodes ask; each appears once."""

    histories: tuple[tuple[Observation, ...], ...]
    """For each its last observations, oldest first."""

    running: tuple[RunningPlan, ...] | None = None
    """For each what it carries out meanwhile, and the answer is all that the policy plans; ``None`` asks for chunks."""


@dataclass(frozen=True)
class Ready:
    """Server: the slot is ready."""

    id: int
    """Of the question."""

    queue_s: float
    """How long the question waited for others [s]."""

    work_s: float
    """How long it took [s]."""


@dataclass(frozen=True, eq=False)
class Decided:
    """Server: what to do."""

    id: int
    """Of the question."""

    chunks: tuple[ActionChunk, ...]
    """One for each slot that asked, in their order."""

    queue_s: float
    """How long the question waited for others [s]."""

    work_s: float
    """How long the policy took, for the whole batch [s]."""

    batch: int
    """How many episodes were decided together."""


@dataclass(frozen=True)
class Refusal:
    """Server: why not."""

    id: int
    """Of the question; 0 for what is no answer to one."""

    kind: str
    """Class of the error, e.g. ``"NonFiniteError"``."""

    message: str
    """One sentence."""

    where: str = ""
    """See :class:`robot_stack.core.errors.RobotStackError`; empty when there is none, so are the next three."""

    got: str = ""
    """What was found."""

    expected: str = ""
    """What would have been right."""

    remedy: str = ""
    """What can be done."""

    differences: tuple[str, ...] = ()
    """How the robot differs from the policy's, in sentences."""


Message: TypeAlias = Hello | Welcome | Reset | Act | Ready | Decided | Refusal


def encode(message: Message, max_bytes: int = MAX_BYTES) -> bytes:
    """A message as bytes.

    Raises:
        WireError: if it is longer than ``max_bytes``, or holds a number of more than 64 bits.
    """
    kind = _NAMES[type(message)]
    try:
        data: Any = msgpack.packb({"type": kind, **_WRITERS[kind](message)}, use_bin_type=True)
    except (ValueError, OverflowError, TypeError) as error:
        raise WireError("a message cannot be written", where=kind, got=str(error)) from error
    if len(data) > max_bytes:
        raise WireError(
            "a message is too long for the policy server",
            where=kind,
            got=f"{len(data)} bytes",
            expected=f"at most {max_bytes}",
            remedy="ask for fewer episodes at once, send smaller images, or raise the server's --max-megabytes",
        )
    return data


def decode(data: object, max_bytes: int = MAX_BYTES) -> Message:
    """The message in what arrived.

    Raises:
        WireError: whatever is wrong with it; no other error leaves this function.
    """
    if not isinstance(data, bytes):
        raise WireError("a message is binary", got=type(data).__name__, expected="bytes in msgpack")
    if len(data) > max_bytes:
        raise WireError("a message is too long", got=f"{len(data)} bytes", expected=f"at most {max_bytes}")
    try:
        value = msgpack.unpackb(
            data, raw=False, strict_map_key=True, max_array_len=_MOST_ITEMS, max_map_len=_MOST_ITEMS, max_ext_len=0
        )
    except Exception as error:  # msgpack raises several kinds; all mean the same
        raise WireError("a message is not msgpack", got=f"{type(error).__name__}: {str(error)[:200]}") from error
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _READERS:
        raise WireError("a message has no known type", got=str(kind)[:100], expected=", ".join(_READERS))
    return _READERS[kind]({key: entry for key, entry in value.items() if key != "type"})


def refusal_of(error: BaseException, id: int = 0) -> Refusal:
    """An error as a message."""
    kind = type(error).__name__
    if not isinstance(error, RobotStackError):
        return Refusal(id, kind, f"{kind}: {error}"[:2000])
    differences = tuple(line[:2000] for line in getattr(error, "differences", ()))[:200]
    told = {name: str(getattr(error, name) or "")[:2000] for name in ("where", "got", "expected", "remedy")}
    return Refusal(id, kind, error.message[:2000], **told, differences=differences)


def _write_hello(message: Hello) -> dict[str, Any]:
    return {"version": message.version, "robot": to_plain(message.robot)}


def _read_hello(value: dict[str, Any]) -> Hello:
    version = value.get("version")
    if type(version) is not int or version not in VERSIONS:
        raise WireError(
            "the policy server speaks another version of the protocol",
            got=f"version {str(version)[:20]}",
            expected=f"version {' or '.join(map(str, VERSIONS))}",
            remedy="install the same robot_stack on both sides",
        )
    entries = Entries(value, ("version", "robot"), "hello")
    try:
        return Hello(from_plain(Embodiment, entries.value["robot"], where="hello.robot"), version)
    except Exception as error:  # a description from outside may be wrong in any way
        raise WireError("the robot's description is wrong", where="hello.robot", got=str(error)[:1000]) from error


def _read_welcome(value: dict[str, Any]) -> Welcome:
    e = Entries(value, ("policy", "history", "cameras", "max_bytes", "max_slots"), "welcome", optional=("planning",))
    planning = e.text("planning") if "planning" in value else None
    if planning not in (None, *PLANNING):
        raise e.wrong("planning", ", ".join(PLANNING))
    return Welcome(
        e.text("policy"),
        e.integer("history", 1, MAX_HISTORY),
        e.texts("cameras", MAX_CAMERAS),
        e.integer("max_bytes", 1),
        e.integer("max_slots", 1),
        planning,
    )


def _write_welcome(message: Welcome) -> dict[str, Any]:
    plain = to_plain(message)
    if message.planning is None:
        del plain["planning"]  # a client of version 1 does not know it
    return plain


def _read_reset(value: dict[str, Any]) -> Reset:
    e = Entries(value, ("id", "slot", "instruction", "seed"), "reset")
    return Reset(e.integer("id", 1), e.integer("slot"), e.text("instruction"), e.integer("seed"))


def _write_act(message: Act) -> dict[str, Any]:
    histories = [[_write_observation(seen) for seen in history] for history in message.histories]
    plain: dict[str, Any] = {"id": message.id, "slots": list(message.slots), "histories": histories}
    if message.running is not None:
        plain["running"] = [plain_running(plan) for plan in message.running]
    return plain


def _read_act(value: dict[str, Any]) -> Act:
    e = Entries(value, ("id", "slots", "histories"), "act", optional=("running",))
    slots, histories = e.items("slots", MAX_SLOTS), e.items("histories", MAX_SLOTS)
    if not all(type(slot) is int and slot >= 0 for slot in slots) or len(set(slots)) != len(slots) or not slots:
        raise e.wrong("slots", "different numbers, at least one")
    if len(histories) != len(slots):
        raise e.wrong("histories", f"{len(slots)} histories, one for each slot")
    if not all(isinstance(history, list) and 1 <= len(history) <= MAX_HISTORY for history in histories):
        raise e.wrong("histories", f"lists of 1 to {MAX_HISTORY} observations")
    read = tuple(tuple(_read_observation(seen) for seen in history) for history in histories)
    running = None
    if "running" in value:
        running = tuple(read_running(plan) for plan in e.items("running", MAX_SLOTS))
        if len(running) != len(slots):
            raise e.wrong("running", f"{len(slots)} plans, one for each slot")
    return Act(e.integer("id", 1), tuple(slots), read, running)


def _write_observation(seen: Observation) -> dict[str, Any]:
    images = {name: plain_array(image, "uint8") for name, image in seen.images.items()}
    state = plain_array(seen.state, "float64")
    return {"state": state, "images": images, "time_s": float(seen.time_s), "sequence": int(seen.sequence)}


def _read_observation(value: Any) -> Observation:
    e = Entries(value, ("state", "images", "time_s", "sequence"), "observation")
    named = e.entries("images", MAX_CAMERAS)
    images = Entries(named, tuple(named), "observation.images")
    pictures = {name: images.array(name, "uint8", 3) for name in named}
    return Observation(e.array("state", "float64", 1), pictures, e.number("time_s"), e.integer("sequence"))


def _read_ready(value: dict[str, Any]) -> Ready:
    e = Entries(value, ("id", "queue_s", "work_s"), "ready")
    return Ready(e.integer("id", 1), e.number("queue_s"), e.number("work_s"))


def _write_decided(message: Decided) -> dict[str, Any]:
    chunks = [
        {"actions": plain_array(c.actions, "float64"), "start_s": float(c.start_s), "period_s": float(c.period_s)}
        for c in message.chunks
    ]
    timing = {"queue_s": message.queue_s, "work_s": message.work_s, "batch": message.batch}
    return {"id": message.id, "chunks": chunks, **timing}


def _read_decided(value: dict[str, Any]) -> Decided:
    e = Entries(value, ("id", "chunks", "queue_s", "work_s", "batch"), "decided")
    chunks = tuple(_read_chunk(chunk) for chunk in e.items("chunks", MAX_SLOTS))
    return Decided(e.integer("id", 1), chunks, e.number("queue_s"), e.number("work_s"), e.integer("batch", 1))


def _read_chunk(value: Any) -> ActionChunk:
    e = Entries(value, ("actions", "start_s", "period_s"), "chunk")
    actions = e.array("actions", "float64", 2)
    if not len(actions):
        raise WireError("a chunk holds no action", where="chunk", got=actions.shape)
    return ActionChunk(actions.copy(), e.number("start_s"), e.number("period_s"))


def _read_refusal(value: dict[str, Any]) -> Refusal:
    e = Entries(value, ("id", "kind", "message", "where", "got", "expected", "remedy", "differences"), "refusal")
    told = (e.text(name) for name in ("kind", "message", "where", "got", "expected", "remedy"))
    return Refusal(e.integer("id"), *told, differences=e.texts("differences", 200))


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "hello": _read_hello,
    "welcome": _read_welcome,
    "reset": _read_reset,
    "act": _read_act,
    "ready": _read_ready,
    "decided": _read_decided,
    "refusal": _read_refusal,
}
_WRITERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "hello": _write_hello,
    "welcome": _write_welcome,
    "reset": to_plain,
    "act": _write_act,
    "ready": to_plain,
    "decided": _write_decided,
    "refusal": to_plain,
}
_NAMES: dict[type[Any], str] = {
    Hello: "hello",
    Welcome: "welcome",
    Reset: "reset",
    Act: "act",
    Ready: "ready",
    Decided: "decided",
    Refusal: "refusal",
}
