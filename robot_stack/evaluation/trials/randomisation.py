"""Who runs when: the order of initial conditions, and in each block the order of policies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_stack.evaluation.trials.plan import InitialCondition, TrialPlan


def draw_conditions(plan: TrialPlan, rng: np.random.Generator) -> tuple[str, ...]:
    """The initial condition of each block, by id.

    All of them come once before any comes again. Within a round, levels of the strata are spread evenly: at every
    moment the level that lags furthest behind its share comes next.

    Args:
        plan: with its conditions and number of blocks.
        rng: decides between equals.
    """
    order: list[str] = []
    while len(order) < plan.blocks:
        order += _round(plan.conditions, rng)
    return tuple(order[: plan.blocks])


def draw_orders(plan: TrialPlan, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    """For each block the policies, by number, in the order in which they run: independent uniform permutations.

    Every policy is in every block, so counts are balanced at the end of every block. Orders are independent, so what
    was learnt of one block says nothing of the next.
    """
    return tuple(tuple(int(arm) for arm in rng.permutation(plan.arms)) for _ in range(plan.blocks))


def _round(conditions: Sequence[InitialCondition], rng: np.random.Generator) -> list[str]:
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for condition in conditions:
        groups.setdefault(tuple(sorted(condition.strata.items())), []).append(condition.id)
    queues = [[ids[i] for i in rng.permutation(len(ids))] for ids in groups.values()]
    sizes = [len(queue) for queue in queues]
    order: list[str] = []
    while len(order) < len(conditions):
        used = [size - len(queue) for size, queue in zip(sizes, queues, strict=True)]
        behind = [(len(order) + 1) * s / len(conditions) - u for s, u in zip(sizes, used, strict=True)]
        best = max(b for b, queue in zip(behind, queues, strict=True) if queue)
        equals = [i for i, queue in enumerate(queues) if queue and behind[i] >= best - 1e-9]
        order.append(queues[int(rng.choice(equals))].pop())
    return order
