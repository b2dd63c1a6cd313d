"""Plans over the wire: continued ones, policies that give chunks only, and both ways between versions."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import NonFiniteError, ShapeError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan, nothing_running
from robot_stack.runtime.policy_client import RemoteBatchDriver, ServerAddress
from robot_stack.runtime.policy_process import ProcessDriver
from robot_stack.runtime.served_policy import ServedPolicy
from robot_stack.runtime.wire import Act, Hello, Refusal, decode, encode
from tests.runtime.serving import ROBOT, TOKEN, in_a_process, observations, point_policy, served
from tests.worlds import PointBatchDriver, ReachTask

GO = ReachTask.instruction
HALF = RunningPlan(np.full((6, 2), 0.5), np.linspace(1.0, 0.0, 6), 2.0)


class Planner(PointBatchDriver):
    """Plans ten steps; answers with what it was told, so that tests see what arrived."""

    continues = True

    def plan(
        self, slots: Sequence[int], histories: Sequence[Sequence[Observation]], running: Sequence[RunningPlan]
    ) -> list[ActionChunk]:
        self.batches.append(len(slots))
        out = []
        for history, plan in zip(histories, running, strict=True):
            actions = np.zeros((10, 2))
            actions[: len(plan)] = plan.actions * plan.weights[:, None] * plan.max_weight
            out.append(ActionChunk(actions, history[-1].time_s, 0.05))
        return out


def planning_policy() -> ServedPolicy:
    """Importable in a child process."""
    return ServedPolicy("planner", Planner(), ROBOT)


def test_plans_travel_with_what_is_carried_out() -> None:
    with served(planning_policy()) as address:
        driver = RemoteBatchDriver(address, ROBOT)
        assert driver.continues
        for slot in (0, 1):
            driver.reset(slot, GO, slot)
        seen = observations(3, driver.history)
        held, free = driver.plan([0, 1], [seen, seen], [HALF, nothing_running(2)])
        np.testing.assert_array_equal(held.actions[:6], HALF.actions * HALF.weights[:, None] * 2.0)
        assert not free.actions.any()
        assert len(driver.act([0], [seen])[0]) != 10  # chunks as before
        with pytest.raises(ShapeError, match="another robot"):
            driver.plan([0], [seen], [RunningPlan(np.zeros((2, 3)), np.ones(2))])
        with pytest.raises(NonFiniteError):
            driver.plan([0], [seen], [RunningPlan(np.full((2, 2), np.nan), np.ones(2))])
        assert len(driver.plan([0], [seen], [HALF])[0]) == 10, "a bad question spoils nothing else"
        driver.close()


def test_plans_from_a_policys_own_process() -> None:
    with in_a_process(planning_policy) as process:
        driver = ProcessDriver(process, ROBOT)
        driver.reset(0, GO, 0)
        assert driver.continues
        assert len(driver.plan([0], [observations(3, driver.history)], [HALF])[0]) == 10
        driver.close()


def test_a_policy_that_gives_chunks_only_answers_with_these() -> None:
    with served(point_policy()) as address:
        driver = RemoteBatchDriver(address, ROBOT)
        assert not driver.continues
        assert driver.welcome.planning == "chunks"
        driver.reset(0, GO, 5)
        seen = observations(3, driver.history)
        planned = driver.plan([0], [seen], [HALF])[0]
        driver.reset(0, GO, 5)
        np.testing.assert_array_equal(planned.actions, driver.act([0], [seen])[0].actions)
        driver.close()


def test_a_client_of_version_1_is_served_as_ever() -> None:
    with served(planning_policy()) as address:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with connect(address.url, additional_headers=headers, proxy=None) as connection:
            connection.send(encode(Hello(ROBOT, 1)))
            welcome = msgpack.unpackb(connection.recv(timeout=30))  # type: ignore[arg-type]
    assert set(welcome) == {"type", "policy", "history", "cameras", "max_bytes", "max_slots"}


@contextlib.contextmanager
def old_server(asked: list[dict]) -> Iterator[ServerAddress]:
    """Says and understands what version 1 did, to the letter."""

    def talk(connection: ServerConnection) -> None:
        hello = msgpack.unpackb(connection.recv())  # type: ignore[arg-type]
        if hello["version"] != 1:
            message = "the policy server speaks another version of the protocol"
            got = f"version {hello['version']}"
            connection.send(encode(Refusal(0, "WireError", message, got=got, expected="version 1")))
            return
        entries = {"policy": "old", "history": 1, "cameras": [], "max_bytes": 2**20, "max_slots": 4}
        connection.send(bytes(msgpack.packb({"type": "welcome", **entries}) or b""))
        with contextlib.suppress(ConnectionClosed):
            while True:
                question = msgpack.unpackb(connection.recv())  # type: ignore[arg-type]
                asked.append(question)
                act = decode(msgpack.packb(question))
                assert isinstance(act, Act)
                actions = {"dtype": "float64", "shape": [2, 2], "data": bytes(32)}
                chunk = {"actions": actions, "start_s": 0.0, "period_s": 0.05}
                answer = {"id": act.id, "chunks": [chunk], "queue_s": 0.0, "work_s": 0.0, "batch": 1}
                connection.send(bytes(msgpack.packb({"type": "decided", **answer}) or b""))

    with serve(talk, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield ServerAddress(f"ws://127.0.0.1:{server.socket.getsockname()[1]}", TOKEN)
        server.shutdown()
        thread.join(30)


def test_a_server_of_version_1_is_asked_as_ever() -> None:
    asked: list[dict] = []
    with old_server(asked) as address:
        driver = RemoteBatchDriver(address, ROBOT)
        assert driver.welcome.planning is None
        assert not driver.continues
        assert driver.plan([0], [observations(3, 1)], [HALF])[0].actions.shape == (2, 2)
        assert set(asked[0]) == {"type", "id", "slots", "histories"}
        driver.close()
