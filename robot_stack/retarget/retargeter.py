"""Human motion in, robot motion out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.errors import ConfigError, ShapeError, require_name
from robot_stack.retarget.anchors import Anchors, Touching, surfaces
from robot_stack.retarget.body import Body
from robot_stack.retarget.contacts import ContactRule, detect, from_frame, object_poses, to_frame
from robot_stack.retarget.frame_pass import FramePass, FrameRule
from robot_stack.retarget.keypoint_table import KeypointTable
from robot_stack.retarget.mesh import laplacian, neighbours, reduce
from robot_stack.retarget.metrics import figures, shortcomings, violations
from robot_stack.retarget.motion import Motion, MotionError
from robot_stack.retarget.problem import Problem, Weights
from robot_stack.retarget.result import ContactSegment, Retargeted
from robot_stack.retarget.scaling import Scaled, Target, scale_all
from robot_stack.retarget.scene import Scene
from robot_stack.retarget.trajectory_pass import TrajectoryPass, TrajectoryRule
from robot_stack.sim.robots.spec import RobotSpec

EMPTY = Scene()
"""Nothing but the ground."""


@dataclass(frozen=True)
class RetargetRule:
    """Everything that can be set."""

    samples: int = 100
    """Points on objects and terrain in the mesh; OmniRetarget's open implementation has 100."""

    grid: int = 15
    """Points along each side of the ground grid when there are no objects; likewise."""

    distance_weights: bool = False
    """Whether near neighbours count more in the mesh; OmniRetarget's open implementation does not."""

    joint_acceleration: float | None = None
    """Largest acceleration of any joint, if it is to be limited [rad/s², m/s²]."""

    second_pass: bool = True
    """Whether to smooth the whole trajectory and to hold contacts in place."""

    seed: int = 0
    """Of the surface samples."""

    contact: ContactRule = ContactRule()
    """When the source touches."""

    weights: Weights = Weights()
    """Of the terms."""

    frame: FrameRule = FrameRule()
    """First pass."""

    trajectory: TrajectoryRule = TrajectoryRule()
    """Second pass."""

    def __post_init__(self) -> None:
        if self.joint_acceleration is not None and not self.joint_acceleration > 0:
            raise ConfigError("a limit of acceleration must be positive", got=self.joint_acceleration)


class Retargeter:
    """Turns motions into motions of one robot.

    Args:
        spec: the robot, with a free base.
        table: its keypoints.
        rule: settings.

    Example:
        >>> robot = Retargeter(UNITREE_G1, KEYPOINT_TABLES["unitree_g1"])
        >>> result = robot(motion, scene)
        >>> result.metrics["penetration_max_m"]
    """

    def __init__(self, spec: RobotSpec, table: KeypointTable, rule: RetargetRule = RetargetRule()) -> None:
        self.spec = spec
        self.table = table
        self.rule = rule

    def __call__(self, motion: Motion, scene: Scene = EMPTY, scaled: Scaled | None = None) -> Retargeted:
        """Retarget a motion.

        Args:
            motion: the source, without gaps, z up, metres.
            scene: at the source's size.
            scaled: instead of :func:`~robot_stack.retarget.scaling.scale_all`.

        Raises:
            MotionError: if there are fewer than four frames, gaps, or fewer than four keypoints in common.
        """
        self._check(motion, scene)
        scaled = scale_all(motion, scene, self.table) if scaled is None else scaled
        segments = detect(motion, scene, self.table.contacts, self.rule.contact)
        problem = self.problem(scaled, surfaces(scaled, segments, self.table.contacts))
        qpos = FramePass(problem, self.rule.frame).solve(self.starts(problem))
        if not self.rule.second_pass:
            return self._judged(motion, scaled, problem, segments, qpos)
        anchors = self._anchors(scaled, problem, segments)
        second = TrajectoryPass(problem, anchors, self.rule.trajectory)
        qpos = second.solve(qpos)
        segments = anchors.segments(second.places, second.problem.touches)
        return self._result(motion, scaled, second.problem, segments, qpos)

    def judge(self, motion: Motion, scene: Scene, qpos: np.ndarray) -> Retargeted:
        """Any other motion of the robot, with the figures that this one's would have.

        Contact points are measured from where they are on average over each stay.

        Args:
            motion: the source.
            scene: at the source's size.
            qpos: of the robot, shape ``(frames, nq)``.
        """
        self._check(motion, scene)
        scaled = scale_all(motion, scene, self.table)
        segments = detect(motion, scene, self.table.contacts, self.rule.contact)
        problem = self.problem(scaled, surfaces(scaled, segments, self.table.contacts))
        return self._judged(motion, scaled, problem, segments, qpos)

    def _judged(
        self, motion: Motion, scaled: Scaled, problem: Problem, segments: tuple[ContactSegment, ...], qpos: np.ndarray
    ) -> Retargeted:
        anchors = self._anchors(scaled, problem, segments)
        soles = problem.body.places(problem.body.sweep(qpos, problem.objects, near=False), *problem.soles)
        places = anchors.fit(soles)
        problem = replace(problem, on=anchors.world(places))
        return self._result(motion, scaled, problem, anchors.segments(places, problem.touches), qpos)

    def _anchors(self, scaled: Scaled, problem: Problem, segments: tuple[ContactSegment, ...]) -> Anchors:
        touching = Touching(problem.touches, problem.normal, problem.on)
        return Anchors(scaled, segments, self.table.contacts, touching)

    def keypoint_names(self, motion: Motion) -> tuple[str, ...]:
        """Keypoints that source and robot have."""
        return tuple(name for name in self.table.names if name in motion.keypoint_names)

    def problem(self, scaled: Scaled, touching: Touching) -> Problem:
        """What the passes solve."""
        names = self.keypoint_names(scaled.motion)
        body = Body(self.spec, scaled.robot_scene)
        source = scaled.motion.keypoints(names)
        objects = object_poses(scaled.robot_objects, scaled.scene, len(source))
        source, samples, fixed_samples = self._corners(scaled, source, objects)
        gram = np.empty((len(source), len(names), len(names)))
        optimum = np.empty_like(source)
        for t, fixed in enumerate(fixed_samples):
            corners = np.concatenate([source[t], samples[t]])
            matrix = laplacian(neighbours(corners), corners if self.rule.distance_weights else None)
            energy = reduce(matrix, corners, fixed, len(names))
            gram[t], optimum[t] = energy.gram, energy.optimum
        if not samples.shape[1]:
            # A mesh of the body alone leaves its place open: that of the source's middle is asked for.
            gram += 1.0 / len(names) ** 2
        return Problem(
            body=body,
            dt=1.0 / scaled.motion.fps,
            keypoints=body.points(tuple(self.table.keypoints[name] for name in names)),
            gram=gram,
            optimum=optimum,
            soles=body.points(tuple(point for group in self.table.contacts for point in group.points)),
            touches=touching.on,
            source_touches=touching.on,
            normal=touching.normal,
            on=touching.place,
            objects=objects,
            weights=self.rule.weights,
            acceleration=None
            if self.rule.joint_acceleration is None
            else np.full(body.nv - 6, self.rule.joint_acceleration),
            nominal=None if scaled.target is None else scaled.target.nominal,
            nominal_weight=None if scaled.target is None else scaled.target.nominal_weight,
        )

    def starts(self, problem: Problem) -> list[np.ndarray]:
        """Guesses for the first frame: home, arms and legs bent, each under the pelvis and turned as hips stand."""
        home = problem.body.home()
        bodies, offsets = problem.keypoints
        sweep = problem.body.sweep(home[None], near=False)
        own = problem.body.places(sweep, bodies, offsets)[0]
        goal = problem.optimum[0]
        mine, theirs = own - own.mean(axis=0), goal - goal.mean(axis=0)
        flat = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        a, b = mine @ flat.T, theirs @ flat.T
        yaw = float(np.arctan2(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]), np.sum(a * b)))
        lift = goal.mean(axis=0) - own.mean(axis=0)
        out = []
        for extra, pitch in ((0.0, 0.0), (np.pi, 0.0), (0.0, 0.9)):
            start = home.copy()
            start[:3] = home[:3] + lift
            half = 0.5 * (yaw + extra)
            turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
            lean = np.array([np.cos(0.5 * pitch), 0.0, np.sin(0.5 * pitch), 0.0])
            start[3:7] = np.array(
                [
                    turn[0] * lean[0],
                    -turn[3] * lean[2],
                    turn[0] * lean[2],
                    turn[3] * lean[0],
                ]
            )
            out.append(start)
        return out

    def _corners(
        self, scaled: Scaled, source: np.ndarray, objects: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mesh corners: body, and scene as the source has it, and scene as the robot has it; in the robot's world.

        Where the robot's object lies elsewhere than the source's, the source is seen from the first object that moves,
        so that its Laplacian coordinates turn with it (the paper's mesh in the object's frame).
        """
        before = object_poses(scaled.motion.objects, scaled.scene, len(source))
        samples = self._samples(scaled, source, before, None)
        if scaled.target is None:
            return source, samples, samples
        fixed = self._samples(scaled, source, objects, scaled.target)
        if not objects.shape[1]:
            return source, samples, fixed

        def carried(points: np.ndarray) -> np.ndarray:
            each = points.shape[1]
            there, here = (np.repeat(poses[:, 0], each, axis=0) for poses in (before, objects))
            return from_frame(to_frame(points.reshape(-1, 3), there), here).reshape(points.shape)

        return carried(source), carried(samples), fixed

    def _samples(self, scaled: Scaled, source: np.ndarray, objects: np.ndarray, target: Target | None) -> np.ndarray:
        """Mesh corners of the scene in the world, shape ``(frames, samples, 3)``."""
        scene, count = scaled.scene, len(source)
        if not scene.objects and not scene.ground:
            return np.empty((count, 0, 3))
        if not scene.objects:
            grid = scene.samples(0, self.rule.seed, grid=self.rule.grid)
            # The grid follows the person in whole metres, so that the mesh of a long walk does not thin out.
            shift = np.round(source[:, 0] * (1.0, 1.0, 0.0))
            return grid[None] + shift[:, None]
        moving, out = 0, []
        points = scene.samples(self.rule.samples, self.rule.seed)
        sizes = scene.sample_counts(self.rule.samples)
        start = 0
        for thing, size in zip(scene.objects, sizes, strict=True):
            drawn = points[start : start + size]
            own = np.repeat((drawn if target is None else target.mapped(thing.name, drawn))[None], count, axis=0)
            start += size
            if thing.moving:
                pose = np.repeat(objects[:, moving], size, axis=0)
                own = from_frame(own.reshape(-1, 3), pose).reshape(count, size, 3)
                moving += 1
            out.append(own)
        return np.concatenate(out, axis=1)

    def _check(self, motion: Motion, scene: Scene) -> None:
        if len(motion) < 4:
            raise MotionError("a motion needs at least four frames", where=motion.source, got=len(motion))
        names = self.keypoint_names(motion)
        if len(names) < 4:
            raise MotionError(
                "source and robot have too few keypoints in common",
                where=motion.source,
                got=", ".join(names) or "(none)",
                expected=f"at least four of {', '.join(self.table.names)}",
            )
        seen = motion.keypoints(names)
        if not np.isfinite(seen).all():
            gaps = [name for k, name in enumerate(names) if not np.isfinite(seen[:, k]).all()]
            raise MotionError(
                "keypoints have gaps or are not finite",
                where=motion.source,
                got=", ".join(gaps),
                remedy="fill the gaps before retargeting",
            )
        known = [thing.name for thing in motion.objects]
        for thing in scene.objects:
            if thing.moving:
                require_name("object with a motion", thing.name, known, where=motion.source)
        if any(not np.isfinite(np.concatenate([o.p_world_object, o.q_world_object], 1)).all() for o in motion.objects):
            raise ShapeError("an object's motion is not finite", where=motion.source)

    def _result(
        self,
        motion: Motion,
        scaled: Scaled,
        problem: Problem,
        segments: tuple[ContactSegment, ...],
        qpos: np.ndarray,
    ) -> Retargeted:
        body = problem.body
        sweep = body.sweep(qpos, problem.objects)
        places = body.places(sweep, *problem.keypoints)
        between = body.between(qpos[:-1], qpos[1:]) / problem.dt
        qvel = np.concatenate([between[:1], 0.5 * (between[1:] + between[:-1]), between[-1:]])
        off = violations(problem, qpos, sweep)
        notes = [*motion.notes, scaled.why]
        let_go = int((problem.source_touches & np.logical_not(problem.touches)).any(axis=1).sum())
        if let_go:
            notes.append(f"contact points were let go early, or set down late, in {let_go} frames at the ends of stays")
        result = Retargeted(
            robot=self.spec.name,
            fps=motion.fps,
            qpos=qpos,
            qvel=qvel,
            joint_names=body.joint_names,
            contacts=segments,
            keypoint_names=self.keypoint_names(motion),
            p_world_target=scaled.motion.keypoints(self.keypoint_names(motion)),
            p_world_keypoint=places,
            mesh_energy=problem.energy(places),
            violations=off,
            scale=scaled.factor,
            scene=scaled.robot_scene,
            objects=scaled.robot_objects,
            notes=tuple(notes),
        )
        notes += shortcomings(result)
        return replace(result, notes=tuple(notes), metrics=figures(problem, result, sweep))
