"""What can be wrong with a trial store, and what it refuses."""

from __future__ import annotations

from robot_stack.core.errors import ConfigError, RobotStackError


class PlanError(ConfigError):
    """A plan that cannot be run as written."""


class PlanChangedError(RobotStackError):
    """The plan, or a policy or image it names, is not what was frozen."""


class LogDamagedError(RobotStackError):
    """The event log was edited, cut short or put in another order."""


class StoreError(RobotStackError):
    """There is no trial store, or there is one already."""


class TrialConflictError(RobotStackError):
    """An action that the state of its trial does not allow; nothing was changed."""


class UnknownTrialError(TrialConflictError):
    """An action on a trial, station or block that does not exist."""


class BlindedError(RobotStackError):
    """The answer would tell which policy runs, and the trials are not over."""


class KeyMismatchError(RobotStackError):
    """The key is not the one that was committed to before the first trial."""
