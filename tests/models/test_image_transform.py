"""Crops and colour changes against plain loops and against torchvision."""

from __future__ import annotations

import pytest
import torch

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.models.image_transform import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ColorJitterConfig,
    ImageTransform,
    ImageTransformConfig,
    adjust_colors,
    center_crop,
    crop_at,
    jitter_colors,
    random_crop,
)
from robot_stack.models.torchvision_shim import ensure_torchvision


@pytest.fixture
def functional():
    ensure_torchvision()
    from torchvision.transforms.v2 import functional

    return functional


@pytest.fixture
def images(generator):
    """Colours away from the borders, so that clipping does not hide differences."""
    return 0.3 + 0.3 * torch.rand(4, 2, 3, 9, 11, generator=generator, dtype=torch.float64)


def test_each_sample_gets_its_own_window_and_its_frames_share_it(generator):
    images = torch.randint(0, 256, (5, 2, 3, 8, 10), generator=generator, dtype=torch.uint8)
    tops, lefts = torch.tensor([0, 3, 1, 2, 3]), torch.tensor([4, 0, 2, 1, 3])
    cropped = crop_at(images, (5, 6), tops, lefts)
    assert cropped.dtype == torch.uint8
    for sample in range(5):
        top, left = int(tops[sample]), int(lefts[sample])
        assert torch.equal(cropped[sample], images[sample, :, :, top : top + 5, left : left + 6])


def test_random_crops_reach_every_position_and_are_reproducible():
    position = torch.arange(8 * 9).view(1, 1, 1, 8, 9).expand(3000, 1, 1, 8, 9)
    corners = random_crop(position, (6, 5), torch.Generator().manual_seed(0))[:, 0, 0, 0, 0]
    values, counts = corners.unique(return_counts=True)
    assert values.tolist() == [9 * top + left for top in range(3) for left in range(5)]
    assert counts.min() > 200 - 5 * 14 and counts.max() < 200 + 5 * 14
    again = random_crop(position, (6, 5), torch.Generator().manual_seed(0))[:, 0, 0, 0, 0]
    assert torch.equal(corners, again)


@pytest.mark.parametrize("size", [(76, 76), (75, 76), (84, 83), (84, 84)])
def test_centre_crop_is_torchvisions(size, functional):
    images = torch.arange(84 * 84).view(1, 1, 84, 84)
    assert torch.equal(center_crop(images, size), functional.center_crop(images, list(size)))


def test_brightness_contrast_and_saturation_are_torchvisions(images, functional):
    ones, zeros = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    factors = torch.tensor([0.8, 0.95, 1.1, 1.3], dtype=torch.float64)
    for position, name in enumerate(("adjust_brightness", "adjust_contrast", "adjust_saturation")):
        amounts = [ones, ones, ones, zeros]
        amounts[position] = factors
        changed = adjust_colors(images, *amounts)
        for sample, factor in enumerate(factors.tolist()):
            expected = getattr(functional, name)(images[sample], factor)
            torch.testing.assert_close(changed[sample], expected, atol=2e-4, rtol=0)


def test_all_four_at_once_are_one_after_the_other(images):
    ones, zeros = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    b, c, s = (torch.tensor(values, dtype=torch.float64) for values in ([0.9, 1.1, 1.2, 0.8],) * 3)
    h = torch.tensor([0.05, -0.05, 0.02, 0.0], dtype=torch.float64)
    step = adjust_colors(images, b, ones, ones, zeros)
    step = adjust_colors(step, ones, c, ones, zeros)
    step = adjust_colors(step, ones, ones, s, zeros)
    step = adjust_colors(step, ones, ones, ones, h)
    torch.testing.assert_close(adjust_colors(images, b, c, s, h), step, atol=1e-3, rtol=0)


def test_hue_turns_as_torchvisions_does_and_keeps_luma(images, functional):
    """torchvision turns hue in HSV, which changes luma; in the chroma plane both do nearly the same."""
    ones = torch.ones(4, dtype=torch.float64)
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    chroma = torch.tensor([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], dtype=torch.float64)
    for turn in (0.05, -0.05):
        turned = adjust_colors(images, ones, ones, ones, torch.full((4,), turn, dtype=torch.float64))
        torch.testing.assert_close(
            torch.einsum("btchw,c->bthw", turned, luma), torch.einsum("btchw,c->bthw", images, luma), atol=1e-3, rtol=0
        )
        changes = (turned - images, functional.adjust_hue(images, turn) - images)
        mine, theirs = (torch.einsum("kc,btchw->btkhw", chroma, change).flatten() for change in changes)
        assert torch.nn.functional.cosine_similarity(mine, theirs, dim=0) > 0.85
        assert mine.norm() / theirs.norm() == pytest.approx(1.0, abs=0.1)
    grey = torch.full((4, 1, 3, 2, 2), 0.5, dtype=torch.float64)
    turned = adjust_colors(grey, ones, ones, ones, torch.full((4,), 0.3, dtype=torch.float64))
    torch.testing.assert_close(turned, grey, atol=2e-3, rtol=0)


def test_jitter_differs_between_samples_not_between_frames(generator):
    frame = torch.rand(1, 1, 3, 6, 6, generator=generator).expand(3, 2, 3, 6, 6)
    changed = jitter_colors(frame, ColorJitterConfig(), generator)
    torch.testing.assert_close(changed[:, 0], changed[:, 1])
    assert (changed[0] - changed[1]).abs().max() > 0.01 and (changed[1] - changed[2]).abs().max() > 0.01
    assert changed.min() >= 0 and changed.max() <= 1
    still = ColorJitterConfig(brightness=(1, 1), contrast=(1, 1), saturation=(1, 1), hue=(0, 0))
    torch.testing.assert_close(jitter_colors(frame, still, generator), frame, atol=1e-5, rtol=0)


def test_inference_is_centre_crop_and_normalisation_of_uint8(generator):
    images = torch.randint(0, 256, (2, 1, 3, 10, 12), generator=generator, dtype=torch.uint8)
    out = ImageTransform(ImageTransformConfig(crop=(6, 8))).infer(images)
    for channel in range(3):
        expected = (images[:, :, channel, 2:8, 2:10].double() / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        torch.testing.assert_close(out[:, :, channel].double(), expected, atol=1e-5, rtol=1e-5)


def test_training_without_jitter_is_a_shifted_inference(generator):
    images = torch.randint(0, 256, (6, 2, 3, 10, 10), generator=generator, dtype=torch.uint8)
    transform = ImageTransform(ImageTransformConfig(crop=(7, 7)))
    out = transform.train(images, torch.Generator().manual_seed(3))
    whole = ImageTransform().infer(images)
    for sample in range(6):
        places = [
            (top, left)
            for top in range(4)
            for left in range(4)
            if torch.allclose(whole[sample, :, :, top : top + 7, left : left + 7], out[sample])
        ]
        assert len(places) == 1
    again = transform.train(images, torch.Generator().manual_seed(3))
    assert torch.equal(out, again)


def test_too_large_crops_are_refused():
    with pytest.raises(ShapeError, match="at least 9x5"):
        random_crop(torch.zeros(1, 1, 3, 8, 8), (9, 5), None)
    with pytest.raises(ShapeError, match="at least 8x9"):
        center_crop(torch.zeros(1, 1, 3, 8, 8), (8, 9))
    with pytest.raises(ConfigError, match="positive"):
        center_crop(torch.zeros(1, 1, 3, 8, 8), (0, 4))
