"""A policy behind a server acts as it does in the robot's process; what goes wrong is told and spoils nothing else."""

from __future__ import annotations

import functools
import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, NonFiniteError, ShapeError
from robot_stack.core.fields import CameraSpec
from robot_stack.core.observation import Observation
from robot_stack.runtime.loop import run_episode
from robot_stack.runtime.policy_client import (
    PolicyServerError,
    RemoteBatchDriver,
    RemoteDriver,
    ServerAddress,
    Timeouts,
)
from robot_stack.runtime.policy_process import PolicyProcess, ProcessDriver
from robot_stack.runtime.policy_server import PolicyServer, ServerConfig
from robot_stack.runtime.served_policy import ServedPolicy
from robot_stack.runtime.slot_drivers import SlotDrivers
from robot_stack.runtime.wire import Hello, Refusal, Reset, decode, encode
from robot_stack.runtime.wire_values import WireError
from tests.runtime.serving import ROBOT, SEEING, TOKEN, Gate, in_a_process, observations, point_policy, served
from tests.worlds import PointBatchDriver, PointConfig, PointExpert, PointRobot, make_point_world

GO = "push the point to the goal"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def address() -> Iterator[ServerAddress]:
    with served(point_policy()) as address:
        yield address


@pytest.fixture(scope="module")
def process() -> Iterator[PolicyProcess]:
    with in_a_process() as process:
        yield process


def refused(raw: object, address: ServerAddress) -> Refusal:
    """What the server says to a message, after the greeting, before it closes the connection."""
    with connect(address.url, additional_headers=AUTHORIZED, proxy=None) as connection:
        connection.send(encode(Hello(ROBOT)))
        connection.recv(timeout=30)
        connection.send(raw)  # type: ignore[arg-type]
        answer = decode(connection.recv(timeout=30))
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=30)
    assert isinstance(answer, Refusal)
    return answer


# --- it acts as if it were here


def test_an_episode_through_another_process_is_the_same_episode(process: PolicyProcess) -> None:
    world = make_point_world()
    here = run_episode(world.robot, EpisodeDriver(PointBatchDriver()), world.task, seed=11)
    there = RemoteDriver(process.address(), ROBOT)
    assert run_episode(world.robot, there, world.task, seed=11) == here
    assert run_episode(world.robot, there, world.task, seed=12) != here
    assert there.timing is not None and 0 <= there.timing.work_s <= there.timing.round_trip_s
    assert there.timing.travel_s > 0 and there.timing.queue_s >= 0
    there.close()


def test_many_slots_and_two_clients_keep_their_noise_apart(address: ServerAddress) -> None:
    one, two = RemoteBatchDriver(address, ROBOT), RemoteBatchDriver(address, ROBOT)
    here = PointBatchDriver()
    for slot, seed in ((0, 5), (1, 6)):
        one.reset(slot, GO, seed)
        here.reset(slot, GO, seed)
    two.reset(0, GO, 7)
    here.reset(2, GO, 7)
    for _ in range(3):
        histories = [observations(seed) for seed in (5, 6, 7)]
        expected = here.act([0, 1, 2], histories)
        got = [*two.act([0], histories[2:]), *one.act([1, 0], [histories[1], histories[0]])]
        for mine, theirs in zip([expected[2], expected[1], expected[0]], got, strict=True):
            assert np.array_equal(mine.actions, theirs.actions)
    one.close()
    two.close()


def test_questions_that_wait_are_decided_together() -> None:
    gate = Gate()
    with served(ServedPolicy("gate", gate, ROBOT)) as address:
        clients = [RemoteDriver(address, ROBOT) for _ in range(4)]
        for number, client in enumerate(clients):
            client.reset(GO, number)
        threads = [threading.Thread(target=client.act, args=(observations(1),)) for client in clients]
        threads[0].start()
        assert gate.begun.acquire(timeout=30)
        for thread in threads[1:]:
            thread.start()
        # Health is answered while the policy thinks; the others' questions have arrived when all are in the queue.
        health = address.url.replace("ws://", "http://") + "/healthz"
        with urllib.request.urlopen(health, timeout=30) as answer:
            assert answer.read() == b"ok\n"
        waiting = threading.Event()
        decider = next(t for t in threading.enumerate() if t.name == "decider")._target.__self__  # type: ignore[attr-defined]
        while len(decider._waiting) < 3:
            assert not waiting.wait(0.005)
        for _ in range(2):
            gate.go.release()
        for thread in threads:
            thread.join(timeout=30)
        assert gate.batches == [1, 3]
        timing = clients[3].timing
        assert timing is not None and timing.batch == 3 and timing.queue_s > 0
        for client in clients:
            client.close()


def test_only_the_images_that_the_policy_looks_at_travel() -> None:
    robot = replace(SEEING, cameras=(*SEEING.cameras, CameraSpec("unused", 480, 640)))
    point = PointRobot(PointConfig(camera=16))
    unused = np.zeros((480, 640, 3), np.uint8)
    seen = [replace(o, images={**o.images, "unused": unused}) for o in observations(3, robot=point)]
    config = ServerConfig(max_bytes=20_000)
    with served(ServedPolicy("p", PointBatchDriver(), SEEING, ("top",)), config) as address:
        driver = RemoteDriver(address, robot)
        driver.reset(GO, 0)
        assert len(driver.act(seen)) == 4
        driver.close()


def test_drivers_of_one_become_a_driver_of_many() -> None:
    many, alone = SlotDrivers(lambda: PointExpert(0.3)), PointExpert(0.3)
    many.reset(3, GO, 8)
    many.reset(1, GO, 9)
    alone.reset(GO, 8)
    seen = observations(4, 1)
    assert np.array_equal(many.act([1, 3], [seen, seen])[1].actions, alone.act(seen).actions)
    with pytest.raises(ConfigError, match="never reset"):
        many.act([0], [seen])


# --- who may not


@pytest.mark.parametrize("token", ["another-token", "", TOKEN + "x", TOKEN[:-1], "ö" * 8])
def test_a_wrong_token_is_refused(address: ServerAddress, token: str) -> None:
    if not token.isascii():
        request = urllib.request.Request(address.url.replace("ws://", "http://"))
        request.add_header("Authorization", f"Bearer {token}".encode().decode("latin-1"))
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=30)
        return
    with pytest.raises(PolicyServerError, match="does not take this token") as caught:
        RemoteDriver(replace(address, token=token), ROBOT)
    assert not token or token not in str(caught.value)


def test_tokens_are_not_shown_and_not_short(address: ServerAddress) -> None:
    assert TOKEN not in repr(address)
    with pytest.raises(ConfigError, match="too short"), socket.socket() as listener:
        PolicyServer(point_policy(), "short", listener)


def test_another_robot_is_refused_with_every_difference(address: ServerAddress) -> None:
    other = replace(ROBOT, control_hz=50.0, action=(replace(ROBOT.action[0], high=(2.0, 1.0)),))
    with pytest.raises(EmbodimentMismatchError) as caught:
        RemoteDriver(address, other)
    assert any("50 Hz, expected 20 Hz" in line for line in caught.value.differences)
    assert len(caught.value.differences) == 2
    RemoteDriver(address, ROBOT).close()


def test_another_version_is_refused(address: ServerAddress) -> None:
    hello = msgpack.unpackb(encode(Hello(ROBOT)))
    with connect(address.url, additional_headers=AUTHORIZED, proxy=None) as connection:
        connection.send(msgpack.packb({**hello, "version": 99}))  # type: ignore[arg-type]
        answer = decode(connection.recv(timeout=30))
    assert isinstance(answer, Refusal) and "another version" in answer.message and "99" in answer.got


@pytest.mark.parametrize("raw", [b"\xc1", b"", "text", encode(Hello(ROBOT)), encode(Reset(1, 0, GO, 1))[:-1]])
def test_malformed_messages_end_the_connection_with_one_clear_error(address: ServerAddress, raw: object) -> None:
    assert refused(raw, address).kind == "WireError"
    RemoteDriver(address, ROBOT).close()  # and nothing else


def test_who_says_nothing_is_let_go() -> None:
    with (
        served(point_policy(), ServerConfig(hello_timeout_s=0.05)) as address,
        connect(address.url, additional_headers=AUTHORIZED, proxy=None) as connection,
    ):
        answer = decode(connection.recv(timeout=30))
        assert isinstance(answer, Refusal) and "in time" in answer.message


def test_too_much_is_refused() -> None:
    with served(point_policy(), ServerConfig(max_clients=1, max_slots=2, max_bytes=4000)) as address:
        driver = RemoteBatchDriver(address, ROBOT)
        with pytest.raises(PolicyServerError, match="no room for another client"):
            RemoteDriver(address, ROBOT)
        for slot in (0, 1):
            driver.reset(slot, GO, 0)
        with pytest.raises(ConfigError, match="no room for another episode"):
            driver.reset(2, GO, 0)
        with pytest.raises(WireError, match="too long"):
            driver.act([0], [observations(1) * 30])
        assert len(driver.act([0, 1], [observations(1)] * 2)) == 2, "a refusal is no end"
        driver._connection.welcome = replace(driver.welcome, max_bytes=10**9)  # a client that does not keep to it
        with pytest.raises(PolicyServerError, match="too long for the policy server"):
            driver.act([0], [observations(1) * 30])


# --- what goes wrong on the way


def test_a_connection_outlasts_a_pause(address: ServerAddress) -> None:
    driver = RemoteDriver(address, ROBOT, Timeouts(0.2, 0.2, 0.2))
    driver.reset(GO, 1)
    assert not threading.Event().wait(0.5)
    assert len(driver.act(observations(1))) == 4
    driver.close()


def test_a_bad_question_is_answered_and_spoils_nothing_else(address: ServerAddress) -> None:
    driver = RemoteDriver(address, ROBOT)
    with pytest.raises(ConfigError, match="never reset"):
        driver.act(observations(1))
    driver.reset(GO, 1)
    good = observations(1)
    with pytest.raises(NonFiniteError, match="state is not finite"):
        driver.act([good[0], Observation(np.full(6, np.nan))])
    with pytest.raises(ShapeError, match="wrong shape"):
        driver.act([good[0], Observation(np.zeros(5))])
    with pytest.raises(ShapeError, match="wrong length"):
        driver.act(good[:1])
    here = PointBatchDriver()
    here.reset(0, GO, 1)
    assert np.array_equal(driver.act(good).actions, here.act([0], [good])[0].actions)
    driver.close()


def test_an_error_of_the_policy_is_the_answer_of_one_client_only() -> None:
    with served(point_policy(fail_state_above=10.0)) as address:
        one, two = RemoteDriver(address, ROBOT), RemoteDriver(address, ROBOT)
        for driver in (one, two):
            driver.reset(GO, 1)
        with pytest.raises(PolicyServerError, match="x is too large for me"):
            one.act([Observation(np.full(6, 11.0))] * 2)
        assert len(two.act(observations(1))) == len(one.act(observations(1))) == 4
        one.close()
        two.close()


def test_a_client_that_vanishes_gives_its_slots_back() -> None:
    gate = Gate()
    with served(ServedPolicy("gate", gate, ROBOT), ServerConfig(max_slots=1)) as address:
        lost = RemoteDriver(address, ROBOT, Timeouts(act_s=0.05))
        lost.reset(GO, 1)
        with pytest.raises(PolicyServerError, match="in time"):
            lost.act(observations(1))
        with pytest.raises(PolicyServerError, match="not connected"):
            lost.act(observations(1))
        gate.go.release()
        other, pause = RemoteDriver(address, ROBOT), threading.Event()
        for _ in range(600):
            try:
                other.reset(GO, 2)
                break
            except ConfigError:
                pause.wait(0.05)
        gate.go.release()
        assert len(other.act(observations(2))) == 4
        other.close()


def test_an_answer_that_comes_too_late_is_never_acted_on() -> None:
    """A server that stands still (SIGSTOP) and goes on: the old question's answer is not taken for a new one's."""
    with in_a_process() as process:
        driver = RemoteDriver(process.address(), ROBOT, Timeouts(act_s=0.2))
        driver.reset(GO, 1)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(PolicyServerError, match="did not answer in time"):
                driver.act(observations(1))
        finally:
            os.kill(process.pid, signal.SIGCONT)
        with pytest.raises(PolicyServerError, match="not connected"):
            driver.act(observations(2))
        driver.connect()
        with pytest.raises(ConfigError, match="never reset"):
            driver.act(observations(2))
        here = PointBatchDriver()
        driver.reset(GO, 3)
        here.reset(0, GO, 3)
        assert np.array_equal(driver.act(observations(2)).actions, here.act([0], [observations(2)])[0].actions)
        driver.close()


def test_a_server_that_takes_no_bytes_holds_nobody_up() -> None:
    """Stopped while a message of many megabytes is on its way: sending ends as well."""
    robot = replace(SEEING, cameras=(CameraSpec("top", 2000, 2000),))
    image = np.zeros((2000, 2000, 3), np.uint8)
    policy = functools.partial(ServedPolicy, "p", PointBatchDriver(), robot, ("top",))
    with in_a_process(policy) as process:
        driver = RemoteDriver(process.address(), robot, Timeouts(act_s=1.0))
        driver.reset(GO, 1)
        seen = [replace(o, images={"top": image}) for o in observations(1)]
        assert len(driver.act(seen)) == 4
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(PolicyServerError):
                driver.act(seen)
            assert not driver.remote.connected
        finally:
            os.kill(process.pid, signal.SIGCONT)


def test_a_server_that_is_killed_is_told_and_an_episode_breaks_off() -> None:
    world = make_point_world()
    with in_a_process() as process:
        driver = RemoteDriver(process.address(), ROBOT)
        victim = process.pid

        class Killer:
            def on_start(self, context, first) -> None:
                pass

            def on_step(self, step) -> None:
                if step.index == 5:
                    os.kill(victim, signal.SIGKILL)
                    process._child.process.join(30)

            def on_end(self, result) -> None:
                assert result is None

        with pytest.raises(PolicyServerError, match="gone"):
            run_episode(world.robot, driver, world.task, seed=2, subscribers=[Killer()])
        assert world.robot.stopped  # type: ignore[attr-defined]
        with pytest.raises(PolicyServerError, match="can be reached"):
            driver.connect()


def test_an_engines_process_that_died_is_started_anew_with_the_next_episode() -> None:
    with in_a_process() as process:
        driver = ProcessDriver(process, ROBOT)
        driver.reset(0, GO, 1)
        first = process.address()
        os.kill(process.pid, signal.SIGKILL)
        process._child.process.join(30)
        with pytest.raises(PolicyServerError) as caught:
            driver.act([0], [observations(1)])
        assert first.url not in str(caught.value), "an address tells policies apart"
        driver.reset(0, GO, 1)
        here = PointBatchDriver()
        here.reset(0, GO, 1)
        got = driver.act([0], [observations(1)])[0]
        assert np.array_equal(got.actions, here.act([0], [observations(1)])[0].actions)
        assert process.address().token != first.token
        driver.close()


def broken() -> ServedPolicy:
    raise ShapeError("the weights do not fit", got=3)


def test_a_policy_that_cannot_be_loaded_is_told() -> None:
    process = PolicyProcess(broken)
    with pytest.raises(ShapeError, match="the weights do not fit"):
        process.address()
    process.close()


@pytest.mark.parametrize("url", ["http://here:1", "ws://", "ws://here:70000", "ws://[::", "here:8400"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of a policy server"):
        ServerAddress(url, TOKEN)


def test_nobody_there_and_somebody_else() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(PolicyServerError, match="can be reached"):
            RemoteDriver(ServerAddress(url, TOKEN), ROBOT)
        deaf.listen()
        with pytest.raises(PolicyServerError, match="does not answer"):
            RemoteDriver(ServerAddress(url, TOKEN), ROBOT, Timeouts(connect_s=0.1))
