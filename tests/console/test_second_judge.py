"""A second judgement from a film, in a real browser."""

from __future__ import annotations

from pathlib import Path

from robot_stack.evaluation.trials.store import TrialStore, read_store
from tests.console.browser import chromium, require_browser, served
from tests.console.rooms import point_stage
from tests.evaluation.trials.studies import make_plan, make_store


def test_somebody_else_judges_the_film(tmp_path: Path) -> None:
    require_browser()
    from robot_stack.console.trials.app import make_app
    from robot_stack.console.trials.room import TrialRoom

    root = make_store(tmp_path / "study", make_plan(n_max=2))
    stages = {name: point_stage(horizon=12) for name in ("left", "right")}
    for stage in stages.values():
        stage.wait_until_ready()
    with TrialStore(root) as store:
        room = TrialRoom(store, dict(stages), films=True)
        with served(make_app(room, "token-of-films")) as address, chromium() as new_page:
            pages = []
            for evaluator, station in (("Ada", "left"), ("Bob", "right")):
                page = new_page(900, 700)
                page.goto(f"{address}/?token=token-of-films")
                page.fill("#evaluator", evaluator)
                page.click(f"#stations label:has-text('{station}')")
                page.click("#join-form button")
                page.wait_for_selector("body[data-phase=ready]")
                pages.append(page)
            ada, bob = pages
            for phase in ("assigned", "confirmed"):
                ada.click("#primary:not(:disabled)")
                ada.wait_for_selector(f"body[data-phase={phase}]")
            ada.click("#primary:not(:disabled)")
            ada.wait_for_selector("body[data-phase=stopped]")
            ada.click("#yes")
            ada.click("#primary:not(:disabled)")
            bob.click("#film-open")
            bob.wait_for_selector("body[data-phase=rating]")
            assert not bob.is_visible("#emergency") and bob.is_disabled("#primary")
            bob.keyboard.press("n")
            bob.keyboard.press("1")
            bob.click("#primary:not(:disabled)")
            bob.wait_for_selector("body[data-phase=ready]")
            assert not bob.is_visible("#film-open") and not ada.is_visible("#film-open"), "nobody judges twice"
        room.close()
    state = read_store(root).state
    ((name, ((rater, judgement),)),) = state.ratings.items()
    assert rater == "Bob" and not judgement.success and judgement.milestones == (True, False)
    first = state.trial(name)
    assert first.judgement is not None and first.judgement.success and first.stop_cause == "episode ended"
