"""What is true in a simulation, for one simulation or many at once.

Tasks are written once over these accessors: every array has the shape ``(..., k)``, where ``...`` is empty for a
single simulation and ``(nsim,)`` for a batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.sim.robots.model import number_of


class Truth:
    """Positions, orientations and velocities by name.

    Args:
        model: ``mujoco.MjModel`` of the scene.
        source: ``mujoco.MjData``, or a ``mujoco.batch.Batch`` of the model; read at every call, never copied.
    """

    def __init__(self, model: Any, source: Any) -> None:
        self._model, self._source = model, source
        self._numbers: dict[tuple[str, str], int] = {}

    def time_s(self) -> np.ndarray:
        """Simulated time since the episode began, shape ``(...)`` [s]."""
        return np.asarray(self._source.time)

    def p_world_body(self, name: str) -> np.ndarray:
        """Position of a body's frame in the world, shape ``(..., 3)`` [m]."""
        return self._source.xpos[..., self._number("body", name), :]

    def q_world_body(self, name: str) -> np.ndarray:
        """Orientation of a body's frame in the world, unit quaternions wxyz, shape ``(..., 4)``."""
        return self._source.xquat[..., self._number("body", name), :]

    def p_world_site(self, name: str) -> np.ndarray:
        """Position of a site in the world, shape ``(..., 3)`` [m]."""
        return self._source.site_xpos[..., self._number("site", name), :]

    def R_world_site(self, name: str) -> np.ndarray:
        """Orientation of a site in the world, shape ``(..., 3, 3)``; columns are the site's axes."""
        rows = self._source.site_xmat[..., self._number("site", name), :]
        return rows.reshape(*rows.shape[:-1], 3, 3)

    def joint_position(self, name: str) -> np.ndarray:
        """Position of a hinge or slide joint, shape ``(...)`` [rad or m]."""
        return self._source.qpos[..., int(self._model.jnt_qposadr[self._number("joint", name)])]

    def joint_velocity(self, name: str) -> np.ndarray:
        """Velocity of a hinge or slide joint, shape ``(...)`` [rad/s or m/s]."""
        return self._source.qvel[..., int(self._model.jnt_dofadr[self._number("joint", name)])]

    def v_world_free(self, name: str) -> np.ndarray:
        """Linear velocity of a body with a free joint, in world axes, shape ``(..., 3)`` [m/s]."""
        start = self._free_dof(name)
        return self._source.qvel[..., start : start + 3]

    def w_body_free(self, name: str) -> np.ndarray:
        """Angular velocity of a body with a free joint, in its own axes, shape ``(..., 3)`` [rad/s]."""
        start = self._free_dof(name)
        return self._source.qvel[..., start + 3 : start + 6]

    def sensor(self, name: str) -> np.ndarray:
        """A sensor's numbers, shape ``(..., dim)``."""
        number = self._number("sensor", name)
        start, size = int(self._model.sensor_adr[number]), int(self._model.sensor_dim[number])
        return self._source.sensordata[..., start : start + size]

    def geom_size(self, name: str) -> np.ndarray:
        """A geom's size now, shape ``(3,)`` or, where it differs between simulations, ``(nsim, 3)`` [m]."""
        holder = self._model if not hasattr(self._source, "expand") else self._source
        sizes = getattr(holder, "geom_size", self._model.geom_size)
        return sizes[..., self._number("geom", name), :]

    def _free_dof(self, body: str) -> int:
        joint = int(self._model.body_jntadr[self._number("body", body)])
        return int(self._model.jnt_dofadr[joint])

    def _number(self, kind: str, name: str) -> int:
        key = (kind, name)
        if key not in self._numbers:
            self._numbers[key] = number_of(self._model, kind, name)
        return self._numbers[key]
