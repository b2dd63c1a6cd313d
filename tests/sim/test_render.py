"""Images without a display, and a way out when there are none."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from robot_stack.core.errors import RenderError
from robot_stack.sim.model_images import ModelImages
from robot_stack.sim.render import (
    BACKENDS,
    OffscreenRenderer,
    check_rendering,
    choose_backend,
    import_mujoco,
    probe_backends,
)

SCENE = """
<mujoco>
  <visual><global offwidth="64" offheight="64"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="front" pos="0 -3 0" xyaxes="1 0 0 0 0 1"/>
    <geom size=".4" pos="-.6 0 .6" rgba="1 0 0 1"/>
    <geom size=".4" pos=".6 0 .6" rgba="0 1 0 1"/>
    <geom size=".4" pos="-.6 0 -.6" rgba="0 0 1 1"/>
  </worldbody>
</mujoco>
"""


def scene():
    mujoco = import_mujoco()
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.parametrize("quality", ["fast", "full"])
def test_up_is_up_and_left_is_left(quality) -> None:
    model, data = scene()
    renderer = OffscreenRenderer(model, 80, 100, quality)
    image = renderer.render(data, 0, 80, 100)
    assert image.shape == (80, 100, 3)
    assert image.dtype == np.uint8
    corners = {"red": image[20, 30], "green": image[20, 70], "blue": image[60, 30]}
    assert [int(np.argmax(c)) for c in corners.values()] == [0, 1, 2]
    assert image[60, 70].max() < 20
    assert renderer.render(data, 0, 40, 40).shape == (40, 40, 3)
    assert (model.vis.global_.offwidth, model.vis.quality.shadowsize) == (64, 4096)
    renderer.close()
    renderer.close()
    with pytest.raises(RenderError, match="closed"):
        renderer.render(data, 0, 40, 40)


def test_a_forgotten_renderer_does_not_blind_the_next_one() -> None:
    model, data = scene()
    first = OffscreenRenderer(model, 32, 32)
    second = OffscreenRenderer(model, 32, 32)
    expected = second.render(data, 0, 32, 32)
    data.geom_xpos[:] += 5
    assert not np.array_equal(second.render(data, 0, 32, 32), expected)
    del first
    data.geom_xpos[:] -= 5
    np.testing.assert_array_equal(second.render(data, 0, 32, 32), expected)


def test_the_check_looks_at_pixels() -> None:
    assert check_rendering() == choose_backend()


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    cleaned = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**cleaned, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("value", ["glfw", "nonsense", "off"])
def test_no_backend_means_a_way_out(value: str) -> None:
    """GLFW needs a display and there is none; the others are no backends."""
    code = """
from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld
make_metaworld(MetaWorldConfig(task="reach", cameras=("corner",))).robot.reset(0)
"""
    done = run(code, MUJOCO_GL=value)
    assert done.returncode == 1
    assert "RenderError" in done.stderr
    assert "libegl1" in done.stderr
    assert "libosmesa6" in done.stderr
    assert value in done.stderr


def test_state_only_needs_no_graphics() -> None:
    code = """
from robot_stack.sim.dmc import DmcConfig, make_dmc
from robot_stack.sim.metaworld import make_metaworld
print(make_metaworld().robot.reset(0).state.shape)
print(make_dmc(DmcConfig(task="quadruped-escape")).robot.reset(0).state.shape)
"""
    done = run(code, MUJOCO_GL="off")
    assert done.stdout.split("\n")[:2] == ["(39,)", "(101,)"], done.stderr


def test_dm_control_with_a_broken_backend_means_a_way_out() -> None:
    done = run("from robot_stack.sim.dmc import make_dmc; make_dmc()", MUJOCO_GL="nonsense")
    assert "RenderError" in done.stderr
    assert "libosmesa6" in done.stderr


def test_every_backend_is_tried_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    found = probe_backends()
    assert set(found) == set(BACKENDS)
    assert found[choose_backend()] == ""
    assert found["glfw"]


def test_making_and_rendering_leaves_the_environment_variables_alone() -> None:
    code = """
import os
before = dict(os.environ)
import robot_stack.sim.metaworld, robot_stack.sim.dmc, robot_stack.sim.catalog, robot_stack.sim.render
assert dict(os.environ) == before
from robot_stack.sim.render import check_rendering
check_rendering()
assert "MUJOCO_GL" not in os.environ
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_unset_and_headless_means_egl_or_osmesa(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert choose_backend() in ("egl", "osmesa")
    monkeypatch.setenv("DISPLAY", ":0")
    assert choose_backend() == "glfw"
    monkeypatch.setenv("MUJOCO_GL", "OSMesa")
    assert choose_backend() == "osmesa"


def test_small_images_are_coarse_only_in_shape_and_large_ones_are_not() -> None:
    model, data = scene()
    images, full = ModelImages(model), ModelImages(model, "full")
    fine, coarse = OffscreenRenderer(model, 128, 128), OffscreenRenderer(model, 128, 128, coarse=True)
    small, reference = images.render(data, 0, 128, 128), fine.render(data, 0, 128, 128)
    np.testing.assert_array_equal(small, coarse.render(data, 0, 128, 128))
    differs = np.abs(small.astype(int) - reference).max(axis=-1) > 60
    assert 0 < differs.mean() < 0.005
    large = OffscreenRenderer(model, 300, 300)
    np.testing.assert_array_equal(images.render(data, 0, 300, 300), large.render(data, 0, 300, 300))
    assert images.render(data, 0, 730, 40).shape == (730, 40, 3)
    assert images.render(data, 0, 300, 1300).shape == (300, 1300, 3)
    np.testing.assert_array_equal(images.render(data, 0, 128, 128), small)
    assert full.render(data, 0, 64, 64).shape == (64, 64, 3) and full._small is None
    assert (model.vis.quality.numslices, model.vis.quality.numstacks) == (28, 16)
    images.close()
    np.testing.assert_array_equal(images.render(data, 0, 128, 128), small)
    for renderer in (images, full, fine, coarse, large):
        renderer.close()
