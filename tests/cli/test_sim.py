"""``robot-stack sim`` and ``robots``: what a person sees, and what they are told when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.cli.main import USAGE_ERROR, main
from robot_stack.evaluation.film import frame_rate, read_film

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def test_robots_are_listed_and_shown(capsys: Output) -> None:
    assert main(["robots"]) == 0
    shown = capsys.readouterr().out
    for robot in ("panda", "aloha", "locoman", "g1"):
        assert robot in shown
    assert main(["robots", "panda"]) == 0
    shown = capsys.readouterr().out
    assert "joint7" in shown and "2.8973" in shown and "wrist" in shown and "drawer" in shown


def test_a_recorded_episode_is_replayed_from_its_own_start(tmp_path: Path, capsys: Output) -> None:
    data = tmp_path / "drawer"
    arguments = ["collect", "--robot", "panda", "--task", "drawer", "--episodes", "2", "--noise", "0"]
    assert main([*arguments, "--out", str(data), "--processes", "0"]) == 0
    capsys.readouterr()
    assert main(["sim", "panda", "--task", "drawer", "--replay", str(data), "--episode", "1", "--headless"]) == 0
    shown = capsys.readouterr().out
    assert "seed 1" in shown and "success" in shown and "no success" not in shown
    assert main(["sim", "aloha", "--task", "hand-over", "--replay", str(data), "--headless"]) == USAGE_ERROR
    assert "another embodiment" in capsys.readouterr().err
    assert (
        main(["sim", "panda", "--task", "drawer", "--replay", str(data), "--episode", "9", "--headless"]) == USAGE_ERROR
    )
    assert "no such episode" in capsys.readouterr().err


def test_without_a_display_a_film_is_made(tmp_path: Path, capsys: Output) -> None:
    small = ["--width", "64", "--height", "48", "--world.horizon", "20"]
    assert main(["sim", "panda", "--task", "drawer", *small]) == 1
    told = capsys.readouterr()
    assert "no display" in told.err and "panda_drawer.mp4" in told.out
    frames = list(read_film(tmp_path / "panda_drawer.mp4"))
    assert len(frames) >= 10 and frames[0].shape == (48, 64, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 20
    assert frame_rate(tmp_path / "panda_drawer.mp4") == pytest.approx(25.0)


def test_a_display_that_does_not_answer_is_one_error(monkeypatch: pytest.MonkeyPatch, capfd: Output) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    assert main(["sim", "panda", "--task", "drawer"]) == USAGE_ERROR
    assert "--headless" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sim", "pnda", "--task", "drawer"], "did you mean 'panda'"),
        (["sim", "panda", "--task", "draw"], "did you mean 'drawer'"),
        (["sim", "panda"], "which task"),
        (["sim"], "name one task"),
        (["sim", "panda/drawer", "--world.mode", "joint_positon", "--headless"], "joint_position"),
        (["sim", "panda/drawer", "--world.mjcf", "none.xml", "--headless"], "no such MJCF"),
        (["sim", "panda/drawer", "--policy", "a", "--replay", "b", "--headless"], "error"),
        (["sim", "--replay-dump", "none.npz"], "cannot be read"),
        (["sim", "panda/drawer", "--video", "film.avi"], "mp4"),
        (["robots", "atlas"], "unknown robot"),
        (["collect", "panda/drawer", "--task", "peg"], "name one task"),
    ],
)
def test_mistakes_are_told_with_the_way_out(arguments: list[str], message: str, capsys: Output) -> None:
    assert main(arguments) == USAGE_ERROR
    assert message in capsys.readouterr().err


def test_a_dump_is_told_and_filmed(tmp_path: Path, capsys: Output) -> None:
    from robot_stack.sim.blow_up import PhysicsError
    from robot_stack.sim.robot_catalog import RobotWorldConfig, make_robot_world

    world = make_robot_world(RobotWorldConfig("panda/drawer", dump_folder=str(tmp_path)))
    robot = world.robot
    robot.reset(0)
    robot.data.qvel[0] = 1e11  # type: ignore[attr-defined]
    with pytest.raises(PhysicsError) as caught:
        for _ in range(3):
            robot.command(robot.hold_action)  # type: ignore[attr-defined]
    assert caught.value.dump is not None
    film = tmp_path / "dump.mp4"
    size = ["--width", "64", "--height", "48"]
    assert main(["sim", "--replay-dump", str(caught.value.dump), "--video", str(film), *size]) == 0
    assert "panda" in capsys.readouterr().out and film.is_file()
