"""Jacobians against finite differences, distances against MuJoCo's own."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.body import Body
from robot_stack.retarget.scene import Scene, SceneObject
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE

BOX = Scene((SceneObject.box("box", (0.3, 0.3, 0.2), (0.35, 0.0, 0.2)),))

mujoco = import_mujoco()


def poses(body: Body, count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    home = np.repeat(body.home()[None], count, axis=0)
    out = body.moved(home, 0.15 * rng.standard_normal((count, body.nv)))
    out[:, 7:] = np.clip(out[:, 7:], body.low + 1e-3, body.high - 1e-3)  # so that steps are not cut
    return out


def test_points_move_as_their_jacobians_say() -> None:
    body = Body(UNITREE_G1, BOX)
    qpos = poses(body, 8)
    points = body.points(tuple(TABLE.keypoints[name] for name in TABLE.names))
    step = 1e-6 * np.random.default_rng(1).standard_normal((8, body.nv))
    sweep = body.sweep(qpos)
    places = body.places(sweep, *points)
    ahead = body.places(body.sweep(body.moved(qpos, step)), *points)
    behind = body.places(body.sweep(body.moved(qpos, -step)), *points)
    said = np.einsum("tpiv,tv->tpi", body.jacobians(sweep, points[0], places), step)
    assert np.abs(0.5 * (ahead - behind) - said).max() < 1e-10


def test_distances_are_mujocos_and_move_as_their_slopes_say() -> None:
    body = Body(UNITREE_G1, BOX)
    qpos = poses(body, 12)
    sweep = body.sweep(qpos)
    rows = body.distance_rows(sweep, np.arange(len(sweep.distance)))
    step = np.random.default_rng(2).standard_normal((12, body.nv))
    data, checked = mujoco.MjData(body.model), 0
    for i, ((first, second), t) in enumerate(zip(sweep.geoms, sweep.frame, strict=True)):
        same = (sweep.frame == t) & (sweep.geoms == sweep.geoms[i]).all(axis=1)
        if same.sum() > 1 or sweep.distance[i] < 0.0:
            continue
        true = []
        for size in (0.0, 1e-6, -1e-6):
            data.qpos[:] = body.moved(qpos[t : t + 1], size * step[t : t + 1])[0]
            mujoco.mj_kinematics(body.model, data)
            true.append(mujoco.mj_geomDistance(body.model, data, int(first), int(second), 1.0, np.zeros(6)))
        assert abs(true[0] - sweep.distance[i]) < 1e-5
        if abs(true[1] + true[2] - 2 * true[0]) < 1e-9:
            assert abs((true[1] - true[2]) / 2e-6 - rows[i] @ step[t]) < 2e-2
            checked += 1
    assert checked > 20


def test_steps_lead_back() -> None:
    body = Body(UNITREE_G1, Scene())
    first, second = poses(body, 6), poses(body, 12)[6:]
    assert np.abs(body.moved(first, body.between(first, second)) - second).max() < 1e-12
    data = np.array(first)
    for t in range(6):
        mujoco.mj_integratePos(body.model, data[t], body.between(first, second)[t], 1.0)
    assert np.abs(np.abs(data) - np.abs(second)).max() < 1e-9
