"""The normalisers of a policy: one for all data, or one for each dataset of a mixture.

In TRI's Large Behavior Models study (2025) a normaliser of the wrong dataset went unnoticed until after the
evaluation. Here a policy with several normalisers never guesses: batches say their source by number, the numbers are
checked against names when training starts, and deployment names the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.errors import ConfigError, ShapeError, require_name
from robot_stack.core.normalizer import Normalizer, fit
from robot_stack.policies.config import NormalizationConfig

ALL_SOURCES = "all"
"""Name of the normaliser that serves every dataset."""


@dataclass(frozen=True, eq=False)
class SourceRows:
    """Data of one dataset, in physical units, to fit normalisers to."""

    name: str
    """Name of the dataset, as in the mixture."""

    state: np.ndarray
    """Shape ``(rows, state_size)``."""

    action: np.ndarray
    """Shape ``(rows, action_size)``, or chunks ``(windows, horizon, action_size)`` for a normaliser per step."""


@dataclass(frozen=True)
class SourceNormalizer:
    """Normalisers of one dataset."""

    source: str
    """Name of the dataset, or :data:`ALL_SOURCES`."""

    state: Normalizer
    """Of the whole state vector."""

    action: Normalizer
    """Of one action, or, per step, of a whole chunk: ``horizon * action_size`` numbers, step by step."""


@dataclass(frozen=True)
class PolicyNormalizers:
    """The normalisers of a policy, in the order of the mixture's sources."""

    sources: tuple[SourceNormalizer, ...]
    """One for all, or one for each source."""

    def __post_init__(self) -> None:
        if not self.sources or len(set(self.names)) != len(self.names):
            raise ConfigError("a policy needs normalisers with different names", got=self.names)
        sizes = {(s.state.size, s.action.size) for s in self.sources}
        if len(sizes) != 1:
            raise ShapeError("the normalisers of a policy have different sizes", got=sorted(sizes))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources."""
        return tuple(s.source for s in self.sources)

    def index(self, source: str | None) -> int:
        """Number of a source.

        Args:
            source: its name; may be ``None`` if there is only one.

        Raises:
            ConfigError: if there are several and none was named.
            UnknownNameError: if there is none of this name.
        """
        if source is None:
            if len(self.sources) > 1:
                raise ConfigError(
                    "this policy has one normaliser per dataset: say whose robot it is to drive",
                    got="no source",
                    expected=f"one of: {', '.join(self.names)}",
                    remedy="name the dataset that was recorded with this robot",
                )
            return 0
        return self.names.index(require_name("source", source, self.names))

    def require_sources(self, names: Sequence[str]) -> None:
        """Check that batches of a mixture number its sources as these normalisers do.

        Raises:
            ConfigError: if names or order differ.
        """
        if len(self.sources) > 1 and tuple(names) != self.names:
            raise ConfigError(
                "the normalisers are not those of the mixture's datasets",
                got=tuple(names),
                expected=self.names,
                remedy="fit the normalisers to the same datasets, in the same order",
            )


def fit_normalizers(config: NormalizationConfig, rows: Sequence[SourceRows]) -> PolicyNormalizers:
    """Fit the normalisers of a policy to its training data.

    Args:
        config: which kinds.
        rows: the datasets, in the order of the mixture.

    Raises:
        NonFiniteError: if the data hold NaN or infinity.
        ShapeError: if there are no rows, or chunks are missing where a normaliser per step was asked for.
    """
    if not rows:
        raise ConfigError("normalisers need at least one dataset to be fitted to")
    if not config.per_source and len(rows) > 1:
        states, actions = np.concatenate([r.state for r in rows]), np.concatenate([r.action for r in rows])
        rows = [SourceRows(ALL_SOURCES, states, actions)]
    return PolicyNormalizers(
        tuple(
            SourceNormalizer(
                r.name if config.per_source else ALL_SOURCES,
                bounded(config, fit(config.state, np.asarray(r.state), quantiles=config.quantiles)),
                fit(config.action, _action_rows(config, r), quantiles=config.quantiles),
            )
            for r in rows
        )
    )


def bounded(config: NormalizationConfig, state: Normalizer) -> Normalizer:
    """The normaliser of states with the bound that the configuration gives it."""
    return replace(state, clip=config.state_clip) if config.state == "min_max" else state


def _action_rows(config: NormalizationConfig, rows: SourceRows) -> np.ndarray:
    action = np.asarray(rows.action)
    if not config.action_per_step:
        return action.reshape(-1, action.shape[-1])
    if action.ndim != 3:
        raise ShapeError(
            "a normaliser for each step of the chunk is fitted to chunks",
            where=rows.name,
            got=action.shape,
            expected="(windows, horizon, action_size)",
        )
    return action.reshape(len(action), -1)
