"""A result as pictures: the person, the interaction mesh and the robot side by side, offscreen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from robot_stack.retarget.contacts import from_frame, object_poses
from robot_stack.retarget.drawing import BLUE, GREY, ORANGE, SKIN, Colour, Pen, person_points, stick_bones
from robot_stack.retarget.mesh import neighbours
from robot_stack.retarget.saved import Saved
from robot_stack.sim.render import OffscreenRenderer, import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec

TITLES = ("source", "interaction mesh", "robot")
"""Of the three pictures, from the left."""

_MARGIN = 3
"""White lines between the pictures [pixel]."""

_BAR = 30
"""Height of the line of text below [pixel]."""

_SAMPLES = 100
"""Points of the scene in the mesh that is drawn, as in retargeting."""


class SideBySide:
    """Draws any frame of a result.

    Args:
        saved: with its source.
        spec: the robot.
        height: of the pictures [pixel].
        width: of each of the three [pixel].

    Raises:
        RenderError: if no image can be made here.
    """

    def __init__(self, saved: Saved, spec: RobotSpec, height: int = 480, width: int = 480) -> None:
        self.saved, self.result = saved, saved.result
        self.height, self.width = height, width
        self._mujoco = import_mujoco()
        self._with_robot = compile_robot(spec, self._furnish).model
        self._without = self._empty_model()
        self._data = [self._mujoco.MjData(model) for model in (self._without, self._with_robot)]
        self._renderers = [OffscreenRenderer(m, 2 * height, 2 * width) for m in (self._without, self._with_robot)]
        names = [self._without.geom(i).name for i in range(self._without.ngeom)]
        self._solid = [i for i, name in enumerate(names) if name != "scene_ground"]
        self._moving = [o.name for o in self.result.scene.objects if o.moving]
        self._objects = object_poses(self.result.objects, self.result.scene, len(self.result))
        self._corners = self._mesh_corners()
        self._view = self._camera()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pictures that :meth:`frame` returns."""
        return (self.height + _BAR, 3 * self.width + 2 * _MARGIN, 3)

    def frame(self, number: int) -> np.ndarray:
        """One frame, uint8 of shape :attr:`shape`."""
        self._place(number)
        pictures = [
            self._picture(0, number, lambda scene: self._person(scene, number)),
            self._picture(0, number, lambda scene: self._mesh(scene, number), glass=True),
            self._picture(1, number, None),
        ]
        return self._together(pictures, number)

    def _picture(
        self, which: int, number: int, draw: Callable[[Any], None] | None, *, glass: bool = False
    ) -> np.ndarray:
        """One picture, drawn at twice its size for smooth edges; ``glass`` lets one see through objects."""
        import cv2

        if not which:
            self._without.geom_rgba[self._solid, 3] = 0.45 if glass else 1.0
        view, size = self._looking(number), (2 * self.height, 2 * self.width)
        large = self._renderers[which].render(self._data[which], -1, *size, view=view, draw=draw)
        return cv2.resize(large, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def frames(self, every: int = 1) -> Iterator[np.ndarray]:
        """All frames, or every so-many-th."""
        for number in range(0, len(self.result), every):
            yield self.frame(number)

    def close(self) -> None:
        """Free the graphics contexts; idempotent."""
        for renderer in self._renderers:
            renderer.close()

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _furnish(self, made: Any) -> None:
        mujoco = self._mujoco
        self.result.scene.add_to(made)
        kinds = mujoco.mjtTexture, mujoco.mjtBuiltin
        made.add_texture(
            name="view_sky",
            type=kinds[0].mjTEXTURE_SKYBOX,
            builtin=kinds[1].mjBUILTIN_GRADIENT,
            rgb1=(0.93, 0.95, 0.97),
            rgb2=(0.78, 0.83, 0.88),
            width=64,
            height=384,
        )
        made.add_texture(
            name="view_floor",
            type=kinds[0].mjTEXTURE_2D,
            builtin=kinds[1].mjBUILTIN_CHECKER,
            rgb1=(0.72, 0.74, 0.76),
            rgb2=(0.65, 0.67, 0.69),
            width=128,
            height=128,
        )
        material = made.add_material(name="view_floor", texrepeat=(1, 1), texuniform=True)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "view_floor"
        for geom in made.worldbody.geoms:
            if geom.name == "scene_ground":
                geom.material, geom.rgba, geom.size = "view_floor", (1, 1, 1, 1), (0, 0, 0.1)
        light = made.worldbody.add_light(pos=(0, 0, 6), dir=(0.3, 0.4, -1))
        light.type, light.diffuse, light.castshadow = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, (0.5, 0.5, 0.5), False
        look = made.visual
        look.headlight.ambient, look.headlight.diffuse = (0.42, 0.42, 0.42), (0.30, 0.30, 0.30)
        look.headlight.specular = (0.1, 0.1, 0.1)
        look.global_.fovy = 40.0
        look.map.znear = 0.01

    def _empty_model(self) -> Any:
        made = self._mujoco.MjSpec()
        self._furnish(made)
        model = made.compile()
        model.stat.extent, model.stat.center[:] = self._with_robot.stat.extent, self._with_robot.stat.center
        return model

    def _place(self, number: int) -> None:
        bare, robot = self._data
        robot.qpos[:] = self.result.qpos[number]
        for model, data in zip((self._without, self._with_robot), (bare, robot), strict=True):
            for i, name in enumerate(self._moving):
                mocap = int(model.body_mocapid[model.body(f"scene_{name}").id])
                data.mocap_pos[mocap], data.mocap_quat[mocap] = (
                    self._objects[number, i, :3],
                    self._objects[number, i, 3:],
                )
            self._mujoco.mj_forward(model, data)

    def _camera(self) -> Any:
        """From ahead and aside of the way that the hips face on average."""
        view = self._mujoco.MjvCamera()
        view.type = self._mujoco.mjtCamera.mjCAMERA_FREE
        names, points = self.result.keypoint_names, self.result.p_world_target
        facing = np.array([1.0, 0.0])
        if "left_hip" in names and "right_hip" in names:
            across = (points[:, names.index("left_hip")] - points[:, names.index("right_hip")]).mean(axis=0)
            facing = np.array([across[1], -across[0]])
        view.azimuth = float(np.degrees(np.arctan2(facing[1], facing[0]))) + 125.0
        view.elevation = -14.0
        tall = float(np.ptp(points[0], axis=0).max())
        view.distance = 2.6 * max(tall, 0.6)
        centre = 0.5 * (points.max(axis=1) + points.min(axis=1))
        width = max(1, round(self.result.fps)) | 1
        padded = np.pad(centre, ((width, width), (0, 0)), mode="edge")
        self._path = np.stack(
            [np.convolve(padded[:, i], np.ones(2 * width + 1) / (2 * width + 1), "valid") for i in range(3)], 1
        )
        return view

    def _looking(self, number: int) -> Any:
        self._view.lookat[:] = self._path[number]
        return self._view

    def _person(self, scene: Any, number: int) -> None:
        pen = Pen(scene)
        source = self.saved.source
        size = 0.028 * self._size()
        points, others = person_points(self.saved, number)
        for first, second, share in stick_bones(points):
            pen.rod(first, second, size * share, SKIN)
        if not any(_is_head(name) for name in others):
            self._head(pen, points)
        if source is None:
            return
        for place in points.values():
            pen.ball(place, size * 1.1, BLUE)
        for name, place in others.items():
            head = _is_head(name)
            pen.ball(place, size * (2.6 if head else 0.45), SKIN if head else BLUE)

    def _head(self, pen: Pen, points: dict[str, np.ndarray]) -> None:
        """A head for sources that have none, above the shoulders in line with the trunk."""
        if not all(name in points for name in ("pelvis", "left_shoulder", "right_shoulder")):
            return
        neck = 0.5 * (points["left_shoulder"] + points["right_shoulder"])
        trunk = (neck - points["pelvis"]) / max(float(np.linalg.norm(neck - points["pelvis"])), 1e-9)
        pen.ball(neck + 0.11 * self._size() * trunk, 0.07 * self._size(), SKIN)

    def _mesh(self, scene: Any, number: int) -> None:
        pen = Pen(scene)
        body = self.result.p_world_target[number]
        robot = self.result.p_world_keypoint[number]
        corners = np.concatenate([body, self._corners_at(number)])
        size = 0.02 * self._size()
        adjacent = neighbours(corners)
        for i in range(len(body)):
            for j in np.flatnonzero(adjacent[i]):
                if j > i:
                    thick = j < len(body)
                    colour = BLUE if thick else self._faded(float(np.linalg.norm(corners[j] - corners[i])))
                    pen.line(corners[i], corners[j], size * (0.22 if thick else 0.12), colour)
        for place in corners[len(body) :]:
            pen.ball(place, 0.35 * size, GREY)
        for source, mine in zip(body, robot, strict=True):
            pen.ball(source, 0.8 * size, BLUE)
            pen.ball(mine, 0.9 * size, ORANGE)

    def _faded(self, length: float) -> Colour:
        """Grey that lets one see through long edges: hundreds run from the shoulders to the ground."""
        short = 0.25 * self._size()
        return (*GREY[:3], GREY[3] * min(1.0, short / max(length, short)) ** 2)

    def _size(self) -> float:
        return self.saved.source.height_m if self.saved.source is not None else 1.3

    def _mesh_corners(self) -> list[tuple[int, np.ndarray]]:
        """Samples of every object with its number among those that move, or -1."""
        scene = self.result.scene
        if not scene.objects:
            return [(-1, scene.samples(0, 0))] if scene.ground else []
        points = np.split(scene.samples(_SAMPLES, 0), np.cumsum(scene.sample_counts(_SAMPLES))[:-1])
        return [
            (self._moving.index(thing.name) if thing.moving else -1, own)
            for thing, own in zip(scene.objects, points, strict=True)
        ]

    def _corners_at(self, number: int) -> np.ndarray:
        out = [np.empty((0, 3))]
        for moving, points in self._corners:
            if moving >= 0:
                points = from_frame(points, np.repeat(self._objects[number, moving][None], len(points), axis=0))
            elif not self.result.scene.objects:
                points = points + np.round(self.result.p_world_target[number, 0]) * (1.0, 1.0, 0.0)
            out.append(points)
        return np.concatenate(out)

    def _together(self, pictures: list[np.ndarray], number: int) -> np.ndarray:
        import cv2

        canvas = np.full(self.shape, 255, dtype=np.uint8)
        for i, picture in enumerate(pictures):
            left = i * (self.width + _MARGIN)
            canvas[: self.height, left : left + self.width] = picture
            title = self.result.robot if i == 2 else TITLES[i]
            cv2.putText(canvas, title, (left + 10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 46, 54), 1, cv2.LINE_AA)
        text, good = self._caption(number)
        colour = (40, 46, 54) if good else (190, 60, 20)
        place = (10, self.height + 20)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
        return canvas

    def _caption(self, number: int) -> tuple[str, bool]:
        result, off = self.result, self.result.violations
        touching = sorted({c.group.replace("_", " ") for c in result.contacts if c.start <= number < c.stop})
        deep = max(off.penetration_m[number], off.self_penetration_m[number])
        good = bool(result.accepted()[number])
        what = (
            "" if good else f"   misses: {1e3 * deep:.1f} mm deep, {1e3 * off.anchor_m[number]:.1f} mm off its places"
        )
        return f"{number / result.fps:6.2f} s   touching: {', '.join(touching) or 'nothing'}{what}", good


def _is_head(name: str) -> bool:
    return name.lower().rpartition(":")[2] == "head"
