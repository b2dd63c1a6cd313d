"""Retargeting from the command line: results, films, batches, and bad input with one clear message each."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from robot_stack.cli.main import USAGE_ERROR, main
from robot_stack.cli.retarget import COMMANDS
from robot_stack.cli.retarget_plots import thinned
from robot_stack.retarget.motion import KEYPOINTS
from robot_stack.retarget.readers.axes import TO_Z_UP
from robot_stack.retarget.reference import read_reference
from robot_stack.retarget.saved import read_result
from robot_stack.retarget.synthetic import walk
from tests.cli.test_main import HEAVY, PROBE, SLOW_TO_LOAD
from tests.retarget.figure import walker

FRAMES = 24
QUICK = ("--no-tracking", "--no-pictures", "--rate", "30")
KNOWN = walk(steps=2).motion.keypoints()
"""A person who walks two steps, and stands on the ground with known contacts."""


def save(path: Path, positions: np.ndarray | None = None, **more: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"positions": KNOWN[:FRAMES] if positions is None else positions, "names": KEYPOINTS, "fps": 30.0}
    np.savez(path, **{**arrays, **more})  # pyright: ignore[reportArgumentType]
    return str(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole result, of a motion with y up in centimetres that has a gap, with a dataset."""
    folder = tmp_path_factory.mktemp("retarget")
    turned = KNOWN[10:60] @ TO_Z_UP["y"] * 100
    turned[20:24, KEYPOINTS.index("left_wrist")] = np.nan
    file = save(folder / "walk.npz", turned)
    assert main(["retarget", file, "-o", str(folder / "out"), "--dataset", str(folder / "data"), "--rate", "30"]) == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_commands_loads_nothing_heavy(command: str) -> None:
    code = PROBE.format(heavy=(*HEAVY, *SLOW_TO_LOAD))
    words = [sys.executable, "-c", code, "retarget", command, "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "LOADED []" in shown.stdout


def test_a_motion_becomes_a_folder_that_says_what_was_repaired(done: Path) -> None:
    report = json.loads((done / "out" / "report.json").read_text())
    assert (report["robot"], report["frames"]) == ("unitree_g1", 50)
    notes = " ".join(report["notes"])
    for text in ("y points up", "taken as cm", "gaps were filled: left_wrist (4 frames)", "height 1."):
        assert text in notes
    assert report["metrics"]["penetration_max_m"] < 2e-3
    assert report["accepted_frames"] >= 45
    assert report["episode"] == {"dataset": str(done / "data"), "episode": 0}
    assert 0 < report["replay"]["free"]["held_s"] <= report["duration_s"]
    assert report["replay"]["held"]["joint_rms_rad"] < 0.2
    saved = read_result(done / "out" / "motion.npz")
    assert saved.source is not None and saved.result.contacts
    assert saved.height_m == 1.32
    reference = read_reference(done / "out" / "tracking.npz")
    assert (reference.fps, len(reference)) == (50.0, 82)
    assert reference.contact.any()


def test_the_page_needs_nothing_else(done: Path) -> None:
    page = (done / "out" / "report.html").read_text()
    assert "no verdict" in page
    assert "<link" not in page and "<script" not in page and "@import" not in page
    assert set(re.findall(r'src="([^"]{5})', page)) <= {"data:"}
    assert 'src="data:image' in page or "No pictures" in page
    assert page.count("<svg") == 7
    assert "gaps were filled: left_wrist" in page
    assert "$" not in page.split("<body>")[1]


def test_long_curves_are_thinned_but_keep_their_peaks() -> None:
    values = np.zeros(108_000)
    values[77_777] = 5.0
    time, kept = thinned(np.arange(108_000) / 30.0, values)
    assert len(time) == len(kept) <= 2000
    assert kept.max() == 5.0 and abs(time[kept.argmax()] - 77_777 / 30.0) < 2.0
    assert thinned(time[:10], kept[:10])[1] is not None and len(thinned(time[:10], kept[:10])[0]) == 10


def test_a_film_is_made_once(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["retarget", "view", str(done / "out"), "--no-live", "--height", "64", "--width", "64", "--film-fps", "5"]
    if main(words) == USAGE_ERROR:
        pytest.skip(capsys.readouterr().err)
    from robot_stack.evaluation.film import read_film

    film = done / "out" / "side_by_side.mp4"
    frames = list(read_film(film))
    assert len(frames) == 9
    assert frames[0].std() > 10
    made = film.stat().st_mtime_ns
    assert main(words) == 0
    assert film.stat().st_mtime_ns == made
    assert "there already" in capsys.readouterr().out


def test_without_viser_the_message_says_what_to_install(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["retarget", "view", str(done / "out"), "--no-video"]) == USAGE_ERROR
    error = capsys.readouterr().err
    assert "--no-live" in error and "robot_stack[view]" in error


def test_a_result_and_its_episode_are_motions_for_another_robot(done: Path, tmp_path: Path) -> None:
    for source in (done / "out" / "motion.npz", done / "data"):
        out = tmp_path / source.stem
        words = ["retarget", str(source), "--robot", "locoman", "-o", str(out), *QUICK, "--stop", "0.5"]
        assert main(words) == 0
        report = json.loads((out / "report.json").read_text())
        assert (report["robot"], report["frames"]) == ("locoman", 16)
        assert any("the source is unitree_g1" in note for note in report["notes"])
        assert not any("points up" in note for note in report["notes"])


def test_limbs_can_be_scaled_one_by_one(tmp_path: Path) -> None:
    words = ["retarget", save(tmp_path / "m.npz"), "-o", str(tmp_path / "out"), *QUICK]
    assert main([*words, "--scaling", "limbs"]) == 0
    assert any("a bone" in n for n in json.loads((tmp_path / "out" / "report.json").read_text())["notes"])
    assert main([*words, "--scaling", "0.7"]) == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["scale"] == 0.7


def test_usually_the_frames_of_tracking_policies_are_solved_themselves(tmp_path: Path) -> None:
    words = ["retarget", save(tmp_path / "m.npz"), "-o", str(tmp_path / "out"), "--no-tracking", "--no-pictures"]
    assert main(words) == 0
    result, reference = (
        read_result(tmp_path / "out" / "motion.npz").result,
        read_reference(tmp_path / "out" / "tracking.npz"),
    )
    assert (result.qpos == reference.qpos).all()
    assert result.fps == reference.fps == 50.0


def test_long_motions_are_solved_in_a_window(tmp_path: Path) -> None:
    words = ["retarget", save(tmp_path / "m.npz", KNOWN[:60]), "-o", str(tmp_path / "out"), *QUICK]
    assert main([*words, "--stream-beyond", "1"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"] == 60
    assert any("window that slid" in note for note in report["notes"])
    assert report["metrics"]["penetration_max_m"] < 2e-3


def test_objects_and_scenes_from_files(tmp_path: Path) -> None:
    corners = [f"v {x} {y} {z}" for x in (2, 3) for y in (-1, 1) for z in (0, 0.3)]
    faces = ["f 1 2 4 3", "f 5 7 8 6", "f 1 5 6 2", "f 3 4 8 7", "f 1 3 7 5", "f 2 6 8 4"]
    (tmp_path / "step.obj").write_text("\n".join([*corners, *faces]))
    small = [f"v {x} {y} {z}" for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1)]
    (tmp_path / "box.obj").write_text("\n".join([*small, *faces]))
    np.savez(tmp_path / "o.npz", box_position=KNOWN[:FRAMES, 0] + [0.6, 0, 0], other_position=KNOWN[:FRAMES, 0])
    scene = [str(tmp_path / "step.obj"), str(tmp_path / "box.obj")]
    words = ["retarget", save(tmp_path / "m.npz"), "-o", str(tmp_path / "out"), *QUICK]
    assert main([*words, "--scene", *scene, "--objects", str(tmp_path / "o.npz")]) == 0
    saved = read_result(tmp_path / "out" / "motion.npz").result
    assert [(o.name, o.moving) for o in saved.scene.objects] == [("step", False), ("box", True)]
    assert any("no shape in the scene" in note and "other" in note for note in saved.notes)
    box = next(o for o in saved.objects if o.name == "box")
    assert np.abs(box.p_world_object - (KNOWN[:FRAMES, 0] + [0.6, 0, 0]) * saved.scale).max() < 1e-9


BAD = {
    "static": (lambda: np.repeat(KNOWN[:1], 40, axis=0), [], "does not move"),
    "short": (lambda: KNOWN[:5], [], "too short"),
    "long gap": (lambda: _gap(KNOWN[:60]), [], "gap that is too long"),
    "all gone": (lambda: np.full((40, 15, 3), np.nan), [], "no joint is known"),
    "wrong unit": (lambda: KNOWN[:40] * 5, [], "fit no unit"),
    "wrong shape": (lambda: KNOWN[:40, :, :2], [], "wrong shape"),
    "few joints": (lambda: KNOWN[:40], [f"{k}=" for k in KEYPOINTS[:12]], "too few keypoints"),
    "unknown skeleton": (lambda: KNOWN[:40], ["--skeleton", "smplxx"], "did you mean"),
    "unknown robot": (lambda: KNOWN[:40], ["--robot", "g2"], "unknown robot 'g2'"),
    "fixed robot": (lambda: KNOWN[:40], ["--robot", "panda"], "fixed base"),
    "no scene": (lambda: KNOWN[:40], ["--scene", "nowhere.obj"], "no such scene"),
    "bad ground": (lambda: KNOWN[:40], ["--ground", "floor"], "the ground is auto"),
    "bad scaling": (lambda: KNOWN[:40], ["--scaling", "some"], "the scaling is all"),
    "nothing left": (lambda: KNOWN[:40], ["--start", "5"], "nothing is left"),
}
"""Input, options, what the message says."""


def _gap(points: np.ndarray) -> np.ndarray:
    out = points.copy()
    out[20:40, 3] = np.nan
    return out


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_message(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, options, message = BAD[case]
    if options and "=" in options[0]:
        options = ["--keypoints", *options]
    words = ["retarget", save(tmp_path / "m.npz", make()), "-o", str(tmp_path / "out"), *QUICK, *options]
    assert main(words) == USAGE_ERROR
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_bad_scenes_are_one_clear_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 4 3\n")
    words = ["retarget", save(tmp_path / "m.npz"), "-o", str(tmp_path / "out"), "--scene", str(tmp_path / "flat.obj")]
    assert main(words) == USAGE_ERROR
    assert "flat" in capsys.readouterr().err
    words = ["retarget", save(tmp_path / "m.npz"), "-o", str(tmp_path / "m.npz")]
    assert main(words) == USAGE_ERROR
    assert "goes into a folder" in capsys.readouterr().err


def test_repaired_input_says_so(tmp_path: Path) -> None:
    """Missing joints, upside down in inches, off the ground: all in one."""
    points = KNOWN[:FRAMES] + np.array([0, 0, 0.5])
    points[:, KEYPOINTS.index("right_toe")] = np.nan
    points[:, KEYPOINTS.index("pelvis")] = np.nan
    file = save(tmp_path / "m.npz", points @ TO_Z_UP["-y"] / 0.0254)
    assert main(["retarget", file, "-o", str(tmp_path / "out"), *QUICK]) == 0
    notes = " ".join(json.loads((tmp_path / "out" / "report.json").read_text())["notes"])
    for text in (
        "-y points up",
        "inch",
        "the pelvis was not there",
        "does not have: right_toe",
        "heights were changed",
    ):
        assert text in notes


def test_a_motion_that_the_robot_cannot_do_comes_back_with_its_misses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = walker(FRAMES)
    points[8:16, :, 2] -= 0.5 * np.sin(np.linspace(0, np.pi, 8))[:, None]
    file = save(tmp_path / "m.npz", points)
    assert main(["retarget", file, "-o", str(tmp_path / "out"), *QUICK, "--ground", "keep"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert np.isfinite(read_result(tmp_path / "out" / "motion.npz").result.qpos).all()
    missed = report["frames"] - report["accepted_frames"]
    assert bool(report["violations"]) == (missed > 0)
    assert missed == 0 or f"{report['accepted_frames']} of {report['frames']} frames" in capsys.readouterr().out


def test_keypoints_of_a_robot_are_proposed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.json"
    assert main(["retarget", "keypoints", "locoman", "--out", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "pelvis" in shown and "trunk" in shown and str(table) in shown
    words = ["retarget", save(tmp_path / "m.npz"), "--robot", "locoman", "--table", str(table), *QUICK]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    table.write_text("{}")
    assert main([*words, "-o", str(tmp_path / "out")]) == USAGE_ERROR
    assert "keypoint table" in capsys.readouterr().err


def batch(folder: Path, *more: str) -> int:
    out = str(folder.parent / "results")
    return main(["retarget", "batch", str(folder), "-o", out, "--processes", "1", *QUICK, *more])


def test_a_batch_goes_on_where_it_was_and_lists_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, results = tmp_path / "motions", tmp_path / "results"
    save(folder / "a.npz")
    save(folder / "deep" / "b.npz", KNOWN[:3])
    data = ["--dataset", str(tmp_path / "data")]
    assert batch(folder, *data) == 1
    assert "failed deep/b" in capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads((results / "batch.json").read_text())["motions"]}
    assert rows["a"]["frames"] == FRAMES and "too short" in rows["deep/b"]["error"]
    first = (results / "a" / "report.json").stat().st_mtime_ns
    save(folder / "deep" / "b.npz", KNOWN[5 : 5 + FRAMES])
    assert batch(folder, *data) == 0
    assert (results / "a" / "report.json").stat().st_mtime_ns == first
    assert (results / "deep" / "b" / "motion.npz").is_file()
    assert batch(folder, *data) == 0
    from robot_stack.datasets.reader import Dataset

    with Dataset(tmp_path / "data") as dataset:
        assert dataset.num_episodes == 2
    save(folder / "a.npz", KNOWN[2 : 2 + FRAMES])
    assert batch(folder) == 0
    assert (results / "a" / "report.json").stat().st_mtime_ns != first
    assert main(["retarget", "batch", str(tmp_path / "none"), "-o", str(results)]) == USAGE_ERROR


@pytest.mark.slow
def test_a_batch_that_was_killed_goes_on(tmp_path: Path) -> None:
    folder, results = tmp_path / "motions", tmp_path / "results"
    for i in range(4):
        save(folder / f"m{i}.npz", KNOWN[i : i + FRAMES])
    words = [sys.executable, "-m", "robot_stack.cli.main", "retarget", "batch", str(folder), "-o", str(results)]
    words += ["--processes", "2", *QUICK]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not list(results.glob("*/report.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {f: f.stat().st_mtime_ns for f in results.glob("*/report.json")}
    assert there
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert len(list(results.glob("*/report.json"))) == 4
    assert all(f.stat().st_mtime_ns == made for f, made in there.items())
