"""Every fault on every robot, as one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from robot_stack.deploy.faults.case import FaultCase, FaultResult, run_case
from robot_stack.deploy.faults.operator_cases import OPERATOR_CASES
from robot_stack.deploy.faults.policy_cases import POLICY_CASES
from robot_stack.deploy.faults.state_cases import STATE_CASES

CASES: tuple[FaultCase, ...] = POLICY_CASES + STATE_CASES + OPERATOR_CASES
"""All faults in simulated time."""

HEAD = (
    "| fault | expected | bound | measured | state | largest step |",
    "|---|---|---|---|---|---|",
)


def run_all(
    robots: Sequence[str],
    cases: Sequence[FaultCase] = CASES,
    progress: Callable[[str], None] = lambda _: None,
) -> list[tuple[FaultCase, list[FaultResult]]]:
    """Run cases on the robots that they are for."""
    out: list[tuple[FaultCase, list[FaultResult]]] = []
    for case in cases:
        results = []
        for robot in robots:
            if robot in case.robots:
                progress(f"{robot}: {case.name}")
                results.append(run_case(case, robot))
        if results:
            out.append((case, results))
    return out


def to_markdown(done: Sequence[tuple[FaultCase, list[FaultResult]]]) -> str:
    """The table; the worst of the robots counts, and what was not as expected is written out."""
    lines: list[str] = []
    group = ""
    for case, results in done:
        if case.group != group:
            group = case.group
            lines += ["", f"**{group.capitalize()}**", "", *HEAD]
        lines.append(_row(case, results))
    return "\n".join(lines).strip() + "\n"


def _row(case: FaultCase, results: list[FaultResult]) -> str:
    slowest = max(result.reaction_s for result in results)
    states = sorted({result.state for result in results})
    step = max(result.largest_step for result in results)
    problems = [f"{result.robot}: {problem}" for result in results for problem in result.problems]
    bound = "3 ticks" if not case.bound_s else f"{1e3 * case.bound_s:.0f} ms"
    measured = "never" if math.isinf(slowest) else f"{1e3 * slowest:.0f} ms"
    if case.resting:
        bound, measured = f"{bound} after the last action", f"{measured} after it"
    cells = (case.name, case.expected, bound, measured, ", ".join(states), f"{100 * step:.0f}%")
    return f"| {' | '.join(cells)} |" + (f" **{'; '.join(problems)}**" if problems else "")
