"""The robot that whole-body control is tested on."""

from __future__ import annotations

import pytest

from robot_stack.sim.robots.model import RobotModel, compile_robot
from tests.sim.control.whole_body.quadruped import spec_of


@pytest.fixture(scope="session")
def robot(tmp_path_factory: pytest.TempPathFactory) -> RobotModel:
    return compile_robot(spec_of(tmp_path_factory.mktemp("quadruped")))
