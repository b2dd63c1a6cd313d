"""The G1 on a flat floor, driven as the simulated robot drives it; for tests of its balance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from robot_stack.sim.control.g1_balance import LEFT, RIGHT, BalanceConfig, G1Balance
from robot_stack.sim.control.whole_body.rotations import matrix_of, rotation_vector
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from robot_stack.sim.scene import add_room

mujoco: Any = import_mujoco()
TICK = 0.002
AHEAD = (1.0, 0.0, 0.0, 0.0)
"""Fingers forward, thumb up."""


def table_and_box(mass: float) -> Callable[[Any], None]:
    """A table before the robot, its top at 0.75 m, with a box of 20 x 24 x 20 cm on it."""

    def furnish(made: Any) -> None:
        box = mujoco.mjtGeom.mjGEOM_BOX
        made.worldbody.add_geom(name="table", type=box, size=(0.17, 0.35, 0.375), pos=(0.48, 0.0, 0.375))
        body = made.worldbody.add_body(name="box", pos=(0.43, 0.0, 0.85))
        body.add_freejoint()
        body.add_geom(name="box", type=box, size=(0.10, 0.12, 0.10), mass=mass, friction=(0.8, 0.005, 0.0001))

    return furnish


class G1Floor:
    """One robot with its controller, at home; every tick is checked."""

    def __init__(
        self,
        spec: RobotSpec = UNITREE_G1,
        config: BalanceConfig | None = None,
        furnish: Callable[[Any], None] | None = None,
        *,
        with_height: bool = False,
    ) -> None:
        def scene(made: Any) -> None:
            add_room(made)
            if furnish is not None:
                furnish(made)

        self.robot: RobotModel = compile_robot(spec, scene)
        self.model, self.data = self.robot.model, mujoco.MjData(self.robot.model)
        self.senses = RobotSenses(self.robot)
        self.controller = G1Balance(self.robot, config, with_height=with_height)
        self.effort = np.array([joint.effort for joint in spec.driven])
        self.reset()

    def reset(self) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.robot.model.qpos0
        self.data.qpos[:] = self.robot.home_qpos()
        mujoco.mj_forward(self.model, self.data)
        self.action = self.controller.reset(self.senses.state(self.data))
        self.start = 0.5 * (self.data.site("left_foot").xpos + self.data.site("right_foot").xpos)
        self.largest_share = 0.0
        self.touching: set[tuple[str, str]] = set()

    def ask(self, left: Any = None, right: Any = None) -> None:
        """Hands to positions in the stance frame, fingers forward."""
        for hand, position in ((LEFT, left), (RIGHT, right)):
            if position is not None:
                self.action[hand] = (*position, *AHEAD)

    def run(self, seconds: float, push: Callable[[float], Any] | None = None, body: str = "torso_link") -> None:
        """Run on; ``push`` gives the force on a body's centre of mass at a time since now."""
        pushed = self.robot.body(body)
        for tick in range(round(seconds / TICK)):
            state = self.senses.state(self.data)
            if tick % 10 == 0:
                self.controller.begin(self.action, state)
            command = self.controller.update(state)
            control = command.effort + command.stiffness * command.position + command.damping * command.velocity
            torque = control - command.stiffness * state.joint_position - command.damping * state.joint_velocity
            assert np.isfinite(control).all()
            if not self.controller.fallen:
                self.largest_share = max(self.largest_share, float(np.abs(torque[:29] / self.effort[:29]).max()))
                assert (command.position[:29] >= self.robot.low[:29]).all()
                assert (command.position[:29] <= self.robot.high[:29]).all()
            self.data.ctrl[self.robot.actuator] = control
            self.data.xfrc_applied[pushed, :3] = 0.0 if push is None else push(tick * TICK)
            mujoco.mj_step(self.model, self.data)
            if tick % 25 == 0:
                self.touching |= self.self_contacts()
        self.data.xfrc_applied[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def self_contacts(self) -> set[tuple[str, str]]:
        """Pairs of the robot's own geoms that touch."""
        root, found = self.robot.root, set()
        for contact in self.data.contact:
            pair = (contact.geom1, contact.geom2)
            if all(self.model.body_rootid[self.model.geom_bodyid[g]] == root for g in pair):
                found.add((self.model.geom(pair[0]).name, self.model.geom(pair[1]).name))
        return found

    def hand(self, side: str) -> np.ndarray:
        """In the stance frame; the feet of these tests begin with their middle ahead of the world's origin."""
        return self.data.site(f"{side}_hand").xpos - self.start

    def errors(self) -> np.ndarray:
        """Of the left and the right hand's position [m]."""
        asked = self.action[LEFT][:3], self.action[RIGHT][:3]
        hands = self.hand("left"), self.hand("right")
        return np.array([np.linalg.norm(a - b) for a, b in zip(asked, hands, strict=True)])

    def turned(self) -> np.ndarray:
        """Angle between each hand and how it was asked to be turned [rad]."""
        angles = []
        for hand, side in ((LEFT, "left"), (RIGHT, "right")):
            asked, is_ = matrix_of(self.action[hand][3:]), self.data.site(f"{side}_hand").xmat.reshape(3, 3)
            angles.append(float(np.linalg.norm(rotation_vector(asked @ is_.T))))
        return np.array(angles)

    @property
    def stands(self) -> bool:
        """On both feet, upright."""
        return not self.controller.fallen and bool(self.data.qpos[2] > 0.4)
