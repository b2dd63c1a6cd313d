"""torchvision imports after the shim, in a fresh process."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

PROGRAM = """
from robot_stack.models.torchvision_shim import ensure_torchvision
ensure_torchvision()
ensure_torchvision()
import torch, torchvision
model = torchvision.models.resnet18(weights=None)
assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
from torchvision.transforms.v2 import functional
functional.center_crop(torch.zeros(3, 8, 8), [4, 4])
"""


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_torchvision_imports_and_runs_after_the_shim():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_importing_the_room_brings_neither_torchvision_nor_diffusers():
    program = (
        "import sys, robot_stack.models.vision, robot_stack.models.diffusion, robot_stack.models.torchvision_shim\n"
        "assert not {'torchvision', 'diffusers'} & set(sys.modules), 'heavy imports'"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
