"""robot-stack data: what each command prints, writes and answers; start-up without heavy imports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robot_stack.cli import data, data_split
from robot_stack.cli.main import main
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.core.fields import Field
from robot_stack.datasets.source import Source
from robot_stack.datasets.writer import DatasetWriter

ROBOT = Embodiment("test/arm", (Field("hand", 2, "m"),), (Field("target", 2, "m"),), (), 20.0)
FRAME = {"observation.state": np.ones(2), "action": np.zeros(2)}


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    root = tmp_path / "demos"
    with DatasetWriter(root, ROBOT) as writer:
        for i in range(4):
            writer.begin("push" if i % 2 else "pull", {"driver": "expert", "seed": i})
            for _ in range(3 + i):
                writer.add(FRAME)
            writer.commit(success=False)
    return root


def test_info_as_tables_and_as_json(demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(demos)]) == 0
    shown = capsys.readouterr().out
    assert "test/arm" in shown
    assert "0 of 4 (0%)" in shown
    assert main(["data", "info", str(demos), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["episodes"], plain["frames"], plain["success_rate"]) == (4, 18, 0.0)


def test_validate_tells_by_its_exit_code(demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "validate", str(demos)]) == 0
    assert capsys.readouterr().out.startswith("sound: 4 episodes, 18 frames")
    path = next(demos.glob("data/**/*.parquet"))
    os.truncate(path, path.stat().st_size // 2)
    assert main(["data", "validate", str(demos), "--quick"]) == 1
    shown = capsys.readouterr().out
    assert str(path.relative_to(demos)) in shown
    assert "what to do:" in shown
    assert "1 errors" in shown
    assert main(["data", "validate", str(demos), "--json"]) == 1
    plain = json.loads(capsys.readouterr().out)
    assert plain["ok"] is False
    assert plain["findings"][0]["file"] == str(path.relative_to(demos))


def test_view_writes_a_page_and_prints_its_path(
    demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["data", "view", str(demos), "--out", str(tmp_path / "page.html")]) == 0
    assert Path(capsys.readouterr().out.strip()) == tmp_path / "page.html"
    monkeypatch.chdir(tmp_path)
    assert main(["data", "view", str(demos), "--episodes", "2"]) == 0
    assert Path(capsys.readouterr().out.strip()) == tmp_path / "demos.html"
    assert 'id="episode-2"' in (tmp_path / "demos.html").read_text()


def test_split_and_merge(demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = tmp_path / "parts"
    assert main(["data", "split", str(demos), str(parts), "--shares", "train=0.75", "valid=0.25", "--seed", "1"]) == 0
    assert capsys.readouterr().out.split() == [str(parts / "train"), str(parts / "valid")]
    assert main(["data", "split", str(demos), str(tmp_path / "push"), "--task", "push"]) == 0
    assert [note.seed for note in Source(tmp_path / "push").notes] == [1, 3]
    assert main(["data", "split", str(demos), str(tmp_path / "some"), "--episodes", "0", "2-3", "--without", "3"]) == 0
    assert [note.seed for note in Source(tmp_path / "some").notes] == [0, 2]
    whole = tmp_path / "whole"
    assert main(["data", "merge", str(parts / "train"), str(parts / "valid"), "--out", str(whole)]) == 0
    assert sorted(note.seed or 0 for note in Source(whole).notes) == [0, 1, 2, 3]
    assert main(["data", "validate", str(whole)]) == 0


def test_repair_brings_back_what_a_recording_left(demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import os, signal, sys\nimport numpy as np\nfrom robot_stack.datasets.writer import DatasetWriter\n"
        "from robot_stack.core.config_json import from_plain\nfrom robot_stack.core.embodiment import Embodiment\n"
        "import json\nroot = sys.argv[1]\n"
        "robot = from_plain(Embodiment, json.load(open(root + '/meta/embodiment.json')))\n"
        "writer = DatasetWriter(root, robot)\nwriter.begin('push')\n"
        "for _ in range(5):\n    writer.add({'observation.state': np.ones(2), 'action': np.zeros(2)})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(demos)], check=False).returncode == -9
    assert main(["data", "validate", str(demos)]) == 0
    assert "5 frames of episode 4 are here" in capsys.readouterr().out
    assert main(["data", "repair", str(demos)]) == 0
    assert "brought back 5 frames as episode 4" in capsys.readouterr().out
    assert main(["data", "repair", str(demos)]) == 0
    assert "nothing had to be done" in capsys.readouterr().out
    assert main(["data", "validate", str(demos)]) == 0
    assert Source(demos).notes[4].recovered


def test_compact_joins_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        writer = DatasetWriter(tmp_path / "demos", ROBOT)
        writer.begin("push", {"seed": i})
        writer.add(FRAME)
        writer.commit(success=True)
        writer.close(join_files=False)
    assert main(["data", "compact", str(tmp_path / "demos")]) == 0
    assert capsys.readouterr().out.startswith("3 data and video files became 1")
    assert [note.seed for note in Source(tmp_path / "demos").notes] == [0, 1, 2]


def test_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "lift.hdf5", "w") as file:
        demo = file.create_group("data/demo_0")
        demo["actions"] = np.zeros((4, 7))
        demo["obs/robot0_eef_pos"] = np.zeros((4, 3))
    arguments = ["data", "import", str(tmp_path / "lift.hdf5"), str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "--control-hz" in capsys.readouterr().err
    assert main([*arguments, "--control-hz", "20", "--instruction", "lift the cube"]) == 0
    assert Source(tmp_path / "out").notes[0].instruction == "lift the cube"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "info", "{}/nowhere"], "there is no dataset here"),
        (["data", "vlidate", "{}"], "did you mean 'validate'"),
        (["data", "split", "{}/demos", "{}/out", "--task", "pushh"], "did you mean 'push'"),
        (["data", "split", "{}/demos", "{}/out", "--episodes", "7-9"], "there is no such episode"),
        (["data", "merge", "{}/demos", "--out", "{}/out"], "two datasets or more"),
    ],
)
def test_mistakes_are_one_readable_message(
    demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main([word.replace("{}", str(tmp_path)) for word in arguments]) == 2
    shown = capsys.readouterr().err
    assert "error: " in shown
    assert words in shown
    assert "Traceback" not in shown


def test_ranges_and_shares() -> None:
    assert data_split.parse_ranges(("0", "3-5", "9,11")) == (0, 3, 4, 5, 9, 11)
    assert data_split.parse_shares(("train=0.9", "valid=.1")) == {"train": 0.9, "valid": 0.1}
    for bad in (("x",), ("3-",), ("-3",), ("1.5",)):
        with pytest.raises(ConfigError):
            data_split.parse_ranges(bad)
    for bad in (("train",), ("=0.5",), ("a=0",), ("a=2",), ("a=x",), ("a=.1", "a=.2"), ("a/b=.1",)):
        with pytest.raises(ConfigError):
            data_split.parse_shares(bad)


@pytest.mark.parametrize("command", ["", *data.ACTIONS])
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys\nfrom robot_stack.cli.main import main\n"
        "try:\n    main(['data', *sys.argv[1:], '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'pyarrow', 'av', 'cv2', 'h5py'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: robot-stack data" in done.stdout


def test_the_module_runs_as_a_program(demos: Path) -> None:
    assert shutil.which(sys.executable)
    command = [sys.executable, "-m", "robot_stack.cli.main", "data", "validate", str(demos)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
