"""The Go1's low-level UDP packets, byte by byte.

What is known of them and from where: the fields and their order are those of ``comm.h`` of unitree_legged_sdk 3.8 (BSD
licence); the network's packets are shorter than those structures, since some numbers are squeezed into fewer bits. The
shorter layout was worked out independently by free-dog-sdk (MIT, used on robots), by SBK, and by an analysis of packets
captured from a Go1 whose 10,000 states and 5,000 commands all have the checksums below. Commands here are byte for byte
those of Unitree's own library, and it reads our states: the tests hold packets it made.

Commands are 614 bytes. States are 807 bytes; the captured robot sends 13 more behind them, whose meaning is not known
and which Unitree's library does not look at either. A command's checksum comes in two forms: Unitree's library (3.8.6,
for the Go1 Edu) sends it plain; the robot's own walking program, by the capture, and free-dog-sdk send it masked. Which
firmware takes which is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.unitree_g1.crc import crc32_words

HEAD, LOW_LEVEL = (0xFE, 0xEF), 0xFF
"""Every low-level packet begins with these three bytes."""

SERVO, DAMPING, OVERHEAT = 0x0A, 0x00, 0x08
"""Modes of a motor."""

NO_POSITION, NO_VELOCITY = 2.146e9, 16000.0
"""Told as position and velocity, they switch that part of the loop off."""

MOTORS = 12
"""Legs front right, front left, rear right, rear left; of each hip, thigh, calf. A packet has room for 20."""

TORQUE_UNIT, STIFFNESS_UNIT, DAMPING_UNIT = 1.0 / 256.0, 1.0 / 32.0, 1.0 / 16.0
"""Of the squeezed numbers [N·m], [N·m/rad], [N·m·s/rad]."""

CELL_UNIT_V = 0.032
"""Of a battery cell's voltage in a state [V]."""

_MOTOR_COMMAND = np.dtype(
    [("mode", "u1"), ("q", "<f4"), ("dq", "<f4"), ("tau", "<i2"), ("kp", "<u2"), ("kd", "<u2"), ("spare", "u1", 12)]
)
_MOTOR_STATE = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("ddq", "<i2"),
        ("tau", "<i2"),
        ("q_raw", "<f4"),
        ("dq_raw", "<f4"),
        ("ddq_raw", "<i2"),
        ("temperature", "i1"),
        ("spare", "u1", 8),
    ]
)
_BEGIN = [("head", "u1", 2), ("level", "u1"), ("frame", "u1"), ("serial", "<u4", 2), ("version", "<u4", 2)]
_END = [("remote", "u1", 40), ("reserve", "<u4"), ("crc", "<u4")]
COMMAND = np.dtype(
    [*_BEGIN, ("bandwidth", "<u2"), ("motor", _MOTOR_COMMAND, 20), ("battery_off", "u1"), ("spare", "u1", 3), *_END]
)
"""Of a command packet."""

STATE = np.dtype(
    [
        *_BEGIN,
        ("bandwidth", "<u2"),
        ("quaternion", "<f4", 4),
        ("gyroscope", "<f4", 3),
        ("accelerometer", "<f4", 3),
        ("rpy", "<f4", 3),
        ("imu_temperature", "i1"),
        ("motor", _MOTOR_STATE, 20),
        ("battery_version", "u1", 2),
        ("battery_status", "u1"),
        ("battery_percent", "u1"),
        ("battery_current", "<i4"),
        ("battery_cycles", "<u2"),
        ("battery_temperature", "i1", 4),
        ("cell", "u1", 10),
        ("foot_force", "<i2", 4),
        ("foot_force_estimated", "<i2", 4),
        ("tick", "<u4"),
        *_END,
    ]
)
"""Of a state packet, without what follows it on some robots."""

STATE_LENGTHS = (STATE.itemsize, STATE.itemsize + 13)
"""Of state packets that are known [bytes]."""

_COMMAND_COVERED, _STATE_COVERED = 608, 800
_MASK, _ALL = 0xEDCAB9DE, 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class LegCommand:
    """What the twelve motors are told, each of shape ``(12,)`` in the order of :data:`MOTORS`."""

    position: np.ndarray
    """[rad]; :data:`NO_POSITION` for none."""

    velocity: np.ndarray
    """[rad/s]; :data:`NO_VELOCITY` for none."""

    torque: np.ndarray
    """Fed forward [N·m]."""

    stiffness: np.ndarray
    """[N·m/rad]."""

    damping: np.ndarray
    """[N·m·s/rad]."""

    mode: int = SERVO
    """Of all motors."""


@dataclass(frozen=True, eq=False)
class LegState:
    """What a Go1 says."""

    tick: int
    """Its own count [ms]."""

    position: np.ndarray
    """Of the twelve joints [rad]."""

    velocity: np.ndarray
    """[rad/s]."""

    torque: np.ndarray
    """Estimated by the motors [N·m]."""

    mode: np.ndarray = field(default_factory=lambda: np.full(MOTORS, SERVO))
    """Of each motor."""

    temperature: np.ndarray = field(default_factory=lambda: np.full(MOTORS, 30))
    """Of each motor [°C]."""

    quaternion: np.ndarray = field(default_factory=lambda: np.array((1.0, 0.0, 0.0, 0.0)))
    """Of the trunk in the world, wxyz."""

    gyroscope: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """In the trunk's axes [rad/s]."""

    accelerometer: np.ndarray = field(default_factory=lambda: np.array((0.0, 0.0, 9.81)))
    """Likewise [m/s²]."""

    foot: np.ndarray = field(default_factory=lambda: np.zeros(4))
    """Pressure of the feet's air bags, in the sensor's own counts."""

    battery_percent: int = 100
    """[%]."""

    battery_current: int = 0
    """[mA]."""

    cells: np.ndarray = field(default_factory=lambda: np.full(10, 3.8))
    """Of the battery [V]; cells that are not there show 0."""

    remote: bytes = bytes(40)
    """The remote control's part."""


def limp() -> LegCommand:
    """Motors that resist nothing: what Unitree's library begins with."""
    zero = np.zeros(MOTORS)
    return LegCommand(np.full(MOTORS, NO_POSITION), np.full(MOTORS, NO_VELOCITY), zero, zero, zero)


def encode_command(command: LegCommand, *, masked: bool = False) -> bytes:
    """The packet of a command.

    Squeezed numbers are cut off towards zero, as Unitree's library does; what would not fit into them is clipped, where
    that library lets it wrap around to the other sign.

    Args:
        command: what the motors are told.
        masked: whether the checksum is masked, see above.
    """
    packet = np.zeros((), COMMAND)
    packet["head"], packet["level"] = HEAD, LOW_LEVEL
    motor = packet["motor"][:MOTORS]
    motor["mode"] = command.mode
    motor["q"], motor["dq"] = command.position, command.velocity
    motor["tau"] = _squeeze(command.torque, TORQUE_UNIT, -(2**15), 2**15 - 1)
    motor["kp"] = _squeeze(command.stiffness, STIFFNESS_UNIT, 0, 2**16 - 1)
    motor["kd"] = _squeeze(command.damping, DAMPING_UNIT, 0, 2**16 - 1)
    rest = packet["motor"][MOTORS:]
    rest["mode"], rest["q"], rest["dq"] = SERVO, NO_POSITION, NO_VELOCITY
    raw = packet.tobytes()
    crc = crc32_words(raw[:_COMMAND_COVERED])
    return raw[:-4] + (_masked(crc) if masked else crc).to_bytes(4, "little")


def decode_command(data: bytes) -> LegCommand:
    """A command from its packet, with either form of the checksum; for emulators.

    Raises:
        BusError: if it is no command, or damaged.
    """
    _check(data, (COMMAND.itemsize,), "command")
    crc = crc32_words(data[:_COMMAND_COVERED])
    if int.from_bytes(data[-4:], "little") not in (crc, _masked(crc)):
        raise BusError("a command's checksum is wrong")
    motor = np.frombuffer(data, COMMAND, 1)[0]["motor"][:MOTORS]
    return LegCommand(
        motor["q"].astype(np.float64),
        motor["dq"].astype(np.float64),
        motor["tau"] * TORQUE_UNIT,
        motor["kp"] * STIFFNESS_UNIT,
        motor["kd"] * DAMPING_UNIT,
        int(motor["mode"][0]),
    )


def encode_state(state: LegState) -> bytes:
    """The packet of a state, for emulators."""
    packet = np.zeros((), STATE)
    packet["head"], packet["level"] = HEAD, LOW_LEVEL
    packet["quaternion"], packet["gyroscope"] = state.quaternion, state.gyroscope
    packet["accelerometer"] = state.accelerometer
    motor = packet["motor"][:MOTORS]
    motor["mode"], motor["temperature"] = state.mode, state.temperature
    motor["q"], motor["dq"] = state.position, state.velocity
    motor["q_raw"], motor["dq_raw"] = state.position, state.velocity
    motor["tau"] = _squeeze(state.torque, TORQUE_UNIT, -(2**15), 2**15 - 1)
    packet["battery_percent"], packet["battery_current"] = state.battery_percent, state.battery_current
    packet["cell"] = np.clip(np.rint(state.cells / CELL_UNIT_V), 0, 255)
    packet["foot_force"] = np.clip(np.rint(state.foot), -(2**15), 2**15 - 1)
    packet["tick"] = state.tick & _ALL
    packet["remote"] = np.frombuffer(state.remote, np.uint8)
    raw = packet.tobytes()
    return raw[:-4] + crc32_words(raw[:_STATE_COVERED]).to_bytes(4, "little")


def decode_state(data: bytes) -> LegState:
    """A state from its packet.

    Raises:
        BusError: if it is no state, or damaged.
    """
    _check(data, STATE_LENGTHS, "state")
    end = STATE.itemsize
    if crc32_words(data[:_STATE_COVERED]) != int.from_bytes(data[end - 4 : end], "little"):
        raise BusError("a state's checksum is wrong")
    packet = np.frombuffer(data, STATE, 1)[0]
    motor = packet["motor"][:MOTORS]
    return LegState(
        tick=int(packet["tick"]),
        position=motor["q"].astype(np.float64),
        velocity=motor["dq"].astype(np.float64),
        torque=motor["tau"] * TORQUE_UNIT,
        mode=motor["mode"].copy(),
        temperature=motor["temperature"].astype(np.int64),
        quaternion=packet["quaternion"].astype(np.float64),
        gyroscope=packet["gyroscope"].astype(np.float64),
        accelerometer=packet["accelerometer"].astype(np.float64),
        foot=packet["foot_force"].astype(np.float64),
        battery_percent=int(packet["battery_percent"]),
        battery_current=int(packet["battery_current"]),
        cells=packet["cell"] * CELL_UNIT_V,
        remote=packet["remote"].tobytes(),
    )


def tick_of(data: bytes) -> int:
    """The count in a state's packet of the right length."""
    return int.from_bytes(data[755:759], "little")


def _squeeze(values: np.ndarray, unit: float, low: int, high: int) -> np.ndarray:
    return np.clip(np.trunc(np.asarray(values, np.float32) / np.float32(unit)), low, high)


def _masked(crc: int) -> int:
    """What Unitree calls encryption: a mask, and the lowest byte moved to the top."""
    masked = crc ^ _MASK
    return masked >> 8 | (masked & 0xFF) << 24


def _check(data: bytes, lengths: tuple[int, ...], what: str) -> None:
    if len(data) not in lengths:
        raise BusError(f"a packet is no {what} of a Go1", got=f"{len(data)} bytes", expected=lengths)
    if tuple(data[:3]) != (*HEAD, LOW_LEVEL):
        raise BusError(f"a packet is no low-level {what}", got=data[:3].hex(), expected="feefff")
