"""From messages that arrive in any order to the frames of an episode: what belongs together has the same stamp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_stack.datasets.schema import IMAGE_PREFIX
from robot_stack.deploy.frame_matcher import FrameMatcher

REMEMBERED_NS = 5_000_000_000
"""What is older than the newest by more than this is forgotten [ns]."""


@dataclass
class AssemblyCounts:
    """What came of the control ticks of one episode."""

    frames: int = 0
    """Became frames."""

    unobserved: int = 0
    """Left out: their observation did not come."""

    pictureless: int = 0
    """Left out: a camera had no picture near enough."""

    resting: int = 0
    """Frames in which no driver asked for anything and the robot rested; what was asked for is then what was sent."""


@dataclass(frozen=True)
class Verdict:
    """What the task says."""

    reward: float = 0.0
    """Of the last moment."""

    success: bool = False
    """At some moment."""

    failed: bool = False
    """At some moment."""


@dataclass(eq=False)
class EpisodeAssembler:
    """Collects what was observed, asked for, sent and seen. Everything is put in by stamp, in nanoseconds.

    A control tick is a frame when its ``sent`` and its observation are there and it is ``settled_ns`` old, so that
    whatever belongs to it has come, and each camera has a picture on both sides of it.

    Args:
        frames: the cameras' pictures.
        settled_ns: how long after a tick its messages may come [ns].
    """

    frames: FrameMatcher
    settled_ns: int = 300_000_000
    counts: AssemblyCounts = field(default_factory=AssemblyCounts)
    newest_ns: int = 0
    """Stamp of the newest observation."""

    def __post_init__(self) -> None:
        self._observed: dict[int, np.ndarray] = {}
        self._asked: dict[int, np.ndarray] = {}
        self._sent: dict[int, np.ndarray] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._first_ns = 0
        self._done_ns = 0

    def observed(self, stamp_ns: int, state: np.ndarray) -> None:
        """An observation's state vector."""
        if stamp_ns < self.newest_ns - REMEMBERED_NS:
            self._forget_all()  # a robot node with another clock
        self._observed[stamp_ns] = state
        self.newest_ns = max(self.newest_ns, stamp_ns)
        self._forget()

    def asked(self, stamp_ns: int, action: np.ndarray) -> None:
        """What the driver asked for."""
        self._asked[stamp_ns] = action

    def sent(self, stamp_ns: int, action: np.ndarray) -> None:
        """What was sent to the actuators."""
        self._sent[stamp_ns] = action

    def judged(self, stamp_ns: int, verdict: Verdict) -> None:
        """What the task says after a moment."""
        self._verdicts[stamp_ns] = verdict

    def begin(self, from_ns: int = 0) -> None:
        """A new episode: of ticks after those of the last one, and not before ``from_ns``."""
        self.counts = AssemblyCounts()
        self._first_ns = 0
        self._done_ns = max(self._done_ns, from_ns - 1)

    def settled(self) -> list[dict[str, Any]]:
        """Frames that are complete now, in order; each is given once."""
        return self._frames(self.newest_ns - self.settled_ns)

    def rest(self) -> list[dict[str, Any]]:
        """All that can still become a frame, at the end of an episode."""
        return self._frames(max(self._sent, default=0))

    def _frames(self, until_ns: int) -> list[dict[str, Any]]:
        ticks = sorted(stamp for stamp in self._sent if stamp > self._done_ns)
        out = []
        for number, stamp in enumerate(ticks):
            if stamp > until_ns:
                break
            following = ticks[number + 1] if number + 1 < len(ticks) else None
            frame = self._frame(stamp, following)
            if frame is not None:
                out.append(frame)
            self._done_ns = stamp
        return out

    def _frame(self, stamp: int, following: int | None) -> dict[str, Any] | None:
        state, sent, asked = self._observed.get(stamp), self._sent[stamp], self._asked.get(stamp)
        if state is None:
            self.counts.unobserved += 1
            return None
        images = self.frames.match(stamp * 1e-9)
        if images is None:
            self.counts.pictureless += 1
            return None
        self.counts.resting += asked is None
        self.counts.frames += 1
        self._first_ns = self._first_ns or stamp
        verdict = self._after(stamp, following)
        frame: dict[str, Any] = {
            "action": sent,
            "action.requested": sent if asked is None else asked,
            "observation.time": (stamp - self._first_ns) * 1e-9,
            "next.reward": verdict.reward,
            "next.success": verdict.success,
            "next.done": verdict.success or verdict.failed,
            **_pictures(images),
        }
        if state.size:
            frame["observation.state"] = state
        return frame

    def _after(self, stamp: int, following: int | None) -> Verdict:
        """What the task said between a tick and the next; for the last one, as far as it is known."""
        last = following if following is not None else max(self._verdicts, default=stamp)
        found = [v for at, v in sorted(self._verdicts.items()) if stamp < at <= last]
        if not found:
            return Verdict()
        return Verdict(found[-1].reward, any(v.success for v in found), any(v.failed for v in found))

    def _forget(self) -> None:
        for table in (self._observed, self._asked, self._sent, self._verdicts):
            while table and (oldest := next(iter(table))) < self.newest_ns - REMEMBERED_NS:
                del table[oldest]

    def _forget_all(self) -> None:
        for table in (self._observed, self._asked, self._sent, self._verdicts):
            table.clear()
        self.newest_ns = self._done_ns = 0


def _pictures(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {IMAGE_PREFIX + name: image for name, image in images.items()}
