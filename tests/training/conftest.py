"""The tiny training job as a module."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

TINY_JOB = Path(__file__).with_name("tiny_job.py")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """``tests/training/tiny_job.py``."""
    spec = importlib.util.spec_from_file_location("tiny_job", TINY_JOB)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_job"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_job_path() -> Path:
    return TINY_JOB


@pytest.fixture(scope="session")
def hand_written() -> ModuleType:
    """``tests/datasets/hand_written.py``: datasets made without our writer."""
    path = Path(__file__).parents[1] / "datasets" / "hand_written.py"
    spec = importlib.util.spec_from_file_location("hand_written_for_training", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
