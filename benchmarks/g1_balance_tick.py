"""CPU time of one tick of the G1's balance, all parts together, while it reaches, lifts its arms and is pushed.

    OMP_NUM_THREADS=1 python benchmarks/g1_balance_tick.py
    OMP_NUM_THREADS=1 python benchmarks/g1_balance_tick.py --seconds 20

The states of a simulation are recorded first, then the controller runs through them again with nothing else in between.
Ticks are timed in blocks of ten, since on some machines reading the process' CPU clock takes as long as a tick.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from robot_stack.core.joint_control import RobotState
from robot_stack.core.seeding import generator
from robot_stack.sim.control.g1_balance import LEFT, REACH_HIGH, REACH_LOW, RIGHT, G1Balance
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from robot_stack.sim.scene import add_room

BLOCK = 10


def record(seconds: float) -> tuple[G1Balance, list[RobotState], list[np.ndarray]]:
    """A controller, the states it went through, and the action in force at each."""
    mujoco: Any = import_mujoco()
    robot = compile_robot(UNITREE_G1, add_room)
    data, senses, random = mujoco.MjData(robot.model), RobotSenses(robot), generator(0)
    data.qpos[:] = robot.home_qpos()
    mujoco.mj_forward(robot.model, data)
    controller = G1Balance(robot)
    action = controller.reset(senses.state(data))
    states, actions = [], []
    for tick in range(round(seconds * controller.servo_hz)):
        state = senses.state(data)
        if tick % 750 == 250:
            mirror = (1.0, -1.0, 1.0)
            action = action.copy()
            action[LEFT] = (*random.uniform(REACH_LOW, REACH_HIGH), 1.0, 0.0, 0.0, 0.0)
            action[RIGHT] = (*(random.uniform(REACH_LOW, REACH_HIGH) * mirror), 1.0, 0.0, 0.0, 0.0)
        controller.begin(action, state)
        command = controller.update(state)
        data.xfrc_applied[robot.body("torso_link"), 0] = 50.0 if tick % 1000 < 50 else 0.0
        data.ctrl[robot.actuator] = (
            command.effort + command.stiffness * command.position + command.damping * command.velocity
        )
        mujoco.mj_step(robot.model, data)
        states.append(state)
        actions.append(action)
    return controller, states, actions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of simulation to record [s]")
    controller, states, actions = record(parser.parse_args().seconds)
    controller.reset(states[0])
    blocks = []
    for first in range(0, len(states) - BLOCK, BLOCK):
        controller.begin(actions[first], states[first])
        start = time.process_time_ns()
        for state in states[first : first + BLOCK]:
            controller.update(state)
        blocks.append((time.process_time_ns() - start) / BLOCK / 1e3)
    median, late, worst = np.percentile(blocks, (50, 99, 100))
    print(
        f"{len(states)} ticks: median {median:.0f} us, 99% {late:.0f} us, worst {worst:.0f} us of CPU time "
        f"(means of {BLOCK} ticks); fell: {controller.fallen}"
    )


if __name__ == "__main__":
    main()
