"""Build the wheel and the source archive, install each into a fresh environment, and try them there.

With ``--ros`` the wheel is installed with the extra ``ros`` as well (some 100 MB), and tried as a package of ROS 2.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(kind: str, out: Path) -> Path:
    """Build ``"wheel"`` or ``"sdist"`` into ``out``; returns the file."""
    code = f"import setuptools.build_meta as b, sys; b.build_{kind}(sys.argv[1])"
    before = set(out.iterdir())
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (made,) = set(out.iterdir()) - before
    return made


def try_it(archive: Path, folder: Path) -> None:
    """Install ``archive`` without extras into a new environment and run the command line there."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*install, str(archive)], check=True)
    code = "import robot_stack.core.robot, robot_stack.datasets.reader, sys; assert 'torch' not in sys.modules"
    subprocess.run([str(python), "-P", "-c", code], check=True, cwd=folder)
    for arguments in (["--help"], ["--version"], ["data", "--help"], ["doctor", "--help"]):
        subprocess.run(
            [str(folder / "bin" / "robot-stack"), *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL
        )


def try_as_ros_package(archive: Path, folder: Path) -> None:
    """Install ``archive`` with ROS's wheels and find it the way ``ros2 launch`` and ``ros2 run`` do."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*install, f"{archive}[ros]"], check=True)
    own = {k: v for k, v in os.environ.items() if not k.startswith("_ROS_WHEELS") and k != "LD_LIBRARY_PATH"}
    environment = {**own, "AMENT_PREFIX_PATH": str(folder), "ROS_DOMAIN_ID": "211"}
    code = (
        "from ament_index_python import get_package_share_directory as share, get_package_prefix as prefix;"
        f"import pathlib, robot_stack; assert prefix('robot_stack') == {str(folder)!r};"
        "files = sorted(f.name for f in pathlib.Path(share('robot_stack'), 'launch').glob('*.launch.py'));"
        "assert files == [f'{form}.launch.py' for form in ('collect', 'deploy', 'evaluate', 'replay')], files"
    )
    subprocess.run([str(python), "-P", "-c", code], check=True, cwd=folder, env=environment)
    executables = sorted((folder / "lib" / "robot_stack").iterdir())
    assert len(executables) == 8 and all(os.access(f, os.X_OK) for f in executables), executables
    done = subprocess.run(
        [str(folder / "lib" / "robot_stack" / "operator"), "--ros-args", "-r", "__ns:=/g1"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3 and "needs a terminal" in done.stdout + done.stderr, done


def top_level(wheel: Path) -> set[str]:
    """First folders of the files in a wheel."""
    return {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary:
        out = ROOT / "dist"
        out.mkdir(exist_ok=True)
        for old in out.iterdir():
            old.unlink()
        for kind in ("wheel", "sdist"):
            archive = build(kind, out)
            print(f"{archive.name}: {archive.stat().st_size / 1e6:.2f} MB")
            if kind == "wheel":
                print(f"  top level: {', '.join(sorted(top_level(archive)))}")
            try_it(archive, Path(temporary) / kind)
            print("  installs and runs without extras")
            if kind == "wheel" and "--ros" in sys.argv[1:]:
                try_as_ros_package(archive, Path(temporary) / "ros")
                print("  is a package of ROS 2")
    return 0


if __name__ == "__main__":
    sys.exit(main())
