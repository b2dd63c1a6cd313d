"""Trying things in a process of their own: a graphics driver, a codec or a ROS library can crash or hang it, not us."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from robot_stack.core.errors import MissingExtraError, RobotStackError

_MARK = "probe-answer:"


@dataclass(frozen=True)
class Answer:
    """What came back from a probe."""

    ok: bool
    """It returned."""

    value: dict[str, Any]
    """What it returned; ``missing``, ``error`` and ``remedy`` when it did not."""

    trouble: str = ""
    """Why it did not return, in one line."""

    @property
    def missing(self) -> str:
        """The package that is not installed, empty if none is missing."""
        return str(self.value.get("missing", ""))

    @property
    def remedy(self) -> str:
        """The way out that the error itself told; may be empty."""
        return str(self.value.get("remedy", ""))


def ask(
    module: str, arguments: list[str], *, timeout_s: float, environment: dict[str, str | None] | None = None
) -> Answer:
    """Call ``probe(arguments)`` of a check module in a new process.

    Args:
        module: a module beside this one, for example ``"rendering"``.
        arguments: plain strings for its ``probe``.
        timeout_s: the process is killed after so long [s].
        environment: variables to set, or with ``None`` to leave out.
    """
    command = [sys.executable, "-m", __name__, module, *arguments]
    variables = dict(os.environ)
    for name, value in (environment or {}).items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables, start_new_session=True
    )
    try:
        out, err = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return Answer(False, {}, f"no answer within {timeout_s:g} s")
    for line in reversed(out.splitlines()):
        if line.startswith(_MARK):
            value = json.loads(line[len(_MARK) :])
            return Answer("error" not in value and "missing" not in value, value, value.get("error", ""))
    if child.returncode < 0:
        return Answer(False, {}, f"the process crashed ({signal.Signals(-child.returncode).name})")
    return Answer(False, {}, f"the process ended with {child.returncode}: {_last_line(err)}")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _main(arguments: list[str]) -> None:
    name, rest = arguments[0], arguments[1:]
    try:
        answer = importlib.import_module(f"robot_stack.cli.doctor_checks.{name}").probe(rest)
    except ModuleNotFoundError as error:
        answer = {"missing": error.name or str(error)}
    except MissingExtraError as error:
        answer = {"missing": error.package, "remedy": error.remedy or ""}
    except RobotStackError as error:
        got = "" if error.got is None else f": {error.got}"
        answer = {"error": f"{error.message}{got}"[:400], "remedy": error.remedy or ""}
    except Exception as error:
        lines = str(error).strip().splitlines()
        answer = {"error": f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:400]}
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")
    sys.stdout.flush()
    os._exit(0)  # some graphics and middleware libraries crash while they are unloaded


if __name__ == "__main__":
    _main(sys.argv[1:])
