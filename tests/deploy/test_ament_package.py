"""The project is a package of ROS 2: for ros2 run and ros2 launch where its wheel is, and for colcon as a checkout."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import robot_stack
from robot_stack.deploy.arguments import KINDS

ROOT = Path(__file__).resolve().parents[2]
EXECUTABLES = ROOT / "launch" / "executables"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data files of the wheel land, without building it: as pyproject.toml says."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folder = tmp_path_factory.mktemp("prefix")
    for target, patterns in settings["tool"]["setuptools"]["data-files"].items():
        (folder / target).mkdir(parents=True)
        for pattern in patterns:
            found = list(ROOT.glob(pattern))
            assert found, pattern
            for file in found:
                copied = folder / target / file.name
                copied.write_bytes(file.read_bytes())
                copied.chmod(file.stat().st_mode)
    return folder


def test_the_index_finds_the_package(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = pytest.importorskip("ament_index_python", reason="ROS 2 is not installed")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix))
    assert index.get_package_prefix("robot_stack") == str(prefix)
    share = Path(index.get_package_share_directory("robot_stack"))
    assert {f.name for f in (share / "launch").iterdir()} == {f"{form}.launch.py" for form in KINDS}


def test_the_manifest_is_for_colcon_and_tells_the_version() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert (ROOT / "package.xml").resolve() == ROOT / "launch" / "package.xml"
    assert manifest.findtext("name") == "robot_stack"
    assert manifest.findtext("version") == robot_stack.__version__
    assert manifest.findtext("export/build_type") == "ament_python"
    assert (ROOT / "setup.py").is_file()


def test_every_executable_is_one_of_the_processes_and_runs_with_the_python_beside_it(prefix: Path) -> None:
    names = {f.name for f in EXECUTABLES.iterdir()}
    modules = {f.stem.removesuffix("_process") for f in (ROOT / "robot_stack" / "deploy").glob("*_process.py")}
    assert modules <= names
    for name in names:
        assert os.access(EXECUTABLES / name, os.X_OK), name
        assert name not in modules or importlib.util.find_spec(f"robot_stack.deploy.{name}_process") is not None
    (prefix / "bin").mkdir()
    python = prefix / "bin" / "python3"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    words = ["--ros-args", "-r", "__node:=robot"]
    done = subprocess.run(
        [prefix / "lib" / "robot_stack" / "robot", *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["-m", "robot_stack.deploy.robot_process", *words]


def test_without_a_terminal_the_operator_says_how_to_run_it() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    environment = {**os.environ, "ROS_DOMAIN_ID": "81", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    command = [sys.executable, "-m", "robot_stack.deploy.operator_process"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 3
    assert "ros2 run robot_stack operator" in done.stdout + done.stderr
