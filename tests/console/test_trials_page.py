"""The evaluators' page in a real browser: two stations, a scripted evaluator at each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_stack.evaluation.trials.plan import InitialCondition, Stopping
from robot_stack.evaluation.trials.store import TrialStore, read_store
from robot_stack.evaluation.trials.unblind import unblind
from robot_stack.evaluation.trials.verify import verify_store
from tests.console.browser import chromium, require_browser, served
from tests.console.rooms import point_stage
from tests.evaluation.trials.studies import NAMES, make_plan, make_store

TOKEN = "token-of-the-page"


class Bench:
    """A served study on two simulated points, and a browser."""

    def __init__(self, root: Path, address: str, new_page: Any) -> None:
        self.root, self.address, self.new_page = root, address, new_page
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.received: list[bytes] = []

    def sit_down(self, evaluator: str, station: str, width: int, height: int, *, phone: bool = False) -> Any:
        page = self.new_page(width, height, phone=phone)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.goto(f"{self.address}/?token={TOKEN}")
        assert page.url == f"{self.address}/", "the token is gone from the address"
        page.fill("#evaluator", evaluator)
        page.click(f"#stations label:has-text('{station}')")
        page.click("#join-form button")
        at(page, "ready")
        return page


def at(page: Any, phase: str) -> None:
    page.wait_for_selector(f"body[data-phase={phase}]")


def press(page: Any, phase: str) -> None:
    page.click("#primary:not(:disabled)")
    at(page, phase)


def fits(page: Any) -> bool:
    return page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def whole_trial(page: Any, success: bool) -> bool:
    """One trial; False when no more are wanted."""
    page.locator("#study").click()  # no button has the focus, so that Enter is the page's
    page.wait_for_selector("#primary:not(:disabled), body[data-phase=over]", state="attached")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-phase=assigned], body[data-phase=over]")
    if page.get_attribute("body", "data-phase") == "over":
        return False
    press(page, "confirmed")
    press(page, "running")
    press(page, "stopped")
    page.click("#yes" if success else "#no")
    press(page, "ready")
    return True


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    require_browser()
    from robot_stack.console.trials.app import make_app
    from robot_stack.console.trials.room import TrialRoom

    conditions = tuple(InitialCondition(f"c{i}", f"place {i}", seed=i, strata={"light": "dim"}) for i in range(5))
    plan = make_plan(n_max=5, stopping=Stopping("fixed", 0.05, 5), conditions=conditions, time_limit_s=20.0)
    root = make_store(tmp_path_factory.mktemp("page") / "study", plan)
    stages = {name: point_stage(horizon=4000) for name in ("left", "right")}
    for stage in stages.values():
        stage.wait_until_ready()
    with TrialStore(root) as store:
        room = TrialRoom(store, dict(stages))
        with served(make_app(room, TOKEN)) as address, chromium() as new_page:
            yield Bench(root, address, new_page)
        room.close()


def test_two_stations_run_a_study_to_its_end(bench: Bench) -> None:
    phone = bench.sit_down("Ada", "left", 390, 844, phone=True)
    laptop = bench.sit_down("Bob", "right", 1280, 800)
    state = lambda: read_store(bench.root).state  # noqa: E731

    # the phone: touch, every target large enough, nothing wider than the screen
    press(phone, "assigned")
    for picture in ("target", "camera"):
        phone.wait_for_selector(f"#{picture}[src]")
        assert phone.evaluate(f"() => document.getElementById('{picture}').decode().then(() => true)")
    assert float(phone.evaluate("() => getComputedStyle(document.getElementById('target')).opacity")) > 0
    label = phone.inner_text("#tag")
    press(phone, "confirmed")
    press(phone, "running")
    assert fits(phone)
    phone.reload()
    at(phone, "running")
    assert phone.inner_text("#tag") == label, "a reload loses nothing"
    press(phone, "stopped")
    assert fits(phone) and phone.is_disabled("#primary"), "no verdict, nothing to save"
    phone.click("#no")
    for selector in ("#yes", "#no", "#primary", "#emergency", "#exclude-open", "#milestones span", "#tags span"):
        box = phone.locator(selector).first.bounding_box()
        assert box["height"] >= 44 and box["width"] >= 44, selector
    phone.click("#tags label:has-text('dropped')")
    phone.fill("#notes", "slipped at the edge")
    phone.reload()
    at(phone, "stopped")
    assert phone.input_value("#notes") == "slipped at the edge", "a draft survives a reload"

    # the network goes while the label is saved: it arrives once
    phone.context.set_offline(True)
    phone.click("#primary")
    phone.wait_for_selector("#line.lost")
    assert not any(t.judgement for t in state().trials.values())
    phone.context.set_offline(False)
    at(phone, "ready")
    (first,) = state().trials.values()
    assert first.judgement is not None and not first.judgement.success
    assert first.judgement.failure_tags == ("dropped",) and first.judgement.notes == "slipped at the edge"

    # the laptop: keys alone
    for key, phase in (("Enter", "assigned"), ("Enter", "confirmed"), (" ", "running"), (" ", "stopped")):
        laptop.keyboard.press(key)
        at(laptop, phase)
    for key in ("1", "y", "Enter"):
        laptop.keyboard.press(key)
    at(laptop, "ready")
    laptop.keyboard.press("u")
    at(laptop, "stopped")
    laptop.keyboard.press("x")
    laptop.click("#reasons label:has-text('operator error')")
    laptop.fill("#exclude-notes", "bumped the table")
    laptop.click("#exclude-ok")
    at(laptop, "ready")
    assert "excluded" in laptop.inner_text("#ready-text")

    # an answer that is overtaken by a newer one changes nothing
    held: list[Any] = []
    laptop.route("**/api/view*", lambda route: held.append((route, route.fetch())))
    for _ in range(300):
        if held:
            break
        laptop.wait_for_timeout(50)
    laptop.keyboard.press("Enter")
    at(laptop, "assigned")
    route, answer = held.pop(0)
    route.fulfill(response=answer)  # asked before the trial was taken
    laptop.wait_for_timeout(300)
    assert laptop.get_attribute("body", "data-phase") == "assigned"
    for route, answer in held:
        route.fulfill(response=answer)
    laptop.unroute_all(behavior="ignoreErrors")
    laptop.click("#exclude-open")
    laptop.click("#reasons label:has-text('operator error')")
    laptop.click("#exclude-ok")
    at(laptop, "ready")

    # emergency stop by its key; success is then refused
    laptop.keyboard.press("Enter")
    at(laptop, "assigned")
    press(laptop, "confirmed")
    press(laptop, "running")
    laptop.keyboard.press("Escape")
    at(laptop, "stopped")
    laptop.click("#yes")
    assert "emergency stop" in laptop.inner_text("#alert")
    laptop.click("#no")
    press(laptop, "ready")

    more = [True, True]
    while any(more):
        more = [whole_trial(page, success=True) for page in (phone, laptop)]
    assert fits(phone) and fits(laptop)
    final = state()
    assert final.over and len(final.counted_blocks()) == 5
    phases = [t.phase for t in final.trials.values()]
    assert (phases.count("labelled"), phases.count("excluded")) == (10, 2)
    assert {t.station for t in final.trials.values()} == {"left", "right"}
    assert sum(t.emergency for t in final.trials.values()) == 1 and sum(t.undone for t in final.trials.values()) == 1
    assert bench.hosts == {bench.address.removeprefix("http://")}, "no request to anybody else"
    offline = "net::ERR_INTERNET_DISCONNECTED"
    assert [problem for problem in bench.problems if offline not in problem] == []
    assert all(check.ok for check in verify_store(bench.root))
    for page in (phone, laptop):
        text = page.content()
        assert not any(name in text for name in NAMES)


def test_the_study_can_be_unblinded_afterwards(bench: Bench) -> None:
    """Depends on the run above; the server holds the store, so a copy is opened."""
    import shutil

    if not read_store(bench.root).state.over:
        pytest.skip("the study did not run")
    copy = bench.root.parent / "copy"
    shutil.copytree(bench.root, copy)
    with TrialStore(copy) as store:
        key = unblind(store, "Ada")
        arms = [key.arm(t.block, t.place) for t in store.state.trials.values() if t.phase == "labelled"]
    assert arms.count(0) == arms.count(1) == 5
