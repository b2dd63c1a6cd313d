"""The runner starts, watches and ends real processes; none of them outlives it."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robot_stack.core.errors import LockedError
from robot_stack.deploy.process_plan import DeployPlan, ProcessPlan
from robot_stack.deploy.runner import Runner
from robot_stack.hardware.ros import environment

NODE = """
import pathlib, signal, sys, time
folder, name, manner = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
said = lambda what: (folder / f"{name}.{what}").write_text(str(time.monotonic()))
if manner == "stubborn":
    signal.signal(signal.SIGINT, lambda *_: said("asked")); signal.signal(signal.SIGTERM, lambda *_: said("ordered"))
print("arguments", sys.argv[4:], flush=True)
if manner == "fails":
    raise RuntimeError("no such robot")
said("started")
try:
    while manner != "done":
        time.sleep(0.05)
except KeyboardInterrupt:
    said("ended")
"""
"""A process: its folder, name and manner, then what the runner adds."""

MAIN = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import robot_stack.deploy.runner
from test_runner import run_here
robot_stack.deploy.runner.require_ros = lambda feature: None
sys.exit(run_here(Path(sys.argv[2]), sys.argv[3:]))
"""


@pytest.fixture(autouse=True)
def _without_ros(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """These processes use no ROS; whether it is installed does not matter."""
    monkeypatch.setattr("robot_stack.deploy.runner.require_ros", lambda feature: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def plan_of(manners: list[str]) -> DeployPlan:
    """``name:manner[:rank]`` each; a process that is done ends all."""
    made = []
    for word in manners:
        name, manner, rank = (*word.split(":"), "0")[:3]
        made.append(
            ProcessPlan(
                name,
                name,
                "/tried",
                (("number", 0.5), ("text", "0"), ("several", ("a", "b")), ("empty", ())),
                remaps=(("from", "to"),),
                on_exit="go_on" if manner == "fails" else "stop_all",
                stop_rank=int(rank),
                grace_s=0.3 if manner == "stubborn" else 20.0,
            )
        )
    return DeployPlan("a try", tuple(made), domain=77, discovery="localhost")


def run_here(folder: Path, manners: list[str], told: list[str] | None = None) -> int:
    script = folder / "node.py"
    script.write_text(NODE)
    manner = {word.split(":")[0]: word.split(":")[1] for word in manners}
    out: list[str] = [] if told is None else told

    def command(plan: ProcessPlan) -> list[str]:
        start = f"import sys,runpy;from robot_stack.deploy.child import die_with;die_with({os.getpid()});"
        words = f"sys.argv={[str(script), str(folder), plan.node, manner[plan.node]]!r}+sys.argv[1:];"
        return [sys.executable, "-c", start + words + f"runpy.run_path({str(script)!r},run_name='__main__')"]

    return Runner(plan_of(manners), folder / "logs", out.append, command).run()


def start_elsewhere(folder: Path, *manners: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, __file__, str(folder), *manners], text=True, start_new_session=True
    )


def wait_for(*paths: Path, process: subprocess.Popen[str] | None = None) -> None:
    until = time.monotonic() + 120.0
    while not all(path.exists() for path in paths):
        assert process is None or process.poll() is None, "the runner ended"
        assert time.monotonic() < until, [p for p in paths if not p.exists()]
        time.sleep(0.01)


def children_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(folder / "node.py").encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_process_that_has_finished_ends_all(tmp_path: Path) -> None:
    told: list[str] = []
    assert run_here(tmp_path, ["body:waits:2", "robot:waits:1", "work:done"], told) == 0
    assert "runner | work ended with code 0" in told
    assert children_of(tmp_path) == []


def test_every_process_gets_the_words_of_launch_ros(tmp_path: Path) -> None:
    told: list[str] = []
    run_here(tmp_path, ["work:done"], told)
    (line,) = [line for line in told if "arguments" in line]
    words = ast.literal_eval(line.partition("arguments ")[2])
    assert words[:6] == ["--ros-args", "-r", "__node:=work", "-r", "__ns:=/tried", "--params-file"]
    assert words[7:] == ["-r", "from:=to"]


def test_the_parameter_file_keeps_types(tmp_path: Path) -> None:
    (process,) = plan_of(["work:done"]).processes
    path = process.write_parameters(tmp_path)
    assert path is not None
    expected = {"number": 0.5, "text": "0", "several": ["a", "b"]}
    assert json.loads(path.read_text()) == {"/tried/work": {"ros__parameters": expected}}


def test_a_failure_is_told_with_its_last_words_and_the_others_go_on(tmp_path: Path) -> None:
    process = start_elsewhere(tmp_path, "policy:fails", "robot:waits")
    runner_log = tmp_path / "logs" / "runner.log"
    wait_for(runner_log, tmp_path / "robot.started", process=process)
    while "all of its output" not in runner_log.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    assert "policy ended with code 1" in runner_log.read_text()
    assert "RuntimeError: no such robot" in runner_log.read_text()
    assert not (tmp_path / "robot.ended").exists()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert (tmp_path / "robot.ended").exists()


def test_a_failure_of_the_robot_ends_all_with_an_error(tmp_path: Path) -> None:
    process = start_elsewhere(tmp_path, "robot:waits", "other:waits")
    wait_for(tmp_path / "robot.started", tmp_path / "other.started", process=process)
    (robot,) = [pid for pid in children_of(tmp_path) if "'robot'" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(robot, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    assert "robot was ended by SIGKILL" in (tmp_path / "logs" / "runner.log").read_text()
    assert (tmp_path / "other.ended").exists()


def test_ctrl_c_ends_the_driver_before_the_robot_and_the_robot_before_its_body(tmp_path: Path) -> None:
    process = start_elsewhere(tmp_path, "body:waits:2", "robot:waits:1", "policy:waits:0")
    names = ("body", "robot", "policy")
    wait_for(*(tmp_path / f"{name}.started" for name in names), process=process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    times = [float((tmp_path / f"{name}.ended").read_text()) for name in ("policy", "robot", "body")]
    assert times == sorted(times)


def test_who_does_not_listen_is_ordered_and_then_killed(tmp_path: Path) -> None:
    process = start_elsewhere(tmp_path, "robot:stubborn")
    wait_for(tmp_path / "robot.started", process=process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    asked, ordered = (float((tmp_path / f"robot.{what}").read_text()) for what in ("asked", "ordered"))
    assert ordered - asked > 0.25
    assert "SIGKILL" in (tmp_path / "logs" / "runner.log").read_text()
    assert children_of(tmp_path) == []


def test_nobody_is_left_when_the_runner_is_killed(tmp_path: Path) -> None:
    process = start_elsewhere(tmp_path, "robot:waits", "policy:waits")
    wait_for(tmp_path / "robot.started", tmp_path / "policy.started", process=process)
    assert len(children_of(tmp_path)) == 2
    process.kill()
    process.wait()
    until = time.monotonic() + 60.0
    while children_of(tmp_path):
        assert time.monotonic() < until, "orphans"
        time.sleep(0.02)


def test_one_robot_is_deployed_once(tmp_path: Path) -> None:
    process = start_elsewhere(tmp_path, "robot:waits")
    wait_for(tmp_path / "robot.started", process=process)
    with pytest.raises(LockedError, match="robot's deployment"):
        run_here(tmp_path, ["robot:waits"])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def test_without_ros_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robot_stack.core.errors import MissingExtraError

    monkeypatch.setattr("robot_stack.deploy.runner.require_ros", environment.require_ros)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="rclpy"):
        run_here(tmp_path, ["robot:done"])
    assert not (tmp_path / "robot.started").exists()
