"""``python -m tests.deploy.lingering_node``: a node that is needed, after a Ctrl-C, until a file is gone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from robot_stack.deploy.ros_node import run


class Lingering:
    def __init__(self, node: Any) -> None:
        self.node = node
        node.declare_parameter("folder", "")
        self.folder = Path(node.get_parameter("folder").value)
        node.create_timer(0.02, lambda: (self.folder / "alive").write_text(""))

    @property
    def needed(self) -> bool:
        (self.folder / "asked").touch()
        return (self.folder / "needed").exists()

    def close(self) -> None:
        (self.folder / "closed").touch()


if __name__ == "__main__":
    sys.exit(run("lingering", Lingering, lingers=lambda node: node.needed))
