"""Lets torchvision be imported beside a torch whose build its compiled operators do not fit.

Wheels of torchvision from PyPI are built against CUDA. With a CPU torch their operators do not load, and
``import torchvision`` fails while registering shape rules for ``torchvision::nms`` and ``torchvision::qnms``. It needs
the names of these operators only, not their code: declared first, import succeeds, and everything written in Python
(models, transforms) works. The operators themselves then raise when called.
"""

from __future__ import annotations

import threading

import torch

from robot_stack.core.errors import MissingExtraError

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_lock = threading.Lock()
_declared: list[torch.library.Library] = []


def ensure_torchvision() -> None:
    """Make ``import torchvision`` work; harmless where it works already, and when called again.

    Raises:
        MissingExtraError: if torchvision is not installed.
    """
    with _lock:
        if _declared or _imports():
            return
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name, schema in _SCHEMAS.items():
            if not _has_operator(name):
                library.define(schema)
        _declared.append(library)
        if not _imports():
            raise MissingExtraError("torchvision models", extra="vlm", package="torchvision")


def _has_operator(name: str) -> bool:
    return hasattr(torch.ops.torchvision, name)


def _imports() -> bool:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True
