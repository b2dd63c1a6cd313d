"""Locomotion: a trot by velocity command.

A gait schedules diagonal pairs; swinging feet go to where Raibert's rule puts them ("Legged robots that balance",
1986); the standing feet's forces come from whole-body control, which keeps the trunk upright, at its height and at the
wanted velocity. Structure and figures as LocoMan's locomotion (Lin et al., arXiv 2403.18197; Human2LocoMan's software).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.joint_modes import GripperMap
from robot_stack.sim.control.locoman.footholds import FootholdConfig, Footholds
from robot_stack.sim.control.locoman.gait import Gait, GaitConfig
from robot_stack.sim.control.locoman.mode import Target
from robot_stack.sim.control.locoman.swing import swing_motion
from robot_stack.sim.control.locoman.walk import Walk, WalkConfig
from robot_stack.sim.control.whole_body.contacts import Contact
from robot_stack.sim.control.whole_body.qp import QpConfig
from robot_stack.sim.control.whole_body.rotations import quaternion_from_rpy
from robot_stack.sim.control.whole_body.tasks import OrientationTask, PositionTask, PostureTask, Task
from robot_stack.sim.control.whole_body.whole_body import WholeBodyConfig, WholeBodyController
from robot_stack.sim.robots.locoman import FOOT_RADIUS_M, LOCOMOTION_GAINS
from robot_stack.sim.robots.model import RobotModel

ARM_JOINTS = tuple(f"{prefix}_joint_{i}" for prefix in ("1_FR", "2_FL") for i in (1, 2, 3))
"""The manipulators' joints, right before left."""

LONGEST_TICK_S = 0.02
"""A tick that comes later counts for no more [s]: references do not leap after a pause."""


@dataclass(frozen=True)
class TrotConfig:
    """Everything that shapes the trot."""

    gait: GaitConfig = field(default_factory=GaitConfig)
    """Timing."""

    footholds: FootholdConfig = field(default_factory=FootholdConfig)
    """Where feet land."""

    walk: WalkConfig = field(default_factory=WalkConfig)
    """Commanded velocity and the trunk's reference."""

    swing_height_m: float = 0.06
    """Of a swinging foot above the floor [m]; LocoMan's."""

    trunk_gains: tuple[float, float] = (100.0, 10.0)
    """kp [1/s²] and kd [1/s] of the trunk's orientation and height; LocoMan's."""

    place_damping: float = 10.0
    """kd [1/s] of its horizontal velocity."""

    catch_up: float = 2.0
    """Velocity added per distance from the reference [m/s per m]."""

    foot_gains: tuple[float, float] = (400.0, 30.0)
    """The same for swinging feet."""

    touch_n: float = 15.0
    """A foot in the second half of its swing that feels this force has landed [N]."""

    full_load_n: float = 250.0
    """Most a fully loaded foot may bear [N]."""

    landed_load: float = 0.3
    """Share of that for a foot that landed before its time."""

    friction: float = 0.6
    """What the feet are trusted with; LocoMan's."""

    fold_speed: float = 1.0
    """The manipulators' joints go to their folded posture at most so fast [rad/s]."""

    folded_opening: float = 0.15
    """Grippers of folded manipulators open at most so far, 0 … 1: further, the inner jaw meets the calf."""

    leave_s: float = 0.4
    """Standing still for so long ends the mode [s]."""

    whole_body: WholeBodyConfig = field(
        default_factory=lambda: WholeBodyConfig(
            qp=QpConfig(base_weight=(10.0, 10.0, 20.0, 5.0, 5.0, 1.0)), effort_share=0.9
        )
    )
    """Whole-body control; on two feet the trunk's sideways motion gives way before its height and attitude. A tenth of
    the joints' torque is left to their own loops."""

    def __post_init__(self) -> None:
        if not (self.swing_height_m > 0 and self.full_load_n > 0 and self.leave_s >= 0):
            raise ConfigError("a trot needs a swing height and a load above zero", got=self)


class Trot:
    """The mode ``"locomotion"``.

    Args:
        robot: LocoMan alone, compiled with no scene.
        config: how it trots.
    """

    name = "locomotion"

    def __init__(self, robot: RobotModel, config: TrotConfig | None = None) -> None:
        self.config = config = TrotConfig() if config is None else config
        self._time_s = self._period_s = 0.0
        self._body = WholeBodyController(robot, config=config.whole_body)
        dynamics = self._dynamics = self._body.dynamics
        self._grippers = GripperMap(robot)
        self._gait = Gait(config.gait)
        self._feet = [dynamics.site(foot) for foot in robot.spec.feet]
        self._walk = Walk(config.walk)
        self._footholds = Footholds(config.footholds, config.gait)
        self._upright = OrientationTask(dynamics.base, *config.trunk_gains)
        self._height = PositionTask(dynamics.base, *config.trunk_gains, axes=(2,))
        self._place = PositionTask(dynamics.base, 0.0, config.place_damping, axes=(0, 1))
        self._steps = [PositionTask(foot, *config.foot_gains) for foot in self._feet]
        self._count = len(robot.spec.joints)
        self._arm = np.array([robot.spec.joint_names.index(name) for name in ARM_JOINTS])
        self._home = robot.spec.home[self._arm]
        self._posture = PostureTask(dynamics, self._home, ARM_JOINTS, kp=100.0, kd=20.0)
        self._stiffness = np.array([joint.stiffness for joint in robot.spec.driven])
        self._damping = np.array([joint.damping for joint in robot.spec.driven])
        legs = np.setdiff1d(np.arange(self._count), self._arm)
        self._stiffness[legs], self._damping[legs] = LOCOMOTION_GAINS
        self._leaving = False
        self._still_s = 0.0

    @property
    def ready(self) -> bool:
        """Velocity is served from the first tick on."""
        return not self._leaving

    @property
    def left(self) -> bool:
        """It was told to leave, and has stood still for a while."""
        return self._leaving and self._still_s >= self.config.leave_s

    def enter(self, state: RobotState) -> None:
        """Begin from standing."""
        self._leaving, self._still_s = False, 0.0
        self._time_s, self._period_s = state.time_s, 0.0
        self._body.update(state)
        self._gait.stop()
        feet = self._foot_positions()
        self._floor_m = float(np.mean(feet[:, 2]))
        self._walk.reset(self._dynamics, self._floor_m)
        self._footholds.reset(self._dynamics)
        self._lift = feet.copy()
        self._landed = np.zeros(4, dtype=bool)
        self._posture.position = self._dynamics.joint_position[self._arm].copy()

    def rest(self) -> Target:
        """Stand."""
        return Target()

    def leave(self) -> None:
        """Come to a halt with the feet under the hips and the manipulators folded."""
        self._leaving = True

    def update(self, state: RobotState, target: Target) -> JointCommand:
        """One tick of the trot."""
        self._period_s = min(max(state.time_s - self._time_s, 0.0), LONGEST_TICK_S)
        self._time_s = state.time_s
        self._body.update(state)
        feet = self._foot_positions()
        self._follow(target)
        self._schedule(feet, state.foot_force)
        command = self._body.solve(self._contacts(), self._levels(target))
        position = np.concatenate((command.position, self._grippers.joints(self._openings(target.grippers))))
        velocity, effort = np.zeros(len(position)), np.zeros(len(position))
        velocity[: self._count], effort[: self._count] = command.velocity, command.torque
        effort[self._arm] = 0.0  # the servos take positions only
        return JointCommand(position, velocity, effort, self._stiffness, self._damping)

    def _foot_positions(self) -> np.ndarray:
        return np.array([self._dynamics.position(foot) for foot in self._feet])

    def _follow(self, target: Target) -> None:
        """Move the trunk's reference along the commanded velocity."""
        wanted = np.zeros(3) if self._leaving else target.base_velocity
        walk = self._walk
        walk.advance(wanted, self._dynamics, self._period_s)
        rpy = np.zeros(3) if self._leaving else target.body_rpy
        lift = 0.0 if self._leaving else float(target.body_position[2])
        walk.pose(rpy, lift, self._floor_m, self._period_s)
        self._upright.orientation = quaternion_from_rpy(walk.rpy)
        self._upright.velocity = np.array((0.0, 0.0, walk.yaw_rate))
        self._height.position = walk.position
        # no position for the joints' own loops to pull at: on two feet they would pull the feet off the floor
        lag = walk.position - self._dynamics.position(self._dynamics.base)
        self._place.velocity = walk.velocity + self.config.catch_up * lag

    def _schedule(self, feet: np.ndarray, force: np.ndarray) -> None:
        """Let the gait go on, start or stop it, and take note of feet that leave the floor or land early."""
        gait, walk = self._gait, self._walk
        stood = gait.stands.copy()
        fine = walk.is_still and self._footholds.are_home(feet, self._dynamics)
        if gait.stepping and gait.all_stand and fine:
            gait.stop()
        elif not gait.stepping and not fine:
            gait.start()
        gait.advance(self._period_s)
        self._still_s = 0.0 if gait.stepping or not self._arms_folded() else self._still_s + self._period_s
        lifted = stood & ~gait.stands
        self._lift[lifted] = feet[lifted]
        self._landed &= ~gait.stands
        if force.size:
            self._landed |= (gait.swing > 0.5) & (force > self.config.touch_n)
        down = gait.stands & (gait.load > 0.5)
        if down.any():
            self._floor_m += 0.02 * (float(feet[down, 2].mean()) - self._floor_m)

    def _arms_folded(self) -> bool:
        return True

    def _openings(self, asked: np.ndarray) -> np.ndarray:
        """Jaws of a folded manipulator must not open against the calf."""
        return np.minimum(asked, self.config.folded_opening)

    def _contacts(self) -> list[Contact]:
        config, gait = self.config, self._gait
        most = config.full_load_n * np.where(self._landed, config.landed_load, gait.load)
        return [
            Contact(foot, FOOT_RADIUS_M, config.friction, max_force=max(float(force), 5.0))
            for foot, stands, landed, force in zip(self._feet, gait.stands, self._landed, most, strict=True)
            if stands or landed
        ]

    def _levels(self, target: Target) -> list[list[Task]]:
        swinging = [i for i in range(4) if not (self._gait.stands[i] or self._landed[i])]
        duration, height = self.config.gait.swing_s, self.config.swing_height_m
        for i in swinging:
            share = float(self._gait.swing[i])
            goal = self._footholds.goal(i, self._walk, self._dynamics, share, self._floor_m)
            motion = swing_motion(self._lift[i], goal, height, share, duration)
            step = self._steps[i]
            step.position, step.velocity, step.acceleration = motion.position, motion.velocity, motion.acceleration
        return [
            [self._upright, self._height, self._place],
            [self._steps[i] for i in swinging],
            self._arm_tasks(target),
        ]

    def _arm_tasks(self, target: Target) -> list[Task]:
        """What the manipulators do: go to their folded posture, and stay there."""
        most = self.config.fold_speed * self._period_s
        self._posture.position = self._posture.position + np.minimum(
            np.maximum(self._home - self._posture.position, -most), most
        )
        return [self._posture]
