"""The Python that runs, and the packages that robot_stack cannot do without."""

from __future__ import annotations

import importlib.metadata
import platform
import struct
import sys
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

OLDEST = (3, 10)
_IMPORTS = {
    "numpy": "numpy",
    "pyarrow": "pyarrow.parquet",
    "av": "av",
    "opencv-python-headless": "cv2",
    "safetensors": "safetensors",
    "tyro": "tyro",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "scipy": "scipy",
}


def check(ground: Ground) -> list[Check]:
    """Look at the interpreter and import every needed package."""
    return [_interpreter(), _packages(ground)]


def _interpreter() -> Check:
    version = platform.python_version()
    details = {"version": version, "executable": sys.executable, "environment": sys.prefix}
    if sys.version_info < OLDEST:
        return Check(
            "Python", "broken", f"Python {version} is too old", f"use Python {OLDEST[0]}.{OLDEST[1]} or newer", details
        )
    if struct.calcsize("P") != 8:
        return Check("Python", "broken", f"Python {version} is a 32-bit build", "use a 64-bit Python", details)
    where = "a virtual environment" if sys.prefix != sys.base_prefix else "the system's environment"
    return Check("Python", "works", f"{version} in {where}", details=details)


def _packages(ground: Ground) -> Check:
    answer = ask("python", list(_IMPORTS), timeout_s=ground.timeout_s)
    if not answer.ok:
        return Check(
            "packages", "broken", f"importing the needed packages failed: {answer.trouble}", "pip install robot_stack"
        )
    failed = answer.value["failed"]
    if failed:
        found = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        remedy = "pip install --force-reinstall " + " ".join(failed)
        return Check("packages", "broken", found, remedy, answer.value)
    count = len(answer.value["versions"])
    return Check("packages", "works", f"all {count} needed packages import", details=answer.value)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Import packages; a broken binary wheel shows only then."""
    failed: dict[str, str] = {}
    versions: dict[str, str] = {}
    for name in arguments:
        try:
            importlib.import_module(_IMPORTS[name])
            versions[name] = importlib.metadata.version(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"[:200]
    return {"versions": versions, "failed": failed}
