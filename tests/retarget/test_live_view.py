"""The 3-D view: served to this machine only, and what it shows is the frame that was asked for."""

from __future__ import annotations

import urllib.request

import numpy as np
import pytest

from robot_stack.retarget.live_view import HOST, LiveView
from robot_stack.retarget.saved import Saved
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.test_saved import result, source

pytest.importorskip("viser", reason="the 3-D view needs viser")


def test_frames_are_shown_on_this_machine_only() -> None:
    done = result()
    with LiveView(Saved(done, source()), UNITREE_G1, port=18080) as view:
        assert view.host == HOST == "127.0.0.1"
        with urllib.request.urlopen(view.url, timeout=20) as page:
            assert b"viser" in page.read().lower()
        data = import_mujoco().MjData(compile_robot(UNITREE_G1).model)
        for number in (3, 7):
            view.show(number)
            data.qpos[:] = done.qpos[number]
            import_mujoco().mj_kinematics(data.model, data)
            for body, handle in view._bodies:
                assert np.abs(np.asarray(handle.position) - data.xpos[body]).max() < 1e-6
            assert np.abs(np.asarray(view._things[0].position) - done.objects[0].p_world_object[number]).max() < 1e-6
        assert "touching: left hand" in view._text.content
        view._with_mesh.value = True
        view.show(2)
        assert view._mesh is not None
    view.close()
