"""Messages come back as they were sent; everything else is refused with one kind of error."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import EmbodimentMismatchError, NonFiniteError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.runtime.policy_connection import PolicyServerError, error_of
from robot_stack.runtime.wire import (
    Act,
    Decided,
    Hello,
    Ready,
    Refusal,
    Reset,
    Welcome,
    decode,
    encode,
    refusal_of,
)
from robot_stack.runtime.wire_values import WireError, plain_array
from tests.runtime.serving import ROBOT, SEEING


def seen(seed: int = 0, pictures: int = 2) -> Observation:
    rng = np.random.default_rng(seed)
    images = {f"camera {i}": rng.integers(0, 256, (4 + i, 5, 3), dtype=np.uint8) for i in range(pictures)}
    return Observation(rng.normal(size=6), images, 0.25, 7)


ACT = Act(3, (4, 0), ((seen(0), seen(1)), (seen(2), seen(3))))
PLANNED = Act(3, (4,), ((seen(0),),), (RunningPlan(np.arange(6.0).reshape(3, 2), np.array([1.0, 0.5, 0.1]), 3.0),))
DECIDED = Decided(3, (ActionChunk(np.arange(8.0).reshape(4, 2), 0.5, 0.05),), 0.001, 0.25, 2)
PLAIN = [
    Hello(ROBOT),
    Hello(SEEING),
    Welcome("diffusion 1234", 2, ("front", "wrist"), 2**20, 64),
    Welcome("diffusion 1234", 2, (), 2**20, 64, "continued plans"),
    Hello(ROBOT, 1),
    Reset(1, 5, "öffne die Schublade", 2**31 - 1),
    Ready(1, 0.0, 0.5),
    Refusal(2, "NonFiniteError", "the state is not finite", "observation 3", "x", differences=("a", "b")),
]


@pytest.mark.parametrize("message", PLAIN, ids=lambda m: type(m).__name__)
def test_plain_messages_come_back_equal(message) -> None:
    assert decode(encode(message)) == message


def test_observations_come_back_bit_for_bit() -> None:
    back = decode(encode(ACT))
    assert isinstance(back, Act) and (back.id, back.slots) == (ACT.id, ACT.slots)
    for mine, theirs in zip(ACT.histories, back.histories, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.state.tobytes() == b.state.tobytes() and b.state.dtype == np.float64
            assert a.images.keys() == b.images.keys()
            assert all(np.array_equal(a.images[n], b.images[n]) and b.images[n].dtype == np.uint8 for n in a.images)
            assert (a.time_s, a.sequence) == (b.time_s, b.sequence)


def test_what_is_carried_out_comes_back_bit_for_bit() -> None:
    back = decode(encode(PLANNED))
    assert isinstance(back, Act) and back.running is not None and PLANNED.running is not None
    assert back.running[0].actions.tobytes() == PLANNED.running[0].actions.tobytes()
    assert back.running[0].weights.tolist() == [1.0, 0.5, 0.1] and back.running[0].max_weight == 3.0
    assert decode(encode(ACT)).running is None  # type: ignore[union-attr]


def test_what_version_1_says_is_what_it_always_said() -> None:
    assert set(msgpack.unpackb(encode(ACT))) == {"type", "id", "slots", "histories"}
    welcome = msgpack.unpackb(encode(Welcome("p", 1, (), 1, 1)))
    assert set(welcome) == {"type", "policy", "history", "cameras", "max_bytes", "max_slots"}


def test_actions_come_back_bit_for_bit_and_may_be_written_to() -> None:
    back = decode(encode(DECIDED))
    assert isinstance(back, Decided) and back.batch == 2 and back.work_s == 0.25
    assert back.chunks[0].actions.tobytes() == DECIDED.chunks[0].actions.tobytes()
    assert (back.chunks[0].start_s, back.chunks[0].period_s) == (0.5, 0.05)
    back.chunks[0].actions[0] = 1.0


@pytest.mark.parametrize("array", [np.arange(6.0)[::2], np.arange(6.0).reshape(2, 3).T, np.arange(3, dtype=">f8")])
def test_arrays_of_any_layout_travel(array: np.ndarray) -> None:
    back = decode(encode(Act(1, (0,), ((Observation(np.ravel(array)),),))))
    assert isinstance(back, Act)
    assert np.array_equal(back.histories[0][0].state, np.ravel(array))
    assert plain_array(array, "float64")["data"] == np.ascontiguousarray(array, "<f8").tobytes()


def changed(message, **entries) -> Any:
    return msgpack.packb({**msgpack.unpackb(encode(message)), **entries})


def observed(**entries) -> Any:
    plain = msgpack.unpackb(encode(Act(1, (0,), ((seen(),),))))
    plain["histories"][0][0].update(entries)
    return msgpack.packb(plain)


def running(**entries) -> Any:
    plain = msgpack.unpackb(encode(PLANNED))
    plain["running"][0].update(entries)
    return msgpack.packb(plain)


def array(dtype: object, shape: object, data: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data": data}


EIGHT = b"\0" * 8


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("text", "binary"),
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (encode(ACT)[:-1], "not msgpack"),
        (encode(ACT) + b"\0", "not msgpack"),
        (msgpack.packb([1]), "no known type"),
        (msgpack.packb({"type": ["act"]}), "no known type"),
        (msgpack.packb({"type": "act"}), "wrong entries"),
        (msgpack.packb({1: 2}), "not msgpack"),
        (msgpack.packb(msgpack.ExtType(5, b"12")), "not msgpack"),
        (b"\x91" * 5000 + b"\xc0", "not msgpack"),
        (b"\xdd\xff\xff\xff\xff", "not msgpack"),
        (changed(ACT, more=1), "wrong entries"),
        (changed(ACT, slots=[0, 0]), "slots"),
        (changed(ACT, slots=[0]), "histories"),
        (changed(ACT, slots=[True, 0]), "slots"),
        (changed(ACT, histories=[[], []]), "histories"),
        (changed(ACT, id=0), "'id'"),
        (changed(PLAIN[5], seed=-1), "seed"),
        (changed(PLAIN[5], seed=2**63), "seed"),
        (changed(PLAIN[5], instruction="x" * 5000), "instruction"),
        (changed(PLAIN[0], version=3), "another version"),
        (changed(PLAIN[0], version=True), "another version"),
        (changed(PLAIN[3], planning="much"), "planning"),
        (changed(PLANNED, running=[]), "running"),
        (changed(PLANNED, running=[{}]), "wrong entries"),
        (running(max_weight=0.0), "max_weight"),
        (running(weights=plain_array(np.ones(2), "float64")), "one weight for each"),
        (changed(PLAIN[0], robot={"name": "x"}), "description is wrong"),
        (changed(PLAIN[0], robot=None), "description is wrong"),
        (changed(DECIDED, queue_s=float("nan")), "queue_s"),
        (observed(state=array("float64", [1], EIGHT + EIGHT)), "do not fit"),
        (observed(state=array("float32", [2], EIGHT)), "dtype"),
        (observed(state=array("object", [1], EIGHT)), "dtype"),
        (observed(state=array("float64", [1, 1], EIGHT)), "shape"),
        (observed(state=array("float64", [-1], EIGHT)), "shape"),
        (observed(state=array("float64", [2**31], EIGHT)), "shape"),
        (observed(state=array("float64", [1.0], EIGHT)), "shape"),
        (observed(state=array("float64", [1], [0] * 8)), "do not fit"),
        (observed(state=[0.0]), "wrong entries"),
        (observed(images={"top": array("uint8", [2**30, 2**30, 3], b"")}), "do not fit"),
        (observed(images=[1]), "images"),
        (observed(time_s=float("inf")), "time_s"),
        (observed(sequence="1"), "sequence"),
    ],
)
def test_what_is_malformed_is_refused(data: object, told: str) -> None:
    with pytest.raises(WireError, match=told):
        decode(data)


def test_what_is_too_long_is_refused_on_both_sides() -> None:
    data = encode(ACT)
    with pytest.raises(WireError, match="too long"):
        encode(ACT, max_bytes=len(data) - 1)
    with pytest.raises(WireError, match="too long"):
        decode(data, max_bytes=len(data) - 1)
    assert isinstance(decode(data, max_bytes=len(data)), Act)


def test_a_number_that_msgpack_cannot_hold_is_refused_before_it_is_sent() -> None:
    with pytest.raises(WireError, match="cannot be written"):
        encode(Reset(1, 0, "go", 2**70))


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@settings(max_examples=300)
@given(st.data())
def test_a_message_with_one_thing_changed_is_read_or_refused_never_a_crash(data: st.DataObject) -> None:
    plain = msgpack.unpackb(encode(data.draw(st.sampled_from([*PLAIN, ACT, DECIDED]))))
    here = plain
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(here[key], (dict, list)) and here[key] and data.draw(st.booleans()):
            here = here[key]
        else:
            here[key] = data.draw(plain_values)
            break
    try:
        message = decode(msgpack.packb(plain))
    except WireError:
        return
    encode(message)


@settings(max_examples=200)
@given(st.data())
def test_flipped_bytes_are_read_or_refused_never_a_crash(data: st.DataObject) -> None:
    raw = bytearray(encode(data.draw(st.sampled_from([*PLAIN, ACT, DECIDED]))))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=3)):
        raw[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(WireError):
        decode(bytes(raw))


def test_errors_travel_with_all_they_say() -> None:
    error = NonFiniteError("the state is not finite", where="observation 3", got="x", expected="numbers")
    back = error_of(decode(encode(refusal_of(error, 4))))  # type: ignore[arg-type]
    assert type(back) is NonFiniteError and str(back) == str(error)
    differences = ROBOT.diff(replace(ROBOT, name="other", control_hz=7.0))
    back = error_of(decode(encode(refusal_of(EmbodimentMismatchError("no", differences)))))  # type: ignore[arg-type]
    assert isinstance(back, EmbodimentMismatchError) and back.differences == tuple(differences)
    back = error_of(refusal_of(MemoryError("CUDA out of memory")))
    assert type(back) is PolicyServerError and "CUDA out of memory" in str(back)


def test_the_robots_side_loads_no_torch() -> None:
    code = (
        "import sys, robot_stack.runtime.policy_client; "
        "heavy = {'torch', 'mujoco', 'scipy', 'matplotlib', 'fastapi', 'pyarrow', 'safetensors'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
