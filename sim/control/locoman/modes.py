"""All of LocoMan's modes for one robot."""

from __future__ import annotations

from robot_stack.sim.control.locoman.body import LocoManBody
from robot_stack.sim.control.locoman.loco_manipulation import CarryConfig, LocoManipulation
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
    return {
        "stance": Stance(body),
        "locomotion": Trot(robot, trot),
        "loco_manipulation": LocoManipulation(robot, trot, carry),
    }
