"""An HTML report in one file: success rates, comparisons, learning curves and rollout videos, nothing fetched."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from robot_stack.core.atomic import write_text
from robot_stack.evaluation.figures import Curve, Rate, curve_figure, rate_figure, to_svg


@dataclass(frozen=True)
class Clip:
    """A video in the report."""

    path: Path
    """An MP4 file a browser plays; it is copied into the page."""

    caption: str
    """What it shows."""


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column is text, the others are figures."""

    headings: tuple[str, ...]
    """One for each column."""

    rows: tuple[tuple[str, ...], ...]
    """Each as long as the headings."""


@dataclass(frozen=True)
class Section:
    """One task."""

    title: str
    """The task's name."""

    instruction: str
    """The task in words."""

    rates: tuple[Rate, ...]
    """Success of every driver."""

    comparisons: tuple[str, ...] = ()
    """Sentences on which driver is better, and how sure that is."""

    table: Table | None = None
    """More figures."""

    curves: tuple[Curve, ...] = ()
    """Learning curves."""

    clips: tuple[Clip, ...] = ()
    """Rollouts."""

    notes: tuple[str, ...] = ()
    """What the reader must know, e.g. why videos are missing."""


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    title: str
    """Headline."""

    summary: str
    """One or two sentences under it."""

    sections: tuple[Section, ...]
    """One for each task."""

    facts: tuple[tuple[str, str], ...] = ()
    """How it was made: label and value."""


def write_report(report: Report, path: str | Path) -> Path:
    """Write the report as one self-contained HTML file, atomically.

    Args:
        report: what to show.
        path: the file.

    Returns:
        The path written.
    """
    page = Template((resources.files("robot_stack.evaluation") / "assets" / "report.html").read_text())
    text = page.substitute(
        title=html.escape(report.title),
        summary=html.escape(report.summary),
        sections="\n".join(_section(section) for section in report.sections),
        facts=_facts(report.facts),
    )
    write_text(path, text)
    return Path(path)


def _section(section: Section) -> str:
    parts = [
        f"<section><h2>{html.escape(section.title)}</h2>",
        f'<p class="instruction">{html.escape(section.instruction)}</p>',
        *(f'<p class="note">{html.escape(note)}</p>' for note in section.notes),
        '<div class="figures">',
        _figure(to_svg(rate_figure(section.rates)), "Success on held-out seeds; bars are 95% Wilson intervals."),
    ]
    if section.curves:
        parts.append(_figure(to_svg(curve_figure(section.curves)), "Learning curves."))
    parts.append("</div>")
    if section.comparisons:
        parts.append("<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in section.comparisons) + "</ul>")
    if section.table is not None:
        parts.append(_table(section.table))
    if section.clips:
        parts.append('<div class="clips">' + "".join(_clip(clip) for clip in section.clips) + "</div>")
    return "\n".join([*parts, "</section>"])


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _clip(clip: Clip) -> str:
    data = base64.b64encode(clip.path.read_bytes()).decode()
    return (
        f'<figure><video controls loop muted autoplay playsinline src="data:video/mp4;base64,{data}"></video>'
        f"<figcaption>{html.escape(clip.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in table.headings)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{html.escape(label)}</dt><dd>{html.escape(value)}</dd>" for label, value in facts)
    return f"<h2>How this was made</h2><dl>{items}</dl>" if items else ""
