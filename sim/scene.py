"""Furniture of scenes: floor, lights, tables, boxes and cameras, added to an ``MjSpec``."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.sim.render import import_mujoco

Rgba = tuple[float, float, float, float]

GREY: Rgba = (0.62, 0.63, 0.66, 1.0)
WOOD: Rgba = (0.72, 0.55, 0.38, 1.0)
RED: Rgba = (0.82, 0.22, 0.18, 1.0)
GREEN: Rgba = (0.25, 0.62, 0.32, 1.0)
BLUE: Rgba = (0.2, 0.4, 0.75, 1.0)

GRIP_FRICTION = (1.0, 0.01, 0.001)
"""Sliding, torsional and rolling friction of objects that are meant to be grasped."""


def add_room(made: Any, *, floor_friction: float = 0.8) -> None:
    """A floor (geom ``"floor"``), lights and a sky; elliptic friction cones, as grasping and standing want them.

    Args:
        made: the ``MjSpec``.
        floor_friction: sliding friction of the floor.
    """
    mujoco = import_mujoco()
    made.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    made.option.impratio = 10.0
    made.visual.headlight.ambient, made.visual.headlight.diffuse = (0.35,) * 3, (0.45,) * 3
    made.visual.headlight.specular = (0.1,) * 3
    made.visual.map.znear, made.visual.map.zfar = 0.01, 40.0
    made.stat.extent = 1.0
    sky = made.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=256, height=256)
    sky.builtin, sky.rgb1, sky.rgb2 = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT, (0.86, 0.9, 0.95), (0.55, 0.62, 0.7)
    tiles = made.add_texture(name="floor", type=mujoco.mjtTexture.mjTEXTURE_2D, width=256, height=256)
    tiles.builtin, tiles.rgb1, tiles.rgb2 = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, (0.68, 0.7, 0.72), (0.6, 0.62, 0.65)
    material = made.add_material(name="floor", texrepeat=(1.0, 1.0), texuniform=True, reflectance=0.05, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB.value] = "floor"
    made.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(0.0, 0.0, 0.05),
        material="floor",
        friction=(floor_friction, 0.02, 0.01),
        condim=3,
    )
    made.worldbody.add_light(
        name="sky",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.0, 0.0, 4.0),
        dir=(-0.3, 0.3, -1.0),
        diffuse=(0.25,) * 3,
        castshadow=False,
    )
    # A lamp rather than the sun casts the shadows: those of directional lights speckle a large floor.
    made.worldbody.add_light(
        name="lamp",
        type=mujoco.mjtLightType.mjLIGHT_SPOT,
        pos=(1.2, -1.2, 4.0),
        dir=(-0.3, 0.3, -1.0),
        diffuse=(0.4,) * 3,
        cutoff=60.0,
        exponent=1.0,
        castshadow=True,
    )


def add_camera(
    made: Any, name: str, position: tuple[float, ...], target: tuple[float, ...], fovy: float = 45.0
) -> None:
    """A camera fixed in the world that looks at a point, its picture upright.

    Args:
        made: the ``MjSpec``.
        name: its name.
        position: where it stands [m].
        target: what it looks at [m]; not straight above or below it.
        fovy: vertical field of view [degree].
    """
    back = np.subtract(position, target).astype(np.float64)
    back /= np.linalg.norm(back)
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    camera = made.worldbody.add_camera(name=name, pos=position, fovy=fovy)
    camera.alt.type = import_mujoco().mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = np.concatenate([right, np.cross(back, right)])


def add_box(
    made: Any,
    name: str,
    half_size: tuple[float, float, float],
    position: tuple[float, float, float],
    rgba: Rgba,
    *,
    mass: float | None = None,
    friction: tuple[float, float, float] = GRIP_FRICTION,
) -> Any:
    """A box as a body of its own, with one geom of the body's name.

    Args:
        made: the ``MjSpec``.
        name: of body and geom.
        half_size: half its edges [m].
        position: of its centre [m].
        rgba: colour.
        mass: [kg]; left out, it is fixed in the world, otherwise it has a free joint.
        friction: sliding, torsional, rolling.

    Returns:
        The body, to add more to.
    """
    mujoco = import_mujoco()
    body = made.worldbody.add_body(name=name, pos=position)
    geom = body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=half_size, rgba=rgba, friction=friction, condim=4
    )
    if mass is not None:
        body.add_freejoint(name=f"{name}_free")
        geom.mass = mass
        geom.solref, geom.solimp = (0.005, 1.0), (0.95, 0.99, 0.001, 0.5, 2.0)
    return body


def add_table(
    made: Any,
    centre: tuple[float, float],
    top_m: float,
    half_size: tuple[float, float],
    *,
    name: str = "table",
    rgba: Rgba = WOOD,
) -> None:
    """A table with four legs; its top is geom and body ``name``.

    Args:
        made: the ``MjSpec``.
        centre: of the top, x and y [m].
        top_m: height of its surface [m].
        half_size: half its length in x and y [m].
        name: of the top.
        rgba: colour of the top.
    """
    mujoco = import_mujoco()
    thick = min(0.02, top_m / 2)
    body = add_box(made, name, (*half_size, thick), (*centre, top_m - thick), rgba, friction=(0.8, 0.01, 0.001))
    leg = (top_m - 2 * thick) / 2
    if leg <= 0.02:
        return
    for i, (x, y) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        place = (x * (half_size[0] - 0.03), y * (half_size[1] - 0.03), -thick - leg)
        body.add_geom(
            name=f"{name}_leg_{i}", type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.02, 0.02, leg), pos=place, rgba=GREY
        )
