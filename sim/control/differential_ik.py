"""Differential inverse kinematics: one small step of the joints towards poses of the hands.

Each step solves one quadratic programme for the joints' change ``d`` within a period, as mink does (Zakka 2024), here
written directly on DAQP (Arnström, Bemporad and Axehill 2022)::

    minimise    |W (J d - e)|^2 - d^T B d + mu |d - d0|^2
    subject to  low - q <= d <= high - q,  |d| <= velocity * period,
                -n J_n d <= share * (distance - clearance)   for every pair of links that is near

- ``e`` is the way to the target, shortened to what hands may do in one period; a radian counts as
  ``rotation_weight_m``. Position and rotation are shortened by the same factor: they arrive together, on a straight
  line, and where the target cannot be reached the nearest pose does not depend on the shortening.
- ``B`` is how the hands' motion bends along the part of ``e`` that will remain, which Gauss and Newton neglect: without
  it arms chatter at singularities and out of reach. Directions that would bend away are made convex.
- ``mu`` is a damping times ``|e|`` (compare Sugihara, T-RO 2011); convergence near a reachable target stays quadratic.
- ``d0`` leads to the posture, in the null space of ``J``: it costs no accuracy of the hands.

Each step is tried on the exact kinematics. Where it brings much less than the programme promised, or links nearer than
allowed, the programme is solved again with more damping; if none will do, nothing moves. The distance that is left
never grows. Joints never move farther than their speed allows, so an arm never jumps from one branch of solutions to
another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError, MissingExtraError, NonFiniteError, ShapeError
from robot_stack.sim.control.hand_kinematics import HandKinematics, HandPoses, Proximity, checked_poses
from robot_stack.sim.robots.spec import RobotSpec

_BOUND = 1e30
_ENOUGH = 3e-4
_BENT = 0.1


@dataclass(frozen=True)
class IkConfig:
    """Weights and limits of differential inverse kinematics."""

    linear_speed: float = 1.0
    """Largest speed at which a hand is led to its target [m/s]."""

    angular_speed: float = 3.0
    """Likewise [rad/s]."""

    rotation_weight_m: float = 0.25
    """An error of one radian counts as much as one of so many metres; small: position comes first."""

    damping_m: tuple[float, ...] = (0.003, 0.1, 1.0, 10.0)
    """Damping per error, tried one after the other until a step does no harm [m]."""

    least_damping: float = 1e-5
    """Damping that is always there [m²]."""

    kept_promise: float = 0.5
    """A step is taken when it brings at least this share of what the programme promised, in (0, 1)."""

    posture_rate: float = 0.5
    """How fast the posture is approached where the hands leave freedom [1/s]; 0 for not at all."""

    velocity_share: float = 1.0
    """Share of the joints' largest speeds that is used, in (0, 1]."""

    clearance_m: float = 0.01
    """Links of the robot come no nearer to each other than this [m], or than at home less :attr:`spare_m`."""

    spare_m: float = 0.002
    """Pairs are led to this much more than the clearance, so that links can slide past each other [m]."""

    watch_m: float = 0.05
    """Pairs nearer than this are looked at [m]; 0: collisions are not looked at."""

    approach_share: float = 0.5
    """A pair may use up this share of the distance it has left in one step, in (0, 1]."""

    def __post_init__(self) -> None:
        positive = (self.linear_speed, self.angular_speed, self.rotation_weight_m, self.least_damping)
        shares = (self.velocity_share, self.approach_share, self.kept_promise)
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


@dataclass(frozen=True, eq=False)
class _Local:
    """What is known at the start of a step."""

    joints: np.ndarray
    """Of all joints of the spec."""

    poses: HandPoses
    error: np.ndarray
    """To the target, ``(hands, 6)``."""

    way: np.ndarray
    """The part of it that is asked for now, weighted, flat."""

    jacobian: np.ndarray
    """Weighted likewise."""

    bend: np.ndarray
    near: Proximity
    outside: bool
    """A joint is outside its limits."""

    def promise(self, change: np.ndarray) -> float:
        """By how much the squared distance to ``way`` falls, by the quadratic model."""
        left = self.way - self.jacobian @ change
        return float(self.way @ self.way - left @ left + change @ self.bend @ change)


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
        self._near: Proximity = self.kinematics.proximity()

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
        local = self._look(start, target)
        for rung, damping in enumerate(self.config.damping_m):
            taken = self._try(local, self._programme(local, damping, posture=rung < 2), target)
            if taken is not None:
                return taken
        self._place(start)
        return _step(start.copy(), local.error, 0.0)

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

    def _look(self, start: np.ndarray, target: HandPoses) -> _Local:
        self._place(start)
        kinematics, weight = self.kinematics, self._weight
        error, moving = kinematics.errors(target), start[self._joints]
        way = weight * self._shortened(error)
        jacobian = weight.reshape(-1)[:, None] * kinematics.jacobian()
        outside = bool(((moving < kinematics.low) | (moving > kinematics.high)).any())
        way = way.reshape(-1)
        gram = jacobian @ jacobian.T
        gram.flat[:: len(gram) + 1] += _BENT * float(np.sqrt(way @ way)) + self.config.least_damping
        remains = way - jacobian @ (jacobian.T @ np.linalg.solve(gram, way))
        bend = kinematics.bend(weight * remains.reshape(weight.shape))
        return _Local(start, kinematics.poses(), error, way, jacobian, bend, self._near, outside)

    def _programme(self, local: _Local, damping: float, *, posture: bool) -> np.ndarray:
        """The change of the joints that move, shape ``(joints,)``."""
        config, way, near = self.config, local.way, local.near
        moving = local.joints[self._joints]
        mu = config.least_damping + damping * float(np.sqrt(way @ way))
        quadratic = _convex(local.jacobian.T @ local.jacobian - local.bend, mu)
        linear = -local.jacobian.T @ way
        if posture and config.posture_rate > 0:
            linear -= mu * self._towards_posture(moving, local.jacobian)
        low, high = self._interval(moving)
        rows = near.jacobian
        room = config.approach_share * np.maximum(near.distance_m - self._wanted_m(near), -config.spare_m)
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

    def _try(self, local: _Local, change: np.ndarray, target: HandPoses) -> IkStep | None:
        """The step, if it does no harm."""
        kinematics, joints = self.kinematics, local.joints.copy()
        moved = joints[self._joints] + change
        if not local.outside:  # rounding must not carry a joint over its limit
            moved = np.minimum(np.maximum(moved, kinematics.low), kinematics.high)
        joints[self._joints] = moved
        self._place(joints)
        after = kinematics.errors(target)
        if not local.outside and not (self._is_progress(local, change, after) and self._is_apart(local)):
            return None
        return _step(joints, after, float(np.abs(change).max()))

    def _is_progress(self, local: _Local, change: np.ndarray, after: np.ndarray) -> bool:
        """Whether the hands are near already, or the exact motion keeps what the programme promised."""
        left = self._distance(after)
        if left <= _ENOUGH:
            return True
        remains = local.way + (self._weight * self.kinematics.errors(local.poses)).reshape(-1)
        brought = float(local.way @ local.way - remains @ remains)
        kept = brought >= self.config.kept_promise * local.promise(change) - 1e-12
        return kept and left <= self._distance(local.error) * (1 + 1e-9)

    def _is_apart(self, local: _Local) -> bool:
        return self._breach(self._near) <= max(self._breach(local.near), 0.0) + 1e-9

    def _wanted_m(self, near: Proximity) -> np.ndarray:
        """Distance that pairs are led to; those that are nearer at home may be as near as there."""
        return np.minimum(self.config.clearance_m + self.config.spare_m, near.home_m)

    def _breach(self, near: Proximity) -> float:
        """How much nearer the worst pair is than allowed [m]; negative when all are apart."""
        allowed = self._wanted_m(near) - self.config.spare_m
        return float((allowed - near.distance_m).max(initial=-np.inf))

    def _distance(self, error: np.ndarray) -> float:
        weighted = self._weight * error
        return float(np.sqrt((weighted * weighted).sum()))


def _convex(quadratic: np.ndarray, least: float) -> np.ndarray:
    """A convex form: itself with ``least`` on the diagonal, or with the size of its eigenvalues, at least ``least``."""
    damped = quadratic.copy()
    damped.flat[:: len(damped) + 1] += least
    try:
        np.linalg.cholesky(damped)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(quadratic)
        return (vectors * np.maximum(np.abs(values), least)) @ vectors.T
    return damped


def _step(joint_position: np.ndarray, error: np.ndarray, largest_change: float) -> IkStep:
    squares = error * error
    return IkStep(
        joint_position, np.sqrt(squares[:, :3].sum(axis=1)), np.sqrt(squares[:, 3:].sum(axis=1)), largest_change
    )
