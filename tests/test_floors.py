"""A lower floor never imports a higher one, and the light rooms never import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "robot_stack"
FLOORS = {
    "core": 0,
    "datasets": 1,
    "models": 1,
    "sim": 1,
    "hardware": 1,
    "policies": 2,
    "rewards": 2,
    "retarget": 2,
    "runtime": 3,
    "algorithms": 4,
    "training": 4,
    "evaluation": 4,
    "deploy": 4,
    "console": 5,
    "cli": 6,
}
CORE_ONLY = ("sim", "hardware", "datasets", "models")
LINKS = ("sim", "hardware", "datasets")
SHORT = 400


def rooms() -> list[str]:
    return sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__")


def files_of(room: str) -> list[Path]:
    return sorted((PACKAGE / room).resolve().rglob("*.py"))


def imports_of(file: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(file.read_text())
    found: set[str] = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if top_level_only and (inside or typing_only):
            continue
        pending += list(ast.iter_child_nodes(node))
    return found


def rooms_imported(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports_of(file) if name.startswith("robot_stack.") and name.count(".")}


def test_every_room_has_a_floor() -> None:
    assert set(rooms()) <= set(FLOORS)


@pytest.mark.parametrize("room", rooms())
def test_no_room_imports_a_higher_one(room: str) -> None:
    wrong = []
    for file in files_of(room):
        for other in rooms_imported(file) & set(FLOORS) - {room}:
            too_high = FLOORS[other] > FLOORS[room]
            if too_high or (room in CORE_ONLY and other != "core"):
                wrong.append(f"{file.relative_to(ROOT)} imports robot_stack.{other}")
    assert not wrong


@pytest.mark.parametrize("room", ["core", "datasets", "sim", "hardware", "cli"])
def test_light_rooms_import_no_torch(room: str) -> None:
    heavy = {"torch", "torchvision", "diffusers", "open_clip"}
    wrong = {
        str(file.relative_to(ROOT)): found
        for file in files_of(room)
        if (found := {n.split(".")[0] for n in imports_of(file, top_level_only=True)} & heavy)
    }
    assert not wrong


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_to_the_top_level_folders(name: str) -> None:
    link = PACKAGE / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name
    assert not (ROOT / name / "__init__.py").exists()
    assert not (ROOT / "launch" / "__init__.py").exists()


@pytest.mark.parametrize("name", ["launch", "datasets"])
def test_the_checkout_shadows_no_other_package(name: str, tmp_path: Path) -> None:
    other = tmp_path / name
    other.mkdir()
    (other / "__init__.py").write_text("WHOSE = 'theirs'\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import {name}; assert {name}.WHOSE == 'theirs'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_file_is_long() -> None:
    long = {
        str(file.relative_to(ROOT)): count
        for room in rooms()
        for file in files_of(room)
        if (count := len(file.read_text().splitlines())) > SHORT
    }
    assert not long


def test_nothing_forbidden_in_the_package() -> None:
    forbidden = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
    wrong = []
    for room in rooms():
        for file in files_of(room):
            if {n.split(".")[0] for n in imports_of(file)} & forbidden:
                wrong.append(f"{file.relative_to(ROOT)} imports a pickler")
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                name = ast.unparse(node.func)
                if name in ("eval", "exec", "torch.load", "torch.save", "os.system"):
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} calls {name}")
                if any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords):
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} uses a shell")
                if name == "print" and room != "cli":
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} prints")
    assert not wrong


def test_no_global_random_state() -> None:
    wrong = []
    for room in rooms():
        for file in files_of(room):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                    "np.random.seed",
                    "np.random.rand",
                    "np.random.randn",
                    "np.random.uniform",
                    "np.random.normal",
                    "torch.manual_seed",
                    "random.seed",
                ):
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not wrong
