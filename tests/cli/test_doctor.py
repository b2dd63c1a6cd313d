"""robot-stack doctor: what it tries is real, what is broken is reported with the way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robot_stack.cli import doctor
from robot_stack.cli.doctor_checks import bundles, probe, python, ros, simulation, storage, torch_device
from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.core.errors import UnknownNameError


def ground(folder: Path, **changes: Any) -> Ground:
    return Ground(**{"folder": folder, "bundles": (), "timeout_s": 120.0} | changes)


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = doctor.run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_what_works_here_is_reported_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, found = report(capsys, "--folder", str(tmp_path), "--only", "python", "disk", "video", "machine")
    assert code == 0
    assert found["ok"] is True
    names = [check["name"] for check in found["checks"]]
    assert names == ["Python", "packages", "disk", "video libsvtav1", "video libx264", "processor", "memory", "clock"]
    assert not [check for check in found["checks"] if check["status"] == "broken"]
    video = next(check for check in found["checks"] if check["name"] == "video libx264")
    assert 0 < video["details"]["mean_error"] < 12
    assert list(tmp_path.iterdir()) == []


def test_the_table_ends_with_a_verdict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert doctor.run(["--folder", str(tmp_path), "--only", "disk"]) == 0
    shown = capsys.readouterr().out
    assert "disk" in shown
    assert "works" in shown.splitlines()[-1]


def test_a_backend_that_does_not_exist_is_broken_with_a_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    code, found = report(capsys, "--only", "rendering")
    (check,) = found["checks"]
    assert code == 1
    assert found["ok"] is False
    assert check["status"] == "broken"
    assert "nonsense" in check["found"]
    assert "MUJOCO_GL" in check["remedy"]


def test_torch_agrees_with_numpy_on_every_device(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    checks = torch_device.check(ground(tmp_path))
    assert checks[0].name == "PyTorch on cpu"
    assert checks[0].status == "works"
    assert 0 <= checks[0].details["error_to_numpy"] < 1e-5


def test_a_device_that_multiplies_wrongly_is_broken() -> None:
    whole = {"torch": "2"}
    assert torch_device._judge("cuda:0", {"title": "x", "error_to_numpy": 0.5}, whole).status == "broken"
    assert torch_device._judge("cuda:0", {"title": "x", "error": "no kernel image"}, whole).status == "broken"


def test_a_folder_that_cannot_be_written_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (check,) = storage.check(ground(tmp_path / "file" / "inside"))
    assert check.status == "broken"
    assert check.remedy


def test_a_full_disk_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = storage.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: usage._replace(free=10**6))
    (check,) = storage.check(ground(tmp_path))
    assert check.status == "broken"


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("import sys; sys.exit('the driver is gone')", "the driver is gone"),
        ("import time; time.sleep(600)", "no answer within 2 s"),
        ("raise RuntimeError('no display')", "RuntimeError: no display"),
        ("import nowhere_to_be_found", ""),
    ],
)
def test_a_crash_or_hang_stays_in_its_own_process(
    code: str, trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, types\n"
        "module = types.ModuleType('robot_stack.cli.doctor_checks.victim')\n"
        f"module.probe = lambda arguments: exec({code!r})\n"
        "sys.modules[module.__name__] = module\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    timeout = 2.0 if "sleep" in code else 60.0
    answer = probe.ask("victim", [], timeout_s=timeout)
    assert not answer.ok
    assert trouble in answer.trouble
    assert answer.missing == ("nowhere_to_be_found" if "nowhere" in code else "")


def test_a_broken_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "av"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libavcodec.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    checks = {check.name: check for check in python.check(ground(tmp_path))}
    assert checks["Python"].status == "works"
    assert checks["packages"].status == "broken"
    assert "libavcodec" in checks["packages"].found
    assert checks["packages"].remedy.endswith("av")


def test_a_missing_extra_is_a_warning_not_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rclpy.py").write_text("raise ModuleNotFoundError('No module named rclpy', name='rclpy')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (check,) = ros.check(ground(tmp_path))
    assert check.status == "warning"
    assert "robot_stack[ros]" in check.remedy


def test_a_bundle_that_does_not_load_is_broken(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "broken").mkdir()
    for name in ("no_such_bundle", "broken"):
        (check,) = bundles.check(ground(tmp_path, bundles=(tmp_path / name,)))
        assert check.name == f"bundle {name}"
        assert check.status == "broken"
        assert check.remedy
        assert "Error" not in check.found


def test_a_sound_bundle_works_and_an_altered_one_is_broken(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from robot_stack.policies.saving import save_bundle
    from tests.policies.robots import policy

    save_bundle(policy(), tmp_path / "sound", provenance={})
    shutil.copytree(tmp_path / "sound", tmp_path / "altered")
    weights = next((tmp_path / "altered").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    sound, altered = bundles.check(ground(tmp_path, bundles=(tmp_path / "sound", tmp_path / "altered")))
    assert sound.status == "works", sound
    assert "golden" in sound.found
    assert altered.status == "broken"
    assert altered.remedy


def test_simulated_worlds_move(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    pytest.importorskip("metaworld")
    for check in simulation.check(ground(tmp_path)):
        assert check.status == "works", check
        assert check.details["action"] > 0


def test_rendering_that_is_switched_off_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.setenv("MUJOCO_GL", "off")
    code, found = report(capsys, "--only", "rendering")
    assert (code, found["checks"][0]["status"]) == (0, "warning")


def test_an_unknown_check_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="rendering"):
        doctor.run(["--only", "renderin"])


def test_warnings_do_not_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(doctor.CHECKS, "ros", lambda ground: [Check("ROS 2", "warning", "absent", "install it")])
    assert doctor.run(["--only", "ros"]) == 0
    assert "install it" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from robot_stack.cli.main import main\n"
        "try:\n    main(['doctor', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'pyarrow', 'mujoco', 'av', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=dict(os.environ))
