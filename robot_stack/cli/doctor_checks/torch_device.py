"""PyTorch and its devices: each multiplies matrices, and the result is compared with NumPy's."""

from __future__ import annotations

from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

_SIZE = 256
_TOLERANCE = 1e-2


def check(ground: Ground) -> list[Check]:
    """Multiply on every device that PyTorch sees."""
    answer = ask("torch_device", [], timeout_s=ground.timeout_s)
    if answer.missing == "torch":
        return [
            Check(
                "PyTorch",
                "warning",
                "not installed: datasets and teleoperation work, training and policies do not",
                "pip install 'robot_stack[train]' (without a GPU, install the much smaller CPU build of torch first)",
            )
        ]
    if not answer.ok:
        remedy = "pip install --force-reinstall torch; if it crashed, the wheel does not fit this machine"
        return [Check("PyTorch", "broken", answer.trouble or f"needs {answer.missing}", remedy)]
    return [_judge(name, device, answer.value) for name, device in answer.value["devices"].items()]


def _judge(name: str, device: dict[str, Any], whole: dict[str, Any]) -> Check:
    title = f"PyTorch on {name}"
    details = {"torch": whole["torch"], **device}
    if "error" in device:
        remedy = "check the driver with nvidia-smi, or train on the CPU with --device cpu"
        return Check(title, "broken", f"it cannot multiply: {device['error']}", remedy, details)
    if device["error_to_numpy"] > _TOLERANCE:
        remedy = "results of this device cannot be trusted: update its driver, or use another device"
        return Check(title, "broken", f"a product is wrong by {device['error_to_numpy']:.2g}", remedy, details)
    found = f"torch {whole['torch']}, {device['title']}: products agree with NumPy"
    return Check(title, "works", found, details=details)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Multiply two random matrices on each device."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, _SIZE, _SIZE)).astype(np.float32)
    reference = a.astype(np.float64) @ b.astype(np.float64)
    devices: dict[str, dict[str, Any]] = {}
    for name in _devices(torch):
        entry: dict[str, Any] = {"title": _title(torch, name)}
        try:
            product = torch.from_numpy(a).to(name) @ torch.from_numpy(b).to(name)
            entry["error_to_numpy"] = float(np.abs(product.cpu().numpy() - reference).max() / np.abs(reference).max())
        except Exception as error:
            entry["error"] = str(error).splitlines()[0][:300]
        devices[name] = entry
    return {"torch": torch.__version__, "devices": devices, "cuda_build": torch.version.cuda}


def _devices(torch: Any) -> list[str]:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def _title(torch: Any, name: str) -> str:
    if name.startswith("cuda"):
        properties = torch.cuda.get_device_properties(name)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return "no CUDA device" if name == "cpu" and not torch.cuda.is_available() else name
