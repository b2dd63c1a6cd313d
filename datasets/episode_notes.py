"""What was noted about each episode: its tasks, who drove, with which seed, and whether it succeeded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.episodes import EpisodeTable

_SUCCESS_STAT = "stats/next.success/max"


@dataclass(frozen=True)
class EpisodeNote:
    """One episode in words."""

    index: int
    """Its number."""

    length: int
    """Frames."""

    tasks: tuple[str, ...]
    """Instructions that occur in it."""

    success: bool | None
    """Whether it reached its goal; ``None`` when nobody noted it."""

    driver: str
    """Who decided, for example ``"expert"``; empty when not noted."""

    seed: int | None
    """Seed of the reset; ``None`` when not noted."""

    recovered: bool
    """It was brought back after a recording broke off."""

    provenance: dict[str, Any]
    """Everything the recorder noted, as it noted it."""

    @property
    def instruction(self) -> str:
        """The tasks in one line."""
        return "; ".join(self.tasks)


def read_notes(table: EpisodeTable) -> tuple[EpisodeNote, ...]:
    """The notes of every committed episode.

    Raises:
        DatasetError: if an episode's provenance is not a JSON object.
    """
    count = len(table)
    tasks = table.column("tasks") if "tasks" in table.column_names else [[]] * count
    texts = table.column("provenance") if "provenance" in table.column_names else [None] * count
    reached = table.column(_SUCCESS_STAT) if _SUCCESS_STAT in table.column_names else [None] * count
    return tuple(
        _note(i, int(table.length[i]), tasks[i] or [], _parse(texts[i], i, table.root), reached[i])
        for i in range(count)
    )


def _note(index: int, length: int, tasks: list[str], provenance: dict[str, Any], reached: object) -> EpisodeNote:
    if "success" in provenance or reached is None:
        success = provenance.get("success") if isinstance(provenance.get("success"), bool) else None
    else:
        success = _first(reached) > 0.5
    seed = provenance.get("seed")
    return EpisodeNote(
        index=index,
        length=length,
        tasks=tuple(str(task) for task in tasks),
        success=success,
        driver=str(provenance.get("driver") or ""),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        recovered=bool(provenance.get("recovered")),
        provenance=provenance,
    )


def _parse(text: str | None, episode: int, root: Path) -> dict[str, Any]:
    if not text:
        return {}
    try:
        noted = json.loads(text)
    except json.JSONDecodeError as error:
        noted = error
    if not isinstance(noted, dict):
        raise DatasetError(
            "an episode's provenance is not a JSON object",
            where=f"{root / 'meta' / 'episodes'}, episode {episode}",
            got=noted if isinstance(noted, Exception) else type(noted).__name__,
            remedy="run `robot-stack data validate` for a full list",
        )
    return noted


def _first(value: Any) -> float:
    while isinstance(value, (list, tuple)):
        value = value[0] if value else 0.0
    return float(value)
