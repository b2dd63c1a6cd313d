"""An emulated G1 in simulated time, and a bus on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.unitree_g1.bus import G1Bus
from robot_stack.hardware.unitree_g1.direct import DirectLink
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatedG1
from robot_stack.hardware.unitree_g1.stance import STANCE_DAMPING, STANCE_STIFFNESS
from robot_stack.sim.joint_plant import MujocoPlant


def hold_at(pose: np.ndarray) -> JointCommand:
    """Stand in a pose."""
    zero = np.zeros(29)
    return JointCommand(pose, zero, zero, STANCE_STIFFNESS, STANCE_DAMPING)


@dataclass
class Rig:
    """An emulated robot in simulated time, and a bus on it."""

    plant: MujocoPlant
    robot: EmulatedG1
    link: DirectLink
    bus: G1Bus

    @property
    def home(self) -> np.ndarray:
        return np.array([joint.home for joint in self.plant.robot.spec.driven])

    def hold(self, pose: np.ndarray | None = None) -> JointCommand:
        return hold_at(self.home if pose is None else pose)

    def run(self, seconds: float, command: JointCommand | None = None) -> None:
        for _ in range(round(seconds * 500)):
            if command is not None:
                self.bus.write(command)
            self.link.sleep_until(self.link.now() + 0.002)
            self.bus.read()

    def stand(self) -> None:
        """From hanging limp to standing on its own in its home pose."""
        start = self.bus.read()
        assert start is not None
        for tick in range(400):
            share = min(1.0, tick / 300)
            self.run(0.002, self.hold(start.joint_position + share * (self.home - start.joint_position)))
        self.run(0.5, self.hold())


Maker = Callable[..., Rig]
