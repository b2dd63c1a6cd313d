"""How far a collection or an evaluation has come; whoever shows it passes a listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A moment of a collection or an evaluation."""

    done: int
    """Episodes that count so far."""

    total: int
    """Episodes wanted."""

    successes: int = 0
    """Of those done."""

    failures: int = 0
    """Episodes that broke off with an error."""

    attempts: int = 0
    """Episodes finished in this run, whether they count or not."""

    message: str = ""
    """The last error, if there is news of one."""


ProgressListener = Callable[[Progress], None]
"""Told after every episode, in the calling process; returns quickly."""


def ignore_progress(progress: Progress) -> None:
    """Tell nobody."""
