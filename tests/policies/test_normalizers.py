"""Every row is normalised with the parameters of its own source, in training, sampling and deployment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_stack.core import normalizer as core_normalizer
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from robot_stack.policies.actor import Actor
from robot_stack.policies.config import NormalizationConfig
from robot_stack.policies.normalizer_table import NormalizerTable
from robot_stack.policies.normalizers import PolicyNormalizers, SourceRows, fit_normalizers
from robot_stack.policies.process_config import DiffusionProcessConfig
from tests.policies.robots import ARM, CLONING, DIFFUSION, history, normalizers, policy, rows, training_batch

PER_SOURCE = NormalizationConfig(per_source=True)
HERE, THERE = rows("here", seed=1), rows("there", seed=2, center=50.0)


@pytest.mark.parametrize("kind", ["min_max", "quantile", "mean_std", "identity"])
def test_the_table_agrees_with_the_numpy_normaliser(kind) -> None:
    config = NormalizationConfig(kind, kind, per_source=True)
    fitted = fit_normalizers(config, [HERE, THERE])
    table = NormalizerTable([s.state for s in fitted.sources], ARM.state_size)
    source = torch.tensor([1, 0, 1])
    physical = np.random.default_rng(0).uniform(-3, 60, (3, 2, ARM.state_size)).astype(np.float32)
    got = table.normalize(torch.from_numpy(physical), {"source": source})
    for row, number in enumerate(source.tolist()):
        wanted = fitted.sources[number].state.normalize(physical[row])
        np.testing.assert_allclose(got[row].numpy(), wanted, rtol=1e-5, atol=1e-5)
    back = table.denormalize(got, {"source": source})
    if kind not in ("quantile", "min_max"):  # what is clipped does not come back
        np.testing.assert_allclose(back.numpy(), physical, rtol=1e-4, atol=1e-4)


def test_one_normaliser_serves_all_sources_unless_asked_otherwise() -> None:
    joint = fit_normalizers(NormalizationConfig(), [HERE, THERE])
    assert joint.names == ("all",)
    both = np.concatenate([HERE.state, THERE.state])
    assert joint.sources[0].state == replace(core_normalizer.fit("min_max", both), clip=1.5)
    apart = fit_normalizers(PER_SOURCE, [HERE, THERE])
    assert apart.names == ("here", "there")
    assert apart.sources[1].state == replace(core_normalizer.fit("min_max", THERE.state), clip=1.5)


def test_a_state_far_outside_the_data_is_seen_at_their_border() -> None:
    """A tray that lay still in the data and now tilts is no input a hundred times larger than any before."""
    still = replace(HERE, state=HERE.state * np.where(np.arange(ARM.state_size) == 0, 1e-3, 1.0))
    fitted = fit_normalizers(NormalizationConfig(), [still]).sources[0]
    inside = fitted.state.normalize(still.state)
    assert np.abs(inside).max() <= 1.0 + 1e-12
    slipped = still.state + np.eye(ARM.state_size)[0]
    assert np.abs(fitted.state.normalize(slipped)).max() == 1.5
    assert fitted.action.clip is None, "actions are clipped by the robot's limits, not by the data"
    free = fit_normalizers(NormalizationConfig(state_clip=None), [still]).sources[0]
    assert np.abs(free.state.normalize(slipped)).max() > 100


def test_training_targets_use_the_rows_own_source() -> None:
    fitted = fit_normalizers(PER_SOURCE, [HERE, THERE])
    config = replace(CLONING, normalization=PER_SOURCE)
    made = policy(config, fitted=fitted).eval()
    batch = training_batch(made)
    number = 1
    alone = policy(config, fitted=PolicyNormalizers((fitted.sources[number],))).eval()
    state = {k: v for k, v in made.state_dict().items() if "normalizer" not in k}
    missing = alone.load_state_dict(state, strict=False).missing_keys
    assert all("normalizer" in name for name in missing)
    mine = {**batch, "source": torch.full((6,), number)}
    assert made.loss(mine, None).item() == alone.loss(batch, None).item()
    assert (
        made.loss({**batch, "source": torch.zeros(6, dtype=torch.int64)}, None).item() != made.loss(mine, None).item()
    )
    assert torch.equal(made.sample(mine), alone.sample(batch))


def test_deployment_names_the_source_and_gets_its_units() -> None:
    fitted = fit_normalizers(PER_SOURCE, [HERE, THERE])
    made = policy(replace(CLONING, normalization=PER_SOURCE), fitted=fitted)
    there = Actor(made, source="there").act_batch([history(0)], ["x"])
    here = Actor(made, source="here").act_batch([history(0)], ["x"])
    assert abs(here).max() < 10 < there.min()
    with pytest.raises(ConfigError, match="say whose robot"):
        Actor(made)
    with pytest.raises(UnknownNameError, match="did you mean 'there'"):
        Actor(made, source="ther")


def test_a_batch_without_sources_is_refused() -> None:
    made = policy(replace(CLONING, normalization=PER_SOURCE), fitted=fit_normalizers(PER_SOURCE, [HERE, THERE]))
    batch = training_batch(made)
    del batch["source"]
    with pytest.raises(ShapeError, match="which dataset"):
        made.loss(batch, None)


def test_the_order_of_the_mixture_is_checked_by_name() -> None:
    fitted = fit_normalizers(PER_SOURCE, [HERE, THERE])
    fitted.require_sources(["here", "there"])
    with pytest.raises(ConfigError, match="not those of the mixture"):
        fitted.require_sources(["there", "here"])
    fit_normalizers(NormalizationConfig(), [HERE, THERE]).require_sources(["there", "here"])


def test_weights_are_not_loaded_beside_another_normaliser() -> None:
    made, other = policy(), policy(fitted=normalizers(None, rows(seed=9)))
    with pytest.raises(RuntimeError, match="not the one these weights were trained with"):
        other.load_state_dict(made.state_dict())
    policy(seed=8).load_state_dict(made.state_dict())


def test_a_normaliser_for_each_step_of_the_chunk() -> None:
    rng = np.random.default_rng(0)
    step = np.arange(8)[None, :, None]
    chunks = rng.uniform(-1, 1, (300, 8, ARM.action_size)) * (1 + step) + 10 * step
    config = NormalizationConfig("mean_std", "quantile", action_per_step=True)
    fitted = fit_normalizers(config, [SourceRows("demos", HERE.state, chunks)])
    diffusion = replace(DIFFUSION, normalization=config, process=DiffusionProcessConfig(clip=1.5))
    made = policy(diffusion, fitted=fitted)
    low, high = np.quantile(chunks, (0.02, 0.98), axis=0)
    wanted = np.clip(2 * (chunks[:5] - low) / (high - low) - 1, -1.5, 1.5)
    got = made.action_normalizer.normalize(torch.from_numpy(chunks[:5]), {})
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-4)
    actions = made.sample(training_batch(made), generator=torch.Generator().manual_seed(0)).numpy()
    reach = 1.51 * (high - low) / 2
    assert (np.abs(actions - (low + high) / 2) <= reach).all()
    with pytest.raises(ShapeError, match="fitted to chunks"):
        fit_normalizers(config, [HERE])
    with pytest.raises(ShapeError, match="does not fit the policy"):
        policy(replace(diffusion, horizon=16), fitted=fitted)


def test_round_trip_and_bad_data() -> None:
    fitted = fit_normalizers(PER_SOURCE, [HERE, THERE])
    assert from_plain(PolicyNormalizers, to_plain(fitted)) == fitted
    bad = HERE.state.copy()
    bad[3, 2] = np.nan
    with pytest.raises(NonFiniteError, match="row 3, column 2"):
        fit_normalizers(PER_SOURCE, [replace(HERE, state=bad)])
    with pytest.raises(ConfigError, match="different names"):
        fit_normalizers(PER_SOURCE, [HERE, HERE])
