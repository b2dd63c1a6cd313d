"""Where a robot's hands are, how its joints move them, and what is too near to what; the robot alone at the origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError, require_name
from robot_stack.sim.control.whole_body.rotations import rotation_vector
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec


@dataclass(frozen=True, eq=False)
class HandPoses:
    """One pose for each hand, in the frame of the robot's base."""

    p_base_hand: np.ndarray
    """Positions, shape ``(hands, 3)`` [m]."""

    R_base_hand: np.ndarray
    """Rotation matrices, shape ``(hands, 3, 3)``."""


@dataclass(frozen=True, eq=False)
class Proximity:
    """Pairs of the robot's own links that are near to each other, each by the pair's nearest points."""

    distance_m: np.ndarray
    """Shape ``(pairs,)`` [m]; negative where links overlap."""

    home_m: np.ndarray
    """The pair's distance at home where it was watched there, else infinite, shape ``(pairs,)`` [m]."""

    jacobian: np.ndarray
    """Change of each distance with the joints that move, shape ``(pairs, joints)`` [m/rad or 1]."""

    names: tuple[tuple[str, str], ...]
    """The two geoms of each pair."""

    @property
    def least_m(self) -> float:
        """The smallest distance [m]; infinite when nothing is near."""
        return float(self.distance_m.min()) if self.distance_m.size else np.inf


class HandKinematics:
    """Forward kinematics, Jacobians and distances of some hands of a robot.

    The robot is compiled alone, its base at the origin, so that every frame is the base's; a floating base counts as
    fixed. Joints that move no chosen hand stay where they are put. Collisions are between the robot's own geoms that
    may collide in the MJCF, less its excluded pairs; pairs that overlap at home are left out.

    Args:
        spec: the robot.
        hands: names of its end effectors, in the order wanted; all when empty.
        watch_m: pairs nearer than this are looked at [m]; 0 for none.

    Raises:
        ConfigError: if the robot has no end effector.
        UnknownNameError: if a hand does not exist.
    """

    def __init__(self, spec: RobotSpec, hands: tuple[str, ...] = (), *, watch_m: float = 0.05) -> None:
        self._mujoco = import_mujoco()
        known = [hand.name for hand in spec.end_effectors]
        for name in hands:
            require_name("end effector", name, known, where=f"robot {spec.name!r}")
        if not known:
            raise ConfigError(f"robot {spec.name!r} has no end effector", remedy="choose a robot that has hands")
        self.spec = spec
        self.hands = tuple(spec.end_effector(name) for name in hands or known)
        """The end effectors, in order."""
        robot = compile_robot(spec)
        self._model, self._data = robot.model, self._mujoco.MjData(robot.model)
        self._put_base_at_origin(robot.root)
        moving = {joint for hand in self.hands for joint in hand.joints}
        self.joints = np.array([i for i, name in enumerate(spec.joint_names) if name in moving])
        """Which of the spec's joints move, as indices into ``spec.joints``, shape ``(joints,)``."""
        self.low, self.high = robot.low[self.joints], robot.high[self.joints]
        """Their position limits, shape ``(joints,)`` [rad or m]."""
        self.velocity = np.array([spec.joints[i].velocity for i in self.joints])
        """Their largest speeds, shape ``(joints,)`` [rad/s or m/s]."""
        self._qpos, self._dof = robot.qpos[: len(spec.joints)], robot.dof[self.joints]
        self._all_dof, self._torque = robot.dof[: len(spec.joints)], np.zeros(self._model.nv)
        self._compensated = bool(self._model.body_gravcomp.any())
        self._data.qpos[:] = robot.home_qpos()
        if spec.base == "floating":
            self._data.qpos[robot.base_qpos] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
        self._inner = self._dof[:, None] <= self._dof[None, :]  # MuJoCo numbers a chain from the base outwards
        self._sites = [robot.site(hand.site) for hand in self.hands]
        shape = (3, self._model.nv)
        self._linear, self._angular, self._other = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._jacobian = np.zeros((6 * len(self._sites), len(self.joints)))
        self._watch_m = watch_m
        self._fromto = np.zeros(6)
        self._group = self._groups()
        self._names = [self._model.geom(geom).name for geom in range(self._model.ngeom)]
        self._bodies = self._model.geom_bodyid.tolist()
        self._home_m: dict[tuple[int, int], float] = {}
        self._watch()

    def place(self, joint_position: np.ndarray) -> None:
        """Put the joints somewhere; what is asked for next is meant there.

        Args:
            joint_position: of all joints of the spec, shape ``(len(spec.joints),)`` [rad or m].
        """
        data = self._data
        data.qpos[self._qpos] = joint_position
        self._mujoco.mj_kinematics(self._model, data)
        self._mujoco.mj_comPos(self._model, data)

    def poses(self) -> HandPoses:
        """Where the hands are."""
        data = self._data
        return HandPoses(data.site_xpos[self._sites], data.site_xmat[self._sites].reshape(-1, 3, 3))

    def errors(self, target: HandPoses) -> np.ndarray:
        """From the hands to a target: for each hand the way [m], then the rotation vector [rad], in base axes.

        Args:
            target: poses of the hands.

        Returns:
            Shape ``(hands, 6)``.
        """
        data, error = self._data, np.empty((len(self._sites), 6))
        for row, site in enumerate(self._sites):
            error[row, :3] = target.p_base_hand[row] - data.site_xpos[site]
            error[row, 3:] = rotation_vector(target.R_base_hand[row] @ data.site_xmat[site].reshape(3, 3).T)
        return error

    def jacobian(self) -> np.ndarray:
        """Linear, then angular velocity of each hand in base axes, by joint velocities; ``(6 * hands, joints)``.

        The array is written again by the next call.
        """
        for row, site in enumerate(self._sites):
            self._mujoco.mj_jacSite(self._model, self._data, self._linear, self._angular, site)
            self._jacobian[6 * row : 6 * row + 3] = self._linear[:, self._dof]
            self._jacobian[6 * row + 3 : 6 * row + 6] = self._angular[:, self._dof]
        return self._jacobian

    def bend(self, way: np.ndarray) -> np.ndarray:
        """How the motion of the hands along ``way`` bends: its second derivatives by the joints.

        A small change ``d`` of the joints moves the hands by ``J d`` plus, along ``way``, ``d^T bend d / 2``. With the
        angular and linear velocity ``w_i``, ``v_i`` that joint ``i`` gives a hand, and ``i`` nearer to the base than
        ``j``, the second derivative of the position is ``w_i x v_j``, that of the rotation vector ``w_i x w_j / 2``.

        Args:
            way: for each hand, linear and angular, in base axes, shape ``(hands, 6)``.

        Returns:
            Symmetric, shape ``(joints, joints)``; belongs to the last :meth:`jacobian`.
        """
        upper = np.zeros((len(self.joints), len(self.joints)))
        for row, (x, y, z, a, b, c) in enumerate(way.tolist()):
            linear, angular = self._jacobian[6 * row : 6 * row + 3], self._jacobian[6 * row + 3 : 6 * row + 6]
            across = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0))) @ angular
            about = np.array(((0.0, -c, b), (c, 0.0, -a), (-b, a, 0.0))) @ angular
            upper += across.T @ linear + 0.5 * (about.T @ angular)
        return np.where(self._inner, upper, upper.T)

    def weight(self) -> np.ndarray:
        """Torques that hold the robot against gravity where its joints are, shape ``(len(spec.joints),)`` [N·m or N].

        Zero where the robot's own controller does so (``gravcomp``). The base stands upright.
        """
        self._mujoco.mj_rne(self._model, self._data, 0, self._torque)
        return np.where(self._compensated, 0.0, self._torque[self._all_dof])

    def proximity(self) -> Proximity:
        """Which links are nearer than ``watch_m``, and how the joints change that.

        MuJoCo's collision detection, with half the distance as every geom's margin, names the pairs;
        ``mj_geomDistance`` measures them.
        """
        near = self._near_pairs()
        distance, home, jacobian, names = [], [], [], []
        for pair, normal in near.items():
            measured = self._mujoco.mj_geomDistance(self._model, self._data, *pair, self._watch_m, self._fromto)
            if measured < self._watch_m:
                distance.append(measured)
                home.append(self._home_m.get(pair, np.inf))
                jacobian.append(self._distance_row(pair, measured, normal))
                names.append((self._names[pair[0]], self._names[pair[1]]))
        rows = np.array(jacobian) if jacobian else np.empty((0, len(self.joints)))
        return Proximity(np.array(distance), np.array(home), rows, tuple(names))

    def _near_pairs(self) -> dict[tuple[int, int], np.ndarray]:
        if self._watch_m <= 0:
            return {}
        self._mujoco.mj_collision(self._model, self._data)
        contact, found = self._data.contact, {}
        if self._data.ncon == 0:
            return found
        for (first, second), frame in zip(contact.geom.tolist(), contact.frame, strict=True):
            pair = (first, second)
            if self._group[first] != self._group[second] and self._home_m.get(pair, 1.0) > 0.0:
                found.setdefault(pair, frame[:3])
        return found

    def _distance_row(self, pair: tuple[int, int], distance: float, normal: np.ndarray) -> np.ndarray:
        """How the joints change the distance of a pair whose nearest points are in ``_fromto``."""
        start, end = self._fromto[:3], self._fromto[3:]
        way = end - start
        length = float(np.sqrt(way @ way))
        if length > 1e-9:
            normal = way / (length if distance > 0 else -length)
        self._mujoco.mj_jac(self._model, self._data, self._linear, None, start, self._bodies[pair[0]])
        self._mujoco.mj_jac(self._model, self._data, self._other, None, end, self._bodies[pair[1]])
        return normal @ (self._other - self._linear)[:, self._dof]

    def _put_base_at_origin(self, root: int) -> None:
        self._model.body_pos[root] = 0.0
        self._model.body_quat[root] = (1.0, 0.0, 0.0, 0.0)

    def _groups(self) -> list[int]:
        """For each geom a number, the same for geoms that the moving joints do not move against each other."""
        model, chains = self._model, {}
        owner = {int(model.dof_bodyid[dof]): int(dof) for dof in self._dof}
        bodies: list[frozenset[int]] = []
        for body in range(model.nbody):
            above = bodies[model.body_parentid[body]] if body else frozenset()
            bodies.append(above | {owner[body]} if body in owner else above)
        return [chains.setdefault(bodies[body], len(chains)) for body in model.geom_bodyid]

    def _watch(self) -> None:
        """Let collision detection see pairs before they touch, and note how near they are at home."""
        model: Any = self._model
        model.geom_margin[:] = 0.5 * self._watch_m
        model.body_margin[:] = 0.5 * self._watch_m
        model.geom_gap[:] = 0.0
        self.place(self.spec.home)
        self._home_m = {
            pair: self._mujoco.mj_geomDistance(model, self._data, *pair, np.inf, None) for pair in self._near_pairs()
        }


def checked_poses(poses: HandPoses, hands: int) -> HandPoses:
    """Poses with accurate rotation matrices.

    Args:
        poses: of the hands.
        hands: how many there are.

    Raises:
        ShapeError: if an array has another shape.
        NonFiniteError: if a number is not finite, or a rotation matrix is no rotation.
    """
    position = np.asarray(poses.p_base_hand, dtype=np.float64)
    rotation = np.asarray(poses.R_base_hand, dtype=np.float64)
    if position.shape != (hands, 3) or rotation.shape != (hands, 3, 3):
        raise ShapeError(
            "target poses have the wrong shape",
            got=(position.shape, rotation.shape),
            expected=((hands, 3), (hands, 3, 3)),
        )
    if not np.isfinite(position).all() or not np.isfinite(rotation).all():
        raise NonFiniteError("a target pose is not finite", got=(position.tolist(), rotation.tolist()))
    if np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() < 1e-9 and (np.linalg.det(rotation) > 0).all():
        return HandPoses(position, rotation)
    left, size, right = np.linalg.svd(rotation)
    if not (size > 1e-6).all() or not (np.linalg.det(rotation) > 0).all():
        raise NonFiniteError("a target's rotation matrix is no rotation", got=rotation.tolist())
    return HandPoses(position, left @ right)
