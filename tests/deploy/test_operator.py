"""The operator's switches, keys and table; nobody's hands in simulation."""

from __future__ import annotations

from typing import Any

import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.deploy.hands_free import HandsFree
from robot_stack.deploy.held_key import REPEAT_S, HeldKey, JoyButton
from robot_stack.deploy.log_tail import LogTail
from robot_stack.deploy.operator_config import OperatorConfig
from robot_stack.deploy.operator_keys import OperatorKeys
from robot_stack.deploy.operator_view import KEYS, Known, fitted, headline, table
from robot_stack.deploy.terminal_keys import plain_keys


class Answered:
    """A future that is done."""

    success = True

    def add_done_callback(self, call: Any) -> None:
        call(self)

    def result(self) -> Answered:
        return self


class Link:
    """Writes down what is asked of a robot."""

    def __init__(self) -> None:
        self.known = Known()
        self.asked: list[str] = []

    def ask(self, request: str) -> Answered:
        self.asked.append(request)
        return Answered()

    change = ask

    def press_estop(self, pressed: bool) -> None:
        self.asked.append(f"button {'down' if pressed else 'up'}")


def keys_of(link: Link, *, real: bool = True) -> OperatorKeys:
    key = HeldKey(0.7)
    keys = OperatorKeys(link, key, lambda: key.held(keys_of.now), real)  # type: ignore[arg-type,attr-defined]
    keys_of.now = 0.0  # type: ignore[attr-defined]
    return keys


def test_a_tapped_key_is_held_for_the_first_pause_and_no_longer() -> None:
    key = HeldKey(0.7)
    assert not key.held(0.0)
    key.press(1.0)
    assert key.held(1.69)
    assert not key.held(1.71)


def test_a_key_that_repeats_is_let_go_when_it_stops_repeating() -> None:
    key = HeldKey(0.7)
    for now in (1.0, 1.5, 1.54, 1.58):
        key.press(now)
    assert key.held(1.58 + REPEAT_S - 0.01)
    assert not key.held(1.58 + REPEAT_S + 0.01)
    key.press(3.0)
    assert key.held(3.6), "it was let go in between: the first pause counts again"
    key.let_go()
    assert not key.held(3.6)


def test_a_gamepad_that_is_unplugged_or_frozen_holds_nothing() -> None:
    joy = JoyButton(1, timeout_s=0.25)
    joy.hear([0, 1], 10, 1.0)
    assert joy.held(1.2)
    assert not joy.held(1.3)
    joy.hear([0, 1], 10, 2.0)
    assert not joy.held(2.0), "the same stamp says nothing new"
    joy.hear([0, 1], 11, 2.1)
    assert joy.held(2.1)
    joy.hear([0, 0], 11, 2.15)
    assert not joy.held(2.15), "letting go needs no new stamp"
    joy.hear([1], 12, 2.2)
    assert not joy.held(2.2)


def test_nothing_moves_before_it_was_confirmed() -> None:
    link = Link()
    keys = keys_of(link)
    keys.press("c", 0.0)
    assert link.asked == [] and "listen" in link.known.question
    keys.press("n", 0.0)
    assert link.asked == [] and link.known.question == ""
    for key in "cyry":
        keys.press(key, 0.0)
    assert link.asked == ["configure", "activate", "ready"]


def test_another_key_answers_a_question_with_no() -> None:
    link = Link()
    keys = keys_of(link)
    for key in "rh":
        keys.press(key, 0.0)
    assert link.asked == [] and link.known.answer == "not done"


def test_arming_waits_for_the_deadman_switch_and_for_the_robot_to_see_it() -> None:
    link = Link()
    keys = keys_of(link)
    keys.press("a", 0.0)
    keys.look(0.0)
    assert link.asked == []
    keys.press(" ", 0.1)
    keys.look(0.1)
    assert link.asked == []
    link.known.values = {"deadman": "True"}
    keys.look(0.2)
    keys.look(0.3)
    assert link.asked == ["arm"]


def test_arming_is_not_waited_for_forever() -> None:
    link = Link()
    link.known.values = {"deadman": "True"}
    keys = keys_of(link)
    keys.press("a", 0.0)
    keys_of.now = 20.0  # type: ignore[attr-defined]
    keys.press(" ", 20.0)
    keys.look(20.0)
    assert link.asked == []


def test_the_emergency_stop_needs_no_answer_and_takes_back_what_waits() -> None:
    link = Link()
    link.known.values = {"deadman": "True"}
    keys = keys_of(link)
    for key in ("a", "r", "\x1b"):
        keys.press(key, 0.0)
    keys.press(" ", 0.1)
    keys.look(0.1)
    keys.press("y", 0.2)
    assert link.asked == ["button down", "estop"]
    keys.press("x", 0.3)
    assert link.asked[2:] == ["button up", "reset"]


def test_quitting_is_confirmed_even_in_simulation() -> None:
    link = Link()
    keys = keys_of(link, real=False)
    keys.press("c", 0.0)
    assert link.asked == ["configure", "activate"]
    keys.press("q", 0.0)
    assert not keys.quitting
    keys.press("y", 0.0)
    assert keys.quitting


def test_arrows_are_no_escape() -> None:
    assert plain_keys("a\x1b[A\x1b[1;5Cb\x1bOP") == "ab"
    assert plain_keys("\x1b") == "\x1b"


def test_hands_free_goes_step_by_step() -> None:
    hands = HandsFree("armed", duration_s=5.0)
    assert hands.next("not found", "", False, False, 0.0) == ""
    assert hands.next("unconfigured", "UNCONFIGURED", False, False, 0.1) == "configure"
    assert hands.next("unconfigured", "UNCONFIGURED", False, False, 0.2) == "", "not again at once"
    assert hands.next("inactive", "UNCONFIGURED", False, False, 2.0) == "activate"
    assert hands.next("active", "IDLE", False, False, 4.0) == "ready"
    assert hands.next("active", "READY", True, False, 6.0) == ""
    assert hands.next("active", "HOLD", False, False, 8.0) == "", "who drives is not ready"
    assert hands.next("active", "HOLD", True, False, 10.0) == "arm"
    assert hands.next("active", "ARMED", True, True, 11.0) == ""
    assert hands.next("active", "ARMED", True, True, 16.1) == "end"


def test_hands_free_ends_when_the_robot_stopped() -> None:
    assert HandsFree("armed").next("active", "ESTOP", True, True, 1.0) == "fail"
    assert HandsFree("idle").next("active", "IDLE", True, False, 1.0) == "", "somebody else goes on from here"


def test_a_real_robot_needs_hands() -> None:
    with pytest.raises(ConfigError, match="deadman"):
        OperatorConfig(hands_free=True)
    assert OperatorConfig(hands_free=True, simulated=True).hands_free


def drawn(known: Known) -> str:
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(known))
    return console.export_text()


def test_the_table_tells_what_matters() -> None:
    values = {
        "deadman": "True",
        "state_age_ms": "3.1",
        "latency_ms": "41",
        "plan_left_ms": "300",
        "chunks_accepted": "12",
        "chunks_refused.too old": "2",
        "chunks_refused.not finite": "1",
        "last_refusal": "not finite: joint 3",
        "ticks": "5000",
        "overruns": "2",
        "worst_late_ms": "1.5",
        "interventions": "4",
        "last_intervention": "max_rate: elbow",
        "readings.battery_percent": "81",
        "faults.bus": "no state for 0.2 s",
    }
    known = Known("deploy g1", "active", "ARMED", 2, "ARMED: no state for 0.2 s", values, 0.1, held=True)
    known.nodes = {"policy": (0, "drives")}
    text = drawn(known)
    for words in (
        "deploy g1", "ARMED", "no state for 0.2 s", "HELD (SPACE); robot sees held", "3.1 ms", "41.0 ms", "refused 3",
        "too old 2, not finite 1", "overruns 2", "max_rate: elbow", "battery_percent 81", "policy", "drives",
        "EMERGENCY STOP",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_a_small_terminal_shows_fewer_lines_but_every_key(size: tuple[int, int]) -> None:
    import io

    from rich.console import Console

    console = Console(width=size[0], height=size[1], record=True, file=io.StringIO())
    values = {"last_intervention": "approach: number 1: -0.56765 to -0.580123; acceleration: number 6: 0.108 to 0.094"}
    known = Known("deploy panda (simulated)", "active", "HOLD", 0, "HOLD: ", values, 0.1)
    known.nodes = {"policy": (0, "waits for ARMED"), "recorder": (0, "waits")}
    known.question = "ready: the robot MOVES to its start pose. Is everybody clear of it?"
    known.score = "not yet; reward 0.092"
    known.lines = tuple(f"robot | line {k}" for k in range(6))
    console.print(fitted(known, console))
    shown = console.export_text().splitlines()
    assert len(shown) <= size[1] and shown[-1].startswith("╰")
    assert any(line.rstrip(" │").endswith("y / n") for line in shown[:4]), "a question is never cut off"
    keys = [line for line in shown[-3:-1] if " c  connect" in line or " q  quit" in line]
    assert len(keys) == 2, "each row of keys is one line"
    assert all(what in keys[0] + keys[1] for _, what in KEYS)
    assert "line 5" in "".join(shown), "the newest"
    assert ("line 0" in "".join(shown)) == (size[1] == 40)


def test_a_silent_robot_is_told_first() -> None:
    assert "NO STATUS" in headline(Known(lifecycle="active", state="ARMED", status_age_s=1.7))
    assert "inactive" in headline(Known(lifecycle="inactive"))
    assert "ready?  y / n" in drawn(Known(question="ready?"))


def test_only_new_whole_lines_of_the_runner_are_shown(tmp_path: Any) -> None:
    log = tmp_path / "runner.log"
    log.write_text("old\n")
    tail = LogTail(str(tmp_path))
    assert tail.new_lines() == []
    with log.open("a") as out:
        out.write("policy ended\nhal")
        out.flush()
        assert tail.new_lines() == ["runner | policy ended"]
        out.write("f\n")
    assert tail.new_lines() == ["runner | half"]
    assert LogTail("").new_lines() == []
