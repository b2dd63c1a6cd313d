"""The top of the page: what the dataset is, how long its episodes are, its tasks and features."""

from __future__ import annotations

from html import escape
from pathlib import Path

from robot_stack.datasets.episode_notes import EpisodeNote
from robot_stack.datasets.summary import Summary, TaskCount

_MOST_BARS = 240
_OUTCOMES = {True: "success", False: "failure", None: "unknown"}


def heading(summary: Summary) -> str:
    """Name and key numbers."""
    numbers = [
        ("episodes", f"{summary.episodes:,}"),
        ("frames", f"{summary.frames:,}"),
        ("rate", f"{summary.fps:g} Hz"),
        ("length", duration(summary.hours)),
        ("succeeded", share(summary.succeeded, summary.judged)),
        ("on disk", size(sum(summary.bytes.values()))),
    ]
    if summary.recovered:
        numbers.append(("recovered", str(summary.recovered)))
    tiles = "".join(f"<li><b>{escape(value)}</b><span>{escape(label)}</span></li>" for label, value in numbers)
    name = escape(Path(summary.root).resolve().name)
    robot = escape(summary.embodiment) or "robot unknown"
    return f'<header class="top"><p class="robot">{robot}</p><h1>{name}</h1><ul class="numbers">{tiles}</ul></header>'


def lengths_strip(notes: tuple[EpisodeNote, ...], shown: set[int], fps: float) -> str:
    """One bar for each episode, or for a few episodes in a row: as high as they are long, coloured by outcome."""
    if not notes:
        return ""
    step = -(-len(notes) // _MOST_BARS)
    longest = max(note.length for note in notes)
    bars = []
    for start in range(0, len(notes), step):
        group = notes[start : start + step]
        height = 100 * sum(note.length for note in group) / len(group) / longest
        target = next((note.index for note in group if note.index in shown), None)
        link = f' href="#episode-{target}"' if target is not None else ""
        parts = "".join(_part(group, outcome) for outcome in (None, False, True))
        bars.append(f'<a{link} style="height:{height:.1f}%" title="{_describe(group, fps)}">{parts}</a>')
    each = "a bar for each episode" if step == 1 else f"a bar for every {step} episodes"
    return (
        f'<section class="panel wide"><h2>Episodes <small>{each}, as high as long; the longest has {longest} frames '
        f'({longest / fps:.1f} s)</small></h2><div class="strip">{"".join(bars)}</div></section>'
    )


def _part(group: tuple[EpisodeNote, ...], outcome: bool | None) -> str:
    count = sum(note.success is outcome for note in group)
    return f'<i class="{_OUTCOMES[outcome]}" style="flex:{count}"></i>' if count else ""


def _describe(group: tuple[EpisodeNote, ...], fps: float) -> str:
    first, last = group[0], group[-1]
    if first is last:
        words = f"episode {first.index}: {first.length / fps:.1f} s, {_OUTCOMES[first.success]}, {first.instruction}"
    else:
        good = sum(note.success is True for note in group)
        words = f"episodes {first.index} to {last.index}: {good} of {len(group)} succeeded"
    return escape(words, quote=True)


def tasks_panel(tasks: tuple[TaskCount, ...]) -> str:
    """The tasks, how often they occur and succeed."""
    most = max((task.episodes for task in tasks), default=1)
    rows = "".join(
        f'<tr><td>{escape(task.instruction)}</td><td class="meter">'
        f'<i style="width:{100 * task.episodes / most:.1f}%"></i><span>{task.episodes}</span></td>'
        f"<td>{share(task.succeeded, task.judged)}</td></tr>"
        for task in tasks[:100]
    )
    more = f"<p>and {len(tasks) - 100} more tasks</p>" if len(tasks) > 100 else ""
    return (
        '<section class="panel"><h2>Tasks</h2><table><thead><tr><th>instruction</th><th>episodes</th><th>succeeded</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>{more}</section>"
    )


def facts_panel(summary: Summary) -> str:
    """Features, drivers, sizes and the measured rate."""
    features = "".join(
        f"<tr><td><code>{escape(f.name)}</code></td><td>{escape(f.dtype)}</td>"
        f"<td>{' × '.join(map(str, f.shape))}</td></tr>"
        for f in summary.features
    )
    lines = [("driven by", ", ".join(f"{name} ({count})" for name, count in summary.drivers.items()))]
    lines.append(("on disk", ", ".join(f"{name} {size(n)}" for name, n in summary.bytes.items() if n)))
    if summary.rate:
        worst = f"longest gap {summary.rate.worst_gap_s * 1e3:.0f} ms"
        lines.append(
            ("measured rate", f"{summary.rate.measured_hz:.2f} Hz, {summary.rate.ratio:.1%} of nominal; {worst}")
        )
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines)
    return (
        f'<section class="panel"><h2>Recording</h2><dl>{facts}</dl><details><summary>{len(summary.features)} features'
        f"</summary><table>{features}</table></details></section>"
    )


def duration(hours: float) -> str:
    """A time in a unit that fits."""
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours >= 1 / 60 else f"{hours * 3600:.0f} s"


def share(part: int, whole: int) -> str:
    """``"45 of 50 (90%)"``, or a dash when there is nothing to share."""
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "–"


def size(count: float) -> str:
    """Bytes in a unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
