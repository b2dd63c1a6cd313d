"""Plays the last moments of a simulation that blew up."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def play_dump(path: Path, video: Path | None, headless: bool, size: tuple[int, int], slow: float) -> int:
    """Tell, tick by tick, what moved fastest before the blow-up, and film it; returns the exit code.

    Args:
        path: the dump.
        video: where the film goes; ``None``: beside the dump.
        headless: no film.
        size: of the film, height and width [pixel].
        slow: how much slower than life; the film also never runs faster than 25 pictures a second.

    Raises:
        DatasetError: if the dump cannot be read.
    """
    from rich.console import Console

    from robot_stack.sim.blow_up import read_dump
    from robot_stack.sim.render import import_mujoco

    mujoco = import_mujoco()
    dump, console = read_dump(path), Console(highlight=False)
    console.print(f"[bold]{dump.about['robot']}[/bold], seed {dump.about['seed']}: {dump.about['what']}")
    data = mujoco.MjData(dump.model)
    console.print(_table(dump, data))
    if headless:
        return 0
    target = video or path.with_suffix(".mp4")
    _film(dump, data, target, size, slow)
    console.print(f"film: [bold]{target}[/bold]")
    return 0


def _table(dump: Any, data: Any) -> Any:
    import numpy as np
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for column in ("time [s]", "fastest joint", "its speed", "largest contact force [N]", "deepest contact [mm]"):
        table.add_column(column, justify="right")
    count = len(dump.states)
    shown = sorted({*range(0, count, max(1, count // 8)), *range(max(0, count - 8), count)})
    for tick in shown:
        dump.set(data, tick)
        dof = int(np.argmax(np.abs(data.qvel)))
        joint = dump.model.joint(dump.model.dof_jntid[dof]).name
        forces = np.abs(data.efc_force[: data.nefc]).max(initial=0.0)
        depth = -1e3 * min((contact.dist for contact in data.contact), default=0.0)
        table.add_row(f"{data.time:.3f}", joint, f"{data.qvel[dof]:.3g}", f"{forces:.3g}", f"{max(depth, 0.0):.2f}")
    return table


def _film(dump: Any, data: Any, path: Path, size: tuple[int, int], slow: float) -> None:
    from robot_stack.evaluation.film import Film
    from robot_stack.sim.render import OffscreenRenderer

    renderer = OffscreenRenderer(dump.model, *size)
    film = Film(path, min(25.0, 25.0 / slow))
    try:
        for tick in range(len(dump.states)):
            dump.set(data, tick)
            film.add(renderer.render(data, 0 if dump.model.ncam else -1, *size))
        film.finish()
    finally:
        renderer.close()
