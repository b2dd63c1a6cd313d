"""Second pass: the whole motion at once, smooth, with contacts in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

from robot_stack.retarget.body import Sweep
from robot_stack.retarget.problem import Problem, difference_scale


@dataclass(frozen=True)
class TrajectoryRule:
    """How the second pass searches."""

    iterations: int = 24
    """Factorisations at most."""

    softness: float = 1e-2
    """Share of the constraints' weight with which the search begins."""

    tolerance: float = 3e-4
    """Done when cost falls by less than this, relatively, and no constraint is violated by more than ``accepted``."""

    coarse: float = 3e-2
    """The same while constraints are still soft."""

    stiffest: float = 4.0
    """Largest factor on the constraints' weight."""

    accepted: float = 3e-4
    """Violation of a distance or an anchor that counts as none [m]."""

    tighten: float = 4.0
    """Factor on the constraints' weight when the search has settled with a violation."""

    damping: float = 3e-2
    """Levenberg's term at the start [rad²]."""

    corrections: int = 8
    """Newton steps at the end on frames that still violate something."""

    corrected: float = 1.5e-4
    """Violation from which a frame takes part in that [m]."""

    refinements: int = 3
    """Systems solved for one step while the set of near pairs that push back is found."""

    trust: float = 0.5
    """Largest step of any degree of freedom [rad, m]."""


@dataclass(frozen=True, eq=False)
class _State:
    qpos: np.ndarray
    sweep: Sweep
    places: np.ndarray
    soles: np.ndarray
    second: np.ndarray
    third: np.ndarray
    cost: float
    local: np.ndarray
    deepest: float


class TrajectoryPass:
    """Minimises energy, posture, accelerations and jerks of all frames, with constraints as stiff one-sided springs.

    Springs of weight 1e4 beside an energy of weight 1 leave violations of hundredths of a millimetre; where they leave
    more, their weight grows. Each step is one Gauss-Newton system whose blocks couple a frame with three
    neighbours: banded Cholesky (LAPACK ``pbtrf``), time linear in the frames. Springs act on what is violated, and
    on what the last step violated; a step is taken only when the true cost falls.
    """

    def __init__(self, problem: Problem, rule: TrajectoryRule = TrajectoryRule()) -> None:
        self.problem = problem
        self.rule = rule
        rate = (1.0 / 30.0) / problem.dt
        weights = problem.weights
        self._scale = difference_scale(problem.body, weights)
        # Derivatives in time count alike at every rate: a difference of order n grows with dt**n, a frame's share with
        # dt.
        self._second = weights.acceleration * rate**3
        self._third = weights.jerk * rate**5
        self._stiff = weights.constraint * rule.softness

    def solve(self, qpos: np.ndarray) -> np.ndarray:
        """The motion, shape ``(frames, nq)``, from the first pass's of the same shape."""
        state, damping = self._look(qpos), np.full(len(qpos), self.rule.damping)
        for _ in range(self.rule.iterations):
            final = self._stiff >= self.problem.weights.constraint
            step = self._step(state, damping)
            trial = self._look(self.problem.body.moved(state.qpos, step))
            gain = state.cost - trial.cost
            damping = self._damped(damping, trial.local - state.local, gain > 0)
            if gain <= 0:
                shorter = self._look(self.problem.body.moved(state.qpos, 0.35 * step))
                state = shorter if shorter.cost < state.cost else state
                continue
            state = trial
            if gain > (self.rule.tolerance if final else self.rule.coarse) * state.cost:
                continue
            if final and state.deepest <= self.rule.accepted:
                break
            if self._stiff < self.rule.stiffest * self.problem.weights.constraint:
                self._stiff *= self.rule.tighten
                state = self._look(state.qpos)
        return self._settled(state)

    def _settled(self, state: _State) -> np.ndarray:
        """Frames that still violate something, moved by the smallest step that does not (Newton on the constraints)."""
        problem, body = self.problem, self.problem.body
        for _ in range(self.rule.corrections):
            broken = np.flatnonzero(self._miss(state) > self.rule.corrected)
            if not len(broken):
                break
            slopes = body.jacobians(state.sweep, problem.soles[0], state.soles)
            near = np.flatnonzero(state.sweep.distance < self.rule.corrected)
            rows, frames = body.distance_rows(state.sweep, near), state.sweep.frame[near]
            step = np.zeros((len(problem), body.nv))
            for t in broken:
                on, mine = problem.touches[t], frames == t
                matrix = np.concatenate([slopes[t, on].reshape(-1, body.nv), rows[mine]])
                off = np.concatenate(
                    [
                        (state.soles[t, on] - problem.on[t, on]).ravel(),
                        np.minimum(state.sweep.distance[near][mine], 0.0),
                    ]
                )
                gram = matrix @ matrix.T + 1e-3 * np.eye(len(off))  # soles fixed at four points are redundant
                step[t] = -matrix.T @ np.linalg.solve(gram, off)
            trial = self._look(body.moved(state.qpos, np.clip(step, -0.02, 0.02)))
            better = self._miss(trial) < self._miss(state)
            state = self._look(np.where(better[:, None], trial.qpos, state.qpos))
        return state.qpos

    def _miss(self, state: _State) -> np.ndarray:
        """Largest violation of an anchor or a distance in each frame [m]."""
        apart = np.linalg.norm(state.soles - self.problem.on, axis=2)
        out = np.where(self.problem.touches, apart, 0.0).max(axis=1, initial=0.0)
        np.maximum.at(out, state.sweep.frame, -state.sweep.distance)
        return out

    def _damped(self, damping: np.ndarray, worse: np.ndarray, better: bool) -> np.ndarray:
        """Levenberg's term of each frame: more where the frame and its neighbours got worse, less elsewhere.

        One bad frame would otherwise hold up all others.
        """
        near = np.convolve(np.maximum(worse, 0.0), np.ones(5), "same")
        bad = near > 1e-4 if better else near >= np.quantile(near, 0.8)
        return np.clip(damping * np.where(bad, 6.0, 0.3 if better else 1.0), 1e-4, 10.0)

    def _look(self, qpos: np.ndarray) -> _State:
        problem = self.problem
        sweep = problem.body.sweep(qpos, problem.objects)
        places = problem.body.places(sweep, *problem.keypoints)
        soles = problem.body.places(sweep, *problem.soles)
        speed = problem.body.between(qpos[:-1], qpos[1:])
        second, third = np.diff(speed, axis=0), np.diff(speed, 2, axis=0)
        cost = float(problem.energy(places).sum())
        cost += float(problem.away(qpos)[0].sum())
        cost += self._second * float(np.sum(self._scale * second**2))
        cost += self._third * float(np.sum(self._scale * third**2))
        away = np.where(problem.touches, np.linalg.norm(soles - problem.on, axis=2), 0.0)
        deep = np.maximum(-sweep.distance, 0.0)
        fast = np.maximum(np.abs(speed[:, 6:]) - problem.body.speed * problem.dt, 0.0)
        broken = np.sum(away**2, axis=1) + np.bincount(sweep.frame, deep**2, len(qpos))
        broken[1:] += np.sum(fast**2, axis=1)
        deepest = max(float(away.max(initial=0.0)), float(deep.max(initial=0.0)), float(fast.max(initial=0.0)))
        local = problem.energy(places) + self._stiff * broken
        return _State(
            qpos, sweep, places, soles, second, third, cost + self._stiff * float(broken.sum()), local, deepest
        )

    def _step(self, state: _State, damping: np.ndarray) -> np.ndarray:
        problem, body = self.problem, self.problem.body
        nv = body.nv
        blocks, slope = problem.energy_terms(state.sweep, state.places)
        self._add_anchors(state, blocks, slope)
        diagonal = np.arange(nv)
        _, pull, weight = problem.away(state.qpos)
        blocks[:, diagonal, diagonal] += weight
        slope += pull
        # A joint at its stop that is pushed further out stays where it is.
        joints = state.qpos[:, 7:]
        out = ((joints <= body.low + 1e-9) & (slope[:, 6:] > 0)) | ((joints >= body.high - 1e-9) & (slope[:, 6:] < 0))
        blocks[:, diagonal[6:], diagonal[6:]] += np.where(out, 1e3, 0.0)
        blocks[:, diagonal, diagonal] += damping[:, None] + 1e-6
        rows = body.distance_rows(state.sweep, np.arange(len(state.sweep.distance)))
        pushes = state.sweep.distance < 0.0
        step = np.zeros_like(slope)
        for _ in range(self.rule.refinements):
            step = self._solved(state, blocks.copy(), slope.copy(), rows, pushes)
            ahead = state.sweep.distance + np.einsum("cv,cv->c", rows, step[state.sweep.frame])
            settled = (ahead < 0.0) == pushes
            if settled.all():
                break
            pushes = ahead < 0.0
        return np.clip(step, -self.rule.trust, self.rule.trust)

    def _solved(
        self, state: _State, blocks: np.ndarray, slope: np.ndarray, rows: np.ndarray, pushes: np.ndarray
    ) -> np.ndarray:
        frames, nv = slope.shape
        self._add_distances(state, blocks, slope, rows, np.flatnonzero(pushes))
        band = np.zeros((4 * nv, frames, nv))
        a, b = np.nonzero(np.tri(nv, dtype=bool))
        band[a - b, :, b] = blocks[:, a, b].T
        self._add_differences(state, band, slope)
        self._add_speeds(state, band, slope)
        flat = band.reshape(4 * nv, frames * nv)
        factor = cholesky_banded(flat, lower=True, overwrite_ab=True, check_finite=False)
        return -cho_solve_banded((factor, True), slope.ravel(), check_finite=False).reshape(frames, nv)

    def _add_anchors(self, state: _State, blocks: np.ndarray, slope: np.ndarray) -> None:
        problem = self.problem
        if not problem.touches.any():
            return
        slopes = problem.body.jacobians(state.sweep, problem.soles[0], state.soles)
        frames, points, _, nv = slopes.shape
        slopes *= problem.touches[:, :, None, None]
        flat = slopes.reshape(frames, 3 * points, nv)
        off = (state.soles - problem.on).reshape(frames, 3 * points, 1)
        turned = np.swapaxes(flat, 1, 2)
        blocks += 2.0 * self._stiff * (turned @ flat)
        slope += 2.0 * self._stiff * (turned @ off)[..., 0]

    def _add_distances(
        self, state: _State, blocks: np.ndarray, slope: np.ndarray, all_rows: np.ndarray, which: np.ndarray
    ) -> None:
        sweep, rows = state.sweep, all_rows[which]
        starts = np.searchsorted(sweep.frame[which], np.arange(len(slope) + 1))
        depth = sweep.distance[which]
        for t in np.flatnonzero(np.diff(starts)):
            mine = slice(starts[t], starts[t + 1])
            blocks[t] += 2.0 * self._stiff * rows[mine].T @ rows[mine]
            slope[t] += 2.0 * self._stiff * depth[mine] @ rows[mine]

    def _add_differences(self, state: _State, band: np.ndarray, slope: np.ndarray) -> None:
        nv = self.problem.body.nv
        for weight, values, stencil in (
            (self._second, state.second, (1.0, -2.0, 1.0)),
            (self._third, state.third, (-1.0, 3.0, -3.0, 1.0)),
        ):
            count = len(values)
            for i, first in enumerate(stencil):
                slope[i : i + count] += 2.0 * weight * first * self._scale * values
                for j in range(i, len(stencil)):
                    band[(j - i) * nv, i : i + count] += 2.0 * weight * first * stencil[j] * self._scale

    def _add_speeds(self, state: _State, band: np.ndarray, slope: np.ndarray) -> None:
        body = self.problem.body
        step = np.diff(state.qpos[:, 7:], axis=0)
        over = np.abs(step) - body.speed * self.problem.dt
        active = over > 0
        if not active.any():
            return
        pull = 2.0 * self._stiff * np.where(active, over, 0.0) * np.sign(step)
        slope[:-1, 6:] -= pull
        slope[1:, 6:] += pull
        weight = 2.0 * self._stiff * active
        band[0, :-1, 6:] += weight
        band[0, 1:, 6:] += weight
        band[body.nv, :-1, 6:] -= weight
