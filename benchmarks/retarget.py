"""Retargeting to the G1: speed and quality beside a per-frame solution and plain inverse kinematics, in the same run.

    python benchmarks/retarget.py --climbs FOLDER          # folders seq_0 ... with *.npy and box*.obj
    python benchmarks/retarget.py                          # synthetic walks only
    python benchmarks/retarget.py --climbs FOLDER --only 0 --frames 60 --other other_qpos.npz
    python benchmarks/retarget.py --hour                   # an hour's walk as a stream: speed and memory by the minute

Rows: "ours" (both passes), "stream" (the same with a bounded window), "frames" (first pass alone), "mink" (the same
keypoints followed frame by frame by mink's differential inverse kinematics with joint limits, at most ten iterations,
as GMR does it), and "other": ``qpos`` of the same robot from another program, judged with our scene, contacts and
distances. Times are CPU time of one core, from positions to the result and its figures; run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import mink
import numpy as np

from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES
from robot_stack.retarget.motion import KEYPOINTS, Motion
from robot_stack.retarget.result import Retargeted
from robot_stack.retarget.retargeter import Retargeter, RetargetRule
from robot_stack.retarget.scene import Scene, SceneObject, read_obj
from robot_stack.retarget.stream import StreamingRetargeter, StreamRule, joined, stream
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

TABLE = KEYPOINT_TABLES["unitree_g1"]
FINGERS = [f"Hand{f}{i}" for f in ("Thumb", "Index", "Middle", "Ring", "Pinky") for i in (1, 2, 3)]
ROWS = (
    ("penetration_max_m", "depth mm", 1e3),
    ("self_penetration_max_m", "self mm", 1e3),
    ("stance_drift_max_m", "drift mm", 1e3),
    ("stance_speed_max", "stance cm/s", 1e2),
    ("contact_share", "contact", 1.0),
    ("joint_speed_max", "rad/s", 1.0),
    ("joint_jerk_rms", "jerk", 1.0),
    ("mesh_energy_mean", "energy", 1.0),
    ("accepted_share", "accepted", 1.0),
    ("paper_penetration_share", "P:pen", 1.0),
    ("paper_penetration_depth_m", "P:depth cm", 1e2),
    ("paper_skating_share", "P:skate", 1.0),
    ("paper_skating_speed_max", "P:cm/s", 1e2),
    ("paper_contact_share", "P:contact", 1.0),
)
"""Metric, heading, factor; headings with P are the paper's."""


def climb(folder: Path) -> tuple[Motion, Scene]:
    """A climb at 30 frames a second, with its boxes; slabs that are the ground are left out."""
    names = ["Hips", "Spine", "Spine1", "Neck", "Head"]
    for side in ("Left", "Right"):
        names += [side + part for part in ("Shoulder", "Arm", "ForeArm", "Hand", *FINGERS)]
    for side in ("Left", "Right"):
        names += [side + part for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
    names += ["LeftFootMod", "RightFootMod"]
    parts = {"hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "toe": "ToeBase"}
    parts |= {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand"}
    mapping = {"pelvis": "Hips"}
    mapping |= {f"{side.lower()}_{k}": side + v for side in ("Left", "Right") for k, v in parts.items()}
    positions = np.load(next(folder.glob("*.npy"))).astype(np.float64)[::4]
    boxes = [SceneObject.convex(f.stem, read_obj(f)) for f in sorted(folder.glob("box?.obj"))]
    above = tuple(box for box in boxes if box.vertices[:, 2].max() > 1e-3)
    return Motion(tuple(names), positions, 30.0, mapping, 1.78, source=folder.name), Scene(above)


def walk(frames: int, speed: float, first: int = 0, step_s: float = 0.5, height: float = 1.75) -> Motion:
    """A person who walks straight on: feet on cycloids, knees and elbows by the law of cosines."""
    time_s, size = (first + np.arange(frames)) / 30.0, height / 1.75
    points = {"pelvis": np.stack([speed * time_s, 0.02 * np.sin(np.pi * time_s / step_s), 0 * time_s], axis=1)}
    points["pelvis"][:, 2] = size * (0.93 + 0.015 * np.cos(2 * np.pi * time_s / step_s))
    for side, sign, shift in (("left", 1.0, 0.0), ("right", -1.0, 1.0)):
        phase = time_s / step_s + shift
        number, within = np.floor(phase / 2), np.mod(phase, 2.0)
        swing = np.clip(within - 1.0, 0.0, 1.0)
        eased = swing - np.sin(2 * np.pi * swing) / (2 * np.pi)
        place = speed * step_s * (2 * number + 2 * eased - shift + 0.5)
        lift = 0.06 * (1 - np.cos(2 * np.pi * swing))
        hip = points["pelvis"] + np.array([0.0, sign * 0.09, -0.03]) * size
        ankle = np.stack([place, 0 * place + sign * 0.09 * size, 0.09 * size + lift], axis=1)
        shoulder = points["pelvis"] + np.array([0.0, sign * 0.18, 0.46]) * size
        swung = 0.35 * np.sin(np.pi * phase)[:, None] * np.array([1.0, 0.0, 0.0])
        wrist = shoulder + size * (np.array([0.08, sign * 0.06, -0.48]) + 0.5 * swung)
        points |= {f"{side}_hip": hip, f"{side}_ankle": ankle, f"{side}_toe": ankle + np.array([0.15, 0, -0.06]) * size}
        points |= {f"{side}_shoulder": shoulder, f"{side}_wrist": wrist}
        points[f"{side}_knee"] = bend(hip, ankle, 0.43 * size, 1.0)
        points[f"{side}_elbow"] = bend(shoulder, wrist, 0.27 * size, -1.0)
    stacked = np.stack([points[name] for name in KEYPOINTS], axis=1)
    return Motion(KEYPOINTS, stacked, 30.0, {n: n for n in KEYPOINTS}, height, source=f"walk {speed} m/s")


def bend(root: np.ndarray, tip: np.ndarray, length: float, forward: float) -> np.ndarray:
    """The middle joint of a limb of two equal bones, bent forwards (1) or backwards (-1)."""
    reach = tip - root
    half = 0.5 * np.linalg.norm(reach, axis=1, keepdims=True)
    side = np.cross(np.array([0.0, 1.0, 0.0]), reach)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return root + 0.5 * reach - forward * side * np.sqrt(np.maximum(length**2 - half**2, 1e-4))


def plain(motion: Motion, start: np.ndarray) -> np.ndarray:
    """Differential inverse kinematics frame by frame, shape ``(frames, nq)``."""
    model = compile_robot(UNITREE_G1).model
    scaled = motion.keypoints(TABLE.names) * (TABLE.height_m / motion.height_m)
    shifted = compile_robot(UNITREE_G1, add_sites).model
    configuration = mink.Configuration(shifted, start)
    tasks = [mink.FrameTask(f"keypoint_{name}", "site", 1.0, 0.0, lm_damping=1.0) for name in TABLE.names]
    limits = [mink.ConfigurationLimit(shifted)]
    out = np.empty((len(motion), model.nq))
    for t in range(len(motion)):
        for task, place in zip(tasks, scaled[t], strict=True):
            task.set_target(mink.SE3.from_translation(place))
        error = np.inf
        for _ in range(10):
            velocity = mink.solve_ik(configuration, tasks, 0.1, "daqp", 1e-3, limits=limits)
            configuration.integrate_inplace(velocity, 0.1)
            now = float(np.linalg.norm([task.compute_error(configuration)[:3] for task in tasks]))
            if error - now < 1e-3:
                break
            error = now
        out[t] = configuration.q
    return out


def add_sites(spec: object) -> None:
    """A site for every keypoint."""
    for name, point in TABLE.keypoints.items():
        spec.body(point.body).add_site(name=f"keypoint_{name}", pos=point.offset)  # pyright: ignore


def show(title: str, speed: float, result: Retargeted) -> None:
    """One row."""
    figures = "  ".join(f"{result.metrics[name] * factor:10.3f}" for name, _, factor in ROWS)
    print(f"{title:24s}{speed:8.1f}  {figures}", flush=True)


def compare(name: str, motion: Motion, scene: Scene, other: np.ndarray | None) -> None:
    """All rows of one motion."""
    fps, pieces = streamed(motion, scene)
    show(f"{name} stream", fps, pieces)
    for title, second in (("ours", True), ("frames", False)):
        retargeter = Retargeter(UNITREE_G1, TABLE, replace(RetargetRule(), second_pass=second))
        began = time.process_time()
        result = retargeter(motion, scene)
        fps = len(motion) / (time.process_time() - began)
        show(f"{name} {title}", fps, result if second else retargeter.judge(motion, scene, result.qpos))
    began = time.process_time()
    qpos = plain(motion, result.qpos[0])
    fps = len(motion) / (time.process_time() - began)
    show(f"{name} mink", fps, retargeter.judge(motion, scene, qpos))
    if other is not None:
        show(f"{name} other", float("nan"), retargeter.judge(motion, scene, other[: len(motion), :36]))


def streamed(motion: Motion, scene: Scene) -> tuple[float, Retargeted]:
    """Frames a second of a stream, and its pieces together."""
    began = time.process_time()
    result = joined(stream(Retargeter(UNITREE_G1, TABLE), motion, scene))
    return len(motion) / (time.process_time() - began), result


def hour(minutes: int) -> None:
    """A walk of so many minutes through one stream: nothing of it is kept."""
    live = StreamingRetargeter(Retargeter(UNITREE_G1, TABLE), walk(4, 1.0), rule=StreamRule(hop_s=3.0))
    began, accepted, worst = time.process_time(), 0, 0.0
    print(
        f"an hour's walk, latency {live.latency_s:.1f} s\n{'minute':>8s}{'frames':>9s}{'frames/s':>10s}{'RSS MiB':>10s}"
    )
    for minute in range(minutes):
        for points in walk(1800, 1.0, first=1800 * minute).positions:
            if (piece := live.push(points)) is not None:
                accepted += int(piece.accepted().sum())
                worst = max(worst, *piece.violations.worst().values())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        fps = live.finished / (time.process_time() - began)
        print(f"{minute + 1:8d}{live.finished:9d}{fps:10.1f}{pages * 4096 / 2**20:10.1f}", flush=True)
    print(f"accepted {accepted / live.finished:.4f}, worst violation {worst:.2e}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--climbs", type=Path, help="folder of the climbing motions")
    parser.add_argument("--hour", type=int, nargs="?", const=60, help="only the long stream, of so many minutes")
    parser.add_argument("--only", type=int, help="one climb")
    parser.add_argument("--frames", type=int, help="only so many frames of each motion")
    parser.add_argument("--other", type=Path, help="NPZ with qpos of another program for the chosen climb")
    args = parser.parse_args()
    if args.hour:
        hour(args.hour)
        return
    print(f"{'motion':24s}{'frames/s':>8s}  " + "  ".join(f"{heading:>10s}" for _, heading, _ in ROWS))
    if args.other is None:
        for speed in (0.6, 1.2):
            compare(f"walk {speed}", walk(args.frames or 300, speed), Scene(), None)
    folders = sorted(args.climbs.glob("seq_*")) if args.climbs else []
    for number, folder in enumerate(folders):
        if args.only is None or args.only == number:
            motion, scene = climb(folder)
            motion = replace(motion, positions=motion.positions[: args.frames])
            compare(f"climb {number}", motion, scene, np.load(args.other)["qpos"] if args.other else None)


if __name__ == "__main__":
    main()
