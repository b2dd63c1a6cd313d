"""What a robot is, to everything that learns from it or drives it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.config_json import fingerprint_of, from_plain, to_plain
from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, NonFiniteError, ShapeError, require_name
from robot_stack.core.fields import CameraSpec, Field, slices_of, stack_limits
from robot_stack.core.safety_limits import SafetyLimits


@dataclass(frozen=True)
class Embodiment:
    """Ordered state and action fields, cameras, rate and limits of one robot.

    It drives dataset features, network inputs, ROS 2 messages, the safety filter and the teleoperation page.
    A policy bundle carries the embodiment it was trained for; deployment refuses another one.
    """

    name: str
    """For example ``"metaworld/sawyer"`` or ``"unitree_g1"``."""

    state: tuple[Field, ...]
    """What the robot senses besides images, in order."""

    action: tuple[Field, ...]
    """What the robot is commanded, in order."""

    cameras: tuple[CameraSpec, ...]
    """The cameras, in order."""

    control_hz: float
    """Rate at which observations are taken and actions applied [Hz]."""

    limits: SafetyLimits = SafetyLimits()
    """What the safety filter enforces on the concatenated action."""

    model_sha256: str = ""
    """Hash of the model (MJCF, URDF) the numbers were derived from; empty when there is none."""

    def __post_init__(self) -> None:
        if not self.action:
            raise ConfigError(f"embodiment {self.name!r} has no action field")
        if not self.control_hz > 0:
            raise ConfigError(f"embodiment {self.name!r} needs a positive control rate", got=self.control_hz)
        for kind, items in (
            ("state field", self.state),
            ("action field", self.action),
            ("camera", self.cameras),
        ):
            names = [item.name for item in items]
            if len(set(names)) != len(names):
                raise ConfigError(f"embodiment {self.name!r} has two {kind}s of one name", got=names)
        self.limits.check_size(self.action_size)

    @property
    def state_size(self) -> int:
        """Length of the concatenated state vector."""
        return sum(f.size for f in self.state)

    @property
    def action_size(self) -> int:
        """Length of the concatenated action vector."""
        return sum(f.size for f in self.action)

    @property
    def state_names(self) -> tuple[str, ...]:
        """One name for each number of the state vector."""
        return tuple(n for f in self.state for n in f.element_names)

    @property
    def action_names(self) -> tuple[str, ...]:
        """One name for each number of the action vector."""
        return tuple(n for f in self.action for n in f.element_names)

    @property
    def state_slices(self) -> dict[str, slice]:
        """Where each state field lies in the state vector."""
        return slices_of(self.state)

    @property
    def action_slices(self) -> dict[str, slice]:
        """Where each action field lies in the action vector."""
        return slices_of(self.action)

    @property
    def action_limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper action limits, each of shape ``(action_size,)``."""
        return stack_limits(self.action)

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras, in order."""
        return tuple(c.name for c in self.cameras)

    def state_indices(self, names: tuple[str, ...]) -> np.ndarray:
        """Indices into the state vector of the named fields, in the order asked for.

        Raises:
            UnknownNameError: if a field does not exist.
        """
        slices = self.state_slices
        for name in names:
            require_name("state field", name, slices, where=f"embodiment {self.name!r}")
        parts = [np.arange(slices[n].start, slices[n].stop) for n in names]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def camera(self, name: str) -> CameraSpec:
        """The camera called ``name``.

        Raises:
            UnknownNameError: if there is none.
        """
        require_name("camera", name, self.camera_names, where=f"embodiment {self.name!r}")
        return next(c for c in self.cameras if c.name == name)

    def with_cameras(self, cameras: tuple[CameraSpec, ...]) -> Embodiment:
        """The same robot seen through other cameras."""
        return replace(self, cameras=cameras)

    def check_action(self, action: np.ndarray) -> np.ndarray:
        """Return ``action`` as float64 of shape ``(action_size,)``.

        Raises:
            ShapeError: if it has another shape.
            NonFiniteError: if it holds NaN or infinity; the message names the numbers.
        """
        array = np.asarray(action, dtype=np.float64)
        if array.shape != (self.action_size,):
            raise ShapeError(
                "an action has the wrong shape",
                where=f"embodiment {self.name!r}",
                got=array.shape,
                expected=f"({self.action_size},) = {', '.join(f'{f.name}[{f.size}]' for f in self.action)}",
            )
        finite = np.isfinite(array)
        if not finite.all():
            bad = [name for name, ok in zip(self.action_names, finite, strict=True) if not ok]
            raise NonFiniteError(
                "an action is not finite", where=f"embodiment {self.name!r}", got=", ".join(bad), expected="numbers"
            )
        return array

    def fingerprint(self) -> str:
        """SHA-256 of everything above, as 64 hexadecimal digits; ``20`` and ``20.0`` are the same rate."""
        return fingerprint_of(from_plain(Embodiment, to_plain(self)))

    def diff(self, other: Embodiment) -> list[str]:
        """How ``other`` differs, in sentences a person understands; empty means interchangeable.

        Args:
            other: the embodiment that was met, where ``self`` is the one that was expected.
        """
        out: list[str] = []
        if self.name != other.name:
            out.append(f"the robot is {other.name!r}, expected {self.name!r}")
        if self.control_hz != other.control_hz:
            out.append(f"the control rate is {other.control_hz:g} Hz, expected {self.control_hz:g} Hz")
        out += _diff_fields("state", self.state, other.state)
        out += _diff_fields("action", self.action, other.action)
        out += _diff_cameras(self.cameras, other.cameras)
        if self.limits != other.limits:
            out.append("the safety limits differ: " + "; ".join(self.limits.diff(other.limits)))
        if self.model_sha256 != other.model_sha256:
            out.append(
                f"the robot model differs: hash {other.model_sha256[:12] or '(none)'}, "
                f"expected {self.model_sha256[:12] or '(none)'}"
            )
        return out

    def require_match(
        self, other: Embodiment, *, what: str = "policy", use_cameras: tuple[str, ...] | None = None
    ) -> None:
        """Refuse an embodiment that is not the expected one.

        Args:
            other: the embodiment that was met.
            what: who makes the demand, for the message.
            use_cameras: compare these cameras only (a policy that needs no image does not care about cameras).

        Raises:
            EmbodimentMismatchError: with every difference.
        """
        mine, theirs = self, other
        if use_cameras is not None:
            mine = replace(self, cameras=tuple(c for c in self.cameras if c.name in use_cameras))
            theirs = replace(other, cameras=tuple(c for c in other.cameras if c.name in use_cameras))
        differences = mine.diff(theirs)
        if differences:
            raise EmbodimentMismatchError(f"the {what} is for another embodiment", differences)


def model_hash(*sources: bytes) -> str:
    """SHA-256 over model files, for :attr:`Embodiment.model_sha256`."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(len(source).to_bytes(8, "little"))
        digest.update(source)
    return digest.hexdigest()


def _diff_fields(kind: str, mine: tuple[Field, ...], theirs: tuple[Field, ...]) -> list[str]:
    out: list[str] = []
    my_names, their_names = [f.name for f in mine], [f.name for f in theirs]
    out += [f"the {kind} field {n!r} is missing" for n in my_names if n not in their_names]
    out += [f"the {kind} field {n!r} was not expected" for n in their_names if n not in my_names]
    if not out and my_names != their_names:
        out.append(f"the {kind} fields come in another order: {their_names}, expected {my_names}")
    by_name = {f.name: f for f in theirs}
    for field in mine:
        other = by_name.get(field.name)
        if other is None or other == field:
            continue
        if field.size != other.size:
            out.append(f"the {kind} field {field.name!r} has {other.size} numbers, expected {field.size}")
            continue
        if field.unit != other.unit:
            out.append(f"the {kind} field {field.name!r} is in {other.unit!r}, expected {field.unit!r}")
        if field.element_names != other.element_names:
            out.append(
                f"the {kind} field {field.name!r} lists {list(other.element_names)}, "
                f"expected {list(field.element_names)}"
            )
        if not (
            np.array_equal(field.low_array, other.low_array) and np.array_equal(field.high_array, other.high_array)
        ):
            out.append(
                f"the {kind} field {field.name!r} is limited to "
                f"{other.low_array.tolist()}..{other.high_array.tolist()}, "
                f"expected {field.low_array.tolist()}..{field.high_array.tolist()}"
            )
    return out


def _diff_cameras(mine: tuple[CameraSpec, ...], theirs: tuple[CameraSpec, ...]) -> list[str]:
    by_name = {c.name: c for c in theirs}
    my_names = [c.name for c in mine]
    out = [f"the camera {n!r} is missing" for n in my_names if n not in by_name]
    out += [f"the camera {n!r} was not expected" for n in by_name if n not in my_names]
    for camera in mine:
        other = by_name.get(camera.name)
        if other is not None and other != camera:
            out.append(
                f"the camera {camera.name!r} is {other.width}x{other.height} on {other.frame or 'world'!r}, "
                f"expected {camera.width}x{camera.height} on {camera.frame or 'world'!r}"
            )
    return out
