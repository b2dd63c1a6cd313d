"""Judges what a robot says of itself: fresh, in order, finite, possible."""

from __future__ import annotations

import math

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.safety_freshness import Freshness
from robot_stack.hardware.loop_config import JointLimits, LoopConfig


class StateWatch:
    """Keeps the newest state that can be relied on, and says what is wrong with the ones that came.

    Args:
        limits: of the joints.
        config: time-outs and margins.
        period_s: between servo ticks [s].
    """

    def __init__(self, limits: JointLimits, config: LoopConfig, period_s: float) -> None:
        self._config = config
        self._low = np.array(limits.low) - config.range_margin
        self._high = np.array(limits.high) + config.range_margin
        self._velocity = 2.0 * np.array(limits.velocity)
        self._fresh = Freshness(config.state_timeout_s, period_s)
        self._last: BusState | None = None
        self.good: BusState | None = None
        """The newest state that nothing is wrong with."""
        self.out_of_order = 0
        """States that were older than one before them."""

    def forget(self) -> None:
        """The robot was engaged anew."""
        self._fresh.forget()
        self._last = self.good = None

    def judge(self, state: BusState | None, now_s: float) -> dict[str, str]:
        """Look at the state that was read at this tick.

        Returns:
            What is wrong, as sentences by a short name; empty when nothing is.
        """
        if state is None:
            return {"no_state": "nothing was heard from the robot"}
        last = self._last
        if last is not None and state.sequence < last.sequence:
            if now_s - last.time_s <= self._config.state_timeout_s:
                self.out_of_order += state is not last
                return {}  # by itself no reason to stop: the newest one is fresh still
            self.forget()  # the robot counts from the start again
            return {"restarted": f"the robot counts its states from the start again ({state.sequence})"}
        wrong: dict[str, str] = {}
        stale = self._fresh.stale(state.time_s, state.sequence, now_s)
        if stale:
            wrong["stale_state"] = f"the robot's state is {stale}"
        bad = self._malformed(state)
        if bad:
            wrong["bad_state"] = bad
            return wrong
        if not stale:
            self._fresh.note(state.time_s, state.sequence)
        jumped = "" if last is None or state is last else self._jump(last, state)
        self._last = state
        if jumped:
            wrong["encoder_jump"] = jumped
        beyond = self._beyond(state)
        if beyond:
            wrong["out_of_range"] = beyond
        if not wrong:
            self.good = state
        for index, sentence in enumerate(state.faults):
            wrong[f"robot_{index}"] = sentence
        return wrong

    def tilt_rad(self) -> float | None:
        """Between the base's up axis and the world's, by the newest good state [rad]; ``None``: not measured."""
        state = self.good
        if state is None or state.q_world_base is None:
            return None
        w, x, y, z = state.q_world_base.tolist()
        up = (w * w - x * x - y * y + z * z) / (w * w + x * x + y * y + z * z)
        return math.acos(min(1.0, max(-1.0, up)))

    def _malformed(self, state: BusState) -> str:
        """Which numbers cannot be, or an empty string."""
        shape = self._low.shape
        for name in ("joint_position", "joint_velocity"):
            values = getattr(state, name)
            if values.shape != shape or not math.isfinite(float(np.abs(values).sum())):
                return f"the robot's {name} is not {shape[0]} finite numbers"
        if state.q_world_base is not None:
            length = float(np.abs(state.q_world_base @ state.q_world_base))
            if not 0.9 < length < 1.1:
                return f"the inertial sensor's quaternion has length {math.sqrt(length):.3f}"
        for name in ("w_base", "a_base", "foot_force"):
            values = getattr(state, name)
            if values is not None and not math.isfinite(float(np.abs(values).sum())):
                return f"the robot's {name} is not finite"
        return ""

    def _jump(self, last: BusState, state: BusState) -> str:
        passed_s = max(0.0, state.time_s - last.time_s)
        excess = np.abs(state.joint_position - last.joint_position)
        excess -= self._config.encoder_jump + self._velocity * passed_s
        worst = int(excess.argmax())
        if excess[worst] <= 0.0:
            return ""
        step = float(state.joint_position[worst] - last.joint_position[worst])
        return f"joint {worst} jumped by {step:.3f} in {passed_s:.3f} s"

    def _beyond(self, state: BusState) -> str:
        position = state.joint_position
        excess = np.maximum(position - self._high, self._low - position)
        worst = int(excess.argmax())
        return "" if excess[worst] <= 0.0 else f"joint {worst} is at {position[worst]:.3f}, far out of its limits"
