"""Packets against the examples of the maker's manual, and against damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError
from robot_stack.hardware.dynamixel import packets
from robot_stack.hardware.dynamixel.control_table import (
    GOAL_CURRENT,
    GOAL_POSITION,
    PRESENT_VELOCITY,
    hardware_errors,
    radians_of,
    ticks_of,
)
from robot_stack.hardware.dynamixel.packets import PacketStream

MANUAL = {
    "ping": ("FFFFFD0001030001194E", packets.instruct(1, packets.PING)),
    "broadcast ping": ("FFFFFD00FE0300013142", packets.instruct(0xFE, packets.PING)),
    "ping answer": ("FFFFFD000107005500060426655D", packets.answer(1, 0, bytes((6, 4, 0x26)))),
    "read": ("FFFFFD0001070002840004001D15", packets.instruct(1, packets.READ, packets.span(132, 4))),
    "read answer": ("FFFFFD000108005500A60000008CC0", packets.answer(1, 0, (166).to_bytes(4, "little"))),
    "write": ("FFFFFD0001090003740000020000CA89", packets.instruct(1, packets.WRITE, bytes((0x74, 0, 0, 2, 0, 0)))),
    "sync read": ("FFFFFD00FE090082840004000102CEFA", packets.sync_read(132, 4, (1, 2))),
    "sync write": (
        "FFFFFD00FE11008374000400019600000002AA0000008287",
        packets.sync_write(116, 4, {1: (150).to_bytes(4, "little"), 2: (170).to_bytes(4, "little")}),
    ),
    "fast sync read": ("FFFFFD00FE0A008A8400040003070420F2", packets.sync_read(132, 4, (3, 7, 4), fast=True)),
}
"""Name: the manual's bytes, ours. https://emanual.robotis.com/docs/en/dxl/protocol2/"""

FAST_ANSWER = bytes.fromhex("FFFFFD00FE1900550003A60000008408" + "00071F08000016CA" + "0004FF030000D19E")
"""The manual's answer to a fast sync read of servos 3, 7, 4."""


@pytest.mark.parametrize("name", MANUAL)
def test_the_manuals_examples(name: str) -> None:
    theirs, ours = MANUAL[name]
    assert ours == bytes.fromhex(theirs)
    (packet,) = PacketStream().feed(ours)
    assert packet.servo in (1, 0xFE)


def test_the_manuals_fast_answer() -> None:
    (packet,) = PacketStream().feed(FAST_ANSWER)
    parts = packets.split_fast_answer(packet, 4)
    values = {servo: int.from_bytes(part.data, "little") for servo, part in parts.items()}
    assert values == {3: 166, 7: 2079, 4: 1023}
    assert packets.crc16(FAST_ANSWER[:14]) == 0x0884  # each servo counts on from what came before it
    assert packets.crc16(FAST_ANSWER[:22]) == 0xCA16


@given(st.binary(max_size=60), st.integers(0, 252))
@settings(max_examples=200, deadline=None)
def test_what_is_built_is_found_again(data: bytes, servo: int) -> None:
    data = data.replace(b"\x01", b"\xff").replace(b"\x02", b"\xfd")
    raw = packets.answer(servo, 3, data)
    assert b"\xff\xff\xfd\x00" not in raw[4:]
    (packet,) = PacketStream().feed(raw)
    assert packet == packets.Packet(servo, packets.STATUS, data, 3)


def test_stuffing_is_in_length_and_crc() -> None:
    raw = packets.instruct(1, packets.WRITE, b"\x74\x00\xff\xff\xfd\x00")
    assert raw[8:-2] == b"\x74\x00\xff\xff\xfd\xfd\x00"
    assert int.from_bytes(raw[5:7], "little") == len(raw) - 7
    assert packets.crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little")


NOISE = st.lists(st.sampled_from((0x00, 0x55, 0xFD, 0xFE)), max_size=9).map(bytes)


@given(st.lists(st.sampled_from(list(MANUAL)), min_size=1, max_size=4), NOISE, st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_bytes_come_in_any_pieces_after_noise(names: list[str], noise: bytes, piece: int) -> None:
    whole = b"".join(noise + MANUAL[name][1] for name in names)
    stream, found = PacketStream(), []
    for at in range(0, len(whole), piece):
        found += stream.feed(whole[at : at + piece])
    assert len(found) == len(names)
    assert stream.noise == len(noise) * len(names)


@given(st.integers(0, 14 * 8 - 1))
def test_a_flipped_bit_is_never_believed(bit: int) -> None:
    raw = bytearray(MANUAL["read answer"][1])
    raw[bit // 8] ^= 1 << bit % 8
    found = PacketStream().feed(bytes(raw))
    assert not found


def test_a_packet_after_a_broken_one_is_found() -> None:
    good = MANUAL["read answer"][1]
    stream = PacketStream()
    assert [p.servo for p in stream.feed(good[:-1] + b"\x00" + good)] == [1]
    assert stream.bad_crc == 1
    assert [p.servo for p in stream.feed(good[:9])] == []
    assert [p.servo for p in stream.feed(good)] == [1]  # although the half one claimed bytes of it


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    stream = PacketStream()
    stream.feed(b"\xff\xff\xfd" + data)
    stream.reset()
    assert len(stream.feed(MANUAL["ping"][1])) == 1


@pytest.mark.parametrize(("item", "value"), [(GOAL_CURRENT, -900), (GOAL_POSITION, -1), (PRESENT_VELOCITY, -(2**31))])
def test_negative_numbers_are_twos_complement(item, value: int) -> None:
    assert item.decode(item.encode(value)) == value
    assert GOAL_CURRENT.encode(-1) == b"\xff\xff"  # not 0xfffe: 2**16 - 1, not 2**16 - 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="goal current"):
        GOAL_CURRENT.encode(40000)


@given(st.integers(-40000, 40000))
def test_ticks_are_kept(ticks: int) -> None:
    assert ticks_of(radians_of(ticks)) == ticks


def test_hardware_errors_in_words() -> None:
    assert hardware_errors(0b110101) == ("input voltage", "overheating", "electrical shock", "overload")
    assert hardware_errors(0) == ()
