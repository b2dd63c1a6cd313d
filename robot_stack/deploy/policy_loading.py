"""Policy bundles for deployment: what runs in the policy's process."""

from __future__ import annotations

from pathlib import Path

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import BundleError
from robot_stack.runtime.served_policy import ServedPolicy


def load_served(folder: str, device: str = "auto", source: str = "", another_model: bool = False) -> ServedPolicy:
    """A bundle, loaded, checked and ready to be asked; imports torch. Can be bound and sent to a child process.

    Args:
        folder: of the bundle.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: whose normaliser to use; policies with only one take no notice.
        another_model: accept robots with another model hash.

    Raises:
        BundleError: if the bundle is damaged.
        ConfigError: if the policy has several normalisers and no source was named.
    """
    import torch

    from robot_stack.policies.driver import PolicyDriver
    from robot_stack.policies.inference_config import DriverConfig
    from robot_stack.policies.loading import load_bundle

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_bundle(folder, robot_embodiment=None, device=device, another_model=another_model)
    several = len(loaded.policy.normalizers.sources) > 1
    driver = PolicyDriver(loaded.policy, DriverConfig(source=source if several and source else None))
    name = f"{loaded.info['kind']} {loaded.info['policy_sha256'][:8]}"
    cameras = tuple(loaded.policy.config.inputs.cameras)
    return ServedPolicy(name, driver, loaded.policy.embodiment, cameras, another_model)


def bundle_steps(folder: str) -> tuple[int, int]:
    """Of a bundle, without loading it: steps meant to be executed of each chunk, and steps planned ahead.

    Raises:
        BundleError: if there is no bundle.
    """
    from robot_stack.policies.bundle import bundle_info

    config = bundle_info(Path(folder))["config"]
    try:
        ahead = int(config["horizon"]) - int(config["inputs"]["n_obs_steps"]) + 1
        return int(config["n_action_steps"]), ahead
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError("a bundle does not say how far it plans", where=folder, got=repr(error)) from error


def bundle_embodiment(folder: str) -> Embodiment:
    """The robot a bundle was made for, without loading it.

    Raises:
        BundleError: if there is no bundle.
    """
    from robot_stack.policies.bundle import bundle_info

    return from_plain(Embodiment, bundle_info(Path(folder))["embodiment"])
