"""From a policy bundle to the bytes of motor commands, in simulated time, so that the machine's load does not count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.observation import Observation
from robot_stack.hardware.state_machine import Event, State
from robot_stack.policies.driver import PolicyDriver
from robot_stack.policies.loading import load_bundle
from tests.deploy import g1_parts, locoman_parts
from tests.deploy.bundles import clumsy_bundle


def actions_of(bundle: Path, robot: Embodiment, observe: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """The first action that a bundle's policy decides on for what is observed now."""
    loaded = load_bundle(bundle, robot_embodiment=robot)
    driver = EpisodeDriver(PolicyDriver(loaded.policy))
    driver.reset("", 0)

    def act() -> np.ndarray:
        seen = Observation(observe())
        return driver.act([seen] * driver.history).actions[0]

    return act


def test_a_bundle_reaches_the_motors_of_the_g1(tmp_path: Path) -> None:
    robot = g1_parts.Led("g1/button", base="tracked")
    bundle = clumsy_bundle(tmp_path / "bundle", "g1/button")

    def observe() -> np.ndarray:
        assert robot.observed is not None
        return robot.observed.vector

    robot.arm()
    robot.action = actions_of(bundle, robot.parts.embodiment, observe)
    robot.link.sent.clear()
    before = robot.hand()
    robot.go(1.5)
    status = robot.loop.status(robot.link.now())
    assert status.state == "ARMED" and status.chunks_accepted > 5 and not status.faults, status
    assert len(robot.link.sent) > 500  # commands of the robot's own wire format, with checksums it accepts
    assert np.linalg.norm(robot.hand() - before) > 0.005
    assert robot.height > 0.7


def test_a_bundle_reaches_the_motors_of_locoman(tmp_path: Path) -> None:
    bundle = clumsy_bundle(tmp_path / "bundle", "locoman/walk")
    with locoman_parts.led(tmp_path, "", "tracked", "locoman/walk") as robot:
        robot.engage()
        robot.go(1.0)
        robot.ask(Event.READY, State.HOLD)
        robot.ask(Event.ARM, State.ARMED)
        robot.action = actions_of(bundle, robot.parts.embodiment, lambda: robot.vector)
        before = robot.parts.bus.read()
        robot.go(1.5)
        status = robot.loop.status(robot.clock.now())
        assert status.state == "ARMED" and status.chunks_accepted > 3 and not status.faults, status
        after = robot.parts.bus.read()
        assert before is not None and after is not None
        assert np.abs(after.joint_position[:12] - before.joint_position[:12]).max() > 0.02  # the legs step
