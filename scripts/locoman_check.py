"""Look at LocoMan's electronics before anything moves: who answers, and what the joints measure; calibrate the servos.

Nothing is given torque. The legs are told to be limp, since a Go1 answers only who sends: it must lie, or hang::

    python scripts/locoman_check.py --interface enp3s0 --servo-port /dev/serial/by-id/usb-FTDI_…
    python scripts/locoman_check.py --servo-port … --zero-at folded --write locoman.json

With ``--zero-at`` the manipulators have to be held where the model says ``folded`` (as at home: along the calves, jaws
closed) or ``zero`` (all joints at 0, jaws closed); the servos' zero positions are then written into a configuration.
The directions of the servos have to be right before: turn each joint by hand and look at its sign.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_stack.core.atomic import write_text
from robot_stack.core.config_json import to_plain
from robot_stack.core.errors import RobotStackError
from robot_stack.deploy.robots.locoman import settings
from robot_stack.hardware.dynamixel import control_table as table
from robot_stack.hardware.dynamixel.serial_port import SerialPort, slow_adapter
from robot_stack.hardware.dynamixel.servo_line import ServoLine
from robot_stack.hardware.locoman.bus import REAL_LINES
from robot_stack.hardware.locoman.config import LocoManConfig
from robot_stack.hardware.locoman.joint_map import JOINT_NAMES, MOTOR_JOINTS, SERVOS
from robot_stack.hardware.locoman.leg_report import LegReport
from robot_stack.hardware.unitree_go1.packets import LegState, limp

POSES = {
    "folded": (-math.pi, -0.05, 0.0, 0.01, -math.pi, 0.05, 0.0, 0.01),
    "zero": (0.0, 0.0, 0.0, 0.01) * 2,
}
"""Angles of the servos' axes at which they are calibrated [rad]; of grippers the angle between the jaws."""


def look_at_servos(config: LocoManConfig) -> dict[int, int]:
    """Print what the servos say; returns the position of each that answers [4096th of a turn]."""
    servos = config.servos
    line = ServoLine(SerialPort(servos.port, servos.speed), 0.05)
    found = {}
    print(f"servos on {servos.port}, {servos.speed} bit/s")
    print(f"{'id':>4}{'model':>8}{'position':>10}{'angle':>9}{'V':>7}{'°C':>5}  errors")
    for index, servo in enumerate(SERVOS):
        if not line.ping(servo):
            print(f"{servo:4d}  does not answer")
            continue
        position = line.read(servo, table.PRESENT_POSITION)
        angle = servos.direction[index] * table.radians_of(position - servos.zero_ticks[index])
        volt = line.read(servo, table.PRESENT_VOLTAGE) * table.VOLTAGE_UNIT_V
        celsius, model = line.read(servo, table.PRESENT_TEMPERATURE), line.read(servo, table.MODEL_NUMBER)
        errors = ", ".join(line.errors_of(servo)) or "none"
        print(f"{servo:4d}{model:8d}{position:10d}{angle:9.3f}{volt:7.1f}{celsius:5d}  {errors}")
        found[servo] = position
    line.close()
    slow = slow_adapter(servos.port)
    if slow:
        print(slow)
    return found


def look_at_legs(config: LocoManConfig, seconds: float) -> None:
    """Print what the Go1 says."""
    legs = REAL_LINES.legs(config)
    legs.open()
    newest: LegState | None = None
    states, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        legs.send(limp())
        state = legs.receive()
        newest, states = (state, states + 1) if state is not None else (newest, states)
        time.sleep(0.002)
    print(f"Go1 at {config.legs.address.robot}: {states / seconds:.0f} new states a second, {legs.counters()}")
    legs.close()
    if newest is None:
        print("  no answer; low-level mode is L2+A, L2+A, L2+B, L1+L2+start on its remote control")
        return
    for motor, joint in enumerate(MOTOR_JOINTS):
        print(f"  {JOINT_NAMES[joint]:18}{newest.position[motor]:8.3f} rad {newest.temperature[motor]:4d} °C")
    print(f"  feet {newest.foot.tolist()} counts, trunk {np.round(newest.quaternion, 3).tolist()} wxyz")
    report = LegReport(config.legs)
    print(f"  {report.readings(newest)}")
    print(f"  faults: {'; '.join(report.faults(newest)) or 'none'}")


def calibrated(config: LocoManConfig, positions: dict[int, int], pose: str) -> LocoManConfig:
    """The configuration with the servos' zeros, from where they stand at a known pose.

    Raises:
        RobotStackError: if one did not answer.
    """
    missing = sorted(set(SERVOS) - set(positions))
    if missing:
        raise RobotStackError("not all servos answered", got=f"no answer from {missing}")
    zeros = [
        positions[servo] - config.servos.direction[i] * table.ticks_of(POSES[pose][i]) for i, servo in enumerate(SERVOS)
    ]
    return replace(config, servos=replace(config.servos, zero_ticks=tuple(zeros)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="", help="a configuration to begin with")
    parser.add_argument(
        "--interface", default="", help="network interface to the Go1; left out, the legs are not asked"
    )
    parser.add_argument("--go1-address", default="", help="of its motor computer")
    parser.add_argument("--go1-port", type=int, default=0, help="likewise")
    parser.add_argument("--servo-port", default="", help="serial port of the servos")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long the legs are listened to")
    parser.add_argument("--zero-at", choices=sorted(POSES), help="the pose the manipulators are held in")
    parser.add_argument("--write", type=Path, default=None, help="where the calibrated configuration goes")
    given = parser.parse_args()
    named = {
        "config": given.config,
        "network_interface": given.interface,
        "go1_address": given.go1_address,
        "go1_port": given.go1_port,
        "servo_port": given.servo_port,
    }
    try:
        config = settings({name: value for name, value in named.items() if value}, simulated=False)
        positions = look_at_servos(config)
        if given.interface:
            look_at_legs(config, given.seconds)
        if given.zero_at and given.write:
            done = calibrated(config, positions, given.zero_at)
            write_text(given.write, json.dumps(to_plain(done), indent=1) + "\n")
            print(f"wrote {given.write}: zeros {list(done.servos.zero_ticks)}")
    except RobotStackError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
