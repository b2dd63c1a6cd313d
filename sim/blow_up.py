"""A simulation that blew up: noticed at once, its last moments written to a file that can be played again."""

from __future__ import annotations

import json
import zipfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import DatasetError, RobotStackError
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel

KEPT_TICKS = 200
"""How many servo ticks before the blow-up are kept."""

TOO_FAST = 1e3
"""A speed that nothing in our scenes reaches [m/s or rad/s]."""


class PhysicsError(RobotStackError):
    """The simulation blew up; the episode does not count."""

    def __init__(self, what: str, dump: Path | None) -> None:
        self.dump = dump
        super().__init__(
            "the simulation blew up; the episode does not count",
            got=what,
            where=dump,
            remedy=f"look at its last moments: robot-stack sim --replay-dump {dump}" if dump else None,
        )


def what_blew_up(data: Any) -> str:
    """What is wrong with a simulation, in words; empty when nothing is.

    Args:
        data: ``mujoco.MjData`` after a step.
    """
    mujoco = import_mujoco()
    for warning in (
        mujoco.mjtWarning.mjWARN_BADQPOS,
        mujoco.mjtWarning.mjWARN_BADQVEL,
        mujoco.mjtWarning.mjWARN_BADQACC,
    ):
        if data.warning[warning.value].number:
            return f"{warning.name.removeprefix('mjWARN_BAD').lower()} is not finite or huge after {data.time:.3f} s"
    if not np.isfinite(data.qpos).all() or not np.isfinite(data.qvel).all():
        return f"the state is not finite after {data.time:.3f} s"
    fastest = float(np.abs(data.qvel).max(initial=0.0))
    if fastest > TOO_FAST:
        return f"a speed of {fastest:.3g} after {data.time:.3f} s, limit {TOO_FAST:g}"
    return ""


class FlightRecorder:
    """Keeps the last moments of one simulation in memory.

    Args:
        robot: the scene.
        folder: where dumps are written; empty for nowhere.
    """

    def __init__(self, robot: RobotModel, folder: str) -> None:
        self._mujoco = import_mujoco()
        self._robot, self._folder = robot, folder
        self._kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        self._size = self._mujoco.mj_stateSize(robot.model, self._kind)
        self._states: deque[np.ndarray] = deque(maxlen=KEPT_TICKS)
        self._gains: deque[np.ndarray] = deque(maxlen=KEPT_TICKS)
        self._seed = 0

    def restart(self, data: Any, seed: int) -> None:
        """An episode begins."""
        self._states.clear()
        self._gains.clear()
        self._seed = seed

    def note(self, data: Any) -> None:
        """Remember state and controls before a step."""
        row = np.empty(self._size)
        self._mujoco.mj_getState(self._robot.model, data, row, self._kind)
        self._states.append(row)
        self._gains.append(self._robot.model.actuator_biasprm[:, 1:3].copy())

    def dump(self, what: str, fields: Mapping[str, np.ndarray] | None = None) -> Path | None:
        """Write what is remembered; returns the file, or ``None`` where nothing is to be written.

        Args:
            what: what is wrong, in words.
            fields: fields of the model that the episode changed, by name.
        """
        if not self._folder or not self._states:
            return None
        states, gains = np.array(self._states), np.array(self._gains)
        return write_dump(self._folder, self._robot, self._seed, what, states, gains, fields)


def write_dump(
    folder: str,
    robot: RobotModel,
    seed: int,
    what: str,
    states: np.ndarray,
    gains: np.ndarray,
    fields: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write the last moments of a simulation to a file that :func:`read_dump` reads.

    Args:
        folder: where; made if it is not there.
        robot: the scene.
        seed: of the episode.
        what: what is wrong, in words.
        states: ``mjSTATE_INTEGRATION`` rows before each tick, shape ``(ticks, size)``.
        gains: bias parameters 1 and 2 of every actuator at each tick, shape ``(ticks, nu, 2)``.
        fields: fields of the model that the episode changed, by name.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{robot.spec.name}_seed{seed}_{float(states[-1][0]):.3f}s.npz"
    about = {"what": what, "robot": robot.spec.name, "seed": seed, "format": 1}
    arrays: dict[str, Any] = {f"model.{name}": values for name, values in (fields or {}).items()}
    arrays |= {"about": np.array(json.dumps(about)), "mjcf": np.array(robot.xml), "states": states, "gains": gains}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


@dataclass(frozen=True, eq=False)
class Dump:
    """The last moments of a simulation that blew up, read back."""

    about: dict[str, Any]
    """What went wrong, robot and seed."""

    model: Any
    """``mujoco.MjModel`` of the scene."""

    states: np.ndarray
    """``mjSTATE_INTEGRATION`` rows before each servo tick, shape ``(ticks, size)``."""

    gains: np.ndarray
    """Bias parameters 1 and 2 of every actuator at each tick, shape ``(ticks, nu, 2)``."""

    def set(self, data: Any, tick: int) -> None:
        """Put ``data`` (and the model's gains) into the state before a tick."""
        mujoco = import_mujoco()
        self.model.actuator_biasprm[:, 1:3] = self.gains[tick]
        mujoco.mj_setState(self.model, data, self.states[tick], mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, data)


def read_dump(path: Path) -> Dump:
    """Read a dump.

    Raises:
        DatasetError: if the file is missing or damaged.
    """
    mujoco = import_mujoco()
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            model = mujoco.MjModel.from_xml_string(str(file["mjcf"]))
            _change(model, {name.removeprefix("model."): file[name] for name in file if name.startswith("model.")})
            dump = Dump(about, model, file["states"], file["gains"])
    except (OSError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise DatasetError(
            "a physics dump cannot be read", where=path, got=f"{type(error).__name__}: {error}"
        ) from error
    if dump.states.shape[1:] != (mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION),):
        raise DatasetError("a physics dump does not fit its own model", where=path, got=dump.states.shape)
    return dump


def _change(model: Any, fields: Mapping[str, np.ndarray]) -> None:
    for name, values in fields.items():
        getattr(model, name)[:] = values
    if fields:
        mujoco = import_mujoco()
        mujoco.mj_setConst(model, mujoco.MjData(model))
