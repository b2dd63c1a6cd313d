"""Scenes from files: distances and surfaces are MuJoCo's own, and what cannot be used is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.retarget.height_field import HeightField
from robot_stack.retarget.motion import ObjectMotion
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.scene import Scene, SceneError, SceneObject
from robot_stack.retarget.scene_file import follow, read_scene
from robot_stack.retarget.synthetic import step_up
from robot_stack.retarget.triangle_mesh import TriangleMesh, convex_parts
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE

mujoco = import_mujoco()
CLIMBS = Path(__file__).resolve().parents[2].parent / "shared" / "motions" / "climb"
CUBE = """v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1
f 4 3 2 1\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n"""

MJCF = """<mujoco>
  <asset><hfield name="hills" nrow="5" ncol="6" size="1 0.8 0.3 0.2"
    elevation="0 0 0 0 0 0  0 1 1 .5 0 0  0 1 1 .5 0 0  0 .2 .3 .4 .5 0  0 0 0 0 0 0"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1"/>
    <geom name="block" type="box" size=".3 .2 .1" pos="1 0 .1" euler="0 0 30"/>
    <geom name="post" type="cylinder" size=".1 .4" pos="-1 0 .4" euler="10 0 0"/>
    <geom name="ball" type="sphere" size=".2" pos="0 1 .2"/>
    <geom name="bar" type="capsule" size=".05 .5" pos="0 -1 .3" euler="0 90 0"/>
    <geom name="egg" type="ellipsoid" size=".3 .2 .1" pos="-1 -1 .2"/>
    <geom name="sign" type="box" size=".1 .1 .1" pos="3 3 3" contype="0" conaffinity="0"/>
    <geom name="hills" type="hfield" hfield="hills" pos="3 0 0"/>
    <body name="crate" pos="2 2 .5"><freejoint/>
      <geom type="box" size=".2 .2 .2"/><geom type="box" size=".05 .05 .1" pos="0 0 .3"/></body>
  </worldbody>
</mujoco>"""


def compiled(scene: Scene) -> tuple[Any, Any]:
    spec = mujoco.MjSpec()
    scene.add_to(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def heights(model: Any, data: Any, xy: np.ndarray) -> np.ndarray:
    """Where rays from above hit the world."""
    geom, down = np.zeros(1, np.int32), np.array([0.0, 0.0, -1.0])
    return np.array([5 - mujoco.mj_ray(model, data, np.array([*p, 5.0]), down, None, 1, -1, geom, None) for p in xy])


def test_an_mjcf_has_the_same_surface_as_in_mujoco(tmp_path: Path) -> None:
    file = tmp_path / "scene.xml"
    file.write_text(MJCF)
    scene = read_scene(file)
    assert scene.ground
    names = {thing.name for thing in scene.objects}
    assert names >= {"block", "post", "ball", "bar", "egg", "crate", "crate.1", "hills"} and "sign" not in names
    assert {thing.name for thing in scene.objects if thing.moving} == {"crate", "crate.1"}
    assert sum("stands for a round shape" in note for note in scene.notes) == 4
    still = Scene(tuple(thing for thing in scene.objects if not thing.moving))
    model = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(model)
    data.qpos[:3] = (9.0, 9.0, 0.5)  # the crate out of the way
    mujoco.mj_forward(model, data)
    xy = np.random.default_rng(0).uniform((-1.5, -1.6), (4.2, 1.6), (1500, 2))
    off = heights(*compiled(still), xy) - heights(model, data, xy)
    assert off.max() < 1.1e-3 and np.quantile(off, 0.02) > -4e-3  # steep sides of round shapes
    flat = np.abs(off) < 1.1e-3
    assert flat.mean() > 0.95


def test_distances_are_mujocos(tmp_path: Path) -> None:
    file = tmp_path / "scene.xml"
    file.write_text(MJCF)
    scene = read_scene(file)
    probe, rng, checked = mujoco.MjSpec(), np.random.default_rng(1), 0
    scene.add_to(probe)
    probe.worldbody.add_body(name="probe", mocap=True).add_geom(name="probe", size=(0.01, 0, 0))
    model = probe.compile()
    data = mujoco.MjData(model)
    for thing in scene.objects:
        if thing.moving:
            continue
        middle = thing.vertices.mean(axis=0)
        points = middle + rng.uniform(-1.0, 1.0, (10, 3))
        distance, on, _ = thing.nearest(points)
        for point, gap, nearest in zip(points, distance, on, strict=True):
            data.mocap_pos[model.body("probe").mocapid[0]] = point
            mujoco.mj_kinematics(model, data)
            ends = np.zeros(6)
            pair = model.geom("probe").id, model.geom(f"scene_{thing.name}").id
            true = mujoco.mj_geomDistance(model, data, *pair, 5.0, ends)
            if gap > 0.02:
                assert true + 0.01 == pytest.approx(gap, abs=2e-4)
                assert np.abs(thing.nearest(nearest[None])[0]) < 1e-9
                checked += 1
    assert checked > 60


@pytest.mark.parametrize("kind", ["stairs", "ramp", "blocks", "rough"])
def test_pieces_of_a_height_field_have_its_surface(kind: str) -> None:
    rng, z = np.random.default_rng(2), np.zeros((13, 16))
    if kind == "stairs":
        z[:, 5:] += 0.15
        z[:, 10:] += 0.15
    elif kind == "ramp":
        z += np.clip(np.linspace(-0.3, 0.9, 16), 0, 0.6)
    elif kind == "blocks":
        z[2:5, 3:7] = 0.3
        z[8:12, 9:13] = 0.2
    else:
        z = 0.05 * rng.random((7, 7))
    field = HeightField(z, (0.1, 0.12), (-0.4, 0.3))
    pieces = field.pieces("terrain")
    assert len(pieces) <= {"stairs": 3, "ramp": 3, "blocks": 30, "rough": 72}[kind]
    rows, columns = z.shape
    xy = rng.uniform((-0.4, 0.3), (-0.4 + 0.1 * (columns - 1), 0.3 + 0.12 * (rows - 1)), (400, 2))
    off = heights(*compiled(Scene(tuple(pieces), ground=False)), xy) - field.height(xy)
    assert off.min() > -1e-5 and off.max() < 1.1e-3
    drawn = np.concatenate([piece.sample(40, 3) for piece in pieces])
    # Samples lie on the surface that can be touched, not between pieces.
    assert np.abs(field.height(drawn[:, :2]) - drawn[:, 2]).max() < 1.1e-3


def test_height_fields_from_files(tmp_path: Path) -> None:
    z = np.zeros((11, 11))
    z[4:7, 4:7] = 0.2
    np.savez(tmp_path / "hill.npz", heights=z, cell_m=0.2)
    scene = read_scene(tmp_path / "hill.npz")
    assert scene.ground  # and nothing is there twice
    assert heights(*compiled(scene), np.array([[0.0, 0.0], [0.9, 0.9]])) == pytest.approx([0.2, 0.0], abs=1e-6)
    assert all(piece.vertices[:, 2].max() > 0.1 for piece in scene.objects)
    np.savez(tmp_path / "pit.npz", heights=-z, cell_m=0.2)
    assert not read_scene(tmp_path / "pit.npz").ground
    np.savez(tmp_path / "bad.npz", heights=z)
    with pytest.raises(SceneError, match="cannot be read"):
        read_scene(tmp_path / "bad.npz")
    with pytest.raises(SceneError, match="finite heights"):
        HeightField(np.full((3, 3), np.nan), (0.1, 0.1))
    with pytest.raises(SceneError, match="too rough"):
        HeightField(np.random.default_rng(0).random((40, 40)), (0.1, 0.1)).pieces("noise", most=100)


def test_objs_are_cut_into_their_parts(tmp_path: Path) -> None:
    shifted = "".join(f"v {x} 0 0\nv {x + 1} 0 0\nv {x} 1 0\nv {x} 0 1\n" for x in (3,))
    file = tmp_path / "two.obj"
    file.write_text(CUBE + shifted + "f 9 11 10\nf -4 -3 -1\nf 9/1 12/2/3 11//4\nf 10 11 12\n")
    scene = read_scene(file, moving=("two",))
    assert [thing.name for thing in scene.objects] == ["two", "two.1"] and scene.notes == ()
    assert [thing.areas.sum() for thing in scene.objects] == pytest.approx([6.0, 1.5 + np.sqrt(3) / 2])
    path = ObjectMotion("two", np.zeros((4, 3)), np.tile([1.0, 0, 0, 0], (4, 1)))
    assert [o.name for o in follow((path,), scene)] == ["two", "two.1"]


def test_bad_meshes_are_repaired_or_refused_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "thing.obj"
    file.write_text(CUBE.replace("f 5 6 7 8\n", "f 1 1 2\n"))  # no lid, one triangle without area
    scene = read_scene(file)
    assert any("not closed" in note for note in scene.notes)
    assert any("1 triangles without area" in note for note in scene.notes)
    assert scene.objects[0].areas.sum() == pytest.approx(6.0)
    for text, why in (
        (CUBE.replace("v 1 1 1", "v 1 nan 1"), "not finite"),
        (CUBE + "f 1 2 99\n", "not there"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n", "no volume"),
        ("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no triangle with an area"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\n", "no faces"),
        ("v 0 0\nf 1 1 1\n", "cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(SceneError, match=why):
            read_scene(file)
    for name, why in (("none.obj", "no such scene"), ("scene.fbx", "no kind that can be read"), (".", "no OBJ file")):
        with pytest.raises(SceneError, match=why):
            read_scene(tmp_path / name if name != "." else tmp_path / "..")


def test_what_is_not_convex_is_refused_unless_its_hull_is_wanted() -> None:
    # An L: three cubes.
    outline = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], dtype=np.float64)
    vertices = np.concatenate([np.column_stack([outline, np.full(6, z)]) for z in (0.0, 1.0)])
    lid = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    sides = [[i, (i + 1) % 6, 6 + (i + 1) % 6] for i in range(6)] + [[i, 6 + (i + 1) % 6, 6 + i] for i in range(6)]
    mesh, _ = TriangleMesh.clean(vertices, np.concatenate([lid[:, ::-1], lid + 6, sides]), "l")
    assert mesh.closed and mesh.volume == pytest.approx(3.0)
    with pytest.raises(SceneError, match="86 % of its convex hull"):
        convex_parts("l", mesh)
    objects, notes = convex_parts("l", mesh, hull=True)
    assert len(objects) == 1 and "16.7 % larger" in notes[0]


def test_mjcfs_that_are_no_scenes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "scene.xml"
    hinge = "<body><joint type='hinge'/><geom size='.1'/></body>"
    for inside, why in ((hinge, "not free"), ("<light/>", "no geom"), ("<geom size='x'/>", "cannot be compiled")):
        file.write_text(f"<mujoco><worldbody>{inside}</worldbody></mujoco>")
        with pytest.raises(SceneError, match=why):
            read_scene(file)


def test_a_tilted_plane_is_a_slab(tmp_path: Path) -> None:
    file = tmp_path / "scene.xml"
    file.write_text("<mujoco><worldbody><geom type='plane' size='0 0 1' euler='0 10 0'/></worldbody></mujoco>")
    scene = read_scene(file)
    assert not scene.ground and "slab" in scene.notes[0]
    assert heights(*compiled(scene), np.array([[1.0, 0.5]])) == pytest.approx([-np.tan(np.radians(10))], abs=1e-5)


def test_shared_scenes_are_the_same_in_one_file_and_in_many() -> None:
    folder = CLIMBS / "seq_0"
    if not folder.is_dir():
        pytest.skip("the shared climbing motions are not here")
    parts = read_scene(folder / "multi_boxes.obj").objects
    files = [read_scene(file).objects[0] for file in sorted(folder.glob("box?.obj"))]
    assert len(parts) == len(files) == 3
    for part in parts:
        assert min(np.abs(np.sort(part.vertices, 0) - np.sort(f.vertices, 0)).max() for f in files) < 1e-6


def test_objects_map_affinely_and_stay_outward() -> None:
    box = SceneObject.box("box", (0.5, 0.4, 0.3), (0.0, 0.0, 0.3))
    affine = np.array([[1.0, 0.0, 0.2, 0.5], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.1]])
    there = box.mapped(affine)
    outside = there.vertices.mean(axis=0) - there.vertices[there.triangles].mean(axis=1)
    assert np.sum(there.normals * outside, axis=1).max() < 0
    edges = there.vertices[there.triangles[:, 1]] - there.vertices[there.triangles[:, 0]]
    assert np.abs(np.sum(there.normals * edges, axis=1)).max() < 1e-9
    with pytest.raises(SceneError, match="flattened or mirrored"):
        box.mapped(affine * (1, 1, -1, 1))


def test_a_height_field_is_climbed_like_the_box_it_shows() -> None:
    made = step_up()
    x, y = np.arange(0.0, 1.3, 0.025), np.arange(-0.6, 0.61, 0.025)
    top = (x > 0.349) & (x < 1.051) & (np.abs(y[:, None]) < 0.401)
    field = HeightField(np.where(top, 0.2, 0.0), (0.025, 0.025), (0.0, -0.6))
    terrain = Scene(tuple(field.pieces("terrain", above_m=1e-6)))
    result = Retargeter(UNITREE_G1, TABLE)(made.motion, terrain)
    assert result.accepted().all() and result.metrics["contact_share"] == 1.0
    assert result.qpos[-1, 2] - result.qpos[0, 2] == pytest.approx(0.2 * result.scale, abs=0.03)
    last = [c for c in result.contacts if c.stop == len(result)]
    assert len(last) == 4 and all(c.surface.startswith("terrain") for c in last)
