"""Strict priorities: a lower task uses only the freedom that all higher ones leave.

As LocoMan does it (Lin et al. 2024, arXiv 2403.18197) after the whole-body impulse control of the MIT Mini Cheetah (Kim
et al. 2019, arXiv 1909.06586): contacts first, then the tasks in order, each solved in the null space of those before.
Steps and velocities by the smallest motion, accelerations by the motion of least kinetic energy, which is what the
dynamically consistent inverse gives. Both share the null spaces, which do not depend on the metric.

Null spaces are orthonormal bases from singular value decompositions and not products of projectors: they stay exact
however deep the hierarchy. Near a singularity only the step along the lost direction is damped; the direction itself
stays with its task, so damping never lets a lower task through to a higher one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import NonFiniteError
from robot_stack.sim.control.whole_body.dynamics import Dynamics
from robot_stack.sim.control.whole_body.tasks import Demand


@dataclass(frozen=True)
class Damping:
    """How inverses behave near singularities. Singular values are those of the task's rows scaled to length one."""

    below: float = 0.04
    """Directions with a smaller singular value are damped."""

    most: float = 0.04
    """Damping factor at the singularity itself."""

    rank: float = 1e-8
    """Directions with a smaller singular value do not exist for the task and stay free for lower ones."""

    contact_rank: float = 0.02
    """Likewise for the contacts. Several points on one body constrain it more than once; where the pose measured is not
    exactly that of the contacts, such a surplus constraint shows as a tiny singular value, and must not take a freedom
    away that the robot has."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What the hierarchy asks of the generalised coordinates, each of shape ``(size,)``."""

    step: np.ndarray
    """In the coordinates of the generalised velocity [m, rad]."""

    velocity: np.ndarray
    """Generalised velocity [m/s, rad/s]."""

    acceleration: np.ndarray
    """Generalised acceleration [m/s², rad/s²]."""

    contact_free: np.ndarray
    """Orthonormal columns that span the motions under which no contact moves, shape ``(size, free)``."""


def solve_hierarchy(
    dynamics: Dynamics, contacts: Demand, levels: Sequence[Demand], damping: Damping | None = None
) -> Motion:
    """Steps, velocities and accelerations that serve the levels in order.

    Args:
        dynamics: at the measured state.
        contacts: that the contact points do not move; before all levels, and never damped.
        levels: highest priority first.
        damping: near singularities.
    """
    damping = Damping() if damping is None else damping
    every = (contacts, *levels)
    wanted = [np.stack((d.step, d.velocity, d.acceleration), axis=1) for d in every]
    found, free = prioritized([d.jacobian for d in every], wanted, damping, dynamics.inertia)
    return Motion(found[:, 0], found[:, 1], found[:, 2], free)


def prioritized(
    jacobians: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    damping: Damping,
    inertia: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest ``x`` that serves ``jacobians[i] @ x = wanted[i]`` as far as the levels before ``i`` leave it free.

    Args:
        jacobians: highest priority first, each ``(rows, size)``.
        wanted: one or several right-hand sides at once, each ``(rows, columns)``.
        damping: near singularities; the first level is not damped.
        inertia: with it, the last column is served by the motion of least kinetic energy instead of the smallest.

    Returns:
        ``x``, shape ``(size, columns)``, and an orthonormal basis of what the first level leaves free.
    """
    size = jacobians[0].shape[1]
    found = np.zeros((size, wanted[0].shape[1]))
    basis: np.ndarray = np.eye(size)
    first = basis
    for level, (jacobian, right) in enumerate(zip(jacobians, wanted, strict=True)):
        if jacobian.shape[0] and basis.shape[1]:
            rest = right - jacobian @ found if level else right
            # rows of length one, so that what is nearly lost does not depend on the rows' units
            scale = 1.0 / np.maximum(np.sqrt(np.einsum("ij,ij->i", jacobian, jacobian)), 1e-9)[:, None]
            step, basis = _serve(scale * jacobian, basis, scale * rest, damping, damped=level > 0)
            if inertia is not None and basis.shape[1]:
                step[:, -1] += _lightest(step[:, -1], basis, inertia)
            found += step
        if level == 0:
            first = basis
    return found, first


def _serve(
    jacobian: np.ndarray, basis: np.ndarray, rest: np.ndarray, damping: Damping, *, damped: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest step within the basis towards ``rest``, and the basis of what is left."""
    seen = jacobian @ basis
    rows, columns = seen.shape
    try:
        left, values, right = np.linalg.svd(seen, full_matrices=rows < columns)
    except np.linalg.LinAlgError as error:
        raise NonFiniteError("a task's Jacobian has no singular values", got=str(error)) from error
    rank = int(np.count_nonzero(values > (damping.rank if damped else damping.contact_rank)))
    values = values[:rank]
    gains = values / (values**2 + _damping(values, damping)) if damped else 1.0 / values
    step = basis @ (right[:rank].T @ (gains[:, None] * (left[:, :rank].T @ rest)))
    return step, basis @ right[rank:].T


def _lightest(step: np.ndarray, basis: np.ndarray, inertia: np.ndarray) -> np.ndarray:
    """What to add to a step, within the basis, so that it has the least kinetic energy, shape ``(size,)``."""
    heavy = inertia @ basis
    try:
        return -basis @ np.linalg.solve(basis.T @ heavy, heavy.T @ step)
    except np.linalg.LinAlgError as error:
        raise NonFiniteError("the inertia matrix is not positive definite", got=np.diag(inertia).tolist()) from error


def _damping(values: np.ndarray, damping: Damping) -> np.ndarray:
    """Square of the damping factor of each direction: zero where it is not needed, so that exact tasks stay exact."""
    return damping.most**2 * np.maximum(1.0 - (values / damping.below) ** 2, 0.0)
