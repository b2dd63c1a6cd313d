"""One card for each shown episode: outcome, pictures, plots, provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import RobotStackError
from robot_stack.datasets.episode_notes import EpisodeNote
from robot_stack.datasets.reader import Dataset, EpisodeView
from robot_stack.datasets.view_page.films import contact_sheet, film, sheet_rows
from robot_stack.datasets.view_page.plots import line_plot

_SHOWN = ("action", "next.reward", "observation.state")
_OPEN_PLOTS = 6
_FILM_FRAMES = 900


@dataclass(frozen=True)
class Group:
    """Numbers that are drawn in one plot."""

    title: str
    """Above the plot."""

    feature: str
    """Column they are in."""

    columns: slice
    """Which of its numbers."""

    names: tuple[str, ...]
    """One for each."""

    unit: str
    """SI unit."""


def groups_of(dataset: Dataset, embodiment: Embodiment | None) -> list[Group]:
    """What is drawn: the fields of the embodiment, or whole features where there is none."""
    groups = []
    for name in _SHOWN:
        feature = dataset.features.get(name)
        if feature is None or not feature.is_numeric or len(feature.shape) > 1:
            continue
        fields = (
            ()
            if embodiment is None
            else {"observation.state": embodiment.state, "action": embodiment.action}.get(name, ())
        )
        size = int(np.prod(feature.shape))
        if fields and sum(field.size for field in fields) == size:
            start = 0
            for field in fields:
                part = slice(start, start + field.size)
                title = f"{'state' if name != 'action' else 'action'} · {field.name}"
                groups.append(Group(title, name, part, field.element_names, field.unit))
                start += field.size
        else:
            listed = feature.names if isinstance(feature.names, list) and len(feature.names) == size else range(size)
            groups.append(Group(name, name, slice(0, size), tuple(str(n) for n in listed), ""))
    return groups


def card(dataset: Dataset, note: EpisodeNote, groups: list[Group], *, with_film: bool) -> str:
    """One episode as an HTML article.

    Args:
        dataset: it is read from here.
        note: what was noted about it.
        groups: what to draw.
        with_film: embed a film of each camera besides its contact sheet.
    """
    view = dataset.episode(note.index)
    seconds = note.length / dataset.fps
    outcome = {True: "success", False: "failure", None: "unknown"}[note.success]
    facts = [f"{note.length} frames", f"{seconds:.1f} s"]
    facts += [note.driver] if note.driver else []
    facts += [f"seed {note.seed}"] if note.seed is not None else []
    facts += ["recovered"] if note.recovered else []
    pictures = "".join(_camera(view, name, with_film=with_film) for name in dataset.camera_names)
    plots = [_plot(view, group, seconds) for group in groups]
    attributes = {
        "outcome": outcome,
        "driver": note.driver,
        "task": note.instruction,
        "length": str(note.length),
        "index": str(note.index),
    }
    data = " ".join(f'data-{key}="{escape(value, quote=True)}"' for key, value in attributes.items())
    return (
        f'<article class="card" id="episode-{note.index}" {data}><header><h3>Episode {note.index}</h3>'
        f'<span class="badge {outcome}">{outcome}</span>'
        f"<p>{escape(note.instruction) or '<em>no instruction</em>'}</p>"
        f'<ul class="facts">{"".join(f"<li>{escape(fact)}</li>" for fact in facts)}</ul></header>'
        f'<div class="cameras">{pictures}</div>{_plots(plots)}{_provenance(note)}</article>'
    )


def _plots(plots: list[str]) -> str:
    """The first few open, the others behind a line to click."""
    shown = len(plots) if len(plots) <= _OPEN_PLOTS + 1 else _OPEN_PLOTS
    rest = "".join(plots[shown:])
    more = f"<details><summary>{len(plots) - shown} more plots</summary>" if rest else ""
    closed = f'{more}<div class="plots">{rest}</div></details>' if rest else ""
    return f'<div class="plots">{"".join(plots[:shown])}</div>{closed}'


def _camera(view: EpisodeView, name: str, *, with_film: bool) -> str:
    title = escape(name.removeprefix("observation.images."))
    try:
        wanted = with_film and view.length <= _FILM_FRAMES
        frames = view.frames(name) if wanted else view.dataset.frames(name, view.rows[sheet_rows(view.length)])
        sheet = contact_sheet(frames[sheet_rows(view.length)] if wanted else frames)
        moving = (
            f'<video controls muted loop playsinline src="{film(frames, view.dataset.fps)}"></video>' if wanted else ""
        )
    except RobotStackError as error:
        return f'<div class="camera broken"><b>{title}</b> {escape(error.message)}: {escape(error.where or "")}</div>'
    picture = f'<img loading="lazy" alt="{title}, from first to last frame" src="{sheet}">'
    kind = "camera moving" if moving else "camera"
    return f'<div class="{kind}"><b>{title}</b>{moving}{picture}</div>'


def _plot(view: EpisodeView, group: Group, seconds: float) -> str:
    values = np.asarray(view.column(group.feature), dtype=np.float64).reshape(view.length, -1)[:, group.columns]
    return line_plot(group.title, group.unit, group.names, values, seconds)


def _provenance(note: EpisodeNote) -> str:
    if not note.provenance:
        return ""
    rows = "".join(
        f"<tr><th>{escape(str(key))}</th><td>{escape(_plain(value))}</td></tr>"
        for key, value in note.provenance.items()
    )
    return f"<details><summary>Provenance</summary><table>{rows}</table></details>"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
