"""The G1 from chunks of actions to the bytes of its commands, and back: it stands, reaches, stops, sinks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.deployment import deployment
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.deploy.robots import unitree_g1
from robot_stack.hardware.state_machine import Event, State
from robot_stack.hardware.unitree_g1.emulated_faults import parse_faults
from robot_stack.hardware.unitree_g1.layout import COMMAND
from robot_stack.hardware.unitree_g1.remote import Remote
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task
from tests.deploy.g1_parts import Led


def standing() -> Led:
    """Armed at the start of its task, the hands where they are."""
    robot = Led("g1/button")
    robot.arm()
    robot.go(0.1)
    action = robot.sent
    robot.action = lambda: action
    robot.go(0.3)
    assert robot.loop.state is State.ARMED, robot.loop.status(robot.link.now())
    return robot


def test_it_stands_by_itself_reaches_and_sinks() -> None:
    robot = standing()
    assert robot.height > 0.7
    assert robot.action is not None
    goal = robot.action().copy()
    goal[:3] += (0.10, 0.04, 0.08)
    before = robot.hand()
    robot.action = lambda: goal
    robot.go(2.5)
    moved = robot.hand() - before
    heading = robot.plant.read().q_world_base
    assert heading is not None
    yaw = 2.0 * math.atan2(heading[3], heading[0])
    forward = np.array((math.cos(yaw), math.sin(yaw), 0.0))
    left = np.array((-math.sin(yaw), math.cos(yaw), 0.0))
    np.testing.assert_allclose((moved @ forward, moved @ left, moved[2]), (0.10, 0.04, 0.08), atol=0.02)
    status = robot.loop.status(robot.link.now())
    assert status.state == "ARMED" and not status.faults and status.chunks_accepted > 20
    # nobody holds the switch any more: the balance is kept, the hand stays
    robot.deadman = False
    assert robot.go(0.5, lambda: robot.loop.state is State.HOLD)
    robot.go(1.0)
    np.testing.assert_allclose(robot.hand() - before, moved, atol=0.02)
    robot.ask(Event.DAMP, State.DAMPING)
    robot.link.sent.clear()
    assert robot.go(3.0, lambda: robot.height < 0.4)
    motors = [COMMAND.read(data)["motor_cmd"][:29] for data in robot.link.sent]
    assert len(motors) > 100 and all((m["kd"] == 8.0).all() and not m["kp"].any() for m in motors)


def _mostly_slow(usual: tuple[str, ...], others: tuple[str, ...]) -> list[Any]:
    return [*usual, *(pytest.param(each, marks=pytest.mark.slow) for each in others)]


@pytest.mark.parametrize("fault", _mostly_slow(("motor_error=9",), ("hot_winding=3", "battery=10", "machine=6")))
def test_a_robot_that_is_upright_and_heard_holds_when_something_is_wrong(fault: str) -> None:
    robot = standing()
    robot.robot.inject(parse_faults([fault]))
    assert robot.go(1.0, lambda: robot.loop.state in (State.SOFT_STOP, State.ESTOP))
    robot.robot.inject({} if fault != "machine=6" else robot.robot.faults)
    robot.go(1.0)
    assert robot.height > 0.7
    assert robot.loop.state is not State.ARMED


@pytest.mark.parametrize(
    "fault", _mostly_slow(("w_last", "freeze"), ("nan_imu", "zero_quaternion", "drop=-1", "wrong_checksum"))
)
def test_a_robot_that_is_not_known_to_stand_is_damped_without_end(fault: str) -> None:
    robot = standing()
    robot.robot.inject(parse_faults([fault]))
    began = robot.link.now()
    assert robot.go(0.3, lambda: robot.loop.state is State.DAMPING or _damped(robot)), robot.loop.state
    assert robot.link.now() - began < 0.12, "no longer than states may be old, and three periods"
    robot.link.sent.clear()
    robot.go(0.5)
    motors = [COMMAND.read(data)["motor_cmd"][:29] for data in robot.link.sent]
    assert len(motors) == 250, "damping is told at every period"
    assert all(not m["kp"].any() and not m["tau"].any() and (m["kd"] > 0).all() for m in motors)


def test_one_bad_state_stops_a_robot_but_does_not_let_it_fall() -> None:
    robot = standing()
    robot.robot.inject({"nan_imu": 1.0})
    robot.go(0.004)
    robot.robot.inject({})
    robot.go(2.0)
    assert robot.loop.state is State.SOFT_STOP and robot.height > 0.7
    robot.ask(Event.RESET, State.HOLD)
    robot.ask(Event.ARM, State.ARMED)


def _damped(robot: Led) -> bool:
    return not COMMAND.read(robot.link.sent[-1])["motor_cmd"]["kp"].any()


def test_the_remote_control_leads_it() -> None:
    robot = Led("g1/stand")
    robot.deadman = False
    robot.engage()
    robot.go(0.1)
    robot.robot.remote = Remote(frozenset({"start"}))
    assert robot.go(4.0, lambda: robot.loop.state is State.HOLD)
    robot.go(0.5)
    robot.robot.remote = Remote(frozenset({"A"}))
    robot.go(0.1)
    assert robot.loop.state is State.HOLD, "nobody holds a deadman switch"
    robot.robot.remote = Remote(frozenset({"R1"}))
    robot.go(0.02)
    robot.robot.remote = Remote(frozenset({"R1", "A"}))
    assert robot.go(0.1, lambda: robot.loop.state is State.ARMED), robot.loop.status(robot.link.now())
    robot.robot.remote = Remote()
    assert robot.go(0.1, lambda: robot.loop.state is State.HOLD)
    robot.robot.remote = Remote(frozenset({"select"}))
    assert robot.go(0.1, lambda: robot.loop.state is State.DAMPING)


def test_arms_alone_while_its_own_motion_control_stands() -> None:
    robot = Led("g1/stand", "tracked", mode="joint_position", arms=True)
    robot.engage()
    robot.go(0.1)
    robot.ask(Event.READY, State.HOLD)
    robot.ask(Event.ARM, State.ARMED)
    pose = np.array(robot.parts.config.start_pose)
    pose[18] += 0.4
    robot.action = lambda: pose
    robot.go(2.0)
    seen = robot.plant.read().joint_position
    assert seen[18] == pytest.approx(pose[18], abs=0.06)
    assert robot.height > 0.74 and robot.robot.motion == "ai"
    robot.loop.inputs.ask(Event.ESTOP)
    robot.go(0.5)
    assert robot.height > 0.74
    assert COMMAND.read(robot.link.sent[-1])["motor_cmd"]["kp"][18] > 0.0, "arms are held, not dropped"


def test_parameters() -> None:
    assert deployment("unitree_g1") is unitree_g1.DEPLOYMENT
    plain = unitree_g1.settings({}, simulated=False)
    assert (plain.domain, plain.machines, plain.wait_s) == (0, (5,), 10.0)
    changed = unitree_g1.settings(
        {"machines": [5, 11], "protection": {"tilt_rad": 0.5}, "network_interface": "eth0", "wait_s": 2.0},
        simulated=True,
    )
    assert (changed.machines, changed.protection.tilt_rad, changed.protection.gyro_speed) == ((5, 11), 0.5, 6.0)
    assert changed.wait_s == 2.0
    with pytest.raises(UnknownNameError, match="network_interface"):
        unitree_g1.settings({"network_interfase": "eth0"}, simulated=False)
    for wrong in ({"domain": 300}, {"protection": {"tilt_rad": 0.0}}, {"servo": 1}):
        with pytest.raises((ConfigError, UnknownNameError)):
            unitree_g1.settings(wrong, simulated=False)
    with pytest.raises(UnknownNameError, match="raedy"):
        unitree_g1.start_pose({"start_pose": "raedy"})
    with pytest.raises(ConfigError, match="true or false"):
        unitree_g1.arms_only({"arms_only": "yes"})


def test_a_real_robot_waits_in_domain_0_and_nothing_is_opened_by_making_its_parts() -> None:
    parts = assemble(RobotNodeConfig(robot="g1", task="g1/button"), SimulatedClock())
    assert parts.bus.joint_names == parts.bus.joint_names
    link = parts.bus._link  # type: ignore[attr-defined]
    assert link._domain == 0 and link._context is None
    robot = MujocoPlant(robot_spec("g1"), robot_task("g1/button"))
    np.testing.assert_allclose(parts.config.start_pose, robot.read().joint_position, atol=0.1)
    assert parts.config.stop == "hold_upright" and parts.config.max_tilt_rad == 1.0
    assert parts.limits.stiffness[3] == 300.0 and parts.limits.limp_damping == (8.0,) * 29
