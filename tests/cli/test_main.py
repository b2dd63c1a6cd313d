"""The command line answers quickly and plainly."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import tyro

from robot_stack.cli.main import INTERRUPTED, USAGE_ERROR, VERBS, main
from robot_stack.cli.parsing import Many, Maybe, parse

HEAVY = ("torch", "numpy", "mujoco", "metaworld", "pyarrow", "av", "cv2", "matplotlib", "scipy", "diffusers")
SLOW_TO_LOAD = ("typeguard", "unittest.mock", "asyncio", "ssl")
"""What tyro loads for fields that are not spelt with ``Maybe`` and ``Many`` of ``robot_stack.cli.parsing``."""

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
    code = PROBE.format(heavy=(*HEAVY, *SLOW_TO_LOAD))
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert "LOADED []" in done.stdout


@dataclass(frozen=True)
class Options:
    """Options of every spelling."""

    roots: Annotated[Many[Path], tyro.conf.Positional] = ()
    """Folders."""

    numbers: Many[int] = (1, 2)
    """Numbers."""

    fields: Maybe[Many[str]] = None
    """Names."""

    share: Maybe[float] = None
    """A share."""


def test_options_that_may_be_left_out_or_given_often(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(Options, [], "x") == Options()
    given = parse(Options, ["a", "b", "--numbers", "--fields", "p", "q", "--share", "0.5"], "x")
    assert given == Options((Path("a"), Path("b")), (), ("p", "q"), 0.5)
    assert parse(Options, ["--fields", "None", "--share", "None", "--numbers", "7"], "x") == Options(numbers=(7,))
    with pytest.raises(SystemExit):
        parse(Options, ["--numbers", "1", "two"], "x")
    assert "numbers" in capsys.readouterr().err


def test_no_verb_shows_the_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == USAGE_ERROR
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


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
