"""From datasets of demonstrations to a policy bundle: the whole job, readable from top to bottom."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from robot_stack.algorithms.imitation import Imitation
from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import ConfigError
from robot_stack.policies.config import TextVectorConfig
from robot_stack.policies.language import TextEmbedder
from robot_stack.policies.loading import AnyPolicy, make_policy
from robot_stack.policies.saving import save_bundle
from robot_stack.training.demonstrations import content_hash
from robot_stack.training.distributed import Distribution, open_distribution
from robot_stack.training.event_log import read_events
from robot_stack.training.job import ImitationJob
from robot_stack.training.loop import TrainResult, train
from robot_stack.training.normalizer_fit import fit_policy_normalizers
from robot_stack.training.policy_batches import Demonstrations
from robot_stack.training.reporter import Listener
from robot_stack.training.run import Run, create_run, fill_run, open_run, read_config
from robot_stack.training.schedule import WarmupSchedule
from robot_stack.training.validation import validate_imitation

BUNDLE = "policy"
"""Folder of the policy bundle within the run folder."""


@dataclass(frozen=True)
class TrainedPolicy:
    """What a training run left behind."""

    folder: Path | None
    """The run folder; ``None`` on ranks other than 0."""

    bundle: Path | None
    """The policy bundle; ``None`` if the run was interrupted, and on ranks other than 0."""

    result: TrainResult
    """How the training ended."""


def train_imitation(
    job: ImitationJob,
    *,
    name: str = "imitation",
    runs: Path = Path("runs"),
    folder: Path | None = None,
    device: str = "auto",
    listeners: Sequence[Listener] = (),
    text_embedder: TextEmbedder | None = None,
    command: list[str] | None = None,
) -> TrainedPolicy:
    """Train a policy by imitation in a new run folder.

    Under torchrun every process calls this with the same arguments; rank 0 writes.

    Args:
        job: what to do.
        name: of the run.
        runs: folder of all runs; the run gets ``runs/<date>_<name>_<hash>/``.
        folder: take this one as run folder instead.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        listeners: told about every event, for example a progress bar.
        text_embedder: for policies that take text vectors.
        command: arguments the process was started with; ``sys.argv`` by default.

    Returns:
        Where everything is.

    Raises:
        DatasetError: if a dataset is missing, damaged or empty.
        NonFiniteError: if a demonstration holds NaN; file, episode, frame and field are named.
        NonFiniteLossError: if training diverged; the last good state is kept.
    """
    with open_distribution(device) as distribution:
        demonstrations = Demonstrations(job)
        try:
            policy = _new_policy(job, demonstrations, text_embedder)  # bad data are refused before there is a folder
            if not distribution.is_main:
                return _train(job, None, demonstrations, policy, distribution, listeners)
            keep = job.train.keep_checkpoints
            if folder is None:
                run = create_run(runs, name, job, command=command, keep_checkpoints=keep)
            else:
                run = fill_run(folder, job, command=command, keep_checkpoints=keep)
            with run:
                return _train(job, run, demonstrations, policy, distribution, listeners)
        finally:
            demonstrations.close()


def resume_imitation(
    folder: Path,
    *,
    device: str = "auto",
    listeners: Sequence[Listener] = (),
    text_embedder: TextEmbedder | None = None,
) -> TrainedPolicy:
    """Go on with a run that was interrupted or killed, from its newest good checkpoint.

    Args:
        folder: the run folder.
        device: see :func:`train_imitation`; need not be the one of before.
        listeners: see :func:`train_imitation`.
        text_embedder: see :func:`train_imitation`.

    Raises:
        CheckpointError: if this is no run folder, or no checkpoint in it is whole.
        LockedError: if another process is training in it.
    """
    with open_distribution(device) as distribution:
        plain = distribution.broadcast_json(read_config(folder) if distribution.is_main else None)
        job = from_plain(ImitationJob, plain, where=str(folder / "config.json"))
        with contextlib.ExitStack() as stack:
            run = None
            if distribution.is_main:
                run = stack.enter_context(open_run(folder, keep_checkpoints=job.train.keep_checkpoints))
            demonstrations = stack.enter_context(contextlib.closing(Demonstrations(job)))
            policy = _new_policy(job, demonstrations, text_embedder)
            return _train(job, run, demonstrations, policy, distribution, listeners)


def _train(
    job: ImitationJob,
    run: Run | None,
    demonstrations: Demonstrations,
    policy: AnyPolicy,
    distribution: Distribution,
    listeners: Sequence[Listener],
) -> TrainedPolicy:
    algorithm = Imitation(
        policy.to(distribution.device),
        job.learning,
        WarmupSchedule(job.schedule, job.train.steps),
        wrap=distribution.wrap,
        rank=distribution.rank,
        seed=job.seed,
    )
    held_out = demonstrations.validation_batches
    validate = None if demonstrations.validation is None else partial(validate_imitation, algorithm, held_out, job.seed)
    result = train(
        algorithm,
        demonstrations.stream(distribution.rank, distribution.world_size),
        run=run,
        config=job.train,
        distribution=distribution,
        validate=validate,
        listeners=listeners,
        seed=job.seed,
    )
    bundle = None
    if run is not None and result.ending == "finished":
        bundle = _export(job, run, demonstrations, algorithm.policy())
    return TrainedPolicy(None if run is None else run.folder, bundle, result)


def _new_policy(job: ImitationJob, demonstrations: Demonstrations, embedder: TextEmbedder | None) -> AnyPolicy:
    """The policy with fresh weights, its normalisers fitted to the episodes it learns from."""
    mixture = demonstrations.train
    sources = [(name, source.windows) for name, source in zip(mixture.names, mixture.sources, strict=True)]
    normalizers = fit_policy_normalizers(job.policy.normalization, sources, demonstrations.action_offsets)
    normalizers.require_sources(mixture.names)
    vectors = None
    if isinstance(job.policy.language, TextVectorConfig):
        if embedder is None:
            raise ConfigError("a policy with text vectors is trained with a text embedder", got=job.policy.language)
        vectors = embedder(demonstrations.tasks)
    return make_policy(job.policy, demonstrations.embodiment, normalizers, demonstrations.tasks, vectors, seed=job.seed)


def _export(job: ImitationJob, run: Run, demonstrations: Demonstrations, policy: AnyPolicy) -> Path:
    """Write the policy bundle into the run folder."""
    path = run.folder / BUNDLE
    datasets: list[dict[str, Any]] = [
        {
            "name": config.source_name,
            "root": str(config.root.resolve()),
            "content_sha256": content_hash(config.root),
            "episodes_learned": split.train.tolist(),
            "episodes_held_out": split.validation.tolist(),
            "weight": config.weight,
        }
        for config, split in zip(job.datasets, demonstrations.splits, strict=True)
    ]
    provenance = {"run": run.name, "seed": job.seed, "job": to_plain(job), "datasets": datasets}
    example = {name: torch.from_numpy(values) for name, values in demonstrations.stream(0, 1).peek().items()}
    save_bundle(policy, path, provenance=provenance, metrics=_last_metrics(run), example=example, overwrite=True)
    run.log(f"policy bundle {path}")
    return path


def _last_metrics(run: Run) -> dict[str, Any]:
    """The last training and validation numbers of the run."""
    out: dict[str, Any] = {}
    for kind in ("train", "validation"):
        events = read_events(run.folder / "events.jsonl", kind)
        if events:
            out[kind] = {k: v for k, v in events[-1].items() if k not in ("kind", "time")}
    return out
