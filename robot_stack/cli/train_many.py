"""Several trainings side by side, each in a process of its own, with one progress bar each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from robot_stack.training.job import ImitationJob


@dataclass(frozen=True)
class Training:
    """One training to be done."""

    label: str
    """Before its bar."""

    job: ImitationJob
    """What to do."""

    folder: Path
    """Its run folder: new, or of the same job to go on with."""


def train_many(trainings: Sequence[Training], *, processes: int, device: str = "auto") -> None:
    """Train all; those that are finished are left alone, those that were interrupted go on.

    On a GPU they run one after the other in this process; on the CPU side by side, one thread each, which uses
    the cores better than several threads for one small network.

    Args:
        trainings: in the order in which they begin.
        processes: how many at once on the CPU.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Raises:
        ConfigError: if a folder holds a run of another job.
    """
    from robot_stack.cli.bars import bars
    from robot_stack.cli.eval import device_of
    from robot_stack.runtime.executor import ProcessExecutor, SerialExecutor

    where = device_of(device)
    left = [training for training in trainings if not _finished(training)]
    with bars() as shown, _watching(shown, trainings):
        executor = SerialExecutor() if where != "cpu" or len(left) < 2 else ProcessExecutor(max(1, processes))
        for _ in executor.map(_train_one, [(training, where) for training in left], ordered=False):
            pass


def _train_one(item: tuple[Training, str]) -> None:
    import torch

    from robot_stack.core.errors import ConfigError
    from robot_stack.training.train_imitation import resume_imitation, train_imitation

    training, device = item
    torch.set_num_threads(1)
    if (training.folder / "config.json").exists():
        trained = resume_imitation(training.folder, device=device)
    else:
        trained = train_imitation(training.job, folder=training.folder, device=device)
    if trained.bundle is None:
        raise ConfigError(f"the training of {training.label!r} was interrupted", remedy="run the same command again")


def _finished(training: Training) -> bool:
    """Whether this job has been done; a folder of another job is refused."""
    from robot_stack.core.config_json import fingerprint_of, to_plain
    from robot_stack.core.errors import ConfigError
    from robot_stack.training.run import read_config

    if not (training.folder / "config.json").exists():
        return False
    if fingerprint_of(read_config(training.folder)) != fingerprint_of(to_plain(training.job)):
        raise ConfigError(
            "this folder holds a training with other settings",
            where=training.folder,
            remedy="give another --out, or remove the folder",
        )
    return (training.folder / "policy" / "manifest.json").exists()


@contextmanager
def _watching(shown: Bars, trainings: Sequence[Training]) -> Iterator[None]:
    """Move the bars by what the runs write down, until the block ends."""
    tasks = [shown.add_task(t.label, total=t.job.train.steps, note="") for t in trainings]
    look = _looker(shown, trainings, tasks)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            look()

    thread = threading.Thread(target=watch, name="training-bars", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        look()


def _looker(shown: Bars, trainings: Sequence[Training], tasks: Sequence[TaskID]) -> Callable[[], None]:
    from robot_stack.training.event_log import read_events

    def look() -> None:
        for training, task in zip(trainings, tasks, strict=True):
            events = training.folder / "events.jsonl"
            if not events.exists():
                shown.reset(task, start=True)
                continue
            seen = read_events(events)
            losses = [e["loss"] for e in seen if e["kind"] == "train" and e.get("loss") is not None]
            step = max((e["step"] for e in seen), default=0)
            shown.update(task, completed=step, note=f"loss {losses[-1]:.4f}" if losses else "")

    return look
