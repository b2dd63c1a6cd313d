"""The wheel holds every room, under ``robot_stack`` and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("needs a git checkout to know which files belong to the project")
    for name in tracked.stdout.split():
        if (ROOT / name).exists() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    out = folder / "dist"
    out.mkdir()
    code = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_nothing_but_robot_stack_lands_in_site_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"robot_stack"}


def test_every_module_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    expected = {
        f"robot_stack/{file.relative_to(ROOT)}" for room in ("sim", "datasets") for file in (ROOT / room).rglob("*.py")
    }
    expected |= {str(f.relative_to(ROOT)) for f in (ROOT / "robot_stack").glob("*/*.py")}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    expected = {e for e in expected if e in tracked or e.removeprefix("robot_stack/") in tracked}
    assert expected
    assert expected - names == set()


def test_pages_and_marker_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    assert "robot_stack/py.typed" in wheel.namelist()
    assert "robot_stack/evaluation/assets/report.html" in wheel.namelist()


def test_no_word_of_the_workshop_in_the_project() -> None:
    """The project speaks of itself alone: no path of a machine it was built on."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    wrong = []
    for name in tracked:
        path = ROOT / name
        if (
            path.suffix not in (".py", ".md", ".toml", ".txt", ".html", ".sh", "")
            or path.is_symlink()
            or not path.is_file()
        ):
            continue
        text = path.read_text(errors="ignore")
        wrong += [
            f"{name}: {word}" for word in ("/".join(["", "work", ""]), "/".join(["", "root", ""])) if word in text
        ]
    assert not wrong
