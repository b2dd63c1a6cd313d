"""What a simulated robot senses and does, as an Embodiment."""

from __future__ import annotations

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.sim.robots.model import RobotModel, number_of


def describe_robot(
    robot: RobotModel,
    *,
    state: tuple[Field, ...],
    action: tuple[Field, ...],
    control_hz: float,
    cameras: tuple[str, ...] = (),
    image_height: int = 0,
    image_width: int = 0,
) -> Embodiment:
    """The embodiment of a robot in its scene.

    Args:
        robot: the scene.
        state: fields of the state vector.
        action: fields of the action mode.
        control_hz: rate of observations and actions [Hz].
        cameras: that are part of every observation.
        image_height: of their images [pixel].
        image_width: of their images [pixel].

    Raises:
        UnknownNameError: if a camera does not exist.
    """
    model, seen = robot.model, []
    for name in cameras:
        body = model.body(model.cam_bodyid[number_of(model, "camera", name)]).name
        seen.append(CameraSpec(name, image_height, image_width, "" if body == "world" else body))
    low = tuple(v for f in action for v in f.low_array.tolist())
    high = tuple(v for f in action for v in f.high_array.tolist())
    return Embodiment(
        name=robot.spec.name,
        state=state,
        action=action,
        cameras=tuple(seen),
        control_hz=control_hz,
        limits=SafetyLimits(low=low, high=high),
        model_sha256=robot.sha256,
    )
