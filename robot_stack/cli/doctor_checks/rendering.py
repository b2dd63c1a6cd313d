"""MuJoCo's rendering: a frame with a red box before a black sky is drawn and looked at."""

from __future__ import annotations

import os
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import Answer, ask

BACKENDS = ("egl", "osmesa", "glfw")
_SCENE = """
<mujoco>
  <visual><global offwidth="64" offheight="64"/><quality shadowsize="0" offsamples="0"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="box" size=".3 .3 .3" rgba="1 0 0 1"/>
    <camera name="front" pos="0 -2 0" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
</mujoco>
"""
_INSTALL = "apt-get install libegl1 libgl1 (GPU or Mesa: MUJOCO_GL=egl), or libosmesa6 (software: MUJOCO_GL=osmesa)"


def check(ground: Ground) -> list[Check]:
    """Draw with the backend that is set, or with each one there is."""
    wanted = os.environ.get("MUJOCO_GL", "")
    if wanted:
        return [_check_wanted(wanted, ground)]
    answers = {name: _draw(name, ground) for name in BACKENDS}
    first = next(iter(answers.values()))
    if first.missing == "mujoco":
        return [
            Check(
                "rendering",
                "warning",
                "MuJoCo is not installed: there is no simulation",
                "pip install 'robot_stack[sim]'",
            )
        ]
    working = [name for name, answer in answers.items() if answer.ok]
    details = {"backends": {name: answer.ok or answer.trouble for name, answer in answers.items()}}
    if not working:
        reasons = "; ".join(f"{name}: {answer.trouble}" for name, answer in answers.items())
        return [Check("rendering", "broken", f"no backend draws a frame ({reasons})", _INSTALL, details)]
    renderer = answers[working[0]].value["renderer"]
    return [Check("rendering", "works", f"a frame was drawn with {', '.join(working)} ({renderer})", details=details)]


def _check_wanted(wanted: str, ground: Ground) -> Check:
    answer = _draw(wanted, ground)
    details = {"MUJOCO_GL": wanted, **answer.value}
    if answer.missing == "mujoco":
        remedy = "pip install 'robot_stack[sim]'"
        return Check("rendering", "warning", "MuJoCo is not installed: there is no simulation", remedy, details)
    if answer.ok:
        found = f"a frame was drawn with MUJOCO_GL={wanted} ({answer.value['renderer']})"
        return Check("rendering", "works", found, details=details)
    other = next((name for name in BACKENDS if name != wanted and _draw(name, ground).ok), None)
    remedy = f"set MUJOCO_GL={other}, which works here, or unset it" if other else f"unset MUJOCO_GL; {_INSTALL}"
    return Check("rendering", "broken", f"MUJOCO_GL={wanted} draws no frame: {answer.trouble}", remedy, details)


def _draw(backend: str, ground: Ground) -> Answer:
    variables: dict[str, str | None] = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": None}
    return ask("rendering", [], timeout_s=ground.timeout_s, environment=variables)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Draw the scene and look for the box in its middle."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, 64, 64) as renderer:
        renderer.update_scene(data, camera="front")
        image = renderer.render()
        name = _renderer_name()
    middle, corner = image[32, 32].astype(int), image[1, 1].astype(int)
    if middle[0] < 60 or middle[0] < 2 * middle[1] or corner[0] > middle[0] // 2:
        return {"error": f"the picture is wrong: middle {middle.tolist()}, corner {corner.tolist()}"}
    return {"renderer": name, "mujoco": mujoco.__version__}


def _renderer_name() -> str:
    try:
        from OpenGL import GL

        return GL.glGetString(GL.GL_RENDERER).decode()
    except Exception:
        return "renderer unknown"
