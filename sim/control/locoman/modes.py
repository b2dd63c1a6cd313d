"""All of LocoMan's modes for one robot."""

from __future__ import annotations

from robot_stack.sim.control.locoman.bimanual import BimanualMode
from robot_stack.sim.control.locoman.body import LocoManBody
from robot_stack.sim.control.locoman.loco_manipulation import CarryConfig, LocoManipulation
from robot_stack.sim.control.locoman.manipulation import ManipulationMode
from robot_stack.sim.control.locoman.mode import Mode
from robot_stack.sim.control.locoman.stance import Stance
from robot_stack.sim.control.locoman.trot import Trot, TrotConfig
from robot_stack.sim.robots.model import RobotModel


def locoman_modes(
    robot: RobotModel, trot: TrotConfig | None = None, carry: CarryConfig | None = None
) -> dict[str, Mode]:
    """Every mode by its name, in the order of their numbers.

    Args:
        robot: LocoMan alone, compiled with no scene.
        trot: how it trots.
        carry: how it carries while trotting.
    """
    body = LocoManBody(robot)
    limbs = [
        ManipulationMode(body, limb, with_gripper=with_gripper) for with_gripper in (False, True) for limb in (0, 1)
    ]
    return {
        "stance": Stance(body),
        **{limb.name: limb for limb in limbs},
        "locomotion": Trot(robot, trot),
        "loco_manipulation": LocoManipulation(robot, trot, carry),
        "bimanual": BimanualMode(body),
    }
