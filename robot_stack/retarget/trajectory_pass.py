"""Second pass: the whole motion at once, smooth, with contacts in place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.retarget.anchors import Anchors
from robot_stack.retarget.banded import nearby
from robot_stack.retarget.descent import Descent, DescentRule, State
from robot_stack.retarget.problem import Problem
from robot_stack.retarget.progress import Listener, StepProgress, unheard
from robot_stack.retarget.springs import Seen, Springs, miss, too_fast


@dataclass(frozen=True)
class TrajectoryRule:
    """How the second pass searches."""

    iterations: int = 16
    """Systems of all frames at most."""

    replacements: int = 2
    """How often stays are placed anew once the springs are stiff."""

    windowed_iterations: int = 20
    """Then systems at most of each stretch of frames that still violates something."""

    windowed_tolerance: float = 3e-3
    """As :attr:`tolerance`, of a stretch."""

    margin: int = 12
    """Frames before and behind such a stretch that move with it."""

    softness: float = 1e-2
    """Share of the constraints' weight with which the search begins."""

    tighten: float = 5.0
    """Factor on the constraints' weight when the search has settled."""

    coarse: float = 2e-2
    """Settled, while constraints are still soft: cost falls by less than this, relatively."""

    tolerance: float = 5e-4
    """Likewise at their full weight."""

    accepted: float = 2e-4
    """Violation of a distance or an anchor that counts as none [m]."""

    stubborn: float = 3e-4
    """A frame that misses something by more than this, once the search has settled, gets stiffer springs [m]."""

    released: float = 5e-4
    """A contact point that misses its anchor by more than this when all frames have settled is let go, if that is …
    [m]"""

    release_s: float = 0.15
    """… so near to the beginning or end of its stay; it counts as a source's contact all the same [s]."""

    stiffest: float = 25.0
    """How much stiffer at most."""

    descent: DescentRule = DescentRule()
    """How steps are taken."""


class TrajectoryPass:
    """Minimises energy, posture, accelerations and jerks of all frames, with constraints as :class:`Springs`.

    First all frames at once, with springs that get stiffer. While they do, the places of stays are unknowns too. Then
    the stretches of frames that still violate something, each for itself between frames that stay, with the places of
    stays fixed.

    Args:
        problem: with contact surfaces; :attr:`problem` has the anchors in the end.
        anchors: of all stays; :attr:`places` has where they are in the end.
        rule: settings.
        fixed: so many frames at the beginning stay as they are.
        given: places of stays that began in those, as :meth:`Anchors.at` has them.
    """

    def __init__(
        self,
        problem: Problem,
        anchors: Anchors,
        rule: TrajectoryRule = TrajectoryRule(),
        *,
        fixed: int = 0,
        given: dict[int, tuple[str, np.ndarray]] | None = None,
    ) -> None:
        self.problem = replace(problem, touches=problem.touches.copy(), source_touches=problem.touches)
        self.anchors = anchors
        self.places: list[np.ndarray] = []
        self.rule = rule
        self._given, self._fixed = given or {}, fixed
        self._held = np.arange(len(problem)) < fixed
        self._springs = Springs(problem, problem.weights.constraint * rule.softness)

    def solve(self, qpos: np.ndarray, listen: Listener = unheard) -> np.ndarray:
        """The motion, shape ``(frames, nq)``, from the first pass's; ``listen`` hears how far it is."""
        rule, springs, body = self.rule, self._springs, self.problem.body
        self._place(body.places(body.sweep(qpos, near=False), *self.problem.soles))
        descent = Descent(self.problem, springs, rule.descent, self._held)
        state, damping = descent.state(qpos), np.full(len(qpos), rule.descent.damping)
        left = rule.replacements
        for done in range(rule.iterations):
            listen(StepProgress("second pass", done, rule.iterations, "rounds"))
            state, damping, gain = descent.improved(state, damping)
            final = springs.weight >= 0.99 * self.problem.weights.constraint
            if gain > (rule.tolerance if final else rule.coarse) * state.cost:
                continue
            left -= final
            if left < 0:
                break
            self._tighten(state)
            descent = Descent(self.problem, springs, rule.descent, self._held)
            state = descent.state(state.seen.qpos)
        return self._windowed(state, listen)

    def _tighten(self, state: State) -> None:
        """Stays placed anew, rests of the springs moved, weights grown."""
        springs, seen = self._springs, state.seen
        # With places as unknowns too, the best ones leave no net force on any stay.
        self._place(self.problem.on + springs.away(self.problem, seen))
        springs.shift(self.problem, seen)
        springs.soften(min(self.rule.tighten, self.problem.weights.constraint / springs.weight))

    def _place(self, soles: np.ndarray) -> None:
        self.places = self.anchors.fit(soles, self._given, self._fixed)
        self.problem = replace(self.problem, on=self.anchors.world(self.places))

    def _windowed(self, state: State, listen: Listener) -> np.ndarray:
        """Stretches that still violate something, solved on their own."""
        self._release(state.seen)
        out, frames = state.seen.qpos.copy(), len(self.problem)
        bad = (miss(self.problem, state.seen) > self.rule.accepted) | (too_fast(self.problem, state.seen) > 1e-6)
        wide = nearby(bad, self.rule.margin) > 0
        edges = np.flatnonzero(np.diff(np.concatenate([[False], wide, [False]])))
        done, total = 0, int(wide.sum())
        for start, stop in edges.reshape(-1, 2):
            listen(StepProgress("stretches that miss something", done, total))
            done += int(stop - start)
            # Differences reach three frames beyond those that move.
            span = slice(max(0, int(start) - 3), min(frames, int(stop) + 3))
            held = self._held[span].copy()
            held[: int(start) - span.start] = True
            held[int(stop) - span.start :] = True
            problem, springs = self.problem.part(span), self._springs.part(self.problem, span)
            out[span] = self._settled(Descent(problem, springs, self.rule.descent, held), out[span])
        return out

    def _release(self, seen: Seen) -> None:
        """Points that still miss their anchors at the very ends of their stays are let go there."""
        touches, reach = self.problem.touches, max(1, round(self.rule.release_s / self.problem.dt))
        off = np.linalg.norm(seen.soles - self.problem.on, axis=2)
        for t, p in np.argwhere(touches & (off > self.rule.released)):
            behind, ahead = touches[t : t + reach + 1, p], touches[max(0, t - reach) : t + 1, p]
            if not behind.all():
                touches[t : t + int(np.argmin(behind)), p] = False
            elif not ahead.all():
                touches[t - int(np.argmin(ahead[::-1])) + 1 : t + 1, p] = False

    def _settled(self, descent: Descent, qpos: np.ndarray) -> np.ndarray:
        """Springs whose rests move and that stiffen until nothing is violated; the best there was, if something is."""
        rule, problem, springs = self.rule, descent.problem, descent.springs
        state, damping = descent.state(qpos), np.full(len(qpos), rule.descent.damping)
        best, lowest, worst = qpos, np.inf, np.inf
        for _ in range(rule.windowed_iterations):
            state, damping, gain = descent.improved(state, damping)
            off = miss(problem, state.seen)
            # What is aimed at lies below the limits of speed and acceleration: nothing over these is accepted.
            worst = float(np.maximum(off, 100.0 * too_fast(problem, state.seen)).max())
            if worst < lowest:
                best, lowest = state.seen.qpos, worst
            if gain > rule.windowed_tolerance * state.cost:
                continue
            if worst <= rule.accepted:
                break
            springs.shift(problem, state.seen)
            springs.stiffen(nearby(off > rule.stubborn, 1) > 0, rule.tighten, rule.stiffest)
            state = descent.state(state.seen.qpos)
        return best if worst > rule.accepted else state.seen.qpos
