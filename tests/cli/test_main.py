"""The command line answers quickly and plainly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from robot_stack.cli.main import INTERRUPTED, USAGE_ERROR, VERBS, main

HEAVY = ("torch", "numpy", "mujoco", "metaworld", "pyarrow", "av", "cv2", "matplotlib", "scipy", "diffusers")

PROBE = """
import sys
from robot_stack.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
loaded = [m for m in {heavy} if m in sys.modules]
print("LOADED", loaded)
sys.exit(code)
"""


def helps() -> list[list[str]]:
    from robot_stack.cli.data import ACTIONS

    return [["--help"], *([verb, "--help"] for verb in VERBS), *(["data", command, "--help"] for command in ACTIONS)]


@pytest.mark.parametrize("arguments", helps(), ids=" ".join)
def test_help_works_and_loads_nothing_heavy(arguments: list[str]) -> None:
    code = PROBE.format(heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert "LOADED []" in done.stdout


def test_no_verb_shows_the_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == USAGE_ERROR
    assert all(verb in capsys.readouterr().out for verb in VERBS)


def test_an_unknown_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["colect"]) == USAGE_ERROR
    error = capsys.readouterr().err
    assert "unknown verb 'colect'" in error and "did you mean 'collect'" in error


def test_an_interrupt_ends_plainly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from robot_stack.cli import doctor

    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert main(["doctor"]) == INTERRUPTED
    assert "the same command goes on" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from robot_stack import __version__

    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
