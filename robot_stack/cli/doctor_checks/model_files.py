"""Robot models that come with the package, and policy bundles: they are loaded, not just looked for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

_REINSTALL = "the installation is incomplete: pip install --force-reinstall --no-deps robot_stack"
_SUFFIXES = (".stl", ".obj", ".png", ".msh")


def check(ground: Ground) -> list[Check]:
    """Load the models that come with the package, and every bundle that was named."""
    return [*_check_assets(ground), *(_check_bundle(path, ground) for path in ground.bundles)]


def _check_assets(ground: Ground) -> list[Check]:
    answer = ask("model_files", ["assets"], timeout_s=ground.timeout_s)
    if answer.missing == "mujoco":
        return [Check("robot models", "warning", "MuJoCo is not installed", "pip install 'robot_stack[sim]'")]
    if not answer.ok:
        return [Check("robot models", "broken", answer.trouble or f"needs {answer.missing}", _REINSTALL)]
    failed, loaded = answer.value["failed"], answer.value["loaded"]
    if failed:
        found = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        return [Check("robot models", "broken", found, _REINSTALL, answer.value)]
    if not loaded:
        return []
    return [Check("robot models", "works", f"all {len(loaded)} models load", details=answer.value)]


def _check_bundle(path: Path, ground: Ground) -> Check:
    name = f"bundle {path.name}"
    answer = ask("model_files", ["bundle", str(path)], timeout_s=ground.timeout_s)
    if answer.missing:
        remedy = "pip install 'robot_stack[train]'"
        return Check(name, "broken", f"loading it needs the package {answer.missing!r}", remedy)
    if not answer.ok:
        remedy = "copy the bundle again from where it was trained; robot-stack policy tells what is in it"
        return Check(name, "broken", answer.trouble, remedy)
    return Check(name, "works", "it loads and reproduces its golden action", details=answer.value)


def probe(arguments: list[str]) -> dict[str, Any]:
    """``assets``: compile every model file; ``bundle PATH``: load a policy."""
    if arguments[0] == "bundle":
        return _load_bundle(Path(arguments[1]))
    return _load_assets()


def _load_bundle(path: Path) -> dict[str, Any]:
    from robot_stack.policies.bundle import load_policy

    policy = load_policy(path)
    return {"policy": type(policy).__name__}


def _load_assets() -> dict[str, Any]:
    import mujoco

    loaded: list[str] = []
    failed: dict[str, str] = {}
    for file in sorted(_model_files()):
        try:
            mujoco.MjModel.from_xml_path(str(file))
            loaded.append(file.name)
        except Exception as error:
            failed[file.name] = str(error).splitlines()[0][:200]
    return {"loaded": loaded, "failed": failed}


def _model_files() -> list[Path]:
    found: list[Path] = []
    for room in ("sim", "hardware"):
        spec = find_spec(f"robot_stack.{room}")
        for place in spec.submodule_search_locations or [] if spec else []:
            found += [p for p in Path(place).rglob("assets/**/*.xml") if p.is_file()]
    return found
