"""Time and quality of differential inverse kinematics beside mink's ``solve_ik``, both with DAQP, in the same run.

Both have position, velocity and collision limits and a posture task; they take turns pose by pose, so that a busy
machine slows both alike. For mink a step is to set the targets, ``solve_ik`` and ``integrate_inplace``; its collision
limit looks at every pair of geoms that may collide in the robot, as ours does::

    python benchmarks/differential_ik.py
    python benchmarks/differential_ik.py --motions 40 --json result.json

"following": poses taken from smooth joint motions that start at home; CPU time of a step, largest error of any hand.
"far": targets 2 m away from the hands, which no arm reaches, 600 steps each; the largest change of a joint in any of
the last 100 steps (an arm at rest has none), the least distance between links, the weighted distance that is left.
"random": poses of random postures free of collisions, from home, 600 steps each; also the share that was reached within
1 mm and 0.5 degrees.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mink
import numpy as np

from robot_stack.core.seeding import generator
from robot_stack.sim.control.differential_ik import DifferentialIk, HandPoses, IkConfig
from robot_stack.sim.robots.aloha import ALOHA
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.panda import PANDA
from robot_stack.sim.robots.spec import RobotSpec

PERIOD_S = 0.02
STEPS = 100
Follow = Callable[[HandPoses], np.ndarray]


class Mink:
    """mink's solver as its examples use it.

    Args:
        spec: the robot.
        config: where clearances, weights and rates come from.
    """

    def __init__(self, spec: RobotSpec, config: IkConfig) -> None:
        self._robot: RobotModel = compile_robot(spec)
        model = self._robot.model
        self._configuration = mink.Configuration(model)
        self._hands = [
            mink.FrameTask(hand.site, "site", 1.0, config.rotation_weight_m, lm_damping=0.01)
            for hand in spec.end_effectors
        ]
        self._posture = mink.PostureTask(model, cost=1e-3)
        velocities = {joint.name: joint.velocity for joint in spec.driven}
        self._limits: list[Any] = [mink.ConfigurationLimit(model), mink.VelocityLimit(model, velocities)]
        if config.watch_m > 0:
            bodies = mink.get_subtree_geom_ids(model, self._robot.root)
            colliding = [geom for geom in bodies if model.geom_contype[geom] or model.geom_conaffinity[geom]]
            self._limits.append(
                mink.CollisionAvoidanceLimit(
                    model,
                    [(colliding, colliding)],
                    gain=config.approach_share,
                    minimum_distance_from_collisions=config.clearance_m,
                    collision_detection_distance=config.watch_m,
                )
            )
        self.restart()

    def restart(self) -> None:
        """Go home."""
        home = self._robot.home_qpos()
        self._configuration.update(home)
        self._posture.set_target(home)

    def follow(self, target: HandPoses) -> np.ndarray:
        """One step; returns the joints."""
        for row, task in enumerate(self._hands):
            rotation = mink.SO3.from_matrix(target.R_base_hand[row])
            task.set_target(mink.SE3.from_rotation_and_translation(rotation, target.p_base_hand[row]))
        configuration = self._configuration
        tasks = [*self._hands, self._posture]
        velocity = mink.solve_ik(configuration, tasks, PERIOD_S, "daqp", damping=1e-6, limits=self._limits)
        configuration.integrate_inplace(velocity, PERIOD_S)
        return configuration.q[self._robot.qpos[: len(self._robot.spec.joints)]]


class Ours:
    """The same with :class:`DifferentialIk`."""

    def __init__(self, spec: RobotSpec, config: IkConfig) -> None:
        self._ik = DifferentialIk(spec, PERIOD_S, config=config)
        self._home = spec.home
        self.restart()

    def restart(self) -> None:
        """Go home."""
        self._joints = self._home

    def follow(self, target: HandPoses) -> np.ndarray:
        """One step; returns the joints."""
        self._joints = self._ik.step(self._joints, target).joint_position
        return self._joints


def motions(spec: RobotSpec, count: int) -> list[list[HandPoses]]:
    """Poses of the hands in smooth joint motions from home to random postures free of collisions."""
    judge = DifferentialIk(spec, PERIOD_S)
    kinematics, rng, found = judge.kinematics, generator(0), []
    while len(found) < count:
        goal = spec.home.copy()
        away = 0.5 * rng.normal(size=len(kinematics.joints))
        goal[kinematics.joints] = np.clip(goal[kinematics.joints] + away, kinematics.low, kinematics.high)
        poses, clear = [], True
        for step in range(1, STEPS + 1):
            share = 0.5 - 0.5 * np.cos(np.pi * step / STEPS)
            poses.append(judge.forward(spec.home + share * (goal - spec.home)))
            clear &= kinematics.proximity().least_m > 0.02
        if clear:
            found.append(poses)
    return found


def measure(spec: RobotSpec, config: IkConfig, paths: list[list[HandPoses]]) -> dict[str, dict[str, float]]:
    """Times and errors of both."""
    solvers = {"mink": Mink(spec, config), "ours": Ours(spec, config)}
    judge = DifferentialIk(spec, PERIOD_S)
    times: dict[str, list[float]] = {name: [] for name in solvers}
    errors: dict[str, list[np.ndarray]] = {name: [] for name in solvers}
    for path in paths:
        for solver in solvers.values():
            solver.restart()
        for target in path:
            for name, solver in solvers.items():
                begin = time.thread_time()
                joints = solver.follow(target)
                times[name].append(time.thread_time() - begin)
                judge.forward(joints)
                error = judge.kinematics.errors(target)
                errors[name].append(
                    np.array([np.linalg.norm(error[:, :3], axis=1), np.linalg.norm(error[:, 3:], axis=1)])
                )
    return {
        name: {
            "median_ms": 1e3 * float(np.median(times[name])),
            "p99_ms": 1e3 * float(np.percentile(times[name], 99)),
            "largest_mm": 1e3 * float(np.max([e[0] for e in errors[name]])),
            "largest_deg": float(np.rad2deg(np.max([e[1] for e in errors[name]]))),
        }
        for name in solvers
    }


def targets_far(spec: RobotSpec, count: int) -> list[HandPoses]:
    """Two metres from home, any direction."""
    home, rng, found = DifferentialIk(spec, PERIOD_S).forward(spec.home), generator(1), []
    for _ in range(count):
        way = rng.normal(size=home.p_base_hand.shape)
        way *= 2.0 / np.linalg.norm(way, axis=1, keepdims=True)
        found.append(HandPoses(home.p_base_hand + way, home.R_base_hand))
    return found


def targets_random(spec: RobotSpec, count: int) -> list[HandPoses]:
    """Poses of random postures, hands above the base's plane, links well apart."""
    judge, rng, found = DifferentialIk(spec, PERIOD_S), generator(2), []
    kinematics = judge.kinematics
    while len(found) < count:
        joints = spec.home.copy()
        joints[kinematics.joints] = rng.uniform(kinematics.low, kinematics.high)
        poses = judge.forward(joints)
        if kinematics.proximity().least_m > 0.02 and poses.p_base_hand[:, 2].min() > 0.0:
            found.append(poses)
    return found


def approach(spec: RobotSpec, targets: list[HandPoses], steps: int = 600) -> dict[str, dict[str, float]]:
    """How both end up at fixed targets."""
    config, judge = IkConfig(), DifferentialIk(spec, PERIOD_S)
    kinematics = judge.kinematics
    weight = np.array([1.0] * 3 + [config.rotation_weight_m] * 3)
    result = {}
    for name, solver in {"mink": Mink(spec, config), "ours": Ours(spec, config)}.items():
        chatter, least, left, reached = [], np.inf, [], []
        for target in targets:
            solver.restart()
            joints = []
            for step in range(steps):
                joints.append(np.array(solver.follow(target)))
                if step % 5 == 0:
                    kinematics.place(joints[-1])
                    least = min(least, kinematics.proximity().least_m)
            kinematics.place(joints[-1])
            error = kinematics.errors(target)
            left.append(float(np.linalg.norm(weight * error)))
            near = np.linalg.norm(error[:, :3], axis=1).max() < 1e-3
            reached.append(near and np.linalg.norm(error[:, 3:], axis=1).max() < np.deg2rad(0.5))
            chatter.append(float(np.abs(np.diff(joints[-100:], axis=0)).max()))
        result[name] = {
            "chatter_median_rad": float(np.median(chatter)),
            "chatter_largest_rad": float(np.max(chatter)),
            "least_distance_mm": 1e3 * float(least),
            "left_median_m": float(np.median(left)),
            "reached_share": float(np.mean(reached)),
        }
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # mink warns of every start that is outside of a limit by rounding
    result: dict[str, dict[str, dict[str, float]]] = {}
    for spec in (PANDA, ALOHA):
        paths = motions(spec, args.motions)
        rows = {
            "following": measure(spec, IkConfig(), paths),
            "following, no collisions": measure(spec, replace(IkConfig(), watch_m=0.0), paths),
            "far": approach(spec, targets_far(spec, args.motions)),
            "random": approach(spec, targets_random(spec, args.motions)),
        }
        for label, row in rows.items():
            result[f"{spec.name} {label}"] = row
            for solver, figures in row.items():
                shown = "  ".join(f"{key} {value:.3g}" for key, value in figures.items())
                print(f"{spec.name:6} {label:25} {solver:5} {shown}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
