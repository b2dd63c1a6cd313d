"""Where the search for the first frame begins."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.problem import Problem


def starts(problem: Problem) -> list[np.ndarray]:
    """Guesses for the first frame: home, arms and legs bent, each under the pelvis and turned as hips stand."""
    home = problem.body.home()
    bodies, offsets = problem.keypoints
    sweep = problem.body.sweep(home[None], near=False)
    own = problem.body.places(sweep, bodies, offsets)[0]
    goal = problem.optimum[0]
    mine, theirs = own - own.mean(axis=0), goal - goal.mean(axis=0)
    flat = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    a, b = mine @ flat.T, theirs @ flat.T
    yaw = float(np.arctan2(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]), np.sum(a * b)))
    lift = goal.mean(axis=0) - own.mean(axis=0)
    out = []
    for extra, pitch in ((0.0, 0.0), (np.pi, 0.0), (0.0, 0.9)):
        start = home.copy()
        start[:3] = home[:3] + lift
        half = 0.5 * (yaw + extra)
        turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
        lean = np.array([np.cos(0.5 * pitch), 0.0, np.sin(0.5 * pitch), 0.0])
        start[3:7] = np.array(
            [
                turn[0] * lean[0],
                -turn[3] * lean[2],
                turn[0] * lean[2],
                turn[3] * lean[0],
            ]
        )
        out.append(start)
    return out
