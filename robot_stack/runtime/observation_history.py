"""The last observations of a stream that loses some, as a policy wants them: one control period apart."""

from __future__ import annotations

from collections import deque

from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation


class ObservationHistory:
    """Keeps what was seen and gives it back at regular times.

    A policy was trained on observations that are one control period apart, so for each wanted time the observation
    nearest to it is taken. Where a gap leaves none near, the next newer one stands in, as the first observation does at
    the start of an episode.

    Args:
        length: observations that the policy needs.
        period_s: of control [s].
        longest_gap_s: after a longer silence the history begins anew [s].

    Raises:
        ConfigError: if one of them is not positive.
    """

    def __init__(self, length: int, period_s: float, longest_gap_s: float = 0.5) -> None:
        if length < 1 or not (period_s > 0.0 and longest_gap_s > 0.0):
            raise ConfigError("a history needs a length and times above zero", got=(length, period_s, longest_gap_s))
        self.length, self.period_s, self.longest_gap_s = length, period_s, longest_gap_s
        self._seen: deque[Observation] = deque(maxlen=max(4, 2 * length))
        self.missing = 0
        """Control steps of which no observation came."""
        self.out_of_order = 0
        """Observations that came after a newer one, or twice, and were left out."""
        self.restarts = 0
        """Times that the history began anew: a long silence, or a robot whose clock went back."""

    @property
    def newest(self) -> Observation | None:
        """The last one; ``None`` when nothing was seen."""
        return self._seen[-1] if self._seen else None

    def add(self, observation: Observation) -> bool:
        """Take an observation in.

        Returns:
            Whether it is the newest now.
        """
        if self._seen:
            step_s = observation.time_s - self._seen[-1].time_s
            if step_s < -self.longest_gap_s or step_s > self.longest_gap_s:
                self.restarts += 1
                self._seen.clear()
            elif step_s <= 0.0:
                self.out_of_order += 1
                return False
            else:
                self.missing += max(0, round(step_s / self.period_s) - 1)
        self._seen.append(observation)
        return True

    def clear(self) -> None:
        """Forget what was seen; counts stay."""
        self._seen.clear()

    def read(self) -> tuple[Observation, ...]:
        """The last ``length`` observations, one period apart as nearly as can be, oldest first.

        Raises:
            ConfigError: if nothing was seen.
        """
        if not self._seen:
            raise ConfigError("nothing was observed yet")
        out = [self._seen[-1]]
        for back in range(1, self.length):
            wanted_s = self._seen[-1].time_s - back * self.period_s
            nearest = min(self._seen, key=lambda seen: abs(seen.time_s - wanted_s))
            near = abs(nearest.time_s - wanted_s) <= 0.75 * self.period_s and nearest.time_s <= out[-1].time_s
            out.append(nearest if near else out[-1])
        return tuple(reversed(out))
