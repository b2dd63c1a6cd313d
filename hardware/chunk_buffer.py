"""Which action applies now: chunks are taken, trimmed or refused by the observation they were computed from.

A chunk names its observation by the stamp that the robot itself gave it, so that clocks of other machines do not
matter, and its actions by the time after that stamp when each is to apply. An action is never applied at another time
than its own: what comes late is trimmed or refused, and nothing is ever replayed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError
from robot_stack.hardware.driver_watch import DriverWatch

REFUSALS = (
    "unreadable",
    "another_driver",
    "not_armed",
    "wrong_robot",
    "wrong_names",
    "wrong_size",
    "non_finite",
    "bad_times",
    "unknown_observation",
    "before_arming",
    "overtaken",
    "too_old",
    "all_past",
)
"""Every reason for which a chunk is refused."""

LARGEST = 1e100
"""Numbers beyond this count as not finite, as in the safety filter."""


def to_ns(time_s: float) -> int:
    """Seconds as the whole nanoseconds that message stamps carry."""
    return round(time_s * 1e9)


@dataclass(frozen=True, eq=False)
class StampedChunk:
    """Actions for the moments after one observation, as they came in; nothing of it is checked yet."""

    stamp_ns: int
    """Stamp of the observation that it was computed from, on the robot's clock [ns]."""

    names: tuple[str, ...]
    """What the numbers of each action are."""

    actions: np.ndarray
    """Shape ``(steps, action_size)``, physical units."""

    offsets_s: np.ndarray
    """When each action is to apply, after the stamp, shape ``(steps,)`` [s]."""

    fingerprint: str = ""
    """Of the embodiment that it is meant for."""

    driver: str = ""
    """Who sent it: a name that nobody else has."""

    trouble: str = ""
    """Why it could not be read, in words; the rest means nothing then."""


@dataclass(frozen=True)
class ChunkConfig:
    """How long chunks and their actions count. Times are on the robot's clock."""

    max_age_s: float = 1.0
    """A chunk whose observation is older than this is refused [s]."""

    time_to_live_s: float = 0.1
    """The last action stays in force for so long after its time has come [s], or for its own step if that is longer."""

    max_steps: int = 1000
    """Longer chunks are refused."""

    max_offset_s: float = 10.0
    """Actions for later than this after their observation are refused [s]."""

    remembered: int = 512
    """So many stamps of observations are remembered."""

    driver_timeout_s: float = 1.0
    """Whoever sent a chunk counts as a driver for so long [s]."""

    def __post_init__(self) -> None:
        times = (self.max_age_s, self.time_to_live_s, self.max_offset_s, self.driver_timeout_s)
        if not min(times) > 0:
            raise ConfigError("times of a chunk buffer must be positive", got=self)
        if self.max_steps < 1 or self.remembered < 1:
            raise ConfigError("a chunk buffer needs to remember something", got=self)


@dataclass(frozen=True, eq=False)
class DueAction:
    """The action that applies now."""

    action: np.ndarray
    """Shape ``(action_size,)``, as it was asked for."""

    due_s: float
    """When it began to apply [s]."""

    stamp_ns: int
    """Of the observation that it was computed from [ns]."""


class ChunkBuffer:
    """The plan of the next moments, made of chunks.

    A chunk replaces the plan from its first action on that is still to come; until then the plan before it goes on. An
    action applies from the control tick nearest to its time, so times may lie half a period off the robot's ticks.

    One driver is obeyed: the one whose chunk is the first to be taken after :meth:`clear`. Chunks of others are refused
    until the next one, so that two drivers can never take turns.

    Args:
        names: of the numbers of an action.
        fingerprint: of the robot's embodiment; empty accepts chunks for any.
        period_s: time between control ticks [s].
        config: how long things count.
    """

    def __init__(
        self, names: tuple[str, ...], fingerprint: str, period_s: float, config: ChunkConfig = ChunkConfig()
    ) -> None:
        if not 0 < period_s < np.inf:
            raise ConfigError("a chunk buffer needs a positive control period", got=period_s)
        self.config = config
        self._names, self._fingerprint, self._period_s = names, fingerprint, period_s
        self._stamps: deque[int] = deque(maxlen=config.remembered)
        self._known: set[int] = set()
        self._times: list[float] = []
        self._rows: list[DueAction] = []
        self._end_s = -np.inf
        self._newest_ns: int | None = None
        self._not_before_ns: int | None = None
        self.drivers = DriverWatch()
        """Everybody who sends chunks, whether they are taken or not."""
        self.driver: str | None = None
        """Who is obeyed since the plan was cleared; ``None`` before the first chunk was taken."""
        self._refused: Counter[str] = Counter()
        self.accepted = 0
        """Chunks that were taken."""
        self.trimmed = 0
        """Actions of taken chunks that came too late to be applied."""
        self.last_refusal: Intervention | None = None
        """Why the last chunk that was refused was."""

    @property
    def refused(self) -> Mapping[str, int]:
        """How many chunks were refused, by reason."""
        return dict(self._refused)

    def note_observation(self, stamp_ns: int) -> None:
        """An observation with this stamp was given out."""
        if stamp_ns in self._known:
            return
        if len(self._stamps) == self._stamps.maxlen:
            self._known.discard(self._stamps[0])
        self._stamps.append(stamp_ns)
        self._known.add(stamp_ns)

    def clear(self, not_before_ns: int | None = None) -> None:
        """Drop plan and driver; chunks from observations before ``not_before_ns`` are refused from now on."""
        self._times, self._rows, self._end_s = [], [], -np.inf
        self.driver = None
        self._newest_ns = None
        self._not_before_ns = not_before_ns

    def offer(self, chunk: StampedChunk, now_s: float, *, armed: bool = True) -> Intervention | None:
        """Take a chunk into the plan.

        Args:
            chunk: as it came in; any numbers, shapes and times.
            now_s: the time of this call on the robot's clock [s].
            armed: whether actions are wanted at all.

        Returns:
            ``None``, or why it was refused: the reason is one of :data:`REFUSALS`.
        """
        self.drivers.hear(chunk.driver, now_s, self.config.driver_timeout_s)
        why = self._wrong_driver(chunk) or self._wrong_form(chunk) or self._wrong_time(chunk, now_s, armed)
        if why is None:
            times = chunk.stamp_ns * 1e-9 + chunk.offsets_s
            steps = np.diff(times)
            last_s = float(steps[-1]) if len(steps) else self._period_s
            first = self._first_to_come(times, now_s)
            if first == len(times) - 1 and now_s > self._end_of(float(times[-1]), last_s):
                why = Intervention("all_past", f"the last action was for {now_s - float(times[-1]):.3f} s ago")
            else:
                self._splice(chunk, times, first, last_s)
        if why is not None:
            self._refused[why.reason] += 1
            self.last_refusal = why
        return why

    def due(self, now_s: float) -> DueAction | None:
        """The action that applies at the control tick at ``now_s``; ``None`` when there is none in force."""
        index = bisect_right(self._times, now_s + 0.5 * self._period_s) - 1
        if index < 0:
            return None
        if index == len(self._times) - 1 and now_s > self._end_s:
            return None
        if index:
            del self._times[:index], self._rows[:index]
        return self._rows[0]

    def left_s(self, now_s: float) -> float:
        """How long the plan still lasts [s]; 0 when there is none."""
        return max(0.0, self._end_s - now_s)

    def _first_to_come(self, times: np.ndarray, now_s: float) -> int:
        """The action in force at ``now_s``; everything before it is past."""
        return max(0, int(np.searchsorted(times, now_s + 0.5 * self._period_s, side="right")) - 1)

    def _end_of(self, last_time_s: float, last_step_s: float) -> float:
        return last_time_s + max(self.config.time_to_live_s, last_step_s)

    def _splice(self, chunk: StampedChunk, times: np.ndarray, first: int, last_step_s: float) -> None:
        keep = bisect_right(self._times, float(times[first]) - 0.5 * self._period_s)
        new = [DueAction(chunk.actions[k], float(times[k]), chunk.stamp_ns) for k in range(first, len(times))]
        self._times = self._times[:keep] + [row.due_s for row in new]
        self._rows = self._rows[:keep] + new
        self._end_s = self._end_of(float(times[-1]), last_step_s)
        self._newest_ns, self.driver = chunk.stamp_ns, chunk.driver
        self.accepted += 1
        self.trimmed += first

    def _wrong_driver(self, chunk: StampedChunk) -> Intervention | None:
        if self.driver is None or chunk.driver == self.driver:
            return None
        return Intervention("another_driver", f"{chunk.driver!r} sends actions while {self.driver!r} drives")

    def _wrong_form(self, chunk: StampedChunk) -> Intervention | None:
        """What forbids a chunk whenever it comes."""
        if chunk.trouble:
            return Intervention("unreadable", chunk.trouble)
        if self._fingerprint and chunk.fingerprint != self._fingerprint:
            got = chunk.fingerprint[:12] or "nothing"
            return Intervention("wrong_robot", f"made for {got}, this robot is {self._fingerprint[:12]}")
        if tuple(chunk.names) != self._names:
            return Intervention("wrong_names", _first_difference(chunk.names, self._names))
        actions, offsets = chunk.actions, chunk.offsets_s
        if actions.ndim != 2 or actions.shape[1] != len(self._names) or not 0 < len(actions) <= self.config.max_steps:
            return Intervention("wrong_size", f"{actions.shape} instead of (steps, {len(self._names)})")
        if not np.all(np.abs(actions) <= LARGEST):
            step, number = np.argwhere(~(np.abs(actions) <= LARGEST))[0]
            return Intervention("non_finite", f"{self._names[number]} of action {step}")
        if offsets.shape != (len(actions),) or not np.all((offsets >= 0) & (offsets <= self.config.max_offset_s)):
            return Intervention("bad_times", f"not {len(actions)} times within 0 … {self.config.max_offset_s:g} s")
        if not np.all(np.diff(offsets) > 0):
            return Intervention("bad_times", "times do not grow from action to action")
        return None

    def _wrong_time(self, chunk: StampedChunk, now_s: float, armed: bool) -> Intervention | None:
        """What forbids a chunk now."""
        if not armed:
            return Intervention("not_armed", "the robot is not armed")
        stamp = chunk.stamp_ns
        if stamp not in self._known:
            return Intervention("unknown_observation", f"stamp {stamp} is none of the last {len(self._stamps)}")
        if self._not_before_ns is not None and stamp < self._not_before_ns:
            return Intervention("before_arming", "its observation is from before the robot was armed")
        if self._newest_ns is not None and stamp < self._newest_ns:
            return Intervention("overtaken", f"{(self._newest_ns - stamp) * 1e-9:.3f} s older than the newest taken")
        age_s = now_s - stamp * 1e-9
        if age_s > self.config.max_age_s:
            return Intervention("too_old", f"{age_s:.3f} s old, limit {self.config.max_age_s:g} s")
        return None


def _first_difference(got: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if len(got) != len(expected):
        return f"{len(got)} names instead of {len(expected)}"
    index = next(i for i, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b)
    return f"number {index} is {got[index]!r} instead of {expected[index]!r}"
