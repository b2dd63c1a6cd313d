"""Blind trials through the command line: planned, simulated, watched, opened, reported; and served to a page."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from robot_stack.cli.main import USAGE_ERROR, main
from robot_stack.evaluation.trials.store import EVENTS, PLAN, TrialStore, read_store

pytest.importorskip("metaworld")

ROOT = Path(__file__).resolve().parents[2]


def freeze(root: Path, *more: str) -> int:
    words = ["trials", "plan", str(root), "--task", "reach", "--policies", "sure=expert", "clumsy=expert:9"]
    return main([*words, "--n-max", "12", *more])


def test_from_the_plan_to_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "study"
    assert freeze(root, "--show") == 0
    assert not root.exists(), "--show freezes nothing"
    assert "power" in capsys.readouterr().out
    assert freeze(root) == 0
    told = capsys.readouterr().out
    (commitment,) = re.findall(r"commitment  ([0-9a-f]{64})", told)
    assert json.loads((root / "commitment.json").read_text())["commitment"] == commitment

    plan = json.loads((root / PLAN).read_text())
    plan["horizon"] = 40
    (root / PLAN).write_text(json.dumps(plan))
    assert main(["trials", "run", str(root), "--sim", "--processes", "0"]) == USAGE_ERROR
    assert "horizon: frozen None, now 40" in capsys.readouterr().err
    plan["horizon"] = None
    (root / PLAN).write_text(json.dumps(plan))

    assert main(["trials", "report", str(root)]) == USAGE_ERROR
    assert "still blind" in capsys.readouterr().err
    assert main(["trials", "run", str(root), "--sim", "--processes", "0", "--blocks", "4"]) == 0
    out = capsys.readouterr().out
    assert "stop: the trials are over" in out
    assert not any(name in out for name in ("sure", "clumsy", "expert")), "the run tells nothing by policy"
    assert main(["trials", "status", str(root), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["advice"] == "stop" and status["labelled"] == 2 * status["blocks_complete"]
    assert main(["trials", "verify", str(root), "--policies", "--commitment", commitment]) == 0
    assert "WRONG" not in capsys.readouterr().out
    assert main(["trials", "unblind", str(root), "--by", "Ada"]) == 0
    assert commitment in capsys.readouterr().out
    assert main(["trials", "report", str(root), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "sure" in told and "clumsy" in told
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["commitment"] == commitment and len(found["arms"]) == 2
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()

    log = (root / EVENTS).read_bytes()
    (root / EVENTS).write_bytes(log[: len(log) // 2])
    assert main(["trials", "verify", str(root)]) == 1
    assert "cut short" in capsys.readouterr().out


def test_power(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trials", "power", "0.3", "0.9", "--n-max", "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["power"][0]["power"] > 0.8 and told["needed"]["power"] >= 0.8
    assert told["needed"]["n_max"] <= 20
    assert main(["trials", "power", "0.3", "0.9", "--n-max", "20", "--most", "12"]) == 0
    assert "80% power" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pln"], "did you mean 'plan'"),
        (["status", "nowhere"], "there is no trial store here"),
        (["run", "nowhere"], "need an evaluator"),
        (["plan", "s", "--policies", "a=expert"], "there is no task"),
        (["plan", "s", "--task", "reech", "--policies", "a=expert", "b=expert:1"], "did you mean"),
        (["plan", "s", "--task", "reach", "--policies", "a"], "NAME=BUNDLE"),
        (["plan", "s", "--task", "reach", "--policies", "a=expert"], "at least 2"),
        (["plan", "s", "--task", "reach", "--policies", "a=expert:x", "b=expert"], "noise is no number"),
        (["plan", "s", "--task", "reach", "--policies", "a=nowhere", "b=expert"], "nowhere"),
        (["plan", "s", "--task", "reach", "--policies", "a=expert", "b=expert:1", "--alpha", "2"], "alpha"),
        (["plan", "s", "--file", "no.yaml"], "cannot be read"),
        (["power", "0.5"], "two success rates"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_clear_error(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["trials", *words]) == USAGE_ERROR
    error = capsys.readouterr().err
    assert error.lstrip().startswith("error: ") and told in error
    assert not (tmp_path / "s").exists()


def test_a_policy_that_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert freeze(tmp_path / "s") == 0
    monkeypatch.setattr("robot_stack.__version__", "0.0.0")  # the expert of another version is another policy
    assert main(["trials", "run", str(tmp_path / "s"), "--sim", "--processes", "0"]) == USAGE_ERROR
    assert "a policy changed since the plan was frozen" in capsys.readouterr().err
    assert main(["trials", "verify", str(tmp_path / "s"), "--policies"]) == 1


def skip_without_pictures() -> None:
    from robot_stack.core.errors import RenderError
    from robot_stack.sim.metaworld import make_metaworld

    world = make_metaworld()
    try:
        world.robot.render("corner", 48, 64)  # type: ignore[attr-defined]
    except RenderError as error:
        pytest.skip(f"no rendering here: {error.message}")
    finally:
        world.close()


def test_a_page_is_served_until_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("torch")
    skip_without_pictures()
    root = tmp_path / "s"
    assert freeze(root) == 0
    words = [sys.executable, "-m", "robot_stack.cli.main", "trials", "serve", str(root), "--port", "0"]
    words += ["--token", "secret-token"]
    server = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, server.kill)
    watchdog.start()
    try:
        assert server.stdout is not None
        (address,) = re.findall(r"(http://\S+)/\?token=secret-token", server.stdout.readline())
        request = urllib.request.Request(f"{address}/api/stations", headers={"Authorization": "Bearer secret-token"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["stations"] == ["bench"]
        assert read_store(root).state.events == 1
        assert main(["trials", "run", str(root), "--sim", "--processes", "0"]) == USAGE_ERROR, "the store is taken"
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) in (0, 130)
    finally:
        watchdog.cancel()
        server.kill()
        server.wait()
    with TrialStore(root):
        pass
