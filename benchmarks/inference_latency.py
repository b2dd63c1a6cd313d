"""Latency of one action chunk and time of one training step, beside diffusers' scheduler and LeRobot.

Every row is measured on the same network sizes, one after the other within each round, so that a busy machine slows
all alike; medians over rounds, in CPU seconds and wall seconds, and ratios to the baseline row::

    python benchmarks/inference_latency.py --size published --json result.json
    python benchmarks/inference_latency.py --size published --lerobot-python /path/to/lerobot/venv/bin/python

Rows of sampling (DDIM, batch 1, one chunk of 16 steps):
  ours             U-Net with conditioning computed ahead, step table
  scheduler loop   the same network and weights called once a step with its time, stepped by diffusers' DDIMScheduler
  lerobot          LeRobot's DiffusionPolicy.diffusion.generate_actions with equal sizes, scheduler and steps
Rows marked "other computation" are not like for like and are no evidence for the implementation: fewer steps, half
precision, other networks.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from robot_stack.models.diffusion import Diffusion
from robot_stack.models.losses import denoising_loss
from robot_stack.models.mlp_denoiser import MlpDenoiser
from robot_stack.models.sampling.sampler import WarmStart, prepare
from robot_stack.models.transformer1d import DiffusionTransformer, Transformer1dConfig
from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig
from robot_stack.models.unet1d_weights import load_foreign_weights

OBS_DIM, OBS_STEPS, ACTION_DIM, HORIZON, STEPS = 24, 2, 7, 16, 10
SIZES = {
    "published": (Unet1dConfig(), 64),
    "small": (Unet1dConfig(down_dims=(64, 128), time_embed_dim=64), 256),
}
Measure = Callable[[], dict[str, float]]


def timed(work: Callable[[], object]) -> dict[str, float]:
    """CPU and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


class LerobotWorker:
    """A process of another python that measures LeRobot on request."""

    def __init__(self, python: Path, settings: dict) -> None:
        script = Path(__file__).with_name("in_lerobot_diffusion.py")
        self.process = subprocess.Popen(
            [str(python), str(script), json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.parameters = self._answer()["parameters"]

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("LeRobot's python ended early; see its message above")
        return json.loads(line)

    def measure(self, request: str) -> dict[str, float]:
        """Time one request there: ``sample``, ``train`` or ``export FILE``."""
        assert self.process.stdin is not None
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def take_over_weights(worker: LerobotWorker, network: ConditionalUnet1d) -> float:
    """Load LeRobot's weights into ``network``; largest difference between the chunks both make of the same noise."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lerobot.safetensors"
        worker.measure(f"export {file}")
        tensors = load_file(file)
    noise, cond, chunk = (tensors.pop(name) for name in ("noise", "cond", "chunk"))
    load_foreign_weights(network, tensors)
    with torch.inference_mode():
        return (Diffusion().sampler(STEPS)(network, noise, cond) - chunk).abs().max().item()


def sampling_rows(network: ConditionalUnet1d) -> dict[str, Measure]:
    """Ways to get one chunk from ``network``, each a function that measures one call."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    process = Diffusion()
    noise, cond = torch.randn(1, HORIZON, ACTION_DIM), torch.randn(1, OBS_DIM * OBS_STEPS)
    ours = prepare(process.sampler(STEPS), network)
    scheduler = DDIMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=True)

    def loop() -> torch.Tensor:
        x = noise
        scheduler.set_timesteps(STEPS)
        for t in scheduler.timesteps:
            out = network(x, torch.full((1,), int(t), dtype=torch.long), cond)
            x = scheduler.step(out, int(t), x, return_dict=False)[0]
        return x

    with torch.inference_mode():
        difference = (ours(noise, cond) - loop()).abs().max().item()
    if difference > 1e-4:
        raise SystemExit(f"the two samplers disagree by {difference}: nothing to compare")
    half_network = copy.deepcopy(network).bfloat16()
    half = prepare(process.sampler(STEPS), half_network)
    rows: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(noise, cond),
        "scheduler loop": loop,
        "bfloat16 weights (other computation)": lambda: half(noise.bfloat16(), cond.bfloat16()),
        "warm start, last 3 steps (other computation)": lambda: ours(
            noise, cond, warm_start=WarmStart(noise, STEPS - 3)
        ),
    }
    return {name: _without_gradients(work) for name, work in rows.items()}


def other_networks() -> dict[str, Measure]:
    """One chunk in ten steps from smaller networks, for orientation."""
    networks = {
        "transformer 128x4": DiffusionTransformer(
            ACTION_DIM, OBS_DIM * OBS_STEPS, HORIZON, Transformer1dConfig(width=128, depth=4, heads=4)
        ),
        "MLP 256x3": MlpDenoiser(ACTION_DIM, OBS_DIM * OBS_STEPS, HORIZON),
    }
    noise, cond = torch.randn(1, HORIZON, ACTION_DIM), torch.randn(1, OBS_DIM * OBS_STEPS)
    rows = {}
    for name, network in networks.items():
        prepared = prepare(Diffusion().sampler(STEPS), network.eval())
        rows[f"{name} (other computation)"] = _without_gradients(lambda run=prepared: run(noise, cond))
    return rows


def _without_gradients(work: Callable[[], object]) -> Measure:
    def measure() -> dict[str, float]:
        with torch.inference_mode():
            return timed(work)

    return measure


def training_rows(network: ConditionalUnet1d, batch: int) -> dict[str, Measure]:
    """One optimisation step: loss, backward, AdamW, without EMA (LeRobot 0.4 has none)."""
    process, generator = Diffusion(), torch.Generator().manual_seed(0)
    actions = torch.randn(batch, HORIZON, ACTION_DIM).clamp(-1, 1)
    cond = torch.randn(batch, OBS_DIM * OBS_STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)

    def step() -> None:
        network.train()
        denoising_loss(network, process, actions, cond, generator).backward()
        optimizer.step()
        optimizer.zero_grad()

    return {"ours": lambda: timed(step)}


def run(rows: dict[str, Measure], baseline: str, rounds: int) -> list[dict[str, object]]:
    """Interleaved rounds after one that is not counted; medians and ratios to ``baseline``."""
    for measure in rows.values():
        measure()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, measure in rows.items():
            results[name].append(measure())
    cpu = {name: statistics.median(r["cpu_s"] for r in times) for name, times in results.items()}
    wall = {name: statistics.median(r["wall_s"] for r in times) for name, times in results.items()}
    return [
        {
            "row": name,
            "cpu_ms": round(1e3 * cpu[name], 2),
            "wall_ms": round(1e3 * wall[name], 2),
            "cpu_ms_best": round(1e3 * min(r["cpu_s"] for r in results[name]), 2),
            "speedup_over_" + baseline.replace(" ", "_"): round(cpu[baseline] / cpu[name], 2),
        }
        for name in rows
    ]


def measure_size(size: str, args: argparse.Namespace) -> dict[str, object]:
    """All rows of one network size."""
    config, batch = SIZES[size]
    torch.manual_seed(0)
    network = ConditionalUnet1d(ACTION_DIM, OBS_DIM * OBS_STEPS, config).eval()
    result: dict[str, object] = {
        "size": size,
        "parameters": sum(p.numel() for p in network.parameters()),
        "ddim_steps": STEPS,
        "training_batch": batch,
    }
    worker, baseline = None, "scheduler loop"
    sampling: dict[str, Measure] = {}
    training: dict[str, Measure] = {}
    if args.lerobot_python:
        worker, baseline = start_lerobot(args, config, batch), "lerobot"
        if worker.parameters != result["parameters"]:
            raise SystemExit(f"LeRobot's U-Net has {worker.parameters} parameters, ours {result['parameters']}")
        difference = take_over_weights(worker, network)
        if difference > 1e-4:
            raise SystemExit(f"chunks differ from LeRobot's by {difference}: nothing to compare")
        result["largest_difference_from_lerobots_chunk"] = difference
        sampling["lerobot"] = lambda: worker.measure("sample")
        training["lerobot"] = lambda: worker.measure("train")
    sampling |= sampling_rows(network) | other_networks()
    result["sampling"] = run(sampling, baseline, args.rounds)
    training |= training_rows(network, batch)
    result["training"] = run(training, next(iter(training)), args.training_rounds)
    if worker is not None:
        worker.close()
    return result


def start_lerobot(args: argparse.Namespace, config: Unet1dConfig, batch: int) -> LerobotWorker:
    """LeRobot's policy with the sizes of ``config`` in a process of its own."""
    settings = {
        "obs_dim": OBS_DIM,
        "obs_steps": OBS_STEPS,
        "action_dim": ACTION_DIM,
        "horizon": HORIZON,
        "steps": STEPS,
        "down_dims": config.down_dims,
        "time_embed_dim": config.time_embed_dim,
        "batch": batch,
        "threads": args.threads,
    }
    return LerobotWorker(args.lerobot_python, settings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[*SIZES, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of sampling")
    parser.add_argument("--training-rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lerobot-python", type=Path, default=None, help="python of an environment with LeRobot 0.4.4")
    parser.add_argument("--json", type=Path, default=None, help="write the results here as well")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report = {
        "torch": torch.__version__,
        "threads": args.threads,
        "results": [measure_size(size, args) for size in (SIZES if args.size == "all" else [args.size])],
    }
    text = json.dumps(report, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
