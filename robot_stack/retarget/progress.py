"""How far the long steps of retargeting are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

EVERY = 16
"""So many frames go by between two messages: a hundredth of a second or more, so that listening costs nothing."""


@dataclass(frozen=True)
class StepProgress:
    """A step of the work, and how much of it is done."""

    step: str
    """In a few words, e.g. ``"first pass"``."""

    done: int = 0
    """Of :attr:`total`."""

    total: int = 0
    """All of it; 0 for a step that is not counted."""

    unit: str = "frames"
    """What is counted: ``"frames"``, or ``"rounds"`` over all frames, of which there may be fewer in the end."""


Listener = Callable[[StepProgress], None]
"""Told when a step begins, and now and then how far it is."""


def unheard(progress: StepProgress) -> None:
    """Nobody listens."""
