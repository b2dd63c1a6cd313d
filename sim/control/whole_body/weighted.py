"""Joint torques for several tasks at once, weighed against each other, by one quadratic programme.

Where :mod:`~robot_stack.sim.control.whole_body.hierarchy` serves tasks in strict order, here they share what the
contacts can bear: a humanoid near the edge of its feet gives up the posture of its arms and its upright trunk for its
balance, as much as it must and no more. The programme, in the accelerations ``a = a0 + N z`` under which no contact
moves and the contact forces ``f``::

    minimise    sum_i w_i |J_i a - wanted_i|^2 + w |f|^2
    subject to  (M a + h - J^T f - e)[base]    = 0           e: external forces that are known
                lowest <= (M a + h - J^T f - e)[joints] <= highest
                friction pyramids, least and largest normal forces

This is the usual form of task-space inverse dynamics (Herzog et al. 2016; Del Prete's TSID), with the contacts' motion
eliminated, which leaves a small dense programme. Solved with DAQP, warm-started.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import lapack as _typed

from robot_stack.core.errors import ConfigError, MissingExtraError
from robot_stack.sim.control.whole_body.contacts import Contact, contact_demand, friction_rows
from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics
from robot_stack.sim.control.whole_body.qp import Solution, Status
from robot_stack.sim.control.whole_body.tasks import Demand

lapack: Any = _typed
"""Without the stubs, which lack half of it."""

_EQUALITY = 5
_FREE = 1e30
_RANK = 1e-7


class WeightedInverseDynamics:
    """Solves the programme tick after tick.

    Args:
        dynamics: of the robot; must be updated before each :meth:`solve`.
        torque_limit: largest torque of every joint of the dynamics, shape ``(joints,)`` [N·m].
        force_weight: ``w`` above [1/N²].
        facets: sides of the friction pyramids; they lie within the cones.
        max_iterations: of the solver.

    Raises:
        MissingExtraError: if DAQP is not installed.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        torque_limit: np.ndarray,
        force_weight: float = 1e-5,
        facets: int = 4,
        max_iterations: int = 300,
    ) -> None:
        try:
            import daqp
        except ImportError as error:
            raise MissingExtraError("whole-body control", extra="sim", package="daqp") from error
        self._solve = daqp.solve
        self.dynamics = dynamics
        self.torque_limit = np.array(torque_limit, dtype=np.float64)
        if self.torque_limit.shape != (len(dynamics.joints),) or not (self.torque_limit > 0).all():
            raise ConfigError(
                "every joint needs a positive torque limit", got=self.torque_limit, expected=f"{len(dynamics.joints)}"
            )
        self._force_weight, self._facets, self._iterations = force_weight, facets, max_iterations
        self._multipliers: np.ndarray | None = None

    def reset(self) -> None:
        """Forget the last solution."""
        self._multipliers = None

    def solve(
        self,
        contacts: Sequence[Contact],
        tasks: Sequence[tuple[Demand, float]],
        external: np.ndarray | None = None,
        settle: np.ndarray | None = None,
    ) -> Solution:
        """Torques at the dynamics' present state.

        Args:
            contacts: points that stand still and bear force.
            tasks: demands with their weights; only their accelerations count.
            external: generalised forces on the robot besides the contacts' and the joints', shape ``(size,)``.
            settle: accelerations of the contacts, each in its axes, shape ``(contacts, 3)`` [m/s²], to bring back feet
                that were moved; zero when left out.

        Returns:
            ``status`` is ``"optimal"``; ``"torque_clipped"`` if the torque limits could not be kept and the torques
            were clipped; ``"fallback"`` if there was no solution at all: then torques that bear the robot's weight
            without moving, as far as the limits allow. Finite, always.
        """
        dynamics = self.dynamics
        still = contact_demand(dynamics, contacts)
        moved = still.acceleration if settle is None else still.acceleration + settle.reshape(-1)
        given, free = constrained_motions(still.jacobian, moved)
        gives, forces = free.shape[1], len(still.jacobian)
        quadratic, linear = self._objective(tasks, given, free, forces)
        moving, static = dynamics.inertia @ free, dynamics.inverse(given)
        if external is not None:
            static = static - external
        rows = np.concatenate((moving, -still.jacobian.T), axis=1)
        cones = np.zeros((self._facets * len(contacts), gives + forces))
        cones[:, gives:] = friction_rows(tuple(c.friction for c in contacts), self._facets)
        low, high = np.full(gives + forces, -_FREE), np.full(gives + forces, _FREE)
        low[gives + 2 :: 3] = [c.min_force for c in contacts]
        high[gives + 2 :: 3] = [c.max_force for c in contacts]
        limit, joints = self.torque_limit, static[BASE:]
        lows = np.concatenate((low, -static[:BASE], np.full(len(cones), -_FREE), -limit - joints))
        highs = np.concatenate((high, -static[:BASE], np.zeros(len(cones)), limit - joints))
        all_rows = np.concatenate((rows[:BASE], cones, rows[BASE:]))
        found, status = self._run(quadratic, linear, all_rows, lows, highs), "optimal"
        if found is None:
            cut = len(limit)
            found = self._run(quadratic, linear, all_rows[:-cut], lows[:-cut], highs[:-cut])
            status = "torque_clipped"
        return self._answer(found, status, rows, static, given, free, len(contacts))

    def _answer(
        self,
        found: np.ndarray | None,
        status: Status,
        rows: np.ndarray,
        static: np.ndarray,
        given: np.ndarray,
        free: np.ndarray,
        contacts: int,
    ) -> Solution:
        gives, limit = free.shape[1], self.torque_limit
        if found is None:  # no acceleration, and the forces that bear the weight best
            lever = rows[:, gives:]
            answer = -np.linalg.lstsq(lever[:BASE], static[:BASE], rcond=None)[0]
            found = np.concatenate((np.zeros(gives), answer))
            status = "fallback"
        torque = np.nan_to_num((static + rows @ found)[BASE:], nan=0.0, posinf=0.0, neginf=0.0)
        torque = np.minimum(np.maximum(torque, -limit), limit)
        return Solution(torque, given + free @ found[:gives], found[gives:].reshape(contacts, 3), status)

    def _objective(
        self, tasks: Sequence[tuple[Demand, float]], given: np.ndarray, free: np.ndarray, forces: int
    ) -> tuple[np.ndarray, np.ndarray]:
        gives = free.shape[1]
        jacobian = np.concatenate([weight**0.5 * task.jacobian for task, weight in tasks])
        wanted = np.concatenate([weight**0.5 * task.acceleration for task, weight in tasks])
        reduced = jacobian @ free
        quadratic = np.zeros((gives + forces, gives + forces))
        quadratic[:gives, :gives] = reduced.T @ reduced
        diagonal = quadratic.reshape(-1)[:: gives + forces + 1]
        diagonal[:gives] += 1e-7
        diagonal[gives:] = self._force_weight
        linear = np.zeros(gives + forces)
        linear[:gives] = reduced.T @ (jacobian @ given - wanted)
        return quadratic, linear

    def _run(
        self, quadratic: np.ndarray, linear: np.ndarray, rows: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> np.ndarray | None:
        sense = np.zeros(len(high), dtype=np.int32)
        sense[len(linear) : len(linear) + BASE] = _EQUALITY
        start = self._multipliers
        warm = {"dual_start": start} if start is not None and len(start) == len(high) else {}
        for extra in (warm, {}) if warm else ({},):  # a stale start must not cost the answer
            found, _, flag, info = self._solve(
                quadratic, linear, rows, high, low, sense, iter_limit=self._iterations, **extra
            )
            if flag == 1 and np.isfinite(found).all():
                self._multipliers = np.array(info["lam"])
                return np.array(found)
        self._multipliers = None
        return None


def constrained_motions(jacobian: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ``a`` with ``jacobian @ a = wanted``, as ``a0 + N z``; redundant rows of ``jacobian`` are harmless.

    Args:
        jacobian: shape ``(rows, size)``, of any rank.
        wanted: shape ``(rows,)``, in the range of ``jacobian``.

    Returns:
        ``a0``, the smallest of them, shape ``(size,)``, and ``N`` with orthonormal columns, shape ``(size, freedom)``.
    """
    size = jacobian.shape[1]
    if not jacobian.any():
        return np.zeros(size), np.eye(size)
    packed, pivots, tau, _, _ = lapack.dgeqp3(jacobian.T)
    steps = np.abs(np.diagonal(packed))
    rank = int(np.count_nonzero(steps > _RANK * steps[0]))
    full = np.zeros((size, size))
    full[:, : len(tau)] = packed[:, : len(tau)]
    basis = lapack.dorgqr(full, tau)[0] if len(tau) <= size else lapack.dorgqr(packed, tau)[0]
    triangle = np.triu(packed[:rank, :rank])
    share, _ = lapack.dtrtrs(triangle, wanted[pivots[:rank] - 1], trans=1)
    return basis[:, :rank] @ share, basis[:, rank:]
