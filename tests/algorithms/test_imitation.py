"""Behaviour cloning of small real networks: averaging, seeds, precision, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robot_stack.algorithms.adamw import AdamWConfig
from robot_stack.algorithms.algorithm import Algorithm, AlgorithmState, step_seed
from robot_stack.algorithms.imitation import Imitation, ImitationConfig, autocast_dtype
from robot_stack.core.errors import CheckpointError, ConfigError
from robot_stack.models.ema import EmaConfig


class Denoiser(nn.Module):
    """Predicts the noise in its input."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, width), nn.SiLU(), nn.Linear(width, 4))
        self.dtypes: list[torch.dtype] = []

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator | None) -> Tensor:
        noise = torch.randn(batch["x"].shape, generator=generator)
        out = self.net(batch["x"] + noise)
        self.dtypes.append(out.dtype)
        return (out.float() - noise).square().mean()


def build(seed: int = 0, rank: int = 0, **config) -> Imitation[Denoiser]:
    net = Denoiser()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    settings = ImitationConfig(optimizer=AdamWConfig(lr=1e-2), **config)
    return Imitation(net, settings, lambda step: 1.0, rank=rank, seed=seed)


def batch_of(step: int) -> dict[str, Tensor]:
    return {"x": torch.randn(32, 4, generator=torch.Generator().manual_seed(step))}


def test_is_an_algorithm() -> None:
    assert isinstance(build(), Algorithm)


def test_the_deployed_policy_is_the_average_of_the_trained_weights() -> None:
    config = EmaConfig(power=0.75, max_decay=0.99)
    algorithm = build(ema=config)
    average = {n: p.detach().clone() for n, p in algorithm.trained.named_parameters()}
    for step in range(1, 31):
        algorithm.update(batch_of(step))
        decay = config.decay(step - 1)
        for name, parameter in algorithm.trained.named_parameters():
            average[name] = decay * average[name] + (1 - decay) * parameter.detach()
    for name, parameter in algorithm.policy().named_parameters():
        torch.testing.assert_close(parameter.detach(), average[name], rtol=1e-4, atol=1e-6)
        assert not torch.allclose(parameter, dict(algorithm.trained.named_parameters())[name])
    alone = build(ema=None)
    assert alone.policy() is alone.trained


def test_it_learns_and_evaluation_disturbs_nothing() -> None:
    one, other = build(), build()
    held_out = batch_of(10_000)
    before = one.evaluate(held_out, seed=3)["loss"].item()
    for step in range(1, 301):
        one.update(batch_of(step))
        other.update(batch_of(step))
        if step % 50 == 0:
            first, again = (one.evaluate(held_out, seed=3)["loss"].item() for _ in range(2))
            assert first == again
    assert one.evaluate(held_out, seed=3)["loss"].item() < 0.7 * before
    for name, tensor in one.state_dict().tensors.items():
        assert torch.equal(tensor, other.state_dict().tensors[name]), name


def test_noise_depends_on_seed_step_and_rank() -> None:
    seeds = {step_seed(seed, step, rank) for seed in range(5) for step in range(20) for rank in range(4)}
    assert len(seeds) == 400 and max(seeds) < 2**32
    losses = {build(seed=s, rank=r).update(batch_of(1))["loss"].item() for s, r in ((0, 0), (1, 0), (0, 1))}
    assert len(losses) == 3
    algorithm = build()
    first = algorithm.update(batch_of(1))["loss"].item()
    assert build().update(batch_of(1))["loss"].item() == first


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_weights() -> None:
    algorithm = build(precision="bfloat16")
    loss = algorithm.update(batch_of(1))["loss"]
    assert algorithm.trained.dtypes == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert {t.dtype for t in algorithm.state_dict().tensors.values()} == {torch.float32}
    reference = build(precision="float32").update(batch_of(1))["loss"]
    assert loss.item() == pytest.approx(reference.item(), rel=0.02)
    assert loss.item() != reference.item()
    assert autocast_dtype("auto", torch.device("cpu")) is None


def test_a_compiled_loss_is_the_same_loss() -> None:
    eager, compiled = build(), build()
    compiled._loss.compile(backend="aot_eager")
    for step in range(1, 4):
        one, other = (a.update(batch_of(step))["loss"].item() for a in (eager, compiled))
        assert one == pytest.approx(other, rel=1e-5)
    assert eager.state_dict().tensors.keys() == compiled.state_dict().tensors.keys()


def test_foreign_states_and_networks_without_a_loss_are_refused() -> None:
    state = build().state_dict()
    wrong = AlgorithmState(state.tensors, {**state.plain, "algorithm": "calql"})
    with pytest.raises(CheckpointError, match="another algorithm"):
        build().load_state_dict(wrong)
    with pytest.raises(CheckpointError, match="averaged"):
        build(ema=None).load_state_dict(state)
    larger = Imitation(Denoiser(width=17), ImitationConfig(), lambda step: 1.0)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        larger.load_state_dict(state)
    with pytest.raises(ConfigError, match="Linear"):
        Imitation(nn.Linear(1, 1), ImitationConfig(), lambda step: 1.0)
