"""Time of one whole-body tick, part by part: dynamics, tasks and hierarchy, quadratic programme.

    OMP_NUM_THREADS=1 python benchmarks/whole_body_tick.py                 # LocoMan and Unitree G1
    OMP_NUM_THREADS=1 python benchmarks/whole_body_tick.py --robots locoman --ticks 5000

Each tick sees another state near home and other targets, as in use, so the solver's warm start is honest. LocoMan does
gripper manipulation on three feet (18 joints, three points of contact), the G1 stands on two soles and reaches with
both hands (29 joints, eight points of contact). Times are CPU time; the whole tick's median, 99th percentile and worst
are given, and the medians of its parts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from robot_stack.core.joint_control import RobotState
from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.contacts import Contact, contact_demand
from robot_stack.sim.control.whole_body.hierarchy import solve_hierarchy
from robot_stack.sim.control.whole_body.qp import InverseDynamics, QpConfig
from robot_stack.sim.control.whole_body.tasks import ComTask, OrientationTask, PoseTask, PostureTask, Task, stacked
from robot_stack.sim.control.whole_body.whole_body import WholeBodyConfig, WholeBodyController
from robot_stack.sim.robots.model import RobotModel, compile_robot


def state_near_home(robot: RobotModel, random: np.random.Generator) -> RobotState:
    """Home, with every joint a little off and everything in slow motion."""
    home = np.array([joint.home for joint in robot.spec.driven])
    noise = random.standard_normal
    return RobotState(
        time_s=0.0,
        joint_position=home + 0.03 * noise(len(home)),
        joint_velocity=0.3 * noise(len(home)),
        p_world_base=np.array([0.0, 0.0, robot.spec.home_height_m]) + 0.01 * noise(3),
        q_world_base=np.array([1.0, *(0.02 * noise(3))]),
        v_world_base=0.1 * noise(3),
        w_base=0.1 * noise(3),
        foot_force=np.zeros(0),
    )


def locoman() -> tuple[WholeBodyController, RobotModel, list[Contact], list[list[Task]]]:
    """Right gripper manipulation on three feet."""
    from robot_stack.sim.robots.locoman import LOCOMAN

    robot = compile_robot(LOCOMAN)
    control = WholeBodyController(robot)
    dynamics = control.dynamics
    dynamics.update(state_near_home(robot, generator(0)))
    contacts = [Contact(dynamics.site(name)) for name in LOCOMAN.feet[1:]]
    hand = PoseTask.of(dynamics.site(LOCOMAN.end_effectors[0].site))
    levels: list[list[Task]] = [
        [ComTask(axes=(0, 1)), OrientationTask(dynamics.base)],
        [hand],
        [PostureTask(dynamics, LOCOMAN.home)],
    ]
    return control, robot, contacts, levels


def g1() -> tuple[WholeBodyController, RobotModel, list[Contact], list[list[Task]]]:
    """Standing on both soles, reaching with both hands."""
    from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

    robot = compile_robot(UNITREE_G1)
    control = WholeBodyController(robot, config=WholeBodyConfig(qp=QpConfig(relax_joints=True)))
    dynamics = control.dynamics
    dynamics.update(state_near_home(robot, generator(0)))
    soles = [f"{foot}_{corner}" for foot in UNITREE_G1.feet for corner in range(4)]
    contacts = [Contact(dynamics.site(name), max_force=400.0) for name in soles]
    hands: list[Task] = [PoseTask.of(dynamics.site(hand.site)) for hand in UNITREE_G1.end_effectors]
    levels: list[list[Task]] = [
        [ComTask(), OrientationTask(dynamics.base)],
        hands,
        [PostureTask(dynamics, UNITREE_G1.home)],
    ]
    return control, robot, contacts, levels


def measure(
    name: str, setup: Callable[[], tuple[WholeBodyController, RobotModel, list[Contact], list[list[Task]]]], ticks: int
) -> None:
    """Print one robot's times."""
    control, robot, contacts, levels = setup()
    dynamics, config = control.dynamics, control.config
    random = generator(1)
    states = [state_near_home(robot, random) for _ in range(200)]
    inverse = InverseDynamics(dynamics, np.array([j.effort for j in robot.spec.joints]), config.qp)
    parts = np.zeros((ticks, 3))
    whole = np.zeros(ticks)
    statuses: dict[str, int] = {}
    for tick in range(ticks):
        state = states[tick % len(states)]
        start = time.process_time_ns()
        dynamics.update(state)
        after_update = time.process_time_ns()
        demands = [stacked([task.demand(dynamics) for task in level]) for level in levels]
        motion = solve_hierarchy(dynamics, contact_demand(dynamics, contacts), demands)
        after_hierarchy = time.process_time_ns()
        inverse.solve(contacts, motion.acceleration, motion.contact_free)
        parts[tick] = np.diff((start, after_update, after_hierarchy, time.process_time_ns()))
        start = time.process_time_ns()
        control.update(state)
        command = control.solve(contacts, levels)
        whole[tick] = time.process_time_ns() - start
        statuses[command.solution.status] = statuses.get(command.solution.status, 0) + 1
    p50, p99, worst = np.percentile(whole, (50, 99, 100)) / 1e3
    dyn, hierarchy, qp = np.median(parts, axis=0) / 1e3
    print(
        f"{name}: {len(dynamics.joints)} joints, {len(contacts)} contacts: whole tick median {p50:.0f} us, "
        f"99% {p99:.0f} us, worst {worst:.0f} us (dynamics {dyn:.0f}, tasks and hierarchy {hierarchy:.0f}, "
        f"programme {qp:.0f}); {statuses}"
    )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    setups = {"locoman": locoman, "unitree_g1": g1}
    parser.add_argument("--robots", nargs="+", choices=tuple(setups), default=list(setups))
    parser.add_argument("--ticks", type=int, default=2000)
    chosen = parser.parse_args()
    for name in chosen.robots:
        measure(name, setups[name], chosen.ticks)


if __name__ == "__main__":
    main()
