"""A plain multi-layer perceptron, and the behaviour-cloning network that answers with whole action chunks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn


@dataclass(frozen=True)
class MlpConfig:
    """Sizes of an :class:`Mlp`.

    Args:
        hidden_dims: width of each hidden layer.
        layer_norm: normalise after each hidden layer, before the activation.
        dropout: probability of dropping a hidden unit in training.
    """

    hidden_dims: tuple[int, ...] = (512, 512, 512)
    layer_norm: bool = True
    dropout: float = 0.0


class Mlp(nn.Module):
    """Linear, LayerNorm, GELU for each hidden layer, then Linear: (..., in_dim) -> (..., out_dim)."""

    def __init__(self, in_dim: int, out_dim: int, config: MlpConfig | None = None) -> None:
        super().__init__()
        config = config or MlpConfig()
        layers: list[nn.Module] = []
        for before, after in pairwise((in_dim, *config.hidden_dims)):
            layers.append(nn.Linear(before, after))
            if config.layer_norm:
                layers.append(nn.LayerNorm(after))
            layers.append(nn.GELU())
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear((in_dim, *config.hidden_dims)[-1], out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (..., in_dim)."""
        return self.out(self.hidden(x))


class ChunkMlp(nn.Module):
    """Behaviour cloning: one condition vector in, one action chunk out.

    Args:
        action_dim: actions per step, A.
        cond_dim: size of the condition, C.
        horizon: steps of the chunk, T.
        config: sizes of the hidden layers.
    """

    def __init__(self, action_dim: int, cond_dim: int, horizon: int, config: MlpConfig | None = None) -> None:
        super().__init__()
        self.action_dim, self.horizon = action_dim, horizon
        self.mlp = Mlp(cond_dim, horizon * action_dim, config)

    def forward(self, cond: Tensor) -> Tensor:
        """Map conditions (B, C) to action chunks (B, T, A)."""
        return self.mlp(cond).unflatten(-1, (self.horizon, self.action_dim))
