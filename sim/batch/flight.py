"""Simulations of a batch that blow up: found all at once, the last moments of some written to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.sim.blow_up import KEPT_TICKS, TOO_FAST, write_dump
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel

MEMORY_BYTES = 64 * 2**20
"""What all remembered states of a batch may take; a batch of few simulations remembers more of each."""


class BatchFlightRecorder:
    """Remembers the states before the last control steps, and dumps those of simulations that blew up.

    Args:
        robot: the scene.
        batch: ``mujoco.batch.Batch``.
        folder: where dumps are written; empty for nowhere, and then nothing is remembered.
        most: how many dumps are written at most.
    """

    def __init__(self, robot: RobotModel, batch: Any, folder: str, most: int) -> None:
        mujoco = import_mujoco()
        self._robot, self._batch, self._folder, self._left = robot, batch, folder, most
        bad = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
        self._bad = np.array([warning.value for warning in bad])
        self._words = [warning.name.removeprefix("mjWARN_BAD").lower() for warning in bad]
        ticks = max(1, min(KEPT_TICKS, MEMORY_BYTES // max(1, batch.state.nbytes))) if folder and most else 0
        self._kept = np.zeros((ticks, *batch.state.shape))
        self._next = 0
        self._ticks = np.zeros(batch.nsim, dtype=np.int64)

    def restart(self, rows: np.ndarray) -> None:
        """Episodes begin in these simulations."""
        self._ticks[rows] = 0

    def note(self) -> None:
        """Remember all states before a control step."""
        if len(self._kept):
            self._kept[self._next] = self._batch.state
            self._next = (self._next + 1) % len(self._kept)
            self._ticks += 1

    def blown(self) -> np.ndarray:
        """Which simulations are not to be trusted any more, bool of shape ``(nsim,)``; looks at the state now."""
        batch = self._batch
        warned = (batch.warning[:, self._bad, 1] > 0).any(axis=1)
        fastest = np.abs(batch.qvel).max(axis=1, initial=0.0)
        sane = fastest <= TOO_FAST  # false for NaN too
        return warned | ~sane | ~np.isfinite(batch.qpos).all(axis=1)

    def what(self, sim: int) -> str:
        """What is wrong with a simulation, in words."""
        batch = self._batch
        time_s = float(batch.time[sim])
        for number, word in zip(self._bad, self._words, strict=True):
            if batch.warning[sim, number, 1]:
                return f"{word} is not finite or huge after {time_s:.3f} s"
        fastest = float(np.abs(batch.qvel[sim]).max(initial=0.0))
        if np.isfinite(fastest) and np.isfinite(batch.qpos[sim]).all():
            return f"a speed of {fastest:.3g} after {time_s:.3f} s, limit {TOO_FAST:g}"
        return f"the state is not finite after {time_s:.3f} s"

    def dump(
        self, sim: int, seed: int, what: str, gains: np.ndarray, fields: Callable[[], dict[str, np.ndarray]]
    ) -> Path | None:
        """Write a simulation's last moments; ``None`` where nothing is to be written any more.

        Args:
            sim: which simulation.
            seed: of its episode.
            what: what is wrong, in words.
            gains: bias parameters 1 and 2 of its actuators, shape ``(nu, 2)``.
            fields: gives the fields of its model that the episode changed.
        """
        ticks = min(int(self._ticks[sim]), len(self._kept))
        if not ticks or not self._left:
            return None
        self._left -= 1
        order = (self._next - ticks + np.arange(ticks)) % len(self._kept)
        states = self._kept[order, sim]
        return write_dump(
            self._folder, self._robot, seed, what, states, np.repeat(gains[None], ticks, axis=0), fields()
        )
