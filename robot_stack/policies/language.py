"""How a policy is told its task: a learned vector per training task, or a vector of the instruction's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from robot_stack.core.errors import ConfigError, ShapeError, UnknownNameError, require_name
from robot_stack.policies.config import LanguageConfig, TaskEmbeddingConfig

TASK = "task_index"
"""Batch entry int64 ``(B,)``: number of the row's task among the policy's tasks."""

INSTRUCTION = "instruction"
"""Batch entry float32 ``(B, text_size)``: a vector of the row's instruction; goes before ``task_index``."""


class TextEmbedder(Protocol):
    """Turns instructions into vectors, for example a frozen CLIP text encoder."""

    @property
    def size(self) -> int:
        """Numbers per instruction."""
        ...

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors ``(len(texts), size)``; equal texts give equal vectors."""
        ...


class TaskEmbedding(nn.Module):
    """One learned vector for each training task.

    Args:
        tasks: their instructions.
        size: numbers per task.
    """

    def __init__(self, tasks: tuple[str, ...], size: int) -> None:
        super().__init__()
        self.tasks, self.feature_dim = tasks, size
        self.vectors = nn.Embedding(len(tasks), size)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Features ``(B, size)`` of ``task_index``."""
        return self.vectors(_entry(batch, TASK))

    def entries(self, texts: Sequence[str], embedder: TextEmbedder | None) -> dict[str, Tensor]:
        """``task_index`` of instructions.

        Raises:
            UnknownNameError: for an instruction that is not a training task's.
        """
        numbers = [self.tasks.index(require_name("instruction", text, self.tasks)) for text in texts]
        return {TASK: torch.tensor(numbers)}


class TextProjection(nn.Module):
    """A learned projection of a frozen text encoder's vectors.

    The vectors of the training tasks are kept with the weights, so that known instructions need no text encoder.

    Args:
        tasks: the training instructions.
        vectors: theirs, shape ``(len(tasks), text_size)``.
        text_size: numbers per instruction.
        size: numbers after the projection.
    """

    known: Tensor

    def __init__(self, tasks: tuple[str, ...], vectors: np.ndarray, text_size: int, size: int) -> None:
        super().__init__()
        if vectors.shape != (len(tasks), text_size):
            raise ShapeError(
                "the text vectors do not fit the tasks", got=vectors.shape, expected=(len(tasks), text_size)
            )
        self.tasks, self.text_size, self.feature_dim = tasks, text_size, size
        self.register_buffer("known", torch.as_tensor(np.asarray(vectors, dtype=np.float32)).clone())
        self.projection = nn.Linear(text_size, size)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Features ``(B, size)`` of ``instruction``, or else of the training task ``task_index``."""
        text = batch.get(INSTRUCTION)
        if text is None:
            text = self.known[_entry(batch, TASK)]
        elif text.shape[-1] != self.text_size:
            raise ShapeError("instruction vectors have the wrong size", got=tuple(text.shape), expected=self.text_size)
        return self.projection(text)

    def entries(self, texts: Sequence[str], embedder: TextEmbedder | None) -> dict[str, Tensor]:
        """``instruction`` vectors: those kept from training where the text is known, else the embedder's.

        Raises:
            UnknownNameError: for a new instruction without an embedder.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self.tasks]
        if new and embedder is None:
            raise UnknownNameError("instruction", new[0], self.tasks, where="a policy loaded without a text embedder")
        embedded = embedder(new) if new and embedder is not None else np.empty((0, self.text_size))
        if embedded.shape != (len(new), self.text_size):
            raise ShapeError(
                "the text embedder is not the one the policy was trained with",
                got=embedded.shape,
                expected=(len(new), self.text_size),
            )
        fresh = dict(zip(new, torch.as_tensor(np.asarray(embedded, dtype=np.float32)), strict=True))
        kept = self.known.detach().cpu()
        rows = [fresh[text] if text in fresh else kept[self.tasks.index(text)] for text in texts]
        return {INSTRUCTION: torch.stack(rows)}


def language_module(
    config: LanguageConfig | None, tasks: tuple[str, ...], vectors: np.ndarray | None
) -> TaskEmbedding | TextProjection | None:
    """The language part of a policy.

    Args:
        config: which; ``None`` for none.
        tasks: the training instructions, by ``task_index``.
        vectors: of the text encoder for ``tasks``; zeros stand in where weights will be loaded.

    Raises:
        ConfigError: if there are no tasks.
    """
    if config is None:
        return None
    if not tasks:
        raise ConfigError("a policy with language needs the instructions of its tasks", got=config)
    if isinstance(config, TaskEmbeddingConfig):
        return TaskEmbedding(tasks, config.size)
    if vectors is None:
        raise ConfigError(
            "a policy with text vectors needs those of its training tasks",
            remedy="pass task_vectors=embedder(tasks) when the policy is made",
        )
    return TextProjection(tasks, vectors, config.text_size, config.size)


def _entry(batch: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in batch:
        raise ShapeError("a batch does not say its tasks", got=sorted(batch), expected=f"an entry {name!r}")
    return batch[name]
