"""Time of one servo tick of each of LocoMan's modes, in closed loop on a floor, and how well it trots.

    OMP_NUM_THREADS=1 python benchmarks/locoman_modes.py

Every mode is entered through the mode machine from standing and served for some seconds; ticks on the way there count,
too. Times are CPU time of the controller alone (the machine's ``update``); a step of the simulation's physics stands
beside them. At 500 Hz a tick has 2,000 us. The walk's figures are over 12 s after one second of getting up to speed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from robot_stack.sim.control.locoman.machine import ModeMachine
from robot_stack.sim.control.locoman.modes import locoman_modes
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import RobotSenses
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import compile_robot, set_gains


class Loop:
    """LocoMan on a floor under its mode machine, with clocks."""

    def __init__(self) -> None:
        mujoco = self._mujoco = import_mujoco()
        self.robot = compile_robot(
            LOCOMAN, lambda scene: scene.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[50, 50, 0.1])
        )
        self.data = mujoco.MjData(self.robot.model)
        self.data.qpos[:] = self.robot.home_qpos()
        mujoco.mj_forward(self.robot.model, self.data)
        self._senses = RobotSenses(self.robot)
        self.machine = ModeMachine(locoman_modes(compile_robot(LOCOMAN)))
        self.machine.reset(self._senses.state(self.data))
        self.ticks: list[int] = []
        self.steps: list[int] = []

    def tick(self, velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        """One servo tick and one step of the physics."""
        state = self._senses.state(self.data)
        target = replace(self.machine.rest(), base_velocity=np.array(velocity))
        start = time.process_time_ns()
        command = self.machine.update(state, target)
        self.ticks.append(time.process_time_ns() - start)
        set_gains(self.robot, command.stiffness, command.damping)
        control = command.effort + command.stiffness * command.position + command.damping * command.velocity
        self.data.ctrl[self.robot.actuator] = control
        start = time.process_time_ns()
        self._mujoco.mj_step(self.robot.model, self.data)
        self.steps.append(time.process_time_ns() - start)


def measure(loop: Loop, name: str, seconds: float) -> None:
    """Print one mode's times."""
    loop.ticks, loop.steps = [], []
    loop.machine.request(name)
    while (loop.machine.mode, loop.machine.phase) != (name, "serving"):
        loop.tick()
    for _ in range(round(seconds * 500)):
        loop.tick((0.3, 0.0, 0.2))
    p50, p99, worst = np.percentile(loop.ticks, (50, 99, 100)) / 1e3
    physics = np.median(loop.steps) / 1e3
    print(f"{name:18s} tick median {p50:4.0f} us, 99% {p99:4.0f} us, worst {worst:5.0f} us; physics {physics:.0f} us")


def walk(speed: float) -> None:
    """Print how straight and how fast it goes."""
    loop = Loop()
    loop.machine.request("locomotion")
    for _ in range(700):
        loop.tick((speed, 0.0, 0.0))
    begin, tilt = loop.data.qpos[:2].copy(), 0.0
    for _ in range(6000):
        loop.tick((speed, 0.0, 0.0))
        tilt = max(tilt, float(np.arccos(min(loop.data.xmat[loop.robot.root, 8], 1.0))))
    forward, left = loop.data.qpos[:2] - begin
    print(
        f"walk at {speed:+.1f} m/s: {forward / 12:+.3f} m/s, {left * 100:+.1f} cm sideways in 12 s, "
        f"largest tilt {np.rad2deg(tilt):.1f} deg"
    )


def main() -> None:
    """Measure every mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each mode is served")
    parser.add_argument("--speeds", type=float, nargs="*", default=[0.4, 0.6, -0.3], help="of the walks [m/s]")
    chosen = parser.parse_args()
    loop = Loop()
    for name in loop.machine.modes:
        measure(loop, name, chosen.seconds)
    for speed in chosen.speeds:
        walk(speed)


if __name__ == "__main__":
    main()
