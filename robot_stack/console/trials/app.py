"""The evaluators' page over HTTP. Every answer has a fixed size; none depends on which policy runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from robot_stack.console.access import TokenAccess
from robot_stack.console.trials.padding import FRAME_BYTES, PaddedJson
from robot_stack.console.trials.room import TrialRoom
from robot_stack.core.errors import RobotStackError
from robot_stack.evaluation.trials.errors import TrialConflictError, UnknownTrialError
from robot_stack.evaluation.trials.trial import Judgement

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/parts.js": ("parts.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""All files that a browser can have; nothing is looked up by a path that it names."""

Name = Annotated[str, Field(min_length=1, max_length=40)]


class _Body(BaseModel):
    """What every action carries."""

    model_config = ConfigDict(extra="forbid")
    station: Name
    key: Annotated[str, Field(min_length=8, max_length=80)]


class _Join(_Body):
    evaluator: Name


class _OnTrial(_Body):
    trial: Name


class _Label(_OnTrial):
    success: bool
    milestones: list[bool] = []
    failure_tags: list[str] = []
    notes: Annotated[str, Field(max_length=2000)] = ""

    def judgement(self) -> Judgement:
        return Judgement(self.success, tuple(self.milestones), tuple(self.failure_tags), self.notes)


class _Exclude(_OnTrial):
    reason: Annotated[str, Field(max_length=200)]
    notes: Annotated[str, Field(max_length=2000)] = ""


class _Deviate(_Body):
    text: Annotated[str, Field(max_length=500)]


class _Rate(_Label):
    rater: Name


def make_app(room: TrialRoom, token: str) -> FastAPI:
    """The page and what is behind it.

    Args:
        room: the study.
        token: who has it may judge.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RobotStackError, _refuse)
    app.add_exception_handler(RequestValidationError, _misread)
    _serve_files(app)
    _serve_looks(app, room)
    _serve_actions(app, room)
    app.add_middleware(TokenAccess, token=token)
    return app


def _serve_files(app: FastAPI) -> None:
    folder = resources.files("robot_stack.console") / "assets" / "trials"

    def answer(name: str, kind: str) -> Callable[[], Response]:
        data = (folder / name).read_bytes()
        return lambda: Response(data, media_type=kind)

    for path, (name, kind) in FILES.items():
        app.add_api_route(path, answer(name, kind), methods=["GET"])


def _serve_looks(app: FastAPI, room: TrialRoom) -> None:
    @app.get("/api/stations")
    def stations() -> Response:
        return PaddedJson({"stations": room.stations(), "study": room.store.plan.name})

    @app.get("/api/view")
    def view(station: str) -> Response:
        return PaddedJson(room.view(station))

    @app.get("/api/frame")
    def frame(station: str) -> Response:
        return Response(room.frame(station), media_type="image/jpeg")

    @app.get("/api/target")
    def target(station: str) -> Response:
        data, kind = room.target(station)
        if not data:
            return Response(status_code=204)  # not set up yet, or no picture
        return Response(data + bytes(-len(data) % FRAME_BYTES), media_type=kind)

    @app.get("/api/to-rate")
    def to_rate(rater: str) -> Response:
        return PaddedJson({"trial": room.film_to_rate(rater)})

    @app.get("/api/film")
    def film(trial: Annotated[str, Query(max_length=40)]) -> Response:
        return FileResponse(room.film(trial), media_type="video/mp4", filename="trial.mp4")


def _serve_actions(app: FastAPI, room: TrialRoom) -> None:
    def seen(station: str) -> Response:
        return PaddedJson(room.view(station))

    @app.post("/api/join")
    def join(body: _Join) -> Response:
        room.join(body.station, body.evaluator, body.key)
        return seen(body.station)

    @app.post("/api/next")
    def following(body: _Body) -> Response:
        room.next(body.station, body.key)
        return seen(body.station)

    @app.post("/api/confirm")
    def confirm(body: _OnTrial) -> Response:
        room.confirm(body.station, body.trial, body.key)
        return seen(body.station)

    @app.post("/api/start")
    def start(body: _OnTrial) -> Response:
        room.start(body.station, body.trial, body.key)
        return seen(body.station)

    @app.post("/api/stop")
    async def stop(body: _OnTrial) -> Response:
        room.halt(body.station, "evaluator")  # before anything that waits for a thread, a lock or a disk
        await run_in_threadpool(room.stop, body.station, body.trial, body.key)
        return await run_in_threadpool(seen, body.station)

    @app.post("/api/emergency")
    async def emergency(body: _OnTrial) -> Response:
        room.halt(body.station, "emergency stop")
        await run_in_threadpool(room.stop, body.station, body.trial, body.key, emergency=True)
        return await run_in_threadpool(seen, body.station)

    @app.post("/api/label")
    def label(body: _Label) -> Response:
        room.label(body.station, body.trial, body.judgement(), body.key)
        return seen(body.station)

    @app.post("/api/undo")
    def undo(body: _OnTrial) -> Response:
        room.undo(body.station, body.trial, body.key)
        return seen(body.station)

    @app.post("/api/exclude")
    def exclude(body: _Exclude) -> Response:
        room.exclude(body.station, body.trial, body.reason, body.notes, body.key)
        return seen(body.station)

    @app.post("/api/deviate")
    def deviate(body: _Deviate) -> Response:
        room.deviate(body.station, body.text, body.key)
        return seen(body.station)

    @app.post("/api/rate")
    def rate(body: _Rate) -> Response:
        room.rate(body.trial, body.rater, body.judgement(), body.key)
        return seen(body.station)


def _refuse(request: Request, error: Exception) -> Response:
    """A refusal in words; file names of the server stay here."""
    assert isinstance(error, RobotStackError)
    status = 404 if isinstance(error, UnknownTrialError) else 409 if isinstance(error, TrialConflictError) else 500
    if status == 500:
        answer = {"error": "the server cannot go on", "got": "look at its terminal", "remedy": None}
    else:
        answer = {"error": error.message, "got": None if error.got is None else str(error.got), "remedy": error.remedy}
    return PaddedJson(answer, status_code=status)


def _misread(request: Request, error: Exception) -> Response:
    """A request that is not understood; what is wrong is named, its values are not repeated."""
    assert isinstance(error, RequestValidationError)
    wrong = ", ".join(".".join(str(part) for part in e["loc"]) + f": {e['msg']}" for e in error.errors())
    return PaddedJson({"error": "the request is not understood", "got": wrong, "remedy": None}, status_code=422)
