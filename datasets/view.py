"""A page to look at a dataset with: one HTML file that needs nothing else, however large the dataset is."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

import numpy as np

from robot_stack.core.atomic import write_text
from robot_stack.core.errors import ConfigError
from robot_stack.datasets.checks.embodiment import read_embodiment
from robot_stack.datasets.episode_notes import EpisodeNote, read_notes
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.summary import Summary, summarize
from robot_stack.datasets.view_page.cards import card, groups_of
from robot_stack.datasets.view_page.overview import facts_panel, heading, lengths_strip, tasks_panel

_PARTS = Path(__file__).resolve().parent / "view_page"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:"


def write_page(
    root: str | Path,
    out: str | Path,
    *,
    episodes: tuple[int, ...] = (),
    most: int = 24,
    films: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the page of a dataset.

    Args:
        root: folder of the dataset.
        out: the HTML file; replaced when it is there.
        episodes: show these; empty shows up to ``most``, evenly spread over the dataset.
        most: how many episodes to show when none are named.
        films: so many of them get films of their cameras; the others get contact sheets only.
        progress: called with episodes done and episodes in all.

    Returns:
        ``out`` as an absolute path.

    Raises:
        DatasetError: if the dataset's metadata or data files are damaged (a damaged video is told in its card).
        ConfigError: if an episode does not exist.
    """
    with Dataset(root) as dataset:
        notes = read_notes(dataset.episodes)
        chosen = _choose(len(notes), episodes, most)
        groups = groups_of(dataset, read_embodiment(dataset.root))
        cards = []
        for done, index in enumerate(chosen):
            cards.append(card(dataset, notes[index], groups, with_film=done < films))
            if progress:
                progress(done + 1, len(chosen))
        page = _page(summarize(root), notes, chosen, cards)
    write_text(out, page)
    return Path(out).resolve()


def _choose(count: int, wanted: tuple[int, ...], most: int) -> list[int]:
    for index in wanted:
        if not 0 <= index < count:
            raise ConfigError("there is no such episode to show", got=index, expected=f"0 to {count - 1}")
    if wanted:
        return list(dict.fromkeys(wanted))
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist() if count else []


def _page(summary: Summary, notes: tuple[EpisodeNote, ...], chosen: list[int], cards: list[str]) -> str:
    style, script = ((_PARTS / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = escape(Path(summary.root).resolve().name)
    body = (
        heading(summary)
        + lengths_strip(notes, set(chosen), summary.fps)
        + f'<div class="panels">{tasks_panel(summary.tasks)}{facts_panel(summary)}</div>'
        + _filters([notes[i] for i in chosen], len(notes))
        + f'<main>{"".join(cards)}</main><p class="none" hidden>No shown episode fits the filter.</p>'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{style}</style></head><body>{body}<script>{script}</script></body></html>\n"
    )


def _filters(shown: list[EpisodeNote], total: int) -> str:
    tasks = sorted({note.instruction for note in shown})
    drivers = sorted({note.driver for note in shown if note.driver})
    named = (("success", True), ("failure", False), ("unknown", None))
    outcomes = [outcome for outcome, value in named if any(note.success is value for note in shown)]
    count = f"all {total} episodes" if len(shown) == total else f"{len(shown)} of {total} episodes"
    return (
        f'<form class="filters" onsubmit="return false"><input type="search" name="text" placeholder="search" '
        f'aria-label="search">{_select("task", "every task", tasks)}{_select("outcome", "every outcome", outcomes)}'
        f'{_select("driver", "every driver", drivers)}<select name="sort" aria-label="order">'
        '<option value="index">in order</option><option value="long">longest first</option>'
        '<option value="short">shortest first</option></select>'
        f'<span class="count" data-all="{escape(count, quote=True)}">{count}</span></form>'
    )


def _select(name: str, everything: str, values: list[str]) -> str:
    if len(values) < 2:
        return ""
    options = "".join(f'<option value="{escape(v, quote=True)}">{escape(v)}</option>' for v in values)
    return f'<select name="{name}" aria-label="{name}"><option value="">{everything}</option>{options}</select>'
