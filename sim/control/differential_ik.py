"""Differential inverse kinematics: one small step of the joints towards poses of the hands.

Each step solves one quadratic programme for the joints' change ``d`` within a period, as mink does (Zakka 2024), here
written directly on DAQP (Arnström, Bemporad and Axehill 2022)::

    minimise    |W (J d - e)|^2 + mu |d - d0|^2
    subject to  low - q <= d <= high - q,  |d| <= velocity * period,
                -n J_n d <= share * (distance - clearance)   for every pair of links that is near

- ``e`` is the way to the target, shortened to what hands may do in one period; a radian counts as
  ``rotation_weight_m``. Position and rotation are shortened by the same factor: they arrive together, on a straight
  line, and where the target cannot be reached the nearest pose does not depend on the shortening.
- ``mu`` is a damping times ``|e|``: what Gauss and Newton neglect is the curvature of the kinematics times the error
  that remains (compare Sugihara, T-RO 2011, whose damping grows with the error squared). Convergence near a reachable
  target stays quadratic.
- ``d0`` leads to the posture, in the null space of ``J``: it costs no accuracy of the hands.

Each step is tried on the exact kinematics. Where they depart from the linear model (at singularities, out of reach),
the hands would be farther away than before, or links nearer than allowed, the programme is solved again with more
damping; if none will do, nothing moves. So there is no overshoot and no oscillation. Joints never move farther than
their speed allows, so an arm never jumps from one branch of solutions to another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError, MissingExtraError, NonFiniteError, ShapeError
from robot_stack.sim.control.hand_kinematics import HandKinematics, HandPoses, Proximity
from robot_stack.sim.robots.spec import RobotSpec

_BOUND = 1e30
_ENOUGH = 3e-4
_ROUGH = 2e-5


@dataclass(frozen=True)
class IkConfig:
    """Weights and limits of differential inverse kinematics."""

    linear_speed: float = 1.0
    """Largest speed at which a hand is led to its target [m/s]."""

    angular_speed: float = 3.0
    """Likewise [rad/s]."""

    rotation_weight_m: float = 0.25
    """An error of one radian counts as much as one of so many metres; small: position comes first."""

    damping_m: tuple[float, ...] = (0.01, 0.3, 3.0, 30.0)
    """Damping per error, tried one after the other until a step does no harm [m]. The second is about the curvature of
    an arm's kinematics: how far a hand's path bends away from its tangent, per radian squared."""

    least_damping: float = 1e-5
    """Damping that is always there [m²]."""

    trust: float = 0.3
    """A step is taken when the exact motion of the hands differs from the linear model's by at most this share."""

    posture_rate: float = 0.5
    """How fast the posture is approached where the hands leave freedom [1/s]; 0 for not at all."""

    velocity_share: float = 1.0
    """Share of the joints' largest speeds that is used, in (0, 1]."""

    clearance_m: float = 0.01
    """Links of the robot come no nearer to each other than this [m]."""

    spare_m: float = 0.002
    """Pairs are led to this much more than the clearance, so that links can slide past each other [m]."""

    watch_m: float = 0.05
    """Pairs nearer than this are looked at [m]; 0: collisions are not looked at."""

    approach_share: float = 0.5
    """A pair may use up this share of the distance it has left in one step, in (0, 1]."""

    def __post_init__(self) -> None:
        positive = (self.linear_speed, self.angular_speed, self.rotation_weight_m, self.least_damping, self.trust)
        shares = (self.velocity_share, self.approach_share)
        if not all(0 < value < np.inf for value in positive) or not all(0 < share <= 1 for share in shares):
            raise ConfigError("speeds, weights and shares of inverse kinematics must be positive", got=self)
        least = min(self.posture_rate, self.clearance_m, self.spare_m, self.watch_m, *self.damping_m, 0.0)
        if least < 0 or not self.damping_m:
            raise ConfigError("a setting of inverse kinematics is negative or missing", got=self)
        if 0 < self.watch_m <= self.clearance_m + self.spare_m:
            raise ConfigError("pairs must be watched from farther away than the clearance", got=self)


@dataclass(frozen=True, eq=False)
class IkStep:
    """Where the joints go, and what is left to do."""

    joint_position: np.ndarray
    """Of all joints of the spec, shape ``(len(spec.joints),)`` [rad or m]; finite, and within limits where the hands'
    joints are concerned."""

    position_error_m: np.ndarray
    """Distance of each hand to its target after the step, shape ``(hands,)`` [m]."""

    rotation_error_rad: np.ndarray
    """Angle of each hand to its target after the step, shape ``(hands,)`` [rad]."""

    largest_change: float
    """Of any joint in this step [rad or m]; 0 where every step would have done harm."""


class DifferentialIk:
    """Leads the hands of a robot towards poses, step by step.

    Args:
        spec: the robot.
        period_s: time of one step [s].
        hands: which end effectors; all when empty.
        config: weights and limits.
        posture: where to go in the null space, shape ``(len(spec.joints),)``; the robot's home when left out.

    Raises:
        ConfigError: if the period is not positive or the robot has no hands.
        MissingExtraError: if DAQP is not installed.
        UnknownNameError: if a hand does not exist.
    """

    def __init__(
        self,
        spec: RobotSpec,
        period_s: float,
        hands: tuple[str, ...] = (),
        config: IkConfig | None = None,
        posture: np.ndarray | None = None,
    ) -> None:
        try:
            import daqp
        except ImportError as error:
            raise MissingExtraError("inverse kinematics", extra="sim", package="daqp") from error
        if not 0 < period_s < np.inf:
            raise ConfigError("inverse kinematics needs a positive period", got=period_s)
        self._daqp = daqp.solve
        self.config = IkConfig() if config is None else config
        self.kinematics = HandKinematics(spec, hands, watch_m=self.config.watch_m)
        """Where the hands are; its state is where the last step or :meth:`forward` left it."""
        self.period_s = period_s
        kinematics = self.kinematics
        self._size = len(spec.joints)
        self._joints = kinematics.joints
        self._reach = self.config.velocity_share * kinematics.velocity * period_s
        self._posture = (spec.home if posture is None else self._checked(posture))[self._joints]
        count = len(kinematics.hands)
        weight = np.ones((count, 6))
        weight[:, 3:] = self.config.rotation_weight_m
        self._weight = weight
        self._identity = np.eye(len(self._joints))
        self._at = np.full(self._size, np.nan)
        self._near: Proximity = Proximity(np.empty(0), np.empty((0, len(self._joints))), ())

    def forward(self, joint_position: np.ndarray) -> HandPoses:
        """Where the hands are.

        Args:
            joint_position: of all joints of the spec, shape ``(len(spec.joints),)`` [rad or m].

        Raises:
            ShapeError: if it has another shape.
            NonFiniteError: if it is not finite.
        """
        self._place(self._checked(joint_position))
        return self.kinematics.poses()

    def step(self, joint_position: np.ndarray, target: HandPoses) -> IkStep:
        """One step towards a target.

        Args:
            joint_position: of all joints of the spec, shape ``(len(spec.joints),)`` [rad or m]; the last step's answer
                when a target is followed (what is measured lags behind). Outside the limits, it is led back.
            target: poses of the hands. Rotation matrices need not be accurate; they are made so.

        Raises:
            ShapeError: if an array has another shape.
            NonFiniteError: if a number is not finite, or a rotation matrix is no rotation.
        """
        start = self._checked(joint_position)
        target = checked_poses(target, len(self.kinematics.hands))
        self._place(start)
        near, poses, jacobian = self._near, self.kinematics.poses(), self.kinematics.jacobian().copy()
        error = self.kinematics.errors(target)
        for rung, damping in enumerate(self.config.damping_m):
            change = self._programme(start, error, jacobian, near, damping, posture=rung < 2)
            taken = self._try(start, change, target, error, poses, jacobian, near)
            if taken is not None:
                return taken
        self._place(start)
        return _step(start.copy(), error, 0.0)

    def reach(
        self,
        joint_position: np.ndarray,
        target: HandPoses,
        max_steps: int = 500,
        position_m: float = 1e-4,
        rotation_rad: float = 1e-3,
        still: float = 1e-6,
    ) -> IkStep:
        """Step until the target is reached, nothing moves any more, or the steps are used up.

        Args:
            joint_position: where to start, as in :meth:`step`.
            target: poses of the hands.
            max_steps: at most so many steps.
            position_m: near enough [m].
            rotation_rad: near enough [rad].
            still: a change of the joints that is no motion [rad or m].

        Returns:
            The last step; its errors say whether the target was reached.
        """
        taken = self.step(joint_position, target)
        for _ in range(max_steps - 1):
            done = taken.position_error_m.max() <= position_m and taken.rotation_error_rad.max() <= rotation_rad
            if done or taken.largest_change < still:
                break
            taken = self.step(taken.joint_position, target)
        return taken

    def _checked(self, joint_position: np.ndarray) -> np.ndarray:
        joints = np.asarray(joint_position, dtype=np.float64)
        if joints.shape != (self._size,):
            raise ShapeError("joint positions have the wrong shape", got=joints.shape, expected=(self._size,))
        if not np.isfinite(joints).all():
            names = self.kinematics.spec.joint_names
            bad = [name for name, ok in zip(names, np.isfinite(joints), strict=True) if not ok]
            raise NonFiniteError("joint positions are not finite", got=", ".join(bad))
        return joints

    def _place(self, joint_position: np.ndarray) -> None:
        if not np.array_equal(joint_position, self._at):
            self.kinematics.place(joint_position)
            self._near = self.kinematics.proximity()
            self._at = np.array(joint_position)

    def _programme(
        self, start: np.ndarray, error: np.ndarray, jacobian: np.ndarray, near: Proximity, damping: float, posture: bool
    ) -> np.ndarray:
        """The change of the joints that move, shape ``(joints,)``."""
        config, weight = self.config, self._weight
        wanted = (weight * self._shortened(error)).reshape(-1)
        weighted = weight.reshape(-1)[:, None] * jacobian
        mu = config.least_damping + damping * float(np.sqrt(wanted @ wanted))
        quadratic = weighted.T @ weighted
        quadratic.flat[:: len(quadratic) + 1] += mu
        linear = -weighted.T @ wanted
        if posture and config.posture_rate > 0:
            linear -= mu * self._towards_posture(start[self._joints], weighted)
        low, high = self._interval(start[self._joints])
        rows = near.jacobian
        spare = near.distance_m - config.clearance_m - config.spare_m
        room = config.approach_share * np.maximum(spare, -config.spare_m)
        upper, sense = (
            np.concatenate((high, np.full(len(rows), _BOUND))),
            np.zeros(len(low) + len(rows), dtype=np.int32),
        )
        for room_left in (room, np.maximum(room, 0.0)):  # leading pairs apart may be impossible; staying is not
            lower = np.concatenate((low, -room_left))
            found, _, flag, _ = self._daqp(quadratic, linear, rows, upper, lower, sense)
            if flag >= 1 and np.isfinite(found).all():
                return np.minimum(np.maximum(found, low), high)
        return np.minimum(np.maximum(0.0, low), high)

    def _shortened(self, error: np.ndarray) -> np.ndarray:
        """The part of the way that hands may go in one period, position and rotation by the same factor."""
        squares = error * error
        linear = np.sqrt(squares[:, :3].sum(axis=1)) / (self.config.linear_speed * self.period_s)
        angular = np.sqrt(squares[:, 3:].sum(axis=1)) / (self.config.angular_speed * self.period_s)
        return error / np.maximum(np.maximum(linear, angular), 1.0)[:, None]

    def _towards_posture(self, joints: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
        """A step towards the posture that moves no hand."""
        share = min(1.0, self.config.posture_rate * self.period_s)
        wanted = np.minimum(np.maximum(share * (self._posture - joints), -self._reach), self._reach)
        gram = jacobian @ jacobian.T
        gram.flat[:: len(gram) + 1] += 1e-6
        return wanted - jacobian.T @ np.linalg.solve(gram, jacobian @ wanted)

    def _interval(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest change that keep position and velocity limits; outside them, back as fast as allowed."""
        kinematics, reach = self.kinematics, self._reach
        low = np.minimum(np.maximum(kinematics.low - joints, -reach), reach)
        high = np.maximum(np.minimum(kinematics.high - joints, reach), -reach)
        return low, high

    def _try(
        self,
        start: np.ndarray,
        change: np.ndarray,
        target: HandPoses,
        before: np.ndarray,
        poses: HandPoses,
        jacobian: np.ndarray,
        near: Proximity,
    ) -> IkStep | None:
        """The step, if it does no harm."""
        kinematics, joints = self.kinematics, start.copy()
        moved = joints[self._joints] + change
        outside = self._outside(start)
        if not outside:  # rounding must not carry a joint over its limit
            moved = np.minimum(np.maximum(moved, kinematics.low), kinematics.high)
        joints[self._joints] = moved
        self._place(joints)
        after = kinematics.errors(target)
        if not outside:
            linear = (jacobian @ change).reshape(before.shape)
            bent = self._distance(kinematics.errors(poses) + linear)
            if bent > self.config.trust * self._distance(linear) + _ROUGH:
                return None
            if self._distance(after) > max(self._distance(before) * (1 + 1e-9), _ENOUGH):
                return None
            if self._near.least_m < min(self.config.clearance_m, near.least_m) - 1e-9:
                return None
        return _step(joints, after, float(np.abs(change).max()))

    def _distance(self, error: np.ndarray) -> float:
        weighted = self._weight * error
        return float(np.sqrt((weighted * weighted).sum()))

    def _outside(self, joint_position: np.ndarray) -> bool:
        joints, kinematics = joint_position[self._joints], self.kinematics
        return bool(((joints < kinematics.low) | (joints > kinematics.high)).any())


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


def _step(joint_position: np.ndarray, error: np.ndarray, largest_change: float) -> IkStep:
    squares = error * error
    return IkStep(
        joint_position, np.sqrt(squares[:, :3].sum(axis=1)), np.sqrt(squares[:, 3:].sum(axis=1)), largest_change
    )
