"""What a tracking policy reads: a retargeted motion at a fixed rate, with every body's pose and velocity.

Names and shapes of the arrays are those of BeyondMimic's motion files (whole_body_tracking: ``joint_pos``,
``body_pos_w`` …), with contacts, hands' and feet's tips and objects beside them. Quaternions are wxyz.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import ShapeError
from robot_stack.retarget.body import Body, rotation_between
from robot_stack.retarget.readers.arrays import load_npz
from robot_stack.retarget.resample import new_times, resampled, resampled_quaternions
from robot_stack.retarget.result import Retargeted
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.spec import RobotSpec

RATE = 50.0
"""The rate that tracking policies read [1/s]."""


@dataclass(frozen=True, eq=False)
class TrackingReference:
    """A robot's motion, frame by frame; world axes unless something else is said."""

    robot: str
    """Name of the robot."""

    fps: float
    """Frames a second [1/s]."""

    joint_names: tuple[str, ...]
    """Of :attr:`joint_pos`."""

    body_names: tuple[str, ...]
    """Of ``body_*``: the robot's bodies, the base first."""

    tip_names: tuple[str, ...]
    """Of ``tip_*``: sites at the ends of hands, then of feet."""

    contact_names: tuple[str, ...]
    """Of :attr:`contact`."""

    surface_names: tuple[str, ...]
    """What :attr:`contact_surface` counts."""

    object_names: tuple[str, ...]
    """Of ``object_*``: the objects that move."""

    qpos: np.ndarray
    """Base position, base quaternion, joints; ``(frames, nq)`` [m, rad]."""

    qvel: np.ndarray
    """Base velocity in the world, base rate in the base's frame, joints; central differences; ``(frames, nv)``."""

    joint_pos: np.ndarray
    """Shape ``(frames, joints)`` [rad or m]."""

    joint_vel: np.ndarray
    """Likewise [rad/s or m/s]."""

    body_pos_w: np.ndarray
    """Origins of the bodies' frames, shape ``(frames, bodies, 3)`` [m]."""

    body_quat_w: np.ndarray
    """Shape ``(frames, bodies, 4)``."""

    body_lin_vel_w: np.ndarray
    """Of those origins [m/s]."""

    body_ang_vel_w: np.ndarray
    """[rad/s]."""

    tip_pos_w: np.ndarray
    """Shape ``(frames, tips, 3)`` [m]."""

    tip_quat_w: np.ndarray
    """Shape ``(frames, tips, 4)``."""

    contact: np.ndarray
    """Which group of contact points touches, shape ``(frames, groups)``, bool."""

    contact_surface: np.ndarray
    """What it touches, a number of :attr:`surface_names`; -1 for nothing; int64, likewise."""

    object_pos_w: np.ndarray
    """Shape ``(frames, objects, 3)`` [m]."""

    object_quat_w: np.ndarray
    """Shape ``(frames, objects, 4)``."""

    object_lin_vel_w: np.ndarray
    """[m/s]."""

    object_ang_vel_w: np.ndarray
    """[rad/s]."""

    checks: dict[str, float] = field(default_factory=dict)
    """What interpolation did: ``penetration_max_m``, ``self_penetration_max_m``, ``joint_speed_excess``."""

    def __len__(self) -> int:
        return len(self.qpos)


def tracking_reference(
    result: Retargeted, spec: RobotSpec, rate: float = RATE, *, contact_names: tuple[str, ...] = ()
) -> TrackingReference:
    """The result at another rate, with velocities and every body.

    Joints and the base's position follow cubic splines through the result's frames, joints within their ranges; the
    base's quaternion likewise, normalised; velocities are central differences of that.

    Args:
        result: what was retargeted.
        spec: its robot.
        rate: wanted [1/s].
        contact_names: order of the contact groups; those of the result, sorted, when left out.

    Raises:
        ShapeError: if the robot is another one.
    """
    body = Body(spec, result.scene)
    if result.qpos.shape[1] != body.nq or result.joint_names != body.joint_names:
        raise ShapeError(
            "the result is of another robot",
            where=spec.name,
            got=f"{result.robot}, {len(result.joint_names)} joints",
            expected=f"{len(body.joint_names)} joints: {', '.join(body.joint_names)}",
        )
    qpos = _resampled_qpos(result, body, rate)
    qvel = _central(lambda a, b: body.between(qpos[a], qpos[b]), len(qpos), rate)
    things = {thing.name: thing for thing in result.objects}
    names = tuple(thing.name for thing in result.scene.objects if thing.moving and thing.name in things)
    place, turn = (
        _stack([resampled(things[n].p_world_object, result.fps, rate) for n in names], len(qpos), 3),
        _stack([resampled_quaternions(things[n].q_world_object, result.fps, rate) for n in names], len(qpos), 4),
    )
    groups = contact_names or tuple(sorted({segment.group for segment in result.contacts}))
    touching, surface, surfaces = _contacts(result, groups, new_times(len(result), result.fps, rate))
    return TrackingReference(
        robot=result.robot,
        fps=rate,
        joint_names=result.joint_names,
        contact_names=groups,
        surface_names=surfaces,
        object_names=names,
        qpos=qpos,
        qvel=qvel,
        joint_pos=qpos[:, 7:],
        joint_vel=qvel[:, 6:],
        contact=touching,
        contact_surface=surface,
        object_pos_w=place,
        object_quat_w=turn,
        object_lin_vel_w=_central(lambda a, b: place[b] - place[a], len(qpos), rate),
        object_ang_vel_w=_world_rates(turn, rate),
        checks=_checks(body, qpos, np.concatenate([place, turn], axis=2), rate),
        **_bodies(body, spec, qpos, qvel),
    )


def write_reference(path: str | Path, reference: TrackingReference) -> None:
    """Write a reference as one NPZ, atomically.

    Raises:
        StorageError: if the file system refuses; what was there before stays.
    """
    arrays = {e.name: getattr(reference, e.name) for e in fields(reference)}
    arrays["checks"] = json.dumps(reference.checks)
    for name in [n for n in arrays if n.endswith("_names")]:
        arrays[name] = np.array(arrays[name], dtype=np.str_)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_reference(path: str | Path) -> TrackingReference:
    """Read what :func:`write_reference` wrote.

    Raises:
        MotionError: if the file cannot be read.
        ShapeError: if it is no reference.
    """
    arrays = load_npz(Path(path))
    missing = [e.name for e in fields(TrackingReference) if e.name not in arrays]
    if missing:
        raise ShapeError("a file is no reference for tracking", where=path, expected=f"arrays {', '.join(missing)}")
    values: dict[str, Any] = {e.name: arrays[e.name] for e in fields(TrackingReference)}
    for name in [n for n in values if n.endswith("_names")]:
        values[name] = tuple(map(str, values[name]))
    plain = {"robot": str(values["robot"]), "fps": float(values["fps"]), "checks": json.loads(str(values["checks"]))}
    return TrackingReference(**{**values, **plain})


def _resampled_qpos(result: Retargeted, body: Body, rate: float) -> np.ndarray:
    if rate == result.fps:
        return result.qpos
    flat = resampled(np.concatenate([result.qpos[:, :3], result.qpos[:, 7:]], axis=1), result.fps, rate)
    turn = resampled_quaternions(result.qpos[:, 3:7], result.fps, rate)
    joints = np.clip(flat[:, 3:], body.low, body.high)
    return np.concatenate([flat[:, :3], turn, joints], axis=1)


def _central(step: Callable[[slice, slice], np.ndarray], frames: int, rate: float) -> np.ndarray:
    """Central differences, one-sided at the ends, of steps between slices of frames [1/s]."""
    forward = step(slice(0, frames - 1), slice(1, frames)) * rate
    return np.concatenate([forward[:1], 0.5 * (forward[1:] + forward[:-1]), forward[-1:]])


def _world_rates(turn: np.ndarray, rate: float) -> np.ndarray:
    """Angular velocities in the world of quaternions ``(frames, things, 4)`` [rad/s]."""
    out = np.zeros((*turn.shape[:2], 3))
    for i in range(turn.shape[1]):
        q = turn[:, i]
        out[:, i] = _rotated(q, _central(lambda a, b, q=q: rotation_between(q[a], q[b]), len(q), rate))
    return out


def _rotated(quaternion: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors ``(frames, 3)`` turned by quaternions ``(frames, 4)``."""
    w, v = quaternion[:, :1], quaternion[:, 1:]
    cross = np.cross(v, vectors)
    return vectors + 2.0 * (w * cross + np.cross(v, cross))


def _stack(parts: list[np.ndarray], frames: int, size: int) -> np.ndarray:
    return np.stack(parts, axis=1) if parts else np.zeros((frames, 0, size))


def _contacts(
    result: Retargeted, groups: tuple[str, ...], times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """By the nearest frame of the result: whether each group touches, and what."""
    surfaces = tuple(sorted({segment.surface for segment in result.contacts}))
    touching = np.full((len(result), len(groups)), -1, dtype=np.int64)
    for segment in result.contacts:
        if segment.group in groups:
            touching[segment.start : segment.stop, groups.index(segment.group)] = surfaces.index(segment.surface)
    nearest = np.minimum(np.rint(times * result.fps).astype(np.int64), len(result) - 1)
    return touching[nearest] >= 0, touching[nearest], surfaces


def _bodies(body: Body, spec: RobotSpec, qpos: np.ndarray, qvel: np.ndarray) -> dict[str, Any]:
    mujoco, model = import_mujoco(), body.model
    data = mujoco.MjData(model)
    numbers = [b for b in range(model.nbody) if model.body_rootid[b] == body.robot.root]
    tips = (*(hand.site for hand in spec.end_effectors), *spec.feet)
    sites = [body.robot.site(name) for name in tips]
    place, turn = np.empty((len(qpos), len(numbers), 3)), np.empty((len(qpos), len(numbers), 4))
    velocity, tip, tip_turn = np.empty((len(qpos), len(numbers), 6)), [], np.empty((len(qpos), len(sites), 4))
    kind, one = mujoco.mjtObj.mjOBJ_XBODY.value, np.zeros(6)
    for t in range(len(qpos)):
        data.qpos[:], data.qvel[:] = qpos[t], qvel[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        place[t], turn[t] = data.xpos[numbers], data.xquat[numbers]
        tip.append(data.site_xpos[sites].copy())
        for i, site in enumerate(sites):
            mujoco.mju_mat2Quat(tip_turn[t, i], data.site_xmat[site])
        for i, number in enumerate(numbers):
            mujoco.mj_objectVelocity(model, data, kind, number, one, 0)
            velocity[t, i] = one
    return {
        "body_names": tuple(model.body(b).name for b in numbers),
        "tip_names": tips,
        "body_pos_w": place,
        "body_quat_w": turn,
        "body_lin_vel_w": velocity[..., 3:],
        "body_ang_vel_w": velocity[..., :3],
        "tip_pos_w": np.array(tip).reshape(len(qpos), len(sites), 3),
        "tip_quat_w": tip_turn,
    }


def _checks(body: Body, qpos: np.ndarray, objects: np.ndarray, rate: float) -> dict[str, float]:
    sweep = body.sweep(qpos, objects)
    both = np.asarray(body.of_robot(sweep.geoms).all(axis=1), dtype=bool)
    speed = np.abs(np.diff(qpos[:, 7:], axis=0)) * rate

    def depth(which: np.ndarray) -> float:
        return float(max(0.0, -np.min(sweep.distance[which], initial=0.0)))

    return {
        "penetration_max_m": depth(np.logical_not(both)),
        "self_penetration_max_m": depth(both),
        "joint_speed_excess": float(np.max(np.maximum(speed - body.speed, 0.0), initial=0.0)),
    }
