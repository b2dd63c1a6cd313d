"""``python -m robot_stack.deploy.child PARENT MODULE [words]``: runs a module, and never outlives who started it.

A robot's process that went on alone would hold the robot with nobody to stop it. When the parent is gone, however it
went, this process is asked to end, which gives it time to bring the robot to rest, and made to end if it does not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 10.0
"""From being asked to end to being made to [s]."""

POLL_S = 0.25
"""How often is looked whether the parent is still there [s]."""

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """End this process when its parent is gone.

    On Linux the kernel sends SIGTERM at once; a thread watches besides, which works anywhere, and kills after a grace.

    Args:
        parent: process id of the parent; ends at once if it is gone already.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("whoever started this process is gone")
    threading.Thread(target=_watch, args=(parent,), name="parent watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the module that is named on the command line, with the words after it as its own."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    die_with(parent)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
