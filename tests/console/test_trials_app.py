from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from robot_stack.console.access import COOKIE
from robot_stack.console.trials.app import FILES, make_app
from robot_stack.console.trials.padding import FRAME_BYTES, JSON_BYTES
from robot_stack.console.trials.room import TrialRoom
from robot_stack.core.errors import StorageError
from robot_stack.evaluation.trials.plan import Stopping
from robot_stack.evaluation.trials.store import TrialStore, read_store
from robot_stack.evaluation.trials.verify import verify_store
from tests.console.rooms import FakeStage
from tests.evaluation.trials.studies import NAMES, make_plan, make_store

TOKEN = "a-token-for-tests"
_COUNT = itertools.count()


class Site:
    """A served study with a client that has the token."""

    def __init__(self, folder: Path, *, films: bool = False) -> None:
        self.root = folder if folder.exists() else make_store(folder)
        self.store = TrialStore(self.root)
        self.stages = {"left": FakeStage(), "right": FakeStage()}
        self.room = TrialRoom(self.store, dict(self.stages), films=films)
        self.app = make_app(self.room, TOKEN)
        self.client = TestClient(self.app, headers={"authorization": f"Bearer {TOKEN}"})

    def post(self, action: str, station: str = "left", status: int = 200, **body: object) -> dict:
        body = {"station": station, "key": f"press-{next(_COUNT):06d}", **body}
        answer = self.client.post(f"/api/{action}", json=body)
        assert answer.status_code == status, answer.text.strip()
        return answer.json()

    def join(self, station: str = "left", evaluator: str = "Ada") -> None:
        self.post("join", station, evaluator=evaluator)

    def trial(self, station: str = "left", success: bool = True) -> dict:
        """One whole trial; returns the last view, or the one that says that it is over."""
        view = self.post("next", station)
        if view["trial"] is None or view["trial"]["phase"] != "assigned":
            return view
        name = view["trial"]["id"]
        for action in ("confirm", "start", "stop"):
            self.post(action, station, trial=name)
        return self.post("label", station, trial=name, success=success, milestones=[True, success])

    def close(self) -> None:
        self.room.close()
        self.store.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "study")
    yield made
    made.close()


# --- access


def test_nothing_is_had_without_the_token(site: Site) -> None:
    stranger = TestClient(site.app, follow_redirects=False)
    paths = [*FILES, "/api/view?station=left", "/api/frame?station=left", "/api/film?trial=T0001", "/nowhere"]
    for path in paths:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": f"{COOKIE}=wrong"}, {"cookie": "=;;="}):
            assert stranger.get(path, headers=headers).status_code == 401
    assert stranger.get("/?token=wrong").status_code == 401
    assert stranger.post("/api/next?token=" + TOKEN, json={}).status_code == 401, "an address alone acts on nothing"


def test_the_token_moves_from_the_address_into_a_cookie(site: Site) -> None:
    visitor = TestClient(site.app, follow_redirects=False)
    answer = visitor.get(f"/?token={TOKEN}&x=1")
    assert answer.status_code == 303 and answer.headers["location"] == "/?x=1"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert visitor.get("/").status_code == 200


def test_every_answer_is_hardened(site: Site) -> None:
    for path in ("/", "/api/stations", "/nowhere"):
        headers = site.client.get(path).headers
        assert headers["cache-control"] == "no-store" and "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_no_file_of_the_store_or_the_server_is_served(site: Site) -> None:
    for path in (
        "/sealed/key.json",
        "/plan.json",
        "/events.jsonl",
        "/index.sqlite",
        "/../sealed/key.json",
        "/%2e%2e/sealed/key.json",
        "/..%2fsealed%2fkey.json",
        "/docs",
        "/openapi.json",
        "/api/film?trial=../sealed/key.json",
        "/api/film?trial=T0001",
        "/images/x.jpg",
    ):
        answer = site.client.get(path)
        assert answer.status_code in (404, 409) and "orders" not in answer.text


def test_the_page_needs_nothing_from_elsewhere(site: Site) -> None:
    for path in FILES:
        answer = site.client.get(path)
        assert answer.status_code == 200
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", answer.text), path


# --- trials over HTTP


def test_a_whole_trial(site: Site) -> None:
    site.join()
    view = site.post("next")
    trial = view["trial"]
    assert trial["phase"] == "assigned" and site.stages["left"].shown == [trial["condition"]["id"]]
    assert site.client.get("/api/target?station=left").status_code == 200
    assert site.post("confirm", trial=trial["id"])["trial"]["phase"] == "confirmed"
    assert site.post("start", trial=trial["id"])["trial"]["phase"] == "running"
    view = site.post("stop", trial=trial["id"])
    assert view["trial"]["phase"] == "stopped" and view["trial"]["elapsed_s"] == 1.25
    view = site.post(
        "label", trial=trial["id"], success=False, milestones=[True, False], failure_tags=["missed"], notes="too far"
    )
    assert view["judged"] == 1 and view["trial"]["can_undo"]
    judgement = read_store(site.root).state.trial(trial["id"]).judgement
    assert judgement is not None and judgement.failure_tags == ("missed",) and judgement.notes == "too far"
    assert site.post("undo", trial=trial["id"])["trial"]["phase"] == "stopped"
    site.post("exclude", trial=trial["id"], reason="operator error", notes="bumped the table")
    assert read_store(site.root).state.trial(trial["id"]).exclusion == "operator error"
    site.post("deviate", text="somebody opened the window")
    assert "left: somebody opened the window" in [text for _, text in site.store.state.deviations]


def test_repeated_requests_do_nothing_twice(site: Site) -> None:
    site.join()
    name = site.post("next", key="same-key-1")["trial"]["id"]
    assert site.post("next", key="same-key-1")["trial"]["id"] == name
    site.post("confirm", trial=name, key="same-key-2")
    for _ in range(3):
        site.post("start", trial=name, key="same-key-3")
    assert len(site.stages["left"].started) == 1, "the robot starts once"
    for _ in range(2):
        site.post("stop", trial=name, key="same-key-4")
        site.post("label", trial=name, success=True, milestones=[True, True], key="same-key-5")
    assert site.post("next", key="same-key-6")["trial"]["id"] != name
    answer = site.post("label", trial=name, success=True, milestones=[True, True], key="same-key-5")
    assert answer["judged"] == 1, "a repeat that comes late is answered, and changes nothing"


@pytest.mark.parametrize(
    ("action", "body", "status", "told"),
    [
        ("label", {"trial": "T0404", "success": True}, 404, "no such trial"),
        ("next", {"station": "roof"}, 404, "no such station"),
        ("next", {"station": "right"}, 404, "not joined"),
        ("start", {"trial": "T0001"}, 409, "cannot be started"),
        ("label", {"trial": "T0001", "success": True, "milestones": [True, True]}, 409, "cannot be labelled"),
        ("exclude", {"trial": "T0001", "reason": "bad mood"}, 409, "no reason of the plan"),
        ("undo", {"trial": "T0001"}, 409, "cannot be taken back"),
        ("label", {"trial": "T0001", "success": "perhaps"}, 422, "success"),
        ("label", {"trial": "T0001", "success": True, "policy": "a"}, 422, "policy"),
        ("join", {"evaluator": ""}, 422, "evaluator"),
        ("deviate", {"text": "  "}, 409, "needs words"),
    ],
)
def test_refusals_say_why(site: Site, action: str, body: dict, status: int, told: str) -> None:
    site.join()
    site.post("next")
    events = site.store.state.events
    answer = site.post(action, status=status, **{"station": "left", **body})
    assert told in answer["error"] + str(answer["got"])
    assert site.store.state.events == events


def test_the_robot_stops_before_anything_is_asked(site: Site) -> None:
    site.join()
    name = site.post("next")["trial"]["id"]
    site.post("confirm", trial=name)
    site.post("start", trial=name)
    site.post("emergency", trial="T9999", status=404)
    assert site.stages["left"].stopped[-1] == "emergency stop"
    view = site.post("emergency", trial=name)
    assert view["trial"]["emergency"] and view["trial"]["phase"] == "stopped"
    site.post("label", trial=name, success=True, milestones=[True, True], status=409)
    site.post("label", trial=name, success=False, milestones=[True, False])


def test_time_limit_end_of_episode_and_a_lost_station_are_noticed(site: Site) -> None:
    site.join()
    for ending, cause in (("limit", "time limit"), ("done", "episode ended"), ("broken", "robot error")):
        name = site.post("next")["trial"]["id"]
        site.post("confirm", trial=name)
        site.post("start", trial=name)
        stage = site.stages["left"]
        if ending == "limit":
            stage.now = type(stage.now)("moving", 1e3, 10)
        else:
            stage.now = type(stage.now)("done", 2.0, 20, "the motors are hot" if ending == "broken" else "")
        site.room._tick()
        assert site.store.state.trial(name).stop_cause == cause
        site.post("label", trial=name, success=False, milestones=[False, False])
    name = site.post("next")["trial"]["id"]
    site.post("confirm", trial=name)
    site.post("start", trial=name)
    site.room.desk._heard["left"] -= 61.0
    site.room._tick()
    assert site.store.state.trial(name).phase == "expired" and site.stages["left"].stopped[-1] == "station lost"


def test_a_server_that_comes_back_goes_on_with_the_trial(tmp_path: Path) -> None:
    first = Site(tmp_path / "study")
    first.join()
    name = first.post("next")["trial"]["id"]
    first.post("confirm", trial=name)
    first.post("start", trial=name)
    first.close()
    second = Site(tmp_path / "study")
    try:
        trial = second.client.get("/api/view?station=left").json()["trial"]
        assert (trial["id"], trial["phase"], trial["stop_cause"]) == (name, "stopped", "robot error")
        assert second.stages["left"].shown, "the scene is set up again"
        second.post("exclude", trial=name, reason="hardware fault")
    finally:
        second.close()
    assert all(check.ok for check in verify_store(tmp_path / "study"))


def test_a_full_disk_is_told_without_paths(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.join()

    def refuse(*_: object) -> None:
        raise StorageError("cannot write: disk full", where=site.root)

    monkeypatch.setattr(site.store, "append", refuse)
    answer = site.post("next", status=500)
    assert str(site.root) not in json.dumps(answer)


def test_films_are_for_a_second_judge(tmp_path: Path) -> None:
    site = Site(tmp_path / "study", films=True)
    try:
        site.join()
        site.join("right", "Bob")
        name = site.trial()["trial"]["id"]
        site.room._tick()
        assert site.client.get("/api/to-rate?rater=Ada").json() == {"trial": None}
        assert site.client.get("/api/to-rate?rater=Bob").json() == {"trial": name}
        film = site.client.get(f"/api/film?trial={name}")
        assert film.content == f"film of {name}.mp4".encode() and name not in film.headers["content-disposition"]
        answer = site.post("rate", trial=name, rater="Bob", success=False, milestones=[True, False])
        assert answer["film"] is None
        site.post("rate", trial=name, rater="Ada", success=True, milestones=[True, True], status=409)
        assert [check for check in verify_store(tmp_path / "study") if not check.ok] == []
    finally:
        site.close()


# --- the blinding, attacked


def test_nothing_that_a_station_receives_tells_the_policies_apart(tmp_path: Path) -> None:
    plan = make_plan(n_max=10, stopping=Stopping("fixed", 0.05, 10))
    make_store(tmp_path / "study", plan)
    site = Site(tmp_path / "study", films=True)
    received: list[bytes] = []
    sizes: dict[int, list[tuple[str, int]]] = {0: [], 1: []}
    key = site.store.key()

    def listen(response) -> None:
        response.read()
        head = f"{response.request.url.path} {response.status_code} {dict(response.headers)}".encode()
        received.append(head + response.content)
        current = site.store.state.current("left")
        if current is not None:
            size = (response.request.url.path, len(response.content))
            sizes[key.arm(current.block, current.place)].append(size)

    site.client.event_hooks["response"].append(listen)
    try:
        site.join()
        while True:
            view = site.trial(success=len(received) % 3 == 0)
            if view["over"]:
                break
            for path in ("/api/view", "/api/frame", "/api/target"):
                site.client.get(f"{path}?station=left")
        for path in FILES:
            site.client.get(path)
        site.post("label", trial="T0404", success=True, status=404)
        site.post("start", trial="T0001", status=409)
    finally:
        site.close()
    everything = b"\n".join(received)
    secrets = [key.nonce, *(p.sha256 for p in plan.policies), *(p.policy for p in plan.policies), *NAMES[:2]]
    secrets += [str(tmp_path), json.dumps(key.orders), json.dumps(key.orders[0])]
    for secret in secrets:
        assert secret.encode() not in everything, secret
        assert len(secret) < 32 or secret[:12].encode() not in everything
    assert not re.search(rb'"(arm|policy|policies|block|place|attempt)"', b"".join(received))
    assert {site.stages["left"].started.count(arm) for arm in (0, 1)} == {10}, "both policies ran equally often"
    for kind in ("/api/view", "/api/next", "/api/start", "/api/label"):
        assert {size for arm in sizes for path, size in sizes[arm] if path == kind} == {JSON_BYTES}
    for kind in ("/api/frame", "/api/target"):
        assert {size for arm in sizes for path, size in sizes[arm] if path == kind} == {FRAME_BYTES}


def test_refusals_are_as_long_as_answers(site: Site) -> None:
    answer = site.client.post("/api/next", json={"station": "roof", "key": "x" * 9})
    assert answer.status_code == 404 and len(answer.content) == JSON_BYTES
    assert len(site.client.post("/api/next", json={}).content) == JSON_BYTES


def test_a_label_says_nothing_of_the_policy(tmp_path: Path) -> None:
    """Letters of labels and conditions of trials are independent of the key: no rule separates the arms by them."""
    make_store(tmp_path / "study", make_plan(n_max=40, stopping=Stopping("fixed", 0.05, 40)))
    site = Site(tmp_path / "study")
    try:
        site.join()
        while not site.trial()["over"]:
            pass
        key, trials = site.store.key(), list(site.store.state.trials.values())
    finally:
        site.close()
    arms = [key.arm(t.block, t.place) for t in trials]
    first = [arm for arm, t in zip(arms, trials, strict=True) if t.label < "LZZZ"]
    second = [arm for arm, t in zip(arms, trials, strict=True) if t.place == 0]
    for group in (first, second):
        assert abs(sum(group) - len(group) / 2) < 4 * (len(group) / 4) ** 0.5
