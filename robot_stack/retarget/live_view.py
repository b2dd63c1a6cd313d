"""A result in 3-D in the browser, with viser: scrub through time, switch person, mesh and robot on and off."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import numpy as np

from robot_stack.core.errors import MissingExtraError, RobotStackError
from robot_stack.retarget.contacts import from_frame, object_poses
from robot_stack.retarget.drawing import person_points, stick_bones
from robot_stack.retarget.mesh import neighbours
from robot_stack.retarget.saved import Saved
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import RobotSpec

HOST = "127.0.0.1"
"""Only this machine is answered."""

_SHOWN_GROUPS = 3
"""Geoms of groups below this are shown, as in MuJoCo's own viewer."""

_BLUE, _ORANGE, _GREY, _BOX = (41, 107, 194), (230, 120, 38), (125, 135, 145), (140, 165, 190)


class LiveViewError(RobotStackError):
    """The 3-D view cannot be opened."""


def require_viser() -> Any:
    """The viser module.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import viser
    except ImportError as error:
        raise MissingExtraError(
            "the 3-D view (--no-live makes only the film)", extra="view", package=error.name or "viser"
        ) from error
    return viser


class LiveView:
    """A web page on this machine that shows a result; a context.

    Args:
        saved: the result, with its source.
        spec: the robot.
        port: of the page; the next free one when it is taken.

    Raises:
        MissingExtraError: if viser is not installed.
        LiveViewError: if the page cannot be served.
    """

    def __init__(self, saved: Saved, spec: RobotSpec, *, port: int = 8080) -> None:
        viser = require_viser()
        self.saved, self.result = saved, saved.result
        self._mujoco = import_mujoco()
        self._robot = compile_robot(spec)
        self._data = self._mujoco.MjData(self._robot.model)
        self._objects = object_poses(self.result.objects, self.result.scene, len(self.result))
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it draws a box with its address, whatever it is told
                self._server: Any = viser.ViserServer(host=HOST, port=port, label=spec.title, verbose=False)
        except OSError as error:
            raise LiveViewError("the 3-D view cannot be served", where=f"{HOST}:{port}", got=error) from error
        self._server.scene.set_up_direction("+z")
        self._things = self._add_scene()
        self._bodies = self._add_robot()
        self._person: Any = None
        self._mesh: Any = None
        self._add_person()
        self._controls()
        self._server.on_client_connect(self._look)
        self.show(0)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self._server.get_port()}"

    @property
    def host(self) -> str:
        """The address that is listened on."""
        return str(self._server.get_host())

    def show(self, number: int) -> None:
        """Show a frame."""
        with self._server.atomic():
            self._show_robot(number)
            for i, handle in enumerate(self._things):
                handle.position, handle.wxyz = self._objects[number, i, :3], self._objects[number, i, 3:]
            self._show_person(number)
        self._text.content = self._caption(number)

    def play_forever(self) -> None:
        """Play while the button says so, until interrupted."""
        while True:
            began = time.monotonic()
            if self._playing.value:
                self._frame.value = (int(self._frame.value) + 1) % len(self.result)
            speed = max(0.05, float(self._speed.value))
            time.sleep(max(0.005, 1.0 / (self.result.fps * speed) - (time.monotonic() - began)))

    def close(self) -> None:
        """End the page; idempotent."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.redirect_stdout(io.StringIO()):
                server.stop()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _look(self, client: Any) -> None:
        """A browser that opens the page sees the robot from ahead and aside."""
        middle = self.result.p_world_target.reshape(-1, 3).mean(axis=0)
        reach = max(1.2, float(np.ptp(self.result.p_world_target.reshape(-1, 3), axis=0).max()))
        client.camera.position = middle + reach * np.array([1.3, -1.3, 0.7])
        client.camera.look_at = middle

    def _controls(self) -> None:
        gui = self._server.gui
        self._playing = gui.add_checkbox("play", True)
        self._frame = gui.add_slider("frame", min=0, max=max(1, len(self.result) - 1), step=1, initial_value=0)
        self._speed = gui.add_slider("speed", min=0.1, max=2.0, step=0.1, initial_value=1.0)
        self._beside = gui.add_slider("person beside [m]", min=0.0, max=3.0, step=0.1, initial_value=1.2)
        self._with_mesh = gui.add_checkbox("interaction mesh", False)
        self._text = gui.add_markdown("")
        self._frame.on_update(lambda _: self.show(min(int(self._frame.value), len(self.result) - 1)))
        self._beside.on_update(lambda _: self.show(int(self._frame.value)))
        self._with_mesh.on_update(lambda _: self.show(int(self._frame.value)))

    def _add_scene(self) -> list[Any]:
        scene, moving = self._server.scene, []
        if self.result.scene.ground:
            scene.add_grid(
                "/ground",
                width=20.0,
                height=20.0,
                cell_size=0.5,
                cell_color=(225, 228, 232),
                section_color=(200, 204, 210),
            )
        for thing in self.result.scene.objects:
            handle = scene.add_mesh_simple(
                f"/scene/{thing.name}", thing.vertices, thing.triangles, color=_BOX, flat_shading=True, side="double"
            )
            if thing.moving:
                moving.append(handle)
        return moving

    def _add_robot(self) -> list[tuple[int, Any]]:
        model, scene, bodies = self._robot.model, self._server.scene, []
        for body in range(1, model.nbody):
            first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
            shown = [
                g for g in range(first, first + count) if model.geom_group[g] < _SHOWN_GROUPS and model.geom_rgba[g, 3]
            ]
            if not shown:
                continue
            name = f"/robot/{model.body(body).name}"
            bodies.append((body, scene.add_frame(name, show_axes=False)))
            for geom in shown:
                vertices, faces = self._shape(geom)
                colour = tuple(int(255 * c) for c in self._colour(geom))
                scene.add_mesh_simple(
                    f"{name}/{geom}",
                    vertices,
                    faces,
                    color=colour,
                    position=model.geom_pos[geom],
                    wxyz=model.geom_quat[geom],
                )
        return bodies

    def _colour(self, geom: int) -> np.ndarray:
        model = self._robot.model
        material = int(model.geom_matid[geom])
        return (model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom])[:3]

    def _shape(self, geom: int) -> tuple[np.ndarray, np.ndarray]:
        """Corners and triangles of a geom in its own frame."""
        import trimesh

        model, kinds = self._robot.model, self._mujoco.mjtGeom
        kind, size = int(model.geom_type[geom]), model.geom_size[geom]
        if kind == kinds.mjGEOM_MESH.value:
            mesh = int(model.geom_dataid[geom])
            v, f = int(model.mesh_vertadr[mesh]), int(model.mesh_faceadr[mesh])
            corners = model.mesh_vert[v : v + int(model.mesh_vertnum[mesh])]
            return corners.astype(np.float64), model.mesh_face[f : f + int(model.mesh_facenum[mesh])].copy()
        if kind == kinds.mjGEOM_BOX.value:
            made = trimesh.creation.box(extents=2.0 * size)
        elif kind == kinds.mjGEOM_CAPSULE.value:
            made = trimesh.creation.capsule(height=2.0 * size[1], radius=size[0], count=(12, 12))
            made.vertices -= made.bounds.mean(axis=0)
        elif kind == kinds.mjGEOM_CYLINDER.value:
            made = trimesh.creation.cylinder(radius=size[0], height=2.0 * size[1], sections=20)
        else:
            made = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
            made.vertices *= size if kind == kinds.mjGEOM_ELLIPSOID.value else size[0]
        return np.asarray(made.vertices), np.asarray(made.faces)

    def _add_person(self) -> None:
        bones, points = self._person_at(0)
        scene = self._server.scene
        self._root = scene.add_frame("/person", show_axes=False)
        self._person = (
            scene.add_line_segments("/person/bones", bones, _BLUE, line_width=6.0),
            scene.add_point_cloud("/person/joints", points, _BLUE, point_size=0.025, point_shape="circle"),
        )

    def _person_at(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        keypoints, others = person_points(self.saved, number)
        bones = np.array([(a, b) for a, b, _ in stick_bones(keypoints)]).reshape(-1, 2, 3)
        joints = np.array([*keypoints.values(), *others.values()])
        return bones.astype(np.float32), joints.astype(np.float32)

    def _show_robot(self, number: int) -> None:
        self._data.qpos[:] = self.result.qpos[number]
        self._mujoco.mj_kinematics(self._robot.model, self._data)
        for body, handle in self._bodies:
            handle.position, handle.wxyz = self._data.xpos[body].copy(), self._data.xquat[body].copy()

    def _show_person(self, number: int) -> None:
        bones, points = self._person_at(number)
        self._person[0].points, self._person[1].points = bones, points
        names, left = self.result.keypoint_names, np.array([0.0, 1.0, 0.0])
        if "left_hip" in names and "right_hip" in names:
            first = self.result.p_world_target[0]
            left = (first[names.index("left_hip")] - first[names.index("right_hip")]) * (1.0, 1.0, 0.0)
            left = left / max(float(np.linalg.norm(left)), 1e-9)
        self._root.position = left * float(self._beside.value)
        if self._mesh is not None:
            self._mesh.remove()
            self._mesh = None
        if self._with_mesh.value:
            self._mesh = self._server.scene.add_line_segments("/mesh", self._edges(number), _ORANGE, line_width=1.5)

    def _edges(self, number: int) -> np.ndarray:
        """Edges of the interaction mesh at the body, shape ``(edges, 2, 3)`` [m]."""
        result, moving, corners = self.result, 0, [self.result.p_world_target[number]]
        scene = result.scene
        parts = np.split(scene.samples(100, 0), np.cumsum(scene.sample_counts(100))[:-1]) if scene.objects else []
        for thing, points in zip(scene.objects, parts, strict=True):
            if thing.moving:
                pose = np.repeat(self._objects[number, moving][None], len(points), axis=0)
                points, moving = from_frame(points, pose), moving + 1
            corners.append(points)
        if not scene.objects and scene.ground:
            corners.append(scene.samples(0, 0) + np.round(corners[0][0]) * (1.0, 1.0, 0.0))
        every, body = np.concatenate(corners), len(corners[0])
        first, second = np.nonzero(neighbours(every)[:body])
        return np.stack([every[first], every[second]], axis=1).astype(np.float32)

    def _caption(self, number: int) -> str:
        result = self.result
        touching = sorted({c.group.replace("_", " ") for c in result.contacts if c.start <= number < c.stop})
        deep = max(result.violations.penetration_m[number], result.violations.self_penetration_m[number])
        kept = "keeps every constraint" if result.accepted()[number] else f"**misses**: {1e3 * deep:.1f} mm deep"
        return f"{number / result.fps:.2f} s, {kept}\n\ntouching: {', '.join(touching) or 'nothing'}"
