"""Command-line arguments become frozen dataclasses."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def parse(kind: type[T], arguments: list[str], prog: str) -> T:
    """Parse arguments into ``kind``, a dataclass whose docstrings are the help.

    Args:
        kind: the dataclass.
        arguments: what follows the verb.
        prog: how the command is called.
    """
    import tyro

    return tyro.cli(kind, args=arguments, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))


def default_processes() -> int:
    """Processes that simulate when nobody says how many: one a core, at most 8."""
    import os

    return max(1, min(8, len(os.sched_getaffinity(0))))
