"""Where a robot on flat feet is, from its legs and its inertial sensor: for humanoids that measure no foot forces.

Legged odometry as of :class:`robot_stack.sim.control.locoman.estimate.LegOdometry`, for soles instead of points: the
lowest soles are taken to stand, on a level floor, without slipping. A sole that stands is an anchor: while it stays
down the position does not drift. Orientation and angular velocity are the sensor's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import RobotState
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import RobotModel, compile_robot


@dataclass(frozen=True)
class StandingConfig:
    """When a sole is believed to stand."""

    lifted_m: float = 0.015
    """A sole that is higher than the lowest one by this does not count at all [m]; in between, in part."""

    velocity_s: float = 0.006
    """Time constant of the velocity [s]: joint velocities of real robots are noisy."""

    def __post_init__(self) -> None:
        if not (self.lifted_m > 0 and self.velocity_s >= 0):
            raise ConfigError("standing odometry needs a positive height and no negative time", got=self)


class StandingOdometry:
    """Position and velocity of a base above soles that stand.

    The position begins where ``start`` says, ``(0, 0)`` on the floor by default, under the base at the reset.

    Args:
        robot: whose; the robot alone is compiled from its description.
        config: when a sole stands.
        start: where the base is above the floor at a reset, shape ``(2,)`` [m].

    Raises:
        ConfigError: if it has no feet or no floating base.
    """

    def __init__(
        self, robot: RobotModel, config: StandingConfig = StandingConfig(), start: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        spec = robot.spec
        if spec.base != "floating" or not spec.feet:
            raise ConfigError("standing odometry is for robots with feet", got=spec.name)
        self._mujoco = import_mujoco()
        self._robot = compile_robot(spec.own)
        self._data = self._mujoco.MjData(self._robot.model)
        self._data.qpos[:] = self._robot.home_qpos()
        self._feet = [self._robot.site(foot) for foot in spec.feet]
        self._jacobian = np.zeros((3, self._robot.model.nv))
        self._config, self._start = config, np.array((*start, 0.0))
        self._anchors: np.ndarray | None = None

    def reset(self, state: RobotState) -> None:
        """The robot stands still here."""
        feet, _ = self._look(state)
        self._anchors = self._start + feet
        self._anchors[:, 2] = 0.0
        self._velocity = np.zeros(3)
        self._time_s = state.time_s

    def update(self, state: RobotState) -> RobotState:
        """The state with position and velocity of the base; the first call is a reset if there was none."""
        if self._anchors is None:
            self.reset(state)
        assert self._anchors is not None
        elapsed_s, self._time_s = max(state.time_s - self._time_s, 0.0), state.time_s
        feet, speeds = self._look(state)
        above = feet[:, 2] - feet[:, 2].min()
        share = np.maximum(0.0, 1.0 - above / self._config.lifted_m)
        share /= share.sum()
        position = share @ (self._anchors - feet)
        # A lifted sole takes its anchor along, and stands from then on where it comes down.
        moved = position + feet
        moved[:, 2] = 0.0
        self._anchors += (1.0 - share / share.max())[:, None] * (moved - self._anchors)
        step = elapsed_s / (self._config.velocity_s + elapsed_s) if elapsed_s else 0.0
        self._velocity = self._velocity + step * (-share @ speeds - self._velocity)
        return replace(state, p_world_base=position, v_world_base=self._velocity.copy())

    def _look(self, state: RobotState) -> tuple[np.ndarray, np.ndarray]:
        """Of each sole seen from the base's origin, in world axes: position, ``(feet, 3)``, and velocity, likewise."""
        robot, data, mujoco = self._robot, self._data, self._mujoco
        data.qpos[robot.base_qpos] = np.concatenate((np.zeros(3), state.q_world_base))
        data.qvel[robot.base_dof] = np.concatenate((np.zeros(3), state.w_base))
        data.qpos[robot.qpos], data.qvel[robot.dof] = state.joint_position, state.joint_velocity
        mujoco.mj_kinematics(robot.model, data)
        mujoco.mj_comPos(robot.model, data)
        speeds = np.empty((len(self._feet), 3))
        for i, foot in enumerate(self._feet):
            mujoco.mj_jacSite(robot.model, data, self._jacobian, None, foot)
            speeds[i] = self._jacobian @ data.qvel
        return data.site_xpos[self._feet].copy(), speeds
