"""What a check found, and the list that checks write into."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robot_stack.core.errors import RobotStackError

Severity = Literal["error", "warning", "note"]

RESTORE = (
    "restore the file from a copy, or leave its episodes out: robot-stack data split DATASET OUT --episodes …; "
    "robot-stack data repair rebuilds what a recording of robot_stack lost"
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing."""

    severity: Severity
    """``"error"``: reading or training on it gives wrong results or fails; ``"note"``: nothing to do."""

    message: str
    """What is wrong, in one sentence."""

    file: str
    """Path within the dataset."""

    row: int | None = None
    """Row within the file, where there is one."""

    got: str = ""
    """What was found."""

    expected: str = ""
    """What would have been right."""

    remedy: str = ""
    """The way out."""

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file}, row {self.row}"
        got = f"; got {self.got}" if self.got else ""
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{self.severity}: {place}: {self.message}{got}{expected}"


class Findings:
    """Collects findings about one dataset.

    Args:
        root: its folder; paths are told relative to it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.items: list[Finding] = []

    def add(
        self,
        severity: Severity,
        message: str,
        file: Path | str,
        *,
        row: int | None = None,
        got: object = "",
        expected: object = "",
        remedy: str = "",
    ) -> None:
        """Note one finding."""
        self.items.append(
            Finding(severity, message, self._relative(str(file)), row, _short(got), _short(expected), remedy)
        )

    def add_error(self, error: RobotStackError) -> None:
        """Note an error that reading raised, with the file and row that it names."""
        where = error.where or str(self.root)
        found = re.search(r", (?:row|line|frame) (\d+)", where)
        file = where[: found.start()] if found else where.split(", column")[0]
        got = "" if error.got is None else error.got
        expected = "" if error.expected is None else error.expected
        row = int(found.group(1)) if found else None
        self.add("error", error.message, file, row=row, got=got, expected=expected, remedy=error.remedy or RESTORE)

    def has_errors(self) -> bool:
        """Whether anything found so far is an error."""
        return any(finding.severity == "error" for finding in self.items)

    def _relative(self, file: str) -> str:
        try:
            inside = Path(file).relative_to(self.root)
        except ValueError:
            return file
        return str(inside) if inside.parts else str(self.root)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 300 else text[:297] + "…"
