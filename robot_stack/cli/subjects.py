"""Who is evaluated: names on the command line become subjects with the world they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robot_stack.cli.parsing import default_processes
from robot_stack.cli.worlds import WorldConfig, expert_maker, world_maker

if TYPE_CHECKING:
    from robot_stack.core.embodiment import Embodiment
    from robot_stack.evaluation.evaluate import Subject
    from robot_stack.policies.driver import PolicyDriver
    from robot_stack.policies.loading import LoadedBundle


def expert_subject(task: str, noise_std: float = 0.0) -> Subject:
    """The scripted expert of a Meta-World task."""
    from robot_stack.evaluation.evaluate import Subject

    return Subject("expert", driver_maker=expert_maker(task, noise_std), id=f"expert noise {noise_std:g}")


def policy_subject(
    bundle: Path,
    task: str,
    world: WorldConfig,
    *,
    name: str = "",
    device: str = "cpu",
    source: str = "",
    another_model: bool = False,
) -> Subject:
    """A policy bundle, checked against the robot of the task.

    Args:
        bundle: folder of the bundle.
        task: what it will be evaluated on.
        world: how the task is seen.
        name: for people; the bundle's kind and hash when left out.
        device: where it runs.
        source: see :func:`load_driver`.
        another_model: see :func:`load_driver`.

    Raises:
        BundleError: if the bundle is damaged.
        ConfigError: if the policy has several normalisers and no source was named.
        EmbodimentMismatchError: if the robot is not the one the policy was trained for.
    """
    from robot_stack.evaluation.evaluate import Subject

    spare_the_simulators()
    made = world_maker(task, world)()
    try:
        loaded, driver = load_driver(
            bundle, made.robot.embodiment, device=device, source=source, another_model=another_model
        )
    finally:
        made.close()
    identity = str(loaded.info["policy_sha256"])
    used = f" {driver.config.source}" if driver.config.source else ""
    return Subject(name or f"{loaded.info['kind']} {identity[:8]}{used}", driver=driver, id=f"{identity}{used}")


def load_driver(
    bundle: Path, robot: Embodiment, *, device: str = "cpu", source: str = "", another_model: bool = False
) -> tuple[LoadedBundle, PolicyDriver]:
    """A policy bundle and what drives robots with it.

    Args:
        bundle: folder of the bundle.
        robot: whom it is to drive.
        device: where it runs.
        source: whose normaliser to use; policies with only one take no notice.
        another_model: accept a robot with another model hash.

    Raises:
        BundleError: if the bundle is damaged.
        ConfigError: if the policy has several normalisers and no source was named.
        EmbodimentMismatchError: if the robot is not the one the policy was trained for.
        UnknownNameError: if the policy has no normaliser of that name.
    """
    from robot_stack.policies.driver import PolicyDriver
    from robot_stack.policies.inference_config import DriverConfig
    from robot_stack.policies.loading import load_bundle

    loaded = load_bundle(bundle, robot_embodiment=robot, device=device, another_model=another_model)
    several = len(loaded.policy.normalizers.sources) > 1
    return loaded, PolicyDriver(loaded.policy, DriverConfig(source=source if several and source else None))


def spare_the_simulators() -> None:
    """Let torch use one core in four: the others simulate, and threads that wait for a core are worse than none."""
    import torch

    torch.set_num_threads(max(1, default_processes() // 4))


def cameras_of(bundles: tuple[Path, ...]) -> tuple[str, ...]:
    """Every camera that one of the bundles looks through; needs no torch."""
    from robot_stack.policies.bundle import bundle_info

    found: dict[str, None] = {}
    for bundle in bundles:
        found |= dict.fromkeys(bundle_info(bundle)["config"]["inputs"]["cameras"])
    return tuple(found)


def image_size_of(bundles: tuple[Path, ...], default: int) -> int:
    """Height of the images the bundles were trained on [pixel]; ``default`` without cameras."""
    from robot_stack.policies.bundle import bundle_info

    for bundle in bundles:
        info = bundle_info(bundle)
        wanted = info["config"]["inputs"]["cameras"]
        for camera in info["embodiment"]["cameras"]:
            if camera["name"] in wanted:
                return int(camera["height"])
    return default
