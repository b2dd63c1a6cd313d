"""Random and adversarial streams for the safety filter, and the checks that every tick must pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.safety import REASONS, Command, Filtered, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits

PERIOD_S = 0.02
TIMEOUT_S = 0.1
NUMBER_FAULTS = (np.nan, np.inf, -np.inf, 1e308, -1e300, 5e-324, -0.0)
AGES_S = (0.0, 0.0, 0.0, 0.0, 0.01, 0.09, 0.11, 5.0, -0.01, -5.0, np.nan, np.inf)
UNFIT = (
    np.zeros(0),
    np.zeros((1, 1)),
    np.array("text"),
    np.array([None, 1.0]),
    np.array([1j]),
    "text",
    None,
    [[1], []],
)


def random_limits(rng: np.random.Generator, size: int) -> SafetyLimits:
    """Every limit, each vector left out now and then, some entries without a limit or with no room at all."""

    def vector(low: float, high: float, *, odd: tuple[float, ...], keep: float = 0.8) -> tuple[float, ...]:
        if rng.random() > keep:
            return ()
        values = np.exp(rng.uniform(np.log(low), np.log(high), size))
        return tuple(np.where(rng.random(size) < 0.1, rng.choice(odd, size), values).tolist())

    low = -np.array(vector(0.05, 3.0, odd=(0.0, np.inf), keep=1.0))
    high = np.array(vector(0.05, 3.0, odd=(0.0, np.inf), keep=1.0))
    effort = vector(0.5, 50.0, odd=(0.0, np.inf))
    return SafetyLimits(
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        max_rate=vector(0.1, 10.0, odd=(0.0, np.inf)),
        max_acceleration=vector(0.5, 300.0, odd=(0.0, np.inf)),
        max_step=vector(0.001, 0.5, odd=(0.0, np.inf)),
        stiffness=tuple(rng.uniform(0.0, 300.0, size).tolist()),
        damping=tuple(rng.uniform(0.0, 10.0, size).tolist()) if rng.random() < 0.8 else (),
        max_effort=effort,
        workspace_low=(-1.0, -1.0, 0.0),
        workspace_high=(1.0, 1.0, 2.0),
        max_tilt_rad=1.0,
        command_timeout_s=TIMEOUT_S,
        observation_timeout_s=TIMEOUT_S,
        needs_deadman=bool(rng.random() < 0.5),
    )


class Adversary:
    """Draws commands and measurements, good ones, wild ones and broken ones.

    Args:
        rng: where chance comes from.
        size: length of the action.
        faults: how likely a fault is in each message.
    """

    def __init__(self, rng: np.random.Generator, size: int, faults: float) -> None:
        self.rng, self.size, self.faults = rng, size, faults
        self.wild = 10.0 ** rng.integers(-2, 4)
        self.goal = np.zeros(size)
        self.position = np.zeros(size)

    def command(self, now_s: float, tick: int, in_force: np.ndarray) -> Command | None:
        rng = self.rng
        if tick % 25 == 0:
            self.goal = rng.normal(size=self.size) * self.wild
        kind = rng.integers(4)
        action: object = (self.goal, in_force + 0.01 * rng.normal(size=self.size), self.goal, in_force)[kind].copy()
        if rng.random() >= self.faults:
            return Command(action, now_s, tick)  # type: ignore[arg-type]
        fault = rng.integers(6)
        if fault == 0:
            return None
        if fault == 1:
            action[rng.integers(self.size)] = rng.choice(NUMBER_FAULTS)  # type: ignore[index]
        if fault == 2:
            action = UNFIT[rng.integers(len(UNFIT))]
        if fault == 3:
            action = rng.choice([-1, 1], self.size) * 10.0 ** rng.uniform(0, 300)
        sequence = int(tick - rng.integers(0, 30)) if fault == 4 else tick
        return Command(action, now_s - rng.choice(AGES_S), sequence)  # type: ignore[arg-type]

    def measured(self, now_s: float, tick: int, in_force: np.ndarray) -> Measured | None:
        rng = self.rng
        self.position += 0.5 * (in_force - self.position) + 0.02 * rng.normal(size=self.size)
        if rng.random() < 0.02:
            self.position += rng.normal(size=self.size) * rng.choice([0.3, 2 * np.pi, 1e4])
        position, rate = self.position.copy(), 5.0 * rng.normal(size=self.size)
        points, tilt, time_s, sequence = np.array([[0.0, 0.0, 1.0]]), 0.1, now_s, tick
        if rng.random() < 0.05 * self.faults:
            fault = rng.integers(7)
            if fault == 0:
                return None
            if fault == 1:
                (position, rate, points[0])[rng.integers(3)][0] = rng.choice(NUMBER_FAULTS[:5])
            if fault == 2:
                position = position[:-1]
            if fault == 3:
                tilt = rng.choice([np.nan, 1.5, np.inf])
            if fault == 4:
                points *= 3.0
            if fault == 5:
                time_s -= rng.choice(AGES_S)
            if fault == 6:
                points = np.zeros((0, 3))
        elif rng.random() < 0.1 * self.faults:
            sequence -= int(rng.integers(1, 4))  # overtaken or repeated
        return Measured(time_s, position, rate, points, tilt, sequence)


@dataclass
class Reference:
    """The command in force and the last step, and what must hold between them and the next."""

    limits: SafetyLimits
    previous: np.ndarray
    delta: np.ndarray

    def __post_init__(self) -> None:
        size = self.previous.size

        def vector(values: tuple[float, ...]) -> np.ndarray:
            return np.array(values) if values else np.full(size, np.inf)

        self.low, self.high = -vector(tuple(-v for v in self.limits.low)), vector(self.limits.high)
        self.step = np.minimum(vector(self.limits.max_step), vector(self.limits.max_rate) * PERIOD_S)
        self.acceleration = vector(self.limits.max_acceleration) * PERIOD_S**2

    def check(self, command: Command | None, out: Filtered, position: np.ndarray, rate: np.ndarray) -> set[str]:
        """Assert everything that must hold after every tick, whatever came in; ``position`` is the newest good one."""
        action, previous = out.action, self.previous
        delta = action - previous
        tiny = 1e-9 * (1.0 + np.abs(previous))
        assert np.isfinite(action).all()
        assert (action >= np.minimum(self.low, previous)).all() and (action <= np.maximum(self.high, previous)).all()
        assert (np.abs(delta) <= self.step + tiny).all(), "step or rate"
        eased = self._check_effort(delta, position, rate, tiny)
        change = np.abs(delta - self.delta)
        slowing = (delta * self.delta >= -tiny) & (np.abs(delta) <= np.abs(self.delta) + tiny)
        assert ((change <= self.acceleration + tiny) | (eased & slowing)).all(), "acceleration"
        self._check_brake(action, delta, tiny)
        reasons = {i.reason for i in out.interventions}
        assert reasons <= set(REASONS)
        assert reasons - {"old_observation"} or self._as_asked(command, action), "a change without a reason"
        self.previous, self.delta = action, delta
        return reasons

    @staticmethod
    def _as_asked(command: Command | None, action: np.ndarray) -> bool:
        return command is not None and np.array_equal(np.asarray(command.action), action)

    def _check_effort(self, delta: np.ndarray, position: np.ndarray, rate: np.ndarray, tiny: np.ndarray) -> np.ndarray:
        """The command never moves to raise an effort that is too large; returns where effort could slow it down."""
        if not self.limits.max_effort:
            return np.zeros(delta.size, dtype=bool)
        stiffness = np.maximum(np.array(self.limits.stiffness), 1e-12)
        damping = np.array(self.limits.damping or (0.0,) * delta.size)
        centre = position + damping * rate / stiffness
        reach = np.array(self.limits.max_effort) / stiffness
        tiny = tiny + 1e-9 * np.abs(centre)
        up, down = centre + reach - self.previous, centre - reach - self.previous
        assert (delta <= np.maximum(up, 0.0) + tiny).all(), "effort raised upwards"
        assert (delta >= np.minimum(down, 0.0) - tiny).all(), "effort raised downwards"
        return (up < self.delta - self.acceleration + tiny) | (down > self.delta + self.acceleration - tiny)

    def _check_brake(self, action: np.ndarray, delta: np.ndarray, tiny: np.ndarray) -> None:
        """Braking from here, one largest deceleration after the other, ends before the position limit."""
        room = np.where(delta > 0, self.high - action, action - self.low)
        step, way = np.abs(delta), np.zeros(delta.size)
        outside = (self.previous < self.low) | (self.previous > self.high)
        a = np.maximum(self.acceleration, 1e-300)
        more = np.minimum(np.floor(step / a), 1e15)  # so many further steps: step - a, step - 2a, ...
        way = np.where(np.isfinite(a), more * step - np.where(np.isfinite(a), a, 0.0) * more * (more + 1) / 2, 0.0)
        assert (outside | (self.acceleration == 0) | (way <= room + tiny + 1e-9 * way)).all(), "cannot brake in time"


class Episode:
    """One filter with random limits, its adversary, and what is known of the robot.

    Args:
        seed: of the run.
        episode: which episode of it.
    """

    def __init__(self, seed: int, episode: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, episode])))
        size = int(self.rng.integers(1, 8))
        limits = random_limits(self.rng, size)
        self.adversary = Adversary(self.rng, size, faults=float(self.rng.choice([0.0, 0.05, 0.3, 0.9])))
        inside = np.clip(self.rng.normal(size=size), limits.low, limits.high)
        start = inside if self.rng.random() < 0.7 else inside + self.rng.normal(size=size)
        self.guard = SafetyFilter(limits, PERIOD_S, start)
        self.reference = Reference(limits, start, np.zeros(size))
        self.adversary.position = start.copy()
        self.position, self.rate = start, np.zeros(size)
        self.was_seen = False
        self.reasons: set[str] = set()

    def run(self, ticks: int) -> None:
        """Tick, check, and rearm now and then."""
        for tick in range(ticks):
            now_s = 100.0 + tick * PERIOD_S
            self._tick(now_s, tick)
            if self.guard.latched is not None and self.rng.random() < 0.2:
                self._rearm(now_s, tick)

    def _tick(self, now_s: float, tick: int) -> None:
        guard, before = self.guard, self.guard.latched
        command = self.adversary.command(now_s, tick, self.reference.previous)
        measured = self.adversary.measured(now_s, tick, self.reference.previous)
        out = guard.tick(command, now_s=now_s, measured=measured, deadman=bool(self.rng.random() < 0.97))
        self._see(measured, {i.reason for i in out.interventions})
        if self.was_seen:
            self.reasons |= self.reference.check(command, out, self.position, self.rate)
        else:
            assert np.array_equal(out.action, self.reference.previous), "moved before the robot was seen"
        assert before is None or guard.latched == before, "a latched stop went away"
        assert guard.latched is None or out.interventions

    def _rearm(self, now_s: float, tick: int) -> None:
        measured = self.adversary.measured(now_s, tick, self.reference.previous)
        if measured is None:
            return
        wrong = {i.reason for i in self.guard.rearm(measured, now_s)}
        assert (self.guard.latched is None) == (not wrong)
        self._see(measured, wrong)
        self.reasons |= wrong
        if not wrong:
            assert np.array_equal(self.guard.action, self.position)
            self.reference.previous, self.reference.delta = self.guard.action, np.zeros(self.position.size)

    def _see(self, measured: Measured | None, reasons: set[str]) -> None:
        if measured is not None and not reasons & {"bad_observation", "stale_observation", "old_observation"}:
            self.position, self.rate = np.asarray(measured.position), np.asarray(measured.rate)
            self.was_seen = True


def run_adversary(seed: int, episodes: int, ticks: int) -> set[str]:
    """Drive filters with random limits through random and adversarial ticks; returns the reasons that were seen."""
    seen: set[str] = set()
    for number in range(episodes):
        episode = Episode(seed, number)
        try:
            episode.run(ticks)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, episode {number}: {error}") from error
        seen |= episode.reasons
    return seen
