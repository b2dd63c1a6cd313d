"""``robot-stack train``: a policy from demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_stack.cli.parsing import Many, Maybe, parse

if TYPE_CHECKING:
    from robot_stack.training.job import ImitationJob
    from robot_stack.training.train_imitation import TrainedPolicy


@dataclass(frozen=True)
class TrainArgs:
    """Train a policy on datasets of demonstrations.

    Ctrl-C saves a checkpoint; --resume goes on from it, exactly. Several GPUs: torchrun --nproc-per-node 4 --no-python
    robot-stack train ... robot-stack train --presets lists the policies to start from.
    """

    preset: Annotated[str, tyro.conf.Positional] = "flow-mlp"
    """Policy to start from."""

    data: Many[Path] = ()
    """Datasets; several are mixed by size."""

    steps: Maybe[int] = None
    """Updates in all."""

    batch_size: Maybe[int] = None
    """Windows per update."""

    lr: Maybe[float] = None
    """Largest learning rate."""

    state: Maybe[Many[str]] = None
    """State fields the policy sees; all when left out."""

    cameras: Maybe[Many[str]] = None
    """Cameras the policy looks through; the preset's when left out."""

    set: Many[str] = ()
    """Any other value by its path, e.g. policy.horizon=32 learning.ema=null; --show lists them all."""

    name: str = ""
    """Of the run; the preset's name when left out."""

    runs: Path = Path("runs")
    """Folder of all runs."""

    resume: Maybe[Path] = None
    """Go on with the run in this folder; all else is as it was."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1."""

    threads: Maybe[int] = None
    """Threads of torch on the CPU; torch's own choice when left out."""

    seed: int = 0
    """Of weights, order, noise and split."""

    presets: bool = False
    """List the presets, and do nothing else."""

    show: bool = False
    """Print the whole configuration as JSON, and do nothing else."""


SMALL_STEPS, LARGE_STEPS = 1500, 50_000
SMALL_LR, LARGE_LR = 1e-3, 1e-4


def run(arguments: list[str]) -> int:
    """Train, show progress, and tell where the bundle is."""
    args = parse(TrainArgs, arguments, "robot-stack train")
    if args.presets:
        return _list_presets()
    from robot_stack.core.errors import ConfigError

    if args.resume is None and not args.data and not args.show:
        raise ConfigError("there is nothing to learn from", remedy="name datasets: --data FOLDER [FOLDER ...]")
    if args.threads is not None:
        import torch

        torch.set_num_threads(args.threads)
    if args.show:
        return _show(make_job(args))
    return _tell(_train(args))


def make_job(args: TrainArgs) -> ImitationJob:
    """The training run that the arguments describe.

    Raises:
        UnknownNameError: if the preset or a key does not exist.
        ConfigError: if a value is of the wrong type or out of range.
    """
    from robot_stack.cli.overrides import override
    from robot_stack.cli.presets import preset
    from robot_stack.core.config_json import from_plain, to_plain
    from robot_stack.training.job import DatasetConfig, ImitationJob

    small = args.preset.endswith(("small", "mlp"))
    plain: dict[str, Any] = to_plain(ImitationJob(datasets=(DatasetConfig(Path("none")),), seed=args.seed))
    plain["datasets"] = [to_plain(DatasetConfig(root)) for root in args.data]
    plain["policy"] = to_plain(preset(args.preset))
    plain["train"]["steps"] = args.steps or (SMALL_STEPS if small else LARGE_STEPS)
    plain["train"]["checkpoint_every"] = max(1, plain["train"]["steps"] // 5)
    plain["train"]["validate_every"] = max(1, plain["train"]["steps"] // 5)
    plain["learning"]["optimizer"]["lr"] = args.lr or (SMALL_LR if small else LARGE_LR)
    plain["schedule"]["warmup_steps"] = min(500, plain["train"]["steps"] // 10)
    plain["data"]["batch_size"] = args.batch_size or (128 if small else 256)
    inputs = plain["policy"]["inputs"]
    inputs["state"] = inputs["state"] if args.state is None else list(args.state)
    inputs["cameras"] = inputs["cameras"] if args.cameras is None else list(args.cameras)
    if not args.data:
        plain["datasets"] = [to_plain(DatasetConfig(Path("DATASET")))]
    return from_plain(ImitationJob, override(plain, args.set), where="robot-stack train")


def _train(args: TrainArgs) -> TrainedPolicy:
    from robot_stack.cli.bars import bars, training_bar
    from robot_stack.training.train_imitation import resume_imitation, train_imitation

    with bars() as shown:
        if args.resume is not None:
            listen = training_bar(shown, f"train {args.resume.name}", 1)
            return resume_imitation(args.resume, device=args.device, listeners=(listen,))
        job = make_job(args)
        name = args.name or args.preset
        listen = training_bar(shown, f"train {name}", job.train.steps)
        return train_imitation(job, name=name, runs=args.runs, device=args.device, listeners=(listen,))


def _tell(trained: TrainedPolicy) -> int:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if trained.folder is None:
        return 0
    if trained.bundle is None:
        console.print(f"stopped at step {trained.result.step}; go on with: robot-stack train --resume {trained.folder}")
        return 130
    console.print(f"policy bundle: [bold]{trained.bundle}[/bold]")
    console.print(f"evaluate it:   robot-stack eval {trained.bundle} --task TASK")
    return 0


def _show(job: ImitationJob) -> int:
    import json

    from robot_stack.core.config_json import to_plain

    print(json.dumps(to_plain(job), indent=2))
    return 0


def _list_presets() -> int:
    from rich.console import Console
    from rich.table import Table

    from robot_stack.cli.presets import PRESETS

    table = Table(box=None, padding=(0, 2), show_header=False)
    for name, (what, _) in PRESETS.items():
        table.add_row(f"[bold]{name}[/bold]", what)
    Console(highlight=False).print(table)
    return 0
