"""Somebody else's model of a robot, made to serve in the place of ours: without its own scene, with our marks.

Vendors' files have meshes, but neither our sites (hands, soles, sensors) nor our cameras, and often a floor, lights and
keyframes of their own. Bodies of one name have one frame in all descriptions of a robot, so marks can be carried over.
"""

from __future__ import annotations

from typing import Any

from robot_stack.sim.render import import_mujoco


def strip_scene(made: Any) -> None:
    """Remove what a scene brings by itself: geoms, lights and cameras of the world, keyframes, skies.

    Args:
        made: the ``MjSpec`` of a robot's file.
    """
    world = made.worldbody
    skies = [t for t in made.textures if t.type == import_mujoco().mjtTexture.mjTEXTURE_SKYBOX]
    for thing in [*world.geoms, *world.lights, *world.cameras, *made.keys, *skies]:
        made.delete(thing)


def carry_marks(made: Any, ours: Any) -> None:
    """Add sites, cameras and sensors of our model that are missing, on bodies of the same name.

    Args:
        made: the ``MjSpec`` to add to.
        ours: the ``MjSpec`` of our own model; not changed.
    """
    bodies = {body.name: body for body in made.bodies}
    there = {site.name for site in made.sites}
    for site in ours.sites:
        if site.name and site.name not in there and site.parent.name in bodies:
            added = bodies[site.parent.name].add_site(name=site.name, pos=site.pos, quat=site.quat, size=site.size)
            added.group = site.group
            _turn_alike(added, site)
    there = {camera.name for camera in made.cameras}
    for camera in ours.cameras:
        if camera.name and camera.name not in there and camera.parent.name in bodies:
            added = bodies[camera.parent.name].add_camera(name=camera.name, pos=camera.pos, quat=camera.quat)
            added.fovy = camera.fovy
            _turn_alike(added, camera)
    sites, sensors = {site.name for site in made.sites}, {sensor.name for sensor in made.sensors}
    kind = import_mujoco().mjtObj.mjOBJ_SITE
    for sensor in ours.sensors:
        if sensor.objtype == kind and sensor.objname in sites and sensor.name not in sensors:
            made.add_sensor(name=sensor.name, type=sensor.type, objtype=kind, objname=sensor.objname)


def _turn_alike(added: Any, like: Any) -> None:
    """Orientations may also be given by axes or angles."""
    for part in ("type", "axisangle", "xyaxes", "zaxis", "euler"):
        setattr(added.alt, part, getattr(like.alt, part))
