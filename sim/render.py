"""Offscreen images of MuJoCo models, without a display, and a way out when no backend works.

The graphics backend is chosen when the first image is asked for, not at import: ``MUJOCO_GL`` if it is set, otherwise
EGL or OSMesa where no display is there, otherwise GLFW. No environment variable is changed for other code.
"""

from __future__ import annotations

import atexit
import ctypes.util
import importlib
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from robot_stack.core.errors import RenderError

Quality = Literal["fast", "full"]
"""``"fast"``: no shadows, reflections and multisampling, far cheaper on a CPU; ``"full"``: all of them."""

BACKENDS = ("egl", "osmesa", "glfw")
"""Backends in the order in which they are tried without a display."""

WAY_OUT = (
    "install a software renderer: on Debian and Ubuntu 'apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri' and set "
    "MUJOCO_GL=egl, or 'apt-get install libosmesa6' and set MUJOCO_GL=osmesa; or work without cameras"
)

COARSE = (16, 8, 1)
"""Sides about and along the axis of round shapes, and squares along the edge of a box, in coarse images."""

_LIVE: weakref.WeakSet[OffscreenRenderer] = weakref.WeakSet()
"""Renderers that hold a graphics context: freed before the interpreter and its drivers go."""

_OFF = ("0", "off", "false", "disable", "disabled")


def choose_backend() -> str:
    """The backend that images are rendered with here: one of :data:`BACKENDS`.

    Raises:
        RenderError: if ``MUJOCO_GL`` forbids rendering or names no backend.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in _OFF:
        raise RenderError(
            "rendering is switched off", where="environment variable MUJOCO_GL", got=wanted, remedy=WAY_OUT
        )
    if wanted in BACKENDS:
        return wanted
    if wanted not in ("", "1", "on", "true", "enable", "enabled", "glx", "wgl", "cgl"):
        raise RenderError(
            "MUJOCO_GL names no rendering backend",
            where="environment variable MUJOCO_GL",
            got=repr(wanted),
            expected=" or ".join(BACKENDS),
            remedy=f"unset MUJOCO_GL, or {WAY_OUT}",
        )
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return "glfw"
    if ctypes.util.find_library("EGL") is None and ctypes.util.find_library("OSMesa") is not None:
        return "osmesa"
    return "egl"


def import_mujoco() -> Any:
    """Import mujoco.

    Raises:
        RenderError: if ``MUJOCO_GL`` keeps it from being imported.
    """
    try:
        import mujoco
    except (RuntimeError, AttributeError, OSError) as error:
        raise render_error(os.environ.get("MUJOCO_GL", ""), error) from error
    return mujoco


class OffscreenRenderer:
    """Renders images of one model; the graphics context is made here and freed by :meth:`close`.

    Args:
        model: a ``mujoco.MjModel``.
        height: of the largest image [pixel].
        width: of the largest image [pixel].
        quality: see :data:`Quality`.
        coarse: spheres, cylinders and capsules with 16 sides instead of the model's usual 28, for small images.

    Raises:
        RenderError: if no image can be made here; the message says what to install.
    """

    def __init__(self, model: Any, height: int, width: int, quality: Quality = "fast", *, coarse: bool = False) -> None:
        self._model = model
        self._context: Any = None
        self._gl: Any = None
        mujoco = self._mujoco = import_mujoco()
        backend = choose_backend()
        try:
            self._gl = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
            if not _LIVE:
                atexit.unregister(_close_all)
                atexit.register(_close_all)  # after the driver's own exit hook, so that it runs before it
            _LIVE.add(self)
            self._gl.make_current()
            self._context = _make_context(model, height, width, quality, coarse)
        except Exception as error:  # every driver fails in its own way
            self.close()
            raise render_error(backend, error) from error
        self._scene = mujoco.MjvScene(model, maxgeom=10_000)
        self._option = mujoco.MjvOption()
        if quality == "fast":
            self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0

    def render(
        self,
        data: Any,
        camera: int,
        height: int,
        width: int,
        *,
        view: Any = None,
        draw: Callable[[Any], None] | None = None,
    ) -> np.ndarray:
        """One image.

        Args:
            data: a ``mujoco.MjData`` of the model.
            camera: number of the camera in the model; -1 is the free camera.
            height: [pixel], at most the height given at construction.
            width: [pixel], at most the width given at construction.
            view: a ``mujoco.MjvCamera`` instead of a camera of the model.
            draw: is given the ``mujoco.MjvScene`` to add shapes of its own to.

        Returns:
            RGB, uint8 of shape ``(height, width, 3)``, first row on top.
        """
        if self._context is None or self._gl is None:
            raise RenderError("this renderer is closed")
        mujoco = self._mujoco
        if view is None:
            view = mujoco.MjvCamera()
            view.fixedcamid = camera
            if camera < 0:
                mujoco.mjv_defaultFreeCamera(self._model, view)
            else:
                view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._option, None, view, everything, self._scene)
        if draw is not None:
            draw(self._scene)
        area = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(area, self._scene, self._context)
        image = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, area, self._context)
        return np.ascontiguousarray(image[::-1])

    def upload_terrain(self) -> None:
        """Show height fields as they are in the model now; needed after a task changed them."""
        self._gl.make_current()
        for number in range(self._model.nhfield):
            self._mujoco.mjr_uploadHField(self._model, self._context, number)

    def close(self) -> None:
        """Free the graphics context; idempotent.

        MuJoCo frees a context's textures by number in whichever context is current, so the right one must be current.
        """
        if self._context is not None and self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._context = None
        if self._gl is not None:
            self._gl.free()
            self._gl = None

    def __del__(self) -> None:
        self.close()


def _close_all() -> None:
    for renderer in list(_LIVE):
        renderer.close()


def check_rendering() -> str:
    """Render a small scene in this process and look at the pixels.

    Returns:
        The backend that did it.

    Raises:
        RenderError: if it does not work here.
    """
    mujoco = import_mujoco()
    scene = "<mujoco><worldbody><light pos='0 0 3'/><geom size='1' rgba='1 0 0 1'/></worldbody></mujoco>"
    model = mujoco.MjModel.from_xml_string(scene)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = OffscreenRenderer(model, 32, 32)
    try:
        image = renderer.render(data, -1, 32, 32)
    finally:
        renderer.close()
    red, green = int(image[16, 16, 0]), int(image[16, 16, 1])
    if not red > green + 50:
        raise RenderError("a red sphere was rendered, but not seen", got=image[16, 16].tolist(), remedy=WAY_OUT)
    return choose_backend()


def probe_backends(timeout_s: float = 60.0) -> dict[str, str]:
    """Which backends work here: each is tried in a process of its own, since a driver may crash.

    Args:
        timeout_s: a backend that takes longer counts as broken [s].

    Returns:
        Per backend an empty string if it works, otherwise why it does not.
    """
    code = "from robot_stack.sim.render import check_rendering; check_rendering()"
    found: dict[str, str] = {}
    for backend in BACKENDS:
        environment = {**os.environ, "MUJOCO_GL": backend}
        environment.pop("PYOPENGL_PLATFORM", None)
        try:
            done = subprocess.run(
                [sys.executable, "-c", code],
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            found[backend] = f"no image after {timeout_s:g} s"
            continue
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("got:")), lines[-1] if lines else "")
        found[backend] = "" if done.returncode == 0 else reason or f"exit status {done.returncode}"
    return found


def _make_context(model: Any, height: int, width: int, quality: Quality, coarse: bool) -> Any:
    """An offscreen render context; the model's own settings are left as they were."""
    mujoco = import_mujoco()
    size, settings = model.vis.global_, model.vis.quality
    before = (size.offheight, size.offwidth, settings.offsamples, settings.shadowsize)
    sides = settings.numslices, settings.numstacks, settings.numquads
    size.offheight, size.offwidth = height, width
    if quality == "fast":
        settings.offsamples, settings.shadowsize = 0, 0
    if coarse:
        settings.numslices, settings.numstacks, settings.numquads = (
            min(*pair) for pair in zip(sides, COARSE, strict=True)
        )
    try:
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
    finally:
        size.offheight, size.offwidth, settings.offsamples, settings.shadowsize = before
        settings.numslices, settings.numstacks, settings.numquads = sides
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, context)
    return context


def render_error(backend: str, error: BaseException) -> RenderError:
    """What is raised when a backend fails, with the way out.

    Args:
        backend: which backend was used.
        error: how it failed.
    """
    return RenderError(
        "no image can be rendered here",
        where=f"backend {backend!r}" + (" (from MUJOCO_GL)" if os.environ.get("MUJOCO_GL") else ""),
        got=f"{type(error).__name__}: {error}".splitlines()[0],
        remedy=WAY_OUT,
    )
