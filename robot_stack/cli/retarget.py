"""``robot-stack retarget``: motions of people, or of other robots, become motions of a robot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional

from robot_stack.cli.parsing import Many, Maybe, parse

if TYPE_CHECKING:
    from rich.console import Console

    from robot_stack.cli.retarget_job import RetargetJob

COMMANDS: dict[str, tuple[str, str]] = {
    "view": ("robot_stack.cli.retarget_view", "film a result, and look at it in 3-D"),
    "batch": ("robot_stack.cli.retarget_batch", "many motions, over processes, resumable"),
    "keypoints": ("robot_stack.cli.retarget_keypoints", "propose the keypoint table of a robot"),
}
"""Commands beside retargeting itself, each with its module and what it does in a few words."""


@dataclass(frozen=True, kw_only=True)
class SourceArgs:
    """What is known of the source; what is left out is taken from the file or guessed, and noted in the report."""

    scene: Many[Path] = ()
    """Objects and terrain: MJCF, OBJ, folder of OBJs, height field (NPZ)."""

    objects: Maybe[Path] = None
    """NPZ with motions of objects: NAME_position, NAME_quaternion (wxyz)."""

    skeleton: str = ""
    """Joint order of arrays without names: mocap53, smplh, smplx, smplh_humanoid, lafan1, cmu, ..."""

    up: str = ""
    """Axis that points up in the file: x, y, z, -x, -y, -z."""

    unit: str = ""
    """Unit of lengths: m, cm, mm, inch, cmu (an inch over 0.45), or metres a unit."""

    fps: float = 0.0
    """Frames a second of the file."""

    height: float = 0.0
    """Standing height of the person [m]."""

    keypoints: Many[str] = ()
    """Which joint is which keypoint, e.g. left_knee=LeftLeg; left_toe= leaves one out."""

    body_model: Maybe[Path] = None
    """SMPL, SMPL-H or SMPL-X model (NPZ) for pose parameters."""

    episode: int = 0
    """Which episode, when the source is a dataset of robot motion."""

    start: float = 0.0
    """Take the motion from here [s]."""

    stop: float = 0.0
    """To here [s]; 0 for its end."""

    rate: float = 50.0
    """Frames a second that are retargeted; at 50, tracking.npz is not interpolated; 0 for the file's own."""

    longest_gap: float = 0.25
    """Longer gaps of a keypoint are refused, shorter ones filled [s]."""

    ground: str = "auto"
    """auto puts resting feet on the ground when there are no objects; keep; or metres to lift."""

    hull: bool = False
    """Take the convex hull of objects that are not convex."""

    scaling: str = "all"
    """all: one factor for body and scene; limbs: a factor a bone; or a number."""

    stream_beyond: float = 180.0
    """Longer motions are solved in a window that slides over them, shorter ones as a whole [s]."""

    pictures: bool = True
    """Render some frames for the report; a second or more a motion."""


@dataclass(frozen=True)
class RetargetArgs(SourceArgs):
    """Retarget a motion to a robot: robot-stack retarget MOTION --robot g1 --scene box.obj -o OUT.

    OUT gets motion.npz (all of the result), tracking.npz (50 Hz, for tracking policies), report.html and report.json.

    Other commands: retarget view OUT, retarget batch FOLDER -o OUT, retarget keypoints ROBOT.xml.
    """

    motion: Positional[Path]
    """Joint positions (.npy, .npz), BVH, AMC with its ASF, SMPL parameters, a result, or a dataset of robot motion."""

    robot: str = "g1"
    """A robot's name, or its MJCF."""

    table: Maybe[Path] = None
    """Keypoint table of the robot (JSON), for an MJCF; proposed when left out."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(kw_only=True)
    """Folder of the result."""

    dataset: Maybe[Path] = None
    """Append the motion as an episode to this dataset."""

    instruction: str = ""
    """What the episode shows, in words; the motion's name when left out."""

    tracking: bool = True
    """Replay the result in simulation under PD control, for the report."""


def run(arguments: list[str]) -> int:
    """Retarget one motion, or run a command."""
    if arguments and arguments[0] in COMMANDS:
        import importlib

        return int(importlib.import_module(COMMANDS[arguments[0]][0]).run(arguments[1:]) or 0)
    args = parse(RetargetArgs, arguments, "robot-stack retarget")
    from rich.console import Console

    from robot_stack.cli.retarget_job import PAGE, run_job
    from robot_stack.cli.retarget_stages import Stages

    console = Console(highlight=False, soft_wrap=True)
    with Stages(args.motion.stem) as stages:
        report = run_job(job_of(args, args.motion), args.out, stages)
    show(console, report)
    console.print(f"the report: [bold]{(args.out / PAGE).resolve()}[/bold]")
    return 0


def job_of(args: SourceArgs, motion: Path) -> RetargetJob:
    """The job that the options describe; paths become absolute, so that the job means the same everywhere."""
    from robot_stack.cli.retarget_job import RetargetJob

    def text(path: Path | None) -> str:
        return str(path.expanduser().resolve()) if path else ""

    robot = str(getattr(args, "robot", "g1"))
    return RetargetJob(
        motion=text(motion),
        robot=text(Path(robot)) if robot.endswith(".xml") else robot,
        table=text(getattr(args, "table", None)),
        scene=tuple(text(path) for path in args.scene),
        objects=text(args.objects),
        skeleton=args.skeleton,
        up=args.up,
        unit=args.unit,
        fps=args.fps,
        height_m=args.height,
        keypoints=tuple(args.keypoints),
        body_model=text(args.body_model),
        episode=args.episode,
        start_s=args.start,
        stop_s=args.stop,
        rate=args.rate,
        longest_gap_s=args.longest_gap,
        ground=args.ground,
        hull=args.hull,
        scaling=args.scaling,
        pictures=args.pictures,
        stream_beyond_s=args.stream_beyond,
        dataset=text(getattr(args, "dataset", None)),
        instruction=str(getattr(args, "instruction", "")),
        tracking=bool(getattr(args, "tracking", True)),
    )


def show(console: Console, report: dict[str, Any]) -> None:
    """Print what came out."""
    from rich.table import Table
    from rich.text import Text

    from robot_stack.cli.retarget_report import OURS, summary

    whole = report["accepted_frames"] == report["frames"]
    console.print(Text(summary(report), style="bold" if whole else "bold yellow"))
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    for name, words, factor, unit, bar in OURS:
        if name in report["metrics"]:
            table.add_row(words, f"{report['metrics'][name] * factor:.3g} {unit}", Text(bar, style="dim"))
    console.print(table)
    for note in report["notes"]:
        console.print(Text(f"note: {note}", style="dim"))
