"""Drives robots with a policy: receding horizon, many episodes at once, each with its own noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.policies.actor import Actor
from robot_stack.policies.ensemble import TemporalEnsemble
from robot_stack.policies.inference_config import DriverConfig, InferenceConfig
from robot_stack.policies.language import TextEmbedder
from robot_stack.policies.latency import LatencyRecord
from robot_stack.policies.policy import Policy

_NOISE_STREAM = 0x706F6C
"""Separates the policy's noise from other uses of an episode's seed."""


@dataclass
class _Slot:
    """One episode under way."""

    instruction: str
    generator: torch.Generator
    ensemble: TemporalEnsemble | None
    planned: np.ndarray | None = None
    """The last chunk ``(horizon, A)`` shifted to now; ``None`` before the first decision."""


class PolicyDriver:
    """A :class:`robot_stack.core.driver.BatchDriver`.

    What an episode does depends on its seed, its instruction and its observations alone: each slot draws its noise
    on the CPU from a generator of its own, whoever shares the batch.

    Args:
        policy: on the device it is to run on.
        config: how chunks become motion.
        inference: numerics.
        embedder: for instructions that the policy was not trained with.

    Raises:
        ConfigError: if the policy cannot be driven so.
    """

    def __init__(
        self,
        policy: Policy,
        config: DriverConfig | None = None,
        inference: InferenceConfig | None = None,
        *,
        embedder: TextEmbedder | None = None,
    ) -> None:
        config = config or DriverConfig()
        self.actor = Actor(policy, inference, source=config.source, embedder=embedder)
        self.policy, self.config = policy, config
        self._first = policy.n_obs_steps - 1
        self._steps = 1 if config.ensemble is not None else config.n_action_steps or policy.n_action_steps
        if not 1 <= self._steps <= policy.horizon - self._first:
            raise ConfigError(
                "the policy does not plan so far ahead",
                got=f"n_action_steps={self._steps}",
                expected=f"1 to {policy.horizon - self._first}",
            )
        if config.warm_start is not None and not policy.draws_noise:
            raise ConfigError("a policy that does not sample has no sampler to start warm", got=config.warm_start)
        self._slots: dict[int, _Slot] = {}

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self.policy.n_obs_steps

    @property
    def latency(self) -> LatencyRecord:
        """How long decisions took."""
        return self.actor.latency

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """A new episode begins in ``slot``.

        Raises:
            UnknownNameError: if the policy is told its task and does not know this one.
        """
        self.actor.learn_instruction(instruction)
        ensemble = None
        if self.config.ensemble is not None:
            ensemble = TemporalEnsemble(self.config.ensemble.decay, self.policy.horizon - self._first)
        self._slots[slot] = _Slot(instruction, noise_generator(seed), ensemble)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """Decide the next actions of several episodes; see :class:`robot_stack.core.driver.BatchDriver`.

        Raises:
            ConfigError: if a slot was never reset, or appears twice.
            ShapeError: if an observation does not match the embodiment.
            NonFiniteError: if an observation is not finite.
        """
        episodes = self._episodes(slots, len(histories))
        plans = self._plan(episodes, histories)
        return [
            self._chunk(episode, plan, history[-1].time_s)
            for episode, plan, history in zip(episodes, plans, histories, strict=True)
        ]

    @property
    def continues(self) -> bool:
        """Whether plans are held to running ones: a policy that samples can be guided."""
        return self.policy.draws_noise

    def plan(
        self, slots: Sequence[int], histories: Sequence[Sequence[Observation]], running: Sequence[RunningPlan]
    ) -> list[ActionChunk]:
        """Decide as far ahead as the policy plans; see :class:`robot_stack.core.running_plan.PlanningDriver`.

        Neither ensembling nor warm starts have a part in it: both take for granted that a decision takes no time.

        Raises:
            ConfigError: as :meth:`act`.
            ShapeError: if an observation or a running action does not match the embodiment.
            NonFiniteError: if one of them is not finite.
        """
        episodes = self._episodes(slots, min(len(histories), len(running)))
        plans: dict[int, np.ndarray] = {}
        held = [i for i, plan in enumerate(running) if self.continues and plan.binding]
        strengths = sorted({running[i].max_weight for i in held})
        groups = [[i for i in held if running[i].max_weight == strength] for strength in strengths]
        groups.append([i for i in range(len(slots)) if i not in held])
        for group in groups:
            if group:
                chunks = self.actor.act_batch(
                    [histories[i] for i in group],
                    [episodes[i].instruction for i in group],
                    generators=[episodes[i].generator for i in group],
                    continuing=self._held([running[i] for i in group]) if group[0] in held else None,
                )
                plans.update(zip(group, chunks, strict=True))
        period_s = 1.0 / self.policy.embodiment.control_hz
        return [ActionChunk(plans[i][self._first :], histories[i][-1].time_s, period_s) for i in range(len(slots))]

    def _held(self, running: list[RunningPlan]) -> tuple[np.ndarray, np.ndarray, float]:
        """Running plans as whole chunks, from the oldest observation to the horizon."""
        size, horizon, first = self.policy.embodiment.action_size, self.policy.horizon, self._first
        targets, weights = np.zeros((len(running), horizon, size)), np.zeros((len(running), horizon))
        for row, plan in enumerate(running):
            if plan.actions.shape[1] != size:
                raise ShapeError(
                    "a running plan is of another robot", got=plan.actions.shape, expected=f"(steps, {size})"
                )
            if not (np.isfinite(plan.actions).all() and np.isfinite(plan.weights).all()):
                raise NonFiniteError("a running plan is not finite", got="NaN or infinity", expected="numbers")
            steps = min(len(plan), horizon - first)
            targets[row, first : first + steps] = plan.actions[:steps]
            targets[row, :first], targets[row, first + steps :] = plan.actions[0], plan.actions[steps - 1]
            weights[row, first : first + steps] = np.clip(plan.weights[:steps], 0.0, 1.0)
        return targets, weights, running[0].max_weight

    def _episodes(self, slots: Sequence[int], histories: int) -> list[_Slot]:
        unknown = [slot for slot in slots if slot not in self._slots]
        if unknown or len(set(slots)) != len(slots) or len(slots) != histories:
            raise ConfigError(
                "each slot asks once with its history, after it was reset",
                got=f"slots {list(slots)} with {histories} histories, of which never reset: {unknown}",
            )
        return [self._slots[slot] for slot in slots]

    def _plan(self, episodes: list[_Slot], histories: Sequence[Sequence[Observation]]) -> list[np.ndarray]:
        """Chunks ``(horizon, A)``, in the order of the episodes; those that start warm are sampled together."""
        plans: list[np.ndarray | None] = [None] * len(episodes)
        warm_start = self.config.warm_start
        for warm in (False, True):
            rows = [i for i, e in enumerate(episodes) if (warm_start is not None and e.planned is not None) == warm]
            if not rows:
                continue
            previous = None
            if warm and warm_start is not None:
                last = [planned for i in rows if (planned := episodes[i].planned) is not None]
                previous = (np.stack(last), warm_start.first_step)
            chunks = self.actor.act_batch(
                [histories[i] for i in rows],
                [episodes[i].instruction for i in rows],
                generators=[episodes[i].generator for i in rows],
                previous=previous,
            )
            for i, chunk in zip(rows, chunks, strict=True):
                plans[i] = chunk
        return [plan for plan in plans if plan is not None]

    def _chunk(self, episode: _Slot, plan: np.ndarray, time_s: float) -> ActionChunk:
        if self.config.warm_start is not None:
            episode.planned = np.concatenate([plan[self._steps :], np.repeat(plan[-1:], self._steps, axis=0)])
        ahead = plan[self._first :]
        if episode.ensemble is not None:
            actions = episode.ensemble.add(ahead)[None]
        else:
            actions = ahead[: self._steps]
        return ActionChunk(actions, time_s, 1.0 / self.policy.embodiment.control_hz)


def noise_generator(seed: int) -> torch.Generator:
    """The source of an episode's noise, on the CPU: equal seeds give equal noise whatever the device."""
    words = np.random.SeedSequence([seed, _NOISE_STREAM]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
