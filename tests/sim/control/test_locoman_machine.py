"""The machine between LocoMan's modes: its rules with modes made up for it, and the real modes on a floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.core.seeding import generator
from robot_stack.sim.control.locoman.controller import FIELDS, LocoManController, VelocityController, decode, encode
from robot_stack.sim.control.locoman.machine import MachineConfig, ModeMachine
from robot_stack.sim.control.locoman.mode import MODES, HandTarget, Target
from robot_stack.sim.control.locoman.modes import locoman_modes
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_rpy
from robot_stack.sim.robots.locoman import FOOT_RADIUS_M, LOCOMAN
from tests.sim.control.locoman_floor import Floor, mujoco

TICK_S = 0.002


def state(time_s, *, rpy=(0.0, 0.0, 0.0), speed=0.0, force=30.0):
    zero = np.zeros(22)
    return RobotState(
        time_s,
        zero,
        zero,
        np.array([0.0, 0.0, 0.285]),
        quaternion_from_rpy(np.array(rpy)),
        np.array([speed, 0.0, 0.0]),
        np.zeros(3),
        np.full(4, force),
    )


class Recorded:
    """A mode that gets ready, and leaves, after a while, and remembers what it was told."""

    def __init__(self, name, number, ready_s=0.1, leave_s=0.1):
        self.name, self.number, self.ready_s, self.leave_s = name, number, ready_s, leave_s
        self.entered, self.leaving_since, self.now, self.since = 0, None, 0.0, 0.0
        self.targets = []

    @property
    def ready(self):
        return self.leaving_since is None and self.now - self.since >= self.ready_s

    @property
    def left(self):
        return self.leaving_since is not None and self.now - self.leaving_since >= self.leave_s

    def enter(self, state):
        self.entered += 1
        self.leaving_since, self.since, self.now = None, state.time_s, state.time_s

    def rest(self):
        return Target(body_position=np.full(3, 0.001 * self.number))

    def leave(self):
        self.leaving_since = self.now if self.leaving_since is None else self.leaving_since

    def update(self, state, target):
        self.now = state.time_s
        self.targets.append(target)
        value = np.full(22, float(self.number))
        return JointCommand(value, value, value, value, value)


class Bench:
    """A machine with made-up modes and a clock."""

    def __init__(self, **times):
        self.modes = {name: Recorded(name, i, **times) for i, name in enumerate(("stance", "locomotion", "bimanual"))}
        self.machine = ModeMachine(self.modes)
        self.time_s = 0.0
        self.machine.reset(state(0.0))

    def run(self, seconds, target=None, **now):
        commands = []
        for _ in range(round(seconds / TICK_S)):
            self.time_s += TICK_S
            commands.append(self.machine.update(state(self.time_s, **now), Target() if target is None else target))
        return commands


def test_a_machine_needs_a_stance_and_knows_its_modes():
    with pytest.raises(ConfigError, match="stance"):
        ModeMachine({"locomotion": Recorded("locomotion", 1)})
    with pytest.raises(UnknownNameError, match="locomotion"):
        Bench().machine.request("locomotoin")


def test_modes_have_locomans_numbers():
    assert [MODES.index(n) for n in ("stance", "right_foot", "left_gripper", "locomotion", "bimanual")] == [
        0,
        1,
        4,
        5,
        7,
    ]


def test_a_change_leaves_enters_and_serves_in_order():
    bench = Bench()
    bench.run(0.3)
    bench.machine.request("locomotion")
    seen = []
    for _ in range(150):
        bench.run(TICK_S)
        here = (bench.machine.mode, bench.machine.phase)
        seen += [here] if not seen or seen[-1] != here else []
    assert seen == [("stance", "leaving"), ("locomotion", "entering"), ("locomotion", "serving")]
    assert bench.modes["locomotion"].entered == 1


def test_the_last_request_counts_also_during_a_change():
    bench = Bench()
    bench.run(0.3)
    bench.machine.request("locomotion")
    bench.run(0.02)
    bench.machine.request("bimanual")
    bench.run(0.5)
    assert bench.machine.mode == "bimanual" and bench.modes["locomotion"].entered == 0
    bench.machine.request("locomotion")
    bench.run(0.02)
    bench.machine.request("bimanual")
    bench.run(0.5)
    assert bench.machine.mode == "bimanual" and bench.modes["bimanual"].entered == 2


def test_targets_reach_a_mode_only_while_it_serves_but_grippers_always():
    bench = Bench()
    bench.run(0.3)
    mode = bench.modes["locomotion"]
    target = Target(base_velocity=np.ones(3), grippers=np.array([0.5, 0.2]))
    bench.machine.request("locomotion")
    bench.run(0.5, target)
    early = [t for t in mode.targets if not t.base_velocity.any()]
    assert 0.08 / TICK_S < len(early) < 0.13 / TICK_S and len(early) < len(mode.targets)
    assert all((t.grippers == target.grippers).all() for t in mode.targets)
    np.testing.assert_array_equal(early[0].body_position, mode.rest().body_position)
    broken = replace(target, base_velocity=np.array([np.nan, 0.0, 0.0]))
    bench.run(TICK_S, broken)
    assert not mode.targets[-1].base_velocity.any()
    hand = HandTarget(np.array([np.inf, 0.0, 0.0]))
    bench.run(TICK_S, Target(right_hand=hand, grippers=np.array([np.nan, 0.0])))
    assert mode.targets[-1].right_hand is None and np.isfinite(mode.targets[-1].grippers).all()


def test_commands_fade_from_mode_to_mode_without_a_jump():
    bench = Bench()
    bench.run(0.3)
    bench.machine.request("bimanual")
    values = np.array([c.stiffness[0] for c in bench.run(0.6)])
    assert values[0] == 0.0 and values[-1] == 2.0
    assert abs(np.diff(values)).max() < 2.0 * 1.5 * TICK_S / bench.machine.config.blend_s


def test_a_robot_that_does_not_stand_settles_before_the_next_mode():
    bench = Bench()
    bench.run(0.3)
    bench.machine.request("locomotion")
    bench.run(0.5, speed=0.5)
    assert bench.machine.phase == "settling" and bench.machine.mode == "stance"
    bench.run(0.5, force=0.0)
    assert bench.machine.phase == "settling", "feet in the air do not stand"
    bench.run(0.5)
    assert bench.machine.mode == "locomotion" and bench.machine.phase == "serving"


def test_a_mode_that_never_leaves_is_left_when_patience_is_over():
    bench = Bench(leave_s=1e9)
    bench.run(0.3)
    bench.machine.request("locomotion")
    bench.run(bench.machine.config.patience_s - 0.1)
    assert bench.machine.mode == "stance"
    bench.run(0.4)
    assert bench.machine.mode == "locomotion"


@pytest.mark.parametrize(
    "rpy,falls", [((1.3, 0, 0), True), ((-1.3, 0, 0), True), ((0, 1.2, 0), True), ((0.5, 0.4, 2), False)]
)
def test_a_robot_that_has_tipped_over_is_limp_until_reset(rpy, falls):
    bench = Bench()
    bench.run(0.3)
    command = bench.run(TICK_S, rpy=rpy)[0]
    assert bench.machine.fallen == falls
    if falls:
        assert not command.stiffness.any() and not command.effort.any() and (command.damping > 0).all()
        assert not bench.run(0.1)[-1].stiffness.any() and bench.machine.phase == "fallen"
        bench.machine.reset(state(bench.time_s))
        assert bench.machine.phase == "settling" and bench.run(0.2)[-1] is not None and not bench.machine.fallen


def test_sitting_up_is_no_fall():
    bench = Bench()
    bench.machine.request("bimanual")
    bench.run(0.5)
    bench.run(0.1, rpy=(0.0, -1.4, 0.0))
    assert not bench.machine.fallen


def test_actions_and_targets_are_the_same_thing():
    random = generator(3)
    for _ in range(50):
        hands = [HandTarget(random.normal(size=3), quaternion_from_rpy(random.uniform(-1, 1, 3))) for _ in range(2)]
        body, turn, velocity = random.normal(size=(3, 3))
        target = Target(body, turn, hands[0], hands[1], random.uniform(size=2), velocity)
        action = encode("left_gripper", target)
        assert action.shape == (sum(f.size for f in FIELDS),) and action[0] == 4
        back = decode(action)
        for name in ("body_position", "body_rpy", "grippers", "base_velocity"):
            np.testing.assert_array_equal(getattr(back, name), getattr(target, name))
        for a, b in ((back.right_hand, hands[0]), (back.left_hand, hands[1])):
            assert a is not None
            np.testing.assert_array_equal(a.position, b.position)
            np.testing.assert_allclose(matrix_of(a.orientation), matrix_of(b.orientation), atol=1e-12)
    rest = decode(encode("stance", Target()))
    assert rest.right_hand is None and rest.left_hand is None


@pytest.fixture(scope="module")
def floor():
    return Floor()


class Run:
    """The machine with LocoMan's own modes on a floor."""

    def __init__(self, floor, modes=None):
        self.floor = floor
        self.machine = ModeMachine(locoman_modes(floor.alone) if modes is None else modes)
        self.asked = 0.0
        """Largest torque asked for before clipping, as a share of the joint's limit."""
        self.jump = 0.0
        """Largest change of a torque from tick to tick, likewise."""

    def reset(self):
        self.machine.reset(self.floor.state())
        self._before = None

    def tick(self, target):
        now = self.floor.state()
        command = self.machine.update(now, target)
        torque = command.effort + command.stiffness * (command.position - now.joint_position)
        torque = torque + command.damping * (command.velocity - now.joint_velocity)
        assert np.isfinite(torque).all()
        self.asked = max(self.asked, float((abs(torque) / self.floor.effort)[:18].max()))
        self.floor.apply(command)
        assert not self.machine.fallen, (
            f"fell in {self.machine.mode}, {self.machine.phase}, asked {self.machine.wanted}"
        )

    def until_serving(self, name, patience_s=15.0):
        self.machine.request(name)
        begin = self.floor.data.time
        while (self.machine.mode, self.machine.phase) != (name, "serving"):
            self.tick(self.machine.rest())
            assert self.floor.data.time - begin < patience_s, f"never got from {self.machine.mode} to {name}"

    def serve(self, seconds, random):
        """Random targets that the mode is asked to follow."""
        rest = self.machine.rest()

        def near(hand):
            if hand is None:
                return None
            return HandTarget(hand.position + random.uniform(-0.03, 0.03, 3), hand.orientation)

        target = Target(
            rest.body_position + random.uniform(-0.01, 0.01, 3),
            rest.body_rpy + random.uniform(-0.1, 0.1, 3),
            near(rest.right_hand),
            near(rest.left_hand),
            random.uniform(size=2) * 0.3,
            random.uniform((-0.3, -0.2, -0.7), (0.4, 0.2, 0.7)),
        )
        for _ in range(round(seconds / TICK_S)):
            self.tick(target)


def shaken(floor, random):
    """Put the robot into a random state around home: turned, bent, and moving."""
    floor.reset()
    data, robot = floor.data, floor.robot
    joints = robot.home_qpos()[robot.qpos]
    joints[:18] += random.uniform(-0.08, 0.08, 18)
    data.qpos[robot.qpos] = np.minimum(np.maximum(joints, robot.low + 0.01), robot.high - 0.01)
    tilt = random.uniform(-0.05, 0.05, 2)
    data.qpos[robot.base_qpos][3:] = quaternion_from_rpy(np.array([*tilt, random.uniform(-np.pi, np.pi)]))
    data.qvel[robot.base_dof] = random.uniform(-0.15, 0.15, 6)
    mujoco.mj_kinematics(floor.model, data)
    lowest = min(data.site(foot).xpos[2] for foot in LOCOMAN.feet) - FOOT_RADIUS_M
    data.qpos[robot.base_qpos.start + 2] -= lowest
    mujoco.mj_forward(floor.model, data)


def test_changes_between_standing_and_walking_on_a_floor(floor):
    floor.reset()
    run, random = Run(floor), generator(1)
    run.reset()
    for name in ("locomotion", "loco_manipulation", "stance"):
        run.until_serving(name)
        run.serve(0.6, random)
    assert run.asked <= 1.0 and floor.tilt < 0.1


@pytest.mark.parametrize("seed", range(2))
def test_changes_from_random_states(floor, seed):
    change(floor, seed, changes=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_changes_from_fifty_random_states(floor, seed):
    change(floor, seed, changes=2)


def change(floor, seed, changes):
    """From a random state through random modes with random targets, some requests in the midst of a change."""
    random = generator(seed, 7)
    shaken(floor, random)
    run = Run(floor)
    run.reset()
    names = sorted(run.machine.modes)
    for _ in range(changes):
        name = names[random.integers(len(names))]
        if random.uniform() < 0.3:  # change one's mind on the way
            run.machine.request(names[random.integers(len(names))])
            for _ in range(int(random.uniform(0.1, 1.5) / TICK_S)):
                run.tick(run.machine.rest())
        run.until_serving(name)
        run.serve(random.uniform(0.2, 1.0), random)
    run.until_serving("stance")
    for _ in range(250):
        run.tick(run.machine.rest())
    assert floor.tilt < 0.05 and abs(floor.height - 0.28) < 0.02


def test_the_controllers_walk_and_hold(floor):
    for controller, forward in (
        (VelocityController(floor.robot), lambda c, rest: np.concatenate(([0.3, 0.0, 0.0], rest[3:]))),
        (LocoManController(floor.robot, MachineConfig(), (0, 5)), walking),
    ):
        floor.reset()
        rest = controller.reset(floor.state())
        assert rest.shape == (sum(f.size for f in controller.fields),)
        low = np.concatenate([f.low_array for f in controller.fields])
        high = np.concatenate([f.high_array for f in controller.fields])
        assert (rest >= low).all() and (rest <= high).all()
        action = rest
        for tick in range(750):
            if tick % 10 == 0:
                accepted = controller.begin(action, floor.state())
                np.testing.assert_allclose(accepted.action, action)
                assert not accepted.interventions
            floor.apply(controller.update(floor.state()))
            action = rest if tick < 50 else forward(controller, rest)
        assert floor.data.qpos[0] > 0.15 and floor.tilt < 0.1
        beyond = controller.begin(action + 10.0, floor.state())
        assert beyond.interventions and (beyond.action <= high).all()


def walking(controller, rest):
    return encode("locomotion", replace(decode(rest), base_velocity=np.array([0.3, 0.0, 0.0])))


def test_a_mode_that_was_not_made_is_refused_with_a_note(floor):
    floor.reset()
    controller = LocoManController(floor.robot, modes=(0, 5))
    rest = controller.reset(floor.state())
    accepted = controller.begin(encode("loco_manipulation", decode(rest)), floor.state())
    assert accepted.action[0] == 0.0 and "loco_manipulation" in accepted.interventions[0].detail
