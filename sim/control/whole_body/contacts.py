"""Points at which the robot pushes against the world, and what forces they can bear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.sim.control.whole_body.dynamics import Dynamics, Frame
from robot_stack.sim.control.whole_body.tasks import Demand

_FLOOR = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Contact:
    """One point of contact that does not move. A flat foot is several of them."""

    frame: Frame
    """A site at the point, or at the centre of the ball that touches there."""

    radius: float = 0.0
    """Of the ball around the frame's origin that rolls on the floor [m]; 0: the frame's origin itself touches."""

    friction: float = 0.6
    """Coefficient of friction."""

    min_force: float = 0.0
    """Least normal force [N]; at least 0, contacts only push."""

    max_force: float = 400.0
    """Largest normal force [N]; lower it smoothly before a foot is lifted."""

    axes: tuple[tuple[float, float, float], ...] = _FLOOR
    """World axes of the contact, as rows: two tangents, and last the normal that points at the robot."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_force <= self.max_force or not self.friction > 0.0:
            raise ConfigError(
                "a contact cannot be held",
                where=self.frame.name,
                got=f"friction {self.friction:g}, normal force {self.min_force:g} to {self.max_force:g} N",
                expected="friction > 0 and 0 <= min_force <= max_force",
            )

    @cached_property
    def is_level(self) -> bool:
        """The contact's axes are the world's."""
        return self.axes == _FLOOR

    @cached_property
    def across(self) -> np.ndarray:
        """Matrix of the cross product with the normal, ``normal x``, shape ``(3, 3)``."""
        x, y, z = self.axes[2]
        return np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))

    @cached_property
    def rotation(self) -> np.ndarray:
        """From world axes to the contact's, shape ``(3, 3)``."""
        return np.array(self.axes)


def contact_jacobian(dynamics: Dynamics, contacts: Sequence[Contact]) -> np.ndarray:
    """From generalised velocity to the points' velocities, each in its contact's axes, ``(3 contacts, size)``."""
    if not contacts:
        return np.zeros((0, dynamics.size))
    return np.concatenate([_at_point(contact, dynamics.jacobian(contact.frame)) for contact in contacts])


def contact_demand(dynamics: Dynamics, contacts: Sequence[Contact]) -> Demand:
    """That no point moves: no step, no velocity, no acceleration."""
    jacobian = contact_jacobian(dynamics, contacts)
    rates = [_at_point(contact, dynamics.jacobian_rate(contact.frame)) for contact in contacts]
    rate = np.concatenate(rates) if rates else np.zeros(0)
    still = np.zeros(len(rate))
    return Demand(jacobian, still, still, -rate)


@lru_cache(maxsize=64)
def friction_rows(friction: tuple[float, ...], facets: int) -> np.ndarray:
    """Rows ``G`` with ``G @ forces <= 0`` exactly for forces inside pyramids that lie within the friction cones.

    Args:
        friction: coefficient of each contact.
        facets: sides of each pyramid. The corners touch the cone, so with 4 sides the middle of a side bears
            ``cos(45°)`` of what the cone bears, with 8 sides ``cos(22.5°)``.

    Returns:
        Shape ``(facets * contacts, 3 * contacts)``, forces in each contact's axes, normal last.
    """
    angles = [math.pi * (2 * side + 1) / facets for side in range(facets)]
    rows = np.zeros((facets * len(friction), 3 * len(friction)))
    for number, coefficient in enumerate(friction):
        block = rows[facets * number : facets * (number + 1), 3 * number : 3 * number + 3]
        block[:, 0] = np.cos(angles)
        block[:, 1] = np.sin(angles)
        block[:, 2] = -coefficient * math.cos(math.pi / facets)
    rows.setflags(write=False)
    return rows


def _at_point(contact: Contact, rows: np.ndarray) -> np.ndarray:
    """From linear and angular rows at the frame, world axes, to those of the point that touches, contact's axes.

    A ball rolls without slipping: ``v - w x (radius normal) = 0``, and the same holds for the derivatives.
    """
    linear = rows[:3]
    if contact.radius:
        linear = linear + contact.radius * (contact.across @ rows[3:])
    return linear if contact.is_level else contact.rotation @ linear
