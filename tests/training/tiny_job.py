"""A small real training job, run by the tests in their own process and, to be killed, in others."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robot_stack.algorithms.adamw import AdamWConfig
from robot_stack.algorithms.imitation import Imitation, ImitationConfig
from robot_stack.models.ema import EmaConfig
from robot_stack.training.distributed import Distribution, open_distribution
from robot_stack.training.loop import TrainConfig, TrainResult, train
from robot_stack.training.run import fill_run, open_run
from robot_stack.training.schedule import ScheduleConfig, WarmupSchedule

SIZE_IN, SIZE_OUT = 6, 3


class Regressor(nn.Module):
    """A network with dropout whose loss draws noise, so that every source of randomness is in play."""

    def __init__(self, dropout: float = 0.1, noise: float = 0.1) -> None:
        super().__init__()
        self.noise = noise
        self.layers = nn.Sequential(
            nn.Linear(SIZE_IN, 32), nn.LayerNorm(32), nn.GELU(), nn.Dropout(dropout), nn.Linear(32, SIZE_OUT)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator | None) -> Tensor:
        x = batch["x"]
        noise = torch.randn(x.shape, generator=generator, device=x.device) * self.noise
        return ((self(x + noise) - batch["y"]) ** 2).mean()


class Rows:
    """Batches of a fixed regression problem, a function of the step alone; rank r takes its part of each."""

    def __init__(
        self, batch_size: int, *, rank: int = 0, world_size: int = 1, nan_at: int = 0, pause_s: float = 0.0
    ) -> None:
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.nan_at, self.pause_s = nan_at, pause_s
        self.step = 0
        generator = np.random.default_rng(7)
        self.x = generator.normal(size=(512, SIZE_IN)).astype(np.float32)
        self.y = np.tanh(self.x @ generator.normal(size=(SIZE_IN, SIZE_OUT))).astype(np.float32)

    def __next__(self) -> dict[str, np.ndarray]:
        time.sleep(self.pause_s)
        self.step += 1
        everyone = np.random.default_rng([3, self.step]).integers(0, 512, self.batch_size * self.world_size)
        rows = everyone[self.rank * self.batch_size : (self.rank + 1) * self.batch_size]
        x = self.x[rows]
        if self.step == self.nan_at and self.rank == 0:
            x = x.copy()
            x[0, 0] = np.nan
        return {"x": x, "y": self.y[rows], "index": rows}

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]


def build(
    total_steps: int, distribution: Distribution, *, dropout: float = 0.1, noise: float = 0.1
) -> Imitation[Regressor]:
    generator = torch.random.get_rng_state()
    torch.manual_seed(distribution.rank)  # ranks begin with different weights: joining them is the library's task
    policy = Regressor(dropout, noise)
    torch.random.set_rng_state(generator)
    config = ImitationConfig(
        optimizer=AdamWConfig(lr=3e-3, weight_decay=1e-2, clip_norm=1.0), ema=EmaConfig(), precision="float32"
    )
    schedule = WarmupSchedule(ScheduleConfig(warmup_steps=4), total_steps)
    return Imitation(policy, config, schedule, wrap=distribution.wrap, rank=distribution.rank, seed=5)


def run_job(
    folder: Path,
    *,
    total_steps: int,
    stop_at: int | None = None,
    batch_size: int = 16,
    nan_at: int = 0,
    pause_s: float = 0.0,
    dropout: float = 0.1,
    noise: float = 0.1,
    listeners: Any = (),
    **config: Any,
) -> tuple[Imitation[Regressor], TrainResult]:
    """Begin the job in ``folder``, or go on with it when it is there; the schedule is that of ``total_steps``."""
    torch.set_num_threads(1)
    settings = {"log_every": 1, "checkpoint_every": 10, "tensorboard": False, **config}
    with open_distribution("cpu") as distribution:
        algorithm = build(total_steps, distribution, dropout=dropout, noise=noise)
        rows = Rows(
            batch_size,
            rank=distribution.rank,
            world_size=distribution.world_size,
            nan_at=nan_at,
            pause_s=pause_s,
        )
        train_config = TrainConfig(steps=stop_at or total_steps, **settings)
        if not distribution.is_main:
            return algorithm, train(algorithm, rows, run=None, config=train_config, distribution=distribution)
        exists = (folder / "config.json").exists()
        with open_run(folder) if exists else fill_run(folder, train_config, command=["tiny_job"]) as run:
            result = train(
                algorithm, rows, run=run, config=train_config, distribution=distribution, listeners=listeners
            )
        return algorithm, result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--total-steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--pause-s", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--nan-at", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=1)
    parser.add_argument("--checkpoint-every", type=int, default=10)
    arguments = vars(parser.parse_args())
    run_job(arguments.pop("folder"), **arguments)


if __name__ == "__main__":
    main()
