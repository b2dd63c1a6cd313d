"""Compare ConditionalUnet1d with the U-Net of Diffusion Policy on equal weights, noise and conditions.

Run it with a checkout of github.com/real-stanford/diffusion_policy (only its file of the network is imported, which
needs einops)::

    python benchmarks/compare_unet_reference.py /path/to/diffusion_policy

Prints the number of parameters of both, the largest difference of their outputs and of the gradients of their
first layer, and, for each setting, whether they agree to 1e-4.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

import torch

from robot_stack.models.unet1d import ConditionalUnet1d, Unet1dConfig
from robot_stack.models.unet1d_weights import load_foreign_weights

TOLERANCE = 1e-4

SETTINGS = {
    "low-dimensional default (obs 24 x 2, act 7)": (7, 48, Unet1dConfig()),
    "PushT (obs 20 x 2, act 2)": (2, 40, Unet1dConfig()),
    "bias only, kernel 3, two levels": (4, 10, Unet1dConfig(down_dims=(64, 128), kernel_size=3, film_scale=False)),
}


def compare(reference_class: type, action_dim: int, cond_dim: int, config: Unet1dConfig, seed: int) -> dict:
    """Largest differences of outputs and gradients between the reference and ours with its weights."""
    torch.manual_seed(seed)
    reference = reference_class(
        input_dim=action_dim,
        global_cond_dim=cond_dim,
        diffusion_step_embed_dim=config.time_embed_dim,
        down_dims=list(config.down_dims),
        kernel_size=config.kernel_size,
        n_groups=config.groups,
        cond_predict_scale=config.film_scale,
    )
    ours = ConditionalUnet1d(action_dim, cond_dim, config)
    load_foreign_weights(ours, reference.state_dict())
    generator = torch.Generator().manual_seed(seed)
    result = {
        "parameters_reference": sum(p.numel() for p in reference.parameters()),
        "parameters_ours": sum(p.numel() for p in ours.parameters()),
    }
    for batch in (1, 8):
        x = torch.randn(batch, 16, action_dim, generator=generator)
        cond = torch.randn(batch, cond_dim, generator=generator)
        time = torch.randint(100, (batch,), generator=generator)
        theirs, mine = reference(x, time, global_cond=cond), ours(x, time, cond)
        result[f"max_abs_output_batch_{batch}"] = (theirs - mine).abs().max().item()
        theirs.square().mean().backward()
        mine.square().mean().backward()
        gradient = reference.down_modules[0][0].blocks[0].block[0].weight.grad
        result[f"max_abs_gradient_batch_{batch}"] = (
            (gradient - ours.residual_blocks()[0].first.conv.weight.grad).abs().max().item()
        )
    result["largest_output"] = theirs.abs().max().item()
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of a diffusion_policy checkout")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sys.path.insert(0, str(args.checkout.resolve()))
    reference_class = importlib.import_module("diffusion_policy.model.diffusion.conditional_unet1d").ConditionalUnet1D
    torch.set_num_threads(1)
    agree = True
    for name, (action_dim, cond_dim, config) in SETTINGS.items():
        result = compare(reference_class, action_dim, cond_dim, config, args.seed)
        differences = [value for key, value in result.items() if key.startswith("max_abs")]
        fits = max(differences) < TOLERANCE and result["parameters_ours"] == result["parameters_reference"]
        agree = agree and fits
        print(name, "agrees" if fits else "DIFFERS")
        print(json.dumps(result, indent=2))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
