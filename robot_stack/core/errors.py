"""The errors of robot_stack: each says what went wrong, where, what was found, what was expected, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class RobotStackError(Exception):
    """Root of every error raised on purpose by robot_stack.

    Args:
        message: one sentence that says what is wrong.
        where: file, field, row or process the message speaks of.
        got: what was found.
        expected: what would have been right.
        remedy: what the reader can do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | Path | None = None,
        got: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message
        self.where = None if where is None else str(where)
        self.got = got
        self.expected = expected
        self.remedy = remedy
        super().__init__(self._compose())

    def _compose(self) -> str:
        lines = [self.message]
        for label, value in (
            ("where", self.where),
            ("got", self.got),
            ("expected", self.expected),
            ("what to do", self.remedy),
        ):
            if value is not None:
                lines.append(f"  {label}: {value}")
        return "\n".join(lines)


def one_line(error: BaseException) -> str:
    """An error for a status line: all that it says, without line breaks."""
    parts = [part.strip().removeprefix("- ") for part in str(error).splitlines()]
    return "; ".join(part for part in parts if part).replace(":; ", ": ") or type(error).__name__


class UnknownNameError(RobotStackError):
    """A name that is not among the valid ones; the nearest valid names are listed first.

    Args:
        kind: the noun, for example ``"task"`` or ``"state field"``.
        name: what was asked for.
        valid: every valid name.
        where: where the name was read from.
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str], *, where: str | Path | None = None) -> None:
        self.kind = kind
        self.name = name
        self.valid = tuple(valid)
        nearest = nearest_names(name, self.valid)
        shown = ", ".join(self.valid[:20]) + (f", … ({len(self.valid)} in all)" if len(self.valid) > 20 else "")
        super().__init__(
            f"unknown {kind} {name!r}",
            where=where,
            expected=f"one of: {shown or '(none)'}",
            remedy=f"did you mean {' or '.join(repr(n) for n in nearest)}?" if nearest else None,
        )


class ShapeError(RobotStackError):
    """An array has another shape or type than its contract says."""


class NonFiniteError(RobotStackError):
    """NaN or infinity where only finite numbers have a meaning."""


class ConfigError(RobotStackError):
    """A configuration value is missing, of the wrong type or out of range."""


class EmbodimentMismatchError(RobotStackError):
    """A policy or dataset was made for another embodiment than the one it meets."""

    def __init__(self, message: str, differences: Iterable[str], *, where: str | Path | None = None) -> None:
        self.differences = tuple(differences)
        listed = "".join(f"\n    - {difference}" for difference in self.differences)
        super().__init__(
            message,
            where=where,
            got=f"{len(self.differences)} difference(s):{listed}",
            remedy="use a robot with the embodiment the policy was trained for, or train on data of this one",
        )


class DatasetError(RobotStackError):
    """A dataset file is missing, damaged, foreign or inconsistent."""


class BundleError(RobotStackError):
    """A policy bundle is missing, damaged, or does not reproduce its golden action."""


class CheckpointError(RobotStackError):
    """A training checkpoint is missing, cut short, or belongs to another run."""


class LockedError(RobotStackError):
    """Another live process holds the dataset or run folder."""


class StorageError(RobotStackError):
    """The file system refused: disk full, read-only, or without permission."""


class RenderError(RobotStackError):
    """No rendering backend works here."""


class VideoError(RobotStackError):
    """A video could not be encoded or decoded."""


class MissingExtraError(RobotStackError):
    """A feature needs an optional dependency that is not installed.

    Args:
        feature: what the reader wanted to do.
        extra: the extra of robot_stack that brings it.
        package: the import that failed.
    """

    def __init__(self, feature: str, *, extra: str, package: str) -> None:
        self.extra = extra
        self.package = package
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed",
            remedy=f"pip install 'robot_stack[{extra}]'",
        )


class NonFiniteLossError(RobotStackError):
    """Training met a loss or gradient that is not finite; the last good state was kept."""


class EpisodeAborted(RobotStackError):
    """An episode ended before its time because the robot, the driver or the operator stopped it."""


def nearest_names(name: str, valid: Iterable[str], count: int = 3) -> list[str]:
    """Valid names that look like ``name``, best first.

    Args:
        name: what was asked for.
        valid: every valid name.
        count: at most so many.
    """
    pool = list(valid)
    lowered = {candidate.lower(): candidate for candidate in pool}
    close = difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)
    contained = [low for low in lowered if name and (name.lower() in low or low in name.lower())]
    return [lowered[low] for low in dict.fromkeys([*close, *contained])][:count]


def require_name(kind: str, name: str, valid: Iterable[str], *, where: str | Path | None = None) -> str:
    """Return ``name`` if it is valid.

    Raises:
        UnknownNameError: if it is not.
    """
    names = tuple(valid)
    if name not in names:
        raise UnknownNameError(kind, name, names, where=where)
    return name
