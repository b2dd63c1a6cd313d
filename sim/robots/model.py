"""A compiled scene with one robot in it, and where the robot's things lie in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.embodiment import model_hash
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.foreign_model import carry_marks, strip_scene
from robot_stack.sim.robots.spec import ASSETS, RobotSpec

Furnish = Callable[[Any], None]
"""Adds what a task needs (floor, lights, objects, cameras) to the ``MjSpec`` that holds the robot."""


class RobotModelError(ConfigError):
    """An MJCF is not a model of the robot it is said to be."""


@dataclass(frozen=True, eq=False)
class RobotModel:
    """The robot in a scene.

    Every driven joint has one actuator of its own name with ``force = ctrl - kp q - kd dq``, clipped to the joint's
    largest effort; ``kp`` and ``kd`` are written by whatever drives it (:func:`set_gains`). The control is therefore
    ``effort + kp position + kd velocity``, and implicit integration treats the damping implicitly.
    """

    spec: RobotSpec
    """The robot."""

    model: Any
    """``mujoco.MjModel`` of the whole scene."""

    xml: str
    """The scene as MJCF, for dumps and for people."""

    qpos: np.ndarray
    """Index into ``qpos`` of every driven joint, shape ``(driven,)``."""

    dof: np.ndarray
    """Index into ``qvel`` of every driven joint, shape ``(driven,)``."""

    actuator: np.ndarray
    """Its actuator, shape ``(driven,)``."""

    low: np.ndarray
    """Lower position limit of every driven joint, ``-inf`` where it has none, shape ``(driven,)`` [rad or m]."""

    high: np.ndarray
    """Upper position limit, likewise."""

    root: int
    """The base's body."""

    base_qpos: slice
    """Where the base's free joint lies in ``qpos`` (position, then quaternion); empty for a fixed base."""

    base_dof: slice
    """Where it lies in ``qvel``; empty for a fixed base."""

    foot_sensors: np.ndarray
    """Index into ``sensordata`` of each foot's vertical contact force, shape ``(feet,)``."""

    sha256: str
    """Hash of the robot's own MJCF and what it includes, without the scene."""

    def site(self, name: str) -> int:
        """Number of a site.

        Raises:
            UnknownNameError: if the scene has none of that name.
        """
        return number_of(self.model, "site", name)

    def body(self, name: str) -> int:
        """Number of a body; see :meth:`site`."""
        return number_of(self.model, "body", name)

    def geom(self, name: str) -> int:
        """Number of a geom; see :meth:`site`."""
        return number_of(self.model, "geom", name)

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Every camera of the scene."""
        return names_of(self.model, "camera")

    def home_qpos(self) -> np.ndarray:
        """The model's own start with the robot at home, shape ``(nq,)``."""
        qpos = np.array(self.model.qpos0)
        for index, joint in zip(self.qpos, self.spec.driven, strict=True):
            qpos[index] = joint.home
        if self.spec.base == "floating":
            qpos[self.base_qpos] = (0.0, 0.0, self.spec.home_height_m, 1.0, 0.0, 0.0, 0.0)
        return qpos


def compile_robot(spec: RobotSpec, furnish: Furnish | None = None) -> RobotModel:
    """Compile the robot's MJCF, with what ``furnish`` adds to it.

    Args:
        spec: which robot.
        furnish: adds the scene; left out, the robot is alone in empty space.

    Raises:
        RobotModelError: if the file cannot be compiled or its joints are not the robot's.
        MissingExtraError: if MuJoCo is not installed.
    """
    mujoco = import_mujoco()
    if not spec.path.is_file():
        raise RobotModelError("there is no such MJCF file", where=spec.path)
    try:
        made = mujoco.MjSpec.from_file(str(spec.path))
        _check_joints(spec, made)
        if spec.marks:
            strip_scene(made)
            carry_marks(made, mujoco.MjSpec.from_file(str(ASSETS / spec.marks)))
        _add_actuators(spec, made)
        made.option.timestep = spec.physics_timestep_s
        made.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET.value)
        made.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        _add_foot_sensors(spec, made)
        for first, second in spec.overlaps:
            made.add_exclude(bodyname1=first, bodyname2=second)
        if furnish is not None:
            furnish(made)
        model = made.compile()
    except (ValueError, mujoco.FatalError) as error:
        raise RobotModelError(
            "an MJCF cannot be compiled", where=spec.path, got=str(error).splitlines()[0] if str(error) else error
        ) from error
    return _describe(spec, model, made.to_xml())


def set_gains(robot: RobotModel, stiffness: np.ndarray, damping: np.ndarray, model: Any = None) -> None:
    """Give the position loops of all driven joints their gains.

    Args:
        robot: whose.
        stiffness: kp of every driven joint, shape ``(driven,)``.
        damping: kd, likewise.
        model: a copy of the robot's model to write into; the robot's own when left out.
    """
    target = robot.model if model is None else model
    target.actuator_biasprm[robot.actuator, 1] = -stiffness
    target.actuator_biasprm[robot.actuator, 2] = -damping


def names_of(model: Any, kind: str) -> tuple[str, ...]:
    """Names of all things of one kind (``"body"``, ``"camera"``, ``"joint"`` …) that have one."""
    mujoco = import_mujoco()
    kinds = {
        "body": (mujoco.mjtObj.mjOBJ_BODY, model.nbody),
        "camera": (mujoco.mjtObj.mjOBJ_CAMERA, model.ncam),
        "geom": (mujoco.mjtObj.mjOBJ_GEOM, model.ngeom),
        "joint": (mujoco.mjtObj.mjOBJ_JOINT, model.njnt),
        "sensor": (mujoco.mjtObj.mjOBJ_SENSOR, model.nsensor),
        "site": (mujoco.mjtObj.mjOBJ_SITE, model.nsite),
    }
    code, count = kinds[kind]
    return tuple(n for i in range(count) if (n := mujoco.mj_id2name(model, code.value, i)))


def number_of(model: Any, kind: str, name: str) -> int:
    """Number of the thing called ``name``.

    Raises:
        UnknownNameError: if the model has none of that name; the nearest are listed.
    """
    try:
        return int(getattr(model, kind)(name).id)
    except KeyError:
        raise UnknownNameError(kind, name, names_of(model, kind)) from None


def _check_joints(spec: RobotSpec, made: Any) -> None:
    mujoco = import_mujoco()
    free, hinge, slide = mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE
    kinds = {joint.name: joint.type for joint in made.joints}
    missing = [name for name in spec.driven_names if name not in kinds]
    if missing:
        there = [name for name, kind in kinds.items() if kind != free]
        raise RobotModelError(
            f"the MJCF lacks joints of {spec.name!r}",
            where=spec.path,
            got=f"joints {', '.join(there) or '(none)'}",
            expected=f"also {', '.join(missing)}",
            remedy="name the joints as the robot's own software does, or describe another robot",
        )
    wrong = [name for name in spec.driven_names if kinds[name] not in (hinge, slide)]
    if wrong:
        raise RobotModelError("a driven joint neither turns nor slides", where=spec.path, got=", ".join(wrong))
    root = next((body for body in made.bodies if body.name == spec.root), None)
    if root is None:
        raise RobotModelError(
            f"the MJCF has no body {spec.root!r}", where=spec.path, got=", ".join(b.name for b in made.bodies if b.name)
        )
    floats = any(joint.type == free for joint in root.joints)
    if floats != (spec.base == "floating"):
        raise RobotModelError(
            f"the base of {spec.name!r} is {'free' if floats else 'fixed'} in the MJCF",
            where=spec.path,
            expected=f"a {spec.base} base",
        )


def _add_actuators(spec: RobotSpec, made: Any) -> None:
    mujoco = import_mujoco()
    for actuator in list(made.actuators):
        made.delete(actuator)
    for joint in spec.driven:
        added = made.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        added.gaintype, added.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
        added.gainprm[0] = 1.0
        added.biasprm[:3] = (0.0, -joint.stiffness, -joint.damping)
        added.forcelimited = True
        added.forcerange = (-joint.effort, joint.effort)


def _add_foot_sensors(spec: RobotSpec, made: Any) -> None:
    """One sensor a foot: the net contact force on the foot's body, in world axes."""
    mujoco = import_mujoco()
    bodies = {site.name: site.parent.name for site in made.sites}
    for foot in spec.feet:
        if foot not in bodies:
            raise RobotModelError(f"the MJCF lacks the foot's site {foot!r}", where=spec.path, got=", ".join(bodies))
        sensor = made.add_sensor(name=f"{foot}_contact_force", type=mujoco.mjtSensor.mjSENS_CONTACT)
        sensor.objtype, sensor.objname = mujoco.mjtObj.mjOBJ_BODY, bodies[foot]
        force, net_force = 1 << mujoco.mjtConDataField.mjCONDATA_FORCE.value, 3
        sensor.intprm[:3] = (force, net_force, 1)


def _describe(spec: RobotSpec, model: Any, xml: str) -> RobotModel:
    joints = [model.joint(name) for name in spec.driven_names]
    numbers = np.array([joint.id for joint in joints])
    limited = model.jnt_limited[numbers].astype(bool)
    ranges = model.jnt_range[numbers]
    root = model.body(spec.root).id
    base = model.body_jntadr[root]
    free = spec.base == "floating"
    start, first = (int(model.jnt_qposadr[base]), int(model.jnt_dofadr[base])) if free else (0, 0)
    return RobotModel(
        spec=spec,
        model=model,
        xml=xml,
        qpos=np.array([joint.qposadr[0] for joint in joints]),
        dof=np.array([joint.dofadr[0] for joint in joints]),
        actuator=np.array([model.actuator(name).id for name in spec.driven_names]),
        low=np.where(limited, ranges[:, 0], -np.inf),
        high=np.where(limited, ranges[:, 1], np.inf),
        root=root,
        base_qpos=slice(start, start + 7 * free),
        base_dof=slice(first, first + 6 * free),
        foot_sensors=np.array([model.sensor(f"{f}_contact_force").adr[0] + 2 for f in spec.feet], dtype=np.int64),
        sha256=model_hash(_sources(spec.path, spec.path.parent)),
    )


def _sources(file: Path, folder: Path) -> bytes:
    """An MJCF and all that it includes; MuJoCo looks for included files beside the file that is compiled."""
    own = file.read_bytes()
    included = re.findall(rb'<include\s+file="([^"]+)"', own)
    return own + b"".join(_sources(folder / name.decode(), folder) for name in included)
