"""Human motion in, robot motion out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.errors import ConfigError, ShapeError, require_name
from robot_stack.retarget.anchors import Anchors, Touching, surfaces
from robot_stack.retarget.body import Body
from robot_stack.retarget.contacts import ContactRule, detect, object_poses
from robot_stack.retarget.frame_pass import FramePass, FrameRule
from robot_stack.retarget.interaction import MeshRule, mesh_energies
from robot_stack.retarget.keypoint_table import KeypointTable
from robot_stack.retarget.metrics import figures, shortcomings, violations
from robot_stack.retarget.motion import Motion, MotionError
from robot_stack.retarget.problem import Problem, Weights
from robot_stack.retarget.progress import Listener, StepProgress, unheard
from robot_stack.retarget.result import ContactSegment, Retargeted
from robot_stack.retarget.scaling import Scaled, scale_all, scale_limbs
from robot_stack.retarget.scene import Scene
from robot_stack.retarget.starts import starts
from robot_stack.retarget.trajectory_pass import TrajectoryPass, TrajectoryRule
from robot_stack.sim.robots.spec import RobotSpec

EMPTY = Scene()
"""Nothing but the ground."""


@dataclass(frozen=True)
class RetargetRule:
    """Everything that can be set."""

    mesh: MeshRule = MeshRule()
    """The interaction mesh."""

    joint_acceleration: float | None = None
    """Largest acceleration of any joint, if it is to be limited [rad/s², m/s²]."""

    second_pass: bool = True
    """Whether to smooth the whole trajectory and to hold contacts in place."""

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

    def __call__(
        self,
        motion: Motion,
        scene: Scene = EMPTY,
        scaled: Scaled | None = None,
        listen: Listener = unheard,
    ) -> Retargeted:
        """Retarget a motion.

        Args:
            motion: the source, without gaps, z up, metres.
            scene: at the source's size.
            scaled: instead of :func:`~robot_stack.retarget.scaling.scale_all`.
            listen: told how far it is.

        Raises:
            MotionError: if there are fewer than four frames, gaps, or fewer than four keypoints in common.
        """
        self.check(motion, scene)
        scaled = scale_all(motion, scene, self.table) if scaled is None else scaled
        segments = detect(motion, scene, self.table.contacts, self.rule.contact)
        problem = self.problem(scaled, surfaces(scaled, segments, self.table.contacts), listen=listen)
        qpos = FramePass(problem, self.rule.frame).solve(starts(problem), listen)
        if not self.rule.second_pass:
            return self._judged(motion, scaled, problem, segments, qpos)
        anchors = self.anchors(scaled, problem, segments)
        second = TrajectoryPass(problem, anchors, self.rule.trajectory)
        qpos = second.solve(qpos, listen)
        listen(StepProgress("check"))
        segments = anchors.segments(second.places, second.problem.touches)
        return self.result(motion, scaled, second.problem, segments, qpos)

    def judge(self, motion: Motion, scene: Scene, qpos: np.ndarray) -> Retargeted:
        """Any other motion of the robot, with the figures that this one's would have.

        Contact points are measured from where they are on average over each stay.

        Args:
            motion: the source.
            scene: at the source's size.
            qpos: of the robot, shape ``(frames, nq)``.
        """
        self.check(motion, scene)
        scaled = scale_all(motion, scene, self.table)
        segments = detect(motion, scene, self.table.contacts, self.rule.contact)
        problem = self.problem(scaled, surfaces(scaled, segments, self.table.contacts))
        return self._judged(motion, scaled, problem, segments, qpos)

    def _judged(
        self, motion: Motion, scaled: Scaled, problem: Problem, segments: tuple[ContactSegment, ...], qpos: np.ndarray
    ) -> Retargeted:
        anchors = self.anchors(scaled, problem, segments)
        soles = problem.body.places(problem.body.sweep(qpos, problem.objects, near=False), *problem.soles)
        places = anchors.fit(soles)
        problem = replace(problem, on=anchors.world(places))
        return self.result(motion, scaled, problem, anchors.segments(places, problem.touches), qpos)

    def anchors(self, scaled: Scaled, problem: Problem, segments: tuple[ContactSegment, ...]) -> Anchors:
        """Places of all stays."""
        touching = Touching(problem.touches, problem.normal, problem.on)
        return Anchors(scaled, segments, self.table.contacts, touching)

    def scaled_by_limbs(self, motion: Motion, scene: Scene = EMPTY) -> Scaled:
        """A motion with the robot's own bone lengths, to be given to a call instead of one factor for all."""
        body = Body(self.spec, Scene(ground=False))
        sweep = body.sweep(body.home()[None], near=False)
        places = body.places(sweep, *body.points(tuple(self.table.keypoints[name] for name in self.table.names)))
        return scale_limbs(motion, scene, self.table, dict(zip(self.table.names, places[0], strict=True)))

    def keypoint_names(self, motion: Motion) -> tuple[str, ...]:
        """Keypoints that source and robot have."""
        return tuple(name for name in self.table.names if name in motion.keypoint_names)

    def problem(
        self,
        scaled: Scaled,
        touching: Touching,
        body: Body | None = None,
        energies: tuple[np.ndarray, np.ndarray] | None = None,
        listen: Listener = unheard,
    ) -> Problem:
        """What the passes solve.

        Args:
            scaled: the motion and its scene.
            touching: its contacts.
            body: the robot in that scene, if there is one already.
            energies: of :func:`~robot_stack.retarget.interaction.mesh_energies`, likewise.
            listen: told how far it is.
        """
        names, rule, target = self.keypoint_names(scaled.motion), self.rule, scaled.target
        body = Body(self.spec, scaled.robot_scene) if body is None else body
        gram, optimum = mesh_energies(scaled, names, rule.mesh, listen) if energies is None else energies
        limit = None if rule.joint_acceleration is None else np.full(body.nv - 6, rule.joint_acceleration)
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
            objects=object_poses(scaled.robot_objects, scaled.scene, len(scaled.motion)),
            weights=rule.weights,
            acceleration=limit,
            nominal=None if target is None else target.nominal,
            nominal_weight=None if target is None else target.nominal_weight,
        )

    def check(self, motion: Motion, scene: Scene) -> None:
        """Refuse what cannot be retargeted.

        Raises:
            MotionError: if there are fewer than four frames, gaps, or fewer than four keypoints in common.
        """
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

    def result(
        self,
        motion: Motion,
        scaled: Scaled,
        problem: Problem,
        segments: tuple[ContactSegment, ...],
        qpos: np.ndarray,
    ) -> Retargeted:
        """A robot's motion with all its figures, computed anew."""
        body = problem.body
        sweep = body.sweep(qpos, problem.objects)
        places = body.places(sweep, *problem.keypoints)
        between = body.between(qpos[:-1], qpos[1:]) / problem.dt
        qvel = np.concatenate([between[:1], 0.5 * (between[1:] + between[:-1]), between[-1:]])
        off = violations(problem, qpos, sweep)
        notes = [*motion.notes, *self.table.unshared(motion.keypoint_names), scaled.why]
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
