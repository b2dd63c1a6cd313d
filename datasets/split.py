"""Chooses episodes of a dataset and writes them as datasets of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.datasets.assemble import Piece, Progress, assemble, require_empty
from robot_stack.datasets.episode_notes import EpisodeNote
from robot_stack.datasets.source import Source


def write_chosen(
    source: Source, episodes: tuple[int, ...], out: str | Path, *, progress: Progress | None = None
) -> Path:
    """Write some episodes as a new dataset, in their order.

    Args:
        source: the dataset.
        episodes: ascending, each once.
        out: the new folder; must not exist, or be empty.
        progress: called with episodes done and episodes in all.

    Raises:
        ConfigError: if an episode does not exist.
    """
    return assemble([Piece(source, episodes)], out, progress=progress)


def write_shares(
    source: Source,
    episodes: tuple[int, ...],
    shares: Mapping[str, float],
    out: str | Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Deal episodes at random into new datasets; the same seed deals the same.

    Args:
        source: the dataset.
        episodes: which of its episodes to deal, ascending.
        shares: of the episodes for each name, e.g. ``{"train": 0.9, "valid": 0.1}``; at most 1 together.
        out: folder in which a folder for each name is made.
        seed: of the dealing.
        progress: called with episodes done and episodes in all, for each new dataset.

    Raises:
        ConfigError: if the shares are impossible, or a folder holds something already.
    """
    dealt = deal(len(episodes), shares, seed)
    for name in dealt:
        require_empty(Path(out) / name)
    return {
        name: assemble([Piece(source, tuple(episodes[i] for i in chosen))], Path(out) / name, progress=progress)
        for name, chosen in dealt.items()
    }


def deal(count: int, shares: Mapping[str, float], seed: int) -> dict[str, tuple[int, ...]]:
    """Deal ``count`` episodes at random; every name gets its share, rounded, and at least one.

    Raises:
        ConfigError: if a share is not in (0, 1], they add up to more than 1, or there are too few episodes.
    """
    bad = {name: share for name, share in shares.items() if not 0 < share <= 1}
    if bad or not shares or sum(shares.values()) > 1 + 1e-9:
        raise ConfigError(
            "shares must be positive and at most 1 together", got=dict(shares), expected="e.g. train=0.9 valid=0.1"
        )
    edges = np.round(np.cumsum(list(shares.values())) * count).astype(int)
    sizes = np.diff(np.concatenate([[0], edges]))
    if (sizes < 1).any():
        raise ConfigError("there are too few episodes to deal", got=count, expected=f"shares {dict(shares)}")
    order = np.random.default_rng(seed).permutation(count)
    parts = np.split(order, edges)
    return {name: tuple(sorted(part.tolist())) for name, part in zip(shares, parts, strict=False)}


def choose(
    notes: tuple[EpisodeNote, ...],
    *,
    episodes: tuple[int, ...] = (),
    without: tuple[int, ...] = (),
    task: str = "",
    outcome: str = "",
    driver: str = "",
    filter_key: str = "",
) -> tuple[int, ...]:
    """Episodes that fit every condition that is given, ascending.

    Args:
        notes: of every episode.
        episodes: these only; all when empty.
        without: all but these.
        task: with this instruction.
        outcome: ``"success"``, ``"failure"`` or ``"unknown"``.
        driver: driven by this one.
        filter_key: listed under this filter key where they were imported from.

    Raises:
        UnknownNameError: if no episode has the task, driver or filter key.
        ConfigError: if an episode does not exist, or none fits.
    """
    if outcome:
        require_name("outcome", outcome, ("success", "failure", "unknown"))
    if task:
        require_name("task", task, dict.fromkeys(t for note in notes for t in note.tasks))
    if driver:
        require_name("driver", driver, dict.fromkeys(note.driver for note in notes if note.driver))
    keys = [_filter_keys(note) for note in notes]
    if filter_key:
        require_name("filter key", filter_key, dict.fromkeys(key for listed in keys for key in listed))
    missing = [episode for episode in (*episodes, *without) if not 0 <= episode < len(notes)]
    if missing:
        raise ConfigError("there is no such episode", got=missing[0], expected=f"0 to {len(notes) - 1}")
    wanted_episodes, left_out = set(episodes), set(without)
    wanted = {"success": True, "failure": False, "unknown": None}
    chosen = tuple(
        note.index
        for note, listed in zip(notes, keys, strict=True)
        if (not episodes or note.index in wanted_episodes)
        and note.index not in left_out
        and (not task or task in note.tasks)
        and (not outcome or note.success is wanted[outcome])
        and (not driver or note.driver == driver)
        and (not filter_key or filter_key in listed)
    )
    if not chosen:
        raise ConfigError("no episode fits every condition", got=f"{len(notes)} episodes", remedy="relax one of them")
    return chosen


def _filter_keys(note: EpisodeNote) -> tuple[str, ...]:
    listed = note.provenance.get("filter_keys")
    return tuple(str(key) for key in listed) if isinstance(listed, list) else ()
