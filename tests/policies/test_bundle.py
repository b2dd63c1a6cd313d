"""Bundles: what is loaded acts as what was saved, on that robot only, and any damage is one clear error."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.episode_driver import EpisodeDriver
from robot_stack.core.errors import BundleError, EmbodimentMismatchError, ShapeError, StorageError
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.policies.bundle import bundle_hash, bundle_info
from robot_stack.policies.config import NormalizationConfig, TaskEmbeddingConfig, TextVectorConfig
from robot_stack.policies.driver import PolicyDriver
from robot_stack.policies.loading import load_bundle
from robot_stack.policies.manifest import FILES, describe_files
from robot_stack.policies.normalizers import fit_normalizers
from robot_stack.policies.saving import save_bundle
from tests.policies.robots import (
    ARM,
    CLONING,
    DIFFUSION,
    SMALL_UNET,
    STOCHASTIC,
    TWO_CAMERAS,
    history,
    policy,
    rows,
    training_batch,
)

PER_SOURCE = NormalizationConfig(per_source=True)
PROVENANCE = {"datasets": [{"name": "demos", "sha256": "ab" * 32}], "seed": 7}
KINDS = {
    "diffusion": lambda: policy(DIFFUSION),
    "ddpm": lambda: policy(STOCHASTIC),
    "unet, two cameras": lambda: policy(replace(DIFFUSION, network=SMALL_UNET, inputs=TWO_CAMERAS)),
    "cloning": lambda: policy(CLONING),
    "task embedding": lambda: policy(language=TaskEmbeddingConfig(5)),
    "text": lambda: policy(language=TextVectorConfig(9, 5), vectors=np.random.default_rng(0).normal(size=(2, 9))),
    "sources": lambda: policy(
        replace(DIFFUSION, normalization=PER_SOURCE),
        fitted=fit_normalizers(PER_SOURCE, [rows("here"), rows("there", center=9.0)]),
    ),
}


def save(made, path: Path, **options) -> str:
    return save_bundle(made, path, provenance=PROVENANCE, metrics={"success": {"pick": 0.9}}, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "whole"
    save(policy(), path)
    return path


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


def reseal(bundle: Path) -> None:
    """Make the manifest fit the files again, as somebody would who edits a bundle on purpose."""
    (bundle / "manifest.json").write_text(json.dumps(describe_files(bundle)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_policy_acts_bit_for_bit_like_the_saved_one(kind: str, tmp_path: Path) -> None:
    made = KINDS[kind]()
    save(made, tmp_path / "b")
    loaded = load_bundle(tmp_path / "b", robot_embodiment=ARM).policy
    assert type(loaded) is type(made) and not loaded.training
    assert (loaded.config, loaded.embodiment, loaded.tasks) == (made.config, made.embodiment, made.tasks)
    assert loaded.normalizers == made.normalizers
    batch = training_batch(made)
    generator, again = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    wanted = made.eval().sample(batch, generator=generator)
    assert torch.equal(loaded.sample(batch, generator=again), wanted)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_loaded_policy_drives_alike(whole: Path) -> None:
    seen = [history(i) for i in range(3)]
    runs = []
    for made in (policy(), load_bundle(whole).policy):
        driver = EpisodeDriver(PolicyDriver(made))
        driver.reset("", 3)
        runs.append([driver.act(h).actions for h in seen])
    assert np.array_equal(runs[0], runs[1])


def test_files_and_contents(whole: Path) -> None:
    assert sorted(p.name for p in whole.iterdir()) == sorted([*FILES, "manifest.json"])
    embodiment = json.loads((whole / "embodiment.json").read_text())
    assert embodiment["fingerprint"] == ARM.fingerprint()
    provenance = json.loads((whole / "provenance.json").read_text())
    assert provenance["seed"] == 7 and provenance["datasets"] == PROVENANCE["datasets"]
    assert provenance["exported_with"]["libraries"]["torch"] == torch.__version__
    card = (whole / "MODEL_CARD.md").read_text()
    for words in ("test/arm", "push the cube", "joint_target[3] in rad", "0.9", "ddim with 10 steps", "10 Hz"):
        assert words in card


def test_info_needs_no_torch(whole: Path) -> None:
    code = (
        "import json, sys\n"
        "from robot_stack.policies.bundle import bundle_info\n"
        f"info = bundle_info({str(whole)!r})\n"
        "assert 'torch' not in sys.modules\n"
        "print(json.dumps(info))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    info = json.loads(done.stdout)
    made = policy()
    assert info == bundle_info(whole)
    assert info["kind"] == "diffusion" and info["metrics"] == {"success": {"pick": 0.9}}
    assert info["tasks"] == list(made.tasks) and info["normalizer_sources"] == ["all"]
    assert info["embodiment_fingerprint"] == ARM.fingerprint()
    shapes = {name: list(t.shape) for name, t in made.state_dict().items()}
    assert {name: entry["shape"] for name, entry in info["weights"].items()} == shapes
    assert info["parameters"] == sum(p.numel() for p in made.state_dict().values())


def test_the_hash_is_of_what_acts(whole: Path, tmp_path: Path) -> None:
    same = save_bundle(policy(), tmp_path / "same", provenance={"other": 1})
    assert same == bundle_hash(whole) == load_bundle(whole).info["policy_sha256"]
    assert load_bundle(whole).name == f"policy {same[:12]}"
    assert save(policy(seed=4), tmp_path / "weights") != same
    assert save(policy(replace(DIFFUSION, n_action_steps=3)), tmp_path / "config") != same
    assert save(policy(fitted=fit_normalizers(NormalizationConfig(), [rows(seed=5)])), tmp_path / "units") != same


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "one byte"])
def test_every_damage_is_one_clear_error(bundle: Path, name: str, damage: str) -> None:
    path = bundle / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    for read in (load_bundle, bundle_info):
        with pytest.raises(BundleError) as caught:
            read(bundle)
        error = caught.value
        assert error.where == str(path)
        assert error.got and error.expected and "copy the bundle again" in (error.remedy or "")


def test_every_flipped_bit_of_the_manifest_is_a_bundle_error(bundle: Path) -> None:
    path = bundle / "manifest.json"
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        with pytest.raises(BundleError):
            bundle_hash(bundle)
    path.write_bytes(data)
    bundle_hash(bundle)


def test_a_number_edited_in_a_json_file_is_noticed(bundle: Path) -> None:
    path = bundle / "normalizer.json"
    text = path.read_text()
    number = re.search(r"\d\.\d{5,}", text)
    assert number is not None
    path.write_text(text.replace(number.group(), number.group()[:-1] + ("1" if number.group()[-1] != "1" else "2"), 1))
    with pytest.raises(BundleError, match=r"normalizer\.json(.|\n)*SHA-256"):
        load_bundle(bundle)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no policy bundle here"):
        load_bundle(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle_info(tmp_path)


def test_a_newer_schema_is_refused(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(BundleError, match="another schema version"):
        load_bundle(bundle)


def test_other_weights_do_not_reproduce_the_golden_actions(bundle: Path) -> None:
    weights = load_file(bundle / "weights.safetensors")
    name = "network.chunk_out.bias"
    weights[name] = weights[name] + 0.01
    save_file(weights, bundle / "weights.safetensors")
    reseal(bundle)
    with pytest.raises(BundleError, match=r"does not reproduce its golden actions(.|\n)*differ by up to 0"):
        load_bundle(bundle)
    load_bundle(bundle, golden=False)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("config.json", '"n_action_steps": 4', '"n_action_steps": 80', "do not fit the horizon"),
        ("config.json", '"kind": "diffusion",\n    "inputs"', '"kind": "magic",\n    "inputs"', "no such kind"),
        ("config.json", '"state": null', '"state": ["elbow"]', r"config\.json(.|\n)*unknown state field 'elbow'"),
        ("config.json", '"width": 32', '"width": 64', r"weights\.safetensors"),
        ("embodiment.json", '"control_hz": 10.0', '"control_hz": 20.0', "fingerprint"),
        ("normalizer.json", '"min_max"', '"max_min"', r"normalizer\.json"),
    ],
)
def test_files_edited_with_their_manifest_still_are_one_clear_error(
    bundle: Path, name: str, old: str, new: str, words: str
) -> None:
    text = (bundle / name).read_text()
    assert old in text
    (bundle / name).write_text(text.replace(old, new, 1))
    reseal(bundle)
    with pytest.raises(BundleError, match=words):
        load_bundle(bundle)


def test_a_normaliser_that_is_not_the_weights_own_is_refused(bundle: Path, tmp_path: Path) -> None:
    save(policy(fitted=fit_normalizers(NormalizationConfig(), [rows(seed=5)])), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "normalizer.json", bundle)
    reseal(bundle)
    with pytest.raises(BundleError, match="not the one these weights were trained with"):
        load_bundle(bundle, golden=False)


def test_another_embodiment_is_refused_with_every_difference(whole: Path) -> None:
    hand = Field("hand", 3, "m")
    other = replace(ARM, name="test/leg", control_hz=20.0, state=(ARM.state[0], hand, ARM.state[2]))
    with pytest.raises(EmbodimentMismatchError) as caught:
        load_bundle(whole, robot_embodiment=other)
    text = str(caught.value)
    for words in ("'test/leg', expected 'test/arm'", "20 Hz, expected 10 Hz", "'hand' has 3 numbers, expected 2"):
        assert words in text
    assert len(caught.value.differences) == 3


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({"cameras": ()}, True),
        ({"limits": SafetyLimits(max_step=(0.05,) * 4, needs_deadman=True, max_tilt_rad=0.3)}, True),
        ({"limits": SafetyLimits(max_step=(0.1, 0.1, 0.1, 0.2))}, False),
        ({"limits": SafetyLimits()}, False),
        ({"model_sha256": "34" * 32}, False),
        ({"action": (replace(ARM.action[0], unit="rad/s"), ARM.action[1])}, False),
        ({"action": (ARM.action[1], ARM.action[0])}, False),
    ],
)
def test_which_differences_matter(whole: Path, change: dict, accepted: bool) -> None:
    other: Embodiment = replace(ARM, **change)
    if accepted:
        load_bundle(whole, robot_embodiment=other, golden=False)
        return
    with pytest.raises(EmbodimentMismatchError):
        load_bundle(whole, robot_embodiment=other, golden=False)
    if "model_sha256" in change:
        load_bundle(whole, robot_embodiment=other, another_model=True, golden=False)


def test_cameras_matter_where_the_policy_looks_through_them(tmp_path: Path) -> None:
    save(policy(replace(DIFFUSION, inputs=replace(TWO_CAMERAS, cameras=("wrist",)))), tmp_path / "b")
    front, wrist = ARM.cameras
    moved, small = replace(front, frame="head"), CameraSpec("wrist", 20, 24, "hand")
    load_bundle(tmp_path / "b", robot_embodiment=ARM.with_cameras((moved, wrist)), golden=False)
    load_bundle(tmp_path / "b", robot_embodiment=ARM.with_cameras((wrist,)), golden=False)
    with pytest.raises(EmbodimentMismatchError, match="'wrist' is missing"):
        load_bundle(tmp_path / "b", robot_embodiment=ARM.with_cameras((front,)), golden=False)
    with pytest.raises(EmbodimentMismatchError, match="24x20 on 'hand', expected 48x40"):
        load_bundle(tmp_path / "b", robot_embodiment=ARM.with_cameras((front, small)), golden=False)


def test_the_golden_observations_can_be_real_ones(tmp_path: Path) -> None:
    made = policy(replace(DIFFUSION, inputs=TWO_CAMERAS), language=TaskEmbeddingConfig(3))
    batch = training_batch(made)
    save(made, tmp_path / "b", example=batch)
    golden = load_file(tmp_path / "b" / "golden.safetensors")
    assert torch.equal(golden["batch/observation.state"], batch["observation.state"][:2])
    assert torch.equal(golden["batch/observation.images.wrist"], batch["observation.images.wrist"][:2])
    assert "batch/action" not in golden
    load_bundle(tmp_path / "b")
    del batch["task_index"]
    with pytest.raises(ShapeError, match="task_index"):
        save(made, tmp_path / "c", example=batch)
    assert not (tmp_path / "c").exists() and [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_bundle_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(policy(), tmp_path / "b")
    before = bundle_hash(tmp_path / "b")
    with pytest.raises(BundleError, match="already"):
        save(policy(seed=4), tmp_path / "b")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match="free disk space"):
        save(policy(seed=4), tmp_path / "b", overwrite=True)
    monkeypatch.undo()
    assert bundle_hash(tmp_path / "b") == before and [p.name for p in tmp_path.iterdir()] == ["b"]
    after = save(policy(seed=4), tmp_path / "b", overwrite=True)
    assert load_bundle(tmp_path / "b").info["policy_sha256"] == after != before
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(BundleError, match="not overwritten"):
        save(policy(), tmp_path / "mine", overwrite=True)


def test_loading_leaves_torchs_generator_alone(whole: Path) -> None:
    before = torch.get_rng_state()
    load_bundle(whole)
    assert torch.equal(before, torch.get_rng_state())
