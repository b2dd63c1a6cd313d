"""Weights of other implementations of the conditional 1-D U-Net, by their parameter names.

Two namings are read: Diffusion Policy's own (real-stanford/diffusion_policy, ``ConditionalUnet1D``) and LeRobot's
(huggingface/lerobot, ``DiffusionConditionalUnet1d``).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from robot_stack.core.errors import CheckpointError
from robot_stack.models.unet1d import ConditionalUnet1d


def load_foreign_weights(network: ConditionalUnet1d, state: Mapping[str, Tensor], *, prefix: str = "") -> None:
    """Load a U-Net trained with Diffusion Policy or LeRobot.

    Args:
        network: with the same sizes as the foreign one.
        state: the foreign state dict.
        prefix: what the names of the U-Net's parameters begin with there: ``"model."`` in Diffusion Policy's
            checkpoints, ``"diffusion.unet."`` in LeRobot's.

    Raises:
        CheckpointError: if a parameter is missing, left over or of another shape.
    """
    foreign = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    used: set[str] = set()
    translated = {
        name: _fetch(foreign, _foreign_name(name, foreign), used)
        for name in network.state_dict()
        if not name.startswith("film_")
    }
    translated.update(_film(network, foreign, used))
    wrong = [
        f"{name} is {tuple(translated[name].shape)}, needed {tuple(tensor.shape)}"
        for name, tensor in network.state_dict().items()
        if translated[name].shape != tensor.shape
    ]
    wrong += [f"{name} has no place here" for name in foreign if name not in used]
    if wrong:
        raise CheckpointError(
            "the weights belong to a U-Net of other sizes",
            got="; ".join(wrong[:6]) + ("; …" if len(wrong) > 6 else ""),
            remedy="give the network the action_dim, cond_dim and Unet1dConfig of the foreign checkpoint",
        )
    network.load_state_dict(translated)


def _fetch(foreign: Mapping[str, Tensor], name: str, used: set[str]) -> Tensor:
    if name not in foreign:
        raise CheckpointError(
            "a parameter of the U-Net is missing",
            got=f"{len(foreign)} parameters, first: {', '.join(list(foreign)[:3])}",
            expected=name,
            remedy="check the prefix, and that the checkpoint is a conditional 1-D U-Net",
        )
    used.add(name)
    return foreign[name]


def _foreign_name(name: str, foreign: Mapping[str, Tensor]) -> str:
    """The foreign name of one of our parameters outside FiLM."""
    head, _, tail = name.partition(".")
    if head == "time_embedding":
        return "diffusion_step_encoder." + tail.replace("linear_in", "1").replace("linear_out", "3")
    if head == "final":
        return "final_conv.0.block." + tail.replace("conv", "0").replace("norm", "1")
    if head == "out":
        return "final_conv.1." + tail
    if head in ("downsample", "upsample"):
        index, leaf = tail.split(".")
        stem = f"{head.removesuffix('sample')}_modules.{index}.2."
        return stem + leaf if stem + leaf in foreign else stem + "conv." + leaf
    stem, leaf = _block_stem(name)
    if leaf.startswith("skip."):
        return stem + leaf.replace("skip", "residual_conv")
    which, layer, kind = leaf.split(".")
    layer = {"conv": "0", "norm": "1"}[layer]
    lerobot = f"{stem}{'conv1' if which == 'first' else 'conv2'}.block.{layer}.{kind}"
    return lerobot if lerobot in foreign else f"{stem}blocks.{0 if which == 'first' else 1}.block.{layer}.{kind}"


def _block_stem(name: str) -> tuple[str, str]:
    """Split ``down.1.0.first.conv.weight`` into the foreign name of the block and the rest."""
    head, tail = name.split(".", 1)
    if head == "middle":
        index, leaf = tail.split(".", 1)
        return f"mid_modules.{index}.", leaf
    level, index, leaf = tail.split(".", 2)
    return f"{head}_modules.{level}.{index}.", leaf


def _film(network: ConditionalUnet1d, foreign: Mapping[str, Tensor], used: set[str]) -> dict[str, Tensor]:
    """Stack the FiLM layers of all blocks and part their columns into time and condition."""
    names = [name for name, _ in network.named_parameters() if name.endswith("first.conv.weight")]
    stems = [_block_stem(name)[0] for name in sorted(names, key=_execution_order)]
    weight = torch.cat([_fetch(foreign, f"{stem}cond_encoder.1.weight", used) for stem in stems])
    bias = torch.cat([_fetch(foreign, f"{stem}cond_encoder.1.bias", used) for stem in stems])
    split = network.config.time_embed_dim
    return {
        "film_time.weight": weight[:, :split],
        "film_cond.weight": weight[:, split:],
        "film_cond.bias": bias,
    }


def _execution_order(name: str) -> tuple[int, str]:
    return ("down", "middle", "up").index(name.split(".")[0]), name
