"""A node whose callback must not be cut in two; started by a test as a process."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from robot_stack.deploy.ros_node import run


class Busy:
    """Writes two files, one and a half seconds apart, and a third when it is closed."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.folder = Path(str(node.declare_parameter("folder", "").value))
        self.timer = node.create_timer(0.01, self.work)

    def work(self) -> None:
        self.timer.cancel()
        (self.folder / "begun").touch()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            time.sleep(0.01)
        (self.folder / "finished").touch()

    def close(self) -> None:
        (self.folder / "closed").touch()


if __name__ == "__main__":
    sys.exit(run("busy", Busy))
