"""One motion retargeted to a folder: what is asked for as plain data, and how it is done."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_stack.retarget.progress import Listener, StepProgress, unheard

if TYPE_CHECKING:
    from robot_stack.retarget.keypoint_table import KeypointTable
    from robot_stack.retarget.motion import Motion
    from robot_stack.retarget.result import Retargeted
    from robot_stack.retarget.retargeter import Retargeter
    from robot_stack.retarget.scene import Scene
    from robot_stack.sim.robots.spec import RobotSpec

MOTION, REFERENCE, REPORT, PAGE = "motion.npz", "tracking.npz", "report.json", "report.html"
"""Files of a result's folder."""


@dataclass(frozen=True)
class RetargetJob:
    """Everything that decides what a result is; names and numbers only, so that it crosses processes."""

    motion: str
    """The source: a file, or the folder of a dataset."""

    robot: str = "g1"
    """Name of a robot, or its MJCF."""

    table: str = ""
    """Keypoint table of an MJCF; proposed when empty."""

    scene: tuple[str, ...] = ()
    """Scene files."""

    objects: str = ""
    """NPZ with the motions of objects; empty for none."""

    skeleton: str = ""
    """See :class:`~robot_stack.retarget.readers.raw.ReadOptions`, as for the next six."""

    up: str = ""
    """Axis that points up."""

    unit: str = ""
    """Of lengths."""

    fps: float = 0.0
    """Of the file [1/s]."""

    height_m: float = 0.0
    """Of the person [m]."""

    keypoints: tuple[str, ...] = ()
    """``keypoint=joint``."""

    body_model: str = ""
    """SMPL model."""

    episode: int = 0
    """Of a dataset."""

    start_s: float = 0.0
    """The motion is cut from here [s]."""

    stop_s: float = 0.0
    """To here [s]; 0 for its end."""

    rate: float = 50.0
    """Frames a second that are retargeted [1/s]; at 50 nothing is interpolated for tracking policies."""

    longest_gap_s: float = 0.25
    """See :class:`~robot_stack.retarget.clean.CleanRule`, as for the next."""

    ground: str = "auto"
    """What happens to heights."""

    hull: bool = False
    """Take convex hulls of objects that are not convex."""

    scaling: str = "all"
    """``all``, ``limbs``, or a number."""

    dataset: str = ""
    """Append the motion as an episode to this dataset."""

    instruction: str = ""
    """Of that episode; the motion's name when empty."""

    tracking: bool = True
    """Replay under PD control for the report."""

    pictures: bool = True
    """Render pictures for the report."""

    stream_beyond_s: float = 180.0
    """Longer motions are solved in a window that slides over them [s]."""


def fingerprint(job: RetargetJob) -> str:
    """Same inputs (also the files' sizes and dates), same string."""
    from robot_stack.core.config_json import fingerprint_of, to_plain

    stamps = []
    for name in (job.motion, *job.scene, job.objects, job.body_model, job.robot, job.table):
        path = Path(name)
        if name and path.is_file():
            stamps.append((name, path.stat().st_size, path.stat().st_mtime_ns))
    return fingerprint_of({"job": to_plain(job), "files": [list(map(str, s)) for s in stamps]})


def is_done(job: RetargetJob, out: Path) -> bool:
    """Whether the folder holds this job's result, whole."""
    import json

    try:
        return json.loads((out / REPORT).read_text())["fingerprint"] == fingerprint(job)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def run_job(job: RetargetJob, out: Path, listen: Listener = unheard) -> dict[str, Any]:
    """Do it, and write the folder; the report's JSON comes last, so that a folder with one is whole.

    Returns:
        The report.

    Raises:
        RobotStackError: whatever is wrong with the input, in one sentence with the way out.
    """
    from robot_stack.core.atomic import write_json
    from robot_stack.core.errors import ConfigError
    from robot_stack.core.lock import FolderLock

    if out.suffix or out.is_file():
        raise ConfigError(
            "the result goes into a folder", where=out, expected="a folder's name, e.g. --out results/walk"
        )
    watch = _Watch(listen)
    with watch.stage("read"):
        spec, table, notes = robot_of(job.robot, job.table)
        motion, scene = source_of(job)
        motion = dataclasses.replace(motion, notes=(*motion.notes, *notes))
    with watch.stage("retarget"):
        result = retargeted(job, motion, scene, (spec, table), listen)
    with FolderLock(out, what="result"):
        (out / REPORT).unlink(missing_ok=True)
        report = _written(job, out, watch, (motion, result, spec, table))
        write_json(out / REPORT, report)
    return report


class _Watch:
    """Says which stage begins, and how long each took."""

    def __init__(self, listen: Listener) -> None:
        self._listen = listen
        self.times: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._listen(StepProgress(name))
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.times[name] = round(time.perf_counter() - wall, 3)
        self.times[f"{name} (CPU)"] = round(time.process_time() - cpu, 3)


def _written(
    job: RetargetJob, out: Path, watch: _Watch, done: tuple[Motion, Retargeted, RobotSpec, KeypointTable]
) -> dict[str, Any]:
    motion, result, spec, table = done
    with watch.stage("export"):
        from robot_stack.retarget.reference import tracking_reference, write_reference
        from robot_stack.retarget.saved import write_result

        reference = tracking_reference(result, spec, contact_names=tuple(group.name for group in table.contacts))
        mjcf = job.robot if job.robot.endswith(".xml") else ""
        write_result(out / MOTION, result, motion, mjcf=mjcf, height_m=table.height_m)
        write_reference(out / REFERENCE, reference)
        episode = _append(job, result, spec) if job.dataset else None
    replay: dict[str, Any] | None = None
    if job.tracking:
        from robot_stack.cli.retarget_replay import replay_of

        with watch.stage("track"):
            replay = replay_of(result, spec, table)
    with watch.stage("report"):
        from robot_stack.cli.retarget_page import write_page
        from robot_stack.cli.retarget_report import report_of

        report = report_of(job, result, reference, replay, watch.times, episode)
        report["fingerprint"] = fingerprint(job)
        write_page(out / PAGE, report, result, spec, motion)
    return report


def robot_of(name: str, table: str = "") -> tuple[RobotSpec, KeypointTable, tuple[str, ...]]:
    """A robot, its keypoints, and notes on both.

    Args:
        name: of a robot, or the path of an MJCF.
        table: a JSON file; empty for the robot's own, or for a proposal.

    Raises:
        UnknownNameError: if there is no such robot.
        ConfigError: if it has no keypoint table, or its MJCF cannot be used.
    """
    from robot_stack.retarget.keypoint_file import read_table
    from robot_stack.retarget.keypoint_proposal import propose
    from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES
    from robot_stack.retarget.mjcf_robot import spec_from_mjcf
    from robot_stack.sim.robot_catalog import robot_spec
    from robot_stack.sim.robots.model import compile_robot

    own = name.endswith(".xml")
    spec = spec_from_mjcf(name) if own else robot_spec(name)
    notes = tuple(spec.doubts) if own else ()
    if table:
        return spec, read_table(table), notes
    if spec.name in KEYPOINT_TABLES and not own:
        return spec, KEYPOINT_TABLES[spec.name], notes
    if spec.base != "floating":
        raise _fixed(name)
    proposal = propose(compile_robot(spec))
    advice = "the keypoint table was proposed by the robot's shape: look at it with robot-stack retarget keypoints"
    return spec, proposal.table, (*notes, advice, *proposal.notes)


def _fixed(name: str) -> Exception:
    from robot_stack.core.errors import ConfigError
    from robot_stack.sim.robot_catalog import ROBOTS, robot_spec

    floating = [n for n in ROBOTS if robot_spec(n).base == "floating"]
    return ConfigError("a robot with a fixed base cannot be retargeted to", got=name, expected=", ".join(floating))


def source_of(job: RetargetJob) -> tuple[Motion, Scene]:
    """The cleaned motion and its scene, both at the source's size."""
    from robot_stack.retarget.clean import CleanRule, cleaned
    from robot_stack.retarget.readers.read import read
    from robot_stack.retarget.scene import Scene
    from robot_stack.retarget.scene_file import follow

    reading = read(job.motion, _options(job))
    motion = _with_objects(job, reading.motion)
    motion = _cut(job, motion)
    scene = reading.scene or Scene()
    if job.scene:
        scene = _scene(job, motion)
    rule = CleanRule(rate=job.rate, longest_gap_s=job.longest_gap_s, ground=job.ground)
    motion = cleaned(motion, rule, scene_given=bool(scene.objects))
    notes = (*motion.notes, *scene.notes, *_unused_objects(motion, scene))
    return dataclasses.replace(motion, notes=notes, objects=follow(motion.objects, scene)), scene


def retargeted(
    job: RetargetJob,
    motion: Motion,
    scene: Scene,
    robot: tuple[RobotSpec, KeypointTable],
    listen: Listener = unheard,
) -> Retargeted:
    """The robot's motion: solved as a whole, or in a sliding window when it is long."""
    from robot_stack.core.errors import ConfigError
    from robot_stack.retarget.retargeter import Retargeter
    from robot_stack.retarget.scaling import scale_all

    retargeter = Retargeter(*robot)
    if job.scaling == "all":
        if motion.duration_s > job.stream_beyond_s:
            return _streamed(retargeter, motion, scene, listen)
        return retargeter(motion, scene, listen=listen)
    if job.scaling == "limbs":
        return retargeter(motion, scene, retargeter.scaled_by_limbs(motion, scene), listen)
    try:
        factor = float(job.scaling)
    except ValueError:
        raise ConfigError("the scaling is all, limbs or a number", got=job.scaling) from None
    if not 0.01 < factor < 100:
        raise ConfigError("a scale must be between 0.01 and 100", got=factor)
    return retargeter(motion, scene, scale_all(motion, scene, robot[1], factor), listen)


def _streamed(retargeter: Retargeter, motion: Motion, scene: Scene, listen: Listener) -> Retargeted:
    from robot_stack.retarget.stream import joined, stream

    pieces, done = [], 0
    for piece in stream(retargeter, motion, scene):
        pieces.append(piece)
        done += len(piece)
        listen(StepProgress("retarget", done, len(motion)))
    result = joined(pieces)
    note = f"{motion.duration_s:.0f} s were solved in a window that slid over them, not as a whole (--stream-beyond)"
    return dataclasses.replace(result, notes=(*result.notes, note))


def _options(job: RetargetJob) -> Any:
    from robot_stack.core.errors import ConfigError
    from robot_stack.retarget.readers.raw import ReadOptions

    pairs = [pair.partition("=") for pair in job.keypoints]
    for name, equals, _ in pairs:
        if not equals:
            raise ConfigError("a keypoint is named like left_hip=LeftUpLeg", got=name)
    return ReadOptions(
        skeleton=job.skeleton,
        up=job.up,
        unit=job.unit,
        fps=job.fps,
        height_m=job.height_m,
        keypoints={name: joint for name, _, joint in pairs},
        body_model=Path(job.body_model) if job.body_model else None,
        episode=job.episode,
    )


def _with_objects(job: RetargetJob, motion: Motion) -> Motion:
    if not job.objects:
        return motion
    from robot_stack.retarget.readers.arrays import read_objects

    own = read_objects(Path(job.objects), len(motion))
    others = tuple(o for o in motion.objects if o.name not in {thing.name for thing in own})
    return dataclasses.replace(motion, objects=(*others, *own))


def _cut(job: RetargetJob, motion: Motion) -> Motion:
    from robot_stack.core.errors import ConfigError
    from robot_stack.retarget.motion import ObjectMotion

    if not job.start_s and not job.stop_s:
        return motion
    first = round(job.start_s * motion.fps)
    last = round(job.stop_s * motion.fps) + 1 if job.stop_s else len(motion)
    if not 0 <= first < min(last, len(motion)):
        raise ConfigError(
            "nothing is left between the start and the stop",
            got=f"{job.start_s:g} s to {f'{job.stop_s:g} s' if job.stop_s else 'the end'}",
            expected=f"within {motion.duration_s:.2f} s",
        )
    span = slice(first, last)
    objects = tuple(ObjectMotion(o.name, o.p_world_object[span], o.q_world_object[span]) for o in motion.objects)
    return dataclasses.replace(motion, positions=motion.positions[span], objects=objects)


def _scene(job: RetargetJob, motion: Motion) -> Scene:
    from robot_stack.core.errors import ConfigError
    from robot_stack.retarget.scene import Scene
    from robot_stack.retarget.scene_file import read_scene

    moving = tuple(thing.name for thing in motion.objects)
    scenes = [read_scene(path, moving=moving, hull=job.hull) for path in job.scene]
    objects = tuple(thing for scene in scenes for thing in scene.objects)
    names = [thing.name for thing in objects]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError("two objects of the scene have one name", where=", ".join(job.scene), got=", ".join(twice))
    notes = tuple(note for scene in scenes for note in scene.notes)
    return Scene(objects, all(scene.ground for scene in scenes), notes=notes)


def _unused_objects(motion: Motion, scene: Scene) -> list[str]:
    shapes = {thing.name.rpartition(".")[0] or thing.name for thing in scene.objects}
    shapes |= {thing.name for thing in scene.objects}
    lost = [thing.name for thing in motion.objects if thing.name not in shapes]
    return [f"objects that move but have no shape in the scene play no part: {', '.join(lost)}"] if lost else []


def _append(job: RetargetJob, result: Retargeted, spec: RobotSpec) -> dict[str, Any]:
    from robot_stack.datasets.writer import DatasetWriter
    from robot_stack.retarget.episode import episode
    from robot_stack.retarget.reference import tracking_reference

    facts = {"source": job.motion, "scale": result.scale, "metrics": result.metrics}
    buffer = episode(
        tracking_reference(result, spec, spec.control_hz),
        spec,
        job.instruction or Path(job.motion).stem,
        facts,
        success=bool(result.accepted().all()),
    )
    with DatasetWriter(job.dataset, buffer.embodiment) as writer:
        return {"dataset": job.dataset, "episode": writer.write_episode(buffer)}
