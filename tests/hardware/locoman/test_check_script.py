"""The script that looks at LocoMan's electronics and calibrates its servos, against emulated ones."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.config_json import to_plain
from robot_stack.hardware.locoman import joint_map
from robot_stack.hardware.locoman.config import read_config
from tests.hardware.locoman.body import config, linked

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "locoman_check.py"


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_servos_and_legs_are_shown_and_zeros_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true = config(tmp_path, direction=(1, -1) * 4, zero_ticks=tuple(range(900, 1700, 100)))
    with linked(true) as (bus, body):
        bus.close()
        at_zero = np.zeros(22)
        at_zero[joint_map.ARM_JOINTS[-4:]] = 0.005  # jaws closed
        body.position[joint_map.ARM_JOINTS] = at_zero[joint_map.ARM_JOINTS]
        guess = replace(
            bus.config, servos=replace(bus.config.servos, zero_ticks=(2048,) * 8)
        )  # directions are right already
        before, after = tmp_path / "before.json", tmp_path / "after.json"
        before.write_text(json.dumps(to_plain(guess)))
        _run(
            monkeypatch, "--config", str(before), "--interface", "lo", "--seconds", "1.0",
            "--zero-at", "zero", "--write", str(after),
        )  # fmt: skip
        said = capsys.readouterr().out
        assert "does not answer" not in said and said.count("1220") == 8
        assert "1_FR_hip_joint" in said and "faults: none" in said
        assert read_config(after).servos.zero_ticks == true.servos.zero_ticks
        assert not body.told.stiffness.any() and not body.told.damping.any()
        assert not any(servo.goal.torque for servo in body.emulated.line.servos.values())


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="no such serial port"):
        _run(monkeypatch, "--servo-port", str(tmp_path / "ttyUSB0"))
    with linked(config(tmp_path)) as (_bus, body):
        body.emulated.line.faults.silent = {7}
        with pytest.raises(SystemExit, match=r"no answer from \[7\]"):
            _run(
                monkeypatch, "--servo-port", str(tmp_path / "servos"),
                "--zero-at", "zero", "--write", str(tmp_path / "x.json"),
            )  # fmt: skip
    assert "7  does not answer" in capsys.readouterr().out
    assert not (tmp_path / "x.json").exists()
