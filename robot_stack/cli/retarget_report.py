"""The report of a retargeted motion: a page for people, plain data for programs."""

from __future__ import annotations

import base64
import html
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from robot_stack.cli.retarget_job import MOTION, PAGE, REFERENCE, RetargetJob

if TYPE_CHECKING:
    from robot_stack.retarget.motion import Motion
    from robot_stack.retarget.reference import TrackingReference
    from robot_stack.retarget.result import Retargeted
    from robot_stack.sim.robots.spec import RobotSpec

OURS = (
    ("penetration_max_m", "deepest in the scene", 1e3, "mm", "at most 1"),
    ("self_penetration_max_m", "deepest in itself", 1e3, "mm", "at most 1"),
    ("stance_drift_max_m", "drift of a contact point over a stay", 1e3, "mm", "at most 1"),
    ("stance_speed_max", "fastest contact point that stays", 1e2, "cm/s", "below 1"),
    ("contact_share", "contacts of the source kept, within 1 cm", 1e2, "%", "at least 95"),
    ("joint_speed_max", "fastest joint", 1.0, "rad/s", ""),
    ("joint_jerk_rms", "jerk of the joints, root mean square", 1.0, "rad/s³", ""),
    ("keypoint_error_mean_m", "keypoints from the scaled source, mean", 1e2, "cm", ""),
    ("mesh_energy_mean", "energy of the interaction mesh, mean", 1.0, "m²", ""),
    ("accepted_share", "frames that keep every constraint", 1e2, "%", ""),
)
"""Metric, words, factor, unit, bar."""

PAPERS = (
    ("paper_penetration_share", "frames deeper than 1 cm", 1e2, "%", ""),
    ("paper_penetration_depth_m", "mean depth of those", 1e2, "cm", ""),
    ("paper_skating_share", "stance frames that slide by over 1 cm a frame", 1e2, "%", ""),
    ("paper_contact_share", "contacts of the source kept, within 10 cm", 1e2, "%", ""),
)
"""OmniRetarget's own measures, likewise."""

WORST = 20
"""So many frames that miss a constraint are listed."""


def report_of(
    job: RetargetJob,
    result: Retargeted,
    reference: TrackingReference,
    replay: dict[str, Any] | None,
    times: dict[str, float],
    episode: dict[str, Any] | None,
) -> dict[str, Any]:
    """The report as plain data."""
    import numpy as np

    from robot_stack.core import provenance
    from robot_stack.core.config_json import to_plain

    good = result.accepted()
    off = result.violations
    bad = np.flatnonzero(np.logical_not(good))
    columns = dict(vars(off))
    return {
        "format": 1,
        "job": to_plain(job),
        "robot": result.robot,
        "frames": len(result),
        "fps": result.fps,
        "duration_s": (len(result) - 1) / result.fps,
        "scale": result.scale,
        "metrics": result.metrics,
        "accepted_frames": int(good.sum()),
        "violations_worst": off.worst(),
        "violations": [
            {"frame": int(t), **{name: float(values[t]) for name, values in columns.items()}} for t in bad[:WORST]
        ],
        "contacts": [
            {"group": c.group, "start": c.start, "stop": c.stop, "surface": c.surface} for c in result.contacts
        ],
        "tracking_reference": {"fps": reference.fps, "frames": len(reference), **reference.checks},
        "replay": replay,
        "episode": episode,
        "notes": list(result.notes),
        "times_s": times,
        "files": {"result": MOTION, "tracking_reference": REFERENCE, "page": PAGE},
        "provenance": provenance.collect(),
    }


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


def summary(report: dict[str, Any]) -> str:
    """One or two sentences."""
    kept = report["accepted_frames"]
    met = (
        "every frame keeps every constraint"
        if kept == report["frames"]
        else f"{kept} of {report['frames']} frames keep every constraint"
    )
    return f"{report['duration_s']:.1f} s, {report['frames']} frames at {report['fps']:g} a second; {met}."


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
    rows = "".join(f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(_plain(v))}</dd>" for k, v in replay.items())
    return f"<dl>{rows}</dl>"


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


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
