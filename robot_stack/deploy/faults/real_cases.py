"""Faults of real processes: killed, stopped and continued, starved, cut off; times are real."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_stack.deploy.faults.policy_cases import TIME_TO_LIVE_S
from robot_stack.deploy.faults.real_bench import JOINTS, RealBench
from robot_stack.hardware.loop_config import LoopConfig

BOUND_S = 0.25
"""From the moment on at which a command is stale, until the arm is told to rest [s]."""

_CONFIG = LoopConfig(control_hz=50.0)


@dataclass(frozen=True)
class RealResult:
    """What came of one fault."""

    name: str
    """What went wrong."""

    expected: str
    """What the robot does, in words."""

    bound_s: float
    """It may take so long [s]."""

    measured_s: float
    """It took so long [s]."""

    state: str
    """Afterwards."""

    largest_step: float
    """Of the commands, as a share of the limit, what came after the fault included."""

    problems: tuple[str, ...]
    """What was not as expected."""


Run = Callable[[RealBench], tuple[float, list[str]]]
"""Puts a fault in and looks; how long it took [s], and what was wrong."""


def _after_plan(bench: RealBench, begin_s: float) -> float:
    """How long after the last action had lost its force the commands came to rest [s]."""
    bench.wait(lambda: bench.rested_s(begin_s) < time.monotonic() - 0.3, "rest")
    return max(0.0, bench.rested_s(begin_s) - (bench.plan_end_s + TIME_TO_LIVE_S))


def _kill_driver(bench: RealBench) -> tuple[float, list[str]]:
    begin = time.monotonic()
    bench.signal("driver", signal.SIGKILL)
    return _after_plan(bench, begin), []


def _stop_driver(bench: RealBench) -> tuple[float, list[str]]:
    begin = time.monotonic()
    bench.signal("driver", signal.SIGSTOP)
    took = _after_plan(bench, begin)
    time.sleep(0.5)
    bench.signal("driver", signal.SIGCONT)
    bench.wait(lambda: bench.moving, "motion again")
    return took, []


def _silent_deadman(bench: RealBench) -> tuple[float, list[str]]:
    begin = time.monotonic()
    bench.holds = False
    bench.wait(lambda: bench.state == "HOLD", "HOLD")
    took = _settled(bench, begin) - _CONFIG.deadman_timeout_s
    bench.holds = True
    time.sleep(0.5)
    return max(0.0, took), [] if bench.state == "HOLD" else ["it was armed again by itself"]


def _estop(bench: RealBench) -> tuple[float, list[str]]:
    begin = time.monotonic()
    bench.press_estop(True)
    bench.wait(lambda: bench.state == "ESTOP", "ESTOP")
    took = _settled(bench, begin)
    problems = ["reset was obeyed while the button was down"] if bench.ask("reset") else []
    bench.press_estop(False)
    bench.ask("reset", "IDLE")
    return took, problems


def _settled(bench: RealBench, begin_s: float) -> float:
    bench.wait(lambda: bench.rested_s(begin_s) < time.monotonic() - 0.3, "rest")
    return bench.rested_s(begin_s) - begin_s


def _stop_robot(bench: RealBench) -> tuple[float, list[str]]:
    """What the loop sends when it goes on after a second counts: no step, and a latched stop."""
    bench.signal("robot", signal.SIGSTOP)
    time.sleep(1.0)
    begin = time.monotonic()
    bench.signal("robot", signal.SIGCONT)
    bench.wait(lambda: bench.state == "SOFT_STOP", "SOFT_STOP")
    return _settled(bench, begin), []


def _kill_robot(bench: RealBench) -> tuple[float, list[str]]:
    """Nobody sends any more: the arm itself comes to rest, and a respawned process does not move it."""
    begin = time.monotonic()
    bench.signal("robot", signal.SIGKILL)
    bench.wait(lambda: time.monotonic() - bench.commands[-1][0] > 0.1, "silence")
    bench.wait(lambda: max(abs(bench.velocity[joint]) for joint in JOINTS) < 0.02, "the arm at rest")
    took = time.monotonic() - begin
    bench.states.clear()
    count = len(bench.commands)
    bench.start_robot()
    bench.wait(lambda: bench.state == "UNCONFIGURED", "the robot's process again")
    time.sleep(0.5)
    return took, [] if len(bench.commands) == count else ["a respawned process moved the arm"]


def _freeze_arm(bench: RealBench) -> tuple[float, list[str]]:
    """Joint states stop coming, then come again."""
    begin = time.monotonic()
    bench.signal("emulator", signal.SIGSTOP)
    bench.wait(lambda: bench.state == "SOFT_STOP", "SOFT_STOP")
    took = _settled(bench, begin) - _CONFIG.state_timeout_s
    bench.signal("emulator", signal.SIGCONT)
    time.sleep(1.0)
    return max(0.0, took), [] if bench.state == "SOFT_STOP" else [f"went on by itself to {bench.state}"]


def _second_driver(bench: RealBench) -> tuple[float, list[str]]:
    bench.start("second", "robot_stack.deploy.faults.real_driver", {})
    time.sleep(3.0)
    return 0.0, [] if bench.state in ("ARMED", "HOLD") else [f"state {bench.state}"]


def _busy(stop: float) -> None:
    while time.monotonic() < stop:
        pass


def _starve(bench: RealBench) -> tuple[float, list[str]]:
    """Eight processes that do nothing but count, for three seconds."""
    context = multiprocessing.get_context("spawn")
    stop = time.monotonic() + 6.0
    others = [context.Process(target=_busy, args=(stop,)) for _ in range(8)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    return 0.0, []


REAL_CASES: tuple[tuple[str, str, float, Run], ...] = (
    ("policy killed (SIGKILL)", "rests when the plan is at its end", BOUND_S, _kill_driver),
    ("policy stopped and continued", "rests; nothing old is replayed, no step", BOUND_S, _stop_driver),
    ("deadman switch falls silent", "HOLD; not armed again by itself", BOUND_S, _silent_deadman),
    ("emergency stop", "ESTOP, latched; reset refused while pressed", BOUND_S, _estop),
    ("robot process stopped for 1 s and continued", "stops, latched; no step", BOUND_S, _stop_robot),
    ("robot process killed, started again", "the arm rests; the new process is unconfigured", 1.0, _kill_robot),
    ("joint states stop coming, come again", "stops, latched; no step", BOUND_S, _freeze_arm),
    ("two policies at once", "commands stay within limits", 0.0, _second_driver),
    ("eight busy processes beside it", "commands stay within limits; overruns counted", 0.0, _starve),
)
"""Name, what is expected, bound [s], how."""


def run_real(
    names: Sequence[str] = (), domain: int = 91, progress: Callable[[str], None] = lambda _: None
) -> list[RealResult]:
    """Run the faults, each with processes of its own.

    Args:
        names: which; all when left out.
        domain: ROS domain.
        progress: told what is going on.
    """
    out = []
    for name, expected, bound_s, run in REAL_CASES:
        if names and name not in names:
            continue
        progress(f"processes: {name}")
        with tempfile.TemporaryDirectory() as folder:
            bench = RealBench(Path(folder), domain)
            try:
                bench.start_all()
                took, problems = run(bench)
                step, state = bench.largest_step(), bench.state
            finally:
                bench.close()
        if took > bound_s:
            problems.append(f"took {took:.3f} s")
        if step > 1.0 + 1e-6:
            problems.append(f"a step of {100 * step:.0f}% of the limit")
        out.append(RealResult(name, expected, bound_s, took, state, step, tuple(problems)))
    return out


def real_table(results: Sequence[RealResult]) -> str:
    """The table, in Markdown."""
    lines = ["| fault | expected | bound | measured | state | largest step |", "|---|---|---|---|---|---|"]
    for r in results:
        bound = f"{1e3 * r.bound_s:.0f} ms" if r.bound_s else "none"
        cells = (r.name, r.expected, bound, f"{1e3 * r.measured_s:.0f} ms", r.state, f"{100 * r.largest_step:.0f}%")
        lines.append(f"| {' | '.join(cells)} |" + (f" **{'; '.join(r.problems)}**" if r.problems else ""))
    return "\n".join(lines) + "\n"
