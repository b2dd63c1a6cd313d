from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.config_json import canonical_json, fingerprint_of, from_plain, to_plain
from robot_stack.core.embodiment import Embodiment, model_hash
from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, ShapeError, UnknownNameError
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.safety_limits import SafetyLimits

ARM = Embodiment(
    name="arm",
    state=(Field("joint_position", 2, "rad", ("shoulder", "elbow"), (-3.0, -2.0), (3.0, 2.0)), Field("grip", 1, "m")),
    action=(Field("joint_target", 2, "rad", ("shoulder", "elbow"), (-3.0, -2.0), (3.0, 2.0)),),
    cameras=(CameraSpec("wrist", 48, 64, "hand"), CameraSpec("front", 96, 96)),
    control_hz=20.0,
    limits=SafetyLimits(low=(-3.0, -2.0), high=(3.0, 2.0)),
    model_sha256=model_hash(b"<mujoco/>"),
)


def test_json_round_trip_keeps_everything() -> None:
    again = from_plain(Embodiment, json.loads(canonical_json(ARM)))
    assert again == ARM
    assert again.fingerprint() == ARM.fingerprint() == fingerprint_of(ARM)
    assert to_plain(again) == to_plain(ARM)


def test_unbounded_limits_survive_json() -> None:
    field = Field("x", 2, "m", low=(-float("inf"), 0.0), high=(1.0, float("inf")))
    assert from_plain(Field, json.loads(canonical_json(field))) == field


def test_layout() -> None:
    assert ARM.state_size == 3 and ARM.action_size == 2
    assert ARM.state_names == ("shoulder", "elbow", "grip")
    assert ARM.state_slices["grip"] == slice(2, 3)
    assert ARM.state_indices(("grip", "joint_position")).tolist() == [2, 0, 1]
    assert ARM.action_limits[1].tolist() == [3.0, 2.0]
    assert ARM.camera("wrist").shape == (48, 64, 3)


CHANGES = {
    "name": (replace(ARM, name="leg"), "the robot is 'leg', expected 'arm'"),
    "rate": (replace(ARM, control_hz=50.0), "the control rate is 50 Hz, expected 20 Hz"),
    "missing": (replace(ARM, state=ARM.state[:1]), "the state field 'grip' is missing"),
    "extra": (replace(ARM, state=(*ARM.state, Field("force", 3, "N"))), "'force' was not expected"),
    "order": (replace(ARM, state=ARM.state[::-1]), "come in another order"),
    "unit": (replace(ARM, state=(ARM.state[0], Field("grip", 1, "rad"))), "is in 'rad', expected 'm'"),
    "size": (replace(ARM, state=(ARM.state[0], Field("grip", 2, "m"))), "has 2 numbers, expected 1"),
    "joints": (
        replace(ARM, action=(replace(ARM.action[0], names=("elbow", "shoulder")),)),
        "lists ['elbow', 'shoulder'], expected ['shoulder', 'elbow']",
    ),
    "limit": (replace(ARM, action=(replace(ARM.action[0], high=(3.0, 1.0)),)), "is limited to"),
    "camera size": (ARM.with_cameras((CameraSpec("wrist", 48, 48, "hand"), ARM.cameras[1])), "is 48x48"),
    "camera gone": (ARM.with_cameras(ARM.cameras[:1]), "the camera 'front' is missing"),
    "safety": (replace(ARM, limits=SafetyLimits(low=(-1.0, -1.0))), "safety limits differ: low"),
    "model": (replace(ARM, model_sha256="0" * 64), "the robot model differs"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_told_in_words_and_changes_the_fingerprint(what: str) -> None:
    other, expected = CHANGES[what]
    assert expected in "\n".join(ARM.diff(other))
    assert other.fingerprint() != ARM.fingerprint()
    with pytest.raises(EmbodimentMismatchError, match="what to do"):
        ARM.require_match(other)


def test_cameras_that_are_not_used_do_not_matter() -> None:
    ARM.require_match(ARM.with_cameras(()), use_cameras=())
    ARM.require_match(ARM.with_cameras(ARM.cameras[:1]), use_cameras=("wrist",))
    with pytest.raises(EmbodimentMismatchError):
        ARM.require_match(ARM.with_cameras(()), use_cameras=("wrist",))


def test_equal_embodiments_have_no_diff() -> None:
    assert ARM.diff(replace(ARM)) == []


def test_bad_input_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'joint_position'"):
        ARM.state_indices(("joint_positions",))
    with pytest.raises(UnknownNameError, match="did you mean 'wrist'"):
        ARM.camera("wrists")
    with pytest.raises(ShapeError, match=r"joint_target\[2\]"):
        ARM.check_action(np.zeros(3))
    with pytest.raises(ConfigError, match="two cameras of one name"):
        ARM.with_cameras((ARM.cameras[0], ARM.cameras[0]))
    with pytest.raises(ConfigError, match="positive control rate"):
        replace(ARM, control_hz=float("nan"))
    with pytest.raises(ConfigError, match="no action field"):
        replace(ARM, action=())
    with pytest.raises(ConfigError, match="does not match the action"):
        replace(ARM, limits=SafetyLimits(low=(0.0,)))
    for bad in (
        {"name": "a b"},
        {"size": 0},
        {"names": ("one",)},
        {"low": (1.0, 1.0), "high": (0.0, 0.0)},
        {"low": (float("nan"), 0.0)},
    ):
        with pytest.raises(ConfigError):
            Field(**{"name": "x", "size": 2, "unit": "m", **bad})  # type: ignore[arg-type]


def test_unknown_and_missing_keys_in_json_are_named() -> None:
    plain = to_plain(ARM)
    with pytest.raises(UnknownNameError, match="did you mean 'control_hz'"):
        from_plain(Embodiment, {**plain, "control_hertz": 1})
    del plain["control_hz"]
    with pytest.raises(ConfigError, match="'control_hz' is missing"):
        from_plain(Embodiment, plain)
    with pytest.raises(ConfigError, match=r"where: Embodiment\.control_hz"):
        from_plain(Embodiment, {**to_plain(ARM), "control_hz": "fast"})


def test_whole_numbers_have_the_fingerprint_of_what_is_read_back() -> None:
    whole = replace(ARM, control_hz=20, limits=SafetyLimits(low=(-3, -2), high=(3, 2)))
    again = from_plain(Embodiment, json.loads(canonical_json(whole)))
    assert whole.fingerprint() == again.fingerprint() == ARM.fingerprint()
