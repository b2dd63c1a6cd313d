"""MuJoCo's rendering: a picture is drawn and looked at, the way the simulated cameras do it."""

from __future__ import annotations

import os
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import Answer, ask

_OFF = ("0", "off", "false", "disable", "disabled")
_NAME = "rendering"


def check(ground: Ground) -> list[Check]:
    """Draw with what is chosen here; where that fails, try the other backends to tell which one works."""
    answer = _draw(None, ground)
    wanted = os.environ.get("MUJOCO_GL", "")
    details = {"MUJOCO_GL": wanted, **answer.value}
    if answer.missing:
        remedy = answer.remedy or "pip install 'robot_stack[sim]'"
        return [Check(_NAME, "warning", "MuJoCo is not installed: there is no simulation", remedy, details)]
    if answer.ok:
        found = f"a picture was drawn with {answer.value['backend']} ({answer.value['renderer']})"
        return [Check(_NAME, "works", found, details=details)]
    if wanted.lower() in _OFF:
        remedy = "unset MUJOCO_GL to record simulated cameras"
        return [Check(_NAME, "warning", f"MUJOCO_GL={wanted} switches it off", remedy, details)]
    return [_broken(wanted, answer, ground, details)]


def _broken(wanted: str, answer: Answer, ground: Ground, details: dict[str, Any]) -> Check:
    from robot_stack.sim.render import BACKENDS, WAY_OUT

    others = [name for name in BACKENDS if name != wanted and _draw(name, ground).ok]
    how = f"MUJOCO_GL={wanted}" if wanted else "the backend chosen here"
    found = f"{how} draws no picture: {answer.trouble}"
    if others:
        return Check(_NAME, "broken", found, f"set MUJOCO_GL={others[0]}, which works here", details)
    return Check(_NAME, "broken", found, ("unset MUJOCO_GL; " if wanted else "") + WAY_OUT, details)


def _draw(backend: str | None, ground: Ground) -> Answer:
    variables: dict[str, str | None] = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": None} if backend else {}
    return ask("rendering", [], timeout_s=ground.timeout_s, environment=variables)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Draw a red sphere and look for it."""
    from robot_stack.sim.render import check_rendering, choose_backend, import_mujoco

    choose_backend()
    mujoco = import_mujoco()
    return {"backend": check_rendering(), "renderer": _renderer_name(), "mujoco": mujoco.__version__}


def _renderer_name() -> str:
    """What draws: a graphics card, or Mesa's software renderer."""
    from robot_stack.sim.render import OffscreenRenderer, import_mujoco

    model = import_mujoco().MjModel.from_xml_string("<mujoco/>")
    renderer = OffscreenRenderer(model, 8, 8)
    try:
        from OpenGL import GL

        name: Any = GL.glGetString(GL.GL_RENDERER)
        return name.decode() if name else "renderer unknown"
    except Exception:
        return "renderer unknown"
    finally:
        renderer.close()
