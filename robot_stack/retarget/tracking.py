"""Is a retargeted motion one that physics allows? A replay in MuJoCo under the robot's own joint controllers.

Nothing balances here: joints follow the motion by PD (and, where wanted, by torques from inverse dynamics), the base
is free. A humanoid falls under this sooner or later, also in motions that a tracking policy follows well; how long it
lasts compares motions and retargeters, and is no verdict on one. With the base held, what is left says whether the
joints themselves can follow: torques, speeds, gains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.body import Body, rotation_between
from robot_stack.retarget.feed_forward import feed_forward
from robot_stack.retarget.keypoint_table import KeypointTable
from robot_stack.retarget.motion import ObjectMotion
from robot_stack.retarget.result import Retargeted
from robot_stack.retarget.scene import GROUND, SceneObject, add_hull
from robot_stack.sim.rates import divide
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.spec import RobotSpec


@dataclass(frozen=True)
class TrackingRule:
    """How to replay, and what counts as following."""

    servo_hz: float = 500.0
    """Rate at which targets are written [1/s]; an exact divisor of the physics rate."""

    feed_forward: bool = True
    """Whether torques of inverse dynamics are added."""

    hold_base: bool = False
    """Whether the base is moved along the motion, so that nothing can fall."""

    base_m: float = 0.25
    """Bound of the base's distance from the motion [m]; BeyondMimic ends episodes at 0.25 m of height."""

    tilt_rad: float = 0.8
    """Bound of the base's rotation away from it [rad]; likewise 0.8."""

    joint_rad: float = 0.5
    """Bound of the largest joint's distance from it [rad or m]."""

    object_m: float = 0.3
    """Bound of an object's distance from its path [m]."""

    object_density: float = 150.0
    """Of objects that move [kg/m³]; a parcel's."""

    object_friction: float = 1.0
    """Sliding friction of objects."""

    stop: bool = True
    """Whether to end when a bound is broken."""

    longest_s: float = 120.0
    """Of longer motions only the beginning is replayed [s]."""

    def __post_init__(self) -> None:
        lengths = (self.base_m, self.tilt_rad, self.joint_rad, self.object_m, self.longest_s)
        if min(self.servo_hz, self.object_density, *lengths) <= 0 or self.object_friction < 0:
            raise ConfigError("rates and bounds of a replay must be positive", got=self)


@dataclass(frozen=True, eq=False)
class TrackingReport:
    """What a replay found; arrays are by servo tick, as far as it went."""

    duration_s: float
    """Of what was to be followed [s]."""

    held_s: float
    """Until the first bound was broken; the duration when none was [s]."""

    broken: str
    """Which bound: ``"base"``, ``"tilt"``, ``"joints"``, ``"object NAME"``, ``"physics"`` (it blew up), or empty."""

    time_s: np.ndarray
    """Of each tick [s]."""

    base_m: np.ndarray
    """The base's distance from the motion [m]."""

    tilt_rad: np.ndarray
    """Its rotation away from it [rad]."""

    joint_rms: np.ndarray
    """Root mean square over the joints of their distance from it [rad or m]."""

    joint_max: np.ndarray
    """The largest joint's [rad or m]."""

    object_m: np.ndarray
    """The farthest object's distance from its path; zero without objects [m]."""

    saturated: np.ndarray
    """Share of joints at their largest effort."""

    missing_n: float
    """Mean force that the base would need beyond what contacts can give [N]; NaN without feed-forward."""

    qpos: np.ndarray
    """The robot as it really moved, in the motion's order, shape ``(ticks, nq)``."""

    @property
    def share(self) -> float:
        """Of the motion that was followed."""
        return self.held_s / self.duration_s if self.duration_s > 0 else 1.0

    def summary(self) -> dict[str, Any]:
        """Figures by name, as plain data: seconds, metres, radians, newtons."""
        return {
            "duration_s": round(self.duration_s, 3),
            "held_s": round(self.held_s, 3),
            "share": round(self.share, 4),
            "broken": self.broken,
            "base_max_m": round(float(self.base_m.max(initial=0.0)), 4),
            "tilt_max_rad": round(float(self.tilt_rad.max(initial=0.0)), 4),
            "joint_rms_rad": round(float(np.sqrt(np.mean(self.joint_rms**2))) if len(self.joint_rms) else 0.0, 4),
            "joint_max_rad": round(float(self.joint_max.max(initial=0.0)), 4),
            "object_max_m": round(float(self.object_m.max(initial=0.0)), 4),
            "saturated_share": round(float(self.saturated.mean()) if len(self.saturated) else 0.0, 4),
            "missing_force_n": round(self.missing_n, 1) if np.isfinite(self.missing_n) else None,
        }

    def text(self) -> str:
        """In a few sentences."""
        end = f"{self.broken} left its bound" if self.broken else "no bound was broken"
        lines = [
            f"followed {self.held_s:.2f} s of {self.duration_s:.2f} s ({100 * self.share:.0f} %): {end}",
            f"joints off by {np.degrees(np.sqrt(np.mean(self.joint_rms**2))):.1f}° (root mean square), "
            f"{100 * self.saturated.mean():.1f} % of them at their largest effort",
        ]
        if np.isfinite(self.missing_n):
            lines.append(f"contacts cannot give {self.missing_n:.0f} N of what the base needs, on average")
        return "\n".join(lines)


class TrackingReplay:
    """Replays motions of one robot.

    Args:
        spec: the robot, with its own gains.
        table: its contact groups, for feed-forward.
        rule: settings.

    Example:
        >>> report = TrackingReplay(UNITREE_G1, KEYPOINT_TABLES["unitree_g1"])(result)
        >>> report.held_s, report.broken
    """

    def __init__(self, spec: RobotSpec, table: KeypointTable, rule: TrackingRule = TrackingRule()) -> None:
        self.spec, self.table, self.rule = spec, table, rule
        self._mujoco = import_mujoco()
        self._substeps = divide(1.0 / spec.physics_timestep_s, rule.servo_hz, "physics rate", "servo rate")

    def __call__(self, result: Retargeted) -> TrackingReport:
        """Replay one motion from its first frame.

        Raises:
            ConfigError: if it is another robot's motion.
        """
        if result.robot != self.spec.name:
            raise ConfigError("a motion is another robot's", got=result.robot, expected=self.spec.name)
        frames = int(self.rule.longest_s * result.fps) + 1
        result = result if len(result) <= frames else _beginning(result, frames)
        robot = compile_robot(self.spec, lambda made: self._furnish(made, result))
        torques, missing = np.zeros((len(result), len(result.joint_names))), float("nan")
        if self.rule.feed_forward:
            torques, lacking = feed_forward(Body(self.spec, result.scene), result, self.table)
            missing = float(lacking.mean())
        return _Run(robot, result, torques, missing, self.rule, self._substeps).report()

    def _furnish(self, made: Any, result: Retargeted) -> None:
        """The scene, with what moves as a free body."""
        kinds = self._mujoco.mjtGeom
        if result.scene.ground:
            made.worldbody.add_geom(name=f"scene_{GROUND}", type=kinds.mjGEOM_PLANE, size=(0, 0, 0.1))
        for thing in result.scene.objects:
            body = made.worldbody
            if thing.moving:
                body = made.worldbody.add_body(name=f"scene_{thing.name}")
                body.add_freejoint(name=f"scene_{thing.name}")
            geom = add_hull(made, body, thing)
            geom.density = self.rule.object_density
            geom.friction[0] = self.rule.object_friction


def _beginning(result: Retargeted, frames: int) -> Retargeted:
    """The first frames, as far as a replay needs them."""
    objects = tuple(
        ObjectMotion(thing.name, thing.p_world_object[:frames], thing.q_world_object[:frames])
        for thing in result.objects
    )
    return replace(result, qpos=result.qpos[:frames], qvel=result.qvel[:frames], objects=objects)


class _Run:
    """One replay."""

    def __init__(
        self,
        robot: RobotModel,
        result: Retargeted,
        torques: np.ndarray,
        missing: float,
        rule: TrackingRule,
        substeps: int,
    ) -> None:
        self._mujoco = import_mujoco()
        self._robot, self._result, self._rule, self._substeps = robot, result, rule, substeps
        self._missing = missing
        self._data = self._mujoco.MjData(robot.model)
        columns = [result.joint_names.index(name) for name in robot.spec.driven_names]
        self._joints = np.array(columns, dtype=np.int64)
        self._torques = torques[:, self._joints]
        self._stiffness = np.array([joint.stiffness for joint in robot.spec.driven])
        self._damping = np.array([joint.damping for joint in robot.spec.driven])
        self._effort = np.array([joint.effort for joint in robot.spec.driven])
        model = robot.model
        self._free: list[tuple[SceneObject, int]] = [
            (thing, int(model.joint(f"scene_{thing.name}").qposadr[0]))
            for thing in result.scene.objects
            if thing.moving
        ]
        self._paths = {thing.name: thing for thing in result.objects}
        # The order of the motion: base, then joints; the model's may have objects before or behind it.
        dofs = [model.joint(name) for name in result.joint_names]
        base = np.arange(robot.base_qpos.start, robot.base_qpos.stop)
        self._qpos = np.concatenate([base, [int(j.qposadr[0]) for j in dofs]]).astype(np.int64)
        base = np.arange(robot.base_dof.start, robot.base_dof.stop)
        self._qvel = np.concatenate([base, [int(j.dofadr[0]) for j in dofs]]).astype(np.int64)

    def report(self) -> TrackingReport:
        result, rule, data = self._result, self._rule, self._data
        duration = (len(result) - 1) / result.fps
        ticks = round(duration * rule.servo_hz)
        self._start()
        rows: list[tuple[float, ...]] = []
        path: list[np.ndarray] = []
        broken, held = "", duration
        for tick in range(ticks):
            self._drive(tick / rule.servo_hz)
            for _ in range(self._substeps):
                self._mujoco.mj_step(self._robot.model, data)
            now = (tick + 1) / rule.servo_hz
            if not np.isfinite(data.qpos).all():
                broken, held = broken or "physics", min(held, now) if not broken else held
                break
            row, which = self._measure(now)
            rows.append((now, *row))
            path.append(data.qpos[self._qpos].copy())
            if which and not broken:
                broken, held = which, now
                if rule.stop:
                    break
        table = np.array(rows).reshape(len(rows), 7)
        return TrackingReport(
            duration, held, broken, *table.T, missing_n=self._missing, qpos=np.array(path).reshape(len(rows), -1)
        )

    def _start(self) -> None:
        data, model = self._data, self._robot.model
        self._mujoco.mj_resetData(model, data)
        data.qpos[self._qpos], data.qvel[self._qvel] = self._result.qpos[0], self._result.qvel[0]
        for thing, start in self._free:
            path = self._paths[thing.name]
            data.qpos[start : start + 3], data.qpos[start + 3 : start + 7] = (
                path.p_world_object[0],
                path.q_world_object[0],
            )
        self._mujoco.mj_forward(model, data)

    def _drive(self, time: float) -> None:
        """Targets of this moment for every joint; the base too, where it is held."""
        qpos, qvel, torque = self._at(time)
        joints = qpos[7:][self._joints], qvel[6:][self._joints]
        self._data.ctrl[self._robot.actuator] = torque + self._stiffness * joints[0] + self._damping * joints[1]
        if self._rule.hold_base:
            self._data.qpos[self._qpos[:7]], self._data.qvel[self._qvel[:6]] = qpos[:7], qvel[:6]

    def _at(self, time: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The motion between its frames."""
        result = self._result
        at = min(time * result.fps, len(result) - 1.0)
        first = min(int(at), len(result) - 2)
        share = at - first
        a, b = result.qpos[first], result.qpos[first + 1]
        qpos = (1 - share) * a + share * (b if a[3:7] @ b[3:7] >= 0 else np.concatenate([b[:3], -b[3:7], b[7:]]))
        qpos[3:7] /= np.linalg.norm(qpos[3:7])
        between = [(1 - share) * v[first] + share * v[first + 1] for v in (result.qvel, self._torques)]
        return qpos, between[0], between[1]

    def _measure(self, time: float) -> tuple[tuple[float, ...], str]:
        """Distances from the motion, and the first bound that is broken."""
        rule, data = self._rule, self._data
        wanted, have = self._at(time)[0], data.qpos[self._qpos]
        base = float(np.linalg.norm(have[:3] - wanted[:3]))
        tilt = float(np.linalg.norm(rotation_between(have[None, 3:7], wanted[None, 3:7])))
        off = np.abs(have[7:] - wanted[7:])[self._joints]
        apart = {thing.name: self._object_off(thing, start, time) for thing, start in self._free}
        force = np.abs(data.actuator_force[self._robot.actuator])
        saturated = float((force >= 0.999 * self._effort).mean())
        checks = [("base", base, rule.base_m), ("tilt", tilt, rule.tilt_rad), ("joints", off.max(), rule.joint_rad)]
        checks += [(f"object {name}", value, rule.object_m) for name, value in apart.items()]
        broken = next((name for name, value, bound in checks if value > bound), "")
        farthest = max(apart.values(), default=0.0)
        return (base, tilt, float(np.sqrt(np.mean(off**2))), float(off.max()), farthest, saturated), broken

    def _object_off(self, thing: SceneObject, start: int, time: float) -> float:
        path = self._paths[thing.name].p_world_object
        at = min(time * self._result.fps, len(path) - 1.0)
        first = min(int(at), len(path) - 2)
        wanted = path[first] + (at - first) * (path[first + 1] - path[first])
        return float(np.linalg.norm(self._data.qpos[start : start + 3] - wanted))
