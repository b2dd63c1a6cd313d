"""LocoMan from chunks of actions to packets and bytes, and back: it stands up, reaches, stops, sinks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import UnknownNameError
from robot_stack.core.observation import Observation
from robot_stack.deploy.deployment import deployment
from robot_stack.deploy.robots import locoman
from robot_stack.hardware.state_machine import Event, State
from robot_stack.sim.control.locoman.controller import LocoManController
from robot_stack.sim.operators.locoman_press import make
from tests.deploy.locoman_parts import Led, led

LYING_M, STANDING_M = 0.08, 0.24
"""Height of the trunk at most, and at least [m]."""


def _height(robot: Led) -> float:
    return float(robot.plant.tracked()["base_position"][2])


def test_it_stands_up_moves_and_sinks(tmp_path: Path) -> None:
    with led(tmp_path, "joint_position", "tracked") as robot:
        robot.engage()
        assert robot.go(3.0, lambda: _height(robot) < LYING_M)  # limp legs give in
        robot.ask(Event.READY, State.HOLD)
        assert _height(robot) > STANDING_M
        home = np.array(robot.parts.config.start_pose)
        robot.ask(Event.ARM, State.ARMED)
        joint = robot.parts.bus.joint_names.index("1_FR_joint_1")
        goal = np.append(home[:18], (0.0, 0.0))  # the joints and the grippers' openings
        goal[joint] += 0.6
        robot.action = lambda: goal

        def there() -> bool:
            good = robot.loop.watch.good
            return good is not None and abs(good.joint_position[joint] - home[joint] - 0.6) < 0.1

        assert robot.go(4.0, there), robot.loop.status(robot.clock.now())
        robot.emulated.line.faults.silent = {5, 6, 7, 8}  # the left manipulator's cable is pulled
        assert robot.go(4.0, lambda: robot.loop.state is State.SOFT_STOP)
        assert "left manipulator" in robot.loop.latched
        robot.go(0.3)
        assert _height(robot) > STANDING_M  # the legs hold
        robot.ask(Event.DAMP, State.DAMPING)
        assert robot.go(3.0, lambda: _height(robot) < LYING_M)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["silent", "frozen", "damage"])
def test_a_go1_that_is_not_heard_is_told_to_damp(tmp_path: Path, fault: str) -> None:
    with led(tmp_path, "joint_position", "tracked") as robot:
        robot.engage()
        robot.ask(Event.READY, State.HOLD)
        robot.ask(Event.ARM, State.ARMED)
        setattr(robot.emulated.go1.faults, fault, 1.0 if fault == "damage" else True)
        assert robot.go(2.0, lambda: robot.loop.state is State.DAMPING), robot.loop.status(robot.clock.now())
        told = robot.loop.written
        assert told is not None and not told.stiffness.any() and (told.damping > 0.0).all()
        robot.go(0.5)
        servos = robot.emulated.line.servos.values()
        assert all(servo.goal.torque and servo.goal.current == 150 for servo in servos)  # the manipulators hold
        assert robot.loop.state is State.DAMPING


@pytest.mark.slow
def test_whole_body_control_by_its_own_odometry(tmp_path: Path) -> None:
    with led(tmp_path, "whole_body", "estimated") as robot:
        controller = robot.parts.controller
        assert isinstance(controller, LocoManController)
        robot.engage()
        robot.go(0.5)
        robot.ask(Event.READY, State.HOLD)
        robot.ask(Event.ARM, State.ARMED)

        def right_gripper() -> np.ndarray:
            action = controller.rest_action()
            action[0] = 3.0
            return action

        robot.action = right_gripper
        assert robot.go(8.0, lambda: controller.machine.mode == "right_gripper"), controller.machine.mode
        robot.go(5.0)  # it unfolds
        rest = controller.rest_action()
        before = _hand(robot)
        goal = rest.copy()
        goal[7:10] += (0.04, 0.0, 0.06)
        robot.action = lambda: goal
        robot.go(2.0)
        moved = _hand(robot) - before
        along = moved @ robot.plant.data.body("trunk").xmat.reshape(3, 3)  # in the trunk's axes, which is level
        np.testing.assert_allclose(along, (0.04, 0.0, 0.06), atol=0.01)
        robot.deadman = False
        assert robot.go(2.0, lambda: robot.loop.state is State.HOLD)
        robot.go(1.0)
        np.testing.assert_allclose(_hand(robot) - before, moved, atol=0.02)  # balance is kept without a driver
        assert _height(robot) > STANDING_M


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_it_stands_up_walks_to_the_post_and_presses_the_button(tmp_path: Path, seed: int) -> None:
    """The scripted operator, which knows observations alone, through chunks, loop, packets and bytes."""
    with led(tmp_path, "whole_body", "tracked", "locoman/press") as robot:
        robot.body.reset(seed)
        robot.engage()
        robot.go(0.3)
        robot.ask(Event.READY, State.HOLD)
        robot.ask(Event.ARM, State.ARMED)
        world: Any = SimpleNamespace(robot=SimpleNamespace(embodiment=robot.parts.embodiment))
        operator = make(world)
        operator.reset("", seed)
        robot.every = 1.0 / robot.parts.embodiment.control_hz
        robot.action = lambda: operator.act([Observation(robot.vector, {}, 0.0, 0)]).actions[0]
        assert robot.go(24.0, lambda: robot.plant.score()[1]), robot.loop.status(robot.clock.now())
        assert robot.loop.state is State.ARMED


def _hand(robot: Led) -> np.ndarray:
    site = robot.plant.robot.model.site("right_hand").id
    return robot.plant.data.site_xpos[site].copy()


def test_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    plain = locoman.settings({}, simulated=False)
    assert (plain.legs.address.robot, plain.legs.address.robot_port) == ("192.168.123.10", 8007)
    simulated = locoman.settings({}, simulated=True)
    assert (simulated.legs.address.robot, simulated.legs.address.robot_port) == ("127.0.0.1", 47007)
    assert simulated == locoman.settings({}, simulated=True)
    file = tmp_path / "locoman.json"
    file.write_text(json.dumps({"legs": {"power_level": 2}, "servos": {"port": "/dev/ttyUSB3"}}))
    mixed = locoman.settings({"config": str(file), "go1_address": "10.0.0.2"}, simulated=False)
    assert (mixed.legs.address.robot, mixed.legs.power_level, mixed.servos.port) == ("10.0.0.2", 2, "/dev/ttyUSB3")
    with pytest.raises(UnknownNameError, match="go1_adress"):
        locoman.settings({"go1_adress": "1.2.3.4"}, simulated=False)
    assert locoman.settings({"network_interface": "lo"}, simulated=False).legs.address.local == "127.0.0.1"
    with pytest.raises(UnknownNameError, match="network interface"):
        locoman.settings({"network_interface": "enp99"}, simulated=False)
    assert deployment("locoman") is locoman.DEPLOYMENT


def test_rest_actions_stay_but_do_not_walk() -> None:
    whole, walking = np.arange(30.0), np.arange(1.0, 6.0)
    np.testing.assert_array_equal(locoman._without_walking(whole)[:27], whole[:27])
    assert not locoman._without_walking(whole)[27:].any()
    np.testing.assert_array_equal(locoman._stand_still(walking), (0.0, 0.0, 0.0, 4.0, 5.0))
