"""A robot is put together as in simulation, and a simulated body in the robot's place behaves as the robot does."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.joint_bus import BusError
from robot_stack.core.joint_control import JointCommand
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.deployment import MODULES, deployment, robot_parameters
from robot_stack.deploy.dry_bus import DryBus
from robot_stack.deploy.plant_bus import PlantBus
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_reports import Observed
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.state_machine import Event, State
from robot_stack.sim.robot_catalog import RobotWorldConfig, make_operator, make_robot_world

DIRECT = RobotNodeConfig(robot="panda", task="panda/drawer", bus="direct", start="here")


def test_an_episode_through_the_whole_loop_is_the_simulated_one_to_the_bit() -> None:
    """Observation, chunk, controller, filter, bus: at the control rate nothing of it changes what happens."""
    seed, steps = 5, 60
    world = make_robot_world(RobotWorldConfig(task="panda/drawer"))
    actions, states = [], [world.robot.reset(seed).state]
    driver = make_operator(world)
    driver.reset(world.task.instruction, seed)
    plan: list[np.ndarray] = []
    for _ in range(steps):
        plan = plan or list(driver.act([world.robot.observe()] * driver.history).actions)
        actions.append(plan.pop(0))
        world.robot.command(actions[-1])
        states.append(world.robot.observe().state)

    clock = SimulatedClock(50.0)
    config = RobotNodeConfig(robot="panda", task="panda/drawer", bus="direct", start="here", seed=seed)
    loop = RobotLoop(assemble(config, clock))
    bus = loop.parts.bus
    assert isinstance(bus, PlantBus)
    assert loop.parts.embodiment.fingerprint() == world.robot.embodiment.fingerprint()
    loop.engage(clock.now())
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        loop.inputs.hear_deadman(True, ticks)
        loop.tick(clock.now())
        ticks += 1
        clock.sleep_until(50.0 + ticks * loop.period_s)

    for event in (Event.READY, None, None, Event.ARM):
        if event is not None:
            loop.inputs.ask(event)
        tick()
    assert loop.state is State.ARMED
    rows = np.array(actions).astype(np.float32).astype(np.float64)
    seen = []
    for number in range(steps):
        newest = loop.reports[-1] if isinstance(loop.reports[-1], Observed) else None
        newest = newest or next(r for r in reversed(loop.reports) if isinstance(r, Observed))
        if number:
            seen.append(newest.vector)
        offsets = np.array([loop.period_s])  # for the next tick
        chunk = StampedChunk(
            newest.stamp_ns,
            loop.parts.embodiment.action_names,
            rows[number : number + 1],
            offsets,
            loop.parts.embodiment.fingerprint(),
        )
        loop.inputs.hear_chunk(chunk)
        tick()
        bus.let_go()  # at the first action, not before
    first = next(i for i, vector in enumerate(seen) if not np.array_equal(vector, states[0]))
    moving = seen[first:]
    assert len(moving) > steps - 5
    for got, expected in zip(moving, states[1:], strict=False):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_robot_has_a_deployment(name: str) -> None:
    try:
        made = deployment(name)
    except ConfigError as error:
        assert "cannot be deployed" in str(error)
        pytest.skip(f"{name} is not deployed yet")
    assert made.stop in ("hold", "hold_upright", "damp")


def test_wrong_wishes_are_refused() -> None:
    clock = SimulatedClock()
    with pytest.raises(UnknownNameError, match="panda"):
        assemble(RobotNodeConfig(robot="pandda", bus="direct"), clock)
    with pytest.raises(ConfigError, match="another robot"):
        assemble(RobotNodeConfig(robot="panda", task="g1/button", bus="direct"), clock)
    with pytest.raises(UnknownNameError, match="action mode"):
        assemble(RobotNodeConfig(robot="panda", mode="joint_positon", bus="direct"), clock)
    with pytest.raises(ConfigError, match="another speed"):
        RobotNodeConfig(clock_speed=0.5)
    with pytest.raises(ConfigError, match="speeds"):
        RobotNodeConfig(speed=0.0)
    with pytest.raises(ConfigError, match="no JSON"):
        robot_parameters("{")
    with pytest.raises(ConfigError, match="object"):
        robot_parameters("[1]")


def test_speed_cuts_the_limits() -> None:
    full, slow = (
        assemble(RobotNodeConfig(robot="panda", bus="direct", speed=s), SimulatedClock()).limits for s in (1.0, 0.25)
    )
    assert np.allclose(np.array(slow.velocity), 0.25 * np.array(full.velocity))
    assert np.allclose(np.array(slow.acceleration[:7]), 0.25 * np.array(full.acceleration[:7]))
    assert slow.low == full.low


def body() -> tuple[PlantBus, SimulatedClock]:
    clock = SimulatedClock(7.0)
    bus = assemble(DIRECT, clock).bus
    assert isinstance(bus, PlantBus)
    bus.engage()
    return bus, clock


def test_a_body_hangs_until_it_is_let_go_while_time_passes() -> None:
    bus, clock = body()
    first = bus.read()
    clock.sleep_until(8.0)
    later = bus.read()
    assert first is not None and later is not None
    assert np.array_equal(first.joint_position, later.joint_position)
    assert later.sequence == first.sequence + 50 and later.time_s == pytest.approx(8.0)
    bus.let_go()
    zeros = np.zeros(9)
    bus.write(JointCommand(first.joint_position + 0.3, zeros, zeros, np.full(9, 100.0), np.full(9, 10.0)))
    clock.sleep_until(9.0)
    moved = bus.read()
    assert moved is not None and np.abs(moved.joint_position - first.joint_position).max() > 0.1
    bus.reset(5)
    clock.sleep_until(9.1)
    again = bus.read()
    assert again is not None and again.sequence == moved.sequence + 5
    assert np.abs(again.joint_position - moved.joint_position).max() > 0.05


def test_a_body_that_was_left_alone_loses_time_instead_of_hurrying() -> None:
    bus, clock = body()
    clock.sleep_until(100.0)
    state = bus.read()
    assert state is not None and state.sequence == 50 and state.time_s == pytest.approx(100.0, abs=0.02)


def test_a_body_refuses_what_is_not_finite() -> None:
    bus, _ = body()
    bad = np.full(9, np.nan)
    with pytest.raises(BusError, match="finite"):
        bus.write(JointCommand(bad, bad, bad, bad, bad))


def test_a_dry_run_reads_and_decides_but_writes_nothing() -> None:
    clock = SimulatedClock(3.0)
    config = RobotNodeConfig(robot="panda", task="panda/drawer", bus="direct", dry_run=True)
    loop = RobotLoop(assemble(config, clock))
    dry = loop.parts.bus
    assert isinstance(dry, DryBus) and isinstance(dry.inner, PlantBus)
    dry.inner.engage()  # somebody else has
    dry.inner.let_go()
    loop.engage(clock.now())
    for number in range(200):
        loop.tick(clock.now())
        clock.sleep_until(3.0 + (number + 1) * loop.period_s)
        if number == 5:
            loop.inputs.ask(Event.READY)
    assert loop.state is State.HOLD
    assert dry.withheld is not None and dry.withheld.stiffness.any()
    assert dry.inner._command is None
