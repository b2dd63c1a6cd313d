"""The project is a package of ROS 2: for ros2 run and ros2 launch where its wheel is, and for colcon as a checkout."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
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
    assert manifest.findtext("name") == "robot_stack"
    assert manifest.findtext("version") == robot_stack.__version__
    assert manifest.findtext("export/build_type") == "ament_python"
    address = manifest.find("maintainer")
    assert address is not None and re.fullmatch(r"[\w.%+-]+@[\w.%-]+\.[a-zA-Z]{2,6}", address.get("email", ""))


def test_there_is_one_manifest_for_colcon_to_find() -> None:
    tracked = [f for f in ROOT.glob("*/package.xml") if not {"build", "install"} & set(f.parts[len(ROOT.parts) :])]
    assert tracked == []


def test_what_colcon_reads_of_setup_py_are_pythons_own_values() -> None:
    """colcon evaluates this text as a literal, and refuses the package where it is none."""
    code = (
        "from distutils.core import run_setup; dist = run_setup('setup.py', ('--dry-run',), stop_after='config');"
        "skip = ('cmdclass', 'distclass', 'ext_modules', 'metadata', *dist.display_option_names);"
        "own = {k: v for k, v in dist.__dict__.items() if k[0] != '_' and not callable(v) and k not in skip};"
        "own['metadata'] = {k: v for k, v in dist.metadata.__dict__.items() if k not in ('license_files',"
        " 'provides_extras') and k[0] != '_'}; print('read:' + repr(own))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import setuptools;" + code],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    read = ast.literal_eval(done.stdout.partition("read:")[2])
    assert read["python_requires"] == ">=3.10"
    assert read["metadata"]["license"] == "Apache-2.0"
    assert ("share/robot_stack", ["package.xml", "pyproject.toml"]) in read["data_files"]
    assert "robot_stack.sim.robots.assets.panda" in read["packages"], "sim is reached through a link"


def test_the_setuptools_of_a_distribution_understands_the_settings() -> None:
    """Ubuntu's are 68: a licence as an expression, which came with 77, stops them."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not isinstance(project.get("license"), str) and "license-files" not in project


def test_the_policy_node_finds_what_it_needs_where_the_extra_ros_is_installed() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "robot_stack[serve]" in extras["ros"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--symlink-install",)], ids=["copied", "linked"])
def test_colcon_builds_the_checkout(tmp_path: Path, words: tuple[str, ...]) -> None:
    if shutil.which("colcon") is None:
        pytest.skip("colcon is not installed")
    source = tmp_path / "src" / "robot_stack"
    source.mkdir(parents=True)
    for name in ("robot_stack", "sim", "hardware", "datasets", "launch"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "package.xml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    own = {k: v for k, v in os.environ.items() if k not in ("AMENT_PREFIX_PATH", "PYTHONPATH")}
    subprocess.run(["colcon", "build", *words], cwd=tmp_path, env=own, check=True)
    prefix = tmp_path / "install" / "robot_stack"
    assert os.access(prefix / "lib" / "robot_stack" / "robot", os.X_OK)
    code = (
        "import robot_stack, importlib.resources as r; from robot_stack.sim.robots.spec import RobotSpec;"
        "print(robot_stack.__file__, r.files('robot_stack.sim.robots').joinpath('assets/panda').is_dir())"
    )
    shell = f". install/local_setup.sh && {sys.executable} -P -c {shlex.quote(code)}"
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env=own, check=True, capture_output=True, text=True)
    assert str(tmp_path) in done.stdout and done.stdout.rstrip().endswith("True")


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
    parent = str(os.getpid())
    assert done.stdout.split() == ["-m", "robot_stack.deploy.child", parent, "robot_stack.deploy.robot_process", *words]


def test_without_a_terminal_the_operator_says_how_to_run_it() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    environment = {**os.environ, "ROS_DOMAIN_ID": "81", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    command = [sys.executable, "-m", "robot_stack.deploy.operator_process"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 3
    assert "ros2 run robot_stack operator" in done.stdout + done.stderr
