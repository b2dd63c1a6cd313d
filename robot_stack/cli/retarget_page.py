"""The page of a retargeted motion's report: one HTML file, nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import html
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from robot_stack.cli.retarget_job import MOTION, REFERENCE
from robot_stack.cli.retarget_replay import EXPLANATION
from robot_stack.cli.retarget_report import OURS, PAPERS, WORST, summary

if TYPE_CHECKING:
    from robot_stack.retarget.motion import Motion
    from robot_stack.retarget.result import Retargeted
    from robot_stack.sim.robots.spec import RobotSpec


def write_page(path: Path, report: dict[str, Any], result: Retargeted, spec: RobotSpec, source: Motion) -> None:
    """Write the page: one file, nothing fetched from elsewhere."""
    from robot_stack.cli.retarget_plots import plots
    from robot_stack.core.atomic import write_text

    page = Template((resources.files("robot_stack.evaluation") / "assets" / "report.html").read_text())
    figures = "".join(
        f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>" for svg, caption in plots(result, spec)
    )
    sections = [
        *([_section("Frames", _strip(result, source, spec))] if report["job"]["pictures"] else []),
        _section(
            "Figures", _table("stricter measures", OURS, report) + _table("OmniRetarget's measures", PAPERS, report)
        ),
        _section("Over time", f'<div class="figures">{figures}</div>'),
        *([_section("Replay under PD control", _replay(report["replay"]))] if report["replay"] else []),
        _section("Notes", "<ul>" + "".join(f"<li>{html.escape(n)}</li>" for n in report["notes"]) + "</ul>"),
    ]
    if report["violations"]:
        sections.insert(-2, _section("Frames that miss a constraint", _misses(report)))
    write_text(
        path,
        page.substitute(
            title=html.escape(f"{Path(report['job']['motion']).stem} on {spec.title}"),
            summary=html.escape(summary(report)),
            sections="\n".join(sections),
            facts=_facts(report),
        ),
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _strip(result: Retargeted, source: Motion, spec: RobotSpec) -> str:
    """Three moments, each as person, mesh and robot; or why there are none."""
    import cv2
    import numpy as np

    from robot_stack.core.errors import RenderError
    from robot_stack.retarget.saved import Saved
    from robot_stack.retarget.view import SideBySide

    seen = Saved(result, _scaled(source, result.scale))
    try:
        with SideBySide(seen, spec, height=300, width=340) as view:
            frames = [view.frame(int(t)) for t in np.linspace(0, len(result) - 1, 5).round()[1:4]]
    except RenderError as error:
        return f'<p class="note">No pictures: {html.escape(error.message)}. {html.escape(error.remedy or "")}</p>'
    data = cv2.imencode(
        ".jpg", cv2.cvtColor(np.concatenate(frames), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88]
    )[1]
    picture = base64.b64encode(data.tobytes()).decode()
    return (
        f'<img alt="source, interaction mesh and robot at three moments" style="width:100%;border-radius:8px" '
        f'src="data:image/jpeg;base64,{picture}"><p class="instruction">robot-stack retarget view makes the film.</p>'
    )


def _scaled(source: Motion, scale: float) -> Motion:
    from dataclasses import replace

    return replace(source, positions=source.positions * scale, height_m=source.height_m * scale)


def _table(title: str, rows: tuple[tuple[str, str, float, str, str], ...], report: dict[str, Any]) -> str:
    metrics = report["metrics"]
    cells = "".join(
        f"<tr><td>{html.escape(words)}</td><td>{metrics[name] * factor:.3g} {unit}</td><td>{html.escape(bar)}</td></tr>"
        for name, words, factor, unit, bar in rows
        if name in metrics
    )
    wanted = "wanted" if any(row[4] for row in rows) else ""
    head = f"<thead><tr><th>{html.escape(title)}</th><th>value</th><th>{wanted}</th></tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{cells}</tbody></table></div>'


def _misses(report: dict[str, Any]) -> str:
    names = [n for n in report["violations"][0] if n != "frame"]
    units = {"penetration_m": "mm", "self_penetration_m": "mm", "anchor_m": "mm"}
    head = "".join(f"<th>{n.removesuffix('_m').replace('_', ' ')} {units.get(n, '')}</th>" for n in names)
    rows = "".join(
        f"<tr><td>{row['frame']}</td>"
        + "".join(f"<td>{row[n] * (1e3 if n in units else 1.0):.3g}</td>" for n in names)
        + "</tr>"
        for row in report["violations"]
    )
    missed = report["frames"] - report["accepted_frames"]
    more = f"<p>The first {WORST} of {missed}; all are in {MOTION}.</p>" if missed > WORST else ""
    table = f"<table><thead><tr><th>frame</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll">{table}</div>{more}'


def _replay(replay: dict[str, Any]) -> str:
    """What physics made of it: words and curves."""
    from robot_stack.cli.retarget_plots import replays

    rows = [("base free", replay["free"]), ("base moved along", replay["held"])]
    words = "".join(
        f"<dt>{title}</dt><dd>{'<br>'.join(map(html.escape, run['text'].splitlines()))}</dd>"
        for title, run in rows
        if run
    )
    figures = "".join(
        f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>" for svg, caption in replays(replay)
    )
    return f'<p>{html.escape(EXPLANATION)}</p><dl>{words}</dl><br><div class="figures">{figures}</div>'


def _facts(report: dict[str, Any]) -> str:
    made, job = report["provenance"], report["job"]
    solving = report["times_s"].get("retarget (CPU)") or report["times_s"].get("retarget") or 0.0
    code = made["code"]
    facts = {
        "source": job["motion"],
        "scene": ", ".join(job["scene"]) or "the ground",
        "scale": f"{report['scale']:.4f}",
        "speed of retargeting": f"{report['frames'] / solving:.0f} frames a second of CPU time" if solving else "",
        "tracking reference": f"{REFERENCE}, {report['tracking_reference']['fps']:g} frames a second",
        "episode": f"{report['episode']['episode']} of {report['episode']['dataset']}" if report["episode"] else "",
        "code": str(code.get("commit", "not a checkout"))[:12] + (" with changes" if len(code) > 1 else ""),
        "made": str(made["time_utc"]),
    }
    items = "".join(f"<dt>{k}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items() if v)
    return f"<h2>How this was made</h2><dl>{items}</dl>"
