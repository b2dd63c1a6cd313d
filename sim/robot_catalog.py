"""Which robots and tasks there are, by name; cheap to import: nothing named here is loaded before it is asked for.

Names of tasks are ``robot/task``, for example ``panda/pick-place``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from robot_stack.core.driver import Driver
from robot_stack.core.errors import ConfigError, require_name
from robot_stack.core.world import World
from robot_stack.sim.mujoco_robot import ControllerMaker, MujocoRobot, MujocoRobotConfig
from robot_stack.sim.render import Quality
from robot_stack.sim.robot_tasks.contract import RobotTask
from robot_stack.sim.robot_world import SimulatedTask
from robot_stack.sim.robots.spec import RobotSpec

ROBOTS: dict[str, str] = {
    "panda": "robot_stack.sim.robots.panda:PANDA",
    "aloha": "robot_stack.sim.robots.aloha:ALOHA",
    "locoman": "robot_stack.sim.robots.locoman:LOCOMAN",
    "g1": "robot_stack.sim.robots.unitree_g1:UNITREE_G1",
}
"""Every robot and where its spec stands."""

ALIASES = {"bimanual": "aloha", "unitree_g1": "g1", "franka": "panda"}
"""Other names people use."""


@dataclass(frozen=True)
class TaskEntry:
    """Where a task and its operator stand."""

    task: str
    """``module:Class`` of the task, made without arguments."""

    operator: str = ""
    """``module:function`` that makes its scripted operator; empty for none."""

    noise: float = 0.003
    """What the operator wavers by in demonstrations: standard deviation of the hands [m], in walking of the
    velocity [m/s]."""


_PLACES = "robot_stack.sim.robot_tasks", "robot_stack.sim.operators"


def _entry(module: str, task: str, noise: float = TaskEntry.noise) -> TaskEntry:
    """A task whose operator's module has the same name."""
    return TaskEntry(f"{_PLACES[0]}.{module}:{task}", f"{_PLACES[1]}.{module}:make", noise)


TASKS: dict[str, TaskEntry] = {
    "panda/pick-place": _entry("panda_pick_place", "PandaPickPlace"),
    "panda/drawer": _entry("panda_drawer", "PandaDrawer"),
    "panda/peg": _entry("panda_peg", "PandaPeg"),
    "aloha/hand-over": _entry("aloha_hand_over", "AlohaHandOver"),
    "aloha/lift-tray": _entry("aloha_lift_tray", "AlohaLiftTray"),
    "locoman/toy-basket": _entry("locoman_toy_basket", "LocoManToyBasket"),
    "locoman/press": _entry("locoman_press", "LocoManPress"),
    "locoman/ball": _entry("locoman_ball", "LocoManBall"),
    "locoman/walk": _entry("locoman_walk", "LocoManWalk", noise=0.08),
    "locoman/stand": TaskEntry(f"{_PLACES[0]}.stand:locoman_stand"),
    "g1/button": _entry("g1_button", "G1Button"),
    "g1/shelf": _entry("g1_shelf", "G1Shelf"),
    "g1/carry": _entry("g1_carry", "G1Carry"),
    "g1/stand": TaskEntry(f"{_PLACES[0]}.stand:g1_stand"),
}
"""Every task by its full name."""

MODES: dict[str, str] = {
    "joint_position": "robot_stack.sim.control.joint_modes:JointPositionMode",
    "joint_velocity": "robot_stack.sim.control.joint_modes:JointVelocityMode",
    "joint_torque": "robot_stack.sim.control.joint_modes:JointTorqueMode",
    "hand_pose": "robot_stack.sim.control.end_effector_modes:HandPoseMode",
    "hand_step": "robot_stack.sim.control.end_effector_modes:HandStepMode",
}
"""Action modes that any robot has, each made from its compiled model."""

OWN_MODES: dict[str, dict[str, str]] = {
    "locoman": {
        "whole_body": "robot_stack.sim.control.locoman.controller:LocoManController",
        "base_velocity": "robot_stack.sim.control.locoman.controller:VelocityController",
    },
    "g1": {"whole_body": "robot_stack.sim.control.g1_balance:G1Balance"},
}
"""Action modes that only one robot has, by its name."""


@dataclass(frozen=True)
class RobotWorldConfig:
    """Which robot does what, seen and commanded how."""

    task: str = "panda/pick-place"
    """A name of :data:`TASKS`."""

    mode: str = ""
    """A name among :func:`modes_of` the robot; empty for the task's usual action mode."""

    mjcf: str = ""
    """Path of another model of the robot with the same joints; empty for ours."""

    cameras: tuple[str, ...] = ()
    """Cameras of the robot or the scene; empty for state only."""

    image_height: int = 128
    """Rows of every camera's image [pixel]."""

    image_width: int = 128
    """Columns of every camera's image [pixel]."""

    quality: Quality = "fast"
    """Of the images, see :data:`robot_stack.sim.render.Quality`."""

    horizon: int | None = None
    """Longest episode [control steps]; ``None`` takes the task's."""

    dump_folder: str = "physics_dumps"
    """Where the last moments of a simulation that blew up are written; empty for nowhere."""


def robot_name(name: str) -> str:
    """The name under which a robot is listed.

    Raises:
        UnknownNameError: naming the nearest robots.
    """
    return require_name("robot", ALIASES.get(name, name), ROBOTS)


def robot_spec(name: str) -> RobotSpec:
    """The robot called ``name``.

    Raises:
        UnknownNameError: naming the nearest robots.
    """
    return _load(ROBOTS[robot_name(name)])


def tasks_of(robot: str) -> tuple[str, ...]:
    """Full names of a robot's tasks."""
    return tuple(name for name in TASKS if name.startswith(f"{robot_name(robot)}/"))


def robot_task(name: str) -> RobotTask:
    """A fresh task.

    Raises:
        UnknownNameError: naming the nearest tasks.
    """
    require_name("task", name, TASKS)
    return _load(TASKS[name].task)()


def modes_of(robot: str) -> tuple[str, ...]:
    """Names of a robot's action modes."""
    return (*MODES, *OWN_MODES.get(robot_name(robot), {}))


def controller_maker(mode: str, robot: str = "") -> ControllerMaker | None:
    """What makes an action mode; ``None`` for the task's usual one.

    Args:
        mode: a name; empty for the usual one.
        robot: whose own modes count as well; empty for those that any robot has.

    Raises:
        UnknownNameError: naming the nearest modes.
    """
    modes = {**MODES, **(OWN_MODES.get(robot_name(robot), {}) if robot else {})}
    return _load(modes[require_name("action mode", mode, modes, where=robot or None)]) if mode else None


def make_robot_world(config: RobotWorldConfig = RobotWorldConfig()) -> World:
    """One robot with one task; with ``config`` bound by ``functools.partial`` it is a ``WorldMaker``.

    Raises:
        UnknownNameError: if the task, the mode or a camera does not exist.
        RobotModelError: if the MJCF is not a model of the robot.
    """
    task = robot_task(config.task)
    name = config.task.partition("/")[0]
    spec = robot_spec(name)
    if config.mjcf:
        spec = spec.with_mjcf(config.mjcf)
    seen = MujocoRobotConfig(
        cameras=config.cameras,
        image_height=config.image_height,
        image_width=config.image_width,
        quality=config.quality,
        dump_folder=config.dump_folder,
    )
    robot = MujocoRobot(spec, task, controller_maker(config.mode, name), seen)
    return World(robot, SimulatedTask(robot, config.horizon))


def make_operator(world: World, noise_std: float = 0.0) -> Driver:
    """The scripted operator of a world made by :func:`make_robot_world`.

    Args:
        world: robot and task.
        noise_std: standard deviation of the noise on its actions; what it means stands with each operator.

    Raises:
        ConfigError: if the task has none.
    """
    entry = TASKS.get(world.task.name)
    if entry is None or not entry.operator:
        raise ConfigError(
            f"{world.task.name!r} has no scripted operator",
            expected=", ".join(n for n, e in TASKS.items() if e.operator),
        )
    return _load(entry.operator)(world, noise_std)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
