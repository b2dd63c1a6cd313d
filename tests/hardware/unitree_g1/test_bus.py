"""The bus against the emulated robot, in simulated time: exact to a period, message by message."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.joint_bus import BusError
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.emulated_faults import FAULTS, parse_faults
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatorConfig
from robot_stack.hardware.unitree_g1.layout import COMMAND, checksum
from tests.hardware.unitree_g1.rig import Maker


def test_nothing_is_sent_before_engaging(make_rig: Maker) -> None:
    rig = make_rig()
    rig.run(0.1)
    with pytest.raises(BusError, match="before the robot was engaged"):
        rig.bus.write(rig.hold())
    assert not rig.link.sent and rig.robot.motion == "ai"
    assert rig.bus.joint_names == rig.plant.joint_names


def test_engaging_releases_the_robots_own_motion_control_and_leaves_it_limp(make_rig: Maker) -> None:
    rig = make_rig()
    rig.bus.engage()
    assert rig.robot.motion == ""
    assert sum(rig.robot.ignored.values()) == 0
    records = [COMMAND.read(data) for data in rig.link.sent]
    assert len(records) == 100 and all(record["mode_machine"] == 5 for record in records)
    assert all(checksum(record) == record["crc"] for record in records)
    motors = np.stack([record["motor_cmd"] for record in records])
    assert not motors["kp"].any() and not motors["kd"].any() and not motors["tau"].any()
    assert (motors["mode"][:, :29] == 1).all() and not motors["mode"][:, 29:].any()


def test_it_stands_up_from_the_hoist_and_is_let_down(make_rig: Maker) -> None:
    rig = make_rig()
    rig.bus.engage()
    rig.stand()
    rig.run(3.0, rig.hold())
    state = rig.bus.read()
    assert state is not None and state.faults == () and state.warnings == ()
    assert rig.plant.tracked()["base_position"][2] > 0.74
    np.testing.assert_allclose(state.joint_position, rig.plant.read().joint_position, atol=1e-6)
    assert state.readings["battery_percent"] == 80.0


def test_release_streams_damping_and_then_falls_silent(make_rig: Maker) -> None:
    rig = make_rig()
    rig.bus.engage()
    rig.stand()
    rig.link.sent.clear()
    rig.bus.release()
    assert len(rig.link.sent) == 1000
    motors = np.stack([COMMAND.read(data)["motor_cmd"][:29] for data in rig.link.sent])
    assert (motors["kd"] == 8.0).all() and not motors["kp"].any() and not motors["tau"].any()
    with pytest.raises(BusError):
        rig.bus.write(rig.hold())


def test_damping_goes_on_while_sending_fails_now_and_then(make_rig: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.bus.engage()
    send, calls = rig.link.send, []

    def flaky(data: bytes) -> None:
        calls.append(data)
        if len(calls) % 2:
            raise BusError("the line broke")
        send(data)

    monkeypatch.setattr(rig.link, "send", flaky)
    rig.bus.release()
    assert len(calls) == 1000


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ({"dead": 1}, "nothing was heard"),
        ({"freeze": 1}, "only 1 of"),
        ({"wrong_checksum": 1}, "only 0 of .* states"),
        ({"machine": 4}, "another build.*\n.*g1_23dof_rev_1_0.*waist_roll_joint"),
        ({"machine": 0}, "another build"),
    ],
)
def test_a_robot_that_cannot_be_trusted_is_not_engaged(make_rig: Maker, faults: dict, says: str) -> None:
    rig = make_rig()
    rig.robot.inject(faults)
    with pytest.raises(BusError, match=f"(?s){says}"):
        rig.bus.engage()
    assert not rig.link.sent and rig.robot.motion == "ai", "nothing may have been sent or released"


def test_a_second_writer_is_refused_and_seen_while_running(make_rig: Maker) -> None:
    rig = make_rig()
    rig.link.others = 1
    with pytest.raises(BusError, match="somebody else"):
        rig.bus.engage()
    assert not rig.link.sent
    rig.link.others = 0
    rig.bus.engage()
    rig.link.others = 1
    rig.run(1.0, rig.hold())
    state = rig.bus.read()
    assert state is not None and state.faults == ("1 other publisher(s) command this robot",)


def test_a_motion_control_that_does_not_let_go_is_told_with_the_remedy(
    make_rig: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()
    request = rig.robot.request
    monkeypatch.setattr(rig.robot, "request", lambda api, text: (7008, "") if api == 1003 else request(api, text))
    with pytest.raises(BusError, match=r"(?s)'ai' does not let go.*L2\+R2"):
        rig.bus.engage()
    assert not rig.link.sent


def test_commands_beside_an_active_motion_control_are_ignored_by_the_robot(make_rig: Maker) -> None:
    rig = make_rig(G1Config(release_motion=False))
    rig.bus.engage()
    rig.run(0.2, rig.hold())
    assert rig.robot.obeyed == 0 and rig.robot.ignored["not_released"] == 200


def test_commands_that_are_not_finite_or_of_another_size_are_refused(make_rig: Maker) -> None:
    rig = make_rig()
    rig.bus.engage()
    sent = len(rig.link.sent)
    zero = np.zeros(29)
    for bad in (np.full(29, np.nan), np.full(29, 1e39), np.zeros(12)):
        with pytest.raises(BusError):
            rig.bus.write(JointCommand(zero, zero, bad, zero, zero))
    assert len(rig.link.sent) == sent
    rig.bus.write(rig.hold())
    assert len(rig.link.sent) == sent + 1


SEEN = {
    "nan_imu": "inertial sensor's measurements are not numbers",
    "zero_quaternion": "quaternion of length 0.000",
    "w_last": "rad apart",
    "encoder_jump=3": "left_knee_joint jumped by 6.2",
    "nan_joint=20": "left_wrist_pitch_joint: measurements are not numbers",
    "hot_casing=9": "right_knee_joint: casing at 95 °C",
    "hot_winding=4": "left_ankle_pitch_joint: winding at 130 °C",
    "motor_error=12": "waist_yaw_joint: motor error 0x10",
    "battery=12": "the battery is at 12 %",
    "machine=6": "mode_machine changed from 5 to 6",
    "dead": "no state for 1.",
    "freeze": "no state for 1.",
    "drop=-1": "no state for 1.",
    "wrong_checksum": "no state for 1.",
}
"""Faults, and what the bus says of them."""

USUAL = ("nan_imu", "encoder_jump=3", "motor_error=12", "battery=12", "machine=6", "freeze")
"""Those of them that are tried in every run."""

HARMLESS = ("duplicate=50", "reorder=50", "drop=1", "drop=10")
"""Faults that a bus rides out, the state being no older than the time that was lost."""

UNSEEN = ("deaf", "restart")
"""Faults that need more than one look; they have tests of their own."""


def test_every_fault_of_the_emulator_is_tried() -> None:
    tried = {text.partition("=")[0] for text in (*SEEN, *HARMLESS, *UNSEEN)}
    assert tried == set(FAULTS)


@pytest.mark.parametrize("fault", [f if f in USUAL else pytest.param(f, marks=pytest.mark.slow) for f in SEEN])
def test_a_fault_is_said_in_words_and_numbers_stay_sound(make_rig: Maker, fault: str) -> None:
    rig = make_rig()
    rig.bus.engage()
    rig.stand()
    rig.robot.inject(parse_faults([fault]))
    rig.run(1.2, rig.hold())
    state = rig.bus.read()
    assert state is not None
    assert any(SEEN[fault] in words for words in state.faults), state.faults
    for values in (state.joint_position, state.joint_velocity, state.q_world_base, state.w_base, state.a_base):
        assert values is not None and np.isfinite(values).all()
    assert state.q_world_base is not None and abs(np.linalg.norm(state.q_world_base) - 1.0) < 1e-6


@pytest.mark.parametrize("fault", HARMLESS)
def test_lost_repeated_and_swapped_states_are_ridden_out(make_rig: Maker, fault: str) -> None:
    rig = make_rig()
    rig.bus.engage()
    rig.stand()
    rig.robot.inject(parse_faults([fault]))
    last, oldest = -1, 0.0
    for _ in range(200):
        rig.run(0.002, rig.hold())
        state = rig.bus.read()
        assert state is not None and state.faults == ()
        assert state.sequence >= last, "a state went back in time"
        last, oldest = state.sequence, max(oldest, rig.link.now() - state.time_s)
    assert oldest <= (0.0205 if fault == "drop=10" else 0.0045)


def test_a_jump_of_an_encoder_stays_a_fault_when_it_is_over(make_rig: Maker) -> None:
    rig = make_rig()
    rig.bus.engage()
    rig.stand()
    rig.robot.inject({"encoder_jump": 16.0})
    rig.run(0.02, rig.hold())
    rig.robot.inject({})
    rig.run(0.1, rig.hold())
    state = rig.bus.read()
    assert state is not None and any("left_shoulder_roll_joint jumped" in words for words in state.faults)
    rig.bus.engage()
    rig.run(0.1)
    state = rig.bus.read()
    assert state is not None and state.faults == ()


def test_commands_follow_a_changed_mode_machine_so_that_damping_is_obeyed(make_rig: Maker) -> None:
    rig = make_rig()
    rig.bus.engage()
    rig.robot.inject({"machine": 6.0})
    rig.run(0.1, rig.hold())
    assert COMMAND.read(rig.link.sent[-1])["mode_machine"] == 6


def test_a_robot_that_restarts_is_noticed(make_rig: Maker) -> None:
    rig = make_rig(emulated=EmulatorConfig(hoist="on"))
    rig.bus.engage()
    rig.robot.reset(rig.plant.read())  # its count of states goes on from 10 s later
    rig.run(0.1)
    rig.robot.inject({"restart": 1.0})
    rig.run(0.1)
    state = rig.bus.read()
    assert state is not None and any("restarted" in words for words in state.faults)


def test_a_tilted_robot_says_so(make_rig: Maker) -> None:
    rig = make_rig(emulated=EmulatorConfig(hoist="off"))
    rig.bus.engage()
    rig.run(1.5)
    state = rig.bus.read()
    assert state is not None and any(words.startswith("tilted by") for words in state.faults)


def test_the_last_command_stays_in_force_unless_the_robot_has_a_timeout(make_rig: Maker) -> None:
    for timeout_s, falls in ((0.0, False), (0.1, True)):
        rig = make_rig(emulated=EmulatorConfig(timeout_s=timeout_s))
        rig.bus.engage()
        rig.stand()
        rig.run(2.5)
        assert (rig.plant.tracked()["base_position"][2] < 0.5) == falls


def test_the_remotes_buttons_are_seen(make_rig: Maker) -> None:
    from robot_stack.hardware.unitree_g1.remote import Remote

    rig = make_rig()
    rig.bus.engage()
    rig.robot.remote = Remote(frozenset({"L2", "B"}))
    rig.run(0.01)
    state = rig.bus.read()
    assert state is not None and state.buttons == {"L2", "B"}


def test_in_parallel_mode_joints_have_other_names_and_commands_say_so(make_rig: Maker) -> None:
    rig = make_rig(G1Config(parallel=True))
    assert rig.bus.joint_names[4:6] == ("left_ankle_b_motor", "left_ankle_a_motor")
    rig.bus.engage()
    assert COMMAND.read(rig.link.sent[-1])["mode_pr"] == 1


def test_arms_beside_the_robots_own_motion_control(make_rig: Maker) -> None:
    rig = make_rig(arms=True)
    rig.bus.engage()
    assert rig.robot.motion == "ai", "its own motion control must stay"
    records = [COMMAND.read(data)["motor_cmd"] for data in rig.link.sent]
    weights = np.array([motors["q"][29] for motors in records])
    assert len(weights) == 1000 and weights[0] < 0.01 and weights[-1] == pytest.approx(1.0, abs=2e-3)
    assert np.diff(weights).max() < 1.1 / 1000 and np.diff(weights).min() > 0.0
    state = rig.bus.read()
    assert state is not None
    pose = state.joint_position.copy()
    pose[18] += 0.4
    for _ in range(3):
        rig.run(1.0, rig.hold(pose))
    state = rig.bus.read()
    assert state is not None and state.faults == ()
    assert state.joint_position[18] == pytest.approx(pose[18], abs=0.06)
    assert rig.plant.tracked()["base_position"][2] > 0.74
    assert not COMMAND.read(rig.link.sent[-1])["motor_cmd"]["kp"][:12].any(), "legs are not ours"
    rig.link.sent.clear()
    rig.bus.release()
    weights = np.array([COMMAND.read(data)["motor_cmd"]["q"][29] for data in rig.link.sent])
    assert weights[0] > 0.99 and weights[-1] == 0.0
    assert np.abs(np.diff(weights)).max() < 2.1 / 1000


def test_arms_alone_need_the_robots_own_motion_control(make_rig: Maker) -> None:
    rig = make_rig(emulated=EmulatorConfig(motion="", hoist="on"), arms=True)
    with pytest.raises(BusError, match="arm_sdk is not obeyed"):
        rig.bus.engage()
    assert not rig.link.sent
