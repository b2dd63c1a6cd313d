"""Contact forces and joint torques for a wanted motion, by a quadratic programme.

Given wanted generalised accelerations ``a*`` the programme finds the nearest accelerations ``a = a* + E y`` and contact
forces ``f`` that obey the equations of motion, friction, and the torque limits::

    minimise    (a - a*)^T W (a - a*) + w (f - f*)^T (f - f*)
    subject to  (M a + h - J^T f)[base]    = 0               the base has no motors
                lowest <= (M a + h - J^T f)[joints] <= highest    torques
                friction pyramids, least and largest normal forces

``E`` says which accelerations may give way: the base's alone (whole-body impulse control, Kim et al. 2019, 18 unknowns
for a quadruped), or every motion under which no contact moves (better where torque limits bind, as on a humanoid).

Solved with DAQP (Arnström, Bemporad and Axehill 2022), warm-started from the last multipliers. The answer is finite,
always: when the torque limits cannot be kept they are lifted and the torques clipped, and when even that fails the
forces are those that bear the robot's weight best. :attr:`Solution.status` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_stack.core.errors import ConfigError, MissingExtraError
from robot_stack.sim.control.whole_body.contacts import Contact, contact_jacobian, friction_rows
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics

Status = Literal["optimal", "torque_clipped", "fallback"]
"""How a solution came about, best first."""

_EQUALITY = 5
_FREE = 1e30


@dataclass(frozen=True)
class QpConfig:
    """Weights and shape of the programme. Defaults as in LocoMan's software, with a finer pyramid."""

    base_weight: tuple[float, ...] = (20.0, 20.0, 5.0, 1.0, 1.0, 0.2)
    """Of the base's accelerations: linear x, y, z in world axes, angular in its own axes."""

    joint_weight: float = 1.0
    """Of a joint's acceleration; counts only with :attr:`relax_joints`."""

    force_weight: float = 1e-5
    """Of contact forces."""

    facets: int = 8
    """Sides of the friction pyramids; they lie within the cones."""

    relax_joints: bool = False
    """All accelerations that leave the contacts still may give way, not the base's alone."""

    max_iterations: int = 300
    """Of the solver."""

    def __post_init__(self) -> None:
        if len(self.base_weight) != BASE or min(*self.base_weight, self.joint_weight, self.force_weight) <= 0:
            raise ConfigError("the programme needs 6 base weights, and positive weights throughout", got=self)
        if self.facets < 3:
            raise ConfigError("a friction pyramid needs at least 3 sides", got=self.facets)


@dataclass(frozen=True, eq=False)
class Solution:
    """What the programme answers."""

    torque: np.ndarray
    """Of every joint of the dynamics, within its limits, shape ``(joints,)`` [N·m]."""

    acceleration: np.ndarray
    """Generalised acceleration that goes with it, shape ``(size,)``."""

    force: np.ndarray
    """On the robot at each contact, in the contact's axes, normal last, shape ``(contacts, 3)`` [N]."""

    status: Status
    """Whether all limits could be kept."""


class InverseDynamics:
    """Solves the programme tick after tick.

    Args:
        dynamics: of the robot; must be updated before each :meth:`solve`.
        torque_limit: largest torque of every joint of the dynamics, shape ``(joints,)`` [N·m].
        config: weights.

    Raises:
        MissingExtraError: if DAQP is not installed.
    """

    def __init__(self, dynamics: Dynamics, torque_limit: np.ndarray, config: QpConfig | None = None) -> None:
        try:
            import daqp
        except ImportError as error:
            raise MissingExtraError("whole-body control", extra="sim", package="daqp") from error
        self._solve = daqp.solve
        self.dynamics = dynamics
        self.config = QpConfig() if config is None else config
        self.torque_limit = np.array(torque_limit, dtype=np.float64)
        if self.torque_limit.shape != (len(dynamics.joints),) or not (self.torque_limit > 0).all():
            raise ConfigError(
                "every joint needs a positive torque limit", got=self.torque_limit, expected=f"{len(dynamics.joints)}"
            )
        weight = np.full(dynamics.size, self.config.joint_weight)
        weight[:BASE] = self.config.base_weight
        self._weight = weight
        self._base_only = np.eye(dynamics.size, BASE)
        self._multipliers: np.ndarray | None = None

    def solve(
        self,
        contacts: Sequence[Contact],
        acceleration: np.ndarray,
        contact_free: np.ndarray | None = None,
        force: np.ndarray | None = None,
    ) -> Solution:
        """Torques for a wanted motion at the dynamics' present state.

        Args:
            contacts: points that bear force now; may be none.
            acceleration: wanted, shape ``(size,)``; leaves the contacts still.
            contact_free: basis of the motions that leave them still, needed with ``relax_joints``.
            force: contact forces to stay near to, in the contacts' axes, shape ``(contacts, 3)`` [N]; zero if left out.
        """
        jacobian = contact_jacobian(self.dynamics, contacts)
        relaxed = self._relaxed(contact_free)
        moving = self.dynamics.inertia @ relaxed
        static = self.dynamics.inverse(acceleration)
        near = np.zeros(len(jacobian)) if force is None else np.asarray(force, dtype=np.float64).reshape(-1)
        found, status = self._best(contacts, jacobian, relaxed, moving, static, near)
        if found is None:
            return self._fallback(contacts, jacobian)
        give, pushed = found[: relaxed.shape[1]], found[relaxed.shape[1] :]
        torque = (static + moving @ give - jacobian.T @ pushed)[BASE:]
        torque = np.minimum(np.maximum(torque, -self.torque_limit), self.torque_limit)
        return Solution(torque, acceleration + relaxed @ give, pushed.reshape(-1, 3), status)

    def _relaxed(self, contact_free: np.ndarray | None) -> np.ndarray:
        if not self.config.relax_joints:
            return self._base_only
        if contact_free is None:
            raise ConfigError("with relax_joints the programme needs the motions that leave the contacts still")
        return contact_free

    def _best(
        self,
        contacts: Sequence[Contact],
        jacobian: np.ndarray,
        relaxed: np.ndarray,
        moving: np.ndarray,
        static: np.ndarray,
        near: np.ndarray,
    ) -> tuple[np.ndarray | None, Status]:
        """The unknowns ``(y, f)``, with the torque limits if they can be kept."""
        gives, forces = relaxed.shape[1], len(near)
        size, joints = gives + forces, len(self.torque_limit)
        cones = friction_rows(tuple(c.friction for c in contacts), self.config.facets)
        quadratic = np.zeros((size, size))
        quadratic[:gives, :gives] = relaxed.T @ (self._weight[:, None] * relaxed)
        quadratic[range(gives, size), range(gives, size)] = self.config.force_weight
        linear = np.zeros(size)
        linear[gives:] = -self.config.force_weight * near
        rows = np.zeros((BASE + len(cones) + joints, size))
        rows[:BASE, :gives], rows[:BASE, gives:] = moving[:BASE], -jacobian[:, :BASE].T
        rows[BASE : BASE + len(cones), gives:] = cones
        rows[BASE + len(cones) :, :gives], rows[BASE + len(cones) :, gives:] = moving[BASE:], -jacobian[:, BASE:].T
        low, high = np.full(size + len(rows), -_FREE), np.full(size + len(rows), _FREE)
        low[gives + 2 : size : 3] = [c.min_force for c in contacts]
        high[gives + 2 : size : 3] = [c.max_force for c in contacts]
        low[size : size + BASE] = high[size : size + BASE] = -static[:BASE]
        high[size + BASE : size + BASE + len(cones)] = 0.0
        low[-joints:], high[-joints:] = -self.torque_limit - static[BASE:], self.torque_limit - static[BASE:]
        found = self._run(quadratic, linear, rows, high, low)
        if found is not None:
            return found, "optimal"
        found = self._run(quadratic, linear, rows[:-joints], high[:-joints], low[:-joints])
        return found, "torque_clipped"

    def _run(
        self, quadratic: np.ndarray, linear: np.ndarray, rows: np.ndarray, high: np.ndarray, low: np.ndarray
    ) -> np.ndarray | None:
        sense = np.zeros(len(high), dtype=np.int32)
        sense[len(linear) : len(linear) + BASE] = _EQUALITY
        start = self._multipliers
        warm = {"dual_start": start} if start is not None and len(start) == len(high) else {}
        limit = self.config.max_iterations
        found, _, flag, info = self._solve(quadratic, linear, rows, high, low, sense, iter_limit=limit, **warm)
        if (flag != 1 or not np.isfinite(found).all()) and warm:  # a stale start must not cost the answer
            found, _, flag, info = self._solve(quadratic, linear, rows, high, low, sense, iter_limit=limit)
        if flag != 1 or not np.isfinite(found).all():
            self._multipliers = None
            return None
        self._multipliers = np.array(info["lam"])
        return np.array(found)

    def _fallback(self, contacts: Sequence[Contact], jacobian: np.ndarray) -> Solution:
        """Forces that bear weight and bias best in the sense of least squares, and no acceleration."""
        joints = len(self.torque_limit)
        still = np.zeros(self.dynamics.size)
        base = jacobian[:, :BASE]
        force = base @ np.linalg.solve(base.T @ base + 1e-6 * np.eye(BASE), self.dynamics.bias[:BASE])
        force = force.reshape(-1, 3)
        for row, contact in zip(force, contacts, strict=True):
            row[2] = min(max(row[2], contact.min_force), contact.max_force)
            slide, bears = float(np.hypot(row[0], row[1])), contact.friction * row[2]
            row[:2] *= bears / slide if slide > bears else 1.0
        torque = self.dynamics.bias[BASE:] - jacobian[:, BASE:].T @ force.reshape(-1)
        torque = np.nan_to_num(torque.reshape(joints), nan=0.0, posinf=0.0, neginf=0.0)
        torque = np.minimum(np.maximum(torque, -self.torque_limit), self.torque_limit)
        return Solution(torque, still, force, "fallback")
