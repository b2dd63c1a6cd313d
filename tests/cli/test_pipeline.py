"""From demonstrations to an evaluated policy through the command line, small but real."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from robot_stack.cli.main import USAGE_ERROR, main

pytest.importorskip("metaworld")
pytest.importorskip("torch")

SHORT = ("--episodes", "1", "--processes", "0", "--videos", "0", "--world.horizon", "10")
STATE = ("hand_position", "gripper_opening", "goal_position")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "reach"
    assert main(["collect", "reach", "--out", str(root), "--episodes", "4", "--processes", "0"]) == 0
    return root


@pytest.fixture(scope="module")
def run_folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    words = ["train", "bc-mlp", "--data", str(dataset), "--steps", "30", "--runs", str(runs), "--threads", "1"]
    assert main([*words, "--state", *STATE, "--set", "train.tensorboard=false"]) == 0
    (folder,) = runs.iterdir()
    return folder


def test_collecting_again_adds_nothing(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "reach", "--out", str(dataset), "--episodes", "4", "--processes", "0"]) == 0
    assert "4 episodes" in capsys.readouterr().out
    assert json.loads((dataset / "meta" / "info.json").read_text())["total_episodes"] == 4


def test_the_run_folder_tells_everything(run_folder: Path) -> None:
    assert (run_folder / "STATUS").read_text().startswith("finished")
    config = json.loads((run_folder / "config.json").read_text())
    assert config["policy"]["inputs"]["state"] == list(STATE)
    assert config["train"]["steps"] == 30


def test_policy_info(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "info", str(run_folder / "policy"), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["kind"] == "behavior_cloning" and info["embodiment"]["name"] == "metaworld/sawyer"


def test_evaluation_beside_the_expert(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", str(run_folder / "policy"), "--expert", "--task", "reach", "--episodes", "3", "--processes", "0"]
    words += ["--out", str(tmp_path / "ev"), "--videos", "0", "--world.horizon", "60"]
    assert main([*words, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert [r["success"]["trials"] for r in first] == [3, 3]
    assert first[1]["success"]["successes"] >= 2, "the expert reaches"
    assert [e["seed"] for e in first[0]["episodes"]] == [e["seed"] for e in first[1]["episodes"]]
    assert main([*words, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert [r["episodes"] for r in again] == [r["episodes"] for r in first]


def test_show_prints_the_whole_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "image-small", "--show", "--set", "policy.horizon=32", "learning.ema=null"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["policy"]["horizon"] == 32 and plain["learning"]["ema"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["collect", "metaworld/pick-plce"], "did you mean 'metaworld/pick-place'"),
        (["collect", "dmc/cartpole-swingup"], "has no scripted expert"),
        (["collect", "reach", "--world.cameras", "corner9"], "did you mean 'corner"),
        (["train", "flow-smal", "--data", "x"], "did you mean 'flow-small'"),
        (["train", "flow-small"], "there is nothing to learn from"),
        (["train", "flow-small", "--data", "nowhere"], "nowhere"),
        (["train", "flow-small", "--show", "--set", "policy.horizn=3"], "did you mean 'horizon'"),
        (["train", "flow-small", "--show", "--set", "policy.horizon"], "an override needs a value"),
        (["train", "flow-small", "--show", "--set", "policy.horizon=x"], "wrong type"),
        (["eval", "--task", "reach"], "there is nobody to evaluate"),
        (["eval", "nowhere"], "nowhere"),
        (["policy", "inf", "x"], "did you mean 'info'"),
        (["tasks", "--family", "metawrld"], "did you mean 'metaworld'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_clear_error(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == USAGE_ERROR
    error = capsys.readouterr().err
    assert error.lstrip().startswith("error: ") and told in error
    assert "Traceback" not in error


def test_an_unknown_state_field_is_named(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "bc-mlp", "--data", str(dataset), "--state", "hand_positon", "--runs", str(tmp_path)]
    assert main(words) == USAGE_ERROR
    assert "did you mean 'hand_position'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "no run folder is left behind"


def test_a_bundle_for_another_robot_is_refused(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["eval", str(run_folder / "policy"), "--task", "dmc/cartpole-swingup", "--processes", "0"]) == USAGE_ERROR
    )
    error = capsys.readouterr().err
    assert "another embodiment" in error and "expected 'metaworld/sawyer'" in error


def test_a_robot_with_another_model_is_accepted_only_when_asked(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from robot_stack.policies.loading import load_bundle
    from robot_stack.policies.saving import save_bundle

    policy = load_bundle(run_folder / "policy").policy
    policy.embodiment = replace(policy.embodiment, model_sha256="0" * 64)
    save_bundle(policy, tmp_path / "policy", provenance={})
    words = ["eval", str(tmp_path / "policy"), "--task", "reach", *SHORT, "--out", str(tmp_path / "ev")]
    assert main(words) == USAGE_ERROR
    assert "model" in capsys.readouterr().err
    assert main([*words, "--another-model"]) == 0


def test_a_policy_with_a_normaliser_per_dataset_is_told_which(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "push"
    assert main(["collect", "push", "--out", str(other), "--episodes", "2", "--processes", "0"]) == 0
    words = ["train", "bc-mlp", "--data", str(dataset), str(other), "--steps", "2", "--runs", str(tmp_path / "runs")]
    words += ["--threads", "1", "--state", *STATE]
    assert main([*words, "--set", "train.tensorboard=false", "policy.normalization.per_source=true"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    words = ["eval", str(folder / "policy"), "--task", "reach", *SHORT, "--out", str(tmp_path / "ev")]
    assert main(words) == USAGE_ERROR
    error = capsys.readouterr().err
    assert "one normaliser per dataset" in error and "one of: reach, push" in error
    assert main([*words, "--source", "rech"]) == USAGE_ERROR
    assert "did you mean 'reach'" in capsys.readouterr().err
    assert main([*words, "--source", "push", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["name"].endswith(" push")
    words = ["collect", "reach", "--policy", str(folder / "policy"), "--out", str(tmp_path / "more"), "--episodes", "1"]
    words += ["--keep-failures", "--processes", "0", "--world.horizon", "10"]
    assert main(words) == USAGE_ERROR
    assert main([*words, "--source", "reach"]) == 0


def test_every_preset_is_a_valid_job(capsys: pytest.CaptureFixture[str]) -> None:
    from robot_stack.cli.presets import PRESETS

    for name in PRESETS:
        assert main(["train", name, "--show"]) == 0
        json.loads(capsys.readouterr().out)
