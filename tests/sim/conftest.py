"""The untouched Meta-World environment, to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from robot_stack.sim.render import import_mujoco


def _welds(self: Any) -> None:
    """Meta-World's own numbers; its row of 11 does not fit the 12 columns that MuJoCo has since 3.5."""
    mujoco: Any = import_mujoco()
    for row, kind in zip(self.model.eq_data, self.model.eq_type, strict=True):
        if kind == mujoco.mjtEq.mjEQ_WELD:
            row[:11] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0]


def make_raw(task: str) -> Any:
    from metaworld.env_dict import ENV_CLS_MAP

    base = ENV_CLS_MAP[f"{task}-v3"]
    env: Any = type(base.__name__, (base,), {"reset_mocap_welds": _welds})()
    env._partially_observable = False
    del env.sawyer_observation_space
    env._set_task_called = True
    return env


@pytest.fixture
def raw_metaworld() -> Callable[[str], Any]:
    return make_raw
