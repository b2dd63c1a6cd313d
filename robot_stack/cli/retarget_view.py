"""``robot-stack retarget view``: a result as a film, and in 3-D in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_stack.cli.parsing import Maybe, parse

if TYPE_CHECKING:
    from robot_stack.retarget.saved import Saved
    from robot_stack.sim.robots.spec import RobotSpec

FILM = "side_by_side.mp4"
"""Where the film goes in the result's folder."""


@dataclass(frozen=True)
class RetargetViewArgs:
    """Film a result, person, interaction mesh and robot side by side, then show it in 3-D in the browser."""

    out: Positional[Path]
    """Folder of the result, or its motion.npz."""

    video: bool = True
    """Make the film; it is kept when it is newer than the result."""

    live: bool = True
    """Open the 3-D view; it needs viser, runs until Ctrl-C, and answers this machine only."""

    port: int = 8080
    """Of the 3-D view."""

    film: Maybe[Path] = None
    """Where the film goes; side_by_side.mp4 beside the result when left out."""

    film_fps: float = 15.0
    """Pictures a second of the film, at most."""

    height: int = 432
    """Rows of the pictures [pixel]."""

    width: int = 400
    """Columns of each of the three [pixel]."""

    robot_mjcf: Maybe[Path] = None
    """Another model of the robot to show, the vendor's with its meshes, say."""


def run(arguments: list[str]) -> int:
    """Film the result and show it."""
    args = parse(RetargetViewArgs, arguments, "robot-stack retarget view")
    from robot_stack.cli.retarget_job import MOTION
    from robot_stack.retarget.saved import read_result

    file = args.out / MOTION if args.out.is_dir() else args.out
    if args.live:
        from robot_stack.retarget.live_view import require_viser

        require_viser()
    saved = read_result(file)
    spec = shown_robot(saved, args.robot_mjcf)
    if args.video:
        film = args.film or file.parent / FILM
        if film.exists() and film.stat().st_mtime >= file.stat().st_mtime:
            print(f"film, there already: {film.resolve()}")
        else:
            make_film(saved, spec, film, args)
            print(f"film: {film.resolve()}")
    if args.live:
        _show(saved, spec, args.port)
    return 0


def shown_robot(saved: Saved, mjcf: Path | None) -> RobotSpec:
    """The robot of a result, perhaps with another model of it."""
    from robot_stack.retarget.mjcf_robot import spec_from_mjcf
    from robot_stack.sim.robot_catalog import robot_spec

    spec = spec_from_mjcf(saved.mjcf) if saved.mjcf else robot_spec(saved.result.robot)
    return spec.with_mjcf(mjcf) if mjcf else spec


def make_film(saved: Saved, spec: RobotSpec, path: Path, args: RetargetViewArgs) -> None:
    """Write the film.

    Raises:
        ConfigError: if a size or rate is not positive.
        RenderError: if no image can be made here.
    """
    from robot_stack.cli.bars import bars
    from robot_stack.core.errors import ConfigError
    from robot_stack.evaluation.film import Film
    from robot_stack.retarget.view import SideBySide

    if min(args.height, args.width) < 64 or not args.film_fps > 0:
        raise ConfigError("a film needs pictures of at least 64 pixels and a positive rate", got=args)
    result = saved.result
    every = max(1, round(result.fps / args.film_fps))
    count = len(range(0, len(result), every))
    with (
        bars() as shown,
        SideBySide(saved, spec, args.height, args.width) as view,
        Film(path, result.fps / every, quality=21) as film,
    ):
        bar = shown.add_task("film", total=count, note="")
        for frame in view.frames(every):
            film.add(frame)
            shown.advance(bar)


def _show(saved: Saved, spec: RobotSpec, port: int) -> None:
    from rich.console import Console

    from robot_stack.retarget.live_view import LiveView

    with LiveView(saved, spec, port=port) as view:
        Console().print(f"3-D view: [bold]{view.url}[/bold]  (Ctrl-C ends it)")
        try:
            view.play_forever()
        except KeyboardInterrupt:
            print()
