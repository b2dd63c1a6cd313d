"""Opening the key: once, by somebody with a name, when the trials are over, or early with a reason that is kept."""

from __future__ import annotations

from robot_stack.core.atomic import write_json
from robot_stack.core.config_json import to_plain
from robot_stack.evaluation.trials.errors import BlindedError
from robot_stack.evaluation.trials.sealed_key import SealedKey
from robot_stack.evaluation.trials.state import TrialState
from robot_stack.evaluation.trials.store import TrialStore, read_key

OPENED = "unblinded.json"
"""The opened key in the store: with it anybody can compute the commitment again."""


def unblind(store: TrialStore, by: str, early_reason: str = "") -> SealedKey:
    """Open the key, and say so in the log; opening it again gives the same key.

    Args:
        store: open for writing.
        by: who opens it.
        early_reason: why it is opened before the stopping rule said stop; kept as a deviation.

    Raises:
        BlindedError: if the trials are not over and no reason is given, or a trial is under way.
        KeyMismatchError: if the key is not the one that was committed to.
    """
    with store.mutex:
        state = store.state
        key = store.key()
        if state.unblinded is None:
            _refuse_while_running(state)
            if not state.over and not early_reason.strip():
                raise BlindedError(
                    "the trials are not over",
                    where=store.folder,
                    got=f"{len(state.counted_blocks())} of at most {store.plan.blocks} blocks",
                    remedy="go on; or give --early with a reason, which the report will show, and no trial can follow",
                )
            if not state.over:
                store.append("deviation", {"text": f"unblinded early by {by}: {early_reason.strip()}"})
            store.append("unblinded", {"by": by, "early": not state.over, "nonce": key.nonce})
        write_json(store.folder / OPENED, {**to_plain(key), "policies": [p.name for p in store.plan.policies]})
        return key


def opened_key(folder: str, state: TrialState) -> SealedKey:
    """The key of a study that was unblinded.

    Raises:
        BlindedError: if it was not.
        KeyMismatchError: if the key is not the one that was committed to.
    """
    if state.unblinded is None:
        raise BlindedError(
            "this study is still blind", where=folder, remedy="when it is over: robot-stack trials unblind"
        )
    return read_key(folder, state)


def _refuse_while_running(state: TrialState) -> None:
    under_way = [trial.label for trial in state.trials.values() if trial.open]
    if under_way:
        raise BlindedError(
            "a trial is under way",
            got=", ".join(under_way),
            remedy="label or exclude it first; trials of stations that are gone expire when the store is served again",
        )
