"""What the training loop costs beside the bare step it drives, and what drawing the batches costs.

All rows train the same small flow policy (the demo's) on the same recorded data, interleaved round by round so that a
busy machine slows all alike; CPU seconds of one thread per step, medians over rounds::

    python benchmarks/training_loop.py --rounds 5 --json result.json

Rows:
  bare step        loss, backward and torch's AdamW on one batch that never changes; no clipping, averaging or logging
  plain script     the same with gradient clipping, a moving average of the weights, and ``loss.item()`` every step
  ours             the whole loop: batches drawn from the dataset, refusal of bad updates, clipping, averaging,
                   schedule, metrics, events, checkpoints as in a run of the demo
  batch            drawing one batch, for the share of the data side
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from robot_stack.algorithms.imitation import Imitation
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import Field
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.models.ema import Ema
from robot_stack.policies.config import DiffusionPolicyConfig
from robot_stack.policies.loading import AnyPolicy, make_policy
from robot_stack.policies.network_config import UnetConfig
from robot_stack.policies.process_config import FlowProcessConfig
from robot_stack.training.job import DataConfig, DatasetConfig, ImitationJob
from robot_stack.training.loop import TrainConfig, train
from robot_stack.training.normalizer_fit import fit_policy_normalizers
from robot_stack.training.policy_batches import Demonstrations
from robot_stack.training.run import fill_run
from robot_stack.training.schedule import WarmupSchedule

STATE, ACTION, EPISODES, FRAMES = 39, 4, 50, 100
POLICY = DiffusionPolicyConfig(network=UnetConfig(down_dims=(32, 64), time_embed_dim=64), process=FlowProcessConfig())


def record(root: Path) -> Path:
    """A dataset of the demo's size: 50 episodes of 100 frames, 39 state numbers and 4 actions."""
    robot = Embodiment("bench/arm", (Field("state", STATE, "1"),), (Field("action", ACTION, "1"),), (), 80.0)
    generator = np.random.default_rng(0)
    with DatasetWriter(root, robot) as writer:
        for _ in range(EPISODES):
            writer.begin("bench")
            states = generator.normal(size=(FRAMES, STATE)).cumsum(axis=0).astype(np.float32)
            for state in states:
                writer.add({"observation.state": state, "action": np.tanh(state[:ACTION])})
            writer.commit(success=True)
    return root


def cpu_per_step(work: Callable[[], object], steps: int) -> float:
    """CPU milliseconds per step of ``work``, which does ``steps`` steps."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / steps * 1e3


def plain_step(policy: AnyPolicy, batch: dict[str, torch.Tensor], *, whole: bool) -> Callable[[], None]:
    """One step as a script would write it."""
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3, betas=(0.95, 0.999), weight_decay=1e-6)
    generator, average = torch.Generator().manual_seed(0), Ema(policy)

    def step() -> None:
        optimizer.zero_grad()
        loss = policy.loss(batch, generator)
        loss.backward()
        if whole:
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0)
        optimizer.step()
        if whole:
            average.update(policy)
            loss.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="of each row and round")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), arguments.rounds, arguments.steps, arguments.batch_size)
    bare = rows["bare step"]
    for name, value in rows.items():
        print(f"{name:14s} {value:8.3f} ms CPU per step   {value / bare:6.3f} of the bare step")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def measure(folder: Path, rounds: int, steps: int, batch_size: int) -> dict[str, float]:
    """Median CPU milliseconds per step of every row."""
    job = ImitationJob(
        (DatasetConfig(record(folder / "data")),),
        policy=POLICY,
        train=TrainConfig(steps=steps, log_every=50, checkpoint_every=500, tensorboard=False),
        data=DataConfig(batch_size=batch_size),
    )
    demonstrations = Demonstrations(job)
    stream = demonstrations.stream(0, 1)
    sources = [
        (name, s.windows) for name, s in zip(demonstrations.train.names, demonstrations.train.sources, strict=True)
    ]
    normalizers = fit_policy_normalizers(POLICY.normalization, sources, demonstrations.action_offsets)

    def policy() -> AnyPolicy:
        return make_policy(POLICY, demonstrations.embodiment, normalizers, demonstrations.tasks, seed=0)

    batch = {name: torch.from_numpy(values) for name, values in stream.peek().items()}
    bare, plain = plain_step(policy(), batch, whole=False), plain_step(policy(), batch, whole=True)

    def ours(number: int) -> Callable[[], object]:
        algorithm = Imitation(policy(), job.learning, WarmupSchedule(job.schedule, steps))
        run = fill_run(folder / f"run{number}", job, command=["benchmark"])
        return lambda: train(algorithm, demonstrations.stream(0, 1), run=run, config=job.train)

    times: dict[str, list[float]] = {"bare step": [], "plain script": [], "ours": [], "batch": []}
    for number in range(rounds + 1):
        work: dict[str, Callable[[], object]] = {
            "bare step": lambda: [bare() for _ in range(steps)],
            "plain script": lambda: [plain() for _ in range(steps)],
            "ours": ours(number),
            "batch": lambda: [next(stream) for _ in range(steps)],
        }
        for name, one in work.items():
            value = cpu_per_step(one, steps)
            if number:  # the first round warms up
                times[name].append(value)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
