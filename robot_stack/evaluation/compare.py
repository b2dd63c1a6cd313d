"""Several drivers evaluated on equal starts: who is better, by how much, and how sure that is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot_stack.core.errors import ConfigError, RobotStackError
from robot_stack.evaluation.intervals import Proportion, wilson
from robot_stack.evaluation.paired import Difference, PairedTable, bootstrap, mcnemar, paired_table, tango
from robot_stack.evaluation.results import EpisodeRecord, EvaluationResult
from robot_stack.evaluation.statistics.multiplicity import holm

Start = tuple[str, int]
"""Task and seed: where an episode starts."""


class NotComparableError(RobotStackError):
    """Evaluations that differ in more than the driver."""


@dataclass(frozen=True)
class DriverLine:
    """One driver over the starts that all have in common."""

    name: str
    """Who."""

    success: Proportion
    """Success rate with Wilson's interval."""

    left_out: int
    """Episodes whose start another driver never tried."""


@dataclass(frozen=True)
class PairLine:
    """Two drivers on the same starts; differences are first minus second."""

    first: str
    """Name of the one."""

    second: str
    """Name of the other."""

    table: PairedTable
    """On how many starts who succeeded."""

    difference: Difference
    """Of the success rates, with Tango's score interval."""

    p_value: float
    """Of "equally good", by McNemar's exact test."""

    p_adjusted: float
    """The same after Holm's correction for all pairs compared."""

    steps: Difference | None
    """Of the mean steps to success on starts where both succeeded, bootstrap; ``None`` with fewer than two such."""

    reward: Difference | None
    """Of the mean total reward on starts where neither broke off, bootstrap; ``None`` with fewer than two such."""


@dataclass(frozen=True)
class Comparison:
    """Drivers on equal starts."""

    tasks: tuple[str, ...]
    """Over which the starts are pooled."""

    starts: int
    """How many starts all drivers tried."""

    drivers: tuple[DriverLine, ...]
    """In the order given."""

    pairs: tuple[PairLine, ...]
    """Every pair, in the order given."""

    confidence: float
    """Of the intervals."""


def compare(results: Sequence[EvaluationResult], *, confidence: float = 0.95) -> Comparison:
    """Compare drivers on the starts that all of them tried, pooled over tasks.

    Args:
        results: evaluations; those with equal names belong to one driver, on different tasks.
        confidence: of the intervals.

    Raises:
        NotComparableError: if two drivers' evaluations of a task differ in robot, horizon or ending, or share no start.
        ConfigError: if there are fewer than two drivers, or a driver has one task twice.
    """
    by_driver = _by_driver(results)
    _check_equal_conditions(results)
    shared = [s for s in next(iter(by_driver.values())) if all(s in episodes for episodes in by_driver.values())]
    if not shared:
        raise NotComparableError(
            "these evaluations share no start",
            got={name: sorted(episodes)[:3] for name, episodes in by_driver.items()},
            remedy="evaluate with the same task, split and stream",
        )
    lines = tuple(
        DriverLine(name, wilson(sum(e[s].success for s in shared), len(shared), confidence), len(e) - len(shared))
        for name, e in by_driver.items()
    )
    pairs = [
        _pair(a, b, [by_driver[a][s] for s in shared], [by_driver[b][s] for s in shared], confidence)
        for a, b in itertools.combinations(by_driver, 2)
    ]
    adjusted = holm([p.p_value for p in pairs])
    tasks = tuple(dict.fromkeys(task for task, _ in shared))
    return Comparison(
        tasks,
        len(shared),
        lines,
        tuple(replace(p, p_adjusted=q) for p, q in zip(pairs, adjusted, strict=True)),
        confidence,
    )


def markdown(comparison: Comparison) -> str:
    """Both tables as Markdown."""
    level = f"{comparison.confidence:.0%}"
    lines = [
        f"{comparison.starts} equal starts of {', '.join(comparison.tasks)}",
        "",
        f"| driver | succeeded | rate | {level} interval |",
        "|---|---|---|---|",
    ]
    for line in comparison.drivers:
        s = line.success
        lines.append(f"| {line.name} | {s.successes}/{s.trials} | {s.rate:.1%} | {s.low:.1%} to {s.high:.1%} |")
    lines += [
        "",
        f"| pair | only first / only second | difference | {level} interval | p (Holm) |",
        "|---|---|---|---|---|",
    ]
    for pair in comparison.pairs:
        d = pair.difference
        lines.append(
            f"| {pair.first} − {pair.second} | {pair.table.first_only} / {pair.table.second_only} "
            f"| {100 * d.value:+.1f} points | {100 * d.low:+.1f} to {100 * d.high:+.1f} | {pair.p_adjusted:.3g} |"
        )
    return "\n".join(lines) + "\n"


def _by_driver(results: Sequence[EvaluationResult]) -> dict[str, dict[Start, EpisodeRecord]]:
    by_driver: dict[str, dict[Start, EpisodeRecord]] = {}
    seen: set[tuple[str, str]] = set()
    for result in results:
        if (result.name, result.task) in seen:
            raise ConfigError(f"two evaluations of {result.name!r} on {result.task!r}", remedy="leave one of them out")
        seen.add((result.name, result.task))
        by_driver.setdefault(result.name, {}).update({(result.task, e.seed): e for e in result.episodes})
    if len(by_driver) < 2:
        raise ConfigError("a comparison needs at least two drivers", got=list(by_driver))
    return by_driver


def _check_equal_conditions(results: Sequence[EvaluationResult]) -> None:
    """Whoever differs in anything but the driver was not tried under the same conditions."""
    reference: dict[str, EvaluationResult] = {}
    for result in results:
        other = reference.setdefault(result.task, result)
        mine, theirs = _conditions(result), _conditions(other)
        differences = [f"{k}: {mine[k]!r} against {theirs[k]!r}" for k in mine if mine[k] != theirs[k]]
        if differences:
            raise NotComparableError(
                f"{result.name!r} and {other.name!r} were not evaluated under the same conditions",
                where=result.task,
                got="".join(f"\n    - {d}" for d in differences),
                remedy="evaluate both again with the same world and the same configuration",
            )


def _conditions(result: EvaluationResult) -> dict[str, object]:
    return {
        "robot": result.robot_fingerprint,
        "instruction": result.instruction,
        "horizon": result.horizon,
        "stop_on_success": result.config.stop_on_success,
    }


def _pair(
    first: str, second: str, ours: list[EpisodeRecord], theirs: list[EpisodeRecord], confidence: float
) -> PairLine:
    table = paired_table([e.success for e in ours], [e.success for e in theirs])
    both = [
        (a.success_step, b.success_step)
        for a, b in zip(ours, theirs, strict=True)
        if a.success_step is not None and b.success_step is not None
    ]
    rewards = [(a.total_reward, b.total_reward) for a, b in zip(ours, theirs, strict=True) if not (a.error or b.error)]
    p_value = mcnemar(table)
    return PairLine(
        first=first,
        second=second,
        table=table,
        difference=tango(table, confidence),
        p_value=p_value,
        p_adjusted=p_value,
        steps=_mean_difference(both, confidence),
        reward=_mean_difference(rewards, confidence),
    )


def _mean_difference(pairs: Sequence[tuple[float, float]], confidence: float) -> Difference | None:
    if len(pairs) < 2:
        return None
    return bootstrap([a for a, _ in pairs], [b for _, b in pairs], confidence=confidence)
