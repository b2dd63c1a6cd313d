"""Any MJCF with one floating robot in it, as a robot that can be retargeted to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.robot_limbs import Anatomy
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.spec import JointSpec, RobotSpec

SPEED = 12.0
"""What is taken for the largest speed of a joint; an MJCF does not say it [rad/s or m/s]."""


def spec_from_mjcf(
    path: str | Path, *, name: str = "", home: str = "home", speeds: dict[str, float] | None = None
) -> RobotSpec:
    """A robot as its MJCF has it: joints, efforts, home.

    Home is the keyframe called ``home``, else the first keyframe, else the model's own start; the base is put so high
    that the lowest geom is on the ground. Efforts are those of the joints or their motors. Gains are set by effort
    (as stiff as to need a third of it for 0.3 rad), for replay; use the robot's own when you know them.

    Args:
        path: the MJCF; it must hold one robot with a free joint, and may hold no other moving thing.
        name: what to call it; the model's name when left out.
        home: name of the keyframe.
        speeds: largest speed by joint; others get :data:`SPEED` [rad/s].

    Raises:
        ConfigError: if it cannot be compiled (meshes that are not there, say), or has no free base, several, or no
            joints that turn or slide.
    """
    mujoco = import_mujoco()
    path = Path(path).expanduser().resolve()
    try:
        model = mujoco.MjModel.from_xml_path(str(path))
    except (ValueError, mujoco.FatalError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise ConfigError("the MJCF of a robot cannot be compiled", where=path, got=first) from error
    free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE.value)
    if len(free) != 1:
        raise ConfigError(
            "an MJCF to retarget to needs one robot with a free base",
            where=path,
            got=f"{len(free)} free joints",
            remedy="give the base a <freejoint/>, and take objects that move out of the file",
        )
    root = int(model.jnt_bodyid[free[0]])
    qpos = _home(model, home)
    others = [j for j in range(model.njnt) if j != free[0]]
    balls = [model.joint(j).name for j in others if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_BALL.value]
    if balls or not others:
        raise ConfigError(
            "an MJCF to retarget to needs joints that turn or slide",
            where=path,
            got=f"ball joints {', '.join(balls)}" if balls else "no joints but the base's",
        )
    nameless = [str(model.body(int(model.jnt_bodyid[j])).name) or "?" for j in others if not model.joint(j).name]
    if nameless or not model.body(root).name:
        what = f"joints of {', '.join(nameless)}" if nameless else "the base"
        raise ConfigError("an MJCF to retarget to needs a name for the base and every joint", where=path, got=what)
    joints = tuple(_joint(model, j, qpos, speeds or {}) for j in others)
    spec = RobotSpec(
        name=name or _name(path),
        title=f"{_name(path)}, from its MJCF",
        mjcf=str(path),
        base="floating",
        root=str(model.body(root).name),
        joints=joints,
        marks=str(path),  # so that a floor and lights of its own are left out
        doubts=("largest speeds and gains are not in the MJCF: they are guessed",),
    )
    overlaps = _overlaps(model, qpos, root)
    if overlaps:
        pairs = ", ".join(f"{first} and {second}" for first, second in overlaps)
        spec = replace(spec, doubts=(*spec.doubts, f"links that overlap at home are not kept apart: {pairs}"))
    return replace(spec, home_height_m=_height(spec), overlaps=overlaps)


def _name(path: Path) -> str:
    return path.stem.replace("-", "_")


def _home(model: Any, name: str) -> np.ndarray:
    keys = [model.key(k).name for k in range(model.nkey)]
    if name in keys:
        return np.array(model.key_qpos[keys.index(name)])
    return np.array(model.key_qpos[0] if keys else model.qpos0)


def _overlaps(model: Any, qpos: np.ndarray, root: int) -> tuple[tuple[str, str], ...]:
    """Pairs of named links of one chain, with one or two between them, whose geoms overlap at home.

    MuJoCo lets a link overlap its parent only; many models have hulls about ankles and necks that reach farther, and
    no posture keeps those apart. An arm that hangs into a thigh is another matter: joints can part them.
    """
    mujoco = import_mujoco()
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    found: dict[tuple[str, str], None] = {}
    for contact in data.contact[: data.ncon]:
        upper, lower = sorted(int(model.geom_bodyid[g]) for g in contact.geom)
        if contact.dist < 0 and model.body_rootid[upper] == model.body_rootid[lower] == model.body_rootid[root]:
            above = [lower]
            while above[-1] != root and len(above) <= 3:
                above.append(int(model.body_parentid[above[-1]]))
            names = (str(model.body(upper).name), str(model.body(lower).name))
            if upper in above and all(names):
                found[names] = None
    return tuple(found)


def _joint(model: Any, number: int, qpos: np.ndarray, speeds: dict[str, float]) -> JointSpec:
    name = str(model.joint(number).name)
    effort = float(model.jnt_actfrcrange[number][1]) if model.jnt_actfrclimited[number] else 0.0
    for actuator in np.flatnonzero(model.actuator_trnid[:, 0] == number):
        if model.actuator_forcelimited[actuator]:
            effort = effort or float(model.actuator_forcerange[actuator][1])
        elif model.actuator_ctrllimited[actuator] and model.actuator_biastype[actuator] == 0:
            effort = effort or float(model.actuator_ctrlrange[actuator][1] * model.actuator_gainprm[actuator][0])
    effort = effort or 100.0
    stiffness = effort / 0.9
    speed = speeds.get(name, SPEED)
    return JointSpec(name, effort, speed, stiffness, 0.04 * stiffness, float(qpos[model.jnt_qposadr[number]]))


def _height(spec: RobotSpec) -> float:
    """Height of the base at which the lowest geom is on the ground."""
    robot = compile_robot(spec)
    anatomy = Anatomy(robot.model, robot.home_qpos(), robot.root)
    return -min(anatomy.lowest(body) for body in [robot.root, *anatomy.jointed])
