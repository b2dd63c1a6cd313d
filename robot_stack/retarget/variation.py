"""How a scene may differ from the source's: pose, size and shape of objects, height and tilt of terrain."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.core.seeding import generator
from robot_stack.retarget.scene import Scene

Range = tuple[float, float]
"""Smallest and largest value."""


@dataclass(frozen=True)
class ObjectChange:
    """What is different of one object; lengths at the robot's size."""

    shift_m: tuple[float, float] = (0.0, 0.0)
    """On the ground, along x and y of the world; of what moves, where it starts [m]."""

    turn_rad: float = 0.0
    """About the vertical through its middle; of what moves, how it starts [rad]."""

    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors along the axes of its frame. What stands, and what rests on the ground when the motion begins, grows
    upwards; so the last factor of a terrain is its height."""

    tilt: tuple[float, float] = (0.0, 0.0)
    """Slope of the tops along x and y, of what does not move [1]."""

    def __post_init__(self) -> None:
        numbers = (*self.shift_m, self.turn_rad, *self.stretch, *self.tilt)
        if not np.isfinite(numbers).all() or min(self.stretch) <= 0:
            raise ConfigError("a change of an object needs finite numbers and positive factors", got=self)

    @property
    def nothing(self) -> bool:
        """Whether it changes nothing."""
        return self == ObjectChange()

    def text(self) -> str:
        """In words."""
        words = []
        if any(self.shift_m):
            words.append(f"shifted by {self.shift_m[0]:+.3f} {self.shift_m[1]:+.3f} m")
        if self.turn_rad:
            words.append(f"turned by {np.degrees(self.turn_rad):+.1f}°")
        if self.stretch != (1.0, 1.0, 1.0):
            words.append("stretched by " + " ".join(f"{f:.3f}" for f in self.stretch))
        if any(self.tilt):
            words.append(f"tilted by {100 * self.tilt[0]:+.1f} {100 * self.tilt[1]:+.1f} %")
        return ", ".join(words) or "unchanged"


@dataclass(frozen=True)
class Variation:
    """Changes by object; those that are not named stay as they are."""

    changes: dict[str, ObjectChange] = field(default_factory=dict)
    """By the object's name."""

    def of(self, name: str) -> ObjectChange:
        """The change of one object."""
        return self.changes.get(name, ObjectChange())

    def check(self, scene: Scene) -> None:
        """Refuse changes of what is not there, and tilts of what moves.

        Raises:
            UnknownNameError: if the scene has no object of a name.
            ConfigError: if something that moves is tilted.
        """
        things = {thing.name: thing for thing in scene.objects}
        for name, change in self.changes.items():
            require_name("object of the scene", name, things)
            if things[name].moving and any(change.tilt):
                raise ConfigError("only what does not move can be tilted", where=name, got=change.tilt)

    def text(self) -> str:
        """In words."""
        return "; ".join(f"{n} {c.text()}" for n, c in self.changes.items() if not c.nothing) or "nothing changed"


@dataclass(frozen=True)
class VariationRanges:
    """From what changes are drawn, evenly. Those of objects that move are OmniRetarget's: 0.2 m, a tenth in size."""

    shift_m: Range = (0.0, 0.2)
    """How far what moves is shifted, in any direction [m]."""

    turn_rad: Range = (-0.3, 0.3)
    """How far it is turned [rad]."""

    size: Range = (0.9, 1.1)
    """One factor for all three axes of what moves."""

    shape: Range = (0.95, 1.05)
    """Another one for each axis."""

    height: Range = (0.8, 1.2)
    """Factor on the height of what stands; one for all, so that steps keep their order."""

    tilt: Range = (-0.05, 0.05)
    """Slope of its tops [1]."""

    def __post_init__(self) -> None:
        for name, (low, high) in vars(self).items():
            if not low <= high or (name in ("size", "shape", "height") and low <= 0):
                raise ConfigError("a range goes from a smaller to a larger value, factors from above 0", where=name)

    def sample(self, scene: Scene, seed: int, number: int = 0) -> Variation:
        """One variation; the same for the same seed and number.

        Args:
            scene: whose objects are changed.
            seed: of the series.
            number: in the series.
        """
        rng = generator(seed, number)
        height = float(rng.uniform(*self.height))
        changes = {}
        for thing in scene.objects:
            heading, far = rng.uniform(0.0, 2 * np.pi), rng.uniform(*self.shift_m)
            turn, size = float(rng.uniform(*self.turn_rad)), rng.uniform(*self.size)
            x, y, z = (float(f) for f in size * rng.uniform(*self.shape, 3))
            a, b = (float(t) for t in rng.uniform(*self.tilt, 2))
            if thing.moving:
                shift = float(far * np.cos(heading)), float(far * np.sin(heading))
                changes[thing.name] = ObjectChange(shift, turn, (x, y, z))
            else:
                changes[thing.name] = ObjectChange(stretch=(1.0, 1.0, height), tilt=(a, b))
        return Variation(changes)
