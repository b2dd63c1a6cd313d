"""Times LeRobot's DiffusionPolicy; started by inference_latency.py with the python of a LeRobot installation.

Reads one request a line from stdin and answers each with one JSON line: ``sample`` and ``train`` with CPU and wall
seconds; ``export FILE`` writes the weights of the U-Net, a noise, a condition and the chunk LeRobot makes of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from safetensors.torch import save_file


def build(settings: dict) -> DiffusionPolicy:
    """A policy without images: half of the observation as robot state, half as environment state."""
    half = settings["obs_dim"] // 2
    config = DiffusionConfig(
        n_obs_steps=settings["obs_steps"],
        horizon=settings["horizon"],
        n_action_steps=settings["horizon"] // 2,
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (half,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (settings["obs_dim"] - half,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (settings["action_dim"],))},
        down_dims=tuple(settings["down_dims"]),
        kernel_size=5,
        n_groups=8,
        diffusion_step_embed_dim=settings["time_embed_dim"],
        use_film_scale_modulation=True,
        noise_scheduler_type="DDIM",
        num_inference_steps=settings["steps"],
        crop_shape=None,
        device="cpu",
    )
    return DiffusionPolicy(config)


def timed(work: Callable[[], object]) -> dict[str, float]:
    """CPU and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    policy = build(settings)
    half = settings["obs_dim"] // 2

    def batch(size: int) -> dict[str, torch.Tensor]:
        steps = settings["obs_steps"]
        return {
            "observation.state": torch.randn(size, steps, half),
            "observation.environment_state": torch.randn(size, steps, settings["obs_dim"] - half),
            "action": torch.randn(size, settings["horizon"], settings["action_dim"]).clamp(-1, 1),
            "action_is_pad": torch.zeros(size, settings["horizon"], dtype=torch.bool),
        }

    one, many = batch(1), batch(settings["batch"])
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)

    @torch.no_grad()
    def sample() -> None:
        policy.eval()
        policy.diffusion.generate_actions(one)

    def train() -> None:
        policy.train()
        loss, _ = policy.forward(dict(many))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    @torch.no_grad()
    def export(path: str) -> None:
        policy.eval()
        noise = torch.randn(1, settings["horizon"], settings["action_dim"])
        cond = policy.diffusion._prepare_global_conditioning(one)
        chunk = policy.diffusion.conditional_sample(1, global_cond=cond, noise=noise)
        weights = {name: tensor.contiguous() for name, tensor in policy.diffusion.unet.state_dict().items()}
        save_file({**weights, "noise": noise, "cond": cond, "chunk": chunk.contiguous()}, path)

    print(json.dumps({"parameters": sum(p.numel() for p in policy.diffusion.unet.parameters())}), flush=True)
    for line in sys.stdin:
        request, _, argument = line.strip().partition(" ")
        work = {"sample": sample, "train": train, "export": lambda path=argument: export(path)}[request]
        print(json.dumps(timed(work)), flush=True)


if __name__ == "__main__":
    main()
