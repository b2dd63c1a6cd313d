"""A person at the terminal of an evaluation on a real robot: puts the scene back, and says what succeeded."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import TextIO

YES, NO = ("y", "yes", "success"), ("n", "no", "failure")


class Person:
    """Lines from a terminal, read in a thread so that nothing waits for them.

    Args:
        say: shows a line.
        listen: read the terminal at all.
        terminal: where lines come from; standard input when left out.
    """

    def __init__(self, say: Callable[[str], None], *, listen: bool, terminal: TextIO | None = None) -> None:
        self._say = say
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._asked = False
        if listen:
            source = terminal or sys.stdin
            threading.Thread(target=self._read, args=(source,), name="terminal", daemon=True).start()

    def ask_to_put_back(self, seed: int) -> None:
        """Ask for the next start."""
        while not self._lines.empty():
            self._lines.get()
        self._asked = False
        self._say(f"put the scene back for the next episode (start {seed}), step away, then press Enter")

    def put_back(self) -> bool:
        """Whether Enter was pressed since."""
        if self._lines.empty():
            return False
        while not self._lines.empty():
            self._lines.get()
        self._say("while it runs: y and Enter for success, n and Enter for failure")
        return True

    def ask_for_verdict(self) -> None:
        """Ask once, at the end of an episode without a verdict."""
        if not self._asked:
            self._say("did it succeed? y or n, then Enter")
            self._asked = True

    def verdict(self) -> bool | None:
        """The last word that is a verdict; ``None`` when there is none."""
        said: bool | None = None
        while not self._lines.empty():
            word = self._lines.get()
            if word in YES or word in NO:
                said = word in YES
            elif word:
                self._say(f"{word!r} is neither y nor n")
        return said

    def _read(self, terminal: TextIO) -> None:
        for line in terminal:
            self._lines.put(line.strip().lower())
