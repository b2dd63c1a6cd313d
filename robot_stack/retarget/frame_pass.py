"""First pass: one frame after the other, each by sequential quadratic programming with true distances."""

from __future__ import annotations

from dataclasses import dataclass, replace

import daqp
import numpy as np

from robot_stack.retarget.body import Sweep
from robot_stack.retarget.problem import Problem
from robot_stack.retarget.progress import EVERY, Listener, StepProgress, unheard


@dataclass(frozen=True)
class FrameRule:
    """How the first pass searches."""

    iterations: int = 4
    """Quadratic programs a frame at most."""

    first_iterations: int = 25
    """Likewise for each start of the first frame."""

    trust: float = 0.3
    """Largest step of any degree of freedom in one program [rad, m]."""

    tolerance: float = 1e-5
    """A frame is done when its merit falls by less than this, relatively."""

    elastic: float = 20.0
    """Price of the deepest penetration [m²/m]; exact once above the constraints' multipliers."""


class FramePass:
    """Solves a problem frame by frame; never infeasible, because depth has a price instead of a bound.

    Every program is ``min ½ d'Hd + g'd + price · s`` over the tangent step d and one slack ``s >= 0``, subject to
    ``distance + slope · d + s >= 0`` for all near pairs, and bounds on d from trust region, joint ranges and speeds.
    A step is taken when the merit ``E + price · depth`` on true distances falls, else halved.
    """

    def __init__(self, problem: Problem, rule: FrameRule = FrameRule()) -> None:
        weights = replace(problem.weights, loose=problem.weights.loose_first)
        self.problem = replace(problem, weights=weights)
        self.rule = rule
        self._held: np.ndarray | None = None

    def solve(self, starts: list[np.ndarray], listen: Listener = unheard) -> np.ndarray:
        """All frames, shape ``(frames, nq)``.

        Args:
            starts: guesses for the first frame, each ``(nq,)``; the one that ends lowest is followed.
            listen: told how far it is.
        """
        ends = [self.frame(0, start, None, self.rule.first_iterations) for start in starts]
        return self.follow(min(ends, key=lambda end: end[1])[0][None], listen)

    def follow(self, known: np.ndarray, listen: Listener = unheard) -> np.ndarray:
        """All frames, when the first ones are known, shapes ``(frames, nq)`` and ``(known, nq)``."""
        body = self.problem.body
        out = np.empty((len(self.problem), body.nq))
        out[: len(known)] = known
        for t in range(len(known), len(out)):
            if t % EVERY == 0:
                listen(StepProgress("first pass", t, len(out)))
            self._held = body.places(body.sweep(out[t - 1 : t], near=False), *self.problem.soles)[0]
            out[t] = self.frame(t, out[t - 1], out[t - 1], self.rule.iterations)[0]
        return out

    def frame(self, t: int, start: np.ndarray, before: np.ndarray | None, iterations: int) -> tuple[np.ndarray, float]:
        """One frame's ``qpos`` and merit.

        Args:
            t: its number.
            start: where the search begins, shape ``(nq,)``.
            before: the previous frame's result, which bounds speeds; None where there is none.
            iterations: programs at most.
        """
        body = self.problem.body
        qpos = start
        state = self._look(t, qpos, before)
        for _ in range(iterations):
            step = self._step(t, qpos, before, state)
            taken = False
            for shrink in (1.0, 0.5, 0.2):
                trial = body.moved(qpos[None], shrink * step[None])[0]
                seen = self._look(t, trial, before)
                if seen[2] < state[2]:
                    taken = True
                    break
            if not taken:
                break
            done = state[2] - seen[2] < self.rule.tolerance * abs(state[2]) + 1e-9
            qpos, state = trial, seen
            if done:
                break
        return qpos, state[2]

    def _look(self, t: int, qpos: np.ndarray, before: np.ndarray | None) -> tuple[Sweep, np.ndarray, float]:
        """Sweep, keypoints and merit."""
        problem, weights = self.problem, self.problem.weights
        sweep = problem.body.sweep(qpos[None], problem.objects[t : t + 1])
        places = problem.body.places(sweep, *problem.keypoints)
        value = float(problem.energy(places, slice(t, t + 1))[0])
        value += float(problem.away(qpos[None], slice(t, t + 1))[0][0])
        if before is not None:
            value += weights.step * float(np.sum(problem.body.between(before[None], qpos[None]) ** 2))
        touching = problem.touches[t]
        if touching.any():
            gaps, soles = self._gaps(t, sweep, touching)
            value += weights.touch * float(np.sum(gaps**2))
            value += weights.hold * float(np.sum(self._ways(t, soles[0], touching) ** 2))
        value += self.rule.elastic * max(0.0, -float(sweep.distance.min(initial=0.0)))
        return sweep, places, value

    def _gaps(self, t: int, sweep: Sweep, touching: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        problem = self.problem
        bodies, offsets = problem.soles[0][touching], problem.soles[1][touching]
        soles = problem.body.places(sweep, bodies, offsets)
        normal = problem.normal[t, touching]
        return np.sum((soles[0] - problem.on[t, touching]) * normal, axis=1), soles

    def _ways(self, t: int, soles: np.ndarray, touching: np.ndarray) -> np.ndarray:
        """How far touching points are from where they touched in the previous frame, else 0."""
        if self._held is None or t == 0:
            return np.zeros_like(soles)
        return (soles - self._held[touching]) * self.problem.touches[t - 1, touching, None]

    def _step(
        self, t: int, qpos: np.ndarray, before: np.ndarray | None, state: tuple[Sweep, np.ndarray, float]
    ) -> np.ndarray:
        problem, body, weights = self.problem, self.problem.body, self.problem.weights
        sweep, places, _ = state
        nv = body.nv
        matrix, slope = problem.energy_terms(sweep, places, slice(t, t + 1))
        hessian, gradient = np.zeros((nv + 1, nv + 1)), np.full(nv + 1, self.rule.elastic)
        hessian[:nv, :nv], gradient[:nv] = matrix[0], slope[0]
        diagonal = np.full(nv + 1, 1e-6)
        _, pull, weight = problem.away(qpos[None], slice(t, t + 1))
        diagonal[:nv] += weight[0]
        gradient[:nv] += pull[0]
        if before is not None:
            diagonal[:nv] += 2.0 * weights.step
            gradient[:nv] += 2.0 * weights.step * body.between(before[None], qpos[None])[0]
        hessian[np.diag_indices(nv + 1)] += diagonal
        touching = problem.touches[t]
        if touching.any():
            gaps, soles = self._gaps(t, sweep, touching)
            slopes = body.jacobians(sweep, problem.soles[0][touching], soles)[0]
            rows = np.einsum("pi,piv->pv", problem.normal[t, touching], slopes)
            hessian[:nv, :nv] += 2.0 * weights.touch * rows.T @ rows
            gradient[:nv] += 2.0 * weights.touch * rows.T @ gaps
            ways = self._ways(t, soles[0], touching)
            held = (slopes * (self._held is not None and self.problem.touches[t - 1, touching, None, None])).reshape(
                -1, nv
            )
            hessian[:nv, :nv] += 2.0 * weights.hold * held.T @ held
            gradient[:nv] += 2.0 * weights.hold * held.T @ ways.ravel()
        low, high = self._bounds(qpos, before)
        near = np.arange(len(sweep.distance))
        rows = np.concatenate([body.distance_rows(sweep, near), np.ones((len(near), 1))], axis=1)
        lower = np.concatenate([low, [0.0], -sweep.distance])
        upper = np.concatenate([high, [1e3], np.full(len(near), 1e30)])
        solution, _, flag, _ = daqp.solve(hessian, gradient, rows, upper, lower, np.zeros(len(upper), dtype=np.int32))
        if flag < 1:  # The program is feasible by construction: what is left are numerical accidents, one frame long.
            return np.clip(-gradient[:nv] / np.diag(hessian)[:nv], low, high)
        return np.clip(solution[:nv], low, high)

    def _bounds(self, qpos: np.ndarray, before: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        body, trust = self.problem.body, self.rule.trust
        low, high = np.full(body.nv, -trust), np.full(body.nv, trust)
        low[6:] = np.maximum(low[6:], body.low - qpos[7:])
        high[6:] = np.minimum(high[6:], body.high - qpos[7:])
        if before is not None:
            reach = body.speed * self.problem.dt
            low[6:] = np.maximum(low[6:], before[7:] - reach - qpos[7:])
            high[6:] = np.minimum(high[6:], before[7:] + reach - qpos[7:])
        return np.minimum(low, 0.0), np.maximum(high, 0.0)
