"""Scenes from files of every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_stack.retarget.height_field import HeightField
from robot_stack.retarget.mjcf_scene import read_mjcf_scene
from robot_stack.retarget.motion import ObjectMotion
from robot_stack.retarget.scene import Scene, SceneError
from robot_stack.retarget.triangle_mesh import convex_parts, read_obj_mesh

KINDS = "an MJCF (.xml), an OBJ (.obj), a height field (.npz with heights and cell_m), or a folder of OBJs"
"""What can be read."""


def read_scene(
    path: str | Path, *, moving: tuple[str, ...] = (), hull: bool = False, tolerance_m: float = 1e-3
) -> Scene:
    """A scene from a file, or from all OBJ files of a folder.

    Args:
        path: see :data:`KINDS`. A height field's ``heights`` is ``(rows along y, columns along x)`` [m], ``cell_m`` one
            or two sizes [m], and ``origin_m``, when there is one, the place of ``heights[0, 0]``; otherwise its middle
            is at the origin.
        moving: names of the objects of OBJ files that have a motion; an MJCF says it itself.
        hull: take the convex hull of what is not convex, instead of refusing it.
        tolerance_m: by how much pieces of a height field may be too high [m].

    Raises:
        SceneError: if it cannot be read or used; the message says why.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, moving, hull)
    readers = {".xml": "mjcf", ".mjcf": "mjcf", ".obj": "obj", ".npz": "heights"}
    kind = readers.get(path.suffix.lower())
    if kind is None or not path.is_file():
        what = "there is no such scene" if kind else "a scene is of no kind that can be read"
        raise SceneError(what, where=path, expected=KINDS)
    if kind == "mjcf":
        return read_mjcf_scene(path, hull=hull, tolerance_m=tolerance_m)
    return _obj(path, moving, hull) if kind == "obj" else _heights(path, tolerance_m)


def follow(objects: tuple[ObjectMotion, ...], scene: Scene) -> tuple[ObjectMotion, ...]:
    """Motions for all moving parts: ``table.1``, ``table.2`` … go where ``table`` goes.

    Args:
        objects: as read.
        scene: whose parts they are.
    """
    by_name = {thing.name: thing for thing in objects}
    parts = [thing.name for thing in scene.objects if thing.moving and thing.name not in by_name]
    more = [replace(by_name[root], name=name) for name in parts if (root := name.rpartition(".")[0]) in by_name]
    return (*objects, *more)


def _obj(path: Path, moving: tuple[str, ...], hull: bool) -> Scene:
    mesh, notes = read_obj_mesh(path)
    parts, more = convex_parts(path.stem, mesh, moving=path.stem in moving, hull=hull)
    return Scene(tuple(parts), notes=tuple(notes + more))


def _folder(path: Path, moving: tuple[str, ...], hull: bool) -> Scene:
    files = sorted(path.glob("*.obj"))
    if not files:
        raise SceneError("a folder has no OBJ file", where=path, expected=KINDS)
    scenes = [_obj(file, moving, hull) for file in files]
    return Scene(tuple(o for s in scenes for o in s.objects), notes=tuple(n for s in scenes for n in s.notes))


def _heights(path: Path, tolerance_m: float) -> Scene:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            heights = np.asarray(arrays["heights"], dtype=np.float64)
            dx, dy = np.broadcast_to(np.asarray(arrays["cell_m"], dtype=np.float64).ravel(), 2)
            middle = -0.5 * (np.array(heights.shape[::-1]) - 1) * (dx, dy)
            x, y = np.asarray(arrays["origin_m"], dtype=np.float64) if "origin_m" in arrays else middle
    except (OSError, KeyError, ValueError) as error:
        raise SceneError("a height field cannot be read", where=path, got=str(error), expected=KINDS) from error
    field = HeightField(heights, (float(dx), float(dy)), (float(x), float(y)))
    # With the ground at z = 0 all around, nothing has to stand for what is level with it.
    ground = bool(heights.min() > -1e-6)
    pieces = field.pieces(path.stem, tolerance_m=tolerance_m, above_m=1e-6 if ground else -np.inf)
    return Scene(tuple(pieces), ground)
