"""The robot's geometry over whole trajectories: points, Jacobians and distances in few calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.retarget.keypoint_table import BodyPoint
from robot_stack.retarget.scene import Scene
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import compile_robot, names_of
from robot_stack.sim.robots.spec import RobotSpec


@dataclass(frozen=True, eq=False)
class Sweep:
    """What :meth:`Body.sweep` found; ``pairs`` are near pairs of geoms of all frames in a row."""

    positions: np.ndarray
    """Bodies in the world, shape ``(frames, bodies, 3)`` [m]."""

    rotations: np.ndarray
    """Likewise, shape ``(frames, bodies, 3, 3)``."""

    motion: np.ndarray
    """MuJoCo's ``cdof``: rotation and translation of every degree of freedom, ``(frames, nv, 6)``."""

    centre: np.ndarray
    """Point that :attr:`motion` speaks of, shape ``(frames, 3)`` [m]."""

    frame: np.ndarray
    """Frame of each near pair, shape ``(pairs,)``, rising."""

    geoms: np.ndarray
    """The two geoms, shape ``(pairs, 2)``."""

    distance: np.ndarray
    """Signed distance, negative when they penetrate, shape ``(pairs,)`` [m]."""

    midpoint: np.ndarray
    """Middle of the nearest points in the world, shape ``(pairs, 3)`` [m]."""

    normal: np.ndarray
    """From the first to the second geom, shape ``(pairs, 3)``."""


class Body:
    """A robot in a scene, for geometry only.

    Args:
        spec: the robot.
        scene: at the robot's scale.
        near_m: pairs of geoms farther apart than this are not reported [m].
    """

    def __init__(self, spec: RobotSpec, scene: Scene, near_m: float = 0.03) -> None:
        self.spec = spec
        self.scene = scene
        self._mujoco = import_mujoco()
        self.robot = compile_robot(spec, scene.add_to)
        self.model: Any = self.robot.model
        self.data: Any = self._mujoco.MjData(self.model)
        if spec.base != "floating":
            raise ConfigError("retargeting needs a robot with a free base", where=spec.name)
        # MuJoCo reports a pair when it is nearer than the larger of the two margins.
        self.model.geom_margin[:] = near_m
        self.nq, self.nv = int(self.model.nq), int(self.model.nv)
        self.moving = tuple(thing for thing in scene.objects if thing.moving)
        self._mocap = [int(self.model.body_mocapid[self.robot.body(f"scene_{t.name}")]) for t in self.moving]
        self._of_robot = self.model.body_rootid[self.model.geom_bodyid] == self.robot.root
        self._moves = self._ancestors()
        joints = self.model.dof_jntid[6:]
        limited = self.model.jnt_limited[joints].astype(bool)
        low, high = self.model.jnt_range[joints].T
        self.low = np.where(limited, low, -np.inf)
        self.high = np.where(limited, high, np.inf)
        speeds = {joint.name: joint.velocity for joint in spec.driven}
        self.joint_names = tuple(self.model.joint(int(j)).name for j in joints)
        self.speed = np.array([speeds.get(name, np.inf) for name in self.joint_names])

    def _ancestors(self) -> np.ndarray:
        """Which degrees of freedom move which body, shape ``(bodies, nv)``."""
        moves = np.zeros((self.model.nbody, self.nv))
        for body in range(1, self.model.nbody):
            moves[body] = moves[self.model.body_parentid[body]]
            first, count = int(self.model.body_dofadr[body]), int(self.model.body_dofnum[body])
            if count:
                moves[body, first : first + count] = 1.0
        return moves

    def home(self) -> np.ndarray:
        """The robot at home, shape ``(nq,)``."""
        return self.robot.home_qpos()

    def points(self, points: tuple[BodyPoint, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Body numbers ``(n,)`` and offsets ``(n, 3)`` of named points, for :meth:`places` and :meth:`jacobians`."""
        names = names_of(self.model, "body")
        bodies = [self.robot.body(require_name("body", p.body, names, where=self.spec.name)) for p in points]
        return np.array(bodies, dtype=np.int64), np.array([p.offset for p in points], dtype=np.float64).reshape(-1, 3)

    def sweep(self, qpos: np.ndarray, objects: np.ndarray | None = None, *, near: bool = True) -> Sweep:
        """Kinematics, and near pairs, of every frame.

        Args:
            qpos: shape ``(frames, nq)``.
            objects: poses of the objects that move (position, quaternion wxyz), shape ``(frames, objects, 7)``.
            near: whether to look for near pairs; without, there are none.
        """
        count, model, data, mujoco = len(qpos), self.model, self.data, self._mujoco
        positions, rotations = np.empty((count, model.nbody, 3)), np.empty((count, model.nbody, 9))
        motion, centre = np.empty((count, self.nv, 6)), np.empty((count, 3))
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        sizes = np.zeros(count, dtype=np.int64)
        for t in range(count):
            data.qpos[:] = qpos[t]
            if self.moving and objects is not None:
                data.mocap_pos[self._mocap] = objects[t, :, :3]
                data.mocap_quat[self._mocap] = objects[t, :, 3:]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            positions[t], rotations[t] = data.xpos, data.xmat
            motion[t], centre[t] = data.cdof, data.subtree_com[self.robot.root]
            if near:
                mujoco.mj_collision(model, data)
                pairs = data.contact
                sizes[t] = data.ncon
                if data.ncon:
                    found.append((pairs.geom.copy(), pairs.dist.copy(), pairs.pos.copy(), pairs.frame[:, :3].copy()))
        empty = (np.empty((0, 2), dtype=np.int32), np.empty(0), np.empty((0, 3)), np.empty((0, 3)))
        geoms, distance, midpoint, normal = (
            np.concatenate([f[k] for f in found]) if found else empty[k] for k in range(4)
        )
        return Sweep(
            positions,
            rotations.reshape(count, -1, 3, 3),
            motion,
            centre,
            np.repeat(np.arange(count), sizes),
            geoms,
            distance,
            midpoint,
            normal,
        )

    def of_robot(self, geoms: np.ndarray) -> np.ndarray:
        """Whether geoms belong to the robot, same shape."""
        return self._of_robot[geoms]

    def places(self, sweep: Sweep, bodies: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Points fixed to bodies, in the world, shape ``(frames, points, 3)`` [m]."""
        turned = np.einsum("tpij,pj->tpi", sweep.rotations[:, bodies], offsets)
        return sweep.positions[:, bodies] + turned

    def jacobians(self, sweep: Sweep, bodies: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Derivatives of points to the tangent of ``qpos`` (MuJoCo's ``qvel``), ``(frames, points, 3, nv)``."""
        arm = places - sweep.centre[:, None]
        turn, shift = sweep.motion[..., :3], sweep.motion[..., 3:]
        skew = np.zeros((*arm.shape, 3))
        x, y, z = arm[..., 0], arm[..., 1], arm[..., 2]
        # turn × arm as a matrix that acts on turn.
        skew[..., 0, 1], skew[..., 0, 2] = z, -y
        skew[..., 1, 0], skew[..., 1, 2] = -z, x
        skew[..., 2, 0], skew[..., 2, 1] = y, -x
        out = skew @ np.swapaxes(turn, 1, 2)[:, None]
        out += np.swapaxes(shift, 1, 2)[:, None]
        out *= self._moves[bodies][None, :, None, :]
        return out

    def distance_rows(self, sweep: Sweep, which: np.ndarray) -> np.ndarray:
        """Derivatives of the distances of near pairs, shape ``(len(which), nv)``.

        Exact although both bodies are taken at the midpoint: turning about a point on the normal does not change the
        component along it.

        Args:
            sweep: of this body.
            which: numbers of pairs.
        """
        frame, normal = sweep.frame[which], sweep.normal[which]
        moment = np.cross(sweep.midpoint[which] - sweep.centre[frame], normal)
        along = np.einsum("cvk,ck->cv", sweep.motion[frame], np.concatenate([moment, normal], axis=1))
        first, second = self.model.geom_bodyid[sweep.geoms[which]].T
        return along * (self._moves[second] - self._moves[first])

    def moved(self, qpos: np.ndarray, step: np.ndarray) -> np.ndarray:
        """``qpos`` after tangent steps, shapes ``(frames, nq)`` and ``(frames, nv)``; joints stay in their range."""
        out = qpos.copy()
        out[:, :3] += step[:, :3]
        out[:, 3:7] = turned(qpos[:, 3:7], step[:, 3:6])
        out[:, 7:] = np.clip(out[:, 7:] + step[:, 6:], self.low, self.high)
        return out

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Tangent step from one ``qpos`` to another, shape ``(frames, nv)``; inverse of :meth:`moved`."""
        return np.concatenate(
            [
                second[:, :3] - first[:, :3],
                rotation_between(first[:, 3:7], second[:, 3:7]),
                second[:, 7:] - first[:, 7:],
            ],
            axis=1,
        )


def turned(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Unit quaternions wxyz ``(n, 4)`` times the rotation by body-fixed vectors ``(n, 3)`` [rad]."""
    angle = np.linalg.norm(vector, axis=1, keepdims=True)
    half = 0.5 * angle
    axis = vector * np.where(angle > 1e-9, np.sin(half) / np.maximum(angle, 1e-9), 0.5)
    out = _product(quaternion, np.concatenate([np.cos(half), axis], axis=1))
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def rotation_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Body-fixed rotation vectors from one orientation to another, the short way, shape ``(n, 3)`` [rad]."""
    rest = _product(first * (1.0, -1.0, -1.0, -1.0), second)
    rest = rest * np.where(rest[:, :1] < 0, -1.0, 1.0)
    sine = np.linalg.norm(rest[:, 1:], axis=1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, rest[:, :1])
    return rest[:, 1:] * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)


def _product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    w, v = p[:, :1], p[:, 1:]
    s, u = q[:, :1], q[:, 1:]
    return np.concatenate([w * s - np.sum(v * u, axis=1, keepdims=True), w * u + s * v + np.cross(v, u)], axis=1)
