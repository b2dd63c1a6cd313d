"""The one training loop: it drives every algorithm, and a run that was killed goes on as if it had not been.

Nothing in a step waits for the device. Every ``log_every`` steps the metrics are fetched in one transfer, and only
then does the host learn whether an update was refused because a loss or gradient was not finite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from robot_stack.algorithms.algorithm import Algorithm, Batch, step_seed
from robot_stack.core.errors import CheckpointError, ConfigError, NonFiniteLossError
from robot_stack.training.checkpoint import Checkpoint
from robot_stack.training.data import BatchSource, DeviceFeed
from robot_stack.training.distributed import Distribution
from robot_stack.training.interrupt import StopRequest
from robot_stack.training.layer_noise import borrowed_generator
from robot_stack.training.meter import Meter
from robot_stack.training.reporter import Listener, Reporter
from robot_stack.training.run import Run

Validate = Callable[[], dict[str, float]]
"""Measures the policy on data it does not learn from."""


@dataclass(frozen=True)
class TrainConfig:
    """How long to train and how often to look."""

    steps: int = 10_000
    """Updates in all."""

    log_every: int = 50
    """Updates between two looks at the metrics."""

    checkpoint_every: int = 1000
    """Updates between two checkpoints; there is always one at the end."""

    validate_every: int = 500
    """Updates between two validations, and one at the end; 0 for none."""

    keep_checkpoints: int = 3
    """How many of the newest to keep."""

    prefetch: int | None = None
    """Batches drawn ahead by a thread; 0 for no thread; ``None`` decides by the size of a batch."""

    tensorboard: bool = True
    """Write TensorBoard files beside the JSON lines."""

    def __post_init__(self) -> None:
        if min(self.steps, self.log_every, self.checkpoint_every, self.keep_checkpoints) < 1:
            raise ConfigError("steps, log_every, checkpoint_every and keep_checkpoints must be at least 1", got=self)
        if min(self.validate_every, self.prefetch or 0) < 0:
            raise ConfigError("validate_every and prefetch must not be negative", got=self)


@dataclass(frozen=True)
class TrainResult:
    """How a call of :func:`train` ended."""

    step: int
    """Updates done in all."""

    ending: Literal["finished", "interrupted"]
    """Whether all steps were done, or Ctrl-C or SIGTERM asked to stop."""

    resumed_from: int | None
    """Step of the checkpoint that was taken up; ``None`` for a new run."""


def train(
    algorithm: Algorithm,
    batches: BatchSource,
    *,
    run: Run | None,
    config: TrainConfig,
    distribution: Distribution | None = None,
    validate: Validate | None = None,
    listeners: Sequence[Listener] = (),
    seed: int = 0,
) -> TrainResult:
    """Train until ``config.steps``, from the newest checkpoint of ``run`` when there is one.

    Args:
        algorithm: learns.
        batches: this process's share of the batches; holds all randomness of their order.
        run: the open run folder; ``None`` on ranks other than 0.
        config: how long, how often.
        distribution: this process among all; alone on the CPU by default.
        validate: called on rank 0.
        listeners: told about every event on rank 0, for example a progress bar.
        seed: of dropout and its like.

    Raises:
        NonFiniteLossError: if an update was not finite; the state before it is kept as a checkpoint.
        CheckpointError: if the run's checkpoints are all damaged, or belong to another network.
    """
    distribution = distribution or Distribution()
    if distribution.is_main != (run is not None):
        raise ConfigError("rank 0, and no other, is given the run folder", got=f"rank {distribution.rank}, run={run}")
    with Reporter(run, config.steps, listeners) as report, StopRequest() as stop:
        loop = _Loop(algorithm, config, run, report, distribution, validate)
        resumed_from = loop.resume(batches)
        if config.tensorboard:
            report.open_tensorboard(resumed_from)
        with (
            DeviceFeed(batches, distribution.device, config.prefetch) as feed,
            borrowed_generator(distribution.device) as seed_layers,
        ):
            ending = loop.go(feed, lambda step: seed_layers(step_seed(seed, step, distribution.rank)), stop)
        return TrainResult(algorithm.step, ending, resumed_from)


class _Loop:
    """The parts of one call of :func:`train`."""

    def __init__(
        self,
        algorithm: Algorithm,
        config: TrainConfig,
        run: Run | None,
        report: Reporter,
        distribution: Distribution,
        validate: Validate | None,
    ) -> None:
        self.algorithm, self.config, self.run, self.report = algorithm, config, run, report
        self.distribution, self.validate = distribution, validate
        self.meter = Meter(distribution)
        self.saved_step = -1
        self.trail: list[tuple[dict[str, Any], Tensor | None]] = []
        """State of the batch source before each update since the last check, and the rows the update took."""

    def resume(self, batches: BatchSource) -> int | None:
        """Take up the newest good checkpoint; return its step."""
        found = None
        if self.run is not None:
            found = self.run.checkpoints.load_latest(lambda text: self.report.words("message", 0, f"warning: {text}"))
        state = self.distribution.broadcast_state(None if found is None else found.algorithm)
        if state is None:
            self.report.words("started", 0, f"training for {self.config.steps} steps")
            self._status("running")
            return None
        head = self.distribution.broadcast_json(None if found is None else [found.step, found.batches])
        self.algorithm.load_state_dict(state)
        batches.load_state_dict(head[1])
        if self.algorithm.step != head[0]:
            raise CheckpointError("the checkpoint disagrees with itself", got=self.algorithm.step, expected=head[0])
        self.saved_step = head[0]
        self.report.words("resumed", head[0], f"resumed at step {head[0]} of {self.config.steps}")
        self._status("running")
        return head[0]

    def go(
        self, feed: DeviceFeed, seed_layers: Callable[[int], None], stop: StopRequest
    ) -> Literal["finished", "interrupted"]:
        """Update until the end or until asked to stop."""
        config, algorithm = self.config, self.algorithm
        since, waited, last = time.perf_counter(), 0.0, algorithm.step
        while algorithm.step < config.steps:
            asked = time.perf_counter()
            before = feed.state_dict()
            batch = next(feed)
            waited += time.perf_counter() - asked
            seed_layers(algorithm.step + 1)
            self.meter.add(algorithm.update(batch))
            self.trail.append((before, _rows(batch)))
            step = algorithm.step
            look = step % config.log_every == 0 or step == config.steps
            save = step % config.checkpoint_every == 0 or step == config.steps
            validate = config.validate_every > 0 and (step % config.validate_every == 0 or step == config.steps)
            asked_to_stop = bool(stop.received)
            if not self.distribution.is_alone:  # all ranks must stop at one step: they agree when they look
                asked_to_stop = look and self.distribution.any(asked_to_stop)
            if look or save or validate or asked_to_stop:
                self._check()
            if look:
                seconds = time.perf_counter() - since
                speed = {"steps_per_s": (step - last) / seconds, "data_wait": waited / seconds}
                self.report.numbers("train", step, {**self.meter.fetch(), **speed})
                since, waited, last = time.perf_counter(), 0.0, step
            if validate and self.validate is not None and self.distribution.is_main:
                self.report.numbers("validation", step, self.validate())
            if save or asked_to_stop:
                self._save(feed.state_dict())
            if asked_to_stop and step < config.steps:
                return self._interrupted(stop)
        if self.saved_step != algorithm.step:
            self._save(feed.state_dict())
        self._status("finished")
        self.report.words("finished", algorithm.step, "finished")
        return "finished"

    def _check(self) -> None:
        """Stop if an update since the last check was refused, and keep the state before it."""
        halted = self.meter.halted_at()
        if halted:
            before, rows = self.trail[halted - 1 - (self.algorithm.step - len(self.trail))]
            self.algorithm.rewind(halted - 1)
            self._save(before)
            raise NonFiniteLossError(
                f"the loss or its gradient was not finite at step {halted}; training has stopped",
                where=None if self.run is None else self.run.folder,
                got=None if rows is None else f"a batch of rows {_brief(rows)} of the dataset",
                remedy=f"the state after step {halted - 1} is kept as a checkpoint; look at these rows "
                "(`robot-stack data validate`), or start a new run with a smaller learning rate or float32 precision",
            )
        self.trail.clear()

    def _save(self, batches: dict[str, Any]) -> None:
        step = self.algorithm.step
        if self.run is None or step == self.saved_step:
            return
        info = {"world_size": self.distribution.world_size, "total_steps": self.config.steps}
        self.run.checkpoints.save(Checkpoint(step, self.algorithm.state_dict(), batches, info))
        self.saved_step = step
        self.report.words("checkpoint", step, f"checkpoint step-{step:08d}")

    def _interrupted(self, stop: StopRequest) -> Literal["interrupted"]:
        if self.run is not None:
            text = f"stopped by {stop.received or 'another rank'}; go on with: {self.run.resume_command}"
            self._status("interrupted", text)
            self.report.words("interrupted", self.algorithm.step, text)
        return "interrupted"

    def _status(self, state: str, reason: str = "") -> None:
        if self.run is not None:
            self.run.set_status(state, reason)


def _rows(batch: Batch) -> Tensor | None:
    """The dataset rows a batch was made from, shape ``(B,)``, when it tells."""
    return batch.get("index")


def _brief(rows: Tensor) -> str:
    numbers = sorted(rows.flatten().tolist())
    return ", ".join(map(str, numbers[:8])) + (f", … ({len(numbers)} in all)" if len(numbers) > 8 else "")
