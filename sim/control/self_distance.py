"""How near parts of a robot are to each other, as rows that an inverse-kinematics programme can keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel


class SelfDistance:
    """Velocity dampers between pairs of collision geoms (Faverjon and Tournassoud 1987).

    Pairs may near each other at a speed that falls to zero as their distance falls to ``keep_m``; nearer than that they
    have to part.

    Args:
        robot: whose geoms.
        pairs: names of two geoms each.
        columns: the degrees of freedom that the rows are for, in their order, shape ``(size,)``.
        keep_m: distance to be kept [m].
        notice_m: pairs further apart than this are left alone [m].
        rate: approaching speed over what is left of the distance [1/s].

    Raises:
        UnknownNameError: if there is no such geom.
    """

    def __init__(
        self,
        robot: RobotModel,
        pairs: Sequence[tuple[str, str]],
        columns: np.ndarray,
        keep_m: float = 0.01,
        notice_m: float = 0.08,
        rate: float = 5.0,
    ) -> None:
        self._mujoco: Any = import_mujoco()
        self._model = robot.model
        self._pairs = [(robot.geom(a), robot.geom(b)) for a, b in pairs]
        self._first, self._second = np.array(self._pairs, dtype=np.int64).reshape(-1, 2).T
        radius = robot.model.geom_rbound
        self._near = (notice_m + radius[self._first] + radius[self._second]) ** 2
        self._columns = columns
        self._keep, self._notice, self._rate = keep_m, notice_m, rate
        self._ends = np.zeros(6)
        self._jacobian = np.zeros((2, 3, robot.model.nv))

    def __len__(self) -> int:
        return len(self._pairs)

    def rows(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows ``G`` and bounds ``g``: velocities with ``G v >= g`` are safe. A pair far apart has zeros and ``-inf``.

        Args:
            data: ``mujoco.MjData`` with current kinematics and centres of mass.

        Returns:
            Shapes ``(pairs, size)`` and ``(pairs,)``.
        """
        rows, least = np.zeros((len(self._pairs), len(self._columns))), np.full(len(self._pairs), -np.inf)
        between = data.geom_xpos[self._first] - data.geom_xpos[self._second]
        for number in np.flatnonzero(np.einsum("ij,ij->i", between, between) < self._near).tolist():
            pair = self._pairs[number]
            distance = self._mujoco.mj_geomDistance(self._model, data, *pair, self._notice, self._ends)
            if distance >= self._notice:
                continue
            gap = self._ends[3:] - self._ends[:3]
            length = float(np.linalg.norm(gap))
            if length < 1e-6:
                continue
            towards = gap / (length if distance > 0.0 else -length)
            for jacobian, end, geom in zip(self._jacobian, (self._ends[:3], self._ends[3:]), pair, strict=True):
                body = int(self._model.geom_bodyid[geom])
                self._mujoco.mj_jac(self._model, data, jacobian, None, end, body)
            rows[number] = (towards @ (self._jacobian[1] - self._jacobian[0]))[self._columns]
            least[number] = -self._rate * (distance - self._keep)
        return rows, least
