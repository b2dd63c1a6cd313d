"""Executors: same results here and over processes, errors with their item, dead workers reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.runtime.executor import ItemError, ProcessExecutor, SerialExecutor
from robot_stack.runtime.processes import WorkerDiedError

ROOT = Path(__file__).resolve().parents[2]


def square(x: int) -> int:
    if x == 3:
        raise ValueError("three is not welcome")
    return x * x


def later_is_sooner(x: int) -> int:
    time.sleep(0.3 if x == 0 else 0.0)
    return x


def die_on_two(x: int) -> int:
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die_once(path: Path) -> str:
    if not path.exists():
        path.write_text("died")
        os._exit(7)
    return "second try"


def threads_and_modules(_: int) -> tuple[str, bool]:
    return os.environ["OMP_NUM_THREADS"], "torch" in sys.modules


def give_lambda(_: int) -> object:
    return lambda: None


@pytest.mark.parametrize("executor", [SerialExecutor(), ProcessExecutor(2)], ids=["serial", "processes"])
def test_outcomes_come_in_order_and_errors_name_their_item(executor) -> None:
    outcomes = list(executor.outcomes(square, range(6)))
    assert [o.index for o in outcomes] == list(range(6))
    assert [o.value for o in outcomes] == [0, 1, 4, None, 16, 25]
    assert isinstance(outcomes[3].error, ItemError)
    assert "item 3: 3" in str(outcomes[3].error)
    assert 'raise ValueError("three is not welcome")' in outcomes[3].traceback
    values = executor.map(square, [1, 2, 3, 4])
    assert [next(values), next(values)] == [1, 4]
    with pytest.raises(ItemError, match="three is not welcome"):
        next(values)
    assert list(executor.outcomes(square, [])) == []


def test_as_completed_does_not_wait_for_the_slow_one() -> None:
    indices = [o.index for o in ProcessExecutor(2).outcomes(later_is_sooner, range(5), ordered=False)]
    assert sorted(indices) == list(range(5))
    ordered = [o.index for o in ProcessExecutor(2).outcomes(later_is_sooner, range(5))]
    assert ordered == list(range(5))


def test_a_killed_worker_is_reported_with_its_item_and_the_others_finish() -> None:
    outcomes = list(ProcessExecutor(2).outcomes(die_on_two, range(5)))
    assert [o.value for o in outcomes] == [0, 1, None, 3, 4]
    error = outcomes[2].error
    assert isinstance(error, WorkerDiedError)
    assert "SIGKILL" in str(error) and "item 2" in str(error)


def test_an_item_whose_worker_died_is_tried_once_more(tmp_path: Path) -> None:
    assert list(ProcessExecutor(1).map(die_once, [tmp_path / "note"])) == ["second try"]


def test_workers_have_one_thread_and_no_torch() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    assert set(ProcessExecutor(1).map(threads_and_modules, range(2))) == {("1", False)}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_what_cannot_travel_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="top of a module"):
        list(ProcessExecutor(1).outcomes(lambda x: x, [1]))
    (outcome,) = ProcessExecutor(1).outcomes(give_lambda, [0])
    assert isinstance(outcome.error, ConfigError)
    with pytest.raises(ConfigError):
        ProcessExecutor(0)


class OnlyAtHome:
    """Can be packed anywhere and unpacked only in the process where it was made."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __reduce__(self):
        return unpack_at_home, (self.home,)


def unpack_at_home(home: int) -> OnlyAtHome:
    if os.getpid() != home:
        raise ImportError("no module named home")
    return OnlyAtHome()


def test_what_cannot_be_unpacked_is_an_error_of_its_item() -> None:
    outcomes = list(ProcessExecutor(1).outcomes(type, ["a", OnlyAtHome(), "b"]))
    assert [o.value for o in outcomes] == [str, None, str] and outcomes[1].index == 1
    assert "no module named home" in outcomes[1].traceback


def test_ctrl_c_ends_the_children(tmp_path: Path) -> None:
    script = tmp_path / "slow_work.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from pathlib import Path
            from robot_stack.runtime.executor import ProcessExecutor

            def slow(folder):
                (Path(folder) / str(os.getpid())).touch()
                time.sleep(600)

            if __name__ == "__main__":
                list(ProcessExecutor(2).map(slow, [sys.argv[1]] * 2))
            """
        )
    )
    pids = tmp_path / "pids"
    pids.mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(pids)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while len(list(pids.iterdir())) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in stderr
    assert [p.name for p in pids.iterdir() if _is_running(int(p.name))] == []


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = "import sys, time, tests.runtime.test_executor as t; t.hang_in_children(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    while len(list(tmp_path.iterdir())) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    pids = [int(p.name) for p in tmp_path.iterdir()]
    for _ in range(500):
        if not any(map(_is_running, pids)):
            return
        time.sleep(0.02)
    pytest.fail("a child outlived its parent by ten seconds")


def hang_in_children(folder: str) -> None:
    list(ProcessExecutor(2).map(hang, [folder] * 2))


def hang(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
