"""Losses, samples, images and language of the policies."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_stack.core.errors import ConfigError, ShapeError, UnknownNameError
from robot_stack.models.random_draws import draw_normal_like
from robot_stack.models.sampling.ddim import DdimConfig, ddim_sampler
from robot_stack.policies.config import InputConfig, TaskEmbeddingConfig, TextVectorConfig
from robot_stack.policies.network_config import MlpDenoiserConfig
from robot_stack.policies.observation_batch import observation_batch
from robot_stack.policies.policy import Policy, Previous
from robot_stack.policies.process_config import DdimSamplerConfig, DiffusionProcessConfig, FlowProcessConfig
from tests.policies.robots import (
    ARM,
    CLONING,
    DIFFUSION,
    SMALL_UNET,
    STOCHASTIC,
    TWO_CAMERAS,
    history,
    policy,
    training_batch,
)

FLOW = replace(DIFFUSION, process=FlowProcessConfig(steps=4))
UNET = replace(DIFFUSION, network=SMALL_UNET)
IMAGES = replace(DIFFUSION, inputs=TWO_CAMERAS)
ALL = {"ddim": DIFFUSION, "ddpm": STOCHASTIC, "flow": FLOW, "unet": UNET, "cloning": CLONING}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ALL)
def test_contract_and_shapes(name: str) -> None:
    made = policy(ALL[name])
    contract: object = made
    assert isinstance(contract, Policy)
    batch = training_batch(made)
    loss = made.loss(batch, seeded())
    loss.backward()
    assert loss.shape == () and loss.isfinite()
    without = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without, "every parameter learns"
    actions = made.eval().sample(batch, generator=seeded())
    assert actions.shape == (6, 8, ARM.action_size) and actions.dtype == torch.float32
    again = made.sample(batch, generator=seeded())
    assert torch.equal(actions, again)
    other = made.sample(batch, generator=seeded(1))
    assert torch.equal(actions, other) != made.draws_noise


WIDE = MlpDenoiserConfig(width=64, depth=2, time_embed_dim=16)


@pytest.mark.parametrize(
    ("config", "worst"),
    [
        (replace(DIFFUSION, network=WIDE), 0.2),
        (replace(DIFFUSION, process=DiffusionProcessConfig(prediction="sample")), 0.02),
        (replace(FLOW, network=WIDE), 0.2),
        (CLONING, 0.02),
    ],
    ids=["epsilon", "sample", "flow", "cloning"],
)
def test_training_on_two_chunks_reproduces_them(config, worst: float) -> None:
    """Random chunks in [-1, 1] are 0.67 apart on average."""
    made = policy(config)
    batch = training_batch(made, size=2)
    many = {key: value.repeat_interleave(32, 0) for key, value in batch.items()}
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=300)
    generator = seeded()
    for _ in range(300):
        optimizer.zero_grad()
        made.loss(many, generator).backward()
        optimizer.step()
        schedule.step()
    error = (made.eval().sample(batch, generator=seeded()) - batch["action"]).abs()
    assert error.mean() < worst


def test_ddim_sampling_is_the_plain_sampler_between_the_normalisers() -> None:
    made = policy(DIFFUSION).eval()
    batch = training_batch(made)
    noise = draw_normal_like(torch.empty(6, 8, ARM.action_size), seeded())
    source = made.normalizers.sources[0]
    state = source.state.normalize(batch["observation.state"].numpy())
    cond = torch.from_numpy(state.reshape(6, -1)).float()
    sampler = ddim_sampler(made.process.levels, DdimConfig(10))
    with torch.no_grad():
        chunk = sampler(made.network, noise, cond)
    np.testing.assert_allclose(
        made.sample(batch, noise=noise).numpy(), source.action.denormalize(chunk.numpy()), atol=1e-5
    )


def test_sampling_sees_new_weights_at_once() -> None:
    made = policy(UNET).eval()
    batch = training_batch(made)
    before = made.sample(batch, generator=seeded())
    with torch.no_grad():
        made.network.film_time.weight.add_(0.5)
    after = made.sample(batch, generator=seeded())
    fresh = copy.deepcopy(made)
    fresh._times = None
    assert not torch.equal(before, after)
    assert torch.equal(after, fresh.sample(batch, generator=seeded()))


def test_sampling_in_inference_mode_leaves_training_possible() -> None:
    made = policy(UNET)
    batch = training_batch(made)
    with torch.inference_mode():
        made.eval().sample(batch, generator=seeded())
    made.train().loss(batch, seeded()).backward()
    copy.deepcopy(made).sample(batch, generator=seeded())


@pytest.mark.parametrize("name", ["ddim", "cloning"])
def test_padding_is_left_out_of_the_loss_when_asked(name: str) -> None:
    made = policy(replace(ALL[name], mask_padding=True))
    batch = training_batch(made)
    batch["action_is_pad"][:, 5:] = True
    wild = {**batch, "action": batch["action"].clone()}
    wild["action"][:, 5:] = 0.9
    if name == "cloning":  # in diffusion, padding still is part of the noisy chunk that the network sees
        assert made.loss(batch, seeded()) == made.loss(wild, seeded())
    trained_on = policy(replace(ALL[name], mask_padding=False))
    assert trained_on.loss(batch, seeded()) != made.loss(batch, seeded())
    batch["action_is_pad"][:] = False
    assert trained_on.loss(batch, seeded()).item() == pytest.approx(made.loss(batch, seeded()).item(), rel=1e-6)
    del batch["action_is_pad"]
    with pytest.raises(ShapeError, match="which actions are padding"):
        made.loss(batch, seeded())


@pytest.mark.parametrize("config", [IMAGES, replace(CLONING, inputs=TWO_CAMERAS)], ids=["diffusion", "cloning"])
def test_two_cameras_train_and_act(config) -> None:
    made = policy(config)
    batch = training_batch(made)
    optimizer = torch.optim.SGD(made.parameters(), lr=1e-3)
    made.loss(batch, seeded()).backward()
    for camera in (0, 1):
        encoder = made.encoder.vision.encoders[camera]
        assert all(p.grad is not None and p.grad.any() for p in encoder.backbone.conv1.parameters())
    optimizer.step()
    made.eval()
    before = made.sample(batch, generator=seeded())
    for name in ("front", "wrist"):
        key = f"observation.images.{name}"
        assert not torch.equal(before, made.sample({**batch, key: 255 - batch[key]}, generator=seeded()))


def test_images_alone_are_enough() -> None:
    made = policy(replace(IMAGES, inputs=InputConfig(state=(), cameras=("front",)))).eval()
    batch = training_batch(made)
    del batch["observation.state"]
    assert made.sample(batch, generator=seeded()).shape == (6, 8, ARM.action_size)


def test_images_are_augmented_in_training_only() -> None:
    made = policy(IMAGES)
    batch = training_batch(made)
    assert not torch.equal(made.encoder(batch, seeded(0)), made.encoder(batch, seeded(1)))
    assert torch.equal(made.encoder(batch, seeded(0)), made.encoder(batch, seeded(0)))
    made.eval()
    assert torch.equal(made.encoder(batch, seeded(0)), made.encoder(batch, seeded(1)))


def test_images_are_resized_first() -> None:
    made = policy(replace(IMAGES, inputs=replace(TWO_CAMERAS, image_size=(34, 44)))).eval()
    batch = training_batch(made)
    flat = {**batch}
    for name in ("front", "wrist"):
        flat[f"observation.images.{name}"] = torch.full_like(batch[f"observation.images.{name}"], 77)
    seen: list[torch.Tensor] = []
    hook = made.encoder.vision.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]["front"]))
    made.encoder(flat)
    hook.remove()
    assert seen[0].shape == (6, 2, 3, 32, 40)
    wanted = (77 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(seen[0].mean((0, 1, 3, 4)), wanted, atol=1e-4, rtol=1e-4)


def test_training_and_inference_see_the_same() -> None:
    """The rows that a dataset would hold of some observations, and the observations themselves."""
    made = policy(IMAGES, language=TaskEmbeddingConfig(4)).eval()
    histories = [history(seed) for seed in range(3)]
    batch = {
        "observation.state": torch.tensor(np.array([[o.state for o in h] for h in histories]).astype(np.float32)),
        "task_index": torch.tensor([1, 0, 1]),
    }
    for name in ("front", "wrist"):
        pictures = np.array([[o.images[name] for o in h] for h in histories])
        batch[f"observation.images.{name}"] = torch.from_numpy(pictures)
    arrays = observation_batch(histories, made.config.inputs, ARM)
    live = {name: torch.from_numpy(value) for name, value in arrays.items()}
    live |= made.instruction_entries([made.tasks[i] for i in (1, 0, 1)])
    assert set(live) == set(batch)
    assert all(torch.equal(live[name], batch[name]) and live[name].dtype == batch[name].dtype for name in batch)
    assert torch.equal(made.encoder(live), made.encoder(batch))


def test_state_fields_are_picked_by_name_and_in_order() -> None:
    made = policy(replace(CLONING, inputs=InputConfig(("goal", "joints"), n_obs_steps=2))).eval()
    batch = training_batch(made)
    cond = made.encoder(batch)
    whole = made.normalizers.sources[0].state.normalize(batch["observation.state"].numpy())
    np.testing.assert_allclose(cond.numpy(), whole[:, :, [5, 6, 0, 1, 2]].reshape(6, -1), atol=1e-5)
    changed = batch["observation.state"].clone()
    changed[:, :, 3:5] += 1.0
    assert torch.equal(made.sample(batch), made.sample({**batch, "observation.state": changed}))
    with pytest.raises(UnknownNameError, match="did you mean 'joints'"):
        policy(replace(CLONING, inputs=InputConfig(("joint",))))


def test_wrong_shapes_are_named() -> None:
    made = policy(IMAGES)
    batch = training_batch(made)
    for key, value, words in [
        ("observation.state", batch["observation.state"][:, :1], r"observation.state(.|\n)*\(B, 2, 7\)"),
        ("observation.state", batch["observation.state"][..., :5], "observation.state"),
        ("observation.images.front", batch["observation.images.front"][:, :, :8], "images.front"),
        ("action", batch["action"][:, :4], r"actions of a batch(.|\n)*\(B, 8, 4\)"),
    ]:
        with pytest.raises(ShapeError, match=words):
            made.loss({**batch, key: value}, seeded())
    del batch["observation.images.wrist"]
    with pytest.raises(ShapeError, match=r"images\.wrist"):
        made.loss(batch, seeded())


class HashedWords:
    """A text embedder without learning: every word adds a fixed random vector."""

    size = 12

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([sum(self._word(w) for w in text.split()) for text in texts])

    def _word(self, word: str) -> np.ndarray:
        return np.random.default_rng(list(word.encode())).normal(size=self.size)


@pytest.mark.parametrize("config", [DIFFUSION, CLONING], ids=["diffusion", "cloning"])
def test_a_learned_vector_per_task(config) -> None:
    made = policy(config, language=TaskEmbeddingConfig(6)).eval()
    batch = training_batch(made)
    first = made.sample({**batch, "task_index": torch.zeros(6, dtype=torch.int64)}, generator=seeded())
    second = made.sample({**batch, "task_index": torch.ones(6, dtype=torch.int64)}, generator=seeded())
    assert not torch.equal(first, second)
    entries = made.instruction_entries(["open the drawer"] * 6)
    assert torch.equal(second, made.sample({**batch, **entries}, generator=seeded()))
    with pytest.raises(UnknownNameError, match="did you mean 'open the drawer'"):
        made.instruction_entries(["open the draw"])


def test_text_vectors_know_new_instructions_with_an_embedder() -> None:
    embedder = HashedWords()
    tasks = ("push the cube", "open the drawer")
    made = policy(language=TextVectorConfig(12, 6), tasks=tasks, vectors=embedder(tasks)).eval()
    batch = training_batch(made)
    trained = made.sample(batch, generator=seeded())
    known = made.instruction_entries([tasks[i % 2] for i in range(6)])
    told = {k: v for k, v in batch.items() if k != "task_index"} | known
    assert torch.equal(trained, made.sample(told, generator=seeded())), "no embedder is needed for known instructions"
    with pytest.raises(UnknownNameError, match="without a text embedder"):
        made.instruction_entries(["shut the drawer"])
    new = made.instruction_entries(["shut the drawer"] * 6, embedder)
    np.testing.assert_allclose(new["instruction"][0].numpy(), embedder(["shut the drawer"])[0], rtol=1e-6)
    assert not torch.equal(trained, made.sample({**batch, **new}, generator=seeded()))


def test_language_needs_tasks_and_vectors_that_fit() -> None:
    with pytest.raises(ConfigError, match="instructions of its tasks"):
        policy(language=TaskEmbeddingConfig(), tasks=())
    with pytest.raises(ConfigError, match="text vectors"):
        policy(language=TextVectorConfig(12))
    with pytest.raises(ShapeError, match="do not fit the tasks"):
        policy(language=TextVectorConfig(12), vectors=np.zeros((2, 5)))


def test_a_warm_start_near_the_answer_stays_there() -> None:
    process = DiffusionProcessConfig(sampler=DdimSamplerConfig(steps=10))
    made = policy(replace(DIFFUSION, process=process)).eval()
    batch = training_batch(made)
    noise = draw_normal_like(torch.empty(6, 8, ARM.action_size), seeded())
    cold = made.sample(batch, noise=noise)
    start = Previous(batch["action"], first_step=9)
    warm = made.sample(batch, noise=noise, previous=start)
    source = made.normalizers.sources[0]
    chunk = torch.from_numpy(source.action.normalize(batch["action"].numpy())).float()
    sampler = ddim_sampler(made.process.levels, DdimConfig(10))
    step = sampler.steps[9]
    with torch.no_grad():
        mixed = step.signal * chunk + step.noise * noise
        out = made.network(mixed, torch.full((6,), step.network_time), made.encoder(batch))
        clean = (step.clean_x * mixed + step.clean_out * out).clamp(-1, 1)
    np.testing.assert_allclose(warm.numpy(), source.action.denormalize(clean.numpy()), atol=1e-4)
    assert not torch.equal(cold, warm)
