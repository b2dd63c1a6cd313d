"""One step after the other down the cost of a whole trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.retarget.banded import SECOND, THIRD, Banded, nearby, spread
from robot_stack.retarget.problem import Problem, difference_scale
from robot_stack.retarget.springs import Seen, Springs, look

STOP = 1e5
"""Stiffness of the stops of joints in a system [1/rad²]; what is left of a step beyond them is cut."""

HOLD = 1e9
"""Likewise of frames that do not move."""


@dataclass(frozen=True)
class DescentRule:
    """How steps are taken."""

    damping: float = 3e-2
    """Levenberg's term at the start [rad²]."""

    careless: float = 0.01
    """A step is shortened where the cost of a few frames grows by more than this, relatively."""

    shortenings: int = 3
    """Shorter steps that are tried where a step made things worse."""

    refinements: int = 4
    """Systems solved for one step while the set of near pairs that push back is found."""

    trust: float = 0.5
    """Largest step of any degree of freedom [rad, m]."""


@dataclass(frozen=True, eq=False)
class State:
    """A trajectory with its cost."""

    seen: Seen
    """The trajectory and its geometry."""

    local: np.ndarray
    """Cost by frame, shape ``(frames,)``."""

    @property
    def cost(self) -> float:
        """Of all frames."""
        return float(self.local.sum())


class Descent:
    """Gauss-Newton steps on energy, posture, accelerations, jerks and springs of all frames.

    Each step solves one system (:class:`Banded`), time linear in the frames. It is taken where the true cost falls
    and shortened where it does not, since frames far apart do not feel each other; damping is by frame likewise.

    Args:
        problem: with anchors.
        springs: its constraints.
        rule: settings.
        held: frames that stay as they are, shape ``(frames,)``, bool.
    """

    def __init__(self, problem: Problem, springs: Springs, rule: DescentRule, held: np.ndarray) -> None:
        self.problem = problem
        self.springs = springs
        self.rule = rule
        self.held = held
        rate = (1.0 / 30.0) / problem.dt
        weights = problem.weights
        scale = difference_scale(problem.body, weights)
        # Derivatives in time count alike at every rate: a difference of order n grows with dt**n, a frame's share with
        # dt.
        self._second = weights.acceleration * rate**3 * scale
        self._third = weights.jerk * rate**5 * scale

    def improved(self, state: State, damping: np.ndarray) -> tuple[State, np.ndarray, float]:
        """One step, shortened where it makes things worse; the damping for the next, and how far the cost fell."""
        step = self._step(state, damping)
        share = np.ones(len(step))
        bad = np.zeros(len(step), dtype=bool)
        for _ in range(self.rule.shortenings):
            trial = self.state(self.problem.body.moved(state.seen.qpos, share[:, None] * step))
            worse = nearby(trial.local - state.local, 3) > self.rule.careless * nearby(state.local, 3)
            if not worse.any():
                break
            bad |= worse
            share = np.where(nearby(worse, 6) > 0, 0.25 * share, share)
            # Neighbours go along, so that shares do not differ abruptly.
            share = nearby(share, 4) / nearby(np.ones(len(share)), 4)
        gain = state.cost - trial.cost
        if gain <= 0:
            share = np.where(nearby(worse, 6) > 0, 0.0, share)
            trial = self.state(self.problem.body.moved(state.seen.qpos, share[:, None] * step))
            gain = state.cost - trial.cost
        damping = np.clip(damping * np.where(nearby(bad, 2) > 0, 5.0, 0.3), 1e-4, 10.0)
        return (trial, damping, gain) if gain > 0 else (state, damping, 0.0)

    def state(self, qpos: np.ndarray) -> State:
        """A trajectory with its cost as it is now; shape ``(frames, nq)``."""
        problem = self.problem
        seen = look(problem, qpos)
        local = problem.energy(seen.places) + problem.away(qpos)[0] + self.springs.cost(problem, seen)
        local[1:-1] += np.sum(self._second * seen.second**2, axis=1)
        local[1:-2] += np.sum(self._third * seen.third**2, axis=1)
        return State(seen, local)

    def _step(self, state: State, damping: np.ndarray) -> np.ndarray:
        problem, body, seen = self.problem, self.problem.body, state.seen
        blocks, slope = problem.energy_terms(seen.sweep, seen.places)
        self._add_anchors(seen, blocks, slope)
        diagonal = np.arange(body.nv)
        _, pull, weight = problem.away(seen.qpos)
        slope += pull
        slope += spread(2.0 * self._second * seen.second, SECOND, len(slope))
        slope += spread(2.0 * self._third * seen.third, THIRD, len(slope))
        blocks[:, diagonal, diagonal] += weight + damping[:, None] + 1e-6
        blocks[:, diagonal, diagonal] += np.where(self.held, HOLD, 0.0)[:, None]
        system = Banded(blocks)
        system.add_difference(SECOND, np.broadcast_to(2.0 * self._second, seen.second.shape))
        system.add_difference(THIRD, np.broadcast_to(2.0 * self._third, seen.third.shape))
        step = np.clip(self._solved(seen, system, slope), -self.rule.trust, self.rule.trust)
        return np.where(self.held[:, None], 0.0, step)

    def _solved(self, seen: Seen, system: Banded, slope: np.ndarray) -> np.ndarray:
        """The step, with the one-sided constraints that push back after it: pairs, limits of speed, stops of joints."""
        body, springs = self.problem.body, self.springs
        low, high = body.low - seen.qpos[:, 7:], body.high - seen.qpos[:, 7:]
        stopped = ((low >= -1e-9) & (slope[:, 6:] > 0)) | ((high <= 1e-9) & (slope[:, 6:] < 0))
        stop = np.where(low >= -1e-9, low, high)
        frame = seen.sweep.frame
        weight = 2.0 * springs.by_frame()[frame]
        rows = body.distance_rows(seen.sweep, np.arange(len(frame)))
        depth = springs.depth(seen.sweep)
        pushes, sides = depth > 0.0, [bound.side(bound.of(seen)) for bound in springs.bounds]
        step = np.zeros_like(slope)
        for k in range(self.rule.refinements):
            right = slope.copy()
            np.add.at(right, frame[pushes], -(weight * depth)[pushes, None] * rows[pushes])
            each = system if k + 1 == self.rule.refinements else system.copy()
            each.add_outer(rows[pushes], frame[pushes], weight[pushes])
            each.add_diagonal(np.where(stopped, STOP, 0.0), first_dof=6)
            right[:, 6:] -= np.where(stopped, STOP * stop, 0.0)
            for bound, side in zip(springs.bounds, sides, strict=True):
                if side.any():
                    push = 2.0 * springs.weight * bound.weight
                    right[:, 6:] += push * spread(bound.excess(bound.of(seen), side), bound.stencil, len(slope))
                    each.add_difference(bound.stencil, push * (side != 0), first_dof=6)
            try:
                step = -each.solve(right)
            except np.linalg.LinAlgError:  # Numerical accidents of badly scaled frames: damped more next time.
                return np.zeros_like(slope)
            ahead = depth - np.einsum("cv,cv->c", rows, step[frame]) > 0.0
            under, over = step[:, 6:] < low, step[:, 6:] > high
            beyond = [b.side(b.of(seen) + np.diff(step[:, 6:], b.order, axis=0)) for b in springs.bounds]
            settled = (ahead <= pushes if k else ahead == pushes).all() and ((under | over) == stopped).all()
            if settled and all((new == old).all() for new, old in zip(beyond, sides, strict=True)):
                break
            # From the second on, nothing is let go: sets that change back and forth would leave a deep step.
            pushes = ahead | pushes if k else ahead
            sides = [np.where(new == 0, old, new) if k else new for new, old in zip(beyond, sides, strict=True)]
            stopped, stop = under | over, np.where(under, low, high)
        return step

    def _add_anchors(self, seen: Seen, blocks: np.ndarray, slope: np.ndarray) -> None:
        problem = self.problem
        if not problem.touches.any():
            return
        slopes = problem.body.jacobians(seen.sweep, problem.soles[0], seen.soles)
        frames, points, _, nv = slopes.shape
        slopes *= problem.touches[:, :, None, None]
        flat = slopes.reshape(frames, 3 * points, nv)
        turned = np.swapaxes(flat, 1, 2)
        off = self.springs.away(problem, seen).reshape(frames, 3 * points, 1)
        weight = 2.0 * self.springs.by_frame()
        blocks += weight[:, None, None] * (turned @ flat)
        slope += weight[:, None] * (turned @ off)[..., 0]
